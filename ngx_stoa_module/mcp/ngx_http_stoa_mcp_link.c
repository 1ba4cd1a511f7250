/*
 * Links.
 *
 * A request is not sent twice here, whatever happens: what becomes of a
 * session that is gone is for those who heal it (404).
 */

#include "ngx_http_stoa_link.h"
#include "core/stoa_uri.h"
#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_digest.h"


#define NGX_HTTP_STOA_MCP_LINK_SID    48
#define NGX_HTTP_STOA_MCP_LINK_LOOK   1000        /* ms                      */


struct ngx_http_stoa_mcp_link_s {
    ngx_queue_t                  queue;           /* the last used is last   */
    uint64_t                     id;
    ngx_pool_t                  *pool;
    ngx_http_stoa_api_t         *api;
    ngx_http_stoa_via_t          via;
    ngx_uint_t                   target;
    ngx_str_t                    uri;             /* for POSTs; len 0: not
                                                     named yet               */
    ngx_http_stoa_fetch_t       *stream;
    stoa_sse_t                   sse;
    ngx_queue_t                  requests;
    ngx_uint_t                   over;            /* it ends                 */
    ngx_uint_t                   sid_len;
    u_char                       sid[NGX_HTTP_STOA_MCP_LINK_SID];
};


static void ngx_http_stoa_mcp_link_whole(ngx_http_stoa_mcp_linked_t *rq);
static void ngx_http_stoa_mcp_link_gone(ngx_http_stoa_mcp_linked_t *rq);
static ngx_http_stoa_mcp_link_t *ngx_http_stoa_mcp_link_find(
    const ngx_str_t *sid);
static ngx_http_stoa_mcp_link_t *ngx_http_stoa_mcp_link_create(
    ngx_http_stoa_mcp_linked_t *rq);
static ngx_int_t ngx_http_stoa_mcp_link_start(ngx_http_stoa_mcp_link_t *link,
    const ngx_str_t *headers);
static ngx_uint_t ngx_http_stoa_mcp_link_waited(
    ngx_http_stoa_mcp_link_t *link);
static void ngx_http_stoa_mcp_link_room(void);
static void ngx_http_stoa_mcp_link_end(ngx_http_stoa_mcp_link_t *link,
    ngx_uint_t status);
static void ngx_http_stoa_mcp_link_look(ngx_event_t *ev);
static void ngx_http_stoa_mcp_link_head(ngx_http_stoa_fetch_t *f, void *data);
static void ngx_http_stoa_mcp_link_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len);
static void ngx_http_stoa_mcp_link_closed(ngx_http_stoa_fetch_t *f,
    void *data, ngx_http_stoa_fetch_end_e how);
static stoa_rc_t ngx_http_stoa_mcp_link_event(void *data,
    const stoa_sse_event_t *event);
static void ngx_http_stoa_mcp_link_named(ngx_http_stoa_mcp_link_t *link,
    const stoa_str_t *named);
static stoa_rc_t ngx_http_stoa_mcp_link_message(
    ngx_http_stoa_mcp_link_t *link, const stoa_str_t *text);
static ngx_http_stoa_mcp_linked_t *ngx_http_stoa_mcp_link_whose(
    ngx_http_stoa_mcp_link_t *link, const stoa_glance_t *g);
static void ngx_http_stoa_mcp_link_post(ngx_http_stoa_mcp_linked_t *rq);
static void ngx_http_stoa_mcp_link_said(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len);
static void ngx_http_stoa_mcp_link_posted(ngx_http_stoa_fetch_t *f,
    void *data, ngx_http_stoa_fetch_end_e how);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_link_stream = {
    ngx_http_stoa_mcp_link_head,
    ngx_http_stoa_mcp_link_chunk,
    ngx_http_stoa_mcp_link_closed
};

static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_link_poster = {
    NULL, ngx_http_stoa_mcp_link_said, ngx_http_stoa_mcp_link_posted
};

static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_link_nobody = {
    NULL, NULL, NULL
};


/* Of this worker. */

