/*
 * Making checkpoints, and pruning behind them.
 */

#include <inttypes.h>
#include <string.h>

#include "audit/cp_audit_row.h"
#include "audit/cp_checkpoint.h"
#include "audit/cp_checkpoints.h"
#include "audit/cp_mark.h"
#include "audit/cp_sign.h"
#include "base/cp_metrics.h"


#define CP_CHECKPOINT_ARENA   (64 * 1024 * 1024)
#define CP_CHECKPOINT_PRUNE   10000                /* rows of a transaction  */

/* A chain that has moved, or is to be pruned. */
typedef struct {
    const char  *tenant;
    cp_mark_t    mark;                             /* the new one            */
    bool         good;
} cp_moved_t;


static cp_rc_t cp_checkpoint_moved(cp_op_t *op, bool accept,
    cp_moved_t **moved, unsigned *n);
static cp_rc_t cp_checkpoint_read(cp_op_t *op, cp_tx_t *tx,
    const cp_val_t *row, bool accept, cp_moved_t *m);
static cp_rc_t cp_checkpoint_first(cp_op_t *op, cp_tx_t *tx,
    cp_moved_t *m);
static cp_rc_t cp_checkpoint_before(cp_op_t *op, cp_tx_t *tx,
    const char *tenant, int64_t seq, char hash[65]);
static cp_rc_t cp_checkpoint_begin(cp_op_t *op, cp_tx_t *tx, cp_moved_t *m,
    cp_audit_walk_t *w);
static cp_rc_t cp_checkpoint_write(cp_op_t *op, cp_tx_t *tx, bool accept,
    cp_moved_t *moved, unsigned n, int64_t *number, const char **kept);
static cp_rc_t cp_checkpoint_prune(cp_op_t *op);
static void cp_checkpoint_broken(bool broken);


/* Heads beyond their marks, and marks with rows that are kept no longer ($1,
 * 0: there are none, and no row is looked at; the last row of a mark stays);
 * $2: all. */
static const char  cp_checkpoint_moved_sql[] =
    "SELECT h.tenant, h.seq, m.number, m.at, m.first_seq, m.first_prev,"
    " m.seq, m.hash, m.signature FROM audit_head h LEFT JOIN audit_mark m"
    " ON m.tenant = h.tenant WHERE h.seq > 0 AND ($2 = 1 OR m.seq IS NULL"
    " OR m.seq < h.seq OR CAST($1 AS BIGINT) > 0"
    " AND EXISTS (SELECT 1 FROM audit a"
    " WHERE a.tenant = h.tenant AND a.at < $1 AND a.seq < m.seq"
    " AND a.seq >= m.first_seq)) ORDER BY h.tenant LIMIT 100000";


/* 0: all is kept. */
static int64_t
cp_checkpoint_cut(const cp_app_t *app)
{
    return app->conf.audit_kept_d
           ? cp_time_ms() - app->conf.audit_kept_d * INT64_C(86400000) : 0;
}


cp_rc_t
cp_checkpoint_make(cp_op_t *op, bool accept, int64_t *number)
{
    cp_rc_t            rc;
    cp_tx_t           *tx;
    unsigned           n;
    const char        *kept;
    cp_moved_t        *moved;
    cp_audit_event_t   ev = { .action = "accept", .kind = "checkpoint",
                              .id = "" };

    if (accept) {
        rc = cp_audit_event(op, &ev);
        if (rc != CP_OK) {
            return rc;
        }
    }

    rc = cp_checkpoint_moved(op, accept, &moved, &n);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    kept = NULL;
    rc = cp_checkpoint_write(op, tx, accept, moved, n, number, &kept);
    rc = cp_tx_finish(tx, rc, &op->err);

    /* a crash before this is a database that is newer, which is fine */

    if (rc == CP_OK && kept) {
        rc = cp_sign_keep(op->arena, kept) == CP_OK ? CP_OK
             : cp_err_set(&op->err, "internal", "the file beside the key was "
                          "not written");
    }

    return rc;
}


