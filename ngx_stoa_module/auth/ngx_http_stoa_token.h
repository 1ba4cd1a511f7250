/*
 * Bearer tokens: who vouches for the caller, and what for.
 *
 * Process: workers.  Lifetime: what is known of a token is in r->pool, and in
 * the shared zone for others.
 */

#ifndef NGX_HTTP_STOA_TOKEN_H
#define NGX_HTTP_STOA_TOKEN_H


#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_digest.h"
#include "core/stoa_jose.h"

#include <openssl/evp.h>


#define NGX_HTTP_STOA_TOKEN_LEEWAY_MS   30000
#define NGX_HTTP_STOA_TOKEN_KEPT_MS     300000   /* a verdict, at most       */


/* To what it is bound: a key that a proof is of, or the certificate of the
 * client's connection (RFC 8705). */

typedef enum {
    NGX_HTTP_STOA_BOUND_NOT = 0,
    NGX_HTTP_STOA_BOUND_KEY,
    NGX_HTTP_STOA_BOUND_CERTIFICATE
} ngx_http_stoa_bound_e;


/* What a token says, as it is kept: behind it subject, roles, scopes and
 * audiences, words with a NUL behind each. */

typedef struct {
    stoa_id_t   issuer;
    stoa_id_t   application;
    stoa_id_t   principal;            /* who calls, of those who call with
                                         the application                     */
    uint64_t    rev;                  /* of the issuer's record              */
    int64_t     exp_ms;
    uint16_t    subject;              /* lengths                             */
    uint16_t    roles;
    uint16_t    scopes;
    uint16_t    audiences;
    uint32_t    audience_fits;        /* one is the issuer's own             */
    uint16_t    refused;              /* the issuer says that it is not good */
    uint8_t     bound;                /* ngx_http_stoa_bound_e, by jkt       */
    uint8_t     binding;              /* the issuer's record takes no other  */
    u_char      jkt[NGX_HTTP_STOA_SHA256_LEN];
} ngx_http_stoa_token_said_t;

#define NGX_HTTP_STOA_TOKEN_ASKED_MS    60000    /* what an issuer said      */
#define NGX_HTTP_STOA_TOKEN_REFUSED_MS  10000

#define NGX_HTTP_STOA_TOKEN_MAX                                               \
    (sizeof(ngx_http_stoa_token_said_t) + 2 * STOA_JWT_MAX)


/* Of a policy's head: the caller of a token.  NGX_OK, NGX_AGAIN, NGX_ERROR, a
 * status; NGX_DECLINED: it is no token for anybody. */
ngx_int_t ngx_http_stoa_token(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *token);
/* What a claim (stoa_jwt_claim()) of the call's token says: a text, or a
 * number, true or false as it stands there; at most _CLAIM bytes.
 * NGX_DECLINED: there is none; of a token that its issuer was asked about none
 * is known. */
#define NGX_HTTP_STOA_TOKEN_CLAIM  255
ngx_int_t ngx_http_stoa_token_claim(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t path, stoa_str_t *value);
/* Is its issuer still believed, and the token's time not over? */
ngx_uint_t ngx_http_stoa_token_still(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx);


/* ---- ngx_http_stoa_challenge.c ------------------------------------------ */

#define NGX_HTTP_STOA_TOKEN_WELLKNOWN  "/.well-known/oauth-protected-resource"
#define NGX_HTTP_STOA_TOKEN_METADATA   65536

/* What a token for it is made for.  NGX_DECLINED: no stoa_external_url. */
ngx_int_t ngx_http_stoa_token_url(ngx_http_request_t *r,
    const ngx_http_stoa_resource_t *res, ngx_str_t *url);
/* More of WWW-Authenticate, from its comma on, and whether an issuer wants its
 * tokens bound.  NGX_DECLINED: no tokens are taken there. */
ngx_int_t ngx_http_stoa_token_challenge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *value, ngx_uint_t *dpop);
/* What proofs of possession may be signed with. */
void ngx_http_stoa_token_algs(stoa_buf_t *b, const char *quote,
    const char *between);
/* The metadata, as JSON; NGX_DECLINED likewise. */
ngx_int_t ngx_http_stoa_token_metadata(ngx_http_request_t *r,
    const ngx_http_stoa_resource_t *res, stoa_buf_t *b);


/* ---- ngx_http_stoa_dpop.c ----------------------------------------------- */

/* Is the call's proof one of the key that the token is bound to?  NGX_OK, a
 * status, NGX_ERROR. */
ngx_int_t ngx_http_stoa_dpop(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *token, const u_char *jkt);


/* ---- ngx_http_stoa_introspect.c ----------------------------------------- */

/* What the issuer says of a token.  NGX_OK: *claims, good while the handler
 * runs; NGX_AGAIN; NGX_DECLINED: it is not good, *why; 503; NGX_ERROR. */
ngx_int_t ngx_http_stoa_introspect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_issuer_t *rec, ngx_str_t *token,
    const stoa_json_val_t **claims, const char **why);


/* ---- ngx_http_stoa_issuer.c --------------------------------------------- */

/* Whose key signed it?  NGX_OK: this one's; NGX_DECLINED: *why; NGX_BUSY: it
 * has no such key. */
ngx_int_t ngx_http_stoa_issuer_verify(const stoa_rec_issuer_t *rec,
    const stoa_jwt_t *jwt, const char **why);
/* Is it signed with that key, which the algorithm has to fit? */
ngx_int_t ngx_http_stoa_issuer_signed(EVP_PKEY *key, const stoa_jwt_t *jwt);
/* What its claims say here, asked: in the issuer's own answer; said:
 * NGX_HTTP_STOA_TOKEN_MAX bytes, *len gets how many.  NGX_DECLINED: nobody,
 * *why; NGX_ABORT: its time is over. */
ngx_int_t ngx_http_stoa_issuer_claims(ngx_http_stoa_store_t *store,
    const stoa_rec_issuer_t *rec, const stoa_json_val_t *claims,
    ngx_uint_t asked, u_char *said, size_t *len, const char **why);
/* At the end of the process. */
void ngx_http_stoa_issuer_exit(void);


#endif /* NGX_HTTP_STOA_TOKEN_H */
