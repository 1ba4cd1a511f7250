/*
 * Tunnels of WebSocket.  nginx copies bytes from one connection to the other;
 * here what it reads from each is looked at first, frame by frame
 * (core/stoa_ws): counted, judged by the policy "websocket", and, where the
 * tunnel has to end, held up at the end of a frame, so that both sides get a
 * close frame of ours.
 *
 * What is no WebSocket passes unseen where no policy asks for more.
 *
 * Process: workers.  Lifetime: r->pool; a finisher gives the connections their
 * own functions back.  Limits: NGX_HTTP_STOA_TUNNEL_END for the close frames.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_policy_websocket.h"
#include "core/stoa_ws.h"


#define NGX_HTTP_STOA_TUNNEL_END   1000
#define NGX_HTTP_STOA_TUNNEL_LOOK  20
#define NGX_HTTP_STOA_TUNNEL_HEAD  6            /* of a client, at least     */
#define NGX_HTTP_STOA_TUNNEL_COUNT  60000


typedef enum { CLIENT = 0, UPSTREAM } ngx_http_stoa_tunnel_e;

/* What comes from one side. */

typedef struct {
    stoa_ws_t   ws;
    ngx_recv_pt recv;                           /* the connection's own      */
    u_char      held[STOA_WS_HEAD_MAX];         /* a head that has begun     */
    size_t      nheld;
    uint64_t    due_us[2];                      /* of messages, of bytes     */
    unsigned    stopped:1;                      /* nothing more goes on      */
    unsigned    told:1;                         /* it got our close frame    */
} ngx_http_stoa_tunnel_side_t;

typedef struct {
    ngx_http_request_t              *request;
    ngx_http_stoa_tunnel_side_t      side[2];
    ngx_event_t                      event;     /* while it ends             */
    const ngx_http_stoa_attached_t  *by;        /* NULL: no policy           */
    const stoa_policy_websocket_t   *conf;
    ngx_msec_t                       began;
    ngx_msec_t                       frame;     /* the last one              */
    ngx_msec_t                       sent;      /* ... to the client         */
    ngx_msec_t                       ending;    /* since when                */
    ngx_msec_t                       counted;   /* for usage                 */
    ngx_uint_t                       code;      /* 0: it does not            */
    const char                      *why;
    unsigned                         raw:1;     /* no WebSocket              */
    unsigned                         over:1;
} ngx_http_stoa_tunnel_t;


static ssize_t ngx_http_stoa_tunnel_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static size_t ngx_http_stoa_tunnel_scan(ngx_http_stoa_tunnel_t *t,
    ngx_uint_t from, u_char *data, size_t len);
static ngx_uint_t ngx_http_stoa_tunnel_judge(ngx_http_stoa_tunnel_t *t,
    ngx_uint_t from, const char **why);
static ngx_uint_t ngx_http_stoa_tunnel_fast(uint64_t *due, uint64_t n,
    uint64_t rate);
static void ngx_http_stoa_tunnel_close(ngx_http_stoa_tunnel_t *t,
    ngx_uint_t code, const char *why);
static void ngx_http_stoa_tunnel_ending(ngx_event_t *ev);
static ngx_uint_t ngx_http_stoa_tunnel_between(ngx_http_stoa_tunnel_t *t,
    ngx_uint_t from);
static ngx_uint_t ngx_http_stoa_tunnel_send(ngx_http_stoa_tunnel_t *t,
    ngx_uint_t to, ngx_uint_t opcode, ngx_str_t *data);
static void ngx_http_stoa_tunnel_finish(ngx_http_stoa_ctx_t *ctx, void *data);
static ngx_uint_t ngx_http_stoa_tunnel_deflate(ngx_http_request_t *r);


/* The head of the 101 is complete.  What has come behind it, and behind the
 * request, was read before. */

