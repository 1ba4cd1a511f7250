/*
 * Answers that are stale, asked for while they are still used: by an inner
 * request, a copy of the client's that is judged as that was, goes to the same
 * group of targets, is charged to nobody, and whose answer nobody reads but
 * the filter that keeps it.
 *
 * Process: workers.  Lifetime: that request's; it holds nothing of the
 * client's, and the lock of the answer.  Limits: CACHE_REFRESHES in a worker;
 * beyond that callers ask themselves.
 */

#include "ngx_http_stoa_cache.h"
#include "ngx_http_stoa_api.h"


#define CACHE_REFRESHES  128


typedef struct {
    ngx_http_stoa_inner_t      inner;
    ngx_shm_zone_t            *zone;
    ngx_http_stoa_keep_key_t   lock;           /* its text is behind this    */
    uint64_t                   gen;
    ngx_uint_t                 over;           /* unsigned                   */
    ngx_uint_t                 starting;       /* unsigned                   */
} ngx_http_stoa_refresh_t;


static void ngx_http_stoa_refresh_head(ngx_http_request_t *r, void *data);
static void ngx_http_stoa_refresh_body(void *data, const u_char *p,
    size_t len);
static void ngx_http_stoa_refresh_over(void *data);


static const ngx_http_stoa_sink_t  ngx_http_stoa_refresh_sink = {
    ngx_http_stoa_refresh_head,
    ngx_http_stoa_refresh_body,
    ngx_http_stoa_refresh_over
};

/* What is the client's alone: his connection, and what he asks of a cache. */

static const char *const  ngx_http_stoa_refresh_without[] = {
    "content-length", "transfer-encoding", "connection", "keep-alive",
    "upgrade", "expect", "te", "http2-settings", "cache-control", "pragma",
    "range", "if-range", "if-match", "if-none-match", "if-modified-since",
    "if-unmodified-since", NULL
};

static ngx_uint_t  ngx_http_stoa_refreshes;


ngx_int_t
ngx_http_stoa_cache_refresh(ngx_http_stoa_cached_t *c)
{
    ngx_int_t                 rc;
    ngx_str_t                 group;
    ngx_uint_t                over;
    ngx_http_stoa_ctx_t      *ctx;
    ngx_http_stoa_refresh_t  *f;

    ctx = c->ctx;

    /* a key that was in the query is not in it any more */

    if (ctx->inner || ctx->key_query
        || ngx_http_stoa_refreshes >= CACHE_REFRESHES)
    {
        return NGX_DECLINED;
    }

    ngx_str_null(&group);

    if (ctx->call.group) {
        group = ctx->call.api->groups[ctx->call.group - 1].name;
    }

    f = ngx_alloc(sizeof(ngx_http_stoa_refresh_t) + c->lock.text.len
                  + group.len, c->request->connection->log);
    if (f == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(f, sizeof(ngx_http_stoa_refresh_t));
    f->zone = c->mcf->keep;
    f->lock = c->lock;
    f->lock.text.data = (u_char *) (f + 1);
    ngx_memcpy(f->lock.text.data, c->lock.text.data, c->lock.text.len);
    f->gen = c->lock_gen;

    if (group.len) {
        f->inner.group.data = f->lock.text.data + f->lock.text.len;
        f->inner.group.len = group.len;
        ngx_memcpy(f->inner.group.data, group.data, group.len);
    }

    f->inner.sink = &ngx_http_stoa_refresh_sink;
    f->inner.data = f;
    f->inner.without = ngx_http_stoa_refresh_without;
    f->inner.silent = 1;

    ngx_http_stoa_refreshes++;
    f->starting = 1;
    rc = ngx_http_stoa_inner_start(&f->inner, c->request, NULL);
    f->starting = 0;

    if (rc != NGX_OK) {
        ngx_http_stoa_refreshes--;
        ngx_free(f);
        return NGX_DECLINED;
    }

    c->lock_gen = 0;
    over = f->over;

#if (NGX_SSL || NGX_COMPAT)
    if (!over) {
        f->inner.request->connection->ssl = NULL;      /* it may end before  */
    }
#endif

    if (over) {
        ngx_http_stoa_refresh_over(f);
    }

    return NGX_OK;
}


static void
ngx_http_stoa_refresh_head(ngx_http_request_t *r, void *data)
{
    (void) r;
    (void) data;
}


static void
ngx_http_stoa_refresh_body(void *data, const u_char *p, size_t len)
{
    (void) data;
    (void) p;
    (void) len;
}


static void
ngx_http_stoa_refresh_over(void *data)
{
    ngx_http_stoa_refresh_t *f = data;

    f->over = 1;

    if (f->starting) {
        return;
    }

    ngx_http_stoa_keep_drop(f->zone, &f->lock, f->gen);
    ngx_http_stoa_refreshes--;
    ngx_free(f);
}
