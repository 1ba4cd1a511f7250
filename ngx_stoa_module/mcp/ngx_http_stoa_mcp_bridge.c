/*
 * A client of 2026-07-28 before an upstream that speaks with sessions only.
 *
 * The call is forwarded like any other; what differs is its session and what
 * the client reads.  A session is one caller's, taken out of the map for one
 * call and put back after its answer, so that the next call, at any worker,
 * goes on in it: the one that was used last.  A call that ends otherwise ends
 * its session, and so does the upstream's work for a client that has left.
 * The answer is gathered, and says what this era's answers say.  A client that
 * can be asked something, or wants log messages, has his calls made otherwise
 * (ngx_http_stoa_park.h), in sessions that have declared the same.
 *
 * Process: workers.  Limits: NGX_HTTP_STOA_MCP_POOL idle sessions of a caller
 * at an api that have declared the same, for two minutes.
 */

#include "ngx_http_stoa_park.h"
#include "core/stoa_glance.h"


/* What a client has declared, by its members. */

static const struct {
    const char  *name;
    const char  *member;                       /* NULL: it is enough         */
    ngx_uint_t   can;
} ngx_http_stoa_mcp_bridge_cans[] = {
    { "elicitation", "form", NGX_HTTP_STOA_MCP_CAN_FORM },
    { "elicitation", "url", NGX_HTTP_STOA_MCP_CAN_URL },
    { "sampling", NULL, NGX_HTTP_STOA_MCP_CAN_SAMPLE },
    { "sampling", "tools", NGX_HTTP_STOA_MCP_CAN_SAMPLE_TOOLS },
    { "sampling", "context", NGX_HTTP_STOA_MCP_CAN_SAMPLE_CONTEXT },
    { "roots", NULL, NGX_HTTP_STOA_MCP_CAN_ROOTS },
    { NULL, NULL, 0 }
};


/* Codes that mean something else in this era, or nothing. */

typedef struct {
    int64_t      from;
    int64_t      to;
    ngx_uint_t   can;                          /* who can all of it: not he  */
    const char  *code;
    const char  *data;                         /* instead; NULL: it stays    */
} ngx_http_stoa_mcp_bridge_code_t;

static const ngx_http_stoa_mcp_bridge_code_t
                                        ngx_http_stoa_mcp_bridge_codes[] = {
    { -32002, -32002, 0, "-32602", NULL },     /* no such resource           */
    { -32042, -32042, NGX_HTTP_STOA_MCP_CAN_URL, "-32021",
      "{\"requiredCapabilities\":{\"elicitation\":{\"url\":{}}}}" },
    { -32099, -32020, 0, "-32603", NULL },
    { 0, 0, 0, NULL, NULL }
};


#define NGX_HTTP_STOA_MCP_LACKS  -32021          /* a capability, the client */


static void ngx_http_stoa_mcp_bridge_declare(ngx_uint_t can, stoa_buf_t *out);


/* What the call's session declares: members that the upstream's era has, too,
 * in one order, so that equal ones have one text and one pool. */

ngx_int_t
ngx_http_stoa_mcp_bridge_can(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t            i, can;
    stoa_buf_t            b;
    stoa_json_val_t      *caps, v, m;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    caps = &mcp->msg.meta_caps;

    if (mcp->capabilities.len || mcp->msg.method == STOA_MCP_COMPLETE) {
        return NGX_OK;
    }

    can = 0;

    for (i = 0; ngx_http_stoa_mcp_bridge_cans[i].name; i++) {
        if (stoa_json_get(caps, ngx_http_stoa_mcp_bridge_cans[i].name, &v)
            && v.type == STOA_JSON_OBJECT
            && (ngx_http_stoa_mcp_bridge_cans[i].member == NULL
                || stoa_json_get(&v, ngx_http_stoa_mcp_bridge_cans[i].member,
                                 &m)))
        {
            can |= ngx_http_stoa_mcp_bridge_cans[i].can;
        }
    }

    if (!(can & (NGX_HTTP_STOA_MCP_CAN_FORM|NGX_HTTP_STOA_MCP_CAN_URL))
        && stoa_json_get(caps, "elicitation", &v)
        && v.type == STOA_JSON_OBJECT)
    {
        can |= NGX_HTTP_STOA_MCP_CAN_FORM;
    }

    if (mcp->msg.meta.start
        && stoa_json_get(&mcp->msg.meta, "io.modelcontextprotocol/logLevel",
                         &v))
    {
        mcp->log_level = ngx_http_stoa_mcp_level_find(&v);
    }

    mcp->can = can;

    if (can == 0) {
        return NGX_OK;
    }

    stoa_buf_init(&b, 1024);
    ngx_http_stoa_mcp_bridge_declare(can, &b);

    return ngx_http_stoa_ctx_text(r, &b, &mcp->capabilities);
}


