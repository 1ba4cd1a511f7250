/*
 * Asking for leases: the message, its answer, who looks after pools, and
 * whether Redis is there.
 *
 * A message is written into the pool before it is sent, and one without an
 * answer is sent again as it is, by whoever asks next, until it has one: the
 * script grants it once, and `applied` has its answer counted once.
 */

#include "ngx_http_stoa_lease.h"
#include "core/stoa_gcra.h"

#include <openssl/sha.h>


#define LEASE_QUOTA_TTL  5000                   /* ms                        */
#define LEASE_HOLD       60000
#define LEASE_RATE_AHEAD   500
#define LEASE_QUOTA_AHEAD  2000
#define LEASE_IDLE       1000
#define LEASE_TICK       100
#define LEASE_KEEPER     300
#define LEASE_ALONE      100                    /* until another asks        */
#define LEASE_NONE       1000
#define LEASE_PER_TICK   2048

enum { LEASE_DUP = 1, LEASE_OLD = 2, LEASE_HEAL = 4, LEASE_RECOVER = 8,
       LEASE_GAP = 16 };

/* What an answer holds. */

enum { LEASE_G = 0, LEASE_LEFT, LEASE_AVAIL, LEASE_RETRY, LEASE_N, LEASE_FLAGS,
       LEASE_PE, LEASE_CUM, LEASE_MARK, LEASE_PS, LEASE_ITEMS };


typedef struct {
    ngx_http_stoa_pool_t  *pool;
    uint64_t               ep;
    uint64_t               seq;
    uint64_t               ask;
    uint64_t               sent_ms;
    ngx_uint_t             bye;
} ngx_http_stoa_lease_asked_t;


static void ngx_http_stoa_lease_restart(ngx_http_stoa_pool_t *pool);
static void ngx_http_stoa_lease_compose(ngx_http_stoa_pool_t *pool,
    uint64_t need, ngx_http_stoa_lease_why_e why, uint64_t now);
static ngx_int_t ngx_http_stoa_lease_send(ngx_http_stoa_pool_t *pool,
    uint64_t ask, uint64_t now);
static void ngx_http_stoa_lease_answer(redisReply *reply, const char *why,
    void *data);
static void ngx_http_stoa_lease_apply(ngx_http_stoa_lease_asked_t *a,
    const int64_t *v);
static void ngx_http_stoa_lease_wait(ngx_http_stoa_pool_t *pool,
    const int64_t *v, uint64_t now);
static void ngx_http_stoa_lease_there(void);
static void ngx_http_stoa_lease_pong(redisReply *reply, const char *why,
    void *data);
static void ngx_http_stoa_lease_keep(ngx_event_t *ev);
static void ngx_http_stoa_lease_look(ngx_http_stoa_pool_t *pool);
static void ngx_http_stoa_lease_leave(void);
static void ngx_http_stoa_lease_leave_one(ngx_http_stoa_pool_t *pool);


/* The assembler finds it through the compiler's -I of this folder. */

__asm__(".pushsection .rodata\n"
        "ngx_http_stoa_lease_script:\n"
        ".incbin \"stoa_lease.lua\"\n"
        ".byte 0\n"
        ".popsection\n");

extern const char  ngx_http_stoa_lease_script[]
    __attribute__((visibility("hidden")));


static ngx_http_stoa_main_conf_t  *ngx_http_stoa_lease_conf;
static void                      (*ngx_http_stoa_lease_changed)(void);
static char                        ngx_http_stoa_lease_sha1[41];
static size_t                      ngx_http_stoa_lease_len;
static ngx_event_t                 ngx_http_stoa_lease_timer;
static ngx_uint_t                  ngx_http_stoa_lease_asked;


uint64_t
ngx_http_stoa_lease_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_BOOTTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


