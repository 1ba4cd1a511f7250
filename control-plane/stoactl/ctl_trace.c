/*
 * Why a call was refused: the trace that a gateway keeps of it.
 */

#include <string.h>

#include "stoactl.h"


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
