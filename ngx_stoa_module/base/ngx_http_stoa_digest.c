
/*
 * SHA-256 and HMAC-SHA-256 by OpenSSL's plain functions: a key is two blocks,
 * and EVP's way to them (a fetched algorithm, a context that is allocated and
 * freed with each digest) costs several times the digest itself.
 */


#define OPENSSL_SUPPRESS_DEPRECATED

#include "ngx_http_stoa_digest.h"

#include <openssl/rand.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


#define NGX_HTTP_STOA_HMAC_BLOCK  64


static ngx_int_t ngx_http_stoa_hmac_pad(SHA256_CTX *ctx, const u_char *key,
    u_char pad);


ngx_int_t
ngx_http_stoa_sha256(const u_char *data, size_t len, u_char *out)
{
    ngx_int_t   rc;
    SHA256_CTX  ctx;

    rc = (SHA256_Init(&ctx) == 1
          && SHA256_Update(&ctx, data, len) == 1
          && SHA256_Final(out, &ctx) == 1) ? NGX_OK : NGX_ERROR;

    /* the end of what was digested is still in it */

    ngx_explicit_memzero(&ctx, sizeof(SHA256_CTX));

    return rc;
}


ngx_int_t
ngx_http_stoa_hmac_init(ngx_http_stoa_hmac_t *h, const u_char *key,
    size_t len)
{
    u_char     block[NGX_HTTP_STOA_HMAC_BLOCK];
    ngx_int_t  rc;

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
ngx_http_stoa_hmac_pad(SHA256_CTX *ctx, const u_char *key, u_char pad)
{
    u_char      block[NGX_HTTP_STOA_HMAC_BLOCK];
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < sizeof(block); i++) {
        block[i] = key[i] ^ pad;
    }

    rc = (SHA256_Init(ctx) == 1
          && SHA256_Update(ctx, block, sizeof(block)) == 1)
         ? NGX_OK : NGX_ERROR;

    ngx_explicit_memzero(block, sizeof(block));

    return rc;
}


ngx_int_t
ngx_http_stoa_hmac(ngx_http_stoa_hmac_t *h, const u_char *data, size_t len,
    u_char *out)
{
    ngx_int_t   rc;
    SHA256_CTX  ctx;

    ctx = h->inner;

    rc = (SHA256_Update(&ctx, data, len) == 1
          && SHA256_Final(out, &ctx) == 1) ? NGX_OK : NGX_ERROR;

    if (rc == NGX_OK) {
        ctx = h->outer;

        rc = (SHA256_Update(&ctx, out, NGX_HTTP_STOA_SHA256_LEN) == 1
              && SHA256_Final(out, &ctx) == 1) ? NGX_OK : NGX_ERROR;
    }

    ngx_explicit_memzero(&ctx, sizeof(SHA256_CTX));

    return rc;
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


/* Sixteen digits at a time, or eight: a byte for each. */

u_char *
ngx_http_stoa_hex(u_char *p, uint64_t n)
{
#if defined(__SSE2__)

    __m128i  x;

    x = _mm_cvtsi64_si128((long long) n);
    x = _mm_unpacklo_epi8(_mm_srli_epi64(x, 4), x);
    x = _mm_and_si128(x, _mm_set1_epi8(0x0f));

    /* 10 and more: another 39 to reach "a" */

    x = _mm_add_epi8(_mm_add_epi8(x, _mm_set1_epi8('0')),
                     _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8(9)),
                                   _mm_set1_epi8(39)));

    _mm_storeu_si128((__m128i *) p, x);

    return p + 16;

#else

    uint64_t    x;
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        x = n & 0xffffffff;
        n >>= 32;

        x = (x | x << 16) & 0x0000ffff0000ffffULL;
        x = (x | x << 8) & 0x00ff00ff00ff00ffULL;
        x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fULL;

        /* 10 and more: another 39 to reach "a" */

        x += 0x3030303030303030ULL
             + (((x + 0x0606060606060606ULL) >> 4) & 0x0101010101010101ULL)
               * 39;

        ngx_memcpy(p, &x, 8);
        p += 8;
    }

    return p;

#endif
}