ngx_int_t
ngx_http_stoa_lease_ask_start(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, void (*changed)(void))
{
    u_char  sum[SHA_DIGEST_LENGTH];

    ngx_http_stoa_lease_conf = mcf;
    ngx_http_stoa_lease_changed = changed;
    ngx_http_stoa_lease_len = strlen(ngx_http_stoa_lease_script);

    SHA1((u_char *) ngx_http_stoa_lease_script, ngx_http_stoa_lease_len, sum);
    (void) ngx_hex_dump((u_char *) ngx_http_stoa_lease_sha1, sum, sizeof(sum));

    ngx_http_stoa_lease_timer.handler = ngx_http_stoa_lease_keep;
    ngx_http_stoa_lease_timer.data = mcf;
    ngx_http_stoa_lease_timer.log = cycle->log;
    ngx_http_stoa_lease_timer.cancelable = 1;
    ngx_add_timer(&ngx_http_stoa_lease_timer, LEASE_TICK);

    return ngx_http_stoa_redis_start(mcf->redis, cycle,
                                     ngx_http_stoa_lease_leave);
}


void
ngx_http_stoa_lease_ask_stop(void)
{
    if (ngx_http_stoa_lease_conf) {
        ngx_http_stoa_redis_stop();
        ngx_http_stoa_lease_conf = NULL;
    }
}


/* ---- asking ------------------------------------------------------------ */

ngx_int_t
ngx_http_stoa_lease_ask(ngx_http_stoa_pool_t *pool, uint64_t need,
    ngx_http_stoa_lease_why_e why)
{
    uint64_t   now, old, mine;
    ngx_int_t  rc;

    now = ngx_http_stoa_lease_now();
    old = ngx_http_stoa_load(&pool->ask);

    if (old && (int32_t) ((uint32_t) old - (uint32_t) now) > 0) {
        return NGX_OK;
    }

    mine = (uint64_t) ngx_pid << 32 | (uint32_t) (now + LEASE_ALONE);

    if (!ngx_http_stoa_cas(&pool->ask, &old, mine)) {
        return NGX_OK;
    }

    ngx_http_stoa_pool_mark(pool);

    /* who was killed, or slept too long, between two words of it has left a
     * message whose answer would never count */

    if (pool->seq - ngx_http_stoa_load(&pool->applied) > 1) {
        ngx_http_stoa_lease_restart(pool);
    }

    if (ngx_http_stoa_load(&pool->applied) == pool->seq) {
        ngx_http_stoa_lease_compose(pool, need, why, now);
    }

    rc = ngx_http_stoa_lease_send(pool, mine, now);

    if (rc != NGX_OK) {
        (void) ngx_http_stoa_cas(&pool->ask, &mine, 0);
    }

    return rc;
}


/* Whatever it had is no more: Redis has counted it as spent. */

static void
ngx_http_stoa_lease_restart(ngx_http_stoa_pool_t *pool)
{
    uint64_t  word;

    word = ngx_http_stoa_load(&pool->word);

    while (!ngx_http_stoa_cas(&pool->word, &word,
                              stoa_lease_word(0, stoa_lease_gen(word) + 1, 0)))
    {
        /* void */
    }

    pool->ep = ngx_max(pool->ep + 1, ngx_http_stoa_lease_now() * 1000);
    pool->seq = 0;
    pool->grant = 0;
    ngx_http_stoa_store(&pool->applied, (uint64_t) 0);

    if (pool->which == NGX_HTTP_STOA_LIMIT_RATE) {
        pool->cum = 0;
    }
}


/* By who has won `ask`, while no other message waits for its answer. */

