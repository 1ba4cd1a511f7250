
/*
 * Who calls: finds the API key, verifies it, looks at the states behind it.
 *
 * Junk dies at the checksum, before any look-up; an unknown id costs the same
 * digest and comparison as a known one.  Process: workers.  Lifetime: the
 * request; the presented key is wiped as soon as it was judged.
 */

#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_look.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_key.h"

#include <openssl/rand.h>


typedef struct {
    ngx_str_t    key;
    ngx_str_t    token;           /* a Bearer of another kind ...            */
    ngx_uint_t   tokens;          /* ... and how many of them                */
    ngx_str_t    other;           /* a key of another form ...               */
    ngx_uint_t   others;          /* ... and how many that differ            */
    ngx_uint_t   dpop;            /* the scheme of one is DPoP               */
    ngx_uint_t   differ;          /* two keys that are not the same          */
} ngx_http_stoa_auth_found_t;


/*
 * A key that was verified: its SipHash with a secret of this process, and the
 * digest that it has.  That never changes, so nothing is ever stale; what the
 * digest is good for, its records say, which are read again in each snapshot.
 */

#define NGX_HTTP_STOA_AUTH_SEEN  8192

typedef struct {
    uint64_t     hash[2];
    stoa_id_t    id;
    ngx_uint_t   alg;
    u_char       digest[NGX_HTTP_STOA_SHA256_LEN];

    /* the records behind it, as long as the snapshot is the same */

    uint64_t                       generation;
    const stoa_rec_credential_t   *cred;
    const stoa_rec_application_t  *app;
    const stoa_rec_tenant_t       *tenant;
} ngx_http_stoa_auth_seen_t;


static ngx_int_t ngx_http_stoa_auth(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_auth_caller(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_auth_found_t *found);
static ngx_int_t ngx_http_stoa_auth_looked(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_auth_token(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *token);
static ngx_int_t ngx_http_stoa_auth_application(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_application_t *app,
    const stoa_rec_tenant_t *tenant);
static void ngx_http_stoa_auth_find(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_auth_found_t *found);
static void ngx_http_stoa_auth_take(ngx_http_stoa_auth_found_t *found,
    u_char *data, size_t len, ngx_uint_t bearer);
static void ngx_http_stoa_auth_take_bound(ngx_http_stoa_auth_found_t *found,
    u_char *p, size_t len);
static ngx_int_t ngx_http_stoa_auth_digest(ngx_http_request_t *r,
    ngx_str_t *key, ngx_uint_t alg, u_char *digest);
static ngx_http_stoa_auth_seen_t *ngx_http_stoa_auth_known(
    ngx_http_request_t *r, ngx_str_t *key);
static const stoa_rec_credential_t *ngx_http_stoa_auth_verify(
    ngx_http_request_t *r, ngx_str_t *key, ngx_http_stoa_auth_seen_t *seen);
static ngx_int_t ngx_http_stoa_auth_principal(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_auth_seen_t *seen);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_key = {
    .name = "key",
    .head = ngx_http_stoa_auth,
    .look = 1
};


/* No credential has it: all that is known of it is 32 bytes. */

static const u_char  ngx_http_stoa_auth_nobody[NGX_HTTP_STOA_SHA256_LEN];

static ngx_http_stoa_auth_seen_t
                     ngx_http_stoa_auth_seen[NGX_HTTP_STOA_AUTH_SEEN];
static uint64_t      ngx_http_stoa_auth_secret[2];


static ngx_int_t
ngx_http_stoa_auth(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                    rc;
    ngx_http_stoa_auth_found_t   found;

    if (!ctx->authenticated) {
        ngx_memzero(&found, sizeof(ngx_http_stoa_auth_found_t));
        ctx->anonymous = 0;

        ngx_http_stoa_auth_find(r, ctx, &found);
        ctx->dpop = found.dpop;

        rc = ctx->look ? ngx_http_stoa_auth_looked(r, ctx)
                       : ngx_http_stoa_auth_caller(r, ctx, &found);
        if (rc != NGX_OK) {
            return rc;
        }

        /* another call may be to what is not open */

        ctx->authenticated = !ctx->anonymous;
    }

    if (ctx->call.api
        && !ngx_http_stoa_auth_visible(ctx->call.api->rec, &ctx->tenant))
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    return NGX_OK;
}


/* A key says it all; a token is looked at where there is none. */

static ngx_int_t
ngx_http_stoa_auth_caller(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_auth_found_t *found)
{
    ngx_int_t                   rc;
    ngx_http_stoa_auth_seen_t  *seen;

    seen = NULL;

    if (!found->differ && found->others == 1) {

        /* made elsewhere and imported, or the upstream's business */

        seen = ngx_http_stoa_auth_known(r, &found->other);

        if (seen) {
            ctx->key_other = 1;

            if (found->key.len) {
                seen = NULL;                    /* no upstream sees either */

            } else {
                found->key = found->other;
            }
        }
    }

    if (!found->differ && found->key.len == 0 && found->tokens == 1) {
        rc = ngx_http_stoa_auth_token(r, ctx, &found->token);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (found->differ
        || (found->key.len == 0 && (found->others || found->tokens)))
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_INVALID,
                                    NULL);
    }

    if (found->key.len == 0) {
        return ngx_http_stoa_open(r, ctx) == NGX_OK ? NGX_OK
               : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_MISSING,
                                      NULL);
    }

    if (seen == NULL) {
        seen = ngx_http_stoa_auth_known(r, &found->key);
    }

    if (ctx->key.len) {
        ngx_explicit_memzero(ctx->key.data, ctx->key.len);
        ctx->key.len = 0;
    }

    if (seen == NULL || seen->cred->state == STOA_STATE_REVOKED) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_INVALID,
                                    NULL);
    }

    return ngx_http_stoa_auth_principal(r, ctx, seen);
}


