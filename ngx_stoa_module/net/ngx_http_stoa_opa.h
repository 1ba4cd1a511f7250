/*
 * Open Policy Agents, as the operator names them, over idle connections.
 *
 * Process: configuration; workers.  Lifetime: the cycle.
 */

#ifndef NGX_HTTP_STOA_OPA_H
#define NGX_HTTP_STOA_OPA_H


#include "ngx_http_stoa_fetch.h"


#define NGX_HTTP_STOA_OPA_BREAKERS  256


typedef struct {
    ngx_uint_t   failed;               /* in a row, by this worker           */
    ngx_msec_t   until;                /* it is set aside, and then tried    */
} ngx_http_stoa_opa_breaker_t;

typedef struct {
    ngx_str_t    name;
    ngx_str_t    host;                 /* for Host                           */
    ngx_str_t    token;                /* "": none                           */
    ngx_addr_t  *addrs;
    ngx_uint_t   naddrs;
    ngx_ssl_t   *ssl;                  /* NULL: plain                        */
    ngx_str_t    tls_name;
    ngx_uint_t   tls;                  /* unsigned                           */
    ngx_http_stoa_opa_breaker_t  breaker[NGX_HTTP_STOA_OPA_BREAKERS];
    ngx_uint_t   asked;                /* by this worker, now                */
    ngx_uint_t   away;                 /* the last one got no decision; it was
                                          said                               */
} ngx_http_stoa_opa_t;


/* By its name; NULL: there is none. */
ngx_http_stoa_opa_t *ngx_http_stoa_opa_find(ngx_http_stoa_main_conf_t *mcf,
    const char *name, size_t len);
/* Circuit breakers: after some failures in a row it is asked once a second.
 * One of each tenant, whose rules and deadlines may be what fails.  NULL: not
 * now.  Each that was asked tells how it ended. */
ngx_http_stoa_opa_breaker_t *ngx_http_stoa_opa_enter(ngx_http_stoa_opa_t *opa,
    const stoa_id_t *tenant);
void ngx_http_stoa_opa_leave(ngx_http_stoa_opa_breaker_t *b,
    ngx_uint_t failed);
/* Asks for the decision of a rule: f->headers, method and whom are set.
 * NGX_ERROR without memory. */
ngx_int_t ngx_http_stoa_opa_to(ngx_http_stoa_opa_t *opa,
    ngx_http_stoa_fetch_t *f, stoa_str_t path);


#endif /* NGX_HTTP_STOA_OPA_H */
