/*
 * OpenAPI documents of apis: kept, given back, judged.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "catalogue/cp_specs.h"
#include "http/cp_query.h"
#include "rest/cp_list.h"


/* An import, from the reading of the document to the transaction. */
typedef struct {
    cp_specs_text_t   text;
    cp_specs_text_t   old;             /* the newest one before              */
    cp_import_e       how;
    bool              dry;
    bool              changed;         /* not the same text again            */
    cp_json_t        *head;            /* openapi, title, version ...       */
    cp_json_t        *list;            /* of operations                      */
    cp_json_t        *lint;
    cp_json_t        *diff;            /* NULL: it is the first              */
} cp_spec_import_t;


static cp_rc_t cp_spec_import_how(cp_req_t *r, cp_spec_import_t *m);
static cp_rc_t cp_spec_import_read(cp_req_t *r, cp_spec_import_t *m);
static cp_rc_t cp_spec_import_old(cp_req_t *r, cp_spec_import_t *m);
static cp_rc_t cp_spec_import_write(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_spec_import_answer(cp_req_t *r, cp_spec_import_t *m,
    cp_json_t *operations);
static cp_rc_t cp_spec_place(cp_req_t *r, cp_tx_t *tx, cp_place_t *p);
static cp_rc_t cp_spec_number(cp_req_t *r, const char *text,
    int64_t *number);


/* {error, warning, info} */
static cp_json_t *
cp_spec_count(cp_arena_t *a, const cp_json_t *findings)
{
    int64_t                    n;
    unsigned                   i;
    cp_json_t                 *out;
    const cp_json_t           *f;
    static const char *const   words[] = { "error", "warning", "info", NULL };

    out = cp_json_object(a);

    for (i = 0; words[i]; i++) {
        for (f = findings->first, n = 0; f; f = f->next) {
            n += strcmp(cp_json_str(f, "severity"), words[i]) == 0;
        }

        cp_json_put_int(a, out, words[i], n);
    }

    return out;
}


static cp_rc_t
cp_spec_text(cp_req_t *r, cp_specs_text_t *t)
{
    uint8_t  sum[32];
    cp_rc_t  rc;

    rc = cp_req_media(r, &t->yaml);
    if (rc != CP_OK) {
        return rc;
    }

    if (r->body_len > CP_SPEC_BYTES_MAX) {
        return cp_err_set(&r->op.err, "too_large",
                          "a document has at most %d MiB",
                          CP_SPEC_BYTES_MAX / 1048576);
    }

    t->text = r->body;
    t->len = r->body_len;
    cp_sha256(t->text, t->len, sum);
    t->digest = cp_hex(r->op.arena, sum, sizeof(sum));

    return CP_OK;
}


/* POST /v1/specs/lint */
static cp_rc_t
cp_spec_lint_post(cp_req_t *r)
{
    cp_rc_t           rc;
    cp_json_t        *out;
    cp_arena_t       *a = r->op.arena;
    cp_specs_read_t   d;
    cp_specs_text_t   t;

    memset(&t, 0, sizeof(t));
    rc = cp_spec_text(r, &t);

    if (rc == CP_OK) {
        rc = cp_specs_begin(&r->op, t.len);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_specs_read(&r->op, &t, &d);

    if (rc == CP_OK) {
        out = cp_json_object(a);
        cp_json_set(a, out, "findings",
                    cp_json_copy(a, cp_spec_lint(&d.spec)));
        cp_json_set(a, out, "counts", cp_spec_count(a, d.spec.findings));
        cp_json_put_int(a, out, "total", d.spec.nfindings);
        rc = cp_req_answer(r, 200, out);
    }

    cp_specs_free(&d);
    cp_specs_end(t.len);

    return rc;
}


/* POST .../documents.  The reading and the packing are done before the
 * transaction begins: others write meanwhile. */
static cp_rc_t
cp_spec_import(cp_req_t *r)
{
    size_t            len;
    cp_rc_t           rc;
    cp_place_t        p = { .res = &cp_res_api };
    cp_spec_import_t  m;

    memset(&m, 0, sizeof(m));
    p.data = &m;
    rc = cp_spec_import_how(r, &m);

    if (rc == CP_OK) {
        rc = cp_spec_text(r, &m.text);
    }

    if (rc == CP_OK) {
        rc = cp_spec_import_old(r, &m);
    }

    if (rc != CP_OK) {
        return rc;
    }

    m.changed = m.old.text == NULL || m.old.bare
                || strcmp(m.old.digest, m.text.digest) != 0;
    m.text.number = m.old.number + m.changed;
    len = m.text.len + m.old.len;
    rc = cp_specs_begin(&r->op, len);

    if (rc == CP_OK) {
        rc = cp_spec_import_read(r, &m);
        cp_specs_end(len);
    }

    if (rc == CP_OK && m.changed && !m.dry) {
        rc = cp_specs_pack(&r->op, &m.text);
    }

    return rc == CP_OK ? cp_rest_write(r, &p, cp_spec_import_write) : rc;
}


static cp_rc_t
cp_spec_import_how(cp_req_t *r, cp_spec_import_t *m)
{
    const char                *s;
    static const char *const   words[] = {
        [CP_IMPORT_REPLACE] = "replace", [CP_IMPORT_ADD] = "add",
        [CP_IMPORT_NONE] = "none"
    };

    s = cp_req_query(r, "operations");

    if (s) {
        while (m->how <= CP_IMPORT_NONE && strcmp(words[m->how], s) != 0) {
            m->how++;
        }

        if (m->how > CP_IMPORT_NONE) {
            return cp_query_fault(r, "operations",
                                  "must be replace, add or none");
        }
    }

    return cp_query_flag(r, "dry_run", &m->dry);
}


/* What it replaces; 404 for an api that is not there. */
static cp_rc_t
cp_spec_import_old(cp_req_t *r, cp_spec_import_t *m)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_place_t   p = { .res = &cp_res_api };

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_spec_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_specs_load(tx, r->op.arena, p.id, 0, &m->old, &r->op.err);
    }

    cp_tx_rollback(tx);

    return rc;
}


