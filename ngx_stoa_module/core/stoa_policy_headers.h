/*
 * headers: sets, adds and removes headers of the request, as the upstream gets
 * it, and of the response.
 */

#ifndef STOA_POLICY_HEADERS_H
#define STOA_POLICY_HEADERS_H


#include "stoa_policy.h"


#define STOA_HEADERS_MUST                                                     \
    "must be a header's name, none of the connection's, a credential's or "   \
    "the gateway's own"

#define STOA_POLICY_HEADER(F, S)                                              \
    F(S, STRING, name, 1, 64, 0,                                              \
      STOA_VALID(stoa_policy_header_valid, STOA_HEADERS_MUST)                 \
        STOA_REQUIRED, "the header")                                       \
    F(S, STRING, value, 0, 1024, 0,                                           \
      STOA_VALID(stoa_policy_value_valid, "must be text without control "     \
                 "characters, and variables like ${request_id}")              \
        STOA_REQUIRED,                                                     \
      "its value; ${request_id}, ${client_address}, ${tenant}, "              \
      "${application}, ${subscription}, ${plan} and ${api} are replaced, in " \
      "requests ${secret:NAME} too")

#define STOA_HEADERS_PAIRS(S, F, n, secrets, text)                            \
    F(S, STRUCTS, n, 0, 32, 0,                                                \
      STOA_ITEMS(header) STOA_SECRET(secrets), text)
#define STOA_HEADERS_NAMES(S, F, n, text)                                     \
    F(S, STRINGS, n, 0, 32, 0,                                                \
      STOA_VALID(stoa_policy_header_valid, STOA_HEADERS_MUST), text)

#define STOA_POLICY_HEADERS(F, S)                                             \
    STOA_HEADERS_NAMES(S, F, request_remove, "taken out of the request")      \
    STOA_HEADERS_PAIRS(S, F, request_set, MAY,                                \
                       "in the request, instead of what the client sent")     \
    STOA_HEADERS_PAIRS(S, F, request_add, MAY, "in the request, besides")     \
    STOA_HEADERS_NAMES(S, F, response_remove, "taken out of the answer")      \
    STOA_HEADERS_PAIRS(S, F, response_set, NO,                                \
                       "in the answer, instead of what the upstream sent")    \
    STOA_HEADERS_PAIRS(S, F, response_add, NO, "in the answer, besides")

STOA_POLICY_STRUCT(header, STOA_POLICY_HEADER)
STOA_POLICY_STRUCT(headers, STOA_POLICY_HEADERS)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_headers = {
    .name = "headers", .id = 3, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .scopes = STOA_ON_ALL,
    .config = &stoa_policy_headers_struct,
    .doc = "sets, adds and removes headers of requests and answers"
};

#endif


#endif /* STOA_POLICY_HEADERS_H */
