/*
 * The completion scripts of shells, from the tables.
 */

#include <string.h>

#include "stoactl.h"


typedef struct {
    const char  *arg;              /* of a command or an option             */
    const char  *names;            /* what it is the name of                */
} ctl_names_t;


static const ctl_names_t  ctl_names[] = {
    { "TENANT", "tenants" },
    { "API", "apis" },
    { "APPLICATION", "applications" },
    { "SUBSCRIPTION", "subscriptions" },
    { "GROUP", "gateway-groups" },
    { "GATEWAY", "gateways" },
    { "ADMIN-TOKEN", "admin-tokens" },
    { "CONTEXT", "contexts" },
    { NULL, NULL }
};


static const char *
ctl_names_of(const char *arg, size_t len)
{
    const ctl_names_t  *n;

    for (n = ctl_names; n->arg != NULL; n++) {
        if (strlen(n->arg) == len && memcmp(n->arg, arg, len) == 0) {
            return n->names;
        }
    }

    return NULL;
}


/* What completes the argument of a command at a place (from 0): shell code.
 * A NAME behind another argument is of the kind that that one says. */

static void
ctl_put_argument(const char *arg, size_t len, unsigned at)
{
    size_t             i;
    const ctl_kind_t  *k;

    if (len > 0 && *arg == '[') {
        arg++;
        len -= (len > 1 && arg[len - 2] == ']') ? 2 : 1;
    }

    if (len > 3 && memcmp(arg + len - 3, "...", 3) == 0) {
        len -= 3;
    }

    if (len >= 4 && memcmp(arg, "KIND", 4) == 0) {
        fputs(" words=\"", stdout);

        for (k = ctl_kinds; k->kind != NULL; k++) {
            printf("%s%s", k != ctl_kinds ? " " : "", k->plural);
        }

        putchar('"');

    } else if (memchr(arg, '|', len) != NULL) {
        fputs(" words=\"", stdout);

        for (i = 0; i < len; i++) {
            putchar(arg[i] == '|' ? ' ' : arg[i]);
        }

        putchar('"');

    } else if (len == 4 && memcmp(arg, "FILE", 4) == 0) {
        fputs(" files=1", stdout);

    } else if (at > 0 && len == 4 && memcmp(arg, "NAME", 4) == 0) {
        fputs(" kind=\"${verb#* }\" kind=\"${kind%% *}\"", stdout);

    } else if (ctl_names_of(arg, len) != NULL) {
        printf(" kind=%s", ctl_names_of(arg, len));
    }
}


static void
ctl_put_option_names(const ctl_opt_t *o)
{
    for ( /* void */ ; o != NULL && o->name != NULL; o++) {
        printf(" --%s", o->name);
    }
}


/* Both forms of an option that has a value: "    --tenant|-t)". */

static bool
ctl_put_option_case(const ctl_opt_t *o)
{
    if (o->arg == NULL) {
        return false;
    }

    printf("    --%s", o->name);

    if (o->letter != 0) {
        printf("|-%c", o->letter);
    }

    putchar(')');

    return true;
}


/* How its value is completed. */

static void
ctl_put_option_values(const ctl_opt_t *o)
{
    for ( /* void */ ; o != NULL && o->name != NULL; o++) {

        if (!ctl_put_option_case(o)) {
            continue;
        }

        if (o->values != NULL) {
            printf(" words=\"%s\"", o->values);

        } else {
            ctl_put_argument(o->arg, strlen(o->arg), 0);
        }

        puts(" value=1 ;;");
    }
}


/* Before the cursor it is skipped, with its value; what says which server is
 * asked and for what is handed on. */

