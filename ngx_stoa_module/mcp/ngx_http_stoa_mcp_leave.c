
/*
 * Sessions at upstreams that nobody needs any more are ended by a DELETE: at
 * the client's own, idle for an hour, in the way of others.  Whatever the
 * upstream says, it counts as done.
 *
 * Process: workers; those that have opened some look for idle ones.  Lifetime:
 * each its own allocation, until the answer.  Limits: _MCP_LEAVING wait, of
 * which _MCP_LEAVING_NOW are asked; then the oldest is left as it is, which
 * the upstream ends in time.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_credential.h"
#include "ngx_http_stoa_store.h"


#define NGX_HTTP_STOA_MCP_LEAVING      256
#define NGX_HTTP_STOA_MCP_LEAVING_NOW  8
#define NGX_HTTP_STOA_MCP_LEAVE_MS     5000
#define NGX_HTTP_STOA_MCP_SWEEP_MS     5000


typedef struct {
    ngx_queue_t   queue;
    stoa_id_t     api;
    ngx_uint_t    target;
    ngx_uint_t    version;
    size_t        len;
    size_t        subject;             /* bytes, behind the id               */
    u_char        sid[];
} ngx_http_stoa_mcp_leaver_t;


static void ngx_http_stoa_mcp_leave_next(void);
static ngx_int_t ngx_http_stoa_mcp_leave_ask(ngx_http_stoa_mcp_leaver_t *l);
static void ngx_http_stoa_mcp_leave_done(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static void ngx_http_stoa_mcp_leave_sweep(ngx_event_t *ev);


/* Of this worker. */

static struct {
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_http_stoa_via_t         via;
    ngx_uint_t                  has_via;
    const ngx_str_t            *caller;        /* his token; NULL: nobody's  */
    ngx_queue_t                 waiting;
    ngx_uint_t                  nwaiting;
    ngx_uint_t                  asked;
    ngx_event_t                 sweep;
    ngx_connection_t            dummy;
} ngx_http_stoa_mcp_leaving;


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_leave_handler = {
    NULL, NULL, ngx_http_stoa_mcp_leave_done
};


void
ngx_http_stoa_mcp_leave_init(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_memzero(&ngx_http_stoa_mcp_leaving, sizeof(ngx_http_stoa_mcp_leaving));
    ngx_http_stoa_mcp_leaving.mcf = mcf;
    ngx_http_stoa_mcp_leaving.dummy.fd = (ngx_socket_t) -1;
    ngx_queue_init(&ngx_http_stoa_mcp_leaving.waiting);
    ngx_http_stoa_mcp_map_left(ngx_http_stoa_mcp_leave);
}


static void
ngx_http_stoa_mcp_leave_sweep(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_map_sweep(NGX_HTTP_STOA_MCP_SWEEP_MS);
    ngx_add_timer(ev, NGX_HTTP_STOA_MCP_SWEEP_MS);
}


void
ngx_http_stoa_mcp_leave_via(ngx_http_request_t *r)
{
    ngx_event_t  *ev;

    if (ngx_http_stoa_mcp_leaving.has_via) {
        return;
    }

    ngx_http_stoa_via(r, &ngx_http_stoa_mcp_leaving.via);
    ngx_http_stoa_mcp_leaving.has_via = 1;

    /* not before: what the sweep finds could not be ended */

    ev = &ngx_http_stoa_mcp_leaving.sweep;
    ev->handler = ngx_http_stoa_mcp_leave_sweep;
    ev->data = &ngx_http_stoa_mcp_leaving.dummy;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;
    ngx_add_timer(ev, NGX_HTTP_STOA_MCP_SWEEP_MS);
}


void
ngx_http_stoa_mcp_leave_caller(const ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_leaving.caller = ctx && ctx->token ? &ctx->token->text
                                                         : NULL;
}


void
ngx_http_stoa_mcp_leave(const ngx_http_stoa_mcp_upstream_t *up)
{
    size_t                       len;
    ngx_queue_t                 *q;
    const ngx_str_t             *caller;
    ngx_http_stoa_mcp_leaver_t  *l;

    if (up->len == 0 || up->version == NGX_HTTP_STOA_MCP_VERSION_MODERN) {
        return;                               /* it keeps none               */
    }

    caller = ngx_http_stoa_mcp_leaving.caller;
    len = caller ? caller->len : 0;

    l = ngx_alloc(sizeof(ngx_http_stoa_mcp_leaver_t) + up->len + len,
                  ngx_cycle->log);
    if (l == NULL) {
        return;
    }

    l->api = up->api;
    l->target = up->target;
    l->version = up->version;
    l->len = up->len;
    l->subject = len;
    ngx_memcpy(l->sid, up->sid, up->len);

    if (len) {
        ngx_memcpy(l->sid + l->len, caller->data, len);
    }

    if (ngx_http_stoa_mcp_leaving.nwaiting == NGX_HTTP_STOA_MCP_LEAVING) {
        q = ngx_queue_head(&ngx_http_stoa_mcp_leaving.waiting);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_stoa_mcp_leaver_t, queue));
        ngx_http_stoa_mcp_leaving.nwaiting--;
    }

    ngx_queue_insert_tail(&ngx_http_stoa_mcp_leaving.waiting, &l->queue);
    ngx_http_stoa_mcp_leaving.nwaiting++;

    ngx_http_stoa_mcp_leave_next();
}


