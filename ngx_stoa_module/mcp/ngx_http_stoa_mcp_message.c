
/*
 * The message of an MCP request: its headers, its body, its era, and what the
 * era demands of the three together.
 *
 * Decisions are made on the body; headers that repeat it must agree with it.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_content.h"
#include "ngx_http_stoa_header.h"


static ngx_table_elt_t **ngx_http_stoa_mcp_header_slot(
    ngx_http_stoa_mcp_headers_t *hs, ngx_table_elt_t *h);
static void ngx_http_stoa_mcp_accept(ngx_http_stoa_mcp_headers_t *hs,
    ngx_str_t *value);
static ngx_int_t ngx_http_stoa_mcp_origin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_mcp_era_meta(const stoa_json_val_t *v);
static ngx_int_t ngx_http_stoa_mcp_era_modern(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_mcp_era_differs(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, ngx_str_t *detail);
static ngx_int_t ngx_http_stoa_mcp_era_served(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t known);
static ngx_int_t ngx_http_stoa_mcp_era_legacy(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_header_equal(ngx_http_request_t *r,
    ngx_table_elt_t *h, const stoa_json_val_t *v, ngx_uint_t coded);


/* ---- headers ----------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_read_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_table_elt_t              *h, **slot;
    ngx_http_stoa_header_walk_t   w;
    ngx_http_stoa_mcp_headers_t  *hs;

    hs = &ctx->call.mcp->headers;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        slot = ngx_http_stoa_mcp_header_slot(hs, h);

        if (slot) {
            if (slot == &hs->accept) {
                ngx_http_stoa_mcp_accept(hs, &h->value);

            } else if (*slot) {
                hs->repeated = 1;

                if (slot == &hs->type || slot == &hs->coding) {
                    hs->unreadable = 1;
                }
            }

            *slot = h;

        } else if (h->key.len > sizeof("mcp-param-") - 1
                   && ngx_memcmp(h->lowcase_key, "mcp-param-",
                                 sizeof("mcp-param-") - 1)
                      == 0)
        {
            hs->params++;
            hs->params_len += h->key.len + h->value.len;
        }
    }

    return ngx_http_stoa_mcp_origin(r, ctx);
}


static ngx_table_elt_t **
ngx_http_stoa_mcp_header_slot(ngx_http_stoa_mcp_headers_t *hs,
    ngx_table_elt_t *h)
{
    switch (h->key.len) {

    case 6:
        if (ngx_memcmp(h->lowcase_key, "accept", 6) == 0) {
            return &hs->accept;
        }

        if (ngx_memcmp(h->lowcase_key, "origin", 6) == 0) {
            return &hs->origin;
        }

        break;

    case 8:
        if (ngx_memcmp(h->lowcase_key, "mcp-name", 8) == 0) {
            return &hs->name;
        }

        break;

    case 10:
        if (ngx_memcmp(h->lowcase_key, "mcp-method", 10) == 0) {
            return &hs->method;
        }

        break;

    case 12:
        if (ngx_memcmp(h->lowcase_key, "content-type", 12) == 0) {
            return &hs->type;
        }

        break;

    case 13:
        if (ngx_memcmp(h->lowcase_key, "last-event-id", 13) == 0) {
            return &hs->last;
        }

        break;

    case 14:
        if (ngx_memcmp(h->lowcase_key, "mcp-session-id", 14) == 0) {
            return &hs->session;
        }

        break;

    case 16:
        if (ngx_memcmp(h->lowcase_key, "content-encoding", 16) == 0) {
            return &hs->coding;
        }

        break;

    case 20:
        if (ngx_memcmp(h->lowcase_key, "mcp-protocol-version", 20) == 0) {
            return &hs->version;
        }

        break;
    }

    return NULL;
}


static void
ngx_http_stoa_mcp_accept(ngx_http_stoa_mcp_headers_t *hs, ngx_str_t *value)
{
    static ngx_str_t  usual =
                           ngx_string("application/json, text/event-stream");

    if (value->len == usual.len
        && ngx_memcmp(value->data, usual.data, usual.len) == 0)
    {
        hs->json.taken = 1;
        hs->json.rank = STOA_MEDIA_EXACT;
        hs->events = hs->json;
        return;
    }

    stoa_media_accept((char *) value->data, value->len, "application/json",
                      &hs->json);
    stoa_media_accept((char *) value->data, value->len, "text/event-stream",
                      &hs->events);
}


/* The body must be JSON, and nothing may say that it is to be read in another
 * way than we read it.  An upstream may choose JSON or an event stream; that a
 * client takes one of them is enough. */

