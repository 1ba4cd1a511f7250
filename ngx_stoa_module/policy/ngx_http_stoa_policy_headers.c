/*
 * headers: sets, adds and removes headers of requests and answers.  Schema:
 * core/stoa_policy_headers.h.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_policy_headers.h"


static ngx_int_t ngx_http_stoa_headers_request(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_headers_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_headers_put(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_policy_header_t *row);
static ngx_int_t ngx_http_stoa_headers_value(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t s, ngx_str_t *value);
static ngx_uint_t ngx_http_stoa_headers_fixed(ngx_http_stoa_ctx_t *ctx,
    ngx_table_elt_t *h);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_headers = {
    .name = "headers",
    .on_way = 1,
    .upstream = ngx_http_stoa_headers_request,
    .response = ngx_http_stoa_headers_response
};


static ngx_int_t
ngx_http_stoa_headers_request(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    uint32_t                      i;
    const stoa_ref_t             *name;
    const stoa_policy_header_t   *row;
    const stoa_policy_headers_t  *conf;

    conf = a->config;

    if ((conf->request_remove.n == 0 && conf->request_set.n == 0
         && conf->request_add.n == 0)
        || !ngx_http_stoa_policy_acts(a))
    {
        return NGX_OK;
    }

    name = stoa_rec_vec(a->rec, conf->request_remove, stoa_ref_t);

    for (i = 0; i < conf->request_remove.n; i++) {
        ngx_http_stoa_policy_headers_take(r, ctx,
                                          stoa_rec_str(a->rec, name[i]));
    }

    row = stoa_rec_vec(a->rec, conf->request_set, stoa_policy_header_t);

    for (i = 0; i < conf->request_set.n; i++) {
        ngx_http_stoa_policy_headers_take(r, ctx,
                                          stoa_rec_str(a->rec, row[i].name));

        if (ngx_http_stoa_headers_put(r, ctx, a, &row[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    row = stoa_rec_vec(a->rec, conf->request_add, stoa_policy_header_t);

    for (i = 0; i < conf->request_add.n; i++) {
        if (ngx_http_stoa_headers_put(r, ctx, a, &row[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_headers_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    uint32_t                      i, n;
    stoa_str_t                    s;
    ngx_table_elt_t              *h;
    const stoa_ref_t             *name;
    const stoa_policy_header_t   *row;
    const stoa_policy_headers_t  *conf;

    conf = a->config;
    n = conf->response_set.n;

    if ((conf->response_remove.n == 0 && n == 0 && conf->response_add.n == 0)
        || !ngx_http_stoa_policy_acts(a))
    {
        return NGX_OK;
    }

    name = stoa_rec_vec(a->rec, conf->response_remove, stoa_ref_t);

    for (i = 0; i < conf->response_remove.n; i++) {
        s = stoa_rec_str(a->rec, name[i]);
        ngx_http_stoa_header_clear(r, s.data, s.len);
    }

    row = stoa_rec_vec(a->rec, conf->response_set, stoa_policy_header_t);

    for (i = 0; i < n; i++) {
        s = stoa_rec_str(a->rec, row[i].name);
        ngx_http_stoa_header_clear(r, s.data, s.len);
    }

    for (i = 0; i < n + conf->response_add.n; i++) {

        if (i == n) {
            row = stoa_rec_vec(a->rec, conf->response_add,
                               stoa_policy_header_t) - n;
        }

        s = stoa_rec_str(a->rec, row[i].name);
        h = ngx_http_stoa_header_out(r, s.data, s.len);

        if (h == NULL
            || ngx_http_stoa_headers_value(r, ctx,
                                           stoa_rec_str(a->rec, row[i].value),
                                           &h->value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Out of the list: the proxy module sends whatever is in it. */

void
ngx_http_stoa_policy_headers_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t name)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0, n = 0; i < part->nelts; i++) {
            if (!ngx_http_stoa_header_equal(&h[i], name.data, name.len)
                || ngx_http_stoa_headers_fixed(ctx, &h[i]))
            {
                h[n++] = h[i];
            }
        }

        part->nelts = n;
    }

    ngx_http_stoa_header_tidy(&r->headers_in.headers);
}


