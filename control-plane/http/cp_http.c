/*
 * Between libmicrohttpd and the workers: a call is opened with its first
 * line, its body gathered, the connection suspended while a worker has it,
 * the answer queued when it comes back.
 */

#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "http/cp_call.h"
#include "http/cp_listen.h"
#include "http/cp_query.h"


#define CP_HTTP_READ_MS  1000      /* for half a request, at the end         */
#define CP_HTTP_MEMORY  32768      /* of a connection: bounds its header     */


/* The client's id if it is harmless in logs, else a new one. */

static void
cp_call_id(cp_req_t *r)
{
    size_t       len;
    const char  *id;

    id = cp_req_header(r, "X-Request-Id");

    if (id != NULL) {

        len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789._-");

        if (len > 0 && len <= CP_REQUEST_ID_MAX && id[len] == '\0') {
            memcpy(r->op.request_id, id, len + 1);
            return;
        }
    }

    cp_id_make(r->op.request_id);
}


static bool
cp_call_takes_gzip(cp_req_t *r)
{
    const char  *accept, *p;

    accept = cp_req_header(r, "Accept-Encoding");

    p = (accept != NULL) ? strcasestr(accept, "gzip") : NULL;
    if (p == NULL) {
        return false;
    }

    /* "gzip;q=0" is a refusal */

    p += 4;
    p += strspn(p, " \t");

    if (*p != ';') {
        return true;
    }

    p += 1 + strspn(p + 1, " \t");

    return !((p[0] == 'q' || p[0] == 'Q') && p[1] == '='
             && strtod(p + 2, NULL) <= 0);
}


static enum MHD_Result
cp_call_query(void *cls, enum MHD_ValueKind kind, const char *key,
    const char *value)
{
    char       *name, *text;
    cp_req_t   *r = cls;
    unsigned    i;
    cp_call_t  *call;

    (void) kind;

    call = r->call;

    if (r->op.err.status != 0) {
        return MHD_NO;
    }

    name = cp_route_decode(r->op.arena, key, strlen(key));
    text = cp_route_decode(r->op.arena, (value != NULL) ? value : "",
                           (value != NULL) ? strlen(value) : 0);

    if (name == NULL || text == NULL) {
        (void) cp_err_set(&r->op.err, "bad_request", "the query has a bad "
                          "%%-escape or no UTF-8");
        return MHD_NO;
    }

    if (call->nquery == CP_CALL_QUERY_MAX) {
        (void) cp_err_set(&r->op.err, "bad_request", "more than %d query "
                          "parameters", CP_CALL_QUERY_MAX);
        return MHD_NO;
    }

    /* which of two values counts is not for us to guess */

    for (i = 0; i < call->nquery; i++) {
        if (strcmp(call->query[i][0], name) == 0) {
            (void) cp_err_set(&r->op.err, "bad_request", "the query parameter "
                              "\"%.64s\" is there twice", name);
            return MHD_NO;
        }
    }

    call->query[call->nquery][0] = name;
    call->query[call->nquery][1] = text;
    call->nquery++;

    return MHD_YES;
}


/* Two lengths, or a length beside chunks: another reader on the way may see
 * another request than we do. */

static enum MHD_Result
cp_call_framing(void *cls, enum MHD_ValueKind kind, const char *key,
    const char *value)
{
    unsigned  *seen = cls;

    (void) kind;
    (void) value;

    if (strcasecmp(key, "Content-Length") == 0
        || strcasecmp(key, "Transfer-Encoding") == 0)
    {
        (*seen)++;
    }

    return MHD_YES;
}


/* May its address ask now?  Probes always; gateways pay only if they are none,
 * which a worker finds out. */

static bool
cp_call_admitted(cp_call_t *call)
{
    cp_auth_e  how;
    cp_req_t  *r = &call->req;

    how = (call->routed != NULL) ? call->routed->row->auth : CP_AUTH_NONE;

    return (call->routed != NULL && call->routed->quiet
            && how == CP_AUTH_NONE)
           || cp_rate_take(call->http->limit, CP_RATE_ADDRESS,
                            cp_req_address(r), how != CP_AUTH_GATEWAY,
                            &call->limited);
}


