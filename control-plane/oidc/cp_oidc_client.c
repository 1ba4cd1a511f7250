/*
 * Asking the token endpoint as the client that the operator registered: by its
 * secret, or by a short JWT that its private key signs (RFC 7523).
 *
 * The files are read at each use, so that a new secret needs no start.
 */

#include <errno.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "oidc/cp_oidc.h"


#define CP_OIDC_ASSERTION_S  60
#define CP_OIDC_PAIRS_MAX    24
#define CP_OIDC_BEARER_TYPE                                                   \
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* What signs, by the kind of the private key. */
typedef struct {
    const char    *alg;
    const EVP_MD  *md;
    int            half;               /* of an ECDSA signature; 0: none     */
} cp_oidc_signer_t;

static atomic_int  cp_oidc_turns;


const char *
cp_oidc_file(const char *path, char *text, size_t size)
{
    FILE    *f;
    size_t   n;

    f = fopen(path, "re");
    n = f ? fread(text, 1, size - 1, f) : 0;
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';

    if (f) {
        (void) fclose(f);
    }

    return text[0] ? text : NULL;
}


static EVP_PKEY *
cp_oidc_private(const char *path)
{
    FILE      *f;
    EVP_PKEY  *key;

    f = fopen(path, "re");
    key = f ? PEM_read_PrivateKey(f, NULL, NULL, (void *) "") : NULL;

    if (f) {
        (void) fclose(f);
    }

    ERR_clear_error();

    return key;
}


/* False: no kind of key that a provider would verify. */
static bool
cp_oidc_signer(EVP_PKEY *key, cp_oidc_signer_t *s)
{
    memset(s, 0, sizeof(cp_oidc_signer_t));

    switch (EVP_PKEY_get_base_id(key)) {

    case EVP_PKEY_RSA:
        s->alg = "RS256";
        s->md = EVP_sha256();
        return EVP_PKEY_get_bits(key) >= STOA_JWK_RSA_MIN;

    case EVP_PKEY_EC:
        s->half = (EVP_PKEY_get_bits(key) + 7) / 8;
        s->alg = s->half == 32 ? "ES256" : s->half == 48 ? "ES384" : "ES512";
        s->md = s->half == 32 ? EVP_sha256()
                : s->half == 48 ? EVP_sha384() : EVP_sha512();
        return s->half == 32 || s->half == 48 || s->half == 66;

    case EVP_PKEY_ED25519:
        s->alg = "EdDSA";
        return true;

    default:
        return false;
    }
}


/* From DER to r and s, one after another, in place. */
static bool
cp_oidc_raw(uint8_t *sig, size_t *len, int half)
{
    bool            ok;
    ECDSA_SIG      *pair;
    const uint8_t  *p;

    p = sig;
    pair = d2i_ECDSA_SIG(NULL, &p, (long) *len);
    ok = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, half) == half
         && BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + half, half) == half;
    *len = (size_t) half * 2;
    ECDSA_SIG_free(pair);

    return ok;
}


/* text.signature; NULL: it cannot be signed. */
static char *
cp_oidc_sign(cp_arena_t *a, EVP_PKEY *key, const cp_oidc_signer_t *s,
    const char *text)
{
    bool         ok;
    size_t       len;
    uint8_t      sig[STOA_JWK_RSA_MAX / 8];
    EVP_MD_CTX  *ctx;

    len = sizeof(sig);
    ctx = EVP_MD_CTX_new();

    ok = ctx && EVP_DigestSignInit(ctx, NULL, s->md, NULL, key) == 1
         && EVP_DigestSign(ctx, sig, &len, (const uint8_t *) text,
                           strlen(text)) == 1
         && (s->half == 0 || cp_oidc_raw(sig, &len, s->half));

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();

    return ok ? cp_arena_printf(a, "%s.%s", text,
                                cp_base64url_encode(a, sig, len)) : NULL;
}


static char *
cp_oidc_part(cp_arena_t *a, const cp_json_t *part)
{
    size_t       len;
    const char  *text;

    text = cp_json_text(a, part, &len);

    return text ? cp_base64url_encode(a, (const uint8_t *) text, len) : NULL;
}


