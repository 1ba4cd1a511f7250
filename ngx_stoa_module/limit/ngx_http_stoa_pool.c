/*
 * The file of the pools: its life, finding one.
 */

#include "ngx_http_stoa_pool.h"
#include "ngx_http_stoa_file.h"
#include "ngx_http_stoa_counters.h"
#include "core/stoa_key.h"

#include <sys/mman.h>
#include <openssl/rand.h>


#define POOL_MAGIC   0x53544f4c45415332ULL
#define POOL_OFF     16384
#define POOL_IDLE    3600000                    /* then another may have it, */
#define POOL_REST    10000                      /* one of a rate sooner      */

_Static_assert(sizeof(ngx_http_stoa_pools_t) <= POOL_OFF, "the head fits");


static uint64_t ngx_http_stoa_pool_size(uint64_t sets);
static ngx_uint_t ngx_http_stoa_pool_fits(ngx_fd_t fd, uint64_t size);
static void ngx_http_stoa_pool_boot(char *boot);
static void ngx_http_stoa_pool_void(ngx_http_stoa_pools_t *head);
static ngx_http_stoa_pool_t *ngx_http_stoa_pool_claim(uint64_t tag,
    uint64_t now, ngx_uint_t ways);
static ngx_uint_t ngx_http_stoa_pool_over(ngx_http_stoa_pool_t *pool,
    uint64_t now);
static ngx_http_stoa_pool_t *ngx_http_stoa_pool_set(uint64_t tag,
    ngx_uint_t which);


static ngx_http_stoa_pools_t      *ngx_http_stoa_pools;
static ngx_http_stoa_pool_t       *ngx_http_stoa_pool;
static uint64_t                   *ngx_http_stoa_pool_bits;
static ngx_http_stoa_main_conf_t  *ngx_http_stoa_pool_conf;


/* Behind the head the pools, behind them a bit for each. */

static uint64_t
ngx_http_stoa_pool_size(uint64_t sets)
{
    return POOL_OFF + sets * NGX_HTTP_STOA_POOL_WAYS
                      * sizeof(ngx_http_stoa_pool_t)
           + ngx_align(sets * NGX_HTTP_STOA_POOL_WAYS / 8 + 8, 4096);
}


ngx_int_t
ngx_http_stoa_pool_create(ngx_http_stoa_main_conf_t *mcf)
{
    char                   *path;
    uint64_t                sets;
    uint8_t                 id[16];
    ngx_fd_t                fd;
    ngx_uint_t              fits;
    ngx_core_conf_t        *ccf;
    ngx_http_stoa_pools_t  *head;

    path = ngx_http_stoa_file_path(mcf, mcf->cycle->pool, "leases");
    head = ngx_pcalloc(mcf->cycle->pool, sizeof(ngx_http_stoa_pools_t));

    if (path == NULL || head == NULL) {
        return NGX_ERROR;
    }

    sets = mcf->redis->pools / NGX_HTTP_STOA_POOL_WAYS;
    fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (fd != -1) {
        fits = ngx_http_stoa_pool_fits(fd, ngx_http_stoa_pool_size(sets));
        (void) close(fd);

        if (fits) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_WARN, mcf->cycle->log, 0, "\"%s\" is of another "
                      "size or version: what was leased from Redis and not "
                      "used is lost", path);
    }

    if (RAND_bytes(id, sizeof(id)) != 1) {
        return NGX_ERROR;
    }

    head->magic = POOL_MAGIC;
    head->sets = sets;
    head->size = ngx_http_stoa_pool_size(sets);
    stoa_hex_encode(id, sizeof(id), head->node);
    ngx_http_stoa_pool_boot(head->boot);

    ccf = (ngx_core_conf_t *) ngx_get_conf(mcf->cycle->conf_ctx,
                                           ngx_core_module);

    return ngx_http_stoa_file_make(path, head->size, head,
                                   sizeof(ngx_http_stoa_pools_t), ccf->user,
                                   mcf->cycle->log);
}


/* size 0: any. */

static ngx_uint_t
ngx_http_stoa_pool_fits(ngx_fd_t fd, uint64_t size)
{
    struct stat  st;
    uint64_t     h[3];

    return fstat(fd, &st) == 0
           && pread(fd, h, sizeof(h), 0) == (ssize_t) sizeof(h)
           && h[0] == POOL_MAGIC && (size == 0 || h[1] == size)
           && h[1] == ngx_http_stoa_pool_size(h[2])
           && h[1] == (uint64_t) st.st_size;
}


