/*
 * Asking an Open Policy Agent for a decision, and what is kept of those.
 *
 * Limits: OPA_ASKED questions of a worker to one agent at a time; OPA_KEPT
 * decisions of a worker, found by the whole of what they were made of, OPA_KEY
 * bytes each, of longer ones by its SHA-256; those are thrown away that end
 * first.  Process: workers.
 */

#include "ngx_http_stoa_opa_ask.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_OPA_ASKED    1024
#define NGX_HTTP_STOA_OPA_KEPT     4096
#define NGX_HTTP_STOA_OPA_WAYS     4
#define NGX_HTTP_STOA_OPA_KEY      2048
#define NGX_HTTP_STOA_OPA_MORE     4096


typedef struct {
    uint64_t    hash;                  /* of the key                         */
    uint64_t    until_ms;
    ngx_str_t   key;                   /* its own, and `more` behind it      */
    ngx_str_t   more;
    uint8_t     says;                  /* never an error                     */
    uint8_t     len;
    u_char      reason[NGX_HTTP_STOA_OPA_REASON];
} ngx_http_stoa_opa_kept_t;


static ngx_int_t ngx_http_stoa_policy_opa_key(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_opa_asked_t *o, stoa_buf_t *b, u_char *digest);
static ngx_uint_t ngx_http_stoa_policy_opa_known(
    ngx_http_stoa_opa_asked_t *o);
static ngx_int_t ngx_http_stoa_policy_opa_send(ngx_http_stoa_opa_asked_t *o,
    const stoa_id_t *tenant, ngx_str_t *input);
static void ngx_http_stoa_policy_opa_chunk(ngx_http_stoa_fetch_t *f,
    void *data, const u_char *p, size_t len);
static void ngx_http_stoa_policy_opa_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static const char *ngx_http_stoa_policy_opa_read(ngx_http_stoa_opa_asked_t *o,
    ngx_uint_t status);
static void ngx_http_stoa_policy_opa_said(ngx_http_stoa_opa_asked_t *o,
    const char *why);
static void ngx_http_stoa_policy_opa_keep(ngx_http_stoa_opa_asked_t *o,
    uint64_t ms);
static ngx_http_stoa_opa_kept_t *ngx_http_stoa_policy_opa_place(
    ngx_http_stoa_opa_asked_t *o, ngx_uint_t add);
static void ngx_http_stoa_policy_opa_cleanup(void *data);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_opa_handler = {
    .chunk = ngx_http_stoa_policy_opa_chunk,
    .end = ngx_http_stoa_policy_opa_end
};

static ngx_http_stoa_opa_kept_t  *ngx_http_stoa_opa_kept;
static uint64_t                   ngx_http_stoa_opa_seed;


ngx_http_stoa_opa_asked_t *
ngx_http_stoa_policy_opa_new(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, stoa_str_t path)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_stoa_opa_asked_t  *o;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_opa_asked_t));
    if (cln == NULL) {
        return NULL;
    }

    o = cln->data;
    ngx_memzero(o, sizeof(ngx_http_stoa_opa_asked_t));
    o->attached = a;
    o->request = r;
    o->path = path;
    o->max = 16384;
    o->next = ctx->call.opa;
    ctx->call.opa = o;
    cln->handler = ngx_http_stoa_policy_opa_cleanup;

    return o;
}


ngx_int_t
ngx_http_stoa_policy_opa_ask(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_opa_asked_t *o, stoa_buf_t *b)
{
    u_char     digest[NGX_HTTP_STOA_SHA256_LEN];
    ngx_int_t  rc;
    ngx_str_t  input;

    stoa_buf_init(&o->answer, o->max);
    input.len = b->len;
    rc = ngx_http_stoa_policy_opa_key(ctx, o, b, digest);
    input.data = (u_char *) b->data;

    if (rc == NGX_OK && !ngx_http_stoa_policy_opa_known(o)) {
        rc = ngx_http_stoa_policy_opa_send(o, &ctx->call.route_tenant, &input);
    }

    if (o->fetch == NULL) {
        o->key.len = 0;
    }

    stoa_buf_free(b);

    return rc;
}


