/*
 * Rate decisions: one 64-bit word of GCRA state per key, changed by compare
 * and swap, so that a rate is exact over all workers without a lock.
 *
 * A key belongs to two sets of slots.  A slot whose state lies in the past
 * says nothing that an absent one would not, so it may be given to another
 * key: under the locks of both sets, and with its state marked BUSY meanwhile,
 * which makes the swap of anybody who still looks at the old key fail.  Only
 * holders of a set's lock leave BUSY behind; if one was killed there, the next
 * holder finds the slot free.
 *
 * Keys that callers make up, as many as they like, may claim some of a set's
 * ways only: the others are left to those that the configuration counts.
 */

#include "ngx_http_stoa_limits.h"
#include "core/stoa_key.h"


#define RATE_BUSY  UINT64_MAX

/* A slot of a window's cell: when it is over, and how many were in it. */
#define RATE_COUNT    0xfffffULL

typedef struct {
    ngx_http_stoa_rate_set_t  *set[2];
    uint64_t                   tag;
    ngx_uint_t                 ways;           /* that may be claimed        */
} ngx_http_stoa_rate_key_t;


static void ngx_http_stoa_rate_key(ngx_http_stoa_sh_t *sh, uint64_t key,
    ngx_http_stoa_rate_key_t *k);
static uint64_t *ngx_http_stoa_rate_slot(ngx_http_stoa_rate_key_t *k,
    uint64_t now, uint64_t *word);
static uint64_t *ngx_http_stoa_rate_find(ngx_http_stoa_rate_key_t *k,
    uint64_t *tat);
static uint64_t *ngx_http_stoa_rate_claim(ngx_http_stoa_rate_key_t *k,
    uint64_t now);
static uint64_t *ngx_http_stoa_rate_insert(ngx_http_stoa_rate_key_t *k,
    uint64_t now);
static void ngx_http_stoa_rate_cell(ngx_http_stoa_sh_t *sh, uint64_t key,
    uint64_t cell, ngx_http_stoa_rate_key_t *k);
static uint64_t ngx_http_stoa_rate_count(uint64_t word, uint64_t now);
static void ngx_http_stoa_window_verdict(const ngx_http_stoa_window_t *w,
    uint64_t n, uint64_t cell, uint64_t now, const uint64_t *count,
    ngx_http_stoa_verdict_t *v);
static uint64_t ngx_http_stoa_window_end(const ngx_http_stoa_window_t *w,
    uint64_t cell);
static void ngx_http_stoa_window_counts(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, uint64_t cell, uint64_t now, ngx_uint_t n, uint64_t *count);
static void ngx_http_stoa_rate_verdict(const stoa_gcra_t *gcra,
    const stoa_gcra_verdict_t *gv, ngx_http_stoa_verdict_t *v);


void
ngx_http_stoa_rate_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n, ngx_uint_t ways,
    ngx_http_stoa_verdict_t *v)
{
    uint64_t                   now, tat, *slot;
    stoa_gcra_verdict_t        gv;
    ngx_http_stoa_rate_key_t   k;

    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));

    now = ngx_http_stoa_now_ns();
    ngx_http_stoa_rate_key(mcf->sh, key, &k);
    k.ways = ways;

    do {
        slot = ngx_http_stoa_rate_slot(&k, now, &tat);

        if (slot == NULL) {
            v->rc = mcf->zone_full_deny ? NGX_ERROR : NGX_OK;
            return;
        }

        stoa_gcra_decide(gcra, n, tat, now, &gv);

    } while (gv.allowed && !ngx_http_stoa_cas(slot, &tat, gv.tat_ns));

    ngx_http_stoa_rate_verdict(gcra, &gv, v);
}


void
ngx_http_stoa_rate_look(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n, ngx_http_stoa_verdict_t *v)
{
    uint64_t                   now, tat;
    stoa_gcra_verdict_t        gv;
    ngx_http_stoa_rate_key_t   k;

    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));

    now = ngx_http_stoa_now_ns();
    ngx_http_stoa_rate_key(mcf->sh, key, &k);

    if (ngx_http_stoa_rate_find(&k, &tat) == NULL) {
        tat = now - 1;                           /* as if it was just made   */
    }

    stoa_gcra_decide(gcra, n, tat, now, &gv);
    ngx_http_stoa_rate_verdict(gcra, &gv, v);
}


