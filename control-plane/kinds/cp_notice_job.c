/*
 * What nobody does and people have to be told all the same: an end comes near,
 * a quota is nearly used up.
 */

#include <inttypes.h>
#include <string.h>

#include "feed/cp_quota.h"
#include "feed/cp_usage.h"
#include "kinds/cp_notice.h"


#define CP_REMIND_PORTION   200
#define CP_REMIND_PAST      "~"                /* behind every id            */
#define CP_REMIND_DAY_MS    INT64_C(86400000)
#define CP_NEAR_PER_CENT    80
#define CP_NEAR_ROWS        1000
#define CP_NEAR_SHARE       20       /* its rest, in its own lengths         */
#define CP_NEAR_LEAST_MS    1000
#define CP_TIDY_MS          600000
#define CP_NOTICE_OVER                                                        \
    "SELECT id FROM (SELECT id, created_at, ROW_NUMBER() OVER (PARTITION BY"  \
    " tenant ORDER BY id DESC) AS n FROM notices) x WHERE n > $1"             \
    " OR created_at < $2"


/* Each end is told of when it comes this near. */
static const int64_t  cp_remind_days[] = { 30, 7, 1, 0 };

/* $1, $2: ends after the one, up to the other, of what was made more than $4
 * before them: who makes a thing for an hour knows it.  $5: of those at $1 the
 * ones behind this key. */
static const struct {
    cp_notice_e   kind;
    const char   *about;
    const char   *sql;
} cp_reminds[] = {
    { CP_NOTICE_SUB_EXPIRING, "subscription",
      "SELECT s.id, s.tenant, s.expires_at, 'The subscription of ' || a.name"
      " || ' to ' || t.name || '/' || COALESCE(p.name, v.name)"
      " FROM subscriptions s JOIN applications a ON a.id = s.application"
      " JOIN tenants t ON t.id = s.target_tenant"
      " LEFT JOIN apis p ON p.id = s.api LEFT JOIN servers v"
      " ON v.id = s.server WHERE s.state IN ('active', 'suspended')"
      " AND s.expires_at IS NOT NULL AND s.expires_at >= $1"
      " AND (s.expires_at > $1 OR s.id > $5)"
      " AND s.expires_at <= $2 AND s.created_at <= s.expires_at - $4"
      " ORDER BY s.expires_at, s.id LIMIT $3" },
    { CP_NOTICE_KEY_EXPIRING, "credential",
      "SELECT c.id, c.tenant, c.expires_at, 'The key ' || c.prefix ||"
      " '... of ' || a.name FROM credentials c"
      " JOIN applications a ON a.id = c.application"
      " WHERE c.state IN ('active', 'rotating')"
      " AND c.expires_at IS NOT NULL AND c.expires_at >= $1"
      " AND (c.expires_at > $1 OR c.id > $5)"
      " AND c.expires_at <= $2 AND c.created_at <= c.expires_at - $4"
      " ORDER BY c.expires_at, c.id LIMIT $3" },
    { CP_NOTICE_API_ENDING, "api",
      "SELECT DISTINCT p.id || ':' || s.tenant AS k, s.tenant, p.sunset_at,"
      " 'The api ' || t.name || '/' || p.name FROM apis p"
      " JOIN subscriptions s ON s.api = p.id"
      " JOIN tenants t ON t.id = p.tenant WHERE p.state = 'deprecated'"
      " AND s.state IN ('active', 'suspended')"
      " AND p.sunset_at IS NOT NULL AND p.sunset_at >= $1"
      " AND (p.sunset_at > $1 OR p.id || ':' || s.tenant > $5)"
      " AND p.sunset_at <= $2 AND s.created_at <= p.sunset_at - $4"
      " ORDER BY p.sunset_at, k LIMIT $3" }
};

/* Of which zones are the plans with quotas that were used since $1? */
static const char  cp_near_zones_sql[] =
    "SELECT DISTINCT COALESCE(r.time_zone, '') FROM usage_minute m"
    " JOIN subscriptions q ON q.id = m.subscription"
    " JOIN plans r ON r.id = q.plan WHERE m.start_ms >= $1"
    " AND (r.quota_day > 0 OR r.quota_month > 0) ORDER BY 1 LIMIT $2";

/* What counts against a quota, of the subscriptions that were used since $5,
 * with plans of the zone $8, behind the id $9. */
