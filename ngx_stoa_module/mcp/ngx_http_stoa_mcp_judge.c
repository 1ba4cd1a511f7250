/*
 * What an upstream answered to a call: MCP, or nothing that reaches a client.
 *
 *   200, events, to be read as they are            passed on (_mcp_stream.c)
 *   200, JSON that answers this call               passed on; what is longer
 *                                                  than is held, unseen
 *   4xx, 5xx with an error of JSON-RPC for us      passed on, but 401, 403 and
 *                                                  407, which speak to a
 *                                                  client of HTTP
 *   what may say that the session is gone          that is found out, and the
 *                                                  call goes out once more, in
 *                                                  a new one
 *   the rest                                       an error of ours; of the
 *                                                  upstream's head nothing
 *                                                  but Retry-After
 *
 * _mcp_heal.c has the table.  The body that it needs is held back until it is
 * judged: process_header says NGX_AGAIN, so that nginx reads on into
 * u->buffer.
 *
 * Process: workers.  Lifetime: r->pool.  Limits: a body of
 * NGX_HTTP_STOA_MCP_HOLD_MAX bytes.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_glance.h"
#include "core/stoa_media.h"


#define NGX_HTTP_STOA_MCP_HOLD_MAX   65536


static void ngx_http_stoa_mcp_judge_status(ngx_http_upstream_t *u,
    ngx_http_stoa_mcp_t *mcp, const ngx_http_stoa_mcp_fault_t *fault);
static void ngx_http_stoa_mcp_judge_headers(ngx_http_request_t *r);
static ngx_uint_t ngx_http_stoa_mcp_judge_answers(ngx_http_stoa_mcp_t *mcp,
    const ngx_str_t *body);
static ngx_int_t ngx_http_stoa_mcp_judge_json(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_head_t *head,
    ngx_http_stoa_mcp_fault_t *fault);
static ngx_int_t ngx_http_stoa_mcp_judge_event(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_str_t *text);
static ngx_int_t ngx_http_stoa_mcp_judge_hold(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_str_t *text);
static ngx_int_t ngx_http_stoa_mcp_judge_dechunk(ngx_http_request_t *r,
    u_char *to, ngx_str_t *text);
static ngx_int_t ngx_http_stoa_mcp_judge_again(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_judge_unfit(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_head_t *head,
    ngx_http_stoa_mcp_fault_t *fault);


ngx_int_t
ngx_http_stoa_mcp_judge(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_str_t                   text;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_upstream_t        *u;
    ngx_http_stoa_mcp_head_t    head;
    ngx_http_stoa_mcp_fault_t   fault;

    u = r->upstream;
    mcp = ctx->call.mcp;
    ngx_str_null(&text);

    u->buffering = 0;            /* whatever X-Accel-Buffering says         */

    ngx_http_stoa_mcp_fault_read(r, &head);
    rc = ngx_http_stoa_mcp_fault_head(&head, &fault);

    if (rc == NGX_OK
        && (mcp->upstream_session.len == 0
            || !ngx_http_stoa_mcp_heal_suspect(u->buffer.pos,
                                        u->buffer.last - u->buffer.pos)))
    {
        return ngx_http_stoa_mcp_judge_json(r, ctx, &head, &fault);
    }

    if (rc != NGX_OK && head.status == NGX_HTTP_OK) {
        return ngx_http_stoa_mcp_judge_unfit(r, ctx, &head, &fault);
    }

    if (rc == NGX_OK && stoa_media_is((char *) head.type.data, head.type.len,
                                      "text/event-stream"))
    {
        rc = ngx_http_stoa_mcp_judge_event(r, mcp, &text);

    } else if (rc == NGX_OK || fault.words
               || (mcp->upstream_session.len && head.status <= 410
                   && head.status >= NGX_HTTP_BAD_REQUEST))
    {
        rc = ngx_http_stoa_mcp_judge_hold(r, mcp, &text);
    }

    if (rc == NGX_AGAIN || rc == NGX_ERROR) {
        return rc;
    }

    if (text.len && (fault.words || head.status == NGX_HTTP_OK)) {
        ngx_http_stoa_mcp_fault_body(&fault, &text, &mcp->msg.id);
    }

    switch (ngx_http_stoa_mcp_heal(mcp, &head, &fault, &text)) {

    case NGX_HTTP_STOA_MCP_HEAL_PASS:
        ngx_http_stoa_mcp_judge_headers(r);
        ngx_http_stoa_mcp_judge_status(u, mcp, &fault);
        return NGX_OK;

    case NGX_HTTP_STOA_MCP_HEAL_FORGET:
        ngx_http_stoa_mcp_upstream_drop(mcp->upstream_key,
                                        mcp->upstream_session.data,
                                        mcp->upstream_session.len);
        mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_NONE;
        mcp->retried = 1;
        return ngx_http_stoa_mcp_judge_again(r, ctx);

    case NGX_HTTP_STOA_MCP_HEAL_PROBE:
        if (ngx_http_stoa_mcp_probe_later(r, mcp, &fault, &text) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_stoa_mcp_judge_again(r, ctx);

    default:
        return ngx_http_stoa_mcp_judge_unfit(r, ctx, &head, &fault);
    }
}