static void
ngx_http_stoa_pool_boot(char *boot)
{
    ssize_t   n;
    ngx_fd_t  fd;

    n = -1;
    fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY|O_CLOEXEC);

    if (fd != -1) {
        n = read(fd, boot, 36);
        (void) close(fd);
    }

    boot[n > 0 ? n : 0] = '\0';
}


ngx_int_t
ngx_http_stoa_pool_open(ngx_http_stoa_main_conf_t *mcf, ngx_cycle_t *cycle)
{
    void  *p;

    p = ngx_http_stoa_file_map(mcf, cycle, "leases", ngx_http_stoa_pool_fits);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_stoa_pool_conf = mcf;
    ngx_http_stoa_pools = p;
    ngx_http_stoa_pool = (ngx_http_stoa_pool_t *) ((u_char *) p + POOL_OFF);
    ngx_http_stoa_pool_bits = (uint64_t *)
        (ngx_http_stoa_pool
         + ngx_http_stoa_pools->sets * NGX_HTTP_STOA_POOL_WAYS);

    ngx_http_stoa_pool_void(ngx_http_stoa_pools);

    return NGX_OK;
}


static void
ngx_http_stoa_pool_void(ngx_http_stoa_pools_t *head)
{
    char                   boot[sizeof(head->boot)];
    uint64_t               i;
    ngx_http_stoa_pool_t  *pool;

    ngx_memzero(boot, sizeof(boot));
    ngx_http_stoa_pool_boot(boot);

    ngx_http_stoa_lock_take(&head->voided);

    if (ngx_strcmp(boot, head->boot) != 0) {

        for (i = 0; i < head->sets * NGX_HTTP_STOA_POOL_WAYS; i++) {
            pool = &ngx_http_stoa_pool[i];

            pool->word = 0;
            pool->none = 0;
            pool->ask = 0;
            pool->ep++;
            pool->seq = 0;
            pool->applied = 0;
            pool->used_ms = 0;
            pool->seen_ms = 0;
            pool->contact_ms = 0;
            pool->share = 0;
            pool->cum = pool->which == 0 ? 0 : pool->cum;
        }

        ngx_memcpy(head->boot, boot, sizeof(boot));
    }

    ngx_http_stoa_lock_drop(&head->voided);
}


void
ngx_http_stoa_pool_close(void)
{
    if (ngx_http_stoa_pools) {
        (void) munmap(ngx_http_stoa_pools, ngx_http_stoa_pools->size);
        ngx_http_stoa_pools = NULL;
    }
}


ngx_http_stoa_pools_t *
ngx_http_stoa_pool_head(void)
{
    return ngx_http_stoa_pools;
}


static ngx_http_stoa_pool_t *
ngx_http_stoa_pool_set(uint64_t tag, ngx_uint_t which)
{
    uint64_t  h;

    h = which ? tag >> 32 : tag & 0xffffffff;

    return ngx_http_stoa_pool
           + h % ngx_http_stoa_pools->sets * NGX_HTTP_STOA_POOL_WAYS;
}


ngx_http_stoa_pool_t *
ngx_http_stoa_pool_find(uint64_t tag)
{
    ngx_uint_t             s, i;
    ngx_http_stoa_pool_t  *pool;

    for (s = 0; s < 2; s++) {
        pool = ngx_http_stoa_pool_set(tag, s);

        for (i = 0; i < NGX_HTTP_STOA_POOL_WAYS; i++) {
            if (ngx_http_stoa_load(&pool[i].tag) == tag) {
                return &pool[i];
            }
        }
    }

    return NULL;
}


ngx_http_stoa_pool_t *
ngx_http_stoa_pool_get(uint64_t tag, uint64_t now, ngx_uint_t ways)
{
    ngx_http_stoa_pool_t  *pool;

    pool = ngx_http_stoa_pool_find(tag);

    if (pool == NULL) {
        ngx_http_stoa_lock_take(&ngx_http_stoa_pool_conf->dir->quota_lock);
        pool = ngx_http_stoa_pool_claim(tag, now, ways);
        ngx_http_stoa_lock_drop(&ngx_http_stoa_pool_conf->dir->quota_lock);
    }

    return pool;
}


