/*
 * Requests for what another gateway of the group holds: a call that waits for
 * its client, a stream of 2024-11-05, a call that has asked him something.
 *
 * Whatever names such a thing (sealed by the group's key) says where it is: a
 * place, this gateway and the address of stoa_peer.  A gateway that does not
 * have it sends the client's request there as it came, with the address that
 * it came from (sealed as well), and passes the answer on.  The other one
 * judges, limits and counts it as any request; it is never sent further.
 *
 * Process: workers.  Lifetime: r->pool.  Limits: NGX_HTTP_STOA_MCP_HOPS in a
 * worker.
 */

#ifndef NGX_HTTP_STOA_HOP_H
#define NGX_HTTP_STOA_HOP_H


#include "ngx_http_stoa_stream.h"
#include "core/stoa_state.h"


#define NGX_HTTP_STOA_MCP_HOPS   1024
#define NGX_HTTP_STOA_MCP_PLACE  (16 + 1 + STOA_PEER_MAX)


/* This gateway, in at most _PLACE bytes; returns how many. */
size_t ngx_http_stoa_mcp_place(u_char *dst);
/* One at p, which it is moved behind.  NGX_OK: it is here; NGX_DECLINED: at
 * that address ("": it cannot be asked); NGX_ERROR: it is none. */
ngx_int_t ngx_http_stoa_mcp_place_read(const u_char **p, const u_char *end,
    ngx_str_t *peer);

/* As a step's end: the request goes on there, or is refused. */
ngx_int_t ngx_http_stoa_mcp_hop(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *peer);
/* One that comes from there has its client's address. */
ngx_int_t ngx_http_stoa_mcp_hop_came(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


#endif /* NGX_HTTP_STOA_HOP_H */
