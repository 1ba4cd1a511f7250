/*
 * Schemas of OpenAPI 3.0 and 3.1 as gateways judge them: references become
 * places, 3.0's keywords those of JSON Schema, what says nothing of values
 * goes.  A property that an answer alone has is not required of a call, nor
 * the other way round.
 */

#include <string.h>

#include "core/stoa_contract.h"
#include "core/stoa_pattern.h"
#include "spec/cp_spec_contract.h"


#define CP_PART_DEPTH    16            /* of references, in a look           */
#define CP_PART_SKIPPED  100           /* that are told                      */
#define CP_PART_LOOKS    4000000       /* at schemas, of a document          */


struct cp_part_def_s {
    const cp_json_t  *node;
    const char       *ref;
    bool              answer;
    cp_part_def_t    *next;
};

typedef void (*cp_part_how_pt)(cp_part_t *m, cp_json_t *out,
    const cp_json_t *schema, const cp_json_t *val, const cp_spec_at_t *at);

typedef struct {
    const char      *name;
    cp_part_how_pt   how;              /* NULL: says nothing of values      */
} cp_part_word_t;

/* A look at a schema and all that it consists of. */
typedef struct cp_part_look_s  cp_part_look_t;

struct cp_part_look_s {
    void           (*see)(cp_part_t *m, const cp_json_t *schema,
                          cp_part_look_t *look);
    unsigned         depth;
    const char      *name;             /* of a property                      */
    bool             other;            /* which is of the other way          */
    const cp_json_t *items;
    unsigned         types;
    unsigned         null;
};


static cp_json_t *cp_part_schema(cp_part_t *m, const cp_json_t *node,
    const cp_spec_at_t *at);
static cp_json_t *cp_part_one(cp_part_t *m, const cp_json_t *node,
    const cp_spec_at_t *at);
static cp_json_t *cp_part_ref(cp_part_t *m, const char *ref,
    const cp_spec_at_t *at);
static void cp_part_word(cp_part_t *m, cp_json_t *out,
    const cp_json_t *schema, const cp_json_t *val, const cp_spec_at_t *at);
static cp_json_t *cp_part_nullable(cp_part_t *m, cp_json_t *out);
static bool cp_part_compiles(cp_part_t *m, const char *s, size_t len,
    const cp_spec_at_t *at);
static bool cp_part_other(cp_part_t *m, const cp_json_t *schema,
    const char *name);

static void how_copy(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at);
static void how_schema(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at);
static void how_list(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at);
static void how_named(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at);
static void how_patterns(cp_part_t *m, cp_json_t *out,
    const cp_json_t *schema, const cp_json_t *val, const cp_spec_at_t *at);
static void how_required(cp_part_t *m, cp_json_t *out,
    const cp_json_t *schema, const cp_json_t *val, const cp_spec_at_t *at);
static void how_bound(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at);
static void how_multiple(cp_part_t *m, cp_json_t *out,
    const cp_json_t *schema, const cp_json_t *val, const cp_spec_at_t *at);
static void how_pattern(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at);


static const char  cp_set_defs[1];

static const cp_part_word_t  cp_part_words[] = {
    { "type", how_copy }, { "enum", how_copy }, { "const", how_copy },
    { "properties", how_named }, { "required", how_required },
    { "additionalProperties", how_schema },
    { "patternProperties", how_patterns },
    { "propertyNames", how_schema }, { "minProperties", how_copy },
    { "maxProperties", how_copy }, { "items", how_schema },
    { "prefixItems", how_list }, { "contains", how_schema },
    { "minContains", how_copy }, { "maxContains", how_copy },
    { "minItems", how_copy }, { "maxItems", how_copy },
    { "uniqueItems", how_copy }, { "minLength", how_copy },
    { "maxLength", how_copy }, { "pattern", how_pattern },
    { "minimum", how_bound }, { "maximum", how_bound },
    { "exclusiveMinimum", how_bound }, { "exclusiveMaximum", how_bound },
    { "multipleOf", how_multiple }, { "allOf", how_list },
    { "anyOf", how_list }, { "oneOf", how_list }, { "not", how_schema },
    { "if", how_schema }, { "then", how_schema }, { "else", how_schema },
    { "nullable", NULL }, { "$ref", NULL }, { "$anchor", NULL },
    { NULL, NULL }
};


