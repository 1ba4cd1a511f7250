/*
 * The transport of 2024-11-05: a GET that is a stream, and POSTs to the URL
 * that its first event names, answered by 202; what they are answered comes in
 * the stream.
 *
 * The URL holds, sealed for the client, which worker has the stream.  A POST
 * goes through the steps until its message is read, and then, with its head,
 * through that worker's door (its own one, too).  There each message is an
 * inner request: limits, rights, log and counters see it as if it had come by
 * a POST of a later version, and nothing here decides about it.  The session's
 * id that it gets from `initialize` stays here; another inner request is the
 * GET of that session.
 *
 * The answer to `initialize` has the session's id as its event's: a client that
 * comes again with that (Last-Event-ID) goes on in its session, whatever became
 * of the worker.  Others of this version cannot come again, hence a worker that
 * exits keeps its streams, for an hour.
 *
 * Process: workers.  Lifetime: the stream is in r->pool, calls on the heap.
 * Limits: NGX_HTTP_STOA_MCP_PAIRS streams of a gateway; calls of one, and bytes
 * that its client has not taken: below.
 */

#include "ngx_http_stoa_hold.h"
#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_door.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_zone.h"


#define NGX_HTTP_STOA_MCP_PAIR_FORMAT  1
#define NGX_HTTP_STOA_MCP_PAIR_PLAIN   (1 + 8)
#define NGX_HTTP_STOA_MCP_PAIR_TEXT    128
#define NGX_HTTP_STOA_MCP_PAIR_HEAD    (1 + 8 + 4)   /* through the door     */
#define NGX_HTTP_STOA_MCP_PAIR_CALLS   64
#define NGX_HTTP_STOA_MCP_PAIR_BYTES   (32 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_PAIR_LAST    3600000       /* ms, when it exits    */
#define NGX_HTTP_STOA_MCP_PAIR_TRIES   16
#define NGX_HTTP_STOA_MCP_PAIR_LISTS   64


typedef struct ngx_http_stoa_mcp_paired_s  ngx_http_stoa_mcp_paired_t;

typedef struct {
    ngx_http_stoa_mcp_hold_t     hold;
    ngx_queue_t                  queue;       /* of this worker              */
    ngx_event_t                  event;
    uint64_t                     id;          /* random, and the worker      */
    ngx_str_t                    head;        /* of the GET, as lines        */
    ngx_str_t                    session;     /* len 0: none yet             */
    ngx_queue_t                  calls;
    ngx_uint_t                   ncalls;
    ngx_http_stoa_mcp_paired_t  *listener;    /* its GET                     */
    unsigned                     opened:1;    /* the next answer says so     */
    unsigned                     leaving:1;   /* the worker exits            */
} ngx_http_stoa_mcp_pair_t;

/* A message of the client's, or the GET of its session. */

struct ngx_http_stoa_mcp_paired_s {
    ngx_http_stoa_inner_t        inner;
    ngx_queue_t                  queue;
    ngx_http_stoa_mcp_pair_t    *pair;
    stoa_sse_t                   sse;
    stoa_buf_t                   answer;
    ngx_uint_t                   status;
    unsigned                     asks:1;      /* an answer is due            */
    unsigned                     opens:1;     /* initialize                  */
    unsigned                     events:1;    /* the answer is a stream      */
    size_t                       len;
    u_char                       id[4];       /* len bytes of JSON           */
};


static ngx_uint_t ngx_http_stoa_mcp_pair_claim(ngx_http_stoa_sh_t *sh,
    uint64_t *id);
static uint64_t *ngx_http_stoa_mcp_pair_slot(ngx_http_stoa_sh_t *sh,
    uint64_t id);
static ngx_int_t ngx_http_stoa_mcp_pair_lines(ngx_http_request_t *r,
    ngx_str_t *text);
static void ngx_http_stoa_mcp_pair_cleanup(void *data);
static ngx_int_t ngx_http_stoa_mcp_pair_begin(ngx_http_stoa_mcp_hold_t *h);
static size_t ngx_http_stoa_mcp_pair_url(ngx_http_stoa_mcp_pair_t *p,
    u_char *dst, size_t size);
static void ngx_http_stoa_mcp_pair_look(ngx_http_stoa_mcp_hold_t *h,
    ngx_uint_t kinds);
