/*
 * What every command uses: options, messages, the table.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "stoactl.h"


typedef struct {
    const char  *unit;
    int64_t      ms;
} ctl_unit_t;


const ctl_opt_t  ctl_globals[] = {
    { "url", 0, "URL", NULL,
      "the control plane (environment: STOA_URL)", false },
    { "token", 0, "TOKEN", NULL,
      "admin token (environment: STOA_TOKEN)", false },
    { "token-file", 0, "FILE", NULL, "a file that holds the token", false },
    { "tenant", 't', "TENANT", NULL,
      "tenant (environment: STOA_TENANT; default: the token's)", false },
    { "context", 0, "CONTEXT", NULL,
      "context of the configuration file to use", false },
    { "output", 'o', "FORMAT", "table json yaml key token",
      "table, json, yaml; key and token print that value alone", false },
    { "timeout", 0, "DURATION", NULL,
      "give up after this long (default 30s)", false },
    { "version", 'V', NULL, NULL, "print the version of stoactl", false },
    { "verbose", 'v', NULL, NULL, "say on stderr what is called", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

const ctl_cmd_t  *ctl_commands;


static const ctl_unit_t  ctl_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60000 },
    { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 }
};


ctl_exit_e
ctl_error(const char *fmt, ...)
{
    va_list  args;

    fputs("stoactl: ", stderr);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fputc('\n', stderr);

    return CTL_FAILED;
}


const char *
ctl_clean(ctl_t *c, const char *s)
{
    char    *copy, *p;
    size_t   n;

    if (s == NULL) {
        return "";
    }

    copy = cp_arena_strdup(c->arena, s);

    for (p = copy; p != NULL && *p != '\0'; p++) {
        n = cp_text_control(p);

        if (n) {
            memset(p, ' ', n);
        }
    }

    return (copy != NULL) ? copy : "";
}


const char *
ctl_env(const char *name)
{
    const char  *value;

    value = getenv(name);

    return (value != NULL && *value != '\0') ? value : NULL;
}


const char *
ctl_opt(ctl_t *c, const char *name)
{
    unsigned          i;
    const ctl_opt_t  *o;

    for (i = 0; ctl_globals[i].name != NULL; i++) {
        if (strcmp(ctl_globals[i].name, name) == 0) {
            return c->global[i];
        }
    }

    o = c->cmd->options;

    for (i = 0; o != NULL && o[i].name != NULL; i++) {
        if (strcmp(o[i].name, name) == 0) {
            return c->local[i];
        }
    }

    return NULL;
}


static ctl_exit_e
ctl_duration(const char *text, int64_t *ms)
{
    char              *end;
    double             n;
    const ctl_unit_t  *u;

    if (*text < '0' || *text > '9') {
        return ctl_error("\"%s\" is no duration; examples: 500ms, 10s, 5m",
                         text);
    }

    errno = 0;
    n = strtod(text, &end);

    for (u = ctl_units; u->unit != NULL; u++) {
        if (strcmp(end, u->unit) == 0) {
            break;
        }
    }

    if (errno != 0 || u->unit == NULL || !(n * (double) u->ms < 1e14)) {
        return ctl_error("\"%s\" is no duration; examples: 500ms, 10s, 5m",
                         text);
    }

    *ms = (int64_t) (n * (double) u->ms);

    return CTL_DONE;
}


ctl_exit_e
ctl_time(ctl_t *c, const char *text, int sign, const char **out)
{
    char     last;
    int64_t  ms;

    last = (*text != '\0') ? text[strlen(text) - 1] : '\0';

    if (strchr("smhd", last) == NULL || last == '\0') {
        *out = text;
        return CTL_DONE;
    }

    if (ctl_duration(text, &ms) != CTL_DONE) {
        return CTL_FAILED;
    }

    *out = cp_time_format(c->arena, cp_time_ms() + sign * ms);

    return (*out != NULL) ? CTL_DONE : CTL_FAILED;
}


ctl_exit_e
ctl_opt_duration(ctl_t *c, const char *name, int64_t dflt, int64_t *ms)
{
    const char  *value;

    value = ctl_opt(c, name);

    if (value == NULL) {
        *ms = dflt;
        return CTL_DONE;
    }

    return ctl_duration(value, ms);
}


ctl_exit_e
ctl_opt_number(ctl_t *c, const char *name, int64_t dflt, int64_t *out)
{
    char        *end;
    const char  *value;

    value = ctl_opt(c, name);

    if (value == NULL) {
        *out = dflt;
        return CTL_DONE;
    }

    errno = 0;
    *out = strtoll(value, &end, 10);

    if (errno != 0 || end == value || *end != '\0' || *out < 0) {
        return ctl_error("--%s: \"%s\" is no number", name, value);
    }

    return CTL_DONE;
}


const ctl_cmd_t *
ctl_command(const char *name, size_t len)
{
    const ctl_cmd_t  *cmd;

    for (cmd = ctl_commands; cmd->name != NULL; cmd++) {
        if (strlen(cmd->name) == len && memcmp(cmd->name, name, len) == 0) {
            return cmd;
        }
    }

    return NULL;
}
