/*
 * Calls of legacy clients to modern upstreams: asked by a fetch, with what the
 * other era wants said in each message; what the upstream needs from the
 * client comes to him as requests on the stream of the call.
 *
 *   _mcp_modern.c   the call, its answer
 *   _mcp_input.c    what an upstream needs, and what the client says to it
 *
 * Process: the worker that has the client's connection; what he says arrives
 * at any, and gets here through its door (net/ngx_http_stoa_door.h).
 * Lifetime: the call's.  Limits: NGX_HTTP_STOA_MCP_INPUTS things needed at
 * once, NGX_HTTP_STOA_MCP_ROUNDS times, each for stoa_mcp_input_timeout.
 */

#ifndef NGX_HTTP_STOA_MODERN_H
#define NGX_HTTP_STOA_MODERN_H


#include "ngx_http_stoa_mcp_ask.h"
#include "ngx_http_stoa_stream.h"


#define NGX_HTTP_STOA_MCP_INPUTS    16
#define NGX_HTTP_STOA_MCP_ROUNDS    16
#define NGX_HTTP_STOA_MCP_PARK      16


typedef struct {
    ngx_str_t                     key;      /* JSON text                    */
    ngx_str_t                     answer;   /* len 0: none yet              */
    ngx_uint_t                    cancels;  /* an error is "cancel"         */
} ngx_http_stoa_mcp_input_t;

/* It is the data of its own event, so it begins like a connection. */

typedef struct {
    ngx_http_stoa_ctx_t          *ctx;
    ngx_queue_t                   queue;    /* of this worker               */
    const struct ngx_http_stoa_mcp_inputs_s  *with;
    ngx_int_t                     ident;    /* -1                           */
    ngx_event_t                   event;

    ngx_http_stoa_mcp_ask_t      *ask;      /* under way                    */
    ngx_http_stoa_via_t           via;
    ngx_str_t                     headers;
    stoa_jsonrpc_t                msg;      /* as the upstream gets it      */

    u_char                        park[NGX_HTTP_STOA_MCP_PARK];
    ngx_uint_t                    rounds;
    ngx_msec_t                    pause;    /* before the next              */
    ngx_uint_t                    ninputs;
    ngx_http_stoa_mcp_input_t     inputs[NGX_HTTP_STOA_MCP_INPUTS];
    ngx_str_t                     state;    /* JSON text; len 0: none       */

    ngx_str_t                     answer;   /* the client's                 */
    ngx_http_stoa_mcp_fault_t     fault;    /* answer.len 0                 */
    unsigned                      done:1;
    unsigned                      cancelled:1;
} ngx_http_stoa_mcp_modern_t;


/* ---- _mcp_modern.c ------------------------------------------------------ */

/* As a step. */
ngx_int_t ngx_http_stoa_mcp_modern(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Members of _meta, with a comma: the version, and who we are. */
void ngx_http_stoa_mcp_modern_us(stoa_buf_t *out);

/* ---- _mcp_input.c ------------------------------------------------------- */

/* The upstream needs something: NGX_OK, the client is asked (or the upstream
 * is to be asked again after b->pause); NGX_DECLINED with the fault. */
ngx_int_t ngx_http_stoa_mcp_input(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *result);
/* What is said besides in the next round: members with a comma behind each. */
void ngx_http_stoa_mcp_input_write(ngx_http_stoa_mcp_modern_t *b,
    stoa_buf_t *out);
/* A client's answer: NGX_OK, it was handed over or nobody waits for it any
 * more; NGX_DECLINED: it is none to such a request; NGX_BUSY: its worker could
 * not be told; the status of a refusal; NGX_ERROR. */
ngx_int_t ngx_http_stoa_mcp_input_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* A client's cancellation. */
void ngx_http_stoa_mcp_input_cancel(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Calls of this worker, from their beginning to their end; also those that a
 * person has to approve (_mcp_approve_user.c).  say() tells their
 * clients; go() is called when all is answered, or the call is cancelled. */

typedef struct ngx_http_stoa_mcp_inputs_s {
    ngx_int_t  (*say)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                      const ngx_str_t *text);
    void       (*go)(ngx_http_stoa_mcp_modern_t *b);
} ngx_http_stoa_mcp_inputs_t;

void ngx_http_stoa_mcp_input_begin(ngx_http_stoa_mcp_modern_t *b,
    const ngx_http_stoa_mcp_inputs_t *with);
void ngx_http_stoa_mcp_input_end(ngx_http_stoa_mcp_modern_t *b);
/* What comes through the door. */
void ngx_http_stoa_mcp_input_came(const u_char *p, size_t len);


#endif /* NGX_HTTP_STOA_MODERN_H */