/* Clients of MCP read the body of a 200, and of what the era says otherwise:
 * legacy ones take a 404 for the end of their own session. */

static void
ngx_http_stoa_mcp_judge_status(ngx_http_upstream_t *u,
    ngx_http_stoa_mcp_t *mcp, const ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_uint_t  status;

    status = NGX_HTTP_OK;

    if (mcp->modern && fault->has_code) {

        if (fault->code == -32601) {
            status = NGX_HTTP_NOT_FOUND;

        } else if (fault->code <= -32020 && fault->code >= -32022) {
            status = NGX_HTTP_BAD_REQUEST;
        }
    }

    u->headers_in.status_n = status;
    ngx_str_null(&u->headers_in.status_line);
}


ngx_uint_t
ngx_http_stoa_mcp_judge_fits(ngx_http_request_t *r, const ngx_str_t *body)
{
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_head_t    head;
    ngx_http_stoa_mcp_fault_t   fault;

    mcp = ngx_http_stoa_ctx(r)->call.mcp;
    ngx_http_stoa_mcp_fault_read(r, &head);

    if (ngx_http_stoa_mcp_stream_gathers(mcp)
        || head.status != NGX_HTTP_OK
        || ngx_http_stoa_mcp_fault_head(&head, &fault) != NGX_OK
        || (mcp->upstream_session.len
            && ngx_http_stoa_mcp_heal_suspect(body->data, body->len))
        || !ngx_http_stoa_mcp_judge_answers(mcp, body))
    {
        return 0;
    }

    ngx_http_stoa_mcp_judge_headers(r);

    return 1;
}


/*
 * What an answer of MCP needs of its head.  The rest speaks to clients of
 * HTTP: where to go, how to log in, what to keep.  nginx copies what is in
 * the list, so that it is made shorter; its first part has room for 8.
 */

static void
ngx_http_stoa_mcp_judge_headers(ngx_http_request_t *r)
{
    ngx_uint_t                    n;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *h, *kept;
    ngx_http_stoa_header_walk_t   w;

    part = &r->upstream->headers_in.headers.part;
    kept = part->elts;
    n = 0;

    for (h = ngx_http_stoa_header_first(&w, part);
         h && n < 8;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash
            && (ngx_http_stoa_header_is(h, "content-type")
                || ngx_http_stoa_header_is(h, "content-length")
                || ngx_http_stoa_header_is(h, "cache-control")
                || ngx_http_stoa_header_is(h, "retry-after")))
        {
            kept[n++] = *h;
        }
    }

    part->nelts = n;
    part->next = NULL;
}


/* ---- the body ---------------------------------------------------------- */

/* Is that, as a whole, an answer to the call?  All else is its client's to
 * judge, as in an event. */

static ngx_uint_t
ngx_http_stoa_mcp_judge_answers(ngx_http_stoa_mcp_t *mcp,
    const ngx_str_t *body)
{
    stoa_glance_t  g;

    return stoa_glance((char *) body->data, body->len, &g) == STOA_OK
           && g.kind == STOA_GLANCE_ANSWER
           && stoa_glance_same(&g.id, &mcp->msg.id);
}


/* A 200: JSON is the answer, or not for us to see, or an error of ours is put
 * in its place. */

static ngx_int_t
ngx_http_stoa_mcp_judge_json(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_mcp_head_t *head, ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_str_t             text;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    b = &r->upstream->buffer;

    if (ctx->call.opened || ngx_http_stoa_mcp_stream_gathers(mcp)
        || !stoa_media_is((char *) head->type.data, head->type.len,
                          "application/json"))
    {
        ngx_http_stoa_mcp_judge_headers(r);
        return NGX_OK;                           /* it is gathered          */
    }

    if (r->upstream->headers_in.chunked && b->last < b->end
        && (b->last - b->pos < 4
            || ngx_memcmp(b->last - 4, CRLF CRLF, 4) != 0))
    {
        return NGX_AGAIN;                        /* that is not its end     */
    }

    rc = ngx_http_stoa_mcp_judge_hold(r, mcp, &text);

    if (rc == NGX_AGAIN || rc == NGX_ERROR) {
        return rc;
    }

    if (rc == NGX_DECLINED || ngx_http_stoa_mcp_judge_answers(mcp, &text)) {
        ngx_http_stoa_mcp_judge_headers(r);
        return NGX_OK;
    }

    fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
    ngx_http_stoa_mcp_fault_say(fault, "JSON that is no answer to the call");
    ngx_http_stoa_mcp_fault_body(fault, &text, &mcp->msg.id);

    return ngx_http_stoa_mcp_judge_unfit(r, ctx, head, fault);
}


/* NGX_OK: it is there as a whole; NGX_AGAIN; NGX_DECLINED: too long, or nobody
 * says where it ends, so that what has come may do. */

