/*
 * Making and removing the groups of a tenant in Keycloak.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_provision.h"
#include "oidc/cp_group.h"


#define CP_GROUP_TIMEOUT_MS  5000
#define CP_GROUP_OF          "stoa_tenant"       /* the attribute            */

/* One tenant's. */
typedef struct {
    cp_op_t     *op;
    const char  *tenant;               /* its id                             */
    const char  *path;                 /* "/tenants/acme"                    */
    const char  *base;                 /* the realm in the admin API         */
    const char  *bearer;
} cp_group_t;


static bool
cp_group_used(const cp_app_t *app)
{
    return cp_oidc_used(app) && app->conf.keycloak_groups_client_id[0];
}


/* Not CP_DECLINED: it is tried again. */
static cp_rc_t
cp_group_failed(cp_group_t *g, const char *what, const char *error)
{
    (void) cp_err_set(&g->op->err, "unavailable", "Keycloak, %s: %s", what,
                      error);

    return CP_ERROR;
}


/* An exchange with the admin API; statuses of `fine` (0 ends) are answers. */
static cp_rc_t
cp_group_ask(cp_group_t *g, const char *method, const char *path,
    const cp_json_t *body, const long *fine, long *status, cp_json_t **out)
{
    const char     *error;
    cp_oidc_ask_t   ask;

    memset(&ask, 0, sizeof(ask));
    ask.app = g->op->app;
    ask.arena = g->op->arena;
    ask.url = cp_arena_printf(g->op->arena, "%s%s", g->base, path);
    ask.authorization = g->bearer;
    ask.method = method;
    ask.json = body ? cp_json_text(g->op->arena, body, NULL) : NULL;
    ask.timeout_ms = CP_GROUP_TIMEOUT_MS;
    ask.max = CP_OIDC_BODY_MAX;

    error = ask.url ? cp_oidc_ask(&ask, status, out) : "out of memory";

    if (error) {
        return cp_group_failed(g, path, error);
    }

    for ( ; *fine; fine++) {
        if (*fine == *status) {
            return CP_OK;
        }
    }

    error = cp_arena_printf(g->op->arena, "HTTP status %ld%s", *status,
                            *status == 403 ? ": the service account needs "
                            "manage-users and view-realm" : "");

    return cp_group_failed(g, path, error);
}


/* *id NULL: there is none. */
static cp_rc_t
cp_group_find(cp_group_t *g, const char *path, const char **id,
    const char **of)
{
    long              status;
    cp_rc_t           rc;
    cp_json_t        *out;
    const char       *error;
    const cp_json_t  *mark;

    *id = NULL;
    *of = "";
    rc = cp_group_ask(g, "GET", cp_arena_printf(g->op->arena,
                                                "/group-by-path%s", path),
                      NULL, (const long []) { 200, 404, 0 }, &status, &out);
    if (rc != CP_OK) {
        return rc;
    }

    if (status == 404) {
        /* the group, and not the realm, or a proxy's page */
        error = cp_json_str(out, "error");

        return error && strncmp(error, "Realm", 5) != 0 ? CP_OK
               : cp_group_failed(g, path, "no answer of the realm's");
    }

    *id = cp_json_str(out, "id");

    if (*id == NULL) {
        return cp_group_failed(g, path, "the answer is no group");
    }

    mark = cp_json_get(cp_json_get(out, "attributes"), CP_GROUP_OF);
    mark = mark && mark->type == CP_JSON_ARRAY ? mark->first : NULL;
    *of = mark && mark->type == CP_JSON_STRING ? mark->s : "";

    return CP_OK;
}


static cp_rc_t
cp_group_child(cp_group_t *g, const char *parent, const char *name,
    bool marked)
{
    long         status;
    cp_json_t   *body, *attributes, *list, *out;
    cp_arena_t  *a = g->op->arena;

    body = cp_json_object(a);
    cp_json_put(a, body, "name", name);

    if (marked) {
        attributes = cp_json_object(a);
        list = cp_json_array(a);
        cp_json_push(list, cp_json_string(a, g->tenant));
        cp_json_set(a, attributes, CP_GROUP_OF, list);
        cp_json_set(a, body, "attributes", attributes);
    }

    return cp_group_ask(g, "POST", cp_arena_printf(a, "/groups/%s/children",
                                                   parent),
                        body, (const long []) { 201, 204, 409, 0 }, &status,
                        &out);
}


/* Who is in the group of tenant-admins needs what administrators need there:
 * a second factor. */
static cp_rc_t
cp_group_admins(cp_group_t *g)
{
    long         status;
    cp_rc_t      rc;
    cp_json_t   *role, *list, *out;
    cp_arena_t  *a = g->op->arena;
    const char  *id, *of, *name = g->op->app->conf.keycloak_admin_role;

    if (name[0] == '\0') {
        return CP_OK;
    }

    rc = cp_group_ask(g, "GET", cp_arena_printf(a, "/roles/%s", name), NULL,
                      (const long []) { 200, 0 }, &status, &role);

    if (rc == CP_OK) {
        rc = cp_group_find(g, cp_arena_printf(a, "%s/tenant-admin", g->path),
                           &id, &of);
    }

    if (rc != CP_OK || id == NULL) {
        return rc == CP_OK ? cp_group_failed(g, g->path, "it is gone") : rc;
    }

    list = cp_json_array(a);
    out = cp_json_object(a);
    cp_json_put(a, out, "id", cp_json_str(role, "id"));
    cp_json_put(a, out, "name", cp_json_str(role, "name"));
    cp_json_push(list, out);

    return cp_group_ask(g, "POST", cp_arena_printf(a, "/groups/%s/"
                                                   "role-mappings/realm", id),
                        list, (const long []) { 204, 0 }, &status, &out);
}


