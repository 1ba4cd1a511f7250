/*
 * Whether what a client may see is another than before: asked of the view,
 * which is made once for all with the same rights, and not more often than
 * each two seconds for one client.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_hold.h"
#include "ngx_http_stoa_store.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_MCP_CHANGE_MS   2000
#define NGX_HTTP_STOA_MCP_CHANGE_TOP  60000   /* subscriptions end, too      */


const char *const  ngx_http_stoa_mcp_kinds[] = {
    "tools", "prompts", "resources"
};


static const ngx_uint_t  ngx_http_stoa_mcp_kind_of[] = {
    0, 1, 2, 2                           /* of ngx_http_stoa_mcp_lists_e     */
};


static void
ngx_http_stoa_mcp_change_sum(ngx_http_stoa_mcp_view_t *view)
{
    ngx_uint_t                 i, k;
    ngx_http_stoa_mcp_list_t  *list;

    if (view->summed) {
        return;
    }

    view->summed = 1;
    ngx_memzero(view->sum, sizeof(view->sum));

    for (i = 0; i < NGX_HTTP_STOA_MCP_LISTS; i++) {
        list = &view->lists[i];
        k = ngx_http_stoa_mcp_kind_of[i];

        view->sum[k] = stoa_hash64(list->blob, list->nitems
                                   ? list->items[list->nitems - 1].end : 0,
                                   view->sum[k] + list->nitems);
    }
}


ngx_uint_t
ngx_http_stoa_mcp_changed(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_change_t *c)
{
    uint64_t                    generation;
    ngx_uint_t                  k, kinds, first;
    ngx_pool_t                 *pool;
    ngx_http_stoa_mcp_view_t   *view;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    generation = ngx_http_stoa_store_generation(mcf->store);
    first = c->generation == 0;

    if (!first
        && ngx_current_msec - c->looked < (generation == c->generation
                                           ? NGX_HTTP_STOA_MCP_CHANGE_TOP
                                           : NGX_HTTP_STOA_MCP_CHANGE_MS))
    {
        return 0;
    }

    /* a stream lives long: neither it nor its pool holds the view */

    pool = r->pool;
    r->pool = ngx_create_pool(1024, r->connection->log);

    if (r->pool == NULL) {
        r->pool = pool;
        return 0;
    }

    view = ngx_http_stoa_mcp_view(r, ctx, ctx->call.mcp->modern);
    kinds = 0;

    if (view) {
        ngx_http_stoa_mcp_change_sum(view);

        for (k = 0; k < NGX_HTTP_STOA_MCP_KINDS; k++) {
            kinds |= (!first && c->sum[k] != view->sum[k]) ? 1u << k : 0;
            c->sum[k] = view->sum[k];
        }

        c->talks = view->has_logging || view->has_updates
                   || view->has_changes;
        c->generation = generation;
        c->looked = ngx_current_msec;
    }

    ngx_destroy_pool(r->pool);
    r->pool = pool;

    return kinds;
}
