/*
 * What gateways say about the targets of apis.
 */

#include <string.h>

#include "feed/cp_feed.h"


#define CP_TARGETS_ASKED  50           /* apis that are asked for at once    */


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


static const char  cp_targets_sql[] =
    "SELECT a.id, t.name, a.name FROM apis a JOIN tenants t"
    " ON t.id = a.tenant WHERE a.id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
    " $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,"
    " $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37,"
    " $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50)";


/* The apis of this target and of those behind it. */
static cp_rc_t
cp_targets_apis(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *m,
    cp_rows_t *rows, cp_err_t *err)
{
    unsigned  i;
    cp_val_t  args[CP_TARGETS_ASKED];

    for (i = 0; i < CP_TARGETS_ASKED; i++) {
        args[i] = cp_text(m ? cp_report_text(m, "api") : "");
        m = m ? m->next : NULL;
    }

    return cp_tx_query(tx, a, cp_targets_sql, args, CP_TARGETS_ASKED, rows,
                       err);
}


static const cp_val_t *
cp_targets_api(const cp_rows_t *rows, const char *id)
{
    unsigned  i;

    for (i = 0; i < rows->rows; i++) {
        if (strcmp(cp_cell(rows, i, 0)->p, id) == 0) {
            return cp_cell(rows, i, 0);
        }
    }

    return NULL;
}


/* For people: an api by its tenant's name and its own. */
cp_rc_t
cp_gateway_targets_show(cp_tx_t *tx, cp_arena_t *a, const char *text,
    size_t len, cp_json_t *obj, cp_err_t *err)
{
    cp_rc_t          rc;
    unsigned         i, n;
    cp_rows_t        rows;
    cp_json_t       *list, *out, *m, *one;
    const cp_val_t  *api;

    static const char *const  copied[] = { "target", "health", "breaker",
        "error", NULL };

    rc = cp_json_parse(a, text, len, &list, err);
    out = cp_json_array(a);

    for (m = rc == CP_OK ? list->first : NULL, n = 0; m; m = m->next, n++) {

        if (n % CP_TARGETS_ASKED == 0) {
            rc = cp_targets_apis(tx, a, m, &rows, err);
        }

        if (rc != CP_OK) {
            return rc;
        }

        api = cp_targets_api(&rows, cp_report_text(m, "api"));

        if (api == NULL) {
            continue;
        }

        one = cp_json_object(a);
        cp_json_put(a, one, "tenant", api[1].p);
        cp_json_put(a, one, "api", api[2].p);

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
