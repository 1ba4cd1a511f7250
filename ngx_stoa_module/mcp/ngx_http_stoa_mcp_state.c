/*
 * The requestState that a client gets with what he is asked, and brings back:
 * it says where his call waits, sealed for him, this endpoint and this very
 * request.
 */

#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_hop.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_zone.h"
#include "stoa_seal.h"


#define NGX_HTTP_STOA_MCP_STATE_TEXT                                          \
    stoa_seal_text_len(STOA_MCP_STATE_LEN)


/* What is called (as the upstream has it) and with which arguments, without
 * white space; none are as good as empty ones. */

ngx_int_t
ngx_http_stoa_mcp_state_aad(ngx_http_stoa_ctx_t *ctx, u_char *aad)
{
    ngx_int_t             rc;
    stoa_buf_t            b;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    ngx_http_stoa_mcp_principal(ctx, aad);
    aad[NGX_HTTP_STOA_MCP_PRINCIPAL] = (u_char) mcp->msg.method;

    stoa_buf_init(&b, STOA_JSONRPC_BODY_MAX + 1024);
    stoa_buf_add(&b, mcp->tool_name.data, mcp->tool_name.len);
    stoa_buf_add(&b, "", 1);

    if (mcp->msg.arguments.start
        && mcp->msg.arguments.type == STOA_JSON_OBJECT)
    {
        stoa_json_compact(&mcp->msg.arguments, &b);

    } else {
        stoa_buf_addz(&b, "{}");
    }

    rc = b.rc == STOA_OK
         ? ngx_http_stoa_sha256((u_char *) b.data, b.len,
                                aad + NGX_HTTP_STOA_MCP_PRINCIPAL + 1)
         : NGX_ERROR;

    stoa_buf_free(&b);

    return rc;
}


/* Of a call that waits here. */

void
ngx_http_stoa_mcp_state_here(stoa_mcp_state_t *state)
{
    u_char  place[NGX_HTTP_STOA_MCP_PLACE];

    state->peer_len = ngx_http_stoa_mcp_place(place) - 17;
    ngx_memcpy(state->gateway, place, 16);
    ngx_memcpy(state->peer, place + 17, state->peer_len);
}


void
ngx_http_stoa_mcp_state_seal(const u_char *aad, const stoa_mcp_state_t *state,
    stoa_buf_t *out)
{
    char      text[NGX_HTTP_STOA_MCP_STATE_TEXT];
    size_t    len;
    uint8_t   plain[STOA_MCP_STATE_LEN];

    len = stoa_seal(STOA_SEAL_STATE, (int64_t) ngx_http_stoa_wall_ms(),
                    (stoa_str_t) { (const char *) aad,
                                   NGX_HTTP_STOA_MCP_STATE_AAD },
                    (stoa_str_t) { (char *) plain,
                                   stoa_mcp_state_write(plain, state) },
                    text, sizeof(text));

    stoa_buf_addz(out, "\"");
    stoa_buf_add(out, text, len);
    stoa_buf_addz(out, "\"");

    if (len == 0) {
        out->rc = STOA_ERROR;
    }
}


ngx_int_t
ngx_http_stoa_mcp_state_open(const u_char *aad, const stoa_json_val_t *val,
    stoa_mcp_state_t *state)
{
    size_t      len;
    uint8_t     plain[STOA_MCP_STATE_LEN + 3];
    uint64_t    now;
    stoa_str_t  text;

    if (!stoa_json_text(val, &text)
        || text.len < stoa_seal_text_len(1)
        || text.len > NGX_HTTP_STOA_MCP_STATE_TEXT
        || !stoa_seal_open(STOA_SEAL_STATE,
                           (stoa_str_t) { (const char *) aad,
                                          NGX_HTTP_STOA_MCP_STATE_AAD },
                           text, plain, &len)
        || !stoa_mcp_state_read(plain, len, state))
    {
        return NGX_DECLINED;
    }

    now = ngx_http_stoa_wall_ms() / 1000;

    return now <= (uint64_t) state->issued_s + state->ttl_s ? NGX_OK
                                                            : NGX_DECLINED;
}


ngx_uint_t
ngx_http_stoa_mcp_state_is(ngx_http_stoa_ctx_t *ctx, stoa_json_val_t *text)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    return mcp->bridged && mcp->msg.params.start
           && stoa_json_get(&mcp->msg.params, "requestState", text)
           && text->type != STOA_JSON_NULL;
}


/* Before anything is counted: a call that waits at another gateway is its. */

ngx_int_t
ngx_http_stoa_mcp_state_where(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char            aad[NGX_HTTP_STOA_MCP_STATE_AAD];
    ngx_str_t         peer;
    stoa_json_val_t   text;
    stoa_mcp_state_t  state, own;

    if (!ngx_http_stoa_mcp_state_is(ctx, &text)) {
        return NGX_OK;
    }

    if (ngx_http_stoa_mcp_state_aad(ctx, aad) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_stoa_mcp_state_open(aad, &text, &state) != NGX_OK
        || state.kind != 'P')
    {
        return NGX_OK;                           /* a later step says more   */
    }

    ngx_http_stoa_mcp_state_here(&own);

    if (ngx_memcmp(state.gateway, own.gateway, sizeof(own.gateway)) == 0) {
        return NGX_OK;
    }

    peer.data = (u_char *) state.peer;
    peer.len = state.peer_len;

    return ngx_http_stoa_mcp_hop(r, ctx, &peer);
}
