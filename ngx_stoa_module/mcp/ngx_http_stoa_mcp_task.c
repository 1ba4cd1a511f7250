/*
 * Tasks: calls whose result is fetched later, in their two forms, the
 * experimental core of 2025-11-25 and the extension of 2026-07-28.
 *
 * A client has a task by an id that holds where it is: the upstream's id, its
 * api and session, and the name by which the tool was called.  It is sealed
 * for the caller, so that no other one's opens, and what is asked about a task
 * is judged as a call of its tool is: who may no longer call it gets nothing
 * of it.  What is told outside of its calls has the upstream's id alone: the
 * book (_mcp_book.c) knows the name.
 *
 *   sealed: format 2, modern 1, ref (core/stoa_token.h), name_len 1, name,
 *           the upstream's id
 *
 * Nothing about a task is ever sent twice: its session is what it means.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_relay.h"
#include "core/stoa_glance.h"


#define NGX_HTTP_STOA_MCP_TASK_FORMAT  2
#define NGX_HTTP_STOA_MCP_TASK_TEXT    2048
#define NGX_HTTP_STOA_MCP_TASK_PLACES  3


static ngx_int_t ngx_http_stoa_mcp_task_open(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_json_val_t *said,
    stoa_mcp_ref_t *ref, stoa_str_t *name, stoa_str_t *id);
static ngx_int_t ngx_http_stoa_mcp_task_use(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, const stoa_str_t *id);
static ngx_int_t ngx_http_stoa_mcp_task_unknown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_task_splice(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, stoa_str_t *data);
static ngx_uint_t ngx_http_stoa_mcp_task_places(const stoa_glance_t *g,
    ngx_uint_t own, stoa_json_val_t *at);
static ngx_int_t ngx_http_stoa_mcp_task_back(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_mcp_ref_t *ref,
    const stoa_json_val_t *at, ngx_str_t *text);


ngx_int_t
ngx_http_stoa_mcp_task(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char               *p;
    ngx_int_t             rc;
    stoa_str_t            name, id;
    stoa_mcp_ref_t        ref;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    rc = ngx_http_stoa_mcp_task_open(r, ctx, &mcp->msg.task_id, &ref, &name,
                                     &id);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? ngx_http_stoa_mcp_task_unknown(r, ctx)
                                  : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_pnalloc(r->pool, name.len + 2);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcp->msg.name.type = STOA_JSON_STRING;
    mcp->msg.name.escaped = 0;
    mcp->msg.name.start = (char *) p;

    *p++ = '"';
    p = ngx_cpymem(p, name.data, name.len);
    *p++ = '"';

    mcp->msg.name.end = (char *) p;

    rc = ngx_http_stoa_mcp_resolve(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    /* the name may be another tool's by now */

    if (mcp->bridged || mcp->to_modern
        || ngx_memcmp(&ctx->call.api->id, ref.api, STOA_ID_LEN) != 0)
    {
        return ngx_http_stoa_mcp_task_unknown(r, ctx);
    }

    return ngx_http_stoa_mcp_task_use(ctx, &ref, &id);
}


