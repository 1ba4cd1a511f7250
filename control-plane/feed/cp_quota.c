/*
 * What a subscription has used, has its plan's limits to compare with, and
 * shares with others of the same plan.
 */

#include <string.h>

#include "feed/cp_quota.h"
#include "feed/cp_usage.h"


/* What was used in the windows of one zone. */
typedef struct {
    const char          *name;
    const char          *next_day;
    const char          *next_month;
    cp_rows_t            sums;             /* of a target, of all keys       */
    cp_rows_t            keys;
    bool                 truncated;        /* there are more of these        */
    cp_quota_windows_t   w;
} cp_quota_zone_t;

typedef struct {
    int64_t                 day;
    int64_t                 month;
    const cp_quota_zone_t  *zone;
} cp_used_t;

/* Columns of cp_sql_limits and of cp_sql_used. */
enum { L_ID, L_PLAN, L_DAY, L_MONTH, L_BY, L_TARGET, L_ZONE };
enum { U_TARGET, U_KEY, U_DAY, U_MONTH };


static const char  cp_sql_limits[] =
    "SELECT s.id, p.id, p.quota_day, p.quota_month, p.limit_by,"
    " COALESCE(s.api, s.server), COALESCE(p.time_zone, '')"
    " FROM subscriptions s JOIN plans p ON p.id = s.plan"
    " WHERE s.application = $1 AND (p.quota_day > 0 OR p.quota_month > 0)"
    " AND s.state IN ('pending', 'active', 'suspended') ORDER BY 6 LIMIT $2";

/* It counts for the application and its target, whatever subscription it was:
 * of one that is gone the api is known.  $7: keys are told apart. */
static const char  cp_sql_used[] =
    "SELECT target, k, CAST(SUM(d) AS BIGINT), CAST(SUM(m) AS BIGINT) FROM ("
    CP_QUOTA_CALLS("COALESCE(s.api, s.server, u.api) AS target,"
                   " CASE WHEN $7 = 1 THEN u.credential ELSE '' END AS k",
                   "LEFT JOIN subscriptions s ON s.id = u.subscription",
                   "u.application = $5 AND u.tenant IN (SELECT target_tenant"
                   " FROM subscriptions WHERE application = $5)")
    ") c WHERE target IN (SELECT COALESCE(q.api, q.server)"
    " FROM subscriptions q JOIN plans p ON p.id = q.plan"
    " WHERE q.application = $5 AND (p.quota_day > 0 OR p.quota_month > 0)"
    " AND q.state IN ('pending', 'active', 'suspended')"
    " AND ($7 = 0 OR p.limit_by = 'credential'))"
    " GROUP BY target, k ORDER BY target, k LIMIT $6";


/* The begin of the first day of UTC that begins in a window. */
static int64_t
cp_quota_whole(const stoa_window_t *w)
{
    return (w->begin_ms + CP_USAGE_DAY_MS - 1) / CP_USAGE_DAY_MS
           * CP_USAGE_DAY_MS;
}


void
cp_quota_began(cp_arena_t *a, const char *zone, int64_t now,
    cp_quota_windows_t *w)
{
    const stoa_zone_t  *z;

    z = zone && *zone ? cp_zone_open(a, zone) : NULL;

    stoa_window_at(STOA_WINDOW_DAY, z, now, &w->day);
    stoa_window_at(STOA_WINDOW_MONTH, z, now, &w->month);
    w->day_whole_ms = cp_quota_whole(&w->day);
    w->month_whole_ms = cp_quota_whole(&w->month);
}


static cp_rc_t
cp_quota_zone(cp_tx_t *tx, cp_arena_t *a, const char *application, bool keys,
    cp_quota_zone_t *z, cp_err_t *err)
{
    cp_rc_t  rc;

    cp_quota_began(a, z->name, cp_time_ms(), &z->w);
    z->next_day = cp_time_format(a, z->w.day.end_ms);
    z->next_month = cp_time_format(a, z->w.month.end_ms);
    z->truncated = false;
    memset(&z->keys, 0, sizeof(cp_rows_t));

    rc = cp_tx_query(tx, a, cp_sql_used,
                     cp_args(cp_quota_args(&z->w), cp_text(application),
                             cp_int(CP_QUOTA_KEYS_MAX), cp_int(0)), &z->sums,
                     err);

    if (rc == CP_OK && keys) {
        rc = cp_tx_query(tx, a, cp_sql_used,
                         cp_args(cp_quota_args(&z->w), cp_text(application),
                                 cp_int(CP_QUOTA_KEYS_MAX + 1), cp_int(1)),
                         &z->keys, err);
    }

    if (rc == CP_OK && z->keys.rows > CP_QUOTA_KEYS_MAX) {
        z->keys.rows = CP_QUOTA_KEYS_MAX;
        z->truncated = true;
    }

    return rc;
}


