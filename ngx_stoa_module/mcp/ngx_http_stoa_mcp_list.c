
/*
 * What a caller may see on an MCP endpoint, and tools/list.
 *
 * A view is built from the store for (application, endpoint, era) and kept per
 * worker until the configuration changes or a subscription in it expires.
 * Its items are sorted by name, so that the order is the same on every node
 * and a cursor (the last name given) stays good across changes.
 *
 * Process: any worker.  Owner: the worker's cache; requests hold references.
 * Limits: 256 views per worker, NGX_HTTP_STOA_MCP_LIST_MAX tools a view.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_store.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_MCP_VIEWS_MAX  256

#define NGX_HTTP_STOA_MCP_LIST_END                                            \
    ",\"ttlMs\":" ngx_value(NGX_HTTP_STOA_MCP_LIST_TTL_MS)                    \
    ",\"cacheScope\":\"private\",\"_meta\":"                                  \
    "{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"stoa-gateway\","     \
    "\"version\":\"" NGX_HTTP_STOA_VERSION "\"}}"


typedef struct {
    stoa_str_t              prefix;       /* api name, or empty             */
    stoa_str_t              name;
    const stoa_rec_tool_t  *tool;
} ngx_http_stoa_mcp_found_t;

typedef struct {
    ngx_http_stoa_mcp_view_t       *view;
    ngx_http_stoa_store_t          *store;
    ngx_http_stoa_ctx_t            *ctx;
    ngx_http_stoa_mcp_found_t      *found;
    ngx_uint_t                      nfound;
    const stoa_rec_api_t           *api;
    const stoa_rec_subscription_t  *sub;
    stoa_id_t                       tenant;
    int64_t                         now_ms;
} ngx_http_stoa_mcp_build_t;


static ngx_http_stoa_mcp_view_t *ngx_http_stoa_mcp_view_find(
    ngx_http_stoa_mcp_view_t *key, int64_t now_ms);
static ngx_http_stoa_mcp_view_t *ngx_http_stoa_mcp_view_build(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_view_t *key, int64_t now_ms);
static ngx_int_t ngx_http_stoa_mcp_view_sub(void *data, const void *rec);
static ngx_int_t ngx_http_stoa_mcp_view_tool(void *data, const void *rec);
static void ngx_http_stoa_mcp_view_server(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_server_t *server);
static void ngx_http_stoa_mcp_view_add(ngx_http_stoa_mcp_build_t *b,
    stoa_str_t prefix, stoa_str_t name, const stoa_rec_tool_t *tool);
static ngx_uint_t ngx_http_stoa_mcp_view_era(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_api_t *api);
static ngx_int_t ngx_http_stoa_mcp_view_render(ngx_http_stoa_mcp_build_t *b,
    ngx_log_t *log);
static void ngx_http_stoa_mcp_view_release(void *data);
static ngx_int_t ngx_http_stoa_mcp_list_ends(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_buf_t *head, ngx_buf_t *tail,
    ngx_str_t *next);
static ngx_int_t ngx_http_stoa_mcp_page(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_view_t *view,
    ngx_uint_t *start);


static ngx_queue_t  ngx_http_stoa_mcp_views;
static ngx_uint_t   ngx_http_stoa_mcp_nviews;


/* ---- the cache --------------------------------------------------------- */

