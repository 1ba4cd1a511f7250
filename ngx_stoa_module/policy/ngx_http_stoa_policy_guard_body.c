/*
 * guardrail: bodies of answers, in pieces as they come.
 *
 * What blocks keeps an answer whole if it says that it is short, so that there
 * is a refusal in its place; else its end is missing, and a stream of events
 * has one more that says why.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_guard.h"
#include "ngx_http_stoa_compat.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_media.h"


#define NGX_HTTP_STOA_GUARD_PIECES  STOA_JSONRPC_BODY_MAX    /* one was kept */


typedef struct {
    stoa_guard_flow_t     flow;
    stoa_guard_events_t  *events;              /* NULL: it is no stream      */
    unsigned              found;
    unsigned              acted:1;
    unsigned              over:1;              /* nothing more of it goes    */
} ngx_http_stoa_guard_body_t;


static const char *ngx_http_stoa_guard_unread(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_guard_begin(ngx_http_request_t *r,
    ngx_http_stoa_taker_t *t, ngx_uint_t events);
static void ngx_http_stoa_guard_cleanup(void *data);
static ngx_int_t ngx_http_stoa_guard_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body);
static ngx_int_t ngx_http_stoa_guard_piece(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *in,
    ngx_uint_t last, stoa_buf_t *out);
static ngx_int_t ngx_http_stoa_guard_feed(ngx_http_stoa_guard_body_t *body,
    ngx_str_t *in, ngx_uint_t last, stoa_buf_t *out, ngx_uint_t *over);
static ngx_int_t ngx_http_stoa_guard_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    unsigned found, ngx_uint_t over);


/* What nobody takes for a text. */

static const char *const  ngx_http_stoa_guard_others[] = {
    "image/", "audio/", "video/", "font/", "application/octet-stream",
    "application/pdf", "application/zip", "application/gzip",
    "application/grpc", NULL
};


static ngx_uint_t
ngx_http_stoa_guard_answers(const ngx_http_stoa_attached_t *a)
{
    return ((ngx_http_stoa_guard_t *) a->state)->parts
           & 1u << NGX_HTTP_STOA_GUARD_ANSWER;
}


ngx_int_t
ngx_http_stoa_policy_guard_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    return ngx_http_stoa_guard_answers(a)
           ? ngx_http_stoa_policy_answer_ask(r, ctx, a) : NGX_OK;
}


ngx_int_t
ngx_http_stoa_policy_guard_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    return ngx_http_stoa_guard_answers(a)
           ? ngx_http_stoa_policy_answer_take(r, ctx, a) : NGX_OK;
}


ngx_int_t
ngx_http_stoa_policy_guard_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t)
{
    u_char                      *p;
    ngx_str_t                   *type, detail;
    ngx_uint_t                   events;
    const char                  *words;
    const char *const           *other;
    const stoa_policy_guard_t   *conf;

    conf = t->a->config;
    type = &r->headers_out.content_type;

    for (other = ngx_http_stoa_guard_others; *other; other++) {
        if (type->len >= ngx_strlen(*other)
            && ngx_strncasecmp(type->data, (u_char *) *other,
                               ngx_strlen(*other))
               == 0)
        {
            return NGX_DECLINED;
        }
    }

    words = ngx_http_stoa_guard_unread(r);

    if (words) {
        detail.data = ngx_pnalloc(r->pool, ngx_strlen(words) + 64);
        if (detail.data == NULL) {
            return NGX_ERROR;
        }

        p = ngx_sprintf(detail.data, "The answer cannot be judged: %s.",
                        words);
        detail.len = p - detail.data;

        return ngx_http_stoa_policy_refuse_text(r, ctx, t->a, t->a->refusal
                                                + NGX_HTTP_STOA_GUARD_ANSWER,
                                                &detail);
    }

    events = ngx_http_stoa_header_events(type);

    if (conf->action == STOA_GUARD_BLOCK && !events && !t->a->shadow
        && r->headers_out.content_length_n >= 0
        && r->headers_out.content_length_n <= (off_t) conf->max_bytes)
    {
        t->whole = ngx_http_stoa_guard_whole;
        t->max = conf->max_bytes;
        return NGX_OK;
    }

    t->piece = ngx_http_stoa_guard_piece;
    t->changes = 1;

    return ngx_http_stoa_guard_begin(r, t, events);
}


static const char *
ngx_http_stoa_guard_unread(ngx_http_request_t *r)
{
    ngx_str_t   *type;
    const char  *words;

    type = &r->headers_out.content_type;
    words = ngx_http_stoa_policy_answer_part(r);

    return words ? words
           : type->len && !stoa_media_utf8((char *) type->data, type->len)
           ? "its Content-Type does not say that it is UTF-8" : NULL;
}


