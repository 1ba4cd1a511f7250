/*
 * GET of a legacy session: its own stream, and streams of calls that go on.
 *
 * The session's stream merges those of its sessions at upstreams: each event
 * is judged and marked as one in the stream of a call, and has an id that
 * tells where all of them are: any worker of any gateway goes on there.
 * A session has one such stream, the newest; the others end.
 *
 * The stream of a call goes on where its upstream's ended: the id of the last
 * event says of which, and what is asked for.  What cannot go on is told by an
 * error with the call's id, in an event behind which nothing comes.
 *
 * Each second it is looked at whether there are more sessions by now, and
 * whether lists have changed.
 *
 * Process: workers.  Lifetime: r->pool; the request is held by its count.
 * Limits: NGX_HTTP_STOA_MCP_SOURCES upstreams.
 */

#include "ngx_http_stoa_updates.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"


#define NGX_HTTP_STOA_MCP_GET_TRIES  3


typedef struct {
    ngx_http_stoa_mcp_hold_t     hold;
    ngx_queue_t                  queue;       /* of this worker; G           */
    ngx_http_stoa_mcp_eid_t     *from;        /* the client's; NULL: none    */
    ngx_uint_t                   kind;        /* as in an id                 */
    stoa_str_t                   rid;
    ngx_http_stoa_mcp_source_t  *sources;
    ngx_uint_t                   n;
    ngx_http_stoa_mcp_subbed_t   subbed;      /* G                           */
    stoa_buf_t                   id;          /* scratch: the event's,       */
    stoa_buf_t                   text;        /* and one with marks          */
    uint64_t                     turn;        /* among those of the session  */
    ngx_msec_t                   looked;
    ngx_uint_t                   selves;
    unsigned                     asked:1;     /* the client can be           */
    unsigned                     busy:1;      /* inside of a callback        */
    unsigned                     answered:1;
} ngx_http_stoa_mcp_get_t;


