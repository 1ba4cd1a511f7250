/*
 * What an api's upstream says beside its targets: how they are watched.
 *
 * Each is an object of the resource, and an array of it, empty or of one, in
 * the record of gateways.
 */

#include <string.h>
#include <strings.h>

#include "client/cp_client.h"
#include "kinds/cp_kind.h"


#define CP_UPSTREAM_TOKEN                                                     \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static const char *const  cp_upstream_objects[] = { "health", "breaker",
    "retry", "split", "mirror", NULL };


/* 204 or 2xx: as gateways read it (upstream/_health.c). */
static bool
cp_upstream_status(const char *s)
{
    if (strlen(s) != 3 || s[0] < '1' || s[0] > '5') {
        return false;
    }

    return strcmp(s + 1, "xx") == 0
           || (s[1] >= '0' && s[1] <= '9' && s[2] >= '0' && s[2] <= '9');
}


static cp_rc_t
cp_upstream_statuses(cp_op_t *op, const cp_json_t *api, const char *at,
    const cp_json_t *list)
{
    unsigned          i;
    const cp_json_t  *m;

    for (m = list ? list->first : NULL, i = 0; m; m = m->next, i++) {
        if (!cp_upstream_status(m->s)) {
            return cp_fault_at(op, api, cp_arena_printf(op->arena, "%s[%u]",
                                                        at, i),
                               "must be a status such as 204, or 2xx");
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_upstream_health(cp_op_t *op, const cp_json_t *api, const cp_json_t *health)
{
    const char  *type;

    type = cp_json_str(health, "type");

    if (strcmp(type, "mcp") == 0
        && strcmp(cp_json_str(api, "kind"), "mcp") != 0)
    {
        return cp_fault_at(op, api, "upstream.health.type",
                           "mcp is for kind mcp");
    }

    if (strcmp(type, "http") != 0 && cp_json_get(health, "path")) {
        return cp_fault_at(op, api, "upstream.health.path",
                           "is for type http");
    }

    if (strcmp(type, "http") != 0 && cp_json_get(health, "statuses")
        && cp_json_get(health, "statuses")->n)
    {
        return cp_fault_at(op, api, "upstream.health.statuses",
                           "is for type http");
    }

    return cp_upstream_statuses(op, api, "upstream.health.statuses",
                                cp_json_get(health, "statuses"));
}


static cp_rc_t
cp_upstream_breaker(cp_op_t *op, const cp_json_t *api,
    const cp_json_t *breaker)
{
    if (cp_json_num(breaker, "failures", 0) == 0
        && cp_json_num(breaker, "error_percent", 0) == 0)
    {
        return cp_fault_at(op, api, "upstream.breaker.failures",
                           "nothing would open it: this or error_percent must"
                           " be more than 0");
    }

    if (cp_json_num(breaker, "max_open_ms", 0)
        < cp_json_num(breaker, "open_ms", 0))
    {
        return cp_fault_at(op, api, "upstream.breaker.max_open_ms",
                           "is less than open_ms");
    }

    return cp_upstream_statuses(op, api, "upstream.breaker.statuses",
                                cp_json_get(breaker, "statuses"));
}


static cp_rc_t
cp_upstream_retry(cp_op_t *op, const cp_json_t *api, const cp_json_t *retry)
{
    unsigned          i, k;
    const cp_json_t  *list, *m;

    static const char *const  causes[] = { "connect", "error", "timeout",
        "invalid", "403", "404", "429", "500", "502", "503", "504", NULL };

    list = cp_json_get(retry, "causes");

    for (m = list ? list->first : NULL, i = 0; m; m = m->next, i++) {
        for (k = 0; causes[k] && strcmp(causes[k], m->s) != 0; k++) {
            /* void */
        }

        if (causes[k] == NULL) {
            return cp_fault_at(op, api,
                               cp_arena_printf(op->arena,
                                   "upstream.retry.causes[%u]", i),
                               "must be connect, error, timeout, invalid, 403,"
                               " 404, 429, 500, 502, 503 or 504");
        }
    }

    return CP_OK;
}


/* Is there one of this name?  *weight: how much it gets. */
static bool
cp_upstream_group(const cp_json_t *split, const char *name, int64_t *weight)
{
    const cp_json_t  *m;

    for (m = cp_json_get(split, "groups")->first; m; m = m->next) {
        if (name && strcmp(cp_json_str(m, "name"), name) == 0) {
            *weight = cp_json_num(m, "weight", 0);
            return true;
        }
    }

    return false;
}


/* Each target in a group, each group that may be called with a target. */
static cp_rc_t
cp_upstream_groups(cp_op_t *op, const cp_json_t *api, const cp_json_t *split)
{
    char              at[64];
    unsigned          i;
    int64_t           weight, sum;
    const char       *name;
    const cp_json_t  *m, *t, *targets;

    targets = cp_json_get(cp_json_get(api, "upstream"), "targets");
    sum = 0;

    for (t = targets->first, i = 0; t; t = t->next, i++) {
        name = cp_json_str(t, "group");

        if (!cp_upstream_group(split, name, &weight)) {
            snprintf(at, sizeof(at), "upstream.targets[%u].group", i);
            return cp_fault_at(op, api, at,
                               "must be one of upstream.split.groups");
        }
    }

    for (m = cp_json_get(split, "groups")->first, i = 0; m;
         m = m->next, i++)
    {
        name = cp_json_str(m, "name");
        sum += cp_json_num(m, "weight", 0);

        for (t = targets->first;
             t && strcmp(cp_json_str(t, "group"), name) != 0;
             t = t->next)
        {
            /* void */
        }

        snprintf(at, sizeof(at), "upstream.split.groups[%u].name", i);

        if (t == NULL) {
            return cp_fault_at(op, api, at, "no target is in this group");
        }

        for (t = m->next; t; t = t->next) {
            if (strcmp(cp_json_str(t, "name"), name) == 0) {
                return cp_fault_at(op, api, at, "stands there twice");
            }
        }
    }

    return sum > 0 ? CP_OK
           : cp_fault_at(op, api, "upstream.split.groups[0].weight",
                         "no group has a weight");
}


static cp_rc_t
cp_upstream_split(cp_op_t *op, const cp_json_t *api, const cp_json_t *split)
{
    char              at[64];
    cp_rc_t           rc;
    int64_t           weight;
    unsigned          i;
    const char       *header;
    const cp_json_t  *m, *rules;

    rc = cp_upstream_groups(op, api, split);
    rules = cp_json_get(split, "rules");

    for (m = rules ? rules->first : NULL, i = 0; m && rc == CP_OK;
         m = m->next, i++)
    {
        header = cp_json_str(m, "header");

        if (!cp_upstream_group(split, cp_json_str(m, "group"), &weight)) {
            snprintf(at, sizeof(at), "upstream.split.rules[%u].group", i);
            rc = cp_fault_at(op, api, at,
                             "must be one of upstream.split.groups");

        } else if (!header == !cp_json_str(m, "claim")) {
            snprintf(at, sizeof(at), "upstream.split.rules[%u].header", i);
            rc = cp_fault_at(op, api, at, "either this or claim is needed");

        } else if (header && header[strspn(header, CP_UPSTREAM_TOKEN)]) {
            snprintf(at, sizeof(at), "upstream.split.rules[%u].header", i);
            rc = cp_fault_at(op, api, at, "must be a header's name");
        }
    }

    if (rc == CP_OK && cp_json_str(split, "cookie")
        && strcmp(cp_json_str(split, "sticky"), "cookie") != 0)
    {
        rc = cp_fault_at(op, api, "upstream.split.cookie",
                         "is for sticky cookie");
    }

    return rc;
}


/* Headers that no copy has from its call; the last one: of what is none.  A
 * gateway writes a copy's Host, length and connection by itself: with the
 * client's beside them, server and proxies may not agree where it ends. */
static const struct {
    const char  *name;
    const char  *why;
} cp_upstream_never[] = {
    { "authorization", "may hold a credential" },
    { "cookie", "may hold a credential" },
    { "proxy-authorization", "may hold a credential" },
    { "x-api-key", "may hold a credential" },
    { "host", "is the mirror's own" },
    { "content-length", "is the copy's own" },
    { "transfer-encoding", "is the copy's own" },
    { "trailer", "is the copy's own" },
    { "expect", "is of the client's connection" },
    { "connection", "is of the client's connection" },
    { "keep-alive", "is of the client's connection" },
    { "proxy-connection", "is of the client's connection" },
    { "te", "is of the client's connection" },
    { "upgrade", "is of the client's connection" },
    { NULL, "must be a header's name" }
};


/* The address is judged as that of a target is. */
static cp_rc_t
cp_upstream_mirror(cp_op_t *op, const cp_json_t *api, const cp_json_t *mirror)
{
    char               at[64];
    unsigned           i, k;
    const cp_json_t   *list, *m;
    stoa_addr_class_e  class;

    if (strcmp(cp_json_str(api, "kind"), "rest") != 0) {
        return cp_fault_at(op, api, "upstream.mirror", "is for kind rest");
    }

    class = cp_client_refused(&op->app->conf.outbound_allow,
                              cp_json_str(mirror, "url"));

    if (class == STOA_ADDR_SPECIAL) {
        return cp_fault_at(op, api, "upstream.mirror.url", "is %s address",
                           stoa_addr_class_name(class));
    }

    list = cp_json_get(mirror, "headers");

    for (m = list ? list->first : NULL, i = 0; m; m = m->next, i++) {
        for (k = 0; cp_upstream_never[k].name
                    && strcasecmp(cp_upstream_never[k].name, m->s) != 0; k++)
        {
            /* void */
        }

        if (cp_upstream_never[k].name
            || m->s[strspn(m->s, CP_UPSTREAM_TOKEN)])
        {
            snprintf(at, sizeof(at), "upstream.mirror.headers[%u]", i);
            return cp_fault_at(op, api, at, "%s", cp_upstream_never[k].why);
        }
    }

    return CP_OK;
}


static bool
cp_upstream_grpc(const cp_json_t *api)
{
    const cp_json_t  *t;

    t = cp_json_get(cp_json_get(api, "upstream"), "targets")->first;

    return *cp_json_str(t, "url") == 'g';
}


/* What an api of gRPC cannot have. */
static cp_rc_t
cp_upstream_targets(cp_op_t *op, const cp_json_t *api)
{
    char              at[64];
    bool              grpc;
    unsigned          i;
    const char       *url, *why;
    const cp_json_t  *t, *upstream, *health;

    upstream = cp_json_get(api, "upstream");
    grpc = cp_upstream_grpc(api);

    for (t = cp_json_get(upstream, "targets")->first, i = 0; t;
         t = t->next, i++)
    {
        url = cp_json_str(t, "url");
        why = (*url == 'g') != grpc
              ? "all targets speak HTTP, or all gRPC"
              : grpc && strcmp(cp_json_str(api, "kind"), "mcp") == 0
              ? "gRPC is for kind rest"
              : grpc && strchr(strchr(url, ':') + 3, '/')
              ? "a target of gRPC has no path" : NULL;

        if (why) {
            snprintf(at, sizeof(at), "upstream.targets[%u].url", i);
            return cp_fault_at(op, api, at, "%s", why);
        }
    }

    health = cp_json_get(upstream, "health");

    if (grpc && health && strcmp(cp_json_str(health, "type"), "tcp") != 0) {
        return cp_fault_at(op, api, "upstream.health.type",
                           "targets of gRPC are checked by tcp");
    }

    if (grpc && cp_json_get(upstream, "mirror")) {
        return cp_fault_at(op, api, "upstream.mirror",
                           "calls of gRPC are not copied");
    }

    return CP_OK;
}


static cp_rc_t (*const cp_upstream_checks[])(cp_op_t *op,
    const cp_json_t *api, const cp_json_t *object) =
{
    cp_upstream_health, cp_upstream_breaker, cp_upstream_retry,
    cp_upstream_split, cp_upstream_mirror
};


/* Each by the rules of its place above. */
cp_rc_t
cp_upstream_check(cp_op_t *op, const cp_json_t *before, const cp_json_t *api)
{
    cp_rc_t           rc;
    unsigned          i;
    const cp_json_t  *object;

    rc = cp_upstream_targets(op, api);

    if (rc == CP_OK && before
        && cp_upstream_grpc(before) != cp_upstream_grpc(api))
    {
        rc = cp_fault_at(op, api, "upstream.targets",
                         "an api does not change between HTTP and gRPC");
    }

    for (i = 0; rc == CP_OK && cp_upstream_objects[i]; i++) {
        object = cp_json_get(cp_json_get(api, "upstream"),
                             cp_upstream_objects[i]);

        rc = object ? cp_upstream_checks[i](op, api, object) : CP_OK;
    }

    return rc;
}


void
cp_upstream_body(cp_arena_t *a, const cp_json_t *api, cp_json_t *body)
{
    unsigned    i;
    cp_json_t  *upstream, *object, *list;

    upstream = cp_json_get(api, "upstream");

    for (i = 0; cp_upstream_objects[i]; i++) {
        object = cp_json_get(upstream, cp_upstream_objects[i]);

        if (object) {
            list = cp_json_array(a);
            cp_json_push(list, cp_json_copy(a, object));
            cp_json_set(a, body, cp_upstream_objects[i], list);
        }
    }
}
