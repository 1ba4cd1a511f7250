/*
 * What an upstream asks its client while it works for him: collected, put to
 * him as this era has it, and answered with what he says.
 */

#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_zone.h"


#define NGX_HTTP_STOA_MCP_QUERY_ID     1024
#define NGX_HTTP_STOA_MCP_QUERY_MS     10000
#define NGX_HTTP_STOA_MCP_QUERY_POSTS  1024     /* at once, of this worker   */
#define NGX_HTTP_STOA_MCP_QUERY_OF     128      /* ... of an application     */
#define NGX_HTTP_STOA_MCP_QUERIERS     4096     /* counts, shared by hash    */
#define NGX_HTTP_STOA_MCP_URLS_S       600


typedef struct {
    uint16_t                      *count;       /* of its application        */
    unsigned                       last:1;
    ngx_http_stoa_mcp_upstream_t   up;          /* there for the last only   */
} ngx_http_stoa_mcp_posted_t;


static const struct {
    ngx_str_t    method;
    const char  *name;
    ngx_uint_t   can;
    unsigned     cancels:1;
} ngx_http_stoa_mcp_query_kinds[] = {
    { ngx_string("\"elicitation/create\""), "elicitation/create",
      NGX_HTTP_STOA_MCP_CAN_FORM|NGX_HTTP_STOA_MCP_CAN_URL, 1 },
    { ngx_string("\"sampling/createMessage\""), "sampling/createMessage",
      NGX_HTTP_STOA_MCP_CAN_SAMPLE, 0 },
    { ngx_string("\"roots/list\""), "roots/list",
      NGX_HTTP_STOA_MCP_CAN_ROOTS, 0 },
    { ngx_null_string, NULL, 0, 0 }
};


static const char *ngx_http_stoa_mcp_query_add(
    ngx_http_stoa_mcp_park_t *park, const stoa_glance_t *g, ngx_uint_t kind);
static void ngx_http_stoa_mcp_query_params(const stoa_json_val_t *params,
    ngx_uint_t form, stoa_buf_t *out);
static void ngx_http_stoa_mcp_query_remove(ngx_http_stoa_mcp_park_t *park,
    ngx_uint_t i);
static void ngx_http_stoa_mcp_query_say(ngx_http_stoa_mcp_park_t *park,
    const char *id, size_t id_len, const char *member, const char *text,
    size_t len);
static ngx_int_t ngx_http_stoa_mcp_query_post(ngx_http_stoa_mcp_park_t *park,
    const stoa_buf_t *body, ngx_uint_t last);
static void ngx_http_stoa_mcp_query_posted(ngx_http_stoa_mcp_ask_t *ask,
    void *data);


static ngx_uint_t  ngx_http_stoa_mcp_query_posts;
static uint16_t
                  ngx_http_stoa_mcp_query_posts_of[NGX_HTTP_STOA_MCP_QUERIERS];


ngx_int_t
ngx_http_stoa_mcp_query(ngx_http_stoa_mcp_park_t *park,
    const stoa_glance_t *g)
{
    size_t       len;
    ngx_uint_t   i;
    const char  *error;

    len = g->method.end - g->method.start;
    error = NGX_HTTP_STOA_MCP_NOT_DECLARED;

    for (i = 0; ngx_http_stoa_mcp_query_kinds[i].name; i++) {
        if (len == ngx_http_stoa_mcp_query_kinds[i].method.len
            && ngx_memcmp(g->method.start,
                          ngx_http_stoa_mcp_query_kinds[i].method.data, len)
               == 0
            && (park->declared & ngx_http_stoa_mcp_query_kinds[i].can))
        {
            error = ngx_http_stoa_mcp_query_add(park, g, i);
            break;
        }
    }

    if (error == NULL) {
        return NGX_OK;
    }

    if (park->selves++ < NGX_HTTP_STOA_MCP_SELVES) {

        if (len == sizeof("\"ping\"") - 1
            && ngx_memcmp(g->method.start, "\"ping\"", len) == 0)
        {
            ngx_http_stoa_mcp_query_say(park, g->id.start,
                                        g->id.end - g->id.start, "result",
                                        "{}", 2);

        } else {
            ngx_http_stoa_mcp_query_say(park, g->id.start,
                                        g->id.end - g->id.start, "error",
                                        error, ngx_strlen(error));
        }
    }

    return NGX_DECLINED;
}


