/*
 * Rules across fields and across rows, one hook per resource.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_hold.h"
#include "resource/cp_tables.h"


#define CP_REFILL_MAX_MS  (31LL * 86400000)

static const char *const  cp_reserved_paths[] = { "/apis", "/mcp", "/stoa",
    NULL };


/* An mcp api is reached through /mcp/<tenant> alone. */
static const char *const  cp_rest_only[] = { "host", "base_path",
    "key_query", NULL };


static cp_rc_t cp_fault_at(cp_op_t *op, const cp_json_t *row,
    const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static cp_rc_t cp_api_route_check(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *api);
static cp_rc_t cp_server_name_check(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *server, cp_names_t *names);
static cp_rc_t cp_subscription_target(cp_op_t *op, cp_tx_t *tx,
    cp_json_t *sub);
static cp_rc_t cp_subscription_plan(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_subscription_foreign(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after);
static cp_rc_t cp_subscription_tools(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *before, const cp_json_t *after);
static bool cp_tools_widened(const cp_json_t *before, const cp_json_t *after);
static bool cp_is_partner(const cp_json_t *api, const char *tenant);


static cp_rc_t
cp_fault_at(cp_op_t *op, const cp_json_t *row, const char *field,
    const char *fmt, ...)
{
    char        text[STOA_ERR_TEXT_MAX];
    va_list     args;
    cp_json_t  *val;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    val = cp_json_get(row, field);

    return cp_err_field(&op->err, -1, val ? val->line : row->line, field,
                        "%s", text);
}


cp_rc_t
cp_api_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    bool        mcp;
    unsigned    i;
    cp_json_t  *partners, *discovery;

    mcp = strcmp(cp_json_str(after, "kind"), "mcp") == 0;
    partners = cp_json_get(after, "partners");

    for (i = 0; mcp && cp_rest_only[i]; i++) {
        if (cp_json_get(after, cp_rest_only[i])) {
            return cp_fault_at(w->op, after, cp_rest_only[i],
                               "is for kind rest");
        }
    }

    if (mcp && cp_json_num(after, "operations_only", 0)) {
        return cp_fault_at(w->op, after, "operations_only",
                           "is for kind rest");
    }

    if (partners && partners->n
        && strcmp(cp_json_str(after, "audience"), "partner") != 0)
    {
        return cp_fault_at(w->op, after, "partners",
                           "needs audience partner");
    }

    if (mcp && before == NULL) {
        discovery = cp_json_object(w->op->arena);
        cp_json_set(w->op->arena, discovery, "state",
                    cp_json_string(w->op->arena, "pending"));
        cp_json_set(w->op->arena, after, "discovery", discovery);
    }

    return cp_api_route_check(w->op, w->tx, after);
}


/*
 * One route leads to one api, whoever owns it.  The database has the same
 * rule as an index; this is the message.
 */
static cp_rc_t
cp_api_route_check(cp_op_t *op, cp_tx_t *tx, const cp_json_t *api)
{
    size_t       len;
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    const char  *host, *path;

    host = cp_json_str(api, "host");
    path = cp_json_str(api, "base_path");

    for (i = 0; path && host == NULL && cp_reserved_paths[i]; i++) {
        len = strlen(cp_reserved_paths[i]);

        if (strncmp(path, cp_reserved_paths[i], len) == 0
            && (path[len] == '\0' || path[len] == '/'))
        {
            return cp_fault_at(op, api, "base_path",
                               "%s is the gateway's own without a host",
                               cp_reserved_paths[i]);
        }
    }

    if ((host == NULL && path == NULL)
        || strcmp(cp_json_str(api, "state"), "retired") == 0)
    {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM apis"
                     " WHERE COALESCE(host, '') = $1"
                     " AND COALESCE(base_path, '/') = $2"
                     " AND state <> 'retired'"
                     " AND (host IS NOT NULL OR base_path IS NOT NULL)"
                     " AND id <> $3",
                     cp_args(cp_text(host ? host : ""),
                             cp_text(path ? path : "/"),
                             cp_text(cp_json_str(api, "id"))),
                     &rows, &op->err);
    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    (void) cp_fault_at(op, api, path ? "base_path" : "host",
                       "another api has this host and path");

    return cp_err_set(&op->err, "already_exists",
                      "another api has this host and path");
}


cp_rc_t
cp_operation_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (before) {
        return CP_OK;
    }

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT kind, (SELECT COUNT(*)"
                     " FROM operations o WHERE o.api = apis.id)"
                     " FROM apis WHERE id = $1",
                     cp_args(cp_text(cp_json_str(after, "api"))), &rows,
                     &w->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows && strcmp(cp_cell(&rows, 0, 0)->p, "rest") != 0) {
        return cp_err_set(&w->op->err, "validation",
                          "operations are for apis of kind rest");
    }

    if (rows.rows && cp_cell(&rows, 0, 1)->i >= STOA_OPERATIONS_MAX) {
        return cp_err_set(&w->op->err, "validation",
                          "an api has at most %d operations",
                          STOA_OPERATIONS_MAX);
    }

    return CP_OK;
}


