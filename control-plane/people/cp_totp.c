/*
 * TOTP.
 */

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "people/cp_totp.h"


uint32_t
cp_totp_code(const uint8_t *key, size_t len, uint64_t step, unsigned digits)
{
    uint8_t   text[8], sum[EVP_MAX_MD_SIZE], *p;
    unsigned  i, n;
    uint32_t  code, most;

    for (i = 0; i < 8; i++) {
        text[i] = (uint8_t) (step >> (56 - 8 * i));
    }

    n = 0;

    if (HMAC(EVP_sha1(), key, (int) len, text, sizeof(text), sum, &n) == NULL
        || n != 20)
    {
        return UINT32_MAX;             /* no code is that                   */
    }

    p = sum + (sum[19] & 0x0f);
    code = (uint32_t) (p[0] & 0x7f) << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];

    for (i = 0, most = 1; i < digits; i++) {
        most *= 10;
    }

    return code % most;
}


/* All three are computed, whichever it is. */
int64_t
cp_totp_match(const uint8_t key[CP_TOTP_KEY], const char *code,
    int64_t now_ms)
{
    int        i;
    int64_t    step, found;
    uint32_t   said;

    if (strlen(code) != CP_TOTP_DIGITS
        || strspn(code, "0123456789") != CP_TOTP_DIGITS)
    {
        return 0;
    }

    for (i = 0, said = 0; i < CP_TOTP_DIGITS; i++) {
        said = said * 10 + (uint32_t) (code[i] - '0');
    }

    for (i = -1, found = 0; i <= 1; i++) {
        step = now_ms / 1000 / CP_TOTP_STEP_S + i;

        if (cp_totp_code(key, CP_TOTP_KEY, (uint64_t) step, CP_TOTP_DIGITS)
            == said)
        {
            found = step;
        }
    }

    return found;
}


char *
cp_totp_base32(cp_arena_t *a, const uint8_t *data, size_t len)
{
    char        *out, *p;
    size_t       i;
    unsigned     bits;
    uint32_t     v;
    static const char  letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    out = cp_arena_alloc(a, len * 8 / 5 + 2);

    if (out == NULL) {
        return NULL;
    }

    for (i = 0, bits = 0, v = 0, p = out; i < len; i++) {
        v = v << 8 | data[i];

        for (bits += 8; bits >= 5; bits -= 5) {
            *p++ = letters[v >> (bits - 5) & 31];
        }
    }

    if (bits) {
        *p++ = letters[v << (5 - bits) & 31];
    }

    *p = '\0';

    return out;
}
