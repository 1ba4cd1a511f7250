/*
 * The answer to a forwarded call that is a stream of events, between nginx's
 * upstream and the client.
 *
 * The head waits for the first event: where that is the answer, the client
 * gets it as JSON, which the SDKs take at any size.  Else each event is judged
 * when it is whole and sent on at once.  Whatever ends the upstream's answer
 * before the call's, the client's stream ends with an error that has the
 * call's id, or, before there was a head, with a refusal like any other.
 *
 * A call without a head of its upstream is opened, after a while, by a head of
 * ours and a comment; all that comes then is an event, JSON and refusals, too.
 *
 * All that comes is consumed, so that nginx goes on reading, unless the client
 * does not take what is written.
 */

#include "ngx_http_stoa_stream.h"
#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_zone.h"


static ngx_http_stoa_mcp_stream_t *ngx_http_stoa_mcp_stream_create(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_mcp_stream_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);
static void ngx_http_stoa_mcp_stream_cleanup(void *data);
static void ngx_http_stoa_mcp_stream_comment(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_stream_release(ngx_http_request_t *r);
static ngx_uint_t ngx_http_stoa_mcp_stream_limited(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_mcp_stream_is(ngx_http_request_t *r);
static ngx_uint_t ngx_http_stoa_mcp_stream_long(ngx_http_stoa_mcp_stream_t *s,
    size_t len);
static void ngx_http_stoa_mcp_stream_read(ngx_http_stoa_mcp_stream_t *s);
static void ngx_http_stoa_mcp_stream_take(ngx_http_stoa_mcp_stream_t *s,
    ngx_buf_t *b);
static ngx_int_t ngx_http_stoa_mcp_stream_told(ngx_http_stoa_mcp_stream_t *s,
    stoa_str_t *data);
static stoa_rc_t ngx_http_stoa_mcp_stream_event(void *data,
    const stoa_sse_event_t *event);
static stoa_rc_t ngx_http_stoa_mcp_stream_came(void *data,
    const stoa_sse_event_t *event);
static ngx_int_t ngx_http_stoa_mcp_stream_mark(ngx_http_stoa_mcp_stream_t *s,
    stoa_sse_event_t *event, const stoa_glance_t *g);
static void ngx_http_stoa_mcp_stream_self(ngx_http_stoa_mcp_stream_t *s,
    const stoa_glance_t *g, const char *error);
static void ngx_http_stoa_mcp_stream_patience(ngx_http_stoa_mcp_stream_t *s);
static ngx_int_t ngx_http_stoa_mcp_stream_conclude(
    ngx_http_stoa_mcp_stream_t *s);
static void ngx_http_stoa_mcp_stream_over(ngx_http_request_t *r);


/* ---- begin -------------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_stream_expect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (mcp->spoke.request == NULL
        && ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_stream_finish,
                                      NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_task_expect(mcp);
    ctx->call.repeats &= !mcp->tasked && !mcp->retried;

    if (!ctx->call.opened) {
        ngx_http_stoa_mcp_wheel_add(r, &mcp->spoke, NGX_HTTP_STOA_MCP_EXPECT,
                                    ngx_http_stoa_mcp_stream_open);
    }

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_stream_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    (void) data;

    ngx_http_stoa_mcp_wheel_remove(&ctx->call.mcp->spoke);
}


static ngx_http_stoa_mcp_stream_t *
ngx_http_stoa_mcp_stream_create(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    size_t                       max;
    ngx_pool_cleanup_t          *cln;
    ngx_http_stoa_mcp_stream_t  *s;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_mcp_stream_t));
    if (cln == NULL) {
        return NULL;
    }

    s = cln->data;
    ngx_memzero(s, sizeof(ngx_http_stoa_mcp_stream_t));

    if (ngx_http_stoa_mcp_writer_init(&s->writer, r) != NGX_OK) {
        return NULL;
    }

    s->ctx = ctx;
    stoa_buf_init(&s->id, NGX_HTTP_STOA_MCP_EID_TEXT);
    max = ngx_http_stoa_mcp_stream_max(ctx);
    stoa_buf_init(&s->text, max);
    stoa_buf_init(&s->marked, NGX_HTTP_STOA_MCP_EVENT_MAX);
    stoa_sse_init(&s->sse, max, ngx_http_stoa_mcp_stream_came, s);

    cln->handler = ngx_http_stoa_mcp_stream_cleanup;

    ctx->call.mcp->stream = s;
    ctx->call.kept = 1;

    return s;
}


static void
ngx_http_stoa_mcp_stream_cleanup(void *data)
{
    ngx_http_stoa_mcp_stream_t *s = data;

    stoa_buf_free(&s->id);
    stoa_buf_free(&s->text);
    stoa_buf_free(&s->marked);
    stoa_sse_free(&s->sse);
}


ngx_int_t
ngx_http_stoa_mcp_stream_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_stream_t  *s;

    mcp = ctx->call.mcp;

    if (mcp == NULL) {
        return NGX_OK;
    }

    s = mcp->stream;

    if (s && s->opening) {
        return NGX_OK;
    }

    if (s) {

        /* opened: it only says how the body is read */

        s->events = ngx_http_stoa_mcp_stream_is(r);
        return NGX_DONE;
    }

    ngx_http_stoa_mcp_wheel_remove(&mcp->spoke);

    if (!mcp->forwarded || ctx->call.replace || r->upstream == NULL
        || (!ngx_http_stoa_mcp_stream_is(r)
            && !ngx_http_stoa_mcp_stream_gathers(mcp)
            && !ngx_http_stoa_mcp_stream_limited(r, ctx)
            && (r->headers_out.content_length_n >= 0
                || r->upstream->headers_in.chunked)))
    {
        return NGX_OK;
    }

    s = ngx_http_stoa_mcp_stream_create(r, ctx);
    if (s == NULL) {
        return NGX_ERROR;
    }

    s->events = ngx_http_stoa_mcp_stream_is(r);

    ngx_http_stoa_mcp_wheel_add(r, &mcp->spoke, NGX_HTTP_STOA_MCP_EXPECT,
                                ngx_http_stoa_mcp_stream_open);

    return NGX_DONE;
}


