/*
 * An answer that is kept, as that of a request: by a content handler, or in
 * the place of another one.  Process: workers.
 */

#include "ngx_http_stoa_cache.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"


static ngx_int_t ngx_http_stoa_cache_restore_line(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);


ngx_int_t
ngx_http_stoa_cache_load(ngx_http_stoa_cached_t *c)
{
    u_char              *p;
    ngx_http_request_t  *r;

    r = c->request;

    if (c->kept.len < c->note.head_len) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(r->pool, c->note.head_len + 1);

    if (p == NULL
        || ngx_http_stoa_keep_read(c->mcf->keep, &c->kept, 0, p,
                                   c->note.head_len)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    c->head.data = p;
    c->head.len = c->note.head_len;
    c->body = NULL;
    c->body_len = c->kept.len - c->note.head_len;

    /* nginx cuts several ranges from one buffer alone */

    return r->method == NGX_HTTP_HEAD
           ? NGX_OK
           : ngx_http_stoa_keep_lend(c->mcf->keep, &c->kept, c->head.len,
                                     r->pool, r->headers_in.range != NULL,
                                     &c->body);
}


/* One of the lines of a head; NULL: it has none. */

ngx_str_t *
ngx_http_stoa_cache_line(ngx_str_t *head, const char *name, ngx_str_t *value)
{
    size_t   len;
    u_char  *p, *end, *last;

    len = ngx_strlen(name);
    last = head->data + head->len;

    for (p = head->data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '\n');

        if (end == NULL) {
            break;
        }

        if ((size_t) (end - p) >= len + 2 && p[len] == ':'
            && ngx_strncasecmp(p, (u_char *) name, len) == 0)
        {
            value->data = p + len + 2;
            value->len = end - value->data;
            return value;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_stoa_cache_restore(ngx_http_stoa_cached_t *c)
{
    u_char           *p;
    int64_t           age;
    ngx_table_elt_t  *h;

    if (ngx_http_stoa_cache_page(c->request, c->ctx, c->note.status,
                                 c->note.target, &c->head, c->body,
                                 c->body_len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = ngx_http_stoa_header_add(c->request, "Age");
    p = ngx_pnalloc(c->request->pool, NGX_INT64_LEN);

    if (h == NULL || p == NULL) {
        return NGX_ERROR;
    }

    age = (ngx_http_stoa_now_ms() - c->note.times.born_ms) / 1000;
    h->value.data = p;
    h->value.len = ngx_sprintf(p, "%L", ngx_max(age, 0)) - p;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_cache_page(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t status, ngx_uint_t target, ngx_str_t *head, ngx_chain_t *body,
    off_t len)
{
    u_char               *p, *end, *last, *colon;
    ngx_str_t             name, value;
    ngx_buf_t            *b;
    ngx_chain_t          *cl;
    ngx_http_stoa_api_t  *api;

    ngx_http_clean_header(r);

    /* what it says of itself is mapped (response-locations) */

    api = ctx->call.api;
    ctx->call.to.target = &api->targets[target < api->ntargets ? target : 0];

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;
    r->allow_ranges = status == NGX_HTTP_OK;

    /* nginx answers the client's own conditions */

    r->disable_not_modified = 0;

    last = head->data + head->len;

    for (p = head->data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '\n');
        colon = end ? ngx_strlchr(p, end, ':') : NULL;

        if (end == NULL) {
            break;
        }

        if (colon == NULL || colon + 2 > end) {
            continue;
        }

        name.data = p;
        name.len = colon - p;
        value.data = colon + 2;
        value.len = end - value.data;

        if (ngx_http_stoa_cache_restore_line(r, &name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx->call.page = body;

    for (cl = body; cl && cl->next; cl = cl->next) { /* void */ }

    if (cl == NULL) {
        cl = ngx_alloc_chain_link(r->pool);
        b = ngx_calloc_buf(r->pool);

        if (cl == NULL || b == NULL) {
            return NGX_ERROR;
        }

        cl->buf = b;
        cl->next = NULL;
        ctx->call.page = cl;
    }

    cl->buf->last_buf = 1;
    cl->buf->last_in_chain = 1;
    ctx->call.from_cache = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_cache_restore_line(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    if (name->len == 12
        && ngx_strncasecmp(name->data, (u_char *) "content-type", 12) == 0)
    {
        r->headers_out.content_type = *value;
        r->headers_out.content_type_len = value->len;
        return NGX_OK;
    }

    h = ngx_http_stoa_header_out(r, (char *) name->data, name->len);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->value = *value;

    if (ngx_http_stoa_header_named(h, "etag")) {
        r->headers_out.etag = h;

    } else if (ngx_http_stoa_header_named(h, "last-modified")) {
        r->headers_out.last_modified = h;
        r->headers_out.last_modified_time = ngx_parse_http_time(value->data,
                                                                value->len);

    } else if (ngx_http_stoa_header_named(h, "content-encoding")) {
        r->headers_out.content_encoding = h;

    } else if (ngx_http_stoa_header_named(h, "location")
               && value->len && value->data[0] != '/')
    {
        /* of another nginx would make one with a host, as of a page's */

        r->headers_out.location = h;

    } else if (ngx_http_stoa_header_named(h, "expires")) {
        r->headers_out.expires = h;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_cache_send(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_stoa_ctx_t     *ctx;
    ngx_http_stoa_cached_t  *c;

    ctx = ngx_http_stoa_ctx(r);
    c = ctx->call.cached;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_stoa_cache_restore(c) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_stoa_cache_send_page(r, ctx);
}


ngx_int_t
ngx_http_stoa_cache_send_page(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    cl = ctx->call.page;
    ctx->call.page = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, cl);
}
