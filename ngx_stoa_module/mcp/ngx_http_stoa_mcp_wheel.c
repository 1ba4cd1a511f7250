/*
 * The wheel: what has to happen to calls when nothing happens.  Each is in one
 * list at most, behind those that came before it, so that one timer of the
 * worker serves all.
 *
 * Process: workers.  Lifetime: a spoke lives in its call, whose finisher takes
 * it out.
 */

#include "ngx_http_stoa_mcp.h"


#define NGX_HTTP_STOA_MCP_WHEEL_MS  250


static ngx_msec_t ngx_http_stoa_mcp_wheel_delay(ngx_uint_t list);
static void ngx_http_stoa_mcp_wheel_turn(ngx_event_t *ev);


static ngx_queue_t       ngx_http_stoa_mcp_wheel[NGX_HTTP_STOA_MCP_WHEEL_N];
static ngx_msec_t        ngx_http_stoa_mcp_wheel_keepalive;
static ngx_connection_t  ngx_http_stoa_mcp_wheel_connection;
static ngx_event_t       ngx_http_stoa_mcp_wheel_event;


static ngx_msec_t
ngx_http_stoa_mcp_wheel_delay(ngx_uint_t list)
{
    switch (list) {

    case NGX_HTTP_STOA_MCP_EXPECT:
        return ngx_http_stoa_mcp_wheel_keepalive / 3;

    case NGX_HTTP_STOA_MCP_QUIET:
        return ngx_http_stoa_mcp_wheel_keepalive;

    case NGX_HTTP_STOA_MCP_SECOND:
        return 1000;

    default:
        return 2 * NGX_HTTP_STOA_MCP_WHEEL_MS;
    }
}


void
ngx_http_stoa_mcp_wheel_add(ngx_http_request_t *r,
    ngx_http_stoa_mcp_spoke_t *spoke, ngx_uint_t list,
    ngx_http_stoa_mcp_wheel_pt handler)
{
    ngx_uint_t                  i;
    ngx_event_t                *ev;
    ngx_http_stoa_main_conf_t  *mcf;

    ev = &ngx_http_stoa_mcp_wheel_event;

    if (ev->handler == NULL) {
        for (i = 0; i < NGX_HTTP_STOA_MCP_WHEEL_N; i++) {
            ngx_queue_init(&ngx_http_stoa_mcp_wheel[i]);
        }

        mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
        ngx_http_stoa_mcp_wheel_keepalive = mcf->mcp_keepalive;

        ngx_http_stoa_mcp_wheel_connection.fd = (ngx_socket_t) -1;

        ev->handler = ngx_http_stoa_mcp_wheel_turn;
        ev->data = &ngx_http_stoa_mcp_wheel_connection;
        ev->log = ngx_cycle->log;
    }

    ngx_http_stoa_mcp_wheel_remove(spoke);

    spoke->request = r;
    spoke->handler = handler;
    spoke->since = ngx_current_msec;
    ngx_queue_insert_tail(&ngx_http_stoa_mcp_wheel[list], &spoke->queue);

    if (!ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_STOA_MCP_WHEEL_MS);
    }
}


void
ngx_http_stoa_mcp_wheel_remove(ngx_http_stoa_mcp_spoke_t *spoke)
{
    if (spoke->queue.next) {
        ngx_queue_remove(&spoke->queue);
        spoke->queue.next = NULL;
    }
}


static void
ngx_http_stoa_mcp_wheel_turn(ngx_event_t *ev)
{
    ngx_uint_t                 i, more;
    ngx_queue_t               *q;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_stoa_mcp_spoke_t  *spoke;

    more = 0;

    for (i = 0; i < NGX_HTTP_STOA_MCP_WHEEL_N; i++) {
        q = &ngx_http_stoa_mcp_wheel[i];

        while (!ngx_queue_empty(q)) {
            spoke = ngx_queue_data(ngx_queue_head(q),
                                   ngx_http_stoa_mcp_spoke_t, queue);

            if (ngx_current_msec - spoke->since
                < ngx_http_stoa_mcp_wheel_delay(i))
            {
                more = 1;
                break;
            }

            r = spoke->request;
            c = r->connection;

            ngx_http_stoa_mcp_wheel_remove(spoke);
            ngx_http_set_log_request(c->log, r);

            spoke->handler(r);
            ngx_http_run_posted_requests(c);
        }
    }

    for (i = 0; i < NGX_HTTP_STOA_MCP_WHEEL_N; i++) {
        more |= !ngx_queue_empty(&ngx_http_stoa_mcp_wheel[i]);
    }

    if (more) {
        ngx_add_timer(ev, NGX_HTTP_STOA_MCP_WHEEL_MS);
    }
}
