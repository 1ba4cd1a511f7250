/*
 * Adding up what was counted.
 *
 * The time that is asked for is cut into pieces, each of the coarsest level
 * whose rows fit into it and into the step: days in the middle, two hours and
 * quarters around them, minutes at the edges.  Where a midnight of the zone is
 * within two hours, quarters tell of these.
 */

#include <inttypes.h>
#include <string.h>

#include "feed/cp_usage.h"


#define CP_USAGE_ARGS_MAX  64
#define CP_USAGE_FILTERS   7
#define CP_USAGE_SQL_MAX   (512 * 1024)    /* midnights of all that is kept  */
#define CP_USAGE_COUNTS_AT 10              /* columns of an answer's row     */
#define CP_USAGE_HIST_AT   (CP_USAGE_COUNTS_AT + CP_USAGE_COUNTS)
#define CP_USAGE_IDS_AT    (CP_USAGE_HIST_AT + CP_USAGE_BUCKETS)
#define CP_USAGE_SPLIT_BY                                                     \
    "application, subscription, api, operation, refused, model,"              \
    " credential, publisher, consumer"

/* The tenant stands beside what is known by its name in it. */
#define CP_USAGE_OF_PUBLISHER  (CP_USAGE_BY_TENANT | CP_USAGE_BY_API)
#define CP_USAGE_OF_CONSUMER   (CP_USAGE_BY_TENANT | CP_USAGE_BY_APPLICATION)
#define CP_USAGE_OF_OPERATION  (CP_USAGE_BY_OPERATION | CP_USAGE_BY_TOOL)

typedef struct {
    const cp_usage_ask_t  *ask;
    cp_arena_t            *arena;
    stoa_buf_t             sql;
    const char            *bucket;         /* expression: a row's start      */
    const char            *whose[2];       /* condition: published, consumed */
    unsigned               parts;
    unsigned               n;
    unsigned               only[CP_USAGE_FILTERS];  /* their parameters     */
    cp_val_t               args[CP_USAGE_ARGS_MAX];
} cp_usage_query_t;


static void cp_usage_write(cp_usage_query_t *q);
static void cp_usage_after(cp_usage_query_t *q,
    const cp_usage_place_t *place);
static const char *cp_usage_bucket(cp_arena_t *a, const cp_usage_ask_t *ask);
static unsigned cp_usage_coarsest(const cp_usage_ask_t *ask);
static void cp_usage_range(cp_usage_query_t *q, int level, int64_t from,
    int64_t to);
static void cp_usage_sides(cp_usage_query_t *q, int level, int64_t from,
    int64_t to, const char *also);
static const char *cp_usage_midnights(cp_usage_query_t *q, int64_t from,
    int64_t to, int64_t ms, const char *in);
static void cp_usage_part(cp_usage_query_t *q, int level, int64_t from,
    int64_t to, const char *whose, const char *also);
static unsigned cp_usage_detail(const cp_usage_ask_t *ask);
static void cp_usage_only(cp_usage_query_t *q);
static void cp_usage_items(cp_arena_t *a, const cp_usage_ask_t *ask,
    const cp_val_t *row, cp_json_t *items);
static cp_json_t *cp_usage_named(cp_arena_t *a, const cp_usage_ask_t *ask,
    const cp_val_t *row);
static int64_t cp_usage_percentile(const int64_t h[CP_USAGE_BUCKETS],
    unsigned per_mille);


const cp_usage_name_t  cp_usage_bys[] = {
    { "application",  CP_USAGE_BY_APPLICATION },
    { "subscription", CP_USAGE_BY_SUBSCRIPTION },
    { "api",          CP_USAGE_BY_API },
    { "operation",    CP_USAGE_BY_OPERATION },
    { "tool",         CP_USAGE_BY_TOOL },
    { "refused",      CP_USAGE_BY_REFUSED },
    { "model",        CP_USAGE_BY_MODEL },
    { "credential",   CP_USAGE_BY_CREDENTIAL },
    { "tenant",       CP_USAGE_BY_TENANT },
    { "status",       CP_USAGE_BY_STATUS },
    { NULL, 0 }
};

