
/*
 * Compiled apis: a copy of the record, its targets, its operations in the
 * order in which they are tried.
 *
 * Process: one cache per worker, keyed by id; another rev is another compiled
 * api.  Lifetime: reference counted, by the cache and by each request.
 * Limits: NGX_HTTP_STOA_API_MAX apis, NGX_HTTP_STOA_API_MEMORY bytes; the
 * least recently used goes first.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_chain.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_API_MAX      4096
#define NGX_HTTP_STOA_API_MEMORY   (64 * 1024 * 1024)
#define NGX_HTTP_STOA_API_BUCKETS  4096
#define NGX_HTTP_STOA_API_SEED     0x61706931ULL


static ngx_uint_t ngx_http_stoa_api_bucket(const stoa_id_t *id);
static ngx_http_stoa_api_t *ngx_http_stoa_api_compile(
    ngx_http_stoa_main_conf_t *mcf, const stoa_rec_api_t *rec);
static ngx_int_t ngx_http_stoa_api_targets(ngx_http_stoa_api_t *api);
static ngx_int_t ngx_http_stoa_api_name(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target);
static ngx_int_t ngx_http_stoa_api_ops(ngx_http_stoa_api_t *api);
static void ngx_http_stoa_api_op(ngx_http_stoa_op_t *op);
static int ngx_libc_cdecl ngx_http_stoa_api_cmp_ops(const void *one,
    const void *two);
static uint32_t ngx_http_stoa_api_hash(u_char *data, size_t len);
static void ngx_http_stoa_api_shape(ngx_str_t *path, uint32_t *segments,
    uint32_t *first);
static void ngx_http_stoa_api_insert(ngx_http_stoa_api_t *api);
static void ngx_http_stoa_api_evict(ngx_http_stoa_api_t *api);
static void ngx_http_stoa_api_destroy(ngx_http_stoa_api_t *api);
static void ngx_http_stoa_api_cleanup(void *data);


static ngx_http_stoa_api_t  *ngx_http_stoa_apis[NGX_HTTP_STOA_API_BUCKETS];
static ngx_queue_t           ngx_http_stoa_api_lru;
static ngx_uint_t            ngx_http_stoa_api_n;
static size_t                ngx_http_stoa_api_memory;


ngx_http_stoa_api_t *
ngx_http_stoa_api_find(ngx_http_stoa_main_conf_t *mcf,
    const stoa_rec_api_t *rec)
{
    ngx_http_stoa_api_t  *api;

    for (api = ngx_http_stoa_apis[ngx_http_stoa_api_bucket(&rec->id)];
         api;
         api = api->chain)
    {
        if (ngx_memcmp(&api->id, &rec->id, sizeof(stoa_id_t)) == 0) {
            break;
        }
    }

    if (api && (api->rev != rec->hdr.rev
                || ngx_memcmp(api->rec->hdr.digest, rec->hdr.digest,
                              sizeof(rec->hdr.digest)) != 0))
    {
        ngx_http_stoa_api_evict(api);
        api = NULL;
    }

    if (api == NULL) {
        api = ngx_http_stoa_api_compile(mcf, rec);
        if (api == NULL) {
            return NULL;
        }

        ngx_http_stoa_api_insert(api);

    } else {
        ngx_queue_remove(&api->queue);
        ngx_queue_insert_head(&ngx_http_stoa_api_lru, &api->queue);
    }

    return api;
}


ngx_http_stoa_api_t *
ngx_http_stoa_api_get(ngx_http_request_t *r, const stoa_rec_api_t *rec)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_stoa_api_t  *api;

    api = ngx_http_stoa_api_find(ngx_http_get_module_main_conf(r,
                                                       ngx_http_stoa_module),
                                 rec);
    cln = api ? ngx_pool_cleanup_add(r->pool, 0) : NULL;

    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_stoa_api_cleanup;
    cln->data = api;
    api->refs++;

    return api;
}


void
ngx_http_stoa_api_hold(ngx_http_stoa_api_t *api)
{
    api->refs++;
}


void
ngx_http_stoa_api_release(ngx_http_stoa_api_t *api)
{
    api->refs--;

    if (api->refs == 0 && api->evicted) {
        ngx_http_stoa_api_destroy(api);
    }
}


/* At the end of a process; requests that are cut off release nothing. */

