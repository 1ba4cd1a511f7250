/*
 * What the steps and the policies of one call said, in the order in which they
 * ran, and how long each took.  Who runs them notes it: the pipeline and the
 * runner of policies, one place each.  Without a trace that is one test.
 *
 * Process: workers.  Lifetime: r->pool.  Limit: NGX_HTTP_STOA_TRACE_MAX;
 * what is past it is counted.
 */

#ifndef NGX_HTTP_STOA_TRACE_H
#define NGX_HTTP_STOA_TRACE_H


#include "ngx_http_stoa_chain.h"
#include "ngx_http_stoa_edge.h"


#define NGX_HTTP_STOA_TRACE_MAX  48


typedef struct {
    ngx_uint_t                       step;     /* its row; of a policy: a    */
    const ngx_http_stoa_attached_t  *a;
    ngx_uint_t                       from;     /* ngx_http_stoa_chain_e      */
    ngx_int_t                        rc;
    uint64_t                         ns;
    unsigned                         shadow:1; /* it would have refused      */
} ngx_http_stoa_trace_note_t;

struct ngx_http_stoa_trace_s {
    ngx_uint_t                  n;
    ngx_uint_t                  lost;
    uint64_t                    step_ns;       /* when the one that runs was */
    uint64_t                    policy_ns;     /* entered first; 0: none     */
    ngx_http_stoa_trace_note_t  note[NGX_HTTP_STOA_TRACE_MAX];
};


/* One call in mcf->trace_sample is traced. */
void ngx_http_stoa_trace_sample(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t sample);

/* Runs it, and notes its answer; not NGX_AGAIN, which leaves no context. */
ngx_int_t ngx_http_stoa_trace_step(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_step_t *step);
ngx_int_t ngx_http_stoa_trace_policy(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_turn_t *t, ngx_uint_t from);


#endif /* NGX_HTTP_STOA_TRACE_H */
