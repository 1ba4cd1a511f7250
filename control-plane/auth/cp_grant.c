/*
 * What is stored of rights: the roles of tenants, and who holds which.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "base/cp_json.h"


typedef struct {
    char        tenant[STOA_ID_LEN + 1];       /* "": the platform          */
    char        role[STOA_NAME_MAX + 1];
    cp_perms_t  may;
} cp_held_t;

/* What a person holds. */
typedef struct {
    char        user[STOA_ID_LEN + 1];
    int64_t     until;                         /* monotonic ms              */
    unsigned    n;
    cp_held_t  *held;                          /* malloc                    */
} cp_person_t;

static struct {
    pthread_mutex_t  lock;
    uint64_t         generation;
    cp_person_t      row[CP_GRANT_CACHE];
} cp_grant_cache = { .lock = PTHREAD_MUTEX_INITIALIZER };


static cp_rc_t cp_role_parse(cp_op_t *op, const char *text, size_t len,
    cp_perms_t *may);
static bool cp_grant_cached(cp_op_t *op, const char *user, cp_rc_t *rc,
    uint64_t *generation);
static void cp_grant_keep(const char *user, const cp_held_t *held,
    unsigned n, uint64_t generation);


static cp_person_t *
cp_grant_slot(const char *user)
{
    return &cp_grant_cache.row[stoa_hash64(user, strlen(user), 0)
                               % CP_GRANT_CACHE];
}


cp_rc_t
cp_grant_add(cp_op_t *op, const char *tenant, const char *role,
    const cp_perms_t *may, bool stored)
{
    unsigned      n;
    cp_grant_t   *g, **last;

    for (last = &op->actor.grants, n = 0; *last; last = &(*last)->next) {
        n++;
    }

    if (n >= CP_GRANTS_MAX) {
        return cp_err_set(&op->err, "forbidden", "more than %d roles",
                          CP_GRANTS_MAX);
    }

    g = cp_arena_alloc(op->arena, sizeof(cp_grant_t));
    if (g == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    g->tenant = tenant ? cp_arena_strdup(op->arena, tenant) : NULL;
    g->role = cp_arena_strdup(op->arena, role);
    g->may = *may;
    g->stored = stored;

    if ((tenant && g->tenant == NULL) || g->role == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    *last = g;

    return CP_OK;
}


cp_rc_t
cp_rbac_grant(cp_op_t *op, const char *tenant, const char *role)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_perms_t   may;

    if (!cp_role_builtin(role, &may)) {
        if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_rbac_role(op, tx, tenant, role, &may);
        cp_tx_rollback(tx);

        if (rc != CP_OK) {
            return rc;
        }
    }

    return cp_grant_add(op, tenant, role, &may, false);
}


cp_rc_t
cp_rbac_user(cp_op_t *op, const char *user)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    cp_rows_t    rows;
    uint64_t     generation;
    cp_held_t   *held, *h;

    if (cp_grant_cached(op, user, &rc, &generation)) {
        return rc;
    }

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT b.tenant, b.role, r.permissions"
                     " FROM role_bindings b LEFT JOIN roles r"
                     " ON r.tenant = b.tenant AND r.name = b.role"
                     " WHERE b.\"user\" = $1 UNION ALL"
                     " SELECT '', g.role, NULL FROM global_role_bindings g"
                     " WHERE g.\"user\" = $1 ORDER BY 1, 2",
                     cp_args(cp_text(user)), &rows, &op->err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    held = cp_arena_alloc(op->arena, (rows.rows + 1) * sizeof(cp_held_t));
    if (held == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    for (i = 0; i < rows.rows && rc == CP_OK; i++) {
        h = &held[i];
        cp_val_copy(h->tenant, sizeof(h->tenant), cp_cell(&rows, i, 0));
        cp_val_copy(h->role, sizeof(h->role), cp_cell(&rows, i, 1));

        if (!cp_role_builtin(h->role, &h->may)
            && cp_cell(&rows, i, 2)->type == CP_VAL_TEXT)
        {
            rc = cp_role_parse(op, cp_cell(&rows, i, 2)->p,
                               cp_cell(&rows, i, 2)->len, &h->may);
        }

        if (rc == CP_OK) {
            rc = cp_grant_add(op, h->tenant[0] ? h->tenant : NULL, h->role,
                              &h->may, true);
        }
    }

    if (rc == CP_OK) {
        cp_grant_keep(user, held, rows.rows, generation);
    }

    return rc;
}


/* The names that a role has stored; one that is no more gives nothing. */
static cp_rc_t
cp_role_parse(cp_op_t *op, const char *text, size_t len, cp_perms_t *may)
{
    int         i;
    cp_rc_t     rc;
    cp_json_t  *list, *m;

    rc = cp_json_parse(op->arena, text, len, &list, &op->err);

    for (m = rc == CP_OK ? list->first : NULL; m; m = m->next) {
        i = m->type == CP_JSON_STRING ? cp_permission_find(m->s) : -1;

        if (i >= 0) {
            cp_perms_add(may, (unsigned) i);
        }
    }

    return rc;
}


cp_rc_t
cp_rbac_role(cp_op_t *op, cp_tx_t *tx, const char *tenant, const char *role,
    cp_perms_t *may)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (cp_role_builtin(role, may)) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT permissions FROM roles"
                     " WHERE tenant = $1 AND name = $2",
                     cp_args(cp_text(tenant ? tenant : ""), cp_text(role)),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    return rows.rows == 0
           ? cp_err_field(&op->err, -1, 0, "role", "there is no such role%s",
                          tenant ? " there" : " at the platform")
           : cp_role_parse(op, cp_cell(&rows, 0, 0)->p,
                           cp_cell(&rows, 0, 0)->len, may);
}


