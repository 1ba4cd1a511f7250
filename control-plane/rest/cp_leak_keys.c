/*
 * Keys of who reports.
 */

#include <pthread.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "client/cp_client.h"
#include "rest/cp_leak_keys.h"


#define CP_LEAK_BYTES_MAX   65536
#define CP_LEAK_TIMEOUT_MS  5000
#define CP_LEAK_SIG_MAX     160


typedef struct {
    char       id[CP_LEAK_ID_MAX + 1];
    EVP_PKEY  *key;
} cp_leak_key_t;

static struct {
    pthread_mutex_t  lock;
    cp_leak_key_t    key[CP_LEAK_KEYS_MAX];
    unsigned         n;
    int64_t          tried;            /* monotonic ms, 0: never            */
} cp_leak_ring = { .lock = PTHREAD_MUTEX_INITIALIZER };


static bool
cp_leak_data(void *ctx, const char *data, size_t len)
{
    stoa_buf_t  *b = ctx;

    stoa_buf_add(b, data, len);

    return b->rc == STOA_OK;
}


static const char *
cp_leak_load(cp_op_t *op, stoa_buf_t *b)
{
    FILE            *f;
    char             piece[4096];
    long             status;
    size_t           n;
    const char      *why;
    cp_client_t     *c;
    cp_client_to_t   to = { .verify = true, .trusted = true };

    to.url = op->app->conf.leak_keys;

    if (strstr(to.url, "://") == NULL) {
        f = fopen(to.url, "re");

        if (f == NULL) {
            return "cannot be opened";
        }

        while ((n = fread(piece, 1, sizeof(piece), f)) > 0) {
            stoa_buf_add(b, piece, n);
        }

        (void) fclose(f);

        return NULL;
    }

    c = cp_client_create(op->app, op->arena, &to, cp_leak_data, NULL, b);

    if (c == NULL) {
        return "no memory";
    }

    why = cp_client_send(c, "GET", NULL, CP_LEAK_TIMEOUT_MS, &status);
    cp_client_destroy(c);

    return why != NULL ? why : status != 200 ? "is not answered by 200" : NULL;
}


/* A key of P-256 alone. */

static EVP_PKEY *
cp_leak_pem(const char *pem)
{
    BIO       *bio;
    char       group[32];
    EVP_PKEY  *key;

    bio = BIO_new_mem_buf(pem, -1);
    key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);

    if (key != NULL
        && (!EVP_PKEY_is_a(key, "EC")
            || EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1
            || strcmp(group, "prime256v1") != 0))
    {
        EVP_PKEY_free(key);
        key = NULL;
    }

    return key;
}


static unsigned
cp_leak_read(cp_op_t *op, cp_leak_key_t *keys)
{
    unsigned      n;
    cp_json_t    *in, *m;
    const char   *why, *id, *pem;
    stoa_buf_t    b;

    n = 0;
    stoa_buf_init(&b, CP_LEAK_BYTES_MAX);
    why = cp_leak_load(op, &b);

    if (why == NULL
        && (b.rc != STOA_OK || b.len == 0
            || cp_json_parse(op->arena, b.data, b.len, &in, NULL) != CP_OK))
    {
        why = "is no JSON, or too long";
    }

    m = why == NULL ? cp_json_get(in, "public_keys") : NULL;

    for (m = m != NULL ? m->first : NULL; m && n < CP_LEAK_KEYS_MAX;
         m = m->next)
    {
        id = cp_json_str(m, "key_identifier");
        pem = cp_json_str(m, "key");

        if (id == NULL || pem == NULL || strlen(id) > CP_LEAK_ID_MAX) {
            continue;
        }

        keys[n].key = cp_leak_pem(pem);

        if (keys[n].key != NULL) {
            strcpy(keys[n++].id, id);
        }
    }

    stoa_buf_free(&b);

    if (n == 0) {
        cp_log(CP_LOG_WARN, "leak", "leak_keys %s",
               why != NULL ? why : "has no key");
    }

    return n;
}


static EVP_PKEY *
cp_leak_find(const char *id)
{
    unsigned  i;

    for (i = 0; i < cp_leak_ring.n; i++) {
        if (strcmp(cp_leak_ring.key[i].id, id) == 0) {
            (void) EVP_PKEY_up_ref(cp_leak_ring.key[i].key);
            return cp_leak_ring.key[i].key;
        }
    }

    return NULL;
}


/* Others verify by the old set while one reads. */

static EVP_PKEY *
cp_leak_key(cp_op_t *op, const char *id)
{
    int64_t         now, age;
    unsigned        n, i;
    EVP_PKEY       *key;
    cp_leak_key_t   fresh[CP_LEAK_KEYS_MAX], old;

    now = cp_time_mono_ms();
    (void) pthread_mutex_lock(&cp_leak_ring.lock);

    key = cp_leak_find(id);
    age = cp_leak_ring.tried != 0 ? now - cp_leak_ring.tried : INT64_MAX;

    if (age < (key != NULL ? CP_LEAK_AGE_MS : CP_LEAK_AGAIN_MS)) {
        (void) pthread_mutex_unlock(&cp_leak_ring.lock);
        return key;
    }

    cp_leak_ring.tried = now;
    (void) pthread_mutex_unlock(&cp_leak_ring.lock);

    EVP_PKEY_free(key);
    memset(fresh, 0, sizeof(fresh));
    n = cp_leak_read(op, fresh);

    (void) pthread_mutex_lock(&cp_leak_ring.lock);

    for (i = 0; n > 0 && i < CP_LEAK_KEYS_MAX; i++) {
        old = cp_leak_ring.key[i];
        cp_leak_ring.key[i] = fresh[i];
        EVP_PKEY_free(old.key);
    }

    cp_leak_ring.n = n > 0 ? n : cp_leak_ring.n;
    key = cp_leak_find(id);
    (void) pthread_mutex_unlock(&cp_leak_ring.lock);

    return key;
}


bool
cp_leak_signed(cp_op_t *op, const char *id, const char *signature,
    const char *body, size_t len)
{
    int          n;
    bool         ok;
    size_t       text;
    uint8_t      sig[CP_LEAK_SIG_MAX];
    EVP_PKEY    *key;
    EVP_MD_CTX  *ctx;

    text = strlen(signature);

    if (text == 0 || text % 4 != 0 || text > sizeof(sig) / 3 * 4
        || strlen(id) > CP_LEAK_ID_MAX)
    {
        return false;
    }

    n = EVP_DecodeBlock(sig, (const uint8_t *) signature, (int) text);
    n -= signature[text - 1] == '=';
    n -= signature[text - 2] == '=';
    key = n > 0 ? cp_leak_key(op, id) : NULL;
    ctx = key != NULL ? EVP_MD_CTX_new() : NULL;

    ok = ctx != NULL
         && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1
         && EVP_DigestVerify(ctx, sig, (size_t) n, (const uint8_t *) body,
                             len) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);

    return ok;
}
