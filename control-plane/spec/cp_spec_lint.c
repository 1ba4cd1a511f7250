/*
 * What a reviewer would say of a document that is valid: one table of rules.
 * None of them blocks anything.
 */

#include <string.h>
#include <strings.h>

#include "spec/cp_spec.h"


typedef enum { RULE_INFO, RULE_WARNING, RULE_ERROR } cp_rule_severity_e;

/* The message, NULL: nothing to say. */
typedef const char *(*cp_rule_pt)(cp_spec_t *s, const cp_json_t *node,
    const cp_spec_at_t *at);

typedef struct {
    cp_spec_type_e      type;
    const char         *name;
    cp_rule_severity_e  severity;
    cp_rule_pt          judge;
} cp_rule_t;


static void cp_lint_visit(cp_spec_t *s, cp_spec_type_e type,
    const cp_json_t *node, const cp_spec_at_t *at);
static void cp_lint_tell(cp_spec_t *s, const char *rule,
    cp_rule_severity_e severity, const cp_json_t *node,
    const cp_spec_at_t *at, const char *message);


static const char  cp_set_refs[1], cp_set_tags[1];

static const char *const  cp_severities[] = { "info", "warning", "error" };


static const char *
cp_rule_operation_id(cp_spec_t *s, const cp_json_t *op,
    const cp_spec_at_t *at)
{
    (void) s;
    (void) at;

    return cp_json_str(op, "operationId") ? NULL : "has no operationId";
}


static const char *
cp_rule_operation_text(cp_spec_t *s, const cp_json_t *op,
    const cp_spec_at_t *at)
{
    (void) s;
    (void) at;

    return cp_json_str(op, "summary") || cp_json_str(op, "description")
           ? NULL : "has neither summary nor description";
}


static const char *
cp_rule_operation_tags(cp_spec_t *s, const cp_json_t *op,
    const cp_spec_at_t *at)
{
    const cp_json_t  *t;

    (void) at;

    t = cp_json_get(op, "tags");

    for (t = t ? t->first : NULL; t; t = t->next) {
        if (t->type == CP_JSON_STRING
            && cp_spec_find(s, cp_set_tags, t->s) == NULL)
        {
            return cp_arena_printf(s->arena, "the tag \"%.64s\" is not among"
                                   " the document's tags", t->s);
        }
    }

    return NULL;
}


static const char *
cp_rule_operation_success(cp_spec_t *s, const cp_json_t *op,
    const cp_spec_at_t *at)
{
    const cp_json_t  *r;

    (void) s;
    (void) at;

    r = cp_json_get(op, "responses");

    for (r = r ? r->first : NULL; r; r = r->next) {
        if (r->key[0] == '2' || r->key[0] == '3' || r->key[0] == 'd') {
            return NULL;
        }
    }

    return "has no answer for success";
}


static const char *
cp_rule_operation_body(cp_spec_t *s, const cp_json_t *op,
    const cp_spec_at_t *at)
{
    (void) s;

    return at->key && cp_json_get(op, "requestBody")
           && (strcmp(at->key, "get") == 0 || strcmp(at->key, "head") == 0
               || strcmp(at->key, "delete") == 0)
           ? "a body of GET, HEAD and DELETE may be lost on its way" : NULL;
}


static const char *
cp_rule_security(cp_spec_t *s, const cp_json_t *node, const cp_spec_at_t *at)
{
    const cp_json_t  *m, *known;

    (void) at;

    known = cp_json_get(cp_json_get(s->root, "components"),
                        "securitySchemes");

    for (m = node->first; m; m = m->next) {
        if (cp_spec_child(s, known, m->key) == NULL) {
            return cp_arena_printf(s->arena, "there is no security scheme"
                                   " \"%.64s\"", m->key);
        }
    }

    return NULL;
}


static bool
cp_lint_declares(cp_spec_t *s, const cp_json_t *holder, const char *name,
    size_t len)
{
    const char       *in, *text;
    const cp_json_t  *p, *q;

    p = cp_json_get(holder, "parameters");

    for (p = p ? p->first : NULL; p; p = p->next) {
        q = cp_spec_deref(s, p);
        in = cp_json_str(q, "in");
        text = cp_json_str(q, "name");

        if (in && text && strcmp(in, "path") == 0 && strlen(text) == len
            && memcmp(text, name, len) == 0)
        {
            return true;
        }
    }

    return false;
}


/* Each {name} of the path is declared, by the path or by each operation. */
static const char *
cp_rule_path_parameters(cp_spec_t *s, const cp_json_t *item,
    const cp_spec_at_t *at)
{
    size_t            len;
    unsigned          i;
    const char       *p;
    const cp_json_t  *op;

    if (at->key == NULL || at->key[0] != '/' || at->up == NULL
        || at->up->key == NULL || strcmp(at->up->key, "paths") != 0)
    {
        return NULL;
    }

    for (p = strchr(at->key, '{'); p; p = strchr(p, '{')) {
        len = strcspn(++p, "}");

        for (i = 0; cp_spec_methods[i]; i++) {
            op = cp_json_get(item, cp_spec_methods[i]);

            if (op && !cp_lint_declares(s, op, p, len)
                && !cp_lint_declares(s, item, p, len))
            {
                return cp_arena_printf(s->arena, "%s does not declare the"
                                       " path parameter \"%.*s\"",
                                       cp_spec_methods[i], (int) len, p);
            }
        }
    }

    return NULL;
}


