/*
 * Values of a text that has passed stoa_json_check(): iteration, strings,
 * integers.  Nothing is checked again here.
 */

#include <string.h>

#include "stoa_json.h"


#define stoa_json_space(c)                                                    \
    ((c) == ' ' || (c) == '\n' || (c) == '\r' || (c) == '\t')


static const char *stoa_json_load(const char *p, stoa_json_val_t *val);
static const char *stoa_json_skip_string(const char *p, bool *escaped);
static const char *stoa_json_skip_container(const char *p);
static const char *stoa_json_skip_number(const char *p);
static size_t stoa_json_decode(const char **pp, char *dst);
static uint32_t stoa_json_hex4(const char *p);
static const char *stoa_json_digits(const char *p, const char *end);


bool
stoa_json_first(const stoa_json_val_t *container, stoa_json_iter_t *it,
    stoa_json_val_t *key, stoa_json_val_t *val)
{
    if (container->type < STOA_JSON_ARRAY) {
        return false;
    }

    it->p = container->start + 1;
    it->end = container->end - 1;

    return stoa_json_next(it, key, val);
}


bool
stoa_json_next(stoa_json_iter_t *it, stoa_json_val_t *key,
    stoa_json_val_t *val)
{
    const char       *p;
    stoa_json_val_t   skipped;

    p = it->p;

    while (stoa_json_space(*p) || *p == ',') {
        p++;
    }

    if (p == it->end) {
        it->p = p;
        return false;
    }

    /* the closing bracket says what the container is */

    if (*it->end == '}') {
        p = stoa_json_load(p, key ? key : &skipped);

        while (stoa_json_space(*p) || *p == ':') {
            p++;
        }
    }

    it->p = stoa_json_load(p, val);

    return true;
}


bool
stoa_json_get(const stoa_json_val_t *object, const char *name,
    stoa_json_val_t *val)
{
    bool              found;
    size_t            len;
    stoa_json_val_t   key;
    stoa_json_iter_t  it;

    if (object->type != STOA_JSON_OBJECT) {
        return false;
    }

    len = strlen(name);

    for (found = stoa_json_first(object, &it, &key, val);
         found;
         found = stoa_json_next(&it, &key, val))
    {
        if (stoa_json_eq(&key, name, len)) {
            return true;
        }
    }

    return false;
}


/* Reads the value at p; returns where it ends. */

static const char *
stoa_json_load(const char *p, stoa_json_val_t *val)
{
    val->start = p;
    val->escaped = false;

    switch (*p) {

    case '"':
        val->type = STOA_JSON_STRING;
        p = stoa_json_skip_string(p, &val->escaped);
        break;

    case '{':
        val->type = STOA_JSON_OBJECT;
        p = stoa_json_skip_container(p);
        break;

    case '[':
        val->type = STOA_JSON_ARRAY;
        p = stoa_json_skip_container(p);
        break;

    case 't':
        val->type = STOA_JSON_TRUE;
        p += 4;
        break;

    case 'f':
        val->type = STOA_JSON_FALSE;
        p += 5;
        break;

    case 'n':
        val->type = STOA_JSON_NULL;
        p += 4;
        break;

    default:
        val->type = STOA_JSON_NUMBER;
        p = stoa_json_skip_number(p);
    }

    val->end = p;

    return p;
}


static const char *
stoa_json_skip_string(const char *p, bool *escaped)
{
    for (p++; *p != '"'; p++) {
        if (*p == '\\') {
            *escaped = true;
            p++;
        }
    }

    return p + 1;
}


static const char *
stoa_json_skip_container(const char *p)
{
    bool      escaped;
    unsigned  depth;

    depth = 0;

    for ( ;; ) {
        switch (*p++) {

        case '"':
            p = stoa_json_skip_string(p - 1, &escaped);
            break;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            if (--depth == 0) {
                return p;
            }
        }
    }
}


/* A number that is iterated is inside a container, whose end ends it. */

static const char *
stoa_json_skip_number(const char *p)
{
    while (*p != ',' && *p != '}' && *p != ']' && !stoa_json_space(*p)) {
        p++;
    }

    return p;
}


