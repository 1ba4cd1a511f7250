/*
 * Subscriptions: an application's to an api or a server, perhaps another
 * tenant's.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_hold.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_notice.h"
#include "kinds/cp_token.h"


static cp_rc_t cp_subscription_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_subscription_target(cp_op_t *op, cp_tx_t *tx,
    cp_json_t *sub);
static cp_rc_t cp_subscription_abroad(cp_op_t *op, const cp_json_t *row,
    const char *target, const char *tenant);
static bool cp_is_partner(const cp_json_t *api, const char *tenant);
static cp_rc_t cp_subscription_plan(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *before, cp_json_t *after);
static bool cp_subscription_role(cp_op_t *op, const char *tenant,
    const cp_val_t *roles);
static cp_rc_t cp_subscription_foreign(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after);
static cp_rc_t cp_subscription_tools(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *before, const cp_json_t *after);
static bool cp_tools_widened(const cp_json_t *before, const cp_json_t *after);
static cp_rc_t cp_subscription_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_feed_subscription(cp_tx_t *tx, cp_arena_t *a,
    const cp_resource_t *res, const char *id, cp_err_t *err);
static cp_rc_t cp_subscription_gone(const cp_write_t *w,
    const cp_json_t *before);


static const char  subscription_label[] =
    "(SELECT a.name FROM applications a WHERE a.id = application) || '/' ||"
    " COALESCE((SELECT p.name FROM apis p WHERE p.id = api),"
    " (SELECT v.name FROM servers v WHERE v.id = server))";

static const cp_field_t  held_fields[] = {
    F("state", CP_F_STRING, RO, 0, 0, NULL,
      "suspended, revoked or rejected: until the publisher takes it back"),
    F("expires_at", CP_F_TIME, RO, 0, 0, NULL,
      "the end that the publisher set"),
    F_END
};

#define OWN_target                                                            \
    F_REF("target_tenant", IM|FI, "tenant", NULL,                             \
      "whose api or server; default: the own tenant"),                        \
    F_REF("api", IM|FI, "api", "target_tenant", "either this"),               \
    F_REF("server", IM|FI, "server", "target_tenant", "or this")
#define OWN_held                                                              \
    F_OBJECT("held", RO|ND|CP_DERIVED|CP_MOVES, NULL, held_fields,            \
      "what another tenant's publisher decided about the application and its" \
      " api or server: it holds for a new subscription too"),                 \
    F("reason", CP_F_STRING, RO|ND, 0, 500, NULL,                             \
      "of the last event, for the other side too"),                           \
    F("decided_by", CP_F_STRING, RO|ND, 0, 32, NULL,                          \
      "consumer or publisher: whose event that was"),                         \
    F("decided_at", CP_F_TIME, RO|ND, 0, 0, NULL, "when")

static const cp_field_t  subscription_fields[] = {
    ROWS(STOA_SUBSCRIPTION_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_field_t  subscription_args[] = {
    F("reason", CP_F_STRING, 0, 0, 500, NULL, "why; the other side sees it"),
    F_END
};

static const cp_transition_t  subscription_transitions[] = {
    { "approve", { "pending" }, "active", "subscription:approve",
      subscription_args },
    { "reject", { "pending" }, "rejected", "subscription:approve",
      subscription_args },
    { "suspend", { "active" }, "suspended", "subscription:write",
      subscription_args },
    { "resume", { "suspended" }, "active", "subscription:write",
      subscription_args },
    { "revoke", { "pending", "active", "suspended" }, "revoked",
      "subscription:write", subscription_args },
    { "expire", { "active", "suspended" }, "expired", NULL, NULL },
    T_END
};

const cp_resource_t  cp_res_subscription = {
    .kind = "subscription", .doc_kind = "Subscription",
    .plural = "subscriptions", .table = "subscriptions", .parent = "tenant",
    .also = "target_tenant", .decides = "subscription:approve",
    .sides = { "the consumer", "the publisher" },
    .called = "application api server",
    .by_id = true, .label = subscription_label,
    .fields = subscription_fields,
    .transitions = subscription_transitions, .initial = "pending",
    .expires = "'active', 'suspended'",
    .check = cp_subscription_check, .event = cp_subscription_event,
    .shown = cp_hold_shown, .feed = cp_feed_subscription,
    .gone = cp_subscription_gone
};


static cp_rc_t
cp_subscription_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (before == NULL) {
        rc = cp_subscription_target(w->op, w->tx, after);

        if (rc == CP_OK) {
            rc = cp_token_expiry(w->op, after);
        }

        if (rc != CP_OK) {
            return rc;
        }

        rc = cp_tx_query(w->tx, w->op->arena, "SELECT id FROM subscriptions"
                         " WHERE application = $1"
                         " AND COALESCE(api, server) = $2"
                         " AND state IN ('pending', 'active', 'suspended')",
                         cp_args(cp_text(cp_json_str(after, "application")),
                                 cp_text(cp_subscription_to(after))),
                         &rows, &w->op->err);
        if (rc != CP_OK) {
            return rc;
        }

        if (rows.rows) {
            return cp_err_set(&w->op->err, "already_exists",
                              "the application has a subscription to it: %s",
                              cp_cell(&rows, 0, 0)->p);
        }
    }

    rc = before ? cp_subscription_foreign(w->op, before, after) : CP_OK;

    if (rc == CP_OK && before) {
        rc = cp_subscription_tools(w->op, w->tx, before, after);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_subscription_plan(w->op, w->tx, before, after);
    if (rc != CP_OK) {
        return rc;
    }

    return before ? cp_hold_change(w->op, w->tx, before, after)
                  : cp_hold_begin(w->op, w->tx, after);
}


/*
 * Of another tenant only a public api, or one whose partner this tenant is,
 * exists; everything else gets the same answer as what is not there.
 */
