/*
 * cache: answers of upstreams are kept, and used again.
 */

#ifndef STOA_POLICY_CACHE_H
#define STOA_POLICY_CACHE_H


#include "stoa_policy.h"


#define STOA_CACHE_BYTES  16777216             /* of one answer              */

typedef enum { STOA_CACHE_CHARGE_FULL = 0,
    STOA_CACHE_CHARGE_NONE } stoa_cache_charge_e;

#define STOA_POLICY_CACHE(F, S)                                               \
    F(S, U32, default_ttl_s, 0, 31536000, 0, ,                                \
      "how long answers (200, 203, 301, 308) are fresh that do not say it "   \
      "themselves; 0: they are not kept")                                     \
    F(S, U32, negative_ttl_s, 0, 86400, 0, ,                                  \
      "the same of 404 and 410")                                              \
    F(S, U32, max_ttl_s, 1, 31536000, 86400, ,                                \
      "and the longest of all, whatever they say")                            \
    F(S, U32, stale_while_revalidate_s, 0, 86400, 0, ,                        \
      "how long past that callers get an answer while the gateway asks the "  \
      "upstream for another, by itself; where the answer does not say it")    \
    F(S, U32, stale_if_error_s, 0, 604800, 0, ,                               \
      "how long past that it is used when the upstream fails; where the "     \
      "answer does not say it")                                               \
    F(S, BOOL, shared, 0, 1, 0, ,                                             \
      "what one caller got is for all callers; else only where the answer "   \
      "says public or s-maxage")                                              \
    F(S, BOOL, obey_clients, 0, 1, 1, ,                                       \
      "the Cache-Control of requests counts")                                 \
    F(S, BOOL, ignore_cookies, 0, 1, 0, ,                                     \
      "requests with a Cookie are served from the cache, too, as if they had "\
      "none")                                                                 \
    F(S, BOOL, strip_set_cookie, 0, 1, 0, ,                                   \
      "answers with Set-Cookie are kept without it; else they are not kept")  \
    F(S, BOOL, sort_query, 0, 1, 0, ,                                         \
      "the order of the query's arguments makes no difference")               \
    F(S, STRINGS, ignore_query, 0, 32, 0,                                     \
      STOA_VALID(stoa_policy_cache_argument_valid,                            \
                 "must be an argument's name as it is sent, or the beginning "\
                 "of one with * behind it"),                                  \
      "arguments of the query that make no difference")                       \
    F(S, STRINGS, vary, 0, 16, 0,                                             \
      STOA_VALID(stoa_policy_cache_header_valid,                              \
                 "must be a header's name in lower case"),                    \
      "headers of the request by which answers differ, as if each said so "   \
      "in Vary")                                                              \
    F(S, U32, max_bytes, 1, STOA_CACHE_BYTES, 1048576, ,                      \
      "of an answer that is kept")                                            \
    F(S, U32, lock_ms, 0, 60000, 5000, ,                                      \
      "how long calls wait for the first that asks for the same; then they "  \
      "ask themselves")                                                       \
    F(S, ENUM, charge_hits, 0, 0, STOA_CACHE_CHARGE_FULL,                     \
      STOA_WORDS(stoa_policy_cache_charges),                                  \
      "what a call uses up of rate and quotas that a kept answer is for: as " \
      "any, or nothing")                                                      \
    F(S, BOOL, status_header, 0, 1, 1, ,                                      \
      "answers say in Cache-Status what became of the call (RFC 9211)")


#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_cache_charges[] = {
    { "full", STOA_CACHE_CHARGE_FULL },
    { "none", STOA_CACHE_CHARGE_NONE },
    { NULL, 0 }
};

static bool
stoa_policy_cache_argument_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] == '&' || s[i] == '=' || s[i] == '#'
            || (s[i] == '*' && i != len - 1) || (unsigned char) s[i] > '~')
        {
            return false;
        }
    }

    return len > 0 && len <= 64;
}

static bool
stoa_policy_cache_header_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] >= 'A' && s[i] <= 'Z') {
            return false;
        }
    }

    return len <= 64 && stoa_policy_token_valid(s, len);
}

#endif


STOA_POLICY_STRUCT(cache, STOA_POLICY_CACHE)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_cache = {
    .name = "cache", .id = 60, .version = 2, .order = STOA_ORDER_TRANSFORM,
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_API|STOA_ON_OPERATION,
    .config = &stoa_policy_cache_struct,
    .doc = "keeps answers of REST upstreams to GET, and uses them again, as "
           "RFC 9111 says; those to a caller with a credential for that "
           "caller alone, unless they are public; the narrowest counts"
};

#endif


#endif /* STOA_POLICY_CACHE_H */
