/*
 * Usage slots of the mapped counter file: what each finished request adds.
 *
 * A row adds to several words; a process killed between two of them leaves
 * each word true, and what was added is reported with the next batch.  The
 * dirty bit is set after the words: who killed a process in between finds the
 * slot by the full scan at the next start.
 */

#include "ngx_http_stoa_counters.h"
#include "core/stoa_key.h"


static void ngx_http_stoa_usage_key(ngx_http_stoa_usage_key_t *key,
    const ngx_http_stoa_usage_row_t *row, ngx_uint_t level);
static uint64_t ngx_http_stoa_usage_slot(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_usage_key_t *key, uint64_t model, ngx_uint_t ways);
static uint64_t ngx_http_stoa_usage_find(ngx_http_stoa_counters_t *c,
    uint64_t hash, const ngx_http_stoa_usage_key_t *key, uint64_t model);
static uint64_t ngx_http_stoa_usage_claim(ngx_http_stoa_counters_t *c,
    uint64_t hash, const ngx_http_stoa_usage_key_t *key, uint64_t model,
    ngx_uint_t ways);
static void ngx_http_stoa_usage_count(ngx_http_stoa_counters_t *c,
    uint64_t slot, const ngx_http_stoa_usage_row_t *row);


/* How many slots of a set each level may take: some are kept for the coarser
 * keys, without which calls would be nobody's. */

static const ngx_uint_t  ngx_http_stoa_usage_ways[] = { 6, 7, 8, 8 };

#define USAGE_LEVELS                                                          \
    (sizeof(ngx_http_stoa_usage_ways) / sizeof(ngx_uint_t))


void
ngx_http_stoa_usage_add(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_usage_row_t *row)
{
    uint64_t                    slot;
    ngx_uint_t                  level;
    ngx_http_stoa_usage_key_t   key;

    slot = 0;

    for (level = 0; level < USAGE_LEVELS; level++) {
        ngx_http_stoa_usage_key(&key, row, level);

        slot = ngx_http_stoa_usage_slot(mcf, &key, level < 2 ? row->model : 0,
                                        ngx_http_stoa_usage_ways[level]);

        if (slot != 0) {
            break;
        }
    }

    if (level) {
        ngx_http_stoa_count(usage_folded, 1);
    }

    ngx_http_stoa_usage_count(mcf->counters, slot, row);
}


/* The coarser the level, the fewer rows there can be. */

static void
ngx_http_stoa_usage_key(ngx_http_stoa_usage_key_t *key,
    const ngx_http_stoa_usage_row_t *row, ngx_uint_t level)
{
    const ngx_str_t  *code;

    ngx_memzero(key, sizeof(ngx_http_stoa_usage_key_t));

    key->tenant = row->tenant;

    if (level < 3) {
        key->api = row->api;
    }

    if (level < 2) {
        key->application = row->application;
        key->subscription = row->subscription;
    }

    if (level < 1) {
        key->operation = row->operation;
        key->credential = row->credential;
    }

    if (row->refused && row->refused <= NGX_HTTP_STOA_REFUSE_MAX) {
        code = &ngx_http_stoa_refusals[row->refused - 1].code;
        ngx_memcpy(key->refused, code->data,
                   ngx_min(code->len, NGX_HTTP_STOA_REFUSED_LEN));
    }
}


/* 0: there is no room. */

static uint64_t
ngx_http_stoa_usage_slot(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_usage_key_t *key, uint64_t model, ngx_uint_t ways)
{
    uint64_t                   hash, slot;
    ngx_http_stoa_counters_t  *c;

    c = mcf->counters;

    hash = stoa_hash64(key, sizeof(ngx_http_stoa_usage_key_t),
                       c->head->seed + model);
    hash = (hash == 0 || hash == NGX_HTTP_STOA_USAGE_RETIRED) ? 1 : hash;

    slot = ngx_http_stoa_usage_find(c, hash, key, model);

    if (slot == 0) {
        ngx_http_stoa_lock_take(&mcf->dir->usage_lock);
        slot = ngx_http_stoa_usage_claim(c, hash, key, model, ways);
        ngx_http_stoa_lock_drop(&mcf->dir->usage_lock);
    }

    return slot;
}


