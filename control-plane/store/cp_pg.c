/*
 * PostgreSQL through libpq: prepared statements kept per connection, texts as
 * the wire format, single-row mode for streams.
 *
 * A lost connection fails its transaction; cp_db.c opens another one.  Not
 * for a pooler that shares sessions between transactions (prepared statements
 * and LISTEN belong to a session).
 */

#include <stdlib.h>
#include <string.h>

#include "core/stoa_key.h"
#include "store/cp_db_driver.h"

#if (CP_HAVE_PG)

#include "store/cp_pg.h"


#define CP_PG_PARAMS_MAX  64
#define CP_PG_COLS_MAX    128
#define CP_PG_LOCK        "4932145960130637154"     /* of migrations         */

/* Types that are read as numbers (pg_type.oid). */
#define CP_PG_BOOL        16
#define CP_PG_BYTEA       17
#define CP_PG_INT8        20
#define CP_PG_INT2        21
#define CP_PG_INT4        23
#define CP_PG_OID         26
#define CP_PG_FLOAT4      700
#define CP_PG_FLOAT8      701
#define CP_PG_NUMERIC     1700


typedef struct {
    char      *sql;
    uint64_t   hash;
    uint64_t   used;               /* for eviction of the oldest            */
    char       name[24];
} cp_pg_stmt_t;

typedef struct {
    PGconn        *pg;
    bool           stale;          /* its statements are no longer good     */
    uint64_t       clock;
    unsigned       n;
    cp_pg_stmt_t   stmt[CP_DB_STATEMENTS];
} cp_pg_conn_t;

typedef struct {
    const char  *value[CP_PG_PARAMS_MAX];
    int          len[CP_PG_PARAMS_MAX];
    int          format[CP_PG_PARAMS_MAX];
    char         number[CP_PG_PARAMS_MAX][24];
} cp_pg_args_t;


/* What an SQLSTATE, or a class of them, means to the caller; every other one
 * is a fault. */

static const struct {
    const char  *state;
    const char  *code;             /* NULL: CP_CONFLICT                     */
    const char  *detail;
    bool         stale;
} cp_pg_states[] = {
    { "23505", "already_exists",
      "something with the same name or value exists", false },
    { "23503", "in_use", "something else refers to it", false },
    { "40001", NULL, NULL, false },     /* serialization failure             */
    { "40P01", NULL, NULL, false },     /* deadlock                          */
    { "25006", "unavailable", "the database takes no writes", true },
    { "57014", "unavailable", "the database took too long", false },
    { "55P03", "unavailable", "the database is too busy", false },
    { "57P0", "unavailable", "the database is ending or starting", true },
    { "08", "unavailable", "the database went away", true },
    { "53", "unavailable", "the database is out of resources", false },
    { "0A000", NULL, NULL, true },      /* a cached plan that must change    */
    { "26000", NULL, NULL, true },      /* the statement is not there        */
    { NULL, NULL, NULL, false }
};


static cp_rc_t
cp_pg_failed(cp_pg_conn_t *c, const PGresult *res, const char *sql,
    cp_err_t *err)
{
    size_t       len;
    unsigned     i;
    const char  *state, *text;

    state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    for (i = 0; state != NULL && cp_pg_states[i].state != NULL; i++) {

        if (strncmp(cp_pg_states[i].state, state,
                    strlen(cp_pg_states[i].state)) != 0)
        {
            continue;
        }

        c->stale |= cp_pg_states[i].stale;

        if (cp_pg_states[i].code == NULL) {
            cp_log(CP_LOG_INFO, "db", "transaction to be run again state:%s",
                   state);
            return CP_CONFLICT;
        }

        if (strcmp(cp_pg_states[i].code, "unavailable") == 0) {
            cp_log(cp_pg_level(), "db", "%s state:%s", cp_pg_states[i].detail,
                   state);
        }

        return cp_err_set(err, cp_pg_states[i].code, "%s",
                          cp_pg_states[i].detail);
    }

    if (PQstatus(c->pg) != CONNECTION_OK) {
        cp_log(cp_pg_level(), "db", "lost the connection sql:\"%.200s\"",
               sql);
        return cp_err_set(err, "unavailable", "the database went away");
    }

    text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    text = (text != NULL) ? text : PQerrorMessage(c->pg);
    len = strcspn(text, "\n");

    cp_log(CP_LOG_ERROR, "db", "%.*s state:%s sql:\"%.200s\"", (int) len,
           text, (state != NULL) ? state : "-", sql);

    return CP_ERROR;
}


