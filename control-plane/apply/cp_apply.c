/*
 * POST /v1/apply and POST /v1/diff: one transaction, then, when asked, the
 * wait for the gateways.
 */

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "op/cp_app.h"
#include "feed/cp_feed.h"
#include "http/cp_query.h"
#include "apply/cp_apply_run.h"


#define CP_APPLY_POLL_MS  500      /* another replica hears the gateways     */


typedef struct {
    bool      dry_run;
    bool      prune;
    bool      differences;         /* POST /v1/diff                          */
    int64_t   max_delete;
    int64_t   wait_ms;
} cp_apply_ask_t;

typedef struct {
    cp_json_t  *answer;
    int64_t     before;            /* the head when it began                 */
    int64_t     rev;               /* what gateways must reach               */
    int64_t     deadline;
} cp_apply_wait_t;


static cp_rc_t cp_apply_post(cp_req_t *r);
static cp_rc_t cp_diff_post(cp_req_t *r);
static cp_rc_t cp_apply_ask(cp_req_t *r, cp_apply_ask_t *ask);
static cp_rc_t cp_apply_wait_ms(cp_req_t *r, int64_t *ms);
static cp_rc_t cp_apply_do(cp_req_t *r, const cp_apply_ask_t *ask,
    cp_apply_wait_t *w);
static cp_rc_t cp_apply_tx(cp_apply_t *ap, const cp_apply_ask_t *ask,
    cp_apply_wait_t *w);
static cp_json_t *cp_apply_changes(cp_apply_t *ap, bool differences);
static cp_rc_t cp_apply_resume(cp_req_t *r);
static cp_rc_t cp_apply_gateways(cp_req_t *r, const cp_apply_wait_t *w,
    cp_json_t **list, unsigned *pending);
static const char *cp_apply_gateway_state(cp_req_t *r,
    const cp_apply_wait_t *w, const char *epoch, const cp_val_t *row);
static bool cp_apply_rejected(cp_req_t *r, const cp_apply_wait_t *w,
    const cp_val_t *rejected);


/* Until when somebody waits, monotonic ms: reports of gateways wake then. */
static atomic_int_least64_t  cp_apply_until;

static const char *const  cp_action_names[] = {
    [CP_ACTION_NONE] = "none", [CP_ACTION_CREATE] = "create",
    [CP_ACTION_UPDATE] = "update", [CP_ACTION_DELETE] = "delete"
};


