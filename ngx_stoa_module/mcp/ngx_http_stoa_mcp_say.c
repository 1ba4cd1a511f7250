/*
 * Events of the gateway's own on the stream of a call that waits in a step.
 */

#include "ngx_http_stoa_stream.h"


static void ngx_http_stoa_mcp_say_event(stoa_sse_event_t *event,
    const ngx_str_t *text);


ngx_int_t
ngx_http_stoa_mcp_stream_say(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *text)
{
    stoa_sse_event_t             event;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_stream_t  *s;

    mcp = ctx->call.mcp;

    if (!ctx->call.opened) {
        ngx_http_stoa_mcp_wheel_remove(&mcp->spoke);
        ngx_http_stoa_mcp_stream_open(r);
    }

    s = mcp->stream;

    if (s == NULL || s->writer.ended) {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_say_event(&event, text);

    if (ngx_http_stoa_mcp_writer_event(&s->writer, &event) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_writer_push(&s->writer);

    return s->writer.queued < NGX_HTTP_STOA_MCP_QUEUE_MAX ? NGX_OK
                                                          : NGX_AGAIN;
}


static void
ngx_http_stoa_mcp_say_event(stoa_sse_event_t *event, const ngx_str_t *text)
{
    ngx_memzero(event, sizeof(stoa_sse_event_t));
    event->data.data = (char *) text->data;
    event->data.len = text->len;
    event->retry_ms = -1;
}


ngx_int_t
ngx_http_stoa_mcp_stream_flush(ngx_http_request_t *r)
{
    ngx_event_t                 *wev;
    ngx_http_stoa_mcp_t         *mcp;

    mcp = ngx_http_stoa_ctx(r)->call.mcp;
    wev = r->connection->write;

    if (wev->timedout) {
        r->connection->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return NGX_DONE;
    }

    if (mcp->stream == NULL) {
        return NGX_OK;
    }

    ngx_http_stoa_mcp_writer_push(&mcp->stream->writer);

    if (mcp->stream->writer.busy == NULL && wev->timer_set) {
        ngx_del_timer(wev);
    }

    return mcp->stream->writer.queued < NGX_HTTP_STOA_MCP_QUEUE_MAX
           ? NGX_OK : NGX_AGAIN;
}


ngx_int_t
ngx_http_stoa_mcp_stream_last(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *text)
{
    ngx_int_t                    rc;
    stoa_sse_event_t             event;
    ngx_http_stoa_mcp_stream_t  *s;

    s = ctx->call.mcp->stream;
    rc = NGX_OK;

    if (text) {
        ngx_http_stoa_mcp_say_event(&event, text);
        rc = ngx_http_stoa_mcp_writer_event(&s->writer, &event);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_writer_end(&s->writer);
    }

    ctx->call.passed = 1;

    ngx_http_finalize_request(r, rc == NGX_OK
                                 ? ngx_http_stoa_mcp_writer_send(&s->writer)
                                 : rc);

    return NGX_AGAIN;
}
