/*
 * The tables: every resource with its fields, bounds, states and hooks.  A new
 * field is a row here and a column in a migration.
 *
 * Names in `tools` of servers and subscriptions are plain text, not
 * references: discovery may find the tool after the document that names it
 * was applied, and a tool that comes back is bound again.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "feed/cp_feed.h"
#include "kinds/cp_hold.h"
#include "resource/cp_tables.h"


#define RQ      CP_REQUIRED
#define IM      CP_IMMUTABLE
#define RO      CP_READONLY
#define FI      CP_FILTER
#define ND      CP_NO_DUMP

/* name, type, flags, min, max, default, values, sub, item, ref, scope, doc */

#define F(n, t, fl, mn, mx, df, d)                                            \
    { n, t, fl, mn, mx, df, NULL, NULL, 0, NULL, NULL, d }
#define F_ENUM(n, fl, df, vals, d)                                            \
    { n, CP_F_ENUM, fl, 0, 0, df, vals, NULL, 0, NULL, NULL, d }
#define F_OBJECT(n, fl, df, sub, d)                                           \
    { n, CP_F_OBJECT, fl, 0, 0, df, NULL, sub, 0, NULL, NULL, d }
#define F_OBJECTS(n, fl, mn, mx, sub, d)                                      \
    { n, CP_F_ARRAY, fl, mn, mx, NULL, NULL, sub, CP_F_OBJECT, NULL, NULL, d }
#define F_ARRAY(n, fl, mx, item, d)                                           \
    { n, CP_F_ARRAY, fl, 0, mx, NULL, NULL, NULL, item, NULL, NULL, d }
#define F_REF(n, fl, ref, scope, d)                                           \
    { n, CP_F_REF, fl, 0, 0, NULL, NULL, NULL, 0, ref, scope, d }
#define F_REFS(n, fl, mx, ref, d)                                             \
    { n, CP_F_ARRAY, fl, 0, mx, NULL, NULL, NULL, CP_F_REF, ref, NULL, d }
#define F_END                                                                 \
    { NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL }

#define T_END       { NULL, { NULL }, NULL, NULL, NULL }

#define BOOL(n, fl, df, d)     F(n, CP_F_BOOL, fl, 0, 0, df, d)
#define INT(n, fl, mn, mx, df, d)  F(n, CP_F_INT, fl, mn, mx, df, d)

#define DAY_MS       86400000LL
#define HOUR_MS      3600000LL
#define QUOTA_MAX    1000000000000000LL

#define BASE_ID                                                               \
    F("id", CP_F_STRING, RO|ND, 0, 0, NULL, "identifier")
#define BASE_NAME                                                             \
    F("name", CP_F_NAME, RQ|IM|FI, 0, 0, NULL,                                \
      "unique among its siblings: a-z, 0-9 and -, at most 63 characters")
#define BASE_TITLE                                                            \
    F("title", CP_F_STRING, 0, 0, 200, NULL, "for people")
#define BASE_STATE                                                            \
    F("state", CP_F_STRING, RO|ND|FI, 0, 0, NULL, "changed by events")
#define BASE_TENANT                                                           \
    F_REF("tenant", RO|ND, "tenant", NULL, "the owner")
#define BASE_TIMES                                                            \
    F("created_at", CP_F_TIME, RO|ND, 0, 0, NULL, "when it was made"),        \
    F("updated_at", CP_F_TIME, RO|ND|CP_MOVES, 0, 0, NULL,                    \
      "when it last changed")


static const char *const  audiences[] = { "internal", "public", "partner",
                                          NULL };
static const char *const  kinds[] = { "rest", "mcp", NULL };
static const char *const  balances[] = { "round_robin", "least_conn", NULL };
static const char *const  identities[] = { "none", "headers", "signed", NULL };
static const char *const  prefixes[] = { "always", "never", NULL };
static const char *const  approvals[] = { "auto", "manual", NULL };
static const char *const  limit_bys[] = { "subscription", "application",
                                          "credential", NULL };
static const char *const  roles[] = { "platform-admin", "tenant-admin",
                                      "viewer", NULL };


static const cp_field_t  tenant_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE,
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

const cp_resource_t  cp_res_tenant = {
    .kind = "tenant", .doc_kind = "Tenant", .plural = "tenants",
    .table = "tenants", .fields = tenant_fields,
    .transitions = tenant_transitions, .initial = "active",
    .feed = cp_feed_tenant
};