void
ngx_http_stoa_api_exit(void)
{
    ngx_queue_t          *q;
    ngx_http_stoa_api_t  *api;

    if (ngx_http_stoa_api_lru.next == NULL) {
        return;
    }

    while (!ngx_queue_empty(&ngx_http_stoa_api_lru)) {
        q = ngx_queue_head(&ngx_http_stoa_api_lru);
        api = ngx_queue_data(q, ngx_http_stoa_api_t, queue);

        api->refs = 0;
        ngx_http_stoa_api_evict(api);
    }
}


static void
ngx_http_stoa_api_cleanup(void *data)
{
    ngx_http_stoa_api_release(data);
}


static ngx_uint_t
ngx_http_stoa_api_bucket(const stoa_id_t *id)
{
    return stoa_hash64(id, sizeof(stoa_id_t), NGX_HTTP_STOA_API_SEED)
           % NGX_HTTP_STOA_API_BUCKETS;
}


static void
ngx_http_stoa_api_insert(ngx_http_stoa_api_t *api)
{
    ngx_uint_t    bucket;
    ngx_queue_t  *q;

    if (ngx_http_stoa_api_lru.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_api_lru);
    }

    while (!ngx_queue_empty(&ngx_http_stoa_api_lru)
           && (ngx_http_stoa_api_n >= NGX_HTTP_STOA_API_MAX
               || ngx_http_stoa_api_memory + api->size
                  > NGX_HTTP_STOA_API_MEMORY))
    {
        q = ngx_queue_last(&ngx_http_stoa_api_lru);
        ngx_http_stoa_api_evict(ngx_queue_data(q, ngx_http_stoa_api_t,
                                               queue));
    }

    bucket = ngx_http_stoa_api_bucket(&api->id);

    api->chain = ngx_http_stoa_apis[bucket];
    ngx_http_stoa_apis[bucket] = api;
    ngx_queue_insert_head(&ngx_http_stoa_api_lru, &api->queue);

    ngx_http_stoa_api_n++;
    ngx_http_stoa_api_memory += api->size;
}


/* Out of the cache; requests that hold it go on with it. */

static void
ngx_http_stoa_api_evict(ngx_http_stoa_api_t *api)
{
    ngx_http_stoa_api_t  **p;

    p = &ngx_http_stoa_apis[ngx_http_stoa_api_bucket(&api->id)];

    while (*p != api) {
        p = &(*p)->chain;
    }

    *p = api->chain;
    ngx_queue_remove(&api->queue);

    ngx_http_stoa_api_n--;
    ngx_http_stoa_api_memory -= api->size;

    api->evicted = 1;

    if (api->refs == 0) {
        ngx_http_stoa_api_destroy(api);
    }
}


static void
ngx_http_stoa_api_destroy(ngx_http_stoa_api_t *api)
{
    ngx_uint_t               i;
    ngx_http_stoa_target_t  *target;

    for (i = 0; i < api->ntargets; i++) {
        target = &api->targets[i];

        if (target->addrs) {
            ngx_free(target->addrs);
        }

        if (target->session) {
            ngx_ssl_free_session(target->session);
        }
    }

    ngx_destroy_pool(api->pool);
}