static ngx_uint_t
ngx_http_stoa_mcp_stream_limited(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    return ctx->call.guards
           || (r->headers_out.content_length_n < 0
               && r->headers_out.status == NGX_HTTP_OK
               && ngx_http_stoa_policy_result_max(ctx)
                  < NGX_HTTP_STOA_MCP_EVENT_MAX);
}


/* What is no stream, too: something in it may have to be another. */

ngx_uint_t
ngx_http_stoa_mcp_stream_gathers(const ngx_http_stoa_mcp_t *mcp)
{
    return mcp->bridged || mcp->tasked || mcp->alias.len;
}


static ngx_uint_t
ngx_http_stoa_mcp_stream_is(ngx_http_request_t *r)
{
    return r->headers_out.status == NGX_HTTP_OK
           && ngx_http_stoa_header_events(&r->headers_out.content_type);
}


/* ---- the wheel's -------------------------------------------------------- */

/* No head, or no first event, for so long: the client gets one of ours. */

void
ngx_http_stoa_mcp_stream_open(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_stoa_ctx_t         *ctx;
    ngx_http_stoa_mcp_stream_t  *s;

    ctx = ngx_http_stoa_ctx(r);
    s = ctx->call.mcp->stream;

    if (s == NULL) {
        s = r->header_sent ? NULL : ngx_http_stoa_mcp_stream_create(r, ctx);
        if (s == NULL) {
            return;
        }

        r->headers_out.status = NGX_HTTP_OK;
        ngx_str_set(&r->headers_out.content_type, "text/event-stream");
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;

        s->opening = 1;
        rc = ngx_http_send_header(r);
        s->opening = 0;

        if (rc == NGX_ERROR || rc > NGX_OK) {
            r->connection->error = 1;
            return;
        }
    }

    ctx->call.opened = 1;

    if (ngx_http_stoa_mcp_stream_begin(s) == NGX_OK) {
        ngx_http_stoa_mcp_stream_comment(r);
    }
}


