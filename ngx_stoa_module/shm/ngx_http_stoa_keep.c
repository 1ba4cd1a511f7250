/*
 * The store of answers: entries found by a keyed hash and their whole key,
 * their bytes in pieces, their owners with a list each, the oldest last.
 */

#include "ngx_http_stoa_keep.h"
#include "ngx_http_stoa_time.h"
#include "core/stoa_key.h"

#include <openssl/rand.h>
#include <signal.h>


#define KEEP_PIECE   1024
#define KEEP_OWNERS  256
#define KEEP_MIN     (1024 * 1024)


typedef struct {
    uint64_t   gen;                   /* 0: free                             */
    uint64_t   hash;
    uint64_t   holder;
    uint64_t   state;
    int64_t    until_ms;
    uint64_t   note[NGX_HTTP_STOA_KEEP_NOTE / sizeof(uint64_t)];
    uint32_t   next;                  /* of its hash, or free; index + 1     */
    uint32_t   newer;
    uint32_t   older;
    uint32_t   owner;
    uint32_t   first;                 /* piece, index + 1                    */
    uint32_t   pieces;
    uint32_t   key_len;
    uint32_t   len;                   /* without the key                     */
} ngx_http_stoa_keep_entry_t;

typedef struct {
    stoa_id_t  id;
    uint64_t   pieces;
    uint32_t   newest;                /* entry, index + 1; 0: a free place   */
    uint32_t   oldest;
} ngx_http_stoa_keep_owner_t;

typedef struct {
    uint64_t                     lock;
    uint64_t                     changing;
    uint64_t                     seed;
    uint64_t                     gen;
    uint64_t                     npieces;
    uint64_t                     free;         /* pieces                     */
    uint32_t                     free_piece;
    uint32_t                     free_entry;
    uint32_t                     nentries;
    ngx_http_stoa_keep_owner_t   owner[KEEP_OWNERS];
    ngx_http_stoa_keep_entry_t  *entry;        /* all of them at one address */
    uint32_t                    *bucket;       /* in all workers: the zone   */
    uint32_t                    *next;         /* is mapped before the fork  */
    u_char                      *piece;
} ngx_http_stoa_keep_t;


static ngx_int_t ngx_http_stoa_keep_init(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_http_stoa_keep_layout(ngx_http_stoa_keep_t *k,
    size_t size);
static void ngx_http_stoa_keep_empty(ngx_http_stoa_keep_t *k);
static ngx_http_stoa_keep_t *ngx_http_stoa_keep_lock(
    ngx_http_stoa_main_conf_t *mcf);
static void ngx_http_stoa_keep_unlock(ngx_http_stoa_keep_t *k);
static uint32_t ngx_http_stoa_keep_get(ngx_http_stoa_keep_t *k,
    ngx_http_stoa_keep_key_t *key, uint64_t *hash);
static void ngx_http_stoa_keep_copy(ngx_http_stoa_keep_t *k, uint32_t i,
    ngx_http_stoa_kept_t *kept);
static ngx_int_t ngx_http_stoa_keep_make(ngx_http_stoa_keep_t *k,
    ngx_http_stoa_keep_key_t *key, uint64_t hash, ngx_http_stoa_kept_t *kept,
    const ngx_str_t *pieces, ngx_uint_t n);
static ngx_int_t ngx_http_stoa_keep_room(ngx_http_stoa_keep_t *k,
    uint64_t pieces);
static uint32_t ngx_http_stoa_keep_owner(ngx_http_stoa_keep_t *k,
    const stoa_id_t *id);
static void ngx_http_stoa_keep_remove(ngx_http_stoa_keep_t *k, uint32_t i);
static void ngx_http_stoa_keep_unlink(ngx_http_stoa_keep_t *k, uint32_t i);
static void ngx_http_stoa_keep_link(ngx_http_stoa_keep_t *k, uint32_t i);


static ngx_uint_t  ngx_http_stoa_keep_tag;


static ngx_int_t
ngx_http_stoa_keep_add(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf,
    size_t size)
{
    ngx_str_t  name = ngx_string("stoa_answers");

    mcf->keep = ngx_shared_memory_add(cf, &name, size,
                                      &ngx_http_stoa_keep_tag);
    if (mcf->keep == NULL) {
        return NGX_ERROR;
    }

    mcf->keep->init = ngx_http_stoa_keep_init;
    mcf->keep->data = mcf;

    return NGX_OK;
}


char *
ngx_http_stoa_keep_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (mcf->keep) {
        return "is duplicate";
    }

    value = cf->args->elts;
    size = ngx_parse_size(&value[1]);

    if (size < KEEP_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" of \"%V\", the least is %d",
                           &value[1], &cmd->name, KEEP_MIN);
        return NGX_CONF_ERROR;
    }

    return ngx_http_stoa_keep_add(cf, mcf, size) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_stoa_keep_default(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf)
{
    return mcf->keep ? NGX_OK
           : ngx_http_stoa_keep_add(cf, mcf, NGX_HTTP_STOA_KEEP_SIZE);
}


