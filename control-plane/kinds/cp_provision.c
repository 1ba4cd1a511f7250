/*
 * The steps, and the job that takes them.
 */

#include <inttypes.h>
#include <string.h>

#include "client/cp_mail.h"
#include "feed/cp_feed.h"
#include "kinds/cp_group_end.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_provision.h"


#define CP_PROVISION_MS      1000      /* before the second attempt          */
#define CP_PROVISION_MAX_MS  60000
#define CP_PROVISION_ROWS    100
#define CP_PROVISION_ARENA   (64 * 1024 * 1024)

typedef cp_rc_t (*cp_step_pt)(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask);

typedef struct {
    const char  *name;                 /* the member that asks for it        */
    cp_step_pt   make;                 /* NULL: somebody else's              */
    cp_step_pt   undo;
} cp_step_t;

static const cp_provision_out_t  *cp_provision_groups;


static cp_rc_t cp_step_plan(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask);
static cp_rc_t cp_step_plan_undo(cp_op_t *op, cp_tx_t *tx,
    const char *tenant, const cp_json_t *ask);
static cp_rc_t cp_step_admin(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask);
static cp_rc_t cp_step_admin_undo(cp_op_t *op, cp_tx_t *tx,
    const char *tenant, const cp_json_t *ask);
static cp_rc_t cp_step_invite(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask);
static cp_rc_t cp_step_invite_undo(cp_op_t *op, cp_tx_t *tx,
    const char *tenant, const cp_json_t *ask);
static bool cp_provision_has(const cp_json_t *list, const char *name);
static cp_rc_t cp_provision_step(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row, cp_json_t *at);
static cp_rc_t cp_provision_undo(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row, cp_json_t *at);


const cp_field_t  cp_provision_fields[] = {
    F("plan", CP_F_JSON, 0, 0, 4096, NULL,
      "its first plan, as POST of plans takes it; name: default"),
    F_REF("admin", 0, "user", NULL,
      "the person who becomes its tenant-admin"),
    BOOL("group", 0, "false",
         "whether it gets groups in Keycloak, one for each role"),
    F_END
};

/* In this order; undone in the other. */
static const cp_step_t  cp_steps[] = {
    { "group", NULL, NULL },
    { "plan", cp_step_plan, cp_step_plan_undo },
    { "admin", cp_step_admin, cp_step_admin_undo },
    { "invite", cp_step_invite, cp_step_invite_undo },
    { NULL, NULL, NULL }
};


/* What a step was asked with; an address is in no object that is shown. */
static const cp_json_t *
cp_provision_ask(const cp_json_t *row, const cp_step_t *s)
{
    const cp_json_t  *ask;

    ask = cp_json_get(cp_json_get(row, "provision"), s->name);

    if (ask && ask->type == CP_JSON_BOOL && !ask->i) {
        return NULL;
    }

    return ask || s->make != cp_step_invite ? ask : cp_json_get(row, s->name);
}


static cp_json_t *
cp_provision_plan(cp_arena_t *a, const cp_json_t *plan)
{
    cp_json_t  *in;

    in = cp_json_copy(a, plan);

    if (in && cp_json_get(in, "name") == NULL) {
        cp_json_put(a, in, "name", "default");
    }

    return in;
}


cp_rc_t
cp_provision_begin(const cp_write_t *w, cp_json_t *after)
{
    cp_rc_t           rc;
    cp_json_t        *plan, *out;
    cp_arena_t       *a = w->op->arena;
    const cp_json_t  *ask;
    cp_validate_t     v = { a, &w->op->err, w->document, false };

    ask = cp_json_get(after, "provision");

    if (ask == NULL && cp_json_get(after, "invite") == NULL) {
        return CP_OK;
    }

    if (cp_json_get(after, "invite")
        && (!cp_mail_on(w->op->app) || w->op->app->conf.public_url[0] == '\0'))
    {
        return cp_fault_at(w->op, after, "invite", "needs mail: the options"
                           " smtp_url and public_url");
    }

    if (cp_json_get(ask, "group") && cp_json_get(ask, "group")->i
        && !cp_provision_groups->used(w->op->app))
    {
        return cp_fault_at(w->op, after, "provision.group", "needs Keycloak:"
                           " the option keycloak_groups_client_id");
    }

    plan = cp_json_get(ask, "plan");

    rc = plan ? cp_validate(&v, cp_res_plan.fields,
                            cp_provision_plan(a, plan), NULL, &out) : CP_OK;

    if (rc == CP_OK) {
        cp_json_put(a, after, "state", "provisioning");
        cp_provision_again(a, after);
    }

    return rc;
}


