/*
 * The edge of REST: /apis/<tenant>/<api>/..., the base paths and hosts of
 * apis, and what stoa_protect stands before.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_uri.h"


static ngx_uint_t ngx_http_stoa_rest_match(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_rest_resource(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_resource_t *res);
static ngx_int_t ngx_http_stoa_rest_forward(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


static const ngx_http_stoa_step_t  ngx_http_stoa_rest_steps[] = {
    { "route",        ngx_http_stoa_route },
    { "conceal",      ngx_http_stoa_conceal },
    { "admit",        ngx_http_stoa_policy_admit },
    { "upgrade",      ngx_http_stoa_upgrade },
    { "authenticate", ngx_http_stoa_policy_authn },
    { "operation",    ngx_http_stoa_operation },
    { "subscription", ngx_http_stoa_policy_access },
    { "judge",        ngx_http_stoa_policy_judge },
    { "forward",      ngx_http_stoa_rest_forward },
    { NULL,           NULL }
};


const ngx_http_stoa_edge_t  ngx_http_stoa_rest_edge = {
    .name = ngx_string("rest"),
    .steps = ngx_http_stoa_rest_steps,
    .match = ngx_http_stoa_rest_match,
    .resource = ngx_http_stoa_rest_resource,
    .uri = ngx_http_stoa_uri
};


/* What is no other edge's. */

static ngx_uint_t
ngx_http_stoa_rest_match(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return 1;
}


/* The api, by the name under which it was called. */

static void
ngx_http_stoa_rest_resource(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_resource_t *res)
{
    stoa_str_t             base, host;
    const stoa_rec_api_t  *rec;

    if (ctx->call.api == NULL) {
        return;
    }

    rec = ctx->call.api->rec;
    base = stoa_rec_str(rec, rec->base_path);
    host = stoa_rec_str(rec, rec->host);

    res->tenant = rec->tenant;

    if (ctx->call.by_name) {
        res->path.data = r->uri.data;
        res->path.len = ctx->call.prefix_len;

    } else {
        res->path.data = (u_char *) base.data;
        res->path.len = base.len > 1 ? base.len : 0;
        res->host.data = (u_char *) host.data;
        res->host.len = host.len;
    }
}


static ngx_int_t
ngx_http_stoa_rest_forward(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->mode == NGX_HTTP_STOA_PROTECT) {
        return ngx_http_stoa_uri_protect(r, ctx) == NGX_OK
               ? ngx_http_stoa_headers(r, ctx) : NGX_ERROR;
    }

    return ngx_http_stoa_upstream_forward(r, ctx);
}
