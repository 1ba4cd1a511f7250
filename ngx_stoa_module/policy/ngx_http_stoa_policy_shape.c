/*
 * request-shape: what a request may look like, before anybody reads it.
 * Schema: core/stoa_policy_shape.h.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_key.h"
#include "core/stoa_policy_shape.h"


/* In the order of its refusals. */

typedef enum { QUERY = 0, HEADERS, METHOD, TYPE } ngx_http_stoa_shape_e;


static ngx_int_t ngx_http_stoa_policy_shape_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_shape_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_shape_e what, const char *text, size_t max);
static ngx_int_t ngx_http_stoa_policy_shape_method(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_shape_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_shape_type(const void *rec,
    const stoa_vec_t *types, ngx_str_t *value);
static ngx_int_t ngx_http_stoa_policy_shape_query(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static int ngx_libc_cdecl ngx_http_stoa_policy_shape_cmp(const void *a,
    const void *b);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_shape_refusals[] = {
    { ngx_string("query_denied"), 400, ngx_string("Query not allowed"),
      ngx_string("The query is not as the API asks for."), -32600 },
    { ngx_string("headers_denied"), 431, ngx_string("Headers not allowed"),
      ngx_string("The headers are not as the API asks for."), -32600 },
    { ngx_string("method_denied"), 405, ngx_string("Method not allowed"),
      ngx_string("The API does not take this method; see Allow."), -32600 },
    { ngx_string("content_type_denied"), 415,
      ngx_string("Media type not allowed"),
      ngx_string("The API does not take a body with this Content-Type."),
      -32600 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_shape = {
    .name = "request-shape",
    .head = ngx_http_stoa_policy_shape_head,
    .look = 1,
    .refusals = ngx_http_stoa_policy_shape_refusals
};


static ngx_int_t
ngx_http_stoa_policy_shape_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                   rc;
    const stoa_policy_shape_t  *conf;

    conf = a->config;
    rc = NGX_DECLINED;

    if (conf->methods.n) {
        rc = ngx_http_stoa_policy_shape_method(r, ctx, a);
    }

    if (rc == NGX_DECLINED
        && (conf->max_headers || conf->max_header_bytes
            || conf->content_types.n))
    {
        rc = ngx_http_stoa_policy_shape_headers(r, ctx, a);
    }

    if (rc == NGX_DECLINED && r->args.len
        && (conf->max_arguments || conf->max_argument_name
            || conf->max_argument_value || conf->unique_arguments))
    {
        rc = ngx_http_stoa_policy_shape_query(r, ctx, a);
    }

    return rc == NGX_DECLINED ? NGX_OK : rc;
}


/* A shadow is counted once, as a call is refused once. */

static ngx_int_t
ngx_http_stoa_policy_shape_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_shape_e what, const char *text, size_t max)
{
    ngx_str_t  detail;

    if (text == NULL) {
        return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + what);
    }

    detail.data = ngx_pnalloc(r->pool, ngx_strlen(text) + NGX_SIZE_T_LEN);
    if (detail.data == NULL) {
        return NGX_ERROR;
    }

    detail.len = ngx_sprintf(detail.data, text, max) - detail.data;

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal + what,
                                            &detail);
}


static ngx_int_t
ngx_http_stoa_policy_shape_method(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    u_char                     *p;
    size_t                      len;
    uint32_t                    i;
    stoa_str_t                  s;
    const stoa_ref_t           *ref;
    const stoa_policy_shape_t  *conf;

    conf = a->config;
    ref = stoa_rec_vec(a->rec, conf->methods, stoa_ref_t);

    for (i = 0, len = 0; i < conf->methods.n; i++) {
        s = stoa_rec_str(a->rec, ref[i]);

        if (s.len == r->method_name.len
            && ngx_memcmp(s.data, r->method_name.data, s.len) == 0)
        {
            return NGX_DECLINED;
        }

        len += s.len + 2;
    }

    if (!a->shadow) {
        p = ngx_pnalloc(r->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ctx->call.allow.data = p;

        for (i = 0; i < conf->methods.n; i++) {
            s = stoa_rec_str(a->rec, ref[i]);
            p = ngx_cpymem(p, s.data, s.len);
            *p++ = ',';
            *p++ = ' ';
        }

        ctx->call.allow.len = p - ctx->call.allow.data - 2;
    }

    return ngx_http_stoa_policy_shape_refuse(r, ctx, a, METHOD, NULL, 0);
}


static ngx_int_t
ngx_http_stoa_policy_shape_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_uint_t                    n, types, typed;
    ngx_table_elt_t              *h;
    const stoa_policy_shape_t    *conf;
    ngx_http_stoa_header_walk_t   w;

    conf = a->config;
    types = conf->content_types.n && ngx_http_stoa_policy_shape_body(r);
    typed = 0;
    n = 0;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        n++;

        if (conf->max_header_bytes
            && h->key.len + h->value.len > conf->max_header_bytes)
        {
            return ngx_http_stoa_policy_shape_refuse(r, ctx, a, HEADERS,
                           "A header has more than %uz bytes.",
                           conf->max_header_bytes);
        }

        if (types && ngx_http_stoa_header_is(h, "content-type")) {
            if (typed++
                || !ngx_http_stoa_policy_shape_type(a->rec,
                                                    &conf->content_types,
                                                    &h->value))
            {
                return ngx_http_stoa_policy_shape_refuse(r, ctx, a, TYPE,
                                                         NULL, 0);
            }
        }
    }

    if (conf->max_headers && n > conf->max_headers) {
        return ngx_http_stoa_policy_shape_refuse(r, ctx, a, HEADERS,
                                                 "There are more than %uz "
                                                 "headers.",
                                                 conf->max_headers);
    }

    return types && !typed
           ? ngx_http_stoa_policy_shape_refuse(r, ctx, a, TYPE, NULL, 0)
           : NGX_DECLINED;
}


