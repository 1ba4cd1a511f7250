/*
 * require-token: which scopes and roles a caller's token has to have.
 */

#ifndef STOA_POLICY_TOKEN_H
#define STOA_POLICY_TOKEN_H


#include "stoa_policy.h"


#define STOA_POLICY_TOKEN_ID  13

#define STOA_POLICY_TOKEN(F, S)                                               \
    F(S, STRINGS, scopes, 0, 32, 0,                                           \
      STOA_VALID(stoa_policy_scope_valid,                                     \
                 "must be a scope: visible ASCII without \" and \\"),         \
      "all of them have to be the token's")                                   \
    F(S, STRINGS, roles, 0, 64, 0, , "one of them has to be the token's")     \
    F(S, BOOL, keys, 0, 1, 0, ,                                               \
      "callers with an API key, who have neither, may call all the same")     \
    F(S, BOOL, list_unscoped, 0, 1, 1, ,                                      \
      "a tool whose scope the token lacks is listed, so that the client can " \
      "ask for it")

STOA_POLICY_STRUCT(token, STOA_POLICY_TOKEN)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_token = {
    .name = "require-token", .id = STOA_POLICY_TOKEN_ID, .version = 1,
    .order = STOA_ORDER_LATE,
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_SERVER|STOA_ON_API
              |STOA_ON_MCP_API|STOA_ON_OPERATION|STOA_ON_TOOL,
    .config = &stoa_policy_token_struct,
    .doc = "refuses callers whose bearer token lacks a scope (403 "
           "insufficient_scope) or every role (403 role_required), and those "
           "without a token; all that apply have to agree"
};

#endif


#endif /* STOA_POLICY_TOKEN_H */
