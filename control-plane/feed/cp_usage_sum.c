/*
 * Adding up what was counted, and the merging of old counts.
 */

#include <inttypes.h>
#include <string.h>

#include "feed/cp_usage.h"


#define CP_USAGE_NO_STEP   ((int64_t) 1 << 62)     /* all starts become 0    */
#define CP_USAGE_COUNTS_AT 9                  /* columns of cp_usage_sum_sql */

/* The tenant stands beside what is known by its name in it. */
#define CP_USAGE_OF_PUBLISHER  (CP_USAGE_BY_TENANT | CP_USAGE_BY_API)
#define CP_USAGE_OF_CONSUMER   (CP_USAGE_BY_TENANT | CP_USAGE_BY_APPLICATION)

#define CP_USAGE_HIST_AT   (CP_USAGE_COUNTS_AT + 6)


static int64_t cp_usage_percentile(const int64_t h[CP_USAGE_BUCKETS],
    unsigned per_mille);
static cp_json_t *cp_usage_item(cp_arena_t *a, const cp_usage_ask_t *ask,
    const cp_val_t *row);


const cp_usage_name_t  cp_usage_bys[] = {
    { "application",  CP_USAGE_BY_APPLICATION },
    { "subscription", CP_USAGE_BY_SUBSCRIPTION },
    { "api",          CP_USAGE_BY_API },
    { "operation",    CP_USAGE_BY_OPERATION },
    { "refused",      CP_USAGE_BY_REFUSED },
    { "credential",   CP_USAGE_BY_CREDENTIAL },
    { "tenant",       CP_USAGE_BY_TENANT },
    { NULL, 0 }
};

static const char *const  cp_usage_counts[] = {
    "c2xx", "c3xx", "c4xx", "c5xx", "bytes_in", "bytes_out", NULL
};


#define CP_USAGE_SUM(c)  "CAST(SUM(" #c ") AS BIGINT) AS " #c
#define CP_USAGE_U(c)    "u." #c

/* One side: whose rows, and what of them is seen.  A key is its consumer's. */
#define CP_USAGE_SIDE(whose)                                                  \
    "SELECT start_ms - start_ms % $4 AS s,"                                   \
    " CASE WHEN $5 = 1 THEN application ELSE '' END AS application,"          \
    " CASE WHEN $6 = 1 THEN subscription ELSE '' END AS subscription,"        \
    " CASE WHEN $7 = 1 THEN api ELSE '' END AS api,"                          \
    " CASE WHEN $8 = 1 THEN operation ELSE '' END AS operation,"              \
    " CASE WHEN $9 = 1 THEN refused ELSE '' END AS refused,"                  \
    " CASE WHEN $10 = 1 AND consumer = $1 THEN credential ELSE '' END"        \
    " AS credential,"                                                         \
    " CASE WHEN $11 = 1 THEN tenant ELSE '' END AS publisher,"                \
    " CASE WHEN $12 = 1 THEN consumer ELSE '' END AS consumer, "              \
    CP_USAGE_COUNTED(CP_USAGE_NAME) " FROM usage_minute"                      \
    " WHERE " whose " AND start_ms >= $2 AND start_ms < $3"                   \
    " AND ($13 = '' OR application = $13) AND ($14 = '' OR api = $14)"

/* $1 tenant, $2 from, $3 to, $4 step, $5..$12 whether to split by application,
 * subscription, api, operation, refused, credential, publisher, consumer; $13,
 * $14: only this application, api ('' any); $15: sides; $16 rows.  Names are
 * joined to what is left after adding up. */

#define CP_USAGE_QUERY(rows)                                                  \
    "SELECT u.start_ms, u.subscription, u.refused,"                           \
    " COALESCE(ap.name, u.application), COALESCE(a.name, u.api),"             \
    " COALESCE(t.name, o.method || ' ' || o.path, u.operation),"              \
    " COALESCE(c.prefix, u.credential), COALESCE(tp.name, u.publisher),"      \
    " COALESCE(tc.name, u.consumer), " CP_USAGE_COUNTED(CP_USAGE_U)           \
    " FROM (SELECT s AS start_ms, application, subscription, api, operation," \
    " refused, credential, publisher, consumer, "                             \
    CP_USAGE_COUNTED(CP_USAGE_SUM) " FROM ("                                  \
    rows ") r"                                                                \
    " GROUP BY s, application, subscription, api, operation, refused,"        \
    " credential, publisher, consumer) u"                                     \
    " LEFT JOIN applications ap ON ap.id = u.application"                     \
    " LEFT JOIN apis a ON a.id = u.api"                                       \
    " LEFT JOIN operations o ON o.id = u.operation"                           \
    " LEFT JOIN tools t ON t.id = u.operation"                                \
    " LEFT JOIN credentials c ON c.id = u.credential"                         \
    " LEFT JOIN tenants tp ON tp.id = u.publisher"                            \
    " LEFT JOIN tenants tc ON tc.id = u.consumer"                             \
    " ORDER BY u.start_ms, 8, 9, 4, 5, 6, 7, u.subscription, u.refused,"      \
    " u.api, u.operation LIMIT $16"

