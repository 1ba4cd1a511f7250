/*
 * The edge of who has a key and nothing else: GET / and GET /apis answer with
 * what its application is subscribed to, and where that is.  Nothing of
 * anybody else, and nothing that another tenant has closed.
 *
 * An api whose own path is "/" at that host comes first.
 *
 * Process: workers.  Limits: CATALOG_ITEMS_MAX subscriptions, the rest is
 * told by "more".
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_store.h"


#define CATALOG_BYTES_MAX  (1024 * 1024)
#define CATALOG_ITEMS_MAX  1000


typedef struct {
    stoa_buf_t              buf;
    ngx_uint_t              items;
    ngx_http_stoa_ctx_t    *ctx;
    ngx_http_stoa_store_t  *store;
} ngx_http_stoa_catalog_t;


static ngx_uint_t ngx_http_stoa_catalog_match(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_catalog_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_catalog_content(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_catalog_item(void *data, const void *rec);
static ngx_uint_t ngx_http_stoa_catalog_target(ngx_http_stoa_catalog_t *c,
    const stoa_rec_subscription_t *sub);
static void ngx_http_stoa_catalog_text(stoa_buf_t *b, const char *name,
    stoa_str_t value);


static const ngx_http_stoa_step_t  ngx_http_stoa_catalog_steps[] = {
    { "admit",        ngx_http_stoa_looks(ngx_http_stoa_policy_admit) },
    { "authenticate", ngx_http_stoa_looks(ngx_http_stoa_policy_authn) },
    { "answer",       ngx_http_stoa_looks(ngx_http_stoa_catalog_answer) },
    { NULL,           NULL, NULL }
};


const ngx_http_stoa_edge_t  ngx_http_stoa_catalog_edge = {
    .name = ngx_string("catalog"),
    .steps = ngx_http_stoa_catalog_steps,
    .match = ngx_http_stoa_catalog_match
};


static ngx_uint_t
ngx_http_stoa_catalog_match(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t                      prefix;
    ngx_str_t                  *uri = &r->uri;
    ngx_http_stoa_main_conf_t  *mcf;

    if (ctx->mode != NGX_HTTP_STOA_FULL
        || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS))
        || !(uri->len == 1
             || (uri->len >= 5 && uri->len <= 6
                 && ngx_memcmp(uri->data, "/apis/", uri->len) == 0)))
    {
        return 0;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    return ngx_http_stoa_store_api_by_path(mcf->store,
                                           (char *) r->headers_in.server.data,
                                           r->headers_in.server.len,
                                           (char *) uri->data, uri->len,
                                           &prefix) == NULL;
}


static ngx_int_t
ngx_http_stoa_catalog_answer(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (r->method == NGX_HTTP_OPTIONS) {

        /* a preflight was answered by its policy */

        ngx_str_set(&ctx->call.allow, "GET, HEAD");

        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_METHOD, NULL);
    }

    r->content_handler = ngx_http_stoa_catalog_content;

    return NGX_DONE;
}


/* The store is entered anew: other modules may have waited in between. */

