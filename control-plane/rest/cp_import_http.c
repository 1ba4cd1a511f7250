/*
 * POST .../credentials/import: keys that were made elsewhere, by their digest
 * alone: those of another control plane.  A gateway finds a key by the id in
 * it, which its prefix tells; other forms of keys have none.
 *
 * Limits: CP_IMPORT_MAX keys, one transaction, a result for each.
 */

#include <string.h>

#include "kinds/cp_kind.h"
#include "rest/cp_list.h"


#define CP_IMPORT_MAX  1000


static cp_rc_t cp_import_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p);
static cp_rc_t cp_import_one(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p,
    const cp_json_t *key, cp_json_t *item);


static const cp_field_t  import_key_fields[] = {
    F("sha256", CP_F_STRING, RQ, 64, 64, NULL,
      "of the whole key, hexadecimal"),
    F("prefix", CP_F_STRING, RQ, 1, 48, NULL,
      "how the key begins: stoa_ENV_ID; of another product's what people know "
      "it by"),
    F("last4", CP_F_STRING, 0, 0, 4, NULL, "how it ends"),
    F("title", CP_F_STRING, 0, 0, 200, NULL, "for people"),
    F("expires_at", CP_F_TIME, 0, 0, 0, NULL, "refused from then on"),
    F_END
};

static const cp_field_t  import_fields[] = {
    F_OBJECTS("keys", RQ, 1, CP_IMPORT_MAX, import_key_fields, "the keys"),
    F_END
};


cp_rc_t
cp_import_route(cp_req_t *r)
{
    cp_place_t  p = { .res = r->route->data };

    return cp_rest_write(r, &p, cp_import_write);
}


static cp_rc_t
cp_import_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t      rc;
    int64_t      i;
    cp_json_t   *in, *key, *items, *item, *out;
    cp_arena_t  *a = r->op.arena;

    const cp_validate_t  v = { a, &r->op.err, -1, false };

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, import_fields, in, NULL, &in);
    }

    if (rc != CP_OK) {
        return rc;
    }

    items = cp_json_array(a);
    key = cp_json_get(in, "keys")->first;

    for (i = 0; key && rc == CP_OK; key = key->next, i++) {
        item = cp_json_object(a);
        cp_json_put_int(a, item, "index", i);
        rc = cp_import_one(r, tx, p, key, item);
        cp_json_push(items, item);
    }

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(a);
    cp_json_set(a, out, "items", items);

    return cp_req_answer(r, 200, out);
}


static cp_rc_t
cp_import_one(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p,
    const cp_json_t *key, cp_json_t *item)
{
    cp_rc_t                   rc;
    unsigned                  i;
    cp_err_t                  err = r->op.err;
    cp_json_t                *in;
    cp_entry_t                e;
    cp_write_t                w = cp_write_of(&r->op, tx, p->res);
    cp_arena_t               *a = r->op.arena;
    static const char *const  members[] = { "title", "expires_at" };

    in = cp_json_object(a);

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (cp_json_str(key, members[i])) {
            cp_json_put(a, in, members[i], cp_json_str(key, members[i]));
        }
    }

    w.id = p->parent;
    w.in = in;
    w.given = key;

    rc = cp_entry_create(&w, &e);

    if (rc == CP_OK) {
        cp_json_put(a, item, "result", "created");
        cp_json_put(a, item, "id", cp_json_str(e.row, "id"));

    } else if (rc == CP_DECLINED) {
        cp_json_put(a, item, "result",
                    strcmp(r->op.err.code, "already_exists") == 0
                    ? "exists" : "failed");
        cp_json_put(a, item, "code", r->op.err.code);
        cp_json_put(a, item, "detail", r->op.err.n
                    ? cp_arena_printf(a, "%s %s", r->op.err.faults[0].field,
                                      r->op.err.faults[0].message)
                    : r->op.err.detail);
        r->op.err = err;
        rc = CP_OK;
    }

    return rc;
}
