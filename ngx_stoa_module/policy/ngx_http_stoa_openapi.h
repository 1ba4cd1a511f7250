/*
 * What a call says, by the contract of its api's OpenAPI document.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#ifndef NGX_HTTP_STOA_OPENAPI_H
#define NGX_HTTP_STOA_OPENAPI_H


#include "ngx_http_stoa_policy.h"
#include "core/stoa_contract.h"


/* Which of the contract's operations are those of the record, by place: NULL
 * where it has none. */
void ngx_http_stoa_openapi_ops(const stoa_contract_t *c,
    const stoa_rec_api_t *rec, const stoa_contract_op_t **ops);

/* The parameters of a call.  NGX_DECLINED with words: one does not fit.
 * strict: the query has no others. */
ngx_int_t ngx_http_stoa_openapi_params(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_contract_t *c,
    const stoa_contract_op_t *op, ngx_uint_t strict, ngx_str_t *words);

/* A body by an entry of its schemas.  STOA_DECLINED with err. */
stoa_rc_t ngx_http_stoa_openapi_json(const stoa_contract_t *c,
    uint32_t schema, const ngx_str_t *body, stoa_err_t *err);


#endif /* NGX_HTTP_STOA_OPENAPI_H */
