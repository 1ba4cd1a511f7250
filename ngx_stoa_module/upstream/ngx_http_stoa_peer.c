/*
 * The peers of a call: what nginx's upstream module, or the fast lane, gets
 * when it asks "stoa_upstream" for a connection.
 *
 * Who is next is ngx_http_stoa_balance.c's choice.  Process: workers.
 * Lifetime: r->pool.
 */

#include "ngx_http_stoa_lane.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_certificate.h"
#include "ngx_http_stoa_local.h"


static ngx_int_t ngx_http_stoa_peer_choose(ngx_http_stoa_peer_t *peer);
static ngx_int_t ngx_http_stoa_peer_attempt(ngx_http_stoa_peer_t *peer,
    ngx_http_stoa_target_t *target, ngx_uint_t address);
static void ngx_http_stoa_peer_point(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer);
static ngx_uint_t ngx_http_stoa_peer_stale(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer);
static ngx_uint_t ngx_http_stoa_peer_cut(ngx_event_pipe_t *p);
static void ngx_http_stoa_peer_called(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer, ngx_uint_t state);
static void ngx_http_stoa_peer_keep(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer, ngx_uint_t state);
static ngx_int_t ngx_http_stoa_peer_rewrite(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer, ngx_http_stoa_target_t *target);
static ngx_int_t ngx_http_stoa_peer_again(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_stoa_peer_tls(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer, ngx_http_stoa_target_t *target);
static ngx_int_t ngx_http_stoa_peer_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_stoa_peer_save_session(ngx_peer_connection_t *pc,
    void *data);
#endif


static ngx_str_t  ngx_http_stoa_peer_name = ngx_string("stoa_upstream");

static const ngx_str_t  ngx_http_stoa_peer_schemes[] = {
    ngx_string("http://"), ngx_string("https://"),
    ngx_string("grpc://"), ngx_string("grpcs://")
};


ngx_int_t
ngx_http_stoa_peer_proxy(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_main_conf_t  *mcf;

    ctx = ngx_http_stoa_ctx(r);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_get_indexed_variable(r, mcf->request_uri) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->unparsed_uri = r->unparsed_uri;
    r->unparsed_uri = ctx->call.to.uri;
    r->valid_unparsed_uri = 1;

    return ctx->call.api->grpc ? mcf->grpc_handler(r)
                               : mcf->content_handler(r);
}


void
ngx_http_stoa_peer_restore(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->unparsed_uri.data) {
        r->unparsed_uri = ctx->unparsed_uri;
        ngx_str_null(&ctx->unparsed_uri);
    }
}


/* What the variables of the macro say, for a target. */

ngx_int_t
ngx_http_stoa_peer_address(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_target_t *target)
{
    ctx->call.to.host = target->host_header;
    ctx->call.to.tls_name = target->tls_name;

    ctx->call.to.scheme = ngx_http_stoa_peer_schemes
                              [2 * ctx->call.api->grpc + (target->tls != 0)];

    return ngx_http_stoa_balance_uri(r->pool, target, &ctx->call.to.rest,
                                     &ctx->call.to.uri);
}


