/*
 * Query arguments by name.  Process: workers.  Names are compared unescaped,
 * values are spans as they were sent.
 */

#ifndef NGX_HTTP_STOA_URI_H
#define NGX_HTTP_STOA_URI_H


#include "ngx_http_stoa.h"


/* The next argument of that name at or after *p; NGX_DECLINED: none. */
ngx_int_t ngx_http_stoa_args_next(u_char **p, u_char *last, const char *name,
    size_t len, ngx_str_t *value);

/* Takes all of that name away; args may become a copy in the pool. */
ngx_int_t ngx_http_stoa_args_remove(ngx_pool_t *pool, ngx_str_t *args,
    const char *name, size_t len);


#endif /* NGX_HTTP_STOA_URI_H */
