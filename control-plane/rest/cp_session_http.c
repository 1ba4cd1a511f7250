/*
 * /v1/session, /v1/sessions: logging in and out by password, the logins of a
 * person.
 */

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "auth/cp_auth.h"
#include "auth/cp_session.h"
#include "auth/cp_user.h"
#include "people/cp_factor.h"
#include "people/cp_password.h"
#include "rest/cp_rest.h"
#include "rest/cp_session_http.h"


static cp_rc_t cp_session_own(cp_req_t *r);
static bool cp_session_origin(cp_req_t *r, const char *origin);


bool
cp_session_sent(cp_req_t *r)
{
    return cp_req_cookie(r, cp_session_cookie_name(r->op.app)) != NULL;
}


cp_rc_t
cp_session_judge(cp_req_t *r)
{
    cp_rc_t      rc;
    const char  *text, *client, *cookie;

    text = cp_req_cookie(r, cp_session_cookie_name(r->op.app));
    client = cp_req_header(r, "Stoa-Client");

    if (text == NULL) {
        return cp_err_set(&r->op.err, "unauthorized", "a login is needed");
    }

    rc = cp_session_own(r);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_session_check(&r->op, text,
                          !(client && strcmp(client, "background") == 0),
                          &cookie);

    if (rc == CP_OK && cookie) {
        r->cookie = cookie;
    }

    return rc;
}


/*
 * 403 for what changes something and may have been sent by a page of another
 * site: an Origin or Sec-Fetch-Site that is not ours, nor a page's that may
 * use a login (cors_credentials), or neither a header
 * Stoa-Client nor a body that is no form's.  SameSite=Lax is the first wall,
 * this one does not depend on the browser's age.
 */
static cp_rc_t
cp_session_own(cp_req_t *r)
{
    bool         ours;
    const char  *site, *origin, *type;

    if (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0) {
        return CP_OK;
    }

    site = cp_req_header(r, "Sec-Fetch-Site");
    origin = cp_req_header(r, "Origin");
    type = cp_req_header(r, "Content-Type");

    ours = (cp_req_befriended(r)
            || ((site == NULL || strcmp(site, "same-origin") == 0
                 || strcmp(site, "none") == 0)
                && (origin == NULL || cp_session_origin(r, origin))))
           && (cp_req_header(r, "Stoa-Client") != NULL
               || (type && strncasecmp(type, "application/json", 16) == 0));

    return ours ? CP_OK
           : cp_err_set(&r->op.err, "forbidden", "the request may be of"
                        " another site: it needs its own Origin, and a header"
                        " Stoa-Client or a body in application/json");
}


/* The configured one, else what the client calls us. */
static bool
cp_session_origin(cp_req_t *r, const char *origin)
{
    size_t       len;
    const char  *url, *host, *slash;

    url = r->op.app->conf.public_url;
    host = strstr(origin, "://");

    if (url[0]) {
        slash = strstr(url, "://");
        slash = slash ? strchr(slash + 3, '/') : NULL;
        len = slash ? (size_t) (slash - url) : strlen(url);

        return strlen(origin) == len && strncasecmp(origin, url, len) == 0;
    }

    url = cp_req_header(r, "Host");

    return host && url && strcasecmp(host + 3, url) == 0;
}