static void ngx_http_stoa_mcp_pair_bye(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_pair_event(ngx_event_t *ev);
static void ngx_http_stoa_mcp_pair_post_event(ngx_http_stoa_mcp_pair_t *p);
static void ngx_http_stoa_mcp_pair_listen(ngx_http_stoa_mcp_pair_t *p);
static void ngx_http_stoa_mcp_pair_take(ngx_http_stoa_mcp_pair_t *p,
    const ngx_str_t *head, ngx_str_t *body);
static ngx_http_stoa_mcp_paired_t *ngx_http_stoa_mcp_paired_create(
    ngx_http_stoa_mcp_pair_t *p, const stoa_json_val_t *id);
static void ngx_http_stoa_mcp_paired_free(ngx_http_stoa_mcp_paired_t *call);
static ngx_int_t ngx_http_stoa_mcp_paired_start(
    ngx_http_stoa_mcp_paired_t *call, const ngx_str_t *head, ngx_str_t *body);
static ngx_int_t ngx_http_stoa_mcp_paired_header(ngx_list_t *list,
    const ngx_str_t *name, const ngx_str_t *value);
static void ngx_http_stoa_mcp_paired_head(ngx_http_request_t *r, void *data);
static void ngx_http_stoa_mcp_paired_body(void *data, const u_char *p,
    size_t len);
static stoa_rc_t ngx_http_stoa_mcp_paired_event(void *data,
    const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_paired_over(void *data);
static void ngx_http_stoa_mcp_paired_tell(ngx_http_stoa_mcp_paired_t *call,
    const char *why);
static void ngx_http_stoa_mcp_pair_say(ngx_http_stoa_mcp_pair_t *p,
    const char *data, size_t len);


static const ngx_http_stoa_sink_t  ngx_http_stoa_mcp_pair_sink = {
    ngx_http_stoa_mcp_paired_head,
    ngx_http_stoa_mcp_paired_body,
    ngx_http_stoa_mcp_paired_over
};

/* What the message of a POST says of these is not its inner request's. */

static const char  *ngx_http_stoa_mcp_pair_own[] = {
    "mcp-session-id", "last-event-id", "accept", NULL
};

static ngx_str_t  ngx_http_stoa_mcp_pair_arg = ngx_string("stoa_s");


/* Of this worker. */

static ngx_queue_t  ngx_http_stoa_mcp_pairs[NGX_HTTP_STOA_MCP_PAIR_LISTS];


static ngx_queue_t *
ngx_http_stoa_mcp_pair_list(uint64_t id)
{
    ngx_queue_t  *q;

    q = &ngx_http_stoa_mcp_pairs[(id >> 33) % NGX_HTTP_STOA_MCP_PAIR_LISTS];

    if (q->next == NULL) {
        ngx_queue_init(q);
    }

    return q;
}


/* ---- the stream --------------------------------------------------------- */

/* Clients of later versions have a session, or name their version: without
 * both, who asks for a stream in so many words is one of the old. */

ngx_uint_t
ngx_http_stoa_mcp_pair_wanted(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                    *v;
    ngx_http_stoa_mcp_headers_t  *hs;

    static u_char  events[] = "text/event-stream";

    hs = &ctx->call.mcp->headers;

    if (r->method != NGX_HTTP_GET || hs->session || hs->version
        || hs->accept == NULL || !hs->events.taken)
    {
        return 0;
    }

    v = &hs->accept->value;

    return ngx_strlcasestrn(v->data, v->data + v->len, events,
                            sizeof(events) - 2)
           != NULL;
}


ngx_int_t
ngx_http_stoa_mcp_pair(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_table_elt_t            *last;
    ngx_http_cleanup_t         *cln;
    ngx_http_stoa_mcp_pair_t   *p;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    cln = ngx_http_cleanup_add(r, 0);
    p = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_pair_t));

    if (cln == NULL || p == NULL
        || ngx_http_stoa_mcp_pair_lines(r, &p->head) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_stoa_mcp_pair_claim(mcf->sh, &p->id)) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_STREAMS,
                                    NULL);
    }

    p->hold.request = r;
    p->hold.data = p;
    p->hold.begin = ngx_http_stoa_mcp_pair_begin;
    p->hold.look = ngx_http_stoa_mcp_pair_look;
    p->hold.bye = ngx_http_stoa_mcp_pair_bye;
    p->hold.stays = 1;

    p->event.handler = ngx_http_stoa_mcp_pair_event;
    p->event.data = p;
    p->event.log = r->connection->log;

    ngx_queue_init(&p->calls);
    ngx_queue_insert_tail(ngx_http_stoa_mcp_pair_list(p->id), &p->queue);

    cln->handler = ngx_http_stoa_mcp_pair_cleanup;
    cln->data = p;

    last = ctx->call.mcp->headers.last;
    p->session.data = ngx_pnalloc(r->pool, NGX_HTTP_STOA_MCP_TOKEN_MAX);

    if (p->session.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (last && last->value.len) {

        if (ngx_http_stoa_mcp_session_open(ctx, &last->value) != NGX_OK) {
            return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSION,
                                        NULL);
        }

        p->session.len = last->value.len;
        ngx_memcpy(p->session.data, last->value.data, last->value.len);
    }

    return ngx_http_stoa_mcp_hold(r, ctx, &p->hold);
}


