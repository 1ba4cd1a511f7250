/*
 * The queues of calls that wait for a worker.
 */

#include "http/cp_call.h"


/* Under the mutex. */

static void
cp_queue_append(cp_http_t *http, cp_call_t *call, unsigned n)
{
    cp_queue_t  *q = &http->queue[n];

    call->link = NULL;

    if (q->last == NULL) {
        q->first = call;

    } else {
        q->last->link = call;
    }

    q->last = call;

    (void) pthread_cond_signal(&http->cond);
}


void
cp_queue_push(cp_http_t *http, cp_call_t *call)
{
    (void) pthread_mutex_lock(&http->mutex);
    cp_queue_append(http, call, 1);
    (void) pthread_mutex_unlock(&http->mutex);
}


bool
cp_queue_submit(cp_http_t *http, cp_call_t *call)
{
    bool  ended;

    (void) pthread_mutex_lock(&http->mutex);

    ended = http->ended;

    if (!ended) {

        /* in this order: a worker may be done before we return */

        MHD_suspend_connection(call->conn);
        cp_queue_append(http, call, 0);
    }

    (void) pthread_mutex_unlock(&http->mutex);

    return !ended;
}


/* The two queues take turns: thousands of gateways that were woken hold up no
 * administrator, nor the other way round. */

static cp_call_t *
cp_queue_next(cp_http_t *http)
{
    cp_call_t   *call;
    cp_queue_t  *q;

    http->turn ^= 1;
    q = &http->queue[http->turn];

    if (q->first == NULL) {
        q = &http->queue[http->turn ^ 1];
    }

    call = q->first;

    if (call != NULL) {
        q->first = call->link;

        if (q->first == NULL) {
            q->last = NULL;
        }
    }

    return call;
}


cp_call_t *
cp_queue_pop(cp_http_t *http)
{
    cp_call_t  *call;

    (void) pthread_mutex_lock(&http->mutex);

    while ((call = cp_queue_next(http)) == NULL && !http->ended) {
        (void) pthread_cond_wait(&http->cond, &http->mutex);
    }

    (void) pthread_mutex_unlock(&http->mutex);

    return call;
}
