/*
 * What a deletion takes along, and what forbids it: the rows of its kind.
 */

#include <inttypes.h>

#include "resource/cp_engine.h"


#define CP_DEPEND_PORTION  100
#define CP_DEPEND_NAMES    20          /* told of each kind                  */
#define CP_DEPEND_ARENA    (256 * 1024 * 1024)


static cp_rc_t cp_depend_refuse(const cp_write_t *w,
    const cp_dependent_t *d, const char *id);
static cp_rc_t cp_depend_sweep(const cp_write_t *w, const cp_dependent_t *d,
    const char *id);
static cp_rc_t cp_depend_portion(const cp_write_t *w,
    const cp_dependent_t *d, const char *id, unsigned *n);


cp_rc_t
cp_depend_clear(const cp_write_t *w, const cp_json_t *row)
{
    cp_rc_t                 rc;
    const cp_dependent_t  *d;

    for (d = w->res->dependents; d && d->column; d++) {
        rc = cp_depend_refuse(w, d, cp_json_str(row, "id"));

        if (rc == CP_OK) {
            rc = cp_depend_sweep(w, d, cp_json_str(row, "id"));
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


/* The rows that refer to it; $1 is cp_depend_arg(); || '' as in
 * cp_policy_where(). */
static char *
cp_depend_where(cp_arena_t *a, const cp_dependent_t *d)
{
    return cp_arena_printf(a, d->list ? "\"%s\" LIKE $1 || ''"
                                    : "\"%s\" = $1", d->column);
}


static cp_val_t
cp_depend_arg(cp_arena_t *a, const cp_dependent_t *d, const char *id)
{
    return cp_text(d->list ? cp_arena_printf(a, "%%\"%s\"%%", id) : id);
}


static const char *
cp_depend_live(const cp_dependent_t *d)
{
    return d->how == CP_DEP_LIVE
           ? " AND \"state\" IN ('pending', 'active', 'suspended')" : "";
}


/* What a deletion would meet, in the order in which it would. */
cp_rc_t
cp_depend_list(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, cp_json_t **out)
{
    cp_rc_t                    rc;
    int64_t                    n;
    unsigned                   i;
    cp_rows_t                  rows;
    cp_json_t                 *one, *names;
    cp_arena_t                *a = op->arena;
    const char                *where;
    const cp_resource_t       *by;
    const cp_dependent_t      *d;
    static const char *const   effects[] = {
        [CP_DEP_OWNED] = "deleted", [CP_DEP_MADE] = "deleted",
        [CP_DEP_LIVE] = "forced", [CP_DEP_FORCE] = "forced",
        [CP_DEP_REFUSE] = "refused"
    };

    *out = cp_json_array(a);

    for (d = res->dependents; d && d->column; d++) {
        if (d->how == CP_DEP_PLAIN) {
            continue;
        }

        by = cp_resource_find(d->by);
        where = cp_arena_printf(a, "FROM \"%s\" WHERE %s%s", by->table,
                                cp_depend_where(a, d), cp_depend_live(d));

        rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT COUNT(*) %s",
                                                where),
                         cp_args(cp_depend_arg(a, d, id)), &rows, &op->err);

        n = rc == CP_OK ? cp_cell(&rows, 0, 0)->i : 0;

        if (rc == CP_OK && n) {
            rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT %s %s"
                             " ORDER BY 1 LIMIT %d",
                             by->by_id ? "id" : "name", where,
                             CP_DEPEND_NAMES),
                             cp_args(cp_depend_arg(a, d, id)), &rows,
                             &op->err);
        }

        if (rc != CP_OK) {
            return rc;
        }

        if (n == 0) {
            continue;
        }

        one = cp_json_object(a);
        names = cp_json_array(a);
        cp_json_put(a, one, "kind", by->kind);
        cp_json_put(a, one, "effect", effects[d->how]);
        cp_json_put_int(a, one, "count", n);
        cp_json_set(a, one, "names", names);

        for (i = 0; i < rows.rows; i++) {
            cp_json_push(names, cp_json_string(a, cp_cell(&rows, i, 0)->p));
        }

        cp_json_push(*out, one);
    }

    return CP_OK;
}


