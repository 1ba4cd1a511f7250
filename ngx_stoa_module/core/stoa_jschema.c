/*
 * Schemas: from a text to nodes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stoa_jschema_node.h"


typedef stoa_rc_t stoa_jschema_read_t(stoa_jschema_make_t *m, uint32_t node,
    size_t member, const stoa_json_val_t *val);

typedef struct {
    const char           *name;
    stoa_jschema_read_t  *read;          /* NULL: said, not judged           */
    size_t                member;
} stoa_jschema_word_t;


static stoa_rc_t stoa_jschema_members(stoa_jschema_make_t *m, uint32_t node,
    const stoa_json_val_t *val);

static stoa_jschema_read_t  read_child, read_children, read_count,
    read_bound, read_type, read_values, read_value, read_named,
    read_required, read_patterns, read_pattern, read_multiple, read_flag,
    read_nullable, read_ref;


#define N(m)  offsetof(stoa_jschema_node_t, m)

static const stoa_jschema_word_t  stoa_jschema_known[] = {
    { "type", read_type, 0 },
    { "nullable", read_nullable, 0 },
    { "enum", read_values, 0 },
    { "const", read_value, 0 },
    { "properties", read_named, N(names) },
    { "required", read_required, 0 },
    { "additionalProperties", read_child, N(additional) },
    { "patternProperties", read_patterns, 0 },
    { "propertyNames", read_child, N(property_names) },
    { "minProperties", read_count, N(min_members) },
    { "maxProperties", read_count, N(max_members) },
    { "items", read_child, N(items) },
    { "prefixItems", read_children, N(prefix) },
    { "contains", read_child, N(contains) },
    { "minContains", read_count, N(min_contains) },
    { "maxContains", read_count, N(max_contains) },
    { "minItems", read_count, N(min_items) },
    { "maxItems", read_count, N(max_items) },
    { "uniqueItems", read_flag, N(unique) },
    { "minLength", read_count, N(min_length) },
    { "maxLength", read_count, N(max_length) },
    { "pattern", read_pattern, 0 },
    { "minimum", read_bound, N(min) },
    { "maximum", read_bound, N(max) },
    { "exclusiveMinimum", read_bound, N(above) },
    { "exclusiveMaximum", read_bound, N(below) },
    { "multipleOf", read_multiple, 0 },
    { "allOf", read_children, N(all) },
    { "anyOf", read_children, N(any) },
    { "oneOf", read_children, N(one) },
    { "not", read_child, N(not) },
    { "if", read_child, N(when) },
    { "then", read_child, N(then) },
    { "else", read_child, N(otherwise) },
    { "$ref", read_ref, 0 },
    { "$defs", read_named, 0 },
    { "definitions", read_named, 0 },
    { "components", NULL, 0 },
    { "$schema", NULL, 0 }, { "$comment", NULL, 0 }, { "title", NULL, 0 },
    { "description", NULL, 0 }, { "default", NULL, 0 },
    { "examples", NULL, 0 }, { "example", NULL, 0 }, { "format", NULL, 0 },
    { "deprecated", NULL, 0 }, { "readOnly", NULL, 0 },
    { "writeOnly", NULL, 0 }, { "contentEncoding", NULL, 0 },
    { "contentMediaType", NULL, 0 }, { "discriminator", NULL, 0 },
    { "externalDocs", NULL, 0 }, { "xml", NULL, 0 },
};


/* One text is one node, however many lead to it: they may be in a circle.
 * ref: it is led to, and not read now. */

stoa_rc_t
stoa_jschema_node(stoa_jschema_make_t *m, const stoa_json_val_t *val,
    const stoa_json_val_t *ref, uint32_t *index)
{
    uint32_t              slot;
    stoa_rc_t             rc;
    stoa_jschema_todo_t  *todo;

    slot = (uint32_t) ((uint64_t) (val->start - m->json)
                       * UINT64_C(0x9e3779b97f4a7c15) >> 32)
           & (m->nslots - 1);

    while (m->slots[slot]
           && m->todo[m->slots[slot] - 1].val.start != val->start)
    {
        slot = (slot + 1) & (m->nslots - 1);
    }

    if (m->slots[slot] == 0) {
        rc = stoa_jschema_add(m, val, index);
        if (rc != STOA_OK) {
            return rc;
        }

        m->slots[slot] = *index + 1;
        m->todo[*index].ref = val->start;
    }

    *index = m->slots[slot] - 1;
    todo = &m->todo[*index];

    if (todo->ref == NULL) {
        return STOA_OK;
    }

    if (ref) {
        todo->ref = ref->start + 1;
        todo->ref_len = (uint32_t) (ref->end - ref->start) - 2;
        return STOA_OK;
    }

    todo->ref = NULL;

    return val->type == STOA_JSON_OBJECT
           ? stoa_jschema_members(m, *index, val) : STOA_OK;
}


