/*
 * The mapped counter file: its life.  What is counted in it is in _usage.c and
 * _quota.c.
 */

#include "ngx_http_stoa_counters.h"
#include "ngx_http_stoa_file.h"

#include <sys/mman.h>
#include <openssl/rand.h>


/* Files put aside that are kept: each is as large as the one in use. */
#define NGX_HTTP_STOA_COUNTERS_BAD  4


static ngx_int_t ngx_http_stoa_counters_check(ngx_fd_t fd, const char *path,
    uint64_t size, ngx_log_t *log);
static ngx_int_t ngx_http_stoa_counters_make(const char *path, uint64_t size,
    ngx_uid_t user, ngx_log_t *log);
static void ngx_http_stoa_counters_aside(const char *path, ngx_log_t *log);
static void ngx_http_stoa_counters_thin(const char *path, ngx_log_t *log);


/* 3/8 of the file for quotas, the rest for usage. */

static void
ngx_http_stoa_counters_layout(ngx_http_stoa_counters_head_t *h, uint64_t size)
{
    uint64_t  sets;

    ngx_memzero(h, sizeof(ngx_http_stoa_counters_head_t));

    h->version = NGX_HTTP_STOA_COUNTERS_VERSION;
    h->slot_size = sizeof(ngx_http_stoa_usage_slot_t);
    h->size = size;

    sets = NGX_HTTP_STOA_COUNTERS_WAYS * sizeof(ngx_http_stoa_quota_t);

    h->quota_off = 4096;
    h->quota_sets = size / 8 * 3 / sets;

    sets = NGX_HTTP_STOA_COUNTERS_WAYS
           * (sizeof(ngx_http_stoa_usage_slot_t) + sizeof(uint64_t) + 1);

    h->usage_sets = (size / 8 * 5 - 4 * 4096) / sets;

    h->tag_off = ngx_align(h->quota_off + h->quota_sets
                                          * NGX_HTTP_STOA_COUNTERS_WAYS
                                          * sizeof(ngx_http_stoa_quota_t),
                           64);
    h->dirty_off = ngx_align(h->tag_off + (h->usage_sets + 1)
                                          * NGX_HTTP_STOA_COUNTERS_WAYS
                                          * sizeof(uint64_t), 64);
    h->usage_off = ngx_align(h->dirty_off + h->usage_sets / 8 * 8 + 64, 256);
}


/*
 * In the master, before workers are made: the file is there, whole and of
 * this version, or a new one takes its place and the old one is kept aside.
 */

ngx_int_t
ngx_http_stoa_counters_create(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_uid_t user)
{
    char       *path;
    ngx_fd_t    fd;
    ngx_int_t   rc;

    path = ngx_http_stoa_file_path(mcf, cycle->pool, "counters");
    if (path == NULL) {
        return NGX_ERROR;
    }

    fd = open(path, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

    if (fd == -1 && ngx_errno != NGX_ENOENT) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "cannot open \"%s\"", path);
        return NGX_ERROR;
    }

    if (fd != -1) {
        rc = ngx_http_stoa_counters_check(fd, path, mcf->counters_size,
                                          cycle->log);
        (void) close(fd);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        ngx_http_stoa_counters_aside(path, cycle->log);
    }

    return ngx_http_stoa_counters_make(path, mcf->counters_size, user,
                                       cycle->log);
}


static ngx_int_t
ngx_http_stoa_counters_check(ngx_fd_t fd, const char *path, uint64_t size,
    ngx_log_t *log)
{
    struct stat                    st;
    ngx_http_stoa_counters_head_t  h, should;

    if (fstat(fd, &st) == -1
        || pread(fd, &h, sizeof(h), 0) != (ssize_t) sizeof(h))
    {
        ngx_log_error(NGX_LOG_ERR, log, 0, "\"%s\" is too short", path);
        return NGX_DECLINED;
    }

    if (h.magic != NGX_HTTP_STOA_COUNTERS_MAGIC
        || h.version != NGX_HTTP_STOA_COUNTERS_VERSION)
    {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "\"%s\" is no counter file of this version", path);
        return NGX_DECLINED;
    }

    ngx_http_stoa_counters_layout(&should, h.size);

    if ((uint64_t) st.st_size != h.size
        || h.slot_size != should.slot_size
        || h.quota_off != should.quota_off
        || h.quota_sets != should.quota_sets
        || h.tag_off != should.tag_off
        || h.dirty_off != should.dirty_off
        || h.usage_off != should.usage_off
        || h.usage_sets != should.usage_sets)
    {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "\"%s\" is damaged: it has %O bytes, its header says "
                      "%uL", path, st.st_size, h.size);
        return NGX_DECLINED;
    }

    if (h.size != size) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "\"%s\" keeps its size of %uL bytes: quotas and usage "
                      "are in it; remove it while nginx is down to have "
                      "%uL", path, h.size, size);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_counters_make(const char *path, uint64_t size, ngx_uid_t user,
    ngx_log_t *log)
{
    ngx_http_stoa_counters_head_t  h;

    ngx_http_stoa_counters_layout(&h, size);
    h.magic = NGX_HTTP_STOA_COUNTERS_MAGIC;

    if (RAND_bytes(h.id, sizeof(h.id)) != 1
        || RAND_bytes((u_char *) &h.seed, sizeof(h.seed)) != 1)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "no random bytes");
        return NGX_ERROR;
    }

    return ngx_http_stoa_file_make(path, size, &h, sizeof(h), user, log);
}


