/*
 * Pools of connections, transactions, gathering of rows; what is the same for
 * every database.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cp_metrics.h"
#include "store/cp_db_driver.h"


#define CP_DB_ROWS_MAX   100000
#define CP_DB_HOOKS_MAX  4
#define CP_DB_POOL_MAX   64
#define CP_DB_ATTACHED   4


typedef struct {
    void      *conn;               /* NULL: not opened yet                  */
    bool       busy;
} cp_slot_t;

typedef struct {
    cp_slot_t        slot[CP_DB_POOL_MAX];
    unsigned         n;
    pthread_mutex_t  mutex;
    pthread_cond_t   cond;
} cp_pool_t;

struct cp_db_s {
    const cp_driver_t  *driver;
    void               *state;
    cp_pool_t           pool[2];   /* readers, writers                      */
    cp_metric_t        *time[2];

    pthread_mutex_t     mutex;     /* of what follows                       */
    int64_t             head;      /* the last one told                     */
    unsigned            nhooks;
    struct {
        void          (*cb)(void *ctx, int64_t rev);
        void           *ctx;
    } hook[CP_DB_HOOKS_MAX];
};

#define CP_TX_MAGIC  0x7ac70001u

struct cp_tx_s {
    uint32_t    magic;             /* CP_TX_MAGIC while it lives            */
    cp_db_t    *db;
    cp_slot_t  *slot;
    bool        write;
    bool        broken;            /* a statement failed: roll back         */
    bool        busy;              /* inside cp_tx_each()                   */
    int64_t     head;
    int64_t     started_us;
    unsigned    nattached;
    struct {
        const void    *key;
        void          *data;
        cp_tx_end_pt   end;
    } attached[CP_DB_ATTACHED];
};

typedef struct {
    cp_val_t   *v;
    unsigned    rows;
    unsigned    cols;
    size_t      size;
    cp_arena_t *arena;
} cp_gather_t;


