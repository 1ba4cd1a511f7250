/*
 * Asking an MCP upstream.
 *
 * An answer is taken as soon as it is whole: an upstream may hold its stream
 * open for as long as it likes.  What comes behind it is read for a moment, so
 * that the connection can be used again.
 */

#include "ngx_http_stoa_mcp_ask.h"
#include "ngx_http_stoa_digest.h"
#include "core/stoa_glance.h"
#include "core/stoa_media.h"


#define NGX_HTTP_STOA_MCP_ASK_DRAIN  500        /* ms                       */
#define NGX_HTTP_STOA_MCP_ASK_WORDS  65536      /* of an error              */
#define NGX_HTTP_STOA_MCP_ASK_EID    1024


static void ngx_http_stoa_mcp_ask_head(ngx_http_stoa_fetch_t *f, void *data);
static void ngx_http_stoa_mcp_ask_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len);
static void ngx_http_stoa_mcp_ask_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how);
static stoa_rc_t ngx_http_stoa_mcp_ask_event(void *data,
    const stoa_sse_event_t *event);
static ngx_uint_t ngx_http_stoa_mcp_ask_message(ngx_http_stoa_mcp_ask_t *ask,
    const ngx_str_t *text);
static ngx_uint_t ngx_http_stoa_mcp_ask_glance(ngx_http_stoa_mcp_ask_t *ask);
static void ngx_http_stoa_mcp_ask_fetched(ngx_http_stoa_mcp_ask_t *ask);
static void ngx_http_stoa_mcp_ask_failed(ngx_http_stoa_mcp_ask_t *ask,
    const char *why);
static void ngx_http_stoa_mcp_ask_leave(ngx_http_stoa_mcp_ask_t *ask);
static void ngx_http_stoa_mcp_ask_free(void *data);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_ask_handler = {
    ngx_http_stoa_mcp_ask_head,
    ngx_http_stoa_mcp_ask_chunk,
    ngx_http_stoa_mcp_ask_end
};

static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_ask_drain = {
    NULL, NULL, NULL
};


ngx_http_stoa_mcp_ask_t *
ngx_http_stoa_mcp_ask_create(ngx_log_t *log)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_stoa_fetch_t    *f;
    ngx_http_stoa_mcp_ask_t  *ask;

    f = ngx_http_stoa_fetch_create(log);
    if (f == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(f->pool, sizeof(ngx_http_stoa_mcp_ask_t));
    if (cln == NULL) {
        ngx_http_stoa_fetch_cancel(f);
        return NULL;
    }

    ask = cln->data;
    ngx_memzero(ask, sizeof(ngx_http_stoa_mcp_ask_t));

    cln->handler = ngx_http_stoa_mcp_ask_free;

    ask->fetch = f;
    ask->pool = f->pool;
    ask->max = NGX_HTTP_STOA_MCP_ANSWER_MAX;
    ask->retry_ms = -1;
    stoa_buf_init(&ask->eid, NGX_HTTP_STOA_MCP_ASK_EID);

    ngx_str_set(&f->method, "POST");
    f->handler = &ngx_http_stoa_mcp_ask_handler;
    f->data = ask;

    return ask;
}


static void
ngx_http_stoa_mcp_ask_free(void *data)
{
    ngx_http_stoa_mcp_ask_t *ask = data;

    stoa_buf_free(&ask->text);
    stoa_buf_free(&ask->eid);

    if (ask->sse.magic) {
        stoa_sse_free(&ask->sse);
    }
}


void
ngx_http_stoa_mcp_ask_start(ngx_http_stoa_mcp_ask_t *ask)
{
    stoa_buf_init(&ask->text, ask->max);

    if (ask->other == NULL) {
        ask->fetch->max_body = ask->max;
    }

    ngx_http_stoa_fetch_start(ask->fetch);
}


void
ngx_http_stoa_mcp_ask_cancel(ngx_http_stoa_mcp_ask_t *ask)
{
    ngx_http_stoa_fetch_cancel(ask->fetch);
}


