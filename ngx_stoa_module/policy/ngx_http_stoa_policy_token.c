/*
 * require-token: scopes and roles of the caller's token.  Schema:
 * core/stoa_policy_token.h.
 *
 * What a list of MCP shows is what may be called: it asks the same rules.
 * Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_jose.h"
#include "core/stoa_policy_token.h"


#define NGX_HTTP_STOA_POLICY_SCOPES  4096      /* of a challenge             */


typedef enum {
    TOKEN_OK = 0,
    TOKEN_SCOPE,
    TOKEN_ROLE
} ngx_http_stoa_policy_token_e;


static ngx_int_t ngx_http_stoa_policy_token_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_token_still(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const void *rec, const void *config);
static ngx_http_stoa_policy_token_e ngx_http_stoa_policy_token_lacks(
    const ngx_http_stoa_ctx_t *ctx, const void *rec,
    const stoa_policy_token_t *rule);
static ngx_uint_t ngx_http_stoa_policy_token_scope(
    const ngx_http_stoa_token_t *token, stoa_str_t scope);
static ngx_uint_t ngx_http_stoa_policy_token_hides(
    const ngx_http_stoa_ctx_t *ctx, const void *rec,
    const stoa_policy_token_t *rule);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_token = {
    .name = "require-token",
    .head = ngx_http_stoa_policy_token_head,
    .look = 1,
    .still = ngx_http_stoa_policy_token_still
};


static ngx_int_t
ngx_http_stoa_policy_token_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    switch (ngx_http_stoa_policy_token_lacks(ctx, a->rec, a->config)) {

    case TOKEN_SCOPE:
        return ngx_http_stoa_policy_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_SCOPE);
    case TOKEN_ROLE:
        return ngx_http_stoa_policy_refuse(r, ctx, a,
                                           NGX_HTTP_STOA_REFUSE_ROLE);
    default:
        return NGX_OK;
    }
}


static ngx_uint_t
ngx_http_stoa_policy_token_still(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const void *rec, const void *config)
{
    return ngx_http_stoa_policy_token_lacks(ctx, rec, config) == TOKEN_OK;
}


/* A role comes first: another token of the same caller has no more. */

static ngx_http_stoa_policy_token_e
ngx_http_stoa_policy_token_lacks(const ngx_http_stoa_ctx_t *ctx,
    const void *rec, const stoa_policy_token_t *rule)
{
    uint32_t                      i;
    stoa_str_t                    text;
    const stoa_ref_t             *refs;
    const ngx_http_stoa_token_t  *token;

    token = ctx->token;

    if (token == NULL) {
        return rule->keys && !ctx->anonymous ? TOKEN_OK : TOKEN_ROLE;
    }

    refs = stoa_rec_vec(rec, rule->roles, stoa_ref_t);

    for (i = 0; i < rule->roles.n; i++) {
        text = stoa_rec_str(rec, refs[i]);

        if (stoa_jwt_has((char *) token->roles.data, token->roles.len,
                         text.data, text.len))
        {
            break;
        }
    }

    if (rule->roles.n && i == rule->roles.n) {
        return TOKEN_ROLE;
    }

    refs = stoa_rec_vec(rec, rule->scopes, stoa_ref_t);

    for (i = 0; i < rule->scopes.n; i++) {
        if (!ngx_http_stoa_policy_token_scope(token,
                                              stoa_rec_str(rec, refs[i])))
        {
            return TOKEN_SCOPE;
        }
    }

    return TOKEN_OK;
}


/* One of the token's, or covered by one (ngx_http_stoa_token_t). */

