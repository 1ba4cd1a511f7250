/*
 * The bodies of answers: kept or passed on piece by piece, for policies.
 */

#include "ngx_http_stoa_policy_answer.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_ANSWER_BUFFERED  0x40    /* of a connection           */

/* a body that was kept is one piece; an end and what was held back come on */
#define NGX_HTTP_STOA_ANSWER_PIECE     (STOA_JSONRPC_BODY_MAX + 1024 * 1024)


typedef struct {
    ngx_http_stoa_taker_t  *first;
    ngx_http_stoa_taker_t **last;
    stoa_buf_t              kept;
    ngx_str_t               whole;         /* came at once: not copied       */

    stoa_buf_t              text[2];       /* pieces, by turns               */
    ngx_uint_t              turn;
    ngx_chain_t            *in;            /* not looked at yet              */
    ngx_chain_t            *free;
    ngx_chain_t            *busy;
    ngx_uint_t              nbusy;

    unsigned                wants:1;       /* one of them wants the whole    */
    unsigned                holds:1;       /* ... and acts on it            */
    unsigned                pieces:1;
    unsigned                changes:1;
    unsigned                over:1;        /* nothing is left to do          */
} ngx_http_stoa_policy_answer_t;


static ngx_http_stoa_policy_answer_t *ngx_http_stoa_policy_answer_get(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_policy_answer_cleanup(void *data);
static ngx_int_t ngx_http_stoa_policy_answer_gather(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_chain_t **in, ngx_uint_t *last);
static ngx_int_t ngx_http_stoa_policy_answer_long(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w, size_t len);
static ngx_int_t ngx_http_stoa_policy_answer_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_str_t *body);
static ngx_int_t ngx_http_stoa_policy_answer_refused(ngx_http_stoa_taker_t *t,
    ngx_int_t rc);
static ngx_int_t ngx_http_stoa_policy_answer_out(ngx_http_request_t *r,
    ngx_str_t *body, ngx_uint_t last, ngx_chain_t **out);
static ngx_int_t ngx_http_stoa_policy_answer_pieces(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_chain_t *in, ngx_chain_t **out);
static ngx_int_t ngx_http_stoa_policy_answer_piece(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_http_stoa_taker_t *t, ngx_str_t *text, ngx_uint_t last);
static ngx_int_t ngx_http_stoa_policy_answer_put(ngx_http_request_t *r,
    ngx_http_stoa_policy_answer_t *w, ngx_str_t *text, ngx_buf_t *from,
    ngx_chain_t ***ll);


/* ---- what is asked of the upstream -------------------------------------- */

/* A shadow wants to read, too, but a part that is asked for it leaves. */

ngx_int_t
ngx_http_stoa_policy_answer_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static const ngx_str_t               identity = ngx_string("identity");
    static ngx_http_stoa_header_name_t   name = {
        ngx_string("Accept-Encoding"), ngx_string("accept-encoding"), 0
    };

    if (ctx->call.edge->head) {
        return NGX_OK;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0, n = 0; i < part->nelts; i++) {
            if (!ngx_http_stoa_header_is(&h[i], "accept-encoding")
                && (a->shadow
                    || (!ngx_http_stoa_header_is(&h[i], "range")
                        && !ngx_http_stoa_header_is(&h[i], "if-range"))))
            {
                h[n++] = h[i];
            }
        }

        part->nelts = n;
    }

    ngx_http_stoa_header_tidy(&r->headers_in.headers);

    return ngx_http_stoa_header_push(&r->headers_in.headers, &name,
                                     &identity);
}


