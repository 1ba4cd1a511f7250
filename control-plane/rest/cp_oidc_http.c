/*
 * /v1/session/oidc: logging in and out at the provider of identities.
 */

#include <string.h>
#include <strings.h>

#include "oidc/cp_oidc_login.h"
#include "rest/cp_session_http.h"


static cp_rc_t
cp_oidc_needed(cp_req_t *r)
{
    return cp_oidc_logins(r->op.app) ? CP_OK
           : cp_err_set(&r->op.err, "not_found", "nobody logs in at a "
                        "provider of identities here");
}


static cp_rc_t
cp_oidc_go(cp_req_t *r, const char *to)
{
    cp_req_set_header(r, "Location", to);

    return cp_req_answer(r, 303, NULL);
}


/* A browser's navigation, so no page's request: nothing is changed by it but
 * for the browser that has the cookie. */
static cp_rc_t
cp_oidc_get(cp_req_t *r)
{
    cp_rc_t      rc;
    const char  *location;

    rc = cp_oidc_needed(r);

    if (rc == CP_OK) {
        rc = cp_oidc_begin(&r->op,
                           cp_req_cookie(r, cp_oidc_login_cookie(r->op.app)),
                           cp_req_query(r, "to"), &location, &r->cookie);
    }

    return rc == CP_OK ? cp_oidc_go(r, location) : rc;
}


static void
cp_oidc_text(stoa_buf_t *b, const char *s)
{
    for ( ; *s; s++) {
        if (strchr("<>&\"'", *s)) {
            stoa_buf_addf(b, "&#%d;", *s);

        } else {
            stoa_buf_add(b, s, 1);
        }
    }
}


/* For people: what was wrong, and a way on. */
static cp_rc_t
cp_oidc_page(cp_req_t *r, const char *to)
{
    stoa_buf_t  *b = &r->out;

    stoa_buf_reset(b);
    stoa_buf_addz(b, "<!doctype html><html lang=\"en\"><meta charset="
                  "\"utf-8\"><title>Not logged in</title>"
                  "<h1>Not logged in</h1><p>");
    cp_oidc_text(b, r->op.err.detail);
    stoa_buf_addz(b, "</p><p><a href=\"" CP_OIDC_HOME);

    if (strcmp(to, "/") != 0) {
        stoa_buf_addz(b, "?");
        cp_oidc_text(b, cp_oidc_form(r->op.arena, (const char *const []) {
            "to", to, NULL }));
    }

    stoa_buf_addz(b, "\">Log in again</a></p><p>");
    cp_oidc_text(b, r->op.request_id);
    stoa_buf_addz(b, "</p></html>\n");

    r->status = r->op.err.status;
    r->content_type = "text/html; charset=utf-8";

    return b->rc == STOA_OK ? CP_OK : CP_ERROR;
}


static cp_rc_t
cp_oidc_came(cp_req_t *r)
{
    cp_rc_t         rc;
    const char     *accept;
    cp_oidc_back_t  b;

    rc = cp_session_perhaps(r);

    if (rc != CP_OK) {
        return rc;
    }

    memset(&b, 0, sizeof(b));
    b.browser = cp_req_cookie(r, cp_oidc_login_cookie(r->op.app));
    b.state = cp_req_query(r, "state");
    b.code = cp_req_query(r, "code");
    b.iss = cp_req_query(r, "iss");
    b.error = cp_req_query(r, "error");
    b.address = cp_req_address(r);
    b.agent = cp_req_header(r, "User-Agent");

    rc = cp_oidc_finish(&r->op, &b);

    if (rc == CP_OK && b.cookie) {
        r->cookie = b.cookie;
    }

    accept = cp_req_header(r, "Accept");

    if (rc == CP_DECLINED && accept && strstr(accept, "text/html")) {
        return cp_oidc_page(r, b.to);
    }

    return rc == CP_OK ? cp_oidc_go(r, b.to) : rc;
}


/* Again and again until it is its turn. */
static cp_rc_t
cp_oidc_callback(cp_req_t *r)
{
    cp_rc_t   rc;
    int64_t   now, *until = r->ctx;

    rc = cp_oidc_needed(r);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_oidc_turn(r->op.app)) {
        rc = cp_oidc_came(r);
        cp_oidc_turn_over();

        return rc;
    }

    now = cp_time_mono_ms();

    if (until == NULL) {
        until = cp_arena_alloc(r->op.arena, sizeof(int64_t));
        if (until == NULL) {
            return CP_ERROR;
        }

        *until = now + CP_OIDC_TURN_MS;
        r->ctx = until;
    }

    if (now >= *until || atomic_load(&r->op.app->stopping)) {
        return cp_err_set(&r->op.err, "unavailable", "the provider of "
                          "identities is slow, and others wait for it");
    }

    return cp_req_park(r, now + CP_OIDC_TURN_LOOK_MS, cp_oidc_callback);
}


