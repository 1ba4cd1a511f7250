/*
 * body-limit: the longest body of a request.
 */

#ifndef STOA_POLICY_BODY_H
#define STOA_POLICY_BODY_H


#include "stoa_policy.h"


#define STOA_POLICY_BODY(F, S)                                                \
    F(S, U64, max_bytes, 1, UINT64_C(1) << 30, 1, STOA_REQUIRED,              \
      "of the message's content; MCP: of the JSON-RPC message")

STOA_POLICY_STRUCT(body, STOA_POLICY_BODY)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_body = {
    .name = "body-limit", .id = 5, .version = 1, .order = STOA_ORDER_ADMIT,
    .scopes = STOA_ON_ALL, .config = &stoa_policy_body_struct,
    .doc = "refuses requests (413 body_too_large) whose body is longer; the "
           "shortest of all that apply counts, and the api's max_body_bytes",
    .own = STOA_REC_API, .asks = 1,
    .fields = (const char *const[]) { "max_body_bytes", NULL }
};

#endif


#endif /* STOA_POLICY_BODY_H */
