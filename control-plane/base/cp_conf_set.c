/*
 * The value of an option, out of a text.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cp_conf_opt.h"


static cp_rc_t
cp_conf_bad(cp_conf_reader_t *rd, const cp_opt_t *opt, const char *why)
{
    /* the value is not repeated: it may be a password */

    return cp_err_set(rd->err, "validation", "%s: %s %s", rd->place,
                      opt->name, why);
}


static cp_rc_t
cp_conf_set_text(cp_conf_reader_t *rd, const cp_opt_t *opt, const char *value)
{
    size_t        len;
    char          word[64];
    const char  **dst;

    len = strlen(value);

    if ((int64_t) len < opt->min || (int64_t) len > opt->max) {
        (void) snprintf(word, sizeof(word), "must have %lld to %lld "
                        "characters", (long long) opt->min,
                        (long long) opt->max);
        return cp_conf_bad(rd, opt, word);
    }

    if (opt->values != NULL) {

        (void) snprintf(word, sizeof(word), " %s ", value);

        if (strchr(value, ' ') != NULL || strstr(opt->values, word) == NULL) {
            return cp_err_set(rd->err, "validation",
                              "%s: %s must be one of:%.*s", rd->place,
                              opt->name, (int) strlen(opt->values) - 1,
                              opt->values);
        }
    }

    dst = (const char **) ((char *) rd->conf + opt->offset);
    *dst = cp_arena_strdup(rd->arena, value);

    return (*dst != NULL) ? CP_OK : CP_ERROR;
}


static cp_rc_t
cp_conf_set_int(cp_conf_reader_t *rd, const cp_opt_t *opt, const char *value)
{
    char       *end;
    char        why[80];
    long long   i;

    errno = 0;
    i = strtoll(value, &end, 10);

    if (*value == '\0' || isspace((unsigned char) *value) || *end != '\0'
        || errno != 0 || i < opt->min || i > opt->max)
    {
        (void) snprintf(why, sizeof(why), "must be a number from %lld to "
                        "%lld", (long long) opt->min, (long long) opt->max);
        return cp_conf_bad(rd, opt, why);
    }

    *(int64_t *) ((char *) rd->conf + opt->offset) = i;

    return CP_OK;
}


/* Words between blanks or commas; the later place replaces the earlier. */

static cp_rc_t
cp_conf_set_allow(cp_conf_reader_t *rd, const cp_opt_t *opt,
    const char *value)
{
    size_t         len;
    stoa_rc_t      rc;
    stoa_allow_t  *allow;

    allow = (stoa_allow_t *) ((char *) rd->conf + opt->offset);
    memset(allow, 0, sizeof(stoa_allow_t));

    for (value += strspn(value, ", "); *value != '\0';
         value += len + strspn(value + len, ", "))
    {
        len = strcspn(value, ", ");
        rc = stoa_allow_add(allow, value, len);

        if (rc != STOA_OK) {
            return cp_conf_bad(rd, opt, rc == STOA_FULL ? "has too many rows"
                               : "must have addresses, ranges such as"
                                 " 10.1.0.0/16, private, loopback or none");
        }
    }

    return CP_OK;
}


cp_rc_t
cp_conf_set(cp_conf_reader_t *rd, const cp_opt_t *opt, const char *value)
{
    bool  yes;

    switch (opt->type) {

    case CP_OPT_TEXT:
    case CP_OPT_WORDS:
        return cp_conf_set_text(rd, opt, value);

    case CP_OPT_INT:
        return cp_conf_set_int(rd, opt, value);

    case CP_OPT_ALLOW:
        return cp_conf_set_allow(rd, opt, value);

    case CP_OPT_BOOL:
        break;
    }

    yes = strcmp(value, "true") == 0 || strcmp(value, "1") == 0
          || strcmp(value, "on") == 0;

    if (!yes && strcmp(value, "false") != 0 && strcmp(value, "0") != 0
        && strcmp(value, "off") != 0)
    {
        return cp_conf_bad(rd, opt, "must be true or false");
    }

    *(bool *) ((char *) rd->conf + opt->offset) = yes;

    return CP_OK;
}
