/*
 * What the compiling of schemas is made of, and what both it and judging
 * need: lists, names, numbers, places.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stoa_jschema_node.h"
#include "stoa_pattern.h"


static int stoa_jschema_told(const stoa_json_val_t *key);


const stoa_jschema_type_t  stoa_jschema_types[STOA_JSCHEMA_TYPES] = {
    { "null", 1 << STOA_JSON_NULL },
    { "boolean", 1 << STOA_JSON_FALSE | 1 << STOA_JSON_TRUE },
    { "number", 1 << STOA_JSON_NUMBER }, { "integer", STOA_JSCHEMA_INTEGER },
    { "string", 1 << STOA_JSON_STRING }, { "array", 1 << STOA_JSON_ARRAY },
    { "object", 1 << STOA_JSON_OBJECT },
};


/* A row of the node's names; one that another keyword has made is filled. */

stoa_rc_t
stoa_jschema_name(stoa_jschema_make_t *m, uint32_t node,
    const stoa_json_val_t *name, uint32_t child, bool required)
{
    uint32_t              i, *w, *old, row[4];
    stoa_rc_t             rc;
    stoa_json_val_t       other;
    stoa_jschema_list_t   list;
    stoa_jschema_node_t  *n;

    n = stoa_jschema_at(m, node);
    w = (uint32_t *) m->words.data + n->names.at;

    for (i = 0; i < n->names.n; i++, w += 4) {
        other.type = STOA_JSON_STRING;
        other.start = m->json + w[0];
        other.end = other.start + w[1];
        other.escaped = memchr(other.start, '\\', w[1]) != NULL;

        if (stoa_json_same(&other, name)) {
            w[2] = child ? child : w[2];
            n->required += required && !w[3];
            w[3] |= required;
            return STOA_OK;
        }
    }

    if (n->names.n == STOA_JSCHEMA_NAMES) {
        return stoa_jschema_wrong(m, "has more names than 256");
    }

    row[0] = (uint32_t) (name->start - m->json);
    row[1] = (uint32_t) (name->end - name->start);
    row[2] = child;
    row[3] = required;

    /* what others have added meanwhile lies behind the rows: they move */

    if (n->names.at * sizeof(uint32_t) + n->names.n * sizeof(row)
        != m->words.len)
    {
        rc = stoa_buf_reserve(&m->words, (n->names.n + 1) * sizeof(row));
        if (rc != STOA_OK) {
            return rc;
        }

        old = (uint32_t *) m->words.data + n->names.at;
        n->names.at = (uint32_t) (m->words.len / sizeof(uint32_t));
        stoa_buf_add(&m->words, old, n->names.n * sizeof(row));
    }

    rc = stoa_jschema_words(m, &list, row, 4);
    n = stoa_jschema_at(m, node);
    n->names.n++;
    n->required += required;

    if (n->names.n == 1) {
        n->names.at = list.at;
    }

    return rc;
}


stoa_rc_t
stoa_jschema_program(stoa_jschema_make_t *m, const stoa_json_val_t *val,
    uint32_t *program)
{
    char        *text;
    size_t       len;
    stoa_rc_t    rc;
    const char  *wrong;

    if (val->type != STOA_JSON_STRING) {
        return stoa_jschema_wrong(m, "must be a string");
    }

    text = malloc((size_t) (val->end - val->start));
    if (text == NULL) {
        return STOA_ERROR;
    }

    len = stoa_json_unescape(val, text);
    *program = (uint32_t) m->programs.len;
    rc = stoa_pattern_compile(text, len, &m->programs, &wrong);
    free(text);

    return rc == STOA_DECLINED ? stoa_jschema_wrong(m, wrong) : rc;
}


/* "#", "#/a/b": names without "%", "~0" and "~1" in them as they are. */

stoa_rc_t
stoa_jschema_add(stoa_jschema_make_t *m, const stoa_json_val_t *val,
    uint32_t *index)
{
    stoa_jschema_node_t  node;

    if (val->type != STOA_JSON_OBJECT && val->type != STOA_JSON_TRUE
        && val->type != STOA_JSON_FALSE)
    {
        return stoa_jschema_wrong(m, "must be a schema: an object, true or "
                                  "false");
    }

    if (m->n == m->most) {
        return stoa_jschema_wrong(m, "is one schema too many");
    }

    memset(&node, 0, sizeof(node));
    node.types = val->type == STOA_JSON_FALSE ? 0 : STOA_JSCHEMA_ALL;
    node.max_length = UINT32_MAX;
    node.max_items = UINT32_MAX;
    node.max_members = UINT32_MAX;
    node.min_contains = 1;
    node.max_contains = UINT32_MAX;

    *index = m->n;
    m->todo[m->n++].val = *val;
    stoa_buf_add(&m->nodes, &node, sizeof(node));

    return m->nodes.rc;
}


/* "#/$defs/7" of a set. */

static bool
stoa_jschema_place_of(stoa_jschema_make_t *m, const stoa_json_val_t *ref,
    stoa_json_val_t *at)
{
    size_t       n;
    const char  *p;

    static const char  defs[] = "\"#/$defs/";

    p = ref->start + sizeof(defs) - 1;

    if (ref->type != STOA_JSON_STRING || ref->end - p < 2 || ref->end - p > 8
        || memcmp(ref->start, defs, sizeof(defs) - 1) != 0)
    {
        return false;
    }

    for (n = 0; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (size_t) (*p - '0');
    }

    if (p != ref->end - 1 || n >= m->defs.len / sizeof(stoa_json_val_t)) {
        return false;
    }

    *at = ((stoa_json_val_t *) m->defs.data)[n];

    return true;
}