static cp_rc_t
cp_spec_import_read(cp_req_t *r, cp_spec_import_t *m)
{
    cp_rc_t                rc;
    cp_arena_t            *a = r->op.arena;
    cp_specs_read_t        new, old;

    rc = cp_specs_read(&r->op, &m->text, &new);

    if (rc != CP_OK) {
        cp_specs_free(&new);
        return rc;
    }

    m->head = cp_specs_head(a, &new.spec, &m->text, &m->list);
    m->list = m->how == CP_IMPORT_NONE ? cp_json_array(a)
              : cp_json_copy(a, m->list);
    m->lint = cp_json_copy(a, cp_spec_lint(&new.spec));

    if (m->old.text) {
        rc = cp_specs_read(&r->op, &m->old, &old);
        m->diff = rc == CP_OK
                  ? cp_json_copy(a, cp_spec_diff(&old.spec, &new.spec))
                  : NULL;
        cp_specs_free(&old);
    }

    cp_specs_free(&new);

    return rc;
}


static cp_rc_t
cp_spec_import_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t            rc;
    cp_json_t         *operations;
    cp_specs_text_t    last;
    cp_spec_import_t  *m = p->data;
    cp_audit_event_t   e = { .tenant = p->tenant, .action = "import",
                             .kind = "api", .id = p->id };

    rc = cp_specs_newest(tx, r->op.arena, p->id, &last, &r->op.err);

    if (rc == CP_OK
        && (last.number != m->old.number
            || (last.number && strcmp(last.digest, m->old.digest) != 0)))
    {
        rc = cp_err_set(&r->op.err, "conflict",
                        "another document was imported meanwhile");
    }

    if (rc == CP_OK) {
        rc = cp_import_operations(&r->op, tx, p->id, m->list, m->how, m->dry,
                                  &operations);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (m->changed && !m->dry) {
        rc = cp_specs_keep(&r->op, tx, p->id, p->tenant, &m->text, m->head);

        if (rc == CP_OK) {
            e.name = r->param[1];
            e.diff = cp_json_copy(r->op.arena, m->head);
            cp_json_put_int(r->op.arena, (cp_json_t *) e.diff, "number",
                            m->text.number);
            cp_json_put(r->op.arena, (cp_json_t *) e.diff, "digest",
                        m->text.digest);
            rc = cp_audit_append(&r->op, tx, &e);
        }
    }

    if (rc == CP_OK && m->dry) {
        cp_rest_undo(r);
    }

    return rc == CP_OK ? cp_spec_import_answer(r, m, operations) : rc;
}


