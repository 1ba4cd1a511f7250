/*
 * Tokens that are bound to a key (RFC 9449): the proof that comes with each
 * call, signed with that key, of this method, URL and token, and not older
 * than it may be; shown once.
 *
 * The URL is the one that clients know: of stoa_external_url, or of an api's
 * own host, and the path that was sent; nothing is taken from the request's
 * Host.  The token was verified before, so strangers cost no signature.
 *
 * Process: workers.  Lifetime: nothing lasts; what was shown is in the zone.
 */

#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_base64.h"
#include "core/stoa_uri.h"

#include <openssl/x509.h>


#define NGX_HTTP_STOA_DPOP_ID_MAX  256         /* of a jti                   */


typedef struct {
    ngx_http_request_t         *request;
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_main_conf_t  *conf;
    const ngx_str_t            *token;
    const u_char               *jkt;
    stoa_jwt_t                  jwt;
    stoa_jwk_t                  jwk;
    int64_t                     made_ms;
    const char                 *why;
} ngx_http_stoa_dpop_t;

typedef ngx_int_t (*ngx_http_stoa_dpop_pt)(ngx_http_stoa_dpop_t *d);


static ngx_int_t ngx_http_stoa_dpop_read(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_key(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_signed(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_method(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_url(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_time(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_token(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_once(ngx_http_stoa_dpop_t *d);
static ngx_int_t ngx_http_stoa_dpop_here(ngx_http_stoa_dpop_t *d,
    ngx_str_t *url);


/* In this order: the cheap ones before the signature, what is kept last. */

static const ngx_http_stoa_dpop_pt  ngx_http_stoa_dpop_checks[] = {
    ngx_http_stoa_dpop_read, ngx_http_stoa_dpop_key,
    ngx_http_stoa_dpop_method, ngx_http_stoa_dpop_url,
    ngx_http_stoa_dpop_time, ngx_http_stoa_dpop_token,
    ngx_http_stoa_dpop_signed, ngx_http_stoa_dpop_once, NULL
};

/* A proof, decoded; and what its key's thumbprint is of. */

static char  ngx_http_stoa_dpop_text[STOA_JWT_MAX];
static char  ngx_http_stoa_dpop_jwk[STOA_JWT_MAX];


ngx_int_t
ngx_http_stoa_dpop(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *token, const u_char *jkt)
{
    ngx_int_t                     rc;
    ngx_str_t                     detail;
    ngx_http_stoa_dpop_t          d;
    const ngx_http_stoa_dpop_pt  *check;

    d.request = r;
    d.ctx = ctx;
    d.conf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    d.token = token;
    d.jkt = jkt;
    d.why = NULL;
    rc = NGX_OK;

    for (check = ngx_http_stoa_dpop_checks; *check && rc == NGX_OK; check++) {
        rc = (*check)(&d);
    }

    if (rc == NGX_OK) {
        ngx_http_stoa_count(proofs, 1);
        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    detail.data = (u_char *) d.why;
    detail.len = ngx_strlen(d.why);

    return ngx_http_stoa_refuse(r, rc == NGX_BUSY
                                   ? NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE
                                   : NGX_HTTP_STOA_REFUSE_PROOF, &detail);
}


static ngx_int_t
ngx_http_stoa_dpop_read(ngx_http_stoa_dpop_t *d)
{
    ngx_uint_t        n;
    const char       *why;
    ngx_table_elt_t  *found;

    n = ngx_http_stoa_header_count(d->request, "DPoP", 4, &found);

    if (n != 1) {
        d->why = n ? "The call has more than one header DPoP."
                   : "The call has no header DPoP with a proof.";
        return NGX_DECLINED;
    }

    d->why = "The proof is no JWT of the type dpop+jwt that is well formed, "
             "with its public key and an algorithm that is taken.";

    return stoa_jwt_parse_as(stoa_jwt_proof_types, (char *) found->value.data,
                             found->value.len, ngx_http_stoa_dpop_text,
                             &d->jwt, &why)
           == STOA_OK ? NGX_OK : NGX_DECLINED;
}


/* The one that the token is bound to. */

static ngx_int_t
ngx_http_stoa_dpop_key(ngx_http_stoa_dpop_t *d)
{
    size_t       len;
    u_char       sum[NGX_HTTP_STOA_SHA256_LEN];
    const char  *why;

    d->why = "The proof's key is none that verifies it.";

    if (stoa_jwk_read(&d->jwt.key, &d->jwk, &why) != STOA_OK
        || !(d->jwk.algs & 1u << d->jwt.alg))
    {
        return NGX_DECLINED;
    }

    len = stoa_jwk_canonical(&d->jwt.key, d->jwk.type,
                             ngx_http_stoa_dpop_jwk);

    if (len == 0) {
        d->why = "The proof has parts of a private key in it.";
        return NGX_DECLINED;
    }

    if (ngx_http_stoa_sha256((u_char *) ngx_http_stoa_dpop_jwk, len, sum)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    d->why = "The token is bound to another key than the proof's.";

    return ngx_memcmp(sum, d->jkt, sizeof(sum)) == 0 ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_dpop_signed(ngx_http_stoa_dpop_t *d)
{
    EVP_PKEY      *key;
    ngx_int_t      rc;
    const u_char  *p;

    p = d->jwk.spki;
    key = d2i_PUBKEY(NULL, &p, d->jwk.spki_len);
    d->why = "The proof's signature is wrong.";

    if (key == NULL) {
        ERR_clear_error();
        return NGX_DECLINED;
    }

    rc = ngx_http_stoa_issuer_signed(key, &d->jwt);
    EVP_PKEY_free(key);

    return rc;
}


static ngx_int_t
ngx_http_stoa_dpop_method(ngx_http_stoa_dpop_t *d)
{
    ngx_str_t   *method;
    stoa_str_t   text;

    method = &d->request->method_name;
    d->why = "The proof is for another method (htm).";

    return stoa_json_get_text(&d->jwt.claims, "htm", &text)
           && text.len == method->len
           && ngx_memcmp(text.data, method->data, text.len) == 0
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_dpop_url(ngx_http_stoa_dpop_t *d)
{
    char             *said, *plain, *here;
    size_t            n;
    ngx_int_t         rc;
    ngx_str_t         url;
    stoa_json_val_t   val;

    d->why = "The gateway does not know by which URL it is called "
             "(stoa_external_url).";
    rc = ngx_http_stoa_dpop_here(d, &url);

    if (rc != NGX_OK) {
        return rc;
    }

    d->why = "The proof is for another URL (htu).";

    if (!stoa_json_get(&d->jwt.claims, "htu", &val)
        || val.type != STOA_JSON_STRING)
    {
        return NGX_DECLINED;
    }

    n = val.end - val.start;
    said = ngx_pnalloc(d->request->pool, n + 1);
    plain = ngx_pnalloc(d->request->pool, n);
    here = ngx_pnalloc(d->request->pool, url.len + 1);

    if (said == NULL || plain == NULL || here == NULL) {
        return NGX_ERROR;
    }

    n = stoa_uri_normal(plain, stoa_json_unescape(&val, plain), said);

    return n && n == stoa_uri_normal((char *) url.data, url.len, here)
           && ngx_memcmp(said, here, n) == 0 ? NGX_OK : NGX_DECLINED;
}


/* What clients call; what is behind the path does not count. */

static ngx_int_t
ngx_http_stoa_dpop_here(ngx_http_stoa_dpop_t *d, ngx_str_t *url)
{
    ngx_http_request_t        *r;
    ngx_http_stoa_resource_t   res;

    r = d->request;
    ngx_memzero(&res, sizeof(ngx_http_stoa_resource_t));

    if (d->ctx->call.edge->resource) {
        (void) d->ctx->call.edge->resource(r, d->ctx, NULL, &res);
    }

    res.path = d->ctx->unparsed_uri.len ? d->ctx->unparsed_uri
                                        : r->unparsed_uri;

    return ngx_http_stoa_token_url(r, &res, url);
}


/* One from before the zone's birth may have been shown then. */

static ngx_int_t
ngx_http_stoa_dpop_time(ngx_http_stoa_dpop_t *d)
{
    int64_t          now, s;
    stoa_json_val_t  val;

    d->why = "The proof says no time when it was made (iat).";

    if (!stoa_json_get(&d->jwt.claims, "iat", &val)
        || !stoa_jwt_time(&val, &s))
    {
        return NGX_DECLINED;
    }

    now = ngx_http_stoa_wall_ms();
    d->why = "The proof is too old, or of a time that has not come.";

    d->made_ms = s * 1000;

    return d->made_ms + (int64_t) d->conf->dpop_age >= now
           && d->made_ms <= now + (int64_t) d->conf->dpop_ahead
           && d->made_ms >= (int64_t) d->conf->sh->started_ms
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_dpop_token(ngx_http_stoa_dpop_t *d)
{
    char        ath[stoa_base64url_len(NGX_HTTP_STOA_SHA256_LEN)];
    u_char      sum[NGX_HTTP_STOA_SHA256_LEN];
    stoa_str_t  text;

    if (ngx_http_stoa_sha256(d->token->data, d->token->len, sum) != NGX_OK) {
        return NGX_ERROR;
    }

    stoa_base64url_encode(sum, sizeof(sum), ath);
    d->why = "The proof is for another token (ath).";

    return stoa_json_get_text(&d->jwt.claims, "ath", &text)
           && text.len == sizeof(ath)
           && ngx_memcmp(text.data, ath, sizeof(ath)) == 0
           ? NGX_OK : NGX_DECLINED;
}


/* It is kept as long as its time is good. */

static ngx_int_t
ngx_http_stoa_dpop_once(ngx_http_stoa_dpop_t *d)
{
    u_char           text[NGX_HTTP_STOA_SHA256_LEN
                          + NGX_HTTP_STOA_DPOP_ID_MAX + 2];
    u_char          *p;
    size_t           n;
    ngx_int_t        rc;
    stoa_json_val_t  val;

    d->why = "The proof has no id of 1 to 256 bytes (jti).";

    if (!stoa_json_get(&d->jwt.claims, "jti", &val)
        || val.type != STOA_JSON_STRING
        || val.end - val.start > NGX_HTTP_STOA_DPOP_ID_MAX + 2)
    {
        return NGX_DECLINED;
    }

    p = ngx_cpymem(text, d->jkt, NGX_HTTP_STOA_SHA256_LEN);
    n = stoa_json_unescape(&val, (char *) p);

    if (n == 0) {
        return NGX_DECLINED;
    }

    rc = ngx_http_stoa_proof_put(d->conf->sh, text,
                                 NGX_HTTP_STOA_SHA256_LEN + n,
                                 ngx_http_stoa_wall_ms(),
                                 d->made_ms + (int64_t) d->conf->dpop_age);

    if (rc == NGX_BUSY) {
        ngx_http_stoa_count(proof_full, 1);
        d->why = "The gateway has no room to keep the proof.";

    } else {
        d->why = "The proof was shown before.";
    }

    return rc;
}