static cp_rc_t
cp_pg_open(cp_db_moved_pt moved, void *ctx, const char *target,
    void **state, cp_err_t *err)
{
    cp_pg_t  *pg;

    pg = calloc(1, sizeof(cp_pg_t));
    if (pg == NULL) {
        return cp_err_set(err, "internal", "out of memory");
    }

    pg->moved = moved;
    pg->ctx = ctx;
    pg->url = strdup(target);

    if (pg->url == NULL || cp_pg_listen_start(pg, err) != CP_OK) {
        free(pg->url);
        free(pg);
        return CP_ERROR;
    }

    *state = pg;

    return CP_OK;
}


static void
cp_pg_close(void *state)
{
    cp_pg_t  *pg = state;

    cp_pg_listen_stop(pg);
    free(pg->url);
    free(pg);
}


static cp_rc_t
cp_pg_exec(cp_pg_conn_t *c, const char *sql, cp_err_t *err)
{
    cp_rc_t    rc;
    PGresult  *res;

    res = PQexec(c->pg, sql);

    rc = (PQresultStatus(res) == PGRES_COMMAND_OK
          || PQresultStatus(res) == PGRES_TUPLES_OK)
         ? CP_OK : cp_pg_failed(c, res, sql, err);

    PQclear(res);

    return rc;
}


static void
cp_pg_disconnect(void *conn)
{
    unsigned       i;
    cp_pg_conn_t  *c = conn;

    for (i = 0; i < c->n; i++) {
        free(c->stmt[i].sql);
    }

    PQfinish(c->pg);
    free(c);
}


static void *
cp_pg_connect(void *state, bool write, cp_err_t *err)
{
    cp_pg_t       *pg = state;
    cp_pg_conn_t  *c;

    (void) write;

    c = calloc(1, sizeof(cp_pg_conn_t));
    if (c == NULL) {
        return NULL;
    }

    c->pg = cp_pg_dial(pg->url, err);
    if (c->pg == NULL) {
        free(c);
        return NULL;
    }

    /* compiling a sum of many columns takes longer than adding it up; and
     * nobody may hold up the others for ever */

    if (cp_pg_exec(c, "SET jit = off", err) != CP_OK
        || cp_pg_exec(c, "SET lock_timeout = '20s'", err) != CP_OK
        || cp_pg_exec(c, "SET idle_in_transaction_session_timeout = '60s'",
                      err) != CP_OK)
    {
        cp_pg_disconnect(c);
        return NULL;
    }

    return c;
}


static bool
cp_pg_alive(void *conn)
{
    cp_pg_conn_t  *c = conn;

    return !c->stale && PQstatus(c->pg) == CONNECTION_OK
           && PQtransactionStatus(c->pg) == PQTRANS_IDLE;
}


static cp_rc_t
cp_pg_begin(void *conn, bool write)
{
    cp_pg_conn_t  *c = conn;

    if (write && cp_pg_readonly(c->pg)) {
        cp_log(cp_pg_level(), "db", "the server takes no writes");
        c->stale = true;
        return CP_ERROR;
    }

    return cp_pg_exec(conn, write ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                                  : "BEGIN ISOLATION LEVEL REPEATABLE READ "
                                    "READ ONLY", NULL);
}


