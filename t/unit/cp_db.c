/*
 * Tests of the store: values, transactions, errors, pools, head callbacks.
 * On a SQLite file in the current folder, or on what STOA_UNIT_DB names.
 */

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/cp_db.h"
#include "tap.h"


#define THREADS  6
#define COMMITS  50

#define INSERT  "INSERT INTO tenants (ver, id, name, title, state,"           \
                " created_at, updated_at) VALUES ($7, $1, $2, $3, $4, $5, $6)"

static cp_db_t     *db;
static cp_arena_t  *arena;
static cp_err_t     err;
static int64_t      head;


static void
on_head(void *ctx, int64_t rev)
{
    (void) ctx;

    head = rev;
}


static cp_tx_t *
begin(bool write)
{
    cp_tx_t  *tx;

    memset(&err, 0, sizeof(cp_err_t));
    err.arena = arena;

    if (cp_tx_begin(db, write, &tx) != CP_OK) {
        tap_ok(false, "a transaction begins");
        exit(1);
    }

    return tx;
}


static cp_rc_t
run(cp_tx_t *tx, const char *sql, cp_rows_t *rows)
{
    return cp_tx_query(tx, arena, sql, NULL, 0, rows, &err);
}


static cp_rc_t
tenant(cp_tx_t *tx, const char *id, const char *name)
{
    return cp_tx_query(tx, arena, INSERT,
                       cp_args(cp_text(id), cp_text(name), cp_null(),
                               cp_text("active"), cp_int(5),
                               cp_int((int64_t) 1 << 60), cp_int(-1)),
                       NULL, &err);
}


static void
test_values(void)
{
    cp_tx_t    *tx;
    cp_rows_t   r;

    tx = begin(true);
    tap_int(run(tx, "DELETE FROM idempotency", NULL), CP_OK, "a delete");
    tap_int(run(tx, "DELETE FROM tenants", NULL), CP_OK, "another one");
    tap_int(tenant(tx, "id1", "n\xc3\xa4me"), CP_OK, "an insert");
    tap_int(cp_tx_query(tx, arena, "INSERT INTO idempotency (actor,"
                        " key_digest, request, status, headers, answer,"
                        " created_at) VALUES ($1, $2, '', $3, '', $4, 0)",
                        cp_args(cp_text("x"), cp_text(""), cp_int(5),
                                cp_blob("\0\1\377", 3)), NULL, &err),
            CP_OK, "bytes");
    cp_tx_notify_head(tx, 77);
    tap_int(head, 0, "nobody hears before the commit");
    tap_int(cp_tx_commit(tx), CP_OK, "a commit");
    tap_int(head, 77, "the callback after it");

    tx = begin(false);
    tap_int(cp_tx_query(tx, arena, "SELECT name, title, updated_at, ver FROM"
                        " tenants WHERE name = $2 OR name = $1",
                        cp_args(cp_text("q"), cp_text("n\xc3\xa4me")), &r,
                        &err), CP_OK, "parameters in any order");
    tap_int(r.rows, 1, "one row");
    tap_str(cp_cell(&r, 0, 0)->p, cp_cell(&r, 0, 0)->len, "n\xc3\xa4me",
            "a text");
    tap_int(cp_cell(&r, 0, 1)->type, CP_VAL_NULL, "a null");
    tap_ok(cp_cell(&r, 0, 2)->i == (int64_t) 1 << 60, "a large number");
    tap_int(cp_cell(&r, 0, 3)->i, -1, "a negative one");

    tap_int(run(tx, "SELECT answer, key_digest, COUNT(*), SUM(status) FROM"
                " idempotency GROUP BY 1, 2", &r), CP_OK, "sums");
    tap_ok(cp_cell(&r, 0, 0)->type == CP_VAL_BLOB
           && cp_cell(&r, 0, 0)->len == 3
           && memcmp(cp_cell(&r, 0, 0)->p, "\0\1\377", 3) == 0, "the bytes");
    tap_ok(cp_cell(&r, 0, 1)->type == CP_VAL_TEXT
           && cp_cell(&r, 0, 1)->len == 0, "an empty text is no null");
    tap_ok(cp_cell(&r, 0, 2)->i == 1 && cp_cell(&r, 0, 3)->type == CP_VAL_INT
           && cp_cell(&r, 0, 3)->i == 5, "a count and a sum");
    tap_int(run(tx, "SELECT 1 WHERE 1 = 0", &r), CP_OK, "no row");
    tap_ok(r.rows == 0 && r.v == NULL, "is no fault");
    cp_tx_rollback(tx);
}