void
cp_part_skip(cp_part_t *m, const cp_spec_at_t *at, const char *text)
{
    cp_json_t   *one;
    const char  *place;

    if (m->skipped->n >= CP_PART_SKIPPED) {
        return;
    }

    place = cp_arena_printf(m->arena, "%s%s", m->base,
                            cp_spec_pointer(m->spec, at));
    one = cp_json_object(m->arena);
    cp_json_put(m->arena, one, "at", place);
    cp_json_put(m->arena, one, "text", text);
    cp_json_push(m->skipped, one);
}


int64_t
cp_part_entry(cp_part_t *m, const cp_json_t *schema, bool answer,
    const cp_spec_at_t *at)
{
    m->answer = answer;
    cp_json_push(m->entries, cp_part_schema(m, schema, at));

    return (int64_t) m->entries->n - 1;
}


void
cp_part_end(cp_part_t *m)
{
    const cp_spec_at_t  root = { NULL, NULL, 0 };

    for ( /* void */ ; m->first && m->failed == NULL;
         m->first = m->first->next)
    {
        m->answer = m->first->answer;
        m->base = m->first->ref + 1;
        cp_json_set(m->arena, m->defs,
                    cp_arena_printf(m->arena, "%u", m->defs->n),
                    cp_part_schema(m, m->first->node, &root));
    }
}


/* ---- one schema --------------------------------------------------------- */

static cp_json_t *
cp_part_schema(cp_part_t *m, const cp_json_t *node, const cp_spec_at_t *at)
{
    cp_json_t        *out;
    const cp_json_t  *whole;

    whole = m->whole;
    m->whole = node;
    out = cp_part_one(m, node, at);
    m->whole = whole;

    return out;
}


static cp_json_t *
cp_part_one(cp_part_t *m, const cp_json_t *node, const cp_spec_at_t *at)
{
    bool              open;
    cp_json_t        *out;
    const char       *ref;
    const cp_json_t  *val;

    if (node->type == CP_JSON_BOOL) {
        return cp_json_bool(m->arena, node->i != 0);
    }

    if (++m->nodes > STOA_JSCHEMA_SET_NODES) {
        m->failed = "has more schemas than gateways take";
    }

    out = cp_json_object(m->arena);

    if (m->failed) {
        return out;
    }

    ref = cp_json_str(node, "$ref");

    if (ref) {
        out = cp_part_ref(m, ref, at);

        if (m->spec->minor == 0) {
            return out;
        }
    }

    open = m->open;
    m->open = false;

    for (val = node->first; val; val = val->next) {
        cp_part_word(m, out, node, val, at);
    }

    if (m->open) {
        cp_json_set(m->arena, out, "additionalProperties",
                    cp_json_bool(m->arena, true));
    }

    m->open = open;
    val = cp_json_get(node, "nullable");

    return m->spec->minor == 0 && val && val->i ? cp_part_nullable(m, out)
                                                : out;
}


static void
cp_part_word(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    const cp_spec_at_t     here = { at, val->key, 0 };
    const cp_part_word_t  *w;

    for (w = cp_part_words; w->name && strcmp(w->name, val->key) != 0; w++) {
        /* void */
    }

    if (w->how) {
        w->how(m, out, schema, val, &here);

    } else if (w->name == NULL
               && !stoa_jschema_knows(val->key, strlen(val->key)))
    {
        cp_part_skip(m, &here, "is a keyword that gateways do not judge");
    }
}


