/*
 * What is past its time becomes expired, with an audit event and in the feed.
 * The gateways refuse it by its time anyway; this is for the people.
 */

#include <string.h>

#include "op/cp_app.h"
#include "feed/cp_feed.h"
#include "resource/cp_engine.h"


#define CP_EXPIRE_PORTION  100


static cp_rc_t cp_expire_portion(cp_app_t *app, const cp_resource_t *res,
    unsigned *n);
static cp_rc_t cp_expire_rows(cp_op_t *op, cp_tx_t *tx,
    const cp_resource_t *res, bool write, unsigned *n);


cp_rc_t
cp_resource_job_expire(cp_app_t *app)
{
    cp_rc_t               rc;
    unsigned              i, n;
    const cp_resource_t  *res;

    for (i = 0; (res = cp_resource_at(i)) != NULL; i++) {
        if (res->expires == NULL) {
            continue;
        }

        do {
            rc = cp_expire_portion(app, res, &n);
            if (rc != CP_OK) {
                return rc;
            }
        } while (n == CP_EXPIRE_PORTION && !atomic_load(&app->stopping));
    }

    return CP_OK;
}


/*
 * A portion is one transaction, so that admins never wait long.  The lock is
 * taken only when a look without it has found something, and before the rows
 * are read again: another replica may be at the same work.
 */
static cp_rc_t
cp_expire_portion(cp_app_t *app, const cp_resource_t *res, unsigned *n)
{
    bool         write;
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_op_t      op;
    cp_arena_t  *a;

    a = cp_arena_create(64 * 1024 * 1024);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "expiry");
    rc = CP_OK;
    *n = 1;

    for (write = false; rc == CP_OK && *n > 0; write = true) {
        rc = cp_tx_begin(app->db, write, &tx);
        if (rc != CP_OK) {
            break;
        }

        rc = cp_expire_rows(&op, tx, res, write, n);

        if (rc == CP_OK && write) {
            rc = cp_tx_commit(tx);
            break;
        }

        cp_tx_rollback(tx);
    }

    if (rc != CP_OK && rc != CP_CONFLICT) {
        cp_log(CP_LOG_ERROR, "expiry", "expiring %s %s failed: %s",
               cp_an(res->kind), res->kind,
               op.err.detail ? op.err.detail : "commit");
    }

    cp_arena_destroy(a);

    return rc;
}


static cp_rc_t
cp_expire_rows(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    bool write, unsigned *n)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_rows_t   rows;
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(op, tx, res);

    rc = write ? cp_feed_lock(tx, op->arena, &op->err) : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, op->arena,
                     cp_arena_printf(op->arena, "SELECT id FROM \"%s\""
                                     " WHERE expires_at IS NOT NULL"
                                     " AND expires_at <= $1"
                                     " AND state IN (%s)"
                                     " ORDER BY expires_at LIMIT %d",
                                     res->table, res->expires,
                                     write ? CP_EXPIRE_PORTION : 1),
                     cp_args(cp_int(cp_time_ms())), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    *n = rows.rows;

    for (i = 0; write && i < rows.rows; i++) {
        w.id = cp_cell(&rows, i, 0)->p;

        rc = cp_entry_event(&w, "expire", &e);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}
