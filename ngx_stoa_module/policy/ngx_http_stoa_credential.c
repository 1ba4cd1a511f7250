/*
 * Tokens from token endpoints (RFC 6749, section 4.4).
 *
 * What comes is read strictly: a 200 with JSON, a token of visible ASCII, of
 * type Bearer.  Nothing else of it is kept, told or logged.
 */

#include "ngx_http_stoa_credential.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_fetch.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_media.h"


#define CREDENTIAL_BUCKETS   1024
#define CREDENTIAL_ANSWER    32768             /* bytes                      */
#define CREDENTIAL_TOKEN     8192
#define CREDENTIAL_FETCH     10000             /* ms                         */
#define CREDENTIAL_LIFE      60                /* s, where nothing is said   */
#define CREDENTIAL_LIFE_MAX  86400
#define CREDENTIAL_EXCHANGED 300               /* s, one of a caller's       */
#define CREDENTIAL_AGAIN     500               /* ms, doubled each time      */
#define CREDENTIAL_DOUBLED   6
#define CREDENTIAL_REFUSED   10000             /* ms: not thrown away sooner */


typedef struct {
    ngx_queue_t             lru;
    ngx_queue_t             bucket;
    ngx_queue_t             waiting;
    u_char                  key[NGX_HTTP_STOA_SHA256_LEN];
    ngx_str_t               value;             /* allocated; len 0: none     */
    ngx_msec_t              made;
    ngx_msec_t              life;
    ngx_msec_t              thrown;            /* away, by an upstream's 401 */
    ngx_msec_t              failed;            /* when it did the last time  */
    ngx_uint_t              failures;          /* since it did not           */
    ngx_http_stoa_fetch_t  *fetch;             /* NULL: none is under way    */
    ngx_msec_t              began;
    stoa_buf_t              answer;
    const char             *why;
    ngx_uint_t              busy;              /* who waited is told         */
    ngx_uint_t              exchange;          /* unsigned                   */
    u_char                  api[STOA_NAME_MAX + 1];
} ngx_http_stoa_credential_token_t;

typedef ngx_http_stoa_credential_token_t  token_t;


static token_t *ngx_http_stoa_credential_find(
    const ngx_http_stoa_credential_t *c, const ngx_str_t *subject);
static token_t *ngx_http_stoa_credential_new(
    const ngx_http_stoa_credential_t *c, const u_char *key,
    ngx_queue_t *bucket);
static void ngx_http_stoa_credential_fetch(token_t *t,
    const ngx_http_stoa_credential_t *c, const ngx_str_t *subject);
static ngx_int_t ngx_http_stoa_credential_form(ngx_http_stoa_fetch_t *f,
    const ngx_http_stoa_credential_t *c, const ngx_str_t *subject);
static void ngx_http_stoa_credential_head(ngx_http_stoa_fetch_t *f,
    void *data);
static void ngx_http_stoa_credential_chunk(ngx_http_stoa_fetch_t *f,
    void *data, const u_char *p, size_t len);
static void ngx_http_stoa_credential_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static const char *ngx_http_stoa_credential_read(token_t *t);
static void ngx_http_stoa_credential_failed(token_t *t, const char *why);
static void ngx_http_stoa_credential_wake(void *data);
static void ngx_http_stoa_credential_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);


/* Of this worker. */

static struct {
    ngx_queue_t  lru;                          /* the youngest first         */
    ngx_queue_t  bucket[CREDENTIAL_BUCKETS];
    ngx_uint_t   n;
} ngx_http_stoa_credentials;


static const ngx_http_stoa_fetch_handler_t
                                         ngx_http_stoa_credential_handler = {
    ngx_http_stoa_credential_head,
    ngx_http_stoa_credential_chunk,
    ngx_http_stoa_credential_end
};


/* ---- kept --------------------------------------------------------------- */

