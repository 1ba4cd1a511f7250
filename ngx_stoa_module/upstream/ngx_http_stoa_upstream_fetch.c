/*
 * Fetches to an api's targets: chosen, tried one after the other and judged
 * as those of forwarded calls are, with the same names, TLS and connections.
 *
 * Process: workers.  Lifetime: the fetch's; it holds the compiled api.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_certificate.h"
#include "ngx_http_stoa_credential.h"
#include "ngx_http_stoa_local.h"


typedef struct {
    ngx_http_stoa_resolve_t    resolve;
    ngx_http_stoa_fetch_t     *fetch;
    ngx_http_stoa_api_t       *api;
    ngx_http_stoa_try_t       *tries;
    ngx_uint_t                 left;            /* that may be made          */
    ngx_http_stoa_target_t    *pin;             /* NULL: any                 */
    ngx_str_t                  rest;
    ngx_http_stoa_via_t        via;
    ngx_http_stoa_credential_wait_t  wait;
    ngx_queue_t                queue;           /* of those for a link       */
    uint64_t                   number;          /* 0: it is none             */
    ngx_str_t                  uri;
    unsigned                   behind:1;        /* of a link                 */
    unsigned                   shown:1;         /* the credential is there   */
} ngx_http_stoa_upstream_fetch_t;


static ngx_int_t ngx_http_stoa_upstream_fetch_get(ngx_http_stoa_fetch_t *f);
static ngx_int_t ngx_http_stoa_upstream_fetch_aim(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_upstream_fetch_t *p, ngx_http_stoa_target_t *target);
static ngx_int_t ngx_http_stoa_upstream_fetch_add(ngx_http_stoa_fetch_t *f,
    const ngx_str_t *name, const ngx_str_t *value);
static ngx_int_t ngx_http_stoa_upstream_fetch_link(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_upstream_fetch_t *p, ngx_http_stoa_try_t *t);
static ngx_int_t ngx_http_stoa_upstream_fetch_show(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_upstream_fetch_t *p);
static void ngx_http_stoa_upstream_fetch_free(ngx_http_stoa_fetch_t *f,
    ngx_uint_t failed);
static ngx_int_t ngx_http_stoa_upstream_fetch_session(ngx_http_stoa_fetch_t *f,
    ngx_connection_t *c, ngx_uint_t made);
