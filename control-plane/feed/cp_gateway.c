/*
 * What gateways say about themselves, and what is derived from it.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "feed/cp_feed.h"


#define CP_GATEWAY_DOUBTS    256
#define CP_GATEWAY_DOUBT_MS  600000


typedef struct {
    char     id[STOA_ID_LEN + 1];
    bool     due;                  /* not told yet                          */
    int64_t  since;                /* monotonic ms, 0: the row is free      */
} cp_doubt_t;

static struct {
    pthread_mutex_t  lock;
    cp_doubt_t       row[CP_GATEWAY_DOUBTS];
} cp_doubts = { .lock = PTHREAD_MUTEX_INITIALIZER };

typedef struct {
    cp_feed_head_t  head;
    int64_t         verdict;       /* column of gateway_status              */
    const char     *rejected;      /* JSON                                  */
    const char     *targets;       /* JSON                                  */
} cp_status_t;


static cp_rc_t cp_status_rejected(cp_op_t *op, const cp_json_t *in,
    cp_json_t *all);
static cp_rc_t cp_status_withheld(cp_op_t *op, cp_tx_t *tx, cp_json_t *all);
static void cp_status_refused(cp_op_t *op, cp_json_t *all, const char *key,
    int64_t rev, const char *error);
static cp_rc_t cp_status_judge(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in,
    cp_status_t *st);
static cp_rc_t cp_status_store(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in,
    const cp_status_t *st);
static bool cp_gateway_doubt(const char *id);
static cp_rc_t cp_gateway_sync(cp_tx_t *tx, cp_arena_t *a,
    const cp_rows_t *st, const char **sync, cp_err_t *err);


const cp_report_field_t  cp_status_fields[] = {
    { "epoch",       CP_REPORT_TEXT,  true,  CP_FEED_EPOCH_LEN },
    { "rev",         CP_REPORT_INT,   true,  INT64_MAX },
    { "digest",      CP_REPORT_HEX,   true,  32 },
    { "version",     CP_REPORT_TEXT,  false, 64 },
    { "nginx",       CP_REPORT_TEXT,  false, 64 },
    { "uptime_s",    CP_REPORT_INT,   false, INT64_MAX },
    { "workers",     CP_REPORT_INT,   false, INT32_MAX },
    { "pid",         CP_REPORT_INT,   false, INT32_MAX },
    { "rejected",    CP_REPORT_ARRAY, false, CP_REJECTED_MAX },
    { "requests",    CP_REPORT_INT,   false, INT64_MAX },
    { "connections", CP_REPORT_INT,   false, INT64_MAX },
    { "store_bytes", CP_REPORT_INT,   false, INT64_MAX },
    { "feed_age_ms", CP_REPORT_INT,   false, INT64_MAX },
    { "sync_state",  CP_REPORT_CODE,  false, 32 },
    { "sync_error",  CP_REPORT_TEXT,  false, 1024 },
    { "policies",    CP_REPORT_TEXT,  false, 2048 },
    { "targets",     CP_REPORT_ARRAY, false, CP_TARGETS_MAX },
    { "limits",      CP_REPORT_CODE,  false, 16 },
    { NULL, CP_REPORT_INT, false, 0 }
};

const cp_report_field_t  cp_rejected_fields[] = {
    { "key",   CP_REPORT_TEXT, true,  512 },
    { "rev",   CP_REPORT_INT,  true,  INT64_MAX },
    { "error", CP_REPORT_TEXT, false, 1024 },
    { NULL, CP_REPORT_INT, false, 0 }
};


