/*
 * Who calls, and may he: steps of a call, which return NGX_OK, NGX_AGAIN or a
 * status.
 *
 * Process: workers.
 */

#ifndef NGX_HTTP_STOA_AUTH_H
#define NGX_HTTP_STOA_AUTH_H


#include "ngx_http_stoa_ctx.h"


ngx_int_t ngx_http_stoa_auth(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
/* May callers of this tenant know of the api? */
ngx_uint_t ngx_http_stoa_auth_visible(const stoa_rec_api_t *rec,
    const stoa_id_t *tenant);
/* A call that was let in: would it be now?  Nothing is told or counted. */
ngx_uint_t ngx_http_stoa_auth_still(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx);
/* X-Stoa-Identity: a compact JWS, made for the call's api.  NGX_DECLINED:
 * there is no key to sign with. */
ngx_int_t ngx_http_stoa_identity(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *api, ngx_str_t *jws);
/* At the end of the process. */
void ngx_http_stoa_identity_exit(void);
ngx_int_t ngx_http_stoa_subscription(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *target);


#endif /* NGX_HTTP_STOA_AUTH_H */