/* ---- the head ---------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_policy_answer_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                       rc;
    ngx_uint_t                      status;
    const char                     *words;
    ngx_http_stoa_taker_t          *t;
    ngx_http_stoa_policy_answer_t  *w;

    status = r->headers_out.status;

    if ((r->upstream == NULL && !ctx->call.from_cache)
        || !ctx->call.passed || ctx->call.replace
        || ctx->call.edge->head || status < NGX_HTTP_OK
        || status == NGX_HTTP_NO_CONTENT || status == NGX_HTTP_NOT_MODIFIED)
    {
        return NGX_OK;
    }

    w = ngx_http_stoa_policy_answer_get(r, ctx);
    t = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_taker_t));

    if (w == NULL || t == NULL) {
        return NGX_ERROR;
    }

    t->a = a;
    t->max = NGX_MAX_SIZE_T_VALUE;
    rc = a->policy->answer(r, ctx, t);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (r->header_only || r->method == NGX_HTTP_HEAD) {
        if (t->changes && !t->a->shadow) {
            ngx_http_stoa_policy_answer_changed(r);
            ngx_http_clear_content_length(r);
        }

        return NGX_OK;
    }

    words = ngx_http_stoa_policy_answer_part(r);

    if (words == NULL && t->whole
        && r->headers_out.content_length_n > 0
        && (uint64_t) r->headers_out.content_length_n > t->max)
    {
        words = "it is too long";
    }

    if (words) {
        return ngx_http_stoa_policy_answer_unread(r, ctx, t, words);
    }

    *w->last = t;
    w->last = &t->next;
    w->over = 0;

    w->wants |= t->whole != NULL;
    w->holds |= t->whole && !t->a->shadow;
    w->pieces |= t->whole == NULL;
    w->changes |= t->changes && !t->a->shadow;

    return NGX_OK;
}


static ngx_http_stoa_policy_answer_t *
ngx_http_stoa_policy_answer_get(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_stoa_policy_answer_t  *w;

    if (ctx->call.answer) {
        return ctx->call.answer;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_policy_answer_t));
    if (cln == NULL) {
        return NULL;
    }

    w = cln->data;
    ngx_memzero(w, sizeof(ngx_http_stoa_policy_answer_t));

    stoa_buf_init(&w->kept, STOA_JSONRPC_BODY_MAX);
    stoa_buf_init(&w->text[0], NGX_HTTP_STOA_ANSWER_PIECE);
    stoa_buf_init(&w->text[1], NGX_HTTP_STOA_ANSWER_PIECE);
    cln->handler = ngx_http_stoa_policy_answer_cleanup;

    w->last = &w->first;
    w->over = 1;
    ctx->call.answer = w;

    return w;
}


static void
ngx_http_stoa_policy_answer_cleanup(void *data)
{
    ngx_http_stoa_policy_answer_t *w = data;

    stoa_buf_free(&w->kept);
    stoa_buf_free(&w->text[0]);
    stoa_buf_free(&w->text[1]);
}


ngx_int_t
ngx_http_stoa_policy_answer_unread(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, const char *words)
{
    u_char     *p;
    ngx_str_t   detail;

    t->off = 1;

    if (t->pass) {
        ngx_http_stoa_policy_count(t->a, NGX_HTTP_STOA_OUTCOME_UNREAD);
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "stoa: an answer passes unread by \"%s\": %s",
                      t->a->policy->name, words);
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, sizeof("The answer cannot be judged: .")
                             + ngx_strlen(words));
    if (p == NULL) {
        return NGX_ERROR;
    }

    detail.data = p;
    detail.len = ngx_sprintf(p, "The answer cannot be judged: %s.", words) - p;

    return ngx_http_stoa_policy_refuse_text(r, ctx, t->a,
                                            t->a->refusal + t->refusal,
                                            &detail);
}


ngx_uint_t
ngx_http_stoa_policy_answer_kept(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_policy_answer_t  *w;

    w = ctx->call.answer;

    if (w->over) {
        return 0;
    }

    r->filter_need_in_memory = 1;

    if (w->changes || w->holds) {
        r->allow_ranges = 0;
    }

    if (w->changes && !w->holds) {
        ngx_http_stoa_policy_answer_changed(r);
        ngx_http_clear_content_length(r);
    }

    return w->holds;
}


/* ---- the body ----------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_policy_answer_body(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in, ngx_chain_t **out,
    ngx_uint_t *head)
{
    ngx_int_t                       rc;
    ngx_str_t                       body;
    ngx_uint_t                      last, holds;
    ngx_http_stoa_policy_answer_t  *w;

    w = ctx->call.answer;
    *head = 0;
    *out = in;

    if (w->over) {
        return NGX_OK;
    }

    last = 0;
    holds = w->holds;

    if (w->wants) {
        rc = ngx_http_stoa_policy_answer_gather(r, ctx, w, &in, &last);
        if (rc != NGX_OK) {
            return rc;
        }

        if (w->wants && !last && holds) {
            return NGX_DONE;
        }
    }

    body = w->whole;

    if (body.data == NULL) {
        body.data = (u_char *) w->kept.data;
        body.len = w->kept.len;
    }

    if (w->wants && last) {
        w->wants = 0;
        w->over = holds;

        rc = ngx_http_stoa_policy_answer_judge(r, ctx, w, &body);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (holds) {

        /* all of it is there, or none of it is wanted any more */

        w->holds = 0;
        *head = 1;

        if (ngx_http_stoa_policy_answer_out(r, &body, last, &in) != NGX_OK) {
            return NGX_ERROR;
        }

        if (!w->over && w->pieces && w->changes) {
            ngx_http_stoa_policy_answer_changed(r);
            ngx_http_clear_content_length(r);
        }
    }

    *out = in;

    return w->pieces && !w->over
           ? ngx_http_stoa_policy_answer_pieces(r, ctx, w, in, out) : NGX_OK;
}


