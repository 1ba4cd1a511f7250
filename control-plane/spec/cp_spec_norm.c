/*
 * Spellings of one meaning become one form: references, allOf, nullable,
 * lists of types, unions with null or of one branch.
 */

#include <stdlib.h>
#include <string.h>

#include "spec/cp_spec_diff.h"


#define NULL_TYPE  0x01
#define BOOLEAN    0x02
#define INTEGER    0x04
#define NUMBER     0x0c                /* an integer is one                  */
#define STRING     0x10
#define ARRAY      0x20
#define OBJECT     0x40
#define ANY        (BOOLEAN|NUMBER|STRING|ARRAY|OBJECT)

#define MERGE_MAX  64                  /* of allOf in each other             */


static void cp_norm_parts(cp_diff_t *d, cp_spec_t *s, const cp_json_t *node,
    cp_norm_t *n);


const cp_bound_row_t  cp_norm_bounds[CP_NORM_BOUNDS] = {
    { "maximum", 1 }, { "minimum", -1 }, { "exclusiveMaximum", 1 },
    { "exclusiveMinimum", -1 }, { "maxLength", 1 }, { "minLength", -1 },
    { "maxItems", 1 }, { "minItems", -1 }, { "maxProperties", 1 },
    { "minProperties", -1 }
};

const char *const  cp_norm_others[CP_NORM_OTHERS] = { "not", "if", "then",
    "else", "patternProperties", "dependentSchemas", "dependentRequired",
    "propertyNames", "contains", "prefixItems", "unevaluatedProperties",
    "unevaluatedItems", "discriminator", "multipleOf", "uniqueItems",
    "contentEncoding", "contentMediaType", "$dynamicRef" };

static const struct {
    const char  *name;
    unsigned     bits;
} cp_types[] = {
    { "null", NULL_TYPE }, { "boolean", BOOLEAN }, { "integer", INTEGER },
    { "number", NUMBER }, { "string", STRING }, { "array", ARRAY },
    { "object", OBJECT }
};


static unsigned
cp_norm_type(const char *name)
{
    size_t  i;

    for (i = 0; name && i < sizeof(cp_types) / sizeof(cp_types[0]); i++) {
        if (strcmp(cp_types[i].name, name) == 0) {
            return cp_types[i].bits;
        }
    }

    return 0;
}


const char *
cp_norm_words(cp_diff_t *d, const cp_norm_t *n)
{
    size_t       i;
    unsigned     left;
    const char  *text;

    if (n->types == ANY) {
        return "any";
    }

    left = n->types;
    text = "";

    for (i = sizeof(cp_types) / sizeof(cp_types[0]); i-- > 0; ) {
        if ((left & cp_types[i].bits) == cp_types[i].bits) {
            text = cp_arena_printf(d->arena, "%s%s%s", cp_types[i].name,
                                   *text ? "|" : "", text);
            left &= ~cp_types[i].bits;
        }
    }

    return text ? text : "";
}


/* Is it a schema of null alone? */
static bool
cp_norm_is_null(cp_spec_t *s, const cp_json_t *node)
{
    const cp_json_t  *t, *e;

    node = cp_spec_deref(s, node);
    t = cp_json_get(node, "type");
    e = cp_json_get(node, "enum");

    return (t && t->type == CP_JSON_STRING && strcmp(t->s, "null") == 0)
           || (t && t->type == CP_JSON_ARRAY && t->n == 1
               && t->first->type == CP_JSON_STRING
               && strcmp(t->first->s, "null") == 0)
           || (e && e->type == CP_JSON_ARRAY && e->n == 1
               && e->first->type == CP_JSON_NULL);
}


static int
cp_prop_compare(const void *one, const void *two)
{
    return strcmp(((const cp_prop_t *) one)->name,
                  ((const cp_prop_t *) two)->name);
}


static cp_prop_t *
cp_norm_prop(cp_norm_t *n, const char *name)
{
    unsigned    room;
    cp_prop_t  *p;

    if (n->nprop == n->room) {
        room = n->room ? 2 * n->room : 16;
        p = realloc(n->prop, room * sizeof(cp_prop_t));

        if (p == NULL) {
            return NULL;
        }

        n->prop = p;
        n->room = room;
    }

    p = &n->prop[n->nprop++];
    *p = (cp_prop_t) { name, NULL, false };

    return p;
}


/* What is in the node is shared. */
static void
cp_norm_part(cp_diff_t *d, cp_json_t *list, const cp_json_t *node)
{
    cp_json_t  *part;

    part = cp_json_object(d->arena);

    if (part) {
        *part = *node;
        part->next = NULL;
        cp_json_push(list, part);
    }
}


/* One row for each name: what several parts say of it is said together. */
static void
cp_norm_join(cp_diff_t *d, cp_norm_t *n)
{
    unsigned    i, k;
    cp_json_t  *all, *list;

    if (n->nprop) {
        qsort(n->prop, n->nprop, sizeof(cp_prop_t), cp_prop_compare);
    }

    for (i = 0, k = 0; i < n->nprop; i++) {
        if (k == 0 || strcmp(n->prop[k - 1].name, n->prop[i].name) != 0) {
            n->prop[k++] = n->prop[i];
            continue;
        }

        n->prop[k - 1].required |= n->prop[i].required;

        if (n->prop[k - 1].node == NULL) {
            n->prop[k - 1].node = n->prop[i].node;

        } else if (n->prop[i].node) {
            all = cp_json_object(d->arena);
            list = cp_json_array(d->arena);
            cp_norm_part(d, list, n->prop[k - 1].node);
            cp_norm_part(d, list, n->prop[i].node);
            cp_json_set(d->arena, all, "allOf", list);
            n->prop[k - 1].node = all;
        }
    }

    n->nprop = k;
}


