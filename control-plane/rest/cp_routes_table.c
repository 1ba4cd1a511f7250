/*
 * The rows.  Every event of a resource's transitions that a client may ask
 * for has one; t/cp_states.t walks both tables.
 */

#include "rest/cp_list.h"


#define CP_LIST(base, res, kind)                                              \
    { "GET", base, CP_AUTH_ADMIN, kind ":read", cp_resource_route_list, res,  \
      "List: " kind, CP_QUERY_OWN }
#define CP_EVERY(plural, res, kind)                                           \
    { "GET", "/v1/" plural, CP_AUTH_ADMIN, kind ":read",                      \
      cp_resource_route_list, res, "List, over all tenants: " kind,           \
      CP_QUERY_OWN }
#define CP_BULK(plural, res, kind)                                            \
    { "POST", "/v1/" plural "/bulk", CP_AUTH_ADMIN, kind ":write",            \
      cp_bulk_route, res, "One event for many: " kind, CP_QUERY_OWN }
#define CP_GET(base, res, kind)                                               \
    { "GET", base "/{" kind "}", CP_AUTH_ADMIN, kind ":read",                 \
      cp_resource_route_get, res, "Read: " kind, NULL }
#define CP_CREATE(base, res, kind)                                            \
    { "POST", base, CP_AUTH_ADMIN, kind ":write", cp_resource_route_create,   \
      res, "Create: " kind, "wait" }
#define CP_CHANGE(base, res, kind)                                            \
    { "PUT", base "/{" kind "}", CP_AUTH_ADMIN, kind ":write",                \
      cp_resource_route_update, res, "Replace: " kind, "wait" },              \
    { "PATCH", base "/{" kind "}", CP_AUTH_ADMIN, kind ":write",              \
      cp_resource_route_update, res, "Change: " kind, "wait" }
#define CP_DELETE(base, res, kind)                                            \
    { "DELETE", base "/{" kind "}", CP_AUTH_ADMIN, kind ":write",             \
      cp_resource_route_delete, res, "Delete: " kind, "force wait" }
#define CP_GIVEN(base, res, kind)                                             \
    CP_LIST(base, res, kind), CP_GET(base, res, kind),                        \
    CP_CREATE(base, res, kind), CP_DELETE(base, res, kind)
#define CP_EVENT(base, res, kind, event)                                      \
    { "POST", base "/{" kind "}/" event, CP_AUTH_ADMIN, kind ":write",        \
      cp_resource_route_event, res, "Event " event ": " kind, "wait" }
#define CP_DECIDE(base, res, kind, event)                                     \
    { "POST", base "/{" kind "}/" event, CP_AUTH_ADMIN, kind ":approve",      \
      cp_resource_route_event, res, "Event " event ": " kind, "wait" }
#define CP_ITEM(base, res, kind)                                              \
    { "GET", base, CP_AUTH_ADMIN, "tool:read", cp_resource_route_list, res,   \
      "List: " kind, CP_QUERY_OWN },                                          \
    { "GET", base "/{" kind "}", CP_AUTH_ADMIN, "tool:read",                  \
      cp_resource_route_get, res, "Read: " kind, NULL },                      \
    { "POST", base "/{" kind "}/disable", CP_AUTH_ADMIN, "tool:write",        \
      cp_resource_route_event, res, "Event disable: " kind, "wait" },         \
    { "POST", base "/{" kind "}/approve", CP_AUTH_ADMIN, "tool:write",        \
      cp_resource_route_event, res, "Event approve: " kind, "wait" },         \
    { "POST", base "/{" kind "}/enable", CP_AUTH_ADMIN, "tool:write",         \
      cp_resource_route_event, res, "Event enable: " kind, "wait" }
#define CP_VERSIONS(base, res, kind)                                          \
    { "GET", base "/{" kind "}/versions", CP_AUTH_ADMIN, kind ":read",        \
      cp_policy_versions, res, "Versions, the youngest first: " kind, NULL }, \
    { "GET", base "/{" kind "}/versions/{version}", CP_AUTH_ADMIN,            \
      kind ":read", cp_policy_version, res,                                   \
      "One version, and what restoring it would change: " kind, NULL },       \
    { "POST", base "/{" kind "}/versions/{version}/restore", CP_AUTH_ADMIN,   \
      kind ":write", cp_policy_restore, res,                                  \
      "Make it what it was: " kind, "wait" }
#define CP_ALL(base, res, kind)                                               \
    CP_LIST(base, res, kind), CP_GET(base, res, kind),                        \
    CP_CREATE(base, res, kind), CP_CHANGE(base, res, kind),                   \
    CP_DELETE(base, res, kind)

