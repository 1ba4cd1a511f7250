
/*
 * Keys where logs would show them.
 *
 * What has the form of a key is masked in all that nginx logs of a request:
 * in a copy of the request line as soon as it was read, in place once the
 * request is ours or over.  An api may take its key from the query: then it
 * is taken out before anything of the api can refuse the request, so that
 * neither a variable nor an upstream ever has it.
 *
 * Process: workers.  Lifetime: copies are in r->pool: the query until the key
 * was looked for, ctx->key until it was judged; both are wiped.
 */

#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_uri.h"
#include "core/stoa_conceal.h"
#include "core/stoa_key.h"


/* Where else the query is: the request line, the URI as it was sent.  NULL:
 * there is none, or another one (a rewrite). */

#define NGX_HTTP_STOA_CONCEAL_PLACES  2

typedef struct {
    ngx_str_t   *line;
    u_char      *query;
} ngx_http_stoa_conceal_t;


/* A secret is longer than this. */
#define NGX_HTTP_STOA_CONCEAL_MIN  16


static void ngx_http_stoa_conceal_all(ngx_http_request_t *r);
static ngx_uint_t ngx_http_stoa_conceal_suspect(ngx_str_t *text);
static ngx_int_t ngx_http_stoa_conceal_keep(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_conceal_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_stoa_conceal_mask(ngx_http_request_t *r,
    ngx_http_stoa_conceal_t *place, ngx_str_t *value);
static void ngx_http_stoa_conceal_search(ngx_http_stoa_conceal_t *place,
    ngx_str_t *value);


/* POST_READ: before nginx or anybody refuses the request. */

ngx_int_t
ngx_http_stoa_conceal_early(ngx_http_request_t *r)
{
    u_char  *p;

    if (r->headers_in.referer) {
        (void) ngx_http_stoa_conceal_text(&r->headers_in.referer->value);
    }

    if (!ngx_http_stoa_conceal_suspect(&r->request_line)) {
        return NGX_DECLINED;
    }

    /* the URI is in the same memory, and may be somebody else's */

    p = ngx_pnalloc(r->pool, r->request_line.len + 1);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(p, r->request_line.data, r->request_line.len);
    r->request_line.data = p;

    (void) ngx_http_stoa_conceal_text(&r->request_line);

    return NGX_DECLINED;
}


/* The first step of the pipeline. */

ngx_int_t
ngx_http_stoa_conceal_ours(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (!ngx_http_stoa_conceal_suspect(&r->unparsed_uri)
        && !ngx_http_stoa_conceal_suspect(&r->args)
        && !ngx_http_stoa_conceal_suspect(&r->uri))
    {
        return NGX_OK;
    }

    if (r->args.len && ngx_http_stoa_conceal_keep(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_stoa_conceal_all(r);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_conceal_keep(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ctx->call.query.data = ngx_pnalloc(r->pool, r->args.len);
    if (ctx->call.query.data == NULL) {
        return NGX_ERROR;
    }

    ctx->call.query.len = r->args.len;
    ngx_memcpy(ctx->call.query.data, r->args.data, r->args.len);

    return NGX_OK;
}


void
ngx_http_stoa_conceal_late(ngx_http_request_t *r, ngx_uint_t headers)
{
    u_char           *p;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    if (r->request_line.data == NULL && r->request_start) {

        /* one that nginx did not understand: $request finds it like this */

        for (p = r->request_start; p < r->header_in->last; p++) {
            if (*p == CR || *p == LF) {
                break;
            }
        }

        r->request_line.data = r->request_start;
        r->request_line.len = p - r->request_start;
    }

    ngx_http_stoa_conceal_all(r);

    if (!headers) {
        return;
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        (void) ngx_http_stoa_conceal_text(&h->value);
    }
}


void
ngx_http_stoa_conceal_sent(ngx_http_stoa_ctx_t *ctx, ngx_str_t *query)
{
    size_t      i;
    ngx_str_t  *sent;

    sent = &ctx->call.query;

    if (sent->len != query->len) {
        return;
    }

    for (i = 0; i < query->len; i++) {
        if (query->data[i] != sent->data[i] && query->data[i] != '*') {
            return;
        }
    }

    query->data = sent->data;
}


static void
ngx_http_stoa_conceal_all(ngx_http_request_t *r)
{
    (void) ngx_http_stoa_conceal_text(&r->request_line);
    (void) ngx_http_stoa_conceal_text(&r->unparsed_uri);
    (void) ngx_http_stoa_conceal_text(&r->args);
    (void) ngx_http_stoa_conceal_text(&r->uri);
}


ngx_uint_t
ngx_http_stoa_conceal_text(ngx_str_t *text)
{
    return ngx_http_stoa_conceal_suspect(text)
           && stoa_conceal((char *) text->data, text->len);
}


/* Cheap, as nearly every line is none. */

static ngx_uint_t
ngx_http_stoa_conceal_suspect(ngx_str_t *text)
{
    return text->len > STOA_KEY_SECRET_LEN
           && (memchr(text->data, '_', text->len)
               || memchr(text->data, '%', text->len));
}


ngx_int_t
ngx_http_stoa_conceal(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                   *p, *last, *src, *dst;
    ngx_str_t                 value, sent, first, query;
    stoa_str_t                name;
    ngx_uint_t                i;
    ngx_http_stoa_conceal_t   places[NGX_HTTP_STOA_CONCEAL_PLACES];

    query = ctx->call.query;
    name = stoa_rec_str(ctx->call.api->rec, ctx->call.api->rec->key_query);

    if (name.len == 0 || r->args.len == 0) {
        return NGX_OK;
    }

    places[0].line = &r->request_line;
    places[1].line = &r->unparsed_uri;

    for (i = 0; i < NGX_HTTP_STOA_CONCEAL_PLACES; i++) {
        last = places[i].line->data + places[i].line->len;
        p = ngx_strlchr(places[i].line->data, last, '?');

        places[i].query = (p && (size_t) (last - p) > r->args.len
                           && ngx_memcmp(p + 1, r->args.data, r->args.len)
                              == 0)
                          ? p + 1 : NULL;
    }

    p = r->args.data;
    last = p + r->args.len;
    ngx_str_null(&first);

    while (ngx_http_stoa_args_next(&p, last, name.data, name.len, &value)
           == NGX_OK)
    {
        if (value.len == 0) {
            continue;
        }

        if (query.len == r->args.len) {
            sent.data = query.data + (value.data - r->args.data);
            sent.len = value.len;

        } else {
            sent = value;
        }

        if ((ctx->call.query.len == 0
             && ngx_http_stoa_conceal_keep(r, ctx) != NGX_OK)
            || ngx_http_stoa_conceal_take(r, ctx, &sent) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (first.len == 0) {
            first = ctx->key;

            for (i = 0; i < NGX_HTTP_STOA_CONCEAL_PLACES; i++) {
                if (places[i].query == NULL) {
                    ngx_http_stoa_conceal_search(&places[i], &first);
                }
            }
        }

        ngx_http_stoa_conceal_mask(r, places, &value);
    }

    if (first.len) {
        src = dst = first.data;
        ngx_unescape_uri(&dst, &src, first.len, 0);

        ctx->key.len = dst - first.data;
        ngx_explicit_memzero(dst, first.len - ctx->key.len);
    }

    return NGX_OK;
}


/* Only what is the same may come twice. */

static ngx_int_t
ngx_http_stoa_conceal_take(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *value)
{
    u_char  *p;

    if (ctx->key.len) {
        ctx->key_differs |= value->len != ctx->key.len
                            || !stoa_equal_ct(value->data, ctx->key.data,
                                              value->len);
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, value->data, value->len);
    ctx->key.data = p;
    ctx->key.len = value->len;

    return NGX_OK;
}


/* By its place: no other part of the request is touched, however short the
 * value is, and a thousand of them cost no more than one. */

static void
ngx_http_stoa_conceal_mask(ngx_http_request_t *r,
    ngx_http_stoa_conceal_t *place, ngx_str_t *value)
{
    size_t      offset;
    ngx_uint_t  i;

    offset = value->data - r->args.data;

    for (i = 0; i < NGX_HTTP_STOA_CONCEAL_PLACES; i++) {
        if (place[i].query) {
            ngx_memset(place[i].query + offset, '*', value->len);
        }
    }

    ngx_memset(value->data, '*', value->len);
}


/* After a rewrite of the query: wherever it was sent. */

static void
ngx_http_stoa_conceal_search(ngx_http_stoa_conceal_t *place, ngx_str_t *value)
{
    u_char  *p, *last;

    if (value->len < NGX_HTTP_STOA_CONCEAL_MIN
        || place->line->len < value->len)
    {
        return;
    }

    last = place->line->data + place->line->len;
    p = ngx_strlchr(place->line->data, last, '?');

    while (p && (size_t) (last - p) >= value->len) {

        if (ngx_memcmp(p, value->data, value->len) == 0) {
            ngx_memset(p, '*', value->len);
        }

        p++;
    }
}
