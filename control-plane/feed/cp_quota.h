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


#include "base/cp_zone.h"
#include "feed/cp_feed.h"
#include "stoa_gcra.h"


#define CP_QUOTA_ROWS_MAX  1000
#define CP_QUOTA_KEYS_MAX  10000    /* pairs of a key and a target           */

/* The windows of a plan's zone.  Days of usage are of UTC: what lies before
 * the first whole one of a window is summed by quarters of an hour. */
typedef struct {
    stoa_window_t  day;
    stoa_window_t  month;
    int64_t        day_whole_ms;
    int64_t        month_whole_ms;
} cp_quota_windows_t;

/* The arguments $1 to $4 of CP_QUOTA_CALLS. */
#define cp_quota_args(w)                                                      \
    cp_int((w)->day.begin_ms), cp_int((w)->day_whole_ms),                     \
    cp_int((w)->month.begin_ms), cp_int((w)->month_whole_ms)

/* Rows of usage (u) that count against quotas, as SQL: `columns`, then d and
 * m, the calls in the day and in the month.  What a gateway has not refused by
 * itself has used the quota. */
#define CP_QUOTA_CALLS(columns, join, where)                                  \
    CP_QUOTA_PART(columns, "CASE WHEN u.start_ms >= $2 THEN " CP_QUOTA_N      \
                  " ELSE 0 END", CP_QUOTA_N, "usage_day", join,               \
                  "u.start_ms >= $4", where)                                  \
    " UNION ALL "                                                             \
    CP_QUOTA_PART(columns, "0", CP_QUOTA_N, "usage_quarter", join,            \
                  "u.start_ms >= $3 AND u.start_ms < $4", where)              \
    " UNION ALL "                                                             \
    CP_QUOTA_PART(columns, CP_QUOTA_N, "0", "usage_quarter", join,            \
                  "u.start_ms >= $1 AND u.start_ms < $2", where)

#define CP_QUOTA_N  "(u.c2xx + u.c3xx + u.c4xx + u.c5xx)"
#define CP_QUOTA_PART(columns, day, month, table, join, when, where)          \
    "SELECT " columns ", " day " AS d, " month " AS m FROM " table " u " join \
    " WHERE " when " AND (u.refused = '' OR u.refused LIKE 'upstream%')"      \
    " AND " where


/*
 * Of each subscription of an application whose plan has a quota, by its id:
 * {limit_by, day, month}, both {limit, used, remaining, reset_at}; with a plan
 * that limits each key {limit_by, credentials [{credential, day, month}]} of
 * those that were used, and truncated: true if there are more of those.
 */
cp_rc_t cp_quota_read(cp_tx_t *tx, cp_arena_t *a, const char *application,
    cp_json_t **out, cp_err_t *err) CP_MUST_CHECK;

/* zone: a plan's time_zone; NULL, "" and one that is no longer there: UTC. */
void cp_quota_began(cp_arena_t *a, const char *zone, int64_t now,
    cp_quota_windows_t *w);


#endif /* CP_QUOTA_H */
