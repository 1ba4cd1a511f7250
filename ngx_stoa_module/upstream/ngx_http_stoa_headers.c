
/*
 * The request's headers as the upstream gets them: a new list of those that
 * are kept and those that are ours.  The old list stays as it is, as nginx
 * and its modules have pointers into it.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_headers.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_uri.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_policy.h"


#define NGX_HTTP_STOA_OWN_HEADERS     12


typedef enum {
    NGX_HTTP_STOA_H_REQUEST_ID = 0,
    NGX_HTTP_STOA_H_TRACEPARENT,
    NGX_HTTP_STOA_H_FOR,
    NGX_HTTP_STOA_H_PROTO,
    NGX_HTTP_STOA_H_HOST
} ngx_http_stoa_header_e;


static ngx_uint_t ngx_http_stoa_headers_own(ngx_table_elt_t *h);
static ngx_int_t ngx_http_stoa_headers_trace(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_list_part_t *part,
    ngx_http_stoa_headers_found_t *found);
static ngx_int_t ngx_http_stoa_headers_states(ngx_http_request_t *r,
    ngx_list_part_t *part, ngx_uint_t n);
static ngx_uint_t ngx_http_stoa_headers_traced(ngx_str_t *value);
static ngx_int_t ngx_http_stoa_headers_forwarded(ngx_http_request_t *r,
    ngx_list_part_t *part, ngx_http_stoa_headers_found_t *found);
static ngx_int_t ngx_http_stoa_headers_for(ngx_http_request_t *r,
    ngx_list_part_t *part, size_t len, ngx_str_t *value);
static ngx_int_t ngx_http_stoa_headers_push(ngx_http_request_t *r,
    ngx_http_stoa_header_e which, ngx_str_t *value);


static ngx_http_stoa_header_name_t  ngx_http_stoa_headers_names[] = {
    { ngx_string("X-Request-Id"), ngx_string("x-request-id"), 0 },
    { ngx_string("traceparent"), ngx_string("traceparent"), 0 },
    { ngx_string("X-Forwarded-For"), ngx_string("x-forwarded-for"), 0 },
    { ngx_string("X-Forwarded-Proto"), ngx_string("x-forwarded-proto"), 0 },
    { ngx_string("X-Forwarded-Host"), ngx_string("x-forwarded-host"), 0 }
};


ngx_int_t
ngx_http_stoa_headers(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                       rc;
    ngx_list_t                      old;
    ngx_http_stoa_headers_found_t   found;

    ngx_memzero(&found, sizeof(ngx_http_stoa_headers_found_t));

    found.full = ctx->mode == NGX_HTTP_STOA_FULL;
    found.steered = ctx->call.api
                    && (ctx->call.api->nops
                        || ctx->call.api->rec->operations_only);

    old = r->headers_in.headers;

    if (ctx->call.came.elts == NULL) {
        ctx->call.came = old.part;
    }

    rc = ngx_http_stoa_scrub_request(r, ctx, NGX_HTTP_STOA_OWN_HEADERS,
                                     &found);

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                    NULL);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->call.claims = found.trusted > 1;

    if (ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_REQUEST_ID,
                                   &ctx->request_id) != NGX_OK
        || ngx_http_stoa_headers_trace(r, ctx, &old.part, &found)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (found.full
        && ngx_http_stoa_headers_forwarded(r, &old.part, &found) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_policy_upstream(r, ctx);

    return rc == NGX_OK && ctx->call.edge->headers_add
           ? ctx->call.edge->headers_add(r, ctx, &r->headers_in.headers) : rc;
}


/* Without what speaks of the connection and of the body that the client
 * sent. */

ngx_int_t
ngx_http_stoa_headers_text(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_pool_t *pool, ngx_str_t *text)
{
    u_char                       *p;
    size_t                        len;
    ngx_int_t                     rc;
    ngx_list_t                    old;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    old = r->headers_in.headers;

    ctx->call.by_fetch = 1;
    rc = ngx_http_stoa_headers(r, ctx);
    ctx->call.by_fetch = 0;

    len = 0;
    p = NULL;

    for ( /* void */ ; rc == NGX_OK; /* void */ ) {

        for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
             h;
             h = ngx_http_stoa_header_next(&w))
        {
            if (h->hash == 0 || ngx_http_stoa_headers_own(h)) {
                continue;
            }

            if (p == NULL) {
                len += h->key.len + 2 + h->value.len + 2;

            } else {
                p = ngx_cpymem(p, h->key.data, h->key.len);
                *p++ = ':'; *p++ = ' ';
                p = ngx_cpymem(p, h->value.data, h->value.len);
                *p++ = CR; *p++ = LF;
            }
        }

        if (p) {
            text->len = len;
            break;
        }

        p = ngx_pnalloc(pool, len + 1);
        text->data = p;
        rc = p ? NGX_OK : NGX_ERROR;
    }

    r->headers_in.headers = old;

    return rc;
}


