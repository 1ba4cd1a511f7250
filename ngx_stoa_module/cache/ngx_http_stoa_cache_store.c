/*
 * Answers of upstreams, as they come: which may be kept, for how long and for
 * whom; which say that what is kept is still good; which end it.
 *
 * Process: workers.  Limits: an answer is in memory until it is whole,
 * max_bytes of the policy at most.
 */

#include "ngx_http_stoa_cache.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_zone.h"


#define CACHE_PASS_MS  10000           /* an answer is not waited for        */
#define CACHE_MARK_MS  86400000
#define CACHE_PARTS    16              /* at first                           */


typedef struct {
    stoa_cache_control_t  cc;
    int64_t               age_s;
    int64_t               expires_s;   /* behind its date                    */
    ngx_uint_t            unfit;
    ngx_uint_t            cookie;
    ngx_str_t             vary;        /* names, with commas                 */
    u_char                names[NGX_HTTP_STOA_CACHE_VARY];
} ngx_http_stoa_cache_said_t;


static void ngx_http_stoa_cache_said(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said);
static void ngx_http_stoa_cache_dates(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said, time_t *expires);
static void ngx_http_stoa_cache_vary(ngx_http_stoa_cache_said_t *said,
    const char *s, size_t len);
static ngx_uint_t ngx_http_stoa_cache_may(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said);
static ngx_int_t ngx_http_stoa_cache_place(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said);
static ngx_uint_t ngx_http_stoa_cache_fresh(ngx_http_stoa_cached_t *c);
static void ngx_http_stoa_cache_put(ngx_http_stoa_cached_t *c);
static void ngx_http_stoa_cache_again(ngx_http_stoa_cached_t *c);
static ngx_int_t ngx_http_stoa_cache_status(ngx_http_stoa_cached_t *c);


/* What failed, or was asked about what is kept: that is sent instead. */

ngx_uint_t
ngx_http_stoa_cache_instead(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t                   status;
    ngx_http_stoa_cached_t      *c;
    ngx_http_stoa_cache_said_t   said;

    c = ctx ? ctx->call.cached : NULL;

    if (c == NULL || !c->looked || !c->there || c->sent || !ctx->call.passed
        || c->head.len == 0)
    {
        return 0;
    }

    status = r->headers_out.status;

    if (c->asks && status == NGX_HTTP_NOT_MODIFIED) {

        ngx_http_stoa_scrub_response(r);
        ngx_http_stoa_cache_said(c, &said);

        if (ngx_http_stoa_cache_may(c, &said)
            && ngx_http_stoa_cache_lines(r, &c->head, &c->head) == NGX_OK)
        {
            c->stored = 1;
            ngx_http_stoa_cache_again(c);
        }

        c->says = "hit; detail=validated";

    } else if (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
               && stoa_cache_use_error(&c->note.times, ngx_http_stoa_now_ms()))
    {
        c->says = "hit; detail=upstream-failed";
        ngx_http_stoa_count(cache_stale, 1);

    } else {
        return 0;
    }

    ngx_http_stoa_cache_release(c);
    r->err_status = 0;
    ctx->call.unfit = 0;
    ctx->call.refused = 0;

    if (ngx_http_stoa_cache_restore(c) != NGX_OK) {
        return 0;
    }

    c->sent = 1;
    ctx->call.swapped = 1;

    return 1;
}


