/*
 * The catalogue: what is there.
 */

#include "stoactl.h"


ctl_exit_e
ctl_run_search(ctl_t *c)
{
    unsigned     i;
    int64_t      limit;
    cp_json_t   *items;
    ctl_exit_e   rc;
    const char  *path, *words;

    static const char *const  options[][2] = {
        { "kind", "kind" }, { "tag", "tag" }, { "category", "category" },
        { "of", "tenant" }
    };

    rc = ctl_opt_number(c, "limit", 100, &limit);

    if (rc != CTL_DONE) {
        return rc;
    }

    words = "";

    for (i = 0; i < c->narg; i++) {
        words = cp_arena_printf(c->arena, "%s%s%s", words, i ? " " : "",
                                c->arg[i]);
    }

    path = "/v1/catalogue";
    ctl_query(c, &path, "q", words);

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        ctl_query(c, &path, options[i][1], ctl_opt(c, options[i][0]));
    }

    rc = path ? ctl_list(c, path, (unsigned) (limit < 1 ? 1 : limit), &items)
              : CTL_FAILED;

    return rc == CTL_DONE ? ctl_print(c, items, "kind tenant name version"
                                      " state audience category title") : rc;
}


ctl_exit_e
ctl_run_promote(ctl_t *c)
{
    cp_json_t         *body, *v;
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind("promotion");
    rc = ctl_path(c, kind, NULL, NULL, &path);

    if (rc != CTL_DONE) {
        return rc;
    }

    body = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "api", c->arg[0]);
    cp_json_put(c->arena, body, "to", c->arg[1]);

    if (ctl_opt(c, "target")) {
        cp_json_put(c->arena, body, "target", ctl_opt(c, "target"));
    }

    if (ctl_opt(c, "reason")) {
        cp_json_put(c->arena, body, "reason", ctl_opt(c, "reason"));
    }

    rc = ctl_post(c, path, body, &v);

    return rc == CTL_DONE ? ctl_print(c, v, kind->columns) : rc;
}


ctl_exit_e
ctl_run_handover(ctl_t *c)
{
    unsigned           i;
    cp_json_t         *body, *owner, *v;
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    static const char *const  options[] = { "client", "user", "group" };

    kind = ctl_kind("handover");
    rc = ctl_path(c, kind, NULL, NULL, &path);

    if (rc != CTL_DONE) {
        return rc;
    }

    body = cp_json_object(c->arena);
    owner = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "application", c->arg[0]);
    cp_json_set(c->arena, body, "owner", owner);

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (ctl_opt(c, options[i])) {
            cp_json_put(c->arena, owner, options[i], ctl_opt(c, options[i]));
        }
    }

    if (ctl_opt(c, "reason")) {
        cp_json_put(c->arena, body, "reason", ctl_opt(c, "reason"));
    }

    rc = ctl_post(c, path, body, &v);

    return rc == CTL_DONE ? ctl_print(c, v, kind->columns) : rc;
}


ctl_exit_e
ctl_run_dependents(ctl_t *c)
{
    cp_json_t         *v;
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind(c->arg[0]);

    if (kind == NULL) {
        return ctl_error("\"%s\" is no kind", c->arg[0]);
    }

    rc = ctl_path(c, kind, ctl_opt(c, "api"), c->arg[1], &path);

    if (rc == CTL_DONE) {
        rc = ctl_get(c, cp_arena_printf(c->arena, "%s/dependents", path), &v);
    }

    return rc == CTL_DONE ? ctl_print(c, cp_json_get(v, "items"),
                                      "kind effect count names") : rc;
}
