/*
 * The HTTP client: a request is written, its answer read, over an idle
 * connection or a new one, to the first of its peers that takes it.
 *
 * What was sent in part is sent again only if the request is idempotent: an
 * idle connection that closes under it leaves open whether it arrived.
 */

#include "ngx_http_stoa_fetch.h"


#define NGX_HTTP_STOA_FETCH_HEAD     32768
#define NGX_HTTP_STOA_FETCH_BUFFER   16384
#define NGX_HTTP_STOA_FETCH_READS    16         /* before others have a turn */


typedef enum {
    FETCH_CHOOSE = 0,
    FETCH_CONNECT,
    FETCH_TLS,
    FETCH_TALK
} ngx_http_stoa_fetch_state_e;


static void ngx_http_stoa_fetch_posted(ngx_event_t *ev);
static ngx_int_t ngx_http_stoa_fetch_connect(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_fetch_event(ngx_event_t *ev);
static void ngx_http_stoa_fetch_connected(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_fetch_talk(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_fetch_read(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_fetch_eof(ngx_http_stoa_fetch_t *f);
static stoa_rc_t ngx_http_stoa_fetch_on_head(void *data);
static stoa_rc_t ngx_http_stoa_fetch_on_body(void *data, const char *p,
    size_t len);
static void ngx_http_stoa_fetch_failed(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_end_e how);
static void ngx_http_stoa_fetch_drop(ngx_http_stoa_fetch_t *f,
    ngx_uint_t failed);
static void ngx_http_stoa_fetch_close(ngx_http_stoa_fetch_t *f,
    ngx_connection_t *c);
static void ngx_http_stoa_fetch_end(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_end_e how);
static void ngx_http_stoa_fetch_free(ngx_http_stoa_fetch_t *f);
#if (NGX_HTTP_SSL)
static void ngx_http_stoa_fetch_tls(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_fetch_handshake(ngx_connection_t *c);
static void ngx_http_stoa_fetch_shaken(ngx_http_stoa_fetch_t *f);
#endif


/* Lent for one read. */

static u_char  ngx_http_stoa_fetch_buffer[NGX_HTTP_STOA_FETCH_BUFFER];


ngx_http_stoa_fetch_t *
ngx_http_stoa_fetch_create(ngx_log_t *log)
{
    ngx_pool_t             *pool;
    ngx_http_stoa_fetch_t  *f;

    pool = ngx_create_pool(2048, log);
    if (pool == NULL) {
        return NULL;
    }

    f = ngx_pcalloc(pool, sizeof(ngx_http_stoa_fetch_t));
    if (f == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    f->pool = pool;
    f->log = log;
    f->connect_timeout = 5000;
    f->read_timeout = 30000;
    f->max_head = NGX_HTTP_STOA_FETCH_HEAD;
    f->event.data = f;
    f->event.log = log;
    f->event.handler = ngx_http_stoa_fetch_posted;
    ngx_str_set(&f->method, "GET");

    return f;
}


void
ngx_http_stoa_fetch_start(ngx_http_stoa_fetch_t *f)
{
    stoa_http_init(&f->http, f->max_head, ngx_http_stoa_fetch_on_head,
                   ngx_http_stoa_fetch_on_body, f);

    f->http.bodyless = f->method.len == 4
                       && ngx_memcmp(f->method.data, "HEAD", 4) == 0;

    ngx_post_event(&f->event, &ngx_posted_events);
}


void
ngx_http_stoa_fetch_cancel(ngx_http_stoa_fetch_t *f)
{
    if (f->over) {
        return;
    }

    f->over = 1;
    ngx_http_stoa_fetch_drop(f, 0);
    ngx_http_stoa_fetch_detach(f);
    ngx_http_stoa_fetch_free(f);
}


void
ngx_http_stoa_fetch_pause(ngx_http_stoa_fetch_t *f)
{
    f->paused = 1;

    if (f->connection && f->connection->read->timer_set) {
        ngx_del_timer(f->connection->read);
    }
}


void
ngx_http_stoa_fetch_resume(ngx_http_stoa_fetch_t *f)
{
    /* one that waits for its peers is not asked for a second time */

    if (f->paused && f->state == FETCH_TALK) {
        ngx_post_event(&f->event, &ngx_posted_events);
    }

    f->paused = 0;
}


void
ngx_http_stoa_fetch_patience(ngx_http_stoa_fetch_t *f, ngx_msec_t ms)
{
    f->read_timeout = ms;

    if (f->state == FETCH_TALK && f->connection->read->timer_set) {
        ngx_http_stoa_fetch_wait(f, f->connection->read, ms);
    }
}


static void
ngx_http_stoa_fetch_posted(ngx_event_t *ev)
{
    ngx_http_stoa_fetch_t *f = ev->data;

    if (f->state == FETCH_CHOOSE) {
        ngx_http_stoa_fetch_next(f);

    } else if (f->state == FETCH_TALK) {
        ngx_http_stoa_fetch_read(f);
    }
}


void
ngx_http_stoa_fetch_next(ngx_http_stoa_fetch_t *f)
{
    ngx_int_t  rc;

    for ( ;; ) {

        if ((ngx_exiting && !f->stay) || ngx_terminate) {
            ngx_http_stoa_fetch_end(f, NGX_HTTP_STOA_FETCH_EXIT);
            return;
        }

        if (f->deadline
            && (ngx_msec_int_t) (f->deadline - ngx_current_msec) <= 0)
        {
            ngx_http_stoa_fetch_end(f, f->sent
                                       ? NGX_HTTP_STOA_FETCH_TIMEOUT
                                       : NGX_HTTP_STOA_FETCH_UNREACHABLE);
            return;
        }

        rc = f->peers->get(f);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {
            ngx_http_stoa_fetch_end(f, f->sent
                                       ? NGX_HTTP_STOA_FETCH_LOST
                                       : NGX_HTTP_STOA_FETCH_UNREACHABLE);
            return;
        }

        f->state = FETCH_CONNECT;
        f->written = 0;

        if (ngx_http_stoa_fetch_connect(f) == NGX_OK) {
            return;
        }

        f->why = "no connection";
        ngx_http_stoa_fetch_drop(f, 1);
    }
}


/* NGX_OK: events go on. */

static ngx_int_t
ngx_http_stoa_fetch_connect(ngx_http_stoa_fetch_t *f)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    c = f->fresh ? NULL : ngx_http_stoa_keepalive_get(&f->to.key, f->log);

    while (c && ngx_http_stoa_keepalive_closed(c)) {
        ngx_http_stoa_keepalive_close(c);
        c = ngx_http_stoa_keepalive_get(&f->to.key, f->log);
    }

    f->cached = c != NULL;
    rc = NGX_OK;

    if (c == NULL) {
        ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

        pc.sockaddr = &f->to.key.sockaddr.sockaddr;
        pc.socklen = f->to.key.socklen;
        pc.name = &f->to.name;
        pc.get = ngx_event_get_peer;
        pc.log = f->log;
        pc.log_error = NGX_ERROR_ERR;

        rc = ngx_event_connect_peer(&pc);

        if (rc != NGX_OK && rc != NGX_AGAIN) {
            return NGX_DECLINED;
        }

        c = pc.connection;
        c->requests = 0;
        c->pool = ngx_create_pool(128, f->log);

        if (c->pool == NULL) {
            ngx_close_connection(c);
            return NGX_DECLINED;
        }
    }

    c->requests++;
    c->data = f;
    c->idle = !f->stay;
    c->read->handler = ngx_http_stoa_fetch_event;
    c->write->handler = ngx_http_stoa_fetch_event;
    f->connection = c;

    if (f->cached) {
        f->state = FETCH_TALK;
        ngx_http_stoa_fetch_talk(f);
        return NGX_OK;
    }

    if (rc == NGX_AGAIN) {
        ngx_http_stoa_fetch_wait(f, c->write, f->connect_timeout);
        return NGX_OK;
    }

    ngx_http_stoa_fetch_connected(f);

    return NGX_OK;
}


static void
ngx_http_stoa_fetch_event(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_stoa_fetch_t  *f;

    c = ev->data;
    f = c->data;

    if (c->close) {
        ngx_http_stoa_fetch_drop(f, 0);
        ngx_http_stoa_fetch_end(f, NGX_HTTP_STOA_FETCH_EXIT);
        return;
    }

    if (ev->timedout) {
        ev->timedout = 0;
        f->why = f->state == FETCH_CONNECT ? "no connection" : NULL;
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_TIMEOUT);
        return;
    }

    switch (f->state) {

    case FETCH_CONNECT:
        ngx_http_stoa_fetch_connected(f);
        return;

    case FETCH_TALK:
        if (ev->write) {
            ngx_http_stoa_fetch_talk(f);

        } else {
            ngx_http_stoa_fetch_read(f);
        }

        return;
    }
}


static void
ngx_http_stoa_fetch_connected(ngx_http_stoa_fetch_t *f)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = f->connection;
    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_log_error(NGX_LOG_ERR, f->log, err, "stoa: connect to %V failed",
                      &f->to.name);
        f->why = "no connection";
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_UNREACHABLE);
        return;
    }

    if (f->to.key.sockaddr.sockaddr.sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(c);
    }

#if (NGX_HTTP_SSL)
    if (f->to.key.ssl) {
        f->state = FETCH_TLS;
        ngx_http_stoa_fetch_tls(f);
        return;
    }
#endif

    f->state = FETCH_TALK;
    ngx_http_stoa_fetch_talk(f);
}


/* ---- TLS --------------------------------------------------------------- */

#if (NGX_HTTP_SSL)

static void
ngx_http_stoa_fetch_tls(ngx_http_stoa_fetch_t *f)
{
    u_char            *name;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = f->connection;

    /* OpenSSL wants an end, and no literal address in SNI */

    name = ngx_pnalloc(c->pool, f->to.key.tls_name.len + 1);

    if (name == NULL
        || ngx_ssl_create_connection(f->to.key.ssl, c,
                                     NGX_SSL_BUFFER|NGX_SSL_CLIENT)
           != NGX_OK)
    {
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_UNREACHABLE);
        return;
    }

    (void) ngx_cpystrn(name, f->to.key.tls_name.data,
                       f->to.key.tls_name.len + 1);

    if (f->to.key.tls_name.len && name[0] != '['
        && ngx_inet_addr(name, f->to.key.tls_name.len) == INADDR_NONE
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) name) == 0)
    {
        f->why = "TLS: no server name";
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_UNREACHABLE);
        return;
    }

    if (f->peers->session && f->peers->session(f, c, 0) != NGX_OK) {
        f->why = "TLS certificate of the gateway";
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_UNREACHABLE);
        return;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_stoa_fetch_handshake;
        ngx_http_stoa_fetch_wait(f, c->write, f->connect_timeout);
        return;
    }

    ngx_http_stoa_fetch_shaken(f);
}


