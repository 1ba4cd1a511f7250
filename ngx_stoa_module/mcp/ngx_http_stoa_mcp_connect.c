
/*
 * The gateway as a legacy client of an upstream: initialize and initialized,
 * lazily, once per client session and upstream, and again when the upstream
 * has forgotten the session.
 *
 * Both messages are subrequests through the same proxy, so that balancing,
 * TLS, names and idle connections are one thing; what they answer is taken by
 * our body filter (ngx_http_stoa_mcp_collect) and reaches no client.
 *
 * A forgotten session shows as 404 (some servers: 400) to the call itself.
 * Such an answer is turned into an internal redirect before a byte of it is
 * sent: nginx ends that upstream, the pipeline runs again from `connect`, and
 * the call, which the upstream did not execute, is sent once more.
 *
 * Process: any worker.
 */


#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_key.h"
#include "core/stoa_rec_table.h"
#include "core/stoa_sse.h"


/* How soon a waiter looks for what another worker has done, at first and at
 * last; what this worker does wakes it at once. */


typedef struct {
    ngx_http_stoa_mcp_upstream_t  *up;
    ngx_uint_t                     found;
} ngx_http_stoa_mcp_init_t;


static ngx_int_t ngx_http_stoa_mcp_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_post(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *message);
static ngx_int_t ngx_http_stoa_mcp_post_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_int_t ngx_http_stoa_mcp_initialized(ngx_http_request_t *sr,
    ngx_http_stoa_ctx_t *sctx, ngx_http_stoa_mcp_upstream_t *up);
static ngx_int_t ngx_http_stoa_mcp_init_result(const char *data, size_t len,
    ngx_http_stoa_mcp_upstream_t *up);
static stoa_rc_t ngx_http_stoa_mcp_init_event(void *data,
    const stoa_sse_event_t *event);
static ngx_table_elt_t *ngx_http_stoa_mcp_upstream_header(
    ngx_http_request_t *r, const char *lowcase, size_t len);
