
/*
 * The URI for the upstream, and query arguments by name.
 *
 * What the client sent is passed on byte by byte where it means the same as
 * the path that the decisions were made on; otherwise that path is escaped
 * anew.  So an upstream never sees a path that was not judged.
 *
 * Process: workers.  Lifetime: results in r->pool or spans of the request.
 */


#include "ngx_http_stoa_uri.h"


static ngx_int_t ngx_http_stoa_uri_raw(ngx_http_request_t *r, size_t prefix,
    ngx_str_t *raw);
static ngx_int_t ngx_http_stoa_uri_path(ngx_http_request_t *r, size_t prefix,
    ngx_str_t *path);
static ngx_uint_t ngx_http_stoa_uri_same(u_char *arg, u_char *end,
    const char *name, size_t len);


ngx_int_t
ngx_http_stoa_uri(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char          *p;
    size_t           len;
    ngx_str_t        path, args;
    stoa_str_t       base, key;
    stoa_rec_api_t  *rec;

    rec = ctx->call.api->rec;
    key = stoa_rec_str(rec, rec->key_query);
    base = stoa_rec_str(rec, rec->base_path);

    if (!ctx->call.by_name || rec->strip_base_path || base.len <= 1) {
        base.len = 0;
    }

    if (base.len == 0 && key.len == 0 && r->valid_unparsed_uri
        && !r->complex_uri && !r->quoted_uri && !r->empty_path_in_uri)
    {
        /* nothing was decoded: the request line itself, with its query */

        ctx->call.rest.data = r->unparsed_uri.data + ctx->call.prefix_len;
        ctx->call.rest.len = r->unparsed_uri.len - ctx->call.prefix_len;

        return NGX_OK;
    }

    if (ngx_http_stoa_uri_path(r, ctx->call.prefix_len, &path) != NGX_OK) {
        return NGX_ERROR;
    }

    args = r->args;

    if (key.len && args.len
        && ngx_http_stoa_args_remove(r->pool, &args, key.data, key.len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = base.len + path.len + (args.len ? 1 + args.len : 0);

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->call.rest.data = p;
    ctx->call.rest.len = len;

    p = ngx_cpymem(p, base.data, base.len);
    p = ngx_cpymem(p, path.data, path.len);

    if (args.len) {
        *p++ = '?';
        ngx_memcpy(p, args.data, args.len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_uri_path(ngx_http_request_t *r, size_t prefix, ngx_str_t *path)
{
    u_char     *src, *dst;
    size_t      len;
    uintptr_t   escape;

    if (r->valid_unparsed_uri
        && ngx_http_stoa_uri_raw(r, prefix, path) == NGX_OK)
    {
        return NGX_OK;
    }

    src = r->uri.data + prefix;
    len = r->uri.len - prefix;

    escape = 2 * ngx_escape_uri(NULL, src, len, NGX_ESCAPE_URI);

    dst = ngx_pnalloc(r->pool, len + escape + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    if (escape) {
        ngx_escape_uri(dst, src, len, NGX_ESCAPE_URI);

    } else {
        ngx_memcpy(dst, src, len);
    }

    path->data = dst;
    path->len = len + escape;

    return NGX_OK;
}


/*
 * Does the path as it was sent decode to r->uri, byte by byte?  Then it is
 * safe; an encoded slash is not, as it would be a segment's end for some.
 */

static ngx_int_t
ngx_http_stoa_uri_raw(ngx_http_request_t *r, size_t prefix, ngx_str_t *raw)
{
    u_char     *p, *last, *start;
    size_t      i;
    ngx_int_t   ch;

    p = r->unparsed_uri.data;
    last = p + r->unparsed_uri.len;
    start = NULL;

    for (i = 0; i < r->uri.len; i++) {

        if (i == prefix) {
            start = p;
        }

        if (p == last) {
            return NGX_DECLINED;
        }

        ch = *p++;

        if (ch == '%') {
            if (last - p < 2) {
                return NGX_DECLINED;
            }

            ch = ngx_hextoi(p, 2);
            p += 2;

            if (ch == '/') {
                return NGX_DECLINED;
            }

        } else if (ch == '?' || ch == '#') {
            return NGX_DECLINED;
        }

        if (ch != r->uri.data[i]) {
            return NGX_DECLINED;
        }
    }

    if (p < last && *p != '?' && *p != '#') {
        return NGX_DECLINED;
    }

    raw->data = start ? start : p;
    raw->len = p - raw->data;

    return NGX_OK;
}


/* Goes through arguments: *p moves on, value gets what is after the "=". */

ngx_int_t
ngx_http_stoa_args_next(u_char **p, u_char *last, const char *name,
    size_t len, ngx_str_t *value)
{
    u_char  *arg, *end, *eq;

    while (*p < last) {
        arg = *p;

        end = ngx_strlchr(arg, last, '&');
        if (end == NULL) {
            end = last;
        }

        *p = (end < last) ? end + 1 : last;

        eq = ngx_strlchr(arg, end, '=');
        if (eq == NULL) {
            eq = end;
        }

        if (ngx_http_stoa_uri_same(arg, eq, name, len)) {
            value->data = (eq < end) ? eq + 1 : end;
            value->len = end - value->data;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* Compares a name as a server would: unescaped. */

static ngx_uint_t
ngx_http_stoa_uri_same(u_char *arg, u_char *end, const char *name, size_t len)
{
    size_t     i;
    ngx_int_t  ch;

    for (i = 0; i < len && arg < end; i++) {
        ch = *arg++;

        if (ch == '%' && end - arg >= 2) {
            ch = ngx_hextoi(arg, 2);
            arg += 2;
        }

        if (ch != (u_char) name[i]) {
            return 0;
        }
    }

    return i == len && arg == end;
}


ngx_int_t
ngx_http_stoa_args_remove(ngx_pool_t *pool, ngx_str_t *args,
    const char *name, size_t len)
{
    u_char     *p, *arg, *last, *dst;
    ngx_str_t   value;

    p = args->data;
    last = p + args->len;

    if (ngx_http_stoa_args_next(&p, last, name, len, &value) != NGX_OK) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, args->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = args->data;
    args->data = dst;

    while (p < last) {
        u_char  *end;

        arg = p;

        end = ngx_strlchr(arg, last, '&');
        if (end == NULL) {
            end = last;
        }

        p = arg;

        if (ngx_http_stoa_args_next(&p, end, name, len, &value) != NGX_OK) {
            if (dst > args->data) {
                *dst++ = '&';
            }

            dst = ngx_cpymem(dst, arg, end - arg);
        }

        p = (end < last) ? end + 1 : last;
    }

    args->len = dst - args->data;

    return NGX_OK;
}
