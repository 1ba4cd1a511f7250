/*
 * OpenAPI documents of apis.
 */

#include <string.h>

#include "stoactl.h"


#define CTL_CHANGE_COLUMNS                                                    \
    "verdict rule where operation pointer before after"
#define CTL_FINDING_COLUMNS  "severity rule line pointer message"


/* path: below the api. */
static ctl_exit_e
ctl_document_path(ctl_t *c, const char *path, const char **out)
{
    ctl_exit_e  rc;

    rc = ctl_path(c, ctl_kind("api"), NULL, c->arg[0], out);

    if (rc == CTL_DONE) {
        *out = cp_arena_printf(c->arena, "%s/%s", *out, path);
    }

    return rc;
}


/* JSON begins with {, after white space and a byte order mark. */
static bool
ctl_document_is_json(const char *text, size_t len)
{
    cp_text_skip_mark(&text, &len);

    return text[strspn(text, " \t\r\n")] == '{';
}


static ctl_exit_e
ctl_document_send(ctl_t *c, const char *path, const char *file,
    ctl_answer_t *answer)
{
    ctl_exit_e  rc;
    ctl_call_t  call = { .method = "POST", .path = path };

    rc = ctl_file_read(c, file, &call.body, &call.len);

    if (rc == CTL_DONE) {
        call.type = ctl_document_is_json(call.body, call.len)
                    ? "application/json" : "application/yaml";
        rc = ctl_call(c, &call, answer);
    }

    return rc;
}


ctl_exit_e
ctl_run_document_import(ctl_t *c)
{
    bool               dry;
    ctl_exit_e         rc;
    const char        *path, *how;
    ctl_answer_t       answer;
    unsigned           i;
    const cp_json_t   *m, *list;
    const char *const  said[] = { "create", "update", "delete", "held",
                                 "left_out" };

    dry = ctl_opt(c, "dry-run") != NULL;
    how = ctl_opt(c, "operations");
    rc = ctl_document_path(c, cp_arena_printf(c->arena, "documents?operations"
                           "=%s%s", how ? how : "replace",
                           dry ? "&dry_run=1" : ""), &path);

    if (rc == CTL_DONE) {
        rc = ctl_document_send(c, path, c->arg[1], &answer);
    }

    if (rc != CTL_DONE || c->out != CTL_OUT_TABLE) {
        return rc == CTL_DONE ? ctl_print(c, answer.json, NULL) : rc;
    }

    m = cp_json_get(answer.json, "changed");
    printf("%s document %s of %s, %s, %s operations\n",
           m && m->i ? "new" : "unchanged",
           ctl_cell_text(c, answer.json, "number"),
           c->arg[0], ctl_cell_text(c, answer.json, "format"),
           ctl_cell_text(c, answer.json, "operations"));

    for (i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        list = cp_json_get(cp_json_get(answer.json, "imported"), said[i]);

        for (m = list ? list->first : NULL; m; m = m->next) {
            printf("%s %s (%s)%s%s\n", said[i],
                   ctl_clean(c, ctl_cell_text(c, m, "name")),
                   ctl_clean(c, ctl_cell_text(c, m, "operation")),
                   cp_json_get(m, "why") ? ": " : "",
                   cp_json_get(m, "why")
                   ? ctl_clean(c, ctl_cell_text(c, m, "why")) : "");
        }
    }

    list = cp_json_get(cp_json_get(answer.json, "diff"), "changes");

    return list && list->n ? ctl_print(c, list, CTL_CHANGE_COLUMNS)
                           : CTL_DONE;
}


ctl_exit_e
ctl_run_document_list(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    rc = ctl_document_path(c, "documents", &path);

    if (rc == CTL_DONE) {
        rc = ctl_get(c, path, &v);
    }

    return rc == CTL_DONE
           ? ctl_print(c, cp_json_get(v, "items"), "number version format"
                       " openapi operations bytes created_at created_by")
           : rc;
}


ctl_exit_e
ctl_run_document_get(ctl_t *c)
{
    ctl_exit_e    rc;
    const char   *path;
    ctl_call_t    call = { .method = "GET" };
    ctl_answer_t  answer;

    rc = ctl_document_path(c, cp_arena_printf(c->arena, "documents/%s",
                           ctl_escape(c, c->narg > 1 ? c->arg[1] : "latest")),
                           &path);

    if (rc == CTL_DONE) {
        call.path = path;
        rc = ctl_call(c, &call, &answer);
    }

    if (rc == CTL_DONE
        && fwrite(answer.text, 1, answer.len, stdout) != answer.len)
    {
        rc = ctl_error("standard output: cannot write");
    }

    return rc;
}


/* Of two that are kept.  Different when something breaks. */
ctl_exit_e
ctl_run_document_diff(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    rc = ctl_document_path(c, cp_arena_printf(c->arena, "document-diff?from="
                           "%s&to=%s", ctl_escape(c, c->arg[1]),
                           ctl_escape(c, c->narg > 2 ? c->arg[2]
                                                     : "latest")), &path);

    if (rc == CTL_DONE) {
        rc = ctl_get(c, path, &v);
    }

    if (rc == CTL_DONE) {
        rc = ctl_print(c, c->out == CTL_OUT_TABLE ? cp_json_get(v, "changes")
                          : v, CTL_CHANGE_COLUMNS);
    }

    return rc == CTL_DONE && cp_json_num(v, "breaking", 0) > 0
           ? CTL_DIFFERENT : rc;
}


ctl_exit_e
ctl_run_document_lint(ctl_t *c)
{
    ctl_exit_e    rc;
    ctl_answer_t  answer;

    rc = ctl_document_send(c, "/v1/specs/lint", c->arg[0], &answer);

    if (rc == CTL_DONE) {
        rc = ctl_print(c, c->out == CTL_OUT_TABLE
                          ? cp_json_get(answer.json, "findings")
                          : answer.json, CTL_FINDING_COLUMNS);
    }

    return rc == CTL_DONE
           && cp_json_num(cp_json_get(answer.json, "counts"), "error", 0) > 0
           ? CTL_DIFFERENT : rc;
}
