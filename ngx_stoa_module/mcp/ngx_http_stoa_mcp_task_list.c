/*
 * tasks/list of a session: the upstreams that have it, and at which the
 * session is open, are asked one after the other, in the order of their ids;
 * a page ends where one of them says that it has more, or when it is long.
 *
 * An upstream may list everybody's tasks: only those are shown that the book
 * (_mcp_book.c) knows to be this caller's, of tools that he may call now.
 * What cannot be asked is left out, and named.
 *
 *   sealed cursor: format 1, api (16), the upstream's cursor as JSON, or
 *                  nothing: its first page
 *
 * Process: workers.  Lifetime: the request's.
 * Limits: 32 upstreams, 256 KiB of an answer, 1 MiB of a page and what the
 * last one adds, 5 s for an upstream, 10 s for a page.
 */

#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_seen.h"


#define NGX_HTTP_STOA_MCP_TASKS_APIS    32
#define NGX_HTTP_STOA_MCP_TASKS_ONE     5000
#define NGX_HTTP_STOA_MCP_TASKS_PAGE    10000
#define NGX_HTTP_STOA_MCP_TASKS_SIZE    1048576
#define NGX_HTTP_STOA_MCP_TASKS_MAX     (16 * NGX_HTTP_STOA_MCP_TASKS_SIZE)
#define NGX_HTTP_STOA_MCP_TASKS_CURSOR  2048
#define NGX_HTTP_STOA_MCP_TASKS_HEAD    (1 + STOA_ID_LEN)

static const char  ngx_http_stoa_mcp_tasks_for[] = "tasks/list";


typedef struct {
    ngx_http_request_t        *request;
    ngx_http_stoa_ctx_t       *ctx;
    ngx_http_stoa_mcp_ask_t   *ask;            /* NULL: none is under way    */
    ngx_msec_t                 since;
    stoa_mcp_ref_t             ref[NGX_HTTP_STOA_MCP_TASKS_APIS];
    ngx_uint_t                 n;
    ngx_uint_t                 at;             /* the one that is asked      */
    stoa_str_t                 cursor;         /* its, JSON; len 0: none     */
    stoa_buf_t                 came;           /* its result                 */
    stoa_buf_t                 out;            /* items                      */
    stoa_buf_t                 left;           /* what could not be asked    */
    unsigned                   done:1;         /* it has answered, or not    */
    unsigned                   refused:1;      /* by an error                */
    unsigned                   ended:1;        /* the page has               */
} ngx_http_stoa_mcp_tasks_t;


