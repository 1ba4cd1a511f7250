/*
 * The configuration file: named contexts {url, token or token_file, tenant}.
 *
 *     current_context: dev
 *     contexts:
 *       - name: dev
 *         url: http://127.0.0.1:8400
 *         token_file: /etc/stoa/admin.token
 *         tenant: acme
 *         session: (what "stoactl login" keeps)
 *         oidc: (or this, of a login at the provider)
 *
 * Precedence: option, environment, context, default.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stoactl.h"


#define CTL_URL_DEFAULT  "http://127.0.0.1:8400"


static const char *
ctl_config_path(ctl_t *c)
{
    const char  *dir;

    if (ctl_env("STOA_CONFIG") != NULL) {
        return ctl_env("STOA_CONFIG");
    }

    dir = ctl_env("XDG_CONFIG_HOME");

    if (dir != NULL) {
        return cp_arena_printf(c->arena, "%s/stoa/config.yaml", dir);
    }

    dir = ctl_env("HOME");

    return cp_arena_printf(c->arena, "%s/.config/stoa/config.yaml",
                           dir != NULL ? dir : "");
}


/* An absent file is an empty configuration. */

static ctl_exit_e
ctl_config_read(ctl_t *c, cp_json_t **config)
{
    size_t       len;
    cp_err_t     err = { .arena = c->arena };
    cp_json_t   *docs;
    const char  *path, *text;
    struct stat  st;

    path = ctl_config_path(c);
    *config = cp_json_object(c->arena);

    if (stat(path, &st) != 0) {
        if (errno == ENOENT && *config != NULL) {
            return CTL_DONE;
        }

        return ctl_error("%s: %s", path, strerror(errno));
    }

    if ((st.st_mode & 077) != 0) {
        fprintf(stderr, "stoactl: warning: %s can be read by others; "
                        "chmod 600 it\n", path);
    }

    if (ctl_file_read(c, path, &text, &len) != CTL_DONE) {
        return CTL_FAILED;
    }

    if (cp_yaml_parse(c->arena, text, len, &docs, &err) != CP_OK
        || docs->n > 1
        || (docs->n == 1 && docs->first->type != CP_JSON_OBJECT))
    {
        return ctl_error("%s:%u: %s", path, err.n > 0 ? err.faults[0].line : 1,
                         err.n > 0 ? err.faults[0].message
                                   : err.detail != NULL ? err.detail
                                   : "must be one mapping");
    }

    if (docs->n == 1) {
        *config = docs->first;
    }

    return CTL_DONE;
}


static cp_json_t *
ctl_config_context(const cp_json_t *config, const char *name)
{
    cp_json_t   *ctx, *contexts;
    const char  *s;

    contexts = cp_json_get(config, "contexts");

    if (contexts == NULL || contexts->type != CP_JSON_ARRAY) {
        return NULL;
    }

    for (ctx = contexts->first; ctx != NULL; ctx = ctx->next) {
        s = (ctx->type == CP_JSON_OBJECT) ? cp_json_str(ctx, "name") : NULL;

        if (s != NULL && strcmp(s, name) == 0) {
            return ctx;
        }
    }

    return NULL;
}


static const char *
ctl_config_pick(const char *option, const char *env, const cp_json_t *ctx,
    const char *member)
{
    if (option != NULL) {
        return option;
    }

    if (env != NULL) {
        return env;
    }

    return (ctx != NULL) ? cp_json_str(ctx, member) : NULL;
}


static ctl_exit_e
ctl_config_token_file(ctl_t *c, const char *path)
{
    char        *token;
    size_t       len;
    const char  *text;

    if (ctl_file_read(c, path, &text, &len) != CTL_DONE) {
        return CTL_FAILED;
    }

    token = cp_arena_strndup(c->arena, text, strcspn(text, "\r\n"));
    c->token = token;

    if (token == NULL || *token == '\0') {
        return ctl_error("%s: holds no token", path);
    }

    return CTL_DONE;
}


/* `help`, `version`, `completion` and `config` must not fail because of a
 * broken file. */

static bool
ctl_config_needed(const ctl_cmd_t *cmd)
{
    return cmd->run != ctl_run_help && cmd->run != ctl_run_version
           && cmd->run != ctl_run_completion
           && strncmp(cmd->name, "config ", 7) != 0;
}


