/*
 * Policies of calls that last: a tunnel or a stream is judged when it begins,
 * and again each second by what is attached then.
 *
 * Process: workers.  Records are read in place: nothing is kept.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_store.h"


static ngx_uint_t ngx_http_stoa_policy_still_of(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t from, const void *rec,
    const stoa_vec_t *list);
static ngx_uint_t ngx_http_stoa_policy_still_row(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t from, const void *rec,
    const stoa_rec_policy_t *row);


/* A record that is gone is not judged here. */

#define ASK(from, rec, list)                                                  \
    ((rec) == NULL                                                            \
     || ngx_http_stoa_policy_still_of(r, ctx, NGX_HTTP_STOA_CHAIN_##from,     \
                                      rec, list))


ngx_uint_t
ngx_http_stoa_policy_still(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_store_t          *store;
    const stoa_rec_plan_t          *plan;
    const stoa_rec_group_t         *group;
    ngx_http_stoa_resource_t        res;
    ngx_http_stoa_main_conf_t      *mcf;
    const stoa_rec_application_t   *app;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    store = mcf->store;

    if (ngx_http_stoa_store_group(store, &group) != NGX_OK) {
        group = NULL;
    }

    ngx_memzero(&res, sizeof(ngx_http_stoa_resource_t));

    if (ctx->call.edge->resource) {
        (void) ctx->call.edge->resource(r, ctx, NULL, &res);
    }

    plan = ngx_http_stoa_store_plan(store, &ctx->call.plan);
    app = ngx_http_stoa_store_application(store, &ctx->application);

    return ASK(GROUP, group, &group->policies)
           && ASK(ENDPOINT, res.rec, res.policies)
           && (ctx->call.api == NULL
               || ngx_http_stoa_policy_still_api(r, ctx, &ctx->call.api->id))
           && ASK(PLAN, plan, &plan->policies)
           && ASK(APPLICATION, app, &app->policies);
}


ngx_uint_t
ngx_http_stoa_policy_still_api(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *api)
{
    const stoa_rec_api_t       *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    rec = ngx_http_stoa_store_api(mcf->store, api);

    return ASK(API, rec, &rec->policies);
}


/* What is attached to a record, and what its own fields ask for. */

static ngx_uint_t
ngx_http_stoa_policy_still_of(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t from, const void *rec, const stoa_vec_t *list)
{
    uint32_t                    i;
    const void                 *config;
    const stoa_rec_policy_t    *row;
    ngx_http_stoa_policies_t   *types;
    ngx_http_stoa_main_conf_t  *mcf;

    row = stoa_rec_vec(rec, *list, stoa_rec_policy_t);

    for (i = 0; i < list->n; i++) {
        if (!ngx_http_stoa_policy_still_row(r, ctx, from, rec, &row[i])) {
            return 0;
        }
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    types = mcf->policies;

    for (i = 0; i < types->n; i++) {
        config = types->policy[i]->still ? stoa_policy_own(types->type[i], rec)
                                         : NULL;

        if (config && !types->policy[i]->still(r, ctx, rec, config)) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_stoa_policy_still_row(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t from, const void *rec,
    const stoa_rec_policy_t *row)
{
    ngx_uint_t                  i;
    stoa_str_t                  tool;
    ngx_http_stoa_attached_t    a;
    ngx_http_stoa_policies_t   *types;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    types = mcf->policies;

    for (i = 0; i < types->n && types->type[i]->id != row->type; i++) {
        /* void */
    }

    if (i == types->n || types->policy[i]->still == NULL
        || row->state != STOA_POLICY_ENABLED)
    {
        return 1;
    }

    tool = stoa_rec_str(rec, row->tool);

    ngx_memzero(&a, sizeof(ngx_http_stoa_attached_t));
    a.operation = row->operation;
    a.one = row->scope == STOA_SCOPE_OPERATION;
    a.tool.data = (u_char *) tool.data;
    a.tool.len = tool.len;

    return !ngx_http_stoa_policy_applies(ctx, from, &a)
           || types->policy[i]->still(r, ctx, rec, (const u_char *) rec
                                                   + row->config.off);
}
