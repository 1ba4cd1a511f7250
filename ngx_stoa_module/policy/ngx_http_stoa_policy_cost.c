/*
 * cost: how much of its plan's rate and quotas a call uses up; limit/ takes
 * it.  Schema: core/stoa_policy_cost.h.
 *
 * Policies run the widest first, so that the last word is the narrowest's: a
 * plan's is about its own limits.  Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "core/stoa_policy_cost.h"


static ngx_int_t ngx_http_stoa_policy_cost_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cost = {
    .name = "cost",
    .head = ngx_http_stoa_policy_cost_head,
    .look = 1
};


static ngx_int_t
ngx_http_stoa_policy_cost_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    uint32_t                      i, cost;
    stoa_str_t                    api, tool, name;
    const stoa_rec_api_t         *rec;
    const stoa_policy_cost_t     *conf;
    const stoa_policy_cost_of_t  *of;

    conf = a->config;
    cost = conf->cost;
    of = stoa_rec_vec(a->rec, conf->weights, stoa_policy_cost_of_t);

    if (ctx->call.api && conf->weights.n) {
        rec = ctx->call.api->rec;
        name = stoa_rec_str(rec, rec->name);

        for (i = 0; i < conf->weights.n; i++) {
            api = stoa_rec_str(a->rec, of[i].api);
            tool = stoa_rec_str(a->rec, of[i].tool);

            if (api.len != name.len
                || ngx_memcmp(api.data, name.data, api.len) != 0)
            {
                continue;
            }

            if (tool.len == 0) {
                cost = of[i].cost;

            } else if (tool.len == ctx->call.tool_name.len
                       && ngx_memcmp(tool.data, ctx->call.tool_name.data,
                                     tool.len)
                          == 0)
            {
                cost = of[i].cost;
                break;
            }
        }
    }

    if (cost && ngx_http_stoa_policy_acts(a)) {
        ctx->call.cost = cost;
    }

    return NGX_OK;
}
