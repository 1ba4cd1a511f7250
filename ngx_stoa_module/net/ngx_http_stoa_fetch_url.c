/*
 * Whom to ask, as a URL: the addresses of its host, in turn, as far as
 * stoa_upstream_allow lets a tenant name them.
 *
 * Process: workers; the TLS settings are made at configuration.  Lifetime:
 * f->pool.  Limits: NGX_HTTP_STOA_URL_ADDRS addresses are tried.
 */

#include "ngx_http_stoa_fetch.h"


#define NGX_HTTP_STOA_URL_ADDRS  8
#define NGX_HTTP_STOA_URL_IDLE   4000


/* Who names it. */

typedef enum {
    NGX_HTTP_STOA_URL_TENANT = 0,
    NGX_HTTP_STOA_URL_CONTROL,
    NGX_HTTP_STOA_URL_PEER
} ngx_http_stoa_url_e;


typedef struct {
    ngx_str_t                  name;            /* without brackets          */
    in_port_t                  port;
    ngx_uint_t                 naddrs;
    ngx_uint_t                 next;
    ngx_sockaddr_t             addrs[NGX_HTTP_STOA_URL_ADDRS];
    socklen_t                  lens[NGX_HTTP_STOA_URL_ADDRS];
    u_char                     text[NGX_SOCKADDR_STRLEN];
    ngx_resolver_t            *resolver;
    ngx_msec_t                 resolver_timeout;
    ngx_resolver_ctx_t        *resolving;
    unsigned                   trusted:1;       /* an operator's            */
    unsigned                   resolved:1;
    unsigned                   at_once:1;
} ngx_http_stoa_fetch_url_t;


static ngx_int_t ngx_http_stoa_fetch_url_parse(ngx_http_stoa_fetch_t *f,
    ngx_str_t *url, ngx_url_t *parsed, ngx_http_stoa_url_e who);
static ngx_int_t ngx_http_stoa_fetch_url_to(ngx_http_stoa_fetch_t *f,
    ngx_str_t *url, ngx_http_request_t *r, ngx_http_stoa_url_e who);
