/*
 * Marks: the ids under which a client meets what a server of an upstream has
 * an id for (its requests, their progress tokens).  A mark is all that is kept
 * of it: the upstream's session and the id, sealed for the client's session.
 *
 *   sealed: format 1, flags 1, ref (core/stoa_token.h), the id as JSON text
 *
 * Process: workers.
 */

#include "ngx_http_stoa_relay.h"


#define NGX_HTTP_STOA_MCP_MARK_FORMAT  1
#define NGX_HTTP_STOA_MCP_MARK_TEXT    7200
#define NGX_HTTP_STOA_MCP_MARK_ID      1024


void
ngx_http_stoa_mcp_ref(ngx_http_stoa_ctx_t *ctx, stoa_mcp_ref_t *ref)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    ngx_memcpy(ref->api, &ctx->call.api->id, STOA_ID_LEN);
    ref->target = ctx->call.to.target
                  ? ctx->call.to.target - ctx->call.api->targets : 0;
    ref->version = mcp->upstream_version == NGX_HTTP_STOA_MCP_VERSION_NONE
                   ? 0 : mcp->upstream_version + 1;
    ref->sid.data = (char *) mcp->upstream_session.data;
    ref->sid.len = mcp->upstream_session.len;
}


ngx_int_t
ngx_http_stoa_mcp_mark(ngx_http_stoa_mcp_t *mcp, stoa_seal_kind_e kind,
    const stoa_mcp_ref_t *ref, const stoa_json_val_t *id, stoa_buf_t *out)
{
    size_t      len;
    uint8_t     head[2] = { NGX_HTTP_STOA_MCP_MARK_FORMAT, 0 };
    stoa_buf_t  plain;

    if (id->end - id->start > NGX_HTTP_STOA_MCP_MARK_ID
        || stoa_buf_reserve(out, NGX_HTTP_STOA_MCP_MARK_TEXT + 2) != STOA_OK)
    {
        return NGX_DECLINED;
    }

    stoa_buf_init(&plain, NGX_HTTP_STOA_MCP_MARK_TEXT);
    stoa_buf_add(&plain, head, sizeof(head));
    stoa_mcp_ref_write(&plain, ref);
    stoa_buf_add(&plain, id->start, id->end - id->start);

    len = 0;

    if (plain.rc == STOA_OK) {
        stoa_buf_add(out, "\"", 1);
        len = stoa_seal(kind, (int64_t) ngx_http_stoa_wall_ms(),
                        (stoa_str_t) { (char *) mcp->nonce,
                                       sizeof(mcp->nonce) },
                        (stoa_str_t) { plain.data, plain.len },
                        out->data + out->len, NGX_HTTP_STOA_MCP_MARK_TEXT);
        out->len += len;
        stoa_buf_add(out, "\"", 1);
    }

    stoa_buf_free(&plain);

    return len ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_stoa_mcp_unmark(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    stoa_seal_kind_e kind, const stoa_json_val_t *mark, stoa_mcp_ref_t *ref,
    stoa_str_t *id)
{
    size_t          len;
    u_char         *plain;
    stoa_str_t      text;
    const uint8_t  *p, *end;

    if (!stoa_json_text(mark, &text)
        || text.len < stoa_seal_text_len(1)
        || text.len > NGX_HTTP_STOA_MCP_MARK_TEXT)
    {
        return NGX_DECLINED;
    }

    plain = ngx_pnalloc(r->pool, stoa_seal_plain_len(text.len));
    if (plain == NULL) {
        return NGX_ERROR;
    }

    if (!stoa_seal_open(kind, (stoa_str_t) { (char *) mcp->nonce,
                                             sizeof(mcp->nonce) },
                        text, plain, &len)
        || len < 2 || plain[0] != NGX_HTTP_STOA_MCP_MARK_FORMAT)
    {
        return NGX_DECLINED;
    }

    p = plain + 2;
    end = plain + len;

    if (!stoa_mcp_ref_read(&p, end, ref)
        || ref->version > NGX_HTTP_STOA_MCP_VERSIONS || p == end)
    {
        return NGX_DECLINED;
    }

    id->data = (const char *) p;
    id->len = end - p;

    return NGX_OK;
}
