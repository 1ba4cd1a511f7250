/*
 * Gateway groups: which gateways get which apis.
 */

#include "kinds/cp_group_key.h"
#include "kinds/cp_kind.h"


static const cp_field_t  group_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE,
    BASE_TIMES,
    F_END
};

static const cp_dependent_t  gateway_group_dependents[] = {
    { "gateway", "group", CP_DEP_REFUSE, false },
    { "api", "gateway_groups", CP_DEP_REFUSE, true },
    { NULL, "DELETE FROM group_keys WHERE \"group\" = $1", CP_DEP_PLAIN,
      false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_gateway_group = {
    .kind = "gateway_group", .doc_kind = "GatewayGroup",
    .plural = "gateway-groups", .table = "gateway_groups",
    .fields = group_fields,
    .feed = cp_group_key_feed, .dependents = gateway_group_dependents
};
