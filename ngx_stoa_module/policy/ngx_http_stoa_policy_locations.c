/*
 * response-locations: what an upstream says of its own address becomes the
 * public one.  Schema: core/stoa_policy_locations.h.
 *
 * What is mapped is told as a path: it is right behind whatever stands before
 * this nginx.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_policy_locations.h"


typedef struct {
    ngx_http_request_t                *r;
    ngx_http_stoa_ctx_t               *ctx;
    const ngx_http_stoa_attached_t    *a;
    const stoa_policy_locations_t     *conf;
    ngx_str_t                          prefix;  /* public, of the api        */
} ngx_http_stoa_locations_t;


static ngx_int_t ngx_http_stoa_locations_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_locations_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_locations_header(ngx_http_stoa_locations_t *l,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_stoa_locations_refresh(
    ngx_http_stoa_locations_t *l, ngx_str_t *value, ngx_str_t *out);
static ngx_int_t ngx_http_stoa_locations_map(ngx_http_stoa_locations_t *l,
    ngx_str_t *url, ngx_str_t *out);
static ngx_http_stoa_target_t *ngx_http_stoa_locations_target(
    ngx_http_stoa_locations_t *l, ngx_str_t *origin, ngx_uint_t tls);
static ngx_uint_t ngx_http_stoa_locations_same(ngx_http_stoa_target_t *t,
    ngx_str_t *host, ngx_uint_t tls);
static ngx_uint_t ngx_http_stoa_locations_below(ngx_str_t *path,
    ngx_str_t *base);
static ngx_int_t ngx_http_stoa_locations_join(ngx_http_stoa_locations_t *l,
    u_char *rest, size_t len, ngx_str_t *out);
static ngx_int_t ngx_http_stoa_locations_cookie(ngx_http_stoa_locations_t *l,
    ngx_str_t *value, ngx_str_t *out);
static ngx_int_t ngx_http_stoa_locations_attribute(
    ngx_http_stoa_locations_t *l, ngx_str_t *v);
static ngx_int_t ngx_http_stoa_locations_path(ngx_http_stoa_locations_t *l,
    ngx_str_t *path);
static ngx_uint_t ngx_http_stoa_locations_host(ngx_http_stoa_locations_t *l,
    ngx_str_t *domain);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_locations = {
    .name = "response-locations",
    .on_way = 1,
    .upstream = ngx_http_stoa_locations_upstream,
    .response = ngx_http_stoa_locations_response
};


/* X-Forwarded-Prefix, for upstreams that make their own links; behind that of
 * a proxy before this one that is believed. */

static ngx_int_t
ngx_http_stoa_locations_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    u_char                       *p;
    ngx_str_t                     prefix, value;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   walk;

    static ngx_http_stoa_header_name_t  name = {
        ngx_string("X-Forwarded-Prefix"), ngx_string("x-forwarded-prefix"), 0
    };

    if (ctx->call.prefix_len == 0 || ctx->mode != NGX_HTTP_STOA_FULL
        || ctx->call.edge->uri == NULL || a->shadow)
    {
        return NGX_OK;
    }

    prefix.data = r->uri.data;
    prefix.len = ctx->call.prefix_len;

    if (!ctx->call.claims) {
        return ngx_http_stoa_header_push(&r->headers_in.headers, &name,
                                         &prefix);
    }

    for (h = ngx_http_stoa_header_first(&walk, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&walk))
    {
        if (!ngx_http_stoa_header_is(h, "x-forwarded-prefix")) {
            continue;
        }

        value = h->value;

        while (value.len && value.data[value.len - 1] == '/') {
            value.len--;
        }

        p = ngx_pnalloc(r->pool, value.len + prefix.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        h->value.data = p;
        p = ngx_cpymem(p, value.data, value.len);
        p = ngx_cpymem(p, prefix.data, prefix.len);
        h->value.len = p - h->value.data;

        return NGX_OK;
    }

    return ngx_http_stoa_header_push(&r->headers_in.headers, &name, &prefix);
}


static ngx_int_t
ngx_http_stoa_locations_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_locations_t     l;
    ngx_http_stoa_header_walk_t   walk;

    if ((r->upstream == NULL && !ctx->call.from_cache)
        || ctx->call.to.target == NULL
        || ctx->mode != NGX_HTTP_STOA_FULL || ctx->call.edge->uri == NULL
        || ctx->call.prefix_len > r->uri.len)
    {
        return NGX_OK;
    }

    l.r = r;
    l.ctx = ctx;
    l.a = a;
    l.conf = a->config;
    l.prefix.data = r->uri.data;
    l.prefix.len = ctx->call.prefix_len;

    for (h = ngx_http_stoa_header_first(&walk, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&walk))
    {
        switch (h->key.len) {

        case sizeof("Refresh") - 1:
        case sizeof("Location") - 1:
        case sizeof("Set-Cookie") - 1:
        case sizeof("Content-Location") - 1:

            if (h->hash && ngx_http_stoa_locations_header(&l, h) == NGX_ERROR)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_locations_header(ngx_http_stoa_locations_t *l,
    ngx_table_elt_t *h)
{
    ngx_int_t  rc;
    ngx_str_t  out;

    if (ngx_http_stoa_header_named(h, "location")
        || ngx_http_stoa_header_named(h, "content-location"))
    {
        rc = ngx_http_stoa_locations_map(l, &h->value, &out);

    } else if (ngx_http_stoa_header_named(h, "refresh")) {
        rc = ngx_http_stoa_locations_refresh(l, &h->value, &out);

    } else if (l->conf->cookies
               && ngx_http_stoa_header_named(h, "set-cookie"))
    {
        rc = ngx_http_stoa_locations_cookie(l, &h->value, &out);

    } else {
        return NGX_OK;
    }

    if (rc != NGX_OK || !ngx_http_stoa_policy_acts(l->a)) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    h->value = out;

    /* nginx makes a path absolute, with its own idea of the address */

    if (h == l->r->headers_out.location) {
        l->r->headers_out.location = NULL;
    }

    return NGX_OK;
}


/* 5; url=http://... */

static ngx_int_t
ngx_http_stoa_locations_refresh(ngx_http_stoa_locations_t *l,
    ngx_str_t *value, ngx_str_t *out)
{
    u_char     *p, *last;
    ngx_int_t   rc;
    ngx_str_t   url, to;

    last = value->data + value->len;
    p = ngx_strlcasestrn(value->data, last, (u_char *) "url=", 4 - 1);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    url.data = p + 4;

    if (url.data < last && (*url.data == '"' || *url.data == '\'')) {
        url.data++;
        last -= (last > url.data && last[-1] == url.data[-1]);
    }

    url.len = last - url.data;

    rc = ngx_http_stoa_locations_map(l, &url, &to);
    if (rc != NGX_OK) {
        return rc;
    }

    out->data = ngx_pnalloc(l->r->pool, value->len + to.len);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(out->data, value->data, url.data - value->data);
    p = ngx_cpymem(p, to.data, to.len);
    p = ngx_cpymem(p, last, value->data + value->len - last);
    out->len = p - out->data;

    return NGX_OK;
}


/* NGX_DECLINED: it is not the upstream's, or relative. */

static ngx_int_t
ngx_http_stoa_locations_map(ngx_http_stoa_locations_t *l, ngx_str_t *url,
    ngx_str_t *out)
{
    u_char                  *p, *last;
    ngx_str_t                host, path;
    ngx_uint_t               tls;
    ngx_http_stoa_target_t  *target;

    p = url->data;
    last = p + url->len;
    target = l->ctx->call.to.target;
    tls = target->tls;

    if (url->len > 7 && ngx_strncasecmp(p, (u_char *) "http://", 7) == 0) {
        p += 7;
        tls = 0;

    } else if (url->len > 8
               && ngx_strncasecmp(p, (u_char *) "https://", 8) == 0)
    {
        p += 8;
        tls = 1;

    } else if (url->len > 2 && p[0] == '/' && p[1] == '/') {
        p += 2;

    } else if (url->len == 0 || p[0] != '/') {
        return NGX_DECLINED;
    }

    if (p > url->data) {
        host.data = p;

        while (p < last && *p != '/' && *p != '?' && *p != '#') {
            p++;
        }

        host.len = p - host.data;
        target = ngx_http_stoa_locations_target(l, &host, tls);

        if (target == NULL) {
            return NGX_DECLINED;
        }
    }

    path.data = p;
    path.len = last - p;

    if (!ngx_http_stoa_locations_below(&path, &target->path)) {
        return NGX_DECLINED;
    }

    return ngx_http_stoa_locations_join(l, path.data + target->path.len,
                                        path.len - target->path.len, out);
}


/* The target that has this host and port; for an origin of `inside` the one
 * that has answered. */

static ngx_http_stoa_target_t *
ngx_http_stoa_locations_target(ngx_http_stoa_locations_t *l, ngx_str_t *host,
    ngx_uint_t tls)
{
    size_t                   scheme;
    uint32_t                 i;
    ngx_uint_t               n;
    stoa_str_t               s;
    const stoa_ref_t        *inside;
    ngx_http_stoa_api_t     *api;

    api = l->ctx->call.api;

    if (ngx_http_stoa_locations_same(l->ctx->call.to.target, host, tls)) {
        return l->ctx->call.to.target;
    }

    for (n = 0; n < api->ntargets; n++) {
        if (ngx_http_stoa_locations_same(&api->targets[n], host, tls)) {
            return &api->targets[n];
        }
    }

    inside = stoa_rec_vec(l->a->rec, l->conf->inside, stoa_ref_t);
    scheme = tls ? 8 : 7;

    for (i = 0; i < l->conf->inside.n; i++) {
        s = stoa_rec_str(l->a->rec, inside[i]);

        if (s.len == scheme + host->len
            && ngx_memcmp(s.data, tls ? "https://" : "http://", scheme) == 0
            && ngx_strncasecmp((u_char *) s.data + scheme, host->data,
                               host->len)
               == 0)
        {
            return l->ctx->call.to.target;
        }
    }

    return NULL;
}


/* By its address, or by the Host it was sent; with or without a port that goes
 * without saying. */

static ngx_uint_t
ngx_http_stoa_locations_same(ngx_http_stoa_target_t *t, ngx_str_t *host,
    ngx_uint_t tls)
{
    u_char      *p, *last;
    size_t       len;
    ngx_int_t    port;
    ngx_uint_t   six;

    if (host->len == t->host_header.len && tls == t->tls
        && ngx_strncasecmp(host->data, t->host_header.data, host->len) == 0)
    {
        return 1;
    }

    six = t->host.len && ngx_strlchr(t->host.data, t->host.data + t->host.len,
                                     ':') != NULL;
    len = t->host.len + 2 * six;
    p = host->data;
    last = p + host->len;

    if (host->len < len || (six && (*p != '[' || p[len - 1] != ']'))
        || ngx_strncasecmp(p + six, t->host.data, t->host.len) != 0)
    {
        return 0;
    }

    p += len;

    if (p == last) {
        return t->port == (tls ? 443 : 80);
    }

    port = *p == ':' ? ngx_atoi(p + 1, last - p - 1) : NGX_ERROR;

    return port == (ngx_int_t) t->port;
}


static ngx_uint_t
ngx_http_stoa_locations_below(ngx_str_t *path, ngx_str_t *base)
{
    u_char  ch;

    if (path->len < base->len
        || ngx_memcmp(path->data, base->data, base->len) != 0)
    {
        return 0;
    }

    if (path->len == base->len) {
        return 1;
    }

    ch = path->data[base->len];

    return ch == '/' || ch == '?' || ch == '#';
}


static ngx_int_t
ngx_http_stoa_locations_join(ngx_http_stoa_locations_t *l, u_char *rest,
    size_t len, ngx_str_t *out)
{
    u_char  *p;

    p = ngx_pnalloc(l->r->pool, l->prefix.len + len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    p = ngx_cpymem(p, l->prefix.data, l->prefix.len);

    if (l->prefix.len == 0) {

        /* "//" would begin another host */

        if (len > 1 && rest[0] == '/' && (rest[1] == '/' || rest[1] == '\\'))
        {
            *p++ = '/';
            *p++ = '.';
        }

        if (len == 0 || rest[0] != '/') {
            *p++ = '/';
        }
    }

    p = ngx_cpymem(p, rest, len);
    out->len = p - out->data;

    return NGX_OK;
}


/* Attribute by attribute; NGX_DECLINED: nothing is changed. */

static ngx_int_t
ngx_http_stoa_locations_cookie(ngx_http_stoa_locations_t *l,
    ngx_str_t *value, ngx_str_t *out)
{
    size_t      n;
    u_char     *p, *q, *end, *last;
    ngx_int_t   rc;
    ngx_str_t   v;
    ngx_uint_t  changed;

    /* such a one is for the whole host by its name */

    if (value->len > 7
        && ngx_strncasecmp(value->data, (u_char *) "__Host-", 7) == 0)
    {
        return NGX_DECLINED;
    }

    last = value->data + value->len;

    /* room for a prefix in each attribute, were they all paths */

    for (p = value->data, n = 1; p < last; p++) {
        n += *p == ';';
    }

    q = ngx_pnalloc(l->r->pool, value->len + n * (l->prefix.len + 8));
    if (q == NULL) {
        return NGX_ERROR;
    }

    out->data = q;
    changed = 0;

    for (p = value->data; p < last; p = end) {
        end = ngx_strlchr(p + 1, last, ';');
        end = end ? end : last;

        rc = NGX_DECLINED;

        if (*p == ';') {
            v.data = p + 1;
            v.len = end - v.data;
            rc = ngx_http_stoa_locations_attribute(l, &v);
        }

        if (rc == NGX_ERROR) {
            return rc;
        }

        if (rc == NGX_DECLINED) {
            q = ngx_cpymem(q, p, end - p);
            continue;
        }

        changed = 1;

        if (v.len) {
            q = ngx_cpymem(q, "; Path=", 7);
            q = ngx_cpymem(q, v.data, v.len);
        }
    }

    out->len = q - out->data;

    return changed ? NGX_OK : NGX_DECLINED;
}


/* NGX_OK: v is the path that takes its place; empty: nothing does. */

static ngx_int_t
ngx_http_stoa_locations_attribute(ngx_http_stoa_locations_t *l, ngx_str_t *v)
{
    while (v->len && *v->data == ' ') {
        v->data++;
        v->len--;
    }

    if (v->len > 5 && ngx_strncasecmp(v->data, (u_char *) "Path=", 5) == 0) {
        v->data += 5;
        v->len -= 5;

        return ngx_http_stoa_locations_path(l, v);
    }

    if (v->len > 7 && ngx_strncasecmp(v->data, (u_char *) "Domain=", 7) == 0)
    {
        v->data += 7;
        v->len -= 7;

        if (ngx_http_stoa_locations_host(l, v)) {
            v->len = 0;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* A path above the api's own is the whole api's here. */

static ngx_int_t
ngx_http_stoa_locations_path(ngx_http_stoa_locations_t *l, ngx_str_t *path)
{
    ngx_str_t                above;
    ngx_http_stoa_target_t  *target;

    target = l->ctx->call.to.target;

    if (path->len == 0 || path->data[0] != '/') {
        return NGX_DECLINED;
    }

    if (ngx_http_stoa_locations_below(path, &target->path)) {
        return ngx_http_stoa_locations_join(l,
                                            path->data + target->path.len,
                                            path->len - target->path.len,
                                            path);
    }

    above = *path;

    if (above.data[above.len - 1] == '/') {
        above.len--;
    }

    return ngx_http_stoa_locations_below(&target->path, &above)
           ? ngx_http_stoa_locations_join(l, (u_char *) "/", 1, path)
           : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_stoa_locations_host(ngx_http_stoa_locations_t *l, ngx_str_t *domain)
{
    ngx_str_t             host;
    ngx_uint_t            i;
    ngx_http_stoa_api_t  *api;

    host = *domain;

    if (host.len && host.data[0] == '.') {
        host.data++;
        host.len--;
    }

    api = l->ctx->call.api;

    for (i = 0; i < api->ntargets; i++) {
        if ((host.len == api->targets[i].host.len
             && ngx_strncasecmp(host.data, api->targets[i].host.data,
                                host.len) == 0)
            || (host.len <= api->targets[i].host_header.len
                && ngx_strncasecmp(host.data,
                                   api->targets[i].host_header.data,
                                   host.len) == 0
                && (host.len == api->targets[i].host_header.len
                    || api->targets[i].host_header.data[host.len] == ':')))
        {
            return 1;
        }
    }

    return 0;
}
