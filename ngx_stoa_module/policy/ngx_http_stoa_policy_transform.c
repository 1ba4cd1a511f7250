/*
 * transform: other requests and answers than those that come.  Schema:
 * core/stoa_policy_transform.h.
 *
 * What a template says of the body is of the one that came, whatever it
 * becomes; so all of it is made by the head, and headers wait for the hook.
 *
 * Process: workers.  Lifetime: the request.
 */

#include "ngx_http_stoa_policy_answer.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_uri.h"
#include "core/stoa_policy_transform.h"


/* In the order of its refusals. */

typedef enum { ANSWER = 0, REQUEST } ngx_http_stoa_transform_e;

/* One request that is being changed. */

typedef struct {
    ngx_http_request_t               *r;
    ngx_http_stoa_ctx_t              *ctx;
    const ngx_http_stoa_attached_t   *a;
    const stoa_policy_transform_t    *conf;
    stoa_json_val_t                   root;
    stoa_template_t                   template;
    ngx_http_stoa_transform_e         way;
} ngx_http_stoa_transform_t;


static ngx_int_t ngx_http_stoa_policy_transform_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_transform_body(
    ngx_http_stoa_transform_t *t, ngx_str_t *body);
static ngx_int_t ngx_http_stoa_policy_transform_query(
    ngx_http_stoa_transform_t *t);
static ngx_int_t ngx_http_stoa_policy_transform_headers(
    ngx_http_stoa_transform_t *t);
