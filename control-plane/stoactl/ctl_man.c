/*
 * The manual, from the table of the commands: "stoactl help --man", which
 * "make install" keeps as stoactl(1).
 */

#include <string.h>

#include "stoactl.h"


/* A line of roff: no request, hyphens that can be copied. */
static void
ctl_man_text(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len && s[i] != '\0'; i++) {

        if (i == 0 && (s[0] == '.' || s[0] == '\'')) {
            fputs("\\&", stdout);
        }

        if (s[i] == '\\') {
            fputs("\\e", stdout);

        } else if (s[i] == '-') {
            fputs("\\-", stdout);

        } else {
            putchar(s[i]);
        }
    }
}


static void
ctl_man_line(const char *s)
{
    ctl_man_text(s, strlen(s));
    putchar('\n');
}


static void
ctl_man_options(const ctl_opt_t *o)
{
    for ( /* void */ ; o != NULL && o->name != NULL; o++) {
        fputs(".TP\n.B ", stdout);

        if (o->letter != 0) {
            printf("\\-%c, ", o->letter);
        }

        fputs("\\-\\-", stdout);
        ctl_man_text(o->name, strlen(o->name));

        if (o->arg != NULL) {
            putchar(' ');
            ctl_man_text(o->arg, strlen(o->arg));
        }

        putchar('\n');
        ctl_man_line(o->help);
    }
}


/* Examples as they are typed. */
static void
ctl_man_more(const char *more)
{
    size_t  len;

    for ( /* void */ ; *more != '\0'; more += len + (more[len] == '\n')) {
        len = strcspn(more, "\n");

        if (strncmp(more, "Example: ", 9) == 0) {
            fputs(".PP\n.nf\n.RS\n", stdout);
            ctl_man_text(more + 9, len - 9);
            fputs("\n.RE\n.fi\n", stdout);

        } else {
            fputs(".PP\n", stdout);
            ctl_man_text(more, len);
            putchar('\n');
        }
    }
}


void
ctl_man(const ctl_code_t *codes)
{
    const ctl_cmd_t  *cmd;

    puts(".TH STOACTL 1 \"\" \"stoactl " CP_VERSION "\" \"STOA\"\n"
         ".ad l\n.SH NAME\n"
         "stoactl \\- the command line of the STOA control plane\n"
         ".SH SYNOPSIS\n.B stoactl\n[OPTIONS] COMMAND [ARGUMENTS]\n"
         ".SH OPTIONS");
    ctl_man_options(ctl_globals);

    puts(".PP\nAn option beats the environment, which beats the context of"
         " the configuration file.\n.SH COMMANDS");

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        fputs(".SS stoactl ", stdout);
        ctl_man_text(cmd->name, strlen(cmd->name));

        if (*cmd->args != '\0') {
            putchar(' ');
            ctl_man_text(cmd->args, strlen(cmd->args));
        }

        putchar('\n');
        ctl_man_line(cmd->help);

        if (cmd->more != NULL) {
            ctl_man_more(cmd->more);
        }

        ctl_man_options(cmd->options);
    }

    puts(".SH EXIT STATUS");

    for ( /* void */ ; codes->meaning != NULL; codes++) {
        printf(".TP\n.B %d\n", codes->code);
        ctl_man_line(codes->meaning);
    }

    puts(".SH FILES\n.TP\n.B ~/.config/stoa/config.yaml\n"
         "contexts, or the file that STOA_CONFIG names");
}
