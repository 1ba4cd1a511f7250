/*
 * Sets of policies that are made of a template: another version or other
 * parameters, and back to what they say.
 */

#include <stdlib.h>
#include <string.h>

#include "stoactl.h"


static const char  ctl_set_columns[] = "policy action diff";


/* "origins=[...]": a value of JSON, or else the text as it stands. */

static ctl_exit_e
ctl_set_parameters(ctl_t *c, cp_json_t *body)
{
    cp_json_t   *all, *val;
    unsigned     i;
    const char  *eq, *name, *said;

    all = NULL;

    for (i = 1; i < c->narg; i++) {
        said = c->arg[i];
        eq = strchr(said, '=');

        if (eq == NULL || eq == said) {
            return ctl_error("\"%s\" is no NAME=VALUE", said);
        }

        name = cp_arena_strndup(c->arena, said, (size_t) (eq - said));

        if (cp_json_parse(c->arena, eq + 1, strlen(eq + 1), &val, NULL)
            != CP_OK)
        {
            val = cp_json_string(c->arena, eq + 1);
        }

        all = all ? all : cp_json_object(c->arena);
        cp_json_set(c->arena, all, name, val);
    }

    if (all != NULL) {
        cp_json_set(c->arena, body, "parameters", all);
    }

    return CTL_DONE;
}


static ctl_exit_e
ctl_set_version(ctl_t *c, const char *path, cp_json_t *body)
{
    int64_t      version;
    cp_json_t   *set;
    ctl_exit_e   rc;

    rc = ctl_opt_number(c, "version", 0, &version);

    if (rc == CTL_DONE && version == 0) {
        rc = ctl_get(c, path, &set);
        version = rc == CTL_DONE ? cp_json_num(set, "latest", 0) : 0;
    }

    if (rc == CTL_DONE) {
        cp_json_put_int(c->arena, body, "version", version);
    }

    return rc;
}


/* data: an upgrade; without it what is there is made again. */

ctl_exit_e
ctl_run_policy_set(ctl_t *c)
{
    size_t             len;
    cp_json_t         *body, *v;
    ctl_call_t         call = { .method = "PATCH" };
    ctl_exit_e         rc;
    const char        *path;
    ctl_answer_t       answer;
    const ctl_kind_t  *kind;

    kind = ctl_kind("policy-set");
    body = cp_json_object(c->arena);
    rc = ctl_path(c, kind, NULL, c->arg[0], &path);

    if (rc == CTL_DONE && c->cmd->data != NULL) {
        rc = ctl_set_version(c, path, body);
    }

    if (rc == CTL_DONE) {
        rc = ctl_set_parameters(c, body);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    if (ctl_opt(c, "dry-run") != NULL) {
        rc = ctl_post(c, cp_arena_printf(c->arena, "%s/preview", path), body,
                      &v);

        return rc == CTL_DONE ? ctl_print(c, cp_json_get(v, "changes"),
                                          ctl_set_columns) : rc;
    }

    call.path = path;
    call.body = cp_json_text(c->arena, body, &len);
    call.len = len;
    call.type = "application/merge-patch+json";

    rc = ctl_write(c, &call, &answer);

    if (rc == CTL_DONE) {
        rc = ctl_print(c, answer.json, kind->columns);
    }

    return rc == CTL_DONE ? ctl_written(c, &answer) : rc;
}