static cp_rc_t
cp_checkpoint_moved(cp_op_t *op, bool accept, cp_moved_t **moved,
    unsigned *n)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    cp_rows_t    rows;

    *n = 0;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, cp_checkpoint_moved_sql,
                     cp_args(cp_int(cp_checkpoint_cut(op->app)),
                             cp_int(accept)), &rows, &op->err);

    *moved = rc == CP_OK
             ? cp_arena_alloc(op->arena, (rows.rows + 1) * sizeof(cp_moved_t))
             : NULL;

    for (i = 0; rc == CP_OK && *moved && i < rows.rows; i++) {
        rc = cp_checkpoint_read(op, tx, cp_cell(&rows, i, 0), accept,
                                &(*moved)[i]);
        *n = i + 1;
    }

    cp_tx_rollback(tx);

    return rc == CP_OK && *moved == NULL
           ? cp_err_set(&op->err, "internal", "no memory") : rc;
}


/* From the last mark on; with accept from the beginning of what is there. */
static cp_rc_t
cp_checkpoint_read(cp_op_t *op, cp_tx_t *tx, const cp_val_t *row,
    bool accept, cp_moved_t *m)
{
    bool              had;
    cp_rc_t           rc;
    cp_mark_t         old;
    const char       *text;
    cp_audit_walk_t   w;

    memset(&w, 0, sizeof(w));
    memset(&old, 0, sizeof(old));
    had = row[2].type == CP_VAL_INT && !accept;
    m->tenant = row[0].p;
    m->mark.first = 1;
    m->mark.first_prev = "";

    if (had) {
        cp_mark_of(row + 2, &old);
        m->mark = old;
        text = cp_mark_text(op->arena, m->tenant, &old);

        if (text == NULL || !cp_sign_good(text, old.signature)) {
            cp_log(CP_LOG_ERROR, "audit", "a mark is not signed by the key "
                   "tenant:%s", m->tenant);
            return CP_OK;
        }

        /* its last row has to be what it was, and is read again for that */

        w.mark = &old;
        w.seq = old.seq - 1;
    }

    rc = had ? cp_checkpoint_first(op, tx, m)
         : accept ? cp_checkpoint_begin(op, tx, m, &w) : CP_OK;

    if (rc == CP_OK && had) {
        rc = cp_checkpoint_before(op, tx, m->tenant, old.seq, w.hash);
    }

    if (rc != CP_OK) {
        return rc;
    }

    stoa_buf_init(&w.buf, 16 * CP_AUDIT_DIFF_MAX);
    rc = cp_tx_each(tx, "SELECT " CP_AUDIT_COLUMNS " FROM audit"
                    " WHERE tenant = $1 AND seq > $2 AND seq <= $3"
                    " ORDER BY seq",
                    cp_args(cp_text(m->tenant), cp_int(w.seq),
                            cp_int(row[1].i)), cp_audit_walk, &w);
    stoa_buf_free(&w.buf);

    if (rc != CP_OK) {
        return cp_err_set(&op->err, "internal", "the audit log was not read");
    }

    if (w.broken || w.seq != row[1].i) {
        cp_log(CP_LOG_ERROR, "audit", "a chain is not signed, it is broken "
               "tenant:%s seq:%" PRId64 " why:%s", m->tenant,
               w.broken ? w.broken : w.seq + 1, w.why ? w.why : "missing");
        return CP_OK;
    }

    m->mark.seq = w.seq;
    m->mark.hash = cp_arena_strdup(op->arena, w.hash);
    m->good = m->mark.hash != NULL;

    return CP_OK;
}


