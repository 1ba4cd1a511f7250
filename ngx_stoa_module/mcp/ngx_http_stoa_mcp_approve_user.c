/*
 * A legacy client's user is asked whether to look again for an approval, on
 * the stream of the call, by what asks him for modern upstreams
 * (ngx_http_stoa_modern.h).
 *
 * Process: the worker that has the call.  Lifetime: r->pool.  Limits: he is
 * asked NGX_HTTP_STOA_MCP_APPROVE_ROUNDS times, each for five minutes.
 */

#include "ngx_http_stoa_approve.h"
#include "ngx_http_stoa_modern.h"


#define NGX_HTTP_STOA_MCP_APPROVE_ROUNDS  5
#define NGX_HTTP_STOA_MCP_APPROVE_USER    300000


static ngx_http_stoa_mcp_modern_t *ngx_http_stoa_mcp_approve_user_make(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_mcp_approve_user_go(ngx_http_stoa_mcp_modern_t *b);
static void ngx_http_stoa_mcp_approve_user_late(ngx_event_t *ev);
static void ngx_http_stoa_mcp_approve_user_flush(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_approve_user_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);


static const ngx_http_stoa_mcp_inputs_t  ngx_http_stoa_mcp_approve_inputs = {
    ngx_http_stoa_mcp_stream_say,
    ngx_http_stoa_mcp_approve_user_go
};


ngx_int_t
ngx_http_stoa_mcp_approve_user(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap,
    const ngx_http_stoa_mcp_verdict_t *v)
{
    ngx_int_t                    rc;
    const char                  *mode;
    stoa_buf_t                   text;
    stoa_json_val_t              caps, root;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_modern_t  *b;

    mcp = ctx->call.mcp;

    ngx_memzero(&caps, sizeof(caps));
    caps.type = STOA_JSON_OBJECT;

    if (mcp->capabilities.len) {
        caps.start = (char *) mcp->capabilities.data;
        caps.end = caps.start + mcp->capabilities.len;
    }

    mode = mcp->modern || ctx->inner || v->id.len != STOA_ID_LEN
           ? NULL : ngx_http_stoa_mcp_approve_mode(ctx, &caps);

    if (mode == NULL) {
        return NGX_DECLINED;
    }

    if (ap->user == NULL) {
        ap->user = ngx_http_stoa_mcp_approve_user_make(r, ctx);
    }

    b = ap->user;

    if (b == NULL) {
        return NGX_ERROR;
    }

    if (b->rounds++ >= NGX_HTTP_STOA_MCP_APPROVE_ROUNDS) {
        return NGX_DECLINED;
    }

    stoa_buf_init(&text, 65536);
    stoa_buf_addz(&text, "{\"inputRequests\":{\""
                  NGX_HTTP_STOA_MCP_APPROVE_KEY "\":{\"method\":"
                  "\"elicitation/create\",\"params\":");
    ngx_http_stoa_mcp_approve_params(ctx, v, mode, &text);
    stoa_buf_addz(&text, "}}}");

    b->done = 0;
    rc = text.rc == STOA_OK
         && stoa_json_check(text.data, text.len, STOA_JSON_DEPTH_MAX, &root,
                            NULL)
            == STOA_OK
         ? ngx_http_stoa_mcp_input(b, &root) : NGX_DECLINED;
    stoa_buf_free(&text);

    if (rc != NGX_OK) {
        b->ninputs = 0;
        b->done = 1;                   /* nobody cancels what does not wait  */
        return NGX_DECLINED;
    }

    ngx_add_timer(&b->event, NGX_HTTP_STOA_MCP_APPROVE_USER);

    rc = ngx_http_stoa_ctx_suspend(r);
    r->write_event_handler = ngx_http_stoa_mcp_approve_user_flush;

    return rc;
}


static ngx_http_stoa_mcp_modern_t *
ngx_http_stoa_mcp_approve_user_make(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_modern_t  *b;

    b = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_modern_t));

    if (b == NULL
        || ngx_http_stoa_ctx_finisher(ctx,
                                      ngx_http_stoa_mcp_approve_user_finish, b)
           != NGX_OK
        || ngx_http_stoa_mcp_stream_expect(r, ctx) != NGX_OK)
    {
        return NULL;
    }

    b->ctx = ctx;
    b->ident = -1;
    b->event.data = b;
    b->event.log = r->connection->log;
    b->event.handler = ngx_http_stoa_mcp_approve_user_late;
    b->msg = ctx->call.mcp->msg;

    ngx_http_stoa_mcp_input_begin(b, &ngx_http_stoa_mcp_approve_inputs);

    return b;
}


ngx_int_t
ngx_http_stoa_mcp_approve_user_said(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    stoa_json_val_t              answer, action;
    ngx_http_stoa_mcp_modern_t  *b = ap->user;

    if (!b->done) {
        return NGX_AGAIN;
    }

    if (b->cancelled) {
        return ctx->call.opened
               ? ngx_http_stoa_mcp_stream_last(r, ctx, NULL)
               : ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL);
    }

    answer.type = STOA_JSON_OBJECT;
    answer.start = (char *) b->inputs[0].answer.data;
    answer.end = answer.start + b->inputs[0].answer.len;

    if (b->ninputs == 0 || b->inputs[0].answer.len == 0
        || answer.start[0] != '{'
        || !stoa_json_get(&answer, "action", &action)
        || action.type != STOA_JSON_STRING
        || !stoa_json_eq(&action, "accept", 6))
    {
        return NGX_DECLINED;
    }

    b->ninputs = 0;

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_approve_user_go(ngx_http_stoa_mcp_modern_t *b)
{
    if (b->done) {
        return;
    }

    b->done = 1;

    if (b->event.timer_set) {
        ngx_del_timer(&b->event);
    }

    ngx_http_stoa_ctx_wake(b->ctx->request);
}


static void
ngx_http_stoa_mcp_approve_user_late(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_approve_user_go(ev->data);
}


static void
ngx_http_stoa_mcp_approve_user_flush(ngx_http_request_t *r)
{
    (void) ngx_http_stoa_mcp_stream_flush(r);
}


static void
ngx_http_stoa_mcp_approve_user_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_modern_t *b = data;

    (void) ctx;

    if (b->event.timer_set) {
        ngx_del_timer(&b->event);
    }

    ngx_http_stoa_mcp_input_end(b);
}
