/*
 * Events of the gateway's own on the stream of a call that waits in a step.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_stream.h"


static void ngx_http_stoa_mcp_say_event(stoa_sse_event_t *event,
    const ngx_str_t *text);


ngx_int_t
ngx_http_stoa_mcp_stream_say(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *text)
{
    const char                  *words;
    stoa_sse_event_t             event;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_stream_t  *s;

    mcp = ctx->call.mcp;

    if (ngx_http_stoa_policy_guard_message(r, ctx, (char *) text->data,
                                           text->len, &words))
    {
        return NGX_OK;                 /* it may not go; the call goes on    */
    }

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


ngx_int_t
ngx_http_stoa_mcp_stream_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *text,
    ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (text->len == 0) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "an MCP upstream gave no answer of MCP: %V%s%*s",
                      &ngx_http_stoa_refusals[fault->what].code,
                      fault->len ? ", " : "", fault->len, fault->text);

        ctx->call.passed = 1;             /* it may have been executed      */

        return ngx_http_stoa_mcp_fault_refuse(r, ctx, fault, NULL) == NGX_OK
               ? (ngx_int_t) ngx_http_stoa_refusals[fault->what].status
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->call.opened) {
        return ngx_http_stoa_mcp_stream_last(r, ctx, text);
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = text->data;
    b->last = text->data + text->len;
    b->memory = 1;
    cl->buf = b;
    cl->next = NULL;

    return ngx_http_stoa_mcp_answer(r, ctx, ctx->call.mcp->bridged
                 ? ngx_http_stoa_mcp_bridge_status((char *) text->data,
                                                   text->len)
                 : NGX_HTTP_OK, cl);
}
