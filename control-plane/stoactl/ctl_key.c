/*
 * Keys of applications, subscriptions, admin tokens.
 */

#include <string.h>

#include "stoactl.h"


static void
ctl_set_opt(ctl_t *c, cp_json_t *body, const char *option,
    const char *member)
{
    const char  *value;

    value = ctl_opt(c, option);

    if (value != NULL) {
        cp_json_set(c->arena, body, member,
                    cp_json_string(c->arena, value));
    }
}


static ctl_exit_e
ctl_key_made(ctl_t *c, const ctl_answer_t *answer)
{
    ctl_exit_e  rc;

    rc = ctl_print_secret(c, answer->json, "key");

    return (rc == CTL_DONE) ? ctl_written(c, answer) : rc;
}


ctl_exit_e
ctl_run_key_create(ctl_t *c)
{
    cp_json_t     *body;
    ctl_exit_e     rc;
    const char    *path;
    ctl_answer_t   answer;

    body = cp_json_object(c->arena);
    ctl_set_opt(c, body, "env", "env");
    ctl_set_opt(c, body, "title", "title");
    ctl_set_opt(c, body, "expires-at", "expires_at");

    rc = ctl_path(c, ctl_kind("credential"), c->arg[0], NULL, &path);

    if (rc == CTL_DONE) {
        rc = ctl_write_post(c, path, body, &answer);
    }

    return (rc == CTL_DONE) ? ctl_key_made(c, &answer) : rc;
}


ctl_exit_e
ctl_run_key_rotate(ctl_t *c)
{
    int64_t        grace;
    cp_json_t     *body;
    ctl_exit_e     rc;
    const char    *path;
    ctl_answer_t   answer;

    rc = ctl_opt_duration(c, "grace", -1, &grace);

    if (rc == CTL_DONE) {
        rc = ctl_path(c, ctl_kind("credential"), c->arg[0], c->arg[1], &path);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    body = cp_json_object(c->arena);

    if (grace >= 0) {
        cp_json_set(c->arena, body, "grace_s",
                    cp_json_int(c->arena, grace / 1000));
    }

    rc = ctl_write_post(c, cp_arena_printf(c->arena, "%s/rotate", path), body,
                        &answer);

    return (rc == CTL_DONE) ? ctl_key_made(c, &answer) : rc;
}


ctl_exit_e
ctl_event(ctl_t *c, const char *path, const char *event, const char *columns)
{
    ctl_exit_e    rc;
    ctl_answer_t  answer;

    rc = ctl_write_post(c, cp_arena_printf(c->arena, "%s/%s", path, event),
                        NULL, &answer);

    if (rc == CTL_DONE) {
        rc = ctl_print(c, answer.json, columns);
    }

    return (rc == CTL_DONE) ? ctl_written(c, &answer) : rc;
}


ctl_exit_e
ctl_run_key_revoke(ctl_t *c)
{
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind("credential");
    rc = ctl_path(c, kind, c->arg[0], c->arg[1], &path);

    return (rc == CTL_DONE) ? ctl_event(c, path, "revoke", kind->columns) : rc;
}


ctl_exit_e
ctl_run_key_list(ctl_t *c)
{
    cp_json_t         *v;
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind("credential");
    rc = ctl_path(c, kind, c->arg[0], NULL, &path);

    if (rc == CTL_DONE) {
        rc = ctl_list(c, path, CTL_ITEMS_MAX, &v);
    }

    return (rc == CTL_DONE) ? ctl_print(c, v, kind->columns) : rc;
}


/*
 * "demo/orders": the id of the subscription of application demo to the api or
 * server orders.  Of several (an ended one and its successor, an api and a
 * server of one name) the one must be chosen by its id.
 */

static ctl_exit_e
ctl_subscription_id(ctl_t *c, const char *name, const char **id)
{
    unsigned     n;
    cp_json_t   *list, *s;
    ctl_exit_e   rc;
    const char  *slash, *path, *state, *app;

    *id = NULL;
    slash = strchr(name, '/');

    if (slash == NULL) {
        *id = name;
        return CTL_DONE;
    }

    rc = ctl_path(c, ctl_kind("subscription"), NULL, NULL, &path);

    if (rc == CTL_DONE) {
        app = cp_arena_strndup(c->arena, name, (size_t) (slash - name));
        path = cp_arena_printf(c->arena, "%s?application=%s", path,
                               ctl_escape(c, app));
        rc = ctl_list(c, path, CTL_ITEMS_MAX, &list);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    for (s = list->first, n = 0; s != NULL; s = s->next) {
        state = ctl_cell_text(c, s, "state");

        if (strcmp(state, "revoked") == 0 || strcmp(state, "rejected") == 0
            || strcmp(state, "expired") == 0)
        {
            continue;
        }

        if (strcmp(ctl_cell_text(c, s, "api"), slash + 1) == 0
            || strcmp(ctl_cell_text(c, s, "server"), slash + 1) == 0)
        {
            *id = cp_json_str(s, "id");
            n++;
        }
    }

    if (n != 1 || *id == NULL) {
        ctl_error("%s: %s", name, n == 0 ? "no such subscription"
                                : "several subscriptions; use the id");
        return (n == 0) ? CTL_REJECTED : CTL_FAILED;
    }

    return CTL_DONE;
}


ctl_exit_e
ctl_run_subscription(ctl_t *c)
{
    ctl_exit_e         rc;
    const char        *id, *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind("subscription");
    rc = ctl_subscription_id(c, c->arg[0], &id);

    if (rc == CTL_DONE) {
        rc = ctl_path(c, kind, NULL, id, &path);
    }

    return (rc == CTL_DONE) ? ctl_event(c, path, c->cmd->data, kind->columns)
                            : rc;
}


ctl_exit_e
ctl_run_token_create(ctl_t *c)
{
    cp_json_t   *body, *v;
    ctl_exit_e   rc;
    const char  *role;

    role = ctl_opt(c, "role");
    role = (role != NULL) ? role : "viewer";

    body = cp_json_object(c->arena);
    cp_json_set(c->arena, body, "name", cp_json_string(c->arena, c->arg[0]));
    cp_json_set(c->arena, body, "role", cp_json_string(c->arena, role));
    ctl_set_opt(c, body, "title", "title");
    ctl_set_opt(c, body, "expires-at", "expires_at");

    if (strcmp(role, "platform-admin") != 0 && c->tenant != NULL) {
        cp_json_set(c->arena, body, "tenant",
                    cp_json_string(c->arena, c->tenant));
    }

    rc = ctl_post(c, "/v1/admin-tokens", body, &v);

    return (rc == CTL_DONE) ? ctl_print_secret(c, v, "token") : rc;
}


ctl_exit_e
ctl_run_token_list(ctl_t *c)
{
    cp_json_t         *v;
    ctl_exit_e         rc;
    const ctl_kind_t  *kind;

    kind = ctl_kind("admin-token");
    rc = ctl_list(c, kind->path, CTL_ITEMS_MAX, &v);

    return (rc == CTL_DONE) ? ctl_print(c, v, kind->columns) : rc;
}


ctl_exit_e
ctl_run_token_revoke(ctl_t *c)
{
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind("admin-token");
    rc = ctl_path(c, kind, NULL, c->arg[0], &path);

    return (rc == CTL_DONE) ? ctl_event(c, path, "revoke", kind->columns) : rc;
}
