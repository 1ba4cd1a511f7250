/*
 * A listen's own session at an upstream that has sessions, for what it tells
 * of resources: opened, its stream asked for, each resource subscribed to, one
 * after the other; ended with the listen.  If the upstream has forgotten it
 * there is another one, and if its stream was cut it is asked for again: each
 * resource may be another one then.
 *
 * Process: workers.  Lifetime: the listen's; malloc'ed, as it comes and goes.
 * Limits: one for each api of the listen's NGX_HTTP_STOA_MCP_UPDATES.
 */

#include "ngx_http_stoa_updates.h"
#include "ngx_http_stoa_relay.h"


#define NGX_HTTP_STOA_MCP_VISIT_MS   10000
#define NGX_HTTP_STOA_MCP_VISIT_TOP  30000


/* The other end of a visit's session that is being opened. */

struct ngx_http_stoa_mcp_visiting_s {
    ngx_http_stoa_mcp_visit_t  *visit;          /* NULL: it is gone          */
};


static ngx_int_t ngx_http_stoa_mcp_visit_open(ngx_http_stoa_mcp_visit_t *v);
static void ngx_http_stoa_mcp_visit_opened(ngx_http_stoa_mcp_open_t *o,
    void *data);
static ngx_int_t ngx_http_stoa_mcp_visit_source(ngx_http_stoa_mcp_visit_t *v,
    const ngx_http_stoa_mcp_upstream_t *up);
