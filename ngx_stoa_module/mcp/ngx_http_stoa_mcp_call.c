
/*
 * tools/call: which tool of which api the name means for this caller, and the
 * headers that its upstream gets.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy.h"
#include "core/stoa_key.h"
#include "core/stoa_mcp_param.h"


typedef struct {
    ngx_http_stoa_store_t          *store;
    stoa_id_t                       tenant;
    ngx_str_t                       name;
    const stoa_rec_subscription_t  *sub;
    const stoa_rec_server_tool_t   *hit;
} ngx_http_stoa_mcp_search_t;


/* Headers that a call gets of us. */

typedef enum {
    MCP_H_ACCEPT = 0, MCP_H_CODINGS, MCP_H_TYPE, MCP_H_VERSION, MCP_H_NAME,
    MCP_H_SESSION, MCP_H_METHOD, MCP_H_MAX
} ngx_http_stoa_mcp_h_e;


static const stoa_rec_server_tool_t *ngx_http_stoa_mcp_server_tool(
    const stoa_rec_server_t *server, ngx_str_t *name);
static ngx_int_t ngx_http_stoa_mcp_search_sub(void *data, const void *rec);
static ngx_int_t ngx_http_stoa_mcp_resolved_tool(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_api_t *api,
    const stoa_rec_tool_t *tool);
static ngx_int_t ngx_http_stoa_mcp_unknown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *name);
static ngx_uint_t ngx_http_stoa_mcp_header_is(const u_char *p,
    const char *name);

/* mostly they are just the same */
#define ngx_http_stoa_mcp_header_like(p, name)                                \
    (ngx_memcmp(p, name, sizeof(name) - 1) == 0                               \
     || ngx_http_stoa_mcp_header_is(p, name))

static ngx_int_t ngx_http_stoa_mcp_resolve_server(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *name,
    const stoa_rec_tool_t **tool, const stoa_rec_api_t **api);
static ngx_int_t ngx_http_stoa_mcp_resolve_tenant(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *name,
    const stoa_rec_tool_t **tool, const stoa_rec_api_t **api);


static ngx_http_stoa_header_name_t  ngx_http_stoa_mcp_names[] = {
    { ngx_string("Accept"), ngx_string("accept"), 0 },
    { ngx_string("Accept-Encoding"), ngx_string("accept-encoding"), 0 },
    { ngx_string("Content-Type"), ngx_string("content-type"), 0 },
    { ngx_string("MCP-Protocol-Version"), ngx_string("mcp-protocol-version"),
      0 },
    { ngx_string("Mcp-Name"), ngx_string("mcp-name"), 0 },
    { ngx_string("Mcp-Session-Id"), ngx_string("mcp-session-id"), 0 },
    { ngx_string("Mcp-Method"), ngx_string("mcp-method"), 0 }
};


ngx_int_t
ngx_http_stoa_mcp_resolve(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                       rc;
    ngx_str_t                       name, detail;
    stoa_json_val_t                *v;
    ngx_http_stoa_mcp_t            *mcp;
    const stoa_rec_api_t           *api;
    const stoa_rec_tool_t          *tool;
    const stoa_rec_subscription_t  *sub;
    ngx_http_stoa_main_conf_t      *mcf;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    mcp->named = mcp->msg.name;
    v = &mcp->msg.name;

    if (v->start == NULL || v->type != STOA_JSON_STRING
        || (mcp->msg.arguments.start
            && mcp->msg.arguments.type != STOA_JSON_OBJECT))
    {
        ngx_str_set(&detail, "params needs a name (string), and arguments is "
                    "an object");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_TOOL,
                                        &detail);
    }

    name.data = ngx_pnalloc(r->pool, v->end - v->start);
    if (name.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    name.len = stoa_json_unescape(v, (char *) name.data);

    if (!stoa_tool_name_valid((char *) name.data, name.len)) {
        ngx_str_set(&name, "");
        return ngx_http_stoa_mcp_unknown(r, ctx, &name);
    }

    tool = NULL;
    api = NULL;

    rc = mcp->has_server
         ? ngx_http_stoa_mcp_resolve_server(r, ctx, &name, &tool, &api)
         : ngx_http_stoa_mcp_resolve_tenant(r, ctx, &name, &tool, &api);

    if (rc != NGX_OK) {
        return rc;
    }

    if (tool == NULL || api == NULL || api->hdr.withheld || !tool->enabled
        || api->kind != STOA_API_MCP)
    {
        return ngx_http_stoa_mcp_unknown(r, ctx, &name);
    }

    sub = ngx_http_stoa_auth_subscribed(mcf->store, ctx,
                                        &ctx->call.subscribed);
    if (sub == NULL || !ngx_http_stoa_mcp_selected(sub, &tool->id)) {
        return ngx_http_stoa_mcp_unknown(r, ctx, &name);
    }

    if (!ngx_http_stoa_mcp_speaks(api)) {
        return ngx_http_stoa_mcp_unknown(r, ctx, &name);
    }

    if (mcp->modern && tool->params == STOA_MCP_PARAMS_INVALID) {
        return ngx_http_stoa_mcp_unknown(r, ctx, &name);
    }

    return ngx_http_stoa_mcp_resolved_tool(r, ctx, api, tool);
}