static ngx_int_t ngx_http_stoa_fetch_url_get(ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_fetch_url_close(ngx_http_stoa_fetch_t *f);
static ngx_int_t ngx_http_stoa_fetch_url_resolve(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_url_t *u);
static void ngx_http_stoa_fetch_url_resolved(ngx_resolver_ctx_t *rctx);
static void ngx_http_stoa_fetch_url_add(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_url_t *u, struct sockaddr *sa, socklen_t len);
static void ngx_http_stoa_fetch_url_literal(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_url_t *u);


static const ngx_http_stoa_fetch_peers_t  ngx_http_stoa_fetch_url_peers = {
    .get = ngx_http_stoa_fetch_url_get,
    .close = ngx_http_stoa_fetch_url_close
};


ngx_int_t
ngx_http_stoa_fetch_url(ngx_http_stoa_fetch_t *f, ngx_str_t *url,
    ngx_http_request_t *r)
{
    return ngx_http_stoa_fetch_url_to(f, url, r, NGX_HTTP_STOA_URL_TENANT);
}


ngx_int_t
ngx_http_stoa_fetch_peer(ngx_http_stoa_fetch_t *f, ngx_str_t *url,
    ngx_http_request_t *r)
{
    return ngx_http_stoa_fetch_url_to(f, url, r, NGX_HTTP_STOA_URL_PEER);
}


ngx_int_t
ngx_http_stoa_fetch_control(ngx_http_stoa_fetch_t *f, const char *path,
    ngx_http_request_t *r)
{
    u_char                     *p;
    ngx_str_t                   url;
    ngx_http_stoa_main_conf_t  *mcf;

    static const char  lines[] = "Accept: application/json\r\n"
                                 "Content-Type: application/json\r\n"
                                 "Authorization: Bearer ";

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);

    url.len = mcf->control_plane.len + ngx_strlen(path);
    url.data = ngx_pnalloc(f->pool, url.len);
    f->headers.len = sizeof(lines) - 1 + mcf->token.len + 2;
    f->headers.data = ngx_pnalloc(f->pool, f->headers.len);

    if (url.data == NULL || f->headers.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(url.data, mcf->control_plane.data, mcf->control_plane.len);
    ngx_memcpy(p, path, ngx_strlen(path));

    p = ngx_cpymem(f->headers.data, lines, sizeof(lines) - 1);
    p = ngx_cpymem(p, mcf->token.data, mcf->token.len);
    ngx_memcpy(p, "\r\n", 2);

    return ngx_http_stoa_fetch_url_to(f, &url, r, NGX_HTTP_STOA_URL_CONTROL);
}


static ngx_int_t
ngx_http_stoa_fetch_url_to(ngx_http_stoa_fetch_t *f, ngx_str_t *url,
    ngx_http_request_t *r, ngx_http_stoa_url_e who)
{
    ngx_int_t                   rc;
    ngx_url_t                   parsed;
    ngx_http_conf_ctx_t        *http;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_stoa_fetch_url_t  *u;

    ngx_memzero(&parsed, sizeof(ngx_url_t));

    rc = ngx_http_stoa_fetch_url_parse(f, url, &parsed, who);

    if (rc != NGX_OK) {
        return rc;
    }

    u = ngx_pcalloc(f->pool, sizeof(ngx_http_stoa_fetch_url_t));
    if (u == NULL) {
        return NGX_ERROR;
    }

    u->name = parsed.host;
    u->port = parsed.port;
    u->trusted = who != NGX_HTTP_STOA_URL_TENANT;

    if (u->name.data[0] == '[') {
        u->name.data++;
        u->name.len -= 2;
    }

    f->to.key.tls_name = u->name;
    f->to.key.idle = NGX_HTTP_STOA_URL_IDLE;

    if (u->trusted && u->name.len == 9
        && ngx_strncasecmp(u->name.data, (u_char *) "localhost", 9) == 0)
    {
        /* which a resolver of DNS may not know */

        ngx_str_set(&u->name, "127.0.0.1");
    }

    http = (ngx_http_conf_ctx_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                                ngx_http_module);
    clcf = r ? ngx_http_get_module_loc_conf(r, ngx_http_core_module)
             : http->loc_conf[ngx_http_core_module.ctx_index];

    u->resolver = clcf->resolver;
    u->resolver_timeout = clcf->resolver_timeout;

    f->peers = &ngx_http_stoa_fetch_url_peers;
    f->peer = u;

    return NGX_OK;
}


/* Fills f->to but for addresses. */

static ngx_int_t
ngx_http_stoa_fetch_url_parse(ngx_http_stoa_fetch_t *f, ngx_str_t *url,
    ngx_url_t *parsed, ngx_http_stoa_url_e who)
{
    u_char                     *last;
    size_t                      skip;
    ngx_http_stoa_main_conf_t  *mcf;

    if (url->len > 7
        && ngx_strncasecmp(url->data, (u_char *) "http://", 7) == 0)
    {
        skip = 7;
        parsed->default_port = 80;

    } else if (url->len > 8
               && ngx_strncasecmp(url->data, (u_char *) "https://", 8) == 0)
    {
        mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                                  ngx_http_stoa_module);
        skip = 8;
        parsed->default_port = 443;
        f->to.key.ssl = who == NGX_HTTP_STOA_URL_CONTROL ? mcf->control_ssl
                                                         : mcf->fetch_ssl;
        f->to.key.verify = 1;

    } else {
        f->why = "no URL with http or https";
        return NGX_DECLINED;
    }

    parsed->url.len = url->len - skip;
    parsed->url.data = ngx_pnalloc(f->pool, parsed->url.len + 1);

    if (parsed->url.data == NULL) {
        return NGX_ERROR;
    }

    last = ngx_cpymem(parsed->url.data, url->data + skip, parsed->url.len);
    parsed->uri_part = 1;
    parsed->no_resolve = 1;

    if (ngx_strlchr(parsed->url.data, last, '@')
        || ngx_strlchr(parsed->url.data, last, '#')
        || ngx_parse_url(f->pool, parsed) != NGX_OK
        || parsed->host.len == 0 || parsed->host.data[0] == '/'
        || parsed->host.len > STOA_HOST_MAX + 2)
    {
        f->why = "a URL that cannot be asked";
        return NGX_DECLINED;
    }

    f->to.host = parsed->url;
    f->to.host.len -= parsed->uri.len;
    f->to.uri = parsed->uri;

    if (f->to.uri.len && f->to.uri.data[0] == '/') {
        return NGX_OK;
    }

    f->to.uri.data = ngx_pnalloc(f->pool, parsed->uri.len + 1);
    if (f->to.uri.data == NULL) {
        return NGX_ERROR;
    }

    f->to.uri.len = ngx_sprintf(f->to.uri.data, "/%V", &parsed->uri)
                    - f->to.uri.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_fetch_url_get(ngx_http_stoa_fetch_t *f)
{
    ngx_int_t                   rc;
    ngx_http_stoa_fetch_url_t  *u = f->peer;

    if (!u->resolved) {
        ngx_http_stoa_fetch_url_literal(f, u);
    }

    if (!u->resolved) {
        rc = ngx_http_stoa_fetch_url_resolve(f, u);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (u->next == u->naddrs) {
        return NGX_DECLINED;
    }

    f->to.key.sockaddr = u->addrs[u->next];
    f->to.key.socklen = u->lens[u->next];
    u->next++;

    f->to.name.data = u->text;
    f->to.name.len = ngx_sock_ntop(&f->to.key.sockaddr.sockaddr,
                                   f->to.key.socklen, u->text,
                                   NGX_SOCKADDR_STRLEN, 1);

    return NGX_OK;
}


static void
ngx_http_stoa_fetch_url_literal(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_url_t *u)
{
    uint8_t                addr[16];
    unsigned               family;
    struct sockaddr_in     sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6    sin6;
#endif

    if (!stoa_addr_literal((char *) u->name.data, u->name.len, &family, addr))
    {
        return;
    }

    u->resolved = 1;

    if (family == 4) {
        ngx_memzero(&sin, sizeof(struct sockaddr_in));
        sin.sin_family = AF_INET;
        ngx_memcpy(&sin.sin_addr, addr, 4);
        ngx_http_stoa_fetch_url_add(f, u, (struct sockaddr *) &sin,
                                    sizeof(struct sockaddr_in));
    }

#if (NGX_HAVE_INET6)
    if (family == 6) {
        ngx_memzero(&sin6, sizeof(struct sockaddr_in6));
        sin6.sin6_family = AF_INET6;
        ngx_memcpy(&sin6.sin6_addr, addr, 16);
        ngx_http_stoa_fetch_url_add(f, u, (struct sockaddr *) &sin6,
                                    sizeof(struct sockaddr_in6));
    }
#endif
}


static void
ngx_http_stoa_fetch_url_add(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_url_t *u, struct sockaddr *sa, socklen_t len)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);

    if (!u->trusted && !stoa_allow_sockaddr(&mcf->upstream_allow, sa)) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "stoa: \"%V\" is not asked: \"stoa_upstream_allow\" "
                      "does not list its address", &u->name);
        f->why = "an address that may not be asked";
        return;
    }

    if (u->naddrs < NGX_HTTP_STOA_URL_ADDRS) {
        ngx_memcpy(&u->addrs[u->naddrs], sa, len);
        ngx_inet_set_port(&u->addrs[u->naddrs].sockaddr, u->port);
        u->lens[u->naddrs++] = len;
    }
}