const cp_route_t  cp_apply_routes[] = {

    { "POST", "/v1/apply", CP_AUTH_ADMIN, "apply:write", cp_apply_post, NULL,
      "Make everything as the documents say, in one transaction",
      "prune max_delete dry_run wait" },

    { "POST", "/v1/diff", CP_AUTH_ADMIN, "apply:read", cp_diff_post, NULL,
      "What an apply of the documents would change", "prune max_delete" },

    { "GET", "/v1/dump", CP_AUTH_ADMIN, "apply:read", cp_dump_get, NULL,
      "Everything as documents, YAML", "tenant" },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


bool
cp_apply_waiting(void)
{
    return cp_time_mono_ms() < atomic_load(&cp_apply_until);
}


static cp_rc_t
cp_apply_post(cp_req_t *r)
{
    cp_rc_t           rc;
    int64_t           until;
    cp_apply_ask_t    ask;
    cp_apply_wait_t  *w;

    rc = cp_apply_ask(r, &ask);
    if (rc != CP_OK) {
        return rc;
    }

    w = cp_arena_alloc(r->op.arena, sizeof(cp_apply_wait_t));
    if (w == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    rc = cp_apply_do(r, &ask, w);
    if (rc != CP_OK) {
        return rc;
    }

    if (ask.dry_run) {
        return cp_req_answer(r, 200, w->answer);
    }

    w->deadline = cp_time_mono_ms() + ask.wait_ms;
    until = atomic_load(&cp_apply_until);

    while (until < w->deadline
           && !atomic_compare_exchange_weak(&cp_apply_until, &until,
                                            w->deadline))
    {
        /* void */
    }

    r->ctx = w;

    return cp_apply_resume(r);
}


static cp_rc_t
cp_diff_post(cp_req_t *r)
{
    cp_rc_t          rc;
    cp_apply_ask_t   ask;
    cp_apply_wait_t  w;

    rc = cp_apply_ask(r, &ask);
    if (rc != CP_OK) {
        return rc;
    }

    ask.dry_run = true;
    ask.differences = true;

    /* nothing is kept, so whoever may see may ask; what is seen does not
     * depend on the role, only on the tenant */

    r->op.actor.role = r->op.actor.tenant ? CP_ROLE_TENANT_ADMIN
                                    : CP_ROLE_PLATFORM_ADMIN;

    rc = cp_apply_do(r, &ask, &w);

    return rc == CP_OK ? cp_req_answer(r, 200, w.answer) : rc;
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
        rc = cp_query_int(r, "max_delete", 0, INT32_MAX, &ask->max_delete);
    }

    return rc == CP_OK ? cp_apply_wait_ms(r, &ask->wait_ms) : rc;
}


/* 5s, 500ms, 2m; a bare number is seconds. */
static cp_rc_t
cp_apply_wait_ms(cp_req_t *r, int64_t *ms)
{
    char        *end;
    unsigned     i;
    const char  *s;

    static const struct {
        const char  *unit;
        int64_t      ms;
    } units[] = { { "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 } };

    s = cp_req_query(r, "wait");

    if (s == NULL) {
        return CP_OK;
    }

    if (*s >= '0' && *s <= '9' && strlen(s) < 10) {
        *ms = strtoll(s, &end, 10);

        for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (strcmp(end, units[i].unit) == 0
                && *ms * units[i].ms <= CP_APPLY_WAIT_MAX_S * 1000)
            {
                *ms *= units[i].ms;
                return CP_OK;
            }
        }
    }

    return cp_query_fault(r, "wait", "must be a time such as 5s or 500ms, at"
                          " most %d s", CP_APPLY_WAIT_MAX_S);
}


/* All or nothing; a dry run is the same, and then nothing. */
static cp_rc_t
cp_apply_do(cp_req_t *r, const cp_apply_ask_t *ask, cp_apply_wait_t *w)
{
    cp_rc_t      rc;
    cp_json_t   *in;
    cp_apply_t  *ap;

    ap = cp_arena_alloc(r->op.arena, sizeof(cp_apply_t));
    if (ap == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    ap->op = &r->op;
    ap->arena = r->op.arena;
    ap->deleted = cp_json_array(r->op.arena);

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_documents_read(&r->op, in, &ap->docs);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_begin(r->op.app->db, true, &ap->tx) != CP_OK) {
        return cp_err_set(&r->op.err, "unavailable", "the database is busy");
    }

    rc = cp_apply_tx(ap, ask, w);

    if (rc != CP_OK || ask->dry_run) {
        cp_tx_rollback(ap->tx);

    } else {
        rc = cp_tx_commit(ap->tx);

        if (rc == CP_ERROR) {
            return cp_err_set(&r->op.err, "unavailable", "the commit was not "
                              "confirmed: it may or may not have been done");
        }
    }

    if (rc != CP_OK) {
        return rc;
    }

    w->answer = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, w->answer, "rev",
                cp_json_int(r->op.arena, w->rev));
    cp_json_set(r->op.arena, w->answer, "changes",
                cp_apply_changes(ap, ask->differences));

    return CP_OK;
}


/* The feed is written at the end, each row once. */
static cp_rc_t
cp_apply_tx(cp_apply_t *ap, const cp_apply_ask_t *ask, cp_apply_wait_t *w)
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

    w->before = head.rev;
    cp_resource_defer(op);
    op->late = true;

    rc = cp_apply_run(ap);

    if (rc == CP_OK && ask->prune) {
        rc = cp_apply_prune(ap, ask->max_delete);
    }

    if (rc == CP_OK) {
        rc = cp_apply_settle(ap);
    }

    if (rc == CP_OK) {
        rc = cp_resource_flush(op, ap->tx);
    }

    op->late = false;

    if (rc == CP_OK) {
        rc = cp_feed_head(ap->tx, op->arena, &head, &op->err);
        w->rev = ask->dry_run ? w->before : head.rev;
    }

    return rc;
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
        cp_json_set(a, c, "kind", cp_json_string(a, d->res->doc_kind));

        if (d->tenant) {
            cp_json_set(a, c, "tenant", cp_json_string(a, d->tenant));
        }

        cp_json_set(a, c, "name", cp_json_string(a, d->label));
        cp_json_set(a, c, "action",
                    cp_json_string(a, cp_action_names[d->action]));

        if (d->action != CP_ACTION_NONE) {
            cp_json_set(a, c, "diff", d->diff);
        }

        if (d->held) {
            cp_json_set(a, c, "held", cp_json_string(a, d->held));
        }

        cp_json_push(all, c);
    }

    for (c = ap->deleted->first; c; c = next) {
        next = c->next;
        cp_json_push(all, c);
    }

    return all;
}


