
/*
 * Idle connections to upstreams.  A connection is used again only for the very
 * same address, TLS settings, TLS name, verification and certificate of ours:
 * so no api gets a connection that was verified for another name, or not at
 * all, or that lets somebody else in.
 *
 * Process: one pool per worker.  Lifetime: the process.
 * Limits: NGX_HTTP_STOA_IDLE_MAX connections, each idle for at most the time
 * that its api says and for NGX_HTTP_STOA_IDLE_REQUESTS requests.
 */

#include "ngx_http_stoa_keepalive.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_IDLE_MAX       256
#define NGX_HTTP_STOA_IDLE_BUCKETS   64
#define NGX_HTTP_STOA_IDLE_TIME      3600000
#define NGX_HTTP_STOA_IDLE_REQUESTS  10000


typedef struct {
    ngx_queue_t                     queue;      /* LRU, or free             */
    ngx_queue_t                     bucket;
    uint64_t                        hash;
    ngx_msec_t                      since;
    ngx_http_stoa_keepalive_key_t   key;
    ngx_connection_t               *connection;
    u_char                          tls_name[STOA_HOST_MAX + 3];
} ngx_http_stoa_idle_t;


static void ngx_http_stoa_keepalive_take(ngx_http_stoa_idle_t *idle);
static void ngx_http_stoa_keepalive_dummy(ngx_event_t *ev);
static void ngx_http_stoa_keepalive_read(ngx_event_t *ev);


static ngx_http_stoa_idle_t  *ngx_http_stoa_idles;
static ngx_queue_t            ngx_http_stoa_idle_lru;
static ngx_queue_t            ngx_http_stoa_idle_free;
static ngx_queue_t   ngx_http_stoa_idle_buckets[NGX_HTTP_STOA_IDLE_BUCKETS];


static ngx_int_t
ngx_http_stoa_keepalive_init(ngx_log_t *log)
{
    ngx_uint_t  i;

    if (ngx_http_stoa_idles) {
        return NGX_OK;
    }

    ngx_http_stoa_idles = ngx_calloc(NGX_HTTP_STOA_IDLE_MAX
                                     * sizeof(ngx_http_stoa_idle_t), log);
    if (ngx_http_stoa_idles == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&ngx_http_stoa_idle_lru);
    ngx_queue_init(&ngx_http_stoa_idle_free);

    for (i = 0; i < NGX_HTTP_STOA_IDLE_BUCKETS; i++) {
        ngx_queue_init(&ngx_http_stoa_idle_buckets[i]);
    }

    for (i = 0; i < NGX_HTTP_STOA_IDLE_MAX; i++) {
        ngx_queue_insert_tail(&ngx_http_stoa_idle_free,
                              &ngx_http_stoa_idles[i].queue);
    }

    return NGX_OK;
}


/* The connections were closed by nginx, or go with the process. */

void
ngx_http_stoa_keepalive_exit(void)
{
    if (ngx_http_stoa_idles) {
        ngx_free(ngx_http_stoa_idles);
        ngx_http_stoa_idles = NULL;
    }
}


static uint64_t
ngx_http_stoa_keepalive_hash(ngx_http_stoa_keepalive_key_t *key)
{
    uint64_t  h;

    h = stoa_hash64(&key->sockaddr, key->socklen,
                    (uintptr_t) key->ssl ^ key->h2);

    if (key->ssl) {
        h = stoa_hash64(key->tls_name.data, key->tls_name.len,
                        h ^ key->verify);
        h = stoa_hash64(key->shown, sizeof(key->shown), h);
    }

    return h;
}


static ngx_uint_t
ngx_http_stoa_keepalive_same(ngx_http_stoa_idle_t *idle, uint64_t hash,
    ngx_http_stoa_keepalive_key_t *key)
{
    if (idle->hash != hash
        || idle->key.ssl != key->ssl
        || idle->key.h2 != key->h2
        || idle->key.socklen != key->socklen
        || ngx_memcmp(&idle->key.sockaddr, &key->sockaddr, key->socklen) != 0)
    {
        return 0;
    }

    if (key->ssl == NULL) {
        return 1;
    }

    return idle->key.verify == key->verify
           && ngx_memcmp(idle->key.shown, key->shown, sizeof(key->shown)) == 0
           && idle->key.tls_name.len == key->tls_name.len
           && ngx_memcmp(idle->key.tls_name.data, key->tls_name.data,
                         key->tls_name.len) == 0;
}


