/*
 * The request of a modern client whose call may ask him something: it waits as
 * a step, for a call that it has begun, or for one that it goes on with, which
 * may be another worker's.
 */

#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_door.h"
#include "ngx_http_stoa_policy.h"


#define NGX_HTTP_STOA_MCP_GUEST_LOOK_MS  1000    /* is that worker there?    */
#define NGX_HTTP_STOA_MCP_GUEST_ASK      3       /* looks; has it the call?  */
#define NGX_HTTP_STOA_MCP_GUEST_SILENT   15      /* looks without a word     */


/* It is the data of its own event, so it begins like a connection. */

typedef struct {
    ngx_http_stoa_ctx_t          *ctx;
    ngx_queue_t                   queue;        /* of this worker            */
    ngx_int_t                     ident;        /* -1                        */
    ngx_event_t                   event;

    u_char                        ticket[NGX_HTTP_STOA_MCP_PARK_ID];
    u_char                        park[NGX_HTTP_STOA_MCP_PARK_ID];
    ngx_pid_t                     pid;          /* that has the call         */
    ngx_uint_t                    round;        /* back                      */
    ngx_uint_t                    looks;        /* since a word came         */
    stoa_json_val_t               responses;    /* back; start NULL: none    */
    u_char                        aad[NGX_HTTP_STOA_MCP_STATE_AAD];

    ngx_str_t                     answer;
    ngx_http_stoa_mcp_fault_t     fault;        /* answer.len 0              */
    unsigned                      back:1;       /* with a state              */
    unsigned                      begun:1;
    unsigned                      done:1;
    unsigned                      used:1;       /* the state                 */
    unsigned                      lost:1;       /* the call                  */
    unsigned                      again:1;      /* it is another guest's     */
    unsigned                      paused:1;
} ngx_http_stoa_mcp_guest_t;


static ngx_int_t ngx_http_stoa_mcp_guest_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_guest_call(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_guest_t *g);
static ngx_int_t ngx_http_stoa_mcp_guest_fill(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_park_t *park);
static ngx_int_t ngx_http_stoa_mcp_guest_body(ngx_http_request_t *r,
    ngx_http_stoa_mcp_park_t *park);
static ngx_int_t ngx_http_stoa_mcp_guest_go(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_guest_t *g);
static ngx_int_t ngx_http_stoa_mcp_guest_tell(ngx_http_stoa_mcp_guest_t *g,
    ngx_uint_t kind);
static void ngx_http_stoa_mcp_guest_flush(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_guest_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);
static void ngx_http_stoa_mcp_guest_event(ngx_event_t *ev);
static ngx_int_t ngx_http_stoa_mcp_guest_heal(const u_char *ticket,
    ngx_http_stoa_mcp_ask_t *ask);
