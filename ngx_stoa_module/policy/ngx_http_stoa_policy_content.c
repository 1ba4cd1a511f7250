/*
 * The body of a call, for policies that judge what is in it: read once, for
 * all of them.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_content.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_media.h"


static ngx_int_t ngx_http_stoa_policy_content_type(ngx_http_request_t *r,
    ngx_str_t *body, ngx_str_t *detail);


/* A shadow changes nothing: what it cannot be sure to read is not read. */

ngx_int_t
ngx_http_stoa_policy_content(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, size_t max, ngx_uint_t others,
    ngx_str_t *body)
{
    ngx_int_t  rc;
    ngx_str_t  detail;

    static ngx_str_t  unseen = ngx_string("A policy judges the body, which "
        "a proxy that only asks does not show.");

    ngx_str_null(body);

    if (ctx->mode == NGX_HTTP_STOA_AUTHZ) {

        /* whether there is one is not known, whatever its type */

        rc = ngx_http_stoa_policy_refuse_text(r, ctx, a,
                                              NGX_HTTP_STOA_REFUSE_AUTHZ,
                                              &unseen);
        return rc == NGX_OK ? NGX_DECLINED : rc;
    }

    if (others && !ngx_http_stoa_policy_content_json(r, 0)) {
        return NGX_DECLINED;
    }

    if (ctx->call.api && ctx->call.api->grpc) {
        rc = ngx_http_stoa_policy_refuse(r, ctx, a,
                                         NGX_HTTP_STOA_REFUSE_GRPC_UNABLE);
        return rc == NGX_OK ? NGX_DECLINED : rc;
    }

    if (r->request_body == NULL) {

        if (a->shadow && (r->headers_in.content_length_n < 0
                          || r->headers_in.content_length_n > (off_t) max))
        {
            return r->headers_in.content_length_n < 0
                   ? NGX_DECLINED
                   : ngx_http_stoa_policy_refuse(r, ctx, a,
                                         NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE);
        }

        rc = a->shadow ? NGX_OK : ngx_http_stoa_policy_body_limit(r, max);

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_content_read(r, ctx);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_stoa_content_gather(r, max, body);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_stoa_policy_refuse(r, ctx, a,
                                         NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE);

        return rc == NGX_OK ? NGX_DECLINED : rc;
    }

    if (rc != NGX_OK || body->len == 0
        || ngx_http_stoa_policy_content_type(r, body, &detail) == NGX_OK)
    {
        return rc;
    }

    rc = ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal, &detail);

    return rc == NGX_OK ? NGX_DECLINED : rc;
}


ngx_int_t
ngx_http_stoa_policy_content_own(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *body)
{
    return ctx->call.edge->content ? ctx->call.edge->content(r, ctx, body)
                                   : NGX_OK;
}


/* In words of what was read. */

ngx_int_t
ngx_http_stoa_policy_refuse_error(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_err_t *err)
{
    return ngx_http_stoa_policy_refuse_what(r, ctx, a, err, "body");
}


ngx_int_t
ngx_http_stoa_policy_refuse_what(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_err_t *err, const char *what)
{
    return ngx_http_stoa_policy_refuse_row(r, ctx, a, 0, err, what);
}


ngx_int_t
ngx_http_stoa_policy_refuse_row(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t row, const stoa_err_t *err, const char *what)
{
    u_char     *p;
    ngx_str_t   detail;

    detail.data = ngx_pnalloc(r->pool, sizeof(stoa_err_t) + 64);
    if (detail.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(detail.data, "The %s: %s%s%s", what, err->field,
                    err->field[0] ? " " : "", err->text);

    if (err->line) {
        p = ngx_sprintf(p, ", at byte %uz", err->offset);
    }

    detail.len = p - detail.data;

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal + row,
                                            &detail);
}


/* What is judged has to be what others read. */

static ngx_int_t
ngx_http_stoa_policy_content_type(ngx_http_request_t *r, ngx_str_t *body,
    ngx_str_t *detail)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    /* UTF-16 and UTF-32, which readers of JSON recognize by themselves */

    if (body->len > 1
        && (body->data[0] == 0 || body->data[1] == 0
            || (body->data[0] >= 0xfe && body->data[1] >= 0xfe)))
    {
        ngx_str_set(detail, "The body has to be UTF-8.");
        return NGX_ERROR;
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_is(h, "content-encoding")
            && !stoa_media_plain((char *) h->value.data, h->value.len))
        {
            ngx_str_set(detail, "The body is encoded, and cannot be judged.");
            return NGX_ERROR;
        }

        if (ngx_http_stoa_header_is(h, "content-type")
            && !stoa_media_utf8((char *) h->value.data, h->value.len))
        {
            ngx_str_set(detail, "The Content-Type does not say how to read "
                                "the body: it has to be UTF-8.");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_stoa_policy_content_json(ngx_http_request_t *r, ngx_uint_t all)
{
    ngx_uint_t                    json;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    json = 0;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (!ngx_http_stoa_header_is(h, "content-type")) {
            continue;
        }

        json = stoa_media_json((char *) h->value.data, h->value.len);

        if (json != all) {
            return json;
        }
    }

    return json;
}
