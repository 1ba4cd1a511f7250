/*
 * Checkpoints of the audit log, and the erasure of people.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "audit/cp_checkpoint.h"
#include "audit/cp_person.h"
#include "auth/cp_auth.h"
#include "http/cp_query.h"
#include "rest/cp_list.h"


static cp_rc_t cp_checkpoint_get(cp_req_t *r);
static cp_rc_t cp_checkpoint_post(cp_req_t *r);
static cp_rc_t cp_checkpoint_check(cp_req_t *r);
static cp_rc_t cp_erasure_post(cp_req_t *r);
static cp_rc_t cp_erasure_do(cp_req_t *r, cp_tx_t *tx, const char *person,
    cp_json_t **out);


const cp_route_t  cp_checkpoint_routes[] = {
    { "GET", "/v1/audit/checkpoint", CP_AUTH_ADMIN, "audit:read",
      cp_checkpoint_get, NULL, "The last checkpoint, to be kept elsewhere",
      "tenant" },
    { "POST", "/v1/audit/checkpoint", CP_AUTH_ADMIN, "audit:checkpoint",
      cp_checkpoint_post, NULL, "Sign what the audit log has now",
      "accept" },
    { "POST", "/v1/audit/verify", CP_AUTH_ADMIN, "audit:read",
      cp_checkpoint_check, NULL,
      "Whether the log still has what a checkpoint says", NULL },
    { "POST", "/v1/audit/erasures", CP_AUTH_ADMIN, "audit:erase",
      cp_erasure_post, NULL, "Erase what the log says of a person", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_checkpoint_get(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *out;
    const char  *name, *chain;

    name = cp_req_query(r, "tenant");

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = name ? cp_ref_tenant(&r->op, tx, name, r->route->permission, &chain)
              : cp_auth_one(&r->op, r->route->permission, &chain);

    if (rc == CP_OK) {
        rc = cp_checkpoint_export(&r->op, tx, chain, &out);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


static cp_rc_t
cp_checkpoint_post(cp_req_t *r)
{
    bool        accept;
    cp_rc_t     rc;
    int64_t     number;
    cp_tx_t    *tx;
    cp_json_t  *out;

    accept = false;

    rc = cp_query_flag(r, "accept", &accept);

    if (rc == CP_OK) {
        rc = cp_checkpoint_make(&r->op, accept, &number);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_checkpoint_export(&r->op, tx, NULL, &out);
    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


static cp_rc_t
cp_checkpoint_check(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *in, *out;
    const char  *why;

    rc = cp_req_json(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_checkpoint_compare(&r->op, tx, in, &why);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_put_bool(r->op.arena, out, "ok", why == NULL);

    if (why) {
        cp_json_put(r->op.arena, out, "why", why);
    }

    return cp_req_answer(r, 200, out);
}


static cp_rc_t
cp_erasure_post(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *in, *out;
    const char  *person;

    rc = cp_req_json(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    person = cp_json_str(in, "person");

    if (person == NULL || !stoa_id_valid(person, strlen(person))) {
        return cp_err_field(&r->op.err, -1, in->line, "person", "must be the "
                            "id of a person");
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    out = NULL;
    rc = cp_erasure_do(r, tx, person, &out);
    rc = cp_tx_finish(tx, rc, &r->op.err);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


/* Erased is who is gone: while there is the account, it says his name. */
static cp_rc_t
cp_erasure_do(cp_req_t *r, cp_tx_t *tx, const char *person, cp_json_t **out)
{
    bool               had;
    cp_rc_t            rc;
    cp_rows_t          rows;
    cp_arena_t        *a;
    cp_audit_event_t   ev = { .action = "erase", .kind = "person" };

    a = r->op.arena;

    rc = cp_tx_query(tx, a, "SELECT (SELECT COUNT(*) FROM users"
                     " WHERE id = $1), (SELECT COUNT(*) FROM audit"
                     " WHERE actor_id = $1 OR resource = $1)",
                     cp_args(cp_text(person)), &rows, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_cell(&rows, 0, 0)->i) {
        return cp_err_set(&r->op.err, "in_use", "the account is still there: "
                          "delete the user first");
    }

    rc = cp_person_erase(&r->op, tx, person, &had);

    /* of logins that are not in the log yet */

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "DELETE FROM login_news WHERE person = $1",
                         cp_args(cp_text(person)), NULL, &r->op.err);
    }

    if (rc == CP_OK) {
        ev.id = person;
        rc = cp_audit_append(&r->op, tx, &ev);
    }

    *out = cp_json_object(a);
    cp_json_put(a, *out, "person", person);
    cp_json_put_bool(a, *out, "erased", had);
    cp_json_put_int(a, *out, "events", cp_cell(&rows, 0, 1)->i);
    cp_json_put(a, *out, "kept", "that somebody of this id did what the "
                "events say, and when; never who it was");

    return rc;
}
