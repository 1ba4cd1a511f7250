
/*
 * The URI for the upstream, and query arguments by name.
 *
 * What the client sent is passed on byte by byte where it means the same as
 * the path that the decisions were made on, with slashes and dots resolved
 * where they were not; otherwise that path is escaped anew.  So an upstream
 * never sees a path that was not judged.
 *
 * Process: workers.  Lifetime: results in r->pool or spans of the request.
 */

#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_uri.h"


static ngx_int_t ngx_http_stoa_uri_sent(ngx_http_request_t *r, size_t prefix,
    ngx_uint_t keep, ngx_str_t *path);
static ngx_int_t ngx_http_stoa_uri_raw(ngx_str_t *sent, ngx_str_t *uri,
    size_t prefix, ngx_uint_t keep, ngx_str_t *raw);
static ngx_int_t ngx_http_stoa_uri_mend(ngx_http_request_t *r,
    ngx_str_t *sent, ngx_uint_t keep, ngx_str_t *mended);
static u_char *ngx_http_stoa_uri_slash(u_char *p, u_char *last,
    ngx_uint_t keep, size_t *len);
static ngx_uint_t ngx_http_stoa_uri_dots(u_char *p, u_char *last);
static ngx_int_t ngx_http_stoa_uri_join(ngx_pool_t *pool, ngx_str_t *path,
    ngx_str_t *args, ngx_str_t *uri);
static ngx_uint_t ngx_http_stoa_uri_same(u_char *arg, u_char *end,
    const char *name, size_t len);


