/*
 * The provider: what it says of itself, and its keys.
 *
 * What was read stays until something better is read: an answer that fails,
 * is no JSON or has no key takes nothing away.
 */

#include <pthread.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/cp_metrics.h"
#include "kinds/cp_jwks.h"
#include "oidc/cp_oidc.h"


#define CP_OIDC_ARENA   (8 * 1024 * 1024)
#define CP_OIDC_TRIES   4              /* keys of one id                     */


typedef struct {
    char       kid[STOA_KID_MAX + 1];
    unsigned   algs;                   /* bits of stoa_alg_e                 */
    EVP_PKEY  *key;
} cp_oidc_key_t;

static struct {
    pthread_mutex_t   lock;
    pthread_cond_t    cond;
    bool              reading;         /* somebody asks it                   */
    unsigned          waiting;
    unsigned          failures;        /* in a row                           */
    int64_t           next;            /* reading, monotonic ms              */
    int64_t           asked;           /* last, monotonic ms; 0: never       */
    int64_t           since;           /* of the state, Unix ms              */
    int64_t           keys_at;         /* read well, Unix ms; 0: never       */
    cp_arena_t       *arena;           /* of metadata                        */
    const cp_json_t  *metadata;        /* NULL: never read                   */
    char              error[256];      /* "": it was read                    */
    unsigned          n;
    cp_oidc_key_t     key[CP_JWKS_KEYS];
} cp_oidc = { .lock = PTHREAD_MUTEX_INITIALIZER,
              .cond = PTHREAD_COND_INITIALIZER };


bool
cp_oidc_used(const cp_app_t *app)
{
    return app->conf.oidc_issuer[0] != '\0';
}


/* The operator may reach it by another address than people do: what begins
 * with the issuer begins with that. */
static const char *
cp_oidc_inner(cp_app_t *app, cp_arena_t *a, const char *url)
{
    size_t             n;
    const cp_conf_t   *conf = &app->conf;

    n = strlen(conf->oidc_issuer);
    n -= n && conf->oidc_issuer[n - 1] == '/';

    if (url == NULL || conf->oidc_url[0] == '\0'
        || strncmp(url, conf->oidc_issuer, n) != 0 || url[n] != '/')
    {
        return url;
    }

    return cp_arena_printf(a, "%s%s", conf->oidc_url, url + n);
}


/* Discovery, whose issuer has to be the one that was asked for. */
static const char *
cp_oidc_discover(cp_oidc_ask_t *ask, cp_json_t **metadata)
{
    long         status;
    size_t       n;
    const char  *error, *iss;
    const char  *issuer = ask->app->conf.oidc_issuer;

    n = strlen(issuer);
    ask->url = cp_oidc_inner(ask->app, ask->arena, cp_arena_printf(ask->arena,
                   "%.*s/.well-known/openid-configuration",
                   (int) (n && issuer[n - 1] == '/' ? n - 1 : n), issuer));
    error = cp_oidc_ask(ask, &status, metadata);

    if (error) {
        return error;
    }

    if (status != 200 || *metadata == NULL) {
        return cp_arena_printf(ask->arena, "discovery: HTTP status %ld, %s",
                               status, *metadata ? "JSON" : "no JSON");
    }

    iss = cp_json_str(*metadata, "issuer");

    if (iss == NULL || strcmp(iss, issuer) != 0) {
        return cp_arena_printf(ask->arena, "discovery: the provider calls "
                               "itself \"%.80s\", oidc_issuer is \"%.80s\"",
                               iss ? iss : "", issuer);
    }

    return cp_json_str(*metadata, "jwks_uri")
           ? NULL : "discovery: there is no jwks_uri";
}


static const char *
cp_oidc_keys(cp_oidc_ask_t *ask, const cp_json_t *metadata, cp_json_t *keys)
{
    long         status;
    cp_json_t   *skipped;
    stoa_str_t   body;
    const char  *error;

    ask->url = cp_oidc_inner(ask->app, ask->arena,
                             cp_json_str(metadata, "jwks_uri"));
    error = cp_oidc_ask_text(ask, &status, &body);
    skipped = cp_json_array(ask->arena);

    if (error) {
        return error;
    }

    if (status != 200) {
        return cp_arena_printf(ask->arena, "keys: HTTP status %ld", status);
    }

    error = skipped ? cp_jwks_read(ask->arena, body.data, body.len, NULL,
                                   keys, skipped) : "out of memory";

    if (error) {
        return cp_arena_printf(ask->arena, "keys: the answer %s", error);
    }

    /* whoever empties the set locks everybody out: the last ones stay */

    return keys->n ? NULL : "keys: none verifies tokens";
}


