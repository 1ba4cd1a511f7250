/*
 * Calls of MCP that are only looked at: those that are answered by a look at
 * what there is, or by an upstream, as far as they can be judged without a
 * session.
 */

#include "ngx_http_stoa_mcp_look.h"


ngx_int_t
ngx_http_stoa_mcp_look_post(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return r->method == NGX_HTTP_POST ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_stoa_mcp_look_dispatch(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    const ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (mcp->msg.kind != STOA_JSONRPC_REQUEST) {
        return NGX_DECLINED;
    }

    switch (mcp->msg.method) {

    case STOA_MCP_TOOLS_CALL:
    case STOA_MCP_PROMPTS_GET:
    case STOA_MCP_RESOURCES_READ:
    case STOA_MCP_COMPLETE:
    case STOA_MCP_SUBSCRIBE:
    case STOA_MCP_UNSUBSCRIBE:
        return NGX_OK;

    case STOA_MCP_TOOLS_LIST:
    case STOA_MCP_PROMPTS_LIST:
    case STOA_MCP_RESOURCES_LIST:
    case STOA_MCP_TEMPLATES_LIST:
    case STOA_MCP_PING:
    case STOA_MCP_DISCOVER:
    case STOA_MCP_INITIALIZE:
        return NGX_DONE;                         /* the gateway answers      */

    default:
        return NGX_DECLINED;
    }
}
