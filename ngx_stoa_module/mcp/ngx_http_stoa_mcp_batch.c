/*
 * Several messages in one, as 2025-03-26 has it.
 *
 * Each is an inner request: the steps, the limits, the log and the counters
 * see it as if it had come alone, and nothing here decides about it.  Their
 * answers are one array.  If one of them is a stream, so is the answer to the
 * batch: its events are passed on as they come, the other answers are events
 * in it.
 *
 * Nothing is written to the client from within an inner request: what one says
 * is noted, and looked at from the event loop.
 *
 * Process: workers.  Lifetime: r->pool; answers are on the heap until then.
 * Limits: messages, at a time, bytes that the client has not taken: below.
 */

#include "ngx_http_stoa_stream.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_MCP_BATCH_MAX    50
#define NGX_HTTP_STOA_MCP_BATCH_AT     8
#define NGX_HTTP_STOA_MCP_BATCH_BYTES  (32 * 1024 * 1024)


typedef struct ngx_http_stoa_mcp_batch_s  ngx_http_stoa_mcp_batch_t;

typedef struct {
    ngx_http_stoa_inner_t        inner;
    ngx_http_stoa_mcp_batch_t   *batch;
    ngx_str_t                    message;
    ngx_str_t                    id;            /* JSON text                 */
    ngx_uint_t                   status;
    stoa_buf_t                   answer;
    unsigned                     asks:1;        /* an answer is due          */
    unsigned                     events:1;      /* it is a stream            */
    unsigned                     never:1;       /* it is nothing for a batch */
    unsigned                     over:1;
    unsigned                     told:1;
} ngx_http_stoa_mcp_batched_t;

struct ngx_http_stoa_mcp_batch_s {
    ngx_http_request_t          *request;
    ngx_http_stoa_mcp_batched_t *items;
    ngx_uint_t                   n;
    ngx_uint_t                   begun;
    ngx_uint_t                   over;
    ngx_event_t                  event;
    ngx_http_stoa_mcp_writer_t   writer;        /* of a stream               */
    size_t                       bytes;         /* of answers                */
    unsigned                     events:1;      /* there is a stream         */
    unsigned                     headed:1;
    unsigned                     ended:1;       /* nginx has the rest        */
};


static ngx_int_t ngx_http_stoa_mcp_batch_read(ngx_http_request_t *r,
    ngx_http_stoa_mcp_batch_t *batch, const ngx_str_t *body,
    const char **why);
static void ngx_http_stoa_mcp_batch_item(ngx_http_stoa_mcp_batch_t *batch,
    ngx_http_stoa_mcp_batched_t *item, const stoa_json_val_t *v);
static ngx_int_t ngx_http_stoa_mcp_batch_content(ngx_http_request_t *r);
static void ngx_http_stoa_mcp_batch_cleanup(void *data);
static void ngx_http_stoa_mcp_batch_free(void *data);
static void ngx_http_stoa_mcp_batch_event(ngx_event_t *ev);
static void ngx_http_stoa_mcp_batch_write(ngx_http_request_t *r);
static ngx_int_t ngx_http_stoa_mcp_batch_go(ngx_http_stoa_mcp_batch_t *batch);
static void ngx_http_stoa_mcp_batch_answer(ngx_http_stoa_mcp_batched_t *item);
static ngx_int_t ngx_http_stoa_mcp_batch_stream(
    ngx_http_stoa_mcp_batch_t *batch);
static ngx_int_t ngx_http_stoa_mcp_batch_array(
    ngx_http_stoa_mcp_batch_t *batch);
static ngx_chain_t **ngx_http_stoa_mcp_batch_add(ngx_pool_t *pool,
    ngx_chain_t **last, const char *data, size_t len);
static void ngx_http_stoa_mcp_batch_post(ngx_http_stoa_mcp_batch_t *batch);
static void ngx_http_stoa_mcp_batch_head(ngx_http_request_t *r, void *data);
static void ngx_http_stoa_mcp_batch_body(void *data, const u_char *p,
    size_t len);
static void ngx_http_stoa_mcp_batch_over(void *data);


static const ngx_http_stoa_sink_t  ngx_http_stoa_mcp_batch_sink = {
    ngx_http_stoa_mcp_batch_head,
    ngx_http_stoa_mcp_batch_body,
    ngx_http_stoa_mcp_batch_over
};


