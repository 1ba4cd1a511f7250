/*
 * The messages of a stream of 2024-11-05.  Each is an inner request: limits,
 * rights, log and counters see it as if it had come by a POST of a later
 * version, and nothing here decides about it.  The session's id that it gets
 * from `initialize` stays here; another inner request is the GET of that
 * session.
 */

#include "ngx_http_stoa_pair.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_header.h"


/* A message of the client's, or the GET of its session. */

struct ngx_http_stoa_mcp_paired_s {
    ngx_http_stoa_inner_t        inner;
    ngx_queue_t                  queue;
    ngx_http_stoa_mcp_pair_t    *pair;
    stoa_sse_t                   sse;
    stoa_buf_t                   answer;
    ngx_uint_t                   status;
    unsigned                     asks:1;      /* an answer is due            */
    unsigned                     opens:1;     /* initialize                  */
    unsigned                     events:1;    /* the answer is a stream      */
    size_t                       len;
    u_char                       id[4];       /* len bytes of JSON           */
};


static void ngx_http_stoa_mcp_pair_post_event(ngx_http_stoa_mcp_pair_t *p);
static ngx_http_stoa_mcp_paired_t *ngx_http_stoa_mcp_paired_create(
    ngx_http_stoa_mcp_pair_t *p, const stoa_json_val_t *id);
static void ngx_http_stoa_mcp_paired_free(ngx_http_stoa_mcp_paired_t *call);
static ngx_int_t ngx_http_stoa_mcp_paired_start(
    ngx_http_stoa_mcp_paired_t *call, const ngx_str_t *head, ngx_str_t *body);
static ngx_int_t ngx_http_stoa_mcp_paired_header(ngx_list_t *list,
    const ngx_str_t *name, const ngx_str_t *value);
static void ngx_http_stoa_mcp_paired_head(ngx_http_request_t *r, void *data);
static void ngx_http_stoa_mcp_paired_body(void *data, const u_char *p,
    size_t len);
static stoa_rc_t ngx_http_stoa_mcp_paired_event(void *data,
    const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_paired_over(void *data);
static void ngx_http_stoa_mcp_paired_tell(ngx_http_stoa_mcp_paired_t *call,
    const char *why);
static void ngx_http_stoa_mcp_pair_say(ngx_http_stoa_mcp_pair_t *p,
    const char *data, size_t len);


static const ngx_http_stoa_sink_t  ngx_http_stoa_mcp_pair_sink = {
    ngx_http_stoa_mcp_paired_head,
    ngx_http_stoa_mcp_paired_body,
    ngx_http_stoa_mcp_paired_over
};


/* Nothing is written to the client from within an inner request. */

static void
ngx_http_stoa_mcp_pair_post_event(ngx_http_stoa_mcp_pair_t *p)
{
    if (!p->event.posted) {
        ngx_post_event(&p->event, &ngx_posted_events);
    }
}


void
ngx_http_stoa_mcp_pair_leave(ngx_http_stoa_mcp_pair_t *p)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&p->calls)) {
        q = ngx_queue_head(&p->calls);
        ngx_http_stoa_mcp_paired_free(ngx_queue_data(q,
                                              ngx_http_stoa_mcp_paired_t,
                                              queue));
    }
}


/* ---- its messages ------------------------------------------------------- */

void
ngx_http_stoa_mcp_pair_take(ngx_http_stoa_mcp_pair_t *p,
    const ngx_str_t *head, ngx_str_t *body)
{
    int                          code;
    stoa_err_t                   err;
    stoa_jsonrpc_t               msg;
    ngx_http_stoa_mcp_paired_t  *call;

    if (stoa_jsonrpc_scan((char *) body->data, body->len, &msg, &code, &err)
        != STOA_OK)
    {
        return;                          /* whoever sent it knows            */
    }

    call = ngx_http_stoa_mcp_paired_create(p, &msg.id);
    if (call == NULL) {
        return;
    }

    call->asks = msg.kind == STOA_JSONRPC_REQUEST;
    call->opens = call->asks && msg.method == STOA_MCP_INITIALIZE;

    if (p->ncalls > NGX_HTTP_STOA_MCP_PAIR_CALLS) {
        ngx_http_stoa_mcp_paired_tell(call, "too many calls at one time");
        ngx_http_stoa_mcp_paired_free(call);

    } else if (ngx_http_stoa_mcp_paired_start(call, head, body) != NGX_OK) {
        ngx_http_stoa_mcp_paired_tell(call, "out of resources");
        ngx_http_stoa_mcp_paired_free(call);
    }

    ngx_http_stoa_mcp_pair_post_event(p);
}


