/*
 * The store of answers: entries found by a keyed hash and their whole key,
 * their bytes in pieces, their owners with a list each, the oldest last.
 */

#include "ngx_http_stoa_keep_in.h"
#include "ngx_http_stoa_zone.h"
#include "ngx_http_stoa_time.h"

#include <openssl/rand.h>


#define KEEP_COPY  4096               /* what is copied faster than lent     */


typedef struct {
    ngx_shm_zone_t  *zone;
    uint32_t         pin;             /* index + 1; 0: none                  */
} ngx_http_stoa_keep_lent_t;


static ngx_int_t ngx_http_stoa_keep_lend_copy(ngx_shm_zone_t *zone,
    const ngx_http_stoa_kept_t *kept, size_t off, ngx_pool_t *pool,
    ngx_chain_t **out);
static ngx_int_t ngx_http_stoa_keep_lend_pieces(ngx_http_stoa_keep_t *k,
    const ngx_http_stoa_kept_t *kept, size_t off, ngx_pool_t *pool,
    ngx_chain_t **out);
static ngx_int_t ngx_http_stoa_keep_init(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_http_stoa_keep_layout(ngx_http_stoa_keep_t *k,
    size_t size);
static ngx_http_stoa_keep_t *ngx_http_stoa_keep_lock(
    ngx_shm_zone_t *zone);
static void ngx_http_stoa_keep_unlock(ngx_http_stoa_keep_t *k);


static ngx_uint_t  ngx_http_stoa_keep_tag;
static ngx_uint_t  ngx_http_stoa_keep_lasting;     /* data of such a zone    */


/* place: in the configuration, of one of the two. */

static ngx_int_t
ngx_http_stoa_keep_add(ngx_conf_t *cf, ngx_shm_zone_t **place,
    const char *name, size_t size, ngx_uint_t lasting)
{
    ngx_str_t  s;

    s.data = (u_char *) name;
    s.len = ngx_strlen(name);

    *place = ngx_shared_memory_add(cf, &s, size, &ngx_http_stoa_keep_tag);

    if (*place == NULL) {
        return NGX_ERROR;
    }

    (*place)->init = ngx_http_stoa_keep_init;
    (*place)->data = lasting ? &ngx_http_stoa_keep_lasting
                             : &ngx_http_stoa_keep_tag;

    return NGX_OK;
}


char *
ngx_http_stoa_keep_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ssize_t                     size;
    ngx_str_t                  *value;
    ngx_shm_zone_t            **place;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = conf;
    place = (ngx_shm_zone_t **) ((char *) conf + cmd->offset);

    if (*place) {
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

    return ngx_http_stoa_keep_add(cf, place, (char *) cmd->name.data, size,
                                  place == &mcf->repeats)
           == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_stoa_keep_default(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf)
{
    if (mcf->keep == NULL
        && ngx_http_stoa_keep_add(cf, &mcf->keep, "stoa_answers",
                                  NGX_HTTP_STOA_KEEP_SIZE, 0)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return mcf->repeats ? NGX_OK
           : ngx_http_stoa_keep_add(cf, &mcf->repeats, "stoa_idempotency",
                                    NGX_HTTP_STOA_KEEP_SIZE, 1);
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
    k->lasting = zone->data == &ngx_http_stoa_keep_lasting;

    return ngx_http_stoa_keep_layout(k, size);
}


static ngx_int_t
ngx_http_stoa_keep_layout(ngx_http_stoa_keep_t *k, size_t size)
{
    u_char  *p;
    size_t   one, per;

    if (RAND_bytes((u_char *) &k->seed, sizeof(k->seed)) != 1) {
        return NGX_ERROR;
    }

    /* a piece, its link and mark, half an entry and a place for its hash; of
     * what lasts a whole one, as shares are of pieces alone */

    per = k->lasting ? 1 : 2;
    one = KEEP_PIECE + sizeof(uint32_t) + 1
          + (sizeof(ngx_http_stoa_keep_entry_t) + sizeof(uint32_t)) / per;

    k->npieces = (size - sizeof(ngx_http_stoa_keep_t) - 1024) / one;
    k->nentries = (uint32_t) (k->npieces / per);
    k->gen = 1;

    p = (u_char *) k + ngx_align(sizeof(ngx_http_stoa_keep_t), 128);
    k->entry = (void *) p;
    p += k->nentries * sizeof(ngx_http_stoa_keep_entry_t);
    k->bucket = (void *) p;
    p += k->nentries * sizeof(uint32_t);
    k->next = (void *) p;
    p += k->npieces * sizeof(uint32_t);
    k->used = p;
    p += k->npieces;
    k->piece = ngx_align_ptr(p, 128);

    ngx_http_stoa_keep_empty(k);

    return NGX_OK;
}


#define ngx_http_stoa_keep_of(zone)                                           \
    ((ngx_http_stoa_keep_t *) ((ngx_slab_pool_t *) (zone)->shm.addr)->data)


static ngx_http_stoa_keep_t *
ngx_http_stoa_keep_lock(ngx_shm_zone_t *zone)
{
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_of(zone);
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
ngx_http_stoa_keep_find(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, ngx_http_stoa_kept_t *kept)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(zone);
    i = ngx_http_stoa_keep_get(k, key, &hash);

    if (i) {
        ngx_http_stoa_keep_copy(k, i, kept);

        if (!k->lasting) {
            ngx_http_stoa_keep_touch(k, i);
        }
    }

    ngx_http_stoa_keep_unlock(k);

    return i ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_stoa_keep_read(ngx_shm_zone_t *zone,
    const ngx_http_stoa_kept_t *kept, size_t off, u_char *dst, size_t len)
{
    size_t                       n;
    uint32_t                     piece, left;
    ngx_http_stoa_keep_t        *k;
    ngx_http_stoa_keep_entry_t  *e;

    k = ngx_http_stoa_keep_of(zone);
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


static void
ngx_http_stoa_keep_back(void *data)
{
    ngx_http_stoa_keep_t       *k;
    ngx_http_stoa_keep_lent_t  *l = data;

    if (l->pin) {
        k = ngx_http_stoa_keep_lock(l->zone);
        ngx_http_stoa_keep_unpin(k, l->pin);
        ngx_http_stoa_keep_unlock(k);
    }
}


ngx_int_t
ngx_http_stoa_keep_lend(ngx_shm_zone_t *zone, const ngx_http_stoa_kept_t *kept,
    size_t off, ngx_pool_t *pool, ngx_uint_t one, ngx_chain_t **out)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_stoa_keep_t       *k;
    ngx_http_stoa_keep_lent_t  *l;

    *out = NULL;

    if (off >= kept->len) {
        return off == kept->len ? NGX_OK : NGX_DECLINED;
    }

    if (one || kept->len - off <= KEEP_COPY) {
        return ngx_http_stoa_keep_lend_copy(zone, kept, off, pool, out);
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_stoa_keep_lent_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    l = cln->data;
    l->zone = zone;
    cln->handler = ngx_http_stoa_keep_back;

    k = ngx_http_stoa_keep_lock(zone);
    l->pin = k->entry[kept->entry - 1].gen == kept->gen
             ? ngx_http_stoa_keep_pin(k, (uint32_t) kept->entry) : 0;
    ngx_http_stoa_keep_unlock(k);

    if (l->pin == 0) {
        ngx_http_stoa_count(cache_copied, 1);
        return ngx_http_stoa_keep_lend_copy(zone, kept, off, pool, out);
    }

    return ngx_http_stoa_keep_lend_pieces(k, kept, off, pool, out);
}


static ngx_int_t
ngx_http_stoa_keep_lend_copy(ngx_shm_zone_t *zone,
    const ngx_http_stoa_kept_t *kept, size_t off, ngx_pool_t *pool,
    ngx_chain_t **out)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_create_temp_buf(pool, kept->len - off);
    cl = ngx_alloc_chain_link(pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_keep_read(zone, kept, off, b->pos, kept->len - off)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    b->last += kept->len - off;
    b->temporary = 0;
    b->memory = 1;
    cl->buf = b;
    cl->next = NULL;
    *out = cl;

    return NGX_OK;
}


/* Those that lie one behind the other make one buffer. */

static ngx_int_t
ngx_http_stoa_keep_lend_pieces(ngx_http_stoa_keep_t *k,
    const ngx_http_stoa_kept_t *kept, size_t off, ngx_pool_t *pool,
    ngx_chain_t **out)
{
    u_char                      *p;
    size_t                       n, len;
    uint32_t                     piece;
    ngx_buf_t                   *b;
    ngx_chain_t                 *cl;
    ngx_http_stoa_keep_entry_t  *e;

    e = &k->entry[kept->entry - 1];
    len = kept->len - off;
    off += e->key_len;
    b = NULL;

    for (piece = e->first; off >= KEEP_PIECE; piece = k->next[piece - 1]) {
        off -= KEEP_PIECE;
    }

    for ( /* void */ ; len; piece = k->next[piece - 1], off = 0) {
        p = k->piece + (size_t) (piece - 1) * KEEP_PIECE + off;
        n = ngx_min(len, KEEP_PIECE - off);
        len -= n;

        if (b && b->last == p) {
            b->last += n;
            continue;
        }

        b = ngx_calloc_buf(pool);
        cl = ngx_alloc_chain_link(pool);

        if (b == NULL || cl == NULL) {
            return NGX_ERROR;
        }

        b->pos = p;
        b->last = p + n;
        b->memory = 1;
        cl->buf = b;
        cl->next = NULL;
        *out = cl;
        out = &cl->next;
    }

    return NGX_OK;
}


void
ngx_http_stoa_keep_start(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_uint_t             i;
    ngx_shm_zone_t        *zones[] = { mcf->keep, mcf->repeats };
    ngx_http_stoa_keep_t  *k;

    for (i = 0; i < 2; i++) {
        k = ngx_http_stoa_keep_lock(zones[i]);
        ngx_http_stoa_keep_reap(k, (uint64_t) ngx_pid);
        ngx_http_stoa_keep_unlock(k);
    }
}


ngx_int_t
ngx_http_stoa_keep_take(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, int64_t until_ms,
    ngx_http_stoa_kept_t *kept)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_int_t              rc;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(zone);
    i = ngx_http_stoa_keep_get(k, key, &hash);
    rc = NGX_BUSY;

    if (i) {
        ngx_http_stoa_keep_copy(k, i, kept);

    } else {
        kept->state = NGX_HTTP_STOA_KEPT_BUSY;
        kept->holder = (uint64_t) ngx_pid;
        kept->until_ms = until_ms;
        rc = ngx_http_stoa_keep_make(k, key, hash, kept, NULL, 0);
    }

    ngx_http_stoa_keep_unlock(k);

    return rc;
}


ngx_int_t
ngx_http_stoa_keep_put(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, ngx_http_stoa_kept_t *kept,
    const ngx_str_t *pieces, ngx_uint_t n)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_int_t              rc;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(zone);
    i = ngx_http_stoa_keep_get(k, key, &hash);

    if (kept->gen && (i == 0 || k->entry[i - 1].gen != kept->gen)) {
        ngx_http_stoa_keep_unlock(k);
        return NGX_DECLINED;
    }

    if (i && !k->lasting) {
        ngx_http_stoa_keep_remove(k, i);
        i = 0;
    }

    if (i) {
        k->entry[i - 1].until_ms = kept->until_ms;      /* it is not over    */
    }

    rc = n || i == 0 ? ngx_http_stoa_keep_make(k, key, hash, kept, pieces, n)
                     : NGX_DECLINED;

    if (i) {

        /* what lasts is forgotten by nobody for want of room: others may have
         * taken what there was when it came, so its place is not given up */

        if (rc == NGX_OK) {
            ngx_http_stoa_keep_remove(k, i);

        } else {
            ngx_http_stoa_keep_mark(k, i, kept);
            rc = NGX_OK;
        }
    }

    ngx_http_stoa_keep_unlock(k);

    return rc;
}


void
ngx_http_stoa_keep_drop(ngx_shm_zone_t *zone,
    ngx_http_stoa_keep_key_t *key, uint64_t gen)
{
    uint32_t               i;
    uint64_t               hash;
    ngx_http_stoa_keep_t  *k;

    k = ngx_http_stoa_keep_lock(zone);
    i = ngx_http_stoa_keep_get(k, key, &hash);

    if (i && (gen == 0 || k->entry[i - 1].gen == gen)) {
        ngx_http_stoa_keep_remove(k, i);
    }

    ngx_http_stoa_keep_unlock(k);
}


void
ngx_http_stoa_keep_note(ngx_shm_zone_t *zone, const ngx_http_stoa_kept_t *kept)
{
    ngx_http_stoa_keep_t        *k;
    ngx_http_stoa_keep_entry_t  *e;

    k = ngx_http_stoa_keep_lock(zone);
    e = &k->entry[kept->entry - 1];

    if (e->gen == kept->gen) {
        ngx_memcpy(e->note, kept->note, sizeof(e->note));
    }

    ngx_http_stoa_keep_unlock(k);
}
