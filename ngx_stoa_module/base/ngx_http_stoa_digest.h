/*
 * SHA-256, HMAC-SHA-256, base64url and quick random bytes.
 *
 * Process: workers.  Lifetime: a prepared key is its owner's; the state of the
 * random bytes is the process's, of the event loop only.
 */

#ifndef NGX_HTTP_STOA_DIGEST_H
#define NGX_HTTP_STOA_DIGEST_H


#include "ngx_http_stoa.h"

#include <openssl/sha.h>


#define NGX_HTTP_STOA_SHA256_LEN  32


/* A key that was absorbed once: inner and outer state. */

typedef struct {
    SHA256_CTX  inner;
    SHA256_CTX  outer;
} ngx_http_stoa_hmac_t;


/* NGX_ERROR only where OpenSSL has no SHA-256. */
ngx_int_t ngx_http_stoa_sha256(const u_char *data, size_t len, u_char *out);

ngx_int_t ngx_http_stoa_hmac_init(ngx_http_stoa_hmac_t *h, const u_char *key,
    size_t len);
ngx_int_t ngx_http_stoa_hmac(ngx_http_stoa_hmac_t *h, const u_char *data,
    size_t len, u_char *out);

/* Unique, not secret: for ids of requests and traces. */
ngx_int_t ngx_http_stoa_random(uint64_t *out, ngx_uint_t n);
/* Sixteen digits, lower case; returns what is behind them. */
u_char *ngx_http_stoa_hex(u_char *p, uint64_t n);


#endif /* NGX_HTTP_STOA_DIGEST_H */
