/*
 * Secrets that are shown once: API keys, gateway tokens, admin tokens.  Only
 * digests are kept.
 */

#include <string.h>

#include <openssl/crypto.h>

#include "auth/cp_auth.h"
#include "op/cp_app.h"
#include "resource/cp_tables.h"


static const char *cp_secret_make(cp_op_t *op, cp_json_t *row,
    const char *member, const char *env);
static const char *cp_digest_hex(cp_op_t *op, const char *text, bool keyed);
static cp_rc_t cp_expiry_check(cp_op_t *op, const cp_json_t *row);
static cp_rc_t cp_credential_grace(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after);
static cp_rc_t cp_admin_token_outlives(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after);
static cp_json_t *cp_credential_successor(cp_arena_t *a,
    const cp_json_t *before, int64_t now);
static cp_rc_t cp_credential_rotate(const cp_write_t *w,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);


/* Puts a new secret into the answer's member. */
static const char *
cp_secret_make(cp_op_t *op, cp_json_t *row, const char *member,
    const char *env)
{
    char         text[STOA_KEY_MAX + 1];
    cp_json_t   *val;

    cp_key_make(text, env, cp_json_str(row, "id"));
    val = cp_json_string(op->arena, text);
    OPENSSL_cleanse(text, sizeof(text));

    cp_json_set(op->arena, row, member, val);

    return val ? val->s : NULL;
}


static const char *
cp_digest_hex(cp_op_t *op, const char *text, bool keyed)
{
    uint8_t  sum[32];

    if (keyed) {
        cp_hmac_sha256(op->app->pepper, op->app->pepper_len, text,
                       strlen(text), sum);

    } else {
        cp_sha256(text, strlen(text), sum);
    }

    return cp_hex(op->arena, sum, sizeof(sum));
}


static cp_rc_t
cp_expiry_check(cp_op_t *op, const cp_json_t *row)
{
    cp_json_t  *at;

    at = cp_json_get(row, "expires_at");

    return at && at->i <= cp_time_ms()
           ? cp_err_field(&op->err, -1, at->line, "expires_at",
                          "is in the past")
           : CP_OK;
}


cp_rc_t
cp_credential_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    bool         keyed;
    cp_rc_t      rc;
    cp_arena_t  *a;
    const char  *key, *env;

    if (before) {
        return cp_credential_grace(w->op, before, after);
    }

    rc = cp_expiry_check(w->op, after);
    if (rc != CP_OK) {
        return rc;
    }

    a = w->op->arena;
    env = cp_json_str(after, "env");
    keyed = w->op->app->pepper != NULL;

    key = cp_secret_make(w->op, after, "key", env);
    if (key == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_json_set(a, after, "prefix",
                cp_json_string(a, cp_arena_printf(a, "stoa_%s_%s", env,
                                             cp_json_str(after, "id"))));
    cp_json_set(a, after, "last4",
                cp_json_string(a, key + strlen(key) - 4));
    cp_json_set(a, after, "key_digest",
                cp_json_string(a, cp_digest_hex(w->op, key, keyed)));
    cp_json_set(a, after, "key_alg",
                cp_json_string(a, keyed ? "hmac" : "sha256"));

    return CP_OK;
}


/* A predecessor ends with its grace: that may be made shorter, not longer. */
static cp_rc_t
cp_credential_grace(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after)
{
    return strcmp(cp_json_str(before, "state"), "rotating") == 0
           && cp_json_num(after, "expires_at", INT64_MAX)
              > cp_json_num(before, "expires_at", INT64_MAX)
           ? cp_err_set(&op->err, "conflict", "it has been rotated, and ends"
                        " with its grace")
           : CP_OK;
}


cp_rc_t
cp_credential_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    return strcmp(event, "rotate") == 0
           ? cp_credential_rotate(w, args, before, after) : CP_OK;
}


/*
 * The old key works until the grace is over, the new one at once.  While a
 * predecessor is still in its grace there is no further rotation: at most two
 * keys of a line work at a time.
 */