static const char *const  cp_usage_counts[] = {
    "c2xx", "c3xx", "c4xx", "c5xx", "bytes_in", "bytes_out", "tokens_in",
    "tokens_out", "tokens_cached", NULL
};

/* What a row may be split by: the column, and what of it is seen.  A key is
 * its consumer's ($1). */
static const struct {
    const char  *name;
    const char  *expression;
    unsigned     by;
} cp_usage_splits[CP_USAGE_SPLITS] = {
    { "application", "application", CP_USAGE_BY_APPLICATION },
    { "subscription", "subscription", CP_USAGE_BY_SUBSCRIPTION },
    { "api", "api", CP_USAGE_BY_API },
    { "operation", "operation", CP_USAGE_OF_OPERATION },
    { "refused", "refused", CP_USAGE_BY_REFUSED },
    { "model", "model", CP_USAGE_BY_MODEL },
    { "credential", "CASE WHEN consumer = $1 THEN credential ELSE '' END",
      CP_USAGE_BY_CREDENTIAL },
    { "publisher", "tenant", CP_USAGE_OF_PUBLISHER },
    { "consumer", "consumer", CP_USAGE_OF_CONSUMER }
};

#define CP_USAGE_SUM(c)  "CAST(SUM(" #c ") AS BIGINT) AS " #c
#define CP_USAGE_U(c)    "u." #c

/* Names are joined to what is left after adding up. */
static const char  cp_usage_head_sql[] =
    "SELECT u.start_ms, u.subscription, u.refused,"
    " COALESCE(ap.name, u.application), COALESCE(a.name, u.api),"
    " COALESCE(t.name, o.method || ' ' || o.path, u.operation),"
    " COALESCE(c.prefix, u.credential), COALESCE(tp.name, u.publisher),"
    " COALESCE(tc.name, u.consumer), u.model, " CP_USAGE_COUNTED(CP_USAGE_U)
    ", u.application, u.subscription, u.api, u.operation, u.refused,"
    " u.model, u.credential, u.publisher, u.consumer"
    " FROM (SELECT s AS start_ms, " CP_USAGE_SPLIT_BY ", "
    CP_USAGE_COUNTED(CP_USAGE_SUM) " FROM (";

static const char  cp_usage_tail_sql[] =
    " GROUP BY s, " CP_USAGE_SPLIT_BY ") u"
    " LEFT JOIN applications ap ON ap.id = u.application"
    " LEFT JOIN apis a ON a.id = u.api"
    " LEFT JOIN operations o ON o.id = u.operation"
    " LEFT JOIN tools t ON t.id = u.operation"
    " LEFT JOIN credentials c ON c.id = u.credential"
    " LEFT JOIN tenants tp ON tp.id = u.publisher"
    " LEFT JOIN tenants tc ON tc.id = u.consumer"
    " ORDER BY u.start_ms, %su.application, u.subscription, u.api,"
    " u.operation, u.refused, u.model, u.credential, u.publisher,"
    " u.consumer LIMIT %u";


static unsigned
cp_usage_most(const cp_usage_ask_t *ask)
{
    return ask->place ? CP_USAGE_PAGE : CP_USAGE_ITEMS_MAX;
}


static void
cp_usage_placed(cp_usage_place_t *place, const cp_val_t *row)
{
    unsigned  i;

    place->start = row[0].i;

    for (i = 0; i < CP_USAGE_SPLITS; i++) {
        (void) snprintf(place->key[i], sizeof(place->key[i]), "%s",
                        row[CP_USAGE_IDS_AT + i].p);
    }
}