static void
ngx_http_stoa_mcp_bridge_declare(ngx_uint_t can, stoa_buf_t *out)
{
    ngx_uint_t  i, n;

    static const struct {
        ngx_uint_t   of;                       /* these bits ...             */
        ngx_uint_t   are;                      /* ... are these              */
        const char  *text;
    } parts[] = {
        { 3, 1, "\"elicitation\":{}" },
        { 3, 2, "\"elicitation\":{\"url\":{}}" },
        { 3, 3, "\"elicitation\":{\"form\":{},\"url\":{}}" },
        { 28, 4, "\"sampling\":{}" },
        { 28, 12, "\"sampling\":{\"tools\":{}}" },
        { 28, 20, "\"sampling\":{\"context\":{}}" },
        { 28, 28, "\"sampling\":{\"tools\":{},\"context\":{}}" },
        { 32, 32, "\"roots\":{}" }
    };

    n = 0;
    stoa_buf_addz(out, "{");

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if ((can & parts[i].of) == parts[i].are) {
            stoa_buf_addz(out, n++ ? "," : "");
            stoa_buf_addz(out, parts[i].text);
        }
    }

    stoa_buf_addz(out, "}");
}


void
ngx_http_stoa_mcp_bridge_pool(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_pool_t *pool)
{
    u_char  who[NGX_HTTP_STOA_MCP_PRINCIPAL + STOA_ID_LEN + 1];

    ngx_http_stoa_mcp_principal(ctx, who);
    ngx_memcpy(who + NGX_HTTP_STOA_MCP_PRINCIPAL, &ctx->call.api->id,
               STOA_ID_LEN);
    who[sizeof(who) - 1] = (u_char) ctx->call.mcp->can;

    ngx_http_stoa_mcp_map_pool(who, sizeof(who), &ctx->call.api->id, pool);
}


ngx_int_t
ngx_http_stoa_mcp_bridge_take(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_upstream_t *up)
{
    ngx_http_stoa_mcp_pool_t  pool;

    ngx_http_stoa_mcp_leave_via(ctx->request);  /* who takes one may end it  */

    if (ctx->call.mcp->retried) {
        return NGX_DECLINED;              /* the others may be gone, too     */
    }

    ngx_http_stoa_mcp_bridge_pool(ctx, &pool);

    return ngx_http_stoa_mcp_map_take(&pool, up);
}


void
ngx_http_stoa_mcp_bridge_end(ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t           *mcp;
    ngx_http_stoa_mcp_pool_t       pool;
    ngx_http_stoa_mcp_upstream_t   up;

    mcp = ctx->call.mcp;

    if (!mcp->has_upstream) {
        return;
    }

    mcp->has_upstream = 0;

    ngx_memzero(&up, offsetof(ngx_http_stoa_mcp_upstream_t, sid));
    up.api = ctx->call.api->id;
    up.app = ngx_http_stoa_mcp_app(ctx);
    up.version = mcp->upstream_version;
    up.target = mcp->upstream_target;
    up.len = mcp->upstream_session.len;

    if (up.len) {
        ngx_memcpy(up.sid, mcp->upstream_session.data, up.len);
    }

    if (mcp->bridge_answered) {
        ngx_http_stoa_mcp_bridge_pool(ctx, &pool);
        ngx_http_stoa_mcp_map_give(&pool, &up);

    } else {
        ngx_http_stoa_mcp_leave_caller(ctx);
        ngx_http_stoa_mcp_leave(&up);
        ngx_http_stoa_mcp_leave_caller(NULL);
    }
}


/* Servers that know both eras tell them apart by it. */

