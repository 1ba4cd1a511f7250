/*
 * An attempt to log in at the provider: begun, and come back.
 */

#include <string.h>

#include "base/cp_metrics.h"
#include "base/cp_seal.h"
#include "oidc/cp_oidc_login.h"


#define CP_OIDC_STATE_MAX  4096
#define CP_OIDC_CODE_MAX   2048

/* What the state says. */
typedef struct {
    const char  *nonce;
    const char  *verifier;
    const char  *browser;              /* SHA-256 of its cookie, hex         */
    const char  *to;
    int64_t      until;                /* Unix ms                            */
} cp_oidc_state_t;

/* Who comes in, and with what. */
typedef struct {
    cp_oidc_back_t  *b;
    int64_t          until;            /* of the state                       */
    cp_oidc_id_t     id;
    cp_json_t       *kept;             /* the tokens                         */
} cp_oidc_entry_t;


static const char  cp_oidc_begin_again[] = "this login was begun in another"
    " browser, or too long ago, or is over already: begin again";


bool
cp_oidc_logins(const cp_app_t *app)
{
    return cp_oidc_used(app) && app->conf.oidc_client_id[0];
}


const char *
cp_oidc_login_cookie(const cp_app_t *app)
{
    return app->conf.insecure_cookies ? CP_SESSION_PLAIN "-login"
                                      : CP_SESSION_COOKIE "-login";
}


static bool
cp_oidc_key(cp_arena_t *a, uint8_t key[32])
{
    const char  *salt;

    salt = cp_seal_salt(a, "oidc-login");

    if (salt) {
        cp_sha256(salt, strlen(salt), key);
    }

    return salt != NULL;
}


static const char *
cp_oidc_digest(cp_arena_t *a, const char *text)
{
    uint8_t  sum[32];

    cp_sha256(text, strlen(text), sum);

    return cp_hex(a, sum, sizeof(sum));
}


/* A path of this server's, as a browser reads it too, and none that begins
 * another login; else home. */
static const char *
cp_oidc_local(const char *to)
{
    const char  *p;

    if (to == NULL || to[0] != '/' || to[1] == '/'
        || strlen(to) > CP_OIDC_TO_MAX
        || strncmp(to, CP_OIDC_HOME, sizeof(CP_OIDC_HOME) - 1) == 0)
    {
        return "/";
    }

    for (p = to; *p; p++) {
        if (*p <= ' ' || *p >= 0x7f || *p == '\\') {
            return "/";
        }
    }

    return to;
}


static const char *
cp_oidc_redirect(cp_op_t *op)
{
    return cp_arena_printf(op->arena, "%s" CP_OIDC_BACK,
                           op->app->conf.public_url);
}


static const char *
cp_oidc_challenge(cp_arena_t *a, const char *verifier)
{
    uint8_t  sum[32];

    cp_sha256(verifier, strlen(verifier), sum);

    return cp_base64url_encode(a, sum, sizeof(sum));
}


static const char *
cp_oidc_state_make(cp_op_t *op, const cp_oidc_state_t *s)
{
    size_t       len;
    uint8_t      key[32];
    cp_json_t   *obj;
    const char  *text;

    obj = cp_json_object(op->arena);
    cp_json_put(op->arena, obj, "n", s->nonce);
    cp_json_put(op->arena, obj, "v", s->verifier);
    cp_json_put(op->arena, obj, "b", s->browser);
    cp_json_put(op->arena, obj, "to", s->to);
    cp_json_put_int(op->arena, obj, "u", s->until);
    text = cp_json_text(op->arena, obj, &len);

    return text && cp_oidc_key(op->arena, key)
           ? cp_seal_by(op->arena, key, "oidc-login", text, len) : NULL;
}


