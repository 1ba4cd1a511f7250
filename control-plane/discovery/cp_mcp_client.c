/*
 * A client of one MCP server, as much of it as reading a catalogue needs: over
 * Streamable HTTP, or over the HTTP+SSE of 2024-11-05, where what is POSTed to
 * one URL is answered in a stream.
 */

#include <string.h>
#include <strings.h>

#include "core/stoa_json.h"
#include "core/stoa_media.h"
#include "core/stoa_sse.h"
#include "discovery/cp_discovery.h"


#define CP_MCP_SESSION_MAX  1024
#define CP_MCP_URL_MAX      4096
#define CP_MCP_META         "io.modelcontextprotocol/"

struct cp_mcp_client_s {
    cp_app_t               *app;
    cp_arena_t             *arena;
    cp_client_t            *http;
    int64_t                 deadline;
    int64_t                 id;            /* of the last request           */
    const char             *version;
    bool                    modern;
    char                    session[CP_MCP_SESSION_MAX + 1];

    /* of 2024-11-05; NULL: none */
    const cp_client_to_t   *to;
    cp_client_t            *stream;
    stoa_sse_t              events;
    const char             *endpoint;      /* as the stream names it        */
    cp_client_to_t          post_to;
    bool                    streaming;     /* http is for POSTs             */
    bool                    asked;         /* an answer is due              */

    /* the answer that is being read */
    stoa_buf_t              body;
    stoa_sse_t              sse;
    bool                    is_sse;
    bool                    looked;        /* is_sse is known               */
    bool                    too_large;
    const char             *unread;        /* why it cannot be read         */
    cp_json_t              *refused;       /* what of it: {name, reason}    */
    cp_json_t              *message;       /* the one with our id           */
};


/* A value of a text that as a whole is not to the taste of our reader, which
 * takes no U+0000; NULL: this is why. */

static cp_json_t *
cp_mcp_value(cp_mcp_client_t *m, const stoa_json_val_t *val, const char **why)
{
    cp_err_t    err;
    cp_json_t  *v;

    memset(&err, 0, sizeof(err));
    err.arena = m->arena;

    if (cp_json_parse(m->arena, val->start, (size_t) (val->end - val->start),
                      &v, &err)
        == CP_OK)
    {
        return v;
    }

    *why = (err.detail != NULL) ? err.detail : "it cannot be read";

    return NULL;
}


/* The items of an array, without those that cannot be read. */

