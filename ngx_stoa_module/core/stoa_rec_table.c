/*
 * Bodies of records: the codec's tables, made of stoa_schema.h.
 */

#include <string.h>

#include "stoa_addr.h"
#include "stoa_jose.h"
#include "stoa_key.h"
#include "stoa_rec_table.h"
#include "stoa_policy.h"


#define TIME_MAX      INT64_C(253402300799999)      /* the year 9999      */

#define nelts(a)      stoa_rec_nfields(a)

/* The start of each row: a member's name is the same in body and struct. */
#define ROW(t, s, m)                                                          \
    .name = { #m, sizeof(#m) - 1 }, .type = STOA_REC_T_##t,                   \
    .offset = offsetof(s, m)

#define REQUIRED(fl)  .required = ((fl) & RQ) != 0

/* Of a resource's flags a record has the first alone. */
#define RQ  1
#define IM  0
#define RO  0
#define FI  0
#define ND  0
#define SC  0

/* Rows of stoa_schema.h. */

#define REC(S, t, ...)            REC_##t(S, __VA_ARGS__)
#define REC_AS(S, n, f, t, ...)   REC_##t(S, n, __VA_ARGS__)
#define REC_OWN(S, n)
#define REC_ID(S, n, ...)         { ROW(ID, S, n), .required = true },
#define REC_REF(S, n, ...)        { ROW(ID, S, n), .required = true },
#define REC_NAME(S, n)                                                        \
    { ROW(STRING, S, n), .required = true, .min = 1, .max = STOA_NAME_MAX,    \
      .valid = stoa_name_valid, .must = "must be a name: a-z, 0-9 and -" },
#define REC_NAME_OF(S, n, ...)    REC_NAME(S, n)
#define REC_STATE(S, n, w)        REC_CHOICE(S, n, 0, w, )
#define REC_ON(S, n, ...)         { ROW(BOOL, S, n), .def = true },
#define REC_LINK(S, n, ...)        { ROW(ID, S, n) },
#define REC_REFS(S, n, fl, hi, ...)  { ROW(IDS, S, n), .max = hi },
#define REC_TOOLS(S, n, fl, hi, text)                                         \
    { ROW(IDS, S, n), .max = hi, .flag = offsetof(S, has_##n) },
#define REC_NUMBER(t, S, n, fl, lo, hi, d)                                    \
    { ROW(t, S, n), REQUIRED(fl), .min = lo, .max = hi, .def = d },
#define REC_U16(S, n, fl, lo, hi, d, x)  REC_NUMBER(U16, S, n, fl, lo, hi, d)
#define REC_U32(S, n, fl, lo, hi, d, x)  REC_NUMBER(U32, S, n, fl, lo, hi, d)
#define REC_U64(S, n, fl, lo, hi, d, x)  REC_NUMBER(U64, S, n, fl, lo, hi, d)
#define REC_TIME(S, n, ...)       REC_NUMBER(I64, S, n, 0, 0, TIME_MAX, 0)
#define REC_BOOL(S, n, fl, d, text)  { ROW(BOOL, S, n), .def = d },
#define REC_WORD(S, n, fl, w, d, text)  { ROW(ENUM, S, n), .words = WORDS(w) },
#define REC_CHOICE(S, n, fl, w, text)                                         \
    { ROW(ENUM, S, n), .required = true, .words = WORDS(w) },
#define REC_STR(S, n, fl, form, lo, hi, text)                                 \
    { ROW(STRING, S, n), REQUIRED(fl), .min = (fl) & RQ, FORM_##form(hi) },
#define REC_STRS(S, n, fl, hi, text)                                          \
    { ROW(STRINGS, S, n), REQUIRED(fl), .min = (fl) & RQ, .max = hi },
#define REC_CIDRS(S, n, fl, hi, text)  { ROW(CIDRS, S, n), .max = hi },
#define REC_ITEMS(S, n, fl, item, lo, hi, text)                               \
    { ROW(STRUCTS, S, n), REQUIRED(fl), .min = lo, .max = hi,                 \
      .items = &item##_struct },
#define REC_JSON(S, n, ...)                                                   \
    { ROW(OBJECT, S, n), .required = true, .max = STOA_RECORD_MAX },
#define REC_RAW(S, n, hi)         { ROW(OBJECT, S, n), .max = hi },
#define REC_HEX32(S, n, ...)      { ROW(HEX32, S, n), .required = true },
#define REC_POLICIES(S, n)                                                    \
    { ROW(POLICIES, S, n), .max = STOA_POLICIES_MAX,                          \
      .items = &policy_struct },

#define ROW_WORD(w, v)   { w, v },
#define WORDS(w)         (const stoa_rec_word_t[]) { w(ROW_WORD) { NULL, 0 } }

/* The forms of strings.  People count characters, of up to four bytes. */

#define FORM_STRING(hi)     .max = 4 * (hi)
#define FORM_TEXT(hi)       .max = 4 * (hi)
#define FORM_OF(hi, v, text)  .max = hi, .valid = v, .must = text
#define FORM_HOST(hi)                                                         \
    .lower = true, FORM_OF(hi, stoa_rec_host_valid, "must be a host name")
#define FORM_HOST_PORT(hi)                                                    \
    FORM_OF(hi, stoa_rec_host_header_valid,                                   \
            "must be a host, with or without a port")
#define FORM_ADDRESS(hi)                                                      \
    FORM_OF(hi, stoa_rec_target_host_valid,                                   \
            "must be a host name or an address")
#define FORM_URL_PATH(hi)                                                     \
    FORM_OF(hi, stoa_rec_target_path_valid, "must be a path of a URL")
#define FORM_BASE_PATH(hi)                                                    \
    FORM_OF(hi, stoa_path_base_valid, "must be \"/\" and at most 8 plain "    \
            "segments, no slash at the end")
#define FORM_TEMPLATE(hi)                                                     \
    FORM_OF(hi, stoa_path_template_valid, "must be a path like /orders/{id}")
#define FORM_METHOD(hi)                                                       \
    FORM_OF(hi, stoa_rec_method_valid, "must be a method in upper case")
#define FORM_TOOL_NAME(hi)                                                    \
    FORM_OF(hi, stoa_tool_name_valid,                                         \
            "must be a tool's name: A-Z, a-z, 0-9, _, - and .")
#define FORM_URL(hi)                                                          \
    FORM_OF(hi, stoa_rec_url_valid, "must be a URL")
#define FORM_CLAIM(hi)                                                        \
    FORM_OF(4 * (hi), stoa_jwt_path_valid,                                    \
            "must be the name of a claim, or a path")
#define FORM_LABEL(hi)                                                        \
    FORM_OF(hi, stoa_rec_text_valid, "must have no control characters")
#define FORM_WORD(hi)                                                         \
    FORM_OF(hi, stoa_rec_word_valid, "must be A-Z, a-z, 0-9, _, -, . or ~")


static bool stoa_rec_name_valid(const char *s, size_t len);
static bool stoa_rec_host_valid(const char *s, size_t len);
static bool stoa_rec_target_host_valid(const char *s, size_t len);
static bool stoa_rec_host_header_valid(const char *s, size_t len);
static bool stoa_rec_target_path_valid(const char *s, size_t len);
static bool stoa_rec_word_valid(const char *s, size_t len);
static bool stoa_rec_url_valid(const char *s, size_t len);


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
    REC_NAME(stoa_rec_policy_t, name)
    { ROW(POLICY, stoa_rec_policy_t, type), .required = true },
    { ROW(ENUM, stoa_rec_policy_t, scope), .required = true,
      .words = scopes },
    { ROW(ENUM, stoa_rec_policy_t, state), .required = true,
      .words = policy_states },
    { ROW(ID, stoa_rec_policy_t, operation) },
    REC_STR(stoa_rec_policy_t, tool, 0, TOOL_NAME, 0, STOA_TOOL_NAME_MAX, )
    { ROW(CONFIG, stoa_rec_policy_t, config), .required = true },
};

static const stoa_rec_struct_t  policy_struct = {
    .size = sizeof(stoa_rec_policy_t), .strict = true,
    .fields = policy_fields, .nfields = nelts(policy_fields)
};


#define FIELDS(n)  static const stoa_rec_field_t  n##_fields[]
#define STRUCT(n)  static const stoa_rec_struct_t  n##_struct
#define ITEM(n, s)  .size = sizeof(s), .fields = n##_fields,                  \
    .nfields = nelts(n##_fields)

FIELDS(group) = { STOA_GROUP_FIELDS(REC, stoa_rec_group_t) };
FIELDS(groupkey) = { STOA_GROUPKEY_MADE(REC, stoa_rec_groupkey_t) };
FIELDS(sealkey) = { STOA_SEALKEY_MADE(REC, stoa_rec_sealkey_t) };
FIELDS(purge_item) = { STOA_PURGE_ITEM_MADE(REC, stoa_rec_purge_item_t) };
STRUCT(purge_item) = { ITEM(purge_item, stoa_rec_purge_item_t) };
FIELDS(purge) = { STOA_PURGE_MADE(REC, stoa_rec_purge_t) };
FIELDS(tenant) = { STOA_TENANT_FIELDS(REC, stoa_rec_tenant_t) };
FIELDS(application) = { STOA_APPLICATION_FIELDS(REC, stoa_rec_application_t) };
FIELDS(credential) = { STOA_CREDENTIAL_FIELDS(REC, stoa_rec_credential_t) };
FIELDS(plan) = { STOA_PLAN_FIELDS(REC, stoa_rec_plan_t) };

FIELDS(subscription) = {
    STOA_SUBSCRIPTION_FIELDS(REC, stoa_rec_subscription_t)
    STOA_SUBSCRIPTION_MADE(REC, stoa_rec_subscription_t)
};

FIELDS(target) = {
    STOA_TARGET_FIELDS(REC, stoa_rec_api_target_t)
    STOA_TARGET_MADE(REC, stoa_rec_api_target_t)
};

STRUCT(target) = { ITEM(target, stoa_rec_api_target_t) };

FIELDS(operation) = { STOA_OPERATION_FIELDS(REC, stoa_rec_operation_t) };
STRUCT(operation) = { ITEM(operation, stoa_rec_operation_t) };

FIELDS(health) = { STOA_HEALTH_FIELDS(REC, stoa_rec_health_t) };
STRUCT(health) = { ITEM(health, stoa_rec_health_t) };

FIELDS(breaker) = { STOA_BREAKER_FIELDS(REC, stoa_rec_breaker_t) };
STRUCT(breaker) = { ITEM(breaker, stoa_rec_breaker_t) };

FIELDS(retry) = { STOA_RETRY_FIELDS(REC, stoa_rec_retry_t) };
STRUCT(retry) = { ITEM(retry, stoa_rec_retry_t) };

FIELDS(mirror) = { STOA_MIRROR_FIELDS(REC, stoa_rec_mirror_t) };
STRUCT(mirror) = { ITEM(mirror, stoa_rec_mirror_t) };

FIELDS(split_group) = { STOA_SPLIT_GROUP_FIELDS(REC, stoa_rec_split_group_t) };
STRUCT(split_group) = { ITEM(split_group, stoa_rec_split_group_t) };

FIELDS(split_rule) = { STOA_SPLIT_RULE_FIELDS(REC, stoa_rec_split_rule_t) };
STRUCT(split_rule) = { ITEM(split_rule, stoa_rec_split_rule_t) };

FIELDS(split) = { STOA_SPLIT_FIELDS(REC, stoa_rec_split_t) };
STRUCT(split) = { ITEM(split, stoa_rec_split_t) };

FIELDS(api) = {
    STOA_API_FIELDS(REC, stoa_rec_api_t)
    STOA_UPSTREAM_FIELDS(REC, stoa_rec_api_t)
    STOA_UPSTREAM_MADE(REC, stoa_rec_api_t)
    STOA_TLS_FIELDS(REC, stoa_rec_api_t)
    STOA_DISCOVERY_MADE(REC, stoa_rec_api_t)
    STOA_API_MADE(REC, stoa_rec_api_t)
};

FIELDS(tool) = { STOA_TOOL_FIELDS(REC, stoa_rec_item_t) };
FIELDS(prompt) = { STOA_PROMPT_FIELDS(REC, stoa_rec_item_t) };
FIELDS(resource) = { STOA_RESOURCE_FIELDS(REC, stoa_rec_item_t) };
FIELDS(template) = { STOA_TEMPLATE_FIELDS(REC, stoa_rec_item_t) };

FIELDS(server_tool) = { STOA_SERVER_TOOL_MADE(REC, stoa_rec_server_tool_t) };

STRUCT(server_tool) = {
    ITEM(server_tool, stoa_rec_server_tool_t),
    .sorted = true, .sort = offsetof(stoa_rec_server_tool_t, name)
};

FIELDS(server_prompt) = {
    STOA_SERVER_PROMPT_MADE(REC, stoa_rec_server_prompt_t)
};

STRUCT(server_prompt) = {
    ITEM(server_prompt, stoa_rec_server_prompt_t),
    .sorted = true, .sort = offsetof(stoa_rec_server_prompt_t, name)
};

FIELDS(server_resource) = {
    STOA_SERVER_RESOURCE_MADE(REC, stoa_rec_server_resource_t)
};

STRUCT(server_resource) = {
    ITEM(server_resource, stoa_rec_server_resource_t)
};

FIELDS(server) = { STOA_SERVER_FIELDS(REC, stoa_rec_server_t) };

FIELDS(issuer_key) = { STOA_ISSUER_KEY_MADE(REC, stoa_rec_issuer_key_t) };
STRUCT(issuer_key) = { ITEM(issuer_key, stoa_rec_issuer_key_t) };

FIELDS(issuer_client) = {
    STOA_ISSUER_CLIENT_FIELDS(REC, stoa_rec_issuer_client_t)
};

STRUCT(issuer_client) = {
    ITEM(issuer_client, stoa_rec_issuer_client_t),
    .sorted = true, .sort = offsetof(stoa_rec_issuer_client_t, client)
};

FIELDS(issuer_scope) = {
    STOA_ISSUER_SCOPE_FIELDS(REC, stoa_rec_issuer_scope_t)
};

STRUCT(issuer_scope) = { ITEM(issuer_scope, stoa_rec_issuer_scope_t) };

FIELDS(issuer) = {
    STOA_ISSUER_FIELDS(REC, stoa_rec_issuer_t)
    STOA_CLAIMS_FIELDS(REC, stoa_rec_issuer_t)
    STOA_ISSUER_MADE(REC, stoa_rec_issuer_t)
};


#define KIND_ITEM(n, member)                                                  \
    { .name = #n, .split = member, ITEM(n, stoa_rec_item_t) }

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
    [STOA_REC_TOOL] = KIND_ITEM(tool, "name"),
    [STOA_REC_PROMPT] = KIND_ITEM(prompt, "name"),
    [STOA_REC_RESOURCE] = KIND_ITEM(resource, "uri"),
    [STOA_REC_TEMPLATE] = KIND_ITEM(template, "uriTemplate"),
    [STOA_REC_SERVER] = KIND(server),
    [STOA_REC_GROUP] = KIND(group),
    [STOA_REC_GROUPKEY] = KIND(groupkey),
    [STOA_REC_SEALKEY] = KIND(sealkey),
    [STOA_REC_ISSUER] = KIND(issuer),
    [STOA_REC_PURGE] = KIND(purge),
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

    return label > 0 && stoa_addr_host_valid(s, len);
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


bool
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


/* An absolute one of the web: what it leads to is judged when it is asked. */

static bool
stoa_rec_url_valid(const char *s, size_t len)
{
    size_t  n;

    n = len > 8 && memcmp(s, "https://", 8) == 0 ? 8
        : len > 7 && memcmp(s, "http://", 7) == 0 ? 7 : 0;

    return n && s[n] != '/'
           && stoa_rec_target_path_valid(s + n - 1, len - n + 1);
}


/* UTF-8 it is already. */

bool
stoa_rec_text_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] < ' ' || s[i] == 0x7f) {
            return false;
        }
    }

    return true;
}