static bool
cp_oidc_key(const cp_json_t *item, cp_oidc_key_t *key)
{
    char              der[STOA_JWK_SPKI_MAX * 2];
    size_t            n;
    stoa_alg_e        alg;
    const char       *kid, *spki;
    const uint8_t    *p;
    const cp_json_t  *m;

    memset(key, 0, sizeof(cp_oidc_key_t));
    kid = cp_json_str(item, "kid");
    spki = cp_json_str(item, "spki");

    if (spki == NULL || strlen(spki) > sizeof(der)
        || (kid && strlen(kid) > STOA_KID_MAX)
        || !cp_base64url_decode(spki, strlen(spki), der, &n))
    {
        return false;
    }

    if (kid) {
        memcpy(key->kid, kid, strlen(kid) + 1);
    }

    for (m = cp_json_get(item, "algorithms")->first; m; m = m->next) {
        alg = stoa_alg_find(m->s, strlen(m->s));
        key->algs |= alg < STOA_ALG_MAX ? 1u << alg : 0;
    }

    p = (const uint8_t *) der;
    key->key = d2i_PUBKEY(NULL, &p, (long) n);

    return key->key != NULL;
}


/* Under the lock. */
static void
cp_oidc_took(cp_arena_t *a, const cp_json_t *metadata, const cp_json_t *keys)
{
    unsigned          i;
    const cp_json_t  *item;

    for (i = 0; i < cp_oidc.n; i++) {
        EVP_PKEY_free(cp_oidc.key[i].key);
    }

    cp_oidc.n = 0;

    for (item = keys->first; item; item = item->next) {
        cp_oidc.n += cp_oidc_key(item, &cp_oidc.key[cp_oidc.n]);
    }

    cp_arena_destroy(cp_oidc.arena);
    cp_oidc.arena = a;
    cp_oidc.metadata = metadata;
    cp_oidc.keys_at = cp_time_ms();
}


/* Whoever has set `reading` does it, and takes that back. */
static void
cp_oidc_read(cp_app_t *app)
{
    int64_t         wait;
    cp_json_t      *metadata, *keys;
    cp_arena_t     *a;
    const char     *error;
    cp_oidc_ask_t   ask;

    a = cp_arena_create(CP_OIDC_ARENA);
    keys = a ? cp_json_array(a) : NULL;
    metadata = NULL;
    error = "out of memory";

    if (keys) {
        memset(&ask, 0, sizeof(ask));
        ask.app = app;
        ask.arena = a;
        ask.timeout_ms = CP_OIDC_TIMEOUT_MS;
        ask.max = CP_OIDC_BODY_MAX;
        error = cp_oidc_discover(&ask, &metadata);

        if (error == NULL) {
            error = cp_oidc_keys(&ask, metadata, keys);
        }
    }

    (void) pthread_mutex_lock(&cp_oidc.lock);

    if (cp_oidc.asked == 0 || (cp_oidc.error[0] == '\0') != (error == NULL)) {
        cp_oidc.since = cp_time_ms();
        cp_log(error ? CP_LOG_WARN : CP_LOG_INFO, "oidc",
               "provider state:%s %s", error ? "away" : "ok",
               error ? error : "");
    }

    (void) snprintf(cp_oidc.error, sizeof(cp_oidc.error), "%s",
                    error ? error : "");
    cp_oidc.asked = cp_time_mono_ms();
    cp_oidc.failures = error ? cp_oidc.failures + 1 : 0;
    wait = CP_OIDC_REFRESH_MS;

    if (error) {
        wait = cp_oidc.failures < 6
               ? (int64_t) CP_OIDC_RETRY_MS << (cp_oidc.failures - 1)
               : CP_OIDC_RETRY_MAX_MS;
    }

    cp_oidc.next = cp_oidc.asked + wait;

    if (error == NULL) {
        cp_oidc_took(a, metadata, keys);
        a = NULL;
    }

    cp_oidc.reading = false;
    (void) pthread_cond_broadcast(&cp_oidc.cond);
    (void) pthread_mutex_unlock(&cp_oidc.lock);

    cp_arena_destroy(a);
    ERR_clear_error();
}


