/*
 * SHA-256, HMAC-SHA-256, base64url and quick random bytes.
 *
 * Process: workers, event loop only (contexts are reused).  Lifetime: made at
 * first use, kept until the process ends.
 */

#ifndef NGX_HTTP_STOA_DIGEST_H
#define NGX_HTTP_STOA_DIGEST_H


#include "ngx_http_stoa.h"

#include <openssl/evp.h>


#define NGX_HTTP_STOA_SHA256_LEN  32


/* A key that was absorbed once: inner and outer state. */

typedef struct {
    EVP_MD_CTX  *inner;
    EVP_MD_CTX  *outer;
} ngx_http_stoa_hmac_t;


ngx_int_t ngx_http_stoa_sha256(const u_char *data, size_t len, u_char *out);

ngx_int_t ngx_http_stoa_hmac_init(ngx_http_stoa_hmac_t *h, const u_char *key,
    size_t len);
ngx_int_t ngx_http_stoa_hmac(ngx_http_stoa_hmac_t *h, const u_char *data,
    size_t len, u_char *out);

void ngx_http_stoa_digest_exit(void);

/* Unique, not secret: for ids of requests and traces. */
ngx_int_t ngx_http_stoa_random(uint64_t *out, ngx_uint_t n);


#endif /* NGX_HTTP_STOA_DIGEST_H */