static const cp_json_t *
ctl_config_kept(const cp_json_t *ctx)
{
    const cp_json_t  *oidc;

    oidc = cp_json_get(ctx, "oidc");

    return oidc != NULL && oidc->type == CP_JSON_OBJECT
           && cp_json_str(oidc, "token_endpoint") != NULL ? oidc : NULL;
}


ctl_exit_e
ctl_config_load(ctl_t *c)
{
    cp_json_t   *config, *ctx;
    const char  *name, *file;

    if (!ctl_config_needed(c->cmd)) {
        return CTL_DONE;
    }

    if (ctl_config_read(c, &config) != CTL_DONE) {
        return CTL_FAILED;
    }

    ctx = NULL;
    name = ctl_config_pick(ctl_opt(c, "context"), ctl_env("STOA_CONTEXT"),
                           config, "current_context");

    if (name != NULL) {
        ctx = ctl_config_context(config, name);

        if (ctx == NULL) {
            return ctl_error("no context \"%s\" in %s", name,
                             ctl_config_path(c));
        }
    }

    c->url = ctl_config_pick(ctl_opt(c, "url"), ctl_env("STOA_URL"), ctx,
                             "url");
    c->tenant = ctl_config_pick(ctl_opt(c, "tenant"), ctl_env("STOA_TENANT"),
                                ctx, "tenant");

    if (c->url == NULL) {
        c->url = CTL_URL_DEFAULT;
    }

    c->context = name;
    c->token = ctl_opt(c, "token");
    file = ctl_opt(c, "token-file");

    if (c->token == NULL && file == NULL && ctl_env("STOA_TOKEN") == NULL
        && ctx != NULL)
    {
        c->session = cp_json_str(ctx, "session");
        c->session = c->session && *c->session ? c->session : NULL;
        c->oidc = c->session ? NULL : ctl_config_kept(ctx);
    }

    if (c->session == NULL && c->oidc == NULL && c->token == NULL
        && file == NULL)
    {
        c->token = ctl_config_pick(NULL, ctl_env("STOA_TOKEN"), ctx, "token");
        file = (c->token == NULL && ctx != NULL)
                   ? cp_json_str(ctx, "token_file") : NULL;
    }

    return (c->token == NULL && file != NULL) ? ctl_config_token_file(c, file)
                                              : CTL_DONE;
}


static ctl_exit_e
ctl_config_write(ctl_t *c, const cp_json_t *config)
{
    stoa_buf_t  b;
    ctl_exit_e  rc;

    stoa_buf_init(&b, CTL_FILE_MAX);
    cp_yaml_write(&b, config, 0);

    if (b.rc == STOA_OK) {
        rc = ctl_file_write_private(ctl_config_path(c), b.data, b.len);

    } else {
        rc = ctl_error("the configuration is too large");
    }

    stoa_buf_free(&b);

    return rc;
}


ctl_exit_e
ctl_run_config_get(ctl_t *c)
{
    bool         current;
    cp_json_t   *config, *ctx, *row, *rows, *contexts;
    const char  *name, *s;

    if (ctl_config_read(c, &config) != CTL_DONE) {
        return CTL_FAILED;
    }

    rows = cp_json_array(c->arena);
    contexts = cp_json_get(config, "contexts");
    name = cp_json_str(config, "current_context");

    for (ctx = (contexts != NULL) ? contexts->first : NULL;
         ctx != NULL;
         ctx = ctx->next)
    {
        s = (ctx->type == CP_JSON_OBJECT) ? cp_json_str(ctx, "name") : NULL;

        if (s == NULL) {
            continue;
        }

        current = (name != NULL && strcmp(s, name) == 0);
        row = cp_json_object(c->arena);

        cp_json_put(c->arena, row, "current", current ? "*" : "");
        cp_json_put(c->arena, row, "name", s);
        cp_json_put(c->arena, row, "url", cp_json_str(ctx, "url"));
        cp_json_put(c->arena, row, "tenant", cp_json_str(ctx, "tenant"));
        cp_json_push(rows, row);
    }

    return ctl_print(c, rows, "current name url tenant");
}


