/*
 * Bearer tokens of admins and gateways, the first token, and the actor of the
 * process itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "audit/cp_audit.h"
#include "op/cp_app.h"
#include "base/cp_metrics.h"
#include "feed/cp_feed.h"
#include "resource/cp_tables.h"
#include "auth/cp_auth.h"


/* A verified token, by the digest of the whole of it. */
typedef struct {
    uint8_t    digest[32];
    int64_t    until;                          /* monotonic ms              */
    int64_t    expires;                        /* Unix ms, 0: never         */
    cp_auth_e  how;                            /* NONE: the row is free     */
    cp_role_e  role;
    char       id[STOA_ID_LEN + 1];
    char       tenant[STOA_ID_LEN + 1];
    char       group[STOA_ID_LEN + 1];
    char       name[STOA_NAME_MAX + 1];
} cp_verified_t;

static struct {
    pthread_mutex_t  lock;
    uint64_t         generation;
    cp_verified_t    row[CP_AUTH_CACHE];
} cp_auth_cache = { .lock = PTHREAD_MUTEX_INITIALIZER };


static cp_rc_t cp_auth_admin(cp_req_t *r);
static void cp_auth_count(const cp_req_t *r);
static cp_rc_t cp_auth_bearer(cp_req_t *r, cp_auth_e how);
static cp_rc_t cp_auth_load(cp_req_t *r, cp_auth_e how, const char *id,
    const uint8_t *digest, cp_verified_t *v);
static cp_rc_t cp_auth_refuse(cp_req_t *r, const char *why);
static void cp_auth_actor(cp_req_t *r, const cp_verified_t *v);
static cp_rc_t cp_auth_path(cp_req_t *r);
static bool cp_auth_cached(const uint8_t *digest, cp_auth_e how,
    cp_verified_t *v, uint64_t *generation);
static void cp_auth_keep(const cp_verified_t *v, uint64_t generation);
static cp_rc_t cp_auth_start(cp_req_t *r, cp_tx_t *tx, const char **token);
static cp_rc_t cp_auth_first(cp_req_t *r, cp_tx_t *tx, const char **token);
static cp_rc_t cp_auth_new(cp_req_t *r, cp_tx_t *tx, const char **token);
static cp_rc_t cp_auth_write(const char *path, const char *token,
    cp_err_t *err);


cp_rc_t
cp_auth_check(cp_req_t *r)
{
    cp_rc_t  rc;

    switch (r->route->auth) {

    case CP_AUTH_NONE:
        return CP_OK;

    case CP_AUTH_ASSERTION:
        rc = cp_auth_assertion(r);
        break;

    case CP_AUTH_GATEWAY:
        rc = cp_auth_bearer(r, CP_AUTH_GATEWAY);
        break;

    case CP_AUTH_ADMIN:
        rc = cp_auth_admin(r);
        break;

    default:
        rc = cp_auth_refuse(r, "no way in");
    }

    if (rc == CP_DECLINED) {
        cp_auth_count(r);
    }

    return rc;
}


static cp_rc_t
cp_auth_admin(cp_req_t *r)
{
    cp_rc_t  rc;

    rc = cp_auth_bearer(r, CP_AUTH_ADMIN);

    /* what is another tenant's does not exist, whatever may be done to it */

    if (rc == CP_OK) {
        rc = cp_auth_path(r);
    }

    return rc == CP_OK ? cp_auth_may(r, r->route->permission) : rc;
}


static void
cp_auth_count(const cp_req_t *r)
{
    unsigned  i;

    static const struct {
        const char  *code;
        const char  *labels;
    } reasons[] = {
        { "unauthorized", "reason=\"unauthorized\"" },
        { "forbidden", "reason=\"forbidden\"" },
        { "not_found", "reason=\"foreign_tenant\"" }
    };

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strcmp(reasons[i].code, r->err.code) == 0) {
            cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                                    "stoa_control_refused_total",
                                    reasons[i].labels,
                                    "Requests that were not allowed."), 1);
            return;
        }
    }
}


static cp_rc_t
cp_auth_bearer(cp_req_t *r, cp_auth_e how)
{
    size_t          len;
    cp_rc_t         rc;
    uint8_t         digest[32];
    uint64_t        generation;
    stoa_key_t      key;
    const char     *h, *env, *id;
    cp_verified_t   v;

    h = cp_req_header(r, "Authorization");

    if (h == NULL || strncasecmp(h, "Bearer ", 7) != 0) {
        return cp_auth_refuse(r, "a bearer token is needed");
    }

    h += 7;
    h += strspn(h, " ");
    len = strlen(h);
    env = how == CP_AUTH_ADMIN ? "adm" : "gw";

    if (len > STOA_KEY_MAX || stoa_key_parse(h, len, &key) != STOA_OK
        || key.env.len != strlen(env)
        || memcmp(key.env.data, env, key.env.len) != 0)
    {
        return cp_auth_refuse(r, "the token is not valid");
    }

    cp_sha256(h, len, digest);

    if (!cp_auth_cached(digest, how, &v, &generation)) {
        id = cp_arena_strndup(r->arena, key.id.data, key.id.len);

        rc = cp_auth_load(r, how, id ? id : "", digest, &v);
        if (rc != CP_OK) {
            return rc;
        }

        cp_auth_keep(&v, generation);
    }

    if (v.expires && v.expires <= cp_time_ms()) {
        return cp_auth_refuse(r, "the token has expired");
    }

    cp_auth_actor(r, &v);

    return CP_OK;
}


