/*
 * Examples, made from the schemas of the finished document: each schema of
 * components has one, and each body that is described where it stands.  A
 * body that is sent has what is required, an answer all that there may be.
 */

#include <string.h>

#include "openapi/cp_openapi.h"


#define CP_EXAMPLE_DEPTH  4            /* references within each other       */


typedef struct {
    cp_arena_t       *a;
    const cp_json_t  *schemas;
} cp_example_t;


static cp_json_t *cp_example_make(const cp_example_t *e,
    const cp_json_t *schema, const char *key, unsigned depth);
static cp_json_t *cp_example_object(const cp_example_t *e,
    const cp_json_t *schema, unsigned depth);
static cp_json_t *cp_example_array(const cp_example_t *e,
    const cp_json_t *schema, const char *key, unsigned depth);
static cp_json_t *cp_example_string(const cp_example_t *e,
    const cp_json_t *schema, const char *key);
static cp_json_t *cp_example_of(const cp_example_t *e, cp_json_t *schema);
static void cp_example_content(const cp_example_t *e, cp_json_t *content);
static void cp_example_operation(const cp_example_t *e, cp_json_t *op);


/* Texts by what they have to be, then by what they are called. */
static const char *const  cp_example_patterns[][2] = {
    { "^/", "/orders" },
    { "^/[^?#\\u0000-\\u001f\\u007f]*$", "/orders/7" },
    { "^https?://", "https://orders.example.com" },
    { "^(https?|grpcs?)://", "https://orders.example.com" },
    { "^[a-z]{2,8}$", "live" },
    { "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$", "GET" },
    { "^[A-Z_-]{1,32}$", "GET" },
    { "^[0-9a-hjkmnp-tv-z]{16}$", "01jd0000000000aa" },
    { "^(W/)?\"[!-~]*\"$", "\"01jd0000000000aa-1\"" },
    { "^([0-9a-f]{2}){0,512}$", "" },
    { NULL, NULL }
};

static const char *const  cp_example_names[][2] = {
    { "id", "01jd0000000000aa" },
    { "tenant", "acme" },
    { "application", "web" },
    { "plan", "gold" },
    { "server", "desk" },
    { "user", "ann" },
    { "actor", "ann" },
    { "role", "developer" },
    { "mail", "ann@example.org" },
    { "to", "prod" },
    { "url", "https://orders.example.com" },
    { "prefix", "stoa_live_01jd0000000000aa" },
    { "sha256", "9f86d081884c7d659a2feaa0c55ad015"
                "a3bf4f1b2b0b822cd15d6c15b0f00a08" },
    { "password", "a sentence that nobody guesses" },
    { "reason", "as agreed" },
    { NULL, NULL }
};


void
cp_openapi_examples(cp_arena_t *a, cp_json_t *doc)
{
    cp_json_t     *s, *path, *op, *list;
    cp_example_t   e = { a, NULL };

    e.schemas = cp_json_get(cp_json_get(doc, "components"), "schemas");

    for (s = e.schemas->first; s; s = s->next) {
        list = cp_json_array(a);
        cp_json_push(list, cp_example_of(&e, s));
        cp_json_set(a, s, "examples", list);
    }

    for (path = cp_json_get(doc, "paths")->first; path; path = path->next) {
        for (op = path->first; op; op = op->next) {
            cp_example_operation(&e, op);
        }
    }
}


static void
cp_example_operation(const cp_example_t *e, cp_json_t *op)
{
    cp_json_t  *body, *one;

    body = cp_json_get(op, "requestBody");

    if (body) {
        cp_example_content(e, cp_json_get(body, "content"));
    }

    for (one = cp_json_get(op, "responses")->first; one; one = one->next) {
        cp_example_content(e, cp_json_get(one, "content"));
    }
}


/* What a schema of components describes has its example there. */
static void
cp_example_content(const cp_example_t *e, cp_json_t *content)
{
    cp_json_t  *media, *schema;

    for (media = content ? content->first : NULL; media; media = media->next)
    {
        schema = cp_json_get(media, "schema");

        if (schema && schema->n && cp_json_get(schema, "$ref") == NULL) {
            cp_json_set(e->a, media, "example", cp_example_of(e, schema));
        }
    }
}


static cp_json_t *
cp_example_of(const cp_example_t *e, cp_json_t *schema)
{
    cp_json_t  *out;

    out = cp_example_make(e, schema, "", 0);

    return out ? out : cp_json_null(e->a);
}


/* The first of the words that a schema has, if it has such a list. */
static const cp_json_t *
cp_example_first(const cp_json_t *schema, const char *key)
{
    const cp_json_t  *list;

    list = cp_json_get(schema, key);

    return list && list->type == CP_JSON_ARRAY ? list->first : NULL;
}


