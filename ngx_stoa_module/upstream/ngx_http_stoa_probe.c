/*
 * One check of one address: a path by HTTP, a connection, or a ping of MCP.
 *
 * By its head an answer of HTTP is judged; of MCP it has to be a message, be
 * it an error: a server that wants a session first, or a credential, is up.
 *
 * Process: worker 0.  Lifetime: a pool of its own.  Limits:
 * NGX_HTTP_STOA_PROBES at once, each at most timeout_ms of its api, of an
 * answer NGX_HTTP_STOA_PROBE_BODY bytes.
 */

#include "ngx_http_stoa_health.h"
#include "ngx_http_stoa_certificate.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_PROBES      64
#define NGX_HTTP_STOA_PROBE_BODY  16384


typedef struct {
    ngx_http_stoa_api_t       *api;             /* held                      */
    ngx_http_stoa_target_t    *target;
    ngx_http_stoa_addr_t       addr;            /* a copy                    */
    ngx_http_stoa_fetch_t     *fetch;           /* NULL: of TCP              */
    ngx_pool_t                *pool;            /* of TCP                    */
    ngx_uint_t                 message;         /* begins like one of MCP    */
    ngx_uint_t                 asked;           /* unsigned                  */
} ngx_http_stoa_probe_t;


static void ngx_http_stoa_probe_http(ngx_http_stoa_probe_t *p);
static void ngx_http_stoa_probe_tcp(ngx_http_stoa_probe_t *p);
static void ngx_http_stoa_probe_tcp_event(ngx_event_t *ev);
static void ngx_http_stoa_probe_dummy(ngx_event_t *ev);
static void ngx_http_stoa_probe_tcp_end(ngx_http_stoa_probe_t *p,
    ngx_connection_t *c, ngx_uint_t why);
static ngx_int_t ngx_http_stoa_probe_get(ngx_http_stoa_fetch_t *f);
static ngx_int_t ngx_http_stoa_probe_session(ngx_http_stoa_fetch_t *f,
    ngx_connection_t *c, ngx_uint_t made);
static void ngx_http_stoa_probe_close(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_probe_head(ngx_http_stoa_fetch_t *f, void *data);
static void ngx_http_stoa_probe_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len);
static void ngx_http_stoa_probe_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static ngx_uint_t ngx_http_stoa_probe_expected(ngx_http_stoa_api_t *api,
    ngx_uint_t status);
static void ngx_http_stoa_probe_result(ngx_http_stoa_probe_t *p,
    ngx_uint_t why);


static const ngx_http_stoa_fetch_peers_t  ngx_http_stoa_probe_peers = {
    ngx_http_stoa_probe_get,
    NULL,
    ngx_http_stoa_probe_session,
    ngx_http_stoa_probe_close
};

static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_probe_handler = {
    ngx_http_stoa_probe_head,
    ngx_http_stoa_probe_chunk,
    ngx_http_stoa_probe_end
};

static ngx_str_t  ngx_http_stoa_probe_headers = ngx_string(
    "User-Agent: stoa-health/" NGX_HTTP_STOA_VERSION CRLF
    "Accept: */*" CRLF);

static ngx_str_t  ngx_http_stoa_probe_mcp_headers = ngx_string(
    "User-Agent: stoa-health/" NGX_HTTP_STOA_VERSION CRLF
    "Accept: application/json, text/event-stream" CRLF
    "Content-Type: application/json" CRLF);

static ngx_str_t  ngx_http_stoa_probe_ping = ngx_string(
    "{\"jsonrpc\":\"2.0\",\"id\":\"health\",\"method\":\"ping\"}");

static ngx_uint_t  ngx_http_stoa_probes;


ngx_uint_t
ngx_http_stoa_probe_free(void)
{
    return ngx_http_stoa_probes < NGX_HTTP_STOA_PROBES;
}


void
ngx_http_stoa_probe(ngx_http_stoa_api_t *api, ngx_http_stoa_target_t *target,
    ngx_http_stoa_addr_t *addr)
{
    ngx_pool_t             *pool;
    ngx_http_stoa_fetch_t  *f;
    ngx_http_stoa_probe_t  *p;

    f = NULL;

    if (api->health->type == STOA_HEALTH_TCP) {
        pool = ngx_create_pool(1024, ngx_cycle->log);

    } else {
        f = ngx_http_stoa_fetch_create(ngx_cycle->log);
        pool = f ? f->pool : NULL;
    }

    p = pool ? ngx_pcalloc(pool, sizeof(ngx_http_stoa_probe_t)) : NULL;

    if (p == NULL) {
        if (f) {
            ngx_http_stoa_fetch_cancel(f);

        } else if (pool) {
            ngx_destroy_pool(pool);
        }

        return;
    }

    p->api = api;
    p->target = target;
    p->addr = *addr;
    p->addr.name.data = p->addr.text;
    p->fetch = f;
    p->pool = pool;

    ngx_http_stoa_api_hold(api);
    ngx_http_stoa_probes++;
    ngx_http_stoa_count(health_checks, 1);

    if (f) {
        ngx_http_stoa_probe_http(p);

    } else {
        ngx_http_stoa_probe_tcp(p);
    }
}


