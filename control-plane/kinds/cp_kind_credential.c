/*
 * API keys of applications.  A key is shown once, its digest is kept.
 */

#include <string.h>

#include "kinds/cp_kind.h"
#include "kinds/cp_notice.h"
#include "kinds/cp_token.h"


#define CP_GRACE_MAX_S  2592000
#define CP_GRACE_S      86400


static cp_rc_t cp_credential_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_credential_grace(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after);
static cp_rc_t cp_credential_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_credential_rotate(const cp_write_t *w, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after);
static cp_json_t *cp_credential_successor(cp_arena_t *a,
    const cp_json_t *before, const cp_json_t *args);
static cp_rc_t cp_credential_import(const cp_write_t *w, cp_json_t *after);
static char *cp_credential_prefix(const cp_write_t *w, const char *prefix,
    cp_json_t *after);


#define OWN_env                                                               \
    F("env", CP_F_ENV, IM|FI, 0, 0, "\"live\"", "second part of the key")
#define OWN_key                                                               \
    F("prefix", CP_F_STRING, RO|ND|FI, 0, 0, NULL, "how the key begins"),     \
    F("last4", CP_F_STRING, RO|ND|FI, 0, 0, NULL, "how the key ends"),        \
    F("last_used_at", CP_F_TIME, RO|ND|CP_MOVES, 0, 0, NULL,                  \
      "by the usage that gateways report, to the hour"),                      \
    F("imported", CP_F_BOOL, RO|ND, 0, 0, NULL,                               \
      "it was made elsewhere: only its digest was ever here"),                \
    F("rotated_to", CP_F_STRING, RO|ND, 0, 0, NULL, "its successor"),         \
    F("key", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,                          \
      "the key, only in the answer that made it")

static const cp_body_t  cp_credential_body[] = {
    BODY_ROWS(STOA_CREDENTIAL_FIELDS, "") { NULL }
};

static const cp_record_t  credential_record = {
    "cred", cp_credential_body, STOA_SCOPE_MAX, NULL
};