ngx_int_t
ngx_http_stoa_mcp_negotiate(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                    *ct;
    ngx_http_stoa_mcp_headers_t  *hs;

    static ngx_str_t  json = ngx_string("application/json");

    hs = &ctx->call.mcp->headers;
    ct = hs->type ? &hs->type->value : NULL;

    if (r->method != NGX_HTTP_POST) {
        return NGX_OK;
    }

    if (ct == NULL || hs->unreadable
        || (hs->coding && !stoa_media_plain((char *) hs->coding->value.data,
                                            hs->coding->value.len))
        || ((ct->len != json.len
             || ngx_memcmp(ct->data, json.data, json.len) != 0)
            && !stoa_media_is((char *) ct->data, ct->len,
                              (char *) json.data)))
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_CONTENT_TYPE,
                                    NULL);
    }

    if (hs->accept && !hs->json.taken && !hs->events.taken) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_ACCEPT, NULL);
    }

    return NGX_OK;
}


/* Programs send none; a browser's page may call where a policy says so.  That
 * it names this host proves nothing: a page that rebinds its name does too. */

static ngx_int_t
ngx_http_stoa_mcp_origin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->call.mcp->headers.origin == NULL || ctx->call.origin_allowed) {
        return NGX_OK;
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_ORIGIN, NULL);
}


/* ---- body -------------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_read_body(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (r->request_body == NULL) {

        rc = ngx_http_stoa_policy_body_limit(r, STOA_JSONRPC_BODY_MAX);

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_http_stoa_content_read(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_stoa_content_gather(r, STOA_JSONRPC_BODY_MAX,
                                      &mcp->body);

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
                                    NULL);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* for the api's own maximum: HTTP/2 need not have said it */

    r->headers_in.content_length_n = mcp->body.len;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_scan(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    int                     code;
    stoa_rc_t               rc;
    stoa_err_t              err;
    ngx_str_t               detail;
    ngx_http_stoa_mcp_t    *mcp;
    ngx_http_stoa_refuse_e  what;

    mcp = ctx->call.mcp;

    rc = stoa_jsonrpc_scan((char *) mcp->body.data, mcp->body.len, &mcp->msg,
                           &code, &err);

    if (rc == STOA_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != STOA_OK) {
        detail.data = ngx_pnalloc(r->pool, STOA_ERR_TEXT_MAX + 64);
        if (detail.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        detail.len = ngx_sprintf(detail.data, "%s at byte %uz", err.text,
                                 err.offset)
                     - detail.data;

        switch (code) {

        case -32700:
            what = NGX_HTTP_STOA_REFUSE_MCP_PARSE;
            break;

        case -32602:

            /* what _meta lacks has a status; the rest is an answer */

            what = mcp->msg.id.start && err.field[0] != '_'
                   && ngx_strchr(err.field, '/') == NULL
                   ? NGX_HTTP_STOA_REFUSE_MCP_ARGUMENTS
                   : NGX_HTTP_STOA_REFUSE_MCP_PARAMS;
            break;

        default:
            what = NGX_HTTP_STOA_REFUSE_MCP_INVALID;
        }

        return ngx_http_stoa_refuse(r, what, &detail);
    }

    mcp->scanned = 1;

    return NGX_OK;
}


/* ---- era --------------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_era(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                    *v, detail;
    ngx_uint_t                    version;
    ngx_http_stoa_mcp_t          *mcp;
    ngx_http_stoa_mcp_headers_t  *hs;

    mcp = ctx->call.mcp;
    hs = &mcp->headers;

    if (hs->repeated) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER, NULL);
    }

    if (hs->params > NGX_HTTP_STOA_MCP_PARAMS_MAX
        || hs->params_len > NGX_HTTP_STOA_MCP_PARAMS_LEN)
    {
        ngx_str_set(&detail, "more than 32 Mcp-Param headers, or 8 KiB");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER,
                                    &detail);
    }

    /* the content decides: _meta's version is modern, initialize without it
     * legacy; a header alone proves nothing, but its value does */

    version = ngx_http_stoa_mcp_era_meta(&mcp->msg.meta_version);

    if (mcp->msg.method != STOA_MCP_INITIALIZE
        || version != NGX_HTTP_STOA_MCP_VERSION_NONE)
    {
        if (mcp->msg.meta_version.start
            || mcp->msg.method == STOA_MCP_DISCOVER)
        {
            mcp->modern = 1;

        } else if (hs->version) {
            v = &hs->version->value;
            version = ngx_http_stoa_mcp_version_find((char *) v->data,
                                                     v->len);

            if (version != NGX_HTTP_STOA_MCP_VERSION_NONE) {
                mcp->modern = ngx_http_stoa_mcp_versions[version].modern;
            }
        }
    }

    return mcp->modern ? ngx_http_stoa_mcp_era_modern(r, ctx)
                       : ngx_http_stoa_mcp_era_legacy(r, ctx);
}