static const char  cp_usage_sum_sql[] = CP_USAGE_QUERY(
    CP_USAGE_SIDE("tenant = $1 AND ($15 <> 2 OR consumer = $1)") " UNION ALL "
    CP_USAGE_SIDE("consumer = $1 AND tenant <> $1 AND $15 <> 1"));

/* Of all tenants: there is one side. */
static const char  cp_usage_all_sql[] = CP_USAGE_QUERY(
    CP_USAGE_SIDE("$1 = '' AND $15 = 0"));

/* $1: the hour, $2: its end. */
static const char  cp_usage_merge_sql[] =
    "INSERT INTO usage_minute (" CP_USAGE_COLUMNS ")"
    " SELECT tenant, CAST($1 AS BIGINT), application, subscription, api,"
    " operation, credential, refused, MAX(consumer), "
    CP_USAGE_COUNTED(CP_USAGE_SUM) " FROM usage_minute"
    " WHERE start_ms > $1 AND start_ms < $2"
    " GROUP BY tenant, application, subscription, api, operation, credential,"
    " refused" CP_USAGE_ON_CONFLICT;


cp_rc_t
cp_usage_sum(cp_tx_t *tx, cp_arena_t *a, const cp_usage_ask_t *ask,
    cp_json_t **items, cp_err_t *err)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, a, ask->tenant ? cp_usage_sum_sql : cp_usage_all_sql,
            cp_args(cp_text(ask->tenant ? ask->tenant : ""),
                    cp_int(ask->from_ms),
                    cp_int(ask->to_ms),
                    cp_int(ask->step_ms ? ask->step_ms : CP_USAGE_NO_STEP),
                    cp_int((ask->by & CP_USAGE_BY_APPLICATION) != 0),
                    cp_int((ask->by & CP_USAGE_BY_SUBSCRIPTION) != 0),
                    cp_int((ask->by & CP_USAGE_BY_API) != 0),
                    cp_int((ask->by & CP_USAGE_BY_OPERATION) != 0),
                    cp_int((ask->by & CP_USAGE_BY_REFUSED) != 0),
                    cp_int((ask->by & CP_USAGE_BY_CREDENTIAL) != 0),
                    cp_int((ask->by & CP_USAGE_OF_PUBLISHER) != 0),
                    cp_int((ask->by & CP_USAGE_OF_CONSUMER) != 0),
                    cp_text(ask->application ? ask->application : ""),
                    cp_text(ask->api ? ask->api : ""),
                    cp_int(ask->sides),
                    cp_int(CP_USAGE_ITEMS_MAX + 1)), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows > CP_USAGE_ITEMS_MAX) {
        return cp_err_set(err, "too_large", "more than %d items: take a "
                          "shorter time, a longer step or fewer members of by",
                          CP_USAGE_ITEMS_MAX);
    }

    *items = cp_json_array(a);

    for (i = 0; i < rows.rows; i++) {
        cp_json_push(*items, cp_usage_item(a, ask, cp_cell(&rows, i, 0)));
    }

    return CP_OK;
}


static cp_json_t *
cp_usage_item(cp_arena_t *a, const cp_usage_ask_t *ask, const cp_val_t *row)
{
    int64_t                 h[CP_USAGE_BUCKETS];
    unsigned                i;
    cp_json_t              *item;
    const char             *s;
    const cp_val_t         *at;

    /* in the order of members; which columns tell the members of by */
    static const struct {
        const char  *name;
        unsigned     column;
        unsigned     by;
    } members[] = {
        { "publisher",    7, CP_USAGE_OF_PUBLISHER },
        { "consumer",     8, CP_USAGE_OF_CONSUMER },
        { "application",  3, CP_USAGE_BY_APPLICATION },
        { "subscription", 1, CP_USAGE_BY_SUBSCRIPTION },
        { "api",          4, CP_USAGE_BY_API },
        { "operation",    5, CP_USAGE_BY_OPERATION },
        { "credential",   6, CP_USAGE_BY_CREDENTIAL },
        { "refused",      2, CP_USAGE_BY_REFUSED },
        { NULL, 0, 0 }
    };

    item = cp_json_object(a);

    if (ask->step_ms) {
        cp_json_put(a, item, "start", cp_time_format(a, row[0].i));
    }

    for (i = 0; members[i].name; i++) {
        if (ask->by & members[i].by) {
            s = row[members[i].column].p;
            cp_json_put(a, item, members[i].name, s && *s ? s : NULL);
        }
    }

    at = &row[CP_USAGE_COUNTS_AT];
    cp_json_put_int(a, item, "requests",
                    at[0].i + at[1].i + at[2].i + at[3].i);

    for (i = 0; cp_usage_counts[i]; i++) {
        cp_json_put_int(a, item, cp_usage_counts[i], at[i].i);
    }

    for (i = 0; i < CP_USAGE_BUCKETS; i++) {
        h[i] = row[CP_USAGE_HIST_AT + i].i;
    }

    cp_json_put_int(a, item, "p50_us", cp_usage_percentile(h, 500));
    cp_json_put_int(a, item, "p95_us", cp_usage_percentile(h, 950));
    cp_json_put_int(a, item, "p99_us", cp_usage_percentile(h, 990));

    return item;
}


