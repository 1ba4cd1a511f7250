
/*
 * Which target is next: smooth weighted round robin or least connections over
 * targets, round robin over the addresses of one; passive health per address.
 *
 * Process: workers; each has its own view of health and load.
 */

#include "ngx_http_stoa_balance.h"


#define NGX_HTTP_STOA_TRIES_MAX  32
#define NGX_HTTP_STOA_NONE       ((ngx_uint_t) -1)


static ngx_uint_t ngx_http_stoa_balance_level(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr);
static ngx_uint_t ngx_http_stoa_balance_down(ngx_http_stoa_api_t *api,
    ngx_http_stoa_addr_t *addr);
static ngx_uint_t ngx_http_stoa_balance_tried(ngx_http_stoa_try_t *t,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr);


ngx_uint_t
ngx_http_stoa_balance_tries(ngx_http_stoa_api_t *api)
{
    ngx_uint_t  i, n;

    n = api->retry && (api->retry->same_target || api->retry->hinted)
        ? NGX_HTTP_STOA_TRIES_MAX : 0;

    for (i = 0; i < api->ntargets; i++) {
        n += api->targets[i].naddrs;
    }

    n = ngx_min(n, (ngx_uint_t) api->rec->retries + 1);

    return ngx_min(ngx_max(n, 1), NGX_HTTP_STOA_TRIES_MAX);
}


/*
 * Good addresses first, then, where there is none, those whose calls failed,
 * of what this request has not tried; those whose checks are bad only where
 * all are.
 */

ngx_http_stoa_target_t *
ngx_http_stoa_balance_choose(ngx_http_stoa_api_t *api, ngx_uint_t group,
    ngx_http_stoa_try_t *tries, ngx_uint_t *address)
{
    ngx_int_t                total;
    ngx_uint_t               i, level, least, a[STOA_TARGETS_MAX];
    ngx_http_stoa_target_t  *target, *few, *best;

    least = api->rec->balance == STOA_BALANCE_LEAST_CONN;

    for (level = NGX_HTTP_STOA_LEVEL_GOOD;
         level < NGX_HTTP_STOA_LEVEL_DOWN
         || (level == NGX_HTTP_STOA_LEVEL_DOWN && api->watched
             && ngx_http_stoa_target_least(api, group) == level);
         level++)
    {
        few = NULL;
        best = NULL;
        total = 0;

        for (i = 0; i < api->ntargets; i++) {
            target = &api->targets[i];
            a[i] = NGX_HTTP_STOA_NONE;

            if (group && target->group != group) {
                continue;
            }

            if (ngx_http_stoa_balance_pick(api, target, tries, level, &a[i])
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

    return tries && api->retry
           && (api->retry->same_target || api->retry->hinted)
           ? ngx_http_stoa_balance_choose(api, group, NULL, address) : NULL;
}


ngx_uint_t
ngx_http_stoa_balance_pick(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_try_t *tries,
    ngx_uint_t level, ngx_uint_t *address)
{
    ngx_uint_t  i, a;

    for (i = 0; i < target->naddrs; i++) {
        a = target->ordered ? i : (target->next + i) % target->naddrs;

        if (ngx_http_stoa_balance_level(api, target, &target->addrs[a])
            > level)
        {
            continue;
        }

        if (ngx_http_stoa_balance_tried(tries, target, &target->addrs[a])) {
            continue;
        }

        *address = a;
        return 1;
    }

    return 0;
}


static ngx_uint_t
ngx_http_stoa_balance_level(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr)
{
    ngx_uint_t  level;

    level = api->watched ? ngx_http_stoa_target_level(api, target, addr)
                         : NGX_HTTP_STOA_LEVEL_GOOD;

    return level == NGX_HTTP_STOA_LEVEL_GOOD
           && ngx_http_stoa_balance_down(api, addr)
           ? NGX_HTTP_STOA_LEVEL_FAILED : level;
}


static ngx_uint_t
ngx_http_stoa_balance_down(ngx_http_stoa_api_t *api,
    ngx_http_stoa_addr_t *addr)
{
    return api->rec->max_fails
           && addr->fails >= api->rec->max_fails
           && ngx_current_msec - addr->failed_at < api->rec->fail_timeout_ms;
}


static ngx_uint_t
ngx_http_stoa_balance_tried(ngx_http_stoa_try_t *t,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr)
{
    for ( /* void */ ; t; t = t->prev) {
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


/* Copied, as the target's addresses may change at any event.  NGX_DECLINED:
 * it must not be called any more. */

ngx_int_t
ngx_http_stoa_balance_attempt(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_uint_t address,
    ngx_http_stoa_try_t *t, ngx_http_stoa_try_t **tries)
{
    ngx_http_stoa_addr_t  *addr;

    t->place = NULL;

    if (api->breaker
        && ngx_http_stoa_breaker_enter(api, target, address, t) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    addr = &target->addrs[address];
    target->next = address + 1;

    if (ngx_http_stoa_balance_down(api, addr) == 0) {

        /* after a pause, one request at a time finds out */

        addr->failed_at = ngx_current_msec;
    }

    t->prev = *tries;
    t->target = target;
    t->sockaddr = addr->sockaddr;
    t->socklen = addr->socklen;
    t->name.data = t->text;
    t->name.len = addr->name.len;
    ngx_memcpy(t->text, addr->text, addr->name.len);

    *tries = t;
    target->active++;

    return NGX_OK;
}


void
ngx_http_stoa_balance_health(ngx_http_stoa_api_t *api, ngx_http_stoa_try_t *t,
    ngx_uint_t failed, ngx_log_t *log)
{
    ngx_uint_t               i;
    ngx_http_stoa_addr_t    *addr;
    ngx_http_stoa_target_t  *target;

    target = t->target;

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

        if (++addr->fails == api->rec->max_fails
            && (api->ntargets > 1 || target->naddrs > 1))
        {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "stoa: upstream %V is left alone for %uD ms",
                          &t->name, api->rec->fail_timeout_ms);
        }

        return;
    }
}


ngx_int_t
ngx_http_stoa_balance_uri(ngx_pool_t *pool, ngx_http_stoa_target_t *target,
    ngx_str_t *rest, ngx_str_t *uri)
{
    u_char      *p;
    ngx_uint_t   slash;

    slash = target->path.len == 0
            && (rest->len == 0 || rest->data[0] != '/');

    if (target->path.len == 0 && !slash) {
        *uri = *rest;
        return NGX_OK;
    }

    if (rest->len == 0) {
        *uri = target->path;

        if (slash) {
            ngx_str_set(uri, "/");
        }

        return NGX_OK;
    }

    p = ngx_pnalloc(pool, target->path.len + slash + rest->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    uri->data = p;

    p = ngx_cpymem(p, target->path.data, target->path.len);

    if (slash) {
        *p++ = '/';
    }

    p = ngx_cpymem(p, rest->data, rest->len);

    uri->len = p - uri->data;

    return NGX_OK;
}
