
/*
 * Which target is next: smooth weighted round robin or least connections over
 * targets, round robin over the addresses of one; passive health per address.
 *
 * Process: workers; each has its own view of health and load.
 */

#include "ngx_http_stoa_balance.h"


#define NGX_HTTP_STOA_TRIES_MAX  32
#define NGX_HTTP_STOA_NONE       ((ngx_uint_t) -1)


static ngx_uint_t ngx_http_stoa_balance_tried(ngx_http_stoa_peer_t *peer,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr);


ngx_uint_t
ngx_http_stoa_balance_tries(ngx_http_stoa_api_t *api)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < api->ntargets; i++) {
        n += api->targets[i].naddrs;
    }

    n = ngx_min(n, (ngx_uint_t) api->rec->retries + 1);

    return ngx_min(ngx_max(n, 1), NGX_HTTP_STOA_TRIES_MAX);
}


/*
 * Healthy addresses first, then, where there is none, any that this request
 * has not tried.
 */

ngx_http_stoa_target_t *
ngx_http_stoa_balance_choose(ngx_http_stoa_api_t *api,
    ngx_http_stoa_peer_t *peer, ngx_uint_t *address)
{
    ngx_int_t                total;
    ngx_uint_t               i, healthy, least, a[STOA_TARGETS_MAX];
    ngx_http_stoa_target_t  *target, *few, *best;

    least = api->rec->balance == STOA_BALANCE_LEAST_CONN;

    for (healthy = 2; healthy-- > 0; /* void */) {
        few = NULL;
        best = NULL;
        total = 0;

        for (i = 0; i < api->ntargets; i++) {
            target = &api->targets[i];
            a[i] = NGX_HTTP_STOA_NONE;

            if (ngx_http_stoa_balance_pick(api, target, peer, healthy, &a[i])
                && (few == NULL || target->active * few->weight
                                   < few->active * target->weight))
            {
                few = target;
            }
        }

        /* among equals, in turn */

        for (i = 0; i < api->ntargets && few; i++) {
            target = &api->targets[i];

            if (a[i] == NGX_HTTP_STOA_NONE
                || (least && target->active * few->weight
                             != few->active * target->weight))
            {
                continue;
            }

            target->current_weight += target->weight;
            total += target->weight;

            if (best == NULL
                || target->current_weight > best->current_weight)
            {
                best = target;
                *address = a[i];
            }
        }

        if (best) {
            best->current_weight -= total;
            return best;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_stoa_balance_pick(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_peer_t *peer,
    ngx_uint_t healthy, ngx_uint_t *address)
{
    ngx_uint_t  i, a;

    for (i = 0; i < target->naddrs; i++) {
        a = target->ordered ? i : (target->next + i) % target->naddrs;

        if (healthy && ngx_http_stoa_balance_down(api, &target->addrs[a])) {
            continue;
        }

        if (peer
            && ngx_http_stoa_balance_tried(peer, target, &target->addrs[a]))
        {
            continue;
        }

        *address = a;
        return 1;
    }

    return 0;
}


ngx_uint_t
ngx_http_stoa_balance_down(ngx_http_stoa_api_t *api,
    ngx_http_stoa_addr_t *addr)
{
    return api->rec->max_fails
           && addr->fails >= api->rec->max_fails
           && ngx_current_msec - addr->failed_at < api->rec->fail_timeout_ms;
}


static ngx_uint_t
ngx_http_stoa_balance_tried(ngx_http_stoa_peer_t *peer,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr)
{
    ngx_http_stoa_try_t  *t;

    for (t = peer->tries; t; t = t->prev) {
        if (t->target == target
            && ngx_cmp_sockaddr(&t->sockaddr.sockaddr, t->socklen,
                                &addr->sockaddr.sockaddr, addr->socklen, 1)
               == NGX_OK)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_stoa_balance_health(ngx_peer_connection_t *pc,
    ngx_http_stoa_peer_t *peer, ngx_uint_t failed)
{
    ngx_uint_t               i;
    ngx_http_stoa_try_t     *t;
    ngx_http_stoa_addr_t    *addr;
    ngx_http_stoa_target_t  *target;

    t = peer->tries;
    target = t->target;

    /* an abort by the client says nothing of the upstream */

    if (!failed && peer->request->upstream->headers_in.status_n == 0) {
        return;
    }

    for (i = 0; i < target->naddrs; i++) {
        addr = &target->addrs[i];

        if (ngx_cmp_sockaddr(&t->sockaddr.sockaddr, t->socklen,
                             &addr->sockaddr.sockaddr, addr->socklen, 1)
            != NGX_OK)
        {
            continue;
        }

        if (!failed) {
            addr->fails = 0;
            return;
        }

        addr->failed_at = ngx_current_msec;

        if (++addr->fails == peer->api->rec->max_fails
            && (peer->api->ntargets > 1 || target->naddrs > 1))
        {
            ngx_log_error(NGX_LOG_WARN, pc->log, 0,
                          "stoa: upstream %V is left alone for %uD ms",
                          &t->name, peer->api->rec->fail_timeout_ms);
        }

        return;
    }
}
