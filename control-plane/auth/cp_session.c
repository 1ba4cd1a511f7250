/*
 * Opening, checking, ending logins.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/stoa_json.h"
#include "auth/cp_auth.h"
#include "auth/cp_session.h"
#include "base/cp_seal.h"


#define CP_SESSION_JOB_MAX   500             /* touches of one transaction  */
#define CP_SESSION_AGENT_MAX 200

/* A login that was checked lately. */
typedef struct {
    uint8_t    digest[32];
    int64_t    until;                          /* monotonic; 0: look again  */
    int64_t    idle_ms;                        /* Unix, all that follow     */
    int64_t    last_ms;
    int64_t    written_ms;                     /* last_ms in the database   */
    int64_t    ends_ms;
    int64_t    auth_ms;
    bool       was;                            /* the cookie before         */
    char      *grants;                         /* malloc; NULL: none        */
    char       id[STOA_ID_LEN + 1];
    char       person[STOA_ID_LEN + 1];
    char       how[16];
    char       name[STOA_NAME_MAX + 1];
} cp_session_row_t;

static struct {
    pthread_mutex_t   lock;
    uint64_t          generation;
    cp_session_row_t  row[CP_SESSION_CACHE];
} cp_session_cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* A touch that the job has to write. */
typedef struct {
    char     id[STOA_ID_LEN + 1];
    int64_t  last_ms;
} cp_session_touch_t;


static cp_rc_t cp_session_load(cp_op_t *op, const uint8_t *digest,
    bool touch, cp_session_row_t *row, const char **cookie);
static cp_rc_t cp_session_late(cp_op_t *op, cp_session_row_t *row);
static cp_rc_t cp_session_actor(cp_op_t *op, const cp_session_row_t *row);
static cp_rc_t cp_session_fill(cp_op_t *op, const cp_rows_t *rows,
    cp_session_row_t *row);
static cp_rc_t cp_session_rotate(cp_op_t *op, const cp_session_row_t *row,
    const char *before, const char **cookie);
static cp_rc_t cp_session_known(cp_op_t *op, const cp_session_row_t *row);
static cp_rc_t cp_session_bound(cp_op_t *op, cp_tx_t *tx,
    const char *person);
static cp_rc_t cp_session_refuse(cp_op_t *op);
static bool cp_session_cached(cp_op_t *op, const uint8_t *digest, bool touch,
    cp_session_row_t *out, uint64_t *generation);
static void cp_session_keep(const cp_session_row_t *row,
    uint64_t generation);
static const char *cp_session_set(cp_op_t *op, const char *text);


const char *
cp_session_cookie_name(const cp_app_t *app)
{
    return app->conf.insecure_cookies ? CP_SESSION_PLAIN : CP_SESSION_COOKIE;
}


/* No Max-Age: the browser forgets it when it ends, the server at its time. */
static const char *
cp_session_set(cp_op_t *op, const char *text)
{
    return cp_arena_printf(op->arena, "%s=%s; Path=/; HttpOnly;%s "
                           "SameSite=Lax%s",
                           cp_session_cookie_name(op->app), text,
                           op->app->conf.insecure_cookies ? "" : " Secure;",
                           *text ? "" : "; Max-Age=0");
}


const char *
cp_session_gone(cp_op_t *op)
{
    return cp_session_set(op, "");
}


static cp_val_t
cp_session_cut(cp_arena_t *a, const char *s)
{
    char  *text;

    text = s ? cp_arena_printf(a, "%.*s", CP_SESSION_AGENT_MAX, s) : NULL;

    return text && stoa_utf8_valid(text, strlen(text)) ? cp_text(text)
                                                       : cp_null();
}


static const char *
cp_session_seal(cp_arena_t *a, const char *id, const char *secret)
{
    return secret ? cp_seal(a, cp_arena_printf(a, "session:%s", id), secret)
                  : NULL;
}


static cp_val_t
cp_session_grants(cp_arena_t *a, const cp_session_new_t *s)
{
    return s->grants ? cp_text(cp_json_text(a, s->grants, NULL)) : cp_null();
}


static cp_session_t *
cp_session_of(cp_op_t *op, const char *id, const char *person,
    const char *how)
{
    cp_session_t  *s;

    s = cp_arena_alloc(op->arena, sizeof(cp_session_t));

    if (s) {
        s->id = cp_arena_strdup(op->arena, id);
        s->person = cp_arena_strdup(op->arena, person);
        s->how = cp_arena_strdup(op->arena, how);
    }

    return s;
}