static ngx_int_t
ngx_http_stoa_mcp_task_open(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_json_val_t *said, stoa_mcp_ref_t *ref, stoa_str_t *name,
    stoa_str_t *id)
{
    size_t                len;
    u_char               *plain, who[NGX_HTTP_STOA_MCP_PRINCIPAL];
    stoa_str_t            text;
    const uint8_t        *p, *end;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (said->start == NULL || !stoa_json_text(said, &text)
        || text.len < stoa_seal_text_len(1)
        || text.len > NGX_HTTP_STOA_MCP_TASK_TEXT)
    {
        return NGX_DECLINED;
    }

    plain = ngx_pnalloc(r->pool, stoa_seal_plain_len(text.len));
    if (plain == NULL) {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_principal(ctx, who);

    if (!stoa_seal_open(STOA_SEAL_TASK,
                        (stoa_str_t) { (char *) who, sizeof(who) }, text,
                        plain, &len)
        || len < 2 || plain[0] != NGX_HTTP_STOA_MCP_TASK_FORMAT
        || plain[1] != mcp->modern)
    {
        return NGX_DECLINED;
    }

    p = plain + 2;
    end = plain + len;

    if (!stoa_mcp_ref_read(&p, end, ref)
        || ref->version > NGX_HTTP_STOA_MCP_VERSIONS
        || p == end || *p >= end - p)
    {
        return NGX_DECLINED;
    }

    name->len = *p++;
    name->data = (const char *) p;
    p += name->len;

    id->data = (const char *) p;
    id->len = end - p;

    return NGX_OK;
}


/* As in the place of a tool's name: the id is spliced, and in Mcp-Name. */

static ngx_int_t
ngx_http_stoa_mcp_task_use(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, const stoa_str_t *id)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    ctx->call.to.first = ref->target + 1;            /* the one that has it  */

    mcp->tasked = 1;
    mcp->named = mcp->msg.task_id;
    mcp->tool_name.data = (u_char *) id->data;
    mcp->tool_name.len = id->len;

    if (!mcp->modern) {
        mcp->upstream_version = ref->version ? ref->version - 1
                                             : NGX_HTTP_STOA_MCP_VERSION_NONE;
        mcp->upstream_target = ref->target;
        mcp->upstream_session.data = (u_char *) ref->sid.data;
        mcp->upstream_session.len = ref->sid.len;
        mcp->connect = NGX_HTTP_STOA_MCP_CONNECT_DONE;
        mcp->retried = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_task_unknown(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t  detail;

    ngx_str_set(&detail, "unknown task");

    return ngx_http_stoa_mcp_refuse(r, ctx, NGX_HTTP_STOA_REFUSE_MCP_TOOL,
                                    &detail);
}


/* ---- what the client gets ---------------------------------------------- */

void
ngx_http_stoa_mcp_task_expect(ngx_http_stoa_mcp_t *mcp)
{
    stoa_json_val_t  v, task;

    if (mcp->msg.method != STOA_MCP_TOOLS_CALL || mcp->bridged
        || mcp->to_modern)
    {
        return;
    }

    if (!mcp->modern) {
        mcp->tasked = mcp->msg.task.start != NULL;
        return;
    }

    mcp->tasked = mcp->msg.meta_caps.start
                  && stoa_json_get(&mcp->msg.meta_caps, "extensions", &v)
                  && v.type == STOA_JSON_OBJECT
                  && stoa_json_get(&v, "io.modelcontextprotocol/tasks",
                                   &task);
}


/* Most messages speak of none. */

static ngx_uint_t
ngx_http_stoa_mcp_task_named(const stoa_str_t *data)
{
    return memmem(data->data, data->len, "\"taskId\"", 8) != NULL;
}


ngx_int_t
ngx_http_stoa_mcp_task_told(ngx_http_stoa_ctx_t *ctx, stoa_str_t *data)
{
    stoa_mcp_ref_t        ref;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if ((!mcp->tasked && (mcp->modern || mcp->to_modern))
        || !ngx_http_stoa_mcp_task_named(data))
    {
        return NGX_OK;
    }

    ngx_http_stoa_mcp_ref(ctx, &ref);

    if (mcp->modern) {
        ref.version = 0;
        ref.sid.len = 0;
    }

    return ngx_http_stoa_mcp_task_splice(ctx, &ref, data);
}


ngx_int_t
ngx_http_stoa_mcp_task_heard(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, stoa_str_t *data)
{
    return ngx_http_stoa_mcp_task_named(data)
           ? ngx_http_stoa_mcp_task_splice(ctx, ref, data) : NGX_OK;
}


/* Puts ids of ours into a message.  What is in data is valid until the
 * next one. */

static ngx_int_t
ngx_http_stoa_mcp_task_splice(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, stoa_str_t *data)
{
    ngx_int_t         rc;
    ngx_uint_t        i, n;
    const char       *p;
    stoa_glance_t     g;
    stoa_json_val_t   at[NGX_HTTP_STOA_MCP_TASK_PLACES];

    static stoa_buf_t  text, *out = &text;

    if (stoa_glance(data->data, data->len, &g) != STOA_OK) {
        return NGX_OK;
    }

    n = ngx_http_stoa_mcp_task_places(&g, ctx->call.mcp->tasked, at);

    if (n == 0) {
        return NGX_OK;
    }

    stoa_buf_free(out);
    stoa_buf_init(out, data->len + n * NGX_HTTP_STOA_MCP_TASK_TEXT + 16);
    p = data->data;

    for (i = 0; i < n; i++) {
        stoa_buf_add(out, p, at[i].start - p);

        rc = ngx_http_stoa_mcp_task_seal(ctx, ref, &at[i], out);

        if (rc != NGX_OK) {
            return rc;
        }

        p = at[i].end;
    }

    stoa_buf_add(out, p, data->data + data->len - p);

    data->data = out->data;
    data->len = out->len;

    return out->rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


/* In the order of their places; own: those of an answer to who asks for a
 * task, or about one, too. */

static ngx_uint_t
ngx_http_stoa_mcp_task_places(const stoa_glance_t *g, ngx_uint_t own,
    stoa_json_val_t *at)
{
    ngx_uint_t              i, n;
    stoa_json_val_t         v, swap;
    const stoa_json_val_t  *of;

    static const char  status[] = "\"notifications/tasks/status\"";

    n = 0;
    of = g->result.start && *g->result.start == '{' ? &g->result
         : g->params.start ? &g->params : NULL;

    if (of == NULL) {
        return 0;
    }

    own |= g->method.start
           && (size_t) (g->method.end - g->method.start) == sizeof(status) - 1
           && ngx_memcmp(g->method.start, status, sizeof(status) - 1) == 0;

    if (own) {
        n += stoa_glance_get(of, "taskId", &at[n]);
    }

    if (own && of == &g->result && stoa_glance_get(of, "task", &v)
        && v.type == STOA_JSON_OBJECT)
    {
        n += stoa_glance_get(&v, "taskId", &at[n]);
    }

    if (stoa_glance_get(of, "_meta", &v) && v.type == STOA_JSON_OBJECT
        && stoa_glance_get(&v, "io.modelcontextprotocol/related-task", &swap)
        && swap.type == STOA_JSON_OBJECT)
    {
        n += stoa_glance_get(&swap, "taskId", &at[n]);
    }

    for (i = 1; i < n; i++) {
        if (at[i].start < at[i - 1].start) {
            swap = at[i];
            at[i] = at[i - 1];
            at[i - 1] = swap;
            i = 0;
        }
    }

    for (i = 0; i < n; i++) {
        if (at[i].type != STOA_JSON_STRING) {
            return 0;
        }
    }

    return n;
}


/* One that is not in the book is of the tool that is called, or, outside of
 * calls, of nobody's. */

static ngx_int_t
ngx_http_stoa_mcp_task_name(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, const stoa_str_t *id, stoa_buf_t *name)
{
    stoa_str_t            own;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (ngx_http_stoa_mcp_book_find(ctx, ref->api, id, name) == NGX_OK) {
        return NGX_OK;
    }

    if (!mcp->tasked || !stoa_json_text(&mcp->msg.name, &own)) {
        return NGX_DECLINED;
    }

    ngx_http_stoa_mcp_book_note(ctx, ref->api, id, &own);
    stoa_buf_add(name, own.data, own.len);

    return name->rc == STOA_OK && name->len <= 255 ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_stoa_mcp_task_seal(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, const stoa_json_val_t *id, stoa_buf_t *out)
{
    char                  text[NGX_HTTP_STOA_MCP_TASK_ID];
    size_t                len;
    u_char                who[NGX_HTTP_STOA_MCP_PRINCIPAL];
    uint8_t               head[2], name_len;
    ngx_int_t             rc;
    stoa_buf_t            plain, name;
    stoa_str_t            own;

    if (id->end - id->start > NGX_HTTP_STOA_MCP_TASK_ID
        || stoa_buf_reserve(out, NGX_HTTP_STOA_MCP_TASK_TEXT + 2) != STOA_OK)
    {
        return NGX_ERROR;
    }

    own.data = text;
    own.len = stoa_json_unescape(id, text);
    stoa_buf_init(&name, NGX_HTTP_STOA_MCP_TASK_TEXT);

    rc = ngx_http_stoa_mcp_task_name(ctx, ref, &own, &name);

    if (rc != NGX_OK) {
        stoa_buf_free(&name);
        return rc;
    }

    head[0] = NGX_HTTP_STOA_MCP_TASK_FORMAT;
    head[1] = ctx->call.mcp->modern;
    name_len = (uint8_t) name.len;

    ngx_http_stoa_mcp_principal(ctx, who);

    stoa_buf_init(&plain, NGX_HTTP_STOA_MCP_TASK_TEXT);
    stoa_buf_add(&plain, head, sizeof(head));
    stoa_mcp_ref_write(&plain, ref);
    stoa_buf_add(&plain, &name_len, 1);
    stoa_buf_add(&plain, name.data, name.len);
    stoa_buf_add(&plain, own.data, own.len);

    len = 0;

    if (plain.rc == STOA_OK) {
        stoa_buf_add(out, "\"", 1);
        len = stoa_seal(STOA_SEAL_TASK, (int64_t) ngx_http_stoa_wall_ms(),
                        (stoa_str_t) { (char *) who, sizeof(who) },
                        (stoa_str_t) { plain.data, plain.len },
                        out->data + out->len, NGX_HTTP_STOA_MCP_TASK_TEXT);
        out->len += len;
        stoa_buf_add(out, "\"", 1);
    }

    stoa_buf_free(&plain);
    stoa_buf_free(&name);

    return len ? NGX_OK : NGX_ERROR;
}


/* ---- what the client says ---------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_task_said(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, ngx_str_t *body)
{
    stoa_str_t       said;
    stoa_glance_t    g;
    stoa_json_val_t  at[NGX_HTTP_STOA_MCP_TASK_PLACES];

    said.data = (char *) body->data;
    said.len = body->len;

    if (!ngx_http_stoa_mcp_task_named(&said)
        || stoa_glance(said.data, said.len, &g) != STOA_OK
        || ngx_http_stoa_mcp_task_places(&g, 0, at) != 1)
    {
        return NGX_OK;
    }

    return ngx_http_stoa_mcp_task_back(r, ctx, ref, &at[0], body) == NGX_ERROR
           ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_task_related(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_mcp_ref_t *ref,
    const stoa_json_val_t *meta, ngx_str_t *text)
{
    size_t           len;
    stoa_json_val_t  v;

    /* nearly no call has one: its name, or some escape that may be of it */

    len = meta->end - meta->start;

    if (memmem(meta->start, len, "related-task", 12) == NULL
        && memchr(meta->start, '\\', len) == NULL)
    {
        return NGX_DECLINED;
    }

    return stoa_json_get(meta, "io.modelcontextprotocol/related-task", &v)
           && v.type == STOA_JSON_OBJECT
           && stoa_json_get(&v, "taskId", &v)
           ? ngx_http_stoa_mcp_task_back(r, ctx, ref, &v, text)
           : NGX_DECLINED;
}


/* The upstream's id in the place of ours.  NGX_DECLINED: it is none of the
 * caller's at this api, and stays. */

static ngx_int_t
ngx_http_stoa_mcp_task_back(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, const stoa_json_val_t *at, ngx_str_t *text)
{
    ngx_int_t        rc;
    ngx_str_t        out;
    stoa_buf_t       b;
    stoa_str_t       name, id;
    stoa_mcp_ref_t   of;

    rc = ngx_http_stoa_mcp_task_open(r, ctx, at, &of, &name, &id);

    if (rc != NGX_OK || ngx_memcmp(of.api, ref->api, STOA_ID_LEN) != 0) {
        return rc == NGX_OK ? NGX_DECLINED : rc;
    }

    stoa_buf_init(&b, text->len + 6 * NGX_HTTP_STOA_MCP_TASK_ID);
    stoa_buf_add(&b, text->data, at->start - (char *) text->data);
    stoa_buf_add_json(&b, id.data, id.len);
    stoa_buf_add(&b, at->end, (char *) text->data + text->len - at->end);

    rc = ngx_http_stoa_ctx_text(r, &b, &out);

    if (rc == NGX_OK) {
        *text = out;
    }

    return rc;
}
