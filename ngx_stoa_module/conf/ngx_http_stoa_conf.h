/*
 * Configuration: setters, the checks of `nginx -t`, and the tables that other
 * files contribute to the directive table of ngx_http_stoa_module.c.
 *
 * Process: master.  Secrets read here stay in the configuration's pool of the
 * master and its workers and are never logged.
 */

#ifndef NGX_HTTP_STOA_CONF_H
#define NGX_HTTP_STOA_CONF_H


#include "ngx_http_stoa_zone.h"


#define NGX_HTTP_STOA_SECRET_MIN    16        /* bytes of a pepper           */
#define NGX_HTTP_STOA_SECRET_MAX    1024
#define NGX_HTTP_STOA_CA_MAX        (4 * 1024 * 1024)

extern ngx_module_t  ngx_http_stoa_macro_module;


void *ngx_http_stoa_conf_create_main(ngx_conf_t *cf);
char *ngx_http_stoa_conf_init_main(ngx_conf_t *cf, void *conf);
void *ngx_http_stoa_conf_create_loc(ngx_conf_t *cf);
char *ngx_http_stoa_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child);

char *ngx_http_stoa_conf_control_plane(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
/* At most max bytes of a file; name gets its full name. */
ngx_int_t ngx_http_stoa_conf_file_read(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *name, size_t max, ngx_str_t *text);

char *ngx_http_stoa_conf_token_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_group(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_pepper_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
/* What a file holds, without the line's end. */
char *ngx_http_stoa_conf_secret(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *file, ngx_str_t *secret);
char *ngx_http_stoa_conf_opa(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_stoa_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_max_stale(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_stoa_conf_peer(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_stoa_conf_interval(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_sessions(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_keepalive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_input(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_stoa(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
/* A location has a directive of ours: what the whole has to have is checked
 * at the end. */
ngx_int_t ngx_http_stoa_conf_used(ngx_conf_t *cf);
char *ngx_http_stoa_conf_authz(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_protect(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
#define NGX_HTTP_STOA_METRICS_APIS      20
#define NGX_HTTP_STOA_METRICS_APIS_MAX  500
char *ngx_http_stoa_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_stoa_conf_handler(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* What the configured parts need of each other; EMERG lines. */
ngx_int_t ngx_http_stoa_conf_check(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf);

/* Warns of what comes before "stoa_protect" in a location. */
void ngx_http_stoa_conf_check_protect(ngx_conf_t *cf);

/* The directory and the counter file, when all is parsed and nothing is in
 * force yet: called by the zone's init. */
ngx_int_t ngx_http_stoa_conf_files(ngx_http_stoa_main_conf_t *mcf);


#endif /* NGX_HTTP_STOA_CONF_H */
