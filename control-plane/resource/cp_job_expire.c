/*
 * What is past its time becomes expired, with an audit event and in the feed.
 * The gateways refuse it by its time anyway; this is for the people.
 */

#include <string.h>

#include "../auth/cp_auth.h"
#include "../cp_app.h"
#include "../cp_jobs.h"
#include "cp_tables.h"


#define CP_EXPIRE_PORTION  100


static cp_rc_t cp_expire_portion(cp_app_t *app, const cp_resource_t *res,
    const char *states, unsigned *n);


static const struct {
    const cp_resource_t  *res;
    const char           *states;
} cp_expiring[] = {
    { &cp_res_credential, "'active', 'rotating'" },
    { &cp_res_subscription, "'active', 'suspended'" },
    { NULL, NULL }
};


cp_rc_t
cp_resource_job_expire(cp_app_t *app)
{
    cp_rc_t   rc;
    unsigned  i, n;

    for (i = 0; cp_expiring[i].res; i++) {
        do {
            rc = cp_expire_portion(app, cp_expiring[i].res,
                                   cp_expiring[i].states, &n);
            if (rc != CP_OK) {
                return rc;
            }
        } while (n == CP_EXPIRE_PORTION && !atomic_load(&app->stopping));
    }

    return CP_OK;
}


/* A portion is one transaction, so that admins never wait long. */
static cp_rc_t
cp_expire_portion(cp_app_t *app, const cp_resource_t *res,
    const char *states, unsigned *n)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    cp_req_t     r;
    cp_rows_t    rows;
    cp_json_t   *obj;
    cp_arena_t  *a;

    a = cp_arena_create(64 * 1024 * 1024);
    if (a == NULL) {
        return CP_ERROR;
    }

    *n = 0;
    cp_req_system(&r, app, a, "expiry");

    rc = cp_tx_begin(app->db, true, &tx);
    if (rc != CP_OK) {
        cp_arena_destroy(a);
        return rc;
    }

    rc = cp_tx_query(tx, a,
                     cp_arena_printf(a, "SELECT id FROM \"%s\""
                                     " WHERE expires_at IS NOT NULL"
                                     " AND expires_at <= $1"
                                     " AND state IN (%s)"
                                     " ORDER BY expires_at LIMIT %d",
                                     res->table, states, CP_EXPIRE_PORTION),
                     cp_args(cp_int(cp_time_ms())), &rows, &r.err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        rc = cp_resource_event(&r, tx, res, cp_cell(&rows, i, 0)->p,
                               "expire", NULL, NULL, &obj);
    }

    if (rc == CP_OK && rows.rows) {
        *n = rows.rows;
        rc = cp_tx_commit(tx);

    } else {
        cp_tx_rollback(tx);
    }

    if (rc != CP_OK && rc != CP_CONFLICT) {
        cp_log(CP_LOG_ERROR, "expiry", "expiring a %s failed: %s", res->kind,
               r.err.detail ? r.err.detail : "commit");
    }

    cp_arena_destroy(a);

    return rc;
}