static ngx_uint_t
ngx_http_stoa_headers_own(ngx_table_elt_t *h)
{
    return ngx_http_stoa_header_named(h, "host")
           || ngx_http_stoa_header_named(h, "connection")
           || ngx_http_stoa_header_named(h, "content-length")
           || ngx_http_stoa_header_named(h, "transfer-encoding")
           || ngx_http_stoa_header_named(h, "expect")
           || ngx_http_stoa_header_named(h, "upgrade")
           || ngx_http_stoa_header_named(h, "te")
           || ngx_http_stoa_header_named(h, "keep-alive");
}


/*
 * W3C Trace Context: 00-<32 hex>-<16 hex>-<2 hex>, lower case, not all zero.
 * One that is in order is passed on; else a trace begins here.
 */

static ngx_int_t
ngx_http_stoa_headers_trace(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_list_part_t *part, ngx_http_stoa_headers_found_t *found)
{
    u_char     *p;
    uint64_t    random[3];
    ngx_str_t   value;

    if (ngx_http_stoa_headers_traced(&found->traceparent)) {

        if (ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_TRACEPARENT,
                                       &found->traceparent)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_stoa_headers_states(r, part, found->states);
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


/* A trace's state goes where the trace goes. */

static ngx_int_t
ngx_http_stoa_headers_states(ngx_http_request_t *r, ngx_list_part_t *part,
    ngx_uint_t n)
{
    ngx_table_elt_t              *h, *copy;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, part);
         n && h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash == 0 || !ngx_http_stoa_header_is(h, "tracestate")) {
            continue;
        }

        copy = ngx_list_push(&r->headers_in.headers);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        *copy = *h;
        n--;
    }

    return NGX_OK;
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


/* Who the client is for us, behind what a proxy of ours says. */

static ngx_int_t
ngx_http_stoa_headers_forwarded(ngx_http_request_t *r, ngx_list_part_t *part,
    ngx_http_stoa_headers_found_t *found)
{
    ngx_str_t  value;

    value = r->connection->addr_text;

    if ((found->forwarded_len
         && ngx_http_stoa_headers_for(r, part, found->forwarded_len, &value)
            != NGX_OK)
        || ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_FOR, &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&value, "http");

#if (NGX_HTTP_SSL)
    if (ngx_http_stoa_inner_tls(r, ngx_http_stoa_ctx(r))) {
        ngx_str_set(&value, "https");
    }
#endif

    if ((found->proto.len == 4 || found->proto.len == 5)
        && ngx_strncasecmp(found->proto.data, (u_char *) "https",
                           found->proto.len)
           == 0)
    {
        value = found->proto;
    }

    if (ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_PROTO, &value) != NGX_OK
        || ngx_http_stoa_uri_host(r, &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return value.len
           ? ngx_http_stoa_headers_push(r, NGX_HTTP_STOA_H_HOST, &value)
           : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_headers_for(ngx_http_request_t *r, ngx_list_part_t *part,
    size_t len, ngx_str_t *value)
{
    u_char                       *p;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    value->data = ngx_pnalloc(r->pool, len + r->connection->addr_text.len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    p = value->data;

    for (h = ngx_http_stoa_header_first(&w, part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash && ngx_http_stoa_header_is(h, "x-forwarded-for")) {
            p = ngx_cpymem(p, h->value.data, h->value.len);
            *p++ = ',';
            *p++ = ' ';
        }
    }

    p = ngx_cpymem(p, r->connection->addr_text.data,
                   r->connection->addr_text.len);
    value->len = p - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_headers_push(ngx_http_request_t *r,
    ngx_http_stoa_header_e which, ngx_str_t *value)
{
    return ngx_http_stoa_header_push(&r->headers_in.headers,
                                     &ngx_http_stoa_headers_names[which],
                                     value);
}
