/*
 * Limits that gateways share: taking tokens, waiting for some, what is done
 * without Redis.
 */

#include "ngx_http_stoa_lease.h"
#include "core/stoa_gcra.h"
#include "core/stoa_key.h"


#define LEASE_SEED      0x73746f616c656173ULL
#define LEASE_SEED_2    0x73746f616c656132ULL
#define LEASE_MIX       0x9e3779b97f4a7c15ULL
#define LEASE_NO_GEN    256                     /* of no pool                */
#define LEASE_TURN      1                       /* ms, while calls wait      */


/* What a call keeps. */

typedef struct {
    ngx_queue_t            queue;
    ngx_http_stoa_ctx_t   *ctx;
    ngx_http_stoa_pool_t  *pool;                /* that it waits for         */
    uint64_t               need;
    uint64_t               until;               /* 0: it did not wait yet    */
    unsigned               linked:1;
} ngx_http_stoa_lease_call_t;


typedef struct {
    ngx_http_stoa_main_conf_t     *mcf;
    ngx_http_stoa_ctx_t           *ctx;
    ngx_http_stoa_lease_key_t     *key;
    const ngx_http_stoa_budget_t  *budgets;
    ngx_uint_t                     nbudgets;
    ngx_http_stoa_pool_t          *pool[NGX_HTTP_STOA_LEASE_BUDGETS];
    uint64_t                       word[NGX_HTTP_STOA_LEASE_BUDGETS];
    ngx_uint_t                     skip[NGX_HTTP_STOA_LEASE_BUDGETS];
    uint64_t                       n;
    uint64_t                       now;
    ngx_uint_t                     failure;
    ngx_http_stoa_verdict_t       *v;
} ngx_http_stoa_lease_t;


static ngx_int_t ngx_http_stoa_lease_decide(ngx_http_stoa_lease_t *l);
static ngx_int_t ngx_http_stoa_lease_pools(ngx_http_stoa_lease_t *l);
static void ngx_http_stoa_lease_name(ngx_http_stoa_lease_t *l,
    ngx_http_stoa_pool_t *pool, ngx_uint_t which);
static void ngx_http_stoa_lease_figures(ngx_http_stoa_lease_t *l,
    ngx_uint_t i);
static ngx_int_t ngx_http_stoa_lease_short(ngx_http_stoa_lease_t *l,
    ngx_uint_t *which);
static ngx_int_t ngx_http_stoa_lease_all(ngx_http_stoa_lease_t *l);
static ngx_int_t ngx_http_stoa_lease_undo(ngx_http_stoa_pool_t *pool,
    uint64_t gen, uint64_t n);
static void ngx_http_stoa_lease_told(ngx_http_stoa_lease_t *l,
    ngx_http_stoa_left_t *left);
static void ngx_http_stoa_lease_verdict(ngx_http_stoa_lease_t *l,
    ngx_uint_t i, ngx_int_t rc, ngx_http_stoa_verdict_t *v);
static ngx_int_t ngx_http_stoa_lease_lack(ngx_http_stoa_lease_t *l,
    ngx_uint_t i);
static ngx_int_t ngx_http_stoa_lease_alone(ngx_http_stoa_lease_t *l,
    ngx_uint_t i);
static ngx_int_t ngx_http_stoa_lease_share(ngx_http_stoa_lease_t *l,
    ngx_uint_t i);
static ngx_http_stoa_lease_call_t *ngx_http_stoa_lease_call(
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_lease_unlink(ngx_http_stoa_ctx_t *ctx, void *data);
static void ngx_http_stoa_lease_turn(ngx_event_t *ev);
static void ngx_http_stoa_lease_wake(void);


static ngx_queue_t  ngx_http_stoa_lease_waiters;
static ngx_uint_t   ngx_http_stoa_lease_nwaiters;
static ngx_event_t  ngx_http_stoa_lease_event;
static ngx_event_t  ngx_http_stoa_lease_posted;


ngx_int_t
ngx_http_stoa_lease_start(ngx_http_stoa_main_conf_t *mcf, ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_http_stoa_lease_waiters);

    ngx_http_stoa_lease_event.handler = ngx_http_stoa_lease_turn;
    ngx_http_stoa_lease_event.data = &ngx_http_stoa_lease_waiters;
    ngx_http_stoa_lease_event.log = cycle->log;

    ngx_http_stoa_lease_posted = ngx_http_stoa_lease_event;

    return ngx_http_stoa_pool_open(mcf, cycle) == NGX_OK
           ? ngx_http_stoa_lease_ask_start(mcf, cycle,
                                           ngx_http_stoa_lease_wake)
           : NGX_ERROR;
}


