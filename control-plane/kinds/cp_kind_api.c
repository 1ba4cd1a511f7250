/*
 * Apis: what is published.
 */

#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "client/cp_client.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_notice.h"
#include "kinds/cp_purge.h"
#include "kinds/cp_search.h"


#define CP_TOOL_ARENA  ((size_t) 256 * 1024 * 1024)


static cp_rc_t cp_api_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_api_platform_check(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after);
static cp_rc_t cp_api_route_check(cp_op_t *op, const cp_json_t *api);
static cp_rc_t cp_api_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_api_settled(cp_op_t *op, cp_tx_t *tx, const cp_json_t *api);
static cp_rc_t cp_api_upstream_check(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after, bool mcp);
static cp_rc_t cp_feed_api(cp_tx_t *tx, cp_arena_t *a,
    const cp_resource_t *res, const char *id, cp_err_t *err);
static cp_rc_t cp_api_record(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *api,
    cp_json_t **body, cp_err_t *err);
static cp_json_t *cp_api_targets(cp_arena_t *a, const cp_json_t *api);
static cp_json_t *cp_api_target(cp_arena_t *a, const char *url,
    int64_t weight, bool mcp);
static cp_rc_t cp_api_operations(cp_tx_t *tx, cp_arena_t *a, const char *id,
    cp_json_t **out, cp_err_t *err);
static cp_rc_t cp_api_items(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *api,
    const cp_resource_t *res, const char *id, cp_err_t *err);


static const char *const  cp_reserved_paths[] = { "/apis", "/mcp", "/stoa",
    NULL };

/* An mcp api is reached through /mcp/<tenant> alone. */
static const char *const  cp_rest_only[] = { "host", "base_path",
    "key_query", NULL };

static const struct {
    const char  *name;
    const char  *none;
} cp_mcp_only[] = {
    { "new_tools", "enabled" },
    { "changed_tools", "announce" },
    { "marked_tools", "announce" },
    { NULL, NULL }
};

#define OWN_description                                                       \
    F("description", CP_F_TEXT, 0, 0, 8000, NULL, "for people")
#define OWN_url                                                               \
    F("url", CP_F_TARGET, RQ, 0, 1024, NULL,                                  \
      "http or https, host, port, path; for mcp the endpoint; grpc or grpcs, "\
      "host, port")
#define OWN_tls       F_OBJECT("tls", 0, "{}", tls_fields, "for https targets")
#define OWN_health                                                            \
    F_OBJECT("health", 0, NULL, health_fields,                                \
      "gateways check targets by themselves; none: they do not")
#define OWN_breaker                                                           \
    F_OBJECT("breaker", 0, NULL, breaker_fields,                              \
      "targets whose calls fail get none for a while; none: not by this")
#define OWN_retry                                                             \
    F_OBJECT("retry", 0, NULL, retry_fields,                                  \
      "when a further target is tried; none: by nginx's proxy_next_upstream")
#define OWN_split                                                             \
    F_OBJECT("split", 0, NULL, split_fields,                                  \
      "calls are shared between groups of targets; none: between targets")
#define OWN_mirror                                                            \
    F_OBJECT("mirror", 0, NULL, mirror_fields,                                \
      "copies of calls go to a shadow, whose answers nobody sees (rest)")
#define OWN_upstream                                                          \
    F_OBJECT("upstream", RQ, NULL, upstream_fields, "where requests go")
#define OWN_platform                                                          \
    BOOL("platform", 0, "false",                                              \
      "its upstream is this control plane, which takes the signed identity; " \
      "set by a platform admin, who alone may change the upstream then")
#define OWN_rest                                                              \
    F_REFS("gateway_groups", 0, 100, "gateway_group",                         \
      "gateways that get it; empty: all"),                                    \
    F("spec", CP_F_JSON, CP_WHOLE, 0, 1048576, NULL, "OpenAPI document"),     \
    F_ENUM("new_tools", 0, "\"enabled\"", tool_states,                        \
      "of what is found: tools, prompts, resources, templates"),              \
    F_ENUM("changed_tools", 0, "\"announce\"", tool_changes,                  \
      "what is on and changes is shown changed, or not until it is approved"),\
    F_ENUM("marked_tools", 0, "\"announce\"", tool_marks,                     \
      "what has words that speak to a model, as the policy guardrail finds "  \
      "them, is shown all the same, not until it is approved, or without "    \
      "them: they are masked in titles and descriptions; what has some "      \
      "elsewhere is left out"),                                               \
    F("discovery", CP_F_JSON, RO|ND|CP_MOVES, 0, 0, NULL,                     \
      "what was found at the upstream, and when"),                            \
    F_ARRAY("tags", 0, 16, CP_F_NAME, "words to find it by"),                 \
    F("category", CP_F_NAME, FI, 0, 0, NULL, "where the catalogue has it"),   \
    F("family", CP_F_NAME, FI, 0, 0, NULL,                                    \
      "apis that are versions of one another say the same"),                  \
    F("contact", CP_F_STRING, 0, 0, 200, NULL, "the person or team it is of")

