/*
 * Tokens and keys: what passes holds together and is inside its memory.
 */

#include "fuzz.h"
#include "stoa_jose.h"


static void
fuzz_token(const char *s, size_t size)
{
    char             *buf, *words;
    size_t            n;
    int64_t           when;
    stoa_jwt_t        jwt;
    const char       *why;
    stoa_json_val_t   key, val;
    stoa_json_iter_t  it;
    bool              more;

    buf = malloc(size + 1);
    words = malloc(size + 1);

    if (stoa_jwt_parse(s, size, buf, &jwt, &why) == STOA_OK) {
        must(size <= STOA_JWT_MAX && why == NULL);
        must(jwt.alg < STOA_ALG_MAX);
        must(jwt.claims.type == STOA_JSON_OBJECT);
        must(jwt.signed_part.data == s && jwt.signed_part.len < size);
        must(jwt.signature.data + jwt.signature.len <= buf + size);

        for (more = stoa_json_first(&jwt.claims, &it, &key, &val);
             more;
             more = stoa_json_next(&it, &key, &val))
        {
            (void) stoa_jwt_time(&val, &when);
            n = stoa_jwt_words(&val, true, words);
            must(n == SIZE_MAX || n == 0
                 || (n <= (size_t) (val.end - val.start)
                     && words[n - 1] == '\0'
                     && stoa_jwt_has(words, n, words, strlen(words))));
        }

        (void) stoa_jwt_claim(&jwt.claims, "/a/b~1c", 7, &val);
        (void) stoa_jwt_claim(&jwt.claims, "a", 1, &val);

    } else {
        must(why != NULL);
    }

    free(words);
    free(buf);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t           der[STOA_ECDSA_DER_MAX];
    const char       *why, *s = (const char *) data;
    stoa_jwk_t        key;
    stoa_json_val_t   root;

    fuzz_token(s, size);

    if (stoa_json_check(s, size, STOA_JWT_DEPTH_MAX, &root, NULL) == STOA_OK) {

        if (stoa_jwk_read(&root, &key, &why) == STOA_OK) {
            must(key.spki_len > 0 && key.spki_len <= sizeof(key.spki));
            must(key.algs != 0 && key.kid_len <= sizeof(key.kid));

        } else {
            must(why != NULL);
        }
    }

    must(stoa_ecdsa_der(STOA_JWK_P256, data, size, der) <= sizeof(der));
    must(stoa_ecdsa_der(STOA_JWK_P384, data, size, der) <= sizeof(der));
    must(stoa_ecdsa_der(STOA_JWK_P521, data, size, der) <= sizeof(der));
    must(stoa_ecdsa_der(STOA_JWK_RSA, data, size, der) == 0);

    (void) stoa_jwt_path_valid(s, size);

    return 0;
}
