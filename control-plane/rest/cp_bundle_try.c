/*
 * POST .../bundles/{bundle}/try: what a rule of it says of an input, by the
 * operator's own OPA and as gateways read its answers.  Nothing is kept.
 */

#include <string.h>

#include "client/cp_run.h"
#include "kinds/cp_bundle.h"
#include "rest/cp_list.h"


#define CP_TRY_INPUT  65536            /* it is an argument of the program   */
#define CP_TRY_PATH   256


static cp_rc_t cp_bundle_try(cp_req_t *r);
static const char *cp_try_query(cp_req_t *r, const cp_json_t *in);
static cp_rc_t cp_try_archive(cp_req_t *r, stoa_buf_t *archive,
    const char **revision);
static cp_rc_t cp_try_answer(cp_req_t *r, const char *revision,
    const stoa_buf_t *out, int code);
static const char *cp_try_decision(const cp_json_t *value);
static cp_rc_t cp_try_errors(cp_req_t *r, const cp_json_t *said, int code);


const cp_route_t  cp_bundle_try_routes[] = {
    { "POST", "/v1/tenants/{tenant}/bundles/{bundle}/try", CP_AUTH_ADMIN,
      "bundle:write", cp_bundle_try, NULL,
      "Evaluate a rule of a bundle on an input, keep nothing", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_bundle_try(cp_req_t *r)
{
    int          code;
    cp_rc_t      rc;
    cp_json_t   *in;
    stoa_buf_t   archive, out;
    const char  *revision;
    const char  *argv[] = { r->op.app->conf.opa_binary, "eval", "--format",
                            "json", "--timeout", "3s", "--bundle",
                            "/dev/stdin", NULL, NULL };

    rc = cp_req_json(r, &in);

    if (rc == CP_OK && in->type != CP_JSON_OBJECT) {
        rc = cp_err_set(&r->op.err, "bad_request", "must be an object");
    }

    if (rc != CP_OK) {
        return rc;
    }

    stoa_buf_init(&archive, CP_BUNDLE_TAR_MAX);
    stoa_buf_init(&out, CP_RUN_OUT_MAX);
    rc = cp_try_archive(r, &archive, &revision);

    if (rc == CP_OK) {
        argv[8] = cp_try_query(r, in);
        rc = argv[8] ? CP_OK : CP_DECLINED;
    }

    if (rc == CP_OK && argv[0][0] == '\0') {
        rc = cp_err_set(&r->op.err, "unavailable", "stoa-control has no"
                        " opa_binary to evaluate it with");
    }

    if (rc == CP_OK) {
        rc = cp_run(argv, archive.data, archive.len, CP_RUN_SPARES, &out,
                    &code, &r->op.err);
    }

    if (rc == CP_OK) {
        rc = cp_try_answer(r, revision, &out, code);
    }

    stoa_buf_free(&archive);
    stoa_buf_free(&out);

    return rc;
}


/* No transaction is open while it runs. */
static cp_rc_t
cp_try_archive(cp_req_t *r, stoa_buf_t *archive, const char **revision)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *row;
    cp_place_t   p = { .res = &cp_res_bundle };

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    row = NULL;
    rc = cp_rest_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, r->op.arena, p.res, p.id, &row, &r->op.err);
    }

    cp_tx_rollback(tx);

    if (rc == CP_OK && row == NULL) {
        rc = cp_err_set(&r->op.err, "not_found", "there is no such bundle");
    }

    if (rc != CP_OK) {
        return rc;
    }

    *revision = cp_json_str(row, "revision");

    return cp_bundle_archive(r->op.arena, row, archive, &r->op.err);
}


/* The rule, and what JSON is: a term of Rego.  NULL: the error is set. */
static const char *
cp_try_query(cp_req_t *r, const cp_json_t *in)
{
    size_t            len;
    stoa_buf_t        b;
    const char       *path, *p, *text;
    cp_err_t         *err = &r->op.err;
    cp_arena_t       *a = r->op.arena;
    const cp_json_t  *input, *m;

    for (m = in->first; m; m = m->next) {
        if (strcmp(m->key, "path") != 0 && strcmp(m->key, "input") != 0) {
            (void) cp_err_field(err, -1, m->line, m->key, "is not known");
            return NULL;
        }
    }

    path = cp_json_str(in, "path");
    input = cp_json_get(in, "input");
    text = input ? cp_json_text(a, input, &len) : "{}";

    if (text == NULL || (input && len > CP_TRY_INPUT)) {
        (void) cp_err_field(err, -1, input ? input->line : 0, "input",
                            "is longer than %d bytes", CP_TRY_INPUT);
        return NULL;
    }

    stoa_buf_init(&b, CP_TRY_INPUT + 4 * CP_TRY_PATH);
    stoa_buf_addz(&b, "data[\"");

    for (p = path ? path : "/"; *p && p - path < CP_TRY_PATH; p++) {

        if (*p == '/' && p > path && p[-1] != '/' && p[1]) {
            stoa_buf_addz(&b, "\"][\"");

        } else if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_-"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ", *p))
        {
            stoa_buf_add(&b, p, 1);

        } else {
            break;
        }
    }

    if (path == NULL || p == path || *p) {
        (void) cp_err_field(err, -1, 0, "path", "must be names with /"
                            " between, like shop/authz/allow");
        stoa_buf_free(&b);
        return NULL;
    }

    stoa_buf_addf(&b, "\"] with input as %s", text);
    text = b.rc == STOA_OK ? cp_arena_strndup(a, b.data, b.len) : NULL;
    stoa_buf_free(&b);

    if (text == NULL) {
        (void) cp_err_set(err, "internal", "no memory");
    }

    return text;
}


static cp_rc_t
cp_try_answer(cp_req_t *r, const char *revision, const stoa_buf_t *out,
    int code)
{
    cp_json_t   *said, *d, *value;
    cp_arena_t  *a = r->op.arena;

    if (code < 0 || cp_json_parse(a, out->data, out->len, &said, NULL)
                    != CP_OK)
    {
        said = NULL;
    }

    if (said == NULL || code != 0 || cp_json_get(said, "errors")) {
        return cp_try_errors(r, said, code);
    }

    value = cp_json_get(said, "result");
    value = value && value->first ? cp_json_get(value->first, "expressions")
                                  : NULL;
    value = value && value->first ? cp_json_get(value->first, "value") : NULL;

    d = cp_json_object(a);
    cp_json_put(a, d, "revision", revision);
    cp_json_put(a, d, "decision", cp_try_decision(value));
    cp_json_put_bool(a, d, "defined", value != NULL);

    if (value) {
        cp_json_set(a, d, "value", cp_json_copy(a, value));
    }

    return cp_req_answer(r, 200, d);
}


/* As a gateway reads it: all else is none. */
static const char *
cp_try_decision(const cp_json_t *value)
{
    if (value && value->type == CP_JSON_OBJECT) {
        value = cp_json_get(value, "allow");
    }

    return value == NULL || value->type != CP_JSON_BOOL ? "none"
           : value->i ? "allow" : "deny";
}


static cp_rc_t
cp_try_errors(cp_req_t *r, const cp_json_t *said, int code)
{
    const char       *message;
    const cp_json_t  *error;

    error = said ? cp_json_get(said, "errors") : NULL;
    error = error ? error->first : NULL;
    message = error ? cp_json_str(error, "message") : NULL;

    return cp_err_field(&r->op.err, -1, 0, "path", "%.500s",
                        message ? message : code < 0
                        ? "OPA took too long for it, or too much memory"
                        : "OPA does not evaluate it, and does not say why");
}