/* What is there of it; what is left of the chain goes on.  An answer that ends
 * before its end was none. */

static ngx_int_t
ngx_http_stoa_policy_answer_gather(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_chain_t **in, ngx_uint_t *last)
{
    size_t        size;
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = *in; cl; cl = cl->next) {
        b = cl->buf;
        size = ngx_buf_in_memory(b) ? b->last - b->pos : 0;

        if (size == 0 && ngx_buf_size(b)) {
            return NGX_ERROR;              /* the copy filter reads files   */
        }

        rc = ngx_http_stoa_policy_answer_long(r, ctx, w, w->kept.len + size);

        if (rc != NGX_OK || !w->wants) {
            *in = w->holds ? cl : *in;
            return rc;
        }

        if (b->last_buf && w->kept.len == 0 && w->holds && !w->changes) {
            w->whole.data = b->pos;
            w->whole.len = size;

        } else if (size) {
            stoa_buf_add(&w->kept, b->pos, size);

            if (w->kept.rc != STOA_OK) {
                return NGX_ERROR;
            }
        }

        *last |= b->last_buf;

        if (!w->holds) {
            continue;
        }

        if (b->flush && !b->last_buf && r->upstream
            && ngx_http_stoa_compat_over(r->upstream))
        {
            return ngx_http_stoa_refuse(r,
                                        NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
                                        NULL);
        }

        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    *in = w->holds ? NULL : *in;

    return NGX_OK;
}


/* Whose maximum is passed? */

static ngx_int_t
ngx_http_stoa_policy_answer_long(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w, size_t len)
{
    ngx_int_t               rc;
    ngx_uint_t              wants;
    ngx_http_stoa_taker_t  *t;

    wants = 0;

    for (t = w->first; t; t = t->next) {
        if (t->whole == NULL || t->off) {
            continue;
        }

        if (len <= t->max) {
            wants = 1;
            continue;
        }

        rc = ngx_http_stoa_policy_answer_unread(r, ctx, t, "it is too long");

        if (rc != NGX_OK) {
            return ngx_http_stoa_policy_answer_refused(t, rc);
        }
    }

    w->wants = wants;

    return NGX_OK;
}


/* By all of them, if the answer was kept; else it has gone on already, and
 * those alone that wanted to see it as a whole are shadows. */

static ngx_int_t
ngx_http_stoa_policy_answer_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_str_t *body)
{
    ngx_int_t               rc;
    ngx_str_t               text;
    ngx_uint_t              changed;
    ngx_http_stoa_taker_t  *t;

    changed = 0;
    w->turn = 0;

    for (t = w->first; t; t = t->next) {
        if (t->off || (t->whole == NULL && !w->holds)) {
            continue;
        }

        text = *body;
        rc = t->whole ? t->whole(r, ctx, t, &text)
                      : ngx_http_stoa_policy_answer_piece(r, ctx, w, t, &text,
                                                          1);
        if (rc != NGX_OK) {
            return ngx_http_stoa_policy_answer_refused(t, rc);
        }

        if (!t->a->shadow) {
            changed |= t->changed || text.data != body->data
                       || text.len != body->len;
            *body = text;
        }
    }

    if (changed) {
        ngx_http_stoa_policy_answer_changed(r);
        r->headers_out.content_length_n = body->len;
    }

    return NGX_OK;
}


/* By its body; who refuses by a head is counted where that is called. */

static ngx_int_t
ngx_http_stoa_policy_answer_refused(ngx_http_stoa_taker_t *t, ngx_int_t rc)
{
    if (rc >= NGX_HTTP_BAD_REQUEST && !t->refused) {
        t->refused = 1;
        ngx_http_stoa_policy_count(t->a, NGX_HTTP_STOA_OUTCOME_REFUSED);
    }

    return rc;
}


/* A body before what is left of a chain. */

static ngx_int_t
ngx_http_stoa_policy_answer_out(ngx_http_request_t *r, ngx_str_t *body,
    ngx_uint_t last, ngx_chain_t **out)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (body->len == 0 && !last) {
        return NGX_OK;
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = body->len > 0;
    b->last_buf = last;
    b->last_in_chain = last;

    cl->buf = b;
    cl->next = *out;
    *out = cl;

    return NGX_OK;
}


/* ---- piece by piece ----------------------------------------------------- */

/* While the client has not taken what there is, no more is looked at: what was
 * not taken from it keeps the upstream from being read. */