static void
ngx_http_stoa_mcp_pair_cleanup(void *data)
{
    ngx_http_stoa_mcp_pair_t *p = data;

    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(p->hold.request,
                                        ngx_http_stoa_module);

    if (p->event.posted) {
        ngx_delete_posted_event(&p->event);
    }

    ngx_queue_remove(&p->queue);
    *ngx_http_stoa_mcp_pair_slot(mcf->sh, p->id) = 0;

    while (!ngx_queue_empty(&p->calls)) {
        ngx_http_stoa_mcp_paired_free(ngx_queue_data(
                                                   ngx_queue_head(&p->calls),
                                                   ngx_http_stoa_mcp_paired_t,
                                                   queue));
    }
}


static ngx_uint_t
ngx_http_stoa_mcp_pair_dead(uint64_t id)
{
    return kill((pid_t) (uint32_t) id, 0) == -1 && ngx_errno == NGX_ESRCH;
}


/* A slot says that the stream is there; those of the dead are taken. */

static ngx_uint_t
ngx_http_stoa_mcp_pair_claim(ngx_http_stoa_sh_t *sh, uint64_t *id)
{
    uint64_t    old, *slot;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_MCP_PAIR_TRIES; i++) {

        *id = ((uint64_t) (uint32_t) ngx_random() << 33)
              | ((uint64_t) 1 << 32) | (uint32_t) ngx_pid;
        slot = ngx_http_stoa_mcp_pair_slot(sh, *id);
        old = __atomic_load_n(slot, __ATOMIC_RELAXED);

        if ((old == 0 || ngx_http_stoa_mcp_pair_dead(old))
            && ngx_atomic_cmp_set((ngx_atomic_t *) slot, old, *id))
        {
            return 1;
        }
    }

    return 0;
}


static uint64_t *
ngx_http_stoa_mcp_pair_slot(ngx_http_stoa_sh_t *sh, uint64_t id)
{
    return &sh->mcp_pairs[(id >> 33) % NGX_HTTP_STOA_MCP_PAIRS];
}


static ngx_int_t
ngx_http_stoa_mcp_pair_begin(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_http_stoa_mcp_pair_t *p = h->data;

    size_t      len, size;
    u_char     *text, *end;

    h->until = (ngx_msec_t) -1 / 2;

    size = h->request->uri.len + NGX_HTTP_STOA_MCP_TOKEN_MAX + 4096;
    text = ngx_pnalloc(h->request->pool, size);

    if (text == NULL) {
        return NGX_ERROR;
    }

    end = ngx_sprintf(text, "event: endpoint\n");

    if (p->session.len) {
        end = ngx_sprintf(end, "id: %V\n", &p->session);
    }

    end = ngx_cpymem(end, "data: ", 6);
    len = ngx_http_stoa_mcp_pair_url(p, end, text + size - end);

    if (len == 0) {
        return NGX_ERROR;
    }

    end = ngx_cpymem(end + len, "\n\n", 2);

    if (p->session.len) {
        ngx_http_stoa_mcp_pair_listen(p);
    }

    return ngx_http_stoa_mcp_writer_bytes(&h->writer, (char *) text,
                                          end - text);
}


/* As the client has it: behind a proxy the path is that of
 * stoa_external_url. */

