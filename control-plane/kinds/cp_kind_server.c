/*
 * Servers: tools, prompts and resources of several mcp apis, shown as one MCP
 * server.
 *
 * Names in `tools` are plain text, not references: discovery may find the
 * tool after the document that names it was applied, and a tool that comes
 * back is bound again.
 */

#include <stdlib.h>
#include <string.h>

#include "kinds/cp_kind.h"
#include "kinds/cp_search.h"


static cp_rc_t cp_server_tool_name(cp_names_t *names, const cp_json_t *server,
    const cp_json_t *item, const char **name);
static cp_rc_t cp_server_shown(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
    cp_err_t *err);
static cp_rc_t cp_server_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_server_apis_check(const cp_write_t *w,
    const cp_json_t *after, const char *member);
static cp_rc_t cp_server_lacks(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
    const char *kind, cp_json_t *list, cp_err_t *err);
static cp_rc_t cp_server_prompts(cp_names_t *names, const cp_json_t *server,
    cp_json_t *body);
static cp_rc_t cp_server_name_check(cp_op_t *op, const cp_json_t *server,
    const char *member, cp_names_t *names);
static cp_rc_t cp_server_tools(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *server, cp_json_t *body, cp_err_t *err);
static cp_rc_t cp_follow_server(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);
static cp_rc_t cp_feed_server(cp_tx_t *tx, cp_arena_t *a,
    const cp_resource_t *res, const char *id, cp_err_t *err);


static const cp_body_t  cp_server_body[] = {
    BODY_ROWS(STOA_SERVER_FIELDS, "") { NULL }
};

static const cp_record_t  server_record = {
    "server", cp_server_body, STOA_SCOPE_SERVER, cp_server_tools
};

static const cp_field_t  server_tool_fields[] = {
    F_REF("api", RQ, "api", NULL, "an mcp api of the tenant"),
    F("tool", CP_F_TOOL_NAME, RQ, 0, STOA_TOOL_NAME_MAX, NULL,
      "the tool's name there"),
    F("alias", CP_F_TOOL_NAME, 0, 0, STOA_TOOL_NAME_MAX, NULL,
      "the name shown instead"),
    F_END
};

static const cp_field_t  server_prompt_fields[] = {
    F_REF("api", RQ, "api", NULL, "an mcp api of the tenant"),
    F("prompt", CP_F_LABEL, RQ, 1, STOA_TOOL_NAME_MAX, NULL,
      "the prompt's name there"),
    F("alias", CP_F_LABEL, 0, 1, STOA_TOOL_NAME_MAX, NULL,
      "the name shown instead"),
    F_END
};

static const cp_field_t  server_resource_fields[] = {
    F_REF("api", RQ, "api", NULL, "an mcp api of the tenant"),
    F("uri", CP_F_LABEL, 0, 1, STOA_URI_MAX, NULL,
      "of a resource, or a template of URIs; absent: all of the api"),
    F_END
};

#define OWN_unresolved                                                        \
    F_ARRAY("unresolved", RO|ND|CP_DERIVED|CP_MOVES, STOA_SERVER_TOOLS_MAX,   \
      CP_F_STRING, "api/name of the tools and prompts not yet found")

