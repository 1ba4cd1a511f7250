/*
 * Operations of rest apis.  They are part of their api's record.
 */

#include <string.h>

#include "kinds/cp_kind.h"
#include "resource/cp_told.h"
#include "spec/cp_spec.h"


static cp_rc_t cp_operation_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_operation_settled(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);
static cp_rc_t cp_follow_operation(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);


#define OWN_name  BASE_NAME
#define OWN_api                                                               \
    BASE_TENANT, F_REF("api", RO|ND, "api", NULL, "the api it belongs to")

static const cp_field_t  operation_fields[] = {
    ROWS(STOA_OPERATION_FIELDS)
    BOOL("imported", RO, "false", "made from a document, by which it is"
         " changed and removed"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  operation_transitions[] = {
    { "disable", { "enabled" }, "disabled", "operation:write", NULL },
    { "enable", { "disabled" }, "enabled", "operation:write", NULL },
    T_END
};

static const cp_dependent_t  operation_dependents[] = {
    { "policy", "attach", CP_DEP_REFUSE, true },
    { NULL, NULL, 0, false }
};

static const char *const  operation_settles[] = { "method", "path", NULL };

const cp_resource_t  cp_res_operation = {
    .kind = "operation", .plural = "operations", .table = "operations",
    .parent = "api", .fields = operation_fields,
    .transitions = operation_transitions, .initial = "enabled",
    .check = cp_operation_check, .settled = cp_operation_settled,
    .settles = operation_settles,
    .follow = cp_follow_operation,
    .dependents = operation_dependents
};


static cp_rc_t
cp_operation_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (before) {
        return CP_OK;
    }

    cp_json_put_bool(w->op->arena, after, "imported", false);

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT kind, (SELECT COUNT(*)"
                     " FROM operations o WHERE o.api = apis.id)"
                     " FROM apis WHERE id = $1",
                     cp_args(cp_text(cp_json_str(after, "api"))), &rows,
                     &w->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows && strcmp(cp_cell(&rows, 0, 0)->p, "rest") != 0) {
        return cp_err_set(&w->op->err, "validation",
                          "operations are for apis of kind rest");
    }

    if (rows.rows && cp_cell(&rows, 0, 1)->i >= STOA_OPERATIONS_MAX) {
        return cp_err_set(&w->op->err, "validation",
                          "an api has at most %d operations",
                          STOA_OPERATIONS_MAX);
    }

    return CP_OK;
}


/* Two that take the same requests: parameters may have any name. */
static cp_rc_t
cp_operation_settled(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    const char  *path;

    rc = cp_tx_query(tx, op->arena, "SELECT name, path FROM operations"
                     " WHERE api = $1 AND method = $2 AND id <> $3",
                     cp_args(cp_text(cp_json_str(row, "api")),
                             cp_text(cp_json_str(row, "method")),
                             cp_text(cp_json_str(row, "id"))), &rows,
                     &op->err);

    path = cp_spec_shape(op->arena, cp_json_str(row, "path"));

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        if (strcmp(path, cp_spec_shape(op->arena,
                                       cp_cell(&rows, i, 1)->p)) == 0)
        {
            return cp_err_set(&op->err, "already_exists", "the operation"
                              " \"%s\" has this method and path",
                              cp_cell(&rows, i, 0)->p);
        }
    }

    return rc;
}


static cp_rc_t
cp_follow_operation(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    return cp_resource_touch(op, tx, &cp_res_api, cp_json_str(row, "api"));
}


cp_rc_t
cp_operation_imported(const cp_write_t *w, bool on, bool created)
{
    bool               changed;
    cp_rc_t            rc;
    cp_op_t           *op = w->op;
    cp_json_t         *row, *after, *was, *is;
    cp_names_t         names;
    cp_arena_t        *a = op->arena;
    cp_audit_event_t   e = { .action = "update", .kind = w->res->kind,
                             .id = w->id };

    if (created) {
        return cp_tx_query(w->tx, a, "UPDATE operations SET imported = $2"
                           " WHERE id = $1",
                           cp_args(cp_text(w->id), cp_int(on)), NULL,
                           &op->err);
    }

    rc = cp_row_load(w->tx, a, w->res, w->id, &row, &op->err);

    if (rc != CP_OK || row == NULL) {
        return rc;
    }

    after = cp_json_copy(a, row);
    cp_json_put_bool(a, after, "imported", on);

    rc = cp_row_update(w->tx, a, w->res, row, after, &changed, &op->err);

    if (rc != CP_OK || !changed) {
        return rc;
    }

    cp_names_init(&names, w->tx, a, &op->err);
    rc = cp_row_show(&names, w->res, row, &was);

    if (rc == CP_OK) {
        rc = cp_row_show(&names, w->res, after, &is);
    }

    if (rc != CP_OK) {
        return rc;
    }

    e.tenant = cp_json_str(after, "tenant");
    e.name = cp_told_name(a, w->res, is);
    e.diff = cp_change_diff(a, w->res, was, is);

    return cp_told_append(w, &e, after);
}
