/*
 * Paths by templates: one way through each.
 */

#include <string.h>

#include "stoa_rewrite.h"


typedef struct {
    stoa_str_t  name;
    stoa_str_t  value;
    bool        rest;
} stoa_rewrite_name_t;

typedef struct {
    stoa_rewrite_name_t  names[STOA_REWRITE_NAMES];
    unsigned             n;
} stoa_rewrite_t;


static const char *stoa_rewrite_template(stoa_rewrite_t *w, stoa_str_t t,
    bool whole);
static const char *stoa_rewrite_name(stoa_rewrite_t *w, const char **p,
    const char *end);
static bool stoa_rewrite_match(stoa_rewrite_t *w, stoa_str_t from,
    stoa_str_t path);
static bool stoa_rewrite_literal(const char *t, const char *t_end,
    const char *p, const char *p_end);
static int stoa_rewrite_byte(const char **p, const char *end);
static stoa_rewrite_name_t *stoa_rewrite_find(stoa_rewrite_t *w,
    const char *name, size_t len);
static bool stoa_rewrite_up(const char *p, const char *end);


const char *
stoa_rewrite_check(stoa_str_t from, stoa_str_t to, bool *second)
{
    unsigned              i;
    const char           *wrong;
    stoa_rewrite_t        a, b;
    stoa_rewrite_name_t  *found;

    *second = false;

    wrong = stoa_rewrite_template(&a, from, true);
    if (wrong) {
        return wrong;
    }

    *second = true;

    wrong = stoa_rewrite_template(&b, to, false);

    for (i = 0; wrong == NULL && i < b.n; i++) {
        found = stoa_rewrite_find(&a, b.names[i].name.data,
                                  b.names[i].name.len);

        if (found == NULL || found->rest != b.names[i].rest) {
            wrong = "must have names that `from` has";
        }
    }

    return wrong;
}


/* whole: a name is a segment. */

static const char *
stoa_rewrite_template(stoa_rewrite_t *w, stoa_str_t t, bool whole)
{
    size_t       parts;
    const char  *p, *end, *start, *wrong;

    p = t.data;
    end = p + t.len;
    w->n = 0;

    if (p == end || *p != '/') {
        return "must begin with /";
    }

    while (p < end) {
        start = ++p;

        for (parts = 0; p < end && *p != '/'; parts++) {

            if (*p != '{') {
                if (!((*p >= '0' && *p <= '9')
                      || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')
                      || strchr("._~-!$&'()*+,;=:@", *p)))
                {
                    return "must be a path of plain characters and {names}";
                }

                p++;
                continue;
            }

            if (whole && parts) {
                return "must have names that are whole segments";
            }

            wrong = stoa_rewrite_name(w, &p, end);
            if (wrong) {
                return wrong;
            }

            if (w->names[w->n - 1].rest
                && (p < end || w->names[w->n - 1].name.data - 1 != start))
            {
                return "must have {name*} at its end, as a segment";
            }

            if (whole && p < end && *p != '/') {
                return "must have names that are whole segments";
            }
        }

        if (p == start && p < end) {
            return "must have no empty segment";
        }

        if (stoa_rewrite_up(start, p)) {
            return "must have no . or .. as a segment";
        }
    }

    return NULL;
}


/* "{name}" or "{name*}" */

static const char *
stoa_rewrite_name(stoa_rewrite_t *w, const char **p, const char *end)
{
    const char           *s;
    stoa_rewrite_name_t  *name;

    if (w->n == STOA_REWRITE_NAMES) {
        return "has too many names";
    }

    for (s = ++*p; s < end && ((*s >= 'a' && *s <= 'z') || *s == '_'
                               || (*s >= 'A' && *s <= 'Z')
                               || (*s >= '0' && *s <= '9'));
         s++)
    { /* void */ }

    if (s == *p || stoa_rewrite_find(w, *p, (size_t) (s - *p))) {
        return "must have names, each once";
    }

    name = &w->names[w->n++];
    name->name.data = *p;
    name->name.len = (size_t) (s - *p);
    name->rest = s < end && *s == '*';
    s += name->rest;

    if (s == end || *s != '}') {
        return "must have a } for each {";
    }

    *p = s + 1;

    return NULL;
}