#define CP_DEPENDENTS(base, at, kind)                                         \
    { "GET", base "/{" kind "}/dependents", CP_AUTH_ADMIN, kind ":read",      \
      cp_dependents_get, &cp_dependents_of[at],                               \
      "What a deletion would meet: " kind, NULL }

#define TENANTS       "/v1/tenants"
#define GROUPS        "/v1/gateway-groups"
#define GATEWAYS      "/v1/gateways"
#define REMOVALS      "/v1/group-removals"
#define TOKENS        "/v1/admin-tokens"
#define USERS         "/v1/users"
#define INVITATIONS   "/v1/invitations"
#define APIS          TENANTS "/{tenant}/apis"
#define OPERATIONS    APIS "/{api}/operations"
#define PAGES         APIS "/{api}/pages"
#define PROMOTIONS    TENANTS "/{tenant}/promotions"
#define TOOLS         APIS "/{api}/tools"
#define PROMPTS       APIS "/{api}/prompts"
#define RESOURCES     APIS "/{api}/resources"
#define TEMPLATES     APIS "/{api}/templates"
#define SERVERS       TENANTS "/{tenant}/servers"
#define PLANS         TENANTS "/{tenant}/plans"
#define APPLICATIONS  TENANTS "/{tenant}/applications"
#define HANDOVERS     TENANTS "/{tenant}/handovers"
#define POLICIES      TENANTS "/{tenant}/policies"
#define SECRETS       TENANTS "/{tenant}/secrets"
#define ROLES         TENANTS "/{tenant}/roles"
#define BINDINGS      TENANTS "/{tenant}/role-bindings"
#define GLOBAL_BINDINGS  "/v1/role-bindings"
#define ISSUERS       TENANTS "/{tenant}/issuers"
#define GLOBAL_SECRETS  "/v1/secrets"
#define GLOBALS       "/v1/policies"
#define POLICY_TEMPLATES  TENANTS "/{tenant}/policy-templates"
#define GLOBAL_TEMPLATES  "/v1/policy-templates"
#define POLICY_SETS   TENANTS "/{tenant}/policy-sets"
#define BUNDLES       TENANTS "/{tenant}/bundles"
#define CREDENTIALS   APPLICATIONS "/{application}/credentials"
#define SUBSCRIPTIONS TENANTS "/{tenant}/subscriptions"
#define APPROVALS     TENANTS "/{tenant}/approvals"


/* A route's data that is not the kind itself: it is no list of it. */
static const cp_resource_t *const  cp_dependents_of[] = { &cp_res_tenant,
    &cp_res_gateway_group, &cp_res_api, &cp_res_operation, &cp_res_server,
    &cp_res_plan, &cp_res_application, &cp_res_secret };