cp_rc_t
cp_rbac_give(cp_op_t *op, cp_tx_t *tx, const char *tenant, const char *role)
{
    cp_rc_t     rc;
    cp_perms_t  may;

    if (tenant && strcmp(role, "platform-admin") == 0) {
        return cp_err_field(&op->err, -1, 0, "role",
                            "platform-admin has no tenant");
    }

    if (tenant == NULL && strcmp(role, "tenant-admin") == 0) {
        return cp_err_field(&op->err, -1, 0, "tenant",
                            "is required for tenant-admin");
    }

    rc = cp_rbac_role(op, tx, tenant, role, &may);

    return rc == CP_OK ? cp_auth_covers(op, tenant, &may) : rc;
}


cp_rc_t
cp_rbac_over(cp_op_t *op, const char *user)
{
    cp_rc_t            rc;
    cp_op_t            other = *op;
    const cp_grant_t  *g;

    other.actor.grants = NULL;
    rc = cp_rbac_user(&other, user);
    op->err = other.err;

    for (g = rc == CP_OK ? other.actor.grants : NULL; g && rc == CP_OK;
         g = g->next)
    {
        rc = cp_auth_covers(op, g->tenant, &g->may);
    }

    return rc;
}


cp_rc_t
cp_rbac_within(cp_op_t *op, const char *maker, const char *tenant,
    cp_perms_t *may)
{
    cp_rc_t  rc;
    cp_op_t  by = *op;

    by.actor.how = CP_AUTH_USER;
    by.actor.grants = NULL;
    rc = cp_rbac_user(&by, maker);
    op->err = by.err;

    if (rc == CP_OK) {
        cp_perms_within(may, &by.actor, tenant);
    }

    return rc;
}


/* Without one nobody could make another, but on the server's own host. */
cp_rc_t
cp_rbac_last(cp_op_t *op, cp_tx_t *tx)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT t.id FROM admin_tokens t"
                     " WHERE role = 'platform-admin' AND state = 'active'"
                     " AND (expires_at IS NULL OR expires_at > $1)"
                     " AND (t.maker IS NULL OR EXISTS (SELECT 1 FROM users u"
                     " JOIN global_role_bindings g ON g.\"user\" = u.id"
                     " WHERE u.id = t.maker AND u.state = 'active'"
                     " AND g.role = 'platform-admin'))"
                     " UNION ALL SELECT u.id FROM users u"
                     " JOIN global_role_bindings g ON g.\"user\" = u.id"
                     " WHERE g.role = 'platform-admin'"
                     " AND u.state = 'active' AND u.issuer IS NULL"
                     " AND u.last_login_at IS NOT NULL LIMIT 1",
                     cp_args(cp_int(cp_time_ms())), &rows, &op->err);

    return rc == CP_OK && rows.rows == 0
           ? cp_err_set(&op->err, "conflict", "it is the last token of a"
                        " platform-admin, and no local person who is one has"
                        " logged in yet; make another one first")
           : rc;
}


static bool
cp_grant_cached(cp_op_t *op, const char *user, cp_rc_t *rc,
    uint64_t *generation)
{
    bool           found;
    unsigned       i;
    cp_held_t     *h;
    cp_person_t   *row;

    row = cp_grant_slot(user);
    *rc = CP_OK;

    pthread_mutex_lock(&cp_grant_cache.lock);

    *generation = cp_grant_cache.generation;
    found = row->until > cp_time_mono_ms() && strcmp(row->user, user) == 0;

    for (i = 0; found && i < row->n && *rc == CP_OK; i++) {
        h = &row->held[i];
        *rc = cp_grant_add(op, h->tenant[0] ? h->tenant : NULL, h->role,
                           &h->may, true);
    }

    pthread_mutex_unlock(&cp_grant_cache.lock);

    return found;
}


/* Not when rights were written since they were looked up. */
static void
cp_grant_keep(const char *user, const cp_held_t *held, unsigned n,
    uint64_t generation)
{
    cp_held_t    *copy;
    cp_person_t  *row;

    copy = malloc((n + 1) * sizeof(cp_held_t));

    if (copy == NULL || strlen(user) > STOA_ID_LEN) {
        free(copy);
        return;
    }

    memcpy(copy, held, n * sizeof(cp_held_t));
    row = cp_grant_slot(user);

    pthread_mutex_lock(&cp_grant_cache.lock);

    if (generation == cp_grant_cache.generation) {
        free(row->held);
        row->held = copy;
        row->n = n;
        row->until = cp_time_mono_ms() + CP_AUTH_CACHE_MS;
        strcpy(row->user, user);
        copy = NULL;
    }

    pthread_mutex_unlock(&cp_grant_cache.lock);

    free(copy);
}


void
cp_rbac_cache_drop(void)
{
    unsigned  i;

    pthread_mutex_lock(&cp_grant_cache.lock);

    cp_grant_cache.generation++;

    for (i = 0; i < CP_GRANT_CACHE; i++) {
        free(cp_grant_cache.row[i].held);
        memset(&cp_grant_cache.row[i], 0, sizeof(cp_person_t));
    }

    pthread_mutex_unlock(&cp_grant_cache.lock);
}
