/*
 * Groups at the provider of tenants that are gone.
 */

#include "kinds/cp_group_end.h"
#include "kinds/cp_kind.h"


#define CP_GROUP_END_ROWS   20         /* of a run                           */
#define CP_GROUP_END_MS     2000       /* before the second attempt          */
#define CP_GROUP_END_MAX    5          /* it doubles so often                */
#define CP_GROUP_END_ARENA  (16 * 1024 * 1024)


cp_rc_t
cp_group_name_free(cp_op_t *op, cp_tx_t *tx, const char *name)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT tenant FROM group_removals"
                     " WHERE name = $1 LIMIT 1", cp_args(cp_text(name)),
                     &rows, &op->err);

    return rc != CP_OK || rows.rows == 0 ? rc
           : cp_err_set(&op->err, "conflict", "the groups in Keycloak of a"
                        " tenant of that name, which was deleted, are not"
                        " removed yet: try again");
}


cp_rc_t
cp_group_end_add(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *name)
{
    return cp_tx_query(tx, op->arena, "INSERT INTO group_removals (tenant,"
                       " name) VALUES ($1, $2) ON CONFLICT (tenant) DO"
                       " NOTHING", cp_args(cp_text(tenant), cp_text(name)),
                       NULL, &op->err);
}


/* One, and what came of it: it is done, or put off. */
static cp_rc_t
cp_group_end_one(cp_op_t *op, const cp_provision_out_t *out,
    const char *tenant, const char *name, int64_t attempts)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;
    int64_t   wait;

    rc = out->undo(op, tenant, name);

    if (rc != CP_OK) {
        cp_log(CP_LOG_WARN, "provisioning", "the groups of a tenant that is "
               "gone stay tenant:%s: %s", tenant,
               op->err.detail ? op->err.detail : "");
    }

    cp_op_clear(op);
    wait = attempts < CP_GROUP_END_MAX ? attempts : CP_GROUP_END_MAX;
    wait = cp_time_ms() + (CP_GROUP_END_MS << wait);

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = rc == CP_OK
         ? cp_tx_query(tx, op->arena, "DELETE FROM group_removals"
                       " WHERE tenant = $1", cp_args(cp_text(tenant)), NULL,
                       &op->err)
         : cp_tx_query(tx, op->arena, "UPDATE group_removals SET"
                       " attempts = attempts + 1, next_ms = $2"
                       " WHERE tenant = $1",
                       cp_args(cp_text(tenant), cp_int(wait)), NULL,
                       &op->err);

    return cp_tx_finish(tx, rc, &op->err);
}


cp_rc_t
cp_group_ends(cp_app_t *app, const cp_provision_out_t *out)
{
    cp_rc_t      rc;
    cp_op_t      op;
    cp_tx_t     *tx;
    unsigned     i;
    cp_rows_t    rows;
    cp_arena_t  *a;

    if (!out->used(app)) {
        return CP_OK;
    }

    a = cp_arena_create(CP_GROUP_END_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "provisioning");
    rc = cp_tx_begin(app->db, false, &tx);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT tenant, name, attempts"
                         " FROM group_removals WHERE next_ms <= $1"
                         " ORDER BY next_ms, tenant LIMIT $2",
                         cp_args(cp_int(cp_time_ms()),
                                 cp_int(CP_GROUP_END_ROWS)), &rows, &op.err);
        cp_tx_rollback(tx);
    }

    for (i = 0; rc == CP_OK && i < rows.rows && !atomic_load(&app->stopping);
         i++)
    {
        rc = cp_group_end_one(&op, out, cp_cell(&rows, i, 0)->p,
                              cp_cell(&rows, i, 1)->p,
                              cp_cell(&rows, i, 2)->i);
    }

    cp_arena_destroy(a);

    return rc;
}