static size_t
ngx_http_stoa_mcp_pair_url(ngx_http_stoa_mcp_pair_t *p, u_char *dst,
    size_t size)
{
    char                        text[NGX_HTTP_STOA_MCP_PAIR_TEXT];
    size_t                      len;
    u_char                      plain[NGX_HTTP_STOA_MCP_PAIR_PLAIN];
    u_char                      principal[NGX_HTTP_STOA_MCP_PRINCIPAL], *base;
    u_char                     *end;
    ngx_str_t                  *url;
    ngx_http_request_t         *r;
    ngx_http_stoa_main_conf_t  *mcf;

    r = p->hold.request;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    url = &mcf->external_url;

    ngx_http_stoa_mcp_principal(p->hold.ctx, principal);

    plain[0] = NGX_HTTP_STOA_MCP_PAIR_FORMAT;
    ngx_memcpy(plain + 1, &p->id, sizeof(p->id));

    len = stoa_seal(STOA_SEAL_PAIR, (int64_t) ngx_http_stoa_wall_ms(),
                    (stoa_str_t) { (char *) principal, sizeof(principal) },
                    (stoa_str_t) { (char *) plain, sizeof(plain) }, text,
                    sizeof(text));

    if (len == 0) {
        return 0;
    }

    base = NULL;
    end = url->data + url->len;

    if (url->len) {
        base = ngx_strlchr(url->data, end, ':');
        base = base && end - base > 3 ? ngx_strlchr(base + 3, end, '/') : NULL;
    }

    return ngx_snprintf(dst, size, "%*s%V?%V=%*s",
                        base ? (size_t) (end - base) : (size_t) 0,
                        base ? base : (u_char *) "", &r->uri,
                        &ngx_http_stoa_mcp_pair_arg, len, text)
           - dst;
}


static void
ngx_http_stoa_mcp_pair_look(ngx_http_stoa_mcp_hold_t *h, ngx_uint_t kinds)
{
    ngx_http_stoa_mcp_pair_t *p = h->data;

    (void) kinds;                        /* its listener sees them           */

    if (ngx_exiting && !p->leaving) {
        p->leaving = 1;
        h->until = ngx_current_msec - h->since + NGX_HTTP_STOA_MCP_PAIR_LAST;
    }

    if (p->session.len && p->listener == NULL) {
        ngx_http_stoa_mcp_pair_listen(p);
    }
}


static void
ngx_http_stoa_mcp_pair_bye(ngx_http_stoa_mcp_hold_t *h)
{
    (void) ngx_http_stoa_mcp_writer_bytes(&h->writer, "retry: 500\n\n", 12);
}


/* Nothing is written to the client from within an inner request. */

static void
ngx_http_stoa_mcp_pair_post_event(ngx_http_stoa_mcp_pair_t *p)
{
    if (!p->event.posted) {
        ngx_post_event(&p->event, &ngx_posted_events);
    }
}


static void
ngx_http_stoa_mcp_pair_event(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_stoa_mcp_pair_t  *p;

    p = ev->data;
    c = p->hold.request->connection;

    ngx_http_set_log_request(c->log, p->hold.request);

    if (p->session.len && p->listener == NULL) {
        ngx_http_stoa_mcp_pair_listen(p);
    }

    if (p->hold.writer.queued > NGX_HTTP_STOA_MCP_PAIR_BYTES) {
        p->hold.over = 1;
    }

    ngx_http_stoa_mcp_hold_push(&p->hold);
    ngx_http_run_posted_requests(c);
}


