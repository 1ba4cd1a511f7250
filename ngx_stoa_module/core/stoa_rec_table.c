/*
 * Bodies of records, row by row; see ARCHITECTURE.md 4.
 */

#include <string.h>

#include "stoa_key.h"
#include "stoa_rec_table.h"
#include "stoa_policy.h"


#define TIME_MAX      INT64_C(253402300799999)      /* the year 9999      */

#define nelts(a)      stoa_rec_nfields(a)

/* The start of each row: a member's name is the same in body and struct. */
#define ROW(t, s, m)                                                          \
    .name = { #m, sizeof(#m) - 1 }, .type = STOA_REC_T_##t,                   \
    .offset = offsetof(s, m)

#define ID(s, m)                                                              \
    { ROW(ID, s, m), .required = true }
#define SLUG(s, m)                                                            \
    { ROW(STRING, s, m), .required = true, .min = 1, .max = STOA_NAME_MAX,    \
      .valid = stoa_name_valid, .must = "must be a name: a-z, 0-9 and -" }
#define ENUM(s, m, w, d)   { ROW(ENUM, s, m), .words = w, .def = d }
#define ENUM_R(s, m, w)    { ROW(ENUM, s, m), .words = w, .required = true }
#define BOOL(s, m, d)      { ROW(BOOL, s, m), .def = d }
#define NUM(t, s, m, lo, hi, d)                                               \
    { ROW(t, s, m), .min = lo, .max = hi, .def = d }
#define TEXT(s, m, hi)     { ROW(STRING, s, m), .max = hi }
#define WORD(s, m, hi, v, t)                                                  \
    { ROW(STRING, s, m), .max = hi, .valid = v, .must = t }
#define WORD_R(s, m, hi, v, t)                                                \
    { ROW(STRING, s, m), .required = true, .min = 1, .max = hi, .valid = v,   \
      .must = t }
#define CIDRS(s, m)        { ROW(CIDRS, s, m), .max = STOA_CIDRS_MAX }
#define POLICIES(s)                                                           \
    { ROW(POLICIES, s, policies), .max = STOA_POLICIES_MAX,                   \
      .items = &policy_struct }

/* Rows of stoa_schema.h. */

#define ROW_N(S, t, n, lo, hi, d, text)  NUM(t, S, n, lo, hi, d),
#define ROW_B(S, n, d, text)             BOOL(S, n, d),
#define ROW_E(S, n, fl, v, w, text)      ENUM(S, n, n##_words, v),
#define ROW_WORD(w, v)                   { w, v },

#define ROWS(FIELDS, S)  FIELDS(ROW_N, ROW_B, ROW_E, S)

#define MUST_HOST     "must be a host name"


static bool stoa_rec_name_valid(const char *s, size_t len);
static bool stoa_rec_host_valid(const char *s, size_t len);
static bool stoa_rec_target_host_valid(const char *s, size_t len);
static bool stoa_rec_host_header_valid(const char *s, size_t len);
static bool stoa_rec_target_path_valid(const char *s, size_t len);
static bool stoa_rec_method_valid(const char *s, size_t len);
static bool stoa_rec_word_valid(const char *s, size_t len);


static const stoa_rec_word_t  tenant_states[] = {
    { "active", STOA_STATE_ACTIVE }, { "suspended", STOA_STATE_SUSPENDED },
    { "archived", STOA_STATE_ARCHIVED }, { NULL, 0 }
};

static const stoa_rec_word_t  application_states[] = {
    { "active", STOA_STATE_ACTIVE }, { "suspended", STOA_STATE_SUSPENDED },
    { NULL, 0 }
};

static const stoa_rec_word_t  credential_states[] = {
    { "active", STOA_STATE_ACTIVE }, { "rotating", STOA_STATE_ROTATING },
    { "revoked", STOA_STATE_REVOKED }, { "expired", STOA_STATE_EXPIRED },
    { NULL, 0 }
};

static const stoa_rec_word_t  plan_states[] = {
    { "active", STOA_STATE_ACTIVE }, { "deprecated", STOA_STATE_DEPRECATED },
    { NULL, 0 }
};

static const stoa_rec_word_t  subscription_states[] = {
    { "active", STOA_STATE_ACTIVE }, { "pending", STOA_STATE_PENDING },
    { "suspended", STOA_STATE_SUSPENDED }, { "revoked", STOA_STATE_REVOKED },
    { "expired", STOA_STATE_EXPIRED }, { NULL, 0 }
};

static const stoa_rec_word_t  api_states[] = {
    { "published", STOA_STATE_PUBLISHED },
    { "deprecated", STOA_STATE_DEPRECATED }, { NULL, 0 }
};

static const stoa_rec_word_t  server_states[] = {
    { "published", STOA_STATE_PUBLISHED }, { NULL, 0 }
};

static const stoa_rec_word_t  digests[] = {
    { "sha256", STOA_DIGEST_SHA256 }, { "hmac", STOA_DIGEST_HMAC },
    { NULL, 0 }
};

static const stoa_rec_word_t  limit_by_words[] = {
    STOA_LIMIT_BYS(ROW_WORD) { NULL, 0 }
};

static const stoa_rec_word_t  target_kinds[] = {
    { "api", STOA_TARGET_API }, { "server", STOA_TARGET_SERVER }, { NULL, 0 }
};

static const stoa_rec_word_t  api_kinds[] = {
    { "rest", STOA_API_REST }, { "mcp", STOA_API_MCP }, { NULL, 0 }
};

static const stoa_rec_word_t  audience_words[] = {
    STOA_AUDIENCES(ROW_WORD) { NULL, 0 }
};

static const stoa_rec_word_t  balance_words[] = {
    STOA_BALANCES(ROW_WORD) { NULL, 0 }
};

static const stoa_rec_word_t  identity_words[] = {
    STOA_IDENTITIES(ROW_WORD) { NULL, 0 }
};

static const stoa_rec_word_t  eras[] = {
    { "unknown", STOA_ERA_UNKNOWN }, { "legacy", STOA_ERA_LEGACY },
    { "modern", STOA_ERA_MODERN }, { "dual", STOA_ERA_DUAL }, { NULL, 0 }
};

static const stoa_rec_word_t  prefix_words[] = {
    STOA_PREFIXES(ROW_WORD) { NULL, 0 }
};


/* By stoa_scope_e and stoa_policy_state_e. */

static const stoa_rec_word_t  scopes[] = {
    { "gateway_group", STOA_SCOPE_GROUP }, { "tenant", STOA_SCOPE_TENANT },
    { "server", STOA_SCOPE_SERVER }, { "api", STOA_SCOPE_API },
    { "operation", STOA_SCOPE_OPERATION }, { "tool", STOA_SCOPE_TOOL },
    { "plan", STOA_SCOPE_PLAN },
    { "application", STOA_SCOPE_APPLICATION }, { NULL, 0 }
};

static const stoa_rec_word_t  policy_states[] = {
    { "enabled", STOA_POLICY_ENABLED }, { "shadow", STOA_POLICY_SHADOW },
    { "disabled", STOA_POLICY_DISABLED }, { NULL, 0 }
};


/* The configuration is laid out by its type, which comes before it. */

static const stoa_rec_field_t  policy_fields[] = {
    SLUG(stoa_rec_policy_t, name),
    { ROW(POLICY, stoa_rec_policy_t, type), .required = true },
    ENUM_R(stoa_rec_policy_t, scope, scopes),
    ENUM_R(stoa_rec_policy_t, state, policy_states),
    { ROW(ID, stoa_rec_policy_t, operation) },
    WORD(stoa_rec_policy_t, tool, STOA_TOOL_NAME_MAX, stoa_tool_name_valid,
         "must be a tool's name"),
    { ROW(CONFIG, stoa_rec_policy_t, config), .required = true },
};

static const stoa_rec_struct_t  policy_struct = {
    .size = sizeof(stoa_rec_policy_t), .strict = true,
    .fields = policy_fields, .nfields = nelts(policy_fields)
};


static const stoa_rec_field_t  group_fields[] = {
    ID(stoa_rec_group_t, id),
    SLUG(stoa_rec_group_t, name),
    POLICIES(stoa_rec_group_t),
};

static const stoa_rec_field_t  groupkey_fields[] = {
    ID(stoa_rec_groupkey_t, id),
    NUM(I64, stoa_rec_groupkey_t, signs_ms, 0, TIME_MAX, 0),
    { ROW(HEX32, stoa_rec_groupkey_t, private), .required = true },
};

static const stoa_rec_field_t  tenant_fields[] = {
    ID(stoa_rec_tenant_t, id),
    SLUG(stoa_rec_tenant_t, name),
    ENUM_R(stoa_rec_tenant_t, state, tenant_states),
    POLICIES(stoa_rec_tenant_t),
};

static const stoa_rec_field_t  application_fields[] = {
    ID(stoa_rec_application_t, id),
    ID(stoa_rec_application_t, tenant),
    SLUG(stoa_rec_application_t, name),
    ENUM_R(stoa_rec_application_t, state, application_states),
    POLICIES(stoa_rec_application_t),
};

static const stoa_rec_field_t  credential_fields[] = {
    ID(stoa_rec_credential_t, id),
    ID(stoa_rec_credential_t, tenant),
    ID(stoa_rec_credential_t, application),
    { ROW(HEX32, stoa_rec_credential_t, digest), .required = true },
    ENUM_R(stoa_rec_credential_t, alg, digests),
    ENUM_R(stoa_rec_credential_t, state, credential_states),
    NUM(I64, stoa_rec_credential_t, expires_ms, 0, TIME_MAX, 0),
};

static const stoa_rec_field_t  plan_fields[] = {
    ID(stoa_rec_plan_t, id),
    ID(stoa_rec_plan_t, tenant),
    SLUG(stoa_rec_plan_t, name),
    ENUM_R(stoa_rec_plan_t, state, plan_states),
    ROWS(STOA_PLAN_FIELDS, stoa_rec_plan_t)
    POLICIES(stoa_rec_plan_t),
};

static const stoa_rec_field_t  subscription_fields[] = {
    ID(stoa_rec_subscription_t, id),
    ID(stoa_rec_subscription_t, tenant),
    ID(stoa_rec_subscription_t, application),
    ID(stoa_rec_subscription_t, target),
    ENUM_R(stoa_rec_subscription_t, target_kind, target_kinds),
    ID(stoa_rec_subscription_t, plan),
    ENUM_R(stoa_rec_subscription_t, state, subscription_states),
    NUM(I64, stoa_rec_subscription_t, expires_ms, 0, TIME_MAX, 0),
    { ROW(IDS, stoa_rec_subscription_t, tools), .max = STOA_SERVER_TOOLS_MAX,
      .flag = offsetof(stoa_rec_subscription_t, has_tools) },
};

static const stoa_rec_field_t  target_fields[] = {
    BOOL(stoa_rec_api_target_t, tls, false),
    WORD_R(stoa_rec_api_target_t, host, STOA_HOST_MAX,
           stoa_rec_target_host_valid, "must be a host name or an address"),
    { ROW(U16, stoa_rec_api_target_t, port), .required = true, .min = 1,
      .max = 65535 },
    WORD(stoa_rec_api_target_t, path, STOA_TARGET_PATH_MAX,
         stoa_rec_target_path_valid, "must be a path of a URL"),
    ROWS(STOA_TARGET_FIELDS, stoa_rec_api_target_t)
};

static const stoa_rec_struct_t  target_struct = {
    .size = sizeof(stoa_rec_api_target_t),
    .fields = target_fields, .nfields = nelts(target_fields)
};

static const stoa_rec_field_t  operation_fields[] = {
    ID(stoa_rec_operation_t, id),
    WORD_R(stoa_rec_operation_t, method, 32, stoa_rec_method_valid,
           "must be a method in upper case"),
    WORD_R(stoa_rec_operation_t, path, STOA_TEMPLATE_MAX,
           stoa_path_template_valid, "must be a path like /orders/{id}"),
    BOOL(stoa_rec_operation_t, enabled, true),
};

static const stoa_rec_struct_t  operation_struct = {
    .size = sizeof(stoa_rec_operation_t),
    .fields = operation_fields, .nfields = nelts(operation_fields)
};

static const stoa_rec_field_t  api_fields[] = {
    ID(stoa_rec_api_t, id),
    ID(stoa_rec_api_t, tenant),
    SLUG(stoa_rec_api_t, tenant_name),
    SLUG(stoa_rec_api_t, name),
    TEXT(stoa_rec_api_t, title, STOA_TITLE_MAX),
    TEXT(stoa_rec_api_t, version, 64),
    ENUM_R(stoa_rec_api_t, kind, api_kinds),
    ENUM_R(stoa_rec_api_t, state, api_states),
    { ROW(IDS, stoa_rec_api_t, partners), .max = STOA_PARTNERS_MAX },
    { ROW(STRING, stoa_rec_api_t, host), .max = STOA_HOST_MAX, .lower = true,
      .valid = stoa_rec_host_valid, .must = MUST_HOST },
    WORD(stoa_rec_api_t, base_path, STOA_BASE_PATH_MAX, stoa_path_base_valid,
         "must be \"/\" and at most 8 plain segments, no slash at the end"),
    { ROW(STRUCTS, stoa_rec_api_t, targets), .required = true, .min = 1,
      .max = STOA_TARGETS_MAX, .items = &target_struct },
    ROWS(STOA_API_FIELDS, stoa_rec_api_t)
    ROWS(STOA_UPSTREAM_FIELDS, stoa_rec_api_t)
    WORD(stoa_rec_api_t, host_header, STOA_HOST_MAX + 6,
         stoa_rec_host_header_valid, "must be a host, with or without a port"),
    BOOL(stoa_rec_api_t, tls_verify, true),
    WORD(stoa_rec_api_t, tls_server_name, STOA_HOST_MAX, stoa_rec_host_valid,
         MUST_HOST),
    WORD(stoa_rec_api_t, key_query, 64, stoa_rec_word_valid,
         "must be A-Z, a-z, 0-9, _, -, . or ~"),
    CIDRS(stoa_rec_api_t, ip_allow),
    CIDRS(stoa_rec_api_t, ip_deny),
    NUM(I64, stoa_rec_api_t, deprecated_ms, 0, TIME_MAX, 0),
    NUM(I64, stoa_rec_api_t, sunset_ms, 0, TIME_MAX, 0),
    ENUM(stoa_rec_api_t, era, eras, STOA_ERA_UNKNOWN),
    WORD(stoa_rec_api_t, protocol_version, 32, stoa_rec_word_valid,
         "must be a protocol version"),
    { ROW(STRUCTS, stoa_rec_api_t, operations), .max = STOA_OPERATIONS_MAX,
      .items = &operation_struct },
    POLICIES(stoa_rec_api_t),
};

static const stoa_rec_field_t  tool_fields[] = {
    ID(stoa_rec_tool_t, id),
    ID(stoa_rec_tool_t, api),
    WORD_R(stoa_rec_tool_t, name, STOA_TOOL_NAME_MAX, stoa_tool_name_valid,
           "must be a tool's name: A-Z, a-z, 0-9, _, - and ."),
    BOOL(stoa_rec_tool_t, enabled, true),
    { ROW(OBJECT, stoa_rec_tool_t, definition), .required = true,
      .max = STOA_RECORD_MAX },
};

static const stoa_rec_field_t  server_tool_fields[] = {
    WORD_R(stoa_rec_server_tool_t, name, STOA_TOOL_NAME_MAX,
           stoa_tool_name_valid,
           "must be a tool's name: A-Z, a-z, 0-9, _, - and ."),
    ID(stoa_rec_server_tool_t, tool),
    ID(stoa_rec_server_tool_t, api),
};

static const stoa_rec_struct_t  server_tool_struct = {
    .size = sizeof(stoa_rec_server_tool_t),
    .fields = server_tool_fields, .nfields = nelts(server_tool_fields),
    .sorted = true, .sort = offsetof(stoa_rec_server_tool_t, name)
};

static const stoa_rec_field_t  server_fields[] = {
    ID(stoa_rec_server_t, id),
    ID(stoa_rec_server_t, tenant),
    SLUG(stoa_rec_server_t, tenant_name),
    SLUG(stoa_rec_server_t, name),
    TEXT(stoa_rec_server_t, title, STOA_TITLE_MAX),
    TEXT(stoa_rec_server_t, instructions, STOA_INSTRUCTIONS_MAX),
    ENUM_R(stoa_rec_server_t, state, server_states),
    ROWS(STOA_SERVER_FIELDS, stoa_rec_server_t)
    { ROW(STRUCTS, stoa_rec_server_t, tools), .max = STOA_SERVER_TOOLS_MAX,
      .items = &server_tool_struct },
    POLICIES(stoa_rec_server_t),
};


#define KIND(n)                                                               \
    { .name = #n, .size = sizeof(stoa_rec_##n##_t), .fields = n##_fields,     \
      .nfields = nelts(n##_fields) }

const stoa_rec_struct_t  stoa_rec_structs[STOA_REC_KIND_MAX] = {
    [STOA_REC_TENANT] = KIND(tenant),
    [STOA_REC_APPLICATION] = KIND(application),
    [STOA_REC_CREDENTIAL] = KIND(credential),
    [STOA_REC_PLAN] = KIND(plan),
    [STOA_REC_SUBSCRIPTION] = KIND(subscription),
    [STOA_REC_API] = KIND(api),
    [STOA_REC_TOOL] = KIND(tool),
    [STOA_REC_SERVER] = KIND(server),
    [STOA_REC_GROUP] = KIND(group),
    [STOA_REC_GROUPKEY] = KIND(groupkey),
};


/* Labels of letters, digits, "-" and "_", separated by dots. */

static bool
stoa_rec_name_valid(const char *s, size_t len)
{
    char    c;
    size_t  i, label;

    label = 0;

    for (i = 0; i < len; i++) {
        c = s[i];

        if (c == '.') {
            if (label == 0) {
                return false;
            }

            label = 0;
            continue;
        }

        if (!stoa_tool_name_valid(&c, 1) || ++label > 63) {
            return false;
        }
    }

    return label > 0;
}


/* As in a URL: a name, an IPv4 address, or an IPv6 address in brackets. */

static bool
stoa_rec_host_valid(const char *s, size_t len)
{
    stoa_cidr_t  addr;

    if (len < 3 || s[0] != '[' || s[len - 1] != ']') {
        return stoa_rec_name_valid(s, len);
    }

    return memchr(s, '/', len) == NULL && memchr(s, ':', len) != NULL
           && stoa_cidr_parse(s + 1, len - 2, &addr) == STOA_OK;
}


/* The same without brackets. */

static bool
stoa_rec_target_host_valid(const char *s, size_t len)
{
    stoa_cidr_t  addr;

    if (memchr(s, ':', len) == NULL) {
        return stoa_rec_name_valid(s, len);
    }

    return memchr(s, '/', len) == NULL
           && stoa_cidr_parse(s, len, &addr) == STOA_OK;
}


/* A host, with or without ":port": safe inside a header. */

static bool
stoa_rec_host_header_valid(const char *s, size_t len)
{
    size_t  n;

    for (n = len; n > 0 && s[n - 1] >= '0' && s[n - 1] <= '9'; n--) {
        /* void */
    }

    if (n > 1 && n < len && len - n <= 5 && s[n - 1] == ':'
        && stoa_rec_host_valid(s, n - 1))
    {
        return true;
    }

    return stoa_rec_host_valid(s, len);
}


/* Visible ASCII: no way to end a request line or a header with it. */

static bool
stoa_rec_target_path_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] > '~' || strchr("\"#<>\\", s[i])) {
            return false;
        }
    }

    return s[0] == '/';
}


static bool
stoa_rec_method_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((s[i] < 'A' || s[i] > 'Z') && s[i] != '-' && s[i] != '_') {
            return false;
        }
    }

    return true;
}


static bool
stoa_rec_word_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] != '~' && !stoa_tool_name_valid(s + i, 1)) {
            return false;
        }
    }

    return true;
}
