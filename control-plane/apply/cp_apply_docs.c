/*
 * What documents an api has: its pages, as its document lists them (those that
 * are not in the list go), and its OpenAPI document.  One that is kept already
 * costs a look at its digest.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "audit/cp_audit.h"
#include "apply/cp_apply_run.h"
#include "catalogue/cp_specs.h"


static cp_rc_t cp_apply_page(cp_apply_t *ap, cp_document_t *d,
    cp_json_t *item, const cp_json_t *old, cp_json_t *diff);
static cp_rc_t cp_openapi_keep(cp_apply_t *ap, cp_document_t *d,
    cp_specs_text_t *t, cp_json_t **operations);
static void cp_openapi_tell(cp_arena_t *a, const cp_json_t *made,
    cp_json_t *diff);


static cp_json_t *
cp_page_named(const cp_json_t *list, const char *name)
{
    cp_json_t   *m;
    const char  *s;

    for (m = list->first; m; m = m->next) {
        s = m->type == CP_JSON_OBJECT ? cp_json_str(m, "name") : NULL;

        if (s && name && strcmp(s, name) == 0) {
            return m;
        }
    }

    return NULL;
}


/* What a document says of it: without what only the database knows. */
static cp_json_t *
cp_page_said(cp_arena_t *a, const cp_json_t *obj)
{
    return obj ? cp_dump_spec(a, cp_res_page.fields, obj) : NULL;
}


