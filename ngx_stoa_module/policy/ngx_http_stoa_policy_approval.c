/*
 * approval: a call of a tool waits until a person has said yes; the edge asks
 * (ngx_http_stoa_mcp_approve.c), once for all policies that apply.  Schema:
 * core/stoa_policy_approval.h.
 *
 * Process: workers.  The narrowest says how.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_approval.h"


static ngx_int_t ngx_http_stoa_policy_approval_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


/* In the order of ngx_http_stoa_approval_e. */

static const ngx_http_stoa_refusal_t  ngx_http_stoa_policy_approval_rows[] = {
    { ngx_string("approval_required"), 403, ngx_string("Approval required"),
      ngx_string("A person has to approve this call."), 403 },
    { ngx_string("approval_denied"), 403, ngx_string("Approval denied"),
      ngx_string("A person has denied this call."), 403 },
    { ngx_string("approvals_full"), 429, ngx_string("Too many approvals"),
      ngx_string("As many calls of this application wait for an approval as "
                 "may."), 429 },
    { ngx_string("approval_unavailable"), 503,
      ngx_string("Approval not available"),
      ngx_string("Nobody can be asked to approve this call now."), 503 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_approval = {
    .name = "approval",
    .head = ngx_http_stoa_policy_approval_head,
    .look = 1,
    .refusals = ngx_http_stoa_policy_approval_rows
};


static ngx_int_t
ngx_http_stoa_policy_approval_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    if (ctx->call.tool_name.len && ngx_http_stoa_policy_acts(a)) {
        ctx->call.approval = a;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_stoa_policy_approval_rules(const void *rec,
    const stoa_vec_t *policies)
{
    uint32_t                  i;
    const stoa_rec_policy_t  *p;

    p = stoa_rec_vec(rec, *policies, stoa_rec_policy_t);

    for (i = 0; i < policies->n; i++) {
        if (p[i].type == STOA_POLICY_APPROVAL_ID
            && p[i].state == STOA_POLICY_ENABLED)
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_stoa_policy_approval_ruled(ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t              i, from;
    ngx_http_stoa_chain_t  *chain;

    for (from = 0; from < NGX_HTTP_STOA_CHAIN_MAX; from++) {
        chain = ctx->call.chain[from];

        for (i = 0; chain && i < chain->n; i++) {
            if (chain->elts[i].policy == &ngx_http_stoa_policy_approval
                && !chain->elts[i].shadow)
            {
                return 1;
            }
        }
    }

    return 0;
}
