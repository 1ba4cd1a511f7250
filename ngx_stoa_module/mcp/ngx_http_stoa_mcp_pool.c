/*
 * Pools of sessions without a client session, and how many sessions may be
 * open at an api and of one application there.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_mcp_block.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_MCP_ROOM_SEEN  16      /* that are compared, at least  */
#define NGX_HTTP_STOA_MCP_ROOM_IDLE  30000   /* ms; what is used is no room  */


static ngx_int_t ngx_http_stoa_mcp_room_make(uint64_t key, ngx_uint_t which,
    uint64_t tag, ngx_msec_t idle);


/* ---- pools ------------------------------------------------------------- */

void
ngx_http_stoa_mcp_map_pool(const u_char *who, size_t len,
    const stoa_id_t *api, ngx_http_stoa_mcp_pool_t *pool)
{
    uint64_t  h[2];

    stoa_siphash(who, len, ngx_http_stoa_mcp_map->secret, h);

    pool->key = h[0];
    pool->owner = h[1] | 1;
    pool->api = *api;
}


static uint64_t
ngx_http_stoa_mcp_pool_key(const ngx_http_stoa_mcp_pool_t *pool, ngx_uint_t i)
{
    return (pool->key & ~(uint64_t) (2 * NGX_HTTP_STOA_MCP_POOL - 1))
           | i << 1 | 1;
}


static ngx_uint_t
ngx_http_stoa_mcp_pool_has(const ngx_http_stoa_mcp_pool_t *pool,
    const ngx_http_stoa_mcp_entry_t *e)
{
    return e->owner == pool->owner
           && ngx_memcmp(&e->api, &pool->api, STOA_ID_LEN) == 0;
}


ngx_int_t
ngx_http_stoa_mcp_map_take(const ngx_http_stoa_mcp_pool_t *pool,
    ngx_http_stoa_mcp_upstream_t *out)
{
    uint64_t                    key, best, last;
    ngx_int_t                   rc;
    ngx_uint_t                  i, tries;
    ngx_http_stoa_mcp_set_t    *set;
    ngx_http_stoa_mcp_entry_t  *e;

    /* another one may be quicker */

    for (tries = 0; tries < NGX_HTTP_STOA_MCP_POOL; tries++) {
        best = 0;
        last = 0;

        for (i = 0; i < NGX_HTTP_STOA_MCP_POOL; i++) {
            key = ngx_http_stoa_mcp_pool_key(pool, i);
            set = ngx_http_stoa_mcp_set_lock(key);
            e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);

            if (e && e->used > last && ngx_http_stoa_mcp_pool_has(pool, e)) {
                last = e->used;
                best = key;
            }

            ngx_http_stoa_lock_drop(&set->lock);
        }

        if (best == 0) {
            return NGX_DECLINED;
        }

        set = ngx_http_stoa_mcp_set_lock(best);
        e = ngx_http_stoa_mcp_entry_of(set, best, 0, NULL);
        rc = NGX_DECLINED;

        if (e && ngx_http_stoa_mcp_pool_has(pool, e)) {
            rc = e->deadline == 0
                 ? ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map, best, e,
                                               out)
                 : NGX_DECLINED;

            for (i = 0; set->key[i] != best; i++) { /* void */ }

            ngx_http_stoa_mcp_entry_clear(set, i);
        }

        ngx_http_stoa_lock_drop(&set->lock);

        if (rc == NGX_OK) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_stoa_mcp_map_give(const ngx_http_stoa_mcp_pool_t *pool,
    const ngx_http_stoa_mcp_upstream_t *up)
{
    uint64_t                    key;
    ngx_uint_t                  i;
    ngx_http_stoa_mcp_set_t    *set;
    ngx_http_stoa_mcp_entry_t  *e;

    for (i = 0; i < NGX_HTTP_STOA_MCP_POOL; i++) {
        key = ngx_http_stoa_mcp_pool_key(pool, i);
        set = ngx_http_stoa_mcp_set_lock(key);
        e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);
        ngx_http_stoa_lock_drop(&set->lock);

        if (e == NULL) {
            ngx_http_stoa_mcp_put(key, up, pool->owner);
            return;
        }
    }

    ngx_http_stoa_mcp_map_leaves(up);
}


