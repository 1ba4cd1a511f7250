/*
 * Holds.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_hold.h"
#include "kinds/cp_kinds.h"


/* What an event of the publisher leaves behind; NULL takes back. */
static const struct {
    const char  *event;
    const char  *state;
} cp_hold_events[] = {
    { "suspend", "suspended" },
    { "revoke",  "revoked" },
    { "reject",  "rejected" },
    { "approve", NULL },
    { "resume",  NULL },
    { NULL, NULL }
};


cp_rc_t
cp_hold_load(cp_tx_t *tx, cp_arena_t *a, const char *application,
    const char *target, cp_hold_t *hold, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    memset(hold, 0, sizeof(cp_hold_t));

    rc = cp_tx_query(tx, a, "SELECT state, COALESCE(expires_at, 0)"
                     " FROM subscription_holds"
                     " WHERE application = $1 AND target = $2",
                     cp_args(cp_text(application), cp_text(target)), &rows,
                     err);

    if (rc == CP_OK && rows.rows) {
        hold->state = cp_cell(&rows, 0, 0)->type == CP_VAL_NULL
                      ? NULL : cp_cell(&rows, 0, 0)->p;
        hold->expires_ms = cp_cell(&rows, 0, 1)->i;
    }

    return rc;
}


const char *
cp_hold_ended(const cp_hold_t *hold)
{
    if (hold->state && strcmp(hold->state, "suspended") != 0) {
        return hold->state;
    }

    return hold->expires_ms && hold->expires_ms <= cp_time_ms() ? "expired"
                                                                : NULL;
}


bool
cp_hold_is_publisher(const cp_op_t *op, const cp_json_t *sub)
{
    return cp_auth_holds(&op->actor, "subscription:approve",
                         cp_json_str(sub, "target_tenant"));
}


static bool
cp_hold_is_foreign(const cp_json_t *sub)
{
    return strcmp(cp_json_str(sub, "tenant"),
                  cp_json_str(sub, "target_tenant")) != 0;
}


static cp_rc_t
cp_hold_of(cp_op_t *op, cp_tx_t *tx, const cp_json_t *sub, cp_hold_t *hold)
{
    return cp_hold_load(tx, op->arena, cp_json_str(sub, "application"),
                        cp_subscription_to(sub), hold, &op->err);
}


static cp_rc_t
cp_hold_store(cp_op_t *op, cp_tx_t *tx, const cp_json_t *sub,
    const cp_hold_t *hold)
{
    cp_rc_t   rc;
    cp_val_t  state, expires;

    rc = cp_tx_query(tx, op->arena, "DELETE FROM subscription_holds"
                     " WHERE application = $1 AND target = $2",
                     cp_args(cp_text(cp_json_str(sub, "application")),
                             cp_text(cp_subscription_to(sub))), NULL,
                     &op->err);

    if (rc != CP_OK || (hold->state == NULL && hold->expires_ms == 0)) {
        return rc;
    }

    state = hold->state ? cp_text(hold->state) : cp_null();
    expires = hold->expires_ms ? cp_int(hold->expires_ms) : cp_null();

    return cp_tx_query(tx, op->arena, "INSERT INTO subscription_holds"
                       " (application, target, state, expires_at)"
                       " VALUES ($1, $2, $3, $4)",
                       cp_args(cp_text(cp_json_str(sub, "application")),
                               cp_text(cp_subscription_to(sub)), state,
                               expires), NULL, &op->err);
}


cp_rc_t
cp_hold_begin(cp_op_t *op, cp_tx_t *tx, cp_json_t *sub)
{
    cp_rc_t      rc;
    int64_t      asked;
    cp_hold_t    hold;
    const char  *state;

    if (!cp_hold_is_foreign(sub)) {
        return CP_OK;
    }

    rc = cp_hold_of(op, tx, sub, &hold);
    if (rc != CP_OK) {
        return rc;
    }

    asked = cp_json_num(sub, "expires_at", INT64_MAX);

    if (hold.expires_ms > cp_time_ms() && asked > hold.expires_ms) {
        cp_json_put_int(op->arena, sub, "expires_at", hold.expires_ms);
    }

    /* what waits for the publisher waits on */

    state = cp_hold_ended(&hold) ? "pending" : hold.state;

    if (state && strcmp(cp_json_str(sub, "state"), "active") == 0) {
        cp_json_put(op->arena, sub, "state", state);
    }

    return CP_OK;
}