void
ngx_http_stoa_mcp_bridge_meta(const stoa_json_val_t *meta, stoa_buf_t *out)
{
    ngx_uint_t         more, n;
    stoa_json_val_t    key, val;
    stoa_json_iter_t   it;

    static const char  prefix[] = "\"io.modelcontextprotocol/";

    n = 0;
    stoa_buf_addz(out, "{");

    for (more = stoa_json_first(meta, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if ((size_t) (key.end - key.start) > sizeof(prefix) - 1
            && ngx_memcmp(key.start, prefix, sizeof(prefix) - 1) == 0)
        {
            continue;
        }

        stoa_buf_addz(out, n++ ? "," : "");
        stoa_buf_add(out, key.start, val.end - key.start);
    }

    stoa_buf_addz(out, "}");
}


/* NULL: it stays as it is; so does what can only be meant as in this era. */

static const ngx_http_stoa_mcp_bridge_code_t *
ngx_http_stoa_mcp_bridge_code(ngx_uint_t can, const stoa_glance_t *g,
    stoa_json_val_t *code)
{
    int64_t                                 n;
    stoa_json_val_t                         v, what;
    const ngx_http_stoa_mcp_bridge_code_t  *row;

    if (g->error.start == NULL || !stoa_glance_get(&g->error, "code", code)
        || code->type != STOA_JSON_NUMBER
        || stoa_json_int(code, &n) != STOA_OK)
    {
        return NULL;
    }

    if (n == NGX_HTTP_STOA_MCP_LACKS && stoa_glance_get(&g->error, "data", &v)
        && *v.start == '{'
        && stoa_glance_get(&v, "requiredCapabilities", &what)
        && *what.start == '{')
    {
        return NULL;
    }

    for (row = ngx_http_stoa_mcp_bridge_codes; row->code; row++) {
        if (n >= row->from && n <= row->to
            && (row->can == 0 || (can & row->can) != row->can))
        {
            return row;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_stoa_mcp_bridge_status(const char *data, size_t len)
{
    int64_t          n;
    stoa_glance_t    g;
    stoa_json_val_t  code;

    if (stoa_glance(data, len, &g) != STOA_OK || g.error.start == NULL
        || !stoa_glance_get(&g.error, "code", &code)
        || code.type != STOA_JSON_NUMBER
        || stoa_json_int(&code, &n) != STOA_OK)
    {
        return NGX_HTTP_OK;
    }

    return n == -32601 ? NGX_HTTP_NOT_FOUND
           : n == NGX_HTTP_STOA_MCP_LACKS ? NGX_HTTP_BAD_REQUEST
           : NGX_HTTP_OK;
}


ngx_int_t
ngx_http_stoa_mcp_bridge_text(stoa_mcp_method_e method, ngx_uint_t can,
    stoa_str_t *data, stoa_buf_t *out)
{
    const char                             *at, *end;
    stoa_glance_t                           g;
    stoa_json_val_t                         v;
    const ngx_http_stoa_mcp_bridge_code_t  *row;

    if (stoa_glance(data->data, data->len, &g) != STOA_OK) {
        return NGX_OK;
    }

    stoa_buf_free(out);
    stoa_buf_init(out, data->len + 256);
    end = data->data + data->len;
    row = ngx_http_stoa_mcp_bridge_code(can, &g, &v);

    if (row && row->data) {
        stoa_buf_add(out, data->data, g.error.start - data->data);
        stoa_buf_addf(out, "{\"code\":%s,\"message\":", row->code);

        if (stoa_glance_get(&g.error, "message", &v)) {
            stoa_buf_add(out, v.start, v.end - v.start);

        } else {
            stoa_buf_addz(out, "\"\"");
        }

        stoa_buf_addf(out, ",\"data\":%s}", row->data);
        stoa_buf_add(out, g.error.end, end - g.error.end);

    } else if (row) {
        stoa_buf_add(out, data->data, v.start - data->data);
        stoa_buf_addz(out, row->code);
        stoa_buf_add(out, v.end, end - v.end);

    } else if (g.result.start && *g.result.start == '{'
               && !stoa_glance_get(&g.result, "resultType", &v))
    {
        at = g.result.start + 1;
        stoa_buf_add(out, data->data, at - data->data);
        stoa_buf_addz(out, "\"resultType\":\"complete\"");

        if (method == STOA_MCP_RESOURCES_READ) {
            stoa_buf_addz(out, ",\"ttlMs\":0,\"cacheScope\":\"private\"");
        }

        at += strspn(at, " \t\r\n");

        stoa_buf_addz(out, *at == '}' ? "" : ",");
        stoa_buf_add(out, at, end - at);

    } else {
        return NGX_OK;
    }

    data->data = out->data;
    data->len = out->len;

    return out->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_stoa_mcp_bridge_answer(ngx_http_stoa_ctx_t *ctx, stoa_str_t *data,
    stoa_buf_t *out)
{
    stoa_glance_t         g;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (!mcp->bridged || stoa_glance(data->data, data->len, &g) != STOA_OK) {
        return NGX_OK;
    }

    /* the next call may need the session before this one has ended */

    mcp->bridge_answered = 1;
    ngx_http_stoa_mcp_bridge_end(ctx);

    /* a completion's session has declared nothing, whatever the client can */

    return ngx_http_stoa_mcp_bridge_text(mcp->msg.method,
                                         mcp->msg.method == STOA_MCP_COMPLETE
                                         ? NGX_HTTP_STOA_MCP_CAN_URL
                                         : mcp->can, data, out);
}
