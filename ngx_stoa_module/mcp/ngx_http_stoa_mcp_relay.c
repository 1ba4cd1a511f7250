/*
 * What a legacy client says to the servers behind the gateway: answers to
 * their requests, progress of these, cancellations, changed roots.  Each is a
 * POST to the session that it is for, by a fetch that nobody waits for: the
 * client has its 202, whatever the server says to it.
 *
 * Process: workers.  Lifetime: the fetch's.
 * Limits: NGX_HTTP_STOA_MCP_RELAYS at once in a worker, of which a client has
 * NGX_HTTP_STOA_MCP_RELAYS_OF, the others are lost and counted, an answer is
 * refused, and calls that their client has left are cancelled;
 * NGX_HTTP_STOA_MCP_UNKNOWN answers to nothing in a minute and
 * session.
 */

#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_modern.h"
#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_MCP_RELAYS      1024
#define NGX_HTTP_STOA_MCP_RELAYS_OF   128
#define NGX_HTTP_STOA_MCP_RELAYERS    4096     /* counts, shared by hash     */
#define NGX_HTTP_STOA_MCP_RELAY_MS    10000
#define NGX_HTTP_STOA_MCP_RELAY_LEFT  30000
#define NGX_HTTP_STOA_MCP_RELAY_APIS  128
#define NGX_HTTP_STOA_MCP_UNKNOWN     100
#define NGX_HTTP_STOA_MCP_UNKNOWNS    256      /* sessions that are known    */


typedef struct {
    ngx_str_t           method;
    ngx_int_t         (*run)(ngx_http_request_t *r,
                             ngx_http_stoa_ctx_t *ctx);
} ngx_http_stoa_mcp_notice_t;

typedef struct {
    uint64_t    session;
    time_t      since;
    ngx_uint_t  n;
} ngx_http_stoa_mcp_unknown_t;

typedef struct {
    ngx_uint_t        n;
    stoa_id_t         api[NGX_HTTP_STOA_MCP_RELAY_APIS];
    const stoa_id_t  *wanted;                    /* NULL: all                */
    uint32_t          whose;                     /* 0: all                   */
    ngx_uint_t        found;
} ngx_http_stoa_mcp_apis_t;


static ngx_int_t ngx_http_stoa_mcp_relay_progress(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_relay_all(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_relay_unknown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_relay_splice(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_json_val_t *at,
    const stoa_mcp_ref_t *ref, const stoa_str_t *id);
static void ngx_http_stoa_mcp_relay_one(void *data,
    const stoa_mcp_ref_t *ref);
static ngx_int_t ngx_http_stoa_mcp_relay_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant);
static void ngx_http_stoa_mcp_relay_add(ngx_http_stoa_mcp_apis_t *apis,
    const stoa_id_t *api);
static uint16_t *ngx_http_stoa_mcp_relay_count(ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_mcp_relay_done(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static void ngx_http_stoa_mcp_relay_over(ngx_http_stoa_mcp_ask_t *ask,
    void *data);


/* What legacy clients tell without being asked. */

static const ngx_http_stoa_mcp_notice_t  ngx_http_stoa_mcp_notices[] = {
    { ngx_string("notifications/cancelled"), ngx_http_stoa_mcp_relay_all },
    { ngx_string("notifications/progress"),
      ngx_http_stoa_mcp_relay_progress },
    { ngx_string("notifications/roots/list_changed"),
      ngx_http_stoa_mcp_relay_all },
    { ngx_null_string, NULL }
};


/* Of this worker. */

static ngx_uint_t                   ngx_http_stoa_mcp_relays;
static uint16_t
                    ngx_http_stoa_mcp_relays_of[NGX_HTTP_STOA_MCP_RELAYERS];
static ngx_http_stoa_mcp_unknown_t
                     ngx_http_stoa_mcp_unknowns[NGX_HTTP_STOA_MCP_UNKNOWNS];


/* ---- to the one that has asked ------------------------------------ */

ngx_int_t
ngx_http_stoa_mcp_relay_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    stoa_str_t            id;
    stoa_mcp_ref_t        ref;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    rc = mcp->modern ? NGX_DECLINED
                     : ngx_http_stoa_mcp_unmark(r, mcp, STOA_SEAL_REQUEST,
                                                &mcp->msg.id, &ref, &id);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_relay_splice(r, ctx, &mcp->msg.id, &ref, &id);

    } else if (rc == NGX_DECLINED && !mcp->modern) {
        rc = ngx_http_stoa_mcp_input_answer(r, ctx);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_mcp_relay_unknown(r, ctx);
    }

    if (rc == NGX_BUSY) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_UNTOLD, NULL);
    }

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE || rc == NGX_AGAIN || rc == NGX_DONE)
    {
        return rc;
    }

    return rc == NGX_OK ? ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED,
                                                   NULL)
                        : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* An answer that nobody asked for: guessing goes on for a while only. */

