/*
 * MCP: what a caller may see at an endpoint, and how it is shown; private to
 *
 *   _mcp_view.c    the caches of it
 *   _mcp_render.c  its lists, made of the store
 *   _mcp_grant.c   the subscriptions that it follows from
 *   _mcp_note.c    what it lacks
 *   _mcp_shown.c   what of a list a policy lets through
 */

#ifndef NGX_HTTP_STOA_SEEN_H
#define NGX_HTTP_STOA_SEEN_H


#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_store.h"


/* A subscription of the caller that counts at the endpoint, and what it is to:
 * a server or an api.  Good while the store's transaction is. */

typedef struct {
    ngx_http_stoa_store_t          *store;
    const stoa_rec_subscription_t  *sub;
    const stoa_rec_server_t        *server;
    const stoa_rec_api_t           *api;
} ngx_http_stoa_mcp_grant_t;

typedef ngx_int_t (*ngx_http_stoa_mcp_grant_pt)(void *data,
    const ngx_http_stoa_mcp_grant_t *grant);

typedef struct {
    int64_t     until_ms;             /* when one of them ends; 0: never    */
    ngx_uint_t  any;                  /* also one that is refused by name   */
} ngx_http_stoa_mcp_grants_t;

/* In the order of their targets; take returns NGX_OK to go on. */
ngx_int_t ngx_http_stoa_mcp_each_grant(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_grant_pt take, void *data,
    ngx_http_stoa_mcp_grants_t *all);

/* Fills the lists of a view whose key is set.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_stoa_mcp_render(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_view_t *view);


/* The view that a list or a search shows, and which of its items are not for
 * the caller, by number; *hidden NULL: none.  NGX_AGAIN: to be called again.
 */
ngx_int_t ngx_http_stoa_mcp_shown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t list,
    ngx_http_stoa_mcp_view_t **view, const u_char **hidden);
extern const char *const  ngx_http_stoa_mcp_shown_kinds[];


/* Why something is not shown. */

typedef enum {
    NGX_HTTP_STOA_MCP_LEFT_UNREAD = 0, NGX_HTTP_STOA_MCP_LEFT_NAME,
    NGX_HTTP_STOA_MCP_LEFT_HEADER, NGX_HTTP_STOA_MCP_LEFT_MANY
} ngx_http_stoa_mcp_left_e;

typedef struct {
    stoa_id_t   api;
    ngx_uint_t  why;                  /* ngx_http_stoa_mcp_left_e           */
    ngx_uint_t  n;                    /* 0: the api as a whole              */
} ngx_http_stoa_mcp_note_t;

#define NGX_HTTP_STOA_MCP_NOTES  20

typedef struct {
    ngx_http_stoa_mcp_note_t  left[NGX_HTTP_STOA_MCP_NOTES];
    ngx_uint_t                nleft;
    stoa_id_t                 stale[NGX_HTTP_STOA_MCP_NOTES];
    ngx_uint_t                nstale;
} ngx_http_stoa_mcp_notes_t;

void ngx_http_stoa_mcp_note_left(ngx_http_stoa_mcp_notes_t *notes,
    const stoa_id_t *api, ngx_uint_t why, ngx_uint_t n);
/* Its upstream could not be read the last time, if it is so. */
void ngx_http_stoa_mcp_note_stale(ngx_http_stoa_mcp_notes_t *notes,
    const stoa_rec_api_t *api);
/* Sets the view's notes. */
ngx_int_t ngx_http_stoa_mcp_note_text(ngx_http_stoa_mcp_notes_t *notes,
    ngx_http_stoa_store_t *store, ngx_http_stoa_mcp_view_t *view);


/* ---- _mcp_other.c ------------------------------------------------------- */

/* Does it list the tasks of a session; does one that the caller has? */
ngx_uint_t ngx_http_stoa_mcp_other_lists(const stoa_rec_api_t *api);
ngx_uint_t ngx_http_stoa_mcp_other_lists_tasks(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


#endif /* NGX_HTTP_STOA_SEEN_H */
