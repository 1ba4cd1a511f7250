/*
 * Owners of applications: the job.
 */

#include <string.h>

#include "base/cp_metrics.h"
#include "feed/cp_feed.h"
#include "kinds/cp_kinds.h"
#include "oidc/cp_owner.h"


/* Of the job's thread alone, but for what the metrics copy. */
static struct {
    int64_t  next;                     /* look, monotonic ms                 */
    int64_t  leased;                   /* until, monotonic ms                */
    int64_t  token_until;              /* monotonic ms                       */
    char     holder[STOA_ID_LEN + 1];
    char     bearer[STOA_JWT_MAX + 16];
    char     self[128];
} cp_owner;


static bool
cp_owner_used(const cp_app_t *app)
{
    return cp_oidc_used(app) && app->conf.keycloak_client_id[0] != '\0';
}


/* One statement of its own; nothing of it orders configuration. */
static cp_rc_t
cp_owner_write(cp_app_t *app, cp_arena_t *a, const char *sql,
    const cp_val_t *args, unsigned nargs, cp_rows_t *rows)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    rc = cp_tx_begin(app->db, true, &tx);

    if (rc == CP_OK) {
        rc = cp_tx_finish(tx, cp_tx_query(tx, a, sql, args, nargs, rows,
                                          NULL), NULL);
    }

    return rc;
}


/* Is it this replica's turn? */
static bool
cp_owner_lease(cp_app_t *app)
{
    bool         mine;
    int64_t      now;
    cp_rows_t    rows;
    cp_arena_t  *a;

    if (cp_owner.holder[0] == '\0') {
        cp_id_make(cp_owner.holder);
    }

    now = cp_time_ms();
    a = cp_arena_create(64 * 1024);

    mine = a && cp_owner_write(app, a, "UPDATE owner_looks SET holder = $1,"
                               " until_ms = $2 WHERE id = 1 AND (holder = $1"
                               " OR until_ms < $3 OR until_ms > $4)"
                               " RETURNING holder",
                               cp_args(cp_text(cp_owner.holder),
                                       cp_int(now + CP_OWNER_LEASE_MS),
                                       cp_int(now),
                                       cp_int(now + 2 * CP_OWNER_LEASE_MS)),
                               &rows)
                == CP_OK
           && rows.rows == 1;

    cp_arena_destroy(a);

    if (mine) {
        cp_owner.leased = cp_time_mono_ms() + CP_OWNER_LEASE_MS / 2;
    }

    return mine;
}


static void
cp_owner_alive(void *ctx)
{
    if (cp_time_mono_ms() > cp_owner.leased) {
        (void) cp_owner_lease(ctx);
    }
}


/* Those that there are; what was seen of them stays as it is read here. */
static cp_rc_t
cp_owner_load(cp_look_t *look)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    cp_json_t   *owner, *seen;
    cp_rows_t    rows;
    cp_tied_t   *t;
    cp_arena_t  *a = look->arena;

    rc = cp_tx_begin(look->app->db, false, &tx);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, a, "SELECT id, owner, owner_seen FROM applications"
                     " WHERE owner IS NOT NULL ORDER BY id LIMIT $1",
                     cp_args(cp_int(CP_OWNERS_MAX)), &rows, NULL);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    look->tied = cp_arena_alloc(a, (rows.rows + 1) * sizeof(cp_tied_t));

    for (i = 0; look->tied && i < rows.rows; i++) {
        t = &look->tied[look->n];
        t->app = cp_cell(&rows, i, 0)->p;
        t->owner = cp_cell(&rows, i, 1)->p;

        if (cp_json_parse(a, t->owner, strlen(t->owner), &owner, NULL)
            != CP_OK
            || cp_cell(&rows, i, 2)->type != CP_VAL_TEXT
            || cp_json_parse(a, cp_cell(&rows, i, 2)->p,
                             cp_cell(&rows, i, 2)->len, &seen, NULL) != CP_OK)
        {
            continue;
        }

        t->client = cp_json_str(owner, "client") != NULL;
        t->name = cp_json_str(owner, t->client ? "client" : "user");
        t->group = cp_json_str(owner, "group");
        t->id = cp_json_str(seen, "id");
        t->was = cp_json_str(seen, "state");
        look->n += t->name && t->was;
    }

    return look->tied ? CP_OK : CP_ERROR;
}


