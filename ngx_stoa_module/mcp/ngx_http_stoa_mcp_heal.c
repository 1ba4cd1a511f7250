/*
 * "The session is forgotten and nothing was executed" against "it was executed
 * and failed": what an answer of an upstream means for the call and for its
 * session.
 *
 * Servers say the one and the other with the same statuses.  Where that is
 * open, the session is asked: a ping on it is harmless, and must be answered.
 * A call is sent a second time only when the session was gone, so that nothing
 * is executed twice.  What a tool has said once is asked about again: the next
 * time it may be the session.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_mcp_ask.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_MCP_PROBE_MS   2000


typedef ngx_http_stoa_mcp_heal_e  heal_e;

#define PASS    NGX_HTTP_STOA_MCP_HEAL_PASS
#define REFUSE  NGX_HTTP_STOA_MCP_HEAL_REFUSE
#define PROBE   NGX_HTTP_STOA_MCP_HEAL_PROBE
#define FORGET  NGX_HTTP_STOA_MCP_HEAL_FORGET


/* By status; the first row counts.  ours: an error of JSON-RPC to this call,
 * whose code does not speak of sessions.  gone: what it says looks like a
 * session that is not there. */

typedef struct {
    ngx_uint_t  from;
    ngx_uint_t  to;
    heal_e      ours;
    heal_e      gone;
    heal_e      other;
    unsigned    doubt:1;              /* is the session well?               */
} ngx_http_stoa_mcp_heal_row_t;

static const ngx_http_stoa_mcp_heal_row_t  ngx_http_stoa_mcp_heal_rows[] = {
    { 200, 200, PASS,   PROBE,  PASS,   0 },
    { 400, 400, PASS,   PROBE,  PROBE,  0 },
    { 401, 401, REFUSE, PROBE,  REFUSE, 0 },
    { 403, 403, REFUSE, PROBE,  REFUSE, 0 },
    { 404, 404, PASS,   FORGET, PROBE,  0 },
    { 407, 407, REFUSE, REFUSE, REFUSE, 0 },
    { 410, 410, PASS,   FORGET, PROBE,  0 },
    { 429, 429, REFUSE, REFUSE, REFUSE, 0 },
    { 401, 499, PASS,   REFUSE, REFUSE, 0 },
    { 503, 503, REFUSE, REFUSE, REFUSE, 1 },
    { 500, 599, PASS,   REFUSE, REFUSE, 1 },
    { 0, 999,   REFUSE, REFUSE, REFUSE, 0 }
};


typedef struct {
    ngx_http_stoa_ctx_t           *ctx;
    ngx_http_stoa_mcp_ask_t       *ask;
} ngx_http_stoa_mcp_probe_t;


