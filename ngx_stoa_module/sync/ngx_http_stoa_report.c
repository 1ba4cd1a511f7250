/*
 * The report thread: tells the control plane what this gateway has (status)
 * and what was called (usage).
 */

#include "core/stoa_policy.h"
#include "ngx_http_stoa_sync.h"
#include "core/stoa_json.h"
#include "core/stoa_key.h"


/* How often it is said that usage cannot be spooled. */
#define NGX_HTTP_STOA_REPORT_TELL_MS    60000
/* After a status, until one that names keys that nobody knows. */
#define NGX_HTTP_STOA_REPORT_HINT_MS    1000
/* Failures of one kind in a row: every tenth is said. */
#define NGX_HTTP_STOA_REPORT_TELL_EACH  10
#define NGX_HTTP_STOA_REPORT_NEWS_MS    60000


typedef struct {
    ngx_http_stoa_agent_t  *agent;
    ngx_http_stoa_spool_t   spool;
    stoa_buf_t              body;
    stoa_buf_t              answer;
    uint64_t                rev;              /* reported                    */
    uint64_t                started_ms;       /* all times monotonic         */
    uint64_t                next_status_ms;
    uint64_t                next_collect_ms;
    uint64_t                next_post_ms;
    uint64_t                next_told_ms;     /* that the spool is full      */
    uint64_t                next_news_ms;
    uint64_t                status_fails;
    uint64_t                usage_fails;
    uint64_t                interval_ms;
    unsigned                last:1;           /* the process is ending       */
} ngx_http_stoa_report_t;


static uint64_t ngx_http_stoa_report_now(void);
static uint64_t ngx_http_stoa_report_turn(ngx_http_stoa_report_t *rp);
static void ngx_http_stoa_report_status(ngx_http_stoa_report_t *rp);
static ngx_int_t ngx_http_stoa_report_status_body(ngx_http_stoa_report_t *rp);
static void ngx_http_stoa_report_status_add(ngx_http_stoa_report_t *rp,
    ngx_http_stoa_env_t *env, const ngx_http_stoa_meta_t *meta);
static void ngx_http_stoa_report_sync(ngx_http_stoa_report_t *rp);
static void ngx_http_stoa_report_policies(ngx_http_stoa_report_t *rp);
static void ngx_http_stoa_report_rejected(ngx_http_stoa_report_t *rp,
    ngx_http_stoa_env_t *env, MDB_txn *txn);
static int64_t ngx_http_stoa_report_number(ngx_http_stoa_report_t *rp,
    const char *name);
static ngx_uint_t ngx_http_stoa_report_hint(ngx_http_stoa_report_t *rp,
    uint64_t now);
static void ngx_http_stoa_report_interval(ngx_http_stoa_report_t *rp);
static void ngx_http_stoa_report_refused(ngx_http_stoa_report_t *rp);
static ngx_int_t ngx_http_stoa_report_usage(ngx_http_stoa_report_t *rp);
static void ngx_http_stoa_report_news(ngx_http_stoa_report_t *rp);
static ngx_uint_t ngx_http_stoa_report_for_good(ngx_http_stoa_report_t *rp,
    long status);
static ngx_int_t ngx_http_stoa_report_aside(ngx_http_stoa_report_t *rp,
    uint64_t seq, long status);
static ngx_int_t ngx_http_stoa_report_post(ngx_http_stoa_report_t *rp,
    const char *path, long *status);
static size_t ngx_http_stoa_report_sink(char *data, size_t size, size_t n,
    void *ctx);
static uint64_t ngx_http_stoa_report_backoff(uint64_t fails);
static void ngx_http_stoa_report_flush(ngx_http_stoa_report_t *rp);


