/*
 * The total time of a call, with all its tries and its answer.
 *
 * When it is over the upstream's connection is treated as one whose time for
 * reading is over, and no other is tried: so what the client gets is what
 * nginx makes of that, 504 before the head of the answer, a cut answer after
 * it.  A tunnel has no such time.
 *
 * Process: workers.  Lifetime: r->pool; a finisher of the call takes the timer
 * away.
 */

#include "ngx_http_stoa_balance.h"


typedef struct {
    ngx_event_t           event;
    ngx_http_request_t   *request;
    ngx_http_stoa_ctx_t  *ctx;
} ngx_http_stoa_deadline_t;


static void ngx_http_stoa_deadline_over(ngx_event_t *ev);
static void ngx_http_stoa_deadline_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);


ngx_int_t
ngx_http_stoa_deadline(ngx_http_stoa_peer_t *peer)
{
    ngx_msec_t                    ms;
    ngx_http_stoa_ctx_t          *ctx;
    ngx_http_stoa_deadline_t     *d;
    const stoa_rec_api_t         *rec;
    const stoa_rec_operation_t   *row;

    ctx = peer->ctx;
    rec = peer->api->rec;
    ms = rec->total_timeout_ms;

    if (ctx->call.operation) {
        row = stoa_rec_vec(rec, rec->operations, stoa_rec_operation_t)
              + (ctx->call.operation - 1);

        if (row->total_timeout_ms) {
            ms = row->total_timeout_ms;
        }
    }

    if (ctx->call.timeout_ms && (ms == 0 || ctx->call.timeout_ms < ms)) {
        ms = ctx->call.timeout_ms;
        ctx->call.hurried = 1;
    }

    if (ms == 0 || ctx->call.websocket || ctx->call.timed) {
        return NGX_OK;
    }

    d = ngx_pcalloc(peer->request->pool, sizeof(ngx_http_stoa_deadline_t));

    if (d == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_deadline_finish, d)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    d->request = peer->request;
    d->ctx = ctx;
    d->event.handler = ngx_http_stoa_deadline_over;
    d->event.data = peer->request->connection;
    d->event.log = peer->request->connection->log;

    ngx_add_timer(&d->event, ms);
    ctx->call.timed = 1;

    return NGX_OK;
}


static void
ngx_http_stoa_deadline_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_deadline_t *d = data;

    if (d->event.timer_set) {
        ngx_del_timer(&d->event);
    }
}


static void
ngx_http_stoa_deadline_over(ngx_event_t *ev)
{
    ngx_connection_t          *c, *client;
    ngx_http_upstream_t       *u;
    ngx_http_stoa_deadline_t  *d;

    d = (ngx_http_stoa_deadline_t *) ev;
    client = d->request->connection;

    u = d->request->upstream;
    c = u ? u->peer.connection : NULL;

    if (c == NULL) {
        return;                              /* all of the answer is there  */
    }

    ngx_http_set_log_request(client->log, d->request);

    ngx_log_error(NGX_LOG_ERR, client->log, 0,
                  "stoa: the total time of the call is over");

    ngx_http_stoa_count(late, 1);

    d->ctx->call.late = 1;
    u->peer.tries = 0;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    c->read->timedout = 1;
    c->write->timedout = 1;
    c->read->handler(c->read);

    ngx_http_run_posted_requests(client);
}
