/*
 * What is asked of each call, apart from who calls: the policies that are
 * attached to what it is of, and the api's own fields.
 *
 * A policy is one file ngx_http_stoa_policy_<name>.c, a row in
 * ngx_http_stoa_module.c, and its schema in core/.
 *
 * Process: workers.  Each returns NGX_OK, a status, or NGX_ERROR.
 */

#ifndef NGX_HTTP_STOA_POLICY_H
#define NGX_HTTP_STOA_POLICY_H


#include "ngx_http_stoa_chain.h"


/* Steps of all edges: what is asked before authentication, and what is asked
 * when everything is known of the call. */
ngx_int_t ngx_http_stoa_policy_admit(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_policy_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* The request's headers are made, the answer's are. */
ngx_int_t ngx_http_stoa_policy_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_policy_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* For policies.  Counts that one did something; 0: it is a shadow, and does
 * not. */
ngx_uint_t ngx_http_stoa_policy_acts(const ngx_http_stoa_attached_t *a);
/* Counts, and refuses with a row of the refusals; NGX_OK in a shadow. */
ngx_int_t ngx_http_stoa_policy_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t what);

extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_body;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cors;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_headers;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_ip;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_locations;


/* The step of all edges: whatever is cheap to refuse. */
ngx_int_t ngx_http_stoa_screen(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* May this address call?  Lists of a record. */
ngx_uint_t ngx_http_stoa_policy_ip_allows(ngx_http_request_t *r,
    const void *rec, const stoa_vec_t *allow, const stoa_vec_t *deny);

/* Refuses a body that is longer, now or while nginx reads it. */
ngx_int_t ngx_http_stoa_policy_body_limit(ngx_http_request_t *r,
    uint64_t max);


#endif /* NGX_HTTP_STOA_POLICY_H */