static cp_rc_t
cp_group_open(cp_group_t *g, cp_op_t *op, const char *id, const char *name)
{
    char              secret[1024];
    cp_json_t        *out;
    const char       *error;
    const cp_conf_t  *conf = &op->app->conf;

    memset(g, 0, sizeof(cp_group_t));
    g->op = op;
    g->tenant = id;
    g->path = cp_arena_printf(op->arena, "%s/%s", conf->keycloak_groups_path,
                              name);
    g->base = cp_owner_base(op->app, op->arena);

    if (g->base == NULL) {
        return cp_group_failed(g, "realm", "the issuer is none of Keycloak's:"
                               " keycloak_admin_url is needed");
    }

    if (cp_oidc_file(conf->keycloak_groups_secret_file, secret,
                     sizeof(secret)) == NULL)
    {
        return cp_group_failed(g, "token", "keycloak_groups_secret_file "
                               "holds no secret");
    }

    error = cp_oidc_account(op->app, op->arena,
                            conf->keycloak_groups_client_id, secret,
                            CP_GROUP_TIMEOUT_MS, &out);

    if (error == NULL) {
        g->bearer = cp_arena_printf(op->arena, "Bearer %s",
                                    cp_json_str(out, "access_token"));
        error = g->bearer && g->path ? NULL : "out of memory";
    }

    return error ? cp_group_failed(g, "token", error) : CP_OK;
}


/* The tenant's own, found or made. */
static cp_rc_t
cp_group_own(cp_group_t *g, const char **id)
{
    cp_rc_t      rc;
    const char  *parent, *of;
    const char  *top = g->op->app->conf.keycloak_groups_path;

    rc = cp_group_find(g, g->path, id, &of);

    if (rc == CP_OK && *id == NULL) {
        rc = cp_group_find(g, top, &parent, &of);

        if (rc == CP_OK && parent == NULL) {
            return cp_err_set(&g->op->err, "conflict", "there is no group "
                              "%.200s in Keycloak", top);
        }

        if (rc == CP_OK) {
            rc = cp_group_child(g, parent, g->path + strlen(top) + 1, true);
        }

        if (rc == CP_OK) {
            rc = cp_group_find(g, g->path, id, &of);
        }
    }

    if (rc != CP_OK || *id == NULL) {
        return rc == CP_OK ? cp_group_failed(g, g->path, "was not made") : rc;
    }

    return strcmp(of, g->tenant) == 0 ? CP_OK
           : cp_err_set(&g->op->err, "conflict", "the group %.200s is in "
                        "Keycloak already, and was made for nobody of this "
                        "tenant's", g->path);
}


static cp_rc_t
cp_group_make(cp_op_t *op, const char *id, const char *name)
{
    cp_rc_t           rc;
    unsigned          i;
    cp_group_t        g;
    const char       *group;
    const cp_role_t  *role;

    rc = cp_group_open(&g, op, id, name);

    if (rc == CP_OK) {
        rc = cp_group_own(&g, &group);
    }

    for (i = 0; rc == CP_OK && (role = cp_role_at(i)) != NULL; i++) {
        if (strncmp(role->name, "platform-", 9) != 0) {
            rc = cp_group_child(&g, group, role->name, false);
        }
    }

    return rc == CP_OK ? cp_group_admins(&g) : rc;
}


static cp_rc_t
cp_group_undo(cp_op_t *op, const char *id, const char *name)
{
    long         status;
    cp_rc_t      rc;
    cp_json_t   *out;
    cp_group_t   g;
    const char  *group, *of;

    rc = cp_group_open(&g, op, id, name);

    if (rc == CP_OK) {
        rc = cp_group_find(&g, g.path, &group, &of);
    }

    if (rc != CP_OK || group == NULL || strcmp(of, id) != 0) {
        return rc;
    }

    return cp_group_ask(&g, "DELETE", cp_arena_printf(op->arena, "/groups/%s",
                                                      group),
                        NULL, (const long []) { 204, 404, 0 }, &status, &out);
}


static const cp_provision_out_t  cp_group_out = {
    cp_group_used, cp_group_make, cp_group_undo
};


cp_rc_t
cp_group_init(const cp_app_t *app, cp_err_t *err)
{
    char              text[1024];
    const cp_conf_t  *conf = &app->conf;

    cp_provision_outside(&cp_group_out);

    if (!cp_group_used(app)) {
        return CP_OK;
    }

    if (conf->keycloak_groups_path[0] != '/') {
        return cp_err_set(err, "validation", "keycloak_groups_path must begin"
                          " with /");
    }

    return cp_oidc_file(conf->keycloak_groups_secret_file, text, sizeof(text))
           ? CP_OK : cp_err_set(err, "validation",
                                "keycloak_groups_secret_file: \"%s\" holds no"
                                " secret", conf->keycloak_groups_secret_file);
}
