/*
 * A glance at a message.
 */

#include <string.h>

#include "stoa_glance.h"


/* Of eight bytes: all are c; the first that is 0 has its highest bit set, and
 * none before it. */

#define STOA_GLANCE_ALL(c)   ((uint64_t) (c) * 0x0101010101010101)
#define STOA_GLANCE_ZERO(x)                                                   \
    (((x) - 0x0101010101010101) & ~(x) & 0x8080808080808080)


typedef struct {
    const char       *name;
    size_t            len;
    stoa_json_val_t  *val;
} stoa_glance_want_t;


static bool stoa_glance_members(const char *data, size_t len,
    const stoa_glance_want_t *want);
static const char *stoa_glance_value(const char *p, const char *end,
    stoa_json_val_t *v);
static inline const char *stoa_glance_string(const char *p, const char *end,
    bool *escaped);
static const char *stoa_glance_long(const char *p, const char *end,
    bool *escaped);
static const char *stoa_glance_space(const char *p, const char *end);
static bool stoa_glance_id(const stoa_json_val_t *id);


stoa_rc_t
stoa_glance(const char *data, size_t len, stoa_glance_t *g)
{
    stoa_json_val_t           version;
    const stoa_glance_want_t  want[] = {
        { "jsonrpc", 7, &version },
        { "id", 2, &g->id },
        { "method", 6, &g->method },
        { "params", 6, &g->params },
        { "result", 6, &g->result },
        { "error", 5, &g->error },
        { NULL, 0, NULL }
    };

    memset(g, 0, sizeof(stoa_glance_t));
    memset(&version, 0, sizeof(stoa_json_val_t));

    if (len > 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        len -= 3;
    }

    if (!stoa_glance_members(data, len, want)
        || version.start == NULL || version.type != STOA_JSON_STRING
        || version.end - version.start != 5
        || memcmp(version.start, "\"2.0\"", 5) != 0)
    {
        return STOA_DECLINED;
    }

    if (g->id.start && g->id.type == STOA_JSON_NULL) {
        g->id.start = NULL;
    }

    if (g->id.start && !stoa_glance_id(&g->id)) {
        return STOA_DECLINED;
    }

    if (g->method.start) {
        g->kind = g->id.start ? STOA_GLANCE_REQUEST
                              : STOA_GLANCE_NOTIFICATION;

        return g->method.type == STOA_JSON_STRING
               && g->result.start == NULL && g->error.start == NULL
               ? STOA_OK : STOA_DECLINED;
    }

    g->kind = STOA_GLANCE_ANSWER;

    if (g->id.start == NULL
        || (g->result.start != NULL) == (g->error.start != NULL)
        || (g->error.start && g->error.type != STOA_JSON_OBJECT))
    {
        return STOA_DECLINED;
    }

    return STOA_OK;
}


bool
stoa_glance_get(const stoa_json_val_t *object, const char *name,
    stoa_json_val_t *val)
{
    const stoa_glance_want_t  want[] = { { name, strlen(name), val },
                                         { NULL, 0, NULL } };

    val->start = NULL;

    return object->start && object->type == STOA_JSON_OBJECT
           && stoa_glance_members(object->start, object->end - object->start,
                                  want)
           && val->start != NULL;
}


bool
stoa_glance_same(const stoa_json_val_t *a, const stoa_json_val_t *b)
{
    const char  *p, *q;                  /* servers say 0 for -0             */

    if (a->start == NULL || b->start == NULL || a->type != b->type) {
        return false;
    }

    if (a->type == STOA_JSON_STRING) {
        return stoa_json_same(a, b);
    }

    if (a->type != STOA_JSON_NUMBER) {
        return false;
    }

    p = a->start + (a->end - a->start == 2 && memcmp(a->start, "-0", 2) == 0);
    q = b->start + (b->end - b->start == 2 && memcmp(b->start, "-0", 2) == 0);

    return a->end - p == b->end - q && memcmp(p, q, a->end - p) == 0;
}


/* The whole text is one object, and its brackets fit. */

