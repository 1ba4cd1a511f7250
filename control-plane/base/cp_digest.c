/*
 * Random bytes, ids, keys and digests; OpenSSL does the cryptography.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/cp_util.h"


void
cp_random(void *dst, size_t len)
{
    if (len > INT32_MAX || RAND_bytes(dst, (int) len) != 1) {

        /* going on would make keys that can be guessed */

        cp_log(CP_LOG_ERROR, "random", "no random bytes, ending");
        abort();
    }
}


void
cp_id_make(char dst[STOA_ID_LEN + 1])
{
    uint32_t  random;

    cp_random(&random, sizeof(random));

    stoa_id_format(dst, (uint64_t) cp_time_ms(), random & 0x3fffffff);
    dst[STOA_ID_LEN] = '\0';
}


void
cp_key_make(char *dst, const char *env, const char *id)
{
    char     secret[STOA_KEY_SECRET_LEN + 1];
    size_t   n;
    uint8_t  random[64];

    for (n = 0; n < STOA_KEY_SECRET_LEN; /* void */) {
        cp_random(random, sizeof(random));
        n += stoa_key_base62(random, sizeof(random), secret + n,
                             STOA_KEY_SECRET_LEN - n);
    }

    secret[STOA_KEY_SECRET_LEN] = '\0';

    (void) stoa_key_format(dst, env, id, secret);

    OPENSSL_cleanse(random, sizeof(random));
    OPENSSL_cleanse(secret, sizeof(secret));
}


const char *
cp_ticket_make(cp_arena_t *a, const char **digest)
{
    uint8_t      raw[32], sum[32];
    const char  *text;

    cp_random(raw, sizeof(raw));
    text = cp_base64url_encode(a, raw, sizeof(raw));
    OPENSSL_cleanse(raw, sizeof(raw));

    if (text == NULL) {
        return NULL;
    }

    cp_sha256(text, CP_TICKET_LEN, sum);
    *digest = cp_hex(a, sum, sizeof(sum));

    return *digest ? text : NULL;
}


void
cp_sha256(const void *data, size_t len, uint8_t out[32])
{
    unsigned  n;

    if (EVP_Digest(data, len, out, &n, EVP_sha256(), NULL) != 1) {
        cp_log(CP_LOG_ERROR, "digest", "SHA-256 failed, ending");
        abort();
    }
}


void
cp_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
    uint8_t out[32])
{
    unsigned  n;

    if (key_len > INT32_MAX
        || HMAC(EVP_sha256(), key, (int) key_len, data, len, out, &n) == NULL)
    {
        cp_log(CP_LOG_ERROR, "digest", "HMAC-SHA-256 failed, ending");
        abort();
    }
}


char *
cp_hex(cp_arena_t *a, const uint8_t *data, size_t len)
{
    char  *p;

    p = cp_arena_alloc(a, len * 2 + 1);
    if (p != NULL) {
        stoa_hex_encode(data, len, p);
    }

    return p;
}


static const char  cp_base64url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";


char *
cp_base64url_encode(cp_arena_t *a, const uint8_t *data, size_t len)
{
    char      *p;
    size_t     i, n;
    unsigned   bits, have;

    p = cp_arena_alloc(a, len / 3 * 4 + 5);

    for (i = 0, n = 0, bits = 0, have = 0; p && i < len; i++) {
        bits = (bits << 8 | data[i]) & 0xffff;

        for (have += 8; have >= 6; /* void */) {
            have -= 6;
            p[n++] = cp_base64url_alphabet[bits >> have & 63];
        }
    }

    if (p && have) {
        p[n++] = cp_base64url_alphabet[bits << (6 - have) & 63];
    }

    return p;
}


bool
cp_base64url_decode(const char *s, size_t len, char *dst, size_t *n)
{
    size_t       i;
    unsigned     bits, have;
    const char  *at;

    for (i = 0, *n = 0, bits = 0, have = 0; i < len; i++) {
        at = s[i] ? strchr(cp_base64url_alphabet, s[i]) : NULL;

        if (at == NULL) {
            return false;
        }

        bits = (bits << 6 | (unsigned) (at - cp_base64url_alphabet))
               & 0xffffff;
        have += 6;

        if (have >= 8) {
            have -= 8;
            dst[(*n)++] = (char) (bits >> have & 0xff);
        }
    }

    return have < 6 && (bits & ((1u << have) - 1)) == 0;
}
