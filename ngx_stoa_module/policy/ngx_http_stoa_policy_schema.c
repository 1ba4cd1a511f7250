/*
 * json-schema: what a body of JSON has to be, at a tool its arguments.
 * Schema: core/stoa_policy_schema.h; compiled once for each revision.
 *
 * Process: workers.  Lifetime: the chain, the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_jschema.h"
#include "core/stoa_policy_schema.h"


static ngx_int_t ngx_http_stoa_policy_schema_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_schema_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_schema_refusals[] = {
    { ngx_string("schema_mismatch"), 400, ngx_string("Body not valid"),
      ngx_string("The call needs a body."), 400 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_schema = {
    .name = "json-schema",
    .compile = ngx_http_stoa_policy_schema_compile,
    .head = ngx_http_stoa_policy_schema_head,
    .look = 1,
    .refusals = ngx_http_stoa_policy_schema_refusals
};


static ngx_int_t
ngx_http_stoa_policy_schema_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    const stoa_policy_schema_t  *conf;

    conf = a->config;
    a->state = ngx_http_stoa_policy_schema_compiled(pool,
                                        stoa_rec_str(a->rec, conf->schema));

    return a->state ? NGX_OK : NGX_ERROR;
}


void *
ngx_http_stoa_policy_schema_compiled(ngx_pool_t *pool, stoa_str_t text)
{
    void        *block;
    stoa_rc_t    rc;
    stoa_buf_t   b;

    block = NULL;

    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);
    rc = stoa_jschema_compile(text.data, text.len, &b, NULL);

    if (rc == STOA_OK) {
        block = ngx_palloc(pool, b.len);
    }

    if (block) {
        ngx_memcpy(block, b.data, b.len);
    }

    stoa_buf_free(&b);

    return block;
}


stoa_rc_t
ngx_http_stoa_policy_schema_judge(const void *schema, const ngx_str_t *body,
    stoa_err_t *err)
{
    stoa_rc_t        rc;
    stoa_json_val_t  root;

    ngx_memzero(err, sizeof(stoa_err_t));
    rc = STOA_OK;

    if (!stoa_json_plain((char *) body->data, body->len, NULL, NULL, &root)) {
        rc = stoa_json_check((char *) body->data, body->len,
                             STOA_JSON_DEPTH_MAX, &root, err);
    }

    return rc == STOA_OK ? stoa_jschema_judge(schema, &root, err) : rc;
}


static ngx_int_t
ngx_http_stoa_policy_schema_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                    rc;
    ngx_str_t                    body;
    stoa_rc_t                    said;
    stoa_err_t                   err;
    const stoa_policy_schema_t  *conf;

    conf = a->config;

    rc = ngx_http_stoa_policy_content(r, ctx, a, conf->max_bytes,
                                      conf->other_types, &body);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_policy_content_own(r, ctx, &body);
    }

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (body.len == 0) {
        return conf->required
               ? ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal) : NGX_OK;
    }

    said = ngx_http_stoa_policy_schema_judge(a->state, &body, &err);

    if (said == STOA_OK) {
        return NGX_OK;
    }

    return said == STOA_DECLINED
           ? ngx_http_stoa_policy_refuse_error(r, ctx, a, &err) : NGX_ERROR;
}
