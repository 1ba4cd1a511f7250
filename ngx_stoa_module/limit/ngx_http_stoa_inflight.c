/*
 * Concurrency: how many requests of a key are in flight on this node.
 *
 * A slot has a column per process, which only that process changes; the count
 * is their sum, taken under the lock of the slot's set.  So a count is exact,
 * and what a killed process held disappears with its column.
 */

#include "ngx_http_stoa_limits.h"
#include "core/stoa_key.h"


typedef struct {
    uint64_t  tag;
    uint16_t  held[1];               /* nprocs                               */
} ngx_http_stoa_fly_t;


static u_char *ngx_http_stoa_fly_set(ngx_http_stoa_sh_t *sh, uint64_t set);
static ngx_http_stoa_fly_t *ngx_http_stoa_fly_slot(ngx_http_stoa_sh_t *sh,
    uint64_t set, ngx_uint_t way);
static uint64_t ngx_http_stoa_fly_count(ngx_http_stoa_sh_t *sh,
    ngx_http_stoa_fly_t *slot);
static ngx_int_t ngx_http_stoa_fly_take(ngx_http_stoa_sh_t *sh, uint64_t set,
    uint64_t tag, uint32_t limit, void **handle);


/* NGX_OK; NGX_BUSY: the limit is reached; NGX_ERROR: no slot. */

ngx_int_t
ngx_http_stoa_inflight_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    uint32_t limit, void **handle)
{
    uint64_t             h, set, *lock;
    ngx_int_t            rc;
    ngx_http_stoa_sh_t  *sh;

    sh = mcf->sh;
    *handle = NULL;

    h = stoa_hash64(&key, sizeof(key), sh->started_ms + 1);
    set = h & (sh->fly_sets - 1);

    lock = (uint64_t *) ngx_http_stoa_fly_set(sh, set);

    ngx_http_stoa_lock_take(lock);
    rc = ngx_http_stoa_fly_take(sh, set, key ? key : 1, limit, handle);
    ngx_http_stoa_lock_drop(lock);

    if (rc == NGX_ERROR) {
        ngx_http_stoa_count(fly_full, 1);
        return mcf->zone_full_deny ? NGX_ERROR : NGX_OK;
    }

    return rc;
}


ngx_int_t
ngx_http_stoa_inflight_look(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    ngx_http_stoa_verdict_t *v)
{
    uint64_t              h, set, n, *lock;
    ngx_uint_t            i;
    ngx_http_stoa_sh_t   *sh;
    ngx_http_stoa_fly_t  *slot;

    sh = mcf->sh;
    n = 0;
    h = stoa_hash64(&key, sizeof(key), sh->started_ms + 1);
    set = h & (sh->fly_sets - 1);
    lock = (uint64_t *) ngx_http_stoa_fly_set(sh, set);

    ngx_http_stoa_lock_take(lock);

    for (i = 0; i < NGX_HTTP_STOA_FLY_WAYS; i++) {
        slot = ngx_http_stoa_fly_slot(sh, set, i);

        if (slot->tag == (key ? key : 1)) {
            n = ngx_http_stoa_fly_count(sh, slot);
            break;
        }
    }

    ngx_http_stoa_lock_drop(lock);

    if (n >= v->limit) {
        return NGX_BUSY;
    }

    v->remaining = v->limit - n - 1;

    return NGX_OK;
}


/* A handle of NULL was acquired when the zone was full and allowed it. */

void
ngx_http_stoa_inflight_return(ngx_http_stoa_main_conf_t *mcf, void *handle)
{
    uint16_t             *held, n;
    ngx_http_stoa_fly_t  *slot;

    slot = handle;

    if (slot == NULL) {
        return;
    }

    held = &slot->held[ngx_http_stoa_proc_index()];
    n = __atomic_load_n(held, __ATOMIC_ACQUIRE);

    /* never below 0: that would be 65535 in flight for ever */

    while (n) {
        if (__atomic_compare_exchange_n(held, &n, n - 1, 0, __ATOMIC_RELEASE,
                                        __ATOMIC_ACQUIRE))
        {
            ngx_http_stoa_count(in_flight, (uint64_t) -1);
            return;
        }
    }
}


