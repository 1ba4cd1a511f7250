/*
 * Chains: the policies of a record, compiled.  What a policy does is a table
 * of functions (policy/); which types there are is core's stoa_policy.c and,
 * one row each, ngx_http_stoa_module.c.
 *
 * A call has a chain for each place that policies may be attached to; NULL,
 * the usual one, where a place has none.
 *
 * Process: workers.  Lifetime: an api's chain lives with the compiled api, all
 * others are reference counted, by a cache of NGX_HTTP_STOA_CHAINS and by each
 * request's pool.
 */

#ifndef NGX_HTTP_STOA_CHAIN_H
#define NGX_HTTP_STOA_CHAIN_H


#include "ngx_http_stoa_ctx.h"
#include "core/stoa_policy.h"


#define NGX_HTTP_STOA_CHAINS  256              /* records in the cache       */


/* A policy that is attached somewhere. */

typedef struct {
    const ngx_http_stoa_policy_t  *policy;
    const void                    *rec;        /* what config refers into    */
    const void                    *config;     /* the type's struct          */
    ngx_uint_t                     place;      /* of the type                */
    stoa_id_t                      operation;  /* only for this one, or ...  */
    ngx_str_t                      tool;       /* ... only for this one      */
    ngx_uint_t                     order;      /* of the type                */
    ngx_uint_t                     refusal;    /* the first of its rows      */
    unsigned                       single:1;   /* of the type                */
    unsigned                       one:1;      /* operation is set           */
    unsigned                       shadow:1;
    unsigned                       disabled:1; /* keeps a wider one away     */
} ngx_http_stoa_attached_t;

struct ngx_http_stoa_chain_s {
    uint64_t                       types;      /* bits of their places       */
    ngx_uint_t                     n;
    ngx_http_stoa_attached_t      *elts;       /* as they run                */
};


/*
 * What a policy does.  Each function may be NULL and gets what is attached.
 * Before it acts or refuses it asks ngx_http_stoa_policy_acts() or _refuse(),
 * which count, and keep a shadow from doing anything.
 */

struct ngx_http_stoa_policy_s {
    const char  *name;                         /* of the type                */

    /* In the steps of the call, at the type's place in their order: NGX_OK,
     * NGX_AGAIN (and again from here), a status. */
    ngx_int_t  (*head)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                       const ngx_http_stoa_attached_t *a);

    /* The request's headers are those that the upstream will get. */
    ngx_int_t  (*upstream)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                           const ngx_http_stoa_attached_t *a);

    /* The answer's headers are complete; also of a refusal. */
    ngx_int_t  (*response)(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
                           const ngx_http_stoa_attached_t *a);

    const ngx_http_stoa_refusal_t *refusals;   /* its own, code.len 0 ends;
                                                  the first is a->refusal    */
};


/* All types, by place. */

struct ngx_http_stoa_policies_s {
    const ngx_http_stoa_policy_t  *policy[NGX_HTTP_STOA_POLICIES_MAX];
    const stoa_policy_type_t      *type[NGX_HTTP_STOA_POLICIES_MAX];
    ngx_http_stoa_attached_t       dflt[NGX_HTTP_STOA_POLICIES_MAX];
                                              /* in force by themselves, with
                                                 what they may be told       */
    ngx_uint_t                     ndflt;
    ngx_uint_t                     refusal[NGX_HTTP_STOA_POLICIES_MAX];
    ngx_uint_t                     n;
};

/* Pairs the rows of the module with the types of core, in pool. */
ngx_int_t ngx_http_stoa_chain_types(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf, const ngx_http_stoa_policy_t *const *rows);

/* What is in `list` of a record that outlives the pool; *chain NULL: none. */
ngx_int_t ngx_http_stoa_chain_compile(ngx_http_stoa_main_conf_t *mcf,
    ngx_pool_t *pool, const void *rec, const stoa_vec_t *list,
    ngx_http_stoa_chain_t **chain);

/* The chain of any other record, whose id comes right after its header, held
 * until the request's pool dies. */
ngx_int_t ngx_http_stoa_chain_get(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list, ngx_http_stoa_chain_t **chain);

/* Gives it to the call; NULL: there is none. */
#define ngx_http_stoa_chain_set(ctx, from, c)                                 \
    ((ctx)->call.policed |= (((ctx)->call.chain[from] = (c)) != NULL))

/* At the end of a process. */
void ngx_http_stoa_chain_exit(void);


#endif /* NGX_HTTP_STOA_CHAIN_H */
