/*
 * For tests: a location with "stoa_test_fetch;" asks what its query says and
 * answers with what came of it.
 *
 *   url=U        whom (not decoded)
 *   post=N       POST with a body of N bytes
 *   twice=1      it is idempotent
 *   max=N  read=MS  connect=MS  whole=MS     limits
 *   cancel=head|chunk|end    by that callback
 *   pause=1      after each chunk, until the next turn of the loop
 */

#include "ngx_http_stoa_fetch.h"


typedef struct {
    ngx_http_request_t     *request;
    ngx_http_stoa_fetch_t  *fetch;
    stoa_buf_t              text;
    ngx_str_t               cancel;
    ngx_uint_t              chunks;
    ngx_uint_t              pause;
    ngx_event_t             event;
} ngx_http_stoa_test_t;


extern ngx_module_t  ngx_http_stoa_test_module;

static void ngx_http_stoa_test_head(ngx_http_stoa_fetch_t *f, void *data);
static void ngx_http_stoa_test_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len);
static void ngx_http_stoa_test_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_test_callbacks = {
    ngx_http_stoa_test_head,
    ngx_http_stoa_test_chunk,
    ngx_http_stoa_test_end
};

static const char  *ngx_http_stoa_test_ends[] = {
    "done", "unreachable", "lost", "timeout", "invalid", "cut", "large", "exit"
};


static void
ngx_http_stoa_test_answer(ngx_http_stoa_test_t *t, const char *end,
    const char *why, ngx_uint_t status)
{
    u_char              *p;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = t->request;
    c = r->connection;
    t->fetch = NULL;

    b = ngx_create_temp_buf(r->pool, 256 + t->text.len);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    p = ngx_sprintf(b->pos, "%s %ui %s\n", end, status, why ? why : "-");
    b->last = t->text.len ? ngx_cpymem(p, t->text.data, t->text.len) : p;
    b->last_buf = 1;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    ngx_http_send_header(r);

    out.buf = b;
    out.next = NULL;
    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));
    ngx_http_run_posted_requests(c);
}


static ngx_uint_t
ngx_http_stoa_test_cancels(ngx_http_stoa_test_t *t, const char *where)
{
    if (t->cancel.len != ngx_strlen(where)
        || ngx_strncmp(t->cancel.data, where, t->cancel.len) != 0)
    {
        return 0;
    }

    ngx_http_stoa_fetch_cancel(t->fetch);
    ngx_http_stoa_test_answer(t, "cancelled", NULL, 0);

    return 1;
}


static void
ngx_http_stoa_test_head(ngx_http_stoa_fetch_t *f, void *data)
{
    ngx_http_stoa_test_t *t = data;

    (void) ngx_http_stoa_test_cancels(t, "head");
}


static void
ngx_http_stoa_test_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_test_t *t = data;

    t->chunks++;
    stoa_buf_add(&t->text, p, len);

    if (ngx_http_stoa_test_cancels(t, "chunk") || !t->pause) {
        return;
    }

    ngx_http_stoa_fetch_pause(f);
    ngx_post_event(&t->event, &ngx_posted_next_events);
}


static void
ngx_http_stoa_test_resume(ngx_event_t *ev)
{
    ngx_http_stoa_test_t *t = ev->data;

    if (t->fetch) {
        ngx_http_stoa_fetch_resume(t->fetch);
    }
}


static void
ngx_http_stoa_test_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_test_t *t = data;

    if (!ngx_http_stoa_test_cancels(t, "end")) {
        ngx_http_stoa_test_answer(t, ngx_http_stoa_test_ends[how], f->why,
                                  f->http.status);
    }
}


static void
ngx_http_stoa_test_cleanup(void *data)
{
    ngx_http_stoa_test_t *t = data;

    if (t->fetch) {
        ngx_http_stoa_fetch_cancel(t->fetch);
    }

    if (t->event.posted) {
        ngx_delete_posted_event(&t->event);
    }

    stoa_buf_free(&t->text);
}


static ngx_uint_t
ngx_http_stoa_test_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_str_null(value);

    return ngx_http_arg(r, (u_char *) name, ngx_strlen(name), value)
           == NGX_OK;
}


static ngx_int_t
ngx_http_stoa_test_handler(ngx_http_request_t *r)
{
    ngx_str_t               v;
    ngx_http_stoa_test_t   *t;
    ngx_pool_cleanup_t     *cln;
    ngx_http_stoa_fetch_t  *f;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_test_t));
    f = ngx_http_stoa_fetch_create(r->connection->log);

    if (cln == NULL || f == NULL) {
        return NGX_ERROR;
    }

    t = cln->data;
    ngx_memzero(t, sizeof(ngx_http_stoa_test_t));
    cln->handler = ngx_http_stoa_test_cleanup;
    stoa_buf_init(&t->text, 1 << 24);
    t->request = r;
    t->fetch = f;
    t->event.data = t;
    t->event.log = r->connection->log;
    t->event.handler = ngx_http_stoa_test_resume;
    t->pause = ngx_http_stoa_test_arg(r, "pause", &v);
    (void) ngx_http_stoa_test_arg(r, "cancel", &t->cancel);

    f->handler = &ngx_http_stoa_test_callbacks;
    f->data = t;
    f->idempotent = ngx_http_stoa_test_arg(r, "twice", &v);
    f->stay = ngx_http_stoa_test_arg(r, "stay", &v);

    if (ngx_http_stoa_test_arg(r, "max", &v)) {
        f->max_body = ngx_atoi(v.data, v.len);
    }

    if (ngx_http_stoa_test_arg(r, "read", &v)) {
        f->read_timeout = ngx_atoi(v.data, v.len);
    }

    if (ngx_http_stoa_test_arg(r, "connect", &v)) {
        f->connect_timeout = ngx_atoi(v.data, v.len);
    }

    if (ngx_http_stoa_test_arg(r, "whole", &v)) {
        f->deadline = ngx_current_msec + ngx_atoi(v.data, v.len);
    }

    ngx_str_set(&f->headers, "X-Test: yes" CRLF);

    if (ngx_http_stoa_test_arg(r, "post", &v)) {
        ngx_str_set(&f->method, "POST");
        f->body.len = ngx_atoi(v.data, v.len);
        f->body.data = ngx_pnalloc(f->pool, f->body.len + 1);
        if (f->body.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memset(f->body.data, 'x', f->body.len);
    }

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;

    (void) ngx_http_stoa_test_arg(r, "url", &v);

    if (ngx_http_stoa_fetch_url(f, &v, r) != NGX_OK) {
        ngx_http_stoa_test_answer(t, "refused", f->why, 0);
        ngx_http_stoa_fetch_cancel(f);
        return NGX_DONE;
    }

    ngx_http_stoa_fetch_start(f);

    return NGX_DONE;
}


static char *
ngx_http_stoa_test_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_stoa_test_handler;

    return NGX_CONF_OK;
}


static ngx_command_t  ngx_http_stoa_test_commands[] = {

    { ngx_string("stoa_test_fetch"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_stoa_test_set,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_stoa_test_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_stoa_test_module = {
    NGX_MODULE_V1,
    &ngx_http_stoa_test_module_ctx,        /* module context */
    ngx_http_stoa_test_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};