static void
ngx_http_stoa_lease_compose(ngx_http_stoa_pool_t *pool, uint64_t need,
    ngx_http_stoa_lease_why_e why, uint64_t now)
{
    int64_t   owed;
    uint64_t  word, tokens, back, ahead;

    word = ngx_http_stoa_load(&pool->word);

    if ((uint32_t) word && !stoa_lease_live(word, now)
        && pool->which == NGX_HTTP_STOA_LIMIT_RATE)
    {
        ngx_http_stoa_lease_restart(pool);
        word = ngx_http_stoa_load(&pool->word);
    }

    /* what is said to be left is left no longer for who gives back */

    do {
        tokens = stoa_lease_live(word, now) ? stoa_lease_tokens(word) : 0;
        back = why == NGX_HTTP_STOA_LEASE_MORE ? 0 : tokens;

    } while (!ngx_http_stoa_cas(&pool->word, &word,
                                stoa_lease_word(tokens - back,
                                                stoa_lease_gen(word) + 1,
                                                (uint64_t) (uint32_t) word
                                                * STOA_LEASE_TICK_MS)));

    ahead = pool->which == NGX_HTTP_STOA_LIMIT_RATE ? LEASE_RATE_AHEAD
                                                    : LEASE_QUOTA_AHEAD;
    pool->rem = tokens - back;
    pool->back = back;
    pool->need = (uint32_t) (need > pool->rem
                             ? ngx_min(need - pool->rem, UINT32_MAX) : 0);
    pool->want = why == NGX_HTTP_STOA_LEASE_BACK ? 0
                 : stoa_lease_want(pool->demand, ahead, pool->rem, pool->grant,
                                   now - pool->contact_ms > ahead,
                                   ngx_max(need, 1), pool->limit);
    owed = (int64_t) __atomic_exchange_n(&pool->owed, 0, __ATOMIC_ACQ_REL);

    if (owed > 0 && !pool->owes) {
        pool->cum += owed;
        owed = 0;
    }

    pool->credit = (int32_t) -ngx_max(ngx_min(owed, INT32_MAX), -INT32_MAX);
    pool->sent_cum = pool->cum;

    ngx_http_stoa_store(&pool->seq, pool->seq + 1);

    ngx_http_stoa_count(lease_returned, back);
}


static ngx_int_t
ngx_http_stoa_lease_send(ngx_http_stoa_pool_t *pool, uint64_t ask,
    uint64_t now)
{
    int                           argc;
    u_char                       *p, *end, *q, text[1024];
    size_t                        lens[25];
    int64_t                       at[4];
    uint64_t                      el, ttl;
    ngx_int_t                     rc;
    ngx_uint_t                    shard, rate;
    const char                   *argv[25], *zone;
    ngx_http_stoa_pools_t        *head;
    ngx_http_stoa_redis_conf_t   *conf;
    ngx_http_stoa_lease_asked_t  *a;

    conf = ngx_http_stoa_lease_conf->redis;
    head = ngx_http_stoa_pool_head();
    rate = pool->which == NGX_HTTP_STOA_LIMIT_RATE;
    ttl = rate ? NGX_HTTP_STOA_LEASE_RATE_TTL : LEASE_QUOTA_TTL;
    shard = pool->name[0] >> 54;
    el = now - pool->contact_ms;
    ngx_memzero(at, sizeof(at));

    if (!rate) {
        zone = head->zones[pool->zone];
        stoa_window_bounds(pool->which == NGX_HTTP_STOA_LIMIT_DAY
                           ? STOA_WINDOW_DAY : STOA_WINDOW_MONTH,
                           ngx_http_stoa_calendar_zone(zone, strlen(zone)),
                           (int64_t) ngx_http_stoa_wall_ms(), at);
    }

    a = ngx_alloc(sizeof(ngx_http_stoa_lease_asked_t), ngx_cycle->log);
    if (a == NULL) {
        return NGX_ERROR;
    }

    end = text + sizeof(text);
    p = ngx_slprintf(text, end, "%V:{l%03xi}:b:%016xL%016xL %V:{l%03xi}:m %s "
                     "%s %uL %uL %uL %uL %uL %uL %uL ",
                     &conf->prefix, shard, pool->name[0], pool->name[1],
                     &conf->prefix, shard, rate ? "r" : "q", head->node,
                     pool->ep, pool->seq, pool->rem, pool->back, pool->want,
                     (uint64_t) pool->need, pool->sent_cum);
    p = ngx_slprintf(p, end, "%uL %ui %L %uL %uL %uL.%03uL %L %L %L %L %L "
                     "%D ",
                     ttl * 1000, rate && pool->hold ? LEASE_HOLD * 1000 : 0,
                     pool->contact_ms ? (int64_t) (el * 1001 + 2000) : -1,
                     head->born[shard], pool->limit,
                     pool->interval_ns / 1000, pool->interval_ns % 1000,
                     pool->ps, at[0], at[1], at[2], at[3],
                     pool->credit);

    argv[0] = ngx_http_stoa_lease_script;
    lens[0] = ngx_http_stoa_lease_len;
    argv[1] = "2";
    lens[1] = 1;
    argc = 2;

    for (q = text; q < p && argc < 25; q += lens[argc++] + 1) {
        argv[argc] = (char *) q;
        lens[argc] = ngx_strlchr(q, p, ' ') - q;
    }

    a->pool = pool;
    a->ep = pool->ep;
    a->seq = pool->seq;
    a->ask = ask;
    a->sent_ms = now;
    a->bye = pool->want == 0 && pool->rem == 0;

    rc = ngx_http_stoa_redis_script(shard, ngx_http_stoa_lease_sha1, argc,
                                    argv, lens, ngx_http_stoa_lease_answer, a);
    if (rc == NGX_OK) {
        ngx_http_stoa_count(lease_asked, 1);
    } else {
        ngx_free(a);
    }

    return rc;
}


