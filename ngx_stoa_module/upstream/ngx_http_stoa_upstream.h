/*
 * The peers of one request to "stoa_upstream", and who is next.
 *
 * Process: workers.  Lifetime: r->pool; targets are the compiled api's.
 */

#ifndef NGX_HTTP_STOA_UPSTREAM_H
#define NGX_HTTP_STOA_UPSTREAM_H


#include "ngx_http_stoa.h"


/* One attempt; logs keep a pointer to its name. */

typedef struct ngx_http_stoa_try_s  ngx_http_stoa_try_t;

struct ngx_http_stoa_try_s {
    ngx_http_stoa_try_t      *prev;
    ngx_http_stoa_target_t   *target;
    ngx_sockaddr_t            sockaddr;
    socklen_t                 socklen;
    ngx_str_t                 name;
    u_char                    text[NGX_SOCKADDR_STRLEN];
};

typedef struct {
    ngx_http_request_t             *request;
    ngx_http_stoa_ctx_t            *ctx;
    ngx_http_stoa_api_t            *api;
    ngx_http_stoa_target_t         *written;    /* in the request head       */
    ngx_http_stoa_try_t            *tries;
    ngx_http_stoa_keepalive_key_t   key;
    unsigned                        fresh:1;    /* no idle connection        */
    unsigned                        used:1;     /* `first`                   */
    ngx_http_stoa_try_t             first;      /* not zeroed                */
} ngx_http_stoa_peer_t;


/* ---- ngx_http_stoa_balance.c ------------------------------------------- */

/* How many attempts a request to this api has. */
ngx_uint_t ngx_http_stoa_balance_tries(ngx_http_stoa_api_t *api);

/* The next target and the index of its address; NULL: none is left.  peer:
 * what was tried, NULL for nothing yet. */
ngx_http_stoa_target_t *ngx_http_stoa_balance_choose(
    ngx_http_stoa_api_t *api, ngx_http_stoa_peer_t *peer,
    ngx_uint_t *address);

/* An address of this target that may be used now; 0: none. */
ngx_uint_t ngx_http_stoa_balance_pick(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_peer_t *peer,
    ngx_uint_t healthy, ngx_uint_t *address);

/* Has it failed too often, too lately? */
ngx_uint_t ngx_http_stoa_balance_down(ngx_http_stoa_api_t *api,
    ngx_http_stoa_addr_t *addr);

/* What came of the last attempt. */
void ngx_http_stoa_balance_health(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer, ngx_uint_t failed);


#endif /* NGX_HTTP_STOA_UPSTREAM_H */