static ngx_queue_t       ngx_http_stoa_mcp_links;
static ngx_uint_t        ngx_http_stoa_mcp_nlinks;
static ngx_event_t       ngx_http_stoa_mcp_link_timer;
static ngx_connection_t  ngx_http_stoa_mcp_link_dummy;


void
ngx_http_stoa_mcp_link_init(void)
{
    ngx_queue_init(&ngx_http_stoa_mcp_links);
    ngx_http_stoa_mcp_link_dummy.fd = (ngx_socket_t) -1;
    ngx_http_stoa_mcp_link_timer.handler = ngx_http_stoa_mcp_link_look;
    ngx_http_stoa_mcp_link_timer.data = &ngx_http_stoa_mcp_link_dummy;
    ngx_http_stoa_mcp_link_timer.log = ngx_cycle->log;

    ngx_http_stoa_mcp_linked_init(ngx_http_stoa_mcp_link_whole,
                                  ngx_http_stoa_mcp_link_gone);
}


/* ---- requests ----------------------------------------------------------- */

static void
ngx_http_stoa_mcp_link_whole(ngx_http_stoa_mcp_linked_t *rq)
{
    stoa_glance_t              g;
    stoa_json_val_t            meta;
    ngx_http_stoa_mcp_link_t  *link;

    if (rq->method == 'P') {

        if (stoa_glance((char *) rq->body.data, rq->body.len, &g) != STOA_OK)
        {
            ngx_http_stoa_mcp_linked_status(rq, NGX_HTTP_BAD_REQUEST);
            return;
        }

        if (g.kind == STOA_GLANCE_REQUEST) {
            rq->id = g.id;
            rq->opens = rq->session.len == 0;

            if (!g.params.start
                || !stoa_glance_get(&g.params, "_meta", &meta)
                || !stoa_glance_get(&meta, "progressToken", &rq->token))
            {
                rq->token.start = NULL;
            }
        }
    }

    link = rq->opens ? ngx_http_stoa_mcp_link_create(rq)
                     : ngx_http_stoa_mcp_link_find(&rq->session);

    if (link == NULL) {
        ngx_http_stoa_mcp_linked_status(rq, rq->opens
                                            ? NGX_HTTP_SERVICE_UNAVAILABLE
                                            : NGX_HTTP_NOT_FOUND);
        return;
    }

    ngx_queue_remove(&link->queue);
    ngx_queue_insert_tail(&ngx_http_stoa_mcp_links, &link->queue);

    if (rq->method == 'D') {
        ngx_http_stoa_mcp_link_end(link, NGX_HTTP_NOT_FOUND);
        ngx_http_stoa_mcp_linked_status(rq, NGX_HTTP_OK);
        return;
    }

    rq->link = link;
    ngx_queue_insert_tail(&link->requests, &rq->queue);

    if (rq->method == 'G') {
        ngx_http_stoa_mcp_linked_event(rq, NULL);

    } else if (link->uri.len) {
        ngx_http_stoa_mcp_link_post(rq);
    }
}


/* Whoever has asked is not there any more, or has what he wants.  A link that
 * nobody has heard of yet is nobody's then. */

static void
ngx_http_stoa_mcp_link_gone(ngx_http_stoa_mcp_linked_t *rq)
{
    if (rq->post) {
        rq->post->handler = &ngx_http_stoa_mcp_link_nobody;
        ngx_http_stoa_fetch_detach(rq->post);
        rq->post = NULL;
    }

    if (rq->link) {
        rq->link->over |= rq->opens;
        ngx_queue_remove(&rq->queue);
        rq->link = NULL;
    }
}


/* ---- links -------------------------------------------------------------- */

static ngx_http_stoa_mcp_link_t *
ngx_http_stoa_mcp_link_find(const ngx_str_t *sid)
{
    ngx_queue_t               *q;
    ngx_http_stoa_mcp_link_t  *link;

    for (q = ngx_queue_last(&ngx_http_stoa_mcp_links);
         q != &ngx_http_stoa_mcp_links;
         q = ngx_queue_prev(q))
    {
        link = ngx_queue_data(q, ngx_http_stoa_mcp_link_t, queue);

        if (sid->len == link->sid_len
            && ngx_memcmp(sid->data, link->sid, sid->len) == 0)
        {
            return link;
        }
    }

    return NULL;
}


