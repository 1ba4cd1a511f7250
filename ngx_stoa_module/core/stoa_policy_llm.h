/*
 * llm-tokens: what calls of language models use, by what their answers say.
 */

#ifndef STOA_POLICY_LLM_H
#define STOA_POLICY_LLM_H


#include "stoa_policy.h"


#define STOA_POLICY_LLM(F, S)                                                 \
    F(S, U32, tokens, 0, 1000000000, 0, ,                                     \
      "that may be used in per_ms, input and output together; 0: they are "   \
      "counted alone")                                                        \
    F(S, U32, per_ms, 1000, 86400000, 60000, , "of the tokens")               \
    F(S, STRINGS, by, 0, 8, 0,                                                \
      STOA_VALID(stoa_policy_rate_by_valid, "must be subscription, "          \
                 "application, credential, address, api, operation, tool, "   \
                 "header:NAME, argument:NAME or claim:NAME"),                 \
      "what calls have in common that share a budget, as in rate-limit; "     \
      "none: all calls of what the policy is attached to")                    \
    F(S, U32, reserve, 0, 1000000000, 1000, ,                                 \
      "tokens of output that are set aside for a call that names no maximum") \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 10485760, ,                \
      "of a request's body, which is kept until it is read")                  \
    F(S, ENUM, on_store_failure, 0, 0, 0,                                     \
      STOA_WORDS(stoa_policy_failure_words),                                  \
      "where gateways share limits by Redis, and it is away: local_share (a " \
      "part of it each), allow or deny")

STOA_POLICY_STRUCT(llm, STOA_POLICY_LLM)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_llm = {
    .name = "llm-tokens", .id = 70, .version = 1, .order = STOA_ORDER_LIMIT,
    .scopes = STOA_ON_GROUP | STOA_ON_API | STOA_ON_OPERATION | STOA_ON_PLAN
              | STOA_ON_APPLICATION,
    .flags = STOA_POLICY_BODIES, .config = &stoa_policy_llm_struct,
    .doc = "counts the tokens that answers to POST say were used, streamed "
           "ones too, and refuses calls (429 rate_exceeded) for which a "
           "budget of them has too few left; gateways that share limits "
           "share the budgets"
};

#endif


#endif /* STOA_POLICY_LLM_H */
