/*
 * Other modules' directives, set as the parser would.
 *
 * Process: master, configuration only.
 */

#ifndef NGX_HTTP_STOA_MACRO_H
#define NGX_HTTP_STOA_MACRO_H


#include "ngx_http_stoa_conf.h"


typedef struct {
    const char   *directive;
    const char   *value;
    ngx_uint_t    own;               /* a user's one is an error             */
} ngx_http_stoa_macro_row_t;


/* NULL: nginx was built without it. */
ngx_module_t *ngx_http_stoa_macro_module_of(ngx_conf_t *cf, const char *name);
/* "is duplicate": the user has set it. */
char *ngx_http_stoa_macro_set(ngx_conf_t *cf, ngx_module_t *module,
    const ngx_http_stoa_macro_row_t *row);
/* A row that the user has set is his, or an error. */
char *ngx_http_stoa_macro_row(ngx_conf_t *cf, ngx_module_t *module,
    const ngx_http_stoa_macro_row_t *row);
/* Rows by which stoa_upstream_ca, the value of those without one, is trusted;
 * nothing without that. */
char *ngx_http_stoa_macro_ca(ngx_conf_t *cf, ngx_module_t *module,
    const ngx_http_stoa_macro_row_t *row);
/* One more of a module's ..._set_header, where it is not there. */
char *ngx_http_stoa_macro_header(ngx_conf_t *cf, ngx_array_t *headers,
    const char *name, const char *value);
/* Where the location that is being merged keeps what a directive has set: the
 * setter is one of nginx's generic ones, so the table says it. */
void *ngx_http_stoa_macro_place(ngx_conf_t *cf, ngx_module_t *module,
    const char *name,
    char *(*set)(ngx_conf_t *cf, ngx_command_t *cmd, void *conf));


#endif /* NGX_HTTP_STOA_MACRO_H */
