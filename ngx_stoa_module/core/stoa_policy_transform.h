/*
 * transform: takes members out of answers of JSON.
 */

#ifndef STOA_POLICY_TRANSFORM_H
#define STOA_POLICY_TRANSFORM_H


#include "stoa_json_strip.h"
#include "stoa_policy.h"


#define STOA_POLICY_TRANSFORM(F, S)                                           \
    F(S, STRINGS, response_remove, 1, STOA_JSON_STRIP_PATHS, 0,               \
      STOA_VALID(stoa_json_strip_valid, "must be a path of members, like "    \
                 "/customer/iban")                                            \
        STOA_REQUIRED,                                                        \
      "members that are taken out of the answer; arrays on the way are gone " \
      "through: /orders/cost is that of each order")                          \
    F(S, STRINGS, statuses, 0, 16, 0,                                         \
      STOA_VALID(stoa_policy_status_valid, "must be a status like 200, or "   \
                 "2xx"),                                                      \
      "answers that are changed; none: 2xx")                                  \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of an answer, which is kept until it is changed")                      \
    F(S, BOOL, other_types, 0, 1, 0, ,                                        \
      "answers whose Content-Type is not one of JSON pass as they are")       \
    F(S, BOOL, unreadable, 0, 1, 0, ,                                         \
      "answers that are encoded, a part, or longer than max_bytes pass as "   \
      "they are")

STOA_POLICY_STRUCT(transform, STOA_POLICY_TRANSFORM)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_transform = {
    .name = "transform", .id = 42, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .scopes = STOA_ON_API|STOA_ON_OPERATION,
    .flags = STOA_POLICY_BODIES, .config = &stoa_policy_transform_struct,
    .doc = "takes members out of answers of JSON; what it cannot read is "
           "refused (502 transform_failed)"
};

#endif


#endif /* STOA_POLICY_TRANSFORM_H */
