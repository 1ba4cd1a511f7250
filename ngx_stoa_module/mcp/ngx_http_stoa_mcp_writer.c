/*
 * The writer: events on the heap, handed to the filters behind ours, freed
 * when the client has taken them.  r->pool does not grow with them.
 */

#include "ngx_http_stoa_stream.h"
#include "ngx_http_stoa_request.h"


static ngx_chain_t *ngx_http_stoa_mcp_writer_add(
    ngx_http_stoa_mcp_writer_t *w, size_t size);
static void ngx_http_stoa_mcp_writer_free(ngx_http_stoa_mcp_writer_t *w);
static void ngx_http_stoa_mcp_writer_cleanup(void *data);


ngx_int_t
ngx_http_stoa_mcp_writer_init(ngx_http_stoa_mcp_writer_t *w,
    ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_stoa_mcp_writer_cleanup;
    cln->data = w;

    w->request = r;
    w->last = &w->out;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_writer_event(ngx_http_stoa_mcp_writer_t *w,
    const stoa_sse_event_t *event)
{
    size_t        size;
    u_char       *cr;
    ngx_buf_t    *b;
    const char   *p, *end, *nl;
    ngx_chain_t  *cl;

    p = event->data.data;
    end = p + event->data.len;

    size = sizeof("id: \nretry: \ndata: \n\n") + NGX_INT64_LEN
           + event->id.len + event->data.len;

    while ((nl = memchr(p, '\n', end - p)) != NULL) {
        size += sizeof("data: ") - 1;
        p = nl + 1;
    }

    cl = ngx_http_stoa_mcp_writer_add(w, size);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b = cl->buf;

    if (event->has_id) {
        b->last = ngx_cpymem(b->last, "id: ", 4);
        b->last = ngx_cpymem(b->last, event->id.data, event->id.len);
        *b->last++ = '\n';
    }

    if (event->retry_ms >= 0) {
        b->last = ngx_sprintf(b->last, "retry: %L\n", event->retry_ms);
    }

    for (p = event->data.data; p; p = nl ? nl + 1 : NULL) {
        nl = memchr(p, '\n', end - p);
        b->last = ngx_cpymem(b->last, "data: ", 6);
        b->last = ngx_cpymem(b->last, p, (nl ? nl : end) - p);
        *b->last++ = '\n';
    }

    /* to readers of events a CR is the end of a line; here it is white space
     * between the tokens of JSON */

    for (cr = b->pos; (cr = memchr(cr, '\r', b->last - cr)) != NULL; cr++) {
        *cr = ' ';
    }

    *b->last++ = '\n';

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_writer_bytes(ngx_http_stoa_mcp_writer_t *w,
    const char *data, size_t len)
{
    ngx_chain_t  *cl;

    cl = ngx_http_stoa_mcp_writer_add(w, len);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf->last = ngx_cpymem(cl->buf->last, data, len);

    return NGX_OK;
}


static ngx_chain_t *
ngx_http_stoa_mcp_writer_add(ngx_http_stoa_mcp_writer_t *w, size_t size)
{
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    p = ngx_alloc(size, w->request->connection->log);
    cl = ngx_chain_get_free_buf(w->request->pool, &w->free);

    if (p == NULL || cl == NULL) {
        if (p) {
            ngx_free(p);
        }

        return NULL;
    }

    b = cl->buf;
    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = p;
    b->pos = p;
    b->last = p;
    b->end = p + size;
    b->temporary = 1;
    b->flush = 1;
    b->tag = (ngx_buf_tag_t) &ngx_http_stoa_module;

    w->queued += size;

    cl->next = NULL;
    *w->last = cl;
    w->last = &cl->next;

    return cl;
}


ngx_int_t
ngx_http_stoa_mcp_writer_end(ngx_http_stoa_mcp_writer_t *w)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(w->request->pool);
    cl = ngx_alloc_chain_link(w->request->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    cl->buf = b;
    cl->next = NULL;
    *w->last = cl;
    w->last = &cl->next;
    w->ended = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_writer_send(ngx_http_stoa_mcp_writer_t *w)
{
    ngx_int_t  rc;

    if (w->out == NULL && w->busy == NULL
        && !w->request->connection->buffered)
    {
        return NGX_OK;
    }

    rc = ngx_http_stoa_filter_next_body(w->request, w->out);

    ngx_chain_update_chains(w->request->pool, &w->free, &w->busy, &w->out,
                            (ngx_buf_tag_t) &ngx_http_stoa_module);
    w->last = &w->out;

    ngx_http_stoa_mcp_writer_free(w);

    return rc;
}


/* Those that were sent stand before the others. */

static void
ngx_http_stoa_mcp_writer_free(ngx_http_stoa_mcp_writer_t *w)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = w->free; cl && cl->buf->start; cl = cl->next) {
        b = cl->buf;
        w->queued -= b->end - b->start;
        ngx_free(b->start);
        b->start = NULL;
    }
}


ngx_uint_t
ngx_http_stoa_mcp_writer_goes_on(ngx_http_request_t *r)
{
    ngx_event_t  *wev;

    wev = r->connection->write;

    if (wev->timedout) {
        r->connection->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return 0;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    return 1;
}


void
ngx_http_stoa_mcp_writer_push(ngx_http_stoa_mcp_writer_t *w)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = w->request;
    wev = r->connection->write;

    if (ngx_http_stoa_mcp_writer_send(w) == NGX_ERROR) {

        /* who reads the client's connection sees it, too */

        r->connection->error = 1;
        return;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (w->busy && !wev->delayed && !wev->timer_set) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    (void) ngx_handle_write_event(wev, clcf->send_lowat);
}


static void
ngx_http_stoa_mcp_writer_cleanup(void *data)
{
    ngx_uint_t                   i;
    ngx_chain_t                 *cl, *lists[2];
    ngx_http_stoa_mcp_writer_t  *w = data;

    lists[0] = w->busy;
    lists[1] = w->out;

    for (i = 0; i < 2; i++) {
        for (cl = lists[i]; cl; cl = cl->next) {
            if (cl->buf->start) {
                ngx_free(cl->buf->start);
                cl->buf->start = NULL;
            }
        }
    }
}
