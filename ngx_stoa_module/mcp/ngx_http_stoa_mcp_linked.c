/*
 * Requests to the worker's own socket: nginx's upstream module and our fetches
 * have written them, so their form is known; one each connection.
 */

#include "ngx_http_stoa_link.h"
#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_door.h"


#define NGX_HTTP_STOA_MCP_LINKED_READ  16384


static ngx_http_stoa_mcp_linked_t *ngx_http_stoa_mcp_linked_create(
    ngx_socket_t s);
static void ngx_http_stoa_mcp_linked_free(ngx_http_stoa_mcp_linked_t *rq);
static void ngx_http_stoa_mcp_linked_gone(ngx_http_stoa_mcp_linked_t *rq);
static void ngx_http_stoa_mcp_linked_read(ngx_event_t *ev);
static ngx_int_t ngx_http_stoa_mcp_linked_came(ngx_http_stoa_mcp_linked_t *rq,
    const u_char *p, size_t len);
static ngx_int_t ngx_http_stoa_mcp_linked_head(ngx_http_stoa_mcp_linked_t *rq);
static void ngx_http_stoa_mcp_linked_line(ngx_http_stoa_mcp_linked_t *rq,
    u_char *line, size_t len);
static ngx_int_t ngx_http_stoa_mcp_linked_pass(
    ngx_http_stoa_mcp_linked_t *rq);
static void ngx_http_stoa_mcp_linked_write(ngx_event_t *ev);
static void ngx_http_stoa_mcp_linked_send(ngx_http_stoa_mcp_linked_t *rq);


/* Of the head of a request, what is another connection's. */

static const char  *ngx_http_stoa_mcp_linked_hops[] = {
    "host:", "content-length:", "connection:", "keep-alive:", "expect:",
    "transfer-encoding:", "mcp-session-id:", "x-stoa-link:", NULL
};


/* Of this worker. */

static ngx_http_stoa_mcp_linked_pt  ngx_http_stoa_mcp_linked_whole;
static ngx_http_stoa_mcp_linked_pt  ngx_http_stoa_mcp_linked_left;
static ngx_uint_t                   ngx_http_stoa_mcp_linked_n;
static u_char  ngx_http_stoa_mcp_linked_buffer[NGX_HTTP_STOA_MCP_LINKED_READ];


void
ngx_http_stoa_mcp_linked_init(ngx_http_stoa_mcp_linked_pt whole,
    ngx_http_stoa_mcp_linked_pt gone)
{
    ngx_http_stoa_mcp_linked_whole = whole;
    ngx_http_stoa_mcp_linked_left = gone;
}


/* ---- connections -------------------------------------------------------- */

void
ngx_http_stoa_mcp_linked_accept(ngx_socket_t s)
{
    ngx_http_stoa_mcp_linked_t  *rq;

    rq = ngx_http_stoa_mcp_linked_create(s);

    if (rq) {
        ngx_http_stoa_mcp_linked_read(rq->connection->read);
    }
}


/* One that another worker has begun to read. */

void
ngx_http_stoa_mcp_linked_passed(ngx_socket_t s, const u_char *p, size_t len)
{
    ngx_int_t                    rc;
    ngx_http_stoa_mcp_linked_t  *rq;

    rq = ngx_http_stoa_mcp_linked_create(s);

    if (rq == NULL) {
        return;
    }

    rc = ngx_http_stoa_mcp_linked_came(rq, p, len);

    if (rc == NGX_AGAIN) {
        ngx_http_stoa_mcp_linked_read(rq->connection->read);
    }
}


static ngx_http_stoa_mcp_linked_t *
ngx_http_stoa_mcp_linked_create(ngx_socket_t s)
{
    ngx_pool_t                  *pool;
    ngx_connection_t            *c;
    ngx_http_stoa_mcp_linked_t  *rq;

    pool = NULL;
    rq = NULL;
    c = NULL;

    if (ngx_http_stoa_mcp_linked_n < NGX_HTTP_STOA_MCP_LINKED) {
        pool = ngx_create_pool(2048, ngx_cycle->log);
    }

    if (pool) {
        rq = ngx_pcalloc(pool, sizeof(ngx_http_stoa_mcp_linked_t));
        c = rq ? ngx_get_connection(s, ngx_cycle->log) : NULL;
    }

    if (c == NULL) {
        if (pool) {
            ngx_destroy_pool(pool);
        }

        ngx_close_socket(s);
        return NULL;
    }

    c->data = rq;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->log = ngx_cycle->log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_http_stoa_mcp_linked_read;
    c->write->handler = ngx_http_stoa_mcp_linked_write;
    c->write->ready = 1;
    c->read->ready = 1;

    rq->connection = c;
    rq->pool = pool;
    stoa_buf_init(&rq->in, NGX_HTTP_STOA_MCP_LINK_HEAD
                           + STOA_JSONRPC_BODY_MAX);
    stoa_buf_init(&rq->out, NGX_HTTP_STOA_MCP_LINK_OUT);
    stoa_buf_init(&rq->said, NGX_HTTP_STOA_MCP_LINK_EVENT);
    ngx_http_stoa_mcp_linked_n++;

    return rq;
}


