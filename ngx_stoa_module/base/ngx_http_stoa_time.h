/*
 * The clocks.  Process: any, any thread; no state.
 */

#ifndef NGX_HTTP_STOA_TIME_H
#define NGX_HTTP_STOA_TIME_H


#include "ngx_http_stoa.h"

#include <time.h>


/* Unix ms, as exact as nginx's cached time: for the event loop. */
#define ngx_http_stoa_now_ms()                                                \
    ((int64_t) ngx_cached_time->sec * 1000                                    \
     + (int64_t) ngx_cached_time->msec)


/* CLOCK_MONOTONIC: the time of the limits. */

static ngx_inline uint64_t
ngx_http_stoa_now_ns(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000ULL + (uint64_t) ts.tv_nsec;
}


/* Unix ms, as exact as the clock: for threads and shared memory. */

static ngx_inline uint64_t
ngx_http_stoa_wall_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}


#endif /* NGX_HTTP_STOA_TIME_H */