static bool
cp_quota_by(const cp_rows_t *limits, unsigned i, const char *by)
{
    return strcmp(cp_cell(limits, i, L_BY)->p, by) == 0;
}


/* What each subscription has used, and then what those have that share the
 * quota of its plan. */
static cp_rc_t
cp_quota_count(cp_arena_t *a, const cp_rows_t *limits, cp_used_t *own,
    cp_used_t **out)
{
    unsigned          i, j;
    cp_used_t        *all;
    const cp_rows_t  *used;

    all = cp_arena_alloc(a, limits->rows * sizeof(cp_used_t));

    if (all == NULL) {
        return CP_ERROR;
    }

    for (i = 0; i < limits->rows; i++) {
        used = &own[i].zone->sums;

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
    int64_t day, int64_t month, const cp_quota_zone_t *z)
{
    cp_quota_set(a, quota, "day", limit[L_DAY].i, day, z->next_day);
    cp_quota_set(a, quota, "month", limit[L_MONTH].i, month, z->next_month);
}


static cp_json_t *
cp_quota_keys(cp_arena_t *a, const cp_val_t *limit, const cp_quota_zone_t *z)
{
    unsigned          j;
    cp_json_t        *keys, *key;
    const cp_rows_t  *used = &z->keys;

    keys = cp_json_array(a);

    for (j = 0; j < used->rows; j++) {
        if (strcmp(cp_cell(used, j, U_TARGET)->p, limit[L_TARGET].p) != 0) {
            continue;
        }

        key = cp_json_object(a);
        cp_json_put(a, key, "credential", cp_cell(used, j, U_KEY)->p);
        cp_quota_both(a, key, limit, cp_cell(used, j, U_DAY)->i,
                      cp_cell(used, j, U_MONTH)->i, z);
        cp_json_push(keys, key);
    }

    return keys;
}


/* The zone of each limit, with what was used in it. */
static cp_rc_t
cp_quota_zones(cp_tx_t *tx, cp_arena_t *a, const char *application,
    const cp_rows_t *limits, cp_used_t **out, cp_err_t *err)
{
    bool              keys;
    cp_rc_t           rc;
    unsigned          i, k, n;
    cp_used_t        *own;
    const char       *name;
    cp_quota_zone_t  *zones;

    n = limits->rows ? limits->rows : 1;
    own = cp_arena_alloc(a, n * sizeof(cp_used_t));
    zones = cp_arena_alloc(a, n * sizeof(cp_quota_zone_t));

    if (own == NULL || zones == NULL) {
        return CP_ERROR;
    }

    memset(own, 0, n * sizeof(cp_used_t));
    keys = false;
    rc = CP_OK;
    n = 0;

    for (i = 0; i < limits->rows; i++) {
        keys |= cp_quota_by(limits, i, "credential");
    }

    for (i = 0; rc == CP_OK && i < limits->rows; i++) {
        name = cp_cell(limits, i, L_ZONE)->p;

        for (k = 0; k < n && strcmp(zones[k].name, name) != 0; k++) {
            /* void */
        }

        if (k == n) {
            zones[n].name = name;
            rc = cp_quota_zone(tx, a, application, keys, &zones[n++], err);
        }

        own[i].zone = &zones[k];
    }

    *out = own;

    return rc;
}


cp_rc_t
cp_quota_read(cp_tx_t *tx, cp_arena_t *a, const char *application,
    cp_json_t **out, cp_err_t *err)
{
    cp_rc_t           rc;
    unsigned          i;
    cp_rows_t         limits;
    cp_used_t        *own, *n;
    cp_json_t        *quota;
    const cp_val_t   *limit;

    *out = cp_json_object(a);

    rc = cp_tx_query(tx, a, cp_sql_limits,
                     cp_args(cp_text(application), cp_int(CP_QUOTA_ROWS_MAX)),
                     &limits, err);

    if (rc == CP_OK) {
        rc = cp_quota_zones(tx, a, application, &limits, &own, err);
    }

    if (rc == CP_OK) {
        rc = cp_quota_count(a, &limits, own, &n);
    }

    for (i = 0; rc == CP_OK && i < limits.rows; i++) {

        limit = cp_cell(&limits, i, 0);
        quota = cp_json_object(a);
        cp_json_put(a, quota, "limit_by", limit[L_BY].p);

        if (cp_quota_by(&limits, i, "credential")) {
            cp_json_set(a, quota, "credentials",
                        cp_quota_keys(a, limit, own[i].zone));

            if (own[i].zone->truncated) {
                cp_json_put_bool(a, quota, "truncated", true);
            }

        } else {
            cp_quota_both(a, quota, limit, n[i].day, n[i].month, own[i].zone);
        }

        cp_json_set(a, *out, limit[L_ID].p, quota);
    }

    return rc;
}
