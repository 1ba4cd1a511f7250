/*
 * Sources: a GET, its events, and when to try again.
 */

#include "ngx_http_stoa_source.h"
#include "ngx_http_stoa_store.h"
#include "core/stoa_media.h"


#define NGX_HTTP_STOA_MCP_SOURCE_IDLE  3600000
#define NGX_HTTP_STOA_MCP_SOURCE_TOP   30000
#define NGX_HTTP_STOA_MCP_SOURCE_RENEW 1000
#define NGX_HTTP_STOA_MCP_SOURCE_AGED  30000  /* ms; what headers say ages  */
#define NGX_HTTP_STOA_MCP_EID_MAX      1024


static ngx_int_t ngx_http_stoa_mcp_source_copy(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_source_t *src,
    const stoa_mcp_ref_t *ref);
static ngx_int_t ngx_http_stoa_mcp_source_renew(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_source_head(ngx_http_stoa_fetch_t *f,
    void *data);
static void ngx_http_stoa_mcp_source_chunk(ngx_http_stoa_fetch_t *f,
    void *data, const u_char *p, size_t len);
static void ngx_http_stoa_mcp_source_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static void ngx_http_stoa_mcp_source_ended(ngx_http_stoa_mcp_source_t *src);
static stoa_rc_t ngx_http_stoa_mcp_source_event(void *data,
    const stoa_sse_event_t *event);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_source_handler =
{
    ngx_http_stoa_mcp_source_head,
    ngx_http_stoa_mcp_source_chunk,
    ngx_http_stoa_mcp_source_end
};


ngx_http_stoa_mcp_source_t *
ngx_http_stoa_mcp_source_create(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_api_t *api,
    const stoa_mcp_ref_t *ref, const stoa_str_t *eid)
{
    ngx_http_stoa_mcp_source_t  *src;

    src = ngx_calloc(sizeof(ngx_http_stoa_mcp_source_t), ngx_cycle->log);
    if (src == NULL) {
        return NULL;
    }

    src->api = api;
    src->retry_ms = -1;
    stoa_buf_init(&src->eid, NGX_HTTP_STOA_MCP_EID_MAX);
    stoa_buf_add(&src->eid, eid->data, eid->len);
    ngx_http_stoa_via(r, &src->via);
    ngx_http_stoa_api_hold(api);

    if (src->eid.rc != STOA_OK
        || ngx_http_stoa_mcp_source_copy(r, ctx, src, ref) != NGX_OK)
    {
        ngx_http_stoa_mcp_source_free(src);
        return NULL;
    }

    return src;
}


/* What outlives the caller's. */

static ngx_int_t
ngx_http_stoa_mcp_source_copy(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_source_t *src, const stoa_mcp_ref_t *ref)
{
    u_char      *p;
    ngx_int_t    rc;
    ngx_str_t    text, subject;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_mcp_relay_headers(r, ctx, src->api, ref, pool, &text);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_credential_caller(src->api, ctx, pool, &subject);
    }

    if (rc == NGX_OK) {
        p = ngx_alloc(ref->sid.len + text.len + subject.len + 1,
                      ngx_cycle->log);
        rc = p ? NGX_OK : NGX_ERROR;

        if (p) {
            src->ref = *ref;
            src->ref.sid.data = (char *) p;
            p = ngx_cpymem(p, ref->sid.data, ref->sid.len);
            src->headers.data = p;
            src->headers.len = text.len;
            p = ngx_cpymem(p, text.data, text.len);
            src->subject.data = p;
            src->subject.len = subject.len;

            if (subject.len) {
                ngx_memcpy(p, subject.data, subject.len);
            }
        }
    }

    ngx_destroy_pool(pool);

    return rc;
}


ngx_http_stoa_mcp_source_t *
ngx_http_stoa_mcp_source_clone(const ngx_http_stoa_mcp_source_t *of,
    const stoa_str_t *eid)
{
    u_char                      *p;
    size_t                       len;
    ngx_http_stoa_mcp_source_t  *src;

    len = of->ref.sid.len + of->headers.len + of->subject.len;

    src = ngx_calloc(sizeof(ngx_http_stoa_mcp_source_t), ngx_cycle->log);
    p = ngx_alloc(len + 1, ngx_cycle->log);

    if (src == NULL || p == NULL) {
        ngx_free(src);
        ngx_free(p);
        return NULL;
    }

    ngx_memcpy(p, of->ref.sid.data, len);       /* one behind the other      */
    src->ref = of->ref;
    src->ref.sid.data = (char *) p;
    src->headers.data = p + of->ref.sid.len;
    src->headers.len = of->headers.len;
    src->subject.data = src->headers.data + of->headers.len;
    src->subject.len = of->subject.len;
    src->api = of->api;
    src->via = of->via;
    src->retry_ms = -1;
    stoa_buf_init(&src->eid, NGX_HTTP_STOA_MCP_EID_MAX);
    stoa_buf_add(&src->eid, eid->data, eid->len);
    ngx_http_stoa_api_hold(src->api);

    return src;
}