static cp_json_t *
cp_mcp_items(cp_mcp_client_t *m, const stoa_json_val_t *array)
{
    bool               more;
    unsigned           i;
    cp_json_t         *list, *v, *bad;
    stoa_str_t         name;
    const char        *why;
    stoa_json_val_t    item;
    stoa_json_iter_t   it;

    static const char *const  names[] = { "name", "uri", "uriTemplate",
        NULL };

    list = cp_json_array(m->arena);

    for (more = stoa_json_first(array, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        v = cp_mcp_value(m, &item, &why);

        if (v != NULL) {
            cp_json_push(list, v);
            continue;
        }

        name = stoa_str("");

        for (i = 0; name.len == 0 && names[i] != NULL; i++) {
            if (!stoa_json_get_text(&item, names[i], &name)) {
                name.len = 0;
            }
        }

        bad = cp_json_object(m->arena);
        cp_json_put(m->arena, bad, "name",
                    cp_arena_strndup(m->arena, name.data, name.len));
        cp_json_put(m->arena, bad, "reason", why);
        cp_json_push(m->refused, bad);
    }

    return list;
}


/* What can be read of an object: depth 0 is the message, 1 its result. */

static cp_json_t *
cp_mcp_salvage(cp_mcp_client_t *m, const stoa_json_val_t *object,
    unsigned depth)
{
    bool               more;
    cp_json_t         *to, *v;
    stoa_str_t         name;
    const char        *why;
    stoa_json_val_t    key, val;
    stoa_json_iter_t   it;

    to = cp_json_object(m->arena);

    for (more = stoa_json_first(object, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if (!stoa_json_text(&key, &name)) {
            continue;
        }

        v = (depth == 0 && val.type == STOA_JSON_OBJECT)
            ? cp_mcp_salvage(m, &val, 1)
            : val.type == STOA_JSON_ARRAY ? cp_mcp_items(m, &val)
            : cp_mcp_value(m, &val, &why);

        if (v != NULL) {
            cp_json_set(m->arena, to,
                        cp_arena_strndup(m->arena, name.data, name.len), v);
        }
    }

    return to;
}


static cp_json_t *
cp_mcp_parse(cp_mcp_client_t *m, const char *data, size_t len)
{
    char             *text;
    cp_json_t        *v;
    stoa_err_t        err;
    stoa_json_val_t   root;

    if (cp_json_parse(m->arena, data, len, &v, NULL) == CP_OK) {
        return v;
    }

    /* one that is bad does not take the others with it */

    m->refused = cp_json_array(m->arena);
    text = cp_arena_strndup(m->arena, data, len);

    if (text == NULL
        || !cp_mcp_mend(m->arena, text, len, m->refused, &root, &err))
    {
        m->unread = (text == NULL) ? "too long"
                    : cp_arena_printf(m->arena, "no JSON: %s at byte %zu",
                                      err.text, err.offset);
        return NULL;
    }

    return (root.type == STOA_JSON_OBJECT) ? cp_mcp_salvage(m, &root, 0)
                                           : NULL;
}


/* The message that answers our request, else NULL: others may come before it
 * on a stream. */

static cp_json_t *
cp_mcp_match(cp_mcp_client_t *m, const char *data, size_t len)
{
    cp_json_t  *v, *id;

    v = cp_mcp_parse(m, data, len);

    if (v == NULL || v->type != CP_JSON_OBJECT) {
        return NULL;
    }

    id = cp_json_get(v, "id");

    if (cp_json_get(v, "result") == NULL && cp_json_get(v, "error") == NULL) {
        return NULL;
    }

    /* an error without id belongs to the request that got it */
    if (id == NULL || id->type == CP_JSON_NULL) {
        return cp_json_get(v, "error") != NULL ? v : NULL;
    }

    return (id->type == CP_JSON_INT && id->i == m->id) ? v : NULL;
}


static stoa_rc_t
cp_mcp_on_event(void *ctx, const stoa_sse_event_t *event)
{
    cp_mcp_client_t  *m = ctx;

    if (m->message == NULL && event->data.len > 0) {
        m->message = cp_mcp_match(m, event->data.data, event->data.len);
    }

    return STOA_OK;
}


static bool
cp_mcp_on_data(void *ctx, const char *data, size_t len)
{
    const char       *type, *coding;
    cp_mcp_client_t  *m = ctx;

    if (!m->looked) {
        m->looked = true;
        type = cp_client_answer(m->http, "Content-Type");
        coding = cp_client_answer(m->http, "Content-Encoding");
        m->is_sse = type != NULL
                    && strncasecmp(type, "text/event-stream", 17) == 0;

        if (type != NULL && !stoa_media_utf8(type, strlen(type))) {
            m->unread = "not in UTF-8";
        }

        if (coding != NULL && !stoa_media_plain(coding, strlen(coding))) {
            m->unread = "compressed, though nobody asked for it";
        }
    }

    if (m->unread != NULL || m->streaming) {
        return m->streaming;
    }

    if (!m->is_sse) {
        stoa_buf_add(&m->body, data, len);
    }

    if (m->body.rc != STOA_OK
        || (m->is_sse && stoa_sse_feed(&m->sse, data, len) != STOA_OK))
    {
        m->too_large = true;
        return false;
    }

    /* a stream may stay open after our answer: enough was read */
    return m->message == NULL;
}


static void
cp_mcp_on_line(void *ctx, const char *line, size_t len)
{
    cp_mcp_client_t  *m = ctx;

    static const char  name[] = "mcp-session-id:";

    if (len <= sizeof(name)
        || strncasecmp(line, name, sizeof(name) - 1) != 0)
    {
        return;
    }

    line += sizeof(name) - 1;
    len -= sizeof(name) - 1;

    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }

    while (len > 0 && strchr("\r\n ", line[len - 1]) != NULL) {
        len--;
    }

    if (!m->modern && len > 0 && len <= CP_MCP_SESSION_MAX) {
        memcpy(m->session, line, len);
        m->session[len] = '\0';
    }
}


cp_mcp_client_t *
cp_mcp_client_create(cp_app_t *app, cp_arena_t *a,
    const cp_client_to_t *target, int64_t deadline_mono_ms)
{
    cp_mcp_client_t  *m;

    m = cp_arena_alloc(a, sizeof(cp_mcp_client_t));

    if (m == NULL) {
        return NULL;
    }

    m->app = app;
    m->arena = a;
    m->to = target;
    m->deadline = deadline_mono_ms;
    m->http = cp_client_create(app, a, target, cp_mcp_on_data, cp_mcp_on_line,
                               m);

    return (m->http != NULL) ? m : NULL;
}


void
cp_mcp_client_destroy(cp_mcp_client_t *m)
{
    if (m == NULL) {
        return;
    }

    cp_mcp_client_end_session(m);
    cp_client_destroy(m->http);

    if (m->stream != NULL) {
        cp_client_destroy(m->stream);
        stoa_sse_free(&m->events);
    }
}


void
cp_mcp_client_speak(cp_mcp_client_t *m, const char *version, bool modern)
{
    m->version = version;
    m->modern = modern;
}


/* ---- 2024-11-05 --------------------------------------------------------- */

/* What comes in the stream: its first event, then messages. */

static stoa_rc_t
cp_mcp_on_told(void *ctx, const stoa_sse_event_t *event)
{
    cp_mcp_client_t  *m = ctx;

    if (event->event.len == 8 && memcmp(event->event.data, "endpoint", 8) == 0)
    {
        if (m->endpoint == NULL && event->data.len <= CP_MCP_URL_MAX) {
            m->endpoint = cp_arena_strndup(m->arena, event->data.data,
                                           event->data.len);
        }

        return STOA_OK;
    }

    return cp_mcp_on_event(ctx, event);
}


static bool
cp_mcp_on_stream(void *ctx, const char *data, size_t len)
{
    const char       *type;
    cp_mcp_client_t  *m = ctx;

    type = cp_client_answer(m->stream, "Content-Type");

    return type != NULL && strncasecmp(type, "text/event-stream", 17) == 0
           && stoa_sse_feed(&m->events, data, len) == STOA_OK;
}


/* Until the endpoint, or the message, is there. */

static const char *
cp_mcp_wait(cp_mcp_client_t *m, bool endpoint)
{
    const char  *why;

    why = NULL;

    while (why == NULL
           && (endpoint ? m->endpoint == NULL : m->message == NULL))
    {
        why = cp_client_more(m->stream, m->deadline - cp_time_mono_ms());
    }

    /* it may have come with the end */

    return (endpoint ? m->endpoint == NULL : m->message == NULL) ? why : NULL;
}


/* The URL that the stream has named, absolute; NULL: another origin's. */

static const char *
cp_mcp_resolve(cp_mcp_client_t *m, const char *named)
{
    size_t       host, path, i;
    const char  *base, *p;

    base = m->to->url;
    p = strstr(base, "://");
    host = (p != NULL) ? (size_t) (p + 3 - base) : 0;
    host += strcspn(base + host, "/?#");
    path = host + strcspn(base + host, "?#");

    for (i = 0; named[i] != '\0'; i++) {
        if (named[i] <= ' ' || named[i] > '~') {
            return NULL;
        }
    }

    if (strncmp(named, "http://", 7) == 0
        || strncmp(named, "https://", 8) == 0)
    {
        return (strncmp(named, base, host) == 0
                && strchr("/?", named[host]) != NULL) ? named : NULL;
    }

    if (named[0] == '/') {
        return (named[1] == '/') ? NULL
               : cp_arena_printf(m->arena, "%.*s%s", (int) host, base, named);
    }

    while (named[0] != '?' && path > host && base[path - 1] != '/') {
        path--;
    }

    return cp_arena_printf(m->arena, "%.*s%s%s", (int) path, base,
                           (path == host) ? "/" : "", named);
}


bool
cp_mcp_client_stream(cp_mcp_client_t *m, const char **why)
{
    cp_client_t  *post;

    m->deadline = (m->deadline > cp_time_mono_ms()) ? m->deadline : 0;
    m->session[0] = '\0';
    m->stream = cp_client_create(m->app, m->arena, m->to, cp_mcp_on_stream,
                                 NULL, m);

    if (m->stream == NULL) {
        *why = "out of memory";
        return false;
    }

    stoa_sse_init(&m->events, CP_DISCOVERY_BYTES, cp_mcp_on_told, m);
    cp_client_header(m->stream, "Accept", "text/event-stream");
    cp_client_header(m->stream, "Accept-Encoding", "identity");

    *why = cp_client_begin(m->stream, "GET",
                           m->deadline - cp_time_mono_ms());

    if (*why == NULL) {
        *why = cp_mcp_wait(m, true);
    }

    if (*why != NULL) {
        return false;
    }

    m->post_to = *m->to;
    m->post_to.url = cp_mcp_resolve(m, m->endpoint);
    post = (m->post_to.url != NULL)
           ? cp_client_create(m->app, m->arena, &m->post_to, cp_mcp_on_data,
                              NULL, m)
           : NULL;

    if (post == NULL) {
        *why = "the endpoint of its stream is another server's";
        return false;
    }

    cp_client_destroy(m->http);
    m->http = post;
    m->streaming = true;

    return true;
}


/* One exchange; the answer is in m.  NULL, or why there is none. */

static const char *
cp_mcp_send(cp_mcp_client_t *m, const char *method, const stoa_str_t *body,
    long *status)
{
    bool         first;
    const char  *why;

    first = method != NULL && strcmp(method, "initialize") == 0;

    cp_client_header(m->http, "Content-Type",
                     method != NULL ? "application/json" : NULL);
    cp_client_header(m->http, "Accept",
                     "application/json, text/event-stream");
    cp_client_header(m->http, "Accept-Encoding", "identity");
    cp_client_header(m->http, "MCP-Protocol-Version",
                     first ? NULL : m->version);
    /* where it means nothing it harms nobody */
    cp_client_header(m->http, "Mcp-Method", method);
    cp_client_header(m->http, "Mcp-Session-Id", m->session);

    m->looked = false;
    m->is_sse = false;
    m->too_large = false;
    m->unread = NULL;
    m->refused = NULL;
    m->message = NULL;
    stoa_buf_init(&m->body, CP_DISCOVERY_BYTES);
    stoa_sse_init(&m->sse, CP_DISCOVERY_BYTES, cp_mcp_on_event, m);

    why = cp_client_send(m->http, "DELETE", body,
                         m->deadline - cp_time_mono_ms(), status);
    stoa_sse_free(&m->sse);

    if (m->streaming && m->asked && why == NULL
        && *status >= 200 && *status < 300)
    {
        why = cp_mcp_wait(m, false);
    }

    return why;
}


/* params with what 2026-07-28 wants in each request. */

static cp_json_t *
cp_mcp_meta(cp_mcp_client_t *m, cp_json_t *params)
{
    cp_json_t   *meta, *info;
    cp_arena_t  *a;

    a = m->arena;

    if (!m->modern) {
        return params;
    }

    params = (params != NULL) ? params : cp_json_object(a);
    meta = cp_json_object(a);
    info = cp_json_object(a);

    if (params == NULL || meta == NULL || info == NULL) {
        return NULL;
    }

    cp_json_put(a, info, "name", "stoa-control");
    cp_json_put(a, info, "version", CP_VERSION);
    cp_json_put(a, meta, CP_MCP_META "protocolVersion", m->version);
    cp_json_set(a, meta, CP_MCP_META "clientCapabilities", cp_json_object(a));
    cp_json_set(a, meta, CP_MCP_META "clientInfo", info);
    cp_json_set(a, params, "_meta", meta);

    return params;
}


static char *
cp_mcp_request(cp_mcp_client_t *m, const char *method, cp_json_t *params,
    bool with_id, size_t *len)
{
    cp_json_t   *v;
    cp_arena_t  *a;

    a = m->arena;
    v = cp_json_object(a);

    if (v == NULL) {
        return NULL;
    }

    cp_json_put(a, v, "jsonrpc", "2.0");

    if (with_id) {
        cp_json_put_int(a, v, "id", ++m->id);
    }

    cp_json_put(a, v, "method", method);

    params = cp_mcp_meta(m, params);

    if (params != NULL) {
        cp_json_set(a, v, "params", params);
    }

    return cp_json_text(a, v, len);
}


/* A text of the upstream in a message of ours: short, printable. */

static const char *
cp_mcp_quote(cp_mcp_client_t *m, const char *s)
{
    char  *d, *p;

    d = cp_arena_strndup(m->arena, s, strnlen(s, 160));

    for (p = d; p != NULL && *p != '\0'; p++) {
        if ((unsigned char) *p < ' ' || (unsigned char) *p > '~') {
            *p = '?';
        }
    }

    return (d != NULL) ? d : "";
}


static void
cp_mcp_judge(cp_mcp_client_t *m, const char *method, cp_mcp_reply_t *reply)
{
    cp_json_t   *e;
    const char  *text;

    if (m->message == NULL && !m->is_sse && m->body.len > 0) {
        m->message = cp_mcp_match(m, m->body.data, m->body.len);
    }

    reply->outcome = CP_MCP_REFUSED;
    e = (m->message != NULL) ? cp_json_get(m->message, "error") : NULL;

    if (e != NULL && e->type == CP_JSON_OBJECT) {
        text = cp_json_str(e, "message");
        reply->code = cp_json_num(e, "code", 0);
        reply->data = cp_json_get(e, "data");
        reply->error = cp_arena_printf(m->arena, "%s: error %lld: %s", method,
                           (long long) reply->code,
                           cp_mcp_quote(m, text != NULL ? text : ""));
        return;
    }

    if (reply->status < 200 || reply->status > 299) {
        reply->error = cp_arena_printf(m->arena, "%s: HTTP status %ld", method,
                                       reply->status);
        return;
    }

    e = (m->message != NULL) ? cp_json_get(m->message, "result") : NULL;

    if (e == NULL || e->type != CP_JSON_OBJECT) {
        reply->error = cp_arena_printf(m->arena, "%s: the answer is %s",
                           method, m->unread != NULL ? m->unread
                                                     : "no JSON-RPC result");
        return;
    }

    reply->outcome = CP_MCP_RESULT;
    reply->result = e;
    reply->unread = m->refused;
}


void
cp_mcp_client_call(cp_mcp_client_t *m, const char *method, cp_json_t *params,
    cp_mcp_reply_t *reply)
{
    stoa_str_t   body;
    const char  *why;

    memset(reply, 0, sizeof(cp_mcp_reply_t));
    reply->outcome = CP_MCP_UNREACHABLE;
    reply->error = "out of memory";

    body.data = cp_mcp_request(m, method, params, true, &body.len);

    if (body.data == NULL) {
        return;
    }

    m->asked = true;
    why = cp_mcp_send(m, method, &body, &reply->status);
    m->asked = false;

    if (m->too_large) {
        reply->error = cp_arena_printf(m->arena,
                           "%s: the answer has more than %d bytes", method,
                           CP_DISCOVERY_BYTES);

    } else if (why == NULL || m->message != NULL) {
        cp_mcp_judge(m, method, reply);

    } else {
        reply->error = cp_arena_printf(m->arena, "%s: %s", method, why);
    }

    stoa_buf_free(&m->body);
}


void
cp_mcp_client_notify(cp_mcp_client_t *m, const char *method)
{
    long        status;
    stoa_str_t  body;

    body.data = cp_mcp_request(m, method, NULL, false, &body.len);

    /* what it answers changes nothing; the next request will tell */
    if (body.data != NULL) {
        (void) cp_mcp_send(m, method, &body, &status);
        stoa_buf_free(&m->body);
    }
}


bool
cp_mcp_client_in_session(const cp_mcp_client_t *m)
{
    return m->session[0] != '\0';
}


void
cp_mcp_client_end_session(cp_mcp_client_t *m)
{
    long  status;

    if (m->session[0] == '\0') {
        return;
    }

    /* a second more for tidiness, also when the time is up */
    m->deadline = cp_time_mono_ms() + 1000;

    (void) cp_mcp_send(m, NULL, NULL, &status);
    stoa_buf_free(&m->body);
    m->session[0] = '\0';
}
