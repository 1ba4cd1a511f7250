/*
 * The fast lane's texts: the request that is sent, the answer that is read.
 *
 * The request has the bytes that nginx's proxy module would send.  An answer
 * is read only if there is one way to read it; what its headers do is done by
 * nginx's own handlers.
 */

#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_lane.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


#define ngx_http_stoa_lane_lit(p, s)  ngx_cpymem(p, s, sizeof(s) - 1)
#define ngx_http_stoa_lane_add(p, s)  ngx_cpymem(p, (s)->data, (s)->len)

#define ngx_http_stoa_lane_is(h, s)                                           \
    ((h)->key.len == sizeof(s) - 1                                            \
     && ngx_memcmp((h)->lowcase_key, s, sizeof(s) - 1) == 0)


static ngx_uint_t ngx_http_stoa_lane_left_out(ngx_table_elt_t *h);
static ngx_int_t ngx_http_stoa_lane_status(ngx_http_stoa_lane_t *lane,
    u_char **pos);
static ngx_int_t ngx_http_stoa_lane_header(ngx_http_stoa_lane_t *lane,
    u_char **pos);
static u_char *ngx_http_stoa_lane_name(ngx_http_stoa_lane_t *lane,
    u_char *name, ngx_table_elt_t *h);
static ngx_uint_t ngx_http_stoa_lane_foreign(ngx_http_upstream_t *u,
    ngx_table_elt_t *h);
static u_char *ngx_http_stoa_lane_line(u_char *p, u_char *last);


/* Lower case of what a name may have here; 0: nothing that is read here. */

static const u_char  ngx_http_stoa_lane_lower[256] = {
    ['-'] = '-',
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',
    ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',
    ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e',
    ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j',
    ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o',
    ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't',
    ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y',
    ['Z'] = 'z',
    ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j',
    ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o',
    ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't',
    ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y',
    ['z'] = 'z'
};


/* ---- the request -------------------------------------------------------- */

size_t
ngx_http_stoa_lane_length(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_chain_t      *cl;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = r->method_name.len + ctx->call.to.uri.len
          + ctx->call.to.host.len + NGX_OFF_T_LEN
          + sizeof("  HTTP/1.1" CRLF "Host: " CRLF "Content-Length: " CRLF
                   CRLF);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            len += h[i].key.len + h[i].value.len + sizeof(": " CRLF) - 1;
        }
    }

    if (r->request_body) {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            len += cl->buf->last - cl->buf->pos;
        }
    }

    return len;
}


u_char *
ngx_http_stoa_lane_write(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    u_char *p)
{
    ngx_uint_t        i;
    ngx_chain_t      *cl;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    p = ngx_http_stoa_lane_add(p, &r->method_name);
    *p++ = ' ';
    p = ngx_http_stoa_lane_add(p, &ctx->call.to.uri);
    p = ngx_http_stoa_lane_lit(p, " HTTP/1.1" CRLF "Host: ");
    p = ngx_http_stoa_lane_add(p, &ctx->call.to.host);
    p = ngx_http_stoa_lane_lit(p, CRLF);

    if (r->headers_in.content_length_n >= 0) {
        p = ngx_http_stoa_lane_lit(p, "Content-Length: ");
        p = ngx_sprintf(p, "%O" CRLF, r->headers_in.content_length_n);
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_stoa_lane_left_out(&h[i])) {
                continue;
            }

            p = ngx_http_stoa_lane_add(p, &h[i].key);
            *p++ = ':';
            *p++ = ' ';
            p = ngx_http_stoa_lane_add(p, &h[i].value);
            *p++ = CR;
            *p++ = LF;
        }
    }

    *p++ = CR;
    *p++ = LF;

    if (r->request_body) {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
        }
    }

    return p;
}


/* What the proxy module sets or takes away by itself; with an Upgrade or
 * Expect there is no lane. */

static ngx_uint_t
ngx_http_stoa_lane_left_out(ngx_table_elt_t *h)
{
    switch (h->key.len) {

    case 2:
        return ngx_http_stoa_lane_is(h, "te");

    case 4:
        return ngx_http_stoa_lane_is(h, "host");

    case 6:
        return ngx_http_stoa_lane_is(h, "expect");

    case 7:
        return ngx_http_stoa_lane_is(h, "upgrade");

    case 10:
        return ngx_http_stoa_lane_is(h, "connection")
               || ngx_http_stoa_lane_is(h, "keep-alive");

    case 14:
        return ngx_http_stoa_lane_is(h, "content-length");

    case 17:
        return ngx_http_stoa_lane_is(h, "transfer-encoding");
    }

    return 0;
}


