/*
 * A request goes on at another gateway of the group, by a fetch.
 *
 *   X-Stoa-Peer, sealed: format 1, issued 4 (big endian), family 1 (4, 6; 0:
 *   no address), port 2, address 16
 */

#include "ngx_http_stoa_hop.h"
#include "ngx_http_stoa_fetch.h"
#include "ngx_http_stoa_counters.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_zone.h"
#include "stoa_seal.h"


#define NGX_HTTP_STOA_MCP_HOP_FORMAT   1
#define NGX_HTTP_STOA_MCP_HOP_PLAIN    (1 + 4 + 1 + 2 + 16)
#define NGX_HTTP_STOA_MCP_HOP_TEXT     128
#define NGX_HTTP_STOA_MCP_HOP_AGE      60       /* s, and clocks that differ */
#define NGX_HTTP_STOA_MCP_HOP_CONNECT  3000
#define NGX_HTTP_STOA_MCP_HOP_READ     120000   /* comments come sooner     */


typedef struct {
    ngx_http_stoa_ctx_t         *ctx;
    ngx_http_stoa_fetch_t       *fetch;         /* NULL: it is over          */
    ngx_http_stoa_mcp_writer_t   writer;
    ngx_uint_t                   status;
    ngx_str_t                    head;          /* name: value LF ...        */
    unsigned                     headed:1;      /* an answer comes,          */
    unsigned                     sent:1;        /* the client has its head   */
    unsigned                     events:1;      /* it is a stream            */
    unsigned                     cut:1;
    unsigned                     known:1;       /* the other one has seen it */
    unsigned                     paused:1;
} ngx_http_stoa_mcp_hop_t;


static ngx_int_t ngx_http_stoa_mcp_hop_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *peer);
static ngx_int_t ngx_http_stoa_mcp_hop_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_hop_t *h,
    const ngx_str_t *peer);
static ngx_int_t ngx_http_stoa_mcp_hop_lines(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_pool_t *pool, ngx_str_t *lines);
static size_t ngx_http_stoa_mcp_hop_client(ngx_connection_t *c, char *text);
static void ngx_http_stoa_mcp_hop_cleanup(void *data);
static void ngx_http_stoa_mcp_hop_head(ngx_http_stoa_fetch_t *f, void *data);
static void ngx_http_stoa_mcp_hop_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len);
static void ngx_http_stoa_mcp_hop_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static ngx_int_t ngx_http_stoa_mcp_hop_content(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_mcp_hop_headers(ngx_http_request_t *r,
    ngx_http_stoa_mcp_hop_t *h);
static void ngx_http_stoa_mcp_hop_writable(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_hop_push(ngx_http_stoa_mcp_hop_t *h);


/* Of one connection, in either way; and what is said anew. */

static const char  *ngx_http_stoa_mcp_hop_own[] = {
    "host", "content-length", "transfer-encoding", "connection", "keep-alive",
    "upgrade", "expect", "te", "trailer", "accept-encoding", "http2-settings",
    "proxy-connection", "x-request-id", "x-stoa-peer", NULL
};

static const char  *ngx_http_stoa_mcp_hop_theirs[] = {
    "content-length", "transfer-encoding", "connection", "keep-alive",
    "upgrade", "trailer", "date", "server", "content-type", NULL
};

static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_hop_handler = {
    ngx_http_stoa_mcp_hop_head,
    ngx_http_stoa_mcp_hop_chunk,
    ngx_http_stoa_mcp_hop_end
};


/* Of this worker. */

static ngx_uint_t  ngx_http_stoa_mcp_hops;


/* ---- places ------------------------------------------------------------- */

static ngx_http_stoa_main_conf_t *
ngx_http_stoa_mcp_hop_conf(void)
{
    return ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_stoa_module);
}


size_t
ngx_http_stoa_mcp_place(u_char *dst)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_stoa_mcp_hop_conf();

    ngx_memcpy(dst, mcf->counters->head->id, 16);
    dst[16] = (u_char) mcf->peer.len;

    if (mcf->peer.len) {
        ngx_memcpy(dst + 17, mcf->peer.data, mcf->peer.len);
    }

    return 17 + mcf->peer.len;
}


ngx_int_t
ngx_http_stoa_mcp_place_read(const u_char **p, const u_char *end,
    ngx_str_t *peer)
{
    const u_char  *id;

    id = *p;
    peer->len = 0;

    if (end - id < 17 || end - id - 17 < id[16]) {
        return NGX_ERROR;
    }

    peer->len = id[16];
    peer->data = (u_char *) id + 17;
    *p = id + 17 + peer->len;

    return ngx_memcmp(id, ngx_http_stoa_mcp_hop_conf()->counters->head->id, 16)
           == 0 ? NGX_OK : NGX_DECLINED;
}


