
/*
 * The gateway as a legacy client of an upstream: initialize and initialized,
 * lazily, once per client session and upstream, and again when the upstream
 * has forgotten the session.
 *
 * Both messages are subrequests through the same proxy, so that balancing,
 * TLS, names and idle connections are one thing; what they answer is taken in
 * _mcp_collect.c.  That a session was forgotten shows in the answer to a call
 * (_mcp_judge.c), which then comes here once more.
 *
 * Process: any worker.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_upstream.h"
#include "core/stoa_key.h"
#include "core/stoa_rec_table.h"


static ngx_msec_t ngx_http_stoa_mcp_within(ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_post(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *message);
static ngx_int_t ngx_http_stoa_mcp_post_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_int_t ngx_http_stoa_mcp_use(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_http_stoa_mcp_upstream_t *up);
static void ngx_http_stoa_mcp_finish(ngx_http_stoa_ctx_t *ctx, void *data);


ngx_int_t
ngx_http_stoa_mcp_connect(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                         id[12 + STOA_ID_LEN], *p;
    ngx_int_t                      rc;
    ngx_str_t                      message;
    ngx_http_stoa_mcp_t           *mcp;
    ngx_http_stoa_mcp_upstream_t   up;

    mcp = ctx->call.mcp;

    if (mcp->modern) {
        return NGX_OK;
    }

    mcp->connect_step = ctx->call.step;

    switch (mcp->sub) {

    case NGX_HTTP_STOA_MCP_SUB_INITIALIZE:
    case NGX_HTTP_STOA_MCP_SUB_INITIALIZED:
        return NGX_AGAIN;

    case NGX_HTTP_STOA_MCP_SUB_ACCEPTED:
        mcp->sub = NGX_HTTP_STOA_MCP_SUB_INITIALIZED;
        ngx_str_set(&message, "{\"jsonrpc\":\"2.0\","
                    "\"method\":\"notifications/initialized\"}");
        return ngx_http_stoa_mcp_post(r, ctx, &message);

    case NGX_HTTP_STOA_MCP_SUB_DONE:
        return NGX_OK;

    case NGX_HTTP_STOA_MCP_SUB_FAILED:
        if (ngx_http_stoa_mcp_fault_refuse(r, ctx, &mcp->fault,
                                           "initialize: ")
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_stoa_refusals[mcp->fault.what].status;

    default:
        break;
    }

    if (mcp->upstream_key == 0) {
        p = ngx_cpymem(id, mcp->session_id, sizeof(mcp->session_id));
        ngx_memcpy(p, &ctx->call.api->id, STOA_ID_LEN);
        mcp->upstream_key = stoa_hash64(id, sizeof(id), 1) | 1;

        if (ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_finish, NULL)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    rc = ngx_http_stoa_mcp_upstream_find(mcp->upstream_key,
                                         mcp->wait.delay != 0,
                                         ngx_http_stoa_mcp_within(ctx), &up);

    if (rc == NGX_OK) {
        return ngx_http_stoa_mcp_use(r, mcp, &up);
    }

    if (rc == NGX_AGAIN) {
        return ngx_http_stoa_mcp_wait(r, ctx);
    }

    if (rc == NGX_ABORT) {
        return ngx_http_stoa_refuse(r, up.failed - 1, NULL);
    }

    mcp->turn = up.turn;

    return ngx_http_stoa_mcp_begin(r, ctx);
}


/* As long as initialize and initialized may take, by the api. */

static ngx_msec_t
ngx_http_stoa_mcp_within(ngx_http_stoa_ctx_t *ctx)
{
    ngx_msec_t             one;
    const stoa_rec_api_t  *rec;

    rec = ctx->call.api->rec;

    one = (rec->connect_timeout_ms ? rec->connect_timeout_ms : 60000)
          + (rec->read_timeout_ms ? rec->read_timeout_ms : 60000);

    return 2 * one + 1000;
}


static ngx_int_t
ngx_http_stoa_mcp_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t             message, version;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    mcp->connecting = 1;
    mcp->fresh_session = 1;
    mcp->sub = NGX_HTTP_STOA_MCP_SUB_INITIALIZE;
    mcp->upstream_version = NGX_HTTP_STOA_MCP_VERSION_NONE;
    ngx_str_null(&mcp->upstream_session);

    version = ngx_http_stoa_mcp_versions[mcp->version].name;

    message.data = ngx_pnalloc(r->pool, 256);
    if (message.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    message.len = ngx_sprintf(message.data,
                              "{\"jsonrpc\":\"2.0\",\"id\":0,"
                              "\"method\":\"initialize\",\"params\":{"
                              "\"protocolVersion\":\"%V\","
                              "\"capabilities\":{},\"clientInfo\":{"
                              "\"name\":\"stoa-gateway\",\"version\":\""
                              NGX_HTTP_STOA_VERSION "\"}}}", &version)
                  - message.data;

    return ngx_http_stoa_mcp_post(r, ctx, &message);
}


