
/*
 * May this application call this target, and how often: subscription, plan,
 * concurrency, rate, quotas, and the headers that tell the client.
 *
 * What can be given back is taken first, so that a request that is refused
 * uses nothing up: a place among the concurrent ones, then a token of the
 * rate, then one of the quotas.  Process: workers.
 */


#include "ngx_http_stoa.h"


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
    size_t        len;
    u_char        text[160];            /* RateLimit-Policy                  */
} ngx_http_stoa_limits_t;


static ngx_http_stoa_limits_t *ngx_http_stoa_limits_made(
    const stoa_rec_plan_t *plan);
static ngx_int_t ngx_http_stoa_limits_concurrency(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_plan_t *plan, uint64_t key);
static ngx_int_t ngx_http_stoa_limits_rate(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_plan_t *plan, uint64_t key,
    const stoa_gcra_t *gcra);
static ngx_int_t ngx_http_stoa_limits_quota(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_plan_t *plan, uint64_t key,
    const stoa_gcra_t *gcra);
static void ngx_http_stoa_limits_leave(ngx_http_stoa_ctx_t *ctx,
    void *data);
static ngx_int_t ngx_http_stoa_limits_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_refuse_e what,
    ngx_http_stoa_verdict_t *v);
static uint64_t ngx_http_stoa_limits_key(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan);
static u_char *ngx_http_stoa_limits_policies(const stoa_rec_plan_t *plan,
    u_char *p);
static u_char *ngx_http_stoa_limits_number(u_char *p, uint64_t n);
static ngx_int_t ngx_http_stoa_limits_push(ngx_http_request_t *r,
    const char *name, size_t len, u_char *start, u_char *last);
static ngx_int_t ngx_http_stoa_limits_legacy(ngx_http_request_t *r,
    ngx_http_stoa_verdict_t *v, uint64_t reset);


typedef struct {
    ngx_uint_t               state;
    ngx_http_stoa_refuse_e   what;
} ngx_http_stoa_limits_state_t;


static const ngx_http_stoa_limits_state_t  ngx_http_stoa_limits_states[] = {
    { STOA_STATE_PENDING, NGX_HTTP_STOA_REFUSE_SUB_PENDING },
    { STOA_STATE_SUSPENDED, NGX_HTTP_STOA_REFUSE_SUB_SUSPENDED },
    { STOA_STATE_REVOKED, NGX_HTTP_STOA_REFUSE_SUB_REVOKED },
    { STOA_STATE_EXPIRED, NGX_HTTP_STOA_REFUSE_SUB_EXPIRED },
    { 0, NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED }
};


static ngx_http_stoa_limits_t
    ngx_http_stoa_limits_plans[NGX_HTTP_STOA_LIMITS_PLANS];

static const ngx_str_t  ngx_http_stoa_limits_names[] = {
    ngx_string("rate"), ngx_string("day"), ngx_string("month"),
    ngx_string("concurrency")
};