static ngx_int_t
ngx_http_stoa_mcp_relay_unknown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                      session;
    ngx_http_stoa_mcp_unknown_t  *u;

    session = stoa_hash64(ctx->call.mcp->nonce, sizeof(ctx->call.mcp->nonce),
                          3);
    u = &ngx_http_stoa_mcp_unknowns[session % NGX_HTTP_STOA_MCP_UNKNOWNS];

    if (u->session != session || ngx_time() - u->since >= 60) {
        u->session = session;
        u->since = ngx_time();
        u->n = 0;
    }

    return ngx_http_stoa_refuse(r, u->n++ < NGX_HTTP_STOA_MCP_UNKNOWN
                                   ? NGX_HTTP_STOA_REFUSE_MCP_UNKNOWN
                                   : NGX_HTTP_STOA_REFUSE_MCP_FLOOD, NULL);
}


/* A token of ours stands for one of a server; others are nobody's. */

static ngx_int_t
ngx_http_stoa_mcp_relay_progress(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    stoa_str_t            id;
    stoa_mcp_ref_t        ref;
    stoa_json_val_t       token;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    rc = NGX_DECLINED;

    if (mcp->msg.params.start
        && stoa_json_get(&mcp->msg.params, "progressToken", &token))
    {
        rc = ngx_http_stoa_mcp_unmark(r, mcp, STOA_SEAL_PROGRESS, &token,
                                      &ref, &id);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_relay_splice(r, ctx, &token, &ref, &id);
    }

    return rc == NGX_ERROR
           ? NGX_HTTP_INTERNAL_SERVER_ERROR
           : ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL);
}


/* The message as it came, with the server's own id in the place of ours. */

