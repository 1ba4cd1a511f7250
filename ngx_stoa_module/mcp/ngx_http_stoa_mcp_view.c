
/*
 * What a caller may see on an MCP endpoint.
 *
 * Two caches per worker.  Access says what an application may see: a digest of
 * its subscriptions there, good until the configuration changes or one of them
 * ends.  A view is what is seen: the lists, rendered and sorted, so that the
 * order is the same on every node; it is shared by all applications with the
 * same access and is good until what lists are made of changes.  So ten
 * thousand agents with the same rights have one view, and a new key or
 * subscription renders nothing anew.
 *
 * Process: any worker.  Owner: the worker's caches; requests hold references.
 * Limits: 16,384 accesses; 1,024 views, and their lists 64 MiB together.
 */

#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_zone.h"
#include "ngx_http_stoa_policy.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_MCP_ACCESSES    16384
#define NGX_HTTP_STOA_MCP_VIEWS       1024
#define NGX_HTTP_STOA_MCP_BUCKETS     4096
#define NGX_HTTP_STOA_MCP_VIEW_BYTES  (64 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_GRANT_BYTES (1024 * 1024)
#define NGX_HTTP_STOA_MCP_VALID_MS    3600000


typedef struct {
    ngx_http_stoa_mcp_access_t  *access;
    stoa_buf_t                   grants;     /* targets, what was selected  */
} ngx_http_stoa_mcp_granted_t;

/* The entries by use, the last one first, and by hash. */

typedef struct {
    ngx_queue_t   used;
    ngx_queue_t  *buckets;
    ngx_uint_t    n;
} ngx_http_stoa_mcp_cache_t;


static ngx_queue_t *ngx_http_stoa_mcp_bucket(ngx_http_stoa_mcp_cache_t *cache,
    uint64_t hash);
static ngx_http_stoa_mcp_access_t *ngx_http_stoa_mcp_access_entry(
    const stoa_id_t *application, const stoa_id_t *endpoint);
static ngx_int_t ngx_http_stoa_mcp_access_renew(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_access_t *access);
static ngx_int_t ngx_http_stoa_mcp_access_add(void *data,
    const ngx_http_stoa_mcp_grant_t *grant);
static ngx_int_t ngx_http_stoa_mcp_view_token(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, u_char *digest);
static ngx_http_stoa_mcp_view_t *ngx_http_stoa_mcp_view_find(
    ngx_queue_t *bucket, const ngx_http_stoa_mcp_view_t *key);
static ngx_http_stoa_mcp_view_t *ngx_http_stoa_mcp_view_make(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx, ngx_queue_t *bucket,
    const ngx_http_stoa_mcp_view_t *key);
static void ngx_http_stoa_mcp_view_drop(ngx_http_stoa_mcp_view_t *view);
static void ngx_http_stoa_mcp_view_release(void *data);


static ngx_http_stoa_mcp_cache_t  ngx_http_stoa_mcp_accesses;
static ngx_http_stoa_mcp_cache_t  ngx_http_stoa_mcp_views;
static size_t                     ngx_http_stoa_mcp_view_bytes;


static ngx_queue_t *
ngx_http_stoa_mcp_bucket(ngx_http_stoa_mcp_cache_t *cache, uint64_t hash)
{
    ngx_uint_t  i;

    if (cache->buckets == NULL) {
        cache->buckets = ngx_alloc(NGX_HTTP_STOA_MCP_BUCKETS
                                   * sizeof(ngx_queue_t), ngx_cycle->log);
        if (cache->buckets == NULL) {
            return NULL;
        }

        for (i = 0; i < NGX_HTTP_STOA_MCP_BUCKETS; i++) {
            ngx_queue_init(&cache->buckets[i]);
        }

        ngx_queue_init(&cache->used);
    }

    return &cache->buckets[hash % NGX_HTTP_STOA_MCP_BUCKETS];
}


/* ---- access ------------------------------------------------------------ */