static const char  cp_near_sql[] =
    "SELECT s.id, s.tenant, p.quota_day, p.quota_month,"
    " a.name || ' at ' || t.name || '/' || COALESCE(i.name, v.name),"
    " CAST(SUM(u.d) AS BIGINT), CAST(SUM(u.m) AS BIGINT) FROM ("
    CP_QUOTA_CALLS("u.subscription", "", "u.subscription IN"
                   " (SELECT m.subscription FROM usage_minute m"
                   " JOIN subscriptions q ON q.id = m.subscription"
                   " JOIN plans r ON r.id = q.plan WHERE m.start_ms >= $5"
                   " AND (r.quota_day > 0 OR r.quota_month > 0)"
                   " AND COALESCE(r.time_zone, '') = $8)") ") u"
    " JOIN subscriptions s ON s.id = u.subscription"
    " JOIN plans p ON p.id = s.plan JOIN applications a"
    " ON a.id = s.application JOIN tenants t ON t.id = s.target_tenant"
    " LEFT JOIN apis i ON i.id = s.api LEFT JOIN servers v"
    " ON v.id = s.server WHERE s.state = 'active' AND s.id > $9"
    " GROUP BY s.id, s.tenant, p.quota_day, p.quota_month, a.name, t.name,"
    " i.name, v.name"
    " HAVING (p.quota_day > 0 AND SUM(u.d) >= p.quota_day * $6 / 100)"
    " OR (p.quota_month > 0 AND SUM(u.m) >= p.quota_month * $6 / 100)"
    " ORDER BY s.id LIMIT $7";


/* The last one that this run has told of.  The mark knows instants alone: more
 * may end in one than go into a portion. */
typedef struct {
    int64_t  ms;                               /* 0: none                    */
    char     key[2 * STOA_ID_LEN + 2];         /* an id, or two              */
} cp_remind_at_t;


static cp_rc_t cp_remind(cp_app_t *app, unsigned what, unsigned span,
    cp_remind_at_t *at, bool *more);
static cp_rc_t cp_remind_rows(cp_op_t *op, cp_tx_t *tx, unsigned what,
    unsigned span, bool look, cp_remind_at_t *at, bool *more);
static cp_rc_t cp_near(cp_app_t *app, int64_t since);
static cp_rc_t cp_near_zone(cp_app_t *app, const char *zone, int64_t since,
    char *after, bool *more);
static cp_rc_t cp_near_row(cp_op_t *op, cp_tx_t *tx, const cp_val_t *row,
    const cp_quota_windows_t *w);
static cp_rc_t cp_notice_tidy(cp_app_t *app);


cp_rc_t
cp_notice_job(cp_app_t *app)
{
    bool             more;
    size_t           i, k;
    cp_rc_t          rc;
    int64_t          now, begin;
    cp_remind_at_t   at;
    static int64_t   next_near, next_tidy, looked;   /* the job's thread's */

    for (i = 0; i < sizeof(cp_reminds) / sizeof(cp_reminds[0]); i++) {
        for (k = 0; cp_remind_days[k]; k++) {
            at.ms = 0;

            do {
                rc = cp_remind(app, (unsigned) i, (unsigned) k, &at, &more);
            } while (rc == CP_OK && more && !atomic_load(&app->stopping));

            if (rc != CP_OK) {
                return rc;
            }
        }
    }

    begin = cp_time_mono_ms();

    if (begin >= next_near) {
        now = cp_time_ms();

        /* gateways report some minutes late at most */

        rc = cp_near(app, looked - 10 * CP_USAGE_MINUTE_MS);
        looked = rc == CP_OK ? now : looked;
        now = cp_time_mono_ms();
        next_near = now + CP_NEAR_LEAST_MS + CP_NEAR_SHARE * (now - begin);
    }

    if (rc == CP_OK && begin >= next_tidy) {
        rc = cp_notice_tidy(app);
        next_tidy = begin + CP_TIDY_MS;
    }

    return rc;
}


/* A job's transaction, and what it needs. */
static cp_rc_t
cp_notice_open(cp_app_t *app, cp_op_t *op, bool write, cp_tx_t **tx)
{
    cp_arena_t  *a;

    a = cp_arena_create(16 * 1024 * 1024);

    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(op, app, a, "notices");

    if (cp_tx_open(app->db, write, tx, &op->err) != CP_OK) {
        cp_arena_destroy(a);
        return CP_ERROR;
    }

    return CP_OK;
}


static cp_rc_t
cp_notice_close(cp_op_t *op, cp_tx_t *tx, cp_rc_t rc)
{
    rc = cp_tx_finish(tx, rc, &op->err);
    cp_arena_destroy(op->arena);

    return rc;
}


/*
 * The ends that have come near since the last look: the mark says up to when
 * they were told of, so that a look reads only what is new.  A look that would
 * find nothing writes nothing.
 */
