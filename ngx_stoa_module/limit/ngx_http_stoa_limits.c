/*
 * How often may this application call this target: concurrency, rate and
 * quotas of its plan, rows of the policies.
 *
 * What can be given back is taken first, so that a request that is refused
 * uses nothing up: a place among the concurrent ones, then a token of the
 * rate, then one of the quotas; of the latter two as many as the call costs.
 * A shadow takes what it would, and tells nobody.  Process: workers.
 */

#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_lease.h"
#include "ngx_http_stoa_look.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_LIMITS_DAY     86400
#define NGX_HTTP_STOA_LIMITS_MONTH   2592000
#define NGX_HTTP_STOA_LIMITS_TEXT    160   /* all items of RateLimit-Policy  */

/* Keys of counters outlive processes: this never changes. */
#define NGX_HTTP_STOA_LIMITS_SEED    0x73746f616c696d31ULL


static ngx_int_t ngx_http_stoa_limits_rate_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_limits_quota_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_limits_tell(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_limit_e which, uint64_t quota,
    uint64_t window);
static ngx_int_t ngx_http_stoa_limits_concurrency(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_limits_rate(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_limits_rate_take(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_main_conf_t *mcf, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_verdict_t *v);
static ngx_int_t ngx_http_stoa_limits_quota(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_limits_rate_back(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_main_conf_t *mcf);
static ngx_int_t ngx_http_stoa_limits_quota_shared(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_verdict_t *v,
    ngx_http_stoa_left_t *left);
static void ngx_http_stoa_limits_leave(ngx_http_stoa_ctx_t *ctx,
    void *data);
static ngx_int_t ngx_http_stoa_limits_never(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_limit_e which, uint64_t most);
static ngx_int_t ngx_http_stoa_limits_over(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_refuse_e what,
    ngx_http_stoa_verdict_t *v);
static uint64_t ngx_http_stoa_limits_key(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan);
static void ngx_http_stoa_limits_ids(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan, stoa_id_t *ids);
static ngx_int_t ngx_http_stoa_limits_shared(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, const ngx_http_stoa_budget_t *budgets,
    ngx_uint_t n, ngx_http_stoa_verdict_t *v, ngx_http_stoa_left_t *left);


/* Less than a fifth is left of it. */
#define ngx_http_stoa_limits_near(v)  ((v)->remaining * 5 < (v)->limit)


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_concurrency = {
    .name = "concurrency",
    .on_way = 1,
    .head = ngx_http_stoa_limits_concurrency,
    .look = 1
};

const ngx_http_stoa_policy_t  ngx_http_stoa_policy_rate = {
    .name = "rate",
    .compile = ngx_http_stoa_limits_rate_compile,
    .head = ngx_http_stoa_limits_rate,
    .look = 1
};

const ngx_http_stoa_policy_t  ngx_http_stoa_policy_quota = {
    .name = "quota",
    .compile = ngx_http_stoa_limits_quota_compile,
    .head = ngx_http_stoa_limits_quota,
    .look = 1
};


/*
 * What is enforced is a bucket: it holds what may come at once, and is full
 * again when as much of the rate has passed.  Windows are whole seconds:
 * another one is told as what comes back in the next whole one, but not less
 * than the bucket.
 */

static ngx_int_t
ngx_http_stoa_limits_rate_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    uint64_t                quota, window, ms;
    stoa_gcra_t            *gcra;
    const stoa_rec_plan_t  *plan;

    plan = a->rec;

    gcra = ngx_pcalloc(pool, sizeof(stoa_gcra_t));
    if (gcra == NULL) {
        return NGX_ERROR;
    }

    a->state = gcra;
    stoa_gcra_setup(gcra, plan->rate, plan->per_ms, plan->burst);
    gcra->debt_ns = NGX_HTTP_STOA_LIMITS_DEBT;

    ms = ngx_max(gcra->burst_ns + gcra->interval_ns, 1000000) / 1000000;
    window = (ms + 999) / 1000;
    quota = plan->burst ? plan->burst : plan->rate;

    if (ms % 1000 && quota < UINT64_MAX / 1000 / window) {
        quota = quota * window * 1000 / ms;
    }

    return a->shadow ? NGX_OK
                     : ngx_http_stoa_limits_tell(pool, chain,
                                                 NGX_HTTP_STOA_LIMIT_RATE,
                                                 quota, window);
}


static ngx_int_t
ngx_http_stoa_limits_quota_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    ngx_str_t                   zone;
    const stoa_rec_plan_t      *plan;
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_http_stoa_calendar_t   *calendar;

    plan = a->rec;
    zone.data = (u_char *) plan + plan->time_zone.off;
    zone.len = plan->time_zone.len;

    calendar = ngx_pcalloc(pool, sizeof(ngx_http_stoa_calendar_t));
    if (calendar == NULL) {
        return NGX_ERROR;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);
    calendar->zone = ngx_http_stoa_calendar_zone((char *) zone.data, zone.len);
    calendar->place = mcf->redis && calendar->zone
                      ? ngx_http_stoa_pool_zone(&zone) : 0;
    a->state = calendar;

    if (a->shadow) {
        return NGX_OK;
    }

    if (plan->quota_day
        && ngx_http_stoa_limits_tell(pool, chain, NGX_HTTP_STOA_LIMIT_DAY,
                                     plan->quota_day,
                                     NGX_HTTP_STOA_LIMITS_DAY)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return plan->quota_month
           ? ngx_http_stoa_limits_tell(pool, chain, NGX_HTTP_STOA_LIMIT_MONTH,
                                       plan->quota_month,
                                       NGX_HTTP_STOA_LIMITS_MONTH)
           : NGX_OK;
}


/* An item of RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-11. */

static ngx_int_t
ngx_http_stoa_limits_tell(ngx_pool_t *pool, ngx_http_stoa_chain_t *chain,
    ngx_http_stoa_limit_e which, uint64_t quota, uint64_t window)
{
    u_char     *last;
    ngx_str_t  *text;

    text = &chain->limits;

    if (text->data == NULL) {
        text->data = ngx_pnalloc(pool, NGX_HTTP_STOA_LIMITS_TEXT);
        if (text->data == NULL) {
            return NGX_ERROR;
        }
    }

    last = text->data + NGX_HTTP_STOA_LIMITS_TEXT;
    text->len = ngx_slprintf(text->data + text->len, last,
                             "%s\"%V\";q=%uL;w=%uL", text->len ? ", " : "",
                             &ngx_http_stoa_limit_names[which], quota, window)
                - text->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_limits_concurrency(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                   rc;
    const stoa_rec_plan_t      *plan;
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    plan = a->rec;

    if (ctx->call.inflight) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_memzero(&v, sizeof(ngx_http_stoa_verdict_t));
    v.which = NGX_HTTP_STOA_LIMIT_CONCURRENCY;
    v.limit = plan->concurrency;

    if (ctx->look) {
        rc = ngx_http_stoa_inflight_look(mcf,
                                         ngx_http_stoa_limits_key(ctx, plan),
                                         &v);
        ctx->look->now.v = v;

    } else if (ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_limits_leave,
                                          NULL)
               != NGX_OK)
    {
        return NGX_ERROR;

    } else {
        rc = ngx_http_stoa_inflight_take(mcf,
                                         ngx_http_stoa_limits_key(ctx, plan),
                                         plan->concurrency,
                                         &ctx->call.inflight);
    }

    if (rc == NGX_BUSY) {
        v.retry_ms = 1000;

        return ngx_http_stoa_limits_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_CONCURRENCY,
                                           &v);
    }

    if (rc != NGX_OK && mcf->zone_full_deny) {
        return ngx_http_stoa_limits_refuse(r, ctx, a,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_stoa_limits_unseen(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_main_conf_t *mcf)
{
    if (ctx->look == NULL || mcf->redis == NULL) {
        return 0;
    }

    ctx->look->now.blind = "gateways share it by Redis, which is only asked"
                           " when the call is made";
    return 1;
}


static ngx_int_t
ngx_http_stoa_limits_rate(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                   rc;
    const stoa_gcra_t          *gcra;
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    gcra = a->state;

    if (ctx->call.cost > stoa_gcra_most(gcra)) {
        return ngx_http_stoa_limits_never(r, ctx, a, NGX_HTTP_STOA_LIMIT_RATE,
                                          stoa_gcra_most(gcra));
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_limits_unseen(ctx, mcf)) {
        return NGX_OK;
    }

    if (ngx_http_stoa_limits_settles(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_limits_rate_take(ctx, mcf, a, &v);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (v.rc != NGX_OK && (v.rc == NGX_BUSY || rc == NGX_ERROR
                           || mcf->zone_full_deny))
    {
        v.limit = stoa_gcra_most(gcra);

        return v.rc == NGX_BUSY
               ? ngx_http_stoa_limits_refuse(r, ctx, a,
                                             NGX_HTTP_STOA_REFUSE_RATE, &v)
               : ngx_http_stoa_limits_refuse(r, ctx, a,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    /* a limit of 0: let through uncounted, nothing is known */

    if (v.rc != NGX_OK || v.limit == 0) {
        return NGX_OK;
    }

    ctx->call.token = ctx->look ? NULL : gcra;

    if (a->shadow) {
        return NGX_OK;
    }

    v.limit = stoa_gcra_most(gcra);

    if (ngx_http_stoa_limits_near(&v)) {
        ngx_http_stoa_count(rate_near, 1);
    }

    ctx->call.rate = v;
    ctx->call.limited = 1;

    ctx->call.left[0].known = 1;
    ctx->call.left[0].remaining = v.remaining;
    ctx->call.left[0].reset_ms = v.reset_ms;

    return NGX_OK;
}


/* v: what it says; NGX_ERROR: though it could not be asked. */

static ngx_int_t
ngx_http_stoa_limits_rate_take(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_main_conf_t *mcf, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_verdict_t *v)
{
    uint64_t                 key;
    ngx_int_t                rc;
    const stoa_gcra_t       *gcra;
    ngx_http_stoa_left_t     left[3];
    ngx_http_stoa_budget_t   budget;

    rc = NGX_DECLINED;
    gcra = a->state;
    key = ngx_http_stoa_limits_key(ctx, a->rec);

    if (mcf->redis) {
        budget.which = NGX_HTTP_STOA_LIMIT_RATE;
        budget.limit = stoa_gcra_most(gcra);
        budget.interval_ns = gcra->interval_ns;
        budget.zone = 0;

        rc = ngx_http_stoa_limits_shared(ctx, a, &budget, 1, v, left);
    }

    if (ctx->look) {
        ngx_http_stoa_rate_look(mcf, key, gcra, ngx_http_stoa_limits_cost(ctx),
                                v);
        ctx->look->now.v = *v;

    } else if (rc == NGX_DECLINED) {
        ngx_http_stoa_rate_take(mcf, key, gcra, ngx_http_stoa_limits_cost(ctx),
                                NGX_HTTP_STOA_RATE_WAYS, v);
    }

    return rc;
}


static ngx_int_t
ngx_http_stoa_limits_quota(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    uint64_t                    key, cost;
    ngx_int_t                   rc;
    ngx_uint_t                  day;
    const stoa_rec_plan_t      *plan;
    ngx_http_stoa_left_t        left[3];
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    plan = a->rec;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    key = ngx_http_stoa_limits_key(ctx, plan);
    cost = ngx_http_stoa_limits_cost(ctx);
    day = plan->quota_day && cost > plan->quota_day;
    rc = NGX_DECLINED;

    if (ngx_http_stoa_limits_unseen(ctx, mcf)) {
        return NGX_OK;
    }

    if (ngx_http_stoa_limits_settles(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (day || (plan->quota_month && cost > plan->quota_month)) {
        v.rc = NGX_DECLINED;
        rc = NGX_OK;

    } else if (mcf->redis) {
        rc = ngx_http_stoa_limits_quota_shared(ctx, a, &v,
                                           a->shadow ? left : ctx->call.left);
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_DECLINED) {
        (ctx->look ? ngx_http_stoa_quota_look : ngx_http_stoa_quota_take)(mcf,
            key, plan, a->state, cost, &v, a->shadow ? left : ctx->call.left);
        ngx_http_stoa_look_left(ctx, &v);
        ctx->call.counted = v.rc == NGX_OK && ctx->look == NULL ? a : NULL;
    }

    if (v.rc != NGX_OK && (v.rc != NGX_ERROR || rc == NGX_ERROR
                           || mcf->zone_full_deny))
    {
        if (!a->shadow) {
            ngx_http_stoa_limits_rate_back(ctx, mcf);
        }

        if (v.rc == NGX_DECLINED) {
            return ngx_http_stoa_limits_never(r, ctx, a,
                       day ? NGX_HTTP_STOA_LIMIT_DAY
                           : NGX_HTTP_STOA_LIMIT_MONTH,
                       day ? plan->quota_day : plan->quota_month);
        }

        return v.rc == NGX_BUSY
               ? ngx_http_stoa_limits_refuse(r, ctx, a,
                                             NGX_HTTP_STOA_REFUSE_QUOTA, &v)
               : ngx_http_stoa_limits_refuse(r, ctx, a,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    if (v.rc == NGX_OK && !a->shadow && ngx_http_stoa_limits_near(&v)) {
        ngx_http_stoa_count(quota_near, 1);
    }

    if (v.rc == NGX_OK && v.limit && !a->shadow
        && (!ctx->call.limited || v.remaining < ctx->call.rate.remaining))
    {
        ctx->call.rate = v;
        ctx->call.limited = 1;
    }

    return NGX_OK;
}


static void
ngx_http_stoa_limits_rate_back(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_main_conf_t *mcf)
{
    uint64_t  cost;

    cost = ngx_http_stoa_limits_cost(ctx);

    if (ctx->call.leased[0].tag) {
        ngx_http_stoa_lease_settle(&ctx->call.leased[0], cost, 0);

    } else if (ctx->call.token) {
        ngx_http_stoa_rate_return(mcf, ctx->call.allowance, ctx->call.token,
                                  cost);
    }
}


static ngx_int_t
ngx_http_stoa_limits_quota_shared(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_verdict_t *v,
    ngx_http_stoa_left_t *left)
{
    ngx_uint_t                       n;
    const stoa_rec_plan_t           *plan;
    ngx_http_stoa_budget_t           budget[NGX_HTTP_STOA_LEASE_BUDGETS];
    const ngx_http_stoa_calendar_t  *calendar;

    plan = a->rec;
    calendar = a->state;
    n = 0;
    ngx_memzero(budget, sizeof(budget));
    budget[0].zone = calendar->place;
    budget[1].zone = calendar->place;

    if (plan->quota_day) {
        budget[n].which = NGX_HTTP_STOA_LIMIT_DAY;
        budget[n++].limit = plan->quota_day;
    }

    if (plan->quota_month) {
        budget[n].which = NGX_HTTP_STOA_LIMIT_MONTH;
        budget[n++].limit = plan->quota_month;
    }

    return ngx_http_stoa_limits_shared(ctx, a, budget, n, v, left);
}


/* No plan speaks of streams, and many may be the application's that is asked
 * by them: they have a bound of their own. */

ngx_int_t
ngx_http_stoa_limits_stream(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                    key;
    ngx_int_t                   rc;
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_limits_leave, NULL)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    key = stoa_hash64(ctx->anonymous ? &ctx->principal : &ctx->application,
                      sizeof(stoa_id_t), NGX_HTTP_STOA_LIMITS_SEED + 1);

    rc = ngx_http_stoa_inflight_take(mcf, key, (uint32_t) mcf->mcp_streams,
                                     &ctx->call.inflight);
    if (rc == NGX_OK) {
        return NGX_OK;
    }

    ngx_memzero(&v, sizeof(ngx_http_stoa_verdict_t));
    v.which = NGX_HTTP_STOA_LIMIT_CONCURRENCY;
    v.limit = mcf->mcp_streams;
    v.retry_ms = 1000;

    return rc == NGX_BUSY
           ? ngx_http_stoa_limits_over(r, ctx,
                                       NGX_HTTP_STOA_REFUSE_MCP_STREAMS, &v)
           : ngx_http_stoa_limits_over(r, ctx,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
}


/* Nor of sessions that begin, each of which may open some at upstreams. */

ngx_int_t
ngx_http_stoa_limits_session(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                    key;
    ngx_int_t                   rc;
    stoa_gcra_t                 gcra;
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    key = stoa_hash64(ctx->anonymous ? &ctx->principal : &ctx->application,
                      sizeof(stoa_id_t), NGX_HTTP_STOA_LIMITS_SEED + 2);

    stoa_gcra_setup(&gcra, mcf->mcp_sessions.rate, 60000, 0);
    ngx_http_stoa_rate_take(mcf, key, &gcra, 1, NGX_HTTP_STOA_RATE_WAYS, &v);

    if (v.rc == NGX_OK || (v.rc != NGX_BUSY && !mcf->zone_full_deny)) {
        return NGX_OK;
    }

    v.limit = mcf->mcp_sessions.rate;

    if (v.rc != NGX_BUSY) {
        return ngx_http_stoa_limits_over(r, ctx,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    rc = ngx_http_stoa_limits_over(r, ctx, NGX_HTTP_STOA_REFUSE_MCP_SESSIONS,
                                   &v);
    ngx_str_set(&ctx->call.detail, "The application begins more sessions in a "
                "minute than it may.");

    return rc;
}


/* Gives the place among the concurrent ones back, once. */

static void
ngx_http_stoa_limits_leave(ngx_http_stoa_ctx_t *ctx, void *data)
{
    void                       *handle;
    ngx_http_stoa_main_conf_t  *mcf;

    handle = ctx->call.inflight;

    if (handle) {
        mcf = ngx_http_get_module_main_conf(ctx->request,
                                            ngx_http_stoa_module);
        ctx->call.inflight = NULL;
        ngx_http_stoa_inflight_return(mcf, handle);
    }
}


/* v: NULL where nothing can be said about budgets. */

ngx_int_t
ngx_http_stoa_limits_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_uint_t what,
    ngx_http_stoa_verdict_t *v)
{
    return a->shadow ? ngx_http_stoa_policy_refuse(r, ctx, a, what)
                     : ngx_http_stoa_limits_over(r, ctx, what, v);
}


static ngx_int_t
ngx_http_stoa_limits_over(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_refuse_e what, ngx_http_stoa_verdict_t *v)
{
    ngx_http_stoa_took_t       *took;
    ngx_http_stoa_main_conf_t  *mcf;

    ngx_http_stoa_limits_leave(ctx, NULL);

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    for (took = ctx->call.limited_by; took; took = took->next) {
        took->back(mcf, took);
    }

    ctx->call.limited_by = NULL;
    ctx->call.limited = 0;
    ngx_memzero(ctx->call.left, sizeof(ctx->call.left));

    if (v) {
        ctx->call.rate = *v;
        ctx->call.limited = 1;
    }

    return ngx_http_stoa_refuse(r, what, NULL);
}


/* It costs more than there ever is: waiting does not help. */

static ngx_int_t
ngx_http_stoa_limits_never(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_limit_e which,
    uint64_t most)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t  *detail;

    rc = ngx_http_stoa_limits_refuse(r, ctx, a, NGX_HTTP_STOA_REFUSE_COST,
                                     NULL);

    if (rc == NGX_HTTP_FORBIDDEN) {
        detail = &ctx->call.detail;

        p = ngx_pnalloc(r->pool, sizeof("The call costs , more than the  of "
                                        "the plan's concurrency ever has.")
                                 + 2 * NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        detail->data = p;
        detail->len = ngx_sprintf(p, "The call costs %uL, more than the %uL "
                                  "of the plan's %V ever has.",
                                  ctx->call.cost, most,
                                  &ngx_http_stoa_limit_names[which])
                      - p;
    }

    return rc;
}


/*
 * An application's or a credential's subscriptions share a budget if they
 * have the same plan.  A subscription's own is that of the application and
 * its target: one that is deleted and made again brings no new budget.  Of
 * who has no credential each network address has one.
 */

static uint64_t
ngx_http_stoa_limits_key(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan)
{
    stoa_id_t  ids[2];

    if (ctx->call.allowance == 0) {
        ngx_http_stoa_limits_ids(ctx, plan, ids);
        ctx->call.allowance = stoa_hash64(ids, sizeof(ids),
                                          NGX_HTTP_STOA_LIMITS_SEED);
    }

    return ctx->call.allowance;
}


static void
ngx_http_stoa_limits_ids(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan, stoa_id_t *ids)
{
    switch (ctx->anonymous ? STOA_LIMIT_BY_SUBSCRIPTION : plan->limit_by) {

    case STOA_LIMIT_BY_APPLICATION:
        ids[0] = ctx->application;
        ids[1] = plan->id;
        break;

    case STOA_LIMIT_BY_CREDENTIAL:
        ids[0] = ctx->principal;
        ids[1] = plan->id;
        break;

    default:
        ids[0] = ctx->anonymous ? ctx->principal : ctx->application;
        ids[1] = ctx->call.subscribed;
    }
}


/* In Redis, for all gateways of the group; NGX_DECLINED: here. */

static ngx_int_t
ngx_http_stoa_limits_shared(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, const ngx_http_stoa_budget_t *budgets,
    ngx_uint_t n, ngx_http_stoa_verdict_t *v, ngx_http_stoa_left_t *left)
{
    ngx_uint_t                  i;
    const stoa_rec_plan_t      *plan;
    ngx_http_stoa_lease_key_t   key;

    plan = a->rec;
    ngx_memzero(&key, sizeof(ngx_http_stoa_lease_key_t));
    ngx_http_stoa_limits_ids(ctx, plan, key.ids);
    key.key = ngx_http_stoa_limits_key(ctx, plan);
    key.owes = ctx->call.cost_of != NULL;

    v->rc = ngx_http_stoa_lease_take(ctx, &key, budgets, n,
                                     ngx_http_stoa_limits_cost(ctx),
                                     plan->on_store_failure, v, left);

    for (i = 0; i < n && v->rc == NGX_OK && !a->shadow; i++) {
        ctx->call.leased[budgets[i].which] = key.held[i];
    }

    return v->rc;
}