bool
stoa_json_eq(const stoa_json_val_t *string, const char *s, size_t len)
{
    char         c[4];
    size_t       n;
    const char  *p, *end;

    if (string->type != STOA_JSON_STRING) {
        return false;
    }

    p = string->start + 1;
    end = string->end - 1;

    if (!string->escaped) {
        return (size_t) (end - p) == len && memcmp(p, s, len) == 0;
    }

    while (p < end) {
        n = stoa_json_decode(&p, c);

        if (n > len || memcmp(c, s, n) != 0) {
            return false;
        }

        s += n;
        len -= n;
    }

    return len == 0;
}


bool
stoa_json_same(const stoa_json_val_t *a, const stoa_json_val_t *b)
{
    char         x[4], y[4];
    size_t       n;
    const char  *p, *q, *p_end, *q_end;

    p = a->start + 1;
    p_end = a->end - 1;
    q = b->start + 1;
    q_end = b->end - 1;

    while (p < p_end && q < q_end) {
        n = stoa_json_decode(&p, x);

        if (stoa_json_decode(&q, y) != n || memcmp(x, y, n) != 0) {
            return false;
        }
    }

    return p == p_end && q == q_end;
}


size_t
stoa_json_unescape(const stoa_json_val_t *string, char *dst)
{
    char        *to;
    size_t       n;
    const char  *p, *end, *slash;

    to = dst;
    p = string->start + 1;
    end = string->end - 1;

    while (p < end) {
        slash = string->escaped ? memchr(p, '\\', (size_t) (end - p)) : NULL;
        n = (size_t) ((slash ? slash : end) - p);

        memcpy(to, p, n);
        to += n;
        p += n;

        if (slash) {
            to += stoa_json_decode(&p, to);
        }
    }

    return (size_t) (to - dst);
}


/* Writes the next character, plain or escaped, as UTF-8. */

static size_t
stoa_json_decode(const char **pp, char *dst)
{
    char         c[4];
    size_t       n;
    uint32_t     u;
    const char  *p;

    p = *pp;

    if (p[0] != '\\') {
        u = (unsigned char) p[0];
        n = (u < 0x80) ? 1 : (u < 0xe0) ? 2 : (u < 0xf0) ? 3 : 4;
        memcpy(dst, p, n);
        *pp = p + n;

        return n;
    }

    u = stoa_json_escaped(pp);

    if (u < 0x80) {
        dst[0] = (char) u;
        return 1;
    }

    n = (u < 0x800) ? 2 : (u < 0x10000) ? 3 : 4;

    c[0] = (char) ((0xf00 >> n) | u >> (6 * (n - 1)));
    c[1] = (char) (0x80 | (u >> (6 * (n - 2)) & 0x3f));
    c[2] = (char) (0x80 | (u >> (n == 4 ? 6 : 0) & 0x3f));
    c[3] = (char) (0x80 | (u & 0x3f));
    memcpy(dst, c, n);

    return n;
}


uint32_t
stoa_json_escaped(const char **pp)
{
    uint32_t     u;
    const char  *p, *at;

    static const char  from[] = "bfnrt", to[] = "\b\f\n\r\t";

    p = *pp;

    if (p[1] != 'u') {
        at = strchr(from, p[1]);
        *pp += 2;

        return (unsigned char) (at ? to[at - from] : p[1]);
    }

    u = stoa_json_hex4(p + 2);
    *pp += 6;

    if (u >= 0xd800 && u <= 0xdfff) {
        u = 0x10000 + ((u - 0xd800) << 10) + (stoa_json_hex4(p + 8) - 0xdc00);
        *pp += 6;
    }

    return u;
}


static uint32_t
stoa_json_hex4(const char *p)
{
    uint32_t  i, c, v;

    v = 0;

    for (i = 0; i < 4; i++) {
        c = (unsigned char) p[i];
        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }

    return v;
}


