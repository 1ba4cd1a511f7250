/*
 * GET /gateway/v1/feed: the rows after a revision, as NDJSON.
 *
 * A small answer is written at once.  A large one is streamed, a page of rows
 * at a time, each page from a statement of its own, so that a slow gateway
 * holds no transaction.  Rows only ever move forward in the log: what changes
 * behind the place where a stream is comes again before its end, and the last
 * page is the one that reaches the head of its own snapshot.  So the gateway
 * has exactly the table of the revision in the closing line.
 * Memory: a page, about CP_FEED_PAGE_BYTES.
 */

#include <inttypes.h>
#include <string.h>

#include "op/cp_app.h"
#include "base/cp_metrics.h"
#include "base/cp_seal.h"
#include "feed/cp_feed.h"
#include "rest/cp_rest.h"
#include "http/cp_query.h"


#define CP_FEED_PAGE_FIRST  100             /* rows                          */
#define CP_FEED_PAGE_MAX    2000
#define CP_FEED_PAGE_BYTES  (128 * 1024)
#define CP_FEED_PAGE_ARENA  ((size_t) 512 * 1024 * 1024)


typedef struct {
    cp_db_t     *db;
    cp_arena_t  *arena;                     /* the request's                 */
    const char  *first;                     /* of the answer; NULL: sent     */
    size_t       first_len;
    int64_t      last;                      /* revision of the last row sent */
    int64_t      live_until;                /* no tombstones up to here      */
    int64_t      head;                      /* of the last page              */
    int64_t      limit;                     /* rows of the next page         */
    bool         done;
    bool         judged;                    /* cp_feed_judged()              */
    bool         nothing;                   /* is served to it               */
    char         pattern[STOA_ID_LEN + 5];  /* "%,group,%"                   */
} cp_feed_stream_t;

typedef struct {
    int64_t      since;
    int64_t      deadline;                  /* monotonic ms                  */
    const char  *epoch;
    bool         judged;
    bool         nothing;                   /* cp_feed_old()                 */
} cp_feed_ask_t;


static cp_rc_t cp_feed_get(cp_req_t *r);
static cp_rc_t cp_feed_ask(cp_req_t *r, cp_feed_ask_t **ask);
static cp_rc_t cp_feed_resume(cp_req_t *r);
static cp_rc_t cp_feed_old(cp_req_t *r, cp_tx_t *tx, cp_feed_ask_t *ask);
static cp_rc_t cp_feed_check(cp_req_t *r, const cp_feed_ask_t *ask,
    const cp_feed_head_t *head);
static cp_rc_t cp_feed_answer(cp_req_t *r, const cp_feed_ask_t *ask,
    const cp_feed_head_t *head);
static void cp_feed_counted(const char *labels);
static cp_rc_t cp_feed_page(cp_feed_stream_t *fs, stoa_buf_t *out,
    cp_err_t *err);
static cp_rc_t cp_feed_rows(cp_feed_stream_t *fs, cp_arena_t *a,
    cp_rows_t *rows, cp_err_t *err);
static void cp_feed_line(const cp_feed_stream_t *fs, cp_arena_t *a,
    stoa_buf_t *b, const cp_val_t *row);
static cp_rc_t cp_feed_fill(void *ctx, stoa_buf_t *out, bool *done);


/*
 * $1 last, $2 the group's pattern, $3 live_until, $4 rows.  One statement, so
 * that the head and the rows are of one snapshot on either database.  A row of
 * another group has no body here and goes out as a tombstone; up to
 * live_until the gateway has nothing that a tombstone could remove.
 */

#define CP_FEED_MINE                                                          \
    "deleted = 0 AND (group_ids IS NULL OR group_ids LIKE $2)"

static const char  cp_feed_sql[] =
    "SELECT f.key, f.rev, f.kind, f.body, h.rev, h.oldest"
    " FROM feed_head h LEFT JOIN"
    " (SELECT key, rev, kind,"
    " CASE WHEN " CP_FEED_MINE " THEN body END AS body"
    " FROM feed WHERE rev > $1 AND (rev > $3 OR (" CP_FEED_MINE "))"
    " ORDER BY rev LIMIT $4) f ON 1 = 1"
    " WHERE h.one = 1 ORDER BY f.rev";


