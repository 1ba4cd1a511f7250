/*
 * Handovers: an application gets another owner once that one, or who may tie
 * applications, says yes; never who asked for it.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_notice.h"


#define CP_HANDOVERS_KEPT  20          /* of an application                  */


static cp_rc_t cp_handover_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_handover_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_handover_is_owner(const cp_write_t *w,
    const cp_json_t *row, bool *is);
static cp_rc_t cp_handover_do(const cp_write_t *w, const cp_json_t *row);
static cp_rc_t cp_handover_tell(const cp_write_t *w, const cp_json_t *row,
    cp_notice_e kind, const char *done);


static const cp_field_t  handover_fields[] = {
    BASE_ID, BASE_STATE, BASE_TENANT,
    F_REF("application", RQ|IM|FI, "application", NULL, "what is handed over"),
    F_OBJECT("owner", RQ|IM, NULL, cp_owner_fields, "whose it is to be"),
    F_OBJECT("before", RO, NULL, cp_owner_fields,
             "whose it was when that was asked for"),
    F("reason", CP_F_STRING, IM, 0, 500, NULL, "why"),
    F("requested_by", CP_F_STRING, RO, 0, 128, NULL, "who asked"),
    F("requester", CP_F_STRING, RO|SC, 0, 32, NULL, "the same, by its id"),
    F("decided_by", CP_F_STRING, RO, 0, 128, NULL, "who said so"),
    F("decided_at", CP_F_TIME, RO, 0, 0, NULL, "when"),
    F("decision", CP_F_STRING, RO, 0, 500, NULL, "why"),
    BASE_TIMES,
    F_END
};

static const cp_field_t  handover_args[] = {
    F("reason", CP_F_STRING, 0, 0, 500, NULL, "why"), F_END
};

static const cp_transition_t  handover_transitions[] = {
    { "accept", { "pending" }, "accepted", "handover:write", handover_args },
    { "decline", { "pending" }, "declined", "handover:write",
      handover_args },
    { "withdraw", { "pending" }, "withdrawn", "handover:write",
      handover_args },
    T_END
};

const cp_resource_t  cp_res_handover = {
    .kind = "handover", .plural = "handovers", .table = "handovers",
    .parent = "tenant", .by_id = true, .called = "application",
    .fields = handover_fields, .transitions = handover_transitions,
    .initial = "pending", .check = cp_handover_check,
    .event = cp_handover_event
};


static cp_rc_t
cp_handover_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t           rc;
    cp_op_t          *op = w->op;
    cp_json_t        *app;
    cp_rows_t         rows;
    const char       *id;
    const cp_json_t  *was;

    if (before) {
        return CP_OK;
    }

    id = cp_json_str(after, "application");
    rc = cp_owner_check(op, after, cp_json_get(after, "owner"));

    if (rc == CP_OK) {
        rc = cp_row_load(w->tx, op->arena, &cp_res_application, id, &app,
                         &op->err);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(w->tx, op->arena, "SELECT 1 FROM handovers"
                         " WHERE application = $1 AND state = 'pending'",
                         cp_args(cp_text(id)), &rows, &op->err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows) {
        return cp_err_set(&op->err, "conflict", "another handover of it"
                          " waits");
    }

    was = app ? cp_json_get(app, "owner") : NULL;

    if (cp_json_equal(was, cp_json_get(after, "owner"))) {
        return cp_err_set(&op->err, "conflict", "it has that owner already");
    }

    if (was) {
        cp_json_set(op->arena, after, "before", cp_json_copy(op->arena, was));
    }

    cp_json_put(op->arena, after, "requested_by", op->actor.name);
    cp_json_put(op->arena, after, "requester", cp_auth_self(&op->actor));

    rc = cp_tx_query(w->tx, op->arena, "DELETE FROM handovers"
                     " WHERE application = $1 AND state <> 'pending'"
                     " AND id < (SELECT id FROM handovers"
                     " WHERE application = $1 ORDER BY id DESC LIMIT 1"
                     " OFFSET $2)",
                     cp_args(cp_text(id), cp_int(CP_HANDOVERS_KEPT)), NULL,
                     &op->err);

    return rc == CP_OK
           ? cp_handover_tell(w, after, CP_NOTICE_HANDOVER_ASKED,
                              "is to be that of") : rc;
}