static ngx_int_t
ngx_http_stoa_policy_answer_pieces(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_chain_t *in, ngx_chain_t **out)
{
    ngx_int_t               rc;
    ngx_buf_t              *b;
    ngx_str_t               text;
    ngx_chain_t            *cl, **ll;
    ngx_http_stoa_taker_t  *t;

    *out = NULL;
    ll = out;

    if (in && ngx_chain_add_copy(r->pool, &w->in, in) != NGX_OK) {
        return NGX_ERROR;
    }

    while (w->in && w->nbusy < NGX_HTTP_STOA_ANSWER_BUFFERS) {
        cl = w->in;
        b = cl->buf;

        text.data = b->pos;
        text.len = ngx_buf_in_memory(b) ? b->last - b->pos : 0;

        rc = NGX_OK;

        for (t = w->first;
             t && rc == NGX_OK && (text.len || b->last_buf);
             t = t->next)
        {
            if (!t->off && t->whole == NULL) {
                rc = ngx_http_stoa_policy_answer_refused(t,
                         ngx_http_stoa_policy_answer_piece(r, ctx, w, t, &text,
                                                           b->last_buf));
            }
        }

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_policy_answer_put(r, w, &text, b, &ll);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        b->pos = b->last;
        b->file_pos = b->file_last;
        w->in = cl->next;
        ngx_free_chain(r->pool, cl);
    }

    if (w->in) {
        r->connection->buffered |= NGX_HTTP_STOA_ANSWER_BUFFERED;

    } else {
        r->connection->buffered &= ~NGX_HTTP_STOA_ANSWER_BUFFERED;
    }

    return in && *out == NULL && w->busy == NULL ? NGX_DONE : NGX_OK;
}


/* What one of them makes of a text, which may be what another one has made. */

static ngx_int_t
ngx_http_stoa_policy_answer_piece(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_policy_answer_t *w,
    ngx_http_stoa_taker_t *t, ngx_str_t *text, ngx_uint_t last)
{
    ngx_int_t    rc;
    stoa_buf_t  *to;

    to = &w->text[w->turn];
    stoa_buf_reset(to);
    rc = t->piece(r, ctx, t, text, last, to);

    if (rc != NGX_OK || t->a->shadow) {
        return rc;
    }

    text->data = (u_char *) to->data;
    text->len = to->len;
    w->turn ^= 1;

    return to->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


/* Into buffers that are used again when the client has them. */

static ngx_int_t
ngx_http_stoa_policy_answer_put(ngx_http_request_t *r,
    ngx_http_stoa_policy_answer_t *w, ngx_str_t *text, ngx_buf_t *from,
    ngx_chain_t ***ll)
{
    size_t        n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (text->len == 0 && !from->flush && !from->last_buf && !from->sync) {
        return NGX_OK;
    }

    do {
        cl = ngx_chain_get_free_buf(r->pool, &w->free);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        b = cl->buf;

        if (b->start == NULL) {
            b->start = ngx_palloc(r->pool, NGX_HTTP_STOA_ANSWER_BUFFER);
            if (b->start == NULL) {
                return NGX_ERROR;
            }

            b->end = b->start + NGX_HTTP_STOA_ANSWER_BUFFER;
            b->tag = (ngx_buf_tag_t) &ngx_http_stoa_policy_answer_sent;
        }

        n = ngx_min(text->len, NGX_HTTP_STOA_ANSWER_BUFFER);

        b->pos = b->start;
        b->last = b->start;

        if (n) {
            b->last = ngx_cpymem(b->start, text->data, n);
            text->data += n;
            text->len -= n;
        }

        b->temporary = n > 0;
        b->flush = text->len == 0 && from->flush;
        b->sync = text->len == 0 && from->sync;
        b->last_buf = text->len == 0 && from->last_buf;
        b->last_in_chain = b->last_buf;

        **ll = cl;
        *ll = &cl->next;
        w->nbusy++;

    } while (text->len);

    return NGX_OK;
}


ngx_uint_t
ngx_http_stoa_policy_answer_sent(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_chain_t *out)
{
    ngx_uint_t                      some;
    ngx_chain_t                    *cl;
    ngx_http_stoa_policy_answer_t  *w;

    w = ctx->call.answer;

    if (w == NULL || !w->pieces || w->over) {
        return 0;
    }

    some = out != NULL;

    ngx_chain_update_chains(r->pool, &w->free, &w->busy, &out,
                      (ngx_buf_tag_t) &ngx_http_stoa_policy_answer_sent);

    for (w->nbusy = 0, cl = w->busy; cl; cl = cl->next) {
        w->nbusy++;
    }

    return w->in && (some || w->nbusy < NGX_HTTP_STOA_ANSWER_BUFFERS);
}
