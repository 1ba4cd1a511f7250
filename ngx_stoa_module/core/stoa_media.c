/*
 * Media types and their parameters.
 */

#include <string.h>
#include <strings.h>

#include "stoa_media.h"


/* tchar of RFC 9110, 5.6.2 */

static bool
stoa_media_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}


static size_t
stoa_media_token(const char *p, size_t len)
{
    size_t  n;

    for (n = 0; n < len && stoa_media_token_char(p[n]); n++) { /* void */ }

    return n;
}


static size_t
stoa_media_space(const char *p, size_t len)
{
    size_t  n;

    for (n = 0; n < len && (p[n] == ' ' || p[n] == '\t'); n++) { /* void */ }

    return n;
}


/* The length of a type with its slash, 0: there is none. */

static size_t
stoa_media_type(const char *p, size_t len)
{
    size_t  n, sub;

    n = stoa_media_token(p, len);

    if (n == 0 || n == len || p[n] != '/') {
        return 0;
    }

    sub = stoa_media_token(p + n + 1, len - n - 1);

    return sub ? n + 1 + sub : 0;
}


/* A value, a token or a quoted string: its length, 0: neither.  What it says
 * is in `text` without its quotes; one with a backslash says nothing that is
 * looked for here, so that it is no value. */

static size_t
stoa_media_value(const char *p, size_t len, stoa_str_t *text)
{
    size_t  n;

    if (len == 0 || *p != '"') {
        n = stoa_media_token(p, len);
        text->data = p;
        text->len = n;
        return n;
    }

    for (n = 1; n < len && p[n] != '"' && p[n] != '\\'; n++) { /* void */ }

    if (n == len || p[n] != '"') {
        return 0;
    }

    text->data = p + 1;
    text->len = n - 1;

    return n + 1;
}


static bool
stoa_media_params(const char *p, size_t len)
{
    size_t      n, name;
    stoa_str_t  text;

    for ( ;; ) {
        n = stoa_media_space(p, len);
        p += n;
        len -= n;

        if (len == 0) {
            return true;
        }

        if (*p != ';') {
            return false;
        }

        n = 1 + stoa_media_space(p + 1, len - 1);
        p += n;
        len -= n;

        name = stoa_media_token(p, len);

        if (name == 0) {
            continue;                       /* ";" alone may be there       */
        }

        if (name == len || p[name] != '=') {
            return false;
        }

        n = stoa_media_value(p + name + 1, len - name - 1, &text);

        if (n == 0
            || (name == 7 && strncasecmp(p, "charset", 7) == 0
                && (text.len != 5
                    || strncasecmp(text.data, "utf-8", 5) != 0)))
        {
            return false;
        }

        p += name + 1 + n;
        len -= name + 1 + n;
    }
}


bool
stoa_media_is(const char *value, size_t len, const char *type)
{
    size_t  n;

    n = strlen(type);

    return len >= n && strncasecmp(value, type, n) == 0
           && (len == n || stoa_media_params(value + n, len - n));
}


bool
stoa_media_json(const char *value, size_t len)
{
    size_t  n;

    for (n = 0; n < len && value[n] != ';' && value[n] != ' '
         && value[n] != '\t'; n++)
    { /* void */ }

    return n > 4 && strncasecmp(value + n - 4, "json", 4) == 0;
}


bool
stoa_media_utf8(const char *value, size_t len)
{
    size_t  n;

    n = stoa_media_type(value, len);

    return n && stoa_media_params(value + n, len - n);
}


/* As far as the comma that is in no quoted string. */

static size_t
stoa_media_element(const char *p, size_t len)
{
    size_t  n;
    bool    quoted;

    quoted = false;

    for (n = 0; n < len && (quoted || p[n] != ','); n++) {

        if (p[n] == '"') {
            quoted = !quoted;

        } else if (quoted && p[n] == '\\' && n + 1 < len) {
            n++;
        }
    }

    return n;
}


/* Is there a weight among the parameters, and is it 0? */

static bool
stoa_media_never(const char *p, size_t len)
{
    size_t  i, n;

    for (i = 0; i + 2 < len; i++) {

        if (p[i] != ';') {
            continue;
        }

        n = i + 1 + stoa_media_space(p + i + 1, len - i - 1);

        if (n + 2 < len && (p[n] == 'q' || p[n] == 'Q') && p[n + 1] == '=') {
            n += 2;

            while (n < len && (p[n] == '0' || p[n] == '.')) { n++; }

            n += stoa_media_space(p + n, len - n);

            return n == len || p[n] == ';';
        }
    }

    return false;
}


/* How near a range is to a type; 0: it does not fit. */

static int
stoa_media_rank(const char *p, size_t len, const char *type)
{
    size_t  n;

    n = (size_t) (strchr(type, '/') - type) + 1;

    if (len == 3 && memcmp(p, "*/*", 3) == 0) {
        return 1;
    }

    if (len == n + 1 && p[n] == '*' && strncasecmp(p, type, n) == 0) {
        return 2;
    }

    return len == strlen(type) && strncasecmp(p, type, len) == 0
           ? STOA_MEDIA_EXACT : 0;
}


void
stoa_media_accept(const char *value, size_t len, const char *type,
    stoa_media_accept_t *accept)
{
    int     rank;
    bool    taken;
    size_t  n, range, space;

    while (len) {
        n = stoa_media_element(value, len);
        space = stoa_media_space(value, n);
        range = stoa_media_type(value + space, n - space);
        rank = stoa_media_rank(value + space, range, type);

        if (rank && rank >= accept->rank) {
            taken = !stoa_media_never(value + space + range,
                                      n - space - range);
            accept->taken = taken || (rank == accept->rank && accept->taken);
            accept->rank = rank;
        }

        n = n < len ? n + 1 : n;
        value += n;
        len -= n;
    }
}


bool
stoa_media_plain(const char *value, size_t len)
{
    return len == 0 || (len == 8 && strncasecmp(value, "identity", 8) == 0);
}
