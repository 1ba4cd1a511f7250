/*
 * HTTP by libcurl: one handle for the run, so that polling keeps its
 * connection.  No redirects are followed: the token goes to --url alone.
 */

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "stoactl.h"


static CURL  *ctl_curl;


void
ctl_http_cleanup(void)
{
    if (ctl_curl != NULL) {
        curl_easy_cleanup(ctl_curl);
        curl_global_cleanup();
        ctl_curl = NULL;
    }
}


static size_t
ctl_http_body(char *data, size_t size, size_t n, void *ctx)
{
    stoa_buf_t  *b = ctx;

    stoa_buf_add(b, data, size * n);

    return (b->rc == STOA_OK) ? size * n : 0;
}


const char *
ctl_escape(ctl_t *c, const char *s)
{
    char        *d;
    size_t       i, n, len;

    static const char  hex[] = "0123456789ABCDEF";

    len = strlen(s);
    d = cp_arena_alloc(c->arena, 3 * len + 1);

    for (i = 0, n = 0; d != NULL && i < len; i++) {

        if ((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z')
            || (s[i] >= 'A' && s[i] <= 'Z') || strchr("-._~", s[i]) != NULL)
        {
            d[n++] = s[i];
            continue;
        }

        d[n++] = '%';
        d[n++] = hex[(unsigned char) s[i] >> 4];
        d[n++] = hex[(unsigned char) s[i] & 15];
    }

    return (d != NULL) ? d : "";
}


void
ctl_query(ctl_t *c, const char **path, const char *name, const char *value)
{
    if (value != NULL && *path != NULL) {
        *path = cp_arena_printf(c->arena, "%s%c%s=%s", *path,
                                strchr(*path, '?') != NULL ? '&' : '?', name,
                                ctl_escape(c, value));
    }
}


static struct curl_slist *
ctl_http_headers(ctl_t *c, const ctl_call_t *call)
{
    unsigned            i, n;
    const char         *lines[9];
    struct curl_slist  *list, *next;

    n = 0;

    if (c->token != NULL && !call->foreign) {
        lines[n++] = cp_arena_printf(c->arena, "Authorization: Bearer %s",
                                     c->token);
    }

    lines[n++] = "Stoa-Client: stoactl";

    if (c->token == NULL && c->session != NULL && !call->foreign) {
        lines[n++] = cp_arena_printf(c->arena, "Cookie: %s", c->session);
    }

    lines[n++] = cp_arena_printf(c->arena, "Accept: %s",
                                 call->accept != NULL ? call->accept
                                                      : "application/json");
    lines[n++] = "Expect:";

    if (call->body != NULL) {
        lines[n++] = cp_arena_printf(c->arena, "Content-Type: %s",
                                     call->type != NULL ? call->type
                                                        : "application/json");
    }

    if (call->idempotency != NULL) {
        lines[n++] = cp_arena_printf(c->arena, "Idempotency-Key: %s",
                                     call->idempotency);
    }

    if (call->passphrase != NULL) {
        lines[n++] = cp_arena_printf(c->arena, "Stoa-Passphrase: %s",
                                     call->passphrase);
    }

    for (i = 0, list = NULL; i < n; i++) {
        next = (lines[i] != NULL) ? curl_slist_append(list, lines[i]) : NULL;

        if (next == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }

        list = next;
    }

    return list;
}


static void
ctl_http_setup(ctl_t *c, const ctl_call_t *call, const char *url,
    struct curl_slist *headers, stoa_buf_t *b)
{
    CURL  *h;

    h = ctl_curl;
    curl_easy_reset(h);

    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "stoactl/" CP_VERSION);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS,
                     (long) (c->timeout_ms + call->extra_ms));
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, ctl_http_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, b);

    if (ctl_env("no_proxy") == NULL && ctl_env("NO_PROXY") == NULL) {
        curl_easy_setopt(h, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
    }

    if (call->body != NULL) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t) call->len);

    } else if (strcmp(call->method, "POST") == 0) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE, 0L);
    }
}