static cp_json_t *
cp_part_ref(cp_part_t *m, const char *ref, const cp_spec_at_t *at)
{
    cp_json_t        *out, *index;
    const char       *key;
    cp_part_def_t    *def;
    const cp_json_t  *node, *had;

    out = cp_json_object(m->arena);
    node = ref[0] == '#' ? cp_spec_target(m->spec, ref) : NULL;

    if (node == NULL) {
        cp_part_skip(m, at, "has a $ref that leads out of the document, or to "
                     "nothing");
        return out;
    }

    key = cp_arena_printf(m->arena, "%c%s", m->ways && m->answer ? 'a' : 'c',
                          ref);
    index = cp_json_int(m->arena, m->ndefs);
    had = cp_spec_once(m->spec, cp_set_defs, key, index);

    if (had == NULL) {
        def = cp_arena_alloc(m->arena, sizeof(cp_part_def_t));

        if (def == NULL) {
            m->failed = "needs too much memory";
            return out;
        }

        def->node = node;
        def->ref = ref;
        def->answer = m->answer;
        def->next = NULL;

        if (m->first) {
            m->last->next = def;

        } else {
            m->first = def;
        }

        m->last = def;
        m->ndefs++;
        had = index;
    }

    cp_json_put(m->arena, out, "$ref",
                cp_arena_printf(m->arena, "#/$defs/%u", (unsigned) had->i));

    return out;
}


/* Of a schema that says more than a type, too: null is one more value. */

static cp_json_t *
cp_part_nullable(cp_part_t *m, cp_json_t *out)
{
    size_t      i;
    cp_json_t  *any, *null, *list;

    static const char *const  others[] = { "enum", "allOf", "anyOf", "oneOf",
                                           "not", "$ref" };

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (cp_json_get(out, others[i])) {
            any = cp_json_object(m->arena);
            null = cp_json_object(m->arena);
            list = cp_json_array(m->arena);
            cp_json_put(m->arena, null, "type", "null");
            cp_json_push(list, null);
            cp_json_push(list, out);
            cp_json_set(m->arena, any, "anyOf", list);
            return any;
        }
    }

    cp_json_put_bool(m->arena, out, "nullable", true);

    return out;
}


/* ---- keywords ----------------------------------------------------------- */

static void
how_copy(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    (void) schema;
    (void) at;

    cp_json_set(m->arena, out, val->key, cp_json_copy(m->arena, val));
}


static void
how_schema(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    (void) schema;

    cp_json_set(m->arena, out, val->key, cp_part_schema(m, val, at));
}


static void
how_list(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    bool              part;
    cp_json_t        *list;
    cp_spec_at_t      here = { at, NULL, 0 };
    const cp_json_t  *item;

    (void) schema;

    part = strcmp(val->key, "allOf") == 0;
    list = cp_json_array(m->arena);

    for (item = val->first; item; item = item->next, here.index++) {
        cp_json_push(list, part ? cp_part_one(m, item, &here)
                                : cp_part_schema(m, item, &here));
    }

    if (list->n) {
        cp_json_set(m->arena, out, val->key, list);
    }
}


static void
how_named(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    cp_json_t        *map;
    cp_spec_at_t      here = { at, NULL, 0 };
    const cp_json_t  *item;

    (void) schema;

    if (val->n > STOA_JSCHEMA_NAMES) {
        cp_part_skip(m, at, "has more than 256 properties");
        m->open = true;
        return;
    }

    map = cp_json_object(m->arena);

    for (item = val->first; item; item = item->next) {
        here.key = item->key;
        cp_json_set(m->arena, map, item->key, cp_part_schema(m, item, &here));
    }

    cp_json_set(m->arena, out, val->key, map);
}


/* Names that are left out are none of the additional ones. */

static void
how_patterns(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    cp_json_t        *map;
    cp_spec_at_t      here = { at, NULL, 0 };
    const cp_json_t  *item;

    (void) schema;

    map = cp_json_object(m->arena);

    for (item = val->first; item; item = item->next) {
        here.key = item->key;

        if (map->n == STOA_JSCHEMA_PATTERNS) {
            cp_part_skip(m, &here, "is one pattern too many");
            m->open = true;
            break;
        }

        if (cp_part_compiles(m, item->key, strlen(item->key), &here)) {
            cp_json_set(m->arena, map, item->key,
                        cp_part_schema(m, item, &here));

        } else {
            m->open = true;
        }
    }

    cp_json_set(m->arena, out, val->key, map);
}


