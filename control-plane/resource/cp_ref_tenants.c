/*
 * The tenants of a list that goes over several of them.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "resource/cp_engine.h"


static cp_rc_t
cp_tenants_add(cp_op_t *op, cp_tenants_t *t, const char *id)
{
    unsigned  i;

    for (i = 0; i < t->n; i++) {
        if (strcmp(t->id[i], id) == 0) {
            return CP_OK;
        }
    }

    if (t->n == CP_TENANTS_MAX) {
        return cp_err_set(&op->err, "bad_request", "more than %d tenants: name"
                          " fewer", CP_TENANTS_MAX);
    }

    t->id[t->n++] = id;

    return CP_OK;
}


/* The log of a tenant that was deleted is still there, by its id. */
static cp_rc_t
cp_tenants_named(cp_op_t *op, cp_tx_t *tx, const char *name,
    const char *permission, bool gone, cp_tenants_t *t)
{
    cp_rc_t      rc;
    const char  *id;

    gone = gone && cp_auth_holds(&op->actor, permission, NULL);

    if (gone && *name == '\0') {
        return cp_tenants_add(op, t, "");
    }

    if (gone && stoa_id_valid(name, strlen(name))) {
        rc = cp_ref_find(tx, op->arena, cp_resource_owner(), NULL, name, &id,
                         &op->err);
        id = rc == CP_OK && id ? id : name;

    } else {
        rc = cp_ref_tenant(op, tx, name, permission, &id);
    }

    return rc == CP_OK ? cp_tenants_add(op, t, id) : rc;
}


cp_rc_t
cp_ref_tenants(cp_op_t *op, cp_tx_t *tx, const char *names,
    const char *permission, bool gone, cp_tenants_t *t)
{
    size_t             len;
    cp_rc_t            rc;
    const char        *p;
    const cp_grant_t  *g;

    memset(t, 0, sizeof(cp_tenants_t));
    rc = CP_OK;

    for (p = names; p && rc == CP_OK; p = p[len] ? p + len + 1 : NULL) {
        len = strcspn(p, ",");
        rc = cp_tenants_named(op, tx, cp_arena_strndup(op->arena, p, len),
                              permission, gone, t);
    }

    if (names) {
        return rc;
    }

    t->all = cp_auth_holds(&op->actor, permission, NULL);

    for (g = t->all ? NULL : op->actor.grants; g && rc == CP_OK; g = g->next) {
        if (g->tenant && cp_auth_holds(&op->actor, permission, g->tenant)) {
            rc = cp_tenants_add(op, t, g->tenant);
        }
    }

    return rc;
}


/* Ids are letters and digits. */
const char *
cp_tenants_where(cp_arena_t *a, const cp_tenants_t *t, const char *column)
{
    unsigned     i;
    const char  *list;

    list = NULL;

    for (i = 0; i < t->n; i++) {
        list = cp_arena_printf(a, "%s%s'%s'", list ? list : "",
                               list ? ", " : "", t->id[i]);
    }

    return t->all ? "1 = 1"
           : list ? cp_arena_printf(a, "%s IN (%s)", column, list) : "1 = 0";
}
