/*
 * Issuers: their keys, made ready once per worker and revision of the record,
 * and what claims mean here.
 *
 * A signature is verified at once, on the event loop, since a token has that
 * once in five minutes and RSA is no dearer than a switch of threads and back
 * is worth: 34 us with 2048 bits, 53 with 4096, 196 with 8192 (no key has
 * more, nor an exponent of more than 32 bits); ES256 49, ES384 485, ES512 327
 * (OpenSSL 3.0).
 *
 * Process: workers.  Lifetime: keys until the process ends, another revision
 * comes or another issuer wants the place.
 */

#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_store.h"
#include "core/stoa_base64.h"
#include "core/stoa_key.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>


#define NGX_HTTP_STOA_ISSUER_KEPT   64
#define NGX_HTTP_STOA_ISSUER_TRIES  2       /* keys of one id                */
#define NGX_HTTP_STOA_ISSUER_TEXT   255     /* of a client, a subject        */


typedef struct {
    stoa_id_t   id;
    uint64_t    rev;
    EVP_PKEY   *key[STOA_ISSUER_KEYS_MAX];       /* in the record's order    */
} ngx_http_stoa_issuer_kept_t;

typedef struct {
    ngx_http_stoa_store_t       *store;
    const stoa_rec_issuer_t     *rec;
    const stoa_json_val_t       *claims;
    ngx_http_stoa_token_said_t  *said;
    char                        *start;          /* of the texts             */
    char                        *p;
    char                        *last;
    const char                  *why;
    ngx_uint_t                   asked;
} ngx_http_stoa_issuer_claims_t;


static EVP_PKEY *ngx_http_stoa_issuer_key(const stoa_rec_issuer_t *rec,
    ngx_uint_t i);
static ngx_int_t ngx_http_stoa_issuer_times(
    ngx_http_stoa_issuer_claims_t *c);
static ngx_int_t ngx_http_stoa_issuer_tenant(
    ngx_http_stoa_issuer_claims_t *c);
static ngx_int_t ngx_http_stoa_issuer_client(
    ngx_http_stoa_issuer_claims_t *c);
static ngx_int_t ngx_http_stoa_issuer_texts(
    ngx_http_stoa_issuer_claims_t *c);
static ngx_int_t ngx_http_stoa_issuer_bound(
    ngx_http_stoa_issuer_claims_t *c);
static ngx_int_t ngx_http_stoa_issuer_principal(
    ngx_http_stoa_issuer_claims_t *c);
static size_t ngx_http_stoa_issuer_words(ngx_http_stoa_issuer_claims_t *c,
    stoa_str_t path, const char *first, const char *second,
    ngx_uint_t split);
static size_t ngx_http_stoa_issuer_covers(ngx_http_stoa_issuer_claims_t *c,
    char *words, size_t len);
static void ngx_http_stoa_issuer_forget(ngx_http_stoa_issuer_kept_t *kept);


static ngx_http_stoa_issuer_kept_t  *ngx_http_stoa_issuers;
static EVP_MD_CTX                   *ngx_http_stoa_issuer_md;


ngx_int_t
ngx_http_stoa_issuer_verify(const stoa_rec_issuer_t *rec,
    const stoa_jwt_t *jwt, const char **why)
{
    EVP_PKEY                     *key;
    stoa_str_t                    text;
    ngx_uint_t                    i, k, found[NGX_HTTP_STOA_ISSUER_TRIES], n;
    const stoa_ref_t             *algs;
    const stoa_rec_issuer_key_t  *keys;

    keys = stoa_rec_vec(rec, rec->keys, stoa_rec_issuer_key_t);
    n = 0;

    for (i = 0; i < rec->keys.n && n < NGX_HTTP_STOA_ISSUER_TRIES; i++) {
        text = stoa_rec_str(rec, keys[i].kid);

        if (jwt->kid.len && (text.len != jwt->kid.len
                             || ngx_memcmp(text.data, jwt->kid.data,
                                           text.len) != 0))
        {
            continue;
        }

        algs = stoa_rec_vec(rec, keys[i].algorithms, stoa_ref_t);

        for (k = 0; k < keys[i].algorithms.n; k++) {
            text = stoa_rec_str(rec, algs[k]);

            if (stoa_alg_find(text.data, text.len) == jwt->alg) {
                found[n++] = i;
                break;
            }
        }
    }

    *why = "No key of its issuer fits the token's key id and algorithm.";

    if (n == 0) {
        return NGX_BUSY;
    }

    if (n > 1 && jwt->kid.len == 0) {
        *why = "The token names none of its issuer's keys.";
        return NGX_DECLINED;
    }

    for (i = 0; i < n; i++) {
        key = ngx_http_stoa_issuer_key(rec, found[i]);

        if (key && ngx_http_stoa_issuer_signed(key, jwt) == NGX_OK) {
            return NGX_OK;
        }
    }

    *why = "The token's signature is wrong.";

    return NGX_DECLINED;
}


