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
