
/*
 * Addresses of targets.  Literal ones and "localhost" are known at once; names
 * go through nginx's resolver and are kept in the target for their TTL.  After
 * it they are still used while a new answer is fetched, and when none comes;
 * a request waits only where no address is known, as long as for a connection,
 * and all that wait for one name give up together: the next one asks anew.
 *
 * Process: workers.  Lifetime: target->addrs is malloc'ed and replaced as a
 * whole at any event.  A request that waits is cancelled with its call; one in
 * the background holds the compiled api.
 */

#include "ngx_http_stoa_balance.h"


#define NGX_HTTP_STOA_RESOLVE_RETRY  5    /* s until a name is tried again, */
#define NGX_HTTP_STOA_RESOLVE_PAUSE  1000 /* ms if no address is known      */
#define NGX_HTTP_STOA_RESOLVE_MAX    32   /* addresses of one target        */


typedef struct {
    ngx_http_stoa_api_t     *api;
    ngx_http_stoa_target_t  *target;
    u_char                   name[STOA_HOST_MAX + 1];
} ngx_http_stoa_resolve_bg_t;


static ngx_int_t ngx_http_stoa_resolve_wait(ngx_http_stoa_resolve_t *w,
    ngx_http_stoa_target_t *target);
static void ngx_http_stoa_resolve_done(ngx_resolver_ctx_t *rctx);
static void ngx_http_stoa_resolve_wake(void *data);
static void ngx_http_stoa_resolve_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);
static void ngx_http_stoa_resolve_refresh(ngx_http_stoa_resolve_t *w,
    ngx_http_stoa_target_t *target);
static void ngx_http_stoa_resolve_refreshed(ngx_resolver_ctx_t *rctx);
static ngx_resolver_ctx_t *ngx_http_stoa_resolve_start(
    ngx_http_stoa_resolve_t *w, ngx_http_stoa_target_t *target);
static void ngx_http_stoa_resolve_update(ngx_http_stoa_target_t *target,
    ngx_resolver_ctx_t *rctx, ngx_log_t *log);


ngx_int_t
ngx_http_stoa_resolve(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    time_t                    now;
    ngx_int_t                 rc;
    ngx_uint_t                i, usable;
    ngx_http_stoa_api_t      *api;
    ngx_http_stoa_resolve_t  *w;

    api = ctx->call.api;
    now = ngx_time();
    usable = 0;

    for (i = 0; i < api->ntargets; i++) {
        usable += api->targets[i].naddrs;

        if (api->targets[i].valid && api->targets[i].valid <= now) {
            break;
        }
    }

    if (i == api->ntargets) {
        return usable ? NGX_OK : NGX_DECLINED;
    }

    w = ctx->call.resolve;

    if (w == NULL || w->api != api) {
        w = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_resolve_t));

        if (w == NULL
            || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_resolve_finish,
                                          w)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        w->api = api;
        w->pool = r->pool;
        w->log = r->connection->log;
        w->done = ngx_http_stoa_resolve_wake;
        w->data = ctx;
        ngx_http_stoa_via(r, &w->via);
        ctx->call.resolve = w;
    }

    rc = ngx_http_stoa_resolve_api(w);

    return rc == NGX_AGAIN ? ngx_http_stoa_ctx_suspend(r) : rc;
}


static void
ngx_http_stoa_resolve_wake(void *data)
{
    ngx_http_stoa_ctx_t *ctx = data;

    ngx_http_stoa_ctx_wake(ctx->request);
}


static void
ngx_http_stoa_resolve_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_resolve_cancel(data);
}