/* What is shown, of which revision of the policy, for whose call, to whom and
 * which rule: behind the input. */

static ngx_int_t
ngx_http_stoa_policy_opa_key(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_opa_asked_t *o, stoa_buf_t *b, u_char *digest)
{
    stoa_str_t                text;
    const stoa_rec_hdr_t     *hdr;
    const stoa_policy_opa_t  *conf;

    conf = o->attached->config;
    hdr = o->attached->rec;

    if (conf->cache_ms == 0) {
        return NGX_OK;
    }

    stoa_buf_add(b, &hdr->rev, sizeof(hdr->rev));
    stoa_buf_add(b, ctx->tenant.c, STOA_ID_LEN);
    stoa_buf_add(b, ctx->call.route_tenant.c, STOA_ID_LEN);
    text = stoa_rec_str(hdr, conf->agent);
    stoa_buf_add(b, text.data, text.len);
    stoa_buf_add(b, "", 1);                    /* no name has one           */
    stoa_buf_add(b, o->path.data, o->path.len);

    if (b->rc != STOA_OK) {
        return NGX_ERROR;
    }

    o->key.data = (u_char *) b->data;
    o->key.len = b->len;

    if (b->len > NGX_HTTP_STOA_OPA_KEY) {
        o->key.data = digest;
        o->key.len = NGX_HTTP_STOA_SHA256_LEN;

        return ngx_http_stoa_sha256((u_char *) b->data, b->len, digest);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_policy_opa_known(ngx_http_stoa_opa_asked_t *o)
{
    ngx_http_stoa_opa_kept_t  *kept;

    kept = o->key.len ? ngx_http_stoa_policy_opa_place(o, 0) : NULL;

    if (kept == NULL) {
        return 0;
    }

    /* the place may be another's before the call has ended */

    o->reason.len = kept->len;
    o->more.len = kept->more.len;

    if (kept->len + kept->more.len) {
        o->reason.data = ngx_pnalloc(o->request->pool,
                                     kept->len + kept->more.len);
        if (o->reason.data == NULL) {
            o->reason.len = 0;
            o->more.len = 0;
            return 0;
        }

        o->more.data = ngx_cpymem(o->reason.data, kept->reason, kept->len);
        ngx_memcpy(o->more.data, kept->more.data, kept->more.len);
    }

    ngx_http_stoa_count(opa_known, 1);
    o->known = 1;
    o->says = kept->says;

    return 1;
}


/* The answer comes; or nobody can be asked. */

static ngx_int_t
ngx_http_stoa_policy_opa_send(ngx_http_stoa_opa_asked_t *o,
    const stoa_id_t *tenant, ngx_str_t *input)
{
    u_char                     *key;
    stoa_str_t                  name;
    ngx_http_stoa_fetch_t      *f;
    const stoa_policy_opa_t    *conf;
    ngx_http_stoa_main_conf_t  *mcf;

    conf = o->attached->config;
    o->begin_ns = ngx_http_stoa_now_ns();

    mcf = ngx_http_get_module_main_conf(o->request, ngx_http_stoa_module);
    name = stoa_rec_str(o->attached->rec, conf->agent);
    o->opa = ngx_http_stoa_opa_find(mcf, name.data, name.len);

    o->breaker = o->opa ? ngx_http_stoa_opa_enter(o->opa, tenant) : NULL;

    if (o->opa && o->breaker == NULL) {
        ngx_http_stoa_count(opa_open, 1);
        return NGX_OK;
    }

    ngx_http_stoa_count(opa_asked, 1);

    if (o->opa == NULL || o->opa->asked >= NGX_HTTP_STOA_OPA_ASKED) {
        ngx_http_stoa_policy_opa_said(o, o->opa ? "too many wait"
                                      : "no stoa_opa has the policy's name");
        return NGX_OK;
    }

    f = ngx_http_stoa_fetch_create(o->request->connection->log);
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->handler = &ngx_http_stoa_opa_handler;
    f->data = o;
    f->connect_timeout = conf->deadline_ms;
    f->read_timeout = conf->deadline_ms;
    f->deadline = ngx_current_msec + conf->deadline_ms;
    f->max_body = o->max;
    f->max_head = 16384;
    f->idempotent = 1;
    f->stay = 1;                       /* a request waits, also at a reload */
    f->body.len = input->len;
    f->body.data = ngx_pnalloc(f->pool, input->len);
    key = ngx_pnalloc(f->pool, o->key.len + 1);

    if (f->body.data == NULL || key == NULL
        || ngx_http_stoa_opa_to(o->opa, f, o->path) != NGX_OK)
    {
        ngx_http_stoa_fetch_cancel(f);
        return NGX_ERROR;
    }

    ngx_memcpy(f->body.data, input->data, input->len);

    if (o->key.len) {
        ngx_memcpy(key, o->key.data, o->key.len);
    }

    o->key.data = key;
    o->fetch = f;
    o->opa->asked++;

    ngx_http_stoa_fetch_start(f);

    return NGX_OK;
}


static void
ngx_http_stoa_policy_opa_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_opa_asked_t *o = data;

    stoa_buf_add(&o->answer, p, len);
}


static void
ngx_http_stoa_policy_opa_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_opa_asked_t *o = data;

    const char                *why;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    const stoa_policy_opa_t   *conf;

    r = o->request;
    c = r->connection;
    o->fetch = NULL;
    o->opa->asked--;

    ngx_http_set_log_request(c->log, r);

    why = how == NGX_HTTP_STOA_FETCH_DONE
          ? ngx_http_stoa_policy_opa_read(o, f->http.status)
          : how == NGX_HTTP_STOA_FETCH_TIMEOUT ? "no answer in time"
          : how == NGX_HTTP_STOA_FETCH_LARGE ? "an answer that is too long"
          : f->why ? f->why : "no answer";

    /* a rule that does not decide says nothing of its agent */

    ngx_http_stoa_opa_leave(o->breaker, how != NGX_HTTP_STOA_FETCH_DONE
                                    || f->http.status >= 500);
    ngx_http_stoa_policy_opa_said(o, why);

    if (why == NULL && o->key.len) {
        conf = o->attached->config;
        ngx_http_stoa_policy_opa_keep(o, conf->cache_ms);
    }

    o->key.len = 0;

    ngx_http_stoa_ctx_wake(r);
}