ngx_http_stoa_mcp_view_t *
ngx_http_stoa_mcp_view(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t modern)
{
    int64_t                     now_ms;
    ngx_pool_cleanup_t         *cln;
    ngx_http_stoa_mcp_view_t   *view, key;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    now_ms = (int64_t) ngx_cached_time->sec * 1000 + ngx_cached_time->msec;

    ngx_memzero(&key, sizeof(key));
    key.application = ctx->application;
    key.endpoint = ctx->call.mcp->has_server ? ctx->call.mcp->server
                                        : ctx->call.mcp->endpoint_tenant;
    key.generation = ngx_http_stoa_store_generation(mcf->store);
    key.modern = modern ? 1 : 0;

    view = ngx_http_stoa_mcp_view_find(&key, now_ms);

    if (view == NULL) {
        view = ngx_http_stoa_mcp_view_build(r, ctx, &key, now_ms);
        if (view == NULL) {
            return NULL;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    view->refs++;
    cln->data = view;
    cln->handler = ngx_http_stoa_mcp_view_release;

    return view;
}


static ngx_http_stoa_mcp_view_t *
ngx_http_stoa_mcp_view_find(ngx_http_stoa_mcp_view_t *key, int64_t now_ms)
{
    ngx_queue_t               *q, *next;
    ngx_http_stoa_mcp_view_t  *view;

    if (ngx_http_stoa_mcp_views.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_mcp_views);
    }

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_views);
         q != ngx_queue_sentinel(&ngx_http_stoa_mcp_views);
         q = next)
    {
        next = ngx_queue_next(q);
        view = ngx_queue_data(q, ngx_http_stoa_mcp_view_t, queue);

        if (view->generation != key->generation
            || view->valid_until_ms <= now_ms)
        {
            ngx_queue_remove(q);
            ngx_http_stoa_mcp_nviews--;
            ngx_http_stoa_mcp_view_release(view);
            continue;
        }

        if (view->modern == key->modern
            && ngx_memcmp(&view->application, &key->application, STOA_ID_LEN)
               == 0
            && ngx_memcmp(&view->endpoint, &key->endpoint, STOA_ID_LEN) == 0)
        {
            ngx_queue_remove(q);
            ngx_queue_insert_head(&ngx_http_stoa_mcp_views, q);
            return view;
        }
    }

    return NULL;
}


static void
ngx_http_stoa_mcp_view_release(void *data)
{
    ngx_http_stoa_mcp_view_t  *view = data;

    if (--view->refs == 0) {
        ngx_destroy_pool(view->pool);
    }
}


void
ngx_http_stoa_mcp_list_exit(void)
{
    ngx_queue_t               *q;
    ngx_http_stoa_mcp_view_t  *view;

    if (ngx_http_stoa_mcp_views.next == NULL) {
        return;
    }

    while (!ngx_queue_empty(&ngx_http_stoa_mcp_views)) {
        q = ngx_queue_head(&ngx_http_stoa_mcp_views);
        view = ngx_queue_data(q, ngx_http_stoa_mcp_view_t, queue);

        ngx_queue_remove(q);
        ngx_http_stoa_mcp_nviews--;
        ngx_http_stoa_mcp_view_release(view);
    }
}


/* ---- building ---------------------------------------------------------- */

