/*
 * The context of a request: who the client is, and the call that is served
 * for it now.
 *
 * Process: workers.  Lifetime: r->pool; a cleanup record keeps the context
 * findable when nginx forgets the module contexts (internal redirects).  The
 * call is zeroed as a whole where another one begins, so that whatever is in
 * it can be forgotten nowhere; what it has to give back, a finisher does.
 */

#ifndef NGX_HTTP_STOA_CTX_H
#define NGX_HTTP_STOA_CTX_H


#include "ngx_http_stoa_time.h"


typedef enum {
    NGX_HTTP_STOA_LIMIT_RATE = 0,
    NGX_HTTP_STOA_LIMIT_DAY,
    NGX_HTTP_STOA_LIMIT_MONTH,
    NGX_HTTP_STOA_LIMIT_CONCURRENCY
} ngx_http_stoa_limit_e;

extern const ngx_str_t  ngx_http_stoa_limit_names[];


/* A header that a policy has made for the upstream. */

typedef struct ngx_http_stoa_made_s  ngx_http_stoa_made_t;

struct ngx_http_stoa_made_s {
    const ngx_http_stoa_attached_t  *a;
    stoa_str_t                       name;
    ngx_str_t                        value;    /* "": it is taken away       */
    ngx_http_stoa_made_t            *next;
};


/* One decision for a request; all exact across workers. */

typedef struct {
    ngx_int_t   rc;               /* NGX_OK, NGX_BUSY: refused, NGX_ERROR    */
    ngx_uint_t  which;            /* ngx_http_stoa_limit_e                  */
    uint64_t    limit;
    uint64_t    remaining;
    uint64_t    reset_ms;
    uint64_t    retry_ms;
} ngx_http_stoa_verdict_t;

/* What one limit has left for the caller. */

typedef struct {
    ngx_uint_t  known;            /* unsigned                               */
    uint64_t    remaining;
    uint64_t    reset_ms;
} ngx_http_stoa_left_t;


/* Runs once, when the call ends: it is logged, another one takes its place,
 * or its request is gone. */

typedef void (*ngx_http_stoa_finish_pt)(ngx_http_stoa_ctx_t *ctx, void *data);

typedef struct ngx_http_stoa_finisher_s  ngx_http_stoa_finisher_t;

struct ngx_http_stoa_finisher_s {
    ngx_http_stoa_finish_pt    finish;
    void                      *data;
    ngx_http_stoa_finisher_t  *next;
};


/* Where a call is forwarded to. */

typedef struct {
    ngx_http_stoa_target_t    *target;          /* for which the head of the
                                                   request is written        */
    ngx_uint_t                 first;           /* index + 1 of the one that is
                                                   to be tried first; 0: any */
    ngx_str_t                  rest;            /* of the path, as it is sent,
                                                   with the query            */
    ngx_str_t                  uri;             /* variables of the macro    */
    ngx_str_t                  host;
    ngx_str_t                  scheme;          /* with its "://"            */
    ngx_str_t                  tls_name;
} ngx_http_stoa_to_t;


/* Where the policies of a call come from, the widest first.  The endpoint is
 * that of MCP: its tenant's or its server's.  The last is wider than all: what
 * is in force by itself. */

typedef enum {
    NGX_HTTP_STOA_CHAIN_GROUP = 0,
    NGX_HTTP_STOA_CHAIN_ENDPOINT,
    NGX_HTTP_STOA_CHAIN_API,
    NGX_HTTP_STOA_CHAIN_PLAN,
    NGX_HTTP_STOA_CHAIN_APPLICATION,
    NGX_HTTP_STOA_CHAIN_DEFAULT,
    NGX_HTTP_STOA_CHAIN_MAX
} ngx_http_stoa_chain_e;


/* What policies did. */

#define NGX_HTTP_STOA_POLICIES_MAX  64       /* types                        */

typedef enum {
    NGX_HTTP_STOA_OUTCOME_APPLIED = 0,
    NGX_HTTP_STOA_OUTCOME_REFUSED,
    NGX_HTTP_STOA_OUTCOME_SHADOW_APPLIED,
    NGX_HTTP_STOA_OUTCOME_SHADOW_REFUSED,
    NGX_HTTP_STOA_OUTCOME_UNREAD,
    NGX_HTTP_STOA_OUTCOMES
} ngx_http_stoa_outcome_e;


/* Tokens of a budget that gateways share; tag 0: none. */

