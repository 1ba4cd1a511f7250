/*
 * logging/setLevel of a session: told to all of its sessions at upstreams, and
 * to each that is opened later, before its first call; to upstreams that have
 * no sessions with each call (_mcp_modern.c).  Who sets it is
 * answered when they have it, since his next call may come by another
 * connection.  The level is soft
 * state in the shared zone: at another gateway, or when another session has
 * taken its slot, the default counts again.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_zone.h"


typedef struct {
    ngx_http_request_t   *request;
    ngx_http_stoa_ctx_t  *ctx;
    ngx_str_t             body;
    ngx_int_t             rc;
} ngx_http_stoa_mcp_level_t;


static uint64_t *ngx_http_stoa_mcp_level_slot(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, uint64_t *tag);
static void ngx_http_stoa_mcp_level_one(void *data,
    const stoa_mcp_ref_t *ref);
static ngx_int_t ngx_http_stoa_mcp_level_wait(ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_mcp_level_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);


ngx_int_t
ngx_http_stoa_mcp_level(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                      text[NGX_HTTP_STOA_MCP_LEVEL_TEXT];
    uint64_t                    tag, *slot;
    ngx_str_t                   detail;
    ngx_uint_t                  level;
    stoa_buf_t                  b;
    stoa_json_val_t             v;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_level_t   all;

    mcp = ctx->call.mcp;

    level = mcp->msg.params.start
            && stoa_json_get(&mcp->msg.params, "level", &v)
            ? ngx_http_stoa_mcp_level_find(&v) : 0;

    if (level == 0) {
        ngx_str_set(&detail, "params needs a level of syslog");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_PROMPT,
                                        &detail);
    }

    if (mcp->leveled) {
        goto told;
    }

    slot = ngx_http_stoa_mcp_level_slot(r, mcp, &tag);
    *slot = tag | level;

    if (ngx_http_stoa_mcp_level_wait(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    all.request = r;
    all.ctx = ctx;
    all.rc = NGX_OK;
    ngx_http_stoa_mcp_level_body(text, level, &all.body);

    ngx_http_stoa_mcp_relay_sessions(r, ctx, 0, ngx_http_stoa_mcp_level_one,
                                     &all);

    if (all.rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_queue_empty(&mcp->told)) {
        return ngx_http_stoa_ctx_suspend(r);
    }

told:

    stoa_buf_init(&b, STOA_JSONRPC_BODY_MAX);
    ngx_http_stoa_mcp_answer_head(&b, mcp);
    stoa_buf_addz(&b, "}}");

    return ngx_http_stoa_mcp_answer_buf(r, ctx, &b);
}


static uint64_t *
ngx_http_stoa_mcp_level_slot(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    uint64_t *tag)
{
    uint64_t                    client;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    client = ngx_http_stoa_mcp_client(mcp);
    client ^= client >> 32;
    *tag = client << 8;

    return &mcf->sh->mcp_levels[client % NGX_HTTP_STOA_MCP_TURNS];
}


ngx_uint_t
ngx_http_stoa_mcp_level_is(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp)
{
    uint64_t  tag, level;

    level = *ngx_http_stoa_mcp_level_slot(r, mcp, &tag);

    return (level & ~0xffULL) == tag
           && (level & 0xff) <= NGX_HTTP_STOA_MCP_LEVELS_N ? level & 0xff : 0;
}


static void
ngx_http_stoa_mcp_level_one(void *data, const stoa_mcp_ref_t *ref)
{
    ngx_http_stoa_mcp_level_t *all = data;

    if (all->rc == NGX_OK
        && ngx_http_stoa_mcp_relay_post(all->request, all->ctx, ref,
                                        &all->body, 1)
           == NGX_ERROR)
    {
        all->rc = NGX_ERROR;
    }
}


/* The session of this call was opened now.  NGX_OK, or NGX_AGAIN: its upstream
 * is being told. */

ngx_int_t
ngx_http_stoa_mcp_level_again(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                     text[NGX_HTTP_STOA_MCP_LEVEL_TEXT];
    ngx_str_t                  body;
    ngx_uint_t                 level;
    stoa_mcp_ref_t             ref;
    ngx_http_stoa_mcp_t       *mcp;

    mcp = ctx->call.mcp;
    level = ngx_http_stoa_mcp_level_is(r, mcp);

    if (mcp->leveled || !mcp->fresh_session || level == 0) {
        return NGX_OK;
    }

    ngx_http_stoa_mcp_ref(ctx, &ref);
    ngx_http_stoa_mcp_level_body(text, level, &body);

    if (ngx_http_stoa_mcp_level_wait(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_mcp_relay_post(r, ctx, &ref, &body, 1) != NGX_OK) {
        return NGX_OK;                      /* the call counts more         */
    }

    return ngx_http_stoa_ctx_suspend(r);
}


/* What is posted now is waited for. */

static ngx_int_t
ngx_http_stoa_mcp_level_wait(ngx_http_stoa_ctx_t *ctx)
{
    ctx->call.mcp->leveled = 1;
    ngx_queue_init(&ctx->call.mcp->told);

    return ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_level_finish,
                                      NULL);
}


static void
ngx_http_stoa_mcp_level_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_queue_t               *q;
    ngx_http_stoa_mcp_told_t  *told;

    (void) data;

    while (!ngx_queue_empty(&ctx->call.mcp->told)) {
        q = ngx_queue_head(&ctx->call.mcp->told);
        told = ngx_queue_data(q, ngx_http_stoa_mcp_told_t, queue);

        ngx_queue_remove(q);
        told->ctx = NULL;
    }
}