stoa_rc_t
stoa_json_int(const stoa_json_val_t *number, int64_t *out)
{
    bool         minus;
    uint64_t     v, max;
    unsigned     d;
    const char  *p;

    if (number->type != STOA_JSON_NUMBER) {
        return STOA_DECLINED;
    }

    p = number->start;
    minus = (*p == '-');
    p += minus;
    max = (uint64_t) INT64_MAX + minus;

    for (v = 0; p < number->end; p++) {
        d = (unsigned) (*p - '0');

        if (d > 9 || v > (max - d) / 10) {
            return STOA_DECLINED;
        }

        v = v * 10 + d;
    }

    *out = minus ? (int64_t) (0 - v) : (int64_t) v;

    return STOA_OK;
}


const char *
stoa_json_number_end(const char *p, const char *end)
{
    const char  *from;

    from = p + (p < end && *p == '-');
    p = stoa_json_digits(from, end);

    if (p == from || (*from == '0' && p - from > 1)) {
        return NULL;
    }

    if (p < end && *p == '.') {
        from = p + 1;
        p = stoa_json_digits(from, end);

        if (p == from) {
            return NULL;
        }
    }

    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        from = p + (p < end && (*p == '+' || *p == '-'));
        p = stoa_json_digits(from, end);

        if (p == from) {
            return NULL;
        }
    }

    return p;
}


static const char *
stoa_json_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


bool
stoa_utf8_valid(const char *s, size_t len)
{
    size_t       n;
    const char  *end;

    end = s + len;

    while (s < end) {
        if ((unsigned char) *s < 0x80) {
            s++;
            continue;
        }

        n = stoa_utf8_char(s, end);
        if (n == 0) {
            return false;
        }

        s += n;
    }

    return true;
}


size_t
stoa_utf8_char(const char *s, const char *end)
{
    size_t         i, n;
    unsigned char  c, lo, hi;

    c = (unsigned char) s[0];
    lo = 0x80;
    hi = 0xbf;

    if (c >= 0xc2 && c <= 0xdf) {
        n = 2;

    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        lo = (c == 0xe0) ? 0xa0 : lo;     /* overlong  */
        hi = (c == 0xed) ? 0x9f : hi;     /* surrogate */

    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        lo = (c == 0xf0) ? 0x90 : lo;     /* overlong  */
        hi = (c == 0xf4) ? 0x8f : hi;     /* > U+10FFFF */

    } else {
        return 0;
    }

    if ((size_t) (end - s) < n) {
        return 0;
    }

    for (i = 1; i < n; i++) {
        c = (unsigned char) s[i];

        if (c < lo || c > hi) {
            return 0;
        }

        lo = 0x80;
        hi = 0xbf;
    }

    return n;
}


bool
stoa_json_text(const stoa_json_val_t *val, stoa_str_t *text)
{
    if (val->type != STOA_JSON_STRING || val->escaped) {
        return false;
    }

    text->data = val->start + 1;
    text->len = (size_t) (val->end - val->start) - 2;

    return true;
}


bool
stoa_json_uint(const stoa_json_val_t *val, uint64_t *n)
{
    int64_t  i;

    if (val->type != STOA_JSON_NUMBER || stoa_json_int(val, &i) != STOA_OK
        || i < 0)
    {
        return false;
    }

    *n = (uint64_t) i;

    return true;
}


bool
stoa_json_get_text(const stoa_json_val_t *object, const char *name,
    stoa_str_t *text)
{
    stoa_json_val_t  val;

    return stoa_json_get(object, name, &val) && stoa_json_text(&val, text);
}


bool
stoa_json_get_uint(const stoa_json_val_t *object, const char *name,
    uint64_t *n)
{
    stoa_json_val_t  val;

    return stoa_json_get(object, name, &val) && stoa_json_uint(&val, n);
}


void
stoa_json_compact(const stoa_json_val_t *val, stoa_buf_t *b)
{
    bool         string;
    const char  *p, *from;

    string = false;
    from = val->start;

    for (p = val->start; p < val->end; p++) {

        if (*p == '"') {
            string = !string;

        } else if (string) {
            p += *p == '\\';

        } else if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r') {
            stoa_buf_add(b, from, (size_t) (p - from));
            from = p + 1;
        }
    }

    stoa_buf_add(b, from, (size_t) (val->end - from));
}