static ngx_int_t ngx_http_stoa_mcp_guest_end(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


static const ngx_http_stoa_mcp_parks_t  ngx_http_stoa_mcp_guest_parks = {
    ngx_http_stoa_mcp_guest_came,
    ngx_http_stoa_mcp_guest_heal
};


static ngx_queue_t  ngx_http_stoa_mcp_guests;    /* of this worker           */


/* ---- with a state ------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_guest_bad(ngx_http_request_t *r)
{
    ngx_str_t  detail;

    ngx_str_set(&detail, "inputResponses is an object of objects");

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_PARAMS, &detail);
}


/* What he says is judged before the state counts as used. */

static ngx_int_t
ngx_http_stoa_mcp_guest_responses(ngx_http_stoa_mcp_t *mcp,
    stoa_json_val_t *all)
{
    ngx_uint_t        more;
    stoa_json_val_t   key, val;
    stoa_json_iter_t  it;

    if (!stoa_json_get(&mcp->msg.params, "inputResponses", all)) {
        all->start = NULL;
        return NGX_OK;
    }

    if (all->type != STOA_JSON_OBJECT) {
        return NGX_DECLINED;
    }

    for (more = stoa_json_first(all, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if (val.type != STOA_JSON_OBJECT) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_guest_back(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    stoa_json_val_t             v, all;
    stoa_mcp_state_t            state;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_guest_t  *g;

    mcp = ctx->call.mcp;

    if (!ngx_http_stoa_mcp_state_is(ctx, &v)
        || (ctx->call.approval && v.end - v.start > 2 && v.start[1] == 'a'))
    {
        return NGX_OK;                 /* that one is for the next step      */
    }

    g = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_guest_t));

    if (g == NULL || ngx_http_stoa_mcp_state_aad(ctx, g->aad) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_stoa_mcp_state_open(g->aad, &v, &state) != NGX_OK
        || ngx_memcmp(state.api, &ctx->call.api->id, STOA_ID_LEN) != 0)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_STATE, NULL);
    }

    if (ngx_http_stoa_mcp_guest_responses(mcp, &all) != NGX_OK) {
        return ngx_http_stoa_mcp_guest_bad(r);
    }

    if (state.kind == 'R') {
        return NGX_OK;                           /* a call like the first    */
    }

    if (ngx_http_stoa_mcp_bridge_can(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    g->back = 1;
    g->pid = (ngx_pid_t) state.pid;
    g->round = state.round;
    g->responses = all;
    ngx_memcpy(g->park, state.park, sizeof(g->park));
    mcp->at_guest = g;

    return NGX_OK;
}


/* ---- the step ----------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_guest(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_guest_t  *g;

    g = ctx->call.mcp->at_guest;

    if (g == NULL || !g->begun) {
        return ngx_http_stoa_mcp_guest_begin(r, ctx);
    }

    return g->done ? ngx_http_stoa_mcp_guest_end(r, ctx) : NGX_AGAIN;
}


static ngx_int_t
ngx_http_stoa_mcp_guest_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                    random[2];
    ngx_int_t                   rc;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_guest_t  *g;

    mcp = ctx->call.mcp;
    g = mcp->at_guest;

    if (g == NULL) {
        g = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_guest_t));

        if (g == NULL || ngx_http_stoa_mcp_state_aad(ctx, g->aad) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        mcp->at_guest = g;
    }

    if (ngx_http_stoa_random(random, 2) != NGX_OK
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_guest_finish, g)
           != NGX_OK
        || ngx_http_stoa_mcp_stream_expect(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    g->ctx = ctx;
    g->ident = -1;
    g->event.data = g;
    g->event.log = r->connection->log;
    g->event.handler = ngx_http_stoa_mcp_guest_event;
    ngx_memcpy(g->ticket, random, sizeof(g->ticket));

    if (ngx_http_stoa_mcp_guests.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_mcp_guests);
    }

    ngx_queue_insert_head(&ngx_http_stoa_mcp_guests, &g->queue);

    rc = g->back ? ngx_http_stoa_mcp_guest_go(r, ctx, g)
                 : ngx_http_stoa_mcp_guest_call(r, ctx, g);

    if (rc != NGX_OK) {
        return rc;
    }

    g->begun = 1;
    rc = ngx_http_stoa_ctx_suspend(r);
    r->write_event_handler = ngx_http_stoa_mcp_guest_flush;

    return rc;
}


/* ---- a call ------------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_guest_call(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_guest_t *g)
{
    ngx_int_t                  rc;
    ngx_http_stoa_mcp_park_t  *park;

    static stoa_str_t  none = { "", 0 };

    park = ngx_http_stoa_mcp_park_create();
    if (park == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_stoa_mcp_guest_fill(r, ctx, park);

    if (rc != NGX_OK) {
        ngx_http_stoa_mcp_park_free(park);
        return rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
    }

    /* many servers ask on the stream of the session */

    park->source = ngx_http_stoa_mcp_source_create(r, ctx, park->api,
                                                   &park->ref, &none);

    ngx_memcpy(park->aad, g->aad, sizeof(g->aad));
    ngx_memcpy(park->seat.ticket, g->ticket, sizeof(g->ticket));
    park->seat.pid = ngx_pid;
    g->pid = ngx_pid;
    ngx_memcpy(g->park, park->id, sizeof(g->park));

    ctx->call.mcp->has_upstream = 0;
    ngx_http_stoa_mcp_work_start(park, &ngx_http_stoa_mcp_guest_parks);

    return NGX_OK;
}


/* The token of the message's progress, JSON text. */

static void
ngx_http_stoa_mcp_guest_token(ngx_http_stoa_mcp_t *mcp, ngx_str_t *token)
{
    stoa_json_val_t  v;

    ngx_str_null(token);

    if (mcp->msg.meta.start
        && stoa_json_get(&mcp->msg.meta, "progressToken", &v)
        && (v.type == STOA_JSON_STRING || v.type == STOA_JSON_NUMBER)
        && v.end - v.start <= STOA_JSONRPC_ID_MAX)
    {
        token->data = (u_char *) v.start;
        token->len = v.end - v.start;
    }
}


static ngx_int_t
ngx_http_stoa_mcp_guest_fill(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_park_t *park)
{
    ngx_str_t                   id, token, sid;
    stoa_err_t                  err;
    stoa_str_t                  caps;
    stoa_json_val_t             root, v;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_main_conf_t  *mcf;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    park->wait_ms = mcf->mcp_input;
    park->app = ngx_http_stoa_mcp_app(ctx);
    park->api = ctx->call.api;
    ngx_http_stoa_api_hold(park->api);
    ngx_http_stoa_via(r, &park->via);
    ngx_http_stoa_mcp_bridge_pool(ctx, &park->home);
    park->method = mcp->msg.method;
    park->declared = mcp->can;
    park->seat.level = mcp->log_level;

    caps = stoa_rec_str(park->api->rec, park->api->rec->capabilities);
    park->logs = stoa_json_check(caps.data, caps.len, STOA_JSON_DEPTH_MAX,
                                 &root, &err)
                 == STOA_OK
                 && stoa_json_get(&root, "logging", &v);

    sid.len = mcp->upstream_session.len;
    sid.data = ngx_pstrdup(park->pool, &mcp->upstream_session);
    ngx_memcpy(park->ref.api, &park->api->id, STOA_ID_LEN);
    park->ref.target = mcp->upstream_target;
    park->version = mcp->upstream_version;
    park->ref.version = park->version == NGX_HTTP_STOA_MCP_VERSION_NONE
                        ? 0 : park->version + 1;
    park->ref.sid.data = (char *) sid.data;
    park->ref.sid.len = sid.len;

    id = ngx_http_stoa_mcp_id(mcp);
    ngx_http_stoa_mcp_guest_token(mcp, &token);
    stoa_buf_add(&park->seat.id, id.data, id.len);
    stoa_buf_add(&park->seat.token, token.data, token.len);
    park->token.len = token.len;
    park->token.data = ngx_pstrdup(park->pool, &token);

    if (sid.data == NULL || park->token.data == NULL
        || park->seat.id.rc != STOA_OK || park->seat.token.rc != STOA_OK
        || ngx_http_stoa_mcp_guest_body(r, park) != NGX_OK
        || ngx_http_stoa_credential_caller(park->api, ctx, park->pool,
                                           &park->subject)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    park->group = ngx_http_stoa_split(r, ctx, park->api);

    return ngx_http_stoa_mcp_relay_headers(r, ctx, park->api, &park->ref,
                                           park->pool, &park->headers);
}


/* As it would be forwarded, with an id of ours: the request that it is for
 * in the end has another one. */

static ngx_int_t
ngx_http_stoa_mcp_guest_body(ngx_http_request_t *r,
    ngx_http_stoa_mcp_park_t *park)
{
    u_char         *p;
    ngx_buf_t      *b;
    stoa_glance_t   g;

    b = r->request_body->bufs->buf;

    if (stoa_glance((char *) b->pos, b->last - b->pos, &g) != STOA_OK
        || g.id.start == NULL)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(park->pool, b->last - b->pos + park->call_id.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    park->body.data = p;
    p = ngx_cpymem(p, b->pos, (u_char *) g.id.start - b->pos);
    p = ngx_cpymem(p, park->call_id.data, park->call_id.len);
    p = ngx_cpymem(p, g.id.end, b->last - (u_char *) g.id.end);
    park->body.len = p - park->body.data;

    return NGX_OK;
}


/* ---- one that waits ----------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_guest_go(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_guest_t *g)
{
    u_char                level;
    uint16_t              round;
    uint32_t              pid, n;
    ngx_int_t             rc;
    ngx_str_t             id, token;
    stoa_buf_t            b;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    id = ngx_http_stoa_mcp_id(mcp);
    ngx_http_stoa_mcp_guest_token(mcp, &token);
    pid = (uint32_t) ngx_pid;
    round = (uint16_t) g->round;
    level = (u_char) mcp->log_level;

    stoa_buf_init(&b, STOA_JSONRPC_BODY_MAX + 4 * STOA_JSONRPC_ID_MAX);
    stoa_buf_addz(&b, "G");
    stoa_buf_add(&b, g->park, sizeof(g->park));
    stoa_buf_add(&b, &pid, 4);
    stoa_buf_add(&b, g->ticket, sizeof(g->ticket));
    stoa_buf_add(&b, &round, 2);
    stoa_buf_add(&b, &level, 1);
    n = (uint32_t) id.len;
    stoa_buf_add(&b, &n, 4);
    stoa_buf_add(&b, id.data, id.len);
    n = (uint32_t) token.len;
    stoa_buf_add(&b, &n, 4);
    stoa_buf_add(&b, token.data, token.len);

    if (g->responses.start) {
        stoa_buf_add(&b, g->responses.start,
                     g->responses.end - g->responses.start);

    } else {
        stoa_buf_addz(&b, "{}");
    }

    rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    ngx_set_errno(0);

    if (b.rc == STOA_OK && g->pid == ngx_pid) {
        ngx_http_stoa_mcp_work_came((u_char *) b.data, b.len);
        rc = NGX_OK;

    } else if (b.rc == STOA_OK && b.len > NGX_HTTP_STOA_DOOR_MAX) {
        rc = ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
                                  NULL);

    } else if (b.rc == STOA_OK
               && ngx_http_stoa_door_tell(g->pid, (u_char *) b.data, b.len)
                  == NGX_OK)
    {
        ngx_add_timer(&g->event, NGX_HTTP_STOA_MCP_GUEST_LOOK_MS);
        rc = NGX_OK;

    } else if (b.rc == STOA_OK) {
        ctx->call.passed = 1;
        rc = ngx_http_stoa_refuse(r, ngx_errno == NGX_ECONNREFUSED
                                     || ngx_errno == NGX_ENOENT
                                     ? NGX_HTTP_STOA_REFUSE_MCP_CALL_LOST
                                     : NGX_HTTP_STOA_REFUSE_MCP_UNTOLD,
                                  NULL);
    }

    stoa_buf_free(&b);

    return rc;
}


static ngx_int_t
ngx_http_stoa_mcp_guest_tell(ngx_http_stoa_mcp_guest_t *g, ngx_uint_t kind)
{
    u_char    text[1 + 2 * NGX_HTTP_STOA_MCP_PARK_ID + 5], *p;
    uint32_t  pid;

    pid = (uint32_t) ngx_pid;
    text[0] = (u_char) kind;
    p = ngx_cpymem(text + 1, g->park, sizeof(g->park));
    p = ngx_cpymem(p, g->ticket, sizeof(g->ticket));
    p = ngx_cpymem(p, &pid, 4);
    *p = (u_char) g->paused;

    if (g->pid == ngx_pid) {
        ngx_http_stoa_mcp_work_came(text, sizeof(text));
        return NGX_OK;
    }

    return ngx_http_stoa_door_tell(g->pid, text, sizeof(text));
}


/* A call that had to wait for the client goes on. */

static void
ngx_http_stoa_mcp_guest_flush(ngx_http_request_t *r)
{
    ngx_http_stoa_mcp_guest_t  *g;

    if (ngx_http_stoa_mcp_stream_flush(r) != NGX_OK) {
        return;
    }

    g = ngx_http_stoa_ctx(r)->call.mcp->at_guest;

    if (g && g->paused && ngx_http_stoa_mcp_guest_tell(g, 'W') == NGX_OK) {
        g->paused = 0;
    }
}


static void
ngx_http_stoa_mcp_guest_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_guest_t *g = data;

    if (g->event.timer_set) {
        ngx_del_timer(&g->event);
    }

    if (g->event.posted) {
        ngx_delete_posted_event(&g->event);
    }

    if (g->queue.next) {
        ngx_queue_remove(&g->queue);
        g->queue.next = NULL;
    }

    if (g->begun && !g->done && !g->again) {
        g->done = 1;
        (void) ngx_http_stoa_mcp_guest_tell(g, 'L');
    }
}


/* ---- what comes --------------------------------------------------------- */

static ngx_http_stoa_mcp_guest_t *
ngx_http_stoa_mcp_guest_find(const u_char *ticket)
{
    ngx_queue_t                *q;
    ngx_http_stoa_mcp_guest_t  *g;

    if (ngx_http_stoa_mcp_guests.next == NULL) {
        return NULL;
    }

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_guests);
         q != ngx_queue_sentinel(&ngx_http_stoa_mcp_guests);
         q = ngx_queue_next(q))
    {
        g = ngx_queue_data(q, ngx_http_stoa_mcp_guest_t, queue);

        if (!g->done && ngx_memcmp(g->ticket, ticket, sizeof(g->ticket)) == 0)
        {
            return g;
        }
    }

    return NULL;
}


