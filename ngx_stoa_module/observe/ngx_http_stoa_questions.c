/*
 * What the control plane asks a gateway, which has no address for it: one
 * worker waits there for questions, and takes its answers along when it asks
 * for the next ones.
 *
 * Process: worker 0.  Lifetime: until the worker exits; one fetch at a time.
 * Limits: NGX_HTTP_STOA_QUESTIONS_BYTES of questions, QUESTIONS_ANSWERS of
 * answers.  The logs say elsewhere whether the control plane is away.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_fetch.h"
#include "core/stoa_json.h"
#include "core/stoa_key.h"


#define QUESTIONS_BYTES    65536
#define QUESTIONS_ANSWERS  (1000 * 1024)
#define QUESTIONS_ANSWER   65536
#define QUESTIONS_MAX      8           /* at once                            */
#define QUESTIONS_LIST     20          /* traces of a tenant                 */
#define QUESTIONS_FULL     49152       /* bytes: no more of them             */
#define QUESTIONS_WAIT_MS  25000
#define QUESTIONS_TIME_MS  5000        /* to connect; beyond the wait        */
#define QUESTIONS_FIRST_MS 200         /* after a failure, then doubled      */
#define QUESTIONS_LAST_MS  30000

#define QUESTIONS_PREFER   "Prefer: wait=25" CRLF


typedef struct {
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_event_t                 timer;
    ngx_connection_t            nobody;        /* for debug logs             */
    ngx_log_t                   log;           /* only what is grave         */
    stoa_buf_t                  came;
    stoa_buf_t                  answers;       /* of the last questions      */
    ngx_uint_t                  status;
    ngx_msec_t                  again;
} ngx_http_stoa_questions_t;


static void ngx_http_stoa_questions_ask(ngx_event_t *ev);
static ngx_int_t ngx_http_stoa_questions_text(ngx_http_stoa_questions_t *q,
    ngx_http_stoa_fetch_t *f);
static void ngx_http_stoa_questions_head(ngx_http_stoa_fetch_t *f,
    void *data);
static void ngx_http_stoa_questions_chunk(ngx_http_stoa_fetch_t *f,
    void *data, const u_char *p, size_t len);
static void ngx_http_stoa_questions_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static ngx_int_t ngx_http_stoa_questions_answer(ngx_http_stoa_questions_t *q);
static void ngx_http_stoa_questions_one(ngx_http_stoa_questions_t *q,
    const stoa_json_val_t *one);
static void ngx_http_stoa_questions_traces(ngx_http_stoa_questions_t *q,
    const stoa_id_t *tenant, ngx_uint_t most, stoa_buf_t *b);
static void ngx_http_stoa_questions_trace(ngx_http_stoa_questions_t *q,
    const stoa_id_t *tenant, ngx_str_t *id, stoa_buf_t *b);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_questions_handler = {
    ngx_http_stoa_questions_head,
    ngx_http_stoa_questions_chunk,
    ngx_http_stoa_questions_end
};

/* Of this worker. */

static ngx_http_stoa_questions_t  ngx_http_stoa_questions;


void
ngx_http_stoa_questions_start(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_http_stoa_questions_t *q = &ngx_http_stoa_questions;

    q->mcf = mcf;
    q->again = QUESTIONS_FIRST_MS;
    q->nobody.fd = (ngx_socket_t) -1;

    q->log = *log;
    q->log.log_level = NGX_LOG_CRIT;
    q->log.next = NULL;

    stoa_buf_init(&q->came, QUESTIONS_BYTES);
    stoa_buf_init(&q->answers, QUESTIONS_ANSWERS);

    q->timer.handler = ngx_http_stoa_questions_ask;
    q->timer.data = &q->nobody;
    q->timer.log = log;
    q->timer.cancelable = 1;

    ngx_add_timer(&q->timer, 1);
}