static cp_rc_t
cp_handover_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    bool         asked, is, may;
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    const char  *requester;

    requester = cp_json_str(before, "requester");
    asked = requester && strcmp(requester, cp_auth_self(&op->actor)) == 0;
    may = cp_auth_holds(&op->actor, "application:tie",
                        cp_json_str(before, "tenant"));

    rc = cp_handover_is_owner(w, before, &is);
    if (rc != CP_OK) {
        return rc;
    }

    if (strcmp(event, "accept") == 0 && asked) {
        return cp_err_set(&op->err, "forbidden",
                          "who asked for it does not accept it");
    }

    if (!may && !(strcmp(event, "withdraw") == 0 ? asked : is)) {
        return cp_err_set(&op->err, "forbidden", "this is for %s, or needs"
                          " application:tie",
                          strcmp(event, "withdraw") == 0
                          ? "who asked for it" : "whose it is to be");
    }

    if (strcmp(event, "accept") == 0) {
        rc = cp_handover_do(w, before);
    }

    cp_json_put(op->arena, after, "decided_by", op->actor.name);
    cp_json_put_int(op->arena, after, "decided_at", cp_time_ms());

    if (cp_json_str(args, "reason")) {
        cp_json_put(op->arena, after, "decision", cp_json_str(args, "reason"));
    }

    return rc == CP_OK && strcmp(event, "withdraw") != 0
           ? cp_handover_tell(w, after, CP_NOTICE_HANDOVER_DECIDED,
                              strcmp(event, "accept") == 0
                              ? "is now that of" : "does not become that of")
           : rc;
}


/* By the name that the provider of identities has for the person: who came
 * with it last, as a name may be somebody else's by now. */
static cp_rc_t
cp_handover_is_owner(const cp_write_t *w, const cp_json_t *row, bool *is)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    cp_rows_t    rows;
    const char  *user;

    *is = false;
    user = cp_json_str(cp_json_get(row, "owner"), "user");

    if (user == NULL || op->actor.person == NULL) {
        return CP_OK;
    }

    rc = cp_tx_query(w->tx, op->arena, "SELECT 1 FROM users u WHERE id = $1"
                     " AND issuer IS NOT NULL AND login = $2 AND NOT EXISTS"
                     " (SELECT 1 FROM users o WHERE o.issuer = u.issuer"
                     " AND o.login = u.login AND o.id <> u.id"
                     " AND COALESCE(o.seen_at, 0) > COALESCE(u.seen_at, 0))",
                     cp_args(cp_text(op->actor.person), cp_text(user)),
                     &rows, &op->err);
    *is = rc == CP_OK && rows.rows;

    return rc;
}


/* What was agreed to is what is done, to what it was asked for. */
static cp_rc_t
cp_handover_do(const cp_write_t *w, const cp_json_t *row)
{
    cp_rc_t           rc;
    cp_op_t          *op = w->op;
    cp_entry_t        e;
    cp_json_t        *app, *in, *owner, *m;
    cp_write_t        each = cp_write_of(op, w->tx, &cp_res_application);
    const cp_field_t  *f;

    each.id = cp_json_str(row, "application");
    rc = cp_row_load(w->tx, op->arena, each.res, each.id, &app, &op->err);

    if (rc != CP_OK || app == NULL) {
        return rc == CP_OK ? cp_err_set(&op->err, "conflict", "it is gone")
                           : rc;
    }

    if (!cp_json_equal(cp_json_get(app, "owner"), cp_json_get(row, "before")))
    {
        return cp_err_set(&op->err, "conflict", "its owner was changed since;"
                          " ask again");
    }

    owner = cp_json_object(op->arena);

    for (f = cp_owner_fields; f->name; f++) {
        m = cp_json_get(cp_json_get(row, "owner"), f->name);
        cp_json_set(op->arena, owner, f->name,
                    m ? cp_json_copy(op->arena, m) : cp_json_null(op->arena));
    }

    in = cp_json_object(op->arena);
    cp_json_set(op->arena, in, "owner", owner);
    each.in = in;
    each.given = row;
    each.patch = true;

    return cp_entry_update(&each, &e);
}


static cp_rc_t
cp_handover_tell(const cp_write_t *w, const cp_json_t *row, cp_notice_e kind,
    const char *done)
{
    cp_rc_t           rc;
    cp_op_t          *op = w->op;
    cp_names_t        names;
    cp_notice_t       n = { .kind = kind, .about = "handover",
                            .tenant = cp_json_str(row, "tenant"),
                            .id = cp_json_str(row, "id") };
    const char       *name, *who;
    const cp_json_t  *owner;

    owner = cp_json_get(row, "owner");
    who = cp_json_str(owner, "user");
    who = who ? who : cp_json_str(owner, "client");

    cp_names_init(&names, w->tx, op->arena, &op->err);
    rc = cp_names_get(&names, &cp_res_application,
                      cp_json_str(row, "application"), &name);
    if (rc != CP_OK) {
        return rc;
    }

    n.text = cp_arena_printf(op->arena, "The application %s %s %s.",
                             name ? name : "", done, who);

    return cp_notice_add(op, w->tx, &n);
}