void
ngx_http_stoa_lease_stop(void)
{
    ngx_http_stoa_lease_ask_stop();
    ngx_http_stoa_pool_close();
}


/* ---- taking ------------------------------------------------------------ */

ngx_int_t
ngx_http_stoa_lease_take(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_lease_key_t *key,
    const ngx_http_stoa_budget_t *budgets, ngx_uint_t nbudgets, uint64_t n,
    ngx_uint_t failure, ngx_http_stoa_verdict_t *v,
    ngx_http_stoa_left_t *left)
{
    ngx_int_t                    rc;
    ngx_http_stoa_lease_t        l;
    ngx_http_stoa_lease_call_t  *call;

    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));
    ngx_memzero(l.skip, sizeof(l.skip));
    ngx_memzero(key->held, sizeof(key->held));

    l.mcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_stoa_module);
    l.ctx = ctx;
    l.key = key;
    l.budgets = budgets;
    l.nbudgets = nbudgets;
    l.n = n;
    l.now = ngx_http_stoa_lease_now();
    l.failure = failure;
    l.v = v;

    if (ngx_http_stoa_lease_pools(&l) != NGX_OK) {
        ngx_http_stoa_count(lease_full, 1);
        return NGX_DECLINED;
    }

    rc = ngx_http_stoa_lease_decide(&l);
    call = ctx->call.lease;

    if (call && rc != NGX_AGAIN) {
        call->until = 0;
    }

    if (rc == NGX_OK) {
        ngx_http_stoa_lease_told(&l, left);
    }

    return rc;
}


static ngx_int_t
ngx_http_stoa_lease_decide(ngx_http_stoa_lease_t *l)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    for ( ;; ) {

        if (ngx_http_stoa_lease_short(l, &i) == NGX_OK) {

            if (ngx_http_stoa_lease_all(l) == NGX_OK) {
                return NGX_OK;
            }

            continue;
        }

        rc = ngx_http_stoa_lease_lack(l, i);

        if (rc != NGX_OK) {
            return rc;
        }

        l->skip[i] = 1;
    }
}


static ngx_int_t
ngx_http_stoa_lease_pools(ngx_http_stoa_lease_t *l)
{
    uint64_t                     tag, waited;
    ngx_uint_t                   i;
    ngx_http_stoa_pool_t        *pool;
    ngx_http_stoa_lease_call_t  *call;

    call = l->ctx->call.lease;
    waited = call && call->until;

    for (i = 0; i < l->nbudgets; i++) {
        tag = (l->key->key + l->budgets[i].which) * LEASE_MIX | 1;
        pool = ngx_http_stoa_pool_get(tag, l->now, l->key->ways
                                                   ? l->key->ways
                                                   : NGX_HTTP_STOA_POOL_WAYS);

        if (pool == NULL) {
            return NGX_DECLINED;
        }

        l->pool[i] = pool;

        if (pool->name[1] == 0) {
            ngx_http_stoa_lease_name(l, pool, l->budgets[i].which);
        }

        if (pool->limit != l->budgets[i].limit
            || pool->interval_ns != l->budgets[i].interval_ns)
        {
            ngx_http_stoa_lease_figures(l, i);
        }

        pool->zone = (uint16_t) l->budgets[i].zone;
        pool->hold = l->failure == STOA_ON_STORE_FAILURE_LOCAL_SHARE;
        pool->owes = l->key->owes;

        if (!waited) {
            ngx_http_stoa_add(&pool->arrivals, l->n);
        }

        if (pool->used_ms / 64 != l->now / 64) {
            ngx_http_stoa_store(&pool->used_ms, l->now);
            ngx_http_stoa_pool_mark(pool);
        }
    }

    return NGX_OK;
}


