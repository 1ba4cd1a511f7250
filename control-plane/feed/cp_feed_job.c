/*
 * The job that keeps the feed's tombstones and the usage bounded.
 */

#include <inttypes.h>
#include <string.h>

#include "../cp_jobs.h"
#include "cp_usage.h"


#define CP_FEED_JOB_ARENA  (16 * 1024 * 1024)


static cp_rc_t cp_feed_job_usage(cp_app_t *app, cp_err_t *err);


cp_rc_t
cp_feed_job_compact(cp_app_t *app)
{
    cp_rc_t      rc;
    int64_t      removed;
    cp_err_t     err;
    cp_arena_t  *a;

    a = cp_arena_create(CP_FEED_JOB_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    memset(&err, 0, sizeof(err));
    err.arena = a;

    rc = cp_feed_compact(app->db, a, CP_FEED_RETENTION_S, &removed, &err);

    if (rc == CP_OK && removed) {
        cp_log(CP_LOG_INFO, "feed", "tombstones removed:%" PRId64, removed);
    }

    if (rc == CP_OK) {
        rc = cp_feed_job_usage(app, &err);
    }

    cp_arena_destroy(a);

    return rc;
}


static cp_rc_t
cp_feed_job_usage(cp_app_t *app, cp_err_t *err)
{
    bool         more;
    cp_rc_t      rc;
    cp_arena_t  *a;

    do {
        a = cp_arena_create(CP_FEED_JOB_ARENA);
        if (a == NULL) {
            return CP_ERROR;
        }

        err->arena = a;
        rc = cp_usage_compact(app->db, a, &more, err);
        cp_arena_destroy(a);

    } while (rc == CP_OK && more && !atomic_load(&app->stopping));

    return rc;
}
