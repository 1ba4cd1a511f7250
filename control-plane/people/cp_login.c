/*
 * The password door.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "auth/cp_session.h"
#include "auth/cp_user.h"
#include "base/cp_metrics.h"
#include "base/cp_seal.h"
#include "people/cp_factor.h"
#include "people/cp_login.h"
#include "people/cp_password.h"
#include "people/cp_totp.h"


#define CP_LOGIN_SPEND    10           /* that are free for an address      */
#define CP_LOGIN_SPEND_S  900


/* Which failures are counted together: so many are free, then each further
 * one costs twice the time of the one before, at most so long. */

typedef enum { BY_BOTH, BY_ADDRESS, BY_NAME, BY_N } cp_login_by_e;

static const struct {
    const char  *prefix;
    int64_t      free;
    int64_t      most_s;
} cp_login_rules[BY_N] = {
    [BY_BOTH] = { "both", 5, 900 },
    [BY_ADDRESS] = { "address", 50, 60 },
    [BY_NAME] = { "name", 100, 30 }
};

/* What is known of who knocks. */
typedef struct {
    const char  *what[BY_N];           /* keys of login_tries; NULL: is not
                                          counted                           */
    const char  *digest;               /* of the name as it was typed       */
    const char  *id;                   /* NULL: nobody                      */
    const char  *name;
    const char  *tenant;
    const char  *password;             /* NULL: none can be right           */
    bool         active;
    bool         must_change;
    const char  *totp;                 /* NULL: no second factor            */
    int64_t      last;                 /* step of the code that was last    */
    int64_t      step;                 /* of this one; 0: a recovery code   */
} cp_knock_t;


static void cp_login_keys(cp_op_t *op, const cp_login_t *l, cp_knock_t *k);
static cp_rc_t cp_login_look(cp_op_t *op, cp_login_t *l, cp_knock_t *k);
static cp_rc_t cp_login_wait(cp_op_t *op, cp_tx_t *tx, cp_login_t *l,
    const cp_knock_t *k);
static cp_rc_t cp_login_person(cp_op_t *op, cp_tx_t *tx, const cp_login_t *l,
    cp_knock_t *k);
static cp_rc_t cp_login_factor(cp_op_t *op, const cp_login_t *l,
    cp_knock_t *k);
static cp_rc_t cp_login_failed(cp_op_t *op, const cp_login_t *l,
    const cp_knock_t *k, const char *detail);
static cp_rc_t cp_login_count(cp_op_t *op, cp_tx_t *tx, const char *what,
    int64_t free, int64_t most_s);
static cp_rc_t cp_login_enter(cp_op_t *op, cp_login_t *l,
    const cp_knock_t *k, const char *password);
static cp_rc_t cp_login_open(cp_op_t *op, cp_tx_t *tx, cp_login_t *l,
    const cp_knock_t *k);
static void cp_login_result(const char *labels);


cp_rc_t
cp_login(cp_op_t *op, cp_login_t *l)
{
    bool         right, old;
    cp_rc_t      rc;
    cp_knock_t   k;
    const char  *password;

    memset(&k, 0, sizeof(k));
    cp_login_keys(op, l, &k);

    rc = cp_login_look(op, l, &k);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_password_verify(op, k.password, l->password, &right, &old);
    if (rc != CP_OK) {
        return rc;
    }

    if (!right || !k.active) {
        return cp_login_failed(op, l, &k, k.id == NULL ? "nobody"
                               : k.active ? "password" : "not_active");
    }

    rc = cp_login_factor(op, l, &k);
    if (rc != CP_OK) {
        return rc;
    }

    if (k.must_change && l->new_password == NULL) {
        return cp_err_set(&op->err, "password_change_needed", "this password"
                          " is for one login: choose another one");
    }

    password = NULL;

    if (l->new_password) {
        rc = cp_password_judge(op, l->new_password, "new_password", k.name);

        if (rc == CP_OK && strcmp(l->new_password, l->password) == 0) {
            rc = cp_err_field(&op->err, -1, 0, "new_password",
                              "is the one that is to be changed");
        }

    }

    if (rc == CP_OK && (l->new_password || old)) {
        rc = cp_password_hash(op, l->new_password ? l->new_password
                                                  : l->password, &password);
    }

    return rc == CP_OK ? cp_login_enter(op, l, &k, password) : rc;
}


