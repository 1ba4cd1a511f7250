/*
 * subscriptions/listen of modern clients: first what is honoured of what was
 * asked for, then an event for each kind of list that is another than before,
 * those of upstreams that tell of resources, and, where the stream ends on our
 * side, the answer to the request.
 */

#include "ngx_http_stoa_updates.h"


#define NGX_HTTP_STOA_MCP_LISTEN_MAX  65536     /* held with the stream      */
#define NGX_HTTP_STOA_MCP_SUBSCRIPTION                                        \
    "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":"


typedef struct {
    ngx_http_stoa_mcp_hold_t  hold;
    ngx_uint_t                kinds;           /* that are asked for         */
    ngx_uint_t                changed;         /* before it was acknowledged */
    ngx_http_stoa_mcp_updates_t  *updates;     /* NULL: none                 */
    unsigned                  told:1;          /* what is honoured           */
} ngx_http_stoa_mcp_listen_t;


static ngx_int_t ngx_http_stoa_mcp_listen_begin(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_listen_ready(ngx_http_stoa_mcp_hold_t *h);
static ngx_int_t ngx_http_stoa_mcp_listen_ack(ngx_http_stoa_mcp_hold_t *h);
static void ngx_http_stoa_mcp_listen_updated(ngx_http_stoa_mcp_hold_t *h,
    const ngx_str_t *uri);
static void ngx_http_stoa_mcp_listen_full(ngx_http_stoa_mcp_hold_t *h,
    ngx_uint_t full);
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

    if (mcp->body.len > NGX_HTTP_STOA_MCP_LISTEN_MAX) {
        ngx_str_set(&detail, "subscriptions/listen has at most 64 KiB.");
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
                                    &detail);
    }

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

    if (stoa_json_get(&all, "resourceSubscriptions", &v)
        && v.type == STOA_JSON_ARRAY)
    {
        l->updates = ngx_http_stoa_mcp_updates(r, ctx, &v);
        if (l->updates == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        l->updates->hold = &l->hold;
        l->updates->updated = ngx_http_stoa_mcp_listen_updated;
        l->updates->ready = ngx_http_stoa_mcp_listen_ready;
        l->hold.full = ngx_http_stoa_mcp_listen_full;
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

    if (l->updates) {
        ngx_http_stoa_mcp_updates_begin(l->updates);
    }

    return l->updates && l->updates->waits ? NGX_OK
                                           : ngx_http_stoa_mcp_listen_ack(h);
}


static void
ngx_http_stoa_mcp_listen_ready(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_http_stoa_mcp_listen_t *l = h->data;

    if (!l->told && ngx_http_stoa_mcp_listen_ack(h) != NGX_OK) {
        h->over = 1;
    }
}


static ngx_int_t
ngx_http_stoa_mcp_listen_ack(ngx_http_stoa_mcp_hold_t *h)
{
    ngx_http_stoa_mcp_listen_t *l = h->data;

    ngx_uint_t   k;
    stoa_buf_t   b;
    const char  *comma;

    l->told = 1;
    stoa_buf_init(&b, NGX_HTTP_STOA_MCP_EVENT_MAX);
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

    if (l->updates) {
        ngx_http_stoa_mcp_updates_write(l->updates, comma, &b);
    }

    stoa_buf_addz(&b, "}}}");

    return ngx_http_stoa_mcp_listen_send(h, &b);
}


static void
ngx_http_stoa_mcp_listen_updated(ngx_http_stoa_mcp_hold_t *h,
    const ngx_str_t *uri)
{
    stoa_buf_t                   b;
    ngx_http_stoa_mcp_listen_t  *l = h->data;

    if (!l->told) {
        return;
    }

    stoa_buf_init(&b, 65536);
    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                  "resources/updated\",\"params\":{\"uri\":");
    stoa_buf_add(&b, uri->data, uri->len);
    stoa_buf_addz(&b, ",");
    ngx_http_stoa_mcp_listen_id(h, &b);
    stoa_buf_addz(&b, "}}");
    (void) ngx_http_stoa_mcp_listen_send(h, &b);
}


static void
ngx_http_stoa_mcp_listen_full(ngx_http_stoa_mcp_hold_t *h, ngx_uint_t full)
{
    ngx_http_stoa_mcp_listen_t *l = h->data;

    ngx_http_stoa_mcp_updates_full(l->updates, full);
}


static void
ngx_http_stoa_mcp_listen_look(ngx_http_stoa_mcp_hold_t *h, ngx_uint_t kinds)
{
    ngx_http_stoa_mcp_listen_t *l = h->data;

    ngx_uint_t  k;
    stoa_buf_t  b;

    l->changed |= kinds;

    if (l->updates) {
        if (ngx_current_msec - h->since >= NGX_HTTP_STOA_MCP_UPDATES_MS) {
            ngx_http_stoa_mcp_listen_ready(h);
        }

        ngx_http_stoa_mcp_updates_look(l->updates);
    }

    if (!l->told) {
        return;
    }

    kinds = l->changed;
    l->changed = 0;

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
