
/*
 * How often may this application call this target: its plan's concurrency,
 * rate and quotas.
 *
 * What can be given back is taken first, so that a request that is refused
 * uses nothing up: a place among the concurrent ones, then a token of the
 * rate, then one of the quotas.  Process: workers.
 */

#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_chain.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_LIMITS_DAY     86400
#define NGX_HTTP_STOA_LIMITS_MONTH   2592000

/* Keys of counters outlive processes: this never changes. */
#define NGX_HTTP_STOA_LIMITS_SEED    0x73746f616c696d31ULL


/* What follows from a plan alone. */

#define NGX_HTTP_STOA_LIMITS_PLANS  256

typedef struct {
    stoa_id_t     plan;
    uint8_t       digest[16];           /* of the record                     */
    stoa_gcra_t   gcra;
    uint64_t      burst;                /* so many at once                   */
    size_t        len;
    u_char        text[160];            /* RateLimit-Policy                  */
} ngx_http_stoa_limits_t;


static ngx_http_stoa_limits_t *ngx_http_stoa_limits_made(
    const stoa_rec_plan_t *plan);
static ngx_int_t ngx_http_stoa_limits_concurrency(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_plan_t *plan, uint64_t key);
static ngx_int_t ngx_http_stoa_limits_rate(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_plan_t *plan, uint64_t key,
    const ngx_http_stoa_limits_t *made);
static ngx_int_t ngx_http_stoa_limits_quota(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_plan_t *plan, uint64_t key,
    const ngx_http_stoa_limits_t *made);
static void ngx_http_stoa_limits_leave(ngx_http_stoa_ctx_t *ctx,
    void *data);
static ngx_int_t ngx_http_stoa_limits_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_refuse_e what,
    ngx_http_stoa_verdict_t *v);
static uint64_t ngx_http_stoa_limits_key(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan);
static u_char *ngx_http_stoa_limits_policies(const stoa_rec_plan_t *plan,
    ngx_http_stoa_limits_t *made);


static ngx_http_stoa_limits_t
    ngx_http_stoa_limits_plans[NGX_HTTP_STOA_LIMITS_PLANS];


ngx_int_t
ngx_http_stoa_limits(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                    key;
    ngx_int_t                   rc;
    const stoa_rec_plan_t      *plan;
    ngx_http_stoa_chain_t      *chain;
    ngx_http_stoa_limits_t     *made;
    ngx_http_stoa_main_conf_t  *mcf;

    static ngx_str_t  detail =
        ngx_string("The plan of the subscription is no longer in use.");

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    plan = ngx_http_stoa_store_plan(mcf->store, &ctx->call.plan);

    if (plan == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED,
                                    &detail);
    }

    ngx_http_stoa_name(ctx->names[2], plan, plan->name, &ctx->call.plan_name);

    if (ngx_http_stoa_chain_get(r, plan, &plan->policies, &chain) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_PLAN, chain);

    if (plan->rate == 0 && plan->quota_day == 0 && plan->quota_month == 0
        && plan->concurrency == 0)
    {
        return NGX_OK;
    }

    made = ngx_http_stoa_limits_made(plan);

    ctx->call.policies.data = ctx->policies_text;
    ctx->call.policies.len = made->len;
    ngx_memcpy(ctx->policies_text, made->text, made->len);

    key = ngx_http_stoa_limits_key(ctx, plan);

    rc = ngx_http_stoa_limits_concurrency(r, ctx, plan, key);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_limits_rate(r, ctx, plan, key, made);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_limits_quota(r, ctx, plan, key, made);
    }

    return rc;
}


