/*
 * How many sessions the map has at an api, and of an application there.
 *
 * An entry says as what it is counted, so that it is counted once.  A process
 * that is killed between the two leaves a count that is one too high or too
 * low; which is no more than a bound that is another one by that.
 *
 * Process: workers, under the lock of the entry's set.
 */

#include "ngx_http_stoa_mcp_block.h"
#include "core/stoa_key.h"


/* Locked. */

static ngx_http_stoa_mcp_counts_t *
ngx_http_stoa_mcp_counts(ngx_http_stoa_mcp_map_t *m, uint64_t tag)
{
    ngx_http_stoa_mcp_counts_t  *c;

    c = (ngx_http_stoa_mcp_counts_t *) ((u_char *) m + m->counts_off)
        + (tag >> 1) % m->ncounts;

    ngx_http_stoa_lock_take(&c->lock);

    return c;
}


static void
ngx_http_stoa_mcp_count_add(ngx_http_stoa_mcp_map_t *m, uint64_t tag,
    ngx_uint_t up)
{
    ngx_uint_t                   i, free;
    ngx_http_stoa_mcp_counts_t  *c;

    c = ngx_http_stoa_mcp_counts(m, tag);
    free = NGX_HTTP_STOA_MCP_COUNTS;

    for (i = 0; i < NGX_HTTP_STOA_MCP_COUNTS; i++) {

        if (c->way[i].n && c->way[i].tag == tag) {
            free = NGX_HTTP_STOA_MCP_COUNTS;
            c->way[i].n = up ? c->way[i].n + 1 : c->way[i].n - 1;
            break;
        }

        if (c->way[i].n == 0) {
            free = i;
        }
    }

    if (up && free < NGX_HTTP_STOA_MCP_COUNTS) {
        c->way[free].tag = tag;
        c->way[free].n = 1;
        c->way[free].busy = 0;
    }

    ngx_http_stoa_lock_drop(&c->lock);
}


void
ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map_t *m,
    ngx_http_stoa_mcp_entry_t *e, const stoa_id_t *api, uint64_t app)
{
    uint64_t    tag[NGX_HTTP_STOA_MCP_COUNTED];
    ngx_uint_t  i;

    ngx_memzero(tag, sizeof(tag));

    if (app) {
        tag[0] = stoa_hash64(api, STOA_ID_LEN, m->secret[0]) | 1;
        tag[1] = stoa_hash64(&app, sizeof(app), tag[0]) | 1;
    }

    for (i = 0; i < NGX_HTTP_STOA_MCP_COUNTED; i++) {

        if (e->tag[i] == tag[i]) {
            continue;
        }

        if (e->tag[i]) {
            ngx_http_stoa_mcp_count_add(m, e->tag[i], 0);
        }

        e->tag[i] = tag[i];

        if (tag[i]) {
            ngx_http_stoa_mcp_count_add(m, tag[i], 1);
        }
    }
}


uint64_t
ngx_http_stoa_mcp_counted(ngx_http_stoa_mcp_map_t *m, uint64_t tag,
    uint64_t *busy)
{
    uint64_t                     n;
    ngx_uint_t                   i;
    ngx_http_stoa_mcp_counts_t  *c;

    c = ngx_http_stoa_mcp_counts(m, tag);
    n = 0;

    for (i = 0; i < NGX_HTTP_STOA_MCP_COUNTS; i++) {
        if (c->way[i].n && c->way[i].tag == tag) {
            n = c->way[i].n;
            *busy = ngx_max(*busy, c->way[i].busy);
            c->way[i].busy = *busy;
        }
    }

    ngx_http_stoa_lock_drop(&c->lock);

    return n;
}