static void
ngx_http_stoa_counters_aside(const char *path, ngx_log_t *log)
{
    char  name[NGX_MAX_PATH + 32];

    (void) snprintf(name, sizeof(name), "%s.bad.%llu", path,
                    (unsigned long long) ngx_http_stoa_wall_ms());

    if (rename(path, name) == -1) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "cannot rename \"%s\" to \"%s\"", path, name);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0,
                  "\"%s\" is kept as \"%s\", quotas and usage start afresh",
                  path, name);

    ngx_http_stoa_counters_thin(path, log);
}


/* Their names end with the time, so the oldest are the first. */

static void
ngx_http_stoa_counters_thin(const char *path, ngx_log_t *log)
{
    char        pattern[NGX_MAX_PATH + 32];
    size_t      i;
    ngx_glob_t  bad;

    (void) snprintf(pattern, sizeof(pattern), "%s.bad.*", path);

    ngx_memzero(&bad, sizeof(ngx_glob_t));
    bad.pattern = (u_char *) pattern;
    bad.log = log;

    if (ngx_open_glob(&bad) != NGX_OK) {
        return;
    }

    for (i = 0; i + NGX_HTTP_STOA_COUNTERS_BAD < bad.pglob.gl_pathc; i++) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "\"%s\" is removed: %d newer ones are kept",
                      bad.pglob.gl_pathv[i], NGX_HTTP_STOA_COUNTERS_BAD);
        (void) unlink(bad.pglob.gl_pathv[i]);
    }

    ngx_close_glob(&bad);
}


ngx_int_t
ngx_http_stoa_counters_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle)
{
    char                           *path;
    void                           *p;
    ngx_fd_t                        fd;
    struct stat                     st;
    ngx_http_stoa_counters_t       *c;
    ngx_http_stoa_counters_head_t  *h;

    path = ngx_http_stoa_file_path(mcf, cycle->pool, "counters");
    c = ngx_pcalloc(cycle->pool, sizeof(ngx_http_stoa_counters_t));

    if (path == NULL || c == NULL) {
        return NGX_ERROR;
    }

    fd = open(path, O_RDWR|O_CLOEXEC);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "cannot open \"%s\"", path);
        return NGX_ERROR;
    }

    p = MAP_FAILED;

    if (fstat(fd, &st) == 0
        && ngx_http_stoa_counters_check(fd, path, (uint64_t) st.st_size,
                                     cycle->log)
        == NGX_OK)
    {
        p = mmap(NULL, (size_t) st.st_size, PROT_READ|PROT_WRITE, MAP_SHARED,
                 fd, 0);
    }

    (void) close(fd);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "cannot map \"%s\"", path);
        return NGX_ERROR;
    }

    h = p;
    c->head = h;
    c->quota = (ngx_http_stoa_quota_t *) ((u_char *) p + h->quota_off);
    c->tags = (uint64_t *) ((u_char *) p + h->tag_off);
    c->dirty = (uint64_t *) ((u_char *) p + h->dirty_off);
    c->usage = (ngx_http_stoa_usage_slot_t *) ((u_char *) p + h->usage_off);
    c->models = (ngx_http_stoa_usage_model_t *) ((u_char *) p + h->size)
                - NGX_HTTP_STOA_USAGE_MODELS;
    c->nslots = h->usage_sets * NGX_HTTP_STOA_COUNTERS_WAYS;
    c->log = cycle->log;

    mcf->counters = c;
    mcf->dir = &h->dir;

    return NGX_OK;
}


void
ngx_http_stoa_counters_close(ngx_http_stoa_main_conf_t *mcf)
{
    if (mcf->counters) {
        (void) munmap(mcf->counters->head, mcf->counters->head->size);
        mcf->counters = NULL;
        mcf->dir = NULL;
    }
}


/*
 * A third of the file is read, its pages are given back at once: nobody else
 * needs them mapped but for the keys that he has.
 */

void
ngx_http_stoa_counters_recount(ngx_http_stoa_counters_t *c)
{
    u_char      *start, *end;
    uint64_t     i, slots, used, before;
    ngx_uint_t   tries;

    slots = c->head->quota_sets * NGX_HTTP_STOA_COUNTERS_WAYS;

    for (tries = 0; tries < 3; tries++) {
        before = ngx_http_stoa_load(&c->head->quota_used);
        used = 0;

        for (i = 0; i < slots; i++) {
            used += __atomic_load_n(&c->quota[i].tag, __ATOMIC_RELAXED) != 0;
        }

        if (ngx_http_stoa_cas(&c->head->quota_used, &before, used)) {
            break;
        }
    }

    start = (u_char *) ngx_align_ptr(c->quota, ngx_pagesize);
    end = (u_char *) ((uintptr_t) (c->quota + slots)
                      & ~((uintptr_t) ngx_pagesize - 1));

    if (end > start) {
        (void) madvise(start, end - start, MADV_DONTNEED);
    }
}