static ngx_int_t
ngx_http_stoa_guard_begin(ngx_http_request_t *r, ngx_http_stoa_taker_t *t,
    ngx_uint_t events)
{
    ngx_uint_t                   masks;
    ngx_pool_cleanup_t          *cln;
    const stoa_policy_guard_t   *conf;
    ngx_http_stoa_guard_body_t  *body;
    ngx_http_stoa_guard_t       *guard;

    conf = t->a->config;
    guard = t->a->state;
    masks = conf->action == STOA_GUARD_MASK && !t->a->shadow;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_guard_body_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    body = cln->data;
    ngx_memzero(body, sizeof(ngx_http_stoa_guard_body_t));

    if (events) {
        body->events = ngx_palloc(r->pool, sizeof(stoa_guard_events_t));
        if (body->events == NULL) {
            return NGX_ERROR;
        }

        stoa_guard_events_init(body->events, &guard->set, masks,
                               NGX_HTTP_STOA_GUARD_PIECES);

    } else {
        stoa_guard_flow_init(&body->flow, &guard->set,
                             ngx_http_stoa_policy_answer_json(r), masks,
                             NGX_HTTP_STOA_GUARD_PIECES);
    }

    cln->handler = ngx_http_stoa_guard_cleanup;
    t->state = body;

    return NGX_OK;
}


static void
ngx_http_stoa_guard_cleanup(void *data)
{
    ngx_http_stoa_guard_body_t *body = data;

    if (body->events) {
        stoa_guard_events_free(body->events);

    } else {
        stoa_guard_flow_free(&body->flow);
    }
}


static ngx_int_t
ngx_http_stoa_guard_whole(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_taker_t *t, ngx_str_t *body)
{
    char                   *copy;
    unsigned                found;
    stoa_guard_look_t       l;
    ngx_http_stoa_guard_t  *guard;

    guard = t->a->state;

    if (body->len == 0) {
        return NGX_OK;
    }

    copy = ngx_palloc(r->pool, body->len);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&l, sizeof(stoa_guard_look_t));
    l.s = (char *) body->data;
    l.len = body->len;
    l.copy = copy;
    l.how = guard->set.decode;
    l.copy_len = stoa_guard_fold(l.s, l.len, l.how, copy);
    l.to = l.copy_len;

    found = stoa_guard_look(&guard->set, &l);
    ngx_http_stoa_policy_guard_count(l.count);

    return found || l.over ? ngx_http_stoa_guard_refuse(r, ctx, t->a, found,
                                                        l.over)
                           : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_guard_piece(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_taker_t *t, ngx_str_t *in, ngx_uint_t last, stoa_buf_t *out)
{
    ngx_int_t                    rc;
    ngx_uint_t                   over;
    const stoa_policy_guard_t   *conf;
    ngx_http_stoa_guard_body_t  *body;

    static const char  event[] =
        "event: error\ndata: {\"error\":{\"type\":\"answer_denied\","
        "\"code\":\"answer_denied\",\"message\":\"";

    body = t->state;
    conf = t->a->config;

    if (body->over) {
        return NGX_OK;
    }

    rc = ngx_http_stoa_guard_feed(body, in, last, out, &over);

    if (rc != NGX_OK || (body->found == 0 && !over)) {
        return rc;
    }

    if (conf->action == STOA_GUARD_MASK && !over) {
        if (!body->acted) {
            body->acted = 1;
            (void) ngx_http_stoa_policy_acts(t->a);
        }

        return NGX_OK;
    }

    if (t->a->shadow) {
        if (!body->acted) {
            body->acted = 1;
            (void) ngx_http_stoa_policy_refuse(r, ctx, t->a, t->a->refusal
                                               + NGX_HTTP_STOA_GUARD_ANSWER);
        }

        return NGX_OK;
    }

    /* nothing of what came with it; what is before it has gone */

    stoa_buf_reset(out);
    body->over = 1;
    rc = ngx_http_stoa_guard_refuse(r, ctx, t->a, body->found, over);

    if (body->events == NULL || rc == NGX_ERROR) {
        return rc;
    }

    t->refused = 1;                          /* though the answer goes on    */
    ngx_http_stoa_policy_count(t->a, NGX_HTTP_STOA_OUTCOME_REFUSED);
    stoa_buf_addz(out, event);
    stoa_buf_add(out, ctx->call.detail.data, ctx->call.detail.len);
    stoa_buf_addz(out, "\"}}\n\n");

    /* the upstream may be silent for long: it is not waited for */

    if (r->upstream && !ngx_http_stoa_compat_over(r->upstream)) {
        ngx_http_stoa_compat_enough(r->upstream);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_guard_feed(ngx_http_stoa_guard_body_t *body, ngx_str_t *in,
    ngx_uint_t last, stoa_buf_t *out, ngx_uint_t *over)
{
    unsigned   found, *count;
    stoa_rc_t  rc;

    if (body->events) {
        rc = stoa_guard_events_feed(body->events, (char *) in->data, in->len,
                                    last, out, &found);
        count = body->events->count;
        *over = body->events->over;

    } else {
        rc = stoa_guard_flow_feed(&body->flow, (char *) in->data, in->len,
                                  last, out, &found);
        count = body->flow.count;
        *over = body->flow.over;
    }

    ngx_http_stoa_policy_guard_count(count);
    ngx_memzero(count, STOA_GUARD_MAX * sizeof(unsigned));
    body->found |= found;

    return rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_guard_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, unsigned found, ngx_uint_t over)
{
    ngx_str_t  words;

    if (ngx_http_stoa_policy_guard_words(r->pool, found, over, &words)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal
                                            + NGX_HTTP_STOA_GUARD_ANSWER,
                                            &words);
}
