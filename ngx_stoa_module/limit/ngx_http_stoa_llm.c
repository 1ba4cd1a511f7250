/*
 * llm-tokens: what calls of language models use.  Schema:
 * core/stoa_policy_llm.h; reading: core/stoa_llm.h.
 *
 * Before a call is made, what it may use is taken from each budget: calls at
 * once see what the others may still use.  When it has ended, however it did,
 * that becomes what it used: the rest goes back, what is missing is owed.
 * What a worker that dies has taken comes back as the budget refills.
 *
 * Process: workers.  Lifetime: the call.
 */

#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_policy_answer.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_llm.h"


#define NGX_HTTP_STOA_LLM_SEED  0x73746f616c6c6d31ULL

typedef struct ngx_http_stoa_llm_charge_s  ngx_http_stoa_llm_charge_t;

struct ngx_http_stoa_llm_charge_s {
    ngx_http_stoa_took_t             took;
    const ngx_http_stoa_limit_by_t  *budget;
    ngx_http_stoa_limit_at_t         at;
    uint64_t                         reserved;
    ngx_http_stoa_llm_charge_t      *next;
};

/* Of a call. */

typedef struct {
    stoa_llm_t                   answer;
    stoa_llm_ask_t               ask;
    uint64_t                     reserve;    /* the largest of its policies  */
    ngx_http_stoa_llm_charge_t  *charges;
    unsigned                     reads:1;    /* the answer is read           */
    unsigned                     unread:1;   /* it cannot be                 */
    unsigned                     whole:1;
} ngx_http_stoa_llm_t;


static ngx_int_t ngx_http_stoa_llm_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_llm_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_llm_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_llm_t *llm);
static ngx_int_t ngx_http_stoa_llm_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a, uint64_t n,
    ngx_http_stoa_verdict_t *v);
static void ngx_http_stoa_llm_back(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_took_t *of);
static ngx_int_t ngx_http_stoa_llm_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_llm_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t);
static ngx_uint_t ngx_http_stoa_llm_events(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_llm_piece(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *in,
    ngx_uint_t last, stoa_buf_t *out);
static void ngx_http_stoa_llm_settle(ngx_http_stoa_ctx_t *ctx, void *data);


static const ngx_http_stoa_refusal_t  ngx_http_stoa_llm_refusals[] = {
    { ngx_string("tokens_unknown"), 400, ngx_string("Body not readable"),
      ngx_string("The body cannot be read."), 400 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_llm = {
    .name = "llm-tokens",
    .compile = ngx_http_stoa_llm_compile,
    .head = ngx_http_stoa_llm_head,
    .look = 1,
    .upstream = ngx_http_stoa_llm_upstream,
    .response = ngx_http_stoa_policy_answer_take,
    .answer = ngx_http_stoa_llm_answer,
    .refusals = ngx_http_stoa_llm_refusals
};


static ngx_int_t
ngx_http_stoa_llm_compile(ngx_pool_t *pool, ngx_http_stoa_chain_t *chain,
    ngx_http_stoa_attached_t *a)
{
    const stoa_policy_llm_t   *conf;
    ngx_http_stoa_limit_by_t  *budget;

    conf = a->config;

    if (conf->tokens == 0) {
        return NGX_OK;
    }

    budget = ngx_pcalloc(pool, sizeof(ngx_http_stoa_limit_by_t));
    if (budget == NULL) {
        return NGX_ERROR;
    }

    a->state = budget;
    budget->failure = conf->on_store_failure;

    stoa_gcra_setup(&budget->gcra, conf->tokens, conf->per_ms, 0);
    budget->gcra.debt_ns = NGX_HTTP_STOA_LIMITS_DEBT;

    return ngx_http_stoa_limit_by_words(pool, a, &conf->by,
                                        NGX_HTTP_STOA_LLM_SEED + conf->tokens
                                        + budget->gcra.burst_ns, budget);
}


/* ---- before the call ---------------------------------------------------- */

/* What others than POST answer with was used before, or is of no model. */

static ngx_int_t
ngx_http_stoa_llm_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                 rc;
    ngx_str_t                 body;
    ngx_http_stoa_llm_t      *llm;
    const stoa_policy_llm_t  *conf;

    if (r->method != NGX_HTTP_POST || ctx->call.edge->head) {
        return NGX_OK;
    }

    conf = a->config;
    rc = ngx_http_stoa_policy_content(r, ctx, a, conf->max_bytes, 1, &body);

    if (rc != NGX_OK && rc != NGX_DECLINED) {
        return rc;
    }

    llm = ctx->call.llm;

    if (llm == NULL) {
        llm = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_llm_t));

        if (llm == NULL
            || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_llm_settle, llm)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        ctx->call.llm = llm;
    }

    if (rc == NGX_OK && body.len && llm->ask.input == 0) {
        stoa_llm_ask((char *) body.data, body.len, &llm->ask);
    }

    llm->reserve = ngx_max(llm->reserve, conf->reserve);

    return conf->tokens ? ngx_http_stoa_llm_take(r, ctx, a, llm) : NGX_OK;
}


