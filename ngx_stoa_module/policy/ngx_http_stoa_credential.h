/*
 * Tokens that the gateway fetches for upstreams: from the token endpoint that
 * an upstream-credential names, kept while they live, fetched again at four
 * fifths of that, each once at a time.
 *
 * Process: a worker, by itself.  Limits: NGX_HTTP_STOA_CREDENTIALS tokens, the
 * oldest goes; an endpoint that fails is asked again after a second, at last
 * after 30.
 */

#ifndef NGX_HTTP_STOA_CREDENTIAL_H
#define NGX_HTTP_STOA_CREDENTIAL_H


#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_chain.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_CREDENTIALS  4096


/* What an api's upstream is shown.  Valid as long as its chain. */

typedef struct {
    ngx_http_stoa_header_name_t  name;
    ngx_str_t                    value;      /* len 0: a token is fetched    */

    ngx_str_t                    url;        /* by these                     */
    ngx_str_t                    login;      /* a header's line, or ""       */
    ngx_str_t                    form;
    ngx_str_t                    api;        /* its name, for logs           */
    u_char                       key[NGX_HTTP_STOA_SHA256_LEN];
    unsigned                     exchange:1; /* for one of the caller's      */
} ngx_http_stoa_credential_t;

/* NULL: nothing. */
ngx_http_stoa_credential_t *ngx_http_stoa_credential(
    const ngx_http_stoa_chain_t *chain);


/* Who waits for one; done() may do so again. */

typedef struct {
    ngx_queue_t                  queue;
    void                       (*done)(void *data);
    void                        *data;
    unsigned                     queued:1;
} ngx_http_stoa_credential_wait_t;

/* The header's value, as it is now: to be copied.  subject: the caller's
 * token, for one that is exchanged; NULL: there is no caller.  NGX_AGAIN:
 * done() is called later, unless it is cancelled; wait NULL: not then.
 * NGX_DECLINED: there is none. */
ngx_int_t ngx_http_stoa_credential_get(const ngx_http_stoa_credential_t *c,
    const ngx_str_t *subject, ngx_http_stoa_credential_wait_t *wait,
    ngx_str_t *value);
/* The subject for a fetch on behalf of this caller, in pool; "": it needs
 * none, or he has none. */
ngx_int_t ngx_http_stoa_credential_caller(const ngx_http_stoa_api_t *api,
    const ngx_http_stoa_ctx_t *ctx, ngx_pool_t *pool, ngx_str_t *subject);
void ngx_http_stoa_credential_cancel(ngx_http_stoa_credential_wait_t *wait);

/* The upstream did not take what the step of that name had fetched.  NGX_OK:
 * another one may be tried, from call.credential_step on, NGX_DECLINED: it
 * was. */
ngx_int_t ngx_http_stoa_credential_refused(ngx_http_stoa_ctx_t *ctx);


#endif /* NGX_HTTP_STOA_CREDENTIAL_H */
