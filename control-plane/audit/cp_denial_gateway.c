/*
 * What gateways refused, as they tell it: a batch a minute, taken once.
 *
 * A gateway counts its refusals by kind, api, application and network, and
 * numbers what it sends; what it sends again has the same number.  A number
 * that is not above the last one of its table was taken before.
 */

#include <stdlib.h>
#include <string.h>

#include "audit/cp_audit.h"
#include "audit/cp_denial.h"
#include "base/cp_metrics.h"
#include "feed/cp_usage.h"


#define CP_NEWS_COUNT_MAX   ((int64_t) 1 << 40)
#define CP_NEWS_TABLES_MAX  200           /* of a gateway                    */
#define CP_NEWS_ROWS_MINUTE 128


const cp_report_field_t  cp_news_fields[] = {
    { "table", CP_REPORT_HEX,   true,  32 },
    { "batch", CP_REPORT_INT,   true,  INT64_MAX },
    { "lost",  CP_REPORT_INT,   false, CP_NEWS_COUNT_MAX },
    { "news",  CP_REPORT_ARRAY, true,  CP_NEWS_ROWS_MAX },
    { NULL, CP_REPORT_INT, false, 0 }
};

const cp_report_field_t  cp_news_row_fields[] = {
    { "tenant",      CP_REPORT_ID,   true,  STOA_ID_LEN },
    { "api",         CP_REPORT_ID,   false, STOA_ID_LEN },
    { "application", CP_REPORT_ID,   false, STOA_ID_LEN },
    { "refused",     CP_REPORT_CODE, true,  40 },
    { "address",     CP_REPORT_TEXT, false, 45 },
    { "count",       CP_REPORT_INT,  true,  CP_NEWS_COUNT_MAX },
    { "first_ms",    CP_REPORT_INT,  true,  INT64_MAX },
    { "last_ms",     CP_REPORT_INT,  true,  INT64_MAX },
    { NULL, CP_REPORT_INT, false, 0 }
};


/* By their chains, so that two batches never wait for each other in a circle.
 */
static int
cp_news_compare(const void *one, const void *two)
{
    return strcmp(cp_report_text(*(const cp_json_t *const *) one, "tenant"),
                  cp_report_text(*(const cp_json_t *const *) two, "tenant"));
}


static cp_rc_t
cp_news_rows(cp_op_t *op, const cp_json_t *in, cp_json_t **rows, unsigned *n)
{
    char        at[32];
    cp_rc_t     rc;
    cp_json_t  *row;

    rc = cp_report_check(in, cp_news_fields, "", &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    *n = 0;

    for (row = cp_json_get(in, "news")->first; row; row = row->next) {
        (void) snprintf(at, sizeof(at), "news[%u].", *n);

        rc = cp_report_check(row, cp_news_row_fields, at, &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        rows[(*n)++] = row;
    }

    qsort(rows, *n, sizeof(cp_json_t *), cp_news_compare);

    return CP_OK;
}


/* Is it to be taken?  No more rows than a gateway has in that time: who has
 * its token does not fill the log.  An empty one is a row, too: many tables
 * of those would push out what is counted. */
static cp_rc_t
cp_news_take(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in, unsigned n,
    bool *taken)
{
    cp_rc_t      rc;
    int64_t      now, batch;
    cp_rows_t    rows;
    const char  *table;

    now = cp_time_ms();
    batch = cp_json_num(in, "batch", 0);
    table = cp_json_str(in, "table");
    *taken = false;
    n = n ? n : 1;

    /* one of a gateway after the other */

    rc = cp_tx_query(tx, op->arena, "UPDATE gateways SET id = id"
                     " WHERE id = $1", cp_args(cp_text(op->actor.id)), NULL,
                     &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "SELECT CAST(COALESCE(MAX(CASE WHEN"
                         " file = $2 THEN batch ELSE 0 END), 0) AS BIGINT),"
                         " CAST(COALESCE(SUM(CASE WHEN since_ms > $3 THEN n"
                         " ELSE 0 END), 0) AS BIGINT)"
                         " FROM gateway_news WHERE gateway = $1",
                         cp_args(cp_text(op->actor.id), cp_text(table),
                                 cp_int(now - CP_NEWS_INTERVAL_MS)),
                         &rows, &op->err);
    }

    if (rc != CP_OK || batch <= cp_cell(&rows, 0, 0)->i) {
        return rc;
    }

    if (cp_cell(&rows, 0, 1)->i + n > CP_NEWS_ROWS_MINUTE) {
        return cp_err_set(&op->err, "too_many_requests",
                          "more than %d rows a minute", CP_NEWS_ROWS_MINUTE);
    }

    *taken = true;

    rc = cp_tx_query(tx, op->arena, "INSERT INTO gateway_news AS k (gateway,"
                     " file, batch, taken_ms, since_ms, n)"
                     " VALUES ($1, $2, $3, $4, $4, $5)"
                     " ON CONFLICT (gateway, file) DO UPDATE"
                     " SET batch = excluded.batch,"
                     " taken_ms = excluded.taken_ms,"
                     " n = excluded.n + CASE WHEN k.since_ms > $6 THEN k.n"
                     " ELSE 0 END, since_ms = CASE WHEN k.since_ms > $6"
                     " THEN k.since_ms ELSE excluded.since_ms END",
                     cp_args(cp_text(op->actor.id), cp_text(table),
                             cp_int(batch), cp_int(now), cp_int(n),
                             cp_int(now - CP_NEWS_INTERVAL_MS)), NULL,
                     &op->err);

    /* of many tables those that were told of longest ago go */

    return rc == CP_OK
           ? cp_tx_query(tx, op->arena, "DELETE FROM gateway_news"
                         " WHERE gateway = $1 AND file IN"
                         " (SELECT file FROM gateway_news WHERE gateway = $1"
                         " ORDER BY taken_ms DESC, file LIMIT 1000"
                         " OFFSET $2)",
                         cp_args(cp_text(op->actor.id),
                                 cp_int(CP_NEWS_TABLES_MAX)), NULL, &op->err)
           : rc;
}


/* What a publisher may know by name: his own, and who subscribes to him. */
static cp_rc_t
cp_news_names(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    const char **api, const char **application)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT (SELECT name FROM apis"
                     " WHERE id = $2 AND tenant = $1),"
                     " (SELECT t.name || '/' || a.name FROM applications a"
                     " JOIN tenants t ON t.id = a.tenant WHERE a.id = $3"
                     " AND (a.tenant = $1 OR EXISTS (SELECT 1"
                     " FROM subscriptions WHERE application = $3"
                     " AND target_tenant = $1)))",
                     cp_args(cp_text(cp_report_text(row, "tenant")),
                             cp_text(cp_report_text(row, "api")),
                             cp_text(cp_report_text(row, "application"))),
                     &rows, &op->err);

    if (rc == CP_OK) {
        *api = cp_cell(&rows, 0, 0)->p;
        *application = cp_cell(&rows, 0, 1)->p;
    }

    return rc;
}


