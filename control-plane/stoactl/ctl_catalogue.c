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
    const char  *path, *words, *value;

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

    path = cp_arena_printf(c->arena, "/v1/catalogue?q=%s",
                           ctl_escape(c, words));

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        value = ctl_opt(c, options[i][0]);

        if (value) {
            path = cp_arena_printf(c->arena, "%s&%s=%s", path, options[i][1],
                                   ctl_escape(c, value));
        }
    }

    rc = ctl_list(c, path, (unsigned) (limit < 1 ? 1 : limit), &items);

    return rc == CTL_DONE ? ctl_print(c, items, "kind tenant name version"
                                      " state audience category title") : rc;
}
