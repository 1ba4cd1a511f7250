/*
 * What is done with entries, under the lock of the store.
 */

#include "ngx_http_stoa_keep_in.h"
#include "ngx_http_stoa_time.h"
#include "core/stoa_key.h"

#include <signal.h>


#define KEEP_REAP_MS 1000
#define KEEP_LOOKS   256                       /* entries, to make room      */

#define ngx_http_stoa_keep_of_group(o, key)                                   \
    (ngx_memcmp(&(o)->group, &(key)->group, sizeof(stoa_id_t)) == 0)


static ngx_int_t ngx_http_stoa_keep_room(ngx_http_stoa_keep_t *k,
    uint64_t pieces);
static ngx_int_t ngx_http_stoa_keep_share(ngx_http_stoa_keep_t *k,
    ngx_http_stoa_keep_key_t *key, uint64_t need);
static uint32_t ngx_http_stoa_keep_owner(ngx_http_stoa_keep_t *k,
    const ngx_http_stoa_keep_key_t *key);
static void ngx_http_stoa_keep_release(ngx_http_stoa_keep_t *k, uint32_t i);
static void ngx_http_stoa_keep_unlink(ngx_http_stoa_keep_t *k, uint32_t i);
static void ngx_http_stoa_keep_link(ngx_http_stoa_keep_t *k, uint32_t i);


/* What is lent stays where it is, and is nobody's but that of its pins, who
 * are counted anew; nothing else is believed. */

static void
ngx_http_stoa_keep_lent(ngx_http_stoa_keep_t *k)
{
    uint32_t                     i, n, piece;
    ngx_http_stoa_keep_pin_t    *pin;
    ngx_http_stoa_keep_entry_t  *e;

    k->free_pin = 0;
    k->lent = 0;

    for (i = 0; i < KEEP_PINS; i++) {
        pin = &k->pin[i];

        if (pin->holder == 0 || !ngx_http_stoa_keep_held(pin->holder)
            || pin->entry == 0 || pin->entry > k->nentries)
        {
            pin->holder = 0;
            pin->next = k->free_pin;
            k->free_pin = i + 1;
            continue;
        }

        e = &k->entry[pin->entry - 1];

        if (e->pins++) {
            continue;
        }

        k->lent += e->pieces;
        piece = e->first;

        for (n = 0; n < e->pieces && piece && piece <= k->npieces; n++) {
            k->used[piece - 1] = 1;
            piece = k->next[piece - 1];
        }
    }
}


void
ngx_http_stoa_keep_empty(ngx_http_stoa_keep_t *k)
{
    uint32_t  i;

    for (i = 0; i < k->nentries; i++) {
        ngx_http_stoa_store(&k->entry[i].gen, (uint64_t) 0);
        k->entry[i].pins = 0;
        k->bucket[i] = 0;
    }

    ngx_memzero(k->used, k->npieces);
    ngx_http_stoa_keep_lent(k);

    k->free_entry = 0;
    k->free_piece = 0;
    k->free = 0;

    for (i = k->nentries; i; i--) {
        if (k->entry[i - 1].pins == 0) {
            k->entry[i - 1].next = k->free_entry;
            k->free_entry = i;
        }
    }

    for (i = (uint32_t) k->npieces; i; i--) {
        if (!k->used[i - 1]) {
            k->next[i - 1] = k->free_piece;
            k->free_piece = i;
            k->free++;
        }
    }

    ngx_memzero(k->owner, sizeof(k->owner));
}


void
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

ngx_uint_t
ngx_http_stoa_keep_held(uint64_t holder)
{
    return holder == (uint64_t) ngx_pid
           || kill((pid_t) holder, 0) == 0 || errno != ESRCH;
}


uint32_t
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
            || (e->state == NGX_HTTP_STOA_KEPT_BUSY && !k->lasting
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


ngx_int_t
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
        || (k->lasting ? ngx_http_stoa_keep_share(k, key, need)
                       : ngx_http_stoa_keep_room(k, need))
           != NGX_OK)
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
    e->owner = ngx_http_stoa_keep_owner(k, key);
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


/* Nothing goes before its time: a group may have as much as it leaves to
 * others, and an owner in it as much as that leaves to the rest of the group,
 * so that who fills his share, by whatever many owners, shuts nobody out. */

static ngx_int_t
ngx_http_stoa_keep_share(ngx_http_stoa_keep_t *k,
    ngx_http_stoa_keep_key_t *key, uint64_t need)
{
    int64_t                      now;
    uint32_t                     tries;
    uint64_t                     group;
    ngx_uint_t                   i, own;
    ngx_http_stoa_keep_entry_t  *e;

    now = (int64_t) ngx_http_stoa_wall_ms();
    own = ngx_http_stoa_keep_owner(k, key);

    for (i = 0, group = 0; i < KEEP_OWNERS; i++) {
        group += ngx_http_stoa_keep_of_group(&k->owner[i], key)
                 ? k->owner[i].pieces : 0;
    }

    for (tries = 0; tries < KEEP_LOOKS; tries++) {

        if (tries >= KEEP_LOOKS / 16 && k->free_entry && own < KEEP_OWNERS
            && k->owner[own].pieces + group + need < k->free)
        {
            return NGX_OK;
        }

        k->hand = (k->hand + 1) % k->nentries;
        e = &k->entry[k->hand];

        if (e->gen && e->until_ms <= now) {
            group -= ngx_http_stoa_keep_of_group(&k->owner[e->owner], key)
                     ? e->pieces : 0;
            ngx_http_stoa_keep_remove(k, k->hand + 1);
            own = ngx_http_stoa_keep_owner(k, key);
        }
    }

    return NGX_DECLINED;
}