const cp_route_t  cp_feed_routes[] = {

    { "GET", "/gateway/v1/feed", CP_AUTH_GATEWAY, NULL, cp_feed_get, NULL,
      "The records after a revision, as NDJSON", "since epoch group wait" },

    { "POST", "/gateway/v1/status", CP_AUTH_GATEWAY, NULL, cp_gateway_status,
      NULL, "What a gateway has and how it is", NULL },

    { "POST", "/gateway/v1/usage", CP_AUTH_GATEWAY, NULL, cp_usage_post, NULL,
      "A batch of counts, taken once", NULL },

    { "POST", "/gateway/v1/news", CP_AUTH_GATEWAY, NULL, cp_news_post, NULL,
      "What a gateway refused, a batch a minute, taken once", NULL },

    { "POST", "/gateway/v1/approvals", CP_AUTH_GATEWAY, NULL,
      cp_approval_post, NULL, "May a call of a tool pass?", NULL },

    { "GET", "/v1/tenants/{tenant}/usage", CP_AUTH_ADMIN, "usage:read",
      cp_usage_get, NULL, "Usage of a tenant's applications and apis",
      CP_USAGE_QUERY_NAMES },
    { "GET", "/v1/usage", CP_AUTH_ADMIN, "usage:read",
      cp_usage_get, NULL, "Usage of all tenants that the token sees",
      CP_USAGE_QUERY_NAMES " tenant" },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_feed_get(cp_req_t *r)
{
    cp_rc_t         rc;
    cp_feed_ask_t  *ask;

    ask = NULL;
    rc = cp_feed_ask(r, &ask);
    if (rc != CP_OK) {
        return rc;
    }

    r->ctx = ask;

    return cp_feed_resume(r);
}


static cp_rc_t
cp_feed_ask(cp_req_t *r, cp_feed_ask_t **ask)
{
    cp_rc_t         rc;
    int64_t         wait;
    cp_feed_ask_t  *q;

    q = cp_arena_alloc(r->op.arena, sizeof(cp_feed_ask_t));
    if (q == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    wait = 0;
    q->nothing = false;
    q->judged = cp_feed_judged(cp_req_header(r, CP_FEED_CONTRACT_HEADER));

    rc = cp_query_int(r, "since", 0, INT64_MAX, &q->since);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_query_int(r, "wait", 0, CP_FEED_WAIT_MAX_S, &wait);
    if (rc != CP_OK) {
        return rc;
    }

    q->epoch = cp_req_query(r, "epoch");

    if (q->since > 0 && q->epoch == NULL) {
        return cp_query_fault(r, "epoch", "is needed when since is not 0");
    }

    q->deadline = cp_time_mono_ms() + wait * 1000;
    *ask = q;

    return CP_OK;
}


/* A gateway that says which group it believes to be in gets nothing of
 * another one: its operator mixed up a token. */
static cp_rc_t
cp_feed_group(cp_req_t *r, cp_tx_t *tx)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *group;

    group = cp_req_query(r, "group");

    if (group == NULL || group[0] == '\0') {
        return CP_OK;
    }

    rc = cp_tx_query(tx, r->op.arena, "SELECT name FROM gateway_groups"
                     " WHERE id = $1", cp_args(cp_text(r->op.actor.group)),
                     &rows, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 1 && strcmp(cp_cell(&rows, 0, 0)->p, group) == 0) {
        return CP_OK;
    }

    return cp_err_set(&r->op.err, "forbidden",
                      "the gateway \"%s\" is in the group \"%s\"",
                      r->op.actor.name,
                      rows.rows == 1 ? cp_cell(&rows, 0, 0)->p : "");
}


/* A gateway may have been removed while it waited: it gets nothing more. */
static cp_rc_t
cp_feed_woken(cp_req_t *r)
{
    cp_rc_t  rc;

    rc = cp_auth_check(r);

    return rc == CP_OK ? cp_feed_resume(r) : rc;
}


/* Runs first, and again whenever the head may have moved. */
static cp_rc_t
cp_feed_resume(cp_req_t *r)
{
    cp_rc_t         rc;
    cp_tx_t        *tx;
    cp_feed_ask_t  *ask;
    cp_feed_head_t  head;

    ask = r->ctx;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_feed_group(r, tx);

    if (rc == CP_OK) {
        rc = cp_feed_head(tx, r->op.arena, &head, &r->op.err);
    }

    if (rc == CP_OK && !ask->judged) {
        rc = cp_feed_old(r, tx, ask);
    }

    cp_tx_rollback(tx);

    if (rc == CP_OK && head.epoch[0] == '\0') {
        rc = cp_feed_init(r->op.app->db, r->op.arena, &r->op.err);

        return rc == CP_OK ? cp_feed_resume(r) : rc;
    }

    if (rc == CP_OK) {
        rc = cp_feed_check(r, ask, &head);

        if (rc != CP_OK) {
            cp_feed_counted("kind=\"gone\"");
        }
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (ask->since == head.rev && cp_time_mono_ms() < ask->deadline
        && !atomic_load(&r->op.app->stopping))
    {
        return cp_req_park(r, ask->deadline, cp_feed_woken);
    }

    return cp_feed_answer(r, ask, &head);
}


/*
 * A gateway that judges no policies serves nothing while its group has one:
 * it starts over when they change, and is sent nothing.
 */
static cp_rc_t
cp_feed_old(cp_req_t *r, cp_tx_t *tx, cp_feed_ask_t *ask)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *body;

    rc = cp_tx_query(tx, r->op.arena, "SELECT rev, COALESCE(body, '{}')"
                     " FROM feed WHERE key = $1",
                     cp_args(cp_text(cp_arena_printf(r->op.arena, "group:%s",
                                                     r->op.actor.group
                                                     ? r->op.actor.group
                                                     : ""))),
                     &rows, &r->op.err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    body = cp_cell(&rows, 0, 1)->p;
    ask->nothing = cp_sealed(body) || cp_feed_requires("group", body);

    return ask->since && ask->since < cp_cell(&rows, 0, 0)->i
           ? cp_err_set(&r->op.err, "gone", "your group's policies changed")
           : CP_OK;
}


/* since=0 is always right: it asks for everything, whatever was before. */
static cp_rc_t
cp_feed_check(cp_req_t *r, const cp_feed_ask_t *ask,
    const cp_feed_head_t *head)
{
    if (ask->since == 0) {
        return CP_OK;
    }

    if (strcmp(ask->epoch, head->epoch) != 0) {
        return cp_err_set(&r->op.err, "gone", "the epoch is %s now",
                          head->epoch);
    }

    if (ask->since > head->rev) {
        return cp_err_set(&r->op.err, "gone", "the head is %" PRId64,
                          head->rev);
    }

    if (cp_gateway_doubted(r->op.actor.id)) {
        return cp_err_set(&r->op.err, "gone", "what you have is not what you "
                          "should have");
    }

    if (ask->since < head->oldest) {
        return cp_err_set(&r->op.err, "gone", "deletions up to %" PRId64
                          " were forgotten", head->oldest);
    }

    return CP_OK;
}


static void
cp_feed_counted(const char *labels)
{
    cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                            "stoa_control_feed_answers_total", labels,
                            "Answers to gateways that asked for the feed."),
                  1);
}