static void ngx_http_stoa_upstream_fetch_close(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_upstream_fetch_resolved(void *data);


static const ngx_http_stoa_fetch_peers_t  ngx_http_stoa_upstream_peers = {
    ngx_http_stoa_upstream_fetch_get,
    ngx_http_stoa_upstream_fetch_free,
    ngx_http_stoa_upstream_fetch_session,
    ngx_http_stoa_upstream_fetch_close
};


/* Of this worker: those that wait for a link. */

static ngx_queue_t  ngx_http_stoa_upstream_links;


ngx_int_t
ngx_http_stoa_upstream_fetch(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_api_t *api, ngx_http_stoa_via_t *via, ngx_str_t *rest,
    ngx_uint_t *pin)
{
    ngx_http_stoa_upstream_fetch_t  *p;

    p = ngx_pcalloc(f->pool, sizeof(ngx_http_stoa_upstream_fetch_t));
    if (p == NULL) {
        return NGX_ERROR;
    }

    p->fetch = f;
    p->api = api;
    p->via = *via;
    p->left = ngx_http_stoa_balance_tries(api);
    p->rest = *rest;

    if (pin && *pin < api->ntargets) {
        p->pin = &api->targets[*pin];
    }

    p->resolve.api = api;
    p->resolve.via = *via;
    p->resolve.pool = f->pool;
    p->resolve.log = f->log;
    p->resolve.done = ngx_http_stoa_upstream_fetch_resolved;
    p->resolve.data = p;

    if (api->rec->connect_timeout_ms) {
        f->connect_timeout = api->rec->connect_timeout_ms;
    }

    if (api->rec->read_timeout_ms) {
        f->read_timeout = api->rec->read_timeout_ms;
    }

    f->to.key.idle = api->rec->idle_timeout_ms;
    f->to.key.verify = api->rec->tls_verify;
    f->peers = &ngx_http_stoa_upstream_peers;
    f->peer = p;

    ngx_http_stoa_api_hold(api);

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_upstream_fetch_behind(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_api_t *api, ngx_http_stoa_via_t *via, ngx_uint_t target,
    const ngx_str_t *uri)
{
    ngx_http_stoa_upstream_fetch_t  *p;

    static ngx_str_t  none = ngx_null_string;

    if (ngx_http_stoa_upstream_fetch(f, api, via, &none, &target) != NGX_OK) {
        return NGX_ERROR;
    }

    p = f->peer;
    p->behind = 1;
    p->shown = 1;

    if (uri->len) {
        p->uri.len = uri->len;                /* its link may end before     */
        p->uri.data = ngx_pstrdup(f->pool, (ngx_str_t *) uri);
    }

    return uri->len == 0 || p->uri.data ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_stoa_upstream_link(const ngx_str_t *number,
    ngx_http_stoa_api_t **api, ngx_http_stoa_via_t *via, ngx_uint_t *target)
{
    ngx_queue_t                     *q, *list;
    ngx_http_stoa_upstream_fetch_t  *p;

    list = &ngx_http_stoa_upstream_links;

    for (q = list->next ? ngx_queue_head(list) : list;
         q != list;
         q = ngx_queue_next(q))
    {
        p = ngx_queue_data(q, ngx_http_stoa_upstream_fetch_t, queue);

        if (ngx_atoof(number->data, number->len) == (off_t) p->number) {
            *api = p->api;
            *via = p->via;
            *target = ngx_http_stoa_upstream_fetched(p->fetch);
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_stoa_upstream_fetched(ngx_http_stoa_fetch_t *f)
{
    ngx_http_stoa_upstream_fetch_t *p = f->peer;

    return p->tries ? (ngx_uint_t) (p->tries->target - p->api->targets) : 0;
}


static ngx_http_stoa_target_t *
ngx_http_stoa_upstream_fetch_target(ngx_http_stoa_upstream_fetch_t *p,
    ngx_uint_t *address)
{
    if (p->pin == NULL) {
        return ngx_http_stoa_balance_choose(p->api, p->fetch->group, p->tries,
                                            address);
    }

    /* what is asked there is there alone */

    return ngx_http_stoa_balance_pick(p->api, p->pin, p->tries,
                                      NGX_HTTP_STOA_LEVEL_GOOD, address)
           || ngx_http_stoa_balance_pick(p->api, p->pin, p->tries,
                                         NGX_HTTP_STOA_LEVEL_DOWN, address)
           ? p->pin : NULL;
}


static ngx_int_t
ngx_http_stoa_upstream_fetch_get(ngx_http_stoa_fetch_t *f)
{
    ngx_http_stoa_upstream_fetch_t *p = f->peer;

    ngx_int_t                rc;
    ngx_uint_t               address;
    ngx_http_stoa_try_t     *t;
    ngx_http_stoa_target_t  *target;

    if (p->left == 0) {
        return NGX_DECLINED;
    }

    if (!p->shown) {
        rc = ngx_http_stoa_upstream_fetch_show(f, p);

        if (rc != NGX_OK) {
            f->why = "there is no token for it";
            return rc;
        }
    }

    p->left--;

    rc = ngx_http_stoa_resolve_api(&p->resolve);

    if (rc != NGX_OK) {
        p->left += rc == NGX_AGAIN;
        f->why = "its name could not be resolved";
        return rc;
    }

    t = ngx_palloc(f->pool, sizeof(ngx_http_stoa_try_t));
    if (t == NULL) {
        return NGX_DECLINED;
    }

    do {
        target = ngx_http_stoa_upstream_fetch_target(p, &address);

        if (target == NULL && p->tries == NULL) {
            f->aside = ngx_http_stoa_target_aside(p->api, f->group);
        }

        if (target == NULL
            || ngx_http_stoa_upstream_fetch_aim(f, p, target) != NGX_OK)
        {
            return NGX_DECLINED;
        }

    } while (ngx_http_stoa_balance_attempt(p->api, target, address, t,
                                           &p->tries)
             != NGX_OK);

    if (p->api->rec->sse && !p->behind
        && ngx_http_stoa_upstream_fetch_link(f, p, t) != NGX_OK)
    {
        ngx_http_stoa_breaker_leave(p->api, t, 0, 0);
        target->active--;
        return NGX_DECLINED;
    }

    f->to.key.sockaddr = t->sockaddr;
    f->to.key.socklen = t->socklen;
    f->to.key.tls_name = target->tls_name;
    f->to.host = target->host_header;
    f->to.name = t->name;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_upstream_fetch_aim(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_upstream_fetch_t *p, ngx_http_stoa_target_t *target)
{
    if (ngx_http_stoa_balance_uri(f->pool, target, &p->rest, &f->to.uri)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (p->uri.len) {
        f->to.uri = p->uri;
    }

    f->to.key.ssl = NULL;

    if (p->behind ? target->secure : target->tls) {
        if (p->via.ssl == NULL) {
            f->why = "no TLS settings";
            return NGX_DECLINED;
        }

        f->to.key.ssl = p->via.ssl;
        ngx_http_stoa_certificate_key(p->api->policies, f->to.key.shown);
    }

    return NGX_OK;
}


/* Whoever asks, and whatever for: initialize, a ping, the end of a session,
 * what a client says to his upstream. */

static ngx_int_t
ngx_http_stoa_upstream_fetch_show(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_upstream_fetch_t *p)
{
    ngx_int_t                    rc;
    ngx_str_t                    value;
    ngx_http_stoa_credential_t  *c;

    c = ngx_http_stoa_credential(p->api->policies);

    if (c == NULL) {
        p->shown = 1;
        return NGX_OK;
    }

    p->wait.done = ngx_http_stoa_upstream_fetch_resolved;
    p->wait.data = p;

    rc = ngx_http_stoa_credential_get(c, &f->subject, &p->wait, &value);

    if (rc != NGX_OK) {
        return rc;
    }

    p->shown = 1;

    return ngx_http_stoa_upstream_fetch_add(f, &c->name.name, &value);
}


static ngx_int_t
ngx_http_stoa_upstream_fetch_add(ngx_http_stoa_fetch_t *f,
    const ngx_str_t *name, const ngx_str_t *value)
{
    u_char  *text;

    text = ngx_pnalloc(f->pool, f->headers.len + name->len + value->len + 4);
    if (text == NULL) {
        return NGX_DECLINED;
    }

    ngx_memcpy(text, f->headers.data, f->headers.len);
    f->headers.data = text;
    f->headers.len = ngx_sprintf(text + f->headers.len, "%V: %V" CRLF,
                                 name, value)
                     - text;

    return NGX_OK;
}


/* This worker's own socket is asked, with a number that says for whom. */

static ngx_int_t
ngx_http_stoa_upstream_fetch_link(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_upstream_fetch_t *p, ngx_http_stoa_try_t *t)
{
    u_char     text[NGX_INT64_LEN];
    ngx_str_t  value;

    static uint64_t   last;
    static ngx_str_t  name = ngx_string("X-Stoa-Link");

    t->socklen = ngx_http_stoa_local_address(&t->sockaddr);

    if (t->socklen == 0) {
        return NGX_DECLINED;
    }

    if (p->number) {
        return NGX_OK;
    }

    if (ngx_http_stoa_upstream_links.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_upstream_links);
    }

    p->number = ++last;
    ngx_queue_insert_tail(&ngx_http_stoa_upstream_links, &p->queue);

    value.data = text;
    value.len = ngx_sprintf(text, "%uL", p->number) - text;

    return ngx_http_stoa_upstream_fetch_add(f, &name, &value);
}


static void
ngx_http_stoa_upstream_fetch_resolved(void *data)
{
    ngx_http_stoa_upstream_fetch_t *p = data;

    ngx_http_stoa_fetch_next(p->fetch);
}


static void
ngx_http_stoa_upstream_fetch_free(ngx_http_stoa_fetch_t *f, ngx_uint_t failed)
{
    ngx_http_stoa_upstream_fetch_t *p = f->peer;

    p->tries->target->active--;

    ngx_http_stoa_breaker_leave(p->api, p->tries, f->http.status,
                                failed && !f->cached
                                ? f->written ? NGX_HTTP_STOA_WHY_INVALID
                                             : NGX_HTTP_STOA_WHY_CONNECT
                                : NGX_HTTP_STOA_WHY_NONE);

    /* one that was cancelled says nothing of the upstream */

    if (failed || f->http.status) {
        ngx_http_stoa_balance_health(p->api, p->tries, failed, f->log);
    }
}


static ngx_int_t
ngx_http_stoa_upstream_fetch_session(ngx_http_stoa_fetch_t *f,
    ngx_connection_t *c, ngx_uint_t made)
{
#if (NGX_HTTP_SSL)
    ngx_http_stoa_upstream_fetch_t *p = f->peer;

    ngx_ssl_session_t       *session;
    ngx_http_stoa_target_t  *target;

    target = p->tries->target;

    if (!made) {
        if (ngx_http_stoa_certificate_show(p->api->policies, c) != NGX_OK) {
            return NGX_ERROR;
        }

        if (target->session && target->session_ssl == p->via.ssl) {
            (void) ngx_ssl_set_session(c, target->session);
        }

        return NGX_OK;
    }

    session = ngx_ssl_get_session(c);

    if (session) {
        if (target->session) {
            ngx_ssl_free_session(target->session);
        }

        target->session = session;
        target->session_ssl = p->via.ssl;
    }
#endif

    return NGX_OK;
}


static void
ngx_http_stoa_upstream_fetch_close(ngx_http_stoa_fetch_t *f)
{
    ngx_http_stoa_upstream_fetch_t *p = f->peer;

    if (p->number) {
        ngx_queue_remove(&p->queue);
    }

    ngx_http_stoa_resolve_cancel(&p->resolve);
    ngx_http_stoa_credential_cancel(&p->wait);
    ngx_http_stoa_api_release(p->api);
}