static void
ngx_http_stoa_questions_ask(ngx_event_t *ev)
{
    ngx_http_stoa_fetch_t      *f;
    ngx_http_stoa_questions_t  *q = &ngx_http_stoa_questions;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    stoa_buf_reset(&q->came);
    q->status = 0;

    f = ngx_http_stoa_fetch_create(&q->log);

    if (f == NULL || ngx_http_stoa_questions_text(q, f) != NGX_OK) {
        if (f) {
            ngx_http_stoa_fetch_cancel(f);
        }

        ngx_add_timer(ev, QUESTIONS_LAST_MS);
        return;
    }

    stoa_buf_reset(&q->answers);
    ngx_http_stoa_fetch_start(f);
}


static ngx_int_t
ngx_http_stoa_questions_text(ngx_http_stoa_questions_t *q,
    ngx_http_stoa_fetch_t *f)
{
    u_char     *p;
    ngx_str_t   lines;

    static const char  head[] = "{\"answers\":[";

    ngx_str_set(&f->method, "POST");
    f->handler = &ngx_http_stoa_questions_handler;
    f->data = q;
    f->connect_timeout = QUESTIONS_TIME_MS;
    f->read_timeout = QUESTIONS_WAIT_MS + QUESTIONS_TIME_MS;
    f->deadline = ngx_current_msec + f->read_timeout + f->connect_timeout;
    f->max_body = QUESTIONS_BYTES;
    f->max_head = QUESTIONS_BYTES;

    if (ngx_http_stoa_fetch_control(f, "/gateway/v1/questions", NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    lines = f->headers;
    f->headers.len = lines.len + sizeof(QUESTIONS_PREFER) - 1;
    f->headers.data = ngx_pnalloc(f->pool, f->headers.len);
    f->body.len = sizeof(head) - 1 + q->answers.len + 2;
    f->body.data = ngx_pnalloc(f->pool, f->body.len);

    if (f->headers.data == NULL || f->body.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(f->headers.data, lines.data, lines.len);
    ngx_memcpy(p, QUESTIONS_PREFER, sizeof(QUESTIONS_PREFER) - 1);

    p = ngx_cpymem(f->body.data, head, sizeof(head) - 1);

    if (q->answers.len) {
        p = ngx_cpymem(p, q->answers.data, q->answers.len);
    }

    ngx_memcpy(p, "]}", 2);

    return NGX_OK;
}


static void
ngx_http_stoa_questions_head(ngx_http_stoa_fetch_t *f, void *data)
{
    ngx_http_stoa_questions_t *q = data;

    q->status = f->http.status;
}


static void
ngx_http_stoa_questions_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_questions_t *q = data;

    (void) f;
    stoa_buf_add(&q->came, p, len);
}


/* An older control plane has no such route, and is asked again seldom. */

static void
ngx_http_stoa_questions_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_questions_t *q = data;

    (void) f;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    if (how == NGX_HTTP_STOA_FETCH_DONE && q->status == NGX_HTTP_OK
        && ngx_http_stoa_questions_answer(q) == NGX_OK)
    {
        q->again = QUESTIONS_FIRST_MS;
        ngx_add_timer(&q->timer, 1);
        return;
    }

    if (q->status == NGX_HTTP_NOT_FOUND) {
        q->again = QUESTIONS_LAST_MS;
    }

    ngx_add_timer(&q->timer, q->again);
    q->again = ngx_min(q->again * 2, QUESTIONS_LAST_MS);
}


static ngx_int_t
ngx_http_stoa_questions_answer(ngx_http_stoa_questions_t *q)
{
    ngx_uint_t        n;
    stoa_err_t        err;
    stoa_json_val_t   root, list, one;
    stoa_json_iter_t  it;

    if (q->came.rc != STOA_OK
        || stoa_json_check((char *) q->came.data, q->came.len, 16, &root,
                           &err)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&root, "questions", &list)
        || list.type != STOA_JSON_ARRAY)
    {
        return NGX_ERROR;
    }

    if (!stoa_json_first(&list, &it, NULL, &one)) {
        return NGX_OK;
    }

    n = 0;

    do {
        ngx_http_stoa_questions_one(q, &one);

    } while (++n < QUESTIONS_MAX && stoa_json_next(&it, NULL, &one));

    if (q->answers.rc != STOA_OK) {

        /* half of them are none */

        stoa_buf_reset(&q->answers);
    }

    return NGX_OK;
}


