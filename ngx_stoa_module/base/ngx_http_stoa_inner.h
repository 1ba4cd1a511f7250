/*
 * Inner requests: a copy of a client's, with a body of its own (and the
 * headers of another, where it has those), that goes through all phases as if
 * the client had sent it, and is logged and counted like that.  Its connection
 * leads nowhere: what is answered goes to a sink.
 *
 * Process: workers.  Lifetime: nginx's, as that of any request; it holds
 * nothing of the request that it is a copy of but the TLS connection, which
 * _leave() takes away.
 */

#ifndef NGX_HTTP_STOA_INNER_H
#define NGX_HTTP_STOA_INNER_H


#include "ngx_http_stoa_ctx.h"


/* Who takes an answer.  Each may be called from within _start. */

typedef struct {
    /* r->headers_out has it */
    void  (*head)(ngx_http_request_t *r, void *data);
    void  (*body)(void *data, const u_char *p, size_t len);
    /* the request is over, and was logged; nothing follows */
    void  (*over)(void *data);
} ngx_http_stoa_sink_t;


struct ngx_http_stoa_inner_s {
    ngx_http_request_t          *request;     /* NULL: it is over            */
    ngx_http_stoa_ctx_t         *ctx;
    const ngx_http_stoa_sink_t  *sink;
    void                        *data;        /* of the sink                 */
    ngx_list_part_t             *headers;     /* NULL: those of the other    */
    const char *const           *without;     /* names, in lower case, that
                                                 are not copied; NULL: those
                                                 of a connection, and what
                                                 encodings are taken        */
    ngx_str_t                    group;       /* of targets, that it goes to;
                                                 empty: whichever it is      */
    unsigned                     tls:1;       /* the other came so, also when
                                                 its connection has gone     */
    unsigned                     silent:1;    /* nobody has sent it: it is
                                                 not charged, logged, counted*/
    ngx_socket_t                 client;      /* the other end               */
};


/* Did the client come over TLS? */
#define ngx_http_stoa_inner_tls(r, ctx)                                       \
    ((r)->connection->ssl != NULL || ((ctx)->inner && (ctx)->inner->tls))

/* A POST of the same head with this body, which is copied; NULL: a GET.
 * `inner` lives until over() has been called or _leave(), `headers` until this
 * returns.  NGX_ERROR: nothing was begun. */
ngx_int_t ngx_http_stoa_inner_start(ngx_http_stoa_inner_t *inner,
    ngx_http_request_t *of, const ngx_str_t *body);
/* The same request, with which nothing is begun; and its end, of which nobody
 * but the sink hears. */
ngx_int_t ngx_http_stoa_inner_make(ngx_http_stoa_inner_t *inner,
    ngx_http_request_t *of, const ngx_str_t *body);
void ngx_http_stoa_inner_drop(ngx_http_stoa_inner_t *inner);
/* The client is gone: the sink is told nothing more. */
void ngx_http_stoa_inner_leave(ngx_http_stoa_inner_t *inner);


#endif /* NGX_HTTP_STOA_INNER_H */
