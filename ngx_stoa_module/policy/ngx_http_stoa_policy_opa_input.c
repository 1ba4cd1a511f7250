/*
 * What a rule of OPA is shown of a call (docs/policies.md): what goes on to
 * the upstream, in its canonical form, and who asks for it.  The same call has
 * the same text.
 *
 * Nothing that lets somebody in is in it: of headers what has the form of a
 * key is masked.  Process: workers.
 */

#include "ngx_http_stoa_opa_ask.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_conceal.h"
#include "core/stoa_jose.h"


#define NGX_HTTP_STOA_OPA_ARGS    64           /* of a query                 */
#define NGX_HTTP_STOA_OPA_QUERY   8192         /* its bytes                  */
#define NGX_HTTP_STOA_OPA_VALUE   4096         /* bytes of a header          */


static ngx_uint_t ngx_http_stoa_policy_opa_text(stoa_buf_t *b,
    const char *name, const u_char *s, size_t len);
static ngx_uint_t ngx_http_stoa_policy_opa_path(stoa_buf_t *b,
    ngx_str_t *path);
static ngx_uint_t ngx_http_stoa_policy_opa_query(ngx_http_request_t *r,
    stoa_buf_t *b);
static void ngx_http_stoa_policy_opa_api(ngx_http_stoa_ctx_t *ctx,
    stoa_buf_t *b);
static ngx_int_t ngx_http_stoa_policy_opa_token(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    stoa_buf_t *b);
static void ngx_http_stoa_policy_opa_words(stoa_buf_t *b, const char *name,
    const ngx_str_t *words);
static ngx_int_t ngx_http_stoa_policy_opa_claims(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    stoa_buf_t *b);
static ngx_int_t ngx_http_stoa_policy_opa_headers(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, stoa_buf_t *b, ngx_str_t *detail);
static void ngx_http_stoa_policy_opa_source(ngx_http_request_t *r,
    stoa_buf_t *b);


#define REFUSE(detail, text)                                                  \
    do { ngx_str_set(detail, text); return NGX_DECLINED; } while (0)


ngx_int_t
ngx_http_stoa_policy_opa_input(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_str_t *body, stoa_buf_t *b, ngx_str_t *detail)
{
    ngx_int_t        rc;
    stoa_json_val_t  root;

    stoa_buf_addz(b, "{\"input\":{\"version\":1,\"protocol\":\"");
    stoa_buf_add(b, ctx->call.edge->name.data, ctx->call.edge->name.len);
    stoa_buf_addz(b, "\"");

    (void) ngx_http_stoa_policy_opa_text(b, "method", r->method_name.data,
                                         r->method_name.len);

    if (!ngx_http_stoa_policy_opa_path(b, &ctx->call.path)) {
        REFUSE(detail, "The path is no UTF-8.");
    }

    if (!ngx_http_stoa_policy_opa_query(r, b)) {
        REFUSE(detail, "The query is no UTF-8, or has too many arguments.");
    }

    ngx_http_stoa_policy_opa_api(ctx, b);

    rc = ngx_http_stoa_policy_opa_caller(r, ctx, a, b, detail);

    if (rc != NGX_OK) {
        return rc;
    }

    if (body->len) {
        if (stoa_json_check((char *) body->data, body->len,
                            STOA_JSON_DEPTH_MAX - 2, &root, NULL)
            != STOA_OK)
        {
            REFUSE(detail, "The body is no JSON, and cannot be judged.");
        }

        stoa_buf_addz(b, ",\"body\":");
        stoa_json_compact(&root, b);
    }

    stoa_buf_addz(b, "}}");

    return b->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_stoa_policy_opa_caller(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    stoa_buf_t *b, ngx_str_t *detail)
{
    ngx_int_t  rc;

    (void) ngx_http_stoa_policy_opa_text(b, "tenant", ctx->tenant_name.data,
                                         ctx->tenant_name.len);
    (void) ngx_http_stoa_policy_opa_text(b, "application",
                                         ctx->application_name.data,
                                         ctx->application_name.len);
    stoa_buf_addz(b, ctx->anonymous ? ",\"anonymous\":true"
                                    : ",\"anonymous\":false");

    rc = ngx_http_stoa_policy_opa_token(r, ctx, a, b);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_policy_opa_headers(r, a, b, detail);
    }

    if (rc == NGX_OK) {
        ngx_http_stoa_policy_opa_source(r, b);
    }

    return rc;
}