static void
ngx_http_stoa_fetch_handshake(ngx_connection_t *c)
{
    ngx_http_stoa_fetch_t *f = c->data;

    if (c->write->timedout) {
        c->write->timedout = 0;
        f->why = "TLS handshake";
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_TIMEOUT);
        return;
    }

    ngx_http_stoa_fetch_shaken(f);
}


static void
ngx_http_stoa_fetch_shaken(ngx_http_stoa_fetch_t *f)
{
    long               verdict;
    ngx_connection_t  *c;

    c = f->connection;

    if (c->close) {
        ngx_http_stoa_fetch_drop(f, 0);
        ngx_http_stoa_fetch_end(f, NGX_HTTP_STOA_FETCH_EXIT);
        return;
    }

    if (!c->ssl->handshaked) {
        f->why = "TLS handshake";

    } else if (f->to.key.verify
               && (verdict = SSL_get_verify_result(c->ssl->connection))
                  != X509_V_OK)
    {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "stoa: certificate of %V does not verify: (%l:%s)",
                      &f->to.name, verdict,
                      X509_verify_cert_error_string(verdict));
        f->why = "TLS certificate";

    } else if (f->to.key.verify
               && ngx_http_stoa_fetch_named(c, &f->to.key.tls_name) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "stoa: certificate of %V is not for \"%V\"",
                      &f->to.name, &f->to.key.tls_name);
        f->why = "TLS name";

    } else {

        if (f->peers->session) {
            (void) f->peers->session(f, c, 1);
        }

        c->read->handler = ngx_http_stoa_fetch_event;
        c->write->handler = ngx_http_stoa_fetch_event;
        f->state = FETCH_TALK;
        ngx_http_stoa_fetch_talk(f);
        return;
    }

    ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_UNREACHABLE);
}

