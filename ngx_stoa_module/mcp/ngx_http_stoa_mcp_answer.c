/*
 * MCP: what the gateway answers by itself, and its errors.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_api.h"


static ngx_int_t ngx_http_stoa_mcp_answer_text(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status, u_char *data, size_t len);
static ngx_int_t ngx_http_stoa_mcp_answer_content(ngx_http_request_t *r);


void
ngx_http_stoa_mcp_answer_head(stoa_buf_t *b, ngx_http_stoa_mcp_t *mcp)
{
    ngx_str_t  id;

    id = ngx_http_stoa_mcp_id(mcp);

    stoa_buf_addz(b, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(b, id.data, id.len);
    stoa_buf_addz(b, ",\"result\":{");
}


ngx_str_t
ngx_http_stoa_mcp_id(ngx_http_stoa_mcp_t *mcp)
{
    ngx_str_t  id = ngx_string("null");

    if (mcp && mcp->msg.id.start) {
        id.data = (u_char *) mcp->msg.id.start;
        id.len = mcp->msg.id.end - mcp->msg.id.start;
    }

    return id;
}


ngx_int_t
ngx_http_stoa_mcp_answer_buf(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    stoa_buf_t *b)
{
    ngx_str_t  text;

    return ngx_http_stoa_ctx_text(r, b, &text) == NGX_OK
           ? ngx_http_stoa_mcp_answer_text(r, ctx, NGX_HTTP_OK, text.data,
                                           text.len)
           : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_stoa_mcp_answer_text(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status, u_char *data, size_t len)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = data;
    b->last = data + len;
    b->memory = 1;
    cl->buf = b;
    cl->next = NULL;

    return ngx_http_stoa_mcp_answer(r, ctx, status, cl);
}


ngx_int_t
ngx_http_stoa_mcp_answer(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status, ngx_chain_t *out)
{
    ctx->call.mcp->out = out;
    ctx->call.mcp->out_status = status;
    r->content_handler = ngx_http_stoa_mcp_answer_content;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_stoa_mcp_answer_content(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);
    if (ctx == NULL || ctx->call.mcp == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = ctx->call.mcp->out_status;

    return ngx_http_stoa_mcp_send(r, ctx->call.mcp->out);
}


ngx_int_t
ngx_http_stoa_mcp_send(ngx_http_request_t *r, ngx_chain_t *out)
{
    off_t         len;
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    len = 0;

    for (cl = out; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
        cl->buf->last_in_chain = (cl->next == NULL);
        cl->buf->last_buf = (cl->next == NULL);
    }

    r->headers_out.content_length_n = len;

    if (len) {
        ngx_str_set(&r->headers_out.content_type, "application/json");
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;

    } else {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out);
}


/* ---- errors ------------------------------------------------------------ */

