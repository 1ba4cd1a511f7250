/*
 * Faults: why an upstream's answer is none of MCP, found in its head and in
 * the error that it may hold, and made a refusal of ours.
 *
 * Process: workers.  Lifetime: the caller's; texts are in r->pool.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_media.h"


static ngx_uint_t ngx_http_stoa_mcp_fault_readable(
    const ngx_http_stoa_mcp_head_t *head, ngx_http_stoa_mcp_fault_t *fault);


/* Words of an upstream, for a message: printable and not endless. */

static void
ngx_http_stoa_mcp_fault_add(ngx_http_stoa_mcp_fault_t *fault,
    const ngx_str_t *words)
{
    u_char  *p;
    size_t   i;

    p = fault->text + fault->len;

    for (i = 0; i < words->len && fault->len < sizeof(fault->text); i++) {
        *p++ = (words->data[i] < 0x20 || words->data[i] > 0x7e)
               ? '?' : words->data[i];
        fault->len++;
    }
}


void
ngx_http_stoa_mcp_fault_say(ngx_http_stoa_mcp_fault_t *fault,
    const char *words)
{
    ngx_str_t  text;

    text.data = (u_char *) words;
    text.len = ngx_strlen(words);

    fault->len = 0;
    ngx_http_stoa_mcp_fault_add(fault, &text);
}


/* What the head of r->upstream has of that; what nginx ignores has no hash.
 * In one walk, as each call comes here. */

void
ngx_http_stoa_mcp_fault_read(ngx_http_request_t *r,
    ngx_http_stoa_mcp_head_t *head)
{
    ngx_table_elt_t                 *h;
    ngx_http_stoa_header_walk_t      w;
    ngx_http_upstream_headers_in_t  *in;

    in = &r->upstream->headers_in;

    ngx_memzero(head, sizeof(ngx_http_stoa_mcp_head_t));
    head->status = in->status_n;
    head->empty = !in->chunked && in->content_length_n == 0;

    for (h = ngx_http_stoa_header_first(&w, &in->headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        switch (h->key.len) {

        case 8:
            if (ngx_http_stoa_header_named(h, "location")) {
                head->location = h->value;
            }

            break;

        case 11:
            if (ngx_http_stoa_header_named(h, "retry-after")) {
                head->retry_after = h->value;
            }

            break;

        case 12:
            if (h->hash && ngx_http_stoa_header_named(h, "content-type")) {
                head->twice |= head->type.data != NULL;
                head->type = h->value;
            }

            break;

        case 16:
            if (h->hash && ngx_http_stoa_header_named(h, "content-encoding")) {
                head->twice |= head->coding.data != NULL;
                head->coding = h->value;

            } else if (ngx_http_stoa_header_named(h, "www-authenticate")) {
                head->challenge = 1;
            }

            break;
        }
    }
}


/* NGX_OK: the head is that of an answer; NGX_DECLINED: fault says what it is
 * instead. */

ngx_int_t
ngx_http_stoa_mcp_fault_head(const ngx_http_stoa_mcp_head_t *head,
    ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_uint_t  json;

    ngx_memzero(fault, offsetof(ngx_http_stoa_mcp_fault_t, text));

    fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;

    json = ngx_http_stoa_mcp_fault_readable(head, fault);

    if (head->status == NGX_HTTP_OK) {

        if (fault->len == 0 && head->empty) {
            ngx_http_stoa_mcp_fault_say(fault, "no body");
        }

        return fault->len ? NGX_DECLINED : NGX_OK;
    }

    /* may it have words for a client of MCP? */

    fault->words = json && fault->len == 0
                   && head->status >= NGX_HTTP_BAD_REQUEST
                   && head->status != NGX_HTTP_UNAUTHORIZED
                   && head->status != NGX_HTTP_FORBIDDEN
                   && head->status != 407;

    if (head->status >= 300 && head->status < 400
        && head->status != NGX_HTTP_NOT_MODIFIED)
    {
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_REDIRECT;
    }

    switch (head->status) {

    case NGX_HTTP_UNAUTHORIZED:
    case NGX_HTTP_FORBIDDEN:
    case 407:
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_CREDENTIAL;
        break;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_LIMITED;
        break;

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        fault->what = NGX_HTTP_STOA_REFUSE_UPSTREAM_BUSY;
        break;
    }

    fault->len = ngx_sprintf(fault->text, "HTTP status %ui%s", head->status,
                             head->status == 421
                             ? ", see the api's host_header" : "")
                 - fault->text;

    if (head->retry_after.len
        && head->retry_after.len <= NGX_HTTP_STOA_MCP_RETRY_MAX)
    {
        fault->retry_len = head->retry_after.len;
        ngx_memcpy(fault->retry, head->retry_after.data, fault->retry_len);
    }

    return NGX_DECLINED;
}


/* Whether it is JSON; fault: what keeps us from reading it, if anything. */

static ngx_uint_t
ngx_http_stoa_mcp_fault_readable(const ngx_http_stoa_mcp_head_t *head,
    ngx_http_stoa_mcp_fault_t *fault)
{
    ngx_uint_t  json;

    if (head->twice) {
        ngx_http_stoa_mcp_fault_say(fault, "a Content header twice");
        return 0;
    }

    if (head->type.data == NULL) {
        ngx_http_stoa_mcp_fault_say(fault, "no Content-Type");
        return 0;
    }

    json = stoa_media_is((char *) head->type.data, head->type.len,
                         "application/json");

    if (head->coding.data
        && !stoa_media_plain((char *) head->coding.data, head->coding.len))
    {
        ngx_http_stoa_mcp_fault_say(fault, "Content-Encoding ");
        ngx_http_stoa_mcp_fault_add(fault, &head->coding);

    } else if (!json && !stoa_media_is((char *) head->type.data,
                                       head->type.len, "text/event-stream"))
    {
        ngx_http_stoa_mcp_fault_say(fault, "Content-Type ");
        ngx_http_stoa_mcp_fault_add(fault, &head->type);
    }

    return json;
}


/* An error of JSON-RPC: is it for this message, and what does it say? */

void
ngx_http_stoa_mcp_fault_body(ngx_http_stoa_mcp_fault_t *fault,
    const ngx_str_t *text, const stoa_json_val_t *want)
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

    p = ngx_alloc(v.end - v.start, ngx_cycle->log);

    if (p) {
        fault->len = ngx_sprintf(fault->text, "error %L: ", code)
                     - fault->text;
        words.data = p;
        words.len = stoa_json_unescape(&v, (char *) p);
        ngx_http_stoa_mcp_fault_add(fault, &words);
        ngx_free(p);
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
    ngx_str_t    detail, text, retry;

    text = ngx_http_stoa_refusals[fault->what].detail;
    retry.data = fault->retry;
    retry.len = fault->retry_len;
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
    ctx->call.retry_after.len = retry.len;
    ctx->call.retry_after.data = ngx_pstrdup(r->pool, &retry);

    return NGX_OK;
}
