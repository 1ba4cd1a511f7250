/*
 * The first administrator.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "auth/cp_session.h"
#include "cp_bootstrap.h"
#include "feed/cp_feed.h"
#include "kinds/cp_kinds.h"
#include "people/cp_password.h"
#include "op/cp_app.h"


static cp_rc_t cp_first_run(cp_op_t *op, cp_tx_t *tx, bool again,
    const char *encoded, bool *made);
static cp_rc_t cp_first_person(cp_op_t *op, cp_tx_t *tx, const char **id);
static cp_rc_t cp_first_audit(cp_op_t *op, cp_tx_t *tx, const char *id);


/* *some: there are people. */
static cp_rc_t
cp_first_some(cp_op_t *op, cp_tx_t *tx, bool *some)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM users LIMIT 1", NULL, 0,
                     &rows, &op->err);
    *some = rc == CP_OK && rows.rows;

    return rc;
}


/* Most starts see that there are people, and that is all. */
static cp_rc_t
cp_first_needed(cp_op_t *op, bool again, bool *needed)
{
    bool      some;
    cp_rc_t   rc;
    cp_tx_t  *tx;

    *needed = again;

    if (again || op->app->conf.admin_user[0] == '\0') {
        return CP_OK;
    }

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_first_some(op, tx, &some);
    cp_tx_rollback(tx);
    *needed = !some;

    return rc;
}


static cp_rc_t
cp_first_write(cp_op_t *op, bool again, FILE *out)
{
    bool         made;
    cp_rc_t      rc;
    cp_tx_t     *tx;
    const char  *password, *encoded, *path;

    path = again ? "" : op->app->conf.admin_password_file;
    password = cp_password_make(op->arena);

    if (password == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    rc = cp_password_hash(op, password, &encoded);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    made = false;
    rc = cp_first_run(op, tx, again, encoded, &made);

    if (rc == CP_OK && made && path[0]) {

        /* before the commit: one that nobody knows would lock us out */

        rc = cp_bootstrap_write(path, password, &op->err);
    }

    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc != CP_OK || !made) {
        return rc;
    }

    if (path[0]) {
        cp_log(CP_LOG_INFO, "auth", "wrote the first administrator's password"
               " user:%s file:%s", op->app->conf.admin_user, path);
        return CP_OK;
    }

    (void) fprintf(out, again ? "%s%s\n" : "stoa-control: the first"
                   " administrator is \"%s\", his password, for one login: "
                   "%s\n", again ? "" : op->app->conf.admin_user, password);
    (void) fflush(out);

    return CP_OK;
}


cp_rc_t
cp_bootstrap_user(cp_app_t *app, bool again, FILE *out, cp_err_t *err)
{
    bool         needed;
    cp_rc_t      rc;
    cp_op_t      op;
    cp_arena_t  *a;

    a = cp_arena_create(16 * 1024 * 1024);
    if (a == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    cp_op_system(&op, app, a, "bootstrap");
    needed = false;

    rc = again && app->conf.admin_user[0] == '\0'
         ? cp_err_set(&op.err, "validation", "admin_user is empty")
         : cp_first_needed(&op, again, &needed);

    if (rc == CP_OK && needed) {
        rc = cp_first_write(&op, again, out);
    }

    if (rc != CP_OK && rc != CP_CONFLICT) {
        (void) cp_err_set(err, op.err.code ? op.err.code : "internal", "%s",
                          op.err.detail ? op.err.detail : "commit failed");
    }

    cp_arena_destroy(a);

    return rc;
}


/* *made false: somebody else was faster. */
static cp_rc_t
cp_first_run(cp_op_t *op, cp_tx_t *tx, bool again, const char *encoded,
    bool *made)
{
    bool         some;
    cp_rc_t      rc;
    unsigned     n;
    const char  *id;

    rc = cp_feed_lock(tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_first_some(op, tx, &some);
    }

    if (rc != CP_OK || (some && !again)) {
        return rc;
    }

    *made = true;
    rc = cp_first_person(op, tx, &id);

    if (rc == CP_OK) {
        rc = cp_role_bind(op, tx, NULL, id, "platform-admin");
    }

    if (rc == CP_OK) {
        rc = cp_session_end(op, tx, id, NULL, NULL, &n);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "UPDATE users SET password = $2,"
                         " must_change = 1, state = 'active',"
                         " second_factor = 0, totp = NULL, ver = ver + 1"
                         " WHERE id = $1",
                         cp_args(cp_text(id), cp_text(encoded)), NULL,
                         &op->err);
    }

    return rc == CP_OK ? cp_first_audit(op, tx, id) : rc;
}


static cp_rc_t
cp_first_person(cp_op_t *op, cp_tx_t *tx, const char **id)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(op, tx, &cp_res_user);
    cp_json_t   *in;
    const char  *name;

    name = op->app->conf.admin_user;

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM users WHERE name = $1"
                     " AND issuer IS NULL", cp_args(cp_text(name)), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows) {
        *id = cp_cell(&rows, 0, 0)->p;
        return CP_OK;
    }

    in = cp_json_object(op->arena);
    cp_json_put(op->arena, in, "name", name);
    cp_json_put(op->arena, in, "title", "first administrator");
    w.in = in;

    rc = cp_entry_create(&w, &e);
    *id = rc == CP_OK ? cp_json_str(e.row, "id") : NULL;

    return rc;
}


static cp_rc_t
cp_first_audit(cp_op_t *op, cp_tx_t *tx, const char *id)
{
    cp_audit_event_t  e;

    memset(&e, 0, sizeof(e));
    e.action = "reset";
    e.kind = "user";
    e.id = id;
    e.name = op->app->conf.admin_user;

    return cp_audit_append(op, tx, &e);
}
