/*
 * A batch of counts, added once.
 *
 * A gateway numbers the batches of a counter file and sends them in order; it
 * may merge batches that wait, so numbers may be skipped but only grow.  What
 * is not above the last number taken was taken before.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cp_metrics.h"
#include "feed/cp_usage.h"


#define CP_USAGE_COUNT_MAX  ((int64_t) 1 << 40)
#define CP_USAGE_BYTES_MAX  ((int64_t) 1 << 50)
#define CP_USAGE_MODEL_MAX  CP_USAGE_KEY_MAX        /* as stoa_llm.h has it  */
#define CP_USAGE_MARKS  4096
#define CP_USAGE_KEYS   9                   /* start, tenant .. model        */
#define CP_USAGE_ARGS   (CP_USAGE_KEYS + CP_USAGE_NUMBERS)


static cp_rc_t cp_usage_rows(cp_op_t *op, const cp_json_t *in,
    cp_json_t ***rows, unsigned *n);
static cp_rc_t cp_usage_latency(cp_op_t *op, const cp_json_t *row,
    const char *at);
static int cp_usage_compare(const void *one, const void *two);
static cp_rc_t cp_usage_take(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in,
    bool *taken);
static cp_rc_t cp_usage_key(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    int64_t start_ms);
static cp_rc_t cp_usage_add(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    int64_t start_ms, const char **consumer);


const cp_report_field_t  cp_usage_fields[] = {
    { "file",    CP_REPORT_HEX,   true, 32 },
    { "batch",   CP_REPORT_INT,   true, INT64_MAX },
    { "from_ms", CP_REPORT_INT,   true, INT64_MAX },
    { "to_ms",   CP_REPORT_INT,   true, INT64_MAX },
    { "rows",    CP_REPORT_ARRAY, true, CP_USAGE_ROWS_MAX },
    { NULL, CP_REPORT_INT, false, 0 }
};

/* In the order of the parameters of cp_usage_levels[].add, after start_ms. */
const cp_report_field_t  cp_usage_row_fields[] = {
    { "tenant",       CP_REPORT_ID,    false, STOA_ID_LEN },
    { "application",  CP_REPORT_ID,    false, STOA_ID_LEN },
    { "subscription", CP_REPORT_ID,    false, STOA_ID_LEN },
    { "api",          CP_REPORT_ID,    false, STOA_ID_LEN },
    { "operation",    CP_REPORT_ID,    false, STOA_ID_LEN },
    { "credential",   CP_REPORT_ID,    false, STOA_ID_LEN },
    { "refused",      CP_REPORT_CODE,  false, 40 },
    { "model",        CP_REPORT_TEXT,  false, CP_USAGE_MODEL_MAX },
    { "c2xx",         CP_REPORT_INT,   false, CP_USAGE_COUNT_MAX },
    { "c3xx",         CP_REPORT_INT,   false, CP_USAGE_COUNT_MAX },
    { "c4xx",         CP_REPORT_INT,   false, CP_USAGE_COUNT_MAX },
    { "c5xx",         CP_REPORT_INT,   false, CP_USAGE_COUNT_MAX },
    { "bytes_in",     CP_REPORT_INT,   false, CP_USAGE_BYTES_MAX },
    { "bytes_out",    CP_REPORT_INT,   false, CP_USAGE_BYTES_MAX },
    { "tokens_in",    CP_REPORT_INT,   false, CP_USAGE_BYTES_MAX },
    { "tokens_out",   CP_REPORT_INT,   false, CP_USAGE_BYTES_MAX },
    { "tokens_cached", CP_REPORT_INT,  false, CP_USAGE_BYTES_MAX },
    { "latency_us",   CP_REPORT_ARRAY, false, CP_USAGE_BUCKETS },
    { NULL, CP_REPORT_INT, false, 0 }
};

/* start_ms < 0: that time is kept no longer. */
static cp_rc_t
cp_usage_put(cp_op_t *op, cp_tx_t *tx, cp_json_t **rows, unsigned n,
    int64_t start_ms, unsigned *refused)
{
    bool          known;
    cp_rc_t       rc;
    unsigned      i;
    const char  **consumer;

    consumer = cp_arena_alloc(op->arena, (n + 1) * sizeof(char *));
    if (consumer == NULL) {
        return cp_err_set(&op->err, "internal", "out of memory");
    }

    for (i = 0, rc = CP_OK; i < n && rc == CP_OK; i++) {
        consumer[i] = NULL;
        rc = cp_usage_known(op, tx, rows[i], &known);

        if (rc == CP_OK && known) {
            rc = start_ms < 0 ? CP_OK
                              : cp_usage_add(op, tx, rows[i], start_ms,
                                             &consumer[i]);

        } else if (rc == CP_OK) {
            (*refused)++;
        }
    }

    return rc == CP_OK ? cp_usage_view_add(op, tx, rows, consumer, n, start_ms)
                       : rc;
}


