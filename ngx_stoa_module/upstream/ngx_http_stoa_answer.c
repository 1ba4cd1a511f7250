/*
 * The head of an upstream's answer, before nginx goes on with it.
 *
 * nginx's proxy takes what does not begin like HTTP for an answer without a
 * head, any three digits for a status, and the first head for the answer, also
 * when it is an interim one (RFC 9110, 15.2).  Here the first two are no valid
 * answer and the last one is passed over, so that the client gets the final
 * one.  Then the edge of the call judges it.
 *
 * Process: workers.  Lifetime: r->pool.  Limits: interim answers of one call
 * NGX_HTTP_STOA_ANSWER_INTERIM; all of it within proxy_buffer_size and the
 * api's read_timeout_ms, which nginx starts once, when the request is sent.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_credential.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"


#define NGX_HTTP_STOA_ANSWER_INTERIM  16


static ngx_int_t ngx_http_stoa_answer_process_header(ngx_http_request_t *r);
static ngx_uint_t ngx_http_stoa_answer_long(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_answer_refused(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_answer_reinit_request(ngx_http_request_t *r);
static void ngx_http_stoa_answer_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_int_t ngx_http_stoa_answer_head(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer);
static ngx_int_t ngx_http_stoa_answer_skip(ngx_http_request_t *r,
    ngx_http_stoa_peer_t *peer);


void
ngx_http_stoa_answer_hook(ngx_http_request_t *r, ngx_http_stoa_peer_t *peer)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    peer->process_header = u->process_header;
    peer->reinit_request = u->reinit_request;
    peer->finalize_request = u->finalize_request;
    peer->http_version = r->http_version;

    u->finalize_request = ngx_http_stoa_answer_finalize_request;
    u->process_header = ngx_http_stoa_answer_process_header;
    u->reinit_request = ngx_http_stoa_answer_reinit_request;
}


/* Before another attempt: the answer that there was counts no more. */

static ngx_int_t
ngx_http_stoa_answer_reinit_request(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_stoa_call_t  *call;
    ngx_http_stoa_peer_t  *peer;

    peer = r->upstream->peer.data;
    call = &peer->ctx->call;

    if (call->unfit) {
        call->unfit = 0;
        call->refused = 0;
        ngx_str_null(&call->detail);
        ngx_str_null(&call->retry_after);
    }

    if (peer->api->timeouts) {
        ngx_http_stoa_peer_answered(r->upstream, peer->api, 0);
    }

    peer->invalid = 0;
    rc = peer->reinit_request(r);

    peer->process_header = r->upstream->process_header;
    peer->answered = 0;
    r->upstream->process_header = ngx_http_stoa_answer_process_header;

    return rc;
}


/* Called for each piece that comes, until it says something else than
 * NGX_AGAIN: an edge may want to see the body, too. */

static ngx_int_t
ngx_http_stoa_answer_process_header(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_table_elt_t             *type;
    ngx_http_stoa_peer_t        *peer;
    const ngx_http_stoa_edge_t  *edge;

    peer = r->upstream->peer.data;

    if (!peer->answered) {
        rc = ngx_http_stoa_answer_head(r, peer);

        if (rc != NGX_OK) {
            peer->invalid = rc == NGX_HTTP_UPSTREAM_INVALID_HEADER;
            return rc;
        }

        peer->answered = 1;
        peer->status = r->upstream->headers_in.status_n;

        if (peer->api->retry && ngx_http_stoa_retry_answer(r, peer)) {
            return NGX_OK;
        }

        if (peer->api->timeouts) {
            ngx_http_stoa_peer_answered(r->upstream, peer->api, 1);
        }

        if (r->upstream->headers_in.status_n == NGX_HTTP_UNAUTHORIZED
            && peer->ctx->call.credential.len)
        {
            rc = ngx_http_stoa_answer_refused(r, peer->ctx);

            if (rc != NGX_DECLINED) {
                return rc;
            }
        }

        if (ngx_http_stoa_answer_long(r, peer->ctx)) {
            return NGX_OK;
        }

        type = r->upstream->headers_in.content_type;

        if (type && ngx_http_stoa_header_events(&type->value)) {

            /* nginx keeps what is to end by closing until a buffer is full */

            r->upstream->buffering = 0;
        }
    }

    edge = peer->ctx->call.edge;
    rc = edge->answer ? edge->answer(r, peer->ctx) : NGX_OK;

    if (rc == NGX_OK && peer->ctx->call.opened) {
        r->header_sent = 0;                  /* for nginx; see the filter   */
    }

    return rc;
}


/* It says itself that it is too long. */

