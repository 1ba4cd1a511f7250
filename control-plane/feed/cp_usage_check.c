/*
 * What a gateway's token may report: usage of what its group serves, as much
 * as its time allows.  A token that got lost, or a gateway that went mad, must
 * not write another's bills.
 */

#include <inttypes.h>

#include "feed/cp_usage.h"


/* More than any gateway can do. */
#define CP_USAGE_REQUESTS_S  INT64_C(1000000)
#define CP_USAGE_BYTES_S     INT64_C(100000000000)
/* The first batch of a file has no beginning; clocks differ. */
#define CP_USAGE_SLACK_S     3600
/* Numbers of batches: in a database that was put back the last one may be
 * long ago. */
#define CP_USAGE_JUMP        1000
#define CP_USAGE_BATCH_MS    100
#define CP_USAGE_BATCH_MAX   (INT64_C(1) << 53)


static cp_rc_t cp_usage_prune(cp_op_t *op, cp_tx_t *tx);


/*
 * $1 tenant, $2 application, $3 api, $4 the group's pattern, $5 subscription,
 * $6 operation or tool, $7 credential.  What was deleted lately is there as a
 * tombstone: its last calls count.
 */
static const char  cp_usage_known_sql[] =
    "SELECT CASE WHEN"
    " EXISTS (SELECT 1 FROM feed WHERE key = 'tenant:' || $1)"
    " AND ($2 = '' OR EXISTS (SELECT 1 FROM feed WHERE key = 'app:' || $2))"
    " AND ($3 = '' OR EXISTS (SELECT 1 FROM feed WHERE key = 'api:' || $3"
    " AND (deleted = 1 OR group_ids IS NULL OR group_ids LIKE $4)))"
    " THEN 1 ELSE 0 END,"
    " CASE WHEN EXISTS (SELECT 1 FROM subscriptions"
    " WHERE id = $5 AND application = $2) THEN 1 ELSE 0 END,"
    " CASE WHEN EXISTS (SELECT 1 FROM operations WHERE id = $6 AND api = $3)"
    " OR EXISTS (SELECT 1 FROM tools WHERE id = $6 AND api = $3)"
    " THEN 1 ELSE 0 END,"
    " CASE WHEN EXISTS (SELECT 1 FROM credentials"
    " WHERE id = $7 AND application = $2) THEN 1 ELSE 0 END";

/* In the order of its columns. */
static const char *const  cp_usage_details[] = {
    "subscription", "operation", "credential"
};


cp_rc_t
cp_usage_possible(cp_op_t *op, const cp_json_t *in, cp_json_t *const *rows,
    unsigned n)
{
    int64_t           now, kept, from, to, span_s, requests, bytes;
    unsigned          i;
    const cp_json_t  *m;

    now = cp_time_ms();
    from = cp_json_num(in, "from_ms", 0);
    to = cp_json_num(in, "to_ms", 0);

    /* nobody keeps a batch for longer than usage is kept */

    kept = cp_usage_kept(&op->app->conf, CP_USAGE_LEVELS - 1, now);
    from = from < kept ? kept : from;
    to = to > now ? now : to;
    span_s = (to > from ? (to - from) / 1000 : 0) + CP_USAGE_SLACK_S;

    requests = 0;
    bytes = 0;

    for (i = 0; i < n; i++) {
        for (m = rows[i]->first; m; m = m->next) {
            if (m->type != CP_JSON_INT) {
                continue;
            }

            if (m->key[0] == 'c') {
                requests += m->i;

            } else if (m->key[0] == 'b' || m->key[0] == 't') {
                bytes += m->i;
            }
        }

        if (requests / span_s > CP_USAGE_REQUESTS_S
            || bytes / span_s > CP_USAGE_BYTES_S)
        {
            return cp_err_set(&op->err, "validation", "this is more than a "
                              "gateway can do in %" PRId64 " s", span_s);
        }
    }

    return CP_OK;
}


cp_rc_t
cp_usage_known(cp_op_t *op, cp_tx_t *tx, cp_json_t *row, bool *known)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  found;

    rc = cp_tx_query(tx, op->arena, cp_usage_known_sql,
                     cp_args(cp_text(cp_report_text(row, "tenant")),
                             cp_text(cp_report_text(row, "application")),
                             cp_text(cp_report_text(row, "api")),
                             cp_text(cp_arena_printf(op->arena, "%%,%.16s,%%",
                                          op->actor.group ? op->actor.group
                                                          : "")),
                             cp_text(cp_report_text(row, "subscription")),
                             cp_text(cp_report_text(row, "operation")),
                             cp_text(cp_report_text(row, "credential"))),
                     &found, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    *known = cp_cell(&found, 0, 0)->i == 1
             || (cp_report_text(row, "tenant")[0] == '\0'
                 && cp_report_text(row, "application")[0] == '\0'
                 && cp_report_text(row, "api")[0] == '\0');

    /* what is not of it, or no more, is counted without */

    for (i = 0; i < sizeof(cp_usage_details) / sizeof(char *); i++) {
        if (cp_cell(&found, 0, i + 1)->i == 0) {
            cp_json_put(op->arena, row, cp_usage_details[i], "");
        }
    }

    return CP_OK;
}


cp_rc_t
cp_usage_file(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in)
{
    cp_rc_t    rc;
    int64_t    batch, most;
    cp_rows_t  rows;

    batch = cp_json_num(in, "batch", 0);

    rc = cp_tx_query(tx, op->arena, "SELECT batch, taken_ms FROM usage_batch"
                     " WHERE gateway = $1 AND file = $2",
                     cp_args(cp_text(op->actor.id),
                             cp_text(cp_json_str(in, "file"))),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    most = CP_USAGE_BATCH_MAX;

    if (rows.rows) {
        most = cp_cell(&rows, 0, 0)->i + CP_USAGE_JUMP
               + (cp_time_ms() - cp_cell(&rows, 0, 1)->i) / CP_USAGE_BATCH_MS;
    }

    if (batch > most) {
        return cp_err_field(&op->err, -1, 0, "batch", "is too far from the "
                            "last one, %" PRId64 " at most", most);
    }

    return rows.rows ? CP_OK : cp_usage_prune(op, tx);
}


/* A gateway has one file at a time; of many the longest unused ones go. */
static cp_rc_t
cp_usage_prune(cp_op_t *op, cp_tx_t *tx)
{
    return cp_tx_query(tx, op->arena, "DELETE FROM usage_batch"
                       " WHERE gateway = $1 AND file IN"
                       " (SELECT file FROM usage_batch WHERE gateway = $1"
                       " ORDER BY taken_ms DESC, file LIMIT 1000 OFFSET $2)",
                       cp_args(cp_text(op->actor.id),
                               cp_int(CP_USAGE_FILES_MAX - 1)), NULL,
                       &op->err);
}
