/*
 * Scalars of YAML by the core schema, and how faults are told.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cp_yaml.h"
#include "core/stoa_json.h"


cp_rc_t
cp_yaml_fail(cp_yaml_t *y, unsigned line, const char *why)
{
    (void) cp_err_set(y->err, "bad_request", "line %u: %s", line, why);

    return cp_err_field(y->err, -1, line, "", "%s", why);
}


unsigned
cp_yaml_line(cp_yaml_t *y)
{
    return (unsigned) y->event.start_mark.line + 1;
}


cp_rc_t
cp_yaml_here(cp_yaml_t *y, const char *why)
{
    return cp_yaml_fail(y, cp_yaml_line(y), why);
}


static bool
cp_yaml_word(const char *s, const char *const *words)
{
    for (/* void */; *words != NULL; words++) {
        if (strcmp(s, *words) == 0) {
            return true;
        }
    }

    return false;
}


/* [-+]? 0o17 | 0x1F | 17 of the core schema. */

static bool
cp_yaml_is_int(const char *s)
{
    if (s[0] == '0' && s[1] == 'o') {
        return s[2] != '\0' && s[2 + strspn(s + 2, "01234567")] == '\0';
    }

    if (s[0] == '0' && s[1] == 'x') {
        return s[2] != '\0'
               && s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] == '\0';
    }

    s += (*s == '-' || *s == '+');

    return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}


/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */

static bool
cp_yaml_is_real(const char *s)
{
    size_t  before, after;

    s += (*s == '-' || *s == '+');

    before = strspn(s, "0123456789");
    s += before;
    after = 0;

    if (*s == '.') {
        after = strspn(++s, "0123456789");
        s += after;
    }

    if (before + after == 0) {
        return false;
    }

    if (*s == 'e' || *s == 'E') {

        s++;
        s += (*s == '-' || *s == '+');

        if (s[strspn(s, "0123456789")] != '\0' || *s == '\0') {
            return false;
        }

        return true;
    }

    return *s == '\0';
}


static cp_rc_t
cp_yaml_int(cp_yaml_t *y, cp_json_t *v, const char *s)
{
    int          base;
    const char  *digits;

    base = (s[0] == '0' && s[1] == 'o') ? 8
           : (s[0] == '0' && s[1] == 'x') ? 16 : 10;
    digits = (base == 10) ? s : s + 2;

    errno = 0;
    v->type = CP_JSON_INT;
    v->i = strtoll(digits, NULL, base);

    if (errno == 0) {
        return CP_OK;
    }

    if (base != 10) {
        return cp_yaml_here(y, "the number is too large");
    }

    /* larger than 64 bits: kept as it is written, in JSON's form */

    v->type = CP_JSON_REAL;
    v->d = strtod(s, NULL);
    v->i = 0;

    s += (*s == '+');

    v->s = (*s == '-')
           ? cp_arena_printf(y->arena, "-%s", s + 1 + strspn(s + 1, "0"))
           : cp_arena_strdup(y->arena, s + strspn(s, "0"));
    v->len = (v->s != NULL) ? strlen(v->s) : 0;

    return (v->s != NULL) ? CP_OK : CP_ERROR;
}


static cp_rc_t
cp_yaml_real(cp_yaml_t *y, cp_json_t *v, const char *s)
{
    stoa_json_val_t  val;

    v->type = CP_JSON_REAL;
    v->d = strtod(s, NULL);

    if (v->d - v->d != 0) {
        return cp_yaml_here(y, "the number is too large");
    }

    /* ".5", "1." and "+1.0" are no JSON */

    v->s = (stoa_json_check(s, strlen(s), 1, &val, NULL) == STOA_OK)
           ? cp_arena_strdup(y->arena, s)
           : cp_arena_printf(y->arena, "%.17g", v->d);
    v->len = (v->s != NULL) ? strlen(v->s) : 0;

    return (v->s != NULL) ? CP_OK : CP_ERROR;
}


static cp_rc_t
cp_yaml_text(cp_yaml_t *y, cp_json_t *v, const char *s, size_t len)
{
    v->type = CP_JSON_STRING;
    v->len = len;
    v->s = cp_arena_strndup(y->arena, s, len);

    if (v->s == NULL) {
        return cp_err_set(y->err, "body_too_large",
                          "the document needs too much memory");
    }

    return CP_OK;
}


static cp_rc_t
cp_yaml_plain(cp_yaml_t *y, cp_json_t *v, const char *s, size_t len)
{
    static const char *const  nulls[] = { "", "~", "null", "Null", "NULL",
                                          NULL };
    static const char *const  yes[] = { "true", "True", "TRUE", NULL };
    static const char *const  no[] = { "false", "False", "FALSE", NULL };
    static const char *const  odd[] = { ".inf", ".Inf", ".INF", "+.inf",
                                        "+.Inf", "+.INF", "-.inf", "-.Inf",
                                        "-.INF", ".nan", ".NaN", ".NAN",
                                        NULL };

    if (cp_yaml_word(s, nulls)) {
        v->type = CP_JSON_NULL;
        return CP_OK;
    }

    if (cp_yaml_word(s, yes) || cp_yaml_word(s, no)) {
        v->type = CP_JSON_BOOL;
        v->i = cp_yaml_word(s, yes);
        return CP_OK;
    }

    if (cp_yaml_is_int(s)) {
        return cp_yaml_int(y, v, s);
    }

    if (cp_yaml_is_real(s)) {
        return cp_yaml_real(y, v, s);
    }

    if (cp_yaml_word(s, odd)) {
        return cp_yaml_here(y, "infinite and not-a-number have no JSON form");
    }

    return cp_yaml_text(y, v, s, len);
}


/* What a standard tag asks of a scalar. */

static cp_rc_t
cp_yaml_tagged(cp_yaml_t *y, cp_json_t *v, const char *tag, const char *s,
    size_t len)
{
    cp_rc_t    rc;
    unsigned   i;

    static const struct {
        const char      *tag;
        cp_json_type_e   type;
    } tags[] = {
        { CP_YAML_TAG "null",  CP_JSON_NULL },
        { CP_YAML_TAG "bool",  CP_JSON_BOOL },
        { CP_YAML_TAG "int",   CP_JSON_INT },
        { CP_YAML_TAG "float", CP_JSON_REAL }
    };

    if (strcmp(tag, "!") == 0 || strcmp(tag, CP_YAML_TAG "str") == 0) {
        return cp_yaml_text(y, v, s, len);
    }

    for (i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {

        if (strcmp(tags[i].tag, tag) != 0) {
            continue;
        }

        rc = cp_yaml_plain(y, v, s, len);

        if (rc != CP_OK || v->type == tags[i].type
            || (v->type == CP_JSON_INT && tags[i].type == CP_JSON_REAL))
        {
            return rc;
        }

        return cp_yaml_here(y, "the value is not what its tag says");
    }

    return cp_yaml_here(y, "only the standard tags are known");
}


cp_rc_t
cp_yaml_scalar(cp_yaml_t *y, cp_json_t *v)
{
    size_t       len;
    const char  *s, *tag;

    s = (const char *) y->event.data.scalar.value;
    len = y->event.data.scalar.length;
    tag = (const char *) y->event.data.scalar.tag;

    if (memchr(s, '\0', len) != NULL) {
        return cp_yaml_here(y, "a text holds the character U+0000");
    }

    if (tag != NULL) {
        return cp_yaml_tagged(y, v, tag, s, len);
    }

    return (y->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
           ? cp_yaml_plain(y, v, s, len) : cp_yaml_text(y, v, s, len);
}
