/*
 * What gateways say about the targets of apis.
 */

#include <string.h>

#include "feed/cp_feed.h"


const cp_report_field_t  cp_target_fields[] = {
    { "api",        CP_REPORT_ID,   true,  STOA_ID_LEN },
    { "target",     CP_REPORT_TEXT, true,  64 },
    { "health",     CP_REPORT_CODE, false, 16 },
    { "breaker",    CP_REPORT_CODE, false, 16 },
    { "error",      CP_REPORT_TEXT, false, 64 },
    { "checked_ms", CP_REPORT_INT,  false, INT64_MAX },
    { "since_ms",   CP_REPORT_INT,  false, INT64_MAX },
    { NULL, CP_REPORT_INT, false, 0 }
};


/* Keeps of each what the table knows. */
cp_rc_t
cp_gateway_targets_take(cp_op_t *op, const cp_json_t *in, const char **text)
{
    char                      at[32];
    cp_rc_t                   rc;
    unsigned                  i;
    cp_json_t                *all, *one, *v;
    const cp_json_t          *list, *item;
    const cp_report_field_t  *f;

    all = cp_json_array(op->arena);
    list = cp_json_get(in, "targets");
    item = list ? list->first : NULL;

    for (i = 0; item; item = item->next, i++) {
        snprintf(at, sizeof(at), "targets[%u].", i);

        rc = cp_report_check(item, cp_target_fields, at, &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        one = cp_json_object(op->arena);

        for (f = cp_target_fields; f->name; f++) {
            v = cp_json_get(item, f->name);

            if (v) {
                cp_json_set(op->arena, one, f->name,
                            cp_json_copy(op->arena, v));
            }
        }

        cp_json_push(all, one);
    }

    *text = cp_json_text(op->arena, all, NULL);

    return *text ? CP_OK : cp_err_set(&op->err, "internal", "out of memory");
}


/* For people: an api by its tenant's name and its own. */
cp_rc_t
cp_gateway_targets_show(cp_tx_t *tx, cp_arena_t *a, const char *text,
    size_t len, cp_json_t *obj, cp_err_t *err)
{
    unsigned    i;
    cp_rc_t     rc;
    cp_rows_t   rows;
    cp_json_t  *list, *out, *m, *one;

    static const char *const  copied[] = { "target", "health", "breaker",
        "error", NULL };

    rc = cp_json_parse(a, text, len, &list, err);
    out = cp_json_array(a);

    for (m = rc == CP_OK ? list->first : NULL; m; m = m->next) {
        rc = cp_tx_query(tx, a, "SELECT t.name, a.name FROM apis a"
                         " JOIN tenants t ON t.id = a.tenant"
                         " WHERE a.id = $1",
                         cp_args(cp_text(cp_report_text(m, "api"))), &rows,
                         err);

        if (rc != CP_OK) {
            return rc;
        }

        if (rows.rows == 0) {
            continue;
        }

        one = cp_json_object(a);
        cp_json_put(a, one, "tenant", cp_cell(&rows, 0, 0)->p);
        cp_json_put(a, one, "api", cp_cell(&rows, 0, 1)->p);

        for (i = 0; copied[i]; i++) {
            if (*cp_report_text(m, copied[i])) {
                cp_json_put(a, one, copied[i], cp_report_text(m, copied[i]));
            }
        }

        if (cp_json_num(m, "checked_ms", 0)) {
            cp_json_put(a, one, "checked_at",
                        cp_time_format(a, cp_json_num(m, "checked_ms", 0)));
        }

        if (cp_json_num(m, "since_ms", 0)) {
            cp_json_put(a, one, "since",
                        cp_time_format(a, cp_json_num(m, "since_ms", 0)));
        }

        cp_json_push(out, one);
    }

    if (rc == CP_OK) {
        cp_json_set(a, obj, "targets", out);
    }

    return rc;
}
