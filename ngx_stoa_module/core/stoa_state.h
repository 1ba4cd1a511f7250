/*
 * What is sealed in a requestState of MCP: which call waits where for what its
 * client says.  Numbers are big endian.
 *
 *   format 1, kind 1, issued_s 4, ttl_s 2, api 10
 *   P: gateway 16, pid 4, park 16, round 2, length 1 of its address, address
 *   R: nothing more
 *
 * Process: any.
 */

#ifndef STOA_STATE_H
#define STOA_STATE_H


#include "stoa_token.h"


#define STOA_PEER_MAX       200    /* of a gateway's address                */
#define STOA_MCP_STATE_LEN  (8 + STOA_MCP_ID_PACKED + 16 + 4 + 16 + 2       \
                             + 1 + STOA_PEER_MAX)


typedef struct {
    unsigned   kind;            /* P: the call waits; R: it begins anew      */
    uint32_t   issued_s;
    unsigned   ttl_s;
    char       api[STOA_ID_LEN];
    uint8_t    gateway[16];
    uint32_t   pid;             /* of the worker that has it                 */
    uint8_t    park[16];
    unsigned   round;
    size_t     peer_len;        /* 0: others cannot ask it                   */
    char       peer[STOA_PEER_MAX];
} stoa_mcp_state_t;


/* dst holds STOA_MCP_STATE_LEN bytes; returns how many there are. */
size_t stoa_mcp_state_write(uint8_t *dst, const stoa_mcp_state_t *state);
bool stoa_mcp_state_read(const uint8_t *p, size_t len,
    stoa_mcp_state_t *state);


#endif /* STOA_STATE_H */
