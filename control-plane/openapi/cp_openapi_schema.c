/*
 * Schemas of resources, documents and reports.
 */

#include <string.h>

#include "audit/cp_denial.h"
#include "feed/cp_question.h"
#include "feed/cp_usage.h"
#include "kinds/cp_kinds.h"
#include "openapi/cp_openapi.h"


typedef struct {
    const char  *type;
    const char  *format;
    const char  *pattern;
} cp_schema_type_t;

typedef struct {
    const char               *name;
    const cp_report_field_t  *fields;
} cp_schema_report_t;


static cp_json_t *cp_schema_field(cp_arena_t *a, const cp_field_t *f,
    cp_schema_e what);
static cp_json_t *cp_schema_or_null(cp_arena_t *a, cp_json_t *s);
static cp_json_t *cp_schema_type(cp_arena_t *a, const cp_field_t *f,
    cp_field_type_e type, cp_schema_e what);
static void cp_schema_bounds(cp_arena_t *a, const cp_field_t *f,
    cp_field_type_e type, cp_json_t *s);
static cp_json_t *cp_schema_listed(cp_arena_t *a, const cp_resource_t *res,
    const char *name);
static void cp_schema_resource(cp_arena_t *a, const cp_resource_t *res,
    cp_json_t *all);
static void cp_schema_document(cp_arena_t *a, const cp_resource_t *res,
    cp_json_t *all, cp_json_t *any);
static cp_json_t *cp_schema_states(cp_arena_t *a, const cp_resource_t *res);
static cp_json_t *cp_schema_report(cp_arena_t *a,
    const cp_report_field_t *fields);


static const cp_schema_type_t  cp_schema_types[] = {
    [CP_F_STRING]    = { "string", NULL, "^[^\\x00-\\x1f\\x7f]*$" },
    [CP_F_LABEL]     = { "string", NULL, "^[^\\x00-\\x1f\\x7f]*$" },
    [CP_F_NAME]      = { "string", NULL,
                         "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" },
    [CP_F_TEXT]      = { "string", NULL, NULL },
    [CP_F_INT]       = { "integer", "int64", NULL },
    [CP_F_BOOL]      = { "boolean", NULL, NULL },
    [CP_F_ENUM]      = { "string", NULL, NULL },
    [CP_F_TIME]      = { "string", "date-time", NULL },
    [CP_F_URL]       = { "string", "uri", "^https?://" },
    [CP_F_TARGET]    = { "string", "uri", "^(https?|grpcs?)://" },
    [CP_F_HOST]      = { "string", NULL, NULL },
    [CP_F_BASE_PATH] = { "string", NULL, "^/" },
    [CP_F_CIDR]      = { "string", NULL, NULL },
    [CP_F_REF]       = { "string", NULL,
                         "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" },
    [CP_F_OBJECT]    = { "object", NULL, NULL },
    [CP_F_ARRAY]     = { "array", NULL, NULL },
    [CP_F_JSON]      = { "object", NULL, NULL },
    [CP_F_METHOD]    = { "string", NULL,
                         "^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$" },
    [CP_F_TEMPLATE]  = { "string", NULL, "^/" },
    [CP_F_TOOL_NAME] = { "string", NULL, "^[A-Za-z0-9_.-]{1,128}$" },
    [CP_F_ENV]       = { "string", NULL, "^[a-z]{2,8}$" },
    [CP_F_HOST_PORT] = { "string", NULL, NULL },
    [CP_F_URL_PATH]  = { "string", NULL, "^/" }
};

/* What forms are made by: flags of fields. */
static const struct {
    unsigned     flags;
    const char  *name;
} cp_schema_marks[] = {
    { CP_READONLY,            "readOnly" },
    { CP_SEALED,              "writeOnly" },
    { CP_IMMUTABLE,           "x-immutable" },
    { CP_SEALED | CP_ONCE,    "x-secret" },
    { CP_MOVES | CP_DERIVED,  "x-moves" }
};

