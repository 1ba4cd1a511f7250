/*
 * Who calls, vouched for: a compact JWS (RFC 7515, EdDSA) by the key of the
 * gateway's group, for one api.  Every upstream can verify it with the control
 * plane's public keys, and none can make one or use it elsewhere.
 *
 * One is used for as many calls as say the same, for half of its life: so it
 * has no jti, which would be the same in all of them.
 *
 * Process: workers.  Lifetime: the text in r->pool; the key and the texts that
 * are used again in the process.  Limits: NGX_HTTP_STOA_IDENTITY_KEPT texts.
 */

#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_key.h"

#include <openssl/evp.h>


#define NGX_HTTP_STOA_IDENTITY_LIFE_S  60
#define NGX_HTTP_STOA_IDENTITY_USE_S   30    /* so much is left at least     */
#define NGX_HTTP_STOA_IDENTITY_KEPT    512   /* 2^n                          */
#define NGX_HTTP_STOA_IDENTITY_MAX     1600
#define NGX_HTTP_STOA_IDENTITY_SUBJECT 128   /* a longer one is not told     */
#define NGX_HTTP_STOA_IDENTITY_SIG     64
#define NGX_HTTP_STOA_IDENTITY_VALUES  5     /* headers                      */


/* All that the claims say is of these. */

typedef struct {
    stoa_id_t   api;
    stoa_id_t   application;
    stoa_id_t   subscription;
    stoa_id_t   subject;                     /* zeros: a key calls           */
} ngx_http_stoa_identity_of_t;

typedef struct {
    ngx_http_stoa_identity_of_t  of;
    time_t                       made;
    uint32_t                     len;       /* 0: free                       */
    u_char                       text[NGX_HTTP_STOA_IDENTITY_MAX];
} ngx_http_stoa_identity_kept_t;


