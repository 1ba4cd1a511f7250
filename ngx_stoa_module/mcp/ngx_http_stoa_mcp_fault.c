/*
 * Faults: why an upstream's answer is none of MCP, found in its head and in
 * the error that it may hold, and made a refusal of ours.
 *
 * Process: workers.  Lifetime: the caller's; texts are in r->pool.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_media.h"


static ngx_uint_t ngx_http_stoa_mcp_fault_readable(ngx_http_request_t *r,
    ngx_str_t *why);
static ngx_int_t ngx_http_stoa_mcp_fault_content(ngx_http_request_t *r,
    ngx_table_elt_t **type, ngx_table_elt_t **coding);


/* NGX_OK: the head is that of an answer; NGX_DECLINED: fault says what it is
 * instead. */

ngx_int_t
ngx_http_stoa_mcp_fault_head(ngx_http_request_t *r,
    ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_uint_t                       status, json;
    ngx_str_t                        why;
    ngx_table_elt_t                 *h;
    ngx_http_upstream_headers_in_t  *in;

    in = &r->upstream->headers_in;
    status = in->status_n;

    ngx_memzero(fault, sizeof(ngx_http_stoa_mcp_fault_t));

    json = ngx_http_stoa_mcp_fault_readable(r, &why);

    if (status == NGX_HTTP_OK) {

        if (why.len == 0 && !in->chunked && in->content_length_n == 0) {
            ngx_str_set(&why, "no body");
        }

        if (why.len == 0) {
            return NGX_OK;
        }

        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
        ngx_http_stoa_mcp_fault_say(fault, &why);

        return NGX_DECLINED;
    }

    switch (status) {

    case NGX_HTTP_TOO_MANY_REQUESTS:
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_LIMITED;
        break;

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_BUSY;
        break;

    default:
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;
    }

    fault->len = ngx_sprintf(fault->text, "HTTP status %ui", status)
                 - fault->text;

    /* may it have words for a client of MCP? */

    fault->words = json && why.len == 0 && status >= NGX_HTTP_BAD_REQUEST
                   && status != NGX_HTTP_UNAUTHORIZED
                   && status != NGX_HTTP_FORBIDDEN
                   && status != 407;

    h = ngx_http_stoa_mcp_fault_header(r, "retry-after");

    if (h && h->value.len <= NGX_HTTP_STOA_MCP_RETRY_MAX) {
        fault->retry_after = h->value;
    }

    return NGX_DECLINED;
}


/* Whether it is JSON; why: what keeps us from reading it, if anything. */

static ngx_uint_t
ngx_http_stoa_mcp_fault_readable(ngx_http_request_t *r, ngx_str_t *why)
{
    u_char           *p;
    ngx_uint_t        json;
    ngx_table_elt_t  *type, *coding;

    ngx_str_null(why);

    if (ngx_http_stoa_mcp_fault_content(r, &type, &coding) != NGX_OK) {
        ngx_str_set(why, "a Content header twice");
        return 0;
    }

    if (type == NULL) {
        ngx_str_set(why, "no Content-Type");
        return 0;
    }

    json = stoa_media_is((char *) type->value.data, type->value.len,
                         "application/json");

    if (coding && !stoa_media_plain((char *) coding->value.data,
                                    coding->value.len))
    {
        type = coding;

    } else if (json || stoa_media_is((char *) type->value.data,
                                     type->value.len, "text/event-stream"))
    {
        return json;
    }

    p = ngx_pnalloc(r->pool, type->key.len + 1 + type->value.len);

    if (p == NULL) {
        ngx_str_set(why, "unreadable");
        return json;
    }

    why->data = p;
    why->len = ngx_sprintf(p, "%V %V", &type->key, &type->value) - p;

    return json;
}


/* In one walk, as each call comes here; what nginx ignores has no hash. */

static ngx_int_t
ngx_http_stoa_mcp_fault_content(ngx_http_request_t *r, ngx_table_elt_t **type,
    ngx_table_elt_t **coding)
{
    ngx_table_elt_t              *h, **found;
    ngx_http_stoa_header_walk_t   w;

    *type = NULL;
    *coding = NULL;

    for (h = ngx_http_stoa_header_first(&w,
                                    &r->upstream->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash == 0) {
            continue;
        }

        if (ngx_http_stoa_header_is(h, "content-type")) {
            found = type;

        } else if (ngx_http_stoa_header_is(h, "content-encoding")) {
            found = coding;

        } else {
            continue;
        }

        if (*found) {
            return NGX_DECLINED;
        }

        *found = h;
    }

    return NGX_OK;
}