static const cp_field_t  group_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE,
    BASE_TIMES,
    F_END
};

const cp_resource_t  cp_res_gateway_group = {
    .kind = "gateway_group", .doc_kind = "GatewayGroup",
    .plural = "gateway-groups", .table = "gateway_groups",
    .fields = group_fields
};


static const cp_field_t  rejected_fields[] = {
    F("key", CP_F_STRING, RQ|RO, 0, 0, NULL, "of the record"),
    F("rev", CP_F_INT, RQ|RO, 0, 0, NULL, "which it could not take"),
    F("error", CP_F_STRING, RO, 0, 0, NULL, "why"),
    F_END
};

static const cp_field_t  gateway_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE,
    F("state", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "online, stale or offline: when it last reported"),
    F_REF("group", RQ|IM|FI, "gateway_group", NULL,
      "selects the apis that this gateway gets"),
    F("token", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "its bearer token, only in the answer that made it"),
    F("version", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL, "as reported"),
    F("rev", CP_F_INT, RO|ND|CP_DERIVED, 0, 0, NULL,
      "the revision it serves"),
    F("digest", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "the digest of what it serves"),
    F("last_seen", CP_F_TIME, RO|ND|CP_DERIVED, 0, 0, NULL,
      "its last report"),
    F("sync", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "in-sync, behind, drifted or never"),
    F_OBJECTS("rejected", RO|ND|CP_DERIVED, 0, CP_REJECTED_MAX,
      rejected_fields, "records that it could not take"),
    F("token_digest", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    F("assertion_key", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    BASE_TIMES,
    F_END
};

const cp_resource_t  cp_res_gateway = {
    .kind = "gateway", .plural = "gateways", .table = "gateways",
    .fields = gateway_fields, .check = cp_gateway_check,
    .shown = cp_gateway_decorate
};


static const cp_field_t  admin_token_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE,
    F_ENUM("role", RQ|IM|FI, NULL, roles, "what it may do"),
    F_REF("tenant", IM|FI, "tenant", NULL,
      "the only tenant it reaches; not for platform-admin"),
    F("expires_at", CP_F_TIME, 0, 0, 0, NULL, "refused from then on"),
    F("token", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "the token, only in the answer that made it"),
    F("token_digest", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  admin_token_transitions[] = {
    { "revoke", { "active" }, "revoked", "admin_token:write", NULL },
    T_END
};

const cp_resource_t  cp_res_admin_token = {
    .kind = "admin_token", .plural = "admin-tokens", .table = "admin_tokens",
    .fields = admin_token_fields, .transitions = admin_token_transitions,
    .initial = "active", .check = cp_admin_token_check
};


static const cp_field_t  target_fields[] = {
    F("url", CP_F_URL, RQ, 0, 1024, NULL,
      "http or https, host, port, path; for mcp the endpoint"),
    INT("weight", 0, 1, 1000, "1", "share of the requests"),
    F_END
};

static const cp_field_t  tls_fields[] = {
    BOOL("verify", 0, "true", "check the upstream's certificate"),
    F("server_name", CP_F_HOST, 0, 0, 0, NULL,
      "SNI and name to check; default: the target's host"),
    F_END
};

static const cp_field_t  upstream_fields[] = {
    F_OBJECTS("targets", RQ, 1, STOA_TARGETS_MAX, target_fields,
      "where requests go"),
    F_ENUM("balance", 0, "\"round_robin\"", balances,
      "how a target is chosen"),
    INT("connect_timeout_ms", 0, 1, HOUR_MS, "2000", "per try"),
    INT("read_timeout_ms", 0, 1, DAY_MS, "60000",
      "between two reads of the answer"),
    INT("retries", 0, 0, 31, "1", "further targets tried"),
    INT("max_fails", 0, 0, 1000, "1",
      "failures that put a target aside; 0: never"),
    INT("fail_timeout_ms", 0, 1, HOUR_MS, "10000",
      "the time of those failures, and of being set aside"),
    F("host_header", CP_F_HOST, 0, 1, 0, NULL,
      "sent as Host; default: the target's host"),
    F_OBJECT("tls", 0, "{}", tls_fields, "for https targets"),
    F_END
};

static const cp_field_t  api_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE, BASE_TENANT,
    F_ENUM("kind", RQ|IM|FI, NULL, kinds, "what it speaks"),
    F("version", CP_F_STRING, 0, 0, 64, NULL, "the publisher's"),
    F("description", CP_F_TEXT, 0, 0, 8000, NULL, "for people"),
    F_ENUM("audience", FI, "\"internal\"", audiences,
      "which tenants' applications may subscribe"),
    F_REFS("partners", 0, 1000, "tenant",
      "tenants that audience partner admits"),
    F("host", CP_F_HOST, FI, 0, 0, NULL, "own host name"),
    F("base_path", CP_F_BASE_PATH, FI, 0, 0, NULL, "own path"),
    BOOL("strip_base_path", 0, "true", "the upstream does not see it"),
    F_OBJECT("upstream", RQ, NULL, upstream_fields, "where requests go"),
    F("key_query", CP_F_TOOL_NAME, 0, 0, 64, NULL,
      "query parameter that may carry the key"),
    F_ARRAY("ip_allow", 0, STOA_CIDRS_MAX, CP_F_CIDR,
      "only from here; empty: from anywhere"),
    F_ARRAY("ip_deny", 0, STOA_CIDRS_MAX, CP_F_CIDR, "never from here"),
    INT("max_body_bytes", 0, 1, 1LL << 30, "1048576",
      "the largest request body"),
    F_ENUM("identity", 0, "\"none\"", identities,
      "what the upstream is told about the caller"),
    BOOL("operations_only", 0, "false",
      "refuse what no enabled operation describes"),
    F("sunset_at", CP_F_TIME, 0, 0, 0, NULL,
      "announced in Sunset when deprecated"),
    F_REFS("gateway_groups", 0, 100, "gateway_group",
      "gateways that get it; empty: all"),
    F("spec", CP_F_JSON, CP_WHOLE, 0, 1048576, NULL, "OpenAPI document"),
    F("discovery", CP_F_JSON, RO|ND|CP_MOVES, 0, 0, NULL,
      "what was found at the upstream, and when"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  api_transitions[] = {
    { "publish", { "draft", "deprecated" }, "published", "api:write", NULL },
    { "deprecate", { "published" }, "deprecated", "api:write", NULL },
    { "retire", { "published", "deprecated" }, "retired", "api:write", NULL },
    T_END
};

const cp_resource_t  cp_res_api = {
    .kind = "api", .doc_kind = "Api", .plural = "apis", .table = "apis",
    .parent = "tenant", .fields = api_fields,
    .transitions = api_transitions, .initial = "draft",
    .check = cp_api_check, .feed = cp_feed_api
};


static const cp_field_t  operation_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE, BASE_TENANT,
    F_REF("api", RO|ND, "api", NULL, "the api it belongs to"),
    F("method", CP_F_METHOD, RQ|FI, 0, 0, NULL,
      "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS"),
    F("path", CP_F_TEMPLATE, RQ|FI, 0, STOA_TEMPLATE_MAX, NULL,
      "below the base path: /orders/{id}"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  operation_transitions[] = {
    { "disable", { "enabled" }, "disabled", "operation:write", NULL },
    { "enable", { "disabled" }, "enabled", "operation:write", NULL },
    T_END
};

const cp_resource_t  cp_res_operation = {
    .kind = "operation", .plural = "operations", .table = "operations",
    .parent = "api", .fields = operation_fields,
    .transitions = operation_transitions, .initial = "enabled",
    .check = cp_operation_check, .follow = cp_follow_operation
};


static const cp_field_t  tool_fields[] = {
    BASE_ID,
    F("name", CP_F_TOOL_NAME, RQ|IM|FI, 0, STOA_TOOL_NAME_MAX, NULL,
      "as the upstream calls it"),
    BASE_TITLE, BASE_STATE, BASE_TENANT,
    F_REF("api", RO|ND, "api", NULL, "the api it belongs to"),
    F("definition", CP_F_JSON, RO|ND|CP_WHOLE, 0, STOA_RECORD_MAX / 2, NULL,
      "the upstream's own words"),
    F("digest", CP_F_STRING, RO|ND, 0, 64, NULL, "of the definition"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  tool_transitions[] = {
    { "disable", { "enabled" }, "disabled", "tool:write", NULL },
    { "enable", { "disabled" }, "enabled", "tool:write", NULL },
    T_END
};

const cp_resource_t  cp_res_tool = {
    .kind = "tool", .plural = "tools", .table = "tools", .parent = "api",
    .fields = tool_fields, .transitions = tool_transitions,
    .initial = "enabled", .feed = cp_feed_tool, .follow = cp_follow_tool
};


static const cp_field_t  server_tool_fields[] = {
    F_REF("api", RQ, "api", NULL, "an mcp api of the tenant"),
    F("tool", CP_F_TOOL_NAME, RQ, 0, STOA_TOOL_NAME_MAX, NULL,
      "the tool's name there"),
    F("alias", CP_F_TOOL_NAME, 0, 0, STOA_TOOL_NAME_MAX, NULL,
      "the name shown instead"),
    F_END
};

static const cp_field_t  server_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE, BASE_TENANT,
    F("instructions", CP_F_TEXT, 0, 0, 16384, NULL, "told to MCP clients"),
    F_ENUM("prefix", 0, "\"always\"", prefixes,
      "always: <api>__<tool>; never: <tool>"),
    F_OBJECTS("tools", 0, 0, STOA_SERVER_TOOLS_MAX, server_tool_fields,
      "what it bundles"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  server_transitions[] = {
    { "publish", { "draft" }, "published", "server:write", NULL },
    { "unpublish", { "published" }, "draft", "server:write", NULL },
    T_END
};

const cp_resource_t  cp_res_server = {
    .kind = "server", .doc_kind = "Server", .plural = "servers",
    .table = "servers", .parent = "tenant", .fields = server_fields,
    .transitions = server_transitions, .initial = "draft",
    .check = cp_server_check, .feed = cp_feed_server,
    .follow = cp_follow_server
};


static const cp_field_t  plan_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE, BASE_TENANT,
    INT("rate", 0, 0, 1000000000, "0", "requests per per_ms; 0: no limit"),
    INT("per_ms", 0, 1, DAY_MS, "1000", "the period of rate"),
    INT("burst", 0, 0, 1000000000, "0", "extra requests at once"),
    INT("quota_day", 0, 0, QUOTA_MAX, "0", "per UTC day; 0: no limit"),
    INT("quota_month", 0, 0, QUOTA_MAX, "0", "per UTC month; 0: no limit"),
    INT("concurrency", 0, 0, 1000000, "0", "requests at once; 0: no limit"),
    F_ENUM("approval", FI, "\"auto\"", approvals,
      "of new subscriptions"),
    F_ENUM("limit_by", 0, "\"subscription\"", limit_bys,
      "what shares one allowance"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  plan_transitions[] = {
    { "deprecate", { "active" }, "deprecated", "plan:write", NULL },
    { "archive", { "deprecated" }, "archived", "plan:write", NULL },
    T_END
};

const cp_resource_t  cp_res_plan = {
    .kind = "plan", .doc_kind = "Plan", .plural = "plans", .table = "plans",
    .parent = "tenant", .fields = plan_fields,
    .transitions = plan_transitions, .initial = "active",
    .check = cp_plan_check, .event = cp_plan_event, .feed = cp_feed_plan
};


static const cp_field_t  application_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE, BASE_TENANT,
    BASE_TIMES,
    F_END
};

static const cp_transition_t  application_transitions[] = {
    { "suspend", { "active" }, "suspended", "application:write", NULL },
    { "resume", { "suspended" }, "active", "application:write", NULL },
    T_END
};

const cp_resource_t  cp_res_application = {
    .kind = "application", .doc_kind = "Application",
    .plural = "applications", .table = "applications", .parent = "tenant",
    .fields = application_fields, .transitions = application_transitions,
    .initial = "active", .feed = cp_feed_application
};


static const cp_field_t  held_fields[] = {
    F("state", CP_F_STRING, RO, 0, 0, NULL,
      "suspended, revoked or rejected: until the publisher takes it back"),
    F("expires_at", CP_F_TIME, RO, 0, 0, NULL,
      "the end that the publisher set"),
    F_END
};

static const cp_field_t  subscription_fields[] = {
    BASE_ID, BASE_TITLE, BASE_STATE, BASE_TENANT,
    F_REF("application", RQ|IM|FI, "application", NULL, "the consumer"),
    F_REF("target_tenant", IM|FI, "tenant", NULL,
      "whose api or server; default: the own tenant"),
    F_REF("api", IM|FI, "api", "target_tenant", "either this"),
    F_REF("server", IM|FI, "server", "target_tenant", "or this"),
    F_REF("plan", RQ|FI, "plan", "target_tenant",
      "a plan of the target's tenant"),
    F_ARRAY("tools", 0, STOA_SERVER_TOOLS_MAX, CP_F_TOOL_NAME,
      "only these tools, by the names of the api or server; absent: all"),
    F("expires_at", CP_F_TIME, 0, 0, 0, NULL, "refused from then on"),
    F_OBJECT("held", RO|ND|CP_DERIVED|CP_MOVES, NULL, held_fields,
      "what another tenant's publisher decided about the application and its"
      " api or server: it holds for a new subscription too"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  subscription_transitions[] = {
    { "approve", { "pending" }, "active", "subscription:approve", NULL },
    { "reject", { "pending" }, "rejected", "subscription:approve", NULL },
    { "suspend", { "active" }, "suspended", "subscription:write", NULL },
    { "resume", { "suspended" }, "active", "subscription:write", NULL },
    { "revoke", { "pending", "active", "suspended" }, "revoked",
      "subscription:write", NULL },
    { "expire", { "active", "suspended" }, "expired", NULL, NULL },
    T_END
};

const cp_resource_t  cp_res_subscription = {
    .kind = "subscription", .doc_kind = "Subscription",
    .plural = "subscriptions", .table = "subscriptions", .parent = "tenant",
    .also = "target_tenant", .by_id = true, .fields = subscription_fields,
    .transitions = subscription_transitions, .initial = "pending",
    .check = cp_subscription_check, .event = cp_subscription_event,
    .shown = cp_hold_shown, .feed = cp_feed_subscription,
    .gone = cp_subscription_gone
};


static const cp_field_t  credential_fields[] = {
    BASE_ID, BASE_TITLE, BASE_STATE, BASE_TENANT,
    F_REF("application", RO|ND, "application", NULL, "whose key it is"),
    F("env", CP_F_ENV, IM|FI, 0, 0, "\"live\"", "second part of the key"),
    F("expires_at", CP_F_TIME, 0, 0, 0, NULL, "refused from then on"),
    F("prefix", CP_F_STRING, RO|ND, 0, 0, NULL, "how the key begins"),
    F("last4", CP_F_STRING, RO|ND, 0, 0, NULL,
      "how the key ends"),
    F("rotated_to", CP_F_STRING, RO|ND, 0, 0, NULL, "its successor"),
    F("key", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "the key, only in the answer that made it"),
    F("key_digest", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    F("key_alg", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    BASE_TIMES,
    F_END
};

static const cp_field_t  rotate_args[] = {
    INT("grace_s", 0, 0, CP_GRACE_MAX_S, "86400",
      "how long the old key still works"),
    F_END
};

static const cp_transition_t  credential_transitions[] = {
    { "rotate", { "active" }, "rotating", "credential:write", rotate_args },
    { "revoke", { "active", "rotating" }, "revoked", "credential:write",
      NULL },
    { "expire", { "active", "rotating" }, "expired", NULL, NULL },
    T_END
};

const cp_resource_t  cp_res_credential = {
    .kind = "credential", .plural = "credentials", .table = "credentials",
    .parent = "application", .by_id = true, .fields = credential_fields,
    .transitions = credential_transitions, .initial = "active",
    .check = cp_credential_check, .event = cp_credential_event,
    .feed = cp_feed_credential
};


/* In the order in which documents are applied: owners before what they own,
 * targets before what refers to them. */
static const cp_resource_t *const  cp_resources[] = {
    &cp_res_gateway_group,
    &cp_res_gateway,
    &cp_res_tenant,
    &cp_res_admin_token,
    &cp_res_plan,
    &cp_res_api,
    &cp_res_operation,
    &cp_res_tool,
    &cp_res_server,
    &cp_res_application,
    &cp_res_credential,
    &cp_res_subscription,
    NULL
};


const cp_resource_t *
cp_resource_find(const char *kind)
{
    unsigned  i;

    for (i = 0; cp_resources[i]; i++) {
        if (strcmp(cp_resources[i]->kind, kind) == 0) {
            return cp_resources[i];
        }
    }

    return NULL;
}


const cp_resource_t *
cp_resource_at(unsigned i)
{
    return i < sizeof(cp_resources) / sizeof(cp_resources[0]) - 1
           ? cp_resources[i] : NULL;
}
