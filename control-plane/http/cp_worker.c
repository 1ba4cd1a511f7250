/*
 * The worker pool: runs handlers while their connections are suspended, so
 * that a slow transaction holds up nobody's bytes.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/cp_call.h"
#include "http/cp_query.h"


#define CP_WORKER_PAUSE_US  5000   /* before a transaction is run again     */


/* Back to an empty answer. */

static void
cp_worker_reset(cp_call_t *call)
{
    cp_req_t     *r = &call->req;
    cp_stream_t  *s = &call->stream;

    if (s->fill != NULL && s->done != NULL) {
        s->done(s->ctx);
    }

    memset(s, 0, sizeof(cp_stream_t));
    cp_op_clear(&r->op);
    r->status = 0;
    r->content_type = NULL;
    r->nheader = 0;
    r->parked = false;

    stoa_buf_reset(&r->out);
}


static void
cp_worker_pause(unsigned tries)
{
    uint32_t         random;
    struct timespec  ts;

    cp_random(&random, sizeof(random));

    ts.tv_sec = 0;
    ts.tv_nsec = (long) (random % (CP_WORKER_PAUSE_US << tries)) * 1000;

    (void) nanosleep(&ts, NULL);
}


/* What a handler has to know and must not wait for in a transaction; else
 * somebody else was quicker. */

static cp_rc_t
cp_worker_between(cp_call_t *call, unsigned tries)
{
    cp_rc_t   rc;
    cp_op_t  *op = &call->req.op;

    if (op->between == NULL) {
        cp_worker_pause(tries);
        return CP_OK;
    }

    rc = op->between(op);
    op->between = NULL;

    return rc;
}


/* Gateways ask as often as the contract has them; who is none pays with its
 * address, like everybody else did before. */

static cp_rc_t
cp_worker_charge(cp_call_t *call, cp_rc_t rc)
{
    bool         taken;
    cp_req_t    *r = &call->req;
    cp_rate_t  *limit;

    call->charged = true;
    limit = call->http->limit;

    if (r->route->auth == CP_AUTH_GATEWAY) {
        taken = rc == CP_OK
                || cp_rate_take(limit, CP_RATE_ADDRESS, cp_req_address(r),
                                 true, &call->limited);

    } else {
        taken = rc != CP_OK
                || cp_rate_take(limit, CP_RATE_CALLER,
                                 r->op.actor.application
                                 ? r->op.actor.application : r->op.actor.id,
                                 true, &call->limited);
    }

    return taken ? rc : cp_rate_refuse(r);
}


static cp_rc_t
cp_worker_handle(cp_call_t *call)
{
    cp_rc_t        rc;
    unsigned       tries;
    cp_req_t      *r = &call->req;
    cp_handler_pt  handler;

    handler = call->next;

    for (tries = 0; tries < CP_OP_RETRIES; tries++) {

        cp_worker_reset(call);

        rc = CP_OK;

        if (!call->authenticated && r->route->auth != CP_AUTH_NONE) {
            rc = call->http->site->judge(r);

            if (!call->charged) {
                rc = cp_worker_charge(call, rc);
            }
        }

        if (rc == CP_OK && !call->authenticated) {
            rc = cp_query_known(r);
        }

        if (rc == CP_OK) {
            call->authenticated = true;
            rc = handler(r);
        }

        if (rc != CP_CONFLICT) {
            return rc;
        }

        rc = cp_worker_between(call, tries);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return cp_err_set(&r->op.err, "unavailable",
                      "the database was too busy, try again");
}


static void
cp_worker_answer(cp_call_t *call, cp_rc_t rc)
{
    cp_req_t  *r = &call->req;

    if (rc == CP_OK && r->status == 0) {
        cp_log(CP_LOG_ERROR, "http", "handler without answer route:%s",
               r->route->path);
        rc = CP_ERROR;
    }

    if (rc == CP_OK && call->stream.fill != NULL) {
        rc = cp_answer_begin(call);
    }

    if (rc == CP_DECLINED && r->route->auth != CP_AUTH_NONE) {
        call->http->site->refused(r, call->authenticated);
    }

    if (rc != CP_OK) {

        if (call->stream.fill != NULL && call->stream.done != NULL) {
            call->stream.done(call->stream.ctx);
        }

        call->stream.fill = NULL;
        cp_answer_problem(call);
    }

    cp_answer_make(call);
    cp_call_become(call, CP_CALL_ANSWERED);

    /* from here on the call is the I/O thread's, and may be gone at once */

    MHD_resume_connection(call->conn);
}


static cp_rc_t
cp_worker_nothing(cp_req_t *r)
{
    (void) r;

    return CP_OK;
}


/* Only looks who it is.  When the body is whole that is looked at again: it
 * may have taken long. */

static void
cp_worker_admit(cp_call_t *call)
{
    call->next = cp_worker_nothing;
    call->admitted = cp_worker_handle(call) == CP_OK;
    call->authenticated = false;

    if (!call->admitted) {
        cp_answer_refuse(call);
    }

    cp_call_become(call, CP_CALL_READING);
    MHD_resume_connection(call->conn);
}


static void
cp_worker_run(cp_call_t *call)
{
    int64_t    start;
    cp_rc_t    rc;
    cp_req_t  *r = &call->req;

    start = cp_http_now_us();

    if (call->state == CP_CALL_ANSWERED) {
        cp_answer_fill(call);
        call->worked_us += cp_http_now_us() - start;
        MHD_resume_connection(call->conn);
        return;
    }

    if (call->state == CP_CALL_ADMITTING) {
        cp_worker_admit(call);
        return;
    }

    call->generation = cp_park_generation(call->http);

    rc = cp_worker_handle(call);

    if (rc == CP_OK && r->parked && atomic_load(&r->op.app->stopping)) {

        /* nobody waits any longer: the handler answers with what there is */

        rc = cp_worker_handle(call);

        if (rc == CP_OK && r->parked) {
            rc = cp_err_set(&r->op.err, "unavailable", "ending");
        }
    }

    call->worked_us += cp_http_now_us() - start;

    if (rc == CP_OK && r->parked) {
        cp_park_add(call->http, call);
        return;
    }

    cp_worker_answer(call, rc);
}


static void *
cp_worker_main(void *data)
{
    cp_call_t  *call;
    cp_http_t  *http = data;

    while ((call = cp_queue_pop(http)) != NULL) {
        cp_worker_run(call);
    }

    return NULL;
}


cp_rc_t
cp_workers_start(cp_http_t *http, unsigned n)
{
    (void) pthread_mutex_init(&http->mutex, NULL);
    (void) pthread_cond_init(&http->cond, NULL);

    http->workers = calloc(n, sizeof(pthread_t));
    if (http->workers == NULL) {
        return CP_ERROR;
    }

    while (http->nworkers < n) {

        if (pthread_create(&http->workers[http->nworkers], NULL,
                           cp_worker_main, http) != 0)
        {
            return CP_ERROR;
        }

        http->nworkers++;
    }

    return CP_OK;
}


void
cp_workers_stop(cp_http_t *http)
{
    unsigned  i;

    (void) pthread_mutex_lock(&http->mutex);
    http->ended = true;
    (void) pthread_cond_broadcast(&http->cond);
    (void) pthread_mutex_unlock(&http->mutex);

    for (i = 0; i < http->nworkers; i++) {
        (void) pthread_join(http->workers[i], NULL);
    }

    free(http->workers);
    http->workers = NULL;
    http->nworkers = 0;
}
