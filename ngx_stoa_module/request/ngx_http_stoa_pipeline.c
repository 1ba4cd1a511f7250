
/*
 * The pipeline: the steps of a request as rows of one table, suspension and
 * re-entry.
 *
 * It runs in PREACCESS, where "satisfy any" cannot skip it.  Process: workers.
 */


#include "ngx_http_stoa_mcp.h"


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

    if (ctx->call.passed) {

        /* an internal redirect: inside one protected api it is passed on; with
         * "stoa" the new URI is a call of its own */

        if (ctx->call.mcp || (slcf->mode == NGX_HTTP_STOA_PROTECT
                         && ngx_http_stoa_pipeline_inside(ctx, slcf)))
        {
            return NGX_DECLINED;
        }

        /* who calls is known, the credential no longer in the request */

        ngx_http_stoa_ctx_reset(ctx);

    } else if (ctx->call.refused) {

        /* an error_page that leads here: it stays refused */

        return ngx_http_stoa_refusals[ctx->call.refused - 1].status;
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
        ctx->call.passed = 1;
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

    while (!ctx->call.mcp_route && ngx_http_stoa_steps[ctx->call.step].run) {

        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "stoa step: %s",
                       ngx_http_stoa_steps[ctx->call.step].name);

        rc = ngx_http_stoa_steps[ctx->call.step].run(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        ctx->call.step++;
    }

    if (ctx->call.mcp_route) {
        return ngx_http_stoa_mcp(r, ctx);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_pipeline_subscription(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_subscription(r, ctx, &ctx->call.api->id);
}


static ngx_int_t
ngx_http_stoa_pipeline_forward(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->mode == NGX_HTTP_STOA_PROTECT) {
        return ngx_http_stoa_uri_protect(r, ctx) == NGX_OK
               ? ngx_http_stoa_headers(r, ctx) : NGX_ERROR;
    }

    return ngx_http_stoa_forward(r, ctx);
}
