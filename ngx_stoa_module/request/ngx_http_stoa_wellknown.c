/*
 * The edge of RFC 9728: where tokens for a route come from.  For everybody,
 * without a credential, as clients ask before they have one; another path,
 * another route.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_token.h"


static ngx_uint_t ngx_http_stoa_wellknown_match(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_wellknown_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_wellknown_content(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_wellknown_find(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_buf_t *b);
static ngx_int_t ngx_http_stoa_wellknown_scopes(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_resource_t *res);
static ngx_int_t ngx_http_stoa_wellknown_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *body);


static const ngx_str_t  ngx_http_stoa_wellknown_path =
    ngx_string(NGX_HTTP_STOA_TOKEN_WELLKNOWN);

static const ngx_http_stoa_step_t  ngx_http_stoa_wellknown_steps[] = {
    { "answer", ngx_http_stoa_looks(ngx_http_stoa_wellknown_answer) },
    { NULL,     NULL, NULL }
};

const ngx_http_stoa_edge_t  ngx_http_stoa_wellknown_edge = {
    .name = ngx_string("wellknown"),
    .steps = ngx_http_stoa_wellknown_steps,
    .match = ngx_http_stoa_wellknown_match
};


static ngx_uint_t
ngx_http_stoa_wellknown_match(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t  len;

    len = ngx_http_stoa_wellknown_path.len;

    return ctx->mode == NGX_HTTP_STOA_FULL && r->uri.len >= len
           && ngx_memcmp(r->uri.data, ngx_http_stoa_wellknown_path.data, len)
              == 0
           && (r->uri.len == len || r->uri.data[len] == '/');
}


static ngx_int_t
ngx_http_stoa_wellknown_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS))) {
        ngx_str_set(&ctx->call.allow, "GET, HEAD, OPTIONS");

        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_METHOD, NULL);
    }

    r->content_handler = ngx_http_stoa_wellknown_content;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_stoa_wellknown_content(ngx_http_request_t *r)
{
    ngx_str_t                   body;
    ngx_int_t                   rc;
    stoa_buf_t                  b;
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_main_conf_t  *mcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_stoa_ctx(r);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (r->method == NGX_HTTP_OPTIONS) {
        ngx_str_null(&body);
        return ngx_http_stoa_wellknown_send(r, NGX_HTTP_NO_CONTENT, &body);
    }

    if (ngx_http_stoa_store_enter(mcf->store) != NGX_OK) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_READY, NULL);
    }

    stoa_buf_init(&b, NGX_HTTP_STOA_TOKEN_METADATA);

    rc = ngx_http_stoa_wellknown_find(r, ctx, &b);

    if (rc != NGX_OK) {
        stoa_buf_free(&b);
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    if (ngx_http_stoa_ctx_text(r, &b, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_stoa_wellknown_send(r, NGX_HTTP_OK, &body);
}


/* Whose path is it?  What stoa_external_url has of a path is before it. */

static ngx_int_t
ngx_http_stoa_wellknown_find(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    stoa_buf_t *b)
{
    u_char                     *p, *last;
    ngx_str_t                   path, base;
    ngx_uint_t                  i;
    ngx_http_stoa_resource_t    res;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    path.data = r->uri.data + ngx_http_stoa_wellknown_path.len;
    path.len = r->uri.len - ngx_http_stoa_wellknown_path.len;
    base = mcf->external_url;

    if (base.len == 0) {
        return NGX_DECLINED;
    }

    last = base.data + base.len;
    p = ngx_strlchr(base.data, last, ':') + 3;
    p = ngx_strlchr(p, last, '/');

    if (p && (size_t) (last - p) <= path.len
        && ngx_memcmp(path.data, p, last - p) == 0)
    {
        path.data += last - p;
        path.len -= last - p;
    }

    if (path.len <= 1) {
        path = mcf->resource_root;
    }

    for (i = 0; path.len && mcf->edges[i]; i++) {

        if (mcf->edges[i]->resource == NULL) {
            continue;
        }

        ngx_memzero(&res, sizeof(ngx_http_stoa_resource_t));

        if (mcf->edges[i]->resource(r, ctx, &path, &res) == NGX_OK) {
            return ngx_http_stoa_wellknown_scopes(r, ctx, &res) == NGX_ERROR
                   ? NGX_ERROR : ngx_http_stoa_token_metadata(r, &res, b);
        }
    }

    return NGX_DECLINED;
}


/* Those of the route as a whole, so that nobody asks for more than he needs;
 * what one operation or tool wants besides, its own challenge names.  The
 * chain is the route's, to be read: its policies do not run. */

static ngx_int_t
ngx_http_stoa_wellknown_scopes(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_resource_t *res)
{
    ngx_int_t               rc;
    ngx_http_stoa_chain_t  *chain;

    chain = NULL;

    if (res->rec
        && ngx_http_stoa_chain_get(r, res->rec, res->policies, &chain)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->call.chain[NGX_HTTP_STOA_CHAIN_API] = chain;
    rc = ngx_http_stoa_policy_token_scopes(r, ctx, &res->scopes);
    ctx->call.chain[NGX_HTTP_STOA_CHAIN_API] = NULL;

    return rc;
}


static ngx_int_t
ngx_http_stoa_wellknown_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_table_elt_t           *h;
    ngx_str_t                  type = ngx_string("application/json");
    ngx_http_complex_value_t   cv;

    h = ngx_http_stoa_header_add(r, "Access-Control-Allow-Origin");
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&h->value, "*");

    if (r->method == NGX_HTTP_OPTIONS) {
        h = ngx_http_stoa_header_add(r, "Access-Control-Allow-Headers");
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_str_set(&h->value, "MCP-Protocol-Version");

        r->headers_out.status = status;
        r->header_only = 1;

        return ngx_http_send_header(r);
    }

    h = ngx_http_stoa_header_add(r, "Cache-Control");
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&h->value, "max-age=60");

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value = *body;

    return ngx_http_send_response(r, status, &type, &cv);
}
