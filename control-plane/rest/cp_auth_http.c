/*
 * Who may call a route, and what a token may do.
 */

#include <string.h>

#include "audit/cp_denial.h"
#include "auth/cp_auth.h"
#include "auth/cp_session.h"
#include "base/cp_metrics.h"
#include "oidc/cp_oidc.h"
#include "resource/cp_engine.h"
#include "rest/cp_rest.h"
#include "rest/cp_session_http.h"


static cp_rc_t cp_auth_admin(cp_req_t *r);
static cp_rc_t cp_auth_path(cp_req_t *r);
static cp_rc_t cp_auth_none(cp_req_t *r);


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

    case CP_AUTH_SESSION:
        rc = cp_session_judge(r);
        break;

    default:
        rc = cp_err_set(&r->op.err, "unauthorized", "no way in");
    }

    return rc;
}


static cp_rc_t
cp_auth_admin(cp_req_t *r)
{
    cp_rc_t      rc;
    const char  *bearer;

    bearer = cp_req_header(r, "Authorization");

    if (bearer == NULL && cp_session_sent(r)) {
        rc = cp_session_judge(r);

    } else if (cp_oidc_used(r->op.app) && cp_oidc_looks(bearer)) {
        rc = cp_oidc_bearer(&r->op, bearer);

    } else {
        rc = cp_auth_bearer(&r->op, CP_AUTH_ADMIN, bearer);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_auth_path(r);

    return rc == CP_DECLINED && r->op.actor.grants == NULL
           && r->op.actor.how == CP_AUTH_USER && cp_oidc_used(r->op.app)
           ? cp_auth_none(r) : rc;
}


/* Who logs in at the provider and may nothing learns what was looked for. */
static cp_rc_t
cp_auth_none(cp_req_t *r)
{
    const cp_conf_t     *conf = &r->op.app->conf;
    const cp_session_t  *s = r->op.session;

    if (s && strcmp(s->how, "oidc") != 0) {
        return CP_DECLINED;
    }

    cp_op_clear(&r->op);

    return cp_err_set(&r->op.err, "forbidden", "no role: none by the claims "
                      "\"%s\" and \"%s\" of the provider, none given here",
                      conf->oidc_roles_claim, conf->oidc_groups_claim);
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


/* In a path that names a tenant, there; else it is judged here whether it may
 * be done anywhere, and by the handler where.  What is another tenant's does
 * not exist, whatever may be done to it. */
static cp_rc_t
cp_auth_path(cp_req_t *r)
{
    cp_rc_t            rc;
    cp_tx_t           *tx;
    unsigned           i;
    const char        *p, *id;
    const cp_grant_t  *g;

    for (p = r->route->path, i = 0; (p = strchr(p, '{')) != NULL; p++, i++) {
        if (strncmp(p, "{tenant}", 8) == 0) {
            break;
        }
    }

    for (g = r->op.actor.grants; g && g->tenant == NULL; g = g->next) {
        /* void */
    }

    /* who may it everywhere need not be asked where */

    if (g && cp_auth_holds(&r->op.actor, r->route->permission, NULL)) {
        return CP_OK;
    }

    if ((g == NULL && r->op.actor.grants) || p == NULL || i >= r->nparam) {
        return cp_auth_may_somewhere(&r->op, r->route->permission);
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_ref_tenant(&r->op, tx, r->param[i], r->route->permission, &id);
    cp_tx_rollback(tx);

    return rc;
}


/* Those that the actor holds there; everywhere: in some tenant. */
static cp_json_t *
cp_auth_permissions(cp_req_t *r, const char *tenant, bool everywhere)
{
    unsigned                i;
    cp_err_t                quiet;
    cp_json_t              *list;
    cp_op_t                 op = r->op;
    const cp_permission_t  *p;

    memset(&quiet, 0, sizeof(quiet));
    op.err = quiet;
    list = cp_json_array(op.arena);

    for (i = 0; (p = cp_permission_at(i)) != NULL; i++) {
        if (everywhere ? cp_auth_may_somewhere(&op, p->name) == CP_OK
                       : cp_auth_holds(&op.actor, p->name, tenant))
        {
            cp_json_push(list, cp_json_string(op.arena, p->name));
        }
    }

    return list;
}


static bool
cp_auth_same(const cp_grant_t *a, const cp_grant_t *b)
{
    return a->tenant && b->tenant ? strcmp(a->tenant, b->tenant) == 0
                                  : a->tenant == b->tenant;
}


/* One entry per tenant, in the order of the grants. */
static cp_rc_t
cp_auth_grants(cp_req_t *r, cp_tx_t *tx, cp_json_t *list)
{
    cp_rc_t            rc;
    cp_json_t         *one, *roles, *role;
    cp_arena_t        *a;
    cp_names_t         names;
    const char        *name;
    const cp_grant_t  *g, *same;

    a = r->op.arena;
    cp_names_init(&names, tx, a, &r->op.err);

    for (g = r->op.actor.grants; g; g = g->next) {

        for (same = r->op.actor.grants; same != g; same = same->next) {
            if (cp_auth_same(same, g)) {
                break;
            }
        }

        if (same != g) {
            continue;
        }

        one = cp_json_object(a);
        roles = cp_json_array(a);

        if (g->tenant) {
            rc = cp_names_get(&names, &cp_res_tenant, g->tenant, &name);
            if (rc != CP_OK) {
                return rc;
            }

            cp_json_put(a, one, "tenant", name);
        }

        for (same = g; same; same = same->next) {
            if (cp_auth_same(same, g)) {
                role = cp_json_object(a);
                cp_json_put(a, role, "role", same->role);
                cp_json_put(a, role, "from", same->stored ? "here" : "claim");
                cp_json_push(roles, role);
            }
        }

        cp_json_set(a, one, "roles", roles);
        cp_json_set(a, one, "permissions",
                    cp_auth_permissions(r, g->tenant, false));
        cp_json_push(list, one);
    }

    return CP_OK;
}


cp_rc_t
cp_auth_whoami(cp_req_t *r)
{
    cp_rc_t            rc;
    cp_tx_t           *tx;
    cp_json_t         *out, *grants, *only;
    cp_arena_t        *a;
    const cp_grant_t  *g;

    a = r->op.arena;
    out = cp_json_object(a);
    grants = cp_json_array(a);
    g = r->op.actor.grants;

    cp_json_put(a, out, "id", r->op.actor.id);
    cp_json_put(a, out, "name", r->op.actor.name);
    cp_json_put(a, out, "kind",
                r->op.actor.how == CP_AUTH_USER ? "user" : "admin_token");

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_auth_grants(r, tx, grants);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    /* short for who is in one place in one role */

    if (g && g->next == NULL) {
        only = cp_json_get(grants->first, "tenant");
        cp_json_put(a, out, "role", g->role);

        if (only) {
            cp_json_put(a, out, "tenant", only->s);
        }
    }

    cp_json_set(a, out, "permissions", cp_auth_permissions(r, NULL, true));
    cp_json_set(a, out, "grants", grants);

    return cp_req_answer(r, 200, out);
}


static cp_json_t *
cp_auth_role(cp_arena_t *a, const cp_role_t *role)
{
    unsigned                i;
    cp_json_t              *row, *list;
    cp_perms_t              may;
    const cp_permission_t  *p;

    row = cp_json_object(a);
    list = cp_json_array(a);

    if (cp_role_builtin(role->name, &may)) {
        for (i = 0; (p = cp_permission_at(i)) != NULL; i++) {
            if (cp_perms_has(&may, i)) {
                cp_json_push(list, cp_json_string(a, p->name));
            }
        }
    }

    cp_json_put(a, row, "role", role->name);
    cp_json_put(a, row, "description", role->doc);
    cp_json_set(a, row, "permissions", list);

    return row;
}


cp_rc_t
cp_auth_roles(cp_req_t *r)
{
    unsigned                i;
    cp_json_t              *out, *list, *row;
    cp_arena_t             *a;
    const cp_role_t        *role;
    const cp_permission_t  *p;

    a = r->op.arena;
    out = cp_json_object(a);
    list = cp_json_array(a);

    for (i = 0; (role = cp_role_at(i)) != NULL; i++) {
        cp_json_push(list, cp_auth_role(a, role));
    }

    cp_json_set(a, out, "roles", list);
    list = cp_json_array(a);

    for (i = 0; (p = cp_permission_at(i)) != NULL; i++) {
        row = cp_json_object(a);
        cp_json_put(a, row, "name", p->name);
        cp_json_put(a, row, "scope",
                    p->scope == CP_SCOPE_TENANT ? "tenant" : "platform");
        cp_json_put(a, row, "description", p->doc);
        cp_json_push(list, row);
    }

    cp_json_set(a, out, "permissions", list);

    return cp_req_answer(r, 200, out);
}