static void
test_faults(void)
{
    cp_rc_t     rc;
    cp_tx_t    *tx;
    cp_rows_t   r;

    tx = begin(true);
    tap_int(tenant(tx, "id2", "n\xc3\xa4me"), CP_DECLINED, "a name twice");
    tap_str(err.code, strlen(err.code), "already_exists", "its code");
    tap_ok(run(tx, "SELECT 1", &r) != CP_OK,
           "a failed transaction takes nothing more");
    tap_ok(cp_tx_commit(tx) != CP_OK, "and is not committed");

    tx = begin(true);
    rc = run(tx, "INSERT INTO admin_tokens (id, name, state, role, tenant,"
             " token_digest, created_at, updated_at, ver) VALUES ('a', 'b',"
             " 'c', 'd', 'nobody', 'x', 1, 1, 1)", NULL);
    tap_int(rc, CP_DECLINED, "a reference to nothing");
    tap_str(err.code, strlen(err.code), "in_use", "its code");
    cp_tx_rollback(tx);

    tx = begin(false);
    tap_int(run(tx, "DELETE FROM tenants", NULL), CP_ERROR,
            "a reader does not write");
    cp_tx_rollback(tx);

    tx = begin(true);
    tap_int(run(tx, "SELEC 1", NULL), CP_ERROR, "bad SQL");
    cp_tx_rollback(tx);
    cp_tx_rollback(NULL);

    tx = begin(true);
    tap_int(tenant(tx, "id3", "gone"), CP_OK, "an insert");
    cp_tx_rollback(tx);
    tx = begin(false);
    tap_int(run(tx, "SELECT 1 FROM tenants WHERE id = 'id3'", &r), CP_OK,
            "after a rollback");
    tap_int(r.rows, 0, "it is not there");
    cp_tx_rollback(tx);
}


typedef struct {
    cp_tx_t  *tx;
    long      sum;
    long      stop;
} each_t;


static cp_rc_t
each(void *ctx, const cp_val_t *row, unsigned cols)
{
    cp_rows_t   r;
    each_t     *e = ctx;

    (void) cols;

    e->sum += row[0].i;

    if (e->tx != NULL) {
        return run(e->tx, "SELECT 1", &r);
    }

    return (row[0].i == e->stop) ? CP_DECLINED : CP_OK;
}


static void
test_streams(void)
{
    each_t    e;
    cp_tx_t  *tx;

    static const char  sql[] = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL "
                               "SELECT x + 1 FROM c WHERE x < $1) "
                               "SELECT x FROM c";

    memset(&e, 0, sizeof(each_t));

    tx = begin(false);
    tap_int(cp_tx_each(tx, sql, cp_args(cp_int(200000)), each, &e), CP_OK,
            "200,000 rows");
    tap_int(e.sum, 20000100000, "each of them once");
    cp_tx_rollback(tx);

    memset(&e, 0, sizeof(each_t));
    e.stop = 3;
    tx = begin(false);
    tap_int(cp_tx_each(tx, sql, cp_args(cp_int(200000)), each, &e),
            CP_DECLINED, "the callback may stop");
    tap_int(e.sum, 6, "at once");
    cp_tx_rollback(tx);

    memset(&e, 0, sizeof(each_t));
    tx = begin(false);
    e.tx = tx;
    tap_int(cp_tx_each(tx, sql, cp_args(cp_int(10)), each, &e), CP_ERROR,
            "it may not use the transaction");
    cp_tx_rollback(tx);
}


