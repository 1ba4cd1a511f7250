/*
 * Ids of events: where a stream goes on, for any worker of any gateway of the
 * group; what is sealed in them is core/stoa_eid.h's.
 *
 *   P  of a call: rid is its id, the source's eid is where its stream went on
 *   G  of the session's own stream: what of all its upstreams came last
 *   E  behind it nothing comes
 *
 * Process: workers.
 */

#include "ngx_http_stoa_relay.h"


/* Sources that there is no room for join where they are. */

ngx_int_t
ngx_http_stoa_mcp_eid_seal(ngx_http_stoa_mcp_t *mcp,
    const ngx_http_stoa_mcp_eid_t *e, stoa_buf_t *text)
{
    size_t      len;
    ngx_uint_t  n;
    stoa_buf_t  plain;

    stoa_buf_reset(text);

    if (stoa_buf_reserve(text, NGX_HTTP_STOA_MCP_EID_TEXT) != STOA_OK) {
        return NGX_ERROR;
    }

    stoa_buf_init(&plain, stoa_seal_plain_len(NGX_HTTP_STOA_MCP_EID_TEXT));
    n = e->n;

    for ( ;; ) {
        stoa_mcp_eid_write(&plain, e, n, ngx_http_stoa_wall_ms());

        if (plain.rc == STOA_OK || n == 0) {
            break;
        }

        n--;
        stoa_buf_reset(&plain);
    }

    len = 0;

    if (plain.rc == STOA_OK && (n || e->n == 0 || e->kind == 'G')) {
        len = stoa_seal(STOA_SEAL_EVENT, (int64_t) ngx_http_stoa_wall_ms(),
                        (stoa_str_t) { (char *) mcp->nonce,
                                       sizeof(mcp->nonce) },
                        (stoa_str_t) { plain.data, plain.len }, text->data,
                        NGX_HTTP_STOA_MCP_EID_TEXT);
        text->len = len;
    }

    stoa_buf_free(&plain);

    return len ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_stoa_mcp_eid_open(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    const ngx_str_t *text, ngx_http_stoa_mcp_eid_t *e)
{
    size_t   i, len;
    u_char  *plain;

    if (text->len < stoa_seal_text_len(1)
        || text->len > NGX_HTTP_STOA_MCP_EID_TEXT)
    {
        return NGX_DECLINED;
    }

    plain = ngx_pnalloc(r->pool, stoa_seal_plain_len(text->len));
    if (plain == NULL) {
        return NGX_ERROR;
    }

    if (!stoa_seal_open(STOA_SEAL_EVENT,
                        (stoa_str_t) { (char *) mcp->nonce,
                                       sizeof(mcp->nonce) },
                        (stoa_str_t) { (char *) text->data, text->len },
                        plain, &len)
        || !stoa_mcp_eid_read(plain, len, e))
    {
        return NGX_DECLINED;
    }

    for (i = 0; i < e->n; i++) {
        if (e->source[i].ref.version > NGX_HTTP_STOA_MCP_VERSIONS) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}