static ngx_int_t
ngx_http_stoa_fetch_url_resolve(ngx_http_stoa_fetch_t *f,
    ngx_http_stoa_fetch_url_t *u)
{
    ngx_resolver_ctx_t  *rctx;

    rctx = ngx_resolve_start(u->resolver, NULL);

    if (rctx == NULL) {
        return NGX_DECLINED;
    }

    if (rctx == NGX_NO_RESOLVER) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "stoa: no \"resolver\" is defined to resolve \"%V\"",
                      &u->name);
        f->why = "no resolver";
        return NGX_DECLINED;
    }

    rctx->name = u->name;
    rctx->handler = ngx_http_stoa_fetch_url_resolved;
    rctx->data = f;
    rctx->timeout = ngx_min(u->resolver_timeout, f->connect_timeout);
    rctx->cancelable = !f->stay;

    u->resolving = rctx;
    u->at_once = 1;

    if (ngx_resolve_name(rctx) != NGX_OK) {
        u->resolving = NULL;
        return NGX_DECLINED;
    }

    u->at_once = 0;

    return u->resolved ? NGX_OK : NGX_AGAIN;
}


static void
ngx_http_stoa_fetch_url_resolved(ngx_resolver_ctx_t *rctx)
{
    ngx_uint_t                  i;
    ngx_http_stoa_fetch_t      *f = rctx->data;
    ngx_http_stoa_fetch_url_t  *u = f->peer;

    if (rctx->state) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "stoa: \"%V\" could not be resolved (%i: %s)", &u->name,
                      rctx->state, ngx_resolver_strerror(rctx->state));
        f->why = "its name could not be resolved";

    } else {
        for (i = 0; i < rctx->naddrs; i++) {
            ngx_http_stoa_fetch_url_add(f, u, rctx->addrs[i].sockaddr,
                                        rctx->addrs[i].socklen);
        }
    }

    u->resolved = 1;
    u->resolving = NULL;
    ngx_resolve_name_done(rctx);

    if (!u->at_once) {
        ngx_http_stoa_fetch_next(f);
    }
}