static token_t *
ngx_http_stoa_credential_find(const ngx_http_stoa_credential_t *c,
    const ngx_str_t *subject)
{
    u_char        key[2 * NGX_HTTP_STOA_SHA256_LEN];
    token_t      *t;
    uint32_t      h;
    ngx_uint_t    i;
    ngx_queue_t  *q, *bucket;

    if (ngx_http_stoa_credentials.lru.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_credentials.lru);

        for (i = 0; i < CREDENTIAL_BUCKETS; i++) {
            ngx_queue_init(&ngx_http_stoa_credentials.bucket[i]);
        }
    }

    ngx_memcpy(key, c->key, NGX_HTTP_STOA_SHA256_LEN);

    if (c->exchange
        && (ngx_http_stoa_sha256(subject->data, subject->len,
                                 key + NGX_HTTP_STOA_SHA256_LEN) != NGX_OK
            || ngx_http_stoa_sha256(key, sizeof(key), key) != NGX_OK))
    {
        return NULL;
    }

    ngx_memcpy(&h, key, sizeof(h));
    bucket = &ngx_http_stoa_credentials.bucket[h % CREDENTIAL_BUCKETS];

    for (q = ngx_queue_head(bucket);
         q != ngx_queue_sentinel(bucket);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, token_t, bucket);

        if (ngx_memcmp(t->key, key, sizeof(t->key)) == 0) {
            ngx_queue_remove(&t->lru);
            ngx_queue_insert_head(&ngx_http_stoa_credentials.lru, &t->lru);
            return t;
        }
    }

    return ngx_http_stoa_credential_new(c, key, bucket);
}


static void
ngx_http_stoa_credential_forget(token_t *t)
{
    if (t->value.data) {
        ngx_explicit_memzero(t->value.data, t->value.len);
        ngx_free(t->value.data);
    }

    ngx_str_null(&t->value);
}


static token_t *
ngx_http_stoa_credential_new(const ngx_http_stoa_credential_t *c,
    const u_char *key, ngx_queue_t *bucket)
{
    token_t      *t;
    ngx_queue_t  *q;

    if (ngx_http_stoa_credentials.n == NGX_HTTP_STOA_CREDENTIALS) {
        q = ngx_queue_last(&ngx_http_stoa_credentials.lru);
        t = ngx_queue_data(q, token_t, lru);

        if (t->fetch || t->busy) {
            return NULL;
        }

        ngx_queue_remove(&t->lru);
        ngx_queue_remove(&t->bucket);
        ngx_http_stoa_credential_forget(t);
        ngx_free(t);
        ngx_http_stoa_credentials.n--;
    }

    t = ngx_calloc(sizeof(token_t), ngx_cycle->log);
    if (t == NULL) {
        return NULL;
    }

    ngx_memcpy(t->key, key, sizeof(t->key));
    t->exchange = c->exchange;
    ngx_memcpy(t->api, c->api.data, ngx_min(c->api.len, STOA_NAME_MAX));
    ngx_queue_init(&t->waiting);
    ngx_queue_insert_head(&ngx_http_stoa_credentials.lru, &t->lru);
    ngx_queue_insert_head(bucket, &t->bucket);
    ngx_http_stoa_credentials.n++;

    return t;
}


ngx_int_t
ngx_http_stoa_credential_get(const ngx_http_stoa_credential_t *c,
    const ngx_str_t *subject, ngx_http_stoa_credential_wait_t *wait,
    ngx_str_t *value)
{
    token_t     *t;
    ngx_msec_t   age, pause;

    if (c->value.len) {
        *value = c->value;
        return NGX_OK;
    }

    if (c->exchange && (subject == NULL || subject->len == 0)) {
        return NGX_DECLINED;
    }

    t = ngx_http_stoa_credential_find(c, subject);
    if (t == NULL) {
        return NGX_DECLINED;
    }

    age = ngx_current_msec - t->made;

    if (t->value.len && age >= t->life) {
        ngx_http_stoa_credential_forget(t);
    }

    pause = CREDENTIAL_AGAIN << ngx_min(t->failures, CREDENTIAL_DOUBLED);

    if (t->fetch == NULL && (t->value.len == 0 || age >= t->life / 5 * 4)
        && (t->failures == 0 || ngx_current_msec - t->failed >= pause))
    {
        ngx_http_stoa_credential_fetch(t, c, subject);
    }

    if (t->value.len) {
        *value = t->value;
        return NGX_OK;
    }

    if (t->fetch == NULL || wait == NULL) {
        return NGX_DECLINED;
    }

    if (!wait->queued) {
        ngx_queue_insert_tail(&t->waiting, &wait->queue);
        wait->queued = 1;
    }

    return NGX_AGAIN;
}