ctl_exit_e
ctl_run_config_use(ctl_t *c)
{
    cp_json_t  *config;

    if (ctl_config_read(c, &config) != CTL_DONE) {
        return CTL_FAILED;
    }

    if (ctl_config_context(config, c->arg[0]) == NULL) {
        return ctl_error("no context \"%s\" in %s", c->arg[0],
                         ctl_config_path(c));
    }

    cp_json_put(c->arena, config, "current_context", c->arg[0]);

    return ctl_config_write(c, config);
}


/* The context of that name, made if there is none. */
static cp_json_t *
ctl_config_named(ctl_t *c, cp_json_t *config, const char *name)
{
    cp_json_t  *contexts, *ctx;

    contexts = cp_json_get(config, "contexts");

    if (contexts == NULL || contexts->type != CP_JSON_ARRAY) {
        contexts = cp_json_array(c->arena);
        cp_json_set(c->arena, config, "contexts", contexts);
    }

    ctx = ctl_config_context(config, name);

    if (ctx == NULL) {
        ctx = cp_json_object(c->arena);
        cp_json_put(c->arena, ctx, "name", name);
        cp_json_push(contexts, ctx);
    }

    return ctx;
}


/* Read again: another run may have written it.  Of the two one counts. */
static ctl_exit_e
ctl_config_login(ctl_t *c, const char *session, const cp_json_t *oidc)
{
    cp_json_t   *config, *ctx;
    const char  *name;

    if (ctl_config_read(c, &config) != CTL_DONE) {
        return CTL_FAILED;
    }

    name = c->context ? c->context : "default";
    ctx = ctl_config_named(c, config, name);

    cp_json_put(c->arena, ctx, "url", c->url);
    cp_json_put(c->arena, ctx, "session", session ? session : "");
    cp_json_set(c->arena, ctx, "oidc",
                oidc ? cp_json_copy(c->arena, oidc)
                     : cp_json_object(c->arena));

    if (cp_json_str(config, "current_context") == NULL) {
        cp_json_put(c->arena, config, "current_context", name);
    }

    return ctl_config_write(c, config);
}


ctl_exit_e
ctl_config_session(ctl_t *c, const char *session)
{
    return ctl_config_login(c, session, NULL);
}


ctl_exit_e
ctl_config_oidc(ctl_t *c, const cp_json_t *oidc)
{
    return ctl_config_login(c, NULL, oidc);
}


ctl_exit_e
ctl_config_alone(ctl_t *c, const cp_json_t **oidc, int *lock)
{
    cp_json_t   *config, *ctx;
    const char  *path;

    path = cp_arena_printf(c->arena, "%s.lock", ctl_config_path(c));
    *lock = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (*lock == -1 || flock(*lock, LOCK_EX) != 0) {
        return ctl_error("%s: %s", path, strerror(errno));
    }

    if (ctl_config_read(c, &config) != CTL_DONE) {
        return CTL_FAILED;
    }

    ctx = ctl_config_context(config, c->context ? c->context : "default");
    *oidc = ctx ? ctl_config_kept(ctx) : NULL;

    return CTL_DONE;
}


static void
ctl_config_set(ctl_t *c, cp_json_t *ctx, const char *member,
    const char *value)
{
    if (value != NULL) {
        cp_json_put(c->arena, ctx, member, value);
    }
}


ctl_exit_e
ctl_run_config_set(ctl_t *c)
{
    char        *file;
    cp_json_t   *config, *ctx;

    if (ctl_config_read(c, &config) != CTL_DONE) {
        return CTL_FAILED;
    }

    ctx = ctl_config_named(c, config, c->arg[0]);

    ctl_config_set(c, ctx, "url", ctl_opt(c, "url"));
    ctl_config_set(c, ctx, "tenant", ctl_opt(c, "tenant"));
    ctl_config_set(c, ctx, "token", ctl_opt(c, "token"));

    if (ctl_opt(c, "token-file") != NULL) {
        /* used from any directory later on */
        file = realpath(ctl_opt(c, "token-file"), NULL);

        if (file == NULL) {
            return ctl_error("%s: %s", ctl_opt(c, "token-file"),
                             strerror(errno));
        }

        ctl_config_set(c, ctx, "token_file",
                       cp_arena_strdup(c->arena, file));
        free(file);
    }

    if (ctl_opt(c, "use") != NULL
        || cp_json_str(config, "current_context") == NULL)
    {
        ctl_config_set(c, config, "current_context", c->arg[0]);
    }

    return ctl_config_write(c, config);
}
