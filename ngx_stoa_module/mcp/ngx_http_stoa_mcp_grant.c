
/*
 * The subscriptions from which follows what a caller may see.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_auth.h"


typedef struct {
    ngx_http_stoa_ctx_t         *ctx;
    ngx_http_stoa_mcp_grant_pt   take;
    void                        *data;
    ngx_http_stoa_mcp_grants_t  *all;
    ngx_http_stoa_mcp_grant_t    grant;
    int64_t                      now_ms;
} ngx_http_stoa_mcp_granting_t;


static ngx_int_t ngx_http_stoa_mcp_grant_sub(void *data, const void *rec);
static ngx_uint_t ngx_http_stoa_mcp_grant_target(
    ngx_http_stoa_mcp_granting_t *g);


ngx_int_t
ngx_http_stoa_mcp_each_grant(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_grant_pt take, void *data,
    ngx_http_stoa_mcp_grants_t *all)
{
    ngx_http_stoa_main_conf_t     *mcf;
    ngx_http_stoa_mcp_granting_t   g;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_memzero(&g, sizeof(g));
    ngx_memzero(all, sizeof(ngx_http_stoa_mcp_grants_t));

    g.ctx = ctx;
    g.take = take;
    g.data = data;
    g.all = all;
    g.grant.store = mcf->store;
    g.now_ms = ngx_http_stoa_now_ms();

    return ngx_http_stoa_auth_each_subscribed(mcf->store, ctx,
                                              ngx_http_stoa_mcp_grant_sub,
                                              &g);
}


static ngx_int_t
ngx_http_stoa_mcp_grant_sub(void *data, const void *rec)
{
    ngx_http_stoa_mcp_t            *mcp;
    ngx_http_stoa_mcp_granting_t   *g = data;
    const stoa_rec_subscription_t  *sub = rec;

    mcp = g->ctx->call.mcp;

    if (mcp->has_server
        && ngx_memcmp(&sub->target, &mcp->server, STOA_ID_LEN) != 0)
    {
        return NGX_OK;
    }

    if (sub->state != STOA_STATE_ACTIVE
        || (sub->expires_ms && sub->expires_ms <= g->now_ms))
    {
        /* refused by name when it is used, but not invisible */

        g->all->any |= mcp->has_server;
        return NGX_OK;
    }

    g->grant.sub = sub;

    if (ngx_http_stoa_store_plan(g->grant.store, &sub->plan) == NULL
        || !ngx_http_stoa_mcp_grant_target(g))
    {
        return NGX_OK;
    }

    if (sub->expires_ms
        && (g->all->until_ms == 0 || sub->expires_ms < g->all->until_ms))
    {
        g->all->until_ms = sub->expires_ms;
    }

    g->all->any = 1;

    return g->take(g->data, &g->grant);
}


static ngx_uint_t
ngx_http_stoa_mcp_grant_target(ngx_http_stoa_mcp_granting_t *g)
{
    const stoa_id_t            *tenant, *target;
    ngx_http_stoa_mcp_grant_t  *grant;

    grant = &g->grant;
    grant->api = NULL;
    grant->server = NULL;
    tenant = &g->ctx->call.mcp->endpoint_tenant;
    target = &grant->sub->target;

    if (grant->sub->target_kind == STOA_TARGET_SERVER) {
        grant->server = ngx_http_stoa_store_server(grant->store, target);

        return grant->server
               && ngx_memcmp(&grant->server->tenant, tenant, STOA_ID_LEN)
                  == 0;
    }

    grant->api = ngx_http_stoa_store_api(grant->store, target);

    return grant->api && grant->api->kind == STOA_API_MCP
           && ngx_memcmp(&grant->api->tenant, tenant, STOA_ID_LEN) == 0
           && ngx_http_stoa_auth_visible(grant->api, &g->ctx->tenant);
}