/* ---- HTTP, MCP --------------------------------------------------------- */

static void
ngx_http_stoa_probe_http(ngx_http_stoa_probe_t *p)
{
    ngx_http_stoa_fetch_t  *f;

    f = p->fetch;

    f->headers = ngx_http_stoa_probe_headers;

    if (p->api->health->type == STOA_HEALTH_MCP && !p->api->rec->sse) {
        ngx_str_set(&f->method, "POST");
        f->headers = ngx_http_stoa_probe_mcp_headers;
        f->body = ngx_http_stoa_probe_ping;
    }

    f->handler = &ngx_http_stoa_probe_handler;
    f->data = p;
    f->peers = &ngx_http_stoa_probe_peers;
    f->peer = p;
    f->connect_timeout = p->api->health->timeout_ms;
    f->read_timeout = p->api->health->timeout_ms;
    f->deadline = ngx_current_msec + p->api->health->timeout_ms;
    f->max_body = NGX_HTTP_STOA_PROBE_BODY;
    f->fresh = 1;

    ngx_http_stoa_fetch_start(f);
}


static ngx_int_t
ngx_http_stoa_probe_get(ngx_http_stoa_fetch_t *f)
{
    ngx_http_stoa_probe_t *p = f->peer;

    stoa_str_t                  path;
    ngx_http_stoa_main_conf_t  *mcf;

    if (p->asked) {
        return NGX_DECLINED;
    }

    p->asked = 1;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);
    path = stoa_rec_str(p->api->rec, p->api->health->path);

    f->to.key.sockaddr = p->addr.sockaddr;
    f->to.key.socklen = p->addr.socklen;
    f->to.key.tls_name = p->target->tls_name;
    f->to.key.verify = p->api->rec->tls_verify;
    f->to.name = p->addr.name;
    f->to.host = p->target->host_header;

    f->to.uri.data = (u_char *) path.data;
    f->to.uri.len = path.len;

    if (path.len == 0) {
        f->to.uri = p->target->path;
    }

    if (f->to.uri.len == 0) {
        ngx_str_set(&f->to.uri, "/");
    }

    if (p->target->secure) {
        f->to.key.ssl = mcf->fetch_ssl;
        ngx_http_stoa_certificate_key(p->api->policies, f->to.key.shown);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_probe_session(ngx_http_stoa_fetch_t *f, ngx_connection_t *c,
    ngx_uint_t made)
{
    ngx_http_stoa_probe_t *p = f->peer;

    return made ? NGX_OK
                : ngx_http_stoa_certificate_show(p->api->policies, c);
}


static void
ngx_http_stoa_probe_close(ngx_http_stoa_fetch_t *f)
{
    ngx_http_stoa_probe_t *p = f->peer;

    ngx_http_stoa_probes--;
    ngx_http_stoa_api_release(p->api);
}


/* Nobody reads the rest. */

static void
ngx_http_stoa_probe_head(ngx_http_stoa_fetch_t *f, void *data)
{
    ngx_http_stoa_probe_t *p = data;

    ngx_uint_t  status;

    status = f->http.status;

    if (p->api->health->type == STOA_HEALTH_HTTP || p->api->rec->sse
        || status >= 500)
    {
        ngx_http_stoa_probe_result(p, ngx_http_stoa_probe_expected(p->api,
                                                                   status)
                                      ? NGX_HTTP_STOA_WHY_NONE : status);
        ngx_http_stoa_fetch_cancel(f);
    }
}


/* The name of a member that all messages of MCP have, in the first piece. */

static void
ngx_http_stoa_probe_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *s, size_t len)
{
    ngx_http_stoa_probe_t *p = data;

    static u_char  name[] = "\"jsonrpc\"";

    if (ngx_strlcasestrn((u_char *) s, (u_char *) s + len, name,
                         sizeof(name) - 2)
        == NULL)
    {
        return;
    }

    ngx_http_stoa_probe_result(p, NGX_HTTP_STOA_WHY_NONE);
    ngx_http_stoa_fetch_cancel(f);
}


static void
ngx_http_stoa_probe_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_probe_t *p = data;

    ngx_uint_t  why;

    switch (how) {

    case NGX_HTTP_STOA_FETCH_EXIT:
        return;

    case NGX_HTTP_STOA_FETCH_UNREACHABLE:
        why = NGX_HTTP_STOA_WHY_CONNECT;
        break;

    case NGX_HTTP_STOA_FETCH_TIMEOUT:
        why = NGX_HTTP_STOA_WHY_TIMEOUT;
        break;

    case NGX_HTTP_STOA_FETCH_DONE:
    case NGX_HTTP_STOA_FETCH_LARGE:
        why = f->http.status == NGX_HTTP_UNAUTHORIZED
              ? NGX_HTTP_STOA_WHY_NONE : NGX_HTTP_STOA_WHY_MCP;
        break;

    default:
        why = NGX_HTTP_STOA_WHY_INVALID;
        break;
    }

    ngx_http_stoa_probe_result(p, why);
}