static void
test_statements(void)
{
    int         i;
    char        sql[64];
    cp_tx_t    *tx;
    unsigned    bad;
    cp_rows_t   r;

    tx = begin(false);

    for (bad = 0, i = 0; i < 600; i++) {
        (void) snprintf(sql, sizeof(sql), "SELECT %d + 0", i % 300);
        bad += run(tx, sql, &r) != CP_OK || r.v[0].i != i % 300;
    }

    tap_int(bad, 0, "more statements than are kept");
    cp_tx_rollback(tx);
}


static void *
writer(void *data)
{
    int          i;
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_err_t     e;
    cp_rows_t    r;
    cp_arena_t  *a;
    int          *bad = data;

    a = cp_arena_create(16 * 1024 * 1024);

    for (i = 0; i < COMMITS; i++) {

        memset(&e, 0, sizeof(cp_err_t));
        e.arena = a;

        do {
            if (cp_tx_begin(db, true, &tx) != CP_OK) {
                (*bad)++;
                return NULL;
            }

            rc = cp_tx_query(tx, a, "UPDATE feed_head SET rev = rev + $2 "
                             "WHERE one = $1 RETURNING rev",
                             cp_args(cp_int(1), cp_int(1)), &r, &e);

            if (rc == CP_OK) {
                rc = cp_tx_commit(tx);

            } else {
                cp_tx_rollback(tx);
            }

        } while (rc == CP_CONFLICT);

        *bad += (rc != CP_OK);
    }

    cp_arena_destroy(a);

    return NULL;
}


static int64_t
rev(void)
{
    cp_tx_t    *tx;
    cp_rows_t   r;

    tx = begin(false);
    (void) (run(tx, "SELECT rev FROM feed_head", &r) == CP_OK);
    cp_tx_rollback(tx);

    return cp_cell(&r, 0, 0)->i;
}


static void
test_threads(void)
{
    int         i, bad[THREADS];
    int64_t     before;
    pthread_t   thread[THREADS];

    memset(bad, 0, sizeof(bad));
    before = rev();

    for (i = 0; i < THREADS; i++) {
        (void) pthread_create(&thread[i], NULL, writer, &bad[i]);
    }

    for (i = 0; i < THREADS; i++) {
        (void) pthread_join(thread[i], NULL);
        tap_int(bad[i], 0, "a writing thread");
    }

    tap_int(rev() - before, THREADS * COMMITS, "no commit is lost");
}


int
main(void)
{
    const char  *url;

    url = getenv("STOA_UNIT_DB");

    cp_log_setup(CP_LOG_ERROR, false);
    arena = cp_arena_create(256 * 1024 * 1024);
    err.arena = arena;

    if (url == NULL) {
        url = "sqlite:unit-cp-db.sqlite";
        (void) unlink("unit-cp-db.sqlite");
    }

    tap_ok(cp_db_open("mysql://root:secret@localhost/x", 8, &err) == NULL
           && strstr(err.detail, "secret") == NULL, "an unknown database");
    memset(&err, 0, sizeof(cp_err_t));
    err.arena = arena;

    db = cp_db_open(url, 8, &err);

    if (!tap_ok(db != NULL, "the database opens")) {
        printf("# %s\n", err.detail);
        return tap_done();
    }

    cp_db_on_head(db, on_head, NULL);

    test_values();
    test_faults();
    test_streams();
    test_statements();
    test_threads();

    cp_db_close(db);

    db = cp_db_open(url, 2, &err);
    tap_ok(db != NULL, "it opens again");
    cp_db_close(db);

    cp_arena_destroy(arena);

    return tap_done();
}
