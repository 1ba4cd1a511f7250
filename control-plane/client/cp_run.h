/*
 * A program that is run for a moment, on what somebody else wrote: no
 * network, no file but its own and the system's programs, bounded time, memory
 * and output.
 *
 * Process: stoa-control, a worker, which waits for it.  Few at once.
 */

#ifndef CP_RUN_H
#define CP_RUN_H


#include "base/cp.h"


#define CP_RUN_MS        5000
#define CP_RUN_OUT_MAX   (64 * 1024)
#define CP_RUN_ATONCE    2
#define CP_RUN_SPARES    1   /* ... of what has to leave room for the others */

/* argv ends with NULL; the program reads data as its standard input, which can
 * be opened and sought like a file.  It is not run beside atonce others.
 * *code: with what it ended; -1: it was killed, as it took too long or said
 * too much.  out: what it said, on both streams; the caller's.  CP_DECLINED
 * ("unavailable"): it was not run. */
cp_rc_t cp_run(const char *const *argv, const void *data, size_t len,
    int atonce, stoa_buf_t *out, int *code, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_RUN_H */
