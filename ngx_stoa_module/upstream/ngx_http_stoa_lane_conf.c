/*
 * Which locations have a fast lane: those whose proxy_* directives it serves
 * to the letter.  Decided once per location and process; what is not known
 * here declines.
 */

#include "ngx_http_stoa_lane.h"


static ngx_uint_t ngx_http_stoa_lane_settings(ngx_http_upstream_conf_t *conf);
static ngx_uint_t ngx_http_stoa_lane_hides(ngx_http_upstream_conf_t *conf,
    const char *lowcase, size_t len);
static ngx_uint_t ngx_http_stoa_lane_directives(ngx_module_t *proxy,
    u_char *plcf);


ngx_http_upstream_conf_t *
ngx_http_stoa_lane_conf(ngx_http_request_t *r)
{
    u_char                    *plcf;
    ngx_module_t              *proxy;
    ngx_http_stoa_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

    if (slcf->lane == NGX_HTTP_STOA_LANE_UNKNOWN) {
        slcf->lane = NGX_HTTP_STOA_LANE_OFF;
        proxy = ngx_http_stoa_compat_proxy();

        if (slcf->fast && !slcf->headers_set && proxy) {

            /* ngx_http_upstream_conf_t is its first member */

            plcf = r->loc_conf[proxy->ctx_index];

            if (ngx_http_stoa_lane_settings((void *) plcf)
                && ngx_http_stoa_lane_directives(proxy, plcf))
            {
                slcf->lane = NGX_HTTP_STOA_LANE_ON;
                slcf->lane_conf = (void *) plcf;
            }
        }
    }

    return slcf->lane_conf;
}


static ngx_uint_t
ngx_http_stoa_lane_settings(ngx_http_upstream_conf_t *conf)
{
#if (NGX_HTTP_CACHE)
    if (conf->cache) {
        return 0;
    }
#endif

    /* a header that is not hidden is the upstream's, or made up */

    return !conf->store
           && conf->local == NULL
           && !conf->force_ranges
           && !conf->limit_rate
           && !conf->preserve_output
           && !conf->ignore_client_abort
           && conf->pass_request_headers
           && conf->pass_request_body
           && conf->request_buffering
           && ngx_http_stoa_lane_hides(conf, "server", 6)
           && ngx_http_stoa_lane_hides(conf, "date", 4);
}


static ngx_uint_t
ngx_http_stoa_lane_hides(ngx_http_upstream_conf_t *conf, const char *lowcase,
    size_t len)
{
    return ngx_hash_find(&conf->hide_headers_hash,
                         ngx_hash_key((u_char *) lowcase, len),
                         (u_char *) lowcase, len)
           != NULL;
}


/* Settings that are the proxy module's own: where its directives keep what
 * they were given, if their setters are the ones that are known. */

static ngx_uint_t
ngx_http_stoa_lane_directives(ngx_module_t *proxy, u_char *plcf)
{
    void           **method;
    ngx_str_t       *body;
    ngx_uint_t      *version;
    ngx_command_t   *cmd;

    method = NULL;
    body = NULL;
    version = NULL;

    for (cmd = proxy->commands; cmd->name.len; cmd++) {

        if (ngx_strcmp(cmd->name.data, "proxy_method") == 0
            && cmd->set == ngx_http_set_complex_value_slot)
        {
            method = (void **) (plcf + cmd->offset);

        } else if (ngx_strcmp(cmd->name.data, "proxy_set_body") == 0
                   && cmd->set == ngx_conf_set_str_slot)
        {
            body = (ngx_str_t *) (plcf + cmd->offset);

        } else if (ngx_strcmp(cmd->name.data, "proxy_http_version") == 0
                   && cmd->set == ngx_conf_set_enum_slot)
        {
            version = (ngx_uint_t *) (plcf + cmd->offset);
        }
    }

    return method && *method == NULL
           && body && body->data == NULL
           && version && *version == NGX_HTTP_VERSION_11;
}