cp_rc_t
cp_usage_sum(cp_tx_t *tx, cp_arena_t *a, const cp_usage_ask_t *ask,
    cp_json_t **items, cp_err_t *err)
{
    cp_rc_t           rc;
    unsigned          i, most;
    cp_rows_t         rows;
    const char       *sql;
    cp_usage_query_t  q;

    memset(&q, 0, sizeof(q));
    memset(&rows, 0, sizeof(rows));
    q.ask = ask;
    q.arena = a;
    stoa_buf_init(&q.sql, CP_USAGE_SQL_MAX);
    cp_usage_write(&q);

    rc = CP_OK;
    sql = q.sql.rc == STOA_OK && q.n <= CP_USAGE_ARGS_MAX
          ? cp_arena_strndup(a, q.sql.data, q.sql.len) : NULL;

    if (sql == NULL) {
        rc = cp_err_set(err, "internal", "no memory");

    } else if (q.parts) {
        rc = cp_tx_query(tx, a, sql, q.args, q.n, &rows, err);
    }

    stoa_buf_free(&q.sql);

    if (rc != CP_OK) {
        return rc;
    }

    most = cp_usage_most(ask);

    if (rows.rows > most && ask->place == NULL) {
        return cp_err_set(err, "too_large", "more than %u items: take a "
                          "shorter time, a longer step or fewer members of by",
                          most);
    }

    if (ask->place) {
        ask->place->more = rows.rows > most;
        rows.rows -= ask->place->more;

        if (ask->place->more) {
            cp_usage_placed(ask->place, cp_cell(&rows, rows.rows - 1, 0));
        }
    }

    *items = cp_json_array(a);

    for (i = 0; i < rows.rows; i++) {
        cp_usage_items(a, ask, cp_cell(&rows, i, 0), *items);
    }

    return CP_OK;
}


/* The index of a parameter; one too many is found at the end. */
static unsigned
cp_usage_arg(cp_usage_query_t *q, cp_val_t v)
{
    if (q->n < CP_USAGE_ARGS_MAX) {
        q->args[q->n] = v;
    }

    return ++q->n;
}


static void
cp_usage_write(cp_usage_query_t *q)
{
    const char  *tenant;
    cp_arena_t  *a = q->arena;

    tenant = q->ask->tenant ? q->ask->tenant : "";
    (void) cp_usage_arg(q, cp_text(tenant));

    q->bucket = cp_usage_bucket(a, q->ask);
    q->whose[0] = "tenant = $1";
    q->whose[1] = q->ask->sides ? "consumer = $1"
                  : "consumer = $1 AND tenant <> $1";

    if (q->ask->published) {
        q->whose[0] = cp_arena_printf(a, "$1 = '' AND %s", q->ask->published);
        q->whose[1] = cp_arena_printf(a, "$1 = '' AND %s%s%s",
                                      q->ask->consumed,
                                      q->ask->sides ? "" : " AND NOT ",
                                      q->ask->sides ? "" : q->ask->published);
    }

    if (q->bucket == NULL || q->whose[0] == NULL || q->whose[1] == NULL) {
        q->sql.rc = STOA_ERROR;
        return;
    }

    stoa_buf_addz(&q->sql, cp_usage_head_sql);
    cp_usage_range(q, (int) cp_usage_coarsest(q->ask), q->ask->from_ms,
                   q->ask->to_ms);
    stoa_buf_addz(&q->sql, ") r");

    if (q->ask->place && q->ask->place->more) {
        cp_usage_after(q, q->ask->place);
    }

    stoa_buf_addf(&q->sql, cp_usage_tail_sql, q->ask->place ? ""
                  : "8, 9, 4, 5, 6, 7, ", cp_usage_most(q->ask) + 1);
}


/* Of the rows themselves, so that what was told is not added up again. */
static void
cp_usage_after(cp_usage_query_t *q, const cp_usage_place_t *place)
{
    unsigned  i;

    stoa_buf_addf(&q->sql, " WHERE (s, " CP_USAGE_SPLIT_BY ") > ($%u",
                  cp_usage_arg(q, cp_int(place->start)));

    for (i = 0; i < CP_USAGE_SPLITS; i++) {
        stoa_buf_addf(&q->sql, ", $%u",
                      cp_usage_arg(q, cp_text(place->key[i])));
    }

    stoa_buf_addz(&q->sql, ")");
}


/*
 * Hours and minutes by the instant at which they begin, so that the two of a
 * clock that is put back stay two; days by what the wall's clock says, as one
 * has more hours or fewer.  The numbers in it are our own.
 */
