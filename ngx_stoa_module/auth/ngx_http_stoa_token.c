/*
 * Bearer tokens: a verdict that is known already, else the signature, the
 * claims, and a verdict for the next time.
 *
 * A verdict is bound to the revision of its issuer's record: other keys, other
 * rules, and it counts for nothing.  What it says about an application is
 * looked up at each request, so that a revocation counts at once.
 */

#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"

#include <openssl/rand.h>


#define NGX_HTTP_STOA_TOKEN_ISSUERS  8      /* that call themselves the same */
#define NGX_HTTP_STOA_TOKEN_OTHERS   2      /* of them of one other tenant   */


/* Tokens that this worker has summed. */

#define NGX_HTTP_STOA_TOKEN_SUMS  2048

typedef struct {
    uint64_t    hash[2];
    u_char      sum[NGX_HTTP_STOA_SHA256_LEN];
} ngx_http_stoa_token_summed_t;

/* Who may have made the token. */

typedef struct {
    const stoa_rec_issuer_t  *rec[NGX_HTTP_STOA_TOKEN_ISSUERS];
    ngx_uint_t                n;
    const stoa_id_t          *without;      /* the call's: it has had its    */
} ngx_http_stoa_token_issuers_t;


static void ngx_http_stoa_token_resource(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_resource_t *res);
static ngx_int_t ngx_http_stoa_token_hash(ngx_str_t *token,
    const stoa_id_t *tenant, u_char *hash);
static ngx_uint_t ngx_http_stoa_token_known(ngx_http_stoa_main_conf_t *mcf);
static ngx_int_t ngx_http_stoa_token_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_issuer_t *rec, ngx_str_t *token,
    size_t *len, const char **why);
static ngx_int_t ngx_http_stoa_token_verify(ngx_http_stoa_main_conf_t *mcf,
    const stoa_id_t *tenant, ngx_str_t *token, const stoa_rec_issuer_t **ask,
    size_t *len, const char **why);
static ngx_int_t ngx_http_stoa_token_try(ngx_http_stoa_main_conf_t *mcf,
    const stoa_rec_issuer_t *rec, const stoa_id_t *tenant,
    const stoa_jwt_t *jwt, const stoa_rec_issuer_t **ask, size_t *len,
    const char **why);
static ngx_int_t ngx_http_stoa_token_reader(void *data, const void *rec);
static ngx_int_t ngx_http_stoa_token_issuers(ngx_http_stoa_store_t *store,
    const stoa_id_t *tenant, stoa_str_t iss,
    ngx_http_stoa_token_issuers_t *issuers);
static ngx_int_t ngx_http_stoa_token_issuer(void *data, const void *rec);
static ngx_int_t ngx_http_stoa_token_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *text, size_t len);
static ngx_int_t ngx_http_stoa_token_bound(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *text,
    const ngx_http_stoa_token_said_t *said);
static ngx_int_t ngx_http_stoa_token_certificate(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const u_char *sum);
static ngx_uint_t ngx_http_stoa_token_audience(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_token_said_t *said);
static ngx_int_t ngx_http_stoa_token_refuse(ngx_http_request_t *r,
    ngx_int_t rc, const char *why);


/* What the token of this request says; and a token, decoded.  Both are copied
 * before anything waits. */

static u_char  ngx_http_stoa_token_said[NGX_HTTP_STOA_TOKEN_MAX]
    __attribute__((aligned(8)));
static char    ngx_http_stoa_token_text[STOA_JWT_MAX];