static ngx_http_stoa_mcp_get_t *ngx_http_stoa_mcp_get_create(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_get_from(ngx_http_request_t *r,
    ngx_http_stoa_mcp_get_t *g, ngx_str_t *text);
static void ngx_http_stoa_mcp_get_cleanup(void *data);
static ngx_int_t ngx_http_stoa_mcp_get_begin(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_get_more(void *data, const stoa_mcp_ref_t *ref);
static void ngx_http_stoa_mcp_get_source(ngx_http_stoa_mcp_get_t *g,
    const stoa_mcp_ref_t *ref, const stoa_str_t *eid);
static ngx_int_t ngx_http_stoa_mcp_get_write(ngx_http_stoa_mcp_get_t *g,
    ngx_http_stoa_mcp_source_t *src, stoa_sse_event_t *event);
static stoa_rc_t ngx_http_stoa_mcp_get_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_get_read(ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_get_goes_on(ngx_http_stoa_mcp_get_t *g,
    ngx_http_stoa_mcp_source_t *src);
static ngx_int_t ngx_http_stoa_mcp_get_lost(ngx_http_stoa_mcp_get_t *g);
static void ngx_http_stoa_mcp_get_look(ngx_http_stoa_mcp_hold_t *h,
    ngx_uint_t kinds);
static void ngx_http_stoa_mcp_get_gone(ngx_http_stoa_mcp_source_t *src);
static ngx_int_t ngx_http_stoa_mcp_get_changed(ngx_http_stoa_mcp_get_t *g,
    ngx_uint_t kind);
static void ngx_http_stoa_mcp_get_bye(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_get_full(ngx_http_stoa_mcp_hold_t *h,
    ngx_uint_t full);
static uint64_t ngx_http_stoa_mcp_get_turn(ngx_http_stoa_mcp_get_t *g,
    ngx_uint_t take);
static void ngx_http_stoa_mcp_get_all(ngx_http_stoa_mcp_get_t *g);
static stoa_rc_t ngx_http_stoa_mcp_get_updated(ngx_http_stoa_mcp_hold_t *h,
    ngx_http_stoa_mcp_source_t *src, const stoa_str_t *uri);


static ngx_queue_t  ngx_http_stoa_mcp_gets;


/* ---- the request ---------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_get(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                 rc;
    stoa_err_t                err;
    ngx_table_elt_t          *last;
    ngx_http_stoa_mcp_t      *mcp;
    ngx_http_stoa_mcp_get_t  *g;

    mcp = ctx->call.mcp;

    if (mcp->headers.repeated) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER, NULL);
    }

    if (ngx_http_stoa_mcp_session_open(ctx, &mcp->headers.session->value)
        != NGX_OK)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSION,
                                    NULL);
    }

    if (mcp->headers.accept && !mcp->headers.events.taken) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_ACCEPT, NULL);
    }

    g = ngx_http_stoa_mcp_get_create(r, ctx);
    if (g == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = mcp->headers.last;
    rc = NGX_DECLINED;

    if (last && last->value.len > NGX_HTTP_STOA_MCP_EID_TEXT) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER, NULL);
    }

    if (last && last->value.len) {
        rc = ngx_http_stoa_mcp_get_from(r, g, &last->value);
    }

    if (rc == NGX_OK && g->kind == 'E') {
        ngx_str_set(&ctx->call.allow, "GET, POST, DELETE");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_METHOD, NULL);
    }

    if (rc == NGX_OK && g->kind == 'P'
        && (g->from->n != 1
            || stoa_json_check(g->rid.data, g->rid.len, 1,
                               &mcp->msg.id, &err)
               != STOA_OK))
    {
        rc = NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        g->from = NULL;
        g->kind = 'G';
    }

    return ngx_http_stoa_mcp_hold(r, ctx, &g->hold);
}


/* The id of the last event that the client has. */

static ngx_int_t
ngx_http_stoa_mcp_get_from(ngx_http_request_t *r, ngx_http_stoa_mcp_get_t *g,
    ngx_str_t *text)
{
    ngx_int_t  rc;

    g->from = ngx_palloc(r->pool, sizeof(ngx_http_stoa_mcp_eid_t));
    if (g->from == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_mcp_eid_open(r, g->hold.ctx->call.mcp, text, g->from);

    if (rc == NGX_OK) {
        g->kind = g->from->kind;
        g->rid = g->from->rid;
    }

    return rc;
}


static ngx_http_stoa_mcp_get_t *
ngx_http_stoa_mcp_get_create(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_stoa_mcp_get_t  *g;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_mcp_get_t));
    if (cln == NULL) {
        return NULL;
    }

    g = cln->data;
    ngx_memzero(g, sizeof(ngx_http_stoa_mcp_get_t));

    g->hold.data = g;
    g->hold.ctx = ctx;
    g->hold.begin = ngx_http_stoa_mcp_get_begin;
    g->hold.look = ngx_http_stoa_mcp_get_look;
    g->hold.bye = ngx_http_stoa_mcp_get_bye;
    g->hold.full = ngx_http_stoa_mcp_get_full;
    g->subbed.hold = &g->hold;
    g->subbed.updated = ngx_http_stoa_mcp_get_updated;
    g->kind = 'G';
    g->asked = ctx->call.mcp->capabilities.len != 0;
    stoa_buf_init(&g->id, NGX_HTTP_STOA_MCP_EID_TEXT);
    stoa_buf_init(&g->text, NGX_HTTP_STOA_MCP_EVENT_MAX + 16384);

    cln->handler = ngx_http_stoa_mcp_get_cleanup;

    return g;
}


static void
ngx_http_stoa_mcp_get_cleanup(void *data)
{
    ngx_http_stoa_mcp_get_t *g = data;

    if (g->queue.next) {
        ngx_queue_remove(&g->queue);
    }

    ngx_http_stoa_mcp_sources_free(&g->sources);
    ngx_http_stoa_mcp_sources_free(&g->subbed.sources);

    stoa_buf_free(&g->id);
    stoa_buf_free(&g->text);
}


/* A first event with an id that is new: clients tell by it that they were
 * served.  It comes when upstreams have the stream, too: what one asks there
 * in a call that the client makes now is for nobody otherwise. */

static ngx_int_t
ngx_http_stoa_mcp_get_begin(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_http_stoa_mcp_get_t *g = h->data;

    ngx_uint_t        i;
    stoa_sse_event_t  event;

    g->looked = ngx_current_msec;
    g->busy = 1;

    if (g->kind == 'P') {
        ngx_http_stoa_mcp_get_source(g, &g->from->source[0].ref,
                                     &g->from->source[0].eid);
        g->busy = 0;

        return g->sources ? NGX_OK : ngx_http_stoa_mcp_get_lost(g);
    }

    g->turn = ngx_http_stoa_mcp_get_turn(g, 1);

    for (i = 0; g->from && i < g->from->n; i++) {
        ngx_http_stoa_mcp_get_source(g, &g->from->source[i].ref,
                                     &g->from->source[i].eid);
    }

    if (ngx_http_stoa_mcp_gets.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_mcp_gets);
    }

    ngx_queue_insert_tail(&ngx_http_stoa_mcp_gets, &g->queue);

    g->subbed.again = g->from != NULL;
    ngx_http_stoa_mcp_get_all(g);

    g->busy = 0;
    h->waits = ngx_http_stoa_mcp_sources_wait(g->sources);

    ngx_memzero(&event, sizeof(event));
    event.data.data = "";
    event.retry_ms = 1000 + ngx_random() % 2000;

    return ngx_http_stoa_mcp_get_write(g, NULL, &event);
}


/* A session at an upstream was opened: what it says before the next look must
 * not be lost. */

void
ngx_http_stoa_mcp_get_poke(uint64_t key)
{
    ngx_queue_t                *q;
    ngx_http_stoa_mcp_get_t    *g;
    ngx_http_stoa_main_conf_t  *mcf;

    if (ngx_http_stoa_mcp_gets.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_gets);
         q != &ngx_http_stoa_mcp_gets;
         q = ngx_queue_next(q))
    {
        g = ngx_queue_data(q, ngx_http_stoa_mcp_get_t, queue);

        if ((ngx_http_stoa_mcp_client(g->hold.ctx->call.mcp) ^ key) >> 32
            || g->hold.over || !(g->asked || g->hold.change.talks))
        {
            continue;
        }

        mcf = ngx_http_get_module_main_conf(g->hold.request,
                                            ngx_http_stoa_module);

        if (ngx_http_stoa_store_enter(mcf->store) == NGX_OK) {
            g->busy = 1;
            ngx_http_stoa_mcp_get_all(g);
            g->busy = 0;
        }
    }
}


/* ---- upstreams ---------------------------------------- */

/* Those there are by now. */

static void
ngx_http_stoa_mcp_get_all(ngx_http_stoa_mcp_get_t *g)
{
    if (g->asked || g->hold.change.talks) {
        ngx_http_stoa_mcp_relay_sessions(g->hold.request, g->hold.ctx, 0,
                                         ngx_http_stoa_mcp_get_more, g);
    }

    if (g->hold.change.talks) {
        ngx_http_stoa_mcp_subbed_look(&g->subbed);
    }
}


static void
ngx_http_stoa_mcp_get_more(void *data, const stoa_mcp_ref_t *ref)
{
    ngx_http_stoa_mcp_get_t *g = data;

    ngx_http_stoa_mcp_source_t  *src, **prev;

    static const stoa_str_t  none = { "", 0 };

    for (prev = &g->sources; (src = *prev) != NULL; prev = &src->next) {

        if (ngx_memcmp(src->ref.api, ref->api, STOA_ID_LEN) != 0) {
            continue;
        }

        if (src->ref.sid.len == ref->sid.len
            && ngx_memcmp(src->ref.sid.data, ref->sid.data, ref->sid.len)
               == 0)
        {
            return;
        }

        /* the session was opened anew */

        *prev = src->next;
        g->n--;
        ngx_http_stoa_mcp_source_free(src);
        break;
    }

    ngx_http_stoa_mcp_get_source(g, ref, &none);
}


static void
ngx_http_stoa_mcp_get_source(ngx_http_stoa_mcp_get_t *g,
    const stoa_mcp_ref_t *ref, const stoa_str_t *eid)
{
    ngx_http_stoa_api_t         *api;
    ngx_http_stoa_mcp_source_t  *src;

    if (g->n == NGX_HTTP_STOA_MCP_SOURCES) {
        ngx_http_stoa_count(mcp_left_out, 1);
        return;
    }

    api = ngx_http_stoa_mcp_relay_of(g->hold.request, g->hold.ctx, ref);
    src = NULL;

    if (api) {
        src = ngx_http_stoa_mcp_source_create(g->hold.request, g->hold.ctx,
                                              api, ref, eid);
    }

    if (src == NULL) {
        return;
    }

    src->data = g;
    src->event = ngx_http_stoa_mcp_get_event;
    src->read = ngx_http_stoa_mcp_get_read;
    src->next = g->sources;
    g->sources = src;
    g->n++;

    ngx_http_stoa_mcp_source_start(src);
}


/* What is for the client, with the names that he knows. */

static stoa_rc_t
ngx_http_stoa_mcp_get_pass(ngx_http_stoa_mcp_source_t *src,
    ngx_http_stoa_mcp_event_e what, const stoa_glance_t *m,
    stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_get_t *g = src->data;

    ngx_int_t  rc;

    if (what == NGX_HTTP_STOA_MCP_EVENT_PASS
        && ngx_http_stoa_mcp_item_heard(g->hold.request, g->hold.ctx, src->api,
                                        m, &g->text, &event->data)
           != NGX_OK)
    {
        return STOA_ERROR;
    }

    rc = ngx_http_stoa_mcp_task_heard(g->hold.ctx, &src->ref, &event->data);

    if (rc == NGX_DECLINED && what == NGX_HTTP_STOA_MCP_EVENT_PASS) {
        return STOA_OK;                       /* a task that is not his      */
    }

    if (rc == NGX_ERROR
        || ngx_http_stoa_mcp_get_write(g, src, event) != NGX_OK)
    {
        return STOA_ERROR;
    }

    return g->answered ? STOA_AGAIN : STOA_OK;
}


static stoa_rc_t
ngx_http_stoa_mcp_get_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_get_t *g = src->data;

    ngx_int_t                   rc;
    const char                 *why;
    stoa_glance_t               m;
    stoa_sse_event_t            e;
    ngx_http_stoa_mcp_event_e   what;

    e = *event;
    what = ngx_http_stoa_mcp_event(g->hold.ctx->call.mcp, event, &m, &why);

    if (event->data.len == 0 && event->has_id && g->kind == 'P') {
        return ngx_http_stoa_mcp_get_write(g, src, &e) == NGX_OK ? STOA_OK
                                                                 : STOA_ERROR;
    }

    switch (what) {

    case NGX_HTTP_STOA_MCP_EVENT_ANSWER:
        g->answered = 1;
        /* fall through */

    case NGX_HTTP_STOA_MCP_EVENT_PASS:
        break;

    case NGX_HTTP_STOA_MCP_EVENT_LISTS:
        ngx_http_stoa_mcp_lists_changed(g->hold.request, src->api);
        return STOA_OK;

    case NGX_HTTP_STOA_MCP_EVENT_MARK:
    case NGX_HTTP_STOA_MCP_EVENT_ASK:
        rc = ngx_http_stoa_mcp_event_mark(g->hold.ctx->call.mcp, &src->ref,
                                          &event->data, &m, &g->text);
        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? STOA_OK : STOA_ERROR;
        }

        e.data.data = g->text.data;
        e.data.len = g->text.len;
        break;

    case NGX_HTTP_STOA_MCP_EVENT_PING:
    case NGX_HTTP_STOA_MCP_EVENT_UNKNOWN:
        if (g->selves++ < NGX_HTTP_STOA_MCP_SELVES) {
            ngx_http_stoa_mcp_relay_self(g->hold.request, g->hold.ctx,
                       &src->ref, &m.id,
                       what == NGX_HTTP_STOA_MCP_EVENT_PING
                       ? NULL : NGX_HTTP_STOA_MCP_NOT_DECLARED);
        }

        return STOA_OK;

    case NGX_HTTP_STOA_MCP_EVENT_FAULT:
        ngx_http_stoa_count(mcp_dropped, 1);
        return src->faults++ < NGX_HTTP_STOA_MCP_FAULTS ? STOA_OK
                                                        : STOA_DECLINED;

    default:
        return STOA_OK;
    }

    return ngx_http_stoa_mcp_get_pass(src, what, &m, &e);
}


