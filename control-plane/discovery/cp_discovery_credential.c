/*
 * What an api's upstream is shown by discovery: the same as by the gateways,
 * by the same policy (core/stoa_policy_credential.h).  A token is fetched for
 * each reading.
 */

#include <ctype.h>
#include <string.h>

#include <openssl/evp.h>

#include "discovery/cp_discovery.h"
#include "kinds/cp_policy.h"
#include "kinds/cp_secret.h"


#define CP_CREDENTIAL_BYTES  32768         /* of an answer                  */
#define CP_CREDENTIAL_TOKEN  8192


static const char *
cp_credential_basic(cp_arena_t *a, const char *name, const char *word)
{
    int    n;
    char  *pair, *text;

    pair = cp_arena_printf(a, "%s:%s", name, word);
    text = (pair != NULL) ? cp_arena_alloc(a, strlen(pair) * 2 + 8) : NULL;

    if (text == NULL) {
        return NULL;
    }

    n = EVP_EncodeBlock((unsigned char *) text, (unsigned char *) pair,
                        (int) strlen(pair));
    text[n] = '\0';

    return cp_arena_printf(a, "Basic %s", text);
}


/* As forms want it. */

static void
cp_credential_escape(stoa_buf_t *b, const char *s)
{
    for ( /* void */ ; *s != '\0'; s++) {
        if (isalnum((unsigned char) *s) || strchr("-._~", *s) != NULL) {
            stoa_buf_add(b, s, 1);

        } else {
            stoa_buf_addf(b, "%%%02X", (unsigned) (unsigned char) *s);
        }
    }
}


static const char *
cp_credential_escaped(cp_arena_t *a, const char *s)
{
    char        *text;
    stoa_buf_t   b;

    stoa_buf_init(&b, CP_CREDENTIAL_BYTES);
    cp_credential_escape(&b, s);
    text = (b.rc == STOA_OK) ? cp_arena_strndup(a, b.data, b.len) : NULL;
    stoa_buf_free(&b);

    return text;
}


static void
cp_credential_form(stoa_buf_t *b, const cp_json_t *config, bool post)
{
    size_t       i;
    const char  *value;

    static const char *const  names[] = { "scope", "audience", "resource",
                                          "client_id", "client_secret" };

    stoa_buf_addz(b, "grant_type=client_credentials");

    for (i = 0; i < (post ? 5 : 3); i++) {
        value = cp_json_str(config, names[i]);

        if (value != NULL && *value != '\0') {
            stoa_buf_addf(b, "&%s=", names[i]);
            cp_credential_escape(b, value);
        }
    }
}


static bool
cp_credential_data(void *ctx, const char *data, size_t len)
{
    stoa_buf_t  *b = ctx;

    stoa_buf_add(b, data, len);

    return b->rc == STOA_OK;
}


/* NULL, or why there is none; nothing of what came. */

static const char *
cp_credential_read(cp_arena_t *a, const stoa_buf_t *answer, const char **line)
{
    size_t       i;
    cp_json_t   *v;
    const char  *token, *type;

    if (answer->rc != STOA_OK || answer->len == 0
        || cp_json_parse(a, answer->data, answer->len, &v, NULL) != CP_OK
        || v->type != CP_JSON_OBJECT)
    {
        return "its answer is not JSON";
    }

    token = cp_json_str(v, "access_token");
    type = cp_json_str(v, "token_type");

    if (token == NULL || *token == '\0'
        || strlen(token) > CP_CREDENTIAL_TOKEN)
    {
        return "its answer has no access_token";
    }

    for (i = 0; token[i] != '\0'; i++) {
        if (token[i] < 0x21 || token[i] > 0x7e) {
            return "its access_token has other characters than it may";
        }
    }

    if (type == NULL || strcasecmp(type, "bearer") != 0) {
        return "its token_type is not Bearer";
    }

    *line = cp_arena_printf(a, "Authorization: Bearer %s", token);

    return (*line != NULL) ? NULL : "out of memory";
}


