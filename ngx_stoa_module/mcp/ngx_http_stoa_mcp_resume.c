/*
 * Streams of calls that their upstream has ended to be polled, for clients who
 * do not poll: older ones, modern ones, those of 2024-11-05.  The gateway gets
 * the rest by GET with the last event's id, and the client sees one stream.
 *
 * nginx's upstream module is done with the request by then; it is held by its
 * count, as held streams are.
 *
 * Process: workers.  Lifetime: r->pool.  Limits: the api's max_call_ms;
 * NGX_HTTP_STOA_MCP_RESUME_TRIES answers in a row that bring nothing.
 */

#include "ngx_http_stoa_stream.h"
#include "ngx_http_stoa_source.h"
#include "ngx_http_stoa_api.h"


#define NGX_HTTP_STOA_MCP_RESUME_TRIES  3
#define NGX_HTTP_STOA_MCP_RESUME_MS     500
#define NGX_HTTP_STOA_MCP_RESUME_LOOK   1000


/* It is the data of its own event, so it begins like a connection. */

typedef struct {
    ngx_http_stoa_mcp_stream_t  *stream;
    ngx_queue_t                  unused;
    ngx_int_t                    ident;         /* -1                       */
    ngx_event_t                  event;
    ngx_http_stoa_mcp_source_t  *source;
    ngx_msec_t                   until;
    unsigned                     begun:1;
    unsigned                     busy:1;        /* inside of _look          */
    unsigned                     paused:1;
    unsigned                     over:1;
} ngx_http_stoa_mcp_resume_t;


