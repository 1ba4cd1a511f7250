/*
 * Trees of JSON values: made, searched, compared; reading JSON text is
 * core/stoa_json's work, here its spans become nodes.
 */

#include <stdlib.h>
#include <string.h>

#include "core/stoa_json.h"
#include "base/cp_json.h"


/* The reader walks forward, so lines are counted on the way. */

typedef struct {
    cp_arena_t  *arena;
    const char  *seen;             /* up to here the LFs are counted        */
    unsigned     line;
    cp_err_t    *err;
} cp_json_reader_t;


static cp_rc_t cp_json_read(cp_json_reader_t *rd, const stoa_json_val_t *val,
    cp_json_t **out);


static cp_json_t *
cp_json_make(cp_arena_t *a, cp_json_type_e type)
{
    cp_json_t  *v;

    v = cp_arena_alloc(a, sizeof(cp_json_t));
    if (v != NULL) {
        v->type = type;
    }

    return v;
}


cp_json_t *
cp_json_object(cp_arena_t *a)
{
    return cp_json_make(a, CP_JSON_OBJECT);
}


cp_json_t *
cp_json_array(cp_arena_t *a)
{
    return cp_json_make(a, CP_JSON_ARRAY);
}


cp_json_t *
cp_json_null(cp_arena_t *a)
{
    return cp_json_make(a, CP_JSON_NULL);
}


cp_json_t *
cp_json_string(cp_arena_t *a, const char *s)
{
    cp_json_t  *v;

    if (s == NULL) {
        return cp_json_null(a);
    }

    v = cp_json_make(a, CP_JSON_STRING);
    if (v == NULL) {
        return NULL;
    }

    v->len = strlen(s);
    v->s = cp_arena_strndup(a, s, v->len);

    return (v->s != NULL) ? v : NULL;
}


cp_json_t *
cp_json_int(cp_arena_t *a, int64_t i)
{
    cp_json_t  *v;

    v = cp_json_make(a, CP_JSON_INT);
    if (v != NULL) {
        v->i = i;
    }

    return v;
}


cp_json_t *
cp_json_bool(cp_arena_t *a, bool b)
{
    cp_json_t  *v;

    v = cp_json_make(a, CP_JSON_BOOL);
    if (v != NULL) {
        v->i = b;
    }

    return v;
}


void
cp_json_push(cp_json_t *arr, cp_json_t *val)
{
    if (arr == NULL || val == NULL) {
        return;
    }

    val->next = NULL;

    if (arr->last == NULL) {
        arr->first = val;

    } else {
        arr->last->next = val;
    }

    arr->last = val;
    arr->n++;
}


void
cp_json_set(cp_arena_t *a, cp_json_t *obj, const char *key, cp_json_t *val)
{
    cp_json_t  *v, **link;

    if (obj == NULL || val == NULL) {
        return;
    }

    for (link = &obj->first; *link != NULL; link = &(*link)->next) {

        v = *link;

        if (v != val && strcmp(v->key, key) == 0) {
            val->key = v->key;
            val->next = v->next;
            *link = val;

            if (obj->last == v) {
                obj->last = val;
            }

            return;
        }
    }

    val->key = cp_arena_strdup(a, key);
    if (val->key != NULL) {
        cp_json_push(obj, val);
    }
}


void
cp_json_put(cp_arena_t *a, cp_json_t *obj, const char *key, const char *s)
{
    cp_json_set(a, obj, key, cp_json_string(a, s));
}


void
cp_json_put_int(cp_arena_t *a, cp_json_t *obj, const char *key, int64_t i)
{
    cp_json_set(a, obj, key, cp_json_int(a, i));
}


void
cp_json_put_bool(cp_arena_t *a, cp_json_t *obj, const char *key, bool b)
{
    cp_json_set(a, obj, key, cp_json_bool(a, b));
}


cp_json_t *
cp_json_copy(cp_arena_t *a, const cp_json_t *v)
{
    cp_json_t        *dup, *child;
    const cp_json_t  *p;

    if (v == NULL) {
        return NULL;
    }

    dup = cp_arena_alloc(a, sizeof(cp_json_t));
    if (dup == NULL) {
        return NULL;
    }

    *dup = *v;
    dup->first = NULL;
    dup->last = NULL;
    dup->next = NULL;
    dup->n = 0;

    if (v->key != NULL) {
        dup->key = cp_arena_strdup(a, v->key);
        if (dup->key == NULL) {
            return NULL;
        }
    }

    if (v->s != NULL) {
        dup->s = cp_arena_strndup(a, v->s, v->len);
        if (dup->s == NULL) {
            return NULL;
        }
    }

    for (p = v->first; p != NULL; p = p->next) {

        child = cp_json_copy(a, p);
        if (child == NULL) {
            return NULL;
        }

        cp_json_push(dup, child);
    }

    return dup;
}


