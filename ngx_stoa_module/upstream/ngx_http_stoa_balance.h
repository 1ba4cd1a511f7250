/*
 * The peers of one request to "stoa_upstream", and who is next.
 *
 * Process: workers.  Lifetime: r->pool; targets are the compiled api's.
 */

#ifndef NGX_HTTP_STOA_BALANCE_H
#define NGX_HTTP_STOA_BALANCE_H


#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_keepalive.h"
#include "ngx_http_stoa_zone.h"


/* One attempt; logs keep a pointer to its name. */

typedef struct ngx_http_stoa_try_s   ngx_http_stoa_try_t;
typedef struct ngx_http_stoa_lane_s  ngx_http_stoa_lane_t;

struct ngx_http_stoa_try_s {
    ngx_http_stoa_try_t      *prev;
    ngx_http_stoa_target_t   *target;
    ngx_sockaddr_t            sockaddr;
    socklen_t                 socklen;
    ngx_str_t                 name;
    ngx_http_stoa_place_t    *place;            /* NULL: no breaker          */
    uint64_t                  tag;
    ngx_uint_t                probe;            /* it finds out              */
    u_char                    text[NGX_SOCKADDR_STRLEN];
};

struct ngx_http_stoa_peer_s {
    ngx_http_request_t             *request;
    ngx_http_stoa_ctx_t            *ctx;
    ngx_http_stoa_api_t            *api;
    ngx_http_stoa_target_t         *written;    /* in the request head       */
    ngx_http_stoa_try_t            *tries;
    ngx_http_stoa_keepalive_key_t   key;
    ngx_int_t                     (*process_header)(ngx_http_request_t *r);
    ngx_int_t                     (*reinit_request)(ngx_http_request_t *r);
    void                          (*finalize_request)(ngx_http_request_t *r,
                                                      ngx_int_t rc);
    ngx_uint_t                      http_version;   /* the client's          */
    ngx_uint_t                      interim;    /* answers passed over       */
    ngx_uint_t                      status;     /* of the answer; 0: none    */
    unsigned                        answered:1; /* its head is read          */
    unsigned                        invalid:1;  /* ... and was no HTTP       */
    unsigned                        granted:1;  /* the budget has paid       */
    unsigned                        same:1;     /* ... for the same target:
                                                   it has the session        */
    ngx_http_stoa_lane_t           *lane;       /* NULL: never in it         */
    unsigned                        chosen:1;   /* by the lane, not yet used */
    unsigned                        fresh:1;    /* no idle connection        */
    unsigned                        used:1;     /* `first`                   */
    ngx_http_stoa_try_t             first;      /* not zeroed                */
};


/* ---- ngx_http_stoa_peer.c ----------------------------------------------- */