static ngx_int_t
ngx_http_stoa_mcp_relay_splice(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_json_val_t *at,
    const stoa_mcp_ref_t *ref, const stoa_str_t *id)
{
    u_char     *p;
    ngx_str_t  *body, text;

    body = &ctx->call.mcp->body;

    text.len = body->len - (at->end - at->start) + id->len;
    text.data = ngx_pnalloc(r->pool, text.len);

    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text.data, body->data, (u_char *) at->start - body->data);
    p = ngx_cpymem(p, id->data, id->len);
    ngx_memcpy(p, at->end, body->data + body->len - (u_char *) at->end);

    if (ngx_http_stoa_mcp_task_said(r, ctx, ref, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_stoa_mcp_relay_post(r, ctx, ref, &text, 0);
}


ngx_int_t
ngx_http_stoa_mcp_relay_note(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t               *mcp;
    const ngx_http_stoa_mcp_notice_t  *row;

    mcp = ctx->call.mcp;

    for (row = ngx_http_stoa_mcp_notices; row->run && !mcp->modern; row++) {
        if (row->method.len == mcp->msg.method_name.len
            && ngx_memcmp(row->method.data, mcp->msg.method_name.data,
                          row->method.len)
               == 0)
        {
            return row->run(r, ctx);
        }
    }

    return NGX_DECLINED;
}


/* ---- to all ------------------------------------ */

typedef struct {
    ngx_http_request_t   *request;
    ngx_http_stoa_ctx_t  *ctx;
    ngx_int_t             rc;
} ngx_http_stoa_mcp_all_t;


/* Only the one that has the id that is named acts on it, the others have to
 * overlook it. */

static ngx_int_t
ngx_http_stoa_mcp_relay_all(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint32_t  whose;

    whose = 0;

    if (ctx->call.mcp->msg.method == STOA_MCP_CANCELLED) {
        ngx_http_stoa_mcp_input_cancel(r, ctx);
        whose = ngx_http_stoa_mcp_whose(r, ctx->call.mcp);
    }

    return ngx_http_stoa_mcp_relay_to(r, ctx, whose);
}


ngx_int_t
ngx_http_stoa_mcp_relay_to(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    uint32_t whose)
{
    ngx_http_stoa_mcp_all_t  all;

    all.request = r;
    all.ctx = ctx;
    all.rc = NGX_OK;

    ngx_http_stoa_mcp_relay_sessions(r, ctx, whose,
                                     ngx_http_stoa_mcp_relay_one, &all);

    return all.rc == NGX_OK
           ? ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL)
           : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static void
ngx_http_stoa_mcp_relay_one(void *data, const stoa_mcp_ref_t *ref)
{
    ngx_http_stoa_mcp_all_t *all = data;

    if (all->rc == NGX_OK
        && ngx_http_stoa_mcp_relay_post(all->request, all->ctx, ref,
                                        &all->ctx->call.mcp->body, 0)
           == NGX_ERROR)
    {
        all->rc = NGX_ERROR;
    }
}


static void
ngx_http_stoa_mcp_relay_ref(const stoa_id_t *api,
    ngx_http_stoa_mcp_upstream_t *up, ngx_http_stoa_mcp_session_pt each,
    void *data)
{
    stoa_mcp_ref_t  ref;

    ngx_memcpy(ref.api, api, STOA_ID_LEN);
    ref.target = up->target;
    ref.version = up->version == NGX_HTTP_STOA_MCP_VERSION_NONE
                  ? 0 : up->version + 1;
    ref.sid.data = (char *) up->sid;
    ref.sid.len = up->len;

    each(data, &ref);
}


static void
ngx_http_stoa_mcp_relay_apis(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    uint32_t whose, ngx_http_stoa_mcp_apis_t *apis)
{
    ngx_http_stoa_mcp_grants_t  all;

    apis->n = 0;
    apis->wanted = NULL;
    apis->whose = whose;

    (void) ngx_http_stoa_mcp_each_grant(r, ctx, ngx_http_stoa_mcp_relay_grant,
                                        apis, &all);
}


void
ngx_http_stoa_mcp_relay_sessions(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, uint32_t whose,
    ngx_http_stoa_mcp_session_pt each, void *data)
{
    ngx_uint_t                     i;
    ngx_http_stoa_mcp_apis_t       apis;
    ngx_http_stoa_mcp_upstream_t   up;

    ngx_http_stoa_mcp_relay_apis(r, ctx, whose, &apis);

    for (i = 0; i < apis.n; i++) {

        if (ngx_http_stoa_mcp_upstream_peek(
                 ngx_http_stoa_mcp_upstream_key(ctx->call.mcp, &apis.api[i]),
                 &up)
            == NGX_OK
            || ngx_http_stoa_mcp_carried(ctx->call.mcp, &apis.api[i], &up)
               == NGX_OK)
        {
            ngx_http_stoa_mcp_relay_ref(&apis.api[i], &up, each, data);
        }
    }
}


void
ngx_http_stoa_mcp_relay_subs(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_session_pt each, void *data)
{
    ngx_uint_t                     i;
    ngx_http_stoa_mcp_apis_t       apis;
    ngx_http_stoa_mcp_upstream_t   up;

    ngx_http_stoa_mcp_relay_apis(r, ctx, 0, &apis);

    for (i = 0; i < apis.n; i++) {

        if (ngx_http_stoa_mcp_upstream_peek(
                 ngx_http_stoa_mcp_subs_key(ctx->call.mcp, &apis.api[i]), &up)
            == NGX_OK
            && up.len && up.version == NGX_HTTP_STOA_MCP_VERSION_MODERN)
        {
            ngx_http_stoa_mcp_relay_ref(&apis.api[i], &up, each, data);
        }
    }
}


ngx_http_stoa_api_t *
ngx_http_stoa_mcp_relay_of(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref)
{
    stoa_id_t                   id;
    const stoa_rec_api_t       *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    ngx_memcpy(&id, ref->api, STOA_ID_LEN);

    if (ctx->call.api
        && ngx_memcmp(&ctx->call.api->id, &id, STOA_ID_LEN) == 0)
    {
        return ctx->call.api;
    }

    if (ngx_http_stoa_store_enter(mcf->store) != NGX_OK
        || !ngx_http_stoa_mcp_relay_may(r, ctx, &id))
    {
        return NULL;
    }

    rec = ngx_http_stoa_store_api(mcf->store, &id);

    return rec && !rec->hdr.withheld ? ngx_http_stoa_api_get(r, rec) : NULL;
}


ngx_uint_t
ngx_http_stoa_mcp_relay_may(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_id_t *api)
{
    ngx_http_stoa_mcp_apis_t    apis;
    ngx_http_stoa_mcp_grants_t  all;

    apis.n = 0;
    apis.wanted = api;
    apis.whose = 0;
    apis.found = 0;

    (void) ngx_http_stoa_mcp_each_grant(r, ctx, ngx_http_stoa_mcp_relay_grant,
                                        &apis, &all);

    return apis.found && ngx_http_stoa_policy_still_api(r, ctx, api);
}


/* An api whose tools the client may call. */

static ngx_int_t
ngx_http_stoa_mcp_relay_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant)
{
    ngx_http_stoa_mcp_apis_t *apis = data;

    uint32_t                       i;
    const stoa_rec_server_tool_t  *t;

    if (grant->api) {
        ngx_http_stoa_mcp_relay_add(apis, &grant->api->id);

    } else {
        t = stoa_rec_vec(grant->server, grant->server->tools,
                         stoa_rec_server_tool_t);

        for (i = 0; i < grant->server->tools.n; i++) {
            ngx_http_stoa_mcp_relay_add(apis, &t[i].api);
        }
    }

    return apis->wanted && apis->found ? NGX_DONE : NGX_OK;
}


