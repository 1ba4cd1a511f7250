/*
 * The sync thread: long-polls the feed and commits it to the store.
 *
 * A change goes into the store in force.  A whole configuration (the first
 * one, another epoch, a 410, a broken store) goes into a new file, which is
 * put in force when its end line has come; what was committed of it is kept
 * when the connection breaks, and asked for no more.
 */

#include "ngx_http_stoa_sync.h"
#include "core/stoa_json.h"


typedef struct {
    ngx_http_stoa_agent_t   *agent;
    ngx_http_stoa_writer_t   cur;           /* in force; env NULL: none      */
    ngx_http_stoa_writer_t   next;          /* being loaded; env NULL: none  */
    char                     cur_name[64];
    char                     next_name[64];
    ngx_http_stoa_writer_t  *w;             /* the one this answer goes to   */
    stoa_buf_t               line;
    char                     epoch[17];
    uint64_t                 rows;          /* of this answer                */
    unsigned                 contact:1;     /* an answer was complete        */
    unsigned                 header:1;
    unsigned                 end:1;
    unsigned                 gone:1;        /* another epoch                 */
    unsigned                 spoilt:1;      /* next is damaged               */
    ngx_uint_t               fails;
    uint64_t                 state;         /* shown when this try failed    */
    char                     why[NGX_HTTP_STOA_SYNC_ERR_LEN];
} ngx_http_stoa_sync_t;


static void ngx_http_stoa_sync_open(ngx_http_stoa_sync_t *sync);
static ngx_int_t ngx_http_stoa_sync_fresh(ngx_http_stoa_sync_t *sync);
static void ngx_http_stoa_sync_discard(ngx_http_stoa_sync_t *sync);
static ngx_int_t ngx_http_stoa_sync_poll(ngx_http_stoa_sync_t *sync);
static ngx_int_t ngx_http_stoa_sync_judge(ngx_http_stoa_sync_t *sync,
    ngx_int_t rc, long status);
static size_t ngx_http_stoa_sync_sink(char *data, size_t size, size_t n,
    void *ctx);
static ngx_int_t ngx_http_stoa_sync_line(ngx_http_stoa_sync_t *sync,
    const char *data, size_t len);
static ngx_int_t ngx_http_stoa_sync_header(ngx_http_stoa_sync_t *sync,
    const stoa_json_val_t *root);
static ngx_int_t ngx_http_stoa_sync_row(ngx_http_stoa_sync_t *sync,
    const ngx_http_stoa_line_t *line);
static ngx_int_t ngx_http_stoa_sync_end(ngx_http_stoa_sync_t *sync,
    const stoa_json_val_t *root);
static ngx_int_t ngx_http_stoa_sync_begin(ngx_http_stoa_sync_t *sync);
static ngx_int_t ngx_http_stoa_sync_commit(ngx_http_stoa_sync_t *sync);
static ngx_int_t ngx_http_stoa_sync_switch(ngx_http_stoa_sync_t *sync);
static ngx_int_t ngx_http_stoa_sync_store_failed(ngx_http_stoa_sync_t *sync,
    int err);
static void ngx_http_stoa_sync_good(ngx_http_stoa_sync_t *sync);
static void ngx_http_stoa_sync_bad(ngx_http_stoa_sync_t *sync);
static ngx_int_t ngx_http_stoa_sync_wrong(ngx_http_stoa_sync_t *sync,
    const char *what);


