/*
 * Further tries: for which causes, and how many in all.
 *
 * nginx decides and tries; it is told by the number of tries that are left.
 * An api with `retry` has a budget: so many further tries in 10 s as
 * budget_percent of the calls in them, and budget_min.  It is one word in the
 * api's place, so that it holds over all workers of a gateway.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_time.h"


#define NGX_HTTP_STOA_RETRY_WINDOW  10000

#define NGX_HTTP_STOA_RETRY_ONCE                                              \
    (NGX_HTTP_POST|NGX_HTTP_LOCK|NGX_HTTP_PATCH)


/* nginx calls what failed before something was sent an error, or a timeout. */

#define NGX_HTTP_STOA_RETRY_CONNECT  0x00010000

typedef struct {
    const char  *word;
    ngx_uint_t   status;
    ngx_uint_t   mask;
} ngx_http_stoa_retry_cause_t;

static const ngx_http_stoa_retry_cause_t  ngx_http_stoa_retry_words[] = {
    { "connect", 0, NGX_HTTP_STOA_RETRY_CONNECT },
    { "error", 0, NGX_HTTP_UPSTREAM_FT_ERROR },
    { "timeout", 0, NGX_HTTP_UPSTREAM_FT_TIMEOUT },
    { "invalid", 0, NGX_HTTP_UPSTREAM_FT_INVALID_HEADER },
    { "403", 403, NGX_HTTP_UPSTREAM_FT_HTTP_403 },
    { "404", 404, NGX_HTTP_UPSTREAM_FT_HTTP_404 },
    { "429", 429, NGX_HTTP_UPSTREAM_FT_HTTP_429 },
    { "500", 500, NGX_HTTP_UPSTREAM_FT_HTTP_500 },
    { "502", 502, NGX_HTTP_UPSTREAM_FT_HTTP_502 },
    { "503", 503, NGX_HTTP_UPSTREAM_FT_HTTP_503 },
    { "504", 504, NGX_HTTP_UPSTREAM_FT_HTTP_504 },
    { NULL, 0, 0 }
};


static ngx_uint_t ngx_http_stoa_retry_mask(ngx_http_stoa_api_t *api);
static ngx_uint_t ngx_http_stoa_retry_may(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer, ngx_uint_t cause);
static ngx_uint_t ngx_http_stoa_retry_twice(ngx_http_stoa_peer_t *peer);
static ngx_uint_t ngx_http_stoa_retry_count(ngx_http_stoa_api_t *api,
    ngx_uint_t retry);


static ngx_uint_t
ngx_http_stoa_retry_mask(ngx_http_stoa_api_t *api)
{
    uint32_t           i;
    stoa_str_t         s;
    ngx_uint_t         k, mask;
    const stoa_ref_t  *ref;

    ref = stoa_rec_vec(api->rec, api->retry->causes, stoa_ref_t);

    mask = api->retry->causes.n ? 0
           : NGX_HTTP_STOA_RETRY_CONNECT|NGX_HTTP_UPSTREAM_FT_ERROR
             |NGX_HTTP_UPSTREAM_FT_TIMEOUT
             |NGX_HTTP_UPSTREAM_FT_INVALID_HEADER;

    for (i = 0; i < api->retry->causes.n; i++) {
        s = stoa_rec_str(api->rec, ref[i]);

        for (k = 0; ngx_http_stoa_retry_words[k].word; k++) {
            if (ngx_strlen(ngx_http_stoa_retry_words[k].word) == s.len
                && ngx_memcmp(ngx_http_stoa_retry_words[k].word, s.data,
                              s.len)
                   == 0)
            {
                mask |= ngx_http_stoa_retry_words[k].mask;
            }
        }
    }

    return mask;
}


ngx_uint_t
ngx_http_stoa_retry_causes(ngx_http_stoa_api_t *api)
{
    ngx_uint_t  mask;

    mask = ngx_http_stoa_retry_mask(api);

    if (mask & NGX_HTTP_STOA_RETRY_CONNECT) {
        mask |= NGX_HTTP_UPSTREAM_FT_ERROR|NGX_HTTP_UPSTREAM_FT_TIMEOUT;
    }

    if (api->retry->non_idempotent || api->retry->hinted) {
        mask |= NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
    }

    return mask & ~(ngx_uint_t) NGX_HTTP_STOA_RETRY_CONNECT;
}


void
ngx_http_stoa_retry_call(ngx_http_stoa_api_t *api)
{
    (void) ngx_http_stoa_retry_count(api, 0);
}


