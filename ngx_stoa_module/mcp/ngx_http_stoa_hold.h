/*
 * Held streams: requests that are answered by events for as long as their
 * clients like: GET of a session, subscriptions/listen.
 *
 *   _mcp_hold.c    the stream: its head, comments, its end
 *   _mcp_change.c  whether what a client may see is another than before
 *   _mcp_get.c, _mcp_listen.c, _mcp_pair.c  which there are
 *
 * Process: workers.  Lifetime: r->pool; the request is held by its count.
 * Limits: an hour, more or less; those that stay have their own.
 */

#ifndef NGX_HTTP_STOA_HOLD_H
#define NGX_HTTP_STOA_HOLD_H


#include "ngx_http_stoa_stream.h"


#define NGX_HTTP_STOA_MCP_HOLD_MAX_MS  3600000


/* What a client saw when it was looked at last. */

typedef struct {
    uint64_t    generation;
    ngx_msec_t  looked;
    uint64_t    sum[NGX_HTTP_STOA_MCP_KINDS];
    unsigned    talks:1;              /* some upstream may, outside of calls */
} ngx_http_stoa_mcp_change_t;


struct ngx_http_stoa_mcp_hold_s {
    ngx_http_request_t          *request;
    ngx_http_stoa_ctx_t         *ctx;
    ngx_http_stoa_mcp_writer_t   writer;
    ngx_http_stoa_mcp_change_t   change;
    ngx_msec_t                   since;
    ngx_msec_t                   wrote;
    ngx_msec_t                   until;

    /* the owner's; NULL: nothing to do */

    void                        *data;
    /* it begins: the first events; h->waits: the head waits for a push without
     * it, a second at most */
    ngx_int_t                  (*begin)(ngx_http_stoa_mcp_hold_t *h);
    /* each second; kinds: bits of lists that have changed */
    void                       (*look)(ngx_http_stoa_mcp_hold_t *h,
                                       ngx_uint_t kinds);
    /* its last words: it ends, and the client is to come again */
    void                       (*bye)(ngx_http_stoa_mcp_hold_t *h);
    /* the client takes no more for now, or does again */
    void                       (*full)(ngx_http_stoa_mcp_hold_t *h,
                                       ngx_uint_t full);

    unsigned                     stays:1;       /* when the worker exits     */
    unsigned                     waits:1;       /* the owner's               */
    unsigned                     headed:1;
    unsigned                     paused:1;
    unsigned                     over:1;        /* the next push ends it     */
};


/* ---- _mcp_hold.c -------------------------------------------------------- */

/* The request becomes a stream: NGX_DONE for a step, or a status. */
ngx_int_t ngx_http_stoa_mcp_hold(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_hold_t *h);
ngx_int_t ngx_http_stoa_mcp_hold_write(ngx_http_stoa_mcp_hold_t *h,
    const stoa_sse_event_t *event);
/* From an event that is not the request's own: what is written goes out; the
 * request may be gone afterwards. */
void ngx_http_stoa_mcp_hold_push(ngx_http_stoa_mcp_hold_t *h);


/* ---- _mcp_pair.c -------------------------------------------------------- */

/* Is a GET without a session one of 2024-11-05?  It becomes a stream. */
ngx_uint_t ngx_http_stoa_mcp_pair_wanted(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_pair(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* A step: what is POSTed to such a stream goes there. */
ngx_int_t ngx_http_stoa_mcp_pair_post(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
void ngx_http_stoa_mcp_pair_came(const u_char *p, size_t len);


/* ---- _mcp_change.c ------------------------------------------------------ */

/* Bits of kinds; the first time only takes note. */
ngx_uint_t ngx_http_stoa_mcp_changed(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_change_t *c);

extern const char *const  ngx_http_stoa_mcp_kinds[];  /* "tools", ...        */


#endif /* NGX_HTTP_STOA_HOLD_H */
