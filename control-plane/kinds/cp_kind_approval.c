/*
 * Approvals, as people see them, and what a gateway's call is told.
 */

#include <inttypes.h>
#include <string.h>

#include "base/cp_metrics.h"
#include "kinds/cp_approval.h"
#include "kinds/cp_kind.h"


static cp_rc_t cp_approval_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_approval_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_approval_of(cp_op_t *op, cp_tx_t *tx,
    const cp_approval_ask_t *ask, cp_json_t **row);
static cp_rc_t cp_approval_find(cp_op_t *op, cp_tx_t *tx,
    cp_approval_ask_t *ask, const cp_json_t *call);
static cp_rc_t cp_approval_use(cp_op_t *op, cp_tx_t *tx,
    cp_approval_ask_t *ask);
static cp_rc_t cp_approval_new(cp_op_t *op, cp_tx_t *tx,
    cp_approval_ask_t *ask, cp_json_t *call);
static void cp_approval_count(const char *labels);


const cp_report_field_t  cp_approval_ask_fields[] = {
    { "api",         CP_REPORT_ID,   true, STOA_ID_LEN },
    { "tool",        CP_REPORT_ID,   true, STOA_ID_LEN },
    { "application", CP_REPORT_ID,   true, STOA_ID_LEN },
    { "subject",     CP_REPORT_TEXT, false, 512 },
    { "principal",   CP_REPORT_HEX,  false, 2 * STOA_ID_LEN },
    { "digest",      CP_REPORT_HEX,  true, 64 },
    { "arguments",   CP_REPORT_TEXT, true, CP_APPROVAL_ARGS_MAX },
    { "ttl_s",       CP_REPORT_INT,  true, 30 * 86400 },
    { "max_pending", CP_REPORT_INT,  true, 1000 },
    { "wait_s",      CP_REPORT_INT,  false, 60 },
    { "request_id",  CP_REPORT_TEXT, false, 64 },
    { NULL, CP_REPORT_INT, false, 0 }
};

static const cp_field_t  approval_fields[] = {
    BASE_ID, BASE_STATE, BASE_TENANT,
    F_REF("api", RO|FI, "api", NULL, "whose tool is called"),
    F("tool", CP_F_TOOL_NAME, RO|FI, 0, STOA_TOOL_NAME_MAX, NULL,
      "by its name at the upstream"),
    F_REF("consumer", RO|FI, "tenant", NULL, "the application's tenant"),
    F_REF("application", RO|FI, "application", "consumer", "that calls"),
    F("subject", CP_F_STRING, RO, 0, 512, NULL,
      "of the caller's token; none: a key"),
    F("principal", CP_F_STRING, RO, 0, 2 * STOA_ID_LEN, NULL,
      "a sum of the issuer and the subject of the caller's token"),
    F("digest", CP_F_STRING, RO, 0, 64, NULL,
      "SHA-256 of the tool's name, a byte 0 and the arguments"),
    F("arguments", CP_F_TEXT, RO|WH, 0, CP_APPROVAL_ARGS_MAX, NULL,
      "JSON without white space, as the tool would get them, but for what the "
      "policy hides"),
    F("expires_at", CP_F_TIME, RO, 0, 0, NULL,
      "until when it waits; approved: until when it may be used"),
    F("decided_by", CP_F_STRING, RO, 0, 128, NULL, "who said so"),
    F("decided_at", CP_F_TIME, RO, 0, 0, NULL, "when"),
    F("reason", CP_F_STRING, RO, 0, 500, NULL, "why; the caller is told"),
    F("used_at", CP_F_TIME, RO, 0, 0, NULL, "when the call was let pass"),
    F("gateway", CP_F_STRING, RO, 0, 64, NULL,
      "that asked first; once it is used, that let the call pass"),
    F("request_id", CP_F_STRING, RO, 0, 64, NULL, "of that request there"),
    BASE_TIMES,
    F_END
};

static const cp_field_t  approval_args[] = {
    F("reason", CP_F_STRING, 0, 0, 500, NULL, "why; the caller is told"),
    F_END
};

static const cp_transition_t  approval_transitions[] = {
    { "approve", { "pending" }, "approved", "approval:write",
      approval_args },
    { "deny", { "pending", "approved" }, "denied", "approval:write",
      approval_args },
    { "use", { "approved" }, "used", NULL, NULL },
    { "expire", { "pending", "approved" }, "expired", NULL, NULL },
    T_END
};

const cp_resource_t  cp_res_approval = {
    .kind = "approval", .plural = "approvals", .table = "approvals",
    .parent = "tenant", .by_id = true, .called = "api tool application",
    .fields = approval_fields, .transitions = approval_transitions,
    .initial = "pending", .expires = "'pending', 'approved'",
    .check = cp_approval_check, .event = cp_approval_event
};