void
ngx_http_stoa_mcp_pair_listen(ngx_http_stoa_mcp_pair_t *p)
{
    ngx_http_stoa_mcp_paired_t  *call;

    call = ngx_http_stoa_mcp_paired_create(p, NULL);
    if (call == NULL) {
        return;
    }

    p->listener = call;
    p->heard = ngx_current_msec;

    if (ngx_http_stoa_mcp_paired_start(call, &p->head, NULL) != NGX_OK) {
        ngx_http_stoa_mcp_paired_free(call);
    }
}


static ngx_http_stoa_mcp_paired_t *
ngx_http_stoa_mcp_paired_create(ngx_http_stoa_mcp_pair_t *p,
    const stoa_json_val_t *id)
{
    size_t                       len;
    ngx_http_stoa_mcp_paired_t  *call;

    len = id && id->start ? (size_t) (id->end - id->start) : 0;

    call = ngx_calloc(sizeof(ngx_http_stoa_mcp_paired_t) + len,
                      ngx_cycle->log);
    if (call == NULL) {
        return NULL;
    }

    call->pair = p;
    call->inner.sink = &ngx_http_stoa_mcp_pair_sink;
    call->inner.data = call;
    call->len = len;

    if (len) {
        ngx_memcpy(call->id, id->start, len);
    }

    stoa_buf_init(&call->answer, NGX_HTTP_STOA_MCP_PAIR_BYTES);
    stoa_sse_init(&call->sse, NGX_HTTP_STOA_MCP_PAIR_BYTES,
                  ngx_http_stoa_mcp_paired_event, call);

    ngx_queue_insert_tail(&p->calls, &call->queue);
    p->ncalls++;

    return call;
}


static void
ngx_http_stoa_mcp_paired_free(ngx_http_stoa_mcp_paired_t *call)
{
    ngx_http_stoa_mcp_pair_t  *p;

    p = call->pair;

    if (p->listener == call) {
        p->listener = NULL;
    }

    ngx_http_stoa_inner_leave(&call->inner);
    ngx_queue_remove(&call->queue);
    p->ncalls--;

    stoa_buf_free(&call->answer);
    stoa_sse_free(&call->sse);
    ngx_free(call);
}


/* The call may be gone when this returns NGX_OK. */

static ngx_int_t
ngx_http_stoa_mcp_paired_start(ngx_http_stoa_mcp_paired_t *call,
    const ngx_str_t *head, ngx_str_t *body)
{
    u_char      *p, *end, *nl;
    ngx_int_t    rc;
    ngx_str_t    name, value;
    ngx_pool_t  *pool;
    ngx_list_t   list;

    static ngx_str_t  accept = ngx_string("Accept");
    static ngx_str_t  both = ngx_string("application/json, "
                                        "text/event-stream");
    static ngx_str_t  session = ngx_string("Mcp-Session-Id");

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_list_init(&list, pool, 20, sizeof(ngx_table_elt_t));

    p = head->data;
    end = p + head->len;

    while (rc == NGX_OK && p < end) {
        nl = ngx_strlchr(p, end, '\n');
        name.data = p;
        name.len = nl - p;
        p = nl + 1;
        nl = ngx_strlchr(p, end, '\n');
        value.data = p;
        value.len = nl - p;
        p = nl + 1;

        rc = ngx_http_stoa_mcp_paired_header(&list, &name, &value);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_paired_header(&list, &accept, &both);
    }

    if (rc == NGX_OK && call->pair->session.len && !call->opens) {
        rc = ngx_http_stoa_mcp_paired_header(&list, &session,
                                             &call->pair->session);
    }

    if (rc == NGX_OK) {
        call->inner.headers = &list.part;
        rc = ngx_http_stoa_inner_start(&call->inner, call->pair->hold.request,
                                       body);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static ngx_int_t
ngx_http_stoa_mcp_paired_header(ngx_list_t *list, const ngx_str_t *name,
    const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(list);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));
    h->key = *name;
    h->value = *value;
    h->hash = ngx_hash_key_lc(name->data, name->len);

    return NGX_OK;
}