static ngx_uint_t
ngx_http_stoa_answer_long(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    off_t        n;
    const char  *words;

    n = r->upstream->headers_in.content_length_n;

    words = n > 0 && r->method != NGX_HTTP_HEAD
            && r->upstream->headers_in.status_n != NGX_HTTP_NOT_MODIFIED
            ? ngx_http_stoa_policy_result_over(r, ctx, n) : NULL;

    if (words == NULL) {
        return 0;
    }

    r->upstream->headers_in.status_n
                          = ngx_http_stoa_policy_result_refuse(r, words);
    ctx->call.unfit = 1;
    ngx_http_stoa_compat_end(r->upstream);

    return 1;
}


/* A token of ours, not the client's: he is sent nothing of it.  It may have
 * been withdrawn, and the edge send the call once more with another. */

static ngx_int_t
ngx_http_stoa_answer_refused(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    const ngx_http_stoa_edge_t  *edge;

    edge = ctx->call.edge;

    if (ngx_http_stoa_credential_refused(ctx) == NGX_OK && edge->again) {
        return edge->again(r, ctx);
    }

    if (edge->answer) {
        return NGX_DECLINED;                 /* it knows what that means    */
    }

    (void) ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_UPSTREAM_CREDENTIAL,
                                NULL);
    ctx->call.unfit = 1;
    r->upstream->headers_in.status_n = NGX_HTTP_BAD_GATEWAY;
    ngx_http_stoa_compat_end(r->upstream);

    return NGX_OK;
}


/* Whatever nginx makes of it then, the edge has heard of it. */

static void
ngx_http_stoa_answer_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_stoa_ctx_t         *ctx;
    ngx_http_stoa_peer_t        *peer;
    const ngx_http_stoa_edge_t  *edge;

    peer = r->upstream->peer.data;
    ctx = peer->ctx;
    edge = ctx->call.edge;

    if (edge->ended) {
        edge->ended(r, ctx, rc);
    }

    peer->finalize_request(r, rc);
}


static ngx_int_t
ngx_http_stoa_answer_head(ngx_http_request_t *r, ngx_http_stoa_peer_t *peer)
{
    ngx_int_t             rc;
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    for ( ;; ) {

        /* the proxy moves on from the status line to the headers by itself */

        u->process_header = peer->process_header;
        rc = u->process_header(r);
        peer->process_header = u->process_header;
        u->process_header = ngx_http_stoa_answer_process_header;

        /* it tells an answer without a head by the version of the client */

        r->http_version = peer->http_version;

        if (rc != NGX_OK) {
            return rc;
        }

        status = u->headers_in.status_n;

        if (status >= 200 && status <= 599) {
            return NGX_OK;
        }

        if (status == NGX_HTTP_SWITCHING_PROTOCOLS
            && peer->ctx->call.websocket)
        {
            return NGX_OK;
        }

        if (status < 100 || status > 199
            || status == NGX_HTTP_SWITCHING_PROTOCOLS)
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "stoa: the upstream's answer is no HTTP, status %ui",
                          status);
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        if (peer->api->grpc) {
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        if (++peer->interim > NGX_HTTP_STOA_ANSWER_INTERIM) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "stoa: the upstream sent more than %d interim "
                          "answers", NGX_HTTP_STOA_ANSWER_INTERIM);
            return NGX_HTTP_UPSTREAM_INVALID_HEADER;
        }

        if (ngx_http_stoa_answer_skip(r, peer) != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


/* Forgets the head that was read, as nginx does before another attempt, and
 * keeps what came behind it. */

static ngx_int_t
ngx_http_stoa_answer_skip(ngx_http_request_t *r, ngx_http_stoa_peer_t *peer)
{
    size_t                len;
    u_char               *start;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    start = u->buffer.start;
#if (NGX_HTTP_CACHE)
    if (r->cache) {
        start += r->cache->header_start;
    }
#endif

    len = u->buffer.last - u->buffer.pos;

    ngx_memmove(start, u->buffer.pos, len);
    u->buffer.pos = start;
    u->buffer.last = start + len;

    u->keepalive = 0;
    u->upgrade = 0;

    ngx_memzero(&u->headers_in, sizeof(ngx_http_upstream_headers_in_t));
    u->headers_in.content_length_n = -1;
    u->headers_in.last_modified_time = -1;

    if (u->state) {
        u->state->status = 0;
    }

    if (ngx_list_init(&u->headers_in.headers, r->pool, 8,
                      sizeof(ngx_table_elt_t))
        != NGX_OK
        || ngx_list_init(&u->headers_in.trailers, r->pool, 2,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_answer_reinit_request(r);
}