static ctl_exit_e
ctl_http_send(ctl_t *c, const ctl_call_t *call, ctl_answer_t *answer,
    stoa_buf_t *b)
{
    size_t              len;
    CURLcode            rc;
    const char         *url;
    struct curl_slist  *headers;

    len = strlen(c->url);

    while (len > 0 && c->url[len - 1] == '/') {
        len--;
    }

    url = call->foreign ? call->path
          : cp_arena_printf(c->arena, "%.*s%s", (int) len, c->url,
                            call->path);
    headers = ctl_http_headers(c, call);

    if (url == NULL || headers == NULL) {
        curl_slist_free_all(headers);
        return ctl_error("out of memory");
    }

    if (c->verbose) {
        fprintf(stderr, "> %s %s\n", call->method, url);
    }

    ctl_http_setup(c, call, url, headers, b);
    rc = curl_easy_perform(ctl_curl);
    curl_slist_free_all(headers);

    if (rc != CURLE_OK) {
        ctl_error("%s: %s", url,
                  b->rc == STOA_FULL ? "the answer is too large"
                                     : curl_easy_strerror(rc));
        return (rc == CURLE_OPERATION_TIMEDOUT) ? CTL_TIMEOUT : CTL_FAILED;
    }

    curl_easy_getinfo(ctl_curl, CURLINFO_RESPONSE_CODE, &answer->status);

    if (c->verbose) {
        fprintf(stderr, "< %ld, %zu bytes\n", answer->status, b->len);
    }

    return CTL_DONE;
}


static void
ctl_http_parse(ctl_t *c, ctl_answer_t *answer)
{
    char      *type;

    type = NULL;
    curl_easy_getinfo(ctl_curl, CURLINFO_CONTENT_TYPE, &type);

    if (type == NULL || strstr(type, "json") == NULL) {
        return;
    }

    if (cp_json_parse(c->arena, answer->text, answer->len, &answer->json,
                      NULL) != CP_OK)
    {
        answer->json = NULL;
    }
}


void
ctl_problem(ctl_t *c, const ctl_answer_t *answer)
{
    cp_json_t   *errors, *e;
    const char  *detail, *field;

    detail = NULL;

    if (answer->json != NULL && answer->json->type == CP_JSON_OBJECT) {
        detail = cp_json_str(answer->json, "detail");

        if (detail == NULL) {
            detail = cp_json_str(answer->json, "title");
        }
    }

    ctl_error("%ld: %s", answer->status,
              detail != NULL ? ctl_clean(c, detail)
                             : "no explanation from the server");

    errors = (detail != NULL) ? cp_json_get(answer->json, "errors") : NULL;

    for (e = (errors != NULL) ? errors->first : NULL; e != NULL; e = e->next) {

        if (e->type != CP_JSON_OBJECT) {
            continue;
        }

        field = ctl_clean(c, cp_json_str(e, "field"));

        fprintf(stderr, "  %s%s%s\n", field, *field != '\0' ? ": " : "",
                ctl_clean(c, cp_json_str(e, "message")));
    }
}


/* A server gives another id at a login, and when rights have changed.  Other
 * cookies are for browsers. */
static ctl_exit_e
ctl_http_session(ctl_t *c)
{
    bool                 had;
    size_t               i, len, name;
    struct curl_header  *h;

    for (i = 0; curl_easy_header(ctl_curl, "Set-Cookie", i, CURLH_HEADER, -1,
                                 &h) == CURLHE_OK; i++)
    {
        name = strcspn(h->value, "=;");
        len = strcspn(h->value, ";");

        if (len <= name + 1
            || (strncmp(h->value, "__Host-stoa=", name + 1) != 0
                && strncmp(h->value, "stoa-dev=", name + 1) != 0))
        {
            continue;
        }

        had = c->session != NULL;
        c->session = cp_arena_strndup(c->arena, h->value, len);

        return had ? ctl_config_session(c, c->session) : CTL_DONE;
    }

    return CTL_DONE;
}


ctl_exit_e
ctl_call(ctl_t *c, const ctl_call_t *call, ctl_answer_t *answer)
{
    stoa_buf_t  b;
    ctl_exit_e  rc;

    memset(answer, 0, sizeof(ctl_answer_t));

    if (ctl_curl == NULL) {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0
            || (ctl_curl = curl_easy_init()) == NULL)
        {
            return ctl_error("cannot set up libcurl");
        }
    }

    stoa_buf_init(&b, CTL_ANSWER_MAX);
    rc = ctl_http_send(c, call, answer, &b);

    if (rc == CTL_DONE) {
        answer->len = b.len;
        answer->text = cp_arena_strndup(c->arena, b.len > 0 ? b.data : "",
                                        b.len);
        if (answer->text == NULL) {
            rc = ctl_error("the answer is too large");
        }
    }

    stoa_buf_free(&b);

    if (rc != CTL_DONE) {
        return rc;
    }

    ctl_http_parse(c, answer);

    if (!call->foreign && ctl_http_session(c) != CTL_DONE) {
        return CTL_FAILED;
    }

    if (answer->status >= 200 && answer->status <= 299) {
        return CTL_DONE;
    }

    rc = (answer->status >= 400 && answer->status <= 499) ? CTL_REJECTED
                                                          : CTL_FAILED;
    if (!call->quiet || rc == CTL_FAILED) {
        ctl_problem(c, answer);
    }

    return rc;
}


