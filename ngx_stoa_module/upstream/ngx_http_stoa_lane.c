/*
 * The fast lane: begin, send, receive, finish, hand over.
 *
 * What is not certain declines before anything is sent, or is handed over
 * before anything reaches the client: then nginx's own modules go on, with
 * their retries, timeouts, buffers and pages.
 */

#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_lane.h"
#include "ngx_http_stoa_zone.h"


/* An api whose answers are mostly handed over is seldom tried. */

#define NGX_HTTP_STOA_LANE_MISSES  8
#define NGX_HTTP_STOA_LANE_AGAIN   64

#define ngx_http_stoa_lane_count(what)                                        \
    ngx_http_stoa_add(&ngx_http_stoa_proc_self()->what, 1)


static ngx_uint_t ngx_http_stoa_lane_may(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_lane_plain(ngx_http_stoa_api_t *api);
static void ngx_http_stoa_lane_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_lane_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_lane_fits(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_http_stoa_lane_t *ngx_http_stoa_lane_create(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_lane_send(ngx_http_stoa_lane_t *lane,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_lane_write_handler(ngx_event_t *wev);
static void ngx_http_stoa_lane_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_http_stoa_lane_receive(ngx_http_stoa_lane_t *lane,
    ngx_connection_t *c);
static void ngx_http_stoa_lane_finish(ngx_http_stoa_lane_t *lane);
static void ngx_http_stoa_lane_state(ngx_http_stoa_lane_t *lane);
static void ngx_http_stoa_lane_release(ngx_http_stoa_lane_t *lane);
static void ngx_http_stoa_lane_cleanup(void *data);
static void ngx_http_stoa_lane_hand_over(ngx_http_stoa_lane_t *lane);


/* One request is written, one answer received at a time. */

static u_char  ngx_http_stoa_lane_request[NGX_HTTP_STOA_LANE_REQUEST];
static u_char  ngx_http_stoa_lane_answer[NGX_HTTP_STOA_LANE_ANSWER];


ngx_int_t
ngx_http_stoa_lane(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (!ngx_http_stoa_lane_may(r, ctx)) {
        ngx_http_stoa_lane_count(declined);
        return NGX_DECLINED;
    }

    if (r->request_body == NULL
        && (r->headers_in.content_length_n > 0 || r->headers_in.chunked))
    {
        rc = ngx_http_read_client_request_body(r, ngx_http_stoa_lane_body);

        return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
    }

    r->main->count++;

    if (ngx_http_stoa_lane_begin(r, ctx) != NGX_OK) {
        ngx_http_stoa_lane_count(declined);
        r->main->count--;
        return NGX_DECLINED;
    }

    return NGX_DONE;
}


static ngx_uint_t
ngx_http_stoa_lane_may(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_api_t  *api;

    if (ngx_http_stoa_lane_conf(r) == NULL) {
        return 0;
    }

    api = ctx->call.api;

    if (api->lane_misses >= NGX_HTTP_STOA_LANE_MISSES
        && ++api->lane_skipped % NGX_HTTP_STOA_LANE_AGAIN)
    {
        return 0;
    }

    return r == r->main
           && r == r->connection->data
           && r->http_version <= NGX_HTTP_VERSION_11
           && !r->internal
           && !r->post_action
           && !r->discard_body
           && r->method != NGX_HTTP_HEAD
           && r->headers_in.expect == NULL
           && r->headers_in.upgrade == NULL
           && r->upstream == NULL
           && r->upstream_states == NULL
           && ctx->call.to.host.len
           && !ctx->call.websocket
           && ctx->call.repeat == NULL          /* goes on without a client  */
           && ngx_http_stoa_lane_plain(api);
}


/* None of its targets speaks TLS, or is behind a link. */

static ngx_uint_t
ngx_http_stoa_lane_plain(ngx_http_stoa_api_t *api)
{
    ngx_uint_t  i;

    for (i = 0; i < api->ntargets; i++) {
        if (api->targets[i].tls || api->rec->sse) {
            return 0;
        }
    }

    return 1;
}


/* The body is read; whoever goes on has the reference to the request. */

static void
ngx_http_stoa_lane_body(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL || ngx_http_stoa_lane_begin(r, ctx) != NGX_OK) {
        ngx_http_stoa_lane_count(declined);
        ngx_http_finalize_request(r, ngx_http_stoa_peer_proxy(r));
    }
}


/* NGX_OK: under way.  NGX_DECLINED: a choice that was made is kept for nginx's
 * upstream (ngx_http_stoa_lane_take). */

static ngx_int_t
ngx_http_stoa_lane_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                *uri;
    ngx_int_t              rc;
    ngx_http_upstream_t   *u;
    ngx_http_cleanup_t    *cln;
    ngx_http_stoa_lane_t  *lane;

    uri = ctx->call.to.uri.data;

    if (!ngx_http_stoa_lane_fits(r, ctx)) {
        return NGX_DECLINED;
    }

    lane = ngx_http_stoa_lane_create(r, ctx);
    cln = ngx_http_cleanup_add(r, 0);

    if (lane == NULL || cln == NULL) {
        return NGX_DECLINED;
    }

    u = &lane->upstream;
    r->upstream = u;

    rc = ngx_http_stoa_peer_get(&u->peer, &lane->peer);

    /* another target may have a longer path */

    if (rc != NGX_DONE
        || (uri != ctx->call.to.uri.data && !ngx_http_stoa_lane_fits(r, ctx)))
    {
        r->upstream = NULL;

        if (rc == NGX_DONE
            && ngx_http_stoa_keepalive_put(&lane->peer.key,
                                           u->peer.connection)
               != NGX_OK)
        {
            ngx_http_stoa_peer_close(u->peer.connection);
        }

        if (rc == NGX_DONE || rc == NGX_OK) {
            u->peer.connection = NULL;
            ctx->call.peer = &lane->peer;
        }

        return NGX_DECLINED;
    }

    cln->handler = ngx_http_stoa_lane_cleanup;
    cln->data = lane;
    lane->cleanup = cln;

    ngx_http_stoa_lane_send(lane, ctx);

    return NGX_OK;
}


/* Head and body at most so long, the body in memory. */

static ngx_uint_t
ngx_http_stoa_lane_fits(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_chain_t  *cl;

    if (r->request_body) {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            if (cl->buf->in_file) {
                return 0;
            }
        }
    }

    return ngx_http_stoa_lane_length(r, ctx) <= NGX_HTTP_STOA_LANE_REQUEST;
}


static ngx_http_stoa_lane_t *
ngx_http_stoa_lane_create(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_upstream_t   *u;
    ngx_http_stoa_lane_t  *lane;

    lane = ngx_palloc(r->pool, sizeof(ngx_http_stoa_lane_t));
    if (lane == NULL) {
        return NULL;
    }

    ngx_memzero(lane, offsetof(ngx_http_stoa_lane_t, peer)
                      + offsetof(ngx_http_stoa_peer_t, first));

    lane->request = r;

    u = &lane->upstream;

    u->peer.log = r->connection->log;
    u->headers_in.content_length_n = -1;
    u->headers_in.last_modified_time = -1;
    u->start_time = ngx_current_msec;
    u->conf = ngx_http_stoa_peer_conf(ngx_http_stoa_lane_conf(r),
                                          ctx);
    if (u->conf == NULL) {
        return NULL;
    }

    ngx_http_stoa_peer_setup(&lane->peer, r, ctx);

    u->peer.data = &lane->peer;
    lane->peer.lane = lane;

    return lane;
}


static void
ngx_http_stoa_lane_send(ngx_http_stoa_lane_t *lane, ngx_http_stoa_ctx_t *ctx)
{
    size_t               len;
    ssize_t              n;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = lane->request;
    c = lane->upstream.peer.connection;

    c->requests++;
    c->data = lane;
    c->read->handler = ngx_http_stoa_lane_read_handler;
    c->write->handler = ngx_http_stoa_lane_write_handler;

    if (r->connection->read->timer_set) {
        ngx_del_timer(r->connection->read);
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    len = ngx_http_stoa_lane_write(r, ctx, ngx_http_stoa_lane_request)
          - ngx_http_stoa_lane_request;

    n = c->send(c, ngx_http_stoa_lane_request, len);

    if (n > 0 && (size_t) n == len) {
        lane->whole = 1;
        ngx_add_timer(c->read, lane->upstream.conf->read_timeout);
        return;
    }

    /* broken, or so slow that nginx sends the rest */

    if (n == NGX_ERROR) {
        lane->end = NGX_ERROR;
    }

    lane->sent = ngx_max(n, 0);
    ngx_http_stoa_lane_hand_over(lane);
}


/* All is sent; nginx would not look at it either. */

static void
ngx_http_stoa_lane_write_handler(ngx_event_t *wev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, wev->log, 0, "stoa lane write");
}


static void
ngx_http_stoa_lane_read_handler(ngx_event_t *rev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c, *client;
    ngx_http_stoa_lane_t  *lane;

    c = rev->data;
    lane = c->data;
    client = lane->request->connection;

    ngx_http_set_log_request(client->log, lane->request);

    rc = rev->timedout ? NGX_DECLINED : ngx_http_stoa_lane_receive(lane, c);

    if (rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_OK && lane->peer.api->retry
        && lane->upstream.headers_in.status_n >= NGX_HTTP_BAD_REQUEST)
    {
        rc = NGX_DECLINED;                   /* it may be tried again       */
    }

    if (rc == NGX_OK) {
        ngx_http_stoa_lane_finish(lane);

    } else if (rc == NGX_DECLINED) {
        ngx_http_stoa_lane_hand_over(lane);

    } else {
        ngx_http_finalize_request(lane->request,
                                  NGX_HTTP_INTERNAL_SERVER_ERROR);
    }

    ngx_http_run_posted_requests(client);
}


/* NGX_OK: a whole answer; NGX_DECLINED: nginx reads it; NGX_AGAIN. */

static ngx_int_t
ngx_http_stoa_lane_receive(ngx_http_stoa_lane_t *lane, ngx_connection_t *c)
{
    u_char   *p;
    ssize_t   n;

    n = c->recv(c, ngx_http_stoa_lane_answer,
                ngx_min(sizeof(ngx_http_stoa_lane_answer),
                        lane->upstream.conf->buffer_size));

    if (n == NGX_AGAIN) {
        return ngx_handle_read_event(c->read, 0) == NGX_OK ? NGX_AGAIN
                                                           : NGX_ERROR;
    }

    if (n <= 0) {
        lane->end = (n == 0) ? NGX_DONE : NGX_ERROR;
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(lane->request->pool, n + NGX_HTTP_STOA_LANE_SLACK
                                         + NGX_HTTP_STOA_LANE_NAMES);
    if (p == NULL) {
        return NGX_ERROR;
    }

    lane->in = p;
    p = ngx_cpymem(p, ngx_http_stoa_lane_answer, n);
    lane->in_last = p;

    ngx_memzero(p, NGX_HTTP_STOA_LANE_SLACK);
    lane->low = p + NGX_HTTP_STOA_LANE_SLACK;
    lane->low_end = lane->low + NGX_HTTP_STOA_LANE_NAMES;

    return ngx_http_stoa_lane_read(lane);
}


/* ---- the end of a call -------------------------------------------------- */

static void
ngx_http_stoa_lane_finish(ngx_http_stoa_lane_t *lane)
{
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_chain_t           out;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = lane->request;
    u = &lane->upstream;

    u->keepalive = 1;
    u->request_sent = 1;
    u->request_body_sent = 1;

    lane->peer.api->lane_misses = 0;
    ngx_http_stoa_lane_count(lane);

    ngx_http_stoa_lane_state(lane);
    ngx_http_stoa_lane_release(lane);

    r->read_event_handler = ngx_http_block_reading;
    r->connection->log->action = "sending to client";

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || ngx_http_stoa_lane_headers(lane) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    if (lane->peer.ctx->call.opened) {
        r->header_sent = 0;                  /* see the filter              */
    }

    rc = ngx_http_send_header(r);

    u->header_sent = 1;

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    b->pos = lane->body;
    b->last = lane->in_last;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));
}