typedef struct {
    uint64_t                   tag;
    uint64_t                   gen;
} ngx_http_stoa_held_t;


/* One call: zero where it begins. */

typedef struct {
    ngx_uint_t                 step;            /* next row of the edge      */
    ngx_uint_t                 refused;         /* refuse_e + 1              */
    const ngx_http_stoa_attached_t  *refused_by;    /* NULL: no policy       */
    ngx_uint_t                 refused_from;    /* ngx_http_stoa_chain_e     */
    ngx_str_t                  detail;
    ngx_http_stoa_finisher_t  *finishers;       /* the last one first        */
    ngx_http_stoa_finisher_t   finisher;        /* place for the first       */

    const ngx_http_stoa_edge_t  *edge;          /* NULL: not known yet       */
    ngx_http_stoa_mcp_t       *mcp;             /* what the edge keeps       */
    ngx_http_stoa_api_t       *api;
    ngx_uint_t                 operation;       /* index + 1 in api->rec     */
    size_t                     prefix_len;      /* of r->uri to strip        */
    stoa_id_t                  route_tenant;    /* publisher                 */
    stoa_id_t                  subscription;
    stoa_id_t                  subscribed;      /* the api or server         */
    stoa_id_t                  plan;
    stoa_id_t                  tool;
    ngx_str_t                  plan_name;
    ngx_str_t                  tool_name;       /* at the upstream           */
    ngx_str_t                  item;            /* of MCP, the same: a tool, */
    const char                *item_kind;       /* a prompt, ...; NULL: none */

    ngx_http_stoa_chain_t     *chain[NGX_HTTP_STOA_CHAIN_MAX];
    uint64_t                   policy_types;    /* of all chains             */
    uint64_t                   policy_turns;    /* bits: a turn of a chain   */
    uint64_t                   policy_at;       /* the bit where they go on, */
    ngx_http_stoa_turn_t      *policy_next;     /* and the row               */
    ngx_str_t                  origin;          /* as a policy has seen it   */
    ngx_list_part_t            came;            /* the client's headers, once
                                                   r has the upstream's      */
    uint64_t                   shadowed;        /* bits of types that would
                                                   have refused              */

    ngx_http_stoa_verdict_t    rate;            /* the tightest, for headers */
    ngx_http_stoa_left_t       left[3];         /* by "which"                */
    uint64_t                   allowance;       /* key of them; 0: not made  */
    uint64_t                   cost;            /* of the call; 0: 1         */
    const void                *cost_of;         /* ..._attached_t: the answer
                                                   says it,                  */
    uint64_t                   cost_said;       /* and has: + 1              */
    const void                *token;           /* stoa_gcra_t: of that rate */
    void                      *limited_by;      /* what rate-limits took, the
                                                   last one first            */
    void                      *llm;             /* what its tokens are, and who
                                                   is charged for them       */
    void                      *lease;           /* what waits for a shared
                                                   limit                     */
    ngx_http_stoa_held_t       leased[3];       /* of the plan's, by "which" */
    const void                *counted;         /* ..._attached_t: the quotas
                                                   that it was counted in    */
    const char                *degraded;        /* how they were decided
                                                   without Redis             */
    const void                *approval;        /* ..._attached_t: a person has
                                                   to approve the call       */
    const void                *signed_by;       /* ..._attached_t: its
                                                   signature is good         */
    void                      *guards;          /* who looks through its
                                                   answer                    */
    void                      *opa;             /* what was decided elsewhere,
                                                   the last one first        */
    const void                *cache;           /* the same: it keeps answers*/
    void                      *cached;          /* what becomes of that      */
    const void                *repeats_by;      /* the same: who calls again
                                                   gets the answer again     */
    void                      *repeat;          /* what becomes of that      */
    const void                *result;          /* the same: how long an answer
                                                   may be; for trying        */
    const void                *result_shadow;
    uint64_t                   result_bytes;    /* of one, so far            */
    void                      *answer;          /* who wants its body        */
    void                      *inflight;        /* zone handle               */
    const ngx_http_stoa_attached_t  *tunnel_by; /* who judges its frames,    */
    void                      *tunnel_rules;    /* by what                   */
    void                      *tunnel;
    void                      *grpc;            /* what its edge keeps       */
    uint64_t                   message_max;     /* of one; 0: no maximum     */
    ngx_msec_t                 timeout_ms;      /* the caller's; 0: none     */
    ngx_event_t               *watch;           /* while it lasts            */
    uint64_t                   told_in;         /* bytes that are counted    */
    uint64_t                   told_out;
    ngx_uint_t                 over;            /* status by which it ended  */
    ngx_str_t                  policies;        /* RateLimit-Policy          */

    ngx_str_t                  path;            /* relative to the api's base,
                                                   decoded                   */
    ngx_str_t                  rewritten;       /* the upstream's instead of
                                                   that, as it is sent       */
    ngx_str_t                  asked;           /* the upstream's query      */
    ngx_http_stoa_made_t      *made;            /* headers, the last first   */
    ngx_str_t                  allow;           /* for 405                   */
    ngx_str_t                  retry_after;     /* an upstream's             */
    ngx_str_t                  query;           /* as it was sent, if it had
                                                   a key; wiped              */

    ngx_http_stoa_to_t         to;
    ngx_uint_t                 group;           /* of targets; 0: any        */
    ngx_http_stoa_peer_t      *peer;            /* chosen by the lane, for   */
                                                /* nginx's upstream          */
    ngx_http_stoa_resolve_t   *resolve;         /* NULL: needed no name      */
    ngx_chain_t               *page;            /* instead of nginx's        */
    ngx_str_t                  credential;      /* fetched, for the upstream */
    ngx_uint_t                 credential_step; /* where that was            */

    unsigned                   origin_allowed:1;
    unsigned                   signed_body:1;   /* ... and of a digest       */
    unsigned                   content_waiting:1;   /* its body is read    */
    unsigned                   content_repeated:1;  /* in headers, too     */
    unsigned                   asked_set:1;     /* asked is, also to nothing */
    unsigned                   templated:1;     /* a policy made parts of it */
    unsigned                   remade:1;        /* ... the body              */
    unsigned                   claims:1;        /* of a proxy we believe     */
    unsigned                   foreign:1;       /* a consumer's policies run,
                                                   not its publisher's       */
    unsigned                   credential_again:1;  /* it did not take one   */
    unsigned                   by_fetch:1;      /* headers for one are made  */
    unsigned                   settles:1;       /* ... what limits took      */
    unsigned                   limited:1;       /* verdict filled            */
    unsigned                   unfit:1;         /* the upstream's answer: the
                                                   refusal is sent instead   */
    unsigned                   replace:1;
    unsigned                   from_cache:1;    /* the answer is a kept one, */
    unsigned                   swapped:1;       /* in the place of another   */
    unsigned                   unheard:1;       /* its client has gone       */
    unsigned                   kept:1;          /* the edge's body() has it  */
    unsigned                   opened:1;        /* the edge has sent a head  */
    unsigned                   passed:1;        /* pipeline is through       */
    unsigned                   by_name:1;       /* /apis/<tenant>/<api>      */
    unsigned                   websocket:1;     /* ... is asked for          */
    unsigned                   told:1;          /* it is counted, and lasts  */
    unsigned                   group_new:1;     /* its cookie is to be set   */
    unsigned                   timed:1;         /* it has a total time,      */
    unsigned                   hurried:1;       /* ... its caller's,         */
    unsigned                   late:1;          /* which is over             */
    unsigned                   repeats:1;       /* may be made twice         */
    unsigned                   elsewhere:1;     /* another gateway has it,
                                                   and counts it             */
} ngx_http_stoa_call_t;


