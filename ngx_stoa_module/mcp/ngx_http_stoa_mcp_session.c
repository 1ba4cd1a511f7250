
/*
 * Session ids of legacy clients, and the map to upstream sessions.
 *
 * A session id is a sealed token (core/stoa_token.h): there is nothing to
 * store, so a restart, a reload, another worker or another gateway of the
 * group breaks no client.  It opens for its principal at its endpoint alone;
 * it is no credential.
 *
 * Upstream sessions are soft state in shared memory: a set-associative table
 * under one lock; what is evicted is connected again.
 *
 * Process: seal and open in any worker; the zone is shared by all.
 * Limits: 7 days a session id; NGX_HTTP_STOA_MCP_ZONE_SIZE for the map.
 */

#include "ngx_http_stoa_mcp.h"
#include "stoa_seal.h"
#include "core/stoa_key.h"

#include <openssl/rand.h>


#define NGX_HTTP_STOA_MCP_ZONE_SIZE      (4 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_WAYS           8
#define NGX_HTTP_STOA_MCP_OLD_MS         60000
#define NGX_HTTP_STOA_MCP_LIFETIME_S     (7 * 24 * 3600)
#define NGX_HTTP_STOA_MCP_TOKEN_MAX      2048


/* For whom something is sealed: application 16, subject 8, endpoint 8. */

#define NGX_HTTP_STOA_MCP_PRINCIPAL  32


/* A token that was opened: its SipHash with a secret of this process, for whom
 * and what is in it.  That never changes; until when it counts is looked at
 * each time. */

#define NGX_HTTP_STOA_MCP_SEEN  1024

typedef struct {
    uint64_t   hash[2];                        /* 0: free                   */
    u_char     principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    u_char    *plain;
    size_t     len;
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
    ngx_str_t *token, const u_char *principal);
static void ngx_http_stoa_mcp_seen_free(ngx_http_stoa_mcp_seen_t *seen);
static ngx_uint_t ngx_http_stoa_mcp_gone(ngx_pid_t pid);
static void ngx_http_stoa_mcp_node_free(ngx_http_stoa_mcp_node_t *node);


/* Of this worker: the zone belongs to the configuration that it runs with. */

static ngx_shm_zone_t  *ngx_http_stoa_mcp_zone;

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
ngx_http_stoa_mcp_session_init(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_http_stoa_mcp_zone = mcf->mcp_zone;

    return RAND_bytes((u_char *) ngx_http_stoa_mcp_secret,
                      sizeof(ngx_http_stoa_mcp_secret))
           == 1 ? NGX_OK : NGX_ERROR;
}


void
ngx_http_stoa_mcp_session_forget(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_MCP_SEEN; i++) {
        ngx_http_stoa_mcp_seen_free(&ngx_http_stoa_mcp_seen[i]);
    }
}


/* ---- sealed ids -------------------------------------------------------- */

static void
ngx_http_stoa_mcp_principal(ngx_http_stoa_ctx_t *ctx, u_char *dst)
{
    uint64_t              subject, endpoint;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    subject = 0;                              /* a key has none             */
    endpoint = stoa_hash64(mcp->has_server ? &mcp->server
                                           : &mcp->endpoint_tenant,
                           STOA_ID_LEN, mcp->has_server);

    dst = ngx_cpymem(dst, &ctx->application, STOA_ID_LEN);
    dst = ngx_cpymem(dst, &subject, sizeof(subject));
    ngx_memcpy(dst, &endpoint, sizeof(endpoint));
}


ngx_int_t
ngx_http_stoa_mcp_session_seal(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *token)
{
    u_char                principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    ngx_int_t             rc;
    stoa_buf_t            caps, plain;
    stoa_json_val_t       val;
    stoa_mcp_token_t      t;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    token->data = ngx_pnalloc(r->pool, NGX_HTTP_STOA_MCP_TOKEN_MAX);

    if (token->data == NULL
        || RAND_bytes(mcp->nonce, sizeof(mcp->nonce)) != 1)
    {
        return NGX_ERROR;
    }

    stoa_buf_init(&caps, STOA_JSONRPC_BODY_MAX);
    stoa_buf_init(&plain, NGX_HTTP_STOA_MCP_TOKEN_MAX);

    val.start = NULL;

    if (mcp->msg.params.start) {
        (void) stoa_json_get(&mcp->msg.params, "capabilities", &val);
    }

    stoa_mcp_caps(&caps, &val);

    ngx_memzero(&t, sizeof(t));
    t.version = mcp->version + 1;
    t.issued_s = (uint32_t) ngx_time();
    t.caps.data = caps.data;
    t.caps.len = caps.len;
    ngx_memcpy(t.nonce, mcp->nonce, sizeof(t.nonce));

    stoa_mcp_token_write(&plain, &t);
    ngx_http_stoa_mcp_principal(ctx, principal);

    rc = NGX_ERROR;

    if (caps.rc == STOA_OK && plain.rc == STOA_OK) {
        token->len = stoa_seal(STOA_SEAL_SESSION,
                               (int64_t) ngx_http_stoa_wall_ms(),
                               (stoa_str_t) { (char *) principal,
                                              sizeof(principal) },
                               (stoa_str_t) { plain.data, plain.len },
                               (char *) token->data,
                               NGX_HTTP_STOA_MCP_TOKEN_MAX);
        rc = token->len ? NGX_OK : NGX_ERROR;
    }

    stoa_buf_free(&caps);
    stoa_buf_free(&plain);

    return rc;
}


