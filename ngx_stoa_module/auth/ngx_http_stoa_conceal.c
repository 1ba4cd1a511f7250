
/*
 * Keys where logs would show them.
 *
 * What has the form of a key is masked in all that nginx logs of a request:
 * in a copy of the request line as soon as it was read, in place once the
 * request is ours or over.  An api may take its key from the query: then it
 * is taken out before anything of the api can refuse the request, so that
 * neither a variable nor an upstream ever has it.
 *
 * Process: workers.  Lifetime: copies are in r->pool: the query until the key
 * was looked for, ctx->key until it was judged; both are wiped.
 */

#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_uri.h"
#include "core/stoa_key.h"


/* Where else the query is: the request line, the URI as it was sent.  NULL:
 * there is none, or another one (a rewrite). */

#define NGX_HTTP_STOA_CONCEAL_PLACES  2

typedef struct {
    ngx_str_t   *line;
    u_char      *query;
} ngx_http_stoa_conceal_t;


/* A secret is longer than this. */
#define NGX_HTTP_STOA_CONCEAL_MIN  16


static void ngx_http_stoa_conceal_all(ngx_http_request_t *r);
static ngx_uint_t ngx_http_stoa_conceal_plain(ngx_str_t *text);
static ngx_uint_t ngx_http_stoa_conceal_suspect(ngx_str_t *text);
static u_char *ngx_http_stoa_conceal_secret(u_char *p, u_char *last,
    u_char **secret);
static ngx_int_t ngx_http_stoa_conceal_char(u_char **p, u_char *last);
static ngx_int_t ngx_http_stoa_conceal_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *value);
static void ngx_http_stoa_conceal_mask(ngx_http_request_t *r,
    ngx_http_stoa_conceal_t *place, ngx_str_t *value);
static void ngx_http_stoa_conceal_search(ngx_http_stoa_conceal_t *place,
    ngx_str_t *value);


/* Of a key's environment and id, about. */
static const ngx_uint_t  ngx_http_stoa_conceal_min[] = { 2, STOA_ID_LEN - 4 };
static const ngx_uint_t  ngx_http_stoa_conceal_max[] = { STOA_KEY_ENV_MAX,
                                                         STOA_ID_LEN + 4 };

#define ngx_http_stoa_conceal_id(ch)                                          \
    (((ch) >= 'a' && (ch) <= 'z') || ((ch) >= '0' && (ch) <= '9'))

/* What a secret and its sum are made of. */
static const u_char  ngx_http_stoa_conceal_word[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['_'] = 1
};


/* POST_READ: before nginx or anybody refuses the request. */

ngx_int_t
ngx_http_stoa_conceal_early(ngx_http_request_t *r)
{
    u_char  *p;

    if (r->headers_in.referer) {
        (void) ngx_http_stoa_conceal_text(&r->headers_in.referer->value);
    }

    if (!ngx_http_stoa_conceal_suspect(&r->request_line)) {
        return NGX_DECLINED;
    }

    /* the URI is in the same memory, and may be somebody else's */

    p = ngx_pnalloc(r->pool, r->request_line.len + 1);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(p, r->request_line.data, r->request_line.len);
    r->request_line.data = p;

    (void) ngx_http_stoa_conceal_text(&r->request_line);

    return NGX_DECLINED;
}


/* The first step of the pipeline. */

ngx_int_t
ngx_http_stoa_conceal_ours(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (!ngx_http_stoa_conceal_suspect(&r->unparsed_uri)
        && !ngx_http_stoa_conceal_suspect(&r->args)
        && !ngx_http_stoa_conceal_suspect(&r->uri))
    {
        return NGX_OK;
    }

    if (r->args.len) {
        ctx->call.query.data = ngx_pnalloc(r->pool, r->args.len);
        if (ctx->call.query.data == NULL) {
            return NGX_ERROR;
        }

        ctx->call.query.len = r->args.len;
        ngx_memcpy(ctx->call.query.data, r->args.data, r->args.len);
    }

    ngx_http_stoa_conceal_all(r);

    return NGX_OK;
}


void
ngx_http_stoa_conceal_late(ngx_http_request_t *r, ngx_uint_t headers)
{
    u_char           *p;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    if (r->request_line.data == NULL && r->request_start) {

        /* one that nginx did not understand: $request finds it like this */

        for (p = r->request_start; p < r->header_in->last; p++) {
            if (*p == CR || *p == LF) {
                break;
            }
        }

        r->request_line.data = r->request_start;
        r->request_line.len = p - r->request_start;
    }

    ngx_http_stoa_conceal_all(r);

    if (!headers) {
        return;
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        (void) ngx_http_stoa_conceal_text(&h->value);
    }
}