static cp_rc_t
cp_spec_import_answer(cp_req_t *r, cp_spec_import_t *m,
    cp_json_t *operations)
{
    cp_json_t   *out;
    cp_arena_t  *a = r->op.arena;

    out = cp_json_copy(a, m->head);
    cp_json_put_int(a, out, "number", m->text.number);
    cp_json_put(a, out, "digest", m->text.digest);
    cp_json_put(a, out, "format", m->text.yaml ? "yaml" : "json");
    cp_json_put_int(a, out, "bytes", (int64_t) m->text.len);
    cp_json_put_bool(a, out, "changed", m->changed);
    cp_json_put_bool(a, out, "dry_run", m->dry);
    cp_json_set(a, out, "imported", operations);
    cp_json_set(a, out, "lint", cp_spec_count(a, m->lint));

    if (m->diff) {
        cp_json_set(a, out, "diff", m->diff);
    }

    if (m->dry) {
        cp_json_set(a, out, "findings", m->lint);
    }

    return cp_req_answer(r, m->changed && !m->dry ? 201 : 200, out);
}


/* The api of the path; not one that is another's. */
static cp_rc_t
cp_spec_place(cp_req_t *r, cp_tx_t *tx, cp_place_t *p)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_rest_place(r, tx, p);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, r->op.arena, "SELECT kind FROM apis"
                         " WHERE id = $1", cp_args(cp_text(p->id)), &rows,
                         &r->op.err);
    }

    if (rc == CP_OK && strcmp(cp_cell(&rows, 0, 0)->p, "rest") != 0) {
        rc = cp_err_set(&r->op.err, "conflict",
                        "documents are for apis of kind rest");
    }

    return rc;
}


static cp_rc_t
cp_spec_number(cp_req_t *r, const char *text, int64_t *number)
{
    const char  *s;

    *number = 0;

    for (s = text; *s >= '0' && *s <= '9' && s - text < 12; s++) {
        *number = *number * 10 + (*s - '0');
    }

    return *s == '\0' && *number > 0 ? CP_OK
           : strcmp(text, "latest") == 0 ? CP_OK
           : cp_err_set(&r->op.err, "not_found",
                        "there is no document \"%.64s\"", text);
}