static cp_rc_t
cp_pg_commit(void *conn)
{
    cp_rc_t        rc;
    PGresult      *res;
    cp_pg_conn_t  *c = conn;

    res = PQexec(c->pg, "COMMIT");

    if (PQresultStatus(res) != PGRES_COMMAND_OK) {
        rc = cp_pg_failed(c, res, "COMMIT", NULL);

    } else {

        /* a transaction that had failed answers ROLLBACK */

        rc = (strcmp(PQcmdStatus(res), "COMMIT") == 0) ? CP_OK : CP_ERROR;
    }

    PQclear(res);

    return rc;
}


static void
cp_pg_rollback(void *conn)
{
    cp_pg_conn_t  *c = conn;

    if (PQstatus(c->pg) == CONNECTION_OK
        && PQtransactionStatus(c->pg) != PQTRANS_IDLE)
    {
        (void) cp_pg_exec(c, "ROLLBACK", NULL);
    }
}


static cp_rc_t
cp_pg_script(void *conn, const char *sql, cp_err_t *err)
{
    cp_pg_conn_t  *c = conn;

    if (cp_pg_exec(c, sql, NULL) == CP_OK) {
        return CP_OK;
    }

    return cp_err_set(err, "internal", "%.*s",
                      (int) strcspn(PQerrorMessage(c->pg), "\n"),
                      PQerrorMessage(c->pg));
}


static cp_rc_t
cp_pg_lock(void *conn, cp_err_t *err)
{
    cp_rc_t  rc;

    /* another replica's migrations may take longer than other locks may */

    rc = cp_pg_exec(conn, "SET lock_timeout = '10min'", err);

    if (rc == CP_OK) {
        rc = cp_pg_exec(conn, "SELECT pg_advisory_lock(" CP_PG_LOCK ")", err);
    }

    return rc;
}


static void
cp_pg_unlock(void *conn)
{
    (void) cp_pg_exec(conn, "SELECT pg_advisory_unlock(" CP_PG_LOCK ")", NULL);
    (void) cp_pg_exec(conn, "SET lock_timeout = '20s'", NULL);
}


static cp_rc_t
cp_pg_prepare(cp_pg_conn_t *c, cp_pg_stmt_t *st, const char *sql,
    uint64_t hash, cp_err_t *err)
{
    cp_rc_t    rc;
    PGresult  *res;

    memset(st, 0, sizeof(cp_pg_stmt_t));

    st->hash = hash;
    st->used = ++c->clock;
    st->sql = strdup(sql);

    if (st->sql == NULL) {
        return CP_ERROR;
    }

    (void) snprintf(st->name, sizeof(st->name), "s%llu",
                    (unsigned long long) c->clock);

    res = PQprepare(c->pg, st->name, sql, 0, NULL);
    rc = (PQresultStatus(res) == PGRES_COMMAND_OK)
         ? CP_OK : cp_pg_failed(c, res, sql, err);
    PQclear(res);

    if (rc != CP_OK) {
        free(st->sql);
    }

    return rc;
}


static void
cp_pg_forget(cp_pg_conn_t *c, cp_pg_stmt_t *st)
{
    char  sql[48];

    (void) snprintf(sql, sizeof(sql), "DEALLOCATE %s", st->name);
    (void) cp_pg_exec(c, sql, NULL);

    free(st->sql);
}


