/*
 * The text of a request, and writing it; what else a fetch is made of.
 */

#include "ngx_http_stoa_fetch.h"


#define NGX_HTTP_STOA_FETCH_INLINE  16384       /* bodies sent with the head */


ngx_int_t
ngx_http_stoa_fetch_text(ngx_http_stoa_fetch_t *f)
{
    u_char  *p;
    size_t   len;

    static const char  version[] = " HTTP/1.1\r\nHost: ";
    static const char  length[] = "Content-Length: ";
    static const char  closed[] = "Connection: close\r\n";

    len = f->method.len + 1 + f->to.uri.len + sizeof(version) + f->to.host.len
          + 2 + f->headers.len + sizeof(length) + NGX_SIZE_T_LEN
          + sizeof(closed) + 4;

    ngx_str_null(&f->rest);

    if (f->body.len <= NGX_HTTP_STOA_FETCH_INLINE) {
        len += f->body.len;

    } else {
        f->rest = f->body;
    }

    p = ngx_pnalloc(f->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    f->text.data = p;

    p = ngx_cpymem(p, f->method.data, f->method.len);
    *p++ = ' ';
    p = ngx_cpymem(p, f->to.uri.data, f->to.uri.len);
    p = ngx_cpymem(p, version, sizeof(version) - 1);
    p = ngx_cpymem(p, f->to.host.data, f->to.host.len);
    *p++ = CR; *p++ = LF;
    p = ngx_cpymem(p, f->headers.data, f->headers.len);

    if (f->body.len || f->method.data[0] == 'P') {
        p = ngx_sprintf(p, "%s%uz" CRLF, length, f->body.len);
    }

    if (f->to.key.idle == 0) {
        p = ngx_cpymem(p, closed, sizeof(closed) - 1);
    }

    *p++ = CR; *p++ = LF;

    if (f->rest.len == 0 && f->body.len) {
        p = ngx_cpymem(p, f->body.data, f->body.len);
    }

    f->text.len = p - f->text.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_fetch_write(ngx_http_stoa_fetch_t *f)
{
    ssize_t            n;
    ngx_str_t         *part;
    ngx_connection_t  *c;

    c = f->connection;

    for ( ;; ) {
        part = f->text.len ? &f->text : &f->rest;

        if (part->len == 0) {
            return NGX_OK;
        }

        n = c->send(c, part->data, part->len);

        if (n == NGX_AGAIN || n == 0) {
            return NGX_AGAIN;
        }

        if (n < 0) {
            return NGX_ERROR;
        }

        f->written = 1;
        f->sent = 1;
        part->data += n;
        part->len -= n;
    }
}


void
ngx_http_stoa_fetch_wait(ngx_http_stoa_fetch_t *f, ngx_event_t *ev,
    ngx_msec_t timeout)
{
    ngx_msec_int_t  left;

    if (f->deadline) {
        left = (ngx_msec_int_t) (f->deadline - ngx_current_msec);
        left = ngx_max(left, 1);
        timeout = ngx_min(timeout, (ngx_msec_t) left);
    }

    ngx_add_timer(ev, timeout);
}


void
ngx_http_stoa_fetch_detach(ngx_http_stoa_fetch_t *f)
{
    ngx_connection_t  *c;

    c = f->connection;

    f->log = ngx_cycle->log;
    f->pool->log = ngx_cycle->log;
    f->event.log = ngx_cycle->log;

    if (c) {
        c->idle = 1;
        c->log = ngx_cycle->log;
        c->read->log = ngx_cycle->log;
        c->write->log = ngx_cycle->log;
        c->pool->log = ngx_cycle->log;
    }
}


#if (NGX_HTTP_SSL)

/* nginx looks for names alone; a literal address may be in a certificate,
 * too. */

ngx_int_t
ngx_http_stoa_fetch_named(ngx_connection_t *c, ngx_str_t *name)
{
    int        rc;
    X509      *cert;
    uint8_t    addr[16];
    unsigned   family;

    if (!stoa_addr_literal((char *) name->data, name->len, &family, addr)) {
        return ngx_ssl_check_host(c, name);
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return NGX_ERROR;
    }

    rc = X509_check_ip(cert, addr, family == 4 ? 4 : 16, 0);
    X509_free(cert);

    return rc == 1 ? NGX_OK : NGX_ERROR;
}

#endif