ngx_int_t
ngx_http_stoa_mcp_batch(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                   detail;
    const char                 *why;
    ngx_pool_cleanup_t         *cln;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_mcp_batch_t  *batch;

    mcp = ctx->call.mcp;
    why = "batches are not accepted";
    batch = NULL;

    if (!mcp->modern
        && ngx_http_stoa_mcp_versions[mcp->version].batches)
    {
        cln = ngx_pool_cleanup_add(r->pool,
                                   sizeof(ngx_http_stoa_mcp_batch_t));
        if (cln == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        batch = cln->data;
        ngx_memzero(batch, sizeof(ngx_http_stoa_mcp_batch_t));
        batch->request = r;

        why = NULL;

        if (ngx_http_stoa_mcp_batch_read(r, batch, &mcp->body, &why)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        cln->handler = ngx_http_stoa_mcp_batch_free;
    }

    if (why) {
        detail.data = (u_char *) why;
        detail.len = ngx_strlen(why);

        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_INVALID,
                                    &detail);
    }

    mcp->batch = batch;
    r->content_handler = ngx_http_stoa_mcp_batch_content;

    return NGX_DONE;
}


/* The body is JSON, and an array. */

static ngx_int_t
ngx_http_stoa_mcp_batch_read(ngx_http_request_t *r,
    ngx_http_stoa_mcp_batch_t *batch, const ngx_str_t *body, const char **why)
{
    ngx_uint_t         n;
    stoa_json_val_t    root, v;
    stoa_json_iter_t   it;

    root.type = STOA_JSON_ARRAY;
    root.start = memchr(body->data, '[', body->len);
    root.end = memrchr(body->data, ']', body->len);
    root.end++;

    n = 0;

    if (stoa_json_first(&root, &it, NULL, &v)) {
        do {
            n++;
        } while (n <= NGX_HTTP_STOA_MCP_BATCH_MAX
                 && stoa_json_next(&it, NULL, &v));
    }

    if (n == 0 || n > NGX_HTTP_STOA_MCP_BATCH_MAX) {
        *why = n ? "a batch of more than 50 messages" : "an empty batch";
        return NGX_OK;
    }

    batch->items = ngx_pcalloc(r->pool,
                               n * sizeof(ngx_http_stoa_mcp_batched_t));

    if (batch->items == NULL
        || ngx_http_stoa_mcp_writer_init(&batch->writer, r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    (void) stoa_json_first(&root, &it, NULL, &v);

    do {
        ngx_http_stoa_mcp_batch_item(batch, &batch->items[batch->n++], &v);
    } while (stoa_json_next(&it, NULL, &v));

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_batch_item(ngx_http_stoa_mcp_batch_t *batch,
    ngx_http_stoa_mcp_batched_t *item, const stoa_json_val_t *v)
{
    int             code;
    stoa_rc_t       rc;
    stoa_err_t      err;
    stoa_jsonrpc_t  msg;

    item->batch = batch;
    item->inner.sink = &ngx_http_stoa_mcp_batch_sink;
    item->inner.data = item;
    item->message.data = (u_char *) v->start;
    item->message.len = v->end - v->start;

    stoa_buf_init(&item->answer, NGX_HTTP_STOA_MCP_BATCH_BYTES);

    rc = stoa_jsonrpc_scan(v->start, v->end - v->start, &msg, &code, &err);

    item->never = (rc == STOA_OK && (msg.kind == STOA_JSONRPC_BATCH
                                     || msg.method == STOA_MCP_INITIALIZE));
    item->asks = (rc != STOA_OK || item->never
                  || msg.kind == STOA_JSONRPC_REQUEST);

    ngx_str_set(&item->id, "null");

    if (msg.id.start) {
        item->id.data = (u_char *) msg.id.start;
        item->id.len = msg.id.end - msg.id.start;
    }
}


static ngx_int_t
ngx_http_stoa_mcp_batch_content(ngx_http_request_t *r)
{
    ngx_http_cleanup_t         *cln;
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_mcp_batch_t  *batch;

    ctx = ngx_http_stoa_ctx(r);
    cln = ngx_http_cleanup_add(r, 0);

    if (ctx == NULL || ctx->call.mcp == NULL || cln == NULL
        || ngx_http_stoa_ctx_suspend(r) == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    batch = ctx->call.mcp->batch;

    cln->handler = ngx_http_stoa_mcp_batch_cleanup;
    cln->data = batch;

    batch->event.handler = ngx_http_stoa_mcp_batch_event;
    batch->event.data = batch;
    batch->event.log = r->connection->log;

    r->write_event_handler = ngx_http_stoa_mcp_batch_write;
    r->main->count++;

    ngx_post_event(&batch->event, &ngx_posted_events);

    return NGX_DONE;
}


/* The request ends; what is left of the batch is without a client. */

static void
ngx_http_stoa_mcp_batch_cleanup(void *data)
{
    ngx_http_stoa_mcp_batch_t *batch = data;

    ngx_uint_t  i;

    if (batch->event.posted) {
        ngx_delete_posted_event(&batch->event);
    }

    for (i = 0; i < batch->begun; i++) {
        ngx_http_stoa_inner_leave(&batch->items[i].inner);
    }
}


static void
ngx_http_stoa_mcp_batch_free(void *data)
{
    ngx_http_stoa_mcp_batch_t *batch = data;

    ngx_uint_t  i;

    for (i = 0; i < batch->n; i++) {
        stoa_buf_free(&batch->items[i].answer);
    }
}


/* ---- what inner requests say -------------------------------------------- */

static void
ngx_http_stoa_mcp_batch_post(ngx_http_stoa_mcp_batch_t *batch)
{
    if (!batch->ended && !batch->event.posted) {
        ngx_post_event(&batch->event, &ngx_posted_events);
    }
}


static void
ngx_http_stoa_mcp_batch_head(ngx_http_request_t *r, void *data)
{
    ngx_http_stoa_mcp_batched_t *item = data;

    item->status = r->headers_out.status;
    item->events = ngx_http_stoa_header_events(&r->headers_out.content_type);
    item->batch->events |= item->events;
}


static void
ngx_http_stoa_mcp_batch_body(void *data, const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_batched_t *item = data;

    ngx_http_stoa_mcp_batch_t  *batch;

    batch = item->batch;

    if (!item->events) {

        if (len > NGX_HTTP_STOA_MCP_BATCH_BYTES - batch->bytes) {
            item->answer.rc = STOA_FULL;
            return;
        }

        batch->bytes += len;
        stoa_buf_add(&item->answer, p, len);

    } else {

        /* whole events: `queued` has a maximum, which ends the answer */

        if (ngx_http_stoa_mcp_writer_bytes(&batch->writer, (char *) p, len)
            != NGX_OK)
        {
            batch->request->connection->error = 1;
        }

        ngx_http_stoa_mcp_batch_post(batch);
    }
}


static void
ngx_http_stoa_mcp_batch_over(void *data)
{
    ngx_http_stoa_mcp_batched_t *item = data;

    item->over = 1;
    item->batch->over++;

    ngx_http_stoa_mcp_batch_post(item->batch);
}


/* ---- the answer --------------------------------------------------------- */

static void
ngx_http_stoa_mcp_batch_event(ngx_event_t *ev)
{
    ngx_connection_t           *c;
    ngx_http_stoa_mcp_batch_t  *batch;

    batch = ev->data;
    c = batch->request->connection;

    if (batch->ended) {
        return;
    }

    ngx_http_set_log_request(c->log, batch->request);
    ngx_http_stoa_mcp_batch_write(batch->request);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_stoa_mcp_batch_write(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_connection_t           *c;
    ngx_http_stoa_mcp_batch_t  *batch;

    c = r->connection;
    batch = ngx_http_stoa_ctx(r)->call.mcp->batch;

    if (c->write->timedout) {
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = ngx_http_stoa_mcp_batch_go(batch);

    if (rc != NGX_AGAIN || c->error) {
        batch->ended = 1;
        ngx_http_finalize_request(r, c->error ? NGX_ERROR : rc);
    }
}


/* NGX_AGAIN: there is more to come. */

static ngx_int_t
ngx_http_stoa_mcp_batch_go(ngx_http_stoa_mcp_batch_t *batch)
{
    ngx_http_stoa_mcp_batched_t  *item;

    while (batch->begun < batch->n
           && batch->begun - batch->over < NGX_HTTP_STOA_MCP_BATCH_AT)
    {
        item = &batch->items[batch->begun++];

        if (item->never
            || ngx_http_stoa_inner_start(&item->inner, batch->request,
                                         &item->message)
               != NGX_OK)
        {
            item->over = 1;
            batch->over++;
        }
    }

    if (batch->events) {
        return ngx_http_stoa_mcp_batch_stream(batch);
    }

    return batch->over == batch->n ? ngx_http_stoa_mcp_batch_array(batch)
                                   : NGX_AGAIN;
}


/* One that is due and did not come is an error. */

static void
ngx_http_stoa_mcp_batch_answer(ngx_http_stoa_mcp_batched_t *item)
{
    if (item->answer.rc == STOA_OK && item->answer.len
        && item->answer.data[0] == '{')
    {
        return;
    }

    stoa_buf_free(&item->answer);
    stoa_buf_init(&item->answer, 65536);
    stoa_buf_addz(&item->answer, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(&item->answer, item->id.data, item->id.len);
    stoa_buf_addz(&item->answer, item->never
                  ? ",\"error\":{\"code\":-32600,\"message\":"
                    "\"not in a batch\"}}"
                  : ",\"error\":{\"code\":-32603,\"message\":"
                    "\"no answer, or too long for a batch\"}}");
}


/* The head of a stream. */

static ngx_int_t
ngx_http_stoa_mcp_batch_begin(ngx_http_stoa_mcp_batch_t *batch)
{
    ngx_int_t            rc;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = batch->request;
    batch->headed = 1;

    h = ngx_http_stoa_header_add(r, "X-Accel-Buffering");
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&h->value, "no");
    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    return rc == NGX_ERROR || rc > NGX_OK ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_batch_stream(ngx_http_stoa_mcp_batch_t *batch)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, left;
    stoa_sse_event_t              event;
    ngx_http_stoa_mcp_batched_t  *item;

    if (!batch->headed && ngx_http_stoa_mcp_batch_begin(batch) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&event, sizeof(event));
    event.retry_ms = -1;

    for (i = 0, left = 0; i < batch->begun; i++) {
        item = &batch->items[i];

        if (item->told || !item->over || !item->asks || item->events) {
            continue;
        }

        if (batch->writer.queued >= NGX_HTTP_STOA_MCP_QUEUE_MAX) {
            left = 1;                  /* when the client has taken some    */
            break;
        }

        ngx_http_stoa_mcp_batch_answer(item);

        event.data.data = item->answer.data;
        event.data.len = item->answer.len;

        if (ngx_http_stoa_mcp_writer_event(&batch->writer, &event) != NGX_OK)
        {
            return NGX_ERROR;
        }

        item->told = 1;
        batch->bytes -= ngx_min(batch->bytes, item->answer.len);
        stoa_buf_free(&item->answer);
    }

    if (batch->over == batch->n && !left) {
        rc = ngx_http_stoa_mcp_writer_end(&batch->writer);

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_mcp_writer_send(&batch->writer);
        }

        return rc == NGX_AGAIN ? NGX_OK : rc;    /* nginx sends the rest     */
    }

    if (batch->writer.queued > NGX_HTTP_STOA_MCP_BATCH_BYTES) {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_writer_push(&batch->writer);

    if (left && batch->writer.queued < NGX_HTTP_STOA_MCP_QUEUE_MAX) {
        ngx_http_stoa_mcp_batch_post(batch);
    }

    return NGX_AGAIN;
}


/* Nobody asked for anything: 202, or the first that was refused. */

static ngx_int_t
ngx_http_stoa_mcp_batch_array(ngx_http_stoa_mcp_batch_t *batch)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, asked;
    ngx_chain_t                  *out, **last;
    ngx_http_request_t           *r;
    ngx_http_stoa_mcp_batched_t  *item, *refused;

    r = batch->request;
    refused = NULL;
    asked = 0;
    last = &out;

    for (i = 0; i < batch->n && last; i++) {
        item = &batch->items[i];

        if (item->asks) {
            ngx_http_stoa_mcp_batch_answer(item);
            last = ngx_http_stoa_mcp_batch_add(r->pool, last,
                                               asked++ ? "," : "[", 1);
            last = ngx_http_stoa_mcp_batch_add(r->pool, last,
                                               item->answer.data,
                                               item->answer.len);

        } else if (!refused && item->status >= NGX_HTTP_BAD_REQUEST) {
            refused = item;
        }
    }

    r->headers_out.status = NGX_HTTP_OK;

    if (asked) {
        last = ngx_http_stoa_mcp_batch_add(r->pool, last, "]", 1);

    } else {
        r->headers_out.status = refused ? refused->status : NGX_HTTP_ACCEPTED;
        last = ngx_http_stoa_mcp_batch_add(r->pool, last,
                                           refused ? refused->answer.data : "",
                                           refused ? refused->answer.len : 0);
    }

    if (last == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_mcp_send(r, out);

    return rc == NGX_AGAIN ? NGX_OK : rc;
}


static ngx_chain_t **
ngx_http_stoa_mcp_batch_add(ngx_pool_t *pool, ngx_chain_t **last,
    const char *data, size_t len)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(pool);
    cl = ngx_alloc_chain_link(pool);

    if (b == NULL || cl == NULL || last == NULL) {
        return NULL;
    }

    b->pos = (u_char *) data;
    b->last = b->pos + len;
    b->memory = 1;
    cl->buf = b;
    cl->next = NULL;
    *last = cl;

    return &cl->next;
}