/* NULL: it is none that OpenSSL takes. */

static EVP_PKEY *
ngx_http_stoa_issuer_key(const stoa_rec_issuer_t *rec, ngx_uint_t i)
{
    uint64_t                      h;
    stoa_str_t                    text;
    const u_char                 *p;
    ngx_http_stoa_issuer_kept_t  *kept;
    const stoa_rec_issuer_key_t  *keys;

    static u_char  der[STOA_JWK_SPKI_MAX + 8];

    if (ngx_http_stoa_issuers == NULL) {
        ngx_http_stoa_issuers = ngx_calloc(NGX_HTTP_STOA_ISSUER_KEPT
                                       * sizeof(ngx_http_stoa_issuer_kept_t),
                                       ngx_cycle->log);
        if (ngx_http_stoa_issuers == NULL) {
            return NULL;
        }
    }

    h = stoa_hash64(&rec->id, sizeof(stoa_id_t), 0);
    kept = &ngx_http_stoa_issuers[h % NGX_HTTP_STOA_ISSUER_KEPT];

    if (kept->rev != rec->hdr.rev
        || ngx_memcmp(&kept->id, &rec->id, sizeof(stoa_id_t)) != 0)
    {
        ngx_http_stoa_issuer_forget(kept);
        kept->id = rec->id;
        kept->rev = rec->hdr.rev;
    }

    if (kept->key[i] == NULL) {
        keys = stoa_rec_vec(rec, rec->keys, stoa_rec_issuer_key_t);
        text = stoa_rec_str(rec, keys[i].spki);
        p = der;

        if (text.len * 3 / 4 <= sizeof(der)
            && stoa_base64url_decode(text.data, text.len, der))
        {
            kept->key[i] = d2i_PUBKEY(NULL, &p, (long) (text.len * 3 / 4));
        }
    }

    return kept->key[i];
}


/* The algorithm has to fit what the key is, whatever its record says. */

ngx_int_t
ngx_http_stoa_issuer_signed(EVP_PKEY *key, const stoa_jwt_t *jwt)
{
    int                is, bits;
    size_t             len;
    u_char             der[STOA_ECDSA_DER_MAX];
    const u_char      *sig;
    EVP_PKEY_CTX      *pctx;
    const EVP_MD      *md;
    const stoa_alg_t  *alg;

    static const int  types[] = { EVP_PKEY_RSA, EVP_PKEY_EC, EVP_PKEY_EC,
                                  EVP_PKEY_EC, EVP_PKEY_ED25519 };
    static const int  sizes[] = { 0, 256, 384, 521, 0 };

    alg = &stoa_algs[jwt->alg];
    is = EVP_PKEY_base_id(key);
    bits = EVP_PKEY_bits(key);

    if (is != types[alg->type]
        || (sizes[alg->type] && bits != sizes[alg->type]))
    {
        return NGX_DECLINED;
    }

    md = alg->bits == 256 ? EVP_sha256() : alg->bits == 384 ? EVP_sha384()
         : alg->bits == 512 ? EVP_sha512() : NULL;
    sig = (const u_char *) jwt->signature.data;
    len = jwt->signature.len;

    if (is == EVP_PKEY_EC) {
        len = stoa_ecdsa_der(alg->type, sig, len, der);
        sig = der;

        if (len == 0) {
            return NGX_DECLINED;
        }
    }

    if (ngx_http_stoa_issuer_md == NULL) {
        ngx_http_stoa_issuer_md = EVP_MD_CTX_new();
    }

    if (ngx_http_stoa_issuer_md == NULL
        || EVP_MD_CTX_reset(ngx_http_stoa_issuer_md) != 1
        || EVP_DigestVerifyInit(ngx_http_stoa_issuer_md, &pctx, md, NULL, key)
           != 1
        || (alg->name[0] == 'P'
            && (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) <= 0
                || EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
                                                    RSA_PSS_SALTLEN_DIGEST)
                   <= 0))
        || EVP_DigestVerify(ngx_http_stoa_issuer_md, sig, len,
                            (const u_char *) jwt->signed_part.data,
                            jwt->signed_part.len)
           != 1)
    {
        ERR_clear_error();
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_issuer_claims(ngx_http_stoa_store_t *store,
    const stoa_rec_issuer_t *rec, const stoa_json_val_t *claims,
    ngx_uint_t asked, u_char *said, size_t *len, const char **why)
{
    ngx_int_t                      rc;
    ngx_http_stoa_issuer_claims_t  c;

    c.store = store;
    c.rec = rec;
    c.claims = claims;
    c.said = (ngx_http_stoa_token_said_t *) said;
    c.start = (char *) said + sizeof(ngx_http_stoa_token_said_t);
    c.p = c.start;
    c.last = (char *) said + NGX_HTTP_STOA_TOKEN_MAX;
    c.why = NULL;
    c.asked = asked;

    ngx_memzero(said, sizeof(ngx_http_stoa_token_said_t));
    c.said->issuer = rec->id;
    c.said->rev = rec->hdr.rev;

    rc = ngx_http_stoa_issuer_times(&c);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_issuer_tenant(&c);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_issuer_client(&c);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_issuer_texts(&c);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_issuer_bound(&c);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_issuer_principal(&c);
    }

    *len = (u_char *) c.p - said;
    *why = c.why;

    return rc;
}