/* Only who knows the password learns that there is a second factor. */
static cp_rc_t
cp_login_factor(cp_op_t *op, const cp_login_t *l, cp_knock_t *k)
{
    cp_rc_t  rc;

    if (k->totp == NULL) {
        return CP_OK;
    }

    if (l->code == NULL) {
        return cp_err_set(&op->err, "second_factor_needed", "a code of the"
                          " authenticator is needed");
    }

    if (strlen(l->code) != CP_TOTP_DIGITS) {
        return CP_OK;                  /* taken in the transaction          */
    }

    rc = cp_factor_step(op, k->id, k->totp, l->code, k->last, &k->step);

    return rc == CP_OK && k->step == 0 ? cp_login_failed(op, l, k, "code")
                                       : rc;
}


/* A client has a /64 of IPv6 to itself. */
static const char *
cp_login_address(cp_arena_t *a, const char *address)
{
    uint8_t  raw[16];

    if (address == NULL) {
        return "-";
    }

    return inet_pton(AF_INET6, address, raw) == 1
           && memcmp(raw, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) != 0
           ? cp_hex(a, raw, 8) : address;
}


const char *
cp_login_known_name(const cp_app_t *app)
{
    return app->conf.insecure_cookies ? "stoa-dev-known" : "__Host-stoa-known";
}


/* What a browser is counted by that this name was logged in with; NULL: none,
 * or another name's, or too long ago. */
static const char *
cp_login_device(cp_op_t *op, const cp_login_t *l, const char *digest)
{
    char  *text, *id;

    text = l->known && strlen(l->known) < 256
           ? cp_unseal(op->arena, cp_arena_printf(op->arena, "known:%s",
                                                  digest), l->known)
           : NULL;

    id = text ? strchr(text, ' ') : NULL;

    return id && strtoll(text, NULL, 10) > cp_time_ms() ? id + 1 : NULL;
}


static const char *
cp_login_know(cp_op_t *op, const char *digest)
{
    char   id[STOA_ID_LEN + 1];
    char  *text;

    cp_id_make(id);
    text = cp_arena_printf(op->arena, "%lld %s", (long long) (cp_time_ms()
                           + CP_LOGIN_KNOWN_S * (int64_t) 1000), id);
    text = cp_seal(op->arena, cp_arena_printf(op->arena, "known:%s", digest),
                   text);

    return text == NULL ? NULL
           : cp_arena_printf(op->arena, "%s=%s; Path=/; HttpOnly;%s "
                             "SameSite=Strict; Max-Age=%d",
                             cp_login_known_name(op->app), text,
                             op->app->conf.insecure_cookies ? "" : " Secure;",
                             CP_LOGIN_KNOWN_S);
}


/* Names are digests there: people type passwords into the wrong field. */
static void
cp_login_keys(cp_op_t *op, const cp_login_t *l, cp_knock_t *k)
{
    uint8_t      sum[32];
    unsigned     i;
    const char  *name, *address, *device;

    name = cp_user_mail(op->arena, l->name);
    name = name ? name : cp_user_name(op->arena, l->name);
    name = name ? name : l->name;
    address = cp_login_address(op->arena, l->address);

    cp_sha256(name, strlen(name), sum);
    k->digest = cp_hex(op->arena, sum, 16);
    device = cp_login_device(op, l, k->digest);

    if (device) {
        k->what[BY_BOTH] = cp_arena_printf(op->arena, "device:%s", device);
        return;
    }

    for (i = 0; i < BY_N; i++) {
        k->what[i] = cp_arena_printf(op->arena, "%s:%s:%s",
                                     cp_login_rules[i].prefix,
                                     i == BY_ADDRESS ? "" : k->digest,
                                     i == BY_NAME ? "" : address);
    }
}


static cp_rc_t
cp_login_look(cp_op_t *op, cp_login_t *l, cp_knock_t *k)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_login_wait(op, tx, l, k);

    if (rc == CP_OK) {
        rc = cp_login_person(op, tx, l, k);
    }

    cp_tx_rollback(tx);

    return rc;
}