const cp_route_t  cp_resource_routes[] = {
    { "GET", "/v1/whoami", CP_AUTH_ADMIN, "self:read", cp_auth_whoami, NULL,
      "Who the token is, and what it may do", NULL },
    { "GET", "/v1/roles", CP_AUTH_ADMIN, "self:read", cp_auth_roles, NULL,
      "Built-in roles, and the permissions that there are", NULL },

    CP_ALL(TENANTS, &cp_res_tenant, "tenant"),
    CP_EVENT(TENANTS, &cp_res_tenant, "tenant", "suspend"),
    CP_EVENT(TENANTS, &cp_res_tenant, "tenant", "resume"),
    CP_EVENT(TENANTS, &cp_res_tenant, "tenant", "archive"),
    CP_EVENT(TENANTS, &cp_res_tenant, "tenant", "retry"),

    CP_ALL(GROUPS, &cp_res_gateway_group, "gateway_group"),
    { "POST", GROUPS "/{gateway_group}/rotate", CP_AUTH_ADMIN,
      "gateway_group:write", cp_resource_route_rotate, &cp_res_gateway_group,
      "A new key to sign identities with: gateway_group", "wait" },

    CP_ALL(GATEWAYS, &cp_res_gateway, "gateway"),
    CP_LIST(REMOVALS, &cp_res_group_removal, "group_removal"),
    CP_GET(REMOVALS, &cp_res_group_removal, "group_removal"),
    CP_EVENT(REMOVALS, &cp_res_group_removal, "group_removal", "retry"),
    CP_DELETE(REMOVALS, &cp_res_group_removal, "group_removal"),

    CP_ALL(TOKENS, &cp_res_admin_token, "admin_token"),
    CP_EVENT(TOKENS, &cp_res_admin_token, "admin_token", "revoke"),

    CP_ALL(ROLES, &cp_res_role, "role"),
    CP_GIVEN(BINDINGS, &cp_res_role_binding, "role_binding"),
    CP_GIVEN(GLOBAL_BINDINGS, &cp_res_global_role_binding,
             "global_role_binding"),

    CP_LIST(USERS, &cp_res_user, "user"),
    CP_GET(USERS, &cp_res_user, "user"),
    CP_CHANGE(USERS, &cp_res_user, "user"),
    CP_DELETE(USERS, &cp_res_user, "user"),
    CP_EVENT(USERS, &cp_res_user, "user", "disable"),
    CP_EVENT(USERS, &cp_res_user, "user", "enable"),
    CP_EVENT(USERS, &cp_res_user, "user", "reset"),
    CP_LIST(INVITATIONS, &cp_res_invitation, "invitation"),
    CP_GET(INVITATIONS, &cp_res_invitation, "invitation"),
    CP_CREATE(INVITATIONS, &cp_res_invitation, "invitation"),
    CP_EVENT(INVITATIONS, &cp_res_invitation, "invitation", "revoke"),

    CP_ALL(APIS, &cp_res_api, "api"),
    CP_EVENT(APIS, &cp_res_api, "api", "publish"),
    CP_EVENT(APIS, &cp_res_api, "api", "deprecate"),
    CP_EVENT(APIS, &cp_res_api, "api", "retire"),

    CP_ALL(OPERATIONS, &cp_res_operation, "operation"),
    CP_EVENT(OPERATIONS, &cp_res_operation, "operation", "disable"),
    CP_EVENT(OPERATIONS, &cp_res_operation, "operation", "enable"),

    CP_DEPENDENTS(TENANTS, 0, "tenant"),
    CP_DEPENDENTS(GROUPS, 1, "gateway_group"),
    CP_DEPENDENTS(APIS, 2, "api"),
    CP_DEPENDENTS(OPERATIONS, 3, "operation"),
    CP_DEPENDENTS(SERVERS, 4, "server"),
    CP_DEPENDENTS(PLANS, 5, "plan"),
    CP_DEPENDENTS(APPLICATIONS, 6, "application"),
    CP_DEPENDENTS(SECRETS, 7, "secret"),

    CP_LIST(PROMOTIONS, &cp_res_promotion, "promotion"),
    CP_GET(PROMOTIONS, &cp_res_promotion, "promotion"),
    CP_CREATE(PROMOTIONS, &cp_res_promotion, "promotion"),
    { "POST", PROMOTIONS "/{promotion}/approve", CP_AUTH_ADMIN,
      "promotion:approve", cp_resource_route_event, &cp_res_promotion,
      "Event approve: promotion", "wait" },
    { "POST", PROMOTIONS "/{promotion}/reject", CP_AUTH_ADMIN,
      "promotion:approve", cp_resource_route_event, &cp_res_promotion,
      "Event reject: promotion", "wait" },
    { "POST", PROMOTIONS "/{promotion}/rollback", CP_AUTH_ADMIN,
      "promotion:approve", cp_resource_route_event, &cp_res_promotion,
      "Event rollback: promotion", "wait" },
    CP_EVENT(PROMOTIONS, &cp_res_promotion, "promotion", "withdraw"),
    CP_ALL(PAGES, &cp_res_page, "page"),
    { "GET", "/v1/catalogue", CP_AUTH_ADMIN, "api:read", cp_catalogue_get,
      NULL, "Look for apis and servers, one's own and what others show",
      "q kind tag category audience state tenant facets limit cursor" },

    CP_ITEM(TOOLS, &cp_res_tool, "tool"),
    CP_ITEM(PROMPTS, &cp_res_prompt, "prompt"),
    CP_ITEM(RESOURCES, &cp_res_resource, "resource"),
    CP_ITEM(TEMPLATES, &cp_res_template, "template"),

    CP_ALL(SERVERS, &cp_res_server, "server"),
    CP_EVENT(SERVERS, &cp_res_server, "server", "publish"),
    CP_EVENT(SERVERS, &cp_res_server, "server", "unpublish"),

    CP_ALL(PLANS, &cp_res_plan, "plan"),
    CP_EVENT(PLANS, &cp_res_plan, "plan", "deprecate"),
    CP_EVENT(PLANS, &cp_res_plan, "plan", "archive"),

    CP_ALL(APPLICATIONS, &cp_res_application, "application"),
    CP_EVENT(APPLICATIONS, &cp_res_application, "application", "suspend"),
    CP_EVENT(APPLICATIONS, &cp_res_application, "application", "resume"),

    CP_LIST(HANDOVERS, &cp_res_handover, "handover"),
    CP_GET(HANDOVERS, &cp_res_handover, "handover"),
    CP_CREATE(HANDOVERS, &cp_res_handover, "handover"),
    CP_EVENT(HANDOVERS, &cp_res_handover, "handover", "accept"),
    CP_EVENT(HANDOVERS, &cp_res_handover, "handover", "decline"),
    CP_EVENT(HANDOVERS, &cp_res_handover, "handover", "withdraw"),

    CP_ALL(CREDENTIALS, &cp_res_credential, "credential"),
    { "POST", CREDENTIALS "/import", CP_AUTH_ADMIN, "credential:write",
      cp_import_route, &cp_res_credential,
      "Take over keys that were made elsewhere, by their digests", "wait" },
    CP_EVENT(CREDENTIALS, &cp_res_credential, "credential", "rotate"),
    CP_EVENT(CREDENTIALS, &cp_res_credential, "credential", "revoke"),

    CP_ALL(SUBSCRIPTIONS, &cp_res_subscription, "subscription"),
    CP_DECIDE(SUBSCRIPTIONS, &cp_res_subscription, "subscription", "approve"),
    CP_DECIDE(SUBSCRIPTIONS, &cp_res_subscription, "subscription", "reject"),
    CP_EVENT(SUBSCRIPTIONS, &cp_res_subscription, "subscription", "suspend"),
    CP_EVENT(SUBSCRIPTIONS, &cp_res_subscription, "subscription", "resume"),
    CP_EVENT(SUBSCRIPTIONS, &cp_res_subscription, "subscription", "revoke"),

    CP_LIST(APPROVALS, &cp_res_approval, "approval"),
    CP_GET(APPROVALS, &cp_res_approval, "approval"),
    CP_EVENT(APPROVALS, &cp_res_approval, "approval", "approve"),
    CP_EVENT(APPROVALS, &cp_res_approval, "approval", "deny"),

    CP_EVERY("apis", &cp_res_api, "api"),
    CP_EVERY("servers", &cp_res_server, "server"),
    CP_EVERY("plans", &cp_res_plan, "plan"),
    CP_EVERY("applications", &cp_res_application, "application"),
    CP_EVERY("subscriptions", &cp_res_subscription, "subscription"),
    CP_EVERY("credentials", &cp_res_credential, "credential"),
    CP_EVERY("approvals", &cp_res_approval, "approval"),
    CP_BULK("subscriptions", &cp_res_subscription, "subscription"),
    CP_BULK("credentials", &cp_res_credential, "credential"),
    CP_BULK("approvals", &cp_res_approval, "approval"),
    CP_EVERY("tenant-policies", &cp_res_policy, "policy"),
    CP_EVERY("tenant-secrets", &cp_res_secret, "secret"),

    CP_ALL(SECRETS, &cp_res_secret, "secret"),
    CP_ALL(GLOBAL_SECRETS, &cp_res_global_secret, "global_secret"),

    CP_ALL(ISSUERS, &cp_res_issuer, "issuer"),
    CP_EVENT(ISSUERS, &cp_res_issuer, "issuer", "suspend"),
    CP_EVENT(ISSUERS, &cp_res_issuer, "issuer", "resume"),

    CP_ALL(POLICIES, &cp_res_policy, "policy"),
    CP_VERSIONS(POLICIES, &cp_res_policy, "policy"),
    { "GET", TENANTS "/{tenant}/effective-policies", CP_AUTH_ADMIN,
      "policy:read", cp_effective_route, NULL,
      "Which policies apply to a place, and where they come from",
      "gateway_group api operation server tool plan application" },
    { "POST", TENANTS "/{tenant}/effective-policies", CP_AUTH_ADMIN,
      "policy:write", cp_effective_try, NULL,
      "What would apply to a place if a policy were another; nothing is kept",
      "gateway_group api operation server tool plan application" },
    CP_ALL(GLOBALS, &cp_res_global_policy, "global_policy"),
    CP_VERSIONS(GLOBALS, &cp_res_global_policy, "global_policy"),
    CP_ALL(POLICY_TEMPLATES, &cp_res_policy_template, "policy_template"),
    CP_ALL(GLOBAL_TEMPLATES, &cp_res_global_policy_template,
           "global_policy_template"),
    CP_ALL(BUNDLES, &cp_res_bundle, "bundle"),
    CP_ALL(POLICY_SETS, &cp_res_policy_set, "policy_set"),
    { "POST", POLICY_SETS "/{policy_set}/preview", CP_AUTH_ADMIN,
      "policy_set:write", cp_policy_set_preview, NULL,
      "What a change of a policy_set would make of its policies; nothing is"
      " kept", NULL },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
