/*
 * SQLite: one writer, readers beside it (WAL).  A second process on the same
 * file is refused, because it would miss the first one's changes of the feed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/stoa_key.h"
#include "store/cp_db_driver.h"


#define CP_SQLITE_PARAMS_MAX  64
#define CP_SQLITE_COLS_MAX    128


typedef struct {
    char  *path;
    int    lock;
} cp_sqlite_t;

typedef struct {
    sqlite3_stmt  *stmt;
    char          *sql;
    uint64_t       hash;
    uint64_t       used;           /* for eviction of the oldest            */
    unsigned       nparams;
    uint8_t        param[CP_SQLITE_PARAMS_MAX];   /* 0-based argument       */
} cp_sqlite_stmt_t;

typedef struct {
    sqlite3           *db;
    uint64_t           clock;
    unsigned           n;
    cp_sqlite_stmt_t   stmt[CP_DB_STATEMENTS];
} cp_sqlite_conn_t;


static const char  *cp_sqlite_setup[] = {
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",   /* a commit survives a power cut         */
    "PRAGMA foreign_keys = ON",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA mmap_size = 67108864",
    NULL
};


static cp_rc_t
cp_sqlite_open(cp_db_moved_pt moved, void *ctx, const char *target,
    void **state, cp_err_t *err)
{
    int           n;
    char          name[4096];
    cp_sqlite_t  *s;

    (void) moved;
    (void) ctx;

    n = snprintf(name, sizeof(name), "%s.lock", target);

    if (n < 0 || (size_t) n >= sizeof(name)) {
        return cp_err_set(err, "validation", "the database's path is too "
                          "long");
    }

    s = calloc(1, sizeof(cp_sqlite_t));
    if (s == NULL) {
        return cp_err_set(err, "internal", "out of memory");
    }

    s->path = strdup(target);
    s->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (s->path == NULL || s->lock == -1) {
        (void) cp_err_set(err, "internal", "cannot open \"%s\": %s", name,
                          strerror(errno));
        goto failed;
    }

    if (flock(s->lock, LOCK_EX | LOCK_NB) == -1) {
        (void) cp_err_set(err, "internal", "\"%s\" is in use by another "
                          "process; several of them need PostgreSQL", target);
        goto failed;
    }

    *state = s;

    return CP_OK;

failed:

    if (s->lock != -1) {
        (void) close(s->lock);
    }

    free(s->path);
    free(s);

    return CP_ERROR;
}


static void
cp_sqlite_close(void *state)
{
    cp_sqlite_t  *s = state;

    (void) close(s->lock);
    free(s->path);
    free(s);
}


/* VACUUM INTO reads in one transaction, beside any writer, and refuses a file
 * that is there. */

static cp_rc_t
cp_sqlite_backup(const char *target, const char *file, cp_err_t *err)
{
    int            rc;
    sqlite3       *db;
    sqlite3_stmt  *stmt;

    stmt = NULL;
    rc = sqlite3_open_v2(target, &db, SQLITE_OPEN_READWRITE, NULL);

    if (rc == SQLITE_OK) {
        (void) sqlite3_busy_timeout(db, 10000);
        rc = sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &stmt, NULL);
    }

    if (rc == SQLITE_OK) {
        (void) sqlite3_bind_text(stmt, 1, file, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }

    if (rc == SQLITE_DONE) {
        rc = SQLITE_OK;

    } else {
        (void) cp_err_set(err, "internal", "cannot copy \"%s\" to \"%s\": "
                          "%s", target, file, sqlite3_errmsg(db));
    }

    (void) sqlite3_finalize(stmt);
    (void) sqlite3_close(db);

    return (rc == SQLITE_OK) ? CP_OK : CP_ERROR;
}


static void
cp_sqlite_disconnect(void *conn)
{
    cp_sqlite_conn_t  *c = conn;

    unsigned           i;

    for (i = 0; i < c->n; i++) {
        (void) sqlite3_finalize(c->stmt[i].stmt);
        free(c->stmt[i].sql);
    }

    (void) sqlite3_close(c->db);
    free(c);
}