static void
how_required(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    cp_json_t        *list;
    const cp_json_t  *item;

    (void) schema;
    (void) at;

    list = cp_json_array(m->arena);

    for (item = val->first; item; item = item->next) {
        if (item->type != CP_JSON_STRING || !m->ways
            || !cp_part_other(m, m->whole, item->s))
        {
            cp_json_push(list, cp_json_copy(m->arena, item));
        }
    }

    if (list->n) {
        cp_json_set(m->arena, out, "required", list);
    }
}


/* 3.0 says of a bound that it is exclusive; else that is a bound itself. */

static void
how_bound(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    bool              exclusive;
    const char       *name;
    const cp_json_t  *flag;

    exclusive = val->key[0] == 'e';

    if (exclusive) {
        if (val->type != CP_JSON_BOOL) {
            how_copy(m, out, schema, val, at);
        }

        return;
    }

    name = val->key[1] == 'i' ? "exclusiveMinimum" : "exclusiveMaximum";
    flag = cp_json_get(schema, name);
    exclusive = flag && flag->type == CP_JSON_BOOL && flag->i;

    cp_json_set(m->arena, out, exclusive ? name : val->key,
                cp_json_copy(m->arena, val));
}


static void
how_multiple(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    if (val->type == CP_JSON_INT && val->i > 0) {
        how_copy(m, out, schema, val, at);

    } else {
        cp_part_skip(m, at, "is judged for whole numbers alone");
    }
}


static void
how_pattern(cp_part_t *m, cp_json_t *out, const cp_json_t *schema,
    const cp_json_t *val, const cp_spec_at_t *at)
{
    if (cp_part_compiles(m, val->s, val->len, at)) {
        how_copy(m, out, schema, val, at);
    }
}


static bool
cp_part_compiles(cp_part_t *m, const char *s, size_t len,
    const cp_spec_at_t *at)
{
    stoa_rc_t    rc;
    stoa_buf_t   b;
    const char  *wrong;

    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);
    wrong = "is too large";
    rc = stoa_pattern_compile(s, len, &b, &wrong);
    stoa_buf_free(&b);

    if (rc != STOA_OK) {
        cp_part_skip(m, at, cp_arena_printf(m->arena, "is a pattern that "
                                            "gateways do not judge: %s",
                                            wrong));
    }

    return rc == STOA_OK;
}


/* ---- looks -------------------------------------------------------------- */

/* Schemas may hold themselves in each of their parts: depth alone bounds no
 * look. */

static void
cp_part_look(cp_part_t *m, const cp_json_t *schema, cp_part_look_t *look)
{
    const char       *ref;
    const cp_json_t  *part;

    if (m->looks++ == CP_PART_LOOKS) {
        m->failed = "has more schemas than gateways take";
    }

    if (m->failed || schema == NULL || schema->type != CP_JSON_OBJECT
        || look->depth == CP_PART_DEPTH)
    {
        return;
    }

    look->depth++;
    ref = cp_json_str(schema, "$ref");

    if (ref && ref[0] == '#') {
        cp_part_look(m, cp_spec_target(m->spec, ref), look);
    }

    /* 3.0 says nothing beside a reference */

    if (ref == NULL || m->spec->minor) {
        look->see(m, schema, look);
        part = cp_json_get(schema, "allOf");

        for (part = part ? part->first : NULL; part; part = part->next) {
            cp_part_look(m, part, look);
        }
    }

    look->depth--;
}


static bool
cp_part_flag(const cp_json_t *schema, const char *name)
{
    const cp_json_t  *v;

    v = schema && schema->type == CP_JSON_OBJECT ? cp_json_get(schema, name)
                                                 : NULL;

    return v && v->i;
}


/* Is the property, wherever it is said, of the other way alone? */