static const cp_field_t  credential_fields[] = {
    ROWS(STOA_CREDENTIAL_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_field_t  rotate_args[] = {
    INT("grace_s", 0, 0, CP_GRACE_MAX_S, "86400",
      "how long the old key still works"),
    F("expires_at", CP_F_TIME, 0, 0, 0, NULL,
      "of the successor; default: the end of the old one"),
    F_END
};

static const cp_transition_t  credential_transitions[] = {
    { "rotate", { "active" }, "rotating", "credential:write", rotate_args },
    { "revoke", { "active", "rotating" }, "revoked", "credential:write",
      NULL },
    { "expire", { "active", "rotating" }, "expired", NULL, NULL },
    T_END
};

const cp_resource_t  cp_res_credential = {
    .kind = "credential", .plural = "credentials", .table = "credentials",
    .parent = "application", .by_id = true, .called = "prefix",
    .fields = credential_fields,
    .transitions = credential_transitions, .initial = "active",
    .expires = "'active', 'rotating'",
    .check = cp_credential_check, .event = cp_credential_event,
    .feed = cp_feed_record, .record = &credential_record
};


static cp_rc_t
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

    rc = cp_token_expiry(w->op, after);
    if (rc != CP_OK) {
        return rc;
    }

    if (w->given) {
        return cp_credential_import(w, after);
    }

    a = w->op->arena;
    env = cp_json_str(after, "env");
    keyed = w->op->app->pepper != NULL;

    key = cp_token_make(w->op, after, "key", env);
    if (key == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_json_set(a, after, "prefix",
                cp_json_string(a, cp_arena_printf(a, "stoa_%s_%s", env,
                                             cp_json_str(after, "id"))));
    cp_json_put(a, after, "last4", key + strlen(key) - 4);
    cp_json_put(a, after, "key_digest", cp_token_digest(w->op, key, keyed));
    cp_json_put(a, after, "key_alg", keyed ? "hmac" : "sha256");

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


static cp_rc_t
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
                     " WHERE rotated_to = $1 AND state = 'rotating'"
                     " AND expires_at > $2",
                     cp_args(cp_text(cp_json_str(before, "id")),
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
    next.in = cp_credential_successor(a, before, args);
    next.heir = true;

    rc = cp_entry_create(&next, &e);
    if (rc != CP_OK) {
        return rc;
    }

    expires = cp_json_num(before, "expires_at", 0);
    grace = now + 1000 * cp_json_num(args, "grace_s", CP_GRACE_S);

    cp_json_put_int(a, after, "expires_at",
                    expires && expires < grace ? expires : grace);
    cp_json_put(a, after, "rotated_to", cp_json_str(e.row, "id"));
    cp_json_set(a, after, "successor", e.obj);

    return cp_notice_rotated(w->op, w->tx, after);
}


/* The same environment, and the same end: a key for a trial does not become
 * one for ever by being rotated. */
static cp_json_t *
cp_credential_successor(cp_arena_t *a, const cp_json_t *before,
    const cp_json_t *args)
{
    int64_t     expires;
    cp_json_t  *in;

    in = cp_json_object(a);
    cp_json_set(a, in, "env", cp_json_copy(a, cp_json_get(before, "env")));
    cp_json_set(a, in, "title",
                cp_json_copy(a, cp_json_get(before, "title")));

    expires = cp_json_num(before, "expires_at", 0);

    if (cp_json_str(args, "expires_at")) {
        cp_json_put(a, in, "expires_at", cp_json_str(args, "expires_at"));

    } else if (expires) {
        cp_json_put(a, in, "expires_at", cp_time_format(a, expires));
    }

    return in;
}


/* The id in a key of our form, and its environment; NULL: it has none. */
static char *
cp_credential_prefix(const cp_write_t *w, const char *prefix,
    cp_json_t *after)
{
    size_t       len, n;
    cp_arena_t  *a = w->op->arena;

    len = strlen(prefix);
    n = len > STOA_ID_LEN + 1 ? len - STOA_ID_LEN - 1 : 0;

    if (n <= 5 || prefix[n] != '_' || !stoa_env_valid(prefix + 5, n - 5)
        || strncmp(prefix + 5, "adm_", 4) == 0
        || strncmp(prefix + 5, "gw_", 3) == 0
        || !stoa_id_valid(prefix + n + 1, STOA_ID_LEN))
    {
        (void) cp_err_field(&w->op->err, -1, w->given->line, "prefix",
                            "is not stoa_ENV_ID, or ENV is adm or gw");
        return NULL;
    }

    cp_json_set(a, after, "env",
                cp_json_string(a, cp_arena_strndup(a, prefix + 5, n - 5)));

    return cp_arena_strdup(a, prefix + n + 1);
}


/* A key that was made elsewhere: by another control plane, whose form is
 * ours, or by another product, whose key's id is made of its digest. */
static cp_rc_t
cp_credential_import(const cp_write_t *w, cp_json_t *after)
{
    char         *id;
    uint8_t       digest[32];
    cp_rc_t       rc;
    cp_rows_t     rows;
    cp_arena_t   *a = w->op->arena;
    const char   *sum, *prefix, *last4, *state;

    sum = cp_json_str(w->given, "sha256");
    prefix = cp_json_str(w->given, "prefix");
    last4 = cp_json_str(w->given, "last4");

    if (strlen(sum) != 64 || !stoa_hex_decode(sum, 64, digest)) {
        return cp_err_field(&w->op->err, -1, w->given->line, "sha256",
                            "must be 64 hexadecimal digits");
    }

    if (stoa_key_foreign(prefix, strlen(prefix))) {
        id = cp_arena_alloc(a, STOA_ID_LEN + 1);

        if (id == NULL) {
            return CP_ERROR;
        }

        stoa_id_unpack(digest, id);
        id[STOA_ID_LEN] = '\0';

    } else {
        id = cp_credential_prefix(w, prefix, after);
    }

    if (id == NULL) {
        return CP_DECLINED;
    }

    /* whose it is, where it is not this application's, is nobody's to know */

    rc = cp_tx_query(w->tx, a, "SELECT CASE WHEN application = $2"
                     " AND key_digest = $3 THEN state ELSE '' END"
                     " FROM credentials WHERE id = $1",
                     cp_args(cp_text(id),
                             cp_text(cp_json_str(after, "application")),
                             cp_text(cp_hex(a, digest, sizeof(digest)))),
                     &rows, &w->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows) {
        state = cp_cell(&rows, 0, 0)->p;

        return *state == '\0'
               ? cp_err_set(&w->op->err, "conflict", "it is not this "
                            "application's: another key has its id")
               : cp_err_set(&w->op->err, "already_exists",
                            "this key is here already, %s", state);
    }

    cp_json_put(a, after, "id", id);
    cp_json_put(a, after, "prefix", prefix);
    cp_json_put(a, after, "last4", last4 ? last4 : "");
    cp_json_put(a, after, "key_digest", cp_hex(a, digest, sizeof(digest)));
    cp_json_put(a, after, "key_alg", "sha256");
    cp_json_put_bool(a, after, "imported", true);

    return CP_OK;
}
