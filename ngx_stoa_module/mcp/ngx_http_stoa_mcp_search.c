
/*
 * Servers with many tools: search_tools finds some, call_tool calls one.
 *
 * Clients of such a server see these two in place of its tools, whose
 * definitions would fill what a model can read.  What is found is the caller's
 * view, so what is found may be called; a call by call_tool is a call of the
 * tool: the message is written anew as that, and judged as that.
 *
 * Process: workers.  Owner: the view keeps the words of its tools.
 * Limits: of a query 16 words and 1 KiB, 50 tools of an answer, 1 KiB of a
 * description is looked at.
 */

#include "ngx_http_stoa_seen.h"


#define NGX_HTTP_STOA_MCP_QUERY_MAX   1024
#define NGX_HTTP_STOA_MCP_TOKENS_MAX  16
#define NGX_HTTP_STOA_MCP_FOUND       10
#define NGX_HTTP_STOA_MCP_FOUND_MAX   50
#define NGX_HTTP_STOA_MCP_WORDS       1024
#define NGX_HTTP_STOA_MCP_BYTES_MAX   (32 * 1024 * 1024)

/* what a word is worth by where it stands */
#define NGX_HTTP_STOA_MCP_IN_NAME     8
#define NGX_HTTP_STOA_MCP_IN_TITLE    4
#define NGX_HTTP_STOA_MCP_IN_TEXT     1

#define NGX_HTTP_STOA_MCP_SEARCH      "search_tools"
#define NGX_HTTP_STOA_MCP_CALL        "call_tool"


typedef struct {
    ngx_uint_t   score;
    ngx_uint_t   item;
} ngx_http_stoa_mcp_hit_t;