static ngx_http_stoa_mcp_view_t *
ngx_http_stoa_mcp_view_build(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_view_t *key, int64_t now_ms)
{
    ngx_int_t                   rc;
    ngx_pool_t                 *pool;
    ngx_queue_t                *q;
    ngx_http_stoa_mcp_view_t   *view, *old;
    ngx_http_stoa_mcp_build_t   b;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    view = ngx_palloc(pool, sizeof(ngx_http_stoa_mcp_view_t));
    if (view == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    *view = *key;
    view->pool = pool;
    view->refs = 1;
    view->serves_modern = 1;
    view->serves_legacy = 1;
    view->valid_until_ms = now_ms + 3600 * 1000;

    ngx_memzero(&b, sizeof(b));
    b.view = view;
    b.store = mcf->store;
    b.ctx = ctx;
    b.tenant = ctx->call.mcp->endpoint_tenant;
    b.now_ms = now_ms;

    b.found = ngx_alloc(NGX_HTTP_STOA_MCP_LIST_MAX
                        * sizeof(ngx_http_stoa_mcp_found_t),
                        r->connection->log);
    if (b.found == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    rc = ngx_http_stoa_store_each_subscription(mcf->store, &ctx->application,
                                               ngx_http_stoa_mcp_view_sub,
                                               &b);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_view_render(&b, r->connection->log);
    }

    ngx_free(b.found);

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    if (ngx_http_stoa_mcp_nviews >= NGX_HTTP_STOA_MCP_VIEWS_MAX) {
        q = ngx_queue_last(&ngx_http_stoa_mcp_views);
        old = ngx_queue_data(q, ngx_http_stoa_mcp_view_t, queue);
        ngx_queue_remove(q);
        ngx_http_stoa_mcp_nviews--;
        ngx_http_stoa_mcp_view_release(old);
    }

    ngx_queue_insert_head(&ngx_http_stoa_mcp_views, &view->queue);
    ngx_http_stoa_mcp_nviews++;

    return view;
}


static ngx_int_t
ngx_http_stoa_mcp_view_sub(void *data, const void *rec)
{
    const stoa_rec_plan_t          *plan;
    const stoa_rec_server_t        *server;
    ngx_http_stoa_mcp_build_t      *b = data;
    const stoa_rec_subscription_t  *sub = rec;

    if (b->ctx->call.mcp->has_server
        && ngx_memcmp(&sub->target, &b->ctx->call.mcp->server, STOA_ID_LEN)
           != 0)
    {
        return NGX_OK;
    }

    if (sub->state != STOA_STATE_ACTIVE
        || (sub->expires_ms && sub->expires_ms <= b->now_ms))
    {
        /* refused by name when it is used, but not invisible */

        if (b->ctx->call.mcp->has_server) {
            b->view->entitled = 1;
        }

        return NGX_OK;
    }

    plan = ngx_http_stoa_store_plan(b->store, &sub->plan);
    if (plan == NULL) {
        return NGX_OK;
    }

    if (sub->expires_ms && sub->expires_ms < b->view->valid_until_ms) {
        b->view->valid_until_ms = sub->expires_ms;
    }

    b->sub = sub;

    if (sub->target_kind == STOA_TARGET_SERVER) {
        server = ngx_http_stoa_store_server(b->store, &sub->target);

        if (server && ngx_memcmp(&server->tenant, &b->tenant, STOA_ID_LEN)
                      == 0)
        {
            b->view->entitled = 1;
            ngx_http_stoa_mcp_view_server(b, server);
        }

        return NGX_OK;
    }

    b->api = ngx_http_stoa_store_api(b->store, &sub->target);

    if (b->api == NULL || b->api->kind != STOA_API_MCP
        || ngx_memcmp(&b->api->tenant, &b->tenant, STOA_ID_LEN) != 0
        || !ngx_http_stoa_auth_visible(b->api, &b->ctx->tenant))
    {
        return NGX_OK;
    }

    b->view->entitled = 1;

    if (!ngx_http_stoa_mcp_view_era(b, b->api)) {
        return NGX_OK;
    }

    return ngx_http_stoa_store_each_tool(b->store, &b->api->id,
                                         ngx_http_stoa_mcp_view_tool, b);
}


/* Can this caller's era be spoken with that upstream?  Also notes what the
 * endpoint as a whole can serve. */

static ngx_uint_t
ngx_http_stoa_mcp_view_era(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_api_t *api)
{
    switch (api->era) {

    case STOA_ERA_DUAL:
        return 1;

    case STOA_ERA_MODERN:
        b->view->serves_legacy = 0;
        return b->view->modern;

    case STOA_ERA_LEGACY:
        b->view->serves_modern = 0;
        return !b->view->modern;

    default:                      /* never read: it has no tools, and takes
                                     nothing away from those that have     */
        return 0;
    }
}


static ngx_int_t
ngx_http_stoa_mcp_view_tool(void *data, const void *rec)
{
    ngx_http_stoa_mcp_build_t  *b = data;
    const stoa_rec_tool_t      *tool = rec;

    ngx_http_stoa_mcp_view_add(b, stoa_rec_str(b->api, b->api->name),
                               stoa_rec_str(tool, tool->name), tool);
    return NGX_OK;
}


static void
ngx_http_stoa_mcp_view_server(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_server_t *server)
{
    uint32_t                       i;
    stoa_str_t                     none = { "", 0 };
    const stoa_rec_api_t          *api;
    const stoa_rec_tool_t         *tool;
    const stoa_rec_server_tool_t  *t;

    t = stoa_rec_vec(server, server->tools, stoa_rec_server_tool_t);

    for (i = 0; i < server->tools.n; i++) {
        api = ngx_http_stoa_store_api(b->store, &t[i].api);
        tool = ngx_http_stoa_store_tool(b->store, &t[i].tool);

        if (api && tool && ngx_http_stoa_mcp_view_era(b, api)) {
            ngx_http_stoa_mcp_view_add(b, none,
                                       stoa_rec_str(server, t[i].name), tool);
        }
    }
}


static void
ngx_http_stoa_mcp_view_add(ngx_http_stoa_mcp_build_t *b, stoa_str_t prefix,
    stoa_str_t name, const stoa_rec_tool_t *tool)
{
    ngx_http_stoa_mcp_found_t  *f;

    if (!tool->enabled || b->nfound == NGX_HTTP_STOA_MCP_LIST_MAX
        || !ngx_http_stoa_mcp_selected(b->sub, &tool->id))
    {
        return;
    }

    f = &b->found[b->nfound++];
    f->prefix = prefix;
    f->name = name;
    f->tool = tool;
}


/* A subscription may name the tools it is for. */

ngx_uint_t
ngx_http_stoa_mcp_selected(const stoa_rec_subscription_t *sub,
    const stoa_id_t *tool)
{
    return !sub->has_tools || stoa_rec_has_id(sub, sub->tools, tool);
}


static size_t
ngx_http_stoa_mcp_found_name(const ngx_http_stoa_mcp_found_t *f, u_char *dst)
{
    u_char  *p;

    p = dst;

    if (f->prefix.len) {
        p = ngx_cpymem(p, f->prefix.data, f->prefix.len);
        *p++ = '_';
        *p++ = '_';
    }

    p = ngx_cpymem(p, f->name.data, f->name.len);

    return p - dst;
}


static int ngx_libc_cdecl
ngx_http_stoa_mcp_found_cmp(const void *one, const void *two)
{
    int     cmp;
    size_t  n, m;
    u_char  a[STOA_NAME_MAX + STOA_TOOL_NAME_MAX + 2],
            b[STOA_NAME_MAX + STOA_TOOL_NAME_MAX + 2];

    n = ngx_http_stoa_mcp_found_name(one, a);
    m = ngx_http_stoa_mcp_found_name(two, b);

    cmp = ngx_memcmp(a, b, ngx_min(n, m));

    return cmp ? cmp : (n > m) - (n < m);
}


static ngx_int_t
ngx_http_stoa_mcp_view_render(ngx_http_stoa_mcp_build_t *b, ngx_log_t *log)
{
    u_char                     *p;
    size_t                      len, n;
    stoa_str_t                  head, tail;
    ngx_uint_t                  i;
    ngx_http_stoa_mcp_item_t   *item;
    ngx_http_stoa_mcp_view_t   *view;
    ngx_http_stoa_mcp_found_t  *f;
    u_char                      name[STOA_NAME_MAX + STOA_TOOL_NAME_MAX + 2];

    view = b->view;

    if (b->nfound == NGX_HTTP_STOA_MCP_LIST_MAX) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "an application sees more than "
                      "%d tools at one endpoint, the rest is not listed",
                      NGX_HTTP_STOA_MCP_LIST_MAX);
    }

    qsort(b->found, b->nfound, sizeof(ngx_http_stoa_mcp_found_t),
          ngx_http_stoa_mcp_found_cmp);

    len = 0;

    for (i = 0; i < b->nfound; i++) {
        f = &b->found[i];
        len += f->prefix.len + f->name.len + f->tool->definition_head.len
               + f->tool->definition_tail.len + sizeof("\"__\",");
    }

    view->items = ngx_palloc(view->pool, (b->nfound + 1)
                             * sizeof(ngx_http_stoa_mcp_item_t));
    view->blob = ngx_palloc(view->pool, len + 1);

    if (view->items == NULL || view->blob == NULL) {
        return NGX_ERROR;
    }

    p = view->blob;

    for (i = 0; i < b->nfound; i++) {
        f = &b->found[i];
        n = ngx_http_stoa_mcp_found_name(f, name);

        /* a name that two subscriptions give is listed once */

        if (n > STOA_TOOL_NAME_MAX
            || (i && ngx_http_stoa_mcp_found_cmp(f, f - 1) == 0))
        {
            continue;
        }

        if (p != view->blob) {
            *p++ = ',';
        }

        item = &view->items[view->nitems++];
        item->start = p - view->blob;

        head = stoa_rec_str(f->tool, f->tool->definition_head);
        tail = stoa_rec_str(f->tool, f->tool->definition_tail);

        p = ngx_cpymem(p, head.data, head.len);
        *p++ = '"';
        item->name.data = p;
        item->name.len = n;
        p = ngx_cpymem(p, name, n);
        *p++ = '"';
        p = ngx_cpymem(p, tail.data, tail.len);

        item->end = p - view->blob;
    }

    view->blob_len = p - view->blob;

    return NGX_OK;
}


