/*
 * upstream-credential: what the gateway, and discovery, show an api's upstream
 * to be let in.
 */

#ifndef STOA_POLICY_CREDENTIAL_H
#define STOA_POLICY_CREDENTIAL_H


#include "stoa_policy.h"


enum { STOA_CLIENT_BASIC = 0, STOA_CLIENT_POST };

typedef enum {
    STOA_CREDENTIAL_HEADER = 1, STOA_CREDENTIAL_BASIC, STOA_CREDENTIAL_CLIENT,
    STOA_CREDENTIAL_EXCHANGE
} stoa_credential_e;

#define STOA_POLICY_CREDENTIAL(F, S)                                          \
    F(S, ENUM, kind, 0, 0, 0,                                                 \
      STOA_WORDS(stoa_policy_credential_kinds) STOA_REQUIRED,                 \
      "which; the members below are those of one kind each")                  \
    F(S, ENUM, client_auth, 0, 0, STOA_CLIENT_BASIC,                          \
      STOA_WORDS(stoa_policy_credential_auths),                               \
      "how the token endpoint learns id and secret: as user and password, "   \
      "or in the form")                                                       \
    F(S, STRING, header, 0, 64, 0,                                            \
      STOA_VALID(stoa_policy_credential_header, "must be a header's name, "   \
                 "none of the connection's or the gateway's own"),            \
      "header: its name; Authorization without one")                          \
    F(S, STRING, value, 0, 4096, 0,                                           \
      STOA_VALID(stoa_policy_credential_text, "must be text without "         \
                 "control characters") STOA_SECRET(MUST),                     \
      "header: its value, with ${secret:NAME}")                               \
    F(S, STRING, username, 0, 256, 0,                                         \
      STOA_VALID(stoa_policy_credential_user, "must be text without "         \
                 "control characters and without a colon"),                   \
      "basic")                                                                \
    F(S, STRING, password, 0, 1024, 0,                                        \
      STOA_VALID(stoa_policy_credential_text, "must be text without "         \
                 "control characters") STOA_SECRET(MUST),                     \
      "basic: ${secret:NAME}")                                                \
    F(S, STRING, token_url, 0, 1024, 0,                                       \
      STOA_VALID(stoa_policy_credential_url, "must be a URL with http or "    \
                 "https, without user, fragment or blanks"),                  \
      "the token endpoint of the last two kinds")                             \
    F(S, STRING, client_id, 0, 256, 0,                                        \
      STOA_VALID(stoa_policy_credential_text, "must be text without "         \
                 "control characters"),                                       \
      "who asks there")                                                       \
    F(S, STRING, client_secret, 0, 1024, 0,                                   \
      STOA_VALID(stoa_policy_credential_text, "must be text without "         \
                 "control characters") STOA_SECRET(MUST),                     \
      "there: ${secret:NAME}")                                                \
    F(S, STRING, scope, 0, 1024, 0,                                           \
      STOA_VALID(stoa_policy_credential_text, "must be text without "         \
                 "control characters"),                                       \
      "there: scopes with blanks between")                                    \
    F(S, STRING, audience, 0, 1024, 0,                                        \
      STOA_VALID(stoa_policy_credential_text, "must be text without "         \
                 "control characters"),                                       \
      "there: whom the token is for, as some servers want it")                \
    F(S, STRING, resource, 0, 1024, 0,                                        \
      STOA_VALID(stoa_policy_credential_url, "must be a URL with http or "    \
                 "https, without user, fragment or blanks"),                  \
      "there: the same by RFC 8707")


#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_credential_kinds[] = {
    { "header", STOA_CREDENTIAL_HEADER },
    { "basic", STOA_CREDENTIAL_BASIC },
    { "client_credentials", STOA_CREDENTIAL_CLIENT },
    { "token_exchange", STOA_CREDENTIAL_EXCHANGE },
    { NULL, 0 }
};

static const stoa_rec_word_t  stoa_policy_credential_auths[] = {
    { "basic", STOA_CLIENT_BASIC },
    { "post", STOA_CLIENT_POST },
    { NULL, 0 }
};