stoa_rc_t
stoa_rewrite(stoa_str_t from, stoa_str_t to, stoa_str_t path, char *dst,
    size_t *len)
{
    char                 *d;
    const char           *p, *end, *name;
    stoa_rewrite_t        w;
    stoa_rewrite_name_t  *found;

    if (!stoa_rewrite_match(&w, from, path)) {
        return STOA_DECLINED;
    }

    d = dst;

    for (p = to.data, end = p + to.len; p < end; /* void */) {

        if (*p != '{') {
            *d++ = *p++;
            continue;
        }

        for (name = ++p; *p != '}' && *p != '*'; p++) { /* void */ }

        found = stoa_rewrite_find(&w, name, (size_t) (p - name));
        p += *p == '*' ? 2 : 1;

        if (found) {
            memcpy(d, found->value.data, found->value.len);
            d += found->value.len;
        }
    }

    *len = (size_t) (d - dst);

    return stoa_rewrite_up(dst, d) ? STOA_ERROR : STOA_OK;
}


static bool
stoa_rewrite_match(stoa_rewrite_t *w, stoa_str_t from, stoa_str_t path)
{
    const char           *t, *t_end, *p, *p_end, *t_last, *p_last;
    stoa_rewrite_name_t  *name;

    t = from.data;
    t_last = t + from.len;
    p = path.data;
    p_last = p + path.len;
    w->n = 0;

    while (t < t_last && p < p_last && *t == '/' && *p == '/') {
        t++;
        p++;

        t_end = memchr(t, '/', (size_t) (t_last - t));
        t_end = t_end ? t_end : t_last;
        p_end = memchr(p, '/', (size_t) (p_last - p));
        p_end = p_end ? p_end : p_last;

        if (t < t_end && *t == '{') {
            name = &w->names[w->n++];
            name->rest = t_end[-2] == '*';
            name->name.data = t + 1;
            name->name.len = (size_t) (t_end - t) - 2 - name->rest;
            p_end = name->rest ? p_last : p_end;
            name->value.data = p;
            name->value.len = (size_t) (p_end - p);

            if (p == p_end && !name->rest) {
                return false;
            }

        } else if (!stoa_rewrite_literal(t, t_end, p, p_end)) {
            return false;
        }

        t = t_end;
        p = p_end;
    }

    return t == t_last && p == p_last;
}


static bool
stoa_rewrite_literal(const char *t, const char *t_end, const char *p,
    const char *p_end)
{
    while (t < t_end && p < p_end) {
        if (stoa_rewrite_byte(&p, p_end) != *t++) {
            return false;
        }
    }

    return t == t_end && p == p_end;
}


static int
stoa_rewrite_byte(const char **p, const char *end)
{
    int          i, c, d;
    const char  *s;

    s = *p;
    c = (unsigned char) *s++;

    if (c == '%' && end - s >= 2) {
        for (i = 0, c = 0; i < 2; i++) {
            d = *s >= 'A' ? (*s | 0x20) - 'a' + 10 : *s - '0';
            c = c << 4 | (d & 15);
            s++;
        }
    }

    *p = s;

    return c;
}


static stoa_rewrite_name_t *
stoa_rewrite_find(stoa_rewrite_t *w, const char *name, size_t len)
{
    unsigned  i;

    for (i = 0; i < w->n; i++) {
        if (w->names[i].name.len == len
            && memcmp(w->names[i].name.data, name, len) == 0)
        {
            return &w->names[i];
        }
    }

    return NULL;
}


/* One or two dots as a segment, also before ";", which some cut off.  A slash
 * ends one even where it is encoded: some decode before they look, and some
 * take a backslash for one. */

static bool
stoa_rewrite_up(const char *p, const char *end)
{
    int       c;
    bool      alone;
    unsigned  dots;

    for (alone = true, dots = 0; p < end; /* void */ ) {
        c = stoa_rewrite_byte(&p, end);
        c = c == '\\' ? '/' : c;

        if (c == '.') {
            dots++;

        } else if ((c == '/' || c == ';') && alone && dots > 0 && dots < 3) {
            return true;

        } else {
            alone = c == '/';
            dots = 0;
        }
    }

    return alone && dots > 0 && dots < 3;
}