/* peer.init of "stoa_upstream". */
ngx_int_t ngx_http_stoa_peer_init(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
/* What the variables of the macro say, for a target. */
ngx_int_t ngx_http_stoa_peer_address(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_target_t *target);
/* Sets up a peer that is zeroed up to `first`. */
void ngx_http_stoa_peer_setup(ngx_http_stoa_peer_t *peer,
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
/* _peer_conf.c: the location's settings with those of the call's api and
 * operation; NULL without memory. */
ngx_http_upstream_conf_t *ngx_http_stoa_peer_conf(
    ngx_http_upstream_conf_t *base, ngx_http_stoa_ctx_t *ctx);
/* The head of the answer is there (1), or looked for again. */
void ngx_http_stoa_peer_answered(ngx_http_upstream_t *u,
    ngx_http_stoa_api_t *api, ngx_uint_t answered);
/* As nginx calls them. */
ngx_int_t ngx_http_stoa_peer_get(ngx_peer_connection_t *pc, void *data);
void ngx_http_stoa_peer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
void ngx_http_stoa_peer_close(ngx_connection_t *c);
/* The proxy module's content handler, with the upstream's URI. */
ngx_int_t ngx_http_stoa_peer_proxy(ngx_http_request_t *r);


/* ---- _answer.c ---------------------------------------------------------- */

/* Lets the answer's head be judged; nothing of the request is sent yet. */
void ngx_http_stoa_answer_hook(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer);


/* ---- _resolve.c, _address.c --------------------------------------------- */

/* Who waits for an address.  All but the last three are the caller's. */

struct ngx_http_stoa_resolve_s {
    ngx_http_stoa_api_t       *api;
    ngx_http_stoa_via_t        via;
    ngx_pool_t                *pool;
    ngx_log_t                 *log;
    void                     (*done)(void *data);
    void                      *data;
    ngx_resolver_ctx_t        *resolver;
    ngx_http_stoa_target_t    *target;
    unsigned                   waiting:1;
};

/* Sees to it that at least one target has addresses: NGX_OK, NGX_AGAIN (done()
 * is called later), NGX_DECLINED (none has), NGX_ERROR. */
ngx_int_t ngx_http_stoa_resolve_api(ngx_http_stoa_resolve_t *w);
void ngx_http_stoa_resolve_cancel(ngx_http_stoa_resolve_t *w);
/* The same for a request, which is woken. */
ngx_int_t ngx_http_stoa_resolve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_address_set(ngx_http_stoa_target_t *target,
    ngx_http_stoa_addr_t *addr, struct sockaddr *sa, socklen_t socklen);
/* Literal addresses and localhost, when an api is compiled. */
ngx_int_t ngx_http_stoa_address_literal(ngx_http_stoa_target_t *target);


/* ---- ngx_http_stoa_target.c: what all workers know ---------------------- */

/* What speaks against an address, from nothing to everything. */

typedef enum {
    NGX_HTTP_STOA_LEVEL_GOOD = 0,
    NGX_HTTP_STOA_LEVEL_FAILED,     /* its calls, in this worker            */
    NGX_HTTP_STOA_LEVEL_DOWN,       /* its checks; the last resort          */
    NGX_HTTP_STOA_LEVEL_OUT         /* it is not called                     */
} ngx_http_stoa_level_e;

/* Its place in the zone, of an api that is watched; NULL: there is none. */
ngx_http_stoa_place_t *ngx_http_stoa_target_place(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr);
/* That of the api itself; of a group of its split, from 1 on. */
ngx_http_stoa_place_t *ngx_http_stoa_target_own(ngx_http_stoa_api_t *api);
ngx_http_stoa_place_t *ngx_http_stoa_target_group(ngx_http_stoa_api_t *api,
    ngx_uint_t group);
ngx_uint_t ngx_http_stoa_target_level(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr);
/* Of all its addresses, the least; group: of its split, 0: of any. */
ngx_uint_t ngx_http_stoa_target_least(ngx_http_stoa_api_t *api,
    ngx_uint_t group);
/* Is it one of these texts: 204, 2xx? */
ngx_uint_t ngx_http_stoa_target_status(ngx_http_stoa_api_t *api,
    const stoa_vec_t *list, ngx_uint_t status);
/* None may be called: for how many ms, at the least; 0: one may. */
ngx_msec_t ngx_http_stoa_target_aside(ngx_http_stoa_api_t *api,
    ngx_uint_t group);
/* None can be called now: the refusal's status. */
ngx_int_t ngx_http_stoa_target_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- ngx_http_stoa_breaker.c -------------------------------------------- */

/* 0: it may be called now; else ms. */
ngx_msec_t ngx_http_stoa_breaker_wait(ngx_http_stoa_api_t *api,
    ngx_http_stoa_place_t *place);
/* An attempt begins: NGX_DECLINED, another call was faster. */
ngx_int_t ngx_http_stoa_breaker_enter(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_uint_t address,
    ngx_http_stoa_try_t *t);
/* It is over: by this status of an answer, or without one, by an
 * ngx_http_stoa_why_e; both 0: nothing was learnt of the target. */
void ngx_http_stoa_breaker_leave(ngx_http_stoa_api_t *api,
    ngx_http_stoa_try_t *t, ngx_uint_t status, ngx_uint_t why);


/* ---- ngx_http_stoa_retry.c: apis with a budget for further tries -------- */

/* proxy_next_upstream, as an api's causes say it. */
ngx_uint_t ngx_http_stoa_retry_causes(ngx_http_stoa_api_t *api);
/* A call begins. */
void ngx_http_stoa_retry_call(ngx_http_stoa_api_t *api);
/* The head of an answer came: is it thrown away for another try?  If not,
 * nginx will not try, either. */
ngx_uint_t ngx_http_stoa_retry_answer(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer);
/* An idle connection closed as it was used: nginx takes another one, if the
 * call may be made twice. */
void ngx_http_stoa_retry_stale(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer);
/* An attempt failed without one: pc->tries is 0 where there is no other. */
void ngx_http_stoa_retry_failed(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer);


/* ---- ngx_http_stoa_split.c ---------------------------------------------- */

/* For an api that is compiled and has one. */
ngx_int_t ngx_http_stoa_split_compile(ngx_http_stoa_api_t *api);
/* A call with a group is over. */
void ngx_http_stoa_split_count(ngx_http_stoa_ctx_t *ctx, ngx_uint_t status);


/* ---- ngx_http_stoa_mirror.c --------------------------------------------- */

/* A call of an api that has a mirror begins, and is over. */
ngx_int_t ngx_http_stoa_mirror_before(ngx_http_request_t *r,
    ngx_http_stoa_api_t *api);
void ngx_http_stoa_mirror(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);


/* ---- ngx_http_stoa_deadline.c ------------------------------------------- */

/* The first attempt begins: from now on the call has its total time.
 * NGX_ERROR without memory. */
ngx_int_t ngx_http_stoa_deadline(ngx_http_stoa_peer_t *peer);


/* ---- ngx_http_stoa_balance.c ------------------------------------------- */

/* How many attempts a request to this api has. */
ngx_uint_t ngx_http_stoa_balance_tries(ngx_http_stoa_api_t *api);

/* The next target and the index of its address; NULL: none is left.  group: of
 * the api's split, 0: any.  tries: what was tried, NULL for nothing yet. */
ngx_http_stoa_target_t *ngx_http_stoa_balance_choose(
    ngx_http_stoa_api_t *api, ngx_uint_t group, ngx_http_stoa_try_t *tries,
    ngx_uint_t *address);

/* An address of this target against which no more than this speaks; 0:
 * none. */
ngx_uint_t ngx_http_stoa_balance_pick(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_try_t *tries,
    ngx_uint_t level, ngx_uint_t *address);

/* Notes the attempt in t, before those in *tries.  NGX_DECLINED: there is
 * none, another one has to be chosen. */
ngx_int_t ngx_http_stoa_balance_attempt(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_uint_t address,
    ngx_http_stoa_try_t *t, ngx_http_stoa_try_t **tries);

/* What came of it. */
void ngx_http_stoa_balance_health(ngx_http_stoa_api_t *api,
    ngx_http_stoa_try_t *t, ngx_uint_t failed, ngx_log_t *log);

/* What is asked for there: the target's path, then the rest. */
ngx_int_t ngx_http_stoa_balance_uri(ngx_pool_t *pool,
    ngx_http_stoa_target_t *target, ngx_str_t *rest, ngx_str_t *uri);


#endif /* NGX_HTTP_STOA_BALANCE_H */
