/*
 * Held streams.
 *
 * Each second (the wheel) one is looked at: whether its client may still have
 * it, whether the worker exits, whether nothing was written for long.
 */

#include "ngx_http_stoa_hold.h"
#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_store.h"


static ngx_int_t ngx_http_stoa_mcp_hold_content(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_hold_waited(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_mcp_hold_head(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_hold_look(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_hold_out(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_hold_writable(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_hold_end(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_hold_cleanup(void *data);


ngx_int_t
ngx_http_stoa_mcp_hold(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_hold_t *h)
{
    ngx_int_t            rc;
    ngx_pool_cleanup_t  *cln;

    rc = ctx->inner ? NGX_OK : ngx_http_stoa_limits_stream(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL
        || ngx_http_stoa_mcp_writer_init(&h->writer, r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_stoa_mcp_hold_cleanup;
    cln->data = h;

    h->request = r;
    h->ctx = ctx;
    h->stays |= ctx->inner != NULL;         /* as whoever it is inside of    */
    ctx->call.mcp->hold = h;
    r->content_handler = ngx_http_stoa_mcp_hold_content;

    return NGX_DONE;
}


static void
ngx_http_stoa_mcp_hold_cleanup(void *data)
{
    ngx_http_stoa_mcp_hold_t *h = data;

    ngx_http_stoa_mcp_wheel_remove(&h->ctx->call.mcp->spoke);
}


static ngx_int_t
ngx_http_stoa_mcp_hold_content(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_table_elt_t           *h, *cc;
    ngx_http_stoa_ctx_t       *ctx;
    ngx_http_stoa_mcp_hold_t  *hold;

    ctx = ngx_http_stoa_ctx(r);
    if (ctx == NULL || ctx->call.mcp == NULL || ctx->call.mcp->hold == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    hold = ctx->call.mcp->hold;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_http_clear_content_length(r);

    h = ngx_http_stoa_header_add(r, "X-Accel-Buffering");
    cc = ngx_http_stoa_header_add(r, "Cache-Control");

    if (h == NULL || cc == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&h->value, "no");
    ngx_str_set(&cc->value, "no-store");

    hold->since = ngx_current_msec;
    hold->wrote = ngx_current_msec;
    hold->until = NGX_HTTP_STOA_MCP_HOLD_MAX_MS / 10 * 9
                  + ngx_random() % (NGX_HTTP_STOA_MCP_HOLD_MAX_MS / 5);

    (void) ngx_http_stoa_mcp_changed(r, ctx, &hold->change);

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_stoa_mcp_hold_writable;

    if (hold->begin(hold) != NGX_OK) {
        r->main->count--;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (hold->waits) {
        ngx_http_stoa_mcp_wheel_add(r, &ctx->call.mcp->spoke,
                                    NGX_HTTP_STOA_MCP_SECOND,
                                    ngx_http_stoa_mcp_hold_waited);
    }

    ngx_http_stoa_mcp_hold_out(hold);

    return NGX_DONE;
}


/* Long enough: what it waits for may be slow, its client is not to be. */

static void
ngx_http_stoa_mcp_hold_waited(ngx_http_request_t *r)
{
    ngx_http_stoa_mcp_hold_t  *h;

    h = ngx_http_stoa_ctx(r)->call.mcp->hold;
    h->waits = 0;

    ngx_http_stoa_mcp_hold_out(h);
}


/* The head, and the looks.  NGX_DECLINED: the request is done with. */

static ngx_int_t
ngx_http_stoa_mcp_hold_head(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = h->request;
    h->headed = 1;
    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return NGX_DECLINED;
    }

    h->ctx->head_ns = ngx_http_stoa_now_ns();

    /* it is for calls that a pool is as large as it is */

    ngx_http_stoa_compat_trim(r->pool);

    ngx_http_stoa_mcp_wheel_add(r, &h->ctx->call.mcp->spoke,
                                NGX_HTTP_STOA_MCP_SECOND,
                                ngx_http_stoa_mcp_hold_look);

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_hold_look(ngx_http_request_t *r)
{
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_hold_t   *h;
    ngx_http_stoa_main_conf_t  *mcf;

    mcp = ngx_http_stoa_ctx(r)->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    h = mcp->hold;

    if (ngx_http_stoa_store_enter(mcf->store) == NGX_OK
        && !(ngx_http_stoa_auth_still(mcf->store, h->ctx)
             && ngx_http_stoa_policy_still(r, h->ctx)))
    {
        h->over = 1;

    } else if ((ngx_exiting && !h->stays)
               || ngx_current_msec - h->since > h->until)
    {
        h->bye(h);
        h->over = 1;

    } else {
        h->look(h, ngx_http_stoa_mcp_changed(r, h->ctx, &h->change));
    }

    if (!h->over && !h->writer.busy
        && ngx_current_msec - h->wrote >= mcf->mcp_keepalive)
    {
        h->wrote = ngx_current_msec;
        (void) ngx_http_stoa_mcp_writer_bytes(&h->writer, ":\n\n", 3);
    }

    if (!h->over) {
        ngx_http_stoa_mcp_wheel_add(r, &mcp->spoke, NGX_HTTP_STOA_MCP_SECOND,
                                    ngx_http_stoa_mcp_hold_look);
    }

    ngx_http_stoa_mcp_hold_out(h);
}


static void
ngx_http_stoa_mcp_hold_writable(ngx_http_request_t *r)
{
    if (ngx_http_stoa_mcp_writer_goes_on(r)) {
        ngx_http_stoa_mcp_hold_out(ngx_http_stoa_ctx(r)->call.mcp->hold);
    }
}


ngx_int_t
ngx_http_stoa_mcp_hold_write(ngx_http_stoa_mcp_hold_t *h,
    const stoa_sse_event_t *event)
{
    h->wrote = ngx_current_msec;

    return ngx_http_stoa_mcp_writer_event(&h->writer, event);
}


void
ngx_http_stoa_mcp_hold_push(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_connection_t  *c;

    c = h->request->connection;
    ngx_http_set_log_request(c->log, h->request);

    ngx_http_stoa_mcp_hold_out(h);
    ngx_http_run_posted_requests(c);
}


/* From an event of the request's own, whose caller runs what is posted. */

static void
ngx_http_stoa_mcp_hold_out(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_uint_t  full;

    if (!h->headed && (h->over || !h->waits)
        && ngx_http_stoa_mcp_hold_head(h) != NGX_OK)
    {
        return;
    }

    if (h->over) {
        ngx_http_stoa_mcp_hold_end(h);
        return;
    }

    if (h->headed) {
        ngx_http_stoa_mcp_writer_push(&h->writer);
    }

    if (h->request->connection->error) {
        ngx_http_finalize_request(h->request, NGX_ERROR);
        return;
    }

    full = h->writer.queued >= NGX_HTTP_STOA_MCP_QUEUE_MAX;

    /* while it is full again and again: some may have begun since */

    if ((full || h->paused) && h->full) {
        h->full(h, full);
    }

    h->paused = full;
}


static void
ngx_http_stoa_mcp_hold_end(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_int_t  rc;

    rc = h->writer.ended ? NGX_OK : ngx_http_stoa_mcp_writer_end(&h->writer);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_writer_send(&h->writer);
    }

    ngx_http_stoa_mcp_wheel_remove(&h->ctx->call.mcp->spoke);
    ngx_http_finalize_request(h->request, rc);
}