ngx_http_stoa_mcp_access_t *
ngx_http_stoa_mcp_access(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_mcp_access_t  *access;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    mcp = ctx->call.mcp;

    access = ngx_http_stoa_mcp_access_entry(&ctx->application,
                                            mcp->has_server
                                            ? &mcp->server
                                            : &mcp->endpoint_tenant);
    if (access == NULL) {
        return NULL;
    }

    ngx_queue_insert_head(&ngx_http_stoa_mcp_accesses.used, &access->queue);

    if (access->generation == ngx_http_stoa_store_generation(mcf->store)
        && access->until_ms > (int64_t) ngx_http_stoa_now_ms())
    {
        return access;
    }

    return ngx_http_stoa_mcp_access_renew(r, ctx, access) == NGX_OK ? access
                                                                    : NULL;
}


/* It is in its bucket, and not among those by use. */

static ngx_http_stoa_mcp_access_t *
ngx_http_stoa_mcp_access_entry(const stoa_id_t *application,
    const stoa_id_t *endpoint)
{
    uint64_t                     h;
    ngx_queue_t                 *q, *bucket;
    ngx_http_stoa_mcp_access_t  *access;

    h = stoa_hash64(endpoint->c, STOA_ID_LEN, 0);
    h = stoa_hash64(application->c, STOA_ID_LEN, h);

    bucket = ngx_http_stoa_mcp_bucket(&ngx_http_stoa_mcp_accesses, h);
    if (bucket == NULL) {
        return NULL;
    }

    for (q = ngx_queue_head(bucket); q != bucket; q = ngx_queue_next(q)) {
        access = ngx_queue_data(q, ngx_http_stoa_mcp_access_t, bucket);

        if (ngx_memcmp(&access->application, application, STOA_ID_LEN) == 0
            && ngx_memcmp(&access->endpoint, endpoint, STOA_ID_LEN) == 0)
        {
            ngx_queue_remove(&access->queue);
            return access;
        }
    }

    if (ngx_http_stoa_mcp_accesses.n < NGX_HTTP_STOA_MCP_ACCESSES) {
        access = ngx_alloc(sizeof(ngx_http_stoa_mcp_access_t),
                           ngx_cycle->log);
        if (access == NULL) {
            return NULL;
        }

        ngx_http_stoa_mcp_accesses.n++;

    } else {
        q = ngx_queue_last(&ngx_http_stoa_mcp_accesses.used);
        access = ngx_queue_data(q, ngx_http_stoa_mcp_access_t, queue);
        ngx_queue_remove(&access->queue);
        ngx_queue_remove(&access->bucket);
    }

    access->application = *application;
    access->endpoint = *endpoint;
    access->generation = 0;

    ngx_queue_insert_head(bucket, &access->bucket);

    return access;
}


static ngx_int_t
ngx_http_stoa_mcp_access_renew(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_access_t *access)
{
    ngx_int_t                     rc;
    ngx_http_stoa_main_conf_t    *mcf;
    ngx_http_stoa_mcp_grants_t    all;
    ngx_http_stoa_mcp_granted_t   g;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    access->generation = 0;
    access->serves_modern = 1;
    access->serves_legacy = 1;
    access->ruled = 0;
    access->filtered = 0;

    g.access = access;
    stoa_buf_init(&g.grants, NGX_HTTP_STOA_MCP_GRANT_BYTES);
    stoa_buf_addz(&g.grants, "1");

    rc = ngx_http_stoa_mcp_each_grant(r, ctx, ngx_http_stoa_mcp_access_add,
                                      &g, &all);

    if (rc == NGX_OK && g.grants.rc != STOA_OK) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_sha256((u_char *) g.grants.data, g.grants.len,
                                  access->digest);
    }

    stoa_buf_free(&g.grants);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    access->entitled = all.any ? 1 : 0;
    access->until_ms = ngx_http_stoa_now_ms() + NGX_HTTP_STOA_MCP_VALID_MS;

    if (all.until_ms && all.until_ms < access->until_ms) {
        access->until_ms = all.until_ms;
    }

    access->generation = ngx_http_stoa_store_generation(mcf->store);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_access_add(void *data,
    const ngx_http_stoa_mcp_grant_t *grant)
{
    uint32_t                        i;
    const stoa_rec_api_t           *api;
    ngx_http_stoa_mcp_access_t     *access;
    ngx_http_stoa_mcp_granted_t    *g = data;
    const stoa_rec_server_tool_t   *t;
    const stoa_rec_subscription_t  *sub;

    sub = grant->sub;
    access = g->access;

    stoa_buf_add(&g->grants, sub->target.c, STOA_ID_LEN);

    if (sub->has_tools) {
        stoa_buf_addf(&g->grants, "=%u:", (unsigned) sub->tools.n);
        stoa_buf_add(&g->grants, stoa_rec_vec(sub, sub->tools, stoa_id_t),
                     sub->tools.n * STOA_ID_LEN);
    }

    if (grant->api) {
        access->ruled |= ngx_http_stoa_policy_token_rules(grant->api,
                                                      &grant->api->policies);
        access->filtered |= ngx_http_stoa_policy_opa_lists(grant->api,
                                                      &grant->api->policies);
        return NGX_OK;
    }

    t = stoa_rec_vec(grant->server, grant->server->tools,
                     stoa_rec_server_tool_t);

    for (i = 0; i < grant->server->tools.n; i++) {
        api = ngx_http_stoa_store_api(grant->store, &t[i].api);

        if (api) {
            access->ruled |= ngx_http_stoa_policy_token_rules(api,
                                                              &api->policies);
            access->filtered |= ngx_http_stoa_policy_opa_lists(api,
                                                              &api->policies);
        }
    }

    return NGX_OK;
}