static cp_rc_t
cp_pg_statement(cp_pg_conn_t *c, const char *sql, cp_pg_stmt_t **out,
    cp_err_t *err)
{
    cp_rc_t        rc;
    unsigned       i, oldest;
    uint64_t       hash;
    cp_pg_stmt_t   made;

    hash = stoa_hash64(sql, strlen(sql), 0);

    for (oldest = 0, i = 0; i < c->n; i++) {

        if (c->stmt[i].hash == hash && strcmp(c->stmt[i].sql, sql) == 0) {
            c->stmt[i].used = ++c->clock;
            *out = &c->stmt[i];
            return CP_OK;
        }

        if (c->stmt[i].used < c->stmt[oldest].used) {
            oldest = i;
        }
    }

    rc = cp_pg_prepare(c, &made, sql, hash, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (c->n < CP_DB_STATEMENTS) {
        i = c->n++;

    } else {
        i = oldest;
        cp_pg_forget(c, &c->stmt[i]);
    }

    c->stmt[i] = made;
    *out = &c->stmt[i];

    return CP_OK;
}


static void
cp_pg_bind(cp_pg_args_t *a, const cp_val_t *args, unsigned nargs)
{
    unsigned  i;

    for (i = 0; i < nargs; i++) {

        a->value[i] = args[i].p;
        a->len[i] = (int) args[i].len;
        a->format[i] = (args[i].type == CP_VAL_BLOB);

        if (args[i].type == CP_VAL_NULL) {
            a->value[i] = NULL;

        } else if (args[i].type == CP_VAL_INT) {
            (void) snprintf(a->number[i], sizeof(a->number[i]), "%lld",
                            (long long) args[i].i);
            a->value[i] = a->number[i];
        }
    }
}


static void
cp_pg_value(const PGresult *res, int row, int col, cp_val_t *v)
{
    char    *p;
    size_t   len;

    memset(v, 0, sizeof(cp_val_t));

    if (PQgetisnull(res, row, col)) {
        return;
    }

    p = PQgetvalue(res, row, col);
    len = (size_t) PQgetlength(res, row, col);

    switch (PQftype(res, col)) {

    case CP_PG_BOOL:
        v->type = CP_VAL_INT;
        v->i = (p[0] == 't');
        break;

    case CP_PG_INT8:
    case CP_PG_INT2:
    case CP_PG_INT4:
    case CP_PG_OID:
        v->type = CP_VAL_INT;
        v->i = strtoll(p, NULL, 10);
        break;

    case CP_PG_FLOAT4:
    case CP_PG_FLOAT8:
    case CP_PG_NUMERIC:

        /* sums of BIGINT are NUMERIC; beyond 64 bits they saturate */

        v->type = CP_VAL_INT;
        v->i = (strpbrk(p, "eE") != NULL) ? (int64_t) strtod(p, NULL)
                                          : strtoll(p, NULL, 10);
        break;

    case CP_PG_BYTEA:

        /* "\x0aff", decoded where it lies: the result is ours */

        v->type = CP_VAL_BLOB;
        v->p = p;
        v->len = (len >= 2) ? (len - 2) / 2 : 0;

        if (v->len > 0) {
            (void) stoa_hex_decode(p + 2, v->len * 2, (uint8_t *) p);
        }

        break;

    default:
        v->type = CP_VAL_TEXT;
        v->p = p;
        v->len = len;
        break;
    }
}


static cp_rc_t
cp_pg_rows(const PGresult *res, const char *sql, cp_row_pt cb, void *ctx)
{
    int       row, col, rows, cols;
    cp_rc_t   rc;
    cp_val_t  v[CP_PG_COLS_MAX];

    rows = PQntuples(res);
    cols = PQnfields(res);

    if (cols > CP_PG_COLS_MAX) {
        cp_log(CP_LOG_ERROR, "db", "too many columns sql:\"%.200s\"", sql);
        return CP_ERROR;
    }

    for (rc = CP_OK, row = 0; row < rows && rc == CP_OK; row++) {

        for (col = 0; col < cols; col++) {
            cp_pg_value(res, row, col, &v[col]);
        }

        rc = cb(ctx, v, (unsigned) cols);
    }

    return rc;
}


/* Tells the server that the rest of the rows is not wanted. */

static void
cp_pg_cancel(cp_pg_conn_t *c)
{
    char       why[256];
    PGcancel  *cancel;

    cancel = PQgetCancel(c->pg);

    if (cancel != NULL) {
        (void) PQcancel(cancel, why, sizeof(why));
        PQfreeCancel(cancel);
    }
}


static cp_rc_t
cp_pg_stream(cp_pg_conn_t *c, const char *sql, cp_row_pt cb, void *ctx,
    cp_err_t *err)
{
    cp_rc_t          rc;
    PGresult        *res;
    ExecStatusType   status;

    rc = CP_OK;

    (void) PQsetSingleRowMode(c->pg);

    while ((res = PQgetResult(c->pg)) != NULL) {

        status = PQresultStatus(res);

        if (rc != CP_OK) {

            /* what was on its way when we stopped */

        } else if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK
                   || status == PGRES_COMMAND_OK)
        {
            rc = cp_pg_rows(res, sql, cb, ctx);

            if (rc != CP_OK) {
                cp_pg_cancel(c);
            }

        } else {
            rc = cp_pg_failed(c, res, sql, err);
        }

        PQclear(res);
    }

    return rc;
}