/* What upstreams without sessions say, as in theirs. */

static stoa_rc_t
ngx_http_stoa_mcp_get_updated(ngx_http_stoa_mcp_hold_t *h,
    ngx_http_stoa_mcp_source_t *src, const stoa_str_t *uri)
{
    ngx_http_stoa_mcp_get_t *g = h->data;

    ngx_int_t         rc;
    stoa_buf_t        b;
    stoa_glance_t     m;
    stoa_sse_event_t  event;

    stoa_buf_init(&b, 65536);
    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                  "resources/updated\",\"params\":{\"uri\":");
    stoa_buf_add_json(&b, uri->data, uri->len);
    stoa_buf_addz(&b, "}}");

    ngx_memzero(&event, sizeof(event));
    event.data.data = b.data;
    event.data.len = b.len;
    event.retry_ms = -1;

    rc = b.rc == STOA_OK && stoa_glance(b.data, b.len, &m) == STOA_OK
         ? ngx_http_stoa_mcp_item_heard(h->request, h->ctx, src->api, &m,
                                        &g->text, &event.data)
         : NGX_ERROR;

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_get_write(g, NULL, &event);
    }

    stoa_buf_free(&b);

    return rc == NGX_OK ? STOA_OK : STOA_ERROR;
}


/* With an id of ours: where all upstreams are, or the one of the call, if it
 * said so. */

