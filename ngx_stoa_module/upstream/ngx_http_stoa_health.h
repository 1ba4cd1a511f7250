/*
 * Checks of targets: who asks, and what comes of it.
 *
 * Process: worker 0.
 */

#ifndef NGX_HTTP_STOA_HEALTH_H
#define NGX_HTTP_STOA_HEALTH_H


#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_time.h"


/* Asks once, and writes into the address's place what came of it.  The probe
 * holds the api. */
void ngx_http_stoa_probe(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr);
/* May another one be made now? */
ngx_uint_t ngx_http_stoa_probe_free(void);


#endif /* NGX_HTTP_STOA_HEALTH_H */