static void *
cp_sqlite_connect(void *state, bool write, cp_err_t *err)
{
    cp_sqlite_t       *s = state;

    int                rc;
    unsigned           i;
    cp_sqlite_conn_t  *c;

    c = calloc(1, sizeof(cp_sqlite_conn_t));
    if (c == NULL) {
        return NULL;
    }

    rc = sqlite3_open_v2(s->path, &c->db, SQLITE_OPEN_READWRITE
                         | SQLITE_OPEN_NOMUTEX
                         | (write ? SQLITE_OPEN_CREATE : 0), NULL);

    if (rc == SQLITE_OK) {
        (void) sqlite3_extended_result_codes(c->db, 1);
        (void) sqlite3_busy_timeout(c->db, 10000);
    }

    for (i = 0; rc == SQLITE_OK && cp_sqlite_setup[i] != NULL; i++) {
        rc = sqlite3_exec(c->db, cp_sqlite_setup[i], NULL, NULL, NULL);
    }

    if (rc == SQLITE_OK && !write) {
        rc = sqlite3_exec(c->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
    }

    if (rc != SQLITE_OK) {
        cp_log(CP_LOG_ERROR, "db", "cannot open \"%s\": %s", s->path,
               (c->db != NULL) ? sqlite3_errmsg(c->db) : "out of memory");
        (void) cp_err_set(err, "internal", "cannot open the database \"%s\": "
                          "%s", s->path, (c->db != NULL)
                          ? sqlite3_errmsg(c->db) : "out of memory");
        cp_sqlite_disconnect(c);
        return NULL;
    }

    return c;
}


static bool
cp_sqlite_alive(void *conn)
{
    (void) conn;

    return true;
}


/* Logs, and says what an error means for the caller. */

static cp_rc_t
cp_sqlite_failed(cp_sqlite_conn_t *c, const char *sql, cp_err_t *err)
{
    int  rc;

    rc = sqlite3_extended_errcode(c->db);

    switch (rc) {

    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        cp_log(CP_LOG_DEBUG, "db", "%s", sqlite3_errmsg(c->db));
        return cp_err_set(err, "already_exists",
                          "something with the same name or value exists");

    case SQLITE_CONSTRAINT_FOREIGNKEY:
        cp_log(CP_LOG_DEBUG, "db", "%s", sqlite3_errmsg(c->db));
        return cp_err_set(err, "in_use", "something else refers to it");

    default:
        break;
    }

    cp_log(CP_LOG_ERROR, "db", "%s code:%d sql:\"%.200s\"",
           sqlite3_errmsg(c->db), rc, sql);

    switch (rc & 0xff) {

    case SQLITE_BUSY:
        return CP_CONFLICT;

    case SQLITE_FULL:
    case SQLITE_IOERR:
        return cp_err_set(err, "unavailable", "the database cannot be "
                          "written: %s", sqlite3_errstr(rc & 0xff));

    default:
        return CP_ERROR;
    }
}


static cp_rc_t
cp_sqlite_exec(cp_sqlite_conn_t *c, const char *sql, cp_err_t *err)
{
    return (sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK)
           ? CP_OK : cp_sqlite_failed(c, sql, err);
}


static cp_rc_t
cp_sqlite_begin(void *conn, bool write)
{
    return cp_sqlite_exec(conn, write ? "BEGIN IMMEDIATE" : "BEGIN", NULL);
}


static cp_rc_t
cp_sqlite_commit(void *conn)
{
    cp_rc_t            rc;
    cp_sqlite_conn_t  *c = conn;

    rc = cp_sqlite_exec(c, "COMMIT", NULL);

    return (rc != CP_OK && sqlite3_errcode(c->db) == SQLITE_FULL)
           ? CP_DECLINED : rc;
}


static void
cp_sqlite_rollback(void *conn)
{
    cp_sqlite_conn_t  *c = conn;

    if (!sqlite3_get_autocommit(c->db)) {
        (void) cp_sqlite_exec(c, "ROLLBACK", NULL);
    }
}


static cp_rc_t
cp_sqlite_script(void *conn, const char *sql, cp_err_t *err)
{
    cp_rc_t            rc;
    cp_sqlite_conn_t  *c = conn;

    rc = cp_sqlite_exec(c, sql, NULL);

    if (rc != CP_OK) {
        return cp_err_set(err, "internal", "%s", sqlite3_errmsg(c->db));
    }

    return CP_OK;
}


/* SQLite numbers named parameters by their first appearance: "$2" may be its
 * parameter 1. */

static cp_rc_t
cp_sqlite_params(cp_sqlite_stmt_t *st)
{
    int          i, n;
    long         k;
    char        *end;
    const char  *name;

    n = sqlite3_bind_parameter_count(st->stmt);

    if (n > CP_SQLITE_PARAMS_MAX) {
        return CP_ERROR;
    }

    for (i = 1; i <= n; i++) {

        name = sqlite3_bind_parameter_name(st->stmt, i);

        if (name == NULL || name[0] != '$') {
            return CP_ERROR;
        }

        k = strtol(name + 1, &end, 10);

        if (*end != '\0' || k < 1 || k > CP_SQLITE_PARAMS_MAX) {
            return CP_ERROR;
        }

        st->param[i - 1] = (uint8_t) (k - 1);
    }

    st->nparams = (unsigned) n;

    return CP_OK;
}


static cp_rc_t
cp_sqlite_prepare(cp_sqlite_conn_t *c, cp_sqlite_stmt_t *st, const char *sql,
    uint64_t hash)
{
    const char  *tail;

    memset(st, 0, sizeof(cp_sqlite_stmt_t));

    if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                           &st->stmt, &tail) != SQLITE_OK)
    {
        return cp_sqlite_failed(c, sql, NULL);
    }

    st->sql = strdup(sql);
    st->hash = hash;

    if (st->stmt == NULL || st->sql == NULL
        || cp_sqlite_params(st) != CP_OK)
    {
        cp_log(CP_LOG_ERROR, "db", "bad statement sql:\"%.200s\"", sql);
        (void) sqlite3_finalize(st->stmt);
        free(st->sql);
        return CP_ERROR;
    }

    return CP_OK;
}