static ngx_int_t
ngx_http_stoa_headers_put(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, const stoa_policy_header_t *row)
{
    ngx_str_t  value;

    if (ngx_http_stoa_headers_value(r, ctx,
                                    stoa_rec_str(a->rec, row->value), &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_policy_headers_put(r, ctx,
                                            stoa_rec_str(a->rec, row->name),
                                            &value);
}


ngx_int_t
ngx_http_stoa_policy_headers_put(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t name, const ngx_str_t *value)
{
    ngx_table_elt_t   made, *h;

    ngx_http_stoa_header_end(&made);
    made.key.data = (u_char *) name.data;
    made.key.len = name.len;
    made.lowcase_key = ngx_pnalloc(r->pool, name.len);

    if (made.lowcase_key == NULL) {
        return NGX_ERROR;
    }

    made.hash = ngx_hash_strlow(made.lowcase_key, made.key.data, name.len);
    made.value = *value;

    if (ngx_http_stoa_headers_fixed(ctx, &made)) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = made;

    return NGX_OK;
}


/* What a protocol says itself is not for a policy to say, and who forwarded
 * the call not for a consumer's. */

static ngx_uint_t
ngx_http_stoa_headers_fixed(ngx_http_stoa_ctx_t *ctx, ngx_table_elt_t *h)
{
    return (ctx->call.edge->header_dropped
            && ctx->call.edge->header_dropped(h))
           || (ctx->call.foreign
               && stoa_policy_header_claims((char *) h->key.data,
                                            h->key.len));
}


/* With variables in their places; twice: for the length, and to write. */

static ngx_int_t
ngx_http_stoa_headers_value(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    stoa_str_t text, ngx_str_t *value)
{
    int         var;
    u_char     *p;
    size_t      at, n, len;
    ngx_str_t   v;
    stoa_str_t  s;
    ngx_uint_t  write;

    value->data = NULL;
    p = NULL;

    for (write = 0; write < 2; write++) {
        len = 0;

        for (s = text; s.len; s.data += at + n, s.len -= at + n) {
            var = stoa_policy_var(s.data, s.len, &at, &n);

            if (var < 0) {
                at = s.len;
                n = 0;
            }

            v = ngx_http_stoa_policy_headers_var(r, ctx, var);
            len += at + v.len;

            if (write) {
                p = ngx_cpymem(p, s.data, at);
                p = ngx_cpymem(p, v.data, v.len);
            }
        }

        if (!write) {
            p = ngx_pnalloc(r->pool, len + 1);
            if (p == NULL) {
                return NGX_ERROR;
            }

            value->data = p;
            value->len = len;
        }
    }

    return NGX_OK;
}


ngx_str_t
ngx_http_stoa_policy_headers_var(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, int var)
{
    ngx_str_t   v;
    stoa_str_t  s;

    ngx_str_set(&v, "");

    switch (var) {

    case STOA_VAR_REQUEST_ID:
        return ctx->request_id;

    case STOA_VAR_CLIENT_ADDRESS:
        return r->connection->addr_text;

    case STOA_VAR_TENANT:
        return ctx->tenant_name;

    case STOA_VAR_APPLICATION:
        return ctx->application_name;

    case STOA_VAR_PLAN:
        return ctx->call.plan_name;

    case STOA_VAR_SUBSCRIPTION:
        if (ctx->call.subscription.c[0]) {
            v.data = (u_char *) ctx->call.subscription.c;
            v.len = STOA_ID_LEN;
        }

        return v;

    case STOA_VAR_API:
        if (ctx->call.api) {
            s = stoa_rec_str(ctx->call.api->rec, ctx->call.api->rec->name);
            v.data = (u_char *) s.data;
            v.len = s.len;
        }

        return v;

    default:
        return v;
    }
}