cp_rc_t
cp_apply_pages(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
{
    char            field[32];
    cp_rc_t         rc;
    unsigned        i, n;
    cp_op_t        *op = ap->op;
    cp_json_t      *old, *row, *item;
    cp_write_t      w = cp_write_of(op, ap->tx, &cp_res_page);
    const char     *name;

    const cp_row_query_t  q = { "\"api\" = $1", "\"name\"", 0, true };

    rc = cp_row_select(ap->tx, op->arena, &cp_res_page, &q,
                       cp_args(cp_text(d->id)), &old, &op->err);

    for (row = rc == CP_OK ? old->first : NULL; rc == CP_OK && row;
         row = row->next)
    {
        name = cp_json_str(row, "name");

        if (cp_page_named(d->pages, name) == NULL) {
            w.id = cp_json_str(row, "id");
            rc = cp_entry_delete(&w);
            cp_diff_push(op->arena, diff,
                         cp_arena_printf(op->arena, "pages[%s]", name),
                         cp_page_said(op->arena, row), NULL);
        }
    }

    for (item = d->pages->first, i = 0; rc == CP_OK && item;
         item = item->next, i++)
    {
        (void) snprintf(field, sizeof(field), "pages[%u]", i);
        n = op->err.n;
        name = item->type == CP_JSON_OBJECT ? cp_json_str(item, "name")
                                            : NULL;

        if (name && cp_page_named(d->pages, name) != item) {
            rc = cp_err_field(&op->err, d->index, item->line, "name",
                              "\"%.64s\" is there twice", name);

        } else {
            rc = cp_apply_page(ap, d, item, cp_page_named(old, name), diff);
        }

        if (rc == CP_DECLINED) {
            cp_document_item_faults(&op->err, n, field);
        }
    }

    return rc;
}


static cp_rc_t
cp_apply_page(cp_apply_t *ap, cp_document_t *d, cp_json_t *item,
    const cp_json_t *old, cp_json_t *diff)
{
    cp_rc_t        rc;
    cp_op_t       *op = ap->op;
    cp_err_t       quiet = { .arena = op->arena };
    cp_json_t     *after, *before, *now;
    cp_entry_t     e;
    cp_write_t     w = cp_write_of(op, ap->tx, &cp_res_page);
    cp_validate_t  v = { op->arena, &quiet, d->index, false };

    before = cp_page_said(op->arena, old);

    /* what is the same is not written, nor needs a right to write */

    if (old && cp_validate(&v, cp_res_page.fields, item, old, &after) == CP_OK
        && cp_json_equal(before, cp_page_said(op->arena, after)))
    {
        return CP_OK;
    }

    w.id = old ? cp_json_str(old, "id") : d->id;
    w.in = cp_json_copy(op->arena, item);
    w.document = d->index;

    rc = old ? cp_entry_update(&w, &e) : cp_entry_create(&w, &e);

    if (rc == CP_OK) {
        now = cp_page_said(op->arena, e.obj);
        cp_diff_push(op->arena, diff,
                     cp_arena_printf(op->arena, "pages[%s]",
                                     cp_json_str(now, "name")), before, now);
    }

    return rc;
}


/* ---- the OpenAPI document ----------------------------------------------- */

/* {format, text} */
static cp_rc_t
cp_openapi_form(cp_apply_t *ap, const cp_document_t *d, cp_specs_text_t *t)
{
    uint8_t           sum[32];
    cp_op_t          *op = ap->op;
    const char       *format;
    const cp_json_t  *m, *text;

    text = cp_json_get(d->openapi, "text");
    m = cp_json_get(d->openapi, "format");
    format = m == NULL ? "yaml" : m->type == CP_JSON_STRING ? m->s : "";

    for (m = d->openapi->first; m; m = m->next) {
        if (strcmp(m->key, "text") != 0 && strcmp(m->key, "format") != 0) {
            return cp_err_field(&op->err, d->index, m->line,
                                cp_arena_printf(op->arena, "document.%.64s",
                                                m->key), "is unknown");
        }
    }

    if (text == NULL || text->type != CP_JSON_STRING
        || text->len > CP_SPEC_BYTES_MAX)
    {
        return cp_err_field(&op->err, d->index, d->openapi->line,
                            "document.text", "must be a text of at most %d"
                            " MiB", CP_SPEC_BYTES_MAX / 1048576);
    }

    if (strcmp(format, "yaml") != 0 && strcmp(format, "json") != 0) {
        return cp_err_field(&op->err, d->index, d->openapi->line,
                            "document.format", "must be yaml or json");
    }

    memset(t, 0, sizeof(cp_specs_text_t));
    t->yaml = strcmp(format, "yaml") == 0;
    t->text = text->s;
    t->len = text->len;
    cp_sha256(t->text, t->len, sum);
    t->digest = cp_hex(op->arena, sum, sizeof(sum));

    return CP_OK;
}


cp_rc_t
cp_apply_openapi(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
{
    cp_rc_t           rc;
    cp_op_t          *op = ap->op;
    cp_rows_t         rows;
    cp_json_t        *made;
    cp_specs_text_t   t, last;

    rc = cp_openapi_form(ap, d, &t);

    if (rc == CP_OK) {
        rc = cp_specs_newest(ap->tx, op->arena, d->id, &last, &op->err);
    }

    if (rc != CP_OK
        || (last.number && !last.bare
            && strcmp(last.digest, t.digest) == 0))
    {
        return rc;
    }

    rc = cp_auth_may(op, "api:write", d->tenant_id);

    if (rc == CP_OK) {
        rc = cp_tx_query(ap->tx, op->arena, "SELECT kind FROM apis"
                         " WHERE id = $1", cp_args(cp_text(d->id)), &rows,
                         &op->err);
    }

    if (rc == CP_OK && strcmp(cp_cell(&rows, 0, 0)->p, "rest") != 0) {
        rc = cp_err_field(&op->err, d->index, d->openapi->line, "document",
                          "is for kind rest");
    }

    if (rc != CP_OK) {
        return rc;
    }

    t.number = last.number + 1;
    rc = cp_specs_begin(op, t.len);

    if (rc == CP_OK) {
        rc = cp_openapi_keep(ap, d, &t, &made);
        cp_specs_end(t.len);
    }

    if (rc == CP_OK) {
        cp_diff_push(op->arena, diff, "document",
                     last.number ? cp_json_string(op->arena, last.digest)
                                 : NULL, cp_json_string(op->arena, t.digest));
        cp_openapi_tell(op->arena, made, diff);
    }

    return rc;
}


/* Where the document lists no operations, they are made from it. */
static cp_rc_t
cp_openapi_keep(cp_apply_t *ap, cp_document_t *d, cp_specs_text_t *t,
    cp_json_t **operations)
{
    cp_rc_t            rc;
    cp_op_t           *op = ap->op;
    cp_json_t         *head, *list;
    cp_specs_read_t    read;
    cp_audit_event_t   e = { .tenant = d->tenant_id, .action = "import",
                             .kind = "api", .id = d->id, .name = d->name };

    head = list = NULL;
    rc = cp_specs_read(op, t, &read);

    if (rc == CP_OK) {
        head = cp_specs_head(op->arena, &read.spec, t, &list);
        list = cp_json_copy(op->arena, list);
    }

    cp_specs_free(&read);

    if (rc == CP_OK) {
        rc = cp_specs_pack(op, t);
    }

    if (rc == CP_OK) {
        rc = cp_specs_keep(op, ap->tx, d->id, d->tenant_id, t, head);
    }

    if (rc == CP_OK) {
        cp_json_put_int(op->arena, head, "number", t->number);
        cp_json_put(op->arena, head, "digest", t->digest);
        e.diff = head;
        rc = cp_audit_append(op, ap->tx, &e);
    }

    return rc == CP_OK
           ? cp_import_operations(op, ap->tx, d->id, list, d->operations
                                  ? CP_IMPORT_NONE : CP_IMPORT_REPLACE,
                                  false, operations)
           : rc;
}


static void
cp_openapi_tell(cp_arena_t *a, const cp_json_t *made, cp_json_t *diff)
{
    unsigned          i;
    cp_json_t        *what;
    const cp_json_t  *m;

    static const char *const  lists[] = { "create", "update", "delete" };

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        m = cp_json_get(made, lists[i]);

        for (m = m ? m->first : NULL; m; m = m->next) {
            what = cp_json_string(a, cp_json_str(m, "operation"));
            cp_diff_push(a, diff,
                         cp_arena_printf(a, "operations[%s]",
                                         cp_json_str(m, "name")),
                         i ? what : NULL, i < 2 ? what : NULL);
        }
    }
}