static ngx_http_stoa_mcp_tasks_t *ngx_http_stoa_mcp_tasks_begin(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_mcp_tasks_one(void *data,
    const stoa_mcp_ref_t *ref);
static ngx_int_t ngx_http_stoa_mcp_tasks_from(ngx_http_request_t *r,
    ngx_http_stoa_mcp_tasks_t *l);
static ngx_int_t ngx_http_stoa_mcp_tasks_ask(ngx_http_stoa_mcp_tasks_t *l);
static void ngx_http_stoa_mcp_tasks_done(ngx_http_stoa_mcp_ask_t *ask,
    void *data);
static ngx_int_t ngx_http_stoa_mcp_tasks_take(ngx_http_stoa_mcp_tasks_t *l);
static ngx_int_t ngx_http_stoa_mcp_tasks_item(ngx_http_stoa_mcp_tasks_t *l,
    ngx_http_stoa_mcp_view_t *view, const stoa_json_val_t *task);
static ngx_uint_t ngx_http_stoa_mcp_tasks_seen(ngx_http_stoa_mcp_tasks_t *l,
    ngx_http_stoa_mcp_view_t *view, const stoa_str_t *id);
static void ngx_http_stoa_mcp_tasks_left(ngx_http_stoa_mcp_tasks_t *l);
static ngx_int_t ngx_http_stoa_mcp_tasks_answer(
    ngx_http_stoa_mcp_tasks_t *l);
static size_t ngx_http_stoa_mcp_tasks_seal(ngx_http_stoa_mcp_tasks_t *l,
    char *text);
static stoa_str_t ngx_http_stoa_mcp_tasks_aad(ngx_http_stoa_ctx_t *ctx,
    u_char *aad);
static void ngx_http_stoa_mcp_tasks_finish(ngx_http_stoa_ctx_t *ctx,
    void *data);


ngx_int_t
ngx_http_stoa_mcp_task_list(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_str_t                   detail;
    ngx_http_stoa_mcp_tasks_t  *l;

    l = ctx->call.mcp->carry;

    if (l == NULL) {
        if (!ngx_http_stoa_mcp_other_lists_tasks(r, ctx)) {
            return ngx_http_stoa_mcp_other(r, ctx);
        }

        l = ngx_http_stoa_mcp_tasks_begin(r, ctx);
        if (l == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (ngx_http_stoa_mcp_tasks_from(r, l) != NGX_OK) {
            goto cursor;
        }
    }

    if (l->ask) {
        return NGX_AGAIN;
    }

    for ( ;; ) {

        if (l->done) {
            rc = ngx_http_stoa_mcp_tasks_take(l);

            if (rc == NGX_DECLINED) {
                goto cursor;
            }

            if (rc != NGX_OK) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }

        if (l->at == l->n || l->ended) {
            return ngx_http_stoa_mcp_tasks_answer(l);
        }

        rc = ngx_http_stoa_mcp_tasks_ask(l);

        if (rc == NGX_OK) {
            return ngx_http_stoa_ctx_suspend(r);
        }

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_http_stoa_mcp_tasks_left(l);
    }

cursor:

    ngx_str_set(&detail, "invalid cursor");

    return ngx_http_stoa_mcp_refuse(r, ctx, NGX_HTTP_STOA_REFUSE_MCP_CURSOR,
                                    &detail);
}


/* ---- which -------------------------------------------------------------- */

static ngx_http_stoa_mcp_tasks_t *
ngx_http_stoa_mcp_tasks_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t                  i;
    stoa_mcp_ref_t              ref;
    ngx_http_stoa_mcp_tasks_t  *l;

    l = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_tasks_t));

    if (l == NULL
        || ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_mcp_tasks_finish, l)
           != NGX_OK)
    {
        return NULL;
    }

    l->request = r;
    l->ctx = ctx;
    l->since = ngx_current_msec;
    stoa_buf_init(&l->came, NGX_HTTP_STOA_MCP_ANSWER_MAX);
    stoa_buf_init(&l->out, NGX_HTTP_STOA_MCP_TASKS_MAX);
    stoa_buf_init(&l->left, 65536);

    ngx_http_stoa_mcp_relay_sessions(r, ctx, 0, ngx_http_stoa_mcp_tasks_one,
                                     l);

    for (i = 1; i < l->n; i++) {
        if (ngx_memcmp(l->ref[i].api, l->ref[i - 1].api, STOA_ID_LEN) < 0) {
            ref = l->ref[i];
            l->ref[i] = l->ref[i - 1];
            l->ref[i - 1] = ref;
            i = 0;
        }
    }

    ctx->call.mcp->carry = l;

    return l;
}


static void
ngx_http_stoa_mcp_tasks_one(void *data, const stoa_mcp_ref_t *ref)
{
    ngx_http_stoa_mcp_tasks_t *l = data;

    u_char                     *sid;
    stoa_id_t                   id;
    const stoa_rec_api_t       *api;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(l->request, ngx_http_stoa_module);
    ngx_memcpy(&id, ref->api, STOA_ID_LEN);
    api = ngx_http_stoa_store_api(mcf->store, &id);

    if (api == NULL || l->n == NGX_HTTP_STOA_MCP_TASKS_APIS
        || !ngx_http_stoa_mcp_other_lists(api))
    {
        return;
    }

    sid = ngx_pnalloc(l->request->pool, ref->sid.len + 1);
    if (sid == NULL) {
        return;
    }

    ngx_memcpy(sid, ref->sid.data, ref->sid.len);
    l->ref[l->n] = *ref;
    l->ref[l->n++].sid.data = (char *) sid;
}


/* One that is gone meanwhile is passed by. */

