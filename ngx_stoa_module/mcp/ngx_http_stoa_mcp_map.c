/*
 * The map of upstream sessions: its file, sets and entries.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_mcp_block.h"
#include "ngx_http_stoa_file.h"
#include "core/stoa_key.h"

#include <openssl/rand.h>
#include <sys/mman.h>


#define NGX_HTTP_STOA_MCP_MAP_MAGIC   0x53544f414d415031ULL
#define NGX_HTTP_STOA_MCP_SETS_OF     4      /* of one client session        */
#define NGX_HTTP_STOA_MCP_POOL_MS     120000
#define NGX_HTTP_STOA_MCP_SWEEP       64     /* sets, at each call, at least */
#define NGX_HTTP_STOA_MCP_ENDED_WAYS  8


/* Of this worker. */

ngx_http_stoa_mcp_map_t           *ngx_http_stoa_mcp_map;
static ngx_http_stoa_main_conf_t  *ngx_http_stoa_mcp_map_conf;
static ngx_http_stoa_mcp_left_pt   ngx_http_stoa_mcp_map_leaver;


/* ---- the file ---------------------------------------------------------- */

static void
ngx_http_stoa_mcp_map_layout(ngx_http_stoa_mcp_map_t *m, uint64_t size)
{
    ngx_uint_t  i;
    uint64_t    off;

    ngx_memzero(m, sizeof(ngx_http_stoa_mcp_map_t));

    m->magic = NGX_HTTP_STOA_MCP_MAP_MAGIC;
    m->layout = sizeof(ngx_http_stoa_mcp_entry_t)
                + (NGX_HTTP_STOA_MCP_WAYS << 16)
                + (sizeof(ngx_http_stoa_mcp_page_t) << 32);
    m->size = size;

    m->ended_off = 4096;
    m->nended = size / 64 / (8 * NGX_HTTP_STOA_MCP_ENDED_WAYS);
    off = m->ended_off + m->nended * 8 * NGX_HTTP_STOA_MCP_ENDED_WAYS;

    m->counts_off = ngx_align(off, 4096);
    m->ncounts = size / 64 / sizeof(ngx_http_stoa_mcp_counts_t);
    off = m->counts_off + m->ncounts * sizeof(ngx_http_stoa_mcp_counts_t);

    m->book_off = ngx_align(off, 4096);
    m->npages = size / 32 / sizeof(ngx_http_stoa_mcp_page_t);
    off = m->book_off + m->npages * sizeof(ngx_http_stoa_mcp_page_t);

    m->sets_off = ngx_align(off, 4096);
    m->nsets = size / 16 * 10
               / (sizeof(ngx_http_stoa_mcp_set_t)
                  + NGX_HTTP_STOA_MCP_WAYS
                    * sizeof(ngx_http_stoa_mcp_entry_t));
    m->entries_off = ngx_align(m->sets_off
                               + m->nsets * sizeof(ngx_http_stoa_mcp_set_t),
                               4096);
    off = m->entries_off + m->nsets * NGX_HTTP_STOA_MCP_WAYS
                           * sizeof(ngx_http_stoa_mcp_entry_t);

    for (i = 0; i < NGX_HTTP_STOA_MCP_CLASSES; i++) {
        m->class[i].off = ngx_align(off, 4096);
        m->class[i].n = size / 16 * 2
                        / ngx_http_stoa_mcp_block_size(i);
        off = m->class[i].off
              + m->class[i].n * ngx_http_stoa_mcp_block_size(i);
    }
}


/* size 0: any. */

static ngx_uint_t
ngx_http_stoa_mcp_map_fits(ngx_fd_t fd, uint64_t size)
{
    struct stat              st;
    ngx_http_stoa_mcp_map_t  m, should;

    if (fstat(fd, &st) == -1 || (size && (uint64_t) st.st_size != size)
        || pread(fd, &m, sizeof(m), 0) != (ssize_t) sizeof(m))
    {
        return 0;
    }

    ngx_http_stoa_mcp_map_layout(&should, (uint64_t) st.st_size);

    return m.magic == should.magic && m.layout == should.layout
           && m.size == should.size;
}


/* In the master: one that does not fit is replaced, what is in it is soft. */

