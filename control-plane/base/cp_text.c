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
cp_text_cut(const char *s, size_t max)
{
    size_t  n;

    n = strnlen(s, max);

    while (n && ((uint8_t) s[n] & 0xc0) == 0x80) {
        n--;
    }

    return n;
}