/* Who the service account is, out of its own token. */
static bool
cp_owner_self(cp_arena_t *a, const char *token)
{
    char        *text;
    size_t       n;
    cp_json_t   *claims;
    const char  *dot, *end, *sub;

    dot = strchr(token, '.');
    end = dot ? strchr(dot + 1, '.') : NULL;
    text = end ? cp_arena_alloc(a, (size_t) (end - dot)) : NULL;

    if (text == NULL
        || !cp_base64url_decode(dot + 1, (size_t) (end - dot) - 1, text, &n)
        || cp_json_parse(a, text, n, &claims, NULL) != CP_OK)
    {
        return false;
    }

    sub = cp_json_str(claims, "sub");

    return sub && strlen(sub) < sizeof(cp_owner.self)
           && strspn(sub, "0123456789abcdefABCDEF-") == strlen(sub)
           && snprintf(cp_owner.self, sizeof(cp_owner.self), "%s", sub) > 0;
}


/* A token of the service account's; NULL: there is one. */
static const char *
cp_owner_token(cp_look_t *look)
{
    char              secret[1024];
    cp_json_t        *out;
    const char       *error, *token;
    const cp_conf_t  *conf = &look->app->conf;

    if (cp_time_mono_ms() < cp_owner.token_until) {
        return NULL;
    }

    if (cp_oidc_file(conf->keycloak_secret_file, secret, sizeof(secret))
        == NULL)
    {
        return "keycloak_secret_file holds no secret";
    }

    error = cp_oidc_account(look->app, look->arena, conf->keycloak_client_id,
                            secret, CP_OIDC_TIMEOUT_MS, &out);
    if (error) {
        return error;
    }

    token = cp_json_str(out, "access_token");

    if (strlen(token) > STOA_JWT_MAX || !cp_owner_self(look->arena, token)) {
        return "the service account's token does not say whose it is";
    }

    (void) snprintf(cp_owner.bearer, sizeof(cp_owner.bearer), "Bearer %s",
                    token);
    cp_owner.token_until = cp_time_mono_ms()
                           + cp_json_num(out, "expires_in", 60) * 500;

    return NULL;
}


const char *
cp_owner_base(cp_app_t *app, cp_arena_t *a)
{
    const char       *url, *realms;
    const cp_conf_t  *conf = &app->conf;

    if (conf->keycloak_admin_url[0]) {
        return conf->keycloak_admin_url;
    }

    url = conf->oidc_url[0] ? conf->oidc_url : conf->oidc_issuer;
    realms = strstr(url, "/realms/");

    return realms ? cp_arena_printf(a, "%.*s/admin%s",
                                    (int) (realms - url), url, realms)
                  : NULL;
}


/* Is there something to store? */
static bool
cp_owner_changed(const cp_tied_t *t)
{
    return t->now && (t->found || strcmp(t->now, t->was) != 0);
}


