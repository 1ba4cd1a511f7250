/*
 * Row trees and SQL: statements are made of the tables' names, values are
 * always parameters.
 */

#include <inttypes.h>
#include <string.h>

#include "resource/cp_engine.h"


#define CP_SQL_MAX      8192
#define CP_COLUMNS_MAX  48


static char *cp_sql_done(cp_arena_t *a, stoa_buf_t *b);
static void cp_sql_columns(stoa_buf_t *b, const cp_resource_t *res,
    bool large);
static cp_rc_t cp_row_read(cp_arena_t *a, const cp_resource_t *res,
    bool large, const cp_val_t *cell, cp_json_t **row, cp_err_t *err);
static cp_rc_t cp_cell_read(cp_arena_t *a, const cp_field_t *f,
    const cp_val_t *cell, cp_json_t **val, cp_err_t *err);
static cp_val_t cp_cell_write(cp_arena_t *a, const cp_field_t *f,
    const cp_json_t *row);
static unsigned cp_sql_changes(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after, stoa_buf_t *b,
    cp_val_t *args, bool *moved);
static bool cp_cell_same(const cp_val_t *a, const cp_val_t *b);


cp_rc_t
cp_row_load(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_json_t **row, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_json_t      *rows;
    cp_row_query_t  q = { "\"id\" = $1", NULL, 0, true };

    rc = cp_row_select(tx, a, res, &q, cp_args(cp_text(id)), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    *row = rows->first;

    return CP_OK;
}


cp_rc_t
cp_row_select(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_row_query_t *q, const cp_val_t *args, unsigned nargs,
    cp_json_t **rows, cp_err_t *err)
{
    char        *sql;
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *row;
    cp_rows_t    cells;
    stoa_buf_t   b;

    stoa_buf_init(&b, CP_SQL_MAX);
    stoa_buf_addz(&b, "SELECT ");
    cp_sql_columns(&b, res, q->large);
    stoa_buf_addf(&b, " FROM \"%s\" WHERE %s", res->table,
                  q->where ? q->where : "1 = 1");

    if (q->order) {
        stoa_buf_addf(&b, " ORDER BY %s", q->order);
    }

    if (q->limit) {
        stoa_buf_addf(&b, " LIMIT %" PRId64, q->limit);
    }

    sql = cp_sql_done(a, &b);
    *rows = cp_json_array(a);

    if (sql == NULL || *rows == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    rc = cp_tx_query(tx, a, sql, args, nargs, &cells, err);
    if (rc != CP_OK) {
        return rc;
    }

    for (i = 0; i < cells.rows; i++) {
        rc = cp_row_read(a, res, q->large, cp_cell(&cells, i, 0), &row, err);
        if (rc != CP_OK) {
            return rc;
        }

        cp_json_push(*rows, row);
    }

    return CP_OK;
}


cp_rc_t
cp_row_insert(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *row, cp_err_t *err)
{
    char              *sql;
    unsigned           i, n;
    cp_val_t           args[CP_COLUMNS_MAX];
    stoa_buf_t         b;
    const cp_field_t  *f;

    n = 0;

    stoa_buf_init(&b, CP_SQL_MAX);
    stoa_buf_addf(&b, "INSERT INTO \"%s\" (", res->table);
    cp_sql_columns(&b, res, true);
    stoa_buf_addz(&b, ") VALUES (");

    for (f = res->fields; f->name; f++) {
        if (cp_is_column(f) && n < CP_COLUMNS_MAX - 1) {
            args[n++] = cp_cell_write(a, f, row);
        }
    }

    args[n++] = cp_int(cp_json_num(row, "ver", 1));

    for (i = 0; i < n; i++) {
        stoa_buf_addf(&b, "%s$%u", i ? ", " : "", i + 1);
    }

    stoa_buf_addz(&b, ")");

    sql = cp_sql_done(a, &b);
    if (sql == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    return cp_tx_query(tx, a, sql, args, n, NULL, err);
}


cp_rc_t
cp_row_update(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, cp_json_t *after, bool *changed, cp_err_t *err)
{
    char              *sql;
    bool               moved;
    int64_t            ver;
    cp_rc_t            rc;
    unsigned           n;
    cp_val_t           args[CP_COLUMNS_MAX];
    cp_rows_t          rows;
    stoa_buf_t         b;

    ver = cp_json_num(before, "ver", 0);

    stoa_buf_init(&b, CP_SQL_MAX);
    stoa_buf_addf(&b, "UPDATE \"%s\" SET ", res->table);

    n = cp_sql_changes(a, res, before, after, &b, args, &moved);
    *changed = n > 0;

    if (n == 0) {
        stoa_buf_free(&b);
        return CP_OK;
    }

    cp_json_put_int(a, after, "updated_at", cp_time_ms());

    /* what changes by itself is in nobody's way who edits the rest */

    cp_json_put_int(a, after, "ver", ver + !moved);

    args[n] = cp_int(cp_json_num(after, "updated_at", 0));
    args[n + 1] = cp_int(ver + !moved);
    args[n + 2] = cp_text(cp_json_str(before, "id"));
    args[n + 3] = cp_int(ver);

    stoa_buf_addf(&b, "\"updated_at\" = $%u, \"ver\" = $%u WHERE \"id\" = $%u"
                  " AND \"ver\" = $%u RETURNING \"id\"", n + 1, n + 2, n + 3,
                  n + 4);

    sql = cp_sql_done(a, &b);
    if (sql == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    rc = cp_tx_query(tx, a, sql, args, n + 4, &rows, err);

    if (rc == CP_OK && rows.rows == 0) {
        return cp_err_set(err, "precondition_failed",
                          "somebody else changed it meanwhile");
    }

    return rc;
}


/* Appends an assignment per column that differs; returns their number, and
 * whether all of them are such as change by themselves. */
static unsigned
cp_sql_changes(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after, stoa_buf_t *b,
    cp_val_t *args, bool *moved)
{
    unsigned           n;
    cp_val_t           old;
    const cp_field_t  *f;

    *moved = true;

    for (f = res->fields, n = 0; f->name; f++) {
        if (!cp_is_column(f) || strcmp(f->name, "updated_at") == 0
            || n >= CP_COLUMNS_MAX - 4)
        {
            continue;
        }

        old = cp_cell_write(a, f, before);
        args[n] = cp_cell_write(a, f, after);

        if (!cp_cell_same(&old, &args[n])) {
            stoa_buf_addf(b, "\"%s\" = $%u, ", f->name, ++n);
            *moved = *moved && (f->flags & CP_MOVES);
        }
    }

    return n;
}


static char *
cp_sql_done(cp_arena_t *a, stoa_buf_t *b)
{
    char  *sql;

    sql = b->rc == STOA_OK ? cp_arena_strndup(a, b->data, b->len) : NULL;
    stoa_buf_free(b);

    return sql;
}


/* The columns in the table's order, then `ver`. */
static void
cp_sql_columns(stoa_buf_t *b, const cp_resource_t *res, bool large)
{
    const cp_field_t  *f;

    for (f = res->fields; f->name; f++) {
        if (cp_is_column(f) && (large || !(f->flags & CP_WHOLE))) {
            stoa_buf_addf(b, "\"%s\", ", f->name);
        }
    }

    stoa_buf_addz(b, "\"ver\"");
}


static cp_rc_t
cp_row_read(cp_arena_t *a, const cp_resource_t *res, bool large,
    const cp_val_t *cell, cp_json_t **row, cp_err_t *err)
{
    cp_rc_t            rc;
    cp_json_t         *val;
    const cp_field_t  *f;

    *row = cp_json_object(a);

    for (f = res->fields; f->name; f++) {
        if (!cp_is_column(f) || (!large && (f->flags & CP_WHOLE))) {
            continue;
        }

        rc = cp_cell_read(a, f, cell++, &val, err);
        if (rc != CP_OK) {
            return rc;
        }

        if (val) {
            cp_json_set(a, *row, f->name, val);
        }
    }

    cp_json_put_int(a, *row, "ver", cell->i);

    return CP_OK;
}


static cp_rc_t
cp_cell_read(cp_arena_t *a, const cp_field_t *f, const cp_val_t *cell,
    cp_json_t **val, cp_err_t *err)
{
    *val = NULL;

    if (cell->type == CP_VAL_NULL) {
        return CP_OK;
    }

    switch (f->type) {

    case CP_F_INT:
    case CP_F_TIME:
        *val = cp_json_int(a, cell->i);
        break;

    case CP_F_BOOL:
        *val = cp_json_bool(a, cell->i != 0);
        break;

    case CP_F_OBJECT:
    case CP_F_ARRAY:
    case CP_F_JSON:
        if (cp_json_parse(a, cell->p, cell->len, val, err) != CP_OK) {
            return cp_err_set(err, "internal",
                              "the database holds no JSON in %s", f->name);
        }

        break;

    default:
        *val = cp_json_string(a, cell->p);
    }

    return *val ? CP_OK : cp_err_set(err, "internal", "no memory");
}


static cp_val_t
cp_cell_write(cp_arena_t *a, const cp_field_t *f, const cp_json_t *row)
{
    const cp_json_t  *val;

    val = cp_json_get(row, f->name);

    if (val == NULL || val->type == CP_JSON_NULL) {
        return cp_null();
    }

    switch (f->type) {

    case CP_F_INT:
    case CP_F_TIME:
    case CP_F_BOOL:
        return cp_int(val->i);

    case CP_F_OBJECT:
    case CP_F_ARRAY:
    case CP_F_JSON:
        return cp_text(cp_json_text(a, val, NULL));

    default:
        return cp_text(val->s);
    }
}


static bool
cp_cell_same(const cp_val_t *a, const cp_val_t *b)
{
    if (a->type != b->type) {
        return false;
    }

    return a->type == CP_VAL_INT
           ? a->i == b->i
           : a->len == b->len && (a->len == 0
                                  || memcmp(a->p, b->p, a->len) == 0);
}