/* ---- here --------------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_hop(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *peer)
{
    ngx_uint_t                answer;
    ngx_http_stoa_mcp_t      *mcp;
    ngx_http_stoa_mcp_hop_t  *h;

    mcp = ctx->call.mcp;
    h = mcp->hop;

    /* one of a batch is passed on if nothing but 202 is to come back */

    answer = mcp->msg.kind == STOA_JSONRPC_RESPONSE && !mcp->paired;

    if (h == NULL && peer->len && !mcp->hopped
        && (ctx->inner == NULL || answer)
        && ngx_http_stoa_mcp_hops < NGX_HTTP_STOA_MCP_HOPS)
    {
        return ngx_http_stoa_mcp_hop_begin(r, ctx, peer);
    }

    if (h && h->headed && ctx->inner == NULL) {
        ctx->call.elsewhere = 1;
        r->content_handler = ngx_http_stoa_mcp_hop_content;
        return NGX_DONE;
    }

    if (h && h->fetch && !h->headed) {
        return NGX_AGAIN;
    }

    ctx->call.passed = 1;

    if (answer) {

        /* many clients end at a refusal of what they answer */

        ctx->call.elsewhere = h && h->headed;
        ngx_http_stoa_count(mcp_lost, !h || h->status != NGX_HTTP_ACCEPTED);
        return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL);
    }

    return ngx_http_stoa_refuse(r, h && h->known
                                   ? NGX_HTTP_STOA_REFUSE_MCP_CALL_LOST
                                   : NGX_HTTP_STOA_REFUSE_MCP_ELSEWHERE,
                                NULL);
}