static ngx_int_t
ngx_http_stoa_mcp_use(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    ngx_http_stoa_mcp_upstream_t *up)
{
    mcp->same = up->same;
    mcp->old_session = up->old;
    mcp->upstream_version = up->version;
    mcp->upstream_session.len = up->len;

    if (up->len) {
        mcp->upstream_session.data = ngx_pnalloc(r->pool, up->len);
        if (mcp->upstream_session.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memcpy(mcp->upstream_session.data, up->sid, up->len);
    }

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    ngx_http_stoa_mcp_wait_end(&mcp->wait);

    /* gone while connecting: let others try */

    if (mcp->connecting) {
        ngx_http_stoa_mcp_upstream_end(mcp->upstream_key, mcp->turn, 0);
    }
}


/* ---- subrequests ------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_post(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *message)
{
    ngx_buf_t                   *b;
    ngx_chain_t                 *cl;
    ngx_http_request_t          *sr;
    ngx_http_stoa_ctx_t         *sctx;
    ngx_http_stoa_mcp_t         *smcp;
    ngx_http_request_body_t     *rb;
    ngx_http_post_subrequest_t  *ps;

    ps = ngx_pcalloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    sctx = ngx_http_stoa_ctx_clone(ctx);
    smcp = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_t));
    rb = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (ps == NULL || sctx == NULL || smcp == NULL || rb == NULL || b == NULL
        || cl == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sctx->call.api = ctx->call.api;
    sctx->call.subscription = ctx->call.subscription;
    sctx->call.edge = ctx->call.edge;
    sctx->call.mcp = smcp;

    smcp->parent = ctx;
    smcp->upstream_session = ctx->call.mcp->upstream_session;
    smcp->upstream_version = ctx->call.mcp->upstream_version;

    ps->handler = ngx_http_stoa_mcp_post_done;
    ps->data = sctx;

    b->pos = message->data;
    b->last = message->data + message->len;
    b->memory = 1;
    b->last_buf = 1;
    cl->buf = b;
    cl->next = NULL;
    rb->bufs = cl;

    if (ngx_http_subrequest(r, &r->uri, NULL, &sr, ps,
                            NGX_HTTP_SUBREQUEST_WAITED
                            |NGX_HTTP_SUBREQUEST_CLONE)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sctx->request = sr;
    sr->request_body = rb;
    sr->headers_in.content_length_n = message->len;
    sr->headers_in.chunked = 0;
    sr->header_only = 0;

    ngx_http_set_ctx(sr, sctx, ngx_http_stoa_module);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_stoa_mcp_subrequest(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->call.passed) {
        return NGX_DECLINED;
    }

    rc = ngx_http_stoa_upstream_forward(r, ctx);

    if (rc == NGX_OK) {
        ctx->call.passed = 1;
        return NGX_DECLINED;
    }

    return rc == NGX_AGAIN ? NGX_DONE : rc;
}


static ngx_int_t
ngx_http_stoa_mcp_post_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_stoa_ctx_t           *sctx = data;
    ngx_http_stoa_mcp_t           *mcp;
    ngx_http_stoa_mcp_upstream_t   up;

    mcp = sctx->call.mcp->parent->call.mcp;

    if (mcp->sub == NGX_HTTP_STOA_MCP_SUB_INITIALIZE) {

        if (ngx_http_stoa_mcp_collect_result(sr, sctx, rc, &mcp->fault)
            == NGX_OK
            && ngx_http_stoa_mcp_use(sr, mcp, &sctx->call.mcp->collected->up)
               == NGX_OK)
        {
            mcp->sub = NGX_HTTP_STOA_MCP_SUB_ACCEPTED;

        } else {
            ngx_log_error(NGX_LOG_WARN, sr->connection->log, 0,
                          "an MCP upstream did not accept initialize: %V%s%*s",
                          &ngx_http_stoa_refusals[mcp->fault.what].code,
                          mcp->fault.len ? ", " : "", mcp->fault.len,
                          mcp->fault.text);
            mcp->sub = NGX_HTTP_STOA_MCP_SUB_FAILED;
            mcp->connecting = 0;
            ngx_http_stoa_mcp_upstream_end(mcp->upstream_key, mcp->turn,
                                           mcp->fault.what + 1);
        }

        return NGX_OK;
    }

    /* whatever was said to the notification, the session is open */

    ngx_memzero(&up, sizeof(up));
    up.version = mcp->upstream_version;
    up.len = mcp->upstream_session.len;

    if (up.len) {
        ngx_memcpy(up.sid, mcp->upstream_session.data, up.len);
    }

    ngx_http_stoa_mcp_upstream_set(mcp->upstream_key, &up);
    mcp->connecting = 0;
    mcp->sub = NGX_HTTP_STOA_MCP_SUB_DONE;

    return NGX_OK;
}