/* One that may use more than the budget has waits for all of it. */

static ngx_int_t
ngx_http_stoa_llm_take(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_llm_t *llm)
{
    uint64_t                     n;
    const stoa_policy_llm_t     *conf;
    ngx_http_stoa_verdict_t      v;
    ngx_http_stoa_llm_charge_t  *c;

    conf = a->config;

    c = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_llm_charge_t));
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->budget = a->state;

    n = llm->ask.input + (llm->ask.output ? llm->ask.output : conf->reserve);
    n = ngx_max(1, ngx_min(n, stoa_gcra_most(&c->budget->gcra)));

    ngx_http_stoa_limit_by_take(r, ctx, c->budget, n, &c->at, &v);

    if (v.rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (v.rc == NGX_ERROR) {
        return ngx_http_stoa_limits_refuse(r, ctx, a,
                              NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE, NULL);
    }

    if (v.rc == NGX_OK && (c->at.shared ? c->at.held.tag != 0 : v.limit != 0))
    {
        c->reserved = n;
    }

    /* a shadow counts what passed all the same */

    if (ctx->look == NULL) {
        c->next = llm->charges;
        llm->charges = c;
    }

    if (v.rc == NGX_BUSY) {
        return ngx_http_stoa_llm_refuse(r, ctx, a, n, &v);
    }

    if (!a->shadow && ctx->look == NULL) {
        c->took.back = ngx_http_stoa_llm_back;
        c->took.next = ctx->call.limited_by;
        ctx->call.limited_by = &c->took;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_llm_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, uint64_t n, ngx_http_stoa_verdict_t *v)
{
    u_char     *p;
    ngx_int_t   rc;

    static const char  words[] =
        "The call may use  tokens, and  of a budget of  are left.";

    rc = ngx_http_stoa_limits_refuse(r, ctx, a, NGX_HTTP_STOA_REFUSE_RATE, v);

    p = ngx_pnalloc(r->pool, sizeof(words) + 3 * NGX_INT64_LEN);

    if (p && !a->shadow) {
        ctx->call.detail.data = p;
        ctx->call.detail.len = ngx_sprintf(p, "The call may use %uL tokens, "
                                           "and %uL of a budget of %uL are "
                                           "left.", n, v->remaining, v->limit)
                               - p;
    }

    return rc;
}


static void
ngx_http_stoa_llm_back(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_took_t *of)
{
    ngx_http_stoa_llm_charge_t  *c;

    c = (ngx_http_stoa_llm_charge_t *) of;

    ngx_http_stoa_limit_by_settle(mcf, c->budget, &c->at, c->reserved, 0);
    c->reserved = 0;
}


/* ---- the answer --------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_llm_upstream(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    return ctx->call.llm ? ngx_http_stoa_policy_answer_ask(r, ctx, a)
                         : NGX_OK;
}


/* One of the call's policies reads it for all.  What is refused uses nothing.
 */

static ngx_int_t
ngx_http_stoa_llm_answer(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_taker_t *t)
{
    ngx_uint_t            events;
    ngx_http_stoa_llm_t  *llm;

    llm = ctx->call.llm;

    if (llm == NULL || llm->reads || llm->unread
        || r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE)
    {
        return NGX_DECLINED;
    }

    events = ngx_http_stoa_llm_events(r);

    t->pass = 1;
    t->piece = ngx_http_stoa_llm_piece;

    if (ngx_http_stoa_policy_answer_part(r)) {
        llm->unread = 1;
        return NGX_OK;                       /* which is counted            */
    }

    if (!events && !ngx_http_stoa_policy_answer_json(r)) {
        llm->unread = 1;
        return NGX_DECLINED;
    }

    llm->reads = 1;
    stoa_llm_init(&llm->answer, events);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_llm_events(ngx_http_request_t *r)
{
    ngx_str_t  *type;

    static const ngx_str_t  events = ngx_string("text/event-stream");

    type = &r->headers_out.content_type;

    return type->len >= events.len
           && ngx_strncasecmp(type->data, events.data, events.len) == 0
           && (type->len == events.len || type->data[events.len] == ';'
               || type->data[events.len] == ' ');
}


static ngx_int_t
ngx_http_stoa_llm_piece(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_taker_t *t, ngx_str_t *in, ngx_uint_t last, stoa_buf_t *out)
{
    ngx_http_stoa_llm_t  *llm;

    llm = ctx->call.llm;

    stoa_llm_feed(&llm->answer, (char *) in->data, in->len);
    stoa_buf_add(out, in->data, in->len);
    llm->whole |= last > 0;

    return NGX_OK;
}


/* ---- after the call ----------------------------------------------------- */

ngx_int_t
ngx_http_stoa_llm_tokens(ngx_http_stoa_ctx_t *ctx, stoa_llm_used_t *used)
{
    ngx_uint_t            status;
    ngx_http_stoa_llm_t  *llm;

    llm = ctx->call.llm;

    if (llm == NULL || !ctx->call.passed || ctx->call.from_cache) {
        return NGX_DECLINED;
    }

    if (llm->reads) {
        stoa_llm_used(&llm->answer, &llm->ask, llm->whole, used);
        return NGX_OK;
    }

    ngx_memzero(used, sizeof(stoa_llm_used_t));
    used->model = "";
    status = ctx->request->headers_out.status;

    if (llm->unread) {
        used->n[STOA_LLM_INPUT] = llm->ask.input;
        used->n[STOA_LLM_OUTPUT] = llm->ask.output ? llm->ask.output
                                                   : llm->reserve;

    } else if (status == 0 || status == NGX_HTTP_CLIENT_CLOSED_REQUEST
               || status == NGX_HTTP_GATEWAY_TIME_OUT)
    {
        /* it was asked, and nobody has waited for its answer */

        used->n[STOA_LLM_INPUT] = llm->ask.input;

    } else {
        return NGX_DECLINED;
    }

    used->estimated = 1;

    return NGX_OK;
}


static void
ngx_http_stoa_llm_settle(ngx_http_stoa_ctx_t *ctx, void *data)
{
    uint64_t                     n;
    ngx_uint_t                   i;
    stoa_llm_used_t              used;
    ngx_http_stoa_llm_t         *llm;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_llm_charge_t  *c;

    llm = data;
    n = 0;

    if (ngx_http_stoa_llm_tokens(ctx, &used) == NGX_OK) {
        n = used.n[STOA_LLM_INPUT] + used.n[STOA_LLM_OUTPUT];

        for (i = 0; i < STOA_LLM_KINDS; i++) {
            ngx_http_stoa_count(llm[used.estimated][i], used.n[i]);
        }
    }

    mcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_stoa_module);

    for (c = llm->charges; c; c = c->next) {
        ngx_http_stoa_limit_by_settle(mcf, c->budget, &c->at, c->reserved, n);
    }

    llm->charges = NULL;
}