static bool
stoa_glance_members(const char *data, size_t len,
    const stoa_glance_want_t *want)
{
    size_t                     n;
    const char                *p, *end;
    stoa_json_val_t            key, v;
    const stoa_glance_want_t  *w;

    end = data + len;
    p = stoa_glance_space(data, end);

    if (p == end || *p != '{') {
        return false;
    }

    p = stoa_glance_space(p + 1, end);

    if (p < end && *p == '}') {
        return stoa_glance_space(p + 1, end) == end;
    }

    for ( ;; ) {
        if (p == end || *p != '"') {
            return false;
        }

        p = stoa_glance_value(p, end, &key);
        p = p ? stoa_glance_space(p, end) : end;

        if (p == end || *p != ':') {
            return false;
        }

        p = stoa_glance_value(stoa_glance_space(p + 1, end), end, &v);

        if (p == NULL) {
            return false;
        }

        n = key.end - key.start - 2;

        for (w = want; w->name; w++) {
            if (w->len == n && w->name[0] == key.start[1]
                && memcmp(w->name, key.start + 1, n) == 0)
            {
                *w->val = v;
                break;
            }
        }

        p = stoa_glance_space(p, end);

        if (p == end || (*p != ',' && *p != '}')) {
            return false;
        }

        if (*p == '}') {
            return stoa_glance_space(p + 1, end) == end;
        }

        p = stoa_glance_space(p + 1, end);
    }
}


/* Where the value that begins at p ends; NULL: it does not. */

static const char *
stoa_glance_value(const char *p, const char *end, stoa_json_val_t *v)
{
    bool         ignored;
    size_t       depth;
    const char  *start;

    v->start = p;
    v->escaped = false;
    depth = 0;

    if (p == end) {
        return NULL;
    }

    switch (*p) {

    case '"':
        v->type = STOA_JSON_STRING;
        v->end = stoa_glance_string(p, end, &v->escaped);
        return v->end;

    case '{':
    case '[':
        v->type = *p == '{' ? STOA_JSON_OBJECT : STOA_JSON_ARRAY;

        do {
            if (*p == '"') {
                p = stoa_glance_string(p, end, &ignored);

                if (p == NULL) {
                    return NULL;
                }

                continue;
            }

            if ((*p | 0x20) == '{') {                 /* or [               */
                depth++;

            } else if ((*p | 0x20) == '}') {          /* or ]               */
                depth--;
            }

            p++;

        } while (depth && p < end);

        v->end = p;

        return depth ? NULL : p;
    }

    for (start = p;
         p < end && *p != ',' && *p != '}' && *p != ']' && *p > ' ';
         p++)
    {
        /* void */
    }

    if (p == start) {
        return NULL;
    }

    v->end = p;
    v->type = *start == 'n' ? STOA_JSON_NULL
              : *start == 't' ? STOA_JSON_TRUE
              : *start == 'f' ? STOA_JSON_FALSE : STOA_JSON_NUMBER;

    return p;
}


static inline const char *
stoa_glance_string(const char *p, const char *end, bool *escaped)
{
    uint64_t     x, m;
    unsigned     i;
    const char  *q;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

    /* most are short: names, types */

    for (i = 0, q = p + 1; i < 3 && end - q >= 8; i++, q += 8) {
        memcpy(&x, q, 8);
        m = STOA_GLANCE_ZERO(x ^ STOA_GLANCE_ALL('"'))
            | STOA_GLANCE_ZERO(x ^ STOA_GLANCE_ALL('\\'));

        if (m) {
            q += __builtin_ctzll(m) >> 3;

            if (*q != '"') {
                break;
            }

            *escaped = false;
            return q + 1;
        }
    }

#endif

    return stoa_glance_long(p, end, escaped);
}


static const char *
stoa_glance_long(const char *p, const char *end, bool *escaped)
{
    const char  *quote, *back;

    *escaped = false;

    for (p++; p < end; p = quote + 1) {
        quote = memchr(p, '"', end - p);

        if (quote == NULL) {
            return NULL;
        }

        for (back = quote; back > p && back[-1] == '\\'; back--) {
            /* void */
        }

        *escaped = *escaped || memchr(p, '\\', quote - p) != NULL;

        if ((quote - back) % 2 == 0) {
            return quote + 1;
        }
    }

    return NULL;
}


static const char *
stoa_glance_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) {
        p++;
    }

    return p;
}


/* A string that can be compared, or an integer. */

static bool
stoa_glance_id(const stoa_json_val_t *id)
{
    const char       *p;
    stoa_err_t        err;
    stoa_json_val_t   root;

    /* most are a few digits */

    for (p = id->start; p < id->end && *p >= '0' && *p <= '9'; p++) {
        /* void */
    }

    if (p == id->end && (*id->start != '0' || p == id->start + 1)) {
        return id->type == STOA_JSON_NUMBER;
    }

    if (stoa_json_check(id->start, id->end - id->start, 1, &root, &err)
        != STOA_OK)
    {
        return false;
    }

    if (root.type == STOA_JSON_STRING) {
        return true;
    }

    for (p = id->start; p < id->end; p++) {
        if (*p == '.' || *p == 'e' || *p == 'E') {
            return false;
        }
    }

    return root.type == STOA_JSON_NUMBER;
}