static const char *
cp_usage_bucket(cp_arena_t *a, const cp_usage_ask_t *ask)
{
    int64_t      at, until, offset;
    const char  *text, *one, *back;

    if (ask->step_ms == 0) {
        return "CAST(0 AS BIGINT)";
    }

    text = "";

    for (at = ask->from_ms; ; at = until) {

        until = INT64_MAX;
        offset = ask->zone ? stoa_zone_offset(ask->zone, at, &until) : 0;

        back = ask->step_ms == CP_USAGE_DAY_MS ? cp_arena_printf(a,
                   "(start_ms + %" PRId64 ")", offset) : "start_ms";
        one = cp_arena_printf(a, "%s - (start_ms + %" PRId64 ") %% %" PRId64,
                              back, offset, ask->step_ms);

        if (text == NULL || one == NULL) {
            return NULL;
        }

        if (until >= ask->to_ms) {
            return text[0] ? cp_arena_printf(a, "CASE%s ELSE %s END", text,
                                             one)
                           : one;
        }

        text = cp_arena_printf(a, "%s WHEN start_ms < %" PRId64 " THEN %s",
                               text, until, one);
    }
}


/* The level whose rows are never in two steps, but for those two hours in
 * which a day ends.  Where a view has it all, quarters are fewer. */
static unsigned
cp_usage_coarsest(const cp_usage_ask_t *ask)
{
    int64_t   at, until, ms;
    unsigned  level;

    if (ask->step_ms == 0) {
        return CP_USAGE_LEVELS - 1;
    }

    for (level = CP_USAGE_LEVELS - 1; level > 0
         && cp_usage_levels[level].ms > ask->step_ms; level--)
    {
        /* void */
    }

    for (at = ask->from_ms; ask->zone && at < ask->to_ms; at = until) {

        for ( ; level > 0; level--) {
            ms = level == CP_USAGE_TWO_HOURS ? CP_USAGE_QUARTER_MS
                                             : cp_usage_levels[level].ms;

            if (stoa_zone_offset(ask->zone, at, &until) % ms == 0) {
                break;
            }
        }

        (void) stoa_zone_offset(ask->zone, at, &until);
    }

    return level == CP_USAGE_TWO_HOURS && cp_usage_view(cp_usage_detail(ask))
           >= 0 ? CP_USAGE_QUARTERS : level;
}


static void
cp_usage_range(cp_usage_query_t *q, int level, int64_t from, int64_t to)
{
    int64_t      ms, a, b;
    const char  *also;

    if (level < 0 || from >= to) {
        return;
    }

    ms = cp_usage_levels[level].ms;
    a = (from + ms - 1) / ms * ms;
    b = to / ms * ms;

    if (level == 0) {
        a = from;
        b = to;

    } else if (a >= b) {
        cp_usage_range(q, level - 1, from, to);
        return;
    }

    cp_usage_range(q, level - 1, from, a);

    also = level == CP_USAGE_TWO_HOURS
           ? cp_usage_midnights(q, a, b, ms, "NOT IN") : "";
    cp_usage_sides(q, level, a, b, also);

    if (*also) {
        cp_usage_sides(q, CP_USAGE_QUARTERS, a, b,
                       cp_usage_midnights(q, a, b, CP_USAGE_QUARTER_MS,
                                          "IN"));
    }

    cp_usage_range(q, level - 1, b, to);
}


static void
cp_usage_sides(cp_usage_query_t *q, int level, int64_t from, int64_t to,
    const char *also)
{
    if (q->ask->tenant == NULL && q->ask->published == NULL) {
        cp_usage_part(q, level, from, to, "$1 = ''", also);
        return;
    }

    if (q->ask->sides != CP_USAGE_CONSUMED) {
        cp_usage_part(q, level, from, to, q->whose[0], also);
    }

    if (q->ask->sides != CP_USAGE_PUBLISHED) {
        cp_usage_part(q, level, from, to, q->whose[1], also);
    }
}


/* Of those two hours in which a day may end, rows of `ms`: a condition, "" if
 * there are none.  A list, which both databases look up in the index. */
