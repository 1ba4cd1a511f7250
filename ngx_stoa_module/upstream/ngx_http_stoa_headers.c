
/*
 * The request's headers as the upstream gets them: a new list of those that
 * are kept and those that are ours.  The old list stays as it is, as nginx
 * and its modules have pointers into it.
 *
 * Process: workers.  Lifetime: r->pool.
 */


#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_edge.h"


#define NGX_HTTP_STOA_OWN_HEADERS     12


typedef enum {
    NGX_HTTP_STOA_H_REQUEST_ID = 0,
    NGX_HTTP_STOA_H_TRACEPARENT,
    NGX_HTTP_STOA_H_FOR,
    NGX_HTTP_STOA_H_PROTO,
    NGX_HTTP_STOA_H_HOST,
    NGX_HTTP_STOA_H_TENANT,
    NGX_HTTP_STOA_H_APPLICATION,
    NGX_HTTP_STOA_H_SUBSCRIPTION,
    NGX_HTTP_STOA_H_IDENTITY,
    NGX_HTTP_STOA_H_MAX
} ngx_http_stoa_header_e;


typedef struct {
    ngx_str_t   name;
    ngx_str_t   lowcase;
    ngx_uint_t  hash;
} ngx_http_stoa_header_t;


/* What the walk over the client's headers finds. */

typedef struct {
    ngx_str_t   traceparent;
    size_t      forwarded_len;
    ngx_uint_t  full;                   /* we are the proxy                 */
} ngx_http_stoa_headers_found_t;


static ngx_int_t ngx_http_stoa_headers_copy(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_list_part_t *old,
    ngx_http_stoa_headers_found_t *found);
static ngx_uint_t ngx_http_stoa_headers_dropped(ngx_http_stoa_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_stoa_headers_found_t *found);
static ngx_uint_t ngx_http_stoa_headers_own(ngx_table_elt_t *h);
static ngx_uint_t ngx_http_stoa_headers_key(ngx_table_elt_t *h);
static ngx_int_t ngx_http_stoa_headers_trace(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_headers_found_t *found);
static ngx_uint_t ngx_http_stoa_headers_traced(ngx_str_t *value);
static ngx_int_t ngx_http_stoa_headers_forwarded(ngx_http_request_t *r,
    ngx_list_part_t *part, ngx_http_stoa_headers_found_t *found);
