/*
 * Targets as all workers see them, in the status and in the metrics: those
 * that have a place in the zone.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"
#include "ngx_http_stoa_time.h"


#define NGX_HTTP_STOA_TARGETS_SHOWN  1000


/* The next one of a kind whose api there is; *n begins with 0, *left with the
 * most. */

static const stoa_rec_api_t *
ngx_http_stoa_targets_next(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_place_e kind, ngx_uint_t *n, ngx_uint_t *left,
    ngx_http_stoa_place_t *place)
{
    const stoa_rec_api_t  *api;

    while (*left && ngx_http_stoa_place_next(mcf->sh, n, place) == NGX_OK) {
        api = place->kind == kind
              ? ngx_http_stoa_store_api(mcf->store, &place->api) : NULL;

        if (api) {
            (*left)--;
            return api;
        }
    }

    return NULL;
}


void
ngx_http_stoa_targets_status(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    char                    why[32];
    uint64_t                now;
    ngx_uint_t              n, left;
    stoa_str_t              tenant, name;
    const stoa_rec_api_t   *api;
    ngx_http_stoa_place_t   place;

    n = 0;
    left = NGX_HTTP_STOA_TARGETS_SHOWN;
    now = ngx_http_stoa_wall_ms();

    stoa_buf_addz(b, ",\"targets\":[");

    while ((api = ngx_http_stoa_targets_next(mcf, NGX_HTTP_STOA_PLACE_TARGET,
                                             &n, &left, &place)))
    {
        tenant = stoa_rec_str(api, api->tenant_name);
        name = stoa_rec_str(api, api->name);

        stoa_buf_addf(b, "%s{\"tenant\":\"%.*s\",\"api\":\"%.*s\","
                      "\"target\":\"%s\"",
                      left + 1 < NGX_HTTP_STOA_TARGETS_SHOWN ? "," : "",
                      (int) tenant.len, tenant.data, (int) name.len,
                      name.data, place.name);

        if (place.health_at_ms) {
            ngx_http_stoa_place_why(place.health_why, why);

            stoa_buf_addf(b, ",\"health\":\"%s\",\"error\":\"%s\","
                          "\"checked_ms\":%llu,\"since_ms\":%llu",
                          ngx_http_stoa_place_health(&place), why,
                          (unsigned long long)
                              (now - ngx_min(now, place.health_at_ms)),
                          (unsigned long long)
                              (now - ngx_min(now, place.health_since_ms)));
        }

        if (place.breaker_since_ms) {
            ngx_http_stoa_place_why(place.breaker_why, why);

            stoa_buf_addf(b, ",\"breaker\":\"%s\",\"opened_by\":\"%s\","
                          "\"breaker_since_ms\":%llu",
                          ngx_http_stoa_place_breaker(&place), why,
                          (unsigned long long)
                              (now - ngx_min(now, place.breaker_since_ms)));
        }

        stoa_buf_addz(b, "}");
    }

    stoa_buf_addz(b, "]");
}


void
ngx_http_stoa_targets_metrics(ngx_http_stoa_main_conf_t *mcf,
    ngx_uint_t breaker, stoa_buf_t *b)
{
    ngx_uint_t              n, left;
    stoa_str_t              tenant, name;
    const stoa_rec_api_t   *api;
    ngx_http_stoa_place_t   place;

    n = 0;
    left = NGX_HTTP_STOA_TARGETS_SHOWN;

    while ((api = ngx_http_stoa_targets_next(mcf, NGX_HTTP_STOA_PLACE_TARGET,
                                             &n, &left, &place)))
    {
        if ((breaker ? place.breaker | place.breaker_window
                     : place.health_at_ms)
            == 0)
        {
            continue;
        }

        tenant = stoa_rec_str(api, api->tenant_name);
        name = stoa_rec_str(api, api->name);

        stoa_buf_addf(b, "stoa_target_%s{tenant=\"%.*s\",api=\"%.*s\","
                      "target=\"%s\"} %u\n", breaker ? "open" : "up",
                      (int) tenant.len, tenant.data,
                      (int) name.len, name.data, place.name,
                      breaker
                      ? ngx_http_stoa_breaker_state(place.breaker)
                        != NGX_HTTP_STOA_BREAKER_CLOSED
                      : place.health != NGX_HTTP_STOA_HEALTH_DOWN);
    }
}


void
ngx_http_stoa_targets_groups(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    ngx_uint_t              n, left, k;
    stoa_str_t              tenant, name;
    const stoa_rec_api_t   *api;
    ngx_http_stoa_place_t   place;

    n = 0;
    left = NGX_HTTP_STOA_TARGETS_SHOWN;

    while ((api = ngx_http_stoa_targets_next(mcf, NGX_HTTP_STOA_PLACE_GROUP,
                                             &n, &left, &place)))
    {
        tenant = stoa_rec_str(api, api->tenant_name);
        name = stoa_rec_str(api, api->name);

        for (k = 0; k < NGX_HTTP_STOA_CLASSES; k++) {
            stoa_buf_addf(b, "stoa_group_requests_total{tenant=\"%.*s\","
                          "api=\"%.*s\",group=\"%s\",class=\"%uxx\"} %llu\n",
                          (int) tenant.len, tenant.data,
                          (int) name.len, name.data, place.name,
                          (unsigned) k + 1,
                          (unsigned long long) place.class[k]);
        }
    }
}