static const char *
cp_usage_midnights(cp_usage_query_t *q, int64_t from, int64_t to, int64_t ms,
    const char *in)
{
    int64_t              at, row, until, offset;
    stoa_buf_t           list;
    const char          *text;
    const stoa_zone_t   *zone = q->ask->zone;

    if (zone == NULL || q->ask->step_ms != CP_USAGE_DAY_MS) {
        return "";
    }

    stoa_buf_init(&list, CP_USAGE_SQL_MAX);

    for (at = from; at < to; at += CP_USAGE_TWO_HOURS_MS) {

        offset = stoa_zone_offset(zone, at, &until);

        if (until >= at + CP_USAGE_TWO_HOURS_MS
            && (at + offset) % CP_USAGE_DAY_MS
               <= CP_USAGE_DAY_MS - CP_USAGE_TWO_HOURS_MS)
        {
            continue;
        }

        for (row = at; row < at + CP_USAGE_TWO_HOURS_MS; row += ms) {
            stoa_buf_addf(&list, "%s%" PRId64, list.len ? "," : "", row);
        }
    }

    text = list.len == 0 && list.rc == STOA_OK ? ""
           : cp_arena_printf(q->arena, " AND start_ms %s (%.*s)", in,
                             (int) list.len, list.data);

    if (list.rc != STOA_OK || text == NULL) {
        q->sql.rc = STOA_ERROR;
        text = "";
    }

    stoa_buf_free(&list);

    return text;
}


static void
cp_usage_part(cp_usage_query_t *q, int level, int64_t from, int64_t to,
    const char *whose, const char *also)
{
    int       view;
    size_t    i;
    unsigned  f, t;

    view = level == CP_USAGE_QUARTERS
           ? cp_usage_view(cp_usage_detail(q->ask)) : -1;
    f = cp_usage_arg(q, cp_int(from));
    t = cp_usage_arg(q, cp_int(to));

    stoa_buf_addf(&q->sql, "%sSELECT %s AS s", q->parts++ ? " UNION ALL "
                                                          : "", q->bucket);

    for (i = 0; i < CP_USAGE_SPLITS; i++) {
        stoa_buf_addf(&q->sql, ", %s AS %s",
                      q->ask->by & cp_usage_splits[i].by
                      ? cp_usage_splits[i].expression : "''",
                      cp_usage_splits[i].name);
    }

    stoa_buf_addf(&q->sql, ", %s FROM %s WHERE %s AND start_ms >= $%u"
                  " AND start_ms < $%u%s", CP_USAGE_COUNTED(CP_USAGE_NAME),
                  view < 0 ? cp_usage_levels[level].table : "usage_view",
                  whose, f, t, also);

    if (view >= 0) {
        stoa_buf_addf(&q->sql, " AND view = %d", view);
    }

    cp_usage_only(q);
}


/* What has to be told apart. */
static unsigned
cp_usage_detail(const cp_usage_ask_t *ask)
{
    return ask->by | (ask->application ? CP_USAGE_BY_APPLICATION : 0)
           | (ask->subscription ? CP_USAGE_BY_SUBSCRIPTION : 0)
           | (ask->api ? CP_USAGE_BY_API : 0)
           | (ask->operation ? CP_USAGE_BY_OPERATION : 0)
           | (ask->refused ? CP_USAGE_BY_REFUSED : 0)
           | (ask->model ? CP_USAGE_BY_MODEL : 0)
           | (ask->credential ? CP_USAGE_BY_CREDENTIAL : 0);
}


/* Whose key is asked for has to be his who asks. */
static void
cp_usage_only(cp_usage_query_t *q)
{
    size_t                 i;
    const cp_usage_ask_t  *ask = q->ask;

    const struct {
        const char  *text;
        const char  *value;
    } only[CP_USAGE_FILTERS] = {
        { "application", ask->application },
        { "subscription", ask->subscription },
        { "api", ask->api },
        { "operation", ask->operation },
        { "refused", ask->refused },
        { "model", ask->model },
        { "consumer = $1 AND credential", ask->credential }
    };

    for (i = 0; i < CP_USAGE_FILTERS; i++) {
        if (only[i].value && q->only[i] == 0) {
            q->only[i] = cp_usage_arg(q, cp_text(only[i].value));
        }

        if (only[i].value) {
            stoa_buf_addf(&q->sql, " AND %s = $%u", only[i].text, q->only[i]);
        }
    }

    if (ask->by & CP_USAGE_BY_TOOL) {
        stoa_buf_addz(&q->sql, " AND operation IN (SELECT id FROM tools)");
    }
}


