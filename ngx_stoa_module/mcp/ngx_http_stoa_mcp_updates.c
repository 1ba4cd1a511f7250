/*
 * Updates of resources: each upstream that has some of what a client listens
 * for is asked for them by a listen of ours, and again when its stream ends,
 * after which each of its resources may be another one; one that has sessions
 * by one of them (_mcp_visit.c).
 */

#include "ngx_http_stoa_updates.h"
#include "ngx_http_stoa_store.h"


static ngx_int_t ngx_http_stoa_mcp_updates_one(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_json_val_t *val,
    ngx_http_stoa_mcp_update_t *up);
static ngx_uint_t ngx_http_stoa_mcp_updates_has(
    const ngx_http_stoa_mcp_updates_t *u,
    const ngx_http_stoa_mcp_update_t *up);
static void ngx_http_stoa_mcp_updates_cleanup(void *data);
static void ngx_http_stoa_mcp_updates_source(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_update_t *of);
static void ngx_http_stoa_mcp_updates_visit(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_update_t *of);
static ngx_int_t ngx_http_stoa_mcp_updates_body(
    ngx_http_stoa_mcp_updates_t *u, ngx_http_stoa_mcp_source_t *src);
static stoa_rc_t ngx_http_stoa_mcp_updates_event(
    ngx_http_stoa_mcp_source_t *src, const stoa_sse_event_t *event);
static ngx_uint_t ngx_http_stoa_mcp_updates_honoured(
    ngx_http_stoa_mcp_updates_t *u, ngx_http_stoa_mcp_source_t *src,
    const stoa_json_val_t *params);
