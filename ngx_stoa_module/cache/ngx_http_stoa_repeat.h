/*
 * The policy "idempotency": a call that is made again, with the same
 * Idempotency-Key, gets what the first one got.
 *
 * A step behind all that judges a call: the first has an entry made in the
 * zone of what lasts, under a sum of whose call of what it is; the filters
 * keep the answer there, before anything of ours is in it, so that it goes
 * through them at each repeat.  What became of a call that has no answer is
 * decided where it ends: whether its upstream may have got it.
 *
 * Process: workers.  Lifetime: the call; what is kept is shm/_keep.h's.
 */

#ifndef NGX_HTTP_STOA_REPEAT_H
#define NGX_HTTP_STOA_REPEAT_H


#include "ngx_http_stoa_cache.h"


extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_idempotency;


/* A step. */
ngx_int_t ngx_http_stoa_repeat_step(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* The head of an answer, and its body, before anything of them is ours. */
ngx_int_t ngx_http_stoa_repeat_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
void ngx_http_stoa_repeat_body(ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in);


#endif /* NGX_HTTP_STOA_REPEAT_H */