static ngx_int_t
ngx_http_stoa_keep_init(ngx_shm_zone_t *zone, void *data)
{
    size_t                 size;
    ngx_slab_pool_t       *pool;
    ngx_http_stoa_keep_t  *k;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data || zone->shm.exists) {
        return pool->data ? NGX_OK : NGX_ERROR;
    }

    /* fresh pages are zero, and stay away until somebody needs them */

    size = pool->pfree * ngx_pagesize;
    k = ngx_slab_alloc(pool, size);

    if (k == NULL) {
        return NGX_ERROR;
    }

    pool->data = k;

    return ngx_http_stoa_keep_layout(k, size);
}


static ngx_int_t
ngx_http_stoa_keep_layout(ngx_http_stoa_keep_t *k, size_t size)
{
    u_char  *p;
    size_t   one;

    ngx_memzero(k, sizeof(ngx_http_stoa_keep_t));

    if (RAND_bytes((u_char *) &k->seed, sizeof(k->seed)) != 1) {
        return NGX_ERROR;
    }

    /* a piece, its link, half an entry and half a place for its hash */

    one = KEEP_PIECE + sizeof(uint32_t)
          + (sizeof(ngx_http_stoa_keep_entry_t) + sizeof(uint32_t)) / 2;

    k->npieces = (size - sizeof(ngx_http_stoa_keep_t) - 1024) / one;
    k->nentries = (uint32_t) (k->npieces / 2);
    k->gen = 1;

    p = (u_char *) k + ngx_align(sizeof(ngx_http_stoa_keep_t), 128);
    k->entry = (void *) p;
    p += k->nentries * sizeof(ngx_http_stoa_keep_entry_t);
    k->bucket = (void *) p;
    p += k->nentries * sizeof(uint32_t);
    k->next = (void *) p;
    p += k->npieces * sizeof(uint32_t);
    k->piece = ngx_align_ptr(p, 128);

    ngx_http_stoa_keep_empty(k);

    return NGX_OK;
}


static void
ngx_http_stoa_keep_empty(ngx_http_stoa_keep_t *k)
{
    uint32_t  i;

    for (i = 0; i < k->nentries; i++) {
        ngx_http_stoa_store(&k->entry[i].gen, (uint64_t) 0);
        k->entry[i].next = i + 1 < k->nentries ? i + 2 : 0;
        k->bucket[i] = 0;
    }

    for (i = 0; i < k->npieces; i++) {
        k->next[i] = i + 1 < k->npieces ? i + 2 : 0;
    }

    ngx_memzero(k->owner, sizeof(k->owner));

    k->free_entry = 1;
    k->free_piece = 1;
    k->free = k->npieces;
}


#define ngx_http_stoa_keep_of(mcf)                                            \
    ((ngx_http_stoa_keep_t *)                                                 \
     ((ngx_slab_pool_t *) (mcf)->keep->shm.addr)->data)


static ngx_http_stoa_keep_t *
ngx_http_stoa_keep_lock(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_of(mcf);
    ngx_http_stoa_lock_take(&k->lock);

    if (k->changing) {
        ngx_http_stoa_keep_empty(k);
    }

    ngx_http_stoa_store(&k->changing, (uint64_t) 1);

    return k;
}


static void
ngx_http_stoa_keep_unlock(ngx_http_stoa_keep_t *k)
{
    ngx_http_stoa_store(&k->changing, (uint64_t) 0);
    ngx_http_stoa_lock_drop(&k->lock);
}