ngx_int_t
ngx_http_stoa_token(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *token)
{
    size_t                       len;
    int64_t                      now, until;
    u_char                       hash[NGX_HTTP_STOA_SHA256_LEN];
    ngx_int_t                    rc;
    const char                  *why;
    const stoa_rec_issuer_t     *rec;
    ngx_http_stoa_resource_t     res;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_token_said_t  *said;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    said = (ngx_http_stoa_token_said_t *) ngx_http_stoa_token_said;

    if (token->len > STOA_JWT_MAX) {
        return ngx_http_stoa_token_refuse(r, NGX_DECLINED,
                                          "The token is too long.");
    }

    ngx_http_stoa_token_resource(r, ctx, &res);

    if (ngx_http_stoa_token_hash(token, &res.tenant, hash) != NGX_OK) {
        return NGX_ERROR;
    }

    now = ngx_http_stoa_wall_ms();
    len = ngx_http_stoa_token_get(mcf->sh, hash, now,
                                  ngx_http_stoa_token_said);

    if (len && ngx_http_stoa_token_known(mcf)) {
        ngx_http_stoa_count(tokens_known, 1);

        return said->refused
               ? ngx_http_stoa_token_refuse(r, NGX_DECLINED,
                             "The token's issuer says that it is not active.")
               : ngx_http_stoa_token_take(r, ctx, token, len);
    }

    rec = NULL;
    why = NULL;
    rc = ngx_http_stoa_token_verify(mcf, &res.tenant, token, &rec, &len, &why);
    until = now + NGX_HTTP_STOA_TOKEN_KEPT_MS;

    if (rec) {
        rc = ngx_http_stoa_token_ask(r, ctx, rec, token, &len, &why);
        until = now + NGX_HTTP_STOA_TOKEN_ASKED_MS;

        if (rc == NGX_AGAIN || rc == NGX_HTTP_SERVICE_UNAVAILABLE) {
            return rc == NGX_AGAIN ? rc
                   : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_ISSUER,
                                          NULL);
        }

        if (rc == NGX_DECLINED) {
            ngx_memzero(said, sizeof(ngx_http_stoa_token_said_t));
            said->issuer = rec->id;
            said->rev = rec->hdr.rev;
            said->refused = 1;

            ngx_http_stoa_token_put(mcf->sh, hash,
                                    now + NGX_HTTP_STOA_TOKEN_REFUSED_MS,
                                    ngx_http_stoa_token_said,
                                    sizeof(ngx_http_stoa_token_said_t));
        }
    }

    if (rc != NGX_OK) {
        return why ? ngx_http_stoa_token_refuse(r, rc, why) : rc;
    }

    ngx_http_stoa_count(tokens_verified, 1);

    until = ngx_min(said->exp_ms, until);
    ngx_http_stoa_token_put(mcf->sh, hash, until, ngx_http_stoa_token_said,
                            len);

    return ngx_http_stoa_token_take(r, ctx, token, len);
}


/* What is called; all zero where that is nobody's. */

static void
ngx_http_stoa_token_resource(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_resource_t *res)
{
    ngx_memzero(res, sizeof(ngx_http_stoa_resource_t));

    if (ctx->call.edge->resource) {
        (void) ctx->call.edge->resource(r, ctx, NULL, res);
    }
}


/* Of one that came before, the sum is known by a keyed hash, which costs a
 * tenth.  The tenant is in it: who speaks for a token depends on whose call it
 * is. */

