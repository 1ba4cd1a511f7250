/*
 * Keys of applications, subscriptions, admin tokens.
 */

#include <string.h>

#include "stoactl.h"


static ctl_exit_e
ctl_set_expiry(ctl_t *c, cp_json_t *body)
{
    const char  *value;

    value = ctl_opt(c, "expires-at");

    if (value == NULL) {
        return CTL_DONE;
    }

    if (ctl_time(c, value, 1, &value) != CTL_DONE) {
        return CTL_FAILED;
    }

    cp_json_put(c->arena, body, "expires_at", value);

    return CTL_DONE;
}


static void
ctl_set_opt(ctl_t *c, cp_json_t *body, const char *option,
    const char *member)
{
    const char  *value;

    value = ctl_opt(c, option);

    if (value != NULL) {
        cp_json_put(c->arena, body, member, value);
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
    rc = ctl_set_expiry(c, body);

    if (rc == CTL_DONE) {
        rc = ctl_path(c, ctl_kind("credential"), c->arg[0], NULL, &path);
    }

    if (rc == CTL_DONE) {
        rc = ctl_write_post(c, path, body, &answer);
    }

    return (rc == CTL_DONE) ? ctl_key_made(c, &answer) : rc;
}


/* A whole key is a secret: what is sent is the part that names it. */

static ctl_exit_e
ctl_key_query(ctl_t *c, const char *key, const char **query)
{
    size_t       len;
    unsigned     i;
    const char  *p, *text;

    if (strcmp(key, "-") == 0) {
        if (ctl_file_read(c, key, &text, &len) != CTL_DONE) {
            return CTL_FAILED;
        }

        key = cp_arena_strndup(c->arena, text, strcspn(text, " \t\r\n"));
    }

    /* stoa_<env>_<id>[_...] */

    for (p = key, i = 0; p != NULL && i < 2; i++) {
        p = strchr(p, '_');
        p = (p != NULL) ? p + 1 : NULL;
    }

    p = (p != NULL && strncmp(key, "stoa_", 5) == 0) ? p : key;
    len = strcspn(p, "_");

    if (len == 4 && p == key) {
        *query = cp_arena_printf(c->arena, "last4=%s", ctl_escape(c, key));

    } else if (stoa_id_valid(p, len)) {
        *query = cp_arena_printf(c->arena, "id=%.*s", (int) len, p);

    } else {
        return ctl_error("that is no key, prefix, id or end of a key");
    }

    return CTL_DONE;
}


static ctl_exit_e
ctl_key_find(ctl_t *c, const char *key, cp_json_t **keys)
{
    ctl_exit_e   rc;
    const char  *query;

    rc = ctl_key_query(c, key, &query);

    if (rc == CTL_DONE) {
        rc = ctl_list(c, cp_arena_printf(c->arena, "/v1/credentials?%s",
                                         query), CTL_ITEMS_MAX, keys);
    }

    if (rc == CTL_DONE && (*keys)->first == NULL) {
        ctl_error("no such key");
        return CTL_REJECTED;
    }

    return rc;
}


/* KEY [ID] of a command: the key itself, or one of an application's. */

static ctl_exit_e
ctl_key_path(ctl_t *c, const char **path)
{
    cp_json_t   *keys;
    ctl_exit_e   rc;
    const char  *id;

    id = c->arg[1];

    if (c->narg == 1) {
        rc = ctl_key_find(c, c->arg[0], &keys);

        if (rc != CTL_DONE) {
            return rc;
        }

        if (keys->n != 1) {
            return ctl_error("several keys end so; use the id");
        }

        c->tenant = cp_json_str(keys->first, "tenant");
        c->arg[0] = cp_json_str(keys->first, "application");
        id = cp_json_str(keys->first, "id");

    } else if (strncmp(id, "stoa_", 5) == 0) {
        id = strchr(id + 5, '_');
        id = (id != NULL) ? cp_arena_strndup(c->arena, id + 1,
                                             strcspn(id + 1, "_"))
                          : c->arg[1];
    }

    return ctl_path(c, ctl_kind("credential"), c->arg[0], id, path);
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
        rc = ctl_key_path(c, &path);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    body = cp_json_object(c->arena);

    if (grace >= 0) {
        cp_json_put_int(c->arena, body, "grace_s", grace / 1000);
    }

    rc = ctl_set_expiry(c, body);

    if (rc == CTL_DONE) {
        rc = ctl_write_post(c, cp_arena_printf(c->arena, "%s/rotate", path),
                            body, &answer);
    }

    return (rc == CTL_DONE) ? ctl_key_made(c, &answer) : rc;
}


ctl_exit_e
ctl_event(ctl_t *c, const char *path, const char *event, const char *columns)
{
    cp_json_t    *body;
    ctl_exit_e    rc;
    const char   *reason;
    ctl_answer_t  answer;

    reason = ctl_opt(c, "reason");
    body = reason != NULL ? cp_json_object(c->arena) : NULL;

    if (body != NULL) {
        cp_json_put(c->arena, body, "reason", reason);
    }

    rc = ctl_write_post(c, cp_arena_printf(c->arena, "%s/%s", path, event),
                        body, &answer);

    if (rc == CTL_DONE) {
        rc = ctl_print(c, answer.json, columns);
    }

    return (rc == CTL_DONE) ? ctl_written(c, &answer) : rc;
}


ctl_exit_e
ctl_run_key_find(ctl_t *c)
{
    cp_json_t   *keys;
    ctl_exit_e   rc;

    rc = ctl_key_find(c, c->arg[0], &keys);

    return (rc == CTL_DONE)
           ? ctl_print(c, keys, "id tenant application title prefix last4 "
                                "state created_at expires_at") : rc;
}


ctl_exit_e
ctl_run_key_revoke(ctl_t *c)
{
    ctl_exit_e   rc;
    const char  *path;

    rc = ctl_key_path(c, &path);

    return (rc == CTL_DONE)
           ? ctl_event(c, path, "revoke", ctl_kind("credential")->columns)
           : rc;
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
 * "demo/orders" or "acme/demo/orders": the id of the subscription of
 * application demo (of tenant acme) to the api or server orders.  Of several
 * (of two tenants, an api and a server of one name) the one must be chosen by
 * its id.
 */

static bool
ctl_subscription_is(ctl_t *c, const cp_json_t *s, const char *name)
{
    unsigned     i;
    const char  *full;

    static const char *const  targets[] = { "api", "server" };

    for (i = 0; i < 2; i++) {
        full = cp_arena_printf(c->arena, "%s/%s/%s",
                               ctl_cell_text(c, s, "tenant"),
                               ctl_cell_text(c, s, "application"),
                               ctl_cell_text(c, s, targets[i]));

        if (full != NULL && (strcmp(full, name) == 0
                             || strcmp(strchr(full, '/') + 1, name) == 0))
        {
            return true;
        }
    }

    return false;
}


ctl_exit_e
ctl_subscription_id(ctl_t *c, const char *name, const char **id)
{
    unsigned     n;
    cp_json_t   *list, *s;
    ctl_exit_e   rc;
    const char  *path, *state;

    *id = NULL;

    if (strchr(name, '/') == NULL) {
        *id = name;
        return CTL_DONE;
    }

    rc = ctl_path(c, ctl_kind("subscription"), NULL, NULL, &path);

    if (rc == CTL_DONE) {
        rc = ctl_list(c, path, CTL_ITEMS_MAX, &list);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    for (s = list->first, n = 0; s != NULL; s = s->next) {
        state = ctl_cell_text(c, s, "state");

        if (strcmp(state, "revoked") != 0 && strcmp(state, "rejected") != 0
            && strcmp(state, "expired") != 0
            && ctl_subscription_is(c, s, name))
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
    cp_json_put(c->arena, body, "name", c->arg[0]);
    cp_json_put(c->arena, body, "role", role);
    ctl_set_opt(c, body, "title", "title");

    if (strcmp(role, "platform-admin") != 0 && c->tenant != NULL) {
        cp_json_put(c->arena, body, "tenant", c->tenant);
    }

    rc = ctl_set_expiry(c, body);

    if (rc == CTL_DONE) {
        rc = ctl_post(c, "/v1/admin-tokens", body, &v);
    }

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


ctl_exit_e
ctl_run_key_import(ctl_t *c)
{
    size_t         len;
    cp_err_t       err = { .arena = c->arena };
    cp_json_t     *body, *keys;
    ctl_exit_e     rc;
    const char    *path, *text;
    ctl_answer_t   answer;

    rc = ctl_file_read(c, c->arg[1], &text, &len);

    if (rc == CTL_DONE) {
        rc = ctl_path(c, ctl_kind("credential"), c->arg[0], NULL, &path);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    if (cp_json_parse(c->arena, text, len, &keys, &err) != CP_OK) {
        return ctl_error("%s: %s", c->arg[1], err.detail ? err.detail : "?");
    }

    body = cp_json_object(c->arena);
    cp_json_set(c->arena, body, "keys", keys);

    rc = ctl_write_post(c, cp_arena_printf(c->arena, "%s/import", path), body,
                        &answer);

    if (rc == CTL_DONE) {
        rc = ctl_print(c, cp_json_get(answer.json, "items"),
                       "index result id detail");
    }

    return (rc == CTL_DONE) ? ctl_written(c, &answer) : rc;
}
