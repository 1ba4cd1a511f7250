/*
 * May this application call this target: its subscription.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_refusal.h"


static const struct {
    ngx_uint_t               state;
    ngx_http_stoa_refuse_e   what;
} ngx_http_stoa_subscription_states[] = {
    { STOA_STATE_PENDING, NGX_HTTP_STOA_REFUSE_SUB_PENDING },
    { STOA_STATE_SUSPENDED, NGX_HTTP_STOA_REFUSE_SUB_SUSPENDED },
    { STOA_STATE_REVOKED, NGX_HTTP_STOA_REFUSE_SUB_REVOKED },
    { STOA_STATE_EXPIRED, NGX_HTTP_STOA_REFUSE_SUB_EXPIRED },
    { 0, NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED }
};


static ngx_int_t ngx_http_stoa_subscription(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_subscription_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_refuse_e what);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_subscription = {
    .name = "subscription",
    .head = ngx_http_stoa_subscription,
    .look = 1
};


static ngx_int_t
ngx_http_stoa_subscription(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_uint_t                      i;
    ngx_http_stoa_main_conf_t      *mcf;
    const stoa_rec_subscription_t  *sub;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    sub = ngx_http_stoa_auth_subscribed(mcf->store, ctx,
                                        &ctx->call.subscribed);

    if (sub == NULL && ctx->anonymous) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_MISSING,
                                    NULL);
    }

    if (sub == NULL) {
        return ngx_http_stoa_subscription_refuse(r, ctx,
                                       NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED);
    }

    ctx->call.subscription = sub->id;
    ctx->call.plan = sub->plan;

    if (sub->state != STOA_STATE_ACTIVE) {

        for (i = 0; ngx_http_stoa_subscription_states[i].state; i++) {
            if (ngx_http_stoa_subscription_states[i].state == sub->state) {
                break;
            }
        }

        return ngx_http_stoa_subscription_refuse(r, ctx,
                                   ngx_http_stoa_subscription_states[i].what);
    }

    if (sub->expires_ms && sub->expires_ms <= ngx_http_stoa_now_ms()) {
        return ngx_http_stoa_subscription_refuse(r, ctx,
                                           NGX_HTTP_STOA_REFUSE_SUB_EXPIRED);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_stoa_auth_still(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx)
{
    int64_t                         now;
    const stoa_rec_api_t           *api;
    const stoa_rec_tenant_t        *tenant, *publisher;
    const stoa_rec_credential_t    *cred;
    const stoa_rec_application_t   *app;
    const stoa_rec_subscription_t  *sub;

    now = ngx_http_stoa_now_ms();

    cred = ngx_http_stoa_store_credential(store, &ctx->credential);
    app = ngx_http_stoa_store_application(store, &ctx->application);
    tenant = ngx_http_stoa_store_tenant(store, &ctx->tenant);
    publisher = ngx_http_stoa_store_tenant(store, &ctx->call.route_tenant);
    sub = ngx_http_stoa_auth_subscribed(store, ctx, &ctx->call.subscribed);

    if (ctx->anonymous ? 0
        : ctx->token ? !ngx_http_stoa_token_still(store, ctx)
        : cred == NULL
          || (cred->state != STOA_STATE_ACTIVE
              && cred->state != STOA_STATE_ROTATING)
          || (cred->expires_ms && cred->expires_ms <= now))
    {
        return 0;
    }

    if (tenant == NULL || publisher == NULL
        || (!ctx->anonymous
            && (app == NULL || app->state != STOA_STATE_ACTIVE))
        || tenant->state != STOA_STATE_ACTIVE
        || publisher->state != STOA_STATE_ACTIVE)
    {
        return 0;
    }

    /* not every message of MCP is to one api or server */

    if (ctx->call.subscribed.c[0]
        && (sub == NULL || sub->state != STOA_STATE_ACTIVE
            || (sub->expires_ms && sub->expires_ms <= now)))
    {
        return 0;
    }

    api = ctx->call.api
          ? ngx_http_stoa_store_api(store, &ctx->call.api->id) : NULL;

    return ctx->call.api == NULL
           || (api && ngx_http_stoa_auth_visible(api, &ctx->tenant));
}


/* Who reads it has several applications, and asks the publisher by name. */

static ngx_int_t
ngx_http_stoa_subscription_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_refuse_e what)
{
    u_char                     *p;
    size_t                      len;
    ngx_str_t                   detail;
    stoa_str_t                  tenant, name;
    const ngx_str_t            *text;
    const stoa_rec_api_t       *api;
    const stoa_rec_server_t    *server;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    api = ngx_http_stoa_store_api(mcf->store, &ctx->call.subscribed);
    server = api ? NULL
                 : ngx_http_stoa_store_server(mcf->store,
                                              &ctx->call.subscribed);

    if (api) {
        tenant = stoa_rec_str(api, api->tenant_name);
        name = stoa_rec_str(api, api->name);

    } else if (server) {
        tenant = stoa_rec_str(server, server->tenant_name);
        name = stoa_rec_str(server, server->name);

    } else {
        return ngx_http_stoa_refuse(r, what, NULL);
    }

    text = &ngx_http_stoa_refusals[what].detail;
    len = text->len + sizeof(" Application: /; :  /.") + 6
          + ctx->tenant_name.len + ctx->application_name.len + tenant.len
          + name.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    detail.data = p;
    p = ngx_snprintf(p, len, "%V Application: %V/%V; %s: %*s/%*s.", text,
                     &ctx->tenant_name, &ctx->application_name,
                     api ? "API" : "server", tenant.len, tenant.data,
                     name.len, name.data);
    detail.len = (size_t) (p - detail.data);

    return ngx_http_stoa_refuse(r, what, &detail);
}
