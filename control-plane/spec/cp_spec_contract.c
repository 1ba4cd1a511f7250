/*
 * From a document to the contract that gateways judge by
 * (core/stoa_contract.h).  What they cannot judge is told with its place.
 */

#include <string.h>

#include "core/stoa_contract.h"
#include "core/stoa_path.h"
#include "spec/cp_spec_contract.h"


#define CP_CONTRACT_PARAMS  1000       /* of an operation                    */


/* How a parameter's lists are written. */
typedef struct {
    const char  *in;
    const char  *style;                /* the first of a place: its default  */
    const char  *separator;
    const char  *exploded;             /* NULL: not judged                   */
} cp_style_t;


static void cp_contract_paths(cp_part_t *m, cp_json_t *list);
static void cp_contract_op(cp_part_t *m, cp_json_t *list,
    const cp_json_t *item, const cp_json_t *op, const char *path,
    const cp_spec_at_t *at);
static void cp_contract_params(cp_part_t *m, cp_json_t *list,
    const cp_json_t *params, const cp_spec_at_t *at);
static cp_json_t *cp_contract_param(cp_part_t *m, const cp_json_t *p,
    const cp_spec_at_t *at);
static void cp_contract_form(cp_part_t *m, cp_json_t *out,
    const cp_json_t *p, const cp_json_t *schema, const cp_spec_at_t *at);
static cp_json_t *cp_contract_media(cp_part_t *m, const cp_json_t *content,
    bool answer, const cp_spec_at_t *at);
static void cp_contract_answers(cp_part_t *m, cp_json_t *out,
    const cp_json_t *responses, const cp_spec_at_t *at);
static cp_json_t *cp_contract_arguments(cp_part_t *m);


static const cp_style_t  cp_styles[] = {
    { "query", "form", ",", "" },
    { "query", "spaceDelimited", " ", "" },
    { "query", "pipeDelimited", "|", "" },
    { "path", "simple", ",", "," },
    { "header", "simple", ",", "," },
    { "cookie", "form", ",", NULL },
    { NULL, NULL, NULL, NULL }
};


/* Is there a property of one way alone? */
static void
cp_contract_visit(cp_spec_t *s, cp_spec_type_e type, const cp_json_t *node,
    const cp_spec_at_t *at)
{
    const cp_json_t  *read, *write;

    (void) at;

    if (type == T_SCHEMA && node->type == CP_JSON_OBJECT) {
        read = cp_json_get(node, "readOnly");
        write = cp_json_get(node, "writeOnly");
        s->ways |= (read && read->i) || (write && write->i);
    }
}


cp_json_t *
cp_spec_contract(cp_spec_t *s)
{
    cp_json_t   *out, *list, *set;
    cp_part_t    m = { .spec = s, .arena = s->arena, .base = "" };

    out = cp_json_object(m.arena);
    list = cp_json_array(m.arena);
    set = cp_json_object(m.arena);
    m.defs = cp_json_object(m.arena);
    m.entries = cp_json_array(m.arena);
    m.skipped = cp_json_array(m.arena);

    cp_spec_walk(s, cp_contract_visit);
    m.ways = s->ways;

    /* there is one, also for none */
    cp_json_push(m.entries, cp_json_bool(m.arena, true));

    cp_contract_paths(&m, list);
    cp_part_end(&m);

    if (m.failed == NULL) {
        cp_json_set(m.arena, out, "operations", list);
        cp_json_set(m.arena, set, "$defs", m.defs);
        cp_json_set(m.arena, set, "prefixItems", m.entries);
        cp_json_set(m.arena, out, "schemas", set);
        cp_json_set(m.arena, out, "arguments", cp_contract_arguments(&m));

    } else {
        cp_json_put(m.arena, out, "failed", m.failed);
    }

    cp_json_set(m.arena, out, "skipped", m.skipped);

    return out;
}


static void
cp_contract_paths(cp_part_t *m, cp_json_t *list)
{
    unsigned             i;
    cp_spec_at_t         paths = { NULL, "paths", 0 }, at, here;
    const cp_json_t     *path, *item, *op;
    const cp_spec_at_t   root = { NULL, NULL, 0 };

    paths.up = &root;
    path = cp_json_get(m->spec->root, "paths");

    for (path = path ? path->first : NULL; path && m->failed == NULL;
         path = path->next)
    {
        at = (cp_spec_at_t) { &paths, path->key, 0 };
        item = cp_spec_deref(m->spec, path);

        if (path->key[0] != '/' || item == NULL) {
            continue;
        }

        if (!stoa_path_template_valid(path->key, strlen(path->key))) {
            cp_part_skip(m, &at, "is a form of paths that gateways do not "
                         "have");
            continue;
        }

        for (i = 0; cp_spec_methods[i]; i++) {
            here = (cp_spec_at_t) { &at, cp_spec_methods[i], 0 };
            op = cp_json_get(item, cp_spec_methods[i]);

            if (op && op->type == CP_JSON_OBJECT) {
                cp_contract_op(m, list, item, op, path->key, &here);
            }
        }
    }
}


