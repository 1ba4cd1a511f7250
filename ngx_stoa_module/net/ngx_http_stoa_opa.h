/*
 * Open Policy Agents, as the operator names them, over idle connections.
 *
 * Process: configuration; workers.  Lifetime: the cycle.
 */

#ifndef NGX_HTTP_STOA_OPA_H
#define NGX_HTTP_STOA_OPA_H


#include "ngx_http_stoa_fetch.h"


typedef struct {
    ngx_str_t    name;
    ngx_str_t    host;                 /* for Host                           */
    ngx_str_t    token;                /* "": none                           */
    ngx_addr_t  *addrs;
    ngx_uint_t   naddrs;
    ngx_ssl_t   *ssl;                  /* NULL: plain                        */
    ngx_str_t    tls_name;
    ngx_uint_t   tls;                  /* unsigned                           */
    ngx_uint_t   failed;               /* in a row, by this worker           */
    ngx_msec_t   until;                /* it is set aside, and then tried    */
    ngx_uint_t   asked;                /* by this worker, now                */
    ngx_uint_t   away;                 /* the last one got no decision; it was
                                          said                               */
} ngx_http_stoa_opa_t;


/* By its name; NULL: there is none. */
ngx_http_stoa_opa_t *ngx_http_stoa_opa_find(ngx_http_stoa_main_conf_t *mcf,
    const char *name, size_t len);
/* A circuit breaker: after some failures in a row it is asked once a second.
 * 0: not now.  Each that was asked tells how it ended. */
ngx_uint_t ngx_http_stoa_opa_enter(ngx_http_stoa_opa_t *opa);
void ngx_http_stoa_opa_leave(ngx_http_stoa_opa_t *opa, ngx_uint_t failed);
/* Asks for the decision of a rule: f->headers, method and whom are set.
 * NGX_ERROR without memory. */
ngx_int_t ngx_http_stoa_opa_to(ngx_http_stoa_opa_t *opa,
    ngx_http_stoa_fetch_t *f, stoa_str_t path);


#endif /* NGX_HTTP_STOA_OPA_H */
