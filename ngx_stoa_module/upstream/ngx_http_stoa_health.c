/*
 * Checks of targets: one worker asks, all see what it found (a place in the
 * zone for each address).
 *
 * Each tick looks whether the configuration is another one, and which
 * addresses are due; who takes the turn in the zone asks, so that two
 * generations of workers do not ask twice.  A probe goes to one address, over
 * a connection of its own, with the Host, TLS and certificate of calls, and
 * without a credential.
 *
 * Process: worker 0.  Limits: NGX_HTTP_STOA_HEALTH_APIS apis.
 */

#include "ngx_http_stoa_health.h"


#define NGX_HTTP_STOA_HEALTH_APIS   1024
#define NGX_HTTP_STOA_HEALTH_TICK   50          /* ms                        */
#define NGX_HTTP_STOA_HEALTH_IDLE   500         /* without such apis         */


/* An api whose targets are checked. */

typedef struct {
    ngx_queue_t                queue;           /* by id                     */
    ngx_http_stoa_api_t       *api;             /* held                      */
    ngx_pool_t                *pool;
    ngx_http_stoa_resolve_t    resolve;
    unsigned                   seen:1;
} ngx_http_stoa_health_api_t;


static void ngx_http_stoa_health_tick(ngx_event_t *ev);
static void ngx_http_stoa_health_read(ngx_http_stoa_main_conf_t *mcf);
static ngx_int_t ngx_http_stoa_health_add(void *data, const void *rec);
static ngx_int_t ngx_http_stoa_health_keep(ngx_queue_t *q,
    ngx_http_stoa_api_t *api);
static void ngx_http_stoa_health_drop(ngx_http_stoa_health_api_t *ha,
    ngx_http_stoa_api_t *now);
static ngx_uint_t ngx_http_stoa_health_same(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *one);
static void ngx_http_stoa_health_look(ngx_http_stoa_health_api_t *ha);
static ngx_uint_t ngx_http_stoa_health_due(ngx_http_stoa_place_t *place,
    const stoa_rec_health_t *health);
static void ngx_http_stoa_health_resolved(void *data);


/* Of this worker. */

static ngx_queue_t       ngx_http_stoa_health_apis;
static ngx_uint_t        ngx_http_stoa_health_n;
static ngx_uint_t        ngx_http_stoa_health_over;     /* there are more    */
static uint64_t          ngx_http_stoa_health_generation;
static ngx_event_t       ngx_http_stoa_health_timer;
static ngx_connection_t  ngx_http_stoa_health_nobody;   /* for debug logs    */


void
ngx_http_stoa_health_start(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_event_t  *ev;

    ngx_queue_init(&ngx_http_stoa_health_apis);

    ngx_http_stoa_health_nobody.fd = (ngx_socket_t) -1;

    ev = &ngx_http_stoa_health_timer;
    ev->handler = ngx_http_stoa_health_tick;
    ev->data = &ngx_http_stoa_health_nobody;
    ev->log = log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_STOA_HEALTH_TICK);
}


/* Places stay: the next generation of workers goes on with them. */

void
ngx_http_stoa_health_exit(void)
{
    ngx_queue_t                 *q;
    ngx_http_stoa_health_api_t  *ha;

    while (ngx_http_stoa_health_n) {
        q = ngx_queue_head(&ngx_http_stoa_health_apis);
        ha = ngx_queue_data(q, ngx_http_stoa_health_api_t, queue);
        ngx_http_stoa_health_drop(ha, ha->api);
    }
}


static void
ngx_http_stoa_health_tick(ngx_event_t *ev)
{
    ngx_queue_t                *q;
    ngx_http_stoa_main_conf_t  *mcf;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);

    if (ngx_http_stoa_store_enter(mcf->store) == NGX_OK
        && ngx_http_stoa_store_generation(mcf->store)
           != ngx_http_stoa_health_generation)
    {
        ngx_http_stoa_health_read(mcf);
    }

    for (q = ngx_queue_head(&ngx_http_stoa_health_apis);
         q != ngx_queue_sentinel(&ngx_http_stoa_health_apis);
         q = ngx_queue_next(q))
    {
        ngx_http_stoa_health_look(ngx_queue_data(q, ngx_http_stoa_health_api_t,
                                                 queue));
    }

    ngx_add_timer(ev, ngx_http_stoa_health_n ? NGX_HTTP_STOA_HEALTH_TICK
                                             : NGX_HTTP_STOA_HEALTH_IDLE);
}