static cp_rc_t
cp_subscription_target(cp_op_t *op, cp_tx_t *tx, cp_json_t *sub)
{
    bool                  own;
    cp_rc_t               rc;
    cp_json_t            *api, *server, *row, *field;
    cp_rows_t             rows;
    const char           *tenant, *target, *state, *audience;
    const cp_resource_t  *res;

    api = cp_json_get(sub, "api");
    server = cp_json_get(sub, "server");
    tenant = cp_json_str(sub, "tenant");

    if ((api == NULL) == (server == NULL)) {
        return cp_fault_at(op, sub, "api", "either api or server is required");
    }

    if (cp_json_str(sub, "target_tenant") == NULL) {
        cp_json_put(op->arena, sub, "target_tenant", tenant);
    }

    target = cp_json_str(sub, "target_tenant");
    own = strcmp(target, tenant) == 0;
    field = api ? api : server;
    res = api ? &cp_res_api : &cp_res_server;

    rc = cp_row_load(tx, op->arena, res, field->s, &row, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    audience = api && row ? cp_json_str(row, "audience") : "internal";
    state = row ? cp_json_str(row, "state") : "";

    if (!own) {
        rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM tenants WHERE id = $1"
                         " AND state = 'active'", cp_args(cp_text(target)),
                         &rows, &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        if (rows.rows == 0) {
            return cp_err_set(&op->err, "not_found", CP_NOT_ABROAD);
        }
    }

    if (row == NULL || strcmp(cp_json_str(row, "tenant"), target) != 0
        || (!own && (strcmp(state, "draft") == 0
                     || strcmp(state, "retired") == 0
                     || !(strcmp(audience, "public") == 0
                          || (strcmp(audience, "partner") == 0
                              && cp_is_partner(row, tenant))))))
    {
        if (!own) {
            return cp_subscription_abroad(op, row, target, tenant);
        }

        (void) cp_fault_at(op, sub, res->kind, "there is no such %s",
                           res->kind);
        return cp_err_set(&op->err, "not_found", "there is no such %s",
                          res->kind);
    }

    if (strcmp(state, "retired") == 0) {
        return cp_err_set(&op->err, "conflict", "the api is retired");
    }

    if (cp_json_get(sub, "tools") && api
        && strcmp(cp_json_str(row, "kind"), "mcp") != 0)
    {
        return cp_fault_at(op, sub, "tools", "are for apis of kind mcp");
    }

    return CP_OK;
}


/* Why not is told to who sees both tenants, and to nobody else. */
static cp_rc_t
cp_subscription_abroad(cp_op_t *op, const cp_json_t *row, const char *target,
    const char *tenant)
{
    const char  *state, *audience;

    if (!cp_auth_sees(&op->actor, target) || row == NULL
        || strcmp(cp_json_str(row, "tenant"), target) != 0)
    {
        return cp_err_set(&op->err, "not_found", CP_NOT_ABROAD);
    }

    audience = cp_json_str(row, "audience");
    state = cp_json_str(row, "state");

    if (audience == NULL) {
        return cp_err_set(&op->err, "not_found", "servers are for applications"
                          " of their own tenant alone");
    }

    if (strcmp(audience, "public") == 0
        || (strcmp(audience, "partner") == 0 && cp_is_partner(row, tenant)))
    {
        return cp_err_set(&op->err, "not_found", "the api \"%s\" is %s: other"
                          " tenants subscribe to what is published",
                          cp_json_str(row, "name"), state);
    }

    return cp_err_set(&op->err, "not_found", "the audience of the api \"%s\""
                      " is %s and does not admit the application's tenant:"
                      " make it public, or partner with it in \"partners\"",
                      cp_json_str(row, "name"), audience);
}


static bool
cp_is_partner(const cp_json_t *api, const char *tenant)
{
    cp_json_t  *partners, *m;

    partners = cp_json_get(api, "partners");

    for (m = partners ? partners->first : NULL; m; m = m->next) {
        if (strcmp(m->s, tenant) == 0) {
            return true;
        }
    }

    return false;
}


/*
 * The plan is the publisher's.  A new subscription to a plan that approves by
 * itself is active at once; the consumer may move to another such plan, but
 * not past the publisher's approval.
 */
static cp_rc_t
cp_subscription_plan(cp_op_t *op, cp_tx_t *tx, const cp_json_t *before,
    cp_json_t *after)
{
    bool         automatic;
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *plan, *state;

    plan = cp_json_str(after, "plan");

    if (before && strcmp(cp_json_str(before, "plan"), plan) == 0) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT state, approval, auto_roles"
                     " FROM plans WHERE id = $1 AND tenant = $2",
                     cp_args(cp_text(plan),
                             cp_text(cp_json_str(after, "target_tenant"))),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return cp_fault_at(op, after, "plan", "there is no such plan");
    }

    state = cp_cell(&rows, 0, 0)->p;
    automatic = strcmp(cp_cell(&rows, 0, 1)->p, "auto") == 0
                || cp_subscription_role(op, cp_json_str(after, "tenant"),
                                        cp_cell(&rows, 0, 2));

    if (strcmp(state, "active") != 0) {
        return cp_err_set(&op->err, "conflict",
                          "the plan is %s: it takes no subscriptions", state);
    }

    if (before && !automatic && !cp_hold_is_publisher(op, after)) {
        return cp_err_set(&op->err, "forbidden",
                          "the plan needs its publisher's approval");
    }

    if (before == NULL && automatic) {
        cp_json_put(op->arena, after, "state", "active");
    }

    return CP_OK;
}