ngx_int_t
ngx_http_stoa_mcp_map_create(ngx_http_stoa_main_conf_t *mcf)
{
    char                     *path;
    uint64_t                  size;
    ngx_fd_t                  fd;
    ngx_uint_t                fits;
    ngx_cycle_t              *cycle;
    ngx_core_conf_t          *ccf;
    ngx_http_stoa_mcp_map_t   m;

    cycle = mcf->cycle;
    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    size = mcf->counters_size / 4 / 4096 * 4096;
    path = ngx_http_stoa_file_path(mcf, cycle->pool, "sessions");

    if (path == NULL) {
        return NGX_ERROR;
    }

    fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (fd != -1) {
        fits = ngx_http_stoa_mcp_map_fits(fd, size);
        (void) close(fd);

        if (fits) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "\"%s\" is of another "
                      "size or version: upstream sessions are opened anew",
                      path);
    }

    ngx_http_stoa_mcp_map_layout(&m, size);

    if (RAND_bytes((u_char *) m.secret, sizeof(m.secret)) != 1) {
        return NGX_ERROR;
    }

    return ngx_http_stoa_file_make(path, size, &m, sizeof(m), ccf->user,
                                   cycle->log);
}


ngx_int_t
ngx_http_stoa_mcp_map_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle)
{
    void  *p;

    p = ngx_http_stoa_file_map(mcf, cycle, "sessions",
                               ngx_http_stoa_mcp_map_fits);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_map = p;
    ngx_http_stoa_mcp_map_conf = mcf;

    return NGX_OK;
}


void
ngx_http_stoa_mcp_map_close(void)
{
    if (ngx_http_stoa_mcp_map) {
        (void) munmap(ngx_http_stoa_mcp_map, ngx_http_stoa_mcp_map->size);
        ngx_http_stoa_mcp_map = NULL;
    }
}


void
ngx_http_stoa_mcp_map_left(ngx_http_stoa_mcp_left_pt left)
{
    ngx_http_stoa_mcp_map_leaver = left;
}


/* ---- sets -------------------------------------------------------------- */

ngx_http_stoa_mcp_set_t *
ngx_http_stoa_mcp_map_set(uint64_t number)
{
    ngx_http_stoa_mcp_map_t  *m;

    m = ngx_http_stoa_mcp_map;

    return (ngx_http_stoa_mcp_set_t *) ((u_char *) m + m->sets_off)
           + number % m->nsets;
}


/* The upper half of a key names the client session. */

ngx_http_stoa_mcp_set_t *
ngx_http_stoa_mcp_set_lock(uint64_t key)
{
    ngx_http_stoa_mcp_set_t  *set;

    set = ngx_http_stoa_mcp_map_set((key >> 32) + (key >> 1)
                                              % NGX_HTTP_STOA_MCP_SETS_OF);
    ngx_http_stoa_lock_take(&set->lock);

    return set;
}


ngx_http_stoa_mcp_entry_t *
ngx_http_stoa_mcp_entry(ngx_http_stoa_mcp_set_t *set, ngx_uint_t i)
{
    return ngx_http_stoa_mcp_block_entry(ngx_http_stoa_mcp_map,
                                   (set - ngx_http_stoa_mcp_map_set(0))
                                   * NGX_HTTP_STOA_MCP_WAYS + i);
}


void
ngx_http_stoa_mcp_entry_clear(ngx_http_stoa_mcp_set_t *set, ngx_uint_t i)
{
    ngx_http_stoa_mcp_entry_t  *e;

    e = ngx_http_stoa_mcp_entry(set, i);

    __atomic_store_n(&set->key[i], 0, __ATOMIC_RELEASE);
    ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map, e, NULL, 0);
    ngx_memzero(e, sizeof(ngx_http_stoa_mcp_entry_t));
}


ngx_int_t
ngx_http_stoa_mcp_entry_take(ngx_http_stoa_mcp_set_t *set, ngx_uint_t i,
    ngx_http_stoa_mcp_upstream_t *out)
{
    ngx_int_t                   rc;
    ngx_http_stoa_mcp_entry_t  *e;

    e = ngx_http_stoa_mcp_entry(set, i);
    rc = NGX_DECLINED;

    if (e->deadline == 0
        && ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map, set->key[i], e,
                                       out)
           == NGX_OK
        && out->len)
    {
        rc = NGX_OK;
    }

    ngx_http_stoa_mcp_entry_clear(set, i);

    return rc;
}


