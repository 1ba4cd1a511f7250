/*
 * A copy of a call for a shadow of its upstream, whose answers nobody sees.
 *
 * Made when the call is over, by a fetch that is no request's: so nothing of
 * the client's waits for it, and what failed before is not copied.  Which
 * calls are is dealt out by a counter in the api's place, exactly, over all
 * workers.  A copy has the call's method, path, query and body, and of its
 * headers a few that say what is asked: no credential of anybody.
 *
 * Process: workers.  Lifetime: the fetch's; it holds the compiled api.
 * Limits: `concurrency` of an api and worker, the body, the time; of an answer
 * NGX_HTTP_STOA_MIRROR_ANSWER bytes.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_MIRROR_ANSWER  (1024 * 1024)
#define NGX_HTTP_STOA_MIRROR_STEP    61          /* of 100, to all of them   */


static ngx_uint_t ngx_http_stoa_mirror_due(ngx_http_stoa_api_t *api);
static ngx_int_t ngx_http_stoa_mirror_make(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_fetch_t *f);
static ngx_int_t ngx_http_stoa_mirror_headers(ngx_http_request_t *r,
    ngx_http_stoa_api_t *api, ngx_http_stoa_fetch_t *f);
static ngx_uint_t ngx_http_stoa_mirror_named(ngx_http_stoa_api_t *api,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_stoa_mirror_body(ngx_http_request_t *r,
    ngx_http_stoa_fetch_t *f, size_t max);
static void ngx_http_stoa_mirror_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mirror_handler = {
    NULL,
    NULL,
    ngx_http_stoa_mirror_end
};

static ngx_str_t  ngx_http_stoa_mirror_kept[] = {
    ngx_string("accept"), ngx_string("accept-language"),
    ngx_string("content-type"), ngx_string("content-encoding"),
    ngx_string("content-language"), ngx_string("user-agent"),
    ngx_string("x-request-id"), ngx_string("traceparent"),
    ngx_null_string
};


void
ngx_http_stoa_mirror(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_api_t    *api;
    ngx_http_stoa_fetch_t  *f;

    api = ctx->call.api;

    if (!ctx->call.passed || ctx->call.refused || ctx->call.websocket
        || r->headers_out.status < NGX_HTTP_OK
        || r->headers_out.status == 499
        || !ngx_http_stoa_mirror_due(api))
    {
        return;
    }

    if (api->mirrored >= api->mirror->concurrency) {
        ngx_http_stoa_count(mirror_dropped, 1);
        return;
    }

    f = ngx_http_stoa_fetch_create(ngx_cycle->log);

    if (f == NULL) {
        return;
    }

    if (ngx_http_stoa_mirror_make(r, ctx, f) != NGX_OK) {
        ngx_http_stoa_count(mirror_dropped, 1);
        ngx_http_stoa_fetch_cancel(f);
        return;
    }

    f->handler = &ngx_http_stoa_mirror_handler;
    f->data = api;
    f->connect_timeout = api->mirror->timeout_ms;
    f->read_timeout = api->mirror->timeout_ms;
    f->deadline = ngx_current_msec + api->mirror->timeout_ms;
    f->max_body = NGX_HTTP_STOA_MIRROR_ANSWER;

    api->mirrored++;
    ngx_http_stoa_api_hold(api);
    ngx_http_stoa_count(mirrored, 1);

    ngx_http_stoa_fetch_start(f);
}


/* Its body is to be in memory then, if it may be copied. */

ngx_int_t
ngx_http_stoa_mirror_before(ngx_http_request_t *r, ngx_http_stoa_api_t *api)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->request_body
        || r->headers_in.content_length_n
           > (off_t) api->mirror->max_body_bytes
        || (r->headers_in.content_length_n
            <= (off_t) clcf->client_body_buffer_size
            && !r->headers_in.chunked)
        || clcf->client_body_buffer_size >= api->mirror->max_body_bytes)
    {
        return NGX_OK;
    }

    clcf = ngx_http_stoa_compat_own_conf(r);
    if (clcf == NULL) {
        return NGX_ERROR;
    }

    clcf->client_body_buffer_size = api->mirror->max_body_bytes;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_mirror_due(ngx_http_stoa_api_t *api)
{
    uint64_t                n;
    ngx_http_stoa_place_t  *place;

    place = ngx_http_stoa_target_own(api);

    n = place ? __atomic_fetch_add(&place->mirror, 1, __ATOMIC_RELAXED)
              : (uint64_t) ngx_random();

    return n % 100 * NGX_HTTP_STOA_MIRROR_STEP % 100 < api->mirror->percent;
}


