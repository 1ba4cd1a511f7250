
/*
 * Calls that last: a WebSocket tunnel, a stream of events.  Whether they may
 * was judged when they began; here it is looked at again each second, and one
 * that would be refused now ends, as its upstream's silence would end it.
 *
 * Process: workers.  Lifetime: r->pool, with the timer.  Limits: one timer for
 * each such call.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_api.h"


#define NGX_HTTP_STOA_WATCH_MS  1000


static const char *ngx_http_stoa_watch_over(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_watch_lasts(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_watch_look(ngx_event_t *ev);
static void ngx_http_stoa_watch_cleanup(void *data);


ngx_int_t
ngx_http_stoa_watch(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_event_t         *ev;
    ngx_pool_cleanup_t  *cln;

    if (!ctx->call.passed || r->upstream == NULL
        || !ngx_http_stoa_watch_lasts(r, ctx))
    {
        return NGX_OK;
    }

    if (r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS
        && ngx_http_stoa_tunnel(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_event_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ev = cln->data;
    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_stoa_watch_look;
    ev->data = r;
    ev->log = r->connection->log;
    ev->cancelable = 1;

    cln->handler = ngx_http_stoa_watch_cleanup;

    ngx_add_timer(ev, NGX_HTTP_STOA_WATCH_MS);
    ctx->call.watch = ev;

    /* what is posted is a call all the same, with an end */

    if (r->method != NGX_HTTP_POST) {
        ctx->head_ns = ngx_http_stoa_now_ns();
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_watch_lasts(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ctx->call.grpc
           || r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS
           || (r->headers_out.content_length_n == -1
               && ngx_http_stoa_header_events(&r->headers_out.content_type));
}


/* Why the call may not last; NULL: it may. */

static const char *
ngx_http_stoa_watch_over(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                    ms;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    ms = (uint64_t) (ngx_time() - r->start_sec) * 1000;

    if (ctx->call.over) {
        return "a message is too long, or none";
    }

    if (ctx->call.kept && ctx->call.api->rec->max_call_ms
        && ms > ctx->call.api->rec->max_call_ms)
    {
        return "it takes longer than max_call_ms";
    }

    return ngx_http_stoa_store_enter(mcf->store) == NGX_OK
           && !(ngx_http_stoa_auth_still(mcf->store, ctx)
                && ngx_http_stoa_policy_still(r, ctx))
           ? "it would be refused now" : NULL;
}


static void
ngx_http_stoa_watch_look(ngx_event_t *ev)
{
    const char           *why;
    ngx_event_t          *rev;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_stoa_ctx_t  *ctx;

    r = ev->data;
    ctx = ngx_http_stoa_ctx(r);
    c = r->upstream ? r->upstream->peer.connection : NULL;

    if (ctx == NULL || c == NULL) {

        /* the upstream has said all it had to say */

        return;
    }

    why = ngx_http_stoa_watch_over(r, ctx);

    if (ngx_http_stoa_tunnel_look(r, ctx, why)) {
        return;
    }

    if (why == NULL) {
        ngx_add_timer(ev, NGX_HTTP_STOA_WATCH_MS);
        return;
    }

    ngx_http_set_log_request(r->connection->log, r);
    ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                  "stoa: the call ends: %s", why);

    if (ctx->call.over == 0) {
        ctx->call.over = NGX_HTTP_FORBIDDEN;
    }

    rev = c->read;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    /* r may be gone afterwards */

    rev->timedout = 1;
    rev->handler(rev);
}


static void
ngx_http_stoa_watch_cleanup(void *data)
{
    ngx_event_t *ev = data;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}
