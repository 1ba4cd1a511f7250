/*
 * The end of logins at the provider, told by it or to it; what may be used
 * once.
 */

#include <string.h>

#include "oidc/cp_oidc_login.h"


#define CP_OIDC_LOGOUT_EVENT                                                  \
    "http://schemas.openid.net/event/backchannel-logout"
#define CP_OIDC_LOGOUT_S  300          /* the age of a logout token          */


/* Of one length, whatever somebody sends. */
const char *
cp_oidc_mark_of(cp_arena_t *a, const char *kind, const char *text)
{
    uint8_t  sum[32];

    cp_sha256(text, strlen(text), sum);

    return cp_arena_printf(a, "%s:%s", kind, cp_hex(a, sum, sizeof(sum)));
}


cp_rc_t
cp_oidc_mark(cp_op_t *op, cp_tx_t *tx, const char *what, int64_t until,
    bool *first)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "INSERT INTO login_marks (what, until_at)"
                     " VALUES ($1, $2) ON CONFLICT (what) DO NOTHING"
                     " RETURNING what", cp_args(cp_text(what), cp_int(until)),
                     &rows, &op->err);
    *first = rc == CP_OK && rows.rows == 1;

    return rc;
}


cp_rc_t
cp_oidc_marked(cp_op_t *op, cp_tx_t *tx, const char *what, bool *marked)
{
    cp_rc_t    rc;
    cp_tx_t   *own;
    cp_rows_t  rows;

    own = NULL;

    if (tx == NULL && cp_tx_open(op->app->db, false, &own, &op->err) != CP_OK)
    {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx ? tx : own, op->arena, "SELECT 1 FROM login_marks"
                     " WHERE what = $1 AND until_at > $2",
                     cp_args(cp_text(what), cp_int(cp_time_ms())), &rows,
                     &op->err);
    *marked = rc == CP_OK && rows.rows == 1;

    if (own) {
        cp_tx_rollback(own);
    }

    return rc;
}


cp_rc_t
cp_oidc_leave(cp_op_t *op, const char **location)
{
    cp_rc_t            rc;
    cp_tx_t           *tx;
    unsigned           n;
    cp_rows_t          rows;
    cp_news_t          news;
    cp_json_t         *kept;
    const char        *url, *form;
    const cp_conf_t   *conf = &op->app->conf;

    *location = NULL;

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT secret FROM sessions WHERE id ="
                     " $1 AND provider = $2",
                     cp_args(cp_text(op->session->id),
                             cp_text(conf->oidc_issuer)), &rows, &op->err);

    if (rc == CP_OK) {
        rc = cp_session_end(op, tx, op->session->person, op->session->id,
                            NULL, &n);
    }

    if (rc == CP_OK) {
        memset(&news, 0, sizeof(news));
        news.person = op->session->person;
        news.name = op->actor.name;
        news.action = "logout";
        news.detail = "everywhere";
        rc = cp_news_add(op, tx, &news);
    }

    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc != CP_OK) {
        return rc;
    }

    cp_session_forget();

    url = rows.rows ? cp_oidc_named(op->arena, "end_session_endpoint")
                    : NULL;

    if (url == NULL) {
        return CP_OK;
    }

    kept = cp_session_secret(op->arena, op->session->id,
                             cp_cell(&rows, 0, 0));
    form = cp_oidc_form(op->arena, (const char *const []) {
        "client_id", conf->oidc_client_id, "post_logout_redirect_uri",
        cp_arena_printf(op->arena, "%s/", conf->public_url),
        "id_token_hint", kept ? cp_json_str(kept, "id_token") : NULL, NULL });
    *location = cp_arena_printf(op->arena, "%s%c%s", url,
                                strchr(url, '?') ? '&' : '?', form);

    return CP_OK;
}


/* Whom it means, and that it says so once. */
typedef struct {
    const char  *sid;
    const char  *sub;
    const char  *jti;
    int64_t      until;                /* Unix ms: no longer than this       */
} cp_oidc_told_t;


