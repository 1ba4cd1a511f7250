/*
 * A server of Redis: connecting to it, losing it.
 *
 * Callbacks may send: that only queues and posts an event.  Whatever breaks
 * under a callback is noted, and the connection closed when it has returned.
 */

#include "ngx_http_stoa_redis_node.h"
#include "ngx_http_stoa_fetch.h"


#define REDIS_CONNECT   500                     /* ms, with TLS and login    */
#define REDIS_LEAVE     200
#define REDIS_RETRY     50
#define REDIS_RETRY_MAX 400


static void ngx_http_stoa_redis_flush(ngx_event_t *ev);
static void ngx_http_stoa_redis_resolve(ngx_http_stoa_redis_node_t *node);
static void ngx_http_stoa_redis_resolved(ngx_resolver_ctx_t *rctx);
static void ngx_http_stoa_redis_connect(ngx_http_stoa_redis_node_t *node);
static void ngx_http_stoa_redis_event(ngx_event_t *ev);
static void ngx_http_stoa_redis_connected(ngx_http_stoa_redis_node_t *node);
static void ngx_http_stoa_redis_close(ngx_http_stoa_redis_node_t *node);
#if (NGX_HTTP_SSL)
static void ngx_http_stoa_redis_tls(ngx_http_stoa_redis_node_t *node);
static void ngx_http_stoa_redis_shaken(ngx_connection_t *c);
#endif


void
ngx_http_stoa_redis_node_init(ngx_http_stoa_redis_node_t *node,
    const ngx_http_stoa_redis_owner_t *owner,
    ngx_http_stoa_redis_conf_t *conf, ngx_log_t *log)
{
    ngx_memzero(node, sizeof(ngx_http_stoa_redis_node_t));
    node->owner = owner;
    node->conf = conf;
    node->log = log;
    ngx_queue_init(&node->ready);
    ngx_queue_init(&node->sent);

    node->flush.data = node;
    node->flush.log = log;
    node->flush.handler = ngx_http_stoa_redis_flush;
}


