/*
 * Certificates with their keys.
 */

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/stoa_key.h"
#include "kinds/cp_certificate.h"


#define CP_CERTIFICATE_BEGIN  "-----BEGIN "
#define CP_CERTIFICATE_ABOVE  8        /* that lead to it                    */


static int cp_certificate_word(char *buf, int size, int rwflag, void *ctx);
static bool cp_certificate_usable(const EVP_PKEY *key);
static const char *cp_certificate_chain(BIO *bio, unsigned *above);
static const char *cp_certificate_tell(cp_arena_t *a, const X509 *cert,
    unsigned above, cp_json_t **shown);
static char *cp_certificate_name(cp_arena_t *a, const X509_NAME *name);
static char *cp_certificate_time(cp_arena_t *a, const ASN1_TIME *t);


bool
cp_certificate_looks(const char *text)
{
    return strncmp(text, CP_CERTIFICATE_BEGIN,
                   sizeof(CP_CERTIFICATE_BEGIN) - 1) == 0;
}


const char *
cp_certificate_read(cp_arena_t *a, const char *pem, cp_json_t **shown)
{
    BIO         *bio, *again;
    X509        *cert;
    EVP_PKEY    *key;
    unsigned     above;
    const char  *why;

    bio = BIO_new_mem_buf(pem, -1);
    again = BIO_new_mem_buf(pem, -1);
    cert = bio ? PEM_read_bio_X509(bio, NULL, cp_certificate_word, NULL)
               : NULL;
    key = again ? PEM_read_bio_PrivateKey(again, NULL, cp_certificate_word,
                                          NULL) : NULL;

    why = cert == NULL ? "has no certificate that can be read"
          : key == NULL ? "has no private key that can be read; it must not be"
                          " encrypted"
          : !cp_certificate_usable(key)
            ? "has a key that is neither RSA of 2048 to 4096 bits, nor on"
              " P-256, P-384 or P-521, nor Ed25519"
          : X509_check_private_key(cert, key) != 1
            ? "has another key than that of its first certificate"
          : cp_certificate_chain(bio, &above);

    if (why == NULL) {
        why = cp_certificate_tell(a, cert, above, shown);
    }

    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(bio);
    BIO_free(again);
    ERR_clear_error();

    return why;
}


/* Nobody is asked for one. */

static int
cp_certificate_word(char *buf, int size, int rwflag, void *ctx)
{
    (void) buf;
    (void) size;
    (void) rwflag;
    (void) ctx;

    return -1;
}


/* It signs on gateways' event loops: 3 ms with RSA of 4096 bits, 28 with
 * 8192. */

static bool
cp_certificate_usable(const EVP_PKEY *key)
{
    int     bits;
    char    curve[16];
    size_t  len;

    bits = EVP_PKEY_get_bits(key);

    switch (EVP_PKEY_get_base_id(key)) {

    case EVP_PKEY_RSA:
        return bits >= 2048 && bits <= 4096;

    case EVP_PKEY_EC:
        return EVP_PKEY_get_group_name(key, curve, sizeof(curve), &len) == 1
               && (strcmp(curve, "prime256v1") == 0
                   || strcmp(curve, "secp384r1") == 0
                   || strcmp(curve, "secp521r1") == 0);

    case EVP_PKEY_ED25519:
        return true;
    }

    return false;
}


static const char *
cp_certificate_chain(BIO *bio, unsigned *above)
{
    X509  *more;

    for (*above = 0; ; (*above)++) {
        more = PEM_read_bio_X509(bio, NULL, cp_certificate_word, NULL);

        if (more == NULL) {
            return NULL;
        }

        X509_free(more);

        if (*above == CP_CERTIFICATE_ABOVE) {
            return "has more certificates than lead to one";
        }
    }
}


static const char *
cp_certificate_tell(cp_arena_t *a, const X509 *cert, unsigned above,
    cp_json_t **shown)
{
    char           hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned       len;
    const char    *from, *to;
    unsigned char  sum[EVP_MAX_MD_SIZE];

    from = cp_certificate_time(a, X509_get0_notBefore(cert));
    to = cp_certificate_time(a, X509_get0_notAfter(cert));
    *shown = cp_json_object(a);

    if (from == NULL || to == NULL || *shown == NULL
        || X509_digest(cert, EVP_sha256(), sum, &len) != 1)
    {
        return "has a certificate without times";
    }

    stoa_hex_encode(sum, len, hex);

    /* first, so that the least of the texts ends first */

    cp_json_put(a, *shown, "not_after", to);
    cp_json_put(a, *shown, "not_before", from);
    cp_json_put(a, *shown, "subject",
                cp_certificate_name(a, X509_get_subject_name(cert)));
    cp_json_put(a, *shown, "issuer",
                cp_certificate_name(a, X509_get_issuer_name(cert)));
    cp_json_put(a, *shown, "sha256", cp_arena_strndup(a, hex, 2 * len));
    cp_json_put_int(a, *shown, "above", above);

    return NULL;
}


/* RFC 2253, of what is ASCII; "" for a name that cannot be written. */

static char *
cp_certificate_name(cp_arena_t *a, const X509_NAME *name)
{
    BIO    *bio;
    char   *data, *text;
    long    len;

    bio = BIO_new(BIO_s_mem());
    text = NULL;

    if (bio && X509_NAME_print_ex(bio, name, 0,
                                  XN_FLAG_RFC2253 & ~(unsigned long)
                                                     ASN1_STRFLGS_UTF8_CONVERT)
               >= 0)
    {
        len = BIO_get_mem_data(bio, &data);
        text = cp_arena_strndup(a, data, len > 255 ? 255 : (size_t) len);
    }

    BIO_free(bio);

    return text ? text : cp_arena_strndup(a, "", 0);
}


static char *
cp_certificate_time(cp_arena_t *a, const ASN1_TIME *t)
{
    struct tm  tm;

    return ASN1_TIME_to_tm(t, &tm) == 1
           ? cp_time_format(a, (int64_t) timegm(&tm) * 1000) : NULL;
}


cp_rc_t
cp_certificate_ends(cp_tx_t *tx, cp_arena_t *a, int64_t *ms, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_val_t    *v;
    cp_rows_t    rows;
    cp_json_t   *shown;
    const char  *at;

    *ms = 0;

    rc = cp_tx_query(tx, a, "SELECT MIN(certificate) FROM"
                     " (SELECT MIN(certificate) AS certificate FROM secrets"
                     " UNION ALL SELECT MIN(certificate) FROM global_secrets)"
                     " AS ends", NULL, 0, &rows, err);

    v = rc == CP_OK && rows.rows ? cp_cell(&rows, 0, 0) : NULL;

    if (v && v->type != CP_VAL_NULL
        && cp_json_parse(a, v->p, v->len, &shown, NULL) == CP_OK)
    {
        at = cp_json_str(shown, "not_after");

        if (at == NULL || !cp_time_parse(at, strlen(at), ms)) {
            *ms = 0;
        }
    }

    return rc;
}
