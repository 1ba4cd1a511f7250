/*
 * What differs between nginx 1.22 and mainline, in one place.
 * Included by ngx_http_stoa.h after nginx's own headers.
 */

#ifndef NGX_HTTP_STOA_COMPAT_H
#define NGX_HTTP_STOA_COMPAT_H


/* 1.23 made headers of one name a linked list; a pushed one must end it. */

#if (nginx_version >= 1023000)
#define ngx_http_stoa_header_end(h)  ((h)->next = NULL)
#else
#define ngx_http_stoa_header_end(h)
#endif


#endif /* NGX_HTTP_STOA_COMPAT_H */
