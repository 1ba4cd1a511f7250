/*
 * The feed's table: writing rows, the running digest, compaction.
 */

#include <inttypes.h>
#include <string.h>

#include "base/cp_seal.h"
#include "feed/cp_feed.h"


/*
 * a ^ b, in arithmetic that both databases have: the bits of a & b are a
 * subset of those of a | b, so the difference borrows nothing and overflows
 * nothing.
 */
#define CP_FEED_XOR(c)                                                        \
    #c " = (feed_digest." #c " | excluded." #c ")"                            \
    " - (feed_digest." #c " & excluded." #c ")"

#define CP_FEED_TX_ARENA  (16 * 1024 * 1024)


/*
 * What a write transaction knows of the feed from the moment it has the lock.
 * The head and the digests are written once, before the commit: ten thousand
 * updates of one row in one transaction would cost PostgreSQL their square.
 */

typedef struct cp_feed_sum_s  cp_feed_sum_t;

struct cp_feed_sum_s {
    const char        *group;            /* "" everybody                     */
    cp_feed_digest_t   d;                /* change of its digest             */
    int64_t            live;             /* and of its rows                  */
    cp_feed_sum_t     *next;
};

typedef struct {
    cp_arena_t      *arena;
    int64_t          before;             /* the head when it was locked      */
    int64_t          rev;                /* the last one given out           */
    cp_feed_sum_t   *sums;
} cp_feed_tx_t;


static cp_rc_t cp_feed_begin(cp_tx_t *tx, cp_arena_t *a, cp_feed_tx_t **ft,
    cp_err_t *err);
static cp_rc_t cp_feed_end(cp_tx_t *tx, void *data, bool commit);
static cp_rc_t cp_feed_write(cp_tx_t *tx, cp_feed_tx_t *ft, cp_err_t *err);
static cp_rc_t cp_feed_store(cp_tx_t *tx, cp_arena_t *a,
    const cp_feed_row_t *row, int64_t rev, const cp_feed_digest_t *d,
    cp_err_t *err);
static bool cp_feed_same(cp_arena_t *a, const cp_rows_t *old,
    const cp_feed_row_t *row);
static const char *cp_feed_clean(cp_arena_t *a, const char *body);
static cp_rc_t cp_feed_count(cp_feed_tx_t *ft, const char *groups,
    const cp_feed_digest_t *d, int64_t live, cp_err_t *err);
static cp_rc_t cp_feed_count_one(cp_feed_tx_t *ft, const char *group,
    size_t len, const cp_feed_digest_t *d, int64_t live, cp_err_t *err);
static cp_rc_t cp_feed_remove(cp_tx_t *tx, cp_arena_t *a, int64_t before,
    int64_t *removed, cp_err_t *err);
static cp_rc_t cp_feed_move(cp_feed_tx_t *ft, const cp_rows_t *old,
    const cp_feed_row_t *row, const cp_feed_digest_t *d, cp_err_t *err);


static const char  cp_feed_key;          /* its address names our state      */


cp_rc_t
cp_feed_lock(cp_tx_t *tx, cp_arena_t *a, cp_err_t *err)
{
    cp_feed_tx_t  *ft;

    return cp_feed_begin(tx, a, &ft, err);
}


/* The first call takes the row of feed_head for the rest of the
 * transaction. */
static cp_rc_t
cp_feed_begin(cp_tx_t *tx, cp_arena_t *a, cp_feed_tx_t **ft, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_arena_t  *arena;

    *ft = cp_tx_attached(tx, &cp_feed_key);

    if (*ft) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, a, "UPDATE feed_head SET rev = rev WHERE one = 1"
                     " RETURNING rev", NULL, 0, &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    arena = cp_arena_create(CP_FEED_TX_ARENA);
    *ft = arena ? cp_arena_alloc(arena, sizeof(cp_feed_tx_t)) : NULL;

    if (*ft == NULL || rows.rows != 1
        || cp_tx_attach(tx, &cp_feed_key, *ft, cp_feed_end) != CP_OK)
    {
        cp_arena_destroy(arena);
        return cp_err_set(err, "internal", "the feed cannot be locked");
    }

    (*ft)->arena = arena;
    (*ft)->before = cp_cell(&rows, 0, 0)->i;
    (*ft)->rev = (*ft)->before;

    return CP_OK;
}


static cp_rc_t
cp_feed_end(cp_tx_t *tx, void *data, bool commit)
{
    cp_rc_t        rc;
    cp_err_t       err;
    cp_feed_tx_t  *ft;

    ft = data;
    rc = CP_OK;

    if (commit && ft->rev != ft->before) {
        memset(&err, 0, sizeof(err));
        err.arena = ft->arena;
        rc = cp_feed_write(tx, ft, &err);
    }

    cp_arena_destroy(ft->arena);

    return rc;
}


