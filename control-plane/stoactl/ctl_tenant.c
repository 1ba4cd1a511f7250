/*
 * Whole tenants: out and in.
 */

#include <string.h>

#include "stoactl.h"


/* The first line of --passphrase-file; NULL: there is none. */

static ctl_exit_e
ctl_passphrase(ctl_t *c, const char **phrase)
{
    size_t       len;
    ctl_exit_e   rc;
    const char  *path, *text;

    *phrase = NULL;
    path = ctl_opt(c, "passphrase-file");

    if (path == NULL) {
        return CTL_DONE;
    }

    rc = ctl_file_read(c, path, &text, &len);

    if (rc != CTL_DONE) {
        return rc;
    }

    *phrase = cp_arena_strndup(c->arena, text, strcspn(text, "\r\n"));

    return CTL_DONE;
}


ctl_exit_e
ctl_run_tenant_export(ctl_t *c)
{
    ctl_exit_e     rc;
    ctl_call_t     call = { .method = "POST", .accept = "application/yaml" };
    ctl_answer_t   answer;

    call.path = cp_arena_printf(c->arena, "/v1/tenants/%s/export",
                                ctl_escape(c, c->arg[0]));

    rc = ctl_passphrase(c, &call.passphrase);

    if (rc == CTL_DONE) {
        rc = ctl_call(c, &call, &answer);
    }

    if (rc == CTL_DONE) {
        fwrite(answer.text, 1, answer.len, stdout);
    }

    return rc;
}


ctl_exit_e
ctl_run_tenant_import(ctl_t *c)
{
    ctl_exit_e     rc;
    ctl_call_t     call = { .method = "POST", .path = "/v1/tenant-imports",
                            .type = "application/yaml" };
    ctl_answer_t   answer;

    ctl_query(c, &call.path, "name", ctl_opt(c, "name"));

    rc = (call.path != NULL) ? ctl_passphrase(c, &call.passphrase)
                             : CTL_FAILED;

    if (rc == CTL_DONE) {
        rc = ctl_file_read(c, c->arg[0], &call.body, &call.len);
    }

    if (rc == CTL_DONE) {
        rc = ctl_write(c, &call, &answer);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    rc = ctl_print(c, answer.json, "rev state credentials credentials_left");

    return (rc == CTL_DONE) ? ctl_written(c, &answer) : rc;
}
