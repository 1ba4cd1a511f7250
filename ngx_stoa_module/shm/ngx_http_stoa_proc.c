/*
 * The processes that share the zone: a column each, what the dead ones held is
 * given back.
 */

#include "ngx_http_stoa_zone.h"

#include <signal.h>


/* With the pid of who clears a dead process's column. */
#define CLEARED_BY  (1ULL << 63)


static ngx_uint_t ngx_http_stoa_proc_alive(ngx_http_stoa_proc_t *proc,
    uint64_t pid, ngx_uint_t births);


/* Before a process attaches (and in the master) counts go nowhere. */
static ngx_http_stoa_proc_t   ngx_http_stoa_proc_nobody;
static ngx_http_stoa_proc_t  *ngx_http_stoa_proc_own =
                                                  &ngx_http_stoa_proc_nobody;
static ngx_uint_t             ngx_http_stoa_proc_own_index;

/* What else has a column for each process. */
static ngx_http_stoa_proc_drop_pt
                 ngx_http_stoa_proc_droppers[NGX_HTTP_STOA_PROC_DROPPERS];


void
ngx_http_stoa_proc_dropper(ngx_http_stoa_proc_drop_pt drop)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_PROC_DROPPERS; i++) {
        if (ngx_http_stoa_proc_droppers[i] == NULL
            || ngx_http_stoa_proc_droppers[i] == drop)
        {
            ngx_http_stoa_proc_droppers[i] = drop;
            return;
        }
    }
}


static void
ngx_http_stoa_proc_clear(ngx_http_stoa_sh_t *sh, ngx_uint_t index)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_PROC_DROPPERS; i++) {
        if (ngx_http_stoa_proc_droppers[i]) {
            ngx_http_stoa_proc_droppers[i](sh, index);
        }
    }
}


/* The 22nd field of /proc/PID/stat; 0 where that cannot be read. */

static uint64_t
ngx_http_stoa_proc_born(uint64_t pid)
{
    int       n;
    char      buf[1024], *p;
    FILE     *f;
    uint64_t  born;

    (void) snprintf(buf, sizeof(buf), "/proc/%llu/stat",
                    (unsigned long long) pid);

    f = fopen(buf, "r");
    if (f == NULL) {
        return 0;
    }

    n = (int) fread(buf, 1, sizeof(buf) - 1, f);
    (void) fclose(f);

    buf[n > 0 ? n : 0] = '\0';

    /* the name in parentheses may hold anything */

    p = strrchr(buf, ')');

    for (n = 2; p && n < 22; n++) {
        p = strchr(p + 1, ' ');
    }

    if (p == NULL) {
        return 0;
    }

    born = strtoull(p + 1, NULL, 10);

    return born;
}


void
ngx_http_stoa_proc_attach(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log)
{
    uint64_t                free, pid;
    ngx_uint_t              i;
    ngx_http_stoa_sh_t     *sh;
    ngx_http_stoa_proc_t   *proc;

    sh = mcf->sh;

    ngx_http_stoa_proc_reconcile(sh, 1, log);

    pid = (uint64_t) ngx_pid;

    for (i = 0; i + 1 < sh->nprocs; i++) {
        proc = &sh->procs[i];
        free = 0;

        if (ngx_http_stoa_cas(&proc->pid, &free, pid)) {
            ngx_http_stoa_store(&proc->born, ngx_http_stoa_proc_born(pid));
            goto found;
        }
    }

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "more than %ui worker processes use the zone \"%V\": if "
                  "this one is killed, its in-flight counts stay",
                  (ngx_uint_t) sh->nprocs - 1, &mcf->zone->shm.name);

    proc = &sh->procs[i];

found:

    ngx_http_stoa_proc_own = proc;
    ngx_http_stoa_proc_own_index = i;
}


void
ngx_http_stoa_proc_detach(ngx_http_stoa_main_conf_t *mcf)
{
    ngx_http_stoa_sh_t  *sh;

    sh = mcf->sh;

    if (ngx_http_stoa_proc_own == &ngx_http_stoa_proc_nobody
        || ngx_http_stoa_proc_own_index + 1 >= sh->nprocs)
    {
        return;
    }

    ngx_http_stoa_proc_clear(sh, ngx_http_stoa_proc_own_index);

    ngx_http_stoa_proc_own->born = 0;
    ngx_http_stoa_store(&ngx_http_stoa_proc_own->pid, (uint64_t) 0);

    ngx_http_stoa_proc_own = &ngx_http_stoa_proc_nobody;
}


/*
 * Workers that start at once find the same dead: only who has put his own name
 * in may clear the column, else he could clear what its next owner holds.
 */

void
ngx_http_stoa_proc_reconcile(ngx_http_stoa_sh_t *sh, ngx_uint_t births,
    ngx_log_t *log)
{
    uint64_t               pid;
    ngx_uint_t             i;
    ngx_http_stoa_proc_t  *proc;

    for (i = 0; i + 1 < sh->nprocs; i++) {
        proc = &sh->procs[i];
        pid = ngx_http_stoa_load(&proc->pid);

        if (ngx_http_stoa_proc_alive(proc, pid, births)
            || !ngx_http_stoa_cas(&proc->pid, &pid,
                                  CLEARED_BY | (uint64_t) ngx_pid))
        {
            continue;
        }

        ngx_http_stoa_proc_clear(sh, i);

        proc->born = 0;
        ngx_http_stoa_store(&proc->pid, (uint64_t) 0);

        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "in-flight requests of the lost process %uL are given "
                      "back", pid & ~CLEARED_BY);
    }
}


static ngx_uint_t
ngx_http_stoa_proc_alive(ngx_http_stoa_proc_t *proc, uint64_t pid,
    ngx_uint_t births)
{
    uint64_t  born, clearing;

    clearing = pid & CLEARED_BY;
    pid &= ~CLEARED_BY;

    if (pid == 0 || pid == (uint64_t) ngx_pid) {
        return 1;
    }

    if (kill((pid_t) pid, 0) == -1 && errno == ESRCH) {
        return 0;
    }

    born = ngx_http_stoa_load(&proc->born);

    return !births || clearing || born == 0
           || born == ngx_http_stoa_proc_born(pid);
}


ngx_http_stoa_proc_t *
ngx_http_stoa_proc_self(void)
{
    return ngx_http_stoa_proc_own;
}


void
ngx_http_stoa_proc_swap(ngx_http_stoa_proc_t **proc)
{
    ngx_http_stoa_proc_t  *own;

    own = ngx_http_stoa_proc_own;
    ngx_http_stoa_proc_own = *proc;
    *proc = own;
}


ngx_uint_t
ngx_http_stoa_proc_index(void)
{
    return ngx_http_stoa_proc_own_index;
}


ngx_uint_t
ngx_http_stoa_proc_n(ngx_http_stoa_sh_t *sh)
{
    ngx_uint_t  i, n;

    for (i = 0, n = 0; i < sh->nprocs; i++) {
        n += ngx_http_stoa_load(&sh->procs[i].pid) != 0;
    }

    return n;
}


uint64_t
ngx_http_stoa_proc_sum(ngx_http_stoa_sh_t *sh, size_t field)
{
    uint64_t    sum, *p;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; i < sh->nprocs; i++) {
        p = (uint64_t *) ((u_char *) &sh->procs[i] + field);
        sum += __atomic_load_n(p, __ATOMIC_RELAXED);
    }

    return sum;
}