ngx_int_t
ngx_http_stoa_mcp_ask_id(ngx_http_stoa_mcp_ask_t *ask, ngx_str_t *id)
{
    u_char    *p;
    uint64_t   random;

    id->len = sizeof("\"stoa-0123456789abcdef\"") - 1;
    id->data = ngx_pnalloc(ask->pool, id->len);

    if (id->data == NULL || ngx_http_stoa_random(&random, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(id->data, "\"stoa-", 6);
    p = ngx_http_stoa_hex(p, random);
    *p = '"';

    ask->id.type = STOA_JSON_STRING;
    ask->id.start = (char *) id->data;
    ask->id.end = (char *) id->data + id->len;
    ask->id.escaped = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_ask_session(ngx_http_stoa_mcp_ask_t *ask,
    const ngx_str_t *base, const ngx_http_stoa_mcp_upstream_t *up)
{
    u_char  *p;

    p = ngx_pnalloc(ask->pool, base->len + up->len + 100);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ask->fetch->headers.data = p;
    p = ngx_cpymem(p, base->data, base->len);

    if (up->version != NGX_HTTP_STOA_MCP_VERSION_NONE) {
        p = ngx_sprintf(p, "MCP-Protocol-Version: %V" CRLF,
                        &ngx_http_stoa_mcp_versions[up->version].name);
    }

    if (up->len) {
        p = ngx_sprintf(p, "Mcp-Session-Id: %*s" CRLF, up->len, up->sid);
    }

    ask->fetch->headers.len = p - ask->fetch->headers.data;

    return NGX_OK;
}


/* ---- its answer -------------------------------------------------------- */

static ngx_str_t
ngx_http_stoa_mcp_ask_header(ngx_http_stoa_fetch_t *f, const char *name,
    ngx_uint_t *twice)
{
    unsigned    n;
    ngx_str_t   value;
    stoa_str_t  v;

    ngx_str_null(&value);
    n = stoa_http_header(&f->http, name, &v);

    if (n) {
        value.data = (u_char *) v.data;
        value.len = v.len;
    }

    *twice |= n > 1;

    return value;
}


static void
ngx_http_stoa_mcp_ask_head(ngx_http_stoa_fetch_t *f, void *data)
{
    ngx_http_stoa_mcp_ask_t *ask = data;

    ngx_uint_t                 twice;
    ngx_http_stoa_mcp_head_t  *head;

    twice = 0;
    head = &ask->head;
    head->location = ngx_http_stoa_mcp_ask_header(f, "location", &twice);
    head->retry_after = ngx_http_stoa_mcp_ask_header(f, "retry-after",
                                                     &twice);
    twice = 0;
    head->type = ngx_http_stoa_mcp_ask_header(f, "content-type", &twice);
    head->coding = ngx_http_stoa_mcp_ask_header(f, "content-encoding",
                                                &twice);
    head->twice = twice;
    head->status = f->http.status;
    head->challenge = stoa_http_header(&f->http, "www-authenticate", NULL)
                      != 0;
    head->empty = !f->http.chunked && !f->http.to_close && f->http.left == 0;

    if (ask->id.start == NULL) {
        ask->accepted = head->status >= 200 && head->status < 300;

        if (!ask->accepted) {
            (void) ngx_http_stoa_mcp_fault_head(head, &ask->fault);
        }

        ngx_http_stoa_mcp_ask_leave(ask);
        return;
    }

    if (ngx_http_stoa_mcp_fault_head(head, &ask->fault) != NGX_OK) {
        ask->failed = 1;

        if (!ask->fault.words && !ask->words) {
            ngx_http_stoa_mcp_ask_leave(ask);
            return;
        }
    }

    ask->events = stoa_media_is((char *) head->type.data, head->type.len,
                                "text/event-stream");

    if (ask->events) {
        stoa_sse_init(&ask->sse, ask->max, ngx_http_stoa_mcp_ask_event, ask);
    }
}


static void
ngx_http_stoa_mcp_ask_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_ask_t *ask = data;

    stoa_rc_t  rc;

    if (!ask->events) {
        stoa_buf_add(&ask->text, p, len);

        if (ask->text.rc != STOA_OK
            || (ask->failed && ask->text.len > NGX_HTTP_STOA_MCP_ASK_WORDS))
        {
            ngx_http_stoa_mcp_ask_failed(ask, NULL);
            ngx_http_stoa_mcp_ask_leave(ask);
        }

        return;
    }

    rc = stoa_sse_feed(&ask->sse, (const char *) p, len);

    if (f->over) {
        return;                                     /* by `other`           */
    }

    if (ask->answered || ask->failed) {
        ngx_http_stoa_mcp_ask_leave(ask);

    } else if (rc != STOA_OK) {
        ngx_http_stoa_mcp_ask_failed(ask, NULL);
        ngx_http_stoa_mcp_ask_leave(ask);
    }
}


/* STOA_FULL ends the reader. */

static stoa_rc_t
ngx_http_stoa_mcp_ask_event(void *data, const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_ask_t *ask = data;

    ngx_str_t  text;

    if (event->has_id && ask->other) {
        stoa_buf_reset(&ask->eid);
        stoa_buf_add(&ask->eid, event->id.data, event->id.len);
    }

    if (event->retry_ms >= 0) {
        ask->retry_ms = event->retry_ms;
    }

    if (event->data.len == 0) {
        return STOA_OK;
    }

    text.data = (u_char *) event->data.data;
    text.len = event->data.len;

    if (!ngx_http_stoa_mcp_ask_message(ask, &text) && !ask->failed) {

        if (ask->other) {
            ask->other(ask, ask->data, &text);
        }
    }

    return ask->answered || ask->failed || ask->fetch->over ? STOA_FULL
                                                            : STOA_OK;
}


/* Is it the answer?  It is kept in `text` then. */

static ngx_uint_t
ngx_http_stoa_mcp_ask_message(ngx_http_stoa_mcp_ask_t *ask,
    const ngx_str_t *text)
{
    ngx_uint_t       found;
    stoa_err_t       err;
    stoa_json_val_t  id, v;

    if (text->data != (u_char *) ask->text.data) {
        stoa_buf_reset(&ask->text);
        stoa_buf_add(&ask->text, text->data, text->len);

        if (ask->text.rc != STOA_OK) {
            ngx_http_stoa_mcp_ask_failed(ask, "no memory");
            return 1;
        }
    }

    if (stoa_json_check(ask->text.data, ask->text.len, STOA_JSON_DEPTH_MAX,
                        &ask->root, &err)
        != STOA_OK
        || ask->root.type != STOA_JSON_OBJECT)
    {
        return ask->loose && ngx_http_stoa_mcp_ask_glance(ask);
    }

    if (stoa_json_get(&ask->root, "method", &v)) {

        /* what it says of sessions is not said of this one */

        stoa_buf_reset(&ask->text);
        return 0;
    }

    if (!stoa_json_get(&ask->root, "id", &id)) {
        ngx_memzero(&id, sizeof(stoa_json_val_t));
    }

    found = ngx_http_stoa_mcp_fault_same_id(&id, &ask->id);

    if (!stoa_json_get(&ask->root, "result", &ask->result)) {
        ask->result.start = NULL;
    }

    if (stoa_json_get(&ask->root, "error", &ask->error)) {

        /* one for nobody is about what we have sent, too */

        if (ask->result.start || (!found && id.type != STOA_JSON_NULL))
        {
            return 0;
        }

        ask->result.start = NULL;
        ngx_http_stoa_mcp_fault_body(&ask->fault, text, &ask->id);
        ask->answered = ask->fault.ours;
        ask->failed = !ask->fault.ours;

        return 1;
    }

    ask->answered = found && ask->result.start;

    return ask->answered;
}


/* What a server says is its client's to judge, as where it is forwarded. */

static ngx_uint_t
ngx_http_stoa_mcp_ask_glance(ngx_http_stoa_mcp_ask_t *ask)
{
    stoa_glance_t  g;

    if (stoa_glance(ask->text.data, ask->text.len, &g) != STOA_OK
        || g.kind != STOA_GLANCE_ANSWER || !stoa_glance_same(&g.id, &ask->id))
    {
        return 0;
    }

    ask->root.type = STOA_JSON_OBJECT;
    ask->root.start = ask->text.data;
    ask->root.end = ask->text.data + ask->text.len;
    ask->result = g.result;
    ask->error = g.error;
    ask->answered = 1;
    ask->glanced = 1;

    return 1;
}


static void
ngx_http_stoa_mcp_ask_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_mcp_ask_t *ask = data;

    ask->how = how;

    if (ask->id.start == NULL) {
        ngx_http_stoa_mcp_ask_fetched(ask);

    } else if (how != NGX_HTTP_STOA_FETCH_DONE) {

        /* an error may be whole all the same, and its status counts */

        if (!ask->failed) {
            ngx_http_stoa_mcp_ask_fetched(ask);
        }

    } else if (!ask->events && ask->text.len) {
        ngx_str_t  text;

        text.data = (u_char *) ask->text.data;
        text.len = ask->text.len;

        if (!ngx_http_stoa_mcp_ask_message(ask, &text) && !ask->failed) {
            ngx_http_stoa_mcp_ask_failed(ask, "no answer");
        }

    } else if (!ask->failed) {
        ngx_http_stoa_mcp_ask_failed(ask, "no answer");
    }

    ask->done(ask, ask->data);
}


/* Nothing of an answer, or not all of it. */

static void
ngx_http_stoa_mcp_ask_fetched(ngx_http_stoa_mcp_ask_t *ask)
{
    ask->failed = 1;
    ask->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;

    switch (ask->how) {

    case NGX_HTTP_STOA_FETCH_UNREACHABLE:
    case NGX_HTTP_STOA_FETCH_EXIT:
        ask->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE;

        if (ask->fetch->aside) {
            ask->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_OPEN;
            ask->fault.retry_len = ngx_sprintf(ask->fault.retry, "%M",
                                          (ask->fetch->aside + 999) / 1000)
                                   - ask->fault.retry;
        }

        break;

    case NGX_HTTP_STOA_FETCH_TIMEOUT:
        ask->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT;
        break;

    default:
        break;
    }

    if (ask->how == NGX_HTTP_STOA_FETCH_LARGE) {
        ask->failed = 0;
        ngx_http_stoa_mcp_ask_failed(ask, NULL);

    } else if (ask->fetch->why) {
        ngx_http_stoa_mcp_fault_say(&ask->fault, ask->fetch->why);
    }
}


static void
ngx_http_stoa_mcp_ask_failed(ngx_http_stoa_mcp_ask_t *ask, const char *why)
{
    if (ask->failed) {
        return;
    }

    ask->failed = 1;
    ask->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;

    if (why) {
        ngx_http_stoa_mcp_fault_say(&ask->fault, why);
        return;
    }

    ask->large = 1;
    ask->fault.len = ngx_sprintf(ask->fault.text, "longer than %uz bytes",
                                 ask->max)
                     - ask->fault.text;
}


/* From a callback: nothing more is wanted.  The rest is read for a moment
 * without us, where it may be short. */

static void
ngx_http_stoa_mcp_ask_leave(ngx_http_stoa_mcp_ask_t *ask)
{
    ngx_http_stoa_fetch_t  *f;

    f = ask->fetch;

    f->handler = &ngx_http_stoa_mcp_ask_drain;
    f->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_ASK_DRAIN;
    f->max_body = f->came + NGX_HTTP_STOA_MCP_ASK_WORDS;
    f->stay = 0;
    ngx_http_stoa_fetch_resume(f);         /* if `other` has paused it       */
    ngx_http_stoa_fetch_detach(f);

    ask->done(ask, ask->data);
}
