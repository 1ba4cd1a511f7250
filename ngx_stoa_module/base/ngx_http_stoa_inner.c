/*
 * Inner requests.  As nginx does it for the streams of HTTP/2: a connection of
 * its own per request, with the peer's and the server's facts, on which a
 * request is made that nobody has to parse.
 *
 * The connection is one end of a pair of sockets.  Nothing is written to it;
 * the other end is closed when the client leaves, which nginx sees as usual.
 */

#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_header.h"


static ngx_connection_t *ngx_http_stoa_inner_connect(
    ngx_http_stoa_inner_t *inner, ngx_http_request_t *of);
static ngx_int_t ngx_http_stoa_inner_peer(ngx_connection_t *c,
    ngx_http_request_t *of);
static ngx_int_t ngx_http_stoa_inner_log(ngx_connection_t *c,
    ngx_connection_t *from);
static void ngx_http_stoa_inner_close(ngx_http_stoa_inner_t *inner,
    ngx_connection_t *c);
static ngx_int_t ngx_http_stoa_inner_line(ngx_http_request_t *r,
    ngx_http_request_t *of, ngx_uint_t method);
static ngx_int_t ngx_http_stoa_inner_headers(ngx_http_request_t *r,
    ngx_list_part_t *part, const char *const *without);
static ngx_uint_t ngx_http_stoa_inner_hop(ngx_table_elt_t *h,
    const char *const *name);
static ngx_int_t ngx_http_stoa_inner_body(ngx_http_request_t *r,
    const ngx_str_t *body);
static ngx_chain_t *ngx_http_stoa_inner_send(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static void ngx_http_stoa_inner_over(void *data);


/* Of the head of a message that comes in another way. */

static const char *const  ngx_http_stoa_inner_hops[] = {
    "content-length", "transfer-encoding", "connection", "keep-alive",
    "upgrade", "expect", "te", "accept-encoding", "http2-settings", NULL
};


ngx_int_t
ngx_http_stoa_inner_start(ngx_http_stoa_inner_t *inner,
    ngx_http_request_t *of, const ngx_str_t *body)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (ngx_http_stoa_inner_make(inner, of, body) != NGX_OK) {
        return NGX_ERROR;
    }

    r = inner->request;
    c = r->connection;

    ngx_http_process_request(r);
    ngx_http_run_posted_requests(c);

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_inner_make(ngx_http_stoa_inner_t *inner,
    ngx_http_request_t *of, const ngx_str_t *body)
{
    ngx_connection_t     *c;
    ngx_pool_cleanup_t   *cln;
    ngx_http_request_t   *r;
    ngx_http_stoa_ctx_t  *ctx;

    c = ngx_http_stoa_inner_connect(inner, of);
    if (c == NULL) {
        return NGX_ERROR;
    }

    r = ngx_http_create_request(c);

    if (r == NULL) {
        ngx_http_stoa_inner_close(inner, c);
        return NGX_ERROR;
    }

    c->data = r;
    c->log->action = NULL;

    ctx = NULL;
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (ngx_http_stoa_inner_line(r, of, body ? NGX_HTTP_POST : NGX_HTTP_GET)
           == NGX_OK
        && ngx_http_stoa_inner_headers(r, inner->headers ? inner->headers
                                          : &of->headers_in.headers.part,
                                       inner->without ? inner->without
                                          : ngx_http_stoa_inner_hops)
           == NGX_OK
        && (body == NULL || ngx_http_stoa_inner_body(r, body) == NGX_OK))
    {
        ctx = ngx_http_stoa_ctx_create(r);
    }

    if (cln == NULL || ctx == NULL) {
        r->logged = 1;
        ngx_http_free_request(r, 0);
        ngx_http_stoa_inner_close(inner, c);
        return NGX_ERROR;
    }

    inner->request = r;
    inner->ctx = ctx;
    ctx->inner = inner;

    cln->handler = ngx_http_stoa_inner_over;
    cln->data = ctx;

    r->filter_need_in_memory = 1;
    r->main_filter_need_in_memory = 1;
    r->logged = inner->silent;

    return NGX_OK;
}


void
ngx_http_stoa_inner_drop(ngx_http_stoa_inner_t *inner)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = inner->request;

    if (r) {
        c = r->connection;
        r->logged = 1;
        ngx_http_free_request(r, 0);              /* it leaves               */
        ngx_http_close_connection(c);
    }
}


void
ngx_http_stoa_inner_leave(ngx_http_stoa_inner_t *inner)
{
    if (inner->request == NULL) {
        return;
    }

#if (NGX_SSL || NGX_COMPAT)
    inner->request->connection->ssl = NULL;
#endif
    inner->ctx->inner = NULL;
    inner->request = NULL;

    ngx_close_socket(inner->client);
}