/* Those that somebody makes stay: their holders end, or their time; and those
 * that are lent, as they would give nothing. */

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

        if (tries == 0 && k->lent) {
            ngx_http_stoa_keep_reap(k, 0);
        }

        e = &k->entry[i - 1];

        if (e->pins
            || (e->state == NGX_HTTP_STOA_KEPT_BUSY
                && ngx_http_stoa_keep_held(e->holder)))
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


/* When there are more owners than places, some share one: where what is kept
 * lasts, those of a group, which has as many as it leaves to others at most,
 * and KEEP_OWNERS where others have them all. */

static uint32_t
ngx_http_stoa_keep_owner(ngx_http_stoa_keep_t *k,
    const ngx_http_stoa_keep_key_t *key)
{
    uint32_t                     at, i, n, empty, same, nempty, nsame;
    ngx_http_stoa_keep_owner_t  *o;

    at = (uint32_t) stoa_hash64(&key->owner, sizeof(stoa_id_t), k->seed);
    empty = KEEP_OWNERS;
    same = KEEP_OWNERS;
    nempty = 0;
    nsame = 0;

    for (i = 0; i < KEEP_OWNERS; i++) {
        n = (at + i) % KEEP_OWNERS;
        o = &k->owner[n];

        if (o->newest == 0) {
            empty = nempty++ ? empty : n;
            continue;
        }

        if (ngx_http_stoa_keep_of_group(o, key)) {

            if (ngx_memcmp(&o->id, &key->owner, sizeof(stoa_id_t)) == 0) {
                return n;
            }

            same = nsame++ ? same : n;
        }
    }

    if (nempty > (k->lasting ? nsame : 0)) {
        k->owner[empty].id = key->owner;
        k->owner[empty].group = key->group;
        return empty;
    }

    return k->lasting ? same : at % KEEP_OWNERS;
}


void
ngx_http_stoa_keep_mark(ngx_http_stoa_keep_t *k, uint32_t i,
    ngx_http_stoa_kept_t *kept)
{
    ngx_http_stoa_keep_entry_t  *e;

    e = &k->entry[i - 1];

    e->state = NGX_HTTP_STOA_KEPT_MARK;
    e->until_ms = kept->until_ms;
    ngx_memcpy(e->note, kept->note, sizeof(e->note));

    kept->gen = ++k->gen;
    kept->entry = i;
    kept->state = NGX_HTTP_STOA_KEPT_MARK;
    ngx_http_stoa_store(&e->gen, kept->gen);
}


void
ngx_http_stoa_keep_remove(ngx_http_stoa_keep_t *k, uint32_t i)
{
    uint32_t                    *at;
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

    if (e->pins == 0) {
        ngx_http_stoa_keep_release(k, i);
    }
}


/* Of one that is not there any more. */

static void
ngx_http_stoa_keep_release(ngx_http_stoa_keep_t *k, uint32_t i)
{
    uint32_t                     last;
    ngx_http_stoa_keep_entry_t  *e;

    e = &k->entry[i - 1];

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


void
ngx_http_stoa_keep_touch(ngx_http_stoa_keep_t *k, uint32_t i)
{
    if (k->owner[k->entry[i - 1].owner].newest != i) {
        ngx_http_stoa_keep_unlink(k, i);
        ngx_http_stoa_keep_link(k, i);
    }
}


/* ---- what is lent ------------------------------------------------------- */

uint32_t
ngx_http_stoa_keep_pin(ngx_http_stoa_keep_t *k, uint32_t i)
{
    uint32_t                     n;
    ngx_http_stoa_keep_pin_t    *pin;
    ngx_http_stoa_keep_entry_t  *e;

    e = &k->entry[i - 1];

    if (k->free_pin == 0
        || (e->pins == 0 && k->lent + e->pieces > k->npieces / 2))
    {
        ngx_http_stoa_keep_reap(k, 0);
    }

    n = k->free_pin;

    if (n == 0 || (e->pins == 0 && k->lent + e->pieces > k->npieces / 2)) {
        return 0;
    }

    pin = &k->pin[n - 1];
    k->free_pin = pin->next;
    pin->entry = i;
    ngx_http_stoa_store(&pin->holder, (uint64_t) ngx_pid);

    if (e->pins++ == 0) {
        k->lent += e->pieces;
    }

    return n;
}


void
ngx_http_stoa_keep_unpin(ngx_http_stoa_keep_t *k, uint32_t n)
{
    ngx_http_stoa_keep_pin_t    *pin;
    ngx_http_stoa_keep_entry_t  *e;

    pin = &k->pin[n - 1];
    e = &k->entry[pin->entry - 1];

    ngx_http_stoa_store(&pin->holder, (uint64_t) 0);
    pin->next = k->free_pin;
    k->free_pin = n;

    if (--e->pins) {
        return;
    }

    k->lent -= e->pieces;

    if (e->gen == 0) {
        ngx_http_stoa_keep_release(k, pin->entry);
    }
}


/* Looking for the dead asks the kernel: once a second. */

void
ngx_http_stoa_keep_reap(ngx_http_stoa_keep_t *k, uint64_t holder)
{
    uint32_t  i;
    uint64_t  now, of;

    now = ngx_http_stoa_wall_ms();

    if (holder == 0 && now - k->reaped_ms < KEEP_REAP_MS) {
        return;
    }

    k->reaped_ms = holder ? k->reaped_ms : now;

    for (i = 0; i < KEEP_PINS; i++) {
        of = k->pin[i].holder;

        if (of && (holder ? of == holder : !ngx_http_stoa_keep_held(of))) {
            ngx_http_stoa_keep_unpin(k, i + 1);
        }
    }
}