#endif


/* ---- the request ------------------------------------------------------- */

static void
ngx_http_stoa_fetch_talk(ngx_http_stoa_fetch_t *f)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = f->connection;

    if (!f->written && ngx_http_stoa_fetch_text(f) != NGX_OK) {
        ngx_http_stoa_fetch_drop(f, 0);
        ngx_http_stoa_fetch_end(f, NGX_HTTP_STOA_FETCH_UNREACHABLE);
        return;
    }

    rc = ngx_http_stoa_fetch_write(f);

    if (rc == NGX_AGAIN) {
        ngx_http_stoa_fetch_wait(f, c->write, f->read_timeout);

    } else {

        if (c->write->timer_set) {
            ngx_del_timer(c->write);
        }
    }

    /* after an error, too: an answer may be there all the same */

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_LOST);
        return;
    }

    ngx_http_stoa_fetch_read(f);
}


/* ---- the answer -------------------------------------------------------- */

static void
ngx_http_stoa_fetch_read(ngx_http_stoa_fetch_t *f)
{
    size_t             used;
    ssize_t            n;
    ngx_uint_t         i;
    stoa_rc_t          rc;
    ngx_connection_t  *c;

    c = f->connection;

    for (i = 0; !f->paused; i++) {

        if (i == NGX_HTTP_STOA_FETCH_READS) {
            ngx_post_event(&f->event, &ngx_posted_next_events);
            return;
        }

        n = c->recv(c, ngx_http_stoa_fetch_buffer,
                    NGX_HTTP_STOA_FETCH_BUFFER);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_http_stoa_fetch_eof(f);
            return;
        }

        f->busy++;
        rc = stoa_http_feed(&f->http, (char *) ngx_http_stoa_fetch_buffer,
                            (size_t) n, &used);
        f->busy--;

        if (f->over) {
            ngx_http_stoa_fetch_free(f);
            return;
        }

        if (rc == STOA_OK) {

            if (used < (size_t) n || f->text.len || f->rest.len) {
                f->http.keep = 0;
            }

            ngx_http_stoa_fetch_drop(f, 0);
            ngx_http_stoa_fetch_end(f, NGX_HTTP_STOA_FETCH_DONE);
            return;
        }

        if (rc != STOA_AGAIN) {
            f->why = f->http.why;
            f->http.keep = 0;
            ngx_http_stoa_fetch_drop(f, rc == STOA_DECLINED);
            ngx_http_stoa_fetch_end(f, rc == STOA_FULL
                                       ? NGX_HTTP_STOA_FETCH_LARGE
                                       : NGX_HTTP_STOA_FETCH_INVALID);
            return;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_LOST);
        return;
    }

    if (!f->paused && !c->write->timer_set) {
        ngx_http_stoa_fetch_wait(f, c->read, f->read_timeout);
    }
}


