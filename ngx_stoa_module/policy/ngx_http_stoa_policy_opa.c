/*
 * opa: a rule of an Open Policy Agent says whether a call may pass.  Schema:
 * core/stoa_policy_opa.h; whom it is: net/ngx_http_stoa_opa.h.
 *
 * A decision is literally true or false, or an object that has one as `allow`.
 * All else is none, and then the policy says what becomes of the call.
 * Process: workers.  Limits: OPA_ASKED questions of a worker to one agent at a
 * time; OPA_KEPT decisions of a worker, found by the whole of what they were
 * made of, OPA_KEY bytes each; those are thrown away that end first.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_opa.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"
#include "core/stoa_policy_opa.h"


#define NGX_HTTP_STOA_OPA_ASKED    1024
#define NGX_HTTP_STOA_OPA_ANSWER   16384
#define NGX_HTTP_STOA_OPA_KEPT     4096
#define NGX_HTTP_STOA_OPA_WAYS     4
#define NGX_HTTP_STOA_OPA_KEY      2048
#define NGX_HTTP_STOA_OPA_REASON   160
#define NGX_HTTP_STOA_OPA_ID       64


typedef enum {
    OPA_ERROR = 0,
    OPA_DENY,
    OPA_ALLOW
} ngx_http_stoa_opa_says_e;

typedef struct {
    uint64_t    hash;                  /* of the key                         */
    uint64_t    until_ms;
    ngx_str_t   key;                   /* its own                            */
    uint8_t     says;                  /* never an error                     */
    uint8_t     len;
    u_char      reason[NGX_HTTP_STOA_OPA_REASON];
} ngx_http_stoa_opa_kept_t;

typedef struct ngx_http_stoa_opa_asked_s  ngx_http_stoa_opa_asked_t;

struct ngx_http_stoa_opa_asked_s {
    ngx_http_stoa_opa_asked_t       *next;     /* of the call                */
    const ngx_http_stoa_attached_t  *attached;
    ngx_http_request_t              *request;
    ngx_http_stoa_opa_t             *opa;
    ngx_http_stoa_fetch_t           *fetch;    /* NULL: it is over           */
    stoa_buf_t                       answer;
    ngx_str_t                        key;      /* "": it is not kept; once it
                                                  is asked the fetch's       */
    uint64_t                         hash;
    uint64_t                         begin_ns;
    uint64_t                         took_us;
    ngx_str_t                        reason;
    u_char                           id[NGX_HTTP_STOA_OPA_ID];
    size_t                           id_len;
    ngx_http_stoa_opa_says_e         says;
    unsigned                         known:1;
};


static ngx_int_t ngx_http_stoa_policy_opa_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_opa_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_opa_asked_t **asked);
static ngx_int_t ngx_http_stoa_policy_opa_key(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_opa_asked_t *o, stoa_buf_t *b);
static ngx_int_t ngx_http_stoa_policy_opa_ask(ngx_http_stoa_opa_asked_t *o,
    ngx_str_t *input);
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
static ngx_int_t ngx_http_stoa_policy_opa_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_asked_t *o);


