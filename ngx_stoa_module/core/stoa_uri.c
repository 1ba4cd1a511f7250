/*
 * Templates of URIs, matched without going back: what is kept is the set of
 * places that the template read so far can end at.
 */

#include <string.h>

#include "stoa_key.h"
#include "stoa_uri.h"


typedef struct {
    size_t  len;
    bool    at[STOA_URI_MAX + 1];
} stoa_uri_places_t;


static bool stoa_uri_literal(stoa_uri_places_t *p, const char *uri,
    const char *s, size_t len);
static void stoa_uri_variable(stoa_uri_places_t *p, const char *uri,
    const char *expr, size_t len);
static char *stoa_uri_authority(const char *s, const char *end, bool tls,
    char *d);
static char *stoa_uri_path(const char *s, const char *end, char *d);
static char *stoa_uri_char(const char **s, const char *end, char *d);
static char *stoa_uri_escape(int c, char *d);


bool
stoa_uri_matches(const char *tmpl, size_t tmpl_len, const char *uri,
    size_t uri_len, size_t *literal)
{
    size_t             n;
    const char        *s, *last, *end;
    stoa_uri_places_t  p;

    *literal = 0;

    if (uri_len > STOA_URI_MAX) {
        return false;
    }

    p.len = uri_len;
    memset(p.at, 0, uri_len + 1);
    p.at[0] = true;

    for (s = tmpl, last = tmpl + tmpl_len; s < last; s = end) {

        if (*s == '{') {
            end = memchr(s, '}', (size_t) (last - s));

            if (end == NULL) {
                return false;
            }

            stoa_uri_variable(&p, uri, s + 1, (size_t) (end - s) - 1);
            end++;
            continue;
        }

        end = memchr(s, '{', (size_t) (last - s));
        end = end ? end : last;
        n = (size_t) (end - s);
        *literal += n;

        if (!stoa_uri_literal(&p, uri, s, n)) {
            return false;
        }
    }

    return p.at[uri_len];
}


static bool
stoa_uri_literal(stoa_uri_places_t *p, const char *uri, const char *s,
    size_t len)
{
    bool    any, hit;
    size_t  i;

    any = false;

    for (i = p->len + 1; i-- > 0; /* void */) {
        hit = i >= len && p->at[i - len]
              && memcmp(uri + i - len, s, len) == 0;
        p->at[i] = hit;
        any = any || hit;
    }

    return any;
}


/* From each place as far as its characters go; it may be empty. */

static void
stoa_uri_variable(stoa_uri_places_t *p, const char *uri, const char *expr,
    size_t len)
{
    bool    wide, on;
    size_t  i;

    wide = len > 0 && (strchr("+#/?&.;", expr[0]) != NULL
                       || expr[len - 1] == '*');
    on = false;

    for (i = 0; i <= p->len; i++) {
        on = (on && (wide || strchr("/?#", uri[i - 1]) == NULL)) || p->at[i];
        p->at[i] = on;
    }
}


size_t
stoa_uri_alias(const char *api, size_t api_len, const char *uri, size_t len,
    char *dst)
{
    char    *d;
    size_t   i;

    d = dst;
    memcpy(d, STOA_URI_ALIAS, sizeof(STOA_URI_ALIAS) - 1);
    d += sizeof(STOA_URI_ALIAS) - 1;
    memcpy(d, api, api_len);
    d += api_len;
    *d++ = '/';

    for (i = 0; i < len; i++) {
        d = stoa_uri_escape((unsigned char) uri[i], d);
    }

    return (size_t) (d - dst);
}


