/*
 * Sealed texts.
 */

#include "stoa_seal.h"
#include "core/stoa_base64.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>


#define STOA_SEAL_SUM   32
#define STOA_SEAL_SALT  "stoa-seal-1"
#define STOA_SEAL_BYTES_MAX  ((STOA_SEAL_TEXT_MAX - STOA_SEAL_HEAD) * 3 / 4)


typedef struct {
    char         letter;
    const char  *purpose;
    size_t       text_max;
} stoa_seal_row_t;

static const stoa_seal_row_t  stoa_seal_rows[STOA_SEAL_KINDS] = {
    [STOA_SEAL_SESSION]  = { 'S', "mcp-session", 2048 },
    [STOA_SEAL_REQUEST]  = { 'r', "mcp-request", 7200 },
    [STOA_SEAL_PROGRESS] = { 'p', "mcp-progress", 7200 },
    [STOA_SEAL_EVENT]    = { 'e', "mcp-event", 3072 },
    [STOA_SEAL_TASK]     = { 't', "mcp-task", 2048 },
    [STOA_SEAL_STATE]    = { 'm', "mcp-state", STOA_SEAL_TEXT_MAX },
    [STOA_SEAL_CURSOR]   = { 'c', "mcp-cursor", 2048 },
    [STOA_SEAL_APPROVAL] = { 'a', "mcp-approval", STOA_SEAL_TEXT_MAX },
    [STOA_SEAL_UPSTREAM] = { 'u', "mcp-upstream", 5520 },
    [STOA_SEAL_PAIR]     = { 'd', "mcp-pair", 384 },
    [STOA_SEAL_HOP]      = { 'h', "mcp-hop", 128 }
};