static ngx_int_t
ngx_http_stoa_fly_take(ngx_http_stoa_sh_t *sh, uint64_t set, uint64_t tag,
    uint32_t limit, void **handle)
{
    uint64_t              count;
    uint16_t             *held;
    ngx_uint_t            i;
    ngx_http_stoa_fly_t  *slot, *spare, *found;

    found = NULL;
    spare = NULL;

    for (i = 0; i < NGX_HTTP_STOA_FLY_WAYS; i++) {
        slot = ngx_http_stoa_fly_slot(sh, set, i);

        if (slot->tag == tag) {
            found = slot;
            break;
        }

        if (spare == NULL && ngx_http_stoa_fly_count(sh, slot) == 0) {
            spare = slot;
        }
    }

    if (found == NULL) {

        if (spare == NULL) {
            return NGX_ERROR;
        }

        found = spare;
        found->tag = tag;
    }

    count = ngx_http_stoa_fly_count(sh, found);
    held = &found->held[ngx_http_stoa_proc_index()];

    if (count >= limit || *held == UINT16_MAX) {
        return NGX_BUSY;
    }

    (void) __atomic_fetch_add(held, 1, __ATOMIC_RELEASE);
    ngx_http_stoa_count(in_flight, 1);
    *handle = found;

    return NGX_OK;
}


static u_char *
ngx_http_stoa_fly_set(ngx_http_stoa_sh_t *sh, uint64_t set)
{
    return (u_char *) sh + sh->fly_off
           + set * (sizeof(uint64_t)
                    + NGX_HTTP_STOA_FLY_WAYS * sh->fly_slot_size);
}


static ngx_http_stoa_fly_t *
ngx_http_stoa_fly_slot(ngx_http_stoa_sh_t *sh, uint64_t set, ngx_uint_t way)
{
    return (ngx_http_stoa_fly_t *) (ngx_http_stoa_fly_set(sh, set)
                                    + sizeof(uint64_t)
                                    + way * sh->fly_slot_size);
}


static uint64_t
ngx_http_stoa_fly_count(ngx_http_stoa_sh_t *sh, ngx_http_stoa_fly_t *slot)
{
    uint64_t    count;
    ngx_uint_t  i;

    count = 0;

    for (i = 0; i < sh->nprocs; i++) {
        count += __atomic_load_n(&slot->held[i], __ATOMIC_ACQUIRE);
    }

    return count;
}


void
ngx_http_stoa_inflight_drop(ngx_http_stoa_sh_t *sh, ngx_uint_t proc)
{
    uint64_t              set;
    ngx_uint_t            i;
    ngx_http_stoa_fly_t  *slot;

    ngx_http_stoa_store(&sh->procs[proc].in_flight, (uint64_t) 0);
    ngx_http_stoa_store(&sh->procs[proc].tunnels_ended,
                        sh->procs[proc].tunnels);

    for (set = 0; set < sh->fly_sets; set++) {
        for (i = 0; i < NGX_HTTP_STOA_FLY_WAYS; i++) {
            slot = ngx_http_stoa_fly_slot(sh, set, i);
            __atomic_store_n(&slot->held[proc], 0, __ATOMIC_RELEASE);
        }
    }
}


void
ngx_http_stoa_inflight_fill(ngx_http_stoa_sh_t *sh, ngx_http_stoa_fill_t *fill)
{
    uint64_t              set, step;
    ngx_uint_t            i;
    ngx_http_stoa_fly_t  *slot;

    fill->slots = sh->fly_sets * NGX_HTTP_STOA_FLY_WAYS;
    fill->used = 0;
    step = 1 + (sh->fly_sets - 1) / NGX_HTTP_STOA_FILL_SETS;

    for (set = 0; set < sh->fly_sets; set += step) {
        for (i = 0; i < NGX_HTTP_STOA_FLY_WAYS; i++) {
            slot = ngx_http_stoa_fly_slot(sh, set, i);
            fill->used += slot->tag && ngx_http_stoa_fly_count(sh, slot) != 0;
        }
    }

    fill->used *= step;
}
