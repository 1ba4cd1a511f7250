/*
 * The usage spool: DIR/usage.mdb.
 *
 * `spooled` holds, per usage slot, the cumulative values that are already in
 * a batch; a batch is the difference to them.  Both are written in one durable
 * transaction, so that whenever a process dies each call is either in exactly
 * one batch or still to be counted.  A batch is deleted when the control plane
 * has answered; it applies a batch's number once.  One that it refuses for
 * good is set aside, or no other would ever be told.
 *
 * The spool is bounded without dropping anything: when too many batches wait,
 * no more are made.  The differences stay in the counters and become one batch
 * later.  What is lost is the minute they belong to.
 *
 * Process: the report thread of worker 0.
 */

#include "ngx_http_stoa_sync.h"
#include "core/stoa_key.h"


#define SPOOL_FORMAT     1
#define SPOOL_SCAN_MS    60000       /* between full scans                   */
#define SPOOL_RETIRE_AT  5           /* 5 of 8 slots in use: old ones may go */


typedef struct {
    uint32_t  format;
    uint32_t  reserved;
    u_char    file[16];              /* the counter file of `spooled`        */
    uint64_t  batch;                 /* last number used for that file       */
    uint64_t  seq;                   /* last key of `batches`                */
    uint64_t  to_ms;                 /* end of the last batch                */
} ngx_http_stoa_spool_meta_t;

typedef struct {
    ngx_http_stoa_spool_t         *spool;
    ngx_http_stoa_agent_t         *agent;
    ngx_http_stoa_counters_t      *counters;
    MDB_txn                       *txn;
    ngx_http_stoa_spool_meta_t     meta;
    uint64_t                       now_ms;
    uint64_t                       made;     /* batches of this transaction  */
    stoa_buf_t                     rows;
    ngx_uint_t                     nrows;
} ngx_http_stoa_collect_t;


static int ngx_http_stoa_spool_format(ngx_http_stoa_spool_t *s,
    MDB_txn *txn);
static ngx_int_t ngx_http_stoa_collect_begin(ngx_http_stoa_collect_t *c);
static ngx_int_t ngx_http_stoa_collect_slots(ngx_http_stoa_collect_t *c,
    ngx_uint_t all);
static ngx_int_t ngx_http_stoa_collect_slot(ngx_http_stoa_collect_t *c,
    uint64_t slot, ngx_uint_t retire);
static ngx_uint_t ngx_http_stoa_collect_diff(
    const ngx_http_stoa_spool_val_t *now, const ngx_http_stoa_spool_val_t *old,
    ngx_http_stoa_spool_val_t *diff);
static ngx_int_t ngx_http_stoa_collect_batch(ngx_http_stoa_collect_t *c);
static int ngx_http_stoa_spool_expire(ngx_http_stoa_spool_t *s, MDB_txn *txn);


ngx_int_t
ngx_http_stoa_spool_open(ngx_http_stoa_spool_t *s,
    ngx_http_stoa_agent_t *agent)
{
    int                         rc;
    char                        path[NGX_MAX_PATH];
    MDB_txn                    *txn;
    MDB_stat                    stat, aside;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = agent->mcf;

    ngx_memzero(s, sizeof(ngx_http_stoa_spool_t));
    s->full_scan = 1;

    (void) snprintf(path, sizeof(path), "%.*s/usage.mdb",
                    (int) mcf->store_dir.len, mcf->store_dir.data);

    if ((rc = mdb_env_create(&s->env)) != 0
        || (rc = mdb_env_set_mapsize(s->env, NGX_HTTP_STOA_SPOOL_SIZE)) != 0
        || (rc = mdb_env_set_maxdbs(s->env, 4)) != 0
        || (rc = ngx_http_stoa_env_lock(path)) != 0
        || (rc = mdb_env_open(s->env, path, MDB_NOSUBDIR|MDB_NOTLS, 0600))
           != 0
        || (rc = mdb_txn_begin(s->env, NULL, 0, &txn)) != 0)
    {
        goto failed;
    }

    if ((rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &s->meta)) != 0
        || (rc = mdb_dbi_open(txn, "batches", MDB_CREATE|MDB_INTEGERKEY,
                              &s->batches)) != 0
        || (rc = mdb_dbi_open(txn, "spooled", MDB_CREATE|MDB_INTEGERKEY,
                              &s->spooled)) != 0
        || (rc = mdb_dbi_open(txn, "aside", MDB_CREATE|MDB_INTEGERKEY,
                              &s->aside)) != 0
        || (rc = mdb_stat(txn, s->batches, &stat)) != 0
        || (rc = mdb_stat(txn, s->aside, &aside)) != 0
        || (rc = ngx_http_stoa_spool_format(s, txn)) != 0)
    {
        mdb_txn_abort(txn);
        goto failed;
    }

    rc = mdb_txn_commit(txn);

    if (rc == 0) {
        s->waiting = stat.ms_entries;
        ngx_http_stoa_store(&mcf->sh->usage_aside, aside.ms_entries);
        ngx_http_stoa_counters_recount(mcf->counters);
        return NGX_OK;
    }

