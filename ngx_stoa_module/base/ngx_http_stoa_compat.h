/*
 * What differs between nginx 1.22 and mainline, and what leans on the inside
 * of nginx: in one place, to be looked at when nginx changes.
 *
 * Included by ngx_http_stoa.h after nginx's own headers.  Process: that of the
 * caller.  Lifetime: r->pool, cf->pool.
 */

#ifndef NGX_HTTP_STOA_COMPAT_H
#define NGX_HTTP_STOA_COMPAT_H


/* 1.23 made headers of one name a linked list; a pushed one must end it. */

#if (nginx_version >= 1023000)
#define ngx_http_stoa_header_end(h)  ((h)->next = NULL)
#define ngx_http_stoa_cookie(r, name, value)                                  \
    (ngx_http_parse_multi_header_lines(r, (r)->headers_in.cookie, name,       \
                                       value)                                 \
     != NULL)
#else
#define ngx_http_stoa_header_end(h)
#define ngx_http_stoa_cookie(r, name, value)                                  \
    (ngx_http_parse_multi_header_lines(&(r)->headers_in.cookies, name, value) \
     != NGX_DECLINED)
#endif


/* 1.27.2 can keep trailers. */

#if (nginx_version >= 1027002)
#define ngx_http_stoa_parse_chunked(r, b, ctx)                               \
    ngx_http_parse_chunked(r, b, ctx, 0)
#else
#define ngx_http_stoa_parse_chunked  ngx_http_parse_chunked
#endif


/* A core configuration of this request's own, which may be changed: nginx
 * reads it through r->loc_conf.  NULL: out of memory. */
ngx_http_core_loc_conf_t *ngx_http_stoa_compat_own_conf(
    ngx_http_request_t *r);

/* Behind the handlers of the phase that are there; before them in the LOG
 * phase, so that a call which is in the access log has been counted, wherever
 * the process is killed. */
ngx_int_t ngx_http_stoa_compat_handler(ngx_conf_t *cf, ngx_http_phases phase,
    ngx_http_handler_pt handler);

/* Calls the setter of another module's directive, with one argument, as the
 * parser would.  "is duplicate": it is set already. */
char *ngx_http_stoa_compat_set(ngx_conf_t *cf, ngx_module_t *module,
    ngx_command_t *cmd, const char *value);

/* The request is for this URI from now on, as if its request line had it;
 * the bytes are kept.  NGX_DECLINED: it is none. */
ngx_int_t ngx_http_stoa_compat_uri(ngx_http_request_t *r,
    const ngx_str_t *uri);

/* From process_header: the answer is thrown away, and the request goes through
 * its phases again, as by an X-Accel-Redirect to itself. */
ngx_int_t ngx_http_stoa_compat_again(ngx_http_request_t *r);

/* From process_header: nothing of the answer is wanted.  nginx ends it as one
 * with an empty body and no headers, and does not keep the connection. */
void ngx_http_stoa_compat_end(ngx_http_upstream_t *u);

/* Is nginx through with it?  What it sends then, and is no end, says that the
 * answer broke off. */
ngx_uint_t ngx_http_stoa_compat_over(ngx_http_upstream_t *u);

/* From a filter: nothing more of the answer is read; it ends as if that were
 * all. */
void ngx_http_stoa_compat_enough(ngx_http_upstream_t *u);

/* Puts another URI and Host into the head that the proxy module has written,
 * which it keeps in the first buffer. */
ngx_int_t ngx_http_stoa_compat_rewrite(ngx_http_request_t *r, ngx_str_t *uri,
    ngx_str_t *to);

/* The proxy module, whose settings of a location begin with those of its
 * upstream (ngx_http_upstream_conf_t); NULL: there is none. */
ngx_module_t *ngx_http_stoa_compat_proxy(void);

/* Did the worker whose place this one takes die of a fault in memory? */
ngx_uint_t ngx_http_stoa_compat_crashed(void);

/* The pages of a pool's blocks that are not used yet go back to the system
 * until they are. */
void ngx_http_stoa_compat_trim(ngx_pool_t *pool);


#endif /* NGX_HTTP_STOA_COMPAT_H */