/* What is said of one, if it is still tied to the same. */
static cp_rc_t
cp_owner_store(cp_op_t *op, cp_tx_t *tx, const cp_tied_t *t)
{
    cp_rc_t            rc;
    cp_json_t         *row, *obj, *in, *seen, *v;
    cp_entry_t         e;
    cp_write_t         w = cp_write_of(op, tx, &cp_res_application);
    cp_arena_t        *a = op->arena;
    const char        *tenant;
    const cp_field_t  *f;

    rc = cp_row_load(tx, a, &cp_res_application, t->app, &row, &op->err);

    if (rc != CP_OK || row == NULL || cp_json_get(row, "owner") == NULL
        || strcmp(cp_json_text(a, cp_json_get(row, "owner"), NULL), t->owner)
           != 0)
    {
        return rc;
    }

    tenant = cp_json_str(row, "tenant");
    rc = cp_resource_get(tx, a, &cp_res_application, tenant, t->app, &obj,
                         &op->err);
    in = cp_json_object(a);
    seen = cp_json_object(a);

    if (rc != CP_OK || in == NULL || seen == NULL) {
        return rc != CP_OK ? rc : CP_ERROR;
    }

    for (f = cp_res_application.fields; f->name; f++) {
        v = cp_json_get(obj, f->name);

        if (v && (f->flags & CP_READONLY) == 0) {
            cp_json_set(a, in, f->name, cp_json_copy(a, v));
        }
    }

    cp_json_put(a, seen, "state", t->now);

    if (t->id) {
        cp_json_put(a, seen, "id", t->id);
    }

    cp_json_put(a, seen, "since", cp_time_format(a, cp_time_ms()));
    cp_json_set(a, in, "owner_seen", seen);
    cp_json_put_bool(a, in, "disowned", strcmp(t->now, "active") != 0);
    w.id = t->app;
    w.in = in;

    return cp_entry_update(&w, &e);
}


/* Some of what has changed, in one transaction. */
static cp_rc_t
cp_owner_batch(cp_look_t *look, unsigned *from)
{
    cp_rc_t      rc;
    cp_op_t      op;
    cp_tx_t     *tx;
    unsigned     i, n;
    cp_tied_t   *t;
    cp_arena_t  *a;

    a = cp_arena_create(CP_OWNER_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, look->app, a, "owners");
    cp_resource_defer(&op);
    n = 0;
    i = *from;
    rc = cp_tx_begin(look->app->db, true, &tx);

    if (rc == CP_OK) {
        rc = cp_feed_lock(tx, a, &op.err);

        for (/* void */; rc == CP_OK && i < look->n && n < CP_OWNER_BATCH;
             i++)
        {
            t = &look->tied[i];

            if (cp_owner_changed(t)) {
                rc = cp_owner_store(&op, tx, t);
                n++;
            }
        }

        if (rc == CP_OK) {
            rc = cp_resource_flush(&op, tx);
        }

        rc = cp_tx_finish(tx, rc, &op.err);
    }

    if (rc == CP_OK) {
        *from = i;

    } else if (rc != CP_CONFLICT) {
        cp_log(CP_LOG_ERROR, "owner", "cannot be stored code:%s %s",
               op.err.code ? op.err.code : "-",
               op.err.detail ? op.err.detail : "");
    }

    cp_arena_destroy(a);

    return rc;
}


static cp_rc_t
cp_owner_store_all(cp_look_t *look)
{
    cp_rc_t   rc;
    unsigned  i, tries, changed;

    for (i = 0, changed = 0; i < look->n; i++) {
        changed += cp_owner_changed(&look->tied[i]);
    }

    if (changed == 0) {
        return CP_OK;
    }

    for (i = 0, tries = 0, rc = CP_OK;
         i < look->n && tries < CP_OP_RETRIES && rc != CP_ERROR
         && rc != CP_DECLINED;
         /* void */)
    {
        rc = cp_owner_batch(look, &i);
        tries = rc == CP_OK ? 0 : tries + 1;
        cp_owner_alive(look->app);
        look->app->wake(look->app);
    }

    cp_log(CP_LOG_INFO, "owner", "stored changed:%u", changed);

    return rc;
}


