/*
 * The bodies of answers, for policies that judge or change them.
 *
 * A policy sets .upstream = ngx_http_stoa_policy_answer_ask (or calls it from
 * its own), .response = ngx_http_stoa_policy_answer_take, and .answer to a
 * function that says by the answer's head whether it is of interest.  That
 * fills a taker: with `whole` the answer is kept, and its head with it, until
 * that has seen all of it; with `piece` it goes on as it comes.  Where one
 * policy wants the whole, all others get that as one piece.
 *
 * The upstream is asked for an answer without an encoding, and for no part of
 * one; what comes so all the same, or is too long to be kept, is refused, or
 * goes on unread where the taker says `pass`, which is counted and logged.
 * Answers without a body (HEAD, 204, 304), upgrades and the gateway's own have
 * no takers, nor have those of edges that read answers themselves.
 *
 * Process: workers.  Lifetime: r->pool.  Limits: max bytes of an answer, and
 * NGX_HTTP_STOA_ANSWER_BUFFERS of what a client has not taken yet: then the
 * upstream is not read.
 */

#ifndef NGX_HTTP_STOA_POLICY_ANSWER_H
#define NGX_HTTP_STOA_POLICY_ANSWER_H


#include "ngx_http_stoa_policy.h"


#define NGX_HTTP_STOA_ANSWER_BUFFER   16384
#define NGX_HTTP_STOA_ANSWER_BUFFERS  8


struct ngx_http_stoa_taker_s {
    const ngx_http_stoa_attached_t  *a;        /* set before .answer         */
    void                            *state;

    /* NGX_OK, with another body in r->pool, or this one changed in its place
     * (then `changed` is set); a status, by ngx_http_stoa_policy_refuse*();
     * NGX_ERROR.  A shadow's changes count for nothing. */
    ngx_int_t  (*whole)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                        ngx_http_stoa_taker_t *t, ngx_str_t *body);

    /* The same of a piece: what is to be sent is added to out.  last: nothing
     * comes after it.  A status when the client has the head: the answer is
     * cut. */
    ngx_int_t  (*piece)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                        ngx_http_stoa_taker_t *t, ngx_str_t *in,
                        ngx_uint_t last, stoa_buf_t *out);

    size_t                           max;      /* of a whole body            */
    ngx_uint_t                       refusal;  /* its row for what it cannot
                                                  read, of the policy's      */
    ngx_http_stoa_taker_t           *next;
    unsigned                         pass:1;   /* also what cannot be read  */
    unsigned                         changes:1;    /* it may change bytes    */
    unsigned                         changed:1;
    unsigned                         off:1;
    unsigned                         refused:1;    /* that is counted        */
};


/* Rows of a policy's table. */
ngx_int_t ngx_http_stoa_policy_answer_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
ngx_int_t ngx_http_stoa_policy_answer_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);

/* Why an answer's bytes are not what its upstream says; NULL: they are.  And
 * what described bytes that are others now goes. */
const char *ngx_http_stoa_policy_answer_part(ngx_http_request_t *r);
void ngx_http_stoa_policy_answer_changed(ngx_http_request_t *r);
/* Is its status in a list of a record, or, if that is empty, 2xx? */
ngx_uint_t ngx_http_stoa_policy_answer_status(ngx_http_request_t *r,
    const void *rec, const stoa_vec_t *list);
/* Is the answer JSON by its Content-Type, and to be read as UTF-8? */
ngx_uint_t ngx_http_stoa_policy_answer_json(ngx_http_request_t *r);
/* It cannot be read: refuses, or, where that may pass, counts.  words: as "it
 * is encoded". */
ngx_int_t ngx_http_stoa_policy_answer_unread(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, const char *words);


/* For the filters.  The head is complete: is it kept? */
ngx_uint_t ngx_http_stoa_policy_answer_kept(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Of the body.  NGX_OK: out goes on, before it a head that was kept (*head);
 * NGX_DONE: nothing does; a status; NGX_ERROR. */
ngx_int_t ngx_http_stoa_policy_answer_body(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in, ngx_chain_t **out,
    ngx_uint_t *head);
/* out was given to the next filter.  Not 0: there is more that can go. */
ngx_uint_t ngx_http_stoa_policy_answer_sent(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_chain_t *out);


#endif /* NGX_HTTP_STOA_POLICY_ANSWER_H */