/* ---- the answer --------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_lane_read(ngx_http_stoa_lane_t *lane)
{
    u_char                      *p;
    ngx_http_upstream_t         *u;
    const ngx_http_stoa_edge_t  *edge;

    u = &lane->upstream;

    if (ngx_list_init(&u->headers_in.headers, lane->request->pool, 16,
                      sizeof(ngx_table_elt_t))
        != NGX_OK
        || ngx_http_stoa_lane_status(lane, &p) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    while (lane->in_last - p >= 2 && *p != CR) {
        if (ngx_http_stoa_lane_header(lane, &p) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    if (lane->in_last - p < 2 || p[0] != CR || p[1] != LF) {
        return NGX_DECLINED;
    }

    lane->body = p + 2;

    if (u->headers_in.content_length_n <= 0
        || u->headers_in.content_length_n != lane->in_last - lane->body
        || u->headers_in.connection_close)
    {
        return NGX_DECLINED;
    }

    edge = lane->peer.ctx->call.edge;

    return (edge->answer == NULL || edge->fits(lane->request)) ? NGX_OK
                                                               : NGX_DECLINED;
}


/* 2xx with a body: not 204, nor 206, which would be put together. */

static ngx_int_t
ngx_http_stoa_lane_status(ngx_http_stoa_lane_t *lane, u_char **pos)
{
    u_char      *p, *end;
    ngx_uint_t   status;

    p = lane->in;

    if (lane->in_last - p < (ssize_t) sizeof("HTTP/1.1 200 " CRLF CRLF) - 1
        || ngx_memcmp(p, "HTTP/1.1 2", 10) != 0
        || p[10] < '0' || p[10] > '9' || p[11] < '0' || p[11] > '9'
        || p[12] != ' ')
    {
        return NGX_DECLINED;
    }

    status = 200 + (p[10] - '0') * 10 + (p[11] - '0');
    end = ngx_http_stoa_lane_line(p + 13, lane->in_last);

    if (end == NULL || status == NGX_HTTP_NO_CONTENT
        || status == NGX_HTTP_PARTIAL_CONTENT)
    {
        return NGX_DECLINED;
    }

    lane->upstream.headers_in.status_n = status;
    lane->upstream.headers_in.status_line.data = p + 9;
    lane->upstream.headers_in.status_line.len = end - (p + 9);

    *pos = end + 2;

    return NGX_OK;
}


/* "Name: value" with one space or none, and nothing else to be trimmed. */

