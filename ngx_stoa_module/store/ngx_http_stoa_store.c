/*
 * The reader's side of the store: one read transaction per worker, kept while
 * nothing was committed, and the look-ups on it.
 */

#include "ngx_http_stoa_env.h"
#include "core/stoa_key.h"


static void ngx_http_stoa_store_timer(ngx_event_t *ev);
static ngx_int_t ngx_http_stoa_store_attach(ngx_http_stoa_store_t *store);
static ngx_uint_t ngx_http_stoa_store_waits(ngx_http_stoa_main_conf_t *mcf,
    const char *name);
static void ngx_http_stoa_store_detach(ngx_http_stoa_store_t *store);
static ngx_int_t ngx_http_stoa_store_renew(ngx_http_stoa_store_t *store);
static int ngx_http_stoa_store_begin(ngx_http_stoa_store_t *store);
static ngx_int_t ngx_http_stoa_store_current(ngx_http_stoa_store_t *store);
static ngx_int_t ngx_http_stoa_store_fresh(ngx_http_stoa_store_t *store);
static const void *ngx_http_stoa_store_get(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind, ngx_http_stoa_key_t *k);


ngx_int_t
ngx_http_stoa_store_open(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_event_t            *ev;
    ngx_http_stoa_store_t  *store;

    store = ngx_calloc(sizeof(ngx_http_stoa_store_t), log);
    if (store == NULL) {
        return NGX_ERROR;
    }

    store->cache = ngx_calloc(NGX_HTTP_STOA_CACHE_SIZE
                              * sizeof(ngx_http_stoa_cache_t), log);
    store->named = ngx_calloc(NGX_HTTP_STOA_NAMES_SIZE
                              * sizeof(ngx_http_stoa_named_t), log);

    if (store->cache == NULL || store->named == NULL) {
        return NGX_ERROR;
    }

    store->mcf = mcf;
    store->log = log;
    store->generation = 1;
    mcf->store = store;

    ngx_http_stoa_env_crashed(mcf, log);
    (void) ngx_http_stoa_store_enter(store);

    store->dummy.fd = (ngx_socket_t) -1;

    ev = &store->timer;
    ev->handler = ngx_http_stoa_store_timer;
    ev->data = &store->dummy;
    ev->log = log;
    ev->cancelable = 1;

    ngx_add_timer(ev, 1000);

    return NGX_OK;
}


void
ngx_http_stoa_store_close(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_http_stoa_store_t  *store;

    store = mcf->store;

    if (store == NULL) {
        return;
    }

    mcf->store = NULL;

    if (store->timer.timer_set) {
        ngx_del_timer(&store->timer);
    }

    ngx_http_stoa_store_detach(store);
    ngx_free(store->cache);
    ngx_free(store->named);
    ngx_free(store);
}


/* An idle worker must not hold an old snapshot: its pages could not be used
 * again.  And a worker of an earlier cycle that dies has no successor who
 * would give back what it held in flight. */

static void
ngx_http_stoa_store_timer(ngx_event_t *ev)
{
    ngx_connection_t       *dummy;
    ngx_http_stoa_store_t  *store;

    dummy = ev->data;
    store = (ngx_http_stoa_store_t *) ((u_char *) dummy
                                    - offsetof(ngx_http_stoa_store_t, dummy));

    (void) ngx_http_stoa_store_enter(store);

    if (ngx_worker == 0) {
        ngx_http_stoa_proc_reconcile(store->mcf->sh, 0, ev->log);
    }

    ngx_add_timer(ev, 1000);
}


