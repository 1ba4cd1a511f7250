/*
 * Why a call was refused: the trace that a gateway keeps of it.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "stoactl.h"


const ctl_opt_t  ctl_opts_trace[] = {
    { "follow", 0, NULL, NULL, "show calls as they come, until it is ended",
      false },
    { "status", 0, "STATUS", NULL, "of these: one as 429, or 4xx", false },
    { "api", 0, "API", NULL, "of these: of this api", false },
    { "for", 0, "DURATION", NULL, "follow for so long (default: for ever)",
      false },
    { NULL, 0, NULL, NULL, NULL, false }
};


/* What of it there is, in a line each. */

static void
ctl_put_facts(ctl_t *c, const cp_json_t *trace)
{
    unsigned     i;
    const char  *text;

    static const char *const  facts[] = { "verdict", "request_id", "status",
        "code", "detail", "method", "host", "path", "tenant", "api", "tool",
        "consumer", "application", "credential", "plan", "target" };

    for (i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        if (cp_json_get(trace, facts[i]) != NULL) {
            text = ctl_clean(c, ctl_cell_text(c, trace, facts[i]));
            printf("%-12s %s\n", facts[i], text);
        }
    }
}


static ctl_exit_e
ctl_put_list(ctl_t *c, const cp_json_t *trace, const char *member,
    const char *columns)
{
    const cp_json_t  *list;

    list = cp_json_get(trace, member);

    if (list == NULL || list->type != CP_JSON_ARRAY || list->n == 0) {
        return CTL_DONE;
    }

    putchar('\n');

    return ctl_print(c, list, columns);
}


/* A line of an event; *after: where it goes on. */
static void
ctl_trace_line(ctl_t *c, char *line, bool *dropped, const char **after)
{
    cp_err_t     err;
    cp_json_t   *v;
    const char  *what;

    if (strncmp(line, "id: ", 4) == 0) {
        *after = cp_arena_strdup(c->arena, line + 4);
    }

    if (strncmp(line, "event: ", 7) == 0) {
        *dropped = (strcmp(line + 7, "dropped") == 0);
    }

    if (strncmp(line, "data: ", 6) != 0) {
        return;
    }

    memset(&err, 0, sizeof(err));
    err.arena = c->arena;

    if (cp_json_parse(c->arena, line + 6, strlen(line + 6), &v, &err)
        != CP_OK)
    {
        return;
    }

    if (*dropped) {
        *dropped = false;
        (void) ctl_error("%lld were dropped%s",
                         (long long) cp_json_num(v, "count", 0),
                         cp_json_num(v, "more", 0) ? ", perhaps more" : "");
        return;
    }

    if (c->out != CTL_OUT_TABLE) {
        puts(line + 6);
        return;
    }

    what = cp_json_str(v, "code");
    printf("%s %lld %s %s/%s %s %s\n", ctl_cell_text(c, v, "request_id"),
           (long long) cp_json_num(v, "status", 0), what ? what : "-",
           ctl_clean(c, ctl_cell_text(c, v, "tenant")),
           ctl_clean(c, ctl_cell_text(c, v, "api")),
           ctl_clean(c, ctl_cell_text(c, v, "method")),
           ctl_clean(c, ctl_cell_text(c, v, "path")));
}


static ctl_exit_e
ctl_trace_follow(ctl_t *c, const char *tenant)
{
    char          *line, *next, kept[4096];
    bool           dropped;
    int64_t        ms, end;
    ctl_exit_e     rc;
    const char    *after, *path;
    cp_arena_t    *whole, *once;
    ctl_call_t     call;
    ctl_answer_t   answer;

    rc = ctl_opt_duration(c, "for", 0, &ms);
    end = ms ? cp_time_mono_ms() + ms : INT64_MAX;
    after = NULL;
    whole = c->arena;

    while (rc == CTL_DONE && cp_time_mono_ms() < end) {
        once = cp_arena_create(CTL_ARENA_MAX);
        if (once == NULL) {
            return ctl_error("no memory");
        }

        c->arena = once;
        memset(&call, 0, sizeof(call));
        path = cp_arena_printf(once, "/v1/tenants/%s/traces/live",
                               ctl_escape(c, tenant));
        ctl_query(c, &path, "after", after);
        ctl_query(c, &path, "status", ctl_opt(c, "status"));
        ctl_query(c, &path, "api", ctl_opt(c, "api"));
        call.method = "GET";
        call.path = path;
        call.accept = "text/event-stream";
        call.extra_ms = 20000;

        rc = path ? ctl_call(c, &call, &answer) : CTL_FAILED;
        dropped = false;
        line = rc == CTL_DONE ? cp_arena_strdup(once, answer.text) : NULL;

        for ( /* void */ ; line && *line; line = next) {
            next = line + strcspn(line, "\n");
            next += *next ? (*next = '\0', 1) : 0;
            ctl_trace_line(c, line, &dropped, &after);
        }

        (void) fflush(stdout);

        if (after) {
            (void) snprintf(kept, sizeof(kept), "%s", after);
            after = kept;
        }

        c->arena = whole;
        cp_arena_destroy(once);
    }

    return rc;
}


static ctl_exit_e
ctl_trace_list(ctl_t *c, const char *tenant)
{
    cp_json_t   *v;
    ctl_exit_e   rc;

    rc = ctl_get(c, cp_arena_printf(c->arena, "/v1/tenants/%s/traces",
                                    ctl_escape(c, tenant)), &v);
    if (rc != CTL_DONE) {
        return rc;
    }

    if (cp_json_num(v, "answered", 0) < cp_json_num(v, "asked", 0)) {
        (void) ctl_error("not all gateways have answered");
    }

    return ctl_print(c, cp_json_get(v, "items"), "request_id status code"
                     " tenant api method path consumer application");
}


ctl_exit_e
ctl_run_trace(ctl_t *c)
{
    cp_json_t   *trace;
    ctl_exit_e   rc;
    const char  *tenant;

    rc = ctl_tenant(c, &tenant);

    if (rc == CTL_DONE && ctl_opt(c, "follow")) {
        return ctl_trace_follow(c, tenant);
    }

    if (rc == CTL_DONE && c->narg == 0) {
        return ctl_trace_list(c, tenant);
    }

    if (rc == CTL_DONE) {
        rc = ctl_get(c, cp_arena_printf(c->arena, "/v1/tenants/%s/traces/%s",
                                        ctl_escape(c, tenant),
                                        ctl_escape(c, c->arg[0])), &trace);
    }

    return rc == CTL_DONE
           ? ctl_put_trace(c, trace, "step verdict type policy scope from us")
           : rc;
}


ctl_exit_e
ctl_put_trace(ctl_t *c, const cp_json_t *trace, const char *steps)
{
    ctl_exit_e  rc;

    if (c->out != CTL_OUT_TABLE) {
        return ctl_print(c, trace, NULL);
    }

    ctl_put_facts(c, trace);
    rc = ctl_put_list(c, trace, "steps", steps);

    return rc == CTL_DONE ? ctl_put_list(c, trace, "limits", "limit of left"
                                         " reset_ms refused retry_ms")
                          : rc;
}
