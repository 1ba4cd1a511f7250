/*
 * Whom to ask, as the operator has said it: addresses that were looked up at
 * the start, or a socket of this machine; tried in turn.
 */

#include "ngx_http_stoa_opa.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_OPA_IDLE  30000           /* OPA closes none sooner    */
#define NGX_HTTP_STOA_OPA_FAILS  5
#define NGX_HTTP_STOA_OPA_OPEN   1000


typedef struct {
    ngx_http_stoa_opa_t  *opa;
    ngx_uint_t            next;
} ngx_http_stoa_opa_peer_t;


static ngx_int_t ngx_http_stoa_opa_get(ngx_http_stoa_fetch_t *f);


static const ngx_http_stoa_fetch_peers_t  ngx_http_stoa_opa_peers = {
    .get = ngx_http_stoa_opa_get
};


ngx_http_stoa_opa_t *
ngx_http_stoa_opa_find(ngx_http_stoa_main_conf_t *mcf, const char *name,
    size_t len)
{
    ngx_uint_t            i;
    ngx_http_stoa_opa_t  *opa;

    opa = mcf->opas ? mcf->opas->elts : NULL;

    for (i = 0; opa && i < mcf->opas->nelts; i++) {
        if (opa[i].name.len == len
            && ngx_memcmp(opa[i].name.data, name, len) == 0)
        {
            return &opa[i];
        }
    }

    return NULL;
}


/* Who tries it when its time is over sets it aside anew: so it is one a
 * second, whatever becomes of that one. */

ngx_http_stoa_opa_breaker_t *
ngx_http_stoa_opa_enter(ngx_http_stoa_opa_t *opa, const stoa_id_t *tenant)
{
    ngx_http_stoa_opa_breaker_t  *b;

    b = &opa->breaker[stoa_hash64(tenant, sizeof(stoa_id_t), 0)
                      % NGX_HTTP_STOA_OPA_BREAKERS];

    if (b->failed < NGX_HTTP_STOA_OPA_FAILS) {
        return b;
    }

    if ((ngx_msec_int_t) (b->until - ngx_current_msec) > 0) {
        return NULL;
    }

    b->until = ngx_current_msec + NGX_HTTP_STOA_OPA_OPEN;

    return b;
}


void
ngx_http_stoa_opa_leave(ngx_http_stoa_opa_breaker_t *b, ngx_uint_t failed)
{
    if (!failed) {
        b->failed = 0;

    } else if (b->failed < NGX_HTTP_STOA_OPA_FAILS
               && ++b->failed == NGX_HTTP_STOA_OPA_FAILS)
    {
        b->until = ngx_current_msec + NGX_HTTP_STOA_OPA_OPEN;
    }
}


ngx_int_t
ngx_http_stoa_opa_to(ngx_http_stoa_opa_t *opa, ngx_http_stoa_fetch_t *f,
    stoa_str_t path)
{
    u_char                    *p;
    ngx_http_stoa_opa_peer_t  *peer;

    static const char  data[] = "/v1/data/";
    static const char  lines[] = "Content-Type: application/json\r\n";
    static const char  bearer[] = "Authorization: Bearer ";

    peer = ngx_pcalloc(f->pool, sizeof(ngx_http_stoa_opa_peer_t));
    f->to.uri.len = sizeof(data) - 1 + path.len;
    f->to.uri.data = ngx_pnalloc(f->pool, f->to.uri.len);
    p = ngx_pnalloc(f->pool, sizeof(lines) + sizeof(bearer) + opa->token.len);

    if (peer == NULL || f->to.uri.data == NULL || p == NULL) {
        return NGX_ERROR;
    }

    f->headers.data = p;
    p = ngx_cpymem(p, lines, sizeof(lines) - 1);

    if (opa->token.len) {
        p = ngx_cpymem(p, bearer, sizeof(bearer) - 1);
        p = ngx_cpymem(p, opa->token.data, opa->token.len);
        *p++ = CR; *p++ = LF;
    }

    f->headers.len = p - f->headers.data;

    p = ngx_cpymem(f->to.uri.data, data, sizeof(data) - 1);
    ngx_memcpy(p, path.data, path.len);

    peer->opa = opa;
    ngx_str_set(&f->method, "POST");
    f->to.host = opa->host;
    f->to.key.idle = NGX_HTTP_STOA_OPA_IDLE;
    f->to.key.ssl = opa->ssl;
    f->to.key.tls_name = opa->tls_name;
    f->to.key.verify = opa->tls;
    f->peers = &ngx_http_stoa_opa_peers;
    f->peer = peer;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_opa_get(ngx_http_stoa_fetch_t *f)
{
    ngx_addr_t                *addr;
    ngx_http_stoa_opa_peer_t  *peer = f->peer;

    if (peer->next == peer->opa->naddrs) {
        return NGX_DECLINED;
    }

    addr = &peer->opa->addrs[peer->next++];

    ngx_memcpy(&f->to.key.sockaddr, addr->sockaddr, addr->socklen);
    f->to.key.socklen = addr->socklen;
    f->to.name = addr->name;

    return NGX_OK;
}