/* For the provider, for a minute, once. */
static char *
cp_oidc_assertion(cp_app_t *app, cp_arena_t *a)
{
    char              *out, id[STOA_ID_LEN + 1];
    int64_t            now;
    EVP_PKEY          *key;
    cp_json_t         *head, *claims;
    const cp_conf_t   *conf = &app->conf;
    cp_oidc_signer_t   s;

    out = NULL;
    key = cp_oidc_private(conf->oidc_key_file);

    if (key && cp_oidc_signer(key, &s)) {
        now = cp_time_ms() / 1000;
        cp_id_make(id);
        head = cp_json_object(a);
        claims = cp_json_object(a);

        cp_json_put(a, head, "alg", s.alg);
        cp_json_put(a, head, "typ", "JWT");

        if (conf->oidc_key_id[0]) {
            cp_json_put(a, head, "kid", conf->oidc_key_id);
        }

        cp_json_put(a, claims, "iss", conf->oidc_client_id);
        cp_json_put(a, claims, "sub", conf->oidc_client_id);
        cp_json_put(a, claims, "aud", conf->oidc_issuer);
        cp_json_put(a, claims, "jti", id);
        cp_json_put_int(a, claims, "iat", now);
        cp_json_put_int(a, claims, "exp", now + CP_OIDC_ASSERTION_S);

        out = cp_oidc_sign(a, key, &s,
                           cp_arena_printf(a, "%s.%s", cp_oidc_part(a, head),
                                           cp_oidc_part(a, claims)));
    }

    EVP_PKEY_free(key);

    return out;
}


/* The header of who has a secret: both halves as a form would have them. */
static const char *
cp_oidc_basic(cp_arena_t *a, const char *id, const char *secret)
{
    char        *text, *name, *word, *out;
    size_t       len;

    /* a pair without a name is "=value" */

    name = cp_oidc_form(a, (const char *const []) { "", id, NULL });
    word = cp_oidc_form(a, (const char *const []) { "", secret, NULL });
    text = name && word ? cp_arena_printf(a, "%s:%s", name + 1, word + 1)
                        : NULL;
    len = text ? strlen(text) : 0;
    out = text ? cp_arena_alloc(a, 4 * (len / 3 + 1) + 1) : NULL;

    if (out == NULL) {
        return NULL;
    }

    (void) EVP_EncodeBlock((uint8_t *) out, (const uint8_t *) text,
                           (int) len);

    return cp_arena_printf(a, "Basic %s", out);
}


/* What proves the client, added to the pairs or as a header; NULL: done. */
static const char *
cp_oidc_prove(cp_oidc_ask_t *ask, const char **pairs, unsigned n)
{
    char              secret[1024];
    const cp_conf_t  *conf = &ask->app->conf;

    if (conf->oidc_key_file[0]) {
        pairs[n++] = "client_id";
        pairs[n++] = conf->oidc_client_id;
        pairs[n++] = "client_assertion_type";
        pairs[n++] = CP_OIDC_BEARER_TYPE;
        pairs[n++] = "client_assertion";
        pairs[n] = cp_oidc_assertion(ask->app, ask->arena);

        return pairs[n] ? NULL : "oidc_key_file holds no private key";
    }

    if (cp_oidc_file(conf->oidc_secret_file, secret, sizeof(secret)) == NULL)
    {
        return "oidc_secret_file holds no secret";
    }

    if (strcmp(conf->oidc_client_auth, "post") == 0) {
        pairs[n++] = "client_id";
        pairs[n++] = conf->oidc_client_id;
        pairs[n++] = "client_secret";
        pairs[n] = cp_arena_strdup(ask->arena, secret);

        return pairs[n] ? NULL : "out of memory";
    }

    ask->authorization = cp_oidc_basic(ask->arena, conf->oidc_client_id,
                                       secret);

    return ask->authorization ? NULL : "out of memory";
}