/* ---- a POST ------------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_pair_post(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t                      len;
    u_char                      principal[NGX_HTTP_STOA_MCP_PRINCIPAL], *p;
    u_char                      plain[NGX_HTTP_STOA_MCP_PAIR_TEXT];
    uint32_t                    n;
    uint64_t                    id;
    ngx_str_t                   text, head, *arg;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_main_conf_t  *mcf;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    arg = &ngx_http_stoa_mcp_pair_arg;

    if (ctx->inner || r->args.len == 0
        || ngx_http_arg(r, arg->data, arg->len, &text) != NGX_OK)
    {
        return NGX_OK;
    }

    ngx_http_stoa_mcp_principal(ctx, principal);

    if (text.len < stoa_seal_text_len(1)
        || text.len > NGX_HTTP_STOA_MCP_PAIR_TEXT
        || !stoa_seal_open(STOA_SEAL_PAIR,
                           (stoa_str_t) { (char *) principal,
                                          sizeof(principal) },
                           (stoa_str_t) { (char *) text.data, text.len },
                           plain, &len)
        || len != NGX_HTTP_STOA_MCP_PAIR_PLAIN
        || plain[0] != NGX_HTTP_STOA_MCP_PAIR_FORMAT)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSION,
                                    NULL);
    }

    ngx_memcpy(&id, plain + 1, sizeof(id));

    if (*ngx_http_stoa_mcp_pair_slot(mcf->sh, id) != id) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSION,
                                    NULL);
    }

    if (ngx_http_stoa_mcp_pair_lines(r, &head) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    len = NGX_HTTP_STOA_MCP_PAIR_HEAD + head.len + mcp->body.len;
    p = ngx_pnalloc(r->pool, len);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = (uint32_t) head.len;
    p[0] = 'm';
    ngx_memcpy(p + 1, &id, sizeof(id));
    ngx_memcpy(p + 9, &n, sizeof(n));
    ngx_memcpy(p + NGX_HTTP_STOA_MCP_PAIR_HEAD, head.data, head.len);
    ngx_memcpy(p + NGX_HTTP_STOA_MCP_PAIR_HEAD + head.len, mcp->body.data,
               mcp->body.len);

    if (ngx_http_stoa_door_tell((ngx_pid_t) (uint32_t) id, p, len) != NGX_OK)
    {
        return ngx_http_stoa_refuse(r, ngx_http_stoa_mcp_pair_dead(id)
                                       ? NGX_HTTP_STOA_REFUSE_MCP_SESSION
                                       : NGX_HTTP_STOA_REFUSE_MCP_UNTOLD,
                                    NULL);
    }

    return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL);
}


/* name LF value LF ...: neither has an LF. */

static ngx_int_t
ngx_http_stoa_mcp_pair_lines(ngx_http_request_t *r, ngx_str_t *text)
{
    size_t                        len;
    u_char                       *p;
    const char                  **own;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    len = 0;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        len += h->key.len + h->value.len + 2;
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        for (own = ngx_http_stoa_mcp_pair_own; *own; own++) {
            if (ngx_http_stoa_header_equal(h, *own, ngx_strlen(*own))) {
                break;
            }
        }

        if (*own == NULL) {
            p = ngx_sprintf(p, "%V\n%V\n", &h->key, &h->value);
        }
    }

    text->len = p - text->data;

    return NGX_OK;
}


void
ngx_http_stoa_mcp_pair_came(const u_char *p, size_t len)
{
    uint32_t                   n;
    uint64_t                   id;
    ngx_str_t                  head, body;
    ngx_queue_t               *q, *list;
    ngx_http_stoa_mcp_pair_t  *pair;

    if (len < NGX_HTTP_STOA_MCP_PAIR_HEAD) {
        return;
    }

    ngx_memcpy(&id, p + 1, sizeof(id));
    ngx_memcpy(&n, p + 9, sizeof(n));

    if (n > len - NGX_HTTP_STOA_MCP_PAIR_HEAD) {
        return;
    }

    head.data = (u_char *) p + NGX_HTTP_STOA_MCP_PAIR_HEAD;
    head.len = n;
    body.data = head.data + n;
    body.len = len - NGX_HTTP_STOA_MCP_PAIR_HEAD - n;

    list = ngx_http_stoa_mcp_pair_list(id);

    for (q = ngx_queue_head(list); q != list; q = ngx_queue_next(q)) {
        pair = ngx_queue_data(q, ngx_http_stoa_mcp_pair_t, queue);

        if (pair->id == id && pair->hold.since) {
            ngx_http_stoa_mcp_pair_take(pair, &head, &body);
            return;
        }
    }

    ngx_http_stoa_count(mcp_lost, 1);
}


/* ---- its messages ------------------------------------------------------- */