/* ---- the answer -------------------------------------------------------- */

static void
ngx_http_stoa_lease_answer(redisReply *reply, const char *why, void *data)
{
    int64_t                       v[LEASE_ITEMS];
    ngx_uint_t                    i;
    ngx_http_stoa_lease_asked_t  *a = data;

    i = 0;

    if (reply && reply->type == REDIS_REPLY_ARRAY
        && reply->elements == LEASE_ITEMS)
    {
        for ( /* void */ ; i < LEASE_ITEMS; i++) {
            if (reply->element[i]->type != REDIS_REPLY_INTEGER
                || reply->element[i]->integer < 0)
            {
                break;
            }

            v[i] = reply->element[i]->integer;
        }
    }

    if (i < LEASE_ITEMS || v[LEASE_G] > (int64_t) STOA_LEASE_TOKENS / 2) {

        if (reply) {
            why = reply->type == REDIS_REPLY_ERROR ? reply->str
                                                   : "an answer of another "
                                                     "script";
        }

        ngx_http_stoa_count(lease_failed, 1);
        (void) ngx_http_stoa_cas(&a->pool->ask, &a->ask, 0);
        ngx_http_stoa_lease_failed(why);

    } else {
        ngx_http_stoa_lease_apply(a, v);
        (void) ngx_http_stoa_cas(&a->pool->ask, &a->ask, 0);
        ngx_http_stoa_lease_there();
    }

    ngx_free(a);
    ngx_http_stoa_lease_changed();
}


static void
ngx_http_stoa_lease_apply(ngx_http_stoa_lease_asked_t *a, const int64_t *v)
{
    uint64_t                until, word, tokens, before, now;
    ngx_http_stoa_pool_t   *pool;
    ngx_http_stoa_pools_t  *head;

    pool = a->pool;
    head = ngx_http_stoa_pool_head();
    now = ngx_http_stoa_lease_now();
    before = a->seq - 1;

    if (pool->ep != a->ep) {
        return;
    }

    if (v[LEASE_FLAGS] & LEASE_OLD) {
        ngx_http_stoa_lease_restart(pool);
        return;
    }

    if (!ngx_http_stoa_cas(&pool->applied, &before, a->seq)) {
        return;
    }

    ngx_http_stoa_count(lease_replayed, (v[LEASE_FLAGS] & LEASE_DUP) != 0);
    ngx_http_stoa_count(lease_healed, (v[LEASE_FLAGS] & LEASE_HEAL) != 0);
    ngx_http_stoa_count(lease_granted, v[LEASE_G]);

    pool->cum = v[LEASE_CUM];
    pool->share = 0;
    pool->grant = v[LEASE_G];
    pool->avail = v[LEASE_AVAIL];
    pool->nodes = v[LEASE_N];
    ngx_http_stoa_store(&pool->contact_ms, a->sent_ms);
    ngx_http_stoa_store(&head->born[pool->name[0] >> 54], v[LEASE_MARK]);
    ngx_http_stoa_store(&head->nodes, ngx_max(v[LEASE_N], 1));

    until = stoa_lease_until(a->sent_ms, v[LEASE_LEFT]);
    word = ngx_http_stoa_load(&pool->word);

    do {
        tokens = stoa_lease_live(word, now) && pool->ps == v[LEASE_PS]
                 ? stoa_lease_tokens(word) : 0;
        tokens = ngx_min(tokens + v[LEASE_G], STOA_LEASE_TOKENS);

    } while (!ngx_http_stoa_cas(&pool->word, &word,
                                stoa_lease_word(tokens,
                                                stoa_lease_gen(word) + 1,
                                                until)));

    pool->ps = v[LEASE_PS];
    pool->pe = v[LEASE_PE];

    if (a->bye) {
        ngx_http_stoa_pool_unmark(pool);

        if (pool->which == NGX_HTTP_STOA_LIMIT_RATE) {
            ngx_http_stoa_lease_restart(pool);
        }
    }

    ngx_http_stoa_lease_wait(pool, v, now);
}


