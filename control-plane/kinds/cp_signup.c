/*
 * Signing up: people who make themselves, in tenants that allow it.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "auth/cp_user.h"
#include "feed/cp_feed.h"
#include "kinds/cp_kinds.h"
#include "kinds/cp_signup.h"
#include "people/cp_password.h"


static cp_rc_t cp_signup_tenant(cp_op_t *op, cp_tx_t *tx,
    const cp_signup_t *s, const char **tenant, bool *open, const char **role);
static cp_rc_t cp_signup_make(cp_op_t *op, cp_tx_t *tx, const cp_signup_t *s,
    const char *encoded, cp_json_t **out);


cp_rc_t
cp_signup(cp_op_t *op, const cp_signup_t *s, cp_json_t **out)
{
    bool         open;
    cp_rc_t      rc;
    cp_tx_t     *tx;
    const char  *tenant, *role, *encoded;

    if (cp_user_name(op->arena, s->name) == NULL) {
        return cp_err_field(&op->err, -1, 0, "name", "must have a-z, 0-9 and"
                            " -, at most 63 characters");
    }

    if (cp_user_mail(op->arena, s->mail) == NULL) {
        return cp_err_field(&op->err, -1, 0, "mail",
                            "must be a mail address, in ASCII");
    }

    rc = cp_password_judge(op, s->password, "password", s->name);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_signup_tenant(op, tx, s, &tenant, &open, &role);
    cp_tx_rollback(tx);

    if (rc == CP_OK) {
        rc = cp_password_hash(op, s->password, &encoded);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_signup_make(op, tx, s, encoded, out);
    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc == CP_OK) {
        cp_auth_cache_drop();
    }

    return rc;
}


/* A tenant that there is not is one that does not allow it. */
static cp_rc_t
cp_signup_tenant(cp_op_t *op, cp_tx_t *tx, const cp_signup_t *s,
    const char **tenant, bool *open, const char **role)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT t.id, t.sign_up, t.sign_up_role,"
                     " (SELECT COUNT(*) FROM users u WHERE u.tenant = t.id"
                     " AND u.state = 'pending') FROM tenants t"
                     " WHERE t.name = $1 AND t.state = 'active'"
                     " AND t.sign_up <> 'off'",
                     cp_args(cp_text(s->tenant)), &rows, &op->err);

    if (rc == CP_OK && rows.rows == 0) {
        rc = cp_err_set(&op->err, "not_found", "nobody signs up there");
    }

    if (rc == CP_OK && cp_cell(&rows, 0, 3)->i >= CP_SIGNUPS_MAX) {
        rc = cp_err_set(&op->err, "conflict", "too many wait there already");
    }

    if (rc != CP_OK) {
        return rc;
    }

    *tenant = cp_cell(&rows, 0, 0)->p;
    *open = strcmp(cp_cell(&rows, 0, 1)->p, "open") == 0;
    *role = cp_cell(&rows, 0, 2)->p;

    return CP_OK;
}


/* The tenant has said that this may be done, and with what role. */
static cp_rc_t
cp_signup_make(cp_op_t *op, cp_tx_t *tx, const cp_signup_t *s,
    const char *encoded, cp_json_t **out)
{
    bool         open;
    cp_rc_t      rc;
    cp_op_t      by;
    cp_entry_t   e;
    cp_json_t   *in;
    cp_write_t   w;
    const char  *tenant, *role, *id;

    cp_op_system(&by, op->app, op->arena, "sign-up");
    memcpy(by.request_id, op->request_id, sizeof(by.request_id));

    rc = cp_feed_lock(tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_signup_tenant(op, tx, s, &tenant, &open, &role);
    }

    if (rc != CP_OK) {
        return rc;
    }

    in = cp_json_object(op->arena);
    cp_json_put(op->arena, in, "name", cp_user_name(op->arena, s->name));
    cp_json_put(op->arena, in, "tenant", tenant);

    if (s->title) {
        cp_json_put(op->arena, in, "title", s->title);
    }

    w = cp_write_of(&by, tx, cp_resource_find("user"));
    w.in = in;
    rc = cp_entry_create(&w, &e);
    id = rc == CP_OK ? cp_json_str(e.row, "id") : NULL;

    if (rc == CP_OK) {
        rc = cp_role_bind(&by, tx, tenant, id, role);
    }

    if (rc != CP_OK) {
        op->err = by.err;
        return rc;
    }

    /* the mail is shown, and lets nobody in: nobody has proved it */

    *out = cp_json_object(op->arena);
    cp_json_put(op->arena, *out, "user", id);
    cp_json_put(op->arena, *out, "state", open ? "active" : "pending");

    return cp_tx_query(tx, op->arena, "UPDATE users SET password = $2,"
                       " state = $3, mail = $4 WHERE id = $1",
                       cp_args(cp_text(id), cp_text(encoded),
                               cp_text(open ? "active" : "pending"),
                               cp_text(cp_user_mail(op->arena, s->mail))),
                       NULL, &op->err);
}
