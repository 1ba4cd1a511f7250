/*
 * A client of one MCP server over Streamable HTTP, as much of it as reading a
 * catalogue needs.  libcurl, blocking, on a thread that may block.
 *
 * It goes only where the api's target says: http and https, no redirects, no
 * proxy of the environment, no credentials from files.
 */

#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "core/stoa_media.h"
#include "core/stoa_sse.h"
#include "discovery/cp_discovery.h"


#define CP_MCP_SESSION_MAX  1024
#define CP_MCP_META         "io.modelcontextprotocol/"

struct cp_mcp_client_s {
    cp_app_t               *app;
    cp_arena_t             *arena;
    CURL                   *curl;
    struct curl_slist      *connect_to;
    const char             *url;
    const cp_mcp_target_t  *target;
    int64_t                 deadline;
    int64_t                 id;            /* of the last request           */
    const char             *version;
    bool                    modern;
    char                    session[CP_MCP_SESSION_MAX + 1];

    /* the answer that is being read */
    stoa_buf_t              body;
    stoa_sse_t              sse;
    bool                    is_sse;
    bool                    looked;        /* is_sse is known               */
    bool                    too_large;
    const char             *unread;        /* why it cannot be read         */
    cp_json_t              *message;       /* the one with our id           */
};


/* The message that answers our request, else NULL: others may come before it
 * on a stream. */

static cp_json_t *
cp_mcp_match(cp_mcp_client_t *m, const char *data, size_t len)
{
    cp_err_t    err;
    cp_json_t  *v, *id;

    memset(&err, 0, sizeof(err));
    err.arena = m->arena;

    if (cp_json_parse(m->arena, data, len, &v, &err) != CP_OK
        || v->type != CP_JSON_OBJECT)
    {
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


static size_t
cp_mcp_on_data(char *data, size_t size, size_t n, void *ctx)
{
    char                *type;
    cp_mcp_client_t     *m = ctx;
    struct curl_header  *coding;

    n *= size;

    if (!m->looked) {
        type = NULL;
        curl_easy_getinfo(m->curl, CURLINFO_CONTENT_TYPE, &type);
        m->is_sse = (type != NULL
                     && strncasecmp(type, "text/event-stream", 17) == 0);
        m->looked = true;

        if (type != NULL && !stoa_media_utf8(type, strlen(type))) {
            m->unread = "not in UTF-8";
        }

        if (curl_easy_header(m->curl, "Content-Encoding", 0, CURLH_HEADER, -1,
                             &coding) == CURLHE_OK
            && !stoa_media_plain(coding->value, strlen(coding->value)))
        {
            m->unread = "compressed, though nobody asked for it";
        }
    }

    if (m->unread != NULL) {
        return 0;
    }

    stoa_buf_add(&m->body, m->is_sse ? "" : data, m->is_sse ? 0 : n);

    if (m->body.rc != STOA_OK
        || (m->is_sse && stoa_sse_feed(&m->sse, data, n) != STOA_OK))
    {
        m->too_large = true;
        return 0;
    }

    /* a stream may stay open after our answer: enough was read */
    return (m->message != NULL) ? 0 : n;
}


static size_t
cp_mcp_on_header(char *line, size_t size, size_t n, void *ctx)
{
    size_t            len;
    cp_mcp_client_t  *m = ctx;

    static const char  name[] = "mcp-session-id:";

    n *= size;
    len = n;

    if (len > sizeof(name) && strncasecmp(line, name, sizeof(name) - 1) == 0) {
        line += sizeof(name) - 1;
        len -= sizeof(name) - 1;

        while (len > 0 && (*line == ' ' || *line == '\t')) {
            line++;
            len--;
        }

        while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'
                           || line[len - 1] == ' '))
        {
            len--;
        }

        if (!m->modern && len > 0 && len <= CP_MCP_SESSION_MAX) {
            memcpy(m->session, line, len);
            m->session[len] = '\0';
        }
    }

    return n;
}


static int
cp_mcp_on_progress(void *ctx, curl_off_t dt, curl_off_t dn, curl_off_t ut,
    curl_off_t un)
{
    cp_mcp_client_t  *m = ctx;

    (void) dt;
    (void) dn;
    (void) ut;
    (void) un;

    return atomic_load(&m->app->stopping) ? 1 : 0;
}


/* Host and port of an absolute URL, as CURLOPT_CONNECT_TO wants them. */

static const char *
cp_mcp_authority(const char *url, size_t *len)
{
    const char  *p;

    p = strstr(url, "://");
    p = (p != NULL) ? p + 3 : url;
    *len = strcspn(p, "/?#");

    return p;
}


