/*
 * Keys of gateway groups: made, handed out, superseded, forgotten.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/cp_auth.h"
#include "base/cp_seal.h"
#include "kinds/cp_group_key.h"
#include "kinds/cp_kind.h"


#define CP_GROUP_KEY_ARENA  (1024 * 1024)
#define CP_GROUP_KEY_LEN    32
#define CP_SEAL_KIDS        62
#define CP_SEAL_KEY_DAY_MS  (24LL * 3600 * 1000)


/* What they are for: a row of group_keys says which of these it is. */

typedef struct {
    const char  *purpose;
    const char  *kind;             /* of the feed, and where it is sealed   */
    const char  *member;           /* there: from when on it is used        */
    int64_t      every_ms;         /* then there is a new one; 0: on demand */
    int64_t      rest_ms;          /* kept so long after the next one began */
    bool         drops;            /* too many: the oldest goes, else 409   */
    int64_t      max;
} cp_key_use_t;

static const cp_key_use_t  cp_key_uses[] = {
    { "identity", "groupkey", "signs_ms", 0,
      (CP_AUTH_LIFE_MAX_S + 2 * CP_AUTH_SKEW_S) * 1000LL, false,
      CP_GROUP_KEYS_MAX },
    { "seal", "sealkey", "since_ms", 30 * CP_SEAL_KEY_DAY_MS,
      8 * CP_SEAL_KEY_DAY_MS, true, CP_SEAL_KEYS_MAX }
};

#define CP_KEY_USES  (sizeof(cp_key_uses) / sizeof(cp_key_uses[0]))


static cp_rc_t cp_group_key_use(cp_tx_t *tx, cp_arena_t *a,
    const cp_key_use_t *use, const char *group, cp_err_t *err);
static cp_rc_t cp_group_key_next(cp_tx_t *tx, cp_arena_t *a,
    const cp_key_use_t *use, const char *group, int64_t at, const char **id,
    cp_err_t *err);
static cp_rc_t cp_group_key_add(cp_tx_t *tx, cp_arena_t *a,
    const cp_key_use_t *use, const char *group, int64_t at, const char **id,
    cp_err_t *err);
static cp_rc_t cp_group_key_make(cp_tx_t *tx, cp_arena_t *a,
    const cp_key_use_t *use, const char *group, const char *id,
    const char **public, const char **private, cp_err_t *err);
static cp_rc_t cp_group_key_put(cp_tx_t *tx, cp_arena_t *a,
    const cp_key_use_t *use, const char *group, const cp_val_t *row,
    cp_err_t *err);
static cp_rc_t cp_group_key_each(cp_db_t *db, cp_arena_t *a, const char *sql,
    const char *clean, cp_err_t *err);


cp_rc_t
cp_group_key_feed(cp_tx_t *tx, cp_arena_t *a, const char *group,
    cp_err_t *err)
{
    size_t   i;
    cp_rc_t  rc;

    for (i = 0, rc = CP_OK; rc == CP_OK && i < CP_KEY_USES; i++) {
        rc = cp_group_key_use(tx, a, &cp_key_uses[i], group, err);
    }

    return rc;
}


/* Also of those that are no more: what the feed has and the table has not is
 * a tombstone. */

