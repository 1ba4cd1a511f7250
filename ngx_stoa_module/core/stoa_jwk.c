/*
 * Public keys: from a JWK to the DER that OpenSSL reads.
 */

#include <string.h>

#include "stoa_base64.h"
#include "stoa_jose.h"


/* A writer of DER; the caller has made sure that it fits. */

typedef struct {
    uint8_t  *p;
} stoa_der_t;


static const char *stoa_jwk_kind(const stoa_json_val_t *jwk,
    stoa_jwk_type_e *type);
static const char *stoa_jwk_use(const stoa_json_val_t *jwk,
    stoa_jwk_t *key);
static const char *stoa_jwk_rsa(const stoa_json_val_t *jwk, stoa_jwk_t *key);
static const char *stoa_jwk_curve(const stoa_json_val_t *jwk,
    stoa_jwk_t *key);
static size_t stoa_jwk_bytes(const stoa_json_val_t *jwk, const char *name,
    uint8_t *dst, size_t max);
static size_t stoa_der_length(size_t len);
static void stoa_der_head(stoa_der_t *d, uint8_t tag, size_t len);
static size_t stoa_der_uint_len(const uint8_t *n, size_t len);
static void stoa_der_uint(stoa_der_t *d, const uint8_t *n, size_t len);


/* By stoa_jwk_type_e.  head: the AlgorithmIdentifier. */

static const struct {
    const char     *kty;
    const char     *crv;
    size_t          bytes;             /* of a coordinate                    */
    size_t          n;
    const uint8_t   head[24];
} stoa_jwks[STOA_JWK_TYPES] = {
    { "RSA", NULL, 0, 15,
      { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
        0x01, 0x01, 0x05, 0x00 } },
    { "EC", "P-256", 32, 21,
      { 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 } },
    { "EC", "P-384", 48, 18,
      { 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 } },
    { "EC", "P-521", 66, 18,
      { 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23 } },
    { "OKP", "Ed25519", 32, 7,
      { 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70 } }
};


stoa_rc_t
stoa_jwk_read(const stoa_json_val_t *jwk, stoa_jwk_t *key, const char **why)
{
    stoa_str_t       kid;
    stoa_json_val_t  val;

    memset(key, 0, sizeof(stoa_jwk_t));

    *why = jwk->type == STOA_JSON_OBJECT ? stoa_jwk_kind(jwk, &key->type)
                                         : "is not an object";

    if (*why == NULL) {
        *why = stoa_jwk_use(jwk, key);
    }

    if (*why == NULL && stoa_json_get(jwk, "kid", &val)) {
        if (!stoa_json_text(&val, &kid) || kid.len == 0
            || kid.len > sizeof(key->kid))
        {
            *why = "has a kid that is not a short text";

        } else {
            memcpy(key->kid, kid.data, kid.len);
            key->kid_len = (uint16_t) kid.len;
        }
    }

    if (*why == NULL) {
        *why = key->type == STOA_JWK_RSA ? stoa_jwk_rsa(jwk, key)
                                         : stoa_jwk_curve(jwk, key);
    }

    return *why ? STOA_DECLINED : STOA_OK;
}


static const char *
stoa_jwk_kind(const stoa_json_val_t *jwk, stoa_jwk_type_e *type)
{
    int         i;
    stoa_str_t  kty, crv;

    if (!stoa_json_get_text(jwk, "kty", &kty)) {
        return "has no kty";
    }

    if (!stoa_json_get_text(jwk, "crv", &crv)) {
        crv = stoa_str("");
    }

    for (i = 0; i < STOA_JWK_TYPES; i++) {
        if (kty.len == strlen(stoa_jwks[i].kty)
            && memcmp(kty.data, stoa_jwks[i].kty, kty.len) == 0
            && (stoa_jwks[i].crv == NULL
                || (crv.len == strlen(stoa_jwks[i].crv)
                    && memcmp(crv.data, stoa_jwks[i].crv, crv.len) == 0)))
        {
            *type = (stoa_jwk_type_e) i;
            return NULL;
        }
    }

    return "is of a type that verifies no token";
}


/* What it says it is for, and which algorithms that leaves. */

