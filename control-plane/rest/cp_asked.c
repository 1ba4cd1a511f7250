/*
 * Requests that ask gateways.
 */

#include <string.h>

#include "rest/cp_asked.h"
#include "rest/cp_list.h"


#define CP_ASKED_LOOK_MS  50           /* the answer may come to a replica   */


typedef struct {
    int64_t                deadline;   /* monotonic ms                       */
    const cp_asked_way_t  *way;
    cp_question_t          q;
} cp_asked_t;


static cp_rc_t cp_asked_look(cp_req_t *r);


cp_rc_t
cp_asked_begin(cp_req_t *r, const cp_json_t *question, const char *group,
    const cp_asked_way_t *way)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_asked_t  *w;
    const char  *tenant, *of;

    w = cp_arena_alloc(r->op.arena, sizeof(cp_asked_t));
    if (w == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    memset(w, 0, sizeof(cp_asked_t));
    w->deadline = cp_time_mono_ms() + CP_QUESTION_MS;
    w->way = way;
    r->ctx = w;
    of = NULL;

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_ref_tenant(&r->op, tx, r->param[0], r->route->permission,
                       &tenant);

    if (rc == CP_OK && group) {
        rc = cp_ref_find(tx, r->op.arena, &cp_res_gateway_group, NULL, group,
                         &of, &r->op.err);

        if (rc == CP_OK && of == NULL) {
            rc = cp_err_set(&r->op.err, "not_found", "there is no gateway"
                            " group \"%.128s\"", group);
        }
    }

    if (rc == CP_OK) {
        rc = cp_question_ask(&r->op, tx, tenant, question, of, &w->q);
    }

    rc = cp_tx_finish(tx, rc, &r->op.err);

    return rc == CP_OK ? cp_asked_look(r) : rc;
}


static cp_rc_t
cp_asked_look(cp_req_t *r)
{
    cp_rc_t      rc;
    int64_t      now;
    cp_tx_t     *tx;
    cp_asked_t  *w = r->ctx;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_question_look(&r->op, tx, &w->q);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    now = cp_time_mono_ms();

    if (w->q.answered < w->q.asked
        && (w->way->enough == NULL || !w->way->enough(&w->q))
        && now < w->deadline && !atomic_load(&r->op.app->stopping))
    {
        now += CP_ASKED_LOOK_MS;

        return cp_req_park(r, now < w->deadline ? now : w->deadline,
                           cp_asked_look);
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_finish(tx, cp_question_end(&r->op, tx, &w->q), &r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    cp_req_set_header(r, "Cache-Control", "no-store");

    return w->way->answer(r, &w->q, w->way->data);
}


cp_rc_t
cp_asked_none(cp_req_t *r, const cp_question_t *q, const char *what)
{
    if (q->asked == 0) {
        return cp_err_set(&r->op.err, "not_found",
                          "%s: no gateway is connected", what);
    }

    if (q->answered < q->asked) {
        return cp_err_set(&r->op.err, "not_found", "%s, as far as they have"
                          " answered: %u of %u did", what, q->answered,
                          q->asked);
    }

    return cp_err_set(&r->op.err, "not_found", "%s", what);
}
