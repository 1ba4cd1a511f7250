/*
 * Owners of applications: the job.
 */

#include <string.h>

#include "base/cp_metrics.h"
#include "oidc/cp_owner.h"


/* Of the job's thread alone, but for what the metrics copy. */
static struct {
    int64_t  next;                     /* look at events, monotonic ms       */
    int64_t  began;                    /* the last at all, monotonic ms      */
    int64_t  ended;
    int64_t  leased;                   /* until, monotonic ms                */
    int64_t  token_until;              /* monotonic ms                       */
    int64_t  clock_ms;                 /* Keycloak's, then:                  */
    int64_t  clock_at;                 /* monotonic ms                       */
    char     holder[STOA_ID_LEN + 1];
    char     bearer[STOA_JWT_MAX + 16];
    char     self[128];
    bool     events;                   /* a look at them is under way        */
    bool     good;                     /* the last one was answered          */
    bool     all;                      /* all have to be looked at           */
    bool     failed;                   /* the last look at all               */
} cp_owner;

static const char *cp_owner_token(cp_look_t *look);


static bool
cp_owner_used(const cp_app_t *app)
{
    return cp_oidc_used(app) && app->conf.keycloak_client_id[0] != '\0';
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


static bool
cp_owner_open(cp_look_t *look, cp_app_t *app)
{
    memset(look, 0, sizeof(cp_look_t));
    look->app = app;
    look->arena = cp_arena_create(CP_OWNER_ARENA);

    if (look->arena == NULL) {
        return false;
    }

    look->base = cp_owner_base(app, look->arena);
    look->bearer = cp_owner.bearer;
    look->self = cp_owner.self;
    look->error = look->base ? cp_owner_token(look) : "the issuer is no realm"
                  " of Keycloak's: keycloak_admin_url is needed";
    look->clock_ms = cp_owner.clock_at
                     ? cp_owner.clock_ms + cp_time_mono_ms()
                       - cp_owner.clock_at
                     : cp_time_ms();

    return true;
}


/* The turn is kept while a look at all, or one at events, goes on. */
static void
cp_owner_keep(void *ctx)
{
    const cp_look_t  *look = ctx;

    if (cp_time_mono_ms() > cp_owner.leased) {
        (void) cp_owner_lease(look->app);
    }
}


static void
cp_owner_look_events(cp_app_t *app, cp_look_t *whole)
{
    bool       good;
    cp_look_t  look;

    cp_owner.next = cp_time_mono_ms() + app->conf.keycloak_look_ms;

    if (!cp_owner_open(&look, app)) {
        return;
    }

    look.alive = cp_owner_keep;
    look.ctx = &look;
    cp_owner.events = true;

    if (cp_owner_events(&look, whole)) {
        cp_owner.all = true;
    }

    /* what events say no longer is asked for at once, by another token */

    good = look.error == NULL;
    cp_owner.events = false;
    cp_owner.all |= cp_owner.good && !good;
    cp_owner.token_until = good ? cp_owner.token_until : 0;
    cp_owner.good = good;
    cp_arena_destroy(look.arena);
}


/* Events go first, also before the rest of a look at all. */
static void
cp_owner_alive(void *ctx)
{
    cp_look_t  *look = ctx;

    cp_owner_keep(look);

    if (!cp_owner.events && look->error == NULL
        && cp_time_mono_ms() >= cp_owner.next)
    {
        cp_owner_look_events(look->app, look);
    }
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
    cp_owner.clock_ms = cp_json_num(claims, "iat", 0) * 1000 + 1000;

    return sub && strlen(sub) < sizeof(cp_owner.self)
           && strspn(sub, "0123456789abcdefABCDEF-") == strlen(sub)
           && snprintf(cp_owner.self, sizeof(cp_owner.self), "%s", sub) > 0;
}


/* A token of the service account's; NULL: there is one. */
static const char *
cp_owner_token(cp_look_t *look)
{
    char              secret[1024];
    int64_t           mono;
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

    mono = cp_time_mono_ms();
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
    cp_owner.clock_at = cp_owner.clock_ms > 1000 ? mono : 0;
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


static cp_rc_t
cp_owner_tell(cp_look_t *look, int64_t began, int64_t took)
{
    return cp_owner_write(look->app, look->arena, "UPDATE owner_looks SET"
                          " at_ms = $1, good_ms = CASE WHEN $2 = '' THEN $1"
                          " ELSE good_ms END, took_ms = $3, error = $2"
                          " WHERE id = 1",
                          cp_args(cp_int(began),
                                  cp_text(look->error ? look->error : ""),
                                  cp_int(took)), NULL);
}


/* Without events a third of the time is others'. */
static bool
cp_owner_due(const cp_app_t *app)
{
    int64_t  now, took;

    now = cp_time_mono_ms();
    took = cp_owner.ended - cp_owner.began;

    return cp_owner.all
           || (now >= cp_owner.began + app->conf.keycloak_look_ms
               && now >= cp_owner.ended
                         + (cp_owner.good && !cp_owner.failed
                            ? took * CP_OWNER_REST : took / 2));
}


static cp_rc_t
cp_owner_look_all(cp_app_t *app)
{
    cp_rc_t    rc;
    int64_t    began;
    cp_look_t  look;

    began = cp_time_ms();
    cp_owner.began = cp_owner.ended = cp_time_mono_ms();
    cp_owner.all = false;

    if (!cp_owner_open(&look, app)) {
        return CP_ERROR;
    }

    look.alive = cp_owner_alive;
    look.ctx = &look;
    rc = cp_owner_load(&look, false);

    if (rc == CP_OK && look.error == NULL) {
        cp_owner_look(&look);
        rc = cp_owner_store_all(&look);
    }

    if (look.error) {
        cp_owner.token_until = 0;
    }

    cp_owner.ended = cp_time_mono_ms();
    cp_owner.failed = look.error != NULL;

    if (rc == CP_OK) {
        rc = cp_owner_tell(&look, began, cp_owner.ended - cp_owner.began);
    }

    cp_metric_set(cp_metric(CP_METRIC_GAUGE, "stoa_control_owners_failing",
                            "", "1 if the last look at the owners of "
                            "applications was not answered."),
                  look.error != NULL);

    cp_arena_destroy(look.arena);

    return rc;
}


cp_rc_t
cp_owner_job(cp_app_t *app)
{
    int64_t  now;

    now = cp_time_mono_ms();

    if (!cp_owner_used(app) || (now < cp_owner.next && !cp_owner_due(app))) {
        return CP_OK;
    }

    if (!cp_owner_lease(app)) {
        cp_owner.next = now + app->conf.keycloak_look_ms;
        cp_owner.all = true;

        return CP_OK;
    }

    cp_owner_look_events(app, NULL);

    return cp_owner_due(app) ? cp_owner_look_all(app) : CP_OK;
}


cp_rc_t
cp_owner_state(cp_op_t *op, cp_json_t **out)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    cp_rows_t        rows;
    cp_json_t       *events;
    const cp_val_t  *c;
    cp_arena_t      *a = op->arena;

    *out = NULL;

    if (!cp_owner_used(op->app)) {
        return CP_OK;
    }

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    /* as they are, not as they were at the end of a look at all */

    rc = cp_tx_query(tx, a, "SELECT at_ms, good_ms, took_ms, (SELECT COUNT(*)"
                     " FROM applications WHERE owner IS NOT NULL), (SELECT"
                     " COUNT(*) FROM applications WHERE owner IS NOT NULL AND"
                     " disowned = 1), error, events_at, events_error"
                     " FROM owner_looks WHERE id = 1", NULL, 0, &rows,
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

    events = cp_json_object(a);
    cp_json_put(a, events, "state", c[7].len ? "failing"
                : c[6].i ? "ok" : "pending");

    if (c[6].i) {
        cp_json_put(a, events, "at", cp_time_format(a, c[6].i));
        cp_json_put_int(a, events, "age_s", (cp_time_ms() - c[6].i) / 1000);
    }

    if (c[7].len) {
        cp_json_put(a, events, "error", c[7].p);
    }

    cp_json_set(a, *out, "events", events);

    return CP_OK;
}