static ngx_int_t
ngx_http_stoa_mcp_get_write(ngx_http_stoa_mcp_get_t *g,
    ngx_http_stoa_mcp_source_t *src, stoa_sse_event_t *event)
{
    ngx_int_t                    rc;
    ngx_http_stoa_mcp_eid_t      eid;
    ngx_http_stoa_mcp_source_t  *s;

    eid.kind = g->kind;
    eid.rid = g->rid;
    eid.n = 0;

    for (s = g->sources; s; s = s->next) {
        eid.source[eid.n].ref = s->ref;
        eid.source[eid.n].eid.data = s->eid.data ? s->eid.data : "";
        eid.source[eid.n].eid.len = s->eid.len;
        eid.n++;
    }

    if (g->kind == 'P' && !event->has_id) {
        eid.n = 0;

    } else {
        event->has_id = ngx_http_stoa_mcp_eid_seal(g->hold.ctx->call.mcp, &eid,
                                                   &g->id)
                        == NGX_OK;
        event->id.data = g->id.data;
        event->id.len = g->id.len;
    }

    if (src && event->retry_ms >= 0) {
        event->retry_ms = g->kind == 'G' ? -1
                       : ngx_min(ngx_max(event->retry_ms,
                                         NGX_HTTP_STOA_MCP_RETRY_MIN),
                                 NGX_HTTP_STOA_MCP_RETRY_TOP);
    }

    rc = ngx_http_stoa_mcp_hold_write(&g->hold, event);

    /* no buffer while nothing is said */

    stoa_buf_free(&g->id);
    stoa_buf_free(&g->text);

    return rc;
}


