/*
 * Logins at the provider, asked for again by their refresh tokens.
 *
 * By a job and not by requests: a token that is good once is used once,
 * whatever a page asks at the same time, by one replica, and nobody waits.
 * Who was not here since the last time is not asked for: it would keep alive
 * there what is idle here.
 */

#include <string.h>

#include "base/cp_metrics.h"
#include "oidc/cp_oidc_login.h"


#define CP_OIDC_RENEW_MAX    200       /* in one run                         */
#define CP_OIDC_RENEW_AGAIN  30000     /* ms after no answer                 */
#define CP_OIDC_RENEW_LATE   (CP_SESSION_TOUCH_MS + 5000)
                                       /* that somebody was here is written  */


typedef struct {
    const char  *id;
    const char  *person;
    int64_t      due;
    cp_json_t   *kept;                 /* what was sealed with it            */
    const char  *grants;               /* as stored; NULL: none              */
} cp_oidc_due_t;

typedef struct {
    const cp_oidc_due_t  *d;
    const cp_oidc_id_t   *id;
    cp_session_new_t      n;
} cp_oidc_renewal_t;


/* Takes its turn: *mine: no other replica has. */
static cp_rc_t
cp_oidc_renew_take(cp_op_t *op, cp_oidc_due_t *d, bool *mine)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "UPDATE sessions SET refresh_at = $3"
                     " WHERE id = $1 AND refresh_at = $2"
                     " RETURNING secret, grants",
                     cp_args(cp_text(d->id), cp_int(d->due),
                             cp_int(cp_time_ms() + CP_OIDC_RENEW_AGAIN)),
                     &rows, &op->err);
    rc = cp_tx_finish(tx, rc, &op->err);
    *mine = rc == CP_OK && rows.rows;

    if (*mine) {
        d->kept = cp_session_secret(op->arena, d->id, cp_cell(&rows, 0, 0));
        d->grants = cp_cell(&rows, 0, 1)->type == CP_VAL_TEXT
                    ? cp_cell(&rows, 0, 1)->p : NULL;
    }

    return rc;
}


static cp_rc_t
cp_oidc_renew_end(cp_op_t *op, const cp_oidc_due_t *d)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;
    unsigned  n;

    cp_op_clear(op);

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_session_end(op, tx, d->person, d->id, NULL, &n);

    if (rc == CP_OK && n) {
        rc = cp_oidc_logout_tell(op, tx, d->person);
    }

    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc == CP_OK) {
        cp_session_forget();
    }

    return rc;
}


static cp_rc_t
cp_oidc_renew_write(cp_op_t *op, cp_tx_t *tx, void *data)
{
    cp_rc_t             rc;
    const char         *person;
    cp_oidc_renewal_t  *r = data;

    rc = r->id ? cp_user_oidc(op, tx, &r->id->user, &person) : CP_OK;

    return rc == CP_OK ? cp_session_renew(op, tx, r->d->id, &r->n) : rc;
}


/* id NULL: no ID token came with it, so the roles are as they were. */
static cp_rc_t
cp_oidc_renew_keep(cp_op_t *op, const cp_oidc_due_t *d,
    const cp_oidc_id_t *id)
{
    cp_rc_t             rc;
    cp_json_t          *grants;
    const char         *text;
    cp_oidc_renewal_t   r;

    memset(&r, 0, sizeof(r));
    grants = NULL;

    if (id == NULL && d->grants
        && cp_json_parse(op->arena, d->grants, strlen(d->grants), &grants,
                         NULL) != CP_OK)
    {
        return CP_ERROR;
    }

    r.d = d;
    r.id = id;
    r.n.grants = id ? id->grants : grants;
    r.n.secret = cp_json_text(op->arena, d->kept, NULL);
    r.n.refresh_ms = cp_time_ms() + op->app->conf.oidc_refresh_s * 1000;

    rc = cp_oidc_write(op, cp_oidc_renew_write, &r);
    text = r.n.grants ? cp_json_text(op->arena, r.n.grants, NULL) : NULL;

    if (rc == CP_OK && (text == NULL) + (d->grants == NULL) != 2
        && (text == NULL || d->grants == NULL
            || strcmp(text, d->grants) != 0))
    {
        cp_session_forget();           /* other rights: at once             */
    }

    return rc;
}


