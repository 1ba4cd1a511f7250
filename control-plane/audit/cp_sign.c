/*
 * The key file, signing, and the files beside it.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "audit/cp_sign.h"
#include "base/cp_seal.h"


#define CP_SIGN_FILE_MAX  (4 * 1024 * 1024)


static struct {
    const char  *path;
    unsigned     n;
    EVP_PKEY    *key[CP_SIGN_KEYS];        /* the first one signs            */
} cp_sign_state;


static char *cp_sign_read(cp_arena_t *a, const char *path, mode_t *mode);
static bool cp_sign_write(const char *path, int flags, const char *text);


cp_rc_t
cp_sign_start(cp_arena_t *a, const char *path, bool make, cp_err_t *err)
{
    char     *text, *line, *rest;
    mode_t    mode;
    cp_rc_t   rc;
    uint8_t   seed[32];

    if (make && access(path, F_OK) != 0) {
        rc = cp_seal_file(path, "audit_key_file", err);
        if (rc != CP_OK) {
            return rc;
        }
    }

    text = cp_sign_read(a, path, &mode);

    if (text == NULL) {
        return cp_err_set(err, "validation", "audit_key_file: cannot read "
                          "\"%s\": %s; it signs the checkpoints of the audit "
                          "log", path, strerror(errno));
    }

    if (mode & 077) {
        return cp_err_set(err, "validation", "audit_key_file: \"%s\" can be "
                          "read by others, its mode must be 0600", path);
    }

    cp_sign_state.n = 0;

    for (line = text; *line; line = rest) {

        if (cp_sign_state.n == CP_SIGN_KEYS) {
            return cp_err_set(err, "validation", "audit_key_file: \"%s\" has"
                              " more than %d keys", path, CP_SIGN_KEYS);
        }

        rest = line + strcspn(line, "\n");

        if (rest - line != 64 || !stoa_hex_decode(line, 64, seed)) {
            return cp_err_set(err, "validation", "audit_key_file: a line of "
                              "\"%s\" must hold 64 hex digits", path);
        }

        rest += *rest == '\n';
        cp_sign_state.key[cp_sign_state.n] =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);

        if (cp_sign_state.key[cp_sign_state.n++] == NULL) {
            return cp_err_set(err, "internal", "no memory");
        }
    }

    OPENSSL_cleanse(seed, sizeof(seed));
    OPENSSL_cleanse(text, strlen(text));
    cp_sign_state.path = path;

    return cp_sign_state.n ? CP_OK
           : cp_err_set(err, "validation", "audit_key_file: \"%s\" is empty",
                        path);
}


static char *
cp_sign_read(cp_arena_t *a, const char *path, mode_t *mode)
{
    int          fd;
    char        *text;
    size_t       len;
    ssize_t      n;
    struct stat  st;

    fd = open(path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return NULL;
    }

    text = NULL;

    if (fstat(fd, &st) == 0 && st.st_size <= CP_SIGN_FILE_MAX) {
        text = cp_arena_alloc(a, (size_t) st.st_size + 1);
        *mode = st.st_mode;
    }

    for (len = 0; text && len < (size_t) st.st_size; len += (size_t) n) {
        n = read(fd, text + len, (size_t) st.st_size - len);

        if (n <= 0) {
            break;
        }
    }

    (void) close(fd);

    return text;
}


static bool
cp_sign_write(const char *path, int flags, const char *text)
{
    int   fd;
    bool  ok;

    fd = open(path, O_WRONLY|O_CREAT|O_CLOEXEC|flags, 0600);
    if (fd == -1) {
        return false;
    }

    ok = write(fd, text, strlen(text)) == (ssize_t) strlen(text)
         && fsync(fd) == 0;

    return close(fd) == 0 && ok;
}


const char *
cp_sign(cp_arena_t *a, const char *text)
{
    size_t       n;
    uint8_t      sig[64];
    EVP_MD_CTX  *ctx;
    const char  *out;

    ctx = EVP_MD_CTX_new();
    out = NULL;
    n = sizeof(sig);

    if (ctx && text
        && EVP_DigestSignInit(ctx, NULL, NULL, NULL, cp_sign_state.key[0])
           == 1
        && EVP_DigestSign(ctx, sig, &n, (const uint8_t *) text, strlen(text))
           == 1)
    {
        out = cp_base64url_encode(a, sig, n);
    }

    EVP_MD_CTX_free(ctx);

    return out;
}


bool
cp_sign_good(const char *text, const char *signature)
{
    bool         good;
    char         sig[96];
    size_t       n;
    unsigned     i;
    EVP_MD_CTX  *ctx;

    n = strlen(signature);

    if (n > sizeof(sig) || !cp_base64url_decode(signature, n, sig, &n)) {
        return false;
    }

    for (i = 0, good = false; i < cp_sign_state.n && !good; i++) {
        ctx = EVP_MD_CTX_new();

        good = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL,
                                           cp_sign_state.key[i]) == 1
               && EVP_DigestVerify(ctx, (uint8_t *) sig, n,
                                   (const uint8_t *) text, strlen(text)) == 1;
        EVP_MD_CTX_free(ctx);
    }

    return good;
}


const char *
cp_sign_public(cp_arena_t *a)
{
    size_t   n;
    uint8_t  half[32];

    n = sizeof(half);

    return EVP_PKEY_get_raw_public_key(cp_sign_state.key[0], half, &n) == 1
           ? cp_base64url_encode(a, half, n) : NULL;
}


cp_rc_t
cp_sign_keep(cp_arena_t *a, const char *last)
{
    const char  *path, *tmp;

    path = cp_arena_printf(a, "%s.last", cp_sign_state.path);
    tmp = cp_arena_printf(a, "%s.last.%ld", cp_sign_state.path,
                          (long) getpid());

    if (path && tmp && cp_sign_write(tmp, O_TRUNC, last)
        && rename(tmp, path) == 0)
    {
        return CP_OK;
    }

    cp_log(CP_LOG_ERROR, "audit", "cannot write beside the key file \"%s\": "
           "%s", cp_sign_state.path, strerror(errno));

    return CP_ERROR;
}


const char *
cp_sign_kept(cp_arena_t *a)
{
    mode_t       mode;
    const char  *path;

    path = cp_arena_printf(a, "%s.last", cp_sign_state.path);

    return path ? cp_sign_read(a, path, &mode) : NULL;
}


cp_rc_t
cp_sign_erased_add(cp_arena_t *a, const char *person)
{
    const char  *path, *line;

    path = cp_arena_printf(a, "%s.erased", cp_sign_state.path);
    line = cp_arena_printf(a, "%s\n", person);

    return path && line && cp_sign_write(path, O_APPEND, line) ? CP_OK
                                                               : CP_ERROR;
}


const char *
cp_sign_erased(cp_arena_t *a)
{
    mode_t       mode;
    const char  *path;

    path = cp_arena_printf(a, "%s.erased", cp_sign_state.path);

    return path ? cp_sign_read(a, path, &mode) : NULL;
}