/* Whose credential is said instead of shown, for a call that is only looked
 * at. */

static ngx_int_t
ngx_http_stoa_auth_looked(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_auth_seen_t   seen;
    ngx_http_stoa_main_conf_t  *mcf;

    if (ctx->look->credential.c[0] == '\0') {
        return ngx_http_stoa_open(r, ctx) == NGX_OK ? NGX_OK
               : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_MISSING,
                                      NULL);
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    seen.cred = ngx_http_stoa_store_credential(mcf->store,
                                               &ctx->look->credential);

    if (seen.cred == NULL || seen.cred->state == STOA_STATE_REVOKED) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_INVALID,
                                    NULL);
    }

    seen.app = ngx_http_stoa_store_application(mcf->store,
                                               &seen.cred->application);
    seen.tenant = ngx_http_stoa_store_tenant(mcf->store, &seen.cred->tenant);

    return ngx_http_stoa_auth_principal(r, ctx, &seen);
}


/* The application that a token speaks for, as it is now. */

static ngx_int_t
ngx_http_stoa_auth_token(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *token)
{
    ngx_int_t                      rc;
    const stoa_rec_tenant_t       *tenant;
    ngx_http_stoa_main_conf_t     *mcf;
    const stoa_rec_application_t  *app;

    rc = ngx_http_stoa_token(r, ctx, token);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    app = ngx_http_stoa_store_application(mcf->store, &ctx->application);
    tenant = app ? ngx_http_stoa_store_tenant(mcf->store, &app->tenant)
                 : NULL;

    if (tenant == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_TOKEN_INVALID,
                                    NULL);
    }

    return ngx_http_stoa_auth_application(r, ctx, app, tenant);
}


ngx_uint_t
ngx_http_stoa_auth_visible(const stoa_rec_api_t *rec, const stoa_id_t *tenant)
{
    if (rec->audience == STOA_AUDIENCE_PUBLIC
        || ngx_memcmp(&rec->tenant, tenant, sizeof(stoa_id_t)) == 0)
    {
        return 1;
    }

    return rec->audience == STOA_AUDIENCE_PARTNER
           && stoa_rec_has_id(rec, rec->partners, tenant);
}


/*
 * All places are looked at.  Only what has the form of a key is ours: an
 * Authorization of another kind beside a key in X-API-Key belongs to the
 * upstream, and the other way round.
 */

static void
ngx_http_stoa_auth_find(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_auth_found_t *found)
{
    u_char                       *p;
    size_t                        len;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_is(h, "x-api-key")) {
            ngx_http_stoa_auth_take(found, h->value.data, h->value.len, 0);
            continue;
        }

        if (ngx_http_stoa_header_is(h, "authorization")) {
            p = h->value.data;
            len = h->value.len;

            if (len < 7
                || (ngx_memcmp(p, "Bearer ", 7) != 0
                    && (ngx_strncasecmp(p, (u_char *) "Bearer", 6) != 0
                        || (p[6] != ' ' && p[6] != '\t'))))
            {
                ngx_http_stoa_auth_take_bound(found, p, len);
                continue;
            }

            ngx_http_stoa_auth_take(found, p + 7, len - 7, 1);
        }
    }

    if (ctx->key.len) {
        ctx->key_query = found->key.len == 0 && found->others == 0;
        ngx_http_stoa_auth_take(found, ctx->key.data, ctx->key.len, 0);
    }

    found->differ |= ctx->key_differs;
}