ngx_int_t
ngx_http_stoa_keep_find(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_keep_key_t *key, ngx_http_stoa_kept_t *kept)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(mcf);
    i = ngx_http_stoa_keep_get(k, key, &hash);

    if (i) {
        ngx_http_stoa_keep_copy(k, i, kept);

        if (k->owner[k->entry[i - 1].owner].newest != i) {
            ngx_http_stoa_keep_unlink(k, i);
            ngx_http_stoa_keep_link(k, i);
        }
    }

    ngx_http_stoa_keep_unlock(k);

    return i ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_stoa_keep_read(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_kept_t *kept, size_t off, u_char *dst, size_t len)
{
    size_t                       n;
    uint32_t                     piece, left;
    ngx_http_stoa_keep_t        *k;
    ngx_http_stoa_keep_entry_t  *e;

    k = ngx_http_stoa_keep_of(mcf);
    e = &k->entry[kept->entry - 1];

    if (off + len > kept->len) {
        return NGX_DECLINED;
    }

    off += e->key_len;
    piece = e->first;

    /* what is followed may be changed meanwhile: never beyond the store */

    for (left = k->npieces; len && left; left--) {

        if (piece == 0 || piece > k->npieces) {
            return NGX_DECLINED;
        }

        if (off >= KEEP_PIECE) {
            off -= KEEP_PIECE;

        } else {
            n = ngx_min(len, KEEP_PIECE - off);
            dst = ngx_cpymem(dst, k->piece + (size_t) (piece - 1) * KEEP_PIECE
                                  + off, n);
            len -= n;
            off = 0;
        }

        piece = k->next[piece - 1];
    }

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return len == 0 && ngx_http_stoa_load(&e->gen) == kept->gen
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_stoa_keep_take(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_keep_key_t *key, int64_t until_ms,
    ngx_http_stoa_kept_t *kept)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_int_t              rc;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(mcf);
    i = ngx_http_stoa_keep_get(k, key, &hash);
    rc = NGX_BUSY;

    if (i) {
        ngx_http_stoa_keep_copy(k, i, kept);

    } else {
        ngx_memzero(kept, sizeof(ngx_http_stoa_kept_t));
        kept->holder = (uint64_t) ngx_pid;
        kept->until_ms = until_ms;
        rc = ngx_http_stoa_keep_make(k, key, hash, kept, NULL, 0);
    }

    ngx_http_stoa_keep_unlock(k);

    return rc;
}


ngx_int_t
ngx_http_stoa_keep_put(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_keep_key_t *key, ngx_http_stoa_kept_t *kept,
    const ngx_str_t *pieces, ngx_uint_t n)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_int_t              rc;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(mcf);
    i = ngx_http_stoa_keep_get(k, key, &hash);

    if (i) {
        ngx_http_stoa_keep_remove(k, i);
    }

    rc = ngx_http_stoa_keep_make(k, key, hash, kept, pieces, n);

    ngx_http_stoa_keep_unlock(k);

    return rc;
}


void
ngx_http_stoa_keep_drop(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_keep_key_t *key, uint64_t gen)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(mcf);
    i = ngx_http_stoa_keep_get(k, key, &hash);

    if (i && (gen == 0 || k->entry[i - 1].gen == gen)) {
        ngx_http_stoa_keep_remove(k, i);
    }

    ngx_http_stoa_keep_unlock(k);
}


/* ---- under the lock ----------------------------------------------------- */

static ngx_uint_t
ngx_http_stoa_keep_same(ngx_http_stoa_keep_t *k,
    ngx_http_stoa_keep_entry_t *e, ngx_str_t *key)
{
    u_char    *p;
    size_t     n, left;
    uint32_t   piece;

    if (e->key_len != key->len) {
        return 0;
    }

    p = key->data;
    left = key->len;

    for (piece = e->first; left && piece; piece = k->next[piece - 1]) {
        n = ngx_min(left, KEEP_PIECE);

        if (ngx_memcmp(k->piece + (size_t) (piece - 1) * KEEP_PIECE, p, n)) {
            return 0;
        }

        p += n;
        left -= n;
    }

    return left == 0;
}


/* A process that is there may be another one of that number; then its time
 * ends it. */

static ngx_uint_t
ngx_http_stoa_keep_held(uint64_t holder)
{
    return holder == (uint64_t) ngx_pid
           || kill((pid_t) holder, 0) == 0 || errno != ESRCH;
}


