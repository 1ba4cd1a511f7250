/*
 * LMDB environments of this process, and the files of the store's directory.
 */

#include "ngx_http_stoa_env.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>


/* What LMDB needs at most for its lock file: a cache line per reader. */
#define NGX_HTTP_STOA_ENV_LOCK  (NGX_HTTP_STOA_STORE_READERS * 64 + 4096)


static int ngx_http_stoa_env_make(ngx_http_stoa_env_t *e, ngx_uint_t create);
static int ngx_http_stoa_env_dbs(ngx_http_stoa_env_t *e, ngx_uint_t create);
static int ngx_http_stoa_env_whole(ngx_http_stoa_env_t *e);


/* What this process has open; never inherited over a fork that matters:
 * environments are opened after it. */
static ngx_http_stoa_env_t  *ngx_http_stoa_envs;
static pthread_mutex_t       ngx_http_stoa_envs_mutex =
                                                   PTHREAD_MUTEX_INITIALIZER;


ngx_http_stoa_env_t *
ngx_http_stoa_env_open(const char *path, size_t size, ngx_uint_t create,
    int *rc)
{
    ngx_http_stoa_env_t  *e;

    *rc = 0;

    (void) pthread_mutex_lock(&ngx_http_stoa_envs_mutex);

    for (e = ngx_http_stoa_envs; e; e = e->next) {
        if (strcmp(e->path, path) == 0) {
            e->refs++;
            goto done;
        }
    }

    e = calloc(1, sizeof(ngx_http_stoa_env_t));

    if (e == NULL || strlen(path) >= sizeof(e->path)) {
        *rc = ENOMEM;
        free(e);
        e = NULL;
        goto done;
    }

    (void) strcpy(e->path, path);
    e->size = size;
    e->refs = 1;

    *rc = ngx_http_stoa_env_make(e, create);

    if (*rc != 0) {
        if (e->env) {
            mdb_env_close(e->env);
        }

        free(e);
        e = NULL;
        goto done;
    }

    e->next = ngx_http_stoa_envs;
    ngx_http_stoa_envs = e;

done:

    (void) pthread_mutex_unlock(&ngx_http_stoa_envs_mutex);

    return e;
}


static int
ngx_http_stoa_env_make(ngx_http_stoa_env_t *e, ngx_uint_t create)
{
    int          rc, dead;
    MDB_envinfo  mi;
    struct stat  st;

    /* LMDB makes the file it does not find, so look first */

    if (!create && stat(e->path, &st) == -1) {
        return errno;
    }

    if ((rc = mdb_env_create(&e->env)) != 0) {
        return rc;
    }

    if ((rc = mdb_env_set_mapsize(e->env, e->size)) != 0
        || (rc = mdb_env_set_maxdbs(e->env, 8)) != 0
        || (rc = mdb_env_set_maxreaders(e->env, NGX_HTTP_STOA_STORE_READERS))
           != 0)
    {
        return rc;
    }

    rc = ngx_http_stoa_env_lock(e->path);
    if (rc != 0) {
        return rc;
    }

    rc = mdb_env_open(e->env, e->path, MDB_NOSUBDIR|MDB_NOTLS|MDB_NORDAHEAD,
                      0600);
    if (rc != 0) {
        return rc;
    }

    (void) mdb_reader_check(e->env, &dead);

    if ((rc = ngx_http_stoa_env_whole(e)) != 0) {
        return rc;
    }

    (void) mdb_env_info(e->env, &mi);

    if (!create) {
        rc = ngx_http_stoa_durable_check(e->path, mi.me_last_txnid);
        if (rc != 0) {
            return rc;
        }
    }

    return ngx_http_stoa_env_dbs(e, create);
}


/*
 * LMDB maps its lock file, which it makes as a hole: on a full disk the
 * first touch would be a SIGBUS.  So its blocks are allocated before.  One
 * that has a size keeps it, as other processes have mapped that much.  Not
 * for a file that this process has open: closing it gives LMDB's locks back.
 */

