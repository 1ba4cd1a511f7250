/*
 * An HTTP/1.1 client on nginx's event loop: whatever the gateway itself asks
 * of upstreams, issuers and the like.
 *
 *   f = ngx_http_stoa_fetch_create(log);
 *   f->method, headers, body, handler, data, limits: in f->pool
 *   ngx_http_stoa_fetch_url(f, &url, NULL)   whom: a URL, or an api's target
 *   ngx_http_stoa_fetch_start(f);            (ngx_http_stoa_upstream_fetch())
 *
 * Callbacks come from the event loop, never before _start has returned; end()
 * comes once and is the last.  A callback may cancel, and free whatever it
 * likes of its owner: the fetch lives until the callback has returned.
 * Whoever starts one cancels it when he ends; after end() or a cancel nothing
 * of it may be touched.
 *
 * Of an answer the head is kept, the body goes through a buffer of the
 * worker's: a fetch that waits holds its own small pool, no more.
 *
 * Process: workers.  Lifetime: until end() or _cancel().  Limits: the fields
 * below.  At the exit of a worker all are ended but those that `stay`.
 */

#ifndef NGX_HTTP_STOA_FETCH_H
#define NGX_HTTP_STOA_FETCH_H


#include "ngx_http_stoa_keepalive.h"
#include "core/stoa_http.h"


typedef struct ngx_http_stoa_fetch_s  ngx_http_stoa_fetch_t;

typedef enum {
    NGX_HTTP_STOA_FETCH_DONE = 0,     /* the answer is whole                */
    NGX_HTTP_STOA_FETCH_UNREACHABLE,  /* nothing of the request was sent    */
    NGX_HTTP_STOA_FETCH_LOST,         /* some was; no answer came           */
    NGX_HTTP_STOA_FETCH_TIMEOUT,      /* the same, and in time              */
    NGX_HTTP_STOA_FETCH_INVALID,      /* what came is no HTTP               */
    NGX_HTTP_STOA_FETCH_CUT,          /* a head came, not the end           */
    NGX_HTTP_STOA_FETCH_LARGE,        /* over max_body                      */
    NGX_HTTP_STOA_FETCH_EXIT          /* the worker ends                    */
} ngx_http_stoa_fetch_end_e;


/* NULL: nobody wants to know. */

typedef struct {
    /* f->http has status and headers (stoa_http_header()) */
    void  (*head)(ngx_http_stoa_fetch_t *f, void *data);
    /* some of the body, without chunks; valid until it returns */
    void  (*chunk)(ngx_http_stoa_fetch_t *f, void *data, const u_char *p,
                   size_t len);
    void  (*end)(ngx_http_stoa_fetch_t *f, void *data,
                 ngx_http_stoa_fetch_end_e how);
} ngx_http_stoa_fetch_handler_t;


/* Whom to ask, one attempt after the other. */

typedef struct {
    /* Fills f->to.  NGX_AGAIN: calls _next() later; NGX_DECLINED: there is
     * nobody left. */
    ngx_int_t  (*get)(ngx_http_stoa_fetch_t *f);
    /* After each NGX_OK: what came of it.  NULL: nothing to do. */
    void       (*free)(ngx_http_stoa_fetch_t *f, ngx_uint_t failed);
    /* TLS sessions */
    ngx_int_t  (*session)(ngx_http_stoa_fetch_t *f, ngx_connection_t *c,
                          ngx_uint_t made);
    /* The fetch is over: nothing calls _next() any more. */
    void       (*close)(ngx_http_stoa_fetch_t *f);
} ngx_http_stoa_fetch_peers_t;

typedef struct {
    ngx_http_stoa_keepalive_key_t  key;
    ngx_str_t                      name;        /* for logs                 */
    ngx_str_t                      host;
    ngx_str_t                      uri;
} ngx_http_stoa_fetch_to_t;


struct ngx_http_stoa_fetch_s {

    /* the owner's, before _start */

    ngx_str_t                      method;      /* POST                     */
    ngx_str_t                      headers;     /* lines with their CRLF, but
                                                   Host, Content-Length and
                                                   Connection               */
    ngx_str_t                      body;
    ngx_str_t                      subject;     /* the token of whom it is
                                                   for, to be exchanged     */
    ngx_uint_t                     group;       /* of its peers; 0: any     */
    const ngx_http_stoa_fetch_handler_t  *handler;
    void                          *data;
    ngx_msec_t                     connect_timeout;  /* with TLS            */
    ngx_msec_t                     read_timeout;     /* between two reads   */
    ngx_msec_t                     deadline;    /* of the whole, as
                                                   ngx_current_msec; 0: none */
    uint64_t                       max_body;    /* 0: no maximum            */
    size_t                         max_head;
    unsigned                       idempotent:1;   /* may be sent twice     */
    unsigned                       stay:1;      /* an exiting worker waits  */

