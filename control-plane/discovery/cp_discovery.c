/*
 * When to read which api: the job that looks for what is due, the threads
 * that read, and POST .../discover.
 */

#include <pthread.h>
#include <string.h>

#include "discovery/cp_discovery.h"


typedef enum { CP_Q_FREE, CP_Q_WAITING, CP_Q_RUNNING } cp_queue_state_e;

typedef struct {
    char              id[STOA_ID_LEN + 1];
    cp_queue_state_e  state;
    bool              again;       /* asked for while it was running        */
    uint64_t          order;
} cp_queue_row_t;

/* The queue is a table under one mutex; the threads are started by the first
 * run of the job and joined by cp_discovery_stop(). */

static struct {
    pthread_mutex_t  mutex;
    pthread_cond_t   wake;
    cp_app_t        *app;
    unsigned         threads;
    bool             stop;
    uint64_t         order;
    pthread_t        thread[CP_DISCOVERY_THREADS];
    cp_queue_row_t   row[CP_DISCOVERY_QUEUE];
    unsigned         hints;       /* each once                              */
    char             hint[CP_DISCOVERY_HINTS][STOA_ID_LEN + 1];
} cp_queue = { .mutex = PTHREAD_MUTEX_INITIALIZER,
               .wake = PTHREAD_COND_INITIALIZER };


cp_json_t *
cp_discovery_parse(cp_arena_t *a, const cp_val_t *v)
{
    cp_json_t  *tree;

    if (v->type != CP_VAL_TEXT) {
        return NULL;
    }

    if (cp_json_parse(a, v->p, v->len, &tree, NULL) != CP_OK
        || tree->type != CP_JSON_OBJECT)
    {
        return NULL;
    }

    return tree;
}


/* The upstream column as targets for the client. */

static unsigned
cp_discovery_targets(const cp_json_t *upstream, const char *credential,
    const char *certificate, cp_client_to_t *targets)
{
    unsigned          n;
    const cp_json_t  *list, *t, *tls, *verify;

    list = cp_json_get(upstream, "targets");
    tls = cp_json_get(upstream, "tls");
    n = 0;

    if (tls != NULL && tls->type != CP_JSON_OBJECT) {
        tls = NULL;
    }

    for (t = (list != NULL) ? list->first : NULL;
         t != NULL && n < STOA_TARGETS_MAX;
         t = t->next)
    {
        if (t->type != CP_JSON_OBJECT || cp_json_str(t, "url") == NULL) {
            continue;
        }

        verify = (tls != NULL) ? cp_json_get(tls, "verify") : NULL;
        targets[n].url = cp_json_str(t, "url");
        targets[n].host_header = cp_json_str(upstream, "host_header");
        targets[n].server_name = (tls != NULL)
                                     ? cp_json_str(tls, "server_name") : NULL;
        targets[n].verify = (verify == NULL || verify->i != 0);
        targets[n].trusted = false;
        targets[n].credential = credential;
        targets[n].certificate = certificate;
        n++;
    }

    return n;
}


/* What it is read as, and what it is shown. */

static cp_rc_t
cp_discovery_load(cp_app_t *app, cp_arena_t *a, const char *api,
    cp_rows_t *rows, cp_discovery_shown_t *shown)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_err_t   err = { .arena = a };

    rc = cp_tx_begin(app->db, false, &tx);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT upstream, name, tenant,"
                         " marked_tools FROM apis"
                         " WHERE id = $1 AND kind = 'mcp'"
                         " AND state <> 'retired'",
                         cp_args(cp_text(api)), rows, &err);

        if (rc == CP_OK && rows->rows > 0) {
            rc = cp_discovery_shown(tx, a, api, cp_cell(rows, 0, 2)->p,
                                    shown, &err);
        }

        cp_tx_rollback(tx);
    }

    if (rc != CP_OK && err.detail != NULL) {
        cp_log(CP_LOG_ERROR, "discovery", "api:%s %s", api, err.detail);
    }

    return rc;
}


static cp_rc_t
cp_discovery_run(cp_app_t *app, const char *api)
{
    cp_rc_t                rc;
    unsigned               n;
    cp_rows_t              rows;
    cp_json_t             *upstream;
    cp_arena_t            *a;
    const char            *digest, *credential;
    cp_catalog_t           found;
    cp_client_to_t         targets[STOA_TARGETS_MAX];
    cp_discovery_shown_t   shown;

    a = cp_arena_create(CP_DISCOVERY_ARENA);

    if (a == NULL) {
        return CP_ERROR;
    }

    rc = cp_discovery_load(app, a, api, &rows, &shown);

    if (rc != CP_OK || rows.rows == 0) {
        cp_arena_destroy(a);
        return rc;
    }

    upstream = cp_discovery_parse(a, &rows.v[0]);
    digest = cp_discovery_digest(a, rows.v[0].p);
    memset(&found, 0, sizeof(found));
    found.era = "unknown";
    found.error = cp_discovery_show(app, a, shown.credential, &credential);

    if (found.error == NULL) {
        n = (upstream != NULL)
            ? cp_discovery_targets(upstream, credential,
                                   cp_json_str(shown.certificate,
                                               "certificate"), targets) : 0;
        cp_catalog_read(app, a, rows.v[1].p, targets, n,
                        strcmp(rows.v[3].p, "mask") == 0, &found);
    }

    if (atomic_load(&app->stopping)) {
        cp_arena_destroy(a);
        return CP_OK;
    }

    cp_log(found.error == NULL ? CP_LOG_INFO : CP_LOG_WARN, "discovery",
           "api:%s name:%s era:%s tools:%u %s", api, rows.v[1].p, found.era,
           found.items[0] != NULL ? found.items[0]->n : 0,
           found.error != NULL ? found.error : "ok");

    rc = (digest != NULL) ? cp_discovery_store(app, a, api, digest, &found)
                          : CP_ERROR;
    cp_arena_destroy(a);

    return rc;
}


