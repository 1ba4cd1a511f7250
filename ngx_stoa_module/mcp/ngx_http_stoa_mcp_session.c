
/*
 * Session ids of legacy clients, and the map to upstream sessions.
 *
 * A session id is a sealed token (AES-256-GCM, key derived once from the
 * gateway's token): there is nothing to store, so a restart, a reload,
 * another worker or another gateway with the same token breaks no client.
 * It is bound to the application and the endpoint; it is no credential.
 *
 *   token = base64url(iv 12 | sealed 32 | tag 16), 80 characters
 *   sealed: version 1, protocol row 1, zero 2, issued_s 4, application 16,
 *           endpoint hash 8
 *
 * Upstream sessions are soft state in shared memory: a set-associative table
 * under one lock; what is evicted is connected again.
 *
 * Process: seal and open in any worker; the zone is shared by all.
 * Limits: 7 days a session id; NGX_HTTP_STOA_MCP_ZONE_SIZE for the map.
 */

#include "ngx_http_stoa_mcp.h"
#include "core/stoa_key.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>


#define NGX_HTTP_STOA_MCP_ZONE_SIZE      (4 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_WAYS           8
#define NGX_HTTP_STOA_MCP_OLD_MS         60000
#define NGX_HTTP_STOA_MCP_LIFETIME_S     (7 * 24 * 3600)

#define NGX_HTTP_STOA_MCP_IV_LEN         12
#define NGX_HTTP_STOA_MCP_PLAIN_LEN      32
#define NGX_HTTP_STOA_MCP_TAG_LEN        16
#define NGX_HTTP_STOA_MCP_SEALED_LEN     (NGX_HTTP_STOA_MCP_IV_LEN           \
                                          + NGX_HTTP_STOA_MCP_PLAIN_LEN      \
                                          + NGX_HTTP_STOA_MCP_TAG_LEN)
#define NGX_HTTP_STOA_MCP_FORMAT         1


typedef struct {
    uint8_t    format;
    uint8_t    version;
    uint16_t   zero;
    uint32_t   issued_s;
    stoa_id_t  application;
    uint64_t   endpoint;
} ngx_http_stoa_mcp_plain_t;

_Static_assert(sizeof(ngx_http_stoa_mcp_plain_t)
               == NGX_HTTP_STOA_MCP_PLAIN_LEN, "sealed layout");


/* A token that was opened: its SipHash with a secret of this process, and what
 * is in it.  That never changes; who may use it, and until when, is looked at
 * each time. */

#define NGX_HTTP_STOA_MCP_SEEN  1024

typedef struct {
    uint64_t                   hash[2];        /* 0: free                   */
    u_char                     iv[NGX_HTTP_STOA_MCP_IV_LEN];
    ngx_http_stoa_mcp_plain_t  plain;
} ngx_http_stoa_mcp_seen_t;


typedef struct {
    uint64_t                      key;         /* 0: free                   */
    ngx_msec_t                    used;
    ngx_msec_t                    deadline;    /* of connecting; 0: ready   */
    ngx_pid_t                     pid;         /* who connects              */
    ngx_msec_t                    since;       /* ready                     */
    ngx_uint_t                    same;        /* NGX_HTTP_STOA_MCP_SAME_*  */
    ngx_uint_t                    failed;      /* refuse_e + 1              */
    ngx_http_stoa_mcp_upstream_t  up;
} ngx_http_stoa_mcp_node_t;

typedef struct {
    ngx_uint_t                    nsets;
    ngx_http_stoa_mcp_node_t      nodes[1];
} ngx_http_stoa_mcp_map_t;


static ngx_int_t ngx_http_stoa_mcp_zone_init(ngx_shm_zone_t *zone,
    void *data);
static ngx_http_stoa_mcp_seen_t *ngx_http_stoa_mcp_session_seen(
    ngx_str_t *token);