/* What the variables of nginx's upstream module say. */

static void
ngx_http_stoa_lane_state(ngx_http_stoa_lane_t *lane)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = lane->request;
    u = &lane->upstream;

    r->upstream_states = ngx_array_create(r->pool, 1,
                                          sizeof(ngx_http_upstream_state_t));
    if (r->upstream_states == NULL) {
        return;
    }

    u->state = ngx_array_push(r->upstream_states);
    ngx_memzero(u->state, sizeof(ngx_http_upstream_state_t));

    u->state->peer = u->peer.name;
    u->state->status = u->headers_in.status_n;
    u->state->response_time = ngx_current_msec - u->start_time;
    u->state->header_time = u->state->status ? u->state->response_time
                                             : (ngx_msec_t) -1;
    u->state->bytes_sent = u->peer.connection->sent;
    u->state->bytes_received = lane->in_last - lane->in;
    u->state->response_length = lane->in_last - lane->body;
}


/* The connection goes back to its pool, or is closed. */

static void
ngx_http_stoa_lane_release(ngx_http_stoa_lane_t *lane)
{
    ngx_peer_connection_t  *pc;

    pc = &lane->upstream.peer;
    lane->cleanup->handler = NULL;

    ngx_http_stoa_peer_free(pc, &lane->peer, 0);

    if (pc->connection) {
        ngx_http_stoa_peer_close(pc->connection);
        pc->connection = NULL;
    }
}


/* The client has left, or the request has failed. */

static void
ngx_http_stoa_lane_cleanup(void *data)
{
    ngx_http_stoa_lane_t *lane = data;

    lane->body = lane->in_last;

    ngx_http_stoa_lane_state(lane);
    ngx_http_stoa_lane_release(lane);
}


/* ---- handing over ------------------------------------------------------- */

static void
ngx_http_stoa_lane_hand_over(ngx_http_stoa_lane_t *lane)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_stoa_api_t  *api;

    r = lane->request;
    c = lane->upstream.peer.connection;
    api = lane->peer.api;

    if (api->lane_misses < NGX_HTTP_STOA_LANE_MISSES) {
        api->lane_misses++;
    }

    ngx_http_stoa_lane_count(handed_over);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    lane->peer.ctx->call.peer = &lane->peer;

    ngx_http_finalize_request(r, ngx_http_stoa_peer_proxy(r));
}