int
ngx_http_stoa_env_lock(const char *path)
{
    int          fd, rc;
    char         name[NGX_MAX_PATH + 8];
    struct stat  st;

    (void) snprintf(name, sizeof(name), "%s-lock", path);

    fd = open(name, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1 || fstat(fd, &st) == -1) {
        rc = errno;

    } else {
        rc = fallocate(fd, 0, 0, st.st_size ? st.st_size
                                            : NGX_HTTP_STOA_ENV_LOCK)
             == -1 ? errno : 0;
    }

    if (fd != -1) {
        (void) close(fd);
    }

    /* the rest is LMDB's to say; not every file system can allocate */

    return rc == ENOSPC || rc == EDQUOT ? rc : 0;
}


/* A file that is shorter than its last page would be a SIGBUS later. */

static int
ngx_http_stoa_env_whole(ngx_http_stoa_env_t *e)
{
    MDB_stat     ms;
    MDB_envinfo  mi;
    struct stat  st;

    if (mdb_env_stat(e->env, &ms) != 0 || mdb_env_info(e->env, &mi) != 0
        || stat(e->path, &st) == -1)
    {
        return MDB_INVALID;
    }

    if (mi.me_last_txnid
        && (uint64_t) st.st_size < ((uint64_t) mi.me_last_pgno + 1)
                                   * ms.ms_psize)
    {
        return MDB_CORRUPTED;
    }

    return 0;
}


/* Of damaged pages LMDB says many things; what is not for want of room is
 * damage. */

ngx_uint_t
ngx_http_stoa_env_damaged(int err)
{
    switch (err) {

    case MDB_MAP_FULL:
    case MDB_MAP_RESIZED:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE:
        return 0;

    default:
        return err >= MDB_KEYEXIST && err <= MDB_LAST_ERRCODE;
    }
}


static int
ngx_http_stoa_env_dbs(ngx_http_stoa_env_t *e, ngx_uint_t create)
{
    int        rc;
    MDB_txn   *txn;
    unsigned   flags;

    flags = create ? MDB_CREATE : 0;

    rc = mdb_txn_begin(e->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0) {
        return rc;
    }

    if ((rc = mdb_dbi_open(txn, "rec", flags, &e->rec)) != 0
        || (rc = mdb_dbi_open(txn, "idx", flags, &e->idx)) != 0
        || (rc = mdb_dbi_open(txn, "meta", flags, &e->meta)) != 0
        || (rc = mdb_dbi_open(txn, "rejected", flags, &e->rejected)) != 0)
    {
        mdb_txn_abort(txn);
        return rc;
    }

    return mdb_txn_commit(txn);
}


void
ngx_http_stoa_env_close(ngx_http_stoa_env_t *env)
{
    ngx_http_stoa_env_t  **p;

    (void) pthread_mutex_lock(&ngx_http_stoa_envs_mutex);

    if (--env->refs == 0) {

        for (p = &ngx_http_stoa_envs; *p != env; p = &(*p)->next) {
            /* void */
        }

        *p = env->next;

        mdb_env_close(env->env);
        free(env);
    }

    (void) pthread_mutex_unlock(&ngx_http_stoa_envs_mutex);
}