static const cp_schema_report_t  cp_schema_reports[] = {
    { "GatewayStatus", cp_status_fields },
    { "Rejected", cp_rejected_fields },
    { "Target", cp_target_fields },
    { "UsageBatch", cp_usage_fields },
    { "UsageRow", cp_usage_row_fields },
    { "NewsBatch", cp_news_fields },
    { "NewsRow", cp_news_row_fields },
    { "ApprovalAsk", cp_approval_ask_fields },
    { "QuestionAnswers", cp_question_fields },
    { "QuestionAnswer", cp_question_answer_fields },
    { NULL, NULL }
};

/* What an array of a report holds. */
static const char *const  cp_schema_items[] = {
    "rejected", "{\"$ref\":\"#/components/schemas/Rejected\"}",
    "targets", "{\"$ref\":\"#/components/schemas/Target\"}",
    "rows", "{\"$ref\":\"#/components/schemas/UsageRow\"}",
    "answers", "{\"$ref\":\"#/components/schemas/QuestionAnswer\"}",
    "news", "{\"$ref\":\"#/components/schemas/NewsRow\"}",
    "latency_us", "{\"type\":\"integer\",\"minimum\":0}",
    NULL
};


cp_json_t *
cp_openapi_schemas(cp_arena_t *a)
{
    unsigned                   i;
    cp_json_t                 *all, *any, *document;
    const cp_resource_t       *res;
    const cp_schema_report_t  *report;

    all = cp_json_object(a);
    any = cp_json_array(a);

    for (i = 0; cp_openapi_schemas_text[i]; i += 2) {
        cp_json_set(a, all, cp_openapi_schemas_text[i],
                    cp_openapi_text(a, cp_openapi_schemas_text[i + 1]));
    }

    for (i = 0; (res = cp_resource_at(i)) != NULL; i++) {
        cp_schema_resource(a, res, all);

        if (res->doc_kind) {
            cp_schema_document(a, res, all, any);
        }
    }

    document = cp_json_object(a);
    cp_json_set(a, document, "oneOf", any);
    cp_json_set(a, all, "Document", document);

    for (report = cp_schema_reports; report->name; report++) {
        cp_json_set(a, all, report->name,
                    cp_schema_report(a, report->fields));
    }

    return all;
}


const char *
cp_openapi_name(cp_arena_t *a, const char *kind, const char *suffix)
{
    char  *name, *p, *q;

    name = cp_arena_printf(a, "%s%s", kind, suffix);

    for (p = name, q = name; *p; p++) {
        if (*p == '_' || p == name) {
            p += *p == '_';
            *q++ = *p >= 'a' && *p <= 'z' ? (char) (*p - 32) : *p;
            continue;
        }

        *q++ = *p;
    }

    *q = '\0';

    return name;
}


cp_json_t *
cp_openapi_ref(cp_arena_t *a, const char *name)
{
    cp_json_t  *ref;

    ref = cp_json_object(a);
    cp_json_put(a, ref, "$ref",
                cp_arena_printf(a, "#/components/schemas/%s", name));

    return ref;
}


cp_json_t *
cp_openapi_text(cp_arena_t *a, const char *text)
{
    cp_json_t  *out;

    if (cp_json_parse(a, text, strlen(text), &out, NULL) == CP_OK) {
        return out;
    }

    cp_log(CP_LOG_ERROR, "openapi", "no JSON: %.60s", text);
    out = cp_json_object(a);
    cp_json_put(a, out, "description", "invalid");

    return out;
}


/* What a client sees, sends whole, sends as a patch, or writes into a
 * document, where the name stands elsewhere. */