void
ngx_http_stoa_mcp_source_free(ngx_http_stoa_mcp_source_t *src)
{
    if (src->fetch) {
        ngx_http_stoa_fetch_cancel(src->fetch);
    }

    if (src->sse.magic) {
        stoa_sse_free(&src->sse);
    }

    stoa_buf_free(&src->eid);
    stoa_buf_free(&src->body);
    ngx_http_stoa_api_release(src->api);

    if (src->ref.sid.data) {
        ngx_free((char *) src->ref.sid.data);
    }

    ngx_free(src);
}


void
ngx_http_stoa_mcp_source_start(ngx_http_stoa_mcp_source_t *src)
{
    u_char                 *p;
    ngx_uint_t              pin;
    ngx_http_stoa_fetch_t  *f;

    static ngx_str_t  none = ngx_null_string;

    pin = src->ref.target;
    src->status = 0;
    src->came = 0;
    src->acked = 0;

    f = ngx_http_stoa_fetch_create(ngx_cycle->log);

    p = f ? ngx_pnalloc(f->pool, src->headers.len + src->eid.len + 32) : NULL;

    if (p == NULL
        || ngx_http_stoa_upstream_fetch(f, src->api, &src->via, &none,
                                        src->body.len ? NULL : &pin)
           != NGX_OK)
    {
        if (f) {
            ngx_http_stoa_fetch_cancel(f);
        }

        ngx_http_stoa_mcp_source_ended(src);
        return;
    }

    f->headers.data = p;
    p = ngx_cpymem(p, src->headers.data, src->headers.len);

    if (src->eid.len) {
        p = ngx_sprintf(p, "Last-Event-ID: %*s" CRLF, src->eid.len,
                        src->eid.data);
    }

    f->headers.len = p - f->headers.data;
    f->subject = src->subject;
    ngx_str_set(&f->method, "GET");

    if (src->body.len) {
        ngx_str_set(&f->method, "POST");
        f->body.data = (u_char *) src->body.data;
        f->body.len = src->body.len;
    }

    f->handler = &ngx_http_stoa_mcp_source_handler;
    f->data = src;
    f->read_timeout = NGX_HTTP_STOA_MCP_SOURCE_IDLE;
    f->idempotent = 1;

    src->fetch = f;
    stoa_sse_init(&src->sse, NGX_HTTP_STOA_MCP_EVENT_MAX,
                  ngx_http_stoa_mcp_source_event, src);

    ngx_http_stoa_fetch_start(f);
}


static void
ngx_http_stoa_mcp_source_head(ngx_http_stoa_fetch_t *f, void *data)
{
    ngx_http_stoa_mcp_source_t *src = data;

    stoa_str_t  type;

    src->heard = 1;
    src->status = f->http.status;

    if (src->status != NGX_HTTP_OK
        || stoa_http_header(&f->http, "content-type", &type) != 1
        || !stoa_media_is(type.data, type.len, "text/event-stream"))
    {
        /* 405: it has none; 409: there is one */

        src->over = !src->kept && src->status != NGX_HTTP_CONFLICT
                    && src->status < NGX_HTTP_INTERNAL_SERVER_ERROR;
        src->status = src->status == NGX_HTTP_OK ? NGX_HTTP_BAD_GATEWAY
                                                 : src->status;

        ngx_http_stoa_fetch_cancel(f);
        ngx_http_stoa_mcp_source_ended(src);
        return;
    }

    src->read(src);
}


static void
ngx_http_stoa_mcp_source_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_source_t *src = data;

    if (stoa_sse_feed(&src->sse, (const char *) p, len) != STOA_OK) {
        src->over = 1;
        ngx_http_stoa_fetch_cancel(f);
        ngx_http_stoa_mcp_source_ended(src);
        return;
    }

    stoa_sse_idle(&src->sse);
    src->read(src);
}


static void
ngx_http_stoa_mcp_source_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    (void) f;
    (void) how;

    ngx_http_stoa_mcp_source_ended(data);
}


/* The owner may free it. */

