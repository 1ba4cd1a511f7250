/*
 * What the control plane tells people: mails.
 */

#include "stoactl.h"


ctl_exit_e
ctl_run_mail_list(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path, *state;

    state = ctl_opt(c, "state");
    path = state == NULL ? "/v1/mails"
           : cp_arena_printf(c->arena, "/v1/mails?state=%s",
                             ctl_escape(c, state));

    rc = ctl_list(c, path, CTL_ITEMS_MAX, &v);

    return rc == CTL_DONE
           ? ctl_print(c, v, "id to state tries created_at error") : rc;
}


ctl_exit_e
ctl_run_mail_test(ctl_t *c)
{
    cp_json_t   *body, *v;
    ctl_exit_e   rc;

    body = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "to", c->arg[0]);

    rc = ctl_post(c, "/v1/mails/test", body, &v);

    return rc == CTL_DONE ? ctl_print(c, v, "state") : rc;
}