static void
ngx_http_stoa_mcp_pair_take(ngx_http_stoa_mcp_pair_t *p,
    const ngx_str_t *head, ngx_str_t *body)
{
    int                          code;
    stoa_err_t                   err;
    stoa_jsonrpc_t               msg;
    ngx_http_stoa_mcp_paired_t  *call;

    if (stoa_jsonrpc_scan((char *) body->data, body->len, &msg, &code, &err)
        != STOA_OK)
    {
        return;                          /* whoever sent it knows            */
    }

    call = ngx_http_stoa_mcp_paired_create(p, &msg.id);
    if (call == NULL) {
        return;
    }

    call->asks = msg.kind == STOA_JSONRPC_REQUEST;
    call->opens = call->asks && msg.method == STOA_MCP_INITIALIZE;

    if (p->ncalls > NGX_HTTP_STOA_MCP_PAIR_CALLS) {
        ngx_http_stoa_mcp_paired_tell(call, "too many calls at one time");
        ngx_http_stoa_mcp_paired_free(call);

    } else if (ngx_http_stoa_mcp_paired_start(call, head, body) != NGX_OK) {
        ngx_http_stoa_mcp_paired_tell(call, "out of resources");
        ngx_http_stoa_mcp_paired_free(call);
    }

    ngx_http_stoa_mcp_pair_post_event(p);
}


static void
ngx_http_stoa_mcp_pair_listen(ngx_http_stoa_mcp_pair_t *p)
{
    ngx_http_stoa_mcp_paired_t  *call;

    call = ngx_http_stoa_mcp_paired_create(p, NULL);
    if (call == NULL) {
        return;
    }

    p->listener = call;

    if (ngx_http_stoa_mcp_paired_start(call, &p->head, NULL) != NGX_OK) {
        ngx_http_stoa_mcp_paired_free(call);
    }
}


static ngx_http_stoa_mcp_paired_t *
ngx_http_stoa_mcp_paired_create(ngx_http_stoa_mcp_pair_t *p,
    const stoa_json_val_t *id)
{
    size_t                       len;
    ngx_http_stoa_mcp_paired_t  *call;

    len = id && id->start ? (size_t) (id->end - id->start) : 0;

    call = ngx_calloc(sizeof(ngx_http_stoa_mcp_paired_t) + len,
                      ngx_cycle->log);
    if (call == NULL) {
        return NULL;
    }

    call->pair = p;
    call->inner.sink = &ngx_http_stoa_mcp_pair_sink;
    call->inner.data = call;
    call->len = len;

    if (len) {
        ngx_memcpy(call->id, id->start, len);
    }

    stoa_buf_init(&call->answer, NGX_HTTP_STOA_MCP_PAIR_BYTES);
    stoa_sse_init(&call->sse, NGX_HTTP_STOA_MCP_PAIR_BYTES,
                  ngx_http_stoa_mcp_paired_event, call);

    ngx_queue_insert_tail(&p->calls, &call->queue);
    p->ncalls++;

    return call;
}


static void
ngx_http_stoa_mcp_paired_free(ngx_http_stoa_mcp_paired_t *call)
{
    ngx_http_stoa_mcp_pair_t  *p;

    p = call->pair;

    if (p->listener == call) {
        p->listener = NULL;
    }

    ngx_http_stoa_inner_leave(&call->inner);
    ngx_queue_remove(&call->queue);
    p->ncalls--;

    stoa_buf_free(&call->answer);
    stoa_sse_free(&call->sse);
    ngx_free(call);
}


/* The call may be gone when this returns NGX_OK. */

static ngx_int_t
ngx_http_stoa_mcp_paired_start(ngx_http_stoa_mcp_paired_t *call,
    const ngx_str_t *head, ngx_str_t *body)
{
    u_char      *p, *end, *nl;
    ngx_int_t    rc;
    ngx_str_t    name, value;
    ngx_pool_t  *pool;
    ngx_list_t   list;

    static ngx_str_t  accept = ngx_string("Accept");
    static ngx_str_t  both = ngx_string("application/json, "
                                        "text/event-stream");
    static ngx_str_t  session = ngx_string("Mcp-Session-Id");

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_list_init(&list, pool, 20, sizeof(ngx_table_elt_t));

    p = head->data;
    end = p + head->len;

    while (rc == NGX_OK && p < end) {
        nl = ngx_strlchr(p, end, '\n');
        name.data = p;
        name.len = nl - p;
        p = nl + 1;
        nl = ngx_strlchr(p, end, '\n');
        value.data = p;
        value.len = nl - p;
        p = nl + 1;

        rc = ngx_http_stoa_mcp_paired_header(&list, &name, &value);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_paired_header(&list, &accept, &both);
    }

    if (rc == NGX_OK && call->pair->session.len && !call->opens) {
        rc = ngx_http_stoa_mcp_paired_header(&list, &session,
                                             &call->pair->session);
    }

    if (rc == NGX_OK) {
        call->inner.headers = &list.part;
        rc = ngx_http_stoa_inner_start(&call->inner, call->pair->hold.request,
                                       body);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
ngx_http_stoa_mcp_paired_header(ngx_list_t *list, const ngx_str_t *name,
    const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(list);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));
    h->key = *name;
    h->value = *value;
    h->hash = ngx_hash_key_lc(name->data, name->len);

    return NGX_OK;
}


