/*
 * Ids of events.
 */

#include "stoa_eid.h"


#define STOA_MCP_EID_FORMAT  1
#define STOA_MCP_EID_HEAD    10


static void
stoa_mcp_eid_number(stoa_buf_t *b, uint64_t n, unsigned bytes)
{
    uint8_t  byte;

    while (bytes-- > 0) {
        byte = (uint8_t) (n >> 8 * bytes);
        stoa_buf_add(b, &byte, 1);
    }
}


void
stoa_mcp_eid_write(stoa_buf_t *b, const stoa_mcp_eid_t *e, unsigned n,
    uint64_t time_ms)
{
    unsigned  i;

    stoa_mcp_eid_number(b, STOA_MCP_EID_FORMAT, 1);
    stoa_mcp_eid_number(b, e->kind, 1);
    stoa_mcp_eid_number(b, time_ms, 8);
    stoa_mcp_eid_number(b, e->rid.len, 2);
    stoa_buf_add(b, e->rid.data, e->rid.len);
    stoa_mcp_eid_number(b, n, 1);

    for (i = 0; i < n; i++) {
        stoa_mcp_ref_write(b, &e->source[i].ref);
        stoa_mcp_eid_number(b, e->source[i].eid.len, 2);
        stoa_buf_add(b, e->source[i].eid.data, e->source[i].eid.len);
    }
}


static bool
stoa_mcp_eid_take(const uint8_t **p, const uint8_t *end, stoa_str_t *s)
{
    size_t  len;

    if (end - *p < 2) {
        return false;
    }

    len = (size_t) (*p)[0] << 8 | (*p)[1];
    *p += 2;

    if ((size_t) (end - *p) < len) {
        return false;
    }

    s->data = (const char *) *p;
    s->len = len;
    *p += len;

    return true;
}


bool
stoa_mcp_eid_read(const uint8_t *p, size_t len, stoa_mcp_eid_t *e)
{
    unsigned        i;
    const uint8_t  *end;

    end = p + len;

    if (len < STOA_MCP_EID_HEAD || p[0] != STOA_MCP_EID_FORMAT) {
        return false;
    }

    e->kind = p[1];
    p += STOA_MCP_EID_HEAD;

    if (!stoa_mcp_eid_take(&p, end, &e->rid) || p == end
        || *p > STOA_MCP_SOURCES)
    {
        return false;
    }

    e->n = *p++;

    for (i = 0; i < e->n; i++) {
        if (!stoa_mcp_ref_read(&p, end, &e->source[i].ref)
            || !stoa_mcp_eid_take(&p, end, &e->source[i].eid))
        {
            return false;
        }
    }

    return p == end;
}
