/*
 * The job that keeps the feed's tombstones and the usage bounded.
 */

#include <inttypes.h>
#include <string.h>

#include "feed/cp_usage.h"


#define CP_FEED_JOB_ARENA  (16 * 1024 * 1024)


static cp_rc_t cp_feed_job_usage(cp_app_t *app, cp_err_t *err);
static cp_rc_t cp_feed_job_gateways(cp_app_t *app, cp_arena_t *a,
    cp_err_t *err);


/* What a gateway that is gone left behind, and batches of files that were
 * not heard of for as long as usage is kept.  $1: that time. */

static const char  cp_job_look_sql[] =
    "SELECT 1 FROM gateway_status s WHERE s.last_seen < $2 AND NOT EXISTS"
    " (SELECT 1 FROM gateways g WHERE g.id = s.gateway)"
    " UNION ALL SELECT 1 FROM usage_batch b WHERE b.taken_ms < $1"
    " OR (b.taken_ms < $2 AND NOT EXISTS"
    " (SELECT 1 FROM gateways g WHERE g.id = b.gateway)) LIMIT 1";

static const char *const  cp_job_clean_sql[] = {
    "DELETE FROM gateway_status WHERE last_seen < $2 AND $1 < $2"
    " AND NOT EXISTS"
    " (SELECT 1 FROM gateways g WHERE g.id = gateway_status.gateway)",
    "DELETE FROM usage_batch WHERE taken_ms < $1 OR (taken_ms < $2"
    " AND NOT EXISTS"
    " (SELECT 1 FROM gateways g WHERE g.id = usage_batch.gateway))",
    NULL
};


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
        rc = cp_feed_job_gateways(app, a, &err);
    }

    cp_arena_destroy(a);

    if (rc == CP_OK) {
        rc = cp_feed_job_usage(app, &err);
    }

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
        rc = cp_usage_compact(app, a, &more, err);
        cp_arena_destroy(a);

    } while (rc == CP_OK && more && !atomic_load(&app->stopping));

    return rc;
}


/* Looked at without a lock first.  A minute's grace: a report may be on its
 * way when its gateway is removed. */
static cp_rc_t
cp_feed_job_gateways(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    unsigned   i;
    cp_val_t   args[2];
    cp_rows_t  rows;

    args[0] = cp_int(cp_usage_kept(&app->conf, CP_USAGE_LEVELS - 1,
                                   cp_time_ms()));
    args[1] = cp_int(cp_time_ms() - CP_USAGE_MINUTE_MS);

    if (cp_tx_begin(app->db, false, &tx) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, cp_job_look_sql, args, 2, &rows, err);
    cp_tx_rollback(tx);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    if (cp_tx_begin(app->db, true, &tx) != CP_OK) {
        return CP_ERROR;
    }

    for (i = 0; cp_job_clean_sql[i] && rc == CP_OK; i++) {
        rc = cp_tx_query(tx, a, cp_job_clean_sql[i], args, 2, NULL, err);
    }

    return cp_tx_finish(tx, rc, err);
}