cp_rc_t
cp_usage_batch(cp_op_t *op, const cp_json_t *in, bool *taken,
    unsigned *refused)
{
    bool              late;
    cp_rc_t           rc;
    int64_t           start;
    cp_tx_t          *tx;
    unsigned          n;
    cp_json_t       **rows;

    n = 0;
    *refused = 0;
    rc = cp_usage_rows(op, in, &rows, &n);

    if (rc == CP_OK) {
        rc = cp_usage_possible(op, in, rows, n);
    }

    if (rc != CP_OK) {
        return rc;
    }

    /* a gateway whose clock runs ahead does not write into the future */

    start = cp_json_num(in, "from_ms", 0);
    start = start < cp_time_ms() ? start : cp_time_ms();
    late = start < cp_usage_kept(&op->app->conf, CP_USAGE_LEVELS - 1,
                                 cp_time_ms());

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_usage_file(op, tx, in);

    if (rc == CP_OK) {
        rc = cp_usage_take(op, tx, in, taken);
    }

    if (rc == CP_OK && *taken) {
        rc = cp_usage_put(op, tx, rows, n, late ? -1 : start, refused);
    }

    rc = cp_tx_finish(tx, rc, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                            "stoa_control_usage_batches_total",
                            *taken ? "result=\"applied\""
                                   : "result=\"repeated\"",
                            "Batches of usage that gateways sent."), 1);

    if (late && *taken) {
        cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                                "stoa_control_usage_rows_late_total", "",
                                "Rows of times that are kept no longer."),
                      n - *refused);
    }

    if (*refused) {
        cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                                "stoa_control_usage_rows_refused_total", "",
                                "Rows of them about what the gateway's group"
                                " does not serve."), *refused);
        cp_log(CP_LOG_WARN, "usage", "a gateway reported what its group does"
               " not serve gateway:%s rows:%u", op->actor.name, *refused);
    }

    return CP_OK;
}


/* Rows in one order everywhere, so that two batches never wait for each other
 * in a circle. */
static cp_rc_t
cp_usage_rows(cp_op_t *op, const cp_json_t *in, cp_json_t ***rows,
    unsigned *n)
{
    char              at[32];
    cp_rc_t           rc;
    unsigned          i;
    cp_json_t        *row;
    const cp_json_t  *list;

    rc = cp_report_check(in, cp_usage_fields, "", &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_json_num(in, "batch", 0) == 0) {
        return cp_err_field(&op->err, -1, 0, "batch", "must be at least 1");
    }

    list = cp_json_get(in, "rows");
    *n = list->n;
    *rows = cp_arena_alloc(op->arena, (list->n + 1) * sizeof(cp_json_t *));

    if (*rows == NULL) {
        return cp_err_set(&op->err, "internal", "out of memory");
    }

    for (row = list->first, i = 0; row; row = row->next, i++) {
        snprintf(at, sizeof(at), "rows[%u].", i);

        rc = cp_report_check(row, cp_usage_row_fields, at, &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        rc = cp_usage_latency(op, row, at);
        if (rc != CP_OK) {
            return rc;
        }

        (*rows)[i] = row;
    }

    qsort(*rows, *n, sizeof(cp_json_t *), cp_usage_compare);

    return CP_OK;
}


static cp_rc_t
cp_usage_latency(cp_op_t *op, const cp_json_t *row, const char *at)
{
    char              name[64];
    const cp_json_t  *list, *v;

    list = cp_json_get(row, "latency_us");
    if (list == NULL) {
        return CP_OK;
    }

    for (v = list->first; v; v = v->next) {
        if (v->type != CP_JSON_INT || v->i < 0 || v->i > CP_USAGE_COUNT_MAX) {
            break;
        }
    }

    if (v || (list->n != CP_USAGE_BUCKETS && list->n != CP_USAGE_BUCKETS_1)) {
        snprintf(name, sizeof(name), "%slatency_us", at);
        return cp_err_field(&op->err, -1, list->line, name,
                            "must be %d counts", CP_USAGE_BUCKETS);
    }

    return CP_OK;
}


static int
cp_usage_compare(const void *one, const void *two)
{
    int                       n;
    const cp_json_t          *a, *b;
    const cp_report_field_t  *f;

    a = *(const cp_json_t *const *) one;
    b = *(const cp_json_t *const *) two;

    for (f = cp_usage_row_fields; f->type != CP_REPORT_INT; f++) {
        n = strcmp(cp_report_text(a, f->name), cp_report_text(b, f->name));
        if (n) {
            return n;
        }
    }

    return 0;
}


static cp_rc_t
cp_usage_take(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in, bool *taken)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena,
                     "INSERT INTO usage_batch (gateway, file, batch, taken_ms)"
                     " VALUES ($1, $2, $3, $4)"
                     " ON CONFLICT (gateway, file) DO UPDATE"
                     " SET batch = excluded.batch,"
                     " taken_ms = excluded.taken_ms"
                     " WHERE usage_batch.batch < excluded.batch"
                     " RETURNING batch",
                     cp_args(cp_text(op->actor.id),
                             cp_text(cp_json_str(in, "file")),
                             cp_int(cp_json_num(in, "batch", 0)),
                             cp_int(cp_time_ms())),
                     &rows, &op->err);

    *taken = rc == CP_OK && rows.rows == 1;

    return rc;
}