static cp_rc_t
cp_group_key_use(cp_tx_t *tx, cp_arena_t *a, const cp_key_use_t *use,
    const char *group, cp_err_t *err)
{
    cp_rc_t        rc;
    unsigned       i;
    int64_t        now;
    cp_rows_t      rows, gone;
    const char    *id;
    cp_feed_row_t  row = { .kind = use->kind };

    rc = cp_tx_query(tx, a, "SELECT k.id, k.public, k.private, k.signs_at"
                     " FROM gateway_groups g LEFT JOIN group_keys k"
                     " ON k.\"group\" = g.id AND k.purpose = $2"
                     " WHERE g.id = $1 ORDER BY k.signs_at DESC, k.id DESC",
                     cp_args(cp_text(group), cp_text(use->purpose)), &rows,
                     err);
    if (rc != CP_OK) {
        return rc;
    }

    now = cp_time_ms();

    if (rows.rows && cp_cell(&rows, 0, 0)->type == CP_VAL_NULL) {
        rc = cp_group_key_add(tx, a, use, group, now, &id, err);

        return rc == CP_OK ? cp_group_key_use(tx, a, use, group, err) : rc;
    }

    if (rows.rows && use->every_ms
        && cp_cell(&rows, 0, 3)->i <= now - use->every_ms)
    {
        rc = cp_group_key_next(tx, a, use, group,
                               now + CP_GROUP_KEY_LEAD_S * 1000, &id, err);

        return rc == CP_OK ? cp_group_key_use(tx, a, use, group, err) : rc;
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        rc = cp_group_key_put(tx, a, use, group, cp_cell(&rows, i, 0), err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, a, "SELECT key FROM feed WHERE kind = $2"
                     " AND deleted = 0 AND group_ids = $1 AND NOT EXISTS"
                     " (SELECT 1 FROM group_keys k"
                     " WHERE feed.key = feed.kind || ':' || k.id)",
                     cp_args(cp_text(cp_arena_printf(a, ",%s,", group)),
                             cp_text(use->kind)), &gone, err);

    for (i = 0; rc == CP_OK && i < gone.rows; i++) {
        row.key = cp_cell(&gone, i, 0)->p;
        rc = cp_feed_put(tx, a, row, err);
    }

    return rc;
}


/* row: id, public, private, signs_at. */
static cp_rc_t
cp_group_key_put(cp_tx_t *tx, cp_arena_t *a, const cp_key_use_t *use,
    const char *group, const cp_val_t *row, cp_err_t *err)
{
    cp_json_t      *body;
    const char     *private;
    cp_feed_row_t   put = { .kind = use->kind, .secret = true };

    put.key = cp_arena_printf(a, "%s:%s", use->kind, row[0].p);
    put.groups = cp_arena_printf(a, ",%s,", group);
    private = put.key ? cp_unseal(a, put.key, row[2].p) : NULL;

    if (private == NULL) {
        return cp_err_set(err, "internal", "a group's key does not open");
    }

    body = cp_json_object(a);
    cp_json_put(a, body, "id", row[0].p);

    if (use->drops) {
        cp_json_put_int(a, body, "kid", atoi(row[1].p));
        cp_json_put(a, body, "key", private);

    } else {
        cp_json_put(a, body, "private", private);
    }

    cp_json_put_int(a, body, use->member, row[3].i);

    return cp_body_put(tx, a, put, body, err);
}


/* Those in use end after it has begun. */
static cp_rc_t
cp_group_key_next(cp_tx_t *tx, cp_arena_t *a, const cp_key_use_t *use,
    const char *group, int64_t at, const char **id, cp_err_t *err)
{
    cp_rc_t  rc;

    rc = cp_tx_query(tx, a, "UPDATE group_keys SET ends_at = $3"
                     " WHERE \"group\" = $1 AND purpose = $2"
                     " AND (ends_at IS NULL OR ends_at > $3)",
                     cp_args(cp_text(group), cp_text(use->purpose),
                             cp_int(at + use->rest_ms)), NULL, err);

    if (rc == CP_OK) {
        rc = cp_group_key_add(tx, a, use, group, at, id, err);
    }

    if (rc == CP_OK && use->drops) {
        rc = cp_tx_query(tx, a, "DELETE FROM group_keys WHERE \"group\" = $1"
                         " AND purpose = $2 AND id NOT IN"
                         " (SELECT id FROM group_keys WHERE \"group\" = $1"
                         " AND purpose = $2"
                         " ORDER BY created_at DESC, id DESC LIMIT $3)",
                         cp_args(cp_text(group), cp_text(use->purpose),
                                 cp_int(use->max)), NULL, err);
    }

    return rc;
}


static cp_rc_t
cp_group_key_add(cp_tx_t *tx, cp_arena_t *a, const cp_key_use_t *use,
    const char *group, int64_t at, const char **id, cp_err_t *err)
{
    char         text[STOA_ID_LEN + 1];
    cp_rc_t      rc;
    const char  *public, *private;

    cp_id_make(text);
    *id = cp_arena_strdup(a, text);

    rc = cp_group_key_make(tx, a, use, group, *id, &public, &private, err);
    if (rc != CP_OK) {
        return rc;
    }

    /* each later than the others, as the oldest goes: several a millisecond
     * would have no order */

    return cp_tx_query(tx, a, "INSERT INTO group_keys (id, \"group\", public,"
                       " private, signs_at, created_at, purpose)"
                       " VALUES ($1, $2, $3, $4, $5, COALESCE((SELECT"
                       " MAX(created_at) + 1 FROM group_keys"
                       " WHERE \"group\" = $2 AND purpose = $7"
                       " AND created_at >= $6), $6), $7)",
                       cp_args(cp_text(*id), cp_text(group), cp_text(public),
                               cp_text(private), cp_int(at),
                               cp_int(cp_time_ms()), cp_text(use->purpose)),
                       NULL, err);
}


/* A sealing key has a number, which none of the group has or had lately. */

static const char *
cp_group_key_number(cp_arena_t *a, const cp_rows_t *all)
{
    int       number;
    unsigned  i;

    number = all->rows ? (atoi(cp_cell(all, 0, 0)->p) + 1) % CP_SEAL_KIDS : 0;

    for (i = 0; i < all->rows; i++) {
        if (atoi(cp_cell(all, i, 0)->p) == number) {
            number = (number + 1) % CP_SEAL_KIDS;
            i = 0;
        }
    }

    return cp_arena_printf(a, "%d", number);
}


/* public: what is told of it. */

static cp_rc_t
cp_group_key_make(cp_tx_t *tx, cp_arena_t *a, const cp_key_use_t *use,
    const char *group, const char *id, const char **public,
    const char **private, cp_err_t *err)
{
    char        hex[2 * CP_GROUP_KEY_LEN + 1];
    size_t      n;
    cp_rc_t     rc;
    uint8_t     seed[CP_GROUP_KEY_LEN], half[CP_GROUP_KEY_LEN];
    EVP_PKEY   *key;
    cp_rows_t   all;

    rc = cp_tx_query(tx, a, "SELECT public FROM group_keys"
                     " WHERE \"group\" = $1 AND purpose = $2"
                     " ORDER BY created_at DESC, id DESC",
                     cp_args(cp_text(group), cp_text(use->purpose)), &all,
                     err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_random(seed, sizeof(seed));

    n = sizeof(half);
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
                                       sizeof(seed));
    *public = NULL;
    *private = NULL;

    if (key && EVP_PKEY_get_raw_public_key(key, half, &n) == 1) {
        stoa_hex_encode(seed, sizeof(seed), hex);
        hex[sizeof(hex) - 1] = '\0';

        *public = use->drops
                  ? cp_group_key_number(a, &all)
                  : cp_base64url_encode(a, half, n);
        *private = cp_seal(a, cp_arena_printf(a, "%s:%s", use->kind, id),
                           hex);
    }

    EVP_PKEY_free(key);
    OPENSSL_cleanse(seed, sizeof(seed));
    OPENSSL_cleanse(hex, sizeof(hex));

    return *public && *private ? CP_OK
           : cp_err_set(err, "internal", "cannot make a key");
}


/* Of a kind that does not give way. */
static cp_rc_t
cp_group_key_room(cp_op_t *op, cp_tx_t *tx, const cp_key_use_t *use,
    const char *group)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT COUNT(*) FROM group_keys"
                     " WHERE \"group\" = $1 AND purpose = $2",
                     cp_args(cp_text(group), cp_text(use->purpose)), &rows,
                     &op->err);

    return rc == CP_OK && !use->drops && cp_cell(&rows, 0, 0)->i >= use->max
           ? cp_err_set(&op->err, "conflict", "the group has %d keys that "
                        "have not ended yet", (int) use->max) : rc;
}