/* ---- tools/list -------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_tools_list(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                  detail;
    ngx_buf_t                 *bufs[3];
    ngx_uint_t                 i, start, end;
    ngx_chain_t               *cls[3];
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_view_t  *view;

    mcp = ctx->call.mcp;

    view = ngx_http_stoa_mcp_view(r, ctx, mcp->modern);
    if (view == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_stoa_mcp_page(r, ctx, view, &start) != NGX_OK) {
        ngx_str_set(&detail, "invalid cursor");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_TOOL,
                                        &detail);
    }

    end = ngx_min(start + NGX_HTTP_STOA_MCP_PAGE, view->nitems);

    for (i = 0; i < 3; i++) {
        bufs[i] = ngx_calloc_buf(r->pool);
        cls[i] = ngx_alloc_chain_link(r->pool);

        if (bufs[i] == NULL || cls[i] == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        bufs[i]->memory = 1;
        cls[i]->buf = bufs[i];
        cls[i]->next = NULL;
    }

    if (ngx_http_stoa_mcp_list_ends(r, mcp, bufs[0], bufs[2],
                                    end < view->nitems
                                    ? &view->items[end - 1].name : NULL)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (start < end) {

        /* the view's own bytes: the request holds a reference */

        bufs[1]->pos = view->blob + view->items[start].start;
        bufs[1]->last = view->blob + view->items[end - 1].end;
        cls[0]->next = cls[1];
        cls[1]->next = cls[2];

    } else {
        cls[0]->next = cls[2];
    }

    return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_OK, cls[0]);
}


