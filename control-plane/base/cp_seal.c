/*
 * The key file, and what is sealed by it.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/cp_seal.h"


#define CP_SEAL_MARK  "sealed:"
#define CP_SEAL_HEAD  (CP_SEAL_IV + CP_SEAL_TAG)


static cp_rc_t cp_seal_read(const char *path, cp_err_t *err);


static uint8_t  cp_seal_key[32];


cp_rc_t
cp_seal_start(const char *path, bool make, cp_err_t *err)
{
    cp_rc_t  rc;

    if (make && access(path, F_OK) != 0) {
        rc = cp_seal_file(path, "secret_key_file", err);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return cp_seal_read(path, err);
}


/* Two processes may start at once, with one number in two containers, and a
 * crash may come between: each try has a name of its own. */

cp_rc_t
cp_seal_file(const char *path, const char *what, cp_err_t *err)
{
    int       fd;
    char      text[2 * sizeof(cp_seal_key) + 1], tmp[4096];
    bool      ok;
    uint8_t   key[sizeof(cp_seal_key)];
    uint32_t  try;

    cp_random(&try, sizeof(try));
    cp_random(key, sizeof(key));
    stoa_hex_encode(key, sizeof(key), text);
    text[sizeof(text) - 1] = '\n';
    OPENSSL_cleanse(key, sizeof(key));

    ok = snprintf(tmp, sizeof(tmp), "%s.%08x", path, try) < (int) sizeof(tmp);
    fd = ok ? open(tmp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) : -1;

    ok = fd != -1 && write(fd, text, sizeof(text)) == (ssize_t) sizeof(text)
         && fsync(fd) == 0
         && (link(tmp, path) == 0 || errno == EEXIST);

    OPENSSL_cleanse(text, sizeof(text));

    if (!ok) {
        (void) cp_err_set(err, "validation", "%s: cannot create \"%s\": %s",
                          what, path, strerror(errno));
    }

    if (fd != -1) {
        (void) close(fd);
        (void) unlink(tmp);
    }

    return ok ? CP_OK : CP_DECLINED;
}


static cp_rc_t
cp_seal_read(const char *path, cp_err_t *err)
{
    int          fd;
    char         text[2 * sizeof(cp_seal_key) + 2];
    bool         ok;
    ssize_t      n;
    struct stat  st;

    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd == -1 || fstat(fd, &st) == -1) {
        n = errno;

        if (fd != -1) {
            (void) close(fd);
        }

        return cp_err_set(err, "validation", "secret_key_file: cannot open "
                          "\"%s\": %s; what is sealed in the database is "
                          "lost without it", path, strerror((int) n));
    }

    n = read(fd, text, sizeof(text));
    (void) close(fd);

    ok = (n == 2 * sizeof(cp_seal_key)
          || (n == 2 * sizeof(cp_seal_key) + 1 && text[n - 1] == '\n'))
         && stoa_hex_decode(text, 2 * sizeof(cp_seal_key), cp_seal_key);

    OPENSSL_cleanse(text, sizeof(text));

    if (!ok) {
        return cp_err_set(err, "validation", "secret_key_file: \"%s\" must "
                          "hold 64 hex digits", path);
    }

    if (st.st_mode & 077) {
        return cp_err_set(err, "validation", "secret_key_file: \"%s\" can be "
                          "read by others, its mode must be 0600", path);
    }

    return CP_OK;
}


bool
cp_seal_cipher(bool make, const uint8_t key[32], const char *place,
    uint8_t *iv, const uint8_t *in, size_t len, uint8_t *out)
{
    int              n;
    bool             ok;
    uint8_t         *tag;
    EVP_CIPHER_CTX  *ctx;

    tag = iv + CP_SEAL_IV;

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return false;
    }

    ok = EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, iv, make) == 1
         && (place == NULL
             || EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *) place,
                                 (int) strlen(place))
                == 1)
         && EVP_CipherUpdate(ctx, out, &n, in, (int) len) == 1
         && (make || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG,
                                         CP_SEAL_TAG, tag) == 1)
         && EVP_CipherFinal_ex(ctx, out + n, &n) == 1
         && (!make || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG,
                                          CP_SEAL_TAG, tag) == 1);

    EVP_CIPHER_CTX_free(ctx);

    return ok;
}