/* ---- room --------------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_upstream_room(const ngx_http_stoa_mcp_sessions_t *most,
    uint64_t key)
{
    uint64_t                    tag[NGX_HTTP_STOA_MCP_COUNTED], busy;
    ngx_uint_t                  i, n[NGX_HTTP_STOA_MCP_COUNTED];
    ngx_msec_t                  idle;
    ngx_http_stoa_mcp_set_t    *set;
    ngx_http_stoa_mcp_entry_t  *e;

    n[0] = most->api;
    n[1] = most->application;
    idle = ngx_min(most->idle / 2, NGX_HTTP_STOA_MCP_ROOM_IDLE);
    ngx_memzero(tag, sizeof(tag));

    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);

    if (e) {
        ngx_memcpy(tag, e->tag, sizeof(tag));
    }

    ngx_http_stoa_lock_drop(&set->lock);

    for (i = 0; i < NGX_HTTP_STOA_MCP_COUNTED; i++) {
        busy = 0;

        if (tag[i]
            && ngx_http_stoa_mcp_counted(ngx_http_stoa_mcp_map, tag[i], &busy)
               > n[i]
            && (busy > ngx_http_stoa_wall_ms()
                || ngx_http_stoa_mcp_room_make(key, i, tag[i], idle)
                   != NGX_OK))
        {
            return NGX_BUSY;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_mcp_room_is(const ngx_http_stoa_mcp_entry_t *e,
    ngx_uint_t which, uint64_t tag)
{
    return e->tag[which] == tag && e->deadline == 0;
}


/* The one of some that was idle longest is ended.  Where they are few all are
 * looked at, but not again before one of them can be idle. */

static ngx_int_t
ngx_http_stoa_mcp_room_make(uint64_t key, ngx_uint_t which, uint64_t tag,
    ngx_msec_t idle)
{
    uint64_t                       i, first, oldest;
    ngx_int_t                      rc;
    ngx_uint_t                     k, at, seen;
    ngx_http_stoa_mcp_map_t       *m;
    ngx_http_stoa_mcp_set_t       *set, *found;
    ngx_http_stoa_mcp_entry_t     *e;
    ngx_http_stoa_mcp_upstream_t   up;

    m = ngx_http_stoa_mcp_map;
    oldest = UINT64_MAX;
    found = NULL;
    at = 0;
    seen = 0;
    first = __atomic_fetch_add(&m->hand, NGX_HTTP_STOA_MCP_ROOM_SEEN,
                               __ATOMIC_RELAXED);

    for (i = 0; i < m->nsets; i++) {

        if (seen >= NGX_HTTP_STOA_MCP_ROOM_SEEN
            && oldest + idle <= ngx_http_stoa_wall_ms())
        {
            break;
        }

        set = ngx_http_stoa_mcp_map_set(first + i);

        for (k = 0; k < NGX_HTTP_STOA_MCP_WAYS; k++) {
            e = ngx_http_stoa_mcp_entry(set, k);

            if (set->key[k] && set->key[k] != key
                && ngx_http_stoa_mcp_room_is(e, which, tag))
            {
                seen++;

                if (e->used < oldest) {
                    oldest = e->used;
                    found = set;
                    at = k;
                }
            }
        }
    }

    if (found == NULL || oldest + idle > ngx_http_stoa_wall_ms()) {
        oldest = ngx_min(oldest, ngx_http_stoa_wall_ms()) + idle;
        (void) ngx_http_stoa_mcp_counted(m, tag, &oldest);
        return NGX_BUSY;
    }

    /* it may have been used, or ended, meanwhile */

    rc = NGX_DECLINED;
    ngx_http_stoa_lock_take(&found->lock);
    e = ngx_http_stoa_mcp_entry(found, at);

    if (ngx_http_stoa_mcp_room_is(e, which, tag) && e->used == oldest) {
        rc = ngx_http_stoa_mcp_entry_take(found, at, &up);
    }

    ngx_http_stoa_lock_drop(&found->lock);

    if (rc == NGX_OK) {
        ngx_http_stoa_mcp_map_leaves(&up);
    }

    return NGX_OK;
}