/* The modern version that _meta names, if it is one that we speak. */

static ngx_uint_t
ngx_http_stoa_mcp_era_meta(const stoa_json_val_t *v)
{
    ngx_uint_t  version;

    if (v->start == NULL || v->type != STOA_JSON_STRING || v->escaped) {
        return NGX_HTTP_STOA_MCP_VERSION_NONE;
    }

    version = ngx_http_stoa_mcp_version_find(v->start + 1,
                                             v->end - v->start - 2);

    return version != NGX_HTTP_STOA_MCP_VERSION_NONE
           && ngx_http_stoa_mcp_versions[version].modern
           ? version : NGX_HTTP_STOA_MCP_VERSION_NONE;
}


static ngx_int_t
ngx_http_stoa_mcp_era_modern(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t             detail;
    stoa_json_val_t      *v;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (mcp->msg.kind != STOA_JSONRPC_REQUEST) {
        return NGX_OK;
    }

    v = &mcp->msg.meta_version;

    if (v->start == NULL || v->type != STOA_JSON_STRING) {
        ngx_str_set(&detail, "params._meta lacks "
                    "io.modelcontextprotocol/protocolVersion");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_PARAMS,
                                    &detail);
    }

    mcp->version = ngx_http_stoa_mcp_era_meta(v);

    /* the version header is compared first: a mismatch is the header's fault
     * whatever the version */

    if (mcp->headers.version == NULL
        || ngx_http_stoa_mcp_header_equal(r, mcp->headers.version, v, 0)
           != NGX_OK)
    {
        ngx_str_set(&detail, "MCP-Protocol-Version does not equal the body's");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER,
                                    &detail);
    }

    if (mcp->version == NGX_HTTP_STOA_MCP_VERSION_NONE) {
        return ngx_http_stoa_mcp_era_served(r, ctx, 0);
    }

    v = &mcp->msg.meta_caps;

    if (v->start == NULL || v->type != STOA_JSON_OBJECT) {
        ngx_str_set(&detail, "params._meta lacks "
                    "io.modelcontextprotocol/clientCapabilities");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_PARAMS,
                                    &detail);
    }

    if (ngx_http_stoa_mcp_era_differs(r, mcp, &detail)) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER,
                                    &detail);
    }

    /* a route with an upstream that cannot speak this era does not either;
     * server/discover too: clients take any result of it for a yes */

    return ngx_http_stoa_mcp_era_served(r, ctx, 1);
}


/* Headers that repeat what the body says. */

