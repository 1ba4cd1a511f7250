/*
 * What all workers know of an api's targets: is there one that may be called?
 *
 * Process: workers.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_refusal.h"


#define NGX_HTTP_STOA_TARGET_RETRY  1000


ngx_uint_t
ngx_http_stoa_target_level(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr)
{
    ngx_http_stoa_place_t  *place;

    place = ngx_http_stoa_target_place(api, target, addr);

    if (place == NULL) {
        return NGX_HTTP_STOA_LEVEL_GOOD;
    }

    if (api->breaker && ngx_http_stoa_breaker_wait(api, place)) {
        return NGX_HTTP_STOA_LEVEL_OUT;
    }

    if (api->health && ngx_http_stoa_load(&place->health)
                       == NGX_HTTP_STOA_HEALTH_DOWN)
    {
        return api->health->all_down == STOA_ALL_DOWN_REFUSE
               ? NGX_HTTP_STOA_LEVEL_OUT : NGX_HTTP_STOA_LEVEL_DOWN;
    }

    return NGX_HTTP_STOA_LEVEL_GOOD;
}


ngx_uint_t
ngx_http_stoa_target_least(ngx_http_stoa_api_t *api, ngx_uint_t group)
{
    ngx_uint_t               i, a, least;
    ngx_http_stoa_target_t  *target;

    least = NGX_HTTP_STOA_LEVEL_OUT;

    for (i = 0; i < api->ntargets; i++) {
        target = &api->targets[i];

        if (group && target->group != group) {
            continue;
        }

        for (a = 0; a < target->naddrs; a++) {
            least = ngx_min(least,
                            ngx_http_stoa_target_level(api, target,
                                                       &target->addrs[a]));
        }
    }

    return least;
}


ngx_int_t
ngx_http_stoa_target_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char               *p;
    ngx_msec_t            ms;
    ngx_http_stoa_api_t  *api;

    api = ctx->call.api;

    ms = ngx_http_stoa_target_aside(api, ctx->call.group);

    if (ms == 0) {
        return ngx_http_stoa_refuse(r,
                                    NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE,
                                    NULL);
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);

    if (p) {
        ctx->call.retry_after.data = p;
        ctx->call.retry_after.len = ngx_sprintf(p, "%M", (ms + 999) / 1000)
                                    - p;
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_UPSTREAM_OPEN, NULL);
}


ngx_msec_t
ngx_http_stoa_target_aside(ngx_http_stoa_api_t *api, ngx_uint_t group)
{
    ngx_msec_t               wait, least;
    ngx_uint_t               i, a;
    ngx_http_stoa_place_t   *place;
    ngx_http_stoa_target_t  *target;

    if (!api->watched
        || ngx_http_stoa_target_least(api, group) != NGX_HTTP_STOA_LEVEL_OUT)
    {
        return 0;
    }

    least = 0;

    for (i = 0; api->breaker && i < api->ntargets; i++) {
        target = &api->targets[i];

        if (group && target->group != group) {
            continue;
        }

        for (a = 0; a < target->naddrs; a++) {
            place = ngx_http_stoa_target_place(api, target,
                                               &target->addrs[a]);
            wait = place ? ngx_http_stoa_breaker_wait(api, place) : 0;

            if (wait && (least == 0 || wait < least)) {
                least = wait;
            }
        }
    }

    if (least == 0 && api->health) {
        least = api->health->interval_ms;
    }

    return ngx_max(least, NGX_HTTP_STOA_TARGET_RETRY);
}
