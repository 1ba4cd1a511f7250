/*
 * Calls that wait while another one of their session connects.
 *
 * Process: the worker's own; what happens in another worker is seen when the
 * timer ends.  Lifetime: the call, see ngx_http_stoa_mcp_finish().
 */

#include "ngx_http_stoa_mcp.h"


#define NGX_HTTP_STOA_MCP_WAIT_MS      5
#define NGX_HTTP_STOA_MCP_WAIT_MAX_MS  160


static void ngx_http_stoa_mcp_wait_handler(ngx_event_t *ev);


static ngx_queue_t  ngx_http_stoa_mcp_waiters;    /* of this worker      */


/* Another request of the same session is connecting: look again soon. */

ngx_int_t
ngx_http_stoa_mcp_wait(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_wait_t  *w;

    w = &ctx->call.mcp->wait;

    if (w->delay == 0) {
        w->delay = NGX_HTTP_STOA_MCP_WAIT_MS;
        w->request = r;
        w->ident = -1;
        w->key = ctx->call.mcp->upstream_key;
        w->event.data = w;
        w->event.log = r->connection->log;
        w->event.handler = ngx_http_stoa_mcp_wait_handler;
    }

    if (ngx_http_stoa_mcp_waiters.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_mcp_waiters);
    }

    if (ngx_http_stoa_ctx_suspend(r) == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&ngx_http_stoa_mcp_waiters, &w->queue);
    ngx_add_timer(&w->event, w->delay);
    w->delay = ngx_min(w->delay * 2, NGX_HTTP_STOA_MCP_WAIT_MAX_MS);

    return NGX_AGAIN;
}


void
ngx_http_stoa_mcp_wait_wake(uint64_t key)
{
    ngx_queue_t               *q, *waiters;
    ngx_http_stoa_mcp_wait_t  *w;

    waiters = &ngx_http_stoa_mcp_waiters;

    if (waiters->next == NULL) {
        return;
    }

    for (q = waiters->next; q != waiters; q = q->next) {
        w = ngx_queue_data(q, ngx_http_stoa_mcp_wait_t, queue);

        if (w->key == key) {
            ngx_post_event(&w->event, &ngx_posted_events);
        }
    }
}


static void
ngx_http_stoa_mcp_wait_handler(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_wait_t  *w = ev->data;

    ngx_http_stoa_mcp_wait_end(w);
    ngx_http_stoa_ctx_wake(w->request);
}


void
ngx_http_stoa_mcp_wait_end(ngx_http_stoa_mcp_wait_t *w)
{
    if (w->queue.next) {
        ngx_queue_remove(&w->queue);
        w->queue.next = NULL;
    }

    if (w->event.timer_set) {
        ngx_del_timer(&w->event);
    }

    if (w->event.posted) {
        ngx_delete_posted_event(&w->event);
    }
}
