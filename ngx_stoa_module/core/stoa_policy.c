/*
 * The registry of policy types, and what their schemas ask of texts.
 */

#include <stdio.h>
#include <string.h>

#define STOA_POLICY_TABLES

#include "stoa_guard.h"
#include "stoa_jose.h"
#include "stoa_jschema.h"
#include "stoa_policy.h"


static bool stoa_policy_value_valid(const char *s, size_t len);
static bool stoa_policy_scope_valid(const char *s, size_t len);
static bool stoa_policy_agent_valid(const char *s, size_t len);
static bool stoa_policy_media_valid(const char *s, size_t len);
static bool stoa_policy_guard_kind(const char *s, size_t len);
static bool stoa_policy_status_valid(const char *s, size_t len);
static bool stoa_policy_rate_by_valid(const char *s, size_t len);
static bool stoa_policy_component_valid(const char *s, size_t len);
static bool stoa_policy_key_valid(const char *s, size_t len);
static size_t stoa_policy_host(const char *s, size_t len);


#include "stoa_policy_agent.h"
#include "stoa_policy_approval.h"
#include "stoa_policy_bandwidth.h"
#include "stoa_policy_body.h"
#include "stoa_policy_cache.h"
#include "stoa_policy_certificate.h"
#include "stoa_policy_cors.h"
#include "stoa_policy_cost.h"
#include "stoa_policy_credential.h"
#include "stoa_policy_guard.h"
#include "stoa_policy_headers.h"
#include "stoa_policy_ip.h"
#include "stoa_policy_idempotency.h"
#include "stoa_policy_websocket.h"
#include "stoa_policy_json.h"
#include "stoa_policy_limit.h"
#include "stoa_policy_llm.h"
#include "stoa_policy_locations.h"
#include "stoa_policy_maintenance.h"
#include "stoa_policy_opa.h"
#include "stoa_policy_openapi.h"
#include "stoa_policy_output.h"
#include "stoa_policy_own.h"
#include "stoa_policy_result.h"
#include "stoa_policy_rewrite.h"
#include "stoa_policy_schema.h"
#include "stoa_policy_shape.h"
#include "stoa_policy_signature.h"
#include "stoa_policy_token.h"
#include "stoa_policy_answer.h"
#include "stoa_policy_transform.h"


/* What is of one record runs in this order. */

static const stoa_policy_type_t *const  stoa_policy_types[] = {
    &stoa_policy_cors,
    &stoa_policy_locations,
    &stoa_policy_headers,
    &stoa_policy_credential,
    &stoa_policy_certificate,
    &stoa_policy_publisher,
    &stoa_policy_ip,
    &stoa_policy_maintenance,
    &stoa_policy_agent,
    &stoa_policy_shape,
    &stoa_policy_body,
    &stoa_policy_key,
    &stoa_policy_subscription,
    &stoa_policy_token,
    &stoa_policy_signature,
    &stoa_policy_idempotency,
    &stoa_policy_json,
    &stoa_policy_schema,
    &stoa_policy_openapi,
    &stoa_policy_guard,
    &stoa_policy_output,
    &stoa_policy_opa,
    &stoa_policy_cost,
    &stoa_policy_rate_limit,
    &stoa_policy_llm,
    &stoa_policy_concurrency,
    &stoa_policy_rate,
    &stoa_policy_quota,
    &stoa_policy_websocket,
    &stoa_policy_approval,
    &stoa_policy_identity,
    &stoa_policy_result,
    &stoa_policy_transform,
    &stoa_policy_bandwidth,
    &stoa_policy_answer,
    &stoa_policy_cache,
    &stoa_policy_rewrite,
    NULL
};


static const char *const  stoa_scope_names[STOA_SCOPE_MAX] = {
    [STOA_SCOPE_GROUP] = "gateway_group",
    [STOA_SCOPE_TENANT] = "tenant",
    [STOA_SCOPE_SERVER] = "server",
    [STOA_SCOPE_API] = "api",
    [STOA_SCOPE_OPERATION] = "operation",
    [STOA_SCOPE_TOOL] = "tool",
    [STOA_SCOPE_PLAN] = "plan",
    [STOA_SCOPE_APPLICATION] = "application"
};


static const char *const  stoa_policy_vars[STOA_VAR_MAX] = {
    [STOA_VAR_REQUEST_ID] = "request_id",
    [STOA_VAR_CLIENT_ADDRESS] = "client_address",
    [STOA_VAR_TENANT] = "tenant",
    [STOA_VAR_APPLICATION] = "application",
    [STOA_VAR_SUBSCRIPTION] = "subscription",
    [STOA_VAR_PLAN] = "plan",
    [STOA_VAR_API] = "api"
};


const stoa_policy_type_t *
stoa_policy_at(size_t i)
{
    return i < sizeof(stoa_policy_types) / sizeof(stoa_policy_types[0])
           ? stoa_policy_types[i] : NULL;
}