/* Under the mutex: the oldest that waits. */

static cp_queue_row_t *
cp_queue_next(void)
{
    unsigned         i;
    cp_queue_row_t  *row, *best;

    best = NULL;

    for (i = 0; i < CP_DISCOVERY_QUEUE; i++) {
        row = &cp_queue.row[i];

        if (row->state == CP_Q_WAITING
            && (best == NULL || row->order < best->order))
        {
            best = row;
        }
    }

    return best;
}


static void *
cp_queue_thread(void *data)
{
    char             id[STOA_ID_LEN + 1];
    cp_app_t        *app = data;
    cp_queue_row_t  *row;

    (void) pthread_mutex_lock(&cp_queue.mutex);

    for ( ;; ) {

        if (cp_queue.stop) {
            break;
        }

        row = cp_queue_next();

        if (row == NULL) {
            (void) pthread_cond_wait(&cp_queue.wake, &cp_queue.mutex);
            continue;
        }

        row->state = CP_Q_RUNNING;
        row->again = false;
        memcpy(id, row->id, sizeof(id));

        (void) pthread_mutex_unlock(&cp_queue.mutex);

        /* a failure is logged where it happens, and due again in a while */
        (void) !cp_discovery_run(app, id);
        app->wake(app);

        (void) pthread_mutex_lock(&cp_queue.mutex);

        row->state = row->again ? CP_Q_WAITING : CP_Q_FREE;
    }

    (void) pthread_mutex_unlock(&cp_queue.mutex);

    return NULL;
}


/* now: a person asked, so one that is being read is read once more.  false:
 * the queue is full, the next run of the job will find it again. */

static bool
cp_queue_push(const char *id, bool now)
{
    bool             ok;
    unsigned         i;
    cp_queue_row_t  *row, *unused;

    unused = NULL;
    ok = true;

    (void) pthread_mutex_lock(&cp_queue.mutex);

    for (i = 0; i < CP_DISCOVERY_QUEUE; i++) {
        row = &cp_queue.row[i];

        if (row->state == CP_Q_FREE) {
            unused = row;

        } else if (strcmp(row->id, id) == 0) {
            row->again = row->again || now;
            break;
        }
    }

    if (i == CP_DISCOVERY_QUEUE) {
        ok = (unused != NULL && strlen(id) <= STOA_ID_LEN);

        if (ok) {
            strcpy(unused->id, id);
            unused->state = CP_Q_WAITING;
            unused->again = false;
            unused->order = now ? 0 : ++cp_queue.order;
            (void) pthread_cond_signal(&cp_queue.wake);
        }
    }

    (void) pthread_mutex_unlock(&cp_queue.mutex);

    return ok;
}


static cp_rc_t
cp_queue_start(cp_app_t *app)
{
    (void) pthread_mutex_lock(&cp_queue.mutex);

    if (cp_queue.app == NULL) {
        cp_client_init();
        cp_queue.app = app;
    }

    while (!cp_queue.stop && cp_queue.threads < CP_DISCOVERY_THREADS) {
        if (pthread_create(&cp_queue.thread[cp_queue.threads], NULL,
                           cp_queue_thread, app) != 0)
        {
            break;
        }

        cp_queue.threads++;
    }

    (void) pthread_mutex_unlock(&cp_queue.mutex);

    return (cp_queue.threads > 0) ? CP_OK : CP_ERROR;
}


void
cp_discovery_stop(void)
{
    unsigned  i;

    (void) pthread_mutex_lock(&cp_queue.mutex);
    cp_queue.stop = true;
    (void) pthread_cond_broadcast(&cp_queue.wake);
    (void) pthread_mutex_unlock(&cp_queue.mutex);

    for (i = 0; i < cp_queue.threads; i++) {
        (void) pthread_join(cp_queue.thread[i], NULL);
    }

    cp_queue.threads = 0;
}


/* Under the mutex; CP_DISCOVERY_HINTS: there is none. */

static unsigned
cp_queue_hint(const char *api)
{
    unsigned  i;

    for (i = 0; i < cp_queue.hints; i++) {
        if (strcmp(cp_queue.hint[i], api) == 0) {
            return i;
        }
    }

    return CP_DISCOVERY_HINTS;
}