/* What it is called in Redis. */

static void
ngx_http_stoa_lease_name(ngx_http_stoa_lease_t *l, ngx_http_stoa_pool_t *pool,
    ngx_uint_t which)
{
    struct {
        stoa_id_t  ids[2];
        uint64_t   which;
        uint64_t   group;
    } name;

    ngx_memzero(&name, sizeof(name));
    ngx_memcpy(name.ids, l->key->ids, sizeof(name.ids));
    name.which = which;
    name.group = stoa_hash64(l->mcf->group.data, l->mcf->group.len, 1);

    pool->which = (uint16_t) which;
    pool->name[0] = stoa_hash64(&name, sizeof(name), LEASE_SEED);
    pool->name[1] = stoa_hash64(&name, sizeof(name), LEASE_SEED_2) | 1;
}


/* The plan says otherwise: what was leased under the old one goes back. */

static void
ngx_http_stoa_lease_figures(ngx_http_stoa_lease_t *l, ngx_uint_t i)
{
    ngx_uint_t             first;
    ngx_http_stoa_pool_t  *pool;

    pool = l->pool[i];
    first = pool->limit == 0;

    ngx_http_stoa_store(&pool->none, (uint64_t) 0);
    pool->limit = l->budgets[i].limit;
    pool->interval_ns = l->budgets[i].interval_ns;

    if (!first) {
        (void) ngx_http_stoa_lease_ask(pool, 0, NGX_HTTP_STOA_LEASE_ANEW);
    }
}


/* NGX_OK: there is enough of each; NGX_DECLINED: not of this one. */

