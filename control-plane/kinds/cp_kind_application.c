/*
 * Applications: who calls.
 */

#include "kinds/cp_kind.h"


static const cp_body_t  cp_application_body[] = {
    BODY_ROWS(STOA_APPLICATION_FIELDS, "") { NULL }
};

static const cp_record_t  application_record = {
    "app", cp_application_body, STOA_SCOPE_APPLICATION, NULL
};

static const cp_field_t  application_fields[] = {
    ROWS(STOA_APPLICATION_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_transition_t  application_transitions[] = {
    { "suspend", { "active" }, "suspended", "application:write", NULL },
    { "resume", { "suspended" }, "active", "application:write", NULL },
    T_END
};

static const cp_dependent_t  application_dependents[] = {
    { "policy", "attach", CP_DEP_REFUSE, true },
    { "issuer", "clients", CP_DEP_REFUSE, true },
    { "issuer", "application", CP_DEP_REFUSE, false },
    { "subscription", "application", CP_DEP_LIVE, false },
    { "credential", "application", CP_DEP_OWNED, false },
    { NULL, "DELETE FROM subscription_holds WHERE application = $1",
      CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM approvals WHERE application = $1",
      CP_DEP_PLAIN, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_application = {
    .kind = "application", .doc_kind = "Application",
    .plural = "applications", .table = "applications", .parent = "tenant",
    .fields = application_fields, .transitions = application_transitions,
    .initial = "active",
    .feed = cp_feed_record, .record = &application_record,
    .dependents = application_dependents
};
