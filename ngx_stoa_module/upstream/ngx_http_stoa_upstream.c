
/*
 * The dynamic upstream "stoa_upstream": nginx's proxy module asks it for
 * peers, it answers with the targets of the request's api.
 *
 * Timeouts, TLS verification and names are the api's own.  Who is next is
 * ngx_http_stoa_balance.c's choice.
 *
 * Process: configuration in the master, peers in workers.
 */


#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_edge.h"


static ngx_http_stoa_ctx_t *ngx_http_stoa_upstream_clone(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_upstream_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_stoa_upstream_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_http_upstream_conf_t *ngx_http_stoa_upstream_conf(
    ngx_http_upstream_conf_t *base, ngx_http_stoa_api_t *api);
static ngx_int_t ngx_http_stoa_upstream_get(ngx_peer_connection_t *pc,
    void *data);
static ngx_http_stoa_target_t *ngx_http_stoa_upstream_next(
    ngx_http_stoa_peer_t *peer, ngx_uint_t *address);
static ngx_http_stoa_try_t *ngx_http_stoa_upstream_attempt(
    ngx_http_stoa_peer_t *peer, ngx_http_stoa_target_t *target,
    ngx_uint_t address);
static void ngx_http_stoa_upstream_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static void ngx_http_stoa_upstream_keep(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer, ngx_uint_t state);
static ngx_int_t ngx_http_stoa_upstream_address(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_target_t *target);
static ngx_int_t ngx_http_stoa_upstream_rewrite(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer, ngx_http_stoa_target_t *target);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_stoa_upstream_tls(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer, ngx_http_stoa_target_t *target);
static void ngx_http_stoa_upstream_trust(ngx_http_request_t *r,
    ngx_ssl_t *ssl);
static ngx_int_t ngx_http_stoa_upstream_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_stoa_upstream_save_session(ngx_peer_connection_t *pc,
    void *data);
#endif


static ngx_str_t  ngx_http_stoa_upstream_name = ngx_string("stoa_upstream");


ngx_int_t
ngx_http_stoa_upstream_add(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf)
{
    ngx_url_t                      u;
    ngx_http_core_srv_conf_t      *cscf;
    ngx_http_stoa_loc_conf_t      *slcf;
    ngx_http_upstream_srv_conf_t  *us;

    /* errors before a location is found are this server's, and ours */

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    slcf = cscf->ctx->loc_conf[ngx_http_stoa_module.ctx_index];
    slcf->speaks = 1;

    if (mcf->upstream) {
        return NGX_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.host = ngx_http_stoa_upstream_name;
    u.no_resolve = 1;
    u.no_port = 1;

    us = ngx_http_upstream_add(cf, &u, NGX_HTTP_UPSTREAM_CREATE);
    if (us == NULL) {
        return NGX_ERROR;
    }

    us->peer.init_upstream = ngx_http_stoa_upstream_init;
    mcf->upstream = us;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_upstream_init(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    us->peer.init = ngx_http_stoa_upstream_init_peer;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_upstream_forward(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  address;

    rc = ngx_http_stoa_resolve(r, ctx);

    if (rc == NGX_AGAIN || rc == NGX_ERROR) {
        return rc;
    }

    ctx->call.to.target = NULL;

    if (rc == NGX_OK) {
        ctx->call.to.target = ngx_http_stoa_balance_choose(ctx->call.api, NULL,
                                                        &address);
    }

    if (ctx->call.to.target == NULL) {
        return ngx_http_stoa_refuse(r,
                                    NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE,
                                    NULL);
    }

    if (ctx->call.edge->uri && ctx->call.edge->uri(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_upstream_address(r, ctx, ctx->call.to.target)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* an "if" in the location has the proxy module's own */

    if (r->content_handler) {
        r->content_handler = ngx_http_stoa_upstream_content;
    }

    return ngx_http_stoa_headers(r, ctx);
}


/*
 * A proxy_pass without URI and variables costs nothing: the proxy module sends
 * the request's own unparsed URI.  So it gets ours as that, until it has made
 * the request (ngx_http_stoa_upstream_init_peer).  $request_uri is evaluated
 * before, and nginx keeps its value.
 */

ngx_int_t
ngx_http_stoa_upstream_content(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_main_conf_t  *mcf;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL && r != r->main) {
        ctx = ngx_http_stoa_upstream_clone(r);
    }

    if (ctx == NULL || ctx->call.to.target == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_get_indexed_variable(r, mcf->request_uri) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->unparsed_uri = r->unparsed_uri;
    r->unparsed_uri = ctx->call.to.uri;
    r->valid_unparsed_uri = 1;

    return mcf->content_handler(r);
}


/*
 * nginx's own copies of a request begin here, behind all steps: the update of
 * a stale answer in the background, the next slice.  They go where the request
 * went that they were made for.
 */

static ngx_http_stoa_ctx_t *
ngx_http_stoa_upstream_clone(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx, *parent;

    parent = ngx_http_stoa_ctx(r->parent);

    if (parent == NULL || parent->call.to.target == NULL
        || parent->call.edge->subrequest)
    {
        return NULL;
    }

    ctx = ngx_http_stoa_ctx_clone(parent);
    if (ctx == NULL) {
        return NULL;
    }

    ctx->request = r;
    ctx->call.edge = parent->call.edge;
    ctx->call.api = parent->call.api;
    ctx->call.subscription = parent->call.subscription;
    ctx->call.to = parent->call.to;
    ctx->call.passed = 1;

    ngx_http_set_ctx(r, ctx, ngx_http_stoa_module);

    return ctx;
}


void
ngx_http_stoa_upstream_restore(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->unparsed_uri.data) {
        r->unparsed_uri = ctx->unparsed_uri;
        ngx_str_null(&ctx->unparsed_uri);
    }
}


/* What the variables of the macro say, for a target. */

static ngx_int_t
ngx_http_stoa_upstream_address(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_target_t *target)
{
    u_char      *p;
    ngx_uint_t   slash;

    ctx->call.to.host = target->host_header;
    ctx->call.to.tls_name = target->tls_name;

    if (target->tls) {
        ngx_str_set(&ctx->call.to.scheme, "https://");

    } else {
        ngx_str_set(&ctx->call.to.scheme, "http://");
    }

    slash = target->path.len == 0
            && (ctx->call.to.rest.len == 0
                || ctx->call.to.rest.data[0] != '/');

    if (target->path.len == 0 && !slash) {
        ctx->call.to.uri = ctx->call.to.rest;
        return NGX_OK;
    }

    if (ctx->call.to.rest.len == 0 && !slash) {
        ctx->call.to.uri = target->path;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, target->path.len + slash + ctx->call.to.rest.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->call.to.uri.data = p;

    p = ngx_cpymem(p, target->path.data, target->path.len);

    if (slash) {
        *p++ = '/';
    }

    p = ngx_cpymem(p, ctx->call.to.rest.data, ctx->call.to.rest.len);

    ctx->call.to.uri.len = p - ctx->call.to.uri.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_upstream_init_peer(ngx_http_request_t *r,
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

    ngx_http_stoa_upstream_restore(r, ctx);

    peer = ngx_palloc(r->pool, sizeof(ngx_http_stoa_peer_t));
    if (peer == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(peer, offsetof(ngx_http_stoa_peer_t, first));

    peer->request = r;
    peer->ctx = ctx;
    peer->api = ctx->call.api;
    peer->written = ctx->call.to.target;

    u = r->upstream;

    u->conf = ngx_http_stoa_upstream_conf(u->conf, ctx->call.api);
    if (u->conf == NULL) {
        return NGX_ERROR;
    }

    u->peer.data = peer;
    u->peer.get = ngx_http_stoa_upstream_get;
    u->peer.free = ngx_http_stoa_upstream_free;
    u->peer.tries = ngx_http_stoa_balance_tries(ctx->call.api);
#if (NGX_HTTP_SSL)
    u->peer.set_session = ngx_http_stoa_upstream_set_session;
    u->peer.save_session = ngx_http_stoa_upstream_save_session;
#endif

    if (!ctx->call.websocket) {

        /* or the upstream might make a tunnel of it */

        r->headers_in.upgrade = NULL;

    } else if (ngx_http_stoa_upgrade_ask(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_stoa_answer_hook(r, peer);

    return NGX_OK;
}


/*
 * The location's settings with the api's own: made once per location and
 * compiled api, which the request holds.  An upstream must not lead the
 * request to another location of this nginx.
 */

static ngx_http_upstream_conf_t *
ngx_http_stoa_upstream_conf(ngx_http_upstream_conf_t *base,
    ngx_http_stoa_api_t *api)
{
    ngx_http_upstream_conf_t     *conf;
    ngx_http_stoa_api_upconf_t   *made;

    for (made = api->upconf; made; made = made->next) {
        if (made->base == base) {
            return &made->conf;
        }
    }

    made = ngx_palloc(api->pool, sizeof(ngx_http_stoa_api_upconf_t));
    if (made == NULL) {
        return NULL;
    }

    conf = &made->conf;
    *conf = *base;

    if (api->rec->connect_timeout_ms) {
        conf->connect_timeout = api->rec->connect_timeout_ms;
    }

    if (api->rec->read_timeout_ms) {
        conf->read_timeout = api->rec->read_timeout_ms;
        conf->send_timeout = api->rec->read_timeout_ms;
    }

    conf->next_upstream_tries = 0;
    conf->ignore_headers |= NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT
                            |NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE
                            |NGX_HTTP_UPSTREAM_IGN_XA_CHARSET;

#if (NGX_HTTP_SSL)
    conf->ssl_name = NULL;
    conf->ssl_server_name = 1;
    conf->ssl_verify = api->rec->tls_verify;
#endif

    made->base = base;
    made->next = api->upconf;
    api->upconf = made;

    return conf;
}


static ngx_http_stoa_target_t *
ngx_http_stoa_upstream_next(ngx_http_stoa_peer_t *peer, ngx_uint_t *address)
{
    /* first the one that the request was made for */

    if (peer->tries == NULL
        && ngx_http_stoa_balance_pick(peer->api, peer->written, peer, 1,
                                       address))
    {
        return peer->written;
    }

    return ngx_http_stoa_balance_choose(peer->api, peer, address);
}


static ngx_int_t
ngx_http_stoa_upstream_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_stoa_peer_t *peer = data;

    ngx_uint_t               a;
    ngx_http_request_t      *r;
    ngx_http_stoa_try_t     *t;
    ngx_http_stoa_target_t  *target;

    r = peer->request;

    pc->cached = 0;
    pc->connection = NULL;

    target = ngx_http_stoa_upstream_next(peer, &a);

    if (target == NULL) {
        pc->name = &ngx_http_stoa_upstream_name;
        return NGX_BUSY;
    }

    if (target != peer->written
        && ngx_http_stoa_upstream_rewrite(r, peer, target) != NGX_OK)
    {
        return NGX_ERROR;
    }

    t = ngx_http_stoa_upstream_attempt(peer, target, a);
    if (t == NULL) {
        return NGX_ERROR;
    }

    pc->sockaddr = &t->sockaddr.sockaddr;
    pc->socklen = t->socklen;
    pc->name = &t->name;

    peer->key.sockaddr = t->sockaddr;
    peer->key.socklen = t->socklen;

#if (NGX_HTTP_SSL)
    if (ngx_http_stoa_upstream_tls(r, peer, target) != NGX_OK) {
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


/* Copied, as the target's addresses may change at any event. */

static ngx_http_stoa_try_t *
ngx_http_stoa_upstream_attempt(ngx_http_stoa_peer_t *peer,
    ngx_http_stoa_target_t *target, ngx_uint_t address)
{
    ngx_http_stoa_try_t   *t;
    ngx_http_stoa_addr_t  *addr;

    t = &peer->first;

    if (peer->used) {
        t = ngx_palloc(peer->request->pool, sizeof(ngx_http_stoa_try_t));
        if (t == NULL) {
            return NULL;
        }
    }

    peer->used = 1;

    addr = &target->addrs[address];
    target->next = address + 1;

    if (ngx_http_stoa_balance_down(peer->api, addr) == 0) {

        /* after a pause, one request at a time finds out */

        addr->failed_at = ngx_current_msec;
    }

    t->prev = peer->tries;
    t->target = target;
    t->sockaddr = addr->sockaddr;
    t->socklen = addr->socklen;
    t->name.data = t->text;
    t->name.len = addr->name.len;
    ngx_memcpy(t->text, addr->text, addr->name.len);

    peer->tries = t;
    target->active++;

    return t;
}


static void
ngx_http_stoa_upstream_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_stoa_peer_t *peer = data;

    ngx_http_stoa_try_t  *t;

    t = peer->tries;

    if (t) {
        ngx_http_stoa_upstream_keep(pc, peer, state);

        t->target->active--;

        if ((state & NGX_PEER_FAILED) && pc->cached) {

            /* closed while idle: nobody's fault, the same one again */

            peer->tries = t->prev;
            peer->fresh = 1;

        } else {
            ngx_http_stoa_balance_health(pc, peer, state & NGX_PEER_FAILED);
        }
    }

    if (pc->tries) {
        pc->tries--;
    }
}


static void
ngx_http_stoa_upstream_keep(ngx_peer_connection_t *pc,
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


/* Another target may have another path and another Host. */

static ngx_int_t
ngx_http_stoa_upstream_rewrite(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer, ngx_http_stoa_target_t *target)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = peer->ctx;

    if (ngx_http_stoa_upstream_address(r, ctx, target) != NGX_OK) {
        return NGX_ERROR;
    }

    peer->written = target;

    return ngx_http_stoa_compat_rewrite(r, &ctx->call.to.uri,
                                        &ctx->call.to.host);
}


#if (NGX_HTTP_SSL)

static ngx_int_t
ngx_http_stoa_upstream_tls(ngx_http_request_t *r, ngx_http_stoa_peer_t *peer,
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

    if (u->conf->ssl_verify) {
        ngx_http_stoa_upstream_trust(r, u->conf->ssl);
    }

    return NGX_OK;
}


/* Without proxy_ssl_trusted_certificate: what the system trusts. */

static void
ngx_http_stoa_upstream_trust(ngx_http_request_t *r, ngx_ssl_t *ssl)
{
    X509_STORE         *store;

    static ngx_ssl_t   *last;

    if (ssl == last) {
        return;
    }

    last = ssl;
    store = SSL_CTX_get_cert_store(ssl->ctx);

    if (sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) == 0
        && SSL_CTX_set_default_verify_paths(ssl->ctx) != 1)
    {
        ngx_ssl_error(NGX_LOG_ERR, r->connection->log, 0,
                      "stoa: cannot load the system's certificates");
    }
}


static ngx_int_t
ngx_http_stoa_upstream_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_stoa_peer_t *peer = data;

    ngx_http_stoa_target_t  *target;

    target = peer->tries->target;

    if (target->session == NULL
        || target->session_ssl != peer->request->upstream->conf->ssl)
    {
        return NGX_OK;
    }

    return ngx_ssl_set_session(pc->connection, target->session);
}


static void
ngx_http_stoa_upstream_save_session(ngx_peer_connection_t *pc, void *data)
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