/* Where what is accepted begins. */
static cp_rc_t
cp_checkpoint_begin(cp_op_t *op, cp_tx_t *tx, cp_moved_t *m,
    cp_audit_walk_t *w)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT seq, prev_hash FROM audit"
                     " WHERE tenant = $1 ORDER BY seq LIMIT 1",
                     cp_args(cp_text(m->tenant)), &rows, &op->err);

    if (rc == CP_OK && rows.rows) {
        m->mark.first = cp_cell(&rows, 0, 0)->i;
        m->mark.first_prev = cp_cell(&rows, 0, 1)->p;
        w->seq = m->mark.first - 1;
        snprintf(w->hash, sizeof(w->hash), "%s", m->mark.first_prev);
    }

    return rc;
}


/* Where the chain will begin when what is kept no longer is gone. */
static cp_rc_t
cp_checkpoint_first(cp_op_t *op, cp_tx_t *tx, cp_moved_t *m)
{
    cp_rc_t    rc;
    int64_t    cut;
    cp_rows_t  rows;

    cut = cp_checkpoint_cut(op->app);
    if (cut == 0) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT seq, hash FROM audit"
                     " WHERE tenant = $1 AND at < $2 AND seq < $3"
                     " AND seq >= $4 ORDER BY seq DESC LIMIT 1",
                     cp_args(cp_text(m->tenant), cp_int(cut),
                             cp_int(m->mark.seq), cp_int(m->mark.first)),
                     &rows, &op->err);

    if (rc == CP_OK && rows.rows) {
        m->mark.first = cp_cell(&rows, 0, 0)->i + 1;
        m->mark.first_prev = cp_cell(&rows, 0, 1)->p;
    }

    return rc;
}


/* The hash of row seq - 1, "" before the first. */
static cp_rc_t
cp_checkpoint_before(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    int64_t seq, char hash[65])
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT prev_hash FROM audit"
                     " WHERE tenant = $1 AND seq = $2",
                     cp_args(cp_text(tenant), cp_int(seq)), &rows, &op->err);

    hash[0] = '\0';

    if (rc == CP_OK && rows.rows) {
        snprintf(hash, 65, "%s", cp_cell(&rows, 0, 0)->p);
    }

    return rc;
}


static cp_rc_t
cp_checkpoint_write(cp_op_t *op, cp_tx_t *tx, bool accept, cp_moved_t *moved,
    unsigned n, int64_t *number, const char **kept)
{
    cp_rc_t       rc;
    int64_t       now;
    unsigned      i, bad;
    cp_mark_t    *m;
    cp_last_t     last;
    const char   *why;

    /* one at a time: what is read here has to be of one moment */

    rc = cp_tx_query(tx, op->arena, "UPDATE audit_head SET mac = mac"
                     " WHERE tenant = ''", NULL, 0, NULL, &op->err);

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_checkpoints_last(op, tx, cp_sign_kept(op->arena), &last, &why);
    if (rc != CP_OK) {
        return rc;
    }

    if (why && !accept) {
        cp_checkpoint_broken(true);
        cp_log(CP_LOG_ERROR, "audit", "no checkpoint: %s", why);
        return cp_err_set(&op->err, "conflict", "%s: see what happened, then "
                          "make one with accept", why);
    }

    now = cp_time_ms();
    *number = last.number + 1;
    last.accepted = accept;

    if (accept) {
        rc = cp_tx_query(tx, op->arena, "DELETE FROM audit_mark", NULL, 0,
                         NULL, &op->err);
    }

    for (i = 0, bad = 0; i < n && rc == CP_OK; i++) {
        m = &moved[i].mark;

        if (!moved[i].good) {
            bad++;
            continue;
        }

        m->number = *number;
        m->at = now;
        m->signature = cp_sign(op->arena,
                               cp_mark_text(op->arena, moved[i].tenant, m));

        rc = m->signature == NULL ? CP_ERROR
             : cp_tx_query(tx, op->arena, "INSERT INTO audit_mark (tenant, "
                           CP_MARK_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6,"
                           " $7, $8) ON CONFLICT (tenant) DO UPDATE SET"
                           " number = excluded.number, at = excluded.at,"
                           " first_seq = excluded.first_seq,"
                           " first_prev = excluded.first_prev,"
                           " seq = excluded.seq, hash = excluded.hash,"
                           " signature = excluded.signature",
                           cp_args(cp_text(moved[i].tenant),
                                   cp_int(m->number), cp_int(m->at),
                                   cp_int(m->first), cp_text(m->first_prev),
                                   cp_int(m->seq), cp_text(m->hash),
                                   cp_text(m->signature)), NULL, &op->err);
    }

    cp_checkpoint_broken(bad > 0);

    if (rc == CP_OK && n == bad && !accept) {
        *number = last.number;
        return CP_OK;
    }

    return rc == CP_OK ? cp_checkpoints_add(op, tx, &last, *number, now, kept)
                       : rc;
}