static const char *
stoa_jwk_use(const stoa_json_val_t *jwk, stoa_jwk_t *key)
{
    int               i;
    bool              more, verify;
    stoa_str_t        text;
    stoa_json_val_t   val, op;
    stoa_json_iter_t  it;

    if (stoa_json_get(jwk, "use", &val)
        && (!stoa_json_text(&val, &text) || text.len != 3
            || memcmp(text.data, "sig", 3) != 0))
    {
        return "is not for signatures";
    }

    if (stoa_json_get(jwk, "key_ops", &val)) {
        verify = false;

        for (more = stoa_json_first(&val, &it, NULL, &op);
             more;
             more = stoa_json_next(&it, NULL, &op))
        {
            verify |= op.type == STOA_JSON_STRING
                      && stoa_json_eq(&op, "verify", 6);
        }

        if (!verify) {
            return "is not for verifying";
        }
    }

    for (i = 0; i < STOA_ALG_MAX; i++) {
        if (stoa_algs[i].type == key->type) {
            key->algs |= (uint16_t) (1u << i);
        }
    }

    if (stoa_json_get(jwk, "alg", &val)) {
        i = stoa_json_text(&val, &text)
            ? stoa_alg_find(text.data, text.len) : STOA_ALG_MAX;

        key->algs &= (uint16_t) (1u << i);

        if (key->algs == 0) {
            return "has an alg that does not fit it, or is not allowed";
        }
    }

    return NULL;
}


static const char *
stoa_jwk_rsa(const stoa_json_val_t *jwk, stoa_jwk_t *key)
{
    size_t      bits, n_len, e_len, seq, body;
    uint8_t     n[STOA_JWK_RSA_MAX / 8], e[8], top;
    stoa_der_t  d;

    n_len = stoa_jwk_bytes(jwk, "n", n, sizeof(n));
    e_len = stoa_jwk_bytes(jwk, "e", e, sizeof(e));

    if (n_len == 0 || e_len == 0 || n[0] == 0 || e[0] == 0) {
        return "has no n and e that are numbers of RSA";
    }

    bits = n_len * 8;

    for (top = n[0]; !(top & 0x80); top = (uint8_t) (top << 1)) {
        bits--;
    }

    if (bits < STOA_JWK_RSA_MIN) {
        return "has fewer than 2048 bits";
    }

    if (!(n[n_len - 1] & 1) || !(e[e_len - 1] & 1)
        || (e_len == 1 && e[0] == 1) || e_len > 4)
    {
        return "has no n and e that are numbers of RSA";
    }

    body = stoa_der_uint_len(n, n_len) + stoa_der_uint_len(e, e_len);
    seq = 1 + stoa_der_length(body) + body;

    d.p = key->spki;
    stoa_der_head(&d, 0x30, stoa_jwks[STOA_JWK_RSA].n + 1
                            + stoa_der_length(seq + 1) + seq + 1);
    memcpy(d.p, stoa_jwks[STOA_JWK_RSA].head, stoa_jwks[STOA_JWK_RSA].n);
    d.p += stoa_jwks[STOA_JWK_RSA].n;
    stoa_der_head(&d, 0x03, seq + 1);
    *d.p++ = 0;
    stoa_der_head(&d, 0x30, body);
    stoa_der_uint(&d, n, n_len);
    stoa_der_uint(&d, e, e_len);

    key->spki_len = (uint16_t) (d.p - key->spki);

    return NULL;
}


static const char *
stoa_jwk_curve(const stoa_json_val_t *jwk, stoa_jwk_t *key)
{
    size_t      bytes, point, n;
    uint8_t     x[66], y[66];
    stoa_der_t  d;

    bytes = stoa_jwks[key->type].bytes;
    n = stoa_jwks[key->type].n;

    if (stoa_jwk_bytes(jwk, "x", x, sizeof(x)) != bytes) {
        return "has no x of its curve";
    }

    point = key->type == STOA_JWK_ED25519 ? bytes : 1 + 2 * bytes;

    if (key->type != STOA_JWK_ED25519
        && stoa_jwk_bytes(jwk, "y", y, sizeof(y)) != bytes)
    {
        return "has no y of its curve";
    }

    d.p = key->spki;
    stoa_der_head(&d, 0x30, n + 1 + stoa_der_length(point + 1) + point + 1);
    memcpy(d.p, stoa_jwks[key->type].head, n);
    d.p += n;
    stoa_der_head(&d, 0x03, point + 1);
    *d.p++ = 0;

    if (key->type != STOA_JWK_ED25519) {
        *d.p++ = 4;                            /* not compressed */
    }

    memcpy(d.p, x, bytes);
    d.p += bytes;

    if (key->type != STOA_JWK_ED25519) {
        memcpy(d.p, y, bytes);
        d.p += bytes;
    }

    key->spki_len = (uint16_t) (d.p - key->spki);

    return NULL;
}


