/*
 * Keys of answers that are kept: all that the upstream is shown of a call and
 * that no Vary speaks of, and then the variant.
 */

#include "ngx_http_stoa_cache.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_policy_headers.h"
#include "core/stoa_policy_opa.h"


#define KEY_ARGUMENTS  256


/* What frameworks take for another host, path or method.  Who sends them has
 * answers of his own. */

static const ngx_str_t  ngx_http_stoa_cache_steering[] = {
    ngx_string("forwarded"),
    ngx_string("front-end-https"),
    ngx_string("x-forwarded-host"),
    ngx_string("x-forwarded-method"),
    ngx_string("x-forwarded-path"),
    ngx_string("x-forwarded-port"),
    ngx_string("x-forwarded-prefix"),
    ngx_string("x-forwarded-proto"),
    ngx_string("x-forwarded-protocol"),
    ngx_string("x-forwarded-scheme"),
    ngx_string("x-forwarded-server"),
    ngx_string("x-forwarded-ssl"),
    ngx_string("x-forwarded-uri"),
    ngx_string("x-host"),
    ngx_string("x-http-method"),
    ngx_string("x-http-method-override"),
    ngx_string("x-method-override"),
    ngx_string("x-original-host"),
    ngx_string("x-original-method"),
    ngx_string("x-original-uri"),
    ngx_string("x-original-url"),
    ngx_string("x-rewrite-url"),
    ngx_string("x-url-scheme"),
    ngx_null_string
};


static void ngx_http_stoa_cache_key_headers(ngx_list_t *headers,
    stoa_buf_t *b, const char *name, size_t len);
static ngx_int_t ngx_http_stoa_cache_key_query(ngx_http_stoa_cached_t *c,
    stoa_buf_t *b);
static ngx_uint_t ngx_http_stoa_cache_key_ignored(ngx_http_stoa_cached_t *c,
    ngx_str_t *arg);
static ngx_uint_t ngx_http_stoa_cache_key_theirs(ngx_http_stoa_ctx_t *ctx,
    const ngx_table_elt_t *h);
static ngx_int_t ngx_http_stoa_cache_key_credentials(
    ngx_http_stoa_cached_t *c, stoa_buf_t *b);
static ngx_int_t ngx_http_stoa_cache_key_order(const void *one,
    const void *two);


void
ngx_http_stoa_cache_key_add(stoa_buf_t *b, const void *s, size_t len)
{
    uint32_t  n;

    n = (uint32_t) len;
    stoa_buf_add(b, &n, sizeof(n));
    stoa_buf_add(b, s, len);
}


/* Those whose policies have a say in what the upstream is shown: also a plan,
 * or a consumer's application, whose answers are then its own. */

static void
ngx_http_stoa_cache_key_chains(ngx_http_stoa_cached_t *c, stoa_buf_t *b)
{
    ngx_uint_t              i;
    const stoa_rec_hdr_t   *rec;
    ngx_http_stoa_chain_t  *chain;

    for (i = 0; i < NGX_HTTP_STOA_CHAIN_DEFAULT; i++) {
        chain = c->ctx->call.chain[i];

        if (chain && chain->rec
            && (chain->turns
                & (ngx_http_stoa_turn_bit(STOA_ORDER_TRANSFORM)
                   | ngx_http_stoa_turn_bit(NGX_HTTP_STOA_TURN_UPSTREAM))))
        {
            rec = chain->rec;
            stoa_buf_add(b, &i, sizeof(i));
            stoa_buf_add(b, rec->digest, sizeof(rec->digest));
        }
    }
}


/* One walk, as most calls have none of them. */

static void
ngx_http_stoa_cache_key_steering(ngx_http_stoa_cached_t *c, stoa_buf_t *b)
{
    const ngx_str_t              *name;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &c->client.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        for (name = ngx_http_stoa_cache_steering; name->len; name++) {
            if (ngx_http_stoa_header_equal(h, (char *) name->data, name->len))
            {
                ngx_http_stoa_cache_key_add(b, name->data, name->len);
                ngx_http_stoa_cache_key_add(b, h->value.data, h->value.len);
                break;
            }
        }
    }

    stoa_buf_add(b, "", 1);
}