static cp_rc_t
cp_remind(cp_app_t *app, unsigned what, unsigned span, cp_remind_at_t *at,
    bool *more)
{
    bool        write;
    cp_rc_t     rc;
    cp_op_t     op;
    cp_tx_t    *tx;

    *more = true;
    rc = CP_OK;

    for (write = false; rc == CP_OK && *more; write = true) {

        rc = cp_notice_open(app, &op, write, &tx);
        if (rc != CP_OK) {
            return rc;
        }

        if (!write) {
            rc = cp_remind_rows(&op, tx, what, span, true, at, more);
            cp_tx_rollback(tx);
            cp_arena_destroy(op.arena);
            continue;
        }

        rc = cp_remind_rows(&op, tx, what, span, false, at, more);

        return cp_notice_close(&op, tx, rc);
    }

    return rc;
}


/* Up to when they were told of.  first: what a new mark says; 0: none is made,
 * else the row is locked: another process waits, and finds it moved. */
static cp_rc_t
cp_remind_mark(cp_op_t *op, cp_tx_t *tx, const char *name, int64_t first,
    int64_t *upto)
{
    cp_rc_t    rc;
    cp_rows_t  mark;

    rc = first == 0 ? CP_OK
         : cp_tx_query(tx, op->arena, "INSERT INTO notice_marks (name,"
                       " upto_ms) VALUES ($1, $2) ON CONFLICT (name) DO"
                       " UPDATE SET upto_ms = notice_marks.upto_ms",
                       cp_args(cp_text(name), cp_int(first)), NULL,
                       &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "SELECT upto_ms FROM notice_marks"
                         " WHERE name = $1", cp_args(cp_text(name)), &mark,
                         &op->err);
    }

    if (rc == CP_OK) {
        *upto = mark.rows ? cp_cell(&mark, 0, 0)->i : 0;
    }

    return rc;
}


/* look: nothing is written, *more: there are some. */
static cp_rc_t
cp_remind_rows(cp_op_t *op, cp_tx_t *tx, unsigned what, unsigned span,
    bool look, cp_remind_at_t *at, bool *more)
{
    cp_rc_t       rc;
    bool          on;
    int64_t       now, from, upto, days, least;
    unsigned      i;
    cp_rows_t     rows;
    cp_arena_t   *a = op->arena;
    const char   *name, *key;
    cp_notice_t   n = { .kind = cp_reminds[what].kind,
                        .about = cp_reminds[what].about };

    key = "";
    now = cp_time_ms();
    days = cp_remind_days[span];
    upto = now + days * CP_REMIND_DAY_MS;
    name = cp_arena_printf(a, "%s:%" PRId64, n.about, days);

    rc = cp_remind_mark(op, tx, name, look ? 0 : now, &from);
    if (rc != CP_OK) {
        return rc;
    }

    /* what is nearer than the next span is told of by that */

    least = now + cp_remind_days[span + 1] * CP_REMIND_DAY_MS;
    from = from > least ? from : least;
    on = at->ms > from;
    from = on ? at->ms : from;

    rc = cp_tx_query(tx, a, cp_reminds[what].sql,
                     cp_args(cp_int(from), cp_int(upto),
                             cp_int(look ? 1 : CP_REMIND_PORTION),
                             cp_int(days * CP_REMIND_DAY_MS),
                             cp_text(on ? at->key : CP_REMIND_PAST)), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    *more = look ? rows.rows != 0 || on : rows.rows == CP_REMIND_PORTION;

    for (i = 0; !look && i < rows.rows; i++) {
        key = cp_cell(&rows, i, 0)->p;
        n.id = cp_arena_strndup(a, key, strcspn(key, ":"));
        n.tenant = cp_cell(&rows, i, 1)->p;
        from = cp_cell(&rows, i, 2)->i;
        n.once = cp_arena_printf(a, "end:%s:%" PRId64 ":%" PRId64, key, from,
                                 days);
        n.text = cp_arena_printf(a, "%s ends at %s.",
                                 cp_cell(&rows, i, 3)->p,
                                 cp_time_format(a, from));

        rc = cp_notice_add(op, tx, &n);
        if (rc != CP_OK) {
            return rc;
        }
    }

    if (look || (rows.rows == 0 && !on)) {
        return CP_OK;
    }

    /* of those that end in one instant a portion may leave some: they are
     * next, or, by the mark and `once`, another process's */

    if (rows.rows) {
        at->ms = from;
        (void) snprintf(at->key, sizeof(at->key), "%s", key);
    }

    return cp_tx_query(tx, a, "UPDATE notice_marks SET upto_ms = $2"
                       " WHERE name = $1",
                       cp_args(cp_text(name),
                               cp_int(*more ? from - 1 : from)), NULL,
                       &op->err);
}


static cp_rc_t
cp_near(cp_app_t *app, int64_t since)
{
    bool        more;
    char        after[STOA_ID_LEN + 1];
    cp_rc_t     rc;
    cp_op_t     op;
    cp_tx_t    *tx;
    unsigned    i;
    cp_rows_t   zones;

    rc = cp_notice_open(app, &op, false, &tx);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, op.arena, cp_near_zones_sql,
                     cp_args(cp_int(since), cp_int(CP_NEAR_ROWS)), &zones,
                     &op.err);
    cp_tx_rollback(tx);

    for (i = 0; rc == CP_OK && i < zones.rows; i++) {
        after[0] = '\0';

        do {
            rc = cp_near_zone(app, cp_cell(&zones, i, 0)->p, since, after,
                              &more);
        } while (rc == CP_OK && more && !atomic_load(&app->stopping));
    }

    cp_arena_destroy(op.arena);

    return rc;
}


