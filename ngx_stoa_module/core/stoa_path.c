/*
 * Base paths, prefixes, templates and address ranges.
 */

#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "stoa_path.h"


#define P_PLAIN   0x01        /* a segment of a base path                 */
#define P_TMPL    0x02        /* a literal segment of a template          */
#define P_PARAM   0x04        /* the name in braces                       */

#define P_ALNUM   (P_PLAIN | P_TMPL | P_PARAM)

#define STOA_CIDR_TEXT_MAX  49      /* 45 of an address, "/128"           */


static bool stoa_path_chars(const char *s, size_t len, unsigned mask);
static bool stoa_path_dots(const char *s, size_t len);
static bool stoa_path_param(const char *s, size_t len);
static bool stoa_path_param_seen(const char *s, size_t len,
    const char *param, size_t param_len);
static size_t stoa_path_segment(const char *s, size_t len);
static size_t stoa_path_trim(const char *path, size_t len);
static bool stoa_cidr_bits(const char *s, size_t len, unsigned max,
    uint8_t *bits);
static void stoa_cidr_normal(stoa_cidr_t *c);
static int stoa_cidr_cmp(const void *a, const void *b);


static const uint8_t  stoa_path_classes[256] = {
    ['0' ... '9'] = P_ALNUM, ['A' ... 'Z'] = P_ALNUM, ['a' ... 'z'] = P_ALNUM,
    ['.'] = P_PLAIN | P_TMPL, ['~'] = P_PLAIN | P_TMPL,
    ['_'] = P_ALNUM, ['-'] = P_ALNUM,
    ['!'] = P_TMPL, ['$'] = P_TMPL, ['&'] = P_TMPL, ['\''] = P_TMPL,
    ['('] = P_TMPL, [')'] = P_TMPL, ['*'] = P_TMPL, ['+'] = P_TMPL,
    [','] = P_TMPL, [';'] = P_TMPL, ['='] = P_TMPL, [':'] = P_TMPL,
    ['@'] = P_TMPL,
};

static const uint8_t  stoa_v4_mapped[12] =
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };


bool
stoa_path_base_valid(const char *s, size_t len)
{
    size_t    n, segments;

    if (len == 0 || len > STOA_BASE_PATH_MAX || s[0] != '/') {
        return false;
    }

    if (len == 1) {
        return true;
    }

    for (segments = 1; /* void */; segments++) {
        s++;
        len--;
        n = stoa_path_segment(s, len);

        if (n == 0 || segments > STOA_PATH_SEGMENTS_MAX
            || stoa_path_dots(s, n) || !stoa_path_chars(s, n, P_PLAIN))
        {
            return false;
        }

        if (n == len) {
            return true;
        }

        s += n;
        len -= n;
    }
}


bool
stoa_path_prefix_first(const char *path, size_t path_len, size_t *len)
{
    size_t  i, n;

    if (path_len == 0 || path[0] != '/') {
        return false;
    }

    n = 0;

    for (i = 0; i < path_len; i++) {
        if (path[i] == '/' && ++n > STOA_PATH_SEGMENTS_MAX) {
            break;
        }
    }

    *len = stoa_path_trim(path, i);

    return true;
}


bool
stoa_path_prefix_next(const char *path, size_t *len)
{
    size_t  n;

    n = *len;

    if (n <= 1) {
        return false;
    }

    while (path[n - 1] != '/') {
        n--;
    }

    *len = stoa_path_trim(path, n);

    return true;
}


/* Without trailing slashes, but for the first one. */

static size_t
stoa_path_trim(const char *path, size_t len)
{
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }

    return len;
}


bool
stoa_path_match(const char *tmpl, size_t tmpl_len, const char *path,
    size_t path_len)
{
    size_t       n, m;
    const char  *t, *t_end, *p, *p_end;

    t = tmpl;
    t_end = tmpl + tmpl_len;
    p = path;
    p_end = path + path_len;

    while (t < t_end && p < p_end) {
        if (*t != '/' || *p != '/') {
            return false;
        }

        t++;
        p++;
        n = stoa_path_segment(t, (size_t) (t_end - t));
        m = stoa_path_segment(p, (size_t) (p_end - p));

        if (n && t[0] == '{') {
            if (m == 0) {
                return false;
            }

        } else if (n != m || memcmp(t, p, n) != 0) {
            return false;
        }

        t += n;
        p += m;
    }

    return t == t_end && p == p_end && tmpl_len && path_len;
}


bool
stoa_path_template_valid(const char *s, size_t len)
{
    size_t       i, n, params;
    const char  *start;

    if (len == 0 || len > STOA_TEMPLATE_MAX || s[0] != '/') {
        return false;
    }

    start = s;
    params = 0;

    for (i = 0; i < len; i += n) {
        s = start + ++i;
        n = stoa_path_segment(s, len - i);

        if (n == 0) {
            /* "/orders/" is another path than "/orders" */
            return i == len;
        }

        if (s[0] != '{') {
            if (stoa_path_dots(s, n) || !stoa_path_chars(s, n, P_TMPL)) {
                return false;
            }

            continue;
        }

        if (!stoa_path_param(s, n)
            || ++params > STOA_TEMPLATE_PARAMS_MAX
            || stoa_path_param_seen(start, i, s, n))
        {
            return false;
        }
    }

    return true;
}


/* "{name}" */

static bool
stoa_path_param(const char *s, size_t len)
{
    return len >= 3 && s[len - 1] == '}'
           && stoa_path_chars(s + 1, len - 2, P_PARAM);
}


static bool
stoa_path_param_seen(const char *s, size_t len, const char *param,
    size_t param_len)
{
    size_t  i, n;

    for (i = 1; i < len; i += n + 1) {
        n = stoa_path_segment(s + i, len - i);

        if (n == param_len && memcmp(s + i, param, n) == 0) {
            return true;
        }
    }

    return false;
}


