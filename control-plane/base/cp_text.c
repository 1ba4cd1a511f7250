/*
 * Small things about texts.
 */

#include <string.h>

#include "base/cp_util.h"


char *
cp_text_trim(char *s)
{
    char  *end;

    s += strspn(s, " \t\r");
    end = s + strlen(s);

    while (end > s && strchr(" \t\r", end[-1]) != NULL) {
        end--;
    }

    *end = '\0';

    return s;
}


bool
cp_text_ends(const char *s, const char *end)
{
    size_t  len, n;

    len = strlen(s);
    n = strlen(end);

    return len > n && strcmp(s + len - n, end) == 0;
}


size_t
cp_text_control(const char *s)
{
    const uint8_t  *p = (const uint8_t *) s;

    if (p[0] < ' ' || p[0] == 0x7f) {
        return p[0] ? 1 : 0;
    }

    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
        return 2;
    }

    if (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) {
        return 3;
    }

    return p[0] == 0xe2
           && ((p[1] == 0x80 && ((p[2] >= 0xa8 && p[2] <= 0xae)
                                 || p[2] == 0x8b))
               || (p[1] == 0x81 && ((p[2] >= 0xa6 && p[2] <= 0xa9)
                                    || p[2] == 0xa0)))
           ? 3 : 0;
}


size_t
cp_text_cut(const char *s, size_t max)
{
    size_t  n;

    n = strnlen(s, max);

    while (n && ((uint8_t) s[n] & 0xc0) == 0x80) {
        n--;
    }

    return n;
}
