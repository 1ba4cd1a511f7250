/*
 * Limits of a plan: concurrency and rate in the zone, quotas in the mapped
 * file; all exact over the workers of a node.
 *
 * Process: workers.
 */

#ifndef NGX_HTTP_STOA_LIMITS_H
#define NGX_HTTP_STOA_LIMITS_H


#include "ngx_http_stoa_zone.h"
#include "ngx_http_stoa_chain.h"
#include "core/stoa_gcra.h"


extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_concurrency;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_llm;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_websocket;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_rate;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_rate_limit;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_quota;

/* A place for a stream that is held; NGX_OK or a status. */
ngx_int_t ngx_http_stoa_limits_stream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* A session begins; NGX_OK or a status. */
ngx_int_t ngx_http_stoa_limits_session(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* A limit refuses, or, a shadow, counts: NGX_OK, a status.  What other limits
 * took of the call they get back.  v: NULL where nothing is known. */
ngx_int_t ngx_http_stoa_limits_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t what, ngx_http_stoa_verdict_t *v);

/* What the call uses up. */
#define ngx_http_stoa_limits_cost(ctx)                                        \
    ((ctx)->call.cost ? (ctx)->call.cost : 1)

/* The call uses nothing up after all: what it took goes back. */
void ngx_http_stoa_limits_free(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* What a limit took, first in what it keeps of it in call.limited_by: back()
 * runs when another one refuses. */

typedef struct ngx_http_stoa_took_s  ngx_http_stoa_took_t;

struct ngx_http_stoa_took_s {
    ngx_http_stoa_took_t  *next;
    void                 (*back)(ngx_http_stoa_main_conf_t *mcf,
                                 ngx_http_stoa_took_t *took);
    /* The answer has said what the call costs; NULL: it does not matter. */
    void                 (*settle)(ngx_http_stoa_main_conf_t *mcf,
                                   ngx_http_stoa_took_t *took, uint64_t used);
};

/* Of a call that is only looked at: does Redis count it?  What gateways share
 * is known by what was taken of it alone. */
ngx_uint_t ngx_http_stoa_limits_unseen(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_main_conf_t *mcf);
/* What is owed is at most what is refilled in this time. */
#define NGX_HTTP_STOA_LIMITS_DEBT  (UINT64_C(86400) * 1000000000)

/* If the call's answer is to say what it costs, that is charged at its end.
 * NGX_OK, NGX_ERROR. */
ngx_int_t ngx_http_stoa_limits_settles(ngx_http_stoa_ctx_t *ctx);

/* The tokens of the call, as far as it is; NGX_DECLINED: they are not
 * counted (_llm.c). */
ngx_int_t ngx_http_stoa_llm_tokens(ngx_http_stoa_ctx_t *ctx,
    stoa_llm_used_t *used);

/* RateLimit, RateLimit-Policy, X-RateLimit-*, Retry-After. */
ngx_int_t ngx_http_stoa_limit_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* Where a plan's quotas are in their day and month: kept from call to call. */

typedef struct {
    const stoa_zone_t  *zone;                  /* NULL: UTC                  */
    ngx_uint_t          place;                 /* of a pool, of its name     */
    stoa_window_t       day;
    stoa_window_t       month;
} ngx_http_stoa_calendar_t;


/* Of a set, for keys that callers make up. */
#define NGX_HTTP_STOA_RATE_SPARE  4

/* GCRA on the slot of `key` in the zone, for a call that counts as n.  ways:
 * where in a set it may lie.  limit 0: there is no room. */
void ngx_http_stoa_rate_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n, ngx_uint_t ways,
    ngx_http_stoa_verdict_t *v);
/* The same without taking: what would be said, and left. */
void ngx_http_stoa_rate_look(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n, ngx_http_stoa_verdict_t *v);
/* Takes n more, whether they are there or not (stoa_gcra_charge()). */
void ngx_http_stoa_rate_charge(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n, ngx_uint_t ways);
/* Gives back what the last decision for a request took. */
void ngx_http_stoa_rate_return(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, const stoa_gcra_t *gcra, uint64_t n);

/* Never more than `limit` in any window, looked at in cells. */

#define NGX_HTTP_STOA_WINDOW_CELLS  10

typedef struct {
    uint64_t  limit;
    uint64_t  cell_ns;                         /* window / _CELLS            */
} ngx_http_stoa_window_t;

/* The same for a window; *cell: where it was counted, to be given back. */
void ngx_http_stoa_window_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const ngx_http_stoa_window_t *w, uint64_t n, ngx_uint_t ways,
    uint64_t *cell, ngx_http_stoa_verdict_t *v);
