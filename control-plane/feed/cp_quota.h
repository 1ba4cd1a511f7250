/*
 * What is left of the day's and the month's quotas, by the usage that
 * gateways have reported: some seconds old, and of all gateways, while each
 * gateway counts its own.
 *
 * Owner: the caller's arena.  Process: stoa-control, any thread.
 * Limits: CP_QUOTA_ROWS_MAX subscriptions of an application.
 */

#ifndef CP_QUOTA_H
#define CP_QUOTA_H


#include "feed/cp_feed.h"


#define CP_QUOTA_ROWS_MAX  1000
#define CP_QUOTA_KEYS_MAX  10000    /* pairs of a key and a target           */


/*
 * Of each subscription of an application whose plan has a quota, by its id:
 * {limit_by, day, month}, both {limit, used, remaining, reset_at}; with a plan
 * that limits each key {limit_by, credentials [{credential, day, month}]} of
 * those that were used.
 */
cp_rc_t cp_quota_read(cp_tx_t *tx, cp_arena_t *a, const char *application,
    cp_json_t **out, cp_err_t *err) CP_MUST_CHECK;

/* When this day and this month (UTC) began. */
void cp_quota_began(int64_t now, int64_t *day_ms, int64_t *month_ms);


#endif /* CP_QUOTA_H */