/* NULL, or the error that the upstream gets. */

static const char *
ngx_http_stoa_mcp_query_add(ngx_http_stoa_mcp_park_t *park,
    const stoa_glance_t *g, ngx_uint_t kind)
{
    ngx_uint_t                  form, url;
    stoa_json_val_t             v;
    ngx_http_stoa_mcp_query_t  *q;

    if (g->params.start && g->params.type != STOA_JSON_OBJECT) {
        return "{\"code\":-32602,\"message\":\"params is an object\"}";
    }

    form = ngx_http_stoa_mcp_query_kinds[kind].cancels;
    url = 0;

    if (g->params.start) {

        if (form && stoa_json_get(&g->params, "mode", &v)) {
            form = 0;
            url = v.type == STOA_JSON_STRING && stoa_json_eq(&v, "url", 3);
        }

        if ((park->declared & NGX_HTTP_STOA_MCP_CAN_SAMPLE_TOOLS) == 0
            && ngx_http_stoa_mcp_query_kinds[kind].can
               == NGX_HTTP_STOA_MCP_CAN_SAMPLE
            && stoa_json_get(&g->params, "tools", &v))
        {
            return "{\"code\":-32602,\"message\":"
                   "\"the client has not declared sampling.tools\"}";
        }
    }

    if (ngx_http_stoa_mcp_query_kinds[kind].cancels
        && !(park->declared & (url ? NGX_HTTP_STOA_MCP_CAN_URL
                                   : NGX_HTTP_STOA_MCP_CAN_FORM)))
    {
        return "{\"code\":-32602,\"message\":"
               "\"the client has not declared this mode\"}";
    }

    if (park->nqueries == NGX_HTTP_STOA_MCP_QUERIES
        || g->id.end - g->id.start > NGX_HTTP_STOA_MCP_QUERY_ID)
    {
        return "{\"code\":-32600,\"message\":\"the id is too long, or these "
               "are too many at once\"}";
    }

    q = &park->queries[park->nqueries];
    ngx_memzero(q, sizeof(ngx_http_stoa_mcp_query_t));

    q->method = ngx_http_stoa_mcp_query_kinds[kind].name;
    q->cancels = ngx_http_stoa_mcp_query_kinds[kind].cancels;
    stoa_buf_init(&q->id, NGX_HTTP_STOA_MCP_QUERY_ID);
    stoa_buf_add(&q->id, g->id.start, g->id.end - g->id.start);
    stoa_buf_init(&q->params, NGX_HTTP_STOA_MCP_EVENT_MAX);
    ngx_http_stoa_mcp_query_params(&g->params, form, &q->params);

    if (q->id.rc != STOA_OK || q->params.rc != STOA_OK) {
        stoa_buf_free(&q->id);
        stoa_buf_free(&q->params);

        return "{\"code\":-32603,\"message\":\"no memory\"}";
    }

    q->key = ++park->keys;
    park->nqueries++;

    return NULL;
}


/* As they came, but for what the eras say in another way: a form names its
 * mode, a URL has no id, nothing is a task. */