void
cp_oidc_doubt(void)
{
    int64_t  next;

    (void) pthread_mutex_lock(&cp_oidc.lock);
    next = cp_oidc.asked + CP_OIDC_AGAIN_MS;

    if (cp_oidc.asked && cp_oidc.error[0] == '\0' && next < cp_oidc.next) {
        cp_oidc.next = next;
    }

    (void) pthread_mutex_unlock(&cp_oidc.lock);
}


cp_rc_t
cp_oidc_job(cp_app_t *app)
{
    bool     due, up;
    int64_t  at;

    if (!cp_oidc_used(app)) {
        return CP_OK;
    }

    (void) pthread_mutex_lock(&cp_oidc.lock);
    due = !cp_oidc.reading && cp_time_mono_ms() >= cp_oidc.next;
    cp_oidc.reading = cp_oidc.reading || due;
    (void) pthread_mutex_unlock(&cp_oidc.lock);

    if (due) {
        cp_oidc_read(app);
    }

    (void) pthread_mutex_lock(&cp_oidc.lock);
    up = cp_oidc.asked && cp_oidc.error[0] == '\0';
    at = cp_oidc.keys_at;
    (void) pthread_mutex_unlock(&cp_oidc.lock);

    cp_metric_set(cp_metric(CP_METRIC_GAUGE, "stoa_control_oidc_up", "",
                            "1 if the provider of identities has answered."),
                  up);
    cp_metric_set(cp_metric(CP_METRIC_GAUGE, "stoa_control_oidc_keys_seconds",
                            "", "Unix time at which its keys were read last; "
                            "0: never."), at / 1000);

    return CP_OK;
}


cp_json_t *
cp_oidc_state(cp_app_t *app, cp_arena_t *a)
{
    cp_json_t  *out;

    out = cp_json_object(a);
    cp_json_put(a, out, "issuer", app->conf.oidc_issuer);

    (void) pthread_mutex_lock(&cp_oidc.lock);

    cp_json_put(a, out, "state", cp_oidc.asked == 0 ? "pending"
                : cp_oidc.error[0] ? "away" : "ok");
    cp_json_put_int(a, out, "keys", cp_oidc.n);

    if (cp_oidc.since) {
        cp_json_put(a, out, "since", cp_time_format(a, cp_oidc.since));
    }

    if (cp_oidc.keys_at) {
        cp_json_put(a, out, "keys_at", cp_time_format(a, cp_oidc.keys_at));
    }

    if (cp_oidc.error[0]) {
        cp_json_put(a, out, "error", cp_oidc.error);
    }

    (void) pthread_mutex_unlock(&cp_oidc.lock);

    return out;
}


const char *
cp_oidc_named(cp_arena_t *a, const char *name)
{
    const char  *url;

    (void) pthread_mutex_lock(&cp_oidc.lock);
    url = cp_oidc.metadata ? cp_json_str(cp_oidc.metadata, name) : NULL;
    url = url ? cp_arena_strdup(a, url) : NULL;
    (void) pthread_mutex_unlock(&cp_oidc.lock);

    return url;
}


bool
cp_oidc_says(const char *name)
{
    bool              says;
    const cp_json_t  *v;

    (void) pthread_mutex_lock(&cp_oidc.lock);
    v = cp_oidc.metadata ? cp_json_get(cp_oidc.metadata, name) : NULL;
    says = v && v->type == CP_JSON_BOOL && v->i;
    (void) pthread_mutex_unlock(&cp_oidc.lock);

    return says;
}


const char *
cp_oidc_endpoint(cp_app_t *app, cp_arena_t *a, const char *name)
{
    return cp_oidc_inner(app, a, cp_oidc_named(a, name));
}


/* Those that the token may be signed with, each to be freed. */
static unsigned
cp_oidc_find(const stoa_jwt_t *jwt, EVP_PKEY **keys)
{
    unsigned  i, n;

    for (i = 0, n = 0; i < cp_oidc.n && n < CP_OIDC_TRIES; i++) {
        if ((cp_oidc.key[i].algs & 1u << jwt->alg)
            && (jwt->kid.len == 0
                || (strlen(cp_oidc.key[i].kid) == jwt->kid.len
                    && memcmp(cp_oidc.key[i].kid, jwt->kid.data,
                              jwt->kid.len) == 0)))
        {
            keys[n++] = cp_oidc.key[i].key;
            (void) EVP_PKEY_up_ref(cp_oidc.key[i].key);
        }
    }

    return n;
}


