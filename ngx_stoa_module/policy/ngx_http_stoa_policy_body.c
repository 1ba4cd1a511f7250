/*
 * body-limit: the longest body of a request, of gRPC the longest message in
 * it.  Schema: core/stoa_policy_body.h, also of the api's own field.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_body.h"


static ngx_int_t ngx_http_stoa_policy_body_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_body = {
    .name = "body-limit",
    .head = ngx_http_stoa_policy_body_head,
    .look = 1
};


/* A shadow judges only lengths that are known. */

static ngx_int_t
ngx_http_stoa_policy_body_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    const stoa_policy_body_t  *body;

    body = a->config;

    if (ctx->call.api && ctx->call.api->grpc && ctx->call.edge->messages) {

        if (!a->shadow && (ctx->call.message_max == 0
                           || body->max_bytes < ctx->call.message_max))
        {
            ctx->call.message_max = body->max_bytes;
        }

        return NGX_OK;
    }

    if (r->headers_in.content_length_n > (off_t) body->max_bytes) {
        return ngx_http_stoa_policy_refuse(r, ctx, a,
                                          NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE);
    }

    return a->shadow ? NGX_OK
                     : ngx_http_stoa_policy_body_limit(r, body->max_bytes);
}


/*
 * A body whose length is not known yet is limited while nginx reads it, by a
 * location configuration of this request's own.
 */

ngx_int_t
ngx_http_stoa_policy_body_limit(ngx_http_request_t *r, uint64_t max)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (r->headers_in.content_length_n >= 0) {
        if ((uint64_t) r->headers_in.content_length_n > max) {
            return ngx_http_stoa_refuse(r,
                                        NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
                                        NULL);
        }

        return NGX_OK;
    }

    if (!r->headers_in.chunked
#if (NGX_HTTP_V2)
        && r->stream == NULL
#endif
        && r->http_version < NGX_HTTP_VERSION_20)
    {
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->client_max_body_size
        && (uint64_t) clcf->client_max_body_size <= max)
    {
        return NGX_OK;
    }

    clcf = ngx_http_stoa_compat_own_conf(r);
    if (clcf == NULL) {
        return NGX_ERROR;
    }

    clcf->client_max_body_size = max;

    return NGX_OK;
}