cp_json_t *
cp_json_get(const cp_json_t *obj, const char *key)
{
    cp_json_t  *v;

    if (obj == NULL || obj->type != CP_JSON_OBJECT) {
        return NULL;
    }

    for (v = obj->first; v != NULL; v = v->next) {
        if (strcmp(v->key, key) == 0) {
            return v;
        }
    }

    return NULL;
}


const char *
cp_json_str(const cp_json_t *obj, const char *key)
{
    cp_json_t  *v;

    v = cp_json_get(obj, key);

    return (v != NULL && v->type == CP_JSON_STRING) ? v->s : NULL;
}


int64_t
cp_json_num(const cp_json_t *obj, const char *key, int64_t dflt)
{
    cp_json_t  *v;

    v = cp_json_get(obj, key);

    return (v != NULL && (v->type == CP_JSON_INT || v->type == CP_JSON_BOOL))
           ? v->i : dflt;
}


static int
cp_json_by_key(const void *one, const void *two)
{
    const cp_json_t  *a = *(const cp_json_t *const *) one;
    const cp_json_t  *b = *(const cp_json_t *const *) two;

    return strcmp(a->key, b->key);
}


/* Members in any order: both sides sorted by key.  Without memory "not equal"
 * is the safe answer: something is then written once more. */

static bool
cp_json_equal_sorted(const cp_json_t *a, const cp_json_t *b, unsigned n)
{
    bool               equal;
    unsigned           i;
    const cp_json_t  **va, **vb;

    va = malloc(2 * n * sizeof(cp_json_t *));
    if (va == NULL) {
        return false;
    }

    vb = va + n;

    for (i = 0; i < n; i++, a = a->next, b = b->next) {
        va[i] = a;
        vb[i] = b;
    }

    qsort(va, n, sizeof(cp_json_t *), cp_json_by_key);
    qsort(vb, n, sizeof(cp_json_t *), cp_json_by_key);

    equal = true;

    for (i = 0; i < n && equal; i++) {
        equal = strcmp(va[i]->key, vb[i]->key) == 0
                && cp_json_equal(va[i], vb[i]);
    }

    free(va);

    return equal;
}


static bool
cp_json_equal_children(const cp_json_t *a, const cp_json_t *b)
{
    unsigned          left;
    const cp_json_t  *p, *q;

    if (a->n != b->n) {
        return false;
    }

    for (p = a->first, q = b->first, left = a->n;
         p != NULL && q != NULL;
         p = p->next, q = q->next, left--)
    {
        if (a->type == CP_JSON_OBJECT && strcmp(p->key, q->key) != 0) {
            return cp_json_equal_sorted(p, q, left);
        }

        if (!cp_json_equal(p, q)) {
            return false;
        }
    }

    return true;
}


bool
cp_json_equal(const cp_json_t *a, const cp_json_t *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }

    if (a->type != b->type) {
        return (a->type == CP_JSON_INT && b->type == CP_JSON_REAL
                && (double) a->i == b->d)
               || (a->type == CP_JSON_REAL && b->type == CP_JSON_INT
                   && a->d == (double) b->i);
    }

    switch (a->type) {

    case CP_JSON_NULL:
        return true;

    case CP_JSON_BOOL:
    case CP_JSON_INT:
        return a->i == b->i;

    case CP_JSON_REAL:
        return a->d == b->d;

    case CP_JSON_STRING:
        return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;

    case CP_JSON_ARRAY:
    case CP_JSON_OBJECT:
        break;
    }

    return cp_json_equal_children(a, b);
}


static unsigned
cp_json_line(cp_json_reader_t *rd, const char *p)
{
    const char  *lf;

    while (rd->seen < p) {

        lf = memchr(rd->seen, '\n', (size_t) (p - rd->seen));
        if (lf == NULL) {
            rd->seen = p;
            break;
        }

        rd->line++;
        rd->seen = lf + 1;
    }

    return rd->line;
}


static cp_rc_t
cp_json_no_memory(cp_err_t *err)
{
    return cp_err_set(err, "body_too_large",
                      "the document needs too much memory");
}


/* Unescapes a string that must hold no NUL. */

