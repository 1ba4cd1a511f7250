/*
 * May this application call this target: its subscription.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_refusal.h"


static const struct {
    ngx_uint_t               state;
    ngx_http_stoa_refuse_e   what;
} ngx_http_stoa_subscription_states[] = {
    { STOA_STATE_PENDING, NGX_HTTP_STOA_REFUSE_SUB_PENDING },
    { STOA_STATE_SUSPENDED, NGX_HTTP_STOA_REFUSE_SUB_SUSPENDED },
    { STOA_STATE_REVOKED, NGX_HTTP_STOA_REFUSE_SUB_REVOKED },
    { STOA_STATE_EXPIRED, NGX_HTTP_STOA_REFUSE_SUB_EXPIRED },
    { 0, NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED }
};


ngx_int_t
ngx_http_stoa_subscription(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_id_t *target)
{
    ngx_uint_t                      i;
    ngx_http_stoa_main_conf_t      *mcf;
    const stoa_rec_subscription_t  *sub;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    sub = ngx_http_stoa_store_subscription(mcf->store, &ctx->application,
                                           target);

    if (sub == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED,
                                    NULL);
    }

    ctx->call.subscription = sub->id;
    ctx->call.subscribed = sub->target;
    ctx->call.plan = sub->plan;

    if (sub->state != STOA_STATE_ACTIVE) {

        for (i = 0; ngx_http_stoa_subscription_states[i].state; i++) {
            if (ngx_http_stoa_subscription_states[i].state == sub->state) {
                break;
            }
        }

        return ngx_http_stoa_refuse(r,
                                   ngx_http_stoa_subscription_states[i].what,
                                   NULL);
    }

    if (sub->expires_ms && sub->expires_ms <= ngx_http_stoa_now_ms()) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_SUB_EXPIRED,
                                    NULL);
    }

    return NGX_OK;
}
