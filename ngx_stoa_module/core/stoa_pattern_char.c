/*
 * Characters of texts, and of the inside of strings of JSON.
 */

#include "stoa_json.h"
#include "stoa_pattern.h"


uint32_t
stoa_pattern_char(const char **p, const char *end, bool escaped)
{
    uint32_t  c;
    unsigned  more;

    if (escaped && **p == '\\') {
        return stoa_json_escaped(p);
    }

    c = (unsigned char) *(*p)++;
    more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

    if (more && (size_t) (end - *p) >= more) {
        for (c &= 0x3fU >> more; more; more--) {
            c = c << 6 | ((unsigned char) *(*p)++ & 0x3f);
        }
    }

    return c;
}