void
ngx_http_stoa_credential_cancel(ngx_http_stoa_credential_wait_t *wait)
{
    if (wait->queued) {
        ngx_queue_remove(&wait->queue);
        wait->queued = 0;
    }
}


/* ---- fetched ------------------------------------------------------------ */

static void
ngx_http_stoa_credential_fetch(token_t *t,
    const ngx_http_stoa_credential_t *c, const ngx_str_t *subject)
{
    u_char                 *p;
    ngx_str_t               url;
    ngx_http_stoa_fetch_t  *f;

    static const char  head[] =
        "Content-Type: application/x-www-form-urlencoded\r\n"
        "Accept: application/json\r\n";

    f = ngx_http_stoa_fetch_create(ngx_cycle->log);
    if (f == NULL) {
        return;
    }

    t->began = ngx_current_msec;
    url = c->url;

    f->headers.data = ngx_pnalloc(f->pool, sizeof(head) + c->login.len);

    if (f->headers.data == NULL
        || ngx_http_stoa_credential_form(f, c, subject) != NGX_OK
        || ngx_http_stoa_fetch_url(f, &url, NULL) != NGX_OK)
    {
        ngx_http_stoa_credential_failed(t, f->why);
        ngx_http_stoa_fetch_cancel(f);
        return;
    }

    p = ngx_cpymem(f->headers.data, head, sizeof(head) - 1);
    p = ngx_cpymem(p, c->login.data, c->login.len);
    f->headers.len = p - f->headers.data;

    ngx_str_set(&f->method, "POST");
    f->handler = &ngx_http_stoa_credential_handler;
    f->data = t;
    f->deadline = ngx_current_msec + CREDENTIAL_FETCH;
    f->max_body = CREDENTIAL_ANSWER;
    f->idempotent = 1;                 /* another token is no harm          */
    f->stay = 1;

    stoa_buf_init(&t->answer, CREDENTIAL_ANSWER);
    t->why = NULL;
    t->fetch = f;

    ngx_http_stoa_count(credentials_fetched, 1);
    ngx_http_stoa_fetch_start(f);
}


/* RFC 8693, section 2.1. */

static ngx_int_t
ngx_http_stoa_credential_form(ngx_http_stoa_fetch_t *f,
    const ngx_http_stoa_credential_t *c, const ngx_str_t *subject)
{
    u_char  *p;

    static const char  as[] =
        "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A"
        "access_token&subject_token=";

    p = ngx_pnalloc(f->pool, c->form.len
                             + (c->exchange ? sizeof(as) + 3 * subject->len
                                : 0));
    if (p == NULL) {
        return NGX_ERROR;
    }

    f->body.data = p;
    p = ngx_cpymem(p, c->form.data, c->form.len);

    if (c->exchange) {
        p = ngx_cpymem(p, as, sizeof(as) - 1);
        p = (u_char *) ngx_escape_uri(p, subject->data, subject->len,
                                      NGX_ESCAPE_URI_COMPONENT);
    }

    f->body.len = p - f->body.data;

    return NGX_OK;
}


static void
ngx_http_stoa_credential_head(ngx_http_stoa_fetch_t *f, void *data)
{
    token_t     *t = data;
    stoa_str_t   type, coding;

    if (f->http.status != NGX_HTTP_OK) {
        t->why = f->http.status >= 500 ? "its status is 5xx"
                 : f->http.status >= 400 ? "its status is 4xx"
                 : "its status is not 200";
        return;
    }

    if (stoa_http_header(&f->http, "content-type", &type) != 1
        || !stoa_media_is(type.data, type.len, "application/json"))
    {
        t->why = "its answer is not JSON";
        return;
    }

    if (stoa_http_header(&f->http, "content-encoding", &coding)
        && !stoa_media_plain(coding.data, coding.len))
    {
        t->why = "its answer is compressed";
    }
}