/* Nobody asks again before there can be more. */

static void
ngx_http_stoa_lease_wait(ngx_http_stoa_pool_t *pool, const int64_t *v,
    uint64_t now)
{
    uint64_t  retry, gap;

    gap = 0;
    retry = v[LEASE_RETRY] / 1000 + 1;

    if (pool->which == NGX_HTTP_STOA_LIMIT_RATE) {
        gap = pool->limit * pool->interval_ns / 8000000;
        gap = ngx_min(ngx_max(gap, 5), 50);
    }

    if (v[LEASE_RETRY] == 0) {
        ngx_http_stoa_store(&pool->none, v[LEASE_FLAGS] & LEASE_GAP
                                         ? now + gap : 0);
        pool->retry_ms = now + gap;
        return;
    }

    pool->retry_ms = now + retry;

    if (v[LEASE_FLAGS] & LEASE_RECOVER) {
        ngx_http_stoa_store(&pool->none, pool->retry_ms
                                         | NGX_HTTP_STOA_POOL_RECOVERS);
        return;
    }

    retry = ngx_max(ngx_min(retry, LEASE_NONE), gap);
    ngx_http_stoa_store(&pool->none, now + retry + (ngx_uint_t) ngx_random()
                                                   % 2);
}


/* ---- is it there ------------------------------------------------------- */

ngx_uint_t
ngx_http_stoa_lease_away(void)
{
    return ngx_http_stoa_load(&ngx_http_stoa_lease_conf->sh->limits_down) != 0;
}


void
ngx_http_stoa_lease_failed(const char *why)
{
    uint64_t             up;
    ngx_http_stoa_sh_t  *sh;

    up = 0;
    sh = ngx_http_stoa_lease_conf->sh;

    if (ngx_http_stoa_cas(&sh->limits_down, &up, ngx_http_stoa_lease_now())) {
        ngx_http_stoa_store(&sh->limits_up, (uint64_t) 0);
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "stoa: limits are no longer shared, Redis does not "
                      "answer (%s): each plan's on_store_failure decides",
                      why);
    }
}


static void
ngx_http_stoa_lease_there(void)
{
    uint64_t             down;
    ngx_http_stoa_sh_t  *sh;

    sh = ngx_http_stoa_lease_conf->sh;
    down = ngx_http_stoa_load(&sh->limits_down);

    if (down && ngx_http_stoa_cas(&sh->limits_down, &down, 0)) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "stoa: limits are shared again, Redis was away for "
                      "%uL ms", ngx_http_stoa_lease_now() - down);
    }

    if (ngx_http_stoa_load(&sh->limits_up) == 0) {
        ngx_http_stoa_store(&sh->limits_up, (uint64_t) 1);
    }
}


static void
ngx_http_stoa_lease_pong(redisReply *reply, const char *why, void *data)
{
    if (reply && reply->type != REDIS_REPLY_ERROR) {
        ngx_http_stoa_lease_there();
        ngx_http_stoa_lease_changed();

    } else {
        ngx_http_stoa_lease_failed(reply ? reply->str : why);
    }
}