/* ---- views ------------------------------------------------------------- */

ngx_http_stoa_mcp_view_t *
ngx_http_stoa_mcp_view(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t modern)
{
    uint64_t                     h;
    ngx_queue_t                 *bucket;
    ngx_pool_cleanup_t          *cln;
    ngx_http_stoa_mcp_view_t    *view, key;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_mcp_access_t  *access;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    access = ngx_http_stoa_mcp_access(r, ctx);
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (access == NULL || cln == NULL) {
        return NULL;
    }

    ngx_memzero(&key, sizeof(key));
    key.endpoint = access->endpoint;
    key.modern = modern ? 1 : 0;
    ngx_memcpy(key.digest, access->digest, sizeof(key.digest));

    key.ruled = access->ruled || ngx_http_stoa_policy_token_ruled(ctx);

    if (key.ruled
        && ngx_http_stoa_mcp_view_token(r, ctx, key.digest) != NGX_OK)
    {
        return NULL;
    }

    ngx_http_stoa_store_catalog(mcf->store, key.catalog);

    ngx_memcpy(&h, key.digest, sizeof(h));
    bucket = ngx_http_stoa_mcp_bucket(&ngx_http_stoa_mcp_views, h);
    if (bucket == NULL) {
        return NULL;
    }

    view = ngx_http_stoa_mcp_view_find(bucket, &key);

    if (view == NULL) {
        view = ngx_http_stoa_mcp_view_make(r, ctx, bucket, &key);
        if (view == NULL) {
            return NULL;
        }
    }

    view->refs++;
    cln->data = view;
    cln->handler = ngx_http_stoa_mcp_view_release;

    return view;
}


/* Where rules look at tokens, those with the same roles and scopes see the
 * same, until the configuration changes. */

static ngx_int_t
ngx_http_stoa_mcp_view_token(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    u_char *digest)
{
    u_char                     *p, *text;
    size_t                      len;
    uint64_t                    generation;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    generation = ngx_http_stoa_store_generation(mcf->store);

    len = NGX_HTTP_STOA_SHA256_LEN + sizeof(generation) + 1;

    if (ctx->token) {
        len += ctx->token->roles.len + 1 + ctx->token->scopes.len;
    }

    text = ngx_pnalloc(r->pool, len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, digest, NGX_HTTP_STOA_SHA256_LEN);
    p = ngx_cpymem(p, &generation, sizeof(generation));
    *p++ = ctx->token ? 1 : ctx->anonymous ? 2 : 0;

    if (ctx->token) {
        p = ngx_cpymem(p, ctx->token->roles.data, ctx->token->roles.len);
        *p++ = '\0';
        (void) ngx_cpymem(p, ctx->token->scopes.data,
                          ctx->token->scopes.len);
    }

    return ngx_http_stoa_sha256(text, len, digest);
}