void
cp_norm_make(cp_diff_t *d, cp_spec_t *s, const cp_json_t *node, cp_norm_t *n)
{
    memset(n, 0, sizeof(cp_norm_t));
    n->types = ANY;
    n->null = true;
    cp_norm_parts(d, s, node, n);
    cp_norm_join(d, n);
}


static void
cp_norm_types(cp_spec_t *s, const cp_json_t *node, cp_norm_t *n)
{
    unsigned          types;
    const cp_json_t  *t;

    t = cp_json_get(node, "type");

    if (t == NULL) {
        return;
    }

    types = t->type == CP_JSON_STRING ? cp_norm_type(t->s) : 0;

    for (t = t->type == CP_JSON_ARRAY ? t->first : NULL; t; t = t->next) {
        types |= t->type == CP_JSON_STRING ? cp_norm_type(t->s) : 0;
    }

    if (s->minor == 0 && cp_json_num(node, "nullable", 0)) {
        types |= NULL_TYPE;
    }

    n->null = n->null && (types & NULL_TYPE);
    n->types &= types & ANY;
}


/* A union: null is no branch, and one branch is none. */
static void
cp_norm_union(cp_diff_t *d, cp_spec_t *s, const cp_json_t *list,
    cp_norm_t *n)
{
    bool              null;
    unsigned          count;
    const cp_json_t  *b, *one;

    if (list == NULL || list->type != CP_JSON_ARRAY) {
        return;
    }

    null = false;
    one = NULL;
    count = 0;

    for (b = list->first; b; b = b->next) {
        if (cp_norm_is_null(s, b)) {
            null = true;

        } else {
            one = b;
            count++;
        }
    }

    if (count == 1) {
        cp_norm_parts(d, s, one, n);
        n->null = n->null || null;
        return;
    }

    n->null = null;

    for (b = list->first; b && n->nbranch < CP_SPEC_BRANCHES_MAX;
         b = b->next)
    {
        if (!cp_norm_is_null(s, b)) {
            n->branch[n->nbranch++] = b;
        }
    }
}


static void
cp_norm_object(cp_norm_t *n, const cp_json_t *node)
{
    cp_prop_t        *p;
    const cp_json_t  *m;

    m = cp_json_get(node, "properties");

    for (m = m ? m->first : NULL; m; m = m->next) {
        p = cp_norm_prop(n, m->key);

        if (p) {
            p->node = m;
        }
    }

    m = cp_json_get(node, "required");

    for (m = m ? m->first : NULL; m; m = m->next) {
        p = m->type == CP_JSON_STRING ? cp_norm_prop(n, m->s) : NULL;

        if (p) {
            p->required = true;
        }
    }

    m = cp_json_get(node, "additionalProperties");

    if (m && m->type == CP_JSON_BOOL) {
        n->closed = n->closed || !m->i;

    } else if (m) {
        n->additional = m;
    }
}


static void
cp_norm_parts(cp_diff_t *d, cp_spec_t *s, const cp_json_t *node,
    cp_norm_t *n)
{
    size_t            i;
    const cp_json_t  *target, *m;

    if (node == NULL || n->merged++ > MERGE_MAX) {
        return;
    }

    if (node->type == CP_JSON_BOOL) {
        n->nothing = n->nothing || !node->i;
        return;
    }

    target = cp_spec_deref(s, node);

    if (target && target != node) {
        cp_norm_parts(d, s, target, n);

        if (s->minor == 0) {
            return;
        }
    }

    cp_norm_types(s, node, n);
    cp_norm_object(n, node);

    m = cp_json_get(node, "allOf");

    for (m = m ? m->first : NULL; m; m = m->next) {
        cp_norm_parts(d, s, m, n);
    }

    cp_norm_union(d, s, cp_json_get(node, "oneOf"), n);
    cp_norm_union(d, s, cp_json_get(node, "anyOf"), n);

#define TAKE(member, key)                                                     \
    m = cp_json_get(node, key);                                               \
    n->member = m ? m : n->member

    TAKE(items, "items");
    TAKE(values, "enum");
    TAKE(only, "const");
    TAKE(format, "format");
    TAKE(pattern, "pattern");
    TAKE(dflt, "default");

    for (i = 0; i < CP_NORM_BOUNDS; i++) {
        TAKE(bound[i], cp_norm_bounds[i].name);
    }

    for (i = 0; i < CP_NORM_OTHERS; i++) {
        TAKE(other[i], cp_norm_others[i]);
    }

#undef TAKE

    if (s->minor == 0 && !cp_json_get(node, "type")
        && cp_json_num(node, "nullable", 0))
    {
        n->null = true;
    }
}


void
cp_norm_free(cp_norm_t *n)
{
    free(n->prop);
    n->prop = NULL;
}
