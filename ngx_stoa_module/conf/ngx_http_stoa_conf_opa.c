/*
 * stoa_opa NAME URL [token_file=FILE] [ca=FILE];
 */

#include "ngx_http_stoa_conf.h"
#include "ngx_http_stoa_opa.h"
#include "core/stoa_key.h"


#define CONF_OPAS_MAX  32


static char *ngx_http_stoa_conf_opa_url(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_stoa_opa_t *opa);
static char *ngx_http_stoa_conf_opa_tls(ngx_conf_t *cf, ngx_str_t *ca,
    ngx_http_stoa_opa_t *opa);


char *
ngx_http_stoa_conf_opa(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    char                 *rv;
    ngx_str_t            *value, file, ca;
    ngx_uint_t            i;
    ngx_http_stoa_opa_t  *opa;

    static const char  token[] = "token_file=";

    value = cf->args->elts;

    if (!stoa_name_valid((char *) value[1].data, value[1].len)
        || ngx_http_stoa_opa_find(mcf, (char *) value[1].data, value[1].len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" of \"stoa_opa\" is "
                           "no name, or there is one of that name",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (mcf->opas == NULL) {
        mcf->opas = ngx_array_create(cf->pool, 2, sizeof(ngx_http_stoa_opa_t));
        if (mcf->opas == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (mcf->opas->nelts == CONF_OPAS_MAX) {
        return "is there too often";
    }

    opa = ngx_array_push(mcf->opas);
    if (opa == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(opa, sizeof(ngx_http_stoa_opa_t));
    opa->name = value[1];

    rv = ngx_http_stoa_conf_opa_url(cf, &value[2], opa);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_str_null(&ca);

    for (i = 3; i < cf->args->nelts; i++) {

        if (value[i].len > sizeof(token) - 1
            && ngx_strncmp(value[i].data, token, sizeof(token) - 1) == 0
            && opa->token.len == 0)
        {
            file.data = value[i].data + sizeof(token) - 1;
            file.len = value[i].len - (sizeof(token) - 1);
            rv = ngx_http_stoa_conf_secret(cf, &cmd->name, &file,
                                           &opa->token);
            if (rv != NGX_CONF_OK) {
                return rv;
            }

        } else if (value[i].len > 3 && opa->tls && ca.len == 0
                   && ngx_strncmp(value[i].data, "ca=", 3) == 0)
        {
            ca.data = value[i].data + 3;
            ca.len = value[i].len - 3;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter "
                               "\"%V\" of \"stoa_opa\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return opa->tls ? ngx_http_stoa_conf_opa_tls(cf, &ca, opa) : NGX_CONF_OK;
}


static char *
ngx_http_stoa_conf_opa_url(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_stoa_opa_t *opa)
{
    ngx_url_t   u;
    ngx_uint_t  local;

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url = *arg;
    u.default_port = 8181;
    local = ngx_strncmp(arg->data, "unix:", 5) == 0;

    if (!local) {
        opa->tls = ngx_strncasecmp(arg->data, (u_char *) "https://", 8) == 0;

        if (arg->len < 8
            || (!opa->tls && ngx_strncasecmp(arg->data, (u_char *) "http://",
                                             7) != 0))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" of \"stoa_opa\" "
                               "is neither http(s)://HOST[:PORT] nor unix:"
                               "PATH", arg);
            return NGX_CONF_ERROR;
        }

        u.url.data += 7 + opa->tls;
        u.url.len -= 7 + opa->tls;

        if (u.url.len && u.url.data[u.url.len - 1] == '/') {
            u.url.len--;
        }
    }

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" of \"stoa_opa\": %s",
                           arg, u.err ? u.err : "no address");
        return NGX_CONF_ERROR;
    }

    opa->addrs = u.addrs;
    opa->naddrs = u.naddrs;
    opa->host = u.url;
    opa->tls_name = u.host;

    if (local) {
        ngx_str_set(&opa->host, "localhost");
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_stoa_conf_opa_tls(ngx_conf_t *cf, ngx_str_t *ca,
    ngx_http_stoa_opa_t *opa)
{
#if (NGX_HTTP_SSL)
    if (ca->len && ngx_conf_full_name(cf->cycle, ca, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    opa->ssl = ngx_http_stoa_fetch_ssl(cf, ca);

    return opa->ssl ? NGX_CONF_OK : NGX_CONF_ERROR;
#else
    return "has https, and nginx is built without it";
#endif
}
