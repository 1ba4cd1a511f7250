/*
 * Runs of base64.
 */

#include <string.h>

#include "stoa_guard_base64.h"


#define STOA_GUARD_LINE   60                 /* a run may go on behind one   */
#define STOA_GUARD_NOISE  16                 /* one control byte in so many  */
#define STOA_GUARD_NONE16                                                     \
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0


/* What a character stands for, and one more. */

static const uint8_t  stoa_guard_values[256] = {
    STOA_GUARD_NONE16, STOA_GUARD_NONE16,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 63, 0, 63, 0, 64,
    53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 0, 0, 0, 0, 0, 0,
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 0, 0, 0, 0, 64,
    0, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41,
    42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 0, 0, 0, 0, 0
};


static inline uint32_t
stoa_guard_value64(char ch)
{
    return stoa_guard_values[(uint8_t) ch];
}


bool
stoa_guard_base64_run(const char *s, size_t len, size_t *at, size_t *end)
{
    size_t  i, n, b;

    for (i = *at; len - i >= STOA_GUARD_BASE64_MIN; i = b) {

        /* the last one first: most words are shorter */

        for (b = i + STOA_GUARD_BASE64_MIN;
             b > i && stoa_guard_value64(s[b - 1]); b--) { /* void */ }

        if (b == i) {
            break;
        }
    }

    if (len - i < STOA_GUARD_BASE64_MIN) {
        *at = len;
        return false;
    }

    for (n = i + STOA_GUARD_BASE64_MIN, b = i; n < len; n++) {

        if (stoa_guard_value64(s[n])) {
            continue;
        }

        if (n - b < STOA_GUARD_LINE) {
            break;
        }

        b = n + (s[n] == '\r' && len - n > 1 ? 1 : 0);

        if (s[b] != '\n' || len - b < 2 || !stoa_guard_value64(s[b + 1])) {
            break;
        }

        n = b;
    }

    while (n < len && s[n] == '=') {
        n++;
    }

    *at = i;
    *end = n;

    return true;
}


bool
stoa_guard_base64(const char *s, stoa_guard_chunk_t *c)
{
    char      *d;
    size_t     i, n, back, noise;
    uint32_t   v, bits;

    if (c->next >= c->end) {
        return false;
    }

    c->s = s;
    c->from = c->next;
    d = c->text;
    noise = 0;
    back = c->end;

    for (i = c->from, n = 0, bits = 0; i < c->end; i++) {
        v = stoa_guard_value64(s[i]);

        if (v == 0) {
            continue;                        /* the end of a line            */
        }

        if (n == STOA_GUARD_BASE64_CHUNK - STOA_GUARD_BASE64_OVER) {
            back = i;
        }

        if (n == STOA_GUARD_BASE64_CHUNK) {
            break;
        }

        bits = bits << 6 | (v - 1);

        if (n++ & 3) {
            *d = (char) (bits >> (2 * (3 - ((n - 1) & 3))));
            noise += (uint8_t) *d < ' ' && *d != '\n' && *d != '\r'
                     && *d != '\t';
            d++;
        }
    }

    c->known = c->over ? STOA_GUARD_BASE64_OVER / 4 * 3 : 0;
    c->len = (size_t) (d - c->text);
    c->over = i < c->end;
    c->next = i < c->end ? back : c->end;

    if (noise > c->len / STOA_GUARD_NOISE) {
        c->len = 0;                          /* a picture, or a word         */
    }

    return true;
}


void
stoa_guard_base64_at(stoa_guard_chunk_t *c, size_t from, size_t to)
{
    size_t  i, n;

    from = from / 3 * 4;
    to = (to + 2) / 3 * 4;
    c->hit.from = c->end;
    c->hit.to = c->end;

    for (i = c->from, n = 0; i < c->end; i++) {
        if (stoa_guard_value64(c->s[i]) == 0) {
            continue;
        }

        if (n == from) {
            c->hit.from = i;
        }

        if (++n == to) {
            c->hit.to = i + 1;
            break;
        }
    }
}