/* Of a token that was verified: words with a NUL behind each; of scopes, one
 * that begins with a byte 1 covers all that begin with the rest. */

typedef struct {
    stoa_id_t                  issuer;
    int64_t                    exp_ms;          /* with the leeway           */
    ngx_str_t                  text;            /* as the client has sent it */
    ngx_str_t                  subject;         /* "": it has none           */
    ngx_str_t                  roles;
    ngx_str_t                  scopes;
} ngx_http_stoa_token_t;


struct ngx_http_stoa_ctx_s {
    ngx_http_request_t        *request;
    ngx_http_stoa_inner_t     *inner;           /* takes the answer          */
    ngx_http_stoa_trace_t     *trace;           /* NULL: nothing is noted    */
    ngx_http_stoa_look_t      *look;            /* NULL: it is a call        */
    ngx_http_stoa_call_t       call;

    ngx_uint_t                 mode;            /* of the location, and ...  */
    ngx_uint_t                 own_method;      /* of a request that describes
                                                   another one, and again of
                                                   its answer; 0: none       */
    ngx_str_t                  protect_tenant;
    ngx_str_t                  protect_api;

    stoa_id_t                  tenant;          /* caller's                  */
    stoa_id_t                  application;
    stoa_id_t                  credential;      /* zeros: a token            */
    stoa_id_t                  principal;       /* the credential, or a hash
                                                   of a token's subject      */
    ngx_http_stoa_token_t     *token;           /* NULL: an API key          */
    ngx_http_stoa_introspect_t  *introspect;    /* an issuer was asked       */
    ngx_str_t                  tenant_name;     /* for logs and identity     */
    ngx_str_t                  application_name;
    ngx_http_stoa_chain_t     *application_chain;
    ngx_str_t                  key;             /* presented, until verified */

