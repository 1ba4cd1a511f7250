/*
 * Between a server and its client in a session: what one has asked and the
 * other one says to it, at any worker and any gateway of the group.
 *
 *   _mcp_mark.c    the ids that it goes by
 *   _mcp_eid.c     the ids of events
 *   _mcp_relay.c   what a client says to servers, and the gateway for him
 *   _mcp_level.c   how much they are to log
 *   _mcp_whose.c   which api has a request of his
 *   _mcp_task_list.c  the tasks that he has at them
 *
 * Process: workers.
 */

#ifndef NGX_HTTP_STOA_RELAY_H
#define NGX_HTTP_STOA_RELAY_H


#include "ngx_http_stoa_mcp_ask.h"
#include "stoa_seal.h"
#include "core/stoa_eid.h"


/* ---- _mcp_mark.c -------------------------------------------------------- */

/* The session that a forwarded call has at its upstream. */
void ngx_http_stoa_mcp_ref(ngx_http_stoa_ctx_t *ctx, stoa_mcp_ref_t *ref);
/* Appends the mark of an id, with its quotes.  NGX_DECLINED: the id is too
 * long. */
ngx_int_t ngx_http_stoa_mcp_mark(ngx_http_stoa_mcp_t *mcp,
    stoa_seal_kind_e kind, const stoa_mcp_ref_t *ref,
    const stoa_json_val_t *id, stoa_buf_t *out);
/* The other way; ref and id point into r->pool.  NGX_DECLINED: it is none of
 * this session. */
ngx_int_t ngx_http_stoa_mcp_unmark(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, stoa_seal_kind_e kind,
    const stoa_json_val_t *mark, stoa_mcp_ref_t *ref, stoa_str_t *id);


/* ---- _mcp_eid.c -------------------------------------------------------- */

#define NGX_HTTP_STOA_MCP_EID_TEXT  3072
#define NGX_HTTP_STOA_MCP_SOURCES   STOA_MCP_SOURCES

typedef stoa_mcp_eid_t  ngx_http_stoa_mcp_eid_t;

/* Fills text; NGX_DECLINED: it would be too long. */
ngx_int_t ngx_http_stoa_mcp_eid_seal(ngx_http_stoa_mcp_t *mcp,
    const ngx_http_stoa_mcp_eid_t *e, stoa_buf_t *text);
/* What is in e points into r->pool.  NGX_DECLINED: not of this session. */
ngx_int_t ngx_http_stoa_mcp_eid_open(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, const ngx_str_t *text,
    ngx_http_stoa_mcp_eid_t *e);


/* ---- _mcp_relay.c ------------------------------------------------------- */

/* Answers and notifications: 202, or a refusal; NGX_DECLINED: a notification
 * that is not known. */
ngx_int_t ngx_http_stoa_mcp_relay_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_relay_note(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* The same to the sessions that are open at the api with this number; 0: at
 * any. */
ngx_int_t ngx_http_stoa_mcp_relay_to(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, uint32_t whose);

/* Those that are open at upstreams, or at the api with this number; 0: at any.
 * ref is valid until it returns. */
typedef void (*ngx_http_stoa_mcp_session_pt)(void *data,
    const stoa_mcp_ref_t *ref);
void ngx_http_stoa_mcp_relay_sessions(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, uint32_t whose,
    ngx_http_stoa_mcp_session_pt each, void *data);
/* The lists of what he has subscribed to at upstreams without sessions, each
 * in the place of a session's id. */
void ngx_http_stoa_mcp_relay_subs(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_session_pt each, void *data);
/* Where the map has such a list: never a session's key. */
uint64_t ngx_http_stoa_mcp_subs_key(ngx_http_stoa_mcp_t *mcp,
    const stoa_id_t *api);
/* The headers that such a session's upstream gets. */
ngx_int_t ngx_http_stoa_mcp_relay_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_api_t *api,
    const stoa_mcp_ref_t *ref, ngx_pool_t *pool, ngx_str_t *text);
/* The api of a ref; NULL: it is there no more, or not for this client. */
ngx_http_stoa_api_t *ngx_http_stoa_mcp_relay_of(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_mcp_ref_t *ref);

/* Does a subscription of the client's still reach this api?  In the store's
 * transaction. */
ngx_uint_t ngx_http_stoa_mcp_relay_may(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *api);

/* A message to such a session, which answers nothing.  wait: the call waits
 * until it is there (mcp->told, whose owner ends it).  NGX_OK: it is sent, or
 * lost for good; NGX_DECLINED: the client may not, or the api is gone;
 * NGX_BUSY: too many are under way; NGX_ERROR: no memory. */
ngx_int_t ngx_http_stoa_mcp_relay_post(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_mcp_ref_t *ref, ngx_str_t *body,
    ngx_uint_t wait);

/* A call whose legacy client has left, which is no cancellation: it goes on,
 * and nobody hears its answer.  Too many do: it is cancelled.  No callback of
 * the owner's comes any more. */
void ngx_http_stoa_mcp_relay_left(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_ask_t *ask);

#define NGX_HTTP_STOA_MCP_NOT_DECLARED                                        \
    "{\"code\":-32601,\"message\":\"the client has not declared it\"}"

/* The gateway's own answer to a server's request: {} or an error. */
void ngx_http_stoa_mcp_relay_self(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_mcp_ref_t *ref,
    const stoa_json_val_t *id, const char *error);


/* ---- _mcp_whose.c ------------------------------------------------------- */

/* A number of an api, never 0; by its id. */
uint32_t ngx_http_stoa_mcp_whose_api(const void *api);
/* The call is sent to its api. */
void ngx_http_stoa_mcp_whose_note(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The api that has the request which the message cancels; 0: not known. */
uint32_t ngx_http_stoa_mcp_whose(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp);


/* ---- _mcp_task.c, _mcp_task_list.c -------------------------------------- */

/* Appends the client's id of a task, with its quotes.  NGX_DECLINED: it is not
 * known to be this client's. */
ngx_int_t ngx_http_stoa_mcp_task_seal(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, const stoa_json_val_t *id, stoa_buf_t *out);
/* The upstream's id for the client's in the _meta of a call: text, which is
 * it.  NGX_DECLINED: there is none. */
ngx_int_t ngx_http_stoa_mcp_task_related(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_mcp_ref_t *ref,
    const stoa_json_val_t *meta, ngx_str_t *text);
/* A method: tasks/list of a session. */
ngx_int_t ngx_http_stoa_mcp_task_list(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


#endif /* NGX_HTTP_STOA_RELAY_H */