/* NULL: it would not end. */
static cp_json_t *
cp_example_make(const cp_example_t *e, const cp_json_t *schema,
    const char *key, unsigned depth)
{
    const char       *ref, *type;
    const cp_json_t  *said;

    if (schema->type != CP_JSON_OBJECT) {
        return cp_json_string(e->a, "text");
    }

    ref = cp_json_str(schema, "$ref");

    if (ref) {
        said = cp_json_get(e->schemas, strrchr(ref, '/') + 1);

        return depth < CP_EXAMPLE_DEPTH && said
               ? cp_example_make(e, said, key, depth + 1) : NULL;
    }

    said = cp_json_get(schema, "const");
    said = said ? said : cp_example_first(schema, "enum");
    said = said ? said : cp_json_get(schema, "default");

    if (said) {
        return cp_json_copy(e->a, said);
    }

    said = cp_example_first(schema, "oneOf");
    said = said ? said : cp_example_first(schema, "anyOf");

    if (said && cp_json_get(schema, "properties") == NULL) {
        return cp_example_make(e, said, key, depth);
    }

    said = cp_json_get(schema, "type");
    said = said && said->type == CP_JSON_ARRAY ? said->first : said;
    type = said ? said->s : "object";

    if (strcmp(type, "object") == 0) {
        return cp_example_object(e, schema, depth);
    }

    if (strcmp(type, "array") == 0) {
        return cp_example_array(e, schema, key, depth);
    }

    if (strcmp(type, "string") == 0) {
        return cp_example_string(e, schema, key);
    }

    return strcmp(type, "boolean") == 0 ? cp_json_bool(e->a, true)
           : strcmp(type, "null") == 0 ? cp_json_null(e->a)
           : cp_json_int(e->a, cp_json_num(schema, "minimum", 1));
}


static bool
cp_example_wants(const cp_json_t *schema, const cp_json_t *p, unsigned n)
{
    bool              closed;
    const cp_json_t  *m;

    m = cp_json_get(schema, "additionalProperties");
    closed = m && m->type == CP_JSON_BOOL && m->i == 0;
    m = cp_example_first(schema, "required");

    if (m == NULL) {
        return !closed || n < 2;
    }

    for ( /* void */ ; m; m = m->next) {
        if (strcmp(m->s, p->key) == 0) {
            return true;
        }
    }

    return !closed;
}


static cp_json_t *
cp_example_object(const cp_example_t *e, const cp_json_t *schema,
    unsigned depth)
{
    unsigned          n;
    cp_json_t        *out, *val, *m;
    const cp_json_t  *p;

    out = cp_json_object(e->a);

    for (p = cp_example_first(schema, "allOf"); p; p = p->next) {
        val = cp_example_make(e, p, "", depth);

        for (m = val ? val->first : NULL; m; m = m->next) {
            cp_json_set(e->a, out, m->key, cp_json_copy(e->a, m));
        }
    }

    p = cp_json_get(schema, "properties");

    for (p = p ? p->first : NULL, n = 0; p; p = p->next, n++) {
        if (!cp_example_wants(schema, p, n)) {
            continue;
        }

        val = cp_example_make(e, p, p->key, depth);

        if (val) {
            cp_json_set(e->a, out, p->key, val);
        }
    }

    /* what has to be there and may be anything */

    for (p = cp_example_first(schema, "required"); p; p = p->next) {
        if (cp_json_get(cp_json_get(schema, "properties"), p->s) == NULL) {
            cp_json_put(e->a, out, p->s, "orders");
        }
    }

    return out;
}


static cp_json_t *
cp_example_array(const cp_example_t *e, const cp_json_t *schema,
    const char *key, unsigned depth)
{
    int64_t           n;
    cp_json_t        *out, *item;
    const cp_json_t  *items;

    out = cp_json_array(e->a);
    items = cp_json_get(schema, "items");
    n = cp_json_num(schema, "minItems", 0);

    if (items && n == 0 && cp_json_num(schema, "maxItems", 1)) {
        n = 1;
    }

    while (items && n-- > 0) {
        item = cp_example_make(e, items, key, depth);

        if (item) {
            cp_json_push(out, item);
        }
    }

    return out;
}


static const char *
cp_example_find(const char *const table[][2], const char *key)
{
    unsigned  i;

    for (i = 0; table[i][0] && strcmp(table[i][0], key) != 0; i++) {
        /* void */
    }

    return table[i][1];
}


static cp_json_t *
cp_example_string(const cp_example_t *e, const cp_json_t *schema,
    const char *key)
{
    size_t       len;
    int64_t      min, max;
    const char  *s, *format, *pattern;

    format = cp_json_str(schema, "format");
    pattern = cp_json_str(schema, "pattern");

    s = format && strcmp(format, "date-time") == 0 ? "2027-03-01T09:00:00Z"
        : pattern ? cp_example_find(cp_example_patterns, pattern) : NULL;
    s = s ? s : cp_example_find(cp_example_names, key);
    s = s ? s : "orders";

    len = strlen(s);
    min = cp_json_num(schema, "minLength", 0);
    max = cp_json_num(schema, "maxLength", (int64_t) len);

    while ((int64_t) len < min) {
        s = cp_arena_printf(e->a, "%s%s", s, s);
        len *= 2;
    }

    if ((int64_t) len > max) {
        s = cp_arena_strndup(e->a, s, (size_t) max);
    }

    return cp_json_string(e->a, s);
}
