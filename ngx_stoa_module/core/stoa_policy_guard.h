/*
 * guardrail: personal data and secrets in what is sent and what is answered,
 * words in answers that speak to a model.
 */

#ifndef STOA_POLICY_GUARD_H
#define STOA_POLICY_GUARD_H


#include "stoa_guard.h"
#include "stoa_key.h"
#include "stoa_pattern.h"
#include "stoa_policy.h"


typedef enum { STOA_GUARD_BLOCK = 0, STOA_GUARD_MASK } stoa_guard_action_e;

#define STOA_GUARD_PATTERN_LEN  512

#define STOA_POLICY_GUARD_OWN(F, S)                                           \
    F(S, STRING, name, 1, STOA_NAME_MAX, 0,                                   \
      STOA_VALID(stoa_name_valid, "must be a name") STOA_REQUIRED,            \
      "for people")                                                           \
    F(S, STRING, pattern, 1, STOA_GUARD_PATTERN_LEN, 0, STOA_REQUIRED,        \
      "what RE2 and ECMA-262 have in common (docs/policies.md); nothing in "  \
      "it backtracks")

#define STOA_POLICY_GUARD(F, S)                                               \
    F(S, STRINGS, look_at, 0, 2, 0,                                           \
      STOA_VALID(stoa_policy_guard_part, "must be request or answer"),        \
      "what is looked through: bodies that are sent, of answers; none: "      \
      "request")                                                              \
    F(S, STRINGS, kinds, 0, 16, 0,                                            \
      STOA_VALID(stoa_policy_guard_kind, "must be mail, phone, card, iban, "  \
                 "national-id, secret or injection"),                         \
      "that are looked for; none: mail, card, iban, secret")                  \
    F(S, STRUCTS, patterns, 0, STOA_GUARD_PATTERNS, 0,                        \
      STOA_ITEMS(guard_own), "that are looked for, too")                      \
    F(S, ENUM, action, 0, 0, STOA_GUARD_BLOCK,                                \
      STOA_WORDS(stoa_policy_guard_actions),                                  \
      "block: the call is refused, its answer withheld; mask: what is found " \
      "is written over, byte by byte, and the rest goes on")                  \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of a request's body, which is kept until it is judged")                \
    F(S, STRINGS, decode, 0, 4, 0,                                            \
      STOA_VALID(stoa_policy_guard_decode, "must be percent, entities, "      \
                 "unicode or base64"),                                        \
      "what is read as what it stands for, beside escapes of JSON and forms: "\
      "%40; &#64;; other writings of ASCII and what is not seen; runs of "    \
      "base64, once")

#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_guard_actions[] = {
    { "block", STOA_GUARD_BLOCK },
    { "mask", STOA_GUARD_MASK },
    { NULL, 0 }
};

static bool
stoa_policy_guard_part(const char *s, size_t len)
{
    return (len == 7 && memcmp(s, "request", 7) == 0)
           || (len == 6 && memcmp(s, "answer", 6) == 0);
}

static bool
stoa_policy_guard_decode(const char *s, size_t len)
{
    return stoa_guard_decode(s, len) != 0;
}

#endif

STOA_POLICY_STRUCT(guard_own, STOA_POLICY_GUARD_OWN)
STOA_POLICY_STRUCT(guard, STOA_POLICY_GUARD)


#ifdef STOA_POLICY_TABLES

static const char *
stoa_policy_guard_check(const void *rec, const void *config,
    const char **field)
{
    size_t                         steps;
    uint32_t                       i;
    stoa_rc_t                      rc;
    stoa_buf_t                     b;
    stoa_str_t                     text;
    const char                    *wrong;
    const stoa_policy_guard_t     *guard = config;
    const stoa_policy_guard_own_t *own;

    static _Thread_local char      name[32];

    own = stoa_rec_vec(rec, guard->patterns, stoa_policy_guard_own_t);

    for (i = 0; i < guard->patterns.n; i++) {
        text = stoa_rec_str(rec, own[i].pattern);
        stoa_buf_init(&b, 65536);
        steps = STOA_PATTERN_MAX * 4;
        wrong = "is too large";
        rc = stoa_pattern_compile(text.data, text.len, &b, &wrong);

        if (rc == STOA_OK) {
            wrong = stoa_pattern_found(b.data, "", 0, false, &steps)
                    ? "must not fit a text that is empty" : NULL;
        }

        stoa_buf_free(&b);

        if (wrong) {
            (void) snprintf(name, sizeof(name), "patterns[%u].pattern", i);
            *field = name;
            return wrong;
        }
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_guard = {
    .name = "guardrail", .id = 31, .version = 3, .order = STOA_ORDER_LATE,
    .scopes = STOA_ON_ALL & ~(STOA_ON_PLAN|STOA_ON_APPLICATION),
    .flags = STOA_POLICY_BODIES,
    .config = &stoa_policy_guard_struct, .check = stoa_policy_guard_check,
    .doc = "refuses calls (400 guard_denied) whose body, at a tool whose "
           "arguments, have personal data or secrets in them, withholds "
           "answers (502 answer_denied) that do, or masks these"
};

#endif


#endif /* STOA_POLICY_GUARD_H */