static ngx_http_stoa_mcp_link_t *
ngx_http_stoa_mcp_link_create(ngx_http_stoa_mcp_linked_t *rq)
{
    ngx_pool_t                *pool;
    ngx_http_stoa_api_t       *api;
    ngx_http_stoa_via_t        via;
    ngx_uint_t                 target;
    ngx_http_stoa_mcp_link_t  *link;

    if (ngx_http_stoa_upstream_link(&rq->number, &api, &via, &target)
        != NGX_OK)
    {
        return NULL;
    }

    ngx_http_stoa_mcp_link_room();

    pool = ngx_http_stoa_mcp_nlinks < NGX_HTTP_STOA_MCP_LINKS
           ? ngx_create_pool(1024, ngx_cycle->log) : NULL;
    link = pool ? ngx_pcalloc(pool, sizeof(ngx_http_stoa_mcp_link_t)) : NULL;

    if (link == NULL || ngx_http_stoa_random(&link->id, 1) != NGX_OK) {
        if (pool) {
            ngx_destroy_pool(pool);
        }

        return NULL;
    }

    link->pool = pool;
    link->api = api;
    link->via = via;
    link->target = target;
    link->sid_len = ngx_snprintf(link->sid, sizeof(link->sid), "%P.%016xL",
                                 ngx_pid, link->id)
                    - link->sid;
    ngx_queue_init(&link->requests);
    stoa_sse_init(&link->sse, NGX_HTTP_STOA_MCP_LINK_EVENT,
                  ngx_http_stoa_mcp_link_event, link);
    ngx_http_stoa_api_hold(api);
    ngx_queue_insert_tail(&ngx_http_stoa_mcp_links, &link->queue);
    ngx_http_stoa_mcp_nlinks++;

    if (ngx_http_stoa_mcp_link_start(link, &rq->headers) != NGX_OK) {
        ngx_http_stoa_mcp_link_end(link, NGX_HTTP_BAD_GATEWAY);
        return NULL;
    }

    if (!ngx_http_stoa_mcp_link_timer.timer_set) {
        ngx_add_timer(&ngx_http_stoa_mcp_link_timer,
                      NGX_HTTP_STOA_MCP_LINK_LOOK);
    }

    return link;
}


/* The stream gets the headers of the request that opens it. */

static ngx_int_t
ngx_http_stoa_mcp_link_start(ngx_http_stoa_mcp_link_t *link,
    const ngx_str_t *headers)
{
    u_char                 *p, *end, *nl, *to;
    ngx_http_stoa_fetch_t  *f;

    static ngx_str_t  none = ngx_null_string;

    f = ngx_http_stoa_fetch_create(ngx_cycle->log);
    to = f ? ngx_pnalloc(f->pool, headers->len + 64) : NULL;

    if (to == NULL
        || ngx_http_stoa_upstream_fetch_behind(f, link->api, &link->via,
                                               link->target, &none)
           != NGX_OK)
    {
        if (f) {
            ngx_http_stoa_fetch_cancel(f);
        }

        return NGX_ERROR;
    }

    f->headers.data = to;
    end = headers->data + headers->len;

    for (p = headers->data; p < end; p = nl + 1) {
        nl = memchr(p, LF, end - p);

        if (ngx_strncasecmp(p, (u_char *) "accept:", 7) != 0
            && ngx_strncasecmp(p, (u_char *) "content-type:", 13) != 0)
        {
            to = ngx_cpymem(to, p, nl + 1 - p);
        }
    }

    to = ngx_sprintf(to, "Accept: text/event-stream" CRLF);

    f->headers.len = to - f->headers.data;
    f->handler = &ngx_http_stoa_mcp_link_stream;
    f->data = link;
    f->read_timeout = 24 * 3600 * 1000;
    f->stay = 1;
    link->stream = f;

    ngx_http_stoa_fetch_start(f);

    return NGX_OK;
}


/* Does somebody wait for an answer? */

