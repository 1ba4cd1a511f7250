/*
 * Header and body filters: the gateway's response headers, and its own bodies
 * in place of nginx's error pages.
 *
 * A page is replaced only when nginx made it (r->err_status) and nobody's
 * error_page is shown: an internal redirect takes the context from r->ctx, so
 * what is served there is left alone.  What an upstream sends is its own.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_repeat.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy_answer.h"


static ngx_int_t ngx_http_stoa_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_stoa_filter_policies(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_filter_pass(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_filter_no_http(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_filter_long(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_filter_made_here(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_filter_replace(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_filter_edge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_filter_explain(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_filter_status(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_filter_api(ngx_http_request_t *r,
    ngx_http_stoa_api_t *api);
static void ngx_http_stoa_filter_clear(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_filter_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_stoa_filter_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status);
static ngx_uint_t ngx_http_stoa_filter_over(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in);


static ngx_http_output_header_filter_pt  ngx_http_stoa_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_stoa_next_body_filter;


ngx_int_t
ngx_http_stoa_filter_init(ngx_conf_t *cf)
{
    ngx_http_stoa_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_stoa_header_filter;

    ngx_http_stoa_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_stoa_body_filter;

    return NGX_OK;
}


/* An inner request has no client, and that of one that is made to its end may
 * have gone: what comes is taken at once. */