void *
ngx_http_stoa_report_run(void *data)
{
    uint64_t                wait;
    ngx_http_stoa_report_t  rp;

    ngx_memzero(&rp, sizeof(ngx_http_stoa_report_t));
    rp.agent = data;
    rp.started_ms = ngx_http_stoa_report_now();
    rp.interval_ms = NGX_HTTP_STOA_STATUS_MS;
    rp.rev = UINT64_MAX;

    stoa_buf_init(&rp.body, 16 * 1024 * 1024);
    stoa_buf_init(&rp.answer, NGX_HTTP_STOA_ANSWER_MAX);

    while (!ngx_http_stoa_lease_over(rp.agent)) {
        wait = ngx_http_stoa_report_turn(&rp);

        if (!ngx_http_stoa_lease_over(rp.agent)) {
            ngx_http_stoa_client_sleep(&rp.agent->report, wait);
        }
    }

    if (ngx_http_stoa_lease_owns(rp.agent)) {
        ngx_http_stoa_report_flush(&rp);
    }

    ngx_http_stoa_spool_close(&rp.spool);
    stoa_buf_free(&rp.body);
    stoa_buf_free(&rp.answer);

    ngx_http_stoa_add(&rp.agent->ended, 1);

    return NULL;
}


static uint64_t
ngx_http_stoa_report_now(void)
{
    return ngx_http_stoa_now_ns() / 1000000;
}


/* Does what is due; returns for how long nothing will be. */

static uint64_t
ngx_http_stoa_report_turn(ngx_http_stoa_report_t *rp)
{
    uint64_t                    now, next, rev;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = rp->agent->mcf;
    now = ngx_http_stoa_report_now();
    rev = ngx_http_stoa_load(&rp->agent->rev);

    if (now >= rp->next_status_ms
        || (!rp->status_fails
            && (rev != rp->rev || ngx_http_stoa_report_hint(rp, now))))
    {
        ngx_http_stoa_report_status(rp);
    }

    now = ngx_http_stoa_report_now();

    if (rp->spool.env == NULL && now >= rp->next_collect_ms
        && ngx_http_stoa_spool_open(&rp->spool, rp->agent) != NGX_OK)
    {
        rp->next_collect_ms = now + 10000;
    }

    if (rp->spool.env) {

        if (now >= rp->next_collect_ms) {

            if (ngx_http_stoa_spool_collect(&rp->spool, rp->agent) != NGX_OK
                && now >= rp->next_told_ms)
            {
                rp->next_told_ms = now + NGX_HTTP_STOA_REPORT_TELL_MS;

                ngx_log_error(NGX_LOG_ERR, rp->agent->log, 0,
                              "usage cannot be spooled, it stays in the "
                              "counter file");
            }

            rp->next_collect_ms = now
                + (rp->spool.waiting >= NGX_HTTP_STOA_SPOOL_CALM
                   ? ngx_max(mcf->usage_interval, 60000)
                   : mcf->usage_interval);
        }

        if (rp->spool.waiting && now >= rp->next_post_ms
            && ngx_http_stoa_report_usage(rp) == NGX_ERROR)
        {
            rp->next_post_ms = ngx_http_stoa_report_now()
                              + ngx_http_stoa_report_backoff(rp->usage_fails);
        }

        ngx_http_stoa_store(&mcf->sh->usage_waiting, rp->spool.waiting);
    }

    if (ngx_http_stoa_report_now() >= rp->next_news_ms) {
        ngx_http_stoa_report_news(rp);
    }

    ngx_http_stoa_flush_turn(rp->agent, ngx_http_stoa_report_now());

    now = ngx_http_stoa_report_now();
    next = ngx_min(rp->next_status_ms, rp->next_collect_ms);

    if (rp->spool.waiting) {
        next = ngx_min(next, rp->next_post_ms);
    }

    /* the lease is looked at twice a second */

    return next <= now ? 1 : ngx_min(next - now, 500);
}


/* Somebody waits for its being read. */

