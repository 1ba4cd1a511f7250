/*
 * HTTP for the threads: libcurl's multi interface with one transfer, because
 * waiting in it can be ended from another thread.
 */

#include "ngx_http_stoa_sync.h"


static ngx_uint_t ngx_http_stoa_client_near(ngx_str_t *url);
static void ngx_http_stoa_client_prepare(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c, ngx_http_stoa_exchange_t *x, const char *url);
static ngx_int_t ngx_http_stoa_client_drive(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c, ngx_http_stoa_exchange_t *x, CURLcode *code);


ngx_int_t
ngx_http_stoa_client_init(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c)
{
    char                        auth[STOA_KEY_MAX + 64];
    struct curl_slist          *list;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = agent->mcf;

    c->multi = curl_multi_init();
    c->easy = curl_easy_init();

    (void) snprintf(auth, sizeof(auth), "Authorization: Bearer %.*s",
                    (int) mcf->token.len, mcf->token.data);

    c->headers = curl_slist_append(NULL, auth);
    ngx_explicit_memzero(auth, sizeof(auth));

    list = curl_slist_append(c->headers, "Content-Type: application/json");
    list = list ? curl_slist_append(c->headers, "Expect:") : NULL;
    /* `requires` of a record is judged */
    list = list ? curl_slist_append(c->headers, "Stoa-Contract: 2") : NULL;

    if (c->multi == NULL || c->easy == NULL || list == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_stoa_client_free(ngx_http_stoa_client_t *c)
{
    struct curl_slist  *h;

    if (c->easy) {
        curl_easy_cleanup(c->easy);
    }

    if (c->multi) {
        (void) curl_multi_cleanup(c->multi);
    }

    for (h = c->headers; h; h = h->next) {
        ngx_explicit_memzero(h->data, strlen(h->data));
    }

    curl_slist_free_all(c->headers);

    ngx_memzero(c, sizeof(ngx_http_stoa_client_t));
}


ngx_int_t
ngx_http_stoa_client_do(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c, ngx_http_stoa_exchange_t *x)
{
    char                        url[1024];
    CURLcode                    code;
    ngx_int_t                   rc;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = agent->mcf;

    (void) snprintf(url, sizeof(url), "%.*s%s",
                    (int) mcf->control_plane.len, mcf->control_plane.data,
                    x->path);

    c->error[0] = '\0';
    x->status = 0;

    ngx_http_stoa_client_prepare(agent, c, x, url);

    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK) {
        (void) strcpy(c->error, "cannot start a transfer");
        return NGX_ERROR;
    }

    code = CURLE_OK;
    rc = ngx_http_stoa_client_drive(agent, c, x, &code);

    (void) curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &x->status);
    (void) curl_multi_remove_handle(c->multi, c->easy);

    if (rc == NGX_OK && code != CURLE_OK) {
        if (c->error[0] == '\0') {
            (void) snprintf(c->error, sizeof(c->error), "%s",
                            curl_easy_strerror(code));
        }

        return NGX_ERROR;
    }

    return rc;
}


/* On this machine: what gzip takes is not got back. */

static ngx_uint_t
ngx_http_stoa_client_near(ngx_str_t *url)
{
    size_t       n;
    u_char      *p, *last;
    ngx_uint_t   i;

    static const char  *hosts[] = { "127.0.0.1", "localhost", "[::1]", NULL };

    last = url->data + url->len;
    p = ngx_strlchr(url->data, last, '/');

    if (p == NULL || last - p < 2) {
        return 0;
    }

    p += 2;

    for (i = 0; hosts[i]; i++) {
        n = ngx_strlen(hosts[i]);

        if ((size_t) (last - p) >= n && ngx_memcmp(p, hosts[i], n) == 0
            && (p + n == last || p[n] == ':' || p[n] == '/'))
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_stoa_client_prepare(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c, ngx_http_stoa_exchange_t *x, const char *url)
{
    struct curl_blob            ca;
    CURL                       *e;
    ngx_http_stoa_main_conf_t  *mcf;

    e = c->easy;
    mcf = agent->mcf;

    /* keeps connections, sessions and names */

    curl_easy_reset(e);

    (void) curl_easy_setopt(e, CURLOPT_URL, url);
    (void) curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    (void) curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
    (void) curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
    (void) curl_easy_setopt(e, CURLOPT_USERAGENT,
                            "stoa-gateway/" NGX_HTTP_STOA_VERSION);

    if (!ngx_http_stoa_client_near(&mcf->control_plane)) {
        (void) curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip");
    }

    (void) curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                            (long) NGX_HTTP_STOA_CONNECT_MS);
    (void) curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    (void) curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, x->sink);
    (void) curl_easy_setopt(e, CURLOPT_WRITEDATA, x->ctx);
    (void) curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long) x->deadline_ms);

    if (x->stall_s) {
        (void) curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void) curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long) x->stall_s);
    }

    if (mcf->control_ca.len) {
        ca.data = mcf->control_ca.data;
        ca.len = mcf->control_ca.len;
        ca.flags = CURL_BLOB_NOCOPY;
        (void) curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &ca);
    }

    if (x->body) {
        (void) curl_easy_setopt(e, CURLOPT_POST, 1L);
        (void) curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
                                (curl_off_t) x->body_len);
        (void) curl_easy_setopt(e, CURLOPT_POSTFIELDS, x->body);
    }
}


static ngx_int_t
ngx_http_stoa_client_drive(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c, ngx_http_stoa_exchange_t *x, CURLcode *code)
{
    int       running, left;
    CURLMsg  *msg;

    for ( ;; ) {

        if (curl_multi_perform(c->multi, &running) != CURLM_OK) {
            (void) strcpy(c->error, "the transfer broke down");
            return NGX_ERROR;
        }

        if (running == 0) {
            break;
        }

        if (x->last ? !ngx_http_stoa_lease_owns(agent)
                    : ngx_http_stoa_lease_over(agent))
        {
            return NGX_ABORT;
        }

        if (x->cut && ngx_http_stoa_load(x->cut)) {
            return NGX_AGAIN;
        }

        if (curl_multi_poll(c->multi, NULL, 0, 500, NULL) != CURLM_OK) {
            (void) strcpy(c->error, "cannot wait for the transfer");
            return NGX_ERROR;
        }
    }

    while ((msg = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE) {
            *code = msg->data.result;
        }
    }

    return NGX_OK;
}


void
ngx_http_stoa_client_sleep(ngx_http_stoa_client_t *c, ngx_uint_t ms)
{
    (void) curl_multi_poll(c->multi, NULL, 0, (int) ms, NULL);
}


void
ngx_http_stoa_client_wake(ngx_http_stoa_client_t *c)
{
    if (c->multi) {
        (void) curl_multi_wakeup(c->multi);
    }
}
