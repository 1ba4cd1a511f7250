/*
 * Chains: what is asked of each call, the policies that are attached to a
 * record and what its own fields ask for, compiled.  What one of them does is
 * a table of functions; which types there are is core's stoa_policy.c and, one
 * row each, ngx_http_stoa_module.c.
 *
 * A call has a chain for each place that policies may be attached to, and that
 * of what is in force by itself; NULL where a place has none.
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


/* A policy that is attached somewhere, or what fields ask for. */

typedef ngx_int_t (*ngx_http_stoa_policy_pt)(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);

struct ngx_http_stoa_attached_s {
    const ngx_http_stoa_policy_t  *policy;
    const void                    *rec;        /* what config refers into    */
    const void                    *config;     /* the type's struct          */
    void                          *state;      /* what compile() made        */
    ngx_uint_t                     place;      /* of the type                */
    stoa_id_t                      operation;  /* only for this one, or ...  */
    ngx_str_t                      tool;       /* ... only for this one      */
    ngx_str_t                      name;       /* of the policy; "": fields
                                                  ask for it, or nothing     */
    ngx_uint_t                     scope;      /* stoa_scope_e + 1; 0: it is
                                                  not attached               */
    ngx_uint_t                     order;      /* when its head runs         */
    ngx_uint_t                     refusal;    /* the first of its rows      */
    unsigned                       single:1;   /* of the type                */
    unsigned                       one:1;      /* operation is set           */
    unsigned                       shadow:1;
    unsigned                       silent:1;   /* nothing on the way, as it is
                                                  configured                 */
};

/* When something runs: heads by stoa_policy_order_e, then the hooks. */

#define NGX_HTTP_STOA_TURN_UPSTREAM  (STOA_ORDER_TRANSFORM + 1)
#define NGX_HTTP_STOA_TURN_RESPONSE  (STOA_ORDER_TRANSFORM + 2)
#define NGX_HTTP_STOA_TURNS          (STOA_ORDER_TRANSFORM + 3)

/* Its bit of the first chain; the bits of one chain, of all; whose it is. */
#define ngx_http_stoa_turn_bit(turn)                                          \
    (UINT64_C(1) << ((turn) - STOA_ORDER_ADMIT) * NGX_HTTP_STOA_CHAIN_MAX)
#define ngx_http_stoa_chain_bits(from)                                        \
    ((ngx_http_stoa_turn_bit(NGX_HTTP_STOA_TURNS) - 1)                        \
     / (ngx_http_stoa_turn_bit(STOA_ORDER_ADMIT + 1) - 1) << (from))
#define ngx_http_stoa_turn_bits(turn)                                         \
    (ngx_http_stoa_turn_bit((turn) + 1) - ngx_http_stoa_turn_bit(turn))
#define ngx_http_stoa_turn_of(bit)                                            \
    (STOA_ORDER_ADMIT + (bit) / NGX_HTTP_STOA_CHAIN_MAX)

struct ngx_http_stoa_turn_s {
    ngx_http_stoa_policy_pt        run;
    ngx_http_stoa_attached_t      *a;
    uint64_t                       unless;     /* one of these is attached   */
    ngx_uint_t                     picky;      /* not for all calls          */
};

struct ngx_http_stoa_chain_s {
    uint64_t                       types;      /* bits of the places of what
                                                  is attached, disabled too  */
    const void                    *rec;        /* a copy                     */
    ngx_str_t                      limits;     /* RateLimit-Policy           */
    ngx_uint_t                     n;
    ngx_http_stoa_attached_t      *elts;
    uint64_t                       turns;      /* that it has, as if it were
                                                  a call's first chain       */
    ngx_http_stoa_turn_t          *first[NGX_HTTP_STOA_TURNS + 1];
};


/*
 * What a policy does.  Each function may be NULL and gets what is attached.
 * Before it acts or refuses it asks ngx_http_stoa_policy_acts() or _refuse(),
 * which count, and keep a shadow from doing anything.
 */