static const ngx_http_stoa_refusal_t  ngx_http_stoa_policy_opa_refusals[] = {
    { ngx_string("opa_denied"), 403, ngx_string("Denied by policy"),
      ngx_string("A policy does not let this call pass."), 403 },
    { ngx_string("policy_unavailable"), 503,
      ngx_string("Policy not available"),
      ngx_string("Nobody could decide whether this call may pass."), 503 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_opa = {
    .name = "opa",
    .head = ngx_http_stoa_policy_opa_head,
    .refusals = ngx_http_stoa_policy_opa_refusals
};


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_opa_handler = {
    .chunk = ngx_http_stoa_policy_opa_chunk,
    .end = ngx_http_stoa_policy_opa_end
};

static ngx_http_stoa_opa_kept_t  *ngx_http_stoa_opa_kept;
static uint64_t                   ngx_http_stoa_opa_seed;


/* Asked again when the body is there, and when the answer is. */

static ngx_int_t
ngx_http_stoa_policy_opa_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                   rc;
    ngx_http_stoa_opa_asked_t  *o;

    for (o = ctx->call.opa; o && o->attached != a; o = o->next) { /* void */ }

    if (o == NULL) {
        rc = ngx_http_stoa_policy_opa_begin(r, ctx, a, &o);

        if (rc != NGX_OK || o == NULL) {
            return rc;
        }
    }

    return o->fetch ? ngx_http_stoa_ctx_suspend(r)
                    : ngx_http_stoa_policy_opa_judge(r, ctx, o);
}


/* NGX_OK and no *asked: a shadow has nothing to ask. */

static ngx_int_t
ngx_http_stoa_policy_opa_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_opa_asked_t **asked)
{
    ngx_int_t                   rc;
    ngx_str_t                   body, detail, input;
    stoa_buf_t                  b;
    ngx_pool_cleanup_t         *cln;
    const stoa_policy_opa_t    *conf;
    ngx_http_stoa_opa_asked_t  *o;

    conf = a->config;
    ngx_str_null(&body);

    if (conf->body) {
        rc = ngx_http_stoa_policy_content(r, ctx, a, conf->max_bytes, 0,
                                          &body);
        if (rc == NGX_OK) {
            rc = ngx_http_stoa_policy_content_own(r, ctx, &body);

            if (rc == NGX_DECLINED) {
                ngx_str_null(&body);
                rc = NGX_OK;
            }
        }

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : rc;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_opa_asked_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    o = cln->data;
    ngx_memzero(o, sizeof(ngx_http_stoa_opa_asked_t));
    o->attached = a;
    o->request = r;
    stoa_buf_init(&o->answer, NGX_HTTP_STOA_OPA_ANSWER);

    stoa_buf_init(&b, 2 * STOA_OPA_BYTES);
    rc = stoa_buf_reserve(&b, 1024) == STOA_OK
         ? ngx_http_stoa_policy_opa_input(r, ctx, a, &body, &b, &detail)
         : NGX_ERROR;

    if (rc == NGX_DECLINED) {
        stoa_buf_free(&b);
        return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal,
                                                &detail);
    }

    input.len = b.len;

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_policy_opa_key(ctx, o, &b);
    }

    if (rc == NGX_OK) {
        input.data = (u_char *) b.data;
        cln->handler = ngx_http_stoa_policy_opa_cleanup;
        o->next = ctx->call.opa;
        ctx->call.opa = o;
        *asked = o;
        rc = ngx_http_stoa_policy_opa_ask(o, &input);

        if (o->fetch == NULL) {
            o->key.len = 0;
        }
    }

    stoa_buf_free(&b);

    return rc;
}


/* What is shown, of which revision of the policy, for whose call, to whom and
 * which rule: behind the input. */

static ngx_int_t
ngx_http_stoa_policy_opa_key(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_opa_asked_t *o, stoa_buf_t *b)
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
    text = stoa_rec_str(hdr, conf->path);
    stoa_buf_add(b, text.data, text.len);

    if (b->rc != STOA_OK) {
        return NGX_ERROR;
    }

    if (b->len <= NGX_HTTP_STOA_OPA_KEY) {
        o->key.data = (u_char *) b->data;
        o->key.len = b->len;
    }

    return NGX_OK;
}


/* The answer is there at once, or it comes; or nobody can be asked. */

