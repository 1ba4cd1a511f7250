/*
 * guardrail: personal data and secrets in what is sent.
 */

#ifndef STOA_POLICY_GUARD_H
#define STOA_POLICY_GUARD_H


#include "stoa_policy.h"


typedef enum { STOA_GUARD_BLOCK = 0, STOA_GUARD_MASK } stoa_guard_action_e;

#define STOA_POLICY_GUARD(F, S)                                               \
    F(S, STRINGS, kinds, 0, 16, 0,                                            \
      STOA_VALID(stoa_policy_guard_kind, "must be mail, phone, card, iban, "  \
                 "national-id or secret"),                                    \
      "that are looked for; none: mail, card, iban, secret")                  \
    F(S, ENUM, action, 0, 0, STOA_GUARD_BLOCK,                                \
      STOA_WORDS(stoa_policy_guard_actions),                                  \
      "block: the call is refused; mask: what is found is written over, "     \
      "byte by byte, and the call goes on")                                   \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of the body, which is kept until it is judged")

#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_guard_actions[] = {
    { "block", STOA_GUARD_BLOCK },
    { "mask", STOA_GUARD_MASK },
    { NULL, 0 }
};

#endif

STOA_POLICY_STRUCT(guard, STOA_POLICY_GUARD)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_guard = {
    .name = "guardrail", .id = 31, .version = 1, .order = STOA_ORDER_LATE,
    .scopes = STOA_ON_ALL & ~(STOA_ON_PLAN|STOA_ON_APPLICATION),
    .config = &stoa_policy_guard_struct,
    .doc = "refuses calls (400 guard_denied) whose body, at a tool whose "
           "arguments, have personal data or secrets in them, or masks these"
};

#endif


#endif /* STOA_POLICY_GUARD_H */