/* ---- which apis -------------------------------------------------------- */

static void
ngx_http_stoa_health_read(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_queue_t                 *q, *next;
    ngx_http_stoa_health_api_t  *ha;

    ngx_http_stoa_health_generation
                                = ngx_http_stoa_store_generation(mcf->store);
    ngx_http_stoa_health_over = 0;

    (void) ngx_http_stoa_store_each_checked(mcf->store,
                                            ngx_http_stoa_health_add, mcf);

    for (q = ngx_queue_head(&ngx_http_stoa_health_apis);
         q != ngx_queue_sentinel(&ngx_http_stoa_health_apis);
         q = next)
    {
        next = ngx_queue_next(q);
        ha = ngx_queue_data(q, ngx_http_stoa_health_api_t, queue);

        if (!ha->seen) {
            ngx_http_stoa_health_drop(ha, NULL);
        }

        ha->seen = 0;
    }

    if (ngx_http_stoa_health_over == 0) {
        return;
    }

    if (ngx_http_stoa_health_n < NGX_HTTP_STOA_HEALTH_APIS) {
        ngx_http_stoa_health_generation = 0;    /* some left: who takes it?  */
        return;
    }

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "stoa: only %d apis have their targets checked",
                  NGX_HTTP_STOA_HEALTH_APIS);
}


/* Apis come by their ids, and so they are kept.  Where there are too many,
 * those that are checked stay. */

static ngx_int_t
ngx_http_stoa_health_add(void *data, const void *rec)
{
    ngx_http_stoa_main_conf_t *mcf = data;

    ngx_queue_t                 *q;
    ngx_http_stoa_api_t         *api;
    const stoa_rec_api_t        *row = rec;
    ngx_http_stoa_health_api_t  *ha;

    ha = NULL;

    for (q = ngx_queue_last(&ngx_http_stoa_health_apis);
         q != ngx_queue_sentinel(&ngx_http_stoa_health_apis);
         q = ngx_queue_prev(q))
    {
        ha = ngx_queue_data(q, ngx_http_stoa_health_api_t, queue);

        if (ngx_memcmp(&ha->api->id, &row->id, sizeof(stoa_id_t)) <= 0) {
            break;
        }

        ha = NULL;
    }

    if (ha && ngx_memcmp(&ha->api->id, &row->id, sizeof(stoa_id_t)) != 0) {
        ha = NULL;
    }

    if (ha && ha->api->rev == row->hdr.rev) {
        ha->seen = 1;
        return NGX_OK;
    }

    if (ha == NULL && ngx_http_stoa_health_n >= NGX_HTTP_STOA_HEALTH_APIS) {
        ngx_http_stoa_health_over = 1;
        return NGX_OK;
    }

    api = ngx_http_stoa_api_find(mcf, row);

    if (api && ngx_http_stoa_health_keep(q, api) == NGX_OK && ha) {
        ngx_http_stoa_health_drop(ha, api);
    }

    return NGX_OK;
}


/* Behind q. */

