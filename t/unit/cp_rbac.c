/*
 * Tests of rights: what roles give where, what a person holds, how soon a
 * change counts.
 */

#include <stdlib.h>
#include <unistd.h>

#include "auth/cp_auth.h"
#include "tap.h"


#define ONE    "0000000000000001"
#define TWO    "0000000000000002"
#define THREE  "0000000000000003"
#define ANN    "000000000000000a"
#define BOB    "000000000000000b"

static cp_app_t     app;
static cp_arena_t  *arena;
static cp_op_t      op;


static void
run(const char *sql)
{
    cp_tx_t   *tx;
    cp_err_t   err = { .arena = arena };

    if (cp_tx_begin(app.db, true, &tx) != CP_OK
        || cp_tx_query(tx, arena, sql, NULL, 0, NULL, &err) != CP_OK
        || cp_tx_commit(tx) != CP_OK)
    {
        tap_ok(false, "%s: %s", sql, err.detail ? err.detail : "?");
        exit(1);
    }
}


/* The operation of a person. */
static void
be(const char *user)
{
    memset(&op, 0, sizeof(op));
    op.app = &app;
    op.arena = arena;
    op.err.arena = arena;
    op.actor.how = CP_AUTH_USER;

    tap_int(cp_rbac_user(&op, user), CP_OK, "what a person holds");
}


static void
may(const char *permission, const char *tenant, bool want)
{
    tap_ok(cp_auth_holds(&op.actor, permission, tenant) == want,
           "%s in %s: %s", permission, tenant ? tenant : "the platform",
           want ? "yes" : "no");
}


static void
test_builtin(void)
{
    int               i;
    unsigned          role;
    cp_perms_t        set, all;
    const cp_role_t  *r;

    tap_ok(cp_role_builtin("platform-admin", &all), "platform-admin");

    for (i = 0; cp_permission_at((unsigned) i); i++) {
        tap_ok(cp_perms_has(&all, (unsigned) i), "it has %s",
               cp_permission_at((unsigned) i)->name);
        tap_int(cp_permission_find(cp_permission_at((unsigned) i)->name), i,
                "found by its name");
    }

    for (role = 0; (r = cp_role_at(role)) != NULL; role++) {
        tap_ok(cp_role_builtin(r->name, &set)
               && cp_perms_has(&set, (unsigned)
                               cp_permission_find("self:read")),
               "%s may ask who it is", r->name);
    }

    tap_ok(!cp_role_builtin("king", &set), "no such role");
}


static void
test_person(void)
{
    be(BOB);
    tap_ok(op.actor.grants == NULL, "nobody gave him anything");
    may("self:read", ONE, false);
    tap_ok(!cp_auth_sees(&op.actor, ONE), "he sees no tenant");
    tap_str(cp_auth_where(&op, "tenant", "api:read"), 5, "1 = 0", "no rows");

    be(ANN);
    may("api:write", ONE, true);
    may("plan:write", ONE, false);
    may("audit:read", TWO, true);
    may("api:read", TWO, false);
    may("api:write", TWO, false);
    may("api:read", THREE, false);
    may("gateway:read", ONE, false);
    may("gateway:read", NULL, false);
    may("gateway:write", NULL, false);
    may("no:such", ONE, false);
    tap_ok(cp_auth_sees(&op.actor, TWO), "she sees two");
    tap_ok(!cp_auth_sees(&op.actor, THREE), "not three");
    tap_ok(!cp_auth_sees(&op.actor, NULL), "nor the platform");
    tap_ok(cp_auth_home(&op.actor) == NULL, "she is in several");
    tap_int(cp_auth_may(&op, "api:write", TWO), CP_DECLINED, "refused there");
    tap_int(op.err.status, 403, "as forbidden");
    tap_int(cp_auth_may_somewhere(&op, "api:write"), CP_OK, "but somewhere");
    tap_int(cp_auth_may_somewhere(&op, "gateway:read"), CP_DECLINED,
            "a tenant's role has nothing of the platform");
    tap_ok(strstr(cp_auth_where(&op, "tenant", "api:read"), ONE) != NULL,
           "the rows of one");
    tap_ok(strstr(cp_auth_where(&op, "tenant", "api:read"), TWO) == NULL,
           "not of two");
}


