/*
 * Tools, prompts, resources and their templates of mcp apis, as discovery
 * finds them.  The name of a resource is its URI.
 */

#include "kinds/cp_kind.h"
#include "kinds/cp_tool_state.h"


static cp_rc_t cp_feed_item(cp_tx_t *tx, cp_arena_t *a,
    const cp_resource_t *res, const char *id, cp_err_t *err);
static cp_rc_t cp_follow_tool(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row);


#define OWN_digest                                                            \
    F("digest", CP_F_STRING, RO|ND, 0, 64, NULL, "of the definition")

static const cp_field_t  tool_fields[] = {
    ROWS(STOA_TOOL_FIELDS) BASE_TIMES, F_END
};

static const cp_field_t  prompt_fields[] = {
    ROWS(STOA_PROMPT_FIELDS) BASE_TIMES, F_END
};

static const cp_field_t  resource_fields[] = {
    ROWS(STOA_RESOURCE_FIELDS) BASE_TIMES, F_END
};

static const cp_field_t  template_fields[] = {
    ROWS(STOA_TEMPLATE_FIELDS) BASE_TIMES, F_END
};

static const cp_transition_t  tool_transitions[] = {
    { "disable", { "enabled", "quarantined" }, "disabled", "tool:write",
      NULL },
    { "approve", { "quarantined" }, "enabled", "tool:write", NULL },
    { "enable", { "disabled" }, "enabled", "tool:write", NULL },
    T_END
};

#define RES_ITEM(n, follows)                                                  \
    const cp_resource_t  cp_res_##n = {                                       \
        .kind = #n, .plural = #n "s", .table = #n "s", .parent = "api",       \
        .fields = n##_fields, .transitions = tool_transitions,                \
        .initial = "enabled", .check = cp_tool_check,                         \
        .event = cp_tool_event, .feed = cp_feed_item, .follow = follows       \
    };

RES_ITEM(tool, cp_follow_tool)
RES_ITEM(prompt, NULL)
RES_ITEM(resource, NULL)
RES_ITEM(template, NULL)


static cp_rc_t
cp_feed_item(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t        rc;
    cp_json_t     *item, *api;
    cp_feed_row_t  row = { .kind = res->kind };

    rc = cp_row_load(tx, a, res, id, &item, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (item == NULL) {
        row.key = cp_arena_printf(a, "%s:%s", res->kind, id);
        return cp_body_put(tx, a, row, NULL, err);
    }

    rc = cp_row_light(tx, a, &cp_res_api, cp_json_str(item, "api"), &api,
                      err);

    return rc == CP_OK ? cp_item_put(tx, a, res, item, api, err) : rc;
}


/* Servers and subscriptions that name the tool: it may have come or gone. */
static cp_rc_t
cp_follow_tool(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    const char  *api;

    api = cp_json_str(row, "api");

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM servers WHERE tenant = $1"
                     " AND tools LIKE $2 AND tools LIKE $3",
                     cp_args(cp_text(cp_json_str(row, "tenant")),
                             cp_text(cp_arena_printf(op->arena, "%%\"%s\"%%",
                                                     api)),
                             cp_text(cp_arena_printf(op->arena, "%%\"%s\"%%",
                                             cp_json_str(row, "name")))),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    for (i = 0; i < rows.rows; i++) {
        rc = cp_resource_touch(op, tx, &cp_res_server,
                               cp_cell(&rows, i, 0)->p);
        if (rc == CP_OK) {
            rc = cp_follow_subs(op, tx, "server", cp_cell(&rows, i, 0)->p);
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return cp_follow_subs(op, tx, "api", api);
}
