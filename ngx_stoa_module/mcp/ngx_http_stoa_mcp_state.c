/*
 * The requestState that a client gets with what he is asked, and brings back:
 * it says where his call waits, sealed for him, this endpoint and this very
 * request.
 */

#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_counters.h"
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


void
ngx_http_stoa_mcp_state_gateway(ngx_http_request_t *r, u_char *id)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_memcpy(id, mcf->counters->head->id, 16);
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