static const char *
ctl_http_header(ctl_t *c, const char *name)
{
    struct curl_header  *h;

    return curl_easy_header(ctl_curl, name, 0, CURLH_HEADER, -1, &h)
           == CURLHE_OK ? ctl_clean(c, h->value) : NULL;
}


ctl_exit_e
ctl_write(ctl_t *c, ctl_call_t *call, ctl_answer_t *answer)
{
    int64_t      wait_ms;
    ctl_exit_e   rc;

    wait_ms = 0;

    if (ctl_opt(c, "no-wait") == NULL) {
        rc = ctl_opt_duration(c, "wait", CTL_WAIT_MS, &wait_ms);
        if (rc != CTL_DONE) {
            return rc;
        }
    }

    if (wait_ms > 0) {
        call->extra_ms = wait_ms;
        call->path = cp_arena_printf(c->arena, "%s%cwait=%lldms", call->path,
                                     strchr(call->path, '?') ? '&' : '?',
                                     (long long) wait_ms);
    }

    rc = ctl_call(c, call, answer);
    if (rc != CTL_DONE) {
        return rc;
    }

    answer->revision = ctl_http_header(c, "Stoa-Revision");
    answer->state = ctl_http_header(c, "Stoa-State");
    answer->gateways = ctl_http_header(c, "Stoa-Gateways");
    answer->away = ctl_http_header(c, "Stoa-Away");

    if (answer->revision != NULL && answer->json != NULL
        && answer->json->type == CP_JSON_OBJECT)
    {
        cp_json_put_int(c->arena, answer->json, "revision",
                        strtoll(answer->revision, NULL, 10));
    }

    return CTL_DONE;
}


ctl_exit_e
ctl_write_post(ctl_t *c, const char *path, const cp_json_t *body,
    ctl_answer_t *answer)
{
    char        key[STOA_ID_LEN + 1];
    ctl_exit_e  rc;
    ctl_call_t  call = { .method = "POST", .path = path };

    cp_id_make(key);
    call.idempotency = key;

    if (body != NULL) {
        call.body = cp_json_text(c->arena, body, &call.len);
    }

    rc = ctl_write(c, &call, answer);

    if (rc == CTL_DONE && answer->json == NULL) {
        ctl_error("%s%s: the answer is no JSON; is this the control plane?",
                  c->url, path);
        rc = CTL_FAILED;
    }

    return rc;
}


/* For whom is not told their names. */

void
ctl_put_away(int64_t n)
{
    if (n > 0) {
        fprintf(stderr, "  %lld gateway%s stale or offline, not waited for\n",
                (long long) n, (n == 1) ? " is" : "s are");
    }
}


ctl_exit_e
ctl_written(ctl_t *c, const ctl_answer_t *answer)
{
    size_t       n;
    const char  *p, *eq;

    if (c->out == CTL_OUT_TABLE && answer->revision != NULL) {
        printf("revision %s\n", answer->revision);
    }

    /* those that are not online are not waited for, and go on as they were */

    for (p = answer->gateways; p != NULL && *p != '\0'; p += n) {
        p += strspn(p, ", ");
        n = strcspn(p, ",");
        eq = memchr(p, '=', n);

        if (eq != NULL && strncmp(eq, "=acked", 6) != 0) {
            fprintf(stderr, "  gateway %.*s: %.*s\n", (int) (eq - p), p,
                    (int) (n - (size_t) (eq + 1 - p)), eq + 1);
        }
    }

    if (answer->gateways == NULL && answer->away != NULL) {
        ctl_put_away(strtoll(answer->away, NULL, 10));
    }

    if (answer->state == NULL || strcmp(answer->state, "acked") == 0) {
        return CTL_DONE;
    }

    if (strcmp(answer->state, "rejected") == 0) {
        ctl_error("done, but a gateway refuses it");
        return CTL_UNSERVED;
    }

    ctl_error("done, but not all online gateways have it yet");

    return CTL_TIMEOUT;
}


static ctl_exit_e
ctl_call_json(ctl_t *c, const ctl_call_t *call, cp_json_t **json)
{
    ctl_exit_e    rc;
    ctl_answer_t  answer;

    rc = ctl_call(c, call, &answer);

    if (rc == CTL_DONE && answer.json == NULL && answer.status != 204) {
        ctl_error("%s%s: the answer is no JSON; is this the control plane?",
                  c->url, call->path);
        rc = CTL_FAILED;
    }

    *json = answer.json;

    return rc;
}