static ngx_int_t
ngx_http_stoa_mcp_judge_hold(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    ngx_str_t *text)
{
    off_t                 n;
    u_char               *p;
    size_t                have, need;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    n = u->headers_in.content_length_n;

    if (u->headers_in.chunked) {
        need = u->buffer.end - u->buffer.pos;

        if (u->buffer.last == u->buffer.end) {
            need = ngx_max(need, ngx_min(2 * need,
                                         NGX_HTTP_STOA_MCP_HOLD_MAX));
        }

    } else if (n < 0 || n > NGX_HTTP_STOA_MCP_HOLD_MAX) {
        text->data = u->buffer.pos;
        text->len = u->buffer.last - u->buffer.pos;
        return NGX_DECLINED;

    } else {
        need = (size_t) n + 1;           /* never full, for nginx           */
    }

    have = u->buffer.last - u->buffer.pos;

    if ((size_t) (u->buffer.end - u->buffer.pos) < need) {
        p = ngx_palloc(r->pool, need);
        if (p == NULL) {
            return NGX_ERROR;
        }

        have = ngx_min(have, need);
        u->buffer.start = p;
        u->buffer.last = ngx_cpymem(p, u->buffer.pos, have);
        u->buffer.pos = p;
        u->buffer.end = p + need;
    }

    if (u->headers_in.chunked) {

        if (mcp->held_size < (size_t) (u->buffer.end - u->buffer.pos)) {
            mcp->held_size = u->buffer.end - u->buffer.pos;
            mcp->held = ngx_palloc(r->pool, mcp->held_size);
            if (mcp->held == NULL) {
                return NGX_ERROR;
            }
        }

        return ngx_http_stoa_mcp_judge_dechunk(r, mcp->held, text);
    }

    text->data = u->buffer.pos;
    text->len = ngx_min(have, (size_t) n);

    return have < (size_t) n ? NGX_AGAIN : NGX_OK;
}


/* Of a stream, the data of the first event, if it has come. */

static ngx_int_t
ngx_http_stoa_mcp_judge_event(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    ngx_str_t *text)
{
    u_char  *p, *last;

    if (ngx_http_stoa_mcp_judge_hold(r, mcp, text) == NGX_ERROR) {
        return NGX_ERROR;
    }

    last = text->data + text->len;
    p = text->len > 5 ? ngx_strnstr(text->data, "data:", text->len) : NULL;
    text->len = 0;

    if (p && ngx_strlchr(p, last, LF)) {
        text->data = p + 5;
        text->len = ngx_strlchr(p, last, LF) - text->data;
    }

    return NGX_OK;
}


/* From the beginning each time; nginx decodes it once more when it is passed
 * on. */

static ngx_int_t
ngx_http_stoa_mcp_judge_dechunk(ngx_http_request_t *r, u_char *to,
    ngx_str_t *text)
{
    size_t               n;
    u_char              *p;
    ngx_buf_t            b;
    ngx_int_t            rc;
    ngx_http_chunked_t   chunked;

    b = r->upstream->buffer;
    p = to;

    ngx_memzero(&chunked, sizeof(ngx_http_chunked_t));

    while ((rc = ngx_http_stoa_parse_chunked(r, &b, &chunked)) == NGX_OK) {
        n = ngx_min((size_t) chunked.size, (size_t) (b.last - b.pos));
        p = ngx_cpymem(p, b.pos, n);
        b.pos += n;
        chunked.size -= n;
    }

    text->data = to;
    text->len = p - to;

    switch (rc) {

    case NGX_DONE:
        return NGX_OK;

    case NGX_AGAIN:
        return b.last == b.end ? NGX_DECLINED : NGX_AGAIN;

    default:
        return NGX_DECLINED;
    }
}


/* ---- once more --------------------------------------------------------- */

/* An internal redirect before a byte was sent: nginx ends this upstream, and
 * the pipeline runs again from `connect`. */

static ngx_int_t
ngx_http_stoa_mcp_judge_again(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (ngx_http_stoa_compat_again(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->call.mcp->again = 1;
    ctx->call.step = ctx->call.mcp->connect_step;
    ctx->call.passed = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_judge_login(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_stoa_mcp_judge_again(r, ctx);
    ctx->call.step = ctx->call.credential_step;

    return rc;
}


/* ---- what does not reach a client -------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_judge_unfit(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_mcp_head_t *head, ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "an MCP upstream gave no answer of MCP: status %ui, "
                  "%*s%s%V", head->status, fault->len, fault->text,
                  head->location.len ? ", to " : "", &head->location);

    if (ngx_http_stoa_mcp_fault_refuse(r, ctx, fault, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the filters put our error in the place of the answer */

    ctx->call.unfit = 1;
    r->upstream->headers_in.status_n =
                          ngx_http_stoa_refusals[ctx->call.refused - 1].status;
    ngx_http_stoa_compat_end(r->upstream);

    return NGX_OK;
}
