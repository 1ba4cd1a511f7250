/*
 * The body of a request as a whole.
 */

#include "ngx_http_stoa_content.h"


static void ngx_http_stoa_content_handler(ngx_http_request_t *r);


ngx_int_t
ngx_http_stoa_content_read(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (r->request_body) {
        return NGX_OK;
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_stoa_content_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ctx->call.content_waiting = 1;     /* for ever: see the pipeline */
        return rc;
    }

    /* the phases hold the request, as they do with every step */

    ngx_http_finalize_request(r, NGX_DONE);

    if (rc == NGX_AGAIN) {
        ctx->call.content_waiting = 1;
        return NGX_AGAIN;
    }

    /* read at once: nginx has left the handlers of a wait behind */

    r->write_event_handler = ngx_http_core_run_phases;

    return NGX_OK;
}


static void
ngx_http_stoa_content_handler(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx;

    r->preserve_body = 1;

    ctx = ngx_http_stoa_ctx(r);

    if (ctx && ctx->call.content_waiting) {
        ctx->call.content_waiting = 0;

        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);
    }
}


ngx_int_t
ngx_http_stoa_content_gather(ngx_http_request_t *r, size_t max,
    ngx_str_t *body)
{
    u_char       *p;
    size_t        len;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ngx_str_null(body);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && !cl->buf->in_file) {
        body->data = cl->buf->pos;
        body->len = cl->buf->last - cl->buf->pos;
        return body->len > max ? NGX_DECLINED : NGX_OK;
    }

    len = 0;

    for ( /* void */ ; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);

        if (len > max) {
            return NGX_DECLINED;
        }
    }

    b = ngx_create_temp_buf(r->pool, len + 1);
    if (b == NULL) {
        return NGX_ERROR;
    }

    p = b->pos;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        if (ngx_buf_size(cl->buf) == 0) {
            continue;                      /* HTTP/2 ends with an empty one */
        }

        if (!cl->buf->in_file) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
            continue;
        }

        n = ngx_read_file(cl->buf->file, p, (size_t) ngx_buf_size(cl->buf),
                          cl->buf->file_pos);

        if (n != (ssize_t) ngx_buf_size(cl->buf)) {
            return NGX_ERROR;
        }

        p += n;
    }

    b->last = p;

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;
    r->request_body->bufs = cl;

    body->data = b->pos;
    body->len = len;

    return NGX_OK;
}