/* Every tool's api speaks mcp, and no two tools show the same name. */
cp_rc_t
cp_server_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *item;
    cp_rows_t    rows;
    cp_names_t   names;
    const char  *api, *last;

    (void) before;

    if (cp_json_get(after, "tools") == NULL) {
        return CP_OK;
    }

    last = "";

    for (item = cp_json_get(after, "tools")->first, i = 0; item;
         item = item->next, i++)
    {
        api = cp_json_str(item, "api");

        if (strcmp(api, last) == 0) {
            continue;
        }

        last = api;

        rc = cp_tx_query(w->tx, w->op->arena, "SELECT kind FROM apis"
                         " WHERE id = $1 AND tenant = $2",
                         cp_args(cp_text(api),
                                 cp_text(cp_json_str(after, "tenant"))),
                         &rows, &w->op->err);
        if (rc != CP_OK) {
            return rc;
        }

        if (rows.rows == 0 || strcmp(cp_cell(&rows, 0, 0)->p, "mcp") != 0) {
            return cp_err_field(&w->op->err, -1, item->line,
                                cp_arena_printf(w->op->arena,
                                                "tools[%u].api", i),
                                "is not of kind mcp");
        }
    }

    cp_names_init(&names, w->tx, w->op->arena, &w->op->err);

    return cp_server_name_check(w->op, w->tx, after, &names);
}


static cp_rc_t
cp_server_name_check(cp_op_t *op, cp_tx_t *tx, const cp_json_t *server,
    cp_names_t *names)
{
    cp_rc_t      rc;
    unsigned     i, slot;
    cp_json_t   *item, *tools;
    const char  *name, *seen[4 * STOA_SERVER_TOOLS_MAX];

    (void) tx;

    memset(seen, 0, sizeof(seen));
    tools = cp_json_get(server, "tools");

    for (item = tools->first, i = 0; item; item = item->next, i++) {
        rc = cp_server_tool_name(names, server, item, &name);
        if (rc != CP_OK) {
            return rc;
        }

        if (!stoa_tool_name_valid(name, strlen(name))) {
            return cp_err_field(&op->err, -1, item->line,
                                cp_arena_printf(op->arena, "tools[%u]", i),
                                "its name with the prefix is longer than %d"
                                " characters: give it an alias",
                                STOA_TOOL_NAME_MAX);
        }

        slot = (unsigned) (stoa_hash64(name, strlen(name), 0)
                           % (4 * STOA_SERVER_TOOLS_MAX));

        while (seen[slot] && strcmp(seen[slot], name) != 0) {
            slot = (slot + 1) % (4 * STOA_SERVER_TOOLS_MAX);
        }

        if (seen[slot]) {
            return cp_err_field(&op->err, -1, item->line,
                                cp_arena_printf(op->arena, "tools[%u]", i),
                                "two tools would be called \"%s\"", name);
        }

        seen[slot] = name;
    }

    return CP_OK;
}


cp_rc_t
cp_server_tool_name(cp_names_t *names, const cp_json_t *server,
    const cp_json_t *item, const char **name)
{
    cp_rc_t      rc;
    const char  *api;

    *name = cp_json_str(item, "alias");

    if (*name) {
        return CP_OK;
    }

    *name = cp_json_str(item, "tool");

    if (strcmp(cp_json_str(server, "prefix"), "never") == 0) {
        return CP_OK;
    }

    rc = cp_names_get(names, &cp_res_api, cp_json_str(item, "api"), &api);
    if (rc != CP_OK) {
        return rc;
    }

    *name = cp_arena_printf(names->arena, "%s__%s", api ? api : "", *name);

    return *name ? CP_OK : cp_err_set(names->err, "internal", "no memory");
}


