/*
 * The keys of issuers.
 */

#include <pthread.h>
#include <string.h>

#include "core/stoa_key.h"
#include "discovery/cp_issuer_keys.h"
#include "feed/cp_feed.h"
#include "kinds/cp_jwks.h"


/* One reading. */
typedef struct {
    cp_app_t         *app;
    cp_arena_t       *arena;
    const char       *id;
    const char       *url;
    const cp_json_t  *algorithms;      /* NULL: all                          */
    stoa_buf_t        body;
    cp_json_t        *items;
    cp_json_t        *skipped;
    const char       *error;           /* NULL: it was read                  */
} cp_issuer_read_t;


/* Ids, each once, under the mutex. */
static struct {
    pthread_mutex_t  mutex;
    unsigned         n;
    char             id[CP_ISSUER_HINTS][STOA_ID_LEN + 1];
} cp_issuer_hints = { .mutex = PTHREAD_MUTEX_INITIALIZER };


void
cp_issuer_keys_hint(const char *id)
{
    unsigned  i;

    if (!stoa_id_valid(id, strlen(id))) {
        return;
    }

    (void) pthread_mutex_lock(&cp_issuer_hints.mutex);

    for (i = 0; i < cp_issuer_hints.n; i++) {
        if (strcmp(cp_issuer_hints.id[i], id) == 0) {
            break;
        }
    }

    if (i == cp_issuer_hints.n && i < CP_ISSUER_HINTS) {
        memcpy(cp_issuer_hints.id[cp_issuer_hints.n++], id, STOA_ID_LEN + 1);
    }

    (void) pthread_mutex_unlock(&cp_issuer_hints.mutex);
}


/* Was it named?  Then it no longer is. */
static bool
cp_issuer_hinted(const char *id, bool take)
{
    bool      found;
    unsigned  i;

    (void) pthread_mutex_lock(&cp_issuer_hints.mutex);

    for (i = 0; i < cp_issuer_hints.n; i++) {
        if (strcmp(cp_issuer_hints.id[i], id) == 0) {
            break;
        }
    }

    found = i < cp_issuer_hints.n;

    if (found && take) {
        cp_issuer_hints.n--;
        memmove(cp_issuer_hints.id[i],
                cp_issuer_hints.id[cp_issuer_hints.n], STOA_ID_LEN + 1);
    }

    (void) pthread_mutex_unlock(&cp_issuer_hints.mutex);

    return found;
}


/* Those that are not in rows, which have no url, are nobody's. */
static void
cp_issuer_hints_keep(const cp_json_t *rows)
{
    unsigned          i;
    const cp_json_t  *row;

    (void) pthread_mutex_lock(&cp_issuer_hints.mutex);

    for (i = cp_issuer_hints.n; i-- > 0; ) {
        for (row = rows->first; row; row = row->next) {
            if (strcmp(cp_json_str(row, "id"), cp_issuer_hints.id[i]) == 0) {
                break;
            }
        }

        if (row == NULL) {
            cp_issuer_hints.n--;
            memmove(cp_issuer_hints.id[i],
                    cp_issuer_hints.id[cp_issuer_hints.n], STOA_ID_LEN + 1);
        }
    }

    (void) pthread_mutex_unlock(&cp_issuer_hints.mutex);
}


static bool
cp_issuer_data(void *ctx, const char *data, size_t len)
{
    cp_issuer_read_t  *rd = ctx;

    stoa_buf_add(&rd->body, data, len);

    return rd->body.rc == STOA_OK;
}


static void
cp_issuer_fetch(cp_issuer_read_t *rd)
{
    long             status;
    cp_client_t     *client;
    cp_client_to_t   to = { .url = rd->url, .verify = true };

    rd->items = cp_json_array(rd->arena);
    rd->skipped = cp_json_array(rd->arena);
    rd->error = "out of memory";

    stoa_buf_init(&rd->body, CP_JWKS_BYTES);
    client = cp_client_create(rd->app, rd->arena, &to, cp_issuer_data, NULL,
                              rd);

    if (client && rd->items && rd->skipped) {
        cp_client_header(client, "Accept",
                         "application/jwk-set+json, application/json");
        rd->error = cp_client_send(client, "GET", NULL, CP_ISSUER_TIMEOUT_MS,
                                   &status);

        if (rd->error == NULL && status != 200) {
            rd->error = cp_arena_printf(rd->arena, "HTTP status %ld", status);
        }

        if (rd->body.rc != STOA_OK) {
            rd->error = "is too long";
        }

        if (rd->error == NULL) {
            rd->error = cp_jwks_read(rd->arena, rd->body.data ? rd->body.data
                                                              : "",
                                     rd->body.len, rd->algorithms, rd->items,
                                     rd->skipped);
        }

        /* the last keys stay: whoever empties the set locks everybody out */

        if (rd->error == NULL && rd->items->n == 0) {
            rd->error = "has no key that verifies tokens";
        }
    }

    cp_client_destroy(client);
    stoa_buf_free(&rd->body);
}


