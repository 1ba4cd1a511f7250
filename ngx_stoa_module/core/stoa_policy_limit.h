/*
 * rate-limit: how often calls that have something in common may come, beside
 * what plans allow.
 */

#ifndef STOA_POLICY_LIMIT_H
#define STOA_POLICY_LIMIT_H


#include "stoa_policy.h"


#define STOA_RATE_WINDOW_MAX  1000000

#define STOA_POLICY_RATE_LIMIT(F, S)                                          \
    F(S, U32, rate, 1, 1000000000, 1, STOA_REQUIRED, "calls in per_ms")       \
    F(S, U32, per_ms, 1, 86400000, 1000, , "of the rate")                     \
    F(S, U32, burst, 0, 1000000000, 0, ,                                      \
      "of a bucket: calls at once; 0: rate")                                  \
    F(S, ENUM, algorithm, 0, 0, 0, STOA_WORDS(stoa_policy_rate_words),        \
      "a bucket that refills, or a window: never more than rate calls in any "\
      "per_ms")                                                               \
    F(S, STRINGS, by, 0, 8, 0,                                                \
      STOA_VALID(stoa_policy_rate_by_valid, "must be subscription, "          \
                 "application, credential, address, api, operation, tool, "   \
                 "header:NAME, argument:NAME or claim:NAME"),                 \
      "what calls have in common that share an allowance: subscription, "     \
      "application, credential (or a token's subject), address (of IPv6 the " \
      "/64), api, operation, tool, header:NAME, argument:NAME, claim:NAME "   \
      "(of a token); none: all calls of what the policy is attached to")      \
    F(S, BOOL, cost, 0, 1, 0, ,                                               \
      "of a bucket: a call counts as what it costs, see the policy cost")     \
    F(S, ENUM, on_store_failure, 0, 0, 0,                                     \
      STOA_WORDS(stoa_policy_failure_words),                                  \
      "where gateways share limits by Redis, and it is away: local_share (a " \
      "part of it each), allow or deny")

typedef enum { STOA_RATE_BUCKET = 0, STOA_RATE_WINDOW } stoa_rate_e;

/* What calls have in common; from HEADER on it is a caller who says it. */

typedef enum {
    STOA_RATE_BY_SUBSCRIPTION = 0, STOA_RATE_BY_APPLICATION,
    STOA_RATE_BY_CREDENTIAL, STOA_RATE_BY_ADDRESS, STOA_RATE_BY_API,
    STOA_RATE_BY_OPERATION, STOA_RATE_BY_TOOL, STOA_RATE_BY_HEADER,
    STOA_RATE_BY_ARGUMENT, STOA_RATE_BY_CLAIM, STOA_RATE_BY_MAX
} stoa_rate_by_e;

/* A word of `by`; _MAX: it is none.  name: of the header, the argument, the
 * claim. */
stoa_rate_by_e stoa_policy_rate_by(const char *s, size_t len,
    stoa_str_t *name);

#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_rate_words[] = {
    { "bucket", STOA_RATE_BUCKET },
    { "window", STOA_RATE_WINDOW },
    { NULL, 0 }
};

#endif

STOA_POLICY_STRUCT(rate_limit, STOA_POLICY_RATE_LIMIT)


#ifdef STOA_POLICY_TABLES

static const char *
stoa_policy_rate_check(const void *rec, const void *config,
    const char **field)
{
    const stoa_policy_rate_limit_t  *p = config;

    (void) rec;

    if (p->algorithm == STOA_RATE_BUCKET) {
        return NULL;
    }

    if (p->burst) {
        *field = "burst";
        return "is of a bucket; a window has none";
    }

    if (p->cost) {
        *field = "cost";
        return "is of a bucket; a window counts calls";
    }

    if (p->rate > STOA_RATE_WINDOW_MAX) {
        *field = "rate";
        return "must be 1000000 at most in a window";
    }

    if (p->per_ms < 1000) {
        *field = "per_ms";
        return "must be 1000 at least in a window";
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_rate_limit = {
    .name = "rate-limit", .id = 50, .version = 1, .order = STOA_ORDER_LIMIT,
    .scopes = STOA_ON_ALL, .config = &stoa_policy_rate_limit_struct,
    .check = stoa_policy_rate_check,
    .doc = "refuses calls (429 rate_exceeded) beyond a rate of those that "
           "have the same caller, address, tool, header, argument or claim; "
           "gateways that share limits share buckets, and count windows each "
           "for itself"
};

#endif


#endif /* STOA_POLICY_LIMIT_H */