static const char *
cp_rule_path_form(cp_spec_t *s, const cp_json_t *item, const cp_spec_at_t *at)
{
    (void) s;
    (void) item;

    return at->key == NULL || at->key[0] != '/' ? NULL
           : strchr(at->key, '?') ? "has a query in its path"
           : at->key[1] && at->key[strlen(at->key) - 1] == '/'
             ? "ends in a slash" : NULL;
}


static const char *
cp_rule_path_parameter(cp_spec_t *s, const cp_json_t *p,
    const cp_spec_at_t *at)
{
    const char  *in;

    (void) s;
    (void) at;

    in = cp_json_str(p, "in");

    return in && strcmp(in, "path") == 0 && !cp_json_num(p, "required", 0)
           ? "a parameter in the path is required" : NULL;
}


static const char *
cp_rule_parameter_in(cp_spec_t *s, const cp_json_t *p, const cp_spec_at_t *at)
{
    unsigned                  i;
    const char               *in;
    static const char *const  places[] = { "path", "query", "header",
                                           "cookie", NULL };

    (void) s;
    (void) at;

    in = cp_json_str(p, "in");

    for (i = 0; in && places[i]; i++) {
        if (strcmp(places[i], in) == 0) {
            return NULL;
        }
    }

    return in ? "\"in\" must be path, query, header or cookie" : NULL;
}


static const char *
cp_rule_parameter_schema(cp_spec_t *s, const cp_json_t *p,
    const cp_spec_at_t *at)
{
    (void) s;
    (void) at;

    return cp_json_get(p, "$ref") || cp_json_get(p, "schema")
           || cp_json_get(p, "content") ? NULL : "has no schema";
}


static const char *
cp_rule_items(cp_spec_t *s, const cp_json_t *schema, const cp_spec_at_t *at)
{
    const char  *type;

    (void) at;

    type = cp_json_str(schema, "type");

    return s->minor == 0 && type && strcmp(type, "array") == 0
           && cp_json_get(schema, "items") == NULL
           ? "a list needs items in 3.0" : NULL;
}


static const char *
cp_rule_siblings(cp_spec_t *s, const cp_json_t *schema,
    const cp_spec_at_t *at)
{
    (void) at;

    return s->minor == 0 && schema->n > 1 && cp_json_str(schema, "$ref")
           ? "what stands beside $ref does not count in 3.0" : NULL;
}


static const char *
cp_rule_server(cp_spec_t *s, const cp_json_t *server, const cp_spec_at_t *at)
{
    const char  *url;

    (void) s;
    (void) at;

    url = cp_json_str(server, "url");

    return url && strncasecmp(url, "http:", 5) == 0
           ? "the address has no TLS" : NULL;
}


static const char *
cp_rule_info(cp_spec_t *s, const cp_json_t *info, const cp_spec_at_t *at)
{
    (void) s;
    (void) at;

    return cp_json_str(info, "description") ? NULL : "has no description";
}


static const char *
cp_rule_contact(cp_spec_t *s, const cp_json_t *info, const cp_spec_at_t *at)
{
    (void) s;
    (void) at;

    return cp_json_get(info, "contact") ? NULL : "says no contact";
}


static const char *
cp_rule_license(cp_spec_t *s, const cp_json_t *info, const cp_spec_at_t *at)
{
    (void) s;
    (void) at;

    return cp_json_get(info, "license") ? NULL : "says no license";
}


static const char *
cp_rule_unused(cp_spec_t *s, const cp_json_t *components,
    const cp_spec_at_t *at)
{
    cp_spec_at_t      kind, in;
    const char       *ref;
    const cp_json_t  *k, *m;

    for (k = components->first; k; k = k->next) {
        if (k->type != CP_JSON_OBJECT || strncmp(k->key, "x-", 2) == 0
            || strcmp(k->key, "securitySchemes") == 0)
        {
            continue;
        }

        kind = (cp_spec_at_t) { at, k->key, 0 };

        for (m = k->first; m; m = m->next) {
            in = (cp_spec_at_t) { &kind, m->key, 0 };
            ref = cp_arena_printf(s->arena, "#%s", cp_spec_pointer(s, &in));

            if (ref && cp_spec_find(s, cp_set_refs, ref) == NULL) {
                cp_lint_tell(s, "unused-component", RULE_WARNING, m, &in,
                             "nothing refers to it");
            }
        }
    }

    return NULL;
}