/* A time farther away than any that is given is of a clock that has jumped. */
static cp_rc_t
cp_login_wait(cp_op_t *op, cp_tx_t *tx, cp_login_t *l, const cp_knock_t *k)
{
    int64_t    left, most;
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    for (i = 0, most = 0; i < BY_N && k->what[i]; i++) {
        rc = cp_tx_query(tx, op->arena, "SELECT until FROM login_tries"
                         " WHERE what = $1", cp_args(cp_text(k->what[i])),
                         &rows, &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        left = rows.rows ? cp_cell(&rows, 0, 0)->i - cp_time_ms() : 0;

        if (left > most && left <= cp_login_rules[i].most_s * 1000) {
            most = left;
        }
    }

    if (most == 0) {
        return CP_OK;
    }

    l->retry_s = (most + 999) / 1000;
    cp_login_result("result=\"put_off\"");

    return cp_err_set(&op->err, "too_many_requests", "too many attempts"
                      " failed; try again later");
}


static cp_rc_t
cp_login_person(cp_op_t *op, cp_tx_t *tx, const cp_login_t *l,
    cp_knock_t *k)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *name, *mail;

    name = cp_user_name(op->arena, l->name);
    mail = cp_user_mail(op->arena, l->name);

    rc = cp_tx_query(tx, op->arena, "SELECT id, name, tenant, state,"
                     " password, must_change, totp, totp_step"
                     " FROM users WHERE issuer IS NULL"
                     " AND (name = $1 OR mail_key = $2)",
                     cp_args(cp_text(name ? name : ""),
                             cp_text(mail ? mail : "")), &rows, &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    k->id = cp_cell(&rows, 0, 0)->p;
    k->name = cp_cell(&rows, 0, 1)->p;
    k->tenant = cp_cell(&rows, 0, 2)->type == CP_VAL_TEXT
                ? cp_cell(&rows, 0, 2)->p : NULL;
    k->active = strcmp(cp_cell(&rows, 0, 3)->p, "active") == 0;
    k->password = cp_cell(&rows, 0, 4)->type == CP_VAL_TEXT
                  ? cp_cell(&rows, 0, 4)->p : NULL;
    k->must_change = cp_cell(&rows, 0, 5)->i != 0;
    k->totp = cp_cell(&rows, 0, 6)->type == CP_VAL_TEXT
              ? cp_cell(&rows, 0, 6)->p : NULL;
    k->last = cp_cell(&rows, 0, 7)->i;

    return CP_OK;
}


static cp_rc_t
cp_login_news(cp_op_t *op, cp_tx_t *tx, const cp_login_t *l,
    const cp_knock_t *k, const char *action, const char *detail)
{
    cp_news_t  n;

    n.person = k->id;
    n.tenant = k->tenant;
    n.name = k->name;
    n.action = action;
    n.detail = detail;
    n.address = l->address;

    return cp_news_add(op, tx, &n);
}


static cp_rc_t
cp_login_failed(cp_op_t *op, const cp_login_t *l, const cp_knock_t *k,
    const char *detail)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;
    unsigned  i;

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    for (i = 0, rc = CP_OK; i < BY_N && k->what[i] && rc == CP_OK; i++) {
        rc = cp_login_count(op, tx, k->what[i], cp_login_rules[i].free,
                            cp_login_rules[i].most_s);
    }

    if (rc == CP_OK) {
        rc = cp_login_news(op, tx, l, k, "login_failed", detail);
    }

    rc = cp_tx_finish(tx, rc, &op->err);
    cp_login_result("result=\"wrong\"");

    return rc == CP_OK
           ? cp_err_set(&op->err, "unauthorized", strcmp(detail, "code") == 0
                        ? "the code is wrong, or was used"
                        : "the name or the password is wrong") : rc;
}


static cp_rc_t
cp_login_count(cp_op_t *op, cp_tx_t *tx, const char *what, int64_t free,
    int64_t most_s)
{
    int64_t    now, over, wait_s;
    cp_rc_t    rc;
    cp_rows_t  rows;

    now = cp_time_ms();

    rc = cp_tx_query(tx, op->arena, "INSERT INTO login_tries (what, failures,"
                     " until, last_at) VALUES ($1, 1, 0, $2)"
                     " ON CONFLICT (what) DO UPDATE SET last_at = $2,"
                     " failures = CASE WHEN login_tries.last_at < $3 THEN 1"
                     " ELSE login_tries.failures + 1 END RETURNING failures",
                     cp_args(cp_text(what), cp_int(now),
                             cp_int(now - CP_LOGIN_KEEP_MS)), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    over = cp_cell(&rows, 0, 0)->i - free;

    if (over < 0) {
        return CP_OK;
    }

    wait_s = over > 10 ? most_s : (int64_t) 1 << over;
    wait_s = wait_s > most_s ? most_s : wait_s;

    return cp_tx_query(tx, op->arena, "UPDATE login_tries SET until = $2"
                       " WHERE what = $1",
                       cp_args(cp_text(what), cp_int(now + wait_s * 1000)),
                       NULL, &op->err);
}


/* password: what is stored from now on; NULL: what is. */
static cp_rc_t
cp_login_enter(cp_op_t *op, cp_login_t *l, const cp_knock_t *k,
    const char *password)
{
    bool       recovered;
    cp_rc_t    rc;
    cp_tx_t   *tx;
    unsigned   n;
    cp_rows_t  rows;

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    /* nothing of it may have changed since it was looked at */

    rc = cp_tx_query(tx, op->arena, "UPDATE users SET last_login_at = $3,"
                     " password = COALESCE($4, password),"
                     " must_change = CASE WHEN $5 = 1 THEN 0"
                     " ELSE must_change END, totp_step = CASE WHEN $6 > 0"
                     " THEN $6 ELSE totp_step END"
                     " WHERE id = $1 AND password = $2 AND state = 'active'"
                     " AND ($6 = 0 OR totp_step < $6)"
                     " AND COALESCE(totp, '') = $7 RETURNING id",
                     cp_args(cp_text(k->id), cp_text(k->password),
                             cp_int(cp_time_ms()), cp_text(password),
                             cp_int(l->new_password != NULL),
                             cp_int(k->step),
                             cp_text(k->totp ? k->totp : "")),
                     &rows, &op->err);

    if (rc == CP_OK && rows.rows == 0) {
        rc = CP_CONFLICT;
    }

    recovered = true;

    if (rc == CP_OK && k->totp && k->step == 0) {
        rc = cp_factor_recover(op, tx, k->id, l->code, &recovered);
    }

    if (!recovered) {
        cp_tx_rollback(tx);
        return rc == CP_OK ? cp_login_failed(op, l, k, "code") : rc;
    }

    if (rc == CP_OK && (l->new_password || l->others)) {
        rc = cp_session_end(op, tx, k->id, NULL, NULL, &n);
    }

    if (rc == CP_OK) {
        rc = cp_login_open(op, tx, l, k);
    }

    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc == CP_OK) {
        cp_session_forget();
        cp_login_result("result=\"ok\"");
    }

    return rc;
}


