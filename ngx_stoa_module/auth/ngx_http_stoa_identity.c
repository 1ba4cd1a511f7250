
/*
 * Who calls, vouched for: a compact JWS (RFC 7515, HS256) that the control
 * plane's own tools and REST trust.  Its key is derived from the gateway's
 * token, so that both sides have it and nobody else.
 *
 * Process: workers.  Lifetime: the text in r->pool, the key in the process.
 */


#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_digest.h"


#define NGX_HTTP_STOA_IDENTITY_TTL  60       /* s */


static ngx_int_t ngx_http_stoa_identity_setup(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);
static u_char *ngx_http_stoa_identity_base64(u_char *dst, u_char *src,
    size_t len);
static size_t ngx_http_stoa_identity_claims(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, u_char *p);


/* base64url of the JOSE header and its dot: the same for all. */

static ngx_str_t             ngx_http_stoa_identity_head;
static ngx_http_stoa_hmac_t  ngx_http_stoa_identity_key;


ngx_int_t
ngx_http_stoa_identity(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *jws)
{
    u_char                     *p, *claims;
    size_t                      len;
    u_char                      mac[NGX_HTTP_STOA_SHA256_LEN];
    ngx_http_stoa_main_conf_t  *mcf;

    if (ngx_http_stoa_identity_head.len == 0) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

        if (ngx_http_stoa_identity_setup(mcf, r->connection->log) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    len = sizeof("{\"iss\":\"stoa-gateway\",\"tenant\":\"\","
                 "\"tenant_name\":\"\",\"application\":\"\","
                 "\"application_name\":\"\",\"subscription\":\"\","
                 "\"iat\":,\"exp\":,\"jti\":\"\"}")
          + 3 * STOA_ID_LEN + ctx->tenant_name.len
          + ctx->application_name.len + 2 * NGX_TIME_T_LEN
          + ctx->request_id.len;

    claims = ngx_pnalloc(r->pool, len);

    p = ngx_pnalloc(r->pool, ngx_http_stoa_identity_head.len
                             + ngx_base64_encoded_length(len) + 1
                             + ngx_base64_encoded_length(sizeof(mac)));

    if (claims == NULL || p == NULL) {
        return NGX_ERROR;
    }

    jws->data = p;

    len = ngx_http_stoa_identity_claims(r, ctx, claims);

    p = ngx_cpymem(p, ngx_http_stoa_identity_head.data,
                   ngx_http_stoa_identity_head.len);
    p = ngx_http_stoa_identity_base64(p, claims, len);

    if (ngx_http_stoa_hmac(&ngx_http_stoa_identity_key, jws->data,
                           p - jws->data, mac)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    *p++ = '.';
    p = ngx_http_stoa_identity_base64(p, mac, sizeof(mac));

    jws->len = p - jws->data;

    return NGX_OK;
}


/* Names are slugs and ids are base32: nothing of it needs an escape. */

static size_t
ngx_http_stoa_identity_claims(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    u_char *p)
{
    u_char  *start;
    time_t   now;

    start = p;
    now = ngx_time();

    p = ngx_sprintf(p, "{\"iss\":\"stoa-gateway\",\"tenant\":\"%*s\","
                    "\"tenant_name\":\"%V\",\"application\":\"%*s\","
                    "\"application_name\":\"%V\",\"subscription\":\"%*s\","
                    "\"iat\":%T,\"exp\":%T,\"jti\":\"%V\"}",
                    (size_t) STOA_ID_LEN, ctx->tenant.c, &ctx->tenant_name,
                    (size_t) STOA_ID_LEN, ctx->application.c,
                    &ctx->application_name,
                    ctx->call.subscription.c[0] ? (size_t) STOA_ID_LEN
                                           : (size_t) 0,
                    ctx->call.subscription.c, now,
                    now + NGX_HTTP_STOA_IDENTITY_TTL, &ctx->request_id);

    return p - start;
}


static ngx_int_t
ngx_http_stoa_identity_setup(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log)
{
    u_char  *p, *json;

    if (ngx_http_stoa_hmac_init(&ngx_http_stoa_identity_key,
                                mcf->assertion_key,
                                sizeof(mcf->assertion_key))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    json = ngx_pnalloc(ngx_cycle->pool, mcf->gateway_id.len + 64);
    if (json == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(json, "{\"alg\":\"HS256\",\"kid\":\"%V\",\"typ\":\"JWT\"}",
                    &mcf->gateway_id);

    ngx_http_stoa_identity_head.data = ngx_pnalloc(ngx_cycle->pool,
                                    ngx_base64_encoded_length(p - json) + 1);
    if (ngx_http_stoa_identity_head.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_http_stoa_identity_base64(ngx_http_stoa_identity_head.data, json,
                                      p - json);
    *p++ = '.';

    ngx_http_stoa_identity_head.len = p - ngx_http_stoa_identity_head.data;

    return NGX_OK;
}


static u_char *
ngx_http_stoa_identity_base64(u_char *dst, u_char *src, size_t len)
{
    ngx_str_t  from, to;

    from.data = src;
    from.len = len;
    to.data = dst;

    ngx_encode_base64url(&to, &from);

    return dst + to.len;
}