static cp_rc_t
cp_auth_refuse(cp_req_t *r, const char *why)
{
    return cp_err_set(&r->err, "unauthorized", "%s", why);
}


static void
cp_auth_copy(char *dst, size_t size, const cp_val_t *v)
{
    size_t  len;

    len = v->type == CP_VAL_TEXT && v->len < size ? v->len : 0;

    if (len) {
        memcpy(dst, v->p, len);
    }

    dst[len] = '\0';
}


static cp_rc_t
cp_auth_load(cp_req_t *r, cp_auth_e how, const char *id,
    const uint8_t *digest, cp_verified_t *v)
{
    uint8_t    kept[32];
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    rc = cp_tx_begin(r->app->db, false, &tx);
    if (rc != CP_OK) {
        return cp_err_set(&r->err, "unavailable", "the database is busy");
    }

    rc = cp_tx_query(tx, r->arena, how == CP_AUTH_ADMIN
                     ? "SELECT token_digest, state, id, name, tenant, role,"
                       " expires_at FROM admin_tokens WHERE id = $1"
                     : "SELECT token_digest, 'active', id, name, \"group\","
                       " 'none', 0 FROM gateways WHERE id = $1",
                     cp_args(cp_text(id)), &rows, &r->err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0 || cp_cell(&rows, 0, 0)->len != 64
        || !stoa_hex_decode(cp_cell(&rows, 0, 0)->p, 64, kept)
        || !stoa_equal_ct(kept, digest, 32)
        || strcmp(cp_cell(&rows, 0, 1)->p, "active") != 0)
    {
        return cp_auth_refuse(r, "the token is not valid");
    }

    memset(v, 0, sizeof(cp_verified_t));
    memcpy(v->digest, digest, 32);

    v->how = how;
    v->role = cp_role_find(cp_cell(&rows, 0, 5)->p);
    v->expires = cp_cell(&rows, 0, 6)->type == CP_VAL_INT
                 ? cp_cell(&rows, 0, 6)->i : 0;

    cp_auth_copy(v->id, sizeof(v->id), cp_cell(&rows, 0, 2));
    cp_auth_copy(v->name, sizeof(v->name), cp_cell(&rows, 0, 3));
    cp_auth_copy(how == CP_AUTH_ADMIN ? v->tenant : v->group,
                 sizeof(v->tenant), cp_cell(&rows, 0, 4));

    return CP_OK;
}


static void
cp_auth_actor(cp_req_t *r, const cp_verified_t *v)
{
    memset(&r->actor, 0, sizeof(cp_actor_t));

    r->actor.how = v->how;
    r->actor.role = v->role;
    r->actor.expires = v->expires;
    r->actor.id = cp_arena_strdup(r->arena, v->id);
    r->actor.name = cp_arena_strdup(r->arena, v->name);
    r->actor.tenant = v->tenant[0] ? cp_arena_strdup(r->arena, v->tenant)
                                   : NULL;
    r->actor.group = v->group[0] ? cp_arena_strdup(r->arena, v->group) : NULL;
}


/* An actor that is bound to a tenant, in a path that names one. */
static cp_rc_t
cp_auth_path(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    const char  *p, *id;

    if (r->actor.tenant == NULL) {
        return CP_OK;
    }

    for (p = r->route->path, i = 0; (p = strchr(p, '{')) != NULL; p++, i++) {
        if (strncmp(p, "{tenant}", 8) == 0) {
            break;
        }
    }

    if (p == NULL || i >= r->nparam) {
        return CP_OK;
    }

    rc = cp_tx_begin(r->app->db, false, &tx);
    if (rc != CP_OK) {
        return cp_err_set(&r->err, "unavailable", "the database is busy");
    }

    rc = cp_auth_tenant(r, tx, r->param[i], &id);
    cp_tx_rollback(tx);

    return rc;
}


cp_rc_t
cp_auth_tenant(cp_req_t *r, cp_tx_t *tx, const char *name_or_id,
    const char **id)
{
    cp_rc_t  rc;

    rc = cp_ref_find(tx, r->arena, &cp_res_tenant, NULL, name_or_id, id,
                     &r->err);
    if (rc != CP_OK) {
        return rc;
    }

    return *id && cp_auth_sees(&r->actor, *id)
           ? CP_OK
           : cp_err_set(&r->err, "not_found", "there is no tenant \"%.64s\"",
                        name_or_id);
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
}


