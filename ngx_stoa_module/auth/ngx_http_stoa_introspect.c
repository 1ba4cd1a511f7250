/*
 * Tokens that only their issuer can read (RFC 7662): it is asked, and what it
 * said is kept for a while, a no for less.
 *
 * A request waits; when its client leaves, the question is cancelled.
 * Process: workers.  Limits: NGX_HTTP_STOA_INTROSPECT_MAX questions of a
 * worker at a time, INTROSPECT_TENANT of them of one tenant, whose server may
 * hang; beyond them, and where no answer comes, the call is 503: nobody is let
 * in on a guess.
 */

#include "ngx_http_stoa_token.h"
#include "ngx_http_stoa_fetch.h"


#define NGX_HTTP_STOA_INTROSPECT_MAX      64
#define NGX_HTTP_STOA_INTROSPECT_TENANT   16
#define NGX_HTTP_STOA_INTROSPECT_BYTES    65536
#define NGX_HTTP_STOA_INTROSPECT_CONNECT  2000
#define NGX_HTTP_STOA_INTROSPECT_MS       5000


struct ngx_http_stoa_introspect_s {
    ngx_queue_t             queue;     /* of those that are asked            */
    ngx_http_request_t     *request;
    ngx_http_stoa_fetch_t  *fetch;     /* NULL: it is over                   */
    stoa_buf_t              answer;
    ngx_uint_t              status;    /* 0: none                            */
    stoa_id_t               tenant;
    stoa_id_t               issuer;    /* that is asked                      */
    uint64_t                rev;       /* of its record                      */
};


static ngx_int_t ngx_http_stoa_introspect_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_issuer_t *rec,
    ngx_str_t *token);
static ngx_uint_t ngx_http_stoa_introspect_many(const stoa_id_t *tenant);
static ngx_int_t ngx_http_stoa_introspect_text(ngx_http_stoa_fetch_t *f,
    const stoa_rec_issuer_t *rec, ngx_str_t *token);
static u_char *ngx_http_stoa_introspect_form(u_char *p, const char *s,
    size_t len);
static void ngx_http_stoa_introspect_chunk(ngx_http_stoa_fetch_t *f,
    void *data, const u_char *p, size_t len);
static void ngx_http_stoa_introspect_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static void ngx_http_stoa_introspect_cleanup(void *data);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_introspect_handler =
{
    .chunk = ngx_http_stoa_introspect_chunk,
    .end = ngx_http_stoa_introspect_end
};

static ngx_queue_t  ngx_http_stoa_introspect_queue = {
    &ngx_http_stoa_introspect_queue, &ngx_http_stoa_introspect_queue
};


ngx_int_t
ngx_http_stoa_introspect(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_issuer_t *rec, ngx_str_t *token,
    const stoa_json_val_t **claims, const char **why)
{
    stoa_json_val_t              val;
    ngx_http_stoa_introspect_t  *in;

    static stoa_json_val_t  root;

    in = ctx->introspect;

    if (in == NULL) {
        return ngx_http_stoa_introspect_ask(r, ctx, rec, token);
    }

    if (in->fetch) {
        return ngx_http_stoa_ctx_suspend(r);
    }

    *why = "The token's issuer gave no answer that can be used.";

    /* the record is looked up anew: an answer speaks for nobody else */

    if (in->rev != rec->hdr.rev
        || ngx_memcmp(&in->issuer, &rec->id, sizeof(stoa_id_t)) != 0
        || in->status != NGX_HTTP_OK || in->answer.rc != STOA_OK
        || in->answer.len == 0
        || stoa_json_check(in->answer.data, in->answer.len,
                           STOA_JWT_DEPTH_MAX, &root, NULL)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&root, "active", &val))
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    *why = "The token's issuer says that it is not active.";

    if (val.type != STOA_JSON_TRUE) {
        return NGX_DECLINED;
    }

    *why = "The token is of another issuer.";

    if (stoa_json_get(&root, "iss", &val)
        && (val.type != STOA_JSON_STRING
            || !stoa_json_eq(&val, (const char *) rec + rec->issuer.off,
                             rec->issuer.len)))
    {
        return NGX_DECLINED;
    }

    *claims = &root;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_introspect_ask(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_issuer_t *rec, ngx_str_t *token)
{
    ngx_str_t                    url;
    ngx_pool_cleanup_t          *cln;
    ngx_http_stoa_fetch_t       *f;
    ngx_http_stoa_introspect_t  *in;

    if (ngx_http_stoa_introspect_many(&rec->tenant)) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_introspect_t));
    f = cln ? ngx_http_stoa_fetch_create(r->connection->log) : NULL;

    if (f == NULL) {
        return NGX_ERROR;
    }

    in = cln->data;
    ngx_memzero(in, sizeof(ngx_http_stoa_introspect_t));
    stoa_buf_init(&in->answer, NGX_HTTP_STOA_INTROSPECT_BYTES);

    in->request = r;
    in->fetch = f;
    in->tenant = rec->tenant;
    in->issuer = rec->id;
    in->rev = rec->hdr.rev;

    ngx_str_set(&f->method, "POST");
    f->handler = &ngx_http_stoa_introspect_handler;
    f->data = in;
    f->connect_timeout = NGX_HTTP_STOA_INTROSPECT_CONNECT;
    f->read_timeout = NGX_HTTP_STOA_INTROSPECT_MS;
    f->deadline = ngx_current_msec + NGX_HTTP_STOA_INTROSPECT_MS;
    f->max_body = NGX_HTTP_STOA_INTROSPECT_BYTES;
    f->max_head = NGX_HTTP_STOA_INTROSPECT_BYTES;
    f->idempotent = 1;
    f->stay = 1;                       /* a request waits, also at a reload */

    url.data = (u_char *) rec + rec->introspection_url.off;
    url.len = rec->introspection_url.len;

    if (ngx_http_stoa_introspect_text(f, rec, token) != NGX_OK
        || ngx_http_stoa_fetch_url(f, &url, r) != NGX_OK)
    {
        in->fetch = NULL;
        ngx_http_stoa_fetch_cancel(f);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln->handler = ngx_http_stoa_introspect_cleanup;
    ctx->introspect = in;
    ngx_queue_insert_tail(&ngx_http_stoa_introspect_queue, &in->queue);

    ngx_http_stoa_fetch_start(f);

    return ngx_http_stoa_ctx_suspend(r);
}