ngx_int_t
ngx_http_stoa_cache_key(ngx_http_stoa_cached_t *c)
{
    ngx_uint_t             i, tls;
    stoa_buf_t             b;
    ngx_str_t             *host;
    ngx_http_request_t    *r;
    const stoa_rec_api_t  *rec;

    r = c->request;
    rec = c->ctx->call.api->rec;
    tls = 0;

#if (NGX_HTTP_SSL)
    tls = ngx_http_stoa_inner_tls(r, c->ctx);
#endif

    stoa_buf_init(&b, NGX_HTTP_STOA_KEEP_KEY - 2048);

    /* a revision of the api, or of what the policy is attached to, begins
     * with nothing */

    stoa_buf_add(&b, "C", 1);
    stoa_buf_add(&b, &rec->id, sizeof(stoa_id_t));
    stoa_buf_add(&b, rec->hdr.digest, sizeof(rec->hdr.digest));
    ngx_http_stoa_cache_key_chains(c, &b);
    stoa_buf_add(&b, &tls, sizeof(tls));
    stoa_buf_add(&b, &c->ctx->call.group, sizeof(c->ctx->call.group));

    host = &r->headers_in.server;
    ngx_http_stoa_cache_key_add(&b, host->data, host->len);

    if (r->headers_in.host) {
        host = &r->headers_in.host->value;
    }

    ngx_http_stoa_cache_key_add(&b, host->data, host->len);

    ngx_http_stoa_cache_key_steering(c, &b);
    ngx_http_stoa_cache_key_add(&b, r->uri.data, r->uri.len);

    for (i = 0; i < r->unparsed_uri.len && r->unparsed_uri.data[i] != '?';
         i++) { /* void */ }

    ngx_http_stoa_cache_key_add(&b, r->unparsed_uri.data, i);

    if (ngx_http_stoa_cache_key_query(c, &b) != NGX_OK) {
        stoa_buf_free(&b);
        return NGX_DECLINED;
    }

    c->base.owner = rec->tenant;

    if (ngx_http_stoa_ctx_text(r, &b, &c->base.text) != NGX_OK) {
        return NGX_DECLINED;
    }

    c->key = c->base;

    return NGX_OK;
}


static void
ngx_http_stoa_cache_key_headers(ngx_list_t *headers, stoa_buf_t *b,
    const char *name, size_t len)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &headers->part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_equal(h, name, len)) {
            ngx_http_stoa_cache_key_add(b, name, len);
            ngx_http_stoa_cache_key_add(b, h->value.data, h->value.len);
        }
    }

    stoa_buf_add(b, "", 1);
}