ngx_int_t
ngx_http_stoa_mcp_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_refuse_e what, ngx_str_t *detail)
{
    ngx_int_t  status;
    ngx_str_t  type, body;

    status = ngx_http_stoa_refuse(r, what, detail);

    if (status >= NGX_HTTP_SPECIAL_RESPONSE) {
        return status;
    }

    if (ngx_http_stoa_refusal_page(r, ctx, status, &type, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_stoa_mcp_answer_text(r, ctx, status, body.data, body.len);
}


ngx_uint_t
ngx_http_stoa_mcp_answers(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_refusal_t *row)
{
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_loc_conf_t  *slcf;

    mcp = ctx->call.mcp;
    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

    return slcf->mcp_refusal == NGX_HTTP_STOA_MCP_RPC
           && mcp && mcp->scanned && !mcp->paired
           && mcp->msg.kind == STOA_JSONRPC_REQUEST
           && row->jsonrpc == (ngx_int_t) row->status
           && row->status != NGX_HTTP_UNAUTHORIZED
           && row != &ngx_http_stoa_refusals[NGX_HTTP_STOA_REFUSE_SCOPE];
}


/* As Retry-After will say it; 0: it does not. */

static int64_t
ngx_http_stoa_mcp_retry_ms(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_refusal_t *row)
{
    time_t      when;
    ngx_int_t   s;
    ngx_str_t  *v;

    v = &ctx->call.retry_after;

    if (v->len) {
        s = ngx_atoi(v->data, v->len);

        if (s == NGX_ERROR) {
            when = ngx_parse_http_time(v->data, v->len);
            s = when == (time_t) NGX_ERROR ? 0 : when - ngx_time();
        }

        return s > 0 ? (int64_t) s * 1000 : 0;
    }

    if (row->status == NGX_HTTP_TOO_MANY_REQUESTS && ctx->call.limited) {
        return ctx->call.rate.retry_ms ? (int64_t) ctx->call.rate.retry_ms
                                       : 1000;
    }

    return row->status == NGX_HTTP_SERVICE_UNAVAILABLE ? 5000 : 0;
}


/* Nobody who talks to a model sees headers: who refuses, why, and when it is
 * worth another try, has to be in the text. */

static void
ngx_http_stoa_mcp_message(stoa_buf_t *b, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_refusal_t *row, const stoa_str_t *api, int64_t retry)
{
    ngx_str_t   text;
    stoa_buf_t  words;

    static ngx_str_t  see = ngx_string("; see Retry-After.");

    text = ctx->call.detail.len ? ctx->call.detail : row->detail;

    stoa_buf_init(&words, 65536);

    if (api->len) {
        stoa_buf_addf(&words, "%.*s: ", (int) api->len, api->data);
    }

    if (retry) {
        if (text.len > see.len
            && ngx_memcmp(text.data + text.len - see.len, see.data, see.len)
               == 0)
        {
            text.len -= see.len;

        } else if (text.len && text.data[text.len - 1] == '.') {
            text.len--;
        }
    }

    stoa_buf_add(&words, text.data, text.len);

    if (retry) {
        stoa_buf_addf(&words, "; retry in %lld s.",
                      (long long) (retry + 999) / 1000);
    }

    stoa_buf_add_json(b, words.data, words.len);
    stoa_buf_free(&words);
}


/* Whether an upstream has done what it was asked for. */

static const char *
ngx_http_stoa_mcp_executed(ngx_http_stoa_ctx_t *ctx)
{
    switch ((ngx_int_t) ctx->call.refused - 1) {

    case NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE:
    case NGX_HTTP_STOA_REFUSE_UPSTREAM_LIMITED:
    case NGX_HTTP_STOA_REFUSE_UPSTREAM_CREDENTIAL:
    case NGX_HTTP_STOA_REFUSE_UPSTREAM_REDIRECT:
        return "no";

    default:
        return ctx->call.passed ? "unknown" : "no";
    }
}


ngx_int_t
ngx_http_stoa_mcp_error(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_refusal_t *row, ngx_str_t *type, ngx_str_t *body)
{
    int64_t               retry;
    ngx_str_t             id;
    stoa_buf_t            b;
    stoa_str_t            api;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    id = ngx_http_stoa_mcp_id(mcp);
    retry = ngx_http_stoa_mcp_retry_ms(ctx, row);
    api.len = 0;
    ngx_str_set(type, "application/json");

    if (ctx->call.api) {
        api = stoa_rec_str(ctx->call.api->rec, ctx->call.api->rec->name);
    }

    stoa_buf_init(&b, 65536);

    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(&b, id.data, id.len);
    stoa_buf_addf(&b, ",\"error\":{\"code\":%d,\"message\":",
                  (int) row->jsonrpc);
    ngx_http_stoa_mcp_message(&b, ctx, row, &api, retry);
    stoa_buf_addf(&b, ",\"data\":{\"code\":\"%.*s\"", (int) row->code.len,
                  row->code.data);

    if (ctx->request_id.len) {
        stoa_buf_addz(&b, ",\"request_id\":");
        stoa_buf_add_json(&b, (char *) ctx->request_id.data,
                          ctx->request_id.len);
    }

    if (api.len) {
        stoa_buf_addz(&b, ",\"api\":");
        stoa_buf_add_json(&b, api.data, api.len);
        stoa_buf_addf(&b, ",\"executed\":\"%s\"",
                      ngx_http_stoa_mcp_executed(ctx));
    }

    if (retry) {
        stoa_buf_addf(&b, ",\"retry_after_ms\":%lld", (long long) retry);
    }

    if (mcp && mcp->also.len) {
        stoa_buf_add(&b, mcp->also.data, mcp->also.len);
    }

    if (row == &ngx_http_stoa_refusals[NGX_HTTP_STOA_REFUSE_MCP_VERSION]) {
        stoa_buf_addz(&b, ",\"supported\":");
        ngx_http_stoa_mcp_version_list(&b, mcp->serves_modern,
                                          mcp->serves_legacy);

        if (mcp->msg.meta_version.start) {
            stoa_buf_addz(&b, ",\"requested\":");
            stoa_buf_add(&b, mcp->msg.meta_version.start,
                         mcp->msg.meta_version.end
                         - mcp->msg.meta_version.start);
        }
    }

    stoa_buf_addz(&b, "}}}");

    return ngx_http_stoa_ctx_text(r, &b, body);
}
