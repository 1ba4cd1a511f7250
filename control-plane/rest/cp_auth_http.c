/*
 * Who may call a route, and what a token may do.
 */

#include <string.h>

#include "audit/cp_denial.h"
#include "auth/cp_auth.h"
#include "base/cp_metrics.h"
#include "resource/cp_engine.h"
#include "rest/cp_rest.h"


static cp_rc_t cp_auth_admin(cp_req_t *r);
static cp_rc_t cp_auth_path(cp_req_t *r);


cp_rc_t
cp_auth_check(cp_req_t *r)
{
    cp_rc_t  rc;

    switch (r->route->auth) {

    case CP_AUTH_NONE:
        return CP_OK;

    case CP_AUTH_ASSERTION:
        rc = cp_auth_assertion(&r->op, cp_req_header(r, "X-Stoa-Identity"));
        break;

    case CP_AUTH_GATEWAY:
        rc = cp_auth_bearer(&r->op, CP_AUTH_GATEWAY,
                            cp_req_header(r, "Authorization"));
        break;

    case CP_AUTH_ADMIN:
        rc = cp_auth_admin(r);
        break;

    default:
        rc = cp_err_set(&r->op.err, "unauthorized", "no way in");
    }

    return rc;
}


static cp_rc_t
cp_auth_admin(cp_req_t *r)
{
    cp_rc_t  rc;

    rc = cp_auth_bearer(&r->op, CP_AUTH_ADMIN,
                        cp_req_header(r, "Authorization"));

    /* what is another tenant's does not exist, whatever may be done to it */

    if (rc == CP_OK) {
        rc = cp_auth_path(r);
    }

    return rc == CP_OK ? cp_auth_may(&r->op, r->route->permission) : rc;
}


/* What is not found behind the door is just not there. */
void
cp_auth_refused(cp_req_t *r, bool admitted)
{
    size_t  i, n;

    static const struct {
        const char  *code;
        const char  *labels;
    } reasons[] = {
        { "unauthorized", "reason=\"unauthorized\"" },
        { "forbidden", "reason=\"forbidden\"" },
        { "not_found", "reason=\"foreign_tenant\"" }
    };

    n = sizeof(reasons) / sizeof(reasons[0]) - admitted;

    for (i = 0; i < n; i++) {
        if (strcmp(reasons[i].code, r->op.err.code) == 0) {
            cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                                    "stoa_control_refused_total",
                                    reasons[i].labels,
                                    "Requests that were not allowed."), 1);
            cp_denial_note(&r->op.actor, reasons[i].code,
                           cp_arena_printf(r->op.arena, "%s %s",
                                           r->route->method, r->route->path),
                           cp_req_address(r));
            return;
        }
    }
}


/* An actor that is bound to a tenant, in a path that names one. */
static cp_rc_t
cp_auth_path(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    const char  *p, *id;

    if (r->op.actor.tenant == NULL) {
        return CP_OK;
    }

    for (p = r->route->path, i = 0; (p = strchr(p, '{')) != NULL; p++, i++) {
        if (strncmp(p, "{tenant}", 8) == 0) {
            break;
        }
    }

    if (p == NULL || i >= r->nparam) {
        return CP_OK;
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_ref_tenant(&r->op, tx, r->param[i], &id);
    cp_tx_rollback(tx);

    return rc;
}


static cp_json_t *
cp_auth_permissions(cp_arena_t *a, cp_role_e role, bool tenant)
{
    unsigned                i;
    cp_json_t              *list;
    const cp_permission_t  *p;

    list = cp_json_array(a);

    for (i = 0; (p = cp_permission_at(i)) != NULL; i++) {
        if (role >= p->role && !(tenant && p->scope == CP_SCOPE_PLATFORM)) {
            cp_json_push(list, cp_json_string(a, p->name));
        }
    }

    return list;
}


cp_rc_t
cp_auth_whoami(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *out;
    cp_rows_t    rows;
    cp_arena_t  *a;

    a = r->op.arena;
    out = cp_json_object(a);

    cp_json_put(a, out, "id", r->op.actor.id);
    cp_json_put(a, out, "name", r->op.actor.name);
    cp_json_put(a, out, "role", cp_role_name(r->op.actor.role));

    if (r->op.actor.tenant) {
        if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_tx_query(tx, a, "SELECT name FROM tenants WHERE id = $1",
                         cp_args(cp_text(r->op.actor.tenant)), &rows,
                         &r->op.err);
        cp_tx_rollback(tx);

        if (rc != CP_OK) {
            return rc;
        }

        if (rows.rows) {
            cp_json_put(a, out, "tenant", cp_cell(&rows, 0, 0)->p);
        }
    }

    cp_json_set(a, out, "permissions",
                cp_auth_permissions(a, r->op.actor.role,
                                    r->op.actor.tenant != NULL));

    return cp_req_answer(r, 200, out);
}


cp_rc_t
cp_auth_roles(cp_req_t *r)
{
    unsigned                i;
    cp_json_t              *out, *list, *row;
    cp_arena_t             *a;
    const cp_permission_t  *p;

    a = r->op.arena;
    out = cp_json_object(a);
    list = cp_json_array(a);

    for (i = CP_ROLE_PLATFORM_ADMIN; i > CP_ROLE_NONE; i--) {
        row = cp_json_object(a);
        cp_json_put(a, row, "role", cp_role_name((cp_role_e) i));
        cp_json_set(a, row, "permissions",
                    cp_auth_permissions(a, (cp_role_e) i,
                                        i == CP_ROLE_TENANT_ADMIN));
        cp_json_push(list, row);
    }

    cp_json_set(a, out, "roles", list);
    list = cp_json_array(a);

    for (i = 0; (p = cp_permission_at(i)) != NULL; i++) {
        row = cp_json_object(a);
        cp_json_put(a, row, "name", p->name);
        cp_json_put(a, row, "least_role", cp_role_name(p->role));
        cp_json_put(a, row, "scope",
                    p->scope == CP_SCOPE_TENANT ? "tenant" : "platform");
        cp_json_put(a, row, "description", p->doc);
        cp_json_push(list, row);
    }

    cp_json_set(a, out, "permissions", list);

    return cp_req_answer(r, 200, out);
}