static void
cp_part_see_property(cp_part_t *m, const cp_json_t *schema,
    cp_part_look_t *look)
{
    const char       *name;
    const cp_json_t  *p;

    p = cp_json_get(schema, "properties");
    p = p ? cp_json_get(p, look->name) : NULL;
    name = m->answer ? "writeOnly" : "readOnly";

    if (p && p->type == CP_JSON_OBJECT) {
        look->other |= cp_part_flag(p, name)
                       || cp_part_flag(cp_spec_deref(m->spec, p), name);
    }
}


static bool
cp_part_other(cp_part_t *m, const cp_json_t *schema, const char *name)
{
    cp_part_look_t  look = { .see = cp_part_see_property, .name = name };

    cp_part_look(m, schema, &look);

    return look.other;
}


static unsigned
cp_part_type(const cp_json_t *t)
{
    size_t  i;

    static const struct {
        const char  *name;
        unsigned     bits;
    } types[] = {
        { "null", CP_PART_NULL }, { "boolean", CP_PART_BOOLEAN },
        { "integer", CP_PART_INTEGER }, { "number", CP_PART_NUMBER },
        { "string", CP_PART_STRING }, { "array", CP_PART_ARRAY },
        { "object", CP_PART_OBJECT }
    };

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (t->type == CP_JSON_STRING && strcmp(t->s, types[i].name) == 0) {
            return types[i].bits;
        }
    }

    return 0;
}


static unsigned
cp_part_value(const cp_json_t *v)
{
    static const unsigned  bits[] = {
        [CP_JSON_NULL] = CP_PART_NULL, [CP_JSON_BOOL] = CP_PART_BOOLEAN,
        [CP_JSON_INT] = CP_PART_NUMBER, [CP_JSON_REAL] = CP_PART_NUMBER,
        [CP_JSON_STRING] = CP_PART_STRING, [CP_JSON_ARRAY] = CP_PART_ARRAY,
        [CP_JSON_OBJECT] = CP_PART_OBJECT
    };

    return bits[v->type];
}


static void
cp_part_see_types(cp_part_t *m, const cp_json_t *schema, cp_part_look_t *look)
{
    unsigned          bits, i;
    cp_part_look_t    one;
    const cp_json_t  *v;

    static const char *const  unions[] = { "anyOf", "oneOf" };

    v = cp_json_get(schema, "type");

    if (v) {
        bits = cp_part_type(v);

        for (v = v->first; v; v = v->next) {
            bits |= cp_part_type(v);
        }

        look->types &= bits;
    }

    v = cp_json_get(schema, "enum");

    if (v) {
        for (bits = 0, v = v->first; v; v = v->next) {
            bits |= cp_part_value(v);
        }

        look->types &= bits;
    }

    v = cp_json_get(schema, "const");
    look->types &= v ? cp_part_value(v) : CP_PART_ANY;

    for (i = 0; i < 2; i++) {
        v = cp_json_get(schema, unions[i]);
        v = v ? v->first : NULL;

        for (bits = v ? 0 : CP_PART_ANY; v; v = v->next) {
            one = *look;
            one.types = CP_PART_ANY;
            one.null = 0;
            cp_part_look(m, v, &one);
            bits |= one.types | one.null;
        }

        look->types &= bits;
    }

    look->null |= cp_part_flag(schema, "nullable") ? CP_PART_NULL : 0;
}


unsigned
cp_part_types(cp_part_t *m, const cp_json_t *schema)
{
    cp_part_look_t  look = { .see = cp_part_see_types, .types = CP_PART_ANY };

    cp_part_look(m, schema, &look);

    return look.types | look.null;
}


static void
cp_part_see_items(cp_part_t *m, const cp_json_t *schema, cp_part_look_t *look)
{
    (void) m;

    look->items = look->items ? look->items : cp_json_get(schema, "items");
}


const cp_json_t *
cp_part_items(cp_part_t *m, const cp_json_t *schema)
{
    cp_part_look_t  look = { .see = cp_part_see_items };

    cp_part_look(m, schema, &look);

    return look.items;
}
