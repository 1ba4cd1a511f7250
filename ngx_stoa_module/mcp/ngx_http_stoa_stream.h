/*
 * Streams of events to clients: what stands between an upstream's answer and
 * the client, and what writes.
 *
 *   _mcp_stream.c  a forwarded call's answer, judged event by event
 *   _mcp_event.c   what an event is
 *   _mcp_resume.c  what goes on where its upstream has ended it
 *   _mcp_reply.c   what the client gets of it
 *   _mcp_writer.c  events on their way to the client
 *   _mcp_wheel.c   what happens when nothing happens
 *
 * Process: workers.  Lifetime: r->pool; events are on the heap until they are
 * sent, and freed with the pool.
 * Limits: an event NGX_HTTP_STOA_MCP_EVENT_MAX bytes; above
 * NGX_HTTP_STOA_MCP_QUEUE_MAX bytes that a client has not taken its upstream
 * is not read.
 */

#ifndef NGX_HTTP_STOA_STREAM_H
#define NGX_HTTP_STOA_STREAM_H


#include "ngx_http_stoa_relay.h"
#include "core/stoa_glance.h"


#define NGX_HTTP_STOA_MCP_EVENT_MAX   (16 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_QUEUE_MAX   (256 * 1024)
#define NGX_HTTP_STOA_MCP_FAULTS      3      /* events that are overlooked   */
#define NGX_HTTP_STOA_MCP_SELVES      100    /* of one call                  */
#define NGX_HTTP_STOA_MCP_PATIENCE    300000 /* ms, for who asks the client  */
#define NGX_HTTP_STOA_MCP_POLLS       3      /* row of the versions: from    */
                                             /* then on clients come again   */
#define NGX_HTTP_STOA_MCP_RETRY_MIN   100    /* of `retry`, in ms            */
#define NGX_HTTP_STOA_MCP_RETRY_TOP   60000


/* Events for a client: made, sent, freed. */

typedef struct {
    ngx_http_request_t  *request;
    ngx_chain_t         *out;
    ngx_chain_t        **last;
    ngx_chain_t         *busy;
    ngx_chain_t         *free;
    size_t               queued;              /* bytes not taken yet         */
    unsigned             ended:1;             /* the last of it is in `out`  */
} ngx_http_stoa_mcp_writer_t;


struct ngx_http_stoa_mcp_stream_s {
    ngx_http_stoa_ctx_t         *ctx;
    ngx_chain_t                 *in;          /* not read yet                */
    ngx_http_stoa_mcp_writer_t   writer;
    stoa_sse_t                   sse;
    stoa_buf_t                   id;          /* the client's, of an event   */
    stoa_buf_t                   text;        /* an answer that is no stream */
    stoa_buf_t                   marked;      /* an event with marks: it may
                                                 be made of `text`           */
    ngx_uint_t                   faults;
    ngx_uint_t                   selves;      /* answers of the gateway's    */
    const char                  *why;         /* ... were too many           */
    ngx_uint_t                   cut;         /* refuse_e + 1                */
    int64_t                      retry_ms;    /* as the upstream said        */
    void                        *resume;      /* goes on behind its end      */
    unsigned                     events:1;    /* the answer is a stream      */
    unsigned                     opening:1;
    unsigned                     headed:1;    /* the client has a head of    */
                                              /* a stream                    */
    unsigned                     answered:1;
    unsigned                     named:1;     /* an event had an id          */
    unsigned                     patient:1;   /* the client is asked         */
    unsigned                     last:1;      /* of the upstream             */
    ngx_uint_t                   denied;      /* a policy's refusal + 1      */
    unsigned                     over:1;      /* longer than a policy says   */
};


/* How long a message of the call may be, and the word "data:" before it. */
#define ngx_http_stoa_mcp_stream_max(ctx)                                     \
    ((size_t) ngx_min(ngx_http_stoa_policy_result_max(ctx),                   \
                      NGX_HTTP_STOA_MCP_EVENT_MAX - 64) + 64)


/* ---- _mcp_writer.c ------------------------------------------------------ */

ngx_int_t ngx_http_stoa_mcp_writer_init(ngx_http_stoa_mcp_writer_t *w,
    ngx_http_request_t *r);
