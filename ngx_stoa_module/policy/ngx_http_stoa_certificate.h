/*
 * The client certificate of an api's upstream.
 *
 * Process: workers.  Lifetime: that of the chain.
 */

#ifndef NGX_HTTP_STOA_CERTIFICATE_H
#define NGX_HTTP_STOA_CERTIFICATE_H


#include "ngx_http_stoa_chain.h"
#include "ngx_http_stoa_digest.h"


typedef struct ngx_http_stoa_certificate_s  ngx_http_stoa_certificate_t;

/* NULL: none is shown. */
const ngx_http_stoa_certificate_t *ngx_http_stoa_certificate(
    const ngx_http_stoa_chain_t *chain);
/* Whose connections may be used again: NGX_HTTP_STOA_SHA256_LEN bytes of the
 * api and what it shows; zeros: it shows nothing. */
void ngx_http_stoa_certificate_key(const ngx_http_stoa_chain_t *chain,
    u_char *key);
/* Before the handshake.  NGX_ERROR: it cannot be shown. */
ngx_int_t ngx_http_stoa_certificate_show(const ngx_http_stoa_chain_t *chain,
    ngx_connection_t *c);


#endif /* NGX_HTTP_STOA_CERTIFICATE_H */
