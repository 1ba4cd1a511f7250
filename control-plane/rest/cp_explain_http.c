/*
 * POST /v1/tenants/{tenant}/explain: what would become of a call that nobody
 * makes.  Gateways know that; here it is read, and made sure that the
 * credential is the tenant's and that nothing secret is in it.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "core/stoa_conceal.h"
#include "core/stoa_key.h"
#include "rest/cp_asked.h"
#include "rest/cp_list.h"


#define CP_EXPLAIN_BODY_MAX     16384
#define CP_EXPLAIN_URL_MAX      8192
#define CP_EXPLAIN_HEADERS_MAX  64


static cp_rc_t cp_explain(cp_req_t *r);
static bool cp_explain_enough(const cp_question_t *q);
static cp_rc_t cp_explain_answer(cp_req_t *r, const cp_question_t *q,
    void *data);


const cp_route_t  cp_explain_routes[] = {
    { "POST", "/v1/tenants/{tenant}/explain", CP_AUTH_ADMIN, "trace:read",
      cp_explain, NULL,
      "What would become of a call, without making it", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};

static const cp_asked_way_t  cp_explain_way = { cp_explain_enough,
                                                cp_explain_answer, NULL };

/* Of the body; what `to` gateways is called there, NULL: it stays here. */
static const struct {
    const char  *name;
    const char  *to;
    size_t       max;
    bool         required;
} cp_explain_texts[] = {
    { "method",        "method",  32,                  true },
    { "url",           NULL,      CP_EXPLAIN_URL_MAX,  true },
    { "body",          "body",    CP_EXPLAIN_BODY_MAX, false },
    { "address",       "address", 45,                  false },
    { "credential",    NULL,      STOA_ID_LEN,         false },
    { "digest",        NULL,      64,                  false },
    { "gateway_group", NULL,      STOA_NAME_MAX,       false },
    { NULL, NULL, 0, false }
};

/* They are the credential's, or are made where a call is made. */
static const char *const  cp_explain_own[] = {
    "authorization", "proxy-authorization", "x-api-key", "dpop", "host",
    "content-length", "transfer-encoding", "connection", "upgrade", NULL
};


static bool
cp_explain_token(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!isalnum((unsigned char) s[i])
            && strchr("!#$%&'*+-.^_`|~", s[i]) == NULL)
        {
            return false;
        }
    }

    return len != 0;
}


static bool
cp_explain_plain(const char *s, size_t len, const char *none)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f
            || strchr(none, s[i]) != NULL)
        {
            return false;
        }
    }

    return true;
}


static cp_rc_t
cp_explain_header(cp_req_t *r, const cp_json_t *headers, const cp_json_t *h)
{
    unsigned          i;
    const cp_json_t  *other;

    if (h->type != CP_JSON_STRING
        || !cp_explain_token(h->key, strlen(h->key))
        || !cp_explain_plain(h->s, h->len, ""))
    {
        return cp_err_field(&r->op.err, -1, h->line, "headers",
                            "\"%.64s\" is no header", h->key);
    }

    for (i = 0; cp_explain_own[i]; i++) {
        if (strcasecmp(cp_explain_own[i], h->key) == 0) {
            return cp_err_field(&r->op.err, -1, h->line, "headers",
                                "\"%.64s\" is not said: `credential` and `url`"
                                " say it", h->key);
        }
    }

    if (strncasecmp(h->key, "x-stoa-", 7) == 0) {
        return cp_err_field(&r->op.err, -1, h->line, "headers",
                            "\"%.64s\" is the gateways' own", h->key);
    }

    for (other = headers->first; other != h; other = other->next) {
        if (strcasecmp(other->key, h->key) == 0) {
            return cp_err_field(&r->op.err, -1, h->line, "headers",
                                "has \"%.64s\" twice", h->key);
        }
    }

    return CP_OK;
}


static void
cp_explain_headers(cp_req_t *r, const cp_json_t *headers)
{
    cp_json_t  *h;

    if (headers->type != CP_JSON_OBJECT
        || headers->n > CP_EXPLAIN_HEADERS_MAX)
    {
        (void) cp_err_field(&r->op.err, -1, headers->line, "headers",
                            "must be an object of at most %d texts",
                            CP_EXPLAIN_HEADERS_MAX);
        return;
    }

    for (h = headers->first; h; h = h->next) {
        (void) cp_explain_header(r, headers, h);
    }
}


