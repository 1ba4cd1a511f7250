/*
 * Callers without a credential: an api or a server may name their plan.  They
 * are nobody's application; where a subscription is asked for they have one
 * that says so, and each network address has an allowance of its own.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_store.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_OPEN_SUBS     32
#define NGX_HTTP_STOA_OPEN_TENANTS  64


typedef struct {
    ngx_http_stoa_store_each_pt  cb;
    void                        *data;
} ngx_http_stoa_open_each_t;

/* Has a tenant anything that is open? */

typedef struct {
    stoa_id_t    tenant;
    uint64_t     generation;
    ngx_uint_t   open;
} ngx_http_stoa_open_tenant_t;


static const stoa_rec_subscription_t *ngx_http_stoa_open_sub(
    const stoa_id_t *target, ngx_uint_t kind, const stoa_id_t *plan);
static ngx_int_t ngx_http_stoa_open_api(void *data, const void *rec);
static ngx_int_t ngx_http_stoa_open_server(void *data, const void *rec);
static ngx_uint_t ngx_http_stoa_open_any(ngx_http_stoa_store_t *store,
    const stoa_rec_tenant_t *tenant);
static ngx_int_t ngx_http_stoa_open_found(void *data, const void *rec);


ngx_int_t
ngx_http_stoa_open(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_resource_t     res;
    const stoa_rec_tenant_t     *tenant;
    const stoa_rec_server_t     *server;
    ngx_http_stoa_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    ngx_memzero(&res, sizeof(ngx_http_stoa_resource_t));

    if (ctx->call.api) {

        if (ctx->call.api->rec->open_plan.c[0] == '\0') {
            return NGX_DECLINED;
        }

        res.tenant = ctx->call.api->rec->tenant;

    } else if (ctx->call.edge->resource == NULL
               || ctx->call.edge->resource(r, ctx, NULL, &res) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    tenant = ngx_http_stoa_store_tenant(mcf->store, &res.tenant);

    if (tenant == NULL || tenant->state != STOA_STATE_ACTIVE) {
        return NGX_DECLINED;
    }

    if (res.server.c[0]) {
        server = ngx_http_stoa_store_server(mcf->store, &res.server);

        if (server == NULL || server->open_plan.c[0] == '\0') {
            return NGX_DECLINED;
        }

    } else if (ctx->call.api == NULL
               && (res.within || !ngx_http_stoa_open_any(mcf->store, tenant)))
    {
        return NGX_DECLINED;
    }

    ctx->anonymous = 1;
    ctx->tenant = tenant->id;

    ngx_http_stoa_name(ctx->names[0], tenant, tenant->name,
                       &ctx->tenant_name);
    ngx_http_stoa_open_address(r, &ctx->principal);

    return NGX_OK;
}


const stoa_rec_subscription_t *
ngx_http_stoa_auth_subscribed(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *target)
{
    const stoa_rec_api_t     *api;
    const stoa_rec_server_t  *server;

    if (!ctx->anonymous) {
        return ngx_http_stoa_store_subscription(store, &ctx->application,
                                                target);
    }

    api = ngx_http_stoa_store_api(store, target);

    if (api) {
        return ngx_http_stoa_open_sub(target, STOA_TARGET_API,
                                      &api->open_plan);
    }

    server = ngx_http_stoa_store_server(store, target);

    return server ? ngx_http_stoa_open_sub(target, STOA_TARGET_SERVER,
                                           &server->open_plan)
                  : NULL;
}


/* One of a few at a time: good until so many others were asked for. */

static const stoa_rec_subscription_t *
ngx_http_stoa_open_sub(const stoa_id_t *target, ngx_uint_t kind,
    const stoa_id_t *plan)
{
    stoa_rec_subscription_t  *sub;

    static ngx_uint_t               n;
    static stoa_rec_subscription_t  subs[NGX_HTTP_STOA_OPEN_SUBS];

    if (plan->c[0] == '\0') {
        return NULL;
    }

    sub = &subs[n++ % NGX_HTTP_STOA_OPEN_SUBS];

    ngx_memzero(sub, sizeof(stoa_rec_subscription_t));
    sub->target = *target;
    sub->target_kind = (uint8_t) kind;
    sub->plan = *plan;
    sub->state = STOA_STATE_ACTIVE;

    return sub;
}


ngx_int_t
ngx_http_stoa_auth_each_subscribed(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_store_each_pt cb, void *data)
{
    ngx_int_t                  rc;
    ngx_http_stoa_open_each_t  each = { cb, data };

    if (!ctx->anonymous) {
        return ngx_http_stoa_store_each_subscription(store,
                                                     &ctx->application, cb,
                                                     data);
    }

    rc = ngx_http_stoa_store_each_of_tenant(store, STOA_REC_API,
                                            (char *) ctx->tenant_name.data,
                                            ctx->tenant_name.len,
                                            ngx_http_stoa_open_api, &each);

    return rc != NGX_OK ? rc
           : ngx_http_stoa_store_each_of_tenant(store, STOA_REC_SERVER,
                                             (char *) ctx->tenant_name.data,
                                             ctx->tenant_name.len,
                                             ngx_http_stoa_open_server,
                                             &each);
}


static ngx_int_t
ngx_http_stoa_open_api(void *data, const void *rec)
{
    const stoa_rec_api_t           *api;
    ngx_http_stoa_open_each_t      *each = data;
    const stoa_rec_subscription_t  *sub;

    api = rec;
    sub = api->hdr.withheld ? NULL
          : ngx_http_stoa_open_sub(&api->id, STOA_TARGET_API,
                                   &api->open_plan);

    return sub ? each->cb(each->data, sub) : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_open_server(void *data, const void *rec)
{
    const stoa_rec_server_t        *server;
    ngx_http_stoa_open_each_t      *each = data;
    const stoa_rec_subscription_t  *sub;

    server = rec;
    sub = ngx_http_stoa_open_sub(&server->id, STOA_TARGET_SERVER,
                                 &server->open_plan);

    return sub ? each->cb(each->data, sub) : NGX_OK;
}


/* Whoever has no credential asks: it is looked for once per configuration. */

static ngx_uint_t
ngx_http_stoa_open_any(ngx_http_stoa_store_t *store,
    const stoa_rec_tenant_t *tenant)
{
    uint64_t                      generation;
    stoa_str_t                    name;
    ngx_http_stoa_ctx_t           nobody;
    ngx_http_stoa_open_tenant_t  *known;

    static ngx_http_stoa_open_tenant_t  tenants[NGX_HTTP_STOA_OPEN_TENANTS];

    generation = ngx_http_stoa_store_generation(store);
    known = &tenants[stoa_hash64(&tenant->id, sizeof(stoa_id_t), 0)
                     % NGX_HTTP_STOA_OPEN_TENANTS];

    if (known->generation == generation
        && ngx_memcmp(&known->tenant, &tenant->id, sizeof(stoa_id_t)) == 0)
    {
        return known->open;
    }

    known->tenant = tenant->id;
    known->generation = generation;
    known->open = 0;

    ngx_memzero(&nobody, sizeof(ngx_http_stoa_ctx_t));
    name = stoa_rec_str(tenant, tenant->name);
    nobody.anonymous = 1;
    nobody.tenant_name.data = (u_char *) name.data;
    nobody.tenant_name.len = name.len;

    (void) ngx_http_stoa_auth_each_subscribed(store, &nobody,
                                              ngx_http_stoa_open_found,
                                              &known->open);

    return known->open;
}


static ngx_int_t
ngx_http_stoa_open_found(void *data, const void *rec)
{
    ngx_uint_t *open = data;

    (void) rec;

    *open = 1;

    return NGX_DONE;
}


/* Of an IPv6 address the network: a host has all of it to choose from. */

void
ngx_http_stoa_open_address(ngx_http_request_t *r, stoa_id_t *principal)
{
    size_t                len;
    uint64_t              h[2];
    const u_char         *addr;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;
    addr = NULL;
    len = 0;

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        addr = sin6->sin6_addr.s6_addr;
        len = 8;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            addr += 12;
            len = 4;
        }

        break;
#endif

    case AF_INET:
        addr = (u_char *) &((struct sockaddr_in *) sa)->sin_addr;
        len = 4;
    }

    h[0] = stoa_hash64(addr, len, 1);
    h[1] = stoa_hash64(addr, len, 2);

    ngx_memcpy(principal, h, sizeof(stoa_id_t));
}