cp_rc_t
cp_gateway_report(cp_op_t *op, const cp_json_t *in, bool judged, int64_t *rev,
    bool *news)
{
    cp_rc_t       rc;
    cp_tx_t      *tx;
    cp_json_t    *all;
    cp_status_t   st;

    all = cp_json_array(op->arena);
    rc = cp_report_check(in, cp_status_fields, "", &op->err);

    if (rc == CP_OK) {
        rc = cp_status_rejected(op, in, all);
    }

    if (rc == CP_OK) {
        rc = cp_gateway_targets_take(op, in, &st.targets);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = judged ? CP_OK : cp_status_withheld(op, tx, all);
    st.rejected = cp_json_text(op->arena, all, NULL);

    if (rc == CP_OK) {
        rc = st.rejected ? cp_status_judge(op, tx, in, &st)
             : cp_err_set(&op->err, "internal", "out of memory");
    }

    if (rc == CP_OK) {
        rc = cp_status_store(op, tx, in, &st);
    }

    rc = cp_tx_finish(tx, rc, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (st.verdict == 1) {
        (void) cp_gateway_doubted(op->actor.id);
    }

    *rev = st.head.rev;
    *news = st.verdict == 0 && strcmp(st.rejected, "[]") == 0
            && cp_gateway_doubt(op->actor.id);

    return CP_OK;
}


/* False: it was told lately, or too many others were. */
static bool
cp_gateway_doubt(const char *id)
{
    bool         taken;
    int64_t      now;
    cp_doubt_t  *d;

    now = cp_time_mono_ms();
    d = &cp_doubts.row[stoa_hash64(id, strlen(id), 0) % CP_GATEWAY_DOUBTS];

    pthread_mutex_lock(&cp_doubts.lock);

    taken = d->since == 0 || now - d->since > CP_GATEWAY_DOUBT_MS;

    if (taken) {
        snprintf(d->id, sizeof(d->id), "%s", id);
        d->since = now;
        d->due = true;
    }

    pthread_mutex_unlock(&cp_doubts.lock);

    if (taken) {
        cp_log(CP_LOG_WARN, "feed", "what a gateway has is not what it should"
               " have: it has to start over gateway:%s", id);
    }

    return taken;
}


bool
cp_gateway_doubted(const char *id)
{
    bool         due;
    cp_doubt_t  *d;

    d = &cp_doubts.row[stoa_hash64(id, strlen(id), 0) % CP_GATEWAY_DOUBTS];

    pthread_mutex_lock(&cp_doubts.lock);

    due = d->due && strcmp(d->id, id) == 0;

    if (due) {
        d->due = false;
    }

    pthread_mutex_unlock(&cp_doubts.lock);

    return due;
}


/* Keeps of each rejected record what the table knows, and nothing else. */
static cp_rc_t
cp_status_rejected(cp_op_t *op, const cp_json_t *in, cp_json_t *all)
{
    char        at[32];
    cp_rc_t     rc;
    unsigned    i;
    cp_json_t  *item, *list;

    list = cp_json_get(in, "rejected");
    item = list ? list->first : NULL;

    for (i = 0; item; item = item->next, i++) {
        snprintf(at, sizeof(at), "rejected[%u].", i);

        rc = cp_report_check(item, cp_rejected_fields, at, &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        cp_status_refused(op, all, cp_json_str(item, "key"),
                          cp_json_num(item, "rev", 0),
                          cp_report_text(item, "error"));
    }

    return CP_OK;
}


/* What cp_feed_requires() holds back; of these kinds nothing else is sealed.
 * Those that have no policies are many, and not looked into. */
static cp_rc_t
cp_status_withheld(cp_op_t *op, cp_tx_t *tx, cp_json_t *all)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT key, rev FROM feed"
                     " WHERE deleted = 0 AND (group_ids IS NULL"
                     " OR group_ids LIKE $1)"
                     " AND kind IN ('api', 'application', 'group', 'plan',"
                     " 'server', 'tenant')"
                     " AND (body LIKE '%\"requires\":[%'"
                     " OR body NOT LIKE '{%') ORDER BY rev LIMIT $2",
                     cp_args(cp_text(cp_arena_printf(op->arena, "%%,%.16s,%%",
                                                     op->actor.group
                                                     ? op->actor.group : "")),
                             cp_int(CP_REJECTED_MAX - all->n)),
                     &rows, &op->err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        cp_status_refused(op, all, cp_cell(&rows, i, 0)->p,
                          cp_cell(&rows, i, 1)->i,
                          "this gateway's version knows no policies");
    }

    return rc;
}


static void
cp_status_refused(cp_op_t *op, cp_json_t *all, const char *key, int64_t rev,
    const char *error)
{
    cp_json_t  *item;

    item = cp_json_object(op->arena);
    cp_json_put(op->arena, item, "key", key);
    cp_json_put_int(op->arena, item, "rev", rev);
    cp_json_put(op->arena, item, "error", error);
    cp_json_push(all, item);
}


bool
cp_feed_judged(const char *contract)
{
    return contract && strcmp(contract, "2") == 0;
}


bool
cp_feed_requires(const char *kind, const char *body)
{
    return strcmp(kind, "tool") != 0
           && strstr(body, "\"requires\":[") != NULL;
}


/* The digest can be compared only at the head: the feed keeps no past.  Each
 * statement sees what is committed by then, so the head is looked at again. */
static cp_rc_t
cp_status_judge(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in,
    cp_status_t *st)
{
    cp_rc_t           rc;
    int64_t           live;
    cp_feed_head_t    again;
    cp_feed_digest_t  d;

    rc = cp_feed_head(tx, op->arena, &st->head, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    st->verdict = -1;

    if (strcmp(cp_json_str(in, "epoch"), st->head.epoch) != 0
        || cp_json_num(in, "rev", 0) != st->head.rev)
    {
        return CP_OK;
    }

    rc = cp_feed_digest_of(tx, op->arena, op->actor.group, &d, &live,
                           &op->err);

    if (rc == CP_OK) {
        rc = cp_feed_head(tx, op->arena, &again, &op->err);
    }

    if (rc != CP_OK || again.rev != st->head.rev) {
        return rc;
    }

    st->verdict = strcmp(cp_json_str(in, "digest"),
                         cp_feed_digest_hex(op->arena, &d)) == 0;

    return CP_OK;
}


static cp_rc_t
cp_status_store(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in,
    const cp_status_t *st)
{
    return cp_tx_query(tx, op->arena,
        "INSERT INTO gateway_status (gateway, group_id, last_seen, epoch, rev,"
        " digest, verdict, version, nginx, uptime_s, workers, pid, rejected,"
        " requests, connections, store_bytes, feed_age_ms, sync_state,"
        " sync_error, policies, targets, limits)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7,"
        " $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,"
        " $22)"
        " ON CONFLICT (gateway) DO UPDATE SET group_id = excluded.group_id,"
        " last_seen = excluded.last_seen, epoch = excluded.epoch,"
        " rev = excluded.rev, digest = excluded.digest,"
        " verdict = excluded.verdict, version = excluded.version,"
        " nginx = excluded.nginx, uptime_s = excluded.uptime_s,"
        " workers = excluded.workers, pid = excluded.pid,"
        " rejected = excluded.rejected, requests = excluded.requests,"
        " connections = excluded.connections,"
        " store_bytes = excluded.store_bytes,"
        " feed_age_ms = excluded.feed_age_ms,"
        " sync_state = excluded.sync_state,"
        " sync_error = excluded.sync_error,"
        " policies = excluded.policies, targets = excluded.targets,"
        " limits = excluded.limits",
        cp_args(cp_text(op->actor.id),
                cp_text(op->actor.group ? op->actor.group : ""),
                cp_int(cp_time_ms()),
                cp_text(cp_report_text(in, "epoch")),
                cp_int(cp_json_num(in, "rev", 0)),
                cp_text(cp_report_text(in, "digest")),
                cp_int(st->verdict),
                cp_text(cp_report_text(in, "version")),
                cp_text(cp_report_text(in, "nginx")),
                cp_int(cp_json_num(in, "uptime_s", 0)),
                cp_int(cp_json_num(in, "workers", 0)),
                cp_int(cp_json_num(in, "pid", 0)),
                cp_text(st->rejected),
                cp_int(cp_json_num(in, "requests", 0)),
                cp_int(cp_json_num(in, "connections", 0)),
                cp_int(cp_json_num(in, "store_bytes", 0)),
                cp_int(cp_json_num(in, "feed_age_ms", 0)),
                cp_text(cp_report_text(in, "sync_state")),
                cp_text(cp_report_text(in, "sync_error")),
                cp_text(cp_report_text(in, "policies")),
                cp_text(st->targets),
                cp_text(cp_report_text(in, "limits"))),
        NULL, &op->err);
}


/* " name:version ..." of it; is there this one, or a younger? */
static bool
cp_gateway_knows(const char *list, const char *type, unsigned version)
{
    size_t       n, len;
    const char  *p;

    len = strlen(type);

    for (p = list; *p; p += n + strspn(p + n, " ")) {
        n = strcspn(p, " ");

        if (n > len + 1 && memcmp(p, type, len) == 0 && p[len] == ':') {
            return strtoul(p + len + 1, NULL, 10) >= version;
        }
    }

    return false;
}


cp_rc_t
cp_gateway_lacking(cp_tx_t *tx, cp_arena_t *a, const char *type,
    unsigned version, unsigned *n, const char **names, cp_err_t *err)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    *n = 0;
    *names = "";

    rc = cp_tx_query(tx, a, "SELECT g.name, s.policies FROM gateway_status s"
                     " JOIN gateways g ON g.id = s.gateway"
                     " WHERE s.policies <> '' AND s.last_seen > $1"
                     " ORDER BY g.name",
                     cp_args(cp_int(cp_time_ms() - CP_GATEWAY_STALE_MS)),
                     &rows, err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        if (cp_gateway_knows(cp_cell(&rows, i, 1)->p, type, version)) {
            continue;
        }

        if (++*n <= CP_GATEWAY_NAMED) {
            *names = cp_arena_printf(a, "%s%s\"%s\"", *names,
                                     **names ? ", " : "",
                                     cp_cell(&rows, i, 0)->p);
        }
    }

    return rc;
}


cp_rc_t
cp_gateway_limits(cp_tx_t *tx, cp_arena_t *a, const char **how, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, a, "SELECT count(*), coalesce(sum(CASE WHEN limits ="
                     " 'shared' THEN 1 ELSE 0 END), 0) FROM gateway_status"
                     " WHERE last_seen > $1",
                     cp_args(cp_int(cp_time_ms() - CP_GATEWAY_STALE_MS)),
                     &rows, err);

    if (rc == CP_OK) {
        *how = cp_cell(&rows, 0, 1)->i == 0 ? "per node"
               : cp_cell(&rows, 0, 1)->i == cp_cell(&rows, 0, 0)->i
               ? "shared" : "shared by some gateways";
    }

    return rc;
}