/* To each level, where it happened; not to one that would forget it at once.
 * *consumer: whose the application is, or was when it was first counted; it is
 * left alone if no quarter has the row. */
static cp_rc_t
cp_usage_add(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row, int64_t start_ms,
    const char **consumer)
{
    cp_rc_t                   rc;
    int64_t                   numbers[CP_USAGE_NUMBERS];
    cp_rows_t                 rows;
    unsigned                  n, i;
    cp_val_t                  args[CP_USAGE_ARGS];
    const cp_report_field_t  *f;

    n = 1;

    for (f = cp_usage_row_fields; f->type != CP_REPORT_INT; f++) {
        args[n++] = cp_text(cp_report_text(row, f->name));
    }

    cp_usage_numbers(row, numbers);

    for (i = 0; i < CP_USAGE_NUMBERS; i++) {
        args[n++] = cp_int(numbers[i]);
    }

    for (i = 0, rc = CP_OK; i < CP_USAGE_LEVELS && rc == CP_OK; i++) {

        args[0] = cp_int(start_ms - start_ms % cp_usage_levels[i].ms);

        if (args[0].i >= cp_usage_kept(&op->app->conf, i, cp_time_ms())) {
            rc = cp_tx_query(tx, op->arena, cp_usage_levels[i].add, args, n,
                             &rows, &op->err);

            if (rc == CP_OK && i == CP_USAGE_QUARTERS) {
                *consumer = cp_cell(&rows, 0, 0)->p;
            }
        }
    }

    return rc == CP_OK ? cp_usage_key(op, tx, row, start_ms) : rc;
}


/*
 * When a key was last used, to the hour.  What this process has noted already
 * is known by a mark per slot, so that a busy key costs a write an hour.
 */
static cp_rc_t
cp_usage_key(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    int64_t start_ms)
{
    uint64_t                  mark;
    const char               *id;
    _Atomic uint64_t         *slot;

    static _Atomic uint64_t   marks[CP_USAGE_MARKS];

    id = cp_report_text(row, "credential");

    if (*id == '\0' || *cp_report_text(row, "refused") != '\0') {
        return CP_OK;
    }

    start_ms -= start_ms % CP_USAGE_HOUR_MS;
    slot = &marks[stoa_hash64(id, strlen(id), 0) % CP_USAGE_MARKS];
    mark = stoa_hash64(id, strlen(id), (uint64_t) start_ms);

    if (atomic_load_explicit(slot, memory_order_relaxed) == mark) {
        return CP_OK;
    }

    atomic_store_explicit(slot, mark, memory_order_relaxed);

    return cp_tx_query(tx, op->arena, "UPDATE credentials"
                       " SET last_used_at = $2 WHERE id = $1"
                       " AND (last_used_at IS NULL OR last_used_at < $2)",
                       cp_args(cp_text(id), cp_int(start_ms)), NULL,
                       &op->err);
}