/* ,"name":"..."; without one: null.  0: it is no UTF-8. */

static ngx_uint_t
ngx_http_stoa_policy_opa_text(stoa_buf_t *b, const char *name,
    const u_char *s, size_t len)
{
    stoa_buf_addz(b, ",\"");
    stoa_buf_addz(b, name);
    stoa_buf_addz(b, "\":");

    if (len == 0) {
        stoa_buf_addz(b, "null");
        return 1;
    }

    if (!stoa_utf8_valid((const char *) s, len)) {
        return 0;
    }

    stoa_buf_add_json(b, (const char *) s, len);

    return 1;
}


/* Of the api, as it was judged, and its segments. */

static ngx_uint_t
ngx_http_stoa_policy_opa_path(stoa_buf_t *b, ngx_str_t *path)
{
    u_char      *p, *last, *end;
    ngx_uint_t   n;

    if (!ngx_http_stoa_policy_opa_text(b, "path", path->data, path->len)) {
        return 0;
    }

    stoa_buf_addz(b, ",\"segments\":[");
    last = path->data + path->len;
    n = 0;

    for (p = path->data; p < last; p = end + 1) {
        for (end = p; end < last && *end != '/'; end++) { /* void */ }

        if (end > p) {
            stoa_buf_addz(b, n++ ? "," : "");
            stoa_buf_add_json(b, (char *) p, end - p);
        }
    }

    stoa_buf_addz(b, "]");

    return 1;
}


/* [["name", "value"], ...], decoded as forms are. */

static ngx_uint_t
ngx_http_stoa_policy_opa_query(ngx_http_request_t *r, stoa_buf_t *b)
{
    u_char      *p, *last, *eq, *end, text[2][1024];
    size_t       len[2];
    ngx_uint_t   n;

    stoa_buf_addz(b, ",\"query\":[");
    last = r->args.data + r->args.len;
    n = 0;

    if (r->args.len > NGX_HTTP_STOA_OPA_QUERY) {
        return 0;
    }

    for (p = r->args.data; p < last; p = end + 1) {
        for (end = p; end < last && *end != '&'; end++) { /* void */ }

        if (end == p) {
            continue;
        }

        for (eq = p; eq < end && *eq != '='; eq++) { /* void */ }

        if (n == NGX_HTTP_STOA_OPA_ARGS || eq - p > 1024 || end - eq > 1024) {
            return 0;
        }

        len[0] = ngx_http_stoa_policy_shape_decode(text[0], p, eq);
        len[1] = ngx_http_stoa_policy_shape_decode(text[1], eq + (eq < end),
                                                   end);

        if (!stoa_utf8_valid((char *) text[0], len[0])
            || !stoa_utf8_valid((char *) text[1], len[1]))
        {
            return 0;
        }

        stoa_buf_addz(b, n++ ? ",[" : "[");
        stoa_buf_add_json(b, (char *) text[0], len[0]);
        stoa_buf_addz(b, ",");
        stoa_buf_add_json(b, (char *) text[1], len[1]);
        stoa_buf_addz(b, "]");
    }

    stoa_buf_addz(b, "]");

    return 1;
}


