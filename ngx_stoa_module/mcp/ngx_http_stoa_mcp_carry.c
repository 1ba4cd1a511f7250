/*
 * Sessions at upstreams that a client's session id carries: opened while the
 * client waits for its own, so that every worker and every gateway of the
 * group uses the same ones, and nothing is lost with a gateway.
 *
 * Only where discovery has found that the upstreams keep sessions, and there
 * are no more than an id has room for.  This gateway's map has them, too, so
 * that they are counted and end when they are idle; what is late, or has a
 * long id, is there alone.  What the map says counts more than the id.
 *
 * Process: workers.  Lifetime: the request's; who opens is left alone by one
 * that ends.
 */

#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_relay.h"
#include "stoa_seal.h"


#define NGX_HTTP_STOA_MCP_CARRY_MS    300
#define NGX_HTTP_STOA_MCP_CARRY_TURN  120000   /* at most                    */

/* Bytes of an id, for what the client can and what is carried. */

#define NGX_HTTP_STOA_MCP_CARRY_ROOM                                          \
    (stoa_seal_plain_len(NGX_HTTP_STOA_MCP_TOKEN_MAX) - STOA_MCP_TOKEN_HEAD)

_Static_assert(NGX_HTTP_STOA_MCP_CARRY_ROOM >= STOA_MCP_CAPS_MAX,
               "an id that carries nothing fits");


typedef struct ngx_http_stoa_mcp_carry_s  ngx_http_stoa_mcp_carry_t;

typedef struct {
    ngx_http_stoa_mcp_carry_t  *carry;         /* NULL: late, or gone        */
    uint64_t                    key;
    uint64_t                    app;
    ngx_msec_t                  turn;          /* in the map                 */
    ngx_uint_t                  gone;
} ngx_http_stoa_mcp_carry_open_t;

struct ngx_http_stoa_mcp_carry_s {
    ngx_http_request_t              *request;
    ngx_int_t                        ident;    /* -1; as a connection's fd   */
    ngx_event_t                      event;
    ngx_uint_t                       n;        /* apis                       */
    ngx_uint_t                       many;
    stoa_id_t                        api[STOA_MCP_CARRIED];
    ngx_http_stoa_mcp_carry_open_t  *open[STOA_MCP_CARRIED];
    ngx_uint_t                       left;     /* that are being opened      */
    size_t                           room;
    unsigned                         waiting:1;
    unsigned                         done:1;
};


static ngx_int_t ngx_http_stoa_mcp_carry_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant);
static void ngx_http_stoa_mcp_carry_api(ngx_http_stoa_mcp_carry_t *c,
    const stoa_rec_api_t *api);
static void ngx_http_stoa_mcp_carry_start(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_carry_t *c, ngx_uint_t i);
static ngx_int_t ngx_http_stoa_mcp_carry_turn(ngx_http_request_t *r,
    ngx_http_stoa_mcp_open_t *o, ngx_http_stoa_mcp_carry_open_t *open);
static void ngx_http_stoa_mcp_carry_opened(ngx_http_stoa_mcp_open_t *o,
    void *data);
static void ngx_http_stoa_mcp_carry_late(ngx_event_t *ev);
static void ngx_http_stoa_mcp_carry_wake(ngx_http_stoa_mcp_carry_t *c);
static void ngx_http_stoa_mcp_carry_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);


ngx_int_t
ngx_http_stoa_mcp_carry(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_carry_t   *c;
    ngx_http_stoa_mcp_grants_t   all;

    mcp = ctx->call.mcp;
    c = mcp->carry;

    if (c) {
        return c->done || c->left == 0 ? NGX_OK : NGX_AGAIN;
    }

    c = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_carry_t));

    if (c == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_carry_finish, c)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcp->carry = c;
    c->request = r;
    c->ident = -1;
    c->room = NGX_HTTP_STOA_MCP_CARRY_ROOM
              - ngx_min(mcp->capabilities.len, NGX_HTTP_STOA_MCP_CARRY_ROOM);

    (void) ngx_http_stoa_mcp_each_grant(r, ctx, ngx_http_stoa_mcp_carry_grant,
                                        c, &all);
    if (c->many) {
        return NGX_OK;
    }

    for (i = 0; i < c->n; i++) {
        ngx_http_stoa_mcp_carry_start(r, ctx, c, i);
    }

    if (c->left == 0) {
        return NGX_OK;
    }

    c->event.data = c;
    c->event.log = r->connection->log;
    c->event.handler = ngx_http_stoa_mcp_carry_late;
    ngx_add_timer(&c->event, NGX_HTTP_STOA_MCP_CARRY_MS);
    c->waiting = 1;

    return ngx_http_stoa_ctx_suspend(r);
}


