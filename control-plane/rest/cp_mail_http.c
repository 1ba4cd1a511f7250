/*
 * /v1/mails: what waits to be sent, and what became of it; and a mail to try
 * the server with.  Texts are never shown.
 */

#include <inttypes.h>
#include <string.h>

#include "client/cp_mail.h"
#include "http/cp_query.h"
#include "kinds/cp_kind.h"
#include "rest/cp_list.h"


static cp_rc_t cp_mail_list(cp_req_t *r);
static cp_rc_t cp_mail_test(cp_req_t *r);


const cp_route_t  cp_mail_routes[] = {
    { "GET", "/v1/mails", CP_AUTH_ADMIN, "mail:read", cp_mail_list, NULL,
      "Mails that wait, and for a week what became of the others, youngest"
      " first", "state limit cursor" },
    { "POST", "/v1/mails/test", CP_AUTH_ADMIN, "mail:write", cp_mail_test,
      NULL, "Queue a mail that says that mail works", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static const cp_field_t  cp_mail_fields[] = {
    F("to", CP_F_STRING, RQ, 1, 254, NULL, "whom to"),
    F_END
};


static cp_json_t *
cp_mail_item(cp_arena_t *a, const cp_val_t *c)
{
    cp_json_t  *item;

    item = cp_json_object(a);
    cp_json_put(a, item, "id", c[0].p);
    cp_json_put(a, item, "to", c[1].p);
    cp_json_put(a, item, "state", c[2].p);
    cp_json_put_int(a, item, "tries", c[3].i);

    if (strcmp(c[2].p, "waiting") == 0) {
        cp_json_put(a, item, "next_at", cp_time_format(a, c[4].i));
    }

    if (c[5].type == CP_VAL_TEXT) {
        cp_json_put(a, item, "error", c[5].p);
    }

    cp_json_put(a, item, "created_at", cp_time_format(a, c[6].i));
    cp_json_put(a, item, "updated_at", cp_time_format(a, c[7].i));

    return item;
}


static cp_rc_t
cp_mail_list(cp_req_t *r)
{
    cp_rc_t      rc;
    int64_t      i, limit;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    cp_json_t   *page, *items;
    cp_arena_t  *a = r->op.arena;
    const char  *key, *state;

    rc = cp_list_range(r, &limit, &key);
    if (rc != CP_OK) {
        return rc;
    }

    state = cp_req_query(r, "state");

    if (state && strcmp(state, "waiting") != 0 && strcmp(state, "sent") != 0
        && strcmp(state, "failed") != 0)
    {
        return cp_query_fault(r, "state", "must be waiting, sent or failed");
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT id, recipient, state,"
                     " tries, next_at, error, created_at, updated_at"
                     " FROM mails WHERE ($1 = '' OR id < $1)"
                     " AND ($2 = '' OR state = $2)"
                     " ORDER BY id DESC LIMIT %" PRId64, limit + 1),
                     cp_args(cp_text(key), cp_text(state ? state : "")),
                     &rows, &r->op.err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    page = cp_json_object(a);
    items = cp_json_array(a);

    for (i = 0; i < rows.rows && i < limit; i++) {
        cp_json_push(items, cp_mail_item(a, cp_cell(&rows, i, 0)));
    }

    cp_json_put_bool(a, page, "enabled", cp_mail_on(r->op.app));
    cp_json_set(a, page, "items", items);

    if (rows.rows > limit) {
        cp_json_put(a, page, "next",
                    cp_list_cursor(a, cp_cell(&rows, limit - 1, 0)->p));
    }

    return cp_req_answer(r, 200, page);
}


static cp_rc_t
cp_mail_test(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_tx_t    *tx;
    cp_json_t  *in, *out;
    cp_mail_t   mail;

    const cp_validate_t  v = { r->op.arena, &r->op.err, -1, false };

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, cp_mail_fields, in, NULL, &in);
    }

    if (rc != CP_OK) {
        return rc;
    }

    mail.tenant = NULL;
    mail.to = cp_json_str(in, "to");
    mail.subject = "STOA: mail works";
    mail.text = "Somebody who administers STOA asked for this mail, to see"
                " that mail works.\nThere is nothing to do.\n";

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_finish(tx, cp_mail_send(&r->op, tx, &mail), &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_put(r->op.arena, out, "state", "waiting");

    return cp_req_answer(r, 202, out);
}
