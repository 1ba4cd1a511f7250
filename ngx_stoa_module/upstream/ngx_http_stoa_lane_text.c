/*
 * The fast lane's texts: the request that is sent, the answer that is read.
 *
 * The request has the bytes that nginx's proxy module would send.  An answer
 * is read only if there is one way to read it; what its headers do is done by
 * nginx's own handlers.
 */

#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_lane.h"
#include "ngx_http_stoa_policy.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


#define ngx_http_stoa_lane_lit(p, s)  ngx_cpymem(p, s, sizeof(s) - 1)
#define ngx_http_stoa_lane_add(p, s)  ngx_cpymem(p, (s)->data, (s)->len)

#define ngx_http_stoa_lane_is(h, s)                                           \
    ((h)->key.len == sizeof(s) - 1                                            \
     && ngx_memcmp((h)->lowcase_key, s, sizeof(s) - 1) == 0)


/* A name that upstreams have sent. */

#define NGX_HTTP_STOA_LANE_KNOWN  256

typedef struct {
    ngx_http_upstream_main_conf_t  *umcf;
    ngx_http_upstream_header_t     *hh;
    ngx_uint_t                      hash;
    size_t                          len;
    ngx_hash_elt_t                **hidden_by;  /* of the location that ...  */
    ngx_uint_t                      hidden;     /* was asked last            */
    u_char                          key[32];
    u_char                          low[32];
} ngx_http_stoa_lane_name_t;


static ngx_uint_t ngx_http_stoa_lane_left_out(ngx_table_elt_t *h);
static ngx_int_t ngx_http_stoa_lane_status(ngx_http_stoa_lane_t *lane,
    u_char **pos);
static ngx_int_t ngx_http_stoa_lane_header(ngx_http_stoa_lane_t *lane,
    u_char **pos);
static ngx_http_upstream_header_t *ngx_http_stoa_lane_name(
    ngx_http_stoa_lane_t *lane, ngx_table_elt_t *h);
static ngx_uint_t ngx_http_stoa_lane_hash(ngx_http_stoa_lane_t *lane,
    ngx_str_t *key);
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
        p = ngx_http_stoa_header_number(p,
                                  (uint64_t) r->headers_in.content_length_n);
        p = ngx_http_stoa_lane_lit(p, CRLF);
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
            if (cl->buf->last > cl->buf->pos) {
                p = ngx_cpymem(p, cl->buf->pos,
                               cl->buf->last - cl->buf->pos);
            }
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
    ngx_str_t                    body;
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
    body.data = lane->body;
    body.len = lane->in_last - lane->body;

    if (body.len > ngx_http_stoa_policy_result_max(lane->peer.ctx)
        || lane->peer.ctx->call.result_shadow)
    {
        return NGX_DECLINED;
    }

    return edge->answer == NULL || edge->fits(lane->request, &body)
           ? NGX_OK : NGX_DECLINED;
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
    u_char                       *p, *end;
    ngx_table_elt_t              *h;
    ngx_http_upstream_t          *u;
    ngx_http_upstream_header_t   *hh;

    u = &lane->upstream;
    end = ngx_http_stoa_lane_line(*pos, lane->in_last);

    if (end == NULL || lane->nheaders == NGX_HTTP_STOA_LANE_HEADERS) {
        return NGX_DECLINED;
    }

    p = ngx_strlchr(*pos, end, ':');
    h = ngx_list_push(&u->headers_in.headers);

    if (p == NULL || h == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_stoa_header_end(h);
    h->key.data = *pos;
    h->key.len = p - *pos;

    hh = ngx_http_stoa_lane_name(lane, h);

    if (h->hash == 0) {
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

    lane->key[lane->nheaders] = h->key.data;
    lane->known[lane->nheaders++] = hh;
    *pos = end + 2;

    /* of Connection there is nothing but "keep-alive" here */

    return (hh && !ngx_http_stoa_lane_is(h, "connection"))
           ? hh->handler(lane->request, h, hh->offset) : NGX_OK;
}


/*
 * Its hash, its lower case and what nginx has for it; a hash of 0 for a name
 * that nginx would have to look at.  Names of upstreams are few: the first in
 * a place stays there, so that what points to it may outlive the call.
 */

static ngx_http_upstream_header_t *
ngx_http_stoa_lane_name(ngx_http_stoa_lane_t *lane, ngx_table_elt_t *h)
{
    ngx_hash_t                     *hide;
    ngx_http_stoa_lane_name_t      *name;
    ngx_http_upstream_main_conf_t  *umcf;

    static ngx_http_stoa_lane_name_t  names[NGX_HTTP_STOA_LANE_KNOWN];

    umcf = ngx_http_get_module_main_conf(lane->request,
                                         ngx_http_upstream_module);

    hide = &lane->upstream.conf->hide_headers_hash;

    name = &names[(h->key.len * 8 + (h->key.data[0] & 0x1f))
                  % NGX_HTTP_STOA_LANE_KNOWN];

    if (name->len == h->key.len && name->umcf == umcf
        && ngx_memcmp(name->key, h->key.data, h->key.len) == 0)
    {
        h->hash = name->hash;
        h->lowcase_key = name->low;

        if (name->hidden_by != hide->buckets) {
            name->hidden_by = hide->buckets;
            name->hidden = ngx_hash_find(hide, h->hash, name->low, name->len)
                           != NULL;
        }

        lane->hidden[lane->nheaders] = (u_char) name->hidden;

        return name->hh;
    }

    h->lowcase_key = lane->low;
    h->hash = ngx_http_stoa_lane_hash(lane, &h->key);

    if (h->hash == 0) {
        return NULL;
    }

    lane->hidden[lane->nheaders] = ngx_hash_find(hide, h->hash,
                                                 h->lowcase_key, h->key.len)
                                   != NULL;

    if (name->len || h->key.len > sizeof(name->key)) {
        return ngx_hash_find(&umcf->headers_in_hash, h->hash, h->lowcase_key,
                             h->key.len);
    }

    ngx_memcpy(name->key, h->key.data, h->key.len);
    ngx_memcpy(name->low, h->lowcase_key, h->key.len);

    name->umcf = umcf;
    name->len = h->key.len;
    name->hash = h->hash;
    name->hh = ngx_hash_find(&umcf->headers_in_hash, h->hash, name->low,
                             h->key.len);

    return name->hh;
}


static ngx_uint_t
ngx_http_stoa_lane_hash(ngx_http_stoa_lane_t *lane, ngx_str_t *key)
{
    u_char      ch;
    size_t      i;
    ngx_uint_t  hash;

    hash = 0;

    if (key->len > (size_t) (lane->low_end - lane->low)) {
        return 0;
    }

    for (i = 0; i < key->len; i++) {
        ch = ngx_http_stoa_lane_lower[key->data[i]];

        if (ch == 0) {
            return 0;
        }

        hash = ngx_hash(hash, ch);
        *lane->low++ = ch;
    }

    return hash;
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
                       || (ngx_memcmp(h->value.data, "keep-alive", 10) != 0
                           && ngx_strncasecmp(h->value.data,
                                              (u_char *) "keep-alive", 10)
                              != 0)));

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

            /* the edge may have made the list shorter */

            while (n < lane->nheaders && lane->key[n] != h[i].key.data) {
                n++;
            }

            if (n == lane->nheaders) {
                return NGX_ERROR;
            }

            hh = lane->known[n];
            h[i].value.data[h[i].value.len] = '\0';

            if (lane->hidden[n++] || h[i].hash == 0) {
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