static void
ngx_http_stoa_mcp_relay_add(ngx_http_stoa_mcp_apis_t *apis,
    const stoa_id_t *api)
{
    ngx_uint_t  i;

    if (apis->whose && apis->whose != ngx_http_stoa_mcp_whose_api(api)) {
        return;
    }

    if (apis->wanted) {
        apis->found |= ngx_memcmp(apis->wanted, api, STOA_ID_LEN) == 0;
        return;
    }

    for (i = 0; i < apis->n; i++) {
        if (ngx_memcmp(&apis->api[i], api, STOA_ID_LEN) == 0) {
            return;
        }
    }

    if (apis->n < NGX_HTTP_STOA_MCP_RELAY_APIS) {
        apis->api[apis->n++] = *api;

    } else {
        ngx_http_stoa_count(mcp_left_out, 1);
    }
}


/* ---- the gateway itself ------------------------------------ */

void
ngx_http_stoa_mcp_relay_self(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, const stoa_json_val_t *id, const char *error)
{
    ngx_str_t   text;
    stoa_buf_t  b;

    stoa_buf_init(&b, 65536);
    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(&b, id->start, id->end - id->start);
    stoa_buf_addf(&b, error ? ",\"error\":%s}" : ",\"result\":{}}", error);

    if (b.rc == STOA_OK) {
        text.data = (u_char *) b.data;
        text.len = b.len;
        (void) ngx_http_stoa_mcp_relay_post(r, ctx, ref, &text, 0);
    }

    stoa_buf_free(&b);
}


/* ---- the POST ------------------------------------ */

ngx_int_t
ngx_http_stoa_mcp_relay_post(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, ngx_str_t *body, ngx_uint_t wait)
{
    ngx_int_t                 rc;
    ngx_str_t                 base;
    uint16_t                 *own;
    ngx_uint_t                pin;
    ngx_http_stoa_api_t      *api;
    ngx_http_stoa_via_t       via;
    ngx_http_stoa_mcp_ask_t  *ask;
    ngx_http_stoa_mcp_told_t *told;

    static ngx_str_t  none = ngx_null_string;

    api = ngx_http_stoa_mcp_relay_of(r, ctx, ref);

    if (api == NULL) {
        ngx_http_stoa_count(mcp_lost, 1);
        return NGX_DECLINED;
    }

    own = ngx_http_stoa_mcp_relay_count(ctx);

    if (ngx_http_stoa_mcp_relays >= NGX_HTTP_STOA_MCP_RELAYS
        || *own >= NGX_HTTP_STOA_MCP_RELAYS_OF)
    {
        ngx_http_stoa_count(mcp_lost, 1);
        return NGX_BUSY;
    }

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_mcp_relay_headers(r, ctx, api, ref, ask->pool, &base);

    ngx_http_stoa_via(r, &via);
    pin = ref->target;

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_upstream_fetch(ask->fetch, api, &via, &none, &pin);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_credential_caller(api, ctx, ask->pool,
                                             &ask->fetch->subject);
    }

    ask->fetch->body.data = ngx_pnalloc(ask->pool, body->len);
    ask->data = ngx_pcalloc(ask->pool, sizeof(ngx_http_stoa_mcp_told_t));

    if (rc != NGX_OK || ask->fetch->body.data == NULL || ask->data == NULL) {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return rc == NGX_DECLINED ? rc : NGX_ERROR;
    }

    ngx_memcpy(ask->fetch->body.data, body->data, body->len);
    ask->fetch->body.len = body->len;
    ask->fetch->headers = base;
    ask->fetch->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_RELAY_MS;
    ask->fetch->idempotent = 1;           /* the second one is overlooked    */
    ask->fetch->stay = 1;
    ask->done = ngx_http_stoa_mcp_relay_done;

    told = ask->data;
    told->count = own;

    if (wait) {
        told->ctx = ctx;
        ngx_queue_insert_tail(&ctx->call.mcp->told, &told->queue);
    }

    ngx_http_stoa_mcp_relays++;
    (*own)++;
    ngx_http_stoa_mcp_ask_start(ask);

    return NGX_OK;
}


