/*
 * Subscriptions of a session at upstreams of 2026-07-28, for the stream of the
 * session: one listen at each, for the URIs that the map has now.  One that is
 * for others than before is left when the next one is acknowledged.  After a
 * listen has ended each of its resources may be another one.
 *
 * Process: workers.  Lifetime: the stream's; sources as they say.
 * Limits: those of the map, and NGX_HTTP_STOA_MCP_SOURCES.
 */

#include "ngx_http_stoa_updates.h"
#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_modern.h"
#include "ngx_http_stoa_zone.h"


static void ngx_http_stoa_mcp_subbed_more(void *data,
    const stoa_mcp_ref_t *ref);
static ngx_int_t ngx_http_stoa_mcp_subbed_body(
    ngx_http_stoa_mcp_source_t *src);
static stoa_rc_t ngx_http_stoa_mcp_subbed_event(
    ngx_http_stoa_mcp_source_t *src, const stoa_sse_event_t *event);
static stoa_rc_t ngx_http_stoa_mcp_subbed_acked(
    ngx_http_stoa_mcp_source_t *src, const stoa_json_val_t *params);
static stoa_rc_t ngx_http_stoa_mcp_subbed_updated(
    ngx_http_stoa_mcp_source_t *src, const stoa_json_val_t *uri);
static stoa_rc_t ngx_http_stoa_mcp_subbed_tell(
    ngx_http_stoa_mcp_source_t *src, const stoa_str_t *uri);
static void ngx_http_stoa_mcp_subbed_read(ngx_http_stoa_mcp_source_t *src);
static void ngx_http_stoa_mcp_subbed_gone(ngx_http_stoa_mcp_source_t *src);


void
ngx_http_stoa_mcp_subbed_look(ngx_http_stoa_mcp_subbed_t *s)
{
    ngx_http_stoa_mcp_source_t  *src, **prev;

    s->busy = 1;

    for (src = s->sources; src; src = src->next) {
        src->seen = 0;
    }

    ngx_http_stoa_mcp_relay_subs(s->hold->request, s->hold->ctx,
                                 ngx_http_stoa_mcp_subbed_more, s);

    for (prev = &s->sources; (src = *prev) != NULL; /* void */ ) {

        if (src->seen) {
            prev = &src->next;
            continue;
        }

        *prev = src->next;
        ngx_http_stoa_mcp_source_free(src);
    }

    if (s->sources) {
        ngx_http_stoa_mcp_sources_still(s->hold->request, s->hold->ctx,
                                        &s->sources,
                                        ngx_http_stoa_mcp_subbed_gone);
    }

    ngx_http_stoa_mcp_sources_again(s->hold->request, s->hold->ctx,
                                    s->sources);

    s->busy = 0;
}


static void
ngx_http_stoa_mcp_subbed_gone(ngx_http_stoa_mcp_source_t *src)
{
    (void) src;
}


/* A list of URIs.  Beside a listen that was acknowledged there is at most one
 * that is to be in its place. */

static void
ngx_http_stoa_mcp_subbed_more(void *data, const stoa_mcp_ref_t *ref)
{
    ngx_http_stoa_mcp_subbed_t *s = data;

    ngx_uint_t                   n, found;
    ngx_http_stoa_api_t         *api;
    ngx_http_stoa_mcp_source_t  *src;

    static const stoa_str_t  none = { "", 0 };

    found = 0;

    for (n = 0, src = s->sources; src; src = src->next, n++) {

        if (ngx_memcmp(src->ref.api, ref->api, STOA_ID_LEN) != 0) {
            continue;
        }

        src->seen = src->said;

        if (src->ref.sid.len == ref->sid.len
            && ngx_memcmp(src->ref.sid.data, ref->sid.data, ref->sid.len)
               == 0)
        {
            src->seen = 1;
            found = 1;
        }
    }

    if (found) {
        return;
    }

    if (n >= NGX_HTTP_STOA_MCP_SOURCES) {
        ngx_http_stoa_count(mcp_left_out, 1);
        return;
    }

    api = ngx_http_stoa_mcp_relay_of(s->hold->request, s->hold->ctx, ref);
    src = api ? ngx_http_stoa_mcp_source_create(s->hold->request,
                                                s->hold->ctx, api, ref, &none)
              : NULL;
    if (src == NULL) {
        return;
    }

    if (ngx_http_stoa_mcp_subbed_body(src) != NGX_OK) {
        ngx_http_stoa_mcp_source_free(src);
        return;
    }

    src->data = s;
    src->seen = 1;
    src->event = ngx_http_stoa_mcp_subbed_event;
    src->read = ngx_http_stoa_mcp_subbed_read;
    src->next = s->sources;
    s->sources = src;

    ngx_http_stoa_mcp_source_start(src);
}


/* It can be asked nothing there: a listen is no call. */