/* RFC 9449: to which key.  RFC 8705: to which certificate.  To both: no client
 * is held to one of them alone. */

static ngx_int_t
ngx_http_stoa_issuer_bound(ngx_http_stoa_issuer_claims_t *c)
{
    stoa_str_t       text;
    ngx_uint_t       bound;
    stoa_json_val_t  val, x5t;

    static const char  jkt[] = "/cnf/jkt";
    static const char  s256[] = "/cnf/x5t#S256";

    c->said->binding = c->rec->dpop == STOA_DPOP_REQUIRED;
    bound = NGX_HTTP_STOA_BOUND_NOT;

    if (stoa_jwt_claim(c->claims, s256, sizeof(s256) - 1, &x5t)) {
        bound = NGX_HTTP_STOA_BOUND_CERTIFICATE;
    }

    if (stoa_jwt_claim(c->claims, jkt, sizeof(jkt) - 1, &val)) {

        if (bound) {
            c->why = "The token is bound to a key and to a certificate.";
            return NGX_DECLINED;
        }

        bound = NGX_HTTP_STOA_BOUND_KEY;

    } else if (bound) {
        val = x5t;

    } else {
        return NGX_OK;
    }

    if (!stoa_json_text(&val, &text)
        || text.len != stoa_base64url_len(sizeof(c->said->jkt))
        || !stoa_base64url_decode(text.data, text.len, c->said->jkt))
    {
        c->why = "The token is bound to something that is no thumbprint.";
        return NGX_DECLINED;
    }

    c->said->bound = (uint8_t) bound;

    return NGX_OK;
}


/* A caller may choose his subject, and must not become another's: a digest
 * for which nobody finds a second text.  Without a subject it is the client
 * that calls, and without either nobody is the same as anybody else. */