const stoa_policy_type_t *
stoa_policy_find(const char *name, size_t len)
{
    size_t  i;

    for (i = 0; stoa_policy_types[i]; i++) {
        if (strlen(stoa_policy_types[i]->name) == len
            && memcmp(stoa_policy_types[i]->name, name, len) == 0)
        {
            break;
        }
    }

    return stoa_policy_types[i];
}


const stoa_policy_type_t *
stoa_policy_by_id(unsigned id)
{
    size_t  i;

    for (i = 0; stoa_policy_types[i]; i++) {
        if (stoa_policy_types[i]->id == id) {
            break;
        }
    }

    return stoa_policy_types[i];
}


const void *
stoa_policy_own(const stoa_policy_type_t *type, const stoa_rec_hdr_t *rec)
{
    bool                      asks;
    size_t                    i, k, size;
    const char               *at, *first;
    const stoa_rec_field_t   *f;
    const stoa_rec_struct_t  *def;

    if (type->own == 0 || type->own != rec->kind) {
        return NULL;
    }

    def = &stoa_rec_structs[rec->kind];
    first = NULL;
    asks = type->asks == 0;

    for (i = 0; type->fields[i] && (i == 0 || i < type->asks); i++) {
        for (k = 0; strcmp(def->fields[k].name.data, type->fields[i]) != 0;
             k++) { /* void */ }

        f = &def->fields[k];
        at = (const char *) rec + f->offset;
        first = first ? first : at;
        size = f->type == STOA_REC_T_ENUM ? sizeof(uint8_t)
               : f->type == STOA_REC_T_U32 ? sizeof(uint32_t)
               : sizeof(uint64_t);                        /* or a vector    */

        while (size--) {
            asks |= at[size] != 0;
        }
    }

    return asks ? first : NULL;
}


const char *
stoa_scope_name(stoa_scope_e scope)
{
    return (unsigned) scope < STOA_SCOPE_MAX ? stoa_scope_names[scope] : "";
}


static bool
stoa_policy_value_valid(const char *s, size_t len)
{
    int     var;
    size_t  i, at, n;

    for (i = 0; i < len; i++) {
        if (((unsigned char) s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f) {
            return false;
        }
    }

    for ( /* void */ ; len; s += at + n, len -= at + n) {
        var = stoa_policy_var(s, len, &at, &n);

        if (var == -2) {
            return false;
        }

        if (var == -1) {
            break;
        }
    }

    return true;
}


int
stoa_policy_var(const char *s, size_t len, size_t *at, size_t *n)
{
    int          i;
    size_t       k;
    const char  *p, *end;

    for (k = 0; k + 1 < len; k++) {
        if (s[k] == '$' && s[k + 1] == '{') {
            break;
        }
    }

    if (k + 1 >= len) {
        return -1;
    }

    p = s + k + 2;
    end = memchr(p, '}', (size_t) (s + len - p));

    *at = k;
    *n = end ? (size_t) (end + 1 - (s + k)) : len - k;

    for (i = 0; end && i < STOA_VAR_MAX; i++) {
        if (strlen(stoa_policy_vars[i]) == (size_t) (end - p)
            && memcmp(stoa_policy_vars[i], p, (size_t) (end - p)) == 0)
        {
            return i;
        }
    }

    return -2;
}


/* A host name in lower case, which may begin with "*.", or an IPv6 address in
 * brackets; its length, 0: none. */

static size_t
stoa_policy_host(const char *s, size_t len)
{
    size_t  i, label;

    if (len && s[0] == '[') {
        for (i = 1; i < len && s[i] != ']'; i++) {
            if (s[i] == '\0' || strchr("0123456789abcdef:.", s[i]) == NULL) {
                return 0;
            }
        }

        return i < len && i > 2 ? i + 1 : 0;
    }

    i = (len > 2 && s[0] == '*' && s[1] == '.') ? 2 : 0;

    for (label = 0; i < len && s[i] != ':'; i++) {
        if (s[i] == '.' && label) {
            label = 0;
            continue;
        }

        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9')
              || s[i] == '-' || s[i] == '_'))
        {
            return 0;
        }

        label++;
    }

    return label ? i : 0;
}


/* As a browser says it: lower case, no path. */

bool
stoa_policy_origin_valid(const char *s, size_t len)
{
    size_t       i, n, port;
    const char  *p;

    p = memchr(s, ':', len);

    if (p == NULL || p == s || len > 300 || (size_t) (s + len - p) < 4
        || memcmp(p, "://", 3) != 0)
    {
        return false;
    }

    for (i = 0; s + i < p; i++) {
        if (!((s[i] >= 'a' && s[i] <= 'z')
              || (i && s[i] && strchr("0123456789+-.", s[i]))))
        {
            return false;
        }
    }

    i += 3;
    n = stoa_policy_host(s + i, len - i);
    i += n;

    if (n == 0 || i == len) {
        return n > 0;
    }

    if (s[i] != ':' || len - i < 2 || len - i > 6) {
        return false;
    }

    for (port = 0, i++; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }

        port = port * 10 + (size_t) (s[i] - '0');
    }

    return port >= 1 && port <= 65535;
}


/* What RFC 6749 calls a scope-token: it is written into a challenge. */

static bool
stoa_policy_scope_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\') {
            return false;
        }
    }

    return len > 0;
}


