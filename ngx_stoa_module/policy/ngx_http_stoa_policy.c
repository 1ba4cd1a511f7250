/*
 * The runner of policies: a row of each edge's table of steps before
 * authentication, one after the limits, and the hooks for what goes to the
 * upstream and what comes back.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_zone.h"


typedef ngx_int_t (*ngx_http_stoa_hook_pt)(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


static ngx_int_t ngx_http_stoa_policy_steps(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t admit);
static ngx_int_t ngx_http_stoa_policy_hooks(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, size_t hook);
static ngx_int_t ngx_http_stoa_policy_chains(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, size_t hook, uint64_t *types);
static ngx_int_t ngx_http_stoa_policy_chain(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, size_t hook, ngx_uint_t from, uint64_t *types);
static ngx_uint_t ngx_http_stoa_policy_applies(ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t from, const ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_policy_count(const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_outcome_e outcome);


#define HOOK(f)  offsetof(ngx_http_stoa_policy_t, f)

#define ngx_http_stoa_hook(a, at)                                             \
    (*(const ngx_http_stoa_hook_pt *) ((const u_char *) (a)->policy + (at)))


ngx_int_t
ngx_http_stoa_policy_admit(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ctx->call.policed ? ngx_http_stoa_policy_steps(r, ctx, 1) : NGX_OK;
}


ngx_int_t
ngx_http_stoa_policy_judge(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->application_chain) {
        ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_APPLICATION,
                                ctx->application_chain);
    }

    return ctx->call.policed ? ngx_http_stoa_policy_steps(r, ctx, 0) : NGX_OK;
}


ngx_int_t
ngx_http_stoa_policy_upstream(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_policy_hooks(r, ctx, HOOK(upstream));
}


ngx_int_t
ngx_http_stoa_policy_response(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_policy_hooks(r, ctx, HOOK(response));
}


/*
 * Those of the order class "admit", or all that were not among them: an MCP
 * call's api is found after its endpoint was admitted.  A policy that waits is
 * asked again, the ones before it are not.
 */

static ngx_int_t
ngx_http_stoa_policy_steps(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t admit)
{
    ngx_int_t                        rc;
    ngx_uint_t                       from, early;
    ngx_http_stoa_chain_t           *chain;
    const ngx_http_stoa_attached_t  *a;

    for (from = ctx->call.policy_from;
         from < NGX_HTTP_STOA_CHAIN_MAX;
         from++, ctx->call.policy_next = 0)
    {
        ctx->call.policy_from = from;
        chain = ctx->call.chain[from];

        if (chain == NULL) {
            continue;
        }

        for ( /* void */ ;
             ctx->call.policy_next < chain->n;
             ctx->call.policy_next++)
        {
            a = &chain->elts[ctx->call.policy_next];

            if (a->policy->head == NULL) {
                continue;
            }

            /* what is for a part of it waits until the part is known */

            early = a->order == STOA_ORDER_ADMIT && !a->one
                    && a->tool.len == 0;

            if ((admit ? !early
                       : early && (ctx->call.admitted & 1u << from))
                || !ngx_http_stoa_policy_applies(ctx, from, a))
            {
                continue;
            }

            ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                           "stoa policy: %s", a->policy->name);

            rc = a->policy->head(r, ctx, a);

            if (rc != NGX_OK) {
                return rc;
            }
        }

        if (admit) {
            ctx->call.admitted |= 1u << from;
        }
    }

    ctx->call.policy_from = 0;
    ctx->call.policy_next = 0;

    return NGX_OK;
}


/* hook: where in the table of functions.  Most calls have no chain, only what
 * is in force where none of its type is attached. */

static ngx_int_t
ngx_http_stoa_policy_hooks(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    size_t hook)
{
    uint64_t                    types;
    ngx_uint_t                  i;
    ngx_http_stoa_attached_t   *a;
    ngx_http_stoa_policies_t   *all;
    ngx_http_stoa_main_conf_t  *mcf;

    types = 0;

    if (ctx->call.policed
        && ngx_http_stoa_policy_chains(r, ctx, hook, &types) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->call.api == NULL) {
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    all = mcf->policies;

    for (i = 0; i < all->ndflt; i++) {
        a = &all->dflt[i];

        if (!(types & UINT64_C(1) << a->place) && ngx_http_stoa_hook(a, hook)
            && ngx_http_stoa_hook(a, hook)(r, ctx, a) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * types: gets those that are attached.  At another tenant's api the policies
 * of an application are its consumer's: what they say to the upstream comes
 * first, as if its client had sent it, and the publisher has the last word.
 */

static ngx_int_t
ngx_http_stoa_policy_chains(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    size_t hook, uint64_t *types)
{
    ngx_int_t   rc;
    ngx_uint_t  from, last;

    last = NGX_HTTP_STOA_CHAIN_MAX;

    if (hook == HOOK(upstream)
        && ngx_memcmp(&ctx->tenant, &ctx->call.route_tenant,
                      sizeof(stoa_id_t)) != 0)
    {
        last = NGX_HTTP_STOA_CHAIN_APPLICATION;

        ctx->call.foreign = 1;
        rc = ngx_http_stoa_policy_chain(r, ctx, hook, last, types);
        ctx->call.foreign = 0;

        if (rc != NGX_OK) {
            return rc;
        }
    }

    for (from = 0; from < last; from++) {
        if (ngx_http_stoa_policy_chain(r, ctx, hook, from, types) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_chain(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    size_t hook, ngx_uint_t from, uint64_t *types)
{
    ngx_uint_t                 i;
    ngx_http_stoa_chain_t     *chain;
    ngx_http_stoa_attached_t  *a;

    chain = ctx->call.chain[from];

    if (chain == NULL) {
        return NGX_OK;
    }

    *types |= chain->types;

    for (i = 0; i < chain->n; i++) {
        a = &chain->elts[i];

        if (ngx_http_stoa_hook(a, hook)
            && ngx_http_stoa_policy_applies(ctx, from, a)
            && ngx_http_stoa_hook(a, hook)(r, ctx, a) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_policy_applies(ngx_http_stoa_ctx_t *ctx, ngx_uint_t from,
    const ngx_http_stoa_attached_t *a)
{
    ngx_uint_t             i;
    stoa_rec_api_t        *rec;
    ngx_http_stoa_api_t   *api;

    if (a->disabled) {
        return 0;
    }

    /* of the records' own the control plane has left the narrowest */

    for (i = from + 1; a->single && i < NGX_HTTP_STOA_CHAIN_MAX; i++) {
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
    if (a->shadow) {
        ctx->call.shadowed |= UINT64_C(1) << a->place;
        ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_SHADOW_REFUSED);
        return NGX_OK;
    }

    ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_REFUSED);

    return ngx_http_stoa_refuse(r, what, NULL);
}


static void
ngx_http_stoa_policy_count(const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_outcome_e outcome)
{
    ngx_http_stoa_count(policy[a->place][outcome], 1);
}
