/*
 * stoa_authz nginx|envoy|traefik;
 *
 * Process: configuration in the master.
 */

#include "ngx_http_stoa_conf.h"
#include "ngx_http_stoa_request.h"


/* Envoy asks by the path of the call itself: wherever dots in it lead, that
 * has to be here, as anything that answers 200 lets the call pass. */

char *
ngx_http_stoa_conf_authz(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_loc_conf_t *slcf = conf;

    char                      *rv;
    ngx_http_core_loc_conf_t  *clcf;

    if (slcf->mode != NGX_CONF_UNSET_UINT) {
        return "is duplicate, or in one location with \"stoa\" or "
               "\"stoa_protect\"";
    }

    slcf->front = NGX_CONF_UNSET_UINT;

    rv = ngx_conf_set_enum_slot(cf, cmd, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (slcf->front == NGX_HTTP_STOA_FRONT_ENVOY
        && (clcf->name.len != 1 || clcf->name.data[0] != '/'
            || clcf->exact_match))
    {
        return "needs \"location /\" for envoy, in a server of its own";
    }

    if (clcf->handler) {
        return "cannot be in one location with another content handler";
    }

    clcf->handler = ngx_http_stoa_authz_content;
    slcf->mode = NGX_HTTP_STOA_AUTHZ;

    return ngx_http_stoa_conf_used(cf) == NGX_OK ? NGX_CONF_OK
                                                 : NGX_CONF_ERROR;
}