static ngx_uint_t
ngx_http_stoa_report_hint(ngx_http_stoa_report_t *rp, uint64_t now)
{
    return (ngx_http_stoa_hint_noted(rp->agent->mcf->sh,
                                     NGX_HTTP_STOA_HINT_KEYS)
            || ngx_http_stoa_hint_noted(rp->agent->mcf->sh,
                                        NGX_HTTP_STOA_HINT_CATALOG))
           && now + rp->interval_ms
              >= rp->next_status_ms + NGX_HTTP_STOA_REPORT_HINT_MS;
}


static void
ngx_http_stoa_report_status(ngx_http_stoa_report_t *rp)
{
    long                 status;
    uint64_t             rev;
    ngx_int_t            rc;
    ngx_http_stoa_sh_t  *sh;

    sh = rp->agent->mcf->sh;
    rev = ngx_http_stoa_load(&rp->agent->rev);

    if (ngx_http_stoa_report_status_body(rp) != NGX_OK) {
        rp->next_status_ms = ngx_http_stoa_report_now() + 200;
        rp->rev = rev;
        return;
    }

    rc = ngx_http_stoa_report_post(rp, "/gateway/v1/status", &status);

    if (rc == NGX_ABORT) {
        return;
    }

    if (rc == NGX_OK && status == 200) {

        if (rp->status_fails) {
            ngx_log_error(NGX_LOG_NOTICE, rp->agent->log, 0,
                          "status reports are accepted again");
        }

        rp->status_fails = 0;
        rp->rev = rev;
        ngx_http_stoa_store(&sh->status_ok_ms, ngx_http_stoa_wall_ms());
        ngx_http_stoa_report_interval(rp);
        rp->next_status_ms = ngx_http_stoa_report_now() + rp->interval_ms;
        return;
    }

    if (rp->status_fails++ % NGX_HTTP_STOA_REPORT_TELL_EACH == 0) {
        ngx_log_error(NGX_LOG_WARN, rp->agent->log, 0,
                      "status report failed: %s (status %l)",
                      rc == NGX_OK ? "refused" : rp->agent->report.error,
                      status);
    }

    ngx_http_stoa_add(&sh->status_failures, 1);
    rp->next_status_ms = ngx_http_stoa_report_now()
                         + ngx_http_stoa_report_backoff(rp->status_fails);
}


/* From the store in force, not from memory: what the workers read. */

