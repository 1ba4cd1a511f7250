
/*
 * Headers that stay here, by rows of one table: keys, claims that only the
 * gateway or a proxy it believes can make, what is meant for one hop, what
 * would lead a framework to another operation than the one that was judged.
 *
 * Servers fold names in many ways, so all characters but letters and digits
 * are one here.  Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_headers.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_header.h"


#define NGX_HTTP_STOA_SCRUB_OPTIONS  32
#define NGX_HTTP_STOA_SCRUB_KNOWN    256


typedef enum {
    NGX_HTTP_STOA_SCRUB_KEEP = 0,
    NGX_HTTP_STOA_SCRUB_DROP,
    NGX_HTTP_STOA_SCRUB_KEY,            /* if it has a key of ours          */
    NGX_HTTP_STOA_SCRUB_SECRET,         /* if the edge says so              */
    NGX_HTTP_STOA_SCRUB_PROOF,          /* of a token's key                 */
    NGX_HTTP_STOA_SCRUB_CLAIM,          /* but those of a proxy of ours     */
    NGX_HTTP_STOA_SCRUB_FOR,
    NGX_HTTP_STOA_SCRUB_PROTO,
    NGX_HTTP_STOA_SCRUB_HOST,
    NGX_HTTP_STOA_SCRUB_STEER,
    NGX_HTTP_STOA_SCRUB_CONNECTION,
    NGX_HTTP_STOA_SCRUB_UPGRADE,
    NGX_HTTP_STOA_SCRUB_TRACE,
    NGX_HTTP_STOA_SCRUB_STATE
} ngx_http_stoa_scrub_e;

typedef struct {
    const char             *name;       /* with "*": whatever is behind     */
    size_t                  len;
    ngx_http_stoa_scrub_e   what;
} ngx_http_stoa_scrub_row_t;

typedef struct {
    size_t                  len;
    ngx_http_stoa_scrub_e   what;
    u_char                  name[36];
} ngx_http_stoa_scrub_known_t;

/* The options of a connection: names of headers for one hop. */
typedef struct {
    ngx_str_t    name[NGX_HTTP_STOA_SCRUB_OPTIONS];
    ngx_uint_t   n;
} ngx_http_stoa_scrub_options_t;


static ngx_int_t ngx_http_stoa_scrub_hop(ngx_http_request_t *r);
static ngx_uint_t ngx_http_stoa_scrub_dropped(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_table_elt_t *h,
    ngx_http_stoa_headers_found_t *found);
static ngx_http_stoa_scrub_e ngx_http_stoa_scrub_what(ngx_str_t *name);
static ngx_http_stoa_scrub_e ngx_http_stoa_scrub_find(
    const ngx_http_stoa_scrub_row_t *row, ngx_str_t *name);
static ngx_uint_t ngx_http_stoa_scrub_match(const char *pattern,
    ngx_str_t *name);
