/*
 * Background jobs: a table of {name, interval, run} in cp_jobs.c, each run on
 * a thread of its own, never twice at once in one process.  A job owns its
 * arena and its transactions, works in small portions and looks at
 * app->stopping between them.
 */

#ifndef CP_JOBS_H
#define CP_JOBS_H


#include "op/cp_app.h"


typedef struct {
    const char  *name;
    int64_t      interval_ms;
    cp_rc_t    (*run)(cp_app_t *app);
} cp_job_t;

cp_rc_t cp_jobs_start(cp_app_t *app) CP_MUST_CHECK;
void cp_jobs_stop(void);


#endif /* CP_JOBS_H */