static ngx_int_t
ngx_http_stoa_mcp_tasks_from(ngx_http_request_t *r,
    ngx_http_stoa_mcp_tasks_t *l)
{
    int               cmp;
    size_t            len;
    u_char           *plain, aad[NGX_HTTP_STOA_MCP_PRINCIPAL
                                 + sizeof(ngx_http_stoa_mcp_tasks_for)];
    stoa_str_t        text;
    stoa_json_val_t  *v;

    v = &l->ctx->call.mcp->msg.cursor;

    if (v->start == NULL || v->type == STOA_JSON_NULL
        || v->end - v->start == 2)
    {
        return NGX_OK;
    }

    if (v->type != STOA_JSON_STRING || !stoa_json_text(v, &text)
        || text.len < stoa_seal_text_len(1)
        || text.len > NGX_HTTP_STOA_MCP_TASKS_CURSOR)
    {
        return NGX_DECLINED;
    }

    plain = ngx_pnalloc(r->pool, stoa_seal_plain_len(text.len));

    if (plain == NULL
        || !stoa_seal_open(STOA_SEAL_CURSOR,
                           ngx_http_stoa_mcp_tasks_aad(l->ctx, aad), text,
                           plain, &len)
        || len < NGX_HTTP_STOA_MCP_TASKS_HEAD || plain[0] != 1)
    {
        return NGX_DECLINED;
    }

    for (cmp = 1; l->at < l->n; l->at++) {
        cmp = ngx_memcmp(l->ref[l->at].api, plain + 1, STOA_ID_LEN);

        if (cmp >= 0) {
            break;
        }
    }

    if (cmp == 0) {
        l->cursor.data = (char *) plain + NGX_HTTP_STOA_MCP_TASKS_HEAD;
        l->cursor.len = len - NGX_HTTP_STOA_MCP_TASKS_HEAD;
    }

    return NGX_OK;
}


static stoa_str_t
ngx_http_stoa_mcp_tasks_aad(ngx_http_stoa_ctx_t *ctx, u_char *aad)
{
    ngx_http_stoa_mcp_principal(ctx, aad);
    ngx_memcpy(aad + NGX_HTTP_STOA_MCP_PRINCIPAL, ngx_http_stoa_mcp_tasks_for,
               sizeof(ngx_http_stoa_mcp_tasks_for));

    return (stoa_str_t) { (char *) aad, NGX_HTTP_STOA_MCP_PRINCIPAL
                                    + sizeof(ngx_http_stoa_mcp_tasks_for) };
}


/* ---- asking ------------------------------------------------------------- */

/* NGX_DECLINED: it cannot be asked. */

