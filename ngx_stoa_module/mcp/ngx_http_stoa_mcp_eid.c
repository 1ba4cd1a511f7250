/*
 * Ids of events: where a stream goes on, for any worker of any gateway of the
 * group.
 *
 *   sealed: format 1, kind 1, time_ms 8, rid_len 2, rid, n 1, n sources
 *   source: ref (core/stoa_token.h), eid_len 2, eid
 *
 *   P  of a call: rid is its id, the source's eid is where its stream went on
 *   G  of the session's own stream: what of all its upstreams came last
 *   E  behind it nothing comes
 *
 * Process: workers.
 */

#include "ngx_http_stoa_relay.h"


#define NGX_HTTP_STOA_MCP_EID_FORMAT  1


static void
ngx_http_stoa_mcp_eid_number(stoa_buf_t *b, uint64_t n, ngx_uint_t bytes)
{
    uint8_t  byte;

    while (bytes-- > 0) {
        byte = (uint8_t) (n >> 8 * bytes);
        stoa_buf_add(b, &byte, 1);
    }
}


static ngx_uint_t
ngx_http_stoa_mcp_eid_plain(const ngx_http_stoa_mcp_eid_t *e, stoa_buf_t *b,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    stoa_buf_reset(b);
    ngx_http_stoa_mcp_eid_number(b, NGX_HTTP_STOA_MCP_EID_FORMAT, 1);
    ngx_http_stoa_mcp_eid_number(b, e->kind, 1);
    ngx_http_stoa_mcp_eid_number(b, ngx_http_stoa_wall_ms(), 8);
    ngx_http_stoa_mcp_eid_number(b, e->rid.len, 2);
    stoa_buf_add(b, e->rid.data, e->rid.len);
    ngx_http_stoa_mcp_eid_number(b, n, 1);

    for (i = 0; i < n; i++) {
        stoa_mcp_ref_write(b, &e->source[i].ref);
        ngx_http_stoa_mcp_eid_number(b, e->source[i].eid.len, 2);
        stoa_buf_add(b, e->source[i].eid.data, e->source[i].eid.len);
    }

    return b->rc == STOA_OK;
}


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

    while (!ngx_http_stoa_mcp_eid_plain(e, &plain, n) && n > 0) {
        n--;
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


static ngx_int_t
ngx_http_stoa_mcp_eid_take(const uint8_t **p, const uint8_t *end,
    stoa_str_t *s)
{
    size_t  len;

    if (end - *p < 2) {
        return NGX_DECLINED;
    }

    len = (size_t) (*p)[0] << 8 | (*p)[1];
    *p += 2;

    if ((size_t) (end - *p) < len) {
        return NGX_DECLINED;
    }

    s->data = (const char *) *p;
    s->len = len;
    *p += len;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_eid_open(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    const ngx_str_t *text, ngx_http_stoa_mcp_eid_t *e)
{
    size_t          i, len;
    u_char         *plain;
    const uint8_t  *p, *end;

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
        || len < 13 || plain[0] != NGX_HTTP_STOA_MCP_EID_FORMAT)
    {
        return NGX_DECLINED;
    }

    e->kind = plain[1];
    p = plain + 10;
    end = plain + len;

    if (ngx_http_stoa_mcp_eid_take(&p, end, &e->rid) != NGX_OK || p == end
        || *p > NGX_HTTP_STOA_MCP_SOURCES)
    {
        return NGX_DECLINED;
    }

    e->n = *p++;

    for (i = 0; i < e->n; i++) {
        if (!stoa_mcp_ref_read(&p, end, &e->source[i].ref)
            || e->source[i].ref.version > NGX_HTTP_STOA_MCP_VERSIONS
            || ngx_http_stoa_mcp_eid_take(&p, end, &e->source[i].eid)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}