static ngx_http_stoa_api_t *
ngx_http_stoa_api_compile(ngx_http_stoa_main_conf_t *mcf,
    const stoa_rec_api_t *rec)
{
    ngx_pool_t           *pool;
    ngx_http_stoa_api_t  *api;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    api = ngx_pcalloc(pool, sizeof(ngx_http_stoa_api_t));
    if (api == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    api->pool = pool;
    api->id = rec->id;
    api->rev = rec->hdr.rev;

    api->rec = ngx_palloc(pool, rec->hdr.size);
    if (api->rec == NULL) {
        goto failed;
    }

    ngx_memcpy(api->rec, rec, rec->hdr.size);

    if (api->rec->health.n) {
        api->health = stoa_rec_vec(api->rec, api->rec->health,
                                   stoa_rec_health_t);
    }

    if (api->rec->breaker.n) {
        api->breaker = stoa_rec_vec(api->rec, api->rec->breaker,
                                    stoa_rec_breaker_t);
    }

    if (api->rec->retry.n) {
        api->retry = stoa_rec_vec(api->rec, api->rec->retry,
                                  stoa_rec_retry_t);
    }

    if (api->rec->mirror.n) {
        api->mirror = stoa_rec_vec(api->rec, api->rec->mirror,
                                   stoa_rec_mirror_t);
    }

    api->watched = api->health || api->breaker;
    api->timed = api->rec->total_timeout_ms != 0;
    api->timeouts = api->rec->first_byte_timeout_ms != 0;

    if (ngx_http_stoa_api_targets(api) != NGX_OK
        || (api->rec->split.n && ngx_http_stoa_split_compile(api) != NGX_OK)
        || ngx_http_stoa_api_ops(api) != NGX_OK
        || ngx_http_stoa_chain_compile(mcf, pool, api->rec,
                                       &api->rec->policies, &api->policies)
           != NGX_OK)
    {
        goto failed;
    }

    api->size = sizeof(ngx_http_stoa_api_t) + 1024 + rec->hdr.size
                + api->ntargets * (sizeof(ngx_http_stoa_target_t)
                                   + 2 * sizeof(ngx_http_stoa_addr_t))
                + api->nops * sizeof(ngx_http_stoa_op_t)
                + (api->policies ? api->policies->n : 0)
                  * (sizeof(ngx_http_stoa_attached_t)
                     + 3 * sizeof(ngx_http_stoa_turn_t));

    return api;

failed:

    ngx_http_stoa_api_destroy(api);

    return NULL;
}


static ngx_int_t
ngx_http_stoa_api_targets(ngx_http_stoa_api_t *api)
{
    uint32_t                      i;
    stoa_str_t                    s;
    stoa_rec_api_t               *rec;
    ngx_http_stoa_target_t       *target;
    const stoa_rec_api_target_t  *row;

    rec = api->rec;
    row = stoa_rec_vec(rec, rec->targets, stoa_rec_api_target_t);

    api->targets = ngx_pcalloc(api->pool, rec->targets.n
                                          * sizeof(ngx_http_stoa_target_t));
    if (api->targets == NULL) {
        return NGX_ERROR;
    }

    api->ntargets = rec->targets.n;

    for (i = 0; i < rec->targets.n; i++) {
        target = &api->targets[i];

        s = stoa_rec_str(rec, row[i].host);
        target->host.data = (u_char *) s.data;
        target->host.len = s.len;

        s = stoa_rec_str(rec, row[i].path);
        target->path.data = (u_char *) s.data;
        target->path.len = s.len;

        if (rec->kind == STOA_API_REST) {
            while (target->path.len
                   && target->path.data[target->path.len - 1] == '/')
            {
                target->path.len--;
            }
        }

        target->port = row[i].port;
        target->weight = row[i].weight ? row[i].weight : 1;
        target->tls = row[i].tls;
        api->grpc = row[i].grpc;

        if (ngx_http_stoa_api_name(api, target) != NGX_OK
            || ngx_http_stoa_address_literal(target) != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* a link (mcp/_link.c) stands before it */

        target->secure = target->tls;
        target->tls = target->tls && !rec->sse;
    }

    return NGX_OK;
}


/* The Host header, with a port that is not the scheme's own, and SNI. */

static ngx_int_t
ngx_http_stoa_api_name(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target)
{
    u_char      *p;
    ngx_uint_t   six;
    stoa_str_t   s;

    s = stoa_rec_str(api->rec, api->rec->tls_server_name);
    target->tls_name = target->host;

    if (s.len) {
        target->tls_name.data = (u_char *) s.data;
        target->tls_name.len = s.len;
    }

    p = ngx_pnalloc(api->pool, target->host.len + sizeof("[]:65535"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    six = ngx_strlchr(target->host.data, target->host.data + target->host.len,
                      ':')
          != NULL;

    target->host_header.data = p;
    p = ngx_sprintf(p, "%s%V%s", six ? "[" : "", &target->host,
                    six ? "]" : "");

    if (target->port != (target->tls ? 443 : 80)) {
        p = ngx_sprintf(p, ":%ui", (ngx_uint_t) target->port);
    }

    target->host_header.len = p - target->host_header.data;

    if (six && api->rec->tls_server_name.len == 0) {

        /* nginx takes what follows a bare colon for a port */

        target->tls_name.data = target->host_header.data;
        target->tls_name.len = target->host.len + 2;
    }

    s = stoa_rec_str(api->rec, api->rec->host_header);

    if (s.len) {
        target->host_header.data = (u_char *) s.data;
        target->host_header.len = s.len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_api_ops(ngx_http_stoa_api_t *api)
{
    uint32_t                     i;
    stoa_str_t                   s;
    stoa_rec_api_t              *rec;
    ngx_http_stoa_op_t          *op;
    const stoa_rec_policy_t     *policy;
    const stoa_rec_operation_t  *row;

    rec = api->rec;

    if (rec->operations.n == 0) {
        return NGX_OK;
    }

    row = stoa_rec_vec(rec, rec->operations, stoa_rec_operation_t);

    api->ops = ngx_pcalloc(api->pool, rec->operations.n
                                      * sizeof(ngx_http_stoa_op_t));
    if (api->ops == NULL) {
        return NGX_ERROR;
    }

    api->nops = rec->operations.n;

    for (i = 0; i < rec->operations.n; i++) {
        op = &api->ops[i];

        s = stoa_rec_str(rec, row[i].method);
        op->method.data = (u_char *) s.data;
        op->method.len = s.len;

        s = stoa_rec_str(rec, row[i].path);
        op->path.data = (u_char *) s.data;
        op->path.len = s.len;

        op->index = i;
        op->enabled = row[i].enabled;
        api->held |= !row[i].enabled;
        api->timed |= row[i].total_timeout_ms != 0;
        api->timeouts |= row[i].first_byte_timeout_ms != 0;

        ngx_http_stoa_api_op(op);
    }

    policy = stoa_rec_vec(rec, rec->policies, stoa_rec_policy_t);

    for (i = 0; i < rec->policies.n; i++) {
        api->held |= policy[i].scope == STOA_SCOPE_OPERATION;
    }

    ngx_qsort(api->ops, api->nops, sizeof(ngx_http_stoa_op_t),
              ngx_http_stoa_api_cmp_ops);

    return NGX_OK;
}


static void
ngx_http_stoa_api_op(ngx_http_stoa_op_t *op)
{
    u_char      *p, *last;
    ngx_uint_t   bit;

    ngx_http_stoa_api_shape(&op->path, &op->segments, &op->first);

    p = op->path.data;
    last = p + op->path.len;

    if (p + 1 < last && p[1] == '{') {
        op->first = 0;
    }

    for (bit = 64; p < last && bit; p++) {
        if (*p == '/') {
            bit--;

            if (p + 1 < last && p[1] != '{') {
                op->literals |= (uint64_t) 1 << bit;
            }
        }
    }
}


/* The number of segments and the first one's hash (never 0). */

static void
ngx_http_stoa_api_shape(ngx_str_t *path, uint32_t *segments, uint32_t *first)
{
    u_char  *p, *start, *last;

    p = path->data;
    last = p + path->len;

    if (p < last && *p == '/') {
        p++;
    }

    start = p;
    *segments = 1;
    *first = 0;

    for ( /* void */ ; p < last; p++) {
        if (*p == '/') {
            if (*first == 0) {
                *first = ngx_http_stoa_api_hash(start, p - start);
            }

            (*segments)++;
        }
    }

    if (*first == 0) {
        *first = ngx_http_stoa_api_hash(start, last - start);
    }
}


static uint32_t
ngx_http_stoa_api_hash(u_char *data, size_t len)
{
    return (uint32_t) stoa_hash64(data, len, NGX_HTTP_STOA_API_SEED) | 1;
}


/* By shape; then the most literal one first, from the left. */

static int ngx_libc_cdecl
ngx_http_stoa_api_cmp_ops(const void *one, const void *two)
{
    const ngx_http_stoa_op_t *a = one;
    const ngx_http_stoa_op_t *b = two;

    if (a->segments != b->segments) {
        return a->segments < b->segments ? -1 : 1;
    }

    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }

    if (a->literals != b->literals) {
        return a->literals > b->literals ? -1 : 1;
    }

    return a->index < b->index ? -1 : (a->index > b->index);
}


/* The first operation of a shape, or nops. */

static ngx_uint_t
ngx_http_stoa_api_group(ngx_http_stoa_api_t *api, uint32_t segments,
    uint32_t first)
{
    ngx_uint_t           low, high, i;
    ngx_http_stoa_op_t  *op;

    low = 0;
    high = api->nops;

    while (low < high) {
        i = low + (high - low) / 2;
        op = &api->ops[i];

        if (op->segments < segments
            || (op->segments == segments && op->first < first))
        {
            low = i + 1;

        } else {
            high = i;
        }
    }

    return low;
}


/*
 * The most literal path wins; HEAD is served by what serves GET.  A method
 * that its path does not have is looked for under less literal paths too, as
 * two operations may share some paths.
 */

ngx_int_t
ngx_http_stoa_api_operation(ngx_http_stoa_api_t *api, ngx_str_t *method,
    ngx_str_t *path, ngx_uint_t *index)
{
    uint32_t             segments, first[2];
    ngx_int_t            rc;
    ngx_uint_t           i, n, get, found;
    ngx_http_stoa_op_t  *op;

    ngx_http_stoa_api_shape(path, &segments, &first[0]);
    first[1] = 0;

    get = method->len == 4 && ngx_memcmp(method->data, "HEAD", 4) == 0;
    found = 0;
    rc = NGX_DECLINED;

    for (n = 0; n < 2; n++) {

        for (i = ngx_http_stoa_api_group(api, segments, first[n]);
             i < api->nops && api->ops[i].segments == segments
             && api->ops[i].first == first[n];
             i++)
        {
            op = &api->ops[i];

            if (!stoa_path_match((char *) op->path.data, op->path.len,
                                 (char *) path->data, path->len))
            {
                continue;
            }

            if (op->method.len == method->len
                && ngx_memcmp(op->method.data, method->data, method->len)
                   == 0)
            {
                *index = op->index;
                return NGX_OK;
            }

            if (get && !found && op->method.len == 3
                && ngx_memcmp(op->method.data, "GET", 3) == 0)
            {
                *index = op->index;
                found = 1;
            }

            if (op->enabled) {
                rc = NGX_ABORT;
            }
        }
    }

    return found ? NGX_OK : rc;
}


ngx_int_t
ngx_http_stoa_api_allow(ngx_http_request_t *r, ngx_http_stoa_api_t *api,
    ngx_str_t *path, ngx_str_t *allow)
{
    u_char              *p, *last;
    ngx_uint_t           i;
    ngx_http_stoa_op_t  *op;

    p = ngx_pnalloc(r->pool, 256);
    if (p == NULL) {
        return NGX_ERROR;
    }

    allow->data = p;
    last = p + 256 - sizeof(", HEAD, ");

    for (i = 0; i < api->nops; i++) {
        op = &api->ops[i];

        if (!op->enabled || p + op->method.len + 2 > last
            || !stoa_path_match((char *) op->path.data, op->path.len,
                                (char *) path->data, path->len)
            || ngx_strlcasestrn(allow->data, p, op->method.data,
                                op->method.len - 1)
               != NULL)
        {
            continue;
        }

        p = ngx_sprintf(p, "%s%V", p > allow->data ? ", " : "", &op->method);

        if (op->method.len == 3 && ngx_memcmp(op->method.data, "GET", 3) == 0)
        {
            p = ngx_cpymem(p, ", HEAD", sizeof(", HEAD") - 1);
        }
    }

    allow->len = p - allow->data;

    return NGX_OK;
}