static ngx_uint_t ngx_http_stoa_scrub_key(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_stoa_scrub_trusted(ngx_http_request_t *r,
    ngx_http_stoa_headers_found_t *found);
static ngx_int_t ngx_http_stoa_scrub_options(ngx_list_part_t *part,
    ngx_http_stoa_scrub_options_t *options);
static ngx_int_t ngx_http_stoa_scrub_option(ngx_str_t *value,
    ngx_http_stoa_scrub_options_t *options);
static ngx_uint_t ngx_http_stoa_scrub_listed(ngx_str_t *name,
    ngx_http_stoa_scrub_options_t *options);


/* By their first letter. */

#define ROW(name, what)  { name, sizeof(name) - 1, what }

static const ngx_http_stoa_scrub_row_t  ngx_http_stoa_scrub_rows[] = {
    ROW("authorization", NGX_HTTP_STOA_SCRUB_KEY),
    ROW("cf-connecting-ip", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("client-ip", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("connection", NGX_HTTP_STOA_SCRUB_CONNECTION),
    ROW("cookie", NGX_HTTP_STOA_SCRUB_SECRET),
    ROW("dpop", NGX_HTTP_STOA_SCRUB_PROOF),
    ROW("forwarded", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("proxy", NGX_HTTP_STOA_SCRUB_DROP),
    ROW("proxy-*", NGX_HTTP_STOA_SCRUB_DROP),
    ROW("traceparent", NGX_HTTP_STOA_SCRUB_TRACE),
    ROW("tracestate", NGX_HTTP_STOA_SCRUB_STATE),
    ROW("true-client-ip", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("upgrade", NGX_HTTP_STOA_SCRUB_UPGRADE),
    ROW("x-api-key", NGX_HTTP_STOA_SCRUB_KEY),
    ROW("x-client-ip", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("x-cluster-client-ip", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("x-forwarded-for", NGX_HTTP_STOA_SCRUB_FOR),
    ROW("x-forwarded-host", NGX_HTTP_STOA_SCRUB_HOST),
    ROW("x-forwarded-proto", NGX_HTTP_STOA_SCRUB_PROTO),
    ROW("x-forwarded-*", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("x-http-method", NGX_HTTP_STOA_SCRUB_STEER),
    ROW("x-http-method-override", NGX_HTTP_STOA_SCRUB_STEER),
    ROW("x-method-override", NGX_HTTP_STOA_SCRUB_STEER),
    ROW("x-original-url", NGX_HTTP_STOA_SCRUB_STEER),
    ROW("x-real-ip", NGX_HTTP_STOA_SCRUB_CLAIM),
    ROW("x-request-id", NGX_HTTP_STOA_SCRUB_DROP),
    ROW("x-rewrite-url", NGX_HTTP_STOA_SCRUB_STEER),
    ROW("x-stoa-*", NGX_HTTP_STOA_SCRUB_DROP),
    { NULL, 0, NGX_HTTP_STOA_SCRUB_KEEP }
};

/* What an answer may not have. */
static const char  *ngx_http_stoa_scrub_answer[] = {
    "proxy-*", "te", "trailer", "x-stoa-*", NULL
};

/* Where the rows of a letter begin, made at the first call. */
static const ngx_http_stoa_scrub_row_t  *ngx_http_stoa_scrub_first[26];


ngx_int_t
ngx_http_stoa_scrub_request(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t own, ngx_http_stoa_headers_found_t *found)
{
    ngx_uint_t                    n;
    ngx_list_t                    old;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *h, *copy;
    ngx_http_stoa_header_walk_t   w;

    old = r->headers_in.headers;

    for (n = own, part = &old.part; part; part = part->next) {
        n += part->nelts;
    }

    if (ngx_list_init(&r->headers_in.headers, r->pool, n,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    copy = r->headers_in.headers.part.elts;
    n = 0;

    for (h = ngx_http_stoa_header_first(&w, &old.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash && !ngx_http_stoa_scrub_dropped(r, ctx, h, found)) {
            copy[n++] = *h;

        } else if (r->headers_in.authorization == h) {
            r->headers_in.authorization = NULL;
        }
    }

    r->headers_in.headers.part.nelts = n;

    return found->options ? ngx_http_stoa_scrub_hop(r) : NGX_OK;
}


/* The headers that the client's Connection names. */

static ngx_int_t
ngx_http_stoa_scrub_hop(ngx_http_request_t *r)
{
    ngx_uint_t                       i, n;
    ngx_list_part_t                 *part;
    ngx_table_elt_t                 *h;
    ngx_http_stoa_scrub_options_t    options;

    part = &r->headers_in.headers.part;
    options.n = 0;

    if (ngx_http_stoa_scrub_options(part, &options) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (options.n == 0) {
        return NGX_OK;
    }

    h = part->elts;
    n = 0;

    for (i = 0; i < part->nelts; i++) {
        if (!ngx_http_stoa_scrub_listed(&h[i].key, &options)) {
            h[n++] = h[i];
        }
    }

    part->nelts = n;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_scrub_dropped(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_table_elt_t *h, ngx_http_stoa_headers_found_t *found)
{
    ngx_http_stoa_scrub_e  what;

    switch ((what = ngx_http_stoa_scrub_what(&h->key))) {

    case NGX_HTTP_STOA_SCRUB_DROP:
        return 1;

    case NGX_HTTP_STOA_SCRUB_KEY:
        return ctx->call.edge->secrets
               || (ctx->token && ctx->call.api
                   && !ctx->call.api->rec->keep_authorization
                   && (h->key.data[0] | 0x20) == 'a')
               || (ctx->key_other && (h->key.data[0] | 0x20) == 'x')
               || ngx_http_stoa_scrub_key(r, h);

    case NGX_HTTP_STOA_SCRUB_SECRET:
    case NGX_HTTP_STOA_SCRUB_PROOF:

        if (ctx->call.edge->secrets
            || (ctx->token && what == NGX_HTTP_STOA_SCRUB_PROOF))
        {
            return 1;
        }

        break;

    case NGX_HTTP_STOA_SCRUB_STEER:
        return found->steered;

    case NGX_HTTP_STOA_SCRUB_TRACE:
        found->traceparent = h->value;
        return 1;

    case NGX_HTTP_STOA_SCRUB_STATE:
        found->states++;
        return 1;

    case NGX_HTTP_STOA_SCRUB_CONNECTION:
        found->options = 1;
        return 0;

    case NGX_HTTP_STOA_SCRUB_UPGRADE:
        return r->headers_in.upgrade == NULL;

    case NGX_HTTP_STOA_SCRUB_HOST:
        return found->full;

    case NGX_HTTP_STOA_SCRUB_FOR:

        if (found->full && h->key.data[1] == '-' && h->key.data[11] == '-'
            && ngx_http_stoa_scrub_trusted(r, found))
        {
            found->forwarded_len += h->value.len + 2;
        }

        return found->full;

    case NGX_HTTP_STOA_SCRUB_PROTO:

        if (found->full && ngx_http_stoa_scrub_trusted(r, found)) {
            found->proto = h->value;
        }

        return found->full;

    case NGX_HTTP_STOA_SCRUB_CLAIM:
        return found->full && !ngx_http_stoa_scrub_trusted(r, found);

    default:
        break;
    }

    (void) ngx_http_stoa_conceal_text(&h->value);

    return ctx->call.edge->header_dropped
           && ctx->call.edge->header_dropped(h);
}


/* Names come again and again: the last one of each place is known. */

static ngx_http_stoa_scrub_e
ngx_http_stoa_scrub_what(ngx_str_t *name)
{
    ngx_uint_t                        i;
    ngx_http_stoa_scrub_e             what;
    ngx_http_stoa_scrub_known_t      *known;
    const ngx_http_stoa_scrub_row_t  *row;

    static ngx_http_stoa_scrub_known_t  names[NGX_HTTP_STOA_SCRUB_KNOWN];

    known = &names[(name->len * 8 + (name->data[0] & 0x1f))
                   % NGX_HTTP_STOA_SCRUB_KNOWN];

    if (name->len == known->len
        && ngx_memcmp(name->data, known->name, name->len) == 0)
    {
        return known->what;
    }

    if (ngx_http_stoa_scrub_first['a' - 'a'] == NULL) {

        for (row = ngx_http_stoa_scrub_rows; row->name; row++) {
            if (ngx_http_stoa_scrub_first[row->name[0] - 'a'] == NULL) {
                ngx_http_stoa_scrub_first[row->name[0] - 'a'] = row;
            }
        }
    }

    i = (name->data[0] | 0x20) - 'a';
    row = i < 26 ? ngx_http_stoa_scrub_first[i] : NULL;

    what = row ? ngx_http_stoa_scrub_find(row, name)
               : NGX_HTTP_STOA_SCRUB_KEEP;

    if (name->len && name->len <= sizeof(known->name)) {
        known->len = name->len;
        known->what = what;
        ngx_memcpy(known->name, name->data, name->len);
    }

    return what;
}


/* The rows from this one on, up to the first with another letter. */

static ngx_http_stoa_scrub_e
ngx_http_stoa_scrub_find(const ngx_http_stoa_scrub_row_t *row,
    ngx_str_t *name)
{
    char  ch;

    for (ch = row->name[0]; row->name && row->name[0] == ch; row++) {

        /* most differ in this */

        if (row->len != name->len
            && (row->name[row->len - 1] != '*' || row->len > name->len + 1))
        {
            continue;
        }

        if (ngx_http_stoa_scrub_match(row->name, name)) {
            return row->what;
        }
    }

    return NGX_HTTP_STOA_SCRUB_KEEP;
}


static ngx_uint_t
ngx_http_stoa_scrub_any(const char *const *patterns, ngx_str_t *name)
{
    for ( /* void */ ; *patterns; patterns++) {
        if (ngx_http_stoa_scrub_match(*patterns, name)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_stoa_scrub_match(const char *pattern, ngx_str_t *name)
{
    u_char  ch, *p, *last;

    p = name->data;
    last = p + name->len;

    for ( /* void */ ; *pattern && *pattern != '*'; pattern++) {

        if (p == last) {
            return 0;
        }

        ch = *p++ | 0x20;

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9'))) {
            ch = '-';
        }

        if (ch != (u_char) *pattern) {
            return 0;
        }
    }

    return *pattern || p == last;
}


/* In any form of credentials; what is in Basic is encoded. */

static ngx_uint_t
ngx_http_stoa_scrub_key(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    u_char     *p, *last;
    ngx_str_t   src, dst;

    if (ngx_http_stoa_conceal_text(&h->value)) {
        return 1;
    }

    p = h->value.data;
    last = p + h->value.len;

    if (last - p < 7 || ngx_strncasecmp(p, (u_char *) "Basic", 5) != 0) {
        return 0;
    }

    for (p += 5; p < last && (*p == ' ' || *p == '\t'); p++) { /* void */ }

    src.data = p;
    src.len = last - p;

    dst.data = ngx_pnalloc(r->pool, ngx_base64_decoded_length(src.len) + 1);
    if (dst.data == NULL) {
        return 1;
    }

    return ngx_decode_base64(&dst, &src) == NGX_OK
           && ngx_http_stoa_conceal_text(&dst);
}


/*
 * Does what forwarded the request say the truth?  It does where nginx has
 * taken the client's address from its headers (set_real_ip_from).  With the
 * PROXY protocol the headers are still the client's.
 */

static ngx_uint_t
ngx_http_stoa_scrub_trusted(ngx_http_request_t *r,
    ngx_http_stoa_headers_found_t *found)
{
    ngx_str_t                  *addr;
    ngx_http_variable_value_t  *v;

    static ngx_str_t            name = ngx_string("realip_remote_addr");

    if (found->trusted == 0) {
        found->trusted = 1;

        v = ngx_http_get_variable(r, &name,
                                  ngx_hash_key(name.data, name.len));
        addr = &r->connection->addr_text;

        if (v && !v->not_found && r->connection->proxy_protocol == NULL
            && (v->len != addr->len
                || ngx_memcmp(v->data, addr->data, addr->len) != 0))
        {
            found->trusted = 2;
        }
    }

    return found->trusted == 2;
}


void
ngx_http_stoa_scrub_response(ngx_http_request_t *r)
{
    ngx_table_elt_t                *h;
    ngx_http_stoa_header_walk_t     w;
    ngx_http_stoa_scrub_options_t   options;

    if (r->upstream == NULL) {
        return;
    }

    options.n = 0;

    /* more of them than there is room for: only the first ones are known */

    (void) ngx_http_stoa_scrub_options(&r->upstream->headers_in.headers.part,
                                       &options);

    if (r->headers_out.status != NGX_HTTP_SWITCHING_PROTOCOLS) {
        ngx_str_set(&options.name[options.n], "upgrade");
        options.n++;
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        switch (h->key.data[0] | 0x20) {

        case 'p':
        case 't':
        case 'x':
            if (ngx_http_stoa_scrub_any(ngx_http_stoa_scrub_answer, &h->key))
            {
                h->hash = 0;
                continue;
            }
        }

        if (ngx_http_stoa_scrub_listed(&h->key, &options)) {
            h->hash = 0;
        }
    }
}


static ngx_int_t
ngx_http_stoa_scrub_options(ngx_list_part_t *part,
    ngx_http_stoa_scrub_options_t *options)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        /* the usual one names no header */

        if (h->value.len == 10
            && ngx_memcmp(h->value.data, "keep-alive", 10) == 0)
        {
            continue;
        }

        if (ngx_http_stoa_header_named(h, "connection")
            && ngx_http_stoa_scrub_option(&h->value, options) != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* Those of one header.  What the hop before has no say in is none: the body's
 * description was judged, and the rest nginx sees to. */

static ngx_int_t
ngx_http_stoa_scrub_option(ngx_str_t *value,
    ngx_http_stoa_scrub_options_t *options)
{
    u_char     *p, *last;
    ngx_str_t   name;

    static const char  *none[] = {
        "close", "content-*", "host", "keep-alive", "upgrade", NULL
    };

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p == ',' || *p == ' ' || *p == '\t') {
            p++;
            continue;
        }

        for (name.data = p; p < last && *p != ',' && *p != ' ' && *p != '\t';
             p++) { /* void */ }

        name.len = p - name.data;

        if (ngx_http_stoa_scrub_any(none, &name)) {
            continue;
        }

        /* one place is for the caller */

        if (options->n == NGX_HTTP_STOA_SCRUB_OPTIONS - 1) {
            return NGX_DECLINED;
        }

        options->name[options->n++] = name;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_scrub_listed(ngx_str_t *name,
    ngx_http_stoa_scrub_options_t *options)
{
    ngx_uint_t  i;

    for (i = 0; i < options->n; i++) {
        if (name->len == options->name[i].len
            && ngx_strncasecmp(name->data, options->name[i].data, name->len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}