    /* the answer */

    stoa_http_t                    http;
    const char                    *why;         /* constant; NULL: no more
                                                   to say                   */
    ngx_msec_t                     aside;       /* all peers are, for so
                                                   long; 0: they are not    */

    /* inside */

    ngx_pool_t                    *pool;
    ngx_log_t                     *log;
    const ngx_http_stoa_fetch_peers_t  *peers;
    void                          *peer;        /* of `peers`               */
    ngx_http_stoa_fetch_to_t       to;
    ngx_connection_t              *connection;
    ngx_event_t                    event;       /* posted: goes on          */
    ngx_str_t                      text;        /* head, body               */
    ngx_str_t                      rest;        /* a long body              */
    uint64_t                       came;        /* of the body              */
    ngx_uint_t                     busy;        /* callbacks under way      */
    unsigned                       state:3;
    unsigned                       cached:1;    /* the connection was idle  */
    unsigned                       fresh:1;     /* none of those any more   */
    unsigned                       written:1;   /* something, in this try   */
    unsigned                       sent:1;      /* the same, in any         */
    unsigned                       paused:1;
    unsigned                       over:1;
};


/* NULL without memory.  The log has to outlive it. */
ngx_http_stoa_fetch_t *ngx_http_stoa_fetch_create(ngx_log_t *log);
/* Asks a URL with http or https, under stoa_upstream_allow; TLS is verified.
 * r: whose location's resolver; NULL: that of the http block.  The URL is
 * copied.  NGX_DECLINED: it is none (f->why). */
ngx_int_t ngx_http_stoa_fetch_url(ngx_http_stoa_fetch_t *f, ngx_str_t *url,
    ngx_http_request_t *r);
/* Asks the control plane, as this gateway; sets f->headers.  A name needs
 * nginx's resolver, as any does. */
ngx_int_t ngx_http_stoa_fetch_control(ngx_http_stoa_fetch_t *f,
    const char *path, ngx_http_request_t *r);
/* Asks another gateway of the group, at any address. */
ngx_int_t ngx_http_stoa_fetch_peer(ngx_http_stoa_fetch_t *f, ngx_str_t *url,
    ngx_http_request_t *r);
void ngx_http_stoa_fetch_start(ngx_http_stoa_fetch_t *f);
/* No callback comes any more; the connection is closed. */
void ngx_http_stoa_fetch_cancel(ngx_http_stoa_fetch_t *f);
/* It is nobody's any more, and goes on without its log. */
void ngx_http_stoa_fetch_detach(ngx_http_stoa_fetch_t *f);
/* Nothing is read until _resume; what was read already still comes. */
void ngx_http_stoa_fetch_pause(ngx_http_stoa_fetch_t *f);
void ngx_http_stoa_fetch_resume(ngx_http_stoa_fetch_t *f);
/* Another time limit of reads, from now on. */
void ngx_http_stoa_fetch_patience(ngx_http_stoa_fetch_t *f, ngx_msec_t ms);
/* For `peers`: get() is asked again. */
void ngx_http_stoa_fetch_next(ngx_http_stoa_fetch_t *f);

/* _fetch_write.c: makes f->text, for f->to, with a short body behind it. */
ngx_int_t ngx_http_stoa_fetch_text(ngx_http_stoa_fetch_t *f);
/* Sets a timer, which the deadline shortens. */
void ngx_http_stoa_fetch_wait(ngx_http_stoa_fetch_t *f, ngx_event_t *ev,
    ngx_msec_t timeout);
/* NGX_OK: it is sent; NGX_AGAIN; NGX_ERROR. */
ngx_int_t ngx_http_stoa_fetch_write(ngx_http_stoa_fetch_t *f);
#if (NGX_HTTP_SSL)
/* For connections that we open; ca: a file with authorities, "" the system's,
 * NULL none yet.  NULL: it is said why. */
ngx_ssl_t *ngx_http_stoa_fetch_ssl(ngx_conf_t *cf, ngx_str_t *ca);
#endif
/* Is the other side's certificate for this name, or literal address? */
ngx_int_t ngx_http_stoa_fetch_named(ngx_connection_t *c, ngx_str_t *name);

/* At configuration: what verifies URLs. */
ngx_int_t ngx_http_stoa_fetch_init(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf);


#endif /* NGX_HTTP_STOA_FETCH_H */