static ngx_int_t
ngx_http_stoa_report_status_body(ngx_http_stoa_report_t *rp)
{
    int                         rc;
    char                        name[64], path[NGX_MAX_PATH];
    MDB_txn                    *txn;
    ngx_int_t                   n;
    ngx_http_stoa_env_t        *env;
    ngx_http_stoa_meta_t        meta;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = rp->agent->mcf;

    if (ngx_http_stoa_env_state(mcf, name, sizeof(name)) != NGX_OK
        || ngx_http_stoa_env_suspect(mcf, name))
    {
        return NGX_DECLINED;
    }

    ngx_http_stoa_env_name(mcf, ngx_http_stoa_env_number(name), 1, path,
                           sizeof(path));

    env = ngx_http_stoa_env_open(path, mcf->store_size, 0, &rc);
    if (env == NULL) {
        return NGX_DECLINED;
    }

    rc = mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn);
    n = NGX_DECLINED;

    if (rc == 0) {
        n = ngx_http_stoa_env_meta(env, txn, &meta);

        if (n == NGX_OK) {
            stoa_buf_reset(&rp->body);
            ngx_http_stoa_report_status_add(rp, env, &meta);
            ngx_http_stoa_report_policies(rp);
            ngx_http_stoa_report_sync(rp);
            ngx_http_stoa_news_targets(rp->agent->mcf->sh, &rp->body);
            ngx_http_stoa_report_rejected(rp, env, txn);
        }

        mdb_txn_abort(txn);
    }

    ngx_http_stoa_env_close(env);

    return (n == NGX_OK && rp->body.rc == STOA_OK) ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_stoa_report_status_add(ngx_http_stoa_report_t *rp,
    ngx_http_stoa_env_t *env, const ngx_http_stoa_meta_t *meta)
{
    char                        hex[2 * sizeof(meta->digest)];
    MDB_stat                    ms;
    uint64_t                    now, ok;
    MDB_envinfo                 mi;
    ngx_uint_t                  i, workers;
    ngx_http_stoa_sh_t         *sh;

    sh = rp->agent->mcf->sh;

    (void) mdb_env_stat(env->env, &ms);
    (void) mdb_env_info(env->env, &mi);

    workers = 0;

    for (i = 0; i < sh->nprocs; i++) {
        workers += ngx_http_stoa_load(&sh->procs[i].pid) != 0;
    }

    now = ngx_http_stoa_wall_ms();
    ok = ngx_http_stoa_load(&rp->agent->mcf->dir->sync_ok_ms);

    stoa_hex_encode(meta->digest, sizeof(meta->digest), hex);

    stoa_buf_addf(&rp->body, "{\"epoch\":\"%.16s\",\"rev\":%llu,"
                  "\"digest\":\"%.32s\",\"version\":\"%s\",\"nginx\":\"%s\"",
                  meta->epoch, (unsigned long long) meta->rev, hex,
                  NGX_HTTP_STOA_VERSION, NGINX_VERSION);

    stoa_buf_addf(&rp->body, ",\"uptime_s\":%llu,\"workers\":%u,\"pid\":%u,"
                  "\"requests\":%llu,\"store_bytes\":%llu,"
                  "\"feed_age_ms\":%llu",
                  (unsigned long long) (now - sh->started_ms) / 1000,
                  (unsigned) workers,
                  (unsigned) (ngx_process == NGX_PROCESS_SINGLE ? ngx_pid
                                                          : ngx_parent),
                  (unsigned long long) ngx_http_stoa_proc_sum(sh,
                                     offsetof(ngx_http_stoa_proc_t, requests)),
                  (unsigned long long) (mi.me_last_pgno + 1) * ms.ms_psize,
                  (unsigned long long) (now > ok ? now - ok : 0));

    stoa_buf_addf(&rp->body, ",\"limits\":\"%s\"",
                  rp->agent->mcf->redis == NULL ? "node"
                  : ngx_http_stoa_load(&sh->limits_up) ? "shared" : "away");

#if (NGX_STAT_STUB)
    stoa_buf_addf(&rp->body, ",\"connections\":%llu",
                  (unsigned long long) *ngx_stat_active);
#endif
}


/* Which types of policies it can judge, so that no other is stored. */

static void
ngx_http_stoa_report_policies(ngx_http_stoa_report_t *rp)
{
    size_t                     i;
    const stoa_policy_type_t  *type;

    stoa_buf_addz(&rp->body, ",\"policies\":\"");

    for (i = 0; (type = stoa_policy_at(i)) != NULL; i++) {
        stoa_buf_addf(&rp->body, i ? " %s:%u" : "%s:%u", type->name,
                      (unsigned) type->version);
    }

    stoa_buf_addz(&rp->body, "\"");
}


/* Why it is behind, if it is.  The control plane takes no control characters
 * in a text. */

