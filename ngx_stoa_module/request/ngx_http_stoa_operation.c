/*
 * The operation of an api that a request is for.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_upstream.h"


static ngx_int_t ngx_http_stoa_operation_held(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc, ngx_uint_t *index);
static ngx_uint_t ngx_http_stoa_operation_bound(const stoa_rec_api_t *rec,
    ngx_uint_t index);
static ngx_int_t ngx_http_stoa_operation_loose(ngx_http_request_t *r,
    ngx_str_t *path);


/*
 * After authentication and visibility: what methods an api has is nobody's
 * business who may not see it.
 */

ngx_int_t
ngx_http_stoa_operation(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_uint_t            index;
    ngx_http_stoa_api_t  *api;

    api = ctx->call.api;

    if (api->grpc && !ctx->call.edge->messages
        && ctx->mode != NGX_HTTP_STOA_AUTHZ)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_GRPC_ONLY, NULL);
    }

    if (api->nops == 0 && !api->rec->operations_only) {
        return NGX_OK;
    }

    /* a slash for some servers, and they are not known here */

    if (memchr(ctx->call.path.data, '\\', ctx->call.path.len)) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                    NULL);
    }

    rc = ngx_http_stoa_api_operation(api, &r->method_name, &ctx->call.path,
                                     &index);

    if (api->held) {
        rc = ngx_http_stoa_operation_held(r, ctx, rc, &index);
    }

    if (rc == NGX_OK) {
        ctx->call.operation = index + 1;
        return NGX_OK;
    }

    if (rc == NGX_ERROR || rc >= NGX_HTTP_BAD_REQUEST) {
        return rc;
    }

    if (!api->rec->operations_only) {
        return NGX_OK;
    }

    if (rc == NGX_ABORT) {
        if (ngx_http_stoa_api_allow(r, api, &ctx->call.path, &ctx->call.allow)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_METHOD, NULL);
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
}


/* What one that is switched off, or has policies of its own, is for another
 * server, it is here: refused, whatever else the path is, or under its
 * policies.  rc, *index: what the path is as it came. */

static ngx_int_t
ngx_http_stoa_operation_held(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_int_t rc, ngx_uint_t *index)
{
    ngx_str_t                    path;
    ngx_uint_t                   loose;
    const stoa_rec_api_t        *rec;
    const stoa_rec_operation_t  *ops;

    rec = ctx->call.api->rec;
    ops = stoa_rec_vec(rec, rec->operations, stoa_rec_operation_t);

    if (rc == NGX_OK && !ops[*index].enabled) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    path = ctx->call.path;

    if (ngx_http_stoa_operation_loose(r, &path) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_api_operation(ctx->call.api, &r->method_name, &path,
                                    &loose)
        != NGX_OK
        || (rc == NGX_OK && loose == *index))
    {
        return rc;
    }

    if (!ops[loose].enabled) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    if ((rc != NGX_OK && rec->operations_only)
        || !ngx_http_stoa_operation_bound(rec, loose))
    {
        return rc;
    }

    if (rc == NGX_OK && ngx_http_stoa_operation_bound(rec, *index)) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                    NULL);
    }

    *index = loose;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_operation_bound(const stoa_rec_api_t *rec, ngx_uint_t index)
{
    uint32_t                     i;
    const stoa_rec_policy_t     *policy;
    const stoa_rec_operation_t  *ops;

    ops = stoa_rec_vec(rec, rec->operations, stoa_rec_operation_t);
    policy = stoa_rec_vec(rec, rec->policies, stoa_rec_policy_t);

    for (i = 0; i < rec->policies.n; i++) {
        if (ngx_memcmp(&policy[i].operation, &ops[index].id,
                       sizeof(stoa_id_t))
            == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* The path for a server that cuts off parameters, more than one slash, and
 * dots and blanks at the end of a segment. */

static ngx_int_t
ngx_http_stoa_operation_loose(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char  *p, *last, *start, *dst;

    p = path->data;
    last = p + path->len;

    dst = ngx_pnalloc(r->pool, path->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    path->data = dst;

    while (p < last) {

        if (*p == '/') {
            p++;
            continue;
        }

        *dst++ = '/';

        for (start = dst; p < last && *p != '/' && *p != ';'; p++) {
            *dst++ = *p;
        }

        while (p < last && *p != '/') {
            p++;
        }

        while (dst > start && (dst[-1] == '.' || dst[-1] == ' ')) {
            dst--;
        }

        if (dst == start) {
            dst--;
        }
    }

    if (dst == path->data) {
        *dst++ = '/';
    }

    path->len = dst - path->data;

    return NGX_OK;
}