static ngx_int_t
ngx_http_stoa_limits_concurrency(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_plan_t *plan, uint64_t key)
{
    ngx_int_t                   rc;
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    if (plan->concurrency == 0 || ctx->call.inflight) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_limits_leave, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_inflight_take(mcf, key, plan->concurrency,
                                    &ctx->call.inflight);

    if (rc == NGX_BUSY) {
        ngx_memzero(&v, sizeof(ngx_http_stoa_verdict_t));
        v.which = NGX_HTTP_STOA_LIMIT_CONCURRENCY;
        v.limit = plan->concurrency;
        v.retry_ms = 1000;

        return ngx_http_stoa_limits_refuse(r, ctx,
                                           NGX_HTTP_STOA_REFUSE_CONCURRENCY,
                                           &v);
    }

    if (rc != NGX_OK && mcf->zone_full_deny) {
        return ngx_http_stoa_limits_refuse(r, ctx,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_limits_rate(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan, uint64_t key,
    const ngx_http_stoa_limits_t *made)
{
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    if (plan->rate == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_http_stoa_rate_take(mcf, key, &made->gcra, &v);

    if (v.rc == NGX_BUSY) {
        v.limit = made->burst;

        return ngx_http_stoa_limits_refuse(r, ctx, NGX_HTTP_STOA_REFUSE_RATE,
                                           &v);
    }

    if (v.rc != NGX_OK && mcf->zone_full_deny) {
        return ngx_http_stoa_limits_refuse(r, ctx,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    /* a limit of 0: let through uncounted, nothing is known */

    if (v.rc == NGX_OK && v.limit) {
        v.limit = made->burst;
        ctx->call.rate = v;
        ctx->call.limited = 1;

        ctx->call.left[0].known = 1;
        ctx->call.left[0].remaining = v.remaining;
        ctx->call.left[0].reset_ms = v.reset_ms;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_limits_quota(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan, uint64_t key,
    const ngx_http_stoa_limits_t *made)
{
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    if (plan->quota_day == 0 && plan->quota_month == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_http_stoa_quota_take(mcf, key, plan, &v, ctx->call.left);

    if (plan->rate
        && (v.rc == NGX_BUSY || (v.rc != NGX_OK && mcf->zone_full_deny)))
    {
        ngx_http_stoa_rate_return(mcf, key, &made->gcra);
    }

    if (v.rc == NGX_BUSY) {
        return ngx_http_stoa_limits_refuse(r, ctx,
                                           NGX_HTTP_STOA_REFUSE_QUOTA, &v);
    }

    if (v.rc != NGX_OK && mcf->zone_full_deny) {
        return ngx_http_stoa_limits_refuse(r, ctx,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    if (v.rc == NGX_OK && v.limit
        && (!ctx->call.limited || v.remaining < ctx->call.rate.remaining))
    {
        ctx->call.rate = v;
        ctx->call.limited = 1;
    }

    return NGX_OK;
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

static ngx_int_t
ngx_http_stoa_limits_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_refuse_e what, ngx_http_stoa_verdict_t *v)
{
    ngx_http_stoa_limits_leave(ctx, NULL);

    ctx->call.limited = 0;
    ngx_memzero(ctx->call.left, sizeof(ctx->call.left));

    if (v) {
        ctx->call.rate = *v;
        ctx->call.rate.remaining = 0;
        ctx->call.limited = 1;
    }

    return ngx_http_stoa_refuse(r, what, NULL);
}


/*
 * An application's or a credential's subscriptions share a budget if they
 * have the same plan.  A subscription's own is that of the application and
 * its target: one that is deleted and made again brings no new budget.
 */

static uint64_t
ngx_http_stoa_limits_key(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan)
{
    stoa_id_t  ids[2];

    switch (plan->limit_by) {

    case STOA_LIMIT_BY_APPLICATION:
        ids[0] = ctx->application;
        ids[1] = plan->id;
        break;

    case STOA_LIMIT_BY_CREDENTIAL:
        ids[0] = ctx->credential;
        ids[1] = plan->id;
        break;

    default:
        ids[0] = ctx->application;
        ids[1] = ctx->call.subscribed;
    }

    return stoa_hash64(ids, sizeof(ids), NGX_HTTP_STOA_LIMITS_SEED);
}


/* What follows from a plan alone, kept until it changes. */

static ngx_http_stoa_limits_t *
ngx_http_stoa_limits_made(const stoa_rec_plan_t *plan)
{
    uint32_t                 h;
    ngx_http_stoa_limits_t  *made;

    /* the end of an id is its random part */

    ngx_memcpy(&h, &plan->id.c[STOA_ID_LEN - sizeof(h)], sizeof(h));
    h ^= h >> 16;

    made = &ngx_http_stoa_limits_plans[(h ^ h >> 8)
                                       % NGX_HTTP_STOA_LIMITS_PLANS];

    if (ngx_memcmp(&made->plan, &plan->id, sizeof(stoa_id_t)) == 0
        && ngx_memcmp(made->digest, plan->hdr.digest, sizeof(made->digest))
           == 0)
    {
        return made;
    }

    made->plan = plan->id;
    ngx_memcpy(made->digest, plan->hdr.digest, sizeof(made->digest));

    ngx_memzero(&made->gcra, sizeof(stoa_gcra_t));

    made->burst = plan->burst ? plan->burst : plan->rate;

    if (plan->rate) {
        stoa_gcra_setup(&made->gcra, plan->rate, plan->per_ms, plan->burst);
    }

    made->len = ngx_http_stoa_limits_policies(plan, made) - made->text;

    return made;
}


/*
 * RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-11.  What is
 * enforced is a bucket: it holds what may come at once, and is full again when
 * as much of the rate has passed.  Windows are whole seconds: another one is
 * told as what comes back in the next whole one, but not less than the bucket.
 */

static u_char *
ngx_http_stoa_limits_policies(const stoa_rec_plan_t *plan,
    ngx_http_stoa_limits_t *made)
{
    u_char    *p, *start;
    uint64_t   quota, window, ms;

    p = made->text;
    start = p;

    if (plan->rate) {
        ms = ngx_max(made->gcra.burst_ns + made->gcra.interval_ns, 1000000)
             / 1000000;
        window = (ms + 999) / 1000;
        quota = made->burst;

        if (ms % 1000 && quota < UINT64_MAX / 1000 / window) {
            quota = quota * window * 1000 / ms;
        }

        p = ngx_sprintf(p, "\"rate\";q=%uL;w=%uL", quota, window);
    }

    if (plan->quota_day) {
        p = ngx_sprintf(p, "%s\"day\";q=%uL;w=%d", p > start ? ", " : "",
                        plan->quota_day, NGX_HTTP_STOA_LIMITS_DAY);
    }

    if (plan->quota_month) {
        p = ngx_sprintf(p, "%s\"month\";q=%uL;w=%d", p > start ? ", " : "",
                        plan->quota_month, NGX_HTTP_STOA_LIMITS_MONTH);
    }

    return p;
}