static void
ngx_http_stoa_conceal_all(ngx_http_request_t *r)
{
    (void) ngx_http_stoa_conceal_text(&r->request_line);
    (void) ngx_http_stoa_conceal_text(&r->unparsed_uri);
    (void) ngx_http_stoa_conceal_text(&r->args);
    (void) ngx_http_stoa_conceal_text(&r->uri);
}


ngx_uint_t
ngx_http_stoa_conceal_text(ngx_str_t *text)
{
    u_char      *p, *last, *end, *secret;
    ngx_uint_t   found;

    if (!ngx_http_stoa_conceal_suspect(text)) {
        return 0;
    }

    if (memchr(text->data, '%', text->len) == NULL) {
        return ngx_http_stoa_conceal_plain(text);
    }

    p = text->data;
    last = p + text->len;
    found = 0;

    while (p < last) {

        if (*p != 's' && *p != '%') {
            p++;
            continue;
        }

        end = ngx_http_stoa_conceal_secret(p, last, &secret);

        if (end == NULL) {
            p++;
            continue;
        }

        ngx_memset(secret, '*', end - secret);
        found++;
        p = end;
    }

    return found;
}


/* The same where nothing is encoded, which is so of nearly all. */

static ngx_uint_t
ngx_http_stoa_conceal_plain(ngx_str_t *text)
{
    u_char      *p, *last, *start, *secret;
    ngx_uint_t   i, n, found;

    p = text->data;
    last = p + text->len;
    found = 0;

    while ((p = memchr(p, '_', last - p)) != NULL) {
        start = p++;

        if (start - text->data < 4 || ngx_memcmp(start - 4, "stoa", 4) != 0) {
            continue;
        }

        for (p = start, i = 0; i < 2; i++) {
            for (n = 0, p++; p < last && ngx_http_stoa_conceal_id(*p); p++) {
                n++;
            }

            if (p == last || *p != '_' || n < ngx_http_stoa_conceal_min[i]
                || n > ngx_http_stoa_conceal_max[i])
            {
                break;
            }
        }

        if (i < 2) {
            p = start + 1;
            continue;
        }

        for (secret = ++p; p < last && ngx_http_stoa_conceal_word[*p]; p++) {
            /* void */
        }

        if (p - secret < NGX_HTTP_STOA_CONCEAL_MIN) {
            p = start + 1;
            continue;
        }

        ngx_memset(secret, '*', p - secret);
        found++;
    }

    return found;
}


/* Cheap, as nearly every line is none. */

static ngx_uint_t
ngx_http_stoa_conceal_suspect(ngx_str_t *text)
{
    return text->len > STOA_KEY_SECRET_LEN
           && (memchr(text->data, '_', text->len)
               || memchr(text->data, '%', text->len));
}


/*
 * The end of what has the form of a key at p, also percent-encoded, and where
 * its secret begins; NULL: it has not.  One that was typed wrong gives away as
 * much, so the lengths are only about right.
 */

static u_char *
ngx_http_stoa_conceal_secret(u_char *p, u_char *last, u_char **secret)
{
    u_char      *start;
    ngx_int_t    ch;
    ngx_uint_t   i, n;

    for (i = 0; i < sizeof("stoa_") - 1; i++) {
        if (ngx_http_stoa_conceal_char(&p, last) != (u_char) "stoa_"[i]) {
            return NULL;
        }
    }

    for (i = 0; i < 2; i++) {

        for (n = 0; n <= ngx_http_stoa_conceal_max[i]; n++) {
            ch = ngx_http_stoa_conceal_char(&p, last);

            if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'))) {
                break;
            }
        }

        if (ch != '_' || n < ngx_http_stoa_conceal_min[i]) {
            return NULL;
        }
    }

    *secret = p;

    for (n = 0; /* void */ ; n++) {
        start = p;
        ch = ngx_http_stoa_conceal_char(&p, last);

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '_'))
        {
            break;
        }
    }

    return n >= STOA_KEY_SECRET_LEN / 2 ? start : NULL;
}