static ngx_int_t
ngx_http_stoa_mcp_carry_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant)
{
    ngx_http_stoa_mcp_carry_t *c = data;

    uint32_t                       i;
    const stoa_rec_api_t          *api;
    const stoa_rec_server_tool_t  *t;

    if (grant->api) {
        ngx_http_stoa_mcp_carry_api(c, grant->api);
        return c->many ? NGX_DONE : NGX_OK;
    }

    t = stoa_rec_vec(grant->server, grant->server->tools,
                     stoa_rec_server_tool_t);

    for (i = 0; i < grant->server->tools.n && !c->many; i++) {
        api = ngx_http_stoa_store_api(grant->store, &t[i].api);

        if (api) {
            ngx_http_stoa_mcp_carry_api(c, api);
        }
    }

    return c->many ? NGX_DONE : NGX_OK;
}


static void
ngx_http_stoa_mcp_carry_api(ngx_http_stoa_mcp_carry_t *c,
    const stoa_rec_api_t *api)
{
    ngx_uint_t  i;

    if (!api->sessions) {
        return;
    }

    for (i = 0; i < c->n; i++) {
        if (ngx_memcmp(&c->api[i], &api->id, STOA_ID_LEN) == 0) {
            return;
        }
    }

    if (c->n == STOA_MCP_CARRIED) {
        c->many = 1;
        return;
    }

    c->api[c->n++] = api->id;
}


/* One that cannot be opened now is the first call's, which says why. */

static void
ngx_http_stoa_mcp_carry_start(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_carry_t *c, ngx_uint_t i)
{
    stoa_mcp_ref_t                   ref;
    ngx_http_stoa_api_t             *api;
    ngx_http_stoa_mcp_t             *mcp;
    ngx_http_stoa_mcp_open_t        *o;
    ngx_http_stoa_mcp_carry_open_t  *open;

    mcp = ctx->call.mcp;

    ngx_memzero(&ref, sizeof(ref));
    ngx_memcpy(ref.api, &c->api[i], STOA_ID_LEN);

    api = ngx_http_stoa_mcp_relay_of(r, ctx, &ref);
    o = api ? ngx_http_stoa_mcp_open_create(api) : NULL;

    if (o == NULL) {
        return;
    }

    open = ngx_pcalloc(o->pool, sizeof(ngx_http_stoa_mcp_carry_open_t));

    if (open == NULL
        || ngx_http_stoa_mcp_relay_headers(r, ctx, api, &ref, o->pool,
                                           &o->headers)
           != NGX_OK
        || ngx_http_stoa_credential_caller(api, ctx, o->pool, &o->subject)
           != NGX_OK
        || ngx_http_stoa_mcp_declare(o->pool, &mcp->capabilities,
                                     &o->capabilities)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_open_free(o);
        return;
    }

    ngx_http_stoa_via(r, &o->via);
    o->group = ngx_http_stoa_split(r, ctx, api);
    ngx_http_stoa_mcp_leave_via(r);
    o->version = mcp->version;
    o->done = ngx_http_stoa_mcp_carry_opened;
    o->data = open;

    open->carry = c;
    open->app = ngx_http_stoa_mcp_app(ctx);
    open->key = ngx_http_stoa_mcp_upstream_key(mcp, &c->api[i]);

    if (ngx_http_stoa_mcp_carry_turn(r, o, open) != NGX_OK
        || ngx_http_stoa_mcp_open_start(o) != NGX_OK)
    {
        if (open->turn) {
            ngx_http_stoa_mcp_upstream_end(open->key, open->turn, 0);
        }

        ngx_http_stoa_mcp_open_free(o);
        return;
    }

    c->open[i] = open;
    c->left++;
}