static void
ngx_http_stoa_policy_opa_api(ngx_http_stoa_ctx_t *ctx, stoa_buf_t *b)
{
    stoa_str_t             name;
    const stoa_rec_api_t  *rec;

    rec = ctx->call.api ? ctx->call.api->rec : NULL;
    name.data = NULL;
    name.len = 0;

    if (rec) {
        name = stoa_rec_str(rec, rec->name);
    }

    (void) ngx_http_stoa_policy_opa_text(b, "api", (u_char *) name.data,
                                         name.len);
    name.len = 0;

    if (rec && ctx->call.operation) {
        name = stoa_rec_str(rec, stoa_rec_vec(rec, rec->operations,
                                              stoa_rec_operation_t)
                                     [ctx->call.operation - 1].path);
    }

    (void) ngx_http_stoa_policy_opa_text(b, "operation",
                                         (u_char *) name.data, name.len);
    (void) ngx_http_stoa_policy_opa_text(b, "tool", ctx->call.tool_name.data,
                                         ctx->call.tool_name.len);
}


static ngx_int_t
ngx_http_stoa_policy_opa_token(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    stoa_buf_t *b)
{
    ngx_int_t  rc;

    if (ctx->token == NULL) {
        stoa_buf_addz(b, ",\"token\":null");
        return NGX_OK;
    }

    stoa_buf_addz(b, ",\"token\":{\"kind\":\"bearer\"");

    if (!ngx_http_stoa_policy_opa_text(b, "subject", ctx->token->subject.data,
                                       ctx->token->subject.len))
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_policy_opa_words(b, "roles", &ctx->token->roles);
    ngx_http_stoa_policy_opa_words(b, "scopes", &ctx->token->scopes);

    rc = ngx_http_stoa_policy_opa_claims(r, ctx, a, b);
    stoa_buf_addz(b, "}");

    return rc;
}


/* A scope that covers others ends with "*" for the rule. */

static void
ngx_http_stoa_policy_opa_words(stoa_buf_t *b, const char *name,
    const ngx_str_t *words)
{
    size_t       n;
    u_char      *p, *last;
    ngx_uint_t   i;

    stoa_buf_addz(b, ",\"");
    stoa_buf_addz(b, name);
    stoa_buf_addz(b, "\":[");
    last = words->data + words->len;
    i = 0;

    for (p = words->data; p < last; p += n + 1) {
        n = ngx_strlen(p);
        stoa_buf_addz(b, i++ ? "," : "");

        if (*p == 1) {
            stoa_buf_add_json(b, (char *) p + 1, n - 1);

            if (b->rc == STOA_OK) {
                b->len--;                                /* its quote        */
                stoa_buf_addz(b, "*\"");
            }

        } else {
            stoa_buf_add_json(b, (char *) p, n);
        }
    }

    stoa_buf_addz(b, "]");
}


/* Whole, as long as the token may be: a rule would take what is left out for
 * absent.  It was verified when the caller became known; of one that its
 * issuer was asked about there are none. */

static ngx_int_t
ngx_http_stoa_policy_opa_claims(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    stoa_buf_t *b)
{
    char                     *buf;
    uint32_t                  i;
    ngx_str_t                *text;
    stoa_str_t                name;
    stoa_jwt_t                jwt;
    ngx_uint_t                n;
    const char               *why;
    stoa_json_val_t           val;
    const stoa_ref_t         *refs;
    const stoa_policy_opa_t  *conf;

    conf = a->config;
    text = &ctx->token->text;
    stoa_buf_addz(b, ",\"claims\":{");

    if (conf->claims.n && stoa_jwt_looks((char *) text->data, text->len)) {
        buf = ngx_pnalloc(r->pool, text->len);
        if (buf == NULL) {
            return NGX_ERROR;
        }

        if (stoa_jwt_parse((char *) text->data, text->len, buf, &jwt, &why)
            != STOA_OK)
        {
            return NGX_ERROR;
        }

        refs = stoa_rec_vec(a->rec, conf->claims, stoa_ref_t);

        for (i = 0, n = 0; i < conf->claims.n; i++) {
            name = stoa_rec_str(a->rec, refs[i]);

            if (stoa_jwt_claim(&jwt.claims, name.data, name.len, &val)) {
                stoa_buf_addz(b, n++ ? "," : "");
                stoa_buf_add_json(b, name.data, name.len);
                stoa_buf_addz(b, ":");
                stoa_json_compact(&val, b);
            }
        }
    }

    stoa_buf_addz(b, "}");

    return NGX_OK;
}