static ngx_uint_t
ngx_http_stoa_mcp_link_waited(ngx_http_stoa_mcp_link_t *link)
{
    ngx_queue_t                 *q;
    ngx_http_stoa_mcp_linked_t  *rq;

    for (q = ngx_queue_head(&link->requests);
         q != &link->requests;
         q = ngx_queue_next(q))
    {
        rq = ngx_queue_data(q, ngx_http_stoa_mcp_linked_t, queue);

        if (rq->method == 'P') {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_stoa_mcp_link_room(void)
{
    ngx_queue_t               *q;
    ngx_http_stoa_mcp_link_t  *link;

    if (ngx_http_stoa_mcp_nlinks < NGX_HTTP_STOA_MCP_LINKS) {
        return;
    }

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_links);
         q != &ngx_http_stoa_mcp_links;
         q = ngx_queue_next(q))
    {
        link = ngx_queue_data(q, ngx_http_stoa_mcp_link_t, queue);

        if (!ngx_http_stoa_mcp_link_waited(link)) {
            ngx_http_stoa_mcp_link_end(link, NGX_HTTP_NOT_FOUND);
            return;
        }
    }
}


/* Not from within its reader. */

static void
ngx_http_stoa_mcp_link_end(ngx_http_stoa_mcp_link_t *link, ngx_uint_t status)
{
    ngx_queue_t                 *q;
    ngx_http_stoa_mcp_linked_t  *rq;

    ngx_queue_remove(&link->queue);
    ngx_http_stoa_mcp_nlinks--;

    while (!ngx_queue_empty(&link->requests)) {
        q = ngx_queue_head(&link->requests);
        rq = ngx_queue_data(q, ngx_http_stoa_mcp_linked_t, queue);
        ngx_http_stoa_mcp_link_gone(rq);
        ngx_http_stoa_mcp_linked_status(rq, status);
    }

    if (link->stream) {
        ngx_http_stoa_fetch_cancel(link->stream);
    }

    stoa_sse_free(&link->sse);
    ngx_http_stoa_api_release(link->api);
    ngx_destroy_pool(link->pool);
}


/* Those that are over end here; a worker that exits does not keep those that
 * nobody waits for. */

static void
ngx_http_stoa_mcp_link_look(ngx_event_t *ev)
{
    ngx_queue_t               *q, *next;
    ngx_http_stoa_mcp_link_t  *link;

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_links);
         q != &ngx_http_stoa_mcp_links;
         q = next)
    {
        next = ngx_queue_next(q);
        link = ngx_queue_data(q, ngx_http_stoa_mcp_link_t, queue);

        if (link->over
            || (ngx_exiting && !ngx_http_stoa_mcp_link_waited(link)))
        {
            ngx_http_stoa_mcp_link_end(link, NGX_HTTP_NOT_FOUND);
        }
    }

    if (!ngx_queue_empty(&ngx_http_stoa_mcp_links)) {
        ngx_add_timer(ev, NGX_HTTP_STOA_MCP_LINK_LOOK);
    }
}


/* ---- their streams ------------------------------------------------------ */

static void
ngx_http_stoa_mcp_link_head(ngx_http_stoa_fetch_t *f, void *data)
{
    ngx_http_stoa_mcp_link_t *link = data;

    stoa_str_t  type;

    if (f->http.status != NGX_HTTP_OK) {
        ngx_http_stoa_mcp_link_end(link, f->http.status < 300
                                         ? NGX_HTTP_BAD_GATEWAY
                                         : f->http.status);

    } else if (stoa_http_header(&f->http, "content-type", &type) != 1
               || !stoa_media_is(type.data, type.len, "text/event-stream"))
    {
        ngx_http_stoa_mcp_link_end(link, NGX_HTTP_BAD_GATEWAY);
    }
}


static void
ngx_http_stoa_mcp_link_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_link_t *link = data;

    (void) f;

    if (stoa_sse_feed(&link->sse, (char *) p, len) != STOA_OK || link->over) {
        ngx_http_stoa_mcp_link_end(link, NGX_HTTP_BAD_GATEWAY);
    }
}


/* What a call has become is not known. */

