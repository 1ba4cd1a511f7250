/*
 * Versions of documents.
 */

#include <malloc.h>
#include <stdatomic.h>
#include <string.h>

#include <zlib.h>

#include "catalogue/cp_specs.h"
#include "core/stoa_contract.h"


#define CP_SPECS_TRIM  1048576         /* longer ones: memory is given back */


static _Atomic int64_t  cp_specs_busy;


cp_rc_t
cp_specs_begin(cp_op_t *op, size_t len)
{
    if (atomic_fetch_add(&cp_specs_busy, (int64_t) len) + (int64_t) len
        > CP_SPECS_AT_ONCE)
    {
        cp_specs_end(len);
        return cp_err_set(&op->err, "unavailable",
                          "other documents are being read; try again");
    }

    return CP_OK;
}


void
cp_specs_end(size_t len)
{
    (void) atomic_fetch_sub(&cp_specs_busy, (int64_t) len);

    if (len > CP_SPECS_TRIM) {
        (void) malloc_trim(0);
    }
}


cp_rc_t
cp_specs_read(cp_op_t *op, const cp_specs_text_t *t, cp_specs_read_t *out)
{
    cp_rc_t      rc;
    size_t       len;
    cp_json_t   *root;
    const char  *text;

    out->arena = cp_arena_create(CP_SPECS_ARENA);

    if (out->arena == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    text = t->text;
    len = t->len;
    root = NULL;
    cp_text_skip_mark(&text, &len);

    rc = t->yaml ? cp_yaml_parse(out->arena, text, len, &root, &op->err)
                 : cp_json_parse(out->arena, text, len, &root, &op->err);

    if (cp_arena_failed(out->arena)) {
        op->err.n = 0;
        return cp_err_set(&op->err, "too_large", "the document has more"
                          " values than fit into the memory for it");
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (t->yaml && root->n != 1) {
        return cp_err_set(&op->err, "bad_request",
                          "there must be one document in the body");
    }

    return cp_spec_read(&out->spec, out->arena, t->yaml ? root->first : root,
                        &op->err);
}


void
cp_specs_free(cp_specs_read_t *d)
{
    cp_arena_destroy(d->arena);
    d->arena = NULL;
}


/* As gateways would read it; why they could not, in its place. */
static void *
cp_specs_room(void *ctx, size_t size)
{
    return cp_arena_alloc(ctx, size);
}


static const char *
cp_specs_contract(cp_arena_t *a, cp_spec_t *spec)
{
    char             *text;
    size_t            len;
    cp_json_t        *made, *none;
    stoa_err_t        err;
    stoa_contract_t   c;

    made = cp_spec_contract(spec);
    text = cp_json_text(spec->arena, made, &len);
    memset(&err, 0, sizeof(err));

    if (text == NULL || cp_json_get(made, "failed")) {
        return text ? cp_arena_strdup(a, text) : NULL;
    }

    if (stoa_contract_read(text, len, cp_specs_room, spec->arena, &c, &err)
        == STOA_OK)
    {
        return cp_arena_strdup(a, text);
    }

    none = cp_json_object(a);
    cp_json_put(a, none, "failed",
                cp_arena_printf(a, "cannot be judged by: %s%s%s", err.field,
                                err.field[0] ? " " : "", err.text));

    return cp_json_text(a, none, &len);
}


cp_json_t *
cp_specs_head(cp_arena_t *a, cp_spec_t *spec, cp_specs_text_t *t,
    cp_json_t **list)
{
    cp_json_t        *head;
    const cp_json_t  *info;

    t->contract = cp_specs_contract(a, spec);

    info = cp_json_get(spec->root, "info");
    head = cp_json_object(a);
    cp_json_put(a, head, "openapi", cp_json_str(spec->root, "openapi"));
    cp_json_put(a, head, "title", cp_json_str(info, "title"));
    cp_json_put(a, head, "version", cp_json_str(info, "version"));
    *list = cp_spec_operations(spec);
    cp_json_put_int(a, head, "operations", (*list)->n);

    return head;
}


cp_rc_t
cp_specs_load(cp_tx_t *tx, cp_arena_t *a, const char *api, int64_t number,
    cp_specs_text_t *t, cp_err_t *err)
{
    char       *text;
    uLongf      len;
    cp_rc_t     rc;
    cp_rows_t   rows;

    memset(t, 0, sizeof(cp_specs_text_t));

    rc = cp_tx_query(tx, a, "SELECT number, digest, format, bytes, body,"
                     " contract IS NULL FROM api_documents WHERE api = $1"
                     " AND (number = $2 OR $2 = 0)"
                     " ORDER BY number DESC LIMIT 1",
                     cp_args(cp_text(api), cp_int(number)), &rows, err);
    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    len = (uLongf) cp_cell(&rows, 0, 3)->i;
    text = cp_arena_alloc(a, len + 1);

    if (text == NULL
        || uncompress((Bytef *) text, &len,
                      (const Bytef *) cp_cell(&rows, 0, 4)->p,
                      cp_cell(&rows, 0, 4)->len) != Z_OK
        || len != (uLongf) cp_cell(&rows, 0, 3)->i)
    {
        return cp_err_set(err, "internal", "a document cannot be unpacked");
    }

    text[len] = '\0';
    t->number = cp_cell(&rows, 0, 0)->i;
    t->digest = cp_cell(&rows, 0, 1)->p;
    t->yaml = strcmp(cp_cell(&rows, 0, 2)->p, "yaml") == 0;
    t->bare = cp_cell(&rows, 0, 5)->i != 0;
    t->text = text;
    t->len = len;

    return CP_OK;
}


cp_rc_t
cp_specs_newest(cp_tx_t *tx, cp_arena_t *a, const char *api,
    cp_specs_text_t *t, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    memset(t, 0, sizeof(cp_specs_text_t));

    rc = cp_tx_query(tx, a, "SELECT number, digest, contract IS NULL"
                     " FROM api_documents WHERE api = $1"
                     " ORDER BY number DESC LIMIT 1",
                     cp_args(cp_text(api)), &rows, err);

    if (rc == CP_OK && rows.rows) {
        t->number = cp_cell(&rows, 0, 0)->i;
        t->digest = cp_cell(&rows, 0, 1)->p;
        t->bare = cp_cell(&rows, 0, 2)->i != 0;
    }

    return rc;
}


cp_rc_t
cp_specs_list(cp_op_t *op, cp_tx_t *tx, const char *api, cp_json_t **out)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *items, *one;
    cp_arena_t  *a = op->arena;

    rc = cp_tx_query(tx, a, "SELECT number, digest, format, openapi, title,"
                     " version, operations, bytes, created_at, created_by"
                     " FROM api_documents WHERE api = $1"
                     " ORDER BY number DESC", cp_args(cp_text(api)), &rows,
                     &op->err);

    items = cp_json_array(a);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        one = cp_json_object(a);
        cp_json_put_int(a, one, "number", cp_cell(&rows, i, 0)->i);
        cp_json_put(a, one, "digest", cp_cell(&rows, i, 1)->p);
        cp_json_put(a, one, "format", cp_cell(&rows, i, 2)->p);
        cp_json_put(a, one, "openapi", cp_cell(&rows, i, 3)->p);
        cp_json_put(a, one, "title", cp_cell(&rows, i, 4)->p);
        cp_json_put(a, one, "version", cp_cell(&rows, i, 5)->p);
        cp_json_put_int(a, one, "operations", cp_cell(&rows, i, 6)->i);
        cp_json_put_int(a, one, "bytes", cp_cell(&rows, i, 7)->i);
        cp_json_put(a, one, "created_at",
                    cp_time_format(a, cp_cell(&rows, i, 8)->i));
        cp_json_put(a, one, "created_by", cp_cell(&rows, i, 9)->p);
        cp_json_push(items, one);
    }

    *out = cp_json_object(a);
    cp_json_set(a, *out, "items", items);

    return rc;
}