/* The same person, of the same login. */
static cp_rc_t
cp_oidc_renew_same(cp_op_t *op, const cp_oidc_due_t *d,
    const cp_oidc_id_t *id)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM users WHERE id = $1"
                     " AND issuer = $2 AND subject = $3",
                     cp_args(cp_text(d->person), cp_text(id->user.issuer),
                             cp_text(id->user.subject
                                     ? id->user.subject : "")), &rows,
                     &op->err);
    cp_tx_rollback(tx);

    return rc == CP_OK && rows.rows == 0
           ? cp_oidc_refuse(op, "the token is of another person") : rc;
}


/* *result: for the metric. */
static cp_rc_t
cp_oidc_renew_one(cp_op_t *op, cp_oidc_due_t *d, const char **result)
{
    bool           mine;
    cp_rc_t        rc;
    cp_json_t     *out;
    const char    *token, *next;
    cp_oidc_id_t   id;

    *result = NULL;
    rc = cp_oidc_renew_take(op, d, &mine);

    if (rc != CP_OK || !mine) {
        return rc;
    }

    token = d->kept ? cp_json_str(d->kept, "refresh_token") : NULL;
    *result = "result=\"ended\"";

    if (token == NULL) {
        return cp_oidc_renew_end(op, d);
    }

    rc = cp_oidc_exchange(op, (const char *const []) {
        "grant_type", "refresh_token", "refresh_token", token, NULL }, &out);

    if (rc == CP_OK) {
        token = cp_json_str(out, "id_token");
        next = cp_json_str(out, "refresh_token");

        if (next) {
            cp_json_put(op->arena, d->kept, "refresh_token", next);
        }

        if (token) {
            cp_json_put(op->arena, d->kept, "id_token", token);
            rc = cp_oidc_id(op, token, NULL, &id);
            rc = rc == CP_OK ? cp_oidc_renew_same(op, d, &id) : rc;
        }

        if (rc == CP_OK) {
            *result = "result=\"ok\"";
            rc = cp_oidc_renew_keep(op, d, token ? &id : NULL);
        }
    }

    if (rc == CP_DECLINED && op->err.status == 401) {
        return cp_oidc_renew_end(op, d);
    }

    *result = rc == CP_OK ? *result : "result=\"failed\"";

    return rc;
}


static cp_rc_t
cp_oidc_renew_due(cp_op_t *op, cp_rows_t *rows)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;
    int64_t   now;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    now = cp_time_ms();
    rc = cp_tx_query(tx, op->arena, "SELECT id, person, refresh_at"
                     " FROM sessions WHERE refresh_at <= $1 AND ends_at > $1"
                     " AND last_at > refresh_at - $2 AND provider = $3"
                     " AND rules = $5 ORDER BY refresh_at LIMIT $4",
                     cp_args(cp_int(now),
                             cp_int(op->app->conf.oidc_refresh_s * 1000
                                    + CP_OIDC_RENEW_LATE),
                             cp_text(op->app->conf.oidc_issuer),
                             cp_int(CP_OIDC_RENEW_MAX),
                             cp_text(op->app->rules)), rows, &op->err);
    cp_tx_rollback(tx);

    return rc;
}


cp_rc_t
cp_oidc_renew_job(cp_app_t *app)
{
    cp_rc_t         rc;
    cp_op_t         op, one;
    unsigned        i;
    cp_rows_t       rows;
    cp_arena_t     *a;
    const char     *result;
    cp_oidc_due_t   d;

    if (!cp_oidc_logins(app)) {
        return CP_OK;
    }

    a = cp_arena_create(16 * 1024 * 1024);

    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "renewals");
    rc = cp_oidc_renew_due(&op, &rows);

    for (i = 0; rc == CP_OK && i < rows.rows && !atomic_load(&app->stopping);
         i++)
    {
        memset(&d, 0, sizeof(d));
        d.id = cp_cell(&rows, i, 0)->p;
        d.person = cp_cell(&rows, i, 1)->p;
        d.due = cp_cell(&rows, i, 2)->i;
        cp_op_system(&one, app, cp_arena_create(4 * 1024 * 1024),
                     "renewals");
        rc = one.arena ? cp_oidc_renew_one(&one, &d, &result) : CP_ERROR;

        if (one.arena && result) {
            cp_metric_add(cp_metric(CP_METRIC_COUNTER, "stoa_control_oidc_"
                                    "renewals_total", result, "Logins that "
                                    "the provider was asked for again, by "
                                    "result."), 1);
        }

        cp_arena_destroy(one.arena);
    }

    cp_arena_destroy(a);

    /* no answer: the others wait for the next run, too */

    return rc == CP_DECLINED ? CP_OK : rc;
}
