/*
 * The transport of 2024-11-05: a GET that is a stream, and POSTs to the URL
 * that its first event names, answered by 202; what they are answered comes
 * in the stream.
 *
 * The URL holds, sealed for the client, which worker has the stream.  A POST
 * goes through the steps until its message is read, and then, with its head,
 * through that worker's door (its own one, too).
 *
 * The answer to `initialize` has the session's id as its event's: a client
 * that comes again with it (Last-Event-ID) goes on in its session, whatever
 * became of the worker.  Others of this version cannot come again, hence a
 * worker that exits keeps its streams, for an hour.
 */

#include "ngx_http_stoa_pair.h"
#include "ngx_http_stoa_hop.h"
#include "ngx_http_stoa_door.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_zone.h"


#define NGX_HTTP_STOA_MCP_PAIR_FORMAT  2
#define NGX_HTTP_STOA_MCP_PAIR_PLAIN   (1 + 8 + NGX_HTTP_STOA_MCP_PLACE)
#define NGX_HTTP_STOA_MCP_PAIR_TEXT    384
#define NGX_HTTP_STOA_MCP_PAIR_HEAD    (1 + 8 + 4)   /* through the door     */
#define NGX_HTTP_STOA_MCP_PAIR_LAST    3600000       /* ms, when it exits    */
#define NGX_HTTP_STOA_MCP_PAIR_AGAIN   30000         /* a session's stream   */
#define NGX_HTTP_STOA_MCP_PAIR_TRIES   16
#define NGX_HTTP_STOA_MCP_PAIR_LISTS   64


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
    ngx_str_t                   detail;
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
        ngx_str_set(&detail, "The gateway has no room for one more stream.");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_STREAMS,
                                    &detail);
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

    ngx_http_stoa_mcp_pair_leave(p);
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
    size_t                      len, n;
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
    n = 9 + ngx_http_stoa_mcp_place(plain + 9);

    len = stoa_seal(STOA_SEAL_PAIR, (int64_t) ngx_http_stoa_wall_ms(),
                    (stoa_str_t) { (char *) principal, sizeof(principal) },
                    (stoa_str_t) { (char *) plain, n }, text, sizeof(text));

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

    if (p->session.len && p->listener == NULL
        && ngx_current_msec - p->heard >= NGX_HTTP_STOA_MCP_PAIR_AGAIN)
    {
        ngx_http_stoa_mcp_pair_listen(p);
    }
}


static void
ngx_http_stoa_mcp_pair_bye(ngx_http_stoa_mcp_hold_t *h)
{
    (void) ngx_http_stoa_mcp_writer_bytes(&h->writer, "retry: 500\n\n", 12);
}


static void
ngx_http_stoa_mcp_pair_event(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_stoa_mcp_pair_t  *p;

    p = ev->data;
    c = p->hold.request->connection;

    ngx_http_set_log_request(c->log, p->hold.request);

    if (p->listens && p->listener == NULL) {
        p->listens = 0;
        ngx_http_stoa_mcp_pair_listen(p);
    }

    if (p->hold.writer.queued > NGX_HTTP_STOA_MCP_PAIR_BYTES) {
        ngx_http_stoa_mcp_writer_push(&p->hold.writer);
    }

    if (p->hold.writer.queued > NGX_HTTP_STOA_MCP_PAIR_BYTES) {

        /* who does not read would not read an end either */

        p->hold.over = 1;
        c->error = 1;
    }

    ngx_http_stoa_mcp_hold_push(&p->hold);
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
    ngx_str_t                   text, head, peer, *arg;
    const u_char               *place;
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

    mcp->paired = 1;
    ngx_http_stoa_mcp_principal(ctx, principal);

    if (text.len < stoa_seal_text_len(1)
        || text.len > NGX_HTTP_STOA_MCP_PAIR_TEXT
        || !stoa_seal_open(STOA_SEAL_PAIR,
                           (stoa_str_t) { (char *) principal,
                                          sizeof(principal) },
                           (stoa_str_t) { (char *) text.data, text.len },
                           plain, &len)
        || len < 9 || plain[0] != NGX_HTTP_STOA_MCP_PAIR_FORMAT)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSION,
                                    NULL);
    }

    ngx_memcpy(&id, plain + 1, sizeof(id));
    place = plain + 9;

    if (ngx_http_stoa_mcp_place_read(&place, plain + len, &peer) != NGX_OK) {
        return ngx_http_stoa_mcp_hop(r, ctx, &peer);
    }

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