/* What is over is taken away, and what its holder has died with. */

static uint32_t
ngx_http_stoa_keep_get(ngx_http_stoa_keep_t *k, ngx_http_stoa_keep_key_t *key,
    uint64_t *hash)
{
    uint32_t                     i;
    ngx_http_stoa_keep_entry_t  *e;

    *hash = stoa_hash64(key->text.data, key->text.len, k->seed);

    for (i = k->bucket[*hash % k->nentries]; i; i = e->next) {
        e = &k->entry[i - 1];

        if (e->hash != *hash || !ngx_http_stoa_keep_same(k, e, &key->text)) {
            continue;
        }

        if (e->until_ms <= (int64_t) ngx_http_stoa_wall_ms()
            || (e->state == NGX_HTTP_STOA_KEPT_BUSY
                && !ngx_http_stoa_keep_held(e->holder)))
        {
            ngx_http_stoa_keep_remove(k, i);
            return 0;
        }

        return i;
    }

    return 0;
}


static void
ngx_http_stoa_keep_copy(ngx_http_stoa_keep_t *k, uint32_t i,
    ngx_http_stoa_kept_t *kept)
{
    ngx_http_stoa_keep_entry_t  *e;

    e = &k->entry[i - 1];

    kept->gen = e->gen;
    kept->holder = e->holder;
    kept->state = e->state;
    kept->entry = i;
    kept->until_ms = e->until_ms;
    kept->len = e->len;
    ngx_memcpy(kept->note, e->note, sizeof(kept->note));
}


static void
ngx_http_stoa_keep_write(ngx_http_stoa_keep_t *k, const ngx_str_t *s,
    uint32_t *piece, size_t *at)
{
    u_char  *p;
    size_t   n, left;

    p = s->data;

    for (left = s->len; left; left -= n) {

        if (*at == KEEP_PIECE) {
            *piece = k->next[*piece - 1];
            *at = 0;
        }

        n = ngx_min(left, KEEP_PIECE - *at);
        ngx_memcpy(k->piece + (size_t) (*piece - 1) * KEEP_PIECE + *at, p, n);
        p += n;
        *at += n;
    }
}


