/*
 * Making files that are mapped, and mapping them.
 */

#include "ngx_http_stoa_file.h"

#include <sys/mman.h>


char *
ngx_http_stoa_file_path(ngx_http_stoa_main_conf_t *mcf, ngx_pool_t *pool,
    const char *name)
{
    char  *path;

    path = ngx_pnalloc(pool, mcf->store_dir.len + ngx_strlen(name) + 2);

    if (path) {
        (void) ngx_sprintf((u_char *) path, "%V/%s%Z", &mcf->store_dir, name);
    }

    return path;
}


/* Blocks are allocated now: a full disk is an error here, while a hole of a
 * mapped file on a full disk would kill the worker that touches it. */

ngx_int_t
ngx_http_stoa_file_make(const char *path, uint64_t size, const void *head,
    size_t len, ngx_uid_t user, ngx_log_t *log)
{
    int       rc;
    char      tmp[NGX_MAX_PATH + 8];
    ngx_fd_t  fd;

    (void) snprintf(tmp, sizeof(tmp), "%s.new", path);

    (void) unlink(tmp);
    fd = open(tmp, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "cannot create \"%s\"", tmp);
        return NGX_ERROR;
    }

    rc = posix_fallocate(fd, 0, (off_t) size);

    if (rc != 0) {
        ngx_log_error(NGX_LOG_EMERG, log, rc,
                      "cannot allocate %uL bytes for \"%s\"", size, path);
        goto failed;
    }

    if (pwrite(fd, head, len, 0) != (ssize_t) len
        || (user != (ngx_uid_t) -1 && geteuid() == 0
            && fchown(fd, user, (gid_t) -1) == -1)
        || fsync(fd) == -1
        || rename(tmp, path) == -1)
    {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "cannot create \"%s\"", path);
        goto failed;
    }

    (void) close(fd);

    return NGX_OK;

failed:

    (void) close(fd);
    (void) unlink(tmp);

    return NGX_ERROR;
}


void *
ngx_http_stoa_file_map(ngx_http_stoa_main_conf_t *mcf, ngx_cycle_t *cycle,
    const char *name, ngx_uint_t (*fits)(ngx_fd_t fd, uint64_t size))
{
    void         *p;
    char         *path;
    ngx_fd_t      fd;
    struct stat   st;

    path = ngx_http_stoa_file_path(mcf, cycle->pool, name);
    if (path == NULL) {
        return NULL;
    }

    p = MAP_FAILED;
    fd = open(path, O_RDWR|O_CLOEXEC);

    if (fd != -1) {

        if (fstat(fd, &st) == 0 && fits(fd, 0)) {
            p = mmap(NULL, (size_t) st.st_size, PROT_READ|PROT_WRITE,
                     MAP_SHARED, fd, 0);
        }

        (void) close(fd);
    }

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "cannot map \"%s\"", path);
        return NULL;
    }

    return p;
}