/* ---- what they are answered --------------------------------------------- */

static void
ngx_http_stoa_mcp_paired_head(ngx_http_request_t *r, void *data)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    ngx_table_elt_t              *h;
    ngx_http_stoa_mcp_pair_t     *p;
    ngx_http_stoa_header_walk_t   w;

    p = call->pair;
    call->status = r->headers_out.status;
    call->events = ngx_http_stoa_header_events(&r->headers_out.content_type);

    if (!call->opens || call->status != NGX_HTTP_OK) {
        return;
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash == 0 || !ngx_http_stoa_header_named(h, "mcp-session-id")
            || h->value.len > NGX_HTTP_STOA_MCP_TOKEN_MAX)
        {
            continue;
        }

        if (p->listener) {
            ngx_http_stoa_mcp_paired_free(p->listener);
        }

        ngx_memcpy(p->session.data, h->value.data, h->value.len);
        p->session.len = h->value.len;
        p->opened = 1;
    }
}


static void
ngx_http_stoa_mcp_paired_body(void *data, const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    if (!call->events) {
        stoa_buf_add(&call->answer, p, len);
        return;
    }

    if (stoa_sse_feed(&call->sse, (char *) p, len) != STOA_OK) {
        call->pair->hold.over = 1;
    }

    ngx_http_stoa_mcp_pair_post_event(call->pair);
}


static stoa_rc_t
ngx_http_stoa_mcp_paired_event(void *data, const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    if (event->data.len) {
        ngx_http_stoa_mcp_pair_say(call->pair, event->data.data,
                                   event->data.len);
    }

    return STOA_OK;
}


static void
ngx_http_stoa_mcp_paired_over(void *data)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    ngx_http_stoa_mcp_pair_t  *p;

    p = call->pair;

    if (call == p->listener) {
        p->hold.over |= call->status != NGX_HTTP_OK;

    } else if (!call->events) {
        ngx_http_stoa_mcp_paired_tell(call, "no answer");
    }

    ngx_http_stoa_mcp_paired_free(call);
    ngx_http_stoa_mcp_pair_post_event(p);
}


/* One that is due and did not come is an error; nobody waits for one that is
 * not. */

static void
ngx_http_stoa_mcp_paired_tell(ngx_http_stoa_mcp_paired_t *call,
    const char *why)
{
    stoa_buf_t  b;

    if (call->answer.rc == STOA_OK && call->answer.len
        && (call->asks || call->status == NGX_HTTP_OK)
        && (call->answer.data[0] == '{' || call->answer.data[0] == '['))
    {
        ngx_http_stoa_mcp_pair_say(call->pair, call->answer.data,
                                   call->answer.len);

    } else if (call->asks) {
        stoa_buf_init(&b, 65536);
        stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
        stoa_buf_add(&b, call->id, call->len);
        stoa_buf_addf(&b, ",\"error\":{\"code\":-32603,\"message\":\"%s\"}}",
                      why);

        if (b.rc == STOA_OK) {
            ngx_http_stoa_mcp_pair_say(call->pair, b.data, b.len);
        }

        stoa_buf_free(&b);
    }
}


static void
ngx_http_stoa_mcp_pair_say(ngx_http_stoa_mcp_pair_t *p, const char *data,
    size_t len)
{
    stoa_sse_event_t  event;

    ngx_memzero(&event, sizeof(event));
    event.retry_ms = -1;
    event.data.data = data;
    event.data.len = len;

    if (p->opened) {
        p->opened = 0;
        event.has_id = 1;
        event.id.data = (char *) p->session.data;
        event.id.len = p->session.len;
    }

    if (ngx_http_stoa_mcp_hold_write(&p->hold, &event) != NGX_OK) {
        p->hold.over = 1;
    }
}
