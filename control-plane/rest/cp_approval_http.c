/*
 * POST /gateway/v1/approvals: may this call pass?
 */

#include <string.h>

#include "feed/cp_feed.h"
#include "kinds/cp_approval.h"
#include "rest/cp_rest.h"


#define CP_APPROVAL_LOOK_MS  5000     /* a decision wakes who waits; this is
                                         for one whose news was lost         */


static cp_rc_t cp_approval_check(cp_req_t *r, const cp_json_t *in);
static cp_rc_t cp_approval_look(cp_req_t *r);
static cp_rc_t cp_approval_answer(cp_req_t *r);


typedef struct {
    cp_approval_ask_t  ask;           /* the first                           */
    int64_t            deadline;      /* monotonic ms                        */
} cp_approval_wait_t;


static const char *const  cp_approval_words[] = {
    [CP_APPROVAL_WAITS] = "pending",
    [CP_APPROVAL_RUN] = "run",
    [CP_APPROVAL_READY] = "approved",
    [CP_APPROVAL_DENIED] = "denied",
    [CP_APPROVAL_FULL] = "full"
};


cp_rc_t
cp_approval_post(cp_req_t *r)
{
    cp_rc_t              rc;
    cp_json_t           *in;
    cp_approval_wait_t  *w;

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_approval_check(r, in);
    }

    if (rc != CP_OK) {
        return rc;
    }

    w = cp_arena_alloc(r->op.arena, sizeof(cp_approval_wait_t));
    if (w == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    memset(w, 0, sizeof(cp_approval_wait_t));
    w->ask.in = in;
    w->deadline = cp_time_mono_ms() + cp_json_num(in, "wait_s", 0) * 1000;
    r->ctx = w;

    return cp_approval_look(r);
}


static cp_rc_t
cp_approval_check(cp_req_t *r, const cp_json_t *in)
{
    cp_rc_t  rc;

    rc = cp_report_check(in, cp_approval_ask_fields, "", &r->op.err);

    if (rc == CP_OK && cp_json_num(in, "ttl_s", 0) < 1) {
        rc = cp_err_field(&r->op.err, -1, in->line, "ttl_s",
                          "must be more than 0");
    }

    return rc;
}


/* Again and again while it waits.  Who has waited is told of an approval and
 * asks anew for using it: it may be gone by now, and the approval must not go
 * with it. */
static cp_rc_t
cp_approval_look(cp_req_t *r)
{
    cp_rc_t              rc;
    int64_t              now;
    cp_tx_t             *tx;
    cp_approval_wait_t  *w = r->ctx;

    if (cp_tx_open(r->op.app->db, !w->ask.look, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_finish(tx, cp_approval_ask(&r->op, tx, &w->ask), &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    now = cp_time_mono_ms();

    if (w->ask.says != CP_APPROVAL_WAITS || w->ask.id == NULL
        || now >= w->deadline || atomic_load(&r->op.app->stopping))
    {
        return cp_approval_answer(r);
    }

    w->ask.look = true;
    now += CP_APPROVAL_LOOK_MS;

    return cp_req_park(r, now < w->deadline ? now : w->deadline,
                       cp_approval_look);
}


static cp_rc_t
cp_approval_answer(cp_req_t *r)
{
    cp_json_t                *out;
    cp_arena_t               *a = r->op.arena;
    const cp_approval_ask_t  *ask = r->ctx;

    out = cp_json_object(a);
    cp_json_put(a, out, "says", cp_approval_words[ask->says]);

    if (ask->id) {
        cp_json_put(a, out, "id", ask->id);
        cp_json_put_int(a, out, "expires_ms", ask->expires_ms);
    }

    if (ask->reason) {
        cp_json_put(a, out, "reason", ask->reason);
    }

    return cp_req_answer(r, 200, out);
}
