/*
 * Setters of other modules' directives, for what "stoa;" stands for.
 *
 * Process: master, configuration only.
 */

#include "ngx_http_stoa_macro.h"


static ngx_command_t *ngx_http_stoa_macro_command(ngx_module_t *module,
    const char *name);


ngx_module_t *
ngx_http_stoa_macro_module_of(ngx_conf_t *cf, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; cf->cycle->modules[i]; i++) {
        if (ngx_strcmp(cf->cycle->modules[i]->name, name) == 0) {
            return cf->cycle->modules[i];
        }
    }

    return NULL;
}


static ngx_command_t *
ngx_http_stoa_macro_command(ngx_module_t *module, const char *name)
{
    ngx_command_t  *cmd;

    for (cmd = module->commands; cmd->name.len; cmd++) {
        if (ngx_strcmp(cmd->name.data, name) == 0) {
            return cmd;
        }
    }

    return NULL;
}


char *
ngx_http_stoa_macro_set(ngx_conf_t *cf, ngx_module_t *module,
    const ngx_http_stoa_macro_row_t *row)
{
    ngx_command_t  *cmd;

    cmd = ngx_http_stoa_macro_command(module, row->directive);

    /* there is none in an nginx without SSL */

    return cmd ? ngx_http_stoa_compat_set(cf, module, cmd, row->value)
               : NGX_CONF_OK;
}


char *
ngx_http_stoa_macro_row(ngx_conf_t *cf, ngx_module_t *module,
    const ngx_http_stoa_macro_row_t *row)
{
    char                      *rv;
    ngx_http_stoa_loc_conf_t  *slcf;

    rv = ngx_http_stoa_macro_set(cf, module, row);

    if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR || !row->own) {
        return rv == NGX_CONF_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
    }

    slcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_stoa_module);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"stoa\" in %V:%ui cannot be in one location with \"%s\"",
                  &slcf->file, slcf->line, row->directive);

    return NGX_CONF_ERROR;
}


char *
ngx_http_stoa_macro_ca(ngx_conf_t *cf, ngx_module_t *module,
    const ngx_http_stoa_macro_row_t *row)
{
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_http_stoa_macro_row_t   ca;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_module);

    for ( /* void */ ; mcf->upstream_ca.len && row->directive; row++) {
        ca = *row;

        if (row->value[0] == '\0') {
            ca.value = (const char *) mcf->upstream_ca.data;
        }

        if (ngx_http_stoa_macro_row(cf, module, &ca) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_stoa_macro_header(ngx_conf_t *cf, ngx_array_t *headers,
    const char *name, const char *value)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    kv = headers->elts;

    for (i = 0; i < headers->nelts; i++) {
        if (ngx_strcasecmp(kv[i].key.data, (u_char *) name) == 0) {
            return NGX_CONF_OK;
        }
    }

    kv = ngx_array_push(headers);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key.data = (u_char *) name;
    kv->key.len = ngx_strlen(name);
    kv->value.data = (u_char *) value;
    kv->value.len = ngx_strlen(value);

    return NGX_CONF_OK;
}


void *
ngx_http_stoa_macro_place(ngx_conf_t *cf, ngx_module_t *module,
    const char *name,
    char *(*set)(ngx_conf_t *cf, ngx_command_t *cmd, void *conf))
{
    char           *plcf;
    ngx_command_t  *cmd;

    cmd = ngx_http_stoa_macro_command(module, name);

    if (cmd == NULL || cmd->set != set) {
        return NULL;
    }

    plcf = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf[module->ctx_index];

    return plcf + cmd->offset;
}
