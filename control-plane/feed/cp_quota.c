/*
 * What a subscription has used, has its plan's limits to compare with, and
 * shares with others of the same plan.
 */

#include <string.h>
#include <time.h>

#include "feed/cp_quota.h"
#include "feed/cp_usage.h"


typedef struct {
    int64_t      day_ms;                   /* where the windows begin       */
    int64_t      month_ms;
    const char  *next_day;
    const char  *next_month;
} cp_windows_t;

typedef struct {
    int64_t  day;
    int64_t  month;
} cp_used_t;

/* Columns of cp_sql_limits and of cp_sql_used. */
enum { L_ID, L_PLAN, L_DAY, L_MONTH, L_BY, L_TARGET };
enum { U_TARGET, U_KEY, U_DAY, U_MONTH };


static const char  cp_sql_limits[] =
    "SELECT s.id, p.id, p.quota_day, p.quota_month, p.limit_by,"
    " COALESCE(s.api, s.server)"
    " FROM subscriptions s JOIN plans p ON p.id = s.plan"
    " WHERE s.application = $1 AND (p.quota_day > 0 OR p.quota_month > 0)"
    " AND s.state IN ('pending', 'active', 'suspended') LIMIT $2";

/* What a gateway has not refused by itself has used the quota.  It counts for
 * the application and its target, whatever subscription it was: of one that is
 * gone the api is known.  Keys are told apart if one of them is limited. */
static const char  cp_sql_used[] =
    "SELECT target, k, SUM(CASE WHEN start_ms >= $3 THEN n ELSE 0 END), SUM(n)"
    " FROM (SELECT COALESCE(s.api, s.server, u.api) AS target, u.start_ms,"
    " CASE WHEN $5 = 1 THEN u.credential ELSE '' END AS k,"
    " u.c2xx + u.c3xx + u.c4xx + u.c5xx AS n"
    " FROM usage_day u LEFT JOIN subscriptions s ON s.id = u.subscription"
    " WHERE u.application = $1 AND u.start_ms >= $2"
    " AND u.tenant IN (SELECT target_tenant FROM subscriptions"
    " WHERE application = $1)"
    " AND (u.refused = '' OR u.refused LIKE 'upstream%')) c"
    " GROUP BY target, k ORDER BY target, k LIMIT $4";


void
cp_quota_began(int64_t now, int64_t *day_ms, int64_t *month_ms)
{
    time_t     t;
    struct tm  tm;

    t = (time_t) (now / 1000);
    (void) gmtime_r(&t, &tm);

    *day_ms = now - now % CP_USAGE_DAY_MS;
    *month_ms = *day_ms - (int64_t) (tm.tm_mday - 1) * CP_USAGE_DAY_MS;
}


static void
cp_quota_windows(cp_arena_t *a, int64_t now, cp_windows_t *w)
{
    time_t     t;
    struct tm  tm;

    cp_quota_began(now, &w->day_ms, &w->month_ms);

    t = (time_t) (w->month_ms / 1000);
    (void) gmtime_r(&t, &tm);
    tm.tm_mon++;

    w->next_day = cp_time_format(a, w->day_ms + CP_USAGE_DAY_MS);
    w->next_month = cp_time_format(a, (int64_t) timegm(&tm) * 1000);
}


static bool
cp_quota_by(const cp_rows_t *limits, unsigned i, const char *by)
{
    return strcmp(cp_cell(limits, i, L_BY)->p, by) == 0;
}


/* What each subscription has used, and then what those have that share the
 * quota of its plan. */
static cp_rc_t
cp_quota_count(cp_arena_t *a, const cp_rows_t *limits, const cp_rows_t *used,
    cp_used_t **out)
{
    unsigned    i, j;
    cp_used_t  *own, *all;

    own = cp_arena_alloc(a, limits->rows * sizeof(cp_used_t));
    all = cp_arena_alloc(a, limits->rows * sizeof(cp_used_t));

    if (own == NULL || all == NULL) {
        return CP_ERROR;
    }

    memset(own, 0, limits->rows * sizeof(cp_used_t));

    for (i = 0; i < limits->rows; i++) {
        for (j = 0; j < used->rows; j++) {
            if (strcmp(cp_cell(used, j, U_TARGET)->p,
                       cp_cell(limits, i, L_TARGET)->p) == 0)
            {
                own[i].day += cp_cell(used, j, U_DAY)->i;
                own[i].month += cp_cell(used, j, U_MONTH)->i;
            }
        }
    }

    memcpy(all, own, limits->rows * sizeof(cp_used_t));

    for (i = 0; i < limits->rows; i++) {

        if (!cp_quota_by(limits, i, "application")) {
            continue;
        }

        for (j = 0; j < limits->rows; j++) {
            if (j != i && strcmp(cp_cell(limits, j, L_PLAN)->p,
                                 cp_cell(limits, i, L_PLAN)->p) == 0)
            {
                all[i].day += own[j].day;
                all[i].month += own[j].month;
            }
        }
    }

    *out = all;

    return CP_OK;
}