static ngx_int_t
ngx_http_stoa_lease_short(ngx_http_stoa_lease_t *l, ngx_uint_t *which)
{
    ngx_uint_t  i;

    for (i = 0; i < l->nbudgets; i++) {

        if (l->skip[i]) {
            continue;
        }

        l->word[i] = ngx_http_stoa_load(&l->pool[i]->word);

        if (stoa_lease_tokens(l->word[i]) < l->n
            || !stoa_lease_live(l->word[i], l->now))
        {
            *which = i;
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* NGX_AGAIN: one has changed meanwhile, nothing was taken. */

static ngx_int_t
ngx_http_stoa_lease_all(ngx_http_stoa_lease_t *l)
{
    uint64_t               one;
    ngx_uint_t             i;
    ngx_http_stoa_pool_t  *pool;

    one = l->n << 40;

    for (i = 0; i < l->nbudgets; i++) {

        if (l->skip[i]) {
            continue;
        }

        if (!ngx_http_stoa_cas(&l->pool[i]->word, &l->word[i],
                               l->word[i] - one))
        {
            while (i--) {
                if (!l->skip[i]) {
                    ngx_http_stoa_lease_settle(&l->key->held[i], l->n, 0);
                }
            }

            return NGX_AGAIN;
        }

        l->word[i] -= one;
        l->key->held[i].tag = l->pool[i]->tag;
        l->key->held[i].gen = stoa_lease_gen(l->word[i]);
    }

    for (i = 0; i < l->nbudgets; i++) {
        pool = l->pool[i];

        if (l->skip[i]) {
            continue;
        }

        if (pool->grant >= 4
            && stoa_lease_tokens(l->word[i]) <= pool->grant / 2
            && pool->contact_ms + 5 <= l->now && pool->none <= l->now
            && pool->ask == 0 && !ngx_http_stoa_lease_away())
        {
            (void) ngx_http_stoa_lease_ask(pool, 0, NGX_HTTP_STOA_LEASE_MORE);
        }
    }

    return NGX_OK;
}


/* What was taken for nothing.  A message since then has told Redis that it is
 * spent. */

static ngx_int_t
ngx_http_stoa_lease_undo(ngx_http_stoa_pool_t *pool, uint64_t gen, uint64_t n)
{
    uint64_t  word;

    word = ngx_http_stoa_load(&pool->word);

    while (stoa_lease_gen(word) == gen) {
        if (ngx_http_stoa_cas(&pool->word, &word, word + (n << 40))) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_stoa_lease_settle(ngx_http_stoa_held_t *held, uint64_t had,
    uint64_t used)
{
    uint64_t               word, n, now;
    ngx_http_stoa_pool_t  *pool;

    pool = held->tag && had != used ? ngx_http_stoa_pool_find(held->tag)
                                    : NULL;
    held->tag = 0;

    if (pool == NULL) {                          /* it has refilled since    */
        return;
    }

    if (used < had) {
        if (ngx_http_stoa_lease_undo(pool, held->gen, had - used) == NGX_OK) {
            used = had;

        } else {
            ngx_http_stoa_count(lease_credited, had - used);
            ngx_http_stoa_store(&pool->none, (uint64_t) 0);
        }

    } else {
        now = ngx_http_stoa_lease_now();
        word = ngx_http_stoa_load(&pool->word);

        do {
            n = stoa_lease_live(word, now) ? stoa_lease_tokens(word) : 0;
            n = ngx_min(n, used - had);

        } while (n && !ngx_http_stoa_cas(&pool->word, &word,
                                         word - (n << 40)));

        used -= n;
    }

    ngx_http_stoa_add(&pool->owed, used - had);
    ngx_http_stoa_pool_mark(pool);

    /* near the end nobody keeps what another one's call may need */

    if (had > 1 && pool->avail <= 4 * (pool->nodes + 1) * had
        && !ngx_http_stoa_lease_away())
    {
        (void) ngx_http_stoa_lease_ask(pool, 0, NGX_HTTP_STOA_LEASE_BACK);
    }
}


/* ---- what is told ------------------------------------------------------ */

static void
ngx_http_stoa_lease_told(ngx_http_stoa_lease_t *l, ngx_http_stoa_left_t *left)
{
    ngx_uint_t               i;
    ngx_http_stoa_verdict_t  v;

    for (i = 0; i < l->nbudgets; i++) {

        if (l->skip[i]) {
            continue;
        }

        ngx_http_stoa_lease_verdict(l, i, NGX_OK, &v);

        left[v.which].known = 1;
        left[v.which].remaining = v.remaining;
        left[v.which].reset_ms = v.reset_ms;

        if (l->v->limit == 0 || v.remaining < l->v->remaining) {
            *l->v = v;
        }
    }
}


/* What the pool has and what Redis had left: with several gateways an upper
 * value. */

static void
ngx_http_stoa_lease_verdict(ngx_http_stoa_lease_t *l, ngx_uint_t i,
    ngx_int_t rc, ngx_http_stoa_verdict_t *v)
{
    int64_t                wall;
    uint64_t               left;
    ngx_http_stoa_pool_t  *pool;

    pool = l->pool[i];
    left = rc == NGX_OK ? stoa_lease_tokens(l->word[i])
                          + ngx_http_stoa_load(&pool->avail) : 0;

    v->rc = rc;
    v->which = l->budgets[i].which;
    v->limit = l->budgets[i].limit;
    v->remaining = ngx_min(left, v->limit);

    if (v->which == NGX_HTTP_STOA_LIMIT_RATE) {
        v->reset_ms = (v->limit - v->remaining) * l->budgets[i].interval_ns
                      / 1000000;

    } else {
        wall = ngx_http_stoa_now_ms();
        v->reset_ms = pool->pe > wall ? pool->pe - wall : 0;
    }

    v->retry_ms = 0;

    if (rc != NGX_OK) {
        v->retry_ms = pool->retry_ms > l->now ? pool->retry_ms - l->now : 1;

        if (v->which != NGX_HTTP_STOA_LIMIT_RATE && v->reset_ms) {
            v->retry_ms = v->reset_ms;
        }
    }
}


/* ---- there is too little ----------------------------------------------- */

/* NGX_OK: it passes without; else what take() says. */

static ngx_int_t
ngx_http_stoa_lease_lack(ngx_http_stoa_lease_t *l, ngx_uint_t i)
{
    uint64_t                     none;
    ngx_http_stoa_pool_t        *pool;
    ngx_http_stoa_lease_call_t  *call;

    pool = l->pool[i];
    none = ngx_http_stoa_load(&pool->none);

    if ((none & ~NGX_HTTP_STOA_POOL_RECOVERS) > l->now) {

        if (none & NGX_HTTP_STOA_POOL_RECOVERS) {
            return ngx_http_stoa_lease_alone(l, i);
        }

        ngx_http_stoa_lease_verdict(l, i, NGX_BUSY, l->v);
        return NGX_BUSY;
    }

    call = ngx_http_stoa_lease_call(l->ctx);

    if (call == NULL || ngx_http_stoa_lease_away()
        || ngx_http_stoa_lease_nwaiters >= NGX_HTTP_STOA_LEASE_WAITERS)
    {
        return ngx_http_stoa_lease_alone(l, i);
    }

    if (call->until == 0) {
        call->until = l->now + l->mcf->redis->timeout;
        ngx_http_stoa_count(lease_waited, 1);

    } else if (call->until <= l->now) {
        ngx_http_stoa_lease_failed("no answer in time");
        return ngx_http_stoa_lease_alone(l, i);
    }

    (void) ngx_http_stoa_lease_ask(pool, l->n, NGX_HTTP_STOA_LEASE_MORE);

    call->pool = pool;
    call->need = l->n;
    call->linked = 1;
    ngx_queue_insert_tail(&ngx_http_stoa_lease_waiters, &call->queue);
    ngx_http_stoa_lease_nwaiters++;

    if (!ngx_http_stoa_lease_event.timer_set) {
        ngx_add_timer(&ngx_http_stoa_lease_event, LEASE_TURN);
    }

    return ngx_http_stoa_ctx_suspend(l->ctx->request);
}


/* Redis is away: as the plan says. */

static ngx_int_t
ngx_http_stoa_lease_alone(ngx_http_stoa_lease_t *l, ngx_uint_t i)
{
    switch (l->failure) {

    case STOA_ON_STORE_FAILURE_ALLOW:
        ngx_http_stoa_count(limits_allowed, 1);
        l->ctx->call.degraded = "allow";
        return NGX_OK;

    case STOA_ON_STORE_FAILURE_LOCAL_SHARE:
        l->ctx->call.degraded = "local_share";
        return ngx_http_stoa_lease_share(l, i);

    default:
        ngx_http_stoa_count(limits_denied, 1);
        l->ctx->call.degraded = "deny";
        return NGX_ERROR;
    }
}


/*
 * The nodes that were there have a part of it each.  Of a rate it begins when
 * the row of this node in Redis is surely dead, and empty: what was leased
 * before was counted as spent.  Of a quota it is half of a part of what was
 * left, once.
 */

static ngx_int_t
ngx_http_stoa_lease_share(ngx_http_stoa_lease_t *l, ngx_uint_t i)
{
    uint64_t               old, start, nodes, most;
    stoa_gcra_t            gcra;
    stoa_gcra_verdict_t    gv;
    ngx_http_stoa_pool_t  *pool;

    pool = l->pool[i];
    nodes = ngx_max(ngx_http_stoa_load(&ngx_http_stoa_pool_head()->nodes), 1);
    old = ngx_http_stoa_load(&pool->share);

    if (pool->which == NGX_HTTP_STOA_LIMIT_RATE) {
        most = ngx_max(pool->limit / nodes, 1);
        gcra.interval_ns = pool->interval_ns * nodes;
        gcra.burst_ns = gcra.interval_ns * (most - 1);
        gcra.debt_ns = 0;

        if (l->n > most) {
            goto none;
        }

        if (old == 0) {
            start = ngx_max(pool->contact_ms,
                         ngx_http_stoa_load(&l->mcf->sh->limits_down));
            start = (start + NGX_HTTP_STOA_LEASE_RATE_TTL * 5 / 4) * 1000000;

            if (start > l->now * 1000000) {
                pool->retry_ms = start / 1000000;
                goto none;
            }

            start = l->now * 1000000 + gcra.burst_ns + gcra.interval_ns;
            (void) ngx_http_stoa_cas(&pool->share, &old, start);
            old = ngx_http_stoa_load(&pool->share);
        }

        do {
            stoa_gcra_decide(&gcra, l->n, old, l->now * 1000000, &gv);
            pool->retry_ms = l->now + gv.retry_ns / 1000000 + 1;

            if (!gv.allowed) {
                goto none;
            }

        } while (!ngx_http_stoa_cas(&pool->share, &old, gv.tat_ns));

    } else {

        /* what there is, and one */

        if (old == 0) {
            (void) ngx_http_stoa_cas(&pool->share, &old,
                                     pool->avail / (2 * nodes) + 1);
            old = ngx_http_stoa_load(&pool->share);
        }

        do {
            if (old <= l->n) {
                ngx_http_stoa_count(limits_denied, 1);
                return NGX_ERROR;
            }

        } while (!ngx_http_stoa_cas(&pool->share, &old, old - l->n));
    }

    ngx_http_stoa_add(&pool->owed, l->n);
    ngx_http_stoa_count(limits_shared, 1);
    l->key->held[i].tag = pool->tag;
    l->key->held[i].gen = LEASE_NO_GEN;

    return NGX_OK;

none:

    ngx_http_stoa_lease_verdict(l, i, NGX_BUSY, l->v);

    return NGX_BUSY;
}


/* ---- waiting ----------------------------------------------------------- */

static ngx_http_stoa_lease_call_t *
ngx_http_stoa_lease_call(ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_lease_call_t  *call;

    call = ctx->call.lease;

    if (call == NULL) {
        call = ngx_pcalloc(ctx->request->pool,
                           sizeof(ngx_http_stoa_lease_call_t));

        if (call == NULL
            || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_lease_unlink,
                                          call)
               != NGX_OK)
        {
            return NULL;
        }

        call->ctx = ctx;
        ctx->call.lease = call;
    }

    return call;
}


static void
ngx_http_stoa_lease_unlink(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_lease_call_t *call = data;

    if (call->linked) {
        call->linked = 0;
        ngx_queue_remove(&call->queue);
        ngx_http_stoa_lease_nwaiters--;
    }
}


/* An answer has come to this worker. */

static void
ngx_http_stoa_lease_wake(void)
{
    if (ngx_http_stoa_lease_nwaiters) {
        ngx_post_event(&ngx_http_stoa_lease_posted, &ngx_posted_events);
    }
}


/* Those whose pool has something, or for whom there is none; answers to other
 * workers' messages are seen by a look. */

static void
ngx_http_stoa_lease_turn(ngx_event_t *ev)
{
    uint64_t                     now, word;
    ngx_uint_t                   away;
    ngx_queue_t                  ready, *q, *next;
    ngx_http_stoa_lease_call_t  *call;

    ngx_queue_init(&ready);
    now = ngx_http_stoa_lease_now();
    away = ngx_http_stoa_lease_away();

    for (q = ngx_queue_head(&ngx_http_stoa_lease_waiters);
         q != ngx_queue_sentinel(&ngx_http_stoa_lease_waiters);
         q = next)
    {
        next = ngx_queue_next(q);
        call = ngx_queue_data(q, ngx_http_stoa_lease_call_t, queue);
        word = ngx_http_stoa_load(&call->pool->word);

        if (away || call->until <= now
            || ngx_http_stoa_load(&call->pool->ask) == 0
            || (stoa_lease_tokens(word) >= call->need
                && stoa_lease_live(word, now))
            || (call->pool->none & ~NGX_HTTP_STOA_POOL_RECOVERS) > now)
        {
            ngx_queue_remove(q);
            ngx_queue_insert_tail(&ready, q);
        }
    }

    while (!ngx_queue_empty(&ready)) {
        call = ngx_queue_data(ngx_queue_head(&ready),
                              ngx_http_stoa_lease_call_t, queue);

        ngx_http_stoa_lease_unlink(call->ctx, call);
        ngx_http_stoa_ctx_wake(call->ctx->request);
    }

    if (ngx_http_stoa_lease_nwaiters
        && !ngx_http_stoa_lease_event.timer_set)
    {
        ngx_add_timer(&ngx_http_stoa_lease_event, LEASE_TURN);
    }
}