static ngx_int_t
ngx_http_stoa_mcp_hop_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *peer)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_stoa_mcp_hop_t  *h;

    h = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_hop_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (h == NULL || cln == NULL
        || ngx_http_stoa_mcp_writer_init(&h->writer, r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->ctx = ctx;
    cln->handler = ngx_http_stoa_mcp_hop_cleanup;
    cln->data = h;
    ngx_http_stoa_mcp_hops++;
    ngx_http_stoa_count(mcp_hops, 1);

    if (ngx_http_stoa_mcp_hop_ask(r, ctx, h, peer) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->call.mcp->hop = h;

    return ngx_http_stoa_ctx_suspend(r);
}


static void
ngx_http_stoa_mcp_hop_cleanup(void *data)
{
    ngx_http_stoa_mcp_hop_t *h = data;

    ngx_http_stoa_mcp_hops--;

    if (h->fetch) {
        ngx_http_stoa_fetch_cancel(h->fetch);
    }
}


/* The request as it came: no step has changed what nginx has of it. */

static ngx_int_t
ngx_http_stoa_mcp_hop_ask(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_hop_t *h, const ngx_str_t *peer)
{
    ngx_buf_t              *b;
    ngx_str_t               url;
    ngx_http_stoa_fetch_t  *f;

    f = ngx_http_stoa_fetch_create(r->connection->log);
    if (f == NULL) {
        return NGX_ERROR;
    }

    h->fetch = f;

    url.len = peer->len + r->unparsed_uri.len;
    url.data = ngx_pnalloc(f->pool, url.len);

    if (url.data == NULL
        || ngx_http_stoa_mcp_hop_lines(r, ctx, f->pool, &f->headers)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(ngx_cpymem(url.data, peer->data, peer->len),
               r->unparsed_uri.data, r->unparsed_uri.len);

    if (ngx_http_stoa_fetch_peer(f, &url, r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->headers_in.host) {
        f->to.host = r->headers_in.host->value;
    }

    b = r->request_body && r->request_body->bufs ? r->request_body->bufs->buf
                                                 : NULL;
    f->method = r->method_name;
    f->body.data = b ? b->pos : NULL;
    f->body.len = b ? b->last - b->pos : 0;
    f->handler = &ngx_http_stoa_mcp_hop_handler;
    f->data = h;
    f->connect_timeout = NGX_HTTP_STOA_MCP_HOP_CONNECT;
    f->read_timeout = ngx_max(NGX_HTTP_STOA_MCP_HOP_READ,
                              2 * ngx_http_stoa_mcp_hop_conf()->mcp_keepalive);
    f->stay = 1;

    ngx_http_stoa_fetch_start(f);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_mcp_hop_has(const char **names, const u_char *name, size_t len)
{
    for ( /* void */ ; *names; names++) {
        if (len == ngx_strlen(*names)
            && ngx_strncasecmp((u_char *) name, (u_char *) *names, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_stoa_mcp_hop_lines(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_pool_t *pool, ngx_str_t *lines)
{
    char                          client[NGX_HTTP_STOA_MCP_HOP_TEXT];
    size_t                        len, n;
    u_char                       *p;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    n = ngx_http_stoa_mcp_hop_client(r->connection, client);
    len = sizeof("X-Stoa-Peer: \r\nX-Request-Id: \r\n") + n
          + ctx->request_id.len;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        len += h->key.len + h->value.len + 4;
    }

    p = ngx_pnalloc(pool, len);

    if (p == NULL || n == 0) {
        return NGX_ERROR;
    }

    lines->data = p;
    p = ngx_sprintf(p, "X-Stoa-Peer: %*s\r\nX-Request-Id: %V\r\n", n, client,
                    &ctx->request_id);

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (!ngx_http_stoa_mcp_hop_has(ngx_http_stoa_mcp_hop_own, h->key.data,
                                       h->key.len))
        {
            p = ngx_sprintf(p, "%V: %V\r\n", &h->key, &h->value);
        }
    }

    lines->len = p - lines->data;

    return NGX_OK;
}


static size_t
ngx_http_stoa_mcp_hop_client(ngx_connection_t *c, char *text)
{
    u_char                plain[NGX_HTTP_STOA_MCP_HOP_PLAIN];
    uint32_t              now;
    in_port_t             port;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    ngx_memzero(plain, sizeof(plain));
    now = htonl((uint32_t) ngx_time());
    plain[0] = NGX_HTTP_STOA_MCP_HOP_FORMAT;
    ngx_memcpy(plain + 1, &now, 4);

    switch (c->sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) c->sockaddr;
        plain[5] = 4;
        ngx_memcpy(plain + 8, &sin->sin_addr, 4);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) c->sockaddr;
        plain[5] = 6;
        ngx_memcpy(plain + 8, &sin6->sin6_addr, 16);
        break;
#endif
    }

    port = htons(ngx_inet_get_port(c->sockaddr));
    ngx_memcpy(plain + 6, &port, 2);

    return stoa_seal(STOA_SEAL_HOP, (int64_t) ngx_http_stoa_wall_ms(),
                     (stoa_str_t) { "", 0 },
                     (stoa_str_t) { (char *) plain, sizeof(plain) }, text,
                     NGX_HTTP_STOA_MCP_HOP_TEXT);
}


/* ---- what comes back ---------------------------------------------------- */

static void
ngx_http_stoa_mcp_hop_head(ngx_http_stoa_fetch_t *f, void *data)
{
    ngx_http_stoa_mcp_hop_t *h = data;

    stoa_str_t           type;
    ngx_http_request_t  *r;

    r = h->ctx->request;
    h->head.len = f->http.head.len;
    h->head.data = ngx_pnalloc(r->pool, h->head.len);

    if (h->head.data == NULL) {
        ngx_http_stoa_fetch_cancel(f);
        h->fetch = NULL;

    } else {
        ngx_memcpy(h->head.data, f->http.head.data, h->head.len);
        h->status = f->http.status;
        h->headed = 1;

        if (stoa_http_header(&f->http, "content-type", &type) == 1) {
            h->events = ngx_http_stoa_header_events(&(ngx_str_t) {
                            type.len, (u_char *) type.data });
        }
    }

    h->known = 1;

    ngx_http_stoa_ctx_wake(r);
}


/* It may come while the request is between its step and its content. */

static void
ngx_http_stoa_mcp_hop_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_hop_t *h = data;

    ngx_connection_t  *c;

    c = h->ctx->request->connection;

    if (ngx_http_stoa_mcp_writer_bytes(&h->writer, (char *) p, len) != NGX_OK)
    {
        ngx_http_stoa_fetch_cancel(f);
        h->fetch = NULL;
        h->cut = 1;
    }

    ngx_http_stoa_mcp_hop_push(h);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_stoa_mcp_hop_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_mcp_hop_t *h = data;

    ngx_connection_t  *c;

    c = h->ctx->request->connection;
    h->fetch = NULL;
    h->cut = how != NGX_HTTP_STOA_FETCH_DONE;
    h->known |= how != NGX_HTTP_STOA_FETCH_UNREACHABLE;

    if (h->cut) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0, "stoa: another gateway of the "
                      "group, %V, %s", &f->to.name,
                      h->headed ? "has broken off its answer"
                                : "did not answer");
    }

    if (!h->headed) {
        ngx_http_stoa_ctx_wake(h->ctx->request);
        return;
    }

    ngx_http_stoa_mcp_hop_push(h);
    ngx_http_run_posted_requests(c);
}


/* ---- to the client ------------------------------------------------------ */

static ngx_int_t
ngx_http_stoa_mcp_hop_content(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_stoa_ctx_t      *ctx;
    ngx_http_stoa_mcp_hop_t  *h;

    ctx = ngx_http_stoa_ctx(r);
    if (ctx == NULL || ctx->call.mcp == NULL || ctx->call.mcp->hop == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h = ctx->call.mcp->hop;

    if (ngx_http_stoa_mcp_hop_headers(r, h) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_stoa_filter_next_head(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    h->sent = 1;
    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_stoa_mcp_hop_writable;

    ngx_http_stoa_mcp_hop_push(h);

    return NGX_DONE;
}


/* It is another gateway's answer, whole: nothing of ours is added. */

static ngx_int_t
ngx_http_stoa_mcp_hop_headers(ngx_http_request_t *r,
    ngx_http_stoa_mcp_hop_t *h)
{
    size_t            len;
    u_char           *p, *end, *lf, *colon;
    ngx_str_t         value;
    ngx_table_elt_t  *to;

    static const char  *type[] = { "content-type", NULL };
    static const char  *length[] = { "content-length", NULL };

    ngx_http_clear_content_length(r);
    r->headers_out.status = h->status;

    p = h->head.data;
    end = p + h->head.len;

    for (p = ngx_strlchr(p, end, '\n'); p && ++p < end; p = lf) {
        lf = ngx_strlchr(p, end, '\n');
        colon = ngx_strlchr(p, lf ? lf : end, ':');

        if (colon == NULL || lf == NULL) {
            continue;
        }

        len = colon - p;
        value.data = colon + 2;
        value.len = lf > value.data ? lf - value.data : 0;

        if (ngx_http_stoa_mcp_hop_has(type, p, len)) {
            r->headers_out.content_type = value;
            r->headers_out.content_type_len = value.len;
            r->headers_out.content_type_lowcase = NULL;

        } else if (ngx_http_stoa_mcp_hop_has(length, p, len)) {
            r->headers_out.content_length_n = ngx_atoof(value.data, value.len);

        } else if (!ngx_http_stoa_mcp_hop_has(ngx_http_stoa_mcp_hop_theirs, p,
                                              len))
        {
            to = ngx_list_push(&r->headers_out.headers);
            if (to == NULL) {
                return NGX_ERROR;
            }

            ngx_memzero(to, sizeof(ngx_table_elt_t));
            to->hash = 1;
            to->key.data = p;
            to->key.len = len;
            to->value = value;
        }
    }

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_hop_writable(ngx_http_request_t *r)
{
    if (ngx_http_stoa_mcp_writer_goes_on(r)) {
        ngx_http_stoa_mcp_hop_push(ngx_http_stoa_ctx(r)->call.mcp->hop);
    }
}


/* What the other gateway was about to say is lost: a stream is told so. */

static ngx_int_t
ngx_http_stoa_mcp_hop_lost(ngx_http_stoa_mcp_hop_t *h)
{
    ngx_str_t            type, body;
    stoa_sse_event_t     event;
    ngx_http_request_t  *r;

    r = h->ctx->request;

    if (!h->events) {
        return NGX_ERROR;
    }

    h->ctx->call.refused = NGX_HTTP_STOA_REFUSE_MCP_CALL_LOST + 1;

    if (ngx_http_stoa_mcp_error(r, h->ctx,
                &ngx_http_stoa_refusals[NGX_HTTP_STOA_REFUSE_MCP_CALL_LOST],
                &type, &body)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memzero(&event, sizeof(stoa_sse_event_t));
    event.data.data = (char *) body.data;
    event.data.len = body.len;
    event.retry_ms = -1;

    return ngx_http_stoa_mcp_writer_bytes(&h->writer, "\n\n", 2) == NGX_OK
           ? ngx_http_stoa_mcp_writer_event(&h->writer, &event) : NGX_ERROR;
}


static void
ngx_http_stoa_mcp_hop_push(ngx_http_stoa_mcp_hop_t *h)
{
    ngx_int_t            rc;
    ngx_uint_t           full;
    ngx_http_request_t  *r;

    r = h->ctx->request;

    if (!h->sent || h->writer.ended) {
        return;
    }

    if (h->fetch == NULL) {
        rc = h->cut ? ngx_http_stoa_mcp_hop_lost(h) : NGX_OK;

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_mcp_writer_end(&h->writer);
        }

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_mcp_writer_send(&h->writer);
        }

        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_http_stoa_mcp_writer_push(&h->writer);

    if (r->connection->error) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    full = h->writer.queued >= NGX_HTTP_STOA_MCP_QUEUE_MAX;

    if (full == h->paused) {
        return;
    }

    h->paused = full;

    if (full) {
        ngx_http_stoa_fetch_pause(h->fetch);

    } else {
        ngx_http_stoa_fetch_resume(h->fetch);
    }
}


/* ---- there -------------------------------------------------------------- */

typedef struct {
    ngx_connection_t  *connection;
    struct sockaddr   *sockaddr;
    socklen_t          socklen;
    ngx_str_t          addr_text;
} ngx_http_stoa_mcp_hop_address_t;


static void
ngx_http_stoa_mcp_hop_restore(void *data)
{
    ngx_http_stoa_mcp_hop_address_t *old = data;

    old->connection->sockaddr = old->sockaddr;
    old->connection->socklen = old->socklen;
    old->connection->addr_text = old->addr_text;
}


/* The client's, for as long as the request lives. */

static ngx_int_t
ngx_http_stoa_mcp_hop_address(ngx_http_request_t *r, const u_char *plain)
{
    u_char                           *text;
    ngx_sockaddr_t                   *sa;
    ngx_connection_t                 *c;
    ngx_pool_cleanup_t               *cln;
    ngx_http_stoa_mcp_hop_address_t  *old;

    if (plain[5] != 4 && plain[5] != 6) {
        return NGX_OK;
    }

    c = r->connection;
    cln = ngx_pool_cleanup_add(r->pool, sizeof(*old));
    sa = ngx_pcalloc(r->pool, sizeof(ngx_sockaddr_t));
    text = ngx_pnalloc(r->pool, NGX_SOCKADDR_STRLEN);

    if (cln == NULL || sa == NULL || text == NULL) {
        return NGX_ERROR;
    }

    old = cln->data;
    old->connection = c;
    old->sockaddr = c->sockaddr;
    old->socklen = c->socklen;
    old->addr_text = c->addr_text;
    cln->handler = ngx_http_stoa_mcp_hop_restore;

    if (plain[5] == 4) {
        sa->sockaddr_in.sin_family = AF_INET;
        ngx_memcpy(&sa->sockaddr_in.sin_port, plain + 6, 2);
        ngx_memcpy(&sa->sockaddr_in.sin_addr, plain + 8, 4);
        c->socklen = sizeof(struct sockaddr_in);

    } else {
#if (NGX_HAVE_INET6)
        sa->sockaddr_in6.sin6_family = AF_INET6;
        ngx_memcpy(&sa->sockaddr_in6.sin6_port, plain + 6, 2);
        ngx_memcpy(&sa->sockaddr_in6.sin6_addr, plain + 8, 16);
        c->socklen = sizeof(struct sockaddr_in6);
#endif
    }

    c->sockaddr = &sa->sockaddr;
    c->addr_text.data = text;
    c->addr_text.len = ngx_sock_ntop(c->sockaddr, c->socklen, text,
                                     NGX_SOCKADDR_STRLEN, 0);

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_hop_came(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t                        len;
    u_char                        plain[NGX_HTTP_STOA_MCP_HOP_TEXT];
    int64_t                       age;
    uint32_t                      issued;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h && !ngx_http_stoa_header_is(h, "x-stoa-peer");
         h = ngx_http_stoa_header_next(&w))
    { /* void */ }

    if (h == NULL) {
        return NGX_OK;
    }

    /* the step that looks for the group's keys comes later */

    ngx_http_stoa_mcp_keys_fresh(r);

    if (h->value.len < stoa_seal_text_len(1)
        || h->value.len > NGX_HTTP_STOA_MCP_HOP_TEXT
        || !stoa_seal_open(STOA_SEAL_HOP, (stoa_str_t) { "", 0 },
                           (stoa_str_t) { (char *) h->value.data,
                                          h->value.len },
                           plain, &len)
        || len != NGX_HTTP_STOA_MCP_HOP_PLAIN
        || plain[0] != NGX_HTTP_STOA_MCP_HOP_FORMAT)
    {
        return NGX_OK;
    }

    /* by whatever address and at whatever time: it goes no further */

    ctx->call.mcp->hopped = 1;

    ngx_memcpy(&issued, plain + 1, 4);
    age = (int64_t) ngx_time() - (int64_t) ntohl(issued);

    if (age > NGX_HTTP_STOA_MCP_HOP_AGE || age < -NGX_HTTP_STOA_MCP_HOP_AGE) {
        return NGX_OK;
    }

    return ngx_http_stoa_mcp_hop_address(r, plain);
}