static ngx_uint_t
ngx_http_stoa_policy_token_scope(const ngx_http_stoa_token_t *token,
    stoa_str_t scope)
{
    size_t   n;
    u_char  *p, *last;

    last = token->scopes.data + token->scopes.len;

    for (p = token->scopes.data; p < last; p += n + 1) {
        n = ngx_strlen(p);

        if (*p == 1 ? scope.len >= n - 1
                      && ngx_memcmp(scope.data, p + 1, n - 1) == 0
            : scope.len == n && ngx_memcmp(scope.data, p, n) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_stoa_policy_token_scopes(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *value)
{
    u_char                      *p, *q;
    uint32_t                     k;
    stoa_str_t                   scope;
    ngx_uint_t                   i, from;
    const stoa_ref_t            *refs;
    ngx_http_stoa_chain_t       *chain;
    ngx_http_stoa_attached_t    *a;
    const stoa_policy_token_t   *rule;

    value->data = ngx_pnalloc(r->pool, NGX_HTTP_STOA_POLICY_SCOPES);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    p = value->data;

    for (from = 0; from < NGX_HTTP_STOA_CHAIN_MAX; from++) {
        chain = ctx->call.chain[from];

        for (i = 0; chain && i < chain->n; i++) {
            a = &chain->elts[i];

            if (a->policy != &ngx_http_stoa_policy_token || a->shadow
                || !ngx_http_stoa_policy_applies(ctx, from, a))
            {
                continue;
            }

            rule = a->config;
            refs = stoa_rec_vec(a->rec, rule->scopes, stoa_ref_t);

            for (k = 0; k < rule->scopes.n; k++) {
                scope = stoa_rec_str(a->rec, refs[k]);

                for (q = value->data; q < p; q += ngx_strlen(q) + 1) {
                    if (ngx_strlen(q) == scope.len
                        && ngx_memcmp(q, scope.data, scope.len) == 0)
                    {
                        break;
                    }
                }

                if (q == p && (size_t) (value->data
                                        + NGX_HTTP_STOA_POLICY_SCOPES - p)
                              > scope.len + 1)
                {
                    p = ngx_cpymem(p, scope.data, scope.len);
                    *p++ = '\0';
                }
            }
        }
    }

    value->len = p > value->data ? (size_t) (p - value->data) - 1 : 0;

    for (q = value->data; q < value->data + value->len; q++) {
        *q = *q ? *q : ' ';
    }

    return value->len ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_http_stoa_policy_token_rules(const void *rec, const stoa_vec_t *policies)
{
    uint32_t                  i;
    const stoa_rec_policy_t  *p;

    p = stoa_rec_vec(rec, *policies, stoa_rec_policy_t);

    for (i = 0; i < policies->n; i++) {
        if (p[i].type == STOA_POLICY_TOKEN_ID) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_stoa_policy_token_ruled(ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t              i, from;
    ngx_http_stoa_chain_t  *chain;

    for (from = NGX_HTTP_STOA_CHAIN_GROUP;
         from <= NGX_HTTP_STOA_CHAIN_ENDPOINT;
         from++)
    {
        chain = ctx->call.chain[from];

        for (i = 0; chain && i < chain->n; i++) {
            if (chain->elts[i].policy == &ngx_http_stoa_policy_token) {
                return 1;
            }
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_stoa_policy_token_shows(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_api_t *api, stoa_str_t name)
{
    uint32_t                  i;
    stoa_str_t                tool;
    ngx_uint_t                k, from;
    ngx_http_stoa_chain_t    *chain;
    const stoa_rec_policy_t  *p;

    for (from = NGX_HTTP_STOA_CHAIN_GROUP;
         from <= NGX_HTTP_STOA_CHAIN_ENDPOINT;
         from++)
    {
        chain = ctx->call.chain[from];

        for (k = 0; chain && k < chain->n; k++) {
            if (chain->elts[k].policy == &ngx_http_stoa_policy_token
                && !chain->elts[k].shadow
                && ngx_http_stoa_policy_token_hides(ctx,
                                                    chain->elts[k].rec,
                                                    chain->elts[k].config))
            {
                return 0;
            }
        }
    }

    p = stoa_rec_vec(api, api->policies, stoa_rec_policy_t);

    for (i = 0; i < api->policies.n; i++) {
        tool = stoa_rec_str(api, p[i].tool);

        if (p[i].type == STOA_POLICY_TOKEN_ID
            && p[i].state == STOA_POLICY_ENABLED
            && (tool.len == 0
                || (tool.len == name.len
                    && ngx_memcmp(tool.data, name.data, name.len) == 0))
            && ngx_http_stoa_policy_token_hides(ctx, api,
                                   stoa_rec_vec(api, p[i].config,
                                                stoa_policy_token_t)))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_stoa_policy_token_hides(const ngx_http_stoa_ctx_t *ctx,
    const void *rec, const stoa_policy_token_t *rule)
{
    switch (ngx_http_stoa_policy_token_lacks(ctx, rec, rule)) {

    case TOKEN_SCOPE:
        return !rule->list_unscoped;

    case TOKEN_ROLE:
        return 1;

    default:
        return 0;
    }
}