static ngx_int_t
ngx_http_stoa_health_keep(ngx_queue_t *q, ngx_http_stoa_api_t *api)
{
    ngx_pool_t                  *pool;
    ngx_http_conf_ctx_t         *http;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_stoa_health_api_t  *ha;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ha = ngx_pcalloc(pool, sizeof(ngx_http_stoa_health_api_t));
    if (ha == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    http = (ngx_http_conf_ctx_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                                ngx_http_module);
    clcf = http->loc_conf[ngx_http_core_module.ctx_index];

    ha->api = api;
    ha->pool = pool;
    ha->seen = 1;

    ha->resolve.api = api;
    ha->resolve.pool = pool;
    ha->resolve.log = ngx_cycle->log;
    ha->resolve.done = ngx_http_stoa_health_resolved;
    ha->resolve.via.resolver = clcf->resolver;
    ha->resolve.via.resolver_timeout = clcf->resolver_timeout;

    ngx_http_stoa_api_hold(api);
    ngx_queue_insert_after(q, &ha->queue);
    ngx_http_stoa_health_n++;

    return NGX_OK;
}


/* The next tick looks. */

static void
ngx_http_stoa_health_resolved(void *data)
{
}


/* now: what it is now; NULL: it is no more.  What is known of a target that
 * is no more is forgotten. */

static void
ngx_http_stoa_health_drop(ngx_http_stoa_health_api_t *ha,
    ngx_http_stoa_api_t *now)
{
    ngx_uint_t                  i, a;
    ngx_http_stoa_api_t        *api;
    ngx_http_stoa_target_t     *target;
    ngx_http_stoa_main_conf_t  *mcf;

    api = ha->api;
    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);

    for (i = 0; i < api->ntargets; i++) {
        target = &api->targets[i];

        for (a = 0; a < target->naddrs; a++) {
            if (target->addrs[a].tag
                && !ngx_http_stoa_health_same(now, target))
            {
                ngx_http_stoa_place_free(mcf->sh, target->addrs[a].tag);
            }
        }
    }

    ngx_queue_remove(&ha->queue);
    ngx_http_stoa_health_n--;

    ngx_http_stoa_resolve_cancel(&ha->resolve);
    ngx_http_stoa_api_release(api);
    ngx_destroy_pool(ha->pool);
}


static ngx_uint_t
ngx_http_stoa_health_same(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *one)
{
    ngx_uint_t               i;
    ngx_http_stoa_target_t  *target;

    for (i = 0; api && i < api->ntargets; i++) {
        target = &api->targets[i];

        if (target->port == one->port && target->secure == one->secure
            && target->host.len == one->host.len
            && target->path.len == one->path.len
            && ngx_memcmp(target->host.data, one->host.data, one->host.len)
               == 0
            && ngx_memcmp(target->path.data, one->path.data, one->path.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* ---- which addresses, and when ----------------------------------------- */

static void
ngx_http_stoa_health_look(ngx_http_stoa_health_api_t *ha)
{
    ngx_uint_t               i, a;
    ngx_http_stoa_api_t     *api;
    ngx_http_stoa_place_t   *place;
    ngx_http_stoa_target_t  *target;

    api = ha->api;

    if (ngx_http_stoa_resolve_api(&ha->resolve) != NGX_OK) {
        return;
    }

    for (i = 0; i < api->ntargets; i++) {
        target = &api->targets[i];

        for (a = 0; a < target->naddrs; a++) {
            place = ngx_http_stoa_target_place(api, target,
                                               &target->addrs[a]);

            if (place && ngx_http_stoa_probe_free()
                && ngx_http_stoa_health_due(place, api->health))
            {
                ngx_http_stoa_probe(api, target, &target->addrs[a]);
            }
        }
    }
}


/* Who takes the turn makes the check.  A clock that was set back makes nobody
 * wait. */

static ngx_uint_t
ngx_http_stoa_health_due(ngx_http_stoa_place_t *place,
    const stoa_rec_health_t *health)
{
    uint64_t  now, due, next;

    now = ngx_http_stoa_wall_ms();
    due = ngx_http_stoa_load(&place->health_due_ms);

    if (due > now && due <= now + 2 * (uint64_t) health->interval_ms) {
        return 0;
    }

    next = now + health->interval_ms - health->interval_ms / 10
           + (uint64_t) ngx_random() % (health->interval_ms / 5 + 1);

    if (due == 0) {
        next = now + (uint64_t) ngx_random() % health->interval_ms % 500;
    }

    return ngx_http_stoa_cas(&place->health_due_ms, &due, next) && due != 0;
}
