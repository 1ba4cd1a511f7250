/*
 * Circuit breakers: a target whose calls fail gets none for a while, then a
 * few that find out.
 *
 * One word in the target's place says all and changes by compare and swap, so
 * that workers agree.  A probe that never ends (its process was killed) is
 * forgotten after open_ms; any other end gives it back.  Only opening takes a
 * lock: how many of an api are open must not be counted by two at once.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_time.h"


#define NGX_HTTP_STOA_BREAKER_LEVELS  16


/* What became of a call. */

typedef enum {
    CALL_NOTHING = 0,               /* that says something of the target    */
    CALL_GOOD,
    CALL_ALIVE,                     /* a 4xx: the caller's fault            */
    CALL_FAILED
} ngx_http_stoa_breaker_call_e;


static ngx_http_stoa_breaker_call_e ngx_http_stoa_breaker_judge(
    ngx_http_stoa_api_t *api, ngx_uint_t status, ngx_uint_t why);
static void ngx_http_stoa_breaker_probed(ngx_http_stoa_api_t *api,
    ngx_http_stoa_try_t *t, ngx_http_stoa_breaker_call_e call,
    ngx_uint_t why);
static ngx_uint_t ngx_http_stoa_breaker_counted(ngx_http_stoa_api_t *api,
    ngx_http_stoa_place_t *place, ngx_http_stoa_breaker_call_e call);
static void ngx_http_stoa_breaker_open(ngx_http_stoa_api_t *api,
    ngx_http_stoa_try_t *t, ngx_uint_t why);
static ngx_uint_t ngx_http_stoa_breaker_room(ngx_http_stoa_api_t *api);
static uint64_t ngx_http_stoa_breaker_time(ngx_http_stoa_api_t *api,
    ngx_uint_t level);
static void ngx_http_stoa_breaker_tell(ngx_http_stoa_api_t *api,
    ngx_http_stoa_try_t *t, uint64_t ms, ngx_uint_t why);


ngx_msec_t
ngx_http_stoa_breaker_wait(ngx_http_stoa_api_t *api,
    ngx_http_stoa_place_t *place)
{
    uint64_t  word, now, until;

    word = ngx_http_stoa_load(&place->breaker);

    if (ngx_http_stoa_breaker_state(word) == NGX_HTTP_STOA_BREAKER_CLOSED
        || (ngx_http_stoa_breaker_state(word) == NGX_HTTP_STOA_BREAKER_HALF
            && ngx_http_stoa_breaker_probes(word) < api->breaker->probes))
    {
        return 0;
    }

    now = (uint64_t) ngx_http_stoa_now_ms();
    until = ngx_http_stoa_breaker_until(word);

    /* a clock that was set back makes nobody wait for longer than said */

    return until > now ? ngx_min(until - now, api->breaker->max_open_ms) : 0;
}


ngx_int_t
ngx_http_stoa_breaker_enter(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_uint_t address,
    ngx_http_stoa_try_t *t)
{
    uint64_t                now, word, next;
    ngx_uint_t              probes;
    ngx_http_stoa_place_t  *place;

    t->probe = 0;
    t->place = ngx_http_stoa_target_place(api, target,
                                          &target->addrs[address]);

    if (t->place == NULL) {
        return NGX_OK;
    }

    place = t->place;
    t->tag = target->addrs[address].tag;

    now = (uint64_t) ngx_http_stoa_now_ms();
    word = ngx_http_stoa_load(&place->breaker);

    do {
        if (ngx_http_stoa_breaker_state(word) == NGX_HTTP_STOA_BREAKER_CLOSED)
        {
            return NGX_OK;
        }

        if (ngx_http_stoa_breaker_wait(api, place)) {
            t->place = NULL;
            return NGX_DECLINED;
        }

        probes = ngx_http_stoa_breaker_probes(word);

        next = ngx_http_stoa_breaker_until(word) > now
               ? ngx_http_stoa_breaker_word(NGX_HTTP_STOA_BREAKER_HALF,
                                           ngx_http_stoa_breaker_level(word),
                                           probes + 1,
                                           ngx_http_stoa_breaker_until(word))
               : ngx_http_stoa_breaker_word(NGX_HTTP_STOA_BREAKER_HALF,
                                           ngx_http_stoa_breaker_level(word),
                                           1, now + api->breaker->open_ms);

    } while (!ngx_http_stoa_cas(&place->breaker, &word, next));

    t->probe = 1;

    return NGX_OK;
}


