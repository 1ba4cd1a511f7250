/*
 * Building the bodies of feed rows from row trees: exactly those of
 * ARCHITECTURE.md section 4.  What is not served has no body: a tombstone.
 */

#include <stdarg.h>
#include <string.h>

#include "kinds/cp_kind.h"


static cp_json_t *cp_body_value(const cp_json_t *row, const char *path);
static bool cp_body_word(const char *const *words, const char *word);


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


cp_rc_t
cp_body_make(cp_tx_t *tx, cp_arena_t *a, const cp_body_t *members,
    const cp_json_t *row, cp_json_t **body, cp_err_t *err)
{
    cp_rc_t           rc;
    cp_json_t        *val;
    const char       *name;
    cp_names_t        names;
    const cp_body_t  *m;

    *body = row ? cp_json_object(a) : NULL;
    cp_names_init(&names, tx, a, err);

    for (m = members; row && m->member; m++) {
        val = cp_body_value(row, m->column);

        if (m->words && (val == NULL || !cp_body_word(m->words, val->s))) {
            *body = NULL;
            return CP_OK;
        }

        if (m->is) {
            cp_json_put_bool(a, *body, m->member,
                             val && strcmp(val->s, m->is) == 0);

        } else if (m->name) {
            rc = cp_names_get(&names, cp_resource_owner(), val ? val->s : "",
                              &name);
            if (rc != CP_OK) {
                return rc;
            }

            cp_json_put(a, *body, m->member, name);

        } else if (val) {
            cp_json_set(a, *body, m->member, cp_json_copy(a, val));

        } else if (m->word) {
            cp_json_put(a, *body, m->member, m->word);

        } else if (m->number) {
            cp_json_put_int(a, *body, m->member, m->absent);
        }
    }

    return CP_OK;
}


/* What a path with dots leads to. */
static cp_json_t *
cp_body_value(const cp_json_t *row, const char *path)
{
    char         name[64];
    size_t       n;
    cp_json_t   *val;
    const char  *dot;

    while ((dot = strchr(path, '.')) != NULL) {
        n = (size_t) (dot - path);

        if (n >= sizeof(name)) {
            return NULL;
        }

        memcpy(name, path, n);
        name[n] = '\0';

        row = cp_json_get(row, name);
        path = dot + 1;
    }

    val = cp_json_get(row, path);

    return val && val->type != CP_JSON_NULL ? val : NULL;
}


static bool
cp_body_word(const char *const *words, const char *word)
{
    while (*words && strcmp(*words, word) != 0) {
        words++;
    }

    return *words != NULL;
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
cp_feed_record(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t             rc;
    cp_json_t          *row, *body;
    cp_feed_row_t       feed = { .kind = res->kind };
    cp_place_of_t       at = { .tenant = NULL };
    const cp_record_t  *record = res->record;

    feed.key = cp_arena_printf(a, "%s:%s", record->prefix, id);

    rc = cp_row_light(tx, a, res, id, &row, err);

    if (rc == CP_OK) {
        rc = cp_body_make(tx, a, record->members, row, &body, err);
    }

    if (rc == CP_OK && body && record->more) {
        rc = record->more(tx, a, row, body, err);
    }

    if (rc == CP_OK && body && record->scope != STOA_SCOPE_MAX) {
        at.tenant = record->scope == STOA_SCOPE_TENANT
                    ? id : cp_json_str(row, "tenant");
        at.above = record->scope == STOA_SCOPE_TENANT
                   || record->scope == STOA_SCOPE_SERVER;
        at.server = record->scope == STOA_SCOPE_SERVER ? id : NULL;
        at.plan = record->scope == STOA_SCOPE_PLAN ? id : NULL;
        at.application = record->scope == STOA_SCOPE_APPLICATION ? id : NULL;

        rc = cp_policy_body(tx, a, &at, body, err);
    }

    return rc == CP_OK ? cp_body_put(tx, a, feed, body, err) : rc;
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