/* TLS names another host than the target's: the URL gets that name and the
 * connection goes to the target all the same. */

static bool
cp_mcp_rename(cp_mcp_client_t *m)
{
    char        *rule;
    size_t       len, host_len;
    const char  *authority, *port;

    authority = cp_mcp_authority(m->target->url, &len);
    port = "";

    for (host_len = len; host_len > 0; host_len--) {
        if (authority[host_len - 1] == ':') {
            port = cp_arena_strndup(m->arena, authority + host_len,
                                    len - host_len);
            break;
        }

        if (authority[host_len - 1] == ']') {
            host_len = 0;
            break;
        }
    }

    host_len = (host_len > 0) ? host_len - 1 : len;
    port = (port != NULL && *port != '\0') ? port : "443";

    m->url = cp_arena_printf(m->arena, "https://%s:%s%s",
                             m->target->server_name, port, authority + len);
    rule = cp_arena_printf(m->arena, "::%.*s:%s", (int) host_len, authority,
                           port);

    if (m->url == NULL || rule == NULL) {
        return false;
    }

    m->connect_to = curl_slist_append(NULL, rule);

    return m->connect_to != NULL;
}


cp_mcp_client_t *
cp_mcp_client_create(cp_app_t *app, cp_arena_t *a,
    const cp_mcp_target_t *target, int64_t deadline_mono_ms)
{
    cp_mcp_client_t  *m;

    m = cp_arena_alloc(a, sizeof(cp_mcp_client_t));

    if (m == NULL) {
        return NULL;
    }

    m->app = app;
    m->arena = a;
    m->target = target;
    m->url = target->url;
    m->deadline = deadline_mono_ms;

    if (target->server_name != NULL
        && strncasecmp(target->url, "https://", 8) == 0
        && !cp_mcp_rename(m))
    {
        return NULL;
    }

    m->curl = curl_easy_init();

    if (m->curl == NULL) {
        curl_slist_free_all(m->connect_to);
        return NULL;
    }

    return m;
}


void
cp_mcp_client_destroy(cp_mcp_client_t *m)
{
    if (m == NULL) {
        return;
    }

    cp_mcp_client_end_session(m);
    curl_easy_cleanup(m->curl);
    curl_slist_free_all(m->connect_to);
}


void
cp_mcp_client_speak(cp_mcp_client_t *m, const char *version, bool modern)
{
    m->version = version;
    m->modern = modern;
}


static bool
cp_mcp_add(cp_mcp_client_t *m, struct curl_slist **list, const char *name,
    const char *value)
{
    char               *line;
    struct curl_slist  *next;

    if (value == NULL || *value == '\0') {
        return true;
    }

    line = cp_arena_printf(m->arena, "%s: %s", name, value);
    next = (line != NULL) ? curl_slist_append(*list, line) : NULL;

    if (next == NULL) {
        return false;
    }

    *list = next;

    return true;
}


/* The host of the URL is only for TLS when it was renamed. */

static const char *
cp_mcp_host(cp_mcp_client_t *m)
{
    size_t       len;
    const char  *authority;

    if (m->target->host_header != NULL) {
        return m->target->host_header;
    }

    if (m->connect_to == NULL) {
        return NULL;
    }

    authority = cp_mcp_authority(m->target->url, &len);

    return cp_arena_strndup(m->arena, authority, len);
}


static struct curl_slist *
cp_mcp_headers(cp_mcp_client_t *m, const char *method, bool first)
{
    bool                ok;
    struct curl_slist  *list;

    list = curl_slist_append(NULL, "Expect:");

    ok = list != NULL
         && cp_mcp_add(m, &list, "Host", cp_mcp_host(m))
         && cp_mcp_add(m, &list, "Content-Type",
                       method != NULL ? "application/json" : NULL)
         && cp_mcp_add(m, &list, "Accept",
                       "application/json, text/event-stream")
         && cp_mcp_add(m, &list, "Accept-Encoding", "identity")
         && cp_mcp_add(m, &list, "MCP-Protocol-Version",
                       first ? NULL : m->version)
         && cp_mcp_add(m, &list, "Mcp-Method", m->modern ? method : NULL)
         && cp_mcp_add(m, &list, "Mcp-Session-Id", m->session);

    if (!ok) {
        curl_slist_free_all(list);
        return NULL;
    }

    return list;
}


