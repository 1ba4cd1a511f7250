/*
 * URIs, and query arguments by name: names are compared unescaped, values are
 * spans as they were sent.  Process: workers.
 */

#ifndef NGX_HTTP_STOA_URI_H
#define NGX_HTTP_STOA_URI_H


#include "ngx_http_stoa_ctx.h"


/* Builds ctx->call.rest. */
ngx_int_t ngx_http_stoa_uri(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
/* The request's own URI becomes the one that was judged. */
ngx_int_t ngx_http_stoa_uri_protect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* What it does not have in front of it, as it may be sent on: the client's
 * bytes, or the path that was judged, escaped. */
ngx_int_t ngx_http_stoa_uri_path(ngx_http_request_t *r, size_t prefix,
    ngx_uint_t keep, ngx_str_t *path);
/* Encoded slashes stay so in ctx->call.path, for an api that keeps them;
 * NGX_DECLINED: what is meant depends on who reads it. */
ngx_int_t ngx_http_stoa_uri_kept(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* Has it a segment that another server takes for a way up? */
ngx_uint_t ngx_http_stoa_uri_ambiguous(ngx_http_request_t *r);

/* Those that are sent on; and without the ones of a name. */
ngx_int_t ngx_http_stoa_uri_args(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *args);
ngx_int_t ngx_http_stoa_args_remove(ngx_pool_t *pool, ngx_str_t *args,
    const char *name, size_t len);

/* The host that was routed on, which in the absolute form of a request line is
 * not the header's, with its port. */
ngx_int_t ngx_http_stoa_uri_host(ngx_http_request_t *r, ngx_str_t *host);

/* The next argument of that name at or after *p; NGX_DECLINED: none. */
ngx_int_t ngx_http_stoa_args_next(u_char **p, u_char *last, const char *name,
    size_t len, ngx_str_t *value);


#endif /* NGX_HTTP_STOA_URI_H */