void *
ngx_http_stoa_sync_run(void *data)
{
    ngx_int_t               rc;
    ngx_http_stoa_dir_t    *dir;
    ngx_http_stoa_agent_t  *agent;
    ngx_http_stoa_sync_t    sync;

    agent = data;
    dir = agent->mcf->dir;

    ngx_memzero(&sync, sizeof(ngx_http_stoa_sync_t));
    sync.agent = agent;
    stoa_buf_init(&sync.line, NGX_HTTP_STOA_LINE_MAX);

    ngx_http_stoa_store(&agent->mcf->sh->sync_state,
                        (uint64_t) NGX_HTTP_STOA_SYNC_STARTING);

    ngx_http_stoa_sync_open(&sync);

    while (!ngx_http_stoa_lease_over(agent)) {

        rc = NGX_OK;

        if (sync.spoilt) {
            sync.spoilt = 0;
            ngx_http_stoa_sync_discard(&sync);
        }

        if (sync.next.env == NULL
            && (sync.cur.env == NULL || ngx_http_stoa_load(&dir->store_bad)))
        {
            rc = ngx_http_stoa_sync_fresh(&sync);
        }

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_sync_poll(&sync);
        }

        if (rc == NGX_OK) {
            ngx_http_stoa_sync_good(&sync);

        } else if (rc == NGX_ERROR) {
            ngx_http_stoa_sync_bad(&sync);
        }
    }

    if (sync.cur.env && sync.cur.flags == MDB_NOSYNC) {
        (void) ngx_http_stoa_flush_all(agent, sync.cur.env);
    }

    ngx_http_stoa_writer_free(&sync.cur);
    ngx_http_stoa_sync_discard(&sync);
    stoa_buf_free(&sync.line);

    ngx_http_stoa_add(&agent->ended, 1);

    return NULL;
}


/* The store that `state` names, if it can be used. */

static void
ngx_http_stoa_sync_open(ngx_http_stoa_sync_t *sync)
{
    int                         rc;
    char                        path[NGX_MAX_PATH];
    ngx_http_stoa_env_t        *env;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = sync->agent->mcf;

    ngx_http_stoa_env_sweep(mcf, sync->agent->lease);

    if (ngx_http_stoa_env_state(mcf, sync->cur_name, sizeof(sync->cur_name))
        != NGX_OK)
    {
        sync->cur_name[0] = '\0';
        return;
    }

    if (ngx_http_stoa_env_suspect(mcf, sync->cur_name)) {
        return;
    }

    ngx_http_stoa_env_name(mcf, ngx_http_stoa_env_number(sync->cur_name), 1,
                           path, sizeof(path));

    env = ngx_http_stoa_env_open(path, mcf->store_size, 0, &rc);

    if (env == NULL) {
        ngx_log_error(NGX_LOG_ERR, sync->agent->log, 0,
                      "store \"%s\" cannot be used, it will be loaded anew: "
                      "%s", path, mdb_strerror(rc));
        return;
    }

    ngx_http_stoa_writer_init(&sync->cur, env, MDB_NOMETASYNC);

    rc = ngx_http_stoa_writer_begin(&sync->cur);
    ngx_http_stoa_writer_abort(&sync->cur);

    if (rc != 0 || !sync->cur.committed.complete) {
        ngx_log_error(NGX_LOG_ERR, sync->agent->log, 0,
                      "store \"%s\" is of another format or damaged, it will "
                      "be loaded anew", path);
        ngx_http_stoa_writer_free(&sync->cur);
        return;
    }

    sync->cur.flags = ngx_http_stoa_flush_all(sync->agent, env);
    sync->agent->rev = sync->cur.committed.rev;
}


/* Begins a new store file beside the one in force. */

static ngx_int_t
ngx_http_stoa_sync_fresh(ngx_http_stoa_sync_t *sync)
{
    int                         rc;
    char                        path[NGX_MAX_PATH];
    ngx_uint_t                  n;
    ngx_http_stoa_env_t        *env;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = sync->agent->mcf;

    ngx_http_stoa_sync_discard(sync);

    n = ngx_http_stoa_env_next(mcf, sync->cur_name);

    ngx_http_stoa_env_name(mcf, n, 0, sync->next_name,
                           sizeof(sync->next_name));
    ngx_http_stoa_env_name(mcf, n, 1, path, sizeof(path));

    env = ngx_http_stoa_env_open(path, mcf->store_size, 1, &rc);

    if (env == NULL) {
        sync->state = rc == ENOSPC ? NGX_HTTP_STOA_SYNC_STORE_FULL
                                   : NGX_HTTP_STOA_SYNC_FAILING;
        (void) snprintf(sync->why, sizeof(sync->why),
                        "cannot create the store: %s", mdb_strerror(rc));
        return NGX_ERROR;
    }

    /* nobody reads it before its end: one flush is enough, then */

    ngx_http_stoa_writer_init(&sync->next, env, MDB_NOSYNC);

    ngx_http_stoa_store(&mcf->sh->sync_state,
                        (uint64_t) NGX_HTTP_STOA_SYNC_LOADING);

    return NGX_OK;
}