void
cp_usage_clip(const cp_conf_t *conf, cp_usage_ask_t *ask)
{
    int64_t   now, kept, ahead;
    unsigned  level, coarsest;

    /* nothing is counted of times to come; days of zones may end later */

    now = cp_time_ms();
    ahead = now - now % CP_USAGE_DAY_MS + 3 * CP_USAGE_DAY_MS;
    ask->to_ms = ask->to_ms < ahead ? ask->to_ms : ahead;
    ask->from_ms = ask->from_ms < ask->to_ms ? ask->from_ms : ask->to_ms;
    coarsest = cp_usage_coarsest(ask);
    ask->from_ms -= ask->from_ms % CP_USAGE_MINUTE_MS;

    for (level = 0; level < CP_USAGE_LEVELS; level++) {

        kept = cp_usage_kept(conf, level, now);

        if (ask->from_ms >= kept) {
            return;
        }

        /* the rest is told by coarser rows, whole ones */

        if (level == coarsest) {
            ask->from_ms = kept;
            return;
        }

        ask->from_ms -= ask->from_ms % cp_usage_levels[level + 1].ms;

        if (ask->to_ms < kept) {
            ask->to_ms -= ask->to_ms % cp_usage_levels[level + 1].ms;
        }
    }
}


/* By status one row is up to four items. */
static void
cp_usage_items(cp_arena_t *a, const cp_usage_ask_t *ask, const cp_val_t *row,
    cp_json_t *items)
{
    int               k;
    int64_t           h[CP_USAGE_BUCKETS];
    unsigned          i;
    cp_json_t        *item;
    const cp_val_t   *at;

    at = &row[CP_USAGE_COUNTS_AT];

    for (k = 2; k <= 5 && (ask->by & CP_USAGE_BY_STATUS || ask->status); k++) {

        if (at[k - 2].i && (ask->status == 0 || ask->status == k)) {
            item = cp_usage_named(a, ask, row);
            cp_json_put(a, item, "status", cp_arena_printf(a, "%dxx", k));
            cp_json_put_int(a, item, "requests", at[k - 2].i);
            cp_json_push(items, item);
        }
    }

    if (ask->by & CP_USAGE_BY_STATUS || ask->status) {
        return;
    }

    item = cp_usage_named(a, ask, row);
    cp_json_push(items, item);

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
}


static cp_json_t *
cp_usage_named(cp_arena_t *a, const cp_usage_ask_t *ask, const cp_val_t *row)
{
    int64_t      start;
    unsigned     i;
    cp_json_t   *item;
    const char  *s;

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
        { "tool",         5, CP_USAGE_BY_TOOL },
        { "credential",   6, CP_USAGE_BY_CREDENTIAL },
        { "refused",      2, CP_USAGE_BY_REFUSED },
        { "model",        9, CP_USAGE_BY_MODEL },
        { NULL, 0, 0 }
    };

    item = cp_json_object(a);

    if (ask->step_ms) {
        start = row[0].i;

        if (ask->step_ms == CP_USAGE_DAY_MS && ask->zone) {
            start = stoa_zone_instant(ask->zone, start);
        }

        cp_json_put(a, item, "start", cp_time_format(a, start));
    }

    for (i = 0; members[i].name; i++) {
        if (ask->by & members[i].by) {
            s = row[members[i].column].p;
            cp_json_put(a, item, members[i].name, s && *s ? s : NULL);
        }
    }

    return item;
}


/* Those of an item that is made for it. */
const char *
cp_usage_columns(cp_arena_t *a, const cp_usage_ask_t *ask)
{
    cp_val_t     row[CP_USAGE_HIST_AT + CP_USAGE_BUCKETS];
    unsigned     i;
    cp_json_t   *items, *m;
    const char  *text;

    for (i = 0; i < CP_USAGE_HIST_AT + CP_USAGE_BUCKETS; i++) {
        row[i] = cp_text("");
        row[i].i = i >= CP_USAGE_COUNTS_AT;
    }

    items = cp_json_array(a);
    cp_usage_items(a, ask, row, items);
    text = "";

    for (m = items->first->first; m; m = m->next) {
        text = cp_arena_printf(a, "%s%s%s", text, text[0] ? " " : "", m->key);
    }

    return text;
}


/* Where the rank falls into a bucket, as far into it as into the bucket's
 * calls: never off by more than the bucket is wide, a factor of two. */
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