static cp_rc_t
cp_feed_answer(cp_req_t *r, const cp_feed_ask_t *ask,
    const cp_feed_head_t *head)
{
    cp_rc_t            rc;
    stoa_buf_t         page;
    cp_feed_stream_t  *fs;

    fs = cp_arena_alloc(r->op.arena, sizeof(cp_feed_stream_t));
    if (fs == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    fs->db = r->op.app->db;
    fs->arena = r->op.arena;
    fs->last = ask->since;
    fs->judged = ask->judged;
    fs->nothing = ask->nothing;
    fs->live_until = ask->since ? ask->since : head->rev;
    fs->limit = CP_FEED_PAGE_FIRST;
    snprintf(fs->pattern, sizeof(fs->pattern), "%%,%.16s,%%",
             r->op.actor.group ? r->op.actor.group : "");

    stoa_buf_init(&page, CP_FEED_PAGE_ARENA);

    rc = cp_feed_page(fs, &page, &r->op.err);

    if (rc == CP_OK) {
        stoa_buf_addf(&r->out, "{\"feed\":1,\"epoch\":\"%s\",\"rev\":%"
                      PRId64 "}\n", head->epoch, fs->head);
        stoa_buf_add(&r->out, page.data, page.len);
        rc = r->out.rc == STOA_OK ? CP_OK
             : cp_err_set(&r->op.err, "internal", "out of memory");
    }

    stoa_buf_free(&page);

    if (rc != CP_OK) {
        return rc;
    }

    cp_feed_counted(ask->since == 0 ? "kind=\"snapshot\""
                    : ask->since == fs->head ? "kind=\"nothing\""
                    : "kind=\"delta\"");

    if (!fs->done) {
        fs->first_len = r->out.len;
        fs->first = cp_arena_strndup(r->op.arena, r->out.data, r->out.len);
        stoa_buf_reset(&r->out);

        return fs->first ? cp_req_stream(r, 200, "application/x-ndjson",
                                         cp_feed_fill, NULL, fs)
                         : cp_err_set(&r->op.err, "internal", "out of memory");
    }

    r->status = 200;
    r->content_type = "application/x-ndjson";

    return CP_OK;
}


static cp_rc_t
cp_feed_fill(void *ctx, stoa_buf_t *out, bool *done)
{
    cp_rc_t            rc;
    cp_err_t           err;
    cp_feed_stream_t  *fs;

    fs = ctx;

    if (fs->first) {
        stoa_buf_add(out, fs->first, fs->first_len);
        fs->first = NULL;
        return CP_OK;
    }

    memset(&err, 0, sizeof(err));
    err.arena = fs->arena;

    rc = cp_feed_page(fs, out, &err);
    if (rc != CP_OK) {
        cp_log(CP_LOG_WARN, "feed", "stream broken after rev:%" PRId64,
               fs->last);
        return rc;
    }

    *done = fs->done;

    return CP_OK;
}


/* Appends the next rows, and after the last of them the closing line. */
static cp_rc_t
cp_feed_page(cp_feed_stream_t *fs, stoa_buf_t *out, cp_err_t *err)
{
    size_t       before;
    cp_rc_t      rc;
    int64_t      limit;
    unsigned     i, n;
    cp_rows_t    rows;
    cp_arena_t  *a;

    a = cp_arena_create(CP_FEED_PAGE_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    rc = cp_feed_rows(fs, a, &rows, err);
    if (rc != CP_OK) {
        goto done;
    }

    /* without rows the outer join still gives the head */

    n = cp_cell(&rows, 0, 0)->type == CP_VAL_NULL ? 0 : rows.rows;
    before = out->len;

    for (i = 0; i < n; i++) {
        cp_feed_line(fs, a, out, cp_cell(&rows, i, 0));
        fs->last = cp_cell(&rows, i, 1)->i;
    }

    if (n < fs->limit) {
        stoa_buf_addf(out, "{\"end\":true,\"rev\":%" PRId64 "}\n", fs->head);
        fs->done = true;

    } else {
        /* as many rows as fill a page, if they go on like these */
        limit = CP_FEED_PAGE_BYTES * (int64_t) n
                / (int64_t) (out->len - before + 1);
        limit = limit < 1 ? 1 : limit;
        fs->limit = limit > CP_FEED_PAGE_MAX ? CP_FEED_PAGE_MAX : limit;
    }

    rc = out->rc == STOA_OK ? CP_OK : CP_ERROR;

done:

    cp_arena_destroy(a);

    return rc;
}


static cp_rc_t
cp_feed_rows(cp_feed_stream_t *fs, cp_arena_t *a, cp_rows_t *rows,
    cp_err_t *err)
{
    cp_rc_t   rc;
    int64_t   known;
    cp_tx_t  *tx;

    if (cp_tx_open(fs->db, false, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, cp_feed_sql,
                     cp_args(cp_int(fs->last), cp_text(fs->pattern),
                             cp_int(fs->live_until), cp_int(fs->limit)),
                     rows, err);

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    if (rows->rows == 0) {
        return cp_err_set(err, "internal", "feed_head has no row");
    }

    cp_metric_add(cp_metric(CP_METRIC_COUNTER, "stoa_control_feed_rows_total",
                            "", "Rows of the feed sent to gateways."),
                  cp_cell(rows, 0, 0)->type == CP_VAL_NULL ? 0 : rows->rows);

    fs->head = cp_cell(rows, 0, 4)->i;
    known = fs->last > fs->live_until ? fs->last : fs->live_until;

    /* tombstones that were yet to come have been compacted away */

    if (cp_cell(rows, 0, 5)->i > known) {
        return cp_err_set(err, "gone", "deletions up to %" PRId64
                          " were forgotten", cp_cell(rows, 0, 5)->i);
    }

    return CP_OK;
}


static void
cp_feed_line(const cp_feed_stream_t *fs, cp_arena_t *a, stoa_buf_t *b,
    const cp_val_t *row)
{
    const char  *body;

    body = row[3].type == CP_VAL_NULL ? NULL : row[3].p;

    if (body && cp_sealed(body)) {
        body = cp_unseal(a, row[0].p, body);

        if (body == NULL) {
            cp_log(CP_LOG_ERROR, "feed", "a record was sealed by another key"
                   " key:%s", row[0].p);
        }
    }

    if (body && !fs->judged
        && (fs->nothing || cp_feed_requires(row[2].p, body)))
    {
        body = NULL;
    }

    stoa_buf_addz(b, "{\"key\":");
    stoa_buf_add_json(b, row[0].p, row[0].len);
    stoa_buf_addf(b, ",\"rev\":%" PRId64 ",\"kind\":\"%s\"", row[1].i,
                  row[2].p);

    if (body == NULL) {
        stoa_buf_addz(b, ",\"deleted\":true}\n");
        return;
    }

    stoa_buf_addz(b, ",\"body\":");
    stoa_buf_addz(b, body);
    stoa_buf_addz(b, "}\n");
}