failed:

    ngx_log_error(NGX_LOG_ERR, agent->log, 0,
                  "usage spool \"%s\" cannot be opened: %s", path,
                  mdb_strerror(rc));

    ngx_http_stoa_spool_close(s);

    return NGX_ERROR;
}


/* A spool of another version is left alone: usage stays in the counters. */

static int
ngx_http_stoa_spool_format(ngx_http_stoa_spool_t *s, MDB_txn *txn)
{
    int       rc;
    MDB_val   key, val;
    uint32_t  format;

    key.mv_data = "meta";
    key.mv_size = 4;

    rc = mdb_get(txn, s->meta, &key, &val);

    if (rc != 0) {
        return rc == MDB_NOTFOUND ? 0 : rc;
    }

    if (val.mv_size != sizeof(ngx_http_stoa_spool_meta_t)) {
        return MDB_VERSION_MISMATCH;
    }

    ngx_memcpy(&format, val.mv_data, sizeof(format));

    return format == SPOOL_FORMAT ? 0 : MDB_VERSION_MISMATCH;
}


void
ngx_http_stoa_spool_close(ngx_http_stoa_spool_t *s)
{
    if (s->env) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
}


ngx_int_t
ngx_http_stoa_spool_collect(ngx_http_stoa_spool_t *s,
    ngx_http_stoa_agent_t *agent)
{
    ngx_int_t                rc;
    ngx_uint_t               all;
    ngx_http_stoa_collect_t  c;

    if (s->waiting >= NGX_HTTP_STOA_SPOOL_BATCHES) {
        s->full_scan = 1;
        return NGX_OK;
    }

    ngx_memzero(&c, sizeof(ngx_http_stoa_collect_t));
    c.spool = s;
    c.agent = agent;
    c.counters = agent->mcf->counters;
    c.now_ms = ngx_http_stoa_wall_ms();
    stoa_buf_init(&c.rows, NGX_HTTP_STOA_SPOOL_ROWS
                           * sizeof(ngx_http_stoa_spool_row_t)
                           + sizeof(ngx_http_stoa_spool_batch_t));

    all = s->full_scan || c.now_ms - s->scanned_ms > SPOOL_SCAN_MS;

    rc = ngx_http_stoa_collect_begin(&c);

    if (rc == NGX_OK) {
        s->full_scan = 0;
        rc = ngx_http_stoa_collect_slots(&c, all);
    }

    if (rc == NGX_OK && c.made == 0) {
        mdb_txn_abort(c.txn);
        c.txn = NULL;

    } else if (rc == NGX_OK) {
        rc = mdb_txn_commit(c.txn) == 0 ? NGX_OK : NGX_ERROR;
        c.txn = NULL;
    }

    if (rc == NGX_OK) {
        s->waiting += c.made;

        if (all) {
            s->scanned_ms = c.now_ms;
        }

    } else {
        /* the dirty bits were taken down */
        s->full_scan = 1;
    }

    if (c.txn) {
        mdb_txn_abort(c.txn);
    }

    stoa_buf_free(&c.rows);

    return rc;
}


