/*
 * Quotas: what calls of a key cost in a day and a month, counted in the
 * mapped file, so that they outlive every process.
 */

#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_counters.h"
#include "core/stoa_key.h"


#define WINDOW_SHIFT  40
#define WINDOW_MASK   ((1ULL << WINDOW_SHIFT) - 1)


/* A day or a month, what a plan allows in it (0: anything), and what a call
 * takes of that. */

typedef struct {
    ngx_uint_t  which;
    uint64_t    number;
    uint64_t    limit;
    uint64_t    n;
    uint64_t    used;
    uint64_t    left_ms;
} ngx_http_stoa_quota_window_t;


static ngx_http_stoa_quota_t *ngx_http_stoa_quota_windows(
    ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    ngx_http_stoa_calendar_t *calendar, uint64_t n,
    ngx_http_stoa_quota_window_t *day, ngx_http_stoa_quota_window_t *month);
static void ngx_http_stoa_quota_window(ngx_http_stoa_quota_window_t *w,
    stoa_window_e kind, const stoa_zone_t *zone, stoa_window_t *kept,
    uint64_t now);
static void ngx_http_stoa_quota_verdict(ngx_http_stoa_verdict_t *v,
    ngx_int_t rc, ngx_http_stoa_quota_window_t *w);
static void ngx_http_stoa_quota_left(ngx_http_stoa_left_t *left,
    ngx_http_stoa_quota_window_t *w);
static ngx_http_stoa_quota_t *ngx_http_stoa_quota_slot(
    ngx_http_stoa_main_conf_t *mcf, uint64_t key, uint64_t day,
    uint64_t month);
static ngx_http_stoa_quota_t *ngx_http_stoa_quota_find(
    ngx_http_stoa_counters_t *c, uint64_t h, uint64_t tag);
static ngx_http_stoa_quota_t *ngx_http_stoa_quota_claim(
    ngx_http_stoa_counters_t *c, uint64_t h, uint64_t tag, uint64_t day,
    uint64_t month);
static ngx_int_t ngx_http_stoa_quota_count(uint64_t *word,
    ngx_http_stoa_quota_window_t *w);
static void ngx_http_stoa_quota_undo(uint64_t *word,
    const ngx_http_stoa_quota_window_t *w);


/*
 * A call against both windows.  The month is looked at before the day is
 * counted: who is over the month does not use up the day.  At the very edge
 * two calls may pass that look; then the day is given back.
 */

void
ngx_http_stoa_quota_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_rec_plan_t *plan, ngx_http_stoa_calendar_t *calendar,
    uint64_t n, ngx_http_stoa_verdict_t *v, ngx_http_stoa_left_t *left)
{
    uint64_t                       now, used;
    ngx_http_stoa_quota_t         *q;
    ngx_http_stoa_quota_window_t   day, month;

    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));

    if (plan->quota_day == 0 && plan->quota_month == 0) {
        return;
    }

    now = ngx_http_stoa_wall_ms();

    day.which = NGX_HTTP_STOA_LIMIT_DAY;
    day.limit = plan->quota_day;
    day.n = n;
    ngx_http_stoa_quota_window(&day, STOA_WINDOW_DAY, calendar->zone,
                               &calendar->day, now);

    month.which = NGX_HTTP_STOA_LIMIT_MONTH;
    month.limit = plan->quota_month;
    month.n = n;
    ngx_http_stoa_quota_window(&month, STOA_WINDOW_MONTH, calendar->zone,
                               &calendar->month, now);

    q = ngx_http_stoa_quota_slot(mcf, key ? key : 1, day.number,
                                 month.number);
    if (q == NULL) {
        ngx_http_stoa_count(quota_full, 1);
        v->rc = mcf->zone_full_deny ? NGX_ERROR : NGX_OK;
        return;
    }

    used = ngx_http_stoa_load(&q->month);

    if (month.limit && used >> WINDOW_SHIFT == month.number
        && (used & WINDOW_MASK) + n > month.limit)
    {
        month.used = used & WINDOW_MASK;
        ngx_http_stoa_quota_verdict(v, NGX_BUSY, &month);
        return;
    }

    if (ngx_http_stoa_quota_count(&q->day, &day) != NGX_OK) {
        ngx_http_stoa_quota_verdict(v, NGX_BUSY, &day);
        return;
    }

    if (ngx_http_stoa_quota_count(&q->month, &month) != NGX_OK) {
        ngx_http_stoa_quota_undo(&q->day, &day);
        ngx_http_stoa_quota_verdict(v, NGX_BUSY, &month);
        return;
    }

    ngx_http_stoa_quota_left(left, &day);
    ngx_http_stoa_quota_left(left, &month);

    /* the one with less left is the nearer */

    ngx_http_stoa_quota_verdict(v, NGX_OK,
                                month.limit == 0
                                || (day.limit && day.limit - day.used
                                                 <= month.limit - month.used)
                                ? &day : &month);
}


/* Of a window that is over since then the next one gives it back. */