ctl_exit_e
ctl_get(ctl_t *c, const char *path, cp_json_t **json)
{
    ctl_call_t  call = { .method = "GET", .path = path };

    return ctl_call_json(c, &call, json);
}


ctl_exit_e
ctl_post(ctl_t *c, const char *path, const cp_json_t *body, cp_json_t **json)
{
    char        key[STOA_ID_LEN + 1];
    ctl_call_t  call = { .method = "POST", .path = path };

    cp_id_make(key);
    call.idempotency = key;

    if (body != NULL) {
        call.body = cp_json_text(c->arena, body, &call.len);

        if (call.body == NULL) {
            return ctl_error("out of memory");
        }
    }

    return ctl_call_json(c, &call, json);
}


ctl_exit_e
ctl_list(ctl_t *c, const char *path, unsigned max, cp_json_t **items)
{
    unsigned     limit;
    cp_json_t   *page, *rows, *row, *next;
    ctl_exit_e   rc;
    const char  *cursor, *url;

    *items = cp_json_array(c->arena);
    cursor = NULL;

    do {
        limit = max - (*items)->n;
        limit = (limit < CTL_PAGE) ? limit : CTL_PAGE;
        url = cp_arena_printf(c->arena, "%s%climit=%u%s%s", path,
                              strchr(path, '?') != NULL ? '&' : '?', limit,
                              cursor != NULL ? "&cursor=" : "",
                              cursor != NULL ? ctl_escape(c, cursor) : "");
        rc = (url != NULL) ? ctl_get(c, url, &page) : CTL_FAILED;

        if (rc != CTL_DONE) {
            return rc;
        }

        rows = cp_json_get(page, "items");

        if (rows == NULL || rows->type != CP_JSON_ARRAY) {
            return ctl_error("%s: the answer is no list", path);
        }

        for (row = rows->first; row != NULL; row = next) {
            next = row->next;
            row->next = NULL;
            cp_json_push(*items, row);
        }

        cursor = cp_json_str(page, "next");

    } while (cursor != NULL && rows->n > 0 && (*items)->n < max);

    if (cursor != NULL && max == CTL_ITEMS_MAX) {
        ctl_error("only the first %u rows are shown", (*items)->n);
    }

    return CTL_DONE;
}


ctl_exit_e
ctl_tenant(ctl_t *c, const char **tenant)
{
    cp_json_t   *me, *t;
    ctl_exit_e   rc;

    if (c->tenant == NULL) {
        rc = ctl_get(c, "/v1/whoami", &me);

        if (rc != CTL_DONE) {
            return rc;
        }

        t = cp_json_get(me, "tenant");

        if (t != NULL && t->type == CP_JSON_OBJECT) {
            c->tenant = cp_json_str(t, "name");

        } else {
            c->tenant = cp_json_str(me, "tenant");
        }
    }

    if (c->tenant == NULL) {
        return ctl_error("which tenant? use --tenant or STOA_TENANT");
    }

    *tenant = c->tenant;

    return CTL_DONE;
}


ctl_exit_e
ctl_path(ctl_t *c, const ctl_kind_t *kind, const char *parent,
    const char *name, const char **path)
{
    size_t       len;
    stoa_buf_t   b;
    ctl_exit_e   rc;
    const char  *p, *value;

    rc = CTL_DONE;
    stoa_buf_init(&b, 8192);

    for (p = kind->path; *p != '\0' && rc == CTL_DONE; p += len) {
        len = strcspn(p, "{");
        stoa_buf_add(&b, p, len);

        if (p[len] == '\0') {
            continue;
        }

        p += len + 1;
        len = strcspn(p, "}");
        value = parent;

        if (len == 6 && memcmp(p, "tenant", 6) == 0) {
            rc = ctl_tenant(c, &value);

        } else if (value == NULL) {
            rc = ctl_error("which %.*s? use --%.*s", (int) len, p,
                           (int) len, p);
        }

        if (rc == CTL_DONE) {
            stoa_buf_addz(&b, ctl_escape(c, value));
        }

        len++;
    }

    if (rc == CTL_DONE && name != NULL) {
        stoa_buf_addf(&b, "/%s", ctl_escape(c, name));
    }

    if (rc == CTL_DONE) {
        *path = (b.rc == STOA_OK) ? cp_arena_strdup(c->arena, b.data) : NULL;

        if (*path == NULL) {
            rc = ctl_error("the name is too long");
        }
    }

    stoa_buf_free(&b);

    return rc;
}
