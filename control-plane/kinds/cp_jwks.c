/*
 * Key sets.
 */

#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/stoa_jose.h"
#include "kinds/cp_jwks.h"


#define CP_JWKS_SKIPPED  64


static const char *cp_jwks_key(cp_arena_t *a, const stoa_json_val_t *item,
    const cp_json_t *algorithms, cp_json_t *key);
static bool cp_jwks_sound(const stoa_jwk_t *jwk);
static cp_json_t *cp_jwks_algorithms(cp_arena_t *a, const stoa_jwk_t *jwk,
    const cp_json_t *algorithms);


const char *
cp_jwks_read(cp_arena_t *a, const char *text, size_t len,
    const cp_json_t *algorithms, cp_json_t *keys, cp_json_t *skipped)
{
    bool              more;
    cp_json_t        *key;
    stoa_err_t        err;
    const char       *why;
    stoa_json_val_t   root, list, item;
    stoa_json_iter_t  it;

    if (len > CP_JWKS_BYTES) {
        return "is too long";
    }

    if (stoa_json_check(text, len, STOA_JWT_DEPTH_MAX, &root, &err)
        != STOA_OK)
    {
        return cp_arena_printf(a, "is no JSON: %s", err.text);
    }

    if (!stoa_json_get(&root, "keys", &list)
        || list.type != STOA_JSON_ARRAY)
    {
        return "is no key set: it has no list \"keys\"";
    }

    for (more = stoa_json_first(&list, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        key = cp_json_object(a);

        if (key == NULL) {
            return "is too much";
        }

        why = cp_jwks_key(a, &item, algorithms, key);

        if (why == NULL && keys->n == CP_JWKS_KEYS) {
            why = "is one too many";
        }

        if (why == NULL) {
            cp_json_push(keys, key);

        } else if (skipped->n < CP_JWKS_SKIPPED) {
            cp_json_put(a, key, "why", why);
            cp_json_push(skipped, key);
        }
    }

    return NULL;
}


/* Why it verifies nothing, then it has a kid at most; NULL: it does. */

static const char *
cp_jwks_key(cp_arena_t *a, const stoa_json_val_t *item,
    const cp_json_t *algorithms, cp_json_t *key)
{
    char        *spki;
    cp_json_t   *list;
    stoa_rc_t    rc;
    stoa_jwk_t   jwk;
    const char  *why;

    rc = stoa_jwk_read(item, &jwk, &why);

    if (jwk.kid_len) {
        cp_json_put(a, key, "kid",
                    cp_arena_strndup(a, jwk.kid, jwk.kid_len));
    }

    if (rc != STOA_OK) {
        return why;
    }

    if (!cp_jwks_sound(&jwk)) {
        return "is no key that OpenSSL takes";
    }

    list = cp_jwks_algorithms(a, &jwk, algorithms);
    spki = cp_base64url_encode(a, jwk.spki, jwk.spki_len);

    if (list == NULL || spki == NULL) {
        return "is too much";
    }

    if (list->n == 0) {
        return "fits none of the issuer's algorithms";
    }

    cp_json_set(a, key, "algorithms", list);
    cp_json_put(a, key, "spki", spki);

    return NULL;
}


/* A point that is on no curve, a number that is no modulus. */

static bool
cp_jwks_sound(const stoa_jwk_t *jwk)
{
    bool            ok;
    EVP_PKEY       *key;
    EVP_PKEY_CTX   *ctx;
    const uint8_t  *p;

    p = jwk->spki;
    key = d2i_PUBKEY(NULL, &p, jwk->spki_len);
    ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;

    ok = ctx && p == jwk->spki + jwk->spki_len
         && EVP_PKEY_public_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);

    return ok;
}


static cp_json_t *
cp_jwks_algorithms(cp_arena_t *a, const stoa_jwk_t *jwk,
    const cp_json_t *algorithms)
{
    int               i;
    cp_json_t        *list;
    const cp_json_t  *m;

    list = cp_json_array(a);

    for (i = 0; list && i < STOA_ALG_MAX; i++) {

        if (!(jwk->algs & 1u << i)) {
            continue;
        }

        for (m = algorithms ? algorithms->first : NULL; m; m = m->next) {
            if (strcmp(m->s, stoa_algs[i].name) == 0) {
                break;
            }
        }

        if (m || algorithms == NULL) {
            cp_json_push(list, cp_json_string(a, stoa_algs[i].name));
        }
    }

    return list;
}
