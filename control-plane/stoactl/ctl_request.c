/*
 * "stoactl request": any route of the interface, for what has no command.
 */

#include <ctype.h>
#include <string.h>

#include "stoactl.h"


ctl_exit_e
ctl_run_request(ctl_t *c)
{
    char          *method, *p;
    ctl_exit_e     rc;
    ctl_call_t     call;
    const char    *file, *type;
    ctl_answer_t   answer;

    memset(&call, 0, sizeof(call));
    method = cp_arena_strdup(c->arena, c->arg[0]);

    if (method == NULL) {
        return ctl_error("out of memory");
    }

    for (p = method; *p != '\0'; p++) {
        *p = (char) toupper((unsigned char) *p);
    }

    if (c->arg[1][0] != '/') {
        return ctl_error("the path begins with /, such as /v1/whoami");
    }

    call.method = method;
    call.path = c->arg[1];
    file = ctl_opt(c, "file");

    if (file != NULL) {
        rc = ctl_file_read(c, file, &call.body, &call.len);
        if (rc != CTL_DONE) {
            return rc;
        }

        /* YAML reads JSON too */

        type = ctl_opt(c, "type");
        call.type = (type != NULL) ? type : "application/yaml";
    }

    rc = ctl_call(c, &call, &answer);

    if (rc == CTL_DONE && answer.len > 0) {
        fwrite(answer.text, 1, answer.len, stdout);

        if (answer.text[answer.len - 1] != '\n') {
            putchar('\n');
        }
    }

    return rc;
}
