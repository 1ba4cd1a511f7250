/*
 * GET .../bundles/{bundle}/bundle.tar.gz: what the bundle plugin of an Open
 * Policy Agent polls.
 */

#include "kinds/cp_bundle.h"
#include "rest/cp_list.h"


static cp_rc_t cp_bundle_get(cp_req_t *r);
static cp_rc_t cp_bundle_load(cp_req_t *r, cp_tx_t *tx, cp_json_t **row,
    const char **etag);


const cp_route_t  cp_bundle_routes[] = {
    { "GET", "/v1/tenants/{tenant}/bundles/{bundle}/bundle.tar.gz",
      CP_AUTH_ADMIN, "bundle:read", cp_bundle_get, NULL,
      "A bundle as Open Policy Agents fetch it", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_bundle_get(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *row;
    const char  *etag;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_bundle_load(r, tx, &row, &etag);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    cp_req_set_header(r, "ETag", etag);

    if (row == NULL) {
        return cp_req_answer(r, 304, NULL);
    }

    r->status = 200;
    r->content_type = "application/gzip";

    return cp_bundle_archive(r->op.arena, row, &r->out, &r->op.err);
}


/* *row NULL: who asks has it.  Most do, so nothing large is read for that. */
static cp_rc_t
cp_bundle_load(cp_req_t *r, cp_tx_t *tx, cp_json_t **row, const char **etag)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_arena_t  *a = r->op.arena;
    cp_place_t   p = { .res = &cp_res_bundle };

    *row = NULL;
    rc = cp_rest_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT revision FROM bundles WHERE id = $1",
                         cp_args(cp_text(p.id)), &rows, &r->op.err);
    }

    if (rc == CP_OK && rows.rows == 0) {
        rc = cp_err_set(&r->op.err, "not_found", "there is no such bundle");
    }

    if (rc != CP_OK) {
        return rc;
    }

    *etag = cp_arena_printf(a, "\"%s\"", cp_cell(&rows, 0, 0)->p);

    if (*etag == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    if (cp_req_knows(r, *etag)) {
        return CP_OK;
    }

    rc = cp_row_load(tx, a, p.res, p.id, row, &r->op.err);

    if (rc == CP_OK && *row == NULL) {
        rc = cp_err_set(&r->op.err, "not_found", "there is no such bundle");
    }

    /* it may be a younger one than the one that was looked at */

    if (rc == CP_OK) {
        *etag = cp_arena_printf(a, "\"%s\"", cp_json_str(*row, "revision"));
    }

    return rc;
}
