/*
 * May I?  The answer is read from the rows that judge, so it cannot differ
 * from what a call would be told.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "http/cp_http.h"
#include "rest/cp_list.h"


static cp_rc_t cp_can_i(cp_req_t *r);


const cp_route_t  cp_can_i_routes[] = {
    { "GET", "/v1/can-i", CP_AUTH_ADMIN, "self:read", cp_can_i, NULL,
      "May the caller, or somebody else, do this, and where",
      "verb kind tenant user" },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};

/* What people call it; other verbs are events. */
static const struct {
    const char  *verb;
    const char  *method;
    bool         one;              /* of a path with a name at its end       */
    const char  *does;             /* where the kind has no routes           */
} cp_verbs[] = {
    { "list",   "GET",    false, "read" },
    { "get",    "GET",    true,  "read" },
    { "read",   "GET",    true,  "read" },
    { "create", "POST",   false, "write" },
    { "update", "PATCH",  true,  "write" },
    { "write",  "PATCH",  true,  "write" },
    { "delete", "DELETE", true,  "write" },
    { NULL, NULL, false, NULL }
};


static const cp_resource_t *
cp_can_i_kind(cp_req_t *r, const char *word)
{
    char                 *kind, *p;
    unsigned              i;
    const cp_resource_t  *res;

    kind = cp_arena_strdup(r->op.arena, word);

    for (p = kind; p && *p; p++) {
        *p = *p == '-' ? '_' : *p;
    }

    for (i = 0; kind && (res = cp_resource_at(i)) != NULL; i++) {
        if (strcmp(res->kind, kind) == 0 || strcmp(res->plural, word) == 0) {
            return res;
        }
    }

    return NULL;
}


/* Of the route, or, of what is no resource, of the table. */
static const char *
cp_can_i_needs(cp_req_t *r, const char *verb, const char *word)
{
    bool                  one;
    size_t                len;
    unsigned              v;
    const char           *last, *name;
    const cp_route_t     *route;
    const cp_resource_t  *res;

    res = cp_can_i_kind(r, word);

    for (v = 0; cp_verbs[v].verb && strcmp(cp_verbs[v].verb, verb) != 0; v++) {
        /* void */
    }

    for (route = cp_resource_routes; res && route->method; route++) {
        last = strrchr(route->path, '/') + 1;
        one = *last == '{';

        if (route->data == res
            && (cp_verbs[v].verb
                ? one == cp_verbs[v].one
                  && strcmp(route->method, cp_verbs[v].method) == 0
                  && (one || strcmp(last, res->plural) == 0)
                : strcmp(last, verb) == 0 && last[-2] == '}'
                  && strcmp(route->method, "POST") == 0))
        {
            return route->permission;
        }
    }

    if (res) {
        return NULL;
    }

    /* "traces" is "trace" */

    len = strlen(word);
    len -= len && word[len - 1] == 's';

    name = cp_arena_printf(r->op.arena, "%.*s:%s", (int) len, word,
                           cp_verbs[v].verb ? cp_verbs[v].does : verb);

    return name && cp_permission_find(name) >= 0 ? name : NULL;
}


/* The tenants in which he may, where he did not ask for one. */
static cp_rc_t
cp_can_i_where(cp_req_t *r, cp_tx_t *tx, const cp_op_t *who,
    const char *permission, cp_json_t *list)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;

    rc = cp_tx_query(tx, r->op.arena,
                     cp_arena_printf(r->op.arena, "SELECT name FROM tenants"
                                     " WHERE %s ORDER BY name",
                                     cp_auth_where(who, "id", permission)),
                     NULL, 0, &rows, &r->op.err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        cp_json_push(list, cp_json_string(r->op.arena,
                                          cp_cell(&rows, i, 0)->p));
    }

    return rc;
}


/* Somebody else, by what he holds here: who asks sees who holds what there,
 * and that person. */
static cp_rc_t
cp_can_i_other(cp_req_t *r, cp_tx_t *tx, const char *user, const char *tenant,
    cp_actor_t *other)
{
    cp_op_t      op = r->op;
    cp_rc_t      rc;
    cp_json_t   *row;
    const char  *id, *home;

    rc = tenant ? CP_OK
         : cp_auth_may(&r->op, "global_role_binding:read", NULL);

    if (rc == CP_OK) {
        rc = cp_ref_find(tx, r->op.arena, &cp_res_user, NULL, user, &id,
                         &r->op.err);
    }

    row = NULL;

    if (rc == CP_OK && id) {
        rc = cp_row_load(tx, r->op.arena, &cp_res_user, id, &row, &r->op.err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    memset(&op.actor, 0, sizeof(cp_actor_t));
    op.actor.how = CP_AUTH_USER;

    if (row && strcmp(cp_json_str(row, "state"), "active") == 0) {
        rc = cp_rbac_user(&op, id);
        r->op.err = op.err;
    }

    home = row ? cp_json_str(row, "tenant") : NULL;
    *other = op.actor;

    return rc != CP_OK || (row && (cp_auth_holds(&r->op.actor, "user:read",
                                                 home)
                                   || (tenant && cp_auth_sees(other,
                                                              tenant))))
           ? rc : cp_err_set(&r->op.err, "not_found", "there is no user"
                             " \"%.64s\"", user);
}


static cp_rc_t
cp_can_i_judge(cp_req_t *r, cp_tx_t *tx, const char *permission,
    cp_json_t *out)
{
    bool         yes;
    cp_op_t      who = r->op;
    cp_rc_t      rc;
    cp_json_t   *list;
    const char  *name, *user, *id;
    cp_arena_t  *a = r->op.arena;

    name = cp_req_query(r, "tenant");
    user = cp_req_query(r, "user");
    list = NULL;
    id = NULL;

    rc = name ? cp_ref_tenant(&r->op, tx, name, user ? "role_binding:read"
                                                     : NULL, &id) : CP_OK;

    if (rc == CP_OK && user) {
        rc = cp_can_i_other(r, tx, user, id, &who.actor);
    }

    if (rc != CP_OK) {
        return rc;
    }

    yes = cp_auth_holds(&who.actor, permission, id);

    if (name == NULL && !yes) {
        list = cp_json_array(a);
        rc = cp_can_i_where(r, tx, &who, permission, list);
        yes = list->n != 0;
    }

    cp_json_put_bool(a, out, "allowed", yes);
    cp_json_put(a, out, "permission", permission);

    if (name) {
        cp_json_put(a, out, "tenant", name);

    } else if (list) {
        cp_json_set(a, out, "tenants", list);
    }

    return rc;
}


static cp_rc_t
cp_can_i(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *out;
    const char  *verb, *kind, *permission;

    verb = cp_req_query(r, "verb");
    kind = cp_req_query(r, "kind");

    if (verb == NULL || kind == NULL) {
        return cp_err_set(&r->op.err, "bad_request", "verb and kind say what:"
                          " ?verb=create&kind=api");
    }

    permission = cp_can_i_needs(r, verb, kind);
    if (permission == NULL) {
        return cp_err_set(&r->op.err, "bad_request", "nobody can %.64s"
                          " %.64s: there is no such thing to do", verb, kind);
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    out = cp_json_object(r->op.arena);
    rc = cp_can_i_judge(r, tx, permission, out);
    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}