cp_rc_t
cp_group_key_rotate(cp_op_t *op, cp_tx_t *tx, const char *group,
    int64_t lead_s, cp_json_t **out)
{
    size_t       i;
    cp_rc_t      rc;
    int64_t      signs_at;
    const char  *id;

    /* the lock comes before what it keeps still is read */

    rc = cp_feed_lock(tx, op->arena, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    signs_at = cp_time_ms() + lead_s * 1000;
    id = NULL;

    for (i = CP_KEY_USES; rc == CP_OK && i-- > 0; /* void */) {
        rc = cp_group_key_room(op, tx, &cp_key_uses[i], group);

        if (rc == CP_OK) {
            rc = cp_group_key_next(tx, op->arena, &cp_key_uses[i], group,
                                   signs_at, &id, &op->err);
        }
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
                cp_time_format(op->arena,
                               signs_at + cp_key_uses[0].rest_ms));

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
                     " WHERE k.purpose = 'identity'"
                     " AND (k.ends_at IS NULL OR k.ends_at > $1)"
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
                             " WHERE CAST($1 AS BIGINT) > 0 AND 2 >"
                             " (SELECT COUNT(DISTINCT k.purpose)"
                             " FROM group_keys k WHERE k.\"group\" = g.id)",
                             NULL, err);
}


/* Every ten seconds: what has ended goes, from the gateways too, and what is
 * old enough gets a successor. */

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

    rc = cp_group_key_each(app->db, a, "SELECT \"group\" FROM group_keys"
                           " WHERE ends_at <= $1 UNION"
                           " SELECT \"group\" FROM group_keys"
                           " WHERE purpose = 'seal' GROUP BY \"group\""
                           " HAVING MAX(signs_at) <= $1 - 2592000000",
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
