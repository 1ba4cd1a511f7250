/* Tests for tokens, public keys and base64url. */

#include "stoa_base64.h"
#include "stoa_jose.h"
#include "stoa_key.h"
#include "tap.h"


/* Parts: a header or claims as JSON, whatever follows as it is. */

static size_t
token(char *dst, const char *header, const char *claims, const char *sig)
{
    size_t  n;

    stoa_base64url_encode((const uint8_t *) header, strlen(header), dst);
    n = stoa_base64url_len(strlen(header));
    dst[n++] = '.';
    stoa_base64url_encode((const uint8_t *) claims, strlen(claims), dst + n);
    n += stoa_base64url_len(strlen(claims));
    dst[n++] = '.';
    memcpy(dst + n, sig, strlen(sig));

    return n + strlen(sig);
}


static const struct {
    const char  *what;
    const char  *header;
    const char  *claims;
    const char  *sig;
    bool         ok;
} tokens[] = {
    { "RS256", "{\"alg\":\"RS256\",\"kid\":\"a\"}", "{}", "AAAA", true },
    { "EdDSA, an access token by its type",
      "{\"alg\":\"EdDSA\",\"typ\":\"at+JWT\"}", "{}", "AAAA", true },
    { "none", "{\"alg\":\"none\"}", "{}", "AAAA", false },
    { "None", "{\"alg\":\"None\"}", "{}", "AAAA", false },
    { "HS256", "{\"alg\":\"HS256\"}", "{}", "AAAA", false },
    { "no algorithm", "{}", "{}", "AAAA", false },
    { "two of them", "{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", "AAAA",
      false },
    { "an algorithm with an escape", "{\"alg\":\"\\u0052S256\"}", "{}",
      "AAAA", false },
    { "crit", "{\"alg\":\"RS256\",\"crit\":[]}", "{}", "AAAA", false },
    { "jku", "{\"alg\":\"RS256\",\"jku\":\"https://x\"}", "{}", "AAAA",
      false },
    { "a key inside", "{\"alg\":\"RS256\",\"jwk\":{}}", "{}", "AAAA", false },
    { "a logout token", "{\"alg\":\"RS256\",\"typ\":\"logout+jwt\"}", "{}",
      "AAAA", false },
    { "an empty kid", "{\"alg\":\"RS256\",\"kid\":\"\"}", "{}", "AAAA",
      false },
    { "no signature", "{\"alg\":\"RS256\"}", "{}", "", false },
    { "a fourth part", "{\"alg\":\"RS256\"}", "{}", "AAAA.AAAA", false },
    { "padding", "{\"alg\":\"RS256\"}", "{}", "AAA=", false },
    { "bits left over", "{\"alg\":\"RS256\"}", "{}", "AAB", false },
    { "claims that are a list", "{\"alg\":\"RS256\"}", "[]", "AAAA", false },
    { "claims twice", "{\"alg\":\"RS256\"}", "{\"iss\":\"a\",\"iss\":\"b\"}",
      "AAAA", false },
    { "data behind", "{\"alg\":\"RS256\"}", "{} {}", "AAAA", false },
};

static const struct {
    const char  *what;
    const char  *jwk;
    bool         ok;
} keys[] = {
    { "symmetric", "{\"kty\":\"oct\",\"k\":\"AAAA\"}", false },
    { "for encryption", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"enc\","
      "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}", false },
    { "an alg of another type", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":"
      "\"RS256\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
      false },
    { "a short x", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qY\"}",
      false },
    { "a weak RSA key", "{\"kty\":\"RSA\",\"n\":\"gREREREREREREREREREREREREQ\""
      ",\"e\":\"AQAB\"}", false },
    { "a curve without y", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
      "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}", false },
};


static void
test_tokens(void)
{
    char         s[1024], buf[1024];
    size_t       i, n;
    stoa_jwt_t   jwt;
    const char  *why;

    for (i = 0; i < tap_count(tokens); i++) {
        n = token(s, tokens[i].header, tokens[i].claims, tokens[i].sig);

        tap_ok((stoa_jwt_parse(s, n, buf, &jwt, &why) == STOA_OK)
               == tokens[i].ok, "token: %s", tokens[i].what);
    }
}


