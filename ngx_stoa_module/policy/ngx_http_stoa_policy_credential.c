/*
 * upstream-credential: what an api's upstream is shown to let the gateway in.
 * Schema: core/stoa_policy_credential.h.
 *
 * Calls get it by the hook, whatever the gateway asks by itself by
 * ngx_http_stoa_credential().
 */

#include <ctype.h>

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_policy_credential.h"


static ngx_int_t ngx_http_stoa_credential_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_credential_basic(ngx_pool_t *pool,
    const void *rec, const stoa_policy_credential_t *conf, ngx_str_t *value);
static ngx_int_t ngx_http_stoa_credential_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_credential_take(ngx_http_request_t *r,
    const ngx_str_t *lowcase);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_credential = {
    .name = "upstream-credential",
    .compile = ngx_http_stoa_credential_compile,
    .upstream = ngx_http_stoa_credential_upstream
};


static ngx_int_t
ngx_http_stoa_credential_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    stoa_str_t                       s;
    ngx_str_t                       *lowcase;
    ngx_http_stoa_credential_t      *c;
    const stoa_policy_credential_t  *conf;

    conf = a->config;

    c = ngx_pcalloc(pool, sizeof(ngx_http_stoa_credential_t));
    if (c == NULL) {
        return NGX_ERROR;
    }

    a->state = c;
    s = stoa_rec_str(chain->rec, conf->header);
    ngx_str_set(&c->name.name, "Authorization");

    if (s.len) {
        c->name.name.data = (u_char *) s.data;
        c->name.name.len = s.len;
    }

    lowcase = &c->name.lowcase;
    lowcase->len = c->name.name.len;
    lowcase->data = ngx_pnalloc(pool, lowcase->len);

    if (lowcase->data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(lowcase->data, c->name.name.data, lowcase->len);

    if (conf->kind == STOA_CREDENTIAL_BASIC) {
        return ngx_http_stoa_credential_basic(pool, chain->rec, conf,
                                              &c->value);
    }

    s = stoa_rec_str(chain->rec, conf->value);
    c->value.data = (u_char *) s.data;
    c->value.len = s.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_credential_basic(ngx_pool_t *pool, const void *rec,
    const stoa_policy_credential_t *conf, ngx_str_t *value)
{
    ngx_str_t   pair, text;
    stoa_str_t  name, word;

    name = stoa_rec_str(rec, conf->username);
    word = stoa_rec_str(rec, conf->password);

    pair.len = name.len + 1 + word.len;
    pair.data = ngx_pnalloc(pool, pair.len);
    value->data = ngx_pnalloc(pool, 6 + ngx_base64_encoded_length(pair.len));

    if (pair.data == NULL || value->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(pair.data, name.data, name.len);
    pair.data[name.len] = ':';
    ngx_memcpy(pair.data + name.len + 1, word.data, word.len);

    ngx_memcpy(value->data, "Basic ", 6);
    text.data = value->data + 6;
    ngx_encode_base64(&text, &pair);
    value->len = 6 + text.len;

    ngx_explicit_memzero(pair.data, pair.len);

    return NGX_OK;
}


ngx_http_stoa_credential_t *
ngx_http_stoa_credential(const ngx_http_stoa_chain_t *chain)
{
    ngx_uint_t                       i;
    const ngx_http_stoa_attached_t  *a;

    for (i = 0; chain && i < chain->n; i++) {
        a = &chain->elts[i];

        if (a->policy == &ngx_http_stoa_policy_credential && !a->shadow) {
            return a->state;
        }
    }

    return NULL;
}


/* What the client sent under the name is never the upstream's. */

static ngx_int_t
ngx_http_stoa_credential_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_http_stoa_credential_t *c = a->state;

    if (!ngx_http_stoa_policy_acts(a)) {
        return NGX_OK;
    }

    ngx_http_stoa_credential_take(r, &c->name.lowcase);

    return ctx->call.by_fetch ? NGX_OK
           : ngx_http_stoa_header_push(&r->headers_in.headers, &c->name,
                                       &c->value);
}


/* Servers fold names in many ways: all but letters and digits is one. */

static ngx_uint_t
ngx_http_stoa_credential_named(const ngx_table_elt_t *h,
    const ngx_str_t *lowcase)
{
    u_char      a, b;
    ngx_uint_t  i;

    for (i = 0; h->key.len == lowcase->len && i < lowcase->len; i++) {
        a = ngx_tolower(h->key.data[i]);
        b = lowcase->data[i];

        if (a != b && (isalnum(a) || isalnum(b))) {
            return 0;
        }
    }

    return h->key.len == lowcase->len;
}


static void
ngx_http_stoa_credential_take(ngx_http_request_t *r, const ngx_str_t *lowcase)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0, n = 0; i < part->nelts; i++) {
            if (!ngx_http_stoa_credential_named(&h[i], lowcase)) {
                h[n++] = h[i];
            }
        }

        part->nelts = n;
    }
}
