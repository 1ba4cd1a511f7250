/*
 * What a refused caller is told about tokens: RFC 6750's challenge with RFC
 * 9728's address of the metadata, and the metadata.
 *
 * All URLs are of stoa_external_url, or of an api's own host; nothing is taken
 * from the request's Host.  Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_store.h"


#define NGX_HTTP_STOA_CHALLENGE_SERVERS  32

static const ngx_str_t  ngx_http_stoa_challenge_wellknown =
    ngx_string(NGX_HTTP_STOA_TOKEN_WELLKNOWN);

typedef struct {
    stoa_buf_t  *b;
    stoa_str_t   seen[NGX_HTTP_STOA_CHALLENGE_SERVERS];
    ngx_uint_t   n;
    ngx_uint_t   some;                 /* want their tokens bound to keys,   */
    ngx_uint_t   others;               /* do not                             */
} ngx_http_stoa_challenge_servers_t;


static ngx_int_t ngx_http_stoa_challenge_server(void *data, const void *rec);
static size_t ngx_http_stoa_challenge_origin(ngx_str_t *url);


ngx_int_t
ngx_http_stoa_token_url(ngx_http_request_t *r,
    const ngx_http_stoa_resource_t *res, ngx_str_t *url)
{
    ngx_str_t                   base;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    base = mcf->external_url;

    if (base.len == 0) {
        return NGX_DECLINED;
    }

    if (res->host.len) {
        base.len = ngx_strlchr(base.data, base.data + base.len, ':')
                   - base.data + 3;
    }

    url->data = ngx_pnalloc(r->pool, base.len + res->host.len
                                     + res->path.len);
    if (url->data == NULL) {
        return NGX_ERROR;
    }

    url->len = ngx_sprintf(url->data, "%V%V%V", &base, &res->host, &res->path)
               - url->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_token_challenge(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *value, ngx_uint_t *dpop)
{
    size_t                              origin;
    stoa_buf_t                          b, servers;
    ngx_str_t                           url;
    ngx_http_stoa_resource_t            res;
    ngx_http_stoa_main_conf_t          *mcf;
    ngx_http_stoa_challenge_servers_t   list;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ctx->call.edge == NULL || ctx->call.edge->resource == NULL
        || mcf->store == NULL)
    {
        return NGX_DECLINED;
    }

    ngx_memzero(&res, sizeof(ngx_http_stoa_resource_t));
    stoa_buf_init(&servers, NGX_HTTP_STOA_TOKEN_METADATA);
    ngx_memzero(&list, sizeof(ngx_http_stoa_challenge_servers_t));
    list.b = &servers;

    if (ctx->call.edge->resource(r, ctx, NULL, &res) != NGX_OK
        || ngx_http_stoa_token_url(r, &res, &url) != NGX_OK
        || ngx_http_stoa_store_each_issuer(mcf->store, NULL, 0, &res.tenant,
                                           ngx_http_stoa_challenge_server,
                                           &list)
           == NGX_ERROR
        || list.n == 0)
    {
        stoa_buf_free(&servers);
        return NGX_DECLINED;
    }

    stoa_buf_free(&servers);
    *dpop = list.some;

    origin = ngx_http_stoa_challenge_origin(&url);

    stoa_buf_init(&b, 4096);
    stoa_buf_addf(&b, ", resource_metadata=\"%.*s%.*s%.*s\"",
                  (int) origin, url.data,
                  (int) ngx_http_stoa_challenge_wellknown.len,
                  ngx_http_stoa_challenge_wellknown.data,
                  (int) (url.len - origin), url.data + origin);

    return ngx_http_stoa_ctx_text(r, &b, value);
}


/* Behind scheme and host. */

static size_t
ngx_http_stoa_challenge_origin(ngx_str_t *url)
{
    u_char  *p, *last;

    last = url->data + url->len;
    p = ngx_strlchr(url->data, last, ':') + 3;
    p = ngx_strlchr(p, last, '/');

    return p ? (size_t) (p - url->data) : url->len;
}