static void
ngx_http_stoa_mcp_query_params(const stoa_json_val_t *params, ngx_uint_t form,
    stoa_buf_t *out)
{
    ngx_uint_t        more, n;
    stoa_json_val_t   key, val;
    stoa_json_iter_t  it;

    n = form;
    stoa_buf_addz(out, form ? "{\"mode\":\"form\"" : "{");

    for (more = params->start && stoa_json_first(params, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if (stoa_json_eq(&key, "elicitationId", 13)
            || stoa_json_eq(&key, "task", 4))
        {
            continue;
        }

        stoa_buf_addz(out, n++ ? "," : "");
        stoa_buf_add(out, key.start, val.end - key.start);
    }

    stoa_buf_addz(out, "}");
}


void
ngx_http_stoa_mcp_query_cancel(ngx_http_stoa_mcp_park_t *park,
    const stoa_glance_t *g)
{
    ngx_uint_t       i;
    stoa_json_val_t  v, id;

    if (g->params.start == NULL
        || !stoa_json_get(&g->params, "requestId", &v))
    {
        return;
    }

    for (i = 0; i < park->nqueries; i++) {
        id = v;
        id.start = park->queries[i].id.data;
        id.end = id.start + park->queries[i].id.len;
        id.type = *id.start == '"' ? STOA_JSON_STRING : STOA_JSON_NUMBER;
        id.escaped = memchr(id.start, '\\', id.end - id.start) != NULL;

        if (ngx_http_stoa_mcp_fault_same_id(&id, &v)) {
            ngx_http_stoa_mcp_query_remove(park, i);
            return;
        }
    }
}


static void
ngx_http_stoa_mcp_query_remove(ngx_http_stoa_mcp_park_t *park, ngx_uint_t i)
{
    stoa_buf_free(&park->queries[i].id);
    stoa_buf_free(&park->queries[i].params);

    park->nqueries--;
    ngx_memmove(&park->queries[i], &park->queries[i + 1],
                (park->nqueries - i) * sizeof(ngx_http_stoa_mcp_query_t));
}


void
ngx_http_stoa_mcp_query_free(ngx_http_stoa_mcp_park_t *park)
{
    while (park->nqueries) {
        ngx_http_stoa_mcp_query_remove(park, park->nqueries - 1);
    }
}


/* ---- the client --------------------------------------------------------- */

void
ngx_http_stoa_mcp_query_write(ngx_http_stoa_mcp_park_t *park, stoa_buf_t *out)
{
    ngx_uint_t                  i;
    stoa_mcp_state_t            state;
    ngx_http_stoa_mcp_query_t  *q;

    stoa_buf_addz(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(out, park->seat.id.data, park->seat.id.len);
    stoa_buf_addz(out, ",\"result\":{\"resultType\":\"input_required\","
                  "\"inputRequests\":{");

    for (i = 0; i < park->nqueries; i++) {
        q = &park->queries[i];
        q->asked = 1;
        stoa_buf_addf(out, "%s\"%u\":{\"method\":\"%s\",\"params\":",
                      i ? "," : "", (unsigned) q->key, q->method);
        stoa_buf_add(out, q->params.data, q->params.len);
        stoa_buf_addz(out, "}");
    }

    ngx_memzero(&state, sizeof(stoa_mcp_state_t));
    state.kind = 'P';
    state.issued_s = (uint32_t) ngx_time();
    state.ttl_s = park->wait_ms / 1000;
    ngx_memcpy(state.api, park->ref.api, STOA_ID_LEN);
    ngx_http_stoa_mcp_state_here(&state);
    state.pid = (uint32_t) ngx_pid;
    ngx_memcpy(state.park, park->id, sizeof(state.park));
    state.round = park->round;

    stoa_buf_addz(out, "},\"requestState\":");
    ngx_http_stoa_mcp_state_seal(park->aad, &state, out);
    stoa_buf_addz(out, "}}");
}


void
ngx_http_stoa_mcp_query_answer(ngx_http_stoa_mcp_park_t *park,
    const stoa_json_val_t *all)
{
    u_char                      key[NGX_INT_T_LEN + 1];
    ngx_uint_t                  i;
    stoa_json_val_t             v;
    ngx_http_stoa_mcp_query_t  *q;

    for (i = 0; i < park->nqueries; /* void */ ) {
        q = &park->queries[i];
        *ngx_sprintf(key, "%ui", q->key) = '\0';

        if (!q->asked || !stoa_json_get(all, (char *) key, &v)
            || v.type != STOA_JSON_OBJECT)
        {
            i++;
            continue;
        }

        ngx_http_stoa_mcp_query_say(park, q->id.data, q->id.len, "result",
                                    v.start, v.end - v.start);
        ngx_http_stoa_mcp_query_remove(park, i);
    }
}


void
ngx_http_stoa_mcp_query_refuse(ngx_http_stoa_mcp_park_t *park)
{
    ngx_http_stoa_mcp_query_t  *q;

    static ngx_str_t  cancel = ngx_string("{\"action\":\"cancel\"}");
    static ngx_str_t  error = ngx_string("{\"code\":-32603,\"message\":"
                                         "\"the client does not answer\"}");

    while (park->nqueries) {
        q = &park->queries[park->nqueries - 1];

        ngx_http_stoa_mcp_query_say(park, q->id.data, q->id.len,
                                    q->cancels ? "result" : "error",
                                    (char *) (q->cancels ? cancel.data
                                                         : error.data),
                                    q->cancels ? cancel.len : error.len);
        ngx_http_stoa_mcp_query_remove(park, park->nqueries - 1);
    }
}


/* Nothing was executed: when he has been there he calls once more. */

ngx_int_t
ngx_http_stoa_mcp_query_urls(ngx_http_stoa_mcp_park_t *park,
    const stoa_str_t *text, stoa_buf_t *out)
{
    int64_t           code;
    ngx_uint_t        more, n;
    stoa_err_t        err;
    stoa_json_val_t   root, error, data, all, key, v;
    stoa_mcp_state_t  state;
    stoa_json_iter_t  it;

    if (!(park->declared & NGX_HTTP_STOA_MCP_CAN_URL)
        || stoa_json_check(text->data, text->len, STOA_JSON_DEPTH_MAX, &root,
                           &err)
           != STOA_OK
        || !stoa_json_get(&root, "error", &error)
        || error.type != STOA_JSON_OBJECT
        || !stoa_json_get(&error, "code", &v)
        || v.type != STOA_JSON_NUMBER
        || stoa_json_int(&v, &code) != STOA_OK || code != -32042
        || !stoa_json_get(&error, "data", &data)
        || data.type != STOA_JSON_OBJECT
        || !stoa_json_get(&data, "elicitations", &all)
        || all.type != STOA_JSON_ARRAY)
    {
        return NGX_DECLINED;
    }

    n = 0;
    stoa_buf_reset(out);
    stoa_buf_addz(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(out, park->call_id.data, park->call_id.len);
    stoa_buf_addz(out, ",\"result\":{\"resultType\":\"input_required\","
                  "\"inputRequests\":{");

    for (more = stoa_json_first(&all, &it, &key, &v);
         more && n < NGX_HTTP_STOA_MCP_QUERIES;
         more = stoa_json_next(&it, &key, &v))
    {
        if (v.type != STOA_JSON_OBJECT) {
            continue;
        }

        stoa_buf_addf(out, "%s\"%u\":{\"method\":\"elicitation/create\","
                      "\"params\":", n ? "," : "", (unsigned) n + 1);
        ngx_http_stoa_mcp_query_params(&v, 0, out);
        stoa_buf_addz(out, "}");
        n++;
    }

    ngx_memzero(&state, sizeof(stoa_mcp_state_t));
    state.kind = 'R';
    state.issued_s = (uint32_t) ngx_time();
    state.ttl_s = NGX_HTTP_STOA_MCP_URLS_S;
    ngx_memcpy(state.api, park->ref.api, STOA_ID_LEN);

    stoa_buf_addz(out, "},\"requestState\":");
    ngx_http_stoa_mcp_state_seal(park->aad, &state, out);
    stoa_buf_addz(out, "}}");

    return n && out->rc == STOA_OK ? NGX_OK : NGX_DECLINED;
}


/* ---- the upstream ------------------------------------------------------- */

static void
ngx_http_stoa_mcp_query_say(ngx_http_stoa_mcp_park_t *park, const char *id,
    size_t id_len, const char *member, const char *text, size_t len)
{
    stoa_buf_t  b;

    stoa_buf_init(&b, STOA_JSONRPC_BODY_MAX + 4096);
    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(&b, id, id_len);
    stoa_buf_addf(&b, ",\"%s\":", member);
    stoa_buf_add(&b, text, len);
    stoa_buf_addz(&b, "}");

    if (ngx_http_stoa_mcp_query_post(park, &b, 0) != NGX_OK) {
        ngx_http_stoa_count(mcp_lost, 1);
    }

    stoa_buf_free(&b);
}


void
ngx_http_stoa_mcp_query_farewell(ngx_http_stoa_mcp_park_t *park)
{
    stoa_buf_t                    b;
    ngx_http_stoa_mcp_upstream_t  up;

    stoa_buf_init(&b, 1024);
    stoa_buf_addz(&b, "{\"jsonrpc\":\"2.0\","
                  "\"method\":\"notifications/cancelled\",\"params\":{"
                  "\"requestId\":");
    stoa_buf_add(&b, park->call_id.data, park->call_id.len);
    stoa_buf_addz(&b, ",\"reason\":\"the client is gone\"}}");

    if (ngx_http_stoa_mcp_query_post(park, &b, 1) != NGX_OK) {
        ngx_http_stoa_mcp_query_session(park, &up);
        ngx_http_stoa_mcp_leave(&up);
    }

    stoa_buf_free(&b);
}


void
ngx_http_stoa_mcp_query_session(ngx_http_stoa_mcp_park_t *park,
    ngx_http_stoa_mcp_upstream_t *up)
{
    ngx_memzero(up, offsetof(ngx_http_stoa_mcp_upstream_t, sid));
    ngx_memcpy(&up->api, park->ref.api, STOA_ID_LEN);
    up->app = park->app;
    up->version = park->version;
    up->target = park->ref.target;
    up->len = park->ref.sid.len;

    if (up->len) {
        ngx_memcpy(up->sid, park->ref.sid.data, up->len);
    }
}


/* Nobody waits for it; last: the session ends when it has been sent. */

static ngx_int_t
ngx_http_stoa_mcp_query_post(ngx_http_stoa_mcp_park_t *park,
    const stoa_buf_t *body, ngx_uint_t last)
{
    u_char                      *p;
    uint16_t                    *own;
    ngx_uint_t                   pin;
    ngx_http_stoa_mcp_ask_t     *ask;
    ngx_http_stoa_mcp_posted_t  *posted;

    static ngx_str_t  none = ngx_null_string;

    own = &ngx_http_stoa_mcp_query_posts_of[park->app / 2
                                            % NGX_HTTP_STOA_MCP_QUERIERS];

    if (ngx_http_stoa_mcp_query_posts >= NGX_HTTP_STOA_MCP_QUERY_POSTS
        || *own >= NGX_HTTP_STOA_MCP_QUERY_OF
        || body->rc != STOA_OK)
    {
        return NGX_DECLINED;
    }

    ask = ngx_http_stoa_mcp_ask_create(ngx_cycle->log);
    if (ask == NULL) {
        return NGX_ERROR;
    }

    pin = park->ref.target;
    p = ngx_pnalloc(ask->pool, body->len + park->headers.len
                               + park->subject.len);
    posted = ngx_palloc(ask->pool,
                        last ? sizeof(ngx_http_stoa_mcp_posted_t)
                             : offsetof(ngx_http_stoa_mcp_posted_t, up));

    if (p == NULL || posted == NULL
        || ngx_http_stoa_upstream_fetch(ask->fetch, park->api, &park->via,
                                        &none, &pin)
           != NGX_OK)
    {
        ngx_http_stoa_mcp_ask_cancel(ask);
        return NGX_ERROR;
    }

    posted->count = own;
    posted->last = last;
    ask->data = posted;

    if (last) {
        ngx_http_stoa_mcp_query_session(park, &posted->up);
    }

    ask->fetch->body.data = p;
    ask->fetch->body.len = body->len;
    p = ngx_cpymem(p, body->data, body->len);
    ask->fetch->headers.data = p;
    ask->fetch->headers.len = park->headers.len;
    p = ngx_cpymem(p, park->headers.data, park->headers.len);

    if (park->subject.len) {
        ask->fetch->subject.data = p;
        ask->fetch->subject.len = park->subject.len;
        ngx_memcpy(p, park->subject.data, park->subject.len);
    }

    ask->fetch->deadline = ngx_current_msec + NGX_HTTP_STOA_MCP_QUERY_MS;
    ask->fetch->idempotent = 1;         /* the second one is overlooked      */
    ask->fetch->stay = 1;
    ask->done = ngx_http_stoa_mcp_query_posted;

    ngx_http_stoa_mcp_query_posts++;
    (*own)++;
    ngx_http_stoa_mcp_ask_start(ask);

    return NGX_OK;
}


static void
ngx_http_stoa_mcp_query_posted(ngx_http_stoa_mcp_ask_t *ask, void *data)
{
    ngx_http_stoa_mcp_posted_t *posted = data;

    ngx_http_stoa_mcp_query_posts--;
    (*posted->count)--;

    if (posted->last) {
        ngx_http_stoa_mcp_leave(&posted->up);
        return;
    }

    if (!ask->accepted) {
        ngx_http_stoa_count(mcp_lost, 1);
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "an MCP upstream did not take what a client said: "
                      "status %ui, %*s", ask->head.status, ask->fault.len,
                      ask->fault.text);
    }
}
