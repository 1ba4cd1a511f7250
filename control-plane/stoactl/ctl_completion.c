/*
 * The completion scripts of shells, from the tables.
 */

#include <string.h>

#include "stoactl.h"


/* The words that may follow a command as its first argument. */

static void
ctl_put_words(const ctl_cmd_t *cmd)
{
    size_t             len;
    const ctl_kind_t  *k;

    len = strcspn(cmd->args, " ");

    if (strncmp(cmd->args, "KIND", 4) == 0) {
        for (k = ctl_kinds; k->kind != NULL; k++) {
            printf(" %s", k->plural);
        }

    } else if (memchr(cmd->args, '|', len) != NULL) {
        for (len = 0; cmd->args[len] != '\0' && cmd->args[len] != ' '; len++) {
            putchar(cmd->args[len] == '|' ? ' ' : cmd->args[len]);
        }
    }
}


static void
ctl_put_option_names(const ctl_opt_t *o)
{
    for ( /* void */ ; o != NULL && o->name != NULL; o++) {
        printf(" --%s", o->name);
    }
}


static void
ctl_put_option_values(const ctl_opt_t *o)
{
    for ( /* void */ ; o != NULL && o->name != NULL; o++) {

        if (o->values != NULL) {
            printf("    --%s) words=\"%s\" ;;\n", o->name, o->values);

            if (o->letter != 0) {
                printf("    -%c) words=\"%s\" ;;\n", o->letter, o->values);
            }

        } else if (o->arg != NULL && strcmp(o->arg, "FILE") == 0) {
            printf("    --%s) files=1 ;;\n", o->name);
        }
    }
}


static bool
ctl_is_first_of_group(const ctl_cmd_t *cmd, size_t len)
{
    const ctl_cmd_t  *p;

    for (p = ctl_commands; p != cmd; p++) {
        if (strncmp(p->name, cmd->name, len) == 0
            && (p->name[len] == ' ' || p->name[len] == '\0'))
        {
            return false;
        }
    }

    return true;
}


/* What stands between the options and the words: the first words, then the
 * second words of groups. */

static void
ctl_put_verbs(void)
{
    size_t            len;
    const ctl_cmd_t  *cmd, *p;

    fputs("    \"\") words=\"", stdout);

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        len = strcspn(cmd->name, " ");

        if (ctl_is_first_of_group(cmd, len)) {
            printf("%.*s ", (int) len, cmd->name);
        }
    }

    puts("\" ;;");

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        len = strcspn(cmd->name, " ");

        if (cmd->name[len] == '\0' || !ctl_is_first_of_group(cmd, len)) {
            continue;
        }

        printf("    \"%.*s\") words=\"", (int) len, cmd->name);

        for (p = cmd; p->name != NULL; p++) {
            if (strncmp(p->name, cmd->name, len + 1) == 0) {
                printf("%s ", p->name + len + 1);
            }
        }

        puts("\" ;;");
    }
}


static void
ctl_put_commands(void)
{
    const ctl_cmd_t  *cmd;

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        printf("    \"%s\"*) words=\"", cmd->name);
        ctl_put_words(cmd);
        ctl_put_option_names(cmd->options);
        printf("\"%s ;;\n",
               strncmp(cmd->args, "FILE", 4) == 0 ? " files=1" : "");
    }
}


/* One function for both shells: zsh runs bash's completions. */

static void
ctl_put_function(void)
{
    const ctl_cmd_t  *cmd;

    puts("_stoactl() {\n"
         "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" words= files= verb= i\n"
         "  local prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"${COMP_WORDS[i]}\" in -*) ;;\n"
         "      *) verb=\"$verb${verb:+ }${COMP_WORDS[i]}\" ;; esac\n"
         "  done\n"
         "  case \"$prev\" in");

    ctl_put_option_values(ctl_globals);

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        ctl_put_option_values(cmd->options);
    }

    puts("  esac\n"
         "  if [[ -z $words && -z $files ]]; then\n"
         "    case \"$verb\" in");

    ctl_put_verbs();
    ctl_put_commands();

    fputs("    esac\n"
          "    [[ $cur == -* ]] && words=\"$words", stdout);
    ctl_put_option_names(ctl_globals);
    puts(" --help\"\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  [[ -n $files ]] && COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
         "}");
}


ctl_exit_e
ctl_run_completion(ctl_t *c)
{
    if (strcmp(c->arg[0], "zsh") == 0) {
        puts("#compdef stoactl\n"
             "autoload -U +X bashcompinit && bashcompinit");
    }

    ctl_put_function();
    puts("complete -o filenames -F _stoactl stoactl");

    return CTL_DONE;
}