cp_json_t *
cp_openapi_fields(cp_arena_t *a, const cp_field_t *fields, cp_schema_e what)
{
    cp_json_t         *s, *properties, *required;
    const cp_field_t  *f;

    s = cp_json_object(a);
    properties = cp_json_object(a);
    required = cp_json_array(a);

    for (f = fields; f->name; f++) {

        if ((f->flags & CP_SECRET)
            || (what == CP_SCHEMA_OUT && (f->flags & CP_SEALED))
            || (what != CP_SCHEMA_OUT && (f->flags & CP_READONLY))
            || (what == CP_SCHEMA_PATCH && (f->flags & CP_IMMUTABLE))
            || (what == CP_SCHEMA_SPEC && strcmp(f->name, "name") == 0))
        {
            continue;
        }

        cp_json_set(a, properties, f->name, cp_schema_field(a, f, what));

        if ((f->flags & CP_REQUIRED) && what != CP_SCHEMA_PATCH) {
            cp_json_push(required, cp_json_string(a, f->name));
        }
    }

    cp_json_put(a, s, "type", "object");
    cp_json_set(a, s, "properties", properties);

    if (required->n) {
        cp_json_set(a, s, "required", required);
    }

    cp_json_put_bool(a, s, "additionalProperties", what == CP_SCHEMA_OUT);

    return s;
}


/* Of a query: the value itself, or text that is compared. */
cp_json_t *
cp_openapi_value(cp_arena_t *a, const cp_field_t *f)
{
    return f->type == CP_F_ENUM
           ? cp_schema_type(a, f, f->type, CP_SCHEMA_OUT)
           : cp_openapi_text(a, CP_OPENAPI_TEXT);
}


static cp_json_t *
cp_schema_field(cp_arena_t *a, const cp_field_t *f, cp_schema_e what)
{
    size_t      i;
    cp_json_t  *s, *dflt;

    s = cp_schema_type(a, f, f->type, what);

    if (f->doc && *f->doc) {
        cp_json_put(a, s, "description", f->doc);
    }

    if (f->dflt && what != CP_SCHEMA_PATCH
        && cp_json_parse(a, f->dflt, strlen(f->dflt), &dflt, NULL) == CP_OK)
    {
        cp_json_set(a, s, "default", dflt);
    }

    for (i = 0; i < sizeof(cp_schema_marks) / sizeof(cp_schema_marks[0]); i++)
    {
        if (f->flags & cp_schema_marks[i].flags) {
            cp_json_put_bool(a, s, cp_schema_marks[i].name, true);
        }
    }

    if (f->ref) {
        cp_json_put(a, s, "x-ref", f->ref);
    }

    /* null is no member, and removes one that was */

    return what != CP_SCHEMA_OUT && !(f->flags & CP_REQUIRED)
           ? cp_schema_or_null(a, s) : s;
}


static cp_json_t *
cp_schema_or_null(cp_arena_t *a, cp_json_t *s)
{
    cp_json_t  *types;

    types = cp_json_array(a);
    cp_json_push(types, cp_json_copy(a, cp_json_get(s, "type")));
    cp_json_push(types, cp_json_string(a, "null"));
    cp_json_set(a, s, "type", types);

    if (cp_json_get(s, "enum")) {
        cp_json_push(cp_json_get(s, "enum"), cp_json_null(a));
    }

    return s;
}


static cp_json_t *
cp_schema_type(cp_arena_t *a, const cp_field_t *f, cp_field_type_e type,
    cp_schema_e what)
{
    unsigned                 i;
    cp_json_t               *s, *list;
    const cp_schema_type_t  *t;

    if (type == CP_F_OBJECT && f->sub) {
        return cp_openapi_fields(a, f->sub, what);
    }

    t = &cp_schema_types[type];
    s = cp_json_object(a);
    cp_json_put(a, s, "type", t->type);

    if (t->format) {
        cp_json_put(a, s, "format", t->format);
    }

    if (t->pattern) {
        cp_json_put(a, s, "pattern", t->pattern);
    }

    if (type == CP_F_ENUM) {
        list = cp_json_array(a);

        for (i = 0; f->values[i]; i++) {
            cp_json_push(list, cp_json_string(a, f->values[i]));
        }

        cp_json_set(a, s, "enum", list);
    }

    if (type == CP_F_ARRAY) {
        cp_json_set(a, s, "items", cp_schema_type(a, f, f->item,
                                                  what == CP_SCHEMA_PATCH
                                                  ? CP_SCHEMA_IN : what));
    }

    cp_schema_bounds(a, f, type, s);

    return s;
}


