
/*
 * Where does a request go: the api, and the part of the path that is its own.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_uri.h"
#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_chain.h"


static const stoa_rec_api_t *ngx_http_stoa_route_name(ngx_http_request_t *r,
    const ngx_str_t *uri, size_t *prefix);
static const stoa_rec_api_t *ngx_http_stoa_route_path(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static const stoa_rec_api_t *ngx_http_stoa_route_protect(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_route_relative(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, size_t prefix);


ngx_int_t
ngx_http_stoa_route(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t                 prefix;
    ngx_int_t              rc;
    const stoa_rec_api_t  *rec;

    if (ctx->mode == NGX_HTTP_STOA_PROTECT) {
        rec = ngx_http_stoa_route_protect(r, ctx);

    } else if (r->uri.len >= 6 && ngx_memcmp(r->uri.data, "/apis/", 6) == 0) {
        rec = ngx_http_stoa_route_name(r, &r->uri, &prefix);

        if (rec) {
            ctx->call.by_name = 1;
            ctx->call.prefix_len = prefix;
            ngx_http_stoa_route_relative(r, ctx, prefix);
        }

    } else {
        rec = ngx_http_stoa_route_path(r, ctx);
    }

    if (rec == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    if (rec->hdr.withheld) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_WITHHELD, NULL);
    }

    ctx->call.api = ngx_http_stoa_api_get(r, rec);
    if (ctx->call.api == NULL) {
        return NGX_ERROR;
    }

    ctx->call.route_tenant = rec->tenant;
    ctx->call.subscribed = rec->id;
    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_API,
                            ctx->call.api->policies);

    if (!rec->keep_encoded_slashes || ctx->mode == NGX_HTTP_STOA_PROTECT) {
        return NGX_OK;
    }

    rc = ngx_http_stoa_uri_kept(r, ctx);

    return rc == NGX_DECLINED
           ? ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST, NULL)
           : rc;
}


/* /apis/<tenant>/<api>/...: what is before the rest is the gateway's own. */

static const stoa_rec_api_t *
ngx_http_stoa_route_name(ngx_http_request_t *r, const ngx_str_t *uri,
    size_t *prefix)
{
    u_char                     *tenant, *api, *p, *last;
    const stoa_rec_api_t       *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    tenant = uri->data + sizeof("/apis/") - 1;
    last = uri->data + uri->len;

    p = ngx_strlchr(tenant, last, '/');
    if (p == NULL) {
        return NULL;
    }

    api = p + 1;

    p = ngx_strlchr(api, last, '/');
    if (p == NULL) {
        p = last;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rec = ngx_http_stoa_store_api_by_name(mcf->store, (char *) tenant,
                                          api - 1 - tenant, (char *) api,
                                          p - api);

    *prefix = p - uri->data;

    return rec && rec->kind == STOA_API_REST ? rec : NULL;
}


const stoa_rec_api_t *
ngx_http_stoa_route_find(ngx_http_request_t *r, const ngx_str_t *path,
    ngx_uint_t *by_name)
{
    size_t                      prefix;
    const stoa_rec_api_t       *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    *by_name = path->len >= 6 && ngx_memcmp(path->data, "/apis/", 6) == 0;

    rec = *by_name
          ? ngx_http_stoa_route_name(r, path, &prefix)
          : ngx_http_stoa_store_api_by_path(mcf->store,
                                          (char *) r->headers_in.server.data,
                                          r->headers_in.server.len,
                                          (char *) path->data, path->len,
                                          &prefix);

    /* of the route itself, not of what is below it */

    return rec && rec->kind == STOA_API_REST && !rec->hdr.withheld
           && prefix == path->len ? rec : NULL;
}


static const stoa_rec_api_t *
ngx_http_stoa_route_path(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t                      prefix;
    const stoa_rec_api_t       *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rec = ngx_http_stoa_store_api_by_path(mcf->store,
                                          (char *) r->headers_in.server.data,
                                          r->headers_in.server.len,
                                          (char *) r->uri.data, r->uri.len,
                                          &prefix);

    if (rec == NULL || rec->kind != STOA_API_REST) {
        return NULL;
    }

    /* the slash of a base path "/" belongs to the rest */

    if (prefix == 1) {
        prefix = 0;
    }

    ctx->call.prefix_len = rec->strip_base_path ? prefix : 0;
    ngx_http_stoa_route_relative(r, ctx, prefix);

    return rec;
}


static const stoa_rec_api_t *
ngx_http_stoa_route_protect(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t                      len;
    stoa_str_t                  base;
    const stoa_rec_api_t       *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rec = ngx_http_stoa_store_api_by_name(mcf->store,
                                         (char *) ctx->protect_tenant.data,
                                         ctx->protect_tenant.len,
                                         (char *) ctx->protect_api.data,
                                         ctx->protect_api.len);

    /* nobody judges there which tool is called */

    if (rec == NULL || rec->kind != STOA_API_REST) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "stoa_protect: no REST api \"%V\" of tenant \"%V\"",
                      &ctx->protect_api, &ctx->protect_tenant);
        return NULL;
    }

    base = stoa_rec_str(rec, rec->base_path);
    len = base.len;

    if (len <= 1 || len > r->uri.len
        || ngx_memcmp(r->uri.data, base.data, len) != 0
        || (len < r->uri.len && r->uri.data[len] != '/'))
    {
        len = 0;
    }

    ngx_http_stoa_route_relative(r, ctx, len);

    return rec;
}


static void
ngx_http_stoa_route_relative(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    size_t prefix)
{
    ctx->call.path.data = r->uri.data + prefix;
    ctx->call.path.len = r->uri.len - prefix;

    if (ctx->call.path.len == 0) {
        ngx_str_set(&ctx->call.path, "/");
    }
}
