/*
 * The context of a request: found, made, ended.
 */

#include "ngx_http_stoa_ctx.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_REQUEST_ID_MAX  64


static ngx_http_stoa_ctx_t *ngx_http_stoa_ctx_find(ngx_http_request_t *r);
static ngx_http_stoa_ctx_t *ngx_http_stoa_ctx_alloc(ngx_http_request_t *r);
static void ngx_http_stoa_ctx_cleanup(void *data);
static ngx_int_t ngx_http_stoa_ctx_request_id(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_uint_t ngx_http_stoa_ctx_harmless(ngx_str_t *id);


ngx_http_stoa_ctx_t *
ngx_http_stoa_ctx(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        /* nginx has forgotten it at an internal redirect */

        ctx = ngx_http_stoa_ctx_find(r);
    }

    return ctx;
}


static ngx_http_stoa_ctx_t *
ngx_http_stoa_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_stoa_ctx_t  *ctx;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_stoa_ctx_cleanup) {
            continue;
        }

        /* subrequests share the pool */

        ctx = cln->data;

        if (ctx->request == r) {
            return ctx;
        }
    }

    return NULL;
}


ngx_http_stoa_ctx_t *
ngx_http_stoa_ctx_create(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_stoa_module);
    if (ctx) {
        return ctx;
    }

    ctx = ngx_http_stoa_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_stoa_ctx_alloc(r);

        if (ctx == NULL || ngx_http_stoa_ctx_request_id(r, ctx) != NGX_OK) {
            return NULL;
        }
    }

    ngx_http_set_ctx(r, ctx, ngx_http_stoa_module);

    return ctx;
}


static ngx_http_stoa_ctx_t *
ngx_http_stoa_ctx_alloc(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_stoa_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, NGX_HTTP_STOA_CTX_CLEARED);

    ctx->request = r;
    ctx->start_ns = ngx_http_stoa_now_ns();
    cln->handler = ngx_http_stoa_ctx_cleanup;

    return ctx;
}


ngx_http_stoa_ctx_t *
ngx_http_stoa_ctx_clone(ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_ctx_t  *clone;

    clone = ngx_http_stoa_ctx_alloc(ctx->request);

    if (clone) {
        *clone = *ctx;
        ngx_memzero(&clone->call, sizeof(ngx_http_stoa_call_t));
        clone->call.edge = ctx->call.edge;
        clone->call.api = ctx->call.api;
        clone->call.route_tenant = ctx->call.route_tenant;
        clone->call.subscription = ctx->call.subscription;
        ngx_memcpy(clone->call.chain, ctx->call.chain,
                   sizeof(ctx->call.chain));
        clone->call.policy_types = ctx->call.policy_types;
        clone->call.policy_turns = ctx->call.policy_turns;
        clone->request = NULL;
        clone->trace = NULL;
        ngx_str_null(&clone->key);
    }

    return clone;
}


ngx_int_t
ngx_http_stoa_ctx_finisher(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_finish_pt finish, void *data)
{
    ngx_http_stoa_finisher_t  *f;

    f = &ctx->call.finisher;

    if (f->finish) {
        f = ngx_palloc(ctx->request->pool, sizeof(ngx_http_stoa_finisher_t));
        if (f == NULL) {
            return NGX_ERROR;
        }
    }

    f->finish = finish;
    f->data = data;
    f->next = ctx->call.finishers;
    ctx->call.finishers = f;

    return NGX_OK;
}


void
ngx_http_stoa_ctx_finish(ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_finisher_t  *f;

    while ((f = ctx->call.finishers) != NULL) {
        ctx->call.finishers = f->next;
        f->finish(ctx, f->data);
    }
}


void
ngx_http_stoa_ctx_reset(ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_ctx_cleanup(ctx);
    ngx_memzero(&ctx->call, sizeof(ngx_http_stoa_call_t));

    /* its notes point into what that call has held */

    ctx->trace = NULL;
}


static void
ngx_http_stoa_ctx_cleanup(void *data)
{
    ngx_http_stoa_ctx_t *ctx = data;

    ngx_http_stoa_ctx_finish(ctx);

    if (ctx->key.len) {
        ngx_explicit_memzero(ctx->key.data, ctx->key.len);
        ctx->key.len = 0;
    }

    if (ctx->call.query.len) {
        ngx_explicit_memzero(ctx->call.query.data, ctx->call.query.len);
        ctx->call.query.len = 0;
    }
}


ngx_int_t
ngx_http_stoa_ctx_suspend(ngx_http_request_t *r)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


void
ngx_http_stoa_ctx_wake(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;
    ngx_http_set_log_request(c->log, r);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);

    } else {
        r->read_event_handler = ngx_http_block_reading;
        r->write_event_handler = ngx_http_core_run_phases;

        ngx_http_core_run_phases(r);
    }

    ngx_http_run_posted_requests(c);
}


/* The client's if it is harmless in logs and headers, else a new one. */

static ngx_int_t
ngx_http_stoa_ctx_request_id(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                       *p;
    uint64_t                      random[2];
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_is(h, "x-request-id")
            && ngx_http_stoa_ctx_harmless(&h->value))
        {
            ctx->request_id = h->value;
            return NGX_OK;
        }
    }

    if (ngx_http_stoa_random(random, 2) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->request_id.data = ctx->request_id_text;
    ctx->request_id.len = sizeof(ctx->request_id_text);

    p = ngx_http_stoa_hex(ctx->request_id_text, random[0]);
    (void) ngx_http_stoa_hex(p, random[1]);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_ctx_harmless(ngx_str_t *id)
{
    u_char   ch;
    size_t   i;

    if (id->len == 0 || id->len > NGX_HTTP_STOA_REQUEST_ID_MAX) {
        return 0;
    }

    for (i = 0; i < id->len; i++) {
        ch = id->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '.' || ch == '_'
              || ch == '-'))
        {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_stoa_ctx_text(ngx_http_request_t *r, stoa_buf_t *b, ngx_str_t *text)
{
    return ngx_http_stoa_text(r->pool, b, text);
}


ngx_int_t
ngx_http_stoa_text(ngx_pool_t *pool, stoa_buf_t *b, ngx_str_t *text)
{
    text->len = b->len;
    text->data = b->rc == STOA_OK ? ngx_pnalloc(pool, b->len) : NULL;

    if (text->data) {
        ngx_memcpy(text->data, b->data, b->len);
    }

    stoa_buf_free(b);

    return text->data ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_stoa_copy(ngx_pool_t *pool, ngx_str_t *to,
    const ngx_str_t *from)
{
    to->len = from->len;
    to->data = ngx_pnalloc(pool, from->len + 1);

    if (to->data == NULL) {
        return NGX_ERROR;
    }

    if (from->len) {
        ngx_memcpy(to->data, from->data, from->len);
    }

    to->data[from->len] = '\0';

    return NGX_OK;
}