ngx_int_t
ngx_http_stoa_cache_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_kept_t         mark;
    ngx_http_stoa_cached_t      *c;
    ngx_http_stoa_cache_said_t   said;

    c = ctx->call.cached;

    if (c == NULL || !ctx->call.passed) {
        return NGX_OK;
    }

    if (c->unsafe && r->headers_out.status < NGX_HTTP_BAD_REQUEST) {
        ngx_http_stoa_keep_drop(c->mcf->keep, &c->base, 0);
    }

    /* a refusal in the place of an answer that was to be kept */

    c->keeping = 0;
    c->stored = 0;

    if (c->fills && !c->sent && !ctx->call.replace && r->upstream
        && r->err_status == 0)
    {

        ngx_http_stoa_cache_said(c, &said);

        if (ngx_http_stoa_cache_may(c, &said)) {

            if (ngx_http_stoa_cache_place(c, &said) == NGX_OK
                && ngx_http_stoa_cache_lines(r, NULL, &c->head) == NGX_OK)
            {
                c->keeping = 1;
                c->body_parts.max = c->conf->max_bytes;
                c->stored = 1;
                r->filter_need_in_memory = 1;
            }

        } else if (r->headers_out.status < NGX_HTTP_INTERNAL_SERVER_ERROR
                   && !(c->there && ngx_http_stoa_cache_fresh(c)))
        {
            /* those that wait for it would wait one after the other; what one
             * of them was told ends nothing that is good for the others */

            ngx_memzero(&mark, sizeof(ngx_http_stoa_kept_t));
            ngx_memzero(&c->note, sizeof(c->note));
            c->note.kind = NGX_HTTP_STOA_CACHE_PASS;
            mark.state = NGX_HTTP_STOA_KEPT_MARK;
            mark.until_ms = ngx_http_stoa_now_ms() + CACHE_PASS_MS;
            ngx_memcpy(mark.note, &c->note, sizeof(c->note));
            (void) ngx_http_stoa_keep_put(c->mcf->keep, &c->key, &mark, NULL,
                                          0);
        }
    }

    if (!c->keeping) {
        ngx_http_stoa_cache_release(c);
    }

    return c->conf->status_header ? ngx_http_stoa_cache_status(c) : NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_cache_fresh(ngx_http_stoa_cached_t *c)
{
    return ngx_http_stoa_now_ms() < c->note.times.born_ms
                                    + c->note.times.fresh_ms;
}


/* What its headers say. */

static void
ngx_http_stoa_cache_said(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said)
{
    time_t                        expires;
    int64_t                       age;
    uint32_t                      i;
    stoa_str_t                    s;
    ngx_uint_t                    none;
    const stoa_ref_t             *name;
    ngx_table_elt_t              *h;
    ngx_http_request_t           *r;
    ngx_http_stoa_header_walk_t   w;

    r = c->request;
    ngx_memzero(said, sizeof(ngx_http_stoa_cache_said_t));
    stoa_cache_control_init(&said->cc);
    said->vary.data = said->names;
    said->expires_s = STOA_CACHE_NONE;

    expires = 0;
    none = 1;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash == 0) {
            continue;
        }

        if (ngx_http_stoa_header_named(h, "cache-control")) {
            stoa_cache_control_add(&said->cc, (char *) h->value.data,
                                   h->value.len);

        } else if (ngx_http_stoa_header_named(h, "expires")) {
            expires = ngx_parse_http_time(h->value.data, h->value.len);
            none = 0;

        } else if (ngx_http_stoa_header_named(h, "age")) {
            age = stoa_cache_seconds((char *) h->value.data, h->value.len);
            said->age_s = ngx_max(said->age_s, age);

        } else if (ngx_http_stoa_header_named(h, "vary")) {
            ngx_http_stoa_cache_vary(said, (char *) h->value.data,
                                     h->value.len);

        } else if (ngx_http_stoa_header_named(h, "set-cookie")) {
            said->cookie = 1;

        } else if (ngx_http_stoa_header_named(h, "content-encoding")) {

            /* also where its server has forgotten to say so */

            ngx_http_stoa_cache_vary(said, "accept-encoding", 15);

        } else if (ngx_http_stoa_header_named(h,
                                              "access-control-allow-origin")
                   && !(h->value.len == 1 && h->value.data[0] == '*'))
        {
            ngx_http_stoa_cache_vary(said, "origin", 6);

        } else if (ngx_http_stoa_header_named(h, "content-range")) {
            said->unfit = 1;
        }
    }

    ngx_http_stoa_cache_dates(c, said, none ? NULL : &expires);

    name = stoa_rec_vec(c->attached->rec, c->conf->vary, stoa_ref_t);

    for (i = 0; i < c->conf->vary.n; i++) {
        s = stoa_rec_str(c->attached->rec, name[i]);
        ngx_http_stoa_cache_vary(said, s.data, s.len);
    }

    s = (stoa_str_t) { (char *) said->names, said->vary.len };
    said->unfit |= ngx_http_stoa_cache_key_told(c, s);
}


