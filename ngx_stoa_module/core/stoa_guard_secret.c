/*
 * Mail addresses, tokens by how they begin, keys.
 */

#include <string.h>

#include "stoa_guard_number.h"
#include "stoa_key.h"


static bool stoa_guard_token(const char *s, size_t len, size_t floor,
    size_t p, stoa_guard_hit_t *hit);
static bool stoa_guard_jwt(const char *s, size_t len, size_t p,
    stoa_guard_hit_t *hit);
static bool stoa_guard_block(const char *s, size_t len, size_t p,
    stoa_guard_hit_t *hit);


/* Secrets by how they begin; mark: where in it the look begins, at a byte that
 * the pass finds.  '?' is a letter.  What follows is alnum, and `more`. */

static const struct {
    const char  *prefix;
    uint8_t      mark;
    uint8_t      min;                        /* behind the prefix           */
    uint8_t      max;
    const char  *more;
} stoa_guard_tokens[] = {
    { "AKIA", 2, 16, 16, "" },
    { "ASIA", 2, 16, 16, "" },
    { "gh?_", 0, 36, 254, "" },
    { "github_pat_", 5, 22, 254, "_" },
    { "sk_live_", 1, 16, 254, "" },
    { "rk_live_", 1, 16, 254, "" },
    { "xox?-", 0, 10, 254, "-" }
};


/* The end of a run of base64url from i on. */

static size_t
stoa_guard_base64url(const char *s, size_t len, size_t i)
{
    while (i < len && (stoa_guard_alnum(s[i]) || s[i] == '-' || s[i] == '_')) {
        i++;
    }

    return i;
}


bool
stoa_guard_secret(const char *s, size_t len, size_t floor, size_t p,
    size_t *skip, stoa_guard_hit_t *hit)
{
    hit->kind = STOA_GUARD_SECRET;

    switch (s[p]) {

    case '-':
        for (*skip = p; *skip < len && s[*skip] == '-'; (*skip)++) {
            /* void */
        }

        return *skip - p >= 5 && stoa_guard_block(s, len, *skip - 5, hit);

    case 'y':
        return p > floor && s[p - 1] == 'e' && p + 1 < len && s[p + 1] == 'J'
               && (p - 1 == floor
                   || stoa_guard_base64url(s, p - 1, p - 2) == p - 2)
               && stoa_guard_jwt(s, len, p - 1, hit);

    default:
        return stoa_guard_token(s, len, floor, p, hit);
    }
}


static inline bool
stoa_guard_local(char ch)
{
    return stoa_guard_alnum(ch) || ch == '.' || ch == '_' || ch == '-'
           || ch == '+' || ch == '%';
}


bool
stoa_guard_mail(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_hit_t *hit)
{
    size_t  from, i, dot, end;

    if (len - p < 2 || !stoa_guard_alnum(s[p + 1])) {
        return false;
    }

    for (from = p; from > floor && p - from < 64
         && stoa_guard_local(s[from - 1]); from--) { /* void */ }

    while (from < p && !stoa_guard_alnum(s[from])) {
        from++;
    }

    if (from == p || s[p - 1] == '.') {
        return false;
    }

    /* labels; the last one has letters alone */

    for (i = p + 1, dot = 0, end = 0; i < len && i - p < 254; i++) {

        if (s[i] == '.') {

            if (!stoa_guard_alnum(s[i - 1])) {
                break;
            }

            dot = i;

        } else if (!stoa_guard_alnum(s[i]) && s[i] != '-') {
            break;

        } else if (dot && i - dot >= 2 && !stoa_guard_digit(s[dot + 1])
                   && stoa_guard_alnum(s[i]))
        {
            end = i + 1;
        }
    }

    if (end == 0) {
        return false;
    }

    hit->kind = STOA_GUARD_MAIL;
    hit->from = from;
    hit->to = end;

    return true;
}