cp_rc_t
cp_oidc_begin(cp_op_t *op, const char *browser, const char *to,
    const char **location, const char **cookie)
{
    const char       *digest, *url, *state, *form;
    cp_oidc_state_t   s;
    const cp_conf_t  *conf = &op->app->conf;

    url = cp_oidc_named(op->arena, "authorization_endpoint");

    if (url == NULL) {
        return cp_err_set(&op->err, "unavailable", "the provider of "
                          "identities has not answered yet");
    }

    if (browser == NULL || strlen(browser) != CP_TICKET_LEN) {
        browser = cp_ticket_make(op->arena, &digest);
    }

    s.nonce = cp_ticket_make(op->arena, &digest);
    s.verifier = cp_ticket_make(op->arena, &digest);
    s.browser = browser ? cp_oidc_digest(op->arena, browser) : NULL;
    s.to = cp_oidc_local(to);
    s.until = cp_time_ms() + CP_OIDC_LOGIN_S * 1000;

    if (s.nonce == NULL || s.verifier == NULL || s.browser == NULL
        || (state = cp_oidc_state_make(op, &s)) == NULL)
    {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    form = cp_oidc_form(op->arena, (const char *const []) {
        "response_type", "code", "client_id", conf->oidc_client_id,
        "redirect_uri", cp_oidc_redirect(op), "scope", conf->oidc_scopes,
        "state", state, "nonce", s.nonce, "code_challenge",
        cp_oidc_challenge(op->arena, s.verifier), "code_challenge_method",
        "S256", NULL });

    *location = cp_arena_printf(op->arena, "%s%c%s", url,
                                strchr(url, '?') ? '&' : '?', form);

    /* kept beyond this attempt: other tabs have theirs */

    *cookie = cp_arena_printf(op->arena, "%s=%s; Path=/; HttpOnly;%s "
                              "SameSite=Lax; Max-Age=%d",
                              cp_oidc_login_cookie(op->app), browser,
                              conf->insecure_cookies ? "" : " Secure;",
                              CP_OIDC_LOGIN_S);

    return CP_OK;
}


/* False: it is none of ours, of this browser, of now. */
static bool
cp_oidc_state_open(cp_op_t *op, const cp_oidc_back_t *b, cp_oidc_state_t *s)
{
    size_t       len;
    uint8_t      key[32];
    cp_json_t   *obj;
    const char  *text, *digest;

    text = b->state && strlen(b->state) <= CP_OIDC_STATE_MAX
           && cp_oidc_key(op->arena, key)
           ? cp_unseal_by(op->arena, key, "oidc-login", b->state, &len)
           : NULL;

    if (text == NULL || b->browser == NULL
        || cp_json_parse(op->arena, text, len, &obj, NULL) != CP_OK)
    {
        return false;
    }

    s->nonce = cp_json_str(obj, "n");
    s->verifier = cp_json_str(obj, "v");
    s->browser = cp_json_str(obj, "b");
    s->to = cp_json_str(obj, "to");
    s->until = cp_json_num(obj, "u", 0);
    digest = cp_oidc_digest(op->arena, b->browser);

    return s->nonce && s->verifier && s->browser && s->to && digest
           && strcmp(digest, s->browser) == 0 && cp_time_ms() < s->until;
}


/* Who answers is whom we sent the browser to (RFC 9207). */
static bool
cp_oidc_answers(cp_op_t *op, const char *iss)
{
    return iss ? strcmp(iss, op->app->conf.oidc_issuer) == 0
           : !cp_oidc_says("authorization_response_iss_parameter_"
                           "supported");
}


static cp_rc_t
cp_oidc_news(cp_op_t *op, cp_tx_t *tx, const cp_oidc_back_t *b,
    const char *person)
{
    cp_rc_t    rc;
    cp_news_t  news;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "UPDATE users SET last_login_at = $2"
                     " WHERE id = $1 RETURNING name, COALESCE(tenant, '')",
                     cp_args(cp_text(person), cp_int(cp_time_ms())), &rows,
                     &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    memset(&news, 0, sizeof(news));
    news.person = person;
    news.name = cp_cell(&rows, 0, 0)->p;
    news.tenant = cp_cell(&rows, 0, 1)->p;
    news.action = "login";
    news.detail = "oidc";
    news.address = b->address;

    return cp_news_add(op, tx, &news);
}


static cp_rc_t
cp_oidc_enter(cp_op_t *op, cp_tx_t *tx, void *data)
{
    bool                 first, over;
    cp_rc_t              rc;
    const char          *person;
    cp_oidc_entry_t     *e = data;
    cp_session_new_t     n;
    const cp_oidc_id_t  *id = &e->id;

    rc = cp_oidc_mark(op, tx, cp_oidc_mark_of(op->arena, "state",
                                              e->b->state),
                      e->until, &first);

    if (rc == CP_OK && !first) {
        rc = cp_err_set(&op->err, "bad_request", "%s", cp_oidc_begin_again);
    }

    /* the provider may have ended it while we were at it */

    over = false;

    if (rc == CP_OK && id->sid) {
        rc = cp_oidc_marked(op, tx, cp_oidc_mark_of(op->arena, "sid",
                                                    id->sid), &over);
    }

    if (rc == CP_OK && over) {
        rc = cp_oidc_refuse(op, "the login has ended at the provider of "
                            "identities");
    }

    if (rc == CP_OK) {
        rc = cp_user_oidc(op, tx, &id->user, &person);
    }

    if (rc == CP_OK) {
        rc = cp_oidc_news(op, tx, e->b, person);
    }

    if (rc != CP_OK) {
        return rc;
    }

    memset(&n, 0, sizeof(n));
    n.person = person;
    n.how = "oidc";
    n.auth_ms = id->auth_ms;
    n.grants = id->grants;
    n.provider = op->app->conf.oidc_issuer;
    n.sid = id->sid;
    n.secret = cp_json_text(op->arena, e->kept, NULL);
    n.refresh_ms = cp_json_get(e->kept, "refresh_token")
                   ? cp_time_ms() + op->app->conf.oidc_refresh_s * 1000 : 0;
    n.address = e->b->address;
    n.agent = e->b->agent;

    return cp_session_open(op, tx, &n, &e->b->session, &e->b->cookie);
}


cp_rc_t
cp_oidc_write(cp_op_t *op, cp_oidc_write_pt write, void *data)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;
    unsigned  tries;

    for (tries = 0; tries < CP_OP_RETRIES; tries++) {

        if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_tx_finish(tx, write(op, tx, data), &op->err);

        if (rc != CP_CONFLICT) {
            return rc;
        }

        cp_op_clear(op);
    }

    return cp_err_set(&op->err, "unavailable", "the database was too busy, "
                      "log in again");
}