/* One that is not understood has no answer. */

static void
ngx_http_stoa_questions_one(ngx_http_stoa_questions_t *q,
    const stoa_json_val_t *one)
{
    uint64_t         n;
    ngx_str_t        text;
    stoa_buf_t       b;
    stoa_id_t        tenant;
    stoa_str_t       id, of, trace;
    stoa_json_val_t  asked;

    if (one->type != STOA_JSON_OBJECT
        || !stoa_json_get_text(one, "id", &id)
        || !stoa_id_valid(id.data, id.len)
        || !stoa_json_get_text(one, "tenant", &of)
        || !stoa_id_valid(of.data, of.len))
    {
        return;
    }

    ngx_memcpy(tenant.c, of.data, STOA_ID_LEN);
    stoa_buf_init(&b, QUESTIONS_ANSWER);

    if (stoa_json_get_uint(one, "traces", &n)) {
        ngx_http_stoa_questions_traces(q, &tenant,
                                       ngx_min(n, QUESTIONS_LIST), &b);

    } else if (stoa_json_get_text(one, "trace", &trace)) {
        text.data = (u_char *) trace.data;
        text.len = trace.len;
        ngx_http_stoa_questions_trace(q, &tenant, &text, &b);

    } else if (stoa_json_get(one, "follow", &asked)) {
        ngx_http_stoa_follow(q->mcf, &tenant, &asked, &b);

    } else if (stoa_json_get(one, "explain", &asked)) {
        ngx_http_stoa_explain(q->mcf, &q->log, &tenant, &asked, &b);
    }

    stoa_buf_addf(&q->answers, "%s{\"id\":\"%.16s\",\"answer\":",
                  q->answers.len ? "," : "", id.data);
    stoa_buf_add_json(&q->answers, (char *) b.data,
                      b.rc == STOA_OK ? b.len : 0);
    stoa_buf_addz(&q->answers, "}");
    stoa_buf_free(&b);
}


/* The last call of that id which this tenant had to do with. */

static void
ngx_http_stoa_questions_trace(ngx_http_stoa_questions_t *q,
    const stoa_id_t *tenant, ngx_str_t *id, stoa_buf_t *b)
{
    uint64_t                     last;
    ngx_http_stoa_traced_t       traced;
    ngx_http_stoa_trace_query_t  query;

    ngx_memzero(&query, sizeof(ngx_http_stoa_trace_query_t));
    query.id = *id;
    query.tenant = tenant;

    if (id->len == 0
        || ngx_http_stoa_trace_last(q->mcf->sh, &query, &last, 1) == 0)
    {
        return;
    }

    query.after = last - 1;

    if (ngx_http_stoa_trace_next(q->mcf->sh, &query, &traced)) {
        ngx_http_stoa_traces_one(q->mcf, &traced, tenant, NULL, b);
    }
}


/* The last ones that this tenant had to do with, the youngest first. */

static void
ngx_http_stoa_questions_traces(ngx_http_stoa_questions_t *q,
    const stoa_id_t *tenant, ngx_uint_t most, stoa_buf_t *b)
{
    uint64_t                     last[QUESTIONS_LIST];
    ngx_uint_t                   i, n, some;
    ngx_http_stoa_traced_t       traced;
    ngx_http_stoa_trace_query_t  query;

    ngx_memzero(&query, sizeof(ngx_http_stoa_trace_query_t));
    query.tenant = tenant;

    n = ngx_http_stoa_trace_last(q->mcf->sh, &query, last, most);
    some = 0;

    stoa_buf_addz(b, "{\"items\":[");

    for (i = 0; i < n && b->len < QUESTIONS_FULL; i++) {
        query.after = last[i] - 1;

        /* one that has made room meanwhile is none */

        if (ngx_http_stoa_trace_next(q->mcf->sh, &query, &traced)
            && traced.number == last[i])
        {
            stoa_buf_addz(b, some++ ? "," : "");
            ngx_http_stoa_traces_one(q->mcf, &traced, tenant, NULL, b);
        }
    }

    stoa_buf_addz(b, "]}");
}