static void
ngx_http_stoa_report_sync(ngx_http_stoa_report_t *rp)
{
    char                 err[NGX_HTTP_STOA_SYNC_ERR_LEN];
    size_t               i;
    stoa_id_t            ids[NGX_HTTP_STOA_HINTED];
    ngx_uint_t           k, n, what;
    ngx_http_stoa_sh_t  *sh;

    static const char *const  hints[] = { "unknown_keys", "changed" };

    sh = rp->agent->mcf->sh;

    ngx_http_stoa_zone_sync_err_get(sh, err);

    for (i = 0; err[i]; i++) {
        if ((u_char) err[i] < ' ' || (u_char) err[i] >= 0x7f) {
            err[i] = '?';
        }
    }

    for (what = 0; what < NGX_HTTP_STOA_HINTS; what++) {
        n = ngx_http_stoa_hint_take(sh, what, ids);

        for (k = 0; k < n; k++) {
            stoa_buf_addf(&rp->body, k ? "," : ",\"%s\":[", hints[what]);
            stoa_buf_addf(&rp->body, "\"%.16s\"", ids[k].c);
        }

        stoa_buf_addz(&rp->body, n ? "]" : "");
    }

    stoa_buf_addf(&rp->body, ",\"sync_state\":\"%s\",\"sync_error\":",
                  ngx_http_stoa_zone_sync_state(sh));
    stoa_buf_add_json(&rp->body, err, i);
}


static void
ngx_http_stoa_report_rejected(ngx_http_stoa_report_t *rp,
    ngx_http_stoa_env_t *env, MDB_txn *txn)
{
    int                        rc;
    MDB_val                    key, val;
    ngx_uint_t                 n;
    MDB_cursor                *cursor;
    ngx_http_stoa_rejected_t   r;

    stoa_buf_addz(&rp->body, ",\"rejected\":[");

    if (mdb_cursor_open(txn, env->rejected, &cursor) == 0) {
        n = 0;

        for (rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
             rc == 0 && n < NGX_HTTP_STOA_REJECTED_MAX;
             rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
        {
            if (val.mv_size != sizeof(r)) {
                continue;
            }

            ngx_memcpy(&r, val.mv_data, sizeof(r));
            r.error[sizeof(r.error) - 1] = '\0';

            stoa_buf_addz(&rp->body, n++ ? ",{\"key\":" : "{\"key\":");
            stoa_buf_add_json(&rp->body, key.mv_data, key.mv_size);
            stoa_buf_addf(&rp->body, ",\"rev\":%llu,\"error\":",
                          (unsigned long long) r.rev);
            stoa_buf_add_json(&rp->body, r.error, strlen(r.error));
            stoa_buf_addz(&rp->body, "}");
        }

        mdb_cursor_close(cursor);
    }

    stoa_buf_addz(&rp->body, "]}");
}


/* A number of the answer; -1: there is none. */

static int64_t
ngx_http_stoa_report_number(ngx_http_stoa_report_t *rp, const char *name)
{
    int64_t          n;
    stoa_err_t       err;
    stoa_json_val_t  root, val;

    return rp->answer.len
           && stoa_json_check(rp->answer.data, rp->answer.len,
                              STOA_JSON_DEPTH_MAX, &root, &err) == STOA_OK
           && root.type == STOA_JSON_OBJECT
           && stoa_json_get(&root, name, &val)
           && val.type == STOA_JSON_NUMBER
           && stoa_json_int(&val, &n) == STOA_OK && n >= 0
           ? n : -1;
}


/* The control plane may ask for another rhythm, within reason. */

static void
ngx_http_stoa_report_interval(ngx_http_stoa_report_t *rp)
{
    int64_t  ms;

    ms = ngx_http_stoa_report_number(rp, "interval_ms");

    if (ms != -1) {
        rp->interval_ms = (uint64_t) ngx_min(ngx_max(ms, 500), 60000);
    }
}


/* Rows that the control plane did not take: of what this gateway's group does
 * not serve. */

static void
ngx_http_stoa_report_refused(ngx_http_stoa_report_t *rp)
{
    int64_t  n;

    n = ngx_http_stoa_report_number(rp, "refused");

    if (n > 0) {
        ngx_http_stoa_add(&rp->agent->mcf->sh->usage_rows_refused,
                          (uint64_t) n);
        ngx_log_error(NGX_LOG_WARN, rp->agent->log, 0,
                      "the control plane left out %L rows of a usage batch",
                      n);
    }
}


/* Posts one batch after the other.  NGX_OK: none is left. */

static ngx_int_t
ngx_http_stoa_report_usage(ngx_http_stoa_report_t *rp)
{
    long                 status;
    uint64_t             seq;
    ngx_int_t            rc;
    ngx_http_stoa_sh_t  *sh;

    sh = rp->agent->mcf->sh;

    for ( ;; ) {
        status = 0;
        stoa_buf_reset(&rp->answer);
        rc = ngx_http_stoa_spool_first(&rp->spool, &rp->body, &seq);

        if (rc == NGX_DONE) {
            rp->spool.waiting = 0;
            return NGX_OK;
        }

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_report_post(rp, "/gateway/v1/usage", &status);
        }

        if (rc == NGX_ABORT) {
            return NGX_ABORT;
        }

        if (rc == NGX_DECLINED || ngx_http_stoa_report_for_good(rp, status)) {

            if (ngx_http_stoa_report_aside(rp, seq, status) == NGX_OK) {
                continue;
            }

            break;
        }

        if (rc != NGX_OK || status != 200
            || ngx_http_stoa_spool_remove(&rp->spool, seq) != NGX_OK)
        {
            break;
        }

        if (rp->usage_fails) {
            ngx_log_error(NGX_LOG_NOTICE, rp->agent->log, 0,
                          "usage batches are accepted again, %uL wait",
                          rp->spool.waiting);
        }

        ngx_http_stoa_report_refused(rp);
        rp->usage_fails = 0;
        ngx_http_stoa_add(&sh->usage_batches, 1);
        ngx_http_stoa_store(&sh->usage_ok_ms, ngx_http_stoa_wall_ms());
    }

    if (rp->usage_fails++ % NGX_HTTP_STOA_REPORT_TELL_EACH == 0) {
        ngx_log_error(NGX_LOG_WARN, rp->agent->log, 0,
                      "usage batch not delivered, it stays in the spool: %s "
                      "(status %l)",
                      status ? "refused" : rp->agent->report.error, status);
    }

    ngx_http_stoa_add(&sh->usage_failures, 1);

    return NGX_ERROR;
}