ngx_int_t
ngx_http_stoa_tunnel(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_buf_t               *b;
    ngx_connection_t        *c[2];
    ngx_http_stoa_tunnel_t  *t;

    t = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_tunnel_t));

    if (t == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_tunnel_finish, t)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    t->request = r;
    t->by = ctx->call.tunnel_by;
    t->conf = ctx->call.tunnel_rules;
    t->began = ngx_current_msec;
    t->frame = t->began;
    t->sent = t->began;

    t->event.handler = ngx_http_stoa_tunnel_ending;
    t->event.data = t;
    t->event.log = r->connection->log;

    t->side[CLIENT].ws.masked = 1;
    t->side[CLIENT].ws.deflate = ngx_http_stoa_tunnel_deflate(r);
    t->side[UPSTREAM].ws.deflate = t->side[CLIENT].ws.deflate;

    c[CLIENT] = r->connection;
    c[UPSTREAM] = r->upstream->peer.connection;

    t->side[CLIENT].recv = c[CLIENT]->recv;
    t->side[UPSTREAM].recv = c[UPSTREAM]->recv;

    ctx->call.tunnel = t;

    b = &r->upstream->buffer;
    b->last = b->pos + ngx_http_stoa_tunnel_scan(t, UPSTREAM, b->pos,
                                                 b->last - b->pos);

    b = r->header_in;
    b->last = b->pos + ngx_http_stoa_tunnel_scan(t, CLIENT, b->pos,
                                                 b->last - b->pos);

    c[CLIENT]->recv = ngx_http_stoa_tunnel_recv;
    c[UPSTREAM]->recv = ngx_http_stoa_tunnel_recv;

    ngx_http_stoa_count(tunnels, 1);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_tunnel_deflate(ngx_http_request_t *r)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash && ngx_http_stoa_header_named(h,
                                                  "sec-websocket-extensions")
            && ngx_strlcasestrn(h->value.data, h->value.data + h->value.len,
                                (u_char *) "permessage-deflate", 18 - 1))
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_stoa_tunnel_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_connection_t        *c;
    ngx_http_stoa_tunnel_t  *t = data;

    if (t->event.timer_set) {
        ngx_del_timer(&t->event);
    }

    t->over = 1;
    c = t->request->connection;

    if (c->recv == ngx_http_stoa_tunnel_recv) {
        c->recv = t->side[CLIENT].recv;
    }

    c = t->request->upstream ? t->request->upstream->peer.connection : NULL;

    if (c && c->recv == ngx_http_stoa_tunnel_recv) {
        c->recv = t->side[UPSTREAM].recv;
    }

    if (t->side[CLIENT].recv) {
        ngx_http_stoa_count(tunnels_ended, 1);
    }
}


/* As the connection's own: but of a frame that may not pass, or whose head is
 * not yet whole, nothing is there. */

static ssize_t
ngx_http_stoa_tunnel_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    size_t                        n;
    ssize_t                       rc;
    ngx_uint_t                    from;
    ngx_http_request_t           *r;
    ngx_http_stoa_ctx_t          *ctx;
    ngx_http_stoa_tunnel_t       *t;
    ngx_http_stoa_tunnel_side_t  *s;

    r = c->data;
    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);
    t = ctx->call.tunnel;
    from = c == r->connection ? CLIENT : UPSTREAM;
    s = &t->side[from];

    if (t->raw || t->over) {

        if (s->nheld && !t->over) {
            n = ngx_min(s->nheld, size);
            s->nheld -= n;
            ngx_memcpy(buf, s->held, n);
            ngx_memmove(s->held, s->held + n, s->nheld);
            return n;
        }

        return s->recv(c, buf, size);
    }

    for ( ;; ) {

        if (s->stopped || size <= s->nheld) {
            return NGX_AGAIN;
        }

        n = s->nheld;
        rc = s->recv(c, buf + n, size - n);

        if (rc <= 0) {
            return rc;
        }

        ngx_memcpy(buf, s->held, n);
        n = ngx_http_stoa_tunnel_scan(t, from, buf, n + rc);

        if (n) {
            return n;
        }
    }
}


/* How much of it goes on. */

static size_t
ngx_http_stoa_tunnel_scan(ngx_http_stoa_tunnel_t *t, ngx_uint_t from,
    u_char *data, size_t len)
{
    size_t                        n;
    u_char                       *p, *last;
    stoa_rc_t                     rc;
    ngx_uint_t                    code;
    const char                   *why;
    ngx_http_stoa_tunnel_side_t  *s;

    s = &t->side[from];
    s->nheld = 0;

    p = data;
    last = data + len;

    while (p < last && !t->raw) {

        if (s->ws.rest) {
            n = ngx_min((uint64_t) (last - p), s->ws.rest);
            s->ws.rest -= n;
            t->frame = ngx_current_msec;
            p += n;
            continue;
        }

        if (t->code) {
            s->stopped = 1;
            return p - data;
        }

        rc = stoa_ws_head(&s->ws, p, last - p, &n, &why);

        if (rc == STOA_AGAIN) {
            s->nheld = last - p;
            ngx_memcpy(s->held, p, s->nheld);
            return p - data;
        }

        code = rc == STOA_OK ? ngx_http_stoa_tunnel_judge(t, from, &why)
                             : STOA_WS_PROTOCOL;

        if (code && t->conf == NULL) {

            /* not ours to judge; what is no frame has no end */

            t->raw = 1;
            break;
        }

        if (code) {
            ngx_http_stoa_policy_count(t->by, NGX_HTTP_STOA_OUTCOME_REFUSED);
            s->ws.rest = 0;
            s->stopped = 1;
            ngx_http_stoa_tunnel_close(t, code, why);
            return p - data;
        }

        p += n;
    }

    return len;
}


