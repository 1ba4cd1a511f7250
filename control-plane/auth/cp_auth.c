/*
 * Bearer tokens of admins and gateways.
 */

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "auth/cp_auth.h"
#include "auth/cp_session.h"
#include "auth/cp_user.h"


/* A verified token, by the digest of the whole of it. */
typedef struct {
    uint8_t    digest[32];
    int64_t    until;                          /* monotonic ms              */
    int64_t    expires;                        /* Unix ms, 0: never         */
    cp_auth_e  how;                            /* NONE: the row is free     */
    cp_perms_t may;
    char       role[STOA_NAME_MAX + 1];
    char       id[STOA_ID_LEN + 1];
    char       tenant[STOA_ID_LEN + 1];
    char       group[STOA_ID_LEN + 1];
    char       name[STOA_NAME_MAX + 1];
    char       maker[STOA_ID_LEN + 1];         /* "": nobody's rights bound it
                                                */
    char       owner[CP_USER_SUBJECT_MAX + 1];  /* "": not known           */
} cp_verified_t;

static struct {
    pthread_mutex_t  lock;
    uint64_t         generation;
    cp_verified_t    row[CP_AUTH_CACHE];
} cp_auth_cache = { .lock = PTHREAD_MUTEX_INITIALIZER };


static cp_rc_t cp_auth_load(cp_op_t *op, cp_auth_e how, const char *id,
    const uint8_t *digest, cp_verified_t *v);
static cp_rc_t cp_auth_verified(cp_op_t *op, cp_tx_t *tx, cp_auth_e how,
    const cp_rows_t *rows, const uint8_t *digest, cp_verified_t *v);
static cp_rc_t cp_auth_refuse(cp_op_t *op, const char *why);
static cp_rc_t cp_auth_actor(cp_op_t *op, const cp_verified_t *v);
static bool cp_auth_cached(const uint8_t *digest, cp_auth_e how,
    cp_verified_t *v, uint64_t *generation);
static void cp_auth_keep(const cp_verified_t *v, uint64_t generation);


cp_rc_t
cp_auth_bearer(cp_op_t *op, cp_auth_e how, const char *h)
{
    size_t          len;
    cp_rc_t         rc;
    uint8_t         digest[32];
    uint64_t        generation;
    stoa_key_t      key;
    const char     *env, *id;
    cp_verified_t   v;

    if (h == NULL || strncasecmp(h, "Bearer ", 7) != 0) {
        return cp_auth_refuse(op, "a bearer token is needed");
    }

    h += 7;
    h += strspn(h, " ");
    len = strlen(h);
    env = how == CP_AUTH_ADMIN ? "adm" : "gw";

    if (len > STOA_KEY_MAX || stoa_key_parse(h, len, &key) != STOA_OK
        || key.env.len != strlen(env)
        || memcmp(key.env.data, env, key.env.len) != 0)
    {
        return cp_auth_refuse(op, "the token is not valid");
    }

    cp_sha256(h, len, digest);

    if (!cp_auth_cached(digest, how, &v, &generation)) {
        id = cp_arena_strndup(op->arena, key.id.data, key.id.len);

        rc = cp_auth_load(op, how, id ? id : "", digest, &v);
        if (rc != CP_OK) {
            return rc;
        }

        cp_auth_keep(&v, generation);
    }

    if (v.expires && v.expires <= cp_time_ms()) {
        return cp_auth_refuse(op, "the token has expired");
    }

    return cp_auth_actor(op, &v);
}


static cp_rc_t
cp_auth_refuse(cp_op_t *op, const char *why)
{
    return cp_err_set(&op->err, "unauthorized", "%s", why);
}


static cp_rc_t
cp_auth_load(cp_op_t *op, cp_auth_e how, const char *id,
    const uint8_t *digest, cp_verified_t *v)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, how == CP_AUTH_ADMIN
                     ? "SELECT token_digest, CASE WHEN maker IS NULL OR"
                       " EXISTS (SELECT 1 FROM users u WHERE u.id = t.maker"
                       " AND u.state = 'active') THEN state ELSE 'bound' END,"
                       " id, name, tenant, role, expires_at, maker,"
                       " COALESCE(owner, maker)"
                       " FROM admin_tokens t WHERE id = $1"
                     : "SELECT token_digest, 'active', id, name, \"group\","
                       " 'none', 0, NULL, NULL FROM gateways WHERE id = $1",
                     cp_args(cp_text(id)), &rows, &op->err);

    if (rc == CP_OK) {
        rc = cp_auth_verified(op, tx, how, &rows, digest, v);
    }

    cp_tx_rollback(tx);

    /* not within: a connection more for each worker may not be there */

    return rc == CP_OK && v->maker[0]
           ? cp_rbac_within(op, v->maker, v->tenant[0] ? v->tenant : NULL,
                            &v->may) : rc;
}