ngx_int_t
ngx_http_stoa_redis_node_name(ngx_http_stoa_redis_node_t *node,
    const u_char *text, size_t len)
{
    u_char     *colon, *p;
    ngx_int_t   port;

    if (len < 3 || len >= sizeof(node->name)) {
        return NGX_DECLINED;
    }

    (void) ngx_cpystrn(node->name, (u_char *) text, len + 1);

    for (colon = node->name + len - 1; colon > node->name && *colon != ':';
         colon--)
    {
        /* void */
    }

    port = ngx_atoi(colon + 1, node->name + len - colon - 1);
    p = node->name;

    if (p[0] == '[' && colon > p && colon[-1] == ']') {
        node->host.data = p + 1;
        node->host.len = colon - p - 2;

    } else {
        node->host.data = p;
        node->host.len = colon - p;
    }

    if (node->host.len == 0 || port < 1 || port > 65535) {
        return NGX_DECLINED;
    }

    node->port = (in_port_t) port;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_redis_node_add(ngx_http_stoa_redis_node_t *node,
    ngx_http_stoa_redis_cmd_t *cmd)
{
    if (node->waiting >= NGX_HTTP_STOA_REDIS_WAITING
        || (node->state == NGX_HTTP_STOA_REDIS_IDLE
            && (ngx_msec_int_t) (node->retry_at - ngx_current_msec) > 0
            && node->fails))
    {
        return NGX_BUSY;
    }

    ngx_queue_insert_tail(&node->ready, &cmd->queue);
    node->waiting++;

    ngx_post_event(&node->flush, &ngx_posted_events);

    return NGX_OK;
}


static void
ngx_http_stoa_redis_flush(ngx_event_t *ev)
{
    ngx_http_stoa_redis_node_t *node = ev->data;

    if (node->state == NGX_HTTP_STOA_REDIS_IDLE && node->waiting) {
        ngx_http_stoa_redis_resolve(node);

    } else if (node->state == NGX_HTTP_STOA_REDIS_READY) {
        ngx_http_stoa_redis_write(node);
    }

    if (node->broken) {
        ngx_http_stoa_redis_node_fail(node, node->broken);
    }
}


/* ---- connecting -------------------------------------------------------- */

static void
ngx_http_stoa_redis_resolve(ngx_http_stoa_redis_node_t *node)
{
    ngx_addr_t                 addr;
    ngx_http_conf_ctx_t       *http;
    ngx_resolver_ctx_t        *rctx;
    ngx_http_core_loc_conf_t  *clcf;

    node->state = NGX_HTTP_STOA_REDIS_RESOLVE;

    if (ngx_parse_addr(ngx_cycle->pool, &addr, node->host.data, node->host.len)
        == NGX_OK)
    {
        ngx_memcpy(&node->addr, addr.sockaddr, addr.socklen);
        node->addrlen = addr.socklen;
        ngx_pfree(ngx_cycle->pool, addr.sockaddr);
        ngx_http_stoa_redis_connect(node);
        return;
    }

    http = (ngx_http_conf_ctx_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                                ngx_http_module);
    clcf = http->loc_conf[ngx_http_core_module.ctx_index];

    rctx = ngx_resolve_start(clcf->resolver, NULL);

    if (rctx == NULL || rctx == NGX_NO_RESOLVER) {
        node->broken = "no \"resolver\" for its name";
        return;
    }

    rctx->name = node->host;
    rctx->handler = ngx_http_stoa_redis_resolved;
    rctx->data = node;
    rctx->timeout = REDIS_CONNECT;
    rctx->cancelable = 1;

    node->resolving = rctx;
    node->entered = 1;

    if (ngx_resolve_name(rctx) != NGX_OK) {
        node->resolving = NULL;
        node->broken = "its name could not be resolved";
    }

    node->entered = 0;
}


static void
ngx_http_stoa_redis_resolved(ngx_resolver_ctx_t *rctx)
{
    ngx_http_stoa_redis_node_t *node = rctx->data;

    node->resolving = NULL;

    if (rctx->state || rctx->naddrs == 0) {
        node->broken = "its name could not be resolved";

    } else {
        ngx_memcpy(&node->addr, rctx->addrs[0].sockaddr,
                   rctx->addrs[0].socklen);
        node->addrlen = rctx->addrs[0].socklen;
    }

    ngx_resolve_name_done(rctx);

    if (node->broken == NULL) {
        ngx_http_stoa_redis_connect(node);
    }

    if (node->broken && !node->entered) {
        ngx_http_stoa_redis_node_fail(node, node->broken);
    }
}


static void
ngx_http_stoa_redis_connect(ngx_http_stoa_redis_node_t *node)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    ngx_inet_set_port(&node->addr.sockaddr, node->port);

    node->addr_text.data = node->text;
    node->addr_text.len = ngx_sock_ntop(&node->addr.sockaddr, node->addrlen,
                                        node->text, NGX_SOCKADDR_STRLEN, 1);

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));
    pc.sockaddr = &node->addr.sockaddr;
    pc.socklen = node->addrlen;
    pc.name = &node->addr_text;
    pc.get = ngx_event_get_peer;
    pc.log = node->log;
    pc.log_error = NGX_ERROR_INFO;

    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        node->broken = "no connection";
        return;
    }

    c = pc.connection;
    node->connection = c;
    c->data = node;
    c->idle = 1;
    c->read->handler = ngx_http_stoa_redis_event;
    c->write->handler = ngx_http_stoa_redis_event;
    c->log_error = NGX_ERROR_INFO;
    c->pool = ngx_create_pool(256, node->log);
    node->reader = ngx_http_stoa_redis_reader();

    if (c->pool == NULL || node->reader == NULL) {
        node->broken = "no memory";
        return;
    }

    node->state = NGX_HTTP_STOA_REDIS_CONNECT;
    ngx_add_timer(c->write, REDIS_CONNECT);

    if (rc == NGX_OK) {
        ngx_http_stoa_redis_connected(node);
    }
}


static void
ngx_http_stoa_redis_event(ngx_event_t *ev)
{
    ngx_connection_t            *c = ev->data;
    ngx_http_stoa_redis_node_t  *node = c->data;

    if (c->close) {
        c->close = 0;
        c->idle = 0;
        node->owner->leaving();

        if (node->waiting == 0) {
            ngx_http_stoa_redis_close(node);

        } else {
            ngx_add_timer(c->read, REDIS_LEAVE);
        }

        return;
    }

    if (ev->timedout) {
        ev->timedout = 0;
        node->broken = node->state == NGX_HTTP_STOA_REDIS_READY
                       ? "no answer" : "no connection in time";

    } else if (node->state == NGX_HTTP_STOA_REDIS_CONNECT) {
        ngx_http_stoa_redis_connected(node);

    } else if (ev->write) {
        ngx_http_stoa_redis_write(node);

    } else {
        ngx_http_stoa_redis_read(node);
    }

    if (node->broken) {
        ngx_http_stoa_redis_node_fail(node, node->broken);
    }
}


static void
ngx_http_stoa_redis_connected(ngx_http_stoa_redis_node_t *node)
{
    int                           err;
    socklen_t                     len;
    ngx_connection_t             *c;
    ngx_http_stoa_redis_login_t  *login;

    c = node->connection;
    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1
        || err)
    {
        node->broken = "no connection";
        return;
    }

    (void) ngx_tcp_nodelay(c);

    login = node->sentinel ? &node->conf->sentinel
                           : &node->conf->data;

#if (NGX_HTTP_SSL)
    if (login->tls) {
        node->state = NGX_HTTP_STOA_REDIS_TLS;
        ngx_http_stoa_redis_tls(node);
        return;
    }