/* An object of strings, each known, none twice. */
cp_rc_t
cp_session_body(cp_req_t *r, const cp_member_t *members, void *out)
{
    cp_rc_t             rc;
    cp_json_t          *in;
    const cp_json_t    *v;
    const cp_member_t  *m;

    rc = cp_req_json(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    if (in->type != CP_JSON_OBJECT) {
        return cp_err_set(&r->op.err, "bad_request", "must be an object");
    }

    for (v = in->first; v; v = v->next) {
        for (m = members; m->name && strcmp(m->name, v->key) != 0; m++) {
            /* void */
        }

        if (m->name == NULL || v->type != CP_JSON_STRING) {
            (void) cp_err_field(&r->op.err, -1, v->line, v->key, m->name
                                ? "must be a string" : "is not known");
            continue;
        }

        if (v->len > m->max) {
            (void) cp_err_field(&r->op.err, -1, v->line, v->key,
                                "may have %zu bytes", m->max);
        }

        *(const char **) ((char *) out + m->offset) = v->s;
    }

    for (m = members; m->name; m++) {
        if (m->required && cp_json_str(in, m->name) == NULL) {
            (void) cp_err_field(&r->op.err, -1, 0, m->name, "is required");
        }
    }

    return r->op.err.status ? CP_DECLINED : CP_OK;
}


static const cp_member_t  cp_login_members[] = {
    { "name", true, CP_USER_MAIL_MAX, offsetof(cp_login_t, name) },
    { "password", true, CP_PASSWORD_MAX, offsetof(cp_login_t, password) },
    { "new_password", false, CP_PASSWORD_MAX,
      offsetof(cp_login_t, new_password) },
    { "code", false, CP_FACTOR_MAX, offsetof(cp_login_t, code) },
    { NULL, false, 0, 0 }
};


/* Who is logged in already gets another login: the old one ends with it. */
static cp_rc_t
cp_session_post(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_login_t  l;

    memset(&l, 0, sizeof(l));

    rc = cp_session_perhaps(r);

    if (rc == CP_OK) {
        rc = cp_session_body(r, cp_login_members, &l);
    }

    if (rc == CP_OK) {
        rc = cp_session_login(r, &l);
    }

    return rc == CP_OK ? cp_session_show(r, 201) : rc;
}


cp_rc_t
cp_session_perhaps(cp_req_t *r)
{
    cp_rc_t      rc;
    const char  *cookie;

    rc = cp_session_own(r);

    if (rc != CP_OK || !cp_session_sent(r)) {
        return rc;
    }

    rc = cp_session_check(&r->op,
                          cp_req_cookie(r, cp_session_cookie_name(r->op.app)),
                          false, &cookie);
    if (rc == CP_ERROR) {
        return rc;
    }

    if (rc == CP_OK && cookie) {
        r->cookie = cookie;
    }

    cp_op_clear(&r->op);

    return CP_OK;
}


cp_rc_t
cp_session_login(cp_req_t *r, cp_login_t *l)
{
    cp_rc_t  rc;

    l->address = cp_req_address(r);
    l->agent = cp_req_header(r, "User-Agent");
    l->known = cp_req_cookie(r, cp_login_known_name(r->op.app));

    rc = cp_login(&r->op, l);

    if (l->retry_s) {
        cp_req_set_header(r, "Retry-After",
                          cp_arena_printf(r->op.arena, "%" PRId64,
                                          l->retry_s));
    }

    if (rc == CP_OK) {
        r->cookie = l->cookie;
        r->op.session = l->session;

        if (l->know) {
            cp_req_set_header(r, "Set-Cookie", l->know);
        }
    }

    return rc;
}


static cp_rc_t
cp_session_get(cp_req_t *r)
{
    return cp_session_show(r, 200);
}


static cp_json_t *
cp_session_json(cp_arena_t *a, const cp_rows_t *rows, unsigned i)
{
    unsigned      k;
    cp_json_t    *out;
    cp_val_t     *v;
    static const struct {
        const char  *name;
        bool         time;
    } members[] = {
        { "id", false }, { "how", false }, { "address", false },
        { "agent", false }, { "auth_at", true }, { "created_at", true },
        { "last_at", true }, { "ends_at", true }
    };

    out = cp_json_object(a);

    for (k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
        v = cp_cell(rows, i, k);

        if (v->type != CP_VAL_NULL) {
            cp_json_put(a, out, members[k].name, members[k].time
                        ? cp_time_format(a, v->i) : v->p);
        }
    }

    return out;
}


#define CP_SESSION_COLUMNS                                                    \
    "SELECT id, how, address, agent, auth_at, created_at, last_at, ends_at"   \
    " FROM sessions WHERE person = $1 AND ends_at > $2"


cp_rc_t
cp_session_show(cp_req_t *r, int status)
{
    cp_rc_t              rc;
    cp_tx_t             *tx;
    cp_rows_t            rows;
    cp_entry_t           e;
    cp_json_t           *out;
    cp_names_t           names;
    const cp_session_t  *s;

    s = r->op.session;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    cp_names_init(&names, tx, r->op.arena, &r->op.err);
    e.row = NULL;

    rc = cp_tx_query(tx, r->op.arena, CP_SESSION_COLUMNS " AND id = $3",
                     cp_args(cp_text(s->person), cp_int(cp_time_ms()),
                             cp_text(s->id)), &rows, &r->op.err);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, r->op.arena, &cp_res_user, s->person, &e.row,
                         &r->op.err);
    }

    if (rc == CP_OK && e.row) {
        rc = cp_row_show(&names, &cp_res_user, e.row, &e.obj);
    }

    cp_tx_rollback(tx);

    if (rc == CP_OK && (rows.rows == 0 || e.row == NULL)) {
        rc = cp_err_set(&r->op.err, "unauthorized", "the login has ended");
    }

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_session_json(r->op.arena, &rows, 0);
    cp_json_put(r->op.arena, out, "idle_ends_at",
                cp_time_format(r->op.arena, s->idle_ms));
    cp_json_set(r->op.arena, out, "user", e.obj);

    return cp_req_answer(r, status, out);
}


