/*
 * require-signature: who calls has to have signed the call (RFC 9421), its
 * body by a digest (RFC 9530).  Schema: core/stoa_policy_signature.h; reading:
 * core/stoa_signature.h.
 *
 * The checks are a table: those that cost little come first, the signature
 * near the end, behind it what keeps something.  The body comes last, when it
 * is known that it is worth reading.
 *
 * Process: workers.  Lifetime: the chain, the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_content.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_uri.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"
#include "core/stoa_policy_signature.h"
#include "core/stoa_signature.h"

#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>


#define NGX_HTTP_STOA_SIGNATURE_BASE  65536


/* Public keys in the order of the configuration; NULL: it is none. */

typedef struct {
    EVP_PKEY    *key[STOA_SIGNATURE_KEYS];
    ngx_uint_t   n;
} ngx_http_stoa_signature_keys_t;

typedef struct {
    ngx_http_request_t              *request;
    ngx_http_stoa_ctx_t             *ctx;
    const ngx_http_stoa_attached_t  *a;
    const stoa_policy_signature_t   *conf;
    stoa_signature_t                 sig;
    stoa_str_t                       secret;    /* data NULL: a public one   */
    EVP_PKEY                        *key;
    stoa_buf_t                       base;
    const char                      *why;
    stoa_str_t                       what;      /* a component               */
} ngx_http_stoa_signature_t;

typedef ngx_int_t (*ngx_http_stoa_signature_pt)(ngx_http_stoa_signature_t *s);


static ngx_int_t ngx_http_stoa_signature_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_signature_free(void *data);
static ngx_int_t ngx_http_stoa_signature_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_signature_refuse(ngx_http_stoa_signature_t *s,
    ngx_int_t rc);
static ngx_int_t ngx_http_stoa_signature_read(ngx_http_stoa_signature_t *s);
static ngx_int_t ngx_http_stoa_signature_whose(ngx_http_stoa_signature_t *s);
static ngx_uint_t ngx_http_stoa_signature_of(ngx_http_stoa_signature_t *s,
    stoa_ref_t keyid, stoa_ref_t application, stoa_ref_t tenant,
    const stoa_signature_t *sig);
static ngx_int_t ngx_http_stoa_signature_covers(ngx_http_stoa_signature_t *s);
static ngx_int_t ngx_http_stoa_signature_time(ngx_http_stoa_signature_t *s);
static ngx_int_t ngx_http_stoa_signature_base(ngx_http_stoa_signature_t *s);
static ngx_int_t ngx_http_stoa_signature_derived(ngx_http_stoa_signature_t *s,
    stoa_str_t name);
static ngx_int_t ngx_http_stoa_signature_header(ngx_http_stoa_signature_t *s,
    stoa_str_t name);
static ngx_int_t ngx_http_stoa_signature_good(ngx_http_stoa_signature_t *s);
static ngx_int_t ngx_http_stoa_signature_once(ngx_http_stoa_signature_t *s);
static ngx_int_t ngx_http_stoa_signature_body(ngx_http_stoa_signature_t *s);
static ngx_int_t ngx_http_stoa_signature_digest(ngx_http_stoa_signature_t *s,
    ngx_str_t *body);


static const ngx_http_stoa_signature_pt  ngx_http_stoa_signature_checks[] = {
    ngx_http_stoa_signature_read,
    ngx_http_stoa_signature_whose,
    ngx_http_stoa_signature_covers,
    ngx_http_stoa_signature_time,
    ngx_http_stoa_signature_base,
    ngx_http_stoa_signature_good,
    ngx_http_stoa_signature_once,
    NULL
};