static ngx_int_t ngx_http_stoa_mcp_session_unseal(ngx_str_t *token,
    ngx_http_stoa_mcp_seen_t *seen);
static ngx_uint_t ngx_http_stoa_mcp_gone(ngx_pid_t pid);
static void ngx_http_stoa_mcp_node_free(ngx_http_stoa_mcp_node_t *node);


/* Of this worker: the zone belongs to the configuration that it runs with. */

static ngx_shm_zone_t  *ngx_http_stoa_mcp_zone;
static EVP_CIPHER_CTX  *ngx_http_stoa_mcp_sealer;
static EVP_CIPHER_CTX  *ngx_http_stoa_mcp_opener;

static ngx_http_stoa_mcp_seen_t
                        ngx_http_stoa_mcp_seen[NGX_HTTP_STOA_MCP_SEEN];
static uint64_t         ngx_http_stoa_mcp_secret[2];


/* ---- set up ------------------------------------------------------------ */

char *
ngx_http_stoa_mcp_session_setup(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf)
{
    ngx_str_t  name = ngx_string("stoa_mcp_sessions");

    mcf->mcp_zone = ngx_shared_memory_add(cf, &name,
                                          NGX_HTTP_STOA_MCP_ZONE_SIZE,
                                          &ngx_http_stoa_module);
    if (mcf->mcp_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->mcp_zone->init = ngx_http_stoa_mcp_zone_init;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_zone_init(ngx_shm_zone_t *zone, void *data)
{
    size_t                    size;
    ngx_slab_pool_t          *shpool;
    ngx_http_stoa_mcp_map_t  *map;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = shpool->data;
        return NGX_OK;
    }

    size = (zone->shm.size - 256 * 1024) / ngx_pagesize * ngx_pagesize;

    map = ngx_slab_calloc(shpool, size);
    if (map == NULL) {
        return NGX_ERROR;
    }

    map->nsets = (size - sizeof(ngx_http_stoa_mcp_map_t))
                 / (sizeof(ngx_http_stoa_mcp_node_t)
                    * NGX_HTTP_STOA_MCP_WAYS);
    shpool->data = map;
    zone->data = map;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_session_init(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log)
{
    u_char         key[32];
    unsigned int   len;
    const char    *label = "stoa-mcp-session";

    ngx_http_stoa_mcp_zone = mcf->mcp_zone;

    if (HMAC(EVP_sha256(), mcf->token.data, (int) mcf->token.len,
             (u_char *) label, ngx_strlen(label), key, &len)
        == NULL)
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_sealer = EVP_CIPHER_CTX_new();
    ngx_http_stoa_mcp_opener = EVP_CIPHER_CTX_new();

    if (ngx_http_stoa_mcp_sealer == NULL || ngx_http_stoa_mcp_opener == NULL
        || EVP_EncryptInit_ex(ngx_http_stoa_mcp_sealer, EVP_aes_256_gcm(),
                              NULL, key, NULL)
           != 1
        || EVP_DecryptInit_ex(ngx_http_stoa_mcp_opener, EVP_aes_256_gcm(),
                              NULL, key, NULL)
           != 1)
    {
        OPENSSL_cleanse(key, sizeof(key));
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "the key of MCP sessions could not be set up");
        return NGX_ERROR;
    }

    OPENSSL_cleanse(key, sizeof(key));

    /* what was seen belongs to the key */

    ngx_memzero(ngx_http_stoa_mcp_seen, sizeof(ngx_http_stoa_mcp_seen));

    return RAND_bytes((u_char *) ngx_http_stoa_mcp_secret,
                      sizeof(ngx_http_stoa_mcp_secret))
           == 1 ? NGX_OK : NGX_ERROR;
}


void
ngx_http_stoa_mcp_session_exit(void)
{
    EVP_CIPHER_CTX_free(ngx_http_stoa_mcp_sealer);
    EVP_CIPHER_CTX_free(ngx_http_stoa_mcp_opener);
    ngx_http_stoa_mcp_sealer = NULL;
    ngx_http_stoa_mcp_opener = NULL;
}


/* ---- sealed ids -------------------------------------------------------- */

static uint64_t
ngx_http_stoa_mcp_endpoint_hash(ngx_http_stoa_mcp_t *mcp)
{
    return stoa_hash64(mcp->has_server ? &mcp->server : &mcp->endpoint_tenant,
                       STOA_ID_LEN, mcp->has_server);
}


ngx_int_t
ngx_http_stoa_mcp_session_seal(ngx_http_stoa_ctx_t *ctx, u_char *token)
{
    int                        n;
    u_char                     sealed[NGX_HTTP_STOA_MCP_SEALED_LEN];
    ngx_str_t                  src, dst;
    EVP_CIPHER_CTX            *evp;
    ngx_http_stoa_mcp_plain_t  plain;

    ngx_memzero(&plain, sizeof(plain));
    plain.format = NGX_HTTP_STOA_MCP_FORMAT;
    plain.version = ctx->call.mcp->version;
    plain.issued_s = (uint32_t) ngx_time();
    plain.application = ctx->application;
    plain.endpoint = ngx_http_stoa_mcp_endpoint_hash(ctx->call.mcp);

    evp = ngx_http_stoa_mcp_sealer;

    if (evp == NULL || RAND_bytes(sealed, NGX_HTTP_STOA_MCP_IV_LEN) != 1
        || EVP_EncryptInit_ex(evp, NULL, NULL, NULL, sealed) != 1
        || EVP_EncryptUpdate(evp, sealed + NGX_HTTP_STOA_MCP_IV_LEN, &n,
                             (u_char *) &plain, sizeof(plain))
           != 1
        || EVP_EncryptFinal_ex(evp, sealed + NGX_HTTP_STOA_MCP_IV_LEN + n, &n)
           != 1
        || EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_GCM_GET_TAG,
                               NGX_HTTP_STOA_MCP_TAG_LEN,
                               sealed + NGX_HTTP_STOA_MCP_IV_LEN
                               + NGX_HTTP_STOA_MCP_PLAIN_LEN)
           != 1)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(ctx->call.mcp->session_id, sealed, NGX_HTTP_STOA_MCP_IV_LEN);

    src.data = sealed;
    src.len = sizeof(sealed);
    dst.data = token;
    ngx_encode_base64url(&dst, &src);

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_session_open(ngx_http_stoa_ctx_t *ctx, ngx_str_t *token)
{
    ngx_http_stoa_mcp_seen_t   *seen;
    ngx_http_stoa_mcp_plain_t  *plain;

    seen = ngx_http_stoa_mcp_session_seen(token);

    if (seen == NULL) {
        return NGX_DECLINED;
    }

    plain = &seen->plain;

    if (plain->format != NGX_HTTP_STOA_MCP_FORMAT
        || plain->version >= NGX_HTTP_STOA_MCP_VERSIONS
        || plain->endpoint != ngx_http_stoa_mcp_endpoint_hash(ctx->call.mcp)
        || (int64_t) ngx_time() - (int64_t) plain->issued_s
           > NGX_HTTP_STOA_MCP_LIFETIME_S
        || ngx_memcmp(&plain->application, &ctx->application, STOA_ID_LEN)
           != 0)
    {
        return NGX_DECLINED;
    }

    /* what was negotiated counts, not what a later header says */

    ctx->call.mcp->version = plain->version;
    ngx_memcpy(ctx->call.mcp->session_id, seen->iv, NGX_HTTP_STOA_MCP_IV_LEN);

    return NGX_OK;
}


/* NULL: not sealed by us. */

static ngx_http_stoa_mcp_seen_t *
ngx_http_stoa_mcp_session_seen(ngx_str_t *token)
{
    uint64_t                   hash[2];
    ngx_http_stoa_mcp_seen_t  *seen;

    if (token->len != NGX_HTTP_STOA_MCP_TOKEN_LEN) {
        return NULL;
    }

    stoa_siphash(token->data, token->len, ngx_http_stoa_mcp_secret, hash);

    seen = &ngx_http_stoa_mcp_seen[hash[0] % NGX_HTTP_STOA_MCP_SEEN];

    if ((hash[0] | hash[1]) && stoa_equal_ct(seen->hash, hash, sizeof(hash)))
    {
        return seen;
    }

    ngx_memzero(seen->hash, sizeof(seen->hash));

    if (ngx_http_stoa_mcp_session_unseal(token, seen) != NGX_OK) {
        return NULL;
    }

    seen->hash[0] = hash[0];
    seen->hash[1] = hash[1];

    return seen;
}


static ngx_int_t
ngx_http_stoa_mcp_session_unseal(ngx_str_t *token,
    ngx_http_stoa_mcp_seen_t *seen)
{
    int              n;
    u_char           sealed[NGX_HTTP_STOA_MCP_SEALED_LEN + 3];
    u_char          *plain;
    ngx_str_t        dst;
    EVP_CIPHER_CTX  *evp;

    evp = ngx_http_stoa_mcp_opener;
    plain = (u_char *) &seen->plain;
    dst.data = sealed;

    if (evp == NULL
        || ngx_decode_base64url(&dst, token) != NGX_OK
        || dst.len != NGX_HTTP_STOA_MCP_SEALED_LEN)
    {
        return NGX_DECLINED;
    }

    if (EVP_DecryptInit_ex(evp, NULL, NULL, NULL, sealed) != 1
        || EVP_DecryptUpdate(evp, plain, &n,
                             sealed + NGX_HTTP_STOA_MCP_IV_LEN,
                             sizeof(seen->plain))
           != 1
        || EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_GCM_SET_TAG,
                               NGX_HTTP_STOA_MCP_TAG_LEN,
                               sealed + NGX_HTTP_STOA_MCP_IV_LEN
                               + NGX_HTTP_STOA_MCP_PLAIN_LEN)
           != 1
        || EVP_DecryptFinal_ex(evp, plain + n, &n) != 1)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(seen->iv, sealed, NGX_HTTP_STOA_MCP_IV_LEN);

    return NGX_OK;
}


