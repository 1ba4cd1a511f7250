/*
 * json-limits: how large the parts of a body of JSON may be.
 */

#ifndef STOA_POLICY_JSON_H
#define STOA_POLICY_JSON_H


#include "stoa_policy.h"


#define STOA_POLICY_JSON(F, S)                                                \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of the body, which is kept until it is judged")                        \
    F(S, U32, max_depth, 0, STOA_JSON_DEPTH_MAX, 0, ,                         \
      "of values in each other; here and below 0: no limit but the reader's " \
      "own (64, and 65,536 members)")                                         \
    F(S, U32, max_members, 0, STOA_JSON_MEMBERS_MAX, 0, , "of one object")    \
    F(S, U32, max_items, 0, 16777216, 0, , "of one array")                    \
    F(S, U32, max_name, 0, 16777216, 0, ,                                     \
      "bytes of a member's name, as it is written")                           \
    F(S, U32, max_string, 0, 16777216, 0, ,                                   \
      "bytes of a string, as it is written")                                  \
    F(S, U32, max_number, 0, 16777216, 0, ,                                   \
      "bytes of a number, as it is written")                                  \
    F(S, BOOL, other_types, 0, 1, 0, ,                                        \
      "bodies whose Content-Type is not one of JSON pass unread")

STOA_POLICY_STRUCT(json, STOA_POLICY_JSON)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_json = {
    .name = "json-limits", .id = 22, .version = 1, .order = STOA_ORDER_LATE,
    .scopes = STOA_ON_ALL & ~(STOA_ON_PLAN|STOA_ON_APPLICATION),
    .flags = STOA_POLICY_BODIES, .config = &stoa_policy_json_struct,
    .doc = "refuses calls (400 json_denied) whose body is no JSON, has a "
           "member twice, or is larger in one of its parts; on MCP that is "
           "the whole message"
};

#endif


#endif /* STOA_POLICY_JSON_H */