/* What can be judged before the body. */

static cp_rc_t
cp_call_judge(cp_call_t *call)
{
    int                 n;
    cp_rc_t             rc;
    cp_req_t           *r = &call->req;
    unsigned            framing;
    const char         *length;
    unsigned long long  len;

    rc = cp_route_match(call->http, r, &call->routed);

    if (!cp_call_admitted(call)) {
        return cp_rate_refuse(r);
    }

    if (rc != CP_OK) {
        return rc;
    }

    call->body.max = call->routed->body_max;

    framing = 0;
    n = MHD_get_connection_values(r->conn, MHD_HEADER_KIND, cp_call_framing,
                                  &framing);

    if (framing > 1) {
        return cp_err_set(&r->op.err, "bad_request",
                          "the length of the body is given twice");
    }

    if (n > CP_CALL_HEADERS_MAX) {
        return cp_err_set(&r->op.err, "headers_too_large",
                          "more than %d headers", CP_CALL_HEADERS_MAX);
    }

    (void) MHD_get_connection_values(r->conn, MHD_GET_ARGUMENT_KIND,
                                     cp_call_query, r);
    if (r->op.err.status != 0) {
        return CP_DECLINED;
    }

    length = cp_req_header(r, "Content-Length");
    len = (length != NULL) ? strtoull(length, NULL, 10) : 0;

    if (len > call->body.max) {
        return cp_err_set(&r->op.err, "body_too_large",
                          "the body may have %zu bytes", call->body.max);
    }

    return CP_OK;
}


static enum MHD_Result
cp_call_queue(cp_call_t *call)
{
    enum MHD_Result  rc;

    if (call->response == NULL) {
        cp_answer_make(call);
    }

    if (call->response == NULL) {
        return MHD_NO;
    }

    rc = MHD_queue_response(call->conn, (unsigned) call->req.status,
                            call->response);
    MHD_destroy_response(call->response);
    call->response = NULL;

    return rc;
}


/*
 * The first call.  A refusal waits until the body is read, so that a client
 * which sends before it reads gets its answer, unless it asked first (Expect)
 * or means to send very much.
 */

static enum MHD_Result
cp_call_open(cp_http_t *http, struct MHD_Connection *conn, const char *url,
    const char *method, void **con_cls)
{
    cp_req_t    *r;
    cp_call_t   *call;
    const char  *length;

    call = cp_call_create(http, conn);
    if (call == NULL) {
        return MHD_NO;
    }

    *con_cls = call;
    r = &call->req;

    r->method = cp_arena_strdup(r->op.arena, method);
    r->path = cp_arena_strdup(r->op.arena, url);

    if (r->method == NULL || r->path == NULL) {
        return MHD_NO;
    }

    cp_call_id(r);
    call->gzip = cp_call_takes_gzip(r);

    cp_guard_await(call, http->app->conf.request_timeout_s * 1000);

    if (cp_call_judge(call) == CP_OK) {
        return MHD_YES;
    }

    if (cp_cors_preflight(r)) {
        call->refused = true;
        return MHD_YES;
    }

    cp_answer_refuse(call);

    length = cp_req_header(r, "Content-Length");

    if (cp_req_header(r, "Expect") != NULL
        || r->op.err.status == 400
        || (length != NULL
            && strtoull(length, NULL, 10) > CP_CALL_DISCARD_MAX))
    {
        return cp_call_queue(call);
    }

    return MHD_YES;
}


/* Who sends much must be known first, or strangers would use up the memory
 * that is there for all bodies.  The piece at hand comes again afterwards.
 * False: the workers have ended. */

