/*
 * The database behind one interface: SQLite (WAL) and PostgreSQL.
 *
 * cp_db_t is the pool, made once at start; a transaction (cp_tx_t) borrows a
 * connection and belongs to one thread.  Write transactions are serialised by
 * the store itself (SQLite: BEGIN IMMEDIATE under a mutex; PostgreSQL: READ
 * COMMITTED with the head row of `feed_head` locked FOR UPDATE by whoever
 * allocates a revision), so revisions appear in commit order.
 *
 * SQL is written once for both: $1..$n parameters, TEXT, BIGINT, BLOB/BYTEA
 * (migrations say {{BLOB}}, and {{SERIAL}} for an integer primary key that
 * counts by itself; the driver fills them in), ON CONFLICT, RETURNING, LIMIT.
 * No string is ever pasted into SQL.
 */

#ifndef CP_DB_H
#define CP_DB_H


#include "base/cp_json.h"


typedef struct cp_db_s  cp_db_t;
typedef struct cp_tx_s  cp_tx_t;

typedef enum { CP_VAL_NULL, CP_VAL_INT, CP_VAL_TEXT, CP_VAL_BLOB }
    cp_val_type_e;

typedef struct {
    cp_val_type_e  type;
    int64_t        i;
    const char    *p;              /* TEXT is NUL-terminated                */
    size_t         len;
} cp_val_t;

#define cp_null()     ((cp_val_t) { CP_VAL_NULL, 0, NULL, 0 })
#define cp_int(v)     ((cp_val_t) { CP_VAL_INT, (v), NULL, 0 })
cp_val_t cp_text(const char *s);                       /* NULL: null       */
cp_val_t cp_blob(const void *p, size_t len);
/* Text that fits, else "". */
void cp_val_copy(char *dst, size_t size, const cp_val_t *v);

typedef struct {
    unsigned   rows;
    unsigned   cols;
    cp_val_t  *v;                  /* rows x cols                           */
} cp_rows_t;

#define cp_cell(r, row, col)  (&(r)->v[(row) * (r)->cols + (col)])


/* url: "sqlite:PATH" or "postgresql://...".  Applies the migrations. */
cp_db_t *cp_db_open(const char *url, unsigned connections, cp_err_t *err);
void cp_db_close(cp_db_t *db);                         /* NULL is fine      */

/* Copies the database, also one that another process has open, as it is at
 * one moment, to `file`, which must not exist. */
cp_rc_t cp_db_backup(const char *url, const char *file, cp_err_t *err)
    CP_MUST_CHECK;
const char *cp_db_driver(cp_db_t *db);        /* "sqlite" "postgresql" */

/* Whether a write could begin now; those that are under way are proof. */
bool cp_db_writable(cp_db_t *db);

cp_rc_t cp_tx_begin(cp_db_t *db, bool write, cp_tx_t **tx) CP_MUST_CHECK;
/* The same; err says that it could not. */
cp_rc_t cp_tx_open(cp_db_t *db, bool write, cp_tx_t **tx, cp_err_t *err)
    CP_MUST_CHECK;
cp_rc_t cp_tx_commit(cp_tx_t *tx) CP_MUST_CHECK;       /* tx is gone after  */
void cp_tx_rollback(cp_tx_t *tx);                      /* NULL is fine      */

/* One of both, by how it went; err (may be NULL) says when that could not be
 * made sure. */
cp_rc_t cp_tx_finish(cp_tx_t *tx, cp_rc_t rc, cp_err_t *err) CP_MUST_CHECK;

/* Runs one statement; rows (may be NULL) are gathered in the arena, at most
 * 100,000 rows.  A unique violation is CP_DECLINED with *err code
 * "already_exists", a foreign key's is "in_use".  After anything but CP_OK
 * the transaction takes no further statement, only a rollback (so write ON
 * CONFLICT DO NOTHING where going on is wanted). */
cp_rc_t cp_tx_query(cp_tx_t *tx, cp_arena_t *a, const char *sql,
    const cp_val_t *args, unsigned nargs, cp_rows_t *rows, cp_err_t *err)
    CP_MUST_CHECK;

/* In a statement: its plan depends on its values, as most rows may meet them
 * or none, so PostgreSQL makes one each time (0.2 ms). */
#define CP_BY_VALUES  " /* by values */"

/* Streams rows to a callback without gathering; the callback returns CP_OK to
 * go on, and must not use tx.  Its other answers are returned, CP_DECLINED
 * among them: the way to stop early.  PostgreSQL: single-row mode. */
typedef cp_rc_t (*cp_row_pt)(void *ctx, const cp_val_t *row, unsigned cols);
cp_rc_t cp_tx_each(cp_tx_t *tx, const char *sql, const cp_val_t *args,
    unsigned nargs, cp_row_pt cb, void *ctx) CP_MUST_CHECK;

#define cp_args(...)                                                          \
    (const cp_val_t[]) { __VA_ARGS__ },                                       \
    sizeof((const cp_val_t[]) { __VA_ARGS__ }) / sizeof(cp_val_t)

/*
 * What a part of the process keeps for the length of a transaction, under a
 * key of its own (any address).  `end` runs once: before the commit, where it
 * may still write and fail, or at the rollback; it frees data.
 */
typedef cp_rc_t (*cp_tx_end_pt)(cp_tx_t *tx, void *data, bool commit);
cp_rc_t cp_tx_attach(cp_tx_t *tx, const void *key, void *data,
    cp_tx_end_pt end) CP_MUST_CHECK;
void *cp_tx_attached(cp_tx_t *tx, const void *key);            /* or NULL   */

/* Called (any thread) after a commit that moved the feed's head, here or in
 * another replica (LISTEN/NOTIFY). */
void cp_db_on_head(cp_db_t *db, void (*cb)(void *ctx, int64_t rev), void *ctx);
void cp_tx_notify_head(cp_tx_t *tx, int64_t rev);  /* delivered after commit */
/* In the place of a revision: the feed is as it was, what somebody waits for
 * is elsewhere; of two such notices none is dropped. */
#define CP_DB_NEWS  INT64_MAX


#endif /* CP_DB_H */
