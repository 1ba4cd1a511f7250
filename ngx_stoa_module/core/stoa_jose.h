/*
 * Bearer tokens that are JWTs (RFC 7519, a compact JWS) and the public keys
 * that verify them (RFC 7517), as far as that needs no cryptography: strict
 * reading, what an algorithm fits, the forms that OpenSSL takes.
 *
 * A token that passed here is only well formed: who trusts it has to verify
 * the signature over `signed_part`.
 *
 * Process: any.  Everything is a span of the caller's memory; nothing is
 * allocated but what core's JSON reader may need for very wide objects.
 */

#ifndef STOA_JOSE_H
#define STOA_JOSE_H


#include "stoa_json.h"


#define STOA_JWT_MAX        8192       /* bytes of a token                   */
#define STOA_JWT_DEPTH_MAX  16
#define STOA_KID_MAX        256
#define STOA_JWK_RSA_MIN    2048       /* bits                               */
#define STOA_JWK_RSA_MAX    8192
#define STOA_JWK_SPKI_MAX   1152       /* of the largest RSA key             */
#define STOA_ECDSA_DER_MAX  144        /* of a P-521 signature               */


/* What a key is; of elliptic curves, which one. */

typedef enum {
    STOA_JWK_RSA = 0, STOA_JWK_P256, STOA_JWK_P384, STOA_JWK_P521,
    STOA_JWK_ED25519, STOA_JWK_TYPES
} stoa_jwk_type_e;

#define STOA_ALGS(A)                                                          \
    A(RS256, STOA_JWK_RSA, 256) A(RS384, STOA_JWK_RSA, 384)                   \
    A(RS512, STOA_JWK_RSA, 512) A(PS256, STOA_JWK_RSA, 256)                   \
    A(PS384, STOA_JWK_RSA, 384) A(PS512, STOA_JWK_RSA, 512)                   \
    A(ES256, STOA_JWK_P256, 256) A(ES384, STOA_JWK_P384, 384)                 \
    A(ES512, STOA_JWK_P521, 512) A(EdDSA, STOA_JWK_ED25519, 0)

#define STOA_ALG_VALUE(name, type, bits)  STOA_ALG_##name,

typedef enum { STOA_ALGS(STOA_ALG_VALUE) STOA_ALG_MAX } stoa_alg_e;

typedef struct {
    const char       *name;            /* as in "alg"                        */
    stoa_jwk_type_e   type;            /* of the key                         */
    unsigned          bits;            /* of the digest; 0: none of its own  */
} stoa_alg_t;

extern const stoa_alg_t  stoa_algs[STOA_ALG_MAX];

/* STOA_ALG_MAX: there is none, or none that may be used. */
stoa_alg_e stoa_alg_find(const char *name, size_t len);


typedef struct {
    stoa_alg_e       alg;
    stoa_str_t       kid;              /* "": none                           */
    stoa_str_t       signed_part;      /* of the token                       */
    stoa_str_t       signature;        /* decoded                            */
    stoa_json_val_t  claims;           /* an object, checked                 */
    stoa_json_val_t  key;              /* of a proof: the jwk in its header  */
} stoa_jwt_t;

/* Does it have the form of one: three parts and two dots, the first of them
 * an object's? */
bool stoa_jwt_looks(const char *s, size_t len);

/* buf: at least len bytes, which the result points to.  STOA_DECLINED: *why
 * says why not, for people; nothing of the token is in it. */
stoa_rc_t stoa_jwt_parse(const char *s, size_t len, char *buf,
    stoa_jwt_t *jwt, const char **why) STOA_MUST_CHECK;
/* The same of another type of token than those that let somebody in; types: in
 * lower case, NULL ends. */
extern const char *const  stoa_jwt_logout_types[];
extern const char *const  stoa_jwt_proof_types[];      /* and it has a jwk   */
stoa_rc_t stoa_jwt_parse_as(const char *const *types, const char *s,
    size_t len, char *buf, stoa_jwt_t *jwt, const char **why)
    STOA_MUST_CHECK;

/* A claim: a top-level name as it is, or a path into objects that begins with
 * a slash (RFC 6901: "/realm_access/roles").  False: it is not there. */
bool stoa_jwt_claim(const stoa_json_val_t *claims, const char *path,
    size_t len, stoa_json_val_t *val);
bool stoa_jwt_path_valid(const char *path, size_t len);

/* Seconds since the epoch, without a fraction; false: it is no such number. */
bool stoa_jwt_time(const stoa_json_val_t *val, int64_t *s);

/* The words of a claim, one string or an array of them, one after another with
 * a NUL behind each; split: a string holds several with blanks between.
 * Returns their length, at most that of the value; SIZE_MAX: it is neither.
 * Words with a NUL or a control character are left out. */
size_t stoa_jwt_words(const stoa_json_val_t *val, bool split, char *dst);
/* Is it one of those words? */
bool stoa_jwt_has(const char *words, size_t len, const char *word, size_t n);


typedef struct {
    stoa_jwk_type_e  type;
    uint16_t         algs;             /* bits of stoa_alg_e                 */
    uint16_t         kid_len;
    uint16_t         spki_len;
    char             kid[STOA_KID_MAX];
    uint8_t          spki[STOA_JWK_SPKI_MAX];   /* DER SubjectPublicKeyInfo  */
} stoa_jwk_t;

/* One item of "keys", of a text that was checked.  STOA_DECLINED: *why says
 * why it verifies nothing (symmetric, for encryption, too short). */
stoa_rc_t stoa_jwk_read(const stoa_json_val_t *jwk, stoa_jwk_t *key,
    const char **why) STOA_MUST_CHECK;

/* What is summed for its thumbprint (RFC 7638), of one that was read: dst has
 * as many bytes as its text.  0: a part of a private key is in it. */
size_t stoa_jwk_canonical(const stoa_json_val_t *jwk, stoa_jwk_type_e type,
    char *dst);

/* A JWS' ECDSA signature (r and s, one after another) as DER; the length, 0:
 * it has another length than the key's.  dst: STOA_ECDSA_DER_MAX bytes. */
size_t stoa_ecdsa_der(stoa_jwk_type_e type, const uint8_t *sig, size_t len,
    uint8_t *dst);


#endif /* STOA_JOSE_H */
