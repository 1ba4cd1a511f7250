/*
 * An edge: a protocol that clients speak to the gateway.  One table of steps
 * and one table of functions; what is between (the pipeline, the filters, the
 * upstream) asks the edge of the call and never which one it is.
 *
 * Process: workers.  Lifetime: constant; ngx_http_stoa_module.c lists them.
 */

#ifndef NGX_HTTP_STOA_EDGE_H
#define NGX_HTTP_STOA_EDGE_H


#include "ngx_http_stoa_refusal.h"


/* A step of a call.  NGX_OK: the next row; NGX_DONE: it is answered, the
 * content handler is set; NGX_AGAIN: the same row again, when something has
 * called ngx_http_stoa_ctx_wake(); else a status, or NGX_ERROR. */

typedef struct {
    const char   *name;
    ngx_int_t   (*run)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
    /* The same of a call that is only looked at (ngx_http_stoa_look.h): it
     * neither waits nor changes anything.  NGX_DECLINED: what follows depends
     * on what cannot be said.  NULL: it says nothing, and the next row may. */
    ngx_int_t   (*look)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
} ngx_http_stoa_step_t;

/* It waits for nothing and leaves nothing behind but the call's own. */
#define ngx_http_stoa_looks(f)  f, f


/* What tokens for a call are made for: a path of stoa_external_url, or of an
 * api's own host; and the tenant whose issuers come first. */

typedef struct {
    ngx_str_t   host;                 /* "": that of stoa_external_url       */
    ngx_str_t   path;                 /* without a slash at its end          */
    ngx_str_t   name;                 /* for people                          */
    stoa_id_t   tenant;               /* zeros: nobody's                     */
    stoa_id_t   server;               /* zeros: none, or one that is not
                                         there                               */
    ngx_uint_t  within;               /* a server is asked for               */
    const void *rec;                  /* whose policies are the route's own; */
    const stoa_vec_t  *policies;      /* NULL: nobody's                      */
    ngx_str_t   scopes;               /* that they want, with blanks between */
} ngx_http_stoa_resource_t;


/* NULL: there is nothing to do. */

struct ngx_http_stoa_edge_s {
    ngx_str_t                    name;
    const ngx_http_stoa_step_t  *steps;
    ngx_uint_t                   once;     /* no copies of a call        */
    ngx_uint_t                   origins;  /* an Origin has to be one that a
                                              policy allows              */
    ngx_uint_t                   messages; /* a maximum of bodies is one of
                                              each message in them       */
    ngx_uint_t                   secrets;  /* credentials of clients stay
                                              here, whosever they are    */

    /* Is the request this edge's?  The first that says so has it. */
    ngx_uint_t  (*match)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);

    /* Each time that its steps are entered. */
    ngx_int_t   (*enter)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);

    /* Fills what is known of the call's, or of a path's that a call would
     * have; all of it is zero.  NGX_DECLINED: it is none of this edge. */
    ngx_int_t   (*resource)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                            const ngx_str_t *path,
                            ngx_http_stoa_resource_t *res);

    /* The body of a refusal; problem+json where there is none. */
    ngx_int_t   (*error)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                         const ngx_http_stoa_refusal_t *row, ngx_str_t *type,
                         ngx_str_t *body);

    /* Is the refusal told in an answer to the message, with 200?  What is
     * counted and logged is its status all the same. */
    ngx_uint_t  (*answers)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                           const ngx_http_stoa_refusal_t *row);

    /* As what an answer of this status counts; 0: there is none.  NULL: as
     * that. */
    ngx_uint_t  (*status)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                          ngx_uint_t status);

    /* What of the body, which is read, is the call's own; NULL: all of it.
     * NGX_DECLINED: nothing. */
    ngx_int_t   (*content)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                           ngx_str_t *content);

    /* What is sent behind the target's path: ctx->call.rest. */
    ngx_int_t   (*uri)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);

    /* Does this header of the client stay here?  Which ones are added? */
    ngx_uint_t  (*header_dropped)(const ngx_table_elt_t *h);
    ngx_int_t   (*headers_add)(ngx_http_request_t *r,
                               ngx_http_stoa_ctx_t *ctx, ngx_list_t *headers);

    /* The upstream's final answer: its head is in r->upstream->headers_in,
     * what came of the body in r->upstream->buffer.  NGX_OK: it is passed on
     * as it is now; NGX_AGAIN: more of the body is wanted; else as nginx's
     * process_header. */
    ngx_int_t   (*answer)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);

    /* Instead of that: the answer is thrown away, and the call sent once more
     * from call.credential_step on.  As nginx's process_header. */
    ngx_int_t   (*again)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);

    /* Would that pass the answer on as it is, by its head and its whole body?
     * For the fast lane: nothing is changed. */
    ngx_uint_t  (*fits)(ngx_http_request_t *r, const ngx_str_t *body);

    /* The head of an answer is complete.  NGX_OK: it is sent; NGX_DONE: the
     * edge keeps it, and all of the body comes to body(), which sends both
     * (ngx_http_stoa_filter_next_*).  With ctx->call.opened the client has a
     * head already, and this one is not sent. */
    ngx_int_t   (*head)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
    ngx_int_t   (*body)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                        ngx_chain_t *in);

    /* nginx's upstream is through with the call, with this rc. */
    void        (*ended)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                         ngx_int_t rc);

    /* A step has refused a call that was opened; as the phases. */
    ngx_int_t   (*late)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                        ngx_int_t rc);
};


#endif /* NGX_HTTP_STOA_EDGE_H */