static void
ngx_http_stoa_mcp_stream_comment(ngx_http_request_t *r)
{
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_writer_t  *w;

    mcp = ngx_http_stoa_ctx(r)->call.mcp;
    w = &mcp->stream->writer;

    if (w->ended) {
        return;
    }

    /* what waits to be taken keeps it alive, too */

    if (!w->busy && !r->connection->buffered
        && ngx_http_stoa_mcp_writer_bytes(w, ":\n\n", 3) == NGX_OK)
    {
        ngx_http_stoa_mcp_writer_push(w);
    }

    ngx_http_stoa_mcp_wheel_add(r, &mcp->spoke, NGX_HTTP_STOA_MCP_QUIET,
                                ngx_http_stoa_mcp_stream_comment);
}


/* The answer is with the client, and the upstream does not end. */

static void
ngx_http_stoa_mcp_stream_release(ngx_http_request_t *r)
{
    if (r->upstream && r->upstream->peer.connection) {
        ngx_http_stoa_mcp_stream_over(r);
        r->write_event_handler(r);
    }
}


/* As if the upstream had said all; nginx looks at it right after. */

static void
ngx_http_stoa_mcp_stream_over(ngx_http_request_t *r)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u && u->length) {
        u->length = 0;
        u->keepalive = 0;
    }
}


/* ---- what comes --------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_stream_body(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_chain_t *in)
{
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_stream_t  *s;

    mcp = ctx->call.mcp;
    s = mcp->stream;

    if (in && ngx_chain_add_copy(r->pool, &s->in, in) != NGX_OK) {
        return NGX_ERROR;
    }

    if (s->writer.busy && ngx_http_stoa_mcp_writer_send(&s->writer)
                          == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_stream_read(s);

    if (s->in == NULL && !s->writer.ended
        && ngx_http_stoa_mcp_stream_conclude(s) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (s->writer.out && s->headed && !s->answered && !s->writer.ended) {
        ngx_http_stoa_mcp_wheel_add(r, &mcp->spoke, NGX_HTTP_STOA_MCP_QUIET,
                                    ngx_http_stoa_mcp_stream_comment);
    }

    if ((s->answered || s->writer.ended)
        && mcp->spoke.handler != ngx_http_stoa_mcp_stream_release)
    {
        ngx_http_stoa_mcp_wheel_add(r, &mcp->spoke, NGX_HTTP_STOA_MCP_LINGER,
                                    ngx_http_stoa_mcp_stream_release);
    }

    return ngx_http_stoa_mcp_writer_send(&s->writer);
}


static void
ngx_http_stoa_mcp_stream_read(ngx_http_stoa_mcp_stream_t *s)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    while (s->in
           && (s->cut || s->writer.queued < NGX_HTTP_STOA_MCP_QUEUE_MAX))
    {
        cl = s->in;
        b = cl->buf;

        if (!s->answered && !s->why && !s->writer.ended) {
            ngx_http_stoa_mcp_stream_take(s, b);
        }

        b->pos = b->last;
        b->file_pos = b->file_last;
        s->last |= b->last_buf;

        s->in = cl->next;
        ngx_free_chain(s->writer.request->pool, cl);
    }
}


static void
ngx_http_stoa_mcp_stream_take(ngx_http_stoa_mcp_stream_t *s, ngx_buf_t *b)
{
    size_t     len;
    stoa_rc_t  rc;

    if (!ngx_buf_in_memory(b) || b->pos == b->last) {
        return;
    }

    len = b->last - b->pos;

    if (!s->events) {
        stoa_buf_add(&s->text, b->pos, len);
        rc = s->text.rc;

    } else {
        rc = stoa_sse_feed(&s->sse, (char *) b->pos, len);
    }

    if (rc != STOA_OK && !s->answered && s->why == NULL
        && !ngx_http_stoa_mcp_stream_long(s,
                                      ngx_http_stoa_mcp_stream_max(s->ctx)))
    {
        s->why = "an answer that is too long";
    }
}


/* An answer, as this client is told it. */

static ngx_int_t
ngx_http_stoa_mcp_stream_told(ngx_http_stoa_mcp_stream_t *s, stoa_str_t *data)
{
    return ngx_http_stoa_mcp_bridge_answer(s->ctx, data, &s->marked) == NGX_OK
           && ngx_http_stoa_mcp_task_told(s->ctx, data) != NGX_ERROR
           && ngx_http_stoa_mcp_item_told(s->ctx, data) == NGX_OK
           ? NGX_OK : NGX_ERROR;
}