static void ngx_http_stoa_mcp_resume_cleanup(void *data);
static void ngx_http_stoa_mcp_resume_look(ngx_event_t *ev);
static stoa_rc_t ngx_http_stoa_mcp_resume_event(
    ngx_http_stoa_mcp_source_t *src, const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_resume_read(ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_resume_write(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_resume_go(ngx_http_stoa_mcp_resume_t *m);
static void ngx_http_stoa_mcp_resume_end(ngx_http_stoa_mcp_resume_t *m);


ngx_int_t
ngx_http_stoa_mcp_resume(ngx_http_stoa_mcp_stream_t *s)
{
    stoa_str_t                   eid;
    stoa_mcp_ref_t               ref;
    ngx_pool_cleanup_t          *cln;
    ngx_http_request_t          *r;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_resume_t  *m;

    r = s->writer.request;
    mcp = s->ctx->call.mcp;

    if (s->resume) {
        return NGX_OK;
    }

    if (!s->events || s->sse.id.len == 0 || (mcp->modern && !mcp->bridged)) {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_mcp_resume_t));
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    m = cln->data;
    ngx_memzero(m, sizeof(ngx_http_stoa_mcp_resume_t));

    eid.data = s->sse.id.data;
    eid.len = s->sse.id.len;
    ngx_http_stoa_mcp_ref(s->ctx, &ref);
    m->source = ngx_http_stoa_mcp_source_create(r, s->ctx, s->ctx->call.api,
                                                &ref, &eid);

    if (m->source == NULL || ngx_http_stoa_mcp_stream_begin(s) != NGX_OK) {
        if (m->source) {
            ngx_http_stoa_mcp_source_free(m->source);
        }

        return NGX_DECLINED;
    }

    cln->handler = ngx_http_stoa_mcp_resume_cleanup;

    m->stream = s;
    m->ident = -1;
    m->until = ngx_current_msec + s->ctx->call.api->rec->max_call_ms;
    m->event.data = m;
    m->event.log = r->connection->log;
    m->event.handler = ngx_http_stoa_mcp_resume_look;
    m->source->data = m;
    m->source->event = ngx_http_stoa_mcp_resume_event;
    m->source->read = ngx_http_stoa_mcp_resume_read;
    m->source->retry_ms = s->retry_ms;
    m->source->again = ngx_current_msec + ngx_max(s->retry_ms,
                                              NGX_HTTP_STOA_MCP_RESUME_MS);

    /* when nginx has finished the request, which does not end by that */

    s->resume = m;
    r->main->count++;
    ngx_post_event(&m->event, &ngx_posted_events);

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_resume_cleanup(void *data)
{
    ngx_http_stoa_mcp_resume_t *m = data;

    if (m->event.posted) {
        ngx_delete_posted_event(&m->event);
    }

    if (m->event.timer_set) {
        ngx_del_timer(&m->event);
    }

    ngx_http_stoa_mcp_source_free(m->source);
}


static void
ngx_http_stoa_mcp_resume_look(ngx_event_t *ev)
{
    ngx_msec_int_t               left;
    ngx_connection_t            *c;
    ngx_http_request_t          *r;
    ngx_http_stoa_mcp_source_t  *src;
    ngx_http_stoa_mcp_resume_t  *m = ev->data;

    src = m->source;
    r = m->stream->writer.request;
    c = r->connection;
    ngx_http_set_log_request(c->log, r);

    if (!m->begun) {
        m->begun = 1;
        r->read_event_handler = ngx_http_test_reading;
        r->write_event_handler = ngx_http_stoa_mcp_resume_write;
    }

    left = (ngx_msec_int_t) (src->again - ngx_current_msec);

    if (src->fetch == NULL && left <= 0 && !src->over) {
        m->busy = 1;
        ngx_http_stoa_mcp_source_start(src);
        m->busy = 0;
        left = NGX_HTTP_STOA_MCP_RESUME_LOOK;
    }

    if (src->fetch || left > NGX_HTTP_STOA_MCP_RESUME_LOOK) {
        left = NGX_HTTP_STOA_MCP_RESUME_LOOK;
    }

    ngx_add_timer(ev, (ngx_msec_t) ngx_max(left, 1));
    ngx_http_stoa_mcp_resume_go(m);
    ngx_http_run_posted_requests(c);
}


static stoa_rc_t
ngx_http_stoa_mcp_resume_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_resume_t *m = src->data;

    stoa_rc_t  rc;

    if (m->stream->answered || m->stream->why || m->over) {
        return STOA_OK;
    }

    rc = m->stream->sse.handler(m->stream, event);

    if (rc == STOA_ERROR) {
        m->over = 1;
    }

    return STOA_OK;
}


static void
ngx_http_stoa_mcp_resume_read(ngx_http_stoa_mcp_source_t *src)
{
    ngx_connection_t            *c;
    ngx_http_stoa_mcp_resume_t  *m = src->data;

    if (m->busy) {
        return;
    }

    c = m->stream->writer.request->connection;
    ngx_http_set_log_request(c->log, m->stream->writer.request);
    ngx_http_stoa_mcp_resume_go(m);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_stoa_mcp_resume_write(ngx_http_request_t *r)
{
    if (ngx_http_stoa_mcp_writer_goes_on(r)) {
        ngx_http_stoa_mcp_resume_go(ngx_http_stoa_ctx(r)->call.mcp->stream
                                    ->resume);
    }
}


/* The request may be gone when it returns. */

static void
ngx_http_stoa_mcp_resume_go(ngx_http_stoa_mcp_resume_t *m)
{
    ngx_uint_t                   full;
    ngx_http_request_t          *r;
    ngx_http_stoa_mcp_source_t  *src;
    ngx_http_stoa_mcp_stream_t  *s;

    s = m->stream;
    src = m->source;
    r = s->writer.request;

    if (!s->answered && !m->over && !s->writer.ended) {

        if (s->why == NULL && src->fetch == NULL
            && (src->over || src->failures > NGX_HTTP_STOA_MCP_RESUME_TRIES))
        {
            s->why = "its stream cannot go on";
        }

        if (s->why) {
            m->over = ngx_http_stoa_mcp_stream_fail(s,
                                   NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                   s->why)
                      != NGX_OK;

        } else if ((ngx_msec_int_t) (m->until - ngx_current_msec) <= 0) {
            m->over = ngx_http_stoa_mcp_stream_fail(s,
                                   NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT,
                                   NULL)
                      != NGX_OK;
        }
    }

    if (s->answered || m->over || s->writer.ended) {
        ngx_http_stoa_mcp_resume_end(m);
        return;
    }

    ngx_http_stoa_mcp_writer_push(&s->writer);

    if (r->connection->error) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    full = s->writer.queued >= NGX_HTTP_STOA_MCP_QUEUE_MAX;

    if (src->fetch && full != m->paused) {
        m->paused = full;

        if (full) {
            ngx_http_stoa_fetch_pause(src->fetch);

        } else {
            ngx_http_stoa_fetch_resume(src->fetch);
        }
    }
}


static void
ngx_http_stoa_mcp_resume_end(ngx_http_stoa_mcp_resume_t *m)
{
    ngx_int_t                    rc;
    ngx_http_stoa_mcp_stream_t  *s;

    s = m->stream;
    rc = m->over ? NGX_ERROR : NGX_OK;

    if (rc == NGX_OK && !s->writer.ended) {
        rc = ngx_http_stoa_mcp_writer_end(&s->writer);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_writer_send(&s->writer);
    }

    if (m->event.timer_set) {
        ngx_del_timer(&m->event);
    }

    if (m->source->fetch) {
        ngx_http_stoa_fetch_cancel(m->source->fetch);
        m->source->fetch = NULL;
    }

    ngx_http_stoa_mcp_wheel_remove(&s->ctx->call.mcp->spoke);
    ngx_http_finalize_request(s->writer.request, rc);
}