void
cp_discovery_hint(const char *api)
{
    if (!stoa_id_valid(api, strlen(api))) {
        return;
    }

    (void) pthread_mutex_lock(&cp_queue.mutex);

    if (cp_queue.hints < CP_DISCOVERY_HINTS
        && cp_queue_hint(api) == CP_DISCOVERY_HINTS)
    {
        memcpy(cp_queue.hint[cp_queue.hints++], api, STOA_ID_LEN + 1);
    }

    (void) pthread_mutex_unlock(&cp_queue.mutex);
}


/* Was it named?  take: then it no longer is. */

static bool
cp_queue_hinted(const char *api, bool take)
{
    unsigned  i;

    (void) pthread_mutex_lock(&cp_queue.mutex);

    i = cp_queue_hint(api);

    if (take && i < CP_DISCOVERY_HINTS) {
        cp_queue.hints--;
        memmove(cp_queue.hint[i], cp_queue.hint[cp_queue.hints],
                STOA_ID_LEN + 1);
    }

    (void) pthread_mutex_unlock(&cp_queue.mutex);

    return i < CP_DISCOVERY_HINTS;
}


/* Those that are no apis do not wait. */

static void
cp_queue_hints_keep(const cp_rows_t *rows)
{
    unsigned  i, k;

    (void) pthread_mutex_lock(&cp_queue.mutex);

    for (i = cp_queue.hints; i-- > 0; ) {
        for (k = 0; k < rows->rows; k++) {
            if (strcmp(cp_cell(rows, k, 0)->p, cp_queue.hint[i]) == 0) {
                break;
            }
        }

        if (k == rows->rows) {
            cp_queue.hints--;
            memmove(cp_queue.hint[i], cp_queue.hint[cp_queue.hints],
                    STOA_ID_LEN + 1);
        }
    }

    (void) pthread_mutex_unlock(&cp_queue.mutex);
}


/* Never read, another upstream than was read, or old; a failure is tried
 * again sooner, twice as late each time. */

static bool
cp_discovery_is_due(cp_arena_t *a, const char *api, const cp_val_t *upstream,
    const cp_val_t *discovery, int64_t now)
{
    int64_t      at, wait, failures;
    cp_json_t   *d;
    const char  *seen, *time;

    d = cp_discovery_parse(a, discovery);
    seen = (d != NULL) ? cp_json_str(d, "upstream") : NULL;
    time = (d != NULL) ? cp_json_str(d, "at") : NULL;

    if (seen == NULL || time == NULL
        || strcmp(seen, cp_discovery_digest(a, upstream->p)) != 0
        || !cp_time_parse(time, strlen(time), &at))
    {
        return true;
    }

    failures = cp_json_num(d, "failures", 0);
    wait = (failures == 0 && cp_queue_hinted(api, false))
           ? CP_DISCOVERY_HINT_MS : CP_DISCOVERY_INTERVAL_MS;

    if (failures > 0 && failures < 8) {
        wait = (int64_t) CP_DISCOVERY_RETRY_MS << (failures - 1);
        wait = (wait < CP_DISCOVERY_INTERVAL_MS) ? wait
                                                 : CP_DISCOVERY_INTERVAL_MS;
    }

    /* a clock that was set back does not stop it */
    return now - at >= wait || at > now + CP_DISCOVERY_INTERVAL_MS;
}


cp_rc_t
cp_discovery_job(cp_app_t *app)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    int64_t      now;
    unsigned     i;
    cp_err_t     err;
    cp_rows_t    rows;
    cp_arena_t  *a;
    const char  *id;

    if (cp_queue_start(app) != CP_OK) {
        return CP_ERROR;
    }

    a = cp_arena_create(CP_DISCOVERY_ARENA);

    if (a == NULL) {
        return CP_ERROR;
    }

    memset(&err, 0, sizeof(err));
    err.arena = a;
    memset(&rows, 0, sizeof(rows));

    rc = cp_tx_begin(app->db, false, &tx);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT id, upstream, discovery FROM apis"
                         " WHERE kind = 'mcp' AND state <> 'retired'"
                         " ORDER BY id", NULL, 0, &rows, &err);
        cp_tx_rollback(tx);
    }

    now = cp_time_ms();

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        id = cp_cell(&rows, i, 0)->p;

        if (!cp_discovery_is_due(a, id, cp_cell(&rows, i, 1),
                                 cp_cell(&rows, i, 2), now))
        {
            continue;
        }

        /* what is heard while it is read counts again */

        (void) cp_queue_hinted(id, true);

        if (!cp_queue_push(id, false)) {
            break;
        }
    }

    if (rc == CP_OK) {
        cp_queue_hints_keep(&rows);
    }

    cp_arena_destroy(a);

    return rc;
}


bool
cp_discovery_ask(cp_app_t *app, const char *api)
{
    return cp_queue_start(app) == CP_OK && cp_queue_push(api, true);
}