static int64_t
cp_usage_percentile(const int64_t h[CP_USAGE_BUCKETS], unsigned per_mille)
{
    double    want, seen, low, high;
    unsigned  i;

    for (i = 0, want = 0; i < CP_USAGE_BUCKETS; i++) {
        want += (double) h[i];
    }

    if (want == 0) {
        return 0;
    }

    want = want * per_mille / 1000;
    low = 0;
    high = 64;

    for (i = 0, seen = 0; i < CP_USAGE_BUCKETS - 1; i++) {

        if (h[i] && seen + (double) h[i] >= want) {
            return (int64_t) (low + (high - low) * (want - seen)
                                    / (double) h[i]);
        }

        seen += (double) h[i];
        low = high;
        high *= 2;
    }

    return (int64_t) low;
}


/* Looked at before anything is locked: most of the time there is nothing.
 * *hour -1: no minute is old enough.  *old: hours to be removed. */
static cp_rc_t
cp_usage_look(cp_db_t *db, cp_arena_t *a, int64_t now, int64_t *hour,
    bool *old, cp_err_t *err)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    cp_rows_t        rows;
    const cp_val_t  *first;

    *hour = -1;
    *old = false;

    if (cp_tx_open(db, false, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    /* the hour that is merged must be old as a whole */

    rc = cp_tx_query(tx, a, "SELECT 0, MIN(start_ms) FROM usage_minute"
                     " WHERE start_ms % 3600000 <> 0 AND start_ms < $1"
                     " UNION ALL"
                     " SELECT 1, MIN(start_ms) FROM usage_minute"
                     " ORDER BY 1",
                     cp_args(cp_int(now - now % CP_USAGE_HOUR_MS
                                    - CP_USAGE_MINUTES_S * 1000LL)),
                     &rows, err);
    cp_tx_rollback(tx);

    if (rc != CP_OK || rows.rows != 2) {
        return rc;
    }

    first = cp_cell(&rows, 0, 1);

    if (first->type == CP_VAL_INT) {
        *hour = first->i - first->i % CP_USAGE_HOUR_MS;
    }

    first = cp_cell(&rows, 1, 1);
    *old = first->type == CP_VAL_INT
           && first->i < now - CP_USAGE_HOURS_S * 1000LL;

    return CP_OK;
}


cp_rc_t
cp_usage_compact(cp_db_t *db, cp_arena_t *a, bool *more, cp_err_t *err)
{
    bool      old;
    cp_rc_t   rc;
    int64_t   now, hour;
    cp_tx_t  *tx;

    now = cp_time_ms();

    rc = cp_usage_look(db, a, now, &hour, &old, err);
    *more = rc == CP_OK && hour >= 0;

    if (rc != CP_OK || (hour < 0 && !old)) {
        return rc;
    }

    if (cp_tx_open(db, true, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    if (hour >= 0) {
        rc = cp_tx_query(tx, a, cp_usage_merge_sql,
                         cp_args(cp_int(hour),
                                 cp_int(hour + CP_USAGE_HOUR_MS)),
                         NULL, err);

        if (rc == CP_OK) {
            rc = cp_tx_query(tx, a, "DELETE FROM usage_minute"
                             " WHERE start_ms > $1 AND start_ms < $2",
                             cp_args(cp_int(hour),
                                     cp_int(hour + CP_USAGE_HOUR_MS)),
                             NULL, err);
        }
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "DELETE FROM usage_minute"
                         " WHERE start_ms < $1",
                         cp_args(cp_int(now - CP_USAGE_HOURS_S * 1000LL)),
                         NULL, err);
    }

    return cp_tx_finish(tx, rc, err);
}
