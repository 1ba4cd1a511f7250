/*
 * Help and the reference page, all from the tables.
 */

#include <ctype.h>
#include <string.h>

#include "stoactl.h"


static const ctl_code_t  ctl_codes[] = {
    { CTL_DONE, "done" },
    { CTL_FAILED, "failed: usage, network, files, an error of the server" },
    { CTL_DIFFERENT, "diff found differences" },
    { CTL_REJECTED, "the server rejected the request (4xx)" },
    { CTL_TIMEOUT, "timed out: of a write, done, but not all online gateways"
      " have it yet" },
    { CTL_UNSERVED, "done, but a gateway refuses it" },
    { -1, NULL }
};


static void
ctl_help_options(const ctl_opt_t *o, FILE *out)
{
    char  left[64];

    for ( /* void */ ; o != NULL && o->name != NULL; o++) {
        snprintf(left, sizeof(left), "%s%c%s--%s%s%s",
                 o->letter != 0 ? "-" : " ", o->letter != 0 ? o->letter : ' ',
                 o->letter != 0 ? ", " : "  ", o->name,
                 o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");

        fprintf(out, "  %-28s %s\n", left, o->help);
    }
}


void
ctl_help_command(const ctl_cmd_t *cmd, FILE *out)
{
    const ctl_kind_t  *k;

    fprintf(out, "stoactl %s%s%s: %s\n", cmd->name,
            *cmd->args != '\0' ? " " : "", cmd->args, cmd->help);

    if (cmd->more != NULL) {
        fprintf(out, "\n%s\n", cmd->more);
    }

    if (strncmp(cmd->args, "KIND", 4) == 0) {
        fputs("\nKinds:", out);

        for (k = ctl_kinds; k->kind != NULL; k++) {
            fprintf(out, " %s", k->plural);
        }

        fputc('\n', out);
    }

    if (cmd->options != NULL) {
        fputs("\nOptions:\n", out);
        ctl_help_options(cmd->options, out);
    }

    fputs("\nGlobal options:\n", out);
    ctl_help_options(ctl_globals, out);
}


static void
ctl_help_commands(const char *group, FILE *out)
{
    char              left[64];
    size_t            len;
    const ctl_cmd_t  *cmd;

    len = (group != NULL) ? strlen(group) : 0;

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {

        if (group != NULL
            && (strncmp(cmd->name, group, len) != 0
                || cmd->name[len] != ' '))
        {
            continue;
        }

        snprintf(left, sizeof(left), "%s%s%s", cmd->name,
                 *cmd->args != '\0' ? " " : "", cmd->args);
        fprintf(out, "  %-38s %s\n", left, cmd->help);
    }
}


void
ctl_help_group(const char *group, FILE *out)
{
    fprintf(out, "stoactl %s COMMAND\n\nCommands:\n", group);
    ctl_help_commands(group, out);
}


void
ctl_help_general(FILE *out)
{
    const ctl_code_t  *e;

    fputs("stoactl: the command line of the STOA control plane\n\n"
          "Usage: stoactl [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:\n", out);
    ctl_help_commands(NULL, out);

    fputs("\nGlobal options:\n", out);
    ctl_help_options(ctl_globals, out);

    fputs("\nExit codes:\n", out);

    for (e = ctl_codes; e->meaning != NULL; e++) {
        fprintf(out, "  %d  %s\n", e->code, e->meaning);
    }
}


/* Text in Markdown: "|" must not end a cell, "*" is an asterisk. */

static void
ctl_put_markdown(const char *s, size_t len)
{
    for ( /* void */ ; len > 0 && *s != '\0'; s++, len--) {
        if (*s == '|' || *s == '*') {
            putchar('\\');
        }

        putchar(*s);
    }
}


static void
ctl_markdown_options(const ctl_opt_t *o)
{
    if (o == NULL) {
        return;
    }

    puts("\n| option | meaning |\n|---|---|");

    for ( /* void */ ; o->name != NULL; o++) {
        fputs("| `", stdout);

        if (o->letter != 0) {
            printf("-%c`, `", o->letter);
        }

        printf("--%s%s%s` | ", o->name, o->arg != NULL ? " " : "",
               o->arg != NULL ? o->arg : "");
        ctl_put_markdown(o->help, strlen(o->help));
        puts(" |");
    }
}


static void
ctl_markdown_more(const char *more)
{
    size_t  len;

    for ( /* void */ ; *more != '\0'; more += len + (more[len] == '\n')) {
        len = strcspn(more, "\n");

        if (strncmp(more, "Example: ", 9) == 0) {
            printf("\n    %.*s\n", (int) len - 9, more + 9);

        } else {
            putchar('\n');
            ctl_put_markdown(more, len);
            putchar('\n');
        }
    }
}


static void
ctl_markdown(void)
{
    const ctl_cmd_t   *cmd;
    const ctl_code_t  *e;
    const ctl_kind_t  *k;

    puts("# stoactl\n\n"
         "The command line of the control plane: a client of its REST "
         "interface.\n"
         "This page is the output of `stoactl help --markdown`.\n\n"
         "    stoactl [OPTIONS] COMMAND [ARGUMENTS]\n\n"
         "## Global options");
    ctl_markdown_options(ctl_globals);

    puts("\nAn option beats the environment, which beats the context of the "
         "configuration\nfile (`$STOA_CONFIG`, or "
         "`~/.config/stoa/config.yaml`).\n\n"
         "## Exit codes\n\n| code | meaning |\n|---|---|");

    for (e = ctl_codes; e->meaning != NULL; e++) {
        printf("| %d | %s |\n", e->code, e->meaning);
    }

    puts("\n## Kinds\n\n| kind | list | columns |\n|---|---|---|");

    for (k = ctl_kinds; k->kind != NULL; k++) {
        printf("| `%s` | `%s` | %s |\n", k->kind, k->plural, k->columns);
    }

    puts("\n## Commands");

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        printf("\n### stoactl %s%s%s\n\n%c%s.\n", cmd->name,
               *cmd->args != '\0' ? " " : "", cmd->args,
               toupper((unsigned char) cmd->help[0]), cmd->help + 1);

        if (cmd->more != NULL) {
            ctl_markdown_more(cmd->more);
        }

        ctl_markdown_options(cmd->options);
    }
}


ctl_exit_e
ctl_run_help(ctl_t *c)
{
    unsigned          i;
    const char       *name;
    const ctl_cmd_t  *cmd;

    if (ctl_opt(c, "markdown") != NULL) {
        ctl_markdown();
        return CTL_DONE;
    }

    if (ctl_opt(c, "man") != NULL) {
        ctl_man(ctl_codes);
        return CTL_DONE;
    }

    if (c->narg == 0) {
        ctl_help_general(stdout);
        return CTL_DONE;
    }

    for (i = 1, name = c->arg[0]; i < c->narg && name != NULL; i++) {
        name = cp_arena_printf(c->arena, "%s %s", name, c->arg[i]);
    }

    cmd = (name != NULL) ? ctl_command(name, strlen(name)) : NULL;

    if (cmd == NULL) {
        ctl_help_group(c->arg[0], stdout);
        return CTL_DONE;
    }

    ctl_help_command(cmd, stdout);

    return CTL_DONE;
}


ctl_exit_e
ctl_run_version(ctl_t *c)
{
    (void) c;

    puts("stoactl " CP_VERSION);

    return CTL_DONE;
}