static ngx_int_t
ngx_http_stoa_catalog_content(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   type = ngx_string("application/json");
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_catalog_t     c;
    ngx_http_complex_value_t    cv;
    ngx_http_stoa_main_conf_t  *mcf;

    ctx = ngx_http_stoa_ctx(r);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_store_enter(mcf->store) != NGX_OK) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_READY, NULL);
    }

    stoa_buf_init(&c.buf, CATALOG_BYTES_MAX);
    c.items = 0;
    c.ctx = ctx;
    c.store = mcf->store;

    stoa_buf_addf(&c.buf, "{\"tenant\":\"%.*s\",\"application\":\"%.*s\","
                  "\"items\":[",
                  (int) ctx->tenant_name.len, ctx->tenant_name.data,
                  (int) ctx->application_name.len,
                  ctx->application_name.data);

    rc = ngx_http_stoa_store_each_subscription(mcf->store, &ctx->application,
                                               ngx_http_stoa_catalog_item,
                                               &c);

    stoa_buf_addf(&c.buf, "],\"more\":%s}\n",
                  c.items > CATALOG_ITEMS_MAX ? "true" : "false");

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    return ngx_http_stoa_ctx_text(r, &c.buf, &cv.value) == NGX_OK
           && rc == NGX_OK
           ? ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv)
           : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_stoa_catalog_item(void *data, const void *rec)
{
    size_t                          before;
    ngx_http_stoa_catalog_t        *c = data;
    const stoa_rec_plan_t          *plan;
    const stoa_rec_subscription_t  *sub = rec;

    if (sub->state != STOA_STATE_ACTIVE
        || (sub->expires_ms && sub->expires_ms <= ngx_http_stoa_now_ms()))
    {
        return NGX_OK;
    }

    if (c->items == CATALOG_ITEMS_MAX) {
        c->items++;
        return NGX_OK;
    }

    before = c->buf.len;
    stoa_buf_addz(&c->buf, c->items ? ",{" : "{");

    plan = ngx_http_stoa_store_plan(c->store, &sub->plan);

    if (plan == NULL || !ngx_http_stoa_catalog_target(c, sub)) {
        c->buf.len = before;
        return NGX_OK;
    }

    ngx_http_stoa_catalog_text(&c->buf, "plan",
                               stoa_rec_str(plan, plan->name));
    c->buf.data[c->buf.len - 1] = '}';
    c->items++;

    return c->buf.rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


/* Calls to what a suspended tenant publishes are refused. */

static ngx_uint_t
ngx_http_stoa_catalog_open(ngx_http_stoa_catalog_t *c,
    const stoa_id_t *tenant)
{
    const stoa_rec_tenant_t  *rec;

    rec = ngx_http_stoa_store_tenant(c->store, tenant);

    return rec && rec->state == STOA_STATE_ACTIVE;
}


/* What it is and where: the members of one item, each with its comma. */

static ngx_uint_t
ngx_http_stoa_catalog_target(ngx_http_stoa_catalog_t *c,
    const stoa_rec_subscription_t *sub)
{
    stoa_buf_t               *b = &c->buf;
    stoa_str_t                tenant, name, path;
    const stoa_rec_api_t     *api;
    const stoa_rec_server_t  *server;

    if (sub->target_kind == STOA_TARGET_SERVER) {
        server = ngx_http_stoa_store_server(c->store, &sub->target);

        if (server == NULL
            || !ngx_http_stoa_catalog_open(c, &server->tenant))
        {
            return 0;
        }

        tenant = stoa_rec_str(server, server->tenant_name);
        name = stoa_rec_str(server, server->name);
        ngx_http_stoa_catalog_text(b, "kind", stoa_str("mcp"));
        ngx_http_stoa_catalog_text(b, "title",
                                   stoa_rec_str(server, server->title));
        stoa_buf_addf(b, "\"path\":\"/mcp/%.*s/%.*s\",", (int) tenant.len,
                      tenant.data, (int) name.len, name.data);

    } else {
        api = ngx_http_stoa_store_api(c->store, &sub->target);

        if (api == NULL || !ngx_http_stoa_auth_visible(api, &c->ctx->tenant)
            || !ngx_http_stoa_catalog_open(c, &api->tenant))
        {
            return 0;
        }

        tenant = stoa_rec_str(api, api->tenant_name);
        name = stoa_rec_str(api, api->name);
        ngx_http_stoa_catalog_text(b, "kind",
                                   api->kind == STOA_API_MCP
                                   ? stoa_str("mcp") : stoa_str("rest"));
        ngx_http_stoa_catalog_text(b, "title", stoa_rec_str(api, api->title));
        ngx_http_stoa_catalog_text(b, "version",
                                   stoa_rec_str(api, api->version));
        ngx_http_stoa_catalog_text(b, "host", stoa_rec_str(api, api->host));

        path = stoa_rec_str(api, api->base_path);

        if (api->kind == STOA_API_MCP) {
            stoa_buf_addf(b, "\"path\":\"/mcp/%.*s\",", (int) tenant.len,
                          tenant.data);

        } else if (path.len || api->host.len) {
            ngx_http_stoa_catalog_text(b, "path", path.len ? path
                                                           : stoa_str("/"));

        } else {
            stoa_buf_addf(b, "\"path\":\"/apis/%.*s/%.*s\",",
                          (int) tenant.len, tenant.data, (int) name.len,
                          name.data);
        }
    }

    ngx_http_stoa_catalog_text(b, "tenant", tenant);
    ngx_http_stoa_catalog_text(b, "name", name);

    return 1;
}


/* "name":"value", and nothing where there is no value. */

static void
ngx_http_stoa_catalog_text(stoa_buf_t *b, const char *name, stoa_str_t value)
{
    if (value.len) {
        stoa_buf_addf(b, "\"%s\":", name);
        stoa_buf_add_json(b, value.data, value.len);
        stoa_buf_addz(b, ",");
    }
}
