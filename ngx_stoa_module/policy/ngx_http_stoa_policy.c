/*
 * The runner: whatever a call is asked is a row of a chain, by the order of
 * its type; and the hooks for what goes to the upstream and what comes back.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_trace.h"
#include "ngx_http_stoa_zone.h"


#define ADMIT     ngx_http_stoa_turn_bits(STOA_ORDER_ADMIT)
#define AUTHN     ngx_http_stoa_turn_bits(STOA_ORDER_AUTHN)
#define ACCESS    ngx_http_stoa_turn_bits(STOA_ORDER_ACCESS)
#define LIMIT     ngx_http_stoa_turn_bits(STOA_ORDER_LIMIT)
#define UPSTREAM  ngx_http_stoa_turn_bits(NGX_HTTP_STOA_TURN_UPSTREAM)
#define RESPONSE  ngx_http_stoa_turn_bits(NGX_HTTP_STOA_TURN_RESPONSE)
#define JUDGE                                                                 \
    (ADMIT                                                                    \
     | (ngx_http_stoa_turn_bit(NGX_HTTP_STOA_TURN_UPSTREAM)                   \
        - ngx_http_stoa_turn_bit(STOA_ORDER_SENT)))


static const ngx_http_stoa_attached_t *ngx_http_stoa_policy_with(
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t way);
static ngx_int_t ngx_http_stoa_policy_plan(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_policy_known(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t from);
static ngx_int_t ngx_http_stoa_policy_run(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, uint64_t turns);
static ngx_int_t ngx_http_stoa_policy_refused(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t from, ngx_int_t rc);


/* An MCP call's api is found after its endpoint has admitted: what is left of
 * this turn runs in the last step. */

ngx_int_t
ngx_http_stoa_policy_admit(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ctx->call.policy_turns & ADMIT
         ? ngx_http_stoa_policy_run(r, ctx, ADMIT) : NGX_OK;

    if (rc == NGX_OK) {
        ctx->call.policy_turns &= ~ADMIT;
    }

    return rc;
}


/* What hangs on the caller, or on his plan, is asked as soon as that is known:
 * not all that he asks for comes to the last step. */

ngx_int_t
ngx_http_stoa_policy_authn(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_stoa_policy_run(r, ctx, AUTHN);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_APPLICATION,
                            ctx->application_chain);

    return ngx_http_stoa_policy_known(r, ctx,
                                      NGX_HTTP_STOA_CHAIN_APPLICATION);
}


ngx_int_t
ngx_http_stoa_policy_access(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_stoa_policy_run(r, ctx, ACCESS);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_policy_plan(r, ctx);
    }

    return rc == NGX_OK
           ? ngx_http_stoa_policy_known(r, ctx, NGX_HTTP_STOA_CHAIN_PLAN)
           : rc;
}


/* None of these waits. */

static ngx_int_t
ngx_http_stoa_policy_known(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t from)
{
    uint64_t   turn;
    ngx_int_t  rc;

    turn = ctx->call.policy_turns
           & ngx_http_stoa_turn_bit(STOA_ORDER_LATE) << from;

    rc = turn ? ngx_http_stoa_policy_run(r, ctx, turn) : NGX_OK;

    if (rc == NGX_OK) {
        ctx->call.policy_turns &= ~turn;
    }

    return rc;
}


ngx_int_t
ngx_http_stoa_policy_judge(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->call.chain[NGX_HTTP_STOA_CHAIN_PLAN] == NULL) {
        rc = ngx_http_stoa_policy_plan(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    ctx->call.policies = ctx->call.chain[NGX_HTTP_STOA_CHAIN_PLAN]->limits;

    return ngx_http_stoa_policy_run(r, ctx, ctx->inner && ctx->inner->silent
                                            ? JUDGE & ~LIMIT : JUDGE);
}


static ngx_int_t
ngx_http_stoa_policy_plan(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    const stoa_rec_plan_t      *plan;
    ngx_http_stoa_chain_t      *chain;
    ngx_http_stoa_main_conf_t  *mcf;

    static ngx_str_t  detail =
        ngx_string("The plan of the subscription is no longer in use.");

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    plan = ngx_http_stoa_store_plan(mcf->store, &ctx->call.plan);

    if (plan == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED,
                                    &detail);
    }

    if (ngx_http_stoa_chain_get(r, plan, &plan->policies, &chain) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->call.policy_turns &= ~ngx_http_stoa_chain_bits(
                                                  NGX_HTTP_STOA_CHAIN_PLAN);
    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_PLAN, chain);

    plan = chain->rec;

    ctx->call.plan_name.data = (u_char *) plan + plan->name.off;
    ctx->call.plan_name.len = plan->name.len;

    return NGX_OK;
}


