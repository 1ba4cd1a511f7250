/*
 * Building the bodies of feed rows from row trees: exactly those of
 * ARCHITECTURE.md section 4.  What is not served has no body: a tombstone.
 */

#include <stdarg.h>
#include <string.h>

#include "kinds/cp_kind.h"


cp_rc_t
cp_fault_at(cp_op_t *op, const cp_json_t *row, const char *field,
    const char *fmt, ...)
{
    char        text[STOA_ERR_TEXT_MAX];
    va_list     args;
    cp_json_t  *val;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    val = cp_json_get(row, field);

    return cp_err_field(&op->err, -1, val ? val->line : row->line, field,
                        "%s", text);
}


cp_json_t *
cp_body_make(cp_arena_t *a, const cp_body_t *members, const cp_json_t *row)
{
    cp_json_t        *body, *val;
    const cp_body_t  *m;

    body = cp_json_object(a);

    for (m = members; m->member; m++) {
        val = cp_json_copy(a, cp_json_get(row, m->column));

        if (val == NULL && m->absent != ABSENT_NONE) {
            val = cp_json_int(a, m->absent);
        }

        if (val) {
            cp_json_set(a, body, m->member, val);
        }
    }

    return body;
}


cp_rc_t
cp_body_put(cp_tx_t *tx, cp_arena_t *a, cp_feed_row_t row,
    const cp_json_t *body, cp_err_t *err)
{
    row.body = body ? cp_json_text(a, body, NULL) : NULL;
    row.secret |= cp_json_get(body, CP_BODY_SALT) != NULL;

    /* a member left out may be what keeps callers off */

    if (row.key == NULL || cp_arena_failed(a)) {
        return cp_err_set(err, "internal", "no memory");
    }

    return cp_feed_put(tx, a, row, err);
}


cp_rc_t
cp_row_light(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_json_t **row, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_json_t      *rows;
    cp_row_query_t  q = { "\"id\" = $1", NULL, 0, false };

    rc = cp_row_select(tx, a, res, &q, cp_args(cp_text(id)), &rows, err);
    *row = rc == CP_OK ? rows->first : NULL;

    return rc;
}


cp_rc_t
cp_feed_simple(cp_tx_t *tx, cp_arena_t *a, const cp_simple_t *s,
    const char *id, cp_err_t *err)
{
    cp_rc_t        rc;
    cp_json_t     *row, *body;
    cp_place_of_t  at;
    cp_feed_row_t  feed = { cp_arena_printf(a, "%s:%s", s->prefix, id),
                            s->res->kind, NULL, NULL, false };

    rc = cp_row_light(tx, a, s->res, id, &row, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (row && s->hidden && strcmp(cp_json_str(row, "state"), s->hidden) == 0)
    {
        row = NULL;
    }

    body = row ? cp_body_make(a, s->members, row) : NULL;

    if (body && s->scope != STOA_SCOPE_MAX) {
        memset(&at, 0, sizeof(at));
        at.tenant = s->scope == STOA_SCOPE_TENANT ? id
                                                  : cp_json_str(row, "tenant");
        at.above = s->scope == STOA_SCOPE_TENANT;
        at.plan = s->scope == STOA_SCOPE_PLAN ? id : NULL;
        at.application = s->scope == STOA_SCOPE_APPLICATION ? id : NULL;

        rc = cp_policy_body(tx, a, &at, body, err);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return cp_body_put(tx, a, feed, body, err);
}


cp_rc_t
cp_follow_subs(cp_op_t *op, cp_tx_t *tx, const char *column, const char *id)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena,
                     cp_arena_printf(op->arena, "SELECT id FROM subscriptions"
                                     " WHERE \"%s\" = $1"
                                     " AND tools IS NOT NULL", column),
                     cp_args(cp_text(id)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    for (i = 0; i < rows.rows; i++) {
        rc = cp_resource_touch(op, tx, cp_resource_find("subscription"),
                               cp_cell(&rows, i, 0)->p);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}
