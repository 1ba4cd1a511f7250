
/*
 * Where does a request go: the route step, the cheap rejects, the operation,
 * and the part of the URI that goes on to the upstream.
 *
 * Process: workers.  Lifetime: the request.
 */


#include "ngx_http_stoa.h"


static const stoa_rec_api_t *ngx_http_stoa_route_name(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static const stoa_rec_api_t *ngx_http_stoa_route_path(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static const stoa_rec_api_t *ngx_http_stoa_route_protect(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_route_relative(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, size_t prefix);
static ngx_uint_t ngx_http_stoa_screen_address(ngx_http_request_t *r,
    stoa_rec_api_t *rec);
static ngx_uint_t ngx_http_stoa_screen_match(stoa_rec_api_t *rec,
    stoa_vec_t *list, unsigned family, const uint8_t *addr);
static ngx_int_t ngx_http_stoa_screen_body(ngx_http_request_t *r,
    uint64_t max);
static ngx_int_t ngx_http_stoa_operation_off(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_operation_loose(ngx_http_request_t *r,
    ngx_str_t *path);


ngx_int_t
ngx_http_stoa_route(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    const stoa_rec_api_t  *rec;

    if (ctx->mode == NGX_HTTP_STOA_PROTECT) {
        rec = ngx_http_stoa_route_protect(r, ctx);

    } else if (r->uri.len >= 6 && ngx_memcmp(r->uri.data, "/apis/", 6) == 0) {
        rec = ngx_http_stoa_route_name(r, ctx);

    } else {
        rec = ngx_http_stoa_route_path(r, ctx);
    }

    if (rec == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    ctx->call.api = ngx_http_stoa_api_get(r, rec);
    if (ctx->call.api == NULL) {
        return NGX_ERROR;
    }

    ctx->call.route_tenant = rec->tenant;

    return NGX_OK;
}


/* /apis/<tenant>/<api>/...: what is before the rest is the gateway's own. */

static const stoa_rec_api_t *
ngx_http_stoa_route_name(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                     *tenant, *api, *p, *last;
    const stoa_rec_api_t       *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    tenant = r->uri.data + sizeof("/apis/") - 1;
    last = r->uri.data + r->uri.len;

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

    if (rec == NULL || rec->kind != STOA_API_REST) {
        return NULL;
    }

    ctx->call.by_name = 1;
    ctx->call.prefix_len = p - r->uri.data;
    ngx_http_stoa_route_relative(r, ctx, ctx->call.prefix_len);

    return rec;
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

    if (rec == NULL) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "stoa_protect: no api \"%V\" of tenant \"%V\"",
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


ngx_int_t
ngx_http_stoa_screen(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    stoa_rec_api_t             *rec;
    const stoa_rec_tenant_t    *tenant;
    ngx_http_stoa_main_conf_t  *mcf;

    rec = ctx->call.api->rec;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    tenant = ngx_http_stoa_store_tenant(mcf->store, &rec->tenant);

    if (tenant == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    if (tenant->state != STOA_STATE_ACTIVE) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_TENANT_SUSPENDED,
                                    NULL);
    }

    if ((rec->ip_allow.n || rec->ip_deny.n)
        && !ngx_http_stoa_screen_address(r, rec))
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_IP, NULL);
    }

    return ngx_http_stoa_screen_body(r, rec->max_body_bytes);
}


static ngx_uint_t
ngx_http_stoa_screen_address(ngx_http_request_t *r, stoa_rec_api_t *rec)
{
    unsigned              family;
    const uint8_t        *addr;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        family = 6;
        addr = sin6->sin6_addr.s6_addr;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            family = 4;
            addr += 12;
        }

        break;
#endif

    case AF_INET:
        family = 4;
        addr = (uint8_t *) &((struct sockaddr_in *) sa)->sin_addr;
        break;

    default:
        /* a unix socket is in no list */
        return rec->ip_allow.n == 0;
    }

    if (ngx_http_stoa_screen_match(rec, &rec->ip_deny, family, addr)) {
        return 0;
    }

    return rec->ip_allow.n == 0
           || ngx_http_stoa_screen_match(rec, &rec->ip_allow, family, addr);
}


static ngx_uint_t
ngx_http_stoa_screen_match(stoa_rec_api_t *rec, stoa_vec_t *list,
    unsigned family, const uint8_t *addr)
{
    uint32_t            i;
    const stoa_cidr_t  *cidr;

    cidr = stoa_rec_vec(rec, *list, stoa_cidr_t);

    for (i = 0; i < list->n; i++) {
        if (stoa_cidr_match(&cidr[i], family, addr)) {
            return 1;
        }
    }

    return 0;
}


/*
 * A body whose length is not known yet is limited while nginx reads it, by a
 * location configuration of this request's own.
 */

static ngx_int_t
ngx_http_stoa_screen_body(ngx_http_request_t *r, uint64_t max)
{
    void                      **conf;
    ngx_http_core_loc_conf_t   *clcf, *own;

    if (max == 0) {
        return NGX_OK;
    }

    if (r->headers_in.content_length_n >= 0) {
        if ((uint64_t) r->headers_in.content_length_n > max) {
            return ngx_http_stoa_refuse(r,
                                        NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
                                        NULL);
        }

        return NGX_OK;
    }

    if (!r->headers_in.chunked
#if (NGX_HTTP_V2)
        && r->stream == NULL
#endif
        && r->http_version < NGX_HTTP_VERSION_20)
    {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->client_max_body_size
        && (uint64_t) clcf->client_max_body_size <= max)
    {
        return NGX_OK;
    }

    conf = ngx_palloc(r->pool, sizeof(void *) * ngx_http_max_module);
    own = ngx_palloc(r->pool, sizeof(ngx_http_core_loc_conf_t));

    if (conf == NULL || own == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(conf, r->loc_conf, sizeof(void *) * ngx_http_max_module);
    *own = *clcf;

    own->client_max_body_size = max;
    conf[ngx_http_core_module.ctx_index] = own;
    r->loc_conf = conf;

    return NGX_OK;
}


/*
 * After authentication and visibility: what methods an api has is nobody's
 * business who may not see it.
 */

ngx_int_t
ngx_http_stoa_operation(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_uint_t            index;
    ngx_http_stoa_api_t  *api;

    api = ctx->call.api;

    if (api->nops == 0 && !api->rec->operations_only) {
        return NGX_OK;
    }

    /* a slash for some servers, and they are not known here */

    if (memchr(ctx->call.path.data, '\\', ctx->call.path.len)) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                    NULL);
    }

    if (api->off) {
        rc = ngx_http_stoa_operation_off(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    rc = ngx_http_stoa_api_operation(api, &r->method_name, &ctx->call.path,
                                     &index);

    if (rc == NGX_OK) {
        ctx->call.operation = index + 1;
        return NGX_OK;
    }

    if (!api->rec->operations_only) {
        return NGX_OK;
    }

    if (rc == NGX_ABORT) {
        if (ngx_http_stoa_api_allow(r, api, &ctx->call.path, &ctx->call.allow)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_METHOD, NULL);
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
}


/* Is it an operation that is switched off, as it is or for another server?
 * Then it is refused, whatever else the path is here; NGX_DECLINED: no. */

static ngx_int_t
ngx_http_stoa_operation_off(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                    path;
    ngx_uint_t                   i, index;
    const stoa_rec_operation_t  *ops;

    path = ctx->call.path;
    ops = stoa_rec_vec(ctx->call.api->rec, ctx->call.api->rec->operations,
                       stoa_rec_operation_t);

    for (i = 0; i < 2; i++) {

        if (i && ngx_http_stoa_operation_loose(r, &path) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_stoa_api_operation(ctx->call.api, &r->method_name, &path,
                                        &index)
            == NGX_OK && !ops[index].enabled)
        {
            return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE,
                                        NULL);
        }
    }

    return NGX_DECLINED;
}


/* The path for a server that cuts off parameters, more than one slash, and
 * dots and blanks at the end of a segment. */

static ngx_int_t
ngx_http_stoa_operation_loose(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char  *p, *last, *start, *dst;

    p = path->data;
    last = p + path->len;

    dst = ngx_pnalloc(r->pool, path->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    path->data = dst;

    while (p < last) {

        if (*p == '/') {
            p++;
            continue;
        }

        *dst++ = '/';

        for (start = dst; p < last && *p != '/' && *p != ';'; p++) {
            *dst++ = *p;
        }

        while (p < last && *p != '/') {
            p++;
        }

        while (dst > start && (dst[-1] == '.' || dst[-1] == ' ')) {
            dst--;
        }

        if (dst == start) {
            dst--;
        }
    }

    if (dst == path->data) {
        *dst++ = '/';
    }

    path->len = dst - path->data;

    return NGX_OK;
}