ngx_int_t
ngx_http_stoa_mcp_session_open(ngx_http_stoa_ctx_t *ctx, ngx_str_t *token)
{
    u_char                     principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    stoa_mcp_token_t           t;
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_seen_t  *seen;

    mcp = ctx->call.mcp;

    ngx_http_stoa_mcp_principal(ctx, principal);
    seen = ngx_http_stoa_mcp_session_seen(token, principal);

    if (seen == NULL
        || !stoa_mcp_token_read(seen->plain, seen->len, &t)
        || t.version == 0 || t.version > NGX_HTTP_STOA_MCP_VERSIONS
        || ngx_http_stoa_mcp_versions[t.version - 1].modern
        || (int64_t) ngx_time() - (int64_t) t.issued_s
           > NGX_HTTP_STOA_MCP_LIFETIME_S)
    {
        return NGX_DECLINED;
    }

    /* what was negotiated counts, not what a later header says */

    mcp->version = t.version - 1;
    ngx_memcpy(mcp->nonce, t.nonce, sizeof(mcp->nonce));

    if (t.caps.len > 2) {
        mcp->capabilities.data = ngx_pnalloc(ctx->request->pool, t.caps.len);
        if (mcp->capabilities.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(mcp->capabilities.data, t.caps.data, t.caps.len);
        mcp->capabilities.len = t.caps.len;
    }

    return NGX_OK;
}


/* NULL: not sealed by us, or not for this one. */

static ngx_http_stoa_mcp_seen_t *
ngx_http_stoa_mcp_session_seen(ngx_str_t *token, const u_char *principal)
{
    size_t                     len;
    u_char                    *plain;
    uint64_t                   hash[2];
    ngx_http_stoa_mcp_seen_t  *seen;

    if (token->len < stoa_seal_text_len(1)
        || token->len > NGX_HTTP_STOA_MCP_TOKEN_MAX)
    {
        return NULL;
    }

    stoa_siphash(token->data, token->len, ngx_http_stoa_mcp_secret, hash);

    seen = &ngx_http_stoa_mcp_seen[hash[0] % NGX_HTTP_STOA_MCP_SEEN];

    if ((hash[0] | hash[1]) && stoa_equal_ct(seen->hash, hash, sizeof(hash)))
    {
        return ngx_memcmp(seen->principal, principal,
                          NGX_HTTP_STOA_MCP_PRINCIPAL)
               == 0 ? seen : NULL;
    }

    plain = ngx_alloc(stoa_seal_plain_len(token->len), ngx_cycle->log);

    if (plain == NULL
        || !stoa_seal_open(STOA_SEAL_SESSION,
                           (stoa_str_t) { (char *) principal,
                                          NGX_HTTP_STOA_MCP_PRINCIPAL },
                           (stoa_str_t) { (char *) token->data, token->len },
                           plain, &len))
    {
        ngx_free(plain);
        return NULL;
    }

    ngx_http_stoa_mcp_seen_free(seen);

    seen->hash[0] = hash[0];
    seen->hash[1] = hash[1];
    ngx_memcpy(seen->principal, principal, NGX_HTTP_STOA_MCP_PRINCIPAL);
    seen->plain = plain;
    seen->len = len;

    return seen;
}


static void
ngx_http_stoa_mcp_seen_free(ngx_http_stoa_mcp_seen_t *seen)
{
    if (seen->plain) {
        ngx_free(seen->plain);
    }

    ngx_memzero(seen, sizeof(ngx_http_stoa_mcp_seen_t));
}


uint64_t
ngx_http_stoa_mcp_upstream_key(ngx_http_stoa_mcp_t *mcp,
    const stoa_id_t *api)
{
    u_char  id[STOA_MCP_NONCE + STOA_ID_LEN];

    ngx_memcpy(id, mcp->nonce, STOA_MCP_NONCE);
    ngx_memcpy(id + STOA_MCP_NONCE, api, STOA_ID_LEN);

    return stoa_hash64(id, sizeof(id), 1) | 1;
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


ngx_int_t
ngx_http_stoa_mcp_upstream_peek(uint64_t key,
    ngx_http_stoa_mcp_upstream_t *out)
{
    ngx_int_t                  rc;
    ngx_slab_pool_t           *shpool;
    ngx_http_stoa_mcp_node_t  *node;

    shpool = (ngx_slab_pool_t *) ngx_http_stoa_mcp_zone->shm.addr;
    rc = NGX_DECLINED;

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_http_stoa_mcp_node(key, 0);

    if (node && node->deadline == 0 && node->failed == 0) {
        *out = node->up;
        rc = NGX_OK;
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