static ngx_int_t
ngx_http_stoa_mcp_tasks_ask(ngx_http_stoa_mcp_tasks_t *l)
{
    ngx_int_t                 rc;
    ngx_str_t                 id;
    ngx_uint_t                pin;
    stoa_buf_t                b;
    ngx_http_stoa_api_t      *api;
    ngx_http_stoa_via_t       via;
    ngx_http_stoa_mcp_ask_t  *ask;
    const stoa_mcp_ref_t     *ref;

    static ngx_str_t  none = ngx_null_string;

    ref = &l->ref[l->at];
    api = ngx_http_stoa_mcp_relay_of(l->request, l->ctx, ref);

    if (api == NULL) {
        return NGX_DECLINED;
    }

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_stoa_mcp_relay_headers(l->request, l->ctx, api, ref,
                                         ask->pool, &ask->fetch->headers);
    ngx_http_stoa_via(l->request, &via);
    pin = ref->target;

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_upstream_fetch(ask->fetch, api, &via, &none, &pin);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_credential_caller(api, l->ctx, ask->pool,
                                             &ask->fetch->subject);
    }

    if (rc != NGX_OK || ngx_http_stoa_mcp_ask_id(ask, &id) != NGX_OK) {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return rc == NGX_OK ? NGX_ERROR : rc;
    }

    stoa_buf_init(&b, 65536);
    stoa_buf_addf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"method\":"
                  "\"tasks/list\",\"params\":{%s", (int) id.len, id.data,
                  l->cursor.len ? "\"cursor\":" : "");
    stoa_buf_add(&b, l->cursor.data ? l->cursor.data : "", l->cursor.len);
    stoa_buf_addz(&b, "}}");

    if (ngx_http_stoa_text(ask->pool, &b, &ask->fetch->body) != NGX_OK) {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    ask->fetch->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_TASKS_ONE;
    ask->fetch->idempotent = 1;
    ask->done = ngx_http_stoa_mcp_tasks_done;
    ask->data = l;
    l->ask = ask;

    ngx_http_stoa_mcp_ask_start(ask);

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_tasks_done(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_tasks_t *l = data;

    l->ask = NULL;
    l->done = 1;
    l->refused = ask->answered && ask->result.start == NULL;

    stoa_buf_reset(&l->came);

    if (ask->answered && !l->refused) {
        stoa_buf_add(&l->came, ask->result.start,
                     ask->result.end - ask->result.start);
    }

    ngx_http_stoa_ctx_wake(l->request);
}


/* ---- what came ---------------------------------------------------------- */

/* NGX_DECLINED: its cursor is none. */

static ngx_int_t
ngx_http_stoa_mcp_tasks_take(ngx_http_stoa_mcp_tasks_t *l)
{
    ngx_uint_t                 more;
    stoa_err_t                 err;
    stoa_json_val_t            root, list, task, next;
    stoa_json_iter_t           it;
    ngx_http_stoa_mcp_view_t  *view;

    l->done = 0;

    if (l->refused && l->cursor.len) {
        return NGX_DECLINED;
    }

    if (l->came.len == 0 || l->came.rc != STOA_OK
        || stoa_json_check(l->came.data, l->came.len, STOA_JSON_DEPTH_MAX,
                           &root, &err)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&root, "tasks", &list)
        || list.type != STOA_JSON_ARRAY)
    {
        ngx_http_stoa_mcp_tasks_left(l);
        return NGX_OK;
    }

    view = ngx_http_stoa_mcp_view(l->request, l->ctx, 0);
    if (view == NULL) {
        return NGX_ERROR;
    }

    for (more = stoa_json_first(&list, &it, NULL, &task);
         more;
         more = stoa_json_next(&it, NULL, &task))
    {
        if (ngx_http_stoa_mcp_tasks_item(l, view, &task) == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (stoa_json_get(&root, "nextCursor", &next)
        && next.type == STOA_JSON_STRING && next.end - next.start > 2)
    {
        l->cursor.len = next.end - next.start;
        l->cursor.data = next.start;
        l->ended = 1;

        return NGX_OK;
    }

    l->at++;
    l->cursor.len = 0;
    l->ended = l->out.len >= NGX_HTTP_STOA_MCP_TASKS_SIZE
               || ngx_current_msec - l->since >= NGX_HTTP_STOA_MCP_TASKS_PAGE;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_tasks_item(ngx_http_stoa_mcp_tasks_t *l,
    ngx_http_stoa_mcp_view_t *view, const stoa_json_val_t *task)
{
    char             text[NGX_HTTP_STOA_MCP_TASK_ID];
    ngx_int_t        rc;
    stoa_str_t       own;
    stoa_json_val_t  id;

    if (task->type != STOA_JSON_OBJECT
        || !stoa_json_get(task, "taskId", &id)
        || id.type != STOA_JSON_STRING
        || id.end - id.start > NGX_HTTP_STOA_MCP_TASK_ID)
    {
        return NGX_DECLINED;
    }

    own.data = text;
    own.len = stoa_json_unescape(&id, text);

    if (!ngx_http_stoa_mcp_tasks_seen(l, view, &own)) {
        return NGX_DECLINED;
    }

    stoa_buf_addz(&l->out, l->out.len ? "," : "");
    stoa_buf_add(&l->out, task->start, id.start - task->start);

    rc = ngx_http_stoa_mcp_task_seal(l->ctx, &l->ref[l->at], &id, &l->out);

    stoa_buf_add(&l->out, id.end, task->end - id.end);

    return rc == NGX_OK && l->out.rc == STOA_OK ? NGX_OK : NGX_ERROR;
}


/* A task of the caller's, of a tool that he may call, at this api. */

static ngx_uint_t
ngx_http_stoa_mcp_tasks_seen(ngx_http_stoa_mcp_tasks_t *l,
    ngx_http_stoa_mcp_view_t *view, const stoa_str_t *id)
{
    stoa_buf_t                  name;
    const stoa_rec_item_t      *tool;
    ngx_http_stoa_mcp_item_t   *item;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(l->request, ngx_http_stoa_module);
    item = NULL;

    stoa_buf_init(&name, NGX_HTTP_STOA_MCP_TASK_ID);

    if (ngx_http_stoa_mcp_book_find(l->ctx, l->ref[l->at].api, id, &name)
        == NGX_OK)
    {
        item = ngx_http_stoa_mcp_view_item(
                                       &view->lists[NGX_HTTP_STOA_MCP_TOOLS],
                                       (u_char *) name.data, name.len);
    }

    stoa_buf_free(&name);

    tool = item ? ngx_http_stoa_store_item(mcf->store, STOA_REC_TOOL,
                                           &item->id)
                : NULL;

    return tool && tool->enabled
           && ngx_memcmp(&tool->api, l->ref[l->at].api, STOA_ID_LEN) == 0;
}


/* The one that is asked says nothing; the next one may. */

static void
ngx_http_stoa_mcp_tasks_left(ngx_http_stoa_mcp_tasks_t *l)
{
    stoa_id_t                   id;
    stoa_str_t                  name;
    const stoa_rec_api_t       *api;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(l->request, ngx_http_stoa_module);
    ngx_memcpy(&id, l->ref[l->at++].api, STOA_ID_LEN);
    api = ngx_http_stoa_store_api(mcf->store, &id);
    l->cursor.len = 0;
    l->ended = ngx_current_msec - l->since >= NGX_HTTP_STOA_MCP_TASKS_PAGE;

    if (api) {
        name = stoa_rec_str(api, api->name);
        stoa_buf_addz(&l->left, l->left.len ? ",{\"api\":" : "{\"api\":");
        stoa_buf_add_json(&l->left, name.data, name.len);
        stoa_buf_addz(&l->left, ",\"reason\":\"tasks not read\"}");
    }
}


/* ---- the answer --------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_tasks_answer(ngx_http_stoa_mcp_tasks_t *l)
{
    char        text[NGX_HTTP_STOA_MCP_TASKS_CURSOR];
    size_t      len;
    stoa_buf_t  b;

    len = l->at < l->n ? ngx_http_stoa_mcp_tasks_seal(l, text) : 0;

    if (len == 0 && l->at < l->n) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    stoa_buf_init(&b, NGX_HTTP_STOA_MCP_TASKS_MAX + STOA_JSONRPC_BODY_MAX);
    ngx_http_stoa_mcp_answer_head(&b, l->ctx->call.mcp);
    stoa_buf_addz(&b, "\"tasks\":[");
    stoa_buf_add(&b, l->out.len ? l->out.data : "", l->out.len);
    stoa_buf_addz(&b, "]");

    if (len) {
        stoa_buf_addz(&b, ",\"nextCursor\":\"");
        stoa_buf_add(&b, text, len);
        stoa_buf_addz(&b, "\"");
    }

    if (l->left.len) {
        stoa_buf_addz(&b, ",\"_meta\":{\"gateway.stoa/left_out\":[");
        stoa_buf_add(&b, l->left.data, l->left.len);
        stoa_buf_addz(&b, "]}");
    }

    stoa_buf_addz(&b, "}}");

    return ngx_http_stoa_mcp_answer_buf(l->request, l->ctx, &b);
}


/* An upstream's cursor that is too long to be sealed ends its tasks. */

static size_t
ngx_http_stoa_mcp_tasks_seal(ngx_http_stoa_mcp_tasks_t *l, char *text)
{
    u_char      plain[NGX_HTTP_STOA_MCP_TASKS_CURSOR],
                aad[NGX_HTTP_STOA_MCP_PRINCIPAL
                    + sizeof(ngx_http_stoa_mcp_tasks_for)];

    if (stoa_seal_text_len(NGX_HTTP_STOA_MCP_TASKS_HEAD + l->cursor.len)
        > NGX_HTTP_STOA_MCP_TASKS_CURSOR)
    {
        ngx_http_stoa_mcp_tasks_left(l);

        if (l->at == l->n) {
            return 0;
        }
    }

    plain[0] = 1;
    ngx_memcpy(plain + 1, l->ref[l->at].api, STOA_ID_LEN);
    ngx_memcpy(plain + NGX_HTTP_STOA_MCP_TASKS_HEAD,
               l->cursor.len ? l->cursor.data : "", l->cursor.len);

    return stoa_seal(STOA_SEAL_CURSOR, (int64_t) ngx_http_stoa_wall_ms(),
                     ngx_http_stoa_mcp_tasks_aad(l->ctx, aad),
                     (stoa_str_t) { (char *) plain,
                                    NGX_HTTP_STOA_MCP_TASKS_HEAD
                                    + l->cursor.len },
                     text, NGX_HTTP_STOA_MCP_TASKS_CURSOR);
}


static void
ngx_http_stoa_mcp_tasks_finish(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_mcp_tasks_t *l = data;

    (void) ctx;

    if (l->ask) {
        ngx_http_stoa_mcp_ask_cancel(l->ask);
        l->ask = NULL;
    }

    stoa_buf_free(&l->came);
    stoa_buf_free(&l->out);
    stoa_buf_free(&l->left);
}
