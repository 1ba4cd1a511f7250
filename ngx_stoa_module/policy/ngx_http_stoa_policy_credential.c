/*
 * upstream-credential: what an api's upstream is shown to let the gateway in.
 * Schema: core/stoa_policy_credential.h.
 *
 * Calls get it by the hook, whatever the gateway asks by itself by
 * ngx_http_stoa_credential().
 */

#include <ctype.h>

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_credential.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_credential.h"


static ngx_int_t ngx_http_stoa_credential_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_credential_basic(ngx_pool_t *pool,
    stoa_str_t name, stoa_str_t word, ngx_str_t *value);
static ngx_int_t ngx_http_stoa_credential_client(ngx_pool_t *pool,
    const stoa_rec_api_t *rec, const stoa_policy_credential_t *conf,
    ngx_http_stoa_credential_t *c);
static ngx_int_t ngx_http_stoa_credential_login(ngx_pool_t *pool,
    const void *rec, const stoa_policy_credential_t *conf, ngx_str_t *line);
static ngx_int_t ngx_http_stoa_credential_key(ngx_pool_t *pool,
    const stoa_rec_api_t *rec, ngx_http_stoa_credential_t *c);
static u_char *ngx_http_stoa_credential_add(u_char *p, const char *name,
    stoa_str_t value);
static ngx_int_t ngx_http_stoa_credential_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_credential_take(ngx_http_request_t *r,
    const ngx_str_t *lowcase);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_credential = {
    .name = "upstream-credential",
    .on_way = 1,
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
    ngx_str_set(&c->login, "");

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
        return ngx_http_stoa_credential_basic(pool,
                                   stoa_rec_str(chain->rec, conf->username),
                                   stoa_rec_str(chain->rec, conf->password),
                                   &c->value);
    }

    if (conf->kind >= STOA_CREDENTIAL_CLIENT) {
        return ngx_http_stoa_credential_client(pool, chain->rec, conf, c);
    }

    s = stoa_rec_str(chain->rec, conf->value);
    c->value.data = (u_char *) s.data;
    c->value.len = s.len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_credential_basic(ngx_pool_t *pool, stoa_str_t name,
    stoa_str_t word, ngx_str_t *value)
{
    ngx_str_t  pair, text;

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


/* What the token endpoint is asked. */

static ngx_int_t
ngx_http_stoa_credential_client(ngx_pool_t *pool, const stoa_rec_api_t *rec,
    const stoa_policy_credential_t *conf, ngx_http_stoa_credential_t *c)
{
    u_char      *p;
    stoa_str_t   s;

    s = stoa_rec_str(rec, conf->token_url);
    c->url.data = (u_char *) s.data;
    c->url.len = s.len;

    s = stoa_rec_str(rec, rec->name);
    c->api.data = (u_char *) s.data;
    c->api.len = s.len;

    c->form.data = ngx_pnalloc(pool, 192 + 3 * (conf->scope.len
                                     + conf->audience.len + conf->resource.len
                                     + conf->client_id.len
                                     + conf->client_secret.len));
    if (c->form.data == NULL) {
        return NGX_ERROR;
    }

    c->exchange = conf->kind == STOA_CREDENTIAL_EXCHANGE;
    p = ngx_sprintf(c->form.data, "grant_type=%s",
                    c->exchange ? "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3A"
                                  "token-exchange" : "client_credentials");
    p = ngx_http_stoa_credential_add(p, "&scope=",
                                     stoa_rec_str(rec, conf->scope));
    p = ngx_http_stoa_credential_add(p, "&audience=",
                                     stoa_rec_str(rec, conf->audience));
    p = ngx_http_stoa_credential_add(p, "&resource=",
                                     stoa_rec_str(rec, conf->resource));

    if (conf->client_auth == STOA_CLIENT_POST) {
        p = ngx_http_stoa_credential_add(p, "&client_id=",
                                        stoa_rec_str(rec, conf->client_id));
        p = ngx_http_stoa_credential_add(p, "&client_secret=",
                                     stoa_rec_str(rec, conf->client_secret));

    } else if (ngx_http_stoa_credential_login(pool, rec, conf, &c->login)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    c->form.len = p - c->form.data;

    return ngx_http_stoa_credential_key(pool, rec, c);
}


/* Id and secret are escaped before they are a user and a password (RFC 6749,
 * section 2.3.1). */

static ngx_int_t
ngx_http_stoa_credential_login(ngx_pool_t *pool, const void *rec,
    const stoa_policy_credential_t *conf, ngx_str_t *line)
{
    u_char      *p;
    ngx_str_t    login;
    stoa_str_t   id, word;

    p = ngx_pnalloc(pool, 3 * (conf->client_id.len
                               + conf->client_secret.len) + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    id.data = (char *) p;
    p = ngx_http_stoa_credential_add(p, "",
                                     stoa_rec_str(rec, conf->client_id));
    id.len = p - (u_char *) id.data;

    word.data = (char *) p;
    p = ngx_http_stoa_credential_add(p, "",
                                     stoa_rec_str(rec, conf->client_secret));
    word.len = p - (u_char *) word.data;

    if (ngx_http_stoa_credential_basic(pool, id, word, &login) != NGX_OK) {
        return NGX_ERROR;
    }

    line->data = ngx_pnalloc(pool, login.len + 20);
    if (line->data == NULL) {
        return NGX_ERROR;
    }

    line->len = ngx_sprintf(line->data, "Authorization: %V" CRLF, &login)
                - line->data;

    return NGX_OK;
}


/* Of this api, whatever its revision, and of exactly this question. */

static ngx_int_t
ngx_http_stoa_credential_key(ngx_pool_t *pool, const stoa_rec_api_t *rec,
    ngx_http_stoa_credential_t *c)
{
    u_char     *p;
    ngx_str_t   all;

    all.len = STOA_ID_LEN + c->url.len + 1 + c->login.len + 1 + c->form.len;
    all.data = ngx_pnalloc(pool, all.len);

    if (all.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(all.data, &rec->id, STOA_ID_LEN);
    p = ngx_cpymem(p, c->url.data, c->url.len);
    *p++ = LF;
    p = ngx_cpymem(p, c->login.data, c->login.len);
    *p++ = LF;
    ngx_memcpy(p, c->form.data, c->form.len);

    return ngx_http_stoa_sha256(all.data, all.len, c->key);
}


/* Nothing where there is no value. */

static u_char *
ngx_http_stoa_credential_add(u_char *p, const char *name, stoa_str_t value)
{
    if (value.len) {
        p = ngx_cpymem(p, name, ngx_strlen(name));
        p = (u_char *) ngx_escape_uri(p, (u_char *) value.data, value.len,
                                      NGX_ESCAPE_URI_COMPONENT);
    }

    return p;
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

    ngx_str_t  *value;

    if (!ngx_http_stoa_policy_acts(a)) {
        return NGX_OK;
    }

    ngx_http_stoa_credential_take(r, &c->name.lowcase);

    if (ctx->call.by_fetch) {
        return NGX_OK;
    }

    value = c->value.len ? &c->value : &ctx->call.credential;

    return value->len ? ngx_http_stoa_header_push(&r->headers_in.headers,
                                                  &c->name, value)
           : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_UPSTREAM_CREDENTIAL,
                                  NULL);
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

    ngx_http_stoa_header_tidy(&r->headers_in.headers);
}