static cp_rc_t
cp_feed_write(cp_tx_t *tx, cp_feed_tx_t *ft, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_feed_sum_t  *sum;

    rc = cp_tx_query(tx, ft->arena, "UPDATE feed_head SET rev = $1"
                     " WHERE one = 1", cp_args(cp_int(ft->rev)), NULL, err);

    for (sum = ft->sums; sum && rc == CP_OK; sum = sum->next) {
        rc = cp_tx_query(tx, ft->arena,
                         "INSERT INTO feed_digest (group_id, hi, lo, live)"
                         " VALUES ($1, $2, $3, $4)"
                         " ON CONFLICT (group_id) DO UPDATE SET "
                         CP_FEED_XOR(hi) ", " CP_FEED_XOR(lo) ","
                         " live = feed_digest.live + excluded.live",
                         cp_args(cp_text(sum->group),
                                 cp_int((int64_t) sum->d.hi),
                                 cp_int((int64_t) sum->d.lo),
                                 cp_int(sum->live)),
                         NULL, err);
    }

    return rc;
}


cp_rc_t
cp_feed_head(cp_tx_t *tx, cp_arena_t *a, cp_feed_head_t *head, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_rows_t       rows;
    cp_feed_tx_t   *ft;
    const cp_val_t *epoch;

    rc = cp_tx_query(tx, a, "SELECT rev, epoch, oldest FROM feed_head"
                     " WHERE one = 1", NULL, 0, &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows != 1) {
        return cp_err_set(err, "internal", "feed_head has no row");
    }

    epoch = cp_cell(&rows, 0, 1);

    if (epoch->len > CP_FEED_EPOCH_LEN) {
        return cp_err_set(err, "internal", "the feed's epoch is too long");
    }

    ft = cp_tx_attached(tx, &cp_feed_key);
    head->rev = ft ? ft->rev : cp_cell(&rows, 0, 0)->i;
    head->oldest = cp_cell(&rows, 0, 2)->i;
    memcpy(head->epoch, epoch->p, epoch->len);
    head->epoch[epoch->len] = '\0';

    return CP_OK;
}