/* Longer than a policy says? */

static ngx_uint_t
ngx_http_stoa_mcp_stream_long(ngx_http_stoa_mcp_stream_t *s, size_t len)
{
    s->why = ngx_http_stoa_policy_result_over(s->writer.request, s->ctx, len);
    s->over = s->why != NULL;

    return s->over;
}


static ngx_uint_t
ngx_http_stoa_mcp_stream_denied(ngx_http_stoa_mcp_stream_t *s,
    const stoa_str_t *data)
{
    s->denied = ngx_http_stoa_policy_guard_message(s->writer.request, s->ctx,
                                                   data->data, data->len,
                                                   &s->why);
    return s->denied || ngx_http_stoa_mcp_stream_long(s, data->len);
}


/* With some versions an event may have several messages; an id of the event is
 * that of the last. */

static stoa_rc_t
ngx_http_stoa_mcp_stream_came(void *data, const stoa_sse_event_t *event)
{
    bool                  more;
    stoa_rc_t             rc;
    stoa_err_t            err;
    stoa_json_val_t       all, val, next;
    stoa_json_iter_t      it;
    stoa_sse_event_t      e;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ((ngx_http_stoa_mcp_stream_t *) data)->ctx->call.mcp;

    if (event->data.len == 0 || event->data.data[0] != '['
        || mcp->upstream_session.len == 0
        || mcp->upstream_version >= NGX_HTTP_STOA_MCP_VERSIONS
        || !ngx_http_stoa_mcp_versions[mcp->upstream_version].batches
        || stoa_json_check(event->data.data, event->data.len,
                           STOA_JSON_DEPTH_MAX, &all, &err)
           != STOA_OK
        || !stoa_json_first(&all, &it, NULL, &val))
    {
        return ngx_http_stoa_mcp_stream_event(data, event);
    }

    do {
        more = stoa_json_next(&it, NULL, &next);
        e = *event;
        e.has_id = !more && event->has_id;
        e.data.data = val.start;
        e.data.len = val.end - val.start;
        rc = ngx_http_stoa_mcp_stream_event(data, &e);
        val = next;

    } while (rc == STOA_OK && more);

    return rc;
}


/* Another rc than STOA_OK: no more is read. */

static stoa_rc_t
ngx_http_stoa_mcp_stream_event(void *data, const stoa_sse_event_t *event)
{
    ngx_int_t                    rc;
    const char                  *why;
    stoa_glance_t                g;
    stoa_sse_event_t             e;
    ngx_http_stoa_mcp_stream_t  *s = data;

    if (ngx_http_stoa_mcp_stream_denied(s, &event->data)) {
        return STOA_DECLINED;
    }

    e = *event;
    ngx_http_stoa_mcp_stream_id(s, &e, 'P');

    if (e.retry_ms >= 0) {
        e.retry_ms = ngx_max(e.retry_ms, NGX_HTTP_STOA_MCP_RETRY_MIN);
        e.retry_ms = ngx_min(e.retry_ms, NGX_HTTP_STOA_MCP_RETRY_TOP);
        s->retry_ms = e.retry_ms;
    }

    switch (ngx_http_stoa_mcp_event(s->ctx->call.mcp, event, &g, &why)) {

    case NGX_HTTP_STOA_MCP_EVENT_LISTS:
        ngx_http_stoa_mcp_lists_changed(s->ctx->request, s->ctx->call.api);
        return STOA_OK;

    case NGX_HTTP_STOA_MCP_EVENT_PING:
        ngx_http_stoa_mcp_stream_self(s, &g, NULL);
        return STOA_OK;

    case NGX_HTTP_STOA_MCP_EVENT_UNKNOWN:
        ngx_http_stoa_mcp_stream_self(s, &g, NGX_HTTP_STOA_MCP_NOT_DECLARED);
        return STOA_OK;

    case NGX_HTTP_STOA_MCP_EVENT_ASK:
        ngx_http_stoa_mcp_stream_patience(s);
        /* fall through */

    case NGX_HTTP_STOA_MCP_EVENT_MARK:
        return ngx_http_stoa_mcp_stream_mark(s, &e, &g) == NGX_OK ? STOA_OK
                                                                  : STOA_ERROR;

    case NGX_HTTP_STOA_MCP_EVENT_PASS:
        rc = ngx_http_stoa_mcp_task_told(s->ctx, &e.data);
        rc = rc == NGX_OK ? ngx_http_stoa_mcp_stream_pass(s, &e) : rc;
        return rc == NGX_ERROR ? STOA_ERROR : STOA_OK;

    case NGX_HTTP_STOA_MCP_EVENT_ANSWER:
        s->answered = 1;

        if (ngx_http_stoa_mcp_stream_told(s, &e.data) != NGX_OK) {
            s->answered = 0;
            s->why = "an answer that is too long";
            return STOA_DECLINED;
        }

        (void) (s->headed ? ngx_http_stoa_mcp_stream_pass(s, &e)
                          : ngx_http_stoa_mcp_stream_json(s, &e.data));

        return STOA_AGAIN;

    case NGX_HTTP_STOA_MCP_EVENT_FAULT:
        ngx_http_stoa_count(mcp_dropped, 1);

        if (s->faults++ < NGX_HTTP_STOA_MCP_FAULTS) {
            return STOA_OK;
        }

        s->why = why;
        return STOA_DECLINED;

    default:
        /* an id without data is where to go on, too */

        return event->data.len || !e.has_id
               || ngx_http_stoa_mcp_stream_pass(s, &e) == NGX_OK
               ? STOA_OK : STOA_ERROR;
    }
}