static cp_rc_t
cp_json_unescape(cp_json_reader_t *rd, const stoa_json_val_t *val,
    const char **s, size_t *len)
{
    char  *p;

    if (val->escaped) {
        p = cp_arena_alloc(rd->arena, (size_t) (val->end - val->start) + 1);
        if (p == NULL) {
            return cp_json_no_memory(rd->err);
        }

        *len = stoa_json_unescape(val, p);
        p[*len] = '\0';

    } else {
        *len = (size_t) (val->end - val->start) - 2;

        p = cp_arena_strndup(rd->arena, val->start + 1, *len);
        if (p == NULL) {
            return cp_json_no_memory(rd->err);
        }
    }

    *s = p;

    if (memchr(p, '\0', *len) != NULL) {
        (void) cp_err_set(rd->err, "bad_request",
                          "line %u: a string holds the character U+0000",
                          cp_json_line(rd, val->start));
        return CP_DECLINED;
    }

    return CP_OK;
}


static cp_rc_t
cp_json_read_number(cp_json_reader_t *rd, const stoa_json_val_t *val,
    cp_json_t *v)
{
    if (stoa_json_int(val, &v->i) == STOA_OK) {
        v->type = CP_JSON_INT;
        return CP_OK;
    }

    v->type = CP_JSON_REAL;
    v->len = (size_t) (val->end - val->start);
    v->s = cp_arena_strndup(rd->arena, val->start, v->len);

    if (v->s == NULL) {
        return cp_json_no_memory(rd->err);
    }

    v->d = strtod(v->s, NULL);

    return CP_OK;
}


static cp_rc_t
cp_json_read_children(cp_json_reader_t *rd, const stoa_json_val_t *val,
    cp_json_t *v)
{
    bool              more;
    size_t            len;
    cp_rc_t           rc;
    cp_json_t        *child;
    const char       *name;
    stoa_json_val_t   key, item;
    stoa_json_iter_t  it;

    for (more = stoa_json_first(val, &it, &key, &item);
         more;
         more = stoa_json_next(&it, &key, &item))
    {
        name = NULL;

        if (v->type == CP_JSON_OBJECT) {
            rc = cp_json_unescape(rd, &key, &name, &len);
            if (rc != CP_OK) {
                return rc;
            }
        }

        rc = cp_json_read(rd, &item, &child);
        if (rc != CP_OK) {
            return rc;
        }

        child->key = name;
        cp_json_push(v, child);
    }

    return CP_OK;
}


static cp_rc_t
cp_json_read(cp_json_reader_t *rd, const stoa_json_val_t *val,
    cp_json_t **out)
{
    cp_json_t  *v;

    v = cp_json_make(rd->arena, CP_JSON_NULL);
    if (v == NULL) {
        return cp_json_no_memory(rd->err);
    }

    v->line = cp_json_line(rd, val->start);
    *out = v;

    switch (val->type) {

    case STOA_JSON_NULL:
        return CP_OK;

    case STOA_JSON_FALSE:
    case STOA_JSON_TRUE:
        v->type = CP_JSON_BOOL;
        v->i = (val->type == STOA_JSON_TRUE);
        return CP_OK;

    case STOA_JSON_NUMBER:
        return cp_json_read_number(rd, val, v);

    case STOA_JSON_STRING:
        v->type = CP_JSON_STRING;
        return cp_json_unescape(rd, val, &v->s, &v->len);

    case STOA_JSON_ARRAY:
        v->type = CP_JSON_ARRAY;
        break;

    case STOA_JSON_OBJECT:
        v->type = CP_JSON_OBJECT;
        break;
    }

    return cp_json_read_children(rd, val, v);
}


cp_rc_t
cp_json_parse(cp_arena_t *a, const char *text, size_t len, cp_json_t **out,
    cp_err_t *err)
{
    stoa_rc_t         rc;
    stoa_err_t        why;
    stoa_json_val_t   root;
    cp_json_reader_t  rd;

    memset(&why, 0, sizeof(stoa_err_t));

    rc = stoa_json_check(text, len, STOA_JSON_DEPTH_MAX, &root, &why);

    if (rc == STOA_DECLINED) {
        (void) cp_err_set(err, "bad_request", "line %u: %s", why.line,
                          why.text);
        return cp_err_field(err, -1, why.line, why.field, "%s", why.text);
    }

    if (rc != STOA_OK) {
        return cp_err_set(err, "internal", "out of memory");
    }

    rd.arena = a;
    rd.seen = text;
    rd.line = 1;
    rd.err = err;

    return cp_json_read(&rd, &root, out);
}


void
cp_text_skip_mark(const char **text, size_t *len)
{
    if (*len >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
        *text += 3;
        *len -= 3;
    }
}