static void ngx_http_stoa_mcp_updates_said(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_updates_read(ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_updates_gone(ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_updates_still(ngx_http_stoa_mcp_updates_t *u);


/* ---- which -------------------------------------------------------------- */

ngx_http_stoa_mcp_updates_t *
ngx_http_stoa_mcp_updates(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_json_val_t *uris)
{
    ngx_uint_t                    more, looked;
    stoa_json_val_t               val;
    stoa_json_iter_t              it;
    ngx_pool_cleanup_t           *cln;
    ngx_http_stoa_mcp_updates_t  *u;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_mcp_updates_t));
    if (cln == NULL) {
        return NULL;
    }

    u = cln->data;
    ngx_memzero(u, sizeof(ngx_http_stoa_mcp_updates_t));
    u->update = ngx_pcalloc(r->pool, NGX_HTTP_STOA_MCP_UPDATES
                                     * sizeof(ngx_http_stoa_mcp_update_t));
    if (u->update == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_stoa_mcp_updates_cleanup;

    for (looked = 0, more = stoa_json_first(uris, &it, NULL, &val);
         more && u->n < NGX_HTTP_STOA_MCP_UPDATES
         && looked < NGX_HTTP_STOA_MCP_UPDATES_LOOK;
         looked++, more = stoa_json_next(&it, NULL, &val))
    {
        switch (ngx_http_stoa_mcp_updates_one(r, ctx, &val,
                                              &u->update[u->n]))
        {
        case NGX_OK:
            u->n += !ngx_http_stoa_mcp_updates_has(u, &u->update[u->n]);
            break;

        case NGX_ERROR:
            return NULL;
        }
    }

    return u;
}


/* What is named twice is told of once. */

static ngx_uint_t
ngx_http_stoa_mcp_updates_has(const ngx_http_stoa_mcp_updates_t *u,
    const ngx_http_stoa_mcp_update_t *up)
{
    ngx_uint_t                         i;
    const ngx_http_stoa_mcp_update_t  *had;

    for (i = 0; i < u->n; i++) {
        had = &u->update[i];

        if (had->uri.len == up->uri.len
            && ngx_memcmp(had->uri.data, up->uri.data, up->uri.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* NGX_DECLINED: nobody has it, or nobody who could tell. */

static ngx_int_t
ngx_http_stoa_mcp_updates_one(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_json_val_t *val, ngx_http_stoa_mcp_update_t *up)
{
    ngx_int_t                   rc;
    const stoa_rec_api_t       *api;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rc = ngx_http_stoa_mcp_item_find(r, ctx, val, &up->api, &up->upstream);

    if (rc != NGX_OK) {
        return rc;
    }

    api = ngx_http_stoa_store_api(mcf->store, &up->api);

    if (api == NULL || !ngx_http_stoa_mcp_updates_can(api)) {
        return NGX_DECLINED;
    }

    up->sessions = api->era == STOA_ERA_LEGACY;

    up->uri.len = val->end - val->start;
    up->uri.data = (u_char *) val->start;          /* in the message         */

    return NGX_OK;
}


ngx_uint_t
ngx_http_stoa_mcp_updates_can(const stoa_rec_api_t *api)
{
    stoa_err_t       err;
    stoa_str_t       text;
    stoa_json_val_t  root, v;

    text = stoa_rec_str(api, api->capabilities);

    return stoa_json_check(text.data, text.len, STOA_JSON_DEPTH_MAX, &root,
                           &err)
           == STOA_OK
           && stoa_json_get(&root, "resources", &v)
           && v.type == STOA_JSON_OBJECT
           && stoa_json_get(&v, "subscribe", &v)
           && v.type == STOA_JSON_TRUE;
}


static void
ngx_http_stoa_mcp_updates_cleanup(void *data)
{
    ngx_http_stoa_mcp_updates_t *u = data;

    ngx_http_stoa_mcp_visit_t  *v;

    ngx_http_stoa_mcp_sources_free(&u->sources);

    while ((v = u->visits) != NULL) {
        u->visits = v->next;
        ngx_http_stoa_mcp_visit_free(v);
    }
}


/* ---- upstreams ---------------------------------------------------------- */

void
ngx_http_stoa_mcp_updates_begin(ngx_http_stoa_mcp_updates_t *u)
{
    ngx_uint_t  i;

    u->looked = ngx_current_msec;
    u->busy = 1;

    for (i = 0; i < u->n; i++) {
        if (u->update[i].source || u->update[i].visit) {
            continue;
        }

        if (u->update[i].sessions) {
            ngx_http_stoa_mcp_updates_visit(u, &u->update[i]);

        } else {
            ngx_http_stoa_mcp_updates_source(u, &u->update[i]);
        }
    }

    u->busy = 0;
}


static void
ngx_http_stoa_mcp_updates_source(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_update_t *of)
{
    ngx_uint_t                   i;
    stoa_mcp_ref_t               ref;
    ngx_http_stoa_api_t         *api;
    ngx_http_stoa_mcp_source_t  *src;

    static const stoa_str_t  none = { "", 0 };

    ngx_memzero(&ref, sizeof(stoa_mcp_ref_t));
    ngx_memcpy(ref.api, &of->api, STOA_ID_LEN);
    ref.version = NGX_HTTP_STOA_MCP_VERSION_MODERN + 1;
    ref.sid = none;

    api = ngx_http_stoa_mcp_relay_of(u->hold->request, u->hold->ctx, &ref);
    src = api ? ngx_http_stoa_mcp_source_create(u->hold->request,
                                                u->hold->ctx, api, &ref,
                                                &none)
              : NULL;
    if (src == NULL) {
        return;
    }

    for (i = of - u->update; i < u->n; i++) {
        if (ngx_memcmp(&u->update[i].api, &of->api, STOA_ID_LEN) == 0) {
            u->update[i].source = src;
        }
    }

    src->data = u;
    src->event = ngx_http_stoa_mcp_updates_event;
    src->read = ngx_http_stoa_mcp_updates_read;
    src->next = u->sources;
    u->sources = src;
    u->waits++;

    if (ngx_http_stoa_mcp_updates_body(u, src) != NGX_OK) {
        src->over = 1;
        ngx_http_stoa_mcp_updates_said(u, src);
        return;
    }

    ngx_http_stoa_mcp_source_start(src);
}


static void
ngx_http_stoa_mcp_updates_visit(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_update_t *of)
{
    ngx_uint_t                  i;
    ngx_http_stoa_mcp_visit_t  *v;

    v = ngx_http_stoa_mcp_visit(u, &of->api);
    if (v == NULL) {
        return;
    }

    v->next = u->visits;
    u->visits = v;
    u->waits++;

    for (i = of - u->update; i < u->n; i++) {
        if (ngx_memcmp(&u->update[i].api, &of->api, STOA_ID_LEN) == 0) {
            u->update[i].visit = v;
        }
    }
}


/* With what the client has said of himself. */

static ngx_int_t
ngx_http_stoa_mcp_updates_body(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_source_t *src)
{
    ngx_uint_t        i;
    stoa_buf_t       *b;
    const char       *comma;
    stoa_json_val_t  *meta;

    b = &src->body;
    meta = &u->hold->ctx->call.mcp->msg.meta;

    stoa_buf_init(b, STOA_JSONRPC_BODY_MAX);
    stoa_buf_addz(b, "{\"jsonrpc\":\"2.0\",\"id\":\"stoa-listen\",\"method\":"
                  "\"subscriptions/listen\",\"params\":{\"_meta\":");
    stoa_buf_add(b, meta->start, meta->end - meta->start);
    stoa_buf_addz(b, ",\"notifications\":{\"resourceSubscriptions\":[");

    for (comma = "", i = 0; i < u->n; i++) {
        if (u->update[i].source == src) {
            stoa_buf_addz(b, comma);
            stoa_buf_add_json(b, u->update[i].upstream.data,
                              u->update[i].upstream.len);
            comma = ",";
        }
    }

    stoa_buf_addz(b, "]}}}");

    return b->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


static stoa_rc_t
ngx_http_stoa_mcp_updates_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_updates_t *u = src->data;

    ngx_uint_t                   i;
    stoa_err_t                   err;
    stoa_json_val_t              root, method, params, uri;
    ngx_http_stoa_mcp_update_t  *up;

    static const char  ack[] = "notifications/subscriptions/acknowledged";
    static const char  updated[] = "notifications/resources/updated";

    if (event->data.len == 0
        || stoa_json_check(event->data.data, event->data.len,
                           STOA_JSON_DEPTH_MAX, &root, &err)
           != STOA_OK
        || !stoa_json_get(&root, "method", &method)
        || !stoa_json_get(&root, "params", &params))
    {
        return STOA_OK;
    }

    if (stoa_json_eq(&method, ack, sizeof(ack) - 1)) {

        if (src->acked) {
            return STOA_OK;                     /* it says so once           */
        }

        i = ngx_http_stoa_mcp_updates_honoured(u, src, &params);
        src->acked = 1;
        src->kept = i != 0;
        ngx_http_stoa_mcp_updates_said(u, src);
        return i ? STOA_OK : STOA_DECLINED;
    }

    if (!stoa_json_eq(&method, updated, sizeof(updated) - 1)
        || !stoa_json_get(&params, "uri", &uri)
        || uri.type != STOA_JSON_STRING)
    {
        return STOA_OK;
    }

    for (i = 0; i < u->n; i++) {
        up = &u->update[i];

        if (up->source == src
            && ngx_http_stoa_mcp_updates_within(&uri, &up->upstream))
        {
            ngx_http_stoa_mcp_updates_tell(u, src->api, up);
        }
    }

    return STOA_OK;
}


/* The first time the client is told; after that they may have changed since
 * the stream before ended.  Returns how many there are. */

static ngx_uint_t
ngx_http_stoa_mcp_updates_honoured(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_source_t *src, const stoa_json_val_t *params)
{
    ngx_uint_t                   i, n, more;
    stoa_json_val_t              all, val;
    stoa_json_iter_t             it;
    ngx_http_stoa_mcp_update_t  *up;

    if (!stoa_json_get(params, "notifications", &all)
        || !stoa_json_get(&all, "resourceSubscriptions", &all)
        || all.type != STOA_JSON_ARRAY)
    {
        return 0;
    }

    for (n = 0, i = 0; i < u->n; i++) {
        up = &u->update[i];

        if (up->source != src) {
            continue;
        }

        if (src->said) {
            ngx_http_stoa_mcp_updates_tell(u, src->api, up);
        }

        for (more = stoa_json_first(&all, &it, NULL, &val);
             more && !up->honoured && !src->said;
             more = stoa_json_next(&it, NULL, &val))
        {
            up->honoured = !u->told && val.type == STOA_JSON_STRING
                           && stoa_json_eq(&val, up->upstream.data,
                                           up->upstream.len);
        }

        n += up->honoured;
    }

    return n;
}


static void
ngx_http_stoa_mcp_updates_said(ngx_http_stoa_mcp_updates_t *u,
    ngx_http_stoa_mcp_source_t *src)
{
    if (src->said) {
        return;
    }

    src->said = 1;
    ngx_http_stoa_mcp_updates_less(u);
}


/* A source has read, or has ended. */

static void
ngx_http_stoa_mcp_updates_read(ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_updates_t *u = src->data;

    if (src->fetch == NULL) {
        ngx_http_stoa_mcp_updates_said(u, src);
    }

    ngx_http_stoa_mcp_updates_push(u);
}


/* ---- the client --------------------------------------------------------- */

void
ngx_http_stoa_mcp_updates_look(ngx_http_stoa_mcp_updates_t *u)
{
    ngx_http_stoa_mcp_visit_t  *v;

    u->busy = 1;

    if (ngx_current_msec - u->looked >= NGX_HTTP_STOA_MCP_UPDATES_MS) {
        u->looked = ngx_current_msec;
        ngx_http_stoa_mcp_sources_still(u->hold->request, u->hold->ctx,
                                        &u->sources,
                                        ngx_http_stoa_mcp_updates_gone);
        ngx_http_stoa_mcp_updates_still(u);
    }

    ngx_http_stoa_mcp_sources_again(u->hold->request, u->hold->ctx,
                                    u->sources);

    for (v = u->visits; v; v = v->next) {
        ngx_http_stoa_mcp_visit_look(v);
    }

    u->busy = 0;
}


/* As for the sources. */

static void
ngx_http_stoa_mcp_updates_still(ngx_http_stoa_mcp_updates_t *u)
{
    ngx_uint_t                   i;
    ngx_http_stoa_mcp_visit_t   *v, **prev;
    ngx_http_stoa_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(u->hold->request,
                                        ngx_http_stoa_module);

    if (u->visits == NULL || ngx_http_stoa_store_enter(mcf->store) != NGX_OK)
    {
        return;
    }

    for (prev = &u->visits; (v = *prev) != NULL; /* void */ ) {

        if (ngx_http_stoa_mcp_relay_may(u->hold->request, u->hold->ctx,
                                        &v->api))
        {
            prev = &v->next;
            continue;
        }

        for (i = 0; i < u->n; i++) {
            if (u->update[i].visit == v) {
                u->update[i].visit = NULL;
                u->update[i].honoured = 0;
            }
        }

        *prev = v->next;

        if (!v->said) {
            ngx_http_stoa_mcp_updates_less(u);
        }

        ngx_http_stoa_mcp_visit_free(v);
    }
}


void
ngx_http_stoa_mcp_updates_full(ngx_http_stoa_mcp_updates_t *u,
    ngx_uint_t full)
{
    ngx_http_stoa_mcp_visit_t  *v;

    ngx_http_stoa_mcp_sources_full(u->sources, full);

    for (v = u->visits; v; v = v->next) {
        ngx_http_stoa_mcp_sources_full(v->source, full);
    }
}


static void
ngx_http_stoa_mcp_updates_gone(ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_updates_t *u = src->data;

    ngx_uint_t  i;

    for (i = 0; i < u->n; i++) {
        if (u->update[i].source == src) {
            u->update[i].source = NULL;
            u->update[i].honoured = 0;
        }
    }

    ngx_http_stoa_mcp_updates_said(u, src);
}


void
ngx_http_stoa_mcp_updates_write(ngx_http_stoa_mcp_updates_t *u,
    const char *comma, stoa_buf_t *b)
{
    ngx_uint_t  i, n;

    u->told = 1;

    for (n = 0, i = 0; i < u->n; i++) {

        if (!u->update[i].honoured) {
            continue;
        }

        if (n++ == 0) {
            stoa_buf_addf(b, "%s\"resourceSubscriptions\":[", comma);

        } else {
            stoa_buf_addz(b, ",");
        }

        stoa_buf_add(b, u->update[i].uri.data, u->update[i].uri.len);
    }

    if (n) {
        stoa_buf_addz(b, "]");
    }
}
