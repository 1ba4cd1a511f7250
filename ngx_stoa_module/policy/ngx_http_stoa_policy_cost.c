/*
 * cost: how much of its plan's rate and quotas a call uses up; limit/ takes
 * it.  Schema: core/stoa_policy_cost.h.
 *
 * Policies run the widest first, so that the last word is the narrowest's: a
 * plan's is about its own limits.  Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_policy_cost.h"


#define NGX_HTTP_STOA_COST_DIGITS  7


static ngx_int_t ngx_http_stoa_policy_cost_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_cost_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cost = {
    .name = "cost",
    .head = ngx_http_stoa_policy_cost_head,
    .response = ngx_http_stoa_policy_cost_response,
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

    if ((cost || conf->header.len) && ngx_http_stoa_policy_acts(a)) {
        ctx->call.cost = cost ? cost : ctx->call.cost;
        ctx->call.cost_of = conf->header.len ? a : ctx->call.cost_of;
    }

    return NGX_OK;
}


/* Of an answer of the upstream alone, whoever else has the header. */

static ngx_int_t
ngx_http_stoa_policy_cost_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                     n;
    stoa_str_t                    name;
    ngx_uint_t                    found;
    ngx_table_elt_t              *h;
    const stoa_policy_cost_t     *conf;
    ngx_http_stoa_header_walk_t   w;

    if (ctx->call.cost_of != a || !ctx->call.passed || ctx->call.refused) {
        return NGX_OK;
    }

    conf = a->config;
    name = stoa_rec_str(a->rec, conf->header);
    found = 0;
    n = NGX_ERROR;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part); h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash && ngx_http_stoa_header_equal(h, name.data, name.len)) {
            n = found++ || h->value.len > NGX_HTTP_STOA_COST_DIGITS
                ? NGX_ERROR : ngx_atoi(h->value.data, h->value.len);
            h->hash = conf->remove ? 0 : h->hash;
        }
    }

    if (n != NGX_ERROR && n <= (ngx_int_t) conf->max) {
        ctx->call.cost_said = (uint64_t) n + 1;

    } else {
        ngx_http_stoa_count(cost_unsaid, 1);
    }

    return NGX_OK;
}