static ngx_int_t
ngx_http_stoa_mirror_make(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_fetch_t *f)
{
    u_char               *p;
    ngx_str_t             url;
    stoa_str_t            to;
    ngx_http_stoa_api_t  *api;

    api = ctx->call.api;
    to = stoa_rec_str(api->rec, api->mirror->url);

    while (to.len && to.data[to.len - 1] == '/') {
        to.len--;
    }

    f->method.data = ngx_pstrdup(f->pool, &r->method_name);
    f->method.len = r->method_name.len;

    p = ngx_pnalloc(f->pool, to.len + ctx->call.to.rest.len + 1);

    if (f->method.data == NULL || p == NULL) {
        return NGX_ERROR;
    }

    url.data = p;
    p = ngx_cpymem(p, to.data, to.len);

    if (ctx->call.to.rest.len == 0 || ctx->call.to.rest.data[0] != '/') {
        *p++ = '/';
    }

    url.len = ngx_cpymem(p, ctx->call.to.rest.data, ctx->call.to.rest.len)
              - url.data;

    if (ngx_http_stoa_mirror_body(r, f, api->mirror->max_body_bytes) != NGX_OK
        || ngx_http_stoa_mirror_headers(r, api, f) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_fetch_url(f, &url, NULL);
}


static ngx_int_t
ngx_http_stoa_mirror_headers(ngx_http_request_t *r, ngx_http_stoa_api_t *api,
    ngx_http_stoa_fetch_t *f)
{
    size_t                       len;
    u_char                      *p;
    ngx_table_elt_t             *h;
    ngx_http_stoa_header_walk_t  w;

    static u_char  mark[] = "X-Stoa-Mirror: 1" CRLF;

    len = sizeof(mark);

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part); h;
         h = ngx_http_stoa_header_next(&w))
    {
        len += h->key.len + h->value.len + sizeof(": " CRLF);
    }

    p = ngx_pnalloc(f->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    f->headers.data = p;
    p = ngx_cpymem(p, mark, sizeof(mark) - 1);

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part); h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_mirror_named(api, h)) {
            p = ngx_sprintf(p, "%V: %V" CRLF, &h->key, &h->value);
        }
    }

    f->headers.len = p - f->headers.data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_mirror_named(ngx_http_stoa_api_t *api, ngx_table_elt_t *h)
{
    uint32_t           i;
    ngx_str_t         *kept;
    stoa_str_t         s;
    const stoa_ref_t  *ref;

    for (kept = ngx_http_stoa_mirror_kept; kept->len; kept++) {
        if (ngx_http_stoa_header_equal(h, (char *) kept->data, kept->len)) {
            return 1;
        }
    }

    ref = stoa_rec_vec(api->rec, api->mirror->headers, stoa_ref_t);

    for (i = 0; i < api->mirror->headers.n; i++) {
        s = stoa_rec_str(api->rec, ref[i]);

        if (ngx_http_stoa_header_equal(h, s.data, s.len)) {
            return 1;
        }
    }

    return 0;
}


/* NGX_DECLINED: it is too long, or nginx has it in a file, which it closes
 * with the upstream.  It moves pos as it sends, and goes back to start. */

static ngx_int_t
ngx_http_stoa_mirror_body(ngx_http_request_t *r, ngx_http_stoa_fetch_t *f,
    size_t max)
{
    size_t        len;
    u_char       *p;
    ngx_chain_t  *cl;

    if (r->request_body == NULL) {
        return r->headers_in.content_length_n > 0 || r->headers_in.chunked
               ? NGX_DECLINED : NGX_OK;
    }

    if (r->request_body_no_buffering || r->request_body->rest > 0) {
        return NGX_DECLINED;
    }

    len = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        len += cl->buf->last - cl->buf->start;

        if (len > max || cl->buf->in_file) {
            return NGX_DECLINED;
        }
    }

    p = ngx_pnalloc(f->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    f->body.data = p;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->start, cl->buf->last - cl->buf->start);
    }

    f->body.len = p - f->body.data;

    return NGX_OK;
}


static void
ngx_http_stoa_mirror_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_api_t *api = data;

    if (how != NGX_HTTP_STOA_FETCH_DONE && how != NGX_HTTP_STOA_FETCH_EXIT) {
        ngx_http_stoa_count(mirror_failed, 1);
    }

    api->mirrored--;
    ngx_http_stoa_api_release(api);
}
