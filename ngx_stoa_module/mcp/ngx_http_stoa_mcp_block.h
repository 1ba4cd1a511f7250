/*
 * Inside of the map of upstream sessions.
 *
 *   _mcp_block.c  where an entry's id is
 *   _mcp_count.c  how many sessions there are of one kind
 *   _mcp_map.c    sets and entries
 *   _mcp_book.c   what tasks are of
 *   _mcp_pool.c   sessions without a client session, bounds
 *
 * Process: workers, under the lock of the entry's set.
 */

#ifndef NGX_HTTP_STOA_MCP_BLOCK_H
#define NGX_HTTP_STOA_MCP_BLOCK_H


#include "ngx_http_stoa_mcp_map.h"


#define NGX_HTTP_STOA_MCP_WAYS     32
#define NGX_HTTP_STOA_MCP_CLASSES  2
#define NGX_HTTP_STOA_MCP_INLINE   120
#define NGX_HTTP_STOA_MCP_COUNTED  2     /* an api's, an application's there */


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
    uint64_t   tag[NGX_HTTP_STOA_MCP_COUNTED];   /* counted as; 0: not so    */
    u_char     text[NGX_HTTP_STOA_MCP_INLINE];
} ngx_http_stoa_mcp_entry_t;

_Static_assert(sizeof(ngx_http_stoa_mcp_entry_t) == 200, "entry layout");

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

/* A set of counts. */

#define NGX_HTTP_STOA_MCP_COUNTS   5

typedef struct {
    uint64_t  lock;
    struct {
        uint64_t  tag;
        uint64_t  n;                 /* 0: free                              */
        uint64_t  busy;              /* none of them is idle until then      */
    } way[NGX_HTTP_STOA_MCP_COUNTS];
} ngx_http_stoa_mcp_counts_t;

/* Tasks: the name by which a tool was called. */

#define NGX_HTTP_STOA_MCP_BOOK_WAYS  4
#define NGX_HTTP_STOA_MCP_BOOK_NAME  232

typedef struct {
    uint64_t  lock;
    struct {
        uint64_t  tag;               /* 0: free                              */
        uint64_t  used;
        uint64_t  len;
        u_char    name[NGX_HTTP_STOA_MCP_BOOK_NAME];
    } way[NGX_HTTP_STOA_MCP_BOOK_WAYS];
} ngx_http_stoa_mcp_page_t;

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
    uint64_t                   hand;         /* who looks for idle ones      */
    uint64_t                   counts_off;
    uint64_t                   ncounts;
    uint64_t                   book_off;
    uint64_t                   npages;
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


/* ---- _mcp_count.c ------------------------------------------------------- */

/* The entry is a session of this application at its api, or is to be one; app
 * 0: it is none (any more). */
void ngx_http_stoa_mcp_count(ngx_http_stoa_mcp_map_t *m,
    ngx_http_stoa_mcp_entry_t *e, const stoa_id_t *api, uint64_t app);
/* How many; busy: none of them is idle until then, or 0, and set if it is said
 * to be later. */
uint64_t ngx_http_stoa_mcp_counted(ngx_http_stoa_mcp_map_t *m, uint64_t tag,
    uint64_t *busy);


/* ---- _mcp_map.c --------------------------------------------------------- */

/* Of this worker. */
extern ngx_http_stoa_mcp_map_t  *ngx_http_stoa_mcp_map;

ngx_http_stoa_mcp_set_t *ngx_http_stoa_mcp_map_set(uint64_t number);
ngx_http_stoa_mcp_set_t *ngx_http_stoa_mcp_set_lock(uint64_t key);
ngx_http_stoa_mcp_entry_t *ngx_http_stoa_mcp_entry(
    ngx_http_stoa_mcp_set_t *set, ngx_uint_t i);
/* The key's entry; NULL: it has none.  make: one in the place of whoever was
 * idle longest; *left: his session, or len 0. */
ngx_http_stoa_mcp_entry_t *ngx_http_stoa_mcp_entry_of(
    ngx_http_stoa_mcp_set_t *set, uint64_t key, ngx_uint_t make,
    ngx_http_stoa_mcp_upstream_t *left);
void ngx_http_stoa_mcp_entry_clear(ngx_http_stoa_mcp_set_t *set,
    ngx_uint_t i);
/* Takes the session out; NGX_OK: out is one that its upstream still keeps. */
ngx_int_t ngx_http_stoa_mcp_entry_take(ngx_http_stoa_mcp_set_t *set,
    ngx_uint_t i, ngx_http_stoa_mcp_upstream_t *out);
/* Without a lock: it may ask the upstream. */
void ngx_http_stoa_mcp_map_leaves(const ngx_http_stoa_mcp_upstream_t *up);
/* owner: of a pool, or 0. */
void ngx_http_stoa_mcp_put(uint64_t key,
    const ngx_http_stoa_mcp_upstream_t *in, uint64_t owner);


#endif /* NGX_HTTP_STOA_MCP_BLOCK_H */
