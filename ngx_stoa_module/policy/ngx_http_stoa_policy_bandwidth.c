/*
 * bandwidth: how fast an answer is sent.  Schema:
 * core/stoa_policy_bandwidth.h.
 *
 * nginx paces it, so that a timer is all that it costs; what it does not send
 * keeps the upstream from being read past the proxy's buffers.  An operator's
 * own limit_rate stays, where it is slower.  Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "core/stoa_policy_bandwidth.h"


static ngx_int_t ngx_http_stoa_policy_bandwidth_response(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_bandwidth = {
    .name = "bandwidth",
    .on_way = 1,
    .response = ngx_http_stoa_policy_bandwidth_response
};


/* The answers of ours, which are short, are not paced. */

static ngx_int_t
ngx_http_stoa_policy_bandwidth_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_http_core_loc_conf_t        *clcf;
    const stoa_policy_bandwidth_t   *conf;

    conf = a->config;

    if (!ctx->call.passed || ctx->call.replace
        || !ngx_http_stoa_policy_acts(a))
    {
        return NGX_OK;
    }

    if (!r->limit_rate_set) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        r->limit_rate = ngx_http_complex_value_size(r, clcf->limit_rate, 0);
        r->limit_rate_set = 1;
    }

    if (r->limit_rate == 0 || conf->bytes_per_s < r->limit_rate) {
        r->limit_rate = conf->bytes_per_s;
        r->limit_rate_after = conf->after_bytes;
        r->limit_rate_after_set = 1;
    }

    return NGX_OK;
}
