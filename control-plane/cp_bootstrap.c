/*
 * What a start does to the database before anybody is served: the chains of
 * the audit log are sealed with the pepper, what a migration has changed goes
 * to the feed, and there is a first token.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/cp_audit.h"
#include "audit/cp_person.h"
#include "audit/cp_sign.h"
#include "base/cp_seal.h"
#include "cp_bootstrap.h"
#include "feed/cp_feed.h"
#include "kinds/cp_kinds.h"


static cp_rc_t cp_bootstrap_run(cp_op_t *op, cp_tx_t *tx,
    const char **more);
static cp_rc_t cp_bootstrap_stale(cp_op_t *op, cp_tx_t *tx);
static cp_rc_t cp_bootstrap_token(cp_op_t *op, cp_tx_t *tx,
    const char **token);
static cp_rc_t cp_bootstrap_new(cp_op_t *op, cp_tx_t *tx, const char **token);


/*
 * The key file is that of this database, or a new one when nothing was sealed
 * yet: starting with another one would lose what is sealed piece by piece.
 */

cp_rc_t
cp_bootstrap_seal(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *path, *open;

    path = app->conf.secret_key_file;

    if (path[0] == '\0') {
        path = strncmp(app->conf.database, "sqlite:", 7) == 0
               ? cp_arena_printf(a, "%s.key", app->conf.database + 7)
               : "stoa-control.key";
    }

    if (path == NULL || cp_tx_open(app->db, true, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    /* others may start at the same time */

    rc = cp_feed_lock(tx, a, err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT proof FROM seal", NULL, 0, &rows, err);
    }

    if (rc == CP_OK) {
        rc = cp_seal_start(path, rows.rows == 0, err);
    }

    if (rc == CP_OK && rows.rows == 0) {
        rc = cp_tx_query(tx, a, "INSERT INTO seal (one, proof)"
                         " VALUES (1, $1)",
                         cp_args(cp_text(cp_seal(a, "proof", "stoa"))), NULL,
                         err);

    } else if (rc == CP_OK) {
        open = cp_unseal(a, "proof", cp_cell(&rows, 0, 0)->p);

        if (open == NULL || strcmp(open, "stoa") != 0) {
            rc = cp_err_set(err, "validation", "secret_key_file: \"%s\" is "
                            "not the key of this database", path);
        }
    }

    return cp_tx_finish(tx, rc, err);
}


/* Neither may what was erased come back with an old database. */

cp_rc_t
cp_bootstrap_audit(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_op_t      op;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *path;

    path = app->conf.audit_key_file;

    if (path[0] == '\0') {
        path = strncmp(app->conf.database, "sqlite:", 7) == 0
               ? cp_arena_printf(a, "%s.audit-key", app->conf.database + 7)
               : "stoa-control.audit-key";
    }

    if (path == NULL || cp_tx_open(app->db, true, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "bootstrap");

    rc = cp_tx_query(tx, a, "SELECT 1 FROM audit_checkpoint LIMIT 1", NULL, 0,
                     &rows, &op.err);

    if (rc == CP_OK) {
        rc = cp_sign_start(a, path, rows.rows == 0, &op.err);
    }

    if (rc == CP_OK) {
        rc = cp_person_again(&op, tx);
    }

    rc = cp_tx_finish(tx, rc, &op.err);

    return rc == CP_OK || rc == CP_CONFLICT ? rc
           : cp_err_set(err, op.err.code ? op.err.code : "internal", "%s",
                        op.err.detail ? op.err.detail : "commit failed");
}


cp_rc_t
cp_bootstrap(cp_app_t *app, FILE *out, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_op_t      op;
    cp_arena_t  *a;
    const char  *token;

    a = cp_arena_create(16 * 1024 * 1024);
    if (a == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    cp_op_system(&op, app, a, "bootstrap");

    if (cp_tx_open(app->db, true, &tx, err) != CP_OK) {
        cp_arena_destroy(a);
        return CP_ERROR;
    }

    token = NULL;
    rc = cp_bootstrap_run(&op, tx, (out != NULL) ? &token : NULL);

    rc = cp_tx_finish(tx, rc, &op.err);

    if (rc != CP_OK) {
        (void) cp_err_set(err, op.err.code ? op.err.code : "internal", "%s",
                          op.err.detail ? op.err.detail : "commit failed");

    } else if (out != NULL) {
        (void) fprintf(out, "%s\n", token);
    }

    cp_arena_destroy(a);

    return rc;
}


/* `more` gets a further token; NULL: the first one is written to the file. */
static cp_rc_t
cp_bootstrap_run(cp_op_t *op, cp_tx_t *tx, const char **more)
{
    cp_rc_t      rc;
    const char  *token, *path;

    path = op->app->conf.admin_token_file;
    token = NULL;

    rc = cp_feed_lock(tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_audit_rekey(op, tx);
    }

    /* records need the key of the secrets, which the start has opened */

    if (rc == CP_OK && more == NULL) {
        rc = cp_bootstrap_stale(op, tx);
    }

    if (rc == CP_OK) {
        rc = (more != NULL)
             ? cp_bootstrap_new(op, tx, more)
             : cp_bootstrap_token(op, tx, path[0] ? &token : NULL);
    }

    if (rc == CP_OK && token) {

        /* before the commit: a token that nobody holds would lock us out */

        rc = cp_bootstrap_write(path, token, &op->err);
    }

    if (rc == CP_OK && token) {
        cp_log(CP_LOG_INFO, "auth", "wrote the first platform-admin token"
               " file:%s", path);
    }

    return rc;
}


/* The records that migrations have marked. */
static cp_rc_t
cp_bootstrap_stale(cp_op_t *op, cp_tx_t *tx)
{
    cp_rc_t               rc;
    unsigned              i;
    cp_rows_t             rows;
    const cp_resource_t  *res;

    rc = cp_tx_query(tx, op->arena, "SELECT kind, id FROM feed_stale",
                     NULL, 0, &rows, &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    cp_resource_defer(op);

    for (i = 0; i < rows.rows && rc == CP_OK; i++) {
        res = cp_resource_find(cp_cell(&rows, i, 0)->p);
        rc = res ? cp_resource_touch(op, tx, res, cp_cell(&rows, i, 1)->p)
                 : CP_OK;
    }

    if (rc == CP_OK) {
        rc = cp_resource_flush(op, tx);
    }

    return rc == CP_OK
           ? cp_tx_query(tx, op->arena, "DELETE FROM feed_stale", NULL, 0,
                         &rows, &op->err)
           : rc;
}


/* *token stays as it is when there is an active one.  token NULL: there is
 * nowhere to write a new one to. */
static cp_rc_t
cp_bootstrap_token(cp_op_t *op, cp_tx_t *tx, const char **token)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM admin_tokens"
                     " WHERE role = 'platform-admin' AND state = 'active'"
                     " AND (expires_at IS NULL OR expires_at > $1) LIMIT 1",
                     cp_args(cp_int(cp_time_ms())), &rows, &op->err);
    if (rc != CP_OK || rows.rows) {
        return rc;
    }

    if (token == NULL) {
        cp_log(CP_LOG_WARN, "auth", "there is no platform-admin token, and no"
               " admin_token_file to write one to");
        return CP_OK;
    }

    return cp_bootstrap_new(op, tx, token);
}


static cp_rc_t
cp_bootstrap_new(cp_op_t *op, cp_tx_t *tx, const char **token)
{
    cp_rc_t      rc;
    cp_json_t   *in;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(op, tx, &cp_res_admin_token);
    cp_arena_t  *a;

    a = op->arena;
    in = cp_json_object(a);
    cp_json_put(a, in, "name",
                cp_arena_printf(a, "bootstrap-%s", op->request_id));
    cp_json_put(a, in, "title", "made by stoa-control");
    cp_json_put(a, in, "role", "platform-admin");

    w.in = in;

    rc = cp_entry_create(&w, &e);
    if (rc != CP_OK) {
        return rc;
    }

    *token = cp_json_str(e.obj, "token");

    return CP_OK;
}


cp_rc_t
cp_bootstrap_write(const char *path, const char *token, cp_err_t *err)
{
    int    fd;
    bool   ok;
    char   temp[4096];

    if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int) sizeof(temp)) {
        return cp_err_set(err, "internal", "the path is too long");
    }

    (void) unlink(temp);

    fd = open(temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC|O_NOFOLLOW, 0600);
    if (fd == -1) {
        return cp_err_set(err, "internal", "cannot make %s: %s", temp,
                          strerror(errno));
    }

    ok = dprintf(fd, "%s\n", token) == (int) strlen(token) + 1
         && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;

    if (!ok || rename(temp, path) != 0) {
        (void) unlink(temp);
        return cp_err_set(err, "internal", "cannot write %s: %s", path,
                          strerror(errno));
    }

    return CP_OK;
}
