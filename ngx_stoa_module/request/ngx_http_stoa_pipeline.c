
/*
 * The pipeline: the steps of a request as rows of one table, the context that
 * they share, suspension and re-entry.
 *
 * It runs in PREACCESS, where "satisfy any" cannot skip it.  Process: workers.
 * Lifetime: the context is r->pool's; a cleanup record keeps it findable when
 * nginx forgets the module contexts (internal redirects).
 */


#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_digest.h"


typedef struct {
    const char   *name;
    ngx_int_t   (*run)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
} ngx_http_stoa_step_t;


static ngx_int_t ngx_http_stoa_pipeline_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc);
static ngx_uint_t ngx_http_stoa_pipeline_inside(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_loc_conf_t *slcf);
static ngx_int_t ngx_http_stoa_pipeline_run(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_pipeline_subscription(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_pipeline_forward(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_pipeline_reset(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_pipeline_release(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_http_stoa_ctx_t *ngx_http_stoa_pipeline_find(
    ngx_http_request_t *r);
static void ngx_http_stoa_pipeline_cleanup(void *data);


static const ngx_http_stoa_step_t  ngx_http_stoa_steps[] = {
    { "route",        ngx_http_stoa_route },
    { "conceal",      ngx_http_stoa_conceal },
    { "screen",       ngx_http_stoa_screen },
    { "authenticate", ngx_http_stoa_auth },
    { "operation",    ngx_http_stoa_operation },
    { "subscription", ngx_http_stoa_pipeline_subscription },
    { "limits",       ngx_http_stoa_limits },
    { "forward",      ngx_http_stoa_pipeline_forward },
    { NULL,           NULL }
};


ngx_int_t
ngx_http_stoa_pipeline_handler(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t       *ctx;
    ngx_http_stoa_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

    if (slcf->mode == NGX_HTTP_STOA_OFF) {
        return NGX_DECLINED;
    }

    if (r != r->main) {
        return ngx_http_stoa_mcp_subrequest(r);
    }

    ctx = ngx_http_stoa_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->passed) {

        /* an internal redirect: inside one protected api it is passed on; with
         * "stoa" the new URI is a call of its own */

        if (ctx->mcp || (slcf->mode == NGX_HTTP_STOA_PROTECT
                         && ngx_http_stoa_pipeline_inside(ctx, slcf)))
        {
            return NGX_DECLINED;
        }

        ngx_http_stoa_pipeline_reset(r, ctx);

    } else if (ctx->refused) {

        /* an error_page that leads here: it stays refused */

        return ngx_http_stoa_refusals[ctx->refused - 1].status;
    }

    ctx->mode = slcf->mode;
    ctx->protect_tenant = slcf->tenant;
    ctx->protect_api = slcf->api;

    return ngx_http_stoa_pipeline_answer(r, ctx,
                                        ngx_http_stoa_pipeline_run(r, ctx));
}


/* What the steps said, in nginx's terms. */

static ngx_int_t
ngx_http_stoa_pipeline_answer(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
        ctx->passed = 1;
        return NGX_DECLINED;

    case NGX_AGAIN:
    case NGX_DONE:
        /* r may be gone */
        return NGX_DONE;

    case NGX_ERROR:
    case NGX_DECLINED:
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_INTERNAL, NULL);

    case NGX_HTTP_OK:
        return ngx_http_stoa_refusal_send(r, ctx);

    default:
        return rc;
    }
}


static ngx_uint_t
ngx_http_stoa_pipeline_inside(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_loc_conf_t *slcf)
{
    return ctx->mode == NGX_HTTP_STOA_PROTECT
           && ctx->protect_tenant.len == slcf->tenant.len
           && ngx_memcmp(ctx->protect_tenant.data, slcf->tenant.data,
                         slcf->tenant.len) == 0
           && ctx->protect_api.len == slcf->api.len
           && ngx_memcmp(ctx->protect_api.data, slcf->api.data,
                         slcf->api.len) == 0;
}


static ngx_int_t
ngx_http_stoa_pipeline_run(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (mcf->store == NULL
        || ngx_http_stoa_store_enter(mcf->store) != NGX_OK)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_READY, NULL);
    }

    while (!ctx->mcp_route && ngx_http_stoa_steps[ctx->step].run) {

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "stoa step: %s", ngx_http_stoa_steps[ctx->step].name);

        rc = ngx_http_stoa_steps[ctx->step].run(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        ctx->step++;
    }

    if (ctx->mcp_route) {
        return ngx_http_stoa_mcp(r, ctx);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_pipeline_subscription(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_subscription(r, ctx, &ctx->api->id);
}


static ngx_int_t
ngx_http_stoa_pipeline_forward(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->mode == NGX_HTTP_STOA_PROTECT) {
        return ngx_http_stoa_headers(r, ctx);
    }

    return ngx_http_stoa_forward(r, ctx);
}


void
ngx_http_stoa_pipeline_wake(ngx_http_request_t *r)
{
    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


/*
 * Another protected location: everything is decided again, but who calls is
 * known, and the credential is no longer in the request.
 */

static void
ngx_http_stoa_pipeline_reset(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_pipeline_release(r, ctx);

    ctx->step = 0;
    ctx->passed = 0;
    ctx->refused = 0;
    ctx->limited = 0;
    ctx->api = NULL;
    ctx->operation = 0;
    ctx->prefix_len = 0;
    ctx->by_name = 0;
    ctx->target = NULL;
    ctx->headers_done = 0;
    ctx->mcp_route = 0;
    ngx_str_null(&ctx->policies);
}


static void
ngx_http_stoa_pipeline_release(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    void                       *handle;
    ngx_http_stoa_main_conf_t  *mcf;

    if (ctx->inflight == NULL) {
        return;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    handle = ctx->inflight;
    ctx->inflight = NULL;

    ngx_http_stoa_zone_release(mcf, handle);
}


ngx_http_stoa_ctx_t *
ngx_http_stoa_ctx(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        /* nginx has forgotten it at an internal redirect */

        ctx = ngx_http_stoa_pipeline_find(r);
    }

    return ctx;
}


static ngx_http_stoa_ctx_t *
ngx_http_stoa_pipeline_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_stoa_ctx_t  *ctx;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_stoa_pipeline_cleanup) {
            continue;
        }

        /* subrequests share the pool */

        ctx = cln->data;

        if (ctx->request == r) {
            return ctx;
        }
    }

    return NULL;
}


ngx_http_stoa_ctx_t *
ngx_http_stoa_ctx_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);
    if (ctx) {
        return ctx;
    }

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL) {
        cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_ctx_t));
        if (cln == NULL) {
            return NULL;
        }

        ctx = cln->data;
        ngx_memzero(ctx, NGX_HTTP_STOA_CTX_CLEARED);

        ctx->request = r;
        ctx->start_ns = ngx_http_stoa_now_ns();
        cln->handler = ngx_http_stoa_pipeline_cleanup;

        if (ngx_http_stoa_request_id(r, ctx) != NGX_OK) {
            return NULL;
        }
    }

    ngx_http_set_ctx(r, ctx, ngx_http_stoa_module);

    return ctx;
}


void
ngx_http_stoa_pipeline_exit(void)
{
    ngx_http_stoa_api_exit();
    ngx_http_stoa_keepalive_exit();
}


static void
ngx_http_stoa_pipeline_cleanup(void *data)
{
    ngx_http_stoa_ctx_t *ctx = data;

    ngx_http_stoa_pipeline_release(ctx->request, ctx);

    if (ctx->key.len) {
        ngx_explicit_memzero(ctx->key.data, ctx->key.len);
        ctx->key.len = 0;
    }
}