static void
cp_mcp_setup(cp_mcp_client_t *m, struct curl_slist *headers, const char *body,
    size_t len, int64_t left_ms)
{
    CURL  *h;

    h = m->curl;
    curl_easy_reset(h);

    curl_easy_setopt(h, CURLOPT_URL, m->url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "stoa-control/" CP_VERSION);
    curl_easy_setopt(h, CURLOPT_CONNECT_TO, m->connect_to);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long) left_ms);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
                     (long) CP_DISCOVERY_CONNECT_MS);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, m->target->verify ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, m->target->verify ? 2L : 0L);

    if (m->app->conf.upstream_ca_file[0] != '\0') {
        curl_easy_setopt(h, CURLOPT_CAINFO, m->app->conf.upstream_ca_file);
    }

    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, cp_mcp_on_data);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, m);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, cp_mcp_on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, m);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, cp_mcp_on_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, m);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);

    if (body != NULL) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long) len);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, body);

    } else {
        curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, "DELETE");
    }
}


/* One exchange; the answer is in m. */

static CURLcode
cp_mcp_send(cp_mcp_client_t *m, const char *method, const char *body,
    size_t len, long *status)
{
    int64_t             left;
    CURLcode            rc;
    struct curl_slist  *headers;

    left = m->deadline - cp_time_mono_ms();

    if (left <= 0) {
        return CURLE_OPERATION_TIMEDOUT;
    }

    headers = cp_mcp_headers(m, method,
                             method != NULL
                             && strcmp(method, "initialize") == 0);
    if (headers == NULL) {
        return CURLE_OUT_OF_MEMORY;
    }

    m->looked = false;
    m->is_sse = false;
    m->too_large = false;
    m->unread = NULL;
    m->message = NULL;
    stoa_buf_init(&m->body, CP_DISCOVERY_BYTES);
    stoa_sse_init(&m->sse, CP_DISCOVERY_BYTES, cp_mcp_on_event, m);

    cp_mcp_setup(m, headers, body, len, left);
    rc = curl_easy_perform(m->curl);
    *status = 0;
    curl_easy_getinfo(m->curl, CURLINFO_RESPONSE_CODE, status);

    curl_slist_free_all(headers);
    stoa_sse_free(&m->sse);

    /* the stream was left on purpose */
    return (rc == CURLE_WRITE_ERROR
            && (m->message != NULL || m->unread != NULL)) ? CURLE_OK : rc;
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

    cp_json_set(a, info, "name", cp_json_string(a, "stoa-control"));
    cp_json_set(a, info, "version", cp_json_string(a, CP_VERSION));
    cp_json_set(a, meta, CP_MCP_META "protocolVersion",
                cp_json_string(a, m->version));
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

    cp_json_set(a, v, "jsonrpc", cp_json_string(a, "2.0"));

    if (with_id) {
        cp_json_set(a, v, "id", cp_json_int(a, ++m->id));
    }

    cp_json_set(a, v, "method", cp_json_string(a, method));

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
}


void
cp_mcp_client_call(cp_mcp_client_t *m, const char *method, cp_json_t *params,
    cp_mcp_reply_t *reply)
{
    char      *body;
    size_t     len;
    CURLcode   rc;

    memset(reply, 0, sizeof(cp_mcp_reply_t));
    reply->outcome = CP_MCP_UNREACHABLE;
    reply->error = "out of memory";

    body = cp_mcp_request(m, method, params, true, &len);

    if (body == NULL) {
        return;
    }

    rc = cp_mcp_send(m, method, body, len, &reply->status);

    if (rc == CURLE_OK || m->message != NULL) {
        cp_mcp_judge(m, method, reply);

    } else if (m->too_large) {
        reply->error = cp_arena_printf(m->arena,
                           "%s: the answer has more than %d bytes", method,
                           CP_DISCOVERY_BYTES);

    } else {
        reply->error = cp_arena_printf(m->arena, "%s: %s", method,
                                       curl_easy_strerror(rc));
    }

    stoa_buf_free(&m->body);
}


void
cp_mcp_client_notify(cp_mcp_client_t *m, const char *method)
{
    char    *body;
    long     status;
    size_t   len;

    body = cp_mcp_request(m, method, NULL, false, &len);

    /* what it answers changes nothing; the next request will tell */
    if (body != NULL
        && cp_mcp_send(m, method, body, len, &status) != CURLE_OUT_OF_MEMORY)
    {
        stoa_buf_free(&m->body);
    }
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

    if (cp_mcp_send(m, NULL, NULL, 0, &status) != CURLE_OUT_OF_MEMORY) {
        stoa_buf_free(&m->body);
    }

    m->session[0] = '\0';
}
