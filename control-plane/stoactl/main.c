/*
 * stoactl: reads the command line against the table and runs the command.
 */

#include <errno.h>
#include <string.h>

#include "stoactl.h"


static bool
ctl_word_in(const char *words, const char *s)
{
    size_t       len;
    const char  *p;

    len = strlen(s);

    for (p = words; p != NULL && *p != '\0'; /* void */) {
        p += strspn(p, " |");

        if (strcspn(p, " |") == len && len > 0 && memcmp(p, s, len) == 0) {
            return true;
        }

        p += strcspn(p, " |");
    }

    return false;
}


static const ctl_opt_t *
ctl_find_option(const ctl_opt_t *table, const char *arg, size_t len)
{
    for ( /* void */ ; table != NULL && table->name != NULL; table++) {

        if (arg[1] == '-') {
            if (strlen(table->name) == len - 2
                && memcmp(table->name, arg + 2, len - 2) == 0)
            {
                return table;
            }

        } else if (len == 2 && table->letter == arg[1]) {
            return table;
        }
    }

    return NULL;
}


static void
ctl_guess_option(ctl_t *c, const char *arg, size_t len)
{
    unsigned          i;
    ctl_guess_t       guess = { 0 };
    const ctl_opt_t  *o;
    const ctl_opt_t  *tables[] = { ctl_globals,
                                   c->cmd != NULL ? c->cmd->options : NULL };

    guess.len = strspn(arg, "-");
    guess.word = arg + guess.len;
    guess.len = len - guess.len;

    for (i = 0; i < 2; i++) {
        for (o = tables[i]; o != NULL && o->name != NULL; o++) {
            ctl_guess(&guess, o->name, strlen(o->name));
        }
    }

    ctl_guess_tell(&guess, "--");
}


/* The first word, or the second of a group. */

static void
ctl_guess_command(ctl_t *c, const char *word, const char *group)
{
    size_t            len;
    ctl_guess_t       guess = { .word = word, .len = strlen(word) };
    const char       *name, *before;
    const ctl_cmd_t  *cmd;

    len = (group != NULL) ? strlen(group) + 1 : 0;
    before = (group != NULL) ? cp_arena_printf(c->arena, "%s ", group) : "";

    for (cmd = ctl_commands; cmd->name != NULL && before != NULL; cmd++) {
        if (strncmp(cmd->name, before, len) == 0) {
            name = cmd->name + len;
            ctl_guess(&guess, name, strcspn(name, " "));
        }
    }

    ctl_guess_tell(&guess, before);
}


static ctl_exit_e
ctl_push_arg(ctl_t *c, const char *arg)
{
    if (c->narg == CTL_ARGS_MAX) {
        return ctl_error("more than %d arguments", CTL_ARGS_MAX);
    }

    c->arg[c->narg++] = arg;

    return CTL_DONE;
}


/* A token given on the command line would show in ps: it is wiped there. */

static const char *
ctl_take_value(ctl_t *c, const ctl_opt_t *o, char *value)
{
    const char  *copy;

    copy = cp_arena_strdup(c->arena, value);

    if (strcmp(o->name, "token") == 0 && copy != NULL) {
        memset(value, 'x', strlen(value));
    }

    return copy;
}


static ctl_exit_e
ctl_parse_option(ctl_t *c, char **argv, int argc, int *i)
{
    size_t            len;
    char             *value;
    const char       *arg, **slot;
    const ctl_opt_t  *o, *table;

    arg = argv[*i];
    value = (arg[1] == '-') ? strchr(arg, '=') : NULL;
    len = (value != NULL) ? (size_t) (value - arg) : strlen(arg);

    table = ctl_globals;
    o = ctl_find_option(table, arg, len);
    slot = c->global;

    if (o == NULL && c->cmd != NULL) {
        table = c->cmd->options;
        o = ctl_find_option(table, arg, len);
        slot = c->local;
    }

    if (o == NULL) {
        ctl_error("unknown option %.*s%s%s", (int) len, arg,
                  c->cmd != NULL ? "; see stoactl --help " : "",
                  c->cmd != NULL ? c->cmd->name : "");
        ctl_guess_option(c, arg, len);
        return CTL_FAILED;
    }

    if (o->arg == NULL) {
        if (value != NULL) {
            return ctl_error("--%s takes no value", o->name);
        }

        slot[o - table] = "";
        return CTL_DONE;
    }

    if (value != NULL) {
        value++;

    } else if (*i + 1 < argc) {
        value = argv[++*i];

    } else {
        return ctl_error("--%s needs a value: %s", o->name, o->arg);
    }

    if (o->values != NULL && !ctl_word_in(o->values, value)) {
        return ctl_error("--%s: \"%s\" is none of: %s", o->name, value,
                         o->values);
    }

    if (o->is_arg) {
        return ctl_push_arg(c, value);
    }

    slot[o - table] = ctl_take_value(c, o, value);

    return CTL_DONE;
}


/* The first one or two words choose the command. */

static ctl_exit_e
ctl_parse_word(ctl_t *c, const char *word, const char **group)
{
    size_t            len;
    const char       *name;
    const ctl_cmd_t  *cmd;

    if (c->cmd != NULL) {
        return ctl_push_arg(c, word);
    }

    name = (*group == NULL) ? word
                            : cp_arena_printf(c->arena, "%s %s", *group, word);
    if (name == NULL) {
        return CTL_FAILED;
    }

    len = strlen(name);
    c->cmd = ctl_command(name, len);

    if (c->cmd != NULL) {
        return CTL_DONE;
    }

    for (cmd = ctl_commands; *group == NULL && cmd->name != NULL; cmd++) {
        if (strncmp(cmd->name, name, len) == 0 && cmd->name[len] == ' ') {
            *group = name;
            return CTL_DONE;
        }
    }

    ctl_error("unknown command \"%s\"; see stoactl --help%s%s", name,
              *group != NULL ? " " : "", *group != NULL ? *group : "");
    ctl_guess_command(c, word, *group);

    return CTL_FAILED;
}


