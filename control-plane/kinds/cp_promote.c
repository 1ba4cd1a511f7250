/*
 * States of apis, taken and put back.
 */

#include <inttypes.h>
#include <string.h>

#include "kinds/cp_promote.h"


static cp_rc_t cp_promote_operations(cp_op_t *op, cp_tx_t *tx,
    const char *id, const cp_json_t *want);
static cp_rc_t cp_promote_operation(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_json_t *one, const cp_json_t *old);
static cp_rc_t cp_promote_document(cp_op_t *op, cp_tx_t *tx, const char *id,
    const char *from, int64_t number);


/* What is of the place where an api runs stays there. */
static const char *const  cp_promote_stays[] = { "name", "host", "base_path",
    "gateway_groups", "upstream", "platform", "sunset_at", NULL };

static const char *const  cp_promote_operation_members[] = { "name",
    "method", "path", "title", "state", NULL };


cp_rc_t
cp_promote_find(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *name, const char **id)
{
    return cp_ref_find(tx, op->arena, &cp_res_api, tenant, name, id,
                       &op->err);
}


static cp_rc_t
cp_promote_list(cp_op_t *op, cp_tx_t *tx, const char *id, cp_json_t **list)
{
    cp_rc_t      rc;
    unsigned     i, k;
    cp_rows_t    rows;
    cp_json_t   *one;

    *list = cp_json_array(op->arena);

    rc = cp_tx_query(tx, op->arena, "SELECT name, method, path, title, state,"
                     " imported FROM operations WHERE api = $1"
                     " ORDER BY name", cp_args(cp_text(id)), &rows,
                     &op->err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        one = cp_json_object(op->arena);

        for (k = 0; cp_promote_operation_members[k]; k++) {
            if (cp_cell(&rows, i, k)->p) {
                cp_json_put(op->arena, one, cp_promote_operation_members[k],
                            cp_cell(&rows, i, k)->p);
            }
        }

        cp_json_put_bool(op->arena, one, "imported",
                         cp_cell(&rows, i, 5)->i != 0);
        cp_json_push(*list, one);
    }

    return rc;
}


static bool
cp_promote_carries(const cp_field_t *f)
{
    unsigned  i;

    for (i = 0; cp_promote_stays[i]; i++) {
        if (strcmp(cp_promote_stays[i], f->name) == 0) {
            return false;
        }
    }

    return !(f->flags & (CP_READONLY|CP_DERIVED));
}


