/*
 * stoa_status: how this gateway is, as JSON.  stoa_ready: 200 or 503.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_env.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_key.h"


#define STATUS_MAX           (1024 * 1024)
#define ngx_http_stoa_status_sum(mcf, field)                                  \
    ngx_http_stoa_proc_sum((mcf)->sh, offsetof(ngx_http_stoa_proc_t, field))

#define STATUS_REJECTED_MAX  100


static void ngx_http_stoa_status_store(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);
static void ngx_http_stoa_status_rejected(ngx_http_stoa_store_t *store,
    stoa_buf_t *b);
static void ngx_http_stoa_status_sync(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);
static void ngx_http_stoa_status_fill(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);


ngx_int_t
ngx_http_stoa_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_uint_t                  ready;
    stoa_buf_t                  b;
    ngx_http_stoa_main_conf_t  *mcf;

    rc = ngx_http_stoa_status_enter(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ready = ngx_http_stoa_store_enter(mcf->store) == NGX_OK;

    stoa_buf_init(&b, STATUS_MAX);

    stoa_buf_addf(&b, "{\"version\":\"%s\",\"nginx\":\"%s\",\"ready\":%s",
                  NGX_HTTP_STOA_VERSION, NGINX_VERSION,
                  ready ? "true" : "false");

    stoa_buf_addz(&b, ",\"gateway\":");
    stoa_buf_add_json(&b, (char *) mcf->gateway_id.data, mcf->gateway_id.len);

    if (mcf->group.len) {
        stoa_buf_addz(&b, ",\"group\":");
        stoa_buf_add_json(&b, (char *) mcf->group.data, mcf->group.len);
    }

    stoa_buf_addf(&b, ",\"pid\":%u,\"worker\":%u", (unsigned) ngx_pid,
                  (unsigned) ngx_worker);

    ngx_http_stoa_status_store(mcf, &b);
    ngx_http_stoa_status_sync(mcf, &b);
    ngx_http_stoa_status_fill(mcf, &b);

    if (ready) {
        ngx_http_stoa_targets_status(mcf, &b);
    }

    stoa_buf_addz(&b, "}\n");

    return ngx_http_stoa_status_send(r, NGX_HTTP_OK, "application/json", &b);
}


static void
ngx_http_stoa_status_store(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    char                    hex[32];
    MDB_stat                ms;
    MDB_envinfo             mi;
    ngx_uint_t              kind;
    ngx_http_stoa_meta_t   *m;
    ngx_http_stoa_store_t  *store;

    store = mcf->store;
    m = &store->meta;

    stoa_hex_encode(m->digest, sizeof(m->digest), hex);

    stoa_buf_addf(b, ",\"revision\":%llu,\"epoch\":\"%.16s\","
                  "\"digest\":\"%.32s\",\"records\":{",
                  (unsigned long long) m->rev, m->epoch, hex);

    for (kind = 1; kind < STOA_REC_KIND_MAX; kind++) {
        stoa_buf_addf(b, "%s\"%s\":%llu", kind > 1 ? "," : "",
                      stoa_rec_kind_name((stoa_rec_kind_e) kind),
                      (unsigned long long) m->records[kind]);
    }

    stoa_buf_addf(b, "},\"rejected\":%llu",
                  (unsigned long long) m->rejected);

    if (store->env && store->txnid) {
        ngx_http_stoa_status_rejected(store, b);

        (void) mdb_env_stat(store->env->env, &ms);
        (void) mdb_env_info(store->env->env, &mi);

        stoa_buf_addf(b, ",\"store\":{\"bytes\":%llu,\"size\":%llu,"
                      "\"readers\":%u}",
                      (unsigned long long) (mi.me_last_pgno + 1)
                                           * ms.ms_psize,
                      (unsigned long long) mi.me_mapsize,
                      (unsigned) mi.me_numreaders);
    }
}


static void
ngx_http_stoa_status_rejected(ngx_http_stoa_store_t *store, stoa_buf_t *b)
{
    int                        rc;
    MDB_val                    key, val;
    ngx_uint_t                 n;
    MDB_cursor                *cursor;
    ngx_http_stoa_rejected_t   r;

    if (store->meta.rejected == 0
        || mdb_cursor_open(store->txn, store->env->rejected, &cursor) != 0)
    {
        return;
    }

    stoa_buf_addz(b, ",\"rejected_records\":[");

    n = 0;

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
         rc == 0 && n < STATUS_REJECTED_MAX;
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        if (val.mv_size != sizeof(r)) {
            continue;
        }

        ngx_memcpy(&r, val.mv_data, sizeof(r));
        r.error[sizeof(r.error) - 1] = '\0';

        stoa_buf_addz(b, n++ ? ",{\"key\":" : "{\"key\":");
        stoa_buf_add_json(b, key.mv_data, key.mv_size);
        stoa_buf_addf(b, ",\"rev\":%llu,\"error\":",
                      (unsigned long long) r.rev);
        stoa_buf_add_json(b, r.error, strlen(r.error));
        stoa_buf_addz(b, "}");
    }

    stoa_buf_addz(b, "]");

    mdb_cursor_close(cursor);
}


/* -1: never */

static long long
ngx_http_stoa_status_age(uint64_t *when, uint64_t now)
{
    uint64_t  ms;

    ms = ngx_http_stoa_load(when);

    return ms ? (long long) (now - ngx_min(ms, now)) : -1;
}


