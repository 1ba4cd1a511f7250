/*
 * Idle connections of this worker, to whoever was asked.
 *
 * Process: workers.  Lifetime: the process.
 */

#ifndef NGX_HTTP_STOA_KEEPALIVE_H
#define NGX_HTTP_STOA_KEEPALIVE_H


#include "ngx_http_stoa_digest.h"


typedef struct {
    ngx_sockaddr_t             sockaddr;
    socklen_t                  socklen;
    ngx_ssl_t                 *ssl;             /* NULL: plain               */
    ngx_str_t                  tls_name;
    ngx_uint_t                 h2;              /* unsigned: HTTP/2          */
    ngx_uint_t                 verify;          /* unsigned                  */
    u_char                     shown[NGX_HTTP_STOA_SHA256_LEN];
                                                /* whose certificate we had;
                                                   zeros: none               */
    ngx_msec_t                 idle;            /* not compared: the longest
                                                   wait                      */
} ngx_http_stoa_keepalive_key_t;

ngx_connection_t *ngx_http_stoa_keepalive_get(
    ngx_http_stoa_keepalive_key_t *key, ngx_log_t *log);
/* NGX_OK: the pool has it now; NGX_DECLINED: the caller closes it. */
ngx_int_t ngx_http_stoa_keepalive_put(ngx_http_stoa_keepalive_key_t *key,
    ngx_connection_t *c);
/* Has the other side closed an idle one, or sent what nobody asked for?  Its
 * event may be still to come. */
ngx_uint_t ngx_http_stoa_keepalive_closed(ngx_connection_t *c);
/* Closes one with its pool, without waiting for the other side. */
void ngx_http_stoa_keepalive_close(ngx_connection_t *c);
void ngx_http_stoa_keepalive_exit(void);


#endif /* NGX_HTTP_STOA_KEEPALIVE_H */
