/*
 * Calls of modern clients to upstreams with sessions, which may ask the client
 * something before they answer.
 *
 *   _mcp_guest.c   the client's request: it begins a call, or goes on with one
 *   _mcp_work.c    the call: what its upstream says, what its guest says
 *   _mcp_park.c    where calls are found, and how they end
 *   _mcp_query.c   what the upstream asks, and what it is told
 *   _mcp_state.c   the requestState by which a client comes back
 *
 * The call is no request's: when its upstream asks, the client's request is
 * answered with that and ends, and the upstream's stream stays open (parked)
 * until the client comes again, with what he says and the requestState, at any
 * worker.  The two sides speak by messages, which go through the door of the
 * worker that has the other one, or straight to it:
 *
 *   to a call      G it goes on: pid 4, ticket 16, round 2, level 1, id_len 4,
 *                  id, token_len 4, token, what the client says
 *                  L its guest has left, P he takes no more for now, W he
 *                  does, A is it there: ticket 16, pid 4 of his, does he
 *                  take no more 1
 *   to a guest     S an event for him, D his answer, F a fault in its place,
 *                  N the state has been used, X the call is not there, Y it
 *                  is
 *
 * each behind its letter and the park or ticket it is for.
 *
 * Process: workers.  Lifetime of a call: its own pool, until its upstream has
 * answered and a client has the answer, or its time is over.
 * Limits: NGX_HTTP_STOA_MCP_PARKS calls parked in a worker, of which a
 * principal has NGX_HTTP_STOA_MCP_PARKS_OF; each asks 16 things at once, waits
 * stoa_mcp_input_timeout for its client, and keeps an answer of 256 KiB for
 * 60 s; 1024 messages to upstreams at once, 128 of an application.
 */

#ifndef NGX_HTTP_STOA_PARK_H
#define NGX_HTTP_STOA_PARK_H


#include "ngx_http_stoa_source.h"
#include "core/stoa_state.h"


#define NGX_HTTP_STOA_MCP_PARKS       1000
#define NGX_HTTP_STOA_MCP_PARKS_OF    16
#define NGX_HTTP_STOA_MCP_PARK_ID     16
#define NGX_HTTP_STOA_MCP_KEPT_MS     60000
#define NGX_HTTP_STOA_MCP_KEPT_MAX    (256 * 1024)
#define NGX_HTTP_STOA_MCP_QUERIES     16

/* What of a state is for whom: principal, method 1, digest 32. */
#define NGX_HTTP_STOA_MCP_STATE_AAD   (NGX_HTTP_STOA_MCP_PRINCIPAL + 1 + 32)


/* Something that the upstream has asked. */

typedef struct {
    ngx_uint_t                    key;          /* the client's, a number    */
    stoa_buf_t                    id;           /* the server's, JSON        */
    stoa_buf_t                    params;
    const char                   *method;
    unsigned                      cancels:1;    /* else it is an error       */
    unsigned                      asked:1;      /* the client has it         */
} ngx_http_stoa_mcp_query_t;

/* Who waits for the call, here or in another worker. */

typedef struct {
    ngx_pid_t                     pid;          /* 0: nobody                 */
    ngx_uint_t                    level;        /* of log messages; 0: none  */
    u_char                        ticket[NGX_HTTP_STOA_MCP_PARK_ID];
    stoa_buf_t                    id;           /* of his request, JSON      */
    stoa_buf_t                    token;        /* of its progress, JSON     */
} ngx_http_stoa_mcp_seat_t;

typedef enum {
    NGX_HTTP_STOA_MCP_PARK_STREAM = 0,  /* the session's own is opened       */
    NGX_HTTP_STOA_MCP_PARK_LEVEL,       /* it is told how much to log        */
    NGX_HTTP_STOA_MCP_PARK_CALL,
    NGX_HTTP_STOA_MCP_PARK_GATHER,      /* it asks; more may come            */
    NGX_HTTP_STOA_MCP_PARK_WAIT,        /* for a client                      */
    NGX_HTTP_STOA_MCP_PARK_KEPT         /* the same, with an answer for him  */
} ngx_http_stoa_mcp_park_e;

/* It is the data of its own event, so it begins like a connection. */

typedef struct ngx_http_stoa_mcp_park_s  ngx_http_stoa_mcp_park_t;

struct ngx_http_stoa_mcp_park_s {
    ngx_pool_t                   *pool;
    ngx_queue_t                   queue;        /* of this worker            */
    ngx_int_t                     ident;        /* -1                        */
    ngx_event_t                   event;
    ngx_uint_t                    stage;        /* ..._park_e                */

