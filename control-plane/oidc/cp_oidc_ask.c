/*
 * Asking the provider.
 */

#include <string.h>

#include "oidc/cp_oidc.h"


const char  cp_oidc_too_long[] = "the answer is too long";


static bool
cp_oidc_on_data(void *ctx, const char *data, size_t len)
{
    stoa_buf_t  *b = ctx;

    stoa_buf_add(b, data, len);

    return b->rc == STOA_OK;
}


const char *
cp_oidc_ask_text(const cp_oidc_ask_t *ask, long *status, stoa_str_t *body)
{
    stoa_str_t       form;
    stoa_buf_t       b;
    const char      *error;
    cp_client_t     *client;
    cp_client_to_t   to = { .url = ask->url, .verify = true, .trusted = true };

    *status = 0;
    body->data = "";
    body->len = 0;
    stoa_buf_init(&b, ask->max);
    client = cp_client_create(ask->app, ask->arena, &to, cp_oidc_on_data,
                              NULL, &b);
    error = "out of memory";

    if (client) {
        form.data = ask->form ? ask->form : ask->json;
        form.len = form.data ? strlen(form.data) : 0;

        cp_client_header(client, "Accept", "application/json");
        cp_client_header(client, "Authorization", ask->authorization);

        if (form.data) {
            cp_client_header(client, "Content-Type", ask->form
                             ? "application/x-www-form-urlencoded"
                             : "application/json");
        }

        error = cp_client_send(client, ask->method ? ask->method
                               : form.data ? "POST" : "GET",
                               form.data ? &form : NULL, ask->timeout_ms,
                               status);

        if (b.rc != STOA_OK) {
            error = cp_oidc_too_long;
        }

        if (error == NULL && b.len) {
            body->data = cp_arena_strndup(ask->arena, b.data, b.len);
            body->len = b.len;
            error = body->data ? NULL : "out of memory";
        }
    }

    cp_client_destroy(client);
    stoa_buf_free(&b);

    return error;
}


const char *
cp_oidc_ask(const cp_oidc_ask_t *ask, long *status, cp_json_t **out)
{
    stoa_str_t   body;
    const char  *error;

    *out = NULL;
    error = cp_oidc_ask_text(ask, status, &body);

    if (error == NULL
        && (cp_json_parse(ask->arena, body.data, body.len, out, NULL) != CP_OK
            || ((*out)->type != CP_JSON_OBJECT
                && (*out)->type != CP_JSON_ARRAY)))
    {
        *out = NULL;
    }

    return error;
}


char *
cp_oidc_form(cp_arena_t *a, const char *const *pairs)
{
    char           *dst, *p;
    size_t          n;
    const char     *s;
    unsigned        i;
    const uint8_t   hex[] = "0123456789ABCDEF";

    for (n = 1, i = 0; pairs[i]; i += 2) {
        n += strlen(pairs[i]) + 2 + 3 * (pairs[i + 1] ? strlen(pairs[i + 1])
                                                      : 0);
    }

    dst = cp_arena_alloc(a, n);

    for (p = dst, i = 0; dst && pairs[i]; i += 2) {
        if (pairs[i + 1] == NULL) {
            continue;
        }

        p += sprintf(p, "%s%s=", p == dst ? "" : "&", pairs[i]);

        for (s = pairs[i + 1]; *s; s++) {
            if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')
                || (*s >= '0' && *s <= '9') || strchr("-._~", *s))
            {
                *p++ = *s;
                continue;
            }

            *p++ = '%';
            *p++ = (char) hex[(uint8_t) *s >> 4];
            *p++ = (char) hex[(uint8_t) *s & 15];
        }
    }

    return dst;
}