void
cp_provision_again(cp_arena_t *a, cp_json_t *after)
{
    cp_json_t        *at, *done;
    const cp_json_t  *was;
    const cp_step_t  *s;

    /* what could not be undone is there; groups are made again as they are */

    was = cp_json_get(cp_json_get(after, "provisioning"), "done");
    done = cp_json_array(a);

    for (s = cp_steps; s->name; s++) {
        if (s->make && cp_provision_has(was, s->name)) {
            cp_json_push(done, cp_json_string(a, s->name));
        }
    }

    at = cp_json_object(a);
    cp_json_set(a, at, "done", done);
    cp_json_set(a, after, "provisioning", at);
}


/* Creates what is not there; the process itself does it. */
static cp_rc_t
cp_step_create(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *tenant, const cp_json_t *in)
{
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(op, tx, res);

    w.id = tenant;
    w.in = in;

    return cp_entry_create(&w, &e);
}


/* By a query for its id; what is gone is undone. */
static cp_rc_t
cp_step_delete(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *sql, const char *tenant, const char *name)
{
    cp_rc_t     rc;
    cp_rows_t   rows;
    cp_write_t  w = cp_write_of(op, tx, res);

    rc = cp_tx_query(tx, op->arena, sql,
                     cp_args(cp_text(tenant), cp_text(name)), &rows,
                     &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    w.id = cp_cell(&rows, 0, 0)->p;

    return cp_entry_delete(&w);
}


static cp_rc_t
cp_step_plan(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask)
{
    return cp_step_create(op, tx, &cp_res_plan, tenant,
                          cp_provision_plan(op->arena, ask));
}


static cp_rc_t
cp_step_plan_undo(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask)
{
    return cp_step_delete(op, tx, &cp_res_plan, "SELECT id FROM plans"
                          " WHERE tenant = $1 AND name = $2", tenant,
                          cp_json_str(cp_provision_plan(op->arena, ask),
                                      "name"));
}


static cp_rc_t
cp_step_admin(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask)
{
    cp_json_t  *in;

    in = cp_json_object(op->arena);
    cp_json_put(op->arena, in, "user", ask->s);
    cp_json_put(op->arena, in, "role", "tenant-admin");

    return cp_step_create(op, tx, &cp_res_role_binding, tenant, in);
}


static cp_rc_t
cp_step_admin_undo(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask)
{
    return cp_step_delete(op, tx, &cp_res_role_binding,
                          "SELECT id FROM role_bindings WHERE tenant = $1"
                          " AND role = 'tenant-admin' AND \"user\" = $2",
                          tenant, ask->s);
}


/* The link is in the mail and nowhere else. */
static cp_rc_t
cp_step_invite(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask)
{
    cp_rc_t      rc;
    cp_json_t   *in;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(op, tx, &cp_res_invitation);

    in = cp_json_object(op->arena);
    cp_json_put(op->arena, in, "tenant", tenant);
    cp_json_put(op->arena, in, "mail", ask->s);
    cp_json_put(op->arena, in, "role", "tenant-admin");
    w.in = in;

    rc = cp_entry_create(&w, &e);

    return rc == CP_OK && !cp_json_num(e.row, "mailed", 0)
           ? cp_err_set(&op->err, "conflict", "the invitation could not be"
                        " mailed") : rc;
}


static cp_rc_t
cp_step_invite_undo(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *ask)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(op, tx, &cp_res_invitation);

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM invitations"
                     " WHERE tenant = $1 AND mail = $2 AND state = 'pending'"
                     " AND inviter_how = 'system'",
                     cp_args(cp_text(tenant), cp_text(ask->s)), &rows,
                     &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    w.id = cp_cell(&rows, 0, 0)->p;

    return cp_entry_event(&w, "revoke", &e);
}


static bool
cp_provision_has(const cp_json_t *list, const char *name)
{
    const cp_json_t  *m;

    for (m = list ? list->first : NULL; m; m = m->next) {
        if (strcmp(m->s, name) == 0) {
            return true;
        }
    }

    return false;
}


static cp_rc_t
cp_provision_event(cp_op_t *op, cp_tx_t *tx, const char *id,
    const char *event)
{
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(op, tx, cp_resource_owner());

    w.id = id;

    return cp_entry_event(&w, event, &e);
}


void
cp_provision_outside(const cp_provision_out_t *out)
{
    cp_provision_groups = out;
}


/* The one that is asked for and not done, or the last that is done when they
 * are undone; NULL: none. */
static const cp_step_t *
cp_provision_due(const cp_json_t *row, const cp_json_t *at)
{
    const cp_step_t  *s;
    const cp_json_t  *done;

    done = cp_json_get(at, "done");

    for (s = cp_steps; s->name; s++) {
        if (cp_json_num(at, "failing", 0)
            ? done->last && strcmp(s->name, done->last->s) == 0
            : cp_provision_ask(row, s) && !cp_provision_has(done, s->name))
        {
            return s;
        }
    }

    return NULL;
}


