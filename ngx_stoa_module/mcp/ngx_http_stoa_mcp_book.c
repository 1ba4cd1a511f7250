/*
 * By which name the tool was called that has made a task: the caller's name of
 * the task holds it, and has to be made again where only the upstream's id is
 * told (streams of sessions, tasks/list).  A task that is not in the book is
 * not known to be this caller's.
 *
 * Process: workers.  Lifetime: the map's file; the one that was used longest
 * ago of a page makes room.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_mcp_block.h"
#include "core/stoa_key.h"


/* Locked. */

static ngx_http_stoa_mcp_page_t *
ngx_http_stoa_mcp_book_page(ngx_http_stoa_ctx_t *ctx, const char *api,
    const stoa_str_t *id, uint64_t *tag)
{
    uint64_t                   h[2];
    u_char                     key[NGX_HTTP_STOA_MCP_PRINCIPAL + STOA_ID_LEN
                                   + NGX_HTTP_STOA_MCP_TASK_ID];
    ngx_http_stoa_mcp_map_t   *m;
    ngx_http_stoa_mcp_page_t  *page;

    m = ngx_http_stoa_mcp_map;

    ngx_http_stoa_mcp_principal(ctx, key);
    ngx_memcpy(key + NGX_HTTP_STOA_MCP_PRINCIPAL, api, STOA_ID_LEN);
    ngx_memcpy(key + NGX_HTTP_STOA_MCP_PRINCIPAL + STOA_ID_LEN, id->data,
               id->len);
    stoa_siphash(key, NGX_HTTP_STOA_MCP_PRINCIPAL + STOA_ID_LEN + id->len,
                 m->secret, h);

    *tag = h[0] | 1;
    page = (ngx_http_stoa_mcp_page_t *) ((u_char *) m + m->book_off)
           + h[1] % m->npages;

    ngx_http_stoa_lock_take(&page->lock);

    return page;
}


void
ngx_http_stoa_mcp_book_note(ngx_http_stoa_ctx_t *ctx, const char *api,
    const stoa_str_t *id, const stoa_str_t *name)
{
    uint64_t                   tag, oldest;
    ngx_uint_t                 i, at;
    ngx_http_stoa_mcp_page_t  *page;

    if (name->len > NGX_HTTP_STOA_MCP_BOOK_NAME
        || id->len > NGX_HTTP_STOA_MCP_TASK_ID)
    {
        return;
    }

    page = ngx_http_stoa_mcp_book_page(ctx, api, id, &tag);
    oldest = UINT64_MAX;
    at = 0;

    for (i = 0; i < NGX_HTTP_STOA_MCP_BOOK_WAYS; i++) {

        if (page->way[i].tag == tag) {
            at = i;
            break;
        }

        if (page->way[i].used < oldest) {
            oldest = page->way[i].used;
            at = i;
        }
    }

    page->way[at].tag = 0;
    page->way[at].len = name->len;
    page->way[at].used = ngx_http_stoa_wall_ms();
    ngx_memcpy(page->way[at].name, name->data, name->len);
    page->way[at].tag = tag;

    ngx_http_stoa_lock_drop(&page->lock);
}


ngx_int_t
ngx_http_stoa_mcp_book_find(ngx_http_stoa_ctx_t *ctx, const char *api,
    const stoa_str_t *id, stoa_buf_t *name)
{
    uint64_t                   tag;
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_http_stoa_mcp_page_t  *page;

    if (id->len > NGX_HTTP_STOA_MCP_TASK_ID) {
        return NGX_DECLINED;
    }

    page = ngx_http_stoa_mcp_book_page(ctx, api, id, &tag);
    rc = NGX_DECLINED;

    for (i = 0; i < NGX_HTTP_STOA_MCP_BOOK_WAYS; i++) {
        if (page->way[i].tag == tag
            && page->way[i].len <= NGX_HTTP_STOA_MCP_BOOK_NAME)
        {
            page->way[i].used = ngx_http_stoa_wall_ms();
            stoa_buf_add(name, page->way[i].name, page->way[i].len);
            rc = name->rc == STOA_OK ? NGX_OK : NGX_DECLINED;
            break;
        }
    }

    ngx_http_stoa_lock_drop(&page->lock);

    return rc;
}