static void
ngx_http_stoa_mcp_link_closed(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_mcp_link_t *link = data;

    (void) f;

    link->stream = NULL;
    ngx_http_stoa_mcp_link_end(link, how == NGX_HTTP_STOA_FETCH_TIMEOUT
                                     ? NGX_HTTP_GATEWAY_TIME_OUT
                                     : NGX_HTTP_BAD_GATEWAY);
}


/* The link lives until the reader has returned. */

static stoa_rc_t
ngx_http_stoa_mcp_link_event(void *data, const stoa_sse_event_t *event)
{
    ngx_http_stoa_mcp_link_t *link = data;

    if (event->event.len == sizeof("endpoint") - 1
        && ngx_memcmp(event->event.data, "endpoint", event->event.len) == 0)
    {
        if (link->uri.len == 0) {
            ngx_http_stoa_mcp_link_named(link, &event->data);
        }

        return link->over ? STOA_FULL : STOA_OK;
    }

    return ngx_http_stoa_mcp_link_message(link, &event->data);
}


static stoa_rc_t
ngx_http_stoa_mcp_link_message(ngx_http_stoa_mcp_link_t *link,
    const stoa_str_t *text)
{
    ngx_str_t                    sid;
    ngx_uint_t                   opens;
    stoa_glance_t                g;
    ngx_http_stoa_mcp_linked_t  *rq;

    if (stoa_glance(text->data, text->len, &g) != STOA_OK) {
        return STOA_OK;
    }

    rq = ngx_http_stoa_mcp_link_whose(link, &g);

    if (rq == NULL) {
        return STOA_OK;
    }

    if (g.kind != STOA_GLANCE_ANSWER) {
        ngx_http_stoa_mcp_linked_event(rq, text);
        return STOA_OK;
    }

    sid.data = link->sid;
    sid.len = link->sid_len;

    opens = rq->opens;
    rq->opens = 0;

    if (opens && g.error.start) {
        opens = 0;                       /* it is nobody's session           */
        link->over = 1;
    }

    ngx_http_stoa_mcp_link_gone(rq);
    ngx_http_stoa_mcp_linked_answer(rq, text, opens ? &sid : NULL);

    return link->over ? STOA_FULL : STOA_OK;
}


/* Answers are those with their id, progress is of the token; what is of no
 * call goes to the stream of the session, if there is one, and to a call of it
 * else. */

static ngx_http_stoa_mcp_linked_t *
ngx_http_stoa_mcp_link_whose(ngx_http_stoa_mcp_link_t *link,
    const stoa_glance_t *g)
{
    ngx_queue_t                 *q;
    stoa_json_val_t              token;
    ngx_http_stoa_mcp_linked_t  *rq, *call, *get;

    call = NULL;
    get = NULL;

    if (g->params.start == NULL
        || !stoa_glance_get(&g->params, "progressToken", &token))
    {
        token.start = NULL;
    }

    for (q = ngx_queue_head(&link->requests);
         q != &link->requests;
         q = ngx_queue_next(q))
    {
        rq = ngx_queue_data(q, ngx_http_stoa_mcp_linked_t, queue);

        if (rq->method == 'G') {
            get = rq;

        } else if (rq->id.start && g->kind == STOA_GLANCE_ANSWER) {

            if (stoa_glance_same(&rq->id, &g->id)) {
                return rq;
            }

        } else if (rq->id.start && !rq->opens) {

            if (token.start && rq->token.start
                && stoa_glance_same(&rq->token, &token))
            {
                return rq;
            }

            call = call ? call : rq;
        }
    }

    return g->kind == STOA_GLANCE_ANSWER || token.start ? NULL
           : call ? call : get;
}


/* Where to POST: of the same origin, or it is none. */

