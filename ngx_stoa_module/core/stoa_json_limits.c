/*
 * Limits of JSON texts: a strict reading, then a walk over the brackets,
 * strings and numbers of what is JSON.
 */

#include <string.h>

#include "stoa_json_limits.h"


typedef struct {
    const char                *p;
    const char                *end;
    const stoa_json_limits_t  *max;
    unsigned                   depth;
    bool                       name;        /* the next string is one       */
    uint32_t                   most;        /* what was exceeded            */
    const char                *what;
    bool                       object[STOA_JSON_DEPTH_MAX + 1];
    uint32_t                   n[STOA_JSON_DEPTH_MAX + 1];
} stoa_json_limited_t;


static bool stoa_json_limits_within(stoa_json_limited_t *l);
static bool stoa_json_limits_open(stoa_json_limited_t *l);
static bool stoa_json_limits_comma(stoa_json_limited_t *l);
static bool stoa_json_limits_string(stoa_json_limited_t *l);
static bool stoa_json_limits_number(stoa_json_limited_t *l);
static bool stoa_json_limits_over(stoa_json_limited_t *l, size_t n,
    uint32_t max, const char *what);


stoa_rc_t
stoa_json_limits(const char *data, size_t len, const stoa_json_limits_t *max,
    stoa_json_val_t *root, stoa_err_t *err)
{
    stoa_rc_t            rc;
    stoa_json_limited_t  l;

    if (!stoa_json_plain(data, len, NULL, NULL, root)) {
        rc = stoa_json_check(data, len, STOA_JSON_DEPTH_MAX, root, err);

        if (rc != STOA_OK) {
            return rc;
        }
    }

    l.p = data;
    l.end = data + len;
    l.max = max;
    l.depth = 0;
    l.name = false;
    l.object[0] = false;
    l.n[0] = 0;

    if (stoa_json_limits_within(&l)) {
        return STOA_OK;
    }

    stoa_err_at(err, data, (size_t) (l.p - data));

    return stoa_err_set(err, "", "has %s than %u", l.what, (unsigned) l.most);
}


static bool
stoa_json_limits_within(stoa_json_limited_t *l)
{
    bool  ok;

    for (ok = true; ok && l->p < l->end; /* void */) {

        switch (*l->p) {

        case '{':
        case '[':
            ok = stoa_json_limits_open(l);
            break;

        case '}':
        case ']':
            l->depth--;
            l->name = false;
            l->p++;
            break;

        case ',':
            ok = stoa_json_limits_comma(l);
            break;

        case '"':
            ok = stoa_json_limits_string(l);
            break;

        case '-':
        case '0' ... '9':
            ok = stoa_json_limits_number(l);
            break;

        default:
            l->p++;
        }
    }

    return ok;
}


static bool
stoa_json_limits_open(stoa_json_limited_t *l)
{
    if (stoa_json_limits_over(l, l->depth + 1, l->max->depth,
                              "a value nested deeper"))
    {
        return false;
    }

    l->depth++;
    l->n[l->depth] = 0;
    l->object[l->depth] = *l->p == '{';
    l->name = l->object[l->depth];
    l->p++;

    return true;
}


/* Members are counted by their names, items by what is between them. */

static bool
stoa_json_limits_comma(stoa_json_limited_t *l)
{
    l->name = l->object[l->depth];

    if (!l->name
        && stoa_json_limits_over(l, ++l->n[l->depth] + (size_t) 1,
                                 l->max->items, "an array with more items"))
    {
        return false;
    }

    l->p++;

    return true;
}


static bool
stoa_json_limits_string(stoa_json_limited_t *l)
{
    size_t       len;
    const char  *p;

    /* an even number of backslashes before the quote escapes nothing */

    for (p = l->p + 1; /* void */; p++) {
        p = memchr(p, '"', (size_t) (l->end - p));

        for (len = 0; p[-1 - (ptrdiff_t) len] == '\\'; len++) { /* void */ }

        if (len % 2 == 0) {
            break;
        }
    }

    len = (size_t) (p - l->p) - 1;

    if (l->name
        ? (stoa_json_limits_over(l, ++l->n[l->depth], l->max->members,
                                 "an object with more members")
           || stoa_json_limits_over(l, len, l->max->name,
                                    "a name with more bytes"))
        : stoa_json_limits_over(l, len, l->max->string,
                                "a string with more bytes"))
    {
        return false;
    }

    l->name = false;
    l->p = p + 1;

    return true;
}


static bool
stoa_json_limits_number(stoa_json_limited_t *l)
{
    const char  *end;

    end = stoa_json_number_end(l->p, l->end);

    if (stoa_json_limits_over(l, (size_t) (end - l->p), l->max->number,
                              "a number with more bytes"))
    {
        return false;
    }

    l->p = end;

    return true;
}


static bool
stoa_json_limits_over(stoa_json_limited_t *l, size_t n, uint32_t max,
    const char *what)
{
    l->most = max;
    l->what = what;

    return max && n > max;
}
