/*
 * One message to an MCP upstream by a fetch, and what it answers: as JSON or
 * in a stream of events, whose end nobody waits for.
 *
 *   ask = ngx_http_stoa_mcp_ask_create(log);
 *   ask->body, id, done, ... ; headers and peers of ask->fetch
 *   ngx_http_stoa_mcp_ask_start(ask);
 *
 * Process: workers.  Lifetime: until done() has returned, or _cancel().
 * done() is called once, never by _start; it may free its owner.
 */

#ifndef NGX_HTTP_STOA_MCP_ASK_H
#define NGX_HTTP_STOA_MCP_ASK_H


#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_credential.h"


typedef struct ngx_http_stoa_mcp_ask_s  ngx_http_stoa_mcp_ask_t;

struct ngx_http_stoa_mcp_ask_s {
    ngx_http_stoa_fetch_t        *fetch;

    /* the owner's */

    stoa_json_val_t               id;       /* of the message; start NULL: a
                                               notification, any 2xx will do */
    size_t                        max;      /* of an answer, and of an event */
    void                        (*done)(ngx_http_stoa_mcp_ask_t *ask,
                                        void *data);
    /* a message that is no answer, before it; NULL: it is dropped */
    void                        (*other)(ngx_http_stoa_mcp_ask_t *ask,
                                         void *data, const ngx_str_t *text);
    void                         *data;
    unsigned                      words:1;  /* what is no JSON is read, too */
    unsigned                      loose:1;  /* an answer that no strict reader
                                               takes is one; a glance at it
                                               is all there is then         */

    /* what came; valid until done() returns */

    ngx_http_stoa_mcp_head_t      head;
    ngx_http_stoa_fetch_end_e     how;
    stoa_json_val_t               root;     /* the answer                   */
    stoa_json_val_t               result;   /* start NULL: it has none, ... */
    stoa_json_val_t               error;
    ngx_http_stoa_mcp_fault_t     fault;    /* unless it has a result       */
    stoa_buf_t                    eid;      /* of the last event with one   */
    int64_t                       retry_ms; /* the stream has said; -1      */
    unsigned                      answered:1;   /* with our id              */
    unsigned                      accepted:1;   /* a notification           */
    unsigned                      glanced:1;    /* see `loose`              */
    unsigned                      large:1;      /* it is longer than max    */

    /* inside */

    ngx_pool_t                   *pool;     /* the fetch's                  */
    stoa_buf_t                    text;     /* the answer's, or the body    */
    stoa_sse_t                    sse;
    unsigned                      events:1;
    unsigned                      failed:1; /* the fault counts             */
};


ngx_http_stoa_mcp_ask_t *ngx_http_stoa_mcp_ask_create(ngx_log_t *log);
void ngx_http_stoa_mcp_ask_start(ngx_http_stoa_mcp_ask_t *ask);
void ngx_http_stoa_mcp_ask_cancel(ngx_http_stoa_mcp_ask_t *ask);
/* An id of our own, which no client has by accident: JSON text in its pool,
 * and `id`. */
ngx_int_t ngx_http_stoa_mcp_ask_id(ngx_http_stoa_mcp_ask_t *ask,
    ngx_str_t *id);
/* The headers of the fetch: `base`, then what names the session. */
ngx_int_t ngx_http_stoa_mcp_ask_session(ngx_http_stoa_mcp_ask_t *ask,
    const ngx_str_t *base, const ngx_http_stoa_mcp_upstream_t *up);


/* ---- _mcp_open.c -------------------------------------------------------- */

typedef struct ngx_http_stoa_mcp_open_s  ngx_http_stoa_mcp_open_t;

struct ngx_http_stoa_mcp_open_s {
    ngx_pool_t                   *pool;
    ngx_http_stoa_api_t          *api;

    /* the owner's, in its pool */

    ngx_http_stoa_via_t           via;
    ngx_str_t                     headers;  /* without session and version  */
    ngx_str_t                     subject;  /* whose credential is shown    */
    ngx_uint_t                    version;  /* to be asked for              */
    ngx_uint_t                    group;    /* of targets; 0: any           */
    ngx_str_t                     capabilities;   /* JSON                   */
    void                        (*done)(ngx_http_stoa_mcp_open_t *o,
                                        void *data);
    void                         *data;

    /* what came */

    ngx_http_stoa_mcp_upstream_t  up;
    ngx_uint_t                    target;   /* that has the session         */
    ngx_http_stoa_mcp_fault_t     fault;
    unsigned                      opened:1;
};

/* done() is called once, later, and nothing is left afterwards; _free only
 * where _start was not called, or has failed. */
ngx_http_stoa_mcp_open_t *ngx_http_stoa_mcp_open_create(
    ngx_http_stoa_api_t *api);
ngx_int_t ngx_http_stoa_mcp_open_start(ngx_http_stoa_mcp_open_t *o);
void ngx_http_stoa_mcp_open_free(ngx_http_stoa_mcp_open_t *o);


#endif /* NGX_HTTP_STOA_MCP_ASK_H */
