/*
 * What policies of type `guardrail` look for; private to
 *
 *   _policy_guard.c         in bodies that are sent
 *   _policy_guard_answer.c  in answers: what is said of them, and of MCP
 *   _policy_guard_body.c    in bodies of answers
 *
 * Process: workers.  Lifetime: the chain.
 */

#ifndef NGX_HTTP_STOA_GUARD_H
#define NGX_HTTP_STOA_GUARD_H


#include "ngx_http_stoa_policy_answer.h"
#include "core/stoa_guard_flow.h"
#include "core/stoa_policy_guard.h"


typedef enum {
    NGX_HTTP_STOA_GUARD_REQUEST = 0,           /* rows of its refusals       */
    NGX_HTTP_STOA_GUARD_ANSWER
} ngx_http_stoa_guard_part_e;

typedef struct {
    stoa_guard_set_t  set;
    ngx_uint_t        parts;                   /* bits                       */
} ngx_http_stoa_guard_t;


/* Rows of its table. */
ngx_int_t ngx_http_stoa_policy_guard_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
ngx_int_t ngx_http_stoa_policy_guard_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
ngx_int_t ngx_http_stoa_policy_guard_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t);
/* Has the call's answer looked through, if it is one of MCP. */
ngx_int_t ngx_http_stoa_policy_guard_expect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
/* Words on kinds (bits) that were found, never on what. */
ngx_int_t ngx_http_stoa_policy_guard_words(ngx_pool_t *pool, unsigned kinds,
    ngx_uint_t over, ngx_str_t *words);
/* Adds up finds. */
void ngx_http_stoa_policy_guard_count(const unsigned *count);


#endif /* NGX_HTTP_STOA_GUARD_H */
