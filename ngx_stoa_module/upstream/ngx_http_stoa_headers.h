/*
 * The headers of a request on their way to the upstream, and of its answer on
 * the way back: what stays here.  Process: workers.  Lifetime: a request.
 */

#ifndef NGX_HTTP_STOA_HEADERS_H
#define NGX_HTTP_STOA_HEADERS_H


#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_edge.h"


/* What the walk over the client's headers finds. */

typedef struct {
    ngx_str_t    traceparent;
    ngx_str_t    proto;                 /* of a proxy that is believed      */
    size_t       forwarded_len;
    ngx_uint_t   states;                /* headers with a trace's state     */
    ngx_uint_t   full;                  /* we are the proxy                 */
    ngx_uint_t   steered;               /* the path decides what is allowed */
    ngx_uint_t   options;               /* there is a Connection            */
    ngx_uint_t   trusted;               /* 0: nobody has asked, 1: no       */
} ngx_http_stoa_headers_found_t;


/* A new list of those that are kept, with room for `own` more.  NGX_DECLINED:
 * they are in no order. */
ngx_int_t ngx_http_stoa_scrub_request(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t own,
    ngx_http_stoa_headers_found_t *found);


#endif /* NGX_HTTP_STOA_HEADERS_H */