/* A frame whose head was read: 0, or by which code it ends the tunnel. */

static ngx_uint_t
ngx_http_stoa_tunnel_judge(ngx_http_stoa_tunnel_t *t, ngx_uint_t from,
    const char **why)
{
    uint64_t                        max;
    const stoa_ws_t                *ws;
    ngx_http_stoa_tunnel_side_t    *s;
    const stoa_policy_websocket_t  *conf;

    s = &t->side[from];
    ws = &s->ws;
    conf = t->conf;

    t->frame = ngx_current_msec;

    if (from == UPSTREAM) {
        t->sent = ngx_current_msec;
    }

    if (ws->begins) {
        if (from == CLIENT) {
            ngx_http_stoa_count(tunnel_in, 1);

        } else {
            ngx_http_stoa_count(tunnel_out, 1);
        }
    }

    if (conf == NULL) {
        return 0;
    }

    max = from == CLIENT ? conf->max_message_bytes : conf->max_answer_bytes;

    if (max && !(ws->opcode & 0x8) && ws->message > max) {
        *why = "a message is too long";
        return STOA_WS_TOO_BIG;
    }

    if (from == UPSTREAM) {
        return 0;
    }

    /* a part that is empty costs a message, or there were no end of them */

    if (conf->messages_per_s
        && (ws->begins || (ws->opcode & 0x8) || ws->rest == 0)
        && ngx_http_stoa_tunnel_fast(&s->due_us[0], 1, conf->messages_per_s))
    {
        *why = "too many messages";
        return STOA_WS_POLICY;
    }

    if (conf->bytes_per_s
        && ngx_http_stoa_tunnel_fast(&s->due_us[1],
                                     ws->rest + NGX_HTTP_STOA_TUNNEL_HEAD,
                                     conf->bytes_per_s))
    {
        *why = "too many bytes";
        return STOA_WS_POLICY;
    }

    return 0;
}


/* A bucket of what comes in a second. */

static ngx_uint_t
ngx_http_stoa_tunnel_fast(uint64_t *due, uint64_t n, uint64_t rate)
{
    uint64_t  now;

    if (n > rate) {
        return 1;
    }

    now = (uint64_t) ngx_current_msec * 1000;

    if (*due < now) {
        *due = now;
    }

    if (*due + n * 1000000 / rate > now + 1000000) {
        return 1;
    }

    *due += n * 1000000 / rate;

    return 0;
}


/* ---- its end ------------------------------------------------------------ */

/* A second has passed.  Words, if it has to end, and *code. */

static const char *
ngx_http_stoa_tunnel_due(ngx_http_stoa_tunnel_t *t, ngx_uint_t *code)
{
    ngx_msec_t                      now;
    const stoa_policy_websocket_t  *conf;

    conf = t->conf;
    now = ngx_current_msec;
    *code = STOA_WS_AWAY;

    if (ngx_exiting || ngx_terminate) {
        return "the gateway goes away";
    }

    if (conf == NULL) {
        return NULL;
    }

    if (conf->max_s && now - t->began >= (ngx_msec_t) conf->max_s * 1000) {
        return "its time is over";
    }

    if (conf->idle_s && now - t->frame >= (ngx_msec_t) conf->idle_s * 1000) {
        return "nothing was said";
    }

    return NULL;
}