cp_rc_t
cp_hold_change(cp_op_t *op, cp_tx_t *tx, const cp_json_t *before,
    const cp_json_t *after)
{
    cp_rc_t    rc;
    int64_t    old, now;
    cp_hold_t  hold;

    old = cp_json_num(before, "expires_at", 0);
    now = cp_json_num(after, "expires_at", 0);

    if (old == now || !cp_hold_is_foreign(after)
        || !cp_hold_is_publisher(op, after))
    {
        return CP_OK;
    }

    rc = cp_hold_of(op, tx, after, &hold);
    hold.expires_ms = now;

    return rc == CP_OK ? cp_hold_store(op, tx, after, &hold) : rc;
}


cp_rc_t
cp_hold_event(cp_op_t *op, cp_tx_t *tx, const char *event,
    const cp_json_t *sub)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_hold_t  hold;

    if (!cp_hold_is_foreign(sub) || !cp_hold_is_publisher(op, sub)) {
        return CP_OK;
    }

    for (i = 0; cp_hold_events[i].event; i++) {
        if (strcmp(cp_hold_events[i].event, event) == 0) {
            break;
        }
    }

    if (cp_hold_events[i].event == NULL) {
        return CP_OK;
    }

    rc = cp_hold_of(op, tx, sub, &hold);
    if (rc != CP_OK) {
        return rc;
    }

    hold.state = cp_hold_events[i].state;

    /* who lets it live again does not mean the time that is over */

    if (hold.state == NULL && hold.expires_ms <= cp_time_ms()) {
        hold.expires_ms = 0;
    }

    return cp_hold_store(op, tx, sub, &hold);
}


/* A publisher that deletes a living subscription revokes it; one that goes
 * with its api or its plan is no decision about the application. */
cp_rc_t
cp_hold_gone(const cp_write_t *w, const cp_json_t *before)
{
    unsigned                  i;
    static const char *const  ended[] = { "rejected", "revoked", "expired" };

    if (!w->single || cp_auth_sees(&w->op->actor, NULL)) {
        return CP_OK;
    }

    for (i = 0; i < sizeof(ended) / sizeof(ended[0]); i++) {
        if (strcmp(cp_json_str(before, "state"), ended[i]) == 0) {
            return CP_OK;
        }
    }

    return cp_hold_event(w->op, w->tx, "revoke", before);
}


cp_rc_t
cp_hold_shown(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj, cp_err_t *err)
{
    cp_rc_t     rc;
    cp_rows_t   rows;
    cp_json_t  *held;

    if (strcmp(cp_json_str(obj, "tenant"),
               cp_json_str(obj, "target_tenant")) == 0)
    {
        return CP_OK;
    }

    rc = cp_tx_query(tx, a, "SELECT h.state, h.expires_at"
                     " FROM subscriptions s JOIN subscription_holds h"
                     " ON h.application = s.application"
                     " AND h.target = COALESCE(s.api, s.server)"
                     " WHERE s.id = $1",
                     cp_args(cp_text(cp_json_str(obj, "id"))), &rows, err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    held = cp_json_object(a);

    if (cp_cell(&rows, 0, 0)->type != CP_VAL_NULL) {
        cp_json_put(a, held, "state", cp_cell(&rows, 0, 0)->p);
    }

    if (cp_cell(&rows, 0, 1)->type != CP_VAL_NULL) {
        cp_json_put(a, held, "expires_at",
                    cp_time_format(a, cp_cell(&rows, 0, 1)->i));
    }

    cp_json_set(a, obj, "held", held);

    return CP_OK;
}