static ngx_int_t
ngx_http_stoa_lane_header(ngx_http_stoa_lane_t *lane, u_char **pos)
{
    u_char                         *p, *end;
    ngx_table_elt_t                *h;
    ngx_http_upstream_t            *u;
    ngx_http_upstream_header_t     *hh;
    ngx_http_upstream_main_conf_t  *umcf;

    u = &lane->upstream;
    end = ngx_http_stoa_lane_line(*pos, lane->in_last);

    if (end == NULL || lane->nheaders == NGX_HTTP_STOA_LANE_HEADERS) {
        return NGX_DECLINED;
    }

    h = ngx_list_push(&u->headers_in.headers);
    if (h == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_stoa_header_end(h);

    p = ngx_http_stoa_lane_name(lane, *pos, h);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    p += (p[1] == ' ') ? 2 : 1;

    h->value.data = p;
    h->value.len = end - p;

    if ((p < end && (*p == ' ' || end[-1] == ' '))
        || ngx_http_stoa_lane_foreign(u, h))
    {
        return NGX_DECLINED;
    }

    umcf = ngx_http_get_module_main_conf(lane->request,
                                         ngx_http_upstream_module);
    hh = ngx_hash_find(&umcf->headers_in_hash, h->hash, h->lowcase_key,
                       h->key.len);

    lane->known[lane->nheaders++] = hh;
    *pos = end + 2;

    return hh ? hh->handler(lane->request, h, hh->offset) : NGX_OK;
}


/* The colon behind it; NULL for what nginx would have to look at. */

static u_char *
ngx_http_stoa_lane_name(ngx_http_stoa_lane_t *lane, u_char *name,
    ngx_table_elt_t *h)
{
    u_char      ch, *p, *low;
    ngx_uint_t  hash;

    low = lane->low;
    hash = 0;

    for (p = name; *p != ':'; p++) {
        ch = ngx_http_stoa_lane_lower[*p];

        if (ch == 0 || low == lane->low_end) {
            return NULL;
        }

        hash = ngx_hash(hash, ch);
        *low++ = ch;
    }

    h->hash = hash;
    h->key.data = name;
    h->key.len = p - name;
    h->lowcase_key = lane->low;
    lane->low = low;

    return h->key.len ? p : NULL;
}


/* Headers that make nginx do more than pass them on. */

static ngx_uint_t
ngx_http_stoa_lane_foreign(ngx_http_upstream_t *u, ngx_table_elt_t *h)
{
    switch (h->key.len) {

    case 7:
        return ngx_http_stoa_lane_is(h, "refresh")
               || ngx_http_stoa_lane_is(h, "trailer")
               || ngx_http_stoa_lane_is(h, "upgrade");

    case 8:
        return ngx_http_stoa_lane_is(h, "location");

    case 10:
        return ngx_http_stoa_lane_is(h, "set-cookie")
               || (ngx_http_stoa_lane_is(h, "connection")
                   && (h->value.len != 10
                       || ngx_strncasecmp(h->value.data,
                                          (u_char *) "keep-alive", 10)
                          != 0));

    case 14:
        return ngx_http_stoa_lane_is(h, "content-length")
               && u->headers_in.content_length_n != -1;

    case 17:
        if (ngx_http_stoa_lane_is(h, "transfer-encoding")) {
            return 1;
        }
        break;
    }

    return h->key.len > 8 && ngx_memcmp(h->lowcase_key, "x-accel-", 8) == 0;
}


/* The end of a line of printable ASCII, NULL if it is none. */

static u_char *
ngx_http_stoa_lane_line(u_char *p, u_char *last)
{
#if defined(__SSE2__)

    int  m;

    for ( /* void */ ; p < last; p += 16) {

        /* as signed bytes, those beyond ASCII are below all */

        m = _mm_movemask_epi8(
                _mm_cmplt_epi8(_mm_loadu_si128((const __m128i *) p),
                               _mm_set1_epi8(0x20)));
        if (m) {
            p += __builtin_ctz((unsigned) m);
            break;
        }
    }

#else

    while (p < last && *p >= 0x20 && *p < 0x80) {
        p++;
    }

#endif

    return (last - p >= 2 && p[0] == CR && p[1] == LF) ? p : NULL;
}


/* As ngx_http_upstream_process_headers(); what its handlers read is ended by
 * a zero there. */

ngx_int_t
ngx_http_stoa_lane_headers(ngx_http_stoa_lane_t *lane)
{
    ngx_uint_t                   i, n;
    ngx_list_part_t             *part;
    ngx_table_elt_t             *h, *ho;
    ngx_http_request_t          *r;
    ngx_http_upstream_t         *u;
    ngx_http_upstream_header_t  *hh;

    r = lane->request;
    u = &lane->upstream;
    n = 0;

    for (part = &u->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            hh = lane->known[n++];
            h[i].value.data[h[i].value.len] = '\0';

            if (h[i].hash == 0
                || ngx_hash_find(&u->conf->hide_headers_hash, h[i].hash,
                                 h[i].lowcase_key, h[i].key.len))
            {
                continue;
            }

            if (hh) {
                if (hh->copy_handler(r, &h[i], hh->conf) != NGX_OK) {
                    return NGX_ERROR;
                }

                continue;
            }

            ho = ngx_list_push(&r->headers_out.headers);
            if (ho == NULL) {
                return NGX_ERROR;
            }

            *ho = h[i];
        }
    }

    r->headers_out.status = u->headers_in.status_n;
    r->headers_out.status_line = u->headers_in.status_line;
    r->headers_out.content_length_n = u->headers_in.content_length_n;
    r->disable_not_modified = 1;

    return NGX_OK;
}
