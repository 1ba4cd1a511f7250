/*
 * Opening a session at an upstream: initialize, then initialized.
 *
 * Process: workers.  Lifetime: its own pool, until done() has returned.
 * Nobody's request: what one has begun others may wait for, and a session
 * that nobody has taken would be left behind at the upstream.
 */

#include "ngx_http_stoa_mcp_ask.h"
#include "core/stoa_rec_table.h"


/* Nothing else is in the session yet; 0 is no id for some servers. */
#define NGX_HTTP_STOA_MCP_OPEN_ID  "\"stoa-0\""


static void ngx_http_stoa_mcp_open_accepted(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static ngx_uint_t ngx_http_stoa_mcp_open_read(ngx_http_stoa_mcp_open_t *o,
    ngx_http_stoa_mcp_ask_t *ask);
static ngx_int_t ngx_http_stoa_mcp_open_initialized(
    ngx_http_stoa_mcp_open_t *o);
static void ngx_http_stoa_mcp_open_told(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static void ngx_http_stoa_mcp_open_end(ngx_http_stoa_mcp_open_t *o);


ngx_http_stoa_mcp_open_t *
ngx_http_stoa_mcp_open_create(ngx_http_stoa_api_t *api)
{
    ngx_pool_t                *pool;
    ngx_http_stoa_mcp_open_t  *o;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    o = ngx_pcalloc(pool, sizeof(ngx_http_stoa_mcp_open_t));
    if (o == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    o->pool = pool;
    o->api = api;
    ngx_str_set(&o->capabilities, "{}");
    ngx_http_stoa_api_hold(api);

    return o;
}


void
ngx_http_stoa_mcp_open_free(ngx_http_stoa_mcp_open_t *o)
{
    ngx_http_stoa_api_release(o->api);
    ngx_destroy_pool(o->pool);
}


ngx_int_t
ngx_http_stoa_mcp_open_start(ngx_http_stoa_mcp_open_t *o)
{
    u_char                   *p;
    const ngx_str_t          *version;
    ngx_http_stoa_mcp_ask_t  *ask;

    static ngx_str_t  none = ngx_null_string;

    version = &ngx_http_stoa_mcp_versions[o->version].name;
    o->up.version = NGX_HTTP_STOA_MCP_VERSION_NONE;
    o->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE;

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(ask->pool, 256 + o->capabilities.len);

    if (p == NULL
        || ngx_http_stoa_upstream_fetch(ask->fetch, o->api, &o->via, &none,
                                        NULL)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    ask->fetch->body.data = p;
    ask->fetch->body.len = ngx_sprintf(p, "{\"jsonrpc\":\"2.0\","
                              "\"id\":" NGX_HTTP_STOA_MCP_OPEN_ID ","
                              "\"method\":\"initialize\",\"params\":{"
                              "\"protocolVersion\":\"%V\","
                              "\"capabilities\":%V,\"clientInfo\":{"
                              "\"name\":\"stoa-gateway\",\"version\":\""
                              NGX_HTTP_STOA_VERSION "\"}}}",
                              version, &o->capabilities)
                           - p;

    ask->id.type = STOA_JSON_STRING;
    ask->id.start = NGX_HTTP_STOA_MCP_OPEN_ID;
    ask->id.end = ask->id.start + sizeof(NGX_HTTP_STOA_MCP_OPEN_ID) - 1;

    ask->fetch->headers = o->headers;
    ask->fetch->subject = o->subject;
    ask->fetch->group = o->group;
    ask->fetch->deadline = ngx_current_msec + ask->fetch->connect_timeout
                           + ask->fetch->read_timeout;
    ask->fetch->stay = 1;
    ask->done = ngx_http_stoa_mcp_open_accepted;
    ask->data = o;

    /* a session that was made and lost is ended by the upstream in time */

    ask->fetch->idempotent = 1;

    ngx_http_stoa_mcp_ask_start(ask);

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_open_accepted(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_open_t *o = data;

    o->fault = ask->fault;
    o->target = ngx_http_stoa_upstream_fetched(ask->fetch);
    o->opened = ask->answered && ask->result.start
                && ngx_http_stoa_mcp_open_read(o, ask);

    if (!o->opened || ngx_http_stoa_mcp_open_initialized(o) != NGX_OK) {
        ngx_http_stoa_mcp_open_end(o);
    }
}


static ngx_uint_t
ngx_http_stoa_mcp_open_failed(ngx_http_stoa_mcp_open_t *o, const char *why)
{
    o->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
    ngx_http_stoa_mcp_fault_say(&o->fault, why);

    return 0;
}


static ngx_uint_t
ngx_http_stoa_mcp_open_read(ngx_http_stoa_mcp_open_t *o,
    ngx_http_stoa_mcp_ask_t *ask)
{
    size_t           i;
    stoa_str_t       sid, version;
    ngx_uint_t       row;

    if (ask->result.type != STOA_JSON_OBJECT
        || !stoa_json_get_text(&ask->result, "protocolVersion", &version))
    {
        return ngx_http_stoa_mcp_open_failed(o, "no protocolVersion");
    }

    row = ngx_http_stoa_mcp_version_find(version.data, version.len);

    /* 2024-11-05 over this transport: the header is not known there */

    if (row != NGX_HTTP_STOA_MCP_VERSION_NONE
        && ngx_http_stoa_mcp_versions[row].modern)
    {
        return ngx_http_stoa_mcp_open_failed(o, "a protocolVersion without "
                                             "sessions");
    }

    o->up.version = row == NGX_HTTP_STOA_MCP_VERSION_FIRST
                    ? NGX_HTTP_STOA_MCP_VERSION_NONE : row;

    switch (stoa_http_header(&ask->fetch->http, "mcp-session-id", &sid)) {

    case 0:
        return 1;

    case 1:
        break;

    default:
        return ngx_http_stoa_mcp_open_failed(o, "two of Mcp-Session-Id");
    }

    if (sid.len == 0 || sid.len > NGX_HTTP_STOA_MCP_SID_MAX) {
        return ngx_http_stoa_mcp_open_failed(o, sid.len
                                       ? "its Mcp-Session-Id is too long"
                                       : "its Mcp-Session-Id is empty");
    }

    for (i = 0; i < sid.len; i++) {
        if (sid.data[i] < 0x21 || sid.data[i] > 0x7e) {
            return ngx_http_stoa_mcp_open_failed(o, "its Mcp-Session-Id has "
                                                 "other characters than it "
                                                 "may");
        }
    }

    o->up.len = sid.len;
    ngx_memcpy(o->up.sid, sid.data, sid.len);

    return 1;
}


static ngx_int_t
ngx_http_stoa_mcp_open_initialized(ngx_http_stoa_mcp_open_t *o)
{
    ngx_http_stoa_mcp_ask_t  *ask;

    static ngx_str_t  none = ngx_null_string;

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_mcp_ask_session(ask, &o->headers, &o->up) != NGX_OK
        || ngx_http_stoa_upstream_fetch(ask->fetch, o->api, &o->via, &none,
                                        &o->target)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    ask->fetch->subject = o->subject;
    ngx_str_set(&ask->fetch->body, "{\"jsonrpc\":\"2.0\","
                "\"method\":\"notifications/initialized\"}");
    ask->fetch->deadline = ngx_current_msec + ask->fetch->connect_timeout
                           + ask->fetch->read_timeout;
    ask->fetch->stay = 1;
    ask->fetch->idempotent = 1;
    ask->done = ngx_http_stoa_mcp_open_told;
    ask->data = o;

    ngx_http_stoa_mcp_ask_start(ask);

    return NGX_OK;
}


/* Whatever was said to it, the session is open. */

static void
ngx_http_stoa_mcp_open_told(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_open_end(data);
}


static void
ngx_http_stoa_mcp_open_end(ngx_http_stoa_mcp_open_t *o)
{
    stoa_str_t  name;

    if (!o->opened) {
        name = stoa_rec_str(o->api->rec, o->api->rec->name);
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "the MCP upstream \"%*s\" did not accept initialize: "
                      "%V%s%*s", name.len, name.data,
                      &ngx_http_stoa_refusals[o->fault.what].code,
                      o->fault.len ? ", " : "", o->fault.len, o->fault.text);
    }

    o->done(o, o->data);
    ngx_http_stoa_mcp_open_free(o);
}