/* ---- what they are answered --------------------------------------------- */

static void
ngx_http_stoa_mcp_paired_head(ngx_http_request_t *r, void *data)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    ngx_table_elt_t              *h;
    ngx_http_stoa_mcp_pair_t     *p;
    ngx_http_stoa_header_walk_t   w;

    p = call->pair;
    call->status = r->headers_out.status;
    call->events = ngx_http_stoa_header_events(&r->headers_out.content_type);

    if (!call->opens || call->status != NGX_HTTP_OK) {
        return;
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash == 0 || !ngx_http_stoa_header_named(h, "mcp-session-id")
            || h->value.len > NGX_HTTP_STOA_MCP_TOKEN_MAX)
        {
            continue;
        }

        if (p->listener) {
            ngx_http_stoa_mcp_paired_free(p->listener);
        }

        ngx_memcpy(p->session.data, h->value.data, h->value.len);
        p->session.len = h->value.len;
        p->opened = 1;
        p->listens = 1;
    }
}


static void
ngx_http_stoa_mcp_paired_body(void *data, const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    if (!call->events) {
        stoa_buf_add(&call->answer, p, len);
        return;
    }

    if (stoa_sse_feed(&call->sse, (char *) p, len) != STOA_OK) {
        call->pair->hold.over = 1;
    }

    ngx_http_stoa_mcp_pair_post_event(call->pair);
}


static stoa_rc_t
ngx_http_stoa_mcp_paired_event(void *data, const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    if (event->data.len) {
        ngx_http_stoa_mcp_pair_say(call->pair, event->data.data,
                                   event->data.len);
    }

    return STOA_OK;
}


static void
ngx_http_stoa_mcp_paired_over(void *data)
{
    ngx_http_stoa_mcp_paired_t *call = data;

    ngx_http_stoa_mcp_pair_t  *p;

    p = call->pair;

    if (call == p->listener) {
        /* it has had its hour, or the client has a newer one */

        p->listens = ngx_current_msec - p->heard
                     > NGX_HTTP_STOA_MCP_HOLD_MAX_MS / 2;
        p->heard = ngx_current_msec;
        p->hold.over |= call->status != NGX_HTTP_OK;

    } else if (!call->events) {
        ngx_http_stoa_mcp_paired_tell(call, "no answer");
    }

    ngx_http_stoa_mcp_paired_free(call);
    ngx_http_stoa_mcp_pair_post_event(p);
}


/* One that is due and did not come is an error; nobody waits for one that is
 * not. */

static void
ngx_http_stoa_mcp_paired_tell(ngx_http_stoa_mcp_paired_t *call,
    const char *why)
{
    stoa_buf_t  b;

    if (call->answer.rc == STOA_OK && call->answer.len
        && (call->asks || call->status == NGX_HTTP_OK)
        && (call->answer.data[0] == '{' || call->answer.data[0] == '['))
    {
        ngx_http_stoa_mcp_pair_say(call->pair, call->answer.data,
                                   call->answer.len);

    } else if (call->asks) {
        stoa_buf_init(&b, 65536);
        stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
        stoa_buf_add(&b, call->id, call->len);
        stoa_buf_addf(&b, ",\"error\":{\"code\":-32603,\"message\":\"%s\"}}",
                      why);

        if (b.rc == STOA_OK) {
            ngx_http_stoa_mcp_pair_say(call->pair, b.data, b.len);
        }

        stoa_buf_free(&b);
    }
}


static void
ngx_http_stoa_mcp_pair_say(ngx_http_stoa_mcp_pair_t *p, const char *data,
    size_t len)
{
    stoa_sse_event_t  event;

    if (p->hold.over) {
        return;                          /* nothing comes after the end      */
    }

    ngx_memzero(&event, sizeof(event));
    event.retry_ms = -1;
    event.data.data = data;
    event.data.len = len;

    if (p->opened) {
        p->opened = 0;
        event.has_id = 1;
        event.id.data = (char *) p->session.data;
        event.id.len = p->session.len;
    }

    if (ngx_http_stoa_mcp_hold_write(&p->hold, &event) != NGX_OK) {
        p->hold.over = 1;
    }
}
