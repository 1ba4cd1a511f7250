/*
 * What a client is told whose call a person has to approve: an input_required
 * result, if it can ask its user, or an error with the approval.
 */

#include "ngx_http_stoa_approve.h"
#include "ngx_http_stoa_time.h"


static ngx_int_t ngx_http_stoa_mcp_approve_input(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_approve_t *ap,
    const ngx_http_stoa_mcp_verdict_t *v, const char *mode);
static void ngx_http_stoa_mcp_approve_url(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_mcp_verdict_t *v, stoa_buf_t *b);


ngx_int_t
ngx_http_stoa_mcp_approve_waits(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_approve_t *ap,
    const ngx_http_stoa_mcp_verdict_t *v)
{
    const char  *mode;

    mode = ctx->call.mcp->modern
           ? ngx_http_stoa_mcp_approve_mode(ctx, &ctx->call.mcp->msg.meta_caps)
           : NULL;

    return mode && v->id.len == STOA_ID_LEN
           ? ngx_http_stoa_mcp_approve_input(r, ctx, ap, v, mode)
           : ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                       NGX_HTTP_STOA_APPROVAL_REQUIRED, v,
                                       "call again when it is given");
}


/* How the client can ask its user; NULL: it cannot.  No member at all stands
 * for forms. */

const char *
ngx_http_stoa_mcp_approve_mode(ngx_http_stoa_ctx_t *ctx,
    const stoa_json_val_t *caps)
{
    stoa_json_val_t   can, v;
    stoa_json_iter_t  it;

    if (caps->start == NULL || !stoa_json_get(caps, "elicitation", &can)
        || can.type != STOA_JSON_OBJECT)
    {
        return NULL;
    }

    if (ngx_http_stoa_mcp_approve_conf(ctx)->url.len
        && stoa_json_get(&can, "url", &v))
    {
        return "url";
    }

    return stoa_json_get(&can, "form", &v)
           || !stoa_json_first(&can, &it, &can, &v)
           ? "form" : NULL;
}


void
ngx_http_stoa_mcp_approve_params(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_mcp_verdict_t *v, const char *mode, stoa_buf_t *b)
{
    ngx_str_t  *name;

    name = &ctx->call.mcp->tool_name;

    stoa_buf_addf(b, "{\"mode\":\"%s\",\"message\":\"A person has to approve "
                  "this call of %.*s: approval %.*s. Accept to look again "
                  "whether it is given.\",", mode, (int) name->len, name->data,
                  (int) v->id.len, v->id.data);

    if (mode[0] == 'u') {
        stoa_buf_addz(b, "\"url\":\"");
        ngx_http_stoa_mcp_approve_url(ctx, v, b);
        stoa_buf_addz(b, "\"}");

    } else {
        stoa_buf_addz(b, "\"requestedSchema\":{\"type\":\"object\","
                      "\"properties\":{}}}");
    }
}


static ngx_int_t
ngx_http_stoa_mcp_approve_input(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_approve_t *ap,
    const ngx_http_stoa_mcp_verdict_t *v, const char *mode)
{
    char                 *text;
    size_t                len;
    stoa_buf_t            b;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    stoa_buf_init(&b, STOA_SEAL_TEXT_MAX);
    stoa_buf_add(&b, v->id.data, v->id.len);
    stoa_buf_add(&b, ap->kept.data, ap->kept.len);
    text = ngx_pnalloc(r->pool, STOA_SEAL_TEXT_MAX);

    len = b.rc == STOA_OK && text
          ? stoa_seal(STOA_SEAL_APPROVAL, (int64_t) ngx_http_stoa_wall_ms(),
                      (stoa_str_t) { (char *) ap->aad, sizeof(ap->aad) },
                      (stoa_str_t) { b.data, b.len }, text,
                      STOA_SEAL_TEXT_MAX)
          : 0;
    stoa_buf_free(&b);

    if (len == 0) {
        return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                       NGX_HTTP_STOA_APPROVAL_REQUIRED, v,
                                       "call again when it is given");
    }

    stoa_buf_init(&b, 65536);
    ngx_http_stoa_mcp_answer_head(&b, mcp);
    stoa_buf_addz(&b, "\"resultType\":\"input_required\",\"inputRequests\":"
                  "{\"" NGX_HTTP_STOA_MCP_APPROVE_KEY "\":{\"method\":"
                  "\"elicitation/create\",\"params\":");
    ngx_http_stoa_mcp_approve_params(ctx, v, mode, &b);
    stoa_buf_addf(&b, "}},\"requestState\":\"%.*s\"}}", (int) len, text);

    return ngx_http_stoa_mcp_answer_buf(r, ctx, &b);
}


