/*
 * What an event of an upstream is, for the call that it answers.
 *
 *   the answer to it                                 the last event
 *   a notification, a request of a legacy server     passed on as it came
 *   a name other than "message", no data             dropped
 *   an answer to something else, what is no message  a fault
 */

#include "ngx_http_stoa_stream.h"


ngx_http_stoa_mcp_event_e
ngx_http_stoa_mcp_event(ngx_http_stoa_mcp_t *mcp,
    const stoa_sse_event_t *event, const char **why)
{
    stoa_glance_t  g;

    if (event->data.len == 0
        || (event->event.len
            && (event->event.len != 7
                || ngx_memcmp(event->event.data, "message", 7) != 0)))
    {
        return NGX_HTTP_STOA_MCP_EVENT_DROP;
    }

    if (stoa_glance(event->data.data, event->data.len, &g) != STOA_OK) {
        *why = "an event that is no message";
        return NGX_HTTP_STOA_MCP_EVENT_FAULT;
    }

    switch (g.kind) {

    case STOA_GLANCE_NOTIFICATION:
        return NGX_HTTP_STOA_MCP_EVENT_PASS;

    case STOA_GLANCE_REQUEST:

        if (!mcp->modern) {
            return NGX_HTTP_STOA_MCP_EVENT_PASS;
        }

        *why = "a request of the server";
        return NGX_HTTP_STOA_MCP_EVENT_FAULT;

    default:
        break;
    }

    if (stoa_glance_same(&g.id, &mcp->msg.id)) {
        return NGX_HTTP_STOA_MCP_EVENT_ANSWER;
    }

    *why = "an answer to something else";
    return NGX_HTTP_STOA_MCP_EVENT_FAULT;
}