/* A source has read, or has ended. */

static void
ngx_http_stoa_mcp_get_read(ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_get_t *g = src->data;

    if (g->busy || g->hold.over) {
        return;
    }

    g->hold.waits &= ngx_http_stoa_mcp_sources_wait(g->sources);
    ngx_http_set_log_request(g->hold.request->connection->log,
                             g->hold.request);

    if (g->kind == 'P' && src->fetch == NULL) {
        ngx_http_stoa_mcp_get_goes_on(g, src);
    }

    ngx_http_stoa_mcp_hold_push(&g->hold);
}


/* The stream of a call has ended again. */

static void
ngx_http_stoa_mcp_get_goes_on(ngx_http_stoa_mcp_get_t *g,
    ngx_http_stoa_mcp_source_t *src)
{
    if (g->answered) {
        g->hold.over = 1;

    } else if (src->over || src->status != NGX_HTTP_OK
               || src->failures > NGX_HTTP_STOA_MCP_GET_TRIES)
    {
        if (src->over || src->failures > NGX_HTTP_STOA_MCP_GET_TRIES) {
            g->hold.over = ngx_http_stoa_mcp_get_lost(g) == NGX_OK;
        }

    } else if (g->hold.ctx->call.mcp->version >= NGX_HTTP_STOA_MCP_POLLS) {
        g->hold.over = 1;                   /* the client comes again       */
    }
}


/* The call's fate is not known. */

static ngx_int_t
ngx_http_stoa_mcp_get_lost(ngx_http_stoa_mcp_get_t *g)
{
    ngx_int_t         rc;
    stoa_buf_t        b;
    stoa_sse_event_t  event;

    stoa_buf_init(&b, 65536);
    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(&b, g->rid.data, g->rid.len);
    stoa_buf_addz(&b, ",\"error\":{\"code\":-32603,\"message\":\"The call's "
                  "stream cannot go on; what became of the call is not "
                  "known.\",\"data\":{\"code\":\"call_lost\",\"executed\":"
                  "\"unknown\"}}}");

    ngx_memzero(&event, sizeof(event));
    event.data.data = b.data;
    event.data.len = b.len;
    event.has_id = 1;
    event.retry_ms = -1;

    g->kind = 'E';
    g->hold.over = 1;

    rc = b.rc == STOA_OK ? ngx_http_stoa_mcp_get_write(g, NULL, &event)
                         : NGX_ERROR;
    stoa_buf_free(&b);

    return rc;
}