/* What has ids of the server in it. */

static ngx_int_t
ngx_http_stoa_mcp_stream_mark(ngx_http_stoa_mcp_stream_t *s,
    stoa_sse_event_t *event, const stoa_glance_t *g)
{
    ngx_int_t       rc;
    stoa_mcp_ref_t  ref;

    ngx_http_stoa_mcp_ref(s->ctx, &ref);

    rc = ngx_http_stoa_mcp_event_mark(s->ctx->call.mcp, &ref, &event->data, g,
                                      &s->marked);

    if (rc == NGX_DECLINED) {
        ngx_http_stoa_mcp_stream_self(s, g, "{\"code\":-32600,\"message\":"
                                      "\"the id is too long\"}");
        return NGX_OK;
    }

    event->data.data = s->marked.data;
    event->data.len = s->marked.len;

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_task_told(s->ctx, &event->data);
    }

    return rc != NGX_ERROR ? ngx_http_stoa_mcp_stream_pass(s, event) : rc;
}


/* A request that the gateway answers. */

static void
ngx_http_stoa_mcp_stream_self(ngx_http_stoa_mcp_stream_t *s,
    const stoa_glance_t *g, const char *error)
{
    stoa_mcp_ref_t  ref;

    if (g->kind == STOA_GLANCE_REQUEST
        && s->selves++ < NGX_HTTP_STOA_MCP_SELVES)
    {
        ngx_http_stoa_mcp_ref(s->ctx, &ref);
        ngx_http_stoa_mcp_relay_self(s->writer.request, s->ctx, &ref, &g->id,
                                     error);
    }
}


/* Who is asked may be a person. */

static void
ngx_http_stoa_mcp_stream_patience(ngx_http_stoa_mcp_stream_t *s)
{
    ngx_http_upstream_t       *u;
    ngx_http_upstream_conf_t  *conf;

    u = s->writer.request->upstream;

    if (s->patient || u->conf->read_timeout >= NGX_HTTP_STOA_MCP_PATIENCE) {
        return;
    }

    s->patient = 1;
    conf = ngx_palloc(s->writer.request->pool, sizeof(*conf));

    if (conf) {
        *conf = *u->conf;
        conf->read_timeout = NGX_HTTP_STOA_MCP_PATIENCE;
        u->conf = conf;
    }
}


/* ---- the end ------------------------------------------------------------ */

/* All that came is read. */