/* What stands around the tools; next: the last name, where more follow. */

static ngx_int_t
ngx_http_stoa_mcp_list_ends(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    ngx_buf_t *head, ngx_buf_t *tail, ngx_str_t *next)
{
    u_char     *p;
    ngx_str_t   id;

    id = ngx_http_stoa_mcp_id(mcp);

    p = ngx_pnalloc(r->pool, id.len + 512 + 2 * STOA_TOOL_NAME_MAX
                             + 2 * STOA_NAME_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    head->pos = p;
    p = ngx_cpymem(p, "{\"jsonrpc\":\"2.0\",\"id\":",
                   sizeof("{\"jsonrpc\":\"2.0\",\"id\":") - 1);
    p = ngx_cpymem(p, id.data, id.len);
    p = ngx_cpymem(p, ",\"result\":{", sizeof(",\"result\":{") - 1);

    if (mcp->modern) {
        p = ngx_cpymem(p, "\"resultType\":\"complete\",",
                       sizeof("\"resultType\":\"complete\",") - 1);
    }

    p = ngx_cpymem(p, "\"tools\":[", sizeof("\"tools\":[") - 1);
    head->last = p;

    tail->pos = p;
    *p++ = ']';

    if (next) {
        p = ngx_cpymem(p, ",\"nextCursor\":\"",
                       sizeof(",\"nextCursor\":\"") - 1);
        p = ngx_hex_dump(p, next->data, next->len);
        *p++ = '"';
    }

    if (mcp->modern) {
        p = ngx_cpymem(p, NGX_HTTP_STOA_MCP_LIST_END,
                       sizeof(NGX_HTTP_STOA_MCP_LIST_END) - 1);
    }

    *p++ = '}';
    *p++ = '}';
    tail->last = p;

    return NGX_OK;
}


/* The cursor is the last name of the page before, in hex. */

static ngx_int_t
ngx_http_stoa_mcp_page(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_view_t *view, ngx_uint_t *start)
{
    int                        cmp;
    size_t                     len;
    uint8_t                   *name;
    ngx_uint_t                 low, high, mid;
    stoa_json_val_t           *v;
    ngx_http_stoa_mcp_item_t  *item;

    *start = 0;
    v = &ctx->call.mcp->msg.cursor;

    if (v->start == NULL || v->type == STOA_JSON_NULL) {
        return NGX_OK;
    }

    len = v->end - v->start - 2;

    if (v->type != STOA_JSON_STRING || v->escaped || len == 0 || len % 2
        || len > 2 * (STOA_TOOL_NAME_MAX + STOA_NAME_MAX + 2))
    {
        return NGX_DECLINED;
    }

    name = ngx_pnalloc(r->pool, len / 2);

    if (name == NULL || !stoa_hex_decode(v->start + 1, len, name)) {
        return NGX_DECLINED;
    }

    len /= 2;
    low = 0;
    high = view->nitems;

    while (low < high) {
        mid = low + (high - low) / 2;
        item = &view->items[mid];
        cmp = ngx_memcmp(item->name.data, name, ngx_min(item->name.len, len));

        if (cmp < 0 || (cmp == 0 && item->name.len <= len)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    *start = low;

    return NGX_OK;
}