/* nginx keeps Date, which is its own to say, in another list. */

static void
ngx_http_stoa_cache_dates(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said, time_t *expires)
{
    time_t                        date;
    ngx_table_elt_t              *h;
    ngx_http_request_t           *r;
    ngx_http_stoa_header_walk_t   w;

    r = c->request;
    date = ngx_time();

    for (h = r->upstream ? ngx_http_stoa_header_first(&w,
                                  &r->upstream->headers_in.headers.part)
                         : NULL;
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_named(h, "date")) {
            date = ngx_parse_http_time(h->value.data, h->value.len);
            date = date == NGX_ERROR ? ngx_time() : date;
            said->age_s = ngx_max(said->age_s, ngx_time() - date);
        }
    }

    if (expires) {
        said->expires_s = *expires == NGX_ERROR
                          ? 0 : ngx_max((int64_t) *expires - date, 0);
    }
}


/* Names in lower case, each once. */

static void
ngx_http_stoa_cache_vary(ngx_http_stoa_cache_said_t *said, const char *s,
    size_t len)
{
    stoa_str_t  list, name, have, one;

    list.data = s;
    list.len = len;

    while (stoa_cache_list(&list, &name)) {

        if (name.len == 1 && name.data[0] == '*') {
            said->unfit = 1;
            return;
        }

        have.data = (char *) said->names;
        have.len = said->vary.len;
        one.len = 0;

        while (stoa_cache_list(&have, &one)
               && !(one.len == name.len
                    && ngx_strncasecmp((u_char *) one.data,
                                       (u_char *) name.data, name.len) == 0))
        {
            one.len = 0;
        }

        if (one.len) {
            continue;
        }

        if (said->vary.len + name.len + 1 > sizeof(said->names)) {
            said->unfit = 1;
            return;
        }

        ngx_strlow(said->names + said->vary.len, (u_char *) name.data,
                   name.len);
        said->vary.len += name.len;
        said->names[said->vary.len++] = ',';
    }
}


/* RFC 9111, 3; fills the times of the note. */

static ngx_uint_t
ngx_http_stoa_cache_may(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said)
{
    int64_t               lifetime, otherwise, extra;
    ngx_uint_t            status;
    stoa_cache_kept_t    *t;
    ngx_http_request_t   *r;

    r = c->request;
    status = r->headers_out.status;
    otherwise = 0;

    switch (status) {

    case NGX_HTTP_OK:
    case 203:
    case NGX_HTTP_MOVED_PERMANENTLY:
    case 308:
        otherwise = c->conf->default_ttl_s;
        break;

    case NGX_HTTP_NOT_MODIFIED:
        status = c->note.status;
        otherwise = c->conf->default_ttl_s;
        break;

    case NGX_HTTP_NO_CONTENT:
    case 300:
        break;

    case NGX_HTTP_NOT_FOUND:
    case 410:
        otherwise = c->conf->negative_ttl_s;
        break;

    default:
        return 0;
    }

    if (said->unfit || said->cc.no_store || said->cc.is_private
        || (said->cookie && !c->conf->strip_set_cookie)
        || r->headers_out.content_length_n > (off_t) c->conf->max_bytes)
    {
        return 0;
    }

    lifetime = stoa_cache_lifetime(&said->cc, said->expires_s, otherwise);
    lifetime = ngx_min(lifetime, (int64_t) c->conf->max_ttl_s);

    t = &c->note.times;
    t->born_ms = ngx_http_stoa_now_ms() - said->age_s * 1000;
    t->fresh_ms = lifetime * 1000;
    t->while_ms = (said->cc.while_revalidate != STOA_CACHE_NONE
                   ? said->cc.while_revalidate
                   : (int64_t) c->conf->stale_while_revalidate_s) * 1000;
    t->error_ms = (said->cc.if_error != STOA_CACHE_NONE
                   ? said->cc.if_error
                   : (int64_t) c->conf->stale_if_error_s) * 1000;
    t->ask = said->cc.no_cache;
    t->strict = said->cc.strict || said->cc.s_maxage != STOA_CACHE_NONE;

    c->note.kind = NGX_HTTP_STOA_CACHE_ANSWER;
    c->note.status = (uint32_t) status;
    c->note.target = ngx_http_stoa_cache_target(c->ctx);

    /* one that is over at once is kept for its validators */

    extra = r->headers_out.etag || r->headers_out.last_modified ? 60 : 0;

    return lifetime > said->age_s || t->while_ms > 0 || t->error_ms > 0
           || (extra && (said->cc.no_cache || lifetime > 0
                         || said->expires_s == 0
                         || said->cc.max_age == 0));
}


