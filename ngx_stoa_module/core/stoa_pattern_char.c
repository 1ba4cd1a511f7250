/*
 * Characters of texts, and of the inside of strings of JSON.
 */

#include <string.h>

#include "stoa_pattern.h"


static uint32_t
stoa_pattern_u(const char *p)
{
    char      d;
    uint32_t  c;
    unsigned  i;

    for (i = 0, c = 0; i < 4; i++) {
        d = (char) (p[i] > '9' ? p[i] | 0x20 : p[i]);
        c = c << 4 | (uint32_t) (d <= '9' ? d - '0' : d - 'a' + 10);
    }

    return c;
}


uint32_t
stoa_pattern_char(const char **p, const char *end, bool escaped)
{
    char          e;
    uint32_t      c, low;
    unsigned      more;

    static const char  names[] = "bfnrt";
    static const char  chars[] = "\b\f\n\r\t";

    c = (unsigned char) *(*p)++;

    if (c == '\\' && escaped) {
        e = *(*p)++;

        if (e != 'u') {
            return (unsigned char) (strchr(names, e)
                                    ? chars[strchr(names, e) - names] : e);
        }

        c = stoa_pattern_u(*p);
        *p += 4;

        if (c >= 0xd800 && c < 0xdc00) {
            low = stoa_pattern_u(*p + 2);
            *p += 6;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }

        return c;
    }

    more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

    if (more && (size_t) (end - *p) >= more) {
        for (c &= 0x3fU >> more; more; more--) {
            c = c << 6 | ((unsigned char) *(*p)++ & 0x3f);
        }
    }

    return c;
}
