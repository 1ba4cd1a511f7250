
/*
 * The refusals: one table for status, code, text and JSON-RPC error, and the
 * bodies made from it.
 *
 * Process: workers.  Lifetime: bodies in r->pool.
 */

#include "ngx_http_stoa_edge.h"


/* A status that nginx made itself, and the row that explains it. */

typedef struct {
    ngx_uint_t               status;
    ngx_http_stoa_refuse_e   what;
    ngx_uint_t               protect;      /* also before somebody's own
                                              content                      */
} ngx_http_stoa_refusal_status_t;


static ngx_http_stoa_refuse_e ngx_http_stoa_refusal_upstream(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_refusal_problem(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_refusal_t *row,
    ngx_uint_t status, ngx_str_t *body);
static void ngx_http_stoa_refusal_escape(u_char **last, ngx_str_t *text);


#define ngx_http_stoa_refusal(code, status, title, detail, jsonrpc)           \
    { ngx_string(code), status, ngx_string(title), ngx_string(detail),        \
      jsonrpc }


/*
 * In the order of ngx_http_stoa_refuse_e.  JSON-RPC: what has no code of its
 * own there gets the HTTP status, outside the ranges that JSON-RPC and MCP
 * reserve.  On MCP such a refusal is an answer to the message, with 200, as
 * clients end at another status; but for 401, which makes them log in.  What
 * they have to see as 403 has a code of MCP.
 */

ngx_http_stoa_refusal_t  ngx_http_stoa_refusals[NGX_HTTP_STOA_REFUSALS] = {

    ngx_http_stoa_refusal("no_route", 404, "Not found",
        "There is nothing at this address.", 404),

    ngx_http_stoa_refusal("method_not_allowed", 405, "Method not allowed",
        "This address does not take this method; see Allow.", -32600),

    ngx_http_stoa_refusal("ip_denied", 403, "Address not allowed",
        "The API does not accept calls from this network address.", 403),

    ngx_http_stoa_refusal("body_too_large", 413, "Request too large",
        "The request's body is larger than the API accepts.", -32600),

    ngx_http_stoa_refusal("key_missing", 401, "Credential missing",
        "Send an API key as \"Authorization: Bearer\" or \"X-API-Key\".",
        401),

    ngx_http_stoa_refusal("key_invalid", 401, "Credential not valid",
        "The API key is malformed, unknown or revoked.", 401),

    ngx_http_stoa_refusal("key_expired", 401, "Credential expired",
        "The API key is past its time.", 401),

    ngx_http_stoa_refusal("application_suspended", 403,
        "Application suspended",
        "The application that this API key belongs to is suspended.",
        403),

    ngx_http_stoa_refusal("owner_disabled", 403, "Owner disabled",
        "Whom the application stands for is disabled, gone or no longer in "
        "its group at the provider of identities.", 403),

    ngx_http_stoa_refusal("tenant_suspended", 403, "Tenant suspended",
        "The tenant is suspended.", 403),

    ngx_http_stoa_refusal("not_subscribed", 403, "Not subscribed",
        "The application has no subscription to this API.", 403),

    ngx_http_stoa_refusal("subscription_pending", 403,
        "Subscription pending",
        "The subscription waits for its approval.", 403),

    ngx_http_stoa_refusal("subscription_suspended", 403,
        "Subscription suspended",
        "The subscription is suspended.", 403),

    ngx_http_stoa_refusal("subscription_revoked", 403,
        "Subscription revoked",
        "The subscription was revoked.", 403),

    ngx_http_stoa_refusal("subscription_expired", 403,
        "Subscription expired",
        "The subscription is past its time.", 403),

    ngx_http_stoa_refusal("rate_exceeded", 429, "Too many requests",
        "The plan's rate is used up; see Retry-After.", 429),

    ngx_http_stoa_refusal("quota_exceeded", 429, "Quota used up",
        "The plan's quota is used up; see Retry-After.", 429),

    ngx_http_stoa_refusal("concurrency_exceeded", 429,
        "Too many requests at once",
        "The plan allows no more requests at the same time.", 429),

    ngx_http_stoa_refusal("limits_unavailable", 503, "Limits unavailable",
        "The gateway cannot count this request now.", 503),

    ngx_http_stoa_refusal("not_ready", 503, "Not ready",
        "The gateway has no configuration that it may use yet.", 503),

    ngx_http_stoa_refusal("upstream_unreachable", 502,
        "Upstream unreachable",
        "The API's server could not be reached.", 502),

    ngx_http_stoa_refusal("upstream_timeout", 504, "Upstream timed out",
        "The API's server did not answer in time.", 504),

    ngx_http_stoa_refusal("upstream_invalid", 502, "Upstream answer invalid",
        "The API's server gave no valid answer.", 502),

    ngx_http_stoa_refusal("bad_request", 400, "Bad request",
        "The request could not be understood.", -32600),

    ngx_http_stoa_refusal("internal", 500, "Internal error",
        "The gateway failed; its operator finds the request id in the log.",
        500),

    ngx_http_stoa_refusal("mcp_parse", 400, "Not JSON",
        "Parse error", -32700),

    ngx_http_stoa_refusal("mcp_invalid", 400, "Not a JSON-RPC message",
        "Invalid request", -32600),

    ngx_http_stoa_refusal("mcp_header", 400, "Headers and body differ",
        "Header mismatch", -32020),

    ngx_http_stoa_refusal("mcp_version", 400, "Protocol version unsupported",
        "Unsupported protocol version", -32022),

    ngx_http_stoa_refusal("mcp_params", 400, "Invalid parameters",
        "Invalid params", -32602),

    ngx_http_stoa_refusal("mcp_method", 404, "Unknown method",
        "Method not found", -32601),

    ngx_http_stoa_refusal("mcp_method_legacy", 200, "Unknown method",
        "Method not found", -32601),

    ngx_http_stoa_refusal("mcp_tool", 200, "Unknown tool",
        "Unknown tool", -32602),

    ngx_http_stoa_refusal("mcp_prompt", 200, "Unknown prompt",
        "Unknown prompt", -32602),

    ngx_http_stoa_refusal("mcp_cursor", 200, "Invalid cursor",
        "Invalid cursor", -32602),

    ngx_http_stoa_refusal("mcp_resource", 200, "Unknown resource",
        "Resource not found", -32602),

    ngx_http_stoa_refusal("mcp_resource_legacy", 200, "Unknown resource",
        "Resource not found", -32002),

    ngx_http_stoa_refusal("mcp_session", 404, "Session not found",
        "Session not found", -32001),

    ngx_http_stoa_refusal("mcp_no_session", 400, "Session missing",
        "Mcp-Session-Id header is required", -32600),

    ngx_http_stoa_refusal("mcp_accept", 406, "Not acceptable",
        "Accept has neither application/json nor text/event-stream", -32600),

    ngx_http_stoa_refusal("mcp_content_type", 415, "Unsupported media type",
        "The body must be application/json in UTF-8, not encoded", -32600),

    ngx_http_stoa_refusal("mcp_origin", 403, "Origin not allowed",
        "Origin not allowed", -32600),

    ngx_http_stoa_refusal("mcp_unknown_request", 400, "Answer to nothing",
        "The answer is to no request of this session", -32600),

    ngx_http_stoa_refusal("mcp_flood", 429, "Too many answers to nothing",
        "Too many answers to no request of this session", -32600),

    ngx_http_stoa_refusal("withheld", 503, "Configuration not understood",
        "The gateway does not understand a part of the configuration that "
        "the call needs, and serves nothing by it; its status says which.",
        503),

    ngx_http_stoa_refusal("upgrade_refused", 501, "Upgrade not supported",
        "A call can only be upgraded to \"websocket\", by GET and with "
        "\"Connection: Upgrade\".", -32600),

    ngx_http_stoa_refusal("upstream_limited", 429, "Upstream limits calls",
        "The API's server takes no more calls now.", 429),

    ngx_http_stoa_refusal("upstream_busy", 503, "Upstream busy",
        "The API's server takes no calls now.", 503),

    ngx_http_stoa_refusal("upstream_credential", 502,
        "Upstream credential refused",
        "The API's server does not take the gateway's credential.", 502),

    ngx_http_stoa_refusal("upstream_redirect", 502, "Upstream redirects",
        "The API's server redirects, which is not followed.", 502),

    ngx_http_stoa_refusal("uri_too_long", 414, "Request line too long",
        "The request line has more than %uz bytes.", -32600),

    ngx_http_stoa_refusal("headers_too_large", 431,
        "Request headers too large",
        "A header has more than %uz bytes, or all of them together %uz.",
        -32600),

    ngx_http_stoa_refusal("mcp_arguments", 200, "Invalid parameters",
        "Invalid params", -32602),

    ngx_http_stoa_refusal("token_invalid", 401, "Token not valid",
        "The bearer token is malformed, or nobody vouches for it here.", 401),

    ngx_http_stoa_refusal("token_expired", 401, "Token expired",
        "The bearer token is past its time.", 401),

    ngx_http_stoa_refusal("issuer_unavailable", 503, "Issuer unavailable",
        "The token's issuer was asked and gave no answer.", 503),

    ngx_http_stoa_refusal("insufficient_scope", 403, "Scope missing",
        "The bearer token lacks a scope for this; see WWW-Authenticate.",
        403),

    ngx_http_stoa_refusal("role_required", 403, "Role missing",
        "This takes a bearer token with a role that the caller lacks.", 403),

    ngx_http_stoa_refusal("mcp_not_told", 503, "Answer not passed on",
        "The answer was not passed on to the server that has asked.", 503),

    ngx_http_stoa_refusal("cost_exceeded", 403, "Costs too much",
        "The call costs more than the plan ever has.", 403),

    ngx_http_stoa_refusal("not_cached", 504, "Not in the cache",
        "The request asks for an answer that is kept, and there is none.",
        504),

    ngx_http_stoa_refusal("result_too_large", 502, "Answer too long",
        "The answer of the API's server is longer than may be passed on.",
        502),

    ngx_http_stoa_refusal("mcp_streams", 429, "Too many streams",
        "The application holds as many streams at this gateway as it may.",
        429),

    ngx_http_stoa_refusal("mcp_sessions", 429, "Too many sessions",
        "As many sessions are in use at the API's server as may be.", 429),
    ngx_http_stoa_refusal("mcp_state", 400, "State not valid",
        "The requestState is none of this call: it was altered, made for "
        "another one, used already, or is too old", -32602),

    ngx_http_stoa_refusal("call_lost", 502, "Call lost",
        "What became of the call is not known: the process that had it is "
        "gone.", 502),

    ngx_http_stoa_refusal("mcp_elsewhere", 503, "Call waits elsewhere",
        "What this is for is at another gateway of the group, which cannot be "
        "asked.", 503),

    ngx_http_stoa_refusal("upstream_open", 503, "API set aside",
        "No server of the API is called at present: they have failed; see "
        "Retry-After.", 503),

    ngx_http_stoa_refusal("authz_unable", 503, "Cannot be judged here",
        "A policy of the call cannot be kept where another proxy forwards "
        "it.", 503),

    ngx_http_stoa_refusal("proof_invalid", 401, "Proof not valid",
        "The proof in DPoP is not one of this call and of the token's key.",
        401),

    ngx_http_stoa_refusal("grpc_only", 415, "Not a call of gRPC",
        "The API speaks gRPC: POST over HTTP/2 with the Content-Type "
        "\"application/grpc\".", 415),

    ngx_http_stoa_refusal("grpc_unable", 501, "Cannot be judged in gRPC",
        "A policy of the call judges bodies, and cannot read those of gRPC.",
        501),
};

ngx_uint_t  ngx_http_stoa_refusals_n = NGX_HTTP_STOA_REFUSE_MAX;


static const ngx_http_stoa_refusal_status_t  ngx_http_stoa_refusal_made[] = {
    { 400, NGX_HTTP_STOA_REFUSE_BAD_REQUEST, 1 },
    { 404, NGX_HTTP_STOA_REFUSE_NO_ROUTE, 0 },
    { 405, NGX_HTTP_STOA_REFUSE_METHOD, 0 },
    { 408, NGX_HTTP_STOA_REFUSE_BAD_REQUEST, 1 },
    { 411, NGX_HTTP_STOA_REFUSE_BAD_REQUEST, 1 },
    { 413, NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE, 1 },
    { 414, NGX_HTTP_STOA_REFUSE_URI_TOO_LONG, 1 },
    { 431, NGX_HTTP_STOA_REFUSE_HEADERS_TOO_LARGE, 1 },
    { 500, NGX_HTTP_STOA_REFUSE_INTERNAL, 1 },
    { 501, NGX_HTTP_STOA_REFUSE_BAD_REQUEST, 1 },
    { 502, NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE, 1 },
    { 503, NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE, 0 },
    { 504, NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT, 1 },
    { 505, NGX_HTTP_STOA_REFUSE_BAD_REQUEST, 1 },
    { 507, NGX_HTTP_STOA_REFUSE_INTERNAL, 1 },
    { 0, NGX_HTTP_STOA_REFUSE_MAX, 0 }
};


/* As in RateLimit-Policy. */

const ngx_str_t  ngx_http_stoa_limit_names[] = {
    ngx_string("rate"), ngx_string("day"), ngx_string("month"),
    ngx_string("concurrency")
};


void
ngx_http_stoa_refusal_begin(void)
{
    ngx_http_stoa_refusals_n = NGX_HTTP_STOA_REFUSE_MAX;
}


ngx_int_t
ngx_http_stoa_refusal_add(const ngx_http_stoa_refusal_t *rows,
    ngx_uint_t *first)
{
    *first = ngx_http_stoa_refusals_n;

    for ( /* void */ ; rows && rows->code.len; rows++) {
        if (ngx_http_stoa_refusals_n == NGX_HTTP_STOA_REFUSALS) {
            return NGX_ERROR;
        }

        ngx_http_stoa_refusals[ngx_http_stoa_refusals_n++] = *rows;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_refuse(ngx_http_request_t *r, ngx_uint_t what,
    ngx_str_t *detail)
{
    ngx_http_stoa_ctx_t            *ctx;
    const ngx_http_stoa_refusal_t  *row;

    row = &ngx_http_stoa_refusals[what];
    ctx = ngx_http_stoa_ctx_create(r);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "stoa refuses: %V %ui", &row->code, row->status);

    ctx->call.refused = what + 1;

    if (detail) {
        ctx->call.detail = *detail;

    } else {
        ngx_str_null(&ctx->call.detail);
    }

    return row->status;
}


/* Of the request's head, which large_client_header_buffers sets. */

static ngx_int_t
ngx_http_stoa_refusal_limit(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                         *p, *last;
    ngx_str_t                      *detail;
    ngx_http_core_srv_conf_t       *cscf;
    const ngx_http_stoa_refusal_t  *row;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    row = &ngx_http_stoa_refusals[ctx->call.refused - 1];
    detail = &ctx->call.detail;

    p = ngx_pnalloc(r->pool, row->detail.len + 2 * NGX_SIZE_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = ngx_sprintf(p, (char *) row->detail.data,
                       cscf->large_client_header_buffers.size,
                       cscf->large_client_header_buffers.num
                       * cscf->large_client_header_buffers.size);

    detail->data = p;
    detail->len = last - p;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_refusal_find(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_http_stoa_loc_conf_t              *slcf;
    const ngx_http_stoa_refusal_status_t  *made;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

    if (ctx->call.refused
        && ngx_http_stoa_refusals[ctx->call.refused - 1].status == status)
    {
        return NGX_OK;
    }

    for (made = ngx_http_stoa_refusal_made; made->status; made++) {

        if (made->status != status) {
            continue;
        }

        if (slcf->mode == NGX_HTTP_STOA_PROTECT && !made->protect) {
            return NGX_DECLINED;
        }

        ctx->call.refused = made->what + 1;
        ngx_str_null(&ctx->call.detail);

        if (made->what == NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE) {
            ctx->call.refused = ngx_http_stoa_refusal_upstream(r) + 1;
        }

        return status == 414 || status == 431
               ? ngx_http_stoa_refusal_limit(r, ctx) : NGX_OK;
    }

    return NGX_DECLINED;
}


/* Connected, but then there was no answer, or none that nginx understood? */

static ngx_http_stoa_refuse_e
ngx_http_stoa_refusal_upstream(ngx_http_request_t *r)
{
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states == NULL || r->upstream_states->nelts == 0) {
        return NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE;
    }

    state = r->upstream_states->elts;
    state += r->upstream_states->nelts - 1;

    if (state->connect_time != (ngx_msec_t) -1 && state->peer) {
        return NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
    }

    return NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE;
}


ngx_int_t
ngx_http_stoa_refusal_page(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status, ngx_str_t *type, ngx_str_t *body)
{
    const ngx_http_stoa_refusal_t  *row;

    row = &ngx_http_stoa_refusals[ctx->call.refused - 1];

    if (ctx->call.edge && ctx->call.edge->error) {
        return ctx->call.edge->error(r, ctx, row, type, body);
    }

    ngx_str_set(type, "application/problem+json");

    return ngx_http_stoa_refusal_problem(r, ctx, row, status, body);
}


/* ngx_sprintf() takes several times as long. */

#define ngx_http_stoa_lit(p, text)  ngx_cpymem(p, text, sizeof(text) - 1)
#define ngx_http_stoa_refusal_add(p, str)                                     \
    ngx_cpymem(p, (str)->data, (str)->len)


/*
 * RFC 9457.  The texts are ours or were made by us; only a detail may hold
 * parts of the request, so that it is escaped.
 */

static ngx_int_t
ngx_http_stoa_refusal_problem(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_refusal_t *row, ngx_uint_t status, ngx_str_t *body)
{
    u_char                     *p;
    size_t                      len;
    ngx_str_t                   detail;
    ngx_uint_t                  which;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    detail = ctx->call.detail.len ? ctx->call.detail : row->detail;

    len = sizeof("{\"type\":\"/problems/\",\"title\":\"\",\"status\":,"
                 "\"detail\":\"\",\"code\":\"\",\"request_id\":\"\","
                 "\"violated-policies\":[\"concurrency\"]}")
          + sizeof("urn:stoa:problem:") + mcf->external_url.len
          + 2 * row->code.len + row->title.len + NGX_INT_T_LEN
          + 6 * detail.len + ctx->request_id.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;

    if (mcf->external_url.len) {
        p = ngx_http_stoa_lit(p, "{\"type\":\"");
        p = ngx_http_stoa_refusal_add(p, &mcf->external_url);
        p = ngx_http_stoa_lit(p, "/problems/");

    } else {
        p = ngx_http_stoa_lit(p, "{\"type\":\"urn:stoa:problem:");
    }

    p = ngx_http_stoa_refusal_add(p, &row->code);
    p = ngx_http_stoa_lit(p, "\",\"title\":\"");
    p = ngx_http_stoa_refusal_add(p, &row->title);
    p = ngx_http_stoa_lit(p, "\",\"status\":");
    *p++ = (u_char) ('0' + status / 100 % 10);
    *p++ = (u_char) ('0' + status / 10 % 10);
    *p++ = (u_char) ('0' + status % 10);
    p = ngx_http_stoa_lit(p, ",\"detail\":\"");

    ngx_http_stoa_refusal_escape(&p, &detail);

    p = ngx_http_stoa_lit(p, "\",\"code\":\"");
    p = ngx_http_stoa_refusal_add(p, &row->code);
    p = ngx_http_stoa_lit(p, "\",\"request_id\":\"");
    p = ngx_http_stoa_refusal_add(p, &ctx->request_id);
    *p++ = '"';

    if (row->status == 429 && ctx->call.limited) {
        p = ngx_http_stoa_lit(p, ",\"violated-policies\":[\"");
        which = ctx->call.rate.which;
        p = ngx_http_stoa_refusal_add(p,
                                      &ngx_http_stoa_limit_names[which]);
        p = ngx_http_stoa_lit(p, "\"]");
    }

    *p++ = '}';

    body->len = p - body->data;

    return NGX_OK;
}


static void
ngx_http_stoa_refusal_escape(u_char **last, ngx_str_t *text)
{
    u_char  *p, ch;
    size_t   i, plain;

    p = *last;
    plain = 0;

    for (i = 0; i < text->len; i++) {
        ch = text->data[i];

        if (ch >= 0x20 && ch < 0x7f && ch != '"' && ch != '\\') {
            continue;
        }

        p = ngx_cpymem(p, text->data + plain, i - plain);
        plain = i + 1;

        if (ch == '"' || ch == '\\') {
            *p++ = '\\';
            *p++ = ch;

        } else {
            p = ngx_sprintf(p, "\\u%04xd", (ngx_uint_t) ch);
        }
    }

    *last = ngx_cpymem(p, text->data + plain, text->len - plain);
}


/*
 * For a status that ngx_http_special_response_handler() would not make a page
 * for.  NGX_DONE: the request is finalized.
 */

ngx_int_t
ngx_http_stoa_refusal_send(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_str_t     body;
    ngx_uint_t    status;
    ngx_chain_t   out;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    status = ngx_http_stoa_refusals[ctx->call.refused - 1].status;

    if (ngx_http_stoa_refusal_page(r, ctx, status,
                                   &r->headers_out.content_type, &body)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_length_n = body.len;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_send_header(r);

    if (rc != NGX_ERROR && rc <= NGX_OK && !r->header_only) {
        rc = ngx_http_output_filter(r, &out);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}