static ngx_uint_t ngx_http_stoa_mcp_search_on(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_search_rewrite(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_search_words(
    ngx_http_stoa_mcp_view_t *view);
static void ngx_http_stoa_mcp_search_word(ngx_http_stoa_mcp_list_t *list,
    ngx_uint_t i, ngx_str_t *words, stoa_buf_t *b);
static void ngx_http_stoa_mcp_search_lower(stoa_buf_t *b,
    const stoa_json_val_t *v);
static ngx_uint_t ngx_http_stoa_mcp_search_tokens(u_char *query, size_t len,
    ngx_str_t *tokens);
static ngx_uint_t ngx_http_stoa_mcp_search_score(ngx_str_t *words,
    ngx_str_t *tokens, ngx_uint_t n);
static ngx_int_t ngx_http_stoa_mcp_search_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_list_t *list,
    ngx_http_stoa_mcp_hit_t *hits, ngx_uint_t n);
static ngx_int_t ngx_http_stoa_mcp_search_bad(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


static ngx_str_t  ngx_http_stoa_mcp_search_tools = ngx_string(
    "{\"name\":\"" NGX_HTTP_STOA_MCP_CALL "\",\"description\":\"Calls a tool "
    "that search_tools has found.\",\"inputSchema\":{\"type\":\"object\","
    "\"properties\":{\"name\":{\"type\":\"string\",\"description\":\"the "
    "tool's name\"},\"arguments\":{\"type\":\"object\",\"description\":\"by "
    "the tool's inputSchema\"}},\"required\":[\"name\"]}},"
    "{\"name\":\"" NGX_HTTP_STOA_MCP_SEARCH "\",\"description\":\"Finds tools "
    "by words of their names, titles and descriptions; call_tool calls "
    "them.\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"query\":"
    "{\"type\":\"string\",\"description\":\"words, the more the better\"},"
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,"
    "\"default\":10}},\"required\":[\"query\"]},\"annotations\":"
    "{\"readOnlyHint\":true}}");


static ngx_uint_t
ngx_http_stoa_mcp_search_on(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    const stoa_rec_server_t    *server;
    ngx_http_stoa_main_conf_t  *mcf;

    if (!ctx->call.mcp->has_server) {
        return 0;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    server = ngx_http_stoa_store_server(mcf->store, &ctx->call.mcp->server);

    return server && server->search_tools;
}


ngx_str_t *
ngx_http_stoa_mcp_search_list(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    return ngx_http_stoa_mcp_search_on(r, ctx)
           ? &ngx_http_stoa_mcp_search_tools : NULL;
}


/* Before a tool is looked for: it is one (by now), or tools are searched, once
 * the caller's limits allow it. */

ngx_int_t
ngx_http_stoa_mcp_search_resolve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    stoa_json_val_t      *v;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    v = &mcp->msg.name;

    if (v->start == NULL || v->type != STOA_JSON_STRING || mcp->retried
        || !ngx_http_stoa_mcp_search_on(r, ctx))
    {
        return NGX_OK;
    }

    if (stoa_json_eq(v, NGX_HTTP_STOA_MCP_CALL,
                     sizeof(NGX_HTTP_STOA_MCP_CALL) - 1))
    {
        return ngx_http_stoa_mcp_search_rewrite(r, ctx);
    }

    mcp->searching = stoa_json_eq(v, NGX_HTTP_STOA_MCP_SEARCH,
                                  sizeof(NGX_HTTP_STOA_MCP_SEARCH) - 1);

    return NGX_OK;
}


/* {"name":"call_tool","arguments":{"name":N,"arguments":A}} becomes
 * {"name":N,"arguments":A}; all else stays as it came. */

static ngx_int_t
ngx_http_stoa_mcp_search_rewrite(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    int                   code;
    size_t                len;
    u_char               *p, *body;
    stoa_err_t            err;
    stoa_json_val_t       name, args, *one, *two, *v[2], *to[2];
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (mcp->msg.arguments.start == NULL
        || !stoa_json_get(&mcp->msg.arguments, "name", &name)
        || name.type != STOA_JSON_STRING)
    {
        return ngx_http_stoa_mcp_search_bad(r, ctx);
    }

    if (!stoa_json_get(&mcp->msg.arguments, "arguments", &args)
        || args.type == STOA_JSON_NULL)
    {
        args.type = STOA_JSON_OBJECT;
        args.start = "{}";
        args.end = args.start + 2;
    }

    if (args.type != STOA_JSON_OBJECT) {
        return ngx_http_stoa_mcp_search_bad(r, ctx);
    }

    one = &mcp->msg.name;
    two = &mcp->msg.arguments;
    v[0] = one->start < two->start ? one : two;
    v[1] = one->start < two->start ? two : one;
    to[0] = v[0] == one ? &name : &args;
    to[1] = v[1] == one ? &name : &args;

    len = mcp->body.len + (name.end - name.start) + (args.end - args.start);
    body = ngx_pnalloc(r->pool, len + 1);
    if (body == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(body, mcp->body.data,
                   (u_char *) v[0]->start - mcp->body.data);
    p = ngx_cpymem(p, to[0]->start, to[0]->end - to[0]->start);
    p = ngx_cpymem(p, v[0]->end, v[1]->start - v[0]->end);
    p = ngx_cpymem(p, to[1]->start, to[1]->end - to[1]->start);
    p = ngx_cpymem(p, v[1]->end, mcp->body.data + mcp->body.len
                                 - (u_char *) v[1]->end);

    mcp->body.data = body;
    mcp->body.len = p - body;

    return stoa_jsonrpc_scan((char *) body, mcp->body.len, &mcp->msg, &code,
                             &err)
           == STOA_OK ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* ---- searching --------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_search(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    int64_t                    limit;
    ngx_int_t                  rc;
    ngx_str_t                  tokens[NGX_HTTP_STOA_MCP_TOKENS_MAX];
    ngx_uint_t                 i, j, n, ntokens, score;
    const u_char              *hidden;
    stoa_json_val_t            query, val;
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_hit_t    hits[NGX_HTTP_STOA_MCP_FOUND_MAX + 1];
    ngx_http_stoa_mcp_list_t  *list;
    ngx_http_stoa_mcp_view_t  *view;
    u_char                     text[NGX_HTTP_STOA_MCP_QUERY_MAX];

    mcp = ctx->call.mcp;

    if (!mcp->searching) {
        return NGX_OK;
    }

    limit = NGX_HTTP_STOA_MCP_FOUND;

    if (mcp->msg.arguments.start == NULL
        || !stoa_json_get(&mcp->msg.arguments, "query", &query)
        || query.type != STOA_JSON_STRING
        || query.end - query.start > NGX_HTTP_STOA_MCP_QUERY_MAX
        || (stoa_json_get(&mcp->msg.arguments, "limit", &val)
            && val.type != STOA_JSON_NULL
            && (stoa_json_int(&val, &limit) != STOA_OK || limit < 1)))
    {
        return ngx_http_stoa_mcp_search_bad(r, ctx);
    }

    limit = ngx_min(limit, NGX_HTTP_STOA_MCP_FOUND_MAX);

    ntokens = ngx_http_stoa_mcp_search_tokens(text,
                            stoa_json_unescape(&query, (char *) text), tokens);

    rc = ngx_http_stoa_mcp_shown(r, ctx, NGX_HTTP_STOA_MCP_TOOLS, &view,
                                 &hidden);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_stoa_mcp_search_words(view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    list = &view->lists[NGX_HTTP_STOA_MCP_TOOLS];
    n = 0;

    /* the best so far, of two alike the first by name */

    for (i = 0; i < list->nitems; i++) {
        score = ngx_http_stoa_mcp_search_score(&view->words[3 * i], tokens,
                                               ntokens);
        if (score == 0 || (hidden && hidden[i])) {
            continue;
        }

        for (j = n; j > 0 && hits[j - 1].score < score; j--) {
            hits[j] = hits[j - 1];
        }

        hits[j].score = score;
        hits[j].item = i;
        n = ngx_min(n + 1, (ngx_uint_t) limit);
    }

    return ngx_http_stoa_mcp_search_answer(r, ctx, list, hits, n);
}


/* Words in lower case, what is no letter and no digit between them; bytes
 * above ASCII are letters. */

static ngx_uint_t
ngx_http_stoa_mcp_search_tokens(u_char *query, size_t len, ngx_str_t *tokens)
{
    size_t      i, start;
    ngx_uint_t  n;

    n = 0;
    start = 0;
    ngx_strlow(query, query, len);

    for (i = 0; i <= len && n < NGX_HTTP_STOA_MCP_TOKENS_MAX; i++) {

        if (i < len && ((query[i] >= 'a' && query[i] <= 'z')
                        || (query[i] >= '0' && query[i] <= '9')
                        || query[i] >= 0x80))
        {
            continue;
        }

        if (i > start) {
            tokens[n].data = query + start;
            tokens[n].len = i - start;
            n++;
        }

        start = i + 1;
    }

    return n;
}


static ngx_uint_t
ngx_http_stoa_mcp_search_score(ngx_str_t *words, ngx_str_t *tokens,
    ngx_uint_t n)
{
    ngx_uint_t  i, j, score, met, found;

    static const ngx_uint_t  worth[] = { NGX_HTTP_STOA_MCP_IN_NAME,
        NGX_HTTP_STOA_MCP_IN_TITLE, NGX_HTTP_STOA_MCP_IN_TEXT };

    score = 0;
    met = 0;

    for (i = 0; i < n; i++) {
        found = 0;

        for (j = 0; j < 3; j++) {
            if (words[j].len
                && memmem(words[j].data, words[j].len, tokens[i].data,
                          tokens[i].len)
                   != NULL)
            {
                found += worth[j];
            }
        }

        score += found;
        met += found != 0;
    }

    return score * met;
}


/* Once for a view: name, title, description of each of its tools. */

static ngx_int_t
ngx_http_stoa_mcp_search_words(ngx_http_stoa_mcp_view_t *view)
{
    u_char                    *text;
    ngx_str_t                 *words;
    stoa_buf_t                 b;
    ngx_uint_t                 i;
    ngx_http_stoa_mcp_list_t  *list;

    if (view->words) {
        return NGX_OK;
    }

    list = &view->lists[NGX_HTTP_STOA_MCP_TOOLS];

    words = ngx_pcalloc(view->pool, (3 * list->nitems + 1)
                                    * sizeof(ngx_str_t));
    if (words == NULL) {
        return NGX_ERROR;
    }

    stoa_buf_init(&b, NGX_HTTP_STOA_MCP_BYTES_MAX);

    for (i = 0; i < list->nitems; i++) {
        ngx_http_stoa_mcp_search_word(list, i, &words[3 * i], &b);
    }

    text = b.rc == STOA_OK ? ngx_pnalloc(view->pool, b.len + 1) : NULL;

    if (text) {
        ngx_memcpy(text, b.len ? b.data : "", b.len);

        for (i = 0; i < 3 * list->nitems; i++) {
            words[i].data = text + (uintptr_t) words[i].data;
        }

        view->words = words;
    }

    stoa_buf_free(&b);

    return text ? NGX_OK : NGX_ERROR;
}


/* data is an offset as yet */

static void
ngx_http_stoa_mcp_search_word(ngx_http_stoa_mcp_list_t *list, ngx_uint_t i,
    ngx_str_t *words, stoa_buf_t *b)
{
    stoa_err_t                 err;
    ngx_uint_t                 j;
    stoa_json_val_t            root, val;
    ngx_http_stoa_mcp_item_t  *item;

    static const char *const  members[] = { "name", "title", "description" };

    item = &list->items[i];

    if (stoa_json_check((char *) list->blob + item->start,
                        item->end - item->start, STOA_JSON_DEPTH_MAX, &root,
                        &err)
        != STOA_OK)
    {
        return;
    }

    for (j = 0; j < 3; j++) {
        words[j].data = (u_char *) (uintptr_t) b->len;

        if (stoa_json_get(&root, members[j], &val)
            && val.type == STOA_JSON_STRING)
        {
            ngx_http_stoa_mcp_search_lower(b, &val);
        }

        words[j].len = b->len - (uintptr_t) words[j].data;
    }
}


static void
ngx_http_stoa_mcp_search_lower(stoa_buf_t *b, const stoa_json_val_t *v)
{
    size_t  len;
    u_char  text[NGX_HTTP_STOA_MCP_WORDS];

    /* as it is written: a word with an escape in it is not found */

    len = ngx_min((size_t) (v->end - v->start) - 2, sizeof(text));

    ngx_strlow(text, (u_char *) v->start + 1, len);
    stoa_buf_add(b, text, len);
}


static ngx_int_t
ngx_http_stoa_mcp_search_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_list_t *list,
    ngx_http_stoa_mcp_hit_t *hits, ngx_uint_t n)
{
    stoa_buf_t                 b, found;
    ngx_uint_t                 i;
    ngx_http_stoa_mcp_item_t  *item;

    stoa_buf_init(&found, NGX_HTTP_STOA_MCP_BYTES_MAX);
    stoa_buf_addz(&found, "{\"tools\":[");

    for (i = 0; i < n; i++) {
        item = &list->items[hits[i].item];
        stoa_buf_addz(&found, i ? "," : "");
        stoa_buf_add(&found, list->blob + item->start,
                     item->end - item->start);
    }

    stoa_buf_addz(&found, "]}");

    stoa_buf_init(&b, 2 * NGX_HTTP_STOA_MCP_BYTES_MAX);
    ngx_http_stoa_mcp_answer_head(&b, ctx->call.mcp);

    if (ctx->call.mcp->modern) {
        stoa_buf_addz(&b, "\"resultType\":\"complete\",");
    }

    stoa_buf_addz(&b, "\"content\":[{\"type\":\"text\",\"text\":");
    stoa_buf_add_json(&b, found.data, found.len);
    stoa_buf_addz(&b, "}],\"structuredContent\":");
    stoa_buf_add(&b, found.data, found.len);
    stoa_buf_addz(&b, "}}");

    if (found.rc != STOA_OK) {
        b.rc = found.rc;
    }

    stoa_buf_free(&found);

    return ngx_http_stoa_mcp_answer_buf(r, ctx, &b);
}


static ngx_int_t
ngx_http_stoa_mcp_search_bad(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_str_t  detail;

    ngx_str_set(&detail, "search_tools needs a query (string, at most 1 KiB), "
                "call_tool a name (string), and arguments is an object");

    return ngx_http_stoa_mcp_refuse(r, ctx, NGX_HTTP_STOA_REFUSE_MCP_TOOL,
                                    &detail);
}
