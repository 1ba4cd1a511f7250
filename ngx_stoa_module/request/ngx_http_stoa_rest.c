/*
 * The edge of REST: /apis/<tenant>/<api>/..., the base paths and hosts of
 * apis, and what stoa_protect stands before.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_repeat.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_uri.h"


static ngx_uint_t ngx_http_stoa_rest_match(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


static const ngx_http_stoa_step_t  ngx_http_stoa_rest_steps[] = {
    { "route",        ngx_http_stoa_looks(ngx_http_stoa_route) },
    { "conceal",      ngx_http_stoa_looks(ngx_http_stoa_conceal) },
    { "admit",        ngx_http_stoa_looks(ngx_http_stoa_policy_admit) },
    { "upgrade",      ngx_http_stoa_looks(ngx_http_stoa_upgrade) },
    { "authenticate", ngx_http_stoa_looks(ngx_http_stoa_policy_authn) },
    { "operation",    ngx_http_stoa_looks(ngx_http_stoa_operation) },
    { "subscription", ngx_http_stoa_looks(ngx_http_stoa_policy_access) },
    { "judge",        ngx_http_stoa_looks(ngx_http_stoa_policy_judge) },
    { "repeat",       ngx_http_stoa_repeat_step, NULL },
    { "cache",        ngx_http_stoa_cache_step, NULL },
    { "credential",   ngx_http_stoa_credential_step, NULL },
    { "forward",      ngx_http_stoa_rest_forward, NULL },
    { NULL,           NULL, NULL }
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

ngx_int_t
ngx_http_stoa_rest_resource(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *path, ngx_http_stoa_resource_t *res)
{
    stoa_str_t             text;
    ngx_uint_t             by_name;
    const stoa_rec_api_t  *rec;

    if (path) {
        rec = ngx_http_stoa_route_find(r, path, &by_name);

    } else {
        rec = ctx->call.api ? ctx->call.api->rec : NULL;
        by_name = ctx->call.by_name;
        path = &r->uri;
    }

    if (rec == NULL) {
        return NGX_DECLINED;
    }

    res->tenant = rec->tenant;
    res->rec = rec;
    res->policies = &rec->policies;

    text = stoa_rec_str(rec, rec->title);
    res->name.data = (u_char *) text.data;
    res->name.len = text.len;

    text = stoa_rec_str(rec, rec->base_path);

    if (by_name) {
        res->path.data = path->data;
        res->path.len = sizeof("/apis//") - 1 + rec->tenant_name.len
                        + rec->name.len;
        return NGX_OK;
    }

    res->path.data = (u_char *) text.data;
    res->path.len = text.len > 1 ? text.len : 0;

    text = stoa_rec_str(rec, rec->host);
    res->host.data = (u_char *) text.data;
    res->host.len = text.len;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_rest_forward(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->mode == NGX_HTTP_STOA_PROTECT) {
        return ngx_http_stoa_uri_protect(r, ctx) == NGX_OK
               ? ngx_http_stoa_headers(r, ctx) : NGX_ERROR;
    }

    return ngx_http_stoa_upstream_forward(r, ctx);
}
