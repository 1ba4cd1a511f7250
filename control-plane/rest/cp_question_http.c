/*
 * What gateways are asked: POST /gateway/v1/questions, by which one says what
 * it knows and takes the next questions; and the routes that ask them.
 */

#include <stdlib.h>
#include <string.h>

#include "feed/cp_question.h"
#include "rest/cp_asked.h"
#include "rest/cp_list.h"


#define CP_QUESTION_WAIT_MAX_S  30
#define CP_TRACE_ID_MAX         64
#define CP_TRACES_OF            20    /* one gateway, in a list              */
#define CP_TRACES_MAX           200


static cp_rc_t cp_question_post(cp_req_t *r);
static cp_rc_t cp_question_take(cp_req_t *r);
static cp_rc_t cp_trace_get(cp_req_t *r);
static cp_rc_t cp_trace_list(cp_req_t *r);
static bool cp_trace_found(const cp_question_t *q);
static cp_rc_t cp_trace_answer(cp_req_t *r, const cp_question_t *q,
    void *data);
static cp_rc_t cp_trace_all(cp_req_t *r, const cp_question_t *q, void *data);


const cp_route_t  cp_question_routes[] = {
    { "POST", "/gateway/v1/questions", CP_AUTH_GATEWAY, NULL,
      cp_question_post, NULL,
      "A gateway's answers, and what it is asked next", NULL },
    { "GET", "/v1/tenants/{tenant}/traces/{trace}", CP_AUTH_ADMIN,
      "trace:read", cp_trace_get, NULL,
      "Why a call was refused, by its request_id", NULL },
    { "GET", "/v1/tenants/{tenant}/traces", CP_AUTH_ADMIN, "trace:read",
      cp_trace_list, NULL,
      "The last calls of a tenant, and to it, of which traces are kept",
      NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static const cp_asked_way_t  cp_trace_one = { cp_trace_found,
                                              cp_trace_answer, NULL };
static const cp_asked_way_t  cp_trace_many = { NULL, cp_trace_all, NULL };


/* ---- a gateway ---------------------------------------------------------- */

/* "Prefer: wait=25" (RFC 7240): so long, if there is nothing at once. */
static int64_t
cp_question_patience(cp_req_t *r)
{
    long         s;
    const char  *prefer;

    prefer = cp_req_header(r, "Prefer");

    if (prefer == NULL || strncmp(prefer, "wait=", 5) != 0) {
        return 0;
    }

    s = strtol(prefer + 5, NULL, 10);

    return s < 0 ? 0 : s > CP_QUESTION_WAIT_MAX_S ? CP_QUESTION_WAIT_MAX_S
                                                  : s;
}


static cp_rc_t
cp_question_post(cp_req_t *r)
{
    cp_rc_t      rc;
    int64_t      ms;
    cp_tx_t     *tx;
    unsigned     refused;
    cp_json_t   *in;
    int64_t     *deadline;

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_report_check(in, cp_question_fields, "", &r->op.err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    deadline = cp_arena_alloc(r->op.arena, sizeof(int64_t));
    if (deadline == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    ms = cp_question_patience(r) * 1000;
    *deadline = cp_time_mono_ms() + ms;
    r->ctx = deadline;

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_question_answers(&r->op, tx, cp_json_get(in, "answers"),
                             &refused);

    if (rc == CP_OK && ms) {
        rc = cp_question_wait(&r->op, tx, ms);
    }

    rc = cp_tx_finish(tx, rc, &r->op.err);

    if (rc == CP_OK && refused) {
        return cp_err_set(&r->op.err, "validation",
                          "%u of the answers are none; the others were taken",
                          refused);
    }

    return rc == CP_OK ? cp_question_take(r) : rc;
}


/* First, and whenever somebody may have asked: it may have been removed. */
static cp_rc_t
cp_question_take(cp_req_t *r)
{
    cp_rc_t         rc;
    cp_tx_t        *tx;
    cp_json_t      *out, *questions;
    const int64_t  *deadline = r->ctx;

    rc = cp_auth_check(r);

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    questions = cp_json_array(r->op.arena);
    rc = cp_question_next(&r->op, tx, questions);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    if (questions->n == 0 && cp_time_mono_ms() < *deadline
        && !atomic_load(&r->op.app->stopping))
    {
        return cp_req_park(r, *deadline, cp_question_take);
    }

    out = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, out, "questions", questions);

    return cp_req_answer(r, 200, out);
}


/* ---- traces ------------------------------------------------------------- */

static int
cp_trace_younger(const void *one, const void *two)
{
    int64_t  a, b;

    a = cp_json_num(*(cp_json_t *const *) one, "at_ms", 0);
    b = cp_json_num(*(cp_json_t *const *) two, "at_ms", 0);

    return (a < b) - (a > b);
}


/* The items of all, the youngest first. */
static cp_rc_t
cp_trace_all(cp_req_t *r, const cp_question_t *q, void *data)
{
    unsigned     i, n;
    cp_json_t   *out, *items, *one, *item, **all;
    cp_arena_t  *a = r->op.arena;

    (void) data;
    out = cp_json_object(a);
    all = cp_arena_alloc(a, (q->answers->n + 1) * CP_TRACES_OF
                            * sizeof(cp_json_t *));
    if (all == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    for (n = 0, one = q->answers->first; one; one = one->next) {
        items = cp_json_get(one, "items");
        item = items && items->type == CP_JSON_ARRAY ? items->first : NULL;

        for (i = 0; item && i < CP_TRACES_OF; i++, item = item->next) {
            if (item->type == CP_JSON_OBJECT) {
                all[n++] = item;
            }
        }
    }

    qsort(all, n, sizeof(cp_json_t *), cp_trace_younger);

    items = cp_json_array(a);

    for (i = 0; i < n && i < CP_TRACES_MAX; i++) {
        cp_json_push(items, cp_json_copy(a, all[i]));
    }

    cp_json_set(a, out, "items", items);
    cp_json_put_int(a, out, "asked", q->asked);
    cp_json_put_int(a, out, "answered", q->answered);

    return cp_req_answer(r, 200, out);
}


static cp_rc_t
cp_trace_list(cp_req_t *r)
{
    cp_json_t  *question;

    question = cp_json_object(r->op.arena);
    cp_json_put_int(r->op.arena, question, "traces", CP_TRACES_OF);

    return cp_asked_begin(r, question, NULL, &cp_trace_many);
}


static cp_rc_t
cp_trace_get(cp_req_t *r)
{
    cp_json_t  *question;

    if (strlen(r->param[1]) > CP_TRACE_ID_MAX) {
        return cp_err_set(&r->op.err, "not_found",
                          "there is no request_id of that length");
    }

    question = cp_json_object(r->op.arena);
    cp_json_put(r->op.arena, question, "trace", r->param[1]);

    return cp_asked_begin(r, question, NULL, &cp_trace_one);
}


static bool
cp_trace_found(const cp_question_t *q)
{
    return q->answers->n != 0;
}


static cp_rc_t
cp_trace_answer(cp_req_t *r, const cp_question_t *q, void *data)
{
    (void) data;

    return q->answers->n
           ? cp_req_answer(r, 200, q->answers->first)
           : cp_asked_none(r, q, "no gateway has a trace of that call that is"
                           " the tenant's, or none any more");
}