/* After the last it is active. */
static cp_rc_t
cp_provision_step(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    cp_json_t *at)
{
    cp_rc_t           rc;
    const cp_step_t  *s;

    s = cp_provision_due(row, at);

    if (s == NULL) {
        return cp_provision_event(op, tx, cp_json_str(row, "id"),
                                  "provisioned");
    }

    rc = s->make ? s->make(op, tx, cp_json_str(row, "id"),
                           cp_provision_ask(row, s)) : CP_OK;

    if (rc == CP_OK) {
        cp_json_push(cp_json_get(at, "done"),
                     cp_json_string(op->arena, s->name));
    }

    return rc;
}


/* The last one that is done; before the first it has failed. */
static cp_rc_t
cp_provision_undo(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    cp_json_t *at)
{
    cp_rc_t           rc;
    cp_json_t        *done, *rest, *m, *last;
    const cp_step_t  *s;

    done = cp_json_get(at, "done");
    last = done->last;

    if (last == NULL) {
        return cp_provision_event(op, tx, cp_json_str(row, "id"), "fail");
    }

    s = cp_provision_due(row, at);
    rc = s && s->undo ? s->undo(op, tx, cp_json_str(row, "id"),
                                cp_provision_ask(row, s)) : CP_OK;

    if (rc == CP_OK) {
        rest = cp_json_array(op->arena);

        for (m = done->first; m != last; m = m->next) {
            cp_json_push(rest, cp_json_string(op->arena, m->s));
        }

        cp_json_set(op->arena, at, "done", rest);
    }

    return rc;
}


/* Writes down how far it is; the event that ends it has done so itself. */
static cp_rc_t
cp_provision_store(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_json_t *at)
{
    bool        changed;
    cp_rc_t     rc;
    cp_json_t  *row, *after;

    rc = cp_row_load(tx, op->arena, cp_resource_owner(), id, &row, &op->err);

    if (rc != CP_OK || row == NULL) {
        return rc;
    }

    after = cp_json_copy(op->arena, row);
    cp_json_set(op->arena, after, "provisioning",
                cp_json_copy(op->arena, at));

    return cp_row_update(tx, op->arena, cp_resource_owner(), row, after,
                         &changed, &op->err);
}


/* What was tried and came right is no matter of the next step's. */
static cp_json_t *
cp_provision_after(cp_arena_t *a, const cp_json_t *at)
{
    cp_json_t  *out, *m;

    out = cp_json_object(a);

    for (m = at->first; m; m = m->next) {
        if (strcmp(m->key, "attempts") != 0 && strcmp(m->key, "next_ms") != 0
            && strcmp(m->key, "undo_error") != 0
            && (cp_json_num(at, "failing", 0)
                || strcmp(m->key, "error") != 0))
        {
            cp_json_set(a, out, m->key, cp_json_copy(a, m));
        }
    }

    return out;
}


/* In a transaction of its own: why it did not go on, and when again.  What was
 * tried often enough is undone; where that does not go either it has failed as
 * it is, and `done` says what is left. */
static void
cp_provision_note(cp_op_t *op, const char *id, cp_json_t *at, cp_rc_t why)
{
    bool         failing, over;
    cp_rc_t      rc;
    cp_tx_t     *tx;
    int64_t      n, wait;
    const char  *text;
    cp_arena_t  *a = op->arena;

    failing = cp_json_num(at, "failing", 0);
    n = cp_json_num(at, "attempts", 0) + 1;
    over = n >= op->app->conf.provision_attempts;
    wait = CP_PROVISION_MS << (n < 7 ? n : 7);
    wait = wait < CP_PROVISION_MAX_MS ? wait : CP_PROVISION_MAX_MS;
    text = op->err.detail ? op->err.detail : "the database did not take it";

    if (op->err.n) {
        text = cp_arena_printf(a, "%s %s", op->err.faults[0].field,
                               op->err.faults[0].message);
    }

    if ((over || why == CP_DECLINED) && !failing) {
        cp_json_put(a, at, "error", text);
        cp_json_put_bool(a, at, "failing", true);
        at = cp_provision_after(a, at);

    } else {
        cp_json_put_int(a, at, "attempts", n);
        cp_json_put_int(a, at, "next_ms", cp_time_ms() + wait);
        cp_json_put(a, at, failing ? "undo_error" : "error", text);
    }

    cp_op_clear(op);

    if (cp_tx_begin(op->app->db, true, &tx) != CP_OK) {
        return;
    }

    rc = cp_feed_lock(tx, a, &op->err);

    if (rc == CP_OK && failing && over) {
        rc = cp_provision_event(op, tx, id, "fail");
    }

    if (rc == CP_OK) {
        rc = cp_provision_store(op, tx, id, at);
    }

    if (cp_tx_finish(tx, rc, &op->err) != CP_OK) {
        cp_log(CP_LOG_ERROR, "provisioning", "cannot note it tenant:%s", id);
    }
}


