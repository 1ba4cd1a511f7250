/*
 * What an api's upstream is shown by discovery: the same as by the gateways,
 * by the same policy (core/stoa_policy_credential.h).
 */

#include <string.h>

#include <openssl/evp.h>

#include "discovery/cp_discovery.h"
#include "kinds/cp_policy.h"
#include "kinds/cp_secret.h"


static const char *
cp_discovery_basic(cp_arena_t *a, const cp_json_t *config)
{
    int          n;
    char        *pair, *text;
    const char  *name, *word;

    name = cp_json_str(config, "username");
    word = cp_json_str(config, "password");
    pair = cp_arena_printf(a, "%s:%s", name, word);
    text = (pair != NULL) ? cp_arena_alloc(a, strlen(pair) * 2 + 8) : NULL;

    if (text == NULL) {
        return NULL;
    }

    n = EVP_EncodeBlock((unsigned char *) text, (unsigned char *) pair,
                        (int) strlen(pair));
    text[n] = '\0';

    return cp_arena_printf(a, "Authorization: Basic %s", text);
}


static const char *
cp_discovery_line(cp_arena_t *a, const cp_json_t *config)
{
    const char  *name;

    if (strcmp(cp_json_str(config, "kind"), "basic") == 0) {
        return cp_discovery_basic(a, config);
    }

    name = cp_json_str(config, "header");

    return cp_arena_printf(a, "%s: %s", name != NULL ? name : "Authorization",
                           cp_json_str(config, "value"));
}


cp_rc_t
cp_discovery_credential(cp_tx_t *tx, cp_arena_t *a, const char *api,
    const char *tenant, const char **line, cp_err_t *err)
{
    cp_rc_t           rc;
    unsigned          i, n;
    cp_json_t        *config;
    cp_place_of_t     at = { .tenant = tenant, .api = api };
    cp_secret_of_t    of = { tx, a, tenant, err };
    cp_policy_use_t  *u;

    *line = NULL;

    rc = cp_policy_uses(tx, a, &at, &u, &n, err);

    for (i = 0; rc == CP_OK && i < n; i++) {
        if (strcmp(u[i].type->name, "upstream-credential") != 0
            || u[i].scope != STOA_SCOPE_API
            || strcmp(cp_json_str(u[i].row, "state"), "enabled") != 0)
        {
            continue;
        }

        config = cp_json_copy(a, cp_json_get(u[i].row, "config"));
        rc = (config != NULL)
             ? cp_secret_fill(&of, u[i].type->config, config) : CP_ERROR;

        if (rc == CP_OK) {
            *line = cp_discovery_line(a, config);
            rc = (*line != NULL) ? CP_OK : CP_ERROR;
        }
    }

    return rc;
}