/* What was refused to whom, once a minute.  One that knows no news is of an
 * older version: it is asked again, with what there is then. */

static void
ngx_http_stoa_report_news(ngx_http_stoa_report_t *rp)
{
    long                 status;
    int64_t              ms;
    ngx_int_t            rc;
    ngx_uint_t           good;
    ngx_http_stoa_sh_t  *sh;

    sh = rp->agent->mcf->sh;

    if (ngx_http_stoa_news_body(sh, &rp->body) != NGX_OK) {
        return;
    }

    rc = ngx_http_stoa_report_post(rp, "/gateway/v1/news", &status);
    good = rc == NGX_OK && status == 200;
    ms = good ? ngx_http_stoa_report_number(rp, "interval_ms") : -1;
    ms = ms < 0 ? NGX_HTTP_STOA_REPORT_NEWS_MS : ngx_max(ms, 500);

    if (good || (rc == NGX_OK && ngx_http_stoa_report_for_good(rp, status))) {
        ngx_http_stoa_denial_told(sh, good);

    } else if (rc != NGX_OK || status != 404) {
        ms = NGX_HTTP_STOA_BACKOFF_MAX_MS;
    }

    rp->next_news_ms = ngx_http_stoa_report_now()
                      + (uint64_t) ngx_min(ms, NGX_HTTP_STOA_REPORT_NEWS_MS);
}


/*
 * Will this batch be refused again, whenever it is sent?  Only the control
 * plane itself can say so: what stands between may answer 400 to everything.
 */

