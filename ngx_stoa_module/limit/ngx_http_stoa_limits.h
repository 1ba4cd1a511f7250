/*
 * Limits of a plan: concurrency and rate in the zone, quotas in the mapped
 * file; all exact over the workers of a node.
 *
 * Process: workers.
 */

#ifndef NGX_HTTP_STOA_LIMITS_H
#define NGX_HTTP_STOA_LIMITS_H


#include "ngx_http_stoa_zone.h"
#include "ngx_http_stoa_ctx.h"
#include "core/stoa_gcra.h"


extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_concurrency;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_rate;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_quota;

/* A place for a stream that is held; NGX_OK or a status. */
ngx_int_t ngx_http_stoa_limits_stream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* A session begins; NGX_OK or a status. */
ngx_int_t ngx_http_stoa_limits_session(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

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


/* GCRA on the slot of `key` in the zone, for a call that counts as n. */
void ngx_http_stoa_rate_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, uint64_t n, ngx_http_stoa_verdict_t *v);
/* Gives back what the last decision for a request took. */
void ngx_http_stoa_rate_return(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, const stoa_gcra_t *gcra, uint64_t n);
/* In-flight counting; NGX_OK fills *handle, to be released exactly once.  A
 * worker that dies gives back what it held. */
ngx_int_t ngx_http_stoa_inflight_take(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, uint32_t limit, void **handle);
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