static cp_rc_t
cp_credential_rotate(const cp_write_t *w, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after)
{
    int64_t      now, grace, expires;
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_entry_t   e;
    cp_write_t   next = cp_write_of(w->op, w->tx, w->res);
    cp_arena_t  *a;

    a = w->op->arena;
    now = cp_time_ms();

    rc = cp_tx_query(w->tx, a, "SELECT id FROM credentials"
                     " WHERE application = $1 AND rotated_to = $2"
                     " AND state = 'rotating' AND expires_at > $3",
                     cp_args(cp_text(cp_json_str(before, "application")),
                             cp_text(cp_json_str(before, "id")),
                             cp_int(now)),
                     &rows, &w->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows) {
        return cp_err_set(&w->op->err, "conflict",
                          "its predecessor %s still works: revoke it first",
                          cp_cell(&rows, 0, 0)->p);
    }

    next.id = cp_json_str(before, "application");
    next.in = cp_credential_successor(a, before, now);

    rc = cp_entry_create(&next, &e);
    if (rc != CP_OK) {
        return rc;
    }

    expires = cp_json_num(before, "expires_at", 0);
    grace = now + 1000 * cp_json_num(args, "grace_s", CP_GRACE_S);

    cp_json_set(a, after, "expires_at",
                cp_json_int(a, expires && expires < grace ? expires : grace));
    cp_json_set(a, after, "rotated_to",
                cp_json_string(a, cp_json_str(e.row, "id")));
    cp_json_set(a, after, "successor", e.obj);

    return CP_OK;
}


/* The same environment, and the same life span again. */
static cp_json_t *
cp_credential_successor(cp_arena_t *a, const cp_json_t *before, int64_t now)
{
    int64_t     expires;
    cp_json_t  *in;

    in = cp_json_object(a);
    cp_json_set(a, in, "env", cp_json_copy(a, cp_json_get(before, "env")));
    cp_json_set(a, in, "title",
                cp_json_copy(a, cp_json_get(before, "title")));

    expires = cp_json_num(before, "expires_at", 0);

    if (expires) {
        expires += now - cp_json_num(before, "created_at", 0);
        cp_json_set(a, in, "expires_at",
                    cp_json_string(a, cp_time_format(a, expires)));
    }

    return in;
}


cp_rc_t
cp_gateway_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    uint8_t      sum[32];
    const char  *token;

    if (before) {
        return CP_OK;
    }

    token = cp_secret_make(w->op, after, "token", "gw");
    if (token == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_hmac_sha256(token, strlen(token), "stoa-assertion", 14, sum);

    cp_json_set(w->op->arena, after, "token_digest",
                cp_json_string(w->op->arena,
                               cp_digest_hex(w->op, token, false)));
    cp_json_set(w->op->arena, after, "assertion_key",
                cp_json_string(w->op->arena,
                               cp_hex(w->op->arena, sum, sizeof(sum))));

    return CP_OK;
}


/* Neither itself nor another, made or changed: else a token that was lent for
 * an hour would be one for ever. */
static cp_rc_t
cp_admin_token_outlives(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after)
{
    int64_t  old, now;

    now = cp_json_num(after, "expires_at", INT64_MAX);
    old = before ? cp_json_num(before, "expires_at", INT64_MAX) : 0;

    return op->actor.expires && now > op->actor.expires && now > old
           ? cp_err_set(&op->err, "forbidden",
                        "it would outlive the token that you use")
           : CP_OK;
}


/*
 * A token never reaches further than the one it was made with.
 */
cp_rc_t
cp_admin_token_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t      rc;
    cp_role_e    role;
    const char  *token, *tenant;

    rc = cp_admin_token_outlives(w->op, before, after);
    if (rc != CP_OK || before) {
        return rc;
    }

    rc = cp_expiry_check(w->op, after);
    if (rc != CP_OK) {
        return rc;
    }

    role = cp_role_find(cp_json_str(after, "role"));
    tenant = cp_json_str(after, "tenant");

    if (role == CP_ROLE_PLATFORM_ADMIN && tenant) {
        return cp_err_field(&w->op->err, -1, after->line, "tenant",
                            "is not for platform-admin");
    }

    if (role > w->op->actor.role) {
        return cp_err_set(&w->op->err, "forbidden",
                          "the role is above your own");
    }

    if (tenant == NULL && w->op->actor.tenant) {
        tenant = w->op->actor.tenant;
        cp_json_set(w->op->arena, after, "tenant",
                    cp_json_string(w->op->arena, tenant));
    }

    if (tenant && !cp_auth_sees(&w->op->actor, tenant)) {
        return cp_err_field(&w->op->err, -1, after->line, "tenant",
                            "there is no such tenant");
    }

    if (role == CP_ROLE_TENANT_ADMIN && tenant == NULL) {
        return cp_err_field(&w->op->err, -1, after->line, "tenant",
                            "is required for tenant-admin");
    }

    token = cp_secret_make(w->op, after, "token", "adm");
    if (token == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_json_set(w->op->arena, after, "token_digest",
                cp_json_string(w->op->arena,
                               cp_digest_hex(w->op, token, false)));

    return CP_OK;
}
