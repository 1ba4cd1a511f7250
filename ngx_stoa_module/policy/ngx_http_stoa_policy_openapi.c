/*
 * openapi-validation: calls and answers as the api's OpenAPI document says.
 * Schema: core/stoa_policy_openapi.h; the document's contract (core's
 * stoa_contract.h) is in the api's record, and is compiled once for all of its
 * policies.
 *
 * Process: workers.  Lifetime: the chain, the request.
 */

#include "ngx_http_stoa_openapi.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy_answer.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_media.h"
#include "core/stoa_policy_openapi.h"


/* In the order of its refusals. */

typedef enum { REQUEST = 0, OPERATION, MEDIA, ANSWER } ngx_http_stoa_openapi_e;

typedef struct {
    stoa_contract_t            *contract;
    const stoa_contract_op_t  **ops;          /* of the record's, by place   */
    ngx_http_stoa_attached_t    report;       /* as if it were a shadow      */
    ngx_http_stoa_attached_t   *requests;     /* NULL: they are not judged   */
    ngx_http_stoa_attached_t   *answers;
} ngx_http_stoa_openapi_t;


static ngx_int_t ngx_http_stoa_policy_openapi_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_openapi_contract(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_openapi_t *made);
static ngx_int_t ngx_http_stoa_policy_openapi_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_openapi_body(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_contract_op_t *op);
static ngx_int_t ngx_http_stoa_policy_openapi_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_openapi_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_openapi_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t);
static ngx_int_t ngx_http_stoa_policy_openapi_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_openapi_refusals[] = {
    { ngx_string("request_mismatch"), 400, ngx_string("Request not valid"),
      ngx_string("The operation needs a body."), 400 },
    { ngx_string("operation_unknown"), 404, ngx_string("No such operation"),
      ngx_string("The API's document has no such operation."), 404 },
    { ngx_string("media_type_unknown"), 415,
      ngx_string("Media type not allowed"),
      ngx_string("The operation does not take a body of this Content-Type."),
      415 },
    { ngx_string("response_mismatch"), 502, ngx_string("Answer not valid"),
      ngx_string("The upstream's answer is not as the API's document says."),
      502 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_openapi = {
    .name = "openapi-validation",
    .compile = ngx_http_stoa_policy_openapi_compile,
    .head = ngx_http_stoa_policy_openapi_head,
    .upstream = ngx_http_stoa_policy_openapi_ask,
    .response = ngx_http_stoa_policy_openapi_response,
    .answer = ngx_http_stoa_policy_openapi_answer,
    .refusals = ngx_http_stoa_policy_openapi_refusals
};


/* ---- compiling ---------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_policy_openapi_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    ngx_http_stoa_openapi_t      *made;
    const stoa_policy_openapi_t  *conf;

    conf = a->config;

    made = ngx_pcalloc(pool, sizeof(ngx_http_stoa_openapi_t));
    if (made == NULL) {
        return NGX_ERROR;
    }

    made->report = *a;
    made->report.shadow = 1;

    made->requests = conf->requests == STOA_OPENAPI_OFF ? NULL
                     : conf->requests == STOA_OPENAPI_REPORT ? &made->report
                     : a;
    made->answers = conf->answers == STOA_OPENAPI_OFF ? NULL
                    : conf->answers == STOA_OPENAPI_REPORT ? &made->report
                    : a;
    a->silent = made->answers != a;

    if (ngx_http_stoa_policy_openapi_contract(pool, chain, a, made) != NGX_OK)
    {
        return NGX_ERROR;
    }

    a->state = made;
    made->report.state = made;

    return NGX_OK;
}


static void *
ngx_http_stoa_policy_openapi_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


/* That of another policy of the api, if there is one. */

static ngx_int_t
ngx_http_stoa_policy_openapi_contract(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_openapi_t *made)
{
    uint32_t                        i;
    stoa_str_t                      text;
    const stoa_rec_api_t           *rec;
    const ngx_http_stoa_openapi_t  *other;

    for (i = 0; i < chain->n && &chain->elts[i] != a; i++) {
        if (chain->elts[i].policy == a->policy) {
            other = chain->elts[i].state;
            made->contract = other->contract;
            made->ops = other->ops;
            return NGX_OK;
        }
    }

    rec = a->rec;
    text = stoa_rec_str(rec, rec->contract);

    made->contract = ngx_palloc(pool, sizeof(stoa_contract_t));
    made->ops = ngx_palloc(pool, (rec->operations.n + 1)
                                 * sizeof(stoa_contract_op_t *));

    if (made->contract == NULL || made->ops == NULL
        || stoa_contract_read(text.data, text.len,
                              ngx_http_stoa_policy_openapi_alloc, pool,
                              made->contract, NULL)
           != STOA_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_openapi_ops(made->contract, rec, made->ops);

    return NGX_OK;
}


static const stoa_contract_op_t *
ngx_http_stoa_policy_openapi_op(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_openapi_t *made)
{
    stoa_str_t                 method, path;
    const stoa_contract_op_t  *op;

    op = ctx->call.operation ? made->ops[ctx->call.operation - 1] : NULL;

    if (op) {
        return op;
    }

    method.data = (char *) r->method_name.data;
    method.len = r->method_name.len;
    path.data = (char *) ctx->call.path.data;
    path.len = ctx->call.path.len;

    return stoa_contract_find(made->contract, method, path);
}


/* ---- calls -------------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_policy_openapi_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                        rc;
    ngx_str_t                        detail;
    const stoa_contract_op_t        *op;
    const stoa_policy_openapi_t     *conf;
    const ngx_http_stoa_openapi_t   *made;
    const ngx_http_stoa_attached_t  *as;

    made = a->state;
    as = made->requests;
    conf = a->config;

    if (as == NULL) {
        return NGX_OK;
    }

    op = ngx_http_stoa_policy_openapi_op(r, ctx, made);

    if (op == NULL) {
        return conf->other_operations ? NGX_OK
               : ngx_http_stoa_policy_refuse(r, ctx, as,
                                             as->refusal + OPERATION);
    }

    rc = ngx_http_stoa_openapi_params(r, ctx, made->contract, op,
                                      conf->strict_query, &detail);

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_policy_refuse_text(r, ctx, as,
                                                as->refusal + REQUEST,
                                                &detail);
    }

    return rc == NGX_OK ? ngx_http_stoa_policy_openapi_body(r, ctx, as, op)
                        : rc;
}


static ngx_int_t
ngx_http_stoa_policy_openapi_body(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_contract_op_t *op)
{
    ngx_int_t                       rc;
    ngx_str_t                       body;
    stoa_rc_t                       said;
    stoa_err_t                      err;
    ngx_table_elt_t                *type;
    const stoa_policy_openapi_t    *conf;
    const stoa_contract_media_t    *media;
    const ngx_http_stoa_openapi_t  *made;

    static ngx_str_t  none = ngx_string("The operation takes no body.");

    conf = a->config;
    made = a->state;

    if (ctx->mode != NGX_HTTP_STOA_AUTHZ
        && !ngx_http_stoa_policy_shape_body(r))
    {
        return op->body_required
               ? ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + REQUEST)
               : NGX_OK;
    }

    if (!op->body) {
        return ctx->mode == NGX_HTTP_STOA_AUTHZ ? NGX_OK
               : ngx_http_stoa_policy_refuse_text(r, ctx, a,
                                                  a->refusal + REQUEST, &none);
    }

    media = NULL;

    if (ngx_http_stoa_header_count(r, "content-type",
                                   sizeof("content-type") - 1, &type)
        == 1)
    {
        media = stoa_contract_media(op->media, op->nmedia,
                                    (char *) type->value.data,
                                    type->value.len);
    }

    if (media == NULL && op->nmedia) {
        return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + MEDIA);
    }

    if (media == NULL || media->schema == STOA_CONTRACT_NONE
        || !ngx_http_stoa_policy_content_json(r, 1))
    {
        return NGX_OK;
    }

    rc = ngx_http_stoa_policy_content(r, ctx, a, conf->max_bytes, 0, &body);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (body.len == 0) {
        return op->body_required
               ? ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + REQUEST)
               : NGX_OK;
    }

    said = ngx_http_stoa_openapi_json(made->contract, media->schema, &body,
                                      &err);

    return said == STOA_OK ? NGX_OK
           : said == STOA_DECLINED
           ? ngx_http_stoa_policy_refuse_error(r, ctx, a, &err) : NGX_ERROR;
}


/* ---- answers ------------------------------------------------------------ */

static ngx_int_t
ngx_http_stoa_policy_openapi_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    const ngx_http_stoa_openapi_t  *made;

    made = a->state;

    return made->answers
           ? ngx_http_stoa_policy_answer_ask(r, ctx, made->answers) : NGX_OK;
}


/* What of it is judged; NULL with *words: it is not as it has to be. */

static const stoa_contract_media_t *
ngx_http_stoa_policy_openapi_media(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_openapi_t *made,
    const char **words)
{
    ngx_uint_t                     status;
    const stoa_contract_op_t      *op;
    const stoa_contract_media_t   *media;
    const stoa_contract_answer_t  *answer;

    *words = NULL;
    status = r->headers_out.status;
    op = ngx_http_stoa_policy_openapi_op(r, ctx, made);

    if (op == NULL || op->nanswers == 0 || status < NGX_HTTP_OK
        || status == NGX_HTTP_NOT_MODIFIED)
    {
        return NULL;
    }

    answer = stoa_contract_answer(op, (unsigned) status);

    if (answer == NULL && status == NGX_HTTP_PARTIAL_CONTENT) {
        answer = stoa_contract_answer(op, NGX_HTTP_OK);
    }

    if (answer == NULL) {
        *words = "The operation does not answer with this status.";
        return NULL;
    }

    if (answer->n == 0) {
        return NULL;
    }

    media = stoa_contract_media(answer->media, answer->n,
                                (char *) r->headers_out.content_type.data,
                                r->headers_out.content_type.len);

    if (media == NULL) {
        *words = "The operation does not answer with this Content-Type.";
    }

    return media;
}


static ngx_int_t
ngx_http_stoa_policy_openapi_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_str_t                       detail;
    const char                     *words;
    const stoa_contract_media_t    *media;
    const ngx_http_stoa_openapi_t  *made;

    made = a->state;

    if (made->answers == NULL
        || (r->upstream == NULL && !ctx->call.from_cache)
        || !ctx->call.passed || ctx->call.replace)
    {
        return NGX_OK;
    }

    media = ngx_http_stoa_policy_openapi_media(r, ctx, made, &words);

    if (words) {
        detail.data = (u_char *) words;
        detail.len = ngx_strlen(words);

        return ngx_http_stoa_policy_refuse_text(r, ctx, made->answers,
                                                a->refusal + ANSWER, &detail);
    }

    return media && media->schema != STOA_CONTRACT_NONE
           ? ngx_http_stoa_policy_answer_take(r, ctx, a) : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_openapi_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t)
{
    const char                     *words;
    const stoa_policy_openapi_t    *conf;
    const stoa_contract_media_t    *media;
    const ngx_http_stoa_openapi_t  *made;

    made = t->a->state;
    conf = t->a->config;
    media = ngx_http_stoa_policy_openapi_media(r, ctx, made, &words);

    if (media == NULL
        || !stoa_media_json((char *) r->headers_out.content_type.data,
                            r->headers_out.content_type.len))
    {
        return NGX_DECLINED;
    }

    t->a = made->answers;
    t->state = (void *) media;
    t->max = conf->max_bytes;
    t->pass = conf->unreadable;
    t->refusal = ANSWER;

    if (!ngx_http_stoa_policy_answer_json(r)) {
        return ngx_http_stoa_policy_answer_unread(r, ctx, t,
                                                  "it is not UTF-8");
    }

    t->whole = ngx_http_stoa_policy_openapi_whole;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_openapi_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body)
{
    stoa_rc_t                       rc;
    stoa_err_t                      err;
    const stoa_contract_media_t    *media;
    const ngx_http_stoa_openapi_t  *made;

    made = t->a->state;
    media = t->state;

    rc = ngx_http_stoa_openapi_json(made->contract, media->schema, body, &err);

    return rc == STOA_OK ? NGX_OK
           : rc == STOA_DECLINED
           ? ngx_http_stoa_policy_refuse_row(r, ctx, t->a, ANSWER, &err,
                                             "answer")
           : NGX_ERROR;
}