static ngx_int_t ngx_http_stoa_headers_identity(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_headers_push(ngx_http_request_t *r,
    ngx_http_stoa_header_e which, ngx_str_t *value);


static ngx_http_stoa_header_t  ngx_http_stoa_header_names[] = {
    { ngx_string("X-Request-Id"), ngx_string("x-request-id"), 0 },
    { ngx_string("traceparent"), ngx_string("traceparent"), 0 },
    { ngx_string("X-Forwarded-For"), ngx_string("x-forwarded-for"), 0 },
    { ngx_string("X-Forwarded-Proto"), ngx_string("x-forwarded-proto"), 0 },
    { ngx_string("X-Forwarded-Host"), ngx_string("x-forwarded-host"), 0 },
    { ngx_string("X-Stoa-Tenant"), ngx_string("x-stoa-tenant"), 0 },
    { ngx_string("X-Stoa-Application"), ngx_string("x-stoa-application"), 0 },
    { ngx_string("X-Stoa-Subscription"), ngx_string("x-stoa-subscription"),
      0 },
    { ngx_string("X-Stoa-Identity"), ngx_string("x-stoa-identity"), 0 }
};


ngx_int_t
ngx_http_stoa_headers(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_list_t                      old;
    ngx_http_stoa_headers_found_t   found;

    ngx_memzero(&found, sizeof(ngx_http_stoa_headers_found_t));
    found.full = ctx->mode == NGX_HTTP_STOA_FULL;

    old = r->headers_in.headers;

    if (ngx_http_stoa_headers_copy(r, ctx, &old.part, &found) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->headers_in.authorization
        && ngx_http_stoa_headers_key(r->headers_in.authorization))
    {
        r->headers_in.authorization = NULL;
    }

    if (ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_REQUEST_ID,
                                   &ctx->request_id) != NGX_OK
        || ngx_http_stoa_headers_trace(r, ctx, &found) != NGX_OK
        || ngx_http_stoa_headers_identity(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (found.full
        && ngx_http_stoa_headers_forwarded(r, &old.part, &found) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->call.edge->headers_add == NULL) {
        return NGX_OK;
    }

    return ctx->call.edge->headers_add(r, ctx, &r->headers_in.headers);
}


/* A new list with those that are kept, and room for ours. */

static ngx_int_t
ngx_http_stoa_headers_copy(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_list_part_t *old, ngx_http_stoa_headers_found_t *found)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    n = NGX_HTTP_STOA_OWN_HEADERS;

    for (part = old; part; part = part->next) {
        n += part->nelts;
    }

    if (ngx_list_init(&r->headers_in.headers, r->pool, n,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    copy = r->headers_in.headers.part.elts;
    n = 0;

    for (part = old; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (!ngx_http_stoa_headers_dropped(ctx, &h[i], found)) {
                copy[n++] = h[i];
            }
        }
    }

    r->headers_in.headers.part.nelts = n;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_headers_dropped(ngx_http_stoa_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_stoa_headers_found_t *found)
{
    if (h->hash == 0) {
        return 1;
    }

    switch (h->key.len) {

    case 9:
        if (ngx_http_stoa_headers_key(h)) {
            return 1;
        }
        break;

    case 11:
        if (ngx_memcmp(h->lowcase_key, "traceparent", 11) == 0) {
            found->traceparent = h->value;
            return 1;
        }
        break;

    case 12:
        if (ngx_memcmp(h->lowcase_key, "x-request-id", 12) == 0) {
            return 1;
        }
        break;

    case 13:
        if (ngx_http_stoa_headers_key(h)) {
            return 1;
        }
        break;

    case 15:
        if (found->full
            && ngx_memcmp(h->lowcase_key, "x-forwarded-for", 15) == 0)
        {
            found->forwarded_len += h->value.len + 2;
            return 1;
        }
        break;

    case 16:
        if (found->full
            && ngx_memcmp(h->lowcase_key, "x-forwarded-host", 16) == 0)
        {
            return 1;
        }
        break;

    case 17:
        if (found->full
            && ngx_memcmp(h->lowcase_key, "x-forwarded-proto", 17) == 0)
        {
            return 1;
        }
        break;
    }

    if (h->lowcase_key[0] == 'x' && ngx_http_stoa_headers_own(h)) {
        return 1;
    }

    return ctx->call.edge->header_dropped
           && ctx->call.edge->header_dropped(h);
}


/* X-Stoa-*, also as X_Stoa_*, which many servers take for the same. */

static ngx_uint_t
ngx_http_stoa_headers_own(ngx_table_elt_t *h)
{
    u_char  *p;

    p = h->lowcase_key;

    return h->key.len >= 7
           && (p[1] == '-' || p[1] == '_')
           && ngx_memcmp(p + 2, "stoa", 4) == 0
           && (p[6] == '-' || p[6] == '_');
}


/* Does this header carry a key of ours? */

static ngx_uint_t
ngx_http_stoa_headers_key(ngx_table_elt_t *h)
{
    u_char  *p;
    size_t   len;

    p = h->value.data;
    len = h->value.len;

    if (h->key.len == 13
        && ngx_memcmp(h->lowcase_key, "authorization", 13) == 0)
    {
        if (len < 7
            || (ngx_memcmp(p, "Bearer ", 7) != 0
                && ngx_strncasecmp(p, (u_char *) "Bearer ", 7) != 0))
        {
            return 0;
        }

        for (p += 7, len -= 7; len && *p == ' '; p++, len--) { /* void */ }

    } else if (h->key.len != 9
               || ngx_memcmp(h->lowcase_key, "x-api-key", 9) != 0)
    {
        return 0;
    }

    return len >= 5 && ngx_memcmp(p, "stoa_", 5) == 0;
}


/*
 * W3C Trace Context: 00-<32 hex>-<16 hex>-<2 hex>, lower case, not all zero.
 * One that is in order is passed on; else a trace begins here.
 */

static ngx_int_t
ngx_http_stoa_headers_trace(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_headers_found_t *found)
{
    u_char     *p;
    uint64_t    random[3];
    ngx_str_t   value;

    if (ngx_http_stoa_headers_traced(&found->traceparent)) {
        return ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_TRACEPARENT,
                                          &found->traceparent);
    }

    value.len = 55;
    value.data = ctx->trace_text;

    if (ngx_http_stoa_random(random, 3) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, "00-", 3);
    p = ngx_http_stoa_hex(p, random[0]);
    p = ngx_http_stoa_hex(p, random[1]);
    *p++ = '-';
    p = ngx_http_stoa_hex(p, random[2] | 1);
    ngx_memcpy(p, "-01", 3);

    return ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_TRACEPARENT, &value);
}


static ngx_uint_t
ngx_http_stoa_headers_traced(ngx_str_t *value)
{
    u_char      ch;
    ngx_uint_t  i, trace, span;

    if (value->len < 55 || (value->len > 55 && value->data[55] != '-')) {
        return 0;
    }

    trace = 0;
    span = 0;

    for (i = 0; i < 55; i++) {
        ch = value->data[i];

        if (i == 2 || i == 35 || i == 52) {
            if (ch != '-') {
                return 0;
            }

            continue;
        }

        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f'))) {
            return 0;
        }

        trace |= (i > 2 && i < 35 && ch != '0');
        span |= (i > 35 && i < 52 && ch != '0');
    }

    /* version ff is none; version 00 has nothing behind */

    return trace && span
           && !(value->data[0] == 'f' && value->data[1] == 'f')
           && (value->len == 55
               || ngx_memcmp(value->data, "00", 2) != 0);
}


