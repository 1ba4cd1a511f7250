/*
 * POST /v1/apply and POST /v1/diff: one transaction, then, when asked, the
 * wait for the gateways.
 */

#include <inttypes.h>
#include <string.h>

#include "op/cp_app.h"
#include "feed/cp_feed.h"
#include "http/cp_idempotency.h"
#include "http/cp_query.h"
#include "auth/cp_auth.h"
#include "apply/cp_apply_run.h"
#include "apply/cp_wait.h"


typedef struct {
    bool      dry_run;
    bool      prune;
    bool      fresh;               /* what is there already is refused       */
    bool      differences;         /* POST /v1/diff                          */
    int64_t   max_delete;
} cp_apply_ask_t;

typedef struct {
    cp_wait_t        wait;         /* the first: r->ctx is both              */
    cp_apply_ask_t   ask;
    cp_json_t       *in;
    cp_apply_then_pt then;
    void            *data;
    cp_json_t       *answer;
    bool             replayed;     /* Idempotency-Key                        */
} cp_run_t;


static cp_rc_t cp_apply_post(cp_req_t *r);
static cp_rc_t cp_diff_post(cp_req_t *r);
static cp_rc_t cp_apply_ask(cp_req_t *r, cp_apply_ask_t *ask);
static cp_rc_t cp_apply_do(cp_req_t *r, cp_run_t *run);
static cp_rc_t cp_apply_work(cp_req_t *r, cp_run_t *run, cp_apply_t *ap);
static cp_rc_t cp_apply_tx(cp_apply_t *ap, cp_run_t *run);
static void cp_apply_names(cp_req_t *r, cp_apply_t *ap, cp_wait_t *w);
static cp_json_t *cp_apply_changes(cp_apply_t *ap, bool differences);
static cp_rc_t cp_apply_done(cp_req_t *r);


static const char *const  cp_action_names[] = {
    [CP_ACTION_NONE] = "none", [CP_ACTION_CREATE] = "create",
    [CP_ACTION_UPDATE] = "update", [CP_ACTION_DELETE] = "delete"
};