static void
ngx_http_stoa_mcp_leave_next(void)
{
    ngx_queue_t                 *q;
    ngx_http_stoa_mcp_leaver_t  *l;

    while (ngx_http_stoa_mcp_leaving.asked < NGX_HTTP_STOA_MCP_LEAVING_NOW
           && ngx_http_stoa_mcp_leaving.nwaiting)
    {
        q = ngx_queue_head(&ngx_http_stoa_mcp_leaving.waiting);
        ngx_queue_remove(q);
        ngx_http_stoa_mcp_leaving.nwaiting--;
        l = ngx_queue_data(q, ngx_http_stoa_mcp_leaver_t, queue);

        if (ngx_http_stoa_mcp_leave_ask(l) == NGX_OK) {
            ngx_http_stoa_mcp_leaving.asked++;
        }

        ngx_free(l);
    }
}


static ngx_int_t
ngx_http_stoa_mcp_leave_ask(ngx_http_stoa_mcp_leaver_t *l)
{
    u_char                      *p;
    ngx_str_t                    version, none = ngx_null_string;
    const stoa_rec_api_t        *rec;
    ngx_http_stoa_api_t         *api;
    ngx_http_stoa_fetch_t       *f;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_credential_t  *shown;

    mcf = ngx_http_stoa_mcp_leaving.mcf;

    if (!ngx_http_stoa_mcp_leaving.has_via
        || ngx_http_stoa_store_enter(mcf->store) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rec = ngx_http_stoa_store_api(mcf->store, &l->api);
    api = rec ? ngx_http_stoa_api_find(mcf, rec) : NULL;
    shown = api ? ngx_http_stoa_credential(api->policies) : NULL;

    /* without a token to be exchanged the upstream ends it in time */

    f = api && !(shown && shown->exchange && l->subject == 0)
        ? ngx_http_stoa_fetch_create(ngx_cycle->log) : NULL;

    if (f == NULL) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(f->pool, l->len + l->subject + 128);

    if (p == NULL
        || ngx_http_stoa_upstream_fetch(f, api,
                                        &ngx_http_stoa_mcp_leaving.via, &none,
                                        &l->target)
           != NGX_OK)
    {
        ngx_http_stoa_fetch_cancel(f);
        return NGX_ERROR;
    }

    f->subject.data = p;
    f->subject.len = l->subject;
    p = ngx_cpymem(p, l->sid + l->len, l->subject);

    f->headers.data = p;
    p = ngx_sprintf(p, "Mcp-Session-Id: %*s\r\n", l->len, l->sid);

    if (l->version < NGX_HTTP_STOA_MCP_VERSIONS) {
        version = ngx_http_stoa_mcp_versions[l->version].name;
        p = ngx_sprintf(p, "MCP-Protocol-Version: %V\r\n", &version);
    }

    f->headers.len = p - f->headers.data;
    ngx_str_set(&f->method, "DELETE");
    f->handler = &ngx_http_stoa_mcp_leave_handler;
    f->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_LEAVE_MS;
    f->max_body = 65536;
    f->idempotent = 1;
    f->stay = 1;

    ngx_http_stoa_fetch_start(f);

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_leave_done(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_mcp_leaving.asked--;
    ngx_http_stoa_mcp_leave_next();
}