static ngx_int_t
ngx_http_stoa_mcp_resolved_tool(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_api_t *api,
    const stoa_rec_tool_t *tool)
{
    ngx_int_t             rc;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    mcp->to_modern = api->era == STOA_ERA_MODERN && !mcp->modern;

    rc = ngx_http_stoa_mcp_params(r, ctx, tool);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->call.tool = tool->id;
    ctx->call.repeats = tool->repeats
                        && mcp->msg.method == STOA_MCP_TOOLS_CALL;

    rc = ngx_http_stoa_mcp_resolved(r, ctx, api,
                                    stoa_rec_str(tool, tool->name));

    ctx->call.tool_name = mcp->tool_name;
    ctx->call.item = mcp->tool_name;
    ctx->call.item_kind = "tools";

    return rc;
}


ngx_int_t
ngx_http_stoa_mcp_resolved(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_api_t *api, stoa_str_t name)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    mcp->tool_name.len = name.len;
    mcp->tool_name.data = ngx_pnalloc(r->pool, name.len);
    if (mcp->tool_name.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(mcp->tool_name.data, name.data, name.len);

    mcp->bridged = mcp->modern && api->era == STOA_ERA_LEGACY;
    mcp->to_modern = api->era == STOA_ERA_MODERN && !mcp->modern;

    ctx->call.route_tenant = api->tenant;
    ctx->call.api = ngx_http_stoa_api_get(r, api);
    if (ctx->call.api == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_API,
                            ctx->call.api->policies);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_unknown(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *name)
{
    ngx_str_t  detail;

    detail.data = ngx_pnalloc(r->pool, name->len + 32);
    if (detail.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    detail.len = ngx_sprintf(detail.data, "unknown tool%s%V",
                             name->len ? ": " : "", name)
                 - detail.data;

    return ngx_http_stoa_mcp_refuse(r, ctx, NGX_HTTP_STOA_REFUSE_MCP_TOOL,
                                    &detail);
}


/* A bundle names its tools itself; it was subscribed to in `find`. */

static ngx_int_t
ngx_http_stoa_mcp_resolve_server(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *name, const stoa_rec_tool_t **tool,
    const stoa_rec_api_t **api)
{
    const stoa_rec_server_t       *server;
    ngx_http_stoa_main_conf_t     *mcf;
    const stoa_rec_server_tool_t  *t;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    server = ngx_http_stoa_store_server(mcf->store, &ctx->call.mcp->server);
    if (server == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    t = ngx_http_stoa_mcp_server_tool(server, name);

    if (t) {
        *tool = ngx_http_stoa_store_item(mcf->store, STOA_REC_TOOL,
                                         &t->tool);
        *api = ngx_http_stoa_store_api(mcf->store, &t->api);
    }

    return NGX_OK;
}


/* <api>__<tool>, else a name that a bundle the caller subscribed to gives. */

static ngx_int_t
ngx_http_stoa_mcp_resolve_tenant(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *name, const stoa_rec_tool_t **tool,
    const stoa_rec_api_t **api)
{
    u_char                      *p;
    ngx_int_t                    rc;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_mcp_search_t   search;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    p = ngx_strnstr(name->data, "__", name->len);

    if (p && p > name->data) {
        *api = ngx_http_stoa_store_api_by_name(mcf->store,
                                         (char *) mcp->tenant_name.data,
                                         mcp->tenant_name.len,
                                         (char *) name->data, p - name->data);
        if (*api && ngx_http_stoa_auth_visible(*api, &ctx->tenant)) {
            *tool = ngx_http_stoa_store_item_by_name(mcf->store,
                                             STOA_REC_TOOL, &(*api)->id,
                                             (char *) p + 2,
                                             name->data + name->len - p - 2);
        }
    }

    if (*tool == NULL
        || ngx_http_stoa_auth_subscribed(mcf->store, ctx, &(*api)->id)
           == NULL)
    {
        ngx_memzero(&search, sizeof(search));
        search.store = mcf->store;
        search.tenant = mcp->endpoint_tenant;
        search.name = *name;

        rc = ngx_http_stoa_auth_each_subscribed(mcf->store, ctx,
                                                ngx_http_stoa_mcp_search_sub,
                                                &search);

        if (rc == NGX_DONE && search.hit) {
            *tool = ngx_http_stoa_store_item(mcf->store, STOA_REC_TOOL,
                                             &search.hit->tool);
            *api = ngx_http_stoa_store_api(mcf->store, &search.hit->api);
            ctx->call.subscribed = search.sub->target;

            return ngx_http_stoa_policy_access(r, ctx);
        }
    }

    if (*tool == NULL) {
        return NGX_OK;                                  /* unknown         */
    }

    ctx->call.subscribed = (*api)->id;

    return ngx_http_stoa_policy_access(r, ctx);
}


static ngx_int_t
ngx_http_stoa_mcp_search_sub(void *data, const void *rec)
{
    const stoa_rec_server_t        *server;
    ngx_http_stoa_mcp_search_t     *search = data;
    const stoa_rec_subscription_t  *sub = rec;

    if (sub->target_kind != STOA_TARGET_SERVER) {
        return NGX_OK;
    }

    server = ngx_http_stoa_store_server(search->store, &sub->target);

    if (server == NULL
        || ngx_memcmp(&server->tenant, &search->tenant, STOA_ID_LEN) != 0)
    {
        return NGX_OK;
    }

    search->hit = ngx_http_stoa_mcp_server_tool(server, &search->name);
    search->sub = sub;

    return search->hit ? NGX_DONE : NGX_OK;
}


static const stoa_rec_server_tool_t *
ngx_http_stoa_mcp_server_tool(const stoa_rec_server_t *server,
    ngx_str_t *name)
{
    int                            cmp;
    uint32_t                       low, high, mid;
    stoa_str_t                     s;
    const stoa_rec_server_tool_t  *t;

    t = stoa_rec_vec(server, server->tools, stoa_rec_server_tool_t);
    low = 0;
    high = server->tools.n;

    while (low < high) {
        mid = low + (high - low) / 2;
        s = stoa_rec_str(server, t[mid].name);
        cmp = ngx_memcmp(s.data, name->data, ngx_min(s.len, name->len));

        if (cmp == 0) {
            cmp = (s.len > name->len) - (s.len < name->len);
        }

        if (cmp == 0) {
            return &t[mid];
        }

        if (cmp < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return NULL;
}


/* ---- what the upstream gets -------------------------------------------- */

/*
 * Hop by hop between a client and the gateway: the upstream gets its own.  So
 * it does of what says how to read the body: as it was read here.
 */

ngx_uint_t
ngx_http_stoa_mcp_header_dropped(const ngx_table_elt_t *h)
{
    u_char  *p;

    p = h->lowcase_key;

    switch (h->key.len) {

    case 6:
        return ngx_memcmp(p, "accept", 6) == 0
               || ngx_memcmp(p, "origin", 6) == 0;

    case 8:
        return ngx_http_stoa_mcp_header_like(p, "mcp-name");

    case 12:
        return ngx_http_stoa_mcp_header_like(p, "content-type");

    case 13:
        return ngx_http_stoa_mcp_header_like(p, "last-event-id");

    case 14:
        return ngx_http_stoa_mcp_header_like(p, "mcp-session-id");

    case 15:
        return ngx_http_stoa_mcp_header_like(p, "accept-encoding");

    case 16:
        return ngx_http_stoa_mcp_header_like(p, "content-encoding");

    case 20:
        return ngx_http_stoa_mcp_header_like(p, "mcp-protocol-version");
    }

    return 0;
}


/* Many servers take "_" and "." in a name for "-". */

static ngx_uint_t
ngx_http_stoa_mcp_header_is(const u_char *p, const char *name)
{
    if (*p != (u_char) *name) {
        return 0;
    }

    for ( /* void */ ; *name; p++, name++) {
        if (*p != (u_char) *name
            && !(*name == '-' && (*p == '_' || *p == '.')))
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_stoa_mcp_headers_add(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_list_t *headers)
{
    ngx_uint_t            i, version;
    ngx_str_t             name, method;
    const ngx_str_t      *value[MCP_H_MAX];
    ngx_http_stoa_mcp_t  *mcp;

    static ngx_str_t      json = ngx_string("application/json");
    static ngx_str_t      plain = ngx_string("identity");
    static ngx_str_t      accept =
                           ngx_string("application/json, text/event-stream");

    mcp = ctx->call.mcp;
    version = mcp->modern && !mcp->bridged ? mcp->version
                                           : mcp->upstream_version;

    ngx_memzero(value, sizeof(value));

    value[MCP_H_ACCEPT] = &accept;
    value[MCP_H_CODINGS] = &plain;
    value[MCP_H_TYPE] = &json;

    if (version != NGX_HTTP_STOA_MCP_VERSION_NONE) {
        value[MCP_H_VERSION] = &ngx_http_stoa_mcp_versions[version].name;
    }

    if (((mcp->modern && !mcp->bridged) || mcp->to_modern)
        && mcp->tool_name.len
        && mcp->msg.method != STOA_MCP_COMPLETE)
    {
        name.data = ngx_pnalloc(r->pool,
                                stoa_mcp_header_size(mcp->tool_name.len));
        if (name.data == NULL) {
            return NGX_ERROR;
        }

        name.len = stoa_mcp_header_encode((char *) mcp->tool_name.data,
                                          mcp->tool_name.len,
                                          (char *) name.data);
        value[MCP_H_NAME] = &name;
    }

    if (mcp->upstream_session.len) {
        value[MCP_H_SESSION] = &mcp->upstream_session;
    }

    if (mcp->to_modern && mcp->headers.method == NULL) {
        method.data = (u_char *) mcp->msg.method_name.data;
        method.len = mcp->msg.method_name.len;
        value[MCP_H_METHOD] = &method;
    }

    for (i = 0; i < MCP_H_MAX; i++) {
        if (value[i]
            && ngx_http_stoa_header_push(headers, &ngx_http_stoa_mcp_names[i],
                                         value[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