static ngx_http_stoa_mcp_view_t *
ngx_http_stoa_mcp_view_find(ngx_queue_t *bucket,
    const ngx_http_stoa_mcp_view_t *key)
{
    ngx_queue_t               *q, *next;
    ngx_http_stoa_mcp_view_t  *view;

    for (q = ngx_queue_head(bucket); q != bucket; q = next) {
        next = ngx_queue_next(q);
        view = ngx_queue_data(q, ngx_http_stoa_mcp_view_t, bucket);

        if (ngx_memcmp(view->catalog, key->catalog, sizeof(key->catalog))
            != 0)
        {
            ngx_http_stoa_mcp_view_drop(view);
            continue;
        }

        if (view->modern == key->modern
            && ngx_memcmp(&view->endpoint, &key->endpoint, STOA_ID_LEN) == 0
            && ngx_memcmp(view->digest, key->digest, sizeof(key->digest))
               == 0)
        {
            ngx_queue_remove(&view->queue);
            ngx_queue_insert_head(&ngx_http_stoa_mcp_views.used,
                                  &view->queue);
            return view;
        }
    }

    return NULL;
}


static ngx_http_stoa_mcp_view_t *
ngx_http_stoa_mcp_view_make(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_queue_t *bucket, const ngx_http_stoa_mcp_view_t *key)
{
    ngx_pool_t                 *pool;
    ngx_queue_t                *q;
    ngx_http_stoa_mcp_view_t   *view, *old;
    ngx_http_stoa_mcp_cache_t  *cache;

    cache = &ngx_http_stoa_mcp_views;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    view = ngx_palloc(pool, sizeof(ngx_http_stoa_mcp_view_t));
    if (view == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    *view = *key;
    view->pool = pool;
    view->refs = 1;

    ngx_http_stoa_count(mcp_views, 1);

    if (ngx_http_stoa_mcp_render(r, ctx, view) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ngx_queue_insert_head(bucket, &view->bucket);
    ngx_queue_insert_head(&cache->used, &view->queue);
    cache->n++;
    ngx_http_stoa_mcp_view_bytes += view->bytes;

    while (cache->n > NGX_HTTP_STOA_MCP_VIEWS
           || ngx_http_stoa_mcp_view_bytes > NGX_HTTP_STOA_MCP_VIEW_BYTES)
    {
        q = ngx_queue_last(&cache->used);
        old = ngx_queue_data(q, ngx_http_stoa_mcp_view_t, queue);

        if (old == view) {
            break;
        }

        ngx_http_stoa_mcp_view_drop(old);
    }

    return view;
}


static void
ngx_http_stoa_mcp_view_drop(ngx_http_stoa_mcp_view_t *view)
{
    ngx_queue_remove(&view->queue);
    ngx_queue_remove(&view->bucket);
    ngx_http_stoa_mcp_views.n--;
    ngx_http_stoa_mcp_view_bytes -= view->bytes;
    ngx_http_stoa_mcp_view_release(view);
}


static void
ngx_http_stoa_mcp_view_release(void *data)
{
    ngx_http_stoa_mcp_view_t  *view = data;

    if (--view->refs == 0) {
        ngx_destroy_pool(view->pool);
    }
}


void
ngx_http_stoa_mcp_view_exit(void)
{
    ngx_queue_t                *q;
    ngx_http_stoa_mcp_cache_t  *cache;

    cache = &ngx_http_stoa_mcp_views;

    while (cache->n) {
        q = ngx_queue_head(&cache->used);
        ngx_http_stoa_mcp_view_drop(ngx_queue_data(q,
                                           ngx_http_stoa_mcp_view_t, queue));
    }

    if (cache->buckets) {
        ngx_free(cache->buckets);
        cache->buckets = NULL;
    }

    cache = &ngx_http_stoa_mcp_accesses;

    for ( /* void */ ; cache->n; cache->n--) {
        q = ngx_queue_head(&cache->used);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_stoa_mcp_access_t, queue));
    }

    if (cache->buckets) {
        ngx_free(cache->buckets);
        cache->buckets = NULL;
    }
}
