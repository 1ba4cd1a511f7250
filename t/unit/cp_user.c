/*
 * Tests of people: the one form of names and mails, a provider's people, what
 * a stored password may ask for, codes of authenticators.  On a SQLite file in
 * the current folder.
 */

#include <string.h>
#include <unistd.h>

#include "auth/cp_user.h"
#include "people/cp_password.h"
#include "people/cp_totp.h"
#include "tap.h"


static cp_app_t  app;
static cp_op_t   op;


static void
test_forms(void)
{
    size_t        i;
    const char   *got;
    cp_arena_t   *a = op.arena;
    static const struct {
        const char  *in;
        const char  *out;
    } mails[] = {
        { "Jay@X.org", "jay@x.org" },
        { "  jay@x.ORG\t", "jay@x.org" },
        { "jay+a@x.org", "jay+a@x.org" },
        { "jay", NULL },
        { "@x.org", NULL },
        { "jay@", NULL },
        { "jay@x@y", NULL },
        { "jay @x.org", NULL },
        { "jay@x.org\r\nBcc: a@b", NULL },
        { "\xef\xbd\x8a" "ay@x.org", NULL },           /* a wide j          */
        { "\xc4\xb0@x.org", NULL },                    /* I with a dot      */
        { "<jay@x.org>", NULL },
        { "", NULL }
    };

    for (i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
        got = cp_user_mail(a, mails[i].in);
        tap_ok((got == NULL) == (mails[i].out == NULL)
               && (got == NULL || strcmp(got, mails[i].out) == 0),
               "a mail has one form, or none");
    }

    got = cp_user_name(a, " Jay-1 ");
    tap_ok(got && strcmp(got, "jay-1") == 0, "a name, too");
    tap_ok(cp_user_name(a, "jay@x.org") == NULL, "a mail is no name");
    tap_ok(cp_user_name(a, "\xef\xbd\x8a" "ay") == NULL,
           "a name that only looks like one is none");
}


static const char *
person(cp_tx_t *tx, const char *issuer, const char *subject,
    const char *login, const char *mail, cp_rc_t *rc)
{
    const char      *id;
    cp_user_oidc_t   u;

    memset(&u, 0, sizeof(u));
    u.issuer = issuer;
    u.subject = subject;
    u.login = login;
    u.mail = mail;
    id = "";

    memset(&op.err, 0, sizeof(cp_err_t));
    op.err.arena = op.arena;
    *rc = cp_user_oidc(&op, tx, &u, &id);

    return id;
}


static void
test_oidc(void)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *one, *two;

    if (cp_tx_begin(app.db, true, &tx) != CP_OK) {
        tap_ok(false, "a transaction begins");
        return;
    }

    rc = cp_tx_query(tx, op.arena, "INSERT INTO users (id, name, state, mail,"
                     " mail_key, created_at, updated_at, ver) VALUES"
                     " ('l', 'admin', 'active', 'root@x.org', 'root@x.org',"
                     " 1, 1, 1)", NULL, 0, NULL, &op.err);
    tap_int(rc, CP_OK, "there is a local person");

    one = person(tx, "https://a", "1", "admin", "root@x.org", &rc);
    tap_int(rc, CP_OK, "one of a provider comes, with the same name and mail");
    tap_ok(strcmp(one, "l") != 0, "and is somebody else");

    two = person(tx, "https://a", "1", "other", "changed@x.org", &rc);
    tap_ok(rc == CP_OK && strcmp(one, two) == 0,
           "who changes name and mail there stays the same");

    two = person(tx, "https://a", "2", "other", "changed@x.org", &rc);
    tap_ok(rc == CP_OK && strcmp(one, two) != 0,
           "who is made again under the same name is somebody else");

    two = person(tx, "https://a/", "1", "admin", NULL, &rc);
    tap_ok(rc == CP_OK && strcmp(one, two) != 0,
           "the issuer is taken to the letter");

    (void) person(tx, "https://a", "", "admin", NULL, &rc);
    tap_int(rc, CP_DECLINED, "nobody has no subject");

    rc = cp_tx_query(tx, op.arena, "UPDATE users SET state = 'disabled'"
                     " WHERE id = $1", cp_args(cp_text(one)), NULL, &op.err);
    tap_int(rc, CP_OK, "disabled here");
    (void) person(tx, "https://a", "1", "admin", NULL, &rc);
    tap_int(rc, CP_DECLINED, "is refused, whatever the provider says");
    tap_ok(strcmp(op.err.code, "forbidden") == 0, "by a reason");

    rc = cp_tx_query(tx, op.arena, "SELECT mail FROM users WHERE id = 'l'"
                     " AND issuer IS NULL", NULL, 0, &rows, &op.err);
    tap_ok(rc == CP_OK && rows.rows == 1
           && strcmp(cp_cell(&rows, 0, 0)->p, "root@x.org") == 0,
           "the local one is as before");

    cp_tx_rollback(tx);
}