bool
stoa_jschema_knows(const char *name, size_t len)
{
    size_t  i;

    for (i = 0; i < sizeof(stoa_jschema_known) / sizeof(stoa_jschema_known[0]);
         i++)
    {
        if (strlen(stoa_jschema_known[i].name) == len
            && memcmp(stoa_jschema_known[i].name, name, len) == 0)
        {
            return true;
        }
    }

    return len > 1 && name[0] == 'x' && name[1] == '-';
}


static stoa_rc_t
stoa_jschema_members(stoa_jschema_make_t *m, uint32_t node,
    const stoa_json_val_t *val)
{
    bool               more;
    size_t             i, path;
    stoa_rc_t          rc;
    stoa_json_val_t    key, v;
    stoa_json_iter_t   it;

    for (more = stoa_json_first(val, &it, &key, &v);
         more;
         more = stoa_json_next(&it, &key, &v))
    {
        path = stoa_jschema_enter(m, key.start + 1,
                                  (size_t) (key.end - key.start) - 2);

        for (i = 0; i < sizeof(stoa_jschema_known)
                        / sizeof(stoa_jschema_known[0]); i++)
        {
            if (stoa_json_eq(&key, stoa_jschema_known[i].name,
                             strlen(stoa_jschema_known[i].name)))
            {
                break;
            }
        }

        if (i == sizeof(stoa_jschema_known) / sizeof(stoa_jschema_known[0])) {
            if (key.end - key.start > 3 && key.start[1] == 'x'
                && key.start[2] == '-')
            {
                m->path_len = path;
                continue;
            }

            return stoa_jschema_wrong(m, "is a keyword that is not supported");
        }

        if (stoa_jschema_known[i].read) {
            rc = stoa_jschema_known[i].read(m, node,
                                            stoa_jschema_known[i].member, &v);
            if (rc != STOA_OK) {
                return rc;
            }
        }

        m->path_len = path;
    }

    return STOA_OK;
}


/* ---- keywords ----------------------------------------------------------- */

static stoa_rc_t
read_child(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    uint32_t   index;
    stoa_rc_t  rc;

    rc = stoa_jschema_node(m, val, NULL, &index);

    if (rc == STOA_OK) {
        index++;
        memcpy((char *) stoa_jschema_at(m, node) + member, &index,
               sizeof(index));
    }

    return rc;
}


static stoa_rc_t
read_children(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    bool                 more;
    char                 text[16];
    size_t               path;
    uint32_t             index;
    stoa_rc_t            rc;
    stoa_buf_t           all;
    stoa_json_val_t      item;
    stoa_json_iter_t     it;
    stoa_jschema_list_t  list;

    if (val->type != STOA_JSON_ARRAY
        || !stoa_json_first(val, &it, NULL, &item))
    {
        return stoa_jschema_wrong(m, "must be an array of schemas");
    }

    stoa_buf_init(&all, STOA_JSCHEMA_LEN * sizeof(uint32_t));
    list.n = 0;
    rc = STOA_OK;

    for (more = true; more && rc == STOA_OK;
         more = stoa_json_next(&it, NULL, &item))
    {
        path = stoa_jschema_enter(m, text, (size_t)
                                  snprintf(text, sizeof(text), "%u", list.n));
        rc = stoa_jschema_node(m, &item, NULL, &index);

        if (rc == STOA_OK) {
            index++;
            stoa_buf_add(&all, &index, sizeof(index));
            rc = all.rc;
            list.n++;
            m->path_len = path;
        }
    }

    if (rc == STOA_OK) {
        rc = stoa_jschema_words(m, &list, (uint32_t *) all.data, list.n);
        memcpy((char *) stoa_jschema_at(m, node) + member, &list,
               sizeof(list));
    }

    stoa_buf_free(&all);

    return rc;
}