/* What was used beyond what was taken: may be owed. */

void
ngx_http_stoa_rate_charge(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n, ngx_uint_t ways)
{
    uint64_t                   now, tat, *slot;
    ngx_http_stoa_rate_key_t   k;

    now = ngx_http_stoa_now_ns();
    ngx_http_stoa_rate_key(mcf->sh, key, &k);
    k.ways = ways;

    do {
        slot = ngx_http_stoa_rate_slot(&k, now, &tat);

    } while (slot && !ngx_http_stoa_cas(slot, &tat,
                                        stoa_gcra_charge(gcra, n, tat, now)));
}


/* What was taken for a request that was then refused otherwise. */

void
ngx_http_stoa_rate_return(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n)
{
    uint64_t                   tat, all, *slot;
    ngx_http_stoa_rate_key_t   k;

    all = n * gcra->interval_ns;

    ngx_http_stoa_rate_key(mcf->sh, key, &k);

    for ( ;; ) {
        slot = ngx_http_stoa_rate_find(&k, &tat);

        if (slot == NULL || tat < all
            || ngx_http_stoa_cas(slot, &tat, tat - all))
        {
            return;
        }
    }
}


/*
 * A window of _CELLS cells and the one that has begun, each with a slot of its
 * own: whatever per_ms is looked at lies within them.  The call is counted
 * first and taken back when the cells have too many, so that workers which
 * count at once never let too many through.
 */

void
ngx_http_stoa_window_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const ngx_http_stoa_window_t *w, uint64_t n, ngx_uint_t ways,
    uint64_t *cell, ngx_http_stoa_verdict_t *v)
{
    uint64_t                   now, word, end, here, *slot;
    uint64_t                   count[NGX_HTTP_STOA_WINDOW_CELLS + 1];
    ngx_http_stoa_rate_key_t   k;

    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));

    now = ngx_http_stoa_now_ns();
    *cell = now / w->cell_ns;
    end = ngx_http_stoa_window_end(w, *cell);

    ngx_http_stoa_rate_cell(mcf->sh, key, *cell, &k);
    k.ways = ways;

    do {
        slot = ngx_http_stoa_rate_slot(&k, now, &word);

        if (slot == NULL) {
            v->rc = mcf->zone_full_deny ? NGX_ERROR : NGX_OK;
            return;
        }

        here = ngx_http_stoa_rate_count(word, now);

    } while (here + n <= RATE_COUNT
             && !ngx_http_stoa_cas(slot, &word, end | (here + n)));

    count[NGX_HTTP_STOA_WINDOW_CELLS] = here;
    ngx_http_stoa_window_counts(mcf, key, *cell, now,
                                NGX_HTTP_STOA_WINDOW_CELLS, count);
    ngx_http_stoa_window_verdict(w, n, *cell, now, count, v);

    if (v->rc != NGX_OK && here + n <= RATE_COUNT) {
        ngx_http_stoa_window_return(mcf, key, *cell, n);
    }
}


void
ngx_http_stoa_window_look(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const ngx_http_stoa_window_t *w, uint64_t n, ngx_http_stoa_verdict_t *v)
{
    uint64_t  now, cell, count[NGX_HTTP_STOA_WINDOW_CELLS + 1];

    now = ngx_http_stoa_now_ns();
    cell = now / w->cell_ns;

    ngx_http_stoa_window_counts(mcf, key, cell, now,
                                NGX_HTTP_STOA_WINDOW_CELLS + 1, count);
    ngx_http_stoa_window_verdict(w, n, cell, now, count, v);
}


/* Of the n oldest cells. */

static void
ngx_http_stoa_window_counts(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    uint64_t cell, uint64_t now, ngx_uint_t n, uint64_t *count)
{
    uint64_t                   word;
    ngx_uint_t                 i;
    ngx_http_stoa_rate_key_t   k;

    for (i = 0; i < n; i++) {
        ngx_http_stoa_rate_cell(mcf->sh, key,
                                cell - NGX_HTTP_STOA_WINDOW_CELLS + i, &k);
        count[i] = ngx_http_stoa_rate_find(&k, &word)
                   ? ngx_http_stoa_rate_count(word, now) : 0;
    }
}


