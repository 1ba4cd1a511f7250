/*
 * The life of a call, and what it may become when.
 */

#include <stdlib.h>
#include <time.h>

#include "http/cp_call.h"


/* From which states a state is reached, as bits. */
static const unsigned  cp_call_from[] = {
    [CP_CALL_READING] = 1u << CP_CALL_ADMITTING,
    [CP_CALL_ADMITTING] = 1u << CP_CALL_READING,
    [CP_CALL_WORKING] = 1u << CP_CALL_READING,
    [CP_CALL_ANSWERED] = 1u << CP_CALL_READING | 1u << CP_CALL_WORKING
};


int64_t
cp_http_now_us(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


cp_call_t *
cp_call_create(cp_http_t *http, struct MHD_Connection *conn)
{
    cp_call_t  *call;

    call = calloc(1, sizeof(cp_call_t));
    if (call == NULL) {
        return NULL;
    }

    call->req.op.arena = cp_arena_create(CP_CALL_ARENA_MAX);
    if (call->req.op.arena == NULL) {
        free(call);
        return NULL;
    }

    call->magic = CP_CALL_MAGIC;
    call->http = http;
    call->conn = conn;
    call->refs = 1;
    call->started_us = cp_http_now_us();

    call->req.op.app = http->app;
    call->req.conn = conn;
    call->req.call = call;
    call->req.op.err.arena = call->req.op.arena;

    stoa_buf_init(&call->body, CP_HTTP_BODY_MAX);
    stoa_buf_init(&call->req.out, CP_CALL_ANSWER_MAX);

    call->reading = true;

    cp_metric_add(http->m_calls, 1);
    (void) atomic_fetch_add(&http->calls, 1);
    (void) atomic_fetch_add(&http->reading, 1);

    return call;
}


void
cp_call_release(cp_call_t *call)
{
    cp_http_t  *http;

    stoa_assert(call->magic == CP_CALL_MAGIC);
    stoa_assert(call->refs > 0);

    if (__atomic_sub_fetch(&call->refs, 1, __ATOMIC_SEQ_CST) != 0) {
        return;
    }

    http = call->http;

    (void) atomic_fetch_sub(&http->bodies, call->counted);

    stoa_buf_free(&call->body);
    stoa_buf_free(&call->req.out);
    cp_arena_destroy(call->req.op.arena);
    call->magic = 0;
    free(call);

    cp_metric_add(http->m_calls, -1);
    (void) atomic_fetch_sub(&http->calls, 1);
}


void
cp_call_received(cp_call_t *call)
{
    if (call->reading) {
        cp_guard_await(call, 0);
        call->reading = false;
        (void) atomic_fetch_sub(&call->http->reading, 1);
    }
}


void
cp_call_become(cp_call_t *call, cp_call_state_e state)
{
    stoa_assert(call->magic == CP_CALL_MAGIC);
    stoa_assert(cp_call_from[state] & 1u << call->state);

    call->state = state;
}