/* ---- who looks after them ---------------------------------------------- */

static void
ngx_http_stoa_lease_keep(ngx_event_t *ev)
{
    uint64_t             now, old;
    ngx_uint_t           probe;
    ngx_http_stoa_sh_t  *sh;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    ngx_add_timer(ev, LEASE_TICK);

    now = ngx_http_stoa_lease_now();
    sh = ngx_http_stoa_lease_conf->sh;
    old = ngx_http_stoa_load(&sh->limits_keeper);

    if (old >> 32 != (uint64_t) ngx_pid
        && (int32_t) ((uint32_t) old - (uint32_t) now) > 0)
    {
        return;
    }

    if (!ngx_http_stoa_cas(&sh->limits_keeper, &old,
                           (uint64_t) ngx_pid << 32
                           | (uint32_t) (now + LEASE_KEEPER)))
    {
        return;
    }

    /* one try each 400 ms while it is away, one each 2 s to know that it is
     * there when nobody asks */

    probe = ngx_http_stoa_lease_away() ? 400 : 2000;

    if (now >= ngx_http_stoa_load(&sh->limits_probe)
        || ngx_http_stoa_load(&sh->limits_probe) > now + probe)
    {
        ngx_http_stoa_store(&sh->limits_probe, now + probe);
        (void) ngx_http_stoa_redis_ping(0, ngx_http_stoa_lease_pong, NULL);
    }

    ngx_http_stoa_lease_asked = 0;
    ngx_http_stoa_pool_each(ngx_http_stoa_lease_look);
}


static void
ngx_http_stoa_lease_look(ngx_http_stoa_pool_t *pool)
{
    uint64_t                   now, came, word, ttl;
    ngx_uint_t                 idle;
    ngx_http_stoa_lease_why_e  why;

    now = ngx_http_stoa_lease_now();
    came = ngx_http_stoa_load(&pool->arrivals);

    pool->demand = stoa_lease_demand(pool->demand, came - pool->seen,
                                     pool->seen_ms ? now - pool->seen_ms
                                                   : LEASE_TICK);
    pool->seen = came;
    pool->seen_ms = now;

    if (ngx_http_stoa_lease_away()
        || ngx_http_stoa_lease_asked == LEASE_PER_TICK)
    {
        return;
    }

    word = ngx_http_stoa_load(&pool->word);
    ttl = pool->which == NGX_HTTP_STOA_LIMIT_RATE
          ? NGX_HTTP_STOA_LEASE_RATE_TTL : LEASE_QUOTA_TTL;
    idle = ngx_http_stoa_load(&pool->used_ms) + LEASE_IDLE < now;
    why = idle ? NGX_HTTP_STOA_LEASE_BACK : NGX_HTTP_STOA_LEASE_MORE;

    if (ngx_http_stoa_load(&pool->applied) == pool->seq) {

        if (idle && !stoa_lease_live(word, now)
            && ngx_http_stoa_load(&pool->owed) == 0)
        {
            ngx_http_stoa_pool_unmark(pool);
            return;
        }

        if (!idle && pool->contact_ms + ttl / 2 > now) {
            return;
        }
    }

    ngx_http_stoa_lease_asked++;
    (void) ngx_http_stoa_lease_ask(pool, 0, why);
}


/* All goes back; a worker that starts meanwhile asks again. */

static void
ngx_http_stoa_lease_leave(void)
{
    if (ngx_http_stoa_lease_conf == NULL || ngx_http_stoa_lease_away()) {
        return;
    }

    ngx_http_stoa_lease_asked = 0;
    ngx_http_stoa_pool_each(ngx_http_stoa_lease_leave_one);
}


static void
ngx_http_stoa_lease_leave_one(ngx_http_stoa_pool_t *pool)
{
    if (ngx_http_stoa_lease_asked < 4 * LEASE_PER_TICK) {
        ngx_http_stoa_lease_asked++;
        (void) ngx_http_stoa_lease_ask(pool, 0, NGX_HTTP_STOA_LEASE_BACK);
    }
}
