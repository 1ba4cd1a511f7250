/*
 * How a text is read: escapes of JSON and of forms, and, where that is asked
 * for, percents, references of HTML, other writings of ASCII, and what is
 * between letters without being seen.  Each byte of the copy is one or more of
 * the text, so that a mask finds its place.
 */

#include <string.h>

#include "stoa_guard_number.h"
#include "stoa_key.h"


#define STOA_GUARD_POINT   0x80000000u       /* a code point, no byte        */
#define STOA_GUARD_NAME    12                /* of a reference, with & and ; */
#define STOA_GUARD_AGAIN   3                 /* %2525...                     */
#define STOA_GUARD_UNSEEN  0x7f              /* at an end                    */


static size_t stoa_guard_unit(const char *s, size_t len, size_t at,
    unsigned how, uint32_t *ch);
static size_t stoa_guard_byte(const char *s, size_t len, size_t at,
    unsigned how, uint32_t *ch);
static size_t stoa_guard_percent(const char *s, size_t len, size_t at,
    unsigned how, uint32_t *ch);
static size_t stoa_guard_entity(const char *s, size_t len, size_t at,
    unsigned how, uint32_t *ch);
static size_t stoa_guard_utf8(const char *s, size_t len, size_t at,
    unsigned how, uint32_t *ch);
static uint32_t stoa_guard_seen(uint32_t point);


/* Code points that are read as others, in a row from one on; as: 0: as none;
 * digits come ten at a time. */

static const struct {
    uint32_t  from;
    uint32_t  to;
    uint8_t   as;
    uint8_t   every;                         /* 0: all are the same          */
} stoa_guard_points[] = {
    { 0xa0, 0xa0, ' ', 0 },
    { 0xad, 0xad, 0, 0 },                    /* a hyphen that may be         */
    { 0x34f, 0x34f, 0, 0 },
    { 0x660, 0x669, '0', 10 },               /* Arabic                       */
    { 0x6f0, 0x6f9, '0', 10 },
    { 0x966, 0x96f, '0', 10 },               /* Devanagari                   */
    { 0x180e, 0x180e, 0, 0 },
    { 0x2000, 0x200a, ' ', 0 },
    { 0x200b, 0x200f, 0, 0 },                /* widths of zero, directions   */
    { 0x2010, 0x2015, '-', 0 },
    { 0x202a, 0x202e, 0, 0 },
    { 0x202f, 0x202f, ' ', 0 },
    { 0x205f, 0x205f, ' ', 0 },
    { 0x2060, 0x206f, 0, 0 },
    { 0x2212, 0x2212, '-', 0 },
    { 0x3000, 0x3000, ' ', 0 },
    { 0xfe00, 0xfe0f, 0, 0 },                /* variants                     */
    { 0xfe6b, 0xfe6b, '@', 0 },
    { 0xfeff, 0xfeff, 0, 0 },
    { 0xff01, 0xff5e, '!', 94 },             /* full width                   */
    { 0x1d7ce, 0x1d7ff, '0', 10 }            /* mathematical digits          */
};

static const struct {
    const char  *name;
    char         ch;
} stoa_guard_entities[] = {
    { "commat", '@' }, { "period", '.' }, { "plus", '+' }, { "lowbar", '_' },
    { "hyphen", '-' }, { "dash", '-' }, { "num", '#' }, { "percnt", '%' },
    { "nbsp", ' ' }, { "amp", '&' }, { "lt", '<' }, { "gt", '>' },
    { "quot", '"' }, { "apos", '\'' }, { "lpar", '(' }, { "rpar", ')' },
    { "vert", '|' }, { "lsqb", '[' }, { "rsqb", ']' }, { "sol", '/' }
};


/* With which bytes begins what may be written in several? */

static const bool  stoa_guard_begins[256] = {
    ['\\'] = true, ['%'] = true, ['&'] = true, ['+'] = true,
    [STOA_GUARD_UNSEEN] = true,
    [0xc2] = true, [0xcd] = true, [0xd9] = true, [0xdb] = true,
    [0xe0] = true, [0xe1] = true, [0xe2] = true, [0xe3] = true,
    [0xef] = true, [0xf0] = true              /* rows of stoa_guard_points   */
};


unsigned
stoa_guard_decode(const char *name, size_t len)
{
    unsigned  i;

    static const struct {
        const char  *name;
        unsigned     bit;
    } names[] = {
        { "percent", STOA_GUARD_PERCENT },
        { "entities", STOA_GUARD_ENTITIES },
        { "unicode", STOA_GUARD_UNICODE },
        { "base64", STOA_GUARD_BASE64 }
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i].name) == len
            && memcmp(names[i].name, name, len) == 0)
        {
            return names[i].bit;
        }
    }

    return 0;
}


