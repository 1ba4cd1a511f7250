/*
 * Gateway groups: which gateways get which apis.
 */

#include "kinds/cp_group_key.h"
#include "kinds/cp_kind.h"


static cp_rc_t cp_feed_group(cp_tx_t *tx, cp_arena_t *a,
    const cp_resource_t *res, const char *id, cp_err_t *err);


static const cp_body_t  cp_group_body[] = {
    BODY_ROWS(STOA_GROUP_FIELDS, "") { NULL }
};

static const cp_field_t  group_fields[] = {
    ROWS(STOA_GROUP_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_dependent_t  gateway_group_dependents[] = {
    { "gateway", "group", CP_DEP_REFUSE, false },
    { "api", "gateway_groups", CP_DEP_REFUSE, true },
    { "tenant", "gateway_groups", CP_DEP_REFUSE, true },
    { NULL, "DELETE FROM group_keys WHERE \"group\" = $1", CP_DEP_PLAIN,
      false },
    { NULL, "DELETE FROM promotions WHERE \"to\" = $1", CP_DEP_PLAIN, false },
    { "global_policy", "attach", CP_DEP_REFUSE, true },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_gateway_group = {
    .kind = "gateway_group", .doc_kind = "GatewayGroup",
    .plural = "gateway-groups", .table = "gateway_groups",
    .fields = group_fields, .feed = cp_feed_group,
    .dependents = gateway_group_dependents
};


/* Its keys; its policies, if there are any: only to its own gateways. */
static cp_rc_t
cp_feed_group(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t        rc;
    cp_json_t     *group, *body;
    cp_place_of_t  at = { .group = id };
    cp_feed_row_t  row = { .kind = "group" };

    row.key = cp_arena_printf(a, "group:%s", id);
    row.groups = cp_arena_printf(a, ",%s,", id);

    rc = cp_group_key_feed(tx, a, id, err);

    if (rc == CP_OK) {
        rc = cp_row_light(tx, a, res, id, &group, err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_body_make(tx, a, cp_group_body, group, &body, err);

    if (rc == CP_OK && body) {
        rc = cp_policy_body(tx, a, &at, body, err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    return cp_body_put(tx, a, row, cp_json_get(body, "policies") ? body : NULL,
                       err);
}