/* Runs after the commit, and again as gateways report. */
static cp_rc_t
cp_apply_resume(cp_req_t *r)
{
    cp_rc_t           rc;
    int64_t           now, until;
    unsigned          pending;
    cp_json_t        *list;
    cp_apply_wait_t  *w;

    w = r->ctx;
    list = NULL;
    pending = 0;

    rc = cp_apply_gateways(r, w, &list, &pending);
    if (rc != CP_OK) {
        return rc;
    }

    now = cp_time_mono_ms();

    if (pending && now < w->deadline && !atomic_load(&r->op.app->stopping)) {
        until = now + CP_APPLY_POLL_MS;

        return cp_req_park(r, until < w->deadline ? until : w->deadline,
                           cp_apply_resume);
    }

    cp_json_set(r->op.arena, w->answer, "gateways", list);

    return cp_req_answer(r, pending ? 202 : 200, w->answer);
}


/*
 * A gateway of any group must reach the revision: a row that left its group is
 * news for it as well.  Those that are not online are told, not waited for.
 */
static cp_rc_t
cp_apply_gateways(cp_req_t *r, const cp_apply_wait_t *w, cp_json_t **list,
    unsigned *pending)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    unsigned         i;
    cp_json_t       *item;
    cp_rows_t        rows;
    const char      *state;
    cp_feed_head_t   head;

    if (cp_tx_begin(r->op.app->db, false, &tx) != CP_OK) {
        return cp_err_set(&r->op.err, "unavailable", "the database is busy");
    }

    rc = cp_feed_head(tx, r->op.arena, &head, &r->op.err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, r->op.arena, "SELECT g.name, COALESCE(s.rev, 0),"
                         " COALESCE(s.last_seen, 0), COALESCE(s.epoch, ''),"
                         " COALESCE(s.rejected, '[]') FROM gateways g"
                         " LEFT JOIN gateway_status s ON s.gateway = g.id"
                         " ORDER BY g.name", NULL, 0, &rows, &r->op.err);
    }

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    *list = cp_json_array(r->op.arena);
    *pending = 0;

    for (i = 0; i < rows.rows; i++) {
        state = cp_apply_gateway_state(r, w, head.epoch,
                                       cp_cell(&rows, i, 0));
        *pending += strcmp(state, "pending") == 0;

        /* which gateways there are is the platform's affair */

        if (r->op.actor.tenant) {
            continue;
        }

        item = cp_json_object(r->op.arena);
        cp_json_set(r->op.arena, item, "name",
                    cp_json_string(r->op.arena, cp_cell(&rows, i, 0)->p));
        cp_json_set(r->op.arena, item, "rev",
                    cp_json_int(r->op.arena, cp_cell(&rows, i, 1)->i));
        cp_json_set(r->op.arena, item, "state",
                    cp_json_string(r->op.arena, state));
        cp_json_push(*list, item);
    }

    return CP_OK;
}


static const char *
cp_apply_gateway_state(cp_req_t *r, const cp_apply_wait_t *w,
    const char *epoch, const cp_val_t *row)
{
    const char  *state;

    state = cp_gateway_state(row[2].i, cp_time_ms());

    if (strcmp(state, "online") != 0) {
        return state;
    }

    if (row[1].i < w->rev || strcmp(row[3].p, epoch) != 0) {
        return "pending";
    }

    return cp_apply_rejected(r, w, &row[4]) ? "rejected" : "acked";
}


/* Did it refuse a record of this apply?  It has the revision all the same. */
static bool
cp_apply_rejected(cp_req_t *r, const cp_apply_wait_t *w,
    const cp_val_t *rejected)
{
    int64_t           rev;
    cp_json_t        *list;
    const cp_json_t  *item;

    if (rejected->len <= 2
        || cp_json_parse(r->op.arena, rejected->p, rejected->len, &list,
                         &r->op.err)
           != CP_OK)
    {
        return false;
    }

    for (item = list->first; item; item = item->next) {
        rev = cp_json_num(item, "rev", 0);

        if (rev > w->before && rev <= w->rev) {
            return true;
        }
    }

    return false;
}