static int64_t
cp_db_now_us(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static void
cp_pool_init(cp_pool_t *pool, unsigned n)
{
    pthread_condattr_t  attr;

    pool->n = n;

    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_mutex_init(&pool->mutex, NULL);
    (void) pthread_cond_init(&pool->cond, &attr);
    (void) pthread_condattr_destroy(&attr);
}


/* A free slot, one with a connection if there is. */

static cp_slot_t *
cp_pool_free_slot(cp_pool_t *pool)
{
    unsigned    i;
    cp_slot_t  *found;

    for (found = NULL, i = 0; i < pool->n; i++) {

        if (pool->slot[i].busy) {
            continue;
        }

        if (pool->slot[i].conn != NULL) {
            return &pool->slot[i];
        }

        if (found == NULL) {
            found = &pool->slot[i];
        }
    }

    return found;
}


static cp_slot_t *
cp_pool_take(cp_pool_t *pool, unsigned wait_ms)
{
    int              rc;
    cp_slot_t       *slot;
    struct timespec  until;

    (void) clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;

    (void) pthread_mutex_lock(&pool->mutex);

    for (rc = 0;;) {

        slot = cp_pool_free_slot(pool);

        if (slot != NULL) {
            slot->busy = true;
            break;
        }

        if (wait_ms == 0 || rc == ETIMEDOUT) {
            break;
        }

        rc = pthread_cond_timedwait(&pool->cond, &pool->mutex, &until);
    }

    (void) pthread_mutex_unlock(&pool->mutex);

    return slot;
}


static void
cp_pool_give(cp_pool_t *pool, cp_slot_t *slot)
{
    (void) pthread_mutex_lock(&pool->mutex);
    stoa_assert(slot->busy);
    slot->busy = false;
    (void) pthread_cond_signal(&pool->cond);
    (void) pthread_mutex_unlock(&pool->mutex);
}


static void
cp_pool_close(cp_db_t *db, cp_pool_t *pool)
{
    unsigned  i;

    for (i = 0; i < pool->n; i++) {
        if (pool->slot[i].conn != NULL) {
            db->driver->disconnect(pool->slot[i].conn);
        }
    }

    (void) pthread_mutex_destroy(&pool->mutex);
    (void) pthread_cond_destroy(&pool->cond);
}


static cp_metric_t *
cp_db_metric(const char *labels)
{
    return cp_metric(CP_METRIC_HISTOGRAM,
                     "stoa_control_db_transaction_seconds", labels,
                     "Time of database transactions, waiting for a "
                     "connection included.");
}


static void cp_db_moved(void *ctx, int64_t rev);


static const cp_driver_t *
cp_db_find(const char *url, const char **target)
{
    if (strncmp(url, "sqlite:", 7) == 0 && url[7] != '\0') {
        *target = url + 7;
        return &cp_sqlite_driver;
    }

    if (strncmp(url, "postgresql://", 13) == 0
        || strncmp(url, "postgres://", 11) == 0)
    {
        *target = url;
        return &cp_pg_driver;
    }

    return NULL;
}


cp_rc_t
cp_db_backup(const char *url, const char *file, cp_err_t *err)
{
    const char         *target;
    const cp_driver_t  *driver;

    driver = cp_db_find(url, &target);

    if (driver == NULL || driver->backup == NULL) {
        return cp_err_set(err, "validation", "only a \"sqlite:PATH\" "
                          "database is copied; PostgreSQL has pg_dump");
    }

    return driver->backup(target, file, err);
}


cp_db_t *
cp_db_open(const char *url, unsigned connections, cp_err_t *err)
{
    unsigned            writers;
    cp_db_t            *db;
    cp_slot_t          *slot;
    const char         *target;
    const cp_driver_t  *driver;

    driver = cp_db_find(url, &target);

    if (driver == NULL) {

        /* the url may hold a password: it is not repeated */

        (void) cp_err_set(err, "validation", "the database must be "
                          "\"sqlite:PATH\" or \"postgresql://...\"");
        return NULL;
    }

    db = calloc(1, sizeof(cp_db_t));
    if (db == NULL) {
        (void) cp_err_set(err, "internal", "out of memory");
        return NULL;
    }

    connections = (connections < 2) ? 2 : connections;
    connections = (connections > CP_DB_POOL_MAX) ? CP_DB_POOL_MAX
                                                 : connections;
    writers = (driver->writers != 0) ? driver->writers : connections / 2;

    db->driver = driver;
    db->time[0] = cp_db_metric("kind=\"read\"");
    db->time[1] = cp_db_metric("kind=\"write\"");
    (void) pthread_mutex_init(&db->mutex, NULL);
    cp_pool_init(&db->pool[0], connections - writers);
    cp_pool_init(&db->pool[1], writers);

    if (driver->open(cp_db_moved, db, target, &db->state, err) != CP_OK) {
        db->state = NULL;
        cp_db_close(db);
        return NULL;
    }

    slot = &db->pool[1].slot[0];
    slot->conn = driver->connect(db->state, true, err);

    if (slot->conn == NULL || cp_migrate(driver, slot->conn, err) != CP_OK) {
        cp_db_close(db);
        return NULL;
    }

    return db;
}


void
cp_db_close(cp_db_t *db)
{
    if (db == NULL) {
        return;
    }

    if (db->state != NULL) {
        db->driver->close(db->state);
    }

    cp_pool_close(db, &db->pool[0]);
    cp_pool_close(db, &db->pool[1]);

    (void) pthread_mutex_destroy(&db->mutex);
    free(db);
}


const char *
cp_db_driver(cp_db_t *db)
{
    return db->driver->name;
}


/* A connection that was lost while it lay idle is replaced once. */

static cp_rc_t
cp_tx_connect(cp_db_t *db, cp_slot_t *slot, bool write)
{
    unsigned   tries;
    cp_err_t   err;

    memset(&err, 0, sizeof(cp_err_t));

    for (tries = 0; tries < 2; tries++) {

        if (slot->conn == NULL) {
            slot->conn = db->driver->connect(db->state, write, &err);
        }

        if (slot->conn == NULL) {
            return CP_ERROR;
        }

        if (db->driver->begin(slot->conn, write) == CP_OK) {
            return CP_OK;
        }

        if (db->driver->alive(slot->conn)) {
            return CP_ERROR;
        }

        db->driver->disconnect(slot->conn);
        slot->conn = NULL;
    }

    return CP_ERROR;
}


bool
cp_db_writable(cp_db_t *db)
{
    bool        able;
    cp_slot_t  *slot;

    slot = db->driver->remote ? cp_pool_take(&db->pool[1], 0) : NULL;

    if (slot == NULL) {
        return true;
    }

    able = (cp_tx_connect(db, slot, true) == CP_OK);

    if (able) {
        db->driver->rollback(slot->conn);
    }

    cp_pool_give(&db->pool[1], slot);

    return able;
}


cp_rc_t
cp_tx_begin(cp_db_t *db, bool write, cp_tx_t **tx)
{
    cp_tx_t    *t;
    int64_t     start;
    cp_slot_t  *slot;

    *tx = NULL;
    start = cp_db_now_us();

    t = calloc(1, sizeof(cp_tx_t));
    if (t == NULL) {
        return CP_ERROR;
    }

    slot = cp_pool_take(&db->pool[write], CP_DB_WAIT_MS);

    if (slot == NULL) {
        cp_log(CP_LOG_ERROR, "db", "no connection got free in %d s, write:%d",
               CP_DB_WAIT_MS / 1000, (int) write);
        free(t);
        return CP_ERROR;
    }

    if (cp_tx_connect(db, slot, write) != CP_OK) {
        cp_pool_give(&db->pool[write], slot);
        free(t);
        return CP_ERROR;
    }

    t->magic = CP_TX_MAGIC;
    t->db = db;
    t->slot = slot;
    t->write = write;
    t->started_us = start;
    *tx = t;

    return CP_OK;
}


cp_rc_t
cp_tx_open(cp_db_t *db, bool write, cp_tx_t **tx, cp_err_t *err)
{
    return cp_tx_begin(db, write, tx) == CP_OK ? CP_OK
           : cp_err_set(err, "unavailable", "the database is busy");
}


static void
cp_tx_end(cp_tx_t *tx)
{
    cp_db_t  *db;

    db = tx->db;

    if (!db->driver->alive(tx->slot->conn)) {
        db->driver->disconnect(tx->slot->conn);
        tx->slot->conn = NULL;
    }

    cp_pool_give(&db->pool[tx->write], tx->slot);

    cp_metric_time(db->time[tx->write], cp_db_now_us() - tx->started_us);
    tx->magic = 0;
    free(tx);
}


/* All of them, also after one failed: each frees what it holds. */

static cp_rc_t
cp_tx_detach(cp_tx_t *tx, bool commit)
{
    cp_rc_t   rc, result;
    unsigned  i;

    result = CP_OK;

    for (i = 0; i < tx->nattached; i++) {

        rc = tx->attached[i].end(tx, tx->attached[i].data,
                                 commit && result == CP_OK);
        if (rc != CP_OK) {
            result = rc;
        }
    }

    tx->nattached = 0;

    return result;
}


/* CP_DECLINED: there was no room, nothing was done. */
static cp_rc_t
cp_tx_try(cp_tx_t *tx)
{
    cp_rc_t   rc;
    cp_db_t  *db;
    int64_t   head;

    stoa_assert(tx->magic == CP_TX_MAGIC);

    db = tx->db;
    head = tx->head;
    rc = CP_OK;

    if (tx->broken || tx->busy) {
        cp_log(CP_LOG_ERROR, "db", "commit of a failed transaction");
        rc = CP_ERROR;
    }

    if (rc == CP_OK) {
        rc = cp_tx_detach(tx, true);
    }

    if (rc == CP_OK && head > 0 && db->driver->notify != NULL) {
        rc = db->driver->notify(tx->slot->conn, head);
    }

    if (rc != CP_OK) {
        cp_tx_rollback(tx);
        return rc;
    }

    rc = db->driver->commit(tx->slot->conn);

    if (rc != CP_OK) {
        cp_tx_rollback(tx);
        return rc;
    }

    cp_tx_end(tx);

    if (head > 0) {
        cp_db_moved(db, head);
    }

    return CP_OK;
}


cp_rc_t
cp_tx_commit(cp_tx_t *tx)
{
    cp_rc_t  rc;

    rc = cp_tx_try(tx);

    return (rc == CP_DECLINED) ? CP_ERROR : rc;
}


void
cp_tx_rollback(cp_tx_t *tx)
{
    if (tx == NULL) {
        return;
    }

    stoa_assert(tx->magic == CP_TX_MAGIC);

    (void) cp_tx_detach(tx, false);
    tx->db->driver->rollback(tx->slot->conn);
    cp_tx_end(tx);
}


cp_rc_t
cp_tx_finish(cp_tx_t *tx, cp_rc_t rc, cp_err_t *err)
{
    if (rc != CP_OK) {
        cp_tx_rollback(tx);
        return rc;
    }

    rc = cp_tx_try(tx);

    if (rc == CP_DECLINED) {
        return cp_err_set(err, "unavailable", "the disk of the database is "
                          "full: nothing was done");
    }

    return rc == CP_OK || rc == CP_CONFLICT ? rc
           : cp_err_set(err, "unavailable", "the commit was not confirmed: it "
                        "may or may not have been done");
}


cp_rc_t
cp_tx_attach(cp_tx_t *tx, const void *key, void *data, cp_tx_end_pt end)
{
    if (tx->nattached == CP_DB_ATTACHED) {
        return CP_ERROR;
    }

    tx->attached[tx->nattached].key = key;
    tx->attached[tx->nattached].data = data;
    tx->attached[tx->nattached].end = end;
    tx->nattached++;

    return CP_OK;
}


void *
cp_tx_attached(cp_tx_t *tx, const void *key)
{
    unsigned  i;

    for (i = 0; i < tx->nattached; i++) {
        if (tx->attached[i].key == key) {
            return tx->attached[i].data;
        }
    }

    return NULL;
}


void
cp_tx_notify_head(cp_tx_t *tx, int64_t rev)
{
    if (rev > tx->head) {
        tx->head = rev;
    }
}


void
cp_db_on_head(cp_db_t *db, void (*cb)(void *ctx, int64_t rev), void *ctx)
{
    (void) pthread_mutex_lock(&db->mutex);

    if (db->nhooks < CP_DB_HOOKS_MAX) {
        db->hook[db->nhooks].cb = cb;
        db->hook[db->nhooks].ctx = ctx;
        db->nhooks++;

    } else {
        cp_log(CP_LOG_ERROR, "db", "too many head callbacks");
    }

    (void) pthread_mutex_unlock(&db->mutex);
}


/* A new head, of this process or of another. */

static void
cp_db_moved(void *ctx, int64_t rev)
{
    cp_db_t   *db = ctx;
    unsigned   i, n;

    (void) pthread_mutex_lock(&db->mutex);

    /* told by the commit and again by the listener: once is enough; a
     * lower one may be a database that was restored */

    n = (rev != db->head) ? db->nhooks : 0;
    db->head = (rev != CP_DB_NEWS) ? rev : db->head;

    (void) pthread_mutex_unlock(&db->mutex);

    for (i = 0; i < n; i++) {
        db->hook[i].cb(db->hook[i].ctx, rev);
    }
}


static cp_rc_t
cp_tx_run(cp_tx_t *tx, const char *sql, const cp_val_t *args, unsigned nargs,
    bool stream, cp_row_pt cb, void *ctx, cp_err_t *err)
{
    cp_rc_t  rc;

    stoa_assert(tx->magic == CP_TX_MAGIC);

    if (tx->broken || tx->busy) {
        cp_log(CP_LOG_ERROR, "db", "%s sql:\"%.100s\"", tx->broken
               ? "query in a failed transaction"
               : "query inside the callback of another one", sql);
        return cp_err_set(err, "internal", "the database failed");
    }

    tx->busy = true;
    rc = tx->db->driver->run(tx->slot->conn, sql, args, nargs, stream, cb,
                             ctx, err);
    tx->busy = false;

    /* PostgreSQL takes nothing more after a failure, so SQLite must not */

    if (rc != CP_OK) {
        tx->broken = true;

        if (rc == CP_ERROR && err != NULL && err->status == 0) {
            (void) cp_err_set(err, "internal", "the database failed");
        }
    }

    return rc;
}


static cp_rc_t
cp_tx_gather(void *ctx, const cp_val_t *row, unsigned cols)
{
    cp_gather_t  *g = ctx;

    void         *p;
    size_t        need;
    unsigned      i;
    cp_val_t     *v;

    if (g->rows == CP_DB_ROWS_MAX) {
        cp_log(CP_LOG_ERROR, "db", "more than %d rows", CP_DB_ROWS_MAX);
        return CP_ERROR;
    }

    need = ((size_t) g->rows + 1) * cols;

    if (need > g->size) {

        g->size = (need < 64) ? 64 : need * 2;

        p = realloc(g->v, g->size * sizeof(cp_val_t));
        if (p == NULL) {
            return CP_ERROR;
        }

        g->v = p;
    }

    v = &g->v[(size_t) g->rows * cols];

    for (i = 0; i < cols; i++) {

        v[i] = row[i];

        if (row[i].p != NULL) {
            v[i].p = cp_arena_strndup(g->arena, row[i].p, row[i].len);
            if (v[i].p == NULL) {
                cp_log(CP_LOG_ERROR, "db", "rows need too much memory");
                return CP_ERROR;
            }
        }
    }

    g->cols = cols;
    g->rows++;

    return CP_OK;
}


static cp_rc_t
cp_tx_ignore(void *ctx, const cp_val_t *row, unsigned cols)
{
    (void) ctx;
    (void) row;
    (void) cols;

    return CP_OK;
}


cp_rc_t
cp_tx_query(cp_tx_t *tx, cp_arena_t *a, const char *sql, const cp_val_t *args,
    unsigned nargs, cp_rows_t *rows, cp_err_t *err)
{
    size_t       size;
    cp_rc_t      rc;
    cp_gather_t  g;

    if (rows == NULL) {
        return cp_tx_run(tx, sql, args, nargs, false, cp_tx_ignore, NULL,
                         err);
    }

    memset(&g, 0, sizeof(cp_gather_t));
    memset(rows, 0, sizeof(cp_rows_t));
    g.arena = a;

    rc = cp_tx_run(tx, sql, args, nargs, false, cp_tx_gather, &g, err);

    if (rc == CP_OK && g.rows > 0) {

        size = (size_t) g.rows * g.cols * sizeof(cp_val_t);
        rows->v = cp_arena_alloc(a, size);

        if (rows->v != NULL) {
            memcpy(rows->v, g.v, size);
            rows->rows = g.rows;
            rows->cols = g.cols;

        } else {
            rc = cp_err_set(err, "internal", "rows need too much memory");
        }
    }

    free(g.v);

    return rc;
}


cp_rc_t
cp_tx_each(cp_tx_t *tx, const char *sql, const cp_val_t *args, unsigned nargs,
    cp_row_pt cb, void *ctx)
{
    return cp_tx_run(tx, sql, args, nargs, true, cb, ctx, NULL);
}