static stoa_rc_t
read_count(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    int64_t   n;
    uint32_t  count;

    if (val->type != STOA_JSON_NUMBER || stoa_json_int(val, &n) != STOA_OK
        || n < 0 || n >= UINT32_MAX)
    {
        return stoa_jschema_wrong(m, "must be a whole number, 0 or more");
    }

    count = (uint32_t) n;
    memcpy((char *) stoa_jschema_at(m, node) + member, &count, sizeof(count));

    return STOA_OK;
}


static stoa_rc_t
read_bound(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    stoa_jschema_number_t  n;

    if (val->type != STOA_JSON_NUMBER || !stoa_jschema_number(val, &n)) {
        return stoa_jschema_wrong(m, "must be a number");
    }

    memcpy((char *) stoa_jschema_at(m, node) + member, &n, sizeof(n));

    return STOA_OK;
}


static stoa_rc_t
read_type(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    bool              more;
    size_t            i;
    uint32_t          types;
    stoa_json_val_t   item;
    stoa_json_iter_t  it;

    (void) member;
    item = *val;
    more = val->type != STOA_JSON_ARRAY
           || stoa_json_first(val, &it, NULL, &item);

    for (types = 0; more;
         more = val->type == STOA_JSON_ARRAY
                && stoa_json_next(&it, NULL, &item))
    {
        for (i = 0; i < STOA_JSCHEMA_TYPES; i++) {
            if (item.type == STOA_JSON_STRING
                && stoa_json_eq(&item, stoa_jschema_types[i].name,
                                strlen(stoa_jschema_types[i].name)))
            {
                types |= stoa_jschema_types[i].types;
                break;
            }
        }

        if (i == STOA_JSCHEMA_TYPES) {
            return stoa_jschema_wrong(m, "must be null, boolean, number, "
                                      "integer, string, array or object");
        }
    }

    if (types == 0) {
        return stoa_jschema_wrong(m, "must have an item");
    }

    /* that it may be null can have been said before */

    types |= stoa_jschema_at(m, node)->types & 0x100 ? 1 << STOA_JSON_NULL : 0;
    stoa_jschema_at(m, node)->types = types;

    return STOA_OK;
}


static stoa_rc_t
read_nullable(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    (void) member;

    if (val->type != STOA_JSON_TRUE && val->type != STOA_JSON_FALSE) {
        return stoa_jschema_wrong(m, "must be true or false");
    }

    if (val->type == STOA_JSON_TRUE) {
        stoa_jschema_at(m, node)->types |= 1 << STOA_JSON_NULL | 0x100;
    }

    return STOA_OK;
}


static stoa_rc_t
read_flag(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    bool  flag;

    if (val->type != STOA_JSON_TRUE && val->type != STOA_JSON_FALSE) {
        return stoa_jschema_wrong(m, "must be true or false");
    }

    flag = val->type == STOA_JSON_TRUE;
    memcpy((char *) stoa_jschema_at(m, node) + member, &flag, sizeof(flag));

    return STOA_OK;
}


static stoa_rc_t
read_value(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    uint32_t              words[2];
    stoa_jschema_node_t  *n;

    (void) member;
    n = stoa_jschema_at(m, node);

    if (n->has_values) {
        return stoa_jschema_wrong(m, "must not be together with enum");
    }

    n->has_values = true;
    words[0] = (uint32_t) (val->start - m->json);
    words[1] = (uint32_t) (val->end - val->start);

    return stoa_jschema_words(m, &n->values, words, 2);
}


static stoa_rc_t
read_values(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    bool                  more;
    uint32_t              words[2];
    stoa_rc_t             rc;
    stoa_json_val_t       item;
    stoa_json_iter_t      it;
    stoa_jschema_list_t   list;
    stoa_jschema_node_t  *n;

    (void) member;
    n = stoa_jschema_at(m, node);

    if (val->type != STOA_JSON_ARRAY || n->has_values) {
        return stoa_jschema_wrong(m, n->has_values
                                  ? "must not be together with const"
                                  : "must be an array");
    }

    n->has_values = true;
    n->values.at = (uint32_t) (m->words.len / sizeof(uint32_t));

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        words[0] = (uint32_t) (item.start - m->json);
        words[1] = (uint32_t) (item.end - item.start);

        rc = stoa_jschema_words(m, &list, words, 2);
        if (rc != STOA_OK) {
            return rc;
        }

        n->values.n += 2;
    }

    return STOA_OK;
}