static const cp_rule_t  cp_rules[] = {
    { T_INFO, "info-contact", RULE_INFO, cp_rule_contact },
    { T_INFO, "info-description", RULE_INFO, cp_rule_info },
    { T_INFO, "info-license", RULE_INFO, cp_rule_license },
    { T_SERVER, "server-tls", RULE_WARNING, cp_rule_server },
    { T_PATH_ITEM, "path-form", RULE_WARNING, cp_rule_path_form },
    { T_PATH_ITEM, "path-parameters", RULE_ERROR, cp_rule_path_parameters },
    { T_OPERATION, "operation-body", RULE_WARNING, cp_rule_operation_body },
    { T_OPERATION, "operation-id", RULE_WARNING, cp_rule_operation_id },
    { T_OPERATION, "operation-success", RULE_WARNING,
      cp_rule_operation_success },
    { T_OPERATION, "operation-tags", RULE_INFO, cp_rule_operation_tags },
    { T_OPERATION, "operation-text", RULE_INFO, cp_rule_operation_text },
    { T_PARAMETER, "parameter-in", RULE_ERROR, cp_rule_parameter_in },
    { T_PARAMETER, "parameter-required", RULE_ERROR, cp_rule_path_parameter },
    { T_PARAMETER, "parameter-schema", RULE_WARNING,
      cp_rule_parameter_schema },
    { T_SCHEMA, "schema-items", RULE_ERROR, cp_rule_items },
    { T_SCHEMA, "schema-siblings", RULE_WARNING, cp_rule_siblings },
    { T_SECURITY, "security-unknown", RULE_ERROR, cp_rule_security },
    { T_COMPONENTS, "unused-component", RULE_WARNING, cp_rule_unused },
    { T_ANY, NULL, RULE_INFO, NULL }
};

/* Markup that a reader's browser might run. */
static const char *const  cp_markup[] = { "<script", "<iframe", "<object",
    "<embed", "<style", "<form", "<svg", "javascript:", "onerror=", NULL };

static const char *const  cp_texts[] = { "description", "summary", "title",
    "termsOfService", "url", NULL };


static void
cp_lint_refs(cp_spec_t *s, const cp_json_t *v)
{
    const cp_json_t  *m;

    for (m = v->first; m; m = m->next) {
        if (m->key && m->type == CP_JSON_STRING
            && strcmp(m->key, "$ref") == 0)
        {
            (void) cp_spec_once(s, cp_set_refs, m->s, m);

        } else if (m->key && m->type == CP_JSON_OBJECT
                   && strcmp(m->key, "mapping") == 0)
        {
            for (const cp_json_t *t = m->first; t; t = t->next) {
                if (t->type == CP_JSON_STRING) {
                    (void) cp_spec_once(s, cp_set_refs, t->s[0] == '#' ? t->s
                        : cp_arena_printf(s->arena,
                                          "#/components/schemas/%s", t->s),
                        t);
                }
            }
        }

        if (m->first) {
            cp_lint_refs(s, m);
        }
    }
}


/* Rules in the table's order, objects in the document's. */
cp_json_t *
cp_spec_lint(cp_spec_t *s)
{
    const char       *name;
    const cp_json_t  *t;

    s->findings = cp_json_array(s->arena);
    s->nfindings = 0;
    cp_lint_refs(s, s->root);
    t = cp_json_get(s->root, "tags");

    for (t = t ? t->first : NULL; t; t = t->next) {
        name = cp_json_str(t, "name");

        if (name) {
            (void) cp_spec_once(s, cp_set_tags, name, t);
        }
    }

    cp_spec_walk(s, cp_lint_visit);
    s->visit = NULL;

    return s->findings;
}


static void
cp_lint_visit(cp_spec_t *s, cp_spec_type_e type, const cp_json_t *node,
    const cp_spec_at_t *at)
{
    unsigned          i, k;
    const char       *text;
    cp_spec_at_t      in;
    const cp_rule_t  *rule;

    for (rule = cp_rules; rule->name; rule++) {
        text = rule->type == type ? rule->judge(s, node, at) : NULL;

        if (text) {
            cp_lint_tell(s, rule->name, rule->severity, node, at, text);
        }
    }

    for (i = 0; cp_texts[i]; i++) {
        text = cp_json_str(node, cp_texts[i]);

        for (k = 0; text && cp_markup[k]; k++) {
            if (strcasestr(text, cp_markup[k])) {
                in = (cp_spec_at_t) { at, cp_texts[i], 0 };
                cp_lint_tell(s, "markup", RULE_WARNING,
                             cp_json_get(node, cp_texts[i]), &in,
                             cp_arena_printf(s->arena, "has \"%s\", which is"
                                             " shown as text", cp_markup[k]));
                break;
            }
        }
    }
}


static void
cp_lint_tell(cp_spec_t *s, const char *rule, cp_rule_severity_e severity,
    const cp_json_t *node, const cp_spec_at_t *at, const char *message)
{
    cp_json_t  *f;

    if (s->nfindings++ >= CP_SPEC_FINDINGS_MAX) {
        return;
    }

    f = cp_json_object(s->arena);
    cp_json_put(s->arena, f, "rule", rule);
    cp_json_put(s->arena, f, "severity", cp_severities[severity]);
    cp_json_put_int(s->arena, f, "line", node->line);
    cp_json_put(s->arena, f, "pointer", cp_spec_pointer(s, at));
    cp_json_put(s->arena, f, "message", message);
    cp_json_push(s->findings, f);
}