static void
cp_contract_op(cp_part_t *m, cp_json_t *list, const cp_json_t *item,
    const cp_json_t *op, const char *path, const cp_spec_at_t *at)
{
    char             *p, *method;
    cp_json_t        *out, *params, *body;
    cp_spec_at_t      here = { at, "parameters", 0 };
    const cp_json_t  *val, *flag;

    out = cp_json_object(m->arena);
    params = cp_json_array(m->arena);
    method = cp_arena_strdup(m->arena, at->key);

    for (p = method; p && *p; p++) {
        *p = (char) (*p - 32);
    }

    cp_json_put(m->arena, out, "method", method);
    cp_json_put(m->arena, out, "path", path);

    /* those of the operation first: of two the first one counts */

    cp_contract_params(m, params, cp_json_get(op, "parameters"), &here);
    here.up = at->up;
    cp_contract_params(m, params, cp_json_get(item, "parameters"), &here);
    cp_json_set(m->arena, out, "parameters", params);

    here = (cp_spec_at_t) { at, "requestBody", 0 };
    val = cp_json_get(op, "requestBody");
    val = val ? cp_spec_deref(m->spec, val) : NULL;

    if (val) {
        body = cp_json_object(m->arena);
        flag = cp_json_get(val, "required");
        cp_json_put_bool(m->arena, body, "required", flag && flag->i);
        cp_json_set(m->arena, body, "media",
                    cp_contract_media(m, cp_json_get(val, "content"), false,
                                      &here));
        cp_json_set(m->arena, out, "body", body);
    }

    here = (cp_spec_at_t) { at, "responses", 0 };
    cp_contract_answers(m, out, cp_json_get(op, "responses"), &here);
    cp_json_push(list, out);
}


static void
cp_contract_params(cp_part_t *m, cp_json_t *list, const cp_json_t *params,
    const cp_spec_at_t *at)
{
    cp_json_t        *out;
    const char       *name, *in;
    cp_spec_at_t      here = { at, NULL, 0 };
    const cp_json_t  *p, *had;

    for (p = params ? params->first : NULL; p && m->failed == NULL;
         p = p->next, here.index++)
    {
        if (list->n == CP_CONTRACT_PARAMS) {
            m->failed = "has an operation of too many parameters";
            break;
        }

        out = cp_contract_param(m, cp_spec_deref(m->spec, p), &here);
        name = out ? cp_json_str(out, "name") : NULL;
        in = out ? cp_json_str(out, "in") : NULL;

        for (had = list->first; out && had; had = had->next) {
            if (strcmp(cp_json_str(had, "name"), name) == 0
                && strcmp(cp_json_str(had, "in"), in) == 0)
            {
                break;
            }
        }

        if (out && had == NULL) {
            cp_json_push(list, out);
        }
    }
}


/* NULL: it is none for anybody. */

static cp_json_t *
cp_contract_param(cp_part_t *m, const cp_json_t *p, const cp_spec_at_t *at)
{
    bool              path;
    size_t            i;
    cp_json_t        *out;
    const char       *name, *in;
    const cp_json_t  *flag, *content;

    static const char *const  own[] = { "Accept", "Content-Type",
                                        "Authorization" };

    name = p ? cp_json_str(p, "name") : NULL;
    in = p ? cp_json_str(p, "in") : NULL;

    if (name == NULL || in == NULL) {
        return NULL;
    }

    for (i = 0; strcmp(in, "header") == 0 && i < sizeof(own) / sizeof(own[0]);
         i++)
    {
        if (strcasecmp(name, own[i]) == 0) {
            return NULL;
        }
    }

    out = cp_json_object(m->arena);
    cp_json_put(m->arena, out, "name", name);
    cp_json_put(m->arena, out, "in", in);
    path = strcmp(in, "path") == 0;
    flag = cp_json_get(p, "required");
    cp_json_put_bool(m->arena, out, "required", path || (flag && flag->i));
    flag = cp_json_get(p, "allowEmptyValue");
    cp_json_put_bool(m->arena, out, "empty", flag && flag->i);

    content = cp_json_get(p, "content");

    if (content == NULL) {
        cp_contract_form(m, out, p, cp_json_get(p, "schema"), at);
        return out;
    }

    content = content->first;
    i = content ? strlen(content->key) : 0;
    flag = content ? cp_json_get(content, "schema") : NULL;

    if (i > 4 && strcasecmp(content->key + i - 4, "json") == 0 && flag) {
        cp_json_put(m->arena, out, "form", "json");
        cp_json_put_int(m->arena, out, "schema",
                        cp_part_entry(m, flag, false, at));

    } else {
        cp_json_put(m->arena, out, "form", "any");
    }

    return out;
}


