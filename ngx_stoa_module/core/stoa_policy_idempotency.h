/*
 * idempotency: a call that is made again gets the first one's answer.
 */

#ifndef STOA_POLICY_IDEMPOTENCY_H
#define STOA_POLICY_IDEMPOTENCY_H


#include "stoa_policy.h"


#define STOA_IDEMPOTENCY_KEY   255             /* bytes                      */
#define STOA_IDEMPOTENCY_BODY  16777216

typedef enum { STOA_IDEMPOTENCY_KEEP = 0,
    STOA_IDEMPOTENCY_RELEASE } stoa_idempotency_failure_e;

#define STOA_POLICY_IDEMPOTENCY(F, S)                                         \
    F(S, STRINGS, methods, 0, 4, 0,                                           \
      STOA_VALID(stoa_policy_idempotency_method_valid,                        \
                 "must be POST, PATCH, PUT or DELETE"),                       \
      "of the calls that are meant; none: POST and PATCH")                    \
    F(S, BOOL, required, 0, 1, 0, ,                                           \
      "such a call without an Idempotency-Key is refused (400)")              \
    F(S, U32, ttl_s, 1, 2592000, 86400, ,                                     \
      "how long an answer is given again, from its end on")                   \
    F(S, ENUM, on_failure, 0, 0, STOA_IDEMPOTENCY_KEEP,                       \
      STOA_WORDS(stoa_policy_idempotency_failures),                           \
      "when the upstream has got a call and failed: keep: its 5xx is the "    \
      "answer, and where none came a repeat is told (409) that nobody knows " \
      "what became of it; release: a repeat is made again")                   \
    F(S, U32, max_body_bytes, 1, STOA_IDEMPOTENCY_BODY, 1048576, ,            \
      "of a call with a key, which is read before it is forwarded; a longer " \
      "one is refused (413)")                                                 \
    F(S, U32, max_answer_bytes, 0, STOA_IDEMPOTENCY_BODY, 262144, ,           \
      "of an answer that is kept; of a longer one repeats are told (409) "    \
      "that there was one")                                                   \
    F(S, BOOL, charge_repeats, 0, 1, 0, ,                                     \
      "a call that gets an answer again uses up rate and quota like the "     \
      "first")


#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_idempotency_failures[] = {
    { "keep", STOA_IDEMPOTENCY_KEEP },
    { "release", STOA_IDEMPOTENCY_RELEASE },
    { NULL, 0 }
};

static bool
stoa_policy_idempotency_method_valid(const char *s, size_t len)
{
    size_t  i;

    static const char *const  methods[] = { "POST", "PATCH", "PUT", "DELETE" };

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strlen(methods[i]) == len && memcmp(s, methods[i], len) == 0) {
            return true;
        }
    }

    return false;
}

#endif


STOA_POLICY_STRUCT(idempotency, STOA_POLICY_IDEMPOTENCY)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_idempotency = {
    .name = "idempotency", .id = 28, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .flags = STOA_POLICY_BODIES,
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_API|STOA_ON_OPERATION,
    .config = &stoa_policy_idempotency_struct,
    .doc = "a call of REST that is made again with its Idempotency-Key "
           "(draft-ietf-httpapi-idempotency-key-header) gets the answer of "
           "the first, on this gateway; the narrowest counts"
};

#endif


#endif /* STOA_POLICY_IDEMPOTENCY_H */
