/*
 * What the client is told of its limits.
 *
 * Process: workers.  Lifetime: texts in the context or in r->pool.
 */

#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_header.h"


#define ngx_http_stoa_limit_header(r, name, start, last)                      \
    ngx_http_stoa_limit_header_out(r, name, sizeof(name) - 1, start, last)


static ngx_int_t ngx_http_stoa_limit_headers_degraded(ngx_http_request_t *r,
    const char *mode);
static ngx_int_t ngx_http_stoa_limit_headers_legacy(ngx_http_request_t *r,
    ngx_http_stoa_verdict_t *v, uint64_t reset);
static ngx_int_t ngx_http_stoa_limit_header_out(ngx_http_request_t *r,
    const char *name, size_t len, u_char *start, u_char *last);


static u_char *
ngx_http_stoa_limit_headers_item(u_char *p, ngx_uint_t which,
    uint64_t remaining, uint64_t reset)
{
    *p++ = '"';
    p = ngx_cpymem(p, ngx_http_stoa_limit_names[which].data,
                   ngx_http_stoa_limit_names[which].len);
    p = ngx_cpymem(p, "\";r=", sizeof("\";r=") - 1);
    p = ngx_http_stoa_header_number(p, remaining);
    p = ngx_cpymem(p, ";t=", sizeof(";t=") - 1);

    return ngx_http_stoa_header_number(p, reset);
}


/* Response headers, from the header filter: the nearest limit comes first. */

ngx_int_t
ngx_http_stoa_limit_headers(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                    *p, *start;
    uint64_t                   reset, retry;
    ngx_uint_t                 i;
    ngx_http_stoa_left_t      *left;
    ngx_http_stoa_verdict_t   *v;
    ngx_http_stoa_loc_conf_t  *slcf;

    v = &ctx->call.rate;
    reset = (v->reset_ms + 999) / 1000;

    start = ctx->rate_text;

    if (ctx->call.policies.len
        && ngx_http_stoa_limit_header(r, "RateLimit-Policy",
                                     ctx->call.policies.data,
                                     ctx->call.policies.data
                                     + ctx->call.policies.len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->call.degraded
        && ngx_http_stoa_limit_headers_degraded(r, ctx->call.degraded)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = start;

    if (ctx->call.limited && v->which != NGX_HTTP_STOA_LIMIT_CONCURRENCY) {
        p = ngx_http_stoa_limit_headers_item(p, v->which, v->remaining,
                                             reset);

        for (i = 0; i < NGX_HTTP_STOA_LIMIT_CONCURRENCY; i++) {
            left = &ctx->call.left[i];

            if (left->known && i != v->which) {
                *p++ = ',';
                *p++ = ' ';
                p = ngx_http_stoa_limit_headers_item(p, i, left->remaining,
                                              (left->reset_ms + 999) / 1000);
            }
        }

        if (ngx_http_stoa_limit_header(r, "RateLimit", start, p) != NGX_OK)
        {
            return NGX_ERROR;
        }

        slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

        if (slcf->legacy_headers
            && ngx_http_stoa_limit_headers_legacy(r, v, reset) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ctx->call.limited && ctx->call.replace
        && r->headers_out.status == NGX_HTTP_TOO_MANY_REQUESTS)
    {
        start = p;
        retry = (v->retry_ms + 999) / 1000;
        p = ngx_http_stoa_header_number(p, retry ? retry : 1);

        return ngx_http_stoa_limit_header(r, "Retry-After", start, p);
    }

    return NGX_OK;
}


/* Limits are shared, but Redis is away. */

static ngx_int_t
ngx_http_stoa_limit_headers_degraded(ngx_http_request_t *r, const char *mode)
{
    u_char  *p, *start;

    start = ngx_pnalloc(r->pool, 64);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_snprintf(start, 64, "degraded;mode=%s", mode);

    return ngx_http_stoa_limit_header(r, "Stoa-Limits", start, p);
}


static ngx_int_t
ngx_http_stoa_limit_headers_legacy(ngx_http_request_t *r,
    ngx_http_stoa_verdict_t *v, uint64_t reset)
{
    u_char  *p, *start;

    start = ngx_pnalloc(r->pool, 3 * NGX_INT64_LEN);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(start, "%uL", v->limit);

    if (ngx_http_stoa_limit_header(r, "X-RateLimit-Limit", start, p)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    start = p;
    p = ngx_sprintf(p, "%uL", v->remaining);

    if (ngx_http_stoa_limit_header(r, "X-RateLimit-Remaining", start, p)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    start = p;
    p = ngx_sprintf(p, "%uL", reset);

    return ngx_http_stoa_limit_header(r, "X-RateLimit-Reset", start, p);
}


static ngx_int_t
ngx_http_stoa_limit_header_out(ngx_http_request_t *r, const char *name,
    size_t len, u_char *start, u_char *last)
{
    ngx_table_elt_t  *h;

    h = ngx_http_stoa_header_out(r, name, len);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->value.data = start;
    h->value.len = last - start;

    return NGX_OK;
}
