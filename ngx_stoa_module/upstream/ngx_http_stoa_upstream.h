/*
 * The dynamic upstream: a call is forwarded to a target of its api.
 *
 * Process: configuration in the master, the rest in workers.
 */

#ifndef NGX_HTTP_STOA_UPSTREAM_H
#define NGX_HTTP_STOA_UPSTREAM_H


#include "ngx_http_stoa_ctx.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_fetch.h"


/* How upstreams are reached from a location: may be kept, for what is asked
 * when there is no request any more. */

typedef struct {
    ngx_ssl_t                 *ssl;             /* NULL: no TLS there        */
    ngx_resolver_t            *resolver;
    ngx_msec_t                 resolver_timeout;
} ngx_http_stoa_via_t;


/* Makes "stoa_upstream" (mcf->upstream); called by the setter of "stoa", any
 * number of times. */
ngx_int_t ngx_http_stoa_upstream_add(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf);
/* The content handler of a location with "stoa": the proxy module's after
 * it. */
ngx_int_t ngx_http_stoa_upstream_content(ngx_http_request_t *r);
/* Gives the request its own unparsed URI back. */
void ngx_http_stoa_peer_restore(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Picks addresses, upstream variables and headers for forwarding to
 * ctx->call.api. */
ngx_int_t ngx_http_stoa_upstream_forward(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
void ngx_http_stoa_via(ngx_http_request_t *r, ngx_http_stoa_via_t *via);
/* Whom f asks: a target of the api, `rest` behind its path.  With the api's
 * time limits, health, TLS, and with its credential behind the owner's
 * headers.  pin: NULL, or the index of the one target; where
 * the answer came from is found by _fetched(). */
ngx_int_t ngx_http_stoa_upstream_fetch(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_api_t *api, ngx_http_stoa_via_t *via, ngx_str_t *rest,
    ngx_uint_t *pin);
ngx_uint_t ngx_http_stoa_upstream_fetched(ngx_http_stoa_fetch_t *f);
/* Of an api whose upstream is behind a link (mcp/_link.c): who asks for one,
 * by the number in his X-Stoa-Link, and whom; and the upstream itself, at this
 * URI or the target's own, without the api's credential. */
ngx_int_t ngx_http_stoa_upstream_link(const ngx_str_t *number,
    ngx_http_stoa_api_t **api, ngx_http_stoa_via_t *via, ngx_uint_t *target);
ngx_int_t ngx_http_stoa_upstream_fetch_behind(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_api_t *api, ngx_http_stoa_via_t *via, ngx_uint_t target,
    const ngx_str_t *uri);
/* The headers that this call's upstream gets, as lines for a fetch; those of
 * the request stay as they are.  NGX_OK, NGX_ERROR, or a refusal's status. */
ngx_int_t ngx_http_stoa_headers_text(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_pool_t *pool, ngx_str_t *text);
/* Caller's headers without credential and X-Stoa-*, with ours. */
ngx_int_t ngx_http_stoa_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* A step: does the client ask for another protocol, and may he? */
ngx_int_t ngx_http_stoa_upgrade(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Asks the upstream for it, in the head that is to be sent. */
ngx_int_t ngx_http_stoa_upgrade_ask(ngx_http_request_t *r);
/* Hides what an upstream may not say to a client. */
void ngx_http_stoa_scrub_response(ngx_http_request_t *r);


/* Which group of this api's targets a call goes to, from 1 on; 0: it has none.
 * Of the call's own api it is kept in call.group.  The head of its answer is
 * complete: a cookie, if call.group_new says so. */
ngx_uint_t ngx_http_stoa_split(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_api_t *api);
ngx_int_t ngx_http_stoa_split_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The call is over, by this status. */
void ngx_http_stoa_upstream_over(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status);
/* In worker 0: checks targets from now on (ngx_http_stoa_health.c). */
void ngx_http_stoa_health_start(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_stoa_health_exit(void);


/* ---- compiled apis (ngx_http_stoa_api.c) -------------------------------- */

/* From the LRU or compiled now: valid until the next one, or while it is held.
 * NULL: no memory. */
ngx_http_stoa_api_t *ngx_http_stoa_api_find(ngx_http_stoa_main_conf_t *mcf,
    const stoa_rec_api_t *rec);
/* The same; the request holds a reference until its pool
 * dies. */
ngx_http_stoa_api_t *ngx_http_stoa_api_get(ngx_http_request_t *r,
    const stoa_rec_api_t *rec);
/* For what outlives a request (a background resolve). */
void ngx_http_stoa_api_hold(ngx_http_stoa_api_t *api);
void ngx_http_stoa_api_release(ngx_http_stoa_api_t *api);
void ngx_http_stoa_api_exit(void);

/* The operation for a method and a path relative to the api's base.  NGX_OK:
 * *index is its index; NGX_DECLINED: no path matches; NGX_ABORT: one does, but
 * not with this method. */
ngx_int_t ngx_http_stoa_api_operation(ngx_http_stoa_api_t *api,
    ngx_str_t *method, ngx_str_t *path, ngx_uint_t *index);
/* The methods of a path, "GET, HEAD, POST", in r->pool. */
ngx_int_t ngx_http_stoa_api_allow(ngx_http_request_t *r,
    ngx_http_stoa_api_t *api, ngx_str_t *path, ngx_str_t *allow);


#endif /* NGX_HTTP_STOA_UPSTREAM_H */
