/*
 * Calls with an Idempotency-Key.  Schema: core/stoa_policy_idempotency.h.
 *
 * Process: workers.  Limits: a body and an answer are in memory until the call
 * is over, each as long as the policy says; a key has 255 bytes at most.
 */

#include "ngx_http_stoa_repeat.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_content.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_idempotency.h"


#define REPEAT_RUN_MS  86400000        /* of a call, whose holder lives      */


typedef enum {
    REPEAT_MISSING = 0,
    REPEAT_INVALID,
    REPEAT_RUNNING,
    REPEAT_OTHER,
    REPEAT_UNKNOWN,
    REPEAT_FULL
} ngx_http_stoa_repeat_refusal_e;

typedef struct {
    u_char    fingerprint[NGX_HTTP_STOA_SHA256_LEN];
    uint32_t  status;                  /* of the answer; 0: there is none    */
    uint32_t  head_len;
    uint32_t  target;
    uint32_t  spare;
} ngx_http_stoa_repeat_note_t;

typedef struct {
    ngx_http_request_t                *request;
    ngx_http_stoa_ctx_t               *ctx;
    ngx_shm_zone_t                    *zone;
    const stoa_policy_idempotency_t   *conf;

    ngx_str_t                          text;   /* of the header              */
    ngx_http_stoa_keep_key_t           key;
    uint64_t                           gen;    /* of our entry; 0: none      */
    ngx_http_stoa_repeat_note_t        note;
    ngx_http_stoa_gathered_t           body;

    ngx_str_t                          head;   /* lines                      */
    ngx_chain_t                       *again;  /* the body of what is kept   */
    off_t                              again_len;
    u_char                             sum[1 + NGX_HTTP_STOA_SHA256_LEN];
    unsigned                           keeping:1;
    unsigned                           replays:1;
} ngx_http_stoa_repeat_t;


