/*
 * A call at an upstream that may ask its client: made by a fetch which belongs
 * to no request, so that it can wait for the client to come again.
 */

#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_MCP_WORK_STREAM_MS  300   /* for one of the session    */
#define NGX_HTTP_STOA_MCP_WORK_LEVEL_MS   2000
#define NGX_HTTP_STOA_MCP_WORK_GATHER_MS  20
#define NGX_HTTP_STOA_MCP_WORK_MUTES      1021  /* servers without one       */
#define NGX_HTTP_STOA_MCP_WORK_POLL_MS    1000
#define NGX_HTTP_STOA_MCP_WORK_POLL_TOP   5000
#define NGX_HTTP_STOA_MCP_WORK_POLLS      3     /* in vain                   */


static void ngx_http_stoa_mcp_work_event(ngx_event_t *ev);
static stoa_rc_t ngx_http_stoa_mcp_work_source_event(
    ngx_http_stoa_mcp_source_t *src, const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_work_source_read(
    ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_work_level(ngx_http_stoa_mcp_park_t *park);
static void ngx_http_stoa_mcp_work_leveled(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static void ngx_http_stoa_mcp_work_call(ngx_http_stoa_mcp_park_t *park);
static ngx_http_stoa_mcp_ask_t *ngx_http_stoa_mcp_work_ask(
    ngx_http_stoa_mcp_park_t *park, const ngx_str_t *body);
static void ngx_http_stoa_mcp_work_other(ngx_http_stoa_mcp_ask_t *ask,
    void *data, const ngx_str_t *text);
static void ngx_http_stoa_mcp_work_message(ngx_http_stoa_mcp_park_t *park,
    const char *data, size_t len);
static void ngx_http_stoa_mcp_work_note(ngx_http_stoa_mcp_park_t *park,
    const char *data, size_t len, const stoa_glance_t *g);
static void ngx_http_stoa_mcp_work_progress(ngx_http_stoa_mcp_park_t *park,
    const char *data, size_t len, const stoa_glance_t *g);
static void ngx_http_stoa_mcp_work_asked(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static void ngx_http_stoa_mcp_work_end(ngx_http_stoa_mcp_park_t *park,
    stoa_str_t *text);
static ngx_int_t ngx_http_stoa_mcp_work_rest(ngx_http_stoa_mcp_park_t *park,
    ngx_http_stoa_mcp_ask_t *ask);
static void ngx_http_stoa_mcp_work_rest_resume(ngx_event_t *ev);
static stoa_rc_t ngx_http_stoa_mcp_work_rest_event(
    ngx_http_stoa_mcp_source_t *src, const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_work_rest_read(ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_work_patience(ngx_http_stoa_mcp_park_t *park);
static void ngx_http_stoa_mcp_work_put(ngx_http_stoa_mcp_park_t *park);
static void ngx_http_stoa_mcp_work_go(const u_char *p, size_t len);


static const ngx_http_stoa_mcp_parks_t  *ngx_http_stoa_mcp_work_with;
static uint64_t  ngx_http_stoa_mcp_work_mutes[NGX_HTTP_STOA_MCP_WORK_MUTES];


/* Has its server no such stream?  It is asked again in a while. */

static ngx_uint_t
ngx_http_stoa_mcp_work_mute(ngx_http_stoa_mcp_park_t *park, ngx_uint_t set)
{
    uint64_t  hash, *slot;

    hash = stoa_hash64(&park->api->id, sizeof(stoa_id_t), ngx_time() / 64)
           | 1;
    slot = &ngx_http_stoa_mcp_work_mutes[hash % NGX_HTTP_STOA_MCP_WORK_MUTES];
    *slot = set ? hash : *slot;

    return *slot == hash;
}


void
ngx_http_stoa_mcp_work_start(ngx_http_stoa_mcp_park_t *park,
    const ngx_http_stoa_mcp_parks_t *with)
{
    ngx_http_stoa_mcp_work_with = with;

    park->event.handler = ngx_http_stoa_mcp_work_event;
    ngx_http_stoa_mcp_park_begin(park, with);

    if (park->source == NULL || park->declared == 0
        || ngx_http_stoa_mcp_work_mute(park, 0))
    {
        ngx_post_event(&park->event, &ngx_posted_events);
        return;
    }

    /* what is asked there before it is open is asked of nobody */

    park->source->data = park;
    park->source->event = ngx_http_stoa_mcp_work_source_event;
    park->source->read = ngx_http_stoa_mcp_work_source_read;
    ngx_add_timer(&park->event, NGX_HTTP_STOA_MCP_WORK_STREAM_MS);

    ngx_http_stoa_mcp_source_start(park->source);
}


static void
ngx_http_stoa_mcp_work_event(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_park_t *park = ev->data;

    switch (park->stage) {

    case NGX_HTTP_STOA_MCP_PARK_STREAM:
        ngx_http_stoa_mcp_work_level(park);
        return;

    case NGX_HTTP_STOA_MCP_PARK_GATHER:
        ngx_http_stoa_mcp_work_put(park);
        return;

    case NGX_HTTP_STOA_MCP_PARK_WAIT:
    case NGX_HTTP_STOA_MCP_PARK_KEPT:
        ngx_http_stoa_mcp_park_expire(park);
        return;
    }
}


/* ---- before the call ---------------------------------------------------- */

static stoa_rc_t
ngx_http_stoa_mcp_work_source_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_work_message(src->data, event->data.data,
                                   event->data.len);
    return STOA_OK;
}


static void
ngx_http_stoa_mcp_work_source_read(ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_park_t *park = src->data;

    if (src->status == NGX_HTTP_NOT_ALLOWED) {
        (void) ngx_http_stoa_mcp_work_mute(park, 1);
    }

    if (park->stage == NGX_HTTP_STOA_MCP_PARK_STREAM) {
        ngx_http_stoa_mcp_work_level(park);
    }
}


static void
ngx_http_stoa_mcp_work_level(ngx_http_stoa_mcp_park_t *park)
{
    u_char                    text[NGX_HTTP_STOA_MCP_LEVEL_TEXT];
    ngx_str_t                 body, id;
    ngx_http_stoa_mcp_ask_t  *ask;

    if (park->seat.level == 0 || !park->logs) {
        ngx_http_stoa_mcp_work_call(park);
        return;
    }

    ngx_http_stoa_mcp_park_stage(park, NGX_HTTP_STOA_MCP_PARK_LEVEL, 0);
    ngx_http_stoa_mcp_level_body(text, park->seat.level, &body);

    ask = ngx_http_stoa_mcp_work_ask(park, &body);

    if (ask == NULL) {
        ngx_http_stoa_mcp_work_call(park);
        return;
    }

    ngx_str_set(&id, "\"stoa-level\"");
    ask->id.type = STOA_JSON_STRING;
    ask->id.start = (char *) id.data;
    ask->id.end = (char *) id.data + id.len;
    ask->fetch->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_WORK_LEVEL_MS;
    ask->fetch->idempotent = 1;
    ask->done = ngx_http_stoa_mcp_work_leveled;

    park->ask = ask;
    ngx_http_stoa_mcp_ask_start(ask);
}


/* Whatever is said to it: the call counts more. */

static void
ngx_http_stoa_mcp_work_leveled(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_park_t *park = data;

    park->ask = NULL;
    ngx_http_stoa_mcp_work_call(park);
}


static void
ngx_http_stoa_mcp_work_call(ngx_http_stoa_mcp_park_t *park)
{
    ngx_http_stoa_mcp_ask_t  *ask;

    ask = ngx_http_stoa_mcp_work_ask(park, &park->body);

    if (ask == NULL) {
        park->fault.what = NGX_HTTP_STOA_REFUSE_INTERNAL;
        ngx_http_stoa_mcp_park_give(park);
        return;
    }

    ask->id.type = STOA_JSON_STRING;
    ask->id.start = (char *) park->call_id.data;
    ask->id.end = (char *) park->call_id.data + park->call_id.len;
    ask->max = NGX_HTTP_STOA_MCP_EVENT_MAX;
    ask->words = 1;
    ask->done = ngx_http_stoa_mcp_work_asked;
    ask->other = ngx_http_stoa_mcp_work_other;

    if (park->api->rec->max_call_ms) {
        ask->fetch->deadline = ngx_current_msec
                               + park->api->rec->max_call_ms;
        park->until = ask->fetch->deadline;
    }

    park->ask = ask;
    ngx_http_stoa_mcp_park_stage(park, park->nqueries
                                       ? NGX_HTTP_STOA_MCP_PARK_GATHER
                                       : NGX_HTTP_STOA_MCP_PARK_CALL,
                                 park->nqueries
                                 ? NGX_HTTP_STOA_MCP_WORK_GATHER_MS : 0);
    ngx_http_stoa_mcp_ask_start(ask);
}


static ngx_http_stoa_mcp_ask_t *
ngx_http_stoa_mcp_work_ask(ngx_http_stoa_mcp_park_t *park,
    const ngx_str_t *body)
{
    ngx_uint_t                pin;
    ngx_http_stoa_mcp_ask_t  *ask;

    static ngx_str_t  none = ngx_null_string;

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NULL;
    }

    pin = park->ref.target;
    ask->fetch->body.data = ngx_pstrdup(ask->pool, (ngx_str_t *) body);

    if (ask->fetch->body.data == NULL
        || ngx_http_stoa_upstream_fetch(ask->fetch, park->api, &park->via,
                                        &none,
                                        park->ref.sid.len ? &pin : NULL)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NULL;
    }

    ask->fetch->body.len = body->len;
    ask->fetch->headers = park->headers;
    ask->fetch->subject = park->subject;
    ask->fetch->group = park->group;
    ask->fetch->stay = 1;
    ask->data = park;

    return ask;
}


/* ---- what the upstream says --------------------------------------------- */

static void
ngx_http_stoa_mcp_work_other(ngx_http_stoa_mcp_ask_t *ask, void *data,
    const ngx_str_t *text)
{
    (void) ask;

    ngx_http_stoa_mcp_work_message(data, (char *) text->data, text->len);
}


static void
ngx_http_stoa_mcp_work_message(ngx_http_stoa_mcp_park_t *park,
    const char *data, size_t len)
{
    stoa_err_t       err;
    stoa_glance_t    g;
    stoa_json_val_t  root;

    if (len == 0) {
        return;
    }

    if (stoa_json_check(data, len, STOA_JSON_DEPTH_MAX, &root, &err)
        != STOA_OK
        || stoa_glance(data, len, &g) != STOA_OK
        || g.kind == STOA_GLANCE_ANSWER)
    {
        ngx_http_stoa_count(mcp_dropped, 1);
        return;
    }

    park->said = 1;

    if (g.kind == STOA_GLANCE_NOTIFICATION) {
        ngx_http_stoa_mcp_work_note(park, data, len, &g);
        return;
    }

    if (ngx_http_stoa_mcp_query(park, &g) == NGX_OK
        && park->stage == NGX_HTTP_STOA_MCP_PARK_CALL)
    {
        ngx_http_stoa_mcp_park_stage(park, NGX_HTTP_STOA_MCP_PARK_GATHER,
                                     NGX_HTTP_STOA_MCP_WORK_GATHER_MS);
    }
}


static ngx_uint_t
ngx_http_stoa_mcp_work_is(const stoa_json_val_t *v, const ngx_str_t *text)
{
    return (size_t) (v->end - v->start) == text->len
           && ngx_memcmp(v->start, text->data, text->len) == 0;
}


static void
ngx_http_stoa_mcp_work_note(ngx_http_stoa_mcp_park_t *park, const char *data,
    size_t len, const stoa_glance_t *g)
{
    stoa_json_val_t  v;

    static ngx_str_t  progress = ngx_string("\"notifications/progress\"");
    static ngx_str_t  message = ngx_string("\"notifications/message\"");
    static ngx_str_t  cancelled = ngx_string("\"notifications/cancelled\"");

    if (ngx_http_stoa_mcp_work_is(&g->method, &cancelled)) {
        ngx_http_stoa_mcp_query_cancel(park, g);

    } else if (park->seat.pid == 0 || g->params.start == NULL) {
        return;

    } else if (ngx_http_stoa_mcp_work_is(&g->method, &progress)) {
        ngx_http_stoa_mcp_work_progress(park, data, len, g);

    } else if (ngx_http_stoa_mcp_work_is(&g->method, &message)
               && park->seat.level
               && stoa_json_get(&g->params, "level", &v)
               && ngx_http_stoa_mcp_level_find(&v) >= park->seat.level)
    {
        (void) ngx_http_stoa_mcp_park_tell(park->seat.pid, park->seat.ticket,
                                           'S', data, len);
    }
}


/* With the token of the request that waits now. */

static void
ngx_http_stoa_mcp_work_progress(ngx_http_stoa_mcp_park_t *park,
    const char *data, size_t len, const stoa_glance_t *g)
{
    stoa_buf_t        b;
    stoa_json_val_t   v, own;
    stoa_buf_t       *token;

    token = &park->seat.token;

    if (token->len == 0 || park->token.len == 0
        || !stoa_json_get(&g->params, "progressToken", &v))
    {
        return;
    }

    own.start = (char *) park->token.data;
    own.end = own.start + park->token.len;
    own.type = *own.start == '"' ? STOA_JSON_STRING : STOA_JSON_NUMBER;
    own.escaped = memchr(own.start, '\\', park->token.len) != NULL;

    if (!ngx_http_stoa_mcp_fault_same_id(&own, &v)) {
        return;
    }

    stoa_buf_init(&b, NGX_HTTP_STOA_MCP_EVENT_MAX + STOA_JSONRPC_ID_MAX);
    stoa_buf_add(&b, data, v.start - data);
    stoa_buf_add(&b, token->data, token->len);
    stoa_buf_add(&b, v.end, data + len - v.end);

    if (b.rc == STOA_OK) {
        (void) ngx_http_stoa_mcp_park_tell(park->seat.pid, park->seat.ticket,
                                           'S', b.data, b.len);
    }

    stoa_buf_free(&b);
}


/* The answer, or that there is none. */

static void
ngx_http_stoa_mcp_work_asked(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_park_t *park = data;

    stoa_str_t  text;

    park->ask = NULL;
    park->fault = ask->fault;

    if (!ask->answered && ask->eid.len && park->source
        && (ask->how == NGX_HTTP_STOA_FETCH_DONE
            || ask->how == NGX_HTTP_STOA_FETCH_CUT)
        && ngx_http_stoa_mcp_work_rest(park, ask) == NGX_OK)
    {
        return;
    }

    if (ask->result.start == NULL && !park->said && park->round == 0
        && ngx_http_stoa_mcp_work_with->heal(park->seat.ticket, ask)
           == NGX_OK)
    {
        ngx_http_stoa_mcp_park_free(park);
        return;
    }

    text.data = ask->answered ? ask->root.start : NULL;
    text.len = ask->answered ? ask->root.end - ask->root.start : 0;

    ngx_http_stoa_mcp_work_end(park, &text);
}


/* text->len 0: park->fault. */

static void
ngx_http_stoa_mcp_work_end(ngx_http_stoa_mcp_park_t *park, stoa_str_t *text)
{
    stoa_buf_t                    bridged;
    ngx_http_stoa_mcp_upstream_t  up;

    stoa_buf_init(&bridged, 0);
    ngx_http_stoa_mcp_query_free(park);
    ngx_http_stoa_mcp_query_session(park, &up);

    if (text->len == 0) {
        ngx_http_stoa_mcp_leave(&up);

    } else {
        ngx_http_stoa_mcp_map_give(&park->home, &up);

        if (ngx_http_stoa_mcp_query_urls(park, text, &park->result) != NGX_OK
            && ngx_http_stoa_mcp_bridge_text(park->method, park->declared,
                                             text, &bridged)
               == NGX_OK)
        {
            stoa_buf_reset(&park->result);
            stoa_buf_add(&park->result, text->data, text->len);
        }

        stoa_buf_free(&bridged);

        if (park->result.rc != STOA_OK || park->result.len == 0
            || (park->seat.pid == 0
                && park->result.len > NGX_HTTP_STOA_MCP_KEPT_MAX))
        {
            stoa_buf_free(&park->result);
            park->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
            ngx_http_stoa_mcp_fault_say(&park->fault, "an answer that is too "
                                        "long to be kept for the client");
        }
    }

    if (park->seat.pid) {
        ngx_http_stoa_mcp_park_give(park);
        return;
    }

    ngx_http_stoa_mcp_park_stage(park, NGX_HTTP_STOA_MCP_PARK_KEPT,
                                 NGX_HTTP_STOA_MCP_KEPT_MS);
}


/* ---- a stream that goes on elsewhere ------------------------------------ */

/* An upstream may end the stream of the call to be polled for the rest. */

static ngx_int_t
ngx_http_stoa_mcp_work_rest(ngx_http_stoa_mcp_park_t *park,
    ngx_http_stoa_mcp_ask_t *ask)
{
    stoa_str_t  eid;
    ngx_msec_t  delay;

    eid.data = ask->eid.data;
    eid.len = ask->eid.len;

    park->rest = ngx_http_stoa_mcp_source_clone(park->source, &eid);
    if (park->rest == NULL) {
        return NGX_ERROR;
    }

    park->rest->data = park;
    park->rest->event = ngx_http_stoa_mcp_work_rest_event;
    park->rest->read = ngx_http_stoa_mcp_work_rest_read;
    park->resume.handler = ngx_http_stoa_mcp_work_rest_resume;

    delay = ask->retry_ms < 0 ? NGX_HTTP_STOA_MCP_WORK_POLL_MS
                              : (ngx_msec_t) ask->retry_ms;
    delay = ngx_max(delay, NGX_HTTP_STOA_MCP_RETRY_MIN);
    ngx_add_timer(&park->resume, ngx_min(delay,
                                         NGX_HTTP_STOA_MCP_WORK_POLL_TOP));

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_work_rest_resume(ngx_event_t *ev)
{
    ngx_http_stoa_mcp_park_t *park = ev->data;

    stoa_str_t  text;
    ngx_uint_t  late;

    late = park->until
           && (ngx_msec_int_t) (ngx_current_msec - park->until) >= 0;

    if (park->came.len || park->rest->over || late
        || park->rest->failures > NGX_HTTP_STOA_MCP_WORK_POLLS)
    {
        text.data = park->came.data;
        text.len = park->came.len;
        park->fault.what = late ? NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT
                                : NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
        ngx_http_stoa_mcp_fault_say(&park->fault, late
                                    ? "longer than max_call_ms"
                                    : "a stream without an answer");
        ngx_http_stoa_mcp_source_free(park->rest);
        park->rest = NULL;
        ngx_http_stoa_mcp_work_end(park, &text);
        return;
    }

    ngx_http_stoa_mcp_source_start(park->rest);
    ngx_http_stoa_mcp_work_patience(park);
}


/* What follows from it is done when the source has been read. */

static stoa_rc_t
ngx_http_stoa_mcp_work_rest_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_park_t *park = src->data;

    stoa_glance_t    g;
    stoa_json_val_t  id;

    id.type = STOA_JSON_STRING;
    id.start = (char *) park->call_id.data;
    id.end = id.start + park->call_id.len;
    id.escaped = 0;

    if (event->data.len
        && stoa_glance(event->data.data, event->data.len, &g) == STOA_OK
        && g.kind == STOA_GLANCE_ANSWER && stoa_glance_same(&g.id, &id))
    {
        if (park->came.len == 0) {
            stoa_buf_add(&park->came, event->data.data, event->data.len);
        }

        return STOA_OK;
    }

    ngx_http_stoa_mcp_work_message(park, event->data.data, event->data.len);

    return STOA_OK;
}


static void
ngx_http_stoa_mcp_work_rest_read(ngx_http_stoa_mcp_source_t *src)
{
    ngx_msec_int_t             delay;
    ngx_http_stoa_mcp_park_t  *park = src->data;

    if (park->came.len || (src->fetch == NULL && src->over)) {
        ngx_post_event(&park->resume, &ngx_posted_events);

    } else if (src->fetch == NULL && !park->resume.timer_set) {
        delay = (ngx_msec_int_t) (src->again - ngx_current_msec);
        delay = ngx_max(delay, 1);
        ngx_add_timer(&park->resume,
                      ngx_min((ngx_msec_t) delay,
                              NGX_HTTP_STOA_MCP_WORK_POLL_TOP));
    }
}


/* How long the upstream may be silent. */

static void
ngx_http_stoa_mcp_work_patience(ngx_http_stoa_mcp_park_t *park)
{
    ngx_msec_t              ms;
    ngx_http_stoa_fetch_t  *f;

    ms = park->api->rec->read_timeout_ms ? park->api->rec->read_timeout_ms
                                         : 60000;

    if (park->stage == NGX_HTTP_STOA_MCP_PARK_WAIT) {
        ms = park->wait_ms + 10000;
    }

    f = park->ask ? park->ask->fetch : park->rest ? park->rest->fetch : NULL;

    if (f) {
        ngx_http_stoa_fetch_patience(f, ms);
    }

    ngx_http_stoa_mcp_park_pause(park, 0);
}


/* ---- the client --------------------------------------------------------- */

/* The client is asked: his request ends, the call waits for the next one. */

static void
ngx_http_stoa_mcp_work_put(ngx_http_stoa_mcp_park_t *park)
{
    ngx_int_t   rc;
    stoa_buf_t  b;

    if (park->nqueries == 0) {
        ngx_http_stoa_mcp_park_stage(park, NGX_HTTP_STOA_MCP_PARK_CALL, 0);
        return;
    }

    if (ngx_http_stoa_mcp_park_full(park)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "an MCP upstream gets "
                      "no answer to what it asks: too many calls wait for "
                      "their clients");
        ngx_http_stoa_mcp_query_refuse(park);
        ngx_http_stoa_mcp_park_stage(park, NGX_HTTP_STOA_MCP_PARK_CALL, 0);
        return;
    }

    stoa_buf_init(&b, 2 * NGX_HTTP_STOA_MCP_EVENT_MAX);
    ngx_http_stoa_mcp_query_write(park, &b);

    rc = b.rc == STOA_OK
         ? ngx_http_stoa_mcp_park_tell(park->seat.pid, park->seat.ticket, 'D',
                                       b.data, b.len)
         : NGX_ERROR;

    stoa_buf_free(&b);

    if (rc != NGX_OK) {
        ngx_http_stoa_mcp_park_leave(park);
        return;
    }

    park->seat.pid = 0;
    ngx_http_stoa_mcp_park_count(park, 1);
    ngx_http_stoa_count(mcp_parked, 1);

    ngx_http_stoa_mcp_park_stage(park, NGX_HTTP_STOA_MCP_PARK_WAIT,
                                 park->wait_ms);
    ngx_http_stoa_mcp_work_patience(park);
}


void
ngx_http_stoa_mcp_work_came(const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_park_t  *park;

    if (len < 1 + 2 * NGX_HTTP_STOA_MCP_PARK_ID) {
        return;
    }

    if (p[0] == 'G') {
        ngx_http_stoa_mcp_work_go(p + 1, len - 1);
        return;
    }

    park = ngx_http_stoa_mcp_park_of(p + 1);

    if (park == NULL) {
        return;
    }

    switch (p[0]) {

    case 'L':
        ngx_http_stoa_mcp_park_leave(park);
        return;

    case 'P':
    case 'W':
        ngx_http_stoa_mcp_park_pause(park, p[0] == 'P');
        return;
    }
}


/* A text with its length before it; false: there is none. */

static ngx_uint_t
ngx_http_stoa_mcp_work_text(const u_char **p, const u_char *last,
    stoa_buf_t *to)
{
    uint32_t  n;

    if (last - *p < 4) {
        return 0;
    }

    ngx_memcpy(&n, *p, 4);
    *p += 4;

    if (n > (size_t) (last - *p)) {
        return 0;
    }

    stoa_buf_reset(to);
    stoa_buf_add(to, *p, n);
    *p += n;

    return to->rc == STOA_OK;
}


static void
ngx_http_stoa_mcp_work_go(const u_char *p, size_t len)
{
    uint16_t                   round;
    uint32_t                   pid;
    stoa_err_t                 err;
    const u_char              *last, *ticket;
    stoa_json_val_t            all;
    ngx_http_stoa_mcp_park_t  *park;

    if (len < NGX_HTTP_STOA_MCP_PARK_ID * 2 + 7) {
        return;
    }

    last = p + len;
    park = ngx_http_stoa_mcp_park_find(p);
    p += NGX_HTTP_STOA_MCP_PARK_ID;
    ngx_memcpy(&pid, p, 4);
    ticket = p + 4;
    p = ticket + NGX_HTTP_STOA_MCP_PARK_ID;
    ngx_memcpy(&round, p, 2);

    if (park == NULL || park->seat.pid || park->round != round
        || (park->stage != NGX_HTTP_STOA_MCP_PARK_WAIT
            && park->stage != NGX_HTTP_STOA_MCP_PARK_KEPT))
    {
        (void) ngx_http_stoa_mcp_park_tell((ngx_pid_t) pid, ticket, 'N', NULL,
                                           0);
        return;
    }

    park->seat.pid = (ngx_pid_t) pid;
    park->seat.level = p[2];
    ngx_memcpy(park->seat.ticket, ticket, NGX_HTTP_STOA_MCP_PARK_ID);
    p += 3;
    park->round++;
    ngx_http_stoa_mcp_park_count(park, 0);

    if (!ngx_http_stoa_mcp_work_text(&p, last, &park->seat.id)
        || !ngx_http_stoa_mcp_work_text(&p, last, &park->seat.token)
        || stoa_json_check((char *) p, last - p, STOA_JSON_DEPTH_MAX, &all,
                           &err)
           != STOA_OK)
    {
        ngx_http_stoa_mcp_park_leave(park);
        return;
    }

    if (park->stage == NGX_HTTP_STOA_MCP_PARK_KEPT) {
        ngx_http_stoa_mcp_park_give(park);
        return;
    }

    ngx_http_stoa_mcp_query_answer(park, &all);

    ngx_http_stoa_mcp_park_stage(park, park->nqueries
                                       ? NGX_HTTP_STOA_MCP_PARK_GATHER
                                       : NGX_HTTP_STOA_MCP_PARK_CALL,
                                 park->nqueries
                                 ? NGX_HTTP_STOA_MCP_WORK_GATHER_MS : 0);
    ngx_http_stoa_mcp_work_patience(park);
}