/* The engine takes what clients do not write as it is: ids, and a text. */
static cp_rc_t
cp_approval_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    int64_t     ms;
    cp_json_t  *at;

    at = cp_json_get(after, "expires_at");

    if (before == NULL && at && cp_time_parse(at->s, at->len, &ms)) {
        cp_json_put_int(w->op->arena, after, "expires_at", ms);
    }

    return CP_OK;
}


/* An approval counts for as long as was given to the decision. */
static cp_rc_t
cp_approval_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    int64_t      now, life;
    cp_arena_t  *a = w->op->arena;

    now = cp_time_ms();

    if (strcmp(event, "expire") == 0) {
        return CP_OK;
    }

    if (strcmp(event, "use") == 0) {
        cp_json_put_int(a, after, "used_at", now);
        cp_json_put(a, after, "gateway", w->op->actor.name);
        return CP_OK;
    }

    if (strcmp(event, "approve") == 0) {
        life = cp_json_num(before, "expires_at", 0)
               - cp_json_num(before, "created_at", 0);
        cp_json_put_int(a, after, "expires_at", now + life);
    }

    cp_json_put_int(a, after, "decided_at", now);
    cp_json_put(a, after, "decided_by", w->op->actor.name);

    if (cp_json_str(args, "reason")) {
        cp_json_put(a, after, "reason", cp_json_str(args, "reason"));
    }

    cp_approval_count(strcmp(event, "approve") == 0 ? "event=\"approved\""
                                                    : "event=\"denied\"");

    /* calls that wait look again, at all replicas */

    cp_tx_notify_head(w->tx, CP_DB_NEWS);

    return CP_OK;
}


/* ---- a gateway's call --------------------------------------------------- */

cp_rc_t
cp_approval_ask(cp_op_t *op, cp_tx_t *tx, cp_approval_ask_t *ask)
{
    cp_rc_t     rc;
    cp_json_t  *call;

    call = NULL;
    rc = ask->look ? CP_OK : cp_feed_lock(tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_approval_of(op, tx, ask, &call);
    }

    if (rc == CP_OK) {
        rc = cp_approval_find(op, tx, ask, call);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (ask->id == NULL && !ask->look) {
        return cp_approval_new(op, tx, ask, call);
    }

    return ask->says == CP_APPROVAL_RUN ? cp_approval_use(op, tx, ask)
                                        : CP_OK;
}


/*
 * What the call is of, as a row: the api has to be one that the gateway's
 * group serves.
 */
static cp_rc_t
cp_approval_of(cp_op_t *op, cp_tx_t *tx, const cp_approval_ask_t *ask,
    cp_json_t **row)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_arena_t  *a = op->arena;

    rc = cp_tx_query(tx, a, "SELECT a.tenant, t.name, p.tenant FROM apis a"
                     " JOIN tools t ON t.api = a.id AND t.id = $2"
                     " JOIN applications p ON p.id = $3"
                     " WHERE a.id = $1 AND EXISTS (SELECT 1 FROM feed"
                     " WHERE key = 'api:' || $1 AND deleted = 0"
                     " AND (group_ids IS NULL OR group_ids LIKE $4))",
                     cp_args(cp_text(cp_json_str(ask->in, "api")),
                             cp_text(cp_json_str(ask->in, "tool")),
                             cp_text(cp_json_str(ask->in, "application")),
                             cp_text(cp_arena_printf(a, "%%,%.16s,%%",
                                                     op->actor.group
                                                     ? op->actor.group
                                                     : ""))),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return cp_err_set(&op->err, "not_found", "there is no such api, tool "
                          "or application for this gateway");
    }

    *row = cp_json_object(a);
    cp_json_put(a, *row, "tenant", cp_cell(&rows, 0, 0)->p);
    cp_json_put(a, *row, "tool", cp_cell(&rows, 0, 1)->p);
    cp_json_put(a, *row, "consumer", cp_cell(&rows, 0, 2)->p);

    return CP_OK;
}


/* One that was approved comes first, then one that was denied. */
static cp_rc_t
cp_approval_find(cp_op_t *op, cp_tx_t *tx, cp_approval_ask_t *ask,
    const cp_json_t *call)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *state;

    ask->id = NULL;
    ask->reason = NULL;

    rc = cp_tx_query(tx, op->arena, "SELECT id, state, reason, expires_at"
                     " FROM approvals WHERE application = $1 AND digest = $2"
                     " AND api = $3 AND tool = $4"
                     " AND COALESCE(subject, '') = $5"
                     " AND COALESCE(principal, '') = $6 AND expires_at > $7"
                     " AND state IN ('approved', 'denied', 'pending')"
                     " ORDER BY state, id LIMIT 1",
                     cp_args(cp_text(cp_json_str(ask->in, "application")),
                             cp_text(cp_json_str(ask->in, "digest")),
                             cp_text(cp_json_str(ask->in, "api")),
                             cp_text(cp_json_str(call, "tool")),
                             cp_text(cp_report_text(ask->in, "subject")),
                             cp_text(cp_report_text(ask->in, "principal")),
                             cp_int(cp_time_ms())),
                     &rows, &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    state = cp_cell(&rows, 0, 1)->p;

    ask->id = cp_cell(&rows, 0, 0)->p;
    ask->expires_ms = cp_cell(&rows, 0, 3)->i;
    ask->says = strcmp(state, "pending") == 0 ? CP_APPROVAL_WAITS
                : strcmp(state, "denied") == 0 ? CP_APPROVAL_DENIED
                : ask->look ? CP_APPROVAL_READY : CP_APPROVAL_RUN;

    if (cp_cell(&rows, 0, 2)->type != CP_VAL_NULL) {
        ask->reason = cp_cell(&rows, 0, 2)->p;
    }

    return CP_OK;
}


