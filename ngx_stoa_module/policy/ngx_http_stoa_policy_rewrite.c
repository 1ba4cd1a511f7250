/*
 * path-rewrite: another path for the upstream than the one that was called
 * and judged.  Schema: core/stoa_policy_rewrite.h.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_uri.h"
#include "core/stoa_policy_rewrite.h"


static ngx_int_t ngx_http_stoa_policy_rewrite_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_rewrite = {
    .name = "path-rewrite",
    .on_way = 1,
    .head = ngx_http_stoa_policy_rewrite_head,
    .look = 1
};


/* What a protected location sends is its own business. */

static ngx_int_t
ngx_http_stoa_policy_rewrite_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    char                              *dst;
    size_t                             len;
    uint32_t                           i;
    stoa_rc_t                          rc;
    ngx_str_t                          sent;
    stoa_str_t                         from, to, path;
    const stoa_policy_rewrite_t       *conf;
    const stoa_policy_rewrite_rule_t  *rule;

    if (ctx->mode == NGX_HTTP_STOA_PROTECT) {
        return NGX_OK;
    }

    if (ngx_http_stoa_uri_path(r, ctx->call.prefix_len,
                               ctx->call.api->rec->keep_encoded_slashes,
                               &sent)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    path.data = sent.len ? (char *) sent.data : "/";
    path.len = sent.len ? sent.len : 1;

    conf = a->config;
    rule = stoa_rec_vec(a->rec, conf->rules, stoa_policy_rewrite_rule_t);

    dst = ngx_pnalloc(r->pool, path.len + STOA_TEMPLATE_MAX);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    rc = STOA_DECLINED;

    for (i = 0; rc == STOA_DECLINED && i < conf->rules.n; i++) {
        from = stoa_rec_str(a->rec, rule[i].from);
        to = stoa_rec_str(a->rec, rule[i].to);
        rc = stoa_rewrite(from, to, path, dst, &len);
    }

    if (rc == STOA_ERROR) {
        return ngx_http_stoa_policy_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_BAD_REQUEST);
    }

    if (rc == STOA_OK && ngx_http_stoa_policy_acts(a)) {
        ctx->call.rewritten.data = (u_char *) dst;
        ctx->call.rewritten.len = len;
    }

    return NGX_OK;
}
