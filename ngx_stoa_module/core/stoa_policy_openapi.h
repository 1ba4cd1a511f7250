/*
 * openapi-validation: calls and answers as the api's OpenAPI document says.
 */

#ifndef STOA_POLICY_OPENAPI_H
#define STOA_POLICY_OPENAPI_H


#include "stoa_policy.h"


typedef enum { STOA_OPENAPI_ENFORCE = 0, STOA_OPENAPI_REPORT,
    STOA_OPENAPI_OFF } stoa_openapi_e;

#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_openapi_words[] = {
    { "enforce", STOA_OPENAPI_ENFORCE },
    { "report", STOA_OPENAPI_REPORT },
    { "off", STOA_OPENAPI_OFF },
    { NULL, 0 }
};

#endif


#define STOA_POLICY_OPENAPI(F, S)                                             \
    F(S, ENUM, requests, 0, 0, STOA_OPENAPI_ENFORCE,                          \
      STOA_WORDS(stoa_policy_openapi_words),                                  \
      "report: what does not fit is counted and passes")                      \
    F(S, ENUM, answers, 0, STOA_OPENAPI_OFF, STOA_OPENAPI_OFF,                \
      STOA_WORDS(stoa_policy_openapi_words), "the same for answers")          \
    F(S, BOOL, other_operations, 0, 1, 0, ,                                   \
      "calls that the document does not have pass")                           \
    F(S, BOOL, strict_query, 0, 1, 0, ,                                       \
      "parameters of the query that the operation does not have are refused") \
    F(S, BOOL, skip_unsupported, 0, 1, 0, ,                                   \
      "what of the document cannot be judged is left out; else such a "       \
      "document is refused where it is put in force")                         \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of a body or an answer of JSON, which is kept until it is judged")     \
    F(S, BOOL, unreadable, 0, 1, 0, ,                                         \
      "answers that are encoded, a part, or longer than max_bytes pass "      \
      "unread")

STOA_POLICY_STRUCT(openapi, STOA_POLICY_OPENAPI)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_openapi = {
    .name = "openapi-validation", .id = 25, .version = 1,
    .order = STOA_ORDER_LATE,
    .flags = STOA_POLICY_CONTRACT|STOA_POLICY_BODIES,
    .scopes = STOA_ON_API|STOA_ON_OPERATION,
    .config = &stoa_policy_openapi_struct,
    .doc = "refuses calls (400 request_mismatch) and answers (502 "
           "response_mismatch) that are not as the api's OpenAPI document "
           "says"
};

#endif


#endif /* STOA_POLICY_OPENAPI_H */
