/*
 * Masks keys in what nginx logs of a request; see the .c file.
 * Process: workers.  Lifetime: r->pool.
 */

#ifndef NGX_HTTP_STOA_CONCEAL_H
#define NGX_HTTP_STOA_CONCEAL_H


#include "ngx_http_stoa.h"


/* Handler of the POST_READ phase. */
ngx_int_t ngx_http_stoa_conceal_early(ngx_http_request_t *r);
/* In place, when nobody needs the request any more; headers: also in those
 * that were read. */
void ngx_http_stoa_conceal_late(ngx_http_request_t *r, ngx_uint_t headers);
/* Masks the secrets of all that has the form of a key, in place; how many. */
ngx_uint_t ngx_http_stoa_conceal_text(ngx_str_t *text);

/* A query, of the request's URL, as it was sent, if a key in it was masked. */
void ngx_http_stoa_conceal_sent(ngx_http_stoa_ctx_t *ctx, ngx_str_t *query);

/* The request is ours; then, a step, its api is known. */
ngx_int_t ngx_http_stoa_conceal_ours(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_conceal(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


#endif /* NGX_HTTP_STOA_CONCEAL_H */
