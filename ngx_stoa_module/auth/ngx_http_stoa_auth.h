/*
 * Who calls, and may he: rows of the policies.
 *
 * Process: workers.
 */

#ifndef NGX_HTTP_STOA_AUTH_H
#define NGX_HTTP_STOA_AUTH_H


#include "ngx_http_stoa_chain.h"
#include "ngx_http_stoa_store.h"


extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_key;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_subscription;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_identity;

/* Who has no credential may call this?  NGX_OK, and the context says so, or
 * NGX_DECLINED. */
ngx_int_t ngx_http_stoa_open(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
/* Of the client's network address: what those without a credential are. */
void ngx_http_stoa_open_address(ngx_http_request_t *r, stoa_id_t *principal);
/* The caller's subscription to an api or server; NULL: none.  Good while the
 * handler runs and few others are asked for. */
const stoa_rec_subscription_t *ngx_http_stoa_auth_subscribed(
    ngx_http_stoa_store_t *store, ngx_http_stoa_ctx_t *ctx,
    const stoa_id_t *target);
ngx_int_t ngx_http_stoa_auth_each_subscribed(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_store_each_pt cb, void *data);

/* May callers of this tenant know of the api? */
ngx_uint_t ngx_http_stoa_auth_visible(const stoa_rec_api_t *rec,
    const stoa_id_t *tenant);
/* A call that was let in: would it be now?  Nothing is told or counted. */
ngx_uint_t ngx_http_stoa_auth_still(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx);
/* Into the answer, for a proxy that asks; NGX_DECLINED: there is no key to
 * sign with. */
ngx_int_t ngx_http_stoa_identity_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* At the end of the process. */
void ngx_http_stoa_identity_exit(void);


#endif /* NGX_HTTP_STOA_AUTH_H */
