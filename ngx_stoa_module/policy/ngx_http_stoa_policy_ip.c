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
static ngx_uint_t ngx_http_stoa_policy_ip_match(const void *rec,
    const stoa_vec_t *list, unsigned family, const uint8_t *addr);


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_ip = {
    .name = "ip-filter",
    .head = ngx_http_stoa_policy_ip_head,
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
    unsigned              family;
    const uint8_t        *addr;
    struct sockaddr      *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        family = 6;
        addr = sin6->sin6_addr.s6_addr;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            family = 4;
            addr += 12;
        }

        break;
#endif

    case AF_INET:
        family = 4;
        addr = (uint8_t *) &((struct sockaddr_in *) sa)->sin_addr;
        break;

    default:
        /* a unix socket is in no list */
        return ip->allow.n == 0;
    }

    if (ngx_http_stoa_policy_ip_match(rec, &ip->deny, family, addr)) {
        return 0;
    }

    return ip->allow.n == 0
           || ngx_http_stoa_policy_ip_match(rec, &ip->allow, family, addr);
}


static ngx_uint_t
ngx_http_stoa_policy_ip_match(const void *rec, const stoa_vec_t *list,
    unsigned family, const uint8_t *addr)
{
    uint32_t            i;
    const stoa_cidr_t  *cidr;

    cidr = stoa_rec_vec(rec, *list, stoa_cidr_t);

    for (i = 0; i < list->n; i++) {
        if (stoa_cidr_match(&cidr[i], family, addr)) {
            return 1;
        }
    }

    return 0;
}
