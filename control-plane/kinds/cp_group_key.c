/*
 * Keys of gateway groups: made, handed out, superseded, forgotten.
 */

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/cp_auth.h"
#include "base/cp_seal.h"
#include "kinds/cp_group_key.h"
#include "kinds/cp_kind.h"


#define CP_GROUP_KEY_ARENA  (1024 * 1024)
#define CP_GROUP_KEY_LEN    32


static cp_rc_t cp_group_key_add(cp_tx_t *tx, cp_arena_t *a, const char *group,
    int64_t signs_at, const char **id, cp_err_t *err);
static cp_rc_t cp_group_key_make(cp_arena_t *a, const char *place,
    const char **public, const char **private, cp_err_t *err);
static cp_rc_t cp_group_key_put(cp_tx_t *tx, cp_arena_t *a,
    const char *group, const cp_val_t *row, cp_err_t *err);
static cp_rc_t cp_group_key_each(cp_db_t *db, cp_arena_t *a, const char *sql,
    const char *clean, cp_err_t *err);


/* Also of those that are no more: what the feed has and the table has not is
 * a tombstone. */

cp_rc_t
cp_group_key_feed(cp_tx_t *tx, cp_arena_t *a, const char *group,
    cp_err_t *err)
{
    cp_rc_t        rc;
    unsigned       i;
    cp_rows_t      rows, gone;
    const char    *id;
    cp_feed_row_t  row = { .kind = "groupkey" };

    rc = cp_tx_query(tx, a, "SELECT g.id, k.id, k.private, k.signs_at"
                     " FROM gateway_groups g LEFT JOIN group_keys k"
                     " ON k.\"group\" = g.id WHERE g.id = $1",
                     cp_args(cp_text(group)), &rows, err);

    if (rc == CP_OK && rows.rows
        && cp_cell(&rows, 0, 1)->type == CP_VAL_NULL)
    {
        rc = cp_group_key_add(tx, a, group, cp_time_ms(), &id, err);

        return rc == CP_OK ? cp_group_key_feed(tx, a, group, err) : rc;
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        rc = cp_group_key_put(tx, a, group, cp_cell(&rows, i, 1), err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, a, "SELECT key FROM feed WHERE kind = 'groupkey'"
                     " AND deleted = 0 AND group_ids = $1 AND NOT EXISTS"
                     " (SELECT 1 FROM group_keys k"
                     " WHERE feed.key = 'groupkey:' || k.id)",
                     cp_args(cp_text(cp_arena_printf(a, ",%s,", group))),
                     &gone, err);

    for (i = 0; rc == CP_OK && i < gone.rows; i++) {
        row.key = cp_cell(&gone, i, 0)->p;
        rc = cp_feed_put(tx, a, row, err);
    }

    return rc;
}


/* row: id, private, signs_at. */
static cp_rc_t
cp_group_key_put(cp_tx_t *tx, cp_arena_t *a, const char *group,
    const cp_val_t *row, cp_err_t *err)
{
    cp_json_t      *body;
    const char     *private;
    cp_feed_row_t   put = { .kind = "groupkey", .secret = true };

    put.key = cp_arena_printf(a, "groupkey:%s", row[0].p);
    put.groups = cp_arena_printf(a, ",%s,", group);
    private = put.key ? cp_unseal(a, put.key, row[1].p) : NULL;

    if (private == NULL) {
        return cp_err_set(err, "internal", "a group's key does not open");
    }

    body = cp_json_object(a);
    cp_json_put(a, body, "id", row[0].p);
    cp_json_put(a, body, "private", private);
    cp_json_put_int(a, body, "signs_ms", row[2].i);

    return cp_body_put(tx, a, put, body, err);
}


static cp_rc_t
cp_group_key_add(cp_tx_t *tx, cp_arena_t *a, const char *group,
    int64_t signs_at, const char **id, cp_err_t *err)
{
    char         text[STOA_ID_LEN + 1];
    cp_rc_t      rc;
    const char  *public, *private;

    cp_id_make(text);
    *id = cp_arena_strdup(a, text);

    rc = cp_group_key_make(a, cp_arena_printf(a, "groupkey:%s", text),
                           &public, &private, err);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_tx_query(tx, a, "INSERT INTO group_keys (id, \"group\", public,"
                       " private, signs_at, created_at)"
                       " VALUES ($1, $2, $3, $4, $5, $6)",
                       cp_args(cp_text(*id), cp_text(group), cp_text(public),
                               cp_text(private), cp_int(signs_at),
                               cp_int(cp_time_ms())), NULL, err);
}


static cp_rc_t
cp_group_key_make(cp_arena_t *a, const char *place, const char **public,
    const char **private, cp_err_t *err)
{
    char       hex[2 * CP_GROUP_KEY_LEN + 1];
    size_t     n;
    uint8_t    seed[CP_GROUP_KEY_LEN], half[CP_GROUP_KEY_LEN];
    EVP_PKEY  *key;

    cp_random(seed, sizeof(seed));

    n = sizeof(half);
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
                                       sizeof(seed));

    *public = NULL;
    *private = NULL;

    if (key && EVP_PKEY_get_raw_public_key(key, half, &n) == 1) {
        stoa_hex_encode(seed, sizeof(seed), hex);
        hex[sizeof(hex) - 1] = '\0';

        *public = cp_base64url_encode(a, half, n);
        *private = place ? cp_seal(a, place, hex) : NULL;
    }

    EVP_PKEY_free(key);
    OPENSSL_cleanse(seed, sizeof(seed));
    OPENSSL_cleanse(hex, sizeof(hex));

    return *public && *private ? CP_OK
           : cp_err_set(err, "internal", "cannot make a key");
}


