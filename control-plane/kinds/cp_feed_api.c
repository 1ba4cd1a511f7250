/*
 * What gateways get of apis and their tools.
 */

#include <stdlib.h>
#include <string.h>

#include "kinds/cp_feed_bodies.h"


#define CP_TOOL_ARENA  ((size_t) 256 * 1024 * 1024)


static cp_rc_t cp_api_record(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *api, cp_json_t **body, cp_err_t *err);
static bool cp_api_served(const cp_json_t *api);
static const char *cp_api_groups(cp_arena_t *a, const cp_json_t *api);
static cp_json_t *cp_api_targets(cp_arena_t *a, const cp_json_t *api);
static cp_json_t *cp_api_target(cp_arena_t *a, const char *url,
    int64_t weight, bool mcp);
static cp_rc_t cp_api_operations(cp_tx_t *tx, cp_arena_t *a, const char *id,
    cp_json_t **out, cp_err_t *err);
static cp_rc_t cp_api_tools(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *api,
    const char *id, cp_err_t *err);
static cp_rc_t cp_tool_put(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *tool,
    const cp_json_t *api, cp_err_t *err);


static const cp_body_t  cp_api_body[] = {
    { "id", "id", ABSENT_NONE },
    { "tenant", "tenant", ABSENT_NONE },
    { "name", "name", ABSENT_NONE },
    { "title", "title", ABSENT_NONE },
    { "kind", "kind", ABSENT_NONE },
    { "version", "version", ABSENT_NONE },
    { "state", "state", ABSENT_NONE },
    { "audience", "audience", ABSENT_NONE },
    { "partners", "partners", ABSENT_NONE },
    { "host", "host", ABSENT_NONE },
    { "base_path", "base_path", ABSENT_NONE },
    { "strip_base_path", "strip_base_path", ABSENT_NONE },
    { "key_query", "key_query", ABSENT_NONE },
    { "ip_allow", "ip_allow", ABSENT_NONE },
    { "ip_deny", "ip_deny", ABSENT_NONE },
    { "max_body_bytes", "max_body_bytes", ABSENT_NONE },
    { "identity", "identity", ABSENT_NONE },
    { "operations_only", "operations_only", ABSENT_NONE },
    { "sunset_ms", "sunset_at", 0 },
    { NULL, NULL, 0 }
};

static const cp_body_t  cp_upstream_body[] = {
    { "balance", "balance", ABSENT_NONE },
    { "connect_timeout_ms", "connect_timeout_ms", ABSENT_NONE },
    { "read_timeout_ms", "read_timeout_ms", ABSENT_NONE },
    { "retries", "retries", ABSENT_NONE },
    { "max_fails", "max_fails", ABSENT_NONE },
    { "fail_timeout_ms", "fail_timeout_ms", ABSENT_NONE },
    { "host_header", "host_header", ABSENT_NONE },
    { NULL, NULL, 0 }
};


cp_rc_t
cp_feed_api(cp_tx_t *tx, cp_arena_t *a, const char *id, cp_err_t *err)
{
    cp_rc_t     rc;
    cp_json_t  *api, *body;

    rc = cp_row_light(tx, a, &cp_res_api, id, &api, err);
    if (rc != CP_OK) {
        return rc;
    }

    body = NULL;

    if (api && cp_api_served(api)) {
        rc = cp_api_record(tx, a, api, &body, err);
        if (rc != CP_OK) {
            return rc;
        }
    }

    rc = cp_body_put(tx, a, "api", cp_arena_printf(a, "api:%s", id), body,
                     api ? cp_api_groups(a, api) : NULL, err);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_api_tools(tx, a, api, id, err);
}


static cp_rc_t
cp_api_record(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *api,
    cp_json_t **body, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_json_t   *up, *more, *m, *v;
    cp_names_t   names;
    const char  *name;

    cp_names_init(&names, tx, a, err);

    rc = cp_names_get(&names, &cp_res_tenant, cp_json_str(api, "tenant"),
                      &name);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_api_operations(tx, a, cp_json_str(api, "id"), &v, err);
    if (rc != CP_OK) {
        return rc;
    }

    up = cp_json_get(api, "upstream");
    *body = cp_body_make(a, cp_api_body, api);
    more = cp_body_make(a, cp_upstream_body, up);

    for (m = more->first; m; m = m->next) {
        cp_json_set(a, *body, m->key, cp_json_copy(a, m));
    }

    cp_json_set(a, *body, "tenant_name", cp_json_string(a, name));
    cp_json_set(a, *body, "targets", cp_api_targets(a, api));
    cp_json_set(a, *body, "operations", v);

    m = cp_json_get(up, "tls");
    cp_json_set(a, *body, "tls_verify",
                cp_json_bool(a, cp_json_num(m, "verify", 1) != 0));
    cp_json_set(a, *body, "tls_server_name",
                cp_json_copy(a, cp_json_get(m, "server_name")));

    m = cp_json_get(api, "discovery");
    name = cp_json_str(m, "era");
    cp_json_set(a, *body, "era", cp_json_string(a, name ? name : "unknown"));

    v = cp_json_get(m, "protocol_version");

    if (v && v->type == CP_JSON_STRING) {
        cp_json_set(a, *body, "protocol_version", cp_json_copy(a, v));
    }

    return CP_OK;
}