static ctl_exit_e
ctl_parse(ctl_t *c, int argc, char **argv, const char **group)
{
    int          i;
    bool         words;
    ctl_exit_e   rc;
    const char  *arg;

    words = false;

    for (i = 1; i < argc; i++) {
        arg = argv[i];

        if (words || arg[0] != '-' || arg[1] == '\0') {
            rc = ctl_parse_word(c, arg, group);

        } else if (strcmp(arg, "--") == 0) {
            words = true;
            rc = CTL_DONE;

        } else if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0) {
            c->help = true;
            rc = CTL_DONE;

        } else {
            rc = ctl_parse_option(c, argv, argc, &i);
        }

        if (rc != CTL_DONE) {
            return rc;
        }
    }

    return CTL_DONE;
}


/* Counts and, where the table lists choices (a|b), checks the arguments. */

static ctl_exit_e
ctl_check_args(ctl_t *c)
{
    char         word[64];
    size_t       len;
    unsigned     n, required;
    bool         many;
    const char  *p;

    n = 0;
    required = 0;
    many = false;

    for (p = c->cmd->args; *p != '\0'; p += len) {
        p += strspn(p, " ");
        len = strcspn(p, " ");
        snprintf(word, sizeof(word), "%.*s", (int) len, p);

        if (strchr(word, '|') != NULL && n < c->narg
            && !ctl_word_in(word, c->arg[n]))
        {
            return ctl_error("\"%s\" is none of: %s", c->arg[n], word);
        }

        n++;
        required += (word[0] != '[');
        many = (strstr(word, "...") != NULL);
    }

    if (c->narg < required || (c->narg > n && !many)) {
        return ctl_error("%s arguments; usage: stoactl %s%s%s",
                         c->narg < required ? "missing" : "too many",
                         c->cmd->name, *c->cmd->args != '\0' ? " " : "",
                         c->cmd->args);
    }

    return CTL_DONE;
}


static ctl_exit_e
ctl_setup(ctl_t *c)
{
    ctl_exit_e   rc;
    const char  *out;

    static const char *const  outs[] = { "table", "json", "yaml", "key",
                                         "token" };

    out = ctl_opt(c, "output");
    c->verbose = (ctl_opt(c, "verbose") != NULL);

    for (c->out = CTL_OUT_TABLE; out != NULL; c->out++) {
        if (strcmp(outs[c->out], out) == 0) {
            break;
        }
    }

    if (c->out > CTL_OUT_YAML
        && (c->cmd->secret == NULL || strcmp(c->cmd->secret, out) != 0))
    {
        return ctl_error("-o %s: \"%s\" makes none", out, c->cmd->name);
    }

    if (c->cmd->secret != NULL && ctl_opt(c, "output-file") != NULL
        && ctl_file_private(ctl_opt(c, "output-file")) != CTL_DONE)
    {
        return CTL_FAILED;
    }

    rc = ctl_opt_duration(c, "timeout", 30000, &c->timeout_ms);

    if (rc == CTL_DONE && c->timeout_ms == 0) {
        rc = ctl_error("--timeout must not be 0");
    }

    return (rc == CTL_DONE) ? ctl_config_load(c) : rc;
}


static ctl_exit_e
ctl_main(ctl_t *c, int argc, char **argv)
{
    ctl_exit_e   rc;
    const char  *group;

    group = NULL;
    rc = ctl_parse(c, argc, argv, &group);

    if (rc != CTL_DONE) {
        return rc;
    }

    if (ctl_opt(c, "version") != NULL) {
        return ctl_run_version(c);
    }

    if (c->cmd == NULL && (c->help || group == NULL)) {
        if (group != NULL) {
            ctl_help_group(group, stdout);

        } else {
            ctl_help_general(c->help ? stdout : stderr);
        }

        return c->help ? CTL_DONE : CTL_FAILED;
    }

    if (c->cmd == NULL) {
        ctl_help_group(group, stderr);
        return CTL_FAILED;
    }

    if (c->help) {
        ctl_help_command(c->cmd, stdout);
        return CTL_DONE;
    }

    rc = ctl_check_args(c);

    if (rc == CTL_DONE) {
        rc = ctl_setup(c);
    }

    if (rc == CTL_DONE && c->oidc != NULL && c->cmd->run != ctl_run_login
        && c->cmd->run != ctl_run_logout)
    {
        rc = ctl_device_token(c);
    }

    return (rc == CTL_DONE) ? c->cmd->run(c) : rc;
}


int
main(int argc, char **argv)
{
    ctl_t       *c;
    cp_arena_t  *arena;
    ctl_exit_e   rc;

    cp_log_setup(CP_LOG_WARN, false);
    ctl_commands = ctl_table;

    arena = cp_arena_create(CTL_ARENA_MAX);
    c = (arena != NULL) ? cp_arena_alloc(arena, sizeof(ctl_t)) : NULL;

    if (c == NULL) {
        return ctl_error("out of memory");
    }

    c->arena = arena;
    rc = ctl_main(c, argc, argv);

    ctl_http_cleanup();
    cp_arena_destroy(arena);

    if (fflush(stdout) != 0 || ferror(stdout)) {
        ctl_error("cannot write the output: %s", strerror(errno));
        return (rc == CTL_DONE) ? CTL_FAILED : rc;
    }

    return rc;
}