/* It may come while the request still is in its step: what follows from it
 * waits for its turn. */

void
ngx_http_stoa_mcp_guest_came(const u_char *p, size_t len)
{
    ngx_str_t                   text;
    ngx_http_stoa_mcp_guest_t  *g;

    if (len < 1 + NGX_HTTP_STOA_MCP_PARK_ID) {
        return;
    }

    g = ngx_http_stoa_mcp_guest_find(p + 1);

    if (g == NULL) {
        return;
    }

    g->looks = 0;
    text.data = (u_char *) p + 1 + NGX_HTTP_STOA_MCP_PARK_ID;
    text.len = len - 1 - NGX_HTTP_STOA_MCP_PARK_ID;

    switch (p[0]) {

    case 'S':
        if (ngx_http_stoa_mcp_stream_say(g->ctx->request, g->ctx, &text)
            == NGX_AGAIN)
        {
            g->paused = ngx_http_stoa_mcp_guest_tell(g, 'P') == NGX_OK;
        }

        return;

    case 'D':
        g->answer.data = ngx_pstrdup(g->ctx->request->pool, &text);
        g->answer.len = g->answer.data ? text.len : 0;
        g->fault.what = NGX_HTTP_STOA_REFUSE_INTERNAL;
        break;

    case 'F':
        if (text.len != sizeof(g->fault)) {
            return;
        }

        ngx_memcpy(&g->fault, text.data, sizeof(g->fault));
        break;

    case 'N':
        g->used = 1;
        break;

    case 'X':
        g->lost = 1;
        break;

    default:                                    /* 'Y'                       */
        return;
    }

    g->done = 1;
    ngx_post_event(&g->event, &ngx_posted_events);
}