/* What `keys` becomes, as a patch; *same: but for the time, it is that. */
static cp_json_t *
cp_issuer_result(cp_issuer_read_t *rd, const cp_json_t *before, bool *same)
{
    bool         moved;
    int64_t      failures;
    cp_json_t   *keys;
    cp_arena_t  *a;
    const char  *now, *error;

    a = rd->arena;
    keys = cp_json_object(a);
    now = cp_time_format(a, cp_time_ms());
    error = cp_json_str(before, "error");
    failures = cp_json_num(before, "failures", 0);

    cp_json_put(a, keys, "state", rd->error ? "failed" : "ok");
    cp_json_put(a, keys, "at", now);

    if (rd->error) {
        cp_json_put(a, keys, "error", rd->error);
        cp_json_put_int(a, keys, "failures", failures + 1);
        *same = error && strcmp(error, rd->error) == 0;

        return keys;
    }

    moved = !cp_json_equal(cp_json_get(before, "items"), rd->items);
    *same = !moved && error == NULL
            && strcmp(cp_json_str(before, "state"), "ok") == 0
            && cp_json_equal(cp_json_get(before, "skipped"), rd->skipped);

    cp_json_set(a, keys, "error", cp_json_null(a));
    cp_json_set(a, keys, "failures", cp_json_null(a));
    cp_json_set(a, keys, "items", rd->items);
    cp_json_set(a, keys, "skipped", rd->skipped);

    if (moved || cp_json_get(before, "changed_at") == NULL) {
        cp_json_put(a, keys, "changed_at", now);
    }

    return keys;
}


/* The issuer as a client would write it, with these keys. */
static cp_json_t *
cp_issuer_tree(cp_issuer_read_t *rd, cp_tx_t *tx, const char *tenant,
    cp_json_t *keys, cp_err_t *err)
{
    cp_json_t         *in, *obj, *v;
    const cp_field_t  *f;

    in = cp_json_object(rd->arena);

    if (in == NULL
        || cp_resource_get(tx, rd->arena, &cp_res_issuer, tenant, rd->id,
                           &obj, err)
           != CP_OK)
    {
        return NULL;
    }

    for (f = cp_res_issuer.fields; f->name; f++) {
        v = cp_json_get(obj, f->name);

        if (v && (f->flags & CP_READONLY) == 0) {
            cp_json_set(rd->arena, in, f->name, cp_json_copy(rd->arena, v));
        }
    }

    cp_json_set(rd->arena, in, "keys", keys);

    return in;
}


static cp_rc_t
cp_issuer_store(cp_issuer_read_t *rd, cp_op_t *op, cp_tx_t *tx)
{
    bool              same;
    cp_rc_t           rc;
    cp_json_t        *row, *keys;
    cp_entry_t        e;
    cp_write_t        w = cp_write_of(op, tx, &cp_res_issuer);
    const char       *url;
    const cp_json_t  *before;

    /* first, so that another replica's reading is either before or after */

    rc = cp_feed_lock(tx, rd->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, rd->arena, &cp_res_issuer, rd->id, &row,
                         &op->err);
    }

    if (rc != CP_OK || row == NULL) {
        return rc;
    }

    url = cp_json_str(row, "jwks_url");
    before = cp_json_get(row, "keys");

    if (url == NULL || strcmp(url, rd->url) != 0
        || !cp_json_equal(cp_json_get(row, "algorithms"), rd->algorithms))
    {
        return CP_OK;                    /* it is another one by now */
    }

    keys = cp_issuer_result(rd, before, &same);
    keys = keys ? cp_merge_patch(rd->arena, cp_json_copy(rd->arena, before),
                                 keys) : NULL;

    if (keys == NULL) {
        return CP_ERROR;
    }

    if (same) {
        return cp_tx_query(tx, rd->arena, "UPDATE issuers SET keys = $2"
                           " WHERE id = $1",
                           cp_args(cp_text(rd->id),
                                   cp_text(cp_json_text(rd->arena, keys,
                                                        NULL))),
                           NULL, &op->err);
    }

    w.id = rd->id;
    w.in = cp_issuer_tree(rd, tx, cp_json_str(row, "tenant"), keys, &op->err);
    rc = w.in ? cp_entry_update(&w, &e) : CP_ERROR;

    return rc == CP_OK ? cp_resource_flush(op, tx) : rc;
}