static void
cp_quota_set(cp_arena_t *a, cp_json_t *quota, const char *name, int64_t limit,
    int64_t used, const char *reset)
{
    cp_json_t  *window;

    if (limit <= 0) {
        return;
    }

    window = cp_json_object(a);
    cp_json_put_int(a, window, "limit", limit);
    cp_json_put_int(a, window, "used", used);
    cp_json_put_int(a, window, "remaining", used < limit ? limit - used : 0);
    cp_json_put(a, window, "reset_at", reset);
    cp_json_set(a, quota, name, window);
}


static void
cp_quota_both(cp_arena_t *a, cp_json_t *quota, const cp_val_t *limit,
    int64_t day, int64_t month, const cp_windows_t *w)
{
    cp_quota_set(a, quota, "day", limit[L_DAY].i, day, w->next_day);
    cp_quota_set(a, quota, "month", limit[L_MONTH].i, month, w->next_month);
}


static cp_json_t *
cp_quota_keys(cp_arena_t *a, const cp_val_t *limit, const cp_rows_t *used,
    const cp_windows_t *w)
{
    unsigned    j;
    cp_json_t  *keys, *key;

    keys = cp_json_array(a);

    for (j = 0; j < used->rows; j++) {
        if (strcmp(cp_cell(used, j, U_TARGET)->p, limit[L_TARGET].p) != 0) {
            continue;
        }

        key = cp_json_object(a);
        cp_json_put(a, key, "credential", cp_cell(used, j, U_KEY)->p);
        cp_quota_both(a, key, limit, cp_cell(used, j, U_DAY)->i,
                      cp_cell(used, j, U_MONTH)->i, w);
        cp_json_push(keys, key);
    }

    return keys;
}


cp_rc_t
cp_quota_read(cp_tx_t *tx, cp_arena_t *a, const char *application,
    cp_json_t **out, cp_err_t *err)
{
    bool           keys;
    cp_rc_t        rc;
    unsigned       i;
    cp_rows_t      limits, used;
    cp_used_t     *n;
    cp_json_t     *quota;
    cp_windows_t   w;

    cp_quota_windows(a, cp_time_ms(), &w);
    memset(&used, 0, sizeof(cp_rows_t));
    *out = cp_json_object(a);

    rc = cp_tx_query(tx, a, cp_sql_limits,
                     cp_args(cp_text(application), cp_int(CP_QUOTA_ROWS_MAX)),
                     &limits, err);

    keys = false;

    for (i = 0; rc == CP_OK && i < limits.rows; i++) {
        keys |= cp_quota_by(&limits, i, "credential");
    }

    if (rc == CP_OK && limits.rows) {
        rc = cp_tx_query(tx, a, cp_sql_used,
                         cp_args(cp_text(application), cp_int(w.month_ms),
                                 cp_int(w.day_ms), cp_int(CP_QUOTA_KEYS_MAX),
                                 cp_int(keys)), &used, err);
    }

    if (rc == CP_OK) {
        rc = cp_quota_count(a, &limits, &used, &n);
    }

    for (i = 0; rc == CP_OK && i < limits.rows; i++) {

        quota = cp_json_object(a);
        cp_json_put(a, quota, "limit_by", cp_cell(&limits, i, L_BY)->p);

        if (cp_quota_by(&limits, i, "credential")) {
            cp_json_set(a, quota, "credentials",
                        cp_quota_keys(a, cp_cell(&limits, i, 0), &used, &w));

        } else {
            cp_quota_both(a, quota, cp_cell(&limits, i, 0), n[i].day,
                          n[i].month, &w);
        }

        cp_json_set(a, *out, cp_cell(&limits, i, L_ID)->p, quota);
    }

    return rc;
}