static ngx_int_t
ngx_http_stoa_token_hash(ngx_str_t *token, const stoa_id_t *tenant,
    u_char *hash)
{
    uint64_t                       h[2];
    ngx_uint_t                     i;
    ngx_http_stoa_token_summed_t  *summed;

    static uint64_t                       secret[2];
    static ngx_http_stoa_token_summed_t  *sums;

    if (sums == NULL) {
        sums = ngx_calloc(NGX_HTTP_STOA_TOKEN_SUMS
                          * sizeof(ngx_http_stoa_token_summed_t),
                          ngx_cycle->log);

        if (sums == NULL
            || RAND_bytes((u_char *) secret, sizeof(secret)) != 1)
        {
            return NGX_ERROR;
        }
    }

    stoa_siphash(token->data, token->len, secret, h);
    summed = &sums[h[0] % NGX_HTTP_STOA_TOKEN_SUMS];

    if (!stoa_equal_ct(summed->hash, h, sizeof(h))) {

        if (ngx_http_stoa_sha256(token->data, token->len, summed->sum)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_memcpy(summed->hash, h, sizeof(h));
    }

    ngx_memcpy(hash, summed->sum, NGX_HTTP_STOA_SHA256_LEN);

    for (i = 0; i < STOA_ID_LEN; i++) {
        hash[i] ^= (u_char) tenant->c[i];
    }

    return NGX_OK;
}


/* Does a verdict still count? */

static ngx_uint_t
ngx_http_stoa_token_known(ngx_http_stoa_main_conf_t *mcf)
{
    const stoa_rec_issuer_t     *rec;
    ngx_http_stoa_token_said_t  *said;

    said = (ngx_http_stoa_token_said_t *) ngx_http_stoa_token_said;

    rec = ngx_http_stoa_store_issuer(mcf->store, &said->issuer);

    return rec && rec->hdr.rev == said->rev
           && rec->state == STOA_STATE_ACTIVE
           && (said->refused
               || ngx_http_stoa_store_application(mcf->store,
                                                  &said->application));
}


/* The issuer reads it for us. */

static ngx_int_t
ngx_http_stoa_token_ask(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_issuer_t *rec, ngx_str_t *token, size_t *len,
    const char **why)
{
    ngx_int_t                   rc;
    const stoa_json_val_t      *claims;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rc = ngx_http_stoa_introspect(r, ctx, rec, token, &claims, why);

    return rc != NGX_OK ? rc
           : ngx_http_stoa_issuer_claims(mcf->store, rec, claims, 1,
                                         ngx_http_stoa_token_said, len, why);
}


/*
 * The issuers of the call's own tenant first, then others: each speaks for its
 * own tenant's applications alone, so whoever else names the same issuer can
 * give away nothing but his own.  *ask: only that one can read it; the call's
 * own tenant alone has tokens read, others' see none of them.
 */

static ngx_int_t
ngx_http_stoa_token_verify(ngx_http_stoa_main_conf_t *mcf,
    const stoa_id_t *tenant, ngx_str_t *token, const stoa_rec_issuer_t **ask,
    size_t *len, const char **why)
{
    ngx_int_t                       rc, first;
    ngx_uint_t                      i;
    stoa_str_t                      iss;
    stoa_jwt_t                      jwt;
    const char                     *reason;
    stoa_json_val_t                 val;
    ngx_http_stoa_token_issuers_t   issuers;

    if (!stoa_jwt_looks((char *) token->data, token->len)) {
        *why = NULL;

        return tenant->c[0]
               && ngx_http_stoa_store_each_issuer(mcf->store, NULL, 0, tenant,
                                                  ngx_http_stoa_token_reader,
                                                  ask)
                  == NGX_ERROR
               ? NGX_ERROR : NGX_DECLINED;
    }

    if (stoa_jwt_parse((char *) token->data, token->len,
                       ngx_http_stoa_token_text, &jwt, why)
        != STOA_OK)
    {
        return NGX_DECLINED;
    }

    *why = "The token's issuer is not known here.";

    if (!stoa_jwt_claim(&jwt.claims, "iss", 3, &val)
        || !stoa_json_text(&val, &iss) || iss.len == 0)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_stoa_token_issuers(mcf->store, tenant, iss, &issuers)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    first = NGX_DECLINED;

    for (i = 0; i < issuers.n && *ask == NULL; i++) {
        rc = ngx_http_stoa_token_try(mcf, issuers.rec[i], tenant, &jwt, ask,
                                     len, &reason);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        if (i == 0) {
            first = rc;
            *why = reason;
        }
    }

    return first;
}


/* Is it the one whose key signed it, and what do the claims say then? */

static ngx_int_t
ngx_http_stoa_token_try(ngx_http_stoa_main_conf_t *mcf,
    const stoa_rec_issuer_t *rec, const stoa_id_t *tenant,
    const stoa_jwt_t *jwt, const stoa_rec_issuer_t **ask, size_t *len,
    const char **why)
{
    ngx_int_t  rc;

    rc = ngx_http_stoa_issuer_verify(rec, jwt, why);

    if (rc == NGX_OK) {
        return ngx_http_stoa_issuer_claims(mcf->store, rec, &jwt->claims, 0,
                                           ngx_http_stoa_token_said, len,
                                           why);
    }

    if (rc == NGX_BUSY) {

        if (rec->introspection_url.len
            && ngx_memcmp(&rec->tenant, tenant, sizeof(stoa_id_t)) == 0)
        {
            *ask = rec;

        } else {
            ngx_http_stoa_hint_note(mcf->sh, NGX_HTTP_STOA_HINT_KEYS,
                                    &rec->id);
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_token_issuers(ngx_http_stoa_store_t *store,
    const stoa_id_t *tenant, stoa_str_t iss,
    ngx_http_stoa_token_issuers_t *issuers)
{
    ngx_int_t  rc;

    issuers->n = 0;
    issuers->without = NULL;
    rc = NGX_OK;

    if (tenant->c[0]) {
        rc = ngx_http_stoa_store_each_issuer(store, iss.data, iss.len,
                                             tenant,
                                             ngx_http_stoa_token_issuer,
                                             issuers);
    }

    if (rc == NGX_OK) {
        issuers->without = tenant;
        rc = ngx_http_stoa_store_each_issuer(store, iss.data, iss.len, NULL,
                                             ngx_http_stoa_token_issuer,
                                             issuers);
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* They come by tenant: those of one do not crowd out the others'. */

static ngx_int_t
ngx_http_stoa_token_issuer(void *data, const void *rec)
{
    ngx_http_stoa_token_issuers_t *issuers = data;

    ngx_uint_t                n;
    const stoa_rec_issuer_t  *issuer;

    issuer = rec;

    if (issuer->state != STOA_STATE_ACTIVE
        || (issuers->without
            && ngx_memcmp(issuers->without, &issuer->tenant,
                          sizeof(stoa_id_t)) == 0))
    {
        return NGX_OK;
    }

    n = issuers->n;

    if (issuers->without && n >= NGX_HTTP_STOA_TOKEN_OTHERS
        && ngx_memcmp(&issuers->rec[n - NGX_HTTP_STOA_TOKEN_OTHERS]->tenant,
                      &issuer->tenant, sizeof(stoa_id_t)) == 0)
    {
        return NGX_OK;
    }

    issuers->rec[issuers->n++] = issuer;

    return issuers->n < NGX_HTTP_STOA_TOKEN_ISSUERS ? NGX_OK : NGX_DONE;
}


/* The oldest that can be asked. */

static ngx_int_t
ngx_http_stoa_token_reader(void *data, const void *rec)
{
    const stoa_rec_issuer_t **ask = data;

    const stoa_rec_issuer_t  *issuer;

    issuer = rec;

    if (issuer->state != STOA_STATE_ACTIVE
        || issuer->introspection_url.len == 0)
    {
        return NGX_OK;
    }

    *ask = issuer;

    return NGX_DONE;
}


ngx_int_t
ngx_http_stoa_token_claim(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    stoa_str_t path, stoa_str_t *value)
{
    char             *buf;
    ngx_str_t        *text;
    stoa_jwt_t        jwt;
    const char       *why;
    stoa_json_val_t   val;

    if (ctx->token == NULL || ctx->token->text.len == 0) {
        return NGX_DECLINED;
    }

    text = &ctx->token->text;
    buf = ngx_pnalloc(r->pool, text->len);

    if (buf == NULL
        || !stoa_jwt_looks((char *) text->data, text->len)
        || stoa_jwt_parse((char *) text->data, text->len, buf, &jwt, &why)
           != STOA_OK
        || !stoa_jwt_claim(&jwt.claims, path.data, path.len, &val)
        || *val.start == '{' || *val.start == '[' || *val.start == 'n')
    {
        return NGX_DECLINED;
    }

    if (!stoa_json_text(&val, value)) {
        value->data = val.start;
        value->len = (size_t) (val.end - val.start);
    }

    return value->len <= NGX_HTTP_STOA_TOKEN_CLAIM ? NGX_OK : NGX_DECLINED;
}


/* What it says goes into the context, if it is for this call. */

static ngx_int_t
ngx_http_stoa_token_take(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *text, size_t len)
{
    u_char                            *p;
    ngx_int_t                          rc;
    ngx_http_stoa_token_t             *token;
    const ngx_http_stoa_token_said_t  *said;

    said = (ngx_http_stoa_token_said_t *) ngx_http_stoa_token_said;

    if (!ngx_http_stoa_token_audience(r, ctx, said)) {
        return ngx_http_stoa_token_refuse(r, NGX_DECLINED,
                                 "The token is for another audience.");
    }

    if (ctx->dpop | said->bound | said->binding) {
        rc = ngx_http_stoa_token_bound(r, ctx, text, said);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    p = ngx_palloc(r->pool, sizeof(ngx_http_stoa_token_t) + len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    token = (ngx_http_stoa_token_t *) p;
    p += sizeof(ngx_http_stoa_token_t);
    ngx_memcpy(p, said + 1, len - sizeof(*said));

    token->issuer = said->issuer;
    token->exp_ms = said->exp_ms;
    token->text = *text;
    token->subject.data = p;
    token->subject.len = said->subject ? said->subject - 1 : 0;
    p += said->subject;
    token->roles.data = p;
    token->roles.len = said->roles;
    p += said->roles;
    token->scopes.data = p;
    token->scopes.len = said->scopes;

    ctx->token = token;
    ctx->application = said->application;
    ctx->principal = said->principal;

    return NGX_OK;
}


/* What is bound to a key is no Bearer's, and the other way round. */

static ngx_int_t
ngx_http_stoa_token_bound(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *text, const ngx_http_stoa_token_said_t *said)
{
    ngx_uint_t   shown;
    const char  *why;

    shown = ctx->dpop;

    if (said->bound == NGX_HTTP_STOA_BOUND_CERTIFICATE && !said->binding
        && !shown)
    {
        return ngx_http_stoa_token_certificate(r, ctx, said->jkt);
    }

    ctx->dpop = 1;                              /* of what the answer tells */

    /* the request that an inner one is of has shown its proof */

    if (shown && said->bound == NGX_HTTP_STOA_BOUND_KEY && ctx->inner) {
        return NGX_OK;
    }

    if (shown && said->bound == NGX_HTTP_STOA_BOUND_KEY) {
        return ngx_http_stoa_dpop(r, ctx, text, said->jkt);
    }

    why = said->bound == NGX_HTTP_STOA_BOUND_KEY
          ? "The token is bound to a key: it takes the scheme DPoP."
          : said->binding
          ? "The token is bound to no key, and its issuer's have to be."
          : "The token is bound to no key: it takes the scheme Bearer.";

    return ngx_http_stoa_token_refuse(r, NGX_DECLINED, why);
}


/* RFC 8705, section 3: who has the certificate's key has shown so to nginx, in
 * the handshake; whose CA it is of is none of the token's business. */

static ngx_int_t
ngx_http_stoa_token_certificate(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const u_char *sum)
{
    X509          *cert;
    unsigned       len;
    u_char         own[EVP_MAX_MD_SIZE];
    ngx_uint_t     fits;
    const char    *why;

    /* the request that an inner one is of was looked at */

    if (ctx->inner) {
        return NGX_OK;
    }

    cert = r->connection->ssl
           ? SSL_get_peer_certificate(r->connection->ssl->connection) : NULL;
    fits = cert && X509_digest(cert, EVP_sha256(), own, &len) == 1
           && len == NGX_HTTP_STOA_SHA256_LEN
           && stoa_equal_ct(own, sum, NGX_HTTP_STOA_SHA256_LEN);
    why = cert ? "The token is bound to another certificate than that of the "
                 "client."
               : "The token is bound to a certificate, and the client has "
                 "shown none.";
    X509_free(cert);

    return fits && ctx->own_method == 0
           ? NGX_OK : ngx_http_stoa_token_refuse(r, NGX_DECLINED, why);
}


/* RFC 8707: the URL of what is called, or what the issuer's record takes. */

static ngx_uint_t
ngx_http_stoa_token_audience(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_token_said_t *said)
{
    ngx_str_t                  url;
    const char                *words;
    ngx_http_stoa_resource_t   res;

    if (said->audience_fits) {
        return 1;
    }

    ngx_memzero(&res, sizeof(ngx_http_stoa_resource_t));

    words = (const char *) (said + 1) + said->subject + said->roles
            + said->scopes;

    return ctx->call.edge->resource
           && ctx->call.edge->resource(r, ctx, NULL, &res) == NGX_OK
           && ngx_http_stoa_token_url(r, &res, &url) == NGX_OK
           && stoa_jwt_has(words, said->audiences, (char *) url.data,
                           url.len);
}


ngx_uint_t
ngx_http_stoa_token_still(ngx_http_stoa_store_t *store,
    ngx_http_stoa_ctx_t *ctx)
{
    const stoa_rec_issuer_t  *rec;

    rec = ngx_http_stoa_store_issuer(store, &ctx->token->issuer);

    return rec && rec->state == STOA_STATE_ACTIVE
           && ctx->token->exp_ms > (int64_t) ngx_http_stoa_wall_ms();
}


static ngx_int_t
ngx_http_stoa_token_refuse(ngx_http_request_t *r, ngx_int_t rc,
    const char *why)
{
    ngx_str_t  detail;

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    detail.data = (u_char *) why;
    detail.len = ngx_strlen(why);

    return ngx_http_stoa_refuse(r, rc == NGX_ABORT
                                   ? NGX_HTTP_STOA_REFUSE_TOKEN_EXPIRED
                                   : NGX_HTTP_STOA_REFUSE_TOKEN_INVALID,
                                &detail);
}