ngx_http_stoa_mcp_entry_t *
ngx_http_stoa_mcp_entry_of(ngx_http_stoa_mcp_set_t *set, uint64_t key,
    ngx_uint_t make, ngx_http_stoa_mcp_upstream_t *left)
{
    ngx_uint_t                  i, old;
    uint64_t                    used, oldest;
    ngx_http_stoa_mcp_entry_t  *e;

    oldest = UINT64_MAX;
    old = 0;

    for (i = 0; i < NGX_HTTP_STOA_MCP_WAYS; i++) {

        if (set->key[i] == key) {
            return ngx_http_stoa_mcp_entry(set, i);
        }
    }

    if (!make) {
        return NULL;
    }

    for (i = 0; i < NGX_HTTP_STOA_MCP_WAYS; i++) {
        used = set->key[i] ? ngx_http_stoa_mcp_entry(set, i)->used : 0;

        if (used < oldest) {
            oldest = used;
            old = i;
        }
    }

    left->len = 0;

    if (set->key[old]
        && ngx_http_stoa_mcp_entry_take(set, old, left) != NGX_OK)
    {
        left->len = 0;
    }

    e = ngx_http_stoa_mcp_entry(set, old);
    e->used = ngx_http_stoa_wall_ms();
    e->deadline = 1;
    __atomic_store_n(&set->key[old], key, __ATOMIC_RELEASE);

    return e;
}


void
ngx_http_stoa_mcp_map_leaves(const ngx_http_stoa_mcp_upstream_t *up)
{
    if (up->len && ngx_http_stoa_mcp_map_leaver) {
        ngx_http_stoa_mcp_map_leaver(up);
    }
}


/* A worker that was killed gives nothing back. */

static ngx_uint_t
ngx_http_stoa_mcp_gone(uint64_t pid)
{
    return pid != (uint64_t) ngx_pid && kill((pid_t) pid, 0) == -1
           && ngx_errno == NGX_ESRCH;
}


/* ---- upstream sessions ------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_upstream_find(uint64_t key, ngx_uint_t waited,
    ngx_msec_t within, ngx_http_stoa_mcp_upstream_t *out)
{
    uint64_t                       now;
    ngx_int_t                      rc;
    ngx_http_stoa_mcp_set_t       *set;
    ngx_http_stoa_mcp_entry_t     *e;
    ngx_http_stoa_mcp_upstream_t   left;

    now = ngx_http_stoa_wall_ms();
    left.len = 0;
    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);

    if (e && e->deadline == 0
        && ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map, key, e, out)
           == NGX_OK)
    {
        e->used = now;
        out->doubt = e->doubt;
        rc = NGX_OK;

    } else if (e && e->deadline > now && e->deadline - now <= within
               && !ngx_http_stoa_mcp_gone(e->pid))
    {
        rc = NGX_AGAIN;

    } else if (e && e->failed && waited) {
        out->failed = e->failed;
        rc = NGX_ABORT;

    } else {
        e = ngx_http_stoa_mcp_entry_of(set, key, 1, &left);
        e->failed = 0;
        e->used = now;
        e->pid = (uint64_t) ngx_pid;
        e->deadline = now + within;
        ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map, e, &out->api,
                                out->app);
        out->turn = (ngx_msec_t) e->deadline;
        rc = NGX_DECLINED;
    }

    ngx_http_stoa_lock_drop(&set->lock);
    ngx_http_stoa_mcp_map_leaves(&left);

    return rc;
}


ngx_int_t
ngx_http_stoa_mcp_upstream_peek(uint64_t key,
    ngx_http_stoa_mcp_upstream_t *out)
{
    ngx_int_t                   rc;
    ngx_http_stoa_mcp_set_t    *set;
    ngx_http_stoa_mcp_entry_t  *e;

    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);

    rc = e && e->deadline == 0
         ? ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map, key, e, out)
         : NGX_DECLINED;

    if (rc == NGX_OK) {
        e->used = ngx_http_stoa_wall_ms();    /* its client is still there   */
    }

    ngx_http_stoa_lock_drop(&set->lock);

    return rc;
}


void
ngx_http_stoa_mcp_put(uint64_t key, const ngx_http_stoa_mcp_upstream_t *in,
    uint64_t owner)
{
    uint64_t                       now;
    ngx_http_stoa_mcp_set_t       *set;
    ngx_http_stoa_mcp_entry_t     *e;
    ngx_http_stoa_mcp_upstream_t   left, block;

    now = ngx_http_stoa_wall_ms();
    left.len = 0;
    block.len = 0;
    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 1, &left);

    /* two that were opened at once: the later one stays */

    if (e->deadline == 0 && left.len == 0
        && (ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map, key, e, &left)
            != NGX_OK
            || (left.len == in->len
                && ngx_memcmp(left.sid, in->sid, in->len) == 0)))
    {
        left.len = 0;
    }

    if (ngx_http_stoa_mcp_block_put(ngx_http_stoa_mcp_map, key, e, in,
                                    &block)
        == NGX_OK)
    {
        e->used = now;
        e->doubt = 0;
        e->owner = owner;
        e->deadline = 0;
        ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map, e, &in->api,
                                in->len ? in->app : 0);

    } else {
        e->deadline = 1;
        ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map, e, NULL, 0);
    }

    ngx_http_stoa_lock_drop(&set->lock);
    ngx_http_stoa_mcp_map_leaves(&left);
    ngx_http_stoa_mcp_map_leaves(&block);
    ngx_http_stoa_mcp_wait_wake(key);
}