static ngx_int_t
ngx_http_stoa_issuer_principal(ngx_http_stoa_issuer_claims_t *c)
{
    size_t   n;
    u_char  *p, text[STOA_ID_LEN + NGX_HTTP_STOA_ISSUER_TEXT + 2];
    u_char   digest[NGX_HTTP_STOA_SHA256_LEN];

    p = ngx_cpymem(text, c->rec->id.c, STOA_ID_LEN);
    n = c->said->subject
        ? 0 : ngx_http_stoa_issuer_words(c, stoa_rec_str(c->rec,
                                                  c->rec->claims_application),
                                         "azp", "client_id", 0);

    if (c->said->subject) {
        p = ngx_cpymem(p, c->start, c->said->subject);

    } else if (n && strlen(c->p) <= NGX_HTTP_STOA_ISSUER_TEXT) {
        *p++ = '\1';
        p = ngx_cpymem(p, c->p, strlen(c->p));

    } else {
        if (ngx_http_stoa_sha256((u_char *) c->claims->start,
                                 c->claims->end - c->claims->start, digest)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        *p++ = '\2';
        p = ngx_cpymem(p, digest, sizeof(digest));
    }

    if (ngx_http_stoa_sha256(text, p - text, digest) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memcpy(&c->said->principal, digest, sizeof(stoa_id_t));

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_issuer_times(ngx_http_stoa_issuer_claims_t *c)
{
    int64_t          now, s;
    stoa_json_val_t  val;

    now = ngx_http_stoa_wall_ms();
    c->why = "The token says no time when it ends.";

    if (stoa_jwt_claim(c->claims, "exp", 3, &val)) {

        if (!stoa_jwt_time(&val, &s)) {
            return NGX_DECLINED;
        }

        c->said->exp_ms = s * 1000 + NGX_HTTP_STOA_TOKEN_LEEWAY_MS;

    } else if (c->asked) {
        c->said->exp_ms = now + NGX_HTTP_STOA_TOKEN_ASKED_MS;

    } else {
        return NGX_DECLINED;
    }

    if (c->said->exp_ms <= now) {
        c->why = "The token is past its time.";
        return NGX_ABORT;
    }

    if (stoa_jwt_claim(c->claims, "nbf", 3, &val)) {

        if (!stoa_jwt_time(&val, &s)
            || s * 1000 > now + NGX_HTTP_STOA_TOKEN_LEEWAY_MS)
        {
            c->why = "The token's time has not come yet.";
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* One issuer may serve several tenants: it says then whom it speaks of. */

static ngx_int_t
ngx_http_stoa_issuer_tenant(ngx_http_stoa_issuer_claims_t *c)
{
    size_t                    n;
    stoa_str_t                path, name;
    stoa_json_val_t           val;
    const stoa_rec_tenant_t  *tenant;

    path = stoa_rec_str(c->rec, c->rec->claims_tenant);

    if (path.len == 0) {
        return NGX_OK;
    }

    c->why = "The token is for another tenant.";
    tenant = ngx_http_stoa_store_tenant(c->store, &c->rec->tenant);

    if (tenant == NULL
        || !stoa_jwt_claim(c->claims, path.data, path.len, &val))
    {
        return NGX_DECLINED;
    }

    n = stoa_jwt_words(&val, false, c->p);
    name = stoa_rec_str(tenant, tenant->name);

    return n != SIZE_MAX && stoa_jwt_has(c->p, n, name.data, name.len)
           ? NGX_OK : NGX_DECLINED;
}


/* Its own tenant's application, and nobody else's. */

static ngx_int_t
ngx_http_stoa_issuer_client(ngx_http_stoa_issuer_claims_t *c)
{
    int                              cmp;
    size_t                           n;
    stoa_str_t                       path, name;
    ngx_uint_t                       low, high, mid;
    const stoa_id_t                 *id;
    const stoa_rec_application_t    *app;
    const stoa_rec_issuer_client_t  *clients;

    path = stoa_rec_str(c->rec, c->rec->claims_application);
    n = ngx_http_stoa_issuer_words(c, path, "azp", "client_id", 0);

    c->why = "The token's client is no application here.";

    n = n ? strlen(c->p) : 0;
    clients = stoa_rec_vec(c->rec, c->rec->clients, stoa_rec_issuer_client_t);
    id = &c->rec->application;
    low = 0;
    high = n && n <= NGX_HTTP_STOA_ISSUER_TEXT ? c->rec->clients.n : 0;

    while (low < high) {
        mid = (low + high) / 2;
        name = stoa_rec_str(c->rec, clients[mid].client);
        cmp = ngx_memcmp(c->p, name.data, ngx_min(n, name.len));
        cmp = cmp ? cmp : (n > name.len) - (n < name.len);

        if (cmp == 0) {
            id = &clients[mid].application;
            break;
        }

        if (cmp < 0) {
            high = mid;

        } else {
            low = mid + 1;
        }
    }

    if (id == &c->rec->application && c->rec->application_names
        && stoa_name_valid(c->p, n))
    {
        app = ngx_http_stoa_store_application_by_name(c->store,
                                                      &c->rec->tenant, c->p,
                                                      n);
        id = app ? &app->id : id;
    }

    if (id->c[0] == '\0') {
        return NGX_DECLINED;
    }

    c->said->application = *id;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_issuer_texts(ngx_http_stoa_issuer_claims_t *c)
{
    size_t             n;
    stoa_str_t         none, text;
    ngx_uint_t         i;
    const stoa_ref_t  *audiences;

    none = stoa_str("");

    n = ngx_http_stoa_issuer_words(c, none, "sub", NULL, 0);
    n = n ? strlen(c->p) + 1 : 0;

    if (n > NGX_HTTP_STOA_ISSUER_TEXT + 1) {
        c->why = "The token's subject is too long.";
        return NGX_DECLINED;
    }

    c->said->subject = (uint16_t) n;
    c->p += n;

    text = stoa_rec_str(c->rec, c->rec->claims_roles);
    n = text.len ? ngx_http_stoa_issuer_words(c, text, NULL, NULL, 0) : 0;
    c->said->roles = (uint16_t) n;
    c->p += n;

    text = stoa_rec_str(c->rec, c->rec->claims_scopes);
    n = ngx_http_stoa_issuer_words(c, text, "scope", "scp", 1);
    n = ngx_http_stoa_issuer_covers(c, c->p, n);
    c->said->scopes = (uint16_t) n;
    c->p += n;

    n = ngx_http_stoa_issuer_words(c, none, "aud", NULL, 0);
    c->said->audiences = (uint16_t) n;

    audiences = stoa_rec_vec(c->rec, c->rec->audiences, stoa_ref_t);

    for (i = 0; i < c->rec->audiences.n; i++) {
        text = stoa_rec_str(c->rec, audiences[i]);

        if (stoa_jwt_has(c->p, n, text.data, text.len)) {
            c->said->audience_fits = 1;
            break;
        }
    }

    c->p += n;

    return NGX_OK;
}


/* The words of a claim, at c->p: what a token decodes to is shorter than the
 * token, and so are all its claims together. */

static size_t
ngx_http_stoa_issuer_words(ngx_http_stoa_issuer_claims_t *c, stoa_str_t path,
    const char *first, const char *second, ngx_uint_t split)
{
    size_t           n;
    stoa_json_val_t  val;

    if (!(path.len ? stoa_jwt_claim(c->claims, path.data, path.len, &val)
          : stoa_jwt_claim(c->claims, first, strlen(first), &val)
            || (second && stoa_jwt_claim(c->claims, second, strlen(second),
                                         &val)))
        || (size_t) (val.end - val.start) > (size_t) (c->last - c->p))
    {
        return 0;
    }

    n = stoa_jwt_words(&val, split, c->p);

    return n == SIZE_MAX ? 0 : n;
}


/*
 * What scopes stand for is put behind them, and what those stand for.  "a:*"
 * is kept as one byte 1 and "a:", which no scope of a token can be.  What has
 * no room is not granted.
 */

static size_t
ngx_http_stoa_issuer_covers(ngx_http_stoa_issuer_claims_t *c, char *words,
    size_t len)
{
    char                            *p, *last;
    size_t                           n, pattern;
    stoa_str_t                       scope, cover;
    ngx_uint_t                       i, k;
    const stoa_ref_t                *covers;
    const stoa_rec_issuer_scope_t   *rows;

    rows = stoa_rec_vec(c->rec, c->rec->scopes, stoa_rec_issuer_scope_t);
    last = words + ngx_min((size_t) (c->last - words) / 2, UINT16_MAX / 2);

    for (p = words; p < words + len; p += n + 1) {
        n = strlen(p);

        for (i = 0; i < c->rec->scopes.n; i++) {
            scope = stoa_rec_str(c->rec, rows[i].scope);

            if (scope.len != n || ngx_memcmp(scope.data, p, n) != 0) {
                continue;
            }

            covers = stoa_rec_vec(c->rec, rows[i].covers, stoa_ref_t);

            for (k = 0; k < rows[i].covers.n; k++) {
                cover = stoa_rec_str(c->rec, covers[k]);
                pattern = cover.len && cover.data[cover.len - 1] == '*';

                if ((size_t) (last - words) < len + cover.len + 1
                    || (!pattern && stoa_jwt_has(words, len, cover.data,
                                                 cover.len)))
                {
                    continue;
                }

                if (pattern) {
                    words[len++] = '\1';
                }

                ngx_memcpy(words + len, cover.data, cover.len - pattern);
                len += cover.len - pattern;
                words[len++] = '\0';
            }
        }
    }

    return len;
}


static void
ngx_http_stoa_issuer_forget(ngx_http_stoa_issuer_kept_t *kept)
{
    ngx_uint_t  i;

    for (i = 0; i < STOA_ISSUER_KEYS_MAX; i++) {
        EVP_PKEY_free(kept->key[i]);
        kept->key[i] = NULL;
    }
}


void
ngx_http_stoa_issuer_exit(void)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_stoa_issuers && i < NGX_HTTP_STOA_ISSUER_KEPT; i++) {
        ngx_http_stoa_issuer_forget(&ngx_http_stoa_issuers[i]);
    }

    if (ngx_http_stoa_issuers) {
        ngx_free(ngx_http_stoa_issuers);
        ngx_http_stoa_issuers = NULL;
    }

    EVP_MD_CTX_free(ngx_http_stoa_issuer_md);
    ngx_http_stoa_issuer_md = NULL;
}
