/*
 * The message that an upstream gets of a call: the judged bytes are the
 * forwarded bytes, only what has another name there is replaced, by splicing
 * the body; nothing is decoded and encoded again.
 */

#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_relay.h"


#define NGX_HTTP_STOA_MCP_SPANS  2


/* What stands in the body, and what is to stand there. */

typedef struct {
    const stoa_json_val_t  *at;
    ngx_str_t               text;
} ngx_http_stoa_mcp_span_t;


static ngx_int_t ngx_http_stoa_mcp_splice_spans(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_span_t *span, ngx_uint_t *n);


ngx_int_t
ngx_http_stoa_mcp_splice(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                    *p;
    size_t                     len;
    ngx_buf_t                 *b;
    ngx_uint_t                 i, n;
    ngx_chain_t               *cl;
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_span_t   span[NGX_HTTP_STOA_MCP_SPANS], first;

    mcp = ctx->call.mcp;
    n = 0;

    if (ngx_http_stoa_mcp_splice_spans(r, ctx, span, &n) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (n == 0) {
        return NGX_OK;                       /* an extension's, as it came   */
    }

    if (n == 2 && span[1].at->start < span[0].at->start) {
        first = span[1];
        span[1] = span[0];
        span[0] = first;
    }

    len = mcp->body.len;

    for (i = 0; i < n; i++) {
        len = len - (span[i].at->end - span[i].at->start) + span[i].text.len;
    }

    b = ngx_create_temp_buf(r->pool, len);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = mcp->body.data;

    for (i = 0; i < n; i++) {
        b->last = ngx_cpymem(b->last, p, (u_char *) span[i].at->start - p);
        b->last = ngx_cpymem(b->last, span[i].text.data, span[i].text.len);
        p = (u_char *) span[i].at->end;
    }

    b->last = ngx_cpymem(b->last, p, mcp->body.data + mcp->body.len - p);
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    r->request_body->bufs = cl;
    r->request_body->temp_file = NULL;
    r->headers_in.content_length_n = len;
    r->headers_in.chunked = 0;

    return NGX_OK;
}


/* The name; and of _meta what another era says otherwise, or the task that the
 * call belongs to: none crosses the eras. */

static ngx_int_t
ngx_http_stoa_mcp_splice_spans(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_span_t *span, ngx_uint_t *n)
{
    ngx_int_t             rc;
    ngx_str_t             meta;
    stoa_buf_t            b;
    stoa_mcp_ref_t        ref;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (mcp->named.start) {
        stoa_buf_init(&b, 65536);
        stoa_buf_add_json(&b, (char *) mcp->tool_name.data,
                          mcp->tool_name.len);
        span[*n].at = &mcp->named;

        if (ngx_http_stoa_ctx_text(r, &b, &span[(*n)++].text) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (mcp->msg.meta.start == NULL || mcp->to_modern) {
        return NGX_OK;
    }

    span[*n].at = &mcp->msg.meta;

    if (mcp->bridged) {
        stoa_buf_init(&b, mcp->body.len + 2);
        ngx_http_stoa_mcp_bridge_meta(&mcp->msg.meta, &b);

        return ngx_http_stoa_ctx_text(r, &b, &span[(*n)++].text);
    }

    meta.data = (u_char *) mcp->msg.meta.start;
    meta.len = mcp->msg.meta.end - mcp->msg.meta.start;
    ngx_memcpy(ref.api, &ctx->call.api->id, STOA_ID_LEN);

    rc = ngx_http_stoa_mcp_task_related(r, ctx, &ref, &mcp->msg.meta, &meta);

    if (rc == NGX_OK) {
        span[(*n)++].text = meta;
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}