stoa_rc_t
stoa_jschema_pointer(stoa_jschema_make_t *m, const stoa_json_val_t *ref,
    stoa_json_val_t *at)
{
    char              name[256];
    size_t            n;
    const char       *p, *end;
    stoa_json_val_t   in;

    p = ref->start + 1;
    end = ref->end - 1;
    *at = m->root;

    if (m->defs.len && stoa_jschema_place_of(m, ref, at)) {
        return STOA_OK;
    }

    if (ref->type != STOA_JSON_STRING || p == end || *p++ != '#'
        || (p < end && *p != '/') || memchr(p, '\\', (size_t) (end - p))
        || memchr(p, '%', (size_t) (end - p)))
    {
        return stoa_jschema_wrong(m, "must lead into the schema: #/...");
    }

    while (p < end) {
        p++;

        for (n = 0; p < end && *p != '/' && n < sizeof(name) - 1; p++) {
            name[n] = *p;

            if (*p == '~' && end - p > 1 && (p[1] == '0' || p[1] == '1')) {
                name[n] = *++p == '0' ? '~' : '/';
            }

            n++;
        }

        name[n] = '\0';
        in = *at;

        if ((p < end && *p != '/') || in.type != STOA_JSON_OBJECT
            || !stoa_json_get(&in, name, at))
        {
            return stoa_jschema_wrong(m, "leads to nothing");
        }
    }

    return STOA_OK;
}


stoa_rc_t
stoa_jschema_words(stoa_jschema_make_t *m, stoa_jschema_list_t *list,
    const uint32_t *words, uint32_t n)
{
    list->at = (uint32_t) (m->words.len / sizeof(uint32_t));
    list->n = n;
    stoa_buf_add(&m->words, words, n * sizeof(uint32_t));

    return m->words.rc;
}


/* Which lead to themselves without going into the value would never end. */

stoa_rc_t
stoa_jschema_circles(stoa_jschema_make_t *m, uint32_t node)
{
    size_t                i, k;
    uint32_t              one[5], *w;
    stoa_rc_t             rc;
    stoa_jschema_list_t  *lists[3];
    stoa_jschema_node_t  *n;

    if (m->todo[node].circle) {
        m->path_len = 0;

        return m->todo[node].circle == 2 ? STOA_OK
               : stoa_jschema_wrong(m, "has a $ref that leads to itself");
    }

    if (m->depth == STOA_JSCHEMA_CHAIN) {
        m->path_len = 0;
        return stoa_jschema_wrong(m, "has $refs that lead on too often");
    }

    m->depth++;
    m->todo[node].circle = 1;
    n = stoa_jschema_at(m, node);
    one[0] = n->ref;
    one[1] = n->not;
    one[2] = n->when;
    one[3] = n->then;
    one[4] = n->otherwise;
    lists[0] = &n->all;
    lists[1] = &n->any;
    lists[2] = &n->one;
    rc = STOA_OK;

    for (i = 0; rc == STOA_OK && i < 5; i++) {
        rc = one[i] ? stoa_jschema_circles(m, one[i] - 1) : STOA_OK;
    }

    for (i = 0; i < 3; i++) {
        w = (uint32_t *) m->words.data + lists[i]->at;

        for (k = 0; rc == STOA_OK && k < lists[i]->n; k++) {
            rc = stoa_jschema_circles(m, w[k] - 1);
        }
    }

    m->todo[node].circle = 2;
    m->depth--;

    return rc;
}


stoa_rc_t
stoa_jschema_wrong(stoa_jschema_make_t *m, const char *text)
{
    m->path[m->path_len] = '\0';

    return stoa_err_set(m->err, m->path, "%s", text);
}


size_t
stoa_jschema_enter(stoa_jschema_make_t *m, const char *name, size_t len)
{
    size_t  was, room;

    was = m->path_len;
    room = sizeof(m->path) - 1 - was;

    if (was && room) {
        m->path[m->path_len++] = '.';
        room--;
    }

    len = len < room ? len : room;
    memcpy(m->path + m->path_len, name, len);
    m->path_len += len;

    return was;
}


bool
stoa_jschema_number(const stoa_json_val_t *val, stoa_jschema_number_t *n)
{
    char    text[64];
    size_t  len;

    len = (size_t) (val->end - val->start);

    if (len > 60) {
        return false;
    }

    n->set = true;
    n->fits = stoa_json_int(val, &n->i) == STOA_OK;

    if (n->fits) {
        n->d = (double) n->i;
        return true;
    }

    memcpy(text, val->start, len);
    text[len] = '\0';
    n->d = strtod(text, NULL);

    return true;
}


void
stoa_jschema_place(const stoa_jschema_step_t *path, unsigned n, char *text,
    size_t size)
{
    int       k;
    size_t    len;
    unsigned  i;

    text[0] = '\0';

    for (i = 0, len = 0; i < n && len < size - 1; i++) {
        k = path[i].key
            ? snprintf(text + len, size - len, "%s%.*s", len ? "." : "",
                       stoa_jschema_told(path[i].key), path[i].key->start + 1)
            : snprintf(text + len, size - len, "[%u]", path[i].index);

        len += k < 0 ? 0 : (size_t) k;
    }
}


/* How much of a name is told: no part of a character. */

static int
stoa_jschema_told(const stoa_json_val_t *key)
{
    int  n;

    n = (int) (key->end - key->start) - 2;

    if (n > 40) {
        for (n = 40; (key->start[1 + n] & 0xc0) == 0x80; n--) { /* void */ }
    }

    return n;
}