char *
cp_seal(cp_arena_t *a, const char *place, const char *text)
{
    size_t    len;
    uint8_t  *p;

    len = strlen(text);
    p = len <= CP_SEAL_MAX ? cp_arena_alloc(a, CP_SEAL_HEAD + len + 1) : NULL;

    if (p == NULL) {
        return NULL;
    }

    cp_random(p, CP_SEAL_IV);

    if (!cp_seal_cipher(true, cp_seal_key, place, p, (const uint8_t *) text,
                        len, p + CP_SEAL_HEAD))
    {
        return NULL;
    }

    return cp_arena_printf(a, CP_SEAL_MARK "%s",
                           cp_hex(a, p, CP_SEAL_HEAD + len));
}


char *
cp_unseal(cp_arena_t *a, const char *place, const char *sealed)
{
    size_t    len;
    uint8_t  *p, *text;

    if (!cp_sealed(sealed)) {
        return NULL;
    }

    sealed += sizeof(CP_SEAL_MARK) - 1;
    len = strlen(sealed) / 2;

    if (len < CP_SEAL_HEAD || len > CP_SEAL_HEAD + CP_SEAL_MAX) {
        return NULL;
    }

    p = cp_arena_alloc(a, len + 1);
    text = cp_arena_alloc(a, len - CP_SEAL_HEAD + 1);

    if (p == NULL || text == NULL || !stoa_hex_decode(sealed, 2 * len, p)
        || !cp_seal_cipher(false, cp_seal_key, place, p, p + CP_SEAL_HEAD,
                           len - CP_SEAL_HEAD, text))
    {
        return NULL;
    }

    return (char *) text;
}


char *
cp_seal_by(cp_arena_t *a, const uint8_t key[32], const char *place,
    const char *text, size_t len)
{
    uint8_t  *p;

    p = cp_arena_alloc(a, CP_SEAL_HEAD + len + 1);
    if (p == NULL) {
        return NULL;
    }

    cp_random(p, CP_SEAL_IV);

    return cp_seal_cipher(true, key, place, p, (const uint8_t *) text, len,
                          p + CP_SEAL_HEAD)
           ? cp_base64url_encode(a, p, CP_SEAL_HEAD + len) : NULL;
}


char *
cp_unseal_by(cp_arena_t *a, const uint8_t key[32], const char *place,
    const char *sealed, size_t *len)
{
    size_t    n;
    uint8_t  *p, *text;

    n = strlen(sealed);
    p = cp_arena_alloc(a, n + 1);

    if (p == NULL || !cp_base64url_decode(sealed, n, (char *) p, &n)
        || n < CP_SEAL_HEAD)
    {
        return NULL;
    }

    text = p + CP_SEAL_HEAD;
    *len = n - CP_SEAL_HEAD;
    text[*len] = '\0';

    return cp_seal_cipher(false, key, place, p, text, *len, text)
           ? (char *) text : NULL;
}


bool
cp_sealed(const char *text)
{
    return strncmp(text, CP_SEAL_MARK, sizeof(CP_SEAL_MARK) - 1) == 0;
}


char *
cp_seal_salt(cp_arena_t *a, const char *place)
{
    uint8_t      sum[32];
    const char  *text;

    text = cp_arena_printf(a, "salt:%s", place);

    if (text == NULL) {
        return NULL;
    }

    cp_hmac_sha256(cp_seal_key, sizeof(cp_seal_key), text, strlen(text), sum);

    return cp_hex(a, sum, 16);
}
