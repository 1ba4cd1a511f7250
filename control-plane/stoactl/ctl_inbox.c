/*
 * What the control plane tells people: notices and mails.
 */

#include "stoactl.h"


#define CTL_NOTICES_READ  500          /* of one request                     */


ctl_exit_e
ctl_run_notice_list(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    path = cp_arena_printf(c->arena, "/v1/notices%s%s%s",
                           ctl_opt(c, "unread") ? "?unread=1" : "",
                           c->tenant == NULL ? ""
                           : ctl_opt(c, "unread") ? "&tenant=" : "?tenant=",
                           c->tenant ? ctl_escape(c, c->tenant) : "");

    rc = path ? ctl_list(c, path, CTL_ITEMS_MAX, &v) : CTL_FAILED;

    return rc == CTL_DONE ? ctl_print(c, v, "at tenant kind text read id")
                          : rc;
}


/* Those that are named, or the youngest and all that are older. */

ctl_exit_e
ctl_run_notice_read(ctl_t *c)
{
    unsigned     i;
    cp_json_t   *body, *v, *ids;
    ctl_exit_e   rc;

    body = cp_json_object(c->arena);
    ids = cp_json_array(c->arena);

    for (i = 0; i < c->narg && i < CTL_NOTICES_READ; i++) {
        cp_json_push(ids, cp_json_string(c->arena, c->arg[i]));
    }

    if (ctl_opt(c, "all") != NULL) {
        rc = ctl_list(c, "/v1/notices", 1, &v);

        if (rc != CTL_DONE || v->first == NULL) {
            return rc;
        }

        cp_json_put(c->arena, body, "upto", cp_json_str(v->first, "id"));

    } else if (c->narg == 0) {
        return ctl_error("which? notices by their ids, or --all");
    }

    cp_json_set(c->arena, body, "ids", ids);

    return ctl_post(c, "/v1/notices/read", body, &v);
}


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
