/*
 * The client.
 */

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "client/cp_client.h"


struct cp_client_s {
    cp_app_t              *app;
    cp_arena_t            *arena;
    CURL                  *curl;
    CURLM                 *multi;          /* of one that has begun          */
    struct curl_slist     *connect_to;
    struct curl_slist     *headers;
    const char            *url;
    const cp_client_to_t  *to;
    cp_client_data_pt      data;
    cp_client_line_pt      line;
    void                  *ctx;
    bool                   failed;         /* a header found no memory      */
    bool                   enough;         /* the reader said so            */
    const char            *refused;        /* an address that was judged    */
};


void
cp_client_init(void)
{
    (void) curl_global_init(CURL_GLOBAL_DEFAULT);
}


/* Host and port of an absolute URL, as CURLOPT_CONNECT_TO wants them. */

static const char *
cp_client_authority(const char *url, size_t *len)
{
    const char  *p;

    p = strstr(url, "://");
    p = (p != NULL) ? p + 3 : url;
    *len = strcspn(p, "/?#");

    return p;
}


/* Its host alone; *port: behind the colon, "" none. */

static size_t
cp_client_host(const char *authority, size_t len, const char **port)
{
    size_t       n;
    const char  *end;

    end = (authority[0] == '[') ? memchr(authority, ']', len) : NULL;
    n = (end != NULL) ? (size_t) (end - authority) + 1
                      : strcspn(authority, ":/?#");
    n = (n < len) ? n : len;
    *port = (n < len && authority[n] == ':') ? authority + n + 1 : "";

    return n;
}


stoa_addr_class_e
cp_client_refused(const stoa_allow_t *allow, const char *url)
{
    size_t       len;
    uint8_t      addr[16];
    unsigned     family;
    const char  *host, *port;

    host = cp_client_authority(url, &len);
    len = cp_client_host(host, len, &port);

    if (!stoa_addr_literal(host, len, &family, addr)
        || stoa_allow_addr(allow, family, addr))
    {
        return STOA_ADDR_PUBLIC;
    }

    return stoa_addr_class(family, addr);
}


/* TLS names another host than the target's: the URL gets that name and the
 * connection goes to the target all the same. */

static bool
cp_client_rename(cp_client_t *c)
{
    int          n;
    char        *rule;
    size_t       len, host;
    const char  *authority, *port;

    authority = cp_client_authority(c->to->url, &len);
    host = cp_client_host(authority, len, &port);
    n = (*port != '\0') ? (int) (authority + len - port) : 3;
    port = (*port != '\0') ? port : "443";

    c->url = cp_arena_printf(c->arena, "https://%s:%.*s%s",
                             c->to->server_name, n, port, authority + len);
    rule = cp_arena_printf(c->arena, "::%.*s:%.*s", (int) host, authority, n,
                           port);

    if (c->url == NULL || rule == NULL) {
        return false;
    }

    c->connect_to = curl_slist_append(NULL, rule);

    return c->connect_to != NULL;
}


/* The last look at an address before it is used, and at no other: a name that
 * changes between the look and the use changes nothing. */

static curl_socket_t
cp_client_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *sa)
{
    char          text[INET6_ADDRSTRLEN];
    uint8_t       addr[16];
    unsigned      family;
    cp_client_t  *c = ctx;

    (void) purpose;

    if (c->to->trusted
        || stoa_allow_sockaddr(&c->app->conf.outbound_allow, &sa->addr))
    {
        return socket(sa->family, sa->socktype | SOCK_CLOEXEC, sa->protocol);
    }

    family = (sa->family == AF_INET6) ? 6 : 4;
    memcpy(addr, (family == 6)
                 ? (void *) &((struct sockaddr_in6 *) &sa->addr)->sin6_addr
                 : (void *) &((struct sockaddr_in *) &sa->addr)->sin_addr,
           (family == 6) ? 16 : 4);

    c->refused = cp_arena_printf(c->arena, "%s is %s address, which"
                     " outbound_allow does not list",
                     inet_ntop(sa->family, addr, text, sizeof(text)),
                     stoa_addr_class_name(stoa_addr_class(family, addr)));

    return CURL_SOCKET_BAD;
}


static size_t
cp_client_on_data(char *data, size_t size, size_t n, void *ctx)
{
    cp_client_t  *c = ctx;

    c->enough = !c->data(c->ctx, data, size * n);

    return c->enough ? 0 : size * n;
}


static size_t
cp_client_on_line(char *line, size_t size, size_t n, void *ctx)
{
    cp_client_t  *c = ctx;

    if (c->line != NULL) {
        c->line(c->ctx, line, size * n);
    }

    return size * n;
}


static int
cp_client_on_progress(void *ctx, curl_off_t dt, curl_off_t dn, curl_off_t ut,
    curl_off_t un)
{
    cp_client_t  *c = ctx;

    (void) dt;
    (void) dn;
    (void) ut;
    (void) un;

    return atomic_load(&c->app->stopping) ? 1 : 0;
}


cp_client_t *
cp_client_create(cp_app_t *app, cp_arena_t *a, const cp_client_to_t *to,
    cp_client_data_pt data, cp_client_line_pt line, void *ctx)
{
    cp_client_t  *c;

    c = cp_arena_alloc(a, sizeof(cp_client_t));

    if (c == NULL) {
        return NULL;
    }

    c->app = app;
    c->arena = a;
    c->to = to;
    c->url = to->url;
    c->data = data;
    c->line = line;
    c->ctx = ctx;

    if (to->server_name != NULL && strncasecmp(to->url, "https://", 8) == 0
        && !cp_client_rename(c))
    {
        return NULL;
    }

    c->curl = curl_easy_init();

    if (c->curl == NULL) {
        curl_slist_free_all(c->connect_to);
        return NULL;
    }

    return c;
}


