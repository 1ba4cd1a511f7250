/*
 * result-limit: the longest answer of an upstream.
 */

#ifndef STOA_POLICY_RESULT_H
#define STOA_POLICY_RESULT_H


#include "stoa_policy.h"


#define STOA_POLICY_RESULT(F, S)                                              \
    F(S, U64, max_bytes, 1, UINT64_C(1) << 40, 1, STOA_REQUIRED,              \
      "of an answer's content; MCP: of the JSON-RPC message, also in a "      \
      "stream")

STOA_POLICY_STRUCT(result, STOA_POLICY_RESULT)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_result = {
    .name = "result-limit", .id = 18, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .scopes = STOA_ON_ALL,
    .config = &stoa_policy_result_struct,
    .doc = "refuses answers of upstreams (502 result_too_large) that are "
           "longer; the shortest of all that apply counts"
};

#endif


#endif /* STOA_POLICY_RESULT_H */