ngx_table_elt_t *
ngx_http_stoa_mcp_fault_header(ngx_http_request_t *r, const char *name)
{
    size_t                        len;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    len = ngx_strlen(name);

    for (h = ngx_http_stoa_header_first(&w,
                                    &r->upstream->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->key.len == len
            && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0)
        {
            break;
        }
    }

    return h;
}


/* Words of an upstream, for a message: printable and not endless. */

void
ngx_http_stoa_mcp_fault_say(ngx_http_stoa_mcp_fault_t *fault,
    const ngx_str_t *words)
{
    u_char  *p;
    size_t   i, n;

    n = ngx_min(words->len, NGX_HTTP_STOA_MCP_WORDS_MAX);
    p = fault->text;

    for (i = 0; i < n; i++) {
        *p++ = (words->data[i] < 0x20 || words->data[i] > 0x7e)
               ? '?' : words->data[i];
    }

    fault->len = n;
}


/* An error of JSON-RPC: is it for this message, and what does it say? */

void
ngx_http_stoa_mcp_fault_body(ngx_http_request_t *r,
    ngx_http_stoa_mcp_fault_t *fault, const ngx_str_t *text,
    const stoa_json_val_t *want)
{
    u_char           *p;
    int64_t           code;
    ngx_str_t         words;
    stoa_err_t        err;
    stoa_json_val_t   root, error, id, v;

    if (stoa_json_check((char *) text->data, text->len, STOA_JSON_DEPTH_MAX,
                        &root, &err)
        != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&root, "error", &error)
        || error.type != STOA_JSON_OBJECT
        || !stoa_json_get(&error, "code", &v)
        || v.type != STOA_JSON_NUMBER
        || stoa_json_int(&v, &code) != STOA_OK)
    {
        return;
    }

    if (stoa_json_get(&root, "id", &id) && id.type != STOA_JSON_NULL) {

        if (!ngx_http_stoa_mcp_fault_same_id(&id, want)) {
            return;
        }

        fault->ours = 1;
    }

    fault->has_code = 1;
    fault->code = code;

    if (!stoa_json_get(&error, "message", &v)
        || v.type != STOA_JSON_STRING)
    {
        return;
    }

    p = ngx_pnalloc(r->pool, 40 + (v.end - v.start));

    if (p) {
        words.data = p;
        p = ngx_sprintf(p, "error %L: ", code);
        words.len = p - words.data + stoa_json_unescape(&v, (char *) p);
        ngx_http_stoa_mcp_fault_say(fault, &words);
    }
}


ngx_uint_t
ngx_http_stoa_mcp_fault_same_id(const stoa_json_val_t *a,
    const stoa_json_val_t *b)
{
    if (a->start == NULL || b->start == NULL || a->type != b->type) {
        return 0;
    }

    if (a->type == STOA_JSON_STRING) {
        return stoa_json_same(a, b);
    }

    return a->type == STOA_JSON_NUMBER
           && a->end - a->start == b->end - b->start
           && ngx_memcmp(a->start, b->start, a->end - a->start) == 0;
}


/* Notes the refusal; before: what else the message begins with. */

ngx_int_t
ngx_http_stoa_mcp_fault_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_fault_t *fault,
    const char *before)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    detail, text;

    text = ngx_http_stoa_refusals[fault->what].detail;
    ngx_str_null(&detail);

    if (fault->len) {
        len = text.len - 1;                              /* its full stop   */

        if (before == NULL) {
            before = "";
        }

        p = ngx_pnalloc(r->pool, len + 2 + ngx_strlen(before)
                                 + fault->len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        text.len = len;
        detail.data = p;
        detail.len = ngx_sprintf(p, "%V: %s%*s", &text, before, fault->len,
                                 fault->text)
                     - p;
    }

    ctx->call.refused = fault->what + 1;
    ctx->call.detail = detail;
    ctx->call.retry_after = fault->retry_after;

    return NGX_OK;
}
