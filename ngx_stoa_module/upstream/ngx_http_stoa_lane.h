/*
 * The fast lane: a call over an idle connection whose answer comes whole and
 * small is sent and read here, without nginx's proxy and upstream modules.
 * Whatever else comes is handed over to them in mid-flight: they get the
 * connection as if they had sent the request, and the bytes that were read.
 *
 * Process: workers.  Lifetime: r->pool; one lane per request.
 * Limits: a request of NGX_HTTP_STOA_LANE_REQUEST bytes with its body, an
 * answer of NGX_HTTP_STOA_LANE_ANSWER or proxy_buffer_size bytes, with
 * NGX_HTTP_STOA_LANE_HEADERS headers.
 */

#ifndef NGX_HTTP_STOA_LANE_H
#define NGX_HTTP_STOA_LANE_H


#include "ngx_http_stoa_balance.h"


#define NGX_HTTP_STOA_LANE_REQUEST  16384
#define NGX_HTTP_STOA_LANE_ANSWER   16384
#define NGX_HTTP_STOA_LANE_HEADERS  32
#define NGX_HTTP_STOA_LANE_SLACK    16      /* may be read behind an answer  */
#define NGX_HTTP_STOA_LANE_NAMES    512     /* bytes of all names            */


struct ngx_http_stoa_lane_s {
    ngx_http_request_t          *request;
    ngx_http_cleanup_t          *cleanup;

    size_t                       sent;          /* of the request, unless    */
                                                /* it is whole               */
    u_char                      *in;            /* what was read of the      */
    u_char                      *in_last;       /* answer; "body" is in it   */
    u_char                      *body;
    u_char                      *low;           /* room for names in lower   */
    u_char                      *low_end;       /* case                      */
    ngx_int_t                    end;           /* NGX_OK: no end seen;
                                                   NGX_DONE, NGX_ERROR       */

    ngx_recv_pt                  recv;          /* the connection's own      */
    ngx_send_chain_pt            send_chain;
    unsigned                     ready:1;       /* of its read event         */
    unsigned                     whole:1;       /* the request is sent       */

    ngx_uint_t                   nheaders;
    ngx_http_upstream_header_t  *known[NGX_HTTP_STOA_LANE_HEADERS];
    u_char                      *key[NGX_HTTP_STOA_LANE_HEADERS];
    u_char                       hidden[NGX_HTTP_STOA_LANE_HEADERS];

    ngx_http_upstream_t          upstream;
    ngx_http_stoa_peer_t         peer;          /* zeroed up to its `first`  */
};


/* NGX_DECLINED: not for the lane; else what a content handler returns. */
ngx_int_t ngx_http_stoa_lane(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);

/* nginx's upstream takes over: the connection of a peer that the lane has
 * chosen; NULL: there was none that was idle. */
ngx_connection_t *ngx_http_stoa_lane_take(ngx_http_stoa_peer_t *peer);

/* ---- ngx_http_stoa_lane_conf.c ------------------------------------------ */

/* The proxy module's settings of this location if the lane serves all of
 * them, else NULL. */
ngx_http_upstream_conf_t *ngx_http_stoa_lane_conf(ngx_http_request_t *r);


/* ---- ngx_http_stoa_lane_text.c ------------------------------------------ */

/* The request as nginx's proxy module would write it, in front of its body:
 * its length, or the text itself. */
size_t ngx_http_stoa_lane_length(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
u_char *ngx_http_stoa_lane_write(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, u_char *p);

/* Reads lane->in into lane->upstream.  NGX_OK: a whole answer of the lane's
 * kind; NGX_DECLINED: anything else, nothing but lane->upstream is touched. */
ngx_int_t ngx_http_stoa_lane_read(ngx_http_stoa_lane_t *lane);

/* Makes r->headers_out of it. */
ngx_int_t ngx_http_stoa_lane_headers(ngx_http_stoa_lane_t *lane);


#endif /* NGX_HTTP_STOA_LANE_H */
