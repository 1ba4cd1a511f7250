/*
 * The history of a policy: its versions, what each changed, and back to one.
 */

#include <stdlib.h>
#include <string.h>

#include "base/cp_err.h"
#include "kinds/cp_policy_version.h"
#include "op/cp_app.h"
#include "rest/cp_list.h"


static cp_rc_t cp_versions_open(cp_req_t *r, int64_t ver, cp_tx_t **tx,
    cp_place_t *p, cp_json_t **row, cp_rows_t *rows);
static cp_rc_t cp_versions_items(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p, const cp_json_t *row, const cp_rows_t *rows,
    bool whole, cp_json_t *items);
static cp_rc_t cp_versions_number(cp_req_t *r, int64_t *ver);
static cp_rc_t cp_versions_restore(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);


/* GET .../policies/{policy}/versions: without configurations. */
cp_rc_t
cp_policy_versions(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *row, *out, *items;
    cp_rows_t    rows;
    cp_place_t   p;

    rc = cp_versions_open(r, 0, &tx, &p, &row, &rows);
    if (rc != CP_OK) {
        return rc;
    }

    items = cp_json_array(r->op.arena);
    rc = cp_versions_items(r, tx, &p, row, &rows, false, items);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, out, "items", items);

    return cp_req_answer(r, 200, out);
}


/* GET .../versions/{version}: what it was, and what restoring it changes. */
cp_rc_t
cp_policy_version(cp_req_t *r)
{
    cp_rc_t      rc;
    int64_t      ver;
    cp_tx_t     *tx;
    cp_json_t   *row, *items;
    cp_rows_t    rows;
    cp_place_t   p;

    rc = cp_versions_number(r, &ver);

    if (rc == CP_OK) {
        rc = cp_versions_open(r, ver, &tx, &p, &row, &rows);
    }

    if (rc != CP_OK) {
        return rc;
    }

    items = cp_json_array(r->op.arena);
    rc = cp_versions_items(r, tx, &p, row, &rows, true, items);
    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, items->first) : rc;
}


/* POST .../versions/{version}/restore: an update, and so a new version. */
cp_rc_t
cp_policy_restore(cp_req_t *r)
{
    cp_place_t  p = { .res = r->route->data };

    return cp_rest_write(r, &p, cp_versions_restore);
}


/* On CP_OK a transaction is open. */
static cp_rc_t
cp_versions_open(cp_req_t *r, int64_t ver, cp_tx_t **tx, cp_place_t *p,
    cp_json_t **row, cp_rows_t *rows)
{
    cp_rc_t      rc;
    cp_arena_t  *a = r->op.arena;

    memset(p, 0, sizeof(cp_place_t));
    p->res = r->route->data;

    if (cp_tx_open(r->op.app->db, false, tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_rest_place(r, *tx, p);

    if (rc == CP_OK) {
        rc = cp_row_load(*tx, a, p->res, p->id, row, &r->op.err);
    }

    if (rc == CP_OK && *row == NULL) {
        rc = cp_err_set(&r->op.err, "not_found", "there is no such policy");
    }

    if (rc == CP_OK) {
        rc = cp_policy_version_read(*tx, a, p->id, ver, rows, &r->op.err);
    }

    if (rc != CP_OK) {
        cp_tx_rollback(*tx);
    }

    return rc;
}


/* whole: as it was, against what is now; else each against the one before. */
static cp_rc_t
cp_versions_items(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p,
    const cp_json_t *row, const cp_rows_t *rows, bool whole,
    cp_json_t *items)
{
    cp_rc_t          rc;
    unsigned         i;
    cp_json_t       *item, *obj, *younger, *now;
    cp_arena_t      *a = r->op.arena;
    cp_names_t       names;
    const cp_val_t  *row_of;

    cp_names_init(&names, tx, a, &r->op.err);
    younger = NULL;
    item = NULL;

    for (i = 0; i < rows->rows; i++) {
        row_of = cp_cell(rows, i, 0);
        rc = cp_policy_version_show(&names, p->res, row, &row_of[3], &obj);
        if (rc != CP_OK) {
            return rc;
        }

        if (younger) {
            cp_json_set(a, item, "diff",
                        cp_change_diff(a, p->res, obj, younger));
        }

        item = cp_json_object(a);
        cp_json_put_int(a, item, "version", row_of[0].i);
        cp_json_put(a, item, "at", cp_time_format(a, row_of[1].i));
        cp_json_put(a, item, "actor", row_of[2].p);
        cp_json_put_bool(a, item, "current",
                         row_of[0].i == cp_json_num(row, "ver", 0));
        cp_json_push(items, item);
        younger = obj;
    }

    if (!whole || item == NULL) {
        return CP_OK;
    }

    rc = cp_row_show(&names, p->res, row, &now);
    if (rc != CP_OK) {
        return rc;
    }

    cp_json_set(a, item, "diff", cp_change_diff(a, p->res, now, younger));
    cp_json_set(a, item, "policy", younger);

    return CP_OK;
}


/* The last parameter of the path. */
static cp_rc_t
cp_versions_number(cp_req_t *r, int64_t *ver)
{
    const char  *s = r->param[r->nparam - 1];

    *ver = strspn(s, "0123456789") == strlen(s) && strlen(s) < 16
           ? strtoll(s, NULL, 10) : 0;

    return *ver > 0 ? CP_OK : cp_err_set(&r->op.err, "not_found",
                                         "this version is not kept");
}


static cp_rc_t
cp_versions_restore(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t      rc;
    int64_t      ver;
    cp_json_t   *in;
    cp_rows_t    rows;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(&r->op, tx, p->res);

    rc = cp_versions_number(r, &ver);

    if (rc == CP_OK) {
        rc = cp_policy_version_read(tx, r->op.arena, p->id, ver, &rows,
                                    &r->op.err);
    }

    if (rc == CP_OK) {
        rc = cp_json_parse(r->op.arena, cp_cell(&rows, 0, 3)->p,
                           cp_cell(&rows, 0, 3)->len, &in, &r->op.err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    /* ids in references are names too; what is gone meanwhile is named */

    w.id = p->id;
    w.in = in;
    w.patch = true;
    w.if_match = cp_req_header(r, "If-Match");

    rc = cp_entry_update(&w, &e);
    if (rc != CP_OK) {
        return rc;
    }

    cp_req_set_header(r, "ETag", e.etag);

    return cp_req_answer(r, 200, e.obj);
}
