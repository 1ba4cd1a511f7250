/*
 * The edge of gRPC: calls of REST in all but their words.  A refusal is an
 * answer of trailers alone, what breaks off has trailers that say so, and what
 * an answer counts as is in its grpc-status.
 *
 * Calls of an api whose targets speak gRPC go through nginx's grpc module, and
 * nothing is kept of them: the messages of the client are measured as they
 * pass (core's stoa_grpc).
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_repeat.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_uri.h"
#include "core/stoa_grpc.h"


#define NGX_HTTP_STOA_GRPC_TYPE     "application/grpc"
#define NGX_HTTP_STOA_GRPC_UNKNOWN  2
#define NGX_HTTP_STOA_GRPC_CODE     (sizeof("bad_request: ") - 1)


typedef enum {
    NGX_HTTP_STOA_GRPC_STATUS = 0,
    NGX_HTTP_STOA_GRPC_MESSAGE,
    NGX_HTTP_STOA_GRPC_PUSHBACK
} ngx_http_stoa_grpc_header_e;


static ngx_uint_t ngx_http_stoa_grpc_match(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_grpc_step(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_grpc_repeat(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_grpc_cache(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_grpc_error(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_refusal_t *row,
    ngx_str_t *type, ngx_str_t *body);
static ngx_uint_t ngx_http_stoa_grpc_answers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_refusal_t *row);
static ngx_uint_t ngx_http_stoa_grpc_status(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status);
static void ngx_http_stoa_grpc_ended(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc);
static ngx_int_t ngx_http_stoa_grpc_say(ngx_http_request_t *r,
    ngx_list_t *to, ngx_uint_t status, const ngx_str_t *text);
static ngx_int_t ngx_http_stoa_grpc_number(ngx_http_request_t *r,
    ngx_list_t *to, ngx_http_stoa_grpc_header_e which, uint64_t n);
static ngx_int_t ngx_http_stoa_grpc_told(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_grpc_body(ngx_http_request_t *r,
    ngx_chain_t *in);


static const ngx_http_stoa_step_t  ngx_http_stoa_grpc_steps[] = {
    { "route",        ngx_http_stoa_looks(ngx_http_stoa_route) },
    { "conceal",      ngx_http_stoa_looks(ngx_http_stoa_conceal) },
    { "admit",        ngx_http_stoa_looks(ngx_http_stoa_policy_admit) },
    { "authenticate", ngx_http_stoa_looks(ngx_http_stoa_policy_authn) },
    { "operation",    ngx_http_stoa_looks(ngx_http_stoa_operation) },
    { "subscription", ngx_http_stoa_looks(ngx_http_stoa_policy_access) },
    { "grpc",         ngx_http_stoa_grpc_step, NULL },
    { "judge",        ngx_http_stoa_looks(ngx_http_stoa_policy_judge) },
    { "repeat",       ngx_http_stoa_grpc_repeat, NULL },
    { "cache",        ngx_http_stoa_grpc_cache, NULL },
    { "credential",   ngx_http_stoa_credential_step, NULL },
    { "forward",      ngx_http_stoa_rest_forward, NULL },
    { NULL,           NULL, NULL }
};


const ngx_http_stoa_edge_t  ngx_http_stoa_grpc_edge = {
    .name = ngx_string("grpc"),
    .steps = ngx_http_stoa_grpc_steps,
    .messages = 1,
    .match = ngx_http_stoa_grpc_match,
    .resource = ngx_http_stoa_rest_resource,
    .error = ngx_http_stoa_grpc_error,
    .answers = ngx_http_stoa_grpc_answers,
    .status = ngx_http_stoa_grpc_status,
    .uri = ngx_http_stoa_uri,
    .ended = ngx_http_stoa_grpc_ended
};


static ngx_http_request_body_filter_pt  ngx_http_stoa_grpc_next_body;

static const ngx_str_t  ngx_http_stoa_grpc_flag = ngx_string("bad_request: "
    "A message begins with a flag that gRPC does not have.");

static ngx_http_stoa_header_name_t  ngx_http_stoa_grpc_names[] = {
    { ngx_string("grpc-status"), ngx_string("grpc-status"), 0 },
    { ngx_string("grpc-message"), ngx_string("grpc-message"), 0 },
    { ngx_string("grpc-retry-pushback-ms"),
      ngx_string("grpc-retry-pushback-ms"), 0 }
};


void
ngx_http_stoa_grpc_init(void)
{
    ngx_http_stoa_grpc_next_body = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_stoa_grpc_body;
}


/* Without HTTP/2 there are no trailers: such a caller reads HTTP. */

static ngx_uint_t
ngx_http_stoa_grpc_match(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t      len;
    ngx_str_t  *type;

    if (r->headers_in.content_type == NULL
        || (r->http_version < NGX_HTTP_VERSION_20 && ctx->look == NULL)
        || r->method != NGX_HTTP_POST)
    {
        return 0;
    }

    type = &r->headers_in.content_type->value;
    len = sizeof(NGX_HTTP_STOA_GRPC_TYPE) - 1;

    return type->len >= len
           && ngx_strncasecmp(type->data, (u_char *) NGX_HTTP_STOA_GRPC_TYPE,
                              len)
              == 0
           && (type->len == len || type->data[len] == '+'
               || type->data[len] == ';' || type->data[len] == ' ');
}