/* RFC 9449.  Never a key of ours, which no issuer is asked about either. */

static void
ngx_http_stoa_auth_take_bound(ngx_http_stoa_auth_found_t *found, u_char *p,
    size_t len)
{
    if (len < 6 || ngx_strncasecmp(p, (u_char *) "DPoP", 4) != 0
        || (p[4] != ' ' && p[4] != '\t'))
    {
        return;
    }

    for (p += 5, len -= 5; len && (*p == ' ' || *p == '\t'); p++, len--) {
        /* void */
    }

    if (len == 0) {
        return;
    }

    found->dpop = 1;

    if (len >= 5 && ngx_memcmp(p, "stoa_", 5) == 0) {
        found->tokens += 2;                     /* never looked at */
        return;
    }

    found->token.data = p;
    found->token.len = len;
    found->tokens++;
}


static void
ngx_http_stoa_auth_take(ngx_http_stoa_auth_found_t *found, u_char *data,
    size_t len, ngx_uint_t bearer)
{
    /* blanks around a value are none of it */

    while (len && (*data == ' ' || *data == '\t')) {
        data++;
        len--;
    }

    while (len && (data[len - 1] == ' ' || data[len - 1] == '\t')) {
        len--;
    }

    if (len == 0) {
        return;
    }

    if (len < 5 || ngx_memcmp(data, "stoa_", 5) != 0) {

        if (bearer) {
            found->token.data = data;
            found->token.len = len;
            found->tokens++;

        } else {
            if (found->others == 0) {
                found->other.data = data;
                found->other.len = len;
                found->others = 1;

            } else if (found->other.len != len
                       || !stoa_equal_ct(found->other.data, data, len))
            {
                found->others++;
            }
        }

        return;
    }

    if (found->key.len == 0) {
        found->key.data = data;
        found->key.len = len;
        return;
    }

    if (found->key.len != len || !stoa_equal_ct(found->key.data, data, len)) {
        found->differ = 1;
    }
}


/* What is known of a key that was presented, NULL if it is not valid. */

static ngx_http_stoa_auth_seen_t *
ngx_http_stoa_auth_known(ngx_http_request_t *r, ngx_str_t *key)
{
    uint64_t                      hash[2], generation;
    ngx_http_stoa_auth_seen_t    *seen;
    const stoa_rec_credential_t  *cred;
    ngx_http_stoa_main_conf_t    *mcf;

    if (key->len > STOA_KEY_MAX) {
        return NULL;
    }

    if (ngx_http_stoa_auth_secret[0] == 0
        && RAND_bytes((u_char *) ngx_http_stoa_auth_secret,
                      sizeof(ngx_http_stoa_auth_secret))
           != 1)
    {
        return NULL;
    }

    stoa_siphash(key->data, key->len, ngx_http_stoa_auth_secret, hash);

    seen = &ngx_http_stoa_auth_seen[hash[0] % NGX_HTTP_STOA_AUTH_SEEN];

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    generation = ngx_http_stoa_store_generation(mcf->store);
    cred = NULL;

    if (stoa_equal_ct(seen->hash, hash, sizeof(hash))) {

        if (seen->generation == generation && seen->app && seen->tenant) {
            return seen;
        }

        cred = ngx_http_stoa_store_credential(mcf->store, &seen->id);

        if (cred && (cred->alg != seen->alg
                     || ngx_memcmp(cred->digest, seen->digest,
                                   sizeof(seen->digest))
                        != 0))
        {
            cred = NULL;
        }
    }

    if (cred == NULL) {
        cred = ngx_http_stoa_auth_verify(r, key, seen);

        if (cred == NULL) {
            return NULL;
        }

        seen->hash[0] = hash[0];
        seen->hash[1] = hash[1];
    }

    seen->generation = generation;
    seen->cred = cred;
    seen->app = ngx_http_stoa_store_application(mcf->store,
                                                &cred->application);
    seen->tenant = ngx_http_stoa_store_tenant(mcf->store, &cred->tenant);

    return seen;
}


/* For its form, its checksum, its id and its secret; of one that was made
 * elsewhere the id is made of its digest. */