cp_rc_t
cp_group_key_rotate(cp_op_t *op, cp_tx_t *tx, const char *group,
    int64_t lead_s, cp_json_t **out)
{
    cp_rc_t      rc;
    int64_t      signs_at, ends_at;
    cp_rows_t    rows;
    const char  *id;

    /* the lock comes before what it keeps still is read */

    rc = cp_feed_lock(tx, op->arena, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT COUNT(*) FROM group_keys"
                     " WHERE \"group\" = $1", cp_args(cp_text(group)), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_cell(&rows, 0, 0)->i >= CP_GROUP_KEYS_MAX) {
        return cp_err_set(&op->err, "conflict", "the group has %d keys that "
                          "have not ended yet", CP_GROUP_KEYS_MAX);
    }

    signs_at = cp_time_ms() + lead_s * 1000;
    ends_at = signs_at + (CP_AUTH_LIFE_MAX_S + 2 * CP_AUTH_SKEW_S) * 1000;

    rc = cp_tx_query(tx, op->arena, "UPDATE group_keys SET ends_at = $2"
                     " WHERE \"group\" = $1"
                     " AND (ends_at IS NULL OR ends_at > $2)",
                     cp_args(cp_text(group), cp_int(ends_at)), NULL,
                     &op->err);

    if (rc == CP_OK) {
        rc = cp_group_key_add(tx, op->arena, group, signs_at, &id, &op->err);
    }

    if (rc == CP_OK) {
        rc = cp_group_key_feed(tx, op->arena, group, &op->err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    *out = cp_json_object(op->arena);
    cp_json_put(op->arena, *out, "kid", id);
    cp_json_put(op->arena, *out, "signs_at",
                cp_time_format(op->arena, signs_at));
    cp_json_put(op->arena, *out, "old_ends_at",
                cp_time_format(op->arena, ends_at));

    return CP_OK;
}


cp_rc_t
cp_group_key_set(cp_tx_t *tx, cp_arena_t *a, const char *group,
    cp_json_t **out, cp_err_t *err)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_rows_t   rows;
    cp_json_t  *keys, *key;

    rc = cp_tx_query(tx, a, "SELECT k.id, k.public FROM group_keys k"
                     " JOIN gateway_groups g ON g.id = k.\"group\""
                     " WHERE (k.ends_at IS NULL OR k.ends_at > $1)"
                     " AND ($2 = '' OR g.name = $2 OR g.id = $2)"
                     " ORDER BY k.signs_at DESC, k.id",
                     cp_args(cp_int(cp_time_ms()),
                             cp_text(group ? group : "")), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    keys = cp_json_array(a);

    for (i = 0; i < rows.rows; i++) {
        key = cp_json_object(a);
        cp_json_put(a, key, "kty", "OKP");
        cp_json_put(a, key, "crv", "Ed25519");
        cp_json_put(a, key, "alg", "EdDSA");
        cp_json_put(a, key, "use", "sig");
        cp_json_put(a, key, "kid", cp_cell(&rows, i, 0)->p);
        cp_json_put(a, key, "x", cp_cell(&rows, i, 1)->p);
        cp_json_push(keys, key);
    }

    *out = cp_json_object(a);
    cp_json_set(a, *out, "keys", keys);

    return CP_OK;
}


cp_rc_t
cp_group_key_init(cp_db_t *db, cp_arena_t *a, cp_err_t *err)
{
    return cp_group_key_each(db, a, "SELECT g.id FROM gateway_groups g"
                             " WHERE CAST($1 AS BIGINT) > 0 AND NOT EXISTS"
                             " (SELECT 1 FROM group_keys k"
                             " WHERE k.\"group\" = g.id)",
                             NULL, err);
}


/* Every ten seconds: what has ended goes, from the gateways too. */

cp_rc_t
cp_group_key_job(cp_app_t *app)
{
    cp_rc_t      rc;
    cp_err_t     err;
    cp_arena_t  *a;

    a = cp_arena_create(CP_GROUP_KEY_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    memset(&err, 0, sizeof(err));
    err.arena = a;

    rc = cp_group_key_each(app->db, a, "SELECT DISTINCT \"group\""
                           " FROM group_keys WHERE ends_at <= $1",
                           "DELETE FROM group_keys WHERE ends_at <= $1",
                           &err);
    cp_arena_destroy(a);

    return rc == CP_CONFLICT ? rc : rc == CP_OK ? CP_OK : CP_ERROR;
}


/* Looked at without the lock first; $1: now. */
static cp_rc_t
cp_group_key_each(cp_db_t *db, cp_arena_t *a, const char *sql,
    const char *clean, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_val_t   now;
    unsigned   i;
    cp_rows_t  rows;

    now = cp_int(cp_time_ms());

    if (cp_tx_open(db, false, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, sql, &now, 1, &rows, err);
    cp_tx_rollback(tx);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    if (cp_tx_open(db, true, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_feed_lock(tx, a, err);

    if (rc == CP_OK && clean) {
        rc = cp_tx_query(tx, a, clean, &now, 1, NULL, err);
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        rc = cp_group_key_feed(tx, a, cp_cell(&rows, i, 0)->p, err);
    }

    return cp_tx_finish(tx, rc, err);
}