static cp_rc_t
cp_depend_refuse(const cp_write_t *w, const cp_dependent_t *d,
    const char *id)
{
    cp_rc_t               rc;
    cp_op_t              *op = w->op;
    int64_t               n;
    cp_rows_t             rows;
    const char           *live;
    const cp_resource_t  *by;

    if (d->how == CP_DEP_OWNED || d->how == CP_DEP_MADE
        || d->how == CP_DEP_PLAIN
        || (w->force && d->how != CP_DEP_REFUSE))
    {
        return CP_OK;
    }

    by = cp_resource_find(d->by);
    live = cp_depend_live(d);

    rc = cp_tx_query(w->tx, op->arena,
                     cp_arena_printf(op->arena, "SELECT COUNT(*), MIN(%s)"
                                     " FROM \"%s\" WHERE %s%s",
                                     by->label ? by->label
                                     : by->by_id ? "id" : "name",
                                     by->table,
                                     cp_depend_where(op->arena, d), live),
                     cp_args(cp_depend_arg(op->arena, d, id)), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    n = cp_cell(&rows, 0, 0)->i;

    return n == 0 ? CP_OK
           : cp_err_set(&op->err, "in_use", "%" PRId64 " %s %s it, such as"
                        " \"%s\"%s", n, n == 1 ? by->kind : by->plural,
                        n == 1 ? "uses" : "use", cp_cell(&rows, 0, 1)->p,
                        d->how == CP_DEP_REFUSE || !w->single
                        ? "" : "; with force it goes too");
}


/*
 * In portions with an arena each: a tenant may own any number of keys.  The
 * request's texts of errors, and what is deferred, live elsewhere.
 */
static cp_rc_t
cp_depend_sweep(const cp_write_t *w, const cp_dependent_t *d,
    const char *id)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    unsigned     n;
    cp_arena_t  *whole;

    if (d->how == CP_DEP_PLAIN) {
        return cp_tx_query(w->tx, op->arena, d->column, cp_args(cp_text(id)),
                           NULL, &op->err);
    }

    if (d->how == CP_DEP_REFUSE) {
        return CP_OK;
    }

    whole = op->arena;

    do {
        op->arena = cp_arena_create(CP_DEPEND_ARENA);

        if (op->arena == NULL) {
            op->arena = whole;
            return cp_err_set(&op->err, "internal", "no memory");
        }

        rc = cp_depend_portion(w, d, id, &n);

        cp_arena_destroy(op->arena);
        op->arena = whole;

    } while (rc == CP_OK && n == CP_DEPEND_PORTION);

    return rc;
}


static cp_rc_t
cp_depend_portion(const cp_write_t *w, const cp_dependent_t *d,
    const char *id, unsigned *n)
{
    cp_rc_t          rc;
    cp_op_t         *op = w->op;
    cp_json_t       *rows, *row;
    cp_write_t       each = cp_write_of(op, w->tx, cp_resource_find(d->by));
    cp_row_query_t   q = { NULL, "\"id\"", CP_DEPEND_PORTION, false };

    q.where = cp_depend_where(op->arena, d);

    rc = cp_row_select(w->tx, op->arena, each.res, &q,
                       cp_args(cp_depend_arg(op->arena, d, id)), &rows,
                       &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    *n = rows->n;
    each.force = w->force;

    /* the right to remove the owner is the right to remove what goes with it,
     * a subscriber's row of another tenant too: that is what force is for */

    for (row = rows->first; row; row = row->next) {
        each.id = cp_json_str(row, "id");
        rc = d->how == CP_DEP_MADE ? cp_entry_delete(&each)
                                   : cp_entry_remove(&each, row);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}