/* Does who asks hold one of these roles (JSON) in the consumer's tenant? */
static bool
cp_subscription_role(cp_op_t *op, const char *tenant, const cp_val_t *roles)
{
    cp_op_t            quiet = *op;
    cp_json_t         *list, *m;
    cp_perms_t         may;
    const cp_grant_t  *g;

    if (roles->type != CP_VAL_TEXT
        || cp_json_parse(op->arena, roles->p, roles->len, &list, NULL)
           != CP_OK)
    {
        return false;
    }

    for (g = op->actor.grants; g; g = g->next) {
        if ((g->tenant && strcmp(g->tenant, tenant) != 0)
            || g->role == NULL || !cp_role_builtin(g->role, &may)
            || cp_auth_covers(&quiet, tenant, &may) != CP_OK)
        {
            continue;              /* or a token of whom holds less by now  */
        }

        for (m = list->first; m; m = m->next) {
            if (strcmp(m->s, g->role) == 0) {
                return true;
            }
        }
    }

    return false;
}


/* A consumer does not lengthen what a publisher has limited. */
static cp_rc_t
cp_subscription_foreign(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after)
{
    int64_t  old, now;

    if (cp_hold_is_publisher(op, after)) {
        return CP_OK;
    }

    old = cp_json_num(before, "expires_at", INT64_MAX);
    now = cp_json_num(after, "expires_at", INT64_MAX);

    return now > old
           ? cp_err_set(&op->err, "forbidden",
                        "only the publisher moves expires_at back")
           : CP_OK;
}


