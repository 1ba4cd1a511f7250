/*
 * resources/subscribe of a legacy client at an upstream of 2026-07-28, which
 * has no session that could remember it: the map does, in the place of the
 * session's id, for all workers and over restarts.  Who holds the stream of
 * the session listens for what is there (_mcp_subbed.c).
 *
 * Process: workers.  Lifetime: the map's; the client's DELETE ends it.
 * Limits: NGX_HTTP_STOA_MCP_UPDATES URIs at an api, STOA_MCP_SID_MAX bytes.
 */

#include "ngx_http_stoa_updates.h"
#include "ngx_http_stoa_relay.h"


static ngx_int_t ngx_http_stoa_mcp_subs_edit(void *data,
    ngx_http_stoa_mcp_upstream_t *up);
static ngx_int_t ngx_http_stoa_mcp_subs_keep(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, uint64_t key, const stoa_str_t *uri,
    ngx_uint_t add);


typedef struct {
    const stoa_str_t  *uri;
    ngx_uint_t         add;
} ngx_http_stoa_mcp_subs_edit_t;


ngx_int_t
ngx_http_stoa_mcp_subs(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t              key;
    ngx_int_t             rc;
    ngx_str_t             detail;
    ngx_uint_t            add;
    stoa_str_t            uri;
    stoa_buf_t            b;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    add = mcp->msg.method == STOA_MCP_SUBSCRIBE;
    key = ngx_http_stoa_mcp_subs_key(mcp, &ctx->call.api->id);
    uri = (stoa_str_t) { (char *) mcp->tool_name.data, mcp->tool_name.len };

    if (add && !ngx_http_stoa_mcp_updates_can(ctx->call.api->rec)) {
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                  NGX_HTTP_STOA_REFUSE_MCP_METHOD_LEGACY,
                                  NULL);
    }

    rc = ngx_http_stoa_mcp_subs_keep(r, ctx, key, &uri, add);

    if (rc == NGX_BUSY) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSIONS,
                                    NULL);
    }

    if (rc == NGX_DECLINED) {
        ngx_str_set(&detail, "a session subscribes to at most 64 resources "
                    "of an api, of 4 KiB");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_PROMPT,
                                        &detail);
    }

    ngx_http_stoa_mcp_get_poke(key);

    stoa_buf_init(&b, STOA_JSONRPC_BODY_MAX);
    ngx_http_stoa_mcp_answer_head(&b, mcp);
    stoa_buf_addz(&b, "}}");

    return ngx_http_stoa_mcp_answer_buf(r, ctx, &b);
}


/* NGX_DECLINED: it does not fit; NGX_BUSY: there are as many sessions at the
 * api as there may be, and it counts as one. */

static ngx_int_t
ngx_http_stoa_mcp_subs_keep(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    uint64_t key, const stoa_str_t *uri, ngx_uint_t add)
{
    ngx_int_t                       rc;
    ngx_http_stoa_main_conf_t      *mcf;
    ngx_http_stoa_mcp_upstream_t    up;
    ngx_http_stoa_mcp_subs_edit_t   edit;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_memzero(&up, offsetof(ngx_http_stoa_mcp_upstream_t, sid));
    up.api = ctx->call.api->id;
    up.app = ngx_http_stoa_mcp_app(ctx);
    up.version = NGX_HTTP_STOA_MCP_VERSION_MODERN;
    edit.uri = uri;
    edit.add = add;

    rc = ngx_http_stoa_mcp_upstream_edit(key, &up,
                                         ngx_http_stoa_mcp_subs_edit, &edit);

    if (rc == NGX_OK && add
        && ngx_http_stoa_mcp_upstream_room(&mcf->mcp_sessions, key) != NGX_OK)
    {
        edit.add = 0;
        (void) ngx_http_stoa_mcp_upstream_edit(key, &up,
                                          ngx_http_stoa_mcp_subs_edit, &edit);
        rc = NGX_BUSY;
    }

    return rc;
}


static ngx_int_t
ngx_http_stoa_mcp_subs_edit(void *data, ngx_http_stoa_mcp_upstream_t *up)
{
    ngx_http_stoa_mcp_subs_edit_t *edit = data;

    u_char      *p, *next;
    stoa_str_t   list, uri;
    ngx_uint_t   n;

    list = (stoa_str_t) { (char *) up->sid, up->len };

    for (n = 0; ngx_http_stoa_mcp_subbed_next(&list, &uri); n++) {

        if (uri.len != edit->uri->len
            || ngx_memcmp(uri.data, edit->uri->data, uri.len) != 0)
        {
            continue;
        }

        if (!edit->add) {
            p = (u_char *) uri.data - 2;
            next = (u_char *) list.data;
            ngx_memmove(p, next, list.len);
            up->len -= next - p;
        }

        return NGX_OK;
    }

    if (!edit->add) {
        return NGX_OK;
    }

    if (n == NGX_HTTP_STOA_MCP_UPDATES
        || edit->uri->len + 2 > STOA_MCP_SID_MAX - up->len)
    {
        return NGX_DECLINED;
    }

    p = up->sid + up->len;
    *p++ = (u_char) (edit->uri->len >> 8);
    *p++ = (u_char) edit->uri->len;
    ngx_memcpy(p, edit->uri->data, edit->uri->len);
    up->len += edit->uri->len + 2;

    return NGX_OK;
}
