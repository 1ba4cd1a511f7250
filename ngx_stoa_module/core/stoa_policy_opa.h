/*
 * opa: a rule of an Open Policy Agent says whether a call may pass.  Which one
 * that is only its name says: its address is the gateway's operator's.
 */

#ifndef STOA_POLICY_OPA_H
#define STOA_POLICY_OPA_H


#include "stoa_jose.h"
#include "stoa_key.h"
#include "stoa_policy.h"


#define STOA_POLICY_OPA_ID  30
#define STOA_OPA_BYTES  1048576                /* of a body that it is shown */

typedef enum { STOA_OPA_DENY = 0, STOA_OPA_ALLOW } stoa_opa_on_error_e;

#define STOA_POLICY_OPA(F, S)                                                 \
    F(S, STRING, agent, 1, STOA_NAME_MAX, 0,                                  \
      STOA_VALID(stoa_name_valid, "must be a name") STOA_REQUIRED,            \
      "whom the gateway asks: the name of one of its stoa_opa directives")    \
    F(S, STRING, path, 1, 256, 0,                                             \
      STOA_VALID(stoa_policy_opa_path_valid, "must be names with / between, " \
                 "like shop/authz/allow") STOA_REQUIRED,                      \
      "of the rule, as behind /v1/data/ of OPA's API")                        \
    F(S, STRING, list_path, 0, 256, 0,                                        \
      STOA_VALID(stoa_policy_opa_path_valid, "must be names with / between, " \
                 "like shop/authz/list"),                                     \
      "of a rule that says what lists of MCP show, all items at once; what "  \
      "it leaves out is not called either")                                   \
    F(S, STRINGS, headers_set, 0, 16, 0,                                      \
      STOA_VALID(stoa_policy_header_valid,                                    \
                 "must be a header's name, none of the connection's, a "      \
                 "credential's or the gateway's own"),                        \
      "of the upstream's request that are the decision's to set, by its "     \
      "`headers`; what the client says there is taken out")                   \
    F(S, U32, deadline_ms, 1, 10000, 100, ,                                   \
      "how long a call waits for a decision")                                 \
    F(S, ENUM, on_error, 0, 0, 0, STOA_WORDS(stoa_policy_opa_on_error),       \
      "what becomes of a call without a decision: it is refused, or passes")  \
    F(S, U32, cache_ms, 0, 300000, 0, ,                                       \
      "how long a decision on the same input is used again; 0: never, as for "\
      "rules that ask for the time or for data that changes")                 \
    F(S, STRINGS, headers, 0, 16, 0,                                          \
      STOA_VALID(stoa_policy_opa_header_valid, "must be a header's name in "  \
                 "lower case, none that holds a credential"),                 \
      "of the request that the rule is shown")                                \
    F(S, STRINGS, claims, 0, 16, 0,                                           \
      STOA_VALID(stoa_jwt_path_valid,                                         \
                 "must be a claim's name or a path like /realm/roles"),       \
      "of the caller's JWT that the rule is shown")                           \
    F(S, BOOL, body, 0, 1, 0, ,                                               \
      "the rule is shown the body, which has to be JSON, at a tool its "      \
      "arguments")                                                            \
    F(S, U32, max_bytes, 1, STOA_OPA_BYTES, 65536, ,                          \
      "of a body that it is shown; longer ones are refused (413)")


#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_opa_on_error[] = {
    { "deny", STOA_OPA_DENY },
    { "allow", STOA_OPA_ALLOW },
    { NULL, 0 }
};

static bool
stoa_policy_opa_path_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] == '/' ? i == 0 || i == len - 1 || s[i - 1] == '/'
            : !((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')
                || (s[i] >= '0' && s[i] <= '9') || s[i] == '_'
                || s[i] == '-'))
        {
            return false;
        }
    }

    return true;                               /* how short: its bounds      */
}

static bool
stoa_policy_opa_header_valid(const char *s, size_t len)
{
    size_t  i;

    static const char *const  secrets[] = {
        "authorization", "cookie", "dpop", "proxy-*", "x-api-key", NULL
    };

    for (i = 0; i < len; i++) {
        if (s[i] >= 'A' && s[i] <= 'Z') {
            return false;
        }
    }

    return stoa_policy_token_valid(s, len)
           && !stoa_policy_listed(secrets, s, len);
}

#endif


STOA_POLICY_STRUCT(opa, STOA_POLICY_OPA)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_opa = {
    .name = "opa", .id = STOA_POLICY_OPA_ID, .version = 2,
    .order = STOA_ORDER_LATE,
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_SERVER|STOA_ON_API
              |STOA_ON_MCP_API|STOA_ON_OPERATION|STOA_ON_TOOL,
    .config = &stoa_policy_opa_struct,
    .doc = "asks a rule of an Open Policy Agent whether a call may pass (403 "
           "opa_denied, 503 policy_unavailable); all that apply have to agree"
};

#endif


#endif /* STOA_POLICY_OPA_H */