static ngx_int_t ngx_http_stoa_mcp_use(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_http_stoa_mcp_upstream_t *up);
static void ngx_http_stoa_mcp_finish(ngx_http_stoa_ctx_t *ctx, void *data);
static ngx_int_t ngx_http_stoa_mcp_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_mcp_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_mcp_again(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


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
        return ngx_http_stoa_refuse(r,
                                   NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE,
                                   NULL);

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

    rc = ngx_http_stoa_mcp_upstream_find(mcp->upstream_key, &up);

    if (rc == NGX_OK) {
        return ngx_http_stoa_mcp_use(r, mcp, &up);
    }

    if (rc == NGX_AGAIN) {
        return ngx_http_stoa_mcp_wait(r, ctx);
    }

    return ngx_http_stoa_mcp_begin(r, ctx);
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
        ngx_http_stoa_mcp_upstream_drop(mcp->upstream_key, NULL, 0);
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


ngx_int_t
ngx_http_stoa_mcp_collect(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_chain_t *in)
{
    size_t      n;
    ngx_buf_t  *b, *to;

    to = ctx->call.mcp->collected;

    if (to == NULL) {
        to = ngx_create_temp_buf(r->pool, NGX_HTTP_STOA_MCP_COLLECT_MAX);
        if (to == NULL) {
            return NGX_ERROR;
        }

        ctx->call.mcp->collected = to;
    }

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (!ngx_buf_in_memory(b)) {
            b->file_pos = b->file_last;
            continue;
        }

        n = ngx_min(b->last - b->pos, to->end - to->last);

        if (n) {
            to->last = ngx_cpymem(to->last, b->pos, n);
            b->pos = b->last;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_post_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_stoa_ctx_t           *sctx = data;
    ngx_http_stoa_mcp_t           *mcp;
    ngx_http_stoa_mcp_upstream_t   up;

    mcp = sctx->call.mcp->parent->call.mcp;

    if (mcp->sub == NGX_HTTP_STOA_MCP_SUB_INITIALIZE) {

        if (rc < NGX_HTTP_SPECIAL_RESPONSE && rc != NGX_ERROR
            && ngx_http_stoa_mcp_initialized(sr, sctx, &up) == NGX_OK
            && ngx_http_stoa_mcp_use(sr, mcp, &up) == NGX_OK)
        {
            mcp->sub = NGX_HTTP_STOA_MCP_SUB_ACCEPTED;

        } else {
            ngx_log_error(NGX_LOG_WARN, sr->connection->log, 0,
                          "an MCP upstream did not accept initialize: "
                          "rc:%i status:%ui", rc,
                          sr->upstream ? sr->upstream->headers_in.status_n
                                       : 0);
            mcp->sub = NGX_HTTP_STOA_MCP_SUB_FAILED;
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


static ngx_int_t
ngx_http_stoa_mcp_initialized(ngx_http_request_t *sr,
    ngx_http_stoa_ctx_t *sctx, ngx_http_stoa_mcp_upstream_t *up)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    stoa_rc_t                  src;
    stoa_sse_t                 sse;
    ngx_table_elt_t           *sid, *type;
    ngx_http_stoa_mcp_init_t   init;

    ngx_memzero(up, sizeof(*up));

    if (sr->upstream == NULL || sr->upstream->headers_in.status_n != 200
        || sctx->call.mcp->collected == NULL)
    {
        return NGX_DECLINED;
    }

    sid = ngx_http_stoa_mcp_upstream_header(sr, "mcp-session-id", 14);

    if (sid) {
        if (sid->value.len > NGX_HTTP_STOA_MCP_SID_MAX) {
            return NGX_DECLINED;
        }

        up->len = sid->value.len;
        ngx_memcpy(up->sid, sid->value.data, up->len);
    }

    b = sctx->call.mcp->collected;
    type = ngx_http_stoa_mcp_upstream_header(sr, "content-type", 12);

    if (type == NULL || type->value.len < 17
        || ngx_strncasecmp(type->value.data, (u_char *) "text/event-stream",
                           17)
           != 0)
    {
        return ngx_http_stoa_mcp_init_result((char *) b->pos,
                                             b->last - b->pos, up);
    }

    init.up = up;
    init.found = 0;

    stoa_sse_init(&sse, NGX_HTTP_STOA_MCP_COLLECT_MAX,
                  ngx_http_stoa_mcp_init_event, &init);
    src = stoa_sse_feed(&sse, (char *) b->pos, b->last - b->pos);
    rc = (src == STOA_OK && init.found) ? NGX_OK : NGX_DECLINED;
    stoa_sse_free(&sse);

    return rc;
}


static stoa_rc_t
ngx_http_stoa_mcp_init_event(void *data, const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_init_t  *init = data;

    if (!init->found
        && ngx_http_stoa_mcp_init_result(event->data.data, event->data.len,
                                         init->up)
           == NGX_OK)
    {
        init->found = 1;
    }

    return STOA_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_init_result(const char *data, size_t len,
    ngx_http_stoa_mcp_upstream_t *up)
{
    stoa_err_t       err;
    stoa_str_t       version;
    stoa_json_val_t  root, result;

    if (stoa_json_check(data, len, STOA_JSON_DEPTH_MAX, &root, &err)
        != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&root, "result", &result)
        || result.type != STOA_JSON_OBJECT
        || !stoa_json_get_text(&result, "protocolVersion", &version))
    {
        return NGX_DECLINED;
    }

    up->version = ngx_http_stoa_mcp_version_find(version.data, version.len);

    /* 2024-11-05 over this transport: the header is not known there */

    if (up->version != NGX_HTTP_STOA_MCP_VERSION_NONE
        && ngx_http_stoa_mcp_versions[up->version].modern)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_stoa_mcp_upstream_header(ngx_http_request_t *r, const char *lowcase,
    size_t len)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w,
                                    &r->upstream->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->key.len == len
            && ngx_strncasecmp(h->key.data, (u_char *) lowcase, len) == 0)
        {
            break;
        }
    }

    return h;
}


/* ---- the call itself --------------------------------------------------- */

void
ngx_http_stoa_mcp_upstream_hook(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    u = r->upstream;

    u->buffering = 0;                     /* an event stream may come       */

    if (mcp->parent || mcp->modern) {
        return;
    }

    mcp->process_header = u->process_header;
    mcp->reinit_request = u->reinit_request;
    u->process_header = ngx_http_stoa_mcp_process_header;
    u->reinit_request = ngx_http_stoa_mcp_reinit_request;
}


static ngx_int_t
ngx_http_stoa_mcp_reinit_request(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    rc = ctx->call.mcp->reinit_request(r);

    ctx->call.mcp->process_header = r->upstream->process_header;
    r->upstream->process_header = ngx_http_stoa_mcp_process_header;

    return rc;
}


static ngx_int_t
ngx_http_stoa_mcp_process_header(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;
    ngx_http_stoa_ctx_t  *ctx;
    ngx_http_stoa_mcp_t  *mcp;

    u = r->upstream;
    ctx = ngx_http_stoa_ctx(r);
    mcp = ctx->call.mcp;

    /* the proxy moves on from the status line to the headers by itself */

    u->process_header = mcp->process_header;
    rc = u->process_header(r);
    mcp->process_header = u->process_header;
    u->process_header = ngx_http_stoa_mcp_process_header;

    if (rc != NGX_OK) {
        return rc;
    }

    status = u->headers_in.status_n;

    if (mcp->upstream_session.len && !mcp->retried
        && (status == NGX_HTTP_NOT_FOUND
            || (status == NGX_HTTP_BAD_REQUEST && !mcp->fresh_session)))
    {
        return ngx_http_stoa_mcp_again(r, ctx);
    }

    /* to a legacy client 404 would mean that its own session is gone */

    if (status == NGX_HTTP_NOT_FOUND) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "an MCP upstream answered 404 to a call");
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_again(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t  *mcp;

    if (ngx_http_stoa_compat_again(r) != NGX_OK) {
        return NGX_ERROR;
    }

    mcp = ctx->call.mcp;

    ngx_http_stoa_mcp_upstream_drop(mcp->upstream_key,
                                    mcp->upstream_session.data,
                                    mcp->upstream_session.len);

    mcp->retried = 1;
    mcp->sub = NGX_HTTP_STOA_MCP_SUB_NONE;
    ctx->call.step = mcp->connect_step;
    ctx->call.passed = 0;

    return NGX_OK;
}