static ngx_int_t
ngx_http_stoa_keep_make(ngx_http_stoa_keep_t *k, ngx_http_stoa_keep_key_t *key,
    uint64_t hash, ngx_http_stoa_kept_t *kept, const ngx_str_t *pieces,
    ngx_uint_t n)
{
    size_t                       len, at;
    uint32_t                     i, piece, last, bucket;
    uint64_t                     need;
    ngx_uint_t                   j;
    ngx_http_stoa_keep_entry_t  *e;

    for (j = 0, len = 0; j < n; j++) {
        len += pieces[j].len;
    }

    need = (key->text.len + len + KEEP_PIECE - 1) / KEEP_PIECE;

    if (key->text.len == 0 || key->text.len > NGX_HTTP_STOA_KEEP_KEY
        || need > k->npieces / 4
        || ngx_http_stoa_keep_room(k, need) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    i = k->free_entry;
    e = &k->entry[i - 1];
    k->free_entry = e->next;

    e->first = k->free_piece;

    for (j = 1, last = e->first; j < need; j++) {
        last = k->next[last - 1];
    }

    k->free_piece = k->next[last - 1];
    k->next[last - 1] = 0;
    k->free -= need;

    e->hash = hash;
    e->holder = kept->holder;
    e->state = kept->state;
    e->until_ms = kept->until_ms;
    e->pieces = (uint32_t) need;
    e->key_len = (uint32_t) key->text.len;
    e->len = (uint32_t) len;
    e->owner = ngx_http_stoa_keep_owner(k, &key->owner);
    ngx_memcpy(e->note, kept->note, sizeof(e->note));

    piece = e->first;
    at = 0;
    ngx_http_stoa_keep_write(k, &key->text, &piece, &at);

    for (j = 0; j < n; j++) {
        ngx_http_stoa_keep_write(k, &pieces[j], &piece, &at);
    }

    k->owner[e->owner].pieces += need;
    ngx_http_stoa_keep_link(k, i);

    bucket = (uint32_t) (hash % k->nentries);
    e->next = k->bucket[bucket];
    k->bucket[bucket] = i;

    kept->gen = ++k->gen;
    kept->entry = i;
    kept->len = len;
    ngx_http_stoa_store(&e->gen, kept->gen);

    return NGX_OK;
}


/* Those that somebody makes stay: their holders end, or their time. */

static ngx_int_t
ngx_http_stoa_keep_room(ngx_http_stoa_keep_t *k, uint64_t pieces)
{
    uint32_t                     i, tries;
    ngx_uint_t                   o, most;
    ngx_http_stoa_keep_entry_t  *e;

    for (tries = 0; k->free <= pieces || k->free_entry == 0; tries++) {

        for (o = 1, most = 0; o < KEEP_OWNERS; o++) {
            if (k->owner[o].pieces > k->owner[most].pieces) {
                most = o;
            }
        }

        i = k->owner[most].oldest;

        if (i == 0 || tries > k->nentries) {
            return NGX_DECLINED;
        }

        e = &k->entry[i - 1];

        if (e->state == NGX_HTTP_STOA_KEPT_BUSY
            && ngx_http_stoa_keep_held(e->holder))
        {
            if (tries > 64) {
                return NGX_DECLINED;
            }

            ngx_http_stoa_keep_unlink(k, i);
            ngx_http_stoa_keep_link(k, i);
            continue;
        }

        ngx_http_stoa_keep_remove(k, i);
    }

    return NGX_OK;
}


/* When there are more tenants than places, some share one. */

static uint32_t
ngx_http_stoa_keep_owner(ngx_http_stoa_keep_t *k, const stoa_id_t *id)
{
    uint32_t                     at, i;
    ngx_http_stoa_keep_owner_t  *o;

    at = (uint32_t) stoa_hash64(id, sizeof(stoa_id_t), k->seed);

    for (i = 0; i < KEEP_OWNERS; i++) {
        o = &k->owner[(at + i) % KEEP_OWNERS];

        if (ngx_memcmp(&o->id, id, sizeof(stoa_id_t)) == 0) {
            return (at + i) % KEEP_OWNERS;
        }
    }

    for (i = 0; i < KEEP_OWNERS; i++) {
        o = &k->owner[(at + i) % KEEP_OWNERS];

        if (o->newest == 0) {
            o->id = *id;
            return (at + i) % KEEP_OWNERS;
        }
    }

    return at % KEEP_OWNERS;
}


static void
ngx_http_stoa_keep_remove(ngx_http_stoa_keep_t *k, uint32_t i)
{
    uint32_t                    *at, last;
    ngx_http_stoa_keep_entry_t  *e;

    e = &k->entry[i - 1];
    ngx_http_stoa_store(&e->gen, (uint64_t) 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    for (at = &k->bucket[e->hash % k->nentries]; *at && *at != i;
         at = &k->entry[*at - 1].next)
    { /* void */ }

    *at = e->next;

    ngx_http_stoa_keep_unlink(k, i);
    k->owner[e->owner].pieces -= e->pieces;

    for (last = e->first; k->next[last - 1]; last = k->next[last - 1])
    { /* void */ }

    k->next[last - 1] = k->free_piece;
    k->free_piece = e->first;
    k->free += e->pieces;

    e->next = k->free_entry;
    k->free_entry = i;
}


static void
ngx_http_stoa_keep_unlink(ngx_http_stoa_keep_t *k, uint32_t i)
{
    ngx_http_stoa_keep_entry_t  *e;
    ngx_http_stoa_keep_owner_t  *o;

    e = &k->entry[i - 1];
    o = &k->owner[e->owner];

    *(e->newer ? &k->entry[e->newer - 1].older : &o->newest) = e->older;
    *(e->older ? &k->entry[e->older - 1].newer : &o->oldest) = e->newer;
}


static void
ngx_http_stoa_keep_link(ngx_http_stoa_keep_t *k, uint32_t i)
{
    ngx_http_stoa_keep_entry_t  *e;
    ngx_http_stoa_keep_owner_t  *o;

    e = &k->entry[i - 1];
    o = &k->owner[e->owner];

    e->newer = 0;
    e->older = o->newest;
    *(o->newest ? &k->entry[o->newest - 1].newer : &o->oldest) = i;
    o->newest = i;
}
