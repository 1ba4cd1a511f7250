/*
 * Approvals: calls of tools that wait for a person.
 */

#include <string.h>

#include "stoactl.h"


#define CTL_APPROVAL_COLUMNS                                                  \
    "id state api tool consumer application subject created_at expires_at"


ctl_exit_e
ctl_run_approval_list(ctl_t *c)
{
    cp_json_t         *v;
    ctl_exit_e         rc;
    const char        *path, *state;
    const ctl_kind_t  *kind;

    kind = ctl_kind("approval");
    path = "/v1/approvals";

    rc = ctl_opt(c, "all-tenants") != NULL
         ? CTL_DONE : ctl_path(c, kind, NULL, NULL, &path);

    if (rc != CTL_DONE) {
        return rc;
    }

    state = ctl_opt(c, "state");

    if (state == NULL || strcmp(state, "all") != 0) {
        path = cp_arena_printf(c->arena, "%s?state=%s", path,
                               ctl_escape(c, state ? state : "pending"));
    }

    rc = ctl_list(c, path, CTL_ITEMS_MAX, &v);

    return (rc == CTL_DONE) ? ctl_print(c, v, kind->columns) : rc;
}


ctl_exit_e
ctl_run_approval_show(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    rc = ctl_path(c, ctl_kind("approval"), NULL, c->arg[0], &path);

    if (rc == CTL_DONE) {
        rc = ctl_get(c, path, &v);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    rc = ctl_print(c, v, CTL_APPROVAL_COLUMNS);

    if (rc == CTL_DONE && c->out == CTL_OUT_TABLE) {
        printf("\n%s\n", ctl_clean(c, ctl_cell_text(c, v, "arguments")));
    }

    return rc;
}


/* data: the event. */

ctl_exit_e
ctl_run_approval(ctl_t *c)
{
    cp_json_t         *body, *v;
    ctl_exit_e         rc;
    const char        *path, *reason;
    const ctl_kind_t  *kind;

    kind = ctl_kind("approval");
    rc = ctl_path(c, kind, NULL, c->arg[0], &path);

    if (rc != CTL_DONE) {
        return rc;
    }

    body = cp_json_object(c->arena);
    reason = ctl_opt(c, "reason");

    if (reason != NULL) {
        cp_json_put(c->arena, body, "reason", reason);
    }

    rc = ctl_post(c, cp_arena_printf(c->arena, "%s/%s", path,
                                     (const char *) c->cmd->data), body, &v);

    return (rc == CTL_DONE) ? ctl_print(c, v, kind->columns) : rc;
}
