/*
 * The routes of the document: as JSON, and as a page for people.  That has no
 * script and no asset of anybody else; its one style is named by its digest in
 * the policy.
 *
 * The tables do not change while the process runs and anybody may ask, so each
 * is made once.  Owner: cp_openapi_made, malloc, until the process ends.
 */

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/cp_err.h"
#include "openapi/cp_openapi.h"


static const char  cp_page_style[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;"
    "padding:0 1rem;color:#1b1f24;background:#fff}"
    "h2{border-top:1px solid #d0d7de;padding-top:1rem;font-size:1.05rem}"
    "code,h2{font-family:ui-monospace,monospace}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0}"
    "td,th{border-bottom:1px solid #eaeef2;padding:.2rem .6rem .2rem 0;"
    "text-align:left;vertical-align:top}"
    "nav{columns:2;font-size:13px}nav a{display:block}"
    "a{color:#0550ae}"
    "@media (max-width:40rem){nav{columns:1}}"
    "@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}"
    "a{color:#79c0ff}td,th,h2{border-color:#30363d}}";


typedef enum { CP_OPENAPI_JSON, CP_OPENAPI_PAGE, CP_OPENAPI_N }
    cp_openapi_made_e;

static struct {
    pthread_mutex_t  lock;
    stoa_buf_t       text[CP_OPENAPI_N];       /* empty: not made yet       */
    char             etag[CP_OPENAPI_N][40];
} cp_openapi_made = { .lock = PTHREAD_MUTEX_INITIALIZER };


static cp_rc_t cp_openapi_get(cp_req_t *r);
static cp_rc_t cp_openapi_page(cp_req_t *r);
static cp_rc_t cp_page_make(cp_req_t *r);
static void cp_page_text(stoa_buf_t *b, const char *s);
static void cp_page_cell(stoa_buf_t *b, const char *s);
static void cp_page_index(stoa_buf_t *b, const cp_json_t *paths);
static void cp_page_operation(stoa_buf_t *b, const char *path,
    const cp_json_t *op);
static void cp_page_parameters(stoa_buf_t *b, const cp_json_t *list);
static void cp_page_bodies(stoa_buf_t *b, const char *what,
    const cp_json_t *content);
static void cp_page_responses(stoa_buf_t *b, const cp_json_t *all);


const cp_route_t  cp_openapi_routes[] = {

    { "GET", "/v1/openapi.json", CP_AUTH_NONE, NULL, cp_openapi_get, NULL,
      "This document", NULL },

    { "GET", "/v1/reference", CP_AUTH_NONE, NULL, cp_openapi_page, NULL,
      "This document as a page", NULL },

    { "GET", "/v1/policy-types", CP_AUTH_ADMIN, "self:read",
      cp_openapi_policy_types, NULL,
      "Types of policies: where each is attached, and its schema", NULL },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


/* By who comes first; r->out is it then. */
static cp_rc_t
cp_openapi_make(cp_req_t *r, cp_openapi_made_e what)
{
    cp_rc_t      rc;
    uint8_t      sum[32];
    stoa_buf_t  *text = &cp_openapi_made.text[what];

    rc = what == CP_OPENAPI_PAGE ? cp_page_make(r)
         : cp_req_answer(r, 200,
                         cp_openapi_document(r->op.arena,
                                             cp_http_site(r->op.app->http)));
    if (rc != CP_OK) {
        return rc;
    }

    stoa_buf_init(text, r->out.max);

    stoa_buf_add(text, r->out.data, r->out.len);

    if (text->rc != STOA_OK) {
        stoa_buf_free(text);
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    cp_sha256(text->data, text->len, sum);
    (void) snprintf(cp_openapi_made.etag[what],
                    sizeof(cp_openapi_made.etag[what]), "W/\"%s\"",
                    cp_hex(r->op.arena, sum, 16));

    return CP_OK;
}


static cp_rc_t
cp_openapi_once(cp_req_t *r, cp_openapi_made_e what, const char *type)
{
    cp_rc_t  rc;

    (void) pthread_mutex_lock(&cp_openapi_made.lock);
    rc = cp_openapi_made.text[what].len ? CP_OK : cp_openapi_make(r, what);
    (void) pthread_mutex_unlock(&cp_openapi_made.lock);

    if (rc != CP_OK) {
        return rc;
    }

    stoa_buf_reset(&r->out);
    cp_req_set_header(r, "ETag", cp_openapi_made.etag[what]);

    if (cp_req_knows(r, cp_openapi_made.etag[what])) {
        r->status = 304;
        r->content_type = NULL;
        return CP_OK;
    }

    r->status = 200;
    r->content_type = type;

    stoa_buf_add(&r->out, cp_openapi_made.text[what].data,
                 cp_openapi_made.text[what].len);

    return r->out.rc == STOA_OK ? CP_OK
           : cp_err_set(&r->op.err, "internal", "no memory");
}


static cp_rc_t
cp_openapi_get(cp_req_t *r)
{
    return cp_openapi_once(r, CP_OPENAPI_JSON, "application/json");
}


static cp_rc_t
cp_openapi_page(cp_req_t *r)
{
    char     sum64[64];
    uint8_t  sum[32];

    cp_sha256(cp_page_style, sizeof(cp_page_style) - 1, sum);
    (void) EVP_EncodeBlock((unsigned char *) sum64, sum, sizeof(sum));
    cp_req_set_header(r, "Content-Security-Policy", cp_arena_printf(
                      r->op.arena, "default-src 'none'; style-src 'sha256-%s'"
                      "; base-uri 'none'; form-action 'none'; frame-ancestors"
                      " 'none'", sum64));

    return cp_openapi_once(r, CP_OPENAPI_PAGE, "text/html; charset=utf-8");
}


static cp_rc_t
cp_page_make(cp_req_t *r)
{
    stoa_buf_t       *b;
    const cp_json_t  *doc, *paths, *path, *op;

    doc = cp_openapi_document(r->op.arena, cp_http_site(r->op.app->http));
    paths = cp_json_get(doc, "paths");
    b = &r->out;

    stoa_buf_reset(b);
    stoa_buf_addz(b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset="
                  "\"utf-8\"><meta name=\"viewport\" content=\"width="
                  "device-width\"><title>STOA control plane</title><style>");
    stoa_buf_addz(b, cp_page_style);
    stoa_buf_addz(b, "</style></head><body><h1>STOA control plane "
                  CP_VERSION "</h1>\n<p>Made from <a href=\"openapi.json\">"
                  "openapi.json</a>, which has the schemas.</p>\n");
    cp_page_index(b, paths);

    for (path = paths->first; path; path = path->next) {
        for (op = path->first; op; op = op->next) {
            cp_page_operation(b, path->key, op);
        }
    }

    stoa_buf_addz(b, "</body></html>\n");

    return b->rc != STOA_OK || cp_arena_failed(r->op.arena)
           ? cp_err_set(&r->op.err, "internal", "the page is too large")
           : CP_OK;
}


static void
cp_page_text(stoa_buf_t *b, const char *s)
{
    size_t  n;

    for ( /* void */ ; s && *s; s += n) {
        n = strcspn(s, "<>&\"");
        stoa_buf_add(b, s, n);

        if (s[n] == '\0') {
            return;
        }

        stoa_buf_addz(b, s[n] == '<' ? "&lt;" : s[n] == '>' ? "&gt;"
                      : s[n] == '&' ? "&amp;" : "&quot;");
        n++;
    }
}


static void
cp_page_cell(stoa_buf_t *b, const char *s)
{
    stoa_buf_addz(b, "<td>");
    cp_page_text(b, s);
    stoa_buf_addz(b, "</td>");
}


static void
cp_page_index(stoa_buf_t *b, const cp_json_t *paths)
{
    const cp_json_t  *path, *op;

    stoa_buf_addz(b, "<nav>");

    for (path = paths->first; path; path = path->next) {
        for (op = path->first; op; op = op->next) {
            stoa_buf_addz(b, "<a href=\"#");
            cp_page_text(b, cp_json_str(op, "operationId"));
            stoa_buf_addz(b, "\">");
            cp_page_text(b, cp_json_str(op, "summary"));
            stoa_buf_addz(b, "</a>\n");
        }
    }

    stoa_buf_addz(b, "</nav>\n");
}


static void
cp_page_operation(stoa_buf_t *b, const char *path, const cp_json_t *op)
{
    const char       *p;
    const cp_json_t  *body;

    stoa_buf_addz(b, "<h2 id=\"");
    cp_page_text(b, cp_json_str(op, "operationId"));
    stoa_buf_addz(b, "\">");

    for (p = op->key; *p; p++) {
        stoa_buf_addf(b, "%c", *p & ~0x20);
    }

    stoa_buf_addz(b, " ");
    cp_page_text(b, path);
    stoa_buf_addz(b, "</h2><p>");
    cp_page_text(b, cp_json_str(op, "summary"));

    p = cp_json_str(op, "x-permission");

    if (p) {
        stoa_buf_addz(b, ". Needs <code>");
        cp_page_text(b, p);
        stoa_buf_addz(b, "</code>");
    }

    stoa_buf_addz(b, ".</p>\n");
    cp_page_parameters(b, cp_json_get(op, "parameters"));

    body = cp_json_get(op, "requestBody");

    if (body) {
        stoa_buf_addz(b, "<p>");
        cp_page_bodies(b, "Body: ", cp_json_get(body, "content"));
        stoa_buf_addz(b, "</p>\n");
    }

    cp_page_responses(b, cp_json_get(op, "responses"));
}


static void
cp_page_parameters(stoa_buf_t *b, const cp_json_t *list)
{
    const cp_json_t  *p;

    if (list == NULL || list->n == 0) {
        return;
    }

    stoa_buf_addz(b, "<table><tr><th>parameter</th><th>in</th><th>what</th>"
                  "</tr>\n");

    for (p = list->first; p; p = p->next) {
        stoa_buf_addz(b, "<tr>");
        cp_page_cell(b, cp_json_str(p, "name"));
        cp_page_cell(b, cp_json_str(p, "in"));
        cp_page_cell(b, cp_json_str(p, "description"));
        stoa_buf_addz(b, "</tr>\n");
    }

    stoa_buf_addz(b, "</table>\n");
}


/* Media types, and the names of their schemas. */
static void
cp_page_bodies(stoa_buf_t *b, const char *what, const cp_json_t *content)
{
    const char       *ref;
    const cp_json_t  *media;

    for (media = content ? content->first : NULL; media; media = media->next) {
        ref = cp_json_str(cp_json_get(media, "schema"), "$ref");
        stoa_buf_addz(b, what);
        stoa_buf_addz(b, "<code>");
        cp_page_text(b, media->key);
        stoa_buf_addz(b, "</code>");
        what = ", ";

        if (ref) {
            stoa_buf_addz(b, " ");
            cp_page_text(b, strrchr(ref, '/') + 1);
        }
    }
}


static void
cp_page_responses(stoa_buf_t *b, const cp_json_t *all)
{
    const cp_json_t  *one;

    stoa_buf_addz(b, "<table><tr><th>answer</th><th>what</th><th>as</th></tr>"
                  "\n");

    for (one = all->first; one; one = one->next) {
        stoa_buf_addz(b, "<tr>");
        cp_page_cell(b, one->key);
        cp_page_cell(b, cp_json_get(one, "$ref") ? "a problem"
                     : cp_json_str(one, "description"));
        stoa_buf_addz(b, "<td>");
        cp_page_bodies(b, "", cp_json_get(one, "content"));
        stoa_buf_addz(b, "</td></tr>\n");
    }

    stoa_buf_addz(b, "</table>\n");
}