static void
cp_checkpoint_broken(bool broken)
{
    cp_metric_set(cp_metric(CP_METRIC_GAUGE, "stoa_control_audit_broken", "",
                            "1: the audit log is not what was signed; see "
                            "stoactl audit verify."), broken);
}


/* Rows before the first one of their mark, a portion at a time. */
static cp_rc_t
cp_checkpoint_prune(cp_op_t *op)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    do {
        if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_tx_query(tx, op->arena, "SELECT tenant, oldest, first_seq"
                         " FROM (SELECT m.tenant, m.first_seq,"
                         " (SELECT MIN(a.seq) FROM audit a"
                         " WHERE a.tenant = m.tenant) AS oldest"
                         " FROM audit_mark m WHERE m.first_seq > 1) o"
                         " WHERE oldest < first_seq LIMIT 1",
                         NULL, 0, &rows, &op->err);
        cp_tx_rollback(tx);

        if (rc != CP_OK || rows.rows == 0) {
            return rc;
        }

        if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_tx_query(tx, op->arena, "DELETE FROM audit WHERE tenant = $1"
                         " AND seq < $2 AND seq < $3",
                         cp_args(*cp_cell(&rows, 0, 0),
                                 *cp_cell(&rows, 0, 2),
                                 cp_int(cp_cell(&rows, 0, 1)->i
                                        + CP_CHECKPOINT_PRUNE)),
                         NULL, &op->err);
        rc = cp_tx_finish(tx, rc, &op->err);

    } while (rc == CP_OK && !atomic_load(&op->app->stopping));

    return rc;
}


/* By when the last one was made, whoever made it. */
static cp_rc_t
cp_checkpoint_due(cp_op_t *op, int64_t *in_ms)
{
    cp_rc_t    rc;
    int64_t    at;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT COALESCE(MAX(at), 0)"
                     " FROM audit_checkpoint", NULL, 0, &rows, &op->err);
    cp_tx_rollback(tx);

    if (rc == CP_OK) {
        at = cp_cell(&rows, 0, 0)->i;
        *in_ms = at + op->app->conf.audit_checkpoint_s * 1000 - cp_time_ms();
    }

    return rc;
}


/* What is wrong is told by a metric and in the log, and not tried all day. */
cp_rc_t
cp_checkpoint_job(cp_app_t *app)
{
    cp_rc_t         rc;
    cp_op_t         op;
    int64_t         number, in_ms;
    cp_arena_t     *a;

    static int64_t  next;

    if (cp_time_mono_ms() < next) {
        return CP_OK;
    }

    a = cp_arena_create(CP_CHECKPOINT_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "audit");
    in_ms = 0;

    rc = cp_checkpoint_due(&op, &in_ms);

    if (rc == CP_OK && in_ms <= 0) {
        in_ms = app->conf.audit_checkpoint_s * 1000;
        rc = cp_checkpoint_make(&op, false, &number);
    }

    if (rc == CP_OK) {
        rc = cp_checkpoint_prune(&op);
    }

    if (rc == CP_OK || rc == CP_DECLINED) {
        next = cp_time_mono_ms() + in_ms;
    }

    cp_arena_destroy(a);

    return rc == CP_DECLINED ? CP_OK : rc;
}