/* The vector of the reference implementation, and what nobody may store. */
static void
test_password(void)
{
    bool         right, old;
    const char  *encoded;
    static const char  known[] = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ"
        "$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    tap_ok(cp_password_verify(&op, known, "password", &right, &old) == CP_OK
           && right, "argon2id is that of the reference implementation");
    tap_ok(old, "what asks for other costs is hashed again");
    tap_ok(cp_password_verify(&op, known, "Password", &right, &old) == CP_OK
           && !right, "a wrong one is wrong");
    tap_ok(cp_password_verify(&op, NULL, "password", &right, &old) == CP_OK
           && !right, "where there is none, each is");

    tap_ok(cp_password_hash(&op, "correct horse", &encoded) == CP_OK
           && cp_password_verify(&op, encoded, "correct horse", &right, &old)
              == CP_OK && right && !old, "one of ours is right, and new");

    tap_ok(!cp_password_bounded("$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ"
                                "$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRP"),
           "a stored text that asks for 4 GiB gets none");
    tap_ok(!cp_password_bounded("$argon2i$v=19$m=65536,t=2,p=1$a$b"),
           "nor one of another kind");
    tap_ok(cp_password_bounded(encoded), "ours does");
}


/* RFC 6238, appendix B, SHA-1; RFC 4648, section 10. */
static void
test_totp(void)
{
    size_t    i;
    char      code[8];
    uint8_t   key[CP_TOTP_KEY] = "1234567890123456789";
    char     *text;
    static const struct {
        int64_t   s;
        uint32_t  code;
    } vectors[] = {
        { 59, 94287082 }, { 1111111109, 7081804 }, { 1111111111, 14050471 },
        { 1234567890, 89005924 }, { 2000000000, 69279037 },
        { 20000000000, 65353130 }
    };

    key[CP_TOTP_KEY - 1] = '0';

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        tap_int(cp_totp_code(key, sizeof(key),
                             (uint64_t) vectors[i].s / CP_TOTP_STEP_S, 8),
                vectors[i].code, "a code as the RFC has it");
    }

    (void) snprintf(code, sizeof(code), "%06u",
                    cp_totp_code(key, sizeof(key), 100, 6));
    tap_int(cp_totp_match(key, code, 100 * 30000), 100, "the code of now");
    tap_int(cp_totp_match(key, code, 101 * 30000), 100, "of 30 s ago");
    tap_int(cp_totp_match(key, code, 99 * 30000), 100, "of in 30 s");
    tap_int(cp_totp_match(key, code, 102 * 30000), 0, "of a minute ago");
    tap_int(cp_totp_match(key, "12345", 3000000), 0, "too short");
    tap_int(cp_totp_match(key, " 12345", 3000000), 0, "no digit");
    tap_int(cp_totp_match(key, "1234567", 3000000), 0, "too long");

    text = cp_totp_base32(op.arena, (const uint8_t *) "foobar", 6);
    tap_ok(text && strcmp(text, "MZXW6YTBOI") == 0, "base 32");
    text = cp_totp_base32(op.arena, (const uint8_t *) "f", 1);
    tap_ok(text && strcmp(text, "MY") == 0, "of one byte");
}


int
main(void)
{
    cp_err_t     err;
    cp_arena_t  *a;

    a = cp_arena_create(16 * 1024 * 1024);
    memset(&err, 0, sizeof(err));
    err.arena = a;

    app.conf.password_hashes = 1;
    app.conf.worker_threads = 2;
    (void) unlink("cp_user.db");
    app.db = cp_db_open("sqlite:cp_user.db", 2, &err);

    if (app.db == NULL) {
        tap_ok(false, "the database opens");
        return tap_done();
    }

    cp_op_system(&op, &app, a, "test");

    test_forms();
    test_oidc();
    test_password();
    test_totp();

    cp_db_close(app.db);
    cp_arena_destroy(a);

    return tap_done();
}