/* An event with this data; as it is: bytes that need no form. */
ngx_int_t ngx_http_stoa_mcp_writer_event(ngx_http_stoa_mcp_writer_t *w,
    const stoa_sse_event_t *event);
ngx_int_t ngx_http_stoa_mcp_writer_bytes(ngx_http_stoa_mcp_writer_t *w,
    const char *data, size_t len);
/* No more comes. */
ngx_int_t ngx_http_stoa_mcp_writer_end(ngx_http_stoa_mcp_writer_t *w);
/* Sends what there is, or goes on with it: as an output filter. */
ngx_int_t ngx_http_stoa_mcp_writer_send(ngx_http_stoa_mcp_writer_t *w);
/* The same outside of nginx's own handlers. */
void ngx_http_stoa_mcp_writer_push(ngx_http_stoa_mcp_writer_t *w);
/* Its client takes something again.  0: he did not in time, and the request is
 * ended. */
ngx_uint_t ngx_http_stoa_mcp_writer_goes_on(ngx_http_request_t *r);


/* ---- _mcp_resume.c ------------------------------------------------------ */

/* The upstream has ended the stream before the answer.  NGX_OK: it goes on;
 * NGX_DECLINED: it cannot. */
ngx_int_t ngx_http_stoa_mcp_resume(ngx_http_stoa_mcp_stream_t *s);


/* ---- _mcp_event.c ------------------------------------------------------- */

typedef enum {
    NGX_HTTP_STOA_MCP_EVENT_DROP = 0,    /* nothing for a client             */
    NGX_HTTP_STOA_MCP_EVENT_LISTS,       /* the same: its lists are others   */
    NGX_HTTP_STOA_MCP_EVENT_PASS,
    NGX_HTTP_STOA_MCP_EVENT_MARK,        /* passed, with marks               */
    NGX_HTTP_STOA_MCP_EVENT_ASK,         /* the same, and waits for him      */
    NGX_HTTP_STOA_MCP_EVENT_PING,
    NGX_HTTP_STOA_MCP_EVENT_UNKNOWN,     /* a request that is not for him    */
    NGX_HTTP_STOA_MCP_EVENT_ANSWER,      /* to the call                      */
    NGX_HTTP_STOA_MCP_EVENT_FAULT        /* nothing that may be said here    */
} ngx_http_stoa_mcp_event_e;

/* g: what is in it, unless it is dropped; why: of a fault. */
ngx_http_stoa_mcp_event_e ngx_http_stoa_mcp_event(ngx_http_stoa_mcp_t *mcp,
    const stoa_sse_event_t *event, stoa_glance_t *g, const char **why);
/* The control plane is to read the lists of this upstream. */
void ngx_http_stoa_mcp_lists_changed(ngx_http_request_t *r,
    const ngx_http_stoa_api_t *api);
/* NGX_DECLINED: an id is too long for a mark. */
ngx_int_t ngx_http_stoa_mcp_event_mark(ngx_http_stoa_mcp_t *mcp,
    const stoa_mcp_ref_t *ref, const stoa_str_t *data, const stoa_glance_t *g,
    stoa_buf_t *out);


/* ---- _mcp_reply.c ------------------------------------------------------- */

/* An id of ours for an event that has one of its upstream. */
void ngx_http_stoa_mcp_stream_id(ngx_http_stoa_mcp_stream_t *s,
    stoa_sse_event_t *event, ngx_uint_t kind);
/* An event, behind a head. */
ngx_int_t ngx_http_stoa_mcp_stream_pass(ngx_http_stoa_mcp_stream_t *s,
    const stoa_sse_event_t *event);
/* The head of a stream, once. */
ngx_int_t ngx_http_stoa_mcp_stream_begin(
    ngx_http_stoa_mcp_stream_t *s);
/* The answer alone, as JSON. */
ngx_int_t ngx_http_stoa_mcp_stream_json(ngx_http_stoa_mcp_stream_t *s,
    const stoa_str_t *data);
/* An error in the place of the answer; why NULL: what is noted already, or the
 * words of the row. */
ngx_int_t ngx_http_stoa_mcp_stream_fail(ngx_http_stoa_mcp_stream_t *s,
    ngx_http_stoa_refuse_e what, const char *why);


#endif /* NGX_HTTP_STOA_STREAM_H */
