/*
 * Addresses of a target: those that need no look-up.
 *
 * Process: workers.  Lifetime: target->addrs is malloc'ed.
 */

#include "ngx_http_stoa_balance.h"


ngx_int_t
ngx_http_stoa_address_literal(ngx_http_stoa_target_t *target)
{
    ngx_uint_t            n;
    struct sockaddr_in    sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6   sin6;
#endif

    ngx_memzero(&sin, sizeof(struct sockaddr_in));
    sin.sin_family = AF_INET;
    n = 0;

    if (target->host.len == sizeof("localhost") - 1
        && ngx_memcmp(target->host.data, "localhost", 9) == 0)
    {
        sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        target->ordered = 1;
        n = 1;

    } else {
        sin.sin_addr.s_addr = ngx_inet_addr(target->host.data,
                                            target->host.len);
        if (sin.sin_addr.s_addr != INADDR_NONE) {
            n = 1;
        }
    }

#if (NGX_HAVE_INET6)

    ngx_memzero(&sin6, sizeof(struct sockaddr_in6));

    if (target->ordered) {
        sin6.sin6_family = AF_INET6;
        sin6.sin6_addr = in6addr_loopback;
        n = 2;

    } else if (n == 0
               && ngx_inet6_addr(target->host.data, target->host.len,
                                 sin6.sin6_addr.s6_addr)
                  == NGX_OK)
    {
        sin.sin_family = 0;
        sin6.sin6_family = AF_INET6;
        n = 1;
    }

#endif

    if (n == 0) {
        target->valid = 1;
        return NGX_OK;
    }

    target->addrs = ngx_calloc(n * sizeof(ngx_http_stoa_addr_t),
                               ngx_cycle->log);
    if (target->addrs == NULL) {
        return NGX_ERROR;
    }

    if (sin.sin_family
        && ngx_http_stoa_address_set(target, &target->addrs[0],
                                     (struct sockaddr *) &sin, sizeof(sin))
           == NGX_OK)
    {
        target->naddrs = 1;
    }

#if (NGX_HAVE_INET6)
    if (sin6.sin6_family
        && ngx_http_stoa_address_set(target, &target->addrs[target->naddrs],
                                     (struct sockaddr *) &sin6, sizeof(sin6))
           == NGX_OK)
    {
        target->naddrs++;
    }
#endif

    return NGX_OK;
}


/* NGX_DECLINED: tenants may not send calls there. */

ngx_int_t
ngx_http_stoa_address_set(ngx_http_stoa_target_t *target,
    ngx_http_stoa_addr_t *addr, struct sockaddr *sa, socklen_t socklen)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);

    ngx_memcpy(&addr->sockaddr, sa, socklen);
    addr->socklen = socklen;

    ngx_inet_set_port(&addr->sockaddr.sockaddr, target->port);

    addr->name.data = addr->text;
    addr->name.len = ngx_sock_ntop(&addr->sockaddr.sockaddr, socklen,
                                   addr->text, NGX_SOCKADDR_STRLEN, 1);

    if (stoa_allow_sockaddr(&mcf->upstream_allow, sa)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "stoa: upstream \"%V\" is not asked at %V: "
                  "\"stoa_upstream_allow\" does not list it",
                  &target->host, &addr->name);

    return NGX_DECLINED;
}