uint32_t
ngx_http_stoa_cache_target(ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_api_t *api = ctx->call.api;

    return ctx->call.to.target
           ? (uint32_t) (ctx->call.to.target - api->targets) : 0;
}


/* Under which key it goes. */

static ngx_int_t
ngx_http_stoa_cache_place(ngx_http_stoa_cached_t *c,
    ngx_http_stoa_cache_said_t *said)
{
    stoa_str_t                  names;
    ngx_str_t                   piece;
    ngx_uint_t                  caller, same;
    u_char                      old[NGX_HTTP_STOA_CACHE_VARY];
    ngx_http_stoa_kept_t        mark;
    ngx_http_stoa_cache_note_t  note;

    caller = !c->conf->shared && !said->cc.is_public
             && said->cc.s_maxage == STOA_CACHE_NONE;
    caller |= said->vary.len && ngx_http_stoa_cache_key_set(c->ctx);

    if (!caller && said->vary.len == 0) {
        c->key = c->base;
        return NGX_OK;
    }

    same = 0;

    if (ngx_http_stoa_keep_find(c->mcf->keep, &c->base, &mark) == NGX_OK) {
        ngx_memcpy(&note, mark.note, sizeof(note));

        same = note.kind == NGX_HTTP_STOA_CACHE_VARIES
               && note.caller == caller && mark.len == said->vary.len
               && ngx_http_stoa_keep_read(c->mcf->keep, &mark, 0, old,
                                          mark.len)
                  == NGX_OK
               && ngx_memcmp(old, said->names, mark.len) == 0;
    }

    if (!same) {
        ngx_memzero(&note, sizeof(note));
        note.kind = NGX_HTTP_STOA_CACHE_VARIES;
        note.caller = (uint32_t) caller;

        ngx_memzero(&mark, sizeof(ngx_http_stoa_kept_t));
        mark.state = NGX_HTTP_STOA_KEPT_MARK;
        mark.until_ms = ngx_http_stoa_now_ms() + CACHE_MARK_MS;
        ngx_memcpy(mark.note, &note, sizeof(note));

        piece = said->vary;

        if (ngx_http_stoa_keep_put(c->mcf->keep, &c->base, &mark, &piece, 1)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    c->varies = mark.gen;
    names.data = (char *) said->names;
    names.len = said->vary.len;

    return ngx_http_stoa_cache_key_variant(c, names, caller);
}


ngx_int_t
ngx_http_stoa_cache_lines(ngx_http_request_t *r, ngx_str_t *before,
    ngx_str_t *lines)
{
    u_char                       *p, *last, *colon;
    ngx_str_t                     name;
    stoa_buf_t                    b;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    stoa_buf_init(&b, NGX_HTTP_STOA_CACHE_LINES);

    if (before == NULL && r->headers_out.content_type.len) {
        stoa_buf_addf(&b, "content-type: %.*s%s%.*s\n",
                      (int) r->headers_out.content_type.len,
                      r->headers_out.content_type.data,
                      r->headers_out.charset.len
                      && r->headers_out.content_type_len
                         == r->headers_out.content_type.len
                      ? "; charset=" : "",
                      r->headers_out.content_type_len
                      == r->headers_out.content_type.len
                      ? (int) r->headers_out.charset.len : 0,
                      r->headers_out.charset.data
                      ? (char *) r->headers_out.charset.data : "");
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash == 0 || ngx_http_stoa_header_named(h, "set-cookie")
            || ngx_http_stoa_header_named(h, "age")
            || ngx_http_stoa_header_named(h, "content-length")
            || ngx_http_stoa_header_named(h, "content-type")
            || ngx_http_stoa_header_named(h, "accept-ranges")
            || (before && ngx_strncasecmp(h->key.data, (u_char *) "content-",
                                          ngx_min(h->key.len, 8)) == 0))
        {
            continue;
        }

        stoa_buf_add(&b, h->key.data, h->key.len);
        stoa_buf_add(&b, ": ", 2);
        stoa_buf_add(&b, h->value.data, h->value.len);
        stoa_buf_add(&b, "\n", 1);
    }

    p = before ? before->data : NULL;

    for ( /* void */ ; p && p < before->data + before->len; p = last + 1) {
        last = ngx_strlchr(p, before->data + before->len, '\n');
        colon = ngx_strlchr(p, before->data + before->len, ':');

        if (last == NULL || colon == NULL) {
            break;
        }

        name.data = p;
        name.len = colon - p;

        for (h = ngx_http_stoa_header_first(&w,
                                            &r->headers_out.headers.part);
             h && !(h->hash && ngx_http_stoa_header_equal(h,
                                           (char *) name.data, name.len));
             h = ngx_http_stoa_header_next(&w))
        { /* void */ }

        if (h == NULL) {
            stoa_buf_add(&b, p, last + 1 - p);
        }
    }

    if (b.len == 0) {
        stoa_buf_add(&b, "\n", 1);
    }

    return ngx_http_stoa_ctx_text(r, &b, lines);
}


static void
ngx_http_stoa_cache_put(ngx_http_stoa_cached_t *c)
{
    int64_t                past;
    ngx_str_t             *pieces;
    ngx_http_stoa_kept_t   kept;

    pieces = ngx_palloc(c->request->pool,
                        (c->body_parts.n + 1) * sizeof(ngx_str_t));
    if (pieces == NULL) {
        return;
    }

    pieces[0] = c->head;

    if (c->body_parts.n) {
        ngx_memcpy(&pieces[1], c->body_parts.parts,
                   c->body_parts.n * sizeof(ngx_str_t));
    }

    c->note.head_len = (uint32_t) c->head.len;
    c->note.purged_ms = c->purged_ms;
    past = ngx_max(c->note.times.while_ms, c->note.times.error_ms);

    ngx_memzero(&kept, sizeof(ngx_http_stoa_kept_t));
    kept.state = NGX_HTTP_STOA_KEPT_ANSWER;

    /* a while longer, as it may be asked whether it is still good */

    kept.until_ms = c->note.times.born_ms + c->note.times.fresh_ms
                    + ngx_max(past, 600000);
    ngx_memcpy(kept.note, &c->note, sizeof(c->note));

    if (ngx_http_stoa_keep_put(c->mcf->keep, &c->key, &kept, pieces,
                               c->body_parts.n + 1)
        == NGX_OK)
    {
        ngx_http_stoa_count(cache_stored, 1);
    }
}


/* The body that is lent, under another head. */

static void
ngx_http_stoa_cache_again(ngx_http_stoa_cached_t *c)
{
    ngx_str_t    *part;
    ngx_uint_t    n;
    ngx_chain_t  *cl;

    for (cl = c->body, n = 0; cl; cl = cl->next) {
        n++;
    }

    part = ngx_palloc(c->request->pool, (n + 1) * sizeof(ngx_str_t));
    if (part == NULL) {
        return;
    }

    c->body_parts.parts = part;
    c->body_parts.n = n;

    for (cl = c->body; cl; cl = cl->next, part++) {
        part->data = cl->buf->pos;
        part->len = cl->buf->last - cl->buf->pos;
    }

    ngx_http_stoa_cache_put(c);
}


/* nginx ends with a last buffer what came whole, and only that. */

ngx_int_t
ngx_http_stoa_cache_gather(ngx_http_request_t *r,
    ngx_http_stoa_gathered_t *g, ngx_chain_t *in)
{
    size_t       n;
    ngx_str_t   *parts;
    ngx_uint_t   last;

    for (last = 0; in; in = in->next) {
        last |= in->buf->last_buf;

        if (!ngx_buf_in_memory(in->buf)) {

            if (ngx_buf_size(in->buf)) {
                return NGX_DECLINED;
            }

            continue;
        }

        n = in->buf->last - in->buf->pos;

        if (n == 0) {
            continue;
        }

        if (g->size + n > g->max) {
            return NGX_DECLINED;
        }

        if (g->n == g->room) {
            g->room = g->room ? 2 * g->room : CACHE_PARTS;
            parts = ngx_palloc(r->pool, g->room * sizeof(ngx_str_t));

            if (parts == NULL) {
                return NGX_DECLINED;
            }

            if (g->n) {
                ngx_memcpy(parts, g->parts, g->n * sizeof(ngx_str_t));
            }

            g->parts = parts;
        }

        parts = &g->parts[g->n];
        parts->len = n;
        parts->data = ngx_pnalloc(r->pool, n);

        if (parts->data == NULL) {
            return NGX_DECLINED;
        }

        ngx_memcpy(parts->data, in->buf->pos, n);
        g->n++;
        g->size += n;
    }

    if (!last) {
        return NGX_AGAIN;
    }

    return r->headers_out.content_length_n < 0
           || (off_t) g->size == r->headers_out.content_length_n
           ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_stoa_cache_take(ngx_http_stoa_cached_t *c, ngx_chain_t *in)
{
    ngx_int_t  rc;

    rc = ngx_http_stoa_cache_gather(c->request, &c->body_parts, in);

    if (rc == NGX_AGAIN) {
        return;
    }

    c->keeping = 0;

    if (rc == NGX_OK) {
        ngx_http_stoa_cache_put(c);
    }

    ngx_http_stoa_cache_release(c);
}


/* What comes in the place of a kept answer is consumed, that is sent once. */

ngx_chain_t *
ngx_http_stoa_cache_body(ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_chain_t             *cl;
    ngx_http_stoa_cached_t  *c;

    c = ctx->call.cached;

    if (c && c->keeping) {
        ngx_http_stoa_cache_take(c, in);
    }

    if (!ctx->call.swapped || ctx->call.replace) {
        return in;
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    cl = ctx->call.page;
    ctx->call.page = NULL;

    return cl;
}


/* RFC 9211. */

static ngx_int_t
ngx_http_stoa_cache_status(ngx_http_stoa_cached_t *c)
{
    u_char           *p;
    int64_t           ttl;
    ngx_table_elt_t  *h;

    h = ngx_http_stoa_header_add(c->request, "Cache-Status");
    p = ngx_pnalloc(c->request->pool, 96);

    if (h == NULL || p == NULL) {
        return NGX_ERROR;
    }

    h->value.data = p;
    p = ngx_sprintf(p, "stoa; %s", c->says);

    if (c->sent) {
        ttl = (c->note.times.born_ms + c->note.times.fresh_ms
               - ngx_http_stoa_now_ms()) / 1000;
        p = ngx_sprintf(p, "; ttl=%L", ttl);

    } else if (c->stored) {
        p = ngx_cpymem(p, "; stored", 8);
    }

    h->value.len = p - h->value.data;

    return NGX_OK;
}