static void
ngx_http_stoa_credential_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    token_t  *t = data;

    if (t->why == NULL) {
        stoa_buf_add(&t->answer, p, len);
    }
}


static void
ngx_http_stoa_credential_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    token_t                          *t = data;
    ngx_queue_t                      *q, told;
    ngx_http_stoa_credential_wait_t  *wait;

    t->fetch = NULL;

    if (t->why == NULL && how != NGX_HTTP_STOA_FETCH_DONE) {
        t->why = f->why ? f->why
                 : how == NGX_HTTP_STOA_FETCH_TIMEOUT ? "it took too long"
                 : how == NGX_HTTP_STOA_FETCH_LARGE ? "its answer is too long"
                 : "it gave no answer";
    }

    if (t->why == NULL) {
        t->why = ngx_http_stoa_credential_read(t);
    }

    if (t->answer.len) {
        ngx_explicit_memzero(t->answer.data, t->answer.len);
    }

    stoa_buf_free(&t->answer);

    if (t->why) {
        ngx_http_stoa_credential_failed(t, t->why);
    }

    /* who waits again when he is told waits for the next one */

    ngx_queue_init(&told);
    ngx_queue_add(&told, &t->waiting);
    ngx_queue_init(&t->waiting);

    t->busy = 1;

    while (!ngx_queue_empty(&told)) {
        q = ngx_queue_head(&told);
        wait = ngx_queue_data(q, ngx_http_stoa_credential_wait_t, queue);

        ngx_http_stoa_credential_cancel(wait);
        wait->done(wait->data);
    }

    t->busy = 0;
}


/* NULL, or what is wrong with it. */

static const char *
ngx_http_stoa_credential_read(token_t *t)
{
    size_t           i;
    u_char          *p;
    int64_t          life, most;
    stoa_str_t       token, type;
    stoa_err_t       err;
    stoa_json_val_t  root, v;

    if (t->answer.rc != STOA_OK
        || stoa_json_check(t->answer.data, t->answer.len, STOA_JSON_DEPTH_MAX,
                           &root, &err)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT)
    {
        return "its answer is not JSON";
    }

    if (!stoa_json_get_text(&root, "access_token", &token) || token.len == 0
        || token.len > CREDENTIAL_TOKEN)
    {
        return "its answer has no access_token";
    }

    for (i = 0; i < token.len; i++) {
        if (token.data[i] < 0x21 || token.data[i] > 0x7e) {
            return "its access_token has other characters than it may";
        }
    }

    if (!stoa_json_get_text(&root, "token_type", &type) || type.len != 6
        || ngx_strncasecmp((u_char *) type.data, (u_char *) "bearer", 6) != 0)
    {
        return "its token_type is not Bearer";
    }

    life = CREDENTIAL_LIFE;

    if (stoa_json_get(&root, "expires_in", &v)
        && (stoa_json_int(&v, &life) != STOA_OK || life < 1))
    {
        return "its expires_in is no time";
    }

    most = t->exchange ? CREDENTIAL_EXCHANGED : CREDENTIAL_LIFE_MAX;
    life = ngx_min(life, most);

    if (ngx_current_msec - t->began >= (ngx_msec_t) life * 1000) {
        return "its token was over when it came";
    }

    p = ngx_alloc(sizeof("Bearer ") + token.len, ngx_cycle->log);
    if (p == NULL) {
        return "there is no memory";
    }

    ngx_http_stoa_credential_forget(t);

    t->value.data = p;
    p = ngx_cpymem(p, "Bearer ", 7);
    t->value.len = ngx_cpymem(p, token.data, token.len) - t->value.data;

    t->made = t->began;
    t->life = (ngx_msec_t) life * 1000;
    t->failures = 0;

    return NULL;
}


static void
ngx_http_stoa_credential_failed(token_t *t, const char *why)
{
    t->failed = ngx_current_msec;
    t->failures++;

    ngx_http_stoa_count(credentials_failed, 1);
    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "stoa: the token endpoint of the api \"%s\" gave no token: "
                  "%s", t->api, why ? why : "there is no memory");
}