static ngx_int_t
ngx_http_stoa_collect_begin(ngx_http_stoa_collect_t *c)
{
    int                             rc;
    MDB_val                         key, val;
    ngx_http_stoa_counters_head_t  *h;

    rc = mdb_txn_begin(c->spool->env, NULL, 0, &c->txn);

    if (rc != 0) {
        c->txn = NULL;
        return NGX_ERROR;
    }

    key.mv_data = "meta";
    key.mv_size = 4;

    rc = mdb_get(c->txn, c->spool->meta, &key, &val);

    if (rc == 0 && val.mv_size == sizeof(ngx_http_stoa_spool_meta_t)) {
        ngx_memcpy(&c->meta, val.mv_data, val.mv_size);

    } else if (rc != 0 && rc != MDB_NOTFOUND) {
        return NGX_ERROR;
    }

    h = c->counters->head;

    if (ngx_memcmp(c->meta.file, h->id, sizeof(h->id)) != 0) {

        /* another counter file counts from 0; batches of the old one stay */

        if (mdb_drop(c->txn, c->spool->spooled, 0) != 0) {
            return NGX_ERROR;
        }

        ngx_memcpy(c->meta.file, h->id, sizeof(h->id));
        c->meta.format = SPOOL_FORMAT;
        c->meta.batch = 0;
        c->meta.to_ms = c->now_ms;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_collect_slots(ngx_http_stoa_collect_t *c, ngx_uint_t all)
{
    uint64_t                       word, slot, i;
    ngx_uint_t                     retire;
    ngx_http_stoa_usage_fill_t  fill;

    retire = 0;

    if (all) {
        ngx_http_stoa_usage_fill(c->counters, &fill);
        retire = fill.usage_used > fill.usage_slots / 8 * SPOOL_RETIRE_AT;
    }

    for (i = 0; i * 64 < c->counters->nslots; i++) {

        word = __atomic_load_n(&c->counters->dirty[i], __ATOMIC_RELAXED);

        if (word) {
            word = __atomic_exchange_n(&c->counters->dirty[i], 0,
                                       __ATOMIC_SEQ_CST);

        } else if (!all) {
            continue;
        }

        for (slot = i * 64; slot < (i + 1) * 64; slot++) {

            if (slot >= c->counters->nslots) {
                break;
            }

            if ((word >> slot % 64 & 1) == 0
                && (!all || (slot && c->counters->tags[slot] == 0)))
            {
                continue;
            }

            if (ngx_http_stoa_collect_slot(c, slot, retire) != NGX_OK) {
                return NGX_ERROR;
            }

            if (c->spool->waiting + c->made >= NGX_HTTP_STOA_SPOOL_BATCHES) {
                c->spool->full_scan = 1;
                return NGX_OK;
            }
        }
    }

    return c->nrows ? ngx_http_stoa_collect_batch(c) : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_collect_slot(ngx_http_stoa_collect_t *c, uint64_t slot,
    ngx_uint_t retire)
{
    int                          rc;
    MDB_val                      key, val;
    ngx_uint_t                   i;
    ngx_http_stoa_spool_row_t    row;
    ngx_http_stoa_spool_val_t    now, old;
    ngx_http_stoa_usage_slot_t  *u;

    u = &c->counters->usage[slot];

    for (i = 0; i < 4; i++) {
        now.of.class[i] = __atomic_load_n(&u->val.class[i], __ATOMIC_SEQ_CST);
    }

    now.of.bytes_in = __atomic_load_n(&u->val.bytes_in, __ATOMIC_SEQ_CST);
    now.of.bytes_out = __atomic_load_n(&u->val.bytes_out, __ATOMIC_SEQ_CST);

    for (i = 0; i < NGX_HTTP_STOA_LATENCY_N; i++) {
        now.of.latency[i] = __atomic_load_n(&u->val.latency[i],
                                            __ATOMIC_SEQ_CST);
    }

    for (i = 0; i < STOA_LLM_KINDS; i++) {
        now.tokens[i] = __atomic_load_n(&u->tokens[i], __ATOMIC_SEQ_CST);
    }

    key.mv_data = &slot;
    key.mv_size = sizeof(slot);
    ngx_memzero(&old, sizeof(old));

    rc = mdb_get(c->txn, c->spool->spooled, &key, &val);

    if (rc == 0 && val.mv_size <= sizeof(old)
        && val.mv_size >= sizeof(old.of))
    {
        ngx_memcpy(&old, val.mv_data, val.mv_size);

    } else if (rc != 0 && rc != MDB_NOTFOUND) {
        return NGX_ERROR;
    }

    row.key = u->key;
    (void) ngx_cpystrn((u_char *) row.model,
                       (u_char *) ngx_http_stoa_usage_model_at(c->counters,
                                                               u->model),
                       sizeof(row.model));

    if (!ngx_http_stoa_collect_diff(&now, &old, &row.val)) {

        if (slot && (retire || c->counters->tags[slot]
                               == NGX_HTTP_STOA_USAGE_RETIRED))
        {
            ngx_http_stoa_usage_retire(c->agent->mcf, slot, c->now_ms / 1000);
        }

        return NGX_OK;
    }

    val.mv_data = &now;
    val.mv_size = sizeof(now);

    if (mdb_put(c->txn, c->spool->spooled, &key, &val, 0) != 0) {
        return NGX_ERROR;
    }

    if (c->nrows == 0) {
        stoa_buf_reset(&c->rows);
        stoa_buf_add(&c->rows, &(ngx_http_stoa_spool_batch_t) { { 0 }, 0, 0,
                                                                0, 0 },
                     sizeof(ngx_http_stoa_spool_batch_t));
    }

    stoa_buf_add(&c->rows, &row, sizeof(row));
    c->nrows++;

    return c->nrows == NGX_HTTP_STOA_SPOOL_ROWS
           ? ngx_http_stoa_collect_batch(c) : NGX_OK;
}


/* Is there one?  Values that went back (a power cut lost the last pages of
 * the counter file) count as none: they start anew from there. */

static ngx_uint_t
ngx_http_stoa_collect_diff(const ngx_http_stoa_spool_val_t *now_all,
    const ngx_http_stoa_spool_val_t *old_all,
    ngx_http_stoa_spool_val_t *diff_all)
{
    ngx_uint_t                        i, some;
    ngx_http_stoa_usage_val_t        *diff;
    const ngx_http_stoa_usage_val_t  *now, *old;

    if (ngx_memcmp(now_all, old_all, sizeof(ngx_http_stoa_spool_val_t)) == 0) {
        return 0;
    }

    now = &now_all->of;
    old = &old_all->of;
    diff = &diff_all->of;
    some = 0;

    for (i = 0; i < 4; i++) {
        diff->class[i] = now->class[i] > old->class[i]
                         ? now->class[i] - old->class[i] : 0;
        some |= diff->class[i] != 0;
    }

    for (i = 0; i < STOA_LLM_KINDS; i++) {
        diff_all->tokens[i] = now_all->tokens[i] > old_all->tokens[i]
                              ? now_all->tokens[i] - old_all->tokens[i] : 0;
        some |= diff_all->tokens[i] != 0;
    }

    diff->bytes_in = now->bytes_in > old->bytes_in
                     ? now->bytes_in - old->bytes_in : 0;
    diff->bytes_out = now->bytes_out > old->bytes_out
                      ? now->bytes_out - old->bytes_out : 0;

    for (i = 0; i < NGX_HTTP_STOA_LATENCY_N; i++) {

        /* 32 bits that wrap */

        diff->latency[i] = now->latency[i] - old->latency[i];

        if (diff->latency[i] > UINT32_MAX / 2) {
            diff->latency[i] = 0;
        }

        some |= diff->latency[i] != 0;
    }

    return some || diff->bytes_in || diff->bytes_out;
}


static ngx_int_t
ngx_http_stoa_collect_batch(ngx_http_stoa_collect_t *c)
{
    MDB_val                       key, val;
    ngx_http_stoa_spool_batch_t  *batch;

    if (c->rows.rc != STOA_OK) {
        return NGX_ERROR;
    }

    batch = (ngx_http_stoa_spool_batch_t *) c->rows.data;

    c->meta.batch++;
    c->meta.seq++;

    ngx_memcpy(batch->file, c->meta.file, sizeof(batch->file));
    batch->batch = c->meta.batch;
    batch->from_ms = ngx_min(c->meta.to_ms, c->now_ms);
    batch->to_ms = c->now_ms;
    batch->nrows = c->nrows;

    key.mv_data = &c->meta.seq;
    key.mv_size = sizeof(uint64_t);
    val.mv_data = c->rows.data;
    val.mv_size = c->rows.len;

    if (mdb_put(c->txn, c->spool->batches, &key, &val, MDB_APPEND) != 0) {
        return NGX_ERROR;
    }

    /* of several batches the last one moves the time on */

    key.mv_data = "meta";
    key.mv_size = 4;
    val.mv_data = &c->meta;
    val.mv_size = sizeof(c->meta);

    if (c->nrows < NGX_HTTP_STOA_SPOOL_ROWS) {
        c->meta.to_ms = c->now_ms;
    }

    c->nrows = 0;
    c->made++;

    return mdb_put(c->txn, c->spool->meta, &key, &val, 0) == 0 ? NGX_OK
                                                               : NGX_ERROR;
}


ngx_int_t
ngx_http_stoa_spool_first(ngx_http_stoa_spool_t *s, stoa_buf_t *out,
    uint64_t *seq)
{
    int                                 rc;
    MDB_txn                            *txn;
    MDB_val                             key, val;
    MDB_cursor                         *cursor;
    ngx_http_stoa_spool_batch_t         batch;

    if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0) {
        return NGX_ERROR;
    }

    if (mdb_cursor_open(txn, s->batches, &cursor) != 0) {
        mdb_txn_abort(txn);
        return NGX_ERROR;
    }

    rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);

    if (rc == 0) {
        ngx_memcpy(seq, key.mv_data, sizeof(uint64_t));
        stoa_buf_reset(out);

        if (val.mv_size >= sizeof(batch)) {
            ngx_memcpy(&batch, val.mv_data, sizeof(batch));

            if (batch.nrows
                && (val.mv_size - sizeof(batch)) % batch.nrows == 0)
            {
                ngx_http_stoa_spool_json(out, val.mv_data,
                          (val.mv_size - sizeof(batch)) / batch.nrows);
            }
        }
    }

    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);

    if (rc == MDB_NOTFOUND) {
        return NGX_DONE;
    }

    if (rc != 0) {
        return NGX_ERROR;
    }

    return (out->len && out->rc == STOA_OK) ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_stoa_spool_remove(ngx_http_stoa_spool_t *s, uint64_t seq)
{
    int       rc;
    MDB_txn  *txn;
    MDB_val   key;

    if (mdb_txn_begin(s->env, NULL, 0, &txn) != 0) {
        return NGX_ERROR;
    }

    key.mv_data = &seq;
    key.mv_size = sizeof(seq);

    rc = mdb_del(txn, s->batches, &key, NULL);

    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc == MDB_NOTFOUND ? NGX_OK : NGX_ERROR;
    }

    if (mdb_txn_commit(txn) != 0) {
        return NGX_ERROR;
    }

    s->waiting -= s->waiting != 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_spool_aside(ngx_http_stoa_spool_t *s, uint64_t seq, uint64_t *n)
{
    int        rc;
    MDB_txn   *txn;
    MDB_val    key, val;
    MDB_stat   stat;

    if (mdb_txn_begin(s->env, NULL, 0, &txn) != 0) {
        return NGX_ERROR;
    }

    key.mv_data = &seq;
    key.mv_size = sizeof(seq);

    rc = ngx_http_stoa_spool_expire(s, txn);

    if (rc != 0 || (rc = mdb_stat(txn, s->aside, &stat)) != 0) {
        goto failed;
    }

    if (stat.ms_entries >= NGX_HTTP_STOA_SPOOL_ASIDE) {
        mdb_txn_abort(txn);
        return NGX_BUSY;
    }

    if ((rc = mdb_get(txn, s->batches, &key, &val)) != 0
        || (rc = mdb_put(txn, s->aside, &key, &val, 0)) != 0
        || (rc = mdb_del(txn, s->batches, &key, NULL)) != 0)
    {
        goto failed;
    }

    if (mdb_txn_commit(txn) != 0) {
        return NGX_ERROR;
    }

    s->waiting -= s->waiting != 0;
    *n = stat.ms_entries + 1;

    return NGX_OK;

failed:

    mdb_txn_abort(txn);

    return NGX_ERROR;
}


/* What lies there for a month interests nobody any more. */

static int
ngx_http_stoa_spool_expire(ngx_http_stoa_spool_t *s, MDB_txn *txn)
{
    int                           rc;
    MDB_val                       key, val;
    MDB_cursor                   *cursor;
    ngx_http_stoa_spool_batch_t   batch;

    rc = mdb_cursor_open(txn, s->aside, &cursor);
    if (rc != 0) {
        return rc;
    }

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
         rc == 0;
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        if (val.mv_size >= sizeof(batch)) {
            ngx_memcpy(&batch, val.mv_data, sizeof(batch));

            if (batch.to_ms + NGX_HTTP_STOA_SPOOL_ASIDE_MS
                > ngx_http_stoa_wall_ms())
            {
                break;
            }
        }

        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? 0 : rc;
}