cp_rc_t
cp_specs_pack(cp_op_t *op, cp_specs_text_t *t)
{
    char    *packed;
    uLongf   len;

    len = compressBound((uLong) t->len);
    packed = cp_arena_alloc(op->arena, len);

    if (packed == NULL
        || compress2((Bytef *) packed, &len, (const Bytef *) t->text,
                     (uLong) t->len, 6) != Z_OK)
    {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    t->packed = packed;
    t->npacked = len;

    return CP_OK;
}


cp_rc_t
cp_specs_keep(cp_op_t *op, cp_tx_t *tx, const char *api, const char *tenant,
    const cp_specs_text_t *t, const cp_json_t *head)
{
    cp_rc_t  rc;

    rc = cp_tx_query(tx, op->arena, "INSERT INTO api_documents (api, number,"
                     " tenant, digest, format, openapi, title, version,"
                     " operations, bytes, created_at, created_by, body,"
                     " contract) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
                     " $10, $11, $12, $13, $14)",
                     cp_args(cp_text(api), cp_int(t->number), cp_text(tenant),
                             cp_text(t->digest),
                             cp_text(t->yaml ? "yaml" : "json"),
                             cp_text(cp_json_str(head, "openapi")),
                             cp_text(cp_json_str(head, "title")),
                             cp_text(cp_json_str(head, "version")),
                             cp_int(cp_json_num(head, "operations", 0)),
                             cp_int((int64_t) t->len), cp_int(cp_time_ms()),
                             cp_text(op->actor.name),
                             cp_blob(t->packed, t->npacked),
                             cp_text(t->contract)), NULL, &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "DELETE FROM api_documents"
                         " WHERE api = $1 AND number <= $2",
                         cp_args(cp_text(api),
                                 cp_int(t->number - CP_DOCUMENTS_KEPT)), NULL,
                         &op->err);
    }

    /* gateways may judge by it */

    return rc == CP_OK ? cp_resource_touch(op, tx, &cp_res_api, api) : rc;
}