static cp_sqlite_stmt_t *
cp_sqlite_statement(cp_sqlite_conn_t *c, const char *sql)
{
    unsigned           i, oldest;
    uint64_t           hash;
    cp_sqlite_stmt_t   made;

    hash = stoa_hash64(sql, strlen(sql), 0);

    for (oldest = 0, i = 0; i < c->n; i++) {

        if (c->stmt[i].hash == hash && strcmp(c->stmt[i].sql, sql) == 0) {
            c->stmt[i].used = ++c->clock;
            return &c->stmt[i];
        }

        if (c->stmt[i].used < c->stmt[oldest].used) {
            oldest = i;
        }
    }

    if (cp_sqlite_prepare(c, &made, sql, hash) != CP_OK) {
        return NULL;
    }

    if (c->n < CP_DB_STATEMENTS) {
        i = c->n++;

    } else {
        i = oldest;
        (void) sqlite3_finalize(c->stmt[i].stmt);
        free(c->stmt[i].sql);
    }

    c->stmt[i] = made;
    c->stmt[i].used = ++c->clock;

    return &c->stmt[i];
}


static int
cp_sqlite_bind(cp_sqlite_stmt_t *st, const cp_val_t *args, unsigned nargs)
{
    int              rc, k;
    unsigned         i;
    const cp_val_t  *v;

    for (rc = SQLITE_OK, i = 0; i < st->nparams && rc == SQLITE_OK; i++) {

        if (st->param[i] >= nargs) {
            return SQLITE_RANGE;
        }

        v = &args[st->param[i]];
        k = (int) i + 1;

        switch (v->type) {

        case CP_VAL_NULL:
            rc = sqlite3_bind_null(st->stmt, k);
            break;

        case CP_VAL_INT:
            rc = sqlite3_bind_int64(st->stmt, k, v->i);
            break;

        case CP_VAL_TEXT:
            rc = sqlite3_bind_text64(st->stmt, k, v->p, v->len, SQLITE_STATIC,
                                     SQLITE_UTF8);
            break;

        case CP_VAL_BLOB:
            rc = sqlite3_bind_blob64(st->stmt, k, v->p, v->len,
                                     SQLITE_STATIC);
            break;
        }
    }

    return rc;
}


