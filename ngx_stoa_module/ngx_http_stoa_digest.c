
/*
 * SHA-256 and HMAC-SHA-256 over OpenSSL's EVP: the algorithm is fetched once
 * and the contexts are kept, as both cost more than a short digest.
 */


#include "ngx_http_stoa_digest.h"

#include <openssl/rand.h>


#define NGX_HTTP_STOA_HMAC_BLOCK  64


static ngx_int_t ngx_http_stoa_digest_init(void);
static ngx_int_t ngx_http_stoa_hmac_pad(EVP_MD_CTX **ctx, const u_char *key,
    u_char pad);


static EVP_MD      *ngx_http_stoa_digest_md;
static EVP_MD_CTX  *ngx_http_stoa_digest_ctx;

/* Of HMAC keys, for the end of the process: the pepper's and our own. */

#define NGX_HTTP_STOA_HMAC_MAX  8

static EVP_MD_CTX  *ngx_http_stoa_hmac_ctx[NGX_HTTP_STOA_HMAC_MAX];
static ngx_uint_t   ngx_http_stoa_hmac_n;


static ngx_int_t
ngx_http_stoa_digest_init(void)
{
    if (ngx_http_stoa_digest_ctx) {
        return NGX_OK;
    }

    if (ngx_http_stoa_digest_md == NULL) {
        ngx_http_stoa_digest_md = EVP_MD_fetch(NULL, "SHA256", NULL);
        if (ngx_http_stoa_digest_md == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_http_stoa_digest_ctx = EVP_MD_CTX_new();

    return ngx_http_stoa_digest_ctx ? NGX_OK : NGX_ERROR;
}


void
ngx_http_stoa_digest_exit(void)
{
    while (ngx_http_stoa_hmac_n) {
        EVP_MD_CTX_free(ngx_http_stoa_hmac_ctx[--ngx_http_stoa_hmac_n]);
    }

    EVP_MD_CTX_free(ngx_http_stoa_digest_ctx);
    EVP_MD_free(ngx_http_stoa_digest_md);

    ngx_http_stoa_digest_ctx = NULL;
    ngx_http_stoa_digest_md = NULL;
}


ngx_int_t
ngx_http_stoa_sha256(const u_char *data, size_t len, u_char *out)
{
    if (ngx_http_stoa_digest_init() != NGX_OK) {
        return NGX_ERROR;
    }

    if (EVP_DigestInit_ex(ngx_http_stoa_digest_ctx, ngx_http_stoa_digest_md,
                          NULL)
        != 1
        || EVP_DigestUpdate(ngx_http_stoa_digest_ctx, data, len) != 1
        || EVP_DigestFinal_ex(ngx_http_stoa_digest_ctx, out, NULL) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_hmac_init(ngx_http_stoa_hmac_t *h, const u_char *key,
    size_t len)
{
    u_char     block[NGX_HTTP_STOA_HMAC_BLOCK];
    ngx_int_t  rc;

    if (ngx_http_stoa_digest_init() != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(block, sizeof(block));

    if (len > sizeof(block)) {
        if (ngx_http_stoa_sha256(key, len, block) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        ngx_memcpy(block, key, len);
    }

    rc = NGX_ERROR;

    if (ngx_http_stoa_hmac_pad(&h->inner, block, 0x36) == NGX_OK
        && ngx_http_stoa_hmac_pad(&h->outer, block, 0x5c) == NGX_OK)
    {
        rc = NGX_OK;
    }

    ngx_explicit_memzero(block, sizeof(block));

    return rc;
}


static ngx_int_t
ngx_http_stoa_hmac_pad(EVP_MD_CTX **ctx, const u_char *key, u_char pad)
{
    u_char      block[NGX_HTTP_STOA_HMAC_BLOCK];
    ngx_int_t   rc;
    ngx_uint_t  i;

    if (*ctx == NULL) {
        if (ngx_http_stoa_hmac_n == NGX_HTTP_STOA_HMAC_MAX) {
            return NGX_ERROR;
        }

        *ctx = EVP_MD_CTX_new();
        if (*ctx == NULL) {
            return NGX_ERROR;
        }

        ngx_http_stoa_hmac_ctx[ngx_http_stoa_hmac_n++] = *ctx;
    }

    for (i = 0; i < sizeof(block); i++) {
        block[i] = key[i] ^ pad;
    }

    rc = NGX_OK;

    if (EVP_DigestInit_ex(*ctx, ngx_http_stoa_digest_md, NULL) != 1
        || EVP_DigestUpdate(*ctx, block, sizeof(block)) != 1)
    {
        rc = NGX_ERROR;
    }

    ngx_explicit_memzero(block, sizeof(block));

    return rc;
}


ngx_int_t
ngx_http_stoa_hmac(ngx_http_stoa_hmac_t *h, const u_char *data, size_t len,
    u_char *out)
{
    if (EVP_MD_CTX_copy_ex(ngx_http_stoa_digest_ctx, h->inner) != 1
        || EVP_DigestUpdate(ngx_http_stoa_digest_ctx, data, len) != 1
        || EVP_DigestFinal_ex(ngx_http_stoa_digest_ctx, out, NULL) != 1
        || EVP_MD_CTX_copy_ex(ngx_http_stoa_digest_ctx, h->outer) != 1
        || EVP_DigestUpdate(ngx_http_stoa_digest_ctx, out,
                            NGX_HTTP_STOA_SHA256_LEN) != 1
        || EVP_DigestFinal_ex(ngx_http_stoa_digest_ctx, out, NULL) != 1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* splitmix64, from a seed of OpenSSL's that each process draws. */

ngx_int_t
ngx_http_stoa_random(uint64_t *out, ngx_uint_t n)
{
    uint64_t         z;
    ngx_uint_t       i;

    static ngx_pid_t  owner;
    static uint64_t   state;

    if (owner != ngx_pid) {
        if (RAND_bytes((u_char *) &state, sizeof(state)) != 1) {
            return NGX_ERROR;
        }

        owner = ngx_pid;
    }

    for (i = 0; i < n; i++) {
        state += 0x9e3779b97f4a7c15ULL;
        z = state;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        out[i] = z ^ (z >> 31);
    }

    return NGX_OK;
}