    u_char                        id[NGX_HTTP_STOA_MCP_PARK_ID];
    ngx_uint_t                    round;
    u_char                        aad[NGX_HTTP_STOA_MCP_STATE_AAD];
    ngx_msec_t                    wait_ms;      /* for a client              */
    stoa_mcp_method_e             method;
    ngx_uint_t                    declared;     /* ..._can_e                 */

    ngx_http_stoa_api_t          *api;          /* held                      */
    ngx_http_stoa_via_t           via;
    ngx_str_t                     headers;      /* of the session            */
    ngx_str_t                     subject;      /* whose credential is shown */
    ngx_uint_t                    group;        /* of targets; 0: any        */
    stoa_mcp_ref_t                ref;
    ngx_uint_t                    version;      /* row                       */
    uint64_t                      app;          /* whose session it is       */
    ngx_http_stoa_mcp_pool_t      home;
    ngx_str_t                     call_id;      /* JSON text, ours           */
    ngx_str_t                     body;
    ngx_str_t                     token;        /* of the first request      */

    ngx_http_stoa_mcp_ask_t      *ask;          /* the call, or the level    */
    ngx_http_stoa_mcp_source_t   *source;       /* the session's stream      */
    ngx_http_stoa_mcp_source_t   *rest;         /* of the call's, which the
                                                   upstream has ended        */
    ngx_event_t                   resume;       /* of it                     */
    ngx_msec_t                    until;        /* 0: any time               */
    stoa_buf_t                    came;         /* the answer in it          */
    ngx_http_stoa_mcp_seat_t      seat;
    ngx_uint_t                    keys;
    ngx_uint_t                    nqueries;
    ngx_http_stoa_mcp_query_t     queries[NGX_HTTP_STOA_MCP_QUERIES];
    ngx_uint_t                    selves;       /* answers of the gateway's  */

    stoa_buf_t                    result;       /* KEPT                      */
    ngx_http_stoa_mcp_fault_t     fault;        /* result.len 0              */
    unsigned                      logs:1;       /* the upstream can          */
    unsigned                      parked:1;     /* it is counted as one      */
    unsigned                      said:1;       /* something of the upstream */
};


/* What a client can be asked. */

typedef enum {
    NGX_HTTP_STOA_MCP_CAN_FORM = 1,
    NGX_HTTP_STOA_MCP_CAN_URL = 2,
    NGX_HTTP_STOA_MCP_CAN_SAMPLE = 4,
    NGX_HTTP_STOA_MCP_CAN_SAMPLE_TOOLS = 8,
    NGX_HTTP_STOA_MCP_CAN_SAMPLE_CONTEXT = 16,
    NGX_HTTP_STOA_MCP_CAN_ROOTS = 32
} ngx_http_stoa_mcp_can_e;


/* ---- _mcp_guest.c ------------------------------------------------------- */

