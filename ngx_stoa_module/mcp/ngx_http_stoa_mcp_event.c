/*
 * What an event of an upstream is, for the call that it answers, and what its
 * client gets of it.
 */

#include "ngx_http_stoa_stream.h"
#include "ngx_http_stoa_zone.h"


/* What a server may ask a client, who has to have declared it. */

static const struct {
    ngx_str_t    method;
    const char  *capability;
} ngx_http_stoa_mcp_asked[] = {
    { ngx_string("\"elicitation/create\""), "elicitation" },
    { ngx_string("\"sampling/createMessage\""), "sampling" },
    { ngx_string("\"roots/list\""), "roots" },
    { ngx_null_string, NULL }
};


static const ngx_str_t  ngx_http_stoa_mcp_own[] = {
    ngx_string("\"notifications/tools/list_changed\""),
    ngx_string("\"notifications/prompts/list_changed\""),
    ngx_string("\"notifications/resources/list_changed\""),
    ngx_null_string
};


static ngx_http_stoa_mcp_event_e ngx_http_stoa_mcp_event_request(
    ngx_http_stoa_mcp_t *mcp, stoa_glance_t *g, const char **why);
static ngx_uint_t ngx_http_stoa_mcp_event_is(const stoa_json_val_t *v,
    const ngx_str_t *text);


ngx_http_stoa_mcp_event_e
ngx_http_stoa_mcp_event(ngx_http_stoa_mcp_t *mcp,
    const stoa_sse_event_t *event, stoa_glance_t *g, const char **why)
{
    ngx_uint_t  i;

    static ngx_str_t  cancelled = ngx_string("\"notifications/cancelled\"");
    static ngx_str_t  progress = ngx_string("\"notifications/progress\"");

    if (event->data.len == 0
        || (event->event.len
            && (event->event.len != 7
                || ngx_memcmp(event->event.data, "message", 7) != 0)))
    {
        return NGX_HTTP_STOA_MCP_EVENT_DROP;
    }

    if (stoa_glance(event->data.data, event->data.len, g) != STOA_OK) {
        *why = "an event that is no message";
        return NGX_HTTP_STOA_MCP_EVENT_FAULT;
    }

    switch (g->kind) {

    case STOA_GLANCE_NOTIFICATION:

        /* lists are the gateway's own, and so is what tells of them: the
         * control plane reads them anew */

        for (i = 0; ngx_http_stoa_mcp_own[i].len; i++) {
            if (ngx_http_stoa_mcp_event_is(&g->method,
                                           &ngx_http_stoa_mcp_own[i]))
            {
                return NGX_HTTP_STOA_MCP_EVENT_LISTS;
            }
        }

        if (mcp->bridged) {
            return ngx_http_stoa_mcp_event_is(&g->method, &progress)
                   ? NGX_HTTP_STOA_MCP_EVENT_PASS
                   : NGX_HTTP_STOA_MCP_EVENT_DROP;
        }

        return !mcp->modern
               && ngx_http_stoa_mcp_event_is(&g->method, &cancelled)
               ? NGX_HTTP_STOA_MCP_EVENT_MARK : NGX_HTTP_STOA_MCP_EVENT_PASS;

    case STOA_GLANCE_REQUEST:
        return ngx_http_stoa_mcp_event_request(mcp, g, why);

    default:
        break;
    }

    if (stoa_glance_same(&g->id, &mcp->msg.id)) {
        return NGX_HTTP_STOA_MCP_EVENT_ANSWER;
    }

    *why = "an answer to something else";
    return NGX_HTTP_STOA_MCP_EVENT_FAULT;
}


static ngx_http_stoa_mcp_event_e
ngx_http_stoa_mcp_event_request(ngx_http_stoa_mcp_t *mcp, stoa_glance_t *g,
    const char **why)
{
    ngx_uint_t       i;
    stoa_json_val_t  caps, v;

    static ngx_str_t  ping = ngx_string("\"ping\"");

    if (mcp->modern && !mcp->bridged) {
        *why = "a request of the server";
        return NGX_HTTP_STOA_MCP_EVENT_FAULT;
    }

    if (ngx_http_stoa_mcp_event_is(&g->method, &ping)) {
        return NGX_HTTP_STOA_MCP_EVENT_PING;
    }

    caps.type = STOA_JSON_OBJECT;
    caps.start = (char *) mcp->capabilities.data;
    caps.end = caps.start + mcp->capabilities.len;

    for (i = 0; ngx_http_stoa_mcp_asked[i].method.len; i++) {

        if (ngx_http_stoa_mcp_event_is(&g->method,
                                       &ngx_http_stoa_mcp_asked[i].method))
        {
            return mcp->capabilities.len
                   && stoa_json_get(&caps,
                                    ngx_http_stoa_mcp_asked[i].capability, &v)
                   ? NGX_HTTP_STOA_MCP_EVENT_ASK
                   : NGX_HTTP_STOA_MCP_EVENT_UNKNOWN;
        }
    }

    return NGX_HTTP_STOA_MCP_EVENT_UNKNOWN;
}


static ngx_uint_t
ngx_http_stoa_mcp_event_is(const stoa_json_val_t *v, const ngx_str_t *text)
{
    return (size_t) (v->end - v->start) == text->len
           && ngx_memcmp(v->start, text->data, text->len) == 0;
}


/*
 * The message with marks in the place of the ids that are the server's: of the
 * request itself, of its progress, of the request that is cancelled.
 */

ngx_int_t
ngx_http_stoa_mcp_event_mark(ngx_http_stoa_mcp_t *mcp,
    const stoa_mcp_ref_t *ref, const stoa_str_t *data, const stoa_glance_t *g,
    stoa_buf_t *out)
{
    ngx_int_t          rc;
    ngx_uint_t         i, n;
    const char        *p;
    stoa_json_val_t    meta, at[2], swap;
    stoa_seal_kind_e   kind[2];

    n = 0;

    if (g->kind == STOA_GLANCE_REQUEST) {
        at[n] = g->id;
        kind[n++] = STOA_SEAL_REQUEST;

        if (stoa_glance_get(&g->params, "_meta", &meta)
            && stoa_glance_get(&meta, "progressToken", &at[n]))
        {
            kind[n++] = STOA_SEAL_PROGRESS;
        }

    } else if (stoa_glance_get(&g->params, "requestId", &at[n])) {
        kind[n++] = STOA_SEAL_REQUEST;
    }

    if (n == 2 && at[1].start < at[0].start) {
        swap = at[0];
        at[0] = at[1];
        at[1] = swap;
        kind[0] = STOA_SEAL_PROGRESS;
        kind[1] = STOA_SEAL_REQUEST;
    }

    stoa_buf_reset(out);
    p = data->data;

    for (i = 0; i < n; i++) {
        stoa_buf_add(out, p, at[i].start - p);

        rc = ngx_http_stoa_mcp_mark(mcp, kind[i], ref, &at[i], out);
        if (rc != NGX_OK) {
            return rc;
        }

        p = at[i].end;
    }

    stoa_buf_add(out, p, data->data + data->len - p);

    return out->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


void
ngx_http_stoa_mcp_lists_changed(ngx_http_request_t *r,
    const ngx_http_stoa_api_t *api)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_http_stoa_hint_note(mcf->sh, NGX_HTTP_STOA_HINT_CATALOG, &api->id);
}