static cp_rc_t
cp_news_write(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    char               network[CP_DENIAL_NETWORK];
    cp_rc_t            rc;
    int64_t            now;
    cp_json_t         *diff;
    const char        *api, *application;
    cp_audit_event_t   ev = { .action = "deny", .kind = "call" };

    static const char *const  times[][2] = {
        { "first", "first_ms" }, { "last", "last_ms" }
    };

    rc = cp_news_names(op, tx, row, &api, &application);
    if (rc != CP_OK) {
        return rc;
    }

    now = cp_time_ms();
    diff = cp_json_object(op->arena);
    cp_json_put(op->arena, diff, "reason", cp_report_text(row, "refused"));
    cp_json_put_int(op->arena, diff, "count", cp_json_num(row, "count", 0));

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        cp_json_put(op->arena, diff, times[i][0], cp_time_format(op->arena,
                    now < cp_json_num(row, times[i][1], 0) ? now
                    : cp_json_num(row, times[i][1], 0)));
    }

    cp_denial_network(cp_report_text(row, "address"), network,
                      sizeof(network));
    cp_json_put(op->arena, diff, "network", network);

    if (*cp_report_text(row, "application")) {
        cp_json_put(op->arena, diff, "application", application ? application
                    : cp_report_text(row, "application"));
    }

    ev.tenant = cp_report_text(row, "tenant");
    ev.id = cp_report_text(row, "api");
    ev.name = api;
    ev.diff = diff;

    return cp_audit_append(op, tx, &ev);
}


cp_rc_t
cp_news_batch(cp_op_t *op, const cp_json_t *in, bool *taken,
    unsigned *refused)
{
    bool        known;
    cp_rc_t     rc;
    cp_tx_t    *tx;
    int64_t     lost;
    unsigned    i, n;
    cp_json_t  *rows[CP_NEWS_ROWS_MAX];

    *refused = 0;

    rc = cp_news_rows(op, in, rows, &n);

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_news_take(op, tx, in, n, taken);

    for (i = 0; i < n && rc == CP_OK && *taken; i++) {

        rc = cp_usage_known(op, tx, rows[i], &known);

        if (rc == CP_OK && known && *cp_report_text(rows[i], "tenant")) {
            rc = cp_news_write(op, tx, rows[i]);

        } else if (rc == CP_OK) {
            (*refused)++;
        }
    }

    rc = cp_tx_finish(tx, rc, &op->err);
    lost = cp_json_num(in, "lost", 0) + *refused;

    if (rc == CP_OK && *taken && lost) {
        cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                                "stoa_control_denials_lost_total", "",
                                "Denials that are not in the audit log."),
                      lost);
    }

    return rc;
}