/* {"name": ["value", ...]}, of those that are there. */

static ngx_int_t
ngx_http_stoa_policy_opa_headers(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, stoa_buf_t *b, ngx_str_t *detail)
{
    char                          text[NGX_HTTP_STOA_OPA_VALUE];
    uint32_t                      i;
    stoa_str_t                    name;
    ngx_uint_t                    n, values;
    ngx_table_elt_t              *h;
    const stoa_ref_t             *refs;
    const stoa_policy_opa_t      *conf;
    ngx_http_stoa_header_walk_t   w;

    conf = a->config;
    refs = stoa_rec_vec(a->rec, conf->headers, stoa_ref_t);
    stoa_buf_addz(b, ",\"headers\":{");

    for (i = 0, n = 0; i < conf->headers.n; i++) {
        name = stoa_rec_str(a->rec, refs[i]);
        values = 0;

        for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
             h;
             h = ngx_http_stoa_header_next(&w))
        {
            if (h->key.len != name.len
                || ngx_strncasecmp(h->key.data, (u_char *) name.data,
                                   name.len)
                   != 0)
            {
                continue;
            }

            if (h->value.len > sizeof(text)
                || !stoa_utf8_valid((char *) h->value.data, h->value.len))
            {
                REFUSE(detail, "A header is too long, or no UTF-8.");
            }

            ngx_memcpy(text, h->value.data, h->value.len);
            (void) stoa_conceal(text, h->value.len);

            if (values++ == 0) {
                stoa_buf_addz(b, n++ ? "," : "");
                stoa_buf_add_json(b, name.data, name.len);
                stoa_buf_addz(b, ":[");

            } else {
                stoa_buf_addz(b, ",");
            }

            stoa_buf_add_json(b, text, h->value.len);
        }

        stoa_buf_addz(b, values ? "]" : "");
    }

    stoa_buf_addz(b, "}");

    return NGX_OK;
}


/* The client's network: an address would be another input for each. */

static void
ngx_http_stoa_policy_opa_source(ngx_http_request_t *r, stoa_buf_t *b)
{
    u_char               *a, *p, text[NGX_INET6_ADDRSTRLEN];
    ngx_uint_t            i;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    u_char                net[16];
    struct sockaddr_in6  *sin6;
#endif

    a = NULL;
    sa = r->connection->sockaddr;

    if (sa->sa_family == AF_INET) {
        a = (u_char *) &((struct sockaddr_in *) sa)->sin_addr;
    }

#if (NGX_HAVE_INET6)
    if (sa->sa_family == AF_INET6) {
        sin6 = (struct sockaddr_in6 *) sa;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            a = sin6->sin6_addr.s6_addr + 12;

        } else {
            ngx_memzero(net, sizeof(net));
            ngx_memcpy(net, sin6->sin6_addr.s6_addr, 8);
            stoa_buf_addz(b, ",\"source\":\"");
            stoa_buf_add(b, text, ngx_inet6_ntop(net, text, sizeof(text)));
            stoa_buf_addz(b, "/64\"");
            return;
        }
    }
#endif

    if (a == NULL) {
        stoa_buf_addz(b, ",\"source\":null");
        return;
    }

    stoa_buf_addz(b, ",\"source\":\"");

    for (i = 0, p = text; i < 3; i++) {
        p = ngx_http_stoa_header_number(p, a[i]);
        *p++ = '.';
    }

    stoa_buf_add(b, text, p - text);
    stoa_buf_addz(b, "0/24\"");
}