static cp_rc_t
cp_login_open(cp_op_t *op, cp_tx_t *tx, cp_login_t *l, const cp_knock_t *k)
{
    cp_rc_t           rc;
    cp_session_new_t  s;

    /* the address has others behind it: its count stays */

    rc = cp_tx_query(tx, op->arena, "DELETE FROM login_tries WHERE what = $1"
                     " OR what = $2",
                     cp_args(cp_text(k->what[BY_BOTH]),
                             cp_text(k->what[BY_NAME])), NULL, &op->err);

    if (rc == CP_OK && l->new_password) {
        rc = cp_login_news(op, tx, l, k, "change_password", "login");
    }

    if (rc == CP_OK) {
        rc = cp_login_news(op, tx, l, k, "login",
                           k->totp == NULL ? "password"
                           : k->step ? "second_factor" : "recovery_code");
    }

    l->person = k->id;
    l->know = cp_login_know(op, k->digest);

    if (rc == CP_OK && l->more) {
        rc = l->more(op, tx, l);
    }

    if (rc != CP_OK) {
        return rc;
    }

    memset(&s, 0, sizeof(s));
    s.person = k->id;
    s.how = k->totp ? "second_factor" : "password";
    s.address = l->address;
    s.agent = l->agent;

    return cp_session_open(op, tx, &s, &l->session, &l->cookie);
}


static void
cp_login_result(const char *labels)
{
    cp_metric_add(cp_metric(CP_METRIC_COUNTER, "stoa_control_logins_total",
                            labels, "Logins by password, by result."), 1);
}


cp_rc_t
cp_login_spend(cp_op_t *op, const char *kind, const char *address,
    int64_t *retry_s)
{
    int64_t      left;
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *what;

    what = cp_arena_printf(op->arena, "%s:%s", kind,
                           cp_login_address(op->arena, address));

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT until FROM login_tries"
                     " WHERE what = $1", cp_args(cp_text(what)), &rows,
                     &op->err);
    left = rc == CP_OK && rows.rows
           ? cp_cell(&rows, 0, 0)->i - cp_time_ms() : 0;
    left = left > CP_LOGIN_SPEND_S * 1000 ? 0 : left;

    if (rc == CP_OK && left <= 0) {
        rc = cp_login_count(op, tx, what, CP_LOGIN_SPEND, CP_LOGIN_SPEND_S);
    }

    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc != CP_OK || left <= 0) {
        return rc;
    }

    *retry_s = (left + 999) / 1000;

    return cp_err_set(&op->err, "too_many_requests", "too many from this"
                      " address; try again later");
}


cp_rc_t
cp_login_job(cp_app_t *app)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_arena_t  *a;

    a = cp_arena_create(1024 * 1024);

    if (a == NULL || cp_tx_begin(app->db, true, &tx) != CP_OK) {
        cp_arena_destroy(a);
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, "DELETE FROM login_tries WHERE last_at < $1"
                     " OR last_at > $2",
                     cp_args(cp_int(cp_time_ms() - CP_LOGIN_KEEP_MS),
                             cp_int(cp_time_ms() + CP_LOGIN_KEEP_MS)), NULL,
                     NULL);
    rc = cp_tx_finish(tx, rc, NULL);
    cp_arena_destroy(a);

    return rc;
}