const cp_route_t  cp_apply_routes[] = {

    { "POST", "/v1/apply", CP_AUTH_ADMIN, "apply:write", cp_apply_post, NULL,
      "Make everything as the documents say, in one transaction",
      "prune max_delete new dry_run wait" },

    { "POST", "/v1/diff", CP_AUTH_ADMIN, "apply:read", cp_diff_post, NULL,
      "What an apply of the documents would change",
      "prune max_delete new" },

    { "GET", "/v1/dump", CP_AUTH_ADMIN, "apply:read", cp_dump_get, NULL,
      "Everything as documents, YAML", "tenant" },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_apply_post(cp_req_t *r)
{
    cp_rc_t    rc;
    cp_run_t  *run;

    run = cp_arena_alloc(r->op.arena, sizeof(cp_run_t));
    if (run == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    memset(run, 0, sizeof(cp_run_t));
    rc = cp_wait_init(r, &run->wait);

    if (rc == CP_OK) {
        rc = cp_apply_ask(r, &run->ask);
    }

    if (rc == CP_OK) {
        rc = cp_apply_do(r, run);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (run->ask.dry_run) {
        return cp_req_answer(r, 200, run->answer);
    }

    r->ctx = run;

    return cp_wait_run(r, &run->wait, cp_apply_done);
}


cp_rc_t
cp_apply_documents(cp_req_t *r, cp_json_t *in, cp_apply_then_pt then,
    void *data)
{
    cp_rc_t    rc;
    cp_run_t  *run;

    run = cp_arena_alloc(r->op.arena, sizeof(cp_run_t));
    if (run == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    run->in = in;
    run->then = then;
    run->data = data;

    rc = cp_wait_init(r, &run->wait);

    if (rc == CP_OK) {
        rc = cp_apply_do(r, run);
    }

    if (rc != CP_OK) {
        return rc;
    }

    r->ctx = run;

    return cp_wait_run(r, &run->wait, cp_apply_done);
}


static cp_rc_t
cp_diff_post(cp_req_t *r)
{
    cp_rc_t   rc;
    cp_run_t  run;

    memset(&run, 0, sizeof(run));

    rc = cp_apply_ask(r, &run.ask);
    if (rc != CP_OK) {
        return rc;
    }

    run.ask.dry_run = true;
    run.ask.differences = true;

    /* nothing is kept, so whoever may see may ask; what is seen does not
     * depend on the role, only on the tenant */

    cp_auth_raise(&r->op.actor, r->route->permission);

    rc = cp_apply_do(r, &run);

    return rc == CP_OK ? cp_req_answer(r, 200, run.answer) : rc;
}


static cp_rc_t
cp_apply_ask(cp_req_t *r, cp_apply_ask_t *ask)
{
    cp_rc_t  rc;

    memset(ask, 0, sizeof(cp_apply_ask_t));
    ask->max_delete = CP_APPLY_DELETE_DEFAULT;

    rc = cp_query_flag(r, "dry_run", &ask->dry_run);

    if (rc == CP_OK) {
        rc = cp_query_flag(r, "prune", &ask->prune);
    }

    if (rc == CP_OK) {
        rc = cp_query_flag(r, "new", &ask->fresh);
    }

    if (rc == CP_OK) {
        rc = cp_query_int(r, "max_delete", 0, INT32_MAX, &ask->max_delete);
    }

    return rc;
}


/* All or nothing; a dry run is the same, and then nothing. */
static cp_rc_t
cp_apply_do(cp_req_t *r, cp_run_t *run)
{
    cp_rc_t      rc;
    cp_apply_t  *ap;

    ap = cp_arena_alloc(r->op.arena, sizeof(cp_apply_t));
    if (ap == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    ap->op = &r->op;
    ap->arena = r->op.arena;
    ap->deleted = cp_json_array(r->op.arena);

    rc = run->in ? CP_OK : cp_req_json(r, &run->in);

    if (rc == CP_OK) {
        rc = cp_documents_read(&r->op, run->in, &ap->docs);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, true, &ap->tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_apply_work(r, run, ap);

    if (rc != CP_OK || run->ask.dry_run || run->replayed) {
        cp_tx_rollback(ap->tx);
        return rc;
    }

    return cp_tx_finish(ap->tx, CP_OK, &r->op.err);
}


/* The work and its idempotent answer, which is kept before the gateways are
 * heard: a repetition waits for them itself. */
static cp_rc_t
cp_apply_work(cp_req_t *r, cp_run_t *run, cp_apply_t *ap)
{
    cp_rc_t  rc;

    if (!run->ask.dry_run) {
        rc = cp_idempotency_begin(r, ap->tx, &run->replayed);

        if (rc == CP_OK && run->replayed) {
            rc = cp_json_parse(r->op.arena, r->out.data, r->out.len,
                               &run->answer, &r->op.err);
            run->wait.rev = cp_json_num(run->answer, "rev", 0);
            run->wait.before = run->wait.rev;
        }

        if (rc != CP_OK || run->replayed) {
            return rc;
        }
    }

    run->answer = cp_json_object(r->op.arena);

    rc = cp_apply_tx(ap, run);
    if (rc != CP_OK) {
        return rc;
    }

    cp_json_put_int(r->op.arena, run->answer, "rev", run->wait.rev);
    cp_json_set(r->op.arena, run->answer, "changes",
                cp_apply_changes(ap, run->ask.differences));

    if (run->ask.dry_run) {
        return CP_OK;
    }

    cp_apply_names(r, ap, &run->wait);

    rc = cp_req_answer(r, 200, run->answer);

    return rc == CP_OK ? cp_idempotency_end(r, ap->tx) : rc;
}


/* The feed is written at the end, each row once. */
static cp_rc_t
cp_apply_tx(cp_apply_t *ap, cp_run_t *run)
{
    cp_rc_t          rc;
    cp_op_t         *op;
    cp_feed_head_t   head;

    op = ap->op;

    rc = cp_feed_lock(ap->tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_feed_head(ap->tx, op->arena, &head, &op->err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    run->wait.before = head.rev;
    cp_resource_defer(op);
    op->late = true;
    ap->fresh = run->ask.fresh;

    rc = cp_apply_run(ap);

    if (rc == CP_OK && run->ask.prune) {
        rc = cp_apply_prune(ap, run->ask.max_delete);
    }

    if (rc == CP_OK) {
        rc = cp_apply_operations_later(ap);
    }

    if (rc == CP_OK) {
        rc = cp_apply_close(ap);
    }

    if (rc == CP_OK) {
        rc = cp_apply_settle(ap);
    }

    if (rc == CP_OK && run->then) {
        rc = run->then(ap, run->data, run->answer);
    }

    if (rc == CP_OK) {
        rc = cp_resource_flush(op, ap->tx);
    }

    op->late = false;

    if (rc == CP_OK) {
        rc = cp_feed_head(ap->tx, op->arena, &head, &op->err);
        run->wait.rev = run->ask.dry_run ? run->wait.before : head.rev;
    }

    return rc;
}


/* Records of what the documents name are looked for among what a gateway
 * refuses, also when this apply did not write them. */
static void
cp_apply_names(cp_req_t *r, cp_apply_t *ap, cp_wait_t *w)
{
    unsigned              i;
    const cp_document_t  *d;

    for (i = 0; w->ms && i < ap->docs.n; i++) {
        d = &ap->docs.doc[i];
        cp_wait_name(r, w, d->id);
        cp_wait_name(r, w, d->of[0]);
        cp_wait_name(r, w, d->of[1]);
    }
}


/* In the order in which the documents were sent; deletions at the end. */
static cp_json_t *
cp_apply_changes(cp_apply_t *ap, bool differences)
{
    unsigned        i;
    cp_json_t      *all, *c, *next;
    cp_arena_t     *a;
    cp_document_t  *d;

    a = ap->arena;
    all = cp_json_array(a);

    for (i = 0; i < ap->docs.n; i++) {
        d = &ap->docs.doc[i];

        if (differences && d->action == CP_ACTION_NONE) {
            continue;
        }

        c = cp_json_object(a);
        cp_json_put(a, c, "kind", d->res->doc_kind);

        if (d->tenant) {
            cp_json_put(a, c, "tenant", d->tenant);
        }

        cp_json_put(a, c, "name", d->label);
        cp_json_put(a, c, "action", cp_action_names[d->action]);

        if (d->action != CP_ACTION_NONE) {
            cp_json_set(a, c, "diff", d->diff);
        }

        if (d->action == CP_ACTION_CREATE && d->current) {
            cp_json_put(a, c, "state", d->current);
        }

        if (d->unresolved) {
            cp_json_set(a, c, "unresolved", d->unresolved);
        }

        if (d->held) {
            cp_json_put(a, c, "held", d->held);
        }

        cp_json_push(all, c);
    }

    for (c = ap->deleted->first; c; c = next) {
        next = c->next;
        cp_json_push(all, c);
    }

    return all;
}


/* The gateways have it, or the time is over. */
static cp_rc_t
cp_apply_done(cp_req_t *r)
{
    cp_run_t  *run = r->ctx;

    cp_json_put(r->op.arena, run->answer, "state", run->wait.state);
    cp_json_set(r->op.arena, run->answer, "gateways", run->wait.list);
    cp_json_put_int(r->op.arena, run->answer, "away", run->wait.away);

    cp_req_set_header(r, "Stoa-Revision",
                      cp_arena_printf(r->op.arena, "%" PRId64,
                                      run->wait.rev));

    if (run->replayed) {
        cp_req_set_header(r, "Idempotency-Replayed", "true");
    }

    return cp_req_answer(r, strcmp(run->wait.state, "pending") == 0
                            ? 202 : 200, run->answer);
}
