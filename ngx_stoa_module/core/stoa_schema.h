/*
 * Fields that gateways get as the control plane takes them: each is written
 * here once.  The record's struct and table (stoa_rec.h, stoa_rec_table.c) and
 * the resource's table and the feed's body (control-plane/kinds/) are made of
 * these rows, so bounds, words and defaults are the same in both planes.
 *
 * A resource is a macro of rows:
 *
 *     N(S, type, name, min, max, default, doc)        a number
 *     B(S, name, default, doc)                        a bool
 *     E(S, name, flags, value, word, doc)             a word of <name>_words;
 *                                                     the default's value and
 *                                                     word, the resource's
 *                                                     flags
 *
 * A list of words is a macro of rows W(word, value).
 */

#ifndef STOA_SCHEMA_H
#define STOA_SCHEMA_H


#include <stdint.h>


#define STOA_HOUR_MS    INT64_C(3600000)
#define STOA_DAY_MS     INT64_C(86400000)
#define STOA_RATE_MAX   INT64_C(1000000000)
#define STOA_QUOTA_MAX  INT64_C(1000000000000000)


#define STOA_AUDIENCES(W)                                                     \
    W("internal", STOA_AUDIENCE_INTERNAL)                                     \
    W("public", STOA_AUDIENCE_PUBLIC)                                         \
    W("partner", STOA_AUDIENCE_PARTNER)

#define STOA_BALANCES(W)                                                      \
    W("round_robin", STOA_BALANCE_ROUND_ROBIN)                                \
    W("least_conn", STOA_BALANCE_LEAST_CONN)

#define STOA_IDENTITIES(W)                                                    \
    W("none", STOA_IDENTITY_NONE)                                             \
    W("headers", STOA_IDENTITY_HEADERS)                                       \
    W("signed", STOA_IDENTITY_SIGNED)

#define STOA_LIMIT_BYS(W)                                                     \
    W("subscription", STOA_LIMIT_BY_SUBSCRIPTION)                             \
    W("application", STOA_LIMIT_BY_APPLICATION)                               \
    W("credential", STOA_LIMIT_BY_CREDENTIAL)

#define STOA_PREFIXES(W)                                                      \
    W("always", STOA_PREFIX_ALWAYS)                                           \
    W("never", STOA_PREFIX_NEVER)


#define STOA_PLAN_FIELDS(N, B, E, S)                                          \
    N(S, U64, rate, 0, STOA_RATE_MAX, 0,                                      \
      "requests per per_ms; 0: no limit")                                     \
    N(S, U64, per_ms, 1, STOA_DAY_MS, 1000, "the period of rate")             \
    N(S, U64, burst, 0, STOA_RATE_MAX, 0,                                     \
      "requests of the rate at once; 0: all of it")                           \
    N(S, U64, quota_day, 0, STOA_QUOTA_MAX, 0, "per UTC day; 0: no limit")    \
    N(S, U64, quota_month, 0, STOA_QUOTA_MAX, 0,                              \
      "per UTC month; 0: no limit")                                           \
    N(S, U32, concurrency, 0, 65535, 0, "requests at once; 0: no limit")      \
    E(S, limit_by, 0, STOA_LIMIT_BY_SUBSCRIPTION, "subscription",             \
      "what shares one allowance")

#define STOA_TARGET_FIELDS(N, B, E, S)                                        \
    N(S, U16, weight, 1, 1000, 1, "share of the requests")

#define STOA_UPSTREAM_FIELDS(N, B, E, S)                                      \
    E(S, balance, 0, STOA_BALANCE_ROUND_ROBIN, "round_robin",                 \
      "how a target is chosen")                                               \
    N(S, U32, connect_timeout_ms, 1, STOA_HOUR_MS, 2000, "per try")           \
    N(S, U32, read_timeout_ms, 1, STOA_DAY_MS, 60000,                         \
      "between two reads of the answer")                                      \
    N(S, U16, retries, 0, 31, 1, "further targets tried")                     \
    N(S, U16, max_fails, 0, 1000, 1,                                          \
      "failures that put a target aside; 0: never")                           \
    N(S, U32, fail_timeout_ms, 1, STOA_HOUR_MS, 10000,                        \
      "the time of those failures, and of being set aside")                   \
    N(S, U32, idle_timeout_ms, 0, STOA_HOUR_MS, 4000,                         \
      "a connection waits so long for its next request; 0: not at all")       \
    B(S, keep_encoded_slashes, 0,                                             \
      "%2F in a path is sent as it came and ends no segment")

#define STOA_API_FIELDS(N, B, E, S)                                           \
    E(S, audience, FI, STOA_AUDIENCE_INTERNAL, "internal",                    \
      "which tenants' applications may subscribe")                            \
    B(S, strip_base_path, 1, "the upstream does not see it")                  \
    N(S, U64, max_body_bytes, 1, INT64_C(1) << 30, 1048576,                   \
      "the largest request body")                                             \
    E(S, identity, 0, STOA_IDENTITY_NONE, "none",                             \
      "what the upstream is told about the caller")                           \
    B(S, operations_only, 0, "refuse what no enabled operation describes")

#define STOA_SERVER_FIELDS(N, B, E, S)                                        \
    E(S, prefix, 0, STOA_PREFIX_ALWAYS, "always",                             \
      "always: <api>__<tool>; never: <tool>")


/* What the rows become: values of an enum, members of a struct. */

#define STOA_C_BOOL  uint8_t
#define STOA_C_ENUM  uint8_t
#define STOA_C_U16   uint16_t
#define STOA_C_U32   uint32_t
#define STOA_C_U64   uint64_t

#define STOA_WORD_VALUE(w, v)                v,

#define STOA_MEMBER_N(S, t, n, lo, hi, d, doc)  STOA_C_##t  n;
#define STOA_MEMBER_B(S, n, d, doc)             STOA_C_BOOL  n;
#define STOA_MEMBER_E(S, n, fl, v, w, doc)      STOA_C_ENUM  n;

#define STOA_MEMBERS(FIELDS)                                                  \
    FIELDS(STOA_MEMBER_N, STOA_MEMBER_B, STOA_MEMBER_E, )


#endif /* STOA_SCHEMA_H */
