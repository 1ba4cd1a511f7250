/*
 * Files that all workers map: made whole in the master, of a fixed size.
 */

#ifndef NGX_HTTP_STOA_FILE_H
#define NGX_HTTP_STOA_FILE_H


#include "ngx_http_stoa.h"


/* <stoa_store>/name; NULL: no memory. */
char *ngx_http_stoa_file_path(ngx_http_stoa_main_conf_t *mcf,
    ngx_pool_t *pool, const char *name);
/* Takes the place of one that is there, whose processes keep it.  head is at
 * its start, the rest is zero; user: whose it is, if root makes it. */
ngx_int_t ngx_http_stoa_file_make(const char *path, uint64_t size,
    const void *head, size_t len, ngx_uid_t user, ngx_log_t *log);
/* All of one that is there, shared; NULL: it is not, or does not fit, which
 * was said.  fits() is asked with size 0: any that the file says. */
void *ngx_http_stoa_file_map(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, const char *name,
    ngx_uint_t (*fits)(ngx_fd_t fd, uint64_t size));


#endif /* NGX_HTTP_STOA_FILE_H */
