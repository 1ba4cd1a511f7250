/*
 * Variables: what was decided about a request, for log_format, map and the
 * proxy settings of "stoa;".  README.md documents each row; t/docs.t compares.
 *
 * Not found (an empty value, "-" in a log) where the request did not get so
 * far.  Never a secret.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_env.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_limits.h"
#include "core/stoa_json.h"


typedef enum {
    VAR_TENANT, VAR_APPLICATION, VAR_API, VAR_OPERATION,
    VAR_TOOL, VAR_GROUP, VAR_PLAN, VAR_SUBSCRIPTION, VAR_CREDENTIAL,
    VAR_REQUEST_ID,
    VAR_RATE_LIMIT, VAR_RATE_REMAINING, VAR_RATE_RESET,
    VAR_UPSTREAM_URI, VAR_UPSTREAM_HOST, VAR_UPSTREAM_SCHEME,
    VAR_UPSTREAM_TLS_NAME,
    VAR_LOG_HOST, VAR_LOG_URI, VAR_LOG_AGENT
} ngx_http_stoa_var_e;


static ngx_int_t ngx_http_stoa_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_revision(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_refusal(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_shadow(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_opa(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_llm(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_rate(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_tool(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_stoa_variable_log(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static void ngx_http_stoa_variable_api(ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t what, ngx_str_t *s);
static ngx_int_t ngx_http_stoa_variable_text(ngx_http_variable_value_t *v,
    ngx_str_t *s);


#define SET(get, what)                                                        \
    NULL, ngx_http_stoa_variable_##get, what, NGX_HTTP_VAR_NOCACHEABLE, 0
#define DECIDED(what)                                                         \
    NULL, ngx_http_stoa_variable, what, NGX_HTTP_VAR_NOCACHEABLE, 0
#define RATE(what)  SET(rate, what)

static ngx_http_variable_t  ngx_http_stoa_variables[] = {
    { ngx_string("stoa_tenant"), DECIDED(VAR_TENANT) },
    { ngx_string("stoa_application"), DECIDED(VAR_APPLICATION) },
    { ngx_string("stoa_api"), DECIDED(VAR_API) },
    { ngx_string("stoa_operation"), DECIDED(VAR_OPERATION) },
    { ngx_string("stoa_tool"), DECIDED(VAR_TOOL) },
    { ngx_string("stoa_tool_name"), SET(tool, 0) },
    { ngx_string("stoa_target_group"), DECIDED(VAR_GROUP) },
    { ngx_string("stoa_plan"), DECIDED(VAR_PLAN) },
    { ngx_string("stoa_subscription"), DECIDED(VAR_SUBSCRIPTION) },
    { ngx_string("stoa_credential"), DECIDED(VAR_CREDENTIAL) },
    { ngx_string("stoa_refusal"), SET(refusal, 0) },
    { ngx_string("stoa_shadow"), SET(shadow, 0) },
    { ngx_string("stoa_opa"), SET(opa, 0) },
    { ngx_string("stoa_llm_input"), SET(llm, STOA_LLM_INPUT) },
    { ngx_string("stoa_llm_output"), SET(llm, STOA_LLM_OUTPUT) },
    { ngx_string("stoa_llm_cached"), SET(llm, STOA_LLM_CACHED) },
    { ngx_string("stoa_llm_source"), SET(llm, STOA_LLM_KINDS) },
    { ngx_string("stoa_request_id"), DECIDED(VAR_REQUEST_ID) },
    { ngx_string("stoa_revision"), SET(revision, 0) },
    { ngx_string("stoa_rate_limit"), RATE(VAR_RATE_LIMIT) },
    { ngx_string("stoa_rate_remaining"), RATE(VAR_RATE_REMAINING) },
    { ngx_string("stoa_rate_reset"), RATE(VAR_RATE_RESET) },
    { ngx_string("stoa_upstream_scheme"), DECIDED(VAR_UPSTREAM_SCHEME) },
    { ngx_string("stoa_upstream_host"), DECIDED(VAR_UPSTREAM_HOST) },
    { ngx_string("stoa_upstream_uri"), DECIDED(VAR_UPSTREAM_URI) },
    { ngx_string("stoa_upstream_tls_name"), DECIDED(VAR_UPSTREAM_TLS_NAME) },
    { ngx_string("stoa_log_host"), SET(log, VAR_LOG_HOST) },
    { ngx_string("stoa_log_uri"), SET(log, VAR_LOG_URI) },
    { ngx_string("stoa_log_agent"), SET(log, VAR_LOG_AGENT) },
      ngx_http_null_variable
};


ngx_int_t
ngx_http_stoa_variables_add(ngx_conf_t *cf)
{
    ngx_http_variable_t        *var, *v;
    ngx_http_stoa_main_conf_t  *mcf;

    static ngx_str_t  request_uri = ngx_string("request_uri");

    for (v = ngx_http_stoa_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_module);

    mcf->request_uri = ngx_http_get_variable_index(cf, &request_uri);

    return mcf->request_uri == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t             s, *text;
    stoa_id_t            *id;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_str_null(&s);
    text = &s;
    id = NULL;

    switch (data) {

    case VAR_TENANT:
        text = &ctx->tenant_name;
        break;

    case VAR_APPLICATION:
        text = &ctx->application_name;
        break;

    case VAR_PLAN:
        text = &ctx->call.plan_name;
        break;

    case VAR_TOOL:
        id = &ctx->call.tool;
        break;

    case VAR_SUBSCRIPTION:
        id = &ctx->call.subscription;
        break;

    case VAR_CREDENTIAL:
        id = &ctx->credential;
        break;

    case VAR_REQUEST_ID:
        text = &ctx->request_id;
        break;

    case VAR_UPSTREAM_URI:
        text = &ctx->call.to.uri;
        break;

    case VAR_UPSTREAM_HOST:
        text = &ctx->call.to.host;
        break;

    case VAR_UPSTREAM_SCHEME:
        s = ctx->call.to.scheme;
        s.len -= s.len ? sizeof("://") - 1 : 0;
        break;

    case VAR_UPSTREAM_TLS_NAME:
        text = &ctx->call.to.tls_name;
        break;

    default:
        ngx_http_stoa_variable_api(ctx, data, &s);
        break;
    }

    if (id && id->c[0]) {
        s.data = (u_char *) id->c;
        s.len = STOA_ID_LEN;
    }

    return ngx_http_stoa_variable_text(v, text);
}


/* As the upstream calls it; a record of the store is gone with the handler,
 * so that its text is copied. */

