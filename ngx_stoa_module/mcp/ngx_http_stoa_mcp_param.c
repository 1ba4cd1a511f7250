
/*
 * Headers that repeat arguments of a tool: those between client and upstream
 * may route by them, so that they must say what the body says.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_mcp_param.h"


#define NGX_HTTP_STOA_MCP_PARAM        "mcp-param-"
#define NGX_HTTP_STOA_MCP_PARAMS_TEXT  8192


static ngx_int_t ngx_http_stoa_mcp_param_write(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, const stoa_mcp_param_t *params, unsigned n);
static ngx_table_elt_t *ngx_http_stoa_mcp_param_header(ngx_http_request_t *r,
    const stoa_str_t *name, ngx_uint_t *repeated);
static ngx_uint_t ngx_http_stoa_mcp_param_same(ngx_http_request_t *r,
    const stoa_mcp_param_t *param, ngx_table_elt_t *h,
    const stoa_json_val_t *val);


ngx_int_t
ngx_http_stoa_mcp_params(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_item_t *tool)
{
    unsigned              i, n;
    ngx_str_t             detail;
    ngx_uint_t            has, repeated;
    stoa_err_t            err;
    stoa_str_t            text;
    ngx_table_elt_t      *h;
    stoa_json_val_t       def, val;
    ngx_http_stoa_mcp_t  *mcp;
    stoa_mcp_param_t      params[STOA_MCP_PARAMS_MAX];

    mcp = ctx->call.mcp;

    if (tool->params != STOA_MCP_PARAMS_SOME
        || (!mcp->modern && !mcp->to_modern))
    {
        return NGX_OK;
    }

    text = stoa_rec_str(tool, tool->definition);

    if (stoa_json_check(text.data, text.len, STOA_JSON_DEPTH_MAX, &def, &err)
        != STOA_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) stoa_mcp_params(&def, params, &n);

    if (mcp->to_modern) {
        return ngx_http_stoa_mcp_param_write(r, mcp, params, n);
    }

    for (i = 0; i < n; i++) {
        h = ngx_http_stoa_mcp_param_header(r, &params[i].header, &repeated);
        has = stoa_mcp_param_value(&params[i], &mcp->msg.arguments, &val);

        if (!repeated && (h != NULL) == has
            && (!has || ngx_http_stoa_mcp_param_same(r, &params[i], h, &val)))
        {
            continue;
        }

        detail.data = ngx_pnalloc(r->pool, params[i].header.len + 80);
        if (detail.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        detail.len = ngx_sprintf(detail.data, "Mcp-Param-%*s does not equal "
                                 "the body's argument", params[i].header.len,
                                 params[i].header.data)
                     - detail.data;

        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER,
                                    &detail);
    }

    return NGX_OK;
}


/* What a legacy client does not say, and a modern upstream wants to hear. */

static ngx_int_t
ngx_http_stoa_mcp_param_write(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    const stoa_mcp_param_t *params, unsigned n)
{
    char             *p;
    size_t            len;
    unsigned          i;
    stoa_buf_t        out;
    stoa_json_val_t   val;

    stoa_buf_init(&out, NGX_HTTP_STOA_MCP_PARAMS_TEXT);

    for (i = 0; i < n; i++) {

        if (!stoa_mcp_param_value(&params[i], &mcp->msg.arguments, &val)) {
            continue;
        }

        stoa_buf_addf(&out, "Mcp-Param-%.*s: ", (int) params[i].header.len,
                      params[i].header.data);
        len = val.end - val.start;

        if (val.type == STOA_JSON_STRING) {
            p = ngx_pnalloc(r->pool, len + stoa_mcp_header_size(len));
            if (p == NULL) {
                stoa_buf_free(&out);
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            len = stoa_mcp_header_encode(p, stoa_json_unescape(&val, p),
                                         p + (val.end - val.start));
            stoa_buf_add(&out, p + (val.end - val.start), len);

        } else {
            stoa_buf_add(&out, val.start, len);
        }

        stoa_buf_addz(&out, CRLF);
    }

    return ngx_http_stoa_ctx_text(r, &out, &mcp->params) == NGX_OK
           ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_table_elt_t *
ngx_http_stoa_mcp_param_header(ngx_http_request_t *r, const stoa_str_t *name,
    ngx_uint_t *repeated)
{
    size_t                        len;
    ngx_table_elt_t              *h, *found;
    ngx_http_stoa_header_walk_t   w;

    found = NULL;
    *repeated = 0;
    len = sizeof(NGX_HTTP_STOA_MCP_PARAM) - 1;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->key.len == len + name->len
            && ngx_memcmp(h->lowcase_key, NGX_HTTP_STOA_MCP_PARAM, len) == 0
            && ngx_strncasecmp(h->key.data + len, (u_char *) name->data,
                               name->len)
               == 0)
        {
            *repeated |= found != NULL;
            found = h;
        }
    }

    return found;
}


/* Numbers are equal as numbers: 42 and 42.0. */

static ngx_uint_t
ngx_http_stoa_mcp_param_same(ngx_http_request_t *r,
    const stoa_mcp_param_t *param, ngx_table_elt_t *h,
    const stoa_json_val_t *val)
{
    char    *end, *text;
    double   one, two;
    size_t   len;

    text = ngx_pnalloc(r->pool, h->value.len + 1 + (val->end - val->start)
                                + 1);
    if (text == NULL
        || stoa_mcp_header_decode((char *) h->value.data, h->value.len, text,
                                  &len)
           != STOA_OK)
    {
        return 0;
    }

    if (val->type == STOA_JSON_STRING) {
        return stoa_json_eq(val, text, len);
    }

    if (len == (size_t) (val->end - val->start)
        && ngx_memcmp(text, val->start, len) == 0)
    {
        return 1;
    }

    if (!param->number || val->type != STOA_JSON_NUMBER || len == 0) {
        return 0;
    }

    text[len] = '\0';
    one = strtod(text, &end);

    if (end != text + len) {
        return 0;
    }

    ngx_memcpy(text, val->start, val->end - val->start);
    text[val->end - val->start] = '\0';
    two = strtod(text, NULL);

    return one == two;
}