void
ngx_http_stoa_quota_return(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    ngx_http_stoa_calendar_t *calendar, uint64_t n)
{
    ngx_http_stoa_quota_t         *q;
    ngx_http_stoa_quota_window_t   day, month;

    q = ngx_http_stoa_quota_windows(mcf, key, calendar, n, &day, &month);

    if (q) {
        ngx_http_stoa_quota_undo(&q->day, &day);
        ngx_http_stoa_quota_undo(&q->month, &month);
    }
}


void
ngx_http_stoa_quota_charge(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    ngx_http_stoa_calendar_t *calendar, uint64_t n)
{
    ngx_http_stoa_quota_t         *q;
    ngx_http_stoa_quota_window_t   day, month;

    q = ngx_http_stoa_quota_windows(mcf, key, calendar, n, &day, &month);

    if (q) {
        (void) ngx_http_stoa_quota_count(&q->day, &day);
        (void) ngx_http_stoa_quota_count(&q->month, &month);
    }
}


/* Those of now, without a limit; NULL: nothing was counted. */

static ngx_http_stoa_quota_t *
ngx_http_stoa_quota_windows(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    ngx_http_stoa_calendar_t *calendar, uint64_t n,
    ngx_http_stoa_quota_window_t *day, ngx_http_stoa_quota_window_t *month)
{
    uint64_t                   h, now;
    ngx_http_stoa_counters_t  *c;

    c = mcf->counters;
    key = key ? key : 1;
    h = stoa_hash64(&key, sizeof(key), c->head->seed);
    now = ngx_http_stoa_wall_ms();

    day->n = n;
    day->limit = 0;
    ngx_http_stoa_quota_window(day, STOA_WINDOW_DAY, calendar->zone,
                               &calendar->day, now);
    month->n = n;
    month->limit = 0;
    ngx_http_stoa_quota_window(month, STOA_WINDOW_MONTH, calendar->zone,
                               &calendar->month, now);

    return ngx_http_stoa_quota_find(c, h, key);
}


void
ngx_http_stoa_quota_look(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_rec_plan_t *plan, ngx_http_stoa_calendar_t *calendar,
    uint64_t n, ngx_http_stoa_verdict_t *v, ngx_http_stoa_left_t *left)
{
    uint64_t                       h, now, word;
    ngx_uint_t                     i;
    ngx_http_stoa_quota_t         *q;
    ngx_http_stoa_quota_window_t   w[2], *nearer;

    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));

    now = ngx_http_stoa_wall_ms();
    key = key ? key : 1;
    h = stoa_hash64(&key, sizeof(key), mcf->counters->head->seed);
    q = ngx_http_stoa_quota_find(mcf->counters, h, key);
    nearer = NULL;

    for (i = 0; i < 2; i++) {
        w[i].which = i ? NGX_HTTP_STOA_LIMIT_MONTH : NGX_HTTP_STOA_LIMIT_DAY;
        w[i].limit = i ? plan->quota_month : plan->quota_day;
        ngx_http_stoa_quota_window(&w[i],
                                   i ? STOA_WINDOW_MONTH : STOA_WINDOW_DAY,
                                   calendar->zone,
                                   i ? &calendar->month : &calendar->day,
                                   now);

        word = q ? ngx_http_stoa_load(i ? &q->month : &q->day) : 0;
        w[i].used = word >> WINDOW_SHIFT < w[i].number ? 0
                                                       : word & WINDOW_MASK;
    }

    /* the month is looked at first, as where they are counted */

    for (i = 2; i--; /* void */ ) {

        if (w[i].limit && w[i].used + n > w[i].limit) {
            ngx_http_stoa_quota_verdict(v, NGX_BUSY, &w[i]);
            return;
        }

        w[i].used += n;
        ngx_http_stoa_quota_left(left, &w[i]);

        if (w[i].limit
            && (nearer == NULL || w[i].limit - w[i].used
                                  <= nearer->limit - nearer->used))
        {
            nearer = &w[i];
        }
    }

    if (nearer) {
        ngx_http_stoa_quota_verdict(v, NGX_OK, nearer);
    }
}


static void
ngx_http_stoa_quota_window(ngx_http_stoa_quota_window_t *w, stoa_window_e kind,
    const stoa_zone_t *zone, stoa_window_t *kept, uint64_t now)
{
    if ((int64_t) now < kept->begin_ms || (int64_t) now >= kept->end_ms) {
        stoa_window_at(kind, zone, (int64_t) now, kept);
    }

    w->number = kept->number;
    w->left_ms = (uint64_t) kept->end_ms - now;
}


static void
ngx_http_stoa_quota_verdict(ngx_http_stoa_verdict_t *v, ngx_int_t rc,
    ngx_http_stoa_quota_window_t *w)
{
    v->rc = rc;
    v->which = w->which;
    v->limit = w->limit;
    v->remaining = w->limit > w->used ? w->limit - w->used : 0;
    v->reset_ms = w->left_ms;
    v->retry_ms = (rc == NGX_OK) ? 0 : w->left_ms;
}


