/*
 * cors: preflights, and on every answer who may read it.  Schema:
 * core/stoa_policy_cors.h.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_cors.h"


#define NGX_HTTP_STOA_CORS_ECHO_MAX  1024      /* of what a client asks for  */


/* What a browser says of a call. */

typedef struct {
    ngx_str_t   origin;
    ngx_str_t   method;                        /* what a preflight asks for  */
    ngx_str_t   headers;
    ngx_uint_t  preflight;                     /* unsigned                   */
} ngx_http_stoa_cors_t;

typedef enum {
    NGX_HTTP_STOA_CORS_NONE = 0,
    NGX_HTTP_STOA_CORS_ANY,                    /* by "*"                     */
    NGX_HTTP_STOA_CORS_NAMED
} ngx_http_stoa_cors_e;


static ngx_int_t ngx_http_stoa_cors_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_cors_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_cors_find(ngx_http_request_t *r,
    ngx_http_stoa_cors_t *c);
static ngx_http_stoa_cors_e ngx_http_stoa_cors_allowed(
    const ngx_http_stoa_attached_t *a, ngx_str_t *origin);
static ngx_uint_t ngx_http_stoa_cors_below(stoa_str_t pattern,
    ngx_str_t *origin);
static void ngx_http_stoa_cors_clear(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_cors_preflight(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_cors_t *c);
static ngx_int_t ngx_http_stoa_cors_expose(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_cors_list(ngx_http_request_t *r,
    const void *rec, const stoa_vec_t *list, ngx_str_t *before,
    ngx_str_t *value);
static ngx_int_t ngx_http_stoa_cors_push(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_uint_t ngx_http_stoa_cors_plain(ngx_str_t *value);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cors = {
    .name = "cors",
    .head = ngx_http_stoa_cors_head,
    .look = 1,
    .response = ngx_http_stoa_cors_response
};


static ngx_str_t  ngx_http_stoa_cors_exposed =
    ngx_string("RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, "
               "Mcp-Session-Id, WWW-Authenticate, Deprecation, Sunset");


/* A preflight ends here, allowed or not: it never carries a credential. */

static ngx_int_t
ngx_http_stoa_cors_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_http_stoa_cors_t  c;
    ngx_http_stoa_cors_e  allowed;

    ngx_http_stoa_cors_find(r, &c);

    if (c.origin.len == 0) {
        return NGX_OK;
    }

    ctx->call.origin = c.origin;

    if (c.preflight) {
        return a->shadow ? NGX_OK : NGX_HTTP_NO_CONTENT;
    }

    if (!ctx->call.edge->origins) {
        return NGX_OK;
    }

    allowed = ngx_http_stoa_cors_allowed(a, &c.origin);

    if (allowed == NGX_HTTP_STOA_CORS_NONE) {
        return ngx_http_stoa_policy_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_MCP_ORIGIN);
    }

    ctx->call.origin_allowed = !a->shadow;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_cors_response(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_str_t                  value;
    ngx_http_stoa_cors_t       c;
    ngx_http_stoa_cors_e       allowed;
    const stoa_policy_cors_t  *cors;

    cors = a->config;

    ngx_http_stoa_cors_find(r, &c);

    if (ctx->call.origin.len) {

        /* not every edge passes it on */

        c.origin = ctx->call.origin;
    }

    allowed = ngx_http_stoa_cors_allowed(a, &c.origin);

    if (a->shadow) {
        if (allowed != NGX_HTTP_STOA_CORS_NONE) {
            (void) ngx_http_stoa_policy_acts(a);
        }

        return NGX_OK;
    }

    /* one speaks: what the upstream says is gone */

    ngx_http_stoa_cors_clear(r);

    ngx_str_set(&value, "Origin");

    if (c.preflight) {
        ngx_str_set(&value, "Origin, Access-Control-Request-Method, "
                    "Access-Control-Request-Headers");
    }

    if ((c.preflight || allowed != NGX_HTTP_STOA_CORS_ANY)
        && ngx_http_stoa_cors_push(r, "Vary", &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (allowed == NGX_HTTP_STOA_CORS_NONE) {
        return NGX_OK;
    }

    (void) ngx_http_stoa_policy_acts(a);

    value = c.origin;

    if (allowed == NGX_HTTP_STOA_CORS_ANY) {
        ngx_str_set(&value, "*");
    }

    if (ngx_http_stoa_cors_push(r, "Access-Control-Allow-Origin", &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&value, "true");

    if (cors->credentials
        && ngx_http_stoa_cors_push(r, "Access-Control-Allow-Credentials",
                                   &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return c.preflight ? ngx_http_stoa_cors_preflight(r, a, &c)
                       : ngx_http_stoa_cors_expose(r, a);
}


/* More than one Origin is none that anybody could allow. */

static void
ngx_http_stoa_cors_find(ngx_http_request_t *r, ngx_http_stoa_cors_t *c)
{
    ngx_uint_t                    n;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   walk;

    ngx_memzero(c, sizeof(ngx_http_stoa_cors_t));
    n = 0;

    for (h = ngx_http_stoa_header_first(&walk, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&walk))
    {
        if (ngx_http_stoa_header_is(h, "origin")) {
            c->origin = h->value;

            if (n++) {
                ngx_str_set(&c->origin, "-");
            }

        } else if (ngx_http_stoa_header_is(h, "access-control-request-method"))
        {
            c->method = h->value;

        } else if (ngx_http_stoa_header_is(h,
                                           "access-control-request-headers"))
        {
            c->headers = h->value;
        }
    }

    c->preflight = r->method == NGX_HTTP_OPTIONS && c->origin.len
                   && c->method.len;
}


static ngx_http_stoa_cors_e
ngx_http_stoa_cors_allowed(const ngx_http_stoa_attached_t *a,
    ngx_str_t *origin)
{
    uint32_t                   i;
    stoa_str_t                 s;
    const stoa_ref_t          *ref;
    ngx_http_stoa_cors_e       any;
    const stoa_policy_cors_t  *cors;

    cors = a->config;
    ref = stoa_rec_vec(a->rec, cors->origins, stoa_ref_t);
    any = NGX_HTTP_STOA_CORS_NONE;

    for (i = 0; i < cors->origins.n; i++) {
        s = stoa_rec_str(a->rec, ref[i]);

        if (s.len == 1 && s.data[0] == '*') {
            any = NGX_HTTP_STOA_CORS_ANY;

        } else if ((s.len == origin->len
                    && ngx_memcmp(s.data, origin->data, s.len) == 0)
                   || ngx_http_stoa_cors_below(s, origin))
        {
            return any ? any : NGX_HTTP_STOA_CORS_NAMED;
        }
    }

    return any;
}


/* One label or more in the place of the star. */

static ngx_uint_t
ngx_http_stoa_cors_below(stoa_str_t pattern, ngx_str_t *origin)
{
    u_char       ch;
    size_t       head, tail, i;
    const char  *star;

    star = memchr(pattern.data, '*', pattern.len);

    if (star == NULL || pattern.len < 2) {
        return 0;
    }

    head = star - pattern.data;
    tail = pattern.len - head - 1;

    if (origin->len <= head + tail
        || ngx_memcmp(origin->data, pattern.data, head) != 0
        || ngx_memcmp(origin->data + origin->len - tail, star + 1, tail) != 0)
    {
        return 0;
    }

    for (i = head; i < origin->len - tail; i++) {
        ch = origin->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '-' || ch == '_' || (ch == '.' && i > head)))
        {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_stoa_cors_clear(ngx_http_request_t *r)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   walk;

    for (h = ngx_http_stoa_header_first(&walk, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&walk))
    {
        if (h->key.len > sizeof("Access-Control-") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "Access-Control-",
                               sizeof("Access-Control-") - 1)
               == 0)
        {
            h->hash = 0;
        }
    }
}


static ngx_int_t
ngx_http_stoa_cors_preflight(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_cors_t *c)
{
    u_char                    *p;
    ngx_str_t                  value, none;
    const stoa_policy_cors_t  *cors;

    cors = a->config;
    ngx_str_set(&none, "");

    value = c->method;

    if (cors->methods.n
        && ngx_http_stoa_cors_list(r, a->rec, &cors->methods, &none, &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_cors_plain(&value)
        && ngx_http_stoa_cors_push(r, "Access-Control-Allow-Methods", &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    value = c->headers;

    if (cors->headers.n
        && ngx_http_stoa_cors_list(r, a->rec, &cors->headers, &none, &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (value.len && (cors->headers.n || ngx_http_stoa_cors_plain(&value))
        && ngx_http_stoa_cors_push(r, "Access-Control-Allow-Headers", &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, NGX_INT32_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%uD", cors->max_age_s) - p;

    return ngx_http_stoa_cors_push(r, "Access-Control-Max-Age", &value);
}


static ngx_int_t
ngx_http_stoa_cors_expose(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a)
{
    ngx_str_t                  value;
    const stoa_policy_cors_t  *cors;

    cors = a->config;
    value = ngx_http_stoa_cors_exposed;

    if (cors->expose.n
        && ngx_http_stoa_cors_list(r, a->rec, &cors->expose, &value, &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_cors_push(r, "Access-Control-Expose-Headers",
                                   &value);
}


/* "before, a, b" */

static ngx_int_t
ngx_http_stoa_cors_list(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list, ngx_str_t *before, ngx_str_t *value)
{
    u_char            *p, *start;
    size_t             len;
    uint32_t           i;
    stoa_str_t         s;
    const stoa_ref_t  *ref;

    ref = stoa_rec_vec(rec, *list, stoa_ref_t);
    len = before->len;

    for (i = 0; i < list->n; i++) {
        len += ref[i].len + 2;
    }

    start = ngx_pnalloc(r->pool, len);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(start, before->data, before->len);

    for (i = 0; i < list->n; i++) {
        s = stoa_rec_str(rec, ref[i]);

        if (p > start) {
            *p++ = ',';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, s.data, s.len);
    }

    value->data = start;
    value->len = p - start;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_cors_push(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_stoa_header_out(r, name, ngx_strlen(name));
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->value = *value;

    return NGX_OK;
}


/* May what a client has asked for be said back?  Names, commas, spaces. */

static ngx_uint_t
ngx_http_stoa_cors_plain(ngx_str_t *value)
{
    u_char  ch;
    size_t  i;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_'
              || ch == ',' || ch == ' ' || ch == '.'))
        {
            return 0;
        }
    }

    return value->len <= NGX_HTTP_STOA_CORS_ECHO_MAX;
}