struct ngx_http_stoa_policy_s {
    const char  *name;                         /* of the type                */

    /* Once, for each that is attached: a->state. */
    ngx_int_t  (*compile)(ngx_pool_t *pool, ngx_http_stoa_chain_t *chain,
                          ngx_http_stoa_attached_t *a);

    /* In the steps of the call, at the type's place in their order: NGX_OK,
     * NGX_AGAIN (and again from here), a status. */
    ngx_http_stoa_policy_pt  head;

    /* May a call that lasts go on?  Asked each second, of what is attached
     * then. */
    ngx_uint_t             (*still)(ngx_http_request_t *r,
                                    ngx_http_stoa_ctx_t *ctx, const void *rec,
                                    const void *config);

    /* The request's headers are those that the upstream will get: NGX_OK, a
     * status. */
    ngx_http_stoa_policy_pt  upstream;

    /* The answer's headers are complete; also of a refusal. */
    ngx_http_stoa_policy_pt  response;

    /* Of a result of MCP, where it asked for that: NULL, or why it may not go
     * to the client. */
    const char            *(*message)(ngx_http_request_t *r,
                                      ngx_http_stoa_ctx_t *ctx,
                                      const ngx_http_stoa_attached_t *a,
                                      const stoa_json_val_t *result);

    /* Does it want the body of this answer?  Fills t: NGX_OK; NGX_DECLINED:
     * no; a status (ngx_http_stoa_policy_answer.h). */
    ngx_int_t              (*answer)(ngx_http_request_t *r,
                                     ngx_http_stoa_ctx_t *ctx,
                                     ngx_http_stoa_taker_t *t);

    /* It works while a call is forwarded or answered: nothing that can be
     * kept for a proxy which only asks. */
    ngx_uint_t               on_way;

    const ngx_http_stoa_refusal_t *refusals;   /* its own, code.len 0 ends;
                                                  the first is a->refusal    */

    /* Its head may be run for a call that is only looked at: it changes
     * nothing, or looks at ctx->look. */
    ngx_uint_t               look;
};


/* All types, by place. */

struct ngx_http_stoa_policies_s {
    const ngx_http_stoa_policy_t  *policy[NGX_HTTP_STOA_POLICIES_MAX];
    const stoa_policy_type_t      *type[NGX_HTTP_STOA_POLICIES_MAX];
    ngx_http_stoa_chain_t         *chain;     /* in force by themselves, as if
                                                 with an empty configuration */
    ngx_uint_t                     refusal[NGX_HTTP_STOA_POLICIES_MAX];
    ngx_uint_t                     n;
};

/* Pairs the rows of the module with the types of core, in pool. */
ngx_int_t ngx_http_stoa_chain_types(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf, const ngx_http_stoa_policy_t *const *rows);

/* What is in `list` of a record that outlives the pool, and what its fields
 * ask for; *chain NULL: none, which is no plan's. */
ngx_int_t ngx_http_stoa_chain_compile(ngx_http_stoa_main_conf_t *mcf,
    ngx_pool_t *pool, const void *rec, const stoa_vec_t *list,
    ngx_http_stoa_chain_t **chain);

/* The chain of any other record, whose id comes right after its header, held
 * until the request's pool dies. */
ngx_int_t ngx_http_stoa_chain_get(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list, ngx_http_stoa_chain_t **chain);

/* Gives it to the call; NULL: there is none. */
#define ngx_http_stoa_chain_set(ctx, from, c)                                 \
    do {                                                                      \
        (ctx)->call.chain[from] = (c);                                        \
        (ctx)->call.policy_turns |= (c) ? (c)->turns << (from) : 0;           \
        (ctx)->call.policy_types |= (c) ? (c)->types : 0;                     \
    } while (0)

/* At the end of a process. */
void ngx_http_stoa_chain_exit(void);


#endif /* NGX_HTTP_STOA_CHAIN_H */