#endif

    ngx_http_stoa_redis_login(node);
}


#if (NGX_HTTP_SSL)

static ngx_str_t *
ngx_http_stoa_redis_tls_name(ngx_http_stoa_redis_node_t *node)
{
    ngx_http_stoa_redis_conf_t  *conf = node->conf;

    return conf->tls_name.len ? &conf->tls_name : &node->host;
}


static void
ngx_http_stoa_redis_tls(ngx_http_stoa_redis_node_t *node)
{
    u_char            *name;
    uint8_t            addr[16];
    unsigned           family;
    ngx_str_t         *host;
    ngx_connection_t  *c;

    c = node->connection;
    host = ngx_http_stoa_redis_tls_name(node);
    name = ngx_pnalloc(c->pool, host->len + 1);

    if (name == NULL
        || ngx_ssl_create_connection(node->conf->ssl, c,
                                     NGX_SSL_BUFFER|NGX_SSL_CLIENT)
           != NGX_OK)
    {
        node->broken = "no memory";
        return;
    }

    (void) ngx_cpystrn(name, host->data, host->len + 1);

    if (!stoa_addr_literal((char *) host->data, host->len, &family, addr)
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) name) == 0)
    {
        node->broken = "TLS: no server name";
        return;
    }

    if (ngx_ssl_handshake(c) == NGX_AGAIN) {
        c->ssl->handler = ngx_http_stoa_redis_shaken;
        return;
    }

    node->entered = 1;
    ngx_http_stoa_redis_shaken(c);
    node->entered = 0;
}


static void
ngx_http_stoa_redis_shaken(ngx_connection_t *c)
{
    ngx_http_stoa_redis_node_t  *node = c->data;

    if (c->close || c->read->timedout || c->write->timedout
        || !c->ssl->handshaked)
    {
        node->broken = "TLS handshake";

    } else if (SSL_get_verify_result(c->ssl->connection) != X509_V_OK) {
        node->broken = "its TLS certificate does not verify";

    } else if (ngx_http_stoa_fetch_named(c, ngx_http_stoa_redis_tls_name(node))
               != NGX_OK)
    {
        node->broken = "its TLS certificate is for another name";

    } else {
        c->read->handler = ngx_http_stoa_redis_event;
        c->write->handler = ngx_http_stoa_redis_event;
        ngx_http_stoa_redis_login(node);
    }

    if (node->broken && !node->entered) {
        ngx_http_stoa_redis_node_fail(node, node->broken);
    }
}

#endif


/* ---- the end ----------------------------------------------------------- */

static void
ngx_http_stoa_redis_close(ngx_http_stoa_redis_node_t *node)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = node->connection;
    node->connection = NULL;
    node->state = NGX_HTTP_STOA_REDIS_IDLE;

    if (node->resolving) {
        ngx_resolve_name_done(node->resolving);
        node->resolving = NULL;
    }

    if (node->flush.posted) {
        ngx_delete_posted_event(&node->flush);
    }

    if (node->reader) {
        redisReaderFree(node->reader);
        node->reader = NULL;
    }

    node->came = 0;

    if (node->out) {
        ngx_free(node->out);
        node->out = NULL;
    }

    node->out_len = 0;
    node->out_at = 0;

    if (c == NULL) {
        return;
    }

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }
#endif

    pool = c->pool;
    ngx_close_connection(c);

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


void
ngx_http_stoa_redis_node_fail(ngx_http_stoa_redis_node_t *node,
    const char *why)
{
    ngx_uint_t                  wait;
    ngx_queue_t                 all, *q;
    ngx_http_stoa_redis_cmd_t  *cmd;

    static char  text[sizeof(node->name) + 300];

    node->broken = NULL;
    ngx_http_stoa_redis_close(node);

    wait = REDIS_RETRY << ngx_min(node->fails, 3);
    wait = ngx_min(wait, REDIS_RETRY_MAX);
    node->fails++;
    node->retry_at = ngx_current_msec + wait + (ngx_msec_t) ngx_random() % 10;

    (void) snprintf(text, sizeof(text), "%s: %.250s", (char *) node->name,
                    why);

    ngx_queue_init(&all);

    if (!ngx_queue_empty(&node->sent)) {
        ngx_queue_add(&all, &node->sent);
        ngx_queue_init(&node->sent);
    }

    if (!ngx_queue_empty(&node->ready)) {
        ngx_queue_add(&all, &node->ready);
        ngx_queue_init(&node->ready);
    }

    node->waiting = 0;

    while (!ngx_queue_empty(&all)) {
        q = ngx_queue_head(&all);
        ngx_queue_remove(q);
        cmd = ngx_queue_data(q, ngx_http_stoa_redis_cmd_t, queue);

        if (cmd->own) {
            ngx_http_stoa_redis_cmd_free(cmd);

        } else {
            cmd->asking = 0;
            node->owner->answer(node, cmd, NULL, text);
        }
    }
}