/* The other side has closed, or it is broken. */

static void
ngx_http_stoa_fetch_eof(ngx_http_stoa_fetch_t *f)
{
    if (!f->connection->read->error && f->http.status
        && stoa_http_eof(&f->http) == STOA_OK)
    {
        ngx_http_stoa_fetch_drop(f, 0);
        ngx_http_stoa_fetch_end(f, NGX_HTTP_STOA_FETCH_DONE);
        return;
    }

    f->why = f->http.status ? "it broke off" : "it closed";
    ngx_http_stoa_fetch_failed(f, NGX_HTTP_STOA_FETCH_LOST);
}


static stoa_rc_t
ngx_http_stoa_fetch_on_head(void *data)
{
    ngx_http_stoa_fetch_t *f = data;

    if (f->handler->head) {
        f->handler->head(f, f->data);
    }

    return f->over ? STOA_ERROR : STOA_OK;
}


static stoa_rc_t
ngx_http_stoa_fetch_on_body(void *data, const char *p, size_t len)
{
    ngx_http_stoa_fetch_t *f = data;

    f->came += len;

    if (f->max_body && f->came > f->max_body) {
        return STOA_FULL;
    }

    if (f->handler->chunk) {
        f->handler->chunk(f, f->data, (const u_char *) p, len);
    }

    return f->over ? STOA_ERROR : STOA_OK;
}