/*
 * At another tenant's api the policies of an application are its consumer's:
 * what they say to the upstream comes first, as if its client had sent it, and
 * the publisher has the last word.
 */

ngx_int_t
ngx_http_stoa_policy_upstream(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t   consumer;
    ngx_int_t  rc;

    consumer = ctx->call.policy_turns & UPSTREAM
               & ngx_http_stoa_turn_bit(NGX_HTTP_STOA_TURN_UPSTREAM)
                 << NGX_HTTP_STOA_CHAIN_APPLICATION;

    if (consumer && ngx_memcmp(&ctx->tenant, &ctx->call.route_tenant,
                               sizeof(stoa_id_t)) != 0)
    {
        ctx->call.foreign = 1;
        rc = ngx_http_stoa_policy_run(r, ctx, consumer);
        ctx->call.foreign = 0;

        return rc == NGX_OK
               ? ngx_http_stoa_policy_run(r, ctx, UPSTREAM & ~consumer) : rc;
    }

    return ngx_http_stoa_policy_run(r, ctx, UPSTREAM);
}


ngx_int_t
ngx_http_stoa_policy_response(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t   turns;
    ngx_int_t  rc;

    turns = ctx->call.policy_turns & RESPONSE;

    if (ctx->call.api == NULL) {

        /* what is in force by itself is about what an upstream says */

        turns &= ~(ngx_http_stoa_turn_bit(NGX_HTTP_STOA_TURN_RESPONSE)
                   << NGX_HTTP_STOA_CHAIN_DEFAULT);
    }

    if (turns == 0) {
        return NGX_OK;
    }

    rc = ngx_http_stoa_policy_run(r, ctx, turns);

    if (rc != NGX_OK) {
        ctx->call.policy_at = 0;             /* all run for the refusal     */
    }

    return rc;
}


/* A policy that waits is asked again, the ones before it are not: where it is
 * is noted before, as r and ctx may be gone when it has said so. */

static ngx_int_t
ngx_http_stoa_policy_run(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    uint64_t turns)
{
    ngx_int_t               rc;
    ngx_uint_t              bit, turn;
    ngx_http_stoa_turn_t   *t, *next;
    ngx_http_stoa_chain_t  *chain;

    turns &= ctx->call.policy_turns;
    next = NULL;

    if (ctx->call.policy_at & turns) {
        turns &= ~(ctx->call.policy_at - 1);
        next = ctx->call.policy_next;
    }

    for ( /* void */ ; turns; turns &= turns - 1) {
        bit = __builtin_ctzll(turns);
        turn = ngx_http_stoa_turn_of(bit);
        chain = ctx->call.chain[bit % NGX_HTTP_STOA_CHAIN_MAX];
        ctx->call.policy_at = turns & -turns;

        for (t = next ? next : chain->first[turn];
             t < chain->first[turn + 1];
             t++)
        {
            if ((t->unless & ctx->call.policy_types)
                || (t->picky
                    && !ngx_http_stoa_policy_applies(ctx, bit
                                                    % NGX_HTTP_STOA_CHAIN_MAX,
                                                    t->a)))
            {
                continue;
            }

            ctx->call.policy_next = t;

            rc = ctx->trace
                 ? ngx_http_stoa_trace_policy(r, ctx, t,
                                              bit % NGX_HTTP_STOA_CHAIN_MAX)
                 : t->run(r, ctx, t->a);

            if (rc != NGX_OK) {
                return ngx_http_stoa_policy_refused(r, ctx, t->a,
                                                    bit
                                                    % NGX_HTTP_STOA_CHAIN_MAX,
                                                    rc);
            }
        }

        next = NULL;
    }

    ctx->call.policy_at = 0;

    return NGX_OK;
}


