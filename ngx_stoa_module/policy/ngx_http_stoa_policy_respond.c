/*
 * response-schema: what an answer of JSON has to be.  Schema:
 * core/stoa_policy_answer.h; compiled once for each revision.
 *
 * Process: workers.  Lifetime: the chain, the request.
 */

#include "ngx_http_stoa_policy_answer.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_jschema.h"
#include "core/stoa_policy_answer.h"


static ngx_int_t ngx_http_stoa_policy_respond_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_respond_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t);
static ngx_int_t ngx_http_stoa_policy_respond_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_respond_refusals[] = {
    { ngx_string("answer_mismatch"), 502, ngx_string("Answer not valid"),
      ngx_string("The API's server answered what the API does not say."),
      502 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_respond = {
    .name = "response-schema",
    .compile = ngx_http_stoa_policy_respond_compile,
    .upstream = ngx_http_stoa_policy_answer_ask,
    .response = ngx_http_stoa_policy_answer_take,
    .answer = ngx_http_stoa_policy_respond_answer,
    .refusals = ngx_http_stoa_policy_respond_refusals
};


static ngx_int_t
ngx_http_stoa_policy_respond_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    const stoa_policy_answer_t  *conf;

    conf = a->config;
    a->state = ngx_http_stoa_policy_schema_compiled(pool,
                                        stoa_rec_str(a->rec, conf->schema));

    return a->state ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_policy_respond_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t)
{
    const stoa_policy_answer_t  *conf;

    conf = t->a->config;

    if (!ngx_http_stoa_policy_answer_status(r, t->a->rec, &conf->statuses)) {
        return NGX_DECLINED;
    }

    if (!ngx_http_stoa_policy_answer_json(r)) {
        if (conf->other_types) {
            return NGX_DECLINED;
        }

        return ngx_http_stoa_policy_answer_unread(r, ctx, t, "it is no JSON");
    }

    t->whole = ngx_http_stoa_policy_respond_whole;
    t->max = conf->max_bytes;
    t->pass = conf->unreadable;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_respond_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body)
{
    stoa_rc_t   rc;
    stoa_err_t  err;

    rc = ngx_http_stoa_policy_schema_judge(t->a->state, body, &err);

    if (rc == STOA_OK) {
        return NGX_OK;
    }

    return rc == STOA_DECLINED
           ? ngx_http_stoa_policy_refuse_what(r, ctx, t->a, &err, "answer")
           : NGX_ERROR;
}
