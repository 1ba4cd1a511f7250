/*
 * The map of upstream sessions: a file beside the counters, mapped by all
 * workers, so that they share it and a restart finds it again.
 *
 * What is in it is soft: a session that is lost is opened again.  Sets of 32
 * entries under a lock that survives its holder; the sessions of one client
 * session lie in the four sets that its half of the keys names, so that all of
 * them are found.  Ids are sealed by the group's keys: short ones stand in
 * their entry, others in a block of one of two sizes, which says whose it is;
 * what a killed process left half done is no entry, and a block without one is
 * free.  Full: the one that was idle longest goes.
 *
 * Process: the file is made in the master, mapped by each worker.
 * Lifetime: the file's; times are those of the wall clock.
 * Limits: a quarter of the counters' size: 50,000 entries, 3,300 ids of more
 * than 60 bytes, 440 of more than 510, with the default; an id 4,096 bytes.
 * How many there may be at an api, and of one application: stoa_mcp_sessions.
 */

#ifndef NGX_HTTP_STOA_MCP_MAP_H
#define NGX_HTTP_STOA_MCP_MAP_H


#include "ngx_http_stoa_lock.h"
#include "core/stoa_token.h"


typedef struct ngx_http_stoa_mcp_map_s  ngx_http_stoa_mcp_map_t;


/* A session at an upstream. */

typedef struct {
    size_t      len;
    ngx_uint_t  version;
    ngx_uint_t  target;               /* of the api's, which has it         */
    stoa_id_t   api;
    uint64_t    app;                  /* for _find, _set: whose, as a number */
    ngx_uint_t  doubt;                /* of _find: to be asked first        */
    ngx_uint_t  failed;               /* of _find: refuse_e + 1             */
    ngx_msec_t  turn;                 /* of _find: whose it is to connect   */
    u_char      sid[STOA_MCP_SID_MAX];
} ngx_http_stoa_mcp_upstream_t;


ngx_int_t ngx_http_stoa_mcp_map_create(ngx_http_stoa_main_conf_t *mcf);
ngx_int_t ngx_http_stoa_mcp_map_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle);
void ngx_http_stoa_mcp_map_close(void);


/* The session is left: who ends it at the upstream. */
typedef void (*ngx_http_stoa_mcp_left_pt)(
    const ngx_http_stoa_mcp_upstream_t *up);
void ngx_http_stoa_mcp_map_left(ngx_http_stoa_mcp_left_pt left);

/* Keys are ngx_http_stoa_mcp_upstream_key(): never 0. */

/* out: api and app are said.  NGX_OK: it is filled.  NGX_AGAIN: another one is
 * connecting; NGX_ABORT: it was, and has failed, while the caller waited.
 * NGX_DECLINED: nobody is; the caller now is, and must _set or _end its turn,
 * within that time. */
ngx_int_t ngx_http_stoa_mcp_upstream_find(uint64_t key, ngx_uint_t waited,
    ngx_msec_t within, ngx_http_stoa_mcp_upstream_t *out);
/* For the one whose turn it is.  NGX_BUSY: there are as many as there may be,
 * and all are in use; else one that is idle may have been ended. */
ngx_int_t ngx_http_stoa_mcp_upstream_room(
    const ngx_http_stoa_mcp_sessions_t *most, uint64_t key);
/* NGX_OK, or NGX_DECLINED: there is none that is open. */
ngx_int_t ngx_http_stoa_mcp_upstream_peek(uint64_t key,
    ngx_http_stoa_mcp_upstream_t *out);
/* Has the map anything of it, a session or that there is none? */
ngx_uint_t ngx_http_stoa_mcp_upstream_known(uint64_t key);
/* failed: refuse_e + 1, which those who wait are told; 0: they try. */
void ngx_http_stoa_mcp_upstream_end(uint64_t key, ngx_msec_t turn,
    ngx_uint_t failed);
void ngx_http_stoa_mcp_upstream_set(uint64_t key,
    const ngx_http_stoa_mcp_upstream_t *in);
/* What stands in the place of a session of this kind; len 0: nothing, before
 * and after.  Another answer of edit() than NGX_OK leaves it as it is, and is
 * the answer. */
ngx_int_t ngx_http_stoa_mcp_upstream_edit(uint64_t key,
    const ngx_http_stoa_mcp_upstream_t *as,
    ngx_int_t (*edit)(void *data, ngx_http_stoa_mcp_upstream_t *up),
    void *data);
/* Forgets the session, if it is still that one. */
void ngx_http_stoa_mcp_upstream_drop(uint64_t key, const u_char *sid,
    size_t len);
/* It may be gone, or not: it is asked before the next use; or it was. */
void ngx_http_stoa_mcp_upstream_doubt(uint64_t key, ngx_uint_t doubt);

/* A pool of sessions without a client session: whose, at an api.  Both numbers
 * are needed, and without the map's secret nobody can tell whose are equal: a
 * session is never another one's. */
typedef struct {
    uint64_t   key;
    uint64_t   owner;
    stoa_id_t  api;
} ngx_http_stoa_mcp_pool_t;

void ngx_http_stoa_mcp_map_pool(const u_char *who, size_t len,
    const stoa_id_t *api, ngx_http_stoa_mcp_pool_t *pool);
/* Takes the one that was used last out of it; NGX_DECLINED: it is empty. */
ngx_int_t ngx_http_stoa_mcp_map_take(const ngx_http_stoa_mcp_pool_t *pool,
    ngx_http_stoa_mcp_upstream_t *out);
/* Puts one into it; it is left when there are NGX_HTTP_STOA_MCP_POOL. */
#define NGX_HTTP_STOA_MCP_POOL  16
void ngx_http_stoa_mcp_map_give(const ngx_http_stoa_mcp_pool_t *pool,
    const ngx_http_stoa_mcp_upstream_t *up);

/* All sessions of the client session are left; it is remembered as ended.
 * client: ngx_http_stoa_mcp_client(). */
void ngx_http_stoa_mcp_map_leave(uint64_t client);
ngx_uint_t ngx_http_stoa_mcp_map_ended(uint64_t client);
/* Leaves those that nobody has used for so long; a part at each call, which is
 * made so often. */
void ngx_http_stoa_mcp_map_sweep(ngx_msec_t every);


#endif /* NGX_HTTP_STOA_MCP_MAP_H */
