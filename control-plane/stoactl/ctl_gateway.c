/*
 * Gateways: what they hold, what they refused; registration.
 */

#include <string.h>

#include "stoactl.h"


/* In its own words. */

static void
ctl_put_why(ctl_t *c, const cp_json_t *gateway)
{
    const char  *error;

    error = cp_json_str(gateway, "sync_error");

    if (error != NULL && *error != '\0') {
        printf("\n%s is %s: %s\n",
               ctl_clean(c, ctl_cell_text(c, gateway, "name")),
               ctl_clean(c, ctl_cell_text(c, gateway, "sync_state")),
               ctl_clean(c, error));
    }
}


static void
ctl_put_rejected(ctl_t *c, const cp_json_t *gateway)
{
    const cp_json_t  *list, *row;

    list = cp_json_get(gateway, "rejected");

    if (list == NULL || list->type != CP_JSON_ARRAY || list->n == 0) {
        return;
    }

    printf("\n%s refused:\n", ctl_cell_text(c, gateway, "name"));

    for (row = list->first; row != NULL; row = row->next) {
        printf("  %s (revision %s): %s\n",
               ctl_clean(c, ctl_cell_text(c, row, "key")),
               ctl_cell_text(c, row, "rev"),
               ctl_clean(c, ctl_cell_text(c, row, "error")));
    }
}


ctl_exit_e
ctl_run_gateway_status(ctl_t *c)
{
    cp_json_t         *v, *g;
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind("gateway");
    rc = ctl_path(c, kind, NULL, c->narg > 0 ? c->arg[0] : NULL, &path);

    if (rc == CTL_DONE) {
        rc = (c->narg > 0) ? ctl_get(c, path, &v)
                           : ctl_list(c, path, CTL_ITEMS_MAX, &v);
    }

    if (rc == CTL_DONE) {
        rc = ctl_print(c, v, kind->columns);
    }

    if (rc != CTL_DONE || c->out != CTL_OUT_TABLE) {
        return rc;
    }

    if (v->type == CP_JSON_OBJECT) {
        ctl_put_why(c, v);
        ctl_put_rejected(c, v);
        return CTL_DONE;
    }

    for (g = v->first; g != NULL; g = g->next) {
        ctl_put_why(c, g);
        ctl_put_rejected(c, g);
    }

    return CTL_DONE;
}


/* The group "default" is there when it is wanted; others are made by their
 * owners. */

static ctl_exit_e
ctl_gateway_default(ctl_t *c)
{
    cp_json_t     *body, *v;
    ctl_exit_e     rc;
    ctl_call_t     call = { .method = "GET", .quiet = true,
                            .path = "/v1/gateway-groups/default" };
    ctl_answer_t   answer;

    rc = ctl_call(c, &call, &answer);

    if (rc != CTL_REJECTED) {
        return rc;
    }

    if (answer.status != 404) {
        ctl_problem(c, &answer);
        return rc;
    }

    body = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "name", "default");

    return ctl_post(c, "/v1/gateway-groups", body, &v);
}


ctl_exit_e
ctl_run_gateway_create(ctl_t *c)
{
    cp_json_t   *body, *v;
    ctl_exit_e   rc;
    const char  *group, *title;

    group = ctl_opt(c, "group");
    title = ctl_opt(c, "title");

    if (group == NULL || strcmp(group, "default") == 0) {
        rc = ctl_gateway_default(c);

        if (rc != CTL_DONE) {
            return rc;
        }
    }

    body = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "name", c->arg[0]);
    cp_json_put(c->arena, body, "group", group != NULL ? group : "default");

    if (title != NULL) {
        cp_json_put(c->arena, body, "title", title);
    }

    rc = ctl_post(c, "/v1/gateways", body, &v);

    return (rc == CTL_DONE) ? ctl_print_secret(c, v, "token") : rc;
}


ctl_exit_e
ctl_run_gateway_delete(ctl_t *c)
{
    ctl_exit_e    rc;
    ctl_call_t    call = { .method = "DELETE" };
    ctl_answer_t  answer;

    rc = ctl_path(c, ctl_kind("gateway"), NULL, c->arg[0], &call.path);

    if (rc == CTL_DONE) {
        rc = ctl_call(c, &call, &answer);
    }

    if (rc == CTL_DONE) {
        printf("gateway %s deleted\n", c->arg[0]);
    }

    return rc;
}