/* min and max mean what the type of the field as a whole says. */
static void
cp_schema_bounds(cp_arena_t *a, const cp_field_t *f, cp_field_type_e type,
    cp_json_t *s)
{
    if (type != f->type) {
        return;
    }

    switch (type) {

    case CP_F_INT:
        if (f->max) {
            cp_json_put_int(a, s, "minimum", f->min);
            cp_json_put_int(a, s, "maximum", f->max);
        }

        break;

    case CP_F_STRING:
    case CP_F_LABEL:
    case CP_F_TEXT:
        if (f->min) {
            cp_json_put_int(a, s, "minLength", f->min);
        }

        if (f->max) {
            cp_json_put_int(a, s, "maxLength", f->max);
        }

        break;

    case CP_F_ARRAY:
        cp_json_put_int(a, s, "minItems", f->min);
        cp_json_put_int(a, s, "maxItems", f->max);
        break;

    default:
        break;
    }
}


/* In a list: what is large is left out, though it is required. */
static cp_json_t *
cp_schema_listed(cp_arena_t *a, const cp_resource_t *res, const char *name)
{
    bool               whole;
    cp_json_t         *s, *required;
    const cp_field_t  *f;

    whole = false;
    required = cp_json_array(a);

    for (f = res->fields; f->name; f++) {
        if (f->flags & CP_REQUIRED) {
            whole |= (f->flags & CP_WHOLE) != 0;

            if ((f->flags & (CP_WHOLE|CP_SECRET|CP_SEALED)) == 0) {
                cp_json_push(required, cp_json_string(a, f->name));
            }
        }
    }

    if (!whole) {
        return cp_openapi_ref(a, name);
    }

    s = cp_openapi_fields(a, res->fields, CP_SCHEMA_OUT);
    cp_json_set(a, s, "required", required);

    return s;
}


static void
cp_schema_resource(cp_arena_t *a, const cp_resource_t *res, cp_json_t *all)
{
    cp_json_t   *list, *properties, *items;
    const char  *name;

    name = cp_openapi_name(a, res->kind, "");

    cp_json_set(a, all, name,
                cp_openapi_fields(a, res->fields, CP_SCHEMA_OUT));
    cp_openapi_transitions(a, res, cp_json_get(all, name));
    cp_json_set(a, all, cp_openapi_name(a, res->kind, "Input"),
                cp_openapi_fields(a, res->fields, CP_SCHEMA_IN));
    cp_json_set(a, all, cp_openapi_name(a, res->kind, "Patch"),
                cp_openapi_fields(a, res->fields, CP_SCHEMA_PATCH));

    items = cp_json_object(a);
    cp_json_put(a, items, "type", "array");
    cp_json_set(a, items, "items", cp_schema_listed(a, res, name));

    properties = cp_json_object(a);
    cp_json_set(a, properties, "items", items);
    cp_json_set(a, properties, "next",
                cp_openapi_text(a, "{\"type\":[\"string\",\"null\"],"
                                "\"description\":\"cursor of the next"
                                " page\"}"));

    list = cp_openapi_text(a, "{\"type\":\"object\",\"required\":"
                           "[\"items\"]}");
    cp_json_set(a, list, "properties", properties);
    cp_json_set(a, all, cp_openapi_name(a, res->kind, "List"), list);
}


