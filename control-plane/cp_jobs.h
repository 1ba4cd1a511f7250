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

/* Exported by their areas. */
cp_rc_t cp_resource_job_expire(cp_app_t *app);
cp_rc_t cp_resource_job_idempotency(cp_app_t *app);
cp_rc_t cp_feed_job_compact(cp_app_t *app);
cp_rc_t cp_discovery_job(cp_app_t *app);
void cp_discovery_stop(void);                /* after cp_jobs_stop()       */

cp_rc_t cp_jobs_start(cp_app_t *app) CP_MUST_CHECK;
void cp_jobs_stop(void);


#endif /* CP_JOBS_H */