/* 0: it is not there, no base64url or too long. */

static size_t
stoa_jwk_bytes(const stoa_json_val_t *jwk, const char *name, uint8_t *dst,
    size_t max)
{
    stoa_str_t  text;

    return stoa_json_get_text(jwk, name, &text)
           && text.len <= STOA_JWT_MAX && text.len * 3 / 4 <= max
           && stoa_base64url_decode(text.data, text.len, dst)
           ? text.len * 3 / 4 : 0;
}


/* How many bytes the length itself takes. */

static size_t
stoa_der_length(size_t len)
{
    return len < 0x80 ? 1 : len < 0x100 ? 2 : 3;
}


static void
stoa_der_head(stoa_der_t *d, uint8_t tag, size_t len)
{
    *d->p++ = tag;

    if (len >= 0x100) {
        *d->p++ = 0x82;
        *d->p++ = (uint8_t) (len >> 8);

    } else if (len >= 0x80) {
        *d->p++ = 0x81;
    }

    *d->p++ = (uint8_t) len;
}


/* A number that is none below 0: a first bit that is set wants a zero before
 * it, zeros before the number go. */

static size_t
stoa_der_uint_len(const uint8_t *n, size_t len)
{
    while (len > 1 && *n == 0) {
        n++;
        len--;
    }

    len += *n >> 7;

    return 1 + stoa_der_length(len) + len;
}


static void
stoa_der_uint(stoa_der_t *d, const uint8_t *n, size_t len)
{
    while (len > 1 && *n == 0) {
        n++;
        len--;
    }

    stoa_der_head(d, 0x02, len + (*n >> 7));

    if (*n >> 7) {
        *d->p++ = 0;
    }

    memcpy(d->p, n, len);
    d->p += len;
}


size_t
stoa_jwk_canonical(const stoa_json_val_t *jwk, stoa_jwk_type_e type,
    char *dst)
{
    char               *d;
    stoa_str_t          text;
    stoa_json_val_t     val;
    const char *const  *name;

    static const char *const  secret[] = {
        "d", "p", "q", "dp", "dq", "qi", "oth", "k", NULL
    };
    static const char *const  members[] = {
        "crv", "e", "kty", "n", "x", "y", NULL
    };

    for (name = secret; *name; name++) {
        if (stoa_json_get(jwk, *name, &val)) {
            return 0;
        }
    }

    d = dst;

    for (name = members; *name; name++) {

        if (((*name)[0] == 'e' || (*name)[0] == 'n')
            ? type != STOA_JWK_RSA
            : (*name)[0] != 'k' && (type == STOA_JWK_RSA
                                    || (type == STOA_JWK_ED25519
                                        && (*name)[0] == 'y')))
        {
            continue;
        }

        if (!stoa_json_get_text(jwk, *name, &text)) {
            return 0;
        }

        *d = d == dst ? '{' : ',';
        d++;
        *d++ = '"';
        memcpy(d, *name, strlen(*name));
        d += strlen(*name);
        memcpy(d, "\":\"", 3);
        d += 3;
        memcpy(d, text.data, text.len);
        d += text.len;
        *d++ = '"';
    }

    *d++ = '}';

    return (size_t) (d - dst);
}


size_t
stoa_ecdsa_der(stoa_jwk_type_e type, const uint8_t *sig, size_t len,
    uint8_t *dst)
{
    size_t      half, body;
    stoa_der_t  d;

    half = stoa_jwks[type].bytes;

    if (half == 0 || len != 2 * half) {
        return 0;
    }

    body = stoa_der_uint_len(sig, half) + stoa_der_uint_len(sig + half, half);

    d.p = dst;
    stoa_der_head(&d, 0x30, body);
    stoa_der_uint(&d, sig, half);
    stoa_der_uint(&d, sig + half, half);

    return (size_t) (d.p - dst);
}