static ngx_int_t ngx_http_stoa_identity(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_identity_values(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_api_t *rec, ngx_str_t *values);
static ngx_int_t ngx_http_stoa_identity_escape(ngx_http_request_t *r,
    const ngx_str_t *text, ngx_str_t *value);
static ngx_int_t ngx_http_stoa_identity_signed(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *api, ngx_str_t *jws);
static ngx_int_t ngx_http_stoa_identity_make(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_identity_kept_t *kept);
static u_char *ngx_http_stoa_identity_subject(ngx_http_stoa_ctx_t *ctx,
    u_char *p);
static ngx_int_t ngx_http_stoa_identity_key(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_identity_sign(const u_char *data, size_t len,
    u_char *sig);
static u_char *ngx_http_stoa_identity_base64(u_char *dst, u_char *src,
    size_t len);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_identity = {
    .name = "identity",
    .upstream = ngx_http_stoa_identity
};


static ngx_http_stoa_header_name_t  ngx_http_stoa_identity_names[] = {
    { ngx_string("X-Stoa-Tenant"), ngx_string("x-stoa-tenant"), 0 },
    { ngx_string("X-Stoa-Application"), ngx_string("x-stoa-application"), 0 },
    { ngx_string("X-Stoa-Subscription"), ngx_string("x-stoa-subscription"),
      0 },
    { ngx_string("X-Stoa-Subject"), ngx_string("x-stoa-subject"), 0 },
    { ngx_string("X-Stoa-Identity"), ngx_string("x-stoa-identity"), 0 }
};

static ngx_http_stoa_identity_kept_t  *ngx_http_stoa_identities;

static EVP_PKEY   *ngx_http_stoa_identity_pkey;
static EVP_MD_CTX *ngx_http_stoa_identity_md;
static stoa_id_t   ngx_http_stoa_identity_kid;


static ngx_int_t
ngx_http_stoa_identity(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_int_t   rc;
    ngx_str_t   values[NGX_HTTP_STOA_IDENTITY_VALUES];
    ngx_uint_t  i;

    rc = ngx_http_stoa_identity_values(r, ctx, a->rec, values);

    if (rc == NGX_DECLINED) {
        /* nothing to sign with: the upstream would have to guess */
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_READY, NULL);
    }

    for (i = 0; rc == NGX_OK && i < NGX_HTTP_STOA_IDENTITY_VALUES; i++) {
        if (values[i].len) {
            rc = ngx_http_stoa_header_push(&r->headers_in.headers,
                                           &ngx_http_stoa_identity_names[i],
                                           &values[i]);
        }
    }

    return rc;
}


/* All of them, also those without a value: who asks puts them in the place of
 * what its client has sent. */

ngx_int_t
ngx_http_stoa_identity_answer(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_str_t         values[NGX_HTTP_STOA_IDENTITY_VALUES];
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    rc = ngx_http_stoa_identity_values(r, ctx, ctx->call.api->rec, values);

    for (i = 0; rc == NGX_OK && i < NGX_HTTP_STOA_IDENTITY_VALUES; i++) {
        h = ngx_http_stoa_header_out(r,
                           (char *) ngx_http_stoa_identity_names[i].name.data,
                           ngx_http_stoa_identity_names[i].name.len);
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->value = values[i];
    }

    return rc;
}


/* In the order of the names; NGX_DECLINED: it cannot be signed. */

static ngx_int_t
ngx_http_stoa_identity_values(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_api_t *rec, ngx_str_t *values)
{
    ngx_memzero(values, NGX_HTTP_STOA_IDENTITY_VALUES * sizeof(ngx_str_t));

    values[0] = ctx->tenant_name;
    values[1] = ctx->application_name;
    values[2].data = (u_char *) ctx->call.subscription.c;
    values[2].len = ctx->call.subscription.c[0] ? STOA_ID_LEN : 0;

    if (ctx->token
        && ngx_http_stoa_identity_escape(r, &ctx->token->subject, &values[3])
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rec->identity == STOA_IDENTITY_SIGNED
           ? ngx_http_stoa_identity_signed(r, ctx, &rec->id, &values[4])
           : NGX_OK;
}


/* What a header cannot have is escaped as in a URL. */

static ngx_int_t
ngx_http_stoa_identity_escape(ngx_http_request_t *r, const ngx_str_t *text,
    ngx_str_t *value)
{
    u_char  *p, ch;
    size_t   i;

    value->data = ngx_pnalloc(r->pool, 3 * text->len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    p = value->data;

    for (i = 0; i < text->len; i++) {
        ch = text->data[i];

        if (ch > ' ' && ch < 0x7f && ch != '%') {
            *p++ = ch;

        } else {
            p = ngx_sprintf(p, "%%%02Xd", (ngx_uint_t) ch);
        }
    }

    value->len = p - value->data;

    return NGX_OK;
}


/* NGX_DECLINED: there is no key to sign with. */

static ngx_int_t
ngx_http_stoa_identity_signed(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_id_t *api, ngx_str_t *jws)
{
    uint64_t                        h;
    ngx_int_t                       rc;
    ngx_http_stoa_identity_of_t     of;
    ngx_http_stoa_identity_kept_t  *kept;

    if (ngx_http_stoa_identities == NULL) {
        ngx_http_stoa_identities = ngx_calloc(NGX_HTTP_STOA_IDENTITY_KEPT
                                    * sizeof(ngx_http_stoa_identity_kept_t),
                                    r->connection->log);
        if (ngx_http_stoa_identities == NULL) {
            return NGX_ERROR;
        }
    }

    of.api = *api;
    of.application = ctx->application;
    of.subscription = ctx->call.subscription;
    ngx_memzero(&of.subject, sizeof(stoa_id_t));

    if (ctx->token) {
        of.subject = ctx->principal;
    }

    h = stoa_hash64(&of, sizeof(of), 0);
    kept = &ngx_http_stoa_identities[h & (NGX_HTTP_STOA_IDENTITY_KEPT - 1)];

    /* also a clock that went back makes a new one */

    if (kept->len == 0 || ngx_time() < kept->made
        || ngx_time() - kept->made > NGX_HTTP_STOA_IDENTITY_LIFE_S
                                     - NGX_HTTP_STOA_IDENTITY_USE_S
        || ngx_memcmp(&kept->of, &of, sizeof(of)) != 0)
    {
        kept->len = 0;
        kept->of = of;

        rc = ngx_http_stoa_identity_make(r, ctx, kept);
        if (rc != NGX_OK) {
            kept->len = 0;
            return rc;
        }
    }

    jws->len = kept->len;
    jws->data = ngx_pnalloc(r->pool, kept->len);

    if (jws->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(jws->data, kept->text, kept->len);

    return NGX_OK;
}


/* Names are slugs and ids are base32: nothing of it needs an escape, and all
 * of it fits. */

static ngx_int_t
ngx_http_stoa_identity_make(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_identity_kept_t *kept)
{
    u_char     *p, json[NGX_HTTP_STOA_IDENTITY_MAX / 2];
    u_char      sig[NGX_HTTP_STOA_IDENTITY_SIG];
    time_t      now;
    ngx_int_t   rc;

    rc = ngx_http_stoa_identity_key(r);
    if (rc != NGX_OK) {
        return rc;
    }

    now = ngx_time();

    p = ngx_sprintf(json, "{\"alg\":\"EdDSA\",\"kid\":\"%*s\","
                    "\"typ\":\"JWT\"}",
                    (size_t) STOA_ID_LEN, ngx_http_stoa_identity_kid.c);

    p = ngx_http_stoa_identity_base64(kept->text, json, p - json);
    *p++ = '.';
    kept->len = p - kept->text;

    p = ngx_snprintf(json, sizeof(json), "{\"iss\":\"stoa-gateway\","
                     "\"aud\":\"%*s\",\"iat\":%T,\"exp\":%T,"
                     "\"tenant\":\"%*s\",\"tenant_name\":\"%V\","
                     "\"application\":\"%*s\",\"application_name\":\"%V\","
                     "\"subscription\":\"%*s\"",
                     (size_t) STOA_ID_LEN, kept->of.api.c, now,
                     now + NGX_HTTP_STOA_IDENTITY_LIFE_S,
                     (size_t) STOA_ID_LEN, ctx->tenant.c, &ctx->tenant_name,
                     kept->of.application.c[0] ? (size_t) STOA_ID_LEN
                                               : (size_t) 0,
                     kept->of.application.c,
                     &ctx->application_name,
                     kept->of.subscription.c[0] ? (size_t) STOA_ID_LEN
                                                : (size_t) 0,
                     kept->of.subscription.c);

    p = ngx_http_stoa_identity_subject(ctx, p);
    *p++ = '}';

    p = ngx_http_stoa_identity_base64(kept->text + kept->len, json, p - json);

    if (ngx_http_stoa_identity_sign(kept->text, p - kept->text, sig)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "an identity could not be signed");
        return NGX_ERROR;
    }

    *p++ = '.';
    p = ngx_http_stoa_identity_base64(p, sig, sizeof(sig));

    kept->len = p - kept->text;
    kept->made = now;

    return NGX_OK;
}


/* Of a token; no control character is in it. */

static u_char *
ngx_http_stoa_identity_subject(ngx_http_stoa_ctx_t *ctx, u_char *p)
{
    size_t      i;
    ngx_str_t  *text;

    text = ctx->token ? &ctx->token->subject : NULL;

    if (text == NULL || text->len == 0
        || text->len > NGX_HTTP_STOA_IDENTITY_SUBJECT)
    {
        return p;
    }

    p = ngx_cpymem(p, ",\"subject\":\"", sizeof(",\"subject\":\"") - 1);

    for (i = 0; i < text->len; i++) {
        if (text->data[i] == '"' || text->data[i] == '\\') {
            *p++ = '\\';
        }

        *p++ = text->data[i];
    }

    *p++ = '"';

    return p;
}


/* The key that is in use now, made ready when it is another one. */

static ngx_int_t
ngx_http_stoa_identity_key(ngx_http_request_t *r)
{
    const stoa_rec_groupkey_t  *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rec = ngx_http_stoa_store_signer(mcf->store,
                                     (int64_t) ngx_http_stoa_wall_ms());
    if (rec == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "there is no key to sign identities with");
        return NGX_DECLINED;
    }

    if (ngx_http_stoa_identity_pkey
        && ngx_memcmp(rec->id.c, ngx_http_stoa_identity_kid.c, STOA_ID_LEN)
           == 0)
    {
        return NGX_OK;
    }

    EVP_PKEY_free(ngx_http_stoa_identity_pkey);

    ngx_http_stoa_identity_pkey = EVP_PKEY_new_raw_private_key(
                                       EVP_PKEY_ED25519, NULL, rec->private,
                                       sizeof(rec->private));
    ngx_http_stoa_identity_kid = rec->id;

    return ngx_http_stoa_identity_pkey ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_identity_sign(const u_char *data, size_t len, u_char *sig)
{
    size_t  n;

    n = NGX_HTTP_STOA_IDENTITY_SIG;

    if (ngx_http_stoa_identity_md == NULL) {
        ngx_http_stoa_identity_md = EVP_MD_CTX_new();
    }

    return ngx_http_stoa_identity_md
           && EVP_MD_CTX_reset(ngx_http_stoa_identity_md) == 1
           && EVP_DigestSignInit(ngx_http_stoa_identity_md, NULL, NULL, NULL,
                                 ngx_http_stoa_identity_pkey)
              == 1
           && EVP_DigestSign(ngx_http_stoa_identity_md, sig, &n, data, len)
              == 1
           && n == NGX_HTTP_STOA_IDENTITY_SIG
           ? NGX_OK : NGX_ERROR;
}


static u_char *
ngx_http_stoa_identity_base64(u_char *dst, u_char *src, size_t len)
{
    ngx_str_t  from, to;

    from.data = src;
    from.len = len;
    to.data = dst;

    ngx_encode_base64url(&to, &from);

    return dst + to.len;
}


void
ngx_http_stoa_identity_exit(void)
{
    EVP_MD_CTX_free(ngx_http_stoa_identity_md);
    EVP_PKEY_free(ngx_http_stoa_identity_pkey);

    ngx_http_stoa_identity_md = NULL;
    ngx_http_stoa_identity_pkey = NULL;

    if (ngx_http_stoa_identities) {
        ngx_free(ngx_http_stoa_identities);
        ngx_http_stoa_identities = NULL;
    }
}