static void
ngx_http_stoa_mcp_linked_free(ngx_http_stoa_mcp_linked_t *rq)
{
    ngx_http_stoa_mcp_linked_left(rq);
    ngx_http_stoa_mcp_linked_gone(rq);
}


static void
ngx_http_stoa_mcp_linked_gone(ngx_http_stoa_mcp_linked_t *rq)
{
    ngx_http_stoa_mcp_linked_n--;
    ngx_close_connection(rq->connection);
    stoa_buf_free(&rq->in);
    stoa_buf_free(&rq->out);
    stoa_buf_free(&rq->said);
    ngx_destroy_pool(rq->pool);
}


/* ---- a request ---------------------------------------------------------- */

static void
ngx_http_stoa_mcp_linked_read(ngx_event_t *ev)
{
    ssize_t                      n;
    ngx_connection_t            *c;
    ngx_http_stoa_mcp_linked_t  *rq;

    c = ev->data;
    rq = c->data;

    for ( ;; ) {
        n = c->recv(c, ngx_http_stoa_mcp_linked_buffer,
                    sizeof(ngx_http_stoa_mcp_linked_buffer));

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(ev, 0) != NGX_OK) {
                ngx_http_stoa_mcp_linked_free(rq);
            }

            return;
        }

        if (n <= 0) {
            ngx_http_stoa_mcp_linked_free(rq);
            return;
        }

        if (!rq->whole
            && ngx_http_stoa_mcp_linked_came(rq,
                                             ngx_http_stoa_mcp_linked_buffer,
                                             (size_t) n)
               != NGX_AGAIN)
        {
            return;
        }
    }
}


/* NGX_AGAIN: there is more to read; else it may be gone. */