ngx_int_t
ngx_http_stoa_store_enter(ngx_http_stoa_store_t *store)
{
    ngx_int_t  rc;

    if (store == NULL) {
        /* a reload with master_process off starts no process */
        return NGX_DECLINED;
    }

    if (store->env == NULL
        || store->store_gen
           != ngx_http_stoa_load(&store->mcf->dir->store_gen))
    {
        if (ngx_http_stoa_store_attach(store) == NGX_ERROR
            && store->env == NULL)
        {
            return NGX_ERROR;
        }
    }

    if (store->env == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_http_stoa_store_current(store);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_stoa_store_renew(store);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_stoa_store_fresh(store);
}


/* NGX_DECLINED: something was committed since, or there is no transaction. */

static ngx_int_t
ngx_http_stoa_store_current(ngx_http_stoa_store_t *store)
{
    MDB_envinfo  info;

    if (store->txn == NULL || store->txnid == 0) {
        return NGX_DECLINED;
    }

    (void) mdb_env_info(store->env->env, &info);

    return (uint64_t) info.me_last_txnid == store->txnid ? NGX_OK
                                                         : NGX_DECLINED;
}


static ngx_int_t
ngx_http_stoa_store_fresh(ngx_http_stoa_store_t *store)
{
    uint64_t                    ok, now;
    ngx_http_stoa_main_conf_t  *mcf;

    if (!store->meta.complete) {
        return NGX_DECLINED;
    }

    mcf = store->mcf;

    if (mcf->max_stale == 0) {
        return NGX_OK;
    }

    ok = ngx_http_stoa_load(&mcf->dir->sync_ok_ms);
    now = ngx_http_stoa_now_ms();

    return (ok + mcf->max_stale < now) ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_store_renew(ngx_http_stoa_store_t *store)
{
    int  rc;

    rc = ngx_http_stoa_store_begin(store);

    if (rc == MDB_MAP_RESIZED) {
        /* the next generation of workers has a larger stoa_store */
        (void) mdb_env_set_mapsize(store->env->env, 0);
        rc = ngx_http_stoa_store_begin(store);
    }

    if (rc != 0) {
        ngx_log_error(NGX_LOG_ALERT, store->log, 0,
                      "store \"%s\": cannot read: %s", store->env->path,
                      mdb_strerror(rc));
        store->txnid = 0;
        return NGX_ERROR;
    }

    store->generation++;
    store->txnid = (uint64_t) mdb_txn_id(store->txn);

    if (ngx_http_stoa_env_meta(store->env, store->txn, &store->meta)
        != NGX_OK)
    {
        ngx_memzero(&store->meta, sizeof(ngx_http_stoa_meta_t));
    }

    return NGX_OK;
}


static int
ngx_http_stoa_store_begin(ngx_http_stoa_store_t *store)
{
    int  rc;

    if (store->txn) {
        mdb_txn_reset(store->txn);
        return mdb_txn_renew(store->txn);
    }

    rc = mdb_txn_begin(store->env->env, NULL, MDB_RDONLY, &store->txn);

    if (rc != 0) {
        store->txn = NULL;
    }

    return rc;
}


/* Opens what `state` names, which may have changed meanwhile and again. */

static ngx_int_t
ngx_http_stoa_store_attach(ngx_http_stoa_store_t *store)
{
    int                         rc;
    char                        name[64], path[NGX_MAX_PATH];
    uint64_t                    gen;
    ngx_uint_t                  tries;
    ngx_http_stoa_env_t        *env;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = store->mcf;
    gen = ngx_http_stoa_load(&mcf->dir->store_gen);

    if ((ngx_msec_int_t) (ngx_current_msec - store->retry) < 0
        && gen == store->retry_gen)
    {
        return NGX_DECLINED;
    }

    store->retry_gen = gen;
    rc = 0;

    for (tries = 0; tries < 3; tries++) {
        gen = ngx_http_stoa_load(&mcf->dir->store_gen);

        if (ngx_http_stoa_env_state(mcf, name, sizeof(name)) != NGX_OK
            || ngx_http_stoa_store_waits(mcf, name))
        {
            store->retry = ngx_current_msec + 200;
            return NGX_DECLINED;
        }

        ngx_http_stoa_env_name(mcf, ngx_http_stoa_env_number(name), 1, path,
                               sizeof(path));

        env = ngx_http_stoa_env_open(path, mcf->store_size, 0, &rc);

        if (env) {
            ngx_http_stoa_store_detach(store);
            store->env = env;
            store->store_gen = gen;
            return NGX_OK;
        }
    }

    /* a failed verification is the sync thread's to mend: it looks at the
     * same file when it starts, or now */

    store->retry = ngx_current_msec + 1000;
    ngx_http_stoa_store(&mcf->dir->store_bad, (uint64_t) 1);

    ngx_log_error(NGX_LOG_ERR, store->log, 0, "store \"%s\": cannot open: %s",
                  path, mdb_strerror(rc));

    return NGX_ERROR;
}


/* For another one in place of one that kills: unless none can come. */

static ngx_uint_t
ngx_http_stoa_store_waits(ngx_http_stoa_main_conf_t *mcf, const char *name)
{
    if (!ngx_http_stoa_env_suspect(mcf, name)) {
        return 0;
    }

    switch (ngx_http_stoa_load(&mcf->sh->sync_state)) {

    case NGX_HTTP_STOA_SYNC_STARTING:
    case NGX_HTTP_STOA_SYNC_LOADING:
    case NGX_HTTP_STOA_SYNC_CONNECTED:
        return 1;

    default:
        return 0;
    }
}


static void
ngx_http_stoa_store_detach(ngx_http_stoa_store_t *store)
{
    if (store->txn) {
        mdb_txn_abort(store->txn);
        store->txn = NULL;
        store->txnid = 0;
    }

    if (store->env) {
        ngx_http_stoa_env_close(store->env);
        store->env = NULL;
    }

    store->generation++;
    ngx_memzero(&store->meta, sizeof(ngx_http_stoa_meta_t));
}


uint64_t
ngx_http_stoa_store_rev(ngx_http_stoa_store_t *store)
{
    return store->meta.rev;
}


uint64_t
ngx_http_stoa_store_generation(ngx_http_stoa_store_t *store)
{
    return store->generation;
}


void
ngx_http_stoa_store_catalog(ngx_http_stoa_store_t *store, uint64_t stamp[2])
{
    stamp[0] = store->store_gen;
    stamp[1] = store->meta.catalog;
}


/*
 * A small cache of addresses in the snapshot: hot records cost no walk of the
 * tree, however many others there are.
 */

static const void *
ngx_http_stoa_store_rec(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    const stoa_id_t *a, const stoa_id_t *b)
{
    uint64_t                h;
    const void             *rec;
    const u_char           *digest;
    ngx_http_stoa_key_t     k;
    ngx_http_stoa_cache_t  *c;

    if (s->txnid == 0) {
        return NULL;
    }

    ngx_http_stoa_key_rec(&k, kind, a, b);

    /* ids end in random characters */

    ngx_memcpy(&h, k.data + k.len - 8, 8);
    h = (h ^ (uint64_t) kind) * 0x9e3779b97f4a7c15ULL;
    c = &s->cache[(h >> 32) & (NGX_HTTP_STOA_CACHE_SIZE - 1)];

    if (c->generation == s->generation && c->rec
        && ((const stoa_rec_hdr_t *) c->rec)->kind == kind
        && ngx_memcmp(c->key, k.data + 8, k.len - 8) == 0)
    {
        return c->rec;
    }

    rec = ngx_http_stoa_store_get(s, kind, &k);

    if (rec == NULL) {
        return NULL;
    }

    /* most of what a commit leaves behind is what was verified before it */

    digest = ((const stoa_rec_hdr_t *) rec)->digest;

    if (ngx_memcmp(c->digest, digest, sizeof(c->digest)) != 0
        || ngx_memcmp(c->key, k.data + 8, k.len - 8) != 0)
    {
        if (!stoa_rec_verify(rec, ((const stoa_rec_hdr_t *) rec)->size, kind))
        {
            return ngx_http_stoa_store_broken(s, kind);
        }

        ngx_memcpy(c->digest, digest, sizeof(c->digest));
        ngx_memcpy(c->key, k.data + 8, k.len - 8);
    }

    c->generation = s->generation;
    c->rec = rec;

    return rec;
}


static const void *
ngx_http_stoa_store_get(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    ngx_http_stoa_key_t *k)
{
    int      rc;
    MDB_val  key, val;

    key.mv_data = k->data;
    key.mv_size = k->len;

    rc = mdb_get(s->txn, s->env->rec, &key, &val);

    if (rc == MDB_NOTFOUND) {
        return NULL;
    }

    if (rc != 0 || !stoa_rec_valid(val.mv_data, val.mv_size, kind)) {
        return ngx_http_stoa_store_broken(s, kind);
    }

    if (!ngx_http_stoa_store_withheld(val.mv_data, kind)) {
        return val.mv_data;
    }

    /* lists leave tools out, and who has a key's id has not its secret */

    s->met |= !ngx_http_stoa_index_item(kind) && kind != STOA_REC_CREDENTIAL;

    return NULL;
}


ngx_uint_t
ngx_http_stoa_store_met_withheld(ngx_http_stoa_store_t *store)
{
    ngx_uint_t  met;

    met = store->met;
    store->met = 0;

    return met;
}


/* Of an api and of the group it is told: one would else leave its path to
 * another, the other its policies to nobody. */

ngx_uint_t
ngx_http_stoa_store_withheld(const void *rec, stoa_rec_kind_e kind)
{
    return ((const stoa_rec_hdr_t *) rec)->withheld
           && kind != STOA_REC_API && kind != STOA_REC_GROUP;
}


/* Not found, and the sync thread loads the store anew. */

const void *
ngx_http_stoa_store_broken(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind)
{
    uint64_t  old;

    old = 0;

    if (ngx_http_stoa_cas(&s->mcf->dir->store_bad, &old, (uint64_t) 1)) {
        ngx_log_error(NGX_LOG_CRIT, s->log, 0,
                      "store \"%s\": a record of kind %s is broken, the store "
                      "will be loaded anew", s->env->path,
                      stoa_rec_kind_name(kind));
    }

    return NULL;
}


/* The same for names. */

static const void *
ngx_http_stoa_store_by_index(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    ngx_http_stoa_key_t *k)
{
    int                     rc;
    MDB_val                 key, val;
    uint64_t                h;
    stoa_id_t               id;
    const void             *rec;
    ngx_http_stoa_named_t  *n;

    if (s->txnid == 0) {
        return NULL;
    }

    h = stoa_hash64(k->data, k->len, kind);
    n = &s->named[h & (NGX_HTTP_STOA_NAMES_SIZE - 1)];

    if (n->generation == s->generation && n->kind == kind
        && n->len == k->len && ngx_memcmp(n->key, k->data, k->len) == 0)
    {
        return n->rec;
    }

    key.mv_data = k->data;
    key.mv_size = k->len;

    rc = mdb_get(s->txn, s->env->idx, &key, &val);

    if (rc == MDB_NOTFOUND) {
        return NULL;
    }

    if (rc != 0 || val.mv_size != STOA_ID_LEN) {
        return ngx_http_stoa_store_broken(s, kind);
    }

    ngx_memcpy(id.c, val.mv_data, STOA_ID_LEN);

    rec = ngx_http_stoa_store_rec(s, kind, &id, NULL);

    if (rec && k->len <= NGX_HTTP_STOA_NAME_KEY_MAX) {
        n->generation = s->generation;
        n->rec = rec;
        n->kind = kind;
        n->len = (uint32_t) k->len;
        ngx_memcpy(n->key, k->data, k->len);
    }

    return rec;
}


#define NGX_HTTP_STOA_STORE_FOUND(kind, KIND)                                 \
                                                                              \
    const stoa_rec_##kind##_t *                                               \
    ngx_http_stoa_store_##kind(ngx_http_stoa_store_t *s, const stoa_id_t *id) \
    {                                                                         \
        return ngx_http_stoa_store_rec(s, STOA_REC_##KIND, id, NULL);         \
    }

NGX_HTTP_STOA_STORE_KINDS(NGX_HTTP_STOA_STORE_FOUND)


const stoa_rec_subscription_t *
ngx_http_stoa_store_subscription(ngx_http_stoa_store_t *s,
    const stoa_id_t *application, const stoa_id_t *target)
{
    return ngx_http_stoa_store_rec(s, STOA_REC_SUBSCRIPTION, application,
                                   target);
}


const stoa_rec_api_t *
ngx_http_stoa_store_api(ngx_http_stoa_store_t *s, const stoa_id_t *id)
{
    const stoa_rec_api_t  *api;

    api = ngx_http_stoa_store_rec(s, STOA_REC_API, id, NULL);

    return api && !api->hdr.withheld ? api : NULL;
}


const stoa_rec_item_t *
ngx_http_stoa_store_item(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    const stoa_id_t *id)
{
    return ngx_http_stoa_store_rec(s, kind, id, NULL);
}


static const void *
ngx_http_stoa_store_by_name(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    ngx_http_stoa_idx_e what, const char *a, size_t a_len, const char *b,
    size_t b_len)
{
    ngx_http_stoa_key_t  k;

    if (ngx_http_stoa_key_idx(&k, what, a, a_len, b, b_len) != NGX_OK) {
        return NULL;
    }

    return ngx_http_stoa_store_by_index(s, kind, &k);
}


const stoa_rec_tenant_t *
ngx_http_stoa_store_tenant_by_name(ngx_http_stoa_store_t *s, const char *name,
    size_t len)
{
    return ngx_http_stoa_store_by_name(s, STOA_REC_TENANT,
                                       NGX_HTTP_STOA_IDX_TENANT, name, len,
                                       "", 0);
}


const stoa_rec_application_t *
ngx_http_stoa_store_application_by_name(ngx_http_stoa_store_t *s,
    const stoa_id_t *tenant, const char *name, size_t len)
{
    return ngx_http_stoa_store_by_name(s, STOA_REC_APPLICATION,
                                       NGX_HTTP_STOA_IDX_APPLICATION,
                                       tenant->c, STOA_ID_LEN, name, len);
}


const stoa_rec_api_t *
ngx_http_stoa_store_api_by_name(ngx_http_stoa_store_t *s, const char *tenant,
    size_t tenant_len, const char *name, size_t name_len)
{
    return ngx_http_stoa_store_by_name(s, STOA_REC_API, NGX_HTTP_STOA_IDX_API,
                                       tenant, tenant_len, name, name_len);
}


const stoa_rec_server_t *
ngx_http_stoa_store_server_by_name(ngx_http_stoa_store_t *s,
    const char *tenant, size_t tenant_len, const char *name, size_t name_len)
{
    return ngx_http_stoa_store_by_name(s, STOA_REC_SERVER,
                                       NGX_HTTP_STOA_IDX_SERVER, tenant,
                                       tenant_len, name, name_len);
}


const stoa_rec_item_t *
ngx_http_stoa_store_item_by_name(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind, const stoa_id_t *api, const char *name, size_t len)
{
    return ngx_http_stoa_store_by_name(s, kind,
                                       ngx_http_stoa_index_item(kind),
                                       api->c, STOA_ID_LEN, name, len);
}


/* At most STOA_PATH_SEGMENTS_MAX + 1 look-ups per pass. */

const stoa_rec_api_t *
ngx_http_stoa_store_api_by_path(ngx_http_stoa_store_t *s, const char *host,
    size_t host_len, const char *path, size_t path_len, size_t *prefix_len)
{
    bool                   more;
    size_t                 len;
    ngx_uint_t             pass;
    const stoa_rec_api_t  *api;

    for (pass = host_len ? 0 : 1; pass < 2; pass++) {

        more = stoa_path_prefix_first(path, path_len, &len);

        while (more) {
            api = ngx_http_stoa_store_by_name(s, STOA_REC_API,
                                              NGX_HTTP_STOA_IDX_PATH,
                                              host, pass ? 0 : host_len,
                                              path, len);
            if (api) {
                *prefix_len = len;
                return api;
            }

            more = stoa_path_prefix_next(path, &len);
        }
    }

    return NULL;
}