static const char  stoa_seal_kids[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "abcdefghijklmnopqrstuvwxyz";


/* Of one kind: what encrypts, and what makes the iv. */

typedef struct {
    uint8_t  enc[STOA_SEAL_SUM];
    uint8_t  iv[STOA_SEAL_SUM];
} stoa_seal_pair_t;

typedef struct {
    unsigned          kid;
    int64_t           since_ms;
    stoa_seal_pair_t  of[STOA_SEAL_KINDS];
} stoa_seal_ready_t;


static struct {
    unsigned           n;
    stoa_seal_ready_t  key[STOA_SEAL_KEYS];
    EVP_CIPHER_CTX    *seal;
    EVP_CIPHER_CTX    *open;
} stoa_seal_ring;


/* HKDF (RFC 5869) with SHA-256: two blocks. */

static bool
stoa_seal_derive(const uint8_t *key, const char *purpose,
    stoa_seal_pair_t *pair)
{
    bool     ok;
    size_t   len;
    uint8_t  prk[STOA_SEAL_SUM], block[STOA_SEAL_SUM + 32];

    len = strlen(purpose);
    memcpy(block, purpose, len);
    block[len] = 1;

    ok = HMAC(EVP_sha256(), STOA_SEAL_SALT, sizeof(STOA_SEAL_SALT) - 1, key,
              STOA_SEAL_KEY_LEN, prk, NULL)
         && HMAC(EVP_sha256(), prk, sizeof(prk), block, len + 1, pair->enc,
                 NULL);

    memcpy(block, pair->enc, STOA_SEAL_SUM);
    memcpy(block + STOA_SEAL_SUM, purpose, len);
    block[STOA_SEAL_SUM + len] = 2;

    ok = ok && HMAC(EVP_sha256(), prk, sizeof(prk), block,
                    STOA_SEAL_SUM + len + 1, pair->iv, NULL);

    OPENSSL_cleanse(prk, sizeof(prk));
    OPENSSL_cleanse(block, sizeof(block));

    return ok;
}


void
stoa_seal_keys(const stoa_seal_key_t *keys, unsigned n)
{
    bool                ok;
    unsigned            i, kind;
    stoa_seal_ready_t  *ready;

    OPENSSL_cleanse(stoa_seal_ring.key, sizeof(stoa_seal_ring.key));
    stoa_seal_ring.n = 0;

    for (i = 0; i < n && stoa_seal_ring.n < STOA_SEAL_KEYS; i++) {
        ready = &stoa_seal_ring.key[stoa_seal_ring.n];
        ready->kid = keys[i].kid;
        ready->since_ms = keys[i].since_ms;
        ok = keys[i].kid <= STOA_SEAL_KID_MAX;

        for (kind = 0; ok && kind < STOA_SEAL_KINDS; kind++) {
            ok = stoa_seal_derive(keys[i].key, stoa_seal_rows[kind].purpose,
                                  &ready->of[kind]);
        }

        stoa_seal_ring.n += ok;
    }
}


void
stoa_seal_exit(void)
{
    stoa_seal_keys(NULL, 0);

    EVP_CIPHER_CTX_free(stoa_seal_ring.seal);
    EVP_CIPHER_CTX_free(stoa_seal_ring.open);

    stoa_seal_ring.seal = NULL;
    stoa_seal_ring.open = NULL;
}


/* The youngest that may seal.  A clock that is behind finds none: then the
 * oldest there is. */

static const stoa_seal_ready_t *
stoa_seal_current(int64_t now_ms)
{
    bool                      late;
    unsigned                  i;
    const stoa_seal_ready_t  *key, *best;

    best = NULL;

    for (i = 0; i < stoa_seal_ring.n; i++) {
        key = &stoa_seal_ring.key[i];
        late = key->since_ms > now_ms;

        if (best == NULL
            || (late != (best->since_ms > now_ms)
                ? !late : late == (key->since_ms < best->since_ms)))
        {
            best = key;
        }
    }

    return best;
}


/* in, len bytes, to out, with the tag beside it. */

static bool
stoa_seal_cipher(bool make, const uint8_t *key, const uint8_t *iv,
    stoa_str_t aad, const uint8_t *in, size_t len, uint8_t *out,
    uint8_t *tag)
{
    int               n;
    EVP_CIPHER_CTX  **evp;

    evp = make ? &stoa_seal_ring.seal : &stoa_seal_ring.open;

    if (*evp == NULL) {
        *evp = EVP_CIPHER_CTX_new();

        if (*evp == NULL
            || EVP_CipherInit_ex(*evp, EVP_aes_256_gcm(), NULL, NULL, NULL,
                                 make)
               != 1)
        {
            EVP_CIPHER_CTX_free(*evp);
            *evp = NULL;
            return false;
        }
    }

    return EVP_CipherInit_ex(*evp, NULL, NULL, key, iv, make) == 1
           && (aad.len == 0
               || EVP_CipherUpdate(*evp, NULL, &n, (const uint8_t *) aad.data,
                                   (int) aad.len)
                  == 1)
           && (len == 0
               || EVP_CipherUpdate(*evp, out, &n, in, (int) len) == 1)
           && (make || EVP_CIPHER_CTX_ctrl(*evp, EVP_CTRL_GCM_SET_TAG,
                                           STOA_SEAL_TAG, tag)
                       == 1)
           && EVP_CipherFinal_ex(*evp, out + len, &n) == 1
           && (!make || EVP_CIPHER_CTX_ctrl(*evp, EVP_CTRL_GCM_GET_TAG,
                                            STOA_SEAL_TAG, tag)
                        == 1);
}


size_t
stoa_seal(stoa_seal_kind_e kind, int64_t now_ms, stoa_str_t aad,
    stoa_str_t plain, char *dst, size_t max)
{
    bool                      ok;
    size_t                    bytes, text;
    uint8_t                   sum[STOA_SEAL_SUM];
    const stoa_seal_ready_t  *key;

    /* what the iv is made of, then the sealed bytes */
    static uint8_t  buf[4 + STOA_SEAL_AAD_MAX + STOA_SEAL_BYTES_MAX];

    key = stoa_seal_current(now_ms);
    bytes = STOA_SEAL_IV + plain.len + STOA_SEAL_TAG;
    text = stoa_seal_text_len(plain.len);

    if (key == NULL || aad.len > STOA_SEAL_AAD_MAX
        || text > stoa_seal_rows[kind].text_max || text > max)
    {
        return 0;
    }

    buf[0] = buf[1] = buf[2] = 0;
    buf[3] = (uint8_t) aad.len;
    memcpy(buf + 4, aad.data, aad.len);
    memcpy(buf + 4 + aad.len, plain.data, plain.len);

    ok = HMAC(EVP_sha256(), key->of[kind].iv, STOA_SEAL_SUM, buf,
              4 + aad.len + plain.len, sum, NULL)
         && stoa_seal_cipher(true, key->of[kind].enc, sum, aad,
                             (const uint8_t *) plain.data, plain.len,
                             buf + STOA_SEAL_IV,
                             buf + STOA_SEAL_IV + plain.len);

    if (ok) {
        memcpy(buf, sum, STOA_SEAL_IV);

        dst[0] = stoa_seal_rows[kind].letter;
        dst[1] = stoa_seal_kids[key->kid];
        stoa_base64url_encode(buf, bytes, dst + STOA_SEAL_HEAD);
    }

    return ok ? text : 0;
}


bool
stoa_seal_open(stoa_seal_kind_e kind, stoa_str_t aad, stoa_str_t text,
    uint8_t *dst, size_t *len)
{
    size_t                    bytes;
    unsigned                  i;
    const stoa_seal_ready_t  *key;

    static uint8_t  buf[STOA_SEAL_BYTES_MAX], plain[STOA_SEAL_BYTES_MAX];

    if (text.len < stoa_seal_text_len(0)
        || text.len > stoa_seal_rows[kind].text_max
        || text.data[0] != stoa_seal_rows[kind].letter)
    {
        return false;
    }

    for (i = 0, key = NULL; i < stoa_seal_ring.n && key == NULL; i++) {
        if (stoa_seal_kids[stoa_seal_ring.key[i].kid] == text.data[1]) {
            key = &stoa_seal_ring.key[i];
        }
    }

    text.data += STOA_SEAL_HEAD;
    text.len -= STOA_SEAL_HEAD;
    bytes = text.len * 3 / 4;

    if (key == NULL || !stoa_base64url_decode(text.data, text.len, buf)) {
        return false;
    }

    *len = bytes - STOA_SEAL_IV - STOA_SEAL_TAG;

    if (!stoa_seal_cipher(false, key->of[kind].enc, buf, aad,
                          buf + STOA_SEAL_IV, *len, plain,
                          buf + STOA_SEAL_IV + *len))
    {
        return false;
    }

    memcpy(dst, plain, *len);

    return true;
}
