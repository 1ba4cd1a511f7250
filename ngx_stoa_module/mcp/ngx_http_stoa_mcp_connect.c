
/*
 * The session that a call has at its upstream: lazily opened, once per client
 * session and upstream, and again when the upstream has forgotten it.
 *
 * That it has shows in the answer to a call (_mcp_judge.c), which then comes
 * here once more.
 *
 * Process: any worker.
 */

#include "ngx_http_stoa_mcp_ask.h"


/* Who opens one; it is left alone by a request that ends, so that those who
 * wait get the session. */

typedef struct {
    ngx_http_stoa_ctx_t  *ctx;              /* NULL: gone                   */
    uint64_t              key;
    ngx_msec_t            turn;
    uint64_t              app;              /* whose session it is          */
} ngx_http_stoa_mcp_conn_t;


static ngx_int_t ngx_http_stoa_mcp_find_session(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_msec_t turn);
static void ngx_http_stoa_mcp_opened(ngx_http_stoa_mcp_open_t *o, void *data);
static ngx_int_t ngx_http_stoa_mcp_use(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_http_stoa_mcp_upstream_t *up);
static void ngx_http_stoa_mcp_finish(ngx_http_stoa_ctx_t *ctx, void *data);


ngx_int_t
ngx_http_stoa_mcp_connect(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if ((mcp->modern && !mcp->bridged) || mcp->to_modern) {
        return NGX_OK;
    }

    if (mcp->at_guest) {
        return NGX_OK;                    /* the call has its session        */
    }

    if (mcp->bridged && ngx_http_stoa_mcp_bridge_can(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcp->connect_step = ctx->call.step;

    switch (mcp->connect) {

    case NGX_HTTP_STOA_MCP_CONNECT_OPENING:
    case NGX_HTTP_STOA_MCP_CONNECT_PROBING:
        return NGX_AGAIN;

    case NGX_HTTP_STOA_MCP_CONNECT_PROBE:
        return ngx_http_stoa_mcp_probe(r, ctx);

    case NGX_HTTP_STOA_MCP_CONNECT_PROBED:
        rc = ngx_http_stoa_mcp_probe_end(r, ctx);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        break;

    case NGX_HTTP_STOA_MCP_CONNECT_DONE:
        return mcp->modern ? NGX_OK : ngx_http_stoa_mcp_level_again(r, ctx);

    case NGX_HTTP_STOA_MCP_CONNECT_FAILED:
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

    return ngx_http_stoa_mcp_find_session(r, ctx);
}


static ngx_int_t
ngx_http_stoa_mcp_find_session(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                      rc;
    ngx_http_stoa_mcp_t           *mcp;
    ngx_http_stoa_main_conf_t     *mcf;
    ngx_http_stoa_mcp_upstream_t   up;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (mcp->upstream_key == 0) {
        mcp->upstream_key = ngx_http_stoa_mcp_upstream_key(mcp,
                                                       &ctx->call.api->id);

        if (ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_finish, NULL)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (mcp->bridged) {
        return ngx_http_stoa_mcp_bridge_take(ctx, &up) == NGX_OK
               ? ngx_http_stoa_mcp_use(r, mcp, &up)
               : ngx_http_stoa_mcp_begin(r, ctx, 0);
    }

    if (!mcp->retried
        && ngx_http_stoa_mcp_carried(mcp, &ctx->call.api->id, &up) == NGX_OK)
    {
        return ngx_http_stoa_mcp_use(r, mcp, &up);
    }

    up.api = ctx->call.api->id;
    up.app = ngx_http_stoa_mcp_app(ctx);

    rc = ngx_http_stoa_mcp_upstream_find(mcp->upstream_key,
                                    mcp->wait.delay != 0,
                                    ngx_http_stoa_mcp_within(ctx->call.api),
                                    &up);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_use(r, mcp, &up);

        return rc == NGX_OK && up.doubt ? ngx_http_stoa_mcp_probe(r, ctx)
                                        : rc;
    }

    if (rc == NGX_AGAIN) {
        return ngx_http_stoa_mcp_wait(r, ctx);
    }

    if (rc == NGX_ABORT) {
        return ngx_http_stoa_refuse(r, up.failed - 1, NULL);
    }

    rc = ngx_http_stoa_mcp_upstream_room(&mcf->mcp_sessions,
                                         mcp->upstream_key)
         == NGX_OK
         ? ngx_http_stoa_mcp_begin(r, ctx, up.turn)
         : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSIONS, NULL);

    if (rc != NGX_AGAIN) {
        ngx_http_stoa_mcp_upstream_end(mcp->upstream_key, up.turn, 0);
    }

    return rc;
}


/* As long as initialize and initialized may take, by the api. */

ngx_msec_t
ngx_http_stoa_mcp_within(const ngx_http_stoa_api_t *api)
{
    ngx_msec_t             one;
    const stoa_rec_api_t  *rec;

    rec = api->rec;

    one = (rec->connect_timeout_ms ? rec->connect_timeout_ms : 60000)
          + (rec->read_timeout_ms ? rec->read_timeout_ms : 60000);

    return 2 * one + 1000;
}


static ngx_int_t
ngx_http_stoa_mcp_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_msec_t turn)
{
    ngx_int_t                  rc;
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_conn_t  *conn;
    ngx_http_stoa_mcp_open_t  *o;

    mcp = ctx->call.mcp;

    mcp->fresh_session = 1;
    mcp->upstream_version = NGX_HTTP_STOA_MCP_VERSION_NONE;
    ngx_str_null(&mcp->upstream_session);

    o = ngx_http_stoa_mcp_open_create(ctx->call.api);
    if (o == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    conn = ngx_pcalloc(o->pool, sizeof(ngx_http_stoa_mcp_conn_t));
    rc = conn ? ngx_http_stoa_headers_text(r, ctx, o->pool, &o->headers)
              : NGX_ERROR;

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_credential_caller(o->api, ctx, o->pool,
                                             &o->subject);
    }

    if (rc == NGX_OK) {
        conn->ctx = ctx;
        conn->key = mcp->bridged ? 0 : mcp->upstream_key;
        conn->turn = turn;
        conn->app = ngx_http_stoa_mcp_app(ctx);

        ngx_http_stoa_via(r, &o->via);
        o->group = ngx_http_stoa_split(r, ctx, o->api);
        ngx_http_stoa_mcp_leave_via(r);
        o->version = mcp->bridged ? NGX_HTTP_STOA_MCP_VERSION_LATEST_LEGACY
                                  : mcp->version;
        rc = ngx_http_stoa_mcp_declare(o->pool, &mcp->capabilities,
                                       &o->capabilities);
        o->done = ngx_http_stoa_mcp_opened;
        o->data = conn;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_open_start(o);
    }

    if (rc != NGX_OK) {
        ngx_http_stoa_mcp_open_free(o);
        return rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
    }

    mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_OPENING;
    mcp->conn = conn;

    return ngx_http_stoa_ctx_suspend(r);
}


/* What the upstream may ask of the client: all that he has declared, but what
 * is not carried. */

ngx_int_t
ngx_http_stoa_mcp_declare(ngx_pool_t *pool, ngx_str_t *caps, ngx_str_t *out)
{
    u_char            *p;
    stoa_json_val_t    all, key, val;
    stoa_json_iter_t   it;

    all.type = STOA_JSON_OBJECT;
    all.start = (char *) caps->data;
    all.end = all.start + caps->len;

    if (caps->len == 0 || !stoa_json_first(&all, &it, &key, &val)) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, caps->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    *p++ = '{';

    do {
        if (stoa_json_eq(&key, "tasks", 5)) {
            continue;
        }

        if (p > out->data + 1) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, key.start, val.end - key.start);

    } while (stoa_json_next(&it, &key, &val));

    *p++ = '}';
    out->len = p - out->data;

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_opened(ngx_http_stoa_mcp_open_t *o, void *data)
{
    ngx_http_stoa_mcp_conn_t *conn = data;

    ngx_http_request_t   *r;
    ngx_http_stoa_mcp_t  *mcp;

    o->up.api = o->api->id;
    o->up.app = conn->app;
    o->up.target = o->target;

    if (conn->key == 0) {

        /* the call's own */

        if (o->opened && conn->ctx == NULL) {
            ngx_http_stoa_mcp_leave(&o->up);
        }

    } else if (o->opened) {
        ngx_http_stoa_mcp_upstream_set(conn->key, &o->up);
        ngx_http_stoa_mcp_get_poke(conn->key);

    } else {
        ngx_http_stoa_mcp_upstream_end(conn->key, conn->turn,
                                       o->fault.what + 1);
    }

    if (conn->ctx == NULL) {
        return;
    }

    r = conn->ctx->request;
    mcp = conn->ctx->call.mcp;
    mcp->conn = NULL;

    if (o->opened && ngx_http_stoa_mcp_use(r, mcp, &o->up) == NGX_OK) {
        mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_DONE;

    } else {
        mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_FAILED;
        mcp->fault = o->fault;
    }

    ngx_http_stoa_ctx_wake(r);
}


static ngx_int_t
ngx_http_stoa_mcp_use(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    ngx_http_stoa_mcp_upstream_t *up)
{
    mcp->upstream_version = up->version;
    mcp->upstream_target = up->target;
    mcp->upstream_session.len = up->len;
    mcp->has_upstream = 1;

    /* no other target knows the session */

    ngx_http_stoa_ctx(r)->call.to.first = up->len ? up->target + 1 : 0;

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
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_conn_t  *conn;

    mcp = ctx->call.mcp;
    conn = mcp->conn;

    ngx_http_stoa_mcp_wait_end(&mcp->wait);

    if (mcp->bridged) {
        ngx_http_stoa_mcp_bridge_end(ctx);
    }

    if (conn) {
        conn->ctx = NULL;
        mcp->conn = NULL;
    }
}
