/*
 * publisher: the tenant of the api, too, has to be active.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_refusal.h"


static ngx_int_t ngx_http_stoa_policy_publisher_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_publisher = {
    .name = "publisher",
    .head = ngx_http_stoa_policy_publisher_head,
    .look = 1
};


static ngx_int_t
ngx_http_stoa_policy_publisher_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    const stoa_rec_tenant_t    *tenant;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    tenant = ngx_http_stoa_store_tenant(mcf->store, a->config);

    if (tenant && tenant->state == STOA_STATE_ACTIVE) {
        return NGX_OK;
    }

    return ngx_http_stoa_refuse(r, tenant
                                   ? NGX_HTTP_STOA_REFUSE_TENANT_SUSPENDED
                                   : NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
}