static ngx_int_t
ngx_http_stoa_policy_opa_ask(ngx_http_stoa_opa_asked_t *o, ngx_str_t *input)
{
    stoa_str_t                  name;
    ngx_http_stoa_fetch_t      *f;
    const stoa_policy_opa_t    *conf;
    ngx_http_stoa_opa_kept_t   *kept;
    ngx_http_stoa_main_conf_t  *mcf;

    conf = o->attached->config;
    kept = o->key.len ? ngx_http_stoa_policy_opa_place(o, 0) : NULL;

    if (kept) {
        ngx_http_stoa_count(opa_known, 1);
        o->known = 1;
        o->says = kept->says;
        o->reason.len = kept->len;
        o->reason.data = kept->reason;

        return NGX_OK;
    }

    ngx_http_stoa_count(opa_asked, 1);
    o->begin_ns = ngx_http_stoa_now_ns();

    mcf = ngx_http_get_module_main_conf(o->request, ngx_http_stoa_module);
    name = stoa_rec_str(o->attached->rec, conf->agent);
    o->opa = ngx_http_stoa_opa_find(mcf, name.data, name.len);

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
    f->max_body = NGX_HTTP_STOA_OPA_ANSWER;
    f->max_head = NGX_HTTP_STOA_OPA_ANSWER;
    f->idempotent = 1;
    f->stay = 1;                       /* a request waits, also at a reload */
    f->body.len = input->len;
    f->body.data = ngx_pnalloc(f->pool, ngx_max(input->len, o->key.len));

    if (f->body.data == NULL
        || ngx_http_stoa_opa_to(o->opa, f, stoa_rec_str(o->attached->rec,
                                                        conf->path))
           != NGX_OK)
    {
        ngx_http_stoa_fetch_cancel(f);
        return NGX_ERROR;
    }

    ngx_memcpy(f->body.data, input->data, ngx_max(input->len, o->key.len));
    o->key.data = f->body.data;
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
    stoa_json_val_t  root, result, val;

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

    val = result;

    if (result.type == STOA_JSON_OBJECT
        && !stoa_json_get(&result, "allow", &val))
    {
        return "a decision without \"allow\"";
    }

    if (val.type != STOA_JSON_TRUE && val.type != STOA_JSON_FALSE) {
        return "a decision that is neither true nor false";
    }

    if (result.type == STOA_JSON_OBJECT
        && stoa_json_get_text(&result, "reason", &text)
        && text.len <= NGX_HTTP_STOA_OPA_REASON)
    {
        o->reason.data = (u_char *) text.data;
        o->reason.len = text.len;
    }

    o->says = val.type == STOA_JSON_TRUE ? OPA_ALLOW : OPA_DENY;

    return NULL;
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
    path = stoa_rec_str(o->attached->rec,
                        ((stoa_policy_opa_t *) o->attached->config)->path);

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
    key = kept ? ngx_alloc(o->key.len, ngx_cycle->log) : NULL;

    if (key == NULL) {
        return;
    }

    if (kept->key.data) {
        ngx_free(kept->key.data);
    }

    ngx_memcpy(key, o->key.data, o->key.len);
    kept->key.data = key;
    kept->key.len = o->key.len;
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


static ngx_int_t
ngx_http_stoa_policy_opa_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_asked_t *o)
{
    ngx_str_t                        detail;
    const stoa_policy_opa_t         *conf;
    const ngx_http_stoa_attached_t  *a;

    a = o->attached;
    conf = a->config;

    if (o->says == OPA_ALLOW) {
        return NGX_OK;
    }

    if (o->says == OPA_ERROR) {
        if (conf->on_error == STOA_OPA_ALLOW) {
            (void) ngx_http_stoa_policy_acts(a);
            return NGX_OK;
        }

        return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + 1);
    }

    if (o->reason.len == 0) {
        return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal);
    }

    detail.data = ngx_pnalloc(r->pool, o->reason.len);
    if (detail.data == NULL) {
        return NGX_ERROR;
    }

    detail.len = o->reason.len;
    ngx_memcpy(detail.data, o->reason.data, detail.len);

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal, &detail);
}


/* For the access log: nothing of the input, nor of the reason. */

ngx_int_t
ngx_http_stoa_policy_opa_told(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *text)
{
    stoa_buf_t                  b;
    stoa_str_t                  path;
    const stoa_policy_opa_t    *conf;
    ngx_http_stoa_opa_asked_t  *o;

    static const char *const  says[] = { "none", "deny", "allow" };

    if (ctx->call.opa == NULL) {
        return NGX_DECLINED;
    }

    stoa_buf_init(&b, 65536);

    for (o = ctx->call.opa; o; o = o->next) {
        conf = o->attached->config;
        path = stoa_rec_str(o->attached->rec, conf->path);

        stoa_buf_addz(&b, b.len ? "," : "[");
        stoa_buf_addf(&b, "{\"path\":\"%.*s\",\"says\":\"%s\","
                      "\"known\":%s,\"shadow\":%s,\"us\":%lu,\"id\":",
                      (int) path.len, path.data, says[o->says],
                      o->known ? "true" : "false",
                      o->attached->shadow ? "true" : "false",
                      (unsigned long) o->took_us);
        stoa_buf_add_json(&b, (char *) o->id, o->id_len);
        stoa_buf_addz(&b, "}");
    }

    stoa_buf_addz(&b, "]");

    return ngx_http_stoa_ctx_text(r, &b, text);
}