static void
ngx_http_stoa_quota_left(ngx_http_stoa_left_t *left,
    ngx_http_stoa_quota_window_t *w)
{
    left += w->which;

    left->known = w->limit != 0;
    left->remaining = w->limit - w->used;
    left->reset_ms = w->left_ms;
}


/* The key's, or one that is free; NULL: there is none. */

static ngx_http_stoa_quota_t *
ngx_http_stoa_quota_slot(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    uint64_t day, uint64_t month)
{
    uint64_t                   h;
    ngx_http_stoa_quota_t     *q;
    ngx_http_stoa_counters_t  *c;

    c = mcf->counters;
    h = stoa_hash64(&key, sizeof(key), c->head->seed);

    q = ngx_http_stoa_quota_find(c, h, key);

    if (q == NULL) {
        ngx_http_stoa_lock_take(&mcf->dir->quota_lock);
        q = ngx_http_stoa_quota_claim(c, h, key, day, month);
        ngx_http_stoa_lock_drop(&mcf->dir->quota_lock);
    }

    return q;
}


static ngx_http_stoa_quota_t *
ngx_http_stoa_quota_find(ngx_http_stoa_counters_t *c, uint64_t h,
    uint64_t tag)
{
    uint64_t                set[2];
    ngx_uint_t              s, i;
    ngx_http_stoa_quota_t  *q;

    set[0] = (h & 0xffffffff) % c->head->quota_sets;
    set[1] = (h >> 32) % c->head->quota_sets;

    for (s = 0; s < 2; s++) {
        q = c->quota + set[s] * NGX_HTTP_STOA_COUNTERS_WAYS;

        for (i = 0; i < NGX_HTTP_STOA_COUNTERS_WAYS; i++) {
            if (ngx_http_stoa_load(&q[i].tag) == tag) {
                return &q[i];
            }
        }
    }

    return NULL;
}


/*
 * Under the lock.  A slot that is given away had both windows over, so that
 * nobody counts in it any more but one who slept since before midnight.
 */

static ngx_http_stoa_quota_t *
ngx_http_stoa_quota_claim(ngx_http_stoa_counters_t *c, uint64_t h,
    uint64_t tag, uint64_t day, uint64_t month)
{
    uint64_t                set[2];
    ngx_uint_t              s, i;
    ngx_http_stoa_quota_t  *q;

    q = ngx_http_stoa_quota_find(c, h, tag);
    if (q) {
        return q;
    }

    set[0] = (h & 0xffffffff) % c->head->quota_sets;
    set[1] = (h >> 32) % c->head->quota_sets;

    for (s = 0; s < 2; s++) {
        q = c->quota + set[s] * NGX_HTTP_STOA_COUNTERS_WAYS;

        for (i = 0; i < NGX_HTTP_STOA_COUNTERS_WAYS; i++) {

            if (q[i].tag != 0
                && (q[i].day >> WINDOW_SHIFT >= day
                    || q[i].month >> WINDOW_SHIFT >= month))
            {
                continue;
            }

            if (q[i].tag == 0) {
                ngx_http_stoa_store(&c->head->quota_used,
                                    c->head->quota_used + 1);
            }

            ngx_http_stoa_store(&q[i].tag, (uint64_t) 0);
            ngx_http_stoa_store(&q[i].day, day << WINDOW_SHIFT);
            ngx_http_stoa_store(&q[i].month, month << WINDOW_SHIFT);
            ngx_http_stoa_store(&q[i].tag, tag);

            return &q[i];
        }
    }

    return NULL;
}


/* limit 0: counts without one.  A window of the past starts at 1; one of the
 * future (the clock went back) goes on. */

static ngx_int_t
ngx_http_stoa_quota_count(uint64_t *word, ngx_http_stoa_quota_window_t *w)
{
    uint64_t  old, new;

    old = ngx_http_stoa_load(word);

    for ( ;; ) {

        if (old >> WINDOW_SHIFT < w->number) {
            new = w->number << WINDOW_SHIFT | w->n;

        } else {
            if (w->limit && (old & WINDOW_MASK) + w->n > w->limit) {
                w->used = old & WINDOW_MASK;
                return NGX_BUSY;
            }

            new = WINDOW_MASK - (old & WINDOW_MASK) < w->n
                  ? old | WINDOW_MASK : old + w->n;
        }

        if (ngx_http_stoa_cas(word, &old, new)) {
            w->used = new & WINDOW_MASK;
            return NGX_OK;
        }
    }
}


static void
ngx_http_stoa_quota_undo(uint64_t *word,
    const ngx_http_stoa_quota_window_t *w)
{
    uint64_t  old;

    old = ngx_http_stoa_load(word);

    while (old >> WINDOW_SHIFT == w->number && (old & WINDOW_MASK) >= w->n) {
        if (ngx_http_stoa_cas(word, &old, old - w->n)) {
            return;
        }
    }
}