/* Are too many asked, all in all or of this tenant's? */

static ngx_uint_t
ngx_http_stoa_introspect_many(const stoa_id_t *tenant)
{
    ngx_uint_t                   n, own;
    ngx_queue_t                 *q;
    ngx_http_stoa_introspect_t  *in;

    n = 0;
    own = 0;

    for (q = ngx_queue_head(&ngx_http_stoa_introspect_queue);
         q != ngx_queue_sentinel(&ngx_http_stoa_introspect_queue);
         q = ngx_queue_next(q))
    {
        in = ngx_queue_data(q, ngx_http_stoa_introspect_t, queue);
        n++;
        own += ngx_memcmp(&in->tenant, tenant, sizeof(stoa_id_t)) == 0;
    }

    return n >= NGX_HTTP_STOA_INTROSPECT_MAX
           || own >= NGX_HTTP_STOA_INTROSPECT_TENANT;
}


/* Client and secret are escaped as in a form, then in base64 (RFC 6749). */

static ngx_int_t
ngx_http_stoa_introspect_text(ngx_http_stoa_fetch_t *f,
    const stoa_rec_issuer_t *rec, ngx_str_t *token)
{
    u_char      *p, *head;
    ngx_str_t    plain, basic;
    stoa_str_t   id, secret;

    static const char  lines[] =
        "Accept: application/json\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        "Authorization: Basic ";

    id = stoa_rec_str(rec, rec->introspection_client_id);
    secret = stoa_rec_str(rec, rec->introspection_client_secret);

    plain.data = ngx_pnalloc(f->pool, 3 * (id.len + secret.len) + 1);
    f->body.data = ngx_pnalloc(f->pool, sizeof("token=") + 3 * token->len);
    head = ngx_pnalloc(f->pool, sizeof(lines)
                       + ngx_base64_encoded_length(3 * (id.len + secret.len)
                                                   + 1)
                       + 2);

    if (plain.data == NULL || f->body.data == NULL || head == NULL) {
        return NGX_ERROR;
    }

    p = ngx_http_stoa_introspect_form(plain.data, id.data, id.len);
    *p++ = ':';
    p = ngx_http_stoa_introspect_form(p, secret.data, secret.len);
    plain.len = p - plain.data;

    basic.data = ngx_cpymem(head, lines, sizeof(lines) - 1);
    ngx_encode_base64(&basic, &plain);
    ngx_explicit_memzero(plain.data, plain.len);

    p = ngx_cpymem(basic.data + basic.len, "\r\n", 2);
    f->headers.data = head;
    f->headers.len = p - head;

    p = ngx_cpymem(f->body.data, "token=", sizeof("token=") - 1);
    p = ngx_http_stoa_introspect_form(p, (char *) token->data, token->len);
    f->body.len = p - f->body.data;

    return NGX_OK;
}


static u_char *
ngx_http_stoa_introspect_form(u_char *p, const char *s, size_t len)
{
    u_char  ch;
    size_t  i;

    for (i = 0; i < len; i++) {
        ch = (u_char) s[i];

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.'
            || ch == '_')
        {
            *p++ = ch;

        } else {
            p = ngx_sprintf(p, "%%%02Xd", (ngx_uint_t) ch);
        }
    }

    return p;
}


static void
ngx_http_stoa_introspect_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_introspect_t *in = data;

    stoa_buf_add(&in->answer, p, len);
}


static void
ngx_http_stoa_introspect_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_introspect_t *in = data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = in->request;
    c = r->connection;
    in->status = how == NGX_HTTP_STOA_FETCH_DONE ? f->http.status : 0;
    in->fetch = NULL;
    ngx_queue_remove(&in->queue);

    ngx_http_set_log_request(c->log, r);

    if (in->status != NGX_HTTP_OK) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "stoa: an issuer was asked about a token: %s, HTTP "
                      "status %ui", how == NGX_HTTP_STOA_FETCH_DONE ? "done"
                      : f->why ? f->why : "no answer", in->status);
    }

    ngx_http_stoa_ctx_wake(r);
}


static void
ngx_http_stoa_introspect_cleanup(void *data)
{
    ngx_http_stoa_introspect_t *in = data;

    if (in->fetch) {
        ngx_http_stoa_fetch_cancel(in->fetch);
        in->fetch = NULL;
        ngx_queue_remove(&in->queue);
    }

    stoa_buf_free(&in->answer);
}
