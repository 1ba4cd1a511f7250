/*
 * What limits took of a call goes back, or becomes what the call has cost.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_lease.h"


static void ngx_http_stoa_limits_settle(ngx_http_stoa_ctx_t *ctx,
    void *data);


/* A place among the concurrent ones it keeps, as long as it is. */

void
ngx_http_stoa_limits_free(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                         cost;
    ngx_uint_t                       i;
    ngx_http_stoa_took_t            *took;
    ngx_http_stoa_main_conf_t       *mcf;
    const ngx_http_stoa_attached_t  *quota;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    cost = ngx_http_stoa_limits_cost(ctx);
    quota = ctx->call.counted;

    if (ctx->call.token && ctx->call.leased[0].tag == 0) {
        ngx_http_stoa_rate_return(mcf, ctx->call.allowance, ctx->call.token,
                                  cost);
    }

    if (quota) {
        ngx_http_stoa_quota_return(mcf, ctx->call.allowance, quota->state,
                                   cost);
    }

    for (i = 0; i < 3; i++) {
        ngx_http_stoa_lease_settle(&ctx->call.leased[i], cost, 0);
    }

    for (took = ctx->call.limited_by; took; took = took->next) {
        took->back(mcf, took);
    }

    ctx->call.token = NULL;
    ctx->call.counted = NULL;
    ctx->call.limited_by = NULL;

    if (ctx->call.limited) {
        ctx->call.rate.remaining += cost;
    }

    for (i = 0; i < 3; i++) {
        ctx->call.left[i].remaining += ctx->call.left[i].known ? cost : 0;
    }
}


ngx_int_t
ngx_http_stoa_limits_settles(ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->call.cost_of == NULL || ctx->call.settles) {
        return NGX_OK;
    }

    ctx->call.settles = 1;

    return ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_limits_settle, NULL);
}


/* What the call has cost takes the place of what was taken for it. */

static void
ngx_http_stoa_limits_settle(ngx_http_stoa_ctx_t *ctx, void *data)
{
    uint64_t                         had, used;
    ngx_uint_t                       i;
    ngx_http_stoa_took_t            *took;
    ngx_http_stoa_main_conf_t       *mcf;
    const ngx_http_stoa_attached_t  *quota;

    if (ctx->call.cost_said == 0) {
        return;
    }

    mcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_stoa_module);
    had = ngx_http_stoa_limits_cost(ctx);
    used = ctx->call.cost_said - 1;
    quota = ctx->call.counted;

    for (took = ctx->call.limited_by; took; took = took->next) {
        if (took->settle) {
            took->settle(mcf, took, used);
        }
    }

    if (ctx->call.token && ctx->call.leased[0].tag == 0) {
        if (used < had) {
            ngx_http_stoa_rate_return(mcf, ctx->call.allowance,
                                      ctx->call.token, had - used);
        } else if (used > had) {
            ngx_http_stoa_rate_charge(mcf, ctx->call.allowance,
                                      ctx->call.token, used - had,
                                      NGX_HTTP_STOA_RATE_WAYS);
        }
    }

    if (quota && used < had) {
        ngx_http_stoa_quota_return(mcf, ctx->call.allowance, quota->state,
                                   had - used);
    } else if (quota && used > had) {
        ngx_http_stoa_quota_charge(mcf, ctx->call.allowance, quota->state,
                                   used - had);
    }

    for (i = 0; i < 3; i++) {
        ngx_http_stoa_lease_settle(&ctx->call.leased[i], had, used);
    }
}