ngx_int_t
ngx_http_stoa_env_meta(ngx_http_stoa_env_t *env, MDB_txn *txn,
    ngx_http_stoa_meta_t *meta)
{
    int       rc;
    MDB_val   key, val;

    key.mv_data = "meta";
    key.mv_size = 4;

    rc = mdb_get(txn, env->meta, &key, &val);

    if (rc == MDB_NOTFOUND) {
        return NGX_DECLINED;
    }

    if (rc != 0 || val.mv_size != sizeof(ngx_http_stoa_meta_t)) {
        return rc == 0 ? NGX_DECLINED : NGX_ERROR;
    }

    ngx_memcpy(meta, val.mv_data, sizeof(ngx_http_stoa_meta_t));

    if (meta->format != ngx_http_stoa_store_format()) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_http_stoa_env_name(ngx_http_stoa_main_conf_t *mcf, ngx_uint_t n,
    ngx_uint_t full, char *buf, size_t size)
{
    if (full) {
        (void) snprintf(buf, size, "%.*s/store.%lu.mdb",
                        (int) mcf->store_dir.len, mcf->store_dir.data,
                        (unsigned long) n);
    } else {
        (void) snprintf(buf, size, "store.%lu.mdb", (unsigned long) n);
    }
}


ngx_uint_t
ngx_http_stoa_env_number(const char *name)
{
    char           *end;
    unsigned long   n;

    if (strncmp(name, "store.", 6) != 0 || name[6] < '1' || name[6] > '9') {
        return 0;
    }

    n = strtoul(name + 6, &end, 10);

    if (strcmp(end, ".mdb") != 0 && strcmp(end, ".mdb-lock") != 0
        && strcmp(end, ".mdb-state") != 0
        && strcmp(end, ".mdb" NGX_HTTP_STOA_DURABLE_SUFFIX) != 0)
    {
        return 0;
    }

    return (ngx_uint_t) n;
}


static void
ngx_http_stoa_env_path(ngx_http_stoa_main_conf_t *mcf, const char *name,
    const char *suffix, char *buf, size_t size)
{
    (void) snprintf(buf, size, "%.*s/%s%s", (int) mcf->store_dir.len,
                    mcf->store_dir.data, name, suffix);
}


/* Never two alike in one directory, whoever asks. */

ngx_uint_t
ngx_http_stoa_env_next(ngx_http_stoa_main_conf_t *mcf, const char *present)
{
    uint64_t  old, next;

    old = ngx_http_stoa_load(&mcf->dir->store_seq);

    do {
        next = ngx_max(old, ngx_http_stoa_env_number(present)) + 1;
    } while (!ngx_http_stoa_cas(&mcf->dir->store_seq, &old, next));

    return (ngx_uint_t) next;
}


uint64_t
ngx_http_stoa_env_lease(ngx_http_stoa_main_conf_t *mcf)
{
    uint64_t  lease;

    ngx_http_stoa_lock_take(&mcf->dir->state_lock);

    lease = ++mcf->dir->lease_seq;
    mcf->dir->lease_pid = (uint64_t) ngx_pid;
    ngx_http_stoa_store(&mcf->dir->lease, lease);

    ngx_http_stoa_lock_drop(&mcf->dir->state_lock);

    return lease;
}


ngx_int_t
ngx_http_stoa_env_state(ngx_http_stoa_main_conf_t *mcf, char *name,
    size_t size)
{
    int      fd;
    char     path[NGX_MAX_PATH];
    ssize_t  n;

    ngx_http_stoa_env_path(mcf, "state", "", path, sizeof(path));

    fd = open(path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return NGX_DECLINED;
    }

    n = read(fd, name, size - 1);
    (void) close(fd);

    if (n <= 0) {
        return NGX_DECLINED;
    }

    name[n] = '\0';
    name[strcspn(name, "\r\n")] = '\0';

    return ngx_http_stoa_env_number(name) ? NGX_OK : NGX_DECLINED;
}


/*
 * On disk before the old store goes.  Whether the lease is still ours is asked
 * with the lock held, without which nobody takes it: what was loaded by a
 * worker that slept meanwhile does not come into force.
 */

ngx_int_t
ngx_http_stoa_env_state_set(ngx_http_stoa_main_conf_t *mcf, const char *name,
    uint64_t lease)
{
    int        fd, dir, len;
    char       path[NGX_MAX_PATH], tmp[NGX_MAX_PATH], buf[64];
    ngx_int_t  rc;

    ngx_http_stoa_env_path(mcf, "state", "", path, sizeof(path));
    ngx_http_stoa_env_path(mcf, name, "-state", tmp, sizeof(tmp));

    fd = open(tmp, O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600);
    if (fd == -1) {
        return NGX_ERROR;
    }

    len = snprintf(buf, sizeof(buf), "%s\n", name);

    if (write(fd, buf, (size_t) len) != len || fsync(fd) == -1) {
        (void) close(fd);
        return NGX_ERROR;
    }

    (void) close(fd);

    ngx_http_stoa_lock_take(&mcf->dir->state_lock);

    rc = NGX_BUSY;

    if (ngx_http_stoa_load(&mcf->dir->lease) == lease) {
        rc = rename(tmp, path) == -1 ? NGX_ERROR : NGX_OK;
    }

    ngx_http_stoa_lock_drop(&mcf->dir->state_lock);

    if (rc != NGX_OK) {
        return rc;
    }

    dir = open((char *) mcf->store_dir.data, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (dir != -1) {
        (void) fsync(dir);
        (void) close(dir);
    }

    return NGX_OK;
}


void
ngx_http_stoa_env_crashed(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log)
{
    char                  name[64];
    uint64_t              n;
    ngx_http_stoa_dir_t  *dir;

    if (!ngx_http_stoa_compat_crashed()
        || ngx_http_stoa_env_state(mcf, name, sizeof(name)) != NGX_OK)
    {
        return;
    }

    dir = mcf->dir;
    n = ngx_http_stoa_env_number(name);

    ngx_http_stoa_lock_take(&dir->state_lock);

    if (dir->crash_store != n) {
        dir->crash_store = n;
        dir->crashes = 0;
    }

    n = ++dir->crashes;

    ngx_http_stoa_lock_drop(&dir->state_lock);

    if (n >= NGX_HTTP_STOA_CRASHES) {
        ngx_http_stoa_store(&dir->store_bad, (uint64_t) 1);

        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "%uL workers have crashed over \"%s\", it will be "
                      "loaded anew", n, name);
    }
}


ngx_uint_t
ngx_http_stoa_env_suspect(ngx_http_stoa_main_conf_t *mcf, const char *name)
{
    return ngx_http_stoa_load(&mcf->dir->crash_store)
           == ngx_http_stoa_env_number(name)
           && ngx_http_stoa_load(&mcf->dir->crashes) >= NGX_HTTP_STOA_CRASHES;
}


/* By its owner alone: others have others. */

void
ngx_http_stoa_env_remove(ngx_http_stoa_main_conf_t *mcf, const char *name)
{
    size_t  i;
    char    path[NGX_MAX_PATH];

    static const char *const  suffixes[] = {
        "", "-lock", "-state", NGX_HTTP_STOA_DURABLE_SUFFIX
    };

    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        ngx_http_stoa_env_path(mcf, name, suffixes[i], path, sizeof(path));
        (void) unlink(path);
    }
}


/* Under the lock: the name in `state` is the newest there can be. */

void
ngx_http_stoa_env_sweep(ngx_http_stoa_main_conf_t *mcf, uint64_t lease)
{
    DIR            *dir;
    char            name[64];
    ngx_uint_t      n, keep;
    struct dirent  *de;

    dir = opendir((char *) mcf->store_dir.data);
    if (dir == NULL) {
        return;
    }

    ngx_http_stoa_lock_take(&mcf->dir->state_lock);

    keep = 0;

    if (ngx_http_stoa_env_state(mcf, name, sizeof(name)) == NGX_OK) {
        keep = ngx_http_stoa_env_number(name);
    }

    while (ngx_http_stoa_load(&mcf->dir->lease) == lease
           && (de = readdir(dir)) != NULL)
    {
        n = ngx_http_stoa_env_number(de->d_name);

        if (n != 0 && n != keep) {
            (void) unlinkat(dirfd(dir), de->d_name, 0);
        }
    }

    ngx_http_stoa_lock_drop(&mcf->dir->state_lock);

    (void) closedir(dir);
}