static cp_rc_t
cp_oidc_logout_post(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_json_t   *out;
    const char  *location;

    rc = cp_oidc_leave(&r->op, &location);

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_put(r->op.arena, out, "location", location ? location : "/");
    r->cookie = cp_session_gone(&r->op);

    return cp_req_answer(r, 200, out);
}


/* The only parameter of that name; what a token may have needs no escapes. */
static const char *
cp_oidc_posted(cp_req_t *r, const char *name)
{
    size_t       n, len;
    const char  *p, *found;

    n = strlen(name);
    found = NULL;
    p = cp_arena_strndup(r->op.arena, r->body ? r->body : "", r->body_len);

    for (len = 0; p && *p; p += len + (p[len] == '&')) {
        len = strcspn(p, "&");

        if (len > n && strncmp(p, name, n) == 0 && p[n] == '=') {
            if (found) {
                return NULL;
            }

            found = cp_arena_strndup(r->op.arena, p + n + 1, len - n - 1);
        }
    }

    return found;
}


static cp_rc_t
cp_oidc_told(cp_req_t *r)
{
    cp_rc_t      rc;
    const char  *type, *token;

    rc = cp_oidc_needed(r);
    if (rc != CP_OK) {
        return rc;
    }

    type = cp_req_header(r, "Content-Type");

    if (type == NULL
        || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0)
    {
        return cp_err_set(&r->op.err, "unsupported_media_type", "must be "
                          "application/x-www-form-urlencoded");
    }

    token = cp_oidc_posted(r, "logout_token");

    rc = token ? cp_oidc_logout(&r->op, token)
         : cp_err_set(&r->op.err, "unauthorized", "there is no logout_token");

    if (rc == CP_OK) {
        return cp_req_answer(r, 200, NULL);
    }

    /* the provider's log has to say that it was not taken, 401 is ours */

    if (rc == CP_DECLINED && r->op.err.status == 401) {
        cp_log(CP_LOG_WARN, "oidc", "logout refused: %s", r->op.err.detail);
        type = cp_arena_strdup(r->op.arena, r->op.err.detail);
        cp_op_clear(&r->op);
        rc = cp_err_set(&r->op.err, "bad_request", "%s", type);
    }

    return rc;
}


/* For programs: what RFC 8628 needs of the provider. */
static cp_json_t *
cp_oidc_device(cp_req_t *r)
{
    unsigned     i;
    cp_json_t   *out;
    const char  *url;

    static const char *const  names[] = { "device_authorization_endpoint",
        "token_endpoint", "revocation_endpoint" };

    out = cp_json_object(r->op.arena);
    cp_json_put(r->op.arena, out, "client_id",
                r->op.app->conf.oidc_device_client_id);
    cp_json_put(r->op.arena, out, "scope", r->op.app->conf.oidc_scopes);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        url = cp_oidc_named(r->op.arena, names[i]);

        if (url == NULL && i < 2) {
            return NULL;
        }

        cp_json_put(r->op.arena, out, names[i], url);
    }

    return out;
}


static cp_rc_t
cp_oidc_ways(cp_req_t *r)
{
    cp_json_t        *out, *oidc, *device;
    cp_arena_t       *a = r->op.arena;
    const cp_conf_t  *conf = &r->op.app->conf;

    out = cp_json_object(a);
    cp_json_put_bool(a, out, "password", true);

    if (cp_oidc_used(r->op.app)) {
        oidc = cp_json_object(a);
        cp_json_put(a, oidc, "issuer", conf->oidc_issuer);
        cp_json_put(a, oidc, "login",
                    cp_oidc_logins(r->op.app) ? CP_OIDC_HOME : NULL);
        cp_json_put_bool(a, oidc, "up",
                         cp_oidc_named(a, "token_endpoint") != NULL);
        device = conf->oidc_device_client_id[0] ? cp_oidc_device(r) : NULL;

        if (device) {
            cp_json_set(a, oidc, "device", device);
        }

        cp_json_set(a, out, "oidc", oidc);
    }

    return cp_req_answer(r, 200, out);
}


const cp_route_t  cp_oidc_routes[] = {
    { "GET", "/v1/session/ways", CP_AUTH_NONE, NULL, cp_oidc_ways, NULL,
      "How one can log in here", NULL },
    { "GET", CP_OIDC_HOME, CP_AUTH_NONE, NULL, cp_oidc_get, NULL,
      "Log in at the provider of identities: for a browser to go to", "to" },
    { "GET", CP_OIDC_BACK, CP_AUTH_NONE, NULL, cp_oidc_callback, NULL,
      "Where the provider sends it back to",
      CP_QUERY_OWN },
    { "POST", CP_OIDC_HOME "/logout", CP_AUTH_SESSION, NULL,
      cp_oidc_logout_post, NULL,
      "Log out here, and where to go to log out there", NULL },
    { "POST", CP_OIDC_HOME "/backchannel-logout", CP_AUTH_NONE, NULL,
      cp_oidc_told, NULL, "The provider tells that a login has ended", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
