/*
 * The settings of nginx's upstream module for a call: its location's, with
 * the timeouts, TLS verification and rules for further tries of its api.
 *
 * Process: workers.  Lifetime: the compiled api.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_certificate.h"


static void ngx_http_stoa_peer_settings(ngx_http_upstream_conf_t *conf,
    ngx_http_stoa_api_t *api);


/*
 * The location's settings with the api's own: made once per location and
 * compiled api, which the request holds.  An upstream must not lead the
 * request to another location of this nginx.
 */

ngx_http_upstream_conf_t *
ngx_http_stoa_peer_conf(ngx_http_upstream_conf_t *base,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_msec_t                    head;
    ngx_http_stoa_api_t          *api;
    const stoa_rec_operation_t   *row;
    ngx_http_stoa_api_upconf_t   *made;

    api = ctx->call.api;
    head = api->rec->first_byte_timeout_ms;

    if (ctx->call.operation) {
        row = stoa_rec_vec(api->rec, api->rec->operations,
                           stoa_rec_operation_t)
              + (ctx->call.operation - 1);

        if (row->first_byte_timeout_ms) {
            head = row->first_byte_timeout_ms;
        }
    }

    for (made = api->upconf; made; made = made->next) {
        if (made->base == base && made->head == head) {
            return &made->conf;
        }
    }

    made = ngx_palloc(api->pool, sizeof(ngx_http_stoa_api_upconf_t));
    if (made == NULL) {
        return NULL;
    }

    made->answered = *base;
    ngx_http_stoa_peer_settings(&made->answered, api);

    made->conf = made->answered;

    if (head) {
        made->conf.read_timeout = head;
    }

    made->base = base;
    made->head = head;
    made->next = api->upconf;
    api->upconf = made;

    return &made->conf;
}


static void
ngx_http_stoa_peer_settings(ngx_http_upstream_conf_t *conf,
    ngx_http_stoa_api_t *api)
{
    if (api->rec->connect_timeout_ms) {
        conf->connect_timeout = api->rec->connect_timeout_ms;
    }

    if (api->rec->read_timeout_ms) {
        conf->read_timeout = api->rec->read_timeout_ms;
        conf->send_timeout = api->rec->read_timeout_ms;
    }

    if (api->retry) {
        conf->next_upstream = ngx_http_stoa_retry_causes(api);
    }

    conf->next_upstream_tries = 0;
    conf->ignore_headers |= NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT
                            |NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE
                            |NGX_HTTP_UPSTREAM_IGN_XA_CHARSET;

#if (NGX_HTTP_SSL)
    conf->ssl_name = NULL;
    conf->ssl_server_name = 1;
    conf->ssl_verify = api->rec->tls_verify;

    if (ngx_http_stoa_certificate(api->policies)) {
        conf->ssl_session_reuse = 1;       /* else nobody asks us for it    */
    }
#endif
}


void
ngx_http_stoa_peer_answered(ngx_http_upstream_t *u, ngx_http_stoa_api_t *api,
    ngx_uint_t answered)
{
    ngx_http_stoa_api_upconf_t  *made;

    for (made = api->upconf; made; made = made->next) {
        if (u->conf == (answered ? &made->conf : &made->answered)) {
            u->conf = answered ? &made->answered : &made->conf;
            return;
        }
    }
}
