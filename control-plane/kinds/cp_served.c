/*
 * What gateways get of apis and of their tools: tools come and go with their
 * api.
 */

#include <string.h>

#include "kinds/cp_kind.h"


bool
cp_api_served(const cp_json_t *api)
{
    const char  *state;

    state = cp_json_str(api, "state");

    return strcmp(state, "published") == 0
           || strcmp(state, "deprecated") == 0;
}


/* ",id,id,"; NULL: every gateway. */
const char *
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


cp_rc_t
cp_tool_put(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *tool,
    const cp_json_t *api, cp_err_t *err)
{
    cp_json_t     *body;
    const char    *id;
    cp_feed_row_t  row = { .kind = "tool" };

    id = cp_json_str(tool, "id");
    body = NULL;

    if (api && cp_api_served(api)) {
        body = cp_json_object(a);
        cp_json_put(a, body, "id", id);
        cp_json_put(a, body, "api", cp_json_str(tool, "api"));
        cp_json_put(a, body, "name", cp_json_str(tool, "name"));
        cp_json_put_bool(a, body, "enabled",
                         strcmp(cp_json_str(tool, "state"), "enabled") == 0);
        cp_json_set(a, body, "definition",
                    cp_json_copy(a, cp_json_get(tool, "definition")));
    }

    row.key = cp_arena_printf(a, "tool:%s", id);
    row.groups = api ? cp_api_groups(a, api) : NULL;

    return cp_body_put(tx, a, row, body, err);
}
