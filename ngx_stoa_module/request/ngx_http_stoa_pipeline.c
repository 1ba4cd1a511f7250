
/*
 * The pipeline: finds the edge of a request and runs the rows of its table of
 * steps; suspension and re-entry.
 *
 * It runs in PREACCESS, where "satisfy any" cannot skip it.  Process: workers.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_trace.h"
#include "ngx_http_stoa_uri.h"


static ngx_int_t ngx_http_stoa_pipeline_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc);
static ngx_uint_t ngx_http_stoa_pipeline_inside(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_loc_conf_t *slcf);
static ngx_int_t ngx_http_stoa_pipeline_run(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_pipeline_withheld(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_main_conf_t *mcf, ngx_int_t rc);
static ngx_int_t ngx_http_stoa_pipeline_group(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_group_t *group);
static ngx_int_t ngx_http_stoa_pipeline_edge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_main_conf_t *mcf);
static ngx_int_t ngx_http_stoa_pipeline_subrequest(ngx_http_request_t *r);


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
        return ngx_http_stoa_pipeline_subrequest(r);
    }

    ctx = ngx_http_stoa_ctx_create(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->call.passed) {

        /* an internal redirect: inside one protected api it is passed on; with
         * "stoa" the new URI is a call of its own */

        if (slcf->mode == NGX_HTTP_STOA_PROTECT
            && ngx_http_stoa_pipeline_inside(ctx, slcf))
        {
            return NGX_DECLINED;
        }

        /* who calls is known, the credential no longer in the request */

        ngx_http_stoa_ctx_reset(ctx);

    } else if (ctx->call.refused) {

        /* an error_page that leads here: it stays refused */

        return ngx_http_stoa_refusals[ctx->call.refused - 1].status;

    } else if (ctx->call.content_waiting) {

        /* nginx has refused the body, and an error_page leads here */

        return ngx_http_stoa_refuse(r, r->err_status
                                       == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                                       ? NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE
                                       : NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                    NULL);
    }

    ctx->mode = slcf->mode;
    ctx->protect_tenant = slcf->tenant;
    ctx->protect_api = slcf->api;

    return ngx_http_stoa_pipeline_answer(r, ctx,
                                        ngx_http_stoa_pipeline_run(r, ctx));
}


ngx_int_t
ngx_http_stoa_pipeline_look(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

    if (slcf->mode != NGX_HTTP_STOA_FULL
        && slcf->mode != NGX_HTTP_STOA_PROTECT)
    {
        return NGX_DECLINED;
    }

    ctx->mode = slcf->mode;
    ctx->protect_tenant = slcf->tenant;
    ctx->protect_api = slcf->api;

    return ngx_http_stoa_pipeline_run(r, ctx);
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
        return ctx->call.opened && ctx->call.edge->late
               ? ctx->call.edge->late(r, ctx, rc) : rc;
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
    ngx_int_t                    rc;
    const stoa_rec_group_t      *group;
    const ngx_http_stoa_edge_t  *edge;
    const ngx_http_stoa_step_t  *step;
    ngx_http_stoa_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ctx->call.edge == NULL
        && ngx_http_stoa_conceal_ours(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mcf->store == NULL
        || ngx_http_stoa_store_enter(mcf->store) != NGX_OK
        || ngx_http_stoa_store_group(mcf->store, &group) != NGX_OK)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_READY, NULL);
    }

    if (group && group->hdr.withheld) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_WITHHELD, NULL);
    }

    if (mcf->trace_sample && ctx->call.edge == NULL) {
        ngx_http_stoa_trace_sample(r, ctx, mcf->trace_sample);
    }

    if (ctx->call.edge == NULL) {
        ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_DEFAULT,
                                mcf->policies->chain);

        if (group && ngx_http_stoa_pipeline_group(r, ctx, group) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_http_stoa_pipeline_edge(r, ctx, mcf);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    edge = ctx->call.edge;

    if (edge->enter) {
        rc = edge->enter(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    for (step = &edge->steps[ctx->call.step]; step->run; step++) {

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "stoa step: %V %s", &edge->name, step->name);

        (void) ngx_http_stoa_store_met_withheld(mcf->store);

        rc = ctx->trace ? ngx_http_stoa_trace_step(r, ctx, step)
                        : step->run(r, ctx);

        /* NGX_AGAIN: neither r nor ctx may be touched any more */

        if (rc != NGX_OK) {
            return rc == NGX_DONE
                   ? NGX_OK : ngx_http_stoa_pipeline_withheld(r, ctx, mcf, rc);
        }

        ctx->call.step++;
    }

    return NGX_OK;
}


/* What is not understood is not missing: a client would take it for the end of
 * its key, its subscription or the api. */

static ngx_int_t
ngx_http_stoa_pipeline_withheld(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_main_conf_t *mcf, ngx_int_t rc)
{
    if (rc != NGX_HTTP_UNAUTHORIZED && rc != NGX_HTTP_FORBIDDEN
        && rc != NGX_HTTP_NOT_FOUND)
    {
        return rc;
    }

    switch ((ngx_int_t) ctx->call.refused - 1) {

    case NGX_HTTP_STOA_REFUSE_NO_ROUTE:
    case NGX_HTTP_STOA_REFUSE_KEY_INVALID:
    case NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED:

        if (ngx_http_stoa_store_met_withheld(mcf->store)) {
            return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_WITHHELD,
                                        NULL);
        }
    }

    return rc;
}


static ngx_int_t
ngx_http_stoa_pipeline_group(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_group_t *group)
{
    ngx_http_stoa_chain_t  *chain;

    if (ngx_http_stoa_chain_get(r, group, &group->policies, &chain)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_GROUP, chain);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_pipeline_edge(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_main_conf_t *mcf)
{
    ngx_uint_t  i;

    if (ngx_http_stoa_uri_ambiguous(r)) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                    NULL);
    }

    for (i = 0; mcf->edges[i]; i++) {
        if (mcf->edges[i]->match(r, ctx)) {
            ctx->call.edge = mcf->edges[i];
            return NGX_OK;
        }
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
}


/*
 * What nginx asks for (an include, auth_request, a mirror) is for nobody in
 * particular: it passes where its main request has, and nowhere else.
 */

static ngx_int_t
ngx_http_stoa_pipeline_subrequest(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t       *ctx;
    ngx_http_stoa_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);
    ctx = ngx_http_stoa_ctx(r->main);

    if (ctx && ctx->call.passed && slcf->mode == NGX_HTTP_STOA_PROTECT
        && ngx_http_stoa_pipeline_inside(ctx, slcf))
    {
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "stoa: a subrequest for \"%V\" is refused: its main request "
                  "has not passed the same \"stoa_protect\"", &r->uri);

    return NGX_HTTP_FORBIDDEN;
}
