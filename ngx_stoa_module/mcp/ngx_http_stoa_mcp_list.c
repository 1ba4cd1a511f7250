
/*
 * The lists of MCP: pages of a view.
 *
 * A cursor is the last name given, so that it stays good across changes.
 */

#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"
#include "core/stoa_uri.h"


#define NGX_HTTP_STOA_MCP_LIST_END                                            \
    ",\"ttlMs\":" ngx_value(NGX_HTTP_STOA_MCP_LIST_TTL_MS)                    \
    ",\"cacheScope\":\"private\",\"_meta\":"                                  \
    "{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"stoa-gateway\","     \
    "\"version\":\"" NGX_HTTP_STOA_VERSION "\"}"


typedef struct {
    stoa_mcp_method_e   method;
    ngx_uint_t          list;
    ngx_str_t           member;       /* of the result                      */
} ngx_http_stoa_mcp_listing_t;


static ngx_int_t ngx_http_stoa_mcp_list_page(ngx_http_request_t *r,
    ngx_http_stoa_mcp_list_t *list, const u_char *hidden, ngx_uint_t start,
    ngx_str_t *items, ngx_str_t **last);
static ngx_int_t ngx_http_stoa_mcp_list_ends(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, const ngx_str_t *member,
    const ngx_str_t *notes, ngx_buf_t *head, ngx_buf_t *tail,
    ngx_str_t *next);
static ngx_int_t ngx_http_stoa_mcp_page(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_list_t *list,
    ngx_uint_t *start);
static ngx_uint_t ngx_http_stoa_mcp_list_after(
    const ngx_http_stoa_mcp_list_t *list, const u_char *name, size_t len);


static const ngx_http_stoa_mcp_listing_t  ngx_http_stoa_mcp_listings[] = {
    { STOA_MCP_PROMPTS_LIST, NGX_HTTP_STOA_MCP_PROMPTS,
      ngx_string("prompts") },
    { STOA_MCP_RESOURCES_LIST, NGX_HTTP_STOA_MCP_RESOURCES,
      ngx_string("resources") },
    { STOA_MCP_TEMPLATES_LIST, NGX_HTTP_STOA_MCP_TEMPLATES,
      ngx_string("resourceTemplates") },
    { STOA_MCP_OTHER, NGX_HTTP_STOA_MCP_TOOLS, ngx_string("tools") }
};


ngx_int_t
ngx_http_stoa_mcp_list(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                           rc;
    ngx_str_t                           detail, items, *instead, *last;
    const u_char                       *hidden;
    ngx_buf_t                          *bufs[3];
    ngx_uint_t                          i, start;
    ngx_chain_t                        *cls[3];
    ngx_http_stoa_mcp_t                *mcp;
    ngx_http_stoa_mcp_list_t           *list;
    ngx_http_stoa_mcp_view_t           *view;
    const ngx_http_stoa_mcp_listing_t  *row;

    mcp = ctx->call.mcp;
    row = ngx_http_stoa_mcp_listings;

    while (row->method != mcp->msg.method && row->method != STOA_MCP_OTHER) {
        row++;
    }

    rc = ngx_http_stoa_mcp_shown(r, ctx, row->list, &view, &hidden);
    if (rc != NGX_OK) {
        return rc;
    }

    list = &view->lists[row->list];
    instead = row->list == NGX_HTTP_STOA_MCP_TOOLS
              ? ngx_http_stoa_mcp_search_list(r, ctx) : NULL;

    if (ngx_http_stoa_mcp_page(r, ctx, list, &start) != NGX_OK) {
        ngx_str_set(&detail, "invalid cursor");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_CURSOR,
                                        &detail);
    }

    if (instead) {
        items = *instead;
        last = NULL;

    } else if (ngx_http_stoa_mcp_list_page(r, list, hidden, start, &items,
                                           &last)
               != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

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

    if (view->stale) {
        ngx_http_stoa_count(mcp_stale, 1);
    }

    if (ngx_http_stoa_mcp_list_ends(r, mcp, &row->member, &view->notes,
                                    bufs[0], bufs[2], last)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    bufs[1]->pos = items.data;
    bufs[1]->last = items.data + items.len;

    cls[0]->next = items.len ? cls[1] : cls[2];
    cls[1]->next = cls[2];

    return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_OK, cls[0]);
}


/* Those from start on; *last: the last one's name, where more follow. */

static ngx_int_t
ngx_http_stoa_mcp_list_page(ngx_http_request_t *r,
    ngx_http_stoa_mcp_list_t *list, const u_char *hidden, ngx_uint_t start,
    ngx_str_t *items, ngx_str_t **last)
{
    ngx_uint_t                 i, n;
    stoa_buf_t                 b;
    ngx_http_stoa_mcp_item_t  *item;

    item = list->items;
    *last = NULL;
    ngx_str_null(items);

    if (hidden == NULL) {
        n = ngx_min(start + NGX_HTTP_STOA_MCP_PAGE, list->nitems);

        /* the view's own bytes: the request holds a reference */

        if (start < n) {
            items->data = list->blob + item[start].start;
            items->len = item[n - 1].end - item[start].start;
            *last = n < list->nitems ? &item[n - 1].name : NULL;
        }

        return NGX_OK;
    }

    stoa_buf_init(&b, 64 * 1024 * 1024);

    for (i = start, n = 0; i < list->nitems; i++) {

        if (hidden[i]) {
            continue;
        }

        if (n == NGX_HTTP_STOA_MCP_PAGE) {
            break;
        }

        stoa_buf_addz(&b, n++ ? "," : "");
        stoa_buf_add(&b, list->blob + item[i].start,
                     item[i].end - item[i].start);
        *last = &item[i].name;
    }

    if (i == list->nitems) {
        *last = NULL;
    }

    if (n == 0) {
        stoa_buf_free(&b);
        return NGX_OK;
    }

    return ngx_http_stoa_ctx_text(r, &b, items);
}


