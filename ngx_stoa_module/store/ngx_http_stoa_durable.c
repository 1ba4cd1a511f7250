/*
 * What of the store would survive a power cut.
 *
 * A change is in force when it is committed; on disk it is a moment later.  In
 * between the kernel may have written some of its pages and not others, which
 * is no matter while the machine runs, whatever becomes of the process.  So a
 * note beside the store names the boot of the machine and the last commit that
 * was flushed as a whole: after another boot the store counts only if that
 * commit is its last one; else it is damaged, and is loaded anew.  A read
 * transaction holds the snapshot of that commit, so that LMDB does not write
 * over its pages before the next one is on disk.
 *
 * Process: the two threads of worker 0, one at a time; durable_check anyone.
 */

#include "ngx_http_stoa_env.h"
#include "core/stoa_key.h"

#include <fcntl.h>


#define NGX_HTTP_STOA_DURABLE_BOOT  36

/* One sector: it is written as a whole. */

typedef struct {
    char      boot[NGX_HTTP_STOA_DURABLE_BOOT];
    uint32_t  crc;                   /* of the rest                          */
    uint64_t  txnid;
} ngx_http_stoa_durable_note_t;


static ngx_int_t ngx_http_stoa_durable_boot(
    char boot[NGX_HTTP_STOA_DURABLE_BOOT]);
static uint32_t ngx_http_stoa_durable_sum(
    const ngx_http_stoa_durable_note_t *note);
static int ngx_http_stoa_durable_note(const char *path, uint64_t txnid);
static void ngx_http_stoa_durable_path(const char *path, char *buf,
    size_t size);


int
ngx_http_stoa_durable_sync(ngx_http_stoa_env_t *env, MDB_txn **pin)
{
    int  rc;

    rc = mdb_txn_begin(env->env, NULL, MDB_RDONLY, pin);

    if (rc != 0) {
        *pin = NULL;
        return rc;
    }

    rc = mdb_env_sync(env->env, 1);

    if (rc == 0) {
        rc = ngx_http_stoa_durable_note(env->path,
                                        (uint64_t) mdb_txn_id(*pin));
    }

    if (rc != 0) {
        mdb_txn_abort(*pin);
        *pin = NULL;
    }

    return rc;
}


int
ngx_http_stoa_durable_check(const char *path, uint64_t txnid)
{
    int                            fd;
    char                           name[NGX_MAX_PATH + 16];
    char                           boot[NGX_HTTP_STOA_DURABLE_BOOT];
    ssize_t                        n;
    ngx_http_stoa_durable_note_t   note;

    ngx_http_stoa_durable_path(path, name, sizeof(name));

    fd = open(name, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {

        /* every commit of it was flushed */

        return errno == ENOENT ? 0 : errno;
    }

    n = read(fd, &note, sizeof(note));
    (void) close(fd);

    if (n != sizeof(note) || note.crc != ngx_http_stoa_durable_sum(&note)) {
        return MDB_CORRUPTED;
    }

    return (ngx_http_stoa_durable_boot(boot) == NGX_OK
            && ngx_memcmp(boot, note.boot, sizeof(boot)) == 0)
           || note.txnid == txnid
           ? 0 : MDB_CORRUPTED;
}


static int
ngx_http_stoa_durable_note(const char *path, uint64_t txnid)
{
    int                            fd, rc, dir;
    char                          *slash;
    char                           name[NGX_MAX_PATH + 16];
    ngx_uint_t                     fresh;
    ngx_http_stoa_durable_note_t   note;

    ngx_memzero(&note, sizeof(note));

    if (ngx_http_stoa_durable_boot(note.boot) != NGX_OK) {
        return ENOSYS;
    }

    note.txnid = txnid;
    note.crc = ngx_http_stoa_durable_sum(&note);

    ngx_http_stoa_durable_path(path, name, sizeof(name));

    fresh = access(name, F_OK) == -1;
    fd = open(name, O_WRONLY|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1) {
        return errno;
    }

    rc = 0;

    if (pwrite(fd, &note, sizeof(note), 0) != sizeof(note)
        || fdatasync(fd) == -1)
    {
        rc = errno ? errno : EIO;
    }

    (void) close(fd);

    slash = strrchr(name, '/');

    if (rc == 0 && fresh && slash) {
        *slash = '\0';
        dir = open(name, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

        if (dir == -1 || fsync(dir) == -1) {
            rc = errno;
        }

        if (dir != -1) {
            (void) close(dir);
        }
    }

    return rc;
}


static void
ngx_http_stoa_durable_path(const char *path, char *buf, size_t size)
{
    (void) snprintf(buf, size, "%s" NGX_HTTP_STOA_DURABLE_SUFFIX, path);
}


static uint32_t
ngx_http_stoa_durable_sum(const ngx_http_stoa_durable_note_t *note)
{
    ngx_http_stoa_durable_note_t  n;

    n = *note;
    n.crc = 0;

    return stoa_crc32((const char *) &n, sizeof(n));
}


static ngx_int_t
ngx_http_stoa_durable_boot(char boot[NGX_HTTP_STOA_DURABLE_BOOT])
{
    int      fd;
    ssize_t  n;

    fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return NGX_ERROR;
    }

    n = read(fd, boot, NGX_HTTP_STOA_DURABLE_BOOT);
    (void) close(fd);

    return n == NGX_HTTP_STOA_DURABLE_BOOT ? NGX_OK : NGX_ERROR;
}