/* NULL: it has decided. */

static const char *
ngx_http_stoa_policy_opa_read(ngx_http_stoa_opa_asked_t *o, ngx_uint_t status)
{
    stoa_str_t       text;
    stoa_json_val_t  root, result;

    if (status != NGX_HTTP_OK) {
        return "another status than 200";
    }

    if (o->answer.rc != STOA_OK || o->answer.len == 0
        || stoa_json_check(o->answer.data, o->answer.len, STOA_JSON_DEPTH_MAX,
                           &root, NULL)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT)
    {
        return "an answer that is no JSON";
    }

    if (!stoa_json_get(&root, "result", &result)) {
        return "the rule is undefined";
    }

    if (stoa_json_get_text(&root, "decision_id", &text)
        && text.len <= NGX_HTTP_STOA_OPA_ID)
    {
        ngx_memcpy(o->id, text.data, text.len);
        o->id_len = text.len;
    }

    return o->read(o, &result);
}


/* Said once, and once when it is over: each call would fill the disk. */

static void
ngx_http_stoa_policy_opa_said(ngx_http_stoa_opa_asked_t *o, const char *why)
{
    ngx_log_t   *log;
    stoa_str_t   name, path;

    o->took_us = (ngx_http_stoa_now_ns() - o->begin_ns) / 1000;
    ngx_http_stoa_count(opa_failed, why != NULL);

    if (o->opa && o->opa->away == (why != NULL)) {
        return;
    }

    log = o->request->connection->log;
    name = stoa_rec_str(o->attached->rec,
                        ((stoa_policy_opa_t *) o->attached->config)->agent);
    path = o->path;

    if (why) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "stoa: no decision of \"%*s\" by "
                      "\"%*s\": %s", path.len, path.data, name.len, name.data,
                      why);

    } else {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "stoa: \"%*s\" decides again",
                      name.len, name.data);
    }

    if (o->opa) {
        o->opa->away = why != NULL;
    }
}


