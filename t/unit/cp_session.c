/*
 * Tests of logins: opened, checked, ended, and what a check costs.  On a
 * SQLite file in the current folder.
 */

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/cp_session.h"
#include "base/cp_seal.h"
#include "tap.h"


#define PERSON  "0123456789abcdef"
#define CHECKS  20000

static cp_app_t     app;
static cp_op_t      op;
static cp_arena_t  *arena;


/* An operation of a request, with an arena of its own. */
static void
request(void)
{
    if (op.arena && op.arena != arena) {
        cp_arena_destroy(op.arena);
    }

    cp_op_system(&op, &app, cp_arena_create(1024 * 1024), "test");
}


static cp_rc_t
sql(const char *text)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    if (cp_tx_begin(app.db, true, &tx) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op.arena, text, NULL, 0, NULL, &op.err);
    rc = cp_tx_finish(tx, rc, &op.err);
    cp_session_forget();

    return rc;
}


static const char *
opened(const char *grants)
{
    cp_rc_t            rc;
    cp_tx_t           *tx;
    cp_json_t         *list;
    cp_session_t      *s;
    const char        *cookie, *text;
    cp_session_new_t   new;

    memset(&new, 0, sizeof(new));
    new.person = PERSON;
    new.how = "oidc";
    new.secret = "a token";
    cookie = NULL;

    if (grants && cp_json_parse(arena, grants, strlen(grants), &list, NULL)
                  == CP_OK)
    {
        new.grants = list;
    }

    rc = cp_tx_begin(app.db, true, &tx);

    if (rc == CP_OK) {
        rc = cp_session_open(&op, tx, &new, &s, &cookie);
        rc = cp_tx_finish(tx, rc, &op.err);
    }

    if (rc != CP_OK || cookie == NULL || strncmp(cookie, "__Host-stoa=", 12)) {
        return "";
    }

    text = cp_arena_strndup(arena, cookie + 12, strcspn(cookie + 12, ";"));

    return text ? text : "";
}


static cp_rc_t
check(const char *text)
{
    const char  *cookie;

    request();

    return cp_session_check(&op, text, true, &cookie);
}


static bool
holds(const char *role)
{
    const cp_grant_t  *g;

    for (g = op.actor.grants; g; g = g->next) {
        if (strcmp(g->role, role) == 0) {
            return true;
        }
    }

    return false;
}


static void
test_claims(void)
{
    const char  *text, *cookie;

    text = opened("[{\"tenant\":null,\"role\":\"viewer\"},"
                  "{\"tenant\":null,\"role\":\"no-such-role\"}]");
    tap_int(check(text), CP_OK, "a login with claims");
    tap_ok(op.actor.how == CP_AUTH_USER && strcmp(op.actor.id, PERSON) == 0,
           "is the person's");
    tap_ok(holds("viewer"), "the claims' roles are his");
    tap_ok(!holds("no-such-role"), "one that there is not is nobody's");
    tap_int(check(text), CP_OK, "again, from the cache");
    tap_ok(holds("viewer"), "with the same roles");

    tap_int(sql("UPDATE sessions SET grants ="
                " '[{\"tenant\":null,\"role\":\"platform-admin\"}]'"), CP_OK,
            "the claims change");
    request();
    tap_ok(cp_session_check(&op, text, true, &cookie) == CP_OK && cookie,
           "who may more gets another cookie");
    tap_ok(cookie && strstr(cookie, text) == NULL, "of another id");
    tap_int(check(text), CP_OK, "the one before is good for requests that are"
            " under way");
    request();
    tap_ok(cp_session_check(&op, text, true, &cookie) == CP_OK
           && cookie == NULL, "and gets no other one");
    tap_int(sql("UPDATE sessions SET was_until = 0"), CP_OK, "later");
    tap_int(check(text), CP_DECLINED, "it is over");
}


static void
test_ends(void)
{
    unsigned     i;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *text;

    text = opened(NULL);
    tap_int(check(text), CP_OK, "a login");
    tap_int(sql("UPDATE sessions SET ends_at = 1"), CP_OK, "at its end");
    tap_int(check(text), CP_DECLINED, "is over");

    text = opened(NULL);
    tap_int(sql("UPDATE sessions SET last_at = last_at - 31000"), CP_OK,
            "not used for long");
    tap_int(check(text), CP_DECLINED, "is over");

    text = opened(NULL);
    tap_int(sql("UPDATE users SET state = 'disabled'"), CP_OK,
            "of a person who is disabled");
    tap_int(check(text), CP_DECLINED, "is over");
    tap_int(sql("UPDATE users SET state = 'active'"), CP_OK, "enabled");

    tap_int(check(""), CP_DECLINED, "nothing is none");
    tap_int(check("0123456789012345678901234567890123456789012"),
            CP_DECLINED, "nor is what was never given");

    for (i = 0; i < CP_SESSIONS_MAX + 5; i++) {
        text = opened(NULL);
    }

    tap_int(check(text), CP_OK, "the newest of many");

    if (cp_tx_begin(app.db, false, &tx) == CP_OK) {
        tap_ok(cp_tx_query(tx, op.arena, "SELECT COUNT(*) FROM sessions"
                           " WHERE secret NOT LIKE '%a token%'", NULL, 0,
                           &rows, &op.err) == CP_OK
               && cp_cell(&rows, 0, 0)->i == CP_SESSIONS_MAX,
               "a person has so many at most; what is kept is sealed");
        cp_tx_rollback(tx);
    }
}


/* A figure for people; nothing is judged by it. */
static void
cost(void)
{
    int              i, ok;
    double           ns;
    const char      *text, *cookie;
    struct timespec  a, b;

    text = opened("[{\"tenant\":null,\"role\":\"viewer\"}]");
    (void) check(text);
    (void) clock_gettime(CLOCK_MONOTONIC, &a);

    for (i = 0, ok = 0; i < CHECKS; i++) {
        request();
        ok += cp_session_check(&op, text, true, &cookie) == CP_OK;
    }

    (void) clock_gettime(CLOCK_MONOTONIC, &b);
    ns = (double) (b.tv_sec - a.tv_sec) * 1e9
         + (double) (b.tv_nsec - a.tv_nsec);

    tap_int(ok, CHECKS, "many checks");
    printf("# a check of a session, with its request's arena: %.1f us\n",
           ns / CHECKS / 1e3);
}


int
main(void)
{
    cp_err_t  err;

    arena = cp_arena_create(16 * 1024 * 1024);
    memset(&err, 0, sizeof(err));
    err.arena = arena;

    app.conf.session_idle_s = 30;
    app.conf.session_max_s = 60;
    (void) unlink("cp_session.db");
    (void) unlink("cp_session.key");
    app.db = cp_db_open("sqlite:cp_session.db", 2, &err);

    if (app.db == NULL
        || cp_seal_start("cp_session.key", true, &err) != CP_OK)
    {
        tap_ok(false, "the database opens");
        return tap_done();
    }

    request();
    tap_int(sql("INSERT INTO users (id, name, state, created_at, updated_at,"
                " ver) VALUES ('" PERSON "', 'p', 'active', 1, 1, 1)"), CP_OK,
            "a person");

    test_claims();
    test_ends();
    cost();

    cp_db_close(app.db);
    cp_arena_destroy(op.arena);
    cp_arena_destroy(arena);

    return tap_done();
}
