/*
 * Lists of network addresses that may call, and that may not.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_policy.h"


static ngx_uint_t ngx_http_stoa_policy_ip_match(stoa_rec_api_t *rec,
    stoa_vec_t *list, unsigned family, const uint8_t *addr);


ngx_uint_t
ngx_http_stoa_policy_ip_allows(ngx_http_request_t *r, stoa_rec_api_t *rec)
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
        return rec->ip_allow.n == 0;
    }

    if (ngx_http_stoa_policy_ip_match(rec, &rec->ip_deny, family, addr)) {
        return 0;
    }

    return rec->ip_allow.n == 0
           || ngx_http_stoa_policy_ip_match(rec, &rec->ip_allow, family, addr);
}


static ngx_uint_t
ngx_http_stoa_policy_ip_match(stoa_rec_api_t *rec, stoa_vec_t *list,
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
