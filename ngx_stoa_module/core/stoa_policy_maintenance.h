/*
 * maintenance: calls are refused for a while, but for some.
 */

#ifndef STOA_POLICY_MAINTENANCE_H
#define STOA_POLICY_MAINTENANCE_H


#include "stoa_key.h"
#include "stoa_policy.h"


#define STOA_POLICY_MAINTENANCE(F, S)                                         \
    F(S, U32, retry_after_s, 0, 2678400, 300, ,                               \
      "when to come again, by Retry-After; 0: it says nothing")               \
    F(S, STRING, text, 0, 1024, 0,                                            \
      STOA_VALID(stoa_rec_text_valid,                                         \
                 "must be text without control characters"),                  \
      "what callers are told, instead of the gateway's own words")            \
    F(S, CIDRS, allow, 0, STOA_CIDRS_MAX, 0, ,                                \
      "addresses and ranges that may call all the same")                      \
    F(S, STRINGS, paths, 0, 64, 0,                                            \
      STOA_VALID(stoa_path_template_valid,                                    \
                 "must be a path like /orders/{id}"),                         \
      "of the api, without its own; they may be called all the same")         \
    F(S, STRINGS, tools, 0, 256, 0,                                           \
      STOA_VALID(stoa_tool_name_valid,                                        \
                 "must be a tool's name: A-Z, a-z, 0-9, _, - and ."),         \
      "by their names at the upstream; they may be called all the same, the " \
      "others are then refused after authentication, not before it, and "     \
      "lists are told")

STOA_POLICY_STRUCT(maintenance, STOA_POLICY_MAINTENANCE)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_maintenance = {
    .name = "maintenance", .id = 19, .version = 1,
    .order = STOA_ORDER_ADMIT, .scopes = STOA_ON_ALL,
    .config = &stoa_policy_maintenance_struct,
    .doc = "refuses calls (503 maintenance) with Retry-After and a text of "
           "its own, but from the addresses and of the paths and tools that "
           "it names"
};

#endif


#endif /* STOA_POLICY_MAINTENANCE_H */