static cp_rc_t
cp_spec_list(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *out;
    cp_place_t   p = { .res = &cp_res_api };

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_spec_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_specs_list(&r->op, tx, p.id, &out);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


/* number "latest": the newest. */
static cp_rc_t
cp_spec_load(cp_req_t *r, const char *number, cp_specs_text_t *t)
{
    cp_rc_t      rc;
    int64_t      n;
    cp_tx_t     *tx;
    cp_place_t   p = { .res = &cp_res_api };

    rc = cp_spec_number(r, number, &n);

    if (rc == CP_OK) {
        rc = cp_tx_open(r->op.app->db, false, &tx, &r->op.err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_spec_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_specs_load(tx, r->op.arena, p.id, n, t, &r->op.err);
    }

    cp_tx_rollback(tx);

    if (rc == CP_OK && t->text == NULL) {
        rc = cp_err_set(&r->op.err, "not_found",
                        "there is no document \"%.64s\"", number);
    }

    return rc;
}


static cp_rc_t
cp_spec_get(cp_req_t *r)
{
    cp_rc_t          rc;
    const char      *etag;
    cp_specs_text_t  t;

    rc = cp_spec_load(r, r->param[2], &t);
    if (rc != CP_OK) {
        return rc;
    }

    etag = cp_arena_printf(r->op.arena, "\"%s\"", t.digest);
    cp_req_set_header(r, "ETag", etag);
    cp_req_set_header(r, "Stoa-Document",
                      cp_arena_printf(r->op.arena, "%lld",
                                      (long long) t.number));

    if (cp_req_knows(r, etag)) {
        return cp_req_answer(r, 304, NULL);
    }

    r->status = 200;
    r->content_type = t.yaml ? "application/yaml" : "application/json";
    stoa_buf_add(&r->out, t.text, t.len);

    return r->out.rc == STOA_OK ? CP_OK
           : cp_err_set(&r->op.err, "internal", "no memory");
}


/* GET .../document-diff?from=&to= */
static cp_rc_t
cp_spec_diff_get(cp_req_t *r)
{
    cp_rc_t          rc;
    const char      *from, *to;
    cp_specs_read_t  old = { 0 }, new = { 0 };
    cp_specs_text_t  t[2];

    from = cp_req_query(r, "from");
    to = cp_req_query(r, "to");

    if (from == NULL) {
        return cp_query_fault(r, "from", "is needed");
    }

    rc = cp_spec_load(r, from, &t[0]);

    if (rc == CP_OK) {
        rc = cp_spec_load(r, to ? to : "latest", &t[1]);
    }

    if (rc == CP_OK) {
        rc = cp_specs_begin(&r->op, t[0].len + t[1].len);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_specs_read(&r->op, &t[0], &old);

    if (rc == CP_OK) {
        rc = cp_specs_read(&r->op, &t[1], &new);
    }

    if (rc == CP_OK) {
        rc = cp_req_answer(r, 200, cp_spec_diff(&old.spec, &new.spec));
    }

    cp_specs_free(&new);
    cp_specs_free(&old);
    cp_specs_end(t[0].len + t[1].len);

    return rc;
}


/* POST /v1/specs/diff {old, new} */
static cp_rc_t
cp_spec_diff_post(cp_req_t *r)
{
    cp_rc_t           rc;
    unsigned          i;
    cp_json_t        *in;
    cp_spec_t         spec[2];
    const cp_json_t  *side[2];

    rc = cp_specs_begin(&r->op, r->body_len);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_req_json(r, &in);
    side[0] = rc == CP_OK ? cp_json_get(in, "old") : NULL;
    side[1] = rc == CP_OK ? cp_json_get(in, "new") : NULL;

    if (rc == CP_OK && (side[0] == NULL || side[1] == NULL || in->n != 2)) {
        rc = cp_err_field(&r->op.err, -1, in->line, "",
                          "must have \"old\" and \"new\", two documents");
    }

    for (i = 0; rc == CP_OK && i < 2; i++) {
        rc = cp_spec_read(&spec[i], r->op.arena, side[i], &r->op.err);
    }

    if (rc == CP_OK) {
        rc = cp_req_answer(r, 200, cp_spec_diff(&spec[0], &spec[1]));
    }

    cp_specs_end(r->body_len);

    return rc;
}


#define DOCUMENTS  "/v1/tenants/{tenant}/apis/{api}/documents"

const cp_route_t  cp_spec_routes[] = {

    { "POST", "/v1/specs/lint", CP_AUTH_ADMIN, "api:read", cp_spec_lint_post,
      NULL, "Validate and lint an OpenAPI document, keep nothing", NULL },

    { "POST", "/v1/specs/diff", CP_AUTH_ADMIN, "api:read", cp_spec_diff_post,
      NULL, "What one OpenAPI document changes in another", NULL },

    { "GET", DOCUMENTS, CP_AUTH_ADMIN, "api:read", cp_spec_list, NULL,
      "The OpenAPI documents of an api, the newest first", NULL },

    { "POST", DOCUMENTS, CP_AUTH_ADMIN, "api:write", cp_spec_import, NULL,
      "Import an OpenAPI document, and make operations of it",
      "dry_run operations wait" },

    { "GET", DOCUMENTS "/{number}", CP_AUTH_ADMIN, "api:read", cp_spec_get,
      NULL, "An OpenAPI document as it was imported; latest: the newest",
      NULL },

    { "GET", "/v1/tenants/{tenant}/apis/{api}/document-diff", CP_AUTH_ADMIN,
      "api:read", cp_spec_diff_get, NULL,
      "What one document of an api changes in another", "from to" },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