static void
ngx_http_stoa_window_verdict(const ngx_http_stoa_window_t *w, uint64_t n,
    uint64_t cell, uint64_t now, const uint64_t *count,
    ngx_http_stoa_verdict_t *v)
{
    uint64_t    sum, more;
    ngx_uint_t  i;

    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));

    for (i = 0, sum = 0; i <= NGX_HTTP_STOA_WINDOW_CELLS; i++) {
        sum += count[i];
    }

    v->which = NGX_HTTP_STOA_LIMIT_RATE;
    v->limit = w->limit;
    v->reset_ms = (ngx_http_stoa_window_end(w, cell) - now + 999999)
                  / 1000000;

    if (sum + n <= w->limit) {
        v->remaining = w->limit - sum - n;
        return;
    }

    /* the oldest cells leave first */

    more = sum + n - w->limit;

    for (i = 0; i < NGX_HTTP_STOA_WINDOW_CELLS && count[i] < more; i++) {
        more -= count[i];
    }

    v->rc = NGX_BUSY;
    v->remaining = sum < w->limit ? w->limit - sum : 0;
    v->retry_ms = ((cell + i + 1) * w->cell_ns - now + 999999) / 1000000;
}


/* When a slot of it says nothing any more, as a word without a count. */

static uint64_t
ngx_http_stoa_window_end(const ngx_http_stoa_window_t *w, uint64_t cell)
{
    return ((cell + NGX_HTTP_STOA_WINDOW_CELLS + 1) * w->cell_ns + RATE_COUNT)
           & ~RATE_COUNT;
}


/* What was taken in a cell for a call that was then refused. */

void
ngx_http_stoa_window_return(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    uint64_t cell, uint64_t n)
{
    uint64_t                   word, *slot;
    ngx_http_stoa_rate_key_t   k;

    ngx_http_stoa_rate_cell(mcf->sh, key, cell, &k);

    for ( ;; ) {
        slot = ngx_http_stoa_rate_find(&k, &word);

        if (slot == NULL || (word & RATE_COUNT) < n
            || ngx_http_stoa_cas(slot, &word, word - n))
        {
            return;
        }
    }
}


static void
ngx_http_stoa_rate_cell(ngx_http_stoa_sh_t *sh, uint64_t key, uint64_t cell,
    ngx_http_stoa_rate_key_t *k)
{
    uint64_t  of[2];

    of[0] = key;
    of[1] = cell;

    ngx_http_stoa_rate_key(sh, stoa_hash64(of, sizeof(of), sh->started_ms),
                           k);
}


static uint64_t
ngx_http_stoa_rate_count(uint64_t word, uint64_t now)
{
    return (word & ~RATE_COUNT) > now ? word & RATE_COUNT : 0;
}


static void
ngx_http_stoa_rate_key(ngx_http_stoa_sh_t *sh, uint64_t key,
    ngx_http_stoa_rate_key_t *k)
{
    uint64_t                   h, a, b;
    ngx_http_stoa_rate_set_t  *sets;

    h = stoa_hash64(&key, sizeof(key), sh->started_ms);

    a = h & (sh->rate_sets - 1);
    b = (h >> 32) & (sh->rate_sets - 1);

    sets = (ngx_http_stoa_rate_set_t *) ((u_char *) sh + sh->rate_off);

    k->set[0] = &sets[a];
    k->set[1] = &sets[b];
    k->tag = key ? key : 1;
    k->ways = NGX_HTTP_STOA_RATE_WAYS;
}


/* The key's, made where it has none; NULL: there is no room. */

static uint64_t *
ngx_http_stoa_rate_slot(ngx_http_stoa_rate_key_t *k, uint64_t now,
    uint64_t *word)
{
    uint64_t  *slot;

    for ( ;; ) {
        slot = ngx_http_stoa_rate_find(k, word);

        if (slot) {
            return slot;
        }

        if (ngx_http_stoa_rate_insert(k, now) == NULL) {
            ngx_http_stoa_count(rate_full, 1);
            return NULL;
        }
    }
}


