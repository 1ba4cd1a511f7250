
/*
 * A key in the query: it is taken out before anything can refuse the request,
 * so that neither a log nor a variable nor an upstream ever has it.
 *
 * Process: workers.  Lifetime: the copy is ctx->key, which is wiped as soon
 * as it was judged, at the latest with the request.
 */


#include "ngx_http_stoa_uri.h"


/* Where else the query is: the request line, the URI as it was sent.  NULL:
 * there is none, or another one (a rewrite). */

#define NGX_HTTP_STOA_CONCEAL_PLACES  2

typedef struct {
    ngx_str_t   *line;
    u_char      *query;
} ngx_http_stoa_conceal_t;


/* A secret is longer than this. */
#define NGX_HTTP_STOA_CONCEAL_MIN  16


static ngx_int_t ngx_http_stoa_conceal_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_stoa_conceal_mask(ngx_http_request_t *r,
    ngx_http_stoa_conceal_t *place, ngx_str_t *value);
static void ngx_http_stoa_conceal_search(ngx_http_stoa_conceal_t *place,
    ngx_str_t *value);


ngx_int_t
ngx_http_stoa_conceal(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                   *p, *last, *src, *dst;
    ngx_str_t                 value, first;
    stoa_str_t                name;
    ngx_uint_t                i;
    ngx_http_stoa_conceal_t   places[NGX_HTTP_STOA_CONCEAL_PLACES];

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

        if (ngx_http_stoa_conceal_take(r, ctx, &value) != NGX_OK) {
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