static cp_rc_t
cp_issuer_run(cp_issuer_read_t *rd, const char *name)
{
    cp_rc_t    rc;
    cp_op_t    op;
    cp_tx_t   *tx;
    unsigned   i;

    cp_issuer_fetch(rd);

    cp_log(rd->error ? CP_LOG_WARN : CP_LOG_INFO, "issuer",
           "keys issuer:%s name:%s keys:%u skipped:%u %s", rd->id, name,
           rd->items ? rd->items->n : 0, rd->skipped ? rd->skipped->n : 0,
           rd->error ? rd->error : "ok");

    rc = CP_ERROR;

    for (i = 0; i < CP_OP_RETRIES; i++) {
        cp_op_system(&op, rd->app, rd->arena, "issuer-keys");
        cp_resource_defer(&op);

        rc = cp_tx_begin(rd->app->db, true, &tx);

        if (rc == CP_OK) {
            rc = cp_tx_finish(tx, cp_issuer_store(rd, &op, tx), &op.err);
        }

        if (rc != CP_CONFLICT) {
            break;
        }
    }

    if (rc != CP_OK) {
        cp_log(CP_LOG_ERROR, "issuer", "cannot store keys of issuer:%s "
               "code:%s %s", rd->id, op.err.code ? op.err.code : "-",
               op.err.detail ? op.err.detail : "");
    }

    rd->app->wake(rd->app);

    return rc;
}


/* *at: when it was last looked at, 0 never. */
static bool
cp_issuer_due(const char *id, const cp_json_t *keys, int64_t now, int64_t *at)
{
    int64_t      wait, failures;
    const char  *time;

    time = cp_json_str(keys, "at");

    if (time == NULL || !cp_time_parse(time, strlen(time), at)) {
        *at = 0;
        return true;
    }

    wait = CP_ISSUER_INTERVAL_MS;
    failures = cp_json_num(keys, "failures", 0);

    if (failures > 0 && failures < 8) {
        wait = (int64_t) CP_ISSUER_RETRY_MS << (failures - 1);
        wait = wait < CP_ISSUER_INTERVAL_MS ? wait : CP_ISSUER_INTERVAL_MS;
    }

    if (wait > CP_ISSUER_HINT_MS && cp_issuer_hinted(id, false)) {
        wait = CP_ISSUER_HINT_MS;
    }

    /* a clock that was set back does not stop it */

    return now - *at >= wait || *at > now + CP_ISSUER_INTERVAL_MS;
}


static cp_rc_t
cp_issuer_rows(cp_app_t *app, cp_arena_t *a, cp_json_t **rows)
{
    cp_rc_t         rc;
    cp_tx_t        *tx;
    cp_err_t        err = { .arena = a };
    cp_row_query_t  q = { "\"jwks_url\" IS NOT NULL", NULL, 0, true };

    rc = cp_tx_begin(app->db, false, &tx);

    if (rc == CP_OK) {
        rc = cp_row_select(tx, a, &cp_res_issuer, &q, NULL, 0, rows, &err);
        cp_tx_rollback(tx);
    }

    return rc;
}


/* One each time, so that it is known anew which has waited longest. */
cp_rc_t
cp_issuer_keys_job(cp_app_t *app)
{
    bool               again;
    cp_rc_t            rc;
    int64_t            at, oldest, now;
    cp_json_t         *rows, *row, *best;
    cp_arena_t        *a;
    cp_issuer_read_t   rd;

    do {
        a = cp_arena_create(CP_ISSUER_ARENA);

        if (a == NULL) {
            return CP_ERROR;
        }

        best = NULL;
        again = false;
        oldest = 0;
        now = cp_time_ms();
        rc = cp_issuer_rows(app, a, &rows);

        for (row = rc == CP_OK ? rows->first : NULL; row; row = row->next) {
            if (cp_issuer_due(cp_json_str(row, "id"),
                              cp_json_get(row, "keys"), now, &at)
                && (best == NULL || at < oldest))
            {
                best = row;
                oldest = at;
            }
        }

        if (rc == CP_OK) {
            cp_issuer_hints_keep(rows);
        }

        if (best) {
            memset(&rd, 0, sizeof(rd));
            rd.app = app;
            rd.arena = a;
            rd.id = cp_json_str(best, "id");
            rd.url = cp_json_str(best, "jwks_url");
            rd.algorithms = cp_json_get(best, "algorithms");

            (void) cp_issuer_hinted(rd.id, true);
            rc = cp_issuer_run(&rd, cp_json_str(best, "name"));
            again = rc == CP_OK && !atomic_load(&app->stopping);
        }

        cp_arena_destroy(a);

    } while (again);

    return rc;
}
