/*
 * What a modern upstream needs from a legacy client before it answers: each
 * thing is a request to him on the stream of the call, whose id holds, sealed
 * for his session, which worker has the call and what it is about.  When all
 * are answered the upstream is asked again with them, and with its state as it
 * was.
 *
 *   sealed: format 3, flags 1, pid 4, park 16, place, the key as JSON text
 *   through the door: kind 1, park 16 or nonce 16, then what it is about
 */

#include "ngx_http_stoa_modern.h"
#include "ngx_http_stoa_hop.h"
#include "ngx_http_stoa_door.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_zone.h"
#include "stoa_seal.h"


#define NGX_HTTP_STOA_MCP_INPUT_FORMAT  3
#define NGX_HTTP_STOA_MCP_INPUT_HEAD    (2 + 4 + NGX_HTTP_STOA_MCP_PARK)
#define NGX_HTTP_STOA_MCP_INPUT_KEY     512
#define NGX_HTTP_STOA_MCP_INPUT_TEXT    2048
#define NGX_HTTP_STOA_MCP_PAUSE_MIN     250
#define NGX_HTTP_STOA_MCP_PAUSE_MAX     5000


/* What can be needed, and what of a client's capabilities it is. */

typedef struct {
    const char  *method;
    size_t       len;
    const char  *capability;
    ngx_uint_t   cancels;             /* an error is an answer, too         */
} ngx_http_stoa_mcp_need_t;

static const ngx_http_stoa_mcp_need_t  ngx_http_stoa_mcp_needs[] = {
    { "elicitation/create", 18, "elicitation", 1 },
    { "sampling/createMessage", 22, "sampling", 0 },
    { "roots/list", 10, "roots", 0 },
    { NULL, 0, NULL, 0 }
};


static ngx_int_t ngx_http_stoa_mcp_input_one(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *key, const stoa_json_val_t *request);
static void ngx_http_stoa_mcp_input_params(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *params, const stoa_buf_t *id, stoa_buf_t *out);
static ngx_int_t ngx_http_stoa_mcp_input_mark(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *key, stoa_buf_t *out);
static ngx_http_stoa_mcp_modern_t *ngx_http_stoa_mcp_input_find(
    const u_char *park);
static ngx_uint_t ngx_http_stoa_mcp_input_take(ngx_http_stoa_mcp_modern_t *b,
    const ngx_str_t *key, const ngx_str_t *body);
static void ngx_http_stoa_mcp_input_stop(const u_char *nonce,
    const ngx_str_t *id);


/* Of this worker. */

static ngx_queue_t                        ngx_http_stoa_mcp_moderns;


void
ngx_http_stoa_mcp_input_begin(ngx_http_stoa_mcp_modern_t *b,
    const ngx_http_stoa_mcp_inputs_t *with)
{
    b->with = with;

    if (ngx_http_stoa_mcp_moderns.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_mcp_moderns);
    }

    ngx_queue_insert_head(&ngx_http_stoa_mcp_moderns, &b->queue);
}


void
ngx_http_stoa_mcp_input_end(ngx_http_stoa_mcp_modern_t *b)
{
    if (b->queue.next) {
        ngx_queue_remove(&b->queue);
        b->queue.next = NULL;
    }
}


/* ---- what is needed ----------------------------------------------------- */

ngx_int_t
ngx_http_stoa_mcp_input(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *result)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;
    stoa_json_iter_t     it;
    stoa_json_val_t      all, key, val;

    r = b->ctx->request;
    b->ninputs = 0;
    b->state.len = 0;
    b->fault.what = NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID;

    if (stoa_json_get(result, "requestState", &val)
        && val.type == STOA_JSON_STRING)
    {
        b->state.len = val.end - val.start;
        b->state.data = ngx_pnalloc(r->pool, b->state.len);
        if (b->state.data == NULL) {
            return NGX_DECLINED;
        }

        ngx_memcpy(b->state.data, val.start, b->state.len);
    }

    if (!stoa_json_get(result, "inputRequests", &all)
        || all.type != STOA_JSON_OBJECT
        || !stoa_json_first(&all, &it, &key, &val))
    {
        if (b->state.len == 0) {
            ngx_http_stoa_mcp_fault_say(&b->fault, "it needs nothing that it "
                                        "names");
            return NGX_DECLINED;
        }

        /* it is to be asked again in a while */

        b->pause = b->pause ? ngx_min(b->pause * 2,
                                      NGX_HTTP_STOA_MCP_PAUSE_MAX)
                            : NGX_HTTP_STOA_MCP_PAUSE_MIN;
        return NGX_OK;
    }

    b->pause = 0;

    if (ngx_http_stoa_random((uint64_t *) b->park, 2) != NGX_OK) {
        return NGX_DECLINED;
    }

    do {
        rc = ngx_http_stoa_mcp_input_one(b, &key, &val);

    } while (rc == NGX_OK && stoa_json_next(&it, &key, &val));

    return rc;
}


