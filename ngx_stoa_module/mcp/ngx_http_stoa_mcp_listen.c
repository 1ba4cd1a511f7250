/*
 * subscriptions/listen of modern clients: first what is honoured of what was
 * asked for, then an event for each kind of list that is another than before,
 * and, where the stream ends on our side, the answer to the request.
 */

#include "ngx_http_stoa_hold.h"


#define NGX_HTTP_STOA_MCP_SUBSCRIPTION                                        \
    "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":"


typedef struct {
    ngx_http_stoa_mcp_hold_t  hold;
    ngx_uint_t                kinds;           /* that are asked for         */
} ngx_http_stoa_mcp_listen_t;


static ngx_int_t ngx_http_stoa_mcp_listen_begin(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_listen_look(ngx_http_stoa_mcp_hold_t *h,
    ngx_uint_t kinds);
static void ngx_http_stoa_mcp_listen_bye(ngx_http_stoa_mcp_hold_t *h);
static ngx_int_t ngx_http_stoa_mcp_listen_send(ngx_http_stoa_mcp_hold_t *h,
    stoa_buf_t *b);


ngx_int_t
ngx_http_stoa_mcp_listen(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    char                         name[32];
    ngx_str_t                    detail;
    ngx_uint_t                   k;
    stoa_json_val_t              all, v;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_listen_t  *l;

    mcp = ctx->call.mcp;

    if (!stoa_json_get(&mcp->msg.params, "notifications", &all)
        || all.type != STOA_JSON_OBJECT)
    {
        ngx_str_set(&detail, "params needs notifications, an object");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_PARAMS,
                                        &detail);
    }

    l = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_listen_t));
    if (l == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (k = 0; k < NGX_HTTP_STOA_MCP_KINDS; k++) {
        (void) ngx_sprintf((u_char *) name, "%sListChanged%Z",
                           ngx_http_stoa_mcp_kinds[k]);

        if (stoa_json_get(&all, name, &v) && v.type == STOA_JSON_TRUE) {
            l->kinds |= 1u << k;
        }
    }

    l->hold.begin = ngx_http_stoa_mcp_listen_begin;
    l->hold.look = ngx_http_stoa_mcp_listen_look;
    l->hold.bye = ngx_http_stoa_mcp_listen_bye;
    l->hold.data = l;

    return ngx_http_stoa_mcp_hold(r, ctx, &l->hold);
}


static void
ngx_http_stoa_mcp_listen_id(ngx_http_stoa_mcp_hold_t *h, stoa_buf_t *b)
{
    ngx_str_t  id;

    id = ngx_http_stoa_mcp_id(h->ctx->call.mcp);

    stoa_buf_addz(b, NGX_HTTP_STOA_MCP_SUBSCRIPTION);
    stoa_buf_add(b, id.data, id.len);
    stoa_buf_addz(b, "}");
}


static ngx_int_t
ngx_http_stoa_mcp_listen_begin(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_http_stoa_mcp_listen_t *l = h->data;

    ngx_uint_t   k;
    stoa_buf_t   b;
    const char  *comma;

    stoa_buf_init(&b, 65536);
    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"method\":"
                  "\"notifications/subscriptions/acknowledged\","
                  "\"params\":{");
    ngx_http_stoa_mcp_listen_id(h, &b);
    stoa_buf_addz(&b, ",\"notifications\":{");

    for (comma = "", k = 0; k < NGX_HTTP_STOA_MCP_KINDS; k++) {
        if (l->kinds & (1u << k)) {
            stoa_buf_addf(&b, "%s\"%sListChanged\":true", comma,
                          ngx_http_stoa_mcp_kinds[k]);
            comma = ",";
        }
    }

    stoa_buf_addz(&b, "}}}");

    return ngx_http_stoa_mcp_listen_send(h, &b);
}


static void
ngx_http_stoa_mcp_listen_look(ngx_http_stoa_mcp_hold_t *h, ngx_uint_t kinds)
{
    ngx_http_stoa_mcp_listen_t *l = h->data;

    ngx_uint_t  k;
    stoa_buf_t  b;

    for (k = 0; k < NGX_HTTP_STOA_MCP_KINDS; k++) {

        if (!(kinds & l->kinds & (1u << k))) {
            continue;
        }

        stoa_buf_init(&b, 65536);
        stoa_buf_addf(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                      "%s/list_changed\",\"params\":{",
                      ngx_http_stoa_mcp_kinds[k]);
        ngx_http_stoa_mcp_listen_id(h, &b);
        stoa_buf_addz(&b, "}}");
        (void) ngx_http_stoa_mcp_listen_send(h, &b);
    }
}


static void
ngx_http_stoa_mcp_listen_bye(ngx_http_stoa_mcp_hold_t *h)
{
    stoa_buf_t  b;

    stoa_buf_init(&b, 65536);
    ngx_http_stoa_mcp_answer_head(&b, h->ctx->call.mcp);
    stoa_buf_addz(&b, "\"resultType\":\"complete\",");
    ngx_http_stoa_mcp_listen_id(h, &b);
    stoa_buf_addz(&b, "}}");
    (void) ngx_http_stoa_mcp_listen_send(h, &b);
}


/* And frees it. */

static ngx_int_t
ngx_http_stoa_mcp_listen_send(ngx_http_stoa_mcp_hold_t *h, stoa_buf_t *b)
{
    ngx_int_t         rc;
    stoa_sse_event_t  event;

    ngx_memzero(&event, sizeof(event));
    event.data.data = b->data;
    event.data.len = b->len;
    event.retry_ms = -1;

    rc = b->rc == STOA_OK ? ngx_http_stoa_mcp_hold_write(h, &event)
                          : NGX_ERROR;
    stoa_buf_free(b);

    return rc;
}