static ngx_uint_t ngx_http_stoa_mcp_heal_word(const u_char *p, size_t len);
static void ngx_http_stoa_mcp_probed(ngx_http_stoa_mcp_ask_t *ask, void *data);
static void ngx_http_stoa_mcp_probe_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);
static ngx_int_t ngx_http_stoa_mcp_probe_lives(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* Codes with which servers speak of sessions; with others a tool does. */

static ngx_uint_t
ngx_http_stoa_mcp_heal_code(const ngx_http_stoa_mcp_fault_t *fault)
{
    return fault->has_code && (fault->code == -32000 || fault->code == -32001
                               || fault->code == -32600);
}


ngx_http_stoa_mcp_heal_e
ngx_http_stoa_mcp_heal(ngx_http_stoa_mcp_t *mcp,
    const ngx_http_stoa_mcp_head_t *head,
    const ngx_http_stoa_mcp_fault_t *fault, const ngx_str_t *text)
{
    heal_e                               what;
    ngx_uint_t                           word, ours;
    const ngx_http_stoa_mcp_heal_row_t  *row;

    for (row = ngx_http_stoa_mcp_heal_rows;
         head->status < row->from || head->status > row->to;
         row++);

    word = ngx_http_stoa_mcp_heal_word(text->data, text->len);
    ours = fault->ours
           && (head->status >= 500
               || !ngx_http_stoa_mcp_heal_code(fault)
               || (!word && row->other != PROBE));

    if (ours) {
        what = row->ours;

    } else if (word && !head->challenge
               && (!fault->has_code || !fault->ours
                   || ngx_http_stoa_mcp_heal_code(fault)))
    {
        what = row->gone;

    } else {
        what = row->other;
    }

    if (what == PASS) {
        return PASS;
    }

    if (mcp->upstream_session.len) {

        if (what == REFUSE && row->doubt) {
            ngx_http_stoa_mcp_upstream_doubt(mcp->upstream_key, 1);
        }

        /* a session that this call has opened is not gone already */

        if (what != REFUSE && !mcp->fresh_session && !mcp->retried) {
            return what;
        }
    }

    return what != REFUSE && fault->ours ? PASS : REFUSE;
}


static ngx_uint_t
ngx_http_stoa_mcp_heal_word(const u_char *p, size_t len)
{
    return len >= sizeof("session") - 1
           && ngx_strlcasestrn((u_char *) p, (u_char *) p + len,
                               (u_char *) "session", sizeof("session") - 2)
              != NULL;
}


/* May the answer be one of those at all?  For what came of a body with 200:
 * results are not looked through. */

ngx_uint_t
ngx_http_stoa_mcp_heal_suspect(const u_char *p, size_t len)
{
    len = ngx_min(len, 512);

    return memmem(p, len, "\"error\"", sizeof("\"error\"") - 1) != NULL
           && ngx_http_stoa_mcp_heal_word(p, len);
}


/* ---- asking the session ------------------------------------------------- */

/* The answer is kept for the case that the session lives. */

ngx_int_t
ngx_http_stoa_mcp_probe_later(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, const ngx_http_stoa_mcp_fault_t *fault,
    const ngx_str_t *text)
{
    ngx_http_stoa_mcp_kept_t  *kept;

    kept = ngx_palloc(r->pool, sizeof(ngx_http_stoa_mcp_kept_t));
    if (kept == NULL) {
        return NGX_ERROR;
    }

    kept->fault = *fault;
    kept->text.len = text->len;
    kept->text.data = ngx_pnalloc(r->pool, text->len + 1);

    if (kept->text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(kept->text.data, text->data, text->len);

    mcp->kept = kept;
    mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_PROBE;

    return NGX_OK;
}


/* NGX_AGAIN: woken with _PROBED; NGX_ERROR. */

ngx_int_t
ngx_http_stoa_mcp_probe(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                        *p;
    ngx_str_t                      id, base, none;
    ngx_http_stoa_via_t            via;
    ngx_http_stoa_mcp_t           *mcp;
    ngx_http_stoa_mcp_ask_t       *ask;
    ngx_http_stoa_mcp_probe_t     *probe;

    mcp = ctx->call.mcp;
    ngx_str_null(&none);

    probe = ngx_palloc(r->pool, sizeof(ngx_http_stoa_mcp_probe_t));
    ask = probe ? ngx_http_stoa_mcp_ask_create(r->connection->log) : NULL;

    if (ask == NULL) {
        return NGX_ERROR;
    }

    probe->ctx = ctx;
    probe->ask = ask;
    p = ngx_pnalloc(ask->pool, 128);

    ngx_http_stoa_via(r, &via);

    if (p == NULL
        || ngx_http_stoa_mcp_ask_id(ask, &id) != NGX_OK
        || ngx_http_stoa_headers_text(r, ctx, ask->pool, &base) != NGX_OK
        || ngx_http_stoa_upstream_fetch(ask->fetch, ctx->call.api, &via,
                                        &none, &mcp->upstream_target)
           != NGX_OK
        || ngx_http_stoa_credential_caller(ctx->call.api, ctx, ask->pool,
                                           &ask->fetch->subject)
           != NGX_OK
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_probe_finish,
                                      probe)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    ask->fetch->headers = base;
    ask->fetch->body.data = p;
    ask->fetch->body.len = ngx_sprintf(p, "{\"jsonrpc\":\"2.0\",\"id\":%V,"
                                       "\"method\":\"ping\"}", &id)
                           - p;
    ask->fetch->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_PROBE_MS;
    ask->fetch->stay = 1;
    ask->fetch->idempotent = 1;
    ask->words = 1;
    ask->done = ngx_http_stoa_mcp_probed;
    ask->data = probe;

    ngx_http_stoa_mcp_ask_start(ask);

    mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_PROBING;

    return ngx_http_stoa_ctx_suspend(r);
}


static void
ngx_http_stoa_mcp_probed(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_probe_t *probe = data;

    ngx_http_stoa_mcp_t  *mcp;

    mcp = probe->ctx->call.mcp;
    probe->ask = NULL;

    mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_PROBED;
    mcp->probed = NGX_HTTP_STOA_MCP_UNKNOWN;

    if (ask->answered
        && (ask->result.start || ask->fault.code == -32601))
    {
        mcp->probed = NGX_HTTP_STOA_MCP_LIVES;

    } else if (ask->head.status == NGX_HTTP_NOT_FOUND
               || ask->head.status == 410
               || ngx_http_stoa_mcp_heal_word((u_char *) ask->text.data,
                                              ask->text.len))
    {
        mcp->probed = NGX_HTTP_STOA_MCP_GONE;
    }

    ngx_http_stoa_ctx_wake(probe->ctx->request);
}


static void
ngx_http_stoa_mcp_probe_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_probe_t *probe = data;

    if (probe->ask) {
        ngx_http_stoa_mcp_ask_cancel(probe->ask);
    }
}


/* What is known now.  NGX_DECLINED: the session is gone, and forgotten here;
 * NGX_OK: it may be used; else the call has ended. */

ngx_int_t
ngx_http_stoa_mcp_probe_end(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_NONE;

    if (mcp->probed == NGX_HTTP_STOA_MCP_GONE) {
        ngx_http_stoa_mcp_upstream_drop(mcp->upstream_key,
                                        mcp->upstream_session.data,
                                        mcp->upstream_session.len);
        mcp->retried |= mcp->kept != NULL;
        mcp->kept = NULL;

        return NGX_DECLINED;
    }

    if (mcp->kept) {
        return ngx_http_stoa_mcp_probe_lives(r, ctx);
    }

    if (mcp->probed == NGX_HTTP_STOA_MCP_LIVES) {
        ngx_http_stoa_mcp_upstream_doubt(mcp->upstream_key, 0);
    }

    mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_DONE;

    return NGX_OK;
}


/* So the answer that was kept is the call's. */

static ngx_int_t
ngx_http_stoa_mcp_probe_lives(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_buf_t                 *b;
    ngx_chain_t               *cl;
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_kept_t  *kept;

    mcp = ctx->call.mcp;
    kept = mcp->kept;

    if (!kept->fault.ours) {
        ctx->call.passed = 1;             /* it may have been executed      */

        return ngx_http_stoa_mcp_fault_refuse(r, ctx, &kept->fault, NULL)
               == NGX_OK
               ? (ngx_int_t) ngx_http_stoa_refusals[kept->fault.what].status
               : NGX_ERROR;
    }

    if (ctx->call.opened) {
        return ngx_http_stoa_mcp_stream_last(r, ctx, &kept->text);
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = kept->text.data;
    b->last = b->pos + kept->text.len;
    b->memory = 1;
    cl->buf = b;
    cl->next = NULL;

    return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_OK, cl);
}