static cp_rc_t
cp_provision_load(cp_op_t *op, const char *id, cp_json_t **row)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    rc = cp_tx_begin(op->app->db, false, &tx);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, op->arena, cp_resource_owner(), id, row,
                         &op->err);
        cp_tx_rollback(tx);
    }

    return rc;
}


/* What the next step asks of others. */
static cp_rc_t
cp_provision_ahead(cp_app_t *app, const char *id)
{
    cp_rc_t           rc;
    cp_op_t           op;
    cp_json_t        *row, *at;
    cp_arena_t       *a;
    const cp_step_t  *s;

    a = cp_arena_create(CP_PROVISION_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "provisioning");
    row = NULL;
    rc = cp_provision_load(&op, id, &row);
    at = rc == CP_OK && row
         && strcmp(cp_json_str(row, "state"), "provisioning") == 0
         ? cp_json_copy(a, cp_json_get(row, "provisioning")) : NULL;
    s = at && cp_json_num(at, "next_ms", 0) <= cp_time_ms()
        ? cp_provision_due(row, at) : NULL;

    if (s && s->make == NULL) {
        rc = (cp_json_num(at, "failing", 0) ? cp_provision_groups->undo
                                            : cp_provision_groups->make)
             (&op, id, cp_json_str(row, "name"));
    }

    if (rc != CP_OK && rc != CP_CONFLICT && at) {
        cp_log(CP_LOG_WARN, "provisioning", "a step failed tenant:%s: %s", id,
               op.err.detail ? op.err.detail : "");
        cp_provision_note(&op, id, at, rc);
    }

    cp_arena_destroy(a);

    return rc;
}


/* One step of one tenant.  *more: there may be another. */
static cp_rc_t
cp_provision_one(cp_app_t *app, const char *id, const char *name, bool *more)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_op_t      op;
    cp_json_t   *row, *at;
    cp_arena_t  *a;

    *more = false;
    at = NULL;

    rc = cp_provision_ahead(app, id);
    if (rc != CP_OK) {
        return CP_OK;                  /* noted                              */
    }

    a = cp_arena_create(CP_PROVISION_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "provisioning");

    rc = cp_tx_begin(app->db, true, &tx);
    if (rc != CP_OK) {
        cp_arena_destroy(a);
        return rc;
    }

    rc = cp_feed_lock(tx, a, &op.err);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, a, cp_resource_owner(), id, &row, &op.err);
    }

    if (rc == CP_OK && row == NULL && cp_provision_groups->used(app)) {
        rc = cp_group_end_add(&op, tx, id, name);
    }

    if (rc == CP_OK && row
        && strcmp(cp_json_str(row, "state"), "provisioning") == 0)
    {
        at = cp_json_copy(a, cp_json_get(row, "provisioning"));
    }

    if (rc == CP_OK && at
        && cp_json_num(at, "next_ms", 0) <= cp_time_ms())
    {
        *more = true;

        rc = cp_json_num(at, "failing", 0)
             ? cp_provision_undo(&op, tx, row, at)
             : cp_provision_step(&op, tx, row, at);

        if (rc == CP_OK) {
            rc = cp_provision_store(&op, tx, id, cp_provision_after(a, at));
        }
    }

    if (rc == CP_OK) {
        rc = cp_tx_commit(tx);

    } else {
        cp_tx_rollback(tx);
    }

    if (rc != CP_OK && rc != CP_CONFLICT && at) {
        cp_log(CP_LOG_WARN, "provisioning", "a step failed tenant:%s: %s", id,
               op.err.detail ? op.err.detail : "commit");
        cp_provision_note(&op, id, at, rc);
        rc = CP_OK;
    }

    cp_arena_destroy(a);

    return rc;
}


cp_rc_t
cp_provision_job(cp_app_t *app)
{
    bool         more;
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    cp_err_t     err = { .arena = NULL };
    cp_rows_t    rows;
    cp_arena_t  *a;

    a = cp_arena_create(CP_PROVISION_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    rc = cp_tx_begin(app->db, false, &tx);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT id, name FROM tenants"
                         " WHERE state = 'provisioning' ORDER BY id LIMIT $1",
                         cp_args(cp_int(CP_PROVISION_ROWS)), &rows, &err);
        cp_tx_rollback(tx);
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        do {
            rc = cp_provision_one(app, cp_cell(&rows, i, 0)->p,
                                  cp_cell(&rows, i, 1)->p, &more);
        } while (rc == CP_OK && more && !atomic_load(&app->stopping));
    }

    cp_arena_destroy(a);

    return rc == CP_OK ? cp_group_ends(app, cp_provision_groups) : rc;
}