static void
ngx_http_stoa_sync_discard(ngx_http_stoa_sync_t *sync)
{
    if (sync->next.env) {
        ngx_http_stoa_writer_free(&sync->next);
        ngx_http_stoa_env_remove(sync->agent->mcf, sync->next_name);
    }
}


static ngx_int_t
ngx_http_stoa_sync_poll(ngx_http_stoa_sync_t *sync)
{
    int                        n;
    char                       path[256];
    uint64_t                   since;
    ngx_int_t                  rc;
    ngx_uint_t                 wait;
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_http_stoa_exchange_t   x;

    mcf = sync->agent->mcf;
    sync->w = sync->next.env ? &sync->next : &sync->cur;

    /* the first question is answered at once: are we behind? */

    wait = (sync->contact && sync->w == &sync->cur) ? NGX_HTTP_STOA_WAIT_S
                                                    : 0;

    if (mcf->max_stale) {
        wait = ngx_min(wait, mcf->max_stale / 3000);
    }

    since = sync->w->committed.rev;

    if (since) {
        n = snprintf(path, sizeof(path),
                     "/gateway/v1/feed?since=%llu&epoch=%.16s&wait=%u",
                     (unsigned long long) since, sync->w->committed.epoch,
                     (unsigned) wait);
    } else {
        n = snprintf(path, sizeof(path), "/gateway/v1/feed?since=0&wait=%u",
                     (unsigned) wait);
    }

    if (mcf->group.len) {
        (void) snprintf(path + n, sizeof(path) - n, "&group=%.*s",
                        (int) mcf->group.len, mcf->group.data);
    }

    stoa_buf_reset(&sync->line);
    sync->header = 0;
    sync->end = 0;
    sync->gone = 0;
    sync->rows = 0;
    sync->state = NGX_HTTP_STOA_SYNC_FAILING;
    sync->why[0] = '\0';

    ngx_memzero(&x, sizeof(ngx_http_stoa_exchange_t));
    x.path = path;
    x.sink = ngx_http_stoa_sync_sink;
    x.ctx = sync;
    x.stall_s = wait + 20;
    x.cut = sync->w == &sync->cur ? &mcf->dir->store_bad : NULL;

    rc = ngx_http_stoa_client_do(sync->agent, &sync->agent->sync, &x);

    ngx_http_stoa_add(&mcf->sh->sync_polls, 1);
    ngx_http_stoa_writer_abort(sync->w);

    return ngx_http_stoa_sync_judge(sync, rc, x.status);
}


/* NGX_OK, NGX_ERROR (why is set), NGX_AGAIN: try at once, NGX_ABORT. */

static ngx_int_t
ngx_http_stoa_sync_judge(ngx_http_stoa_sync_t *sync, ngx_int_t rc,
    long status)
{
    if (rc == NGX_ABORT || rc == NGX_AGAIN) {
        return rc;
    }

    if (sync->end) {
        return NGX_OK;
    }

    if ((sync->gone || status == 410)
        && (sync->w == &sync->cur || sync->w->committed.rev))
    {
        ngx_log_error(NGX_LOG_NOTICE, sync->agent->log, 0,
                      "the control plane has another history, the "
                      "configuration is loaded anew; the present one stays "
                      "in force until then");

        return ngx_http_stoa_sync_fresh(sync) == NGX_OK ? NGX_AGAIN
                                                        : NGX_ERROR;
    }

    if (sync->why[0]) {
        /* said by who knew it */

    } else if (status == 403) {
        (void) snprintf(sync->why, sizeof(sync->why),
                        "the gateway token is of another group than "
                        "\"stoa_gateway_group\" says");
        sync->state = NGX_HTTP_STOA_SYNC_UNAUTHORIZED;

    } else if (status == 401) {
        (void) snprintf(sync->why, sizeof(sync->why),
                        "the control plane refused the gateway token "
                        "(status %ld)", status);
        sync->state = NGX_HTTP_STOA_SYNC_UNAUTHORIZED;

    } else if (rc == NGX_ERROR) {
        (void) snprintf(sync->why, sizeof(sync->why), "%s",
                        sync->agent->sync.error);

    } else if (status != 200) {
        (void) snprintf(sync->why, sizeof(sync->why),
                        "the control plane answered with status %ld", status);

    } else {
        (void) snprintf(sync->why, sizeof(sync->why),
                        "the answer ended without its end line");
    }

    return NGX_ERROR;
}


