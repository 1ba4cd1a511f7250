/*
 * The step that looks for a kept answer, and what the upstream is asked where
 * there is none.  Process: workers.
 *
 * Of the calls that miss one answer the first asks, the others wait for it, by
 * a timer, as it may be another worker's; for lock_ms at most, then they ask
 * themselves.
 */

#include "ngx_http_stoa_cache.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_zone.h"


#define CACHE_LOCK_MS  600000                  /* whose holder lives         */
#define CACHE_LOOK_MS  4                       /* those who wait, then more  */


static ngx_int_t ngx_http_stoa_policy_cache_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_cache_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_cache_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_cache_look(ngx_http_stoa_cached_t *c);
static ngx_int_t ngx_http_stoa_cache_wait(ngx_http_stoa_cached_t *c);
static ngx_int_t ngx_http_stoa_cache_stale(ngx_http_stoa_cached_t *c);
static ngx_int_t ngx_http_stoa_cache_forward(ngx_http_stoa_cached_t *c);
static void ngx_http_stoa_cache_timer(ngx_event_t *ev);
static void ngx_http_stoa_cache_finish(ngx_http_stoa_ctx_t *ctx, void *data);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cache = {
    .name = "cache",
    .head = ngx_http_stoa_policy_cache_head,
    .look = 1,
    .upstream = ngx_http_stoa_policy_cache_upstream
};


static ngx_int_t
ngx_http_stoa_policy_cache_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    (void) r;

    if (!a->shadow) {
        ctx->call.cache = a;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_cache_step(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_cached_t  *c;

    if (ctx->call.cache == NULL) {
        return NGX_OK;
    }

    if (ctx->call.cached == NULL
        && ngx_http_stoa_cache_begin(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    c = ctx->call.cached;

    return c->looked ? ngx_http_stoa_cache_look(c) : NGX_OK;
}


/* What the request itself says; 1: it has a cookie. */

static ngx_uint_t
ngx_http_stoa_cache_asked(ngx_http_stoa_cached_t *c)
{
    ngx_uint_t                    said, pragma, cookie;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    stoa_cache_control_init(&c->asked);

    said = 0;
    pragma = 0;
    cookie = 0;

    for (h = ngx_http_stoa_header_first(&w,
                                   &c->request->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_is(h, "cookie")) {
            cookie = 1;

        } else if (!c->conf->obey_clients) {
            continue;

        } else if (ngx_http_stoa_header_is(h, "cache-control")) {
            stoa_cache_control_add(&c->asked, (char *) h->value.data,
                                   h->value.len);
            said = 1;

        } else if (ngx_http_stoa_header_is(h, "pragma")) {
            pragma = ngx_strlcasestrn(h->value.data,
                                      h->value.data + h->value.len,
                                      (u_char *) "no-cache", 8 - 1) != NULL;
        }
    }

    c->asked.no_cache |= !said && pragma;

    return cookie;
}


/* Which calls a cache has a say in; the others go to the upstream, and what
 * they get is not kept. */

static ngx_uint_t
ngx_http_stoa_cache_fits(ngx_http_stoa_cached_t *c, ngx_uint_t cookie)
{
    ngx_http_request_t  *r;

    r = c->request;

    return (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
           && r->headers_in.content_length_n <= 0 && !r->headers_in.chunked
           && r->headers_in.upgrade == NULL && r->headers_in.if_match == NULL
           && r->headers_in.if_unmodified_since == NULL && !c->asked.no_store
           && (!cookie || c->conf->ignore_cookies);
}


/* As if there were no cache. */

static ngx_int_t
ngx_http_stoa_cache_bypass(ngx_http_stoa_cached_t *c)
{
    c->looked = 0;
    c->unsafe = 0;
    ngx_http_stoa_cache_release(c);
    ngx_http_stoa_count(cache_bypassed, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_cache_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_cached_t  *c;

    c = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_cached_t));
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->request = r;
    c->client = r->headers_in.headers;
    c->ctx = ctx;
    c->mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    c->attached = ctx->call.cache;
    c->conf = c->attached->config;
    c->says = "fwd=bypass";
    ctx->call.cached = c;

    c->looked = !ctx->call.templated
                && ngx_http_stoa_cache_fits(c, ngx_http_stoa_cache_asked(c));
    c->unsafe = !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS
                               |NGX_HTTP_TRACE));

    if (!c->looked && !c->unsafe) {
        return ngx_http_stoa_cache_bypass(c);
    }

    if (ctx->call.api->split && ctx->call.group == 0) {
        (void) ngx_http_stoa_split(r, ctx, ctx->call.api);
    }

    if (ngx_http_stoa_cache_key(c) != NGX_OK) {
        return ngx_http_stoa_cache_bypass(c);
    }

    return ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_cache_finish, c);
}