static void ngx_http_stoa_mcp_visit_read(ngx_http_stoa_mcp_source_t *src);
static stoa_rc_t ngx_http_stoa_mcp_visit_event(
    ngx_http_stoa_mcp_source_t *src, const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_visit_next(ngx_http_stoa_mcp_visit_t *v);
static ngx_int_t ngx_http_stoa_mcp_visit_ask(ngx_http_stoa_mcp_visit_t *v,
    const stoa_str_t *uri);
static void ngx_http_stoa_mcp_visit_asked(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static ngx_uint_t ngx_http_stoa_mcp_visit_said(ngx_http_stoa_mcp_visit_t *v);
static void ngx_http_stoa_mcp_visit_told(ngx_http_stoa_mcp_visit_t *v,
    const stoa_json_val_t *uri);
static void ngx_http_stoa_mcp_visit_lost(ngx_http_stoa_mcp_visit_t *v);
static void ngx_http_stoa_mcp_visit_leave(ngx_http_stoa_mcp_visit_t *v);


/* ---- the session -------------------------------------------------------- */

ngx_http_stoa_mcp_visit_t *
ngx_http_stoa_mcp_visit(ngx_http_stoa_mcp_updates_t *u, const stoa_id_t *api)
{
    ngx_http_stoa_mcp_visit_t  *v;

    v = ngx_calloc(sizeof(ngx_http_stoa_mcp_visit_t), ngx_cycle->log);
    if (v == NULL) {
        return NULL;
    }

    v->updates = u;
    v->api = *api;

    if (ngx_http_stoa_mcp_visit_open(v) != NGX_OK) {
        ngx_free(v);
        return NULL;
    }

    return v;
}


void
ngx_http_stoa_mcp_visit_free(ngx_http_stoa_mcp_visit_t *v)
{
    if (v->opening) {
        v->opening->visit = NULL;
    }

    ngx_http_stoa_mcp_visit_leave(v);
    ngx_free(v);
}


static ngx_int_t
ngx_http_stoa_mcp_visit_open(ngx_http_stoa_mcp_visit_t *v)
{
    stoa_mcp_ref_t                  ref;
    ngx_http_request_t             *r;
    ngx_http_stoa_ctx_t            *ctx;
    ngx_http_stoa_api_t            *api;
    ngx_http_stoa_mcp_open_t       *o;
    ngx_http_stoa_mcp_visiting_t   *opening;

    r = v->updates->hold->request;
    ctx = v->updates->hold->ctx;

    ngx_memzero(&ref, sizeof(ref));
    ngx_memcpy(ref.api, &v->api, STOA_ID_LEN);

    api = ngx_http_stoa_mcp_relay_of(r, ctx, &ref);
    o = api ? ngx_http_stoa_mcp_open_create(api) : NULL;

    if (o == NULL) {
        return NGX_ERROR;
    }

    opening = ngx_pcalloc(o->pool, sizeof(ngx_http_stoa_mcp_visiting_t));

    if (opening == NULL
        || ngx_http_stoa_mcp_relay_headers(r, ctx, api, &ref, o->pool,
                                           &o->headers)
           != NGX_OK
        || ngx_http_stoa_credential_caller(api, ctx, o->pool, &o->subject)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_open_free(o);
        return NGX_ERROR;
    }

    ngx_http_stoa_via(r, &o->via);
    ngx_http_stoa_mcp_leave_via(r);
    o->version = NGX_HTTP_STOA_MCP_VERSION_LATEST_LEGACY;
    o->done = ngx_http_stoa_mcp_visit_opened;
    o->data = opening;
    opening->visit = v;

    if (ngx_http_stoa_mcp_open_start(o) != NGX_OK) {
        ngx_http_stoa_mcp_open_free(o);
        return NGX_ERROR;
    }

    v->opening = opening;

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_visit_opened(ngx_http_stoa_mcp_open_t *o, void *data)
{
    ngx_http_stoa_mcp_visiting_t *opening = data;

    ngx_http_stoa_mcp_visit_t    *v;
    ngx_http_stoa_mcp_updates_t  *u;

    v = opening->visit;
    o->up.api = o->api->id;
    o->up.target = o->target;

    if (v == NULL) {
        if (o->opened) {
            ngx_http_stoa_mcp_leave(&o->up);
        }

        return;
    }

    v->opening = NULL;

    /* a stream that cannot even begin would push the listen away, and v */

    u = v->updates;
    u->busy = 1;

    if (o->opened && o->up.len == 0) {
        v->over = 1;                            /* it would tell nobody      */
        ngx_http_stoa_mcp_visit_said(v);

    } else if (o->opened) {
        v->at = 0;
        v->cut = 0;
        v->listens = 0;

        if (ngx_http_stoa_mcp_visit_source(v, &o->up) != NGX_OK) {
            ngx_http_stoa_mcp_leave(&o->up);
            ngx_http_stoa_mcp_visit_lost(v);
        }

    } else {
        ngx_http_stoa_mcp_visit_lost(v);
    }

    u->busy = 0;

    if (u->waits == 0) {
        u->ready(u->hold);
    }

    ngx_http_stoa_mcp_updates_push(u);
}


static ngx_int_t
ngx_http_stoa_mcp_visit_source(ngx_http_stoa_mcp_visit_t *v,
    const ngx_http_stoa_mcp_upstream_t *up)
{
    stoa_mcp_ref_t               ref;
    ngx_http_stoa_api_t         *api;
    ngx_http_stoa_mcp_source_t  *src;

    static const stoa_str_t  none = { "", 0 };

    ngx_memcpy(ref.api, &up->api, STOA_ID_LEN);
    ref.target = up->target;
    ref.version = up->version == NGX_HTTP_STOA_MCP_VERSION_NONE
                  ? 0 : up->version + 1;
    ref.sid = (stoa_str_t) { (char *) up->sid, up->len };

    api = ngx_http_stoa_mcp_relay_of(v->updates->hold->request,
                                     v->updates->hold->ctx, &ref);
    src = api ? ngx_http_stoa_mcp_source_create(v->updates->hold->request,
                                                v->updates->hold->ctx, api,
                                                &ref, &none)
              : NULL;
    if (src == NULL) {
        return NGX_ERROR;
    }

    src->data = v;
    src->event = ngx_http_stoa_mcp_visit_event;
    src->read = ngx_http_stoa_mcp_visit_read;
    v->source = src;

    ngx_http_stoa_mcp_source_start(src);

    return NGX_OK;
}


/* It is ended there, too. */

static void
ngx_http_stoa_mcp_visit_leave(ngx_http_stoa_mcp_visit_t *v)
{
    ngx_http_stoa_mcp_source_t    *src;
    ngx_http_stoa_mcp_upstream_t   up;

    if (v->ask) {
        ngx_http_stoa_mcp_ask_cancel(v->ask);
        v->ask = NULL;
    }

    src = v->source;

    if (src == NULL) {
        return;
    }

    v->source = NULL;

    ngx_memzero(&up, offsetof(ngx_http_stoa_mcp_upstream_t, sid));
    up.api = v->api;
    up.target = src->ref.target;
    up.version = src->ref.version ? src->ref.version - 1
                                  : NGX_HTTP_STOA_MCP_VERSION_NONE;
    up.len = src->ref.sid.len;
    ngx_memcpy(up.sid, src->ref.sid.data, up.len);

    ngx_http_stoa_mcp_leave_caller(v->updates->hold->ctx);
    ngx_http_stoa_mcp_leave(&up);
    ngx_http_stoa_mcp_leave_caller(NULL);

    ngx_http_stoa_mcp_source_free(src);
}


/* Another one is opened in a while, if the client counts on it. */

static void
ngx_http_stoa_mcp_visit_lost(ngx_http_stoa_mcp_visit_t *v)
{
    ngx_http_stoa_mcp_visit_leave(v);
    v->over = !v->subscribed;
    v->again = ngx_current_msec
               + ngx_min((ngx_msec_t) 500 << ngx_min(v->failures, 6),
                         NGX_HTTP_STOA_MCP_VISIT_TOP);
    v->failures++;
    ngx_http_stoa_mcp_visit_said(v);
}


void
ngx_http_stoa_mcp_visit_look(ngx_http_stoa_mcp_visit_t *v)
{
    if (v->source && v->source->fetch && !v->listens) {

        /* its head may come with the first event only */

        v->listens = 1;
        ngx_http_stoa_mcp_visit_next(v);

    } else if (v->source) {
        ngx_http_stoa_mcp_sources_again(v->updates->hold->request,
                                        v->updates->hold->ctx, v->source);

    } else if (v->opening == NULL && !v->over
               && (ngx_msec_int_t) (ngx_current_msec - v->again) >= 0
               && ngx_http_stoa_mcp_visit_open(v) != NGX_OK)
    {
        ngx_http_stoa_mcp_visit_lost(v);
    }
}


/* ---- what comes --------------------------------------------------------- */

static void
ngx_http_stoa_mcp_visit_read(ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_visit_t *v = src->data;

    ngx_http_stoa_mcp_updates_t  *u;

    u = v->updates;

    if (src->over) {
        ngx_http_stoa_mcp_visit_lost(v);

    } else if (src->fetch == NULL) {
        v->cut = 1;

        if (!v->subscribed) {
            ngx_http_stoa_mcp_visit_lost(v);
        }

    } else if (!v->listens) {
        v->listens = 1;
        ngx_http_stoa_mcp_visit_next(v);

    } else if (v->cut) {
        v->cut = 0;

        if (src->eid.len == 0 && v->subscribed && v->ask == NULL) {
            ngx_http_stoa_mcp_visit_told(v, NULL);
        }
    }

    ngx_http_stoa_mcp_updates_push(u);
}


static stoa_rc_t
ngx_http_stoa_mcp_visit_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_visit_t *v = src->data;

    stoa_str_t       method;
    stoa_glance_t    g;
    stoa_json_val_t  at;

    static const char  updated[] = "notifications/resources/updated";

    if (event->data.len == 0
        || stoa_glance(event->data.data, event->data.len, &g) != STOA_OK)
    {
        return STOA_OK;
    }

    if (g.kind == STOA_GLANCE_REQUEST) {

        if (v->selves++ < NGX_HTTP_STOA_MCP_SELVES
            && stoa_json_text(&g.method, &method))
        {
            ngx_http_stoa_mcp_relay_self(v->updates->hold->request,
                                         v->updates->hold->ctx, &src->ref,
                                         &g.id, method.len == 4
                                         && ngx_memcmp(method.data, "ping", 4)
                                            == 0 ? NULL
                                         : NGX_HTTP_STOA_MCP_NOT_DECLARED);
        }

        return STOA_OK;
    }

    if (g.kind == STOA_GLANCE_NOTIFICATION && g.params.start
        && stoa_json_text(&g.method, &method)
        && method.len == sizeof(updated) - 1
        && ngx_memcmp(method.data, updated, method.len) == 0
        && stoa_glance_get(&g.params, "uri", &at)
        && at.type == STOA_JSON_STRING)
    {
        ngx_http_stoa_mcp_visit_told(v, &at);
    }

    return STOA_OK;
}


/* ---- what is asked for -------------------------------------------------- */

static void
ngx_http_stoa_mcp_visit_next(ngx_http_stoa_mcp_visit_t *v)
{
    ngx_http_stoa_mcp_update_t   *up;
    ngx_http_stoa_mcp_updates_t  *u;

    u = v->updates;

    for ( /* void */ ; v->at < u->n; v->at++) {
        up = &u->update[v->at];

        if (up->visit == v && (up->honoured || !v->subscribed)
            && ngx_http_stoa_mcp_visit_ask(v, &up->upstream) == NGX_OK)
        {
            return;
        }
    }

    v->failures = 0;
    v->over = !ngx_http_stoa_mcp_visit_said(v);

    if (v->over) {
        ngx_http_stoa_mcp_visit_leave(v);

    } else if (v->subscribed) {
        ngx_http_stoa_mcp_visit_told(v, NULL);
    }

    v->subscribed = 1;
}


static ngx_int_t
ngx_http_stoa_mcp_visit_ask(ngx_http_stoa_mcp_visit_t *v,
    const stoa_str_t *uri)
{
    ngx_str_t                    id;
    stoa_buf_t                   b;
    ngx_uint_t                   pin;
    ngx_http_stoa_mcp_ask_t     *ask;
    ngx_http_stoa_mcp_source_t  *src;

    static ngx_str_t  none = ngx_null_string;

    src = v->source;
    pin = src->ref.target;

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    stoa_buf_init(&b, STOA_JSONRPC_BODY_MAX);

    if (ngx_http_stoa_mcp_ask_id(ask, &id) != NGX_OK
        || ngx_http_stoa_upstream_fetch(ask->fetch, src->api, &src->via,
                                        &none, &pin)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    stoa_buf_addf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":"
                  "\"resources/subscribe\",\"params\":{\"uri\":",
                  (int) id.len, id.data);
    stoa_buf_add_json(&b, uri->data, uri->len);
    stoa_buf_addz(&b, "}}");

    /* copies: the source may be renewed before this is answered */

    if (ngx_http_stoa_text(ask->pool, &b, &ask->fetch->body) != NGX_OK
        || ngx_http_stoa_copy(ask->pool, &ask->fetch->headers, &src->headers)
           != NGX_OK
        || ngx_http_stoa_copy(ask->pool, &ask->fetch->subject, &src->subject)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    ask->fetch->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_VISIT_MS;
    ask->fetch->idempotent = 1;
    ask->fetch->stay = 1;
    ask->done = ngx_http_stoa_mcp_visit_asked;
    ask->data = v;

    v->ask = ask;
    ngx_http_stoa_mcp_ask_start(ask);

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_visit_asked(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_visit_t *v = data;

    ngx_http_stoa_mcp_updates_t  *u;

    u = v->updates;
    v->ask = NULL;

    if (ask->result.start && !v->subscribed) {
        u->update[v->at].honoured = !u->told;
    }

    v->at++;
    ngx_http_stoa_mcp_visit_next(v);
    ngx_http_stoa_mcp_updates_push(u);
}


/* ---- the listen --------------------------------------------------------- */

/* Returns how many resources are honoured. */

static ngx_uint_t
ngx_http_stoa_mcp_visit_said(ngx_http_stoa_mcp_visit_t *v)
{
    ngx_uint_t                    i, n;
    ngx_http_stoa_mcp_updates_t  *u;

    u = v->updates;

    for (n = 0, i = 0; i < u->n; i++) {
        n += u->update[i].visit == v && u->update[i].honoured;
    }

    if (!v->said) {
        v->said = 1;
        ngx_http_stoa_mcp_updates_less(u);
    }

    return n;
}


/* uri NULL: all. */

static void
ngx_http_stoa_mcp_visit_told(ngx_http_stoa_mcp_visit_t *v,
    const stoa_json_val_t *uri)
{
    ngx_uint_t                    i;
    ngx_http_stoa_mcp_update_t   *up;
    ngx_http_stoa_mcp_updates_t  *u;

    u = v->updates;

    for (i = 0; i < u->n; i++) {
        up = &u->update[i];

        if (up->visit == v
            && (uri == NULL
                || ngx_http_stoa_mcp_updates_within(uri, &up->upstream)))
        {
            ngx_http_stoa_mcp_updates_tell(u, v->source->api, up);
        }
    }
}


ngx_uint_t
ngx_http_stoa_mcp_updates_within(const stoa_json_val_t *uri,
    const stoa_str_t *of)
{
    stoa_str_t  said;

    if (stoa_json_eq(uri, of->data, of->len)) {
        return 1;
    }

    return of->len && stoa_json_text(uri, &said) && said.len > of->len
           && ngx_memcmp(said.data, of->data, of->len) == 0
           && (of->data[of->len - 1] == '/' || said.data[of->len] == '/'
               || said.data[of->len] == '#');
}


void
ngx_http_stoa_mcp_updates_tell(ngx_http_stoa_mcp_updates_t *u,
    const ngx_http_stoa_api_t *api, const ngx_http_stoa_mcp_update_t *up)
{
    if (up->honoured
        && ngx_http_stoa_mcp_item_may(u->hold->request, u->hold->ctx, api,
                                      &up->upstream))
    {
        u->updated(u->hold, &up->uri);
    }
}


void
ngx_http_stoa_mcp_updates_less(ngx_http_stoa_mcp_updates_t *u)
{
    if (--u->waits == 0 && !u->busy) {
        u->ready(u->hold);
    }
}


void
ngx_http_stoa_mcp_updates_push(ngx_http_stoa_mcp_updates_t *u)
{
    if (!u->busy && !u->hold->over) {
        ngx_http_stoa_mcp_hold_push(u->hold);
    }
}
