/*
 * Why a call would be refused, without making it.  A key stays here: its
 * digest says whose it is.
 */

#include <ctype.h>
#include <string.h>

#include "core/stoa_key.h"
#include "stoactl.h"


const ctl_opt_t  ctl_opts_why[] = {
    { "credential", 0, "ID", NULL, "of the key that the call has", false },
    { "key-file", 0, "FILE", NULL,
      "the key itself, which is not sent; - is the standard input", false },
    { "header", 'H', "HEADER", NULL, "\"Name: value\"; several may be given",
      true },
    { "data", 'd', "TEXT", NULL, "the body; @FILE reads it", false },
    { "from", 0, "ADDRESS", NULL,
      "of the client (default 127.0.0.1); for the tenant's own apis", false },
    { "group", 0, "GROUP", NULL, "asks this gateway group", false },
    { NULL, 0, NULL, NULL, NULL, false }
};


/* Whose key that is, as the server makes ids; and its digest. */
static ctl_exit_e
ctl_why_key(ctl_t *c, const char *path, cp_json_t *ask)
{
    char         id[STOA_ID_LEN + 1];
    size_t       len;
    uint8_t      sum[32];
    stoa_key_t   key;
    const char  *text;
    ctl_exit_e   rc;

    rc = ctl_file_read(c, path, &text, &len);
    if (rc != CTL_DONE) {
        return rc;
    }

    while (len && isspace((unsigned char) text[len - 1])) {
        len--;
    }

    cp_sha256(text, len, sum);
    memset(id, 0, sizeof(id));

    if (stoa_key_parse(text, len, &key) == STOA_OK) {
        memcpy(id, key.id.data, STOA_ID_LEN);

    } else if (stoa_key_foreign(text, len)) {
        stoa_id_unpack(sum, id);

    } else {
        return ctl_error("%s: that is no key: its form or its checksum is"
                         " wrong, and every gateway refuses it", path);
    }

    cp_json_put(c->arena, ask, "credential", id);
    cp_json_put(c->arena, ask, "digest", cp_hex(c->arena, sum, sizeof(sum)));

    return CTL_DONE;
}


/* "Name: value" among the arguments, wherever it was said. */
static ctl_exit_e
ctl_why_headers(ctl_t *c, cp_json_t *ask, const char **method,
    const char **url)
{
    unsigned     i;
    cp_json_t   *headers;
    const char  *colon, *value, *name;

    headers = cp_json_object(c->arena);

    for (i = 0; i < c->narg; i++) {
        colon = strchr(c->arg[i], ':');

        if (colon == NULL || c->arg[i][0] == '/'
            || strncmp(colon, "://", 3) == 0)
        {
            if (*method == NULL) {
                *method = c->arg[i];

            } else if (*url == NULL) {
                *url = c->arg[i];

            } else {
                return ctl_error("\"%s\": a header is \"Name: value\"",
                                 c->arg[i]);
            }

            continue;
        }

        value = colon + 1 + strspn(colon + 1, " ");
        name = cp_arena_printf(c->arena, "%.*s", (int) (colon - c->arg[i]),
                               c->arg[i]);

        if (cp_json_get(headers, name)) {
            return ctl_error("the header \"%s\" is there twice", name);
        }

        cp_json_put(c->arena, headers, name, value);
    }

    if (headers->n) {
        cp_json_set(c->arena, ask, "headers", headers);
    }

    return *url ? CTL_DONE : ctl_error("needs METHOD and URL");
}


static ctl_exit_e
ctl_why_ask(ctl_t *c, cp_json_t *ask)
{
    size_t       len;
    ctl_exit_e   rc;
    const char  *data, *file, *method, *url;

    method = NULL;
    url = NULL;
    rc = ctl_why_headers(c, ask, &method, &url);

    if (rc != CTL_DONE) {
        return rc;
    }

    cp_json_put(c->arena, ask, "method", method);
    cp_json_put(c->arena, ask, "url", url);

    data = ctl_opt(c, "data");

    if (data && *data == '@') {
        rc = ctl_file_read(c, data + 1, &data, &len);

        if (rc == CTL_DONE && strlen(data) != len) {
            rc = ctl_error("the body is no text");
        }
    }

    if (rc == CTL_DONE && data) {
        cp_json_put(c->arena, ask, "body", data);
    }

    if (ctl_opt(c, "from")) {
        cp_json_put(c->arena, ask, "address", ctl_opt(c, "from"));
    }

    if (ctl_opt(c, "group")) {
        cp_json_put(c->arena, ask, "gateway_group", ctl_opt(c, "group"));
    }

    file = ctl_opt(c, "key-file");

    if (rc == CTL_DONE && file && ctl_opt(c, "credential")) {
        return ctl_error("--credential and --key-file say the same");
    }

    if (ctl_opt(c, "credential")) {
        cp_json_put(c->arena, ask, "credential", ctl_opt(c, "credential"));
    }

    return rc == CTL_DONE && file ? ctl_why_key(c, file, ask) : rc;
}


ctl_exit_e
ctl_run_why(ctl_t *c)
{
    cp_json_t   *ask, *seen;
    ctl_exit_e   rc;
    const char  *tenant, *verdict;

    ask = cp_json_object(c->arena);
    rc = ctl_why_ask(c, ask);

    if (rc == CTL_DONE) {
        rc = ctl_tenant(c, &tenant);
    }

    if (rc == CTL_DONE) {
        rc = ctl_post(c, cp_arena_printf(c->arena, "/v1/tenants/%s/explain",
                                         ctl_escape(c, tenant)), ask, &seen);
    }

    if (rc == CTL_DONE) {
        rc = ctl_put_trace(c, seen, "step verdict type policy scope from of"
                           " left why");
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    verdict = cp_json_str(seen, "verdict");

    if (verdict == NULL || strcmp(verdict, "unknown") == 0) {
        return ctl_error("only the call itself can tell");
    }

    return strcmp(verdict, "refused") == 0 ? CTL_DIFFERENT : CTL_DONE;
}