/* Schemas by names; member 0: the names are not those of properties. */

static stoa_rc_t
read_named(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    bool              more;
    size_t            path;
    uint32_t          index;
    stoa_rc_t         rc;
    stoa_json_val_t   key, v;
    stoa_json_iter_t  it;

    if (val->type != STOA_JSON_OBJECT) {
        return stoa_jschema_wrong(m, "must be an object");
    }

    for (more = stoa_json_first(val, &it, &key, &v);
         more;
         more = stoa_json_next(&it, &key, &v))
    {
        path = stoa_jschema_enter(m, key.start + 1,
                                  (size_t) (key.end - key.start) - 2);

        rc = stoa_jschema_node(m, &v, NULL, &index);

        if (rc == STOA_OK && member) {
            rc = stoa_jschema_name(m, node, &key, index + 1, false);
        }

        if (rc != STOA_OK) {
            return rc;
        }

        m->path_len = path;
    }

    return STOA_OK;
}


static stoa_rc_t
read_required(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    bool              more;
    stoa_rc_t         rc;
    stoa_json_val_t   item;
    stoa_json_iter_t  it;

    (void) member;

    if (val->type != STOA_JSON_ARRAY) {
        return stoa_jschema_wrong(m, "must be an array of names");
    }

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        if (item.type != STOA_JSON_STRING) {
            return stoa_jschema_wrong(m, "must be an array of names");
        }

        rc = stoa_jschema_name(m, node, &item, 0, true);
        if (rc != STOA_OK) {
            return rc;
        }
    }

    return STOA_OK;
}


static stoa_rc_t
read_patterns(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    bool                 more;
    size_t               path;
    uint32_t             words[2 * STOA_JSCHEMA_PATTERNS];
    stoa_rc_t            rc;
    stoa_json_val_t      key, v;
    stoa_json_iter_t     it;
    stoa_jschema_list_t  list;

    (void) member;

    if (val->type != STOA_JSON_OBJECT) {
        return stoa_jschema_wrong(m, "must be an object");
    }

    list.n = 0;

    for (more = stoa_json_first(val, &it, &key, &v);
         more;
         more = stoa_json_next(&it, &key, &v))
    {
        path = stoa_jschema_enter(m, key.start + 1,
                                  (size_t) (key.end - key.start) - 2);

        if (list.n == 2 * STOA_JSCHEMA_PATTERNS) {
            return stoa_jschema_wrong(m, "is one pattern too many");
        }

        rc = stoa_jschema_program(m, &key, &words[list.n]);

        if (rc == STOA_OK) {
            rc = stoa_jschema_node(m, &v, NULL, &words[list.n + 1]);
            words[list.n + 1]++;
        }

        if (rc != STOA_OK) {
            return rc;
        }

        list.n += 2;
        m->path_len = path;
    }

    rc = stoa_jschema_words(m, &list, words, list.n);
    stoa_jschema_at(m, node)->patterns = list;

    return rc;
}


static stoa_rc_t
read_pattern(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    uint32_t   program;
    stoa_rc_t  rc;

    (void) member;

    rc = stoa_jschema_program(m, val, &program);
    stoa_jschema_at(m, node)->pattern = rc == STOA_OK ? program + 1 : 0;

    return rc;
}


static stoa_rc_t
read_multiple(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    int64_t  n;

    (void) member;

    if (val->type != STOA_JSON_NUMBER || stoa_json_int(val, &n) != STOA_OK
        || n < 1)
    {
        return stoa_jschema_wrong(m, "must be a whole number, 1 or more");
    }

    stoa_jschema_at(m, node)->multiple = n;

    return STOA_OK;
}


static stoa_rc_t
read_ref(stoa_jschema_make_t *m, uint32_t node, size_t member,
    const stoa_json_val_t *val)
{
    uint32_t         index;
    stoa_rc_t        rc;
    stoa_json_val_t  at;

    (void) member;

    rc = stoa_jschema_pointer(m, val, &at);

    if (rc == STOA_OK) {
        rc = stoa_jschema_node(m, &at, val, &index);
    }

    if (rc == STOA_OK) {
        stoa_jschema_at(m, node)->ref = index + 1;
    }

    return rc;
}