static ngx_int_t
ngx_http_stoa_mcp_stream_conclude(ngx_http_stoa_mcp_stream_t *s)
{
    stoa_sse_event_t     event;
    ngx_http_request_t  *r;

    r = s->writer.request;

    if (s->last && !s->events && s->text.len && !s->cut && !s->why) {

        /* JSON, after a head of ours */

        ngx_memzero(&event, sizeof(event));
        event.data.data = s->text.data;
        event.data.len = s->text.len;
        event.retry_ms = -1;
        s->faults = NGX_HTTP_STOA_MCP_FAULTS;

        (void) ngx_http_stoa_mcp_stream_event(s, &event);
    }

    if (s->answered) {
        return s->last || s->cut
               ? ngx_http_stoa_mcp_writer_end(&s->writer) : NGX_OK;
    }

    if (s->why) {
        ngx_http_stoa_mcp_stream_over(r);
        return ngx_http_stoa_mcp_stream_fail(s,
                                 s->denied ? s->denied - 1
                                 : s->over ? NGX_HTTP_STOA_REFUSE_RESULT
                                 : NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                 s->why);
    }

    if (s->named && s->ctx->inner == NULL
        && s->ctx->call.mcp->version >= NGX_HTTP_STOA_MCP_POLLS
        && (s->last
            || s->cut - 1 == NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID))
    {
        /* the client comes again, with the last id (_mcp_get.c) */

        return ngx_http_stoa_mcp_writer_end(&s->writer);
    }

    if (s->last && !s->cut && ngx_http_stoa_mcp_resume(s) == NGX_OK) {
        return NGX_OK;
    }

    if (s->cut) {
        return ngx_http_stoa_mcp_stream_fail(s, s->cut - 1,
                       s->cut - 1 == NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID
                       ? "the stream was cut" : NULL);
    }

    if (s->last) {
        return ngx_http_stoa_mcp_stream_fail(s,
                                 NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                 "a stream without an answer");
    }

    return NGX_OK;
}


/* What nginx makes of the upstream's end: it flushes after a fault, and says
 * nothing more to a client that has a head. */

void
ngx_http_stoa_mcp_stream_ended(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_stoa_mcp_stream_t  *s;

    s = ctx->call.mcp ? ctx->call.mcp->stream : NULL;

    if ((rc == NGX_HTTP_BAD_GATEWAY || rc == NGX_HTTP_GATEWAY_TIME_OUT)
        && ctx->call.mcp && ctx->call.mcp->upstream_session.len)
    {
        /* who knows what became of the session */

        ngx_http_stoa_mcp_upstream_doubt(ctx->call.mcp->upstream_key, 1);
    }

    if (rc == NGX_ERROR && s && !s->answered && !r->connection->error) {

        /* its body is in no coding of HTTP: nginx ends without a word, and
         * what came right before it has not been given to us */

        s->cut = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID + 1;
        (void) ngx_http_stoa_mcp_stream_body(r, ctx, r->upstream->out_bufs);
        r->upstream->out_bufs = NULL;
        return;
    }

    if (s == NULL || rc < NGX_HTTP_SPECIAL_RESPONSE
        || rc == NGX_HTTP_REQUEST_TIME_OUT
        || rc == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        return;
    }

    s->cut = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID + 1;

    if (rc == NGX_HTTP_GATEWAY_TIME_OUT) {
        s->cut = NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT + 1;

    } else if (!r->upstream->header_sent && ctx->call.refused == 0
               && ngx_http_stoa_refusal_find(r, ctx, rc) == NGX_OK)
    {
        s->cut = ctx->call.refused;
    }

    r->upstream->header_sent = 1;
}


ngx_int_t
ngx_http_stoa_mcp_stream_late(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_int_t rc)
{
    ngx_http_stoa_mcp_stream_t  *s;

    s = ctx->call.mcp->stream;

    if (ctx->call.refused == 0) {
        (void) ngx_http_stoa_refusal_find(r, ctx, rc);
    }

    rc = ngx_http_stoa_mcp_stream_fail(s, NGX_HTTP_STOA_REFUSE_INTERNAL, NULL);

    ngx_http_finalize_request(r, rc == NGX_OK
                                 ? ngx_http_stoa_mcp_writer_send(&s->writer)
                                 : rc);

    return NGX_DONE;
}