void
ngx_http_stoa_mcp_upstream_set(uint64_t key,
    const ngx_http_stoa_mcp_upstream_t *in)
{
    ngx_http_stoa_mcp_put(key, in, 0);
}


/* No session, and nobody connects. */

static void
ngx_http_stoa_mcp_entry_free(ngx_http_stoa_mcp_entry_t *e)
{
    ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map, e, NULL, 0);
    ngx_memzero(e, sizeof(ngx_http_stoa_mcp_entry_t));

    e->deadline = 1;
    e->used = ngx_http_stoa_wall_ms();
}


ngx_int_t
ngx_http_stoa_mcp_upstream_edit(uint64_t key,
    const ngx_http_stoa_mcp_upstream_t *as,
    ngx_int_t (*edit)(void *data, ngx_http_stoa_mcp_upstream_t *up),
    void *data)
{
    ngx_int_t                      rc;
    ngx_http_stoa_mcp_set_t       *set;
    ngx_http_stoa_mcp_entry_t     *e;
    ngx_http_stoa_mcp_upstream_t   up, left, block;

    left.len = 0;
    block.len = 0;
    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 1, &left);

    if (e->deadline != 0
        || ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map, key, e, &up)
           != NGX_OK)
    {
        ngx_memcpy(&up, as, offsetof(ngx_http_stoa_mcp_upstream_t, sid));
        up.len = 0;
    }

    rc = edit(data, &up);

    if (rc == NGX_OK && up.len) {
        rc = ngx_http_stoa_mcp_block_put(ngx_http_stoa_mcp_map, key, e, &up,
                                         &block)
             == NGX_OK ? NGX_OK : NGX_DECLINED;

        e->used = ngx_http_stoa_wall_ms();
        e->deadline = rc == NGX_OK ? 0 : 1;
        ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map, e, &as->api,
                                rc == NGX_OK ? as->app : 0);

    } else if (rc == NGX_OK || e->deadline != 0) {
        ngx_http_stoa_mcp_entry_free(e);
    }

    ngx_http_stoa_lock_drop(&set->lock);
    ngx_http_stoa_mcp_map_leaves(&left);
    ngx_http_stoa_mcp_map_leaves(&block);

    return rc;
}


void
ngx_http_stoa_mcp_upstream_end(uint64_t key, ngx_msec_t turn,
    ngx_uint_t failed)
{
    ngx_http_stoa_mcp_set_t    *set;
    ngx_http_stoa_mcp_entry_t  *e;

    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);

    if (e && e->deadline == turn) {
        ngx_http_stoa_mcp_entry_free(e);
        e->failed = (uint8_t) failed;
    }

    ngx_http_stoa_lock_drop(&set->lock);
    ngx_http_stoa_mcp_wait_wake(key);
}


void
ngx_http_stoa_mcp_upstream_drop(uint64_t key, const u_char *sid, size_t len)
{
    ngx_http_stoa_mcp_set_t       *set;
    ngx_http_stoa_mcp_entry_t     *e;
    ngx_http_stoa_mcp_upstream_t   up;

    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);

    if (e && e->deadline == 0
        && (ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map, key, e, &up)
            != NGX_OK
            || (up.len == len && ngx_memcmp(up.sid, sid, len) == 0)))
    {
        ngx_http_stoa_mcp_entry_free(e);
    }

    ngx_http_stoa_lock_drop(&set->lock);
}


void
ngx_http_stoa_mcp_upstream_doubt(uint64_t key, ngx_uint_t doubt)
{
    ngx_http_stoa_mcp_set_t    *set;
    ngx_http_stoa_mcp_entry_t  *e;

    if (key == 0) {
        return;                     /* a task's session is in none; free ones
                                       have this key */
    }

    set = ngx_http_stoa_mcp_set_lock(key);
    e = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL);

    if (e) {
        e->doubt = (uint8_t) doubt;
    }

    ngx_http_stoa_lock_drop(&set->lock);
}


ngx_uint_t
ngx_http_stoa_mcp_upstream_known(uint64_t key)
{
    ngx_uint_t                known;
    ngx_http_stoa_mcp_set_t  *set;

    set = ngx_http_stoa_mcp_set_lock(key);
    known = ngx_http_stoa_mcp_entry_of(set, key, 0, NULL) != NULL;
    ngx_http_stoa_lock_drop(&set->lock);

    return known;
}