/* ---- the client ---------------------------------------- */

static void
ngx_http_stoa_mcp_get_look(ngx_http_stoa_mcp_hold_t *h, ngx_uint_t kinds)
{
    ngx_http_stoa_mcp_get_t *g = h->data;

    ngx_uint_t  k, due;

    if (g->kind == 'G' && ngx_http_stoa_mcp_get_turn(g, 0) != g->turn) {
        h->over = 1;
        return;
    }

    for (k = 0; g->kind == 'G' && k < NGX_HTTP_STOA_MCP_KINDS; k++) {
        if (kinds & (1u << k)) {
            (void) ngx_http_stoa_mcp_get_changed(g, k);
        }
    }

    g->busy = 1;
    due = ngx_current_msec - g->looked >= 2000;

    if (due) {
        g->looked = ngx_current_msec;
        ngx_http_stoa_mcp_sources_still(h->request, h->ctx, &g->sources,
                                        ngx_http_stoa_mcp_get_gone);

        if (g->kind == 'P' && g->sources == NULL) {
            (void) ngx_http_stoa_mcp_get_lost(g);
        }
    }

    if (due && g->kind == 'G') {
        ngx_http_stoa_mcp_get_all(g);
    }

    ngx_http_stoa_mcp_sources_again(g->hold.request, g->hold.ctx,
                                    g->sources);

    g->busy = 0;
}


static void
ngx_http_stoa_mcp_get_gone(ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_get_t *g = src->data;

    g->n--;
}


static ngx_int_t
ngx_http_stoa_mcp_get_changed(ngx_http_stoa_mcp_get_t *g, ngx_uint_t kind)
{
    u_char            text[128];
    stoa_sse_event_t  event;

    ngx_memzero(&event, sizeof(event));
    event.retry_ms = -1;
    event.data.data = (char *) text;
    event.data.len = ngx_sprintf(text, "{\"jsonrpc\":\"2.0\",\"method\":"
                                 "\"notifications/%s/list_changed\"}",
                                 ngx_http_stoa_mcp_kinds[kind])
                     - text;

    return ngx_http_stoa_mcp_get_write(g, NULL, &event);
}


static void
ngx_http_stoa_mcp_get_bye(ngx_http_stoa_mcp_hold_t *h)
{
    (void) ngx_http_stoa_mcp_writer_bytes(&h->writer, "retry: 500\n\n", 12);
}


/* Upstreams wait for a client that does not read. */

static void
ngx_http_stoa_mcp_get_full(ngx_http_stoa_mcp_hold_t *h, ngx_uint_t full)
{
    ngx_http_stoa_mcp_get_t *g = h->data;

    ngx_http_stoa_mcp_sources_full(g->sources, full);
    ngx_http_stoa_mcp_sources_full(g->subbed.sources, full);
}


/* A session has one stream of its own: the newest has the highest turn.  A
 * slot that another session took is taken back. */

static uint64_t
ngx_http_stoa_mcp_get_turn(ngx_http_stoa_mcp_get_t *g, ngx_uint_t take)
{
    uint64_t                    client, old, mine, *slot;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(g->hold.request, ngx_http_stoa_module);
    client = ngx_http_stoa_mcp_client(g->hold.ctx->call.mcp);
    client ^= client >> 32;
    slot = &mcf->sh->mcp_turns[client % NGX_HTTP_STOA_MCP_TURNS];

    old = *slot;
    client = client << 32 >> 32;

    if ((old >> 32) != client) {
        mine = (client << 32) | (uint32_t) ngx_http_stoa_wall_ms();

        if (!take) {
            mine = g->turn;
        }

    } else if (take) {
        mine = (client << 32) | (uint32_t) ngx_http_stoa_wall_ms();
        mine = ngx_max(old + 1, mine);

    } else {
        return (int32_t) ((uint32_t) old - (uint32_t) g->turn) > 0 ? old
                                                                   : g->turn;
    }

    *slot = mine;

    return mine;
}