static ngx_int_t
ngx_http_stoa_mcp_linked_came(ngx_http_stoa_mcp_linked_t *rq, const u_char *p,
    size_t len)
{
    ngx_int_t  rc;

    stoa_buf_add(&rq->in, p, len);

    if (rq->in.rc != STOA_OK) {
        ngx_http_stoa_mcp_linked_free(rq);
        return NGX_ERROR;
    }

    if (rq->head == 0) {
        rc = ngx_http_stoa_mcp_linked_head(rq);

        if (rc == NGX_OK) {
            rc = ngx_http_stoa_mcp_linked_pass(rq);
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc != NGX_OK) {
            ngx_http_stoa_mcp_linked_gone(rq);
            return NGX_ERROR;
        }
    }

    if (rq->in.len < rq->head + rq->length) {
        return NGX_AGAIN;
    }

    rq->whole = 1;
    rq->body.data = (u_char *) rq->in.data + rq->head;
    rq->body.len = rq->length;

    /* whoever asks may leave: one that was passed has no event yet */

    if (rq->connection->read->ready) {
        ngx_post_event(rq->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(rq->connection->read, 0) != NGX_OK) {
        ngx_http_stoa_mcp_linked_free(rq);
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_linked_whole(rq);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_linked_head(ngx_http_stoa_mcp_linked_t *rq)
{
    u_char  *p, *end, *nl;

    p = (u_char *) rq->in.data;
    end = memmem(p, rq->in.len, CRLF CRLF, 4);

    if (end == NULL) {
        return rq->in.len < NGX_HTTP_STOA_MCP_LINK_HEAD ? NGX_AGAIN
                                                        : NGX_ERROR;
    }

    end += 2;
    rq->method = p[0];
    rq->headers.data = ngx_pnalloc(rq->pool, end - p);

    if (rq->headers.data == NULL) {
        return NGX_ERROR;
    }

    for (nl = memchr(p, LF, end - p); nl + 1 < end; /* void */) {
        p = nl + 1;
        nl = memchr(p, LF, end - p);
        ngx_http_stoa_mcp_linked_line(rq, p, nl + 1 - p);
    }

    rq->head = end + 2 - (u_char *) rq->in.data;

    return rq->length <= STOA_JSONRPC_BODY_MAX ? NGX_OK : NGX_ERROR;
}


/* The last of two counts: it is ours. */

static void
ngx_http_stoa_mcp_linked_line(ngx_http_stoa_mcp_linked_t *rq, u_char *line,
    size_t len)
{
    size_t        name;
    ngx_str_t     value, *to;
    ngx_uint_t    i;
    const char  **hop;

    hop = ngx_http_stoa_mcp_linked_hops;

    for (i = 0; hop[i]; i++) {
        name = ngx_strlen(hop[i]);

        if (len > name + 2 && ngx_strncasecmp(line, (u_char *) hop[i], name)
                              == 0)
        {
            break;
        }
    }

    if (hop[i] == NULL) {
        ngx_memcpy(rq->headers.data + rq->headers.len, line, len);
        rq->headers.len += len;
        return;
    }

    value.data = line + name + 1;
    value.len = len - name - 3;
    to = hop[i][0] == 'm' ? &rq->session : hop[i][0] == 'x' ? &rq->number
                                                            : NULL;

    if (to) {
        to->data = ngx_pstrdup(rq->pool, &value);
        to->len = to->data ? value.len : 0;

    } else if (ngx_strcmp(hop[i], "content-length:") == 0) {
        rq->length = (size_t) ngx_atosz(value.data, value.len);
    }
}


/* Whose link it is; one of a worker that is gone is nobody's: NGX_OK. */

static ngx_int_t
ngx_http_stoa_mcp_linked_pass(ngx_http_stoa_mcp_linked_t *rq)
{
    u_char      *p, *dot;
    ngx_int_t    pid, rc;

    dot = ngx_strlchr(rq->session.data, rq->session.data + rq->session.len,
                      '.');
    pid = dot ? ngx_atoi(rq->session.data, dot - rq->session.data) : NGX_ERROR;

    if (pid == NGX_ERROR || pid == (ngx_int_t) ngx_pid
        || rq->in.len + 1 > NGX_HTTP_STOA_DOOR_SHORT)
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(rq->pool, rq->in.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p[0] = 's';
    ngx_memcpy(p + 1, rq->in.data, rq->in.len);

    rc = ngx_http_stoa_door_pass((ngx_pid_t) pid, p, rq->in.len + 1,
                                 rq->connection->fd);

    if (rc != NGX_OK) {
        return NGX_OK;
    }

    /* it stays open elsewhere: closing it does not end its events here */

    if (ngx_del_conn
        && (rq->connection->read->active || rq->connection->write->active))
    {
        (void) ngx_del_conn(rq->connection, 0);
    }

    return NGX_ABORT;
}


/* ---- its answer --------------------------------------------------------- */

static void
ngx_http_stoa_mcp_linked_write(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;
    ngx_http_stoa_mcp_linked_send(c->data);
}


static void
ngx_http_stoa_mcp_linked_send(ngx_http_stoa_mcp_linked_t *rq)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = rq->connection;

    if (rq->out.rc != STOA_OK) {
        ngx_http_stoa_mcp_linked_free(rq);
        return;
    }

    while (rq->sent < rq->out.len) {
        n = c->send(c, (u_char *) rq->out.data + rq->sent,
                    rq->out.len - rq->sent);

        if (n == NGX_AGAIN) {
            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                ngx_http_stoa_mcp_linked_free(rq);
            }

            return;
        }

        if (n <= 0) {
            ngx_http_stoa_mcp_linked_free(rq);
            return;
        }

        rq->sent += (size_t) n;
    }

    rq->sent = 0;
    stoa_buf_free(&rq->out);
    stoa_buf_init(&rq->out, NGX_HTTP_STOA_MCP_LINK_OUT);

    if (rq->ending) {
        ngx_http_stoa_mcp_linked_free(rq);
    }
}


void
ngx_http_stoa_mcp_linked_status(ngx_http_stoa_mcp_linked_t *rq,
    ngx_uint_t status)
{
    if (!rq->events) {
        stoa_buf_addf(&rq->out, "HTTP/1.1 %u -\r\nContent-Length: 0\r\n"
                      "Connection: close\r\n\r\n", (unsigned) status);
    }

    rq->ending = 1;
    ngx_http_stoa_mcp_linked_send(rq);
}


void
ngx_http_stoa_mcp_linked_answer(ngx_http_stoa_mcp_linked_t *rq,
    const stoa_str_t *text, const ngx_str_t *session)
{
    rq->ending = 1;

    if (rq->events) {
        ngx_http_stoa_mcp_linked_event(rq, text);
        return;
    }

    stoa_buf_addf(&rq->out, "HTTP/1.1 200 OK\r\nContent-Type: "
                  "application/json\r\nContent-Length: %zu\r\n", text->len);

    if (session) {
        stoa_buf_addf(&rq->out, "Mcp-Session-Id: %.*s\r\n",
                      (int) session->len, session->data);
    }

    stoa_buf_addz(&rq->out, "Connection: close\r\n\r\n");
    stoa_buf_add(&rq->out, text->data, text->len);
    ngx_http_stoa_mcp_linked_send(rq);
}


void
ngx_http_stoa_mcp_linked_event(ngx_http_stoa_mcp_linked_t *rq,
    const stoa_str_t *text)
{
    const char  *p, *nl, *end;

    if (!rq->events) {
        rq->events = 1;
        stoa_buf_addz(&rq->out, "HTTP/1.1 200 OK\r\nContent-Type: "
                      "text/event-stream\r\nConnection: close\r\n\r\n");
    }

    if (text) {
        end = text->data + text->len;

        for (p = text->data; p; p = nl ? nl + 1 : NULL) {
            nl = memchr(p, '\n', end - p);
            stoa_buf_addz(&rq->out, "data: ");
            stoa_buf_add(&rq->out, p, (nl ? nl : end) - p);
            stoa_buf_addz(&rq->out, "\n");
        }

        stoa_buf_addz(&rq->out, "\n");
    }

    ngx_http_stoa_mcp_linked_send(rq);
}