static void
ngx_http_stoa_policy_opa_keep(ngx_http_stoa_opa_asked_t *o, uint64_t ms)
{
    u_char                    *key;
    ngx_http_stoa_opa_kept_t  *kept;

    kept = ngx_http_stoa_policy_opa_place(o, 1);
    key = kept && o->more.len <= NGX_HTTP_STOA_OPA_MORE
          ? ngx_alloc(o->key.len + o->more.len, ngx_cycle->log) : NULL;

    if (key == NULL) {
        return;
    }

    if (kept->key.data) {
        ngx_free(kept->key.data);
    }

    kept->key.data = key;
    kept->key.len = o->key.len;
    kept->more.data = ngx_cpymem(key, o->key.data, o->key.len);
    kept->more.len = o->more.len;

    if (o->more.len) {
        ngx_memcpy(kept->more.data, o->more.data, o->more.len);
    }

    kept->hash = o->hash;
    kept->until_ms = ngx_http_stoa_now_ms() + ms;
    kept->says = o->says;
    kept->len = o->reason.len;

    if (kept->len) {
        ngx_memcpy(kept->reason, o->reason.data, kept->len);
    }
}


/* Where it is; to add it: there, or in the place of what ends first. */

static ngx_http_stoa_opa_kept_t *
ngx_http_stoa_policy_opa_place(ngx_http_stoa_opa_asked_t *o, ngx_uint_t add)
{
    uint64_t                   now;
    ngx_uint_t                 i;
    ngx_http_stoa_opa_kept_t  *set, *best;

    if (ngx_http_stoa_opa_kept == NULL) {
        ngx_http_stoa_opa_kept = ngx_pcalloc(ngx_cycle->pool,
                                             NGX_HTTP_STOA_OPA_KEPT
                                         * sizeof(ngx_http_stoa_opa_kept_t));
        if (ngx_http_stoa_opa_kept == NULL
            || ngx_http_stoa_random(&ngx_http_stoa_opa_seed, 1) != NGX_OK)
        {
            return NULL;
        }
    }

    o->hash = stoa_hash64(o->key.data, o->key.len, ngx_http_stoa_opa_seed);
    set = ngx_http_stoa_opa_kept
          + o->hash % (NGX_HTTP_STOA_OPA_KEPT / NGX_HTTP_STOA_OPA_WAYS)
            * NGX_HTTP_STOA_OPA_WAYS;
    now = ngx_http_stoa_now_ms();
    best = set;

    for (i = 0; i < NGX_HTTP_STOA_OPA_WAYS; i++) {
        if (set[i].hash == o->hash && set[i].key.len == o->key.len
            && ngx_memcmp(set[i].key.data, o->key.data, o->key.len) == 0)
        {
            return add || set[i].until_ms > now ? &set[i] : NULL;
        }

        if (set[i].until_ms < best->until_ms) {
            best = &set[i];
        }
    }

    return add ? best : NULL;
}


static void
ngx_http_stoa_policy_opa_cleanup(void *data)
{
    ngx_http_stoa_opa_asked_t *o = data;

    if (o->fetch) {
        ngx_http_stoa_fetch_cancel(o->fetch);
        o->fetch = NULL;
        o->opa->asked--;
    }

    stoa_buf_free(&o->answer);
}