static void
ngx_http_stoa_mcp_approve_url(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_mcp_verdict_t *v, stoa_buf_t *b)
{
    size_t                           n;
    stoa_str_t                       url;
    const char                      *p, *last, *at;
    const ngx_http_stoa_attached_t  *a;

    static const char  word[] = "{approval}";

    a = ctx->call.approval;
    url = stoa_rec_str(a->rec, ngx_http_stoa_mcp_approve_conf(ctx)->url);
    last = url.data + url.len;

    for (p = url.data; p < last; p = at + sizeof(word) - 1) {
        at = memmem(p, last - p, word, sizeof(word) - 1);
        n = (at ? at : last) - p;
        stoa_buf_add(b, p, n);

        if (at == NULL) {
            break;
        }

        stoa_buf_add(b, v->id.data, v->id.len);
    }
}


ngx_int_t
ngx_http_stoa_mcp_approve_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_approval_e what,
    const ngx_http_stoa_mcp_verdict_t *v, const char *words)
{
    stoa_buf_t                       b, text;
    ngx_str_t                        detail;
    const ngx_http_stoa_attached_t  *a;
    const ngx_http_stoa_refusal_t   *row;

    a = ctx->call.approval;
    row = &ngx_http_stoa_refusals[a->refusal + what];

    stoa_buf_init(&b, 65536);
    stoa_buf_init(&text, 65536);
    stoa_buf_add(&text, row->detail.data, row->detail.len - 1);

    if (v && v->id.len) {
        stoa_buf_addf(&text, ": approval %.*s", (int) v->id.len, v->id.data);
        stoa_buf_addf(&b, ",\"approval\":{\"id\":\"%.*s\"", (int) v->id.len,
                      v->id.data);

        if (v->expires_ms) {
            stoa_buf_addf(&b, ",\"expires_ms\":%llu",
                          (unsigned long long) v->expires_ms);
        }

        if (v->reason.start) {
            stoa_buf_addz(&b, ",\"reason\":");
            stoa_buf_add(&b, v->reason.start,
                         v->reason.end - v->reason.start);
        }

        if (ngx_http_stoa_mcp_approve_conf(ctx)->url.len) {
            stoa_buf_addz(&b, ",\"url\":\"");
            ngx_http_stoa_mcp_approve_url(ctx, v, &b);
            stoa_buf_addz(&b, "\"");
        }

        stoa_buf_addz(&b, "}");
    }

    if (words) {
        stoa_buf_addf(&text, "; %s", words);
    }

    stoa_buf_addz(&text, ".");

    if ((b.len
         && ngx_http_stoa_ctx_text(r, &b, &ctx->call.mcp->also) != NGX_OK)
        || ngx_http_stoa_ctx_text(r, &text, &detail) != NGX_OK)
    {
        stoa_buf_free(&text);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_stoa_refuse(r, a->refusal + what, &detail);
}


/*
 * JSON may hold as it is what a person does not see, or what turns the text
 * around it: controls, marks of direction, tags.  Such is shown escaped.
 */

void
ngx_http_stoa_mcp_approve_plain(const stoa_buf_t *raw, stoa_buf_t *b)
{
    u_char      *p, *from, *last;
    uint32_t     c;
    ngx_uint_t   i;

    static const uint32_t  unseen[][2] = {
        { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x180e, 0x180e },
        { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
        { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f }
    };

    last = (u_char *) raw->data + raw->len;

    for (p = (u_char *) raw->data; p < last; /* void */ ) {
        from = p;
        c = *p < 0x80 ? *p++ : ngx_utf8_decode(&p, last - p);

        for (i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++) {
            if (c >= unseen[i][0] && c <= unseen[i][1]) {
                break;
            }
        }

        if (i == sizeof(unseen) / sizeof(unseen[0])) {
            stoa_buf_add(b, from, p - from);

        } else if (c < 0x10000) {
            stoa_buf_addf(b, "\\u%04x", (unsigned) c);

        } else {
            c -= 0x10000;
            stoa_buf_addf(b, "\\u%04x\\u%04x", (unsigned) (0xd800 + (c >> 10)),
                          (unsigned) (0xdc00 + (c & 0x3ff)));
        }
    }
}