/* The row of what is needed, if the client has declared it; NULL. */

static const ngx_http_stoa_mcp_need_t *
ngx_http_stoa_mcp_input_need(ngx_http_stoa_mcp_t *mcp,
    const stoa_json_val_t *request)
{
    stoa_json_val_t                  caps, method, v;
    const ngx_http_stoa_mcp_need_t  *need;

    caps.type = STOA_JSON_OBJECT;
    caps.start = (char *) mcp->capabilities.data;
    caps.end = caps.start + mcp->capabilities.len;

    if (mcp->capabilities.len == 0 || request->type != STOA_JSON_OBJECT
        || !stoa_json_get(request, "method", &method)
        || method.type != STOA_JSON_STRING)
    {
        return NULL;
    }

    for (need = ngx_http_stoa_mcp_needs; need->method; need++) {
        if (stoa_json_eq(&method, need->method, need->len)) {
            return stoa_json_get(&caps, need->capability, &v) ? need : NULL;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_stoa_mcp_input_one(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *key, const stoa_json_val_t *request)
{
    ngx_int_t                        rc;
    ngx_str_t                        text;
    stoa_buf_t                       id, out;
    stoa_json_val_t                  params;
    ngx_http_request_t              *r;
    ngx_http_stoa_mcp_input_t       *in;
    const ngx_http_stoa_mcp_need_t  *need;

    r = b->ctx->request;
    need = ngx_http_stoa_mcp_input_need(b->ctx->call.mcp, request);

    if (need == NULL || b->ninputs == NGX_HTTP_STOA_MCP_INPUTS
        || key->end - key->start > NGX_HTTP_STOA_MCP_INPUT_KEY)
    {
        ngx_http_stoa_mcp_fault_say(&b->fault, "it needs what the client has "
                                    "not declared");
        return NGX_DECLINED;
    }

    in = &b->inputs[b->ninputs++];
    in->answer.len = 0;
    in->cancels = need->cancels;
    in->key.len = key->end - key->start;
    in->key.data = ngx_pnalloc(r->pool, in->key.len);
    if (in->key.data == NULL) {
        return NGX_DECLINED;
    }

    ngx_memcpy(in->key.data, key->start, in->key.len);

    stoa_buf_init(&id, NGX_HTTP_STOA_MCP_INPUT_TEXT + 2);
    stoa_buf_init(&out, NGX_HTTP_STOA_MCP_EVENT_MAX);

    rc = ngx_http_stoa_mcp_input_mark(b, key, &id);

    stoa_buf_addz(&out, "{\"jsonrpc\":\"2.0\",\"id\":");
    stoa_buf_add(&out, id.data ? id.data : "", id.len);
    stoa_buf_addf(&out, ",\"method\":\"%s\"", need->method);

    if (stoa_json_get(request, "params", &params)
        && params.type == STOA_JSON_OBJECT)
    {
        stoa_buf_addz(&out, ",\"params\":");
        ngx_http_stoa_mcp_input_params(b, &params, &id, &out);
    }

    stoa_buf_addz(&out, "}");

    text.data = (u_char *) out.data;
    text.len = out.len;

    if (rc == NGX_OK
        && (out.rc != STOA_OK
            || b->with->say(r, b->ctx, &text)
               == NGX_ERROR))
    {
        rc = NGX_DECLINED;
    }

    stoa_buf_free(&id);
    stoa_buf_free(&out);

    return rc;
}


/* As they came, but for what the versions say in another way: a form needs no
 * mode, and had none before 2025-11-25; a URL has an id. */

static void
ngx_http_stoa_mcp_input_params(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *params, const stoa_buf_t *id, stoa_buf_t *out)
{
    ngx_uint_t        n, url;
    stoa_json_iter_t  it;
    stoa_json_val_t   key, val, mode;

    url = stoa_json_get(params, "mode", &mode)
          && mode.type == STOA_JSON_STRING && stoa_json_eq(&mode, "url", 3);

    stoa_buf_addz(out, "{");
    n = 0;

    if (url && !stoa_json_get(params, "elicitationId", &val)) {
        stoa_buf_addz(out, "\"elicitationId\":");
        stoa_buf_add(out, id->data, id->len);
        n++;
    }

    if (stoa_json_first(params, &it, &key, &val)) {

        do {
            if (!url && b->ctx->call.mcp->version
                        < NGX_HTTP_STOA_MCP_VERSION_LATEST_LEGACY
                && stoa_json_eq(&key, "mode", 4))
            {
                continue;
            }

            if (n++) {
                stoa_buf_addz(out, ",");
            }

            stoa_buf_add(out, key.start, val.end - key.start);

        } while (stoa_json_next(&it, &key, &val));
    }

    stoa_buf_addz(out, "}");
}


static ngx_int_t
ngx_http_stoa_mcp_input_mark(ngx_http_stoa_mcp_modern_t *b,
    const stoa_json_val_t *key, stoa_buf_t *out)
{
    size_t                len;
    uint32_t              pid;
    stoa_buf_t            plain;
    u_char                place[NGX_HTTP_STOA_MCP_PLACE];
    uint8_t               head[6] = { NGX_HTTP_STOA_MCP_INPUT_FORMAT, 0 };
    ngx_http_stoa_mcp_t  *mcp;

    mcp = b->ctx->call.mcp;
    pid = (uint32_t) ngx_pid;
    ngx_memcpy(head + 2, &pid, 4);

    if (stoa_buf_reserve(out, NGX_HTTP_STOA_MCP_INPUT_TEXT + 2) != STOA_OK) {
        return NGX_DECLINED;
    }

    stoa_buf_init(&plain, NGX_HTTP_STOA_MCP_INPUT_TEXT);
    stoa_buf_add(&plain, head, sizeof(head));
    stoa_buf_add(&plain, b->park, NGX_HTTP_STOA_MCP_PARK);
    stoa_buf_add(&plain, place, ngx_http_stoa_mcp_place(place));
    stoa_buf_add(&plain, key->start, key->end - key->start);

    stoa_buf_addz(out, "\"");
    len = stoa_seal(STOA_SEAL_REQUEST, (int64_t) ngx_http_stoa_wall_ms(),
                    (stoa_str_t) { (char *) mcp->nonce, sizeof(mcp->nonce) },
                    (stoa_str_t) { plain.data, plain.len },
                    out->data + out->len, NGX_HTTP_STOA_MCP_INPUT_TEXT);
    out->len += len;
    stoa_buf_addz(out, "\"");
    stoa_buf_free(&plain);

    return len ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_stoa_mcp_input_write(ngx_http_stoa_mcp_modern_t *b, stoa_buf_t *out)
{
    ngx_uint_t                  i;
    ngx_http_stoa_mcp_input_t  *in;

    if (b->ninputs) {
        stoa_buf_addz(out, "\"inputResponses\":{");

        for (i = 0; i < b->ninputs; i++) {
            in = &b->inputs[i];
            stoa_buf_addz(out, i ? "," : "");
            stoa_buf_add(out, in->key.data, in->key.len);
            stoa_buf_addz(out, ":");
            stoa_buf_add(out, in->answer.data, in->answer.len);
        }

        stoa_buf_addz(out, "},");
    }

    if (b->state.len) {
        stoa_buf_addz(out, "\"requestState\":");
        stoa_buf_add(out, b->state.data, b->state.len);
        stoa_buf_addz(out, ",");
    }
}


/* ---- what the client says ---------------------------------------------- */

/* The worker that has the call. */

static ngx_int_t
ngx_http_stoa_mcp_input_tell(ngx_http_request_t *r, ngx_pid_t pid,
    const u_char *park, const ngx_str_t *key)
{
    size_t      n;
    u_char     *p;
    uint32_t    len;
    ngx_str_t  *body;

    body = &ngx_http_stoa_ctx(r)->call.mcp->body;
    n = 1 + NGX_HTTP_STOA_MCP_PARK + 4 + key->len + body->len;

    if (n > NGX_HTTP_STOA_DOOR_MAX) {
        ngx_http_stoa_count(mcp_lost, 1);
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
                                    NULL);
    }

    p = ngx_pnalloc(r->pool, n);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p[0] = 'a';
    ngx_memcpy(p + 1, park, NGX_HTTP_STOA_MCP_PARK);
    len = (uint32_t) key->len;
    ngx_memcpy(p + 1 + NGX_HTTP_STOA_MCP_PARK, &len, 4);
    ngx_memcpy(p + 5 + NGX_HTTP_STOA_MCP_PARK, key->data, key->len);
    ngx_memcpy(p + 5 + NGX_HTTP_STOA_MCP_PARK + key->len, body->data,
               body->len);

    if (ngx_http_stoa_door_tell(pid, p, n) != NGX_OK) {

        /* many clients end at a refusal; the call of one that is gone has
         * ended, too */

        ngx_http_stoa_count(mcp_lost, 1);
        return kill((pid_t) pid, 0) == -1 && ngx_errno == NGX_ESRCH
               ? NGX_OK : NGX_BUSY;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_input_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    u_char                       text[NGX_HTTP_STOA_MCP_INPUT_TEXT];
    size_t                       len;
    uint32_t                     pid;
    ngx_int_t                    rc;
    ngx_str_t                    key, peer;
    stoa_str_t                   id;
    const u_char                *place;
    ngx_http_stoa_mcp_t         *mcp;
    ngx_http_stoa_mcp_modern_t  *b;

    mcp = ctx->call.mcp;

    if (!stoa_json_text(&mcp->msg.id, &id)
        || id.len < stoa_seal_text_len(NGX_HTTP_STOA_MCP_INPUT_HEAD)
        || stoa_seal_plain_len(id.len) > sizeof(text)
        || !stoa_seal_open(STOA_SEAL_REQUEST,
                           (stoa_str_t) { (char *) mcp->nonce,
                                          sizeof(mcp->nonce) },
                           id, text, &len)
        || len <= NGX_HTTP_STOA_MCP_INPUT_HEAD
        || text[0] != NGX_HTTP_STOA_MCP_INPUT_FORMAT)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(&pid, text + 2, 4);
    place = text + NGX_HTTP_STOA_MCP_INPUT_HEAD;
    rc = ngx_http_stoa_mcp_place_read(&place, text + len, &peer);

    if (rc != NGX_OK) {
        return rc == NGX_ERROR ? NGX_DECLINED
                               : ngx_http_stoa_mcp_hop(r, ctx, &peer);
    }

    key.data = (u_char *) place;
    key.len = text + len - place;

    if (pid == (uint32_t) ngx_pid) {
        b = ngx_http_stoa_mcp_input_find(text + 6);

        if (b == NULL || !ngx_http_stoa_mcp_input_take(b, &key, &mcp->body)) {
            ngx_http_stoa_count(mcp_lost, 1);
        }

        return NGX_OK;
    }

    return ngx_http_stoa_mcp_input_tell(r, (ngx_pid_t) pid, text + 6, &key);
}


void
ngx_http_stoa_mcp_input_came(const u_char *p, size_t len)
{
    uint32_t                     n;
    ngx_str_t                    key, rest;
    const u_char                *park;
    ngx_http_stoa_mcp_modern_t  *b;

    if (len < 5 + NGX_HTTP_STOA_MCP_PARK) {
        return;
    }

    park = p + 1;
    ngx_memcpy(&n, p + 1 + NGX_HTTP_STOA_MCP_PARK, 4);
    key.data = (u_char *) p + 5 + NGX_HTTP_STOA_MCP_PARK;

    if (n > len - 5 - NGX_HTTP_STOA_MCP_PARK) {
        return;
    }

    key.len = n;
    rest.data = key.data + n;
    rest.len = len - 5 - NGX_HTTP_STOA_MCP_PARK - n;

    if (p[0] == 'c') {
        ngx_http_stoa_mcp_input_stop(park, &key);
        return;
    }

    b = ngx_http_stoa_mcp_input_find(park);

    if (b == NULL || !ngx_http_stoa_mcp_input_take(b, &key, &rest)) {
        ngx_http_stoa_count(mcp_lost, 1);
    }
}


static ngx_http_stoa_mcp_modern_t *
ngx_http_stoa_mcp_input_find(const u_char *park)
{
    ngx_queue_t                 *q;
    ngx_http_stoa_mcp_modern_t  *b;

    if (ngx_http_stoa_mcp_moderns.next == NULL) {
        return NULL;
    }

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_moderns);
         q != ngx_queue_sentinel(&ngx_http_stoa_mcp_moderns);
         q = ngx_queue_next(q))
    {
        b = ngx_queue_data(q, ngx_http_stoa_mcp_modern_t, queue);

        if (b->ask == NULL && !b->done && b->ninputs
            && ngx_memcmp(b->park, park, NGX_HTTP_STOA_MCP_PARK) == 0)
        {
            return b;
        }
    }

    return NULL;
}


/* Whose answer it is; left: how many others have none.  NULL: nobody's. */

static ngx_http_stoa_mcp_input_t *
ngx_http_stoa_mcp_input_of(ngx_http_stoa_mcp_modern_t *b,
    const ngx_str_t *key, ngx_uint_t *left)
{
    ngx_uint_t                  i;
    ngx_http_stoa_mcp_input_t  *in;

    in = NULL;
    *left = 0;

    for (i = 0; i < b->ninputs; i++) {

        if (b->inputs[i].key.len == key->len
            && ngx_memcmp(b->inputs[i].key.data, key->data, key->len) == 0)
        {
            in = &b->inputs[i];

        } else if (b->inputs[i].answer.len == 0) {
            (*left)++;
        }
    }

    return in && in->answer.len == 0 ? in : NULL;
}


/* 0: it says nothing that counts.  body: the client's whole message. */

static ngx_uint_t
ngx_http_stoa_mcp_input_take(ngx_http_stoa_mcp_modern_t *b,
    const ngx_str_t *key, const ngx_str_t *body)
{
    u_char                     *p;
    ngx_str_t                   text;
    ngx_uint_t                  left, error;
    stoa_err_t                  err;
    stoa_json_val_t             root, v;
    ngx_http_stoa_mcp_input_t  *in;

    static ngx_str_t  cancel = ngx_string("{\"action\":\"cancel\"}");

    in = ngx_http_stoa_mcp_input_of(b, key, &left);

    if (in == NULL
        || stoa_json_check((char *) body->data, body->len,
                           STOA_JSON_DEPTH_MAX, &root, &err)
           != STOA_OK)
    {
        return 0;
    }

    error = !stoa_json_get(&root, "result", &v);

    if (error && !stoa_json_get(&root, "error", &v)) {
        return 0;
    }

    text.data = (u_char *) v.start;
    text.len = v.end - v.start;

    if (error && in->cancels) {
        text = cancel;
        error = 0;
    }

    p = ngx_pnalloc(b->ctx->request->pool,
                    text.len + (b->msg.id.end - b->msg.id.start) + 64);
    if (p == NULL) {
        return 0;
    }

    if (error) {

        /* that is the end of the call */

        b->answer.data = p;
        b->answer.len = ngx_sprintf(p, "{\"jsonrpc\":\"2.0\",\"id\":%*s,"
                                    "\"error\":%V}",
                                    (size_t) (b->msg.id.end
                                              - b->msg.id.start),
                                    b->msg.id.start, &text)
                        - p;

    } else {
        in->answer.data = p;
        in->answer.len = text.len;
        ngx_memcpy(p, text.data, text.len);
    }

    if (error || left == 0) {
        b->with->go(b);
    }

    return 1;
}


/* ---- cancelled --------------------------------------------------------- */

void
ngx_http_stoa_mcp_input_cancel(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    u_char               *p;
    uint32_t              n;
    ngx_str_t             id;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (mcp->msg.request_id.start == NULL) {
        return;
    }

    id.data = (u_char *) mcp->msg.request_id.start;
    id.len = mcp->msg.request_id.end - mcp->msg.request_id.start;
    n = (uint32_t) id.len;

    p = ngx_pnalloc(r->pool, 5 + sizeof(mcp->nonce) + id.len);
    if (p == NULL) {
        return;
    }

    p[0] = 'c';
    ngx_memcpy(p + 1, mcp->nonce, sizeof(mcp->nonce));
    ngx_memcpy(p + 1 + sizeof(mcp->nonce), &n, 4);
    ngx_memcpy(p + 5 + sizeof(mcp->nonce), id.data, id.len);

    ngx_http_stoa_door_tell_all(p, 5 + sizeof(mcp->nonce) + id.len);
    ngx_http_stoa_mcp_input_stop(mcp->nonce, &id);
}


static void
ngx_http_stoa_mcp_input_stop(const u_char *nonce, const ngx_str_t *id)
{
    ngx_queue_t                 *q;
    stoa_json_val_t              v;
    ngx_http_stoa_mcp_modern_t  *b;

    if (ngx_http_stoa_mcp_moderns.next == NULL || id->len == 0) {
        return;
    }

    v.type = id->data[0] == '"' ? STOA_JSON_STRING : STOA_JSON_NUMBER;
    v.start = (char *) id->data;
    v.end = (char *) id->data + id->len;
    v.escaped = memchr(id->data, '\\', id->len) != NULL;

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_moderns);
         q != ngx_queue_sentinel(&ngx_http_stoa_mcp_moderns);
         q = ngx_queue_next(q))
    {
        b = ngx_queue_data(q, ngx_http_stoa_mcp_modern_t, queue);

        if (!b->done
            && ngx_memcmp(b->ctx->call.mcp->nonce, nonce,
                          NGX_HTTP_STOA_MCP_PARK)
               == 0
            && ngx_http_stoa_mcp_fault_same_id(&b->msg.id, &v))
        {
            b->cancelled = 1;
            b->with->go(b);
            return;
        }
    }
}