static void
cp_sqlite_value(sqlite3_stmt *stmt, int i, cp_val_t *v)
{
    memset(v, 0, sizeof(cp_val_t));

    switch (sqlite3_column_type(stmt, i)) {

    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        v->type = CP_VAL_INT;
        v->i = sqlite3_column_int64(stmt, i);
        break;

    case SQLITE_TEXT:
        v->type = CP_VAL_TEXT;
        v->p = (const char *) sqlite3_column_text(stmt, i);
        v->len = (size_t) sqlite3_column_bytes(stmt, i);
        break;

    case SQLITE_BLOB:
        v->type = CP_VAL_BLOB;
        v->p = sqlite3_column_blob(stmt, i);
        v->len = (size_t) sqlite3_column_bytes(stmt, i);

        if (v->p == NULL) {
            v->p = "";
        }

        break;

    default:
        v->type = CP_VAL_NULL;
        break;
    }
}


static cp_rc_t
cp_sqlite_rows(cp_sqlite_conn_t *c, cp_sqlite_stmt_t *st, cp_row_pt cb,
    void *ctx, cp_err_t *err)
{
    int       rc, i, n;
    cp_rc_t   answer;
    cp_val_t  row[CP_SQLITE_COLS_MAX];

    n = sqlite3_column_count(st->stmt);

    if (n > CP_SQLITE_COLS_MAX) {
        cp_log(CP_LOG_ERROR, "db", "too many columns sql:\"%.200s\"",
               st->sql);
        return CP_ERROR;
    }

    while ((rc = sqlite3_step(st->stmt)) == SQLITE_ROW) {

        for (i = 0; i < n; i++) {
            cp_sqlite_value(st->stmt, i, &row[i]);
        }

        answer = cb(ctx, row, (unsigned) n);
        if (answer != CP_OK) {
            return answer;
        }
    }

    return (rc == SQLITE_DONE) ? CP_OK : cp_sqlite_failed(c, st->sql, err);
}


static cp_rc_t
cp_sqlite_run(void *conn, const char *sql, const cp_val_t *args,
    unsigned nargs, bool stream, cp_row_pt cb, void *ctx, cp_err_t *err)
{
    cp_rc_t            rc;
    cp_sqlite_conn_t  *c = conn;
    cp_sqlite_stmt_t  *st;

    (void) stream;

    st = cp_sqlite_statement(c, sql);
    if (st == NULL) {
        return CP_ERROR;
    }

    if (cp_sqlite_bind(st, args, nargs) != SQLITE_OK) {
        cp_log(CP_LOG_ERROR, "db", "cannot bind %u arguments sql:\"%.200s\"",
               nargs, sql);
        rc = CP_ERROR;

    } else {
        rc = cp_sqlite_rows(c, st, cb, ctx, err);
    }

    (void) sqlite3_reset(st->stmt);
    (void) sqlite3_clear_bindings(st->stmt);

    return rc;
}


const cp_driver_t  cp_sqlite_driver = {
    .name = "sqlite",
    .blob = "BLOB",
    .serial = "INTEGER PRIMARY KEY AUTOINCREMENT",
    .writers = 1,
    .open = cp_sqlite_open,
    .close = cp_sqlite_close,
    .connect = cp_sqlite_connect,
    .disconnect = cp_sqlite_disconnect,
    .alive = cp_sqlite_alive,
    .begin = cp_sqlite_begin,
    .commit = cp_sqlite_commit,
    .rollback = cp_sqlite_rollback,
    .script = cp_sqlite_script,
    .run = cp_sqlite_run,
    .backup = cp_sqlite_backup
};
