/*
 * rate-limit: a rate of calls that have something in common, counted here.
 * Schema: core/stoa_policy_limit.h.
 *
 * Whose allowance it is is a hash of where the policy is attached, of what it
 * says, and of what the call has.  A word that the call lacks (no tool, no
 * such header), or has twice, is one that is empty: those calls share one, as
 * nobody knows which of them the upstream reads.
 *
 * Headers and arguments are as many as a caller likes to make up.  They have a
 * part of the zone, and of the pools of what gateways share; when that is
 * full, the calls of those that have no place yet share one allowance.
 *
 * Process: workers.  Lifetime: the call.
 */

#include "ngx_http_stoa_lease.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_look.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_token.h"
#include "core/stoa_key.h"
#include "core/stoa_policy_limit.h"


#define NGX_HTTP_STOA_LIMIT_BY_SEED  0x73746f616c696d34ULL


struct ngx_http_stoa_limit_word_s {
    stoa_rate_by_e  what;
    stoa_str_t      name;                        /* of a header, an argument */
};

/* What was taken, to be given back. */

typedef struct {
    ngx_http_stoa_took_t             took;
    const ngx_http_stoa_limit_by_t  *by;
    ngx_http_stoa_limit_at_t         at;
    uint64_t                         n;
} ngx_http_stoa_limit_took_t;


static ngx_int_t ngx_http_stoa_limit_by_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_limit_by_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_limit_by_back(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_took_t *of);
static ngx_int_t ngx_http_stoa_limit_by_shared(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_limit_at_t *at, ngx_http_stoa_verdict_t *v);
static void ngx_http_stoa_limit_by_count(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_limit_at_t *at, ngx_http_stoa_verdict_t *v);
static void ngx_http_stoa_limit_by_look(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_verdict_t *v);
static uint64_t ngx_http_stoa_limit_by_key(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_limit_by_t *by,
    uint64_t seed, ngx_uint_t made_up);
static uint64_t ngx_http_stoa_limit_by_word(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_limit_word_t *w,
    uint64_t key);
static uint64_t ngx_http_stoa_limit_by_header(ngx_http_request_t *r,
    stoa_str_t name, uint64_t key);
static uint64_t ngx_http_stoa_limit_by_argument(ngx_http_request_t *r,
    stoa_str_t name, uint64_t key);
static uint64_t ngx_http_stoa_limit_by_claim(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t name, uint64_t key);
static void ngx_http_stoa_limit_by_settled(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_took_t *of, uint64_t used);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_rate_limit = {
    .name = "rate-limit",
    .compile = ngx_http_stoa_limit_by_compile,
    .head = ngx_http_stoa_limit_by_head,
    .look = 1
};


static ngx_int_t
ngx_http_stoa_limit_by_compile(ngx_pool_t *pool, ngx_http_stoa_chain_t *chain,
    ngx_http_stoa_attached_t *a)
{
    uint64_t                         h;
    ngx_http_stoa_limit_by_t        *by;
    const stoa_policy_rate_limit_t  *conf;

    conf = a->config;

    by = ngx_pcalloc(pool, sizeof(ngx_http_stoa_limit_by_t));
    if (by == NULL) {
        return NGX_ERROR;
    }

    a->state = by;
    by->failure = conf->on_store_failure;

    if (conf->algorithm == STOA_RATE_WINDOW) {
        by->window.limit = conf->rate;
        by->window.cell_ns = (uint64_t) conf->per_ms * 1000000
                             / NGX_HTTP_STOA_WINDOW_CELLS;

    } else {
        stoa_gcra_setup(&by->gcra, conf->rate, conf->per_ms, conf->burst);
        by->gcra.debt_ns = conf->cost ? NGX_HTTP_STOA_LIMITS_DEBT : 0;
    }

    h = stoa_hash64(&conf->burst, sizeof(conf->burst),
                    NGX_HTTP_STOA_LIMIT_BY_SEED + conf->algorithm);
    h = stoa_hash64(&conf->rate, sizeof(conf->rate), h + conf->per_ms);

    return ngx_http_stoa_limit_by_words(pool, a, &conf->by, h, by);
}