/* ---- the ends ---------------------------------------------------------- */

/* The sessions of a set that are to go, one after the other: those of the
 * client session of key; key 0: idle ones. */

static void
ngx_http_stoa_mcp_set_leave(ngx_http_stoa_mcp_set_t *set, uint64_t key,
    uint64_t now)
{
    ngx_int_t                      rc;
    ngx_uint_t                     i;
    ngx_msec_t                     idle;
    ngx_http_stoa_mcp_entry_t     *e;
    ngx_http_stoa_mcp_upstream_t   up;

    idle = ngx_http_stoa_mcp_map_conf->mcp_sessions.idle;

    for (i = 0; i < NGX_HTTP_STOA_MCP_WAYS; i++) {

        if (set->key[i] == 0 || (key && set->key[i] >> 32 != key >> 32)) {
            continue;
        }

        rc = NGX_DECLINED;
        ngx_http_stoa_lock_take(&set->lock);

        e = ngx_http_stoa_mcp_entry(set, i);

        if (set->key[i]
            && (key ? e->owner == 0 && set->key[i] >> 32 == key >> 32
                    : (int64_t) (now - e->used)
                      > (int64_t) (e->owner ? ngx_min(idle,
                                                 NGX_HTTP_STOA_MCP_POOL_MS)
                                            : idle)))
        {
            rc = ngx_http_stoa_mcp_entry_take(set, i, &up);
        }

        ngx_http_stoa_lock_drop(&set->lock);

        if (rc == NGX_OK) {
            ngx_http_stoa_mcp_map_leaves(&up);
        }
    }
}


static uint64_t *
ngx_http_stoa_mcp_ended_set(uint64_t client)
{
    ngx_http_stoa_mcp_map_t  *m;

    m = ngx_http_stoa_mcp_map;

    return (uint64_t *) ((u_char *) m + m->ended_off)
           + (client >> 32) % m->nended * NGX_HTTP_STOA_MCP_ENDED_WAYS;
}


void
ngx_http_stoa_mcp_map_leave(uint64_t client)
{
    uint64_t                 *ended, n;
    ngx_uint_t                i;
    ngx_http_stoa_mcp_set_t  *set;

    if (!ngx_http_stoa_mcp_map_ended(client)) {
        ended = ngx_http_stoa_mcp_ended_set(client);
        n = __atomic_fetch_add(&ngx_http_stoa_mcp_map->ended, 1,
                               __ATOMIC_RELAXED);

        for (i = 0; i < NGX_HTTP_STOA_MCP_ENDED_WAYS; i++) {
            if (ngx_http_stoa_load(&ended[i]) == 0) {
                n = i;
                break;
            }
        }

        ngx_http_stoa_store(&ended[n % NGX_HTTP_STOA_MCP_ENDED_WAYS], client);
    }

    for (i = 0; i < NGX_HTTP_STOA_MCP_SETS_OF; i++) {
        set = ngx_http_stoa_mcp_map_set((client >> 32) + i);
        ngx_http_stoa_mcp_set_leave(set, client, 0);
    }
}


ngx_uint_t
ngx_http_stoa_mcp_map_ended(uint64_t client)
{
    uint64_t    *ended;
    ngx_uint_t   i;

    ended = ngx_http_stoa_mcp_ended_set(client);

    for (i = 0; i < NGX_HTTP_STOA_MCP_ENDED_WAYS; i++) {
        if (ngx_http_stoa_load(&ended[i]) == client) {
            return 1;
        }
    }

    return 0;
}


/* Each is looked at several times while it is idle. */

void
ngx_http_stoa_mcp_map_sweep(ngx_msec_t every)
{
    uint64_t                  first, now, n;
    ngx_uint_t                i;
    ngx_http_stoa_mcp_map_t  *m;

    m = ngx_http_stoa_mcp_map;
    now = ngx_http_stoa_wall_ms();

    n = 4 * m->nsets * every / ngx_http_stoa_mcp_map_conf->mcp_sessions.idle;
    n = ngx_min(ngx_max(n, NGX_HTTP_STOA_MCP_SWEEP), m->nsets);
    first = __atomic_fetch_add(&m->swept, n, __ATOMIC_RELAXED);

    for (i = 0; i < n; i++) {
        ngx_http_stoa_mcp_set_leave(ngx_http_stoa_mcp_map_set(first + i), 0,
                                    now);
    }
}