static bool
cp_call_admit(cp_call_t *call)
{
    cp_call_become(call, CP_CALL_ADMITTING);

    if (cp_queue_submit(call->http, call)) {
        return true;
    }

    cp_call_become(call, CP_CALL_READING);
    (void) cp_err_set(&call->req.op.err, "unavailable", "ending");
    cp_answer_refuse(call);

    return false;
}


/* What is to be added to the bytes that all bodies hold. */

static int64_t
cp_call_count(cp_call_t *call, size_t n)
{
    int64_t  more;

    if (!call->admitted) {
        return 0;
    }

    more = (int64_t) n + ((call->counted == 0) ? (int64_t) call->body.len : 0);
    call->counted += more;

    return more;
}


static enum MHD_Result
cp_call_body(cp_call_t *call, const char *data, size_t *size)
{
    size_t      n;
    int64_t     more;
    cp_http_t  *http;

    n = *size;
    http = call->http;

    if (!call->refused && !call->admitted
        && call->body.len + n > CP_CALL_UNKNOWN_MAX
        && call->routed->row->auth != CP_AUTH_NONE
        && cp_call_admit(call))
    {
        return MHD_YES;
    }

    *size = 0;

    if (call->refused) {
        call->discarded += n;
        return (call->discarded > CP_CALL_DISCARD_MAX) ? MHD_NO : MHD_YES;
    }

    more = cp_call_count(call, n);

    if (atomic_fetch_add(&http->bodies, more) + more > CP_CALL_BODIES_MAX
        && more > 0)
    {
        (void) cp_err_set(&call->req.op.err, "unavailable",
                          "too many large requests at once");
        cp_answer_refuse(call);
        return MHD_YES;
    }

    stoa_buf_add(&call->body, data, n);

    if (call->body.rc == STOA_FULL) {
        (void) cp_err_set(&call->req.op.err, "body_too_large",
                          "the body may have %zu bytes",
                          call->routed->body_max);
        cp_answer_refuse(call);

    } else if (call->body.rc != STOA_OK) {
        return MHD_NO;
    }

    return MHD_YES;
}


/* The request is whole. */

static enum MHD_Result
cp_call_dispatch(cp_call_t *call)
{
    cp_req_t  *r = &call->req;

    cp_call_received(call);

    if (call->refused) {
        return cp_call_queue(call);
    }

    r->body = (call->body.len > 0) ? call->body.data : "";
    r->body_len = call->body.len;

    if (call->routed->direct) {

        if (cp_query_known(r) != CP_OK || r->route->handler(r) != CP_OK) {
            cp_answer_problem(call);
        }

        cp_call_become(call, CP_CALL_ANSWERED);
        return cp_call_queue(call);
    }

    cp_call_become(call, CP_CALL_WORKING);
    call->next = r->route->handler;

    if (cp_queue_submit(call->http, call)) {
        return MHD_YES;
    }

    (void) cp_err_set(&r->op.err, "unavailable", "ending");
    cp_answer_refuse(call);

    return cp_call_queue(call);
}


static enum MHD_Result
cp_http_access(void *cls, struct MHD_Connection *conn, const char *url,
    const char *method, const char *version, const char *data, size_t *size,
    void **con_cls)
{
    cp_http_t  *http = cls;
    cp_call_t  *call = *con_cls;

    (void) version;

    if (call == NULL) {
        return cp_call_open(http, conn, url, method, con_cls);
    }

    stoa_assert(call->magic == CP_CALL_MAGIC && call->conn == conn);

    if (call->state == CP_CALL_ANSWERED) {
        return cp_call_queue(call);
    }

    return (*size > 0) ? cp_call_body(call, data, size)
                       : cp_call_dispatch(call);
}


static void
cp_http_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
    enum MHD_RequestTerminationCode how)
{
    cp_http_t  *http = cls;
    cp_call_t  *call = *con_cls;

    (void) conn;

    if (call == NULL) {
        return;
    }

