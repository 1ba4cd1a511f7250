/*
 * How nginx's upstream module takes over a call that the fast lane has begun:
 * the connection in flight, with one answer of ours for what it sends and
 * receives first.
 */

#include "ngx_http_stoa_lane.h"


static ngx_http_stoa_lane_t *ngx_http_stoa_lane_of(ngx_connection_t *c);
static ngx_chain_t *ngx_http_stoa_lane_sent(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static ssize_t ngx_http_stoa_lane_again(ngx_connection_t *c, u_char *buf,
    size_t size);


/*
 * From nginx's upstream module, which now has made the same request and asks
 * for a connection.  The bytes that were sent count as sent, those that were
 * read are read again.
 */

ngx_connection_t *
ngx_http_stoa_lane_take(ngx_http_stoa_peer_t *peer)
{
    ngx_connection_t      *c;
    ngx_http_upstream_t   *u;
    ngx_http_stoa_lane_t  *lane;

    lane = peer->lane;
    c = lane->upstream.peer.connection;

    if (c == NULL) {
        return NULL;
    }

    lane->upstream.peer.connection = NULL;
    lane->cleanup->handler = NULL;

    u = peer->request->upstream;
    u->start_time = lane->upstream.start_time;

    if (u->state) {
        u->state->connect_time = 0;
    }

    lane->send_chain = c->send_chain;
    lane->recv = c->recv;
    lane->ready = c->read->ready;

    c->send_chain = ngx_http_stoa_lane_sent;

    if (lane->in != lane->in_last || lane->end != NGX_OK
        || c->read->timedout)
    {
        c->recv = ngx_http_stoa_lane_again;
        c->read->ready = 1;
    }

    return c;
}


static ngx_http_stoa_lane_t *
ngx_http_stoa_lane_of(ngx_connection_t *c)
{
    ngx_http_request_t    *r;
    ngx_http_stoa_peer_t  *peer;

    r = c->data;
    peer = r->upstream->peer.data;

    return peer->lane;
}


/* For one call in the place of the connection's send_chain. */

static ngx_chain_t *
ngx_http_stoa_lane_sent(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    off_t                  sent;
    ngx_chain_t           *cl;
    ngx_http_stoa_lane_t  *lane;

    lane = ngx_http_stoa_lane_of(c);
    c->send_chain = lane->send_chain;

    sent = lane->sent;

    if (lane->whole || lane->end != NGX_OK) {
        for (sent = 0, cl = in; cl; cl = cl->next) {
            sent += ngx_buf_size(cl->buf);
        }
    }

    in = ngx_chain_update_sent(in, sent);

    return in ? c->send_chain(c, in, limit) : NULL;
}


/* For what was read, in the place of the connection's recv. */

static ssize_t
ngx_http_stoa_lane_again(ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t                 n;
    ngx_http_stoa_lane_t  *lane;

    lane = ngx_http_stoa_lane_of(c);

    n = ngx_min(size, (size_t) (lane->in_last - lane->in));

    if (n) {
        ngx_memcpy(buf, lane->in, n);
        lane->in += n;
    }

    if (lane->in == lane->in_last) {
        c->recv = lane->recv;
        c->read->ready = lane->ready;
    }

    if (n) {
        return n;
    }

    c->read->ready = 0;

    if (lane->end == NGX_DONE) {
        c->read->eof = 1;
        return 0;
    }

    c->read->error = 1;

    return NGX_ERROR;
}
