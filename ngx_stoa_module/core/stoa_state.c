/*
 * States of calls.
 */

#include "stoa_state.h"
#include "stoa_key.h"

#include <string.h>


#define STOA_MCP_STATE_FORMAT  1
#define STOA_MCP_STATE_HEAD    (8 + STOA_MCP_ID_PACKED)
#define STOA_MCP_STATE_SHORT   (STOA_MCP_STATE_LEN - STOA_PEER_MAX)


static uint8_t *
stoa_mcp_state_number(uint8_t *p, uint32_t n, unsigned bytes)
{
    while (bytes-- > 0) {
        *p++ = (uint8_t) (n >> 8 * bytes);
    }

    return p;
}


static uint32_t
stoa_mcp_state_take(const uint8_t **p, unsigned bytes)
{
    uint32_t  n;

    for (n = 0; bytes > 0; bytes--) {
        n = n << 8 | *(*p)++;
    }

    return n;
}


size_t
stoa_mcp_state_write(uint8_t *dst, const stoa_mcp_state_t *state)
{
    uint8_t  *p;

    p = stoa_mcp_state_number(dst, STOA_MCP_STATE_FORMAT, 1);
    p = stoa_mcp_state_number(p, state->kind, 1);
    p = stoa_mcp_state_number(p, state->issued_s, 4);
    p = stoa_mcp_state_number(p, state->ttl_s, 2);
    stoa_id_pack(state->api, p);
    p += STOA_MCP_ID_PACKED;

    if (state->kind == 'P') {
        memcpy(p, state->gateway, sizeof(state->gateway));
        p = stoa_mcp_state_number(p + sizeof(state->gateway), state->pid, 4);
        memcpy(p, state->park, sizeof(state->park));
        p = stoa_mcp_state_number(p + sizeof(state->park), state->round, 2);
        p = stoa_mcp_state_number(p, (uint32_t) state->peer_len, 1);
        memcpy(p, state->peer, state->peer_len);
        p += state->peer_len;
    }

    return (size_t) (p - dst);
}


bool
stoa_mcp_state_read(const uint8_t *p, size_t len, stoa_mcp_state_t *state)
{
    if (len < STOA_MCP_STATE_HEAD || *p++ != STOA_MCP_STATE_FORMAT) {
        return false;
    }

    memset(state, 0, sizeof(stoa_mcp_state_t));
    state->kind = *p++;
    state->issued_s = stoa_mcp_state_take(&p, 4);
    state->ttl_s = stoa_mcp_state_take(&p, 2);
    stoa_id_unpack(p, state->api);
    p += STOA_MCP_ID_PACKED;

    if (state->kind == 'R') {
        return len == STOA_MCP_STATE_HEAD;
    }

    if (state->kind != 'P' || len < STOA_MCP_STATE_SHORT
        || len > STOA_MCP_STATE_LEN)
    {
        return false;
    }

    memcpy(state->gateway, p, sizeof(state->gateway));
    p += sizeof(state->gateway);
    state->pid = stoa_mcp_state_take(&p, 4);
    memcpy(state->park, p, sizeof(state->park));
    p += sizeof(state->park);
    state->round = stoa_mcp_state_take(&p, 2);
    state->peer_len = stoa_mcp_state_take(&p, 1);

    if (state->peer_len != len - STOA_MCP_STATE_SHORT) {
        return false;
    }

    memcpy(state->peer, p, state->peer_len);

    return true;
}
