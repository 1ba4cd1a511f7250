/*
 * What an api asks of each call, apart from who calls.
 *
 * Process: workers.  Each returns NGX_OK, a status, or NGX_ERROR.
 */

#ifndef NGX_HTTP_STOA_POLICY_H
#define NGX_HTTP_STOA_POLICY_H


#include "ngx_http_stoa.h"


/* The step of all edges: whatever is cheap to refuse. */
ngx_int_t ngx_http_stoa_screen(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* May this address call? */
ngx_uint_t ngx_http_stoa_policy_ip_allows(ngx_http_request_t *r,
    stoa_rec_api_t *rec);

/* Refuses a body that is longer, now or while nginx reads it. */
ngx_int_t ngx_http_stoa_policy_body_limit(ngx_http_request_t *r,
    uint64_t max);


#endif /* NGX_HTTP_STOA_POLICY_H */