static size_t
stoa_path_segment(const char *s, size_t len)
{
    size_t  n;

    for (n = 0; n < len && s[n] != '/'; n++) { /* void */ }

    return n;
}


static bool
stoa_path_chars(const char *s, size_t len, unsigned mask)
{
    size_t    i;
    unsigned  all;

    all = mask;

    for (i = 0; i < len; i++) {
        all &= stoa_path_classes[(unsigned char) s[i]];
    }

    return all == mask;
}


static bool
stoa_path_dots(const char *s, size_t len)
{
    return s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.'));
}


stoa_rc_t
stoa_cidr_parse(const char *s, size_t len, stoa_cidr_t *out)
{
    char         text[STOA_CIDR_TEXT_MAX + 1];
    size_t       n;
    uint8_t      max;
    const char  *slash;

    if (len == 0 || len > STOA_CIDR_TEXT_MAX || memchr(s, '\0', len)) {
        return STOA_DECLINED;
    }

    slash = memchr(s, '/', len);
    n = slash ? (size_t) (slash - s) : len;

    memcpy(text, s, n);
    text[n] = '\0';
    memset(out, 0, sizeof(stoa_cidr_t));

    if (inet_pton(AF_INET, text, out->addr) == 1) {
        out->family = 4;
        max = 32;

    } else if (inet_pton(AF_INET6, text, out->addr) == 1) {
        out->family = 6;
        max = 128;

    } else {
        return STOA_DECLINED;
    }

    out->bits = max;

    if (slash && !stoa_cidr_bits(slash + 1, len - n - 1, max, &out->bits)) {
        return STOA_DECLINED;
    }

    stoa_cidr_normal(out);

    return STOA_OK;
}


static bool
stoa_cidr_bits(const char *s, size_t len, unsigned max, uint8_t *bits)
{
    size_t    i;
    unsigned  v;

    if (len == 0 || len > 3 || (len > 1 && s[0] == '0')) {
        return false;
    }

    v = 0;

    for (i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }

        v = v * 10 + (unsigned) (s[i] - '0');
    }

    *bits = (uint8_t) v;

    return v <= max;
}


/* One spelling of a range: IPv4 in IPv6 becomes IPv4, bits past the mask 0. */

static void
stoa_cidr_normal(stoa_cidr_t *c)
{
    size_t    i, size;
    unsigned  whole;

    if (c->family == 6 && c->bits >= 96
        && memcmp(c->addr, stoa_v4_mapped, sizeof(stoa_v4_mapped)) == 0)
    {
        memcpy(c->addr, c->addr + 12, 4);
        memset(c->addr + 4, 0, 12);
        c->family = 4;
        c->bits = (uint8_t) (c->bits - 96);
    }

    size = (c->family == 4) ? 4 : 16;
    whole = c->bits / 8;

    for (i = whole; i < size; i++) {
        c->addr[i] &= (i == whole) ? (uint8_t) (0xff00 >> (c->bits % 8)) : 0;
    }
}


bool
stoa_cidr_match(const stoa_cidr_t *c, unsigned family, const uint8_t *addr)
{
    uint8_t   mask;
    unsigned  whole;

    if (c->family == 4 && family == 6
        && memcmp(addr, stoa_v4_mapped, sizeof(stoa_v4_mapped)) == 0)
    {
        family = 4;
        addr += 12;
    }

    if (family != c->family) {
        return false;
    }

    whole = c->bits / 8;

    if (memcmp(c->addr, addr, whole) != 0) {
        return false;
    }

    mask = (uint8_t) (0xff00 >> (c->bits % 8));

    return c->bits % 8 == 0 || ((c->addr[whole] ^ addr[whole]) & mask) == 0;
}


size_t
stoa_cidrs_sort(stoa_cidr_t *c, size_t n)
{
    size_t  i, k;

    if (n == 0) {
        return 0;
    }

    qsort(c, n, sizeof(stoa_cidr_t), stoa_cidr_cmp);

    /* a wider one of two that overlap comes first, and covers all of it */

    for (i = 1, k = 1; i < n; i++) {
        if (c[k - 1].bits > c[i].bits
            || !stoa_cidr_match(&c[k - 1], c[i].family, c[i].addr))
        {
            c[k++] = c[i];
        }
    }

    return k;
}


static int
stoa_cidr_cmp(const void *a, const void *b)
{
    int                 rc;
    const stoa_cidr_t  *x, *y;

    x = a;
    y = b;

    if (x->family != y->family) {
        return x->family < y->family ? -1 : 1;
    }

    rc = memcmp(x->addr, y->addr, sizeof(x->addr));

    return rc ? rc : (int) x->bits - (int) y->bits;
}


/* None overlaps another: only the last that begins at or before it can. */

bool
stoa_cidrs_match(const stoa_cidr_t *c, size_t n, unsigned family,
    const uint8_t *addr)
{
    size_t       low, high, mid;
    stoa_cidr_t  key;

    if (family == 6
        && memcmp(addr, stoa_v4_mapped, sizeof(stoa_v4_mapped)) == 0)
    {
        family = 4;
        addr += 12;
    }

    memset(&key, 0, sizeof(stoa_cidr_t));
    memcpy(key.addr, addr, family == 4 ? 4 : 16);
    key.family = (uint8_t) family;
    key.bits = UINT8_MAX;

    for (low = 0, high = n; low < high; /* void */) {
        mid = low + (high - low) / 2;

        if (stoa_cidr_cmp(&c[mid], &key) < 0) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return low > 0 && stoa_cidr_match(&c[low - 1], family, addr);
}