void
ngx_http_stoa_mcp_relay_left(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_ask_t *ask)
{
    uint16_t               *own;
    ngx_msec_t              deadline;
    ngx_http_stoa_fetch_t  *f;

    f = ask->fetch;
    own = ngx_http_stoa_mcp_relay_count(ctx);

    if (!f->sent
        || ngx_http_stoa_mcp_relays >= NGX_HTTP_STOA_MCP_RELAYS
        || *own >= NGX_HTTP_STOA_MCP_RELAYS_OF)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return;
    }

    deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_RELAY_LEFT;

    if (f->deadline == 0 || (ngx_msec_int_t) (f->deadline - deadline) > 0) {
        f->deadline = deadline;
    }

    ask->other = NULL;
    ask->done = ngx_http_stoa_mcp_relay_over;
    ask->data = own;

    ngx_http_stoa_mcp_relays++;
    (*own)++;
    ngx_http_stoa_fetch_resume(f);
}


static void
ngx_http_stoa_mcp_relay_over(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    uint16_t *own = data;

    (void) ask;

    ngx_http_stoa_mcp_relays--;
    (*own)--;
}


/* How many the client has: an application, or an address without one. */

static uint16_t *
ngx_http_stoa_mcp_relay_count(ngx_http_stoa_ctx_t *ctx)
{
    const stoa_id_t  *id;

    id = ctx->anonymous ? &ctx->principal : &ctx->application;

    return &ngx_http_stoa_mcp_relays_of[stoa_hash64(id, sizeof(stoa_id_t), 5)
                                        % NGX_HTTP_STOA_MCP_RELAYERS];
}


/* Those of a call of this session to this api, by the api's policies and the
 * subscription by which the caller has it.  NGX_DECLINED: that allows none. */

ngx_int_t
ngx_http_stoa_mcp_relay_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_api_t *api,
    const stoa_mcp_ref_t *ref, ngx_pool_t *pool, ngx_str_t *text)
{
    ngx_int_t                   rc;
    ngx_http_stoa_mcp_t         mcp;
    ngx_http_stoa_call_t        own;
    ngx_http_stoa_main_conf_t  *mcf;

    own = ctx->call;
    mcp = *own.mcp;
    mcp.modern = 0;
    mcp.upstream_version = ref->version ? ref->version - 1
                                        : NGX_HTTP_STOA_MCP_VERSION_NONE;
    mcp.upstream_session.data = (u_char *) ref->sid.data;
    mcp.upstream_session.len = ref->sid.len;

    if (mcp.upstream_version == NGX_HTTP_STOA_MCP_VERSION_MODERN) {

        /* what keeps no session is asked for one thing only */

        mcp.to_modern = 1;
        mcp.upstream_session.len = 0;
        mcp.tool_name.len = 0;
        mcp.msg.method_name = (stoa_str_t) {
                          "subscriptions/listen",
                          sizeof("subscriptions/listen") - 1 };
    }

    ctx->call.mcp = &mcp;
    ctx->call.api = api;
    ctx->call.policy_turns &= ~ngx_http_stoa_chain_bits(
                                                   NGX_HTTP_STOA_CHAIN_API);
    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_API, api->policies);

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    rc = NGX_OK;

    if (!mcp.has_server
        && ngx_http_stoa_auth_subscribed(mcf->store, ctx, &api->id))
    {
        ctx->call.subscribed = api->id;
        rc = ngx_http_stoa_policy_access(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_headers_text(r, ctx, pool, text);

    } else if (rc >= NGX_HTTP_BAD_REQUEST) {
        rc = NGX_DECLINED;
    }

    ctx->call = own;

    return rc;
}


static void
ngx_http_stoa_mcp_relay_done(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_told_t *told = data;

    ngx_http_stoa_mcp_relays--;
    (*told->count)--;

    if (!ask->accepted) {
        ngx_http_stoa_count(mcp_lost, 1);
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "an MCP upstream did not take what a client said: "
                      "status %ui, %*s", ask->head.status, ask->fault.len,
                      ask->fault.text);
    }

    if (told->ctx == NULL) {
        return;
    }

    ngx_queue_remove(&told->queue);

    if (ngx_queue_empty(&told->ctx->call.mcp->told)) {
        ngx_http_stoa_ctx_wake(told->ctx->request);
    }
}
