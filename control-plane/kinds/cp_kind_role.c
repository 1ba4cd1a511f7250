/*
 * A tenant's own roles, and who holds which: in a tenant, or at the platform.
 *
 * Nobody gives what he does not hold himself there; to take away needs no
 * more than the permission to do it.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_kind.h"


#define CP_BINDINGS_MAX  CP_GRANTS_MAX     /* of one person                  */


static cp_rc_t cp_role_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_role_gone(const cp_write_t *w, const cp_json_t *before);
static cp_rc_t cp_binding_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_binding_gone(const cp_write_t *w, const cp_json_t *before);


static const cp_field_t  role_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_TENANT,
    { "permissions", CP_F_ARRAY, RQ, 1, CP_PERMS_WORDS * 64, NULL, NULL, NULL,
      CP_F_STRING, NULL, NULL,
      "of GET /v1/roles, those of scope tenant; what one does not hold one"
      " does not add" },
    BASE_TIMES,
    F_END
};

const cp_resource_t  cp_res_role = {
    .kind = "role", .doc_kind = "Role", .plural = "roles", .table = "roles",
    .parent = "tenant", .fields = role_fields, .authority = true,
    .check = cp_role_check, .gone = cp_role_gone
};

#define BINDING_FIELDS                                                        \
    F_REF("user", RQ|IM|FI, "user", NULL, "the person"),                      \
    F("role", CP_F_NAME, RQ|IM|FI, 0, 0, NULL,                                \
      "a built-in role, or one of the tenant's"),                             \
    BASE_TIMES,                                                               \
    F_END

static const cp_field_t  binding_fields[] = {
    BASE_ID, BASE_TENANT,
    BINDING_FIELDS
};

static const cp_field_t  global_fields[] = {
    BASE_ID,
    BINDING_FIELDS
};

const cp_resource_t  cp_res_role_binding = {
    .kind = "role_binding", .plural = "role-bindings",
    .table = "role_bindings", .parent = "tenant", .by_id = true,
    .called = "role user", .fields = binding_fields, .authority = true,
    .check = cp_binding_check,
    .person = "user"
};

const cp_resource_t  cp_res_global_role_binding = {
    .kind = "global_role_binding", .plural = "role-bindings",
    .table = "global_role_bindings", .by_id = true, .called = "role user",
    .fields = global_fields, .authority = true,
    .check = cp_binding_check, .gone = cp_binding_gone,
    .person = "user"
};


/* What is new in a role has to be the maker's own. */
static cp_rc_t
cp_role_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    int                     i;
    cp_rc_t                 rc;
    cp_perms_t              more, had;
    const cp_json_t        *m;
    const cp_permission_t  *p;

    if (cp_role_builtin(cp_json_str(after, "name"), &had)) {
        return cp_fault_at(w->op, after, "name", "is a built-in role's");
    }

    memset(&more, 0, sizeof(more));

    if (before) {
        rc = cp_rbac_role(w->op, w->tx, cp_json_str(after, "tenant"),
                          cp_json_str(after, "name"), &had);
        if (rc != CP_OK) {
            return rc;
        }
    }

    for (m = cp_json_get(after, "permissions")->first; m; m = m->next) {
        i = cp_permission_find(m->s);
        p = i >= 0 ? cp_permission_at((unsigned) i) : NULL;

        if (p == NULL || p->scope != CP_SCOPE_TENANT) {
            return cp_fault_at(w->op, after, "permissions",
                               p ? "\"%.64s\" is the platform's"
                                 : "there is no permission \"%.64s\"", m->s);
        }

        if (!cp_perms_has(&had, (unsigned) i)) {
            cp_perms_add(&more, (unsigned) i);
        }
    }

    return cp_auth_covers(w->op, cp_json_str(after, "tenant"), &more);
}


/* A name that comes back would give its new meaning to who held the old. */
static cp_rc_t
cp_role_gone(const cp_write_t *w, const cp_json_t *before)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    cp_rows_t    rows;
    const char  *name;

    name = cp_json_str(before, "name");

    rc = cp_tx_query(w->tx, op->arena, "SELECT id FROM role_bindings"
                     " WHERE tenant = $1 AND role = $2 UNION ALL"
                     " SELECT id FROM admin_tokens"
                     " WHERE tenant = $1 AND role = $2 AND state = 'active'",
                     cp_args(cp_text(cp_json_str(before, "tenant")),
                             cp_text(name)), &rows, &op->err);

    return rc == CP_OK && rows.rows
           ? cp_err_set(&op->err, "conflict", "%u people and tokens hold the"
                        " role \"%s\": take it from them first", rows.rows,
                        name) : rc;
}


/* Of whose home the giver sees no people is nobody to him. */
static cp_rc_t
cp_binding_person(const cp_write_t *w, const char *user)
{
    cp_rc_t          rc;
    cp_op_t         *op = w->op;
    cp_rows_t        rows;
    const cp_val_t  *home;

    rc = cp_tx_query(w->tx, op->arena, "SELECT tenant FROM users"
                     " WHERE id = $1", cp_args(cp_text(user)), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    home = rows.rows ? cp_cell(&rows, 0, 0) : NULL;

    return home && cp_auth_holds(&op->actor, "user:read",
                                 home->type == CP_VAL_TEXT ? home->p : NULL)
           ? CP_OK : cp_err_field(&op->err, w->document, 0, "user",
                                  "there is no such person");
}


static cp_rc_t
cp_binding_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    cp_rows_t    rows;

    if (before) {
        return CP_OK;
    }

    rc = cp_rbac_give(op, w->tx, cp_json_str(after, "tenant"),
                      cp_json_str(after, "role"));

    if (rc == CP_OK) {
        rc = cp_binding_person(w, cp_json_str(after, "user"));
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(w->tx, op->arena, "SELECT id FROM role_bindings"
                     " WHERE \"user\" = $1 UNION ALL"
                     " SELECT id FROM global_role_bindings"
                     " WHERE \"user\" = $1",
                     cp_args(cp_text(cp_json_str(after, "user"))), &rows,
                     &op->err);

    return rc == CP_OK && rows.rows >= CP_BINDINGS_MAX
           ? cp_err_set(&op->err, "conflict", "a person holds at most %d"
                        " roles", CP_BINDINGS_MAX) : rc;
}


static cp_rc_t
cp_binding_gone(const cp_write_t *w, const cp_json_t *before)
{
    return strcmp(cp_json_str(before, "role"), "platform-admin") == 0
           ? cp_rbac_last(w->op, w->tx) : CP_OK;
}


cp_rc_t
cp_role_bind(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *person, const char *role)
{
    cp_rc_t     rc;
    cp_rows_t   held;
    cp_entry_t  e;
    cp_write_t  w;
    cp_json_t  *in;

    rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM role_bindings"
                     " WHERE \"user\" = $1 AND role = $2 AND tenant = $3"
                     " UNION ALL SELECT 1 FROM global_role_bindings"
                     " WHERE \"user\" = $1 AND role = $2 AND $3 = ''",
                     cp_args(cp_text(person), cp_text(role),
                             cp_text(tenant ? tenant : "")), &held,
                     &op->err);

    if (rc != CP_OK || held.rows) {
        return rc;
    }

    w = cp_write_of(op, tx, tenant ? &cp_res_role_binding
                                   : &cp_res_global_role_binding);
    in = cp_json_object(op->arena);
    cp_json_put(op->arena, in, "user", person);
    cp_json_put(op->arena, in, "role", role);
    w.in = in;
    w.id = tenant;

    return cp_entry_create(&w, &e);
}