static void
ngx_http_stoa_fetch_url_close(ngx_http_stoa_fetch_t *f)
{
    ngx_http_stoa_fetch_url_t  *u = f->peer;

    if (u->resolving) {
        ngx_resolve_name_done(u->resolving);
        u->resolving = NULL;
    }
}


#if (NGX_HTTP_SSL)

ngx_ssl_t *
ngx_http_stoa_fetch_ssl(ngx_conf_t *cf, ngx_str_t *ca)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (ssl == NULL || cln == NULL) {
        return NULL;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NULL;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ca && ca->len) {
        return ngx_ssl_trusted_certificate(cf, ssl, ca, 5) == NGX_OK ? ssl
                                                                     : NULL;
    }

    if (ca && !ngx_test_config
        && SSL_CTX_set_default_verify_paths(ssl->ctx) != 1)
    {
        ngx_ssl_error(NGX_LOG_ERR, cf->log, 0,
                      "stoa: cannot load the system's certificates");
    }

    return ssl;
}


/* What ca=FILE of stoa_control_plane said, which was read as text. */

static ngx_int_t
ngx_http_stoa_fetch_authorities(ngx_ssl_t *ssl, ngx_str_t *pem)
{
    BIO         *bio;
    X509        *x509;
    ngx_uint_t   n;

    bio = BIO_new_mem_buf(pem->data, (int) pem->len);
    if (bio == NULL) {
        return NGX_ERROR;
    }

    for (n = 0; (x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL)); n++) {
        (void) X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl->ctx), x509);
        X509_free(x509);
    }

    BIO_free(bio);
    ERR_clear_error();

    return n ? NGX_OK : NGX_ERROR;
}

#endif


/* The authorities of stoa_upstream_ca, or of ca= for the control plane, else
 * the system's. */

ngx_int_t
ngx_http_stoa_fetch_init(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf)
{
#if (NGX_HTTP_SSL)
    ngx_ssl_t  *ssl, *control;

    ssl = ngx_http_stoa_fetch_ssl(cf, &mcf->upstream_ca);
    control = ngx_http_stoa_fetch_ssl(cf, mcf->control_ca.len
                                          ? NULL : &mcf->control_ca);

    if (ssl == NULL || control == NULL) {
        return NGX_ERROR;
    }

    if (mcf->control_ca.len
        && ngx_http_stoa_fetch_authorities(control, &mcf->control_ca)
           != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"ca\" of "
                           "\"stoa_control_plane\" has no certificate");
        return NGX_ERROR;
    }

    mcf->fetch_ssl = ssl;
    mcf->control_ssl = control;
#endif

    return NGX_OK;
}
