/*
 * base64url, read strictly.
 */

#include "stoa_base64.h"


void
stoa_base64url_encode(const uint8_t *s, size_t len, char *dst)
{
    size_t    i;
    uint32_t  word, bits;

    static const char  alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz0123456789-_";

    word = 0;
    bits = 0;

    for (i = 0; i < len; i++) {
        word = word << 8 | s[i];

        for (bits += 8; bits >= 6; bits -= 6) {
            *dst++ = alphabet[word >> (bits - 6) & 63];
        }
    }

    if (bits) {
        *dst = alphabet[word << (6 - bits) & 63];
    }
}


static int
stoa_base64url_value(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-' ? 62 : c == '_' ? 63 : -1;
}


bool
stoa_base64url_decode(const char *s, size_t len, uint8_t *dst)
{
    int       value;
    size_t    i;
    uint32_t  word, bits;

    word = 0;
    bits = 0;

    for (i = 0; i < len; i++) {
        value = stoa_base64url_value(s[i]);

        if (value < 0) {
            return false;
        }

        word = word << 6 | (uint32_t) value;
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            *dst++ = (uint8_t) (word >> bits);
        }
    }

    return bits < 6 && (word & ((1u << bits) - 1)) == 0;
}
