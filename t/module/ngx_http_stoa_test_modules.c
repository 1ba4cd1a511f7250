/* The table by which nginx finds the module and, beside it, the test's. */

#include <ngx_config.h>
#include <ngx_core.h>


extern ngx_module_t  ngx_http_stoa_module;
extern ngx_module_t  ngx_http_stoa_macro_module;
extern ngx_module_t  ngx_http_stoa_test_module;

extern ngx_module_t *ngx_modules[];
extern char         *ngx_module_names[];
extern char         *ngx_module_order[];

ngx_module_t *ngx_modules[] = {
    &ngx_http_stoa_module,
    &ngx_http_stoa_macro_module,
    &ngx_http_stoa_test_module,
    NULL
};

char *ngx_module_names[] = {
    "ngx_http_stoa_module",
    "ngx_http_stoa_macro_module",
    "ngx_http_stoa_test_module",
    NULL
};

char *ngx_module_order[] = {
    "ngx_http_stoa_macro_module",
    "ngx_http_proxy_module",
    "ngx_http_stoa_module",
    "ngx_http_copy_filter_module",
    NULL
};