    *con_cls = NULL;
    cp_call_received(call);
    cp_guard_await(call, (http->app->conf.request_timeout_s
                          + http->app->conf.idle_timeout_s) * 1000);

    if (call->routed != NULL && call->req.status != 0) {
        cp_route_count(call->routed, call->req.status, call->worked_us);
    }

    if (http->app->conf.access_log && call->req.status != 0) {
        cp_access_log(call, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    }

    if (call->response != NULL) {
        MHD_destroy_response(call->response);
        call->response = NULL;
    }

    cp_call_release(call);
}


/* Paths and arguments are decoded by cp_route.c, after they were split. */

static size_t
cp_http_unescape(void *cls, struct MHD_Connection *conn, char *s)
{
    (void) cls;
    (void) conn;

    return strlen(s);
}


static void
cp_http_mhd_log(void *cls, const char *fmt, va_list args)
{
    int   n;
    char  text[512];

    (void) cls;

    n = vsnprintf(text, sizeof(text), fmt, args);

    if (n > 0) {
        text[strcspn(text, "\n")] = '\0';
        cp_log(CP_LOG_DEBUG, "mhd", "%s", text);
    }
}


static struct MHD_Daemon *
cp_http_daemon(cp_http_t *http, bool v6, const char *certificate,
    const char *key)
{
    unsigned          flags, n;
    const cp_conf_t  *conf = &http->app->conf;

    struct MHD_OptionItem  tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) (uintptr_t) certificate },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) key },
        { MHD_OPTION_END, 0, NULL }
    };

    flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME
            | MHD_USE_ITC | MHD_USE_ERROR_LOG | (v6 ? MHD_USE_IPv6 : 0)
            | ((certificate != NULL) ? MHD_USE_TLS : 0);

    if (certificate == NULL) {
        tls[0].option = MHD_OPTION_END;
    }

    n = (unsigned) conf->io_threads;

    return MHD_start_daemon(flags, 0, NULL, NULL, cp_http_access, http,
               MHD_OPTION_EXTERNAL_LOGGER, cp_http_mhd_log, NULL,
               MHD_OPTION_LISTEN_SOCKET, http->listen_fd,
               MHD_OPTION_CONNECTION_LIMIT, (unsigned) conf->connections,
               MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CP_HTTP_MEMORY,
               MHD_OPTION_CONNECTION_TIMEOUT,
               (unsigned) conf->idle_timeout_s,
               MHD_OPTION_NOTIFY_COMPLETED, cp_http_completed, http,
               MHD_OPTION_NOTIFY_CONNECTION, cp_guard_notice, http,
               MHD_OPTION_UNESCAPE_CALLBACK, cp_http_unescape, NULL,
               MHD_OPTION_THREAD_POOL_SIZE, (n > 1) ? n : 0u,
               MHD_OPTION_ARRAY, tls,
               MHD_OPTION_END);
}


static char *
cp_http_file(const char *path, cp_err_t *err)
{
    FILE    *f;
    char    *text;
    size_t   n;

    f = fopen(path, "re");
    if (f == NULL) {
        (void) cp_err_set(err, "validation", "cannot open \"%s\": %m", path);
        return NULL;
    }

    text = calloc(1, 65536);
    n = (text != NULL) ? fread(text, 1, 65535, f) : 0;
    (void) fclose(f);

    if (n == 0) {
        (void) cp_err_set(err, "validation", "\"%s\" is empty", path);
        free(text);
        return NULL;
    }

    return text;
}