ngx_int_t
ngx_http_stoa_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_stoa_ctx_t   *ctx;
    ngx_http_upstream_t   *u;
    ngx_http_stoa_peer_t  *peer;

    ctx = ngx_http_stoa_ctx(r);

    /* a target is chosen only for what has passed all steps */

    if (ctx == NULL || ctx->call.to.target == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"%V\" is only for locations with \"stoa\"",
                      &us->host);
        return NGX_ERROR;
    }

    ngx_http_stoa_peer_restore(r, ctx);

    peer = ctx->call.peer;

    if (peer) {
        ctx->call.peer = NULL;
        peer->chosen = 1;

    } else {
        peer = ngx_palloc(r->pool, sizeof(ngx_http_stoa_peer_t));
        if (peer == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(peer, offsetof(ngx_http_stoa_peer_t, first));
        ngx_http_stoa_peer_setup(peer, r, ctx);
    }

    u = r->upstream;

    u->conf = ngx_http_stoa_peer_conf(u->conf, ctx);
    if (u->conf == NULL) {
        return NGX_ERROR;
    }

    u->peer.data = peer;
    u->peer.get = ngx_http_stoa_peer_get;
    u->peer.free = ngx_http_stoa_peer_free;
    u->peer.tries = ctx->call.late
                    ? 1 : ngx_http_stoa_balance_tries(ctx->call.api);
#if (NGX_HTTP_SSL)
    u->peer.set_session = ngx_http_stoa_peer_set_session;
    u->peer.save_session = ngx_http_stoa_peer_save_session;
#endif

    if (!ctx->call.websocket) {

        /* or the upstream might make a tunnel of it */

        r->headers_in.upgrade = NULL;

    } else if (ngx_http_stoa_upgrade_ask(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->call.repeat) {

        /* who comes again is to get the answer, also if he has gone by now */

        r->read_event_handler = ngx_http_block_reading;
        r->write_event_handler = ngx_http_request_empty_handler;
    }

    ngx_http_stoa_answer_hook(r, peer);

    return NGX_OK;
}


void
ngx_http_stoa_peer_setup(ngx_http_stoa_peer_t *peer, ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    peer->request = r;
    peer->ctx = ctx;
    peer->api = ctx->call.api;
    peer->written = ctx->call.to.target;
}


static ngx_http_stoa_target_t *
ngx_http_stoa_peer_next(ngx_http_stoa_peer_t *peer, ngx_uint_t *address)
{
    /* first the one that the request was made for */

    if (peer->tries == NULL
        && ngx_http_stoa_balance_pick(peer->api, peer->written, NULL,
                                      NGX_HTTP_STOA_LEVEL_GOOD, address))
    {
        return peer->written;
    }

    if (peer->same) {
        peer->same = 0;
        return ngx_http_stoa_balance_pick(peer->api, peer->tries->target, NULL,
                                          NGX_HTTP_STOA_LEVEL_DOWN, address)
               ? peer->tries->target : NULL;
    }

    return ngx_http_stoa_balance_choose(peer->api, peer->ctx->call.group,
                                        peer->tries, address);
}


ngx_int_t
ngx_http_stoa_peer_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_stoa_peer_t *peer = data;

    ngx_int_t                rc;
    ngx_http_request_t      *r;
    ngx_http_stoa_try_t     *t;
    ngx_http_stoa_target_t  *target;

    r = peer->request;

    pc->cached = 0;
    pc->connection = NULL;

    if (peer->chosen) {
        peer->chosen = 0;
        ngx_http_stoa_peer_point(pc, peer);

#if (NGX_HTTP_SSL)
        r->upstream->schema = peer->ctx->call.to.scheme;
        r->upstream->ssl = 0;
#endif

        pc->connection = ngx_http_stoa_lane_take(peer);
        pc->cached = pc->connection != NULL;

        return pc->cached ? NGX_DONE : NGX_OK;
    }

    rc = ngx_http_stoa_peer_choose(peer);

    if (rc != NGX_OK) {
        pc->name = &ngx_http_stoa_peer_name;
        return rc;
    }

    t = peer->tries;
    target = t->target;

    ngx_http_stoa_peer_point(pc, peer);

    peer->key.sockaddr = t->sockaddr;
    peer->key.socklen = t->socklen;
    peer->key.idle = peer->api->rec->idle_timeout_ms;
    peer->key.h2 = peer->api->grpc;

#if (NGX_HTTP_SSL)
    if (ngx_http_stoa_peer_tls(r, peer, target) != NGX_OK) {
        return NGX_ERROR;
    }
#endif

    if (!peer->fresh) {
        pc->connection = ngx_http_stoa_keepalive_get(&peer->key, pc->log);

        if (pc->connection) {
            pc->cached = 1;
            return NGX_DONE;
        }
    }

    return NGX_OK;
}


/* The head is written for it, the attempt noted.  NGX_BUSY: there is none. */