/* What its upstream shows. */
static const char *const  cp_shown_kinds[] = { "tool", "prompt", "resource",
    "template", NULL };

static const char *const  tool_states[] = { "enabled", "disabled", NULL };
static const char *const  tool_changes[] = { "announce", "quarantine", NULL };
static const char *const  tool_marks[] = { "announce", "quarantine", "mask",
    NULL };

static const cp_body_t  cp_api_body[] = {
    BODY_ROWS(STOA_API_FIELDS, "")
    BODY_ROWS(STOA_UPSTREAM_FIELDS, "upstream.")
    BODY_ROWS(STOA_TLS_FIELDS, "upstream.tls.")
    BODY_ROWS(STOA_DISCOVERY_MADE, "discovery.") { NULL }
};

static const cp_body_t  cp_operation_body[] = {
    BODY_ROWS(STOA_OPERATION_FIELDS, "") { NULL }
};

static const cp_field_t  target_fields[] = {
    ROWS(STOA_TARGET_FIELDS) F_END
};

static const cp_field_t  tls_fields[] = { ROWS(STOA_TLS_FIELDS) F_END };

static const cp_field_t  health_fields[] = { ROWS(STOA_HEALTH_FIELDS) F_END };

static const cp_field_t  retry_fields[] = { ROWS(STOA_RETRY_FIELDS) F_END };

static const cp_field_t  mirror_fields[] = { ROWS(STOA_MIRROR_FIELDS) F_END };

static const cp_field_t  split_group_fields[] = {
    ROWS(STOA_SPLIT_GROUP_FIELDS) F_END
};

static const cp_field_t  split_rule_fields[] = {
    ROWS(STOA_SPLIT_RULE_FIELDS) F_END
};

static const cp_field_t  split_fields[] = { ROWS(STOA_SPLIT_FIELDS) F_END };

static const cp_field_t  breaker_fields[] = {
    ROWS(STOA_BREAKER_FIELDS) F_END
};

static const cp_field_t  upstream_fields[] = {
    ROWS(STOA_UPSTREAM_FIELDS) F_END
};

