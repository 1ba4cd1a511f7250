/*
 * Limits that gateways share: tokens are leased from Redis before they are
 * needed, and spent from shared memory.
 *
 * A call whose pool has too few waits, at most for the time of "stoa_redis",
 * and is decided by the plan's on_store_failure when nothing comes.
 *
 * Process: workers.
 */

#ifndef NGX_HTTP_STOA_LEASE_H
#define NGX_HTTP_STOA_LEASE_H


#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_pool.h"


#define NGX_HTTP_STOA_LEASE_WAITERS  1024      /* in a worker                */
#define NGX_HTTP_STOA_LEASE_BUDGETS  2         /* that are taken together    */
#define NGX_HTTP_STOA_LEASE_RATE_TTL 2000      /* ms, of a row in Redis      */


typedef struct {
    ngx_uint_t  which;                         /* ngx_http_stoa_limit_e      */
    uint64_t    limit;
    uint64_t    interval_ns;                   /* of a token of the rate     */
    ngx_uint_t  zone;                          /* of a quota: _pool_zone()   */
} ngx_http_stoa_budget_t;


/* Whose: the ids for Redis, their hash for this node; what was taken, for each
 * budget. */

typedef struct {
    stoa_id_t             ids[2];
    uint64_t              key;
    ngx_uint_t            ways;                /* 0: all of a set of pools   */
    ngx_uint_t            owes;                /* _settle() may charge       */
    ngx_http_stoa_held_t  held[NGX_HTTP_STOA_LEASE_BUDGETS];
} ngx_http_stoa_lease_key_t;


/* n of each budget of the key, or of none.  NGX_OK, NGX_BUSY (v
 * says which refuses), NGX_AGAIN: it waits; NGX_ERROR: nobody knows;
 * NGX_DECLINED: there is no place to count, it is for this node alone. */
ngx_int_t ngx_http_stoa_lease_take(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_lease_key_t *key,
    const ngx_http_stoa_budget_t *budgets, ngx_uint_t nbudgets,
    uint64_t n, ngx_uint_t failure, ngx_http_stoa_verdict_t *v,
    ngx_http_stoa_left_t *left);
/* What the call took becomes what it used: the rest goes back, to Redis if
 * that has heard of it as spent; what is missing is owed. */
void ngx_http_stoa_lease_settle(ngx_http_stoa_held_t *held, uint64_t had,
    uint64_t used);

ngx_int_t ngx_http_stoa_lease_start(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle);
void ngx_http_stoa_lease_stop(void);


/* ---- messages (ngx_http_stoa_lease_ask.c) ------------------------------ */

ngx_int_t ngx_http_stoa_lease_ask_start(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, void (*changed)(void));
void ngx_http_stoa_lease_ask_stop(void);

typedef enum {
    NGX_HTTP_STOA_LEASE_MORE = 0,
    NGX_HTTP_STOA_LEASE_BACK,                  /* all that there is          */
    NGX_HTTP_STOA_LEASE_ANEW                   /* the same, and more: the
                                                  figures are others         */
} ngx_http_stoa_lease_why_e;

/* NGX_OK: somebody asks; NGX_BUSY: it cannot be sent yet. */
ngx_int_t ngx_http_stoa_lease_ask(ngx_http_stoa_pool_t *pool, uint64_t need,
    ngx_http_stoa_lease_why_e why);

/* Redis is away; is it known to be? */
void ngx_http_stoa_lease_failed(const char *why);
ngx_uint_t ngx_http_stoa_lease_away(void);

/* CLOCK_BOOTTIME, ms. */
uint64_t ngx_http_stoa_lease_now(void);


#endif /* NGX_HTTP_STOA_LEASE_H */