/* Nor does it help itself to more tools than were approved; what still waits
 * for approval, or needs none, may ask for others. */
static cp_rc_t
cp_subscription_tools(cp_op_t *op, cp_tx_t *tx, const cp_json_t *before,
    const cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (cp_hold_is_publisher(op, after)
        || strcmp(cp_json_str(before, "state"), "pending") == 0
        || !cp_tools_widened(cp_json_get(before, "tools"),
                             cp_json_get(after, "tools")))
    {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM plans WHERE id = $1"
                     " AND approval = 'auto'",
                     cp_args(cp_text(cp_json_str(after, "plan"))), &rows,
                     &op->err);

    return rc == CP_OK && rows.rows == 0
           ? cp_err_set(&op->err, "forbidden", "further tools need the"
                        " publisher's approval") : rc;
}


/* NULL: all of them. */
static bool
cp_tools_widened(const cp_json_t *before, const cp_json_t *after)
{
    cp_json_t  *old, *now;

    if (before == NULL || after == NULL) {
        return before != NULL;
    }

    for (now = after->first; now; now = now->next) {
        for (old = before->first; old; old = old->next) {
            if (cp_json_equal(old, now)) {
                break;
            }
        }

        if (old == NULL) {
            return true;
        }
    }

    return false;
}


/* An archived publisher's things are kept as they are: the engine judges by
 * the tenant that has the row, which is the consumer's. */
static cp_rc_t
cp_subscription_opens(const cp_write_t *w, const char *event,
    const cp_json_t *before)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (strcmp(event, "approve") != 0 && strcmp(event, "resume") != 0) {
        return CP_OK;
    }

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT 1 FROM tenants"
                     " WHERE id = $1 AND state = 'archived'",
                     cp_args(cp_text(cp_json_str(before, "target_tenant"))),
                     &rows, &w->op->err);

    return rc == CP_OK && rows.rows
           ? cp_err_set(&w->op->err, "conflict", "the publisher is archived")
           : rc;
}


/* Consent, and taking back a suspension, are the publisher's. */
static cp_rc_t
cp_subscription_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t                   rc;
    unsigned                  i;
    cp_arena_t               *a = w->op->arena;
    const char               *reason;
    static const char *const  publisher[] = { "approve", "reject", "resume" };

    for (i = 0; i < sizeof(publisher) / sizeof(publisher[0]); i++) {
        if (strcmp(event, publisher[i]) == 0
            && !cp_hold_is_publisher(w->op, before))
        {
            return cp_err_set(&w->op->err, "forbidden",
                              "only the publisher may %s it", event);
        }
    }

    reason = cp_json_str(args, "reason");

    if (!cp_actor_is_system(&w->op->actor)) {
        cp_json_set(a, after, "reason", cp_json_string(a, reason));
        cp_json_put(a, after, "decided_by",
                    cp_hold_is_publisher(w->op, before) ? "publisher"
                                                        : "consumer");
        cp_json_put_int(a, after, "decided_at", cp_time_ms());
    }

    rc = cp_subscription_opens(w, event, before);

    if (rc == CP_OK) {
        rc = cp_hold_event(w->op, w->tx, event, before);
    }

    return rc == CP_OK
           ? cp_notice_subscription(w->op, w->tx, event, after, reason) : rc;
}


static cp_rc_t
cp_feed_subscription(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t     rc;
    cp_json_t  *sub;

    rc = cp_row_light(tx, a, res, id, &sub, err);
    if (rc != CP_OK || sub == NULL) {
        return rc;
    }

    return cp_sub_pair(tx, a, cp_json_str(sub, "application"),
                       cp_subscription_to(sub), err);
}


static cp_rc_t
cp_subscription_gone(const cp_write_t *w, const cp_json_t *before)
{
    cp_rc_t  rc;

    rc = cp_hold_gone(w, before);

    return rc != CP_OK ? rc
           : cp_sub_pair(w->tx, w->op->arena,
                         cp_json_str(before, "application"),
                         cp_subscription_to(before), &w->op->err);
}
