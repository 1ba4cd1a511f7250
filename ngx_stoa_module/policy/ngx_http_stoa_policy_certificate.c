/*
 * upstream-certificate: who the gateway is in the TLS handshake with an api's
 * upstream.  Schema: core/stoa_policy_certificate.h.
 *
 * What the record holds was read by the control plane; what this OpenSSL does
 * not take all the same refuses the calls, so that none goes without.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_certificate.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_certificate.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>


struct ngx_http_stoa_certificate_s {
    X509            *cert;                     /* NULL: it was not taken     */
    STACK_OF(X509)  *above;                    /* what leads to it           */
    EVP_PKEY        *key;
    u_char           sum[NGX_HTTP_STOA_SHA256_LEN];
};


static ngx_int_t ngx_http_stoa_certificate_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_certificate_read(ngx_http_stoa_certificate_t *c,
    const char *pem, size_t len);
static int ngx_http_stoa_certificate_word(char *buf, int size, int rwflag,
    void *data);
static void ngx_http_stoa_certificate_free(void *data);
static ngx_int_t ngx_http_stoa_certificate_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_certificate = {
    .name = "upstream-certificate",
    .on_way = 1,
    .compile = ngx_http_stoa_certificate_compile,
    .upstream = ngx_http_stoa_certificate_upstream
};


static ngx_int_t
ngx_http_stoa_certificate_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    u_char                             both[2 * NGX_HTTP_STOA_SHA256_LEN];
    stoa_str_t                         pem, name;
    const stoa_rec_api_t              *rec;
    ngx_pool_cleanup_t                *cln;
    ngx_http_stoa_certificate_t       *c;
    const stoa_policy_certificate_t   *conf;

    conf = a->config;
    rec = chain->rec;

    c = ngx_pcalloc(pool, sizeof(ngx_http_stoa_certificate_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (c == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_stoa_certificate_free;
    cln->data = c;
    a->state = c;

    pem = stoa_rec_str(rec, conf->certificate);
    ngx_http_stoa_certificate_read(c, pem.data, pem.len);

    if (c->cert == NULL) {
        name = stoa_rec_str(rec, rec->name);
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "stoa: the certificate for the upstream of the api "
                      "\"%*s\" is not good: no call goes there", name.len,
                      name.data);
    }

    ngx_memzero(both, sizeof(both));
    ngx_memcpy(both, &rec->id, sizeof(stoa_id_t));

    return ngx_http_stoa_sha256((u_char *) pem.data, pem.len,
                                both + NGX_HTTP_STOA_SHA256_LEN) == NGX_OK
           ? ngx_http_stoa_sha256(both, sizeof(both), c->sum) : NGX_ERROR;
}


/* All or nothing of it. */

static void
ngx_http_stoa_certificate_read(ngx_http_stoa_certificate_t *c,
    const char *pem, size_t len)
{
    BIO   *bio;
    X509  *one, *more;

    bio = BIO_new_mem_buf(pem, (int) len);
    one = bio ? PEM_read_bio_X509(bio, NULL, ngx_http_stoa_certificate_word,
                                  NULL) : NULL;
    c->above = sk_X509_new_null();

    while (one && c->above
           && (more = PEM_read_bio_X509(bio, NULL,
                                        ngx_http_stoa_certificate_word, NULL))
              != NULL)
    {
        if (sk_X509_push(c->above, more) == 0) {
            X509_free(more);
            break;
        }
    }

    BIO_free(bio);

    bio = BIO_new_mem_buf(pem, (int) len);
    c->key = bio ? PEM_read_bio_PrivateKey(bio, NULL,
                                           ngx_http_stoa_certificate_word,
                                           NULL) : NULL;
    BIO_free(bio);

    if (one && c->above && c->key && X509_check_private_key(one, c->key) == 1)
    {
        c->cert = one;

    } else {
        X509_free(one);
    }

    ERR_clear_error();
}


/* Nobody is asked for one. */

static int
ngx_http_stoa_certificate_word(char *buf, int size, int rwflag, void *data)
{
    return -1;
}


static void
ngx_http_stoa_certificate_free(void *data)
{
    ngx_http_stoa_certificate_t *c = data;

    X509_free(c->cert);
    sk_X509_pop_free(c->above, X509_free);
    EVP_PKEY_free(c->key);
}


const ngx_http_stoa_certificate_t *
ngx_http_stoa_certificate(const ngx_http_stoa_chain_t *chain)
{
    ngx_uint_t                       i;
    const ngx_http_stoa_attached_t  *a;

    for (i = 0; chain && i < chain->n; i++) {
        a = &chain->elts[i];

        if (a->policy == &ngx_http_stoa_policy_certificate && !a->shadow) {
            return a->state;
        }
    }

    return NULL;
}


void
ngx_http_stoa_certificate_key(const ngx_http_stoa_chain_t *chain, u_char *key)
{
    const ngx_http_stoa_certificate_t  *c;

    c = ngx_http_stoa_certificate(chain);

    if (c) {
        ngx_memcpy(key, c->sum, NGX_HTTP_STOA_SHA256_LEN);

    } else {
        ngx_memzero(key, NGX_HTTP_STOA_SHA256_LEN);
    }
}


ngx_int_t
ngx_http_stoa_certificate_show(const ngx_http_stoa_chain_t *chain,
    ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)
    SSL                                *ssl;
    const ngx_http_stoa_certificate_t  *cert;

    cert = ngx_http_stoa_certificate(chain);

    if (cert == NULL) {
        return NGX_OK;
    }

    ssl = c->ssl->connection;

    if (cert->cert == NULL
        || SSL_use_certificate(ssl, cert->cert) != 1
        || SSL_use_PrivateKey(ssl, cert->key) != 1
        || SSL_set1_chain(ssl, cert->above) != 1)
    {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                      "stoa: the certificate for an upstream is not taken");
        return NGX_ERROR;
    }
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_certificate_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    const ngx_http_stoa_certificate_t *c = a->state;

    if (!ngx_http_stoa_policy_acts(a) || c->cert) {
        return NGX_OK;
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_UPSTREAM_CREDENTIAL,
                                NULL);
}