static void
test_giving(void)
{
    cp_perms_t  set;

    be(ANN);
    (void) cp_role_builtin("viewer", &set);
    tap_int(cp_auth_covers(&op, ONE, &set), CP_OK, "she gives what she has");
    tap_int(cp_auth_covers(&op, TWO, &set), CP_DECLINED, "not elsewhere");
    tap_int(cp_auth_covers(&op, NULL, &set), CP_DECLINED, "nor at the top");
    (void) cp_role_builtin("tenant-admin", &set);
    tap_int(cp_auth_covers(&op, ONE, &set), CP_DECLINED, "nor more");
    tap_ok(op.err.detail && strstr(op.err.detail, "admin_token:write"),
           "the lacking permission is named: %s", op.err.detail);
}


static void
test_claims(void)
{
    unsigned  i;

    be(BOB);
    tap_int(cp_rbac_grant(&op, TWO, "checker"), CP_OK, "a tenant's role");
    may("audit:read", TWO, true);
    may("audit:read", ONE, false);
    tap_int(cp_rbac_grant(&op, ONE, "checker"), CP_DECLINED,
            "which is not another's");
    tap_int(cp_rbac_grant(&op, NULL, "viewer"), CP_OK, "one of the platform");
    may("gateway:read", NULL, true);
    may("api:read", THREE, true);
    may("api:write", THREE, false);
    tap_ok(!op.actor.grants->stored, "it is a claim's");

    for (i = 2; i < CP_GRANTS_MAX; i++) {
        if (cp_rbac_grant(&op, ONE, "viewer") != CP_OK) {
            break;
        }
    }

    tap_int(i, CP_GRANTS_MAX, "many");
    tap_int(cp_rbac_grant(&op, ONE, "viewer"), CP_DECLINED, "not too many");
}


/* What is known of a person is kept, and dropped by a write. */
static void
test_change(void)
{
    be(ANN);
    run("DELETE FROM role_bindings WHERE role = 'checker'");
    be(ANN);
    may("audit:read", TWO, true);
    cp_auth_cache_drop();
    be(ANN);
    may("audit:read", TWO, false);
    may("api:write", ONE, true);
}


int
main(void)
{
    cp_err_t  err;

    cp_log_setup(CP_LOG_ERROR, false);
    arena = cp_arena_create(16 * 1024 * 1024);
    memset(&err, 0, sizeof(err));
    err.arena = arena;

    (void) unlink("unit-cp-rbac.sqlite");
    app.db = cp_db_open("sqlite:unit-cp-rbac.sqlite", 1, &err);

    if (!tap_ok(app.db != NULL, "a database")) {
        return tap_done();
    }

    run("INSERT INTO tenants (id, name, state, created_at, updated_at, ver)"
        " VALUES ('" ONE "', 'one', 'active', 1, 1, 1),"
        " ('" TWO "', 'two', 'active', 1, 1, 1),"
        " ('" THREE "', 'three', 'active', 1, 1, 1)");
    run("INSERT INTO roles (id, tenant, name, permissions, created_at,"
        " updated_at, ver) VALUES ('r', '" TWO "', 'checker',"
        " '[\"audit:read\",\"gateway:read\",\"gone:read\"]', 1, 1, 1)");
    run("INSERT INTO role_bindings (id, tenant, \"user\", role, created_at,"
        " updated_at, ver) VALUES ('1', '" ONE "', '" ANN "', 'devops', 1, 1,"
        " 1), ('2', '" TWO "', '" ANN "', 'checker', 1, 1, 1)");

    test_builtin();
    test_person();
    test_giving();
    test_claims();
    test_change();

    cp_db_close(app.db);
    cp_arena_destroy(arena);
    (void) unlink("unit-cp-rbac.sqlite");

    return tap_done();
}
