/*
 * What a consumer has left of the day's and the month's quota, by the usage
 * that gateways have reported: some seconds old, and of all gateways, while
 * each gateway counts its own.
 */

#include <string.h>
#include <time.h>

#include "feed/cp_usage.h"
#include "platform/cp_platform.h"


typedef struct {
    int64_t  day_ms;                       /* where the windows begin       */
    int64_t  month_ms;
    int64_t  next_day_ms;
    int64_t  next_month_ms;
} cp_windows_t;

typedef struct {
    int64_t  day;
    int64_t  month;
} cp_used_t;

/* Columns of cp_sql_limits and of cp_sql_used. */
enum { L_ID, L_PLAN, L_DAY, L_MONTH, L_BY, L_TARGET };
enum { U_TARGET, U_DAY, U_MONTH };


static const char  cp_sql_limits[] =
    "SELECT s.id, p.id, p.quota_day, p.quota_month, p.limit_by,"
    " COALESCE(s.api, s.server)"
    " FROM subscriptions s JOIN plans p ON p.id = s.plan"
    " WHERE s.application = $1 AND (p.quota_day > 0 OR p.quota_month > 0)"
    " AND s.state IN ('pending', 'active', 'suspended') LIMIT $2";

/* What a gateway has not refused by itself has used the quota.  It counts for
 * the application and its target, whatever subscription it was: of one that is
 * gone the api is known. */
static const char  cp_sql_used[] =
    "SELECT target, SUM(CASE WHEN start_ms >= $3 THEN n ELSE 0 END), SUM(n)"
    " FROM (SELECT COALESCE(s.api, s.server, u.api) AS target, u.start_ms,"
    " u.c2xx + u.c3xx + u.c4xx + u.c5xx AS n"
    " FROM usage_day u LEFT JOIN subscriptions s ON s.id = u.subscription"
    " WHERE u.application = $1 AND u.start_ms >= $2"
    " AND u.tenant IN (SELECT target_tenant FROM subscriptions"
    " WHERE application = $1)"
    " AND (u.refused = '' OR u.refused LIKE 'upstream%')) c"
    " GROUP BY target LIMIT $4";


static void
cp_quota_windows(int64_t now, cp_windows_t *w)
{
    time_t     t;
    struct tm  tm;

    t = (time_t) (now / 1000);
    (void) gmtime_r(&t, &tm);

    w->day_ms = now - now % CP_USAGE_DAY_MS;
    w->next_day_ms = w->day_ms + CP_USAGE_DAY_MS;
    w->month_ms = w->day_ms
                  - (int64_t) (tm.tm_mday - 1) * CP_USAGE_DAY_MS;

    tm.tm_mday = 1;
    tm.tm_hour = 0;
    tm.tm_min = 0;
    tm.tm_sec = 0;
    tm.tm_mon++;
    w->next_month_ms = (int64_t) timegm(&tm) * 1000;
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

        if (strcmp(cp_cell(limits, i, L_BY)->p, "application") != 0) {
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


static cp_rc_t
cp_quota_read(cp_op_t *op, const cp_windows_t *w, cp_rows_t *limits,
    cp_rows_t *used)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    memset(used, 0, sizeof(cp_rows_t));

    rc = cp_tx_query(tx, op->arena, cp_sql_limits,
                     cp_args(cp_text(op->actor.application),
                             cp_int(CP_PLATFORM_ROWS_MAX)), limits, &op->err);

    if (rc == CP_OK && limits->rows) {
        rc = cp_tx_query(tx, op->arena, cp_sql_used,
                         cp_args(cp_text(op->actor.application),
                                 cp_int(w->month_ms), cp_int(w->day_ms),
                                 cp_int(CP_PLATFORM_ROWS_MAX)), used,
                         &op->err);
    }

    cp_tx_rollback(tx);

    return rc;
}


static void
cp_quota_set(cp_arena_t *a, cp_json_t *quota, const char *name, int64_t limit,
    int64_t used, int64_t reset_ms)
{
    cp_json_t  *window;

    window = limit > 0 ? cp_json_object(a) : NULL;

    if (window == NULL) {
        return;
    }

    cp_json_put_int(a, window, "used", used);
    cp_json_put_int(a, window, "remaining", used < limit ? limit - used : 0);
    cp_json_put(a, window, "reset_at", cp_time_format(a, reset_ms));
    cp_json_set(a, quota, name, window);
}


cp_rc_t
cp_platform_quota(cp_op_t *op, cp_json_t *items)
{
    cp_rc_t        rc;
    unsigned       i;
    cp_rows_t      limits, used;
    cp_used_t     *n;
    cp_json_t     *item, *quota;
    const char    *id;
    cp_windows_t   w;

    cp_quota_windows(cp_time_ms(), &w);

    rc = cp_quota_read(op, &w, &limits, &used);

    if (rc == CP_OK) {
        rc = cp_quota_count(op->arena, &limits, &used, &n);
    }

    for (i = 0; rc == CP_OK && i < limits.rows; i++) {

        for (item = items->first; item; item = item->next) {
            id = cp_json_str(item, "id");

            if (id && strcmp(id, cp_cell(&limits, i, L_ID)->p) == 0) {
                break;
            }
        }

        /* usage does not tell a key's calls apart */

        if (item == NULL
            || strcmp(cp_cell(&limits, i, L_BY)->p, "credential") == 0)
        {
            continue;
        }

        quota = cp_json_object(op->arena);

        cp_quota_set(op->arena, quota, "day", cp_cell(&limits, i, L_DAY)->i,
                     n[i].day, w.next_day_ms);
        cp_quota_set(op->arena, quota, "month",
                     cp_cell(&limits, i, L_MONTH)->i,
                     n[i].month, w.next_month_ms);
        cp_json_set(op->arena, item, "quota", quota);
    }

    return rc;
}