ngx_int_t
ngx_http_stoa_resolve_api(ngx_http_stoa_resolve_t *w)
{
    time_t                   now;
    ngx_int_t                rc;
    ngx_uint_t               i, usable;
    ngx_http_stoa_api_t     *api;
    ngx_http_stoa_target_t  *target;

    if (w->waiting) {
        return NGX_AGAIN;
    }

    api = w->api;
    now = ngx_time();
    usable = 0;

    for (i = 0; i < api->ntargets; i++) {
        usable += api->targets[i].naddrs;
    }

    for (i = 0; i < api->ntargets; i++) {
        target = &api->targets[i];

        if (target->valid == 0 || target->valid > now) {
            continue;
        }

        if (usable) {
            if (!target->refreshing) {
                ngx_http_stoa_resolve_refresh(w, target);
            }

            continue;
        }

        if (target->failed && ngx_current_msec - target->failed
                              < NGX_HTTP_STOA_RESOLVE_PAUSE)
        {
            continue;
        }

        rc = ngx_http_stoa_resolve_wait(w, target);

        if (rc != NGX_OK) {
            return rc;
        }

        usable += target->naddrs;
    }

    return usable ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_resolve_wait(ngx_http_stoa_resolve_t *w,
    ngx_http_stoa_target_t *target)
{
    ngx_resolver_ctx_t  *rctx;

    rctx = ngx_http_stoa_resolve_start(w, target);

    if (rctx == NULL) {
        return NGX_ERROR;
    }

    if (rctx == NGX_NO_RESOLVER) {
        return NGX_OK;
    }

    if (target->waiting == 0) {
        target->asked = ngx_current_msec;
    }

    rctx->timeout -= ngx_min(rctx->timeout - 1,
                             ngx_current_msec - target->asked);

    rctx->name.data = ngx_pstrdup(w->pool, &target->host);
    if (rctx->name.data == NULL) {
        ngx_resolve_name_done(rctx);
        return NGX_ERROR;
    }

    rctx->name.len = target->host.len;
    rctx->handler = ngx_http_stoa_resolve_done;
    rctx->data = w;

    w->resolver = rctx;
    w->target = target;
    w->waiting = 1;
    target->waiting++;

    if (ngx_resolve_name(rctx) != NGX_OK) {
        w->resolver = NULL;
        w->waiting = 0;
        target->waiting--;
        return NGX_ERROR;
    }

    return w->waiting ? NGX_AGAIN : NGX_OK;
}


static void
ngx_http_stoa_resolve_done(ngx_resolver_ctx_t *rctx)
{
    ngx_uint_t                async;
    ngx_http_stoa_resolve_t  *w;

    w = rctx->data;
    async = rctx->async;

    ngx_http_stoa_resolve_update(w->target, rctx, w->log);

    w->resolver = NULL;
    w->waiting = 0;
    w->target->waiting--;
    ngx_resolve_name_done(rctx);

    if (async) {
        w->done(w->data);
    }
}


void
ngx_http_stoa_resolve_cancel(ngx_http_stoa_resolve_t *w)
{
    if (w->resolver) {
        ngx_resolve_name_done(w->resolver);
        w->resolver = NULL;
        w->target->waiting--;
    }
}


/* Failing to start is no loss: what is known stays in use. */

static void
ngx_http_stoa_resolve_refresh(ngx_http_stoa_resolve_t *w,
    ngx_http_stoa_target_t *target)
{
    ngx_resolver_ctx_t          *rctx;
    ngx_http_stoa_resolve_bg_t  *bg;

    rctx = ngx_http_stoa_resolve_start(w, target);

    if (rctx == NULL || rctx == NGX_NO_RESOLVER) {
        return;
    }

    bg = ngx_alloc(sizeof(ngx_http_stoa_resolve_bg_t), ngx_cycle->log);
    if (bg == NULL) {
        ngx_resolve_name_done(rctx);
        return;
    }

    bg->api = w->api;
    bg->target = target;

    rctx->name.len = ngx_min(target->host.len, STOA_HOST_MAX);
    ngx_memcpy(bg->name, target->host.data, rctx->name.len);
    rctx->name.data = bg->name;

    rctx->handler = ngx_http_stoa_resolve_refreshed;
    rctx->data = bg;
    rctx->cancelable = 1;

    target->refreshing = 1;
    ngx_http_stoa_api_hold(w->api);

    if (ngx_resolve_name(rctx) != NGX_OK) {
        target->refreshing = 0;
        target->valid = ngx_time() + NGX_HTTP_STOA_RESOLVE_RETRY;
        ngx_http_stoa_api_release(w->api);
        ngx_free(bg);
    }
}


static void
ngx_http_stoa_resolve_refreshed(ngx_resolver_ctx_t *rctx)
{
    ngx_http_stoa_resolve_bg_t  *bg;

    bg = rctx->data;

    bg->target->refreshing = 0;
    ngx_http_stoa_resolve_update(bg->target, rctx, ngx_cycle->log);

    ngx_resolve_name_done(rctx);

    ngx_http_stoa_api_release(bg->api);
    ngx_free(bg);
}


static ngx_resolver_ctx_t *
ngx_http_stoa_resolve_start(ngx_http_stoa_resolve_t *w,
    ngx_http_stoa_target_t *target)
{
    ngx_resolver_ctx_t  *rctx;

    rctx = ngx_resolve_start(w->via.resolver, NULL);

    if (rctx == NGX_NO_RESOLVER) {
        ngx_log_error(NGX_LOG_ERR, w->log, 0,
                      "stoa: no \"resolver\" is defined to resolve the "
                      "upstream \"%V\"", &target->host);

        target->valid = ngx_time() + NGX_HTTP_STOA_RESOLVE_RETRY;

    } else if (rctx) {
        rctx->timeout = ngx_min(w->via.resolver_timeout,
                                w->api->rec->connect_timeout_ms);
    }

    return rctx;
}


/* Takes an answer over; health is kept for addresses that stay. */

static void
ngx_http_stoa_resolve_update(ngx_http_stoa_target_t *target,
    ngx_resolver_ctx_t *rctx, ngx_log_t *log)
{
    ngx_uint_t             i, j, n, max;
    ngx_http_stoa_addr_t  *addrs;

    target->valid = ngx_time() + NGX_HTTP_STOA_RESOLVE_RETRY;
    target->failed = 0;

    if (rctx->state || rctx->naddrs == 0) {

        if (target->naddrs == 0) {
            target->valid = ngx_time();
            target->failed = ngx_max(ngx_current_msec, 1);
        }

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "stoa: upstream \"%V\" could not be resolved (%i: %s)%s",
                      &target->host, rctx->state,
                      ngx_resolver_strerror(rctx->state),
                      target->naddrs ? ", using older addresses" : "");
        return;
    }

    max = ngx_min(rctx->naddrs, NGX_HTTP_STOA_RESOLVE_MAX);

    addrs = ngx_calloc(max * sizeof(ngx_http_stoa_addr_t), log);
    if (addrs == NULL) {
        return;
    }

    for (i = 0, n = 0; i < max; i++) {
        if (ngx_http_stoa_address_set(target, &addrs[n],
                                      rctx->addrs[i].sockaddr,
                                      rctx->addrs[i].socklen)
            != NGX_OK)
        {
            continue;
        }

        for (j = 0; j < target->naddrs; j++) {
            if (ngx_cmp_sockaddr(&addrs[n].sockaddr.sockaddr,
                                 addrs[n].socklen,
                                 &target->addrs[j].sockaddr.sockaddr,
                                 target->addrs[j].socklen, 1)
                == NGX_OK)
            {
                addrs[n].fails = target->addrs[j].fails;
                addrs[n].failed_at = target->addrs[j].failed_at;
            }
        }

        n++;
    }

    if (target->addrs) {
        ngx_free(target->addrs);
    }

    target->addrs = addrs;
    target->naddrs = n;
    target->next = 0;

    /* a TTL of 0 must not mean a query for each request */

    target->valid = ngx_max(rctx->valid, ngx_time() + 1);
}


void
ngx_http_stoa_via(ngx_http_request_t *r, ngx_http_stoa_via_t *via)
{
    ngx_module_t              *proxy;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_upstream_conf_t  *conf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    proxy = ngx_http_stoa_compat_proxy();

    via->resolver = clcf->resolver;
    via->resolver_timeout = clcf->resolver_timeout;
    via->ssl = NULL;

#if (NGX_HTTP_SSL)
    if (proxy) {
        conf = r->loc_conf[proxy->ctx_index];
        via->ssl = conf->ssl;
    }
#endif
}
