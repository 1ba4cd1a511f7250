/*
 * Tenants: who everything else belongs to.
 */

#include "kinds/cp_kind.h"


static const cp_body_t  cp_tenant_body[] = {
    BODY_ROWS(STOA_TENANT_FIELDS, "") { NULL }
};

static const cp_record_t  tenant_record = {
    "tenant", cp_tenant_body, STOA_SCOPE_TENANT, NULL
};

static const cp_field_t  tenant_fields[] = {
    ROWS(STOA_TENANT_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_transition_t  tenant_transitions[] = {
    { "suspend", { "active" }, "suspended", "tenant:write", NULL },
    { "resume", { "suspended" }, "active", "tenant:write", NULL },
    { "archive", { "active", "suspended" }, "archived", "tenant:write",
      NULL },
    T_END
};

static const cp_dependent_t  tenant_dependents[] = {
    { "global_policy", "attach", CP_DEP_REFUSE, true },
    { "policy", "tenant", CP_DEP_FORCE, false },
    { "issuer", "tenant", CP_DEP_FORCE, false },
    { "secret", "tenant", CP_DEP_FORCE, false },
    { "application", "tenant", CP_DEP_FORCE, false },
    { "server", "tenant", CP_DEP_FORCE, false },
    { "api", "tenant", CP_DEP_FORCE, false },
    { "plan", "tenant", CP_DEP_FORCE, false },
    { "admin_token", "tenant", CP_DEP_OWNED, false },
    { "role_binding", "tenant", CP_DEP_OWNED, false },
    { "role", "tenant", CP_DEP_OWNED, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_tenant = {
    .kind = "tenant", .doc_kind = "Tenant", .plural = "tenants",
    .table = "tenants", .fields = tenant_fields,
    .transitions = tenant_transitions, .initial = "active",
    .frozen = "archived", .owner = true, .authority = true,
    .feed = cp_feed_record, .record = &tenant_record,
    .dependents = tenant_dependents
};
