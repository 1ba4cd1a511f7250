/*
 * Reading what happened: audit, usage, whoami.
 */

#include <string.h>

#include "stoactl.h"


/* An answer that is a file, as it came. */

static ctl_exit_e
ctl_print_file(ctl_t *c, const char *path, const char *type)
{
    ctl_exit_e     rc;
    ctl_call_t     call = { .method = "GET", .path = path, .accept = type };
    ctl_answer_t   answer;

    rc = (path != NULL) ? ctl_call(c, &call, &answer) : CTL_FAILED;

    if (rc == CTL_DONE && fwrite(answer.text, 1, answer.len, stdout)
                          != answer.len)
    {
        rc = ctl_error("cannot write it");
    }

    return rc;
}


ctl_exit_e
ctl_run_audit_list(ctl_t *c)
{
    int64_t      limit;
    cp_json_t   *items;
    ctl_exit_e   rc;
    const char  *path, *since;

    rc = ctl_opt_number(c, "limit", 100, &limit);
    since = ctl_opt(c, "since");

    if (rc == CTL_DONE && since != NULL) {
        rc = ctl_time(c, since, -1, &since);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    if (limit == 0 || limit > CTL_ITEMS_MAX) {
        return ctl_error("--limit must be 1..%d", CTL_ITEMS_MAX);
    }

    path = "/v1/audit";
    ctl_query(c, &path, "tenant", c->tenant);
    ctl_query(c, &path, "since", since);

    rc = (path != NULL) ? ctl_list(c, path, (unsigned) limit, &items)
                        : CTL_FAILED;

    return (rc == CTL_DONE)
               ? ctl_print(c, items,
                           "at actor action kind name resource tenant"
                           " request_id")
               : rc;
}


/* Whether the log still has what was signed once and kept elsewhere. */

static ctl_exit_e
ctl_audit_compare(ctl_t *c, const char *file)
{
    cp_json_t     *ok;
    ctl_exit_e     rc;
    const char    *text;
    ctl_call_t     call = { .method = "POST", .path = "/v1/audit/verify",
                            .type = "application/json" };
    ctl_answer_t   answer;

    rc = ctl_file_read(c, file, &text, &call.len);

    if (rc == CTL_DONE) {
        call.body = text;
        rc = ctl_call(c, &call, &answer);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    ok = cp_json_get(answer.json, "ok");

    if (ok == NULL || ok->i == 0) {
        text = cp_json_str(answer.json, "why");
        return ctl_error("the log has not what the checkpoint says: %s",
                         text != NULL ? text : "");
    }

    return CTL_DONE;
}


ctl_exit_e
ctl_run_audit_verify(ctl_t *c)
{
    cp_json_t   *v, *ok;
    ctl_exit_e   rc;
    const char  *path;

    path = "/v1/audit/verify";
    ctl_query(c, &path, "tenant", c->tenant);

    rc = (path != NULL) ? ctl_get(c, path, &v) : CTL_FAILED;

    if (rc != CTL_DONE) {
        return rc;
    }

    rc = ctl_print(c, v, "ok events broken_at");
    ok = cp_json_get(v, "ok");

    if (rc == CTL_DONE && (ok == NULL || ok->i == 0)) {
        rc = ctl_error("the audit log is not what it was");
    }

    if (rc == CTL_DONE && ctl_opt(c, "checkpoint") != NULL) {
        rc = ctl_audit_compare(c, ctl_opt(c, "checkpoint"));
    }

    return rc;
}


ctl_exit_e
ctl_run_audit_export(ctl_t *c)
{
    ctl_exit_e   rc;
    const char  *path, *since;

    since = ctl_opt(c, "since");

    if (since != NULL) {
        rc = ctl_time(c, since, -1, &since);

        if (rc != CTL_DONE) {
            return rc;
        }
    }

    path = "/v1/audit/export";
    ctl_query(c, &path, "tenant", c->tenant);
    ctl_query(c, &path, "since", since);

    if (ctl_opt(c, "csv") != NULL) {
        ctl_query(c, &path, "format", "csv");
    }

    return ctl_print_file(c, path, NULL);
}


ctl_exit_e
ctl_run_audit_checkpoint(ctl_t *c)
{
    ctl_exit_e     rc;
    ctl_call_t     call = { .method = "POST",
                            .path = "/v1/audit/checkpoint" };
    ctl_answer_t   answer;

    if (ctl_opt(c, "last") != NULL) {
        call.method = "GET";
        ctl_query(c, &call.path, "tenant", c->tenant);

    } else if (ctl_opt(c, "accept") != NULL) {
        ctl_query(c, &call.path, "accept", "1");
    }

    rc = (call.path != NULL) ? ctl_call(c, &call, &answer) : CTL_FAILED;

    if (rc == CTL_DONE) {
        printf("%s\n", answer.text);
    }

    return rc;
}


ctl_exit_e
ctl_run_audit_erase(ctl_t *c)
{
    cp_json_t   *in, *v;
    ctl_exit_e   rc;

    in = cp_json_object(c->arena);
    cp_json_put(c->arena, in, "person", c->arg[0]);

    rc = ctl_post(c, "/v1/audit/erasures", in, &v);

    return (rc == CTL_DONE) ? ctl_print(c, v, "person erased events kept")
                            : rc;
}


/* The columns are what it is grouped by, with the tenants in which names are
 * names, and the counts. */

static const char *
ctl_usage_columns(ctl_t *c, const char *by)
{
    size_t       len;
    const char  *p, *columns, *counts;

    columns = ctl_opt(c, "step") != NULL ? "start " : "";

    if (strstr(by, "tenant") != NULL || strstr(by, "api") != NULL) {
        columns = cp_arena_printf(c->arena, "%spublisher ", columns);
    }

    if (strstr(by, "tenant") != NULL || strstr(by, "application") != NULL) {
        columns = cp_arena_printf(c->arena, "%sconsumer ", columns);
    }

    for (p = by; *p != '\0' && columns != NULL; p += len + (p[len] == ',')) {
        len = strcspn(p, ",");

        if (strncmp(p, "tenant", len) != 0
            && (strncmp(p, "status", len) != 0))
        {
            columns = cp_arena_printf(c->arena, "%s%.*s ", columns,
                                      (int) len, p);
        }
    }

    counts = strstr(by, "status") != NULL || ctl_opt(c, "status") != NULL
             ? "status requests"
             : strstr(by, "model") != NULL || ctl_opt(c, "model") != NULL
             ? "requests tokens_in tokens_out tokens_cached p50_us p99_us"
             : "requests c2xx c3xx c4xx c5xx bytes_in bytes_out p50_us p99_us";

    return (columns != NULL) ? cp_arena_printf(c->arena, "%s%s", columns,
                                               counts)
                             : NULL;
}


/* A date is the zone's: the control plane reads it. */

static ctl_exit_e
ctl_usage_time(ctl_t *c, const char *value, const char **time)
{
    if (value == NULL
        || (strlen(value) == 10 && value[4] == '-' && value[7] == '-'))
    {
        *time = value;
        return CTL_DONE;
    }

    return ctl_time(c, value, -1, time);
}


ctl_exit_e
ctl_run_usage(ctl_t *c)
{
    unsigned     i;
    cp_json_t   *v, *items;
    ctl_exit_e   rc;
    const char  *path, *tenant, *from, *to, *by, *columns;

    static const char *const  same[] = { "side", "step", "zone", "api",
        "application", "status", "model" };

    from = ctl_opt(c, "from");
    by = ctl_opt(c, "by");
    by = (by != NULL) ? by : "application,api";

    rc = ctl_usage_time(c, from != NULL ? from : "24h", &from);

    if (rc == CTL_DONE) {
        rc = ctl_usage_time(c, ctl_opt(c, "to"), &to);
    }

    path = "/v1/usage";

    if (rc == CTL_DONE && ctl_opt(c, "all-tenants") == NULL) {
        rc = ctl_tenant(c, &tenant);

        if (rc == CTL_DONE && strchr(tenant, ',') != NULL) {
            ctl_query(c, &path, "tenant", tenant);

        } else if (rc == CTL_DONE) {
            path = cp_arena_printf(c->arena, "/v1/tenants/%s/usage",
                                   ctl_escape(c, tenant));
        }
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    ctl_query(c, &path, "from", from);
    ctl_query(c, &path, "to", to);
    ctl_query(c, &path, "by", by);

    for (i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        ctl_query(c, &path, same[i], ctl_opt(c, same[i]));
    }

    if (ctl_opt(c, "csv") != NULL) {
        ctl_query(c, &path, "format", "csv");

        return ctl_print_file(c, path, "text/csv");
    }

    rc = (path != NULL) ? ctl_get(c, path, &v) : CTL_FAILED;

    if (rc != CTL_DONE) {
        return rc;
    }

    columns = ctl_usage_columns(c, by);
    items = cp_json_get(v, "items");

    return (columns != NULL) ? ctl_print(c, items != NULL ? items : v,
                                         columns)
                             : CTL_FAILED;
}


ctl_exit_e
ctl_run_quota(ctl_t *c)
{
    bool               one;
    cp_json_t         *v, *items;
    ctl_exit_e         rc;
    const char        *path, *id;
    const ctl_kind_t  *kind;

    one = strchr(c->arg[0], '/') != NULL
          || stoa_id_valid(c->arg[0], strlen(c->arg[0]));
    kind = ctl_kind(one ? "subscription" : "application");
    id = c->arg[0];

    rc = one ? ctl_subscription_id(c, c->arg[0], &id) : CTL_DONE;

    if (rc == CTL_DONE) {
        rc = ctl_path(c, kind, NULL, id, &path);
    }

    if (rc == CTL_DONE) {
        rc = ctl_get(c, cp_arena_printf(c->arena, "%s/quota", path), &v);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    items = cp_json_get(v, "items");

    return ctl_print(c, items != NULL ? items : v,
                     "subscription application target_tenant api server plan"
                     " day.used day.remaining day.reset_at month.used"
                     " month.remaining month.reset_at");
}


ctl_exit_e
ctl_run_effective(ctl_t *c)
{
    unsigned     i;
    cp_json_t   *v, *items;
    ctl_exit_e   rc;
    const char  *path, *tenant;

    static const char *const  places[][2] = {
        { "api", "api" }, { "operation", "operation" },
        { "server", "server" }, { "tool", "tool" }, { "plan", "plan" },
        { "application", "application" }, { "group", "gateway_group" }
    };

    rc = ctl_tenant(c, &tenant);

    if (rc != CTL_DONE) {
        return rc;
    }

    path = cp_arena_printf(c->arena, "/v1/tenants/%s/effective-policies",
                           ctl_escape(c, tenant));

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        ctl_query(c, &path, places[i][1], ctl_opt(c, places[i][0]));
    }

    rc = (path != NULL) ? ctl_get(c, path, &v) : CTL_FAILED;

    if (rc != CTL_DONE) {
        return rc;
    }

    items = cp_json_get(v, "items");

    return ctl_print(c, items != NULL ? items : v, "type source policy scope "
                     "state in_force");
}


/* The members of an array of objects, or of strings: name NULL. */

static const char *
ctl_joined(ctl_t *c, const cp_json_t *list, const char *name)
{
    const char       *text;
    const cp_json_t  *m;

    text = NULL;

    for (m = (list != NULL) ? list->first : NULL; m != NULL; m = m->next) {
        text = cp_arena_printf(c->arena, "%s%s%s", text ? text : "",
                               text ? "," : "",
                               (name != NULL) ? cp_json_str(m, name) : m->s);
    }

    return (text != NULL) ? text : "";
}


/* One row per place in which the token holds roles. */

static cp_json_t *
ctl_whoami_rows(ctl_t *c, const cp_json_t *v)
{
    cp_json_t        *rows, *row;
    const char       *tenant;
    const cp_json_t  *g;

    rows = cp_json_array(c->arena);
    g = cp_json_get(v, "grants");

    for (g = (g != NULL) ? g->first : NULL; g != NULL; g = g->next) {
        tenant = cp_json_str(g, "tenant");
        row = cp_json_object(c->arena);
        cp_json_put(c->arena, row, "name", cp_json_str(v, "name"));
        cp_json_put(c->arena, row, "tenant", tenant ? tenant : "(platform)");
        cp_json_put(c->arena, row, "roles",
                    ctl_joined(c, cp_json_get(g, "roles"), "role"));
        cp_json_put(c->arena, row, "id", cp_json_str(v, "id"));
        cp_json_push(rows, row);
    }

    return rows;
}


ctl_exit_e
ctl_run_whoami(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;

    rc = ctl_get(c, "/v1/whoami", &v);

    if (rc == CTL_DONE && c->out == CTL_OUT_TABLE) {
        v = ctl_whoami_rows(c, v);
    }

    return (rc == CTL_DONE) ? ctl_print(c, v, "name tenant roles id") : rc;
}


/* The provider, and the look at owners where there is one. */

static cp_json_t *
ctl_identity_rows(ctl_t *c, cp_json_t *v)
{
    cp_json_t  *rows, *owners, *events;

    rows = cp_json_array(c->arena);
    owners = cp_json_get(v, "owners");
    owners = owners ? cp_json_copy(c->arena, owners) : NULL;

    cp_json_put(c->arena, v, "what", "provider");
    cp_json_put(c->arena, v, "at", cp_json_str(v, "keys_at"));
    cp_json_push(rows, cp_json_copy(c->arena, v));

    if (owners) {
        cp_json_put(c->arena, owners, "what", "owners");
        cp_json_put(c->arena, owners, "at", cp_json_str(owners, "good_at"));
        cp_json_push(rows, owners);
        events = cp_json_get(owners, "events");
        events = events ? cp_json_copy(c->arena, events) : NULL;

        if (events) {
            cp_json_put(c->arena, events, "what", "owners' events");
            cp_json_push(rows, events);
        }
    }

    return rows;
}


ctl_exit_e
ctl_run_identity(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;

    rc = ctl_get(c, "/v1/identity-provider", &v);

    if (rc == CTL_DONE && c->out == CTL_OUT_TABLE) {
        v = ctl_identity_rows(c, v);
    }

    return rc == CTL_DONE
           ? ctl_print(c, v, "what state at age_s tied disowned took_ms error")
           : rc;
}


ctl_exit_e
ctl_run_can_i(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    path = "/v1/can-i";
    ctl_query(c, &path, "verb", c->arg[0]);
    ctl_query(c, &path, "kind", c->arg[1]);
    ctl_query(c, &path, "tenant", c->tenant);
    ctl_query(c, &path, "user", ctl_opt(c, "user"));

    rc = (path != NULL) ? ctl_get(c, path, &v) : CTL_FAILED;

    if (rc == CTL_DONE && c->out == CTL_OUT_TABLE
        && cp_json_get(v, "tenants") != NULL)
    {
        cp_json_put(c->arena, v, "tenant",
                    ctl_joined(c, cp_json_get(v, "tenants"), NULL));
    }

    if (rc == CTL_DONE) {
        rc = ctl_print(c, v, "allowed permission tenant");
    }

    return (rc == CTL_DONE && !cp_json_num(v, "allowed", 0))
           ? CTL_DIFFERENT : rc;
}