ngx_int_t
ngx_http_stoa_subscription(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_id_t *target)
{
    const stoa_rec_subscription_t       *sub;
    ngx_http_stoa_main_conf_t           *mcf;
    const ngx_http_stoa_limits_state_t  *state;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    sub = ngx_http_stoa_store_subscription(mcf->store, &ctx->application,
                                           target);

    if (sub == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED,
                                    NULL);
    }

    ctx->call.subscription = sub->id;
    ctx->call.subscribed = sub->target;
    ctx->call.plan = sub->plan;

    if (sub->state != STOA_STATE_ACTIVE) {

        for (state = ngx_http_stoa_limits_states; state->state; state++) {
            if (state->state == sub->state) {
                break;
            }
        }

        return ngx_http_stoa_refuse(r, state->what, NULL);
    }

    if (sub->expires_ms && sub->expires_ms <= ngx_http_stoa_now_ms()) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_SUB_EXPIRED,
                                    NULL);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_limits(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                    key;
    ngx_int_t                   rc;
    const stoa_rec_plan_t      *plan;
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
        rc = ngx_http_stoa_limits_rate(r, ctx, plan, key, &made->gcra);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_limits_quota(r, ctx, plan, key, &made->gcra);
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

    rc = ngx_http_stoa_zone_acquire(mcf, key, plan->concurrency,
                                    &ctx->call.inflight);

    if (rc == NGX_BUSY) {
        ngx_memzero(&v, sizeof(ngx_http_stoa_verdict_t));
        v.which = 3;
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
    const stoa_rec_plan_t *plan, uint64_t key, const stoa_gcra_t *gcra)
{
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    if (plan->rate == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_http_stoa_zone_rate(mcf, key, gcra, &v);

    if (v.rc == NGX_BUSY) {
        v.limit = plan->rate;

        return ngx_http_stoa_limits_refuse(r, ctx, NGX_HTTP_STOA_REFUSE_RATE,
                                           &v);
    }

    if (v.rc != NGX_OK && mcf->zone_full_deny) {
        return ngx_http_stoa_limits_refuse(r, ctx,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    /* a limit of 0: let through uncounted, nothing is known */

    if (v.rc == NGX_OK && v.limit) {
        v.limit = plan->rate;
        ctx->call.rate = v;
        ctx->call.limited = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_limits_quota(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_plan_t *plan, uint64_t key, const stoa_gcra_t *gcra)
{
    ngx_http_stoa_verdict_t     v;
    ngx_http_stoa_main_conf_t  *mcf;

    if (plan->quota_day == 0 && plan->quota_month == 0) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_http_stoa_counters_quota(mcf, key, plan->quota_day,
                                 plan->quota_month, &v);

    if (v.rc == NGX_BUSY) {

        if (plan->rate) {
            ngx_http_stoa_zone_rate_return(mcf, key, gcra);
        }

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
        ngx_http_stoa_zone_release(mcf, handle);
    }
}


/* v: NULL where nothing can be said about budgets. */

static ngx_int_t
ngx_http_stoa_limits_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_refuse_e what, ngx_http_stoa_verdict_t *v)
{
    ngx_http_stoa_limits_leave(ctx, NULL);

    ctx->call.limited = 0;

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

    if (plan->rate) {
        stoa_gcra_setup(&made->gcra, plan->rate, plan->per_ms, plan->burst);
    }

    made->len = ngx_http_stoa_limits_policies(plan, made->text)
                - made->text;

    return made;
}


/*
 * RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-11.  Windows are
 * whole seconds there: a shorter period is told as what it allows in one.
 */

static u_char *
ngx_http_stoa_limits_policies(const stoa_rec_plan_t *plan, u_char *p)
{
    u_char    *start;
    uint64_t   quota, window;

    start = p;

    if (plan->rate) {
        window = (plan->per_ms + 999) / 1000;
        quota = plan->rate;

        if (plan->per_ms % 1000 && quota < UINT64_MAX / 1000 / window) {
            quota = quota * window * 1000 / plan->per_ms;
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


/* ngx_sprintf() takes a microsecond for what this does in a tenth. */

static u_char *
ngx_http_stoa_limits_number(u_char *p, uint64_t n)
{
    u_char   text[NGX_INT64_LEN], *t;

    t = text + sizeof(text);

    do {
        *--t = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return ngx_cpymem(p, t, text + sizeof(text) - t);
}


/* Response headers, from the header filter. */

ngx_int_t
ngx_http_stoa_limits_headers(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                    *p, *start;
    uint64_t                   reset, retry;
    ngx_http_stoa_verdict_t   *v;
    ngx_http_stoa_loc_conf_t  *slcf;

    v = &ctx->call.rate;
    reset = (v->reset_ms + 999) / 1000;

    start = ctx->rate_text;

    if (ctx->call.policies.len
        && ngx_http_stoa_limits_push(r, "RateLimit-Policy", 16,
                                     ctx->call.policies.data,
                                     ctx->call.policies.data
                                     + ctx->call.policies.len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = start;

    if (ctx->call.limited && v->which != 3) {
        *p++ = '"';
        p = ngx_cpymem(p, ngx_http_stoa_limits_names[v->which].data,
                       ngx_http_stoa_limits_names[v->which].len);
        p = ngx_cpymem(p, "\";r=", sizeof("\";r=") - 1);
        p = ngx_http_stoa_limits_number(p, v->remaining);
        p = ngx_cpymem(p, ";t=", sizeof(";t=") - 1);
        p = ngx_http_stoa_limits_number(p, reset);

        if (ngx_http_stoa_limits_push(r, "RateLimit", 9, start, p) != NGX_OK)
        {
            return NGX_ERROR;
        }

        slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

        if (slcf->legacy_headers
            && ngx_http_stoa_limits_legacy(r, v, reset) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ctx->call.limited && ctx->call.replace
        && r->headers_out.status == NGX_HTTP_TOO_MANY_REQUESTS)
    {
        start = p;
        retry = (v->retry_ms + 999) / 1000;
        p = ngx_http_stoa_limits_number(p, retry ? retry : 1);

        return ngx_http_stoa_limits_push(r, "Retry-After", 11, start, p);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_limits_legacy(ngx_http_request_t *r,
    ngx_http_stoa_verdict_t *v, uint64_t reset)
{
    u_char  *p, *start;

    start = ngx_pnalloc(r->pool, 3 * NGX_INT64_LEN);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(start, "%uL", v->limit);

    if (ngx_http_stoa_limits_push(r, "X-RateLimit-Limit", 17, start, p)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    start = p;
    p = ngx_sprintf(p, "%uL", v->remaining);

    if (ngx_http_stoa_limits_push(r, "X-RateLimit-Remaining", 21, start, p)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    start = p;
    p = ngx_sprintf(p, "%uL", reset);

    return ngx_http_stoa_limits_push(r, "X-RateLimit-Reset", 17, start, p);
}


static ngx_int_t
ngx_http_stoa_limits_push(ngx_http_request_t *r, const char *name, size_t len,
    u_char *start, u_char *last)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_http_stoa_header_end(h);
    h->key.data = (u_char *) name;
    h->key.len = len;
    h->value.data = start;
    h->value.len = last - start;

    return NGX_OK;
}
