/*
 * Logging in as a person; the session is kept in the context, 0600.
 */

#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "stoactl.h"


#define CTL_PASSWORD_MAX  256


/* A line of the terminal, not shown while it is typed. */
static ctl_exit_e
ctl_login_prompt(ctl_t *c, const char *what, const char **out)
{
    FILE            *tty;
    char             line[CTL_PASSWORD_MAX + 2];
    bool             got;
    struct termios   was, quiet;

    tty = fopen("/dev/tty", "r+e");

    if (tty == NULL || tcgetattr(fileno(tty), &was) != 0) {
        if (tty != NULL) {
            (void) fclose(tty);
        }

        return ctl_error("there is no terminal to ask for the %s", what);
    }

    quiet = was;
    quiet.c_lflag &= ~(tcflag_t) ECHO;

    fprintf(tty, "%s: ", what);
    (void) fflush(tty);
    (void) tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    got = fgets(line, sizeof(line), tty) != NULL;
    (void) tcsetattr(fileno(tty), TCSAFLUSH, &was);
    fprintf(tty, "\n");
    (void) fclose(tty);

    if (!got) {
        return ctl_error("no %s was typed", what);
    }

    line[strcspn(line, "\r\n")] = '\0';
    *out = cp_arena_strdup(c->arena, line);
    memset(line, 0, sizeof(line));

    return *out ? CTL_DONE : ctl_error("out of memory");
}


/* The first line of a file, else of the terminal. */
static ctl_exit_e
ctl_login_secret(ctl_t *c, const char *option, const char *what,
    const char **out)
{
    size_t       len;
    const char  *file, *text;

    file = ctl_opt(c, option);

    if (file == NULL) {
        return ctl_login_prompt(c, what, out);
    }

    if (ctl_file_read(c, file, &text, &len) != CTL_DONE) {
        return CTL_FAILED;
    }

    *out = cp_arena_strndup(c->arena, text, strcspn(text, "\r\n"));

    return *out ? CTL_DONE : ctl_error("out of memory");
}


static bool
ctl_login_wants(const ctl_answer_t *answer, const char *code)
{
    const char  *type;

    type = answer->json && answer->json->type == CP_JSON_OBJECT
           ? cp_json_str(answer->json, "type") : NULL;

    return type && strncmp(type, "urn:stoa:problem:", 17) == 0
           && strcmp(type + 17, code) == 0;
}


/* What else the server asks for, once each. */
static ctl_exit_e
ctl_login_more(ctl_t *c, const ctl_answer_t *answer, cp_json_t *body)
{
    ctl_exit_e   rc;
    const char  *value;

    if (ctl_login_wants(answer, "second_factor_needed")
        && cp_json_get(body, "code") == NULL)
    {
        rc = ctl_login_prompt(c, "code", &value);

        if (rc == CTL_DONE) {
            cp_json_put(c->arena, body, "code", value);
        }

        return rc;
    }

    if (ctl_login_wants(answer, "password_change_needed")
        && cp_json_get(body, "new_password") == NULL)
    {
        rc = ctl_login_secret(c, "new-password-file", "new password", &value);

        if (rc == CTL_DONE) {
            cp_json_put(c->arena, body, "new_password", value);
        }

        return rc;
    }

    ctl_problem(c, answer);

    return answer->status >= 500 ? CTL_FAILED : CTL_REJECTED;
}


ctl_exit_e
ctl_run_login(ctl_t *c)
{
    cp_json_t     *body;
    ctl_exit_e     rc, said;
    const char    *password;
    ctl_call_t     call = { .method = "POST", .path = "/v1/session",
                            .quiet = true };
    ctl_answer_t   answer;

    if (ctl_opt(c, "user") == NULL) {
        return ctl_device_login(c);
    }

    rc = ctl_login_secret(c, "password-file", "password", &password);
    if (rc != CTL_DONE) {
        return rc;
    }

    /* who logs in is not who is logged in */

    c->token = NULL;
    c->session = NULL;

    body = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "name", ctl_opt(c, "user"));
    cp_json_put(c->arena, body, "password", password);

    if (ctl_opt(c, "code") != NULL) {
        cp_json_put(c->arena, body, "code", ctl_opt(c, "code"));
    }

    for ( ;; ) {
        call.body = cp_json_text(c->arena, body, &call.len);
        said = ctl_call(c, &call, &answer);

        if (said != CTL_REJECTED) {
            break;
        }

        rc = ctl_login_more(c, &answer, body);

        if (rc != CTL_DONE) {
            return rc;
        }
    }

    if (said != CTL_DONE) {
        return said;
    }

    if (c->session == NULL) {
        return ctl_error("%s: the answer has no session; is this the control"
                         " plane?", c->url);
    }

    rc = ctl_config_session(c, c->session);

    return rc == CTL_DONE ? ctl_print(c, answer.json, "user.name how ends_at"
                                      " idle_ends_at") : rc;
}