static ngx_int_t
ngx_http_stoa_mcp_subbed_body(ngx_http_stoa_mcp_source_t *src)
{
    stoa_buf_t  *b;
    stoa_str_t   list, uri;
    const char  *comma;

    b = &src->body;
    list = src->ref.sid;

    stoa_buf_init(b, STOA_JSONRPC_BODY_MAX);
    stoa_buf_addz(b, "{\"jsonrpc\":\"2.0\",\"id\":\"stoa-listen\",\"method\":"
                  "\"subscriptions/listen\",\"params\":{\"_meta\":{");
    ngx_http_stoa_mcp_modern_us(b);
    stoa_buf_addz(b, "\"io.modelcontextprotocol/clientCapabilities\":{}},"
                  "\"notifications\":{\"resourceSubscriptions\":[");

    for (comma = ""; ngx_http_stoa_mcp_subbed_next(&list, &uri); comma = ",") {
        stoa_buf_addz(b, comma);
        stoa_buf_add_json(b, uri.data, uri.len);
    }

    stoa_buf_addz(b, "]}}}");

    return b->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


/* ---- what comes --------------------------------------------------------- */

static stoa_rc_t
ngx_http_stoa_mcp_subbed_event(ngx_http_stoa_mcp_source_t *src,
    const stoa_sse_event_t *event)
{
    stoa_err_t       err;
    stoa_json_val_t  root, method, params, uri;

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
        return ngx_http_stoa_mcp_subbed_acked(src, &params);
    }

    return stoa_json_eq(&method, updated, sizeof(updated) - 1)
           && stoa_json_get(&params, "uri", &uri)
           && uri.type == STOA_JSON_STRING
           ? ngx_http_stoa_mcp_subbed_updated(src, &uri) : STOA_OK;
}


static stoa_rc_t
ngx_http_stoa_mcp_subbed_acked(ngx_http_stoa_mcp_source_t *src,
    const stoa_json_val_t *params)
{
    ngx_http_stoa_mcp_subbed_t *s = src->data;

    stoa_rc_t                     rc;
    stoa_str_t                    list, uri;
    ngx_uint_t                    missed;
    stoa_json_val_t               all, val;
    stoa_json_iter_t              it;
    ngx_http_stoa_mcp_source_t   *other, **prev;

    if (src->acked) {
        return STOA_OK;                         /* it says so once           */
    }

    if (!stoa_json_get(params, "notifications", &all)
        || !stoa_json_get(&all, "resourceSubscriptions", &all)
        || all.type != STOA_JSON_ARRAY
        || !stoa_json_first(&all, &it, NULL, &val))
    {
        src->kept = 0;
        return STOA_DECLINED;
    }

    src->acked = 1;
    missed = src->said || s->again;

    for (prev = &s->sources; !src->said && (other = *prev) != NULL; ) {

        if (other == src
            || ngx_memcmp(other->ref.api, src->ref.api, STOA_ID_LEN) != 0)
        {
            prev = &other->next;
            continue;
        }

        missed = other->fetch == NULL;
        *prev = other->next;
        ngx_http_stoa_mcp_source_free(other);
    }

    src->said = 1;
    src->kept = 1;
    list = src->ref.sid;
    rc = STOA_OK;

    while (missed && rc == STOA_OK
           && ngx_http_stoa_mcp_subbed_next(&list, &uri))
    {
        rc = ngx_http_stoa_mcp_subbed_tell(src, &uri);
    }

    return rc;
}


static stoa_rc_t
ngx_http_stoa_mcp_subbed_updated(ngx_http_stoa_mcp_source_t *src,
    const stoa_json_val_t *uri)
{
    ngx_http_stoa_mcp_subbed_t *s = src->data;

    stoa_rc_t                    rc;
    stoa_str_t                   list, one;
    ngx_http_stoa_mcp_source_t  *last;

    /* what was unsubscribed is told of no more, whatever becomes of the listen
     * for the others: the last one stands first */

    for (last = s->sources;
         ngx_memcmp(last->ref.api, src->ref.api, STOA_ID_LEN) != 0;
         last = last->next)
    { /* void */ }

    list = last->ref.sid;
    rc = STOA_OK;

    while (rc == STOA_OK && ngx_http_stoa_mcp_subbed_next(&list, &one)) {
        if (ngx_http_stoa_mcp_updates_within(uri, &one)) {
            rc = ngx_http_stoa_mcp_subbed_tell(src, &one);
        }
    }

    return rc;
}


static stoa_rc_t
ngx_http_stoa_mcp_subbed_tell(ngx_http_stoa_mcp_source_t *src,
    const stoa_str_t *uri)
{
    ngx_http_stoa_mcp_subbed_t *s = src->data;

    return ngx_http_stoa_mcp_item_may(s->hold->request, s->hold->ctx,
                                      src->api, uri)
           ? s->updated(s->hold, src, uri) : STOA_OK;
}


/* A source has read, or has ended. */

static void
ngx_http_stoa_mcp_subbed_read(ngx_http_stoa_mcp_source_t *src)
{
    ngx_http_stoa_mcp_subbed_t *s = src->data;

    if (!s->busy && !s->hold->over) {
        ngx_http_stoa_mcp_hold_push(s->hold);
    }
}


/* ---- a list ----------------------------------------------------------- */

/* For each URI its length (2, big endian) and its bytes. */

ngx_uint_t
ngx_http_stoa_mcp_subbed_next(stoa_str_t *list, stoa_str_t *uri)
{
    const u_char  *p;

    p = (const u_char *) list->data;

    if (list->len < 2 || list->len - 2 < (size_t) (p[0] << 8 | p[1])) {
        return 0;
    }

    uri->len = p[0] << 8 | p[1];
    uri->data = list->data + 2;
    list->data += uri->len + 2;
    list->len -= uri->len + 2;

    return 1;
}