static const char *
cp_credential_fetch(cp_app_t *app, cp_arena_t *a, const cp_json_t *config,
    const char **line)
{
    bool             post;
    long             status;
    stoa_str_t       body;
    stoa_buf_t       form, answer;
    const char      *why, *auth;
    cp_client_t     *client;
    cp_client_to_t   to = { .url = cp_json_str(config, "token_url"),
                            .verify = true };

    auth = cp_json_str(config, "client_auth");
    post = auth != NULL && strcmp(auth, "post") == 0;

    stoa_buf_init(&form, CP_CREDENTIAL_BYTES);
    stoa_buf_init(&answer, CP_CREDENTIAL_BYTES);
    cp_credential_form(&form, config, post);

    client = cp_client_create(app, a, &to, cp_credential_data, NULL, &answer);
    why = "out of memory";

    if (client != NULL && form.rc == STOA_OK) {
        cp_client_header(client, "Accept", "application/json");
        cp_client_header(client, "Content-Type",
                         "application/x-www-form-urlencoded");
        cp_client_header(client, "Authorization", post ? NULL
                         : cp_credential_basic(a,
                               cp_credential_escaped(a, cp_json_str(config,
                                                            "client_id")),
                               cp_credential_escaped(a, cp_json_str(config,
                                                        "client_secret"))));
        body.data = form.data;
        body.len = form.len;
        why = cp_client_send(client, "POST", &body, CP_DISCOVERY_TIMEOUT_MS,
                             &status);

        if (why == NULL) {
            why = (status == 200)
                  ? cp_credential_read(a, &answer, line)
                  : cp_arena_printf(a, "HTTP status %ld", status);
        }
    }

    cp_client_destroy(client);
    stoa_buf_free(&answer);
    stoa_buf_free(&form);

    return why;
}


const char *
cp_discovery_show(cp_app_t *app, cp_arena_t *a, const cp_json_t *config,
    const char **line)
{
    const char  *name, *kind, *why;

    *line = NULL;

    if (config == NULL) {
        return NULL;
    }

    kind = cp_json_str(config, "kind");

    if (strcmp(kind, "client_credentials") == 0) {
        why = cp_credential_fetch(app, a, config, line);

        return (why != NULL)
               ? cp_arena_printf(a, "no token for the upstream: %s", why)
               : NULL;
    }

    if (strcmp(kind, "token_exchange") == 0) {
        return NULL;                       /* there is nobody's to exchange */
    }

    name = cp_json_str(config, "header");

    *line = cp_arena_printf(a, "%s: %s", name != NULL ? name : "Authorization",
                            strcmp(kind, "basic") == 0
                            ? cp_credential_basic(a,
                                          cp_json_str(config, "username"),
                                          cp_json_str(config, "password"))
                            : cp_json_str(config, "value"));

    return (*line != NULL) ? NULL : "out of memory";
}


cp_rc_t
cp_discovery_shown(cp_tx_t *tx, cp_arena_t *a, const char *api,
    const char *tenant, cp_discovery_shown_t *shown, cp_err_t *err)
{
    cp_rc_t           rc;
    unsigned          i, n;
    cp_json_t        *config;
    cp_place_of_t     at = { .tenant = tenant, .api = api };
    cp_secret_of_t    of = { tx, a, tenant, err };
    cp_policy_use_t  *u;

    memset(shown, 0, sizeof(cp_discovery_shown_t));

    rc = cp_policy_uses(tx, a, &at, &u, &n, err);

    for (i = 0; rc == CP_OK && i < n; i++) {
        if (!(u[i].type->flags & STOA_POLICY_SHOWN)
            || u[i].scope != STOA_SCOPE_API
            || strcmp(cp_json_str(u[i].row, "state"), "enabled") != 0)
        {
            continue;
        }

        config = cp_json_copy(a, cp_json_get(u[i].row, "config"));
        rc = (config != NULL)
             ? cp_secret_fill(&of, u[i].type->config, config) : CP_ERROR;

        if (strcmp(u[i].type->name, "upstream-certificate") == 0) {
            shown->certificate = config;

        } else {
            shown->credential = config;
        }
    }

    return rc;
}
