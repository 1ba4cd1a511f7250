/*
 * The cheap rejects: the publisher's state, the api's lists of addresses, the
 * length of the body.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_refusal.h"


ngx_int_t
ngx_http_stoa_screen(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    stoa_rec_api_t             *rec;
    const stoa_rec_tenant_t    *tenant;
    ngx_http_stoa_main_conf_t  *mcf;

    rec = ctx->call.api->rec;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    tenant = ngx_http_stoa_store_tenant(mcf->store, &rec->tenant);

    if (tenant == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    if (tenant->state != STOA_STATE_ACTIVE) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_TENANT_SUSPENDED,
                                    NULL);
    }

    if ((rec->ip_allow.n || rec->ip_deny.n)
        && !ngx_http_stoa_policy_ip_allows(r, rec, &rec->ip_allow,
                                           &rec->ip_deny))
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_IP, NULL);
    }

    return ngx_http_stoa_policy_body_limit(r, rec->max_body_bytes);
}
