/*
 * Inside of the map of upstream sessions: where an entry's id is.
 *
 * Process: workers, under the lock of the entry's set.
 */

#ifndef NGX_HTTP_STOA_MCP_BLOCK_H
#define NGX_HTTP_STOA_MCP_BLOCK_H


#include "ngx_http_stoa_mcp_map.h"


#define NGX_HTTP_STOA_MCP_WAYS     32
#define NGX_HTTP_STOA_MCP_CLASSES  2
#define NGX_HTTP_STOA_MCP_INLINE   120


typedef struct {
    stoa_id_t  api;
    uint64_t   used;
    uint64_t   deadline;             /* of connecting; 0: ready; 1: nothing  */
    uint64_t   pid;                  /* who connects                         */
    uint64_t   owner;                /* of a pool; 0: of a client session    */
    uint32_t   block;                /* its number + 1; 0: none              */
    uint16_t   len;                  /* of the sealed id; 0: no session kept */
    uint8_t    class;
    uint8_t    version;
    uint8_t    target;
    uint8_t    doubt;
    uint8_t    failed;
    uint8_t    unused[5];
    u_char     text[NGX_HTTP_STOA_MCP_INLINE];
} ngx_http_stoa_mcp_entry_t;

_Static_assert(sizeof(ngx_http_stoa_mcp_entry_t) == 184, "entry layout");

typedef struct {
    uint64_t  lock;
    uint64_t  unused[7];
    uint64_t  key[NGX_HTTP_STOA_MCP_WAYS];
} ngx_http_stoa_mcp_set_t;

typedef struct {
    uint64_t  lock;
    uint64_t  hand;
    uint64_t  off;
    uint64_t  n;
} ngx_http_stoa_mcp_class_t;

/* The start of the file; the rest of its page is zero. */

struct ngx_http_stoa_mcp_map_s {
    uint64_t                   magic;
    uint64_t                   layout;
    uint64_t                   size;
    uint64_t                   sets_off;
    uint64_t                   nsets;
    uint64_t                   entries_off;
    uint64_t                   ended_off;
    uint64_t                   nended;
    uint64_t                   ended;
    uint64_t                   swept;
    uint64_t                   secret[2];    /* of the names of pools        */
    ngx_http_stoa_mcp_class_t  class[NGX_HTTP_STOA_MCP_CLASSES];
};


uint64_t ngx_http_stoa_mcp_block_size(ngx_uint_t class);
ngx_http_stoa_mcp_entry_t *ngx_http_stoa_mcp_block_entry(
    ngx_http_stoa_mcp_map_t *m, uint64_t i);
/* NGX_DECLINED: there is none, or it does not open any more. */
ngx_int_t ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map_t *m,
    uint64_t key, ngx_http_stoa_mcp_entry_t *e,
    ngx_http_stoa_mcp_upstream_t *out);
/* left: whose block it took, or len 0. */
ngx_int_t ngx_http_stoa_mcp_block_put(ngx_http_stoa_mcp_map_t *m,
    uint64_t key, ngx_http_stoa_mcp_entry_t *e,
    const ngx_http_stoa_mcp_upstream_t *in,
    ngx_http_stoa_mcp_upstream_t *left);


#endif /* NGX_HTTP_STOA_MCP_BLOCK_H */