/* What stands around the items; next: the last name, where more follow. */

static ngx_int_t
ngx_http_stoa_mcp_list_ends(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    const ngx_str_t *member, const ngx_str_t *notes, ngx_buf_t *head,
    ngx_buf_t *tail, ngx_str_t *next)
{
    u_char     *p;
    ngx_str_t   id;

    id = ngx_http_stoa_mcp_id(mcp);

    p = ngx_pnalloc(r->pool, id.len + member->len + notes->len + 512
                             + (next ? 2 * next->len : 0));
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

    *p++ = '"';
    p = ngx_cpymem(p, member->data, member->len);
    p = ngx_cpymem(p, "\":[", sizeof("\":[") - 1);
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

        if (notes->len) {
            *p++ = ',';
            p = ngx_cpymem(p, notes->data, notes->len);
        }

        *p++ = '}';

    } else if (notes->len) {
        p = ngx_cpymem(p, ",\"_meta\":{", sizeof(",\"_meta\":{") - 1);
        p = ngx_cpymem(p, notes->data, notes->len);
        *p++ = '}';
    }

    *p++ = '}';
    *p++ = '}';
    tail->last = p;

    return NGX_OK;
}


/* The cursor is the last name of the page before, in hex; "" is the start. */

static ngx_int_t
ngx_http_stoa_mcp_page(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_list_t *list, ngx_uint_t *start)
{
    size_t            len;
    uint8_t          *name;
    stoa_json_val_t  *v;

    *start = 0;
    v = &ctx->call.mcp->msg.cursor;

    if (v->start == NULL || v->type == STOA_JSON_NULL
        || v->end - v->start == 2)
    {
        return NGX_OK;
    }

    len = v->end - v->start - 2;

    if (v->type != STOA_JSON_STRING || v->escaped || len % 2
        || len > 2 * STOA_URI_ALIAS_MAX)
    {
        return NGX_DECLINED;
    }

    name = ngx_pnalloc(r->pool, len / 2);

    if (name == NULL || !stoa_hex_decode(v->start + 1, len, name)) {
        return NGX_DECLINED;
    }

    *start = ngx_http_stoa_mcp_list_after(list, name, len / 2);

    return NGX_OK;
}


/* The first item behind a name. */

static ngx_uint_t
ngx_http_stoa_mcp_list_after(const ngx_http_stoa_mcp_list_t *list,
    const u_char *name, size_t len)
{
    int                              cmp;
    ngx_uint_t                       low, high, mid;
    const ngx_http_stoa_mcp_item_t  *item;

    low = 0;
    high = list->nitems;

    while (low < high) {
        mid = low + (high - low) / 2;
        item = &list->items[mid];
        cmp = ngx_memcmp(item->name.data, name, ngx_min(item->name.len, len));

        if (cmp < 0 || (cmp == 0 && item->name.len <= len)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return low;
}


ngx_http_stoa_mcp_item_t *
ngx_http_stoa_mcp_view_item(ngx_http_stoa_mcp_list_t *list,
    const u_char *name, size_t len)
{
    ngx_uint_t                 i;
    ngx_http_stoa_mcp_item_t  *item;

    i = ngx_http_stoa_mcp_list_after(list, name, len);
    item = i ? &list->items[i - 1] : NULL;

    return item && item->name.len == len
           && ngx_memcmp(item->name.data, name, len) == 0 ? item : NULL;
}


void
ngx_http_stoa_mcp_list_capabilities(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_view_t *view,
    stoa_buf_t *b)
{
    const ngx_http_stoa_mcp_list_t  *lists;

    lists = view->lists;

    stoa_buf_addz(b, "\"capabilities\":{\"tools\":{\"listChanged\":true}");

    if (view->has_prompts || lists[NGX_HTTP_STOA_MCP_PROMPTS].nitems) {
        stoa_buf_addz(b, ",\"prompts\":{\"listChanged\":true}");
    }

    if (view->has_resources || lists[NGX_HTTP_STOA_MCP_RESOURCES].nitems
        || lists[NGX_HTTP_STOA_MCP_TEMPLATES].nitems)
    {
        stoa_buf_addz(b, ",\"resources\":{\"listChanged\":true");
        stoa_buf_addz(b, view->has_updates
                         ? ",\"subscribe\":true}" : "}");
    }

    if (view->has_logging && !view->modern) {
        stoa_buf_addz(b, ",\"logging\":{}");
    }

    if (view->has_completions) {
        stoa_buf_addz(b, ",\"completions\":{}");
    }

    ngx_http_stoa_mcp_other_declare(r, ctx, view->modern, b);
    stoa_buf_addz(b, "}");
}
