/*
 * JSON without some of its members.
 */

#include <string.h>

#include "stoa_json_strip.h"


typedef struct {
    const stoa_str_t  *paths;
    size_t             n;
    stoa_buf_t        *out;
    bool               stripped;
} stoa_json_strip_t;


static void stoa_json_strip_value(stoa_json_strip_t *s,
    const stoa_json_val_t *val, const uint16_t *at);
static bool stoa_json_strip_member(stoa_json_strip_t *s,
    const stoa_json_val_t *key, const uint16_t *at, uint16_t *next,
    bool *some);


bool
stoa_json_strip_valid(const char *s, size_t len)
{
    size_t  i;

    if (len < 2 || len > STOA_JSON_STRIP_LEN || s[0] != '/') {
        return false;
    }

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] < ' ' || s[i] == '~'
            || (s[i] == '/' && (i + 1 == len || s[i + 1] == '/')))
        {
            return false;
        }
    }

    return true;
}


bool
stoa_json_strip(const stoa_json_val_t *val, const stoa_str_t *paths, size_t n,
    stoa_buf_t *out)
{
    size_t             i;
    uint16_t           at[STOA_JSON_STRIP_PATHS];
    stoa_json_strip_t  s;

    s.paths = paths;
    s.n = n < STOA_JSON_STRIP_PATHS ? n : STOA_JSON_STRIP_PATHS;
    s.out = out;
    s.stripped = false;

    for (i = 0; i < s.n; i++) {
        at[i] = 1;
    }

    stoa_json_strip_value(&s, val, at);

    return s.stripped;
}


/* at: where each path goes on, behind a slash; 0: not here.  As deep as the
 * value, which was checked. */

static void
stoa_json_strip_value(stoa_json_strip_t *s, const stoa_json_val_t *val,
    const uint16_t *at)
{
    bool              more, object, some;
    uint16_t          next[STOA_JSON_STRIP_PATHS];
    const uint16_t   *inner;
    stoa_json_val_t   key, item;
    stoa_json_iter_t  it;
    const char       *comma;

    object = val->type == STOA_JSON_OBJECT;

    if (!object && val->type != STOA_JSON_ARRAY) {
        stoa_buf_add(s->out, val->start, (size_t) (val->end - val->start));
        return;
    }

    comma = "";
    stoa_buf_addz(s->out, object ? "{" : "[");

    for (more = stoa_json_first(val, &it, &key, &item);
         more;
         more = stoa_json_next(&it, &key, &item))
    {
        some = true;
        inner = at;

        if (object) {
            if (stoa_json_strip_member(s, &key, at, next, &some)) {
                s->stripped = true;
                continue;
            }

            inner = next;
        }

        stoa_buf_addz(s->out, comma);
        comma = ",";

        if (object) {
            stoa_buf_add(s->out, key.start, (size_t) (key.end - key.start));
            stoa_buf_addz(s->out, ":");
        }

        if (some) {
            stoa_json_strip_value(s, &item, inner);

        } else {
            stoa_buf_add(s->out, item.start,
                         (size_t) (item.end - item.start));
        }
    }

    stoa_buf_addz(s->out, object ? "}" : "]");
}


/* Does it go?  Else next has what goes on inside of it, if there is some. */

static bool
stoa_json_strip_member(stoa_json_strip_t *s, const stoa_json_val_t *key,
    const uint16_t *at, uint16_t *next, bool *some)
{
    size_t       i, len;
    const char  *p, *end;

    *some = false;

    for (i = 0; i < s->n; i++) {
        next[i] = 0;

        if (at[i] == 0) {
            continue;
        }

        p = s->paths[i].data + at[i];
        len = s->paths[i].len - at[i];
        end = memchr(p, '/', len);

        if (!stoa_json_eq(key, p, end ? (size_t) (end - p) : len)) {
            continue;
        }

        if (end == NULL) {
            return true;
        }

        next[i] = (uint16_t) (end + 1 - s->paths[i].data);
        *some = true;
    }

    return false;
}