static cp_rc_t
cp_pg_run(void *conn, const char *sql, const cp_val_t *args, unsigned nargs,
    bool stream, cp_row_pt cb, void *ctx, cp_err_t *err)
{
    bool             anew;
    cp_rc_t          rc;
    PGresult        *res;
    cp_pg_conn_t    *c = conn;
    cp_pg_stmt_t    *st;
    cp_pg_args_t     a;
    ExecStatusType   status;

    if (nargs > CP_PG_PARAMS_MAX) {
        cp_log(CP_LOG_ERROR, "db", "too many arguments sql:\"%.200s\"", sql);
        return CP_ERROR;
    }

    cp_pg_bind(&a, args, nargs);
    anew = !stream && strstr(sql, CP_BY_VALUES) != NULL;

    rc = anew ? CP_OK : cp_pg_statement(c, sql, &st, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (stream) {

        if (PQsendQueryPrepared(c->pg, st->name, (int) nargs, a.value, a.len,
                                a.format, 0) != 1)
        {
            return cp_pg_failed(c, NULL, sql, err);
        }

        return cp_pg_stream(c, sql, cb, ctx, err);
    }

    res = anew ? PQexecParams(c->pg, sql, (int) nargs, NULL, a.value, a.len,
                              a.format, 0)
          : PQexecPrepared(c->pg, st->name, (int) nargs, a.value, a.len,
                           a.format, 0);
    status = PQresultStatus(res);

    rc = (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
         ? cp_pg_rows(res, sql, cb, ctx) : cp_pg_failed(c, res, sql, err);

    PQclear(res);

    return rc;
}


static cp_rc_t
cp_pg_ignore(void *ctx, const cp_val_t *row, unsigned cols)
{
    (void) ctx;
    (void) row;
    (void) cols;

    return CP_OK;
}


static cp_rc_t
cp_pg_notify(void *conn, int64_t rev)
{
    char  text[24];

    (void) snprintf(text, sizeof(text), "%lld", (long long) rev);

    return cp_pg_run(conn, "SELECT pg_notify('" CP_PG_CHANNEL "', $1)",
                     cp_args(cp_text(text)), false, cp_pg_ignore, NULL, NULL);
}


const cp_driver_t  cp_pg_driver = {
    .name = "postgresql",
    .blob = "BYTEA",
    .serial = "BIGSERIAL PRIMARY KEY",
    .remote = true,
    .open = cp_pg_open,
    .close = cp_pg_close,
    .connect = cp_pg_connect,
    .disconnect = cp_pg_disconnect,
    .alive = cp_pg_alive,
    .begin = cp_pg_begin,
    .commit = cp_pg_commit,
    .rollback = cp_pg_rollback,
    .script = cp_pg_script,
    .run = cp_pg_run,
    .lock = cp_pg_lock,
    .unlock = cp_pg_unlock,
    .notify = cp_pg_notify
};

#endif /* CP_HAVE_PG */