/* Part of a name as clients write them, with "*" at an end where it may go
 * on. */

static bool
stoa_policy_agent_valid(const char *s, size_t len)
{
    size_t  i;

    i = s[0] == '*';
    len -= len > i && s[len - 1] == '*';

    if (i >= len) {
        return false;
    }

    for ( /* void */ ; i < len; i++) {
        if (s[i] < ' ' || s[i] > '~' || s[i] == '*') {
            return false;
        }
    }

    return true;
}


/* "type/subtype" or "type/" "*", in lower case. */

static bool
stoa_policy_media_valid(const char *s, size_t len)
{
    size_t       i;
    const char  *slash;

    slash = memchr(s, '/', len);

    for (i = 0; i < len; i++) {
        if (s[i] >= 'A' && s[i] <= 'Z') {
            return false;
        }
    }

    if (slash == NULL || !stoa_policy_token_valid(s, (size_t) (slash - s))
        || memchr(s, '*', (size_t) (slash - s)))
    {
        return false;
    }

    len -= (size_t) (slash + 1 - s);
    s = slash + 1;

    return (len == 1 && s[0] == '*')
           || (stoa_policy_token_valid(s, len) && !memchr(s, '*', len));
}


static bool
stoa_policy_guard_kind(const char *s, size_t len)
{
    return stoa_guard_kind(s, len) < STOA_GUARD_PATTERN;
}


/* One, or all of a hundred: 404, 4xx. */

static bool
stoa_policy_status_valid(const char *s, size_t len)
{
    size_t  i;

    if (len != 3 || s[0] < '2' || s[0] > '5') {
        return false;
    }

    for (i = 1; i < 3; i++) {
        if ((s[i] < '0' || s[i] > '9') && (s[1] != 'x' || s[2] != 'x')) {
            return false;
        }
    }

    return true;
}


static bool
stoa_policy_rate_by_valid(const char *s, size_t len)
{
    stoa_str_t  name;

    return stoa_policy_rate_by(s, len, &name) != STOA_RATE_BY_MAX;
}


/* Of a signature (RFC 9421), that a configuration may ask for. */

static bool
stoa_policy_component_valid(const char *s, size_t len)
{
    size_t  i;

    static const char *const  derived[] = { "@authority", "@target-uri",
        "@path", "@query", "@scheme", NULL };

    for (i = 0; derived[i]; i++) {
        if (strlen(derived[i]) == len && memcmp(derived[i], s, len) == 0) {
            return true;
        }
    }

    for (i = 0; i < len; i++) {
        if (s[i] >= 'A' && s[i] <= 'Z') {
            return false;
        }
    }

    return len <= 64 && stoa_policy_token_valid(s, len);
}


/* In PEM: by the text of how it begins, which says what it is a key of. */

static bool
stoa_policy_key_valid(const char *s, size_t len)
{
    size_t  i, n;

    static const char         pem[] = "-----BEGIN PUBLIC KEY-----";
    static const char *const  kinds[] = {
        "MCowBQYDK2VwAyEA",                         /* Ed25519              */
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",     /* P-256                */
        "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgA",      /* the same, compressed */
        NULL
    };

    n = sizeof(pem) - 1;

    if (len < n || memcmp(s, pem, n) != 0) {
        return false;
    }

    while (n < len && (s[n] == '\r' || s[n] == '\n')) {
        n++;
    }

    for (i = 0; kinds[i]; i++) {
        if (len - n > strlen(kinds[i])
            && memcmp(s + n, kinds[i], strlen(kinds[i])) == 0)
        {
            return true;
        }
    }

    return false;
}


stoa_rate_by_e
stoa_policy_rate_by(const char *s, size_t len, stoa_str_t *name)
{
    size_t  i, n;

    static const char *const  words[STOA_RATE_BY_MAX] = {
        [STOA_RATE_BY_SUBSCRIPTION] = "subscription",
        [STOA_RATE_BY_APPLICATION] = "application",
        [STOA_RATE_BY_CREDENTIAL] = "credential",
        [STOA_RATE_BY_ADDRESS] = "address",
        [STOA_RATE_BY_API] = "api",
        [STOA_RATE_BY_OPERATION] = "operation",
        [STOA_RATE_BY_TOOL] = "tool",
        [STOA_RATE_BY_HEADER] = "header:",
        [STOA_RATE_BY_ARGUMENT] = "argument:",
        [STOA_RATE_BY_CLAIM] = "claim:"
    };

    for (i = 0; i < STOA_RATE_BY_MAX; i++) {
        n = strlen(words[i]);

        if (len < n || memcmp(s, words[i], n) != 0) {
            continue;
        }

        name->data = s + n;
        name->len = len - n;

        if (i < STOA_RATE_BY_HEADER ? name->len == 0
            : i == STOA_RATE_BY_CLAIM
            ? stoa_jwt_path_valid(name->data, name->len)
            : stoa_policy_token_valid(name->data, name->len))
        {
            return (stoa_rate_by_e) i;
        }
    }

    return STOA_RATE_BY_MAX;
}
