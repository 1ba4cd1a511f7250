/*
 * output-schema: what a tool answers is judged by the schema that its upstream
 * says of it.  Schema of the policy: core/stoa_policy_output.h.
 *
 * Those of tools are compiled when they are called first, and kept with the
 * chain, one for each place by the tool's id.
 *
 * Process: workers.  Lifetime: the chain.  Limits: NGX_HTTP_STOA_OUTPUTS
 * schemas of a chain.
 */

#include "ngx_http_stoa_guard.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_store.h"
#include "core/stoa_jschema.h"
#include "core/stoa_policy_output.h"


#define NGX_HTTP_STOA_OUTPUTS  64


typedef struct {
    uint64_t    sum;                           /* of tool and schema         */
    void       *block;                         /* NULL: it cannot be judged  */
} ngx_http_stoa_output_t;


static ngx_int_t ngx_http_stoa_policy_output_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_policy_output_cleanup(void *data);
static ngx_int_t ngx_http_stoa_policy_output_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_output_schema(ngx_http_stoa_ctx_t *ctx,
    stoa_json_val_t *schema);
static const char *ngx_http_stoa_policy_output_message(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_json_val_t *result);
static const char *ngx_http_stoa_policy_output_judge(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, const void *block,
    const stoa_json_val_t *content);
static const void *ngx_http_stoa_policy_output_block(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, const stoa_json_val_t *schema);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_output_refusals[] = {
    { ngx_string("output_mismatch"), 502, ngx_string("Answer not valid"),
      ngx_string("The tool answered what its schema does not fit."), 502 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_output = {
    .name = "output-schema",
    .compile = ngx_http_stoa_policy_output_compile,
    .head = ngx_http_stoa_policy_output_head,
    .message = ngx_http_stoa_policy_output_message,
    .refusals = ngx_http_stoa_policy_output_refusals
};


/* In a->state: its schemas. */

static ngx_int_t
ngx_http_stoa_policy_output_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, NGX_HTTP_STOA_OUTPUTS
                                     * sizeof(ngx_http_stoa_output_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(cln->data, NGX_HTTP_STOA_OUTPUTS
                           * sizeof(ngx_http_stoa_output_t));
    cln->handler = ngx_http_stoa_policy_output_cleanup;
    a->state = cln->data;

    return NGX_OK;
}


static void
ngx_http_stoa_policy_output_cleanup(void *data)
{
    ngx_uint_t               i;
    ngx_http_stoa_output_t  *kept = data;

    for (i = 0; i < NGX_HTTP_STOA_OUTPUTS; i++) {
        if (kept[i].block) {
            ngx_free(kept[i].block);
        }
    }
}


static ngx_int_t
ngx_http_stoa_policy_output_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    stoa_json_val_t  schema;

    return ngx_http_stoa_policy_output_schema(ctx, &schema)
           ? ngx_http_stoa_policy_guard_expect(r, ctx, a) : NGX_OK;
}


/* What the tool of the call says; as the store has it now. */

static ngx_uint_t
ngx_http_stoa_policy_output_schema(ngx_http_stoa_ctx_t *ctx,
    stoa_json_val_t *schema)
{
    stoa_str_t                  text;
    stoa_json_val_t             def;
    const stoa_rec_item_t      *tool;
    ngx_http_stoa_main_conf_t  *mcf;

    if (ctx->call.tool.c[0] == '\0') {
        return 0;
    }

    mcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_stoa_module);
    tool = ngx_http_stoa_store_item(mcf->store, STOA_REC_TOOL,
                                    &ctx->call.tool);
    if (tool == NULL) {
        return 0;
    }

    text = stoa_rec_str(tool, tool->definition);

    return stoa_json_check(text.data, text.len, STOA_JSON_DEPTH_MAX, &def,
                           NULL)
           == STOA_OK
           && stoa_json_get(&def, "outputSchema", schema);
}


static const char *
ngx_http_stoa_policy_output_message(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_json_val_t *result)
{
    const void                 *block;
    stoa_json_val_t             root, val, schema;
    const stoa_policy_output_t *conf;

    conf = a->config;

    if (!ngx_http_stoa_policy_output_schema(ctx, &schema)
        || stoa_json_check(result->start, result->end - result->start,
                           STOA_JSON_DEPTH_MAX, &root, NULL)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || (stoa_json_get(&root, "isError", &val)
            && val.type == STOA_JSON_TRUE))
    {
        return NULL;
    }

    if (!stoa_json_get(&root, "structuredContent", &val)) {

        /* what only says that there will be a result is none */

        return conf->required && stoa_json_get(&root, "content", &val)
               ? "it has no structuredContent" : NULL;
    }

    block = ngx_http_stoa_policy_output_block(ctx, a, &schema);

    if (block) {
        return ngx_http_stoa_policy_output_judge(r, a, block, &val);
    }

    if (!conf->unreadable) {
        return "its outputSchema cannot be judged by";
    }

    ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_UNREAD);

    return NULL;
}


static const char *
ngx_http_stoa_policy_output_judge(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, const void *block,
    const stoa_json_val_t *content)
{
    u_char      *p;
    size_t       len;
    stoa_err_t   err;

    ngx_memzero(&err, sizeof(err));

    if (stoa_jschema_judge(block, content, &err) == STOA_OK) {
        return NULL;
    }

    len = sizeof("its structuredContent does not fit: \"\" ")
          + ngx_strlen(err.field) + ngx_strlen(err.text);
    p = ngx_pnalloc(r->pool, len);

    if (p == NULL) {
        return "its structuredContent does not fit";
    }

    *ngx_snprintf(p, len - 1, "its structuredContent does not fit: %s%s%s",
                  err.field, err.field[0] ? " " : "", err.text) = '\0';

    return (const char *) p;
}


/* Another tool of the same place, or another schema, takes it. */

static const void *
ngx_http_stoa_policy_output_block(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, const stoa_json_val_t *schema)
{
    uint64_t                 sum;
    stoa_buf_t               b;
    ngx_http_stoa_output_t  *kept;

    sum = stoa_hash64(&ctx->call.tool, sizeof(stoa_id_t), 1);
    kept = (ngx_http_stoa_output_t *) a->state + sum % NGX_HTTP_STOA_OUTPUTS;
    sum = stoa_hash64(schema->start, schema->end - schema->start, sum) | 1;

    if (kept->sum == sum) {
        return kept->block;
    }

    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);

    if (kept->block) {
        ngx_free(kept->block);
    }

    kept->sum = sum;
    kept->block = NULL;

    if (stoa_jschema_compile(schema->start, schema->end - schema->start, &b,
                             NULL)
        == STOA_OK)
    {
        kept->block = ngx_alloc(b.len, ngx_cycle->log);

        if (kept->block) {
            ngx_memcpy(kept->block, b.data, b.len);

        } else {
            kept->sum = 0;
        }
    }

    stoa_buf_free(&b);

    return kept->block;
}