ngx_connection_t *
ngx_http_stoa_keepalive_get(ngx_http_stoa_keepalive_key_t *key,
    ngx_log_t *log)
{
    uint64_t               hash;
    ngx_queue_t           *q, *bucket;
    ngx_connection_t      *c;
    ngx_http_stoa_idle_t  *idle;

    if (ngx_http_stoa_idles == NULL) {
        return NULL;
    }

    hash = ngx_http_stoa_keepalive_hash(key);
    bucket = &ngx_http_stoa_idle_buckets[hash % NGX_HTTP_STOA_IDLE_BUCKETS];

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        idle = ngx_queue_data(q, ngx_http_stoa_idle_t, bucket);

        /* another api's connection may have waited longer than ours do */

        if (!ngx_http_stoa_keepalive_same(idle, hash, key)
            || ngx_current_msec - idle->since > key->idle)
        {
            continue;
        }

        c = idle->connection;
        ngx_http_stoa_keepalive_take(idle);

        c->idle = 0;
        c->sent = 0;
        c->data = NULL;
        c->log = log;
        c->read->log = log;
        c->write->log = log;
        c->pool->log = log;

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        return c;
    }

    return NULL;
}


ngx_int_t
ngx_http_stoa_keepalive_put(ngx_http_stoa_keepalive_key_t *key,
    ngx_connection_t *c)
{
    ngx_queue_t           *q;
    ngx_http_stoa_idle_t  *idle;

    if (key->idle == 0
        || c->requests >= NGX_HTTP_STOA_IDLE_REQUESTS
        || ngx_current_msec - c->start_time > NGX_HTTP_STOA_IDLE_TIME
        || ngx_terminate || ngx_exiting
        || key->tls_name.len > sizeof(idle->tls_name)
        || ngx_http_stoa_keepalive_init(ngx_cycle->log) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_queue_empty(&ngx_http_stoa_idle_free)) {
        q = ngx_queue_last(&ngx_http_stoa_idle_lru);
        idle = ngx_queue_data(q, ngx_http_stoa_idle_t, queue);

        ngx_http_stoa_keepalive_take(idle);
        ngx_http_stoa_keepalive_close(idle->connection);
    }

    q = ngx_queue_head(&ngx_http_stoa_idle_free);
    ngx_queue_remove(q);

    idle = ngx_queue_data(q, ngx_http_stoa_idle_t, queue);

    idle->connection = c;
    idle->since = ngx_current_msec;
    idle->key = *key;
    idle->key.tls_name.data = idle->tls_name;

    if (key->tls_name.len) {
        ngx_memcpy(idle->tls_name, key->tls_name.data, key->tls_name.len);
    }

    idle->hash = ngx_http_stoa_keepalive_hash(key);

    ngx_queue_insert_head(&ngx_http_stoa_idle_lru, &idle->queue);
    ngx_queue_insert_head(&ngx_http_stoa_idle_buckets[idle->hash
                                              % NGX_HTTP_STOA_IDLE_BUCKETS],
                          &idle->bucket);

    c->read->delayed = 0;
    ngx_add_timer(c->read, key->idle);

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->write->handler = ngx_http_stoa_keepalive_dummy;
    c->read->handler = ngx_http_stoa_keepalive_read;

    c->data = idle;
    c->idle = 1;
    c->log = ngx_cycle->log;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;
    c->pool->log = ngx_cycle->log;

    if (c->read->ready) {
        ngx_http_stoa_keepalive_read(c->read);
    }

    return NGX_OK;
}


static void
ngx_http_stoa_keepalive_take(ngx_http_stoa_idle_t *idle)
{
    ngx_queue_remove(&idle->queue);
    ngx_queue_remove(&idle->bucket);
    ngx_queue_insert_head(&ngx_http_stoa_idle_free, &idle->queue);
}


ngx_uint_t
ngx_http_stoa_keepalive_closed(ngx_connection_t *c)
{
    char  buf[1];

    return recv(c->fd, buf, 1, MSG_PEEK) != -1
           || ngx_socket_errno != NGX_EAGAIN;
}


static void
ngx_http_stoa_keepalive_dummy(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "stoa idle write");
}


/* Closed by the upstream, timed out, or the worker exits. */

static void
ngx_http_stoa_keepalive_read(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (!c->close && !ev->timedout && !ngx_http_stoa_keepalive_closed(c)) {
        ev->ready = 0;

        if (ngx_handle_read_event(ev, 0) == NGX_OK) {
            return;
        }
    }

    ngx_http_stoa_keepalive_take(c->data);
    ngx_http_stoa_keepalive_close(c);
}


void
ngx_http_stoa_keepalive_close(ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
            c->ssl->handler = ngx_http_stoa_keepalive_close;
            return;
        }
    }

#endif

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}
