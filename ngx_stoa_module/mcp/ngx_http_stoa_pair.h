/*
 * A stream of 2024-11-05 and its messages.
 *
 *   _mcp_pair.c    the stream, and what is POSTed to it
 *   _mcp_paired.c  its messages, and what they are answered
 *
 * Process: workers.  Lifetime: the stream is in r->pool, calls on the heap.
 * Limits: NGX_HTTP_STOA_MCP_PAIRS streams of a gateway; calls of one, and
 * bytes that its client has not taken: below.
 */

#ifndef NGX_HTTP_STOA_PAIR_H
#define NGX_HTTP_STOA_PAIR_H


#include "ngx_http_stoa_hold.h"


#define NGX_HTTP_STOA_MCP_PAIR_CALLS   64
#define NGX_HTTP_STOA_MCP_PAIR_BYTES   (32 * 1024 * 1024)


typedef struct ngx_http_stoa_mcp_paired_s  ngx_http_stoa_mcp_paired_t;

typedef struct {
    ngx_http_stoa_mcp_hold_t     hold;
    ngx_queue_t                  queue;       /* of this worker              */
    ngx_event_t                  event;
    uint64_t                     id;          /* random, and the worker      */
    ngx_str_t                    head;        /* of the GET, as lines        */
    ngx_str_t                    session;     /* len 0: none yet             */
    ngx_queue_t                  calls;
    ngx_uint_t                   ncalls;
    ngx_http_stoa_mcp_paired_t  *listener;    /* its GET                     */
    ngx_msec_t                   heard;       /* its last one began or ended */
    unsigned                     opened:1;    /* the next answer says so     */
    unsigned                     listens:1;   /* that begins                 */
    unsigned                     leaving:1;   /* the worker exits            */
} ngx_http_stoa_mcp_pair_t;


/* ---- _mcp_paired.c ------------------------------------------------------ */

/* A message of the client's: the lines of its head, its text. */
void ngx_http_stoa_mcp_pair_take(ngx_http_stoa_mcp_pair_t *p,
    const ngx_str_t *head, ngx_str_t *body);
/* The GET of its session begins. */
void ngx_http_stoa_mcp_pair_listen(ngx_http_stoa_mcp_pair_t *p);
/* The client is gone. */
void ngx_http_stoa_mcp_pair_leave(ngx_http_stoa_mcp_pair_t *p);


#endif /* NGX_HTTP_STOA_PAIR_H */