static uint64_t
ngx_http_stoa_usage_find(ngx_http_stoa_counters_t *c, uint64_t hash,
    const ngx_http_stoa_usage_key_t *key, uint64_t model)
{
    uint64_t    set, slot;
    ngx_uint_t  s, i;

    for (s = 0; s < 2; s++) {
        set = (s ? hash >> 32 : hash & 0xffffffff) % c->head->usage_sets;
        slot = set * NGX_HTTP_STOA_COUNTERS_WAYS;

        for (i = 0; i < NGX_HTTP_STOA_COUNTERS_WAYS; i++, slot++) {
            if (ngx_http_stoa_load(&c->tags[slot]) == hash && slot != 0
                && c->usage[slot].model == model
                && ngx_memcmp(&c->usage[slot].key, key,
                              sizeof(ngx_http_stoa_usage_key_t))
                   == 0)
            {
                return slot;
            }
        }
    }

    return 0;
}


/* Under the lock.  The tag is written when the key is whole. */

static uint64_t
ngx_http_stoa_usage_claim(ngx_http_stoa_counters_t *c, uint64_t hash,
    const ngx_http_stoa_usage_key_t *key, uint64_t model, ngx_uint_t ways)
{
    uint64_t    set, slot;
    ngx_uint_t  s, i;

    slot = ngx_http_stoa_usage_find(c, hash, key, model);
    if (slot) {
        return slot;
    }

    for (s = 0; s < 2; s++) {
        set = (s ? hash >> 32 : hash & 0xffffffff) % c->head->usage_sets;
        slot = set * NGX_HTTP_STOA_COUNTERS_WAYS;

        for (i = 0; i < ways; i++, slot++) {
            if (slot == 0 || c->tags[slot] != 0) {
                continue;
            }

            c->usage[slot].key = *key;
            c->usage[slot].model = model;
            c->usage[slot].last_s = (uint64_t) ngx_time();
            ngx_http_stoa_store(&c->tags[slot], hash);

            return slot;
        }
    }

    return 0;
}


static void
ngx_http_stoa_usage_count(ngx_http_stoa_counters_t *c, uint64_t slot,
    const ngx_http_stoa_usage_row_t *row)
{
    uint64_t                     bit, *word;
    ngx_uint_t                   class, i;
    ngx_http_stoa_usage_slot_t  *u;

    u = &c->usage[slot];

    /* 1xx (101 of a tunnel) is a success, no status a client's fault */

    class = row->status / 100;
    class = (class == 1) ? 2 : class;
    class = (class < 2 || class > 5) ? 4 : class;

    ngx_http_stoa_add(&u->val.class[class - 2], row->part ? 0 : 1);
    ngx_http_stoa_add(&u->val.bytes_in, row->bytes_in);
    ngx_http_stoa_add(&u->val.bytes_out, row->bytes_out);

    for (i = 0; i < STOA_LLM_KINDS; i++) {
        if (row->tokens[i]) {
            ngx_http_stoa_add(&u->tokens[i], row->tokens[i]);
        }
    }

    __atomic_store_n(&u->last_s, (uint64_t) ngx_time(), __ATOMIC_RELAXED);

    /* in one order with the reader, who clears the bit before he reads: no
     * add is left behind a bit that looked set */

    (void) __atomic_fetch_add(&u->val.latency[
                                 ngx_http_stoa_usage_bucket(row->latency_us)],
                              row->part ? 0 : 1, __ATOMIC_SEQ_CST);

    word = &c->dirty[slot / 64];
    bit = 1ULL << slot % 64;

    if ((__atomic_load_n(word, __ATOMIC_SEQ_CST) & bit) == 0) {
        (void) __atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
    }
}


