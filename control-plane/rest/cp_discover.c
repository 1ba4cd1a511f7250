/*
 * POST .../discover: the api's `discovery` after a reading that began after
 * the request; 202 with the old one when that takes too long.
 */

#include <string.h>

#include "discovery/cp_discovery.h"
#include "http/cp_idempotency.h"
#include "kinds/cp_kinds.h"


typedef struct {
    const char  *api;              /* id                                    */
    const char  *at;               /* of the reading before, "" none        */
    int64_t      deadline;         /* monotonic                             */
} cp_discover_ask_t;


static cp_rc_t cp_discover_keep(cp_req_t *r);


static cp_rc_t
cp_discover_resume(cp_req_t *r)
{
    bool                done;
    cp_rc_t             rc;
    cp_tx_t            *tx;
    cp_rows_t           rows;
    cp_json_t          *d;
    const char         *at;
    cp_discover_ask_t  *ask;

    ask = r->ctx;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, r->op.arena,
                     "SELECT discovery, state FROM apis WHERE id = $1",
                     cp_args(cp_text(ask->api)), &rows, &r->op.err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return cp_err_set(&r->op.err, "not_found", "the api is gone");
    }

    d = cp_discovery_parse(r->op.arena, &rows.v[0]);
    at = (d != NULL) ? cp_json_str(d, "at") : NULL;
    done = (at != NULL && strcmp(at, ask->at) > 0);

    if (!done && cp_time_mono_ms() < ask->deadline
        && !atomic_load(&r->op.app->stopping))
    {
        return cp_req_park(r, ask->deadline, cp_discover_resume);
    }

    if (d == NULL) {
        d = cp_json_object(r->op.arena);
        cp_json_put(r->op.arena, d, "state", "pending");
    }

    rc = cp_req_answer(r, done ? 200 : 202, d);

    /* who repeats what was not done waits on */

    return rc == CP_OK && done ? cp_discover_keep(r) : rc;
}


/* Idempotency-Key: the work itself is in no transaction of this request. */

static cp_rc_t
cp_discover_keep(cp_req_t *r)
{
    cp_tx_t  *tx;

    if (cp_req_header(r, "Idempotency-Key") == NULL) {
        return CP_OK;
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    return cp_tx_finish(tx, cp_idempotency_end(r, tx), &r->op.err);
}


static cp_rc_t
cp_discover_kept(cp_req_t *r, bool *replayed)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    *replayed = false;

    if (cp_req_header(r, "Idempotency-Key") == NULL) {
        return CP_OK;
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_idempotency_begin(r, tx, replayed);
    cp_tx_rollback(tx);

    return rc;
}


static cp_rc_t
cp_discover_find(cp_req_t *r, cp_json_t **api)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    const char  *tenant;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_ref_tenant(&r->op, tx, r->param[0],
                       r->route->permission, &tenant);

    if (rc == CP_OK) {
        rc = cp_resource_get(tx, r->op.arena, &cp_res_api, tenant, r->param[1],
                             api, &r->op.err);
    }

    cp_tx_rollback(tx);

    return rc;
}


static cp_rc_t
cp_discover_post(cp_req_t *r)
{
    bool                replayed;
    cp_rc_t             rc;
    cp_json_t          *api;
    cp_discover_ask_t  *ask;

    rc = cp_discover_find(r, &api);

    if (rc != CP_OK) {
        return rc;
    }

    if (strcmp(cp_json_str(api, "kind"), "mcp") != 0
        || strcmp(cp_json_str(api, "state"), "retired") == 0)
    {
        return cp_err_set(&r->op.err, "conflict",
                          "only an mcp api that is not retired has tools");
    }

    rc = cp_discover_kept(r, &replayed);

    if (rc != CP_OK || replayed) {
        return rc;
    }

    ask = cp_arena_alloc(r->op.arena, sizeof(cp_discover_ask_t));

    if (ask == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    ask->api = cp_json_str(api, "id");
    ask->at = cp_time_format(r->op.arena, cp_time_ms());
    ask->deadline = cp_time_mono_ms() + CP_DISCOVERY_WAIT_MS;
    r->ctx = ask;

    if (!cp_discovery_ask(r->op.app, ask->api)) {
        return cp_err_set(&r->op.err, "unavailable",
                          "too many apis are waiting to be read");
    }

    return cp_discover_resume(r);
}


const cp_route_t  cp_discovery_routes[] = {

    { "POST", "/v1/tenants/{tenant}/apis/{api}/discover", CP_AUTH_ADMIN,
      "api:write", cp_discover_post, NULL,
      "Read the tools of an MCP server now", NULL },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
