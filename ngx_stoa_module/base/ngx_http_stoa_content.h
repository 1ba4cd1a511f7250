/*
 * The body of a request, read as a whole: for who has to judge or change it
 * before it is sent on.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#ifndef NGX_HTTP_STOA_CONTENT_H
#define NGX_HTTP_STOA_CONTENT_H


#include "ngx_http_stoa_ctx.h"


/* For a step: reads it.  NGX_AGAIN: the step is run again when it is there;
 * a status. */
ngx_int_t ngx_http_stoa_content_read(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* One piece of memory, also what nginx put into a file; request_body->bufs
 * then is that piece.  NGX_DECLINED: it is longer than max. */
ngx_int_t ngx_http_stoa_content_gather(ngx_http_request_t *r, size_t max,
    ngx_str_t *body);


#endif /* NGX_HTTP_STOA_CONTENT_H */
