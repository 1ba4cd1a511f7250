/*
 * json-limits: how large the parts of a body of JSON may be.  Schema:
 * core/stoa_policy_json.h.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_json_limits.h"
#include "core/stoa_policy_json.h"


static ngx_int_t ngx_http_stoa_policy_json_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


static const ngx_http_stoa_refusal_t  ngx_http_stoa_policy_json_refusals[] = {
    { ngx_string("json_denied"), 400, ngx_string("JSON not allowed"),
      ngx_string("The body is not as the API asks for."), 400 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_json = {
    .name = "json-limits",
    .head = ngx_http_stoa_policy_json_head,
    .look = 1,
    .refusals = ngx_http_stoa_policy_json_refusals
};


static ngx_int_t
ngx_http_stoa_policy_json_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                   rc;
    ngx_str_t                   body;
    stoa_rc_t                   said;
    stoa_err_t                  err;
    stoa_json_val_t             root;
    stoa_json_limits_t          max;
    const stoa_policy_json_t   *conf;

    conf = a->config;

    rc = ngx_http_stoa_policy_content(r, ctx, a, conf->max_bytes,
                                      conf->other_types, &body);

    if (rc != NGX_OK || body.len == 0) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    ngx_memzero(&err, sizeof(stoa_err_t));
    max.depth = conf->max_depth;
    max.members = conf->max_members;
    max.items = conf->max_items;
    max.name = conf->max_name;
    max.string = conf->max_string;
    max.number = conf->max_number;

    said = stoa_json_limits((char *) body.data, body.len, &max, &root, &err);

    if (said == STOA_OK) {
        return NGX_OK;
    }

    return said == STOA_DECLINED
           ? ngx_http_stoa_policy_refuse_error(r, ctx, a, &err) : NGX_ERROR;
}