/* ---- the end ----------------------------------------------------------- */

/* The connection is lost: is there another way? */

static void
ngx_http_stoa_fetch_failed(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_connection_t  *c;

    f->http.keep = 0;

    if (f->http.status) {
        ngx_http_stoa_fetch_drop(f, 1);
        ngx_http_stoa_fetch_end(f, how == NGX_HTTP_STOA_FETCH_TIMEOUT
                                   ? how : NGX_HTTP_STOA_FETCH_CUT);
        return;
    }

    if (f->written
        && (!f->idempotent || how == NGX_HTTP_STOA_FETCH_TIMEOUT))
    {
        ngx_http_stoa_fetch_drop(f, 1);
        ngx_http_stoa_fetch_end(f, how);
        return;
    }

    stoa_buf_reset(&f->http.head);
    f->http.line = 0;
    f->http.state = 0;

    if (f->cached && how != NGX_HTTP_STOA_FETCH_TIMEOUT) {

        /* closed while idle: nobody's fault, the same one again */

        c = f->connection;
        ngx_http_stoa_fetch_close(f, c);

        f->fresh = 1;
        f->written = 0;
        f->state = FETCH_CONNECT;

        if (ngx_http_stoa_fetch_connect(f) == NGX_OK) {
            return;
        }
    }

    ngx_http_stoa_fetch_drop(f, 1);
    ngx_http_stoa_fetch_next(f);
}


/* Gives the connection back, or closes it. */

static void
ngx_http_stoa_fetch_drop(ngx_http_stoa_fetch_t *f, ngx_uint_t failed)
{
    ngx_connection_t  *c;

    c = f->connection;

    if (f->state != FETCH_CHOOSE && f->peers->free) {
        f->peers->free(f, failed);
    }

    f->state = FETCH_CHOOSE;

    if (c == NULL) {
        return;
    }

    if (f->http.keep && !f->over && !c->close
        && !c->read->eof && !c->read->error
        && !c->read->timedout && !c->write->error && !c->write->timedout)
    {
        c->idle = 0;

        if (ngx_http_stoa_keepalive_put(&f->to.key, c) == NGX_OK) {
            ngx_http_stoa_fetch_close(f, NULL);
            return;
        }
    }

    ngx_http_stoa_fetch_close(f, c);
}


static void
ngx_http_stoa_fetch_close(ngx_http_stoa_fetch_t *f, ngx_connection_t *c)
{
    f->connection = NULL;

    if (f->event.posted) {
        ngx_delete_posted_event(&f->event);
    }

    if (c) {
        c->idle = 0;
        ngx_http_stoa_keepalive_close(c);
    }
}


static void
ngx_http_stoa_fetch_end(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_end_e how)
{
    f->over = 1;

    if (how == NGX_HTTP_STOA_FETCH_DONE) {
        f->why = NULL;
    }

    if (f->peers->close) {
        f->peers->close(f);
        f->peers = NULL;
    }

    ngx_http_stoa_fetch_detach(f);

    f->busy++;

    if (f->handler->end) {
        f->handler->end(f, f->data, how);
    }

    f->busy--;

    ngx_http_stoa_fetch_free(f);
}


static void
ngx_http_stoa_fetch_free(ngx_http_stoa_fetch_t *f)
{
    if (f->busy) {
        return;
    }

    if (f->event.posted) {
        ngx_delete_posted_event(&f->event);
    }

    if (f->peers && f->peers->close) {
        f->peers->close(f);
    }

    stoa_http_free(&f->http);
    ngx_destroy_pool(f->pool);
}