/* The code for tokens, and those for a login. */
static cp_rc_t
cp_oidc_redeem(cp_op_t *op, cp_oidc_back_t *b, const cp_oidc_state_t *s)
{
    cp_rc_t           rc;
    cp_json_t        *out;
    const char       *token;
    cp_oidc_entry_t   e;

    rc = cp_oidc_exchange(op, (const char *const []) {
        "grant_type", "authorization_code", "code", b->code, "redirect_uri",
        cp_oidc_redirect(op), "code_verifier", s->verifier, NULL }, &out);

    if (rc != CP_OK) {
        return rc;
    }

    token = cp_json_str(out, "id_token");

    if (token == NULL) {
        return cp_err_set(&op->err, "bad_gateway", "the provider of "
                          "identities has sent no ID token");
    }

    rc = cp_oidc_id(op, token, s->nonce, &e.id);

    if (rc != CP_OK) {
        return rc;
    }

    e.b = b;
    e.until = s->until;
    e.kept = cp_json_object(op->arena);
    cp_json_put(op->arena, e.kept, "id_token", token);
    cp_json_put(op->arena, e.kept, "refresh_token",
                cp_json_str(out, "refresh_token"));

    rc = cp_oidc_write(op, cp_oidc_enter, &e);

    if (rc == CP_OK) {
        cp_session_forget();
    }

    return rc;
}


static cp_rc_t
cp_oidc_judged(cp_op_t *op, cp_oidc_back_t *b, const cp_oidc_state_t *s)
{
    bool     used;
    cp_rc_t  rc;

    if (!cp_oidc_answers(op, b->iss)) {
        return cp_oidc_refuse(op, "another provider than the one asked has "
                              "answered");
    }

    rc = cp_oidc_marked(op, NULL, cp_oidc_mark_of(op->arena, "state",
                                                  b->state), &used);
    if (rc != CP_OK) {
        return rc;
    }

    if (used) {
        return cp_err_set(&op->err, "bad_request", "%s",
                          cp_oidc_begin_again);
    }

    if (b->error) {
        return cp_err_set(&op->err, "unauthorized", "the provider of "
                          "identities says \"%.*s\"",
                          (int) strspn(b->error, "abcdefghijklmnopqrstuvwxyz"
                                                 "_"), b->error);
    }

    if (b->code == NULL || strlen(b->code) > CP_OIDC_CODE_MAX) {
        return cp_err_set(&op->err, "bad_request", "there is no code");
    }

    return cp_oidc_redeem(op, b, s);
}


cp_rc_t
cp_oidc_finish(cp_op_t *op, cp_oidc_back_t *b)
{
    cp_rc_t           rc;
    const char       *result;
    cp_oidc_state_t   s;

    b->to = "/";

    if (cp_oidc_state_open(op, b, &s)) {
        b->to = s.to;
        rc = cp_oidc_judged(op, b, &s);

    } else {
        rc = cp_err_set(&op->err, "bad_request", "%s", cp_oidc_begin_again);
    }

    result = rc == CP_OK ? "result=\"ok\"" : rc == CP_DECLINED
             ? "result=\"refused\"" : "result=\"failed\"";
    cp_metric_add(cp_metric(CP_METRIC_COUNTER, "stoa_control_oidc_logins_"
                            "total", result, "Logins at the provider of "
                            "identities, by result."), 1);

    if (rc != CP_DECLINED) {
        return rc;
    }

    cp_log(CP_LOG_INFO, "oidc", "login refused: %s", op->err.detail);

    if (op->session) {
        cp_op_clear(op);
        rc = CP_OK;
    }

    return rc;
}