static cp_rc_t
cp_approval_use(cp_op_t *op, cp_tx_t *tx, cp_approval_ask_t *ask)
{
    cp_rc_t     rc;
    cp_op_t     own;
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(&own, tx, &cp_res_approval);

    cp_op_system(&own, op->app, op->arena, op->actor.name);
    w.id = ask->id;

    rc = cp_entry_event(&w, "use", &e);

    if (rc == CP_OK) {
        cp_approval_count("event=\"used\"");

    } else {
        op->err = own.err;
    }

    return rc;
}


static cp_rc_t
cp_approval_new(cp_op_t *op, cp_tx_t *tx, cp_approval_ask_t *ask,
    cp_json_t *call)
{
    cp_rc_t                   rc;
    cp_op_t                   own;
    unsigned                  i;
    cp_rows_t                 rows;
    cp_entry_t                e;
    cp_arena_t               *a = op->arena;
    const char               *s;
    cp_write_t                w = cp_write_of(&own, tx, &cp_res_approval);
    static const char *const  copied[] = { "api", "application", "subject",
                                           "principal", "digest",
                                           "arguments", "request_id", NULL };

    ask->says = CP_APPROVAL_FULL;

    rc = cp_tx_query(tx, a, "SELECT COUNT(*) FROM approvals"
                     " WHERE application = $1 AND tenant = $2"
                     " AND state = 'pending' AND expires_at > $3",
                     cp_args(cp_text(cp_json_str(ask->in, "application")),
                             cp_text(cp_json_str(call, "tenant")),
                             cp_int(cp_time_ms())),
                     &rows, &op->err);

    if (rc != CP_OK
        || cp_cell(&rows, 0, 0)->i >= cp_json_num(ask->in, "max_pending", 1))
    {
        cp_approval_count("event=\"full\"");
        return rc;
    }

    ask->says = CP_APPROVAL_WAITS;
    ask->expires_ms = cp_time_ms() + cp_json_num(ask->in, "ttl_s", 60) * 1000;
    cp_op_system(&own, op->app, a, op->actor.name);

    w.id = cp_json_str(call, "tenant");
    w.in = call;

    for (i = 0; copied[i]; i++) {
        s = cp_report_text(ask->in, copied[i]);

        if (*s) {
            cp_json_put(a, call, copied[i], s);
        }
    }

    cp_json_put(a, call, "gateway", op->actor.name);
    cp_json_put(a, call, "expires_at", cp_time_format(a, ask->expires_ms));

    rc = cp_entry_create(&w, &e);

    if (rc != CP_OK) {
        op->err = own.err;
        return rc;
    }

    ask->id = cp_json_str(e.row, "id");
    cp_approval_count("event=\"asked\"");

    return CP_OK;
}


static void
cp_approval_count(const char *labels)
{
    cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                            "stoa_control_approvals_total", labels,
                            "Calls that asked for an approval, and what "
                            "became of them."),
                  1);
}


/* ---- a job -------------------------------------------------------------- */

cp_rc_t
cp_approval_job(cp_app_t *app)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_err_t     err;
    cp_arena_t  *a;

    a = cp_arena_create(1024 * 1024);
    if (a == NULL) {
        return CP_ERROR;
    }

    memset(&err, 0, sizeof(err));
    err.arena = a;

    rc = cp_tx_begin(app->db, true, &tx);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "DELETE FROM approvals"
                         " WHERE state NOT IN ('pending', 'approved')"
                         " AND (updated_at < $1 OR id IN (SELECT id FROM"
                         " (SELECT id, ROW_NUMBER() OVER (PARTITION BY tenant"
                         " ORDER BY id DESC) AS n FROM approvals) x"
                         " WHERE n > $2))",
                         cp_args(cp_int(cp_time_ms() - CP_APPROVAL_KEEP_MS),
                                 cp_int(CP_APPROVAL_KEEP)),
                         NULL, &err);

        if (rc == CP_OK) {
            rc = cp_tx_commit(tx);

        } else {
            cp_tx_rollback(tx);
        }
    }

    cp_arena_destroy(a);

    return rc;
}
