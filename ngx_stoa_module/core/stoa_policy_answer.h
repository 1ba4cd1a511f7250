/*
 * response-schema: what an answer of JSON has to be.
 */

#ifndef STOA_POLICY_ANSWER_H
#define STOA_POLICY_ANSWER_H


#include "stoa_jschema.h"
#include "stoa_policy.h"


#define STOA_POLICY_ANSWER(F, S)                                              \
    F(S, OBJECT, schema, 0, STOA_JSCHEMA_LEN, 0, STOA_REQUIRED,               \
      "a JSON Schema (2020-12; docs/policies.md says which keywords) of the " \
      "body")                                                                 \
    F(S, STRINGS, statuses, 0, 16, 0,                                         \
      STOA_VALID(stoa_policy_status_valid, "must be a status like 200, or "   \
                 "2xx"),                                                      \
      "answers that are judged; none: 2xx")                                   \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of an answer, which is kept until it is judged")                       \
    F(S, BOOL, other_types, 0, 1, 0, ,                                        \
      "answers whose Content-Type is not one of JSON pass unread")            \
    F(S, BOOL, unreadable, 0, 1, 0, ,                                         \
      "answers that are encoded, a part, or longer than max_bytes pass "      \
      "unread")

STOA_POLICY_STRUCT(answer, STOA_POLICY_ANSWER)


#ifdef STOA_POLICY_TABLES

static const char *
stoa_policy_answer_check(const void *rec, const void *config,
    const char **field)
{
    const stoa_policy_answer_t  *answer = config;

    return stoa_policy_schema_wrong(stoa_rec_str(rec, answer->schema), field);
}


static const stoa_policy_type_t  stoa_policy_answer = {
    .name = "response-schema", .id = 40, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .scopes = STOA_ON_API|STOA_ON_OPERATION,
    .flags = STOA_POLICY_BODIES,
    .config = &stoa_policy_answer_struct, .check = stoa_policy_answer_check,
    .doc = "refuses answers (502 answer_mismatch) whose body a JSON Schema "
           "does not fit"
};

#endif


#endif /* STOA_POLICY_ANSWER_H */
