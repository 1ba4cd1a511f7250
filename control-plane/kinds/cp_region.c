/*
 * Where a tenant's apis may be served: regions are groups of gateways.  An api
 * that names none gets the tenant's, so that what reads an api's row need not
 * know of this.
 */

#include <string.h>

#include "kinds/cp_kind.h"


/* *groups: ids; NULL: everywhere. */
static cp_rc_t
cp_region_of(const cp_write_t *w, const char *tenant, cp_json_t **groups)
{
    cp_rc_t          rc;
    cp_op_t         *op = w->op;
    cp_rows_t        rows;
    const cp_val_t  *v;

    *groups = NULL;

    rc = cp_tx_query(w->tx, op->arena, "SELECT gateway_groups FROM tenants"
                     " WHERE id = $1", cp_args(cp_text(tenant)), &rows,
                     &op->err);

    v = rc == CP_OK && rows.rows ? cp_cell(&rows, 0, 0) : NULL;

    if (v && v->type == CP_VAL_TEXT) {
        rc = cp_json_parse(op->arena, v->p, v->len, groups, &op->err);
    }

    if (rc == CP_OK && *groups && (*groups)->n == 0) {
        *groups = NULL;
    }

    return rc;
}


/* The first of them that is not among those; NULL: none.  Of an empty list
 * that is "". */
static const char *
cp_region_out(const cp_json_t *list, const cp_json_t *groups)
{
    const cp_json_t  *m, *g;

    if (list == NULL || list->n == 0) {
        return "";
    }

    for (m = list->first; m; m = m->next) {
        for (g = groups->first; g && strcmp(g->s, m->s) != 0; g = g->next) {
            /* void */
        }

        if (g == NULL) {
            return m->s;
        }
    }

    return NULL;
}


cp_rc_t
cp_region_api(const cp_write_t *w, cp_json_t *api)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    cp_json_t   *groups;
    cp_names_t   names;
    const char  *out, *name;

    rc = cp_region_of(w, cp_json_str(api, "tenant"), &groups);

    if (rc != CP_OK || groups == NULL) {
        return rc;
    }

    out = cp_region_out(cp_json_get(api, "gateway_groups"), groups);

    if (out == NULL) {
        return CP_OK;
    }

    if (*out == '\0') {
        cp_json_set(op->arena, api, "gateway_groups", groups);
        return CP_OK;
    }

    cp_names_init(&names, w->tx, op->arena, &op->err);
    rc = cp_names_get(&names, cp_resource_find("gateway_group"), out, &name);

    return rc != CP_OK ? rc
           : cp_fault_at(op, api, "gateway_groups", "\"%s\" is not among the"
                         " tenant's gateway_groups", name ? name : out);
}


/* No api is left outside of what the tenant gets. */
cp_rc_t
cp_region_tenant(const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after)
{
    cp_rc_t           rc;
    cp_op_t          *op = w->op;
    unsigned          i;
    cp_rows_t         rows;
    cp_json_t        *list;
    const cp_val_t   *v;
    const cp_json_t  *groups;

    groups = cp_json_get(after, "gateway_groups");

    if (groups == NULL || groups->n == 0
        || cp_json_equal(cp_json_get(before, "gateway_groups"), groups))
    {
        return CP_OK;
    }

    rc = cp_tx_query(w->tx, op->arena, "SELECT name, gateway_groups"
                     " FROM apis WHERE tenant = $1 ORDER BY name",
                     cp_args(cp_text(cp_json_str(after, "id"))), &rows,
                     &op->err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        v = cp_cell(&rows, i, 1);
        list = NULL;

        if (v->type == CP_VAL_TEXT) {
            rc = cp_json_parse(op->arena, v->p, v->len, &list, &op->err);
        }

        if (rc == CP_OK && cp_region_out(list, groups)) {
            return cp_err_set(&op->err, "conflict", "the api \"%s\" is in"
                              " other gateway groups, or in all: change it"
                              " first", cp_cell(&rows, i, 0)->p);
        }
    }

    return rc;
}