static cp_rc_t
cp_oidc_logout_judge(cp_op_t *op, const stoa_json_val_t *claims,
    cp_oidc_told_t *t)
{
    int64_t          now, at, exp;
    cp_rc_t          rc;
    stoa_json_val_t  val, event;

    rc = cp_oidc_audience(op, claims, op->app->conf.oidc_client_id);
    if (rc != CP_OK) {
        return rc;
    }

    now = cp_time_ms() / 1000;

    if (!stoa_jwt_claim(claims, "iat", 3, &val) || !stoa_jwt_time(&val, &at)
        || at > now + CP_OIDC_SKEW_S || at <= now - CP_OIDC_LOGOUT_S)
    {
        return cp_oidc_refuse(op, "the token is not of now");
    }

    if (stoa_jwt_claim(claims, "exp", 3, &val)) {
        rc = cp_oidc_times(op, claims, &exp);
        if (rc != CP_OK) {
            return rc;
        }
    }

    if (!stoa_jwt_claim(claims, "events", 6, &val)
        || val.type != STOA_JSON_OBJECT
        || !stoa_json_get(&val, CP_OIDC_LOGOUT_EVENT, &event)
        || event.type != STOA_JSON_OBJECT)
    {
        return cp_oidc_refuse(op, "the token tells of no logout");
    }

    if (stoa_jwt_claim(claims, "nonce", 5, &val)) {
        return cp_oidc_refuse(op, "the token has a nonce, so it is none of a "
                              "logout");
    }

    t->sid = cp_oidc_claim(op, claims, "sid");
    t->sub = cp_oidc_claim(op, claims, "sub");
    t->jti = cp_oidc_claim(op, claims, "jti");
    t->until = (at + CP_OIDC_LOGOUT_S + CP_OIDC_SKEW_S) * 1000;

    return t->jti && (t->sid || t->sub) ? CP_OK
           : cp_oidc_refuse(op, "the token names no login, or not itself");
}


cp_rc_t
cp_oidc_logout_tell(cp_op_t *op, cp_tx_t *tx, const char *person)
{
    cp_rc_t    rc;
    cp_rows_t  rows;
    cp_news_t  news;

    rc = cp_tx_query(tx, op->arena, "SELECT name, COALESCE(tenant, '')"
                     " FROM users WHERE id = $1", cp_args(cp_text(person)),
                     &rows, &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    memset(&news, 0, sizeof(news));
    news.person = person;
    news.name = cp_cell(&rows, 0, 0)->p;
    news.tenant = cp_cell(&rows, 0, 1)->p;
    news.action = "logout";
    news.detail = "provider";

    return cp_news_add(op, tx, &news);
}


/* sid: one login; sub alone: all of the person's. */
static cp_rc_t
cp_oidc_logout_in(cp_op_t *op, cp_tx_t *tx, const cp_oidc_told_t *t)
{
    bool         first;
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    const char  *issuer = op->app->conf.oidc_issuer;

    rc = cp_oidc_mark(op, tx, cp_oidc_mark_of(op->arena, "jti", t->jti),
                      t->until, &first);

    if (rc == CP_OK && !first) {
        return cp_oidc_refuse(op, "the token was used before");
    }

    if (rc == CP_OK && t->sid) {
        rc = cp_oidc_mark(op, tx, cp_oidc_mark_of(op->arena, "sid", t->sid),
                          cp_time_ms() + CP_OIDC_LOGIN_S * 1000, &first);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "DELETE FROM sessions"
                         " WHERE provider = $1 AND ($2 = '' OR sid = $2)"
                         " AND ($3 = '' OR person IN (SELECT id FROM users"
                         " WHERE issuer = $1 AND subject = $3))"
                         " RETURNING person",
                         cp_args(cp_text(issuer),
                                 cp_text(t->sid ? t->sid : ""),
                                 cp_text(t->sub ? t->sub : "")), &rows,
                         &op->err);
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        rc = cp_oidc_logout_tell(op, tx, cp_cell(&rows, i, 0)->p);
    }

    return rc;
}


cp_rc_t
cp_oidc_logout(cp_op_t *op, const char *token)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    stoa_jwt_t       jwt;
    cp_oidc_told_t   told;

    memset(&told, 0, sizeof(told));
    rc = cp_oidc_open(op, token, true, &jwt);

    if (rc == CP_OK) {
        rc = cp_oidc_logout_judge(op, &jwt.claims, &told);
    }

    if (rc == CP_OK) {
        if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_oidc_logout_in(op, tx, &told);
        rc = cp_tx_finish(tx, rc, &op->err);
    }

    if (rc == CP_OK) {
        cp_session_forget();
    }

    return rc;
}