/*
 * A key that is not there: a new one works at first sight, but whoever sends
 * made-up ids has the provider asked only so often, and few requests waiting.
 * Returns how many keys there are then; *busy: it is being asked.
 */

static unsigned
cp_oidc_again(cp_app_t *app, const stoa_jwt_t *jwt, EVP_PKEY **keys,
    bool *busy)
{
    unsigned         n;
    struct timespec  until;

    *busy = cp_oidc.reading;

    if (!cp_oidc.reading
        && (cp_oidc.asked == 0
            || cp_time_mono_ms() - cp_oidc.asked >= CP_OIDC_AGAIN_MS))
    {
        cp_oidc.reading = true;
        (void) pthread_mutex_unlock(&cp_oidc.lock);
        cp_oidc_read(app);
        (void) pthread_mutex_lock(&cp_oidc.lock);

    } else if (cp_oidc.reading && cp_oidc.waiting < CP_OIDC_WAITERS) {
        (void) clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 2;
        cp_oidc.waiting++;

        while (cp_oidc.reading
               && pthread_cond_timedwait(&cp_oidc.cond, &cp_oidc.lock, &until)
                  == 0)
        {
            /* void */
        }

        cp_oidc.waiting--;
    }

    n = cp_oidc_find(jwt, keys);
    *busy = n == 0 && (cp_oidc.reading || cp_oidc.n == 0);

    return n;
}


/* The algorithm has to fit what the key is. */
static bool
cp_oidc_verify(EVP_PKEY *key, const stoa_jwt_t *jwt)
{
    int                is, bits;
    bool               ok;
    size_t             len;
    uint8_t            der[STOA_ECDSA_DER_MAX];
    EVP_MD_CTX        *ctx;
    EVP_PKEY_CTX      *pctx;
    const EVP_MD      *md;
    const uint8_t     *sig;
    const stoa_alg_t  *alg;

    static const int  types[] = { EVP_PKEY_RSA, EVP_PKEY_EC, EVP_PKEY_EC,
                                  EVP_PKEY_EC, EVP_PKEY_ED25519 };
    static const int  sizes[] = { 0, 256, 384, 521, 0 };

    alg = &stoa_algs[jwt->alg];
    is = EVP_PKEY_base_id(key);
    bits = EVP_PKEY_bits(key);
    sig = (const uint8_t *) jwt->signature.data;
    len = jwt->signature.len;

    if (is != types[alg->type]
        || (sizes[alg->type] && bits != sizes[alg->type]))
    {
        return false;
    }

    if (is == EVP_PKEY_EC) {
        len = stoa_ecdsa_der(alg->type, sig, len, der);
        sig = der;
    }

    md = alg->bits == 256 ? EVP_sha256() : alg->bits == 384 ? EVP_sha384()
         : alg->bits == 512 ? EVP_sha512() : NULL;
    ctx = EVP_MD_CTX_new();

    ok = len && ctx && EVP_DigestVerifyInit(ctx, &pctx, md, NULL, key) == 1
         && (alg->name[0] != 'P'
             || (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0
                 && EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
                                                     RSA_PSS_SALTLEN_DIGEST)
                    > 0))
         && EVP_DigestVerify(ctx, sig, len,
                             (const uint8_t *) jwt->signed_part.data,
                             jwt->signed_part.len)
            == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();

    return ok;
}


cp_rc_t
cp_oidc_signed(cp_op_t *op, const stoa_jwt_t *jwt)
{
    bool       ok, busy;
    unsigned   i, n;
    EVP_PKEY  *keys[CP_OIDC_TRIES];

    (void) pthread_mutex_lock(&cp_oidc.lock);

    busy = false;
    n = cp_oidc_find(jwt, keys);

    if (n == 0) {
        n = cp_oidc_again(op->app, jwt, keys, &busy);
    }

    (void) pthread_mutex_unlock(&cp_oidc.lock);

    if (n == 0) {
        return busy ? cp_err_set(&op->err, "unavailable", "the provider of "
                                 "identities is asked for its keys")
               : cp_err_set(&op->err, "unauthorized", "the token's key is "
                            "none of its issuer's");
    }

    for (i = 0, ok = false; i < n; i++) {
        ok = ok || cp_oidc_verify(keys[i], jwt);
        EVP_PKEY_free(keys[i]);
    }

    return ok ? CP_OK : cp_err_set(&op->err, "unauthorized", "the token's "
                                   "signature is wrong");
}