static const ngx_http_stoa_refusal_t  ngx_http_stoa_signature_refusals[] = {
    { ngx_string("signature_invalid"), 401, ngx_string("Signature not good"),
      ngx_string("The call has to be signed."), 401 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};

const ngx_http_stoa_policy_t  ngx_http_stoa_policy_signature = {
    .name = "require-signature",
    .compile = ngx_http_stoa_signature_compile,
    .head = ngx_http_stoa_signature_head,
    .refusals = ngx_http_stoa_signature_refusals
};


static ngx_int_t
ngx_http_stoa_signature_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    BIO                                *bio;
    stoa_str_t                          pem;
    ngx_uint_t                          i;
    ngx_pool_cleanup_t                 *cln;
    const stoa_policy_signature_t      *conf;
    ngx_http_stoa_signature_keys_t     *keys;
    const stoa_policy_signature_key_t  *of;

    conf = a->config;
    keys = ngx_pcalloc(pool, sizeof(ngx_http_stoa_signature_keys_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (keys == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_stoa_signature_free;
    cln->data = keys;
    a->state = keys;
    keys->n = conf->keys.n;
    of = stoa_rec_vec(a->rec, conf->keys, stoa_policy_signature_key_t);

    for (i = 0; i < keys->n; i++) {
        pem = stoa_rec_str(a->rec, of[i].public_key);
        bio = BIO_new_mem_buf(pem.data, (int) pem.len);

        if (bio == NULL) {
            return NGX_ERROR;
        }

        keys->key[i] = PEM_read_bio_PUBKEY(bio, NULL, NULL, (void *) "");
        BIO_free(bio);

        if (keys->key[i] == NULL) {
            ERR_clear_error();
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "stoa: a public key of the policy \"%V\" is not "
                          "good: nothing is signed with it", &a->name);
        }
    }

    return NGX_OK;
}


static void
ngx_http_stoa_signature_free(void *data)
{
    ngx_uint_t                       i;
    ngx_http_stoa_signature_keys_t  *keys = data;

    for (i = 0; i < keys->n; i++) {
        EVP_PKEY_free(keys->key[i]);
    }
}


/* What was good is not looked at again when the body has come. */

static ngx_int_t
ngx_http_stoa_signature_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                          rc;
    ngx_http_stoa_signature_t          s;
    const ngx_http_stoa_signature_pt  *check;

    static ngx_str_t  unseen = ngx_string("A signature is of the request "
        "itself, which a proxy that only asks does not show.");

    if (ctx->mode == NGX_HTTP_STOA_AUTHZ) {
        return ngx_http_stoa_policy_refuse_text(r, ctx, a,
                                                NGX_HTTP_STOA_REFUSE_AUTHZ,
                                                &unseen);
    }

    if (ctx->call.api && ctx->call.api->grpc) {
        return ngx_http_stoa_policy_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_GRPC_UNABLE);
    }

    if (ctx->inner && ctx->inner->silent) {
        return NGX_OK;           /* what it is a copy of has shown its own */
    }

    ngx_memzero(&s, sizeof(ngx_http_stoa_signature_t));
    s.request = r;
    s.ctx = ctx;
    s.a = a;
    s.conf = a->config;
    rc = NGX_OK;

    if (ctx->call.signed_by != a) {
        stoa_buf_init(&s.base, NGX_HTTP_STOA_SIGNATURE_BASE);

        for (check = ngx_http_stoa_signature_checks; *check && rc == NGX_OK;
             check++)
        {
            rc = (*check)(&s);
        }

        stoa_buf_free(&s.base);

        if (rc == NGX_OK) {
            ngx_http_stoa_count(signatures, 1);
            ctx->call.signed_by = a;
            ctx->call.signed_body = stoa_signature_covers(&s.sig,
                                                          "content-digest",
                                                          14);
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_signature_body(&s);
    }

    return rc == NGX_DECLINED || rc == NGX_BUSY
           ? ngx_http_stoa_signature_refuse(&s, rc) : rc;
}


static ngx_int_t
ngx_http_stoa_signature_refuse(ngx_http_stoa_signature_t *s, ngx_int_t rc)
{
    ngx_str_t  detail;

    detail.len = ngx_strlen(s->why);
    detail.data = (u_char *) s->why;

    if (s->what.len) {
        detail.data = ngx_pnalloc(s->request->pool, detail.len + s->what.len
                                                    + 3);
        if (detail.data == NULL) {
            return NGX_ERROR;
        }

        detail.len = ngx_sprintf(detail.data, "%s %*s.", s->why, s->what.len,
                                 s->what.data)
                     - detail.data;
    }

    return ngx_http_stoa_policy_refuse_text(s->request, s->ctx, s->a,
                rc == NGX_BUSY ? NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE
                               : s->a->refusal, &detail);
}


/* Of several the first whose key is the application's. */

static ngx_int_t
ngx_http_stoa_signature_read(ngx_http_stoa_signature_t *s)
{
    unsigned                               i, n;
    uint32_t                               k;
    ngx_table_elt_t                       *h;
    stoa_signature_t                       list[STOA_SIGNATURES];
    ngx_http_stoa_signature_keys_t        *keys;
    const stoa_policy_signature_key_t     *key;
    const stoa_policy_signature_secret_t  *secret;

    s->why = "The call needs one header Signature-Input and one Signature.";

    if (s->ctx->inner) {
        s->why = "Calls of a batch cannot be signed.";
        return NGX_DECLINED;
    }

    if (ngx_http_stoa_header_count(s->request, "Signature-Input", 15, &h) != 1
        || stoa_signature_input((char *) h->value.data, h->value.len, list, &n,
                                &s->why)
           != STOA_OK)
    {
        return NGX_DECLINED;
    }

    secret = stoa_rec_vec(s->a->rec, s->conf->secrets,
                          stoa_policy_signature_secret_t);
    key = stoa_rec_vec(s->a->rec, s->conf->keys, stoa_policy_signature_key_t);
    keys = s->a->state;

    for (i = 0; i < n; i++) {

        for (k = 0; k < s->conf->secrets.n; k++) {
            s->secret = stoa_rec_str(s->a->rec, secret[k].secret);

            if (s->secret.len >= STOA_SIGNATURE_SECRET
                && ngx_http_stoa_signature_of(s, secret[k].keyid,
                                              secret[k].application,
                                              secret[k].tenant, &list[i]))
            {
                s->sig = list[i];
                return NGX_OK;
            }
        }

        for (k = 0; k < s->conf->keys.n; k++) {
            if (keys->key[k]
                && ngx_http_stoa_signature_of(s, key[k].keyid,
                                              key[k].application,
                                              key[k].tenant, &list[i]))
            {
                s->key = keys->key[k];
                s->sig = list[i];
                return NGX_OK;
            }
        }
    }

    s->why = "The signature's key (keyid) is none of the application's.";

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_stoa_signature_of(ngx_http_stoa_signature_t *s, stoa_ref_t keyid,
    stoa_ref_t application, stoa_ref_t tenant, const stoa_signature_t *sig)
{
    stoa_str_t             id, name, of;
    ngx_http_stoa_ctx_t   *ctx;
    const stoa_rec_api_t  *rec;

    ctx = s->ctx;
    rec = s->a->rec;
    id = stoa_rec_str(s->a->rec, keyid);
    name = stoa_rec_str(s->a->rec, application);
    of = stoa_rec_str(s->a->rec, tenant);

    return sig->keyid.len == id.len
           && ngx_memcmp(sig->keyid.data, id.data, id.len) == 0
           && !ctx->anonymous && ctx->application_name.len == name.len
           && ngx_memcmp(ctx->application_name.data, name.data, name.len) == 0
           && (of.len == 0
               ? ngx_memcmp(&ctx->tenant, &rec->tenant, sizeof(stoa_id_t)) == 0
               : ctx->tenant_name.len == of.len
                 && ngx_memcmp(ctx->tenant_name.data, of.data, of.len) == 0);
}


/* The key says the algorithm; who names another one is wrong about it. */

static ngx_int_t
ngx_http_stoa_signature_whose(ngx_http_stoa_signature_t *s)
{
    int          type;
    const char  *alg;

    type = s->key ? EVP_PKEY_base_id(s->key) : 0;
    alg = s->key == NULL ? "hmac-sha256"
          : type == EVP_PKEY_ED25519 ? "ed25519"
          : type == EVP_PKEY_EC ? "ecdsa-p256-sha256" : "";

    s->why = "The signature's algorithm (alg) is not that of its key.";

    return s->sig.alg.data == NULL
           || (s->sig.alg.len == ngx_strlen(alg)
               && ngx_memcmp(s->sig.alg.data, alg, s->sig.alg.len) == 0)
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_signature_covers(ngx_http_stoa_signature_t *s)
{
    uint32_t           i;
    stoa_str_t         name;
    const stoa_ref_t  *ref;

#define covers(name)  stoa_signature_covers(&s->sig, name, sizeof(name) - 1)

    s->why = "The signature does not cover";
    s->what = stoa_str("@method");

    if (!covers("@method")) {
        return NGX_DECLINED;
    }

    s->what = stoa_str("@target-uri (or @authority, @path and @query)");

    if (!covers("@target-uri")
        && !(covers("@authority") && covers("@path") && covers("@query")))
    {
        return NGX_DECLINED;
    }

    ref = stoa_rec_vec(s->a->rec, s->conf->components, stoa_ref_t);

    for (i = 0; i < s->conf->components.n; i++) {
        name = stoa_rec_str(s->a->rec, ref[i]);

        if (!stoa_signature_covers(&s->sig, name.data, name.len)) {
            s->what = name;
            return NGX_DECLINED;
        }
    }

    s->what.len = 0;
    s->why = "The signature has no nonce of 1 to 128 bytes.";

    return (s->sig.nonce.data == NULL && !s->conf->nonce)
           || (s->sig.nonce.len && s->sig.nonce.len <= 128)
           ? NGX_OK : NGX_DECLINED;

#undef covers
}


/* One from before the zone's birth may have been shown then. */

static ngx_int_t
ngx_http_stoa_signature_time(ngx_http_stoa_signature_t *s)
{
    int64_t                     now, skew;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(s->request, ngx_http_stoa_module);
    now = (int64_t) ngx_http_stoa_wall_ms();
    skew = (int64_t) s->conf->skew_s * 1000;

    if (s->sig.created < 0) {
        s->why = "The signature does not say when it was made (created).";
        return NGX_DECLINED;
    }

    s->why = "The signature is of a time that has not come (created).";

    if (s->sig.created * 1000 > now + skew) {
        return NGX_DECLINED;
    }

    s->why = "The signature is too old (created).";

    if (s->sig.created * 1000 + (int64_t) s->conf->max_age_s * 1000 < now
        || s->sig.created * 1000 < (int64_t) mcf->sh->started_ms)
    {
        return NGX_DECLINED;
    }

    s->why = "The signature is past its end (expires).";

    return s->sig.expires < 0 || s->sig.expires * 1000 >= now
           ? NGX_OK : NGX_DECLINED;
}


/* What was signed: RFC 9421, section 2.5. */

static ngx_int_t
ngx_http_stoa_signature_base(ngx_http_stoa_signature_t *s)
{
    unsigned    i;
    ngx_int_t   rc;
    stoa_str_t  name;

    for (i = 0; i < s->sig.n; i++) {
        name = s->sig.component[i];
        stoa_buf_addz(&s->base, "\"");
        stoa_buf_add(&s->base, name.data, name.len);
        stoa_buf_addz(&s->base, "\": ");

        rc = name.data[0] == '@' ? ngx_http_stoa_signature_derived(s, name)
                                 : ngx_http_stoa_signature_header(s, name);

        if (rc != NGX_OK) {
            s->what = name;
            return rc;
        }

        stoa_buf_addz(&s->base, "\n");
    }

    stoa_buf_addz(&s->base, "\"@signature-params\": ");
    stoa_buf_add(&s->base, s->sig.text.data, s->sig.text.len);

    s->why = "What the signature covers is longer than 65536 bytes.";

    return s->base.rc == STOA_OK ? NGX_OK : NGX_DECLINED;
}


/* Of the URL as it was sent; the scheme: stoa_external_url's, if there is. */

static ngx_int_t
ngx_http_stoa_signature_derived(ngx_http_stoa_signature_t *s, stoa_str_t name)
{
    char                        c;
    u_char                     *mark;
    ngx_str_t                   uri, path, query, host;
    ngx_uint_t                  tls, i;
    ngx_http_request_t         *r;
    ngx_http_stoa_main_conf_t  *mcf;

    r = s->request;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    uri = s->ctx->unparsed_uri.len ? s->ctx->unparsed_uri : r->unparsed_uri;
    mark = ngx_strlchr(uri.data, uri.data + uri.len, '?');
    path.data = uri.data;
    path.len = mark ? (size_t) (mark - uri.data) : uri.len;
    query.data = uri.data + path.len + (mark != NULL);
    query.len = uri.data + uri.len - query.data;
    ngx_http_stoa_conceal_sent(s->ctx, &query);
    ngx_str_null(&host);

    tls = r->connection->ssl != NULL
          || (mcf->external_url.len > 8
              && ngx_strncasecmp(mcf->external_url.data,
                                 (u_char *) "https://", 8) == 0);

    if (ngx_http_stoa_uri_host(r, &host) != NGX_OK) {
        return NGX_ERROR;
    }

    if (host.len) {
        i = tls ? 4 : 3;

        if (host.len > i && ngx_memcmp(host.data + host.len - i,
                                       tls ? ":443" : ":80", i) == 0)
        {
            host.len -= i;
        }
    }

#define is(text)                                                              \
    (name.len == sizeof(text) - 1                                             \
     && ngx_memcmp(name.data, text, sizeof(text) - 1) == 0)

    if (is("@method")) {
        stoa_buf_add(&s->base, r->method_name.data, r->method_name.len);

    } else if (is("@authority") || is("@target-uri") || is("@scheme")) {

        if (!is("@authority")) {
            stoa_buf_addz(&s->base, tls ? "https" : "http");
            stoa_buf_addz(&s->base, is("@scheme") ? "" : "://");
        }

        for (i = 0; i < host.len && !is("@scheme"); i++) {
            c = (char) ngx_tolower(host.data[i]);
            stoa_buf_add(&s->base, &c, 1);
        }

    } else if (!is("@path") && !is("@query") && !is("@request-target")) {
        s->why = "The signature covers what is not known here:";
        return NGX_DECLINED;
    }

    if (is("@path") || is("@request-target") || is("@target-uri")) {
        stoa_buf_add(&s->base, path.data, path.len);
    }

    if (is("@query") || is("@request-target") || is("@target-uri")) {
        stoa_buf_addz(&s->base, mark || is("@query") ? "?" : "");
        stoa_buf_add(&s->base, query.data, query.len);
    }

#undef is

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_signature_header(ngx_http_stoa_signature_t *s, stoa_str_t name)
{
    u_char                       *p, *end;
    ngx_uint_t                    n;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    n = 0;

    for (h = ngx_http_stoa_header_first(&w,
                                       &s->request->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (!ngx_http_stoa_header_equal(h, name.data, name.len)) {
            continue;
        }

        p = h->value.data;
        end = p + h->value.len;

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        while (p < end && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }

        stoa_buf_addz(&s->base, n++ ? ", " : "");
        stoa_buf_add(&s->base, p, end - p);
    }

    s->why = "The signature covers a header that the call does not have:";

    return n ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_signature_good(ngx_http_stoa_signature_t *s)
{
    size_t            n;
    uint8_t           shown[STOA_SIGNATURE_BYTES];
    unsigned          len;
    u_char            sum[EVP_MAX_MD_SIZE];
    stoa_jwt_t        jwt;
    ngx_table_elt_t  *h;

    s->what.len = 0;
    s->why = "The call needs one header Signature, with the signature's "
             "label.";

    if (ngx_http_stoa_header_count(s->request, "Signature", 9, &h) != 1
        || stoa_signature_bytes((char *) h->value.data, h->value.len,
                                s->sig.label, shown, &n, &s->why)
           != STOA_OK
        || n == 0)
    {
        return NGX_DECLINED;
    }

    s->why = "The signature is wrong.";

    if (s->key == NULL) {
        return HMAC(EVP_sha256(), s->secret.data, (int) s->secret.len,
                    (u_char *) s->base.data, s->base.len, sum, &len)
               && n == NGX_HTTP_STOA_SHA256_LEN
               && stoa_equal_ct(sum, shown, n)
               ? NGX_OK : NGX_DECLINED;
    }

    ngx_memzero(&jwt, sizeof(stoa_jwt_t));
    jwt.alg = EVP_PKEY_base_id(s->key) == EVP_PKEY_ED25519 ? STOA_ALG_EdDSA
                                                           : STOA_ALG_ES256;
    jwt.signed_part.data = s->base.data;
    jwt.signed_part.len = s->base.len;
    jwt.signature.data = (char *) shown;
    jwt.signature.len = n;

    return ngx_http_stoa_issuer_signed(s->key, &jwt);
}


/* By what was signed, as signatures of one text may differ, and whose it is:
 * others may have a key of the same name. */

static ngx_int_t
ngx_http_stoa_signature_once(ngx_http_stoa_signature_t *s)
{
    u_char                      sum[NGX_HTTP_STOA_SHA256_LEN];
    ngx_int_t                   rc;
    ngx_http_stoa_main_conf_t  *mcf;

    if (s->a->shadow) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(s->request, ngx_http_stoa_module);

    stoa_buf_add(&s->base, (char *) &s->ctx->application, sizeof(stoa_id_t));

    if (s->base.rc != STOA_OK
        || ngx_http_stoa_sha256((u_char *) s->base.data, s->base.len, sum)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_proof_put(mcf->sh, sum, sizeof(sum),
                                 ngx_http_stoa_wall_ms(),
                                 (s->sig.created + s->conf->max_age_s) * 1000);

    s->why = "The signature was shown before.";

    if (rc == NGX_BUSY) {
        ngx_http_stoa_count(proof_full, 1);
        s->why = "The gateway has no room to keep the signature.";
    }

    return rc;
}


/* ---- the body ----------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_signature_body(ngx_http_stoa_signature_t *s)
{
    ngx_int_t            rc;
    ngx_str_t            body;
    ngx_http_request_t  *r;

    r = s->request;

    if (r->request_body == NULL) {
        rc = s->a->shadow ? NGX_OK
             : ngx_http_stoa_policy_body_limit(r, s->conf->max_bytes);

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_content_read(r, s->ctx);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_stoa_content_gather(r, s->conf->max_bytes, &body);

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_policy_refuse(r, s->ctx, s->a,
                                         NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE);
    }

    return rc != NGX_OK ? rc : ngx_http_stoa_signature_digest(s, &body);
}


/* All that is known of it has to be right. */

static ngx_int_t
ngx_http_stoa_signature_digest(ngx_http_stoa_signature_t *s, ngx_str_t *body)
{
    size_t            n;
    uint8_t           said[STOA_SIGNATURE_BYTES];
    u_char            sum[SHA512_DIGEST_LENGTH];
    unsigned          len, known, i;
    ngx_table_elt_t  *h;

    static const struct {
        stoa_str_t      name;
        const EVP_MD  *(*md)(void);
    } sums[] = {
        { { "sha-256", 7 }, EVP_sha256 },
        { { "sha-512", 7 }, EVP_sha512 }
    };

    if (!s->ctx->call.signed_body) {
        s->why = "The signature does not cover";
        s->what = stoa_str("content-digest");

        return body->len ? NGX_DECLINED : NGX_OK;
    }

    s->why = "The call needs one header Content-Digest, with sha-256 or "
             "sha-512.";

    if (ngx_http_stoa_header_count(s->request, "Content-Digest", 14, &h) != 1)
    {
        return NGX_DECLINED;
    }

    for (i = 0, known = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {

        if (stoa_signature_bytes((char *) h->value.data, h->value.len,
                                 sums[i].name, said, &n, &s->why)
            != STOA_OK)
        {
            return NGX_DECLINED;
        }

        if (n == 0) {
            continue;
        }

        known++;

        if (EVP_Digest(body->data, body->len, sum, &len, sums[i].md(), NULL)
            != 1)
        {
            return NGX_ERROR;
        }

        if (n != len || !stoa_equal_ct(sum, said, n)) {
            s->why = "The body is not that of the header Content-Digest.";
            return NGX_DECLINED;
        }
    }

    s->why = "The header Content-Digest has neither sha-256 nor sha-512.";

    return known ? NGX_OK : NGX_DECLINED;
}