/* after: the last id, which it says anew. */
static cp_rc_t
cp_near_zone(cp_app_t *app, const char *zone, int64_t since, char *after,
    bool *more)
{
    cp_rc_t              rc;
    cp_op_t              op;
    cp_tx_t             *tx;
    unsigned             i;
    cp_rows_t            rows;
    cp_quota_windows_t   w;

    rc = cp_notice_open(app, &op, false, &tx);
    if (rc != CP_OK) {
        return rc;
    }

    cp_quota_began(op.arena, zone, cp_time_ms(), &w);
    since = since > w.month.begin_ms ? since : w.month.begin_ms;

    rc = cp_tx_query(tx, op.arena, cp_near_sql,
                     cp_args(cp_quota_args(&w), cp_int(since),
                             cp_int(CP_NEAR_PER_CENT), cp_int(CP_NEAR_ROWS),
                             cp_text(zone), cp_text(after)), &rows, &op.err);
    cp_tx_rollback(tx);

    *more = rc == CP_OK && rows.rows == CP_NEAR_ROWS;

    if (rc != CP_OK || rows.rows == 0) {
        cp_arena_destroy(op.arena);
        return rc;
    }

    rc = cp_tx_open(app->db, true, &tx, &op.err);

    if (rc == CP_OK) {
        for (i = 0; i < rows.rows && rc == CP_OK; i++) {
            rc = cp_near_row(&op, tx, cp_cell(&rows, i, 0), &w);
        }

        rc = cp_tx_finish(tx, rc, &op.err);
    }

    (void) snprintf(after, STOA_ID_LEN + 1, "%s",
                    cp_cell(&rows, rows.rows - 1, 0)->p);
    cp_arena_destroy(op.arena);

    return rc;
}


static cp_rc_t
cp_near_row(cp_op_t *op, cp_tx_t *tx, const cp_val_t *row,
    const cp_quota_windows_t *w)
{
    cp_rc_t       rc;
    unsigned      k;
    cp_arena_t   *a = op->arena;
    const char   *span[] = { "day", "month" };
    int64_t       from[] = { w->day.begin_ms, w->month.begin_ms };
    cp_notice_t   n = { .kind = CP_NOTICE_NEAR_LIMIT, .id = row[0].p,
                        .about = "subscription", .tenant = row[1].p };

    for (k = 0, rc = CP_OK; k < 2 && rc == CP_OK; k++) {
        if (row[2 + k].i == 0
            || row[5 + k].i < row[2 + k].i * CP_NEAR_PER_CENT / 100)
        {
            continue;
        }

        n.once = cp_arena_printf(a, "near:%s:%s:%" PRId64, n.id, span[k],
                                 from[k]);
        n.text = cp_arena_printf(a, "%s has used %" PRId64 " of the %" PRId64
                                 " requests of this %s.", row[4].p,
                                 row[5 + k].i, row[2 + k].i, span[k]);
        rc = cp_notice_add(op, tx, &n);
    }

    return rc;
}


/* The marks of what is read go with it. */
static cp_rc_t
cp_notice_tidy(cp_app_t *app)
{
    size_t       i;
    cp_rc_t      rc;
    cp_op_t      op;
    cp_tx_t     *tx;

    static const char *const  sql[] = {
        "DELETE FROM notice_reads WHERE notice IN (" CP_NOTICE_OVER ")",
        "DELETE FROM notices WHERE id IN (" CP_NOTICE_OVER ")"
    };

    rc = cp_notice_open(app, &op, true, &tx);
    if (rc != CP_OK) {
        return rc;
    }

    for (i = 0; rc == CP_OK && i < sizeof(sql) / sizeof(sql[0]); i++) {
        rc = cp_tx_query(tx, op.arena, sql[i],
                         cp_args(cp_int(CP_NOTICE_KEEP),
                                 cp_int(cp_time_ms() - CP_NOTICE_KEEP_MS)),
                         NULL, &op.err);
    }

    return cp_notice_close(&op, tx, rc);
}
