/*
 * Groups at the provider of tenants that are gone: the job, and what people
 * see of it.
 */

#include <string.h>

#include "kinds/cp_group_end.h"
#include "kinds/cp_kind.h"


#define CP_GROUP_END_ROWS   20         /* of a run                           */
#define CP_GROUP_END_MS     2000       /* before the second attempt          */
#define CP_GROUP_END_MAX    5          /* it doubles so often                */
#define CP_GROUP_END_ARENA  (16 * 1024 * 1024)


static cp_rc_t cp_group_end_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);


static const cp_field_t  group_removal_fields[] = {
    F("id", CP_F_STRING, RO, 0, 0, NULL, "the tenant's"),
    BASE_STATE,
    F("name", CP_F_STRING, RO|FI, 0, STOA_NAME_MAX, NULL,
      "what it was called; nobody gets the name before"),
    INT("attempts", RO, 0, INT64_MAX, NULL, "since it was asked for"),
    F("error", CP_F_STRING, RO, 0, 500, NULL, "what came of the last"),
    F("next_at", CP_F_TIME, RO, 0, 0, NULL, "when again"),
    F("updated_at", CP_F_TIME, RO, 0, 0, NULL, "when the last was"),
    F_END
};

static const cp_transition_t  group_removal_transitions[] = {
    { "retry", { "failed" }, "pending", "group_removal:write", NULL },
    { "fail", { "pending" }, "failed", NULL, NULL },
    T_END
};

const cp_resource_t  cp_res_group_removal = {
    .kind = "group_removal", .plural = "group_removals",
    .table = "group_removals", .by_id = true, .called = "name",
    .fields = group_removal_fields, .transitions = group_removal_transitions,
    .initial = "pending", .event = cp_group_end_event
};


static cp_rc_t
cp_group_end_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    (void) args;
    (void) before;

    if (strcmp(event, "retry") == 0) {
        cp_json_put_int(w->op->arena, after, "attempts", 0);
        cp_json_put_int(w->op->arena, after, "next_at", 0);
    }

    return CP_OK;
}


cp_rc_t
cp_group_name_free(cp_op_t *op, cp_tx_t *tx, const char *name)
{
    cp_rc_t           rc;
    cp_rows_t         rows;
    const cp_conf_t  *conf = &op->app->conf;

    /* without a provider groups give nobody anything */

    if (conf->oidc_issuer[0] == '\0') {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id, state FROM group_removals"
                     " WHERE name = $1 LIMIT 1", cp_args(cp_text(name)),
                     &rows, &op->err);

    return rc != CP_OK || rows.rows == 0 ? rc
           : cp_err_set(&op->err, "conflict", "the groups in Keycloak of a"
                        " tenant of that name, which was deleted, are not"
                        " removed yet: %s",
                        conf->keycloak_groups_client_id[0] == '\0'
                        ? "that needs keycloak_groups_client_id, which is not"
                          " configured"
                        : strcmp(cp_cell(&rows, 0, 1)->p, "failed")
                        ? "try again"
                        : cp_arena_printf(op->arena, "that failed, see"
                                          " /v1/group-removals/%s",
                                          cp_cell(&rows, 0, 0)->p));
}


cp_rc_t
cp_group_end_add(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *name)
{
    return cp_tx_query(tx, op->arena, "INSERT INTO group_removals (id,"
                       " name) VALUES ($1, $2) ON CONFLICT (id) DO"
                       " NOTHING", cp_args(cp_text(tenant), cp_text(name)),
                       NULL, &op->err);
}


/* What came of it: it is done, or put off, or has failed. */
static cp_rc_t
cp_group_end_note(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    int64_t attempts, const char *error)
{
    cp_rc_t      rc;
    int64_t      wait;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(op, tx, &cp_res_group_removal);

    if (error == NULL) {
        return cp_tx_query(tx, op->arena, "DELETE FROM group_removals"
                           " WHERE id = $1", cp_args(cp_text(tenant)), NULL,
                           &op->err);
    }

    wait = attempts < CP_GROUP_END_MAX ? attempts : CP_GROUP_END_MAX;
    wait = CP_GROUP_END_MS << wait;

    rc = cp_feed_lock(tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "UPDATE group_removals SET"
                         " attempts = $2, error = $3, updated_at = $4,"
                         " next_at = $5, ver = ver + 1 WHERE id = $1",
                         cp_args(cp_text(tenant), cp_int(attempts + 1),
                                 cp_text(error), cp_int(cp_time_ms()),
                                 cp_int(cp_time_ms() + wait)), NULL,
                         &op->err);
    }

    if (rc == CP_OK && attempts + 1 >= op->app->conf.provision_attempts) {
        w.id = tenant;
        rc = cp_entry_event(&w, "fail", &e);
    }

    return rc;
}


static cp_rc_t
cp_group_end_one(cp_op_t *op, const cp_provision_out_t *out,
    const char *tenant, const char *name, int64_t attempts)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    const char  *error;

    rc = out->undo(op, tenant, name);
    error = NULL;

    if (rc != CP_OK) {
        error = cp_arena_printf(op->arena, "%.500s", op->err.detail
                                ? op->err.detail : "Keycloak");
        cp_log(CP_LOG_WARN, "provisioning", "the groups of a tenant that is "
               "gone stay tenant:%s: %s", tenant, error ? error : "");
    }

    cp_op_clear(op);

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = rc == CP_OK || error
         ? cp_group_end_note(op, tx, tenant, attempts, error) : rc;

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
        rc = cp_tx_query(tx, a, "SELECT id, name, attempts"
                         " FROM group_removals WHERE state = 'pending'"
                         " AND next_at <= $1 ORDER BY next_at, id LIMIT $2",
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


cp_rc_t
cp_provision_failed(cp_tx_t *tx, cp_arena_t *a, int64_t *tenants,
    int64_t *removals, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, a, "SELECT (SELECT COUNT(*) FROM tenants"
                     " WHERE state = 'failed'), (SELECT COUNT(*)"
                     " FROM group_removals WHERE state = 'failed')", NULL, 0,
                     &rows, err);

    if (rc == CP_OK) {
        *tenants = cp_cell(&rows, 0, 0)->i;
        *removals = cp_cell(&rows, 0, 1)->i;
    }

    return rc;
}