cp_rc_t
cp_session_open(cp_op_t *op, cp_tx_t *tx, const cp_session_new_t *s,
    cp_session_t **opened, const char **cookie)
{
    char         id[STOA_ID_LEN + 1];
    int64_t      now, ends;
    cp_rc_t      rc;
    unsigned     n;
    const char  *text, *digest, *sealed;

    now = cp_time_ms();
    ends = now + op->app->conf.session_max_s * 1000;
    ends = s->ends_ms && s->ends_ms < ends ? s->ends_ms : ends;

    if (op->session) {
        rc = cp_session_end(op, tx, op->session->person, op->session->id,
                            NULL, &n);
        if (rc != CP_OK) {
            return rc;
        }
    }

    rc = cp_session_bound(op, tx, s->person);
    if (rc != CP_OK) {
        return rc;
    }

    cp_id_make(id);
    text = cp_ticket_make(op->arena, &digest);
    sealed = cp_session_seal(op->arena, id, s->secret);

    if (text == NULL || (s->secret && sealed == NULL)) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    *cookie = cp_session_set(op, text);
    *opened = cp_session_of(op, id, s->person, s->how);

    if (*opened == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    (*opened)->auth_ms = s->auth_ms ? s->auth_ms : now;
    (*opened)->idle_ms = now + op->app->conf.session_idle_s * 1000;
    (*opened)->ends_ms = ends;

    return cp_tx_query(tx, op->arena, "INSERT INTO sessions (id, person,"
                       " digest, how, auth_at, created_at, last_at, ends_at,"
                       " rights, grants, provider, sid, secret, address,"
                       " agent, rules, refresh_at) VALUES ($1, $2, $3, $4,"
                       " $5, $6, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
                       " $15, $16)",
                       cp_args(cp_text(id), cp_text(s->person),
                               cp_text(digest), cp_text(s->how),
                               cp_int(s->auth_ms ? s->auth_ms : now),
                               cp_int(now), cp_int(ends), cp_text(""),
                               cp_session_grants(op->arena, s),
                               cp_text(s->provider),
                               cp_text(s->sid), cp_text(sealed),
                               cp_session_cut(op->arena, s->address),
                               cp_session_cut(op->arena, s->agent),
                               cp_text(s->provider ? op->app->rules : NULL),
                               s->refresh_ms ? cp_int(s->refresh_ms)
                                             : cp_null()),
                       NULL, &op->err);
}


cp_rc_t
cp_session_renew(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_session_new_t *s)
{
    const char  *sealed;

    sealed = cp_session_seal(op->arena, id, s->secret);

    if (s->secret && sealed == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    return cp_tx_query(tx, op->arena, "UPDATE sessions SET grants = $2,"
                       " secret = $3, refresh_at = $4 WHERE id = $1",
                       cp_args(cp_text(id), cp_session_grants(op->arena, s),
                               cp_text(sealed), cp_int(s->refresh_ms)), NULL,
                       &op->err);
}


cp_json_t *
cp_session_secret(cp_arena_t *a, const char *id, const cp_val_t *sealed)
{
    char       *text;
    cp_json_t  *kept;

    text = sealed->type == CP_VAL_TEXT
           ? cp_unseal(a, cp_arena_printf(a, "session:%s", id), sealed->p)
           : NULL;

    return text && cp_json_parse(a, text, strlen(text), &kept, NULL) == CP_OK
           ? kept : NULL;
}


/* One more is about to be: the oldest go. */
static cp_rc_t
cp_session_bound(cp_op_t *op, cp_tx_t *tx, const char *person)
{
    return cp_tx_query(tx, op->arena, "DELETE FROM sessions WHERE id IN"
                       " (SELECT id FROM sessions WHERE person = $1"
                       " ORDER BY created_at DESC, id DESC LIMIT 1000"
                       " OFFSET $2)",
                       cp_args(cp_text(person), cp_int(CP_SESSIONS_MAX - 1)),
                       NULL, &op->err);
}


cp_rc_t
cp_session_check(cp_op_t *op, const char *text, bool touch,
    const char **cookie)
{
    cp_rc_t           rc;
    uint8_t           digest[32];
    uint64_t          generation;
    cp_session_row_t  row;

    *cookie = NULL;

    if (strlen(text) != CP_TICKET_LEN) {
        return cp_session_refuse(op);
    }

    cp_sha256(text, CP_TICKET_LEN, digest);

    memset(&row, 0, sizeof(row));

    if (cp_session_cached(op, digest, touch, &row, &generation)) {
        rc = cp_session_actor(op, &row);

    } else {
        rc = cp_session_load(op, digest, touch, &row, cookie);

        if (rc == CP_OK) {
            cp_session_keep(&row, generation);
        }
    }

    return rc == CP_OK ? cp_session_known(op, &row) : rc;
}


/* One text, whatever it is that is wrong. */
static cp_rc_t
cp_session_refuse(cp_op_t *op)
{
    return cp_err_set(&op->err, "unauthorized", "the login has ended");
}


static cp_rc_t
cp_session_load(cp_op_t *op, const uint8_t *digest, bool touch,
    cp_session_row_t *row, const char **cookie)
{
    cp_rc_t      rc;
    int64_t      now;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *hex;

    now = cp_time_ms();
    hex = cp_hex(op->arena, digest, 32);

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT s.id, s.person, s.how, s.auth_at,"
                     " s.last_at, s.ends_at, s.rights, s.grants, u.name,"
                     " u.state, s.digest FROM sessions s"
                     " JOIN users u ON u.id = s.person WHERE (s.digest = $1"
                     " OR (s.was = $1 AND s.was_until > $2))"
                     " AND COALESCE(s.rules, $3) = $3",
                     cp_args(cp_text(hex), cp_int(now),
                             cp_text(op->app->rules ? op->app->rules : "")),
                     &rows, &op->err);

    if (rc == CP_OK && rows.rows == 0) {
        rc = cp_session_refuse(op);
    }

    if (rc == CP_OK) {
        memcpy(row->digest, digest, 32);
        rc = cp_session_fill(op, &rows, row);
    }

    cp_tx_rollback(tx);

    if (rc == CP_OK) {
        rc = cp_session_actor(op, row);
    }

    if (rc != CP_OK) {
        return rc;
    }

    row->was = strcmp(cp_cell(&rows, 0, 10)->p, hex) != 0;

    if (!row->was) {
        rc = cp_session_rotate(op, row, cp_cell(&rows, 0, 6)->p, cookie);
    }

    if (rc == CP_OK && touch) {
        row->last_ms = now;
        rc = cp_session_late(op, row);
    }

    return rc;
}


/* Somebody was here then. */
static cp_rc_t
cp_session_was(cp_tx_t *tx, cp_arena_t *a, const char *id, int64_t last_ms,
    cp_err_t *err)
{
    return cp_tx_query(tx, a, "UPDATE sessions SET last_at = $2"
                       " WHERE id = $1 AND last_at < $2",
                       cp_args(cp_text(id), cp_int(last_ms)), NULL, err);
}


/* The job comes to it in time, unless this row of the cache is another
 * login's again and again. */
static cp_rc_t
cp_session_late(cp_op_t *op, cp_session_row_t *row)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    if (row->last_ms - row->written_ms < row->idle_ms / 4) {
        return CP_OK;
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_session_was(tx, op->arena, row->id, row->last_ms, &op->err);
    row->written_ms = row->last_ms;

    return cp_tx_finish(tx, rc, &op->err);
}


/* Judges it, too. */
static cp_rc_t
cp_session_fill(cp_op_t *op, const cp_rows_t *rows, cp_session_row_t *row)
{
    int64_t  now;

    now = cp_time_ms();

    row->auth_ms = cp_cell(rows, 0, 3)->i;
    row->written_ms = cp_cell(rows, 0, 4)->i;
    row->last_ms = row->written_ms;
    row->ends_ms = cp_cell(rows, 0, 5)->i;
    row->idle_ms = op->app->conf.session_idle_s * 1000;

    if (row->ends_ms <= now || row->last_ms + row->idle_ms <= now
        || strcmp(cp_cell(rows, 0, 9)->p, "active") != 0)
    {
        return cp_session_refuse(op);
    }

    cp_val_copy(row->id, sizeof(row->id), cp_cell(rows, 0, 0));
    cp_val_copy(row->person, sizeof(row->person), cp_cell(rows, 0, 1));
    cp_val_copy(row->how, sizeof(row->how), cp_cell(rows, 0, 2));
    cp_val_copy(row->name, sizeof(row->name), cp_cell(rows, 0, 8));

    row->grants = cp_cell(rows, 0, 7)->type == CP_VAL_TEXT
                  ? (char *) cp_cell(rows, 0, 7)->p : NULL;

    return CP_OK;
}


/* Fills the actor.  A role of a claim that is no more gives nothing. */
static cp_rc_t
cp_session_actor(cp_op_t *op, const cp_session_row_t *row)
{
    cp_rc_t           rc;
    cp_json_t        *list;
    const char       *grants;
    const cp_json_t  *g;

    memset(&op->actor, 0, sizeof(cp_actor_t));

    op->actor.how = CP_AUTH_USER;
    op->actor.id = cp_arena_strdup(op->arena, row->person);
    op->actor.person = op->actor.id;
    op->actor.name = cp_arena_strdup(op->arena, row->name);

    rc = cp_rbac_user(op, row->person);

    if (rc != CP_OK || row->grants == NULL) {
        return rc;
    }

    grants = row->grants;

    rc = cp_json_parse(op->arena, grants, strlen(grants), &list, &op->err);

    for (g = rc == CP_OK ? list->first : NULL; g; g = g->next) {
        rc = cp_rbac_grant(op, cp_json_str(g, "tenant"),
                           cp_json_str(g, "role"));
        if (rc == CP_ERROR) {
            return rc;
        }
    }

    cp_op_clear(op);

    return CP_OK;
}


static const char *
cp_session_rights(cp_op_t *op)
{
    uint8_t            sum[32];
    unsigned           i;
    stoa_buf_t         b;
    const cp_grant_t  *g;

    stoa_buf_init(&b, 64 * 1024);

    for (g = op->actor.grants; g; g = g->next) {
        stoa_buf_addz(&b, g->tenant ? g->tenant : "-");

        for (i = 0; i < CP_PERMS_WORDS; i++) {
            stoa_buf_addf(&b, " %llx", (unsigned long long) g->may.bits[i]);
        }

        stoa_buf_addz(&b, "\n");
    }

    cp_sha256(b.len ? b.data : "", b.len, sum);
    stoa_buf_free(&b);

    return cp_hex(op->arena, sum, sizeof(sum));
}


/* Of requests at once one gets the new cookie; the others go on. */
static cp_rc_t
cp_session_rotate(cp_op_t *op, const cp_session_row_t *row,
    const char *before, const char **cookie)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *text, *digest, *rights, *old;

    rights = cp_session_rights(op);
    old = cp_hex(op->arena, row->digest, 32);

    if (rights == NULL || old == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    if (strcmp(rights, before) == 0) {
        return CP_OK;
    }

    /* the first request of a login only says what they are */

    text = NULL;
    digest = old;

    if (before[0]) {
        text = cp_ticket_make(op->arena, &digest);

        if (text == NULL) {
            return cp_err_set(&op->err, "internal", "no memory");
        }
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "UPDATE sessions SET was = digest,"
                     " was_until = $4, digest = $3, rights = $5"
                     " WHERE id = $1 AND digest = $2 RETURNING id",
                     cp_args(cp_text(row->id), cp_text(old),
                             cp_text(digest),
                             cp_int(cp_time_ms() + CP_SESSION_GRACE_MS),
                             cp_text(rights)),
                     &rows, &op->err);
    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc == CP_OK && rows.rows && text) {
        *cookie = cp_session_set(op, text);
    }

    return rc;
}