void
cp_client_destroy(cp_client_t *c)
{
    if (c == NULL) {
        return;
    }

    if (c->multi != NULL) {
        (void) curl_multi_remove_handle(c->multi, c->curl);
        (void) curl_multi_cleanup(c->multi);
    }

    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->connect_to);
    curl_slist_free_all(c->headers);
}


static void
cp_client_add(cp_client_t *c, const char *line)
{
    struct curl_slist  *next;

    next = (line != NULL) ? curl_slist_append(c->headers, line) : NULL;

    if (next == NULL) {
        c->failed = true;
        return;
    }

    c->headers = next;
}


void
cp_client_header(cp_client_t *c, const char *name, const char *value)
{
    if (value != NULL && *value != '\0') {
        cp_client_add(c, cp_arena_printf(c->arena, "%s: %s", name, value));
    }
}


/* The host of the URL is only for TLS when it was renamed. */

static const char *
cp_client_name(cp_client_t *c)
{
    size_t       len;
    const char  *authority;

    if (c->to->host_header != NULL || c->connect_to == NULL) {
        return c->to->host_header;
    }

    authority = cp_client_authority(c->to->url, &len);

    return cp_arena_strndup(c->arena, authority, len);
}


static void
cp_client_setup(cp_client_t *c, const char *method, const stoa_str_t *body,
    int64_t timeout_ms)
{
    CURL              *h;
    const char        *ca;
    struct curl_blob   blob;

    h = c->curl;
    ca = c->app->conf.upstream_ca_file;
    curl_easy_reset(h);

    curl_easy_setopt(h, CURLOPT_URL, c->url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "stoa-control/" CP_VERSION);
    curl_easy_setopt(h, CURLOPT_CONNECT_TO, c->connect_to);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long) timeout_ms);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
                     (long) CP_CLIENT_CONNECT_MS);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, c->to->verify ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, c->to->verify ? 2L : 0L);

    if (ca[0] != '\0') {
        curl_easy_setopt(h, CURLOPT_CAINFO, ca);
    }

    if (c->to->certificate != NULL) {
        blob.data = (char *) (uintptr_t) c->to->certificate;
        blob.len = strlen(c->to->certificate);
        blob.flags = CURL_BLOB_NOCOPY;
        curl_easy_setopt(h, CURLOPT_SSLCERT_BLOB, &blob);
        curl_easy_setopt(h, CURLOPT_SSLKEY_BLOB, &blob);
    }

    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, cp_client_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, cp_client_on_data);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, cp_client_on_line);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, cp_client_on_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, c);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);

    if (body != NULL) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, (long) body->len);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, body->data);

    } else {
        curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
    }
}


static void
cp_client_lines(cp_client_t *c)
{
    c->enough = false;
    c->refused = NULL;

    cp_client_header(c, "Host", cp_client_name(c));
    cp_client_add(c, "Expect:");

    if (c->to->credential != NULL) {
        cp_client_add(c, c->to->credential);
    }
}


const char *
cp_client_send(cp_client_t *c, const char *method, const stoa_str_t *body,
    int64_t timeout_ms, long *status)
{
    CURLcode  rc;

    *status = 0;
    cp_client_lines(c);
    rc = CURLE_OPERATION_TIMEDOUT;

    if (c->failed) {
        rc = CURLE_OUT_OF_MEMORY;

    } else if (timeout_ms > 0) {
        cp_client_setup(c, method, body, timeout_ms);
        rc = curl_easy_perform(c->curl);
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, status);
    }

    curl_slist_free_all(c->headers);
    c->headers = NULL;
    c->failed = false;

    if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && c->enough)) {
        return NULL;
    }

    return (c->refused != NULL) ? c->refused : curl_easy_strerror(rc);
}


const char *
cp_client_begin(cp_client_t *c, const char *method, int64_t timeout_ms)
{
    cp_client_lines(c);
    c->multi = curl_multi_init();

    if (c->failed || c->multi == NULL) {
        return curl_easy_strerror(CURLE_OUT_OF_MEMORY);
    }

    cp_client_setup(c, method, NULL, timeout_ms);

    return (curl_multi_add_handle(c->multi, c->curl) == CURLM_OK)
           ? NULL : curl_easy_strerror(CURLE_FAILED_INIT);
}


const char *
cp_client_more(cp_client_t *c, int64_t wait_ms)
{
    int       n;
    CURLMsg  *msg;

    if (wait_ms <= 0) {
        return curl_easy_strerror(CURLE_OPERATION_TIMEDOUT);
    }

    (void) curl_multi_poll(c->multi, NULL, 0, (int) wait_ms, NULL);
    (void) curl_multi_perform(c->multi, &n);

    if (n > 0) {
        return NULL;
    }

    msg = curl_multi_info_read(c->multi, &n);

    return (c->refused != NULL) ? c->refused
           : (msg == NULL || msg->data.result == CURLE_OK)
           ? "the stream has ended" : curl_easy_strerror(msg->data.result);
}


const char *
cp_client_answer(cp_client_t *c, const char *name)
{
    struct curl_header  *h;

    return curl_easy_header(c->curl, name, 0, CURLH_HEADER, -1, &h)
           == CURLHE_OK ? h->value : NULL;
}