static ngx_int_t
ngx_http_stoa_variable_tool(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                   s;
    stoa_str_t                  text;
    ngx_http_stoa_ctx_t        *ctx;
    const stoa_rec_tool_t      *tool;
    ngx_http_stoa_main_conf_t  *mcf;

    ctx = ngx_http_stoa_ctx(r);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_str_null(&s);

    tool = ctx && ctx->call.tool.c[0]
           && ngx_http_stoa_store_enter(mcf->store) == NGX_OK
           ? ngx_http_stoa_store_item(mcf->store, STOA_REC_TOOL,
                                      &ctx->call.tool) : NULL;

    if (tool) {
        text = stoa_rec_str(tool, tool->name);
        s.data = ngx_pnalloc(r->pool, text.len);

        if (s.data == NULL) {
            return NGX_ERROR;
        }

        s.len = text.len;
        ngx_memcpy(s.data, text.data, text.len);
    }

    return ngx_http_stoa_variable_text(v, &s);
}


/* The client's words for a log that is JSON: nginx escapes what is below a
 * space and no byte that is no UTF-8, at which readers lose the line. */

static ngx_int_t
ngx_http_stoa_variable_log(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    size_t      n;
    u_char     *p, *last, *dst;
    ngx_str_t   s;

    ngx_str_null(&s);

    if (data == VAR_LOG_HOST) {
        s = r->headers_in.server;

    } else if (data == VAR_LOG_URI) {
        s = r->uri;

    } else if (r->headers_in.user_agent) {
        s = r->headers_in.user_agent->value;
    }

    if (s.len == 0 || stoa_utf8_valid((char *) s.data, s.len)) {
        return ngx_http_stoa_variable_text(v, &s);
    }

    p = s.data;
    last = p + s.len;
    s.data = ngx_pnalloc(r->pool, s.len);

    if (s.data == NULL) {
        return NGX_ERROR;
    }

    for (dst = s.data; p < last; p += n) {
        n = *p < 0x80 ? 1 : stoa_utf8_char((char *) p, (char *) last);

        if (n == 0) {
            *dst++ = '?';
            n = 1;

        } else {
            dst = ngx_cpymem(dst, p, n);
        }
    }

    return ngx_http_stoa_variable_text(v, &s);
}