ngx_int_t
ngx_http_stoa_filter_next_head(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (ctx == NULL || (ctx->inner == NULL && !ctx->call.unheard)) {
        return ngx_http_stoa_next_header_filter(r);
    }

    r->header_sent = 1;

    if (ctx->inner) {
        ctx->inner->sink->head(r, ctx->inner->data);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_filter_next_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t            *b;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (ctx == NULL || (ctx->inner == NULL && !ctx->call.unheard)) {
        return ngx_http_stoa_next_body_filter(r, in);
    }

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (ctx->inner && ngx_buf_in_memory(b) && b->pos < b->last) {
            r->connection->sent += b->last - b->pos;
            ctx->inner->sink->body(ctx->inner->data, b->pos,
                                   b->last - b->pos);
        }

        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_header_filter(ngx_http_request_t *r)
{
    ngx_table_elt_t           *h;
    ngx_http_stoa_ctx_t       *ctx;
    ngx_http_stoa_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

    if (slcf->mode == NGX_HTTP_STOA_OFF && !slcf->speaks) {
        return ngx_http_stoa_next_header_filter(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (r != r->main) {
        return ngx_http_stoa_next_header_filter(r);
    }

    r->method = ctx && ctx->own_method ? ctx->own_method : r->method;

    if (ctx && ctx->call.opened) {
        return ngx_http_stoa_filter_pass(r, ctx);
    }

    if (!ngx_http_stoa_cache_instead(r, ctx)
        && ngx_http_stoa_filter_made_here(r))
    {
        /* before PREACCESS, or nginx has forgotten it for an error */

        if (ctx == NULL) {
            ctx = ngx_http_stoa_ctx_create(r);
        }

        if (ctx == NULL || ngx_http_stoa_filter_replace(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ctx == NULL) {
        return ngx_http_stoa_next_header_filter(r);
    }

    if (ngx_http_stoa_filter_no_http(r, ctx)) {
        r->keepalive = 0;
        return ngx_http_filter_finalize_request(r, &ngx_http_stoa_module,
                                                NGX_HTTP_BAD_GATEWAY);
    }

    ngx_http_stoa_peer_restore(r, ctx);

    ngx_http_stoa_scrub_response(r);
    ngx_http_stoa_filter_clear(r, ctx);

    h = ngx_http_stoa_cache_head(r, ctx) == NGX_OK
        && ngx_http_stoa_repeat_head(r, ctx) == NGX_OK
        ? ngx_http_stoa_header_add(r, "X-Request-Id") : NULL;
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->value = ctx->request_id;

    if ((ctx->call.limited || ctx->call.policies.len)
        && ngx_http_stoa_limit_headers(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_filter_policies(r, ctx);
}


static ngx_int_t
ngx_http_stoa_filter_policies(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->call.api && ctx->call.passed
        && ctx->call.api->rec->state == STOA_STATE_DEPRECATED
        && ngx_http_stoa_filter_api(r, ctx->call.api) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_policy_response(r, ctx);

    if (rc >= NGX_HTTP_BAD_REQUEST) {
        ctx->call.answer = NULL;             /* nobody looks into another    */
        r->keepalive = 0;                    /* nginx will close it          */
        return ngx_http_filter_finalize_request(r, &ngx_http_stoa_module, rc);
    }

    if (rc != NGX_OK
        || (ctx->call.group_new && ngx_http_stoa_split_answer(r, ctx))
        || ngx_http_stoa_watch(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ctx->call.answer && ngx_http_stoa_policy_answer_kept(r, ctx)
           ? NGX_OK : ngx_http_stoa_filter_pass(r, ctx);
}


/* The head is complete; the edge of the call may keep it. */

static ngx_int_t
ngx_http_stoa_filter_pass(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                    rc;
    const ngx_http_stoa_edge_t  *edge;

    if (ctx->call.opened) {
        r->header_sent = 1;

    } else if (ctx->call.replace) {
        ngx_http_stoa_filter_status(r, ctx);
    }

    if (!ctx->call.passed) {
        return ngx_http_stoa_filter_next_head(r);
    }

    edge = ctx->call.edge;
    rc = edge->head ? edge->head(r, ctx) : NGX_OK;

    if (rc == NGX_OK) {
        return ngx_http_stoa_filter_next_head(r);
    }

    return rc == NGX_DONE ? NGX_OK : NGX_ERROR;
}


/* Some edges tell a refusal in an answer; err_status is what is logged. */

static void
ngx_http_stoa_filter_status(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    const ngx_http_stoa_edge_t  *edge;

    edge = ctx->call.edge;

    if (edge && edge->answers
        && edge->answers(r, ctx,
                         &ngx_http_stoa_refusals[ctx->call.refused - 1]))
    {
        r->err_status = r->headers_out.status;
        r->headers_out.status = NGX_HTTP_OK;
        ngx_str_null(&r->headers_out.status_line);
    }
}


/*
 * With stoa_protect the proxy is the location's own: what was no HTTP, or not
 * the final answer, comes here as nginx took it (ngx_http_stoa_answer.c).
 */

static ngx_uint_t
ngx_http_stoa_filter_no_http(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char      *p;
    ngx_uint_t   status;

    if (ctx->mode != NGX_HTTP_STOA_PROTECT || r->upstream == NULL
        || r->internal || r->err_status || r->filter_finalize)
    {
        return 0;
    }

    status = r->upstream->headers_in.status_n;

    if ((status >= 200 && status <= 599)
        || (status == NGX_HTTP_SWITCHING_PROTOCOLS && ctx->call.websocket))
    {
        return ngx_http_stoa_filter_long(r, ctx);
    }

    if (r->http_version == NGX_HTTP_VERSION_9
        && r->http_protocol.len == sizeof("HTTP/1.1") - 1)
    {
        /* that is how the proxy says it; the client speaks another one */

        p = r->http_protocol.data;
        r->http_version = (p[5] - '0') * 1000 + (p[7] - '0');
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "stoa: the upstream's answer is no HTTP, or not its final "
                  "one: status %ui", status);

    return 1;
}


/* The same for what says itself that it is longer than a policy allows. */

static ngx_uint_t
ngx_http_stoa_filter_long(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    const char  *words;

    if (ctx->call.result == NULL || r->method == NGX_HTTP_HEAD
        || r->headers_out.status == NGX_HTTP_NOT_MODIFIED
        || r->headers_out.content_length_n <= 0)
    {
        return 0;
    }

    words = ngx_http_stoa_policy_result_over(r, ctx,
                                             r->headers_out.content_length_n);

    return words && ngx_http_stoa_policy_result_refuse(r, words);
}


/*
 * ngx_http_special_response_handler() sets err_status; a user's error page has
 * gone through an internal redirect, which marks the request.
 */

static ngx_uint_t
ngx_http_stoa_filter_made_here(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (ctx && ctx->call.unfit) {
        return 1;
    }

    if (r->err_status < NGX_HTTP_BAD_REQUEST) {
        return 0;
    }

    if (!r->internal) {
        return 1;
    }

    /* the page may be in the protected location itself */

    return ctx
           && !(r->error_page && ctx->call.passed
                && ctx->mode == NGX_HTTP_STOA_PROTECT);
}


static ngx_int_t
ngx_http_stoa_filter_replace(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_str_t     type, body;
    ngx_chain_t  *cl;

    /* nginx's own code for headers that are too large has become 400; it is
     * the only one that goes on reading */

    if (r->headers_out.status == NGX_HTTP_BAD_REQUEST && r->lingering_close
        && r->phase_handler == 0)
    {
        r->err_status = 431;
        r->headers_out.status = 431;
        ngx_str_set(&r->headers_out.status_line,
                    "431 Request Header Fields Too Large");
    }

    /* it was told while nginx looked for a peer, which has one status */

    if (r->headers_out.status == NGX_HTTP_BAD_GATEWAY
        && ctx->call.refused == NGX_HTTP_STOA_REFUSE_UPSTREAM_OPEN + 1)
    {
        r->err_status = NGX_HTTP_SERVICE_UNAVAILABLE;
        r->headers_out.status = NGX_HTTP_SERVICE_UNAVAILABLE;
        ngx_str_null(&r->headers_out.status_line);
    }

    if (ngx_http_stoa_refusal_find(r, ctx, r->headers_out.status) != NGX_OK) {
        return NGX_OK;
    }

    ngx_http_stoa_filter_edge(r, ctx);

    if (ngx_http_stoa_refusal_page(r, ctx, r->headers_out.status, &type,
                                   &body)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = body.len != 0;
    b->last_buf = 1;
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;

    ctx->call.page = cl;
    ctx->call.replace = 1;

    r->headers_out.content_type = type;
    r->headers_out.content_type_len = type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = body.len;

    if (r->headers_out.content_length) {
        r->headers_out.content_length->hash = 0;
        r->headers_out.content_length = NULL;
    }

    return ngx_http_stoa_filter_explain(r, ctx);
}


/* Before the pipeline has run, and yet its clients read one form only. */

static void
ngx_http_stoa_filter_edge(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t                  i, mode;
    ngx_http_stoa_main_conf_t  *mcf;

    if (ctx->call.edge || ctx->mode == NGX_HTTP_STOA_PROTECT) {
        return;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    mode = ctx->mode;
    ctx->mode = NGX_HTTP_STOA_FULL;

    for (i = 0; mcf->edges[i]; i++) {
        if (mcf->edges[i]->error && mcf->edges[i]->match(r, ctx)) {
            ctx->call.edge = mcf->edges[i];
            break;
        }
    }

    ctx->mode = mode;
}


/* WWW-Authenticate, Allow, Retry-After. */

static ngx_int_t
ngx_http_stoa_filter_explain(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    if (r->headers_out.status == NGX_HTTP_UNAUTHORIZED
        || ctx->call.refused - 1 == NGX_HTTP_STOA_REFUSE_SCOPE)
    {
        return ngx_http_stoa_unauthorized(r, ctx);
    }

    if (r->headers_out.status == NGX_HTTP_NOT_ALLOWED && ctx->call.allow.len) {
        h = ngx_http_stoa_header_add(r, "Allow");
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->value = ctx->call.allow;
    }

    if (ctx->call.retry_after.len
        || r->headers_out.status == NGX_HTTP_SERVICE_UNAVAILABLE)
    {
        h = ngx_http_stoa_header_add(r, "Retry-After");
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_str_set(&h->value, "5");

        if (ctx->call.retry_after.len) {
            h->value = ctx->call.retry_after;
        }
    }

    return NGX_OK;
}


/* RFC 9745 and RFC 8594. */

static ngx_int_t
ngx_http_stoa_filter_api(ngx_http_request_t *r, ngx_http_stoa_api_t *api)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    if (api->rec->deprecated_ms > 0) {
        h = ngx_http_stoa_header_add(r, "Deprecation");
        p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 1);

        if (h == NULL || p == NULL) {
            return NGX_ERROR;
        }

        h->value.data = p;
        h->value.len = ngx_sprintf(p, "@%T",
                                   (time_t) (api->rec->deprecated_ms / 1000))
                       - p;
    }

    if (api->rec->sunset_ms <= 0) {
        return NGX_OK;
    }

    h = ngx_http_stoa_header_add(r, "Sunset");
    p = ngx_pnalloc(r->pool, sizeof("Mon, 28 Sep 1970 06:00:00 GMT"));

    if (h == NULL || p == NULL) {
        return NGX_ERROR;
    }

    h->value.data = p;
    h->value.len = ngx_http_time(p, (time_t) (api->rec->sunset_ms / 1000))
                   - p;

    return NGX_OK;
}


/* An upstream's headers that say what only the gateway can say here. */

static void
ngx_http_stoa_filter_clear(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_named(h, "x-request-id")
            || (ctx->call.limited
                && ngx_http_stoa_header_named(h, "ratelimit"))
            || (ctx->call.policies.len
                && ngx_http_stoa_header_named(h, "ratelimit-policy")))
        {
            h->hash = 0;
        }
    }
}


/* An answer whose head the client has, and that gets too long: it is cut, so
 * that nobody takes it for whole. */

static ngx_uint_t
ngx_http_stoa_filter_over(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_chain_t *in)
{
    const char  *words;

    if ((ctx->call.result == NULL && ctx->call.result_shadow == NULL)
        || !(r->upstream || ctx->call.from_cache) || !ctx->call.passed)
    {
        return 0;
    }

    for ( /* void */ ; in; in = in->next) {
        ctx->call.result_bytes += ngx_buf_size(in->buf);
    }

    words = ngx_http_stoa_policy_result_over(r, ctx, ctx->call.result_bytes);

    if (words) {
        (void) ngx_http_stoa_policy_result_refuse(r, words);
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "stoa: the answer is cut: %s", words);
    }

    return words != NULL;
}


/* What policies that want an answer's body leave of it. */

static ngx_int_t
ngx_http_stoa_filter_answer(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_uint_t    head;
    ngx_chain_t  *out;

    do {
        rc = ngx_http_stoa_policy_answer_body(r, ctx, in, &out, &head);

        if (rc >= NGX_HTTP_BAD_REQUEST) {
            return ngx_http_stoa_filter_refuse(r, ctx, rc);
        }

        if (rc != NGX_OK) {
            return rc == NGX_DONE ? NGX_OK : NGX_ERROR;
        }

        if (head) {
            rc = ngx_http_stoa_filter_pass(r, ctx);

            if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
                return rc;
            }
        }

        rc = ngx_http_stoa_filter_next_body(r, out);
        in = NULL;

        /* what is left there would wait for a socket that is not full */

    } while (ngx_http_stoa_policy_answer_sent(r, ctx, out)
             && (rc == NGX_OK || rc == NGX_AGAIN));

    return rc;
}


/* In place of an answer whose head was kept.  One that has not come to its end
 * ends here, and with it the connection. */

static ngx_int_t
ngx_http_stoa_filter_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_int_t   rc;
    ngx_uint_t  whole;

    if (r->header_sent) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "stoa: the answer is cut by a policy: %V",
                      &ctx->call.detail);
        return NGX_ERROR;
    }

    whole = !r->upstream || ngx_http_stoa_compat_over(r->upstream);
    ctx->call.answer = NULL;
    ctx->call.unfit = 1;
    r->keepalive = whole ? r->keepalive : 0;
    ngx_http_clean_header(r);
    r->headers_out.status = status;
    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    rc = ngx_http_stoa_body_filter(r, NULL);

    return whole ? rc : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t          *cl;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (ctx == NULL || r != r->main) {
        return ngx_http_stoa_next_body_filter(r, in);
    }

    in = ngx_http_stoa_cache_body(ctx, in);
    ngx_http_stoa_repeat_body(ctx, in);

    if (ctx->call.kept) {
        return ctx->call.edge->body(r, ctx, in);
    }

    if (!ctx->call.replace) {
        return ngx_http_stoa_filter_over(r, ctx, in)
               ? NGX_ERROR
               : ctx->call.answer ? ngx_http_stoa_filter_answer(r, ctx, in)
                                  : ngx_http_stoa_filter_next_body(r, in);
    }

    /* nginx's page is consumed, ours is sent once */

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    cl = ctx->call.page;
    ctx->call.page = NULL;

    return ngx_http_stoa_filter_next_body(r, cl);
}