static cp_rc_t
cp_http_start(cp_http_t *http, cp_err_t *err)
{
    bool              v6;
    char             *certificate, *key;
    cp_rc_t           rc;
    const cp_conf_t  *conf = &http->app->conf;

    certificate = NULL;
    key = NULL;

    rc = cp_listen(conf->listen, &http->listen_fd, &v6, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (conf->tls_certificate[0] != '\0') {

        certificate = cp_http_file(conf->tls_certificate, err);
        key = (certificate != NULL) ? cp_http_file(conf->tls_key, err) : NULL;

        if (key == NULL) {
            free(certificate);
            return CP_ERROR;
        }
    }

    http->daemon = cp_http_daemon(http, v6, certificate, key);

    if (key != NULL) {
        OPENSSL_cleanse(key, strlen(key));
    }

    free(certificate);
    free(key);

    return (http->daemon != NULL)
           ? CP_OK : cp_err_set(err, "internal", "the HTTP server did not "
                                "start (bad TLS files, or out of resources)");
}


cp_http_t *
cp_http_create(cp_app_t *app, const cp_site_t *site, cp_err_t *err)
{
    char        name[160];
    cp_http_t  *http;

    http = calloc(1, sizeof(cp_http_t));
    if (http == NULL) {
        (void) cp_err_set(err, "internal", "out of memory");
        return NULL;
    }

    http->app = app;
    http->site = site;
    http->listen_fd = -1;
    http->m_parked = cp_metric(CP_METRIC_GAUGE,
                               "stoa_control_http_parked", "",
                               "Requests that wait for a change.");
    http->m_calls = cp_metric(CP_METRIC_GAUGE, "stoa_control_http_now",
                              "", "Requests being read, handled or "
                              "answered, the waiting ones included.");
    http->m_wakes = cp_metric(CP_METRIC_COUNTER,
                              "stoa_control_http_wakes_total", "",
                              "Times all waiting requests were woken.");
    http->m_slow = cp_metric(CP_METRIC_COUNTER,
                             "stoa_control_http_slow_total", "",
                             "Connections closed because a request did not "
                             "arrive in time.");
    http->m_limited = cp_metric(CP_METRIC_COUNTER,
                                "stoa_control_http_limited_total", "",
                                "Requests refused by rate_caller or "
                                "rate_address.");
    http->limit = cp_rate_create(&app->conf);
    (void) pthread_mutex_init(&http->guard_mutex, NULL);
    app->http = http;

    if (http->limit == NULL || cp_routes_compile(http) != CP_OK
        || cp_workers_start(http, (unsigned) app->conf.worker_threads)
           != CP_OK
        || cp_park_start(http) != CP_OK)
    {
        (void) cp_err_set(err, "internal", "cannot start threads");
        return NULL;
    }

    if (cp_http_start(http, err) != CP_OK) {
        return NULL;
    }

    cp_listen_name(http->listen_fd, name, sizeof(name));
    cp_log(CP_LOG_INFO, "http", "listening address:%s", name);

    return http;
}


/* What is whole gets its answer; what is still on its way has a second: its
 * sender may be long gone, and nothing was done for it. */

static void
cp_http_drain(cp_http_t *http, int64_t timeout_ms)
{
    int64_t          now, start, calls;
    struct timespec  ts = { 0, 5000000 };

    start = cp_time_mono_ms();

    for ( ;; ) {

        now = cp_time_mono_ms() - start;
        calls = atomic_load(&http->calls);

        if (now >= CP_HTTP_READ_MS) {
            calls -= atomic_load(&http->reading);
        }

        if (calls <= 0) {
            return;
        }

        if (now >= timeout_ms) {
            break;
        }

        (void) nanosleep(&ts, NULL);
    }

    cp_log(CP_LOG_WARN, "http", "requests cut off n:%lld", (long long) calls);
}


void
cp_http_stop(cp_http_t *http, int64_t timeout_ms)
{
    MHD_socket  fd;

    fd = MHD_quiesce_daemon(http->daemon);

    if (fd != MHD_INVALID_SOCKET) {
        (void) close(fd);
    }

    cp_park_stop(http);
    cp_http_drain(http, timeout_ms);

    /* every suspended connection is resumed by the end of this */

    cp_workers_stop(http);

    MHD_stop_daemon(http->daemon);
}


void
cp_http_destroy(cp_http_t *http)
{
    cp_routes_free(http);
    cp_rate_destroy(http->limit);
    free(http);
}