static ngx_int_t ngx_http_stoa_repeat_policy(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_repeat_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_repeat_meant(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_repeat_text(ngx_http_request_t *r,
    ngx_str_t *value, ngx_str_t *text);
static ngx_int_t ngx_http_stoa_repeat_sums(ngx_http_stoa_repeat_t *c,
    ngx_str_t *body);
static ngx_int_t ngx_http_stoa_repeat_take(ngx_http_stoa_repeat_t *c,
    const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_repeat_there(ngx_http_stoa_repeat_t *c,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_kept_t *kept);
static ngx_int_t ngx_http_stoa_repeat_again(ngx_http_stoa_repeat_t *c,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_kept_t *kept);
static ngx_int_t ngx_http_stoa_repeat_send(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_repeat_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t what, ngx_str_t *detail);
static void ngx_http_stoa_repeat_settle(ngx_http_stoa_repeat_t *c,
    ngx_uint_t whole);
static void ngx_http_stoa_repeat_finish(ngx_http_stoa_ctx_t *ctx, void *data);
static ngx_uint_t ngx_http_stoa_repeat_sent(ngx_http_request_t *r);


/* In the order of ngx_http_stoa_repeat_refusal_e. */

static const ngx_http_stoa_refusal_t  ngx_http_stoa_repeat_refusals[] = {
    { ngx_string("idempotency_missing"), 400,
      ngx_string("Idempotency-Key missing"),
      ngx_string("This call needs an Idempotency-Key."), 400 },
    { ngx_string("idempotency_invalid"), 400,
      ngx_string("Idempotency-Key not valid"),
      ngx_string("Send one Idempotency-Key of 1 to 255 printable ASCII "
                 "characters."), 400 },
    { ngx_string("idempotency_running"), 409,
      ngx_string("The call is under way"),
      ngx_string("A call with this Idempotency-Key has not ended yet; see "
                 "Retry-After."), 409 },
    { ngx_string("idempotency_differs"), 422,
      ngx_string("Another call has this key"),
      ngx_string("The Idempotency-Key was used for a call with another "
                 "method, path, query, type, credential or body."), 422 },
    { ngx_string("idempotency_unknown"), 409,
      ngx_string("The answer is not known"),
      ngx_string("A call with this Idempotency-Key was made, and nobody knows "
                 "what became of it. Look before you send it with another."),
      409 },
    { ngx_string("idempotency_full"), 503,
      ngx_string("No room for the key"),
      ngx_string("The gateway cannot keep this Idempotency-Key now."), 503 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_idempotency = {
    .name = "idempotency",
    .on_way = 1,
    .head = ngx_http_stoa_repeat_policy,
    .look = 1,
    .refusals = ngx_http_stoa_repeat_refusals
};


static ngx_int_t
ngx_http_stoa_repeat_policy(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_table_elt_t                  *h;
    const stoa_policy_idempotency_t  *conf;

    if (!a->shadow) {
        ctx->call.repeats_by = a;
        return NGX_OK;
    }

    conf = a->config;

    return conf->required && ngx_http_stoa_repeat_meant(r, a)
           && ngx_http_stoa_header_count(r, "idempotency-key", 15, &h) == 0
           ? ngx_http_stoa_policy_refuse(r, ctx, a,
                                         a->refusal + REPEAT_MISSING)
           : NGX_OK;
}


/* ---- the step ----------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_repeat_step(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_str_t                        body;
    ngx_http_stoa_repeat_t          *c;
    const ngx_http_stoa_attached_t  *a;

    a = ctx->call.repeats_by;

    if (a == NULL) {
        return NGX_OK;
    }

    if (ctx->call.repeat == NULL) {
        rc = ngx_http_stoa_repeat_begin(r, ctx, a);

        if (rc != NGX_OK || ctx->call.repeat == NULL) {
            return rc;
        }
    }

    c = ctx->call.repeat;

    rc = r->headers_in.content_length_n > (off_t) c->conf->max_body_bytes
         ? NGX_DECLINED : NGX_OK;

    if (rc == NGX_OK && r->request_body == NULL) {
        rc = ngx_http_stoa_policy_body_limit(r, c->conf->max_body_bytes);

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_content_read(r, ctx);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_content_gather(r, c->conf->max_body_bytes, &body);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_repeat_refuse(r, ctx, a,
                                   NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE, NULL);
    }

    if (rc != NGX_OK || ngx_http_stoa_repeat_sums(c, &body) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_stoa_repeat_take(c, a);
}


/* Without a call.repeat it is a call like any other. */

static ngx_int_t
ngx_http_stoa_repeat_begin(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                         rc;
    ngx_str_t                         text;
    ngx_uint_t                        n;
    ngx_table_elt_t                  *h;
    ngx_http_stoa_repeat_t           *c;
    ngx_http_stoa_main_conf_t        *mcf;
    const stoa_policy_idempotency_t  *conf;

    conf = a->config;

    if (!ngx_http_stoa_repeat_meant(r, a)) {
        return NGX_OK;
    }

    n = ngx_http_stoa_header_count(r, "idempotency-key", 15, &h);

    if (n == 0) {
        return conf->required
               ? ngx_http_stoa_repeat_refuse(r, ctx, a,
                                             a->refusal + REPEAT_MISSING, NULL)
               : NGX_OK;
    }

    rc = n == 1 ? ngx_http_stoa_repeat_text(r, &h->value, &text)
                : NGX_DECLINED;

    if (rc == NGX_DECLINED) {
        return ngx_http_stoa_repeat_refuse(r, ctx, a,
                                           a->refusal + REPEAT_INVALID, NULL);
    }

    c = rc == NGX_OK ? ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_repeat_t))
                     : NULL;

    if (c == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_repeat_finish, c)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    c->request = r;
    c->ctx = ctx;
    c->zone = mcf->repeats;
    c->conf = conf;
    c->text = text;
    c->key.text.data = c->sum;
    c->key.text.len = sizeof(c->sum);
    ctx->call.repeat = c;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_repeat_meant(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a)
{
    uint32_t                          i;
    stoa_str_t                        s;
    const stoa_ref_t                 *names;
    const stoa_policy_idempotency_t  *conf;

    conf = a->config;

    if (conf->methods.n == 0) {
        return r->method == NGX_HTTP_POST || r->method == NGX_HTTP_PATCH;
    }

    names = stoa_rec_vec(a->rec, conf->methods, stoa_ref_t);

    for (i = 0; i < conf->methods.n; i++) {
        s = stoa_rec_str(a->rec, names[i]);

        if (s.len == r->method_name.len
            && ngx_memcmp(s.data, r->method_name.data, s.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* A string of RFC 8941, as the draft has it, or the text alone, as most send
 * it: both are the same key. */

static ngx_int_t
ngx_http_stoa_repeat_text(ngx_http_request_t *r, ngx_str_t *value,
    ngx_str_t *text)
{
    size_t      i, last;
    u_char     *p;
    ngx_uint_t  quoted;

    quoted = value->len > 1 && value->data[0] == '"'
             && value->data[value->len - 1] == '"';
    last = value->len - quoted;

    p = ngx_pnalloc(r->pool, value->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (i = quoted; i < last; i++) {

        if (quoted && value->data[i] == '\\' && i + 1 < last
            && (value->data[i + 1] == '\\' || value->data[i + 1] == '"'))
        {
            i++;

        } else if (value->data[i] == '"') {
            return NGX_DECLINED;
        }

        if (value->data[i] < (quoted ? ' ' : '!') || value->data[i] > '~') {
            return NGX_DECLINED;
        }

        *p++ = value->data[i];
    }

    text->len = p - text->data;

    return text->len == 0 || text->len > STOA_IDEMPOTENCY_KEY
           ? NGX_DECLINED : NGX_OK;
}


/* Whose key it is, and of what call. */

static ngx_int_t
ngx_http_stoa_repeat_sums(ngx_http_stoa_repeat_t *c, ngx_str_t *body)
{
    u_char                        sum[NGX_HTTP_STOA_SHA256_LEN];
    ngx_int_t                     rc;
    ngx_uint_t                    operation;
    stoa_buf_t                    b;
    ngx_table_elt_t              *h;
    ngx_http_request_t           *r;
    ngx_http_stoa_ctx_t          *ctx;
    ngx_http_stoa_header_walk_t   w;

    r = c->request;
    ctx = c->ctx;
    stoa_buf_init(&b, NGX_MAX_UINT32_VALUE);

    /* a key of ours stands for the application, also after a rotation; people
     * behind a token each have their own */

    stoa_buf_add(&b, &ctx->tenant, sizeof(stoa_id_t));
    stoa_buf_add(&b, &ctx->application, sizeof(stoa_id_t));

    if (ctx->token || ctx->anonymous) {
        stoa_buf_add(&b, &ctx->principal, sizeof(stoa_id_t));
    }

    operation = ctx->call.operation;
    stoa_buf_add(&b, &ctx->call.api->rec->id, sizeof(stoa_id_t));

    if (operation) {
        stoa_buf_add(&b, &stoa_rec_vec(ctx->call.api->rec,
                                       ctx->call.api->rec->operations,
                                       stoa_rec_operation_t)
                              [operation - 1].id, sizeof(stoa_id_t));
    }

    ngx_http_stoa_cache_key_add(&b, c->text.data, c->text.len);

    c->sum[0] = 'I';
    c->key.owner = ctx->anonymous ? ctx->principal : ctx->application;
    c->key.group = ctx->tenant;

    rc = b.rc == STOA_OK
         ? ngx_http_stoa_sha256((u_char *) b.data, b.len, c->sum + 1)
         : NGX_ERROR;

    stoa_buf_reset(&b);
    ngx_http_stoa_cache_key_add(&b, r->method_name.data, r->method_name.len);
    ngx_http_stoa_cache_key_add(&b, ctx->call.path.data, ctx->call.path.len);
    ngx_http_stoa_cache_key_add(&b, r->args.data, r->args.len);

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_is(h, "content-type")
            || ngx_http_stoa_header_is(h, "content-encoding")
            || ngx_http_stoa_cache_key_lasts(ctx, h))
        {
            ngx_http_stoa_cache_key_add(&b, h->lowcase_key, h->key.len);
            ngx_http_stoa_cache_key_add(&b, h->value.data, h->value.len);
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_sha256(body->data, body->len, sum);
        stoa_buf_add(&b, sum, sizeof(sum));
    }

    if (rc == NGX_OK) {
        rc = b.rc == STOA_OK
             ? ngx_http_stoa_sha256((u_char *) b.data, b.len,
                                    c->note.fingerprint)
             : NGX_ERROR;
    }

    stoa_buf_free(&b);

    return rc;
}


static ngx_int_t
ngx_http_stoa_repeat_take(ngx_http_stoa_repeat_t *c,
    const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_http_stoa_kept_t         kept;
    ngx_http_stoa_repeat_note_t  note;

    for (i = 0; i < 4; i++) {
        ngx_memzero(&kept, sizeof(ngx_http_stoa_kept_t));
        ngx_memcpy(kept.note, &c->note, sizeof(c->note));

        rc = ngx_http_stoa_keep_take(c->zone, &c->key,
                                     ngx_http_stoa_now_ms() + REPEAT_RUN_MS,
                                     &kept);
        if (rc == NGX_OK) {
            c->gen = kept.gen;
            return NGX_OK;
        }

        if (rc == NGX_DECLINED) {
            break;
        }

        ngx_memcpy(&note, kept.note, sizeof(note));

        if (ngx_memcmp(note.fingerprint, c->note.fingerprint,
                       sizeof(note.fingerprint))
            != 0)
        {
            return ngx_http_stoa_repeat_refuse(c->request, c->ctx, a,
                                               a->refusal + REPEAT_OTHER,
                                               NULL);
        }

        rc = ngx_http_stoa_repeat_there(c, a, &kept);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        /* it has gone, or may be made again */
    }

    return ngx_http_stoa_repeat_refuse(c->request, c->ctx, a,
                                       a->refusal + REPEAT_FULL, NULL);
}


/* Of the same call. */

static ngx_int_t
ngx_http_stoa_repeat_there(ngx_http_stoa_repeat_t *c,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_kept_t *kept)
{
    u_char                       *p;
    ngx_str_t                     detail;
    ngx_http_request_t           *r;
    ngx_http_stoa_repeat_note_t   note;

    r = c->request;
    ngx_memcpy(&note, kept->note, sizeof(note));

    if (kept->state == NGX_HTTP_STOA_KEPT_ANSWER) {
        return ngx_http_stoa_repeat_again(c, a, kept);
    }

    if (kept->state == NGX_HTTP_STOA_KEPT_BUSY
        && ngx_http_stoa_keep_held(kept->holder))
    {
        ngx_str_set(&c->ctx->call.retry_after, "1");

        return ngx_http_stoa_repeat_refuse(r, c->ctx, a,
                                           a->refusal + REPEAT_RUNNING, NULL);
    }

    if (note.status) {
        p = ngx_pnalloc(r->pool, 128);
        if (p == NULL) {
            return NGX_ERROR;
        }

        detail.data = p;
        detail.len = ngx_sprintf(p, "The call was made and answered with "
                                 "status %uD; its answer is not kept.",
                                 note.status)
                     - p;

        return ngx_http_stoa_repeat_refuse(r, c->ctx, a,
                                           a->refusal + REPEAT_UNKNOWN,
                                           &detail);
    }

    if (c->conf->on_failure == STOA_IDEMPOTENCY_RELEASE) {
        ngx_http_stoa_keep_drop(c->zone, &c->key, kept->gen);
        return NGX_DECLINED;
    }

    return ngx_http_stoa_repeat_refuse(r, c->ctx, a,
                                       a->refusal + REPEAT_UNKNOWN, NULL);
}


static ngx_int_t
ngx_http_stoa_repeat_again(ngx_http_stoa_repeat_t *c,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_kept_t *kept)
{
    u_char                       *p;
    ngx_http_request_t           *r;
    ngx_http_stoa_repeat_note_t   note;

    r = c->request;
    ngx_memcpy(&note, kept->note, sizeof(note));

    c->head.len = ngx_min(note.head_len, kept->len);
    p = ngx_pnalloc(r->pool, c->head.len + 1);

    if (p == NULL) {
        return NGX_ERROR;
    }

    c->head.data = p;
    c->again_len = kept->len - c->head.len;

    if (ngx_http_stoa_keep_read(c->zone, kept, 0, p, c->head.len) != NGX_OK
        || ngx_http_stoa_keep_lend(c->zone, kept, c->head.len, r->pool,
                                   r->headers_in.range != NULL, &c->again)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    c->note = note;
    c->replays = 1;

    ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_APPLIED);
    ngx_http_stoa_count(idempotency_repeats, 1);

    if (!c->conf->charge_repeats) {
        ngx_http_stoa_limits_free(r, c->ctx);
    }

    r->content_handler = ngx_http_stoa_repeat_send;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_stoa_repeat_send(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_stoa_ctx_t     *ctx;
    ngx_http_stoa_repeat_t  *c;

    ctx = ngx_http_stoa_ctx(r);
    c = ctx->call.repeat;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_stoa_cache_page(r, ctx, c->note.status, c->note.target,
                                    &c->head, c->again, c->again_len)
           == NGX_OK
           ? ngx_http_stoa_cache_send_page(r, ctx)
           : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* Whoever is refused has used nothing up. */

static ngx_int_t
ngx_http_stoa_repeat_refuse(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_uint_t what, ngx_str_t *detail)
{
    ngx_http_stoa_limits_free(r, ctx);
    ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_REFUSED);
    ctx->call.refused_by = a;

    return ngx_http_stoa_refuse(r, what, detail);
}


/* ---- the answer --------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_repeat_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t               status;
    ngx_table_elt_t         *h;
    ngx_http_stoa_repeat_t  *c;

    c = ctx->call.repeat;

    if (c == NULL || !ctx->call.passed) {
        return NGX_OK;
    }

    if (c->replays) {
        h = ctx->call.replace ? NULL
            : ngx_http_stoa_header_add(r, "Idempotency-Replayed");

        if (h) {
            ngx_str_set(&h->value, "true");
        }

        return h || ctx->call.replace ? NGX_OK : NGX_ERROR;
    }

    status = r->headers_out.status;
    c->keeping = 0;

    if (ctx->call.replace) {

        /* before the client is told, as he may come again at once */

        ngx_http_stoa_repeat_finish(ctx, c);
    }

    if (c->gen == 0 || r->upstream == NULL || r->err_status) {
        return NGX_OK;
    }

    /* those say themselves that nothing was done */

    if (status == 401 || status == 408 || status == 425 || status == 429
        || (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
            && c->conf->on_failure == STOA_IDEMPOTENCY_RELEASE))
    {
        ngx_http_stoa_keep_drop(c->zone, &c->key, c->gen);
        c->gen = 0;
        return NGX_OK;
    }

    c->note.status = (uint32_t) status;
    c->note.target = ngx_http_stoa_cache_target(ctx);
    c->body.max = c->conf->max_answer_bytes;

    if (r->headers_out.content_length_n > (off_t) c->body.max
        || ngx_http_stoa_cache_lines(r, NULL, &c->head) != NGX_OK)
    {
        ngx_http_stoa_repeat_settle(c, 0);
        return NGX_OK;
    }

    c->keeping = 1;
    ctx->call.unheard = r->connection->error;
    r->filter_need_in_memory = 1;

    return NGX_OK;
}


void
ngx_http_stoa_repeat_body(ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t                rc;
    ngx_http_stoa_repeat_t  *c;

    c = ctx->call.repeat;

    if (c == NULL || !c->keeping) {
        return;
    }

    rc = ngx_http_stoa_cache_gather(c->request, &c->body, in);

    if (rc != NGX_AGAIN) {
        c->keeping = 0;
        ngx_http_stoa_repeat_settle(c, rc == NGX_OK);
    }
}


/* What lies there from now on: the answer, or that there was one, or that
 * nobody knows. */

static void
ngx_http_stoa_repeat_settle(ngx_http_stoa_repeat_t *c, ngx_uint_t whole)
{
    ngx_str_t             *pieces;
    ngx_http_stoa_kept_t   kept;

    pieces = whole ? ngx_palloc(c->request->pool,
                                (c->body.n + 1) * sizeof(ngx_str_t))
                   : NULL;

    ngx_memzero(&kept, sizeof(ngx_http_stoa_kept_t));
    kept.gen = c->gen;
    kept.state = NGX_HTTP_STOA_KEPT_MARK;
    kept.until_ms = ngx_http_stoa_now_ms() + (int64_t) c->conf->ttl_s * 1000;
    c->gen = 0;

    if (pieces) {
        kept.state = NGX_HTTP_STOA_KEPT_ANSWER;
        c->note.head_len = (uint32_t) c->head.len;
        pieces[0] = c->head;

        if (c->body.n) {
            ngx_memcpy(&pieces[1], c->body.parts,
                       c->body.n * sizeof(ngx_str_t));
        }
    }

    ngx_memcpy(kept.note, &c->note, sizeof(c->note));

    if (ngx_http_stoa_keep_put(c->zone, &c->key, &kept, pieces,
                               pieces ? c->body.n + 1 : 0)
        == NGX_OK)
    {
        ngx_http_stoa_count(idempotency_kept, 1);
    }
}


static void
ngx_http_stoa_repeat_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_repeat_t *c = data;

    (void) ctx;

    if (c->gen == 0) {
        return;
    }

    if (c->note.status
        || (c->conf->on_failure == STOA_IDEMPOTENCY_KEEP
            && ngx_http_stoa_repeat_sent(c->request)))
    {
        if (c->note.status == 0) {
            ngx_http_stoa_count(idempotency_unknown, 1);
        }

        ngx_http_stoa_repeat_settle(c, 0);
        return;
    }

    ngx_http_stoa_keep_drop(c->zone, &c->key, c->gen);
    c->gen = 0;
}


/* May an upstream have got it?  As the refusal would say. */

static ngx_uint_t
ngx_http_stoa_repeat_sent(ngx_http_request_t *r)
{
    ngx_uint_t                  i;
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states == NULL) {
        return 0;
    }

    state = r->upstream_states->elts;

    for (i = 0; i < r->upstream_states->nelts; i++) {
        if (state[i].peer && state[i].connect_time != (ngx_msec_t) -1) {
            return 1;
        }
    }

    return 0;
}
