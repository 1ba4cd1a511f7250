/*
 * Parked calls (long polls): suspended connections in a list, no thread each.
 *
 * One thread ends the waiting, by deadline or because something changed.
 * Wakes that come faster than CP_PARK_PAUSE_MS are taken together, so that a
 * burst of changes does not run every waiting handler for each of them.
 *
 * A change between a handler's look at the head and its parking is not
 * missed: the generation of wakes is noted before the handler runs, and a
 * call whose generation is old goes straight back to the workers.
 */

#include "http/cp_call.h"


#define CP_PARK_PAUSE_MS  5
#define CP_PARK_IDLE_MS   1000


static void
cp_park_unlink(cp_http_t *http, cp_call_t *call)
{
    if (call->prev != NULL) {
        call->prev->after = call->after;

    } else {
        http->parked = call->after;
    }

    if (call->after != NULL) {
        call->after->prev = call->prev;
    }

    cp_metric_add(http->m_parked, -1);
    cp_queue_push(http, call);
}


void
cp_park_add(cp_http_t *http, cp_call_t *call)
{
    (void) pthread_mutex_lock(&http->park_mutex);

    if (call->generation != http->generation || http->park_ended) {
        (void) pthread_mutex_unlock(&http->park_mutex);
        cp_queue_push(http, call);
        return;
    }

    call->prev = NULL;
    call->after = http->parked;

    if (call->after != NULL) {
        call->after->prev = call;
    }

    http->parked = call;
    cp_metric_add(http->m_parked, 1);

    if (call->deadline < http->next_deadline) {
        http->next_deadline = call->deadline;
        (void) pthread_cond_signal(&http->park_cond);
    }

    (void) pthread_mutex_unlock(&http->park_mutex);
}


uint64_t
cp_park_generation(cp_http_t *http)
{
    uint64_t  generation;

    (void) pthread_mutex_lock(&http->park_mutex);
    generation = http->generation;
    (void) pthread_mutex_unlock(&http->park_mutex);

    return generation;
}


void
cp_http_wake(cp_app_t *app)
{
    cp_http_t  *http;

    http = app->http;

    if (http == NULL) {
        return;
    }

    (void) pthread_mutex_lock(&http->park_mutex);
    http->generation++;
    http->wake = true;
    (void) pthread_cond_signal(&http->park_cond);
    (void) pthread_mutex_unlock(&http->park_mutex);
}


/* Under the mutex: resumes who is due, finds the next deadline. */

static void
cp_park_resume(cp_http_t *http, bool all, int64_t now)
{
    cp_call_t  *call, *after;

    http->next_deadline = now + CP_PARK_IDLE_MS;

    for (call = http->parked; call != NULL; call = after) {

        after = call->after;

        if (all || call->deadline <= now) {
            cp_park_unlink(http, call);

        } else if (call->deadline < http->next_deadline) {
            http->next_deadline = call->deadline;
        }
    }
}


static void
cp_park_sleep(cp_http_t *http, int64_t until)
{
    struct timespec  ts;

    ts.tv_sec = until / 1000;
    ts.tv_nsec = until % 1000 * 1000000;

    (void) pthread_cond_timedwait(&http->park_cond, &http->park_mutex, &ts);
}


static void *
cp_park_run(void *data)
{
    bool        all;
    int64_t     now, until, looked;
    cp_http_t  *http = data;

    looked = 0;

    (void) pthread_mutex_lock(&http->park_mutex);

    while (!http->park_ended) {

        now = cp_time_mono_ms();
        all = http->wake && now >= http->woken_ms + CP_PARK_PAUSE_MS;

        if (all) {
            http->wake = false;
            http->woken_ms = now;
            cp_metric_add(http->m_wakes, 1);
        }

        if (all || now >= http->next_deadline) {
            cp_park_resume(http, all, now);
        }

        if (now >= looked + CP_PARK_IDLE_MS) {
            looked = now;
            cp_guard_look(http);
        }

        until = http->next_deadline;

        if (http->wake && http->woken_ms + CP_PARK_PAUSE_MS < until) {
            until = http->woken_ms + CP_PARK_PAUSE_MS;
        }

        cp_park_sleep(http, until);
    }

    cp_park_resume(http, true, cp_time_mono_ms());

    (void) pthread_mutex_unlock(&http->park_mutex);

    return NULL;
}


cp_rc_t
cp_park_start(cp_http_t *http)
{
    pthread_condattr_t  attr;

    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_mutex_init(&http->park_mutex, NULL);
    (void) pthread_cond_init(&http->park_cond, &attr);
    (void) pthread_condattr_destroy(&attr);

    return (pthread_create(&http->timer, NULL, cp_park_run, http) == 0)
           ? CP_OK : CP_ERROR;
}


void
cp_park_stop(cp_http_t *http)
{
    (void) pthread_mutex_lock(&http->park_mutex);
    http->park_ended = true;
    (void) pthread_cond_signal(&http->park_cond);
    (void) pthread_mutex_unlock(&http->park_mutex);

    (void) pthread_join(http->timer, NULL);
}