/* Of an api. */
static void
cp_schema_docs(cp_arena_t *a, cp_json_t *properties)
{
    cp_json_t  *list;

    list = cp_openapi_text(a, "{\"type\":\"array\",\"maxItems\":50,"
                           "\"description\":\"all of its pages; absent: left"
                           " as they are\"}");
    cp_json_set(a, list, "items",
                cp_openapi_fields(a, cp_resource_find("page")->fields,
                                  CP_SCHEMA_IN));
    cp_json_set(a, properties, "pages", cp_schema_or_null(a, list));
    cp_json_set(a, properties, "document", cp_schema_or_null(a,
                cp_openapi_text(a, "{\"type\":\"object\",\"description\":"
                "\"its OpenAPI document, at most 24 MiB; operations that are"
                " absent are made from it\",\"additionalProperties\":false,"
                "\"required\":[\"text\"],\"properties\":{\"format\":{\"enum\":"
                "[\"yaml\",\"json\"],\"default\":\"yaml\"},\"text\":"
                "{\"type\":\"string\"}}}")));
}


static void
cp_schema_gone(cp_arena_t *a, const cp_resource_t *res, cp_json_t *properties)
{
    if (strcmp(res->kind, "policy_set") == 0) {
        cp_json_set(a, properties, "gone",
                    cp_schema_or_null(a, cp_openapi_text(a,
                    "{\"type\":\"array\",\"maxItems\":50,\"description\":"
                    "\"policies that it would make and shall not have; absent:"
                    " left as they are\",\"items\":{\"type\":\"string\"}}")));
    }
}


static void
cp_schema_document(cp_arena_t *a, const cp_resource_t *res, cp_json_t *all,
    cp_json_t *any)
{
    unsigned     i;
    cp_json_t   *doc, *properties, *kind, *spec, *list;
    const char  *name;

    name = cp_arena_printf(a, "%sDocument", res->doc_kind);
    doc = cp_openapi_text(a, "{\"type\":\"object\",\"required\":"
                          "[\"apiVersion\",\"kind\",\"metadata\"],"
                          "\"additionalProperties\":false}");
    spec = cp_openapi_fields(a, res->fields, CP_SCHEMA_SPEC);

    if (res->transitions) {
        cp_json_set(a, cp_json_get(spec, "properties"), "state",
                    cp_schema_or_null(a, cp_schema_states(a, res)));
    }

    cp_schema_gone(a, res, cp_json_get(spec, "properties"));

    if (strcmp(res->kind, "api") == 0) {
        list = cp_openapi_text(a, "{\"type\":\"array\",\"description\":\"all"
                               " of its operations; absent: left as they"
                               " are\"}");
        cp_json_set(a, list, "items",
                    cp_openapi_fields(a, cp_resource_find("operation")->fields,
                                      CP_SCHEMA_IN));
        cp_json_set(a, cp_json_get(cp_json_get(list, "items"), "properties"),
                    "state",
                    cp_schema_states(a, cp_resource_find("operation")));

        /* a name is made of method and path when there is none */

        cp_json_set(a, cp_json_get(list, "items"), "required",
                    cp_openapi_text(a, "[\"method\",\"path\"]"));
        cp_json_set(a, cp_json_get(cp_json_get(list, "items"), "properties"),
                    "imported", cp_openapi_text(a, "{\"type\":\"boolean\"}"));
        cp_json_set(a, cp_json_get(spec, "properties"), "operations",
                    cp_schema_or_null(a, list));
        cp_schema_docs(a, cp_json_get(spec, "properties"));

        for (i = 0; cp_items[i]; i++) {
            cp_json_set(a, cp_json_get(spec, "properties"),
                        cp_items[i]->plural,
                        cp_schema_or_null(a, cp_openapi_text(a,
                        "{\"type\":\"array\",\"description\":"
                        "\"those whose state is decided by name, found or"
                        " not; the others have new_tools; absent: left as"
                        " they are\",\"items\":{\"type\":\"object\","
                        "\"additionalProperties\":false,\"required\":"
                        "[\"name\",\"state\"],\"properties\":{\"name\":"
                        "{\"type\":\"string\"},\"state\":{\"enum\":"
                        "[\"enabled\",\"disabled\"]}}}}")));
        }
    }

    kind = cp_json_object(a);
    cp_json_put(a, kind, "const", res->doc_kind);

    properties = cp_openapi_text(a, "{\"apiVersion\":{\"const\":"
                                 "\"stoa/v1\"}}");
    cp_json_set(a, properties, "kind", kind);
    cp_json_set(a, properties, "metadata",
                cp_openapi_text(a, res->parent == NULL
                    ? "{\"type\":\"object\",\"required\":[\"name\"],"
                      "\"properties\":{\"name\":{\"type\":\"string\"}}}"
                    : res->by_id
                    ? "{\"type\":\"object\",\"required\":[\"tenant\"],"
                      "\"properties\":{\"tenant\":{\"type\":\"string\"}}}"
                    : "{\"type\":\"object\",\"required\":[\"name\","
                      "\"tenant\"],\"properties\":{\"name\":{\"type\":"
                      "\"string\"},\"tenant\":{\"type\":\"string\"}}}"));
    cp_json_set(a, properties, "spec", cp_json_get(spec, "required")
                ? spec : cp_schema_or_null(a, spec));

    cp_json_set(a, doc, "properties", properties);
    cp_json_set(a, all, name, doc);
    cp_json_push(any, cp_openapi_ref(a, name));
}