/* The first that the upstream has said is an error: was it about the session?
 */

static ngx_int_t
ngx_http_stoa_mcp_guest_heal(const u_char *ticket,
    ngx_http_stoa_mcp_ask_t *ask)
{
    ngx_str_t                   text;
    ngx_http_request_t         *r;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_guest_t  *g;

    g = ngx_http_stoa_mcp_guest_find(ticket);

    /* what breaks off after 200 was executed, whatever it speaks of */

    if (g == NULL || g->back
        || (ask->head.status == NGX_HTTP_OK
            && (ask->how != NGX_HTTP_STOA_FETCH_DONE || ask->large
                || ask->text.len == 0
                || !ngx_http_stoa_mcp_heal_suspect((u_char *) ask->text.data,
                                                   ask->text.len))))
    {
        return NGX_DECLINED;
    }

    r = g->ctx->request;
    mcp = g->ctx->call.mcp;
    text.data = (u_char *) ask->text.data;
    text.len = ask->text.len;

    switch (ngx_http_stoa_mcp_heal(mcp, &ask->head, &ask->fault, &text)) {

    case NGX_HTTP_STOA_MCP_HEAL_FORGET:
        mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_NONE;
        mcp->retried = 1;
        break;

    case NGX_HTTP_STOA_MCP_HEAL_PROBE:
        if (ngx_http_stoa_mcp_probe_later(r, mcp, &ask->fault, &text)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        mcp->has_upstream = 1;
        break;

    default:
        return NGX_DECLINED;
    }

    g->again = 1;
    mcp->at_guest = NULL;
    g->ctx->call.step = mcp->connect_step;
    ngx_post_event(&g->event, &ngx_posted_events);

    return NGX_OK;
}


/* What workers tell each other may get lost: is the call still there?  A
 * process with the pid of one that is gone has no door, or no such call. */

static ngx_int_t
ngx_http_stoa_mcp_guest_look(ngx_http_stoa_mcp_guest_t *g)
{
    if (kill(g->pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
        return NGX_DECLINED;
    }

    if (++g->looks >= NGX_HTTP_STOA_MCP_GUEST_SILENT) {
        (void) ngx_http_stoa_mcp_guest_tell(g, 'L');
        return NGX_DECLINED;
    }

    if (g->looks % NGX_HTTP_STOA_MCP_GUEST_ASK) {
        return NGX_OK;
    }

    ngx_set_errno(0);

    return ngx_http_stoa_mcp_guest_tell(g, 'A') != NGX_OK
           && (ngx_errno == NGX_ECONNREFUSED || ngx_errno == NGX_ENOENT)
           ? NGX_DECLINED : NGX_OK;
}


static void
ngx_http_stoa_mcp_guest_event(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_guest_t *g = ev->data;

    if (!g->done && !g->again) {

        if (ngx_http_stoa_mcp_guest_look(g) == NGX_OK) {
            ngx_add_timer(ev, NGX_HTTP_STOA_MCP_GUEST_LOOK_MS);
            return;
        }

        g->lost = 1;
        g->done = 1;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    ngx_http_stoa_ctx_wake(g->ctx->request);
}


static ngx_int_t
ngx_http_stoa_mcp_guest_end(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    const char                 *words;
    ngx_uint_t                  what;
    ngx_http_stoa_mcp_guest_t  *g;

    g = ctx->call.mcp->at_guest;

    if (g->used) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_STATE, NULL);
    }

    if (g->lost) {
        ctx->call.passed = 1;

        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_CALL_LOST,
                                    NULL);
    }

    words = ngx_http_stoa_policy_result_over(r, ctx, g->answer.len);
    what = NGX_HTTP_STOA_REFUSE_RESULT + 1;

    if (words == NULL) {
        what = ngx_http_stoa_policy_guard_message(r, ctx,
                                                  (char *) g->answer.data,
                                                  g->answer.len, &words);
    }

    if (words) {
        g->answer.len = 0;
        g->fault.what = what - 1;
        ngx_http_stoa_mcp_fault_say(&g->fault, words);
    }

    return ngx_http_stoa_mcp_stream_answer(r, ctx, &g->answer, &g->fault);
}
