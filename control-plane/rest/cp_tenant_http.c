/*
 * What there is of tenants beside their rows.
 */

#include "auth/cp_auth.h"
#include "http/cp_http.h"
#include "kinds/cp_kinds.h"
#include "resource/cp_limit.h"


static cp_rc_t cp_tenant_limits(cp_req_t *r);


const cp_route_t  cp_tenant_routes[] = {
    { "GET", "/v1/tenants/{tenant}/limits", CP_AUTH_ADMIN, "tenant:read",
      cp_tenant_limits, NULL, "How many the tenant has, and may have", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_tenant_limits(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *row, *list, *out;
    const char  *id;
    cp_arena_t  *a = r->op.arena;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_ref_tenant(&r->op, tx, r->param[0], r->route->permission, &id);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, a, &cp_res_tenant, id, &row, &r->op.err);
    }

    if (rc == CP_OK) {
        rc = cp_limit_list(tx, a, r->op.app, row, &list, &r->op.err);
    }

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(a);
    cp_json_set(a, out, "items", list);

    return cp_req_answer(r, 200, out);
}