ngx_uint_t
ngx_http_stoa_tunnel_look(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const char *why)
{
    ngx_str_t                none;
    ngx_uint_t               code;
    ngx_http_stoa_tunnel_t  *t;

    t = ctx->call.tunnel;

    if (t == NULL) {
        return 0;
    }

    if (ngx_current_msec - t->counted >= NGX_HTTP_STOA_TUNNEL_COUNT
        || !ctx->call.told)
    {
        t->counted = ngx_current_msec;
        ngx_http_stoa_account_part(r, ctx);
    }

    if (t->raw) {
        return 0;
    }

    code = STOA_WS_POLICY;

    if (why == NULL) {
        why = ngx_http_stoa_tunnel_due(t, &code);
    }

    if (why) {
        ngx_http_stoa_tunnel_close(t, code, why);
        return 1;
    }

    if (t->conf && t->conf->ping_s
        && ngx_current_msec - t->sent
           >= (ngx_msec_t) t->conf->ping_s * 1000
        && ngx_http_stoa_tunnel_between(t, UPSTREAM))
    {
        ngx_str_set(&none, "");
        t->sent = ngx_current_msec;
        (void) ngx_http_stoa_tunnel_send(t, CLIENT, STOA_WS_PING, &none);
    }

    return 0;
}


static void
ngx_http_stoa_tunnel_close(ngx_http_stoa_tunnel_t *t, ngx_uint_t code,
    const char *why)
{
    if (t->code) {
        return;
    }

    t->code = code;
    t->why = why;
    t->ending = ngx_current_msec;

    ngx_http_set_log_request(t->request->connection->log, t->request);
    ngx_log_error(NGX_LOG_NOTICE, t->request->connection->log, 0,
                  "stoa: the WebSocket is closed, %ui: %s", code, why);

    ngx_http_stoa_count(tunnels_closed, 1);

    /* not here, as nginx may be in the middle of reading */

    ngx_add_timer(&t->event, 1);
}


/* Is all that came from there sent on, to the end of a frame? */

static ngx_uint_t
ngx_http_stoa_tunnel_between(ngx_http_stoa_tunnel_t *t, ngx_uint_t from)
{
    ngx_buf_t            *b;
    ngx_http_upstream_t  *u;

    u = t->request->upstream;

    if (t->side[from].ws.rest) {
        return 0;
    }

    if (from == UPSTREAM) {
        return u->buffer.pos == u->buffer.last;
    }

    b = t->request->header_in;

    return b->pos == b->last && u->from_client.pos == u->from_client.last;
}


static ngx_uint_t
ngx_http_stoa_tunnel_send(ngx_http_stoa_tunnel_t *t, ngx_uint_t to,
    ngx_uint_t opcode, ngx_str_t *data)
{
    size_t             n;
    u_char             frame[STOA_WS_HEAD_MAX + 128];
    uint32_t           mask;
    ngx_connection_t  *c;

    c = to == CLIENT ? t->request->connection
                     : t->request->upstream->peer.connection;

    mask = to == CLIENT ? 0 : (uint32_t) ngx_random() | 1;
    n = stoa_ws_control(frame, opcode, data->data, data->len, mask);

    return c->write->ready && c->send(c, frame, n) == (ssize_t) n;
}


static void
ngx_http_stoa_tunnel_ending(ngx_event_t *ev)
{
    u_char                   text[128], *p;
    ngx_str_t                data;
    ngx_uint_t               to;
    ngx_event_t             *rev;
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_stoa_tunnel_t  *t = ev->data;

    r = t->request;
    c = r->connection;

    if (t->over || r->upstream == NULL
        || r->upstream->peer.connection == NULL)
    {
        return;
    }

    text[0] = (u_char) (t->code >> 8);
    text[1] = (u_char) t->code;
    p = ngx_snprintf(text + 2, sizeof(text) - 8, "%s", t->why);
    data.data = text;
    data.len = p - text;

    for (to = CLIENT; to <= UPSTREAM; to++) {

        /* who has closed already reads no second one */

        if (t->side[!to].ws.closed) {
            t->side[to].told = 1;
        }

        if (!t->side[to].told && ngx_http_stoa_tunnel_between(t, !to)) {
            t->side[!to].stopped = 1;
            t->side[to].told = 1;
            (void) ngx_http_stoa_tunnel_send(t, to, STOA_WS_CLOSE, &data);
        }
    }

    rev = r->upstream->peer.connection->read;

    if (!(t->side[CLIENT].told && t->side[UPSTREAM].told)) {

        if (ngx_current_msec - t->ending < NGX_HTTP_STOA_TUNNEL_END) {
            ngx_add_timer(ev, NGX_HTTP_STOA_TUNNEL_LOOK);
            return;
        }

        rev->timedout = 1;

    } else {
        rev->eof = 1;
        rev->ready = 0;
    }

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    ngx_http_set_log_request(c->log, r);

    /* what the client still sends must not take our frame away; r may be gone
     * afterwards */

    t->over = 1;
    r->lingering_close = 1;
    rev->handler(rev);
    ngx_http_run_posted_requests(c);
}
