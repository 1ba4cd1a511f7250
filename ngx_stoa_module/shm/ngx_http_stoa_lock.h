/*
 * Words that processes and threads share, and spin locks.
 *
 * A lock holds the pid of its holder; a waiter takes it over from one that is
 * dead.  Process: any, any thread.  Nothing may be logged or allocated while a
 * lock is held.
 */

#ifndef NGX_HTTP_STOA_LOCK_H
#define NGX_HTTP_STOA_LOCK_H


#include "ngx_http_stoa.h"


#define ngx_http_stoa_load(p)       __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ngx_http_stoa_store(p, v)   __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define ngx_http_stoa_add(p, n)                                               \
    ((void) __atomic_fetch_add(p, n, __ATOMIC_RELAXED))
#define ngx_http_stoa_cas(p, old, new)                                        \
    __atomic_compare_exchange_n(p, old, new, 0, __ATOMIC_ACQ_REL,             \
                                __ATOMIC_ACQUIRE)


void ngx_http_stoa_lock_take(uint64_t *lock);
void ngx_http_stoa_lock_drop(uint64_t *lock);


#endif /* NGX_HTTP_STOA_LOCK_H */