/* Under the lock.  The ep of one that is given away goes on. */

static ngx_http_stoa_pool_t *
ngx_http_stoa_pool_claim(uint64_t tag, uint64_t now, ngx_uint_t ways)
{
    uint64_t               ep;
    ngx_uint_t             s, i;
    ngx_http_stoa_pool_t  *pool, *found;

    found = NULL;

    for (s = 0; s < 2; s++) {
        pool = ngx_http_stoa_pool_set(tag, s);

        for (i = 0; i < NGX_HTTP_STOA_POOL_WAYS; i++) {

            if (pool[i].tag == tag) {
                return &pool[i];
            }

            if (found == NULL && i < ways
                && (pool[i].tag == 0
                    || ngx_http_stoa_pool_over(&pool[i], now)))
            {
                found = &pool[i];
            }
        }
    }

    if (found) {
        ep = found->ep;
        ngx_http_stoa_store(&found->tag, (uint64_t) 0);
        ngx_memzero(&found->word, sizeof(ngx_http_stoa_pool_t)
                                  - sizeof(uint64_t));
        found->ep = ep + 1;
        found->used_ms = now;
        ngx_http_stoa_store(&found->tag, tag);
    }

    return found;
}


/* Idle, without tokens, and knows nothing of a period that goes on.  A rate is
 * as if it had never been when it has refilled. */

static ngx_uint_t
ngx_http_stoa_pool_over(ngx_http_stoa_pool_t *pool, uint64_t now)
{
    uint64_t  idle;

    idle = POOL_IDLE;

    if (pool->which == NGX_HTTP_STOA_LIMIT_RATE) {
        idle = ngx_max(POOL_REST, pool->limit * pool->interval_ns / 1000000);
    }

    return pool->used_ms + idle < now && stoa_lease_tokens(pool->word) == 0
           && pool->owed == 0 && pool->pe < (int64_t) ngx_http_stoa_wall_ms();
}


ngx_uint_t
ngx_http_stoa_pool_zone(ngx_str_t *name)
{
    char        *zone;
    ngx_uint_t   i;

    if (name->len == 0 || name->len > STOA_ZONE_NAME) {
        return 0;
    }

    ngx_http_stoa_lock_take(&ngx_http_stoa_pools->voided);

    for (i = 1; i < NGX_HTTP_STOA_POOL_ZONES; i++) {
        zone = ngx_http_stoa_pools->zones[i];

        if (zone[0] == '\0') {
            ngx_memcpy(zone, name->data, name->len);
        }

        if (strlen(zone) == name->len
            && ngx_memcmp(zone, name->data, name->len) == 0)
        {
            break;
        }
    }

    ngx_http_stoa_lock_drop(&ngx_http_stoa_pools->voided);

    return i % NGX_HTTP_STOA_POOL_ZONES;
}


void
ngx_http_stoa_pool_mark(ngx_http_stoa_pool_t *pool)
{
    uint64_t  i, bit;

    i = pool - ngx_http_stoa_pool;
    bit = UINT64_C(1) << i % 64;

    if (!(ngx_http_stoa_load(&ngx_http_stoa_pool_bits[i / 64]) & bit)) {
        (void) __atomic_fetch_or(&ngx_http_stoa_pool_bits[i / 64], bit,
                                 __ATOMIC_ACQ_REL);
    }
}


void
ngx_http_stoa_pool_unmark(ngx_http_stoa_pool_t *pool)
{
    uint64_t  i;

    i = pool - ngx_http_stoa_pool;

    (void) __atomic_fetch_and(&ngx_http_stoa_pool_bits[i / 64],
                              ~(UINT64_C(1) << i % 64), __ATOMIC_ACQ_REL);
}


void
ngx_http_stoa_pool_each(void (*look)(ngx_http_stoa_pool_t *pool))
{
    uint64_t  i, n, bits;

    n = ngx_http_stoa_pools->sets * NGX_HTTP_STOA_POOL_WAYS;

    for (i = 0; i < n; i += 64) {
        bits = ngx_http_stoa_load(&ngx_http_stoa_pool_bits[i / 64]);

        for ( /* void */ ; bits; bits &= bits - 1) {
            look(&ngx_http_stoa_pool[i + __builtin_ctzll(bits)]);
        }
    }
}