/* The api's name, the operation's template: of the compiled api, which lives
 * as long as the request. */

static void
ngx_http_stoa_variable_api(ngx_http_stoa_ctx_t *ctx, ngx_uint_t what,
    ngx_str_t *s)
{
    stoa_str_t                   text;
    const stoa_rec_api_t        *rec;
    const stoa_rec_operation_t  *ops;

    if (ctx->call.api == NULL) {
        return;
    }

    rec = ctx->call.api->rec;

    if (what == VAR_GROUP) {
        if (ctx->call.group) {
            *s = ctx->call.api->groups[ctx->call.group - 1].name;
        }

        return;
    }

    if (what == VAR_API) {
        text = stoa_rec_str(rec, rec->name);

    } else if (ctx->call.operation
               && ctx->call.operation <= rec->operations.n)
    {
        ops = stoa_rec_vec(rec, rec->operations, stoa_rec_operation_t);
        text = stoa_rec_str(rec, ops[ctx->call.operation - 1].path);

    } else {
        return;
    }

    s->data = (u_char *) text.data;
    s->len = text.len;
}


static ngx_int_t
ngx_http_stoa_variable_text(ngx_http_variable_value_t *v, ngx_str_t *s)
{
    if (s->data == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = s->data;
    v->len = (unsigned) s->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uint64_t n)
{
    v->data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(v->data, "%uL", n) - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_variable_revision(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (mcf->store == NULL || mcf->store->meta.complete == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_stoa_variable_number(r, v,
                                         ngx_http_stoa_store_rev(mcf->store));
}


static ngx_int_t
ngx_http_stoa_variable_refusal(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             s;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL || ctx->call.refused == 0
        || ctx->call.refused > NGX_HTTP_STOA_REFUSE_MAX)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    s = ngx_http_stoa_refusals[ctx->call.refused - 1].code;

    return ngx_http_stoa_variable_text(v, &s);
}


static ngx_int_t
ngx_http_stoa_variable_opa(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t             rc;
    ngx_str_t             s;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);
    rc = ctx ? ngx_http_stoa_policy_opa_told(r, ctx, &s) : NGX_DECLINED;

    if (rc == NGX_DECLINED) {
        v->not_found = 1;
        return NGX_OK;
    }

    return rc == NGX_OK ? ngx_http_stoa_variable_text(v, &s) : rc;
}


static ngx_int_t
ngx_http_stoa_variable_llm(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             s;
    stoa_llm_used_t       used;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL || ngx_http_stoa_llm_tokens(ctx, &used) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (data == STOA_LLM_KINDS) {
        s.data = (u_char *) (used.estimated ? "estimated" : "told");
        s.len = ngx_strlen(s.data);

        return ngx_http_stoa_variable_text(v, &s);
    }

    s.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (s.data == NULL) {
        return NGX_ERROR;
    }

    s.len = ngx_sprintf(s.data, "%uL", used.n[data]) - s.data;

    return ngx_http_stoa_variable_text(v, &s);
}


/* "cors, headers": the types that would have refused. */

static ngx_int_t
ngx_http_stoa_variable_shadow(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                     *p;
    ngx_str_t                   s;
    uint64_t                    bits;
    ngx_uint_t                  i;
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_main_conf_t  *mcf;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL || ctx->call.shadowed == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    p = ngx_pnalloc(r->pool, mcf->policies->n * (STOA_NAME_MAX + 2));
    if (p == NULL) {
        return NGX_ERROR;
    }

    s.data = p;

    for (bits = ctx->call.shadowed, i = 0; bits; bits >>= 1, i++) {
        if (bits & 1) {
            p = ngx_sprintf(p, "%s%s", p > s.data ? ", " : "",
                            mcf->policies->type[i]->name);
        }
    }

    s.len = p - s.data;

    return ngx_http_stoa_variable_text(v, &s);
}


static ngx_int_t
ngx_http_stoa_variable_rate(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    uint64_t              n;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL || !ctx->call.limited) {
        v->not_found = 1;
        return NGX_OK;
    }

    n = (data == VAR_RATE_LIMIT) ? ctx->call.rate.limit
        : (data == VAR_RATE_REMAINING) ? ctx->call.rate.remaining
        : (ctx->call.rate.reset_ms + 999) / 1000;

    return ngx_http_stoa_variable_number(r, v, n);
}