static cp_rc_t
cp_session_known(cp_op_t *op, const cp_session_row_t *row)
{
    cp_session_t  *s;

    s = cp_session_of(op, row->id, row->person, row->how);

    if (s == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    s->auth_ms = row->auth_ms;
    s->idle_ms = row->last_ms + row->idle_ms;
    s->ends_ms = row->ends_ms;
    op->session = s;

    return CP_OK;
}


static cp_session_row_t *
cp_session_slot(const uint8_t *digest)
{
    return &cp_session_cache.row[(digest[0] << 8 | digest[1])
                                 % CP_SESSION_CACHE];
}


/* A touch that the job did not come to in time is left to a look into the
 * database, which writes it. */
static bool
cp_session_cached(cp_op_t *op, const uint8_t *digest, bool touch,
    cp_session_row_t *out, uint64_t *generation)
{
    bool               found;
    int64_t            now;
    cp_session_row_t  *row;

    row = cp_session_slot(digest);
    now = cp_time_ms();

    (void) pthread_mutex_lock(&cp_session_cache.lock);

    *generation = cp_session_cache.generation;
    found = row->until > cp_time_mono_ms() && row->ends_ms > now
            && row->last_ms + row->idle_ms > now
            && stoa_equal_ct(row->digest, digest, 32);

    if (found) {
        row->last_ms = touch && now > row->last_ms ? now : row->last_ms;
        *out = *row;
        out->grants = row->grants ? cp_arena_strdup(op->arena, row->grants)
                                  : NULL;
    }

    (void) pthread_mutex_unlock(&cp_session_cache.lock);

    return found;
}


/* Not when something was written since it was looked up.  Who was here last
 * outlives that: the job has yet to write it. */
static void
cp_session_keep(const cp_session_row_t *row, uint64_t generation)
{
    char              *grants;
    int64_t            last;
    cp_session_row_t  *slot;

    grants = row->grants ? strdup(row->grants) : NULL;

    if (row->grants && grants == NULL) {
        return;
    }

    slot = cp_session_slot(row->digest);

    (void) pthread_mutex_lock(&cp_session_cache.lock);

    last = stoa_equal_ct(slot->digest, row->digest, 32) ? slot->last_ms : 0;

    free(slot->grants);
    *slot = *row;
    slot->grants = grants;
    slot->last_ms = last > row->last_ms ? last : row->last_ms;
    slot->until = generation == cp_session_cache.generation
                  ? cp_time_mono_ms() + CP_SESSION_CACHE_MS : 0;

    (void) pthread_mutex_unlock(&cp_session_cache.lock);
}


void
cp_session_forget(void)
{
    unsigned  i;

    (void) pthread_mutex_lock(&cp_session_cache.lock);

    cp_session_cache.generation++;

    for (i = 0; i < CP_SESSION_CACHE; i++) {
        cp_session_cache.row[i].until = 0;
    }

    (void) pthread_mutex_unlock(&cp_session_cache.lock);
}


cp_rc_t
cp_session_end(cp_op_t *op, cp_tx_t *tx, const char *person, const char *id,
    const char *except, unsigned *n)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = id ? cp_tx_query(tx, op->arena, "DELETE FROM sessions"
                          " WHERE person = $1 AND id = $2 RETURNING id",
                          cp_args(cp_text(person), cp_text(id)), &rows,
                          &op->err)
            : cp_tx_query(tx, op->arena, "DELETE FROM sessions"
                          " WHERE person = $1 AND id <> $2 RETURNING id",
                          cp_args(cp_text(person),
                                  cp_text(except ? except : "")), &rows,
                          &op->err);
    *n = rc == CP_OK ? rows.rows : 0;

    return rc;
}