static bool
stoa_policy_credential_header(const char *s, size_t len)
{
    static const char *const  credentials[] = { "authorization", "x-api-key",
                                                NULL };

    return stoa_policy_token_valid(s, len)
           && (stoa_policy_header_valid(s, len)
               || stoa_policy_listed(credentials, s, len));
}


static bool
stoa_policy_credential_text(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f) {
            return false;
        }
    }

    return true;
}


static bool
stoa_policy_credential_url(const char *s, size_t len)
{
    size_t  i, n;

    n = len > 7 && memcmp(s, "http://", 7) == 0 ? 7
        : len > 8 && memcmp(s, "https://", 8) == 0 ? 8 : 0;

    for (i = 0; i < len && s[i] > 0x20 && s[i] < 0x7f
                && strchr("@#\\\"<>^`{|}", s[i]) == NULL; i++) { /* void */ }

    return n > 0 && i == len && s[n] != '/';
}


static bool
stoa_policy_credential_user(const char *s, size_t len)
{
    return stoa_policy_credential_text(s, len) && memchr(s, ':', len) == NULL;
}

#endif


STOA_POLICY_STRUCT(credential, STOA_POLICY_CREDENTIAL)


#ifdef STOA_POLICY_TABLES

#define STOA_OF(kind)  (1 << STOA_CREDENTIAL_##kind)
#define STOA_FETCHED   (STOA_OF(CLIENT)|STOA_OF(EXCHANGE))

static const struct {
    const char  *name;
    size_t       at;                  /* of a text                         */
    unsigned     may;                 /* kinds                             */
    unsigned     must;
} stoa_policy_credential_members[] = {

#define STOA_OF_KIND(m, may, must)                                            \
    { #m, offsetof(stoa_policy_credential_t, m), may, must }

    STOA_OF_KIND(header, STOA_OF(HEADER), 0),
    STOA_OF_KIND(value, STOA_OF(HEADER), STOA_OF(HEADER)),
    STOA_OF_KIND(username, STOA_OF(BASIC), STOA_OF(BASIC)),
    STOA_OF_KIND(password, STOA_OF(BASIC), STOA_OF(BASIC)),
    STOA_OF_KIND(token_url, STOA_FETCHED, STOA_FETCHED),
    STOA_OF_KIND(client_id, STOA_FETCHED, STOA_FETCHED),
    STOA_OF_KIND(client_secret, STOA_FETCHED, STOA_FETCHED),
    STOA_OF_KIND(scope, STOA_FETCHED, 0),
    STOA_OF_KIND(audience, STOA_FETCHED, 0),
    STOA_OF_KIND(resource, STOA_FETCHED, 0)
};


/* Nothing is stored that is not used. */

static const char *
stoa_policy_credential_check(const void *rec, const void *config,
    const char **field)
{
    size_t             i;
    unsigned           kind;
    const stoa_ref_t  *s;

    (void) rec;

    kind = 1u << ((const stoa_policy_credential_t *) config)->kind;

    if (((const stoa_policy_credential_t *) config)->client_auth
        && !(kind & STOA_FETCHED))
    {
        *field = "client_auth";
        return "is not of this kind";
    }

    for (i = 0; i < sizeof(stoa_policy_credential_members)
                    / sizeof(stoa_policy_credential_members[0]); i++)
    {
        s = (const stoa_ref_t *) ((const char *) config
                                  + stoa_policy_credential_members[i].at);
        *field = stoa_policy_credential_members[i].name;

        if (s->len && !(stoa_policy_credential_members[i].may & kind)) {
            return "is not of this kind";
        }

        if (s->len == 0 && (stoa_policy_credential_members[i].must & kind)) {
            return "is required for this kind";
        }
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_credential = {
    .name = "upstream-credential", .id = 14, .version = 1,
    .order = STOA_ORDER_TRANSFORM,
    .flags = STOA_POLICY_SINGLE|STOA_POLICY_SHOWN,
    .scopes = STOA_ON_API|STOA_ON_MCP_API,
    .config = &stoa_policy_credential_struct,
    .check = stoa_policy_credential_check,
    .doc = "shows the api's upstream a credential of the gateway's own, with "
           "calls, with what the gateway asks by itself and with discovery"
};

#endif


#endif /* STOA_POLICY_CREDENTIAL_H */
