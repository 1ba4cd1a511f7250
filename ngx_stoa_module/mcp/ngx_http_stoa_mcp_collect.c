/*
 * What upstreams answer to the gateway's own messages: taken by the filters of
 * a subrequest, of which no byte reaches a client.
 *
 * The answer to initialize is looked for as it comes, and the subrequest ends
 * with it: a stream may stay open for as long as the upstream likes.  All that
 * comes is consumed, so that nginx goes on reading and its timer runs; past
 * the maximum, or past the api's read_timeout_ms, the subrequest ends.
 *
 * Process: workers.  Lifetime: the subrequest's context.
 * Limits: NGX_HTTP_STOA_MCP_COLLECT_MAX bytes.
 */

#include "ngx_http_stoa_mcp.h"
#include "core/stoa_media.h"


static void ngx_http_stoa_mcp_collect_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);
static void ngx_http_stoa_mcp_collect_feed(
    ngx_http_stoa_mcp_collected_t *c, const char *data, size_t len);
static stoa_rc_t ngx_http_stoa_mcp_collect_event(void *data,
    const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_collect_message(
    ngx_http_stoa_mcp_collected_t *c, const char *data, size_t len);
static void ngx_http_stoa_mcp_collect_failed(
    ngx_http_stoa_mcp_collected_t *c, ngx_http_stoa_refuse_e what,
    const char *why);
static ngx_uint_t ngx_http_stoa_mcp_collect_late(ngx_http_upstream_t *u);


/* The id of our own request: 0. */

static const stoa_json_val_t  ngx_http_stoa_mcp_collect_id = {
    STOA_JSON_NUMBER, "0", &"0"[1], false
};


ngx_int_t
ngx_http_stoa_mcp_collect_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_table_elt_t                *h;
    ngx_http_stoa_mcp_t            *mcp;
    ngx_http_stoa_mcp_collected_t  *c;

    mcp = ctx->call.mcp;

    if (mcp->parent->call.mcp->sub != NGX_HTTP_STOA_MCP_SUB_INITIALIZE) {
        return NGX_OK;                  /* nobody waits for what it says    */
    }

    c = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_collected_t));

    if (c == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_collect_finish,
                                      c)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    c->request = r;
    stoa_buf_init(&c->text, NGX_HTTP_STOA_MCP_COLLECT_MAX);
    stoa_sse_init(&c->sse, NGX_HTTP_STOA_MCP_COLLECT_MAX,
                  ngx_http_stoa_mcp_collect_event, c);
    mcp->collected = c;

    if (fault) {
        c->failed = 1;
        c->fault = *fault;

        if (!fault->words) {
            ngx_http_stoa_compat_end(r->upstream);
        }

        return NGX_OK;
    }

    h = ngx_http_stoa_mcp_fault_header(r, "content-type");
    c->events = h && stoa_media_is((char *) h->value.data, h->value.len,
                                   "text/event-stream");

    h = ngx_http_stoa_mcp_fault_header(r, "mcp-session-id");

    if (h && h->value.len > NGX_HTTP_STOA_MCP_SID_MAX) {
        ngx_http_stoa_mcp_collect_failed(c,
                                     NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                     "its Mcp-Session-Id is too long");
        ngx_http_stoa_compat_end(r->upstream);

    } else if (h) {
        c->up.len = h->value.len;
        ngx_memcpy(c->up.sid, h->value.data, h->value.len);
    }

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_collect_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_collected_t *c = data;

    (void) ctx;

    stoa_buf_free(&c->text);
    stoa_sse_free(&c->sse);
}


ngx_int_t
ngx_http_stoa_mcp_collect(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_chain_t *in)
{
    size_t                          n;
    ngx_buf_t                      *b;
    ngx_uint_t                      end;
    ngx_http_stoa_mcp_t            *mcp;
    ngx_http_upstream_t            *u;
    ngx_http_stoa_mcp_collected_t  *c;

    u = r->upstream;
    mcp = ctx->call.mcp;
    c = mcp->collected;
    end = 0;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (!ngx_buf_in_memory(b)) {
            b->file_pos = b->file_last;
            continue;
        }

        n = b->last - b->pos;
        mcp->came += n;

        if (c && n && !c->found && !(c->failed && !c->fault.words)) {
            ngx_http_stoa_mcp_collect_feed(c, (char *) b->pos, n);
        }

        b->pos = b->last;
    }

    if (c && c->events && (c->found || c->failed)) {
        end = 1;

    } else if (mcp->came > NGX_HTTP_STOA_MCP_COLLECT_MAX) {
        end = 1;

        if (c) {
            ngx_http_stoa_mcp_collect_failed(c,
                                     NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                     "longer than 262144 bytes");
        }

    } else if (u && ngx_http_stoa_mcp_collect_late(u)) {
        end = 1;
    }

    /* as if the upstream had said all; nginx looks at it right after */

    if (end && u && u->length) {
        u->length = 0;
        u->keepalive = 0;
    }

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_collect_feed(ngx_http_stoa_mcp_collected_t *c,
    const char *data, size_t len)
{
    if (!c->events) {
        (void) stoa_buf_add(&c->text, data, len);
        return;
    }

    if (stoa_sse_feed(&c->sse, data, len) != STOA_OK && !c->found
        && !c->failed)
    {
        ngx_http_stoa_mcp_collect_failed(c,
                                     NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                     "an event that cannot be read");
    }
}