ngx_int_t
ngx_http_stoa_uri(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char          *p;
    ngx_str_t        path, args, whole;
    stoa_str_t       base;
    stoa_rec_api_t  *rec;

    if (ctx->call.rewritten.len) {
        return ngx_http_stoa_uri_args(r, ctx, &args) == NGX_OK
               ? ngx_http_stoa_uri_join(r->pool, &ctx->call.rewritten, &args,
                                        &ctx->call.to.rest)
               : NGX_ERROR;
    }

    rec = ctx->call.api->rec;
    base = stoa_rec_str(rec, rec->base_path);

    if (!ctx->call.by_name || rec->strip_base_path || base.len <= 1) {
        base.len = 0;
    }

    if (base.len == 0 && rec->key_query.len == 0 && r->valid_unparsed_uri
        && !r->complex_uri && !r->quoted_uri && !r->empty_path_in_uri)
    {
        /* nothing was decoded: the request line itself, with its query */

        ctx->call.to.rest.data = r->unparsed_uri.data + ctx->call.prefix_len;
        ctx->call.to.rest.len = r->unparsed_uri.len - ctx->call.prefix_len;

        return NGX_OK;
    }

    if (ngx_http_stoa_uri_path(r, ctx->call.prefix_len,
                               rec->keep_encoded_slashes, &path)
        != NGX_OK
        || ngx_http_stoa_uri_args(r, ctx, &args) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (base.len) {
        p = ngx_pnalloc(r->pool, base.len + path.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        whole.data = p;
        whole.len = base.len + path.len;

        p = ngx_cpymem(p, base.data, base.len);
        ngx_memcpy(p, path.data, path.len);
        path = whole;
    }

    return ngx_http_stoa_uri_join(r->pool, &path, &args, &ctx->call.to.rest);
}


/*
 * A content handler of the location sends r->uri or the client's own bytes,
 * as nginx's modules and $request_uri do.  So these become the path that was
 * judged.  After a rewrite they are somebody's choice, but not where
 * operations are told apart by the path.
 */

ngx_int_t
ngx_http_stoa_uri_protect(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t                   path, args;
    ngx_http_variable_value_t  *v;
    ngx_http_stoa_main_conf_t  *mcf;

    if (!r->valid_unparsed_uri && ctx->call.api->nops == 0
        && !ctx->call.api->rec->operations_only)
    {
        return NGX_OK;
    }

    if (ngx_http_stoa_uri_path(r, 0, 0, &path) != NGX_OK
        || ngx_http_stoa_uri_args(r, ctx, &args) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (path.data == r->unparsed_uri.data && args.len == r->args.len
        && ngx_strlchr(path.data, path.data + r->unparsed_uri.len, '#')
           == NULL)
    {
        return NGX_OK;
    }

    r->args = args;

    if (ngx_http_stoa_uri_join(r->pool, &path, &args, &r->unparsed_uri)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* somebody may have asked for it already */

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    v = &r->variables[mcf->request_uri];

    v->valid = 0;
    v->not_found = 0;

    return NGX_OK;
}


/*
 * For an api that keeps encoded slashes: the part of ctx->call.path as its
 * upstream will see it, in which they stay encoded and end no segment.  Where
 * that is not what nginx has made of the path, NGX_DECLINED.
 */

ngx_int_t
ngx_http_stoa_uri_kept(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char     *p, *last, *dst;
    size_t      prefix;
    ngx_int_t   ch;
    ngx_str_t   path;

    if (!r->quoted_uri || !r->valid_unparsed_uri
        || ngx_strlcasestrn(r->unparsed_uri.data,
                            r->unparsed_uri.data + r->unparsed_uri.len,
                            (u_char *) "%2f", 3 - 1)
           == NULL
        || ctx->call.path.data + ctx->call.path.len
           != r->uri.data + r->uri.len)
    {
        return NGX_OK;
    }

    prefix = r->uri.len - ctx->call.path.len;

    if (ngx_http_stoa_uri_sent(r, prefix, 1, &path) != NGX_OK) {
        return NGX_DECLINED;
    }

    dst = ngx_pnalloc(r->pool, path.len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    ctx->call.path.data = dst;
    last = path.data + path.len;

    for (p = path.data; p < last; p++) {

        ch = *p;

        if (ch == '%') {
            ch = ngx_hextoi(p + 1, 2);
            p += 2;

            if (ch == '/') {
                dst = ngx_cpymem(dst, "%2F", 3);
                continue;
            }
        }

        *dst++ = (u_char) ch;
    }

    ctx->call.path.len = dst - ctx->call.path.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_uri_path(ngx_http_request_t *r, size_t prefix, ngx_uint_t keep,
    ngx_str_t *path)
{
    u_char     *src, *dst;
    size_t      len;
    uintptr_t   escape;

    if (r->valid_unparsed_uri
        && ngx_http_stoa_uri_sent(r, prefix, keep, path) == NGX_OK)
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


/* The client's bytes, mended where that is needed. */

static ngx_int_t
ngx_http_stoa_uri_sent(ngx_http_request_t *r, size_t prefix, ngx_uint_t keep,
    ngx_str_t *path)
{
    size_t     len;
    ngx_str_t  sent, mended;

    sent.data = r->unparsed_uri.data;

    for (len = 0; len < r->unparsed_uri.len; len++) {
        if (sent.data[len] == '?' || sent.data[len] == '#') {
            break;
        }
    }

    sent.len = len;

    if (ngx_http_stoa_uri_raw(&sent, &r->uri, prefix, keep, path) == NGX_OK) {
        return NGX_OK;
    }

    return ngx_http_stoa_uri_mend(r, &sent, keep, &mended) == NGX_OK
           ? ngx_http_stoa_uri_raw(&mended, &r->uri, prefix, keep, path)
           : NGX_DECLINED;
}


/*
 * Does a path decode to uri, byte by byte?  Then it is safe; an encoded slash
 * is not, as it would be a segment's end for some, unless it is kept.
 */

static ngx_int_t
ngx_http_stoa_uri_raw(ngx_str_t *sent, ngx_str_t *uri, size_t prefix,
    ngx_uint_t keep, ngx_str_t *raw)
{
    u_char     *p, *last, *start;
    size_t      i;
    ngx_int_t   ch;

    p = sent->data;
    last = p + sent->len;
    start = NULL;

    for (i = 0; i < uri->len; i++) {

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

            if (ch == '/' && (!keep || i <= prefix)) {
                return NGX_DECLINED;
            }
        }

        if (ch != uri->data[i]) {
            return NGX_DECLINED;
        }
    }

    if (p < last) {
        return NGX_DECLINED;
    }

    raw->data = start ? start : p;
    raw->len = p - raw->data;

    return NGX_OK;
}


/*
 * The client's path with slashes and dots as nginx has resolved them, and all
 * other segments as they were sent: they may mean more than what they decode
 * to.  The caller compares it with nginx's result.
 */

static ngx_int_t
ngx_http_stoa_uri_mend(ngx_http_request_t *r, ngx_str_t *sent,
    ngx_uint_t keep, ngx_str_t *mended)
{
    u_char                    *p, *dst, *next, *last;
    size_t                     n;
    ngx_uint_t                 dots;
    ngx_http_core_srv_conf_t  *cscf;

    p = sent->data;
    last = p + sent->len;

    if (ngx_http_stoa_uri_slash(p, last, keep, &n) != p) {
        return NGX_DECLINED;
    }

    mended->data = ngx_pnalloc(r->pool, sent->len + 1);
    if (mended->data == NULL) {
        return NGX_ERROR;
    }

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    dst = mended->data;
    *dst++ = '/';

    for (p += n; p < last; p = next + n) {

        next = ngx_http_stoa_uri_slash(p, last, keep, &n);
        dots = ngx_http_stoa_uri_dots(p, next);

        if (dots == 2) {
            do {
                if (--dst == mended->data) {
                    return NGX_DECLINED;
                }
            } while (dst[-1] != '/');

        } else if (dots == 0 && !(p == next && cscf->merge_slashes)) {
            dst = ngx_cpymem(dst, p, next - p);

            if (n) {
                *dst++ = '/';
            }
        }
    }

    mended->len = dst - mended->data;

    return NGX_OK;
}


/* The next slash, plain (n = 1) or encoded (3); last and n = 0: none. */

static u_char *
ngx_http_stoa_uri_slash(u_char *p, u_char *last, ngx_uint_t keep, size_t *n)
{
    for ( /* void */ ; p < last; p++) {

        if (*p == '/') {
            *n = 1;
            return p;
        }

        if (*p == '%' && !keep && last - p > 2 && p[1] == '2'
            && (p[2] | 0x20) == 'f')
        {
            *n = 3;
            return p;
        }
    }

    *n = 0;

    return last;
}


/* 1 for ".", 2 for "..", 0 for other segments. */

static ngx_uint_t
ngx_http_stoa_uri_dots(u_char *p, u_char *last)
{
    ngx_uint_t  n;

    for (n = 0; p < last; n++) {

        if (*p == '.') {
            p++;

        } else if (last - p > 2 && p[0] == '%' && p[1] == '2'
                   && (p[2] | 0x20) == 'e')
        {
            p += 3;

        } else {
            return 0;
        }
    }

    return n > 2 ? 0 : n;
}


/* The query without the key. */

ngx_int_t
ngx_http_stoa_uri_args(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *args)
{
    stoa_str_t  key;

    if (ctx->call.asked_set) {
        *args = ctx->call.asked;
        return NGX_OK;
    }

    key = stoa_rec_str(ctx->call.api->rec, ctx->call.api->rec->key_query);
    *args = r->args;

    if (key.len == 0 || args->len == 0) {
        return NGX_OK;
    }

    return ngx_http_stoa_args_remove(r->pool, args, key.data, key.len);
}


static ngx_int_t
ngx_http_stoa_uri_join(ngx_pool_t *pool, ngx_str_t *path, ngx_str_t *args,
    ngx_str_t *uri)
{
    u_char  *p;

    uri->len = path->len + (args->len ? 1 + args->len : 0);

    p = ngx_pnalloc(pool, uri->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    uri->data = p;
    p = ngx_cpymem(p, path->data, path->len);

    if (args->len) {
        *p++ = '?';
        ngx_memcpy(p, args->data, args->len);
    }

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


/*
 * A backslash as such is in no URI.  "/..;a/" and "/..\": ordinary names for
 * nginx, a way up for servers that cut off parameters or take the backslash
 * for a slash.  What they would do is not what was judged.
 */

ngx_uint_t
ngx_http_stoa_uri_ambiguous(ngx_http_request_t *r)
{
    u_char  *p, *last, *query;

    p = r->unparsed_uri.data;
    last = p + r->unparsed_uri.len;

    p = ngx_strlchr(p, last, '\\');

    if (p) {
        query = ngx_strlchr(r->unparsed_uri.data, last, '?');

        if (query == NULL || p < query) {
            return 1;
        }
    }

    p = r->uri.data;
    last = p + r->uri.len;

    while ((p = ngx_strlchr(p, last, '.')) != NULL) {

        if (p > r->uri.data && (p[-1] == '/' || p[-1] == '\\')) {

            p += (p + 1 < last && p[1] == '.') ? 2 : 1;

            if (p == last || *p == ';' || *p == '\\' || *p == '/') {
                return 1;
            }
        }

        while (p < last && *p == '.') {
            p++;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_stoa_uri_host(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char     *p, *last, *port;
    ngx_str_t  *server;

    server = &r->headers_in.server;

    if (r->host_start && r->host_end) {
        p = r->host_start;
        port = r->host_end;

        for (last = port; *last == ':' || (*last >= '0' && *last <= '9');
             last++) { /* void */ }

    } else if (r->headers_in.host) {
        p = r->headers_in.host->value.data;
        last = p + r->headers_in.host->value.len;

        for (port = last; port > p && port[-1] >= '0' && port[-1] <= '9';
             port--) { /* void */ }

        port = (port > p && port[-1] == ':') ? port - 1 : last;

    } else {
        *value = *server;
        return NGX_OK;
    }

    if ((size_t) (port - p) == server->len
        && ngx_memcmp(p, server->data, server->len) == 0)
    {
        value->data = p;
        value->len = last - p;

        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, server->len + (last - port));
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value->data, server->data, server->len);
    p = ngx_cpymem(p, port, last - port);
    value->len = p - value->data;

    return NGX_OK;
}
