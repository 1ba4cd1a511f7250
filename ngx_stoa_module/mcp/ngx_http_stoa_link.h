/*
 * Links: upstreams that speak HTTP+SSE of 2024-11-05 only.
 *
 * To everybody else here such an upstream is one of Streamable HTTP with
 * sessions: this worker's own socket (net/_local.c) is asked in its place.  A
 * session is a link, a stream that the worker holds at the upstream; its id
 * says which worker, and a request that comes to another one's socket is
 * handed over through that one's door.  A request is POSTed where the stream
 * has said, and is answered by what comes in the stream.
 *
 *   _mcp_link.c    links: their streams, who gets what comes in them
 *   _mcp_linked.c  requests to the socket, and their answers
 *
 * Process: workers.  Lifetime: a link's until its DELETE, its stream's end or
 * the worker's exit, when nobody waits for an answer.
 * Limits: below; a full worker leaves the link that was idle longest.
 */

#ifndef NGX_HTTP_STOA_LINK_H
#define NGX_HTTP_STOA_LINK_H


#include "ngx_http_stoa_upstream.h"
#include "core/stoa_glance.h"
#include "core/stoa_jsonrpc.h"
#include "core/stoa_sse.h"


#define NGX_HTTP_STOA_MCP_LINKS        1024
#define NGX_HTTP_STOA_MCP_LINKED       4096             /* requests          */
#define NGX_HTTP_STOA_MCP_LINK_HEAD    (40 * 1024)
#define NGX_HTTP_STOA_MCP_LINK_EVENT   (16 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_LINK_OUT     (32 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_LINK_URI     4096


typedef struct ngx_http_stoa_mcp_link_s    ngx_http_stoa_mcp_link_t;
typedef struct ngx_http_stoa_mcp_linked_s  ngx_http_stoa_mcp_linked_t;

struct ngx_http_stoa_mcp_linked_s {
    ngx_connection_t            *connection;
    ngx_pool_t                  *pool;
    stoa_buf_t                   in;
    stoa_buf_t                   out;
    size_t                       sent;
    size_t                       head;        /* its length; 0: not whole    */
    size_t                       length;      /* of the body                 */

    u_char                       method;      /* its first letter            */
    ngx_str_t                    session;
    ngx_str_t                    number;      /* X-Stoa-Link                 */
    ngx_str_t                    headers;     /* for the upstream            */
    ngx_str_t                    body;

    /* _mcp_link.c */

    ngx_http_stoa_mcp_link_t    *link;        /* NULL: none                  */
    ngx_queue_t                  queue;       /* of it                       */
    ngx_http_stoa_fetch_t       *post;
    stoa_buf_t                   said;        /* to it                       */
    stoa_json_val_t              id;          /* start NULL: nothing is due  */
    stoa_json_val_t              token;       /* of its progress             */
    unsigned                     opens:1;
    unsigned                     whole:1;
    unsigned                     events:1;    /* it has a head of a stream   */
    unsigned                     ending:1;
};


/* ---- _mcp_link.c -------------------------------------------------------- */

void ngx_http_stoa_mcp_link_init(void);


/* ---- _mcp_linked.c ------------------------------------------------------ */

/* A connection to the socket (net/_local.c), and one that another worker has
 * begun to read. */
void ngx_http_stoa_mcp_linked_accept(ngx_socket_t s);
void ngx_http_stoa_mcp_linked_passed(ngx_socket_t s, const u_char *p,
    size_t len);


/* Who is told of a request that is whole, and of one that is gone. */
typedef void (*ngx_http_stoa_mcp_linked_pt)(ngx_http_stoa_mcp_linked_t *rq);
void ngx_http_stoa_mcp_linked_init(ngx_http_stoa_mcp_linked_pt whole,
    ngx_http_stoa_mcp_linked_pt gone);

/* The request may be gone when these return: an answer without a message;
 * one as JSON, or the last event of a stream (session NULL: none to tell);
 * the head of a stream, if there is none yet, and an event (NULL: none); the
 * end. */
void ngx_http_stoa_mcp_linked_status(ngx_http_stoa_mcp_linked_t *rq,
    ngx_uint_t status);
void ngx_http_stoa_mcp_linked_answer(ngx_http_stoa_mcp_linked_t *rq,
    const stoa_str_t *text, const ngx_str_t *session);
void ngx_http_stoa_mcp_linked_event(ngx_http_stoa_mcp_linked_t *rq,
    const stoa_str_t *text);


#endif /* NGX_HTTP_STOA_LINK_H */