static ngx_uint_t
ngx_http_stoa_mcp_era_differs(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    ngx_str_t *detail)
{
    const stoa_json_val_t  *v;

    if (mcp->headers.method == NULL
        || mcp->headers.method->value.len != mcp->msg.method_name.len
        || ngx_memcmp(mcp->headers.method->value.data,
                      mcp->msg.method_name.data, mcp->msg.method_name.len)
           != 0)
    {
        ngx_str_set(detail, "Mcp-Method does not equal the body's method");
        return 1;
    }

    v = (mcp->msg.method == STOA_MCP_TOOLS_CALL
         || mcp->msg.method == STOA_MCP_PROMPTS_GET) ? &mcp->msg.name
        : mcp->msg.method == STOA_MCP_RESOURCES_READ ? &mcp->msg.uri : NULL;

    if (mcp->headers.name && (mcp->msg.method == STOA_MCP_TASK
                              || mcp->msg.method == STOA_MCP_TASK_UPDATE))
    {
        v = &mcp->msg.task_id;
    }

    if (v && v->start && v->type == STOA_JSON_STRING
        && (mcp->headers.name == NULL
            || ngx_http_stoa_mcp_header_equal(r, mcp->headers.name, v, 1)
               != NGX_OK))
    {
        ngx_str_set(detail, "Mcp-Name does not equal the body's name or uri");
        return 1;
    }

    return 0;
}


/* What every upstream of the endpoint speaks; refuses where that does not
 * help. */

static ngx_int_t
ngx_http_stoa_mcp_era_served(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t known)
{
    ngx_http_stoa_mcp_access_t  *access;

    access = ngx_http_stoa_mcp_access(r, ctx);
    if (access == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->call.mcp->serves_modern = access->serves_modern;
    ctx->call.mcp->serves_legacy = access->serves_legacy
                                   || !access->serves_modern;

    if (known && access->serves_modern) {
        return NGX_OK;
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_VERSION, NULL);
}


static ngx_int_t
ngx_http_stoa_mcp_era_legacy(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t             detail;
    ngx_table_elt_t      *h;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (mcp->msg.method == STOA_MCP_INITIALIZE) {
        return NGX_OK;
    }

    mcp->version = NGX_HTTP_STOA_MCP_VERSION_ABSENT;
    h = mcp->headers.version;

    if (h) {
        mcp->version = ngx_http_stoa_mcp_version_find((char *) h->value.data,
                                                      h->value.len);

        if (mcp->version == NGX_HTTP_STOA_MCP_VERSION_NONE) {
            ngx_str_set(&detail, "unsupported MCP-Protocol-Version");
            return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_INVALID,
                                        &detail);
        }
    }

    if (mcp->headers.session == NULL && ctx->look) {
        return NGX_OK;                           /* as if it had one         */
    }

    if (mcp->headers.session == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_NO_SESSION,
                                    NULL);
    }

    if (ngx_http_stoa_mcp_session_open(ctx, &mcp->headers.session->value)
        != NGX_OK)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSION,
                                    NULL);
    }

    mcp->has_session = 1;

    return NGX_OK;
}


/* Equal after the header's decoding and the body's unescaping. */

static ngx_int_t
ngx_http_stoa_mcp_header_equal(ngx_http_request_t *r, ngx_table_elt_t *h,
    const stoa_json_val_t *v, ngx_uint_t coded)
{
    char    *dst;
    size_t   len;

    if (!coded) {
        return stoa_json_eq(v, (char *) h->value.data, h->value.len)
               ? NGX_OK : NGX_DECLINED;
    }

    dst = ngx_pnalloc(r->pool, h->value.len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    if (stoa_mcp_header_decode((char *) h->value.data, h->value.len, dst,
                               &len)
        != STOA_OK)
    {
        return NGX_DECLINED;
    }

    return stoa_json_eq(v, dst, len) ? NGX_OK : NGX_DECLINED;
}


/* Of a tool its arguments; what else is called has none. */

ngx_int_t
ngx_http_stoa_mcp_content(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *content)
{
    stoa_json_val_t  *arguments;

    if (ctx->call.mcp->msg.method != STOA_MCP_TOOLS_CALL) {
        return NGX_DECLINED;
    }

    ctx->call.content_repeated = ctx->call.mcp->headers.params
                                 || ctx->call.mcp->params.len;

    arguments = &ctx->call.mcp->msg.arguments;
    ngx_str_set(content, "{}");

    if (arguments->start) {
        content->data = (u_char *) arguments->start;
        content->len = arguments->end - arguments->start;
    }

    return NGX_OK;
}