ngx_uint_t
ngx_http_stoa_policy_shape_body(ngx_http_request_t *r)
{
    return r->headers_in.content_length_n > 0 || r->headers_in.chunked
#if (NGX_HTTP_V2)
           || (r->stream && r->headers_in.content_length_n < 0
               && !r->stream->in_closed)
#endif
           ;
}


static ngx_uint_t
ngx_http_stoa_policy_shape_type(const void *rec, const stoa_vec_t *types,
    ngx_str_t *value)
{
    size_t             len;
    uint32_t           i;
    stoa_str_t         s;
    const stoa_ref_t  *ref;

    for (len = 0; len < value->len && value->data[len] != ';'; len++) {
        /* void */
    }

    while (len
           && (value->data[len - 1] == ' ' || value->data[len - 1] == '\t'))
    {
        len--;
    }

    ref = stoa_rec_vec(rec, *types, stoa_ref_t);

    for (i = 0; i < types->n; i++) {
        s = stoa_rec_str(rec, ref[i]);

        if (s.data[s.len - 1] == '*') {
            if (len >= s.len
                && ngx_strncasecmp(value->data, (u_char *) s.data, s.len - 1)
                   == 0)
            {
                return 1;
            }

        } else if (len == s.len
                   && ngx_strncasecmp(value->data, (u_char *) s.data, len)
                      == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Arguments are what stands between "&". */

static ngx_int_t
ngx_http_stoa_policy_shape_query(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    u_char                     *p, *end, *last, *eq, *name;
    size_t                      n, len, i;
    uint64_t                   *sums;
    const stoa_policy_shape_t  *conf;

    conf = a->config;
    n = 0;
    last = r->args.data + r->args.len;
    sums = NULL;

    name = ngx_pnalloc(r->pool, r->args.len);
    if (name == NULL) {
        return NGX_ERROR;
    }

    if (conf->unique_arguments) {
        sums = ngx_palloc(r->pool, (r->args.len / 2 + 1) * sizeof(uint64_t));
        if (sums == NULL) {
            return NGX_ERROR;
        }
    }

    for (p = r->args.data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        if (end == p) {
            continue;
        }

        eq = ngx_strlchr(p, end, '=');
        eq = eq ? eq : end;
        len = ngx_http_stoa_policy_shape_decode(name, p, eq);

        if (sums) {
            sums[n] = stoa_hash64((char *) name, len, (uintptr_t) ngx_cycle);
        }

        if (conf->max_argument_name && len > conf->max_argument_name) {
            return ngx_http_stoa_policy_shape_refuse(r, ctx, a, QUERY,
                          "The name of an argument has more than %uz bytes.",
                          conf->max_argument_name);
        }

        if (conf->max_argument_value && eq < end
            && ngx_http_stoa_policy_shape_decode(NULL, eq + 1, end)
               > conf->max_argument_value)
        {
            return ngx_http_stoa_policy_shape_refuse(r, ctx, a, QUERY,
                          "The value of an argument has more than %uz bytes.",
                          conf->max_argument_value);
        }

        if (++n > conf->max_arguments && conf->max_arguments) {
            return ngx_http_stoa_policy_shape_refuse(r, ctx, a, QUERY,
                          "The query has more than %uz arguments.",
                          conf->max_arguments);
        }
    }

    if (sums && n > 1) {
        ngx_qsort(sums, n, sizeof(uint64_t), ngx_http_stoa_policy_shape_cmp);

        for (i = 1; i < n; i++) {
            if (sums[i] == sums[i - 1]) {
                return ngx_http_stoa_policy_shape_refuse(r, ctx, a, QUERY,
                          "The query has an argument twice.", 0);
            }
        }
    }

    return NGX_DECLINED;
}


size_t
ngx_http_stoa_policy_shape_decode(u_char *dst, u_char *p, u_char *last)
{
    size_t     n;
    ngx_int_t  ch;

    for (n = 0; p < last; p++, n++) {
        ch = *p == '+' ? ' ' : *p;

        if (ch == '%' && last - p > 2) {
            ch = ngx_hextoi(p + 1, 2);
            p += ch == NGX_ERROR ? 0 : 2;
            ch = ch == NGX_ERROR ? '%' : ch;
        }

        if (dst) {
            dst[n] = (u_char) ch;
        }
    }

    return n;
}


static int ngx_libc_cdecl
ngx_http_stoa_policy_shape_cmp(const void *a, const void *b)
{
    uint64_t  x, y;

    x = *(const uint64_t *) a;
    y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}