static bool
cp_api_served(const cp_json_t *api)
{
    const char  *state;

    state = cp_json_str(api, "state");

    return strcmp(state, "published") == 0
           || strcmp(state, "deprecated") == 0;
}


/* ",id,id,"; NULL: every gateway. */
static const char *
cp_api_groups(cp_arena_t *a, const cp_json_t *api)
{
    cp_json_t   *list, *m;
    const char  *groups;

    list = cp_json_get(api, "gateway_groups");
    groups = NULL;

    for (m = list ? list->first : NULL; m; m = m->next) {
        groups = cp_arena_printf(a, "%s%s,", groups ? groups : ",", m->s);
    }

    return groups;
}


static cp_json_t *
cp_api_targets(cp_arena_t *a, const cp_json_t *api)
{
    bool        mcp;
    cp_json_t  *out, *m;

    out = cp_json_array(a);
    mcp = strcmp(cp_json_str(api, "kind"), "mcp") == 0;

    for (m = cp_json_get(cp_json_get(api, "upstream"), "targets")->first; m;
         m = m->next)
    {
        cp_json_push(out, cp_api_target(a, cp_json_str(m, "url"),
                                        cp_json_num(m, "weight", 1), mcp));
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

    tls = strncmp(url, "https:", 6) == 0;
    s = url + (tls ? 8 : 7);
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
    cp_json_set(a, out, "tls", cp_json_bool(a, tls));
    cp_json_set(a, out, "host", cp_json_string(a, host));
    cp_json_set(a, out, "port", cp_json_int(a, port));
    cp_json_set(a, out, "path",
                cp_json_string(a, cp_arena_strndup(a, path, len)));
    cp_json_set(a, out, "weight", cp_json_int(a, weight));

    return out;
}


static cp_rc_t
cp_api_operations(cp_tx_t *tx, cp_arena_t *a, const char *id,
    cp_json_t **out, cp_err_t *err)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_json_t  *item;
    cp_rows_t   rows;

    rc = cp_tx_query(tx, a, "SELECT id, method, path, state FROM operations"
                     " WHERE api = $1 ORDER BY path, method",
                     cp_args(cp_text(id)), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    *out = cp_json_array(a);

    for (i = 0; i < rows.rows; i++) {
        item = cp_json_object(a);
        cp_json_set(a, item, "id", cp_json_string(a, cp_cell(&rows, i, 0)->p));
        cp_json_set(a, item, "method",
                    cp_json_string(a, cp_cell(&rows, i, 1)->p));
        cp_json_set(a, item, "path",
                    cp_json_string(a, cp_cell(&rows, i, 2)->p));
        cp_json_set(a, item, "enabled",
                    cp_json_bool(a, strcmp(cp_cell(&rows, i, 3)->p,
                                           "enabled") == 0));
        cp_json_push(*out, item);
    }

    return CP_OK;
}


/*
 * Tools come and go with their api.  One at a time, in an arena of its own:
 * a thousand definitions may be large.
 */
static cp_rc_t
cp_api_tools(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *api,
    const char *id, cp_err_t *err)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *tool;
    cp_arena_t  *one;

    if (api == NULL || strcmp(cp_json_str(api, "kind"), "mcp") != 0) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, a, "SELECT id FROM tools WHERE api = $1"
                     " ORDER BY name", cp_args(cp_text(id)), &rows, err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        one = cp_arena_create(CP_TOOL_ARENA);

        if (one == NULL) {
            return cp_err_set(err, "internal", "no memory");
        }

        rc = cp_row_load(tx, one, &cp_res_tool, cp_cell(&rows, i, 0)->p,
                         &tool, err);

        if (rc == CP_OK && tool) {
            rc = cp_tool_put(tx, one, tool, api, err);
        }

        cp_arena_destroy(one);
    }

    return rc;
}


static cp_rc_t
cp_tool_put(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *tool,
    const cp_json_t *api, cp_err_t *err)
{
    cp_json_t   *body;
    const char  *id;

    id = cp_json_str(tool, "id");
    body = NULL;

    if (api && cp_api_served(api)) {
        body = cp_json_object(a);
        cp_json_set(a, body, "id", cp_json_string(a, id));
        cp_json_set(a, body, "api",
                    cp_json_string(a, cp_json_str(tool, "api")));
        cp_json_set(a, body, "name",
                    cp_json_string(a, cp_json_str(tool, "name")));
        cp_json_set(a, body, "enabled",
                    cp_json_bool(a, strcmp(cp_json_str(tool, "state"),
                                           "enabled") == 0));
        cp_json_set(a, body, "definition",
                    cp_json_copy(a, cp_json_get(tool, "definition")));
    }

    return cp_body_put(tx, a, "tool", cp_arena_printf(a, "tool:%s", id), body,
                       api ? cp_api_groups(a, api) : NULL, err);
}


cp_rc_t
cp_feed_tool(cp_tx_t *tx, cp_arena_t *a, const char *id, cp_err_t *err)
{
    cp_rc_t     rc;
    cp_json_t  *tool, *api;

    rc = cp_row_load(tx, a, &cp_res_tool, id, &tool, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (tool == NULL) {
        return cp_body_put(tx, a, "tool", cp_arena_printf(a, "tool:%s", id),
                           NULL, NULL, err);
    }

    rc = cp_row_light(tx, a, &cp_res_api, cp_json_str(tool, "api"), &api,
                      err);

    return rc == CP_OK ? cp_tool_put(tx, a, tool, api, err) : rc;
}
