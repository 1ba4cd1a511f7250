/*
 * Calls that a person has to approve.
 *
 *   _mcp_approve.c      what is called, and asking the control plane
 *   _mcp_approve_say.c  what the client is told
 *   _mcp_approve_user.c a legacy client's user is asked
 *
 * Process: workers.  Lifetime: the request's.
 */

#ifndef NGX_HTTP_STOA_APPROVE_H
#define NGX_HTTP_STOA_APPROVE_H


#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_fetch.h"
#include "ngx_http_stoa_policy.h"
#include "stoa_seal.h"
#include "core/stoa_policy_approval.h"


#define NGX_HTTP_STOA_MCP_APPROVE_KEY    "gateway.stoa/approval"
#define NGX_HTTP_STOA_MCP_APPROVE_AAD                                         \
    (NGX_HTTP_STOA_MCP_PRINCIPAL + NGX_HTTP_STOA_SHA256_LEN)


typedef struct {
    ngx_http_request_t     *request;
    ngx_http_stoa_fetch_t  *fetch;     /* NULL: there is an answer, or none  */
    stoa_buf_t              answer;
    ngx_uint_t              status;    /* 0: none                            */
    u_char                  aad[NGX_HTTP_STOA_MCP_APPROVE_AAD];
    ngx_str_t               shown;     /* arguments, as people see them      */
    ngx_str_t               kept;      /* members for the upstream           */
    void                   *user;      /* the client's, who is asked         */
    uint16_t               *in;        /* that wait, of its tenant           */
    uint16_t               *of;        /* ... of its application             */
    unsigned                waited:1;  /* it was asked before                */
    unsigned                asked:1;   /* the user is                        */
    unsigned                passed:1;
} ngx_http_stoa_mcp_approve_t;

typedef struct {
    stoa_str_t              says;
    stoa_str_t              id;
    stoa_json_val_t         reason;    /* start NULL: none                   */
    uint64_t                expires_ms;
} ngx_http_stoa_mcp_verdict_t;


/* Of the policy. */
#define ngx_http_stoa_mcp_approve_conf(ctx)                                   \
    ((const stoa_policy_approval_t *)                                         \
     ((const ngx_http_stoa_attached_t *) (ctx)->call.approval)->config)


/* ---- _mcp_approve_say.c ------------------------------------------------- */

/* It waits: asks the client's user, or refuses. */
ngx_int_t ngx_http_stoa_mcp_approve_waits(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_approve_t *ap,
    const ngx_http_stoa_mcp_verdict_t *v);
/* How the client can ask its user, by its capabilities; NULL: it cannot. */
const char *ngx_http_stoa_mcp_approve_mode(ngx_http_stoa_ctx_t *ctx,
    const stoa_json_val_t *caps);
/* The params of what he is asked. */
void ngx_http_stoa_mcp_approve_params(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_mcp_verdict_t *v, const char *mode, stoa_buf_t *b);
/* v: NULL, or the approval that is told of; words: NULL, or more of them. */
ngx_int_t ngx_http_stoa_mcp_approve_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_approval_e what,
    const ngx_http_stoa_mcp_verdict_t *v, const char *words);
/* JSON, as it is shown to a person. */
void ngx_http_stoa_mcp_approve_plain(const stoa_buf_t *raw, stoa_buf_t *b);


/* ---- _mcp_approve_user.c ------------------------------------------------ */

/* As a step: it waits until the user of a session's client has answered.
 * NGX_DECLINED: the client cannot ask him, or he was asked often enough. */
ngx_int_t ngx_http_stoa_mcp_approve_user(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap,
    const ngx_http_stoa_mcp_verdict_t *v);
/* He has: NGX_OK, accepted; NGX_DECLINED: not, or not in time; NGX_AGAIN; else
 * what the step returns. */
ngx_int_t ngx_http_stoa_mcp_approve_user_said(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);


#endif /* NGX_HTTP_STOA_APPROVE_H */