static bool
stoa_guard_token(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_hit_t *hit)
{
    size_t       i, k, n, from;
    stoa_key_t   key;
    const char  *prefix;

    /* our own say by themselves whether they are one */

    if (s[p] == 'a') {
        if (p - floor < 3 || memcmp(s + p - 3, "stoa", 4) != 0) {
            return false;
        }

        from = p - 3;

        for (n = 0; from + n < len && n < STOA_KEY_MAX
             && (stoa_guard_alnum(s[from + n]) || s[from + n] == '_'); n++)
        { /* void */ }

        hit->from = from;
        hit->to = from + n;

        return stoa_key_parse(s + from, n, &key) == STOA_OK;
    }

    for (i = 0; i < sizeof(stoa_guard_tokens) / sizeof(stoa_guard_tokens[0]);
         i++)
    {
        prefix = stoa_guard_tokens[i].prefix;
        k = stoa_guard_tokens[i].mark;

        if (s[p] != prefix[k] || p - floor < k) {
            continue;
        }

        from = p - k;

        for (n = 0; prefix[n] && from + n < len
             && (s[from + n] == prefix[n]
                 || (prefix[n] == '?' && stoa_guard_alnum(s[from + n]))); n++)
        { /* void */ }

        if (prefix[n] || (from > floor && stoa_guard_alnum(s[from - 1]))) {
            continue;
        }

        for (k = from + n; k < len && k - from - n <= UINT8_MAX
             && (stoa_guard_alnum(s[k])
                 || (s[k] && strchr(stoa_guard_tokens[i].more, s[k])));
             k++)
        { /* void */ }

        hit->from = from;
        hit->to = k;
        k -= from + n;

        return k >= stoa_guard_tokens[i].min && k <= stoa_guard_tokens[i].max;
    }

    return false;
}


/* Two objects of JSON, and a signature. */

static bool
stoa_guard_jwt(const char *s, size_t len, size_t p, stoa_guard_hit_t *hit)
{
    size_t  i, end;

    i = stoa_guard_base64url(s, len, p);

    if (i - p < 10 || len - i < 5 || memcmp(s + i, ".eyJ", 4) != 0) {
        return false;
    }

    end = stoa_guard_base64url(s, len, i + 1);
    hit->from = p;
    hit->to = end;

    if (end < len && s[end] == '.') {
        hit->to = stoa_guard_base64url(s, len, end + 1);
    }

    return true;
}


/* A private key as PEM, as far as it is there; what quotes it is no part. */

static bool
stoa_guard_block(const char *s, size_t len, size_t p, stoa_guard_hit_t *hit)
{
    size_t       i;
    const char  *end, *next;

    static const char  begin[] = "-----BEGIN ";
    static const char  key[] = "PRIVATE KEY";
    static const char  stop[] = "-----END ";

    if (len - p < sizeof(begin) - 1
        || memcmp(s + p, begin, sizeof(begin) - 1) != 0)
    {
        return false;
    }

    for (i = p + sizeof(begin) - 1; i < len && i - p < 64 && s[i] != '-'; i++)
    {
        if (len - i >= sizeof(key) - 1
            && memcmp(s + i, key, sizeof(key) - 1) == 0)
        {
            break;
        }
    }

    if (i == len || i - p >= 64 || s[i] == '-') {
        return false;
    }

    hit->from = p;
    hit->to = len;

    /* no further than its end: many of them are looked through once */

    for (end = s + i; /* void */ ; end = next + 1) {

        for (next = end; next < s + len && *next != '-' && *next != '"';
             next++) { /* void */ }

        if (next == s + len) {
            break;
        }

        if (*next == '"') {
            hit->to = (size_t) (next - s);
            break;
        }

        if ((size_t) (s + len - next) < sizeof(stop) - 1
            || memcmp(next, stop, sizeof(stop) - 1) != 0)
        {
            continue;
        }

        for (i = (size_t) (next - s) + sizeof(stop) - 1;
             i < len && s[i] != '-' && s[i] != '"'; i++) { /* void */ }

        while (i < len && s[i] == '-') {
            i++;
        }

        hit->to = i;
        break;
    }

    return true;
}
