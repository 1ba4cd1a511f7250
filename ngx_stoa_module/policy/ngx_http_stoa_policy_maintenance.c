/*
 * maintenance: calls are refused for a while, but for some.  Schema:
 * core/stoa_policy_maintenance.h.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_maintenance.h"


static ngx_int_t ngx_http_stoa_policy_maintenance_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_maintenance_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_maintenance_served(
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_maintenance_refusals[] = {
    { ngx_string("maintenance"), 503, ngx_string("Under maintenance"),
      ngx_string("This is not in service at present."), 503 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_maintenance = {
    .name = "maintenance",
    .compile = ngx_http_stoa_policy_maintenance_compile,
    .head = ngx_http_stoa_policy_maintenance_head,
    .look = 1,
    .refusals = ngx_http_stoa_policy_maintenance_refusals
};


/* What is called has to be known. */

static ngx_int_t
ngx_http_stoa_policy_maintenance_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    const stoa_policy_maintenance_t  *conf;

    conf = a->config;

    if (conf->tools.n) {
        a->order = STOA_ORDER_LATE;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_maintenance_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    u_char                           *p;
    ngx_str_t                         text;
    stoa_str_t                        s;
    const stoa_policy_maintenance_t  *conf;

    conf = a->config;

    if (ngx_http_stoa_policy_ip_in(r, a->rec, &conf->allow)
        || ngx_http_stoa_policy_maintenance_served(ctx, a))
    {
        return NGX_OK;
    }

    if (!a->shadow && conf->retry_after_s) {
        p = ngx_pnalloc(r->pool, NGX_INT32_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ctx->call.retry_after.data = p;
        ctx->call.retry_after.len = ngx_sprintf(p, "%uD", conf->retry_after_s)
                                    - p;
    }

    /* the record may go before the answer is made */

    s = stoa_rec_str(a->rec, conf->text);
    text.len = s.len;
    text.data = ngx_pnalloc(r->pool, s.len + 1);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text.data, s.data, s.len);

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal,
                                            text.len ? &text : NULL);
}


static ngx_uint_t
ngx_http_stoa_policy_maintenance_served(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    uint32_t                          i;
    ngx_str_t                        *name;
    stoa_str_t                        s;
    const stoa_ref_t                 *ref;
    const stoa_policy_maintenance_t  *conf;

    conf = a->config;
    ref = stoa_rec_vec(a->rec, conf->paths, stoa_ref_t);

    for (i = 0; i < conf->paths.n && ctx->call.path.len; i++) {
        s = stoa_rec_str(a->rec, ref[i]);

        if (stoa_path_match(s.data, s.len, (char *) ctx->call.path.data,
                            ctx->call.path.len))
        {
            return 1;
        }
    }

    ref = stoa_rec_vec(a->rec, conf->tools, stoa_ref_t);
    name = &ctx->call.tool_name;

    for (i = 0; i < conf->tools.n && name->len; i++) {
        s = stoa_rec_str(a->rec, ref[i]);

        if (s.len == name->len && ngx_memcmp(s.data, name->data, s.len) == 0) {
            return 1;
        }
    }

    return 0;
}