/* What lies under the call's key, past a mark; NGX_DECLINED: it has no key,
 * as headers that a Vary names are too long. */

static ngx_int_t
ngx_http_stoa_cache_find(ngx_http_stoa_cached_t *c)
{
    u_char      names[NGX_HTTP_STOA_CACHE_VARY];
    stoa_str_t  list;

    c->there = 0;
    c->key = c->base;

    if (ngx_http_stoa_keep_find(c->mcf->keep, &c->base, &c->kept) != NGX_OK) {
        return NGX_OK;
    }

    ngx_memcpy(&c->note, c->kept.note, sizeof(c->note));

    if (c->note.kind == NGX_HTTP_STOA_CACHE_VARIES) {

        if (c->kept.len > sizeof(names)
            || ngx_http_stoa_keep_read(c->mcf->keep, &c->kept, 0, names,
                                       c->kept.len)
               != NGX_OK)
        {
            return NGX_OK;
        }

        list.data = (char *) names;
        list.len = c->kept.len;

        /* who waits does not make the same one again and again */

        if (c->variant.text.len && c->varies == c->kept.gen) {
            c->key = c->variant;

        } else {
            c->varies = c->kept.gen;

            if (ngx_http_stoa_cache_key_variant(c, list, c->note.caller)
                != NGX_OK)
            {
                return NGX_DECLINED;
            }

            c->variant = c->key;
        }

        if (ngx_http_stoa_keep_find(c->mcf->keep, &c->key, &c->kept)
            != NGX_OK)
        {
            return NGX_OK;
        }

        ngx_memcpy(&c->note, c->kept.note, sizeof(c->note));
    }

    c->there = c->note.kind != NGX_HTTP_STOA_CACHE_ANSWER
               || !ngx_http_stoa_cache_purged(c);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_cache_hit(ngx_http_stoa_cached_t *c, const char *says)
{
    ngx_http_request_t  *r;

    r = c->request;

    if (ngx_http_stoa_cache_load(c) != NGX_OK) {
        c->there = 0;
        return NGX_DECLINED;
    }

    c->says = says;
    c->sent = 1;
    ngx_http_stoa_cache_release(c);

    if (c->conf->charge_hits == STOA_CACHE_CHARGE_NONE) {
        ngx_http_stoa_limits_free(r, c->ctx);
    }

    ngx_http_stoa_policy_count(c->attached, NGX_HTTP_STOA_OUTCOME_APPLIED);
    ngx_http_stoa_count(cache_hits, 1);
    ngx_http_stoa_count(cache_bytes, c->body ? c->body_len : 0);

    r->content_handler = ngx_http_stoa_cache_send;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_stoa_cache_lock(ngx_http_stoa_cached_t *c)
{
    ngx_int_t             rc;
    ngx_http_stoa_kept_t  lock;

    c->lock.owner = c->key.owner;
    c->lock.text.len = c->key.text.len;

    if (c->lock.text.data == NULL) {
        c->lock.text.data = ngx_pnalloc(c->request->pool,
                                        NGX_HTTP_STOA_KEEP_KEY);
    }

    if (c->lock.text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(c->lock.text.data, c->key.text.data, c->key.text.len);
    c->lock.text.data[0] = 'L';
    ngx_memzero(&lock, sizeof(ngx_http_stoa_kept_t));

    rc = ngx_http_stoa_keep_take(c->mcf->keep, &c->lock,
                                 ngx_http_stoa_now_ms() + CACHE_LOCK_MS,
                                 &lock);
    c->lock_gen = rc == NGX_OK ? lock.gen : 0;

    return rc;
}


/* What others ask for is of no use to it: they would wait one for the other,
 * each for an answer of its own. */

static ngx_uint_t
ngx_http_stoa_cache_alone(ngx_http_stoa_cached_t *c)
{
    return c->asked.no_cache || c->asked.max_age == 0
           || (c->there && (c->note.times.ask
                            || (c->note.times.fresh_ms <= 0
                                && c->note.times.while_ms <= 0)));
}


static ngx_int_t
ngx_http_stoa_cache_look(ngx_http_stoa_cached_t *c)
{
    ngx_int_t         rc;
    stoa_cache_use_e  use;

    if (ngx_http_stoa_cache_find(c) != NGX_OK) {
        return ngx_http_stoa_cache_bypass(c);
    }

    if (ngx_http_stoa_cache_refreshing(c->ctx)) {
        return ngx_http_stoa_cache_forward(c);
    }

    use = STOA_CACHE_ASK;

    if (c->there && c->note.kind == NGX_HTTP_STOA_CACHE_ANSWER) {
        use = stoa_cache_use(&c->note.times, &c->asked,
                             ngx_http_stoa_now_ms());
    }

    if (use == STOA_CACHE_USE) {
        rc = ngx_http_stoa_cache_hit(c, "hit");

        if (rc == NGX_DONE) {
            return rc;
        }
    }

    if (use == STOA_CACHE_USE_STALE) {
        rc = ngx_http_stoa_cache_stale(c);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (c->asked.only_if_cached) {
        return ngx_http_stoa_refuse(c->request,
                                    NGX_HTTP_STOA_REFUSE_NOT_KEPT, NULL);
    }

    if (c->request->method != NGX_HTTP_GET || c->request->headers_in.range
        || (c->there && c->note.kind == NGX_HTTP_STOA_CACHE_PASS)
        || c->conf->lock_ms == 0 || ngx_http_stoa_cache_alone(c))
    {
        return ngx_http_stoa_cache_forward(c);
    }

    rc = NGX_OK;

    if (c->lock_gen == 0) {
        rc = ngx_http_stoa_cache_lock(c);

        if (c->lock_gen) {

            /* the one before may have come to its end in between */

            return ngx_http_stoa_cache_look(c);
        }
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    return rc == NGX_BUSY ? ngx_http_stoa_cache_wait(c)
                          : ngx_http_stoa_cache_forward(c);
}


static ngx_int_t
ngx_http_stoa_cache_wait(ngx_http_stoa_cached_t *c)
{
    if (c->since == 0) {
        c->since = ngx_current_msec ? ngx_current_msec : 1;
        c->timer.handler = ngx_http_stoa_cache_timer;
        c->timer.data = c;
        c->timer.log = c->request->connection->log;

    } else if (ngx_current_msec - c->since >= c->conf->lock_ms) {
        return ngx_http_stoa_cache_forward(c);
    }

    ngx_add_timer(&c->timer,
                  ngx_min(CACHE_LOOK_MS + (ngx_current_msec - c->since) / 8,
                          100));

    return ngx_http_stoa_ctx_suspend(c->request);
}


/* Whoever wants it gets it; one new one is asked for.  NGX_DECLINED: he asks
 * himself. */

static ngx_int_t
ngx_http_stoa_cache_stale(ngx_http_stoa_cached_t *c)
{
    ngx_int_t  rc;

    if (c->lock_gen == 0) {
        rc = ngx_http_stoa_cache_lock(c);

        if (rc == NGX_OK) {

            /* the one before may have come to its end in between */

            return ngx_http_stoa_cache_look(c);
        }

        if (rc != NGX_BUSY) {
            return rc;
        }

    } else if (ngx_http_stoa_cache_refresh(c) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_stoa_cache_hit(c, "hit; detail=stale") != NGX_DONE) {
        return NGX_DECLINED;
    }

    ngx_http_stoa_count(cache_stale, 1);

    return NGX_DONE;
}


/* To the upstream; about what is kept, if it can be asked about it. */

static ngx_int_t
ngx_http_stoa_cache_forward(ngx_http_stoa_cached_t *c)
{
    ngx_str_t  value;

    c->fills = c->request->method == NGX_HTTP_GET
               && c->request->headers_in.range == NULL;
    c->says = c->there ? "fwd=stale" : "fwd=uri-miss";
    c->purged_ms = ngx_http_stoa_cache_purge_ms(c);

    if (ngx_http_stoa_cache_refreshing(c->ctx)) {
        ngx_http_stoa_count(cache_refreshed, 1);

    } else {
        ngx_http_stoa_count(cache_misses, 1);
    }

    if (!c->there || c->note.kind != NGX_HTTP_STOA_CACHE_ANSWER
        || ngx_http_stoa_cache_load(c) != NGX_OK)
    {
        c->says = c->there && c->note.kind == NGX_HTTP_STOA_CACHE_PASS
                  ? "fwd=miss" : c->says;
        c->there = 0;
        return NGX_OK;
    }

    c->asks = c->fills && c->note.status == NGX_HTTP_OK
              && (ngx_http_stoa_cache_line(&c->head, "etag", &value)
                  || ngx_http_stoa_cache_line(&c->head, "last-modified",
                                              &value));

    return NGX_OK;
}


static void
ngx_http_stoa_cache_timer(ngx_event_t *ev)
{
    ngx_http_stoa_cached_t *c = ev->data;

    ngx_http_stoa_ctx_wake(c->request);
}


static void
ngx_http_stoa_cache_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_cached_t *c = data;

    (void) ctx;

    if (c->timer.timer_set) {
        ngx_del_timer(&c->timer);
    }

    ngx_http_stoa_cache_release(c);
}


void
ngx_http_stoa_cache_release(ngx_http_stoa_cached_t *c)
{
    if (c->lock_gen) {
        ngx_http_stoa_keep_drop(c->mcf->keep, &c->lock, c->lock_gen);
        c->lock_gen = 0;
    }
}


/* Conditions of the client would make an answer that fits nobody else; those
 * of the gateway stand in their place. */

static ngx_http_stoa_header_name_t  ngx_http_stoa_cache_conditions[] = {
    { ngx_string("If-None-Match"), ngx_string("if-none-match"), 0 },
    { ngx_string("If-Modified-Since"), ngx_string("if-modified-since"), 0 }
};


static ngx_int_t
ngx_http_stoa_policy_cache_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_str_t                value;
    ngx_uint_t               i;
    ngx_http_stoa_cached_t  *c;

    static const char *const  from[] = { "etag", "last-modified" };

    c = ctx->call.cached;

    if (c == NULL || !c->fills || c->attached != a) {
        return NGX_OK;
    }

    ngx_http_stoa_policy_headers_take(r, ctx, stoa_str("if-none-match"));
    ngx_http_stoa_policy_headers_take(r, ctx, stoa_str("if-modified-since"));

    if (c->conf->ignore_cookies) {
        ngx_http_stoa_policy_headers_take(r, ctx, stoa_str("cookie"));
    }

    for (i = 0; c->asks && i < 2; i++) {
        if (ngx_http_stoa_cache_line(&c->head, from[i], &value)
            && ngx_http_stoa_header_push(&r->headers_in.headers,
                                         &ngx_http_stoa_cache_conditions[i],
                                         &value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
