/*
 * Spin locks that survive their holder.
 */

#include "ngx_http_stoa_lock.h"

#include <signal.h>
#include <sched.h>


/*
 * The lock holds the pid of its holder.  A waiter who has spun for long looks
 * whether that process lives, and takes the lock over if not.
 */

void
ngx_http_stoa_lock_take(uint64_t *lock)
{
    uint64_t    old, pid;
    ngx_uint_t  i;

    pid = (uint64_t) ngx_pid;

    for (i = 1; /* void */ ; i++) {
        old = 0;

        if (ngx_http_stoa_cas(lock, &old, pid)) {
            return;
        }

        if (ngx_ncpu > 1 && i % 256) {
            ngx_cpu_pause();
            continue;
        }

        if (kill((pid_t) old, 0) == -1 && errno == ESRCH
            && ngx_http_stoa_cas(lock, &old, pid))
        {
            return;
        }

        (void) sched_yield();
    }
}


void
ngx_http_stoa_lock_drop(uint64_t *lock)
{
    ngx_http_stoa_store(lock, (uint64_t) 0);
}