/* The gateway counts in 64-bit nanoseconds: nothing may overflow there. */
cp_rc_t
cp_plan_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    int64_t  rate, per, burst;

    (void) before;

    rate = cp_json_num(after, "rate", 0);
    per = cp_json_num(after, "per_ms", 1000);
    burst = cp_json_num(after, "burst", 0);

    if (rate == 0) {
        return burst ? cp_fault_at(w->op, after, "burst", "needs a rate")
                     : CP_OK;
    }

    if (rate > per * 1000000) {
        return cp_fault_at(w->op, after, "rate",
                           "is more than one request per nanosecond");
    }

    if (burst > 0 && per > CP_REFILL_MAX_MS / burst * rate) {
        return cp_fault_at(w->op, after, "burst",
                           "takes more than 31 days to come back");
    }

    return CP_OK;
}


/* An archived plan is not served: nothing may depend on it. */
cp_rc_t
cp_plan_event(const cp_write_t *w, const char *event, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    (void) args;
    (void) after;

    if (strcmp(event, "archive") != 0) {
        return CP_OK;
    }

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT id FROM subscriptions"
                     " WHERE plan = $1"
                     " AND state IN ('pending', 'active', 'suspended')"
                     " LIMIT 1", cp_args(cp_text(cp_json_str(before, "id"))),
                     &rows, &w->op->err);

    return rc == CP_OK && rows.rows
           ? cp_err_set(&w->op->err, "in_use", "subscription %s has this plan",
                        cp_cell(&rows, 0, 0)->p)
           : rc;
}


cp_rc_t
cp_subscription_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (before == NULL) {
        rc = cp_subscription_target(w->op, w->tx, after);
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


const char *
cp_subscription_to(const cp_json_t *sub)
{
    const char  *id;

    id = cp_json_str(sub, "api");

    return id ? id : cp_json_str(sub, "server");
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
    const char           *tenant, *target, *state, *audience;
    const cp_resource_t  *res;

    api = cp_json_get(sub, "api");
    server = cp_json_get(sub, "server");
    tenant = cp_json_str(sub, "tenant");

    if ((api == NULL) == (server == NULL)) {
        return cp_fault_at(op, sub, "api", "either api or server is required");
    }

    if (cp_json_str(sub, "target_tenant") == NULL) {
        cp_json_set(op->arena, sub, "target_tenant",
                    cp_json_string(op->arena, tenant));
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

    if (row == NULL || strcmp(cp_json_str(row, "tenant"), target) != 0
        || (!own && (strcmp(state, "draft") == 0
                     || strcmp(state, "retired") == 0
                     || !(strcmp(audience, "public") == 0
                          || (strcmp(audience, "partner") == 0
                              && cp_is_partner(row, tenant))))))
    {
        if (!own) {
            return cp_err_set(&op->err, "not_found", CP_NOT_ABROAD);
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

    rc = cp_tx_query(tx, op->arena, "SELECT state, approval FROM plans"
                     " WHERE id = $1 AND tenant = $2",
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
    automatic = strcmp(cp_cell(&rows, 0, 1)->p, "auto") == 0;

    if (strcmp(state, "active") != 0) {
        return cp_err_set(&op->err, "conflict",
                          "the plan is %s: it takes no subscriptions", state);
    }

    if (before && !automatic && !cp_hold_is_publisher(op, after)) {
        return cp_err_set(&op->err, "forbidden",
                          "the plan needs its publisher's approval");
    }

    if (before == NULL && automatic) {
        cp_json_set(op->arena, after, "state",
                    cp_json_string(op->arena, "active"));
    }

    return CP_OK;
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


/* Consent, and taking back a suspension, are the publisher's. */
cp_rc_t
cp_subscription_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    unsigned                  i;
    static const char *const  publisher[] = { "approve", "reject", "resume" };

    (void) args;
    (void) after;

    for (i = 0; i < sizeof(publisher) / sizeof(publisher[0]); i++) {
        if (strcmp(event, publisher[i]) == 0
            && !cp_hold_is_publisher(w->op, before))
        {
            return cp_err_set(&w->op->err, "forbidden",
                              "only the publisher may %s it", event);
        }
    }

    return cp_hold_event(w->op, w->tx, event, before);
}