cp_rc_t
cp_oidc_exchange(cp_op_t *op, const char *const *pairs, cp_json_t **out)
{
    long            status;
    unsigned        n;
    const char     *all[CP_OIDC_PAIRS_MAX], *error, *said;
    cp_oidc_ask_t   ask;

    *out = NULL;
    memset(all, 0, sizeof(all));
    memset(&ask, 0, sizeof(ask));

    for (n = 0; pairs[n]; n++) {
        all[n] = pairs[n];
    }

    ask.app = op->app;
    ask.arena = op->arena;
    ask.url = cp_oidc_endpoint(op->app, op->arena, "token_endpoint");
    ask.timeout_ms = CP_OIDC_TIMEOUT_MS;
    ask.max = CP_OIDC_BODY_MAX;

    if (ask.url == NULL) {
        return cp_err_set(&op->err, "unavailable", "the provider of "
                          "identities has not answered yet");
    }

    error = cp_oidc_prove(&ask, all, n);
    ask.form = cp_oidc_form(op->arena, all);

    if (error == NULL) {
        error = ask.form ? cp_oidc_ask(&ask, &status, out) : "out of memory";
    }

    if (error) {
        cp_log(CP_LOG_WARN, "oidc", "token endpoint: %s", error);
        cp_oidc_doubt();
        return cp_err_set(&op->err, "unavailable", "the provider of "
                          "identities does not answer");
    }

    if (status == 200 && *out && (*out)->type == CP_JSON_OBJECT) {
        return CP_OK;
    }

    said = cp_json_str(*out, "error");
    cp_log(CP_LOG_WARN, "oidc", "token endpoint: HTTP status %ld %.64s",
           status, said ? said : "");

    return said && strcmp(said, "invalid_grant") == 0
           ? cp_err_set(&op->err, "unauthorized", "the provider of identities"
                        " takes it no more: begin again")
           : cp_err_set(&op->err, "bad_gateway", "the provider of identities "
                        "has answered %ld", status);
}


bool
cp_oidc_turn(const cp_app_t *app)
{
    if (atomic_fetch_add(&cp_oidc_turns, 1)
        < (app->conf.worker_threads < 8 ? 1 : app->conf.worker_threads / 4))
    {
        return true;
    }

    cp_oidc_turn_over();

    return false;
}


void
cp_oidc_turn_over(void)
{
    (void) atomic_fetch_sub(&cp_oidc_turns, 1);
}


const char *
cp_oidc_account(cp_app_t *app, cp_arena_t *a, const char *client,
    const char *secret, int64_t timeout_ms, cp_json_t **out)
{
    long            status;
    const char     *error;
    cp_oidc_ask_t   ask;

    memset(&ask, 0, sizeof(ask));
    ask.app = app;
    ask.arena = a;
    ask.url = cp_oidc_endpoint(app, a, "token_endpoint");
    ask.form = cp_oidc_form(a, (const char *const []) {
        "grant_type", "client_credentials", "client_id", client,
        "client_secret", secret, NULL });
    ask.timeout_ms = timeout_ms;
    ask.max = CP_OIDC_BODY_MAX;

    if (ask.url == NULL || ask.form == NULL) {
        return "the provider has not answered yet";
    }

    error = cp_oidc_ask(&ask, &status, out);

    if (error) {
        cp_oidc_doubt();
        return error;
    }

    if (status == 200 && cp_json_str(*out, "access_token")) {
        return NULL;
    }

    error = cp_json_str(*out, "error");
    error = cp_arena_printf(a, "no token for %s: HTTP status %ld %.64s",
                            client, status, error ? error : "");

    return error ? error : "out of memory";
}


cp_rc_t
cp_oidc_client_init(cp_app_t *app, cp_err_t *err)
{
    bool               ok;
    char               text[1024];
    EVP_PKEY          *key;
    const cp_conf_t   *conf = &app->conf;
    cp_oidc_signer_t   s;

    if (conf->oidc_client_id[0] == '\0') {
        return CP_OK;
    }

    if (conf->public_url[0] == '\0') {
        return cp_err_set(err, "validation", "oidc_client_id needs "
                          "public_url: where the provider sends browsers "
                          "back to");
    }

    if ((conf->oidc_secret_file[0] == '\0')
        == (conf->oidc_key_file[0] == '\0'))
    {
        return cp_err_set(err, "validation", "oidc_client_id needs "
                          "oidc_secret_file or oidc_key_file");
    }

    if (conf->oidc_secret_file[0]) {
        return cp_oidc_file(conf->oidc_secret_file, text, sizeof(text))
               ? CP_OK : cp_err_set(err, "validation", "oidc_secret_file: "
                                    "\"%s\" holds no secret",
                                    conf->oidc_secret_file);
    }

    key = cp_oidc_private(conf->oidc_key_file);
    ok = key && cp_oidc_signer(key, &s);
    EVP_PKEY_free(key);

    return ok ? CP_OK : cp_err_set(err, "validation", "oidc_key_file: \"%s\" "
                                   "holds no private key (RSA of 2048 bits, "
                                   "P-256, P-384, P-521, Ed25519)",
                                   conf->oidc_key_file);
}