bool
stoa_uri_endpoint(stoa_str_t *rest, bool tls, const stoa_str_t *host,
    stoa_str_t *base)
{
    size_t       i, n;
    const char  *scheme;

    for (i = 0; i < rest->len; i++) {
        if (rest->data[i] <= ' ' || rest->data[i] > '~'
            || rest->data[i] == '#' || rest->data[i] == '\\')
        {
            return false;
        }
    }

    scheme = tls ? "https://" : "http://";
    i = strlen(scheme);
    n = i + host->len;

    if (rest->len > n
        && strncasecmp(rest->data, scheme, i) == 0
        && strncasecmp(rest->data + i, host->data, host->len) == 0
        && (rest->data[n] == '/' || rest->data[n] == '?'))
    {
        rest->data += n;
        rest->len -= n;
        base->len = 0;

    } else if (rest->len > 4 && strncasecmp(rest->data, "http", 4) == 0
               && memmem(rest->data, rest->len, "://", 3))
    {
        return false;
    }

    if (rest->len == 0
        || (rest->len >= 2 && rest->data[0] == '/' && rest->data[1] == '/'))
    {
        return false;
    }

    if (rest->data[0] == '/') {
        base->len = 0;

    } else if (rest->data[0] != '?') {
        while (base->len && base->data[base->len - 1] != '/') {
            base->len--;
        }
    }

    return true;
}


size_t
stoa_uri_normal(const char *s, size_t len, char *dst)
{
    bool         tls;
    char        *d;
    size_t       i, scheme;
    const char  *p, *end, *path;

    tls = len > 8 && strncasecmp(s, "https://", 8) == 0;
    scheme = tls ? 8 : 7;

    if (len <= scheme || (!tls && strncasecmp(s, "http://", 7) != 0)) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] > '~' || s[i] == '\\') {
            return 0;
        }
    }

    p = s + scheme;

    for (end = p; end < s + len && *end != '?' && *end != '#'; end++) {
        /* void */
    }

    path = memchr(p, '/', (size_t) (end - p));
    path = path ? path : end;

    memcpy(dst, tls ? "https://" : "http://", scheme);
    d = stoa_uri_authority(p, path, tls, dst + scheme);
    d = d ? stoa_uri_path(path, end, d) : NULL;

    return d ? (size_t) (d - dst) : 0;
}


/* Host and port, but the scheme's own. */

static char *
stoa_uri_authority(const char *s, const char *end, bool tls, char *d)
{
    size_t       n;
    const char  *port, *own;

    own = tls ? ":443" : ":80";

    for (port = end; port > s && port[-1] >= '0' && port[-1] <= '9'; port--) {
        /* void */
    }

    if (port > s && port[-1] == ':') {
        n = (size_t) (end - --port);

        if (n == 1 || (n == strlen(own) && memcmp(port, own, n) == 0)) {
            end = port;
        }
    }

    if (s == end || *s == ':') {
        return NULL;
    }

    for ( /* void */ ; s < end; s++) {

        if (*s == '@' || *s == '%') {
            return NULL;
        }

        *d++ = (char) (*s >= 'A' && *s <= 'Z' ? *s | 0x20 : *s);
    }

    return d;
}


/* Without segments that are dots; what is escaped and need not be is not. */

static char *
stoa_uri_path(const char *s, const char *end, char *d)
{
    char    *root, *segment;
    size_t   n;

    root = d;
    *d++ = '/';
    segment = d;
    s += s < end;

    while (s < end || d > segment) {

        if (s < end && *s != '/') {
            d = stoa_uri_char(&s, end, d);

            if (d == NULL) {
                return NULL;
            }

            continue;
        }

        n = (size_t) (d - segment);

        if ((n == 1 || n == 2) && memcmp(segment, "..", n) == 0) {
            d = segment;

            if (n == 2 && d - root > 1) {
                for (d--; d[-1] != '/'; d--) { /* void */ }
            }

        } else if (s < end) {
            *d++ = '/';
        }

        if (s == end) {
            break;
        }

        s++;
        segment = d;
    }

    return d;
}


/* One, escaped or not; NULL: an escape that is none. */

static char *
stoa_uri_char(const char **s, const char *end, char *d)
{
    uint8_t      c;
    const char  *p;

    p = *s;

    if (*p != '%') {
        *d++ = *p;
        *s = p + 1;
        return d;
    }

    if (end - p < 3 || !stoa_hex_decode(p + 1, 2, &c)) {
        return NULL;
    }

    *s = p + 3;

    return stoa_uri_escape(c, d);
}


/* But those that need not be. */

static char *
stoa_uri_escape(int c, char *d)
{
    static const char  hex[] = "0123456789ABCDEF";

    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
        || c == '~')
    {
        *d++ = (char) c;
        return d;
    }

    *d++ = '%';
    *d++ = hex[c >> 4];
    *d++ = hex[c & 15];

    return d;
}