/* Who calls an api of REST with this type evades none of its policies. */

static ngx_int_t
ngx_http_stoa_grpc_repeat(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ctx->call.api && ctx->call.api->grpc
           ? NGX_OK : ngx_http_stoa_repeat_step(r, ctx);
}


static ngx_int_t
ngx_http_stoa_grpc_cache(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ctx->call.api && ctx->call.api->grpc
           ? NGX_OK : ngx_http_stoa_cache_step(r, ctx);
}


/* All chains are known, nothing of the body is read. */

static ngx_int_t
ngx_http_stoa_grpc_step(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                         ms;
    ngx_table_elt_t                 *h;
    ngx_http_stoa_main_conf_t       *mcf;
    const ngx_http_stoa_attached_t  *a;

    if (ctx->call.api == NULL || !ctx->call.api->grpc) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ctx->mode == NGX_HTTP_STOA_FULL && mcf->grpc_handler == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "stoa: this nginx has no grpc module");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_WITHHELD, NULL);
    }

    a = ngx_http_stoa_policy_reads_answer(ctx);

    if (a) {
        return ngx_http_stoa_policy_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_GRPC_UNABLE);
    }

    (void) ngx_http_stoa_header_count(r, "grpc-timeout",
                                      sizeof("grpc-timeout") - 1, &h);

    if (h && stoa_grpc_timeout((char *) h->value.data, h->value.len, &ms)) {
        ctx->call.timeout_ms = (ngx_msec_t) ngx_min(ms, NGX_MAX_INT32_VALUE);
    }

    ctx->call.grpc = ngx_pcalloc(r->pool, sizeof(stoa_grpc_t));

    return ctx->call.grpc ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_grpc_number(ngx_http_request_t *r, ngx_list_t *to,
    ngx_http_stoa_grpc_header_e which, uint64_t n)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%uL", n) - value.data;

    return ngx_http_stoa_header_push(to, &ngx_http_stoa_grpc_names[which],
                                     &value);
}


static ngx_int_t
ngx_http_stoa_grpc_say(ngx_http_request_t *r, ngx_list_t *to,
    ngx_uint_t status, const ngx_str_t *text)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(r->pool, 3 * text->len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = stoa_grpc_message((char *) value.data, (char *) text->data,
                                  text->len);

    return ngx_http_stoa_grpc_number(r, to, NGX_HTTP_STOA_GRPC_STATUS,
                                     status) == NGX_OK
           ? ngx_http_stoa_header_push(to,
                    &ngx_http_stoa_grpc_names[NGX_HTTP_STOA_GRPC_MESSAGE],
                    &value)
           : NGX_ERROR;
}


/* "code: detail", and when to come again as gRPC's clients read it. */

