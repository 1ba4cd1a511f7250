/*
 * The edge of stoa_authz: another proxy asks before it forwards a call.  The
 * request describes the call; what it describes is put in its place and goes
 * through the steps of REST, and the answer is the verdict: 200 with who
 * calls, or the refusal.
 *
 * What only works on the way to an upstream and back is not judged here: a
 * call that a policy of that kind is attached to is refused.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_uri.h"


#define NGX_HTTP_STOA_AUTHZ_METHOD  32         /* longest name               */


/* Where a front says what was asked for; NULL: the request has it itself. */

typedef struct {
    const char  *method;
    const char  *uri;
    const char  *host;
} ngx_http_stoa_authz_front_t;


static ngx_uint_t ngx_http_stoa_authz_match(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_authz_resource(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *path,
    ngx_http_stoa_resource_t *res);
static ngx_int_t ngx_http_stoa_authz_describe(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_authz_said(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_int_t ngx_http_stoa_authz_method(ngx_http_request_t *r,
    const ngx_str_t *name);
static ngx_int_t ngx_http_stoa_authz_host(ngx_http_request_t *r,
    const ngx_str_t *name);
static ngx_int_t ngx_http_stoa_authz_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


static const ngx_http_stoa_step_t  ngx_http_stoa_authz_steps[] = {
    { "describe",     ngx_http_stoa_authz_describe, NULL },
    { "route",        ngx_http_stoa_route, NULL },
    { "conceal",      ngx_http_stoa_conceal, NULL },
    { "admit",        ngx_http_stoa_policy_admit, NULL },
    { "authenticate", ngx_http_stoa_policy_authn, NULL },
    { "operation",    ngx_http_stoa_operation, NULL },
    { "subscription", ngx_http_stoa_policy_access, NULL },
    { "whole",        ngx_http_stoa_authz_whole, NULL },
    { "judge",        ngx_http_stoa_policy_judge, NULL },
    { NULL,           NULL, NULL }
};


const ngx_http_stoa_edge_t  ngx_http_stoa_authz_edge = {
    .name = ngx_string("authz"),
    .steps = ngx_http_stoa_authz_steps,
    .match = ngx_http_stoa_authz_match,
    .resource = ngx_http_stoa_authz_resource
};


/* By ngx_http_stoa_front_e. */

static const ngx_http_stoa_authz_front_t  ngx_http_stoa_authz_fronts[] = {
    { "x-original-method", "x-original-uri", "x-original-host" },
    { NULL, NULL, NULL },
    { "x-forwarded-method", "x-forwarded-uri", "x-forwarded-host" }
};


static const struct {
    ngx_str_t   name;
    ngx_uint_t  method;
} ngx_http_stoa_authz_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_string("TRACE"), NGX_HTTP_TRACE },
    { ngx_null_string, NGX_HTTP_UNKNOWN }
};


static ngx_uint_t
ngx_http_stoa_authz_match(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ctx->mode == NGX_HTTP_STOA_AUTHZ;
}


static ngx_int_t
ngx_http_stoa_authz_resource(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *path, ngx_http_stoa_resource_t *res)
{
    return ngx_http_stoa_rest_edge.resource(r, ctx, path, res);
}


/* Each thing is said once, or it is not known which one the front means. */

static ngx_int_t
ngx_http_stoa_authz_describe(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                           method, uri, host;
    ngx_http_stoa_loc_conf_t           *slcf;
    const ngx_http_stoa_authz_front_t  *front;

    static ngx_str_t  detail = ngx_string("The request does not describe a "
        "call: its method, host and URI are needed, each once.");

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);
    front = &ngx_http_stoa_authz_fronts[slcf->front];

    ctx->own_method = r->method;

    if (front->uri == NULL) {
        return NGX_OK;
    }

    if (ngx_http_stoa_authz_said(r, front->method, &method) != NGX_OK
        || ngx_http_stoa_authz_said(r, front->uri, &uri) != NGX_OK
        || ngx_http_stoa_authz_said(r, front->host, &host) != NGX_OK
        || ngx_http_stoa_authz_method(r, &method) != NGX_OK
        || ngx_http_stoa_authz_host(r, &host) != NGX_OK
        || ngx_http_stoa_compat_uri(r, &uri) != NGX_OK
        || ngx_http_stoa_uri_ambiguous(r))
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BAD_REQUEST,
                                    &detail);
    }

    return ngx_http_stoa_conceal_ours(r, ctx);
}