cp_rc_t
cp_promote_state(cp_op_t *op, cp_tx_t *tx, const char *id, cp_json_t **state)
{
    cp_rc_t            rc;
    cp_rows_t          rows;
    cp_json_t         *row, *obj, *api, *list, *m, *head;
    cp_names_t         names;
    cp_arena_t        *a = op->arena;
    const cp_field_t  *f;

    *state = cp_json_object(a);

    if (id == NULL) {
        return CP_OK;
    }

    cp_names_init(&names, tx, a, &op->err);
    rc = cp_row_load(tx, a, &cp_res_api, id, &row, &op->err);

    if (rc == CP_OK) {
        rc = cp_row_show(&names, &cp_res_api, row, &obj);
    }

    if (rc == CP_OK) {
        rc = cp_promote_list(op, tx, id, &list);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT number, title, version, digest"
                         " FROM api_documents WHERE api = $1"
                         " ORDER BY number DESC LIMIT 1",
                         cp_args(cp_text(id)), &rows, &op->err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    api = cp_json_object(a);

    for (f = cp_res_api.fields; f->name; f++) {
        m = cp_json_get(obj, f->name);

        if (m && cp_promote_carries(f)) {
            cp_json_set(a, api, f->name, cp_json_copy(a, m));
        }
    }

    cp_json_set(a, *state, "api", api);
    cp_json_set(a, *state, "operations", list);
    cp_json_put_int(a, *state, "document",
                    rows.rows ? cp_cell(&rows, 0, 0)->i : 0);

    if (rows.rows) {
        head = cp_json_object(a);
        cp_json_put(a, head, "title", cp_cell(&rows, 0, 1)->p);
        cp_json_put(a, head, "version", cp_cell(&rows, 0, 2)->p);
        cp_json_put(a, head, "digest", cp_cell(&rows, 0, 3)->p);
        cp_json_set(a, *state, "head", head);
    }

    cp_json_put(a, *state, "state", cp_json_str(row, "state"));
    cp_json_put_int(a, *state, "ver", cp_json_num(row, "ver", 0));

    return CP_OK;
}


static const cp_json_t *
cp_promote_named(const cp_json_t *list, const char *name)
{
    const cp_json_t  *m;

    for (m = list ? list->first : NULL; m; m = m->next) {
        if (strcmp(cp_json_str(m, "name"), name) == 0) {
            return m;
        }
    }

    return NULL;
}


cp_json_t *
cp_promote_diff(cp_arena_t *a, const cp_json_t *before,
    const cp_json_t *after)
{
    cp_json_t        *diff, *ops, *one;
    const char       *name;
    const cp_json_t  *old, *new, *m, *other;

    diff = cp_change_diff(a, &cp_res_api, cp_json_get(before, "api"),
                          cp_json_get(after, "api"));
    ops = cp_json_array(a);
    old = cp_json_get(before, "operations");
    new = cp_json_get(after, "operations");

    for (m = new ? new->first : NULL; m; m = m->next) {
        name = cp_json_str(m, "name");
        other = cp_promote_named(old, name);

        if (other == NULL || !cp_json_equal(m, other)) {
            cp_json_push(ops, cp_json_string(a, cp_arena_printf(a, "%s %s",
                         other ? "~" : "+", name)));
        }
    }

    for (m = old ? old->first : NULL; m; m = m->next) {
        name = cp_json_str(m, "name");

        if (cp_promote_named(new, name) == NULL) {
            cp_json_push(ops, cp_json_string(a, cp_arena_printf(a, "- %s",
                                                                name)));
        }
    }

    if (ops->n) {
        cp_json_set(a, diff, "operations", ops);
    }

    old = cp_json_get(before, "head");
    new = cp_json_get(after, "head");

    /* one that is not there takes none away */

    if (new && !(old && cp_json_equal(old, new))) {
        one = cp_json_object(a);
        cp_json_set(a, one, "before", old ? cp_json_copy(a, old)
                                          : cp_json_null(a));
        cp_json_set(a, one, "after", cp_json_copy(a, new));
        cp_json_set(a, diff, "document", one);
    }

    return diff;
}


cp_rc_t
cp_promote_put(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_json_t *state, const char *document_of)
{
    cp_rc_t            rc;
    cp_entry_t         e;
    cp_json_t         *in;
    cp_write_t         w = cp_write_of(op, tx, &cp_res_api);
    cp_arena_t        *a = op->arena;
    const cp_json_t   *api;
    const cp_field_t  *f;

    /* the whole of it, but for what stays: what is not said becomes null */

    api = cp_json_get(state, "api");
    in = cp_json_object(a);

    for (f = cp_res_api.fields; f->name; f++) {
        if (cp_promote_carries(f)) {
            cp_json_set(a, in, f->name, cp_json_get(api, f->name)
                        ? cp_json_copy(a, cp_json_get(api, f->name))
                        : cp_json_null(a));
        }
    }

    w.id = id;
    w.in = in;
    w.patch = true;
    rc = cp_entry_update(&w, &e);

    if (rc == CP_OK) {
        rc = cp_promote_operations(op, tx, id,
                                   cp_json_get(state, "operations"));
    }

    if (rc == CP_OK) {
        rc = cp_promote_document(op, tx, id, document_of,
                                 cp_json_num(state, "document", 0));
    }

    /* gateways may judge by it */

    return rc == CP_OK ? cp_resource_touch(op, tx, &cp_res_api, id) : rc;
}


/* What is not wanted goes first. */
static cp_rc_t
cp_promote_operations(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_json_t *want)
{
    cp_rc_t           rc;
    cp_json_t        *have;
    cp_write_t        w = cp_write_of(op, tx, &cp_res_operation);
    const cp_json_t  *m;

    rc = cp_promote_list(op, tx, id, &have);

    for (m = rc == CP_OK ? have->first : NULL; m && rc == CP_OK; m = m->next)
    {
        if (cp_promote_named(want, cp_json_str(m, "name"))) {
            continue;
        }

        rc = cp_ref_find(tx, op->arena, &cp_res_operation, id,
                         cp_json_str(m, "name"), &w.id, &op->err);

        if (rc == CP_OK) {
            rc = cp_entry_delete(&w);
        }
    }

    for (m = want ? want->first : NULL; m && rc == CP_OK; m = m->next) {
        rc = cp_promote_operation(op, tx, id, m,
                                  cp_promote_named(have,
                                                   cp_json_str(m, "name")));
    }

    return rc;
}


static cp_rc_t
cp_promote_operation(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_json_t *one, const cp_json_t *old)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_entry_t   e;
    cp_json_t   *in;
    cp_write_t   w = cp_write_of(op, tx, &cp_res_operation);
    const char  *s, *was;

    if (old && cp_json_equal(one, old)) {
        return CP_OK;
    }

    in = cp_json_object(op->arena);

    for (i = 0; i < 4; i++) {
        s = cp_promote_operation_members[i];
        cp_json_put(op->arena, in, s, cp_json_str(one, s));
    }

    w.in = in;
    w.patch = true;

    if (old) {
        rc = cp_ref_find(tx, op->arena, &cp_res_operation, id,
                         cp_json_str(one, "name"), &w.id, &op->err);
        rc = rc == CP_OK ? cp_entry_update(&w, &e) : rc;

    } else {
        w.id = id;
        w.patch = false;
        rc = cp_entry_create(&w, &e);
        w.id = rc == CP_OK ? cp_json_str(e.row, "id") : NULL;
    }

    if (rc != CP_OK) {
        return rc;
    }

    was = old ? cp_json_str(old, "state") : "enabled";
    s = cp_json_str(one, "state");

    if (strcmp(was, s) != 0) {
        w.in = NULL;
        rc = cp_entry_event(&w, strcmp(s, "enabled") == 0 ? "enable"
                                                          : "disable", &e);
    }

    return rc != CP_OK ? rc
           : cp_operation_imported(&w, cp_json_num(one, "imported", 0) != 0,
                                   old == NULL);
}