static void
test_claims(void)
{
    char             s[1024], buf[1024], words[1024];
    size_t           n;
    int64_t          t;
    stoa_jwt_t       jwt;
    const char      *why;
    stoa_json_val_t  v;

    n = token(s, "{\"alg\":\"RS256\"}", "{\"exp\":1795737600.75,"
              "\"scope\":\" a  b:c \",\"a.b\":\"dot\",\"bad\":-1,"
              "\"r\":{\"x/y\":{\"roles\":[\"one two\",\"t\\u0000\"]}}}",
              "AAAA");

    tap_ok(stoa_jwt_parse(s, n, buf, &jwt, &why) == STOA_OK, "claims");

    tap_ok(stoa_jwt_claim(&jwt.claims, "exp", 3, &v)
           && stoa_jwt_time(&v, &t) && t == 1795737600, "a time");
    tap_ok(stoa_jwt_claim(&jwt.claims, "bad", 3, &v)
           && !stoa_jwt_time(&v, &t), "no time before 1970");
    tap_ok(stoa_jwt_claim(&jwt.claims, "a.b", 3, &v), "a name with a dot");
    tap_ok(!stoa_jwt_claim(&jwt.claims, "r.x", 3, &v), "which is no path");

    tap_ok(stoa_jwt_claim(&jwt.claims, "/r/x~1y/roles", 13, &v), "a path");
    n = stoa_jwt_words(&v, false, words);
    tap_ok(n == 8 && stoa_jwt_has(words, n, "one two", 7),
           "an array is not split, a word with a NUL is none");

    tap_ok(stoa_jwt_claim(&jwt.claims, "scope", 5, &v), "scopes");
    n = stoa_jwt_words(&v, true, words);
    tap_ok(n == 6 && memcmp(words, "a\0b:c", 6) == 0, "split at blanks");
    tap_ok(stoa_jwt_has(words, n, "b:c", 3)
           && !stoa_jwt_has(words, n, "b", 1), "whole words");

    tap_ok(!stoa_jwt_path_valid("/a~2", 4) && !stoa_jwt_path_valid("", 0)
           && stoa_jwt_path_valid("/a~1b", 5), "paths");
}


static void
test_keys(void)
{
    char             hex[256];
    size_t           i;
    stoa_jwk_t       key;
    const char      *why;
    stoa_json_val_t  root;

    static const char  ed[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":"
        "\"e\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";
    static const char  secret[] = "{\"kty\":\"RSA\",\"n\":\"AQ\","
        "\"e\":\"AQAB\",\"d\":\"AQ\"}";
    static const uint8_t  sig[64] = { [0] = 0x80, [31] = 1, [63] = 2 };

    tap_ok(stoa_json_check(ed, sizeof(ed) - 1, 8, &root, NULL) == STOA_OK
           && stoa_jwk_read(&root, &key, &why) == STOA_OK
           && key.algs == 1u << STOA_ALG_EdDSA && key.kid_len == 1,
           "an Ed25519 key");
    stoa_hex_encode(key.spki, key.spki_len, hex);
    tap_str(hex, 2 * key.spki_len, "302a300506032b6570032100d75a980182b10ab7"
            "d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "its DER");

    i = stoa_jwk_canonical(&root, key.type, hex);
    tap_str(hex, i, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":"
            "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
            "what its thumbprint is of");
    tap_ok(stoa_json_check(secret, sizeof(secret) - 1, 8, &root, NULL)
           == STOA_OK && stoa_jwk_canonical(&root, STOA_JWK_RSA, hex) == 0,
           "none of a private key");

    for (i = 0; i < tap_count(keys); i++) {
        tap_ok(stoa_json_check(keys[i].jwk, strlen(keys[i].jwk), 8, &root,
                               NULL) == STOA_OK
               && stoa_jwk_read(&root, &key, &why) == STOA_DECLINED,
               "no key: %s", keys[i].what);
    }

    i = stoa_ecdsa_der(STOA_JWK_P256, sig, sizeof(sig), key.spki);
    tap_int((long long) i, 2 + 2 + 33 + 3, "a signature as DER");
    tap_int((long long) stoa_ecdsa_der(STOA_JWK_P256, sig, 63, key.spki), 0,
            "another length is none");
}


int
main(void)
{
    test_tokens();
    test_claims();
    test_keys();

    return tap_done();
}