ngx_uint_t
ngx_http_stoa_retry_answer(ngx_http_request_t *r, ngx_http_stoa_peer_t *peer)
{
    ngx_uint_t                   k, status;
    ngx_table_elt_t             *h;
    ngx_http_upstream_t         *u;
    ngx_http_stoa_header_walk_t  w;

    u = r->upstream;
    status = u->headers_in.status_n;

    for (k = 0; ngx_http_stoa_retry_words[k].status != status; k++) {
        if (ngx_http_stoa_retry_words[k].word == NULL) {
            return 0;
        }
    }

    if (u->peer.tries > 1) {

        /* who says when to come again is not asked before */

        for (h = ngx_http_stoa_header_first(&w, &u->headers_in.headers.part);
             h && !ngx_http_stoa_header_named(h, "retry-after");
             h = ngx_http_stoa_header_next(&w))
        {
            /* void */
        }

        if (h == NULL
            && ngx_http_stoa_retry_may(r, peer,
                                       ngx_http_stoa_retry_words[k].mask))
        {
            peer->granted = 1;
            return 1;
        }
    }

    u->peer.tries = 1;

    return 0;
}


void
ngx_http_stoa_retry_failed(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer)
{
    ngx_uint_t            cause;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    if (peer->granted) {
        peer->granted = 0;
        return;
    }

    r = peer->request;
    u = r->upstream;

    if (!u->request_sent) {
        cause = NGX_HTTP_STOA_RETRY_CONNECT;

    } else if (pc->connection && pc->connection->read->timedout) {
        cause = NGX_HTTP_UPSTREAM_FT_TIMEOUT;

    } else {
        cause = peer->invalid ? NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
                              : NGX_HTTP_UPSTREAM_FT_ERROR;
    }

    if (pc->tries && !ngx_http_stoa_retry_may(r, peer, cause)) {
        pc->tries = 0;
    }
}


/* Would nginx try, may it, and does the budget pay? */

static ngx_uint_t
ngx_http_stoa_retry_may(ngx_http_request_t *r, ngx_http_stoa_peer_t *peer,
    ngx_uint_t cause)
{
    ngx_uint_t            twice;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    twice = ngx_http_stoa_retry_twice(peer);

    if ((ngx_http_stoa_retry_mask(peer->api) & cause) == 0
        || peer->ctx->call.late
        || (u->request_sent && r->request_body_no_buffering)
        || (twice && !peer->ctx->call.repeats))
    {
        return 0;
    }

    if (!ngx_http_stoa_retry_count(peer->api, 1)) {
        ngx_http_stoa_count(retries_denied, 1);
        return 0;
    }

    ngx_http_stoa_count(retries, 1);

    if (twice) {
        peer->ctx->call.repeats = 0;
        peer->same = peer->ctx->call.to.first != 0;
    }

    return 1;
}


/* Would it be made a second time by another try?  By who says `hinted` a call
 * that may be, once. */

static ngx_uint_t
ngx_http_stoa_retry_twice(ngx_http_stoa_peer_t *peer)
{
    ngx_http_request_t  *r;

    r = peer->request;
    peer->ctx->call.repeats &= peer->api->retry->hinted;

    return r->upstream->request_sent && (r->method & NGX_HTTP_STOA_RETRY_ONCE)
           && !peer->api->retry->non_idempotent;
}


void
ngx_http_stoa_retry_stale(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer)
{
    if (!ngx_http_stoa_retry_twice(peer)) {
        return;
    }

    if (peer->ctx->call.repeats) {
        peer->ctx->call.repeats = 0;
        return;
    }

    pc->cached = 0;                   /* it may have been taken all the same */
    pc->tries = 0;
}


/* A call, or a further try: 0, there is no budget for it. */

static ngx_uint_t
ngx_http_stoa_retry_count(ngx_http_stoa_api_t *api, ngx_uint_t retry)
{
    uint64_t                word, next, number, calls, retries;
    ngx_http_stoa_place_t  *place;

    place = ngx_http_stoa_target_own(api);

    if (place == NULL) {
        return 0;
    }

    number = ngx_http_stoa_window_number(ngx_http_stoa_now_ms(),
                                         NGX_HTTP_STOA_RETRY_WINDOW);

    word = ngx_http_stoa_load(&place->budget);

    do {
        ngx_http_stoa_window_read(word, number, &calls, &retries);

        if (retry && (retries + 1) * 100
                     > calls * api->retry->budget_percent
                       + (uint64_t) api->retry->budget_min * 100)
        {
            return 0;
        }

        next = ngx_http_stoa_window_word(number, calls + !retry,
                                         retries + retry);

    } while (!ngx_http_stoa_cas(&place->budget, &word, next));

    return 1;
}