void ngx_http_stoa_window_look(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const ngx_http_stoa_window_t *w, uint64_t n, ngx_http_stoa_verdict_t *v);
void ngx_http_stoa_window_return(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, uint64_t cell, uint64_t n);

/* An allowance of the calls that have something in common (_by.c). */

typedef struct ngx_http_stoa_limit_word_s  ngx_http_stoa_limit_word_t;

typedef struct {
    stoa_gcra_t                  gcra;
    ngx_http_stoa_window_t       window;       /* limit 0: a bucket          */
    uint64_t                     seed;
    ngx_uint_t                   failure;      /* stoa_on_store_failure_e    */
    ngx_uint_t                   made_up;      /* a word is a caller's       */
    ngx_uint_t                   n;
    ngx_http_stoa_limit_word_t  *words;
} ngx_http_stoa_limit_by_t;

/* Where a call was counted, to be given back there. */

typedef struct {
    uint64_t              key;
    ngx_uint_t            ways;
    uint64_t              cell;                /* of a window                */
    ngx_uint_t            shared;              /* by leases:                 */
    ngx_http_stoa_held_t  held;                /* of these                   */
} ngx_http_stoa_limit_at_t;

/* Whose it is: by where the policy is attached, h, and a list of words. */
ngx_int_t ngx_http_stoa_limit_by_words(ngx_pool_t *pool,
    const ngx_http_stoa_attached_t *a, const stoa_vec_t *list, uint64_t h,
    ngx_http_stoa_limit_by_t *by);
/* A call that counts as n; limit 0: there is no room.  v->rc NGX_AGAIN: it
 * waits, and asks again. */
void ngx_http_stoa_limit_by_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_limit_at_t *at, ngx_http_stoa_verdict_t *v);
/* What it took, `had`, becomes what it used. */
void ngx_http_stoa_limit_by_settle(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_limit_by_t *by, ngx_http_stoa_limit_at_t *at,
    uint64_t had, uint64_t used);

/* In-flight counting; NGX_OK fills *handle, to be released exactly once.  A
 * worker that dies gives back what it held. */
ngx_int_t ngx_http_stoa_inflight_take(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, uint32_t limit, void **handle);
/* Would there be room for one more?  v->limit is set. */
ngx_int_t ngx_http_stoa_inflight_look(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, ngx_http_stoa_verdict_t *v);
void ngx_http_stoa_inflight_drop(ngx_http_stoa_sh_t *sh, ngx_uint_t proc);
void ngx_http_stoa_inflight_return(ngx_http_stoa_main_conf_t *mcf,
    void *handle);
/* Quota windows in the mapped file: counts n against the plan's day and
 * month, both or none.  v: the nearer one, or the one that refuses; left:
 * what both have when the call may pass. */
void ngx_http_stoa_quota_take(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, const stoa_rec_plan_t *plan,
    ngx_http_stoa_calendar_t *calendar, uint64_t n,
    ngx_http_stoa_verdict_t *v, ngx_http_stoa_left_t *left);

/* Gives back what was counted, now.  Or counts more, whether it is there or
 * not. */
void ngx_http_stoa_quota_return(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    ngx_http_stoa_calendar_t *calendar, uint64_t n);
void ngx_http_stoa_quota_charge(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    ngx_http_stoa_calendar_t *calendar, uint64_t n);
/* The same without counting. */
void ngx_http_stoa_quota_look(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_rec_plan_t *plan, ngx_http_stoa_calendar_t *calendar,
    uint64_t n, ngx_http_stoa_verdict_t *v, ngx_http_stoa_left_t *left);

/* The zone, read once in a worker and kept; NULL: UTC, or there is none of
 * that name here. */
const stoa_zone_t *ngx_http_stoa_calendar_zone(const char *name, size_t len);

/* Slots that there are and that are in use.  In a large zone a part of them is
 * looked at and the rest estimated, so that who asks holds up no request. */

#define NGX_HTTP_STOA_FILL_SETS  65536

typedef struct {
    uint64_t  used;
    uint64_t  slots;
} ngx_http_stoa_fill_t;

/* All that are in flight. */
#define ngx_http_stoa_in_flight(sh)                                           \
    ngx_http_stoa_proc_sum(sh, offsetof(ngx_http_stoa_proc_t, in_flight))

void ngx_http_stoa_rate_fill(ngx_http_stoa_sh_t *sh,
    ngx_http_stoa_fill_t *fill);
void ngx_http_stoa_inflight_fill(ngx_http_stoa_sh_t *sh,
    ngx_http_stoa_fill_t *fill);


#endif /* NGX_HTTP_STOA_LIMITS_H */