static cp_rc_t
cp_session_list(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *out, *items, *item;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, r->op.arena, CP_SESSION_COLUMNS
                     " ORDER BY created_at DESC, id DESC",
                     cp_args(cp_text(r->op.session->person),
                             cp_int(cp_time_ms())), &rows, &r->op.err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    items = cp_json_array(r->op.arena);

    for (i = 0; i < rows.rows; i++) {
        item = cp_session_json(r->op.arena, &rows, i);
        cp_json_put_bool(r->op.arena, item, "current",
                         strcmp(cp_cell(&rows, i, 0)->p,
                                r->op.session->id) == 0);
        cp_json_push(items, item);
    }

    out = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, out, "items", items);

    return cp_req_answer(r, 200, out);
}


/* id NULL: all but the one that asks. */
static cp_rc_t
cp_session_ends(cp_req_t *r, const char *id)
{
    cp_rc_t              rc;
    cp_tx_t             *tx;
    unsigned             n;
    cp_news_t            news;
    const cp_session_t  *s;

    s = r->op.session;

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_session_end(&r->op, tx, s->person, id, s->id, &n);

    if (rc == CP_OK && id && n == 0) {
        rc = cp_err_set(&r->op.err, "not_found", "there is no login"
                        " \"%.64s\"", id);
    }

    if (rc == CP_OK && n) {
        memset(&news, 0, sizeof(news));
        news.person = s->person;
        news.name = r->op.actor.name;
        news.action = "logout";
        news.detail = id == NULL ? "others" : strcmp(id, s->id) == 0
                      ? "own" : "another";
        news.address = cp_req_address(r);
        rc = cp_news_add(&r->op, tx, &news);
    }

    rc = cp_tx_finish(tx, rc, &r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    cp_session_forget();

    if (id && strcmp(id, s->id) == 0) {
        r->cookie = cp_session_gone(&r->op);
    }

    return cp_req_answer(r, 204, NULL);
}


static cp_rc_t
cp_session_delete(cp_req_t *r)
{
    return cp_session_ends(r, r->op.session->id);
}


static cp_rc_t
cp_session_delete_one(cp_req_t *r)
{
    return cp_session_ends(r, r->param[0]);
}


static cp_rc_t
cp_session_delete_others(cp_req_t *r)
{
    return cp_session_ends(r, NULL);
}


const cp_route_t  cp_session_routes[] = {
    { "POST", "/v1/session", CP_AUTH_NONE, NULL, cp_session_post, NULL,
      "Log in by password", NULL },
    { "GET", "/v1/session", CP_AUTH_SESSION, NULL, cp_session_get, NULL,
      "Who is logged in, until when", NULL },
    { "DELETE", "/v1/session", CP_AUTH_SESSION, NULL, cp_session_delete,
      NULL, "Log out", NULL },
    { "GET", "/v1/sessions", CP_AUTH_SESSION, NULL, cp_session_list, NULL,
      "The own logins", NULL },
    { "DELETE", "/v1/sessions", CP_AUTH_SESSION, NULL,
      cp_session_delete_others, NULL, "End all other logins of oneself",
      NULL },
    { "DELETE", "/v1/sessions/{session}", CP_AUTH_SESSION, NULL,
      cp_session_delete_one, NULL, "End one of the own logins", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