static void
ngx_http_stoa_status_sync(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    char                 err[NGX_HTTP_STOA_SYNC_ERR_LEN];
    uint64_t             now;
    ngx_http_stoa_sh_t  *sh;

    sh = mcf->sh;
    now = ngx_http_stoa_wall_ms();

    ngx_http_stoa_zone_sync_err_get(sh, err);

    stoa_buf_addf(b, ",\"sync\":{\"state\":\"%s\",\"age_ms\":%lld,"
                  "\"polls\":%llu,\"failures\":%llu,\"rows\":%llu,"
                  "\"commits\":%llu,\"store_full\":%llu,\"error\":",
                  ngx_http_stoa_zone_sync_state(sh),
                  ngx_http_stoa_status_age(&mcf->dir->sync_ok_ms, now),
                  (unsigned long long) sh->sync_polls,
                  (unsigned long long) sh->sync_failures,
                  (unsigned long long) sh->sync_rows,
                  (unsigned long long) sh->sync_commits,
                  (unsigned long long) sh->store_full);

    stoa_buf_add_json(b, err, strlen(err));

    stoa_buf_addf(b, "},\"report\":{\"status_age_ms\":%lld,"
                  "\"usage_age_ms\":%lld,\"status_failures\":%llu,"
                  "\"usage_batches\":%llu,\"usage_waiting\":%llu,"
                  "\"usage_refused\":%llu,\"usage_aside\":%llu,"
                  "\"usage_failures\":%llu}",
                  ngx_http_stoa_status_age(&sh->status_ok_ms, now),
                  ngx_http_stoa_status_age(&sh->usage_ok_ms, now),
                  (unsigned long long) sh->status_failures,
                  (unsigned long long) sh->usage_batches,
                  (unsigned long long) sh->usage_waiting,
                  (unsigned long long) sh->usage_refused,
                  (unsigned long long) sh->usage_aside,
                  (unsigned long long) sh->usage_failures);
}


static void
ngx_http_stoa_status_fill(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    ngx_http_stoa_fill_t        rate, fly;
    ngx_http_stoa_usage_fill_t  counters;

    ngx_http_stoa_rate_fill(mcf->sh, &rate);
    ngx_http_stoa_inflight_fill(mcf->sh, &fly);
    ngx_http_stoa_usage_fill(mcf->counters, &counters);

    stoa_buf_addf(b, ",\"workers\":%u,\"zone\":{\"rate_used\":%llu,"
                  "\"rate_slots\":%llu,\"concurrency_used\":%llu,"
                  "\"concurrency_slots\":%llu,\"in_flight\":%llu}",
                  (unsigned) ngx_http_stoa_proc_n(mcf->sh),
                  (unsigned long long) rate.used,
                  (unsigned long long) rate.slots,
                  (unsigned long long) fly.used,
                  (unsigned long long) fly.slots,
                  (unsigned long long) ngx_http_stoa_in_flight(mcf->sh));

    stoa_buf_addf(b, ",\"limits\":\"%s\"", mcf->redis == NULL ? "node"
                  : ngx_http_stoa_load(&mcf->sh->limits_up) ? "shared"
                  : "away");
    stoa_buf_addf(b, ",\"lane\":{\"answered\":%llu,\"declined\":%llu,"
                  "\"handed_over\":%llu}",
                  (unsigned long long) ngx_http_stoa_status_sum(mcf, lane),
                  (unsigned long long) ngx_http_stoa_status_sum(mcf,
                                                               declined),
                  (unsigned long long) ngx_http_stoa_status_sum(mcf,
                                                            handed_over));

    stoa_buf_addf(b, ",\"counters\":{\"quota_used\":%llu,"
                  "\"quota_slots\":%llu,\"usage_used\":%llu,"
                  "\"usage_slots\":%llu}",
                  (unsigned long long) counters.quota_used,
                  (unsigned long long) counters.quota_slots,
                  (unsigned long long) counters.usage_used,
                  (unsigned long long) counters.usage_slots);
}


ngx_int_t
ngx_http_stoa_ready_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_uint_t                  ready;
    stoa_buf_t                  b;
    ngx_http_stoa_main_conf_t  *mcf;

    rc = ngx_http_stoa_status_enter(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ready = ngx_http_stoa_store_enter(mcf->store) == NGX_OK;

    stoa_buf_init(&b, 256);
    stoa_buf_addf(&b, "{\"ready\":%s,\"revision\":%llu}\n",
                  ready ? "true" : "false",
                  (unsigned long long) mcf->store->meta.rev);

    return ngx_http_stoa_status_send(r, ready ? NGX_HTTP_OK
                                         : NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "application/json", &b);
}


ngx_int_t
ngx_http_stoa_status_enter(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_stoa_main_conf_t  *mcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    return mcf->store ? NGX_OK : NGX_HTTP_SERVICE_UNAVAILABLE;
}


ngx_int_t
ngx_http_stoa_status_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, stoa_buf_t *data)
{
    ngx_int_t         rc;
    ngx_buf_t        *b;
    ngx_chain_t       out;
    ngx_table_elt_t  *h;

    b = NULL;

    if (data->rc == STOA_OK) {
        b = ngx_create_temp_buf(r->pool, data->len);
    }

    if (b) {
        b->last = ngx_cpymem(b->last, data->data, data->len);
        b->last_buf = (r == r->main) ? 1 : 0;
        b->last_in_chain = 1;
    }

    stoa_buf_free(data);

    h = ngx_http_stoa_header_add(r, "Cache-Control");

    if (b == NULL || h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&h->value, "no-store");

    r->headers_out.status = status;
    r->headers_out.content_length_n = b->last - b->pos;
    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
