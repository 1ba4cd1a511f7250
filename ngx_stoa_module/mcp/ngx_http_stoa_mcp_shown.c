/*
 * What of a list the caller gets, where a policy has to be asked that knows
 * him: the view is that of all with the same rights.
 *
 * Process: workers.  Lifetime: the request's pool holds the view, as the
 * answer is about its items.
 */

#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_policy.h"


typedef struct {
    ngx_http_stoa_mcp_view_t  *view;
    ngx_http_stoa_opa_list_t   list;
} ngx_http_stoa_mcp_shown_t;


static ngx_http_stoa_mcp_shown_t *ngx_http_stoa_mcp_shown_begin(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx, ngx_uint_t list,
    ngx_http_stoa_mcp_view_t *view);


const char *const  ngx_http_stoa_mcp_shown_kinds[] = {
    "tools", "prompts", "resources", "templates"
};


ngx_int_t
ngx_http_stoa_mcp_shown(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t list, ngx_http_stoa_mcp_view_t **view, const u_char **hidden)
{
    ngx_int_t                    rc;
    ngx_http_stoa_mcp_shown_t   *shown;
    ngx_http_stoa_mcp_access_t  *access;

    *hidden = NULL;
    shown = ctx->call.mcp->carry;

    if (shown == NULL) {
        *view = ngx_http_stoa_mcp_view(r, ctx, ctx->call.mcp->modern);
        access = *view ? ngx_http_stoa_mcp_access(r, ctx) : NULL;

        if (access == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (!access->filtered && !ngx_http_stoa_policy_opa_ruled(ctx)) {
            return NGX_OK;
        }

        shown = ngx_http_stoa_mcp_shown_begin(r, ctx, list, *view);

        if (shown == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->call.mcp->carry = shown;
    }

    rc = ngx_http_stoa_policy_opa_show(r, ctx, &shown->list);

    *view = shown->view;
    *hidden = shown->list.hidden;

    return rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
}


static ngx_http_stoa_mcp_shown_t *
ngx_http_stoa_mcp_shown_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t list, ngx_http_stoa_mcp_view_t *view)
{
    ngx_uint_t                  i;
    const stoa_rec_item_t      *rec;
    ngx_http_stoa_opa_item_t   *items;
    ngx_http_stoa_mcp_list_t   *l;
    ngx_http_stoa_mcp_shown_t  *shown;
    ngx_http_stoa_main_conf_t  *mcf;

    static const stoa_rec_kind_e  kinds[] = {
        STOA_REC_TOOL, STOA_REC_PROMPT, STOA_REC_RESOURCE, STOA_REC_TEMPLATE
    };

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    l = &view->lists[list];
    shown = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_shown_t));
    items = ngx_pcalloc(r->pool, (l->nitems + 1)
                                 * sizeof(ngx_http_stoa_opa_item_t));

    if (shown == NULL || items == NULL) {
        return NULL;
    }

    shown->view = view;
    shown->list.kind = ngx_http_stoa_mcp_shown_kinds[list];
    shown->list.items = items;
    shown->list.n = l->nitems;

    for (i = 0; i < l->nitems; i++) {
        rec = ngx_http_stoa_store_item(mcf->store, kinds[list],
                                       &l->items[i].id);

        if (rec) {
            items[i].name = stoa_rec_str(rec, rec->name);
            items[i].api = ngx_http_stoa_store_api(mcf->store, &rec->api);
        }
    }

    return shown;
}