/* The last but one that happens to a request: its connection is closed
 * next. */

static void
ngx_http_stoa_inner_over(void *data)
{
    ngx_http_stoa_ctx_t *ctx = data;

    ngx_http_stoa_inner_t  *inner;

    inner = ctx->inner;

    if (inner) {
        ngx_http_stoa_inner_leave(inner);
        inner->sink->over(inner->data);
    }
}


/* ---- its connection ----------------------------------------------------- */

static ngx_connection_t *
ngx_http_stoa_inner_connect(ngx_http_stoa_inner_t *inner,
    ngx_http_request_t *of)
{
    ngx_socket_t       s[2];
    ngx_connection_t  *c;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s)
        == -1)
    {
        ngx_log_error(NGX_LOG_ERR, of->connection->log, ngx_socket_errno,
                      "socketpair() failed");
        return NULL;
    }

    c = ngx_get_connection(s[0], of->connection->log);

    if (c == NULL) {
        ngx_close_socket(s[0]);
        ngx_close_socket(s[1]);
        return NULL;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    c->pool = ngx_create_pool(1024, of->connection->log);

    if (c->pool == NULL) {
#if (NGX_STAT_STUB)
        (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif
        ngx_close_connection(c);
        ngx_close_socket(s[1]);
        return NULL;
    }

    inner->client = s[1];
#if (NGX_SSL || NGX_COMPAT)
    inner->tls = of->connection->ssl != NULL;
#endif

    if (ngx_http_stoa_inner_peer(c, of) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_http_stoa_inner_close(inner, c);
        return NULL;
    }

    return c;
}


static void
ngx_http_stoa_inner_close(ngx_http_stoa_inner_t *inner, ngx_connection_t *c)
{
#if (NGX_SSL || NGX_COMPAT)
    c->ssl = NULL;                                 /* it is not ours         */
#endif
    ngx_http_close_connection(c);
    ngx_close_socket(inner->client);
}


static ngx_int_t
ngx_http_stoa_inner_peer(ngx_connection_t *c, ngx_http_request_t *of)
{
    ngx_connection_t          *from;
    ngx_http_connection_t     *hc;
    ngx_http_core_srv_conf_t  *cscf;

    from = of->connection;

    hc = ngx_palloc(c->pool, sizeof(ngx_http_connection_t));
    c->sockaddr = ngx_palloc(c->pool, from->socklen);
    c->local_sockaddr = ngx_palloc(c->pool, from->local_socklen);
    c->buffer = ngx_create_temp_buf(c->pool, 1);

    if (hc == NULL || c->sockaddr == NULL || c->local_sockaddr == NULL
        || c->buffer == NULL
        || ngx_http_stoa_inner_log(c, from) != NGX_OK
        || ngx_http_stoa_copy(c->pool, &c->addr_text, &from->addr_text)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    c->start_time = from->start_time;

    ngx_memcpy(c->sockaddr, from->sockaddr, from->socklen);
    c->socklen = from->socklen;
    ngx_memcpy(c->local_sockaddr, from->local_sockaddr, from->local_socklen);
    c->local_socklen = from->local_socklen;

    c->type = SOCK_STREAM;
    c->listening = from->listening;
    c->log_error = NGX_ERROR_INFO;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_http_stoa_inner_send;
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    c->write->ready = 1;

#if (NGX_SSL || NGX_COMPAT)
    if (from->ssl) {

        /* to be looked at, by variables and headers */

        c->ssl = ngx_palloc(c->pool, sizeof(ngx_ssl_connection_t));
        if (c->ssl == NULL) {
            return NGX_ERROR;
        }

        *c->ssl = *from->ssl;
    }
#endif

    cscf = ngx_http_get_module_srv_conf(of, ngx_http_core_module);

    /* the server is known, and the client's certificate was judged */

    ngx_memzero(hc, sizeof(ngx_http_connection_t));
    hc->addr_conf = of->http_connection->addr_conf;
    hc->conf_ctx = cscf->ctx;
    c->data = hc;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_inner_log(ngx_connection_t *c, ngx_connection_t *from)
{
    ngx_log_t           *log;
    ngx_http_log_ctx_t  *ctx;

    log = ngx_palloc(c->pool, sizeof(ngx_log_t));
    ctx = ngx_palloc(c->pool, sizeof(ngx_http_log_ctx_t));

    if (log == NULL || ctx == NULL) {
        return NGX_ERROR;
    }

    *log = *from->log;
    *ctx = *(ngx_http_log_ctx_t *) from->log->data;
    ctx->connection = c;
    ctx->request = NULL;
    ctx->current_request = NULL;

    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    log->data = ctx;
    log->connection = c->number;
    log->action = NULL;

    c->log = log;
    c->pool->log = log;
    c->read->log = log;
    c->write->log = log;

    return NGX_OK;
}


/* What no filter of ours has taken: a page of somebody else's. */

static ngx_chain_t *
ngx_http_stoa_inner_send(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    ngx_buf_t  *b;

    (void) limit;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;
        c->sent += ngx_buf_size(b);
        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    return NULL;
}


/* ---- its head ----------------------------------------------------------- */


static ngx_int_t
ngx_http_stoa_inner_line(ngx_http_request_t *r, ngx_http_request_t *of,
    ngx_uint_t method)
{
    ngx_str_t  line;

    static ngx_str_t  get = ngx_string("GET"), post = ngx_string("POST");

    r->method = method;
    r->method_name = method == NGX_HTTP_GET ? get : post;
    line = of->request_line;

    if (of->method != method) {
        line.data = ngx_pnalloc(r->pool, of->unparsed_uri.len + 20);
        if (line.data == NULL) {
            return NGX_ERROR;
        }

        line.len = ngx_sprintf(line.data, "%V %V HTTP/1.1", &r->method_name,
                               &of->unparsed_uri)
                   - line.data;
    }

    r->http_version = NGX_HTTP_VERSION_11;
    ngx_str_set(&r->http_protocol, "HTTP/1.1");
    r->valid_unparsed_uri = of->valid_unparsed_uri;

    if (ngx_http_stoa_copy(r->pool, &r->request_line, &line)
           != NGX_OK
        || ngx_http_stoa_copy(r->pool, &r->unparsed_uri,
                                    &of->unparsed_uri)
           != NGX_OK
        || ngx_http_stoa_copy(r->pool, &r->uri, &of->uri) != NGX_OK
        || (of->args.data             /* "/x" is not "/x?" */
            && ngx_http_stoa_copy(r->pool, &r->args, &of->args) != NGX_OK)
        || ngx_http_stoa_copy(r->pool, &r->headers_in.server,
                                    &of->headers_in.server)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_set_exten(r);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_inner_headers(ngx_http_request_t *r, ngx_list_part_t *part,
    const char *const *without)
{
    ngx_table_elt_t              *h, *to;
    ngx_http_header_t            *hh;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_stoa_header_walk_t   w;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    if (ngx_list_init(&r->headers_in.headers, r->pool, 20,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (h = ngx_http_stoa_header_first(&w, part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_inner_hop(h, without)) {
            continue;
        }

        to = ngx_list_push(&r->headers_in.headers);

        if (to == NULL
            || ngx_http_stoa_copy(r->pool, &to->key, &h->key) != NGX_OK
            || ngx_http_stoa_copy(r->pool, &to->value, &h->value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        to->hash = h->hash;
        ngx_http_stoa_header_end(to);
        to->lowcase_key = ngx_pnalloc(r->pool, h->key.len + 1);

        if (to->lowcase_key == NULL) {
            return NGX_ERROR;
        }

        ngx_strlow(to->lowcase_key, to->key.data, to->key.len);

        hh = ngx_hash_find(&cmcf->headers_in_hash, to->hash, to->lowcase_key,
                           to->key.len);

        if (hh && hh->handler(r, to, hh->offset) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    r->headers_in.connection_type = NGX_HTTP_CONNECTION_CLOSE;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_inner_hop(ngx_table_elt_t *h, const char *const *name)
{
    for ( /* void */ ; *name; name++) {
        if (h->key.len == ngx_strlen(*name)
            && ngx_strncasecmp(h->key.data, (u_char *) *name, h->key.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* It is read already, so nginx is not told of its length: it would linger at
 * the end for what was not. */

static ngx_int_t
ngx_http_stoa_inner_body(ngx_http_request_t *r, const ngx_str_t *body)
{
    ngx_buf_t                *b;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    cl = ngx_alloc_chain_link(r->pool);
    b = ngx_create_temp_buf(r->pool, body->len + 1);

    if (rb == NULL || cl == NULL || b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, body->data, body->len);
    b->last_buf = 1;
    cl->buf = b;
    cl->next = NULL;
    rb->bufs = cl;
    rb->buf = b;

    r->request_body = rb;
    r->preserve_body = 1;
    r->request_length = body->len;
    r->headers_in.content_length_n = 0;

    return NGX_OK;
}