ngx_uint_t
ngx_http_stoa_usage_model(ngx_http_stoa_main_conf_t *mcf,
    const stoa_id_t *tenant, const char *name)
{
    uint64_t                      tag, had;
    ngx_uint_t                    i, of;
    ngx_http_stoa_usage_model_t  *m;

    m = mcf->counters->models;
    tag = stoa_hash64(tenant, sizeof(stoa_id_t), 1) | 1;

    for ( ;; ) {
        of = 0;

        for (i = 0; i < NGX_HTTP_STOA_USAGE_MODELS; i++) {
            had = ngx_http_stoa_load(&m[i].tag);

            if (had == 0) {
                break;
            }

            if (had == tag) {
                if (ngx_strcmp(m[i].name, name) == 0) {
                    return i + 1 + NGX_HTTP_STOA_USAGE_OTHER;
                }

                of++;
            }
        }

        if (i == NGX_HTTP_STOA_USAGE_MODELS
            || of == NGX_HTTP_STOA_USAGE_MODELS_OF)
        {
            return NGX_HTTP_STOA_USAGE_OTHER;
        }

        /* the tag makes it visible */

        ngx_http_stoa_lock_take(&mcf->dir->usage_lock);

        if (m[i].tag == 0) {
            (void) ngx_cpystrn((u_char *) m[i].name, (u_char *) name,
                               sizeof(m[i].name));
            ngx_http_stoa_store(&m[i].tag, tag);
        }

        ngx_http_stoa_lock_drop(&mcf->dir->usage_lock);
    }
}


const char *
ngx_http_stoa_usage_model_at(const ngx_http_stoa_counters_t *c, uint64_t model)
{
    if (model <= NGX_HTTP_STOA_USAGE_OTHER) {
        return model ? "other" : "";
    }

    model -= 1 + NGX_HTTP_STOA_USAGE_OTHER;

    return model < NGX_HTTP_STOA_USAGE_MODELS ? c->models[model].name : "";
}


void
ngx_http_stoa_usage_retire(ngx_http_stoa_main_conf_t *mcf, uint64_t slot,
    uint64_t now_s)
{
    uint64_t                   last, unused;
    ngx_http_stoa_counters_t  *c;

    c = mcf->counters;

    ngx_http_stoa_lock_take(&mcf->dir->usage_lock);

    last = __atomic_load_n(&c->usage[slot].last_s, __ATOMIC_RELAXED);
    unused = now_s > last ? now_s - last : 0;

    if (c->tags[slot] == NGX_HTTP_STOA_USAGE_RETIRED) {

        if (unused > NGX_HTTP_STOA_USAGE_REST_S) {
            ngx_http_stoa_store(&c->tags[slot], (uint64_t) 0);
        }

    } else if (unused > NGX_HTTP_STOA_USAGE_RETIRE_S) {
        ngx_http_stoa_store(&c->tags[slot], NGX_HTTP_STOA_USAGE_RETIRED);
        __atomic_store_n(&c->usage[slot].last_s, now_s, __ATOMIC_RELAXED);
    }

    ngx_http_stoa_lock_drop(&mcf->dir->usage_lock);
}


void
ngx_http_stoa_usage_fill(ngx_http_stoa_counters_t *c,
    ngx_http_stoa_usage_fill_t *fill)
{
    uint64_t  i, step;

    fill->quota_slots = c->head->quota_sets * NGX_HTTP_STOA_COUNTERS_WAYS;
    fill->quota_used = ngx_http_stoa_load(&c->head->quota_used);

    fill->usage_slots = c->nslots - 1;
    fill->usage_used = 0;
    step = 1 + fill->usage_slots / NGX_HTTP_STOA_FILL_SLOTS;

    for (i = 1; i < c->nslots; i += step) {
        fill->usage_used += c->tags[i] != 0;
    }

    fill->usage_used *= step;
}
