/*
 * What is asked about a call that nobody makes, and what was seen
 * (ngx_http_stoa_look.c).
 *
 * Process: worker 0.  Lifetime: of who asks.
 */

#ifndef NGX_HTTP_STOA_ASKED_H
#define NGX_HTTP_STOA_ASKED_H


#include "ngx_http_stoa_look.h"
#include "ngx_http_stoa_zone.h"


typedef struct {
    ngx_str_t                method;
    ngx_uint_t               method_bit;       /* nginx's; UNKNOWN: another  */
    ngx_str_t                host;             /* lower case, no port        */
    ngx_str_t                uri;              /* path and query             */
    ngx_str_t                address;          /* of the client              */
    ngx_str_t                body;
    const ngx_keyval_t      *headers;
    ngx_uint_t               nheaders;
    stoa_id_t                credential;       /* zeros: none                */
} ngx_http_stoa_asked_t;

typedef enum {
    NGX_HTTP_STOA_SEEN_NONE = 0,               /* no location of ours        */
    NGX_HTTP_STOA_SEEN_ALLOWED,
    NGX_HTTP_STOA_SEEN_REFUSED,
    NGX_HTTP_STOA_SEEN_ANSWERED,               /* the gateway does it itself */
    NGX_HTTP_STOA_SEEN_UNKNOWN
} ngx_http_stoa_seen_e;

typedef struct {
    ngx_http_stoa_seen_e     verdict;
    ngx_http_stoa_traced_t   traced;           /* NONE: zeros                */
    ngx_http_stoa_look_t     look;             /* beside its notes           */
} ngx_http_stoa_seen_t;


/* NGX_DECLINED: no request, or nobody listens. */
ngx_int_t ngx_http_stoa_look(const ngx_http_stoa_asked_t *asked,
    ngx_log_t *log, ngx_http_stoa_seen_t *seen);


#endif /* NGX_HTTP_STOA_ASKED_H */