static ngx_int_t
ngx_http_stoa_peer_choose(ngx_http_stoa_peer_t *peer)
{
    ngx_int_t                rc;
    ngx_uint_t               a;
    ngx_http_stoa_target_t  *target;

    if (peer->tries == NULL && !peer->fresh) {

        if (peer->api->retry) {
            ngx_http_stoa_retry_call(peer->api);
        }

        if ((peer->api->timed || peer->ctx->call.timeout_ms)
            && ngx_http_stoa_deadline(peer) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    do {
        target = ngx_http_stoa_peer_next(peer, &a);

        if (target == NULL) {
            if (peer->tries == NULL) {
                (void) ngx_http_stoa_target_refuse(peer->request, peer->ctx);
            }

            return NGX_BUSY;
        }

        if (target != peer->written
            && ngx_http_stoa_peer_rewrite(peer->request, peer, target)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = ngx_http_stoa_peer_attempt(peer, target, a);

    } while (rc == NGX_DECLINED);

    return rc;
}


/* At the last attempt. */

static void
ngx_http_stoa_peer_point(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer)
{
    pc->sockaddr = &peer->tries->sockaddr.sockaddr;
    pc->socklen = peer->tries->socklen;
    pc->name = &peer->tries->name;
}


static ngx_int_t
ngx_http_stoa_peer_attempt(ngx_http_stoa_peer_t *peer,
    ngx_http_stoa_target_t *target, ngx_uint_t address)
{
    ngx_http_stoa_try_t  *t;

    t = &peer->first;

    if (peer->used) {
        t = ngx_palloc(peer->request->pool, sizeof(ngx_http_stoa_try_t));
        if (t == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_stoa_balance_attempt(peer->api, target, address, t,
                                      &peer->tries)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    peer->used = 1;
    peer->status = 0;

    if (peer->api->rec->sse) {
        t->socklen = ngx_http_stoa_local_address(&t->sockaddr);
    }

    if (t->socklen == 0) {
        ngx_http_stoa_breaker_leave(peer->api, t, 0, 0);
        target->active--;
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_stoa_peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_stoa_peer_t *peer = data;

    ngx_http_stoa_try_t  *t;

    t = peer->tries;

    if (peer->ctx->call.late && peer->ctx->call.hurried) {

        /* a caller who has no time says nothing of the upstream */

        state &= ~NGX_PEER_FAILED;
    }

    if (t) {
        ngx_http_stoa_peer_keep(pc, peer, state);

        t->target->active--;

        if (t->place) {
            ngx_http_stoa_peer_called(pc, peer, state);
        }

        if ((state & NGX_PEER_FAILED) && ngx_http_stoa_peer_stale(pc, peer)) {

            /* closed while idle: nobody's fault, the same one again */

            peer->tries = t->prev;
            peer->fresh = 1;

        } else if ((state & NGX_PEER_FAILED)
                   || peer->request->upstream->headers_in.status_n)
        {
            /* an abort by the client says nothing of the upstream */

            ngx_http_stoa_balance_health(peer->api, t,
                                         state & NGX_PEER_FAILED, pc->log);
        }
    }

    if (pc->tries) {
        pc->tries--;
    }

    if ((state & (NGX_PEER_FAILED|NGX_PEER_NEXT)) && peer->api->retry) {

        if (ngx_http_stoa_peer_stale(pc, peer)) {
            ngx_http_stoa_retry_stale(pc, peer);

        } else {
            ngx_http_stoa_retry_failed(pc, peer);
        }
    }

    if (peer->ctx->call.late) {
        pc->tries = 0;
    }
}


/* It was idle, and closed when it was used. */

static ngx_uint_t
ngx_http_stoa_peer_stale(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer)
{
    return pc->cached && peer->status == 0
           && (pc->connection == NULL || !pc->connection->read->timedout);
}


static ngx_uint_t
ngx_http_stoa_peer_cut(ngx_event_pipe_t *p)
{
    return p && !p->downstream_error
           && (p->upstream_error
               || (p->upstream_eof && !p->upstream_done && p->length != -1));
}


/* What the breaker learns of it.  An answer that ends before its time is a
 * failure; what the client ends, and a refusal of ours, is none. */

static void
ngx_http_stoa_peer_called(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer, ngx_uint_t state)
{
    ngx_uint_t            status, why;
    ngx_http_upstream_t  *u;

    u = peer->request->upstream;
    status = peer->status;
    why = NGX_HTTP_STOA_WHY_NONE;

    if (status == 0 && peer->lane && u == &peer->lane->upstream) {
        status = u->headers_in.status_n;
    }

    if (peer->ctx->call.late && peer->ctx->call.hurried) {
        status = 0;

    } else if (peer->ctx->call.edge->status) {
        status = peer->ctx->call.edge->status(peer->request, peer->ctx,
                                              status);
    }

    if (status == 0 && (state & NGX_PEER_FAILED)
        && !ngx_http_stoa_peer_stale(pc, peer))
    {
        why = pc->connection && pc->connection->read->timedout
              ? NGX_HTTP_STOA_WHY_TIMEOUT
              : u->request_sent ? NGX_HTTP_STOA_WHY_INVALID
                                : NGX_HTTP_STOA_WHY_CONNECT;

    } else if (status < 500 && ngx_http_stoa_peer_cut(u->pipe)) {
        status = 0;
        why = NGX_HTTP_STOA_WHY_INVALID;
    }

    ngx_http_stoa_breaker_leave(peer->api, peer->tries, status, why);
}


static void
ngx_http_stoa_peer_keep(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer, ngx_uint_t state)
{
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    u = peer->request->upstream;
    c = pc->connection;

    if (state & NGX_PEER_FAILED
        || c == NULL
        || c->read->eof
        || c->read->error
        || c->read->timedout
        || c->write->error
        || c->write->timedout
        || !u->keepalive
        || !u->request_body_sent)
    {
        return;
    }

    if (ngx_http_stoa_keepalive_put(&peer->key, c) == NGX_OK) {
        pc->connection = NULL;
    }
}


void
ngx_http_stoa_peer_close(ngx_connection_t *c)
{
    if (c->pool) {
        ngx_destroy_pool(c->pool);
    }

    ngx_close_connection(c);
}


/* Another target may have another path and another Host. */

static ngx_int_t
ngx_http_stoa_peer_rewrite(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer, ngx_http_stoa_target_t *target)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = peer->ctx;

    if (ngx_http_stoa_peer_address(r, ctx, target) != NGX_OK) {
        return NGX_ERROR;
    }

    peer->written = target;
    ctx->call.to.target = target;

    if (r->upstream->request_bufs == NULL) {
        /* the lane's is not yet written */
        return NGX_OK;
    }

    return peer->api->grpc
           ? ngx_http_stoa_peer_again(r, ctx)
           : ngx_http_stoa_compat_rewrite(r, &ctx->call.to.uri,
                                          &ctx->call.to.host);
}


/* The grpc module compresses the head: it is made once more.  Nothing was
 * sent, as what streams is not tried twice. */

static ngx_int_t
ngx_http_stoa_peer_again(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  uri;

    uri = r->unparsed_uri;
    r->unparsed_uri = ctx->call.to.uri;
    r->upstream->ssl = ctx->call.to.target->tls;

    rc = r->upstream->create_request(r);

    r->unparsed_uri = uri;

    return rc;
}


#if (NGX_HTTP_SSL)

static ngx_int_t
ngx_http_stoa_peer_tls(ngx_http_request_t *r, ngx_http_stoa_peer_t *peer,
    ngx_http_stoa_target_t *target)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    u->schema = peer->ctx->call.to.scheme;
    u->ssl = target->tls;
    u->ssl_name = target->tls_name;

    peer->key.ssl = NULL;

    if (!target->tls) {
        return NGX_OK;
    }

    if (u->conf->ssl == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "stoa: no TLS settings for upstreams here");
        return NGX_ERROR;
    }

    peer->key.ssl = u->conf->ssl;
    peer->key.verify = u->conf->ssl_verify;
    peer->key.tls_name = target->tls_name;
    ngx_http_stoa_certificate_key(peer->api->policies, peer->key.shown);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_peer_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_stoa_peer_t *peer = data;

    ngx_http_stoa_target_t  *target;

    if (ngx_http_stoa_certificate_show(peer->api->policies, pc->connection)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    target = peer->tries->target;

    if (target->session == NULL
        || target->session_ssl != peer->request->upstream->conf->ssl)
    {
        return NGX_OK;
    }

    return ngx_ssl_set_session(pc->connection, target->session);
}


static void
ngx_http_stoa_peer_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_stoa_peer_t *peer = data;

    ngx_ssl_session_t       *session;
    ngx_http_stoa_target_t  *target;

    session = ngx_ssl_get_session(pc->connection);
    if (session == NULL) {
        return;
    }

    target = peer->tries->target;

    if (target->session) {
        ngx_ssl_free_session(target->session);
    }

    target->session = session;
    target->session_ssl = peer->request->upstream->conf->ssl;
}

#endif