/* ---- upstream sessions ------------------------------------------------- */

static ngx_http_stoa_mcp_node_t *
ngx_http_stoa_mcp_node(uint64_t key, ngx_uint_t make)
{
    ngx_uint_t                 i;
    ngx_http_stoa_mcp_map_t   *map;
    ngx_http_stoa_mcp_node_t  *set, *old;

    map = ngx_http_stoa_mcp_zone->data;
    set = &map->nodes[(key % map->nsets) * NGX_HTTP_STOA_MCP_WAYS];
    old = set;

    for (i = 0; i < NGX_HTTP_STOA_MCP_WAYS; i++) {

        if (set[i].key == key) {
            return &set[i];
        }

        if (set[i].key == 0
            || (old->key
                && (ngx_msec_int_t) (set[i].used - old->used) < 0))
        {
            old = &set[i];
        }
    }

    if (!make) {
        return NULL;
    }

    ngx_memzero(old, sizeof(ngx_http_stoa_mcp_node_t));
    old->key = key;

    return old;
}


ngx_int_t
ngx_http_stoa_mcp_upstream_find(uint64_t key, ngx_uint_t waited,
    ngx_msec_t within, ngx_http_stoa_mcp_upstream_t *out)
{
    ngx_int_t                  rc;
    ngx_slab_pool_t           *shpool;
    ngx_http_stoa_mcp_node_t  *node;

    shpool = (ngx_slab_pool_t *) ngx_http_stoa_mcp_zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_stoa_mcp_node(key, 0);

    if (node && node->deadline == 0) {
        node->used = ngx_current_msec;
        *out = node->up;
        out->same = node->same;
        out->old = ngx_current_msec - node->since
                   > NGX_HTTP_STOA_MCP_OLD_MS;
        rc = NGX_OK;

    } else if (node
               && (ngx_msec_int_t) (node->deadline - ngx_current_msec) > 0
               && !ngx_http_stoa_mcp_gone(node->pid))
    {
        rc = NGX_AGAIN;

    } else if (node && node->failed && waited) {
        out->failed = node->failed;
        rc = NGX_ABORT;

    } else {
        node = ngx_http_stoa_mcp_node(key, 1);
        node->failed = 0;
        node->used = ngx_current_msec;
        node->pid = ngx_pid;
        node->deadline = ngx_current_msec + within;

        if (node->deadline == 0) {
            node->deadline = 1;
        }

        out->turn = node->deadline;
        rc = NGX_DECLINED;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


/* A worker that was killed gives nothing back. */

static ngx_uint_t
ngx_http_stoa_mcp_gone(ngx_pid_t pid)
{
    return pid != ngx_pid && kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


void
ngx_http_stoa_mcp_upstream_set(uint64_t key,
    const ngx_http_stoa_mcp_upstream_t *in)
{
    ngx_slab_pool_t           *shpool;
    ngx_http_stoa_mcp_node_t  *node;

    shpool = (ngx_slab_pool_t *) ngx_http_stoa_mcp_zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_stoa_mcp_node(key, 1);
    node->up = *in;
    node->used = ngx_current_msec;
    node->since = ngx_current_msec;
    node->deadline = 0;

    ngx_shmtx_unlock(&shpool->mutex);

    ngx_http_stoa_mcp_wait_wake(key);
}


void
ngx_http_stoa_mcp_upstream_end(uint64_t key, ngx_msec_t turn,
    ngx_uint_t failed)
{
    ngx_slab_pool_t           *shpool;
    ngx_http_stoa_mcp_node_t  *node;

    shpool = (ngx_slab_pool_t *) ngx_http_stoa_mcp_zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_stoa_mcp_node(key, 0);

    if (node && node->deadline == turn) {
        ngx_http_stoa_mcp_node_free(node);
        node->failed = failed;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    ngx_http_stoa_mcp_wait_wake(key);
}


void
ngx_http_stoa_mcp_upstream_drop(uint64_t key, const u_char *sid, size_t len)
{
    ngx_slab_pool_t           *shpool;
    ngx_http_stoa_mcp_node_t  *node;

    shpool = (ngx_slab_pool_t *) ngx_http_stoa_mcp_zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_stoa_mcp_node(key, 0);

    if (node && node->deadline == 0 && node->up.len == len
        && ngx_memcmp(node->up.sid, sid, len) == 0)
    {
        ngx_http_stoa_mcp_node_free(node);
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


/* No session, and nobody connects; what is known of the client session is
 * kept, as long as there is room. */

static void
ngx_http_stoa_mcp_node_free(ngx_http_stoa_mcp_node_t *node)
{
    uint64_t    key;
    ngx_uint_t  same;

    key = node->key;
    same = node->same;

    ngx_memzero(node, sizeof(ngx_http_stoa_mcp_node_t));

    node->key = key;
    node->same = same;
    node->used = ngx_current_msec;
    node->deadline = ngx_current_msec ? ngx_current_msec : 1;
}


void
ngx_http_stoa_mcp_upstream_same(uint64_t key, ngx_uint_t same)
{
    ngx_slab_pool_t           *shpool;
    ngx_http_stoa_mcp_node_t  *node;

    shpool = (ngx_slab_pool_t *) ngx_http_stoa_mcp_zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_stoa_mcp_node(key, 0);

    if (node) {
        node->same |= same;
    }

    ngx_shmtx_unlock(&shpool->mutex);
}
