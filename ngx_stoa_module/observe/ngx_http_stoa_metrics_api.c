/*
 * Calls by api: the busiest by name, all others together.  stoa_metrics says
 * how many have a name, so that no publisher makes series without end.
 *
 * An api has a slot of the zone from its first call on.  When there is none
 * left, or the api is gone, its calls are among the others; a slot of an api
 * that is gone is free again when somebody asks.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


typedef struct {
    ngx_http_stoa_api_count_t    *slot;
    const stoa_rec_api_t         *api;
    uint64_t                      calls;
} ngx_http_stoa_metric_api_t;


static ngx_uint_t ngx_http_stoa_metrics_api_find(
    ngx_http_stoa_main_conf_t *mcf, ngx_http_stoa_metric_api_t *all);
static void ngx_http_stoa_metrics_api_free(ngx_http_stoa_sh_t *sh,
    ngx_http_stoa_api_count_t *slot);
static void ngx_http_stoa_metrics_api_row(stoa_buf_t *b, stoa_str_t tenant,
    stoa_str_t api, const uint64_t *class);
static int ngx_libc_cdecl ngx_http_stoa_metrics_api_cmp(const void *one,
    const void *two);


void
ngx_http_stoa_metrics_apis(ngx_http_stoa_main_conf_t *mcf, ngx_uint_t max,
    stoa_buf_t *b)
{
    uint64_t                    other[NGX_HTTP_STOA_CLASSES];
    ngx_uint_t                  i, k, n;
    stoa_str_t                  none, name;
    ngx_http_stoa_metric_api_t  all[NGX_HTTP_STOA_APIS];

    n = ngx_http_stoa_metrics_api_find(mcf, all);

    ngx_qsort(all, n, sizeof(all[0]), ngx_http_stoa_metrics_api_cmp);

    for (k = 0; k < NGX_HTTP_STOA_CLASSES; k++) {
        other[k] = ngx_http_stoa_load(
                                 &mcf->sh->apis[NGX_HTTP_STOA_APIS].class[k]);
    }

    for (i = 0; i < n; i++) {

        if (i < max) {
            ngx_http_stoa_metrics_api_row(b,
                                 stoa_rec_str(all[i].api,
                                              all[i].api->tenant_name),
                                 stoa_rec_str(all[i].api, all[i].api->name),
                                 all[i].slot->class);
            continue;
        }

        for (k = 0; k < NGX_HTTP_STOA_CLASSES; k++) {
            other[k] += ngx_http_stoa_load(&all[i].slot->class[k]);
        }
    }

    none.data = "";
    none.len = 0;
    name.data = "other";
    name.len = sizeof("other") - 1;

    ngx_http_stoa_metrics_api_row(b, none, name, other);
}


/* Those that the store has; the rows are valid as long as the handler. */

static ngx_uint_t
ngx_http_stoa_metrics_api_find(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_metric_api_t *all)
{
    ngx_uint_t                  i, k, n, ready;
    ngx_http_stoa_api_count_t  *slot;

    n = 0;
    ready = ngx_http_stoa_store_enter(mcf->store) == NGX_OK;

    for (i = 0; ready && i < NGX_HTTP_STOA_APIS; i++) {
        slot = &mcf->sh->apis[i];

        if (ngx_http_stoa_load(&slot->tag) == 0
            || !stoa_id_valid(slot->id.c, STOA_ID_LEN))
        {
            continue;
        }

        all[n].slot = slot;
        all[n].api = ngx_http_stoa_store_api(mcf->store, &slot->id);

        if (all[n].api == NULL) {
            ngx_http_stoa_metrics_api_free(mcf->sh, slot);
            continue;
        }

        all[n].calls = 0;

        for (k = 0; k < NGX_HTTP_STOA_CLASSES; k++) {
            all[n].calls += ngx_http_stoa_load(&slot->class[k]);
        }

        n++;
    }

    return n;
}


/* Its calls stay counted, among the others. */

static void
ngx_http_stoa_metrics_api_free(ngx_http_stoa_sh_t *sh,
    ngx_http_stoa_api_count_t *slot)
{
    uint64_t    n;
    ngx_uint_t  k;

    for (k = 0; k < NGX_HTTP_STOA_CLASSES; k++) {
        n = __atomic_exchange_n(&slot->class[k], 0, __ATOMIC_RELAXED);
        ngx_http_stoa_add(&sh->apis[NGX_HTTP_STOA_APIS].class[k], n);
    }

    ngx_memzero(&slot->id, sizeof(stoa_id_t));
    ngx_http_stoa_store(&slot->tag, (uint64_t) 0);
}


static void
ngx_http_stoa_metrics_api_row(stoa_buf_t *b, stoa_str_t tenant,
    stoa_str_t api, const uint64_t *class)
{
    ngx_uint_t  k;

    for (k = 0; k < NGX_HTTP_STOA_CLASSES; k++) {
        stoa_buf_addf(b, "stoa_api_requests_total{tenant=\"%.*s\",api=\"%.*s\""
                      ",class=\"%uxx\"} %llu\n", (int) tenant.len,
                      tenant.data, (int) api.len, api.data,
                      (unsigned) k + 1,
                      (unsigned long long) ngx_http_stoa_load(&class[k]));
    }
}


static int ngx_libc_cdecl
ngx_http_stoa_metrics_api_cmp(const void *one, const void *two)
{
    const ngx_http_stoa_metric_api_t  *a = one, *b = two;

    return a->calls == b->calls ? 0 : a->calls < b->calls ? 1 : -1;
}