/* A copy as the newest, unless that is the same.  The target that had none
 * gets rid of what it was given. */
static cp_rc_t
cp_promote_document(cp_op_t *op, cp_tx_t *tx, const char *id,
    const char *from, int64_t number)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (number == 0) {
        return strcmp(id, from) != 0 ? CP_OK
               : cp_tx_query(tx, op->arena, "DELETE FROM api_documents"
                             " WHERE api = $1", cp_args(cp_text(id)), NULL,
                             &op->err);
    }

    rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM api_documents"
                     " WHERE api = $1 AND number = $2",
                     cp_args(cp_text(from), cp_int(number)), &rows,
                     &op->err);

    if (rc == CP_OK && rows.rows == 0) {
        rc = cp_err_set(&op->err, "conflict", "its document, number %" PRId64
                        ", is not kept any more; ask again", number);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "INSERT INTO api_documents (api,"
                         " number, tenant, digest, format, openapi, title,"
                         " version, operations, bytes, created_at,"
                         " created_by, body, contract) SELECT $1,"
                         " COALESCE((SELECT MAX(number) FROM api_documents"
                         " WHERE api = $1), 0) + 1, tenant, digest, format,"
                         " openapi, title, version, operations, bytes, $4,"
                         " $5, body, contract FROM api_documents d"
                         " WHERE api = $2"
                         " AND number = $3 AND digest <>"
                         " COALESCE((SELECT digest FROM api_documents"
                         " WHERE api = $1 ORDER BY number DESC LIMIT 1), '')",
                         cp_args(cp_text(id), cp_text(from), cp_int(number),
                                 cp_int(cp_time_ms()),
                                 cp_text(op->actor.name)), NULL, &op->err);
    }

    return rc == CP_OK
           ? cp_tx_query(tx, op->arena, "DELETE FROM api_documents"
                         " WHERE api = $1 AND number <= (SELECT MAX(number)"
                         " FROM api_documents WHERE api = $1) - $2",
                         cp_args(cp_text(id), cp_int(CP_DOCUMENTS_KEPT)),
                         NULL, &op->err) : rc;
}