/* A copy: what is in it may be masked.  NGX_DECLINED: not exactly one. */

static ngx_int_t
ngx_http_stoa_authz_said(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *found;

    if (ngx_http_stoa_header_count(r, name, ngx_strlen(name), &found) != 1
        || found->value.len == 0)
    {
        return NGX_DECLINED;
    }

    value->len = found->value.len;
    value->data = ngx_pstrdup(r->pool, &found->value);

    return value->data ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_authz_method(ngx_http_request_t *r, const ngx_str_t *name)
{
    size_t      i;
    ngx_uint_t  n;

    if (name->len > NGX_HTTP_STOA_AUTHZ_METHOD) {
        return NGX_DECLINED;
    }

    for (i = 0; i < name->len; i++) {
        if ((name->data[i] < 'A' || name->data[i] > 'Z')
            && name->data[i] != '-' && name->data[i] != '_')
        {
            return NGX_DECLINED;
        }
    }

    for (n = 0; ngx_http_stoa_authz_methods[n].name.len; n++) {
        if (name->len == ngx_http_stoa_authz_methods[n].name.len
            && ngx_memcmp(name->data, ngx_http_stoa_authz_methods[n].name.data,
                          name->len)
               == 0)
        {
            break;
        }
    }

    r->method = ngx_http_stoa_authz_methods[n].method;
    r->method_name = *name;

    return NGX_OK;
}


/* As nginx has it of Host: lower case, without a port. */

static ngx_int_t
ngx_http_stoa_authz_host(ngx_http_request_t *r, const ngx_str_t *name)
{
    u_char  *p, *last, *port;

    p = name->data;
    last = p + name->len;

    if (*p == '[') {
        port = ngx_strlchr(p, last, ']');
        port = port ? port + 1 : p;

    } else {
        port = ngx_strlchr(p, last, ':');
        port = port ? port : last;
    }

    if (port == p || (port < last && *port != ':')) {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < last; p++) {
        *p = ngx_tolower(*p);

        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')
              || *p == '.' || *p == '-' || *p == '_' || *p == ':'
              || *p == '[' || *p == ']'))
        {
            return NGX_DECLINED;
        }
    }

    if (port > name->data && port[-1] == '.') {
        port--;

        if (port == name->data) {
            return NGX_DECLINED;
        }
    }

    r->headers_in.server.data = name->data;
    r->headers_in.server.len = port - name->data;

    return NGX_OK;
}


/* Before anything is charged. */

static ngx_int_t
ngx_http_stoa_authz_whole(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                          *p;
    ngx_str_t                        detail;
    const ngx_http_stoa_attached_t  *a;

    a = ngx_http_stoa_policy_on_way(ctx);

    if (a == NULL) {
        return NGX_OK;
    }

    detail.data = ngx_pnalloc(r->pool, 128);
    if (detail.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_snprintf(detail.data, 128, "The policy \"%s\" cannot be kept "
                     "where another proxy forwards the call.",
                     a->policy->name);
    detail.len = p - detail.data;

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_AUTHZ, &detail);
}


/* The content handler: the steps have let the call pass. */

ngx_int_t
ngx_http_stoa_authz_content(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL || !ctx->call.passed
        || ctx->call.edge != &ngx_http_stoa_authz_edge)
    {
        return NGX_HTTP_FORBIDDEN;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_stoa_identity_answer(r, ctx);

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_READY, NULL);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = 0;

    rc = ngx_http_send_header(r);

    return rc == NGX_ERROR || rc > NGX_OK || r->header_only
           ? rc : ngx_http_send_special(r, NGX_HTTP_LAST);
}
