/*
 * cors: which web pages' scripts may call (the Fetch standard's protocol).
 */

#ifndef STOA_POLICY_CORS_H
#define STOA_POLICY_CORS_H


#include "stoa_policy.h"


#define STOA_POLICY_CORS(F, S)                                                \
    F(S, STRINGS, origins, 1, 64, 0,                                          \
      STOA_VALID(stoa_policy_cors_origin, "must be \"*\", \"null\", or an "   \
                 "origin like https://app.example or https://*.example.com")  \
        STOA_REQUIRED,                                                     \
      "origins whose pages may call; https://*.example.com: every host "      \
      "below; *: all, never together with credentials")                       \
    F(S, BOOL, credentials, 0, 1, 0, ,                                        \
      "scripts may send cookies and client certificates")                     \
    F(S, STRINGS, methods, 0, 16, 0,                                          \
      STOA_VALID(stoa_policy_cors_method, "must be a method in upper case"),  \
      "methods that a preflight allows; none: the one that it asks for")      \
    F(S, STRINGS, headers, 0, 64, 0,                                          \
      STOA_VALID(stoa_policy_token_valid, "must be a header's name"),         \
      "request headers that a preflight allows; none: those that it asks "    \
      "for")                                                                  \
    F(S, STRINGS, expose, 0, 64, 0,                                           \
      STOA_VALID(stoa_policy_token_valid, "must be a header's name"),         \
      "response headers that scripts may read besides the gateway's own")     \
    F(S, U32, max_age_s, 0, 86400, 600, ,                                     \
      "how long a browser may keep a preflight's answer")


#ifdef STOA_POLICY_TABLES

static bool
stoa_policy_cors_origin(const char *s, size_t len)
{
    return (len == 1 && *s == '*')
           || (len == 4 && memcmp(s, "null", 4) == 0)
           || stoa_policy_origin_valid(s, len);
}


static bool
stoa_policy_cors_method(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len && s[i] >= 'A' && s[i] <= 'Z'; i++) { /* void */ }

    return i == len && len <= 32;
}

#endif


STOA_POLICY_STRUCT(cors, STOA_POLICY_CORS)


#ifdef STOA_POLICY_TABLES

/* Every page in the world, with the visitor's cookies. */

static const char *
stoa_policy_cors_check(const void *rec, const void *config,
    const char **field)
{
    uint32_t                    i;
    stoa_str_t                  s;
    const stoa_ref_t           *origin;
    const stoa_policy_cors_t   *cors = config;

    origin = stoa_rec_vec(rec, cors->origins, stoa_ref_t);

    for (i = 0; cors->credentials && i < cors->origins.n; i++) {
        s = stoa_rec_str(rec, origin[i]);

        if (s.len == 1 || (s.len == 4 && s.data[0] == 'n')) {
            *field = "credentials";
            return "must not be together with the origins * and null";
        }
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_cors = {
    .name = "cors", .id = 1, .version = 1, .order = STOA_ORDER_ADMIT,
    .flags = STOA_POLICY_SINGLE,
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_SERVER|STOA_ON_API,
    .config = &stoa_policy_cors_struct, .check = stoa_policy_cors_check,
    .doc = "lets scripts of web pages call: answers preflights before "
           "authentication, and says on every answer, refusals too, who may "
           "read it"
};

#endif


#endif /* STOA_POLICY_CORS_H */