static void
cp_contract_form(cp_part_t *m, cp_json_t *out, const cp_json_t *p,
    const cp_json_t *schema, const cp_spec_at_t *at)
{
    bool               list, explode;
    unsigned           types;
    const char        *in, *style, *wrong;
    const cp_json_t   *flag;
    const cp_style_t  *s;

    in = cp_json_str(out, "in");
    style = cp_json_str(p, "style");
    flag = cp_json_get(p, "explode");
    explode = flag ? flag->i != 0
              : strcmp(style ? style : strcmp(in, "query") == 0
                       || strcmp(in, "cookie") == 0 ? "form" : "", "form")
                == 0;

    for (s = cp_styles; s->in; s++) {
        if (strcmp(s->in, in) == 0
            && (style == NULL || strcmp(s->style, style) == 0))
        {
            break;
        }
    }

    types = schema ? cp_part_types(m, schema) : CP_PART_ANY;
    list = (types & CP_PART_ARRAY) && types != CP_PART_ANY;
    types &= ~(unsigned) CP_PART_NULL;

    wrong = s->in == NULL ? cp_arena_printf(m->arena, "has a style that "
                                            "gateways do not judge: %s", style)
            : types == CP_PART_OBJECT
            ? "is an object, which gateways do not judge but in content"
            : list && types != CP_PART_ARRAY
            ? "is a list or not, which gateways do not judge"
            : list && explode && s->exploded == NULL
            ? "is an exploded list in a cookie, which gateways do not judge"
            : NULL;

    if (wrong || schema == NULL) {
        cp_json_put(m->arena, out, "form", "any");

        if (wrong) {
            cp_part_skip(m, at, wrong);
        }

        if (strcmp(in, "query") == 0) {
            cp_json_put_bool(m->arena, out, "required", false);
        }

        return;
    }

    if (list) {
        types = cp_part_types(m, cp_part_items(m, schema));
        cp_json_put(m->arena, out, "separator",
                    explode ? s->exploded : s->separator);
    }

    cp_json_put(m->arena, out, "form", list ? "list" : "value");
    cp_json_put_bool(m->arena, out, "texts", types & CP_PART_STRING);
    cp_json_put_int(m->arena, out, "schema",
                    cp_part_entry(m, schema, false, at));
}


/* {type: place}; types in lower case, without parameters. */

static cp_json_t *
cp_contract_media(cp_part_t *m, const cp_json_t *content, bool answer,
    const cp_spec_at_t *at)
{
    char             *type, *p;
    size_t            n;
    cp_json_t        *out;
    cp_spec_at_t      map = { at, "content", 0 }, here = { &map, NULL, 0 };
    cp_spec_at_t      deep = { &here, "schema", 0 };
    const cp_json_t  *media, *schema;

    out = cp_json_object(m->arena);

    for (media = content ? content->first : NULL; media; media = media->next) {
        here.key = media->key;
        type = cp_arena_strndup(m->arena, media->key,
                                strcspn(media->key, "; \t"));

        for (p = type; p && *p; p++) {
            *p = *p >= 'A' && *p <= 'Z' ? (char) (*p | 0x20) : *p;
        }

        n = type ? strlen(type) : 0;
        schema = media->type == CP_JSON_OBJECT ? cp_json_get(media, "schema")
                                               : NULL;

        if (n == 0) {
            continue;
        }

        if (schema && (type[n - 1] == '*'
                       || (n > 4 && strcmp(type + n - 4, "json") == 0)))
        {
            cp_json_put_int(m->arena, out, type,
                            cp_part_entry(m, schema, answer, &deep));

        } else {
            cp_json_set(m->arena, out, type, cp_json_null(m->arena));
        }
    }

    return out;
}


static void
cp_contract_answers(cp_part_t *m, cp_json_t *out, const cp_json_t *responses,
    const cp_spec_at_t *at)
{
    char             *key, *p;
    cp_json_t        *map;
    cp_spec_at_t      here = { at, NULL, 0 };
    const cp_json_t  *r, *said;

    map = cp_json_object(m->arena);

    for (r = responses ? responses->first : NULL; r; r = r->next) {
        here.key = r->key;
        said = cp_spec_deref(m->spec, r);
        key = cp_arena_strdup(m->arena, r->key);

        for (p = key; p && *p && *key != 'd'; p++) {
            *p = *p == 'x' ? 'X' : *p;
        }

        if (said == NULL || key == NULL
            || (strcmp(key, "default") != 0
                && !(strlen(key) == 3 && *key >= '1' && *key <= '5')))
        {
            continue;
        }

        cp_json_set(m->arena, map, key,
                    cp_contract_media(m, cp_json_get(said, "content"), true,
                                      &here));
    }

    cp_json_set(m->arena, out, "answers", map);
}


/* Keys may be in the query of any call. */

static cp_json_t *
cp_contract_arguments(cp_part_t *m)
{
    cp_json_t        *out;
    const char       *in;
    const cp_json_t  *s;

    out = cp_json_array(m->arena);
    s = cp_json_get(m->spec->root, "components");
    s = s ? cp_json_get(s, "securitySchemes") : NULL;

    for (s = s ? s->first : NULL; s; s = s->next) {
        in = s->type == CP_JSON_OBJECT ? cp_json_str(s, "in") : NULL;

        if (in && strcmp(in, "query") == 0 && cp_json_str(s, "name")) {
            cp_json_push(out, cp_json_string(m->arena,
                                             cp_json_str(s, "name")));
        }
    }

    return out;
}