/* An id comes right after a record's header. */

ngx_int_t
ngx_http_stoa_limit_by_words(ngx_pool_t *pool,
    const ngx_http_stoa_attached_t *a, const stoa_vec_t *list, uint64_t h,
    ngx_http_stoa_limit_by_t *by)
{
    uint32_t                     i;
    stoa_str_t                   s;
    const stoa_ref_t            *ref;
    ngx_http_stoa_limit_word_t  *w;

    by->words = ngx_palloc(pool,
                           list->n * sizeof(ngx_http_stoa_limit_word_t));
    if (by->words == NULL) {
        return NGX_ERROR;
    }

    h = stoa_hash64((const u_char *) a->rec + sizeof(stoa_rec_hdr_t),
                    sizeof(stoa_id_t), h);
    h = stoa_hash64(&a->operation, sizeof(stoa_id_t), h);
    h = stoa_hash64(a->name.data, a->name.len, h);
    h = stoa_hash64(a->tool.data, a->tool.len, h);

    ref = stoa_rec_vec(a->rec, *list, stoa_ref_t);

    for (i = 0; i < list->n; i++) {
        s = stoa_rec_str(a->rec, ref[i]);
        h = stoa_hash64(s.data, s.len, h);

        w = &by->words[by->n++];
        w->what = stoa_policy_rate_by(s.data, s.len, &w->name);
        by->made_up |= w->what >= STOA_RATE_BY_HEADER;
    }

    by->seed = h + a->shadow;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_limit_by_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_http_stoa_verdict_t          v;
    ngx_http_stoa_limit_took_t      *took;
    const stoa_policy_rate_limit_t  *conf;

    conf = a->config;

    took = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_limit_took_t));
    if (took == NULL || ngx_http_stoa_limits_settles(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    took->by = a->state;
    took->n = 1;

    if (conf->cost && ctx->call.cost) {
        took->n = ngx_min(ctx->call.cost, stoa_gcra_most(&took->by->gcra));
    }

    ngx_http_stoa_limit_by_take(r, ctx, took->by, took->n, &took->at, &v);

    if (v.rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (v.rc == NGX_BUSY) {
        return ngx_http_stoa_limits_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_RATE, &v);
    }

    if (v.rc != NGX_OK) {
        return ngx_http_stoa_limits_refuse(r, ctx, a,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    if (v.limit && !a->shadow) {
        took->took.back = ngx_http_stoa_limit_by_back;
        took->took.settle = conf->cost ? ngx_http_stoa_limit_by_settled : NULL;
        took->took.next = ctx->call.limited_by;
        ctx->call.limited_by = &took->took;
    }

    return NGX_OK;
}


/* Where there is no room for what callers make up: without that. */

void
ngx_http_stoa_limit_by_take(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_limit_at_t *at, ngx_http_stoa_verdict_t *v)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ctx->look) {
        ngx_http_stoa_limit_by_look(r, ctx, by, n, v);
        return;
    }

    at->shared = mcf->redis && by->window.limit == 0
                 && ngx_http_stoa_limit_by_shared(r, ctx, by, n, at, v)
                    != NGX_DECLINED;

    if (at->shared) {
        return;
    }

    at->key = ngx_http_stoa_limit_by_key(r, ctx, by, by->seed, 1);
    at->ways = by->made_up ? NGX_HTTP_STOA_RATE_SPARE
                           : NGX_HTTP_STOA_RATE_WAYS;
    ngx_http_stoa_limit_by_count(mcf, by, n, at, v);

    if (v->limit == 0 && by->made_up) {
        at->key = ngx_http_stoa_limit_by_key(r, ctx, by, by->seed, 0);
        at->ways = NGX_HTTP_STOA_RATE_WAYS;
        ngx_http_stoa_limit_by_count(mcf, by, n, at, v);
    }
}


/* In Redis, for all gateways of the group; NGX_DECLINED: here. */

static ngx_int_t
ngx_http_stoa_limit_by_shared(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_limit_at_t *at, ngx_http_stoa_verdict_t *v)
{
    uint64_t                   hash;
    ngx_uint_t                 made_up;
    ngx_http_stoa_left_t       left[3];
    ngx_http_stoa_budget_t     budget;
    ngx_http_stoa_lease_key_t  key;

    budget.which = NGX_HTTP_STOA_LIMIT_RATE;
    budget.limit = stoa_gcra_most(&by->gcra);
    budget.interval_ns = by->gcra.interval_ns;
    budget.zone = 0;

    ngx_memzero(&key, sizeof(ngx_http_stoa_lease_key_t));
    key.owes = by->gcra.debt_ns != 0;
    made_up = by->made_up;

    for ( ;; ) {
        key.key = ngx_http_stoa_limit_by_key(r, ctx, by, by->seed, made_up);
        key.ways = made_up ? NGX_HTTP_STOA_POOL_SPARE : 0;
        hash = ngx_http_stoa_limit_by_key(r, ctx, by, ~by->seed, made_up);

        ngx_memcpy(key.ids[0].c, &key.key, sizeof(uint64_t));
        ngx_memcpy(key.ids[0].c + sizeof(uint64_t), &hash, sizeof(uint64_t));

        v->rc = ngx_http_stoa_lease_take(ctx, &key, &budget, 1, n, by->failure,
                                         v, left);
        at->held = key.held[0];

        if (v->rc != NGX_DECLINED || !made_up) {
            return v->rc;
        }

        made_up = 0;
    }
}


void
ngx_http_stoa_limit_by_settle(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_limit_by_t *by, ngx_http_stoa_limit_at_t *at,
    uint64_t had, uint64_t used)
{
    if (at->shared) {
        ngx_http_stoa_lease_settle(&at->held, had, used);

    } else if (by->window.limit) {
        ngx_http_stoa_window_return(mcf, at->key, at->cell, had - used);

    } else if (used > had) {
        ngx_http_stoa_rate_charge(mcf, at->key, &by->gcra, used - had,
                                  at->ways);

    } else if (used < had) {
        ngx_http_stoa_rate_return(mcf, at->key, &by->gcra, had - used);
    }
}


/* v->limit 0: nothing was taken. */

static void
ngx_http_stoa_limit_by_look(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_verdict_t *v)
{
    uint64_t                    key;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    ngx_memzero(v, sizeof(ngx_http_stoa_verdict_t));

    if (by->window.limit == 0 && ngx_http_stoa_limits_unseen(ctx, mcf)) {
        return;
    }

    key = ngx_http_stoa_limit_by_key(r, ctx, by, by->seed, 1);

    if (by->window.limit) {
        ngx_http_stoa_window_look(mcf, key, &by->window, n, v);

    } else {
        ngx_http_stoa_rate_look(mcf, key, &by->gcra, n, v);
    }

    ctx->look->now.v = *v;
    v->limit = v->rc == NGX_OK ? 0 : v->limit;
}


static void
ngx_http_stoa_limit_by_count(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_limit_by_t *by, uint64_t n,
    ngx_http_stoa_limit_at_t *at, ngx_http_stoa_verdict_t *v)
{
    if (by->window.limit) {
        ngx_http_stoa_window_take(mcf, at->key, &by->window, n, at->ways,
                                  &at->cell, v);
        return;
    }

    ngx_http_stoa_rate_take(mcf, at->key, &by->gcra, n, at->ways, v);
}


static void
ngx_http_stoa_limit_by_back(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_took_t *of)
{
    ngx_http_stoa_limit_took_t  *took;

    took = (ngx_http_stoa_limit_took_t *) of;
    ngx_http_stoa_limit_by_settle(mcf, took->by, &took->at, took->n, 0);
}


static void
ngx_http_stoa_limit_by_settled(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_took_t *of, uint64_t used)
{
    ngx_http_stoa_limit_took_t  *took;

    took = (ngx_http_stoa_limit_took_t *) of;
    ngx_http_stoa_limit_by_settle(mcf, took->by, &took->at, took->n, used);
    took->n = used;
}


/* made_up: also by the words that are a caller's. */

static uint64_t
ngx_http_stoa_limit_by_key(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_limit_by_t *by, uint64_t seed, ngx_uint_t made_up)
{
    uint64_t    key;
    ngx_uint_t  i;

    key = seed + made_up;

    for (i = 0; i < by->n; i++) {
        if (made_up || by->words[i].what < STOA_RATE_BY_HEADER) {
            key = ngx_http_stoa_limit_by_word(r, ctx, &by->words[i], key);
        }
    }

    return key;
}


static uint64_t
ngx_http_stoa_limit_by_word(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_limit_word_t *w, uint64_t key)
{
    stoa_id_t        id;
    stoa_rec_api_t  *rec;

    ngx_memzero(&id, sizeof(stoa_id_t));
    rec = ctx->call.api ? ctx->call.api->rec : NULL;

    switch (w->what) {

    case STOA_RATE_BY_HEADER:
        return ngx_http_stoa_limit_by_header(r, w->name, key);

    case STOA_RATE_BY_CLAIM:
        return ngx_http_stoa_limit_by_claim(r, ctx, w->name, key);

    case STOA_RATE_BY_ARGUMENT:
        return ngx_http_stoa_limit_by_argument(r, w->name, key);

    case STOA_RATE_BY_TOOL:
        return stoa_hash64(ctx->call.tool_name.data, ctx->call.tool_name.len,
                           key);

    case STOA_RATE_BY_SUBSCRIPTION:
        id = ctx->call.subscription;
        break;

    case STOA_RATE_BY_APPLICATION:
        id = ctx->anonymous ? ctx->principal : ctx->application;
        break;

    case STOA_RATE_BY_CREDENTIAL:
        id = ctx->principal;
        break;

    case STOA_RATE_BY_ADDRESS:
        ngx_http_stoa_open_address(r, &id);
        break;

    case STOA_RATE_BY_API:
        id = rec ? rec->id : id;
        break;

    case STOA_RATE_BY_OPERATION:

        if (rec && ctx->call.operation) {
            id = stoa_rec_vec(rec, rec->operations, stoa_rec_operation_t)
                 [ctx->call.operation - 1].id;
        }

        break;

    case STOA_RATE_BY_MAX:                       /* core has checked them    */
        break;
    }

    return stoa_hash64(&id, sizeof(stoa_id_t), key);
}


static uint64_t
ngx_http_stoa_limit_by_header(ngx_http_request_t *r, stoa_str_t name,
    uint64_t key)
{
    ngx_table_elt_t  *h;

    return ngx_http_stoa_header_count(r, name.data, name.len, &h) == 1
           ? stoa_hash64(h->value.data, h->value.len, key)
           : stoa_hash64(NULL, 0, key);
}


/* A text, a number, true or false, of a token that was verified; what is
 * neither is as if it was not there.  What one issuer says uses up nothing of
 * whom another one calls the same. */

static uint64_t
ngx_http_stoa_limit_by_claim(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    stoa_str_t name, uint64_t key)
{
    stoa_str_t  value;

    return ngx_http_stoa_token_claim(r, ctx, name, &value) == NGX_OK
           ? stoa_hash64(value.data, value.len,
                         stoa_hash64(&ctx->token->issuer, sizeof(stoa_id_t),
                                     key))
           : stoa_hash64(NULL, 0, key);
}


/* As the upstream will read it: however it is escaped it is the same one. */

static uint64_t
ngx_http_stoa_limit_by_argument(ngx_http_request_t *r, stoa_str_t name,
    uint64_t key)
{
    u_char      *p, *end, *eq, *last, *text;
    size_t       len;
    uint64_t     of;
    ngx_uint_t   n;

    n = 0;
    of = key;
    last = r->args.data + r->args.len;
    text = r->args.len ? ngx_pnalloc(r->pool, r->args.len) : NULL;

    for (p = r->args.data; text && p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;
        eq = ngx_strlchr(p, end, '=');
        eq = eq ? eq : end;

        len = ngx_http_stoa_policy_shape_decode(text, p, eq);

        if (len == name.len && ngx_memcmp(text, name.data, len) == 0) {
            len = ngx_http_stoa_policy_shape_decode(text, eq + (eq < end),
                                                    end);
            of = stoa_hash64(text, len, key);
            n++;
        }
    }

    return n == 1 ? of : stoa_hash64(NULL, 0, key);
}