bool
stoa_guard_plain(const char *s, size_t len, unsigned how)
{
    size_t    i;
    uint64_t  v, high;

    if ((!(how & (STOA_GUARD_FORM|STOA_GUARD_BARE)) && memchr(s, '\\', len))
        || ((how & (STOA_GUARD_FORM|STOA_GUARD_PERCENT))
            && memchr(s, '%', len))
        || ((how & STOA_GUARD_FORM) && memchr(s, '+', len))
        || ((how & STOA_GUARD_ENTITIES) && memchr(s, '&', len)))
    {
        return false;
    }

    if (!(how & STOA_GUARD_UNICODE)) {
        return true;
    }

    if ((how & STOA_GUARD_BARE) && memchr(s, STOA_GUARD_UNSEEN, len)) {
        return false;
    }

    for (i = 0, high = 0; len - i >= sizeof(v); i += sizeof(v)) {
        memcpy(&v, s + i, sizeof(v));
        high |= v;
    }

    for ( /* void */ ; i < len; i++) {
        high |= s[i] & 0x80 ? UINT64_MAX : 0;
    }

    return (high & UINT64_C(0x8080808080808080)) == 0;
}


size_t
stoa_guard_fold(const char *s, size_t len, unsigned how, char *dst)
{
    size_t    i, n;
    uint32_t  ch;

    for (i = 0, n = 0; i < len; n++) {

        if (!stoa_guard_begins[(uint8_t) s[i]]) {
            dst[n] = s[i++];
            continue;
        }

        i += stoa_guard_unit(s, len, i, how, &ch);
        dst[n] = (char) ch;
    }

    return n;
}


void
stoa_guard_mask(stoa_guard_pos_t *pos, char *s, size_t len, unsigned how,
    const stoa_guard_hit_t *hit)
{
    size_t    n;
    uint32_t  ch;

    for ( /* void */ ; pos->at < len && pos->folded < hit->to;
         pos->folded++, pos->at += n)
    {
        n = stoa_guard_unit(s, len, pos->at, how, &ch);

        if (n == 1 && s[pos->at] == '"') {
            pos->string = !pos->string;
        }

        if (pos->folded >= hit->from) {
            memset(s + pos->at,
                   pos->json && !pos->string && stoa_guard_digit((char) ch)
                   ? '9' : '*', n);
        }
    }
}


/* How many bytes of s are one in the copy, and which. */

static size_t
stoa_guard_unit(const char *s, size_t len, size_t at, unsigned how,
    uint32_t *ch)
{
    size_t    n, more;
    uint32_t  next;

    n = stoa_guard_utf8(s, len, at, how, ch);

    if (*ch != STOA_GUARD_POINT) {
        return n;
    }

    /* what nobody sees goes with what is behind it, but for the end of a text:
     * that has to be told from one inside of it */

    for (next = STOA_GUARD_POINT; at + n < len && next == STOA_GUARD_POINT;
         n += more)
    {
        more = stoa_guard_utf8(s, len, at + n, how, &next);

        if (next == '"') {
            break;
        }
    }

    *ch = next == STOA_GUARD_POINT || next == '"' ? STOA_GUARD_UNSEEN : next;

    return n;
}


/* A character that is written in several bytes, where it is read as another
 * one; as POINT where it is read as none. */

static size_t
stoa_guard_utf8(const char *s, size_t len, size_t at, unsigned how,
    uint32_t *ch)
{
    size_t    n, i, more, last;
    uint32_t  point, next;

    n = stoa_guard_entity(s, len, at, how, ch);

    if (!(how & STOA_GUARD_UNICODE) || *ch < STOA_GUARD_UNSEEN) {
        return n;
    }

    if (*ch == STOA_GUARD_UNSEEN) {
        *ch = how & STOA_GUARD_BARE ? STOA_GUARD_POINT : *ch;
        return n;                            /* of a part that was read      */
    }

    point = *ch & ~STOA_GUARD_POINT;
    last = n;

    if (*ch & STOA_GUARD_POINT) {
        more = point >= 0xd800 && point < 0xdc00 && at + n < len
               ? stoa_guard_entity(s, len, at + n, how, &next) : 0;
        next = more ? next & ~STOA_GUARD_POINT : 0;

        if (next >= 0xdc00 && next < 0xe000) {
            point = 0x10000 + ((point - 0xd800) << 10) + (next - 0xdc00);
            last += more;
        }

    } else if (point >= 0xc2 && point < 0xf5) {
        i = point < 0xe0 ? 1 : point < 0xf0 ? 2 : 3;

        for (point &= 0x3fu >> i; i && at + last < len; i--, last += more) {
            more = stoa_guard_entity(s, len, at + last, how, &next);

            if (next < 0x80 || next > 0xbf) {
                break;
            }

            point = point << 6 | (next & 0x3f);
        }

        if (i) {
            return n;
        }

    } else {
        return n;
    }

    next = stoa_guard_seen(point);

    if (next != 0x80) {
        *ch = next;
        return last;
    }

    /* a tag, of which nothing is seen, has a byte that no text has */

    if (*ch & STOA_GUARD_POINT) {
        point = *ch & ~STOA_GUARD_POINT;
        *ch = point == 0xdb40 ? 0xff : point < 0x100 ? point : 0x80;
    }

    return n;
}


/* 0x80: as itself. */