static ngx_uint_t
ngx_http_stoa_probe_expected(ngx_http_stoa_api_t *api, ngx_uint_t status)
{
    return api->health->statuses.n
           ? ngx_http_stoa_target_status(api, &api->health->statuses, status)
           : status < 400;
}


/* ---- TCP --------------------------------------------------------------- */

static void
ngx_http_stoa_probe_tcp(ngx_http_stoa_probe_t *p)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = &p->addr.sockaddr.sockaddr;
    pc.socklen = p->addr.socklen;
    pc.name = &p->addr.name;
    pc.get = ngx_event_get_peer;
    pc.log = ngx_cycle->log;
    pc.log_error = NGX_ERROR_INFO;

    rc = ngx_event_connect_peer(&pc);
    c = pc.connection;

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_stoa_probe_tcp_end(p, NULL, NGX_HTTP_STOA_WHY_CONNECT);
        return;
    }

    if (rc == NGX_OK) {
        ngx_http_stoa_probe_tcp_end(p, c, NGX_HTTP_STOA_WHY_NONE);
        return;
    }

    c->data = p;
    c->idle = 1;
    c->read->handler = ngx_http_stoa_probe_dummy;
    c->write->handler = ngx_http_stoa_probe_tcp_event;

    ngx_add_timer(c->write, p->api->health->timeout_ms);
}


/* A worker that exits closes what is idle. */

static void
ngx_http_stoa_probe_dummy(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (c->close) {
        ngx_http_stoa_probe_tcp_event(c->write);
    }
}


static void
ngx_http_stoa_probe_tcp_event(ngx_event_t *ev)
{
    int                     err;
    socklen_t               len;
    ngx_connection_t       *c;

    c = ev->data;
    err = 0;
    len = sizeof(int);

    if (ev->timedout) {
        ngx_http_stoa_probe_tcp_end(c->data, c, NGX_HTTP_STOA_WHY_TIMEOUT);
        return;
    }

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    ngx_http_stoa_probe_tcp_end(c->data, c, err ? NGX_HTTP_STOA_WHY_CONNECT
                                                : NGX_HTTP_STOA_WHY_NONE);
}


static void
ngx_http_stoa_probe_tcp_end(ngx_http_stoa_probe_t *p, ngx_connection_t *c,
    ngx_uint_t why)
{
    if (c == NULL || !c->close) {
        ngx_http_stoa_probe_result(p, why);
    }

    if (c) {
        ngx_close_connection(c);
    }

    ngx_http_stoa_probes--;
    ngx_http_stoa_api_release(p->api);
    ngx_destroy_pool(p->pool);
}


/* ---- what came of it --------------------------------------------------- */

/* Only who made the check writes; who reads sees one word change. */

static void
ngx_http_stoa_probe_result(ngx_http_stoa_probe_t *p, ngx_uint_t why)
{
    char                      text[32];
    uint64_t                  now, was;
    stoa_str_t                tenant, name;
    ngx_uint_t                good;
    ngx_http_stoa_place_t    *place;
    const stoa_rec_health_t  *health;

    health = p->api->health;
    place = ngx_http_stoa_target_place(p->api, p->target, &p->addr);

    good = why == NGX_HTTP_STOA_WHY_NONE;

    if (!good) {
        ngx_http_stoa_count(health_failed, 1);
    }

    if (place == NULL) {
        return;
    }

    now = ngx_http_stoa_wall_ms();
    was = place->health;

    ngx_http_stoa_store(&place->health_at_ms, now);
    ngx_http_stoa_store(&place->health_why, (uint64_t) why);

    if (was == NGX_HTTP_STOA_HEALTH_UNKNOWN && good) {
        ngx_http_stoa_store(&place->health_since_ms, now);
        ngx_http_stoa_store(&place->health,
                            (uint64_t) NGX_HTTP_STOA_HEALTH_UP);
    }

    if (good == (was != NGX_HTTP_STOA_HEALTH_DOWN)) {
        ngx_http_stoa_store(&place->health_row, (uint64_t) 0);
        return;
    }

    ngx_http_stoa_store(&place->health_row, place->health_row + 1);

    if (place->health_row < (good ? health->up : health->down)) {
        return;
    }

    ngx_http_stoa_store(&place->health_row, (uint64_t) 0);
    ngx_http_stoa_store(&place->health_since_ms, now);
    ngx_http_stoa_store(&place->health,
                        (uint64_t) (good ? NGX_HTTP_STOA_HEALTH_UP
                                         : NGX_HTTP_STOA_HEALTH_DOWN));

    tenant = stoa_rec_str(p->api->rec, p->api->rec->tenant_name);
    name = stoa_rec_str(p->api->rec, p->api->rec->name);
    ngx_http_stoa_place_why(why, text);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "stoa: target %V of %*s/%*s is %s%s", &p->addr.name,
                  tenant.len, tenant.data, name.len, name.data,
                  good ? "up again" : "down: ", text);
}