/* The state is read before the tag: who swaps the state that was read here
 * knows that the slot was still the key's. */

static uint64_t *
ngx_http_stoa_rate_find(ngx_http_stoa_rate_key_t *k, uint64_t *tat)
{
    ngx_uint_t                 s, i;
    ngx_http_stoa_rate_set_t  *set;

    for (s = 0; s < 2; s++) {
        set = k->set[s];

        for (i = 0; i < NGX_HTTP_STOA_RATE_WAYS; i++) {

            if (__atomic_load_n(&set->way[i].tag, __ATOMIC_RELAXED)
                != k->tag)
            {
                continue;
            }

            *tat = ngx_http_stoa_load(&set->way[i].tat);

            if (*tat != RATE_BUSY
                && ngx_http_stoa_load(&set->way[i].tag) == k->tag)
            {
                return &set->way[i].tat;
            }
        }
    }

    return NULL;
}


static uint64_t *
ngx_http_stoa_rate_insert(ngx_http_stoa_rate_key_t *k, uint64_t now)
{
    uint64_t                  *slot, tat;
    ngx_http_stoa_rate_set_t  *first, *second;

    first = ngx_min(k->set[0], k->set[1]);
    second = ngx_max(k->set[0], k->set[1]);

    ngx_http_stoa_lock_take(&first->lock);

    if (second != first) {
        ngx_http_stoa_lock_take(&second->lock);
    }

    slot = ngx_http_stoa_rate_find(k, &tat);

    if (slot == NULL) {
        slot = ngx_http_stoa_rate_claim(k, now);
    }

    if (second != first) {
        ngx_http_stoa_lock_drop(&second->lock);
    }

    ngx_http_stoa_lock_drop(&first->lock);

    return slot;
}


static uint64_t *
ngx_http_stoa_rate_claim(ngx_http_stoa_rate_key_t *k, uint64_t now)
{
    uint64_t                   tat;
    ngx_uint_t                 s, i;
    ngx_http_stoa_rate_set_t  *set;

    for (s = 0; s < 2; s++) {
        set = k->set[s];

        for (i = 0; i < k->ways; i++) {

            tat = ngx_http_stoa_load(&set->way[i].tat);

            if (tat != RATE_BUSY
                && (tat > now
                    || !ngx_http_stoa_cas(&set->way[i].tat, &tat, RATE_BUSY)))
            {
                continue;
            }

            ngx_http_stoa_store(&set->way[i].tag, k->tag);

            /* expired, and another word than the one that was there */

            ngx_http_stoa_store(&set->way[i].tat, now - (tat == now));

            return &set->way[i].tat;
        }
    }

    return NULL;
}


static void
ngx_http_stoa_rate_verdict(const stoa_gcra_t *gcra,
    const stoa_gcra_verdict_t *gv, ngx_http_stoa_verdict_t *v)
{
    v->rc = gv->allowed ? NGX_OK : NGX_BUSY;
    v->which = NGX_HTTP_STOA_LIMIT_RATE;
    v->limit = stoa_gcra_most(gcra);
    v->remaining = gv->remaining;
    v->reset_ms = (gv->reset_ns + 999999) / 1000000;
    v->retry_ms = (gv->retry_ns + 999999) / 1000000;
}


void
ngx_http_stoa_rate_fill(ngx_http_stoa_sh_t *sh, ngx_http_stoa_fill_t *fill)
{
    uint64_t                   set, step, now;
    ngx_uint_t                 i;
    ngx_http_stoa_rate_set_t  *rate;

    fill->slots = sh->rate_sets * NGX_HTTP_STOA_RATE_WAYS;
    fill->used = 0;
    step = 1 + (sh->rate_sets - 1) / NGX_HTTP_STOA_FILL_SETS;

    now = ngx_http_stoa_now_ns();
    rate = (ngx_http_stoa_rate_set_t *) ((u_char *) sh + sh->rate_off);

    for (set = 0; set < sh->rate_sets; set += step) {
        for (i = 0; i < NGX_HTTP_STOA_RATE_WAYS; i++) {
            fill->used += rate[set].way[i].tat > now;
        }
    }

    fill->used *= step;
}
