/*
 * The protocol versions that are spoken.
 */

#include "ngx_http_stoa_mcp.h"


const ngx_http_stoa_mcp_version_t  ngx_http_stoa_mcp_versions[] = {
    { ngx_string("2024-11-05"), 0, 1 },
    { ngx_string("2025-03-26"), 0, 1 },
    { ngx_string("2025-06-18"), 0, 0 },
    { ngx_string("2025-11-25"), 0, 0 },
    { ngx_string("2026-07-28"), 1, 0 }
};


ngx_uint_t
ngx_http_stoa_mcp_version_find(const char *s, size_t len)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_MCP_VERSIONS; i++) {
        if (ngx_http_stoa_mcp_versions[i].name.len == len
            && ngx_memcmp(ngx_http_stoa_mcp_versions[i].name.data, s, len)
               == 0)
        {
            return i;
        }
    }

    return NGX_HTTP_STOA_MCP_VERSION_NONE;
}


void
ngx_http_stoa_mcp_version_list(stoa_buf_t *b, ngx_uint_t modern,
    ngx_uint_t legacy)
{
    ngx_str_t   name;
    ngx_uint_t  i, first;

    first = 1;
    stoa_buf_addz(b, "[");

    for (i = NGX_HTTP_STOA_MCP_VERSIONS; i-- > 0; /* void */) {

        if (!(ngx_http_stoa_mcp_versions[i].modern ? modern : legacy)) {
            continue;
        }

        name = ngx_http_stoa_mcp_versions[i].name;
        stoa_buf_addf(b, "%s\"%.*s\"", first ? "" : ",", (int) name.len,
                      name.data);
        first = 0;
    }

    stoa_buf_addz(b, "]");
}