void
ngx_http_stoa_breaker_leave(ngx_http_stoa_api_t *api, ngx_http_stoa_try_t *t,
    ngx_uint_t status, ngx_uint_t why)
{
    ngx_http_stoa_breaker_call_e  call;

    if (t->place == NULL || ngx_http_stoa_load(&t->place->tag) != t->tag) {
        return;
    }

    call = ngx_http_stoa_breaker_judge(api, status, why);

    if (call == CALL_FAILED && status) {
        why = status;
    }

    if (t->probe) {
        ngx_http_stoa_breaker_probed(api, t, call, why);

    } else if (call != CALL_NOTHING
               && ngx_http_stoa_breaker_counted(api, t->place, call))
    {
        ngx_http_stoa_breaker_open(api, t, why);
    }
}


static ngx_http_stoa_breaker_call_e
ngx_http_stoa_breaker_judge(ngx_http_stoa_api_t *api, ngx_uint_t status,
    ngx_uint_t why)
{
    if (status == 0) {
        return why ? CALL_FAILED : CALL_NOTHING;
    }

    if (api->breaker->statuses.n
        ? ngx_http_stoa_target_status(api, &api->breaker->statuses, status)
        : status >= 500)
    {
        return CALL_FAILED;
    }

    return status >= 400 && status < 500 ? CALL_ALIVE : CALL_GOOD;
}


/* However it ends, the next one may begin. */

static void
ngx_http_stoa_breaker_probed(ngx_http_stoa_api_t *api, ngx_http_stoa_try_t *t,
    ngx_http_stoa_breaker_call_e call, ngx_uint_t why)
{
    uint64_t                now, word, next, ms;
    ngx_uint_t              level, probes;
    ngx_http_stoa_place_t  *place;

    place = t->place;
    now = (uint64_t) ngx_http_stoa_now_ms();
    word = ngx_http_stoa_load(&place->breaker);

    do {
        if (ngx_http_stoa_breaker_state(word) != NGX_HTTP_STOA_BREAKER_HALF) {
            return;
        }

        level = ngx_http_stoa_breaker_level(word);
        probes = ngx_http_stoa_breaker_probes(word);
        ms = 0;

        if (call == CALL_NOTHING) {
            next = ngx_http_stoa_breaker_word(NGX_HTTP_STOA_BREAKER_HALF,
                                           level, probes - (probes > 0),
                                           ngx_http_stoa_breaker_until(word));

        } else if (call == CALL_FAILED) {
            level += level < NGX_HTTP_STOA_BREAKER_LEVELS;
            ms = ngx_http_stoa_breaker_time(api, level);
            next = ngx_http_stoa_breaker_word(NGX_HTTP_STOA_BREAKER_OPEN,
                                              level, 0, now + ms);

        } else {
            next = ngx_http_stoa_breaker_word(NGX_HTTP_STOA_BREAKER_CLOSED,
                                              level, 0, now);
        }

    } while (!ngx_http_stoa_cas(&place->breaker, &word, next));

    if (call == CALL_NOTHING) {
        return;
    }

    ngx_http_stoa_store(&place->breaker_since_ms, now);

    if (call == CALL_FAILED) {
        ngx_http_stoa_store(&place->breaker_why, (uint64_t) why);

    } else {
        ngx_http_stoa_store(&place->breaker_row, (uint64_t) 0);
        ngx_http_stoa_store(&place->breaker_window, (uint64_t) 0);
    }

    ngx_http_stoa_breaker_tell(api, t, ms, why);
}


/* Is it to be opened?  A 4xx in between is no sign of health. */

static ngx_uint_t
ngx_http_stoa_breaker_counted(ngx_http_stoa_api_t *api,
    ngx_http_stoa_place_t *place, ngx_http_stoa_breaker_call_e call)
{
    uint64_t                   word, next, number, calls, failed, row;
    const stoa_rec_breaker_t  *b;

    b = api->breaker;
    number = ngx_http_stoa_window_number(ngx_http_stoa_now_ms(), b->window_ms);

    row = 0;

    if (call == CALL_FAILED) {
        row = __atomic_add_fetch(&place->breaker_row, 1, __ATOMIC_RELAXED);

    } else if (call == CALL_GOOD && place->breaker_row) {
        ngx_http_stoa_store(&place->breaker_row, (uint64_t) 0);
    }

    word = ngx_http_stoa_load(&place->breaker_window);

    do {
        ngx_http_stoa_window_read(word, number, &calls, &failed);

        calls++;
        failed += call == CALL_FAILED;
        next = ngx_http_stoa_window_word(number, calls, failed);

    } while (!ngx_http_stoa_cas(&place->breaker_window, &word, next));

    return call == CALL_FAILED
           && ((b->failures && row >= b->failures)
               || (b->error_percent && calls >= b->min_calls
                   && failed * 100 >= calls * b->error_percent));
}