static ngx_int_t
ngx_http_stoa_headers_forwarded(ngx_http_request_t *r, ngx_list_part_t *part,
    ngx_http_stoa_headers_found_t *found)
{
    u_char           *p;
    ngx_str_t         value;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    value = r->connection->addr_text;

    if (found->forwarded_len) {
        p = ngx_pnalloc(r->pool, found->forwarded_len + value.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.data = p;

        for ( /* void */ ; part; part = part->next) {
            h = part->elts;

            for (i = 0; i < part->nelts; i++) {
                if (h[i].hash && h[i].key.len == 15
                    && ngx_memcmp(h[i].lowcase_key, "x-forwarded-for", 15)
                       == 0)
                {
                    p = ngx_cpymem(p, h[i].value.data, h[i].value.len);
                    *p++ = ',';
                    *p++ = ' ';
                }
            }
        }

        p = ngx_cpymem(p, r->connection->addr_text.data,
                       r->connection->addr_text.len);
        value.len = p - value.data;
    }

    if (ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_FOR, &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&value, "http");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        ngx_str_set(&value, "https");
    }
#endif

    if (ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_PROTO, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    value = r->headers_in.host ? r->headers_in.host->value
                               : r->headers_in.server;

    if (value.len == 0) {
        return NGX_OK;
    }

    return ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_HOST, &value);
}


static ngx_int_t
ngx_http_stoa_headers_identity(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t  subscription, jws;

    if (ctx->call.api == NULL
        || ctx->call.api->rec->identity == STOA_IDENTITY_NONE)
    {
        return NGX_OK;
    }

    subscription.data = (u_char *) ctx->call.subscription.c;
    subscription.len = STOA_ID_LEN;

    if (ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_TENANT,
                                   &ctx->tenant_name) != NGX_OK
        || ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_APPLICATION,
                                      &ctx->application_name) != NGX_OK
        || ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_SUBSCRIPTION,
                                      &subscription) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->call.api->rec->identity != STOA_IDENTITY_SIGNED) {
        return NGX_OK;
    }

    if (ngx_http_stoa_identity(r, ctx, &jws) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_IDENTITY, &jws);
}


static ngx_int_t
ngx_http_stoa_headers_push(ngx_http_request_t *r,
    ngx_http_stoa_header_e which, ngx_str_t *value)
{
    ngx_table_elt_t         *h;
    ngx_http_stoa_header_t  *name;

    name = &ngx_http_stoa_header_names[which];

    if (name->hash == 0) {
        name->hash = ngx_hash_key(name->lowcase.data, name->lowcase.len);
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = name->hash;
    ngx_http_stoa_header_end(h);
    h->key = name->name;
    h->lowcase_key = name->lowcase.data;
    h->value = *value;

    return NGX_OK;
}