/* https://host[:port]/path?query, or only what is behind the host. */
static void
cp_explain_url(cp_req_t *r, const char *url, cp_json_t *ask)
{
    char        *host, *p;
    size_t       len;
    const char  *path, *at;

    at = strstr(url, "://");
    path = url;
    host = cp_arena_strdup(r->op.arena, "");

    if (at && (strncasecmp(url, "http://", 7) == 0
               || strncasecmp(url, "https://", 8) == 0))
    {
        at += 3;
        len = strcspn(at, "/?#");
        path = at + len;
        host = cp_arena_printf(r->op.arena, "%.*s", (int) len, at);

        if (host && *host == '[') {
            len = strcspn(host, "]");
            len += host[len] == ']';

        } else if (host) {
            len = strcspn(host, ":");
        }

        if (host && host[len] != '\0'
            && (host[len] != ':'
                || strspn(host + len + 1, "0123456789")
                   != strlen(host + len + 1)))
        {
            len = 0;
        }

        for (p = host; p && *p; p++) {
            *p = (size_t) (p - host) < len
                 ? (char) tolower((unsigned char) *p) : '\0';
        }

        if (host == NULL || len == 0
            || strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]")
               != strlen(host))
        {
            path = "";
        }
    }

    if (*path != '/' || !cp_explain_plain(path, strlen(path), " #")) {
        (void) cp_err_field(&r->op.err, -1, 0, "url",
                            "must be http(s)://host/path?query, or a path that"
                            " begins with a slash");
    }

    cp_json_put(r->op.arena, ask, "host", host);
    cp_json_put(r->op.arena, ask, "path", path);
}


static void
cp_explain_members(cp_req_t *r, const cp_json_t *in, cp_json_t *ask)
{
    unsigned          i;
    const cp_json_t  *v;

    for (v = in->first; v; v = v->next) {
        for (i = 0; cp_explain_texts[i].name
             && strcmp(cp_explain_texts[i].name, v->key) != 0; i++)
        { /* void */ }

        if (strcmp(v->key, "headers") == 0) {
            cp_explain_headers(r, v);
            cp_json_set(r->op.arena, ask, "headers",
                        cp_json_copy(r->op.arena, v));

        } else if (cp_explain_texts[i].name == NULL) {
            (void) cp_err_field(&r->op.err, -1, v->line, v->key,
                                "is not known");

        } else if (v->type != CP_JSON_STRING
                   || v->len > cp_explain_texts[i].max)
        {
            (void) cp_err_field(&r->op.err, -1, v->line, v->key,
                                "must be a text of at most %zu bytes",
                                cp_explain_texts[i].max);

        } else if (cp_explain_texts[i].to) {
            cp_json_put(r->op.arena, ask, cp_explain_texts[i].to, v->s);
        }
    }

    for (i = 0; cp_explain_texts[i].name; i++) {
        if (cp_explain_texts[i].required
            && cp_json_get(in, cp_explain_texts[i].name) == NULL)
        {
            (void) cp_err_field(&r->op.err, -1, 0, cp_explain_texts[i].name,
                                "is required");
        }
    }
}


/* What depends on more than its length. */
static void
cp_explain_values(cp_req_t *r, const cp_json_t *in, cp_json_t *ask)
{
    const char       *s;
    struct in6_addr   addr;

    s = cp_json_str(in, "method");

    if (s && (!cp_explain_token(s, strlen(s))
              || strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != strlen(s)
              || strcmp(s, "CONNECT") == 0))
    {
        (void) cp_err_field(&r->op.err, -1, 0, "method",
                            "must be a method, as GET");
    }

    s = cp_json_str(in, "url");

    if (s) {
        cp_explain_url(r, s, ask);
    }

    s = cp_json_str(in, "address");

    if (s && inet_pton(AF_INET, s, &addr) != 1
        && inet_pton(AF_INET6, s, &addr) != 1) {
        (void) cp_err_field(&r->op.err, -1, 0, "address",
                            "must be an IP address");
    }

    s = cp_json_str(in, "digest");

    if (s && (strlen(s) != 64
              || strspn(s, "0123456789abcdef") != 64
              || cp_json_get(in, "credential") == NULL))
    {
        (void) cp_err_field(&r->op.err, -1, 0, "digest",
                            "is the SHA-256 of a key in hex, beside its"
                            " credential");
    }
}