static ngx_int_t
ngx_http_stoa_grpc_error(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_refusal_t *row, ngx_str_t *type, ngx_str_t *body)
{
    u_char           *p;
    ngx_int_t         seconds;
    uint64_t          ms;
    ngx_str_t         text;
    const ngx_str_t  *detail;

    ngx_str_set(type, NGX_HTTP_STOA_GRPC_TYPE);
    ngx_str_set(body, "");

    detail = ctx->call.detail.len ? &ctx->call.detail : &row->detail;

    text.data = ngx_pnalloc(r->pool, row->code.len + 2 + detail->len);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text.data, row->code.data, row->code.len);
    *p++ = ':'; *p++ = ' ';
    p = ngx_cpymem(p, detail->data, detail->len);
    text.len = p - text.data;

    if (ngx_http_stoa_grpc_say(r, &r->headers_out.headers,
                               stoa_grpc_of_http(row->status), &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    seconds = ngx_atoi(ctx->call.retry_after.data, ctx->call.retry_after.len);
    ms = seconds > 0 ? (uint64_t) seconds * 1000
         : row->status == NGX_HTTP_TOO_MANY_REQUESTS && ctx->call.limited
           ? ctx->call.rate.retry_ms : 0;

    return ms ? ngx_http_stoa_grpc_number(r, &r->headers_out.headers,
                                          NGX_HTTP_STOA_GRPC_PUSHBACK, ms)
              : NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_grpc_answers(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_refusal_t *row)
{
    return 1;
}


/* The upstream's word, in the trailers or, without a body, in the head.  What
 * is no number goes on, and says nothing that is known (2 UNKNOWN). */

static ngx_int_t
ngx_http_stoa_grpc_told(ngx_http_request_t *r)
{
    int                              told;
    ngx_uint_t                       i;
    ngx_list_part_t                 *part[2];
    ngx_table_elt_t                 *h;
    ngx_http_stoa_header_walk_t      w;
    ngx_http_upstream_headers_in_t  *in;

    in = &r->upstream->headers_in;
    part[0] = &in->trailers.part;
    part[1] = &in->headers.part;

    for (i = 0; i < 2; i++) {
        for (h = ngx_http_stoa_header_first(&w, part[i]);
             h;
             h = ngx_http_stoa_header_next(&w))
        {
            if (ngx_http_stoa_header_named(h, "grpc-status")) {
                told = stoa_grpc_status((char *) h->value.data, h->value.len);

                return told < 0 ? NGX_HTTP_STOA_GRPC_UNKNOWN : told;
            }
        }
    }

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_stoa_grpc_status(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_int_t  told;

    if (ctx->call.grpc == NULL || r->upstream == NULL || ctx->call.replace
        || status != NGX_HTTP_OK)
    {
        return status;
    }

    if (ctx->call.over) {
        return ctx->call.over;
    }

    told = ngx_http_stoa_grpc_told(r);

    return told == NGX_ERROR ? NGX_HTTP_BAD_GATEWAY
                             : stoa_grpc_to_http((unsigned) told);
}


/*
 * The answer's head is sent, and what follows is not all of it: trailers say
 * so, where nginx would end the stream by an error that tells the caller
 * nothing.  An answer that is whole may lack its status.
 */

static void
ngx_http_stoa_grpc_ended(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_int_t rc)
{
    ngx_str_t   text;
    ngx_uint_t  status;

    if (ctx->call.grpc == NULL || !r->upstream->header_sent
        || r->headers_out.status != NGX_HTTP_OK || rc == NGX_DECLINED
        || ngx_http_stoa_grpc_told(r) != NGX_ERROR)
    {
        return;
    }

    if (rc == NGX_HTTP_CLIENT_CLOSED_REQUEST || rc == NGX_DONE
        || r->connection->error)
    {
        ctx->call.over = ctx->call.over ? ctx->call.over
                                        : NGX_HTTP_CLIENT_CLOSED_REQUEST;
        return;
    }

    status = ctx->call.over;

    if (status == 0) {
        status = rc == NGX_HTTP_GATEWAY_TIME_OUT ? NGX_HTTP_GATEWAY_TIME_OUT
                                                 : NGX_HTTP_BAD_GATEWAY;
    }

    ctx->call.over = status;

    switch (status) {

    case NGX_HTTP_BAD_REQUEST:
        text = ngx_http_stoa_grpc_flag;
        break;

    case NGX_HTTP_FORBIDDEN:
        ngx_str_set(&text, "the call would be refused now");
        break;

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        ngx_str_set(&text, "body_too_large: a message is too long");
        break;

    case NGX_HTTP_GATEWAY_TIME_OUT:
        ngx_str_set(&text, "upstream_timeout: the time of the call is over");
        break;

    default:
        ngx_str_set(&text, "upstream_invalid: the answer broke off");
    }

    if (ngx_http_stoa_grpc_say(r, &r->headers_out.trailers,
                               stoa_grpc_of_http(status), &text)
        == NGX_OK
        && rc != NGX_OK)
    {
        (void) ngx_http_send_special(r, NGX_HTTP_LAST);
    }
}


/* What the client sends.  When the head of the answer is sent it is too late
 * for a refusal: nothing more goes on, and the call ends (_watch.c). */

static ngx_int_t
ngx_http_stoa_grpc_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    stoa_rc_t             rc;
    ngx_buf_t            *b;
    ngx_chain_t          *cl;
    ngx_str_t             flag;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (ctx == NULL || ctx->call.grpc == NULL) {
        return ngx_http_stoa_grpc_next_body(r, in);
    }

    rc = ctx->call.over ? STOA_FULL : STOA_OK;

    for (cl = in; cl; cl = cl->next) {
        b = cl->buf;

        if (rc == STOA_OK && ngx_buf_in_memory(b)) {
            rc = stoa_grpc_feed(ctx->call.grpc, (char *) b->pos,
                                b->last - b->pos, ctx->call.message_max);
        }
    }

    if (rc == STOA_OK) {
        return ngx_http_stoa_grpc_next_body(r, in);
    }

    if (!r->header_sent) {
        flag.data = ngx_http_stoa_grpc_flag.data + NGX_HTTP_STOA_GRPC_CODE;
        flag.len = ngx_http_stoa_grpc_flag.len - NGX_HTTP_STOA_GRPC_CODE;

        return rc == STOA_FULL
               ? ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
                                      NULL)
               : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                      &flag);
    }

    /* nor does the upstream see an end, at which it would answer as if all
     * had come */

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->last_buf = 0;
    }

    if (ctx->call.over == 0 && ctx->call.watch) {
        ctx->call.over = rc == STOA_FULL ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                                         : NGX_HTTP_BAD_REQUEST;
        ngx_add_timer(ctx->call.watch, 1);
    }

    return ngx_http_stoa_grpc_next_body(r, in);
}
