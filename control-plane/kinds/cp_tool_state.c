/*
 * The states of what mcp apis show.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "auth/cp_auth.h"
#include "kinds/cp_kinds.h"
#include "kinds/cp_tool_pin.h"
#include "kinds/cp_tool_state.h"


/* What is in quarantine is on, but for what its upstream has done. */
#define DECIDED  "CASE t.state WHEN 'quarantined' THEN 'enabled'"             \
                 " ELSE t.state END"


static cp_rc_t cp_tool_keep(cp_op_t *op, cp_tx_t *tx,
    const cp_resource_t *res, const char *api, const char *name,
    const char *state);


cp_rc_t
cp_tool_states(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *api, cp_json_t **list, cp_err_t *err)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_rows_t   rows;
    cp_json_t  *item;

    *list = cp_json_array(a);

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT t.name AS name,"
                     " " DECIDED " AS state FROM %s t"
                     " JOIN apis a ON a.id = t.api"
                     " WHERE t.api = $1 AND " DECIDED " <> a.new_tools"
                     " UNION ALL SELECT s.name AS name, s.state"
                     " FROM item_states s WHERE s.api = $1 AND s.kind = $2"
                     " AND NOT EXISTS (SELECT 1 FROM %s t"
                     " WHERE t.api = s.api AND t.name = s.name)"
                     " ORDER BY name", res->table, res->table),
                     cp_args(cp_text(api), cp_text(res->kind)), &rows, err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        item = cp_json_object(a);
        cp_json_put(a, item, "name", cp_cell(&rows, i, 0)->p);
        cp_json_put(a, item, "state", cp_cell(&rows, i, 1)->p);
        cp_json_push(*list, item);
    }

    return rc;
}


/* One that discovery finds begins as was decided. */
cp_rc_t
cp_tool_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t    rc;
    cp_op_t   *op = w->op;
    cp_rows_t  rows;

    if (before) {
        return cp_pin_judge(w, before, after);
    }

    rc = cp_tx_query(w->tx, op->arena, "SELECT COALESCE((SELECT s.state"
                     " FROM item_states s WHERE s.api = a.id"
                     " AND s.kind = $3 AND s.name = $2), a.new_tools)"
                     " FROM apis a WHERE a.id = $1",
                     cp_args(cp_text(cp_json_str(after, "api")),
                             cp_text(cp_json_str(after, "name")),
                             cp_text(w->res->kind)), &rows, &op->err);

    if (rc == CP_OK && rows.rows) {
        cp_json_put(op->arena, after, "state", cp_cell(&rows, 0, 0)->p);
    }

    return rc == CP_OK ? cp_pin_judge(w, NULL, after) : rc;
}


cp_rc_t
cp_tool_event(const cp_write_t *w, const char *event, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t  rc;

    (void) event;
    (void) args;

    rc = strcmp(cp_json_str(after, "state"), "enabled") == 0
         ? cp_pin_set(w, before) : CP_OK;

    return rc == CP_OK ? cp_tool_keep(w->op, w->tx, w->res,
                                      cp_json_str(before, "api"),
                                      cp_json_str(before, "name"),
                                      cp_json_str(after, "state")) : rc;
}


/* A row is kept for what differs from new_tools. */
static cp_rc_t
cp_tool_keep(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *api, const char *name, const char *state)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "DELETE FROM item_states WHERE api = $1"
                     " AND kind = $2 AND name = $3",
                     cp_args(cp_text(api), cp_text(res->kind),
                             cp_text(name)), NULL, &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "INSERT INTO item_states"
                         " (api, kind, name, state) SELECT a.id, $4, $2, $3"
                         " FROM apis a WHERE a.id = $1"
                         " AND a.new_tools <> $3",
                         cp_args(cp_text(api), cp_text(name),
                                 cp_text(state), cp_text(res->kind)), NULL,
                         &op->err);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "SELECT COUNT(*) FROM item_states"
                         " WHERE api = $1 AND kind = $2",
                         cp_args(cp_text(api), cp_text(res->kind)), &rows,
                         &op->err);
    }

    if (rc == CP_OK && cp_cell(&rows, 0, 0)->i > CP_TOOL_STATES_MAX) {
        return cp_err_set(&op->err, "conflict", "the state of more than %d"
                          " %s of the api would be decided by name",
                          CP_TOOL_STATES_MAX, res->plural);
    }

    return rc;
}


cp_rc_t
cp_tool_decide(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const cp_json_t *api, const char *name, const char *state)
{
    cp_rc_t           rc;
    cp_rows_t         rows;
    cp_entry_t        e;
    cp_write_t        w = cp_write_of(op, tx, res);
    const char       *event;
    cp_audit_event_t  ev;

    event = strcmp(state, "disabled") == 0 ? "disable" : "enable";

    rc = cp_tx_query(tx, op->arena, cp_arena_printf(op->arena,
                     "SELECT t.id, " DECIDED " FROM %s t WHERE t.api = $1"
                     " AND t.name = $2",
                     res->table),
                     cp_args(cp_text(cp_json_str(api, "id")),
                             cp_text(name)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows && strcmp(cp_cell(&rows, 0, 1)->p, state) != 0) {
        w.id = cp_cell(&rows, 0, 0)->p;
        return cp_entry_event(&w, event, &e);
    }

    rc = cp_auth_may(op, "tool:write", cp_json_str(api, "tenant"));

    if (rc == CP_OK) {
        rc = cp_tool_keep(op, tx, res, cp_json_str(api, "id"), name, state);
    }

    if (rc != CP_OK || rows.rows) {
        return rc;
    }

    memset(&ev, 0, sizeof(ev));
    ev.tenant = cp_json_str(api, "tenant");
    ev.action = event;
    ev.kind = res->kind;
    ev.id = cp_json_str(api, "id");
    ev.name = name;

    return cp_audit_append(op, tx, &ev);
}
