/*
 * Header values of MCP.
 */

#include <string.h>

#include "stoa_jsonrpc.h"


#define STOA_BASE64_HEAD   "=?base64?"
#define STOA_BASE64_TAIL   "?="


static stoa_rc_t stoa_base64_decode(const char *s, size_t len, char *dst,
    size_t *dst_len);


static const char  stoa_base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";


stoa_rc_t
stoa_mcp_header_decode(const char *s, size_t len, char *dst, size_t *dst_len)
{
    size_t  head, tail;

    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t')) {
        len--;
    }

    while (len && (s[0] == ' ' || s[0] == '\t')) {
        s++;
        len--;
    }

    head = sizeof(STOA_BASE64_HEAD) - 1;
    tail = sizeof(STOA_BASE64_TAIL) - 1;

    if (len < head + tail
        || memcmp(s, STOA_BASE64_HEAD, head) != 0
        || memcmp(s + len - tail, STOA_BASE64_TAIL, tail) != 0)
    {
        memcpy(dst, s, len);
        *dst_len = len;

        return STOA_OK;
    }

    if (stoa_base64_decode(s + head, len - head - tail, dst, dst_len)
        != STOA_OK
        || !stoa_utf8_valid(dst, *dst_len))
    {
        return STOA_DECLINED;
    }

    return STOA_OK;
}


size_t
stoa_mcp_header_encode(const char *s, size_t len, char *dst)
{
    bool           safe;
    char          *d;
    size_t         i, n;
    uint32_t       bits;

    safe = len > 0 && s[0] != ' ' && s[len - 1] != ' '
           && (len < sizeof(STOA_BASE64_HEAD) - 1
               || memcmp(s, STOA_BASE64_HEAD, sizeof(STOA_BASE64_HEAD) - 1)
                  != 0);

    for (i = 0; i < len && safe; i++) {
        safe = s[i] >= ' ' && s[i] <= '~';
    }

    if (safe) {
        memcpy(dst, s, len);
        return len;
    }

    d = dst;
    memcpy(d, STOA_BASE64_HEAD, sizeof(STOA_BASE64_HEAD) - 1);
    d += sizeof(STOA_BASE64_HEAD) - 1;

    for (i = 0; i < len; i += 3) {
        n = len - i < 3 ? len - i : 3;
        bits = (uint32_t) (unsigned char) s[i] << 16
               | (n > 1 ? (uint32_t) (unsigned char) s[i + 1] << 8 : 0)
               | (n > 2 ? (uint32_t) (unsigned char) s[i + 2] : 0);

        *d++ = stoa_base64_digits[bits >> 18];
        *d++ = stoa_base64_digits[bits >> 12 & 63];
        *d++ = n > 1 ? stoa_base64_digits[bits >> 6 & 63] : '=';
        *d++ = n > 2 ? stoa_base64_digits[bits & 63] : '=';
    }

    memcpy(d, STOA_BASE64_TAIL, sizeof(STOA_BASE64_TAIL) - 1);
    d += sizeof(STOA_BASE64_TAIL) - 1;

    return (size_t) (d - dst);
}


/* With its padding, and no bits that say nothing: one text, one spelling. */

static stoa_rc_t
stoa_base64_decode(const char *s, size_t len, char *dst, size_t *dst_len)
{
    char         c;
    size_t       i, n, pad;
    uint32_t     bits;
    const char  *p;

    if (len % 4) {
        return STOA_DECLINED;
    }

    for (pad = 0; pad < 2 && len && s[len - 1] == '='; pad++) {
        len--;
    }

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        c = s[i];
        p = memchr(stoa_base64_digits, c, sizeof(stoa_base64_digits) - 1);

        if (p == NULL) {
            return STOA_DECLINED;
        }

        bits = bits << 6 | (uint32_t) (p - stoa_base64_digits);

        if (i % 4) {
            dst[n++] = (char) (bits >> (6 - 2 * (i % 4)));
        }
    }

    if (pad && (bits & (pad == 2 ? 15 : 3))) {
        return STOA_DECLINED;
    }

    *dst_len = n;

    return STOA_OK;
}