const char *
cp_gateway_state(int64_t last_seen, int64_t now)
{
    if (last_seen == 0 || now - last_seen > CP_GATEWAY_STALE_MS) {
        return "offline";
    }

    return now - last_seen > CP_GATEWAY_ONLINE_MS ? "stale" : "online";
}


/* Of gateways that do not tell there is nothing. */
static void
cp_gateway_why(cp_arena_t *a, cp_json_t *obj, const cp_rows_t *st)
{
    if (cp_cell(st, 0, 8)->len) {
        cp_json_put(a, obj, "sync_state", cp_cell(st, 0, 8)->p);
    }

    if (cp_cell(st, 0, 9)->len) {
        cp_json_put(a, obj, "sync_error", cp_cell(st, 0, 9)->p);
    }

    if (cp_cell(st, 0, 10)->len) {
        cp_json_put(a, obj, "policies", cp_cell(st, 0, 10)->p);
    }

    if (cp_cell(st, 0, 12)->len) {
        cp_json_put(a, obj, "limits", cp_cell(st, 0, 12)->p);
    }
}


cp_rc_t
cp_gateway_decorate(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
    cp_err_t *err)
{
    cp_rc_t      rc;
    int64_t      seen;
    cp_rows_t    st;
    cp_json_t   *rejected;
    const char  *sync;

    rc = cp_tx_query(tx, a, "SELECT last_seen, version, rev, digest,"
                     " rejected, epoch, verdict, group_id, sync_state,"
                     " sync_error, policies, targets, limits"
                     " FROM gateway_status"
                     " WHERE gateway = $1",
                     cp_args(cp_text(cp_report_text(obj, "id"))), &st, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (st.rows == 0) {
        cp_json_put(a, obj, "state", "offline");
        cp_json_put(a, obj, "sync", "never");
        return CP_OK;
    }

    rc = cp_gateway_sync(tx, a, &st, &sync, err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_json_parse(a, cp_cell(&st, 0, 4)->p, cp_cell(&st, 0, 4)->len,
                       &rejected, err);
    if (rc != CP_OK) {
        return rc;
    }

    seen = cp_cell(&st, 0, 0)->i;

    cp_json_put(a, obj, "state", cp_gateway_state(seen, cp_time_ms()));
    cp_json_put(a, obj, "last_seen", cp_time_format(a, seen));
    cp_json_put(a, obj, "version", cp_cell(&st, 0, 1)->p);
    cp_json_put_int(a, obj, "rev", cp_cell(&st, 0, 2)->i);
    cp_json_put(a, obj, "digest", cp_cell(&st, 0, 3)->p);
    cp_json_put(a, obj, "sync", sync);
    cp_gateway_why(a, obj, &st);
    cp_json_set(a, obj, "rejected", rejected);

    return cp_gateway_targets_show(tx, a, cp_cell(&st, 0, 11)->p,
                                   cp_cell(&st, 0, 11)->len, obj, err);
}


/*
 * At the head its digest is compared with what it should be now; behind it,
 * with what was found when it was at the head.
 */
static cp_rc_t
cp_gateway_sync(cp_tx_t *tx, cp_arena_t *a, const cp_rows_t *st,
    const char **sync, cp_err_t *err)
{
    cp_rc_t           rc;
    int64_t           live, rev;
    cp_feed_head_t    head;
    cp_feed_digest_t  d;

    rc = cp_feed_head(tx, a, &head, err);
    if (rc != CP_OK) {
        return rc;
    }

    rev = cp_cell(st, 0, 2)->i;
    *sync = "behind";

    if (strcmp(cp_cell(st, 0, 5)->p, head.epoch) != 0) {
        return CP_OK;
    }

    if (rev != head.rev) {
        if (rev > head.rev || cp_cell(st, 0, 6)->i == 0) {
            *sync = "drifted";
        }

        return CP_OK;
    }

    rc = cp_feed_digest_of(tx, a, cp_cell(st, 0, 7)->p, &d, &live, err);
    if (rc != CP_OK) {
        return rc;
    }

    *sync = strcmp(cp_feed_digest_hex(a, &d), cp_cell(st, 0, 3)->p) == 0
            ? "in-sync" : "drifted";

    return CP_OK;
}
