/*
 * A socket of this worker's, to which it connects itself: for upstreams that
 * speak another protocol than HTTP's question and answer, which somebody here
 * translates.
 *
 * Process: workers.  Lifetime: the process; "local.<pid>" in the store's
 * directory, which only the gateway's user can enter.
 */

#ifndef NGX_HTTP_STOA_LOCAL_H
#define NGX_HTTP_STOA_LOCAL_H


#include "ngx_http_stoa.h"


/* A connection; it is the handler's. */
typedef void (*ngx_http_stoa_local_pt)(ngx_socket_t s);

ngx_int_t ngx_http_stoa_local_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_http_stoa_local_pt handler);
void ngx_http_stoa_local_close(void);
/* Where it is; 0: nowhere. */
socklen_t ngx_http_stoa_local_address(ngx_sockaddr_t *sa);


#endif /* NGX_HTTP_STOA_LOCAL_H */