/* By its head or a hook; not all that is no NGX_OK is a refusal. */

static ngx_int_t
ngx_http_stoa_policy_refused(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_uint_t from, ngx_int_t rc)
{
    if (rc >= NGX_HTTP_BAD_REQUEST) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "stoa policy refuses: %s", a->policy->name);

        ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_REFUSED);

        ctx->call.refused_by = a;
        ctx->call.refused_from = from;
    }

    return rc;
}


ngx_uint_t
ngx_http_stoa_policy_applies(ngx_http_stoa_ctx_t *ctx, ngx_uint_t from,
    const ngx_http_stoa_attached_t *a)
{
    ngx_uint_t             i;
    stoa_rec_api_t        *rec;
    ngx_http_stoa_api_t   *api;

    /* of the records' own the control plane has left the narrowest */

    for (i = from + 1; a->single && i < NGX_HTTP_STOA_CHAIN_DEFAULT; i++) {
        if (ctx->call.chain[i]
            && (ctx->call.chain[i]->types & UINT64_C(1) << a->place))
        {
            return 0;
        }
    }

    if (a->one) {
        api = ctx->call.api;

        if (api == NULL || ctx->call.operation == 0) {
            return 0;
        }

        rec = api->rec;

        return ngx_memcmp(&stoa_rec_vec(rec, rec->operations,
                                        stoa_rec_operation_t)
                               [ctx->call.operation - 1].id,
                          &a->operation, sizeof(stoa_id_t))
               == 0;
    }

    return a->tool.len == 0
           || (a->tool.len == ctx->call.tool_name.len
               && ngx_memcmp(a->tool.data, ctx->call.tool_name.data,
                             a->tool.len)
                  == 0);
}


const ngx_http_stoa_attached_t *
ngx_http_stoa_policy_on_way(ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_policy_with(ctx, 1);
}


const ngx_http_stoa_attached_t *
ngx_http_stoa_policy_reads_answer(ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_policy_with(ctx, 0);
}


/* The first one in force that looks into answers; way: or works only on the
 * way. */

static const ngx_http_stoa_attached_t *
ngx_http_stoa_policy_with(ngx_http_stoa_ctx_t *ctx, ngx_uint_t way)
{
    ngx_uint_t                       from, i;
    ngx_http_stoa_chain_t           *chain;
    const ngx_http_stoa_attached_t  *a;

    for (from = 0; from < NGX_HTTP_STOA_CHAIN_DEFAULT; from++) {
        chain = ctx->call.chain[from];

        for (i = 0; chain && i < chain->n; i++) {
            a = &chain->elts[i];

            if (((way && a->policy->on_way) || a->policy->answer)
                && !a->shadow && !a->silent
                && ngx_http_stoa_policy_applies(ctx, from, a))
            {
                return a;
            }
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_stoa_policy_acts(const ngx_http_stoa_attached_t *a)
{
    ngx_http_stoa_policy_count(a, a->shadow
                                  ? NGX_HTTP_STOA_OUTCOME_SHADOW_APPLIED
                                  : NGX_HTTP_STOA_OUTCOME_APPLIED);

    return !a->shadow;
}


ngx_int_t
ngx_http_stoa_policy_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_uint_t what)
{
    return ngx_http_stoa_policy_refuse_text(r, ctx, a, what, NULL);
}


ngx_int_t
ngx_http_stoa_policy_refuse_text(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t what, ngx_str_t *detail)
{
    if (a->shadow) {
        ctx->call.shadowed |= UINT64_C(1) << a->place;
        ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_SHADOW_REFUSED);
        return NGX_OK;
    }

    return ngx_http_stoa_refuse(r, what, detail);
}


void
ngx_http_stoa_policy_count(const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_outcome_e outcome)
{
    ngx_http_stoa_count(policy[a->place][outcome], 1);
}
