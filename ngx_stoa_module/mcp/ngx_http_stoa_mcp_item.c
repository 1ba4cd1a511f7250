
/*
 * prompts/get, resources/read and completion/complete: whose they are.
 *
 * What is not in the caller's view is not found.  A URI that nobody lists may
 * be made of a template, and goes to the only api there is with resources,
 * else: links in what an upstream has answered need not be in its lists.
 */

#include "ngx_http_stoa_updates.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_seen.h"
#include "core/stoa_uri.h"


#define NGX_HTTP_STOA_MCP_ALIASED  (17 * 1024 * 1024)     /* an answer       */


/* Where a message leads. */

typedef struct {
    ngx_http_stoa_mcp_view_t        *view;
    ngx_uint_t                       list;
    ngx_str_t                        name;      /* as the client says it    */
    const ngx_http_stoa_mcp_item_t  *item;      /* NULL: none               */
    stoa_id_t                        api;
    stoa_id_t                        target;
    stoa_str_t                       upstream;  /* as the upstream has it   */
} ngx_http_stoa_mcp_way_t;

/* Is the URI one that was disabled, or made of a template that was? */

typedef struct {
    stoa_str_t       uri;
    stoa_rec_kind_e  kind;
} ngx_http_stoa_mcp_off_t;


static ngx_int_t ngx_http_stoa_mcp_item_asked(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_http_stoa_mcp_way_t *way);
static ngx_uint_t ngx_http_stoa_mcp_item_way(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_way_t *way);
static ngx_uint_t ngx_http_stoa_mcp_item_take(ngx_http_request_t *r,
    ngx_http_stoa_mcp_way_t *way, ngx_http_stoa_mcp_item_t *item);
static ngx_uint_t ngx_http_stoa_mcp_item_template(ngx_http_request_t *r,
    ngx_http_stoa_mcp_way_t *way);
static ngx_uint_t ngx_http_stoa_mcp_item_off(ngx_http_request_t *r,
    const ngx_http_stoa_mcp_way_t *way, stoa_rec_kind_e kind);
static ngx_int_t ngx_http_stoa_mcp_item_off_one(void *data, const void *rec);
static ngx_int_t ngx_http_stoa_mcp_item_alias(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, const ngx_http_stoa_mcp_way_t *way);
static ngx_int_t ngx_http_stoa_mcp_item_unknown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_way_t *way);


