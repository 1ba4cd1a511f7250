/*
 * A legacy client's call at a modern upstream.
 *
 * There is no session there: each message says who asks and what he can, in
 * its _meta and its headers.  The call waits as a step of its request; its
 * answer is the client's as it came, with his id.
 */

#include "ngx_http_stoa_modern.h"
#include "ngx_http_stoa_policy.h"


static ngx_int_t ngx_http_stoa_mcp_modern_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_mcp_modern_flush(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_modern_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);
static ngx_int_t ngx_http_stoa_mcp_modern_ask(ngx_http_stoa_mcp_modern_t *b);
static ngx_int_t ngx_http_stoa_mcp_modern_body(ngx_http_stoa_mcp_modern_t *b,
    const ngx_str_t *id, ngx_pool_t *pool, ngx_str_t *body);
static void ngx_http_stoa_mcp_modern_rest(const stoa_json_val_t *object,
    stoa_buf_t *out);
static void ngx_http_stoa_mcp_modern_meta(ngx_http_stoa_mcp_modern_t *b,
    stoa_buf_t *out);
static void ngx_http_stoa_mcp_modern_other(ngx_http_stoa_mcp_ask_t *ask,
    void *data, const ngx_str_t *text);
static void ngx_http_stoa_mcp_modern_asked(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static ngx_uint_t ngx_http_stoa_mcp_modern_is(const stoa_json_val_t *v,
    const char *text);
static ngx_uint_t ngx_http_stoa_mcp_modern_long(ngx_http_stoa_mcp_modern_t *b,
    ngx_http_stoa_mcp_ask_t *ask);
static ngx_int_t ngx_http_stoa_mcp_modern_result(
    ngx_http_stoa_mcp_modern_t *b, ngx_http_stoa_mcp_ask_t *ask);
static ngx_int_t ngx_http_stoa_mcp_modern_take(ngx_http_stoa_mcp_modern_t *b,
    ngx_http_stoa_mcp_ask_t *ask);
static void ngx_http_stoa_mcp_modern_go(ngx_http_stoa_mcp_modern_t *b);
static void ngx_http_stoa_mcp_modern_event(ngx_event_t *ev);
static void ngx_http_stoa_mcp_modern_wake(ngx_http_stoa_mcp_modern_t *b);
static ngx_int_t ngx_http_stoa_mcp_modern_end(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


static const ngx_http_stoa_mcp_inputs_t  ngx_http_stoa_mcp_modern_inputs = {
    ngx_http_stoa_mcp_stream_say,
    ngx_http_stoa_mcp_modern_go
};


ngx_int_t
ngx_http_stoa_mcp_modern(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_modern_t  *b;

    b = ctx->call.mcp->at_modern;

    if (b == NULL) {
        return ngx_http_stoa_mcp_modern_begin(r, ctx);
    }

    return b->done ? ngx_http_stoa_mcp_modern_end(r, ctx) : NGX_AGAIN;
}


static ngx_int_t
ngx_http_stoa_mcp_modern_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    int                          code;
    u_char                      *p;
    ngx_int_t                    rc;
    ngx_buf_t                   *body;
    stoa_err_t                   err;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_modern_t  *b;

    mcp = ctx->call.mcp;
    body = r->request_body->bufs->buf;

    b = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_modern_t));

    if (b == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_modern_finish, b)
           != NGX_OK
        || stoa_jsonrpc_scan((char *) body->pos, body->last - body->pos,
                             &b->msg, &code, &err)
           != STOA_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->ctx = ctx;
    b->ident = -1;
    b->event.data = b;
    b->event.log = r->connection->log;
    b->event.handler = ngx_http_stoa_mcp_modern_event;
    mcp->at_modern = b;
    mcp->upstream_version = NGX_HTTP_STOA_MCP_VERSION_MODERN;

    rc = ngx_http_stoa_headers_text(r, ctx, r->pool, &b->headers);

    if (rc != NGX_OK) {
        return rc;
    }

    if (mcp->params.len) {
        p = ngx_pnalloc(r->pool, b->headers.len + mcp->params.len);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memcpy(ngx_cpymem(p, b->headers.data, b->headers.len),
                   mcp->params.data, mcp->params.len);
        b->headers.data = p;
        b->headers.len += mcp->params.len;
    }

    ngx_http_stoa_via(r, &b->via);
    ngx_http_stoa_mcp_input_begin(b, &ngx_http_stoa_mcp_modern_inputs);

    if (ngx_http_stoa_mcp_stream_expect(r, ctx) != NGX_OK
        || ngx_http_stoa_mcp_modern_ask(b) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_stoa_ctx_suspend(r);
    r->write_event_handler = ngx_http_stoa_mcp_modern_flush;

    return rc;
}