/*
 * From closed alone: who comes late finds it open.  It is open for longer if
 * it was closed for less than twice its last time.
 */

static void
ngx_http_stoa_breaker_open(ngx_http_stoa_api_t *api, ngx_http_stoa_try_t *t,
    ngx_uint_t why)
{
    uint64_t                    now, word, ms;
    ngx_uint_t                  level, opened;
    ngx_http_stoa_place_t      *place;
    ngx_http_stoa_main_conf_t  *mcf;

    place = t->place;
    opened = 0;
    ms = 0;
    now = (uint64_t) ngx_http_stoa_now_ms();
    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);

    ngx_http_stoa_lock_take(&mcf->sh->breaker_lock);

    word = ngx_http_stoa_load(&place->breaker);

    if (ngx_http_stoa_breaker_state(word) == NGX_HTTP_STOA_BREAKER_CLOSED) {
        level = ngx_http_stoa_breaker_level(word);

        level = ngx_http_stoa_breaker_until(word)
                && now - ngx_http_stoa_breaker_until(word)
                   < 2 * ngx_http_stoa_breaker_time(api, level)
                ? level + (level < NGX_HTTP_STOA_BREAKER_LEVELS) : 0;

        ms = ngx_http_stoa_breaker_time(api, level);

        opened = ngx_http_stoa_breaker_room(api)
                 && ngx_http_stoa_cas(&place->breaker, &word,
                          ngx_http_stoa_breaker_word(
                              NGX_HTTP_STOA_BREAKER_OPEN, level, 0,
                              now + ms));
    }

    ngx_http_stoa_lock_drop(&mcf->sh->breaker_lock);

    ngx_http_stoa_store(&place->breaker_row, (uint64_t) 0);
    ngx_http_stoa_store(&place->breaker_window, (uint64_t) 0);

    if (opened) {
        ngx_http_stoa_store(&place->breaker_since_ms, now);
        ngx_http_stoa_store(&place->breaker_why, (uint64_t) why);
        ngx_http_stoa_breaker_tell(api, t, ms, why);
    }
}


/* May one more be open? */

static ngx_uint_t
ngx_http_stoa_breaker_room(ngx_http_stoa_api_t *api)
{
    ngx_uint_t               i, a, n, open;
    ngx_http_stoa_place_t   *place;
    ngx_http_stoa_target_t  *target;

    n = 0;
    open = 1;

    for (i = 0; i < api->ntargets; i++) {
        target = &api->targets[i];

        for (a = 0; a < target->naddrs; a++, n++) {
            place = ngx_http_stoa_target_place(api, target,
                                               &target->addrs[a]);

            open += place
                    && ngx_http_stoa_breaker_state(
                           ngx_http_stoa_load(&place->breaker))
                       != NGX_HTTP_STOA_BREAKER_CLOSED;
        }
    }

    return open * 100 <= n * api->breaker->max_open_percent;
}


static uint64_t
ngx_http_stoa_breaker_time(ngx_http_stoa_api_t *api, ngx_uint_t level)
{
    return ngx_min((uint64_t) api->breaker->open_ms << level,
                   api->breaker->max_open_ms);
}


/* ms: it is open for so long; 0: it is closed. */

static void
ngx_http_stoa_breaker_tell(ngx_http_stoa_api_t *api, ngx_http_stoa_try_t *t,
    uint64_t ms, ngx_uint_t why)
{
    char        text[32];
    stoa_str_t  tenant, name;

    tenant = stoa_rec_str(api->rec, api->rec->tenant_name);
    name = stoa_rec_str(api->rec, api->rec->name);

    if (ms == 0) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "stoa: target %s of %*s/%*s is called again",
                      t->place->name, tenant.len, tenant.data, name.len,
                      name.data);
        return;
    }

    ngx_http_stoa_count(breaker_opened, 1);
    ngx_http_stoa_place_why(why, text);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "stoa: target %s of %*s/%*s gets no calls for %uL ms: %s",
                  t->place->name, tenant.len, tenant.data, name.len,
                  name.data, ms, text);
}