/* A key that is written down anywhere has been seen by too many. */
static cp_rc_t
cp_explain_secret(cp_req_t *r, const cp_json_t *question)
{
    char    *text;
    size_t   len;

    text = cp_json_text(r->op.arena, question, &len);

    if (text == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    if (len > CP_QUESTION_ASKED) {
        return cp_err_set(&r->op.err, "validation", "it may have %d bytes in"
                          " all", CP_QUESTION_ASKED);
    }

    return stoa_conceal(text, len)
           ? cp_err_set(&r->op.err, "validation", "it has what looks like a"
                        " key: name its `credential` instead")
           : CP_OK;
}


/* Of the tenant, whose key may be checked where it was hashed without a
 * pepper. */
static cp_rc_t
cp_explain_credential(cp_req_t *r, const char *id, const char *digest)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *tenant;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_ref_tenant(&r->op, tx, r->param[0], r->route->permission,
                       &tenant);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, r->op.arena, "SELECT key_digest, key_alg"
                         " FROM credentials WHERE id = $1 AND tenant = $2",
                         cp_args(cp_text(id), cp_text(tenant)), &rows,
                         &r->op.err);
    }

    cp_tx_rollback(tx);

    if (rc == CP_OK
        && (rows.rows == 0
            || (digest && strcmp(cp_cell(&rows, 0, 1)->p, "sha256") == 0
                && strcmp(cp_cell(&rows, 0, 0)->p, digest) != 0)))
    {
        return cp_err_set(&r->op.err, "not_found", rows.rows == 0
                          ? "the tenant has no such credential"
                          : "that is not the credential's key");
    }

    return rc;
}


static cp_rc_t
cp_explain(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_json_t   *in, *ask, *question;
    cp_arena_t  *a = r->op.arena;
    const char  *id;

    rc = cp_req_json(r, &in);

    if (rc != CP_OK) {
        return rc;
    }

    if (in->type != CP_JSON_OBJECT) {
        return cp_err_set(&r->op.err, "bad_request", "must be an object");
    }

    ask = cp_json_object(a);
    cp_explain_members(r, in, ask);
    cp_explain_values(r, in, ask);

    if (r->op.err.code) {
        return CP_DECLINED;
    }

    id = cp_json_str(in, "credential");
    question = cp_json_object(a);
    cp_json_set(a, question, "explain", ask);
    rc = cp_explain_secret(r, question);

    if (rc == CP_OK && id && *id) {
        rc = cp_explain_credential(r, id, cp_json_str(in, "digest"));
        cp_json_put(a, ask, "credential", id);
    }

    return rc == CP_OK ? cp_asked_begin(r, question,
                                        cp_json_str(in, "gateway_group"),
                                        &cp_explain_way)
                       : rc;
}


/* One of a gateway that has what is called. */
static const cp_json_t *
cp_explain_best(const cp_question_t *q)
{
    const char       *verdict;
    const cp_json_t  *one;

    for (one = q->answers->first; one; one = one->next) {
        verdict = cp_json_str(one, "verdict");

        if (cp_json_get(one, "foreign")
            || (verdict && strcmp(verdict, "none") != 0
                && cp_json_num(one, "status", 0) != 404))
        {
            return one;
        }
    }

    return NULL;
}


static bool
cp_explain_enough(const cp_question_t *q)
{
    return cp_explain_best(q) != NULL;
}


static cp_rc_t
cp_explain_answer(cp_req_t *r, const cp_question_t *q, void *data)
{
    const char       *verdict;
    const cp_json_t  *one;

    (void) data;
    one = cp_explain_best(q);

    for (one = one ? one : q->answers->first; one; one = one->next) {
        verdict = cp_json_str(one, "verdict");

        if (cp_json_get(one, "foreign")) {
            return cp_err_field(&r->op.err, -1, 0, "address", "may be said"
                                " where the api is the tenant's own");
        }

        if (verdict && strcmp(verdict, "none") != 0) {
            return cp_req_answer(r, 200, one);
        }
    }

    return cp_asked_none(r, q, "no gateway has a place for that url");
}