/* Steps: a requestState is opened; the call is made, or gone on with. */
ngx_int_t ngx_http_stoa_mcp_guest_back(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_guest(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* A message to a guest of this worker. */
void ngx_http_stoa_mcp_guest_came(const u_char *p, size_t len);


/* ---- _mcp_work.c -------------------------------------------------------- */

/* How calls reach guests of this worker.  heal: the first answer is an error;
 * NGX_OK: the guest calls again, in another session or this one, which is his
 * again; NGX_DECLINED: the error is the answer. */

typedef struct {
    void       (*came)(const u_char *p, size_t len);
    ngx_int_t  (*heal)(const u_char *ticket, ngx_http_stoa_mcp_ask_t *ask);
} ngx_http_stoa_mcp_parks_t;

/* The session is the call's from now on. */
void ngx_http_stoa_mcp_work_start(ngx_http_stoa_mcp_park_t *park,
    const ngx_http_stoa_mcp_parks_t *with);
/* A message to a call of this worker. */
void ngx_http_stoa_mcp_work_came(const u_char *p, size_t len);


/* ---- _mcp_park.c -------------------------------------------------------- */

/* NULL: no memory.  The owner sets what it needs. */
ngx_http_stoa_mcp_park_t *ngx_http_stoa_mcp_park_create(void);
void ngx_http_stoa_mcp_park_free(ngx_http_stoa_mcp_park_t *park);
void ngx_http_stoa_mcp_park_begin(ngx_http_stoa_mcp_park_t *park,
    const ngx_http_stoa_mcp_parks_t *with);
ngx_http_stoa_mcp_park_t *ngx_http_stoa_mcp_park_find(const u_char *id);
/* The same if its guest is the one whose ticket follows. */
ngx_http_stoa_mcp_park_t *ngx_http_stoa_mcp_park_of(const u_char *id);
/* A message by which a guest asks whether his call is still here. */
void ngx_http_stoa_mcp_park_asked(const u_char *p, size_t len);
/* Its event comes in so long; 0: it does not. */
void ngx_http_stoa_mcp_park_stage(ngx_http_stoa_mcp_park_t *park,
    ngx_uint_t stage, ngx_msec_t ms);
/* It is parked, or no longer; and may this one be, too? */
void ngx_http_stoa_mcp_park_count(ngx_http_stoa_mcp_park_t *park,
    ngx_uint_t parked);
ngx_uint_t ngx_http_stoa_mcp_park_full(ngx_http_stoa_mcp_park_t *park);
/* Its guest takes no more for now; or he does again. */
void ngx_http_stoa_mcp_park_pause(ngx_http_stoa_mcp_park_t *park,
    ngx_uint_t pause);
/* A message to a guest.  NGX_OK; NGX_DECLINED: his worker is gone, or takes
 * nothing; NGX_ERROR. */
ngx_int_t ngx_http_stoa_mcp_park_tell(ngx_pid_t pid, const u_char *ticket,
    ngx_uint_t kind, const void *data, size_t len);
/* The ends of a call: its guest gets the answer, nobody came for it, nobody
 * wants it. */
void ngx_http_stoa_mcp_park_give(ngx_http_stoa_mcp_park_t *park);
void ngx_http_stoa_mcp_park_expire(ngx_http_stoa_mcp_park_t *park);
void ngx_http_stoa_mcp_park_leave(ngx_http_stoa_mcp_park_t *park);


/* ---- _mcp_query.c ------------------------------------------------------- */

/* A request of the server: NGX_OK, the client is to be asked; NGX_DECLINED: it
 * has its answer. */
ngx_int_t ngx_http_stoa_mcp_query(ngx_http_stoa_mcp_park_t *park,
    const stoa_glance_t *g);
/* It takes one back. */
void ngx_http_stoa_mcp_query_cancel(ngx_http_stoa_mcp_park_t *park,
    const stoa_glance_t *g);
/* What is asked, as the result of a call: appended. */
void ngx_http_stoa_mcp_query_write(ngx_http_stoa_mcp_park_t *park,
    stoa_buf_t *out);
/* What the client says (an object of answers) goes to the upstream. */
void ngx_http_stoa_mcp_query_answer(ngx_http_stoa_mcp_park_t *park,
    const stoa_json_val_t *all);
/* The answer is an error which wants the client to see URLs: NGX_OK, it is
 * asked of him as this era does. */
ngx_int_t ngx_http_stoa_mcp_query_urls(ngx_http_stoa_mcp_park_t *park,
    const stoa_str_t *text, stoa_buf_t *out);
/* Nobody answers. */
void ngx_http_stoa_mcp_query_refuse(ngx_http_stoa_mcp_park_t *park);
void ngx_http_stoa_mcp_query_free(ngx_http_stoa_mcp_park_t *park);
void ngx_http_stoa_mcp_query_session(ngx_http_stoa_mcp_park_t *park,
    ngx_http_stoa_mcp_upstream_t *up);
/* The upstream is told that nobody waits for the call; its session ends. */
void ngx_http_stoa_mcp_query_farewell(ngx_http_stoa_mcp_park_t *park);


/* ---- _mcp_state.c ------------------------------------------------------- */

/* For whom the states of this request are: NGX_OK, NGX_ERROR. */
ngx_int_t ngx_http_stoa_mcp_state_aad(ngx_http_stoa_ctx_t *ctx, u_char *aad);
/* Of one that waits here: which gateway this is. */
void ngx_http_stoa_mcp_state_here(stoa_mcp_state_t *state);
/* Has the request one? */
ngx_uint_t ngx_http_stoa_mcp_state_is(ngx_http_stoa_ctx_t *ctx,
    stoa_json_val_t *text);
/* A step: of a call that waits at another gateway. */
ngx_int_t ngx_http_stoa_mcp_state_where(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Appends one, with its quotes. */
void ngx_http_stoa_mcp_state_seal(const u_char *aad,
    const stoa_mcp_state_t *state, stoa_buf_t *out);
/* NGX_OK, or NGX_DECLINED: it is none for this request, or too old. */
ngx_int_t ngx_http_stoa_mcp_state_open(const u_char *aad,
    const stoa_json_val_t *text, stoa_mcp_state_t *state);


#endif /* NGX_HTTP_STOA_PARK_H */
