/*
 * What is sealed in an MCP session's id, and how a session at an upstream is
 * written there and in other sealed texts.  Numbers are big endian.
 *
 *   token    format 1, version 1, flags 2, issued_s 4, nonce 16, caps_len 2,
 *            caps, n 1, n references
 *   ref      api 10, target 1, version 1, sid_len 2, sid
 *
 * Process: any.  What is read points into the caller's bytes.
 */

#ifndef STOA_TOKEN_H
#define STOA_TOKEN_H


#include "stoa_json.h"


#define STOA_MCP_NONCE         16
#define STOA_MCP_CAPS_MAX      768
#define STOA_MCP_SID_MAX       4096
#define STOA_MCP_CARRIED       4      /* sessions at upstreams, in a token  */
#define STOA_MCP_CARRIED_SID   256
#define STOA_MCP_ID_PACKED     10
#define STOA_MCP_REF_HEAD      (STOA_MCP_ID_PACKED + 4)
#define STOA_MCP_TOKEN_HEAD    (8 + STOA_MCP_NONCE + 2 + 1)


typedef struct {
    char         api[STOA_ID_LEN];
    unsigned     target;              /* of the api's, 0..255               */
    unsigned     version;             /* a row + 1; 0: 2024-11-05, or none  */
    stoa_str_t   sid;                 /* "": it keeps no session            */
} stoa_mcp_ref_t;

typedef struct {
    unsigned        version;
    uint32_t        issued_s;
    uint8_t         nonce[STOA_MCP_NONCE];
    stoa_str_t      caps;             /* of the client: a JSON object       */
    unsigned        n;
    stoa_mcp_ref_t  carried[STOA_MCP_CARRIED];
} stoa_mcp_token_t;


/* Failures are in b->rc. */
void stoa_mcp_ref_write(stoa_buf_t *b, const stoa_mcp_ref_t *ref);
/* Moves *p behind it; false: it is none. */
bool stoa_mcp_ref_read(const uint8_t **p, const uint8_t *end,
    stoa_mcp_ref_t *ref);
void stoa_mcp_token_write(stoa_buf_t *b, const stoa_mcp_token_t *token);
bool stoa_mcp_token_read(const uint8_t *p, size_t len,
    stoa_mcp_token_t *token);

/* Appends the client's capabilities without white space; when they are longer
 * than STOA_MCP_CAPS_MAX, those alone that the gateway knows.  NULL, or no
 * object: {}. */
void stoa_mcp_caps(stoa_buf_t *b, const stoa_json_val_t *caps);


#endif /* STOA_TOKEN_H */