static const stoa_rec_credential_t *
ngx_http_stoa_auth_verify(ngx_http_request_t *r, ngx_str_t *key,
    ngx_http_stoa_auth_seen_t *seen)
{
    bool                          same;
    u_char                        digest[NGX_HTTP_STOA_SHA256_LEN];
    stoa_id_t                     id;
    stoa_key_t                    parsed;
    ngx_uint_t                    alg;
    const stoa_rec_credential_t  *cred;
    ngx_http_stoa_main_conf_t    *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (stoa_key_parse((char *) key->data, key->len, &parsed) == STOA_OK) {
        ngx_memcpy(&id, parsed.id.data, sizeof(stoa_id_t));

    } else if (stoa_key_foreign((char *) key->data, key->len)
               && ngx_http_stoa_sha256(key->data, key->len, digest) == NGX_OK)
    {
        stoa_id_unpack(digest, id.c);

    } else {
        return NULL;
    }

    cred = ngx_http_stoa_store_credential(mcf->store, &id);

    if (cred == NULL && stoa_key_foreign((char *) key->data, key->len)) {
        return NULL;
    }

    /* an unknown id costs the same work */

    if (cred) {
        alg = cred->alg;

    } else {
        alg = mcf->pepper.len ? STOA_DIGEST_HMAC : STOA_DIGEST_SHA256;
    }

    if (ngx_http_stoa_auth_digest(r, key, alg, digest) != NGX_OK) {
        return NULL;
    }

    same = stoa_equal_ct(digest, cred ? cred->digest
                                      : ngx_http_stoa_auth_nobody,
                         sizeof(digest));

    if (same && cred) {
        ngx_memzero(seen->hash, sizeof(seen->hash));
        seen->id = id;
        seen->alg = alg;
        ngx_memcpy(seen->digest, digest, sizeof(digest));
    }

    ngx_explicit_memzero(digest, sizeof(digest));

    return same ? cred : NULL;
}


static ngx_int_t
ngx_http_stoa_auth_digest(ngx_http_request_t *r, ngx_str_t *key,
    ngx_uint_t alg, u_char *digest)
{
    ngx_http_stoa_main_conf_t    *mcf;

    static ngx_uint_t             ready;
    static ngx_http_stoa_hmac_t   hmac;

    if (alg == STOA_DIGEST_SHA256) {
        return ngx_http_stoa_sha256(key->data, key->len, digest);
    }

    if (!ready) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

        if (mcf->pepper.len == 0) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "stoa: a credential needs \"stoa_pepper_file\"");
            return NGX_ERROR;
        }

        if (ngx_http_stoa_hmac_init(&hmac, mcf->pepper.data, mcf->pepper.len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ready = 1;
    }

    return ngx_http_stoa_hmac(&hmac, key->data, key->len, digest);
}


static ngx_int_t
ngx_http_stoa_auth_principal(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_auth_seen_t *seen)
{
    const stoa_rec_tenant_t       *tenant;
    const stoa_rec_credential_t   *cred;
    const stoa_rec_application_t  *app;

    cred = seen->cred;
    app = seen->app;
    tenant = seen->tenant;

    if (cred->state == STOA_STATE_EXPIRED
        || (cred->expires_ms && cred->expires_ms <= ngx_http_stoa_now_ms()))
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_EXPIRED,
                                    NULL);
    }

    if (cred->state != STOA_STATE_ACTIVE
        && cred->state != STOA_STATE_ROTATING)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_INVALID,
                                    NULL);
    }

    if (app == NULL || tenant == NULL
        || ngx_memcmp(&app->tenant, &cred->tenant, sizeof(stoa_id_t)) != 0)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_KEY_INVALID,
                                    NULL);
    }

    ctx->credential = cred->id;
    ctx->principal = cred->id;

    return ngx_http_stoa_auth_application(r, ctx, app, tenant);
}


static ngx_int_t
ngx_http_stoa_auth_application(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_application_t *app,
    const stoa_rec_tenant_t *tenant)
{
    ctx->application = app->id;
    ctx->tenant = tenant->id;

    ngx_http_stoa_name(ctx->names[0], tenant, tenant->name,
                       &ctx->tenant_name);
    ngx_http_stoa_name(ctx->names[1], app, app->name,
                       &ctx->application_name);

    if (ngx_http_stoa_chain_get(r, app, &app->policies,
                                &ctx->application_chain)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (tenant->state != STOA_STATE_ACTIVE) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_TENANT_SUSPENDED,
                                    NULL);
    }

    if (app->disowned) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_OWNER_DISABLED,
                                    NULL);
    }

    if (app->state != STOA_STATE_ACTIVE) {
        return ngx_http_stoa_refuse(r,
                                  NGX_HTTP_STOA_REFUSE_APPLICATION_SUSPENDED,
                                  NULL);
    }

    return NGX_OK;
}
