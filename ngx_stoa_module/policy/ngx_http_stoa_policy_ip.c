/*
 * ip-filter: lists of network addresses that may call, and that may not.
 * Schema: core/stoa_policy_ip.h, also of the api's own fields.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_ip.h"


static ngx_int_t ngx_http_stoa_policy_ip_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_ip_still(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const void *rec, const void *config);
static ngx_uint_t ngx_http_stoa_policy_ip_allows(ngx_http_request_t *r,
    const void *rec, const stoa_policy_ip_t *ip);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_ip = {
    .name = "ip-filter",
    .head = ngx_http_stoa_policy_ip_head,
    .look = 1,
    .still = ngx_http_stoa_policy_ip_still
};


static ngx_int_t
ngx_http_stoa_policy_ip_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    return ngx_http_stoa_policy_ip_allows(r, a->rec, a->config)
           ? NGX_OK
           : ngx_http_stoa_policy_refuse(r, ctx, a, NGX_HTTP_STOA_REFUSE_IP);
}


static ngx_uint_t
ngx_http_stoa_policy_ip_still(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const void *rec, const void *config)
{
    return ngx_http_stoa_policy_ip_allows(r, rec, config);
}


static ngx_uint_t
ngx_http_stoa_policy_ip_allows(ngx_http_request_t *r, const void *rec,
    const stoa_policy_ip_t *ip)
{
    return !ngx_http_stoa_policy_ip_in(r, rec, &ip->deny)
           && (ip->allow.n == 0
               || ngx_http_stoa_policy_ip_in(r, rec, &ip->allow));
}


/* A unix socket is in no list. */

ngx_uint_t
ngx_http_stoa_policy_ip_in(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list)
{
    unsigned          family;
    const uint8_t    *addr;
    struct sockaddr  *sa;

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        family = 6;
        addr = ((struct sockaddr_in6 *) sa)->sin6_addr.s6_addr;
        break;
#endif

    case AF_INET:
        family = 4;
        addr = (uint8_t *) &((struct sockaddr_in *) sa)->sin_addr;
        break;

    default:
        return 0;
    }

    return stoa_cidrs_match(stoa_rec_vec(rec, *list, stoa_cidr_t), list->n,
                            family, addr);
}