static void
ngx_http_stoa_mcp_source_ended(ngx_http_stoa_mcp_source_t *src)
{
    ngx_msec_t  delay;

    src->heard = 1;
    src->fetch = NULL;

    if (src->sse.magic) {
        stoa_sse_free(&src->sse);
        src->sse.magic = 0;
    }

    src->failures = src->came ? 0 : src->failures + 1;

    delay = (ngx_msec_t) 500 << ngx_min(src->failures, 6);

    if (src->retry_ms > (int64_t) delay) {
        delay = src->retry_ms;
    }

    src->again = ngx_current_msec
                 + ngx_min(delay, NGX_HTTP_STOA_MCP_SOURCE_TOP);

    src->read(src);
}


static stoa_rc_t
ngx_http_stoa_mcp_source_event(void *data, const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_source_t *src = data;

    src->came = 1;

    if (event->retry_ms >= 0) {
        src->retry_ms = event->retry_ms;
    }

    if (event->has_id) {
        stoa_buf_reset(&src->eid);
        stoa_buf_add(&src->eid, event->id.data, event->id.len);
    }

    return src->event(src, event);
}


/* ---- all of a stream ---------------------------------------------------- */

ngx_uint_t
ngx_http_stoa_mcp_sources_wait(ngx_http_stoa_mcp_source_t *src)
{
    while (src && src->heard) {
        src = src->next;
    }

    return src != NULL;
}


void
ngx_http_stoa_mcp_sources_again(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_source_t  *next;

    for ( /* void */ ; src; src = next) {
        next = src->next;              /* src may be freed as it begins      */

        if (src->fetch || src->over
            || (ngx_msec_int_t) (ngx_current_msec - src->again) < 0)
        {
            continue;
        }

        if (ngx_http_stoa_mcp_source_renew(r, ctx, src) == NGX_OK) {
            ngx_http_stoa_mcp_source_start(src);

        } else {
            src->again = ngx_current_msec + NGX_HTTP_STOA_MCP_SOURCE_RENEW;
        }
    }
}


/* A configuration may have come since.  NGX_ERROR: not now; what the client
 * may hear no more is taken away by whoever looks for that. */

static ngx_int_t
ngx_http_stoa_mcp_source_renew(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_source_t *src)
{
    uint64_t                    rev;
    stoa_mcp_ref_t              had;
    ngx_http_stoa_api_t        *api, *before;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_store_enter(mcf->store) != NGX_OK) {
        return NGX_ERROR;
    }

    /* what is made stays in the client's request, which may last an hour */

    rev = ngx_http_stoa_store_rev(mcf->store);

    if (src->rev == rev
        && ngx_current_msec - src->renewed < NGX_HTTP_STOA_MCP_SOURCE_AGED)
    {
        return NGX_OK;
    }

    api = ngx_http_stoa_mcp_relay_of(r, ctx, &src->ref);
    if (api == NULL) {
        return NGX_ERROR;
    }

    before = src->api;
    had = src->ref;
    src->api = api;

    if (ngx_http_stoa_mcp_source_copy(r, ctx, src, &had) != NGX_OK) {
        src->api = before;
        return NGX_ERROR;
    }

    ngx_free((char *) had.sid.data);
    ngx_http_stoa_api_hold(api);
    ngx_http_stoa_api_release(before);
    ngx_http_stoa_via(r, &src->via);

    src->rev = rev;
    src->renewed = ngx_current_msec;

    return NGX_OK;
}


void
ngx_http_stoa_mcp_sources_full(ngx_http_stoa_mcp_source_t *src,
    ngx_uint_t full)
{
    for ( /* void */ ; src; src = src->next) {
        if (src->fetch == NULL) {
            continue;
        }

        if (full) {
            ngx_http_stoa_fetch_pause(src->fetch);

        } else {
            ngx_http_stoa_fetch_resume(src->fetch);
        }
    }
}


void
ngx_http_stoa_mcp_sources_still(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_source_t **sources,
    void (*gone)(ngx_http_stoa_mcp_source_t *src))
{
    stoa_id_t                    api;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_mcp_source_t  *src;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ngx_http_stoa_store_enter(mcf->store) != NGX_OK) {
        return;
    }

    while ((src = *sources) != NULL) {

        ngx_memcpy(&api, src->ref.api, STOA_ID_LEN);

        if (ngx_http_stoa_mcp_relay_may(r, ctx, &api)) {
            sources = &src->next;
            continue;
        }

        gone(src);
        *sources = src->next;
        ngx_http_stoa_mcp_source_free(src);
    }
}


void
ngx_http_stoa_mcp_sources_free(ngx_http_stoa_mcp_source_t **sources)
{
    ngx_http_stoa_mcp_source_t  *src;

    while ((src = *sources) != NULL) {
        *sources = src->next;
        ngx_http_stoa_mcp_source_free(src);
    }
}
