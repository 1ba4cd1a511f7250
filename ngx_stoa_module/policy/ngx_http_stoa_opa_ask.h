/*
 * What Open Policy Agents are asked by policies of type `opa`; private to
 *
 *   _policy_opa.c        whether a call may pass
 *   _policy_opa_list.c   what a list of MCP shows
 *   _policy_opa_ask.c    the asking, and what is kept of it
 *   _policy_opa_input.c  what is shown
 *
 * Process: workers.  Lifetime: r->pool, whose cleanup ends what is under way.
 */

#ifndef NGX_HTTP_STOA_OPA_ASK_H
#define NGX_HTTP_STOA_OPA_ASK_H


#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_opa.h"
#include "core/stoa_policy_opa.h"


#define NGX_HTTP_STOA_OPA_REASON   160
#define NGX_HTTP_STOA_OPA_ID       64


typedef enum {
    NGX_HTTP_STOA_OPA_ERROR = 0,
    NGX_HTTP_STOA_OPA_DENY,
    NGX_HTTP_STOA_OPA_ALLOW
} ngx_http_stoa_opa_says_e;

typedef struct ngx_http_stoa_opa_asked_s  ngx_http_stoa_opa_asked_t;

struct ngx_http_stoa_opa_asked_s {
    ngx_http_stoa_opa_asked_t       *next;     /* of the call                */
    const ngx_http_stoa_attached_t  *attached;
    ngx_http_request_t              *request;
    stoa_str_t                       path;     /* of the rule; outlives it   */
    size_t                           max;      /* bytes of an answer         */

    /* Takes what the rule says; NULL: it has decided, in `says`, `reason` and
     * `more`, which is of r->pool. */
    const char                    *(*read)(ngx_http_stoa_opa_asked_t *o,
                                           const stoa_json_val_t *result);

    void                            *list;     /* ..._list_t; NULL: it is
                                                  about a call               */
    uint32_t                        *map;      /* which of it are shown      */
    ngx_uint_t                       nmap;

    ngx_http_stoa_opa_says_e         says;
    ngx_str_t                        reason;
    ngx_str_t                        more;

    /* inside */

    ngx_http_stoa_opa_t             *opa;
    ngx_http_stoa_opa_breaker_t     *breaker;
    ngx_http_stoa_fetch_t           *fetch;    /* NULL: it is over           */
    stoa_buf_t                       answer;
    ngx_str_t                        key;      /* "": it is not kept; once it
                                                  is asked the fetch's       */
    uint64_t                         hash;
    uint64_t                         begin_ns;
    uint64_t                         took_us;
    u_char                           id[NGX_HTTP_STOA_OPA_ID];
    size_t                           id_len;
    unsigned                         known:1;
};


/* One that is not asked yet, in the call's list; NULL without memory. */
ngx_http_stoa_opa_asked_t *ngx_http_stoa_policy_opa_new(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, stoa_str_t path);
/* Asks with the input in b, which is freed.  The decision is there at once, or
 * the request is woken when o->fetch is NULL. */
ngx_int_t ngx_http_stoa_policy_opa_ask(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_opa_asked_t *o, stoa_buf_t *b);


/* ---- _policy_opa_input.c ------------------------------------------------ */

/* What a rule is shown of a call; detail: it cannot be, and why. */
ngx_int_t ngx_http_stoa_policy_opa_input(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_str_t *body, stoa_buf_t *b, ngx_str_t *detail);
/* And of its caller alone: ,"tenant": ... "source": ... */
ngx_int_t ngx_http_stoa_policy_opa_caller(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    stoa_buf_t *b, ngx_str_t *detail);


/* ---- _policy_opa_list.c ------------------------------------------------- */

/* May the item that the call is for be in a list?  As a head. */
ngx_int_t ngx_http_stoa_policy_opa_item(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_opa_says_e *says);


#endif /* NGX_HTTP_STOA_OPA_ASK_H */