ngx_int_t
ngx_http_stoa_token_metadata(ngx_http_request_t *r,
    const ngx_http_stoa_resource_t *res, stoa_buf_t *b)
{
    u_char                             *p, *next, *last;
    ngx_str_t                           url;
    ngx_http_stoa_main_conf_t          *mcf;
    ngx_http_stoa_challenge_servers_t   list;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_token_url(r, res, &url) != NGX_OK) {
        return NGX_DECLINED;
    }

    last = res->scopes.data + res->scopes.len;
    ngx_memzero(&list, sizeof(ngx_http_stoa_challenge_servers_t));
    list.b = b;

    stoa_buf_addz(b, "{\"resource\":");
    stoa_buf_add_json(b, (char *) url.data, url.len);
    stoa_buf_addz(b, ",\"authorization_servers\":[");

    if (ngx_http_stoa_store_each_issuer(mcf->store, NULL, 0, &res->tenant,
                                        ngx_http_stoa_challenge_server, &list)
        == NGX_ERROR
        || list.n == 0)
    {
        return NGX_DECLINED;
    }

    stoa_buf_addz(b, "],\"bearer_methods_supported\":[\"header\"],"
                     "\"dpop_signing_alg_values_supported\":[");
    ngx_http_stoa_token_algs(b, "\"", ",");
    stoa_buf_addf(b, "],\"dpop_bound_access_tokens_required\":%s",
                  list.others ? "false" : "true");

    if (res->scopes.len) {
        stoa_buf_addz(b, ",\"scopes_supported\":[");

        for (p = res->scopes.data; p; p = next ? next + 1 : NULL) {
            next = ngx_strlchr(p, last, ' ');

            stoa_buf_addz(b, p == res->scopes.data ? "" : ",");
            stoa_buf_add_json(b, (char *) p, (next ? next : last) - p);
        }

        stoa_buf_addz(b, "]");
    }

    if (res->name.len) {
        stoa_buf_addz(b, ",\"resource_name\":");
        stoa_buf_add_json(b, (char *) res->name.data, res->name.len);
    }

    stoa_buf_addz(b, "}");

    return NGX_OK;
}


/* Each once, as a tenant may have two records for one. */

static ngx_int_t
ngx_http_stoa_challenge_server(void *data, const void *rec)
{
    ngx_http_stoa_challenge_servers_t *list = data;

    ngx_uint_t                i;
    stoa_str_t                iss;
    const stoa_rec_issuer_t  *issuer;

    issuer = rec;
    iss = stoa_rec_str(issuer, issuer->issuer);

    if (issuer->state != STOA_STATE_ACTIVE) {
        return NGX_OK;
    }

    if (issuer->dpop == STOA_DPOP_REQUIRED) {
        list->some = 1;

    } else {
        list->others = 1;
    }

    for (i = 0; i < list->n; i++) {
        if (list->seen[i].len == iss.len
            && ngx_memcmp(list->seen[i].data, iss.data, iss.len) == 0)
        {
            return NGX_OK;
        }
    }

    stoa_buf_addz(list->b, list->n ? "," : "");
    stoa_buf_add_json(list->b, iss.data, iss.len);
    list->seen[list->n++] = iss;

    return list->n < NGX_HTTP_STOA_CHALLENGE_SERVERS ? NGX_OK : NGX_DONE;
}


void
ngx_http_stoa_token_algs(stoa_buf_t *b, const char *quote,
    const char *between)
{
    ngx_uint_t  i;

    for (i = 0; i < STOA_ALG_MAX; i++) {
        stoa_buf_addz(b, i ? between : "");
        stoa_buf_addz(b, quote);
        stoa_buf_addz(b, stoa_algs[i].name);
        stoa_buf_addz(b, quote);
    }
}
