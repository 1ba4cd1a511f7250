
/*
 * The dynamic upstream "stoa_upstream": nginx's proxy module asks it for
 * peers, it answers with the targets of the request's api
 * (ngx_http_stoa_peer.c).
 *
 * Process: configuration in the master, content in workers.
 */

#include "ngx_http_stoa_lane.h"
#include "ngx_http_stoa_edge.h"


static ngx_http_stoa_ctx_t *ngx_http_stoa_upstream_clone(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_upstream_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);


static ngx_str_t  ngx_http_stoa_upstream_name = ngx_string("stoa_upstream");


ngx_int_t
ngx_http_stoa_upstream_add(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf)
{
    ngx_url_t                      u;
    ngx_http_core_srv_conf_t      *cscf;
    ngx_http_stoa_loc_conf_t      *slcf;
    ngx_http_upstream_srv_conf_t  *us;

    /* errors before a location is found are this server's, and ours */

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    slcf = cscf->ctx->loc_conf[ngx_http_stoa_module.ctx_index];
    slcf->speaks = 1;

    if (mcf->upstream) {
        return NGX_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.host = ngx_http_stoa_upstream_name;
    u.no_resolve = 1;
    u.no_port = 1;

    us = ngx_http_upstream_add(cf, &u, NGX_HTTP_UPSTREAM_CREATE);
    if (us == NULL) {
        return NGX_ERROR;
    }

    us->peer.init_upstream = ngx_http_stoa_upstream_init;
    mcf->upstream = us;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_upstream_init(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    us->peer.init = ngx_http_stoa_peer_init;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_upstream_forward(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_uint_t            address, first;
    ngx_http_stoa_api_t  *api;

    rc = ngx_http_stoa_resolve(r, ctx);

    if (rc == NGX_AGAIN || rc == NGX_ERROR) {
        return rc;
    }

    ctx->call.to.target = NULL;
    first = ctx->call.to.first;
    api = ctx->call.api;

    if (api->split) {
        (void) ngx_http_stoa_split(r, ctx, api);
    }

    if (rc == NGX_OK && first && first <= api->ntargets
        && ngx_http_stoa_balance_pick(api, &api->targets[first - 1], NULL,
                                      NGX_HTTP_STOA_LEVEL_GOOD, &address))
    {
        ctx->call.to.target = &api->targets[first - 1];

    } else if (rc == NGX_OK) {
        ctx->call.to.target = ngx_http_stoa_balance_choose(api,
                                                           ctx->call.group,
                                                           NULL, &address);
    }

    if (ctx->call.to.target == NULL) {
        return ngx_http_stoa_target_refuse(r, ctx);
    }

    if (ctx->call.edge->uri && ctx->call.edge->uri(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_peer_address(r, ctx, ctx->call.to.target)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (api->mirror && ngx_http_stoa_mirror_before(r, api) != NGX_OK) {
        return NGX_ERROR;
    }

    /* an "if" in the location has the proxy module's own */

    if (r->content_handler) {
        r->content_handler = ngx_http_stoa_upstream_content;
    }

    return ngx_http_stoa_headers(r, ctx);
}


void
ngx_http_stoa_upstream_over(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status)
{
    if (ctx->call.api == NULL) {
        return;
    }

    if (ctx->call.group) {
        ngx_http_stoa_split_count(ctx, status);
    }

    if (ctx->call.api->mirror) {
        ngx_http_stoa_mirror(r, ctx);
    }
}


/*
 * A proxy_pass without URI and variables costs nothing: the proxy module sends
 * the request's own unparsed URI.  So it gets ours as that, until it has made
 * the request (ngx_http_stoa_peer_init).  $request_uri is evaluated
 * before, and nginx keeps its value.
 */

ngx_int_t
ngx_http_stoa_upstream_content(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL && r != r->main) {
        ctx = ngx_http_stoa_upstream_clone(r);
    }

    if (ctx == NULL || ctx->call.to.target == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ctx->call.api->grpc ? NGX_DECLINED : ngx_http_stoa_lane(r, ctx);

    return rc == NGX_DECLINED ? ngx_http_stoa_peer_proxy(r) : rc;
}


/*
 * nginx's own copies of a request begin here, behind all steps: the update of
 * a stale answer in the background, the next slice.  They go where the request
 * went that they were made for.
 */

static ngx_http_stoa_ctx_t *
ngx_http_stoa_upstream_clone(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx, *parent;

    parent = ngx_http_stoa_ctx(r->parent);

    if (parent == NULL || parent->call.to.target == NULL
        || parent->call.edge->once)
    {
        return NULL;
    }

    ctx = ngx_http_stoa_ctx_clone(parent);
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->call.to = parent->call.to;
    ctx->call.passed = 1;

    ngx_http_set_ctx(r, ctx, ngx_http_stoa_module);

    return ctx;
}