static ngx_uint_t
ngx_http_stoa_report_for_good(ngx_http_stoa_report_t *rp, long status)
{
    stoa_err_t       err;
    stoa_json_val_t  root, val;

    static const char  ours[] = "\"urn:stoa:problem:";

    return (status == 400 || status == 413 || status == 422)
           && rp->answer.len
           && rp->answer.rc == STOA_OK
           && stoa_json_check(rp->answer.data, rp->answer.len,
                              STOA_JSON_DEPTH_MAX, &root, &err) == STOA_OK
           && root.type == STOA_JSON_OBJECT
           && stoa_json_get(&root, "type", &val)
           && (size_t) (val.end - val.start) > sizeof(ours)
           && ngx_strncmp(val.start, ours, sizeof(ours) - 1) == 0;
}


static ngx_int_t
ngx_http_stoa_report_aside(ngx_http_stoa_report_t *rp, uint64_t seq,
    long status)
{
    size_t               i;
    uint64_t             n;
    ngx_int_t            rc;
    ngx_http_stoa_sh_t  *sh;

    sh = rp->agent->mcf->sh;

    rc = ngx_http_stoa_spool_aside(&rp->spool, seq, &n);

    if (rc == NGX_BUSY && rp->usage_fails % NGX_HTTP_STOA_REPORT_TELL_EACH
                          == 0)
    {
        ngx_log_error(NGX_LOG_ERR, rp->agent->log, 0,
                      "%d usage batches were refused for good, the next one "
                      "waits", NGX_HTTP_STOA_SPOOL_ASIDE);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    for (i = 0; i < rp->answer.len; i++) {
        if ((u_char) rp->answer.data[i] < ' ') {
            rp->answer.data[i] = ' ';
        }
    }

    ngx_log_error(NGX_LOG_ERR, rp->agent->log, 0,
                  "a usage batch is set aside, %s (status %l) %*s",
                  status ? "the control plane refused it" : "it is damaged",
                  status, ngx_min(rp->answer.len, 500), rp->answer.data);

    ngx_http_stoa_add(&sh->usage_refused, 1);
    ngx_http_stoa_store(&sh->usage_aside, n);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_report_post(ngx_http_stoa_report_t *rp, const char *path,
    long *status)
{
    ngx_int_t                 rc;
    ngx_http_stoa_exchange_t  x;

    stoa_buf_reset(&rp->answer);

    ngx_memzero(&x, sizeof(ngx_http_stoa_exchange_t));
    x.path = path;
    x.body = rp->body.data;
    x.body_len = rp->body.len;
    x.sink = ngx_http_stoa_report_sink;
    x.ctx = rp;
    x.deadline_ms = rp->last ? NGX_HTTP_STOA_FLUSH_MS : NGX_HTTP_STOA_POST_MS;
    x.last = rp->last;

    rc = ngx_http_stoa_client_do(rp->agent, &rp->agent->report, &x);
    *status = x.status;

    return rc;
}


/* What is too long to be of use is read and forgotten. */

static size_t
ngx_http_stoa_report_sink(char *data, size_t size, size_t n, void *ctx)
{
    ngx_http_stoa_report_t  *rp;

    rp = ctx;

    stoa_buf_add(&rp->answer, data, size * n);

    return size * n;
}


static uint64_t
ngx_http_stoa_report_backoff(uint64_t fails)
{
    uint64_t  ms;

    ms = NGX_HTTP_STOA_BACKOFF_MIN_MS << ngx_min(fails, 6);
    ms = ngx_min(ms, NGX_HTTP_STOA_BACKOFF_MAX_MS);

    return ms / 2 + (ngx_http_stoa_now_ns() >> 10) % (ms / 2 + 1);
}


/* The last calls, for a moment only: the next start would send them too. */

static void
ngx_http_stoa_report_flush(ngx_http_stoa_report_t *rp)
{
    rp->last = 1;
    ngx_http_stoa_report_news(rp);

    if (rp->spool.env == NULL) {
        return;
    }

    (void) ngx_http_stoa_spool_collect(&rp->spool, rp->agent);

    if (rp->usage_fails == 0 && rp->spool.waiting) {
        (void) ngx_http_stoa_report_usage(rp);
    }
}