static void
ctl_put_option_skips(const ctl_opt_t *o, bool global)
{
    bool  handed;

    for ( /* void */ ; o != NULL && o->name != NULL; o++) {

        if (ctl_put_option_case(o)) {
            handed = strcmp(o->name, "api") == 0
                     || strcmp(o->name, "application") == 0
                     || (global && strcmp(o->name, "output") != 0
                         && strcmp(o->name, "timeout") != 0);

            printf(" hand=%s skip=1 ;;\n", handed ? "1" : "");
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


/* The arguments of a command, the last place first: the more words, the
 * narrower is the pattern. */

static void
ctl_put_command(const ctl_cmd_t *cmd)
{
    int          i, n;
    size_t       len;
    unsigned     j;
    const char  *p, *args[8];

    for (p = cmd->args, n = 0; *p != '\0' && n < 8; n++) {
        args[n] = p;
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }

    for (i = n; i >= 0; i--) {
        printf("    \"%s\"", cmd->name);

        for (j = 0; j < (unsigned) i; j++) {
            fputs("\" \"*", stdout);
        }

        putchar(')');

        p = (i < n) ? args[i] : (n > 0) ? args[n - 1] : "";
        len = strcspn(p, " ");

        if (i < n || (len > 3 && memcmp(p + len - 3, "...", 3) == 0)) {
            ctl_put_argument(p, len, (unsigned) (i < n ? i : n - 1));
        }

        fputs(" options=\"", stdout);
        ctl_put_option_names(cmd->options);
        puts("\" ;;");
    }
}


/* Names from the server: for a second, at most a page, and in silence.  They
 * are compared as they are, not expanded by the shell. */

static const char  ctl_completion_names[] =
    "_stoactl_names() {\n"
    "  local name\n"
    "  while IFS= read -r name; do\n"
    "    [[ -n $name && $name == \"$cur\"* ]] && COMPREPLY+=(\"$name\")\n"
    "  done < <(\n"
    "    if [[ $1 == contexts ]]; then\n"
    "      \"${COMP_WORDS[0]}\" config get-contexts -o yaml"
    " | sed -n 's/^  name: //p'\n"
    "    else\n"
    "      \"${COMP_WORDS[0]}\" \"${given[@]}\" names \"$1\" --timeout 1s\n"
    "    fi 2>/dev/null </dev/null)\n"
    "}\n";


/* One function for both shells: zsh runs bash's completions. */

static void
ctl_put_function(void)
{
    const ctl_cmd_t  *cmd;

    fputs(ctl_completion_names, stdout);
    puts("_stoactl() {\n"
         "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" words= files= kind=\n"
         "  local prev=\"${COMP_WORDS[COMP_CWORD-1]}\" options= value= i w\n"
         "  local skip hand verb= given=()\n"
         "  if [[ $prev == = ]]; then\n"
         "    prev=\"${COMP_WORDS[COMP_CWORD-2]}\"\n"
         "  elif [[ $cur == = ]]; then\n"
         "    cur=\n"
         "  fi\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    w=\"${COMP_WORDS[i]}\" skip= hand=\n"
         "    case \"$w\" in");

    ctl_put_option_skips(ctl_globals, true);

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        ctl_put_option_skips(cmd->options, false);
    }

    puts("    -*) ;;\n"
         "    *) verb=\"$verb${verb:+ }$w\" ;;\n"
         "    esac\n"
         "    [[ -z $skip ]] && continue\n"
         "    [[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"
         "    ((i++))\n"
         "    if [[ -n $hand ]] && ((i < COMP_CWORD)); then\n"
         "      given+=(\"$w\" \"${COMP_WORDS[i]}\")\n"
         "    fi\n"
         "  done\n"
         "  case \"$prev\" in");

    ctl_put_option_values(ctl_globals);

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        ctl_put_option_values(cmd->options);
    }

    puts("  esac\n"
         "  if [[ -z $value ]]; then\n"
         "    case \"$verb\" in");

    ctl_put_verbs();

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        ctl_put_command(cmd);
    }

    fputs("    esac\n"
          "    if [[ $cur == -* ]]; then\n"
          "      kind= words=\"$words$options", stdout);
    ctl_put_option_names(ctl_globals);
    puts(" --help\"\n"
         "    fi\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  [[ -n $kind ]] && _stoactl_names \"$kind\"\n"
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
