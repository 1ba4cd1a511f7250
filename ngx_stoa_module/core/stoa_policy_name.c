/*
 * Names of headers: which a configuration may name.
 */

#include <string.h>

#include "stoa_policy.h"


/* Of the connection, of the message's framing, of who calls, and what leads a
 * framework or a proxy elsewhere: none of a configuration's business.  With
 * "*": the whole family. */

static const char *const  stoa_policy_reserved[] = {
    "access-control-*", "authorization", "connection", "content-encoding",
    "content-length", "content-type", "cookie", "expect", "host",
    "keep-alive", "mcp-*", "proxy", "proxy-*", "te", "traceparent",
    "trailer", "transfer-encoding", "upgrade", "vary", "x-accel-*",
    "x-api-key", "x-forwarded-*", "x-http-method", "x-http-method-override",
    "x-method-override", "x-original-url", "x-request-id", "x-rewrite-url",
    "x-stoa-*", NULL
};


/* Who forwarded the call: a publisher may tell its upstream, nobody else. */

static const char *const  stoa_policy_claims[] = {
    "cf-connecting-ip", "client-ip", "forwarded", "true-client-ip",
    "x-client-ip", "x-cluster-client-ip", "x-real-ip", NULL
};


/* RFC 9110: a token. */

bool
stoa_policy_token_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z')
              || (s[i] >= 'a' && s[i] <= 'z')
              || (s[i] && strchr("!#$%&'*+-.^_`|~", s[i]))))
        {
            return false;
        }
    }

    return len > 0 && len <= 64;
}


bool
stoa_policy_header_valid(const char *s, size_t len)
{
    return stoa_policy_token_valid(s, len)
           && !stoa_policy_listed(stoa_policy_reserved, s, len);
}


bool
stoa_policy_header_claims(const char *s, size_t len)
{
    return stoa_policy_listed(stoa_policy_claims, s, len);
}


/* Servers fold names in many ways: all characters but letters and digits are
 * one here. */

bool
stoa_policy_listed(const char *const *names, const char *s, size_t len)
{
    char         ch;
    size_t       i;
    const char  *name;

    for ( /* void */ ; *names; names++) {
        name = *names;

        for (i = 0; i < len && *name && *name != '*'; i++, name++) {
            ch = (char) (s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i]);

            if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'))) {
                ch = '-';
            }

            if (ch != *name) {
                break;
            }
        }

        if (*name == '*' || (*name == '\0' && i == len)) {
            return true;
        }
    }

    return false;
}
