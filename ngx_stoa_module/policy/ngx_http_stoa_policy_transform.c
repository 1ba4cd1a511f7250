/*
 * transform: takes members out of answers of JSON.  Schema:
 * core/stoa_policy_transform.h.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_policy_answer.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_transform.h"


static ngx_int_t ngx_http_stoa_policy_transform_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t);
static ngx_int_t ngx_http_stoa_policy_transform_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_transform_refusals[] = {
    { ngx_string("transform_failed"), 502, ngx_string("Answer not readable"),
      ngx_string("The API's server answered what cannot be changed."), 502 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_transform = {
    .name = "transform",
    .upstream = ngx_http_stoa_policy_answer_ask,
    .response = ngx_http_stoa_policy_answer_take,
    .answer = ngx_http_stoa_policy_transform_answer,
    .refusals = ngx_http_stoa_policy_transform_refusals
};


static ngx_int_t
ngx_http_stoa_policy_transform_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t)
{
    const stoa_policy_transform_t  *conf;

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

    t->whole = ngx_http_stoa_policy_transform_whole;
    t->max = conf->max_bytes;
    t->pass = conf->unreadable;
    t->changes = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_transform_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body)
{
    uint32_t                        i;
    stoa_rc_t                       rc;
    stoa_err_t                      err;
    stoa_buf_t                      out;
    stoa_str_t                      paths[STOA_JSON_STRIP_PATHS];
    ngx_uint_t                      stripped;
    const stoa_ref_t               *ref;
    stoa_json_val_t                 root;
    const stoa_policy_transform_t  *conf;

    conf = t->a->config;
    ngx_memzero(&err, sizeof(stoa_err_t));

    rc = stoa_json_check((char *) body->data, body->len, STOA_JSON_DEPTH_MAX,
                         &root, &err);

    if (rc != STOA_OK) {
        return rc == STOA_DECLINED
               ? ngx_http_stoa_policy_refuse_what(r, ctx, t->a, &err,
                                                  "answer")
               : NGX_ERROR;
    }

    ref = stoa_rec_vec(t->a->rec, conf->response_remove, stoa_ref_t);

    for (i = 0; i < conf->response_remove.n; i++) {
        paths[i] = stoa_rec_str(t->a->rec, ref[i]);
    }

    /* nothing is longer than it was */

    stoa_buf_init(&out, body->len);
    stripped = stoa_json_strip(&root, paths, conf->response_remove.n, &out);

    if (!stripped || !ngx_http_stoa_policy_acts(t->a)) {
        stoa_buf_free(&out);
        return NGX_OK;
    }

    return ngx_http_stoa_ctx_text(r, &out, body);
}
