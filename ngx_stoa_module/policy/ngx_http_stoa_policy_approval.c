/*
 * approval: a call of a tool waits until a person has said yes; the edge asks
 * (ngx_http_stoa_mcp_approve.c), once for all policies that apply.  Schema:
 * core/stoa_policy_approval.h.
 *
 * Process: workers.  The narrowest says how, but for an application's: that
 * one may be its consumer's.
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
    .refusals = ngx_http_stoa_policy_approval_rows
};


static ngx_int_t
ngx_http_stoa_policy_approval_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    const stoa_rec_hdr_t  *rec;

    rec = a->rec;

    if (ctx->call.tool_name.len && ngx_http_stoa_policy_acts(a)
        && (ctx->call.approval == NULL
            || rec->kind != STOA_REC_APPLICATION))
    {
        ctx->call.approval = a;
    }

    return NGX_OK;
}