static const cp_field_t  server_fields[] = {
    ROWS(STOA_SERVER_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_transition_t  server_transitions[] = {
    { "publish", { "draft" }, "published", "server:write", NULL },
    { "unpublish", { "published" }, "draft", "server:write", NULL },
    T_END
};

static const cp_dependent_t  server_dependents[] = {
    { "policy", "attach", CP_DEP_REFUSE, true },
    { "subscription", "server", CP_DEP_LIVE, false },
    { NULL, "DELETE FROM subscription_holds WHERE target = $1",
      CP_DEP_PLAIN, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_server = {
    .kind = "server", .doc_kind = "Server", .plural = "servers",
    .table = "servers", .parent = "tenant", .fields = server_fields,
    .transitions = server_transitions, .initial = "draft",
    .check = cp_server_check, .shown = cp_server_shown,
    .feed = cp_feed_server, .record = &server_record,
    .follow = cp_follow_server,
    .dependents = server_dependents
};


/* What is named is bound when it is there; until then nobody sees it, so that
 * it is said here. */
static cp_rc_t
cp_server_shown(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj, cp_err_t *err)
{
    cp_rc_t     rc;
    cp_json_t  *list;

    list = cp_json_array(a);

    rc = cp_server_lacks(tx, a, obj, "tool", list, err);

    if (rc == CP_OK) {
        rc = cp_server_lacks(tx, a, obj, "prompt", list, err);
    }

    if (rc == CP_OK && list->n) {
        cp_json_set(a, obj, "unresolved", list);
    }

    return rc;
}


static cp_rc_t
cp_server_lacks(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
    const char *kind, cp_json_t *list, cp_err_t *err)
{
    cp_rc_t           rc;
    unsigned          i;
    cp_rows_t         rows;
    const char       *api, *name;
    const cp_json_t  *item, *items;

    items = cp_json_get(obj, cp_arena_printf(a, "%ss", kind));

    if (items == NULL || items->first == NULL) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT p.name, t.name"
                     " FROM servers s JOIN apis p ON p.tenant = s.tenant"
                     " JOIN %ss t ON t.api = p.id WHERE s.id = $1",
                     kind), cp_args(cp_text(cp_json_str(obj, "id"))),
                     &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    for (item = items->first; item; item = item->next) {
        api = cp_json_str(item, "api");
        name = cp_json_str(item, kind);

        for (i = 0; i < rows.rows; i++) {
            if (strcmp(cp_cell(&rows, i, 1)->p, name) == 0
                && strcmp(cp_cell(&rows, i, 0)->p, api) == 0)
            {
                break;
            }
        }

        if (i == rows.rows) {
            cp_json_push(list, cp_json_string(a,
                                   cp_arena_printf(a, "%s/%s", api, name)));
        }
    }

    return CP_OK;
}


/* The api of each thing speaks mcp, and no two show the same name. */
static cp_rc_t
cp_server_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_names_t  names;

    static const char *const  members[] = { "tools", "prompts", "resources" };

    (void) before;

    rc = CP_OK;
    cp_names_init(&names, w->tx, w->op->arena, &w->op->err);

    for (i = 0; rc == CP_OK && i < 3; i++) {
        rc = cp_server_apis_check(w, after, members[i]);

        if (rc == CP_OK && i < 2) {
            rc = cp_server_name_check(w->op, after, members[i], &names);
        }
    }

    return rc;
}


static cp_rc_t
cp_server_apis_check(const cp_write_t *w, const cp_json_t *after,
    const char *member)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *item, *list;
    cp_rows_t    rows;
    const char  *api, *last;

    list = cp_json_get(after, member);
    last = "";

    for (item = list ? list->first : NULL, i = 0; item;
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
                                                "%s[%u].api", member, i),
                                "is not of kind mcp");
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_server_name_check(cp_op_t *op, const cp_json_t *server,
    const char *member, cp_names_t *names)
{
    cp_rc_t      rc;
    unsigned     i, slot;
    cp_json_t   *item, *tools;
    const char  *name, *seen[4 * STOA_SERVER_TOOLS_MAX];

    memset(seen, 0, sizeof(seen));
    tools = cp_json_get(server, member);

    for (item = tools ? tools->first : NULL, i = 0; item;
         item = item->next, i++)
    {
        rc = cp_server_tool_name(names, server, item, &name);
        if (rc != CP_OK) {
            return rc;
        }

        if (strcmp(member, "tools") == 0
            && !stoa_tool_name_valid(name, strlen(name)))
        {
            return cp_err_field(&op->err, -1, item->line,
                                cp_arena_printf(op->arena, "tools[%u]", i),
                                "its name with the prefix is longer than %d"
                                " characters: give it an alias",
                                STOA_TOOL_NAME_MAX);
        }

        if (cp_json_num(server, "search_tools", 0)
            && (strcmp(name, "search_tools") == 0
                || strcmp(name, "call_tool") == 0))
        {
            return cp_err_field(&op->err, -1, item->line,
                                cp_arena_printf(op->arena, "%s[%u]", member,
                                                i),
                                "is called as one of the two that find the "
                                "others: give it an alias");
        }

        slot = (unsigned) (stoa_hash64(name, strlen(name), 0)
                           % (4 * STOA_SERVER_TOOLS_MAX));

        while (seen[slot] && strcmp(seen[slot], name) != 0) {
            slot = (slot + 1) % (4 * STOA_SERVER_TOOLS_MAX);
        }

        if (seen[slot]) {
            return cp_err_field(&op->err, -1, item->line,
                                cp_arena_printf(op->arena, "%s[%u]", member,
                                                i),
                                "two %s would be called \"%s\"", member,
                                name);
        }

        seen[slot] = name;
    }

    return CP_OK;
}


static cp_rc_t
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
    *name = *name ? *name : cp_json_str(item, "prompt");

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


static cp_rc_t
cp_server_tools(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *server,
    cp_json_t *body, cp_err_t *err)
{
    cp_rc_t      rc;
    unsigned     i, n;
    cp_json_t   *tools, *item;
    cp_bound_t  *bound;
    cp_names_t   names;

    rc = cp_server_bound(tx, a, server, &bound, &n, err);
    if (rc != CP_OK) {
        return rc;
    }

    tools = cp_json_array(a);

    for (i = 0; i < n; i++) {
        item = cp_json_object(a);
        cp_json_put(a, item, "name", bound[i].name);
        cp_json_put(a, item, "tool", bound[i].tool);
        cp_json_put(a, item, "api", bound[i].api);
        cp_json_push(tools, item);
    }

    cp_json_set(a, body, "tools", tools);

    tools = cp_json_get(server, "resources");

    if (tools) {
        cp_json_set(a, body, "resources", cp_json_copy(a, tools));
    }

    cp_names_init(&names, tx, a, err);

    return cp_server_prompts(&names, server, body);
}


/* By their names, whether they are there or not. */
static cp_rc_t
cp_server_prompts(cp_names_t *names, const cp_json_t *server, cp_json_t *body)
{
    cp_rc_t      rc;
    cp_json_t   *list, *m, *item;
    const char  *name;
    cp_arena_t  *a = names->arena;

    list = cp_json_array(a);
    m = cp_json_get(server, "prompts");

    for (m = m ? m->first : NULL; m; m = m->next) {
        rc = cp_server_tool_name(names, server, m, &name);
        if (rc != CP_OK) {
            return rc;
        }

        item = cp_json_object(a);
        cp_json_put(a, item, "name", name);
        cp_json_put(a, item, "prompt", cp_json_str(m, "prompt"));
        cp_json_put(a, item, "api", cp_json_str(m, "api"));
        cp_json_push(list, item);
    }

    cp_json_set(a, body, "prompts", list);

    return CP_OK;
}


/*
 * The tools that a server names and that exist, sorted by the exposed name.
 */
cp_rc_t
cp_server_bound(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *server,
    cp_bound_t **bound, unsigned *n, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_json_t   *list, *m;
    cp_rows_t    rows;
    cp_names_t   names;

    list = cp_json_get(server, "tools");
    *n = 0;
    *bound = cp_arena_alloc(a, (list ? list->n + 1 : 1) * sizeof(cp_bound_t));

    if (*bound == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    cp_names_init(&names, tx, a, err);

    for (m = list ? list->first : NULL; m; m = m->next) {
        rc = cp_tx_query(tx, a, "SELECT id FROM tools WHERE api = $1"
                         " AND name = $2",
                         cp_args(cp_text(cp_json_str(m, "api")),
                                 cp_text(cp_json_str(m, "tool"))),
                         &rows, err);
        if (rc != CP_OK) {
            return rc;
        }

        if (rows.rows == 0) {
            continue;
        }

        rc = cp_server_tool_name(&names, server, m, &(*bound)[*n].name);
        if (rc != CP_OK) {
            return rc;
        }

        (*bound)[*n].tool = cp_cell(&rows, 0, 0)->p;
        (*bound)[*n].api = cp_json_str(m, "api");
        (*n)++;
    }

    qsort(*bound, *n, sizeof(cp_bound_t), cp_bound_cmp);

    return CP_OK;
}


int
cp_bound_cmp(const void *one, const void *two)
{
    const cp_bound_t  *a = one, *b = two;

    return strcmp(a->name, b->name);
}


static cp_rc_t
cp_feed_server(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t  rc;

    rc = cp_feed_record(tx, a, res, id, err);

    return rc == CP_OK ? cp_search_put(tx, a, res, id, err) : rc;
}


static cp_rc_t
cp_follow_server(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    return cp_follow_subs(op, tx, "server", cp_json_str(row, "id"));
}