    uint64_t                   start_ns;        /* ngx_http_stoa_now_ns() at
                                                   entry                     */
    uint64_t                   head_ns;         /* when a stream that waits
                                                   for news began, 0: none  */
    ngx_str_t                  request_id;
    ngx_str_t                  unparsed_uri;    /* the client's, while r has
                                                   to.uri for it             */

    unsigned                   authenticated:1;
    unsigned                   anonymous:1;     /* no credential: a plan of
                                                   what is open              */
    unsigned                   key_differs:1;   /* two keys in the query     */
    unsigned                   key_other:1;     /* the key was made elsewhere,
                                                   and imported              */
    unsigned                   key_query:1;     /* the key was in the query
                                                   alone                     */
    unsigned                   dpop:1;          /* bound to a key: a token was,
                                                   or should have been       */
    unsigned                   accounted:1;

    /* what the strings above point to; not cleared */

#define NGX_HTTP_STOA_CTX_CLEARED  offsetof(ngx_http_stoa_ctx_t, names)

    u_char                     names[2][STOA_NAME_MAX + 1];
    u_char                     request_id_text[32];
    u_char                     trace_text[56];
    u_char                     rate_text[176];
};


/* A name of a record into a place of the context; slugs always fit. */

static ngx_inline void
ngx_http_stoa_name(u_char *dst, const void *rec, stoa_ref_t ref,
    ngx_str_t *name)
{
    name->len = ngx_min(ref.len, STOA_NAME_MAX);
    name->data = dst;
    ngx_memcpy(dst, (const u_char *) rec + ref.off, name->len);
}


/* The context of r (also after an internal redirect, where nginx forgets it);
 * NULL if r never entered. */
ngx_http_stoa_ctx_t *ngx_http_stoa_ctx(ngx_http_request_t *r);
/* The same, and made if it is not there: NULL without memory. */
ngx_http_stoa_ctx_t *ngx_http_stoa_ctx_create(ngx_http_request_t *r);
/* For a subrequest that speaks for the same client, to the same api under the
 * same policies: a call of its own, in which nothing has happened.  The caller
 * sets its request. */
ngx_http_stoa_ctx_t *ngx_http_stoa_ctx_clone(ngx_http_stoa_ctx_t *ctx);

/* Has finish(ctx, data) run when the call ends; NGX_ERROR without memory. */
ngx_int_t ngx_http_stoa_ctx_finisher(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_finish_pt finish, void *data);
/* The call ends: its finishers run.  Any number of times. */
void ngx_http_stoa_ctx_finish(ngx_http_stoa_ctx_t *ctx);
/* Another call begins: the one before ends, nothing of it is left. */
void ngx_http_stoa_ctx_reset(ngx_http_stoa_ctx_t *ctx);

/* Goes on with a suspended request; r may be gone afterwards.  To be called
 * last in the handler of a foreign event: it runs posted requests, too. */
void ngx_http_stoa_ctx_wake(ngx_http_request_t *r);
/* For a step that waits for that: until then, only the client's leaving ends
 * the request.  NGX_AGAIN, or NGX_ERROR. */
ngx_int_t ngx_http_stoa_ctx_suspend(ngx_http_request_t *r);

/* What a growing buffer holds, in r->pool or another one; the buffer is freed.
 * NGX_ERROR: it was too much. */
ngx_int_t ngx_http_stoa_ctx_text(ngx_http_request_t *r, stoa_buf_t *b,
    ngx_str_t *text);
ngx_int_t ngx_http_stoa_text(ngx_pool_t *pool, stoa_buf_t *b,
    ngx_str_t *text);
/* A copy in pool, with a NUL behind it. */
ngx_int_t ngx_http_stoa_copy(ngx_pool_t *pool, ngx_str_t *to,
    const ngx_str_t *from);


#endif /* NGX_HTTP_STOA_CTX_H */
