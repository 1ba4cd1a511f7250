/*
 * Policies that a set would make, and that somebody has deleted: a dump names
 * them, an apply deletes them, else they were back where it is applied.
 */

#include <string.h>

#include "apply/cp_apply_run.h"
#include "kinds/cp_kinds.h"


static cp_rc_t
cp_gone_find(cp_op_t *op, cp_tx_t *tx, cp_arena_t *a, const char *set,
    const char *name, const char **id)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, a, "SELECT id FROM policies WHERE policy_set = $1"
                     " AND name = $2", cp_args(cp_text(set), cp_text(name)),
                     &rows, &op->err);

    *id = rc == CP_OK && rows.rows ? cp_cell(&rows, 0, 0)->p : NULL;

    return rc;
}


cp_rc_t
cp_apply_gone(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
{
    cp_rc_t           rc;
    cp_op_t          *op = ap->op;
    cp_write_t        w = cp_write_of(op, ap->tx, &cp_res_policy);
    const cp_json_t  *m;

    rc = CP_OK;

    for (m = d->gone->first; m && rc == CP_OK; m = m->next) {

        if (m->type != CP_JSON_STRING) {
            return cp_err_field(&op->err, d->index, m->line, "gone",
                                "must be names of policies");
        }

        rc = cp_gone_find(op, ap->tx, op->arena, d->id, m->s, &w.id);

        if (rc == CP_OK && w.id) {
            rc = cp_entry_delete(&w);
            cp_diff_push(op->arena, diff, "gone", NULL, m);
            d->action = d->action == CP_ACTION_NONE ? CP_ACTION_UPDATE
                                                    : d->action;
        }
    }

    return rc;
}


cp_rc_t
cp_gone_list(cp_op_t *op, cp_tx_t *tx, cp_arena_t *a, const cp_json_t *set,
    cp_json_t **list)
{
    cp_rc_t           rc;
    cp_json_t        *row;
    const char       *own, *name, *id;
    const cp_json_t  *one, *m;

    *list = cp_json_array(a);
    own = cp_json_str(set, "template");

    rc = cp_row_load(tx, a, own ? &cp_res_policy_template
                                : &cp_res_global_policy_template,
                     own ? own : cp_json_str(set, "global_template"), &row,
                     &op->err);

    if (rc != CP_OK || row == NULL) {
        return rc;
    }

    one = cp_json_get(row, "versions")->first;

    while (one && cp_json_num(one, "version", 0)
                  != cp_json_num(set, "version", 0))
    {
        one = one->next;
    }

    m = one ? cp_json_get(one, "policies")->first : NULL;

    for ( /* void */ ; m && rc == CP_OK; m = m->next) {
        name = cp_arena_printf(a, "%s-%s", cp_json_str(set, "name"),
                               cp_json_str(m, "name"));
        rc = name ? cp_gone_find(op, tx, a, cp_json_str(set, "id"), name, &id)
                  : cp_err_set(&op->err, "internal", "no memory");

        if (rc == CP_OK && id == NULL) {
            cp_json_push(*list, cp_json_string(a, name));
        }
    }

    return rc;
}