void
cp_req_system(cp_req_t *r, cp_app_t *app, cp_arena_t *arena,
    const char *name)
{
    memset(r, 0, sizeof(cp_req_t));

    r->app = app;
    r->arena = arena;
    r->method = "";
    r->path = "";
    r->err.arena = arena;
    r->actor.how = CP_AUTH_NONE;
    r->actor.role = CP_ROLE_PLATFORM_ADMIN;
    r->actor.id = "";
    r->actor.name = name;

    cp_id_make(r->id);
}


cp_rc_t
cp_auth_bootstrap(cp_app_t *app, FILE *out, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_req_t     r;
    cp_arena_t  *a;
    const char  *token;

    a = cp_arena_create(16 * 1024 * 1024);
    if (a == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    cp_req_system(&r, app, a, "bootstrap");

    rc = cp_tx_begin(app->db, true, &tx);
    if (rc != CP_OK) {
        cp_arena_destroy(a);
        return cp_err_set(err, "unavailable", "the database is busy");
    }

    token = NULL;
    rc = cp_auth_start(&r, tx, (out != NULL) ? &token : NULL);

    if (rc == CP_OK) {
        rc = cp_tx_commit(tx);

    } else {
        cp_tx_rollback(tx);
    }

    if (rc != CP_OK) {
        (void) cp_err_set(err, r.err.code ? r.err.code : "internal", "%s",
                          r.err.detail ? r.err.detail : "commit failed");

    } else if (out != NULL) {
        (void) fprintf(out, "%s\n", token);
    }

    cp_arena_destroy(a);

    return rc;
}


/* `more` gets a further token; NULL: the first one is written to the file. */
static cp_rc_t
cp_auth_start(cp_req_t *r, cp_tx_t *tx, const char **more)
{
    cp_rc_t      rc;
    const char  *token, *path;

    path = r->app->conf.admin_token_file;
    token = NULL;

    rc = cp_feed_lock(tx, r->arena, &r->err);

    if (rc == CP_OK) {
        rc = cp_audit_rekey(r, tx);
    }

    if (rc == CP_OK) {
        rc = (more != NULL) ? cp_auth_new(r, tx, more)
                            : cp_auth_first(r, tx, path[0] ? &token : NULL);
    }

    if (rc == CP_OK && token) {

        /* before the commit: a token that nobody holds would lock us out */

        rc = cp_auth_write(path, token, &r->err);
    }

    if (rc == CP_OK && token) {
        cp_log(CP_LOG_INFO, "auth", "wrote the first platform-admin token"
               " file:%s", path);
    }

    return rc;
}


/* *token stays as it is when there is an active one.  token NULL: there is
 * nowhere to write a new one to. */
static cp_rc_t
cp_auth_first(cp_req_t *r, cp_tx_t *tx, const char **token)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, r->arena, "SELECT id FROM admin_tokens"
                     " WHERE role = 'platform-admin' AND state = 'active'"
                     " AND (expires_at IS NULL OR expires_at > $1) LIMIT 1",
                     cp_args(cp_int(cp_time_ms())), &rows, &r->err);
    if (rc != CP_OK || rows.rows) {
        return rc;
    }

    if (token == NULL) {
        cp_log(CP_LOG_WARN, "auth", "there is no platform-admin token, and no"
               " admin_token_file to write one to");
        return CP_OK;
    }

    return cp_auth_new(r, tx, token);
}


static cp_rc_t
cp_auth_new(cp_req_t *r, cp_tx_t *tx, const char **token)
{
    cp_rc_t      rc;
    cp_json_t   *in, *obj;
    cp_arena_t  *a;

    a = r->arena;
    in = cp_json_object(a);
    cp_json_set(a, in, "name",
                cp_json_string(a, cp_arena_printf(a, "bootstrap-%s", r->id)));
    cp_json_set(a, in, "title", cp_json_string(a, "made by stoa-control"));
    cp_json_set(a, in, "role", cp_json_string(a, "platform-admin"));

    rc = cp_resource_create(r, tx, &cp_res_admin_token, NULL, in, -1, &obj);
    if (rc != CP_OK) {
        return rc;
    }

    *token = cp_json_str(obj, "token");

    return CP_OK;
}


/* Whole or not at all, and never readable by others. */
static cp_rc_t
cp_auth_write(const char *path, const char *token, cp_err_t *err)
{
    int    fd;
    bool   ok;
    char   temp[4096];

    if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int) sizeof(temp)) {
        return cp_err_set(err, "internal", "the path is too long");
    }

    (void) unlink(temp);

    fd = open(temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC|O_NOFOLLOW, 0600);
    if (fd == -1) {
        return cp_err_set(err, "internal", "cannot make %s: %s", temp,
                          strerror(errno));
    }

    ok = dprintf(fd, "%s\n", token) == (int) strlen(token) + 1
         && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;

    if (!ok || rename(temp, path) != 0) {
        (void) unlink(temp);
        return cp_err_set(err, "internal", "cannot write %s: %s", path,
                          strerror(errno));
    }

    return CP_OK;
}