static cp_json_t *
cp_schema_states(cp_arena_t *a, const cp_resource_t *res)
{
    cp_json_t              *s, *list, *v;
    const cp_transition_t  *t;

    s = cp_openapi_text(a, "{\"type\":\"string\",\"description\":\"reached by"
                        " its events; absent: left as it is\"}");
    list = cp_json_array(a);
    cp_json_push(list, cp_json_string(a, res->initial));

    for (t = res->transitions; t->event; t++) {

        for (v = list->first; v && strcmp(v->s, t->to) != 0; v = v->next) {
            /* void */
        }

        if (v == NULL && t->permission) {
            cp_json_push(list, cp_json_string(a, t->to));
        }
    }

    cp_json_set(a, s, "enum", list);

    return s;
}


static cp_json_t *
cp_schema_report(cp_arena_t *a, const cp_report_field_t *fields)
{
    unsigned                  i;
    cp_json_t                *s, *properties, *required, *p;
    const cp_report_field_t  *f;

    /* the type of each and the bound that its max is */
    static const char *const  types[][2] = {
        [CP_REPORT_INT]   = { "integer", "maximum" },
        [CP_REPORT_TEXT]  = { "string", "maxLength" },
        [CP_REPORT_ID]    = { "string", "maxLength" },
        [CP_REPORT_HEX]   = { "string", "maxLength" },
        [CP_REPORT_CODE]  = { "string", "maxLength" },
        [CP_REPORT_ARRAY] = { "array", "maxItems" }
    };

    s = cp_openapi_text(a, "{\"type\":\"object\"}");
    properties = cp_json_object(a);
    required = cp_json_array(a);

    for (f = fields; f->name; f++) {
        p = cp_json_object(a);
        cp_json_put(a, p, "type", types[f->type][0]);
        cp_json_put_int(a, p, types[f->type][1], f->max);

        if (f->type == CP_REPORT_INT) {
            cp_json_put_int(a, p, "minimum", 0);
        }

        for (i = 0; cp_schema_items[i]; i += 2) {
            if (strcmp(cp_schema_items[i], f->name) == 0) {
                cp_json_set(a, p, "items",
                            cp_openapi_text(a, cp_schema_items[i + 1]));
            }
        }

        if (f->required) {
            cp_json_push(required, cp_json_string(a, f->name));
        }

        cp_json_set(a, properties, f->name, p);
    }

    cp_json_set(a, s, "properties", properties);

    if (required->n) {
        cp_json_set(a, s, "required", required);
    }

    return s;
}
