
/*
 * WebSocket, the one protocol that a call may change to: a step of the call,
 * and the headers that ask the upstream for it.  The proxy module makes the
 * tunnel where r->headers_in.upgrade says that the client has asked.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_refusal.h"


#define NGX_HTTP_STOA_UPGRADE_HEAD                                            \
    "Connection: upgrade" CRLF "Upgrade: websocket" CRLF


static ngx_uint_t ngx_http_stoa_upgrade_is(ngx_str_t *value, const char *name);
static ngx_uint_t ngx_http_stoa_upgrade_connection(ngx_http_request_t *r);


ngx_int_t
ngx_http_stoa_upgrade(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t  *value;

    if (r->headers_in.upgrade == NULL) {
        return NGX_OK;
    }

    value = &r->headers_in.upgrade->value;

    /* clients that speak HTTP/2 offer it with each call, and go on without */

    if (ngx_http_stoa_upgrade_is(value, "h2c")) {
        r->headers_in.upgrade = NULL;
        return NGX_OK;
    }

    if (r->method == NGX_HTTP_GET && r->http_version == NGX_HTTP_VERSION_11
        && ngx_http_stoa_upgrade_is(value, "websocket")
        && ngx_http_stoa_upgrade_connection(r))
    {
        ctx->call.websocket = 1;
        return NGX_OK;
    }

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_UPGRADE, NULL);
}


static ngx_uint_t
ngx_http_stoa_upgrade_is(ngx_str_t *value, const char *name)
{
    return value->len == ngx_strlen(name)
           && ngx_strncasecmp(value->data, (u_char *) name, value->len) == 0;
}


static ngx_uint_t
ngx_http_stoa_upgrade_connection(ngx_http_request_t *r)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_is(h, "connection")
            && ngx_strlcasestrn(h->value.data, h->value.data + h->value.len,
                                (u_char *) "upgrade", 7 - 1))
        {
            return 1;
        }
    }

    return 0;
}


/* The proxy module has written the head of the request, and never asks for an
 * upgrade; a location's own proxy_set_header may. */

ngx_int_t
ngx_http_stoa_upgrade_ask(ngx_http_request_t *r)
{
    u_char               *start, *p;
    size_t                len;
    ngx_buf_t            *b;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    b = u->request_bufs->buf;
    len = b->last - b->start;

    if (ngx_strlcasestrn(b->start, b->last, (u_char *) CRLF "Upgrade:", 10 - 1)
        || len < 4)
    {
        return NGX_OK;
    }

    start = ngx_pnalloc(r->pool, len + sizeof(NGX_HTTP_STOA_UPGRADE_HEAD));
    if (start == NULL) {
        return NGX_ERROR;
    }

    /* before the empty line at the end */

    p = ngx_cpymem(start, b->start, len - 2);
    p = ngx_cpymem(p, NGX_HTTP_STOA_UPGRADE_HEAD CRLF,
                   sizeof(NGX_HTTP_STOA_UPGRADE_HEAD CRLF) - 1);

    u->uri.data = start + (u->uri.data - b->start);

    b->start = start;
    b->pos = start;
    b->last = p;
    b->end = p;

    return NGX_OK;
}