static const cp_field_t  api_fields[] = {
    ROWS(STOA_API_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_transition_t  api_transitions[] = {
    { "publish", { "draft", "deprecated" }, "published", "api:write", NULL },
    { "deprecate", { "published" }, "deprecated", "api:write", NULL },
    { "retire", { "published", "deprecated" }, "retired", "api:write", NULL },
    T_END
};

static const cp_dependent_t  api_dependents[] = {
    { "policy", "attach", CP_DEP_REFUSE, true },
    { "server", "tools", CP_DEP_REFUSE, true },
    { "server", "prompts", CP_DEP_REFUSE, true },
    { "server", "resources", CP_DEP_REFUSE, true },
    { "subscription", "api", CP_DEP_LIVE, false },
    { "operation", "api", CP_DEP_OWNED, false },
    { "page", "api", CP_DEP_OWNED, false },
    { NULL, "DELETE FROM promotions WHERE api = $1", CP_DEP_PLAIN, false },
    { "tool", "api", CP_DEP_OWNED, false },
    { "prompt", "api", CP_DEP_OWNED, false },
    { "resource", "api", CP_DEP_OWNED, false },
    { "template", "api", CP_DEP_OWNED, false },
    { NULL, "DELETE FROM api_documents WHERE api = $1", CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM item_states WHERE api = $1", CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM item_pins WHERE api = $1", CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM approvals WHERE api = $1", CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM subscription_holds WHERE target = $1",
      CP_DEP_PLAIN, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_api = {
    .kind = "api", .doc_kind = "Api", .plural = "apis", .table = "apis",
    .parent = "tenant", .fields = api_fields,
    .transitions = api_transitions, .initial = "draft",
    .check = cp_api_check, .event = cp_api_event, .settled = cp_api_settled,
    .feed = cp_feed_api,
    .dependents = api_dependents
};


static cp_rc_t
cp_api_event(const cp_write_t *w, const char *event, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after)
{
    cp_arena_t  *a = w->op->arena;

    (void) args;
    (void) before;

    cp_json_set(a, after, "deprecated_at", strcmp(event, "deprecate") == 0
                ? cp_json_int(a, cp_time_ms()) : cp_json_null(a));

    return strcmp(event, "publish") == 0 ? CP_OK
           : cp_notice_subscribers(w->op, w->tx, strcmp(event, "retire") == 0
                                   ? CP_NOTICE_API_RETIRED
                                   : CP_NOTICE_API_DEPRECATED, after);
}


/* Another end of what is deprecated is told as the first one was. */
static cp_rc_t
cp_api_sunset(const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after)
{
    return strcmp(cp_json_str(after, "state"), "deprecated") == 0
           && cp_json_num(before, "sunset_at", 0)
              != cp_json_num(after, "sunset_at", 0)
           ? cp_notice_subscribers(w->op, w->tx, CP_NOTICE_API_DEPRECATED,
                                   after) : CP_OK;
}


static cp_rc_t
cp_api_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    bool        mcp;
    cp_rc_t     rc;
    unsigned    i;
    cp_json_t  *partners, *discovery;

    rc = before ? cp_api_sunset(w, before, after) : CP_OK;

    if (rc != CP_OK) {
        return rc;
    }

    mcp = strcmp(cp_json_str(after, "kind"), "mcp") == 0;
    partners = cp_json_get(after, "partners");

    for (i = 0; mcp && cp_rest_only[i]; i++) {
        if (cp_json_get(after, cp_rest_only[i])) {
            return cp_fault_at(w->op, after, cp_rest_only[i],
                               "is for kind rest");
        }
    }

    if (mcp && cp_json_num(cp_json_get(after, "upstream"),
                           "keep_encoded_slashes", 0))
    {
        return cp_fault_at(w->op, after, "upstream.keep_encoded_slashes",
                           "is for kind rest");
    }

    if (mcp && cp_json_num(cp_json_get(after, "upstream"), "total_timeout_ms",
                           0))
    {
        return cp_fault_at(w->op, after, "upstream.total_timeout_ms",
                           "is for kind rest, which has no max_call_ms");
    }

    if (mcp && cp_json_num(after, "operations_only", 0)) {
        return cp_fault_at(w->op, after, "operations_only",
                           "is for kind rest");
    }

    for (i = 0; !mcp && cp_mcp_only[i].name; i++) {
        if (strcmp(cp_json_str(after, cp_mcp_only[i].name),
                   cp_mcp_only[i].none) != 0)
        {
            return cp_fault_at(w->op, after, cp_mcp_only[i].name,
                               "is for kind mcp");
        }
    }

    if (partners && partners->n
        && strcmp(cp_json_str(after, "audience"), "partner") != 0)
    {
        return cp_fault_at(w->op, after, "partners",
                           "needs audience partner");
    }

    if (mcp && before == NULL) {
        discovery = cp_json_object(w->op->arena);
        cp_json_put(w->op->arena, discovery, "state", "pending");
        cp_json_set(w->op->arena, after, "discovery", discovery);
    }

    rc = cp_api_upstream_check(w->op, before, after, mcp);

    if (rc == CP_OK) {
        rc = cp_upstream_check(w->op, before, after);
    }

    if (rc == CP_OK) {
        rc = cp_api_platform_check(w->op, before, after);
    }

    if (rc == CP_OK) {
        rc = cp_region_api(w, after);
    }

    return rc == CP_OK ? cp_api_route_check(w->op, after) : rc;
}


/*
 * Addresses that name themselves are judged at once, names when they are used,
 * and so are those that were there before: the rest of an upstream may have
 * got defaults that came later.
 * What only gateways will ask is theirs to allow (stoa_upstream_allow), but
 * nothing that is special to a network.
 */
static cp_rc_t
cp_api_upstream_check(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after, bool mcp)
{
    cp_rc_t            rc;
    unsigned           i;
    cp_json_t         *targets, *url, *t;
    stoa_addr_class_e  class;

    targets = cp_json_get(cp_json_get(after, "upstream"), "targets");

    if (cp_json_equal(cp_json_get(cp_json_get(before, "upstream"), "targets"),
                      targets))
    {
        return CP_OK;
    }

    rc = CP_OK;

    for (t = targets->first, i = 0; t; t = t->next, i++) {
        url = cp_json_get(t, "url");
        class = cp_client_refused(&op->app->conf.outbound_allow, url->s);

        if (class == STOA_ADDR_PUBLIC
            || (!mcp && class != STOA_ADDR_SPECIAL))
        {
            continue;
        }

        rc = cp_err_field(&op->err, -1, url->line,
                          cp_arena_printf(op->arena,
                                          "upstream.targets[%u].url", i),
                          "is %s address, which outbound_allow of the control"
                          " plane does not list",
                          stoa_addr_class_name(class));
    }

    return rc;
}


/*
 * What gateways vouch for when they call the platform's own api opens the
 * control plane to whoever receives it: so nobody but a platform admin says
 * which api that is, and where it leads.
 */
static cp_rc_t
cp_api_platform_check(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after)
{
    int64_t  was, is;

    was = before ? cp_json_num(before, "platform", 0) : 0;
    is = cp_json_num(after, "platform", 0);

    if (was == is
        && (!is || cp_json_equal(cp_json_get(before, "upstream"),
                                 cp_json_get(after, "upstream"))))
    {
        return CP_OK;
    }

    return cp_auth_may(op, "api:platform", NULL);
}


static cp_rc_t
cp_api_route_check(cp_op_t *op, const cp_json_t *api)
{
    size_t       len;
    unsigned     i;
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

    return CP_OK;
}


/* Do no gateways have both?  groups: JSON, ids; none: all gateways. */
static bool
cp_api_apart(const cp_json_t *api, const char *groups)
{
    const cp_json_t  *m;

    m = cp_json_get(api, "gateway_groups");

    if (m == NULL || m->n == 0 || groups == NULL
        || strcmp(groups, "[]") == 0)
    {
        return false;
    }

    for (m = m->first; m; m = m->next) {
        if (strstr(groups, m->s)) {
            return false;
        }
    }

    return true;
}


/* At a gateway one route leads to one api of those that are served, whoever
 * owns it. */
static cp_rc_t
cp_api_settled(cp_op_t *op, cp_tx_t *tx, const cp_json_t *api)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    const char  *host, *path, *who;

    host = cp_json_str(api, "host");
    path = cp_json_str(api, "base_path");

    if ((host == NULL && path == NULL) || !cp_api_served(api)) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT a.tenant, t.name, a.name,"
                     " a.gateway_groups"
                     " FROM apis a JOIN tenants t ON t.id = a.tenant"
                     " WHERE COALESCE(a.host, '') = $1"
                     " AND COALESCE(a.base_path, '/') = $2"
                     " AND (a.host IS NOT NULL OR a.base_path IS NOT NULL)"
                     " AND a.state IN ('published', 'deprecated')"
                     " AND a.id <> $3",
                     cp_args(cp_text(host ? host : ""),
                             cp_text(path ? path : "/"),
                             cp_text(cp_json_str(api, "id"))),
                     &rows, &op->err);

    for (i = 0; rc == CP_OK && i < rows.rows
         && cp_api_apart(api, cp_cell(&rows, i, 3)->p); i++)
    {
        /* void */
    }

    if (rc != CP_OK || i == rows.rows) {
        return rc;
    }

    who = cp_auth_sees(&op->actor, cp_cell(&rows, i, 0)->p)
          ? cp_arena_printf(op->arena, "the api \"%s/%s\"",
                            cp_cell(&rows, i, 1)->p,
                            cp_cell(&rows, i, 2)->p)
          : "an api of another tenant";

    (void) cp_fault_at(op, api, path ? "base_path" : "host",
                       "%s has this host and path", who);

    return cp_err_set(&op->err, "already_exists",
                      "%s has this host and path", who);
}


static cp_rc_t
cp_feed_api(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t        rc;
    unsigned       i;
    cp_json_t     *api, *body;
    cp_feed_row_t  row = { .kind = "api" };

    rc = cp_row_light(tx, a, res, id, &api, err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_api_record(tx, a, api, &body, err);
    if (rc != CP_OK) {
        return rc;
    }

    row.key = cp_arena_printf(a, "api:%s", id);
    row.groups = api ? cp_api_groups(a, api) : NULL;

    rc = cp_body_put(tx, a, row, body, err);

    if (rc == CP_OK) {
        rc = cp_search_put(tx, a, res, id, err);
    }

    if (rc == CP_OK) {
        rc = cp_purge_feed(tx, a, id, row.groups, body != NULL, err);
    }

    for (i = 0; rc == CP_OK && cp_shown_kinds[i]; i++) {
        rc = cp_api_items(tx, a, api, cp_resource_find(cp_shown_kinds[i]),
                          id, err);
    }

    return rc;
}


static cp_rc_t
cp_api_record(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *api,
    cp_json_t **body, cp_err_t *err)
{
    cp_rc_t        rc;
    cp_json_t     *operations;
    cp_place_of_t  at = { .operation = "*", .tool = "*" };

    rc = cp_body_make(tx, a, cp_api_body, api, body, err);
    if (rc != CP_OK || *body == NULL) {
        return rc;
    }

    rc = cp_api_operations(tx, a, cp_json_str(api, "id"), &operations, err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_json_set(a, *body, "targets", cp_api_targets(a, api));
    cp_upstream_body(a, api, *body);
    cp_json_set(a, *body, "operations", operations);

    at.tenant = cp_json_str(api, "tenant");
    at.api = cp_json_str(api, "id");
    at.above = strcmp(cp_json_str(api, "kind"), "mcp") != 0;

    return cp_policy_body(tx, a, &at, *body, err);
}


static cp_json_t *
cp_api_targets(cp_arena_t *a, const cp_json_t *api)
{
    bool        mcp;
    cp_json_t  *out, *m, *target;

    out = cp_json_array(a);
    mcp = strcmp(cp_json_str(api, "kind"), "mcp") == 0;

    for (m = cp_json_get(cp_json_get(api, "upstream"), "targets")->first; m;
         m = m->next)
    {
        target = cp_api_target(a, cp_json_str(m, "url"),
                               cp_json_num(m, "weight", 1), mcp);

        if (cp_json_str(m, "group")) {
            cp_json_put(a, target, "group", cp_json_str(m, "group"));
        }

        cp_json_push(out, target);
    }

    return out;
}


/* The url has passed validation.  A rest target's path is put before the
 * request's, so its last slash goes; an mcp endpoint is used as it is. */
static cp_json_t *
cp_api_target(cp_arena_t *a, const char *url, int64_t weight, bool mcp)
{
    bool         tls;
    char        *p, *host;
    size_t       len, n;
    int64_t      port;
    cp_json_t   *out;
    const char  *s, *path;

    s = strchr(url, ':');
    tls = s[-1] == 's';
    s += 3;
    path = s + strcspn(s, "/");
    port = tls ? 443 : 80;

    if (*s == '[') {
        s++;
        n = strcspn(s, "]");
        len = n + 1;

    } else {
        n = strcspn(s, ":/");
        len = n;
    }

    if (s[len] == ':') {
        port = strtol(s + len + 1, NULL, 10);
    }

    host = cp_arena_strndup(a, s, n);

    for (p = host; p && *p; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char) (*p | 0x20);
        }
    }

    len = strlen(path);

    while (!mcp && len > 0 && path[len - 1] == '/') {
        len--;
    }

    out = cp_json_object(a);
    cp_json_put_bool(a, out, "tls", tls);
    cp_json_put(a, out, "host", host);
    cp_json_put_int(a, out, "port", port);
    cp_json_put(a, out, "path", cp_arena_strndup(a, path, len));
    cp_json_put_int(a, out, "weight", weight);

    if (*url == 'g') {
        cp_json_put_bool(a, out, "grpc", true);
    }

    return out;
}


static cp_rc_t
cp_api_operations(cp_tx_t *tx, cp_arena_t *a, const char *id,
    cp_json_t **out, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_json_t      *rows, *row, *item;
    cp_row_query_t  q = { "\"api\" = $1", "\"path\", \"method\"", 0, false };

    rc = cp_row_select(tx, a, cp_resource_find("operation"), &q,
                       cp_args(cp_text(id)), &rows, err);

    *out = cp_json_array(a);

    for (row = rc == CP_OK ? rows->first : NULL; row && rc == CP_OK;
         row = row->next)
    {
        rc = cp_body_make(tx, a, cp_operation_body, row, &item, err);

        if (rc == CP_OK) {
            cp_json_push(*out, item);
        }
    }

    return rc;
}


/*
 * What it shows comes and goes with it.  One at a time, in an arena of its
 * own: a thousand definitions may be large.
 */
static cp_rc_t
cp_api_items(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *api,
    const cp_resource_t *res, const char *id, cp_err_t *err)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *item;
    cp_arena_t  *one;

    if (api == NULL || strcmp(cp_json_str(api, "kind"), "mcp") != 0) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT id FROM %s"
                     " WHERE api = $1 ORDER BY name", res->table),
                     cp_args(cp_text(id)), &rows, err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        one = cp_arena_create(CP_TOOL_ARENA);

        if (one == NULL) {
            return cp_err_set(err, "internal", "no memory");
        }

        rc = cp_row_load(tx, one, res, cp_cell(&rows, i, 0)->p, &item, err);

        if (rc == CP_OK && item) {
            rc = cp_item_put(tx, one, res, item, api, err);
        }

        cp_arena_destroy(one);
    }

    return rc;
}