static cp_rc_t
cp_auth_verified(cp_op_t *op, cp_tx_t *tx, cp_auth_e how,
    const cp_rows_t *rows, const uint8_t *digest, cp_verified_t *v)
{
    cp_rc_t  rc;
    uint8_t  kept[32];

    if (rows->rows == 0 || cp_cell(rows, 0, 0)->len != 64
        || !stoa_hex_decode(cp_cell(rows, 0, 0)->p, 64, kept)
        || !stoa_equal_ct(kept, digest, 32)
        || strcmp(cp_cell(rows, 0, 1)->p, "active") != 0)
    {
        return cp_auth_refuse(op, "the token is not valid");
    }

    memset(v, 0, sizeof(cp_verified_t));
    memcpy(v->digest, digest, 32);

    v->how = how;
    v->expires = cp_cell(rows, 0, 6)->type == CP_VAL_INT
                 ? cp_cell(rows, 0, 6)->i : 0;

    cp_val_copy(v->id, sizeof(v->id), cp_cell(rows, 0, 2));
    cp_val_copy(v->name, sizeof(v->name), cp_cell(rows, 0, 3));
    cp_val_copy(how == CP_AUTH_ADMIN ? v->tenant : v->group,
                sizeof(v->tenant), cp_cell(rows, 0, 4));

    if (how != CP_AUTH_ADMIN) {
        return CP_OK;
    }

    cp_val_copy(v->role, sizeof(v->role), cp_cell(rows, 0, 5));
    cp_val_copy(v->maker, sizeof(v->maker), cp_cell(rows, 0, 7));
    cp_val_copy(v->owner, sizeof(v->owner), cp_cell(rows, 0, 8));

    rc = cp_rbac_role(op, tx, v->tenant[0] ? v->tenant : NULL, v->role,
                      &v->may);

    return rc == CP_DECLINED
           ? cp_auth_refuse(op, "the token's role is no more") : rc;
}


static cp_rc_t
cp_auth_actor(cp_op_t *op, const cp_verified_t *v)
{
    memset(&op->actor, 0, sizeof(cp_actor_t));

    op->actor.how = v->how;
    op->actor.expires = v->expires;
    op->actor.id = cp_arena_strdup(op->arena, v->id);
    op->actor.name = cp_arena_strdup(op->arena, v->name);
    op->actor.owner = v->owner[0] ? cp_arena_strdup(op->arena, v->owner)
                                  : NULL;
    op->actor.group = v->group[0] ? cp_arena_strdup(op->arena, v->group)
                                  : NULL;

    return v->how == CP_AUTH_ADMIN
           ? cp_grant_add(op, v->tenant[0] ? v->tenant : NULL, v->role,
                          &v->may, true)
           : CP_OK;
}


static bool
cp_auth_cached(const uint8_t *digest, cp_auth_e how, cp_verified_t *v,
    uint64_t *generation)
{
    bool            found;
    cp_verified_t  *row;

    row = &cp_auth_cache.row[(digest[0] << 8 | digest[1]) % CP_AUTH_CACHE];

    pthread_mutex_lock(&cp_auth_cache.lock);

    *generation = cp_auth_cache.generation;
    found = row->how == how && row->until > cp_time_mono_ms()
            && stoa_equal_ct(row->digest, digest, 32);

    if (found) {
        *v = *row;
    }

    pthread_mutex_unlock(&cp_auth_cache.lock);

    return found;
}


/* Not when tokens were written since this one was looked up. */
static void
cp_auth_keep(const cp_verified_t *v, uint64_t generation)
{
    cp_verified_t  *row;

    row = &cp_auth_cache.row[(v->digest[0] << 8 | v->digest[1])
                             % CP_AUTH_CACHE];

    pthread_mutex_lock(&cp_auth_cache.lock);

    if (generation == cp_auth_cache.generation) {
        *row = *v;
        row->until = cp_time_mono_ms() + CP_AUTH_CACHE_MS;
    }

    pthread_mutex_unlock(&cp_auth_cache.lock);
}


void
cp_auth_cache_drop(void)
{
    pthread_mutex_lock(&cp_auth_cache.lock);

    cp_auth_cache.generation++;
    memset(cp_auth_cache.row, 0, sizeof(cp_auth_cache.row));

    pthread_mutex_unlock(&cp_auth_cache.lock);

    cp_rbac_cache_drop();
    cp_session_forget();
}