/* The next character, unescaped as often as it is escaped: a client that
 * encodes twice has shown its key as well.  -1: there is none. */

static ngx_int_t
ngx_http_stoa_conceal_char(u_char **p, u_char *last)
{
    ngx_int_t  ch;

    if (*p >= last) {
        return -1;
    }

    ch = *(*p)++;

    while (ch == '%' && last - *p >= 2) {
        ch = ngx_hextoi(*p, 2);
        *p += 2;
    }

    return ch;
}


ngx_int_t
ngx_http_stoa_conceal(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char                   *p, *last, *src, *dst;
    ngx_str_t                 value, sent, first, query;
    stoa_str_t                name;
    ngx_uint_t                i;
    ngx_http_stoa_conceal_t   places[NGX_HTTP_STOA_CONCEAL_PLACES];

    query = ctx->call.query;
    name = stoa_rec_str(ctx->call.api->rec, ctx->call.api->rec->key_query);

    if (name.len == 0 || r->args.len == 0) {
        return NGX_OK;
    }

    places[0].line = &r->request_line;
    places[1].line = &r->unparsed_uri;

    for (i = 0; i < NGX_HTTP_STOA_CONCEAL_PLACES; i++) {
        last = places[i].line->data + places[i].line->len;
        p = ngx_strlchr(places[i].line->data, last, '?');

        places[i].query = (p && (size_t) (last - p) > r->args.len
                           && ngx_memcmp(p + 1, r->args.data, r->args.len)
                              == 0)
                          ? p + 1 : NULL;
    }

    p = r->args.data;
    last = p + r->args.len;
    ngx_str_null(&first);

    while (ngx_http_stoa_args_next(&p, last, name.data, name.len, &value)
           == NGX_OK)
    {
        if (value.len == 0) {
            continue;
        }

        if (query.len == r->args.len) {
            sent.data = query.data + (value.data - r->args.data);
            sent.len = value.len;

        } else {
            sent = value;
        }

        if (ngx_http_stoa_conceal_take(r, ctx, &sent) != NGX_OK) {
            return NGX_ERROR;
        }

        if (first.len == 0) {
            first = ctx->key;

            for (i = 0; i < NGX_HTTP_STOA_CONCEAL_PLACES; i++) {
                if (places[i].query == NULL) {
                    ngx_http_stoa_conceal_search(&places[i], &first);
                }
            }
        }

        ngx_http_stoa_conceal_mask(r, places, &value);
    }

    if (first.len) {
        src = dst = first.data;
        ngx_unescape_uri(&dst, &src, first.len, 0);

        ctx->key.len = dst - first.data;
        ngx_explicit_memzero(dst, first.len - ctx->key.len);
    }

    return NGX_OK;
}


/* Only what is the same may come twice. */

static ngx_int_t
ngx_http_stoa_conceal_take(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *value)
{
    u_char  *p;

    if (ctx->key.len) {
        ctx->key_differs |= value->len != ctx->key.len
                            || !stoa_equal_ct(value->data, ctx->key.data,
                                              value->len);
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, value->data, value->len);
    ctx->key.data = p;
    ctx->key.len = value->len;

    return NGX_OK;
}


/* By its place: no other part of the request is touched, however short the
 * value is, and a thousand of them cost no more than one. */

static void
ngx_http_stoa_conceal_mask(ngx_http_request_t *r,
    ngx_http_stoa_conceal_t *place, ngx_str_t *value)
{
    size_t      offset;
    ngx_uint_t  i;

    offset = value->data - r->args.data;

    for (i = 0; i < NGX_HTTP_STOA_CONCEAL_PLACES; i++) {
        if (place[i].query) {
            ngx_memset(place[i].query + offset, '*', value->len);
        }
    }

    ngx_memset(value->data, '*', value->len);
}


/* After a rewrite of the query: wherever it was sent. */

static void
ngx_http_stoa_conceal_search(ngx_http_stoa_conceal_t *place, ngx_str_t *value)
{
    u_char  *p, *last;

    if (value->len < NGX_HTTP_STOA_CONCEAL_MIN
        || place->line->len < value->len)
    {
        return;
    }

    last = place->line->data + place->line->len;
    p = ngx_strlchr(place->line->data, last, '?');

    while (p && (size_t) (last - p) >= value->len) {

        if (ngx_memcmp(p, value->data, value->len) == 0) {
            ngx_memset(p, '*', value->len);
        }

        p++;
    }
}