static ngx_int_t
ngx_http_stoa_cache_key_query(ngx_http_stoa_cached_t *c, stoa_buf_t *b)
{
    u_char      *p, *last;
    ngx_str_t    arg[KEY_ARGUMENTS];
    ngx_uint_t   i, n;
    ngx_str_t   *args;

    args = &c->request->args;

    /* "/x" and "/x?" are two */

    stoa_buf_add(b, args->data ? "?" : "-", 1);

    if (!c->conf->sort_query && c->conf->ignore_query.n == 0) {
        ngx_http_stoa_cache_key_add(b, args->data, args->len);
        return NGX_OK;
    }

    p = args->data;
    last = p + args->len;

    for (n = 0; p < last; p++) {

        if (n == KEY_ARGUMENTS) {
            return NGX_DECLINED;
        }

        for (arg[n].data = p; p < last && *p != '&'; p++) { /* void */ }

        arg[n].len = p - arg[n].data;
        n += !ngx_http_stoa_cache_key_ignored(c, &arg[n]);
    }

    if (c->conf->sort_query) {
        ngx_sort(arg, n, sizeof(ngx_str_t), ngx_http_stoa_cache_key_order);
    }

    for (i = 0; i < n; i++) {
        ngx_http_stoa_cache_key_add(b, arg[i].data, arg[i].len);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_cache_key_ignored(ngx_http_stoa_cached_t *c, ngx_str_t *arg)
{
    size_t             len;
    uint32_t           i;
    stoa_str_t         s;
    const stoa_ref_t  *names;

    for (len = 0; len < arg->len && arg->data[len] != '='; len++)
    { /* void */ }

    names = stoa_rec_vec(c->attached->rec, c->conf->ignore_query, stoa_ref_t);

    for (i = 0; i < c->conf->ignore_query.n; i++) {
        s = stoa_rec_str(c->attached->rec, names[i]);

        if (s.data[s.len - 1] == '*'
            ? len >= s.len - 1 && ngx_memcmp(arg->data, s.data, s.len - 1) == 0
            : len == s.len && ngx_memcmp(arg->data, s.data, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* By name alone, and stable: what comes twice keeps its order. */

static ngx_int_t
ngx_http_stoa_cache_key_order(const void *one, const void *two)
{
    size_t            i;
    u_char            c1, c2;
    const ngx_str_t  *a, *b;

    a = one;
    b = two;

    for (i = 0; /* void */ ; i++) {
        c1 = i < a->len && a->data[i] != '=' ? a->data[i] : 0;
        c2 = i < b->len && b->data[i] != '=' ? b->data[i] : 0;

        if (c1 != c2 || c1 == 0) {
            return c1 - c2;
        }
    }
}


/* Has the upstream got one of them otherwise than the client has sent it?  By
 * what clients send nobody can tell such answers apart. */

ngx_uint_t
ngx_http_stoa_cache_key_told(ngx_http_stoa_cached_t *c, stoa_str_t names)
{
    stoa_buf_t   asked, shown;
    stoa_str_t   name;
    ngx_uint_t   told;

    told = 0;
    stoa_buf_init(&asked, NGX_HTTP_STOA_KEEP_KEY);
    stoa_buf_init(&shown, NGX_HTTP_STOA_KEEP_KEY);

    while (!told && stoa_cache_list(&names, &name)) {

        if (name.len == 15
            && ngx_strncmp(name.data, "accept-encoding", 15) == 0)
        {
            continue;                  /* what decodes answers asks for all  */
        }

        stoa_buf_reset(&asked);
        stoa_buf_reset(&shown);
        ngx_http_stoa_cache_key_headers(&c->client, &asked, name.data,
                                        name.len);
        ngx_http_stoa_cache_key_headers(&c->request->headers_in.headers,
                                        &shown, name.data, name.len);

        told = asked.rc != STOA_OK || shown.rc != STOA_OK
               || (shown.len > 1
                   && (shown.len != asked.len
                       || ngx_memcmp(shown.data, asked.data, shown.len)
                          != 0));
    }

    stoa_buf_free(&asked);
    stoa_buf_free(&shown);

    return told;
}


/* And what they are shown may hang on who calls, where a policy sets it. */

ngx_uint_t
ngx_http_stoa_cache_key_set(ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t                       i, k;
    ngx_http_stoa_chain_t           *chain;
    const stoa_policy_opa_t         *opa;
    const stoa_policy_headers_t     *set;
    const ngx_http_stoa_attached_t  *a;

    for (i = 0; i < NGX_HTTP_STOA_CHAIN_MAX; i++) {
        chain = ctx->call.chain[i];

        for (k = 0; chain && k < chain->n; k++) {
            a = &chain->elts[k];
            set = a->config;
            opa = a->config;

            if ((ngx_strcmp(a->policy->name, "headers") == 0
                 && set->request_set.n + set->request_add.n)
                || (ngx_strcmp(a->policy->name, "opa") == 0
                    && opa->headers_set.n))
            {
                return 1;
            }
        }
    }

    return 0;
}


/* Is it a credential that the upstream is shown, and not ours?  Such a one is
 * itself who calls. */

static ngx_uint_t
ngx_http_stoa_cache_key_theirs(ngx_http_stoa_ctx_t *ctx,
    const ngx_table_elt_t *h)
{
    if (ngx_http_stoa_header_is(h, "authorization")) {

        if (ctx->token && !ctx->call.api->rec->keep_authorization) {
            return 0;
        }

    } else if (!ngx_http_stoa_header_is(h, "x-api-key") || ctx->key_other) {
        return 0;
    }

    return ngx_strnstr(h->value.data, "stoa_", h->value.len) == NULL;
}


/* What has parameters (a digest, a signature) is another one each time, and so
 * is a token that was fetched anew, but who that is is known. */

ngx_uint_t
ngx_http_stoa_cache_key_lasts(ngx_http_stoa_ctx_t *ctx,
    const ngx_table_elt_t *h)
{
    return ngx_http_stoa_cache_key_theirs(ctx, h)
           && !(ctx->token && ngx_http_stoa_header_is(h, "authorization"))
           && ngx_strlchr(h->value.data, h->value.data + h->value.len, ',')
              == NULL;
}


static ngx_int_t
ngx_http_stoa_cache_key_credentials(ngx_http_stoa_cached_t *c, stoa_buf_t *b)
{
    u_char                        sum[NGX_HTTP_STOA_SHA256_LEN];
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &c->client.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (!ngx_http_stoa_cache_key_theirs(c->ctx, h)) {
            continue;
        }

        if (ngx_http_stoa_sha256(h->value.data, h->value.len, sum) != NGX_OK)
        {
            return NGX_ERROR;
        }

        stoa_buf_add(b, h->lowcase_key, 1);
        stoa_buf_add(b, sum, sizeof(sum));
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_cache_key_variant(ngx_http_stoa_cached_t *c, stoa_str_t names,
    ngx_uint_t caller)
{
    stoa_buf_t            b;
    stoa_str_t            name;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = c->ctx;

    stoa_buf_init(&b, NGX_HTTP_STOA_KEEP_KEY);
    stoa_buf_add(&b, c->base.text.data, c->base.text.len);
    stoa_buf_add(&b, "V", 1);
    stoa_buf_add(&b, &c->varies, sizeof(c->varies));
    stoa_buf_add(&b, caller ? "1" : "0", 1);

    if (caller) {
        stoa_buf_add(&b, &ctx->application, sizeof(stoa_id_t));
        stoa_buf_add(&b, &ctx->call.subscription, sizeof(stoa_id_t));

        /* a credential of ours stands for the application */

        if (ctx->token) {
            stoa_buf_add(&b, &ctx->principal, sizeof(stoa_id_t));
        }

        if (ngx_http_stoa_cache_key_credentials(c, &b) != NGX_OK) {
            stoa_buf_free(&b);
            return NGX_ERROR;
        }
    }

    while (stoa_cache_list(&names, &name)) {
        ngx_http_stoa_cache_key_headers(&c->client, &b, name.data, name.len);
    }

    c->key = c->base;

    return ngx_http_stoa_ctx_text(c->request, &b, &c->key.text);
}