cp_rc_t
cp_feed_init(cp_db_t *db, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;
    uint8_t   random[CP_FEED_EPOCH_LEN / 2];

    if (cp_tx_open(db, true, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    cp_random(random, sizeof(random));

    rc = cp_tx_query(tx, a, "UPDATE feed_head SET epoch = $1"
                     " WHERE one = 1 AND epoch = ''",
                     cp_args(cp_text(cp_hex(a, random, sizeof(random)))),
                     NULL, err);

    return cp_tx_finish(tx, rc, err);
}


static void
cp_feed_digest_row(const char *key, int64_t rev, const char *body, size_t len,
    cp_feed_digest_t *d)
{
    int      n;
    char     text[64 + 1], head[CP_FEED_KEY_MAX + 96];
    uint8_t  sum[32];

    cp_sha256(body, len, sum);
    stoa_hex_encode(sum, sizeof(sum), text);
    text[64] = '\0';

    n = snprintf(head, sizeof(head), "%.*s\n%" PRId64 "\n%s",
                 CP_FEED_KEY_MAX, key, rev, text);
    cp_sha256(head, (size_t) n, sum);

    d->hi = 0;
    d->lo = 0;

    for (n = 0; n < 8; n++) {
        d->hi = d->hi << 8 | sum[n];
        d->lo = d->lo << 8 | sum[n + 8];
    }
}


char *
cp_feed_digest_hex(cp_arena_t *a, const cp_feed_digest_t *d)
{
    return cp_arena_printf(a, "%016" PRIx64 "%016" PRIx64, d->hi, d->lo);
}


cp_rc_t
cp_feed_digest_of(cp_tx_t *tx, cp_arena_t *a, const char *group,
    cp_feed_digest_t *d, int64_t *live, cp_err_t *err)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, a, "SELECT hi, lo, live FROM feed_digest"
                     " WHERE group_id = '' OR group_id = $1",
                     cp_args(cp_text(group ? group : "")), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    d->hi = 0;
    d->lo = 0;
    *live = 0;

    for (i = 0; i < rows.rows; i++) {
        d->hi ^= (uint64_t) cp_cell(&rows, i, 0)->i;
        d->lo ^= (uint64_t) cp_cell(&rows, i, 1)->i;
        *live += cp_cell(&rows, i, 2)->i;
    }

    return CP_OK;
}


/*
 * The lock comes before the old row is read, because it is what keeps that
 * row still.
 */
cp_rc_t
cp_feed_put(cp_tx_t *tx, cp_arena_t *a, cp_feed_row_t row, cp_err_t *err)
{
    cp_rc_t           rc;
    cp_rows_t         old;
    cp_feed_tx_t     *ft;
    cp_feed_digest_t  d;

    if (row.groups && (row.groups[0] == '\0' || row.body == NULL)) {
        row.groups = NULL;
    }

    if (strlen(row.key) > CP_FEED_KEY_MAX
        || (row.body && strlen(row.body) > STOA_RECORD_MAX))
    {
        return cp_err_set(err, "too_large", "the record %.80s is too large",
                          row.key);
    }

    rc = cp_feed_begin(tx, a, &ft, err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, a, "SELECT deleted, body, group_ids, digest_hi,"
                     " digest_lo FROM feed WHERE key = $1",
                     cp_args(cp_text(row.key)), &old, err);
    if (rc != CP_OK) {
        return rc;
    }

    row.body = row.body ? cp_feed_clean(a, row.body) : NULL;

    if (cp_feed_same(a, &old, &row)) {
        return CP_OK;
    }

    memset(&d, 0, sizeof(d));
    ft->rev++;

    if (row.body) {
        cp_feed_digest_row(row.key, ft->rev, row.body, strlen(row.body), &d);
    }

    if (row.body && row.secret) {
        row.body = cp_seal(a, row.key, row.body);

        if (row.body == NULL) {
            return cp_err_set(err, "internal", "cannot seal a record");
        }
    }

    rc = cp_feed_store(tx, a, &row, ft->rev, &d, err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_tx_notify_head(tx, ft->rev);

    return cp_feed_move(ft, &old, &row, &d, err);
}


static cp_rc_t
cp_feed_store(cp_tx_t *tx, cp_arena_t *a, const cp_feed_row_t *row,
    int64_t rev, const cp_feed_digest_t *d, cp_err_t *err)
{
    return cp_tx_query(tx, a, "INSERT INTO feed (key, rev, kind, body,"
                       " group_ids, digest_hi, digest_lo, deleted, changed_ms)"
                       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                       " ON CONFLICT (key) DO UPDATE SET rev = excluded.rev,"
                       " kind = excluded.kind, body = excluded.body,"
                       " group_ids = excluded.group_ids,"
                       " digest_hi = excluded.digest_hi,"
                       " digest_lo = excluded.digest_lo,"
                       " deleted = excluded.deleted,"
                       " changed_ms = excluded.changed_ms",
                       cp_args(cp_text(row->key), cp_int(rev),
                               cp_text(row->kind), cp_text(row->body),
                               cp_text(row->groups),
                               cp_int((int64_t) d->hi),
                               cp_int((int64_t) d->lo),
                               cp_int(row->body == NULL),
                               cp_int(cp_time_ms())),
                       NULL, err);
}


/* A line of NDJSON holds one record: line breaks, which in valid JSON stand
 * only between tokens, become spaces. */
static const char *
cp_feed_clean(cp_arena_t *a, const char *body)
{
    char  *copy, *p;

    if (strpbrk(body, "\r\n") == NULL) {
        return body;
    }

    copy = cp_arena_strdup(a, body);

    for (p = copy; p && *p; p++) {
        if (*p == '\r' || *p == '\n') {
            *p = ' ';
        }
    }

    return copy;
}


/* A record that never was needs no tombstone. */
static bool
cp_feed_same(cp_arena_t *a, const cp_rows_t *old, const cp_feed_row_t *row)
{
    const char      *body;
    const cp_val_t  *g;

    if (old->rows == 0) {
        return row->body == NULL;
    }

    if (cp_cell(old, 0, 0)->i || row->body == NULL) {
        return cp_cell(old, 0, 0)->i && row->body == NULL;
    }

    body = cp_cell(old, 0, 1)->p;
    g = cp_cell(old, 0, 2);

    if ((g->type == CP_VAL_NULL) != (row->groups == NULL)
        || (row->groups && strcmp(g->p, row->groups) != 0)
        || cp_sealed(body) != row->secret)
    {
        return false;
    }

    body = row->secret ? cp_unseal(a, row->key, body) : body;

    return body && strcmp(body, row->body) == 0;
}


/* Takes the old row out of the running digests and puts the new one in. */
static cp_rc_t
cp_feed_move(cp_feed_tx_t *ft, const cp_rows_t *old,
    const cp_feed_row_t *row, const cp_feed_digest_t *d, cp_err_t *err)
{
    cp_rc_t           rc;
    const cp_val_t   *from;
    cp_feed_digest_t  x;

    if (old->rows && cp_cell(old, 0, 0)->i == 0) {
        from = cp_cell(old, 0, 2);
        x.hi = (uint64_t) cp_cell(old, 0, 3)->i;
        x.lo = (uint64_t) cp_cell(old, 0, 4)->i;

        rc = cp_feed_count(ft, from->type == CP_VAL_NULL ? NULL : from->p, &x,
                           -1, err);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return row->body ? cp_feed_count(ft, row->groups, d, 1, err) : CP_OK;
}


static cp_rc_t
cp_feed_count(cp_feed_tx_t *ft, const char *groups, const cp_feed_digest_t *d,
    int64_t live, cp_err_t *err)
{
    cp_rc_t      rc;
    size_t       len;
    unsigned     n;
    const char  *p;

    if (groups == NULL) {
        return cp_feed_count_one(ft, "", 0, d, live, err);
    }

    for (p = groups, n = 0; *p; p += len) {
        p += strspn(p, ",");
        len = strcspn(p, ",");

        if (len == 0) {
            break;
        }

        if (n++ == CP_FEED_GROUPS_MAX) {
            return cp_err_set(err, "too_large", "more than %d gateway groups",
                              CP_FEED_GROUPS_MAX);
        }

        rc = cp_feed_count_one(ft, p, len, d, live, err);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_feed_count_one(cp_feed_tx_t *ft, const char *group, size_t len,
    const cp_feed_digest_t *d, int64_t live, cp_err_t *err)
{
    cp_feed_sum_t  *sum;

    for (sum = ft->sums; sum; sum = sum->next) {
        if (strlen(sum->group) == len && memcmp(sum->group, group, len) == 0) {
            break;
        }
    }

    if (sum == NULL) {
        group = cp_arena_strndup(ft->arena, group, len);
        sum = cp_arena_alloc(ft->arena, sizeof(cp_feed_sum_t));

        if (group == NULL || sum == NULL) {
            return cp_err_set(err, "internal", "out of memory");
        }

        sum->group = group;
        sum->next = ft->sums;
        ft->sums = sum;
    }

    sum->d.hi ^= d->hi;
    sum->d.lo ^= d->lo;
    sum->live += live;

    return CP_OK;
}


/* Looked at without the lock first: most of the time there is nothing. */
static cp_rc_t
cp_feed_old(cp_db_t *db, cp_arena_t *a, int64_t before, bool *some,
    cp_err_t *err)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    if (cp_tx_open(db, false, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, "SELECT 1 FROM feed"
                     " WHERE deleted = 1 AND changed_ms < $1 LIMIT 1",
                     cp_args(cp_int(before)), &rows, err);
    cp_tx_rollback(tx);
    *some = rc == CP_OK && rows.rows;

    return rc;
}


cp_rc_t
cp_feed_compact(cp_db_t *db, cp_arena_t *a, int64_t retention_s,
    int64_t *removed, cp_err_t *err)
{
    bool      some;
    cp_rc_t   rc;
    int64_t   before;
    cp_tx_t  *tx;

    *removed = 0;
    before = cp_time_ms() - retention_s * 1000;

    rc = cp_feed_old(db, a, before, &some, err);
    if (rc != CP_OK || !some) {
        return rc;
    }

    if (cp_tx_open(db, true, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    return cp_tx_finish(tx, cp_feed_remove(tx, a, before, removed, err), err);
}


/*
 * `oldest` becomes the highest revision removed: a gateway that is behind it
 * may have missed a deletion.
 */
static cp_rc_t
cp_feed_remove(cp_tx_t *tx, cp_arena_t *a, int64_t before, int64_t *removed,
    cp_err_t *err)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_feed_lock(tx, a, err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, a, "SELECT COALESCE(MAX(rev), 0), COUNT(*) FROM feed"
                     " WHERE deleted = 1 AND changed_ms < $1",
                     cp_args(cp_int(before)), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    *removed = cp_cell(&rows, 0, 1)->i;

    rc = cp_tx_query(tx, a, "DELETE FROM feed"
                     " WHERE deleted = 1 AND changed_ms < $1",
                     cp_args(cp_int(before)), NULL, err);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_tx_query(tx, a, "UPDATE feed_head SET oldest = $1"
                       " WHERE one = 1 AND oldest < $1",
                       cp_args(*cp_cell(&rows, 0, 0)), NULL, err);
}
