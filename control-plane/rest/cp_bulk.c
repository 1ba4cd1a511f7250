/*
 * POST /v1/<kind>/bulk: one event for many rows, each judged by itself.
 *
 * Which: `ids`, or all that the list of the kind would have with the same
 * query parameters, if there are as many as who asks has seen (`expected`); of
 * those that came after the youngest that he has seen (`upto`) none.
 * What fails is told per row and does not undo the others.
 * Limits: CP_BULK_MAX rows, one transaction.
 */

#include <string.h>

#include "kinds/cp_kind.h"
#include "rest/cp_list.h"


#define CP_BULK_MAX  500


typedef struct {
    const char       *event;
    const cp_json_t  *args;        /* the event's body                      */
    int64_t           done;
    int64_t           failed;
    cp_json_t        *items;
} cp_bulk_t;


static cp_rc_t cp_bulk_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p);
static cp_rc_t cp_bulk_which(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p,
    const cp_json_t *in, cp_json_t **ids);
static cp_rc_t cp_bulk_one(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p,
    cp_bulk_t *b, const char *id);


static const cp_field_t  cp_bulk_fields[] = {
    F("event", CP_F_STRING, RQ, 1, 32, NULL, "approve, suspend, revoke ..."),
    F("reason", CP_F_STRING, 0, 0, 500, NULL, "as of the event"),
    F_ARRAY("ids", 0, CP_BULK_MAX, CP_F_STRING, "these"),
    INT("expected", 0, 1, CP_BULK_MAX, NULL,
        "without ids: how many the list with this query has"),
    F("upto", CP_F_STRING, 0, 1, STOA_ID_LEN, NULL,
      "with expected: the youngest that was seen, by its id; what came after "
      "it is left out"),
    F_END
};


cp_rc_t
cp_bulk_route(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_place_t  p = { .res = r->route->data };

    rc = cp_list_known(r, p.res, true);

    return rc != CP_OK ? rc : cp_rest_write(r, &p, cp_bulk_write);
}


static cp_rc_t
cp_bulk_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t      rc;
    cp_bulk_t    b;
    cp_json_t   *in, *ids, *m, *args, *out;
    cp_arena_t  *a = r->op.arena;

    const cp_validate_t  v = { a, &r->op.err, -1, false };

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, cp_bulk_fields, in, NULL, &in);
    }

    if (rc == CP_OK) {
        rc = cp_bulk_which(r, tx, p, in, &ids);
    }

    if (rc != CP_OK) {
        return rc;
    }

    args = cp_json_object(a);

    if (cp_json_str(in, "reason")) {
        cp_json_put(a, args, "reason", cp_json_str(in, "reason"));
    }

    b = (cp_bulk_t) { cp_json_str(in, "event"), args, 0, 0,
                      cp_json_array(a) };

    for (m = ids->first; m && rc == CP_OK; m = m->next) {
        rc = cp_bulk_one(r, tx, p, &b, m->s);
    }

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(a);
    cp_json_put_int(a, out, "done", b.done);
    cp_json_put_int(a, out, "failed", b.failed);
    cp_json_set(a, out, "items", b.items);

    return cp_req_answer(r, 200, out);
}


static cp_rc_t
cp_bulk_which(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p,
    const cp_json_t *in, cp_json_t **ids)
{
    cp_rc_t      rc;
    int64_t      expected;
    unsigned     i;
    cp_rows_t    rows;
    const char  *upto;

    upto = cp_json_str(in, "upto");
    *ids = cp_json_get(in, "ids");
    expected = cp_json_num(in, "expected", 0);

    if ((*ids == NULL) == (expected == 0)) {
        return cp_err_field(&r->op.err, -1, 0, "ids", "either ids or expected"
                            " is required");
    }

    if (*ids) {
        return CP_OK;
    }

    rc = cp_list_ids(r, tx, p->res, CP_BULK_MAX + 1, &rows);

    if (rc != CP_OK) {
        return rc;
    }

    *ids = cp_json_array(r->op.arena);

    for (i = 0; i < rows.rows; i++) {
        if (upto == NULL || strcmp(cp_cell(&rows, i, 0)->p, upto) <= 0) {
            cp_json_push(*ids, cp_json_string(r->op.arena,
                                              cp_cell(&rows, i, 0)->p));
        }
    }

    return (*ids)->n == expected ? CP_OK
           : cp_err_set(&r->op.err, "conflict", "there are %s%u, not %lld:"
                        " look again", (*ids)->n > CP_BULK_MAX
                        ? "more than " : "",
                        (*ids)->n > CP_BULK_MAX ? CP_BULK_MAX : (*ids)->n,
                        (long long) expected);
}


static cp_rc_t
cp_bulk_one(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p, cp_bulk_t *b,
    const char *id)
{
    cp_rc_t      rc;
    cp_err_t     err = r->op.err;
    cp_json_t   *item;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(&r->op, tx, p->res);
    cp_arena_t  *a = r->op.arena;

    w.id = id;
    w.in = b->args;

    item = cp_json_object(a);
    cp_json_put(a, item, "id", id);

    rc = cp_entry_event(&w, b->event, &e);

    /* its key is shown once, in an answer of its own; all is undone */

    if (rc == CP_OK && strcmp(cp_json_str(e.row, "id"), id) != 0) {
        return cp_err_field(&r->op.err, -1, 0, "event", "\"%s\" makes a key:"
                            " one at a time", b->event);
    }

    if (rc == CP_OK) {
        b->done++;
        cp_json_put(a, item, "result", "done");
        cp_json_put(a, item, "state", cp_json_str(e.row, "state"));

    } else if (rc == CP_DECLINED) {
        b->failed++;
        cp_json_put(a, item, "result", "failed");
        cp_json_put(a, item, "code", r->op.err.code);
        cp_json_put(a, item, "detail", r->op.err.detail);
        r->op.err = err;
        rc = CP_OK;
    }

    cp_json_push(b->items, item);

    return rc;
}
