/*
 * WWW-Authenticate: which schemes are taken, what was wrong, where tokens come
 * from.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_token.h"


/* RFC 6750: no error code where nothing was presented. */

typedef struct {
    ngx_uint_t  what;
    ngx_str_t   error;
} ngx_http_stoa_unauthorized_t;

#define ERROR_ROW(what, error, text)                                          \
    { what, ngx_string(", error=\"" error "\", error_description=\""          \
                       text "\"") }

static const ngx_http_stoa_unauthorized_t  ngx_http_stoa_unauthorizeds[] = {
    ERROR_ROW(NGX_HTTP_STOA_REFUSE_KEY_INVALID, "invalid_token",
              "The API key is not valid"),
    ERROR_ROW(NGX_HTTP_STOA_REFUSE_KEY_EXPIRED, "invalid_token",
              "The API key has expired"),
    ERROR_ROW(NGX_HTTP_STOA_REFUSE_TOKEN_INVALID, "invalid_token",
              "The token is not valid"),
    ERROR_ROW(NGX_HTTP_STOA_REFUSE_TOKEN_EXPIRED, "invalid_token",
              "The token has expired"),
    ERROR_ROW(NGX_HTTP_STOA_REFUSE_PROOF, "invalid_dpop_proof",
              "The proof is not valid"),
    ERROR_ROW(NGX_HTTP_STOA_REFUSE_SCOPE, "insufficient_scope",
              "The token lacks a scope"),
    { 0, ngx_null_string }
};


static ngx_int_t ngx_http_stoa_unauthorized_scheme(ngx_http_request_t *r,
    ngx_uint_t dpop, const ngx_str_t *error, const ngx_str_t *more,
    const ngx_str_t *scope);


/* A caller with DPoP is told of nothing else; one without, of both where an
 * issuer wants it. */

ngx_int_t
ngx_http_stoa_unauthorized(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                            rc;
    ngx_str_t                            more, scope;
    ngx_uint_t                           dpop;
    const ngx_http_stoa_unauthorized_t  *row;

    for (row = ngx_http_stoa_unauthorizeds; row->what; row++) {
        if (row->what == ctx->call.refused - 1) {
            break;
        }
    }

    dpop = 0;

    if (ngx_http_stoa_token_challenge(r, ctx, &more, &dpop) != NGX_OK) {
        ngx_str_null(&more);
    }

    if (more.len == 0
        || ngx_http_stoa_policy_token_scopes(r, ctx, &scope) != NGX_OK)
    {
        ngx_str_null(&scope);
    }

    rc = NGX_OK;

    if (!ctx->dpop) {
        rc = ngx_http_stoa_unauthorized_scheme(r, 0, &row->error, &more,
                                               &scope);
    }

    if (rc == NGX_OK && (ctx->dpop || dpop)) {
        rc = ngx_http_stoa_unauthorized_scheme(r, 1, &row->error, &more,
                                               &scope);
    }

    return rc;
}


static ngx_int_t
ngx_http_stoa_unauthorized_scheme(ngx_http_request_t *r, ngx_uint_t dpop,
    const ngx_str_t *error, const ngx_str_t *more, const ngx_str_t *scope)
{
    stoa_buf_t        b;
    ngx_table_elt_t  *h;

    h = ngx_http_stoa_header_add(r, "WWW-Authenticate");
    if (h == NULL) {
        return NGX_ERROR;
    }

    stoa_buf_init(&b, 16384);
    stoa_buf_addz(&b, dpop ? "DPoP realm=\"stoa\", algs=\""
                           : "Bearer realm=\"stoa");

    if (dpop) {
        ngx_http_stoa_token_algs(&b, "", " ");
    }

    stoa_buf_addz(&b, "\"");
    stoa_buf_add(&b, error->data, error->len);
    stoa_buf_add(&b, more->data, more->len);

    if (scope->len) {
        stoa_buf_addz(&b, ", scope=\"");
        stoa_buf_add(&b, scope->data, scope->len);
        stoa_buf_addz(&b, "\"");
    }

    if (ngx_http_stoa_ctx_text(r, &b, &h->value) != NGX_OK) {
        h->hash = 0;
        return NGX_ERROR;
    }

    if (r->headers_out.www_authenticate == NULL) {
        r->headers_out.www_authenticate = h;
    }

    return NGX_OK;
}
