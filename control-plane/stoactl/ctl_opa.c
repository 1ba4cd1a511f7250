/*
 * Rules of bundles, tried.
 */

#include "stoactl.h"


/* BUNDLE RULE [INPUT] */
ctl_exit_e
ctl_run_opa_try(ctl_t *c)
{
    size_t       len;
    cp_err_t     err = { .arena = c->arena };
    cp_json_t   *body, *input, *v;
    ctl_exit_e   rc;
    const char  *path, *text;

    rc = ctl_path(c, ctl_kind("bundle"), NULL, c->arg[0], &path);
    body = cp_json_object(c->arena);

    if (rc == CTL_DONE && c->narg > 2) {
        rc = ctl_file_read(c, c->arg[2], &text, &len);

        if (rc == CTL_DONE
            && cp_json_parse(c->arena, text, len, &input, &err) != CP_OK)
        {
            return ctl_error("%s: is no JSON", c->arg[2]);
        }

        if (rc == CTL_DONE) {
            cp_json_set(c->arena, body, "input", input);
        }
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    cp_json_put(c->arena, body, "path", c->arg[1]);
    rc = ctl_post(c, cp_arena_printf(c->arena, "%s/try", path), body, &v);

    return rc == CTL_DONE ? ctl_print(c, v, "decision defined revision value")
                          : rc;
}