static uint32_t
stoa_guard_seen(uint32_t point)
{
    unsigned  i;

    for (i = 0; i < sizeof(stoa_guard_points) / sizeof(stoa_guard_points[0]);
         i++)
    {
        if (point <= stoa_guard_points[i].to) {
            break;
        }
    }

    if (i == sizeof(stoa_guard_points) / sizeof(stoa_guard_points[0])
        || point < stoa_guard_points[i].from)
    {
        return 0x80;
    }

    if (stoa_guard_points[i].as == 0) {
        return STOA_GUARD_POINT;
    }

    point -= stoa_guard_points[i].from;

    return stoa_guard_points[i].as
           + (stoa_guard_points[i].every
              ? point % stoa_guard_points[i].every : 0);
}


static size_t
stoa_guard_entity(const char *s, size_t len, size_t at, unsigned how,
    uint32_t *ch)
{
    char      name[STOA_GUARD_NAME];
    size_t    n, i, k, base;
    uint32_t  c, v;

    n = stoa_guard_percent(s, len, at, how, ch);

    if (!(how & STOA_GUARD_ENTITIES) || *ch != '&') {
        return n;
    }

    for (i = 0, k = n, c = 0; i < sizeof(name) && at + k < len; i++) {
        k += stoa_guard_percent(s, len, at + k, how, &c);

        if (c == ';' || c >= 0x80) {
            break;
        }

        name[i] = (char) c;
    }

    if (c != ';' || i < 2 || i == sizeof(name)) {
        return n;
    }

    name[i] = '\0';

    if (name[0] != '#') {
        for (i = 0; i < sizeof(stoa_guard_entities)
                        / sizeof(stoa_guard_entities[0]); i++)
        {
            if (strcmp(name, stoa_guard_entities[i].name) == 0) {
                *ch = (uint8_t) stoa_guard_entities[i].ch;
                return k;
            }
        }

        return n;
    }

    base = (name[1] | 0x20) == 'x' ? 16 : 10;

    for (i = base == 16 ? 2 : 1, v = 0; name[i]; i++) {
        c = (uint32_t) stoa_guard_digit(name[i]) ? (uint32_t) (name[i] - '0')
            : (uint32_t) (name[i] | 0x20) - 'a' + 10;

        if (c >= base || v > 0x10ffff) {
            return n;
        }

        v = (uint32_t) (v * base + c);
    }

    if (v == 0 || v > 0x10ffff) {
        return n;
    }

    *ch = v < 0x80 ? v : v | STOA_GUARD_POINT;

    if (!(how & STOA_GUARD_UNICODE)) {
        *ch = v < 0x80 ? v : 0x80;
    }

    return k;
}


static size_t
stoa_guard_percent(const char *s, size_t len, size_t at, unsigned how,
    uint32_t *ch)
{
    char      hex[2];
    size_t    n, k;
    uint8_t   byte[1];
    uint32_t  c;
    unsigned  again;

    n = stoa_guard_byte(s, len, at, how, ch);

    for (again = 0; (how & STOA_GUARD_PERCENT) && *ch == '%'
                    && again < STOA_GUARD_AGAIN; again++)
    {
        k = n;
        c = 0;

        if (at + k < len) {
            k += stoa_guard_byte(s, len, at + k, how, &c);
        }

        hex[0] = (char) c;

        if (at + k >= len) {
            return n;
        }

        k += stoa_guard_byte(s, len, at + k, how, &c);
        hex[1] = (char) c;

        if (!stoa_hex_decode(hex, 2, byte)) {
            return n;
        }

        *ch = byte[0];
        n = k;
    }

    return n;
}


/* Escapes of JSON, or of a form. */

static size_t
stoa_guard_byte(const char *s, size_t len, size_t at, unsigned how,
    uint32_t *ch)
{
    uint8_t   byte[2];
    uint32_t  point;

    *ch = (uint8_t) s[at];

    if (how & STOA_GUARD_FORM) {
        if (s[at] == '+') {
            *ch = ' ';
        }

        if (s[at] != '%' || len - at < 3
            || !stoa_hex_decode(s + at + 1, 2, byte))
        {
            return 1;
        }

        *ch = byte[0];
        return 3;
    }

    if (s[at] != '\\' || len - at < 2 || (how & STOA_GUARD_BARE)) {
        return 1;
    }

    *ch = (uint8_t) s[at + 1];

    switch (s[at + 1]) {

    case 'u':
        if (len - at < 6 || !stoa_hex_decode(s + at + 2, 4, byte)) {
            return 1;
        }

        point = (uint32_t) byte[0] << 8 | byte[1];

        if (how & STOA_GUARD_UNICODE) {
            *ch = point < 0x80 ? point : point | STOA_GUARD_POINT;

        } else {
            *ch = point >> 8 == 0xdb && byte[1] == 0x40 ? 0xff
                  : point < 0x100 ? point : 0x80;
        }

        return 6;

    case 'n':
    case 'r':
        *ch = '\n';
        return 2;

    case 't':
    case 'b':
    case 'f':
        *ch = ' ';
        return 2;

    default:
        return 2;
    }
}