static ngx_int_t ngx_http_stoa_policy_transform_upstream(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_transform_response(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_transform_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t);
static ngx_int_t ngx_http_stoa_policy_transform_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body);
static bool ngx_http_stoa_policy_transform_get(void *data,
    const stoa_template_var_t *var, stoa_str_t *text);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_transform_refusals[] = {
    { ngx_string("transform_failed"), 502, ngx_string("Answer not readable"),
      ngx_string("The API's server answered what cannot be changed."), 502 },
    { ngx_string("transform_refused"), 400, ngx_string("Body not readable"),
      ngx_string("The body cannot be read, or becomes too long."), 400 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_transform = {
    .name = "transform",
    .on_way = 1,
    .head = ngx_http_stoa_policy_transform_head,
    .upstream = ngx_http_stoa_policy_transform_upstream,
    .response = ngx_http_stoa_policy_transform_response,
    .answer = ngx_http_stoa_policy_transform_answer,
    .refusals = ngx_http_stoa_policy_transform_refusals
};


static void
ngx_http_stoa_policy_transform_init(ngx_http_stoa_transform_t *t,
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_transform_e way)
{
    t->r = r;
    t->ctx = ctx;
    t->a = a;
    t->conf = a->config;
    t->way = way;
    t->template.get = ngx_http_stoa_policy_transform_get;
    t->template.ctx = t;
    t->template.body = NULL;
    t->template.looked = 0;
}


/* ---- requests ----------------------------------------------------------- */

/* A query or a header may read the body, too. */

static ngx_uint_t
ngx_http_stoa_policy_transform_reads(const ngx_http_stoa_transform_t *t)
{
    uint32_t                                 i;
    stoa_str_t                               s;
    const stoa_policy_transform_header_t    *header;
    const stoa_policy_transform_argument_t  *arg;

    if (t->conf->request_remove.n || t->conf->request_body.len) {
        return 1;
    }

    header = stoa_rec_vec(t->a->rec, t->conf->request_headers,
                          stoa_policy_transform_header_t);
    arg = stoa_rec_vec(t->a->rec, t->conf->request_query,
                       stoa_policy_transform_argument_t);

    for (i = 0; i < t->conf->request_headers.n; i++) {
        s = stoa_rec_str(t->a->rec, header[i].value);

        if (stoa_template_reads_body(s.data, s.len)) {
            return 1;
        }
    }

    for (i = 0; i < t->conf->request_query.n; i++) {
        s = stoa_rec_str(t->a->rec, arg[i].value);

        if (stoa_template_reads_body(s.data, s.len)) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_stoa_policy_transform_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                       rc;
    ngx_str_t                       body;
    stoa_err_t                      err;
    ngx_http_stoa_attached_t        as;
    ngx_http_stoa_transform_t       t;
    const stoa_policy_transform_t  *conf;

    conf = a->config;

    if (ctx->mode == NGX_HTTP_STOA_AUTHZ
        || conf->request_remove.n + conf->request_body.len
           + conf->request_query_remove.n + conf->request_query.n
           + conf->request_headers.n == 0)
    {
        return NGX_OK;
    }

    ngx_http_stoa_policy_transform_init(&t, r, ctx, a, REQUEST);
    ngx_str_null(&body);

    if (ngx_http_stoa_policy_transform_reads(&t)
        && ngx_http_stoa_policy_shape_body(r))
    {
        as = *a;
        as.refusal += REQUEST;
        rc = ngx_http_stoa_policy_content(r, ctx, &as, conf->max_bytes,
                                          conf->other_types, &body);

        if (rc != NGX_OK && rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (body.len) {
        rc = stoa_json_check((char *) body.data, body.len,
                             STOA_JSON_DEPTH_MAX, &t.root, &err);

        if (rc != STOA_OK) {
            return rc == STOA_DECLINED
                   ? ngx_http_stoa_policy_refuse_row(r, ctx, a, REQUEST, &err,
                                                     "body")
                   : NGX_ERROR;
        }

        t.template.body = &t.root;
    }

    if (!ngx_http_stoa_policy_acts(a)) {
        return NGX_OK;
    }

    /* what a cache keeps it keeps by what came */

    ctx->call.templated = 1;

    rc = ngx_http_stoa_policy_transform_headers(&t);

    if (rc == NGX_OK && ctx->mode != NGX_HTTP_STOA_PROTECT) {
        rc = ngx_http_stoa_policy_transform_query(&t);
    }

    return rc == NGX_OK && body.len
           ? ngx_http_stoa_policy_transform_body(&t, &body) : rc;
}


/* By the template, then without what is taken out; NGX_DECLINED: it stays. */

static ngx_int_t
ngx_http_stoa_policy_transform_json(ngx_http_stoa_transform_t *t,
    const stoa_ref_t *template, const stoa_vec_t *remove, ngx_str_t *body)
{
    uint32_t           i;
    stoa_rc_t          rc;
    stoa_str_t         s, paths[STOA_JSON_STRIP_PATHS];
    stoa_buf_t         out, rest;
    ngx_uint_t         changed;
    const stoa_ref_t  *ref;

    changed = 0;
    stoa_buf_init(&out, t->conf->max_bytes);
    stoa_buf_init(&rest, t->conf->max_bytes);
    s = stoa_rec_str(t->a->rec, *template);

    if (s.len) {
        t->template.in = STOA_TEMPLATE_IN_JSON;
        t->template.body = &t->root;
        stoa_template_json(&t->template, s.data, s.len, &out);
        changed = 1;
    }

    rc = out.rc;
    ref = stoa_rec_vec(t->a->rec, *remove, stoa_ref_t);

    for (i = 0; i < remove->n; i++) {
        paths[i] = stoa_rec_str(t->a->rec, ref[i]);
    }

    if (rc == STOA_OK && remove->n) {
        if (changed) {
            rc = stoa_json_check(out.data, out.len, STOA_JSON_DEPTH_MAX,
                                 &t->root, NULL);
        }

        changed |= rc == STOA_OK
                   && stoa_json_strip(&t->root, paths, remove->n, &rest);
        rc = rc == STOA_OK ? rest.rc : rc == STOA_DECLINED ? STOA_FULL : rc;
        stoa_buf_free(&out);
        out = rest;
    }

    if (rc == STOA_OK && changed) {
        return ngx_http_stoa_ctx_text(t->r, &out, body);
    }

    stoa_buf_free(&out);

    return rc == STOA_OK ? NGX_DECLINED
           : rc != STOA_FULL ? NGX_ERROR
           : ngx_http_stoa_policy_refuse(t->r, t->ctx, t->a,
                                         t->a->refusal + t->way);
}


static ngx_int_t
ngx_http_stoa_policy_transform_body(ngx_http_stoa_transform_t *t,
    ngx_str_t *body)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = t->r;
    rc = ngx_http_stoa_policy_transform_json(t, &t->conf->request_body,
                                             &t->conf->request_remove, body);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->start = b->pos;
    b->end = b->last;
    b->temporary = 1;
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    r->request_body->bufs = cl;
    r->request_body->temp_file = NULL;
    r->headers_in.content_length_n = body->len;
    r->headers_in.chunked = 0;
    t->ctx->call.remade = 1;

    return NGX_OK;
}


/* What is left of the query, without what is taken out and what is set. */

static ngx_int_t
ngx_http_stoa_policy_transform_left(ngx_http_stoa_transform_t *t,
    ngx_str_t *args)
{
    uint32_t                                 i;
    ngx_int_t                                rc;
    stoa_str_t                               name;
    const stoa_ref_t                        *ref;
    const stoa_policy_transform_t           *conf;
    const stoa_policy_transform_argument_t  *row;

    conf = t->conf;
    rc = ngx_http_stoa_uri_args(t->r, t->ctx, args);
    ref = stoa_rec_vec(t->a->rec, conf->request_query_remove, stoa_ref_t);
    row = stoa_rec_vec(t->a->rec, conf->request_query,
                       stoa_policy_transform_argument_t);

    for (i = 0; rc == NGX_OK && args->len
         && i < conf->request_query_remove.n + conf->request_query.n; i++)
    {
        name = stoa_rec_str(t->a->rec, i < conf->request_query_remove.n
                            ? ref[i]
                            : row[i - conf->request_query_remove.n].name);
        rc = ngx_http_stoa_args_remove(t->r->pool, args, name.data, name.len);
    }

    return rc;
}


/* And what is set. */

static ngx_int_t
ngx_http_stoa_policy_transform_query(ngx_http_stoa_transform_t *t)
{
    size_t                                   was;
    uint32_t                                 i;
    ngx_int_t                                rc;
    ngx_str_t                                args, path;
    stoa_str_t                               s, name;
    stoa_buf_t                               out;
    ngx_http_stoa_ctx_t                     *ctx;
    const stoa_policy_transform_t           *conf;
    const stoa_policy_transform_argument_t  *row;

    ctx = t->ctx;
    conf = t->conf;

    if (conf->request_query.n + conf->request_query_remove.n == 0) {
        return NGX_OK;
    }

    if (ctx->call.rewritten.len == 0) {
        if (ngx_http_stoa_uri_path(t->r, ctx->call.prefix_len,
                                   ctx->call.api->rec->keep_encoded_slashes,
                                   &path)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (path.len == 0) {
            ngx_str_set(&path, "/");
        }

        ctx->call.rewritten = path;
    }

    if (ngx_http_stoa_policy_transform_left(t, &args) != NGX_OK) {
        return NGX_ERROR;
    }

    row = stoa_rec_vec(t->a->rec, conf->request_query,
                       stoa_policy_transform_argument_t);

    stoa_buf_init(&out, conf->max_bytes < 65536 ? conf->max_bytes : 65536);
    stoa_buf_add(&out, args.data, args.len);
    t->template.in = STOA_TEMPLATE_IN_QUERY;

    for (i = 0; i < conf->request_query.n; i++) {
        name = stoa_rec_str(t->a->rec, row[i].name);
        s = stoa_rec_str(t->a->rec, row[i].value);
        was = out.len;

        if (out.len) {
            stoa_buf_add(&out, "&", 1);
        }

        stoa_buf_add(&out, name.data, name.len);
        stoa_buf_add(&out, "=", 1);
        args.len = out.len;
        stoa_template_text(&t->template, s.data, s.len, &out);

        if (out.len == args.len) {
            out.len = was;
        }
    }

    if (out.rc != STOA_OK) {
        rc = out.rc == STOA_FULL
             ? ngx_http_stoa_policy_refuse(t->r, ctx, t->a,
                                           t->a->refusal + REQUEST)
             : NGX_ERROR;
        stoa_buf_free(&out);
        return rc;
    }

    ctx->call.asked_set = 1;

    return ngx_http_stoa_ctx_text(t->r, &out, &ctx->call.asked);
}


/* Made now, as the body is another afterwards; set by the hook. */

static ngx_int_t
ngx_http_stoa_policy_transform_headers(ngx_http_stoa_transform_t *t)
{
    uint32_t                               i;
    stoa_str_t                             s;
    stoa_buf_t                             out;
    ngx_http_stoa_made_t                  *made;
    const stoa_policy_transform_header_t  *row;

    row = stoa_rec_vec(t->a->rec, t->conf->request_headers,
                       stoa_policy_transform_header_t);
    t->template.in = STOA_TEMPLATE_IN_HEADER;

    for (i = 0; i < t->conf->request_headers.n; i++) {
        s = stoa_rec_str(t->a->rec, row[i].value);
        made = ngx_palloc(t->r->pool, sizeof(ngx_http_stoa_made_t));

        if (made == NULL) {
            return NGX_ERROR;
        }

        stoa_buf_init(&out, 8192);
        stoa_template_text(&t->template, s.data, s.len, &out);

        if (out.rc == STOA_FULL) {
            stoa_buf_free(&out);
            return ngx_http_stoa_policy_refuse(t->r, t->ctx, t->a,
                                               t->a->refusal + REQUEST);
        }

        if (out.rc != STOA_OK
            || ngx_http_stoa_ctx_text(t->r, &out, &made->value) != NGX_OK)
        {
            stoa_buf_free(&out);
            return NGX_ERROR;
        }

        made->a = t->a;
        made->name = stoa_rec_str(t->a->rec, row[i].name);
        made->next = t->ctx->call.made;
        t->ctx->call.made = made;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_transform_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_uint_t                      i;
    ngx_http_stoa_made_t           *made;
    const stoa_policy_transform_t  *conf;

    static const stoa_str_t  sums[] = {
        { "content-md5", 11 }, { "digest", 6 }, { "content-digest", 14 },
        { "repr-digest", 11 }
    };

    conf = a->config;

    for (made = ctx->call.made; made; made = made->next) {
        if (made->a != a) {
            continue;
        }

        ngx_http_stoa_policy_headers_take(r, ctx, made->name);

        if (made->value.len
            && ngx_http_stoa_policy_headers_put(r, ctx, made->name,
                                                &made->value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (i = 0; ctx->call.remade && i < sizeof(sums) / sizeof(sums[0]); i++) {
        ngx_http_stoa_policy_headers_take(r, ctx, sums[i]);
    }

    return conf->response_remove.n || conf->response_body.len
           ? ngx_http_stoa_policy_answer_ask(r, ctx, a) : NGX_OK;
}


/* ---- answers ------------------------------------------------------------ */

/* A part and what is not changed stay what they are. */

static void
ngx_http_stoa_policy_transform_status(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a)
{
    uint32_t                               i;
    ngx_uint_t                             status;
    stoa_str_t                             s;
    const stoa_policy_transform_t         *conf;
    const stoa_policy_transform_status_t  *row;

    conf = a->config;
    status = r->headers_out.status;
    row = stoa_rec_vec(a->rec, conf->response_status,
                       stoa_policy_transform_status_t);

    if (status == NGX_HTTP_PARTIAL_CONTENT || status == NGX_HTTP_NOT_MODIFIED
        || status < NGX_HTTP_OK)
    {
        return;
    }

    for (i = 0; i < conf->response_status.n; i++) {
        s = stoa_rec_str(a->rec, row[i].from);

        if ((ngx_uint_t) (s.data[0] - '0') == status / 100
            && (s.data[1] == 'x'
                || (ngx_uint_t) ngx_atoi((u_char *) s.data, s.len) == status))
        {
            r->headers_out.status = row[i].to;
            ngx_str_null(&r->headers_out.status_line);
            return;
        }
    }
}


static ngx_int_t
ngx_http_stoa_policy_transform_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    uint32_t                               i;
    ngx_int_t                              rc;
    stoa_str_t                             s, name;
    stoa_buf_t                             out;
    ngx_table_elt_t                       *h;
    ngx_http_stoa_transform_t              t;
    const stoa_policy_transform_t         *conf;
    const stoa_policy_transform_header_t  *row;

    conf = a->config;
    rc = conf->response_remove.n || conf->response_body.len
         ? ngx_http_stoa_policy_answer_take(r, ctx, a) : NGX_OK;

    if (rc != NGX_OK || conf->response_headers.n + conf->response_status.n == 0
        || (r->upstream == NULL && !ctx->call.from_cache)
        || !ctx->call.passed || ctx->call.replace)
    {
        return rc;
    }

    ngx_http_stoa_policy_transform_init(&t, r, ctx, a, ANSWER);
    t.template.in = STOA_TEMPLATE_IN_HEADER;
    row = stoa_rec_vec(a->rec, conf->response_headers,
                       stoa_policy_transform_header_t);

    if (!ngx_http_stoa_policy_acts(a)) {
        return NGX_OK;
    }

    for (i = 0; i < conf->response_headers.n
         && ngx_http_stoa_policy_answer_status(r, a->rec, &conf->statuses);
         i++)
    {
        name = stoa_rec_str(a->rec, row[i].name);
        s = stoa_rec_str(a->rec, row[i].value);
        ngx_http_stoa_header_clear(r, name.data, name.len);

        stoa_buf_init(&out, 8192);
        stoa_template_text(&t.template, s.data, s.len, &out);

        if (out.len && out.rc == STOA_OK) {
            h = ngx_http_stoa_header_out(r, name.data, name.len);

            if (h == NULL
                || ngx_http_stoa_ctx_text(r, &out, &h->value) != NGX_OK)
            {
                return NGX_ERROR;
            }

        } else {
            stoa_buf_free(&out);
        }
    }

    ngx_http_stoa_policy_transform_status(r, a);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_transform_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t)
{
    const stoa_policy_transform_t  *conf;

    conf = t->a->config;

    if (!ngx_http_stoa_policy_answer_status(r, t->a->rec, &conf->statuses)) {
        return NGX_DECLINED;
    }

    if (!ngx_http_stoa_policy_answer_json(r)) {
        if (conf->other_types) {
            return NGX_DECLINED;
        }

        return ngx_http_stoa_policy_answer_unread(r, ctx, t, "it is no JSON");
    }

    t->whole = ngx_http_stoa_policy_transform_whole;
    t->max = conf->max_bytes;
    t->pass = conf->unreadable;
    t->changes = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_transform_whole(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_taker_t *t, ngx_str_t *body)
{
    ngx_int_t                  rc;
    ngx_str_t                  made;
    stoa_rc_t                  said;
    stoa_err_t                 err;
    ngx_http_stoa_transform_t  tr;

    ngx_memzero(&err, sizeof(stoa_err_t));
    ngx_http_stoa_policy_transform_init(&tr, r, ctx, t->a, ANSWER);

    said = stoa_json_check((char *) body->data, body->len,
                           STOA_JSON_DEPTH_MAX, &tr.root, &err);

    if (said != STOA_OK) {
        return said == STOA_DECLINED
               ? ngx_http_stoa_policy_refuse_what(r, ctx, t->a, &err,
                                                  "answer")
               : NGX_ERROR;
    }

    rc = ngx_http_stoa_policy_transform_json(&tr, &tr.conf->response_body,
                                             &tr.conf->response_remove,
                                             &made);

    if (rc == NGX_OK && ngx_http_stoa_policy_acts(t->a)) {
        *body = made;
    }

    return rc == NGX_DECLINED ? NGX_OK : rc;
}


/* ---- what templates name ------------------------------------------------ */

static bool
ngx_http_stoa_policy_transform_get(void *data, const stoa_template_var_t *var,
    stoa_str_t *text)
{
    u_char                       *p, *last;
    ngx_str_t                     v;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *h;
    ngx_http_stoa_transform_t    *t = data;
    ngx_http_stoa_header_walk_t   w;

    static const int  vars[] = {
        [STOA_PART_REQUEST_ID] = STOA_VAR_REQUEST_ID,
        [STOA_PART_CLIENT_ADDRESS] = STOA_VAR_CLIENT_ADDRESS,
        [STOA_PART_TENANT] = STOA_VAR_TENANT,
        [STOA_PART_APPLICATION] = STOA_VAR_APPLICATION,
        [STOA_PART_SUBSCRIPTION] = STOA_VAR_SUBSCRIPTION,
        [STOA_PART_PLAN] = STOA_VAR_PLAN,
        [STOA_PART_API] = STOA_VAR_API
    };

    ngx_str_null(&v);

    switch (var->part) {

    case STOA_PART_METHOD:
        v = t->r->method_name;
        break;

    case STOA_PART_PATH:
        v = t->ctx->call.path;
        break;

    case STOA_PART_QUERY:
        p = t->r->args.data;
        last = p + t->r->args.len;

        if (ngx_http_stoa_args_next(&p, last, var->name.data, var->name.len,
                                    &v)
            == NGX_OK)
        {
            last = v.data + v.len;
            p = ngx_pnalloc(t->r->pool, v.len + 1);

            if (p) {
                v.len = ngx_http_stoa_policy_shape_decode(p, v.data, last);
            }

            v.data = p;
        }

        break;

    case STOA_PART_HEADER:
        /* of those that go to the upstream some are its credentials */

        part = t->ctx->call.came.elts ? &t->ctx->call.came
                                      : &t->r->headers_in.headers.part;

        for (h = ngx_http_stoa_header_first(&w, part); h;
             h = ngx_http_stoa_header_next(&w))
        {
            if (ngx_http_stoa_header_equal(h, var->name.data, var->name.len)) {
                v = h->value;
            }
        }

        break;

    default:
        v = ngx_http_stoa_policy_headers_var(t->r, t->ctx, vars[var->part]);
        break;
    }

    text->data = (char *) v.data;
    text->len = v.data ? v.len : 0;

    return text->len > 0;
}