/* An upstream that had to wait for the client goes on. */

static void
ngx_http_stoa_mcp_modern_flush(ngx_http_request_t *r)
{
    ngx_http_stoa_mcp_modern_t  *b;

    if (ngx_http_stoa_mcp_stream_flush(r) != NGX_OK) {
        return;
    }

    b = ngx_http_stoa_ctx(r)->call.mcp->at_modern;

    if (b->ask) {
        ngx_http_stoa_fetch_resume(b->ask->fetch);
    }
}


static void
ngx_http_stoa_mcp_modern_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_modern_t *b = data;

    if (b->ask) {
        ngx_http_stoa_mcp_relay_left(ctx, b->ask);
        b->ask = NULL;
    }

    if (b->event.timer_set) {
        ngx_del_timer(&b->event);
    }

    ngx_http_stoa_mcp_input_end(b);
}


/* ---- a round ------------------------------------------------------------ */

static ngx_int_t
ngx_http_stoa_mcp_modern_ask(ngx_http_stoa_mcp_modern_t *b)
{
    ngx_int_t                 rc;
    ngx_str_t                 id;
    ngx_http_stoa_api_t      *api;
    ngx_http_stoa_mcp_ask_t  *ask;

    static ngx_str_t  none = ngx_null_string;

    api = b->ctx->call.api;

    /* what it is made of outlives the client, who may leave */

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    id.len = b->msg.id.end - b->msg.id.start;
    id.data = ngx_pnalloc(ask->pool, id.len + b->headers.len);
    rc = NGX_ERROR;

    if (id.data) {
        ask->fetch->headers.len = b->headers.len;
        ask->fetch->headers.data = ngx_cpymem(id.data, b->msg.id.start,
                                              id.len);
        ngx_memcpy(ask->fetch->headers.data, b->headers.data,
                   b->headers.len);

        ask->id = b->msg.id;
        ask->id.start = (char *) id.data;
        ask->id.end = (char *) id.data + id.len;

        rc = b->rounds ? ngx_http_stoa_mcp_ask_id(ask, &id) : NGX_OK;
    }

    if (rc != NGX_OK
        || ngx_http_stoa_mcp_modern_body(b, &id, ask->pool,
                                         &ask->fetch->body)
           != NGX_OK
        || ngx_http_stoa_credential_caller(api, b->ctx, ask->pool,
                                           &ask->fetch->subject)
           != NGX_OK
        || ngx_http_stoa_upstream_fetch(ask->fetch, api, &b->via, &none, NULL)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    ask->fetch->stay = 1;
    ask->fetch->group = ngx_http_stoa_split(b->ctx->request, b->ctx, api);
    ask->loose = 1;
    ask->max = ngx_http_stoa_mcp_stream_max(b->ctx);
    ask->done = ngx_http_stoa_mcp_modern_asked;
    ask->other = ngx_http_stoa_mcp_modern_other;
    ask->data = b;

    if (api->rec->max_call_ms) {
        ask->fetch->deadline = ngx_current_msec + api->rec->max_call_ms;
    }

    b->ask = ask;
    b->rounds++;

    ngx_http_stoa_mcp_ask_start(ask);

    return NGX_OK;
}


/* The message with the id of this round, and more in its params. */

static ngx_int_t
ngx_http_stoa_mcp_modern_body(ngx_http_stoa_mcp_modern_t *b,
    const ngx_str_t *id, ngx_pool_t *pool, ngx_str_t *body)
{
    stoa_buf_t       out;
    stoa_jsonrpc_t  *msg;

    msg = &b->msg;

    stoa_buf_init(&out, STOA_JSONRPC_BODY_MAX + 1024 * 1024);
    stoa_buf_addz(&out, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(&out, id->data, id->len);
    stoa_buf_addf(&out, ",\"method\":\"%.*s\",\"params\":{",
                  (int) msg->method_name.len, msg->method_name.data);
    ngx_http_stoa_mcp_input_write(b, &out);
    stoa_buf_addz(&out, "\"_meta\":{");
    ngx_http_stoa_mcp_modern_meta(b, &out);

    ngx_http_stoa_mcp_modern_rest(&msg->meta, &out);
    stoa_buf_addz(&out, "}");
    ngx_http_stoa_mcp_modern_rest(&msg->params, &out);
    stoa_buf_addz(&out, "}}");

    return ngx_http_stoa_text(pool, &out, body);
}


/* The client's members, but for those that are said for him: of two with one
 * name the upstream would believe his. */

static void
ngx_http_stoa_mcp_modern_rest(const stoa_json_val_t *object, stoa_buf_t *out)
{
    ngx_uint_t        i;
    stoa_json_val_t   key, val;
    stoa_json_iter_t  it;

    static const ngx_str_t  ours[] = {
        ngx_string("_meta"),
        ngx_string("inputResponses"),
        ngx_string("requestState"),
        ngx_string("io.modelcontextprotocol/protocolVersion"),
        ngx_string("io.modelcontextprotocol/clientInfo"),
        ngx_string("io.modelcontextprotocol/clientCapabilities"),
        ngx_string("io.modelcontextprotocol/logLevel"),
        ngx_null_string
    };

    if (object->start == NULL || !stoa_json_first(object, &it, &key, &val)) {
        return;
    }

    do {
        for (i = 0; ours[i].len; i++) {
            if (stoa_json_eq(&key, (char *) ours[i].data, ours[i].len)) {
                break;
            }
        }

        if (ours[i].len == 0) {
            stoa_buf_addz(out, ",");
            stoa_buf_add(out, key.start, val.end - key.start);
        }

    } while (stoa_json_next(&it, &key, &val));
}


void
ngx_http_stoa_mcp_modern_us(stoa_buf_t *out)
{
    const ngx_str_t  *version;

    version = &ngx_http_stoa_mcp_versions[
                                      NGX_HTTP_STOA_MCP_VERSION_MODERN].name;

    stoa_buf_addz(out, "\"io.modelcontextprotocol/protocolVersion\":\"");
    stoa_buf_add(out, version->data, version->len);
    stoa_buf_addz(out, "\",\"io.modelcontextprotocol/clientInfo\":"
                  "{\"name\":\"stoa-gateway\",\"version\":\""
                  NGX_HTTP_STOA_VERSION "\"},");
}


/* What the client has declared, as far as the upstream may ask for it. */

static void
ngx_http_stoa_mcp_modern_meta(ngx_http_stoa_mcp_modern_t *b, stoa_buf_t *out)
{
    unsigned          i;
    ngx_str_t        *caps;
    ngx_uint_t        n, level;
    stoa_json_val_t   all, val;

    static const char  *const known[] = { "elicitation", "sampling", "roots" };

    caps = &b->ctx->call.mcp->capabilities;
    all.type = STOA_JSON_OBJECT;
    all.start = (char *) caps->data;
    all.end = all.start + caps->len;

    ngx_http_stoa_mcp_modern_us(out);
    stoa_buf_addz(out, "\"io.modelcontextprotocol/clientCapabilities\":{");

    for (i = 0, n = 0; i < 3 && caps->len; i++) {

        if (!stoa_json_get(&all, known[i], &val)) {
            continue;
        }

        stoa_buf_addf(out, "%s\"%s\":", n++ ? "," : "", known[i]);
        stoa_buf_add(out, val.start, val.end - val.start);
    }

    stoa_buf_addz(out, "}");

    level = ngx_http_stoa_mcp_level_is(b->ctx->request, b->ctx->call.mcp);

    if (level) {
        stoa_buf_addf(out, ",\"io.modelcontextprotocol/logLevel\":\"%s\"",
                      ngx_http_stoa_mcp_level_name(level));
    }
}


/* ---- what comes --------------------------------------------------------- */

/* Progress, and what the upstream has to say besides. */

static void
ngx_http_stoa_mcp_modern_other(ngx_http_stoa_mcp_ask_t *ask, void *data,
    const ngx_str_t *text)
{
    ngx_http_stoa_mcp_modern_t *b = data;

    stoa_glance_t  g;

    if (stoa_glance((char *) text->data, text->len, &g) != STOA_OK
        || g.kind != STOA_GLANCE_NOTIFICATION
        || (!ngx_http_stoa_mcp_modern_is(&g.method,
                                         "\"notifications/progress\"")
            && !ngx_http_stoa_mcp_modern_is(&g.method,
                                            "\"notifications/message\"")))
    {
        return;
    }

    if (ngx_http_stoa_mcp_stream_say(b->ctx->request, b->ctx, text)
        == NGX_AGAIN)
    {
        ngx_http_stoa_fetch_pause(ask->fetch);
    }
}


/* Does a policy not let its answer through?  That is its fault then. */

static ngx_uint_t
ngx_http_stoa_mcp_modern_long(ngx_http_stoa_mcp_modern_t *b,
    ngx_http_stoa_mcp_ask_t *ask)
{
    const char  *words;
    ngx_uint_t   what;

    words = ngx_http_stoa_policy_result_over(b->ctx->request, b->ctx,
                                             ask->large ? ask->max
                                             : ask->answered ? ask->text.len
                                             : 0);
    what = NGX_HTTP_STOA_REFUSE_RESULT + 1;

    if (words == NULL && ask->answered) {
        what = ngx_http_stoa_policy_guard_message(b->ctx->request, b->ctx,
                                                  ask->text.data,
                                                  ask->text.len, &words);
    }

    if (words == NULL) {
        return 0;
    }

    b->fault.what = what - 1;
    ngx_http_stoa_mcp_fault_say(&b->fault, words);

    return 1;
}


static void
ngx_http_stoa_mcp_modern_asked(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_modern_t *b = data;

    ngx_int_t                   rc;
    ngx_http_stoa_main_conf_t  *mcf;

    b->ask = NULL;
    b->fault = ask->fault;

    rc = !ngx_http_stoa_mcp_modern_long(b, ask) && ask->answered
         ? ngx_http_stoa_mcp_modern_result(b, ask) : NGX_DECLINED;

    if (rc == NGX_AGAIN) {
        mcf = ngx_http_get_module_main_conf(b->ctx->request,
                                            ngx_http_stoa_module);
        ngx_add_timer(&b->event, b->pause ? b->pause : mcf->mcp_input);
        return;
    }

    ngx_http_stoa_mcp_modern_wake(b);
}


static ngx_int_t
ngx_http_stoa_mcp_modern_failed(ngx_http_stoa_mcp_modern_t *b,
    const char *why)
{
    b->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
    ngx_http_stoa_mcp_fault_say(&b->fault, why);

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_stoa_mcp_modern_is(const stoa_json_val_t *v, const char *text)
{
    return (size_t) (v->end - v->start) == ngx_strlen(text)
           && ngx_memcmp(v->start, text, v->end - v->start) == 0;
}


/* NGX_OK: b->answer; NGX_DECLINED: b->fault; NGX_AGAIN: another round is
 * needed. */

static ngx_int_t
ngx_http_stoa_mcp_modern_result(ngx_http_stoa_mcp_modern_t *b,
    ngx_http_stoa_mcp_ask_t *ask)
{
    stoa_json_val_t  type;

    if (ask->result.start == NULL) {

        switch (ask->fault.code) {

        case -32020:
            return ngx_http_stoa_mcp_modern_failed(b, "it wants another "
                                                   "header");
        case -32021:
            return ngx_http_stoa_mcp_modern_failed(b, "it wants a capability "
                                                   "which the client lacks");
        case -32022:
            return ngx_http_stoa_mcp_modern_failed(b, "it no longer speaks "
                                                   "2026-07-28");
        }

        return ngx_http_stoa_mcp_modern_take(b, ask);
    }

    if (!stoa_glance_get(&ask->result, "resultType", &type)
        || ngx_http_stoa_mcp_modern_is(&type, "\"complete\""))
    {
        return ngx_http_stoa_mcp_modern_take(b, ask);
    }

    if (ask->glanced
        || !ngx_http_stoa_mcp_modern_is(&type, "\"input_required\""))
    {
        return ngx_http_stoa_mcp_modern_failed(b, "a result of another kind");
    }

    if (b->rounds >= NGX_HTTP_STOA_MCP_ROUNDS) {
        return ngx_http_stoa_mcp_modern_failed(b, "it asks without end");
    }

    return ngx_http_stoa_mcp_input(b, &ask->result) == NGX_OK ? NGX_AGAIN
                                                              : NGX_DECLINED;
}


/* The answer as it came, with the client's id. */

static ngx_int_t
ngx_http_stoa_mcp_modern_take(ngx_http_stoa_mcp_modern_t *b,
    ngx_http_stoa_mcp_ask_t *ask)
{
    u_char           *p;
    ngx_str_t         text, id;
    stoa_str_t        told;
    stoa_json_val_t   at;

    text.data = (u_char *) ask->root.start;
    text.len = ask->root.end - ask->root.start;
    id.data = (u_char *) b->msg.id.start;
    id.len = b->msg.id.end - b->msg.id.start;

    if (!stoa_glance_get(&ask->root, "id", &at)) {
        return ngx_http_stoa_mcp_modern_failed(b, "no id");
    }

    p = ngx_pnalloc(b->ctx->request->pool, text.len + id.len);
    if (p == NULL) {
        return ngx_http_stoa_mcp_modern_failed(b, "no memory for its answer");
    }

    b->answer.data = p;
    p = ngx_cpymem(p, text.data, (u_char *) at.start - text.data);
    p = ngx_cpymem(p, id.data, id.len);
    p = ngx_cpymem(p, at.end, text.data + text.len - (u_char *) at.end);
    b->answer.len = p - b->answer.data;

    told.data = (char *) b->answer.data;
    told.len = b->answer.len;

    if (ngx_http_stoa_mcp_item_told(b->ctx, &told) != NGX_OK) {
        return ngx_http_stoa_mcp_modern_failed(b, "an answer that is too "
                                               "long");
    }

    if (told.data != (char *) b->answer.data) {
        b->answer.len = told.len;
        b->answer.data = ngx_pnalloc(b->ctx->request->pool, told.len);

        if (b->answer.data == NULL) {
            return ngx_http_stoa_mcp_modern_failed(b, "no memory for its "
                                                   "answer");
        }

        ngx_memcpy(b->answer.data, told.data, told.len);
    }

    return NGX_OK;
}


/* ---- and goes on -------------------------------------------------------- */

/* All is answered, or the client wants no more. */

static void
ngx_http_stoa_mcp_modern_go(ngx_http_stoa_mcp_modern_t *b)
{
    if (b->event.timer_set) {
        ngx_del_timer(&b->event);
    }

    if (b->cancelled) {
        if (b->ask) {
            ngx_http_stoa_mcp_ask_cancel(b->ask);
            b->ask = NULL;
        }

    } else if (b->answer.len == 0
               && ngx_http_stoa_mcp_modern_ask(b) == NGX_OK)
    {
        return;
    }

    ngx_http_stoa_mcp_modern_wake(b);
}


static void
ngx_http_stoa_mcp_modern_event(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_modern_t *b = ev->data;

    if (b->pause) {
        ngx_http_stoa_mcp_modern_go(b);
        return;
    }

    b->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT;
    ngx_http_stoa_mcp_fault_say(&b->fault, "the client has not said in time "
                                "what the server needs");
    ngx_http_stoa_mcp_modern_wake(b);
}


static void
ngx_http_stoa_mcp_modern_wake(ngx_http_stoa_mcp_modern_t *b)
{
    b->done = 1;
    ngx_http_stoa_ctx_wake(b->ctx->request);
}


static ngx_int_t
ngx_http_stoa_mcp_modern_end(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_modern_t  *b;

    b = ctx->call.mcp->at_modern;

    if (b->cancelled) {

        /* nothing is said to a call that was cancelled */

        if (ctx->call.opened) {
            return ngx_http_stoa_mcp_stream_last(r, ctx, NULL);
        }

        return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL);
    }

    return ngx_http_stoa_mcp_stream_answer(r, ctx, &b->answer, &b->fault);
}