static size_t
ngx_http_stoa_sync_sink(char *data, size_t size, size_t n, void *ctx)
{
    char                  *p, *end, *lf;
    long                   status;
    stoa_str_t             line;
    ngx_http_stoa_sync_t  *sync;

    sync = ctx;
    n *= size;

    (void) curl_easy_getinfo(sync->agent->sync.easy, CURLINFO_RESPONSE_CODE,
                             &status);
    if (status != 200) {
        return n;
    }

    p = data;
    end = data + n;

    while (p < end) {
        lf = memchr(p, '\n', (size_t) (end - p));

        if (lf == NULL) {
            stoa_buf_add(&sync->line, p, (size_t) (end - p));
            break;
        }

        line.data = p;
        line.len = (size_t) (lf - p);

        if (sync->line.len) {
            stoa_buf_add(&sync->line, line.data, line.len);
            line.data = sync->line.data;
            line.len = sync->line.len;
        }

        if (sync->line.rc == STOA_OK) {

            if (ngx_http_stoa_sync_line(sync, line.data, line.len) != NGX_OK) {
                return 0;
            }

            stoa_buf_reset(&sync->line);
        }

        if (sync->line.rc != STOA_OK) {
            break;
        }

        p = lf + 1;
    }

    if (sync->line.rc != STOA_OK) {
        (void) ngx_http_stoa_sync_wrong(sync, "a line is too long");
        return 0;
    }

    return n;
}


static ngx_int_t
ngx_http_stoa_sync_line(ngx_http_stoa_sync_t *sync, const char *data,
    size_t len)
{
    stoa_json_val_t        root;
    ngx_http_stoa_line_t   line;

    if (len == 0 || sync->end) {
        return NGX_OK;
    }

    if (!ngx_http_stoa_line_read(data, len, &line, &root)) {
        return ngx_http_stoa_sync_wrong(sync, "a line is no JSON object");
    }

    if (!sync->header) {
        return ngx_http_stoa_sync_header(sync, &root);
    }

    return line.end.start ? ngx_http_stoa_sync_end(sync, &root)
                          : ngx_http_stoa_sync_row(sync, &line);
}


