/*
 * What gateways get of apis and of what they show, which comes and goes with
 * them.
 */

#include <string.h>

#include "kinds/cp_kind.h"


static const cp_body_t  cp_item_body[] = {
    BODY_ROWS(STOA_TOOL_FIELDS, "") { NULL }
};


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
cp_item_put(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *item, const cp_json_t *api, cp_err_t *err)
{
    cp_rc_t        rc;
    cp_json_t     *body;
    const char    *id;
    cp_feed_row_t  row = { .kind = res->kind };

    id = cp_json_str(item, "id");

    rc = cp_body_make(tx, a, cp_item_body,
                      api && cp_api_served(api) ? item : NULL, &body, err);
    if (rc != CP_OK) {
        return rc;
    }

    row.key = cp_arena_printf(a, "%s:%s", res->kind, id);
    row.groups = api ? cp_api_groups(a, api) : NULL;

    return cp_body_put(tx, a, row, body, err);
}
