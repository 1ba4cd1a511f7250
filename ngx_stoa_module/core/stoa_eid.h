/*
 * What is sealed in the id of an event: where a stream of MCP goes on.
 * Numbers are big endian.
 *
 *   format 1, kind 1, time_ms 8, rid_len 2, rid, n 1, n sources
 *   source: ref (core/stoa_token.h), eid_len 2, eid
 *
 * Process: any.  What is read points into the caller's bytes.
 */

#ifndef STOA_EID_H
#define STOA_EID_H


#include "stoa_token.h"


#define STOA_MCP_SOURCES  16         /* of one stream                        */

typedef struct {
    unsigned        kind;            /* P, G, E                              */
    stoa_str_t      rid;             /* of P and E: the call's id, JSON      */
    unsigned        n;
    struct {
        stoa_mcp_ref_t  ref;
        stoa_str_t      eid;         /* "": it said none                     */
    } source[STOA_MCP_SOURCES];
} stoa_mcp_eid_t;


/* The first n sources; failures are in b->rc. */
void stoa_mcp_eid_write(stoa_buf_t *b, const stoa_mcp_eid_t *e, unsigned n,
    uint64_t time_ms);
bool stoa_mcp_eid_read(const uint8_t *p, size_t len, stoa_mcp_eid_t *e);


#endif /* STOA_EID_H */