/* ---- the step ----------------------------------------------------------- */

typedef struct {
    ngx_http_stoa_credential_wait_t   wait;
    ngx_http_stoa_ctx_t              *ctx;
} ngx_http_stoa_credential_step_t;


/* NULL: the caller has no token. */

static const ngx_str_t *
ngx_http_stoa_credential_subject(const ngx_http_stoa_ctx_t *ctx)
{
    return ctx->token ? &ctx->token->text : NULL;
}


ngx_int_t
ngx_http_stoa_credential_caller(const ngx_http_stoa_api_t *api,
    const ngx_http_stoa_ctx_t *ctx, ngx_pool_t *pool, ngx_str_t *subject)
{
    const ngx_str_t             *text;
    ngx_http_stoa_credential_t  *c;

    ngx_str_null(subject);

    c = ngx_http_stoa_credential(api->policies);
    text = ngx_http_stoa_credential_subject(ctx);

    if (c == NULL || !c->exchange || text == NULL) {
        return NGX_OK;
    }

    subject->data = ngx_pnalloc(pool, text->len);

    if (subject->data == NULL) {
        return NGX_ERROR;
    }

    subject->len = text->len;
    ngx_memcpy(subject->data, text->data, text->len);

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_credential_step(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                         rc;
    ngx_str_t                         value;
    const ngx_str_t                  *subject;
    ngx_http_stoa_credential_t       *c;
    ngx_http_stoa_credential_step_t  *s;

    c = ctx->call.api ? ngx_http_stoa_credential(ctx->call.api->policies)
                      : NULL;

    if (c == NULL || c->value.len) {
        return NGX_OK;
    }

    ctx->call.credential_step = ctx->call.step;

    subject = ngx_http_stoa_credential_subject(ctx);
    rc = ngx_http_stoa_credential_get(c, subject, NULL, &value);

    if (rc == NGX_OK) {
        ctx->call.credential.data = ngx_pstrdup(r->pool, &value);
        ctx->call.credential.len = value.len;

        return ctx->call.credential.data ? NGX_OK : NGX_ERROR;
    }

    s = ngx_palloc(r->pool, sizeof(ngx_http_stoa_credential_step_t));

    if (s == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_credential_finish, s)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    s->ctx = ctx;
    s->wait.queued = 0;
    s->wait.done = ngx_http_stoa_credential_wake;
    s->wait.data = s;

    rc = ngx_http_stoa_credential_get(c, subject, &s->wait, &value);

    return rc == NGX_AGAIN ? ngx_http_stoa_ctx_suspend(r)
           : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_UPSTREAM_CREDENTIAL,
                                  NULL);
}


static void
ngx_http_stoa_credential_wake(void *data)
{
    ngx_http_stoa_credential_step_t *s = data;

    ngx_http_stoa_ctx_wake(s->ctx->request);
}


static void
ngx_http_stoa_credential_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_credential_step_t *s = data;

    ngx_http_stoa_credential_cancel(&s->wait);
}


/* What one after the other is refused is not the tokens' fault. */

ngx_int_t
ngx_http_stoa_credential_refused(ngx_http_stoa_ctx_t *ctx)
{
    token_t                     *t;
    ngx_http_stoa_credential_t  *c;

    c = ngx_http_stoa_credential(ctx->call.api->policies);
    t = c && c->value.len == 0
        && (!c->exchange || ctx->token)
        ? ngx_http_stoa_credential_find(c,
                                        ngx_http_stoa_credential_subject(ctx))
        : NULL;

    if (t == NULL || ctx->call.credential_again) {
        return NGX_DECLINED;
    }

    ctx->call.credential_again = 1;

    if (t->value.len != ctx->call.credential.len
        || ngx_memcmp(t->value.data, ctx->call.credential.data, t->value.len)
           != 0)
    {
        return NGX_OK;                 /* there is another one already      */
    }

    if (t->thrown && ngx_current_msec - t->thrown < CREDENTIAL_REFUSED) {
        return NGX_DECLINED;
    }

    t->thrown = ngx_current_msec;
    ngx_http_stoa_credential_forget(t);

    return NGX_OK;
}
