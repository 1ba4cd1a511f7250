/*
 * What a client gets of a call's stream: a head when it is known which, events
 * with ids of ours, an error in the place of the answer.
 */

#include "ngx_http_stoa_stream.h"
#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_header.h"


static ngx_int_t ngx_http_stoa_mcp_stream_whole(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, size_t len);


/* An id of ours for one that has one of its upstream: by it a client of a
 * session gets what comes next. */

void
ngx_http_stoa_mcp_stream_id(ngx_http_stoa_mcp_stream_t *s,
    stoa_sse_event_t *event, ngx_uint_t kind)
{
    ngx_http_stoa_mcp_t      *mcp;
    ngx_http_stoa_mcp_eid_t   eid;

    mcp = s->ctx->call.mcp;

    if (mcp->modern || !event->has_id) {
        event->has_id = 0;
        return;
    }

    eid.kind = kind;
    eid.rid.data = mcp->msg.id.start;
    eid.rid.len = mcp->msg.id.end - mcp->msg.id.start;
    eid.n = kind == 'P';
    ngx_http_stoa_mcp_ref(s->ctx, &eid.source[0].ref);
    eid.source[0].eid = event->id;

    event->has_id = ngx_http_stoa_mcp_eid_seal(mcp, &eid, &s->id) == NGX_OK;
    event->id.data = s->id.data;
    event->id.len = s->id.len;
    s->named |= event->has_id;
}


ngx_int_t
ngx_http_stoa_mcp_stream_pass(ngx_http_stoa_mcp_stream_t *s,
    const stoa_sse_event_t *event)
{
    return ngx_http_stoa_mcp_stream_begin(s) == NGX_OK
           ? ngx_http_stoa_mcp_writer_event(&s->writer, event) : NGX_ERROR;
}


/* The head of a stream, once. */

ngx_int_t
ngx_http_stoa_mcp_stream_begin(ngx_http_stoa_mcp_stream_t *s)
{
    ngx_int_t            rc;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    if (s->headed) {
        return NGX_OK;
    }

    s->headed = 1;
    r = s->writer.request;

    if (r->header_sent) {
        return NGX_OK;
    }

    h = ngx_http_stoa_header_add(r, "X-Accel-Buffering");
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&h->value, "no");
    ngx_http_clear_content_length(r);

    if (!s->events) {
        ngx_str_set(&r->headers_out.content_type, "text/event-stream");
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;
    }

    rc = ngx_http_stoa_filter_next_head(r);

    return rc == NGX_ERROR || rc > NGX_OK ? NGX_ERROR : NGX_OK;
}


/* The first event was the answer. */

ngx_int_t
ngx_http_stoa_mcp_stream_json(ngx_http_stoa_mcp_stream_t *s,
    const stoa_str_t *data)
{
    ngx_uint_t  status;

    static ngx_str_t  json = ngx_string("application/json");

    status = s->ctx->call.mcp->bridged
             ? ngx_http_stoa_mcp_bridge_status(data->data, data->len)
             : NGX_HTTP_OK;

    if (ngx_http_stoa_mcp_stream_whole(s->writer.request, status, &json,
                                       data->len)
        != NGX_OK
        || ngx_http_stoa_mcp_writer_bytes(&s->writer, data->data, data->len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_mcp_writer_end(&s->writer);
}


/* A head for an answer that is no stream. */

static ngx_int_t
ngx_http_stoa_mcp_stream_whole(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, size_t len)
{
    ngx_int_t  rc;

    ngx_http_clear_content_length(r);

    r->headers_out.status = status;
    ngx_str_null(&r->headers_out.status_line);
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = len;

    rc = ngx_http_stoa_filter_next_head(r);

    return rc == NGX_ERROR || rc > NGX_OK ? NGX_ERROR : NGX_OK;
}


/* An error in the place of the answer; why NULL: what is noted already, or the
 * words of the row. */

ngx_int_t
ngx_http_stoa_mcp_stream_fail(ngx_http_stoa_mcp_stream_t *s,
    ngx_http_stoa_refuse_e what, const char *why)
{
    ngx_str_t                       type, body;
    stoa_sse_event_t                event;
    ngx_http_request_t             *r;
    ngx_http_stoa_mcp_fault_t       fault;
    const ngx_http_stoa_refusal_t  *row;

    r = s->writer.request;

    if (s->ctx->call.refused == 0) {
        ngx_memzero(&fault, sizeof(fault));
        fault.what = what;

        if (why) {
            ngx_http_stoa_mcp_fault_say(&fault, why);
        }

        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "an MCP upstream's stream ends: %V%s%*s",
                      &ngx_http_stoa_refusals[what].code,
                      fault.len ? ", " : "", fault.len, fault.text);

        if (ngx_http_stoa_mcp_fault_refuse(r, s->ctx, &fault, NULL) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    row = &ngx_http_stoa_refusals[s->ctx->call.refused - 1];

    if (ngx_http_stoa_refusal_page(r, s->ctx, row->status, &type, &body)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (s->headed) {
        ngx_memzero(&event, sizeof(event));
        event.data.data = (char *) body.data;
        event.data.len = body.len;
        event.retry_ms = -1;
        event.has_id = s->named;
        ngx_http_stoa_mcp_stream_id(s, &event, 'E');

        if (ngx_http_stoa_mcp_writer_event(&s->writer, &event) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ngx_http_stoa_mcp_stream_whole(r,
                               ngx_http_stoa_mcp_answers(r, s->ctx, row)
                               ? NGX_HTTP_OK : row->status, &type, body.len)
               != NGX_OK
               || ngx_http_stoa_mcp_writer_bytes(&s->writer,
                                                 (char *) body.data, body.len)
                  != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->err_status = row->status;                   /* for those who count   */

    return ngx_http_stoa_mcp_writer_end(&s->writer);
}