/* Calls wait for it, as for one that a call opens: they believe in no turn
 * that is longer than theirs would be. */

static ngx_int_t
ngx_http_stoa_mcp_carry_turn(ngx_http_request_t *r,
    ngx_http_stoa_mcp_open_t *o, ngx_http_stoa_mcp_carry_open_t *open)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    o->up.api = o->api->id;
    o->up.app = open->app;

    if (ngx_http_stoa_mcp_upstream_find(open->key, 0,
                                        ngx_min(NGX_HTTP_STOA_MCP_CARRY_TURN,
                                                ngx_http_stoa_mcp_within(
                                                                    o->api)),
                                        &o->up)
        != NGX_DECLINED)
    {
        return NGX_DECLINED;
    }

    open->turn = o->up.turn;

    return ngx_http_stoa_mcp_upstream_room(&mcf->mcp_sessions, open->key);
}


static void
ngx_http_stoa_mcp_carry_opened(ngx_http_stoa_mcp_open_t *o, void *data)
{
    ngx_http_stoa_mcp_carry_open_t *open = data;

    ngx_uint_t                  i;
    stoa_mcp_ref_t             *ref;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_carry_t  *c;

    c = open->carry;
    o->up.api = o->api->id;
    o->up.app = open->app;
    o->up.target = o->target;

    if (o->opened && open->gone) {
        ngx_http_stoa_mcp_upstream_end(open->key, open->turn, 0);
        ngx_http_stoa_mcp_leave(&o->up);

    } else if (o->opened) {
        ngx_http_stoa_mcp_upstream_set(open->key, &o->up);

    } else {
        ngx_http_stoa_mcp_upstream_end(open->key, open->turn,
                                       c ? 0 : o->fault.what + 1);
    }

    if (c == NULL) {
        return;
    }

    for (i = 0; i < c->n; i++) {
        if (c->open[i] == open) {
            c->open[i] = NULL;
        }
    }

    c->left--;
    mcp = ngx_http_stoa_ctx(c->request)->call.mcp;

    if (o->opened && o->up.len && o->up.len <= STOA_MCP_CARRIED_SID
        && o->up.len + STOA_MCP_REF_HEAD <= c->room)
    {
        ref = &mcp->carried[mcp->ncarried];
        ref->sid.data = (char *) ngx_pnalloc(c->request->pool, o->up.len);

        if (ref->sid.data) {
            c->room -= o->up.len + STOA_MCP_REF_HEAD;
            ngx_memcpy(ref->api, &o->up.api, STOA_ID_LEN);
            ref->target = ngx_min(o->up.target, 255);
            ref->version = o->up.version == NGX_HTTP_STOA_MCP_VERSION_NONE
                           ? 0 : o->up.version + 1;
            ref->sid.len = o->up.len;
            ngx_memcpy((char *) ref->sid.data, o->up.sid, o->up.len);
            mcp->ncarried++;
        }
    }

    if (c->left == 0) {
        ngx_http_stoa_mcp_carry_wake(c);
    }
}


static void
ngx_http_stoa_mcp_carry_late(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_carry_t *c = ev->data;

    ngx_uint_t  i;

    for (i = 0; i < c->n; i++) {
        if (c->open[i]) {
            c->open[i]->carry = NULL;
            c->open[i] = NULL;
        }
    }

    ngx_http_stoa_mcp_carry_wake(c);
}


static void
ngx_http_stoa_mcp_carry_wake(ngx_http_stoa_mcp_carry_t *c)
{
    c->done = 1;

    if (c->event.timer_set) {
        ngx_del_timer(&c->event);
    }

    if (c->waiting) {
        c->waiting = 0;
        ngx_http_stoa_ctx_wake(c->request);
    }
}


/* The client has left without its session: nobody needs the others. */

static void
ngx_http_stoa_mcp_carry_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_carry_t *c = data;

    ngx_uint_t  i;

    c->waiting = 0;

    if (c->event.timer_set) {
        ngx_del_timer(&c->event);
    }

    for (i = 0; i < c->n; i++) {
        if (c->open[i]) {
            c->open[i]->carry = NULL;
            c->open[i]->gone = !c->done;
            c->open[i] = NULL;
        }
    }
}
