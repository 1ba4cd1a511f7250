/*
 * result-limit: the longest answer of an upstream.  Schema:
 * core/stoa_policy_result.h.
 *
 * The head notes the shortest limit in the call; whoever reads the answer asks
 * with the length that it has, or has so far.  Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_result.h"


static ngx_int_t ngx_http_stoa_policy_result_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_result = {
    .name = "result-limit",
    .on_way = 1,
    .head = ngx_http_stoa_policy_result_head,
    .look = 1
};


static uint64_t
ngx_http_stoa_policy_result_of(const ngx_http_stoa_attached_t *a)
{
    const stoa_policy_result_t  *conf;

    conf = a ? a->config : NULL;

    return conf ? conf->max_bytes : UINT64_MAX;
}


static ngx_int_t
ngx_http_stoa_policy_result_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    const void  **limit;

    (void) r;

    limit = a->shadow ? &ctx->call.result_shadow : &ctx->call.result;

    if (ngx_http_stoa_policy_result_of(a)
        < ngx_http_stoa_policy_result_of(*limit))
    {
        *limit = a;
    }

    return NGX_OK;
}


uint64_t
ngx_http_stoa_policy_result_max(ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_policy_result_of(ctx->call.result);
}


const char *
ngx_http_stoa_policy_result_over(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, uint64_t n)
{
    u_char                          *p;
    uint64_t                         max;
    const ngx_http_stoa_attached_t  *shadow;

    shadow = ctx->call.result_shadow;

    if (n > ngx_http_stoa_policy_result_of(shadow)) {
        ctx->call.result_shadow = NULL;                 /* counted once      */
        (void) ngx_http_stoa_policy_refuse(r, ctx, shadow,
                                           NGX_HTTP_STOA_REFUSE_RESULT);
    }

    max = ngx_http_stoa_policy_result_max(ctx);

    if (n <= max) {
        return NULL;
    }

    ngx_http_stoa_policy_count(ctx->call.result,
                               NGX_HTTP_STOA_OUTCOME_REFUSED);

    p = ngx_pnalloc(r->pool, sizeof("the limit is  bytes") + NGX_INT64_LEN);

    if (p == NULL) {
        return "the limit of the policy";
    }

    *ngx_sprintf(p, "the limit is %uL bytes", max) = '\0';

    return (char *) p;
}


ngx_int_t
ngx_http_stoa_policy_result_refuse(ngx_http_request_t *r, const char *words)
{
    u_char     *p;
    ngx_str_t   detail;

    detail = ngx_http_stoa_refusals[NGX_HTTP_STOA_REFUSE_RESULT].detail;

    p = ngx_pnalloc(r->pool, detail.len + 3 + ngx_strlen(words));

    if (p) {
        detail.len = ngx_sprintf(p, "%*s: %s.", detail.len - 1, detail.data,
                                 words)
                     - p;
        detail.data = p;
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_RESULT, &detail);
}