static ngx_int_t
ngx_http_stoa_sync_header(ngx_http_stoa_sync_t *sync,
    const stoa_json_val_t *root)
{
    uint64_t                version, rev;
    stoa_str_t              epoch;
    ngx_http_stoa_meta_t   *m;

    if (!stoa_json_get_uint(root, "feed", &version) || version != 1
        || !stoa_json_get_uint(root, "rev", &rev)
        || !stoa_json_get_text(root, "epoch", &epoch)
        || epoch.len != 16)
    {
        return ngx_http_stoa_sync_wrong(sync, "the first line is no header "
                                        "of version 1");
    }

    ngx_memcpy(sync->epoch, epoch.data, 16);
    sync->header = 1;

    m = &sync->w->committed;

    if (m->epoch[0] && ngx_memcmp(m->epoch, sync->epoch, 16) != 0) {
        sync->gone = 1;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_sync_row(ngx_http_stoa_sync_t *sync,
    const ngx_http_stoa_line_t *line)
{
    int                   rc;
    ngx_http_stoa_row_t   row;

    if (!stoa_json_text(&line->key, &row.key)
        || !stoa_json_text(&line->kind, &row.kind)
        || !stoa_json_uint(&line->rev, &row.rev))
    {
        return ngx_http_stoa_sync_wrong(sync, "a row has no key, kind or rev");
    }

    row.deleted = line->deleted.type == STOA_JSON_TRUE;

    row.body.data = "";
    row.body.len = 0;

    if (!row.deleted) {
        if (line->body.start == NULL) {
            return ngx_http_stoa_sync_wrong(sync, "a row has no body");
        }

        row.body.data = line->body.start;
        row.body.len = (size_t) (line->body.end - line->body.start);
    }

    if (sync->w->txn == NULL && ngx_http_stoa_sync_begin(sync) != NGX_OK) {
        return NGX_ERROR;
    }

    /* another process may have been faster: nginx -s upgrade */

    if (row.rev <= sync->w->meta.rev) {
        return NGX_OK;
    }

    rc = ngx_http_stoa_writer_apply(sync->w, &row);

    if (rc != 0) {
        return ngx_http_stoa_sync_store_failed(sync, rc);
    }

    sync->rows++;

    if (sync->w->rows >= NGX_HTTP_STOA_BATCH_ROWS
        || sync->w->bytes >= NGX_HTTP_STOA_BATCH_BYTES)
    {
        return ngx_http_stoa_sync_commit(sync);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_sync_end(ngx_http_stoa_sync_t *sync,
    const stoa_json_val_t *root)
{
    uint64_t                 rev;
    ngx_http_stoa_writer_t  *w;

    w = sync->w;

    if (!stoa_json_get_uint(root, "rev", &rev)) {
        return ngx_http_stoa_sync_wrong(sync, "the end line has no rev");
    }

    if (w->txn == NULL && w == &sync->cur && rev <= w->committed.rev
        && w->committed.epoch[0])
    {
        /* nothing new */
        sync->end = 1;
        return NGX_OK;
    }

    if (w->txn == NULL && ngx_http_stoa_sync_begin(sync) != NGX_OK) {
        return NGX_ERROR;
    }

    w->meta.complete = 1;
    w->meta.rev = ngx_max(w->meta.rev, rev);

    if (ngx_http_stoa_sync_commit(sync) != NGX_OK) {
        return NGX_ERROR;
    }

    if (w == &sync->next && ngx_http_stoa_sync_switch(sync) != NGX_OK) {
        return NGX_ERROR;
    }

    sync->end = 1;

    ngx_http_stoa_store(&sync->agent->rev, sync->cur.committed.rev);
    ngx_http_stoa_client_wake(&sync->agent->report);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_sync_begin(ngx_http_stoa_sync_t *sync)
{
    int  rc;

    rc = ngx_http_stoa_writer_begin(sync->w);

    if (rc != 0) {
        return ngx_http_stoa_sync_store_failed(sync, rc);
    }

    ngx_memcpy(sync->w->meta.epoch, sync->epoch, 16);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_sync_commit(ngx_http_stoa_sync_t *sync)
{
    int                  rc;
    uint64_t             start, rows;
    ngx_http_stoa_sh_t  *sh;

    if (!ngx_http_stoa_lease_owns(sync->agent)) {
        ngx_http_stoa_writer_abort(sync->w);
        return ngx_http_stoa_sync_wrong(sync, "another worker took over");
    }

    sh = sync->agent->mcf->sh;
    rows = sync->w->rows;
    start = ngx_http_stoa_now_ns();

    rc = ngx_http_stoa_writer_commit(sync->w);

    if (rc != 0) {
        return ngx_http_stoa_sync_store_failed(sync, rc);
    }

    if (sync->w == &sync->cur && sync->w->flags == MDB_NOSYNC) {
        ngx_http_stoa_add(&sync->agent->commits, 1);
    }

    ngx_http_stoa_add(&sh->sync_rows, rows);
    ngx_http_stoa_add(&sh->sync_rejected, sync->w->refused);
    ngx_http_stoa_add(&sh->sync_commits, 1);
    ngx_http_stoa_add(&sh->sync_commit_us,
                      (ngx_http_stoa_now_ns() - start) / 1000);
    sync->w->refused = 0;

    return NGX_OK;
}


/* The loaded store comes into force: on disk first, then in the workers. */

static ngx_int_t
ngx_http_stoa_sync_switch(ngx_http_stoa_sync_t *sync)
{
    int                         rc;
    unsigned                    flags;
    ngx_int_t                   state;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = sync->agent->mcf;

    rc = ngx_http_stoa_flush_reopen(&sync->next);

    if (rc != 0) {
        return ngx_http_stoa_sync_store_failed(sync, rc);
    }

    flags = ngx_http_stoa_flush_all(sync->agent, sync->next.env);

    /* until it is in force, nothing notes what the old one has on disk */

    sync->cur.flags = MDB_NOMETASYNC;

    rc = (flags == MDB_NOSYNC) ? 0 : mdb_env_sync(sync->next.env->env, 1);

    if (rc != 0) {
        return ngx_http_stoa_sync_store_failed(sync, rc);
    }

    state = ngx_http_stoa_env_state_set(mcf, sync->next_name,
                                        sync->agent->lease);

    if (state == NGX_BUSY) {
        return ngx_http_stoa_sync_wrong(sync, "another worker took over");
    }

    if (state != NGX_OK) {
        return ngx_http_stoa_sync_store_failed(sync, errno);
    }

    ngx_http_stoa_store(&mcf->dir->store_bad, (uint64_t) 0);
    ngx_http_stoa_add(&mcf->dir->store_gen, 1);

    ngx_http_stoa_writer_free(&sync->cur);

    sync->cur = sync->next;
    sync->cur.flags = flags;
    ngx_memzero(&sync->next, sizeof(ngx_http_stoa_writer_t));

    (void) strcpy(sync->cur_name, sync->next_name);
    sync->w = &sync->cur;

    ngx_http_stoa_env_sweep(mcf, sync->agent->lease);

    ngx_log_error(NGX_LOG_NOTICE, sync->agent->log, 0,
                  "configuration of revision %uL is in force, %uL records "
                  "were loaded", sync->cur.committed.rev, sync->rows);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_sync_store_failed(ngx_http_stoa_sync_t *sync, int err)
{
    ngx_http_stoa_sh_t  *sh;

    sh = sync->agent->mcf->sh;

    (void) snprintf(sync->why, sizeof(sync->why), "the store failed: %s%s",
                    mdb_strerror(err),
                    err == MDB_MAP_FULL ? " (size= of stoa_store)" : "");

    if (err == MDB_MAP_FULL || err == ENOSPC) {
        ngx_http_stoa_add(&sh->store_full, 1);
        sync->state = NGX_HTTP_STOA_SYNC_STORE_FULL;
    }

    if (!ngx_http_stoa_env_damaged(err)) {
        return NGX_ERROR;
    }

    if (sync->w == &sync->next) {
        sync->spoilt = 1;

    } else {
        ngx_http_stoa_store(&sync->agent->mcf->dir->store_bad, (uint64_t) 1);
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_sync_wrong(ngx_http_stoa_sync_t *sync, const char *what)
{
    (void) snprintf(sync->why, sizeof(sync->why), "bad feed: %s", what);

    return NGX_ERROR;
}


static void
ngx_http_stoa_sync_good(ngx_http_stoa_sync_t *sync)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = sync->agent->mcf;

    ngx_http_stoa_store(&mcf->dir->sync_ok_ms, ngx_http_stoa_wall_ms());

    if (sync->fails || !sync->contact) {
        ngx_log_error(NGX_LOG_NOTICE, sync->agent->log, 0,
                      "in touch with the control plane, revision %uL",
                      sync->cur.committed.rev);
        ngx_http_stoa_zone_sync_err(mcf->sh, "");
    }

    sync->contact = 1;
    sync->fails = 0;

    ngx_http_stoa_store(&mcf->sh->sync_state,
                        (uint64_t) NGX_HTTP_STOA_SYNC_CONNECTED);
}


/* Says so once, and again every minute or so; then waits. */

static void
ngx_http_stoa_sync_bad(ngx_http_stoa_sync_t *sync)
{
    uint64_t             ms;
    ngx_uint_t           i;
    ngx_http_stoa_sh_t  *sh;

    sh = sync->agent->mcf->sh;

    if (sync->fails % 10 == 0) {
        ngx_log_error(NGX_LOG_ERR, sync->agent->log, 0,
                      "sync with the control plane failed: %s", sync->why);
    }

    ngx_http_stoa_add(&sh->sync_failures, 1);
    ngx_http_stoa_zone_sync_err(sh, sync->why);

    ngx_http_stoa_store(&sh->sync_state, sync->state);

    sync->contact = 0;

    ms = NGX_HTTP_STOA_BACKOFF_MIN_MS;

    for (i = 0; i < sync->fails && ms < NGX_HTTP_STOA_BACKOFF_MAX_MS; i++) {
        ms *= 2;
    }

    sync->fails++;

    ms = ngx_min(ms, NGX_HTTP_STOA_BACKOFF_MAX_MS);
    ms = ms / 2 + (ngx_http_stoa_now_ns() >> 10) % (ms / 2 + 1);

    /* in slices: the lease may go */

    for (i = 0; ms && !ngx_http_stoa_lease_over(sync->agent); i++) {
        ngx_http_stoa_client_sleep(&sync->agent->sync, ngx_min(ms, 500));
        ms -= ngx_min(ms, 500);
    }
}
