/*
 * Sources: streams that the gateway gets from upstreams (GET of a session, or
 * a POST), for the stream of a client.
 *
 * Process: workers.  Lifetime: from _create to _free; malloc'ed, as it comes
 * and goes while its client's request stays.
 * Limits: an event NGX_HTTP_STOA_MCP_EVENT_MAX bytes, its id 1,024.
 */

#ifndef NGX_HTTP_STOA_SOURCE_H
#define NGX_HTTP_STOA_SOURCE_H


#include "ngx_http_stoa_stream.h"


typedef struct ngx_http_stoa_mcp_source_s  ngx_http_stoa_mcp_source_t;

/* Another answer than STOA_OK: no more of it is read. */
typedef stoa_rc_t (*ngx_http_stoa_mcp_source_event_pt)(
    ngx_http_stoa_mcp_source_t *src, const stoa_sse_event_t *event);

struct ngx_http_stoa_mcp_source_s {
    ngx_http_stoa_mcp_source_t         *next;
    ngx_http_stoa_api_t                *api;       /* held                   */
    ngx_http_stoa_via_t                 via;
    ngx_http_stoa_fetch_t              *fetch;     /* NULL: there is none   */
    stoa_sse_t                          sse;       /* while there is one     */
    stoa_mcp_ref_t                      ref;       /* sid: malloc'ed         */
    stoa_buf_t                          eid;       /* the last one           */
    ngx_str_t                           headers;   /* malloc'ed              */
    ngx_str_t                           subject;   /* malloc'ed              */
    stoa_buf_t                          body;      /* len 0: it is a GET     */
    ngx_uint_t                          faults;
    ngx_uint_t                          failures;  /* one after the other    */
    ngx_msec_t                          again;     /* when it is tried       */
    uint64_t                            rev;       /* of the store, when ... */
    ngx_msec_t                          renewed;   /* ... headers were made;
                                                      0: at its beginning    */
    ngx_uint_t                          status;    /* of the last answer     */
    int64_t                             retry_ms;  /* as it said; -1         */

    /* the owner's */

    void                               *data;
    ngx_http_stoa_mcp_source_event_pt   event;
    /* some was read, or it has ended: src->fetch is NULL then */
    void                              (*read)(ngx_http_stoa_mcp_source_t *src);

    unsigned                            over:1;    /* not tried again        */
    unsigned                            came:1;    /* an event, this time    */
    unsigned                            said:1;    /* the owner's            */
    unsigned                            seen:1;    /* likewise               */
    unsigned                            acked:1;   /* likewise; this time    */
    unsigned                            kept:1;    /* likewise: tried again
                                                      whatever is answered   */
    unsigned                            heard:1;   /* begun, or failed, once */
};


ngx_http_stoa_mcp_source_t *ngx_http_stoa_mcp_source_create(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_api_t *api, const stoa_mcp_ref_t *ref,
    const stoa_str_t *eid);
/* Another one of the same session. */
ngx_http_stoa_mcp_source_t *ngx_http_stoa_mcp_source_clone(
    const ngx_http_stoa_mcp_source_t *of, const stoa_str_t *eid);
void ngx_http_stoa_mcp_source_start(ngx_http_stoa_mcp_source_t *src);
void ngx_http_stoa_mcp_source_free(ngx_http_stoa_mcp_source_t *src);

/* All of a held stream, a list by `next`: is one not heard of yet?  Those
 * whose time it is are tried again, with the targets, headers and credential
 * that there are by now; they wait for a client that does not read, or go
 * on. */
ngx_uint_t ngx_http_stoa_mcp_sources_wait(ngx_http_stoa_mcp_source_t *src);
void ngx_http_stoa_mcp_sources_again(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_source_t *src);
void ngx_http_stoa_mcp_sources_full(ngx_http_stoa_mcp_source_t *src,
    ngx_uint_t full);
/* Those that the client may hear no more are left: gone(), then freed. */
void ngx_http_stoa_mcp_sources_still(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_source_t **sources,
    void (*gone)(ngx_http_stoa_mcp_source_t *src));
void ngx_http_stoa_mcp_sources_free(ngx_http_stoa_mcp_source_t **sources);


#endif /* NGX_HTTP_STOA_SOURCE_H */