/* Those whose last request the database does not know. */
static unsigned
cp_session_touched(cp_session_touch_t *list)
{
    unsigned           i, n;
    cp_session_row_t  *row;

    (void) pthread_mutex_lock(&cp_session_cache.lock);

    for (i = 0, n = 0; i < CP_SESSION_CACHE && n < CP_SESSION_JOB_MAX; i++) {
        row = &cp_session_cache.row[i];

        if (row->last_ms - row->written_ms < CP_SESSION_TOUCH_MS) {
            continue;
        }

        memcpy(list[n].id, row->id, sizeof(row->id));
        list[n].last_ms = row->last_ms;
        row->written_ms = row->last_ms;
        n++;
    }

    (void) pthread_mutex_unlock(&cp_session_cache.lock);

    return n;
}


cp_rc_t
cp_session_job(cp_app_t *app)
{
    cp_rc_t              rc;
    cp_tx_t             *tx;
    unsigned             i, n;
    cp_arena_t          *a;
    cp_session_touch_t  *list;

    a = cp_arena_create(4 * 1024 * 1024);
    list = a ? cp_arena_alloc(a, CP_SESSION_JOB_MAX
                                 * sizeof(cp_session_touch_t)) : NULL;

    if (list == NULL || cp_tx_begin(app->db, true, &tx) != CP_OK) {
        cp_arena_destroy(a);
        return CP_ERROR;
    }

    n = cp_session_touched(list);

    for (i = 0, rc = CP_OK; i < n && rc == CP_OK; i++) {
        rc = cp_session_was(tx, a, list[i].id, list[i].last_ms, NULL);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "DELETE FROM sessions WHERE ends_at < $1"
                         " OR last_at < $2",
                         cp_args(cp_int(cp_time_ms()),
                                 cp_int(cp_time_ms() - 2 * 1000
                                        * app->conf.session_idle_s)),
                         NULL, NULL);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "DELETE FROM login_marks WHERE until_at < $1",
                         cp_args(cp_int(cp_time_ms())), NULL, NULL);
    }

    rc = cp_tx_finish(tx, rc, NULL);
    cp_arena_destroy(a);

    return rc;
}
