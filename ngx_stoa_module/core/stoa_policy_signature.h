/*
 * require-signature: calls have to be signed (RFC 9421) with a key of the
 * caller's application.
 */

#ifndef STOA_POLICY_SIGNATURE_H
#define STOA_POLICY_SIGNATURE_H


#include "stoa_policy.h"


#define STOA_SIGNATURE_KEYS    64
#define STOA_SIGNATURE_SECRET  16         /* bytes, at least                 */

#define STOA_SIGNATURE_OF(F, S)                                               \
    F(S, STRING, keyid, 1, 128, 0,                                            \
      STOA_VALID(stoa_policy_scope_valid,                                     \
                 "must be visible ASCII without \" and \\") STOA_REQUIRED,    \
      "by which the signature names it")                                      \
    F(S, STRING, application, 1, STOA_NAME_MAX, 0, STOA_REQUIRED,             \
      "whose calls it signs, by name")                                        \
    F(S, STRING, tenant, 0, STOA_NAME_MAX, 0, ,                               \
      "the application's, by name; none: the api's own")

#define STOA_POLICY_SIGNATURE_SECRET(F, S)                                    \
    STOA_SIGNATURE_OF(F, S)                                                   \
    F(S, STRING, secret, 1, 1024, 0, STOA_REQUIRED,                           \
      "${secret:NAME}; its bytes are the key: 16 at least, or it is none")

#define STOA_POLICY_SIGNATURE_KEY(F, S)                                       \
    STOA_SIGNATURE_OF(F, S)                                                   \
    F(S, STRING, public_key, 1, 2048, 0,                                      \
      STOA_VALID(stoa_policy_key_valid, "must be a public key in PEM, of "    \
                 "Ed25519 or of the curve P-256") STOA_REQUIRED,              \
      "a public key in PEM: of Ed25519, or of the curve P-256")

#define STOA_POLICY_SIGNATURE(F, S)                                           \
    F(S, STRUCTS, secrets, 0, STOA_SIGNATURE_KEYS, 0,                         \
      STOA_ITEMS(signature_secret) STOA_SECRET(MUST),                         \
      "keys of hmac-sha256, which both sides have")                           \
    F(S, STRUCTS, keys, 0, STOA_SIGNATURE_KEYS, 0,                            \
      STOA_ITEMS(signature_key),                                              \
      "keys of ed25519 and ecdsa-p256-sha256, of which the application has "  \
      "the private half")                                                     \
    F(S, STRINGS, components, 0, 16, 0,                                       \
      STOA_VALID(stoa_policy_component_valid,                                 \
                 "must be the name of a header in lower case, or one of "     \
                 "@authority, @target-uri, @path, @query, @scheme"),          \
      "that a signature has to cover beside @method, @target-uri (or "        \
      "@authority, @path and @query) and, where there is a body, "            \
      "content-digest")                                                       \
    F(S, U32, max_age_s, 1, 3600, 300, ,                                      \
      "after its time created a signature is good")                           \
    F(S, U32, skew_s, 0, 300, 30, ,                                           \
      "that the client's clock may be ahead")                                 \
    F(S, BOOL, nonce, 0, 1, 0, , "a signature has to have a nonce")           \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 10485760, ,                \
      "of a request's body, which is kept until its digest is known")

STOA_POLICY_STRUCT(signature_secret, STOA_POLICY_SIGNATURE_SECRET)
STOA_POLICY_STRUCT(signature_key, STOA_POLICY_SIGNATURE_KEY)
STOA_POLICY_STRUCT(signature, STOA_POLICY_SIGNATURE)


#ifdef STOA_POLICY_TABLES

/* What is named stands as a single character while it is checked: where one is
 * named all are, so that none is written down. */

static const char *
stoa_policy_signature_check(const void *rec, const void *config,
    const char **field)
{
    uint32_t                               i, named;
    stoa_str_t                             s;
    const stoa_policy_signature_t         *p = config;
    const stoa_policy_signature_secret_t  *of;

    of = stoa_rec_vec(rec, p->secrets, stoa_policy_signature_secret_t);

    for (i = 0, named = 0; i < p->secrets.n; i++) {
        s = stoa_rec_str(rec, of[i].secret);
        named += s.len == 1;
    }

    if (named && named < p->secrets.n) {
        *field = "secrets";
        return "must be of secrets by name: ${secret:NAME}";
    }

    if (p->secrets.n + p->keys.n == 0) {
        *field = "keys";
        return "must have an item, or secrets must";
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_signature = {
    .name = "require-signature", .id = 32, .version = 1,
    .order = STOA_ORDER_SENT, .flags = STOA_POLICY_SINGLE|STOA_POLICY_BODIES,
    .scopes = STOA_ON_API | STOA_ON_MCP_API,
    .config = &stoa_policy_signature_struct,
    .check = stoa_policy_signature_check,
    .doc = "refuses calls (401 signature_invalid) that are not signed by RFC "
           "9421 with a key of the caller's application, whose signature is "
           "old, was shown before, or does not cover what it has to, and "
           "those whose body has another digest (RFC 9530) than was signed"
};

#endif


#endif /* STOA_POLICY_SIGNATURE_H */