ngx_int_t
ngx_http_stoa_mcp_item_resolve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_str_t                   detail;
    ngx_http_stoa_mcp_t        *mcp;
    const stoa_rec_api_t       *api;
    ngx_http_stoa_mcp_way_t     way;
    ngx_http_stoa_main_conf_t  *mcf;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    ngx_memzero(&way, sizeof(way));

    rc = ngx_http_stoa_mcp_item_asked(r, mcp, &way);

    if (rc == NGX_DECLINED) {
        ngx_str_set(&detail, "params needs the name of a prompt, the uri of "
                    "a resource, or a ref with one of them");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_PROMPT,
                                        &detail);
    }

    way.view = (rc == NGX_OK) ? ngx_http_stoa_mcp_view(r, ctx, mcp->modern)
                              : NULL;
    if (way.view == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_stoa_mcp_item_way(r, ctx, &way)) {
        return ngx_http_stoa_mcp_item_unknown(r, ctx, &way);
    }

    if (!mcp->has_server) {
        ctx->call.subscribed = way.target;

        rc = ngx_http_stoa_policy_access(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_http_stoa_mcp_item_alias(r, mcp, &way) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    api = ngx_http_stoa_store_api(mcf->store, &way.api);

    if (api == NULL) {
        return ngx_http_stoa_mcp_item_unknown(r, ctx, &way);
    }

    rc = ngx_http_stoa_mcp_resolved(r, ctx, api, way.upstream);

    /* what is made of a template, or is in no list, is a resource */

    ctx->call.item = mcp->tool_name;
    ctx->call.item_kind = way.item || way.list == NGX_HTTP_STOA_MCP_PROMPTS
                          ? ngx_http_stoa_mcp_shown_kinds[way.list]
                          : "resources";

    return rc;
}


ngx_int_t
ngx_http_stoa_mcp_item_find(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_json_val_t *uri, stoa_id_t *api, stoa_str_t *upstream)
{
    char                     *p;
    ngx_http_stoa_mcp_way_t   way;

    if (uri->type != STOA_JSON_STRING) {
        return NGX_DECLINED;
    }

    ngx_memzero(&way, sizeof(way));
    way.list = NGX_HTTP_STOA_MCP_RESOURCES;
    way.view = ngx_http_stoa_mcp_view(r, ctx, ctx->call.mcp->modern);
    way.name.data = ngx_pnalloc(r->pool, uri->end - uri->start);

    if (way.view == NULL || way.name.data == NULL) {
        return NGX_ERROR;
    }

    way.name.len = stoa_json_unescape(uri, (char *) way.name.data);

    if (!ngx_http_stoa_mcp_item_way(r, ctx, &way)) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(r->pool, way.upstream.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, way.upstream.data, way.upstream.len);
    *upstream = (stoa_str_t) { p, way.upstream.len };
    *api = way.api;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_item_heard(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_api_t *api, const stoa_glance_t *g, stoa_buf_t *out,
    stoa_str_t *data)
{
    char                      *p;
    ngx_str_t                  name;
    stoa_str_t                 uri;
    ngx_pool_t                *pool;
    stoa_json_val_t            v;
    ngx_http_stoa_mcp_view_t  *view;

    static const char  updated[] = "\"notifications/resources/updated\"";

    if (g->method.end - g->method.start != sizeof(updated) - 1
        || ngx_memcmp(g->method.start, updated, sizeof(updated) - 1) != 0
        || g->params.start == NULL || !stoa_glance_get(&g->params, "uri", &v)
        || !stoa_json_text(&v, &uri) || uri.len > STOA_URI_MAX)
    {
        return NGX_OK;
    }

    /* a stream lives long: its pool does not hold the view */

    pool = r->pool;
    r->pool = ngx_create_pool(2 * STOA_URI_ALIAS_MAX, r->connection->log);

    if (r->pool == NULL) {
        r->pool = pool;
        return NGX_ERROR;
    }

    view = ngx_http_stoa_mcp_view(r, ctx, ctx->call.mcp->modern);
    p = ngx_pnalloc(r->pool, STOA_URI_ALIAS_MAX);

    if (view && p) {
        uri.len = stoa_uri_alias(stoa_rec_str(api->rec, api->rec->name).data,
                                 api->rec->name.len, uri.data, uri.len, p);
        name.data = (u_char *) p;
        name.len = uri.len;

        if (ngx_http_stoa_mcp_view_item(
                               &view->lists[NGX_HTTP_STOA_MCP_RESOURCES],
                               name.data, name.len))
        {
            stoa_buf_reset(out);
            stoa_buf_add(out, data->data, v.start - data->data);
            stoa_buf_add_json(out, p, name.len);
            stoa_buf_add(out, v.end, data->data + data->len - v.end);
            data->data = out->data;
            data->len = out->len;
        }
    }

    ngx_destroy_pool(r->pool);
    r->pool = pool;

    return view && p && out->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_http_stoa_mcp_item_may(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_api_t *api, const stoa_str_t *uri)
{
    char                        alias[STOA_URI_ALIAS_MAX];
    ngx_uint_t                  i, may;
    ngx_pool_t                 *pool;
    stoa_str_t                  name;
    ngx_http_stoa_mcp_way_t     way;
    ngx_http_stoa_mcp_view_t   *view;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_store_enter(mcf->store) != NGX_OK) {
        return 0;
    }

    pool = r->pool;
    r->pool = ngx_create_pool(1024, r->connection->log);

    if (r->pool == NULL) {
        r->pool = pool;
        return 0;
    }

    view = uri->len <= STOA_URI_MAX
           ? ngx_http_stoa_mcp_view(r, ctx, ctx->call.mcp->modern) : NULL;
    may = 0;

    for (i = 0; view && i < 2 && !may; i++) {
        ngx_memzero(&way, sizeof(way));
        way.view = view;
        way.list = NGX_HTTP_STOA_MCP_RESOURCES;
        name = stoa_rec_str(api->rec, api->rec->name);
        way.name.data = (u_char *) (i ? alias : uri->data);
        way.name.len = i ? stoa_uri_alias(name.data, name.len, uri->data,
                                          uri->len, alias)
                         : uri->len;

        may = ngx_http_stoa_mcp_item_way(r, ctx, &way)
              && (i == 0 || way.item)
              && ngx_memcmp(&way.api, &api->id, STOA_ID_LEN) == 0;
    }

    ngx_destroy_pool(r->pool);
    r->pool = pool;

    return may;
}


/* NGX_DECLINED: the message does not say. */

static ngx_int_t
ngx_http_stoa_mcp_item_asked(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    ngx_http_stoa_mcp_way_t *way)
{
    bool              prompt;
    stoa_json_val_t  *v;

    v = &mcp->named;
    prompt = mcp->msg.method == STOA_MCP_PROMPTS_GET;

    if (mcp->msg.method != STOA_MCP_COMPLETE) {
        *v = prompt ? mcp->msg.name : mcp->msg.uri;

    } else if (mcp->msg.ref.start == NULL
               || stoa_jsonrpc_ref(&mcp->msg.ref, &prompt, v) != STOA_OK)
    {
        return NGX_DECLINED;
    }

    if (v->start == NULL || v->type != STOA_JSON_STRING) {
        return NGX_DECLINED;
    }

    way->list = prompt ? NGX_HTTP_STOA_MCP_PROMPTS
                       : NGX_HTTP_STOA_MCP_RESOURCES;
    way->name.data = ngx_pnalloc(r->pool, v->end - v->start);
    if (way->name.data == NULL) {
        return NGX_ERROR;
    }

    way->name.len = stoa_json_unescape(v, (char *) way->name.data);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_mcp_item_way(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_way_t *way)
{
    ngx_http_stoa_mcp_list_t  *lists;
    ngx_http_stoa_mcp_item_t  *item;

    lists = way->view->lists;

    item = ngx_http_stoa_mcp_view_item(&lists[way->list], way->name.data,
                                       way->name.len);

    if (item || way->list == NGX_HTTP_STOA_MCP_PROMPTS) {
        return item && ngx_http_stoa_mcp_item_take(r, way, item);
    }

    way->list = NGX_HTTP_STOA_MCP_TEMPLATES;

    if (ctx->call.mcp->msg.method == STOA_MCP_COMPLETE) {
        item = ngx_http_stoa_mcp_view_item(&lists[way->list],
                                           way->name.data, way->name.len);
        return item && ngx_http_stoa_mcp_item_take(r, way, item);
    }

    if (way->name.len > STOA_URI_ALIAS_MAX) {
        return 0;
    }

    if (ngx_http_stoa_mcp_item_template(r, way)) {
        return !ngx_http_stoa_mcp_item_off(r, way, STOA_REC_RESOURCE);
    }

    if (way->view->nreaders != 1) {
        return 0;
    }

    way->api = way->view->reader;
    way->target = way->view->reader_target;
    way->upstream = (stoa_str_t) { (char *) way->name.data, way->name.len };

    return !ngx_http_stoa_mcp_item_off(r, way, STOA_REC_RESOURCE)
           && !ngx_http_stoa_mcp_item_off(r, way, STOA_REC_TEMPLATE);
}


/* The view does not have them: what leads past it has to look. */

static ngx_uint_t
ngx_http_stoa_mcp_item_off(ngx_http_request_t *r,
    const ngx_http_stoa_mcp_way_t *way, stoa_rec_kind_e kind)
{
    ngx_http_stoa_mcp_off_t     off;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    off.uri = way->upstream;
    off.kind = kind;

    return ngx_http_stoa_store_each_item(mcf->store, kind, &way->api,
                                         ngx_http_stoa_mcp_item_off_one, &off)
           != NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_item_off_one(void *data, const void *rec)
{
    size_t                    literal;
    stoa_str_t                name;
    const stoa_rec_item_t    *item = rec;
    ngx_http_stoa_mcp_off_t  *off = data;

    if (item->enabled) {
        return NGX_OK;
    }

    name = stoa_rec_str(item, item->name);

    return off->kind == STOA_REC_RESOURCE
           ? (name.len == off->uri.len
              && ngx_memcmp(name.data, off->uri.data, name.len) == 0
              ? NGX_DONE : NGX_OK)
           : stoa_uri_matches(name.data, name.len, off->uri.data,
                              off->uri.len, &literal)
           ? NGX_DONE : NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_mcp_item_take(ngx_http_request_t *r,
    ngx_http_stoa_mcp_way_t *way, ngx_http_stoa_mcp_item_t *item)
{
    const stoa_rec_item_t      *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    static const stoa_rec_kind_e  kinds[] = {
        STOA_REC_TOOL, STOA_REC_PROMPT, STOA_REC_RESOURCE, STOA_REC_TEMPLATE
    };

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rec = ngx_http_stoa_store_item(mcf->store, kinds[way->list], &item->id);

    if (rec == NULL || !rec->enabled) {
        return 0;
    }

    way->item = item;
    way->api = rec->api;
    way->target = item->target;
    way->upstream = stoa_rec_str(rec, rec->name);

    return 1;
}


/* Of the templates that it may be made of, the one with the most text of its
 * own; of two alike the first, the older api's.  What another name puts before
 * it the upstream does not know. */

static ngx_uint_t
ngx_http_stoa_mcp_item_template(ngx_http_request_t *r,
    ngx_http_stoa_mcp_way_t *way)
{
    size_t                     literal, most, more;
    ngx_uint_t                 i;
    ngx_http_stoa_mcp_list_t  *list;
    ngx_http_stoa_mcp_item_t  *item, *best;

    list = &way->view->lists[NGX_HTTP_STOA_MCP_TEMPLATES];
    best = NULL;
    most = 0;

    for (i = 0; i < list->nitems; i++) {
        item = &list->items[i];

        if (stoa_uri_matches((char *) item->name.data, item->name.len,
                             (char *) way->name.data, way->name.len,
                             &literal)
            && (best == NULL || literal > most))
        {
            best = item;
            most = literal;
        }
    }

    if (best == NULL || !ngx_http_stoa_mcp_item_take(r, way, best)) {
        return 0;
    }

    more = best->name.len - way->upstream.len;
    way->upstream = (stoa_str_t) { (char *) way->name.data + more,
                                   way->name.len - more };

    return 1;
}


/* The resource has another name upstream: its contents are to have the one
 * that the client knows. */

static ngx_int_t
ngx_http_stoa_mcp_item_alias(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    const ngx_http_stoa_mcp_way_t *way)
{
    if (mcp->msg.method != STOA_MCP_RESOURCES_READ
        || (way->upstream.len == way->name.len
            && ngx_memcmp(way->upstream.data, way->name.data, way->name.len)
               == 0))
    {
        return NGX_OK;
    }

    mcp->alias.len = mcp->named.end - mcp->named.start;
    mcp->alias.data = ngx_pnalloc(r->pool, mcp->alias.len);

    if (mcp->alias.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(mcp->alias.data, mcp->named.start, mcp->alias.len);

    return NGX_OK;
}


/* What is no JSON stays as it is, as elsewhere. */

ngx_int_t
ngx_http_stoa_mcp_item_told(ngx_http_stoa_ctx_t *ctx, stoa_str_t *data)
{
    ngx_uint_t            more;
    const char           *p;
    stoa_err_t            err;
    stoa_json_val_t       root, v, list, item;
    stoa_json_iter_t      it;
    ngx_http_stoa_mcp_t  *mcp;

    static stoa_buf_t  text, *out = &text;

    mcp = ctx->call.mcp;

    if (mcp->alias.len == 0
        || stoa_json_check(data->data, data->len, STOA_JSON_DEPTH_MAX, &root,
                           &err)
           != STOA_OK
        || !stoa_json_get(&root, "result", &v)
        || !stoa_json_get(&v, "contents", &list)
        || list.type != STOA_JSON_ARRAY)
    {
        return NGX_OK;
    }

    stoa_buf_free(out);
    stoa_buf_init(out, NGX_HTTP_STOA_MCP_ALIASED);
    p = data->data;

    for (more = stoa_json_first(&list, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        if (stoa_json_get(&item, "uri", &v) && v.type == STOA_JSON_STRING
            && stoa_json_eq(&v, (char *) mcp->tool_name.data,
                            mcp->tool_name.len))
        {
            stoa_buf_add(out, p, v.start - p);
            stoa_buf_add(out, mcp->alias.data, mcp->alias.len);
            p = v.end;
        }
    }

    if (p == data->data) {
        return NGX_OK;
    }

    stoa_buf_add(out, p, data->data + data->len - p);

    data->data = out->data;
    data->len = out->len;

    return out->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_mcp_item_unknown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_way_t *way)
{
    ngx_str_t               detail;
    ngx_uint_t              prompt;
    ngx_http_stoa_refuse_e  what;

    prompt = way->list == NGX_HTTP_STOA_MCP_PROMPTS;

    /* one that nothing has is not repeated */

    if (way->name.len > STOA_URI_MAX) {
        way->name.len = 0;
    }

    detail.data = ngx_pnalloc(r->pool, way->name.len + 32);
    if (detail.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    detail.len = ngx_sprintf(detail.data, "%s: %V", prompt
                             ? "unknown prompt" : "resource not found",
                             &way->name)
                 - detail.data;

    what = prompt ? NGX_HTTP_STOA_REFUSE_MCP_PROMPT
           : (ctx->call.mcp->modern
              || ctx->call.mcp->msg.method == STOA_MCP_COMPLETE)
           ? NGX_HTTP_STOA_REFUSE_MCP_RESOURCE
           : NGX_HTTP_STOA_REFUSE_MCP_RESOURCE_LEGACY;

    return ngx_http_stoa_mcp_refuse(r, ctx, what, &detail);
}