ctl_exit_e
ctl_run_logout(ctl_t *c)
{
    ctl_exit_e    rc;
    ctl_call_t    call = { .method = "DELETE", .path = "/v1/session",
                           .quiet = true };
    ctl_answer_t  answer;

    if (c->oidc != NULL) {
        return ctl_device_logout(c);
    }

    if (c->session == NULL) {
        return ctl_error("nobody is logged in");
    }

    /* one that is over is forgotten all the same */

    c->token = NULL;
    rc = ctl_call(c, &call, &answer);

    if (rc == CTL_REJECTED && answer.status != 401) {
        ctl_problem(c, &answer);
        return rc;
    }

    return rc == CTL_DONE || rc == CTL_REJECTED ? ctl_config_session(c, NULL)
                                                : rc;
}


ctl_exit_e
ctl_run_users_list(ctl_t *c)
{
    cp_json_t         *v;
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind("user");
    path = kind->path;
    ctl_query(c, &path, "tenant", c->tenant);

    rc = (path != NULL) ? ctl_list(c, path, CTL_ITEMS_MAX, &v) : CTL_FAILED;

    return rc == CTL_DONE ? ctl_print(c, v, kind->columns) : rc;
}


/* The link, or what it would say, whole: a table would cut it. */
static ctl_exit_e
ctl_users_print(ctl_t *c, const cp_json_t *v, const char *columns)
{
    ctl_exit_e   rc;
    const char  *link;

    rc = ctl_print(c, v, columns);
    link = cp_json_str(v, "link");
    link = link ? link : cp_json_str(v, "token");

    if (rc == CTL_DONE && c->out == CTL_OUT_TABLE && link) {
        printf("\n%s\n", ctl_clean(c, link));
    }

    return rc;
}


ctl_exit_e
ctl_run_users_invite(ctl_t *c)
{
    cp_json_t   *body, *v;
    ctl_exit_e   rc;
    const char  *role, *at;

    role = ctl_opt(c, "role");
    role = role ? role : "viewer";

    body = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "mail", c->arg[0]);
    cp_json_put(c->arena, body, "role", role);

    if (c->tenant != NULL && strcmp(role, "platform-admin") != 0) {
        cp_json_put(c->arena, body, "tenant", c->tenant);
    }

    if (ctl_opt(c, "expires-at") != NULL) {
        rc = ctl_time(c, ctl_opt(c, "expires-at"), 1, &at);
        if (rc != CTL_DONE) {
            return rc;
        }

        cp_json_put(c->arena, body, "expires_at", at);
    }

    rc = ctl_post(c, "/v1/invitations", body, &v);

    return rc == CTL_DONE
           ? ctl_users_print(c, v, "id mail role tenant expires_at mailed")
           : rc;
}


/* data: the event. */
ctl_exit_e
ctl_run_users_event(ctl_t *c)
{
    cp_json_t   *body, *v;
    ctl_exit_e   rc;

    body = cp_json_object(c->arena);

    if (ctl_opt(c, "second-factor") != NULL) {
        cp_json_put_bool(c->arena, body, "second_factor", true);
    }

    rc = ctl_post(c, cp_arena_printf(c->arena, "/v1/users/%s/%s",
                                     ctl_escape(c, c->arg[0]),
                                     (const char *) c->cmd->data), body, &v);

    return rc == CTL_DONE ? ctl_users_print(c, v, "name title state") : rc;
}