static cp_rc_t
cp_owner_tell(cp_look_t *look, int64_t began, int64_t took)
{
    unsigned     i, out;
    const char  *state;

    for (i = 0, out = 0; i < look->n; i++) {
        state = look->tied[i].now ? look->tied[i].now : look->tied[i].was;
        out += strcmp(state, "active") != 0 && strcmp(state, "pending") != 0;
    }

    return cp_owner_write(look->app, look->arena, "UPDATE owner_looks SET"
                          " at_ms = $1, good_ms = CASE WHEN $2 = '' THEN $1"
                          " ELSE good_ms END, took_ms = $3, tied = $4,"
                          " disowned = $5, error = $2 WHERE id = 1",
                          cp_args(cp_int(began),
                                  cp_text(look->error ? look->error : ""),
                                  cp_int(took), cp_int(look->n),
                                  cp_int(out)), NULL);
}


cp_rc_t
cp_owner_job(cp_app_t *app)
{
    cp_rc_t      rc;
    int64_t      began, mono, took;
    cp_look_t    look;

    if (!cp_owner_used(app) || cp_time_mono_ms() < cp_owner.next) {
        return CP_OK;
    }

    mono = cp_time_mono_ms();
    cp_owner.next = mono + app->conf.keycloak_look_ms;

    if (!cp_owner_lease(app)) {
        return CP_OK;
    }

    memset(&look, 0, sizeof(look));
    look.app = app;
    look.arena = cp_arena_create(CP_OWNER_ARENA);
    look.alive = cp_owner_alive;
    look.ctx = app;
    began = cp_time_ms();
    rc = look.arena ? cp_owner_load(&look) : CP_ERROR;

    if (rc == CP_OK) {
        look.base = cp_owner_base(app, look.arena);
        look.error = look.base ? cp_owner_token(&look) : "the issuer is no "
                     "realm of Keycloak's: keycloak_admin_url is needed";
        look.bearer = cp_owner.bearer;
        look.self = cp_owner.self;

        if (look.error == NULL) {
            cp_owner_look(&look);
            rc = cp_owner_store_all(&look);
        }

        if (look.error) {
            cp_owner.token_until = 0;
        }

        took = cp_time_mono_ms() - mono;

        if (rc == CP_OK) {
            rc = cp_owner_tell(&look, began, took);
        }

        /* a third of the time is others' */

        if (mono + took * 3 / 2 > cp_owner.next) {
            cp_owner.next = mono + took * 3 / 2;
        }

        cp_metric_set(cp_metric(CP_METRIC_GAUGE,
                                "stoa_control_owners_failing", "",
                                "1 if the last look at the owners of "
                                "applications was not answered."),
                      look.error != NULL);
    }

    cp_arena_destroy(look.arena);

    return rc;
}


cp_rc_t
cp_owner_state(cp_op_t *op, cp_json_t **out)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    cp_rows_t        rows;
    const cp_val_t  *c;
    cp_arena_t      *a = op->arena;

    *out = NULL;

    if (!cp_owner_used(op->app)) {
        return CP_OK;
    }

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, "SELECT at_ms, good_ms, took_ms, tied, disowned,"
                     " error FROM owner_looks WHERE id = 1", NULL, 0, &rows,
                     &op->err);
    cp_tx_rollback(tx);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    c = cp_cell(&rows, 0, 0);
    *out = cp_json_object(a);
    cp_json_put(a, *out, "state", c[0].i == 0 ? "pending"
                : c[5].len ? "failing" : "ok");
    cp_json_put_int(a, *out, "tied", c[3].i);
    cp_json_put_int(a, *out, "disowned", c[4].i);
    cp_json_put_int(a, *out, "took_ms", c[2].i);

    if (c[0].i) {
        cp_json_put(a, *out, "at", cp_time_format(a, c[0].i));
    }

    /* what was seen is as old as the last look that all was answered to */

    if (c[1].i) {
        cp_json_put(a, *out, "good_at", cp_time_format(a, c[1].i));
        cp_json_put_int(a, *out, "age_s", (cp_time_ms() - c[1].i) / 1000);
    }

    if (c[5].len) {
        cp_json_put(a, *out, "error", c[5].p);
    }

    return CP_OK;
}
