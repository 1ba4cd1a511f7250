/*
 * Setters of directives that name a file: the token, the pepper, authorities.
 */

#include "ngx_http_stoa_conf.h"
#include "core/stoa_key.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>


/* At most max bytes of a file; name gets its full name.  Read here, as the
 * workers' user may not. */

ngx_int_t
ngx_http_stoa_conf_file_read(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *name, size_t max, ngx_str_t *text)
{
    ssize_t       n;
    ngx_fd_t      fd;
    struct stat   st;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    n = -1;
    fd = open((char *) name->data, O_RDONLY|O_CLOEXEC);

    if (fd != -1) {
        if (fstat(fd, &st) == 0) {
            text->len = ngx_min((size_t) st.st_size, max);
            text->data = ngx_pnalloc(cf->pool, text->len + 1);
            n = text->data ? read(fd, text->data, text->len) : -1;
        }

        (void) close(fd);
    }

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot read \"%V\" of \"%V\"", name, directive);
        return NGX_ERROR;
    }

    text->len = (size_t) n;

    return NGX_OK;
}


/* Line ends at the end are no part of a secret. */

char *
ngx_http_stoa_conf_secret(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *file, ngx_str_t *secret)
{
    size_t        n;
    struct stat   st;

    if (secret->data) {
        return "is duplicate";
    }

    if (ngx_http_stoa_conf_file_read(cf, directive, file,
                                NGX_HTTP_STOA_SECRET_MAX + 2, secret)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    n = secret->len;

    while (n && (secret->data[n - 1] == LF || secret->data[n - 1] == CR)) {
        n--;
    }

    secret->len = n;

    if (n == 0 || n > NGX_HTTP_STOA_SECRET_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"%V\" must hold 1 to %d bytes", file,
                           directive, NGX_HTTP_STOA_SECRET_MAX);
        return NGX_CONF_ERROR;
    }

    if (stat((char *) file->data, &st) == 0
        && st.st_mode & (S_IRWXO|S_IWGRP))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" of \"%V\" is a secret, but others may "
                           "access it (mode 0%ui%ui%ui)", file, directive,
                           (ngx_uint_t) (st.st_mode >> 6 & 7),
                           (ngx_uint_t) (st.st_mode >> 3 & 7),
                           (ngx_uint_t) (st.st_mode & 7));
    }

    return NGX_CONF_OK;
}


/* stoa_gateway_token_file FILE; */

char *
ngx_http_stoa_conf_token_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    char        *rv;
    ngx_str_t   *value;
    stoa_key_t   key;

    value = cf->args->elts;

    rv = ngx_http_stoa_conf_secret(cf, &cmd->name, &value[1], &mcf->token);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    mcf->token_file = value[1];

    if (stoa_key_parse((char *) mcf->token.data, mcf->token.len, &key)
        != STOA_OK
        || key.env.len != 2 || ngx_strncmp(key.env.data, "gw", 2) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"stoa_gateway_token_file\" holds no "
                           "gateway token, whose form is "
                           "stoa_gw_<id>_<secret>_<checksum>", &value[1]);
        return NGX_CONF_ERROR;
    }

    mcf->gateway_id.data = (u_char *) key.id.data;
    mcf->gateway_id.len = key.id.len;

    return NGX_CONF_OK;
}


/* stoa_pepper_file FILE; */

char *
ngx_http_stoa_conf_pepper_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    char       *rv;
    ngx_str_t  *value;

    value = cf->args->elts;

    rv = ngx_http_stoa_conf_secret(cf, &cmd->name, &value[1], &mcf->pepper);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (mcf->pepper.len < NGX_HTTP_STOA_SECRET_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"stoa_pepper_file\" must hold %d to %d "
                           "bytes", &value[1], NGX_HTTP_STOA_SECRET_MIN,
                           NGX_HTTP_STOA_SECRET_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* stoa_upstream_ca FILE; */

char *
ngx_http_stoa_conf_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value, *file;

    file = (ngx_str_t *) ((char *) conf + cmd->offset);

    if (file->data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    *file = value[1];

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (access((char *) file->data, R_OK) == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot read \"%V\" of \"%V\"", file, &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
