/*
 * Steps of calls of MCP that are only looked at: in the place of those which
 * would begin, hold or end something.
 *
 * Process: worker 0.
 */

#ifndef NGX_HTTP_STOA_MCP_LOOK_H
#define NGX_HTTP_STOA_MCP_LOOK_H


#include "ngx_http_stoa_mcp.h"


/* What ends or holds a session is judged by being done. */
ngx_int_t ngx_http_stoa_mcp_look_post(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The message: NGX_OK: it goes to an upstream; NGX_DONE: the gateway answers;
 * NGX_DECLINED: who knows. */
ngx_int_t ngx_http_stoa_mcp_look_dispatch(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


#endif /* NGX_HTTP_STOA_MCP_LOOK_H */