/* STOA_FULL ends the reader: the answer is there. */

static stoa_rc_t
ngx_http_stoa_mcp_collect_event(void *data, const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_collected_t *c = data;

    ngx_http_stoa_mcp_collect_message(c, event->data.data, event->data.len);

    return c->found || c->failed ? STOA_FULL : STOA_OK;
}


/* Ours, if it has our id; others may come before it. */

static void
ngx_http_stoa_mcp_collect_message(ngx_http_stoa_mcp_collected_t *c,
    const char *data, size_t len)
{
    ngx_str_t         text;
    stoa_err_t        err;
    ngx_uint_t        row;
    stoa_json_val_t   root, id, result, version;

    if (stoa_json_check(data, len, STOA_JSON_DEPTH_MAX, &root, &err)
        != STOA_OK
        || root.type != STOA_JSON_OBJECT)
    {
        return;
    }

    if (!stoa_json_get(&root, "result", &result)
        || result.type != STOA_JSON_OBJECT)
    {
        text.data = (u_char *) data;
        text.len = len;
        c->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
        ngx_http_stoa_mcp_fault_body(c->request, &c->fault, &text,
                                     &ngx_http_stoa_mcp_collect_id);
        c->failed = c->fault.has_code;
        return;
    }

    if (!stoa_json_get(&root, "id", &id)
        || !ngx_http_stoa_mcp_fault_same_id(&id,
                                            &ngx_http_stoa_mcp_collect_id))
    {
        return;
    }

    if (!stoa_json_get(&result, "protocolVersion", &version)
        || version.type != STOA_JSON_STRING || version.escaped)
    {
        ngx_http_stoa_mcp_collect_failed(c,
                                     NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                     "no protocolVersion");
        return;
    }

    row = ngx_http_stoa_mcp_version_find(version.start + 1,
                                         version.end - version.start - 2);

    /* 2024-11-05 over this transport: the header is not known there */

    if (row != NGX_HTTP_STOA_MCP_VERSION_NONE
        && ngx_http_stoa_mcp_versions[row].modern)
    {
        ngx_http_stoa_mcp_collect_failed(c,
                                     NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                     "a protocolVersion without sessions");
        return;
    }

    c->up.version = row;
    c->found = 1;
}


static void
ngx_http_stoa_mcp_collect_failed(ngx_http_stoa_mcp_collected_t *c,
    ngx_http_stoa_refuse_e what, const char *why)
{
    ngx_str_t  words;

    words.data = (u_char *) why;
    words.len = ngx_strlen(why);

    c->failed = 1;
    c->fault.what = what;
    ngx_http_stoa_mcp_fault_say(&c->fault, &words);
}


/* nginx's timer begins anew with each byte. */

static ngx_uint_t
ngx_http_stoa_mcp_collect_late(ngx_http_upstream_t *u)
{
    return ngx_current_msec - u->peer.start_time >= u->conf->read_timeout;
}


ngx_int_t
ngx_http_stoa_mcp_collect_result(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc, ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_str_t                       text;
    ngx_http_stoa_mcp_collected_t  *c;

    c = ctx->call.mcp->collected;

    if (c == NULL) {

        /* no head came */

        ngx_memzero(fault, sizeof(ngx_http_stoa_mcp_fault_t));
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE;

        if (ngx_http_stoa_refusal_find(r, ctx, rc >= NGX_HTTP_SPECIAL_RESPONSE
                                               ? (ngx_uint_t) rc
                                               : NGX_HTTP_BAD_GATEWAY)
            == NGX_OK)
        {
            fault->what = ctx->call.refused - 1;
        }

        return NGX_DECLINED;
    }

    if (c->failed && c->fault.words) {
        text.data = (u_char *) c->text.data;
        text.len = c->text.len;
        ngx_http_stoa_mcp_fault_body(r, &c->fault, &text,
                                     &ngx_http_stoa_mcp_collect_id);

    } else if (!c->failed && !c->events && c->text.len) {
        ngx_http_stoa_mcp_collect_message(c, c->text.data, c->text.len);
    }

    if (c->found && !c->failed) {
        return NGX_OK;
    }

    if (!c->failed && r->upstream && ngx_http_stoa_mcp_collect_late(
                                                               r->upstream))
    {
        c->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT;

    } else if (!c->failed) {
        ngx_http_stoa_mcp_collect_failed(c,
                                     NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                     "no answer");
    }

    *fault = c->fault;

    return NGX_DECLINED;
}