static void
ngx_http_stoa_mcp_link_named(ngx_http_stoa_mcp_link_t *link,
    const stoa_str_t *named)
{
    u_char                      *p;
    stoa_str_t                   base, host, rest;
    ngx_queue_t                 *q;
    ngx_http_stoa_target_t      *target;
    ngx_http_stoa_mcp_linked_t  *rq;

    target = &link->api->targets[link->target];
    host = (stoa_str_t) { (char *) target->host_header.data,
                          target->host_header.len };
    base = (stoa_str_t) { (char *) target->path.data, target->path.len };
    rest = *named;
    link->over = 1;

    if (!stoa_uri_endpoint(&rest, target->secure, &host, &base)
        || base.len + rest.len > NGX_HTTP_STOA_MCP_LINK_URI)
    {
        return;
    }

    p = ngx_pnalloc(link->pool, base.len + rest.len + 1);
    if (p == NULL) {
        return;
    }

    link->uri.data = p;
    p = ngx_cpymem(p, base.data, base.len);

    if (base.len == 0 && rest.data[0] != '/') {
        *p++ = '/';
    }

    p = ngx_cpymem(p, rest.data, rest.len);
    link->uri.len = p - link->uri.data;
    link->over = 0;

    for (q = ngx_queue_head(&link->requests);
         q != &link->requests;
         q = ngx_queue_next(q))
    {
        rq = ngx_queue_data(q, ngx_http_stoa_mcp_linked_t, queue);

        if (rq->opens) {
            ngx_http_stoa_mcp_link_post(rq);
            return;
        }
    }
}


/* ---- POSTs -------------------------------------------------------------- */

static void
ngx_http_stoa_mcp_link_post(ngx_http_stoa_mcp_linked_t *rq)
{
    ngx_http_stoa_fetch_t     *f;
    ngx_http_stoa_mcp_link_t  *link;

    link = rq->link;
    f = ngx_http_stoa_fetch_create(ngx_cycle->log);

    if (f) {
        f->headers.data = ngx_pstrdup(f->pool, &rq->headers);
        f->headers.len = rq->headers.len;
        f->body.data = ngx_pstrdup(f->pool, &rq->body);
        f->body.len = rq->body.len;
    }

    if (f == NULL || f->headers.data == NULL || f->body.data == NULL
        || ngx_http_stoa_upstream_fetch_behind(f, link->api, &link->via,
                                               link->target, &link->uri)
           != NGX_OK)
    {
        if (f) {
            ngx_http_stoa_fetch_cancel(f);
        }

        ngx_http_stoa_mcp_linked_status(rq, NGX_HTTP_SERVICE_UNAVAILABLE);
        return;
    }

    ngx_str_set(&f->method, "POST");
    f->handler = &ngx_http_stoa_mcp_link_poster;
    f->data = rq;
    f->stay = 1;
    f->max_body = NGX_HTTP_STOA_MCP_LINK_EVENT;
    rq->post = f;

    ngx_http_stoa_fetch_start(f);
}


/* Some servers answer there; most say a word that is no message. */

static void
ngx_http_stoa_mcp_link_said(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_linked_t *rq = data;

    stoa_str_t  type;

    if (stoa_http_header(&f->http, "content-type", &type) == 1
        && stoa_media_is(type.data, type.len, "application/json"))
    {
        stoa_buf_add(&rq->said, p, len);
    }
}


static void
ngx_http_stoa_mcp_link_posted(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_mcp_linked_t *rq = data;

    ngx_uint_t                 status;
    stoa_str_t                 said;
    ngx_http_stoa_mcp_link_t  *link;

    link = rq->link;
    said.data = rq->said.data;
    said.len = rq->said.rc == STOA_OK ? rq->said.len : 0;
    rq->post = NULL;
    status = f->http.status ? f->http.status : NGX_HTTP_BAD_GATEWAY;

    if (how == NGX_HTTP_STOA_FETCH_UNREACHABLE) {
        status = NGX_HTTP_BAD_GATEWAY;

    } else if (how == NGX_HTTP_STOA_FETCH_TIMEOUT) {
        status = NGX_HTTP_GATEWAY_TIME_OUT;
    }

    if (status == NGX_HTTP_NOT_FOUND || status == 410) {

        /* the upstream has forgotten what the stream is for */

        ngx_http_stoa_mcp_link_end(link, NGX_HTTP_NOT_FOUND);

    } else if (status < 200 || status > 299) {
        ngx_http_stoa_mcp_linked_status(rq, status);

    } else if (rq->id.start == NULL) {
        ngx_http_stoa_mcp_linked_status(rq, NGX_HTTP_ACCEPTED);

    } else if (said.len) {
        (void) ngx_http_stoa_mcp_link_message(link, &said);
    }
}
