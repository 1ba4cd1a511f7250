/*
 * How much a server is to log: the levels of syslog, the least severe first.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_mcp.h"


static const char *const
                  ngx_http_stoa_mcp_levels[NGX_HTTP_STOA_MCP_LEVELS_N] = {
    "debug", "info", "notice", "warning", "error", "critical", "alert",
    "emergency"
};


ngx_uint_t
ngx_http_stoa_mcp_level_find(const stoa_json_val_t *v)
{
    ngx_uint_t  i;

    for (i = 0;
         v->type == STOA_JSON_STRING && i < NGX_HTTP_STOA_MCP_LEVELS_N;
         i++)
    {
        if (stoa_json_eq(v, ngx_http_stoa_mcp_levels[i],
                         ngx_strlen(ngx_http_stoa_mcp_levels[i])))
        {
            return i + 1;
        }
    }

    return 0;
}


const char *
ngx_http_stoa_mcp_level_name(ngx_uint_t level)
{
    return ngx_http_stoa_mcp_levels[level - 1];
}


void
ngx_http_stoa_mcp_level_body(u_char *text, ngx_uint_t level, ngx_str_t *body)
{
    body->data = text;
    body->len = ngx_sprintf(text, "{\"jsonrpc\":\"2.0\",\"id\":\"stoa-level\","
                            "\"method\":\"logging/setLevel\",\"params\":{"
                            "\"level\":\"%s\"}}",
                            ngx_http_stoa_mcp_levels[level - 1])
                - text;
}
